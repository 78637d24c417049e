"""The browser of the tests: Debian's Chromium, and how it is started."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright

REQUIRED: Final = os.environ.get("BAYON_REQUIRE_ALL") == "1"
PROGRAMS: Final = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first that is here; the one that has no windows shows the same pages in half the time."""

CHROMIUM: Final = next(filter(None, map(shutil.which, PROGRAMS)), None)
ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def want(what: object, advice: str) -> None:
    """Skip what needs something that is not here, or fail where nothing may be skipped."""
    if not what:
        (pytest.fail if REQUIRED else pytest.skip)(advice)


@asynccontextmanager
async def launched() -> AsyncGenerator[Browser]:
    """Start the browser."""
    want(CHROMIUM, "There is no Chromium (apt-get install chromium-headless-shell)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()
