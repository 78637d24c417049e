"""A PostgreSQL of the tests, and the databases that are made in it."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Final

import asyncpg

DROPS_MAX: Final = 100


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL in which databases can be made by cloning a migrated template."""

    url: str
    template: str

    async def clone(self) -> str:
        """Make a fresh, migrated database; returns its URL."""
        name = f"test_{secrets.token_hex(6)}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        return database_url(self.url, name)

    async def drop(self, url: str) -> None:
        """Drop a database made by `clone`."""
        name = url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
        for _ in range(DROPS_MAX):
            try:
                return await self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            except asyncpg.InsufficientPrivilegeError:
                await asyncio.sleep(0.1)  # the autovacuum is in it, and is not ours to end
        raise TimeoutError(name)

    async def run(self, sql: str) -> None:
        """Run one statement on the server itself."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def database_url(url: str, name: str) -> str:
    """Name another database of the same server."""
    head, mark, query = url.partition("?")
    return head.rsplit("/", 1)[0] + "/" + name + mark + query
