"""Fixtures: a home of the test's own, and a sandbox shared by tests that only use it."""

from collections.abc import AsyncGenerator

import pytest

from journeys.running import Dev, Home, living_in


@pytest.fixture
async def home() -> AsyncGenerator[Home]:
    """Give a folder to run Bayon in."""
    async with living_in() as made:
        yield made


@pytest.fixture(scope="module")
async def shared_home() -> AsyncGenerator[Home]:
    """Give a folder to run Bayon in, to a whole file."""
    async with living_in() as made:
        yield made


@pytest.fixture(scope="module")
async def dev(shared_home: Home) -> Dev:
    """Run a sandbox for a whole file."""
    return await shared_home.dev()
