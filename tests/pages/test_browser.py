"""The pages in a real browser, against a sandbox started as `bayon dev`: seen, scanned, clicked."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from io import BytesIO
from typing import Any, Final, cast

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    expect,
)

from bayon.pages.page import ICON
from links import PHONE, SOURCE, fresh_qr
from pages.screen import REQUIRED, launched
from running import Dev

DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 860}}
HANDSET: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "user_agent": PHONE,
    "is_mobile": True,
    "device_scale_factor": 2,
}
SMALLEST: Final[dict[str, Any]] = {"viewport": {"width": 320, "height": 640}}


@pytest.fixture(scope="module")
async def chromium() -> AsyncGenerator[Browser]:
    """Start the browser once; without one these tests are skipped, or fail where none may be."""
    async with launched() as browser:
        yield browser


OpenPage = Callable[[dict[str, Any]], Awaitable[Page]]


@pytest.fixture
async def open_page(chromium: Browser, dev: Dev) -> AsyncGenerator[OpenPage]:
    """Give what opens a page on some device; at the end the browser must have nothing to say."""
    said: list[str] = []
    asked: set[str] = set()

    def hear(message: ConsoleMessage) -> None:
        if not message.text.startswith("Not allowed to launch 'bakong:"):
            said.append(message.text)

    async def foreign(route: Route) -> None:
        asked.add(route.request.url)
        assert "referer" not in route.request.headers
        await route.fulfill(body=ICON, content_type="image/svg+xml")

    contexts: list[BrowserContext] = []

    async def open_one(device: dict[str, Any]) -> Page:
        context = await chromium.new_context(**device)
        contexts.append(context)
        await context.route(lambda url: not url.startswith(dev.http_url), foreign)
        page = await context.new_page()
        page.on("console", hear)
        return page

    yield open_one
    for context in contexts:
        await context.close()
    assert said == []
    assert asked <= {SOURCE["appIconUrl"]}


async def _scan(page: Page) -> str:
    picture = Image.open(BytesIO(await page.screenshot(full_page=True)))
    (code,) = zxingcpp.read_barcodes(picture)
    return code.text


async def _overflow(page: Page) -> int:
    return await page.evaluate("document.documentElement.scrollWidth - innerWidth")


async def test_a_desktop_scans_pays_and_returns(dev: Dev, open_page: OpenPage) -> None:
    qr = fresh_qr(bill_number="INV-42")
    page = await open_page(DESKTOP)
    await page.goto(await dev.link(qr))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Pay Coffee Klaing")
    assert await _scan(page) == qr
    assert (await dev.status(qr))["errorCode"] == 1

    await page.get_by_role("button", name="Pay as dave@devb").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Payment successful")
    status = await dev.status(qr)
    assert status["responseCode"] == 0
    assert status["data"]["fromAccountId"] == "dave@devb"
    await expect(page.locator("code")).to_have_text(status["data"]["hash"][:8])
    back = page.get_by_role("link", name="Return to Klaing Shop")
    await expect(back).to_have_attribute("href", SOURCE["appDeepLinkCallback"])

    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Payment successful")
    assert (await dev.status(qr))["data"]["hash"] == status["data"]["hash"]


async def test_a_phone_offers_the_app_and_sees_a_payment_made_elsewhere(
    dev: Dev, open_page: OpenPage
) -> None:
    qr = fresh_qr()
    page = await open_page(HANDSET)
    await page.goto(await dev.link(qr))
    opens = page.get_by_role("link", name="Open in your banking app")
    assert (await opens.get_attribute("href") or "").startswith("bakong://pay?qr=0002")
    assert await _overflow(page) <= 0
    assert await _scan(page) == qr
    # Chromium asks now whether to open the app, and lets nothing else be pressed meanwhile.
    look = page.get_by_role("link", name="Check the payment")
    await page.goto(f"{dev.http_url}{await look.get_attribute('href')}")
    await expect(page.get_by_text("This page updates by itself.")).to_be_visible()

    body = {"fromAccountId": "rieu_dhqj_1984@devb", "qr": qr}
    paid = await dev.ask("/participant/v1/payments", body, dev.participant_token)
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_have_text("Payment successful", timeout=10_000)
    await expect(page.locator("code")).to_have_text(paid["data"]["hash"][:8])


async def test_a_declined_payment_says_why(dev: Dev, open_page: OpenPage) -> None:
    page = await open_page(DESKTOP)
    await page.goto(await dev.link(fresh_qr(amount_minor=10**12)))
    await page.get_by_role("button").click()
    await expect(page.get_by_role("alert")).to_contain_text("There is not enough money")


async def test_the_khmer_page_is_khmer_and_fits_the_smallest_phone(
    dev: Dev, open_page: OpenPage
) -> None:
    khmer: dict[str, Any] = {"language": "km", "merchant_name_alternate": "កាហ្វេ ក្លាំង"}
    page = await open_page(SMALLEST)
    await page.goto(await dev.link(fresh_qr(**khmer)))
    await page.get_by_role("link", name="ខ្មែរ").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("បង់ប្រាក់ជូន កាហ្វេ ក្លាំង")
    assert await page.evaluate("document.documentElement.lang") == "km"
    assert await _overflow(page) <= 0
    fonts = await _fonts(page, "h1")
    assert not REQUIRED or any("Khmer" in font for font in fonts), fonts
    await page.get_by_role("button", name="បង់ប្រាក់ជា dave@devb").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("ការទូទាត់បានជោគជ័យ")
    assert await page.evaluate("document.documentElement.lang") == "km"


@pytest.mark.parametrize("path", ["/", "/docs", "/?lang=km"])
async def test_the_pages_to_read_fit_the_smallest_phone(
    dev: Dev, open_page: OpenPage, path: str
) -> None:
    page = await open_page(SMALLEST)
    await page.goto(f"{dev.http_url}{path}")
    assert await _overflow(page) <= 0


async def _fonts(page: Page, selector: str) -> set[str]:
    """Ask the browser which fonts it drew an element's text with."""
    session = await page.context.new_cdp_session(page)

    async def ask(what: str, **about: object) -> dict[str, Any]:
        return cast("dict[str, Any]", await session.send(what, about))  # pyright: ignore[reportUnknownMemberType] - a bare dict

    for domain in ("DOM.enable", "CSS.enable"):
        await ask(domain)
    root = (await ask("DOM.getDocument"))["root"]["nodeId"]
    node = (await ask("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
    used = await ask("CSS.getPlatformFontsForNode", nodeId=node)
    return {str(font["familyName"]) for font in used["fonts"]}
