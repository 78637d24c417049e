"""One database for all tests of a file, where its `db` asks for it; it is checked at the end."""

from collections.abc import AsyncGenerator

import pytest

from bayon.db import Database
from cards_factories import checked_database
from servers import Server


@pytest.fixture(scope="module")
async def shared(server: Server) -> AsyncGenerator[tuple[Database, str]]:
    """Make a database, and tell its address."""
    async with checked_database(server) as made:
        yield made
