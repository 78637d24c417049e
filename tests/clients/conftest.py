"""Fixtures: one sandbox, as the live service stands towards its clients."""

from collections.abc import AsyncGenerator

import pytest

from journeys.running import Dev, Home, living_in


@pytest.fixture(scope="session")
async def home() -> AsyncGenerator[Home]:
    """Give a folder to run clients in."""
    async with living_in("bayon-clients-") as made:
        yield made


@pytest.fixture(scope="session")
async def dev(home: Home) -> Dev:
    """Run a sandbox that checks accounts without a token, as the live service does."""
    return await home.dev(BAYON_BAKONG_OPEN_ACCOUNT_CHECK="true")
