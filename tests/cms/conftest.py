"""Fixtures: `town`, a sandbox a file's tests share; `clerk`, an issuer of the file's own there."""

import pytest

from cms.clerk import Clerk, hire
from sandboxes import Sandbox, opened, town

__all__ = ["clerk", "opened", "other", "town"]


@pytest.fixture(scope="module")
async def clerk(town: Sandbox) -> Clerk:
    """Ask for an issuer that has nothing yet."""
    return await hire(town)


@pytest.fixture(scope="module")
async def other(town: Sandbox) -> Clerk:
    """Ask for another one."""
    return await hire(town)
