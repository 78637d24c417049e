"""A line to PostgreSQL through a proxy of the test's own: the wall outside, and nothing of ours."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from bayon.db import Database


class Proxy(Protocol):
    async def connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None: ...


@asynccontextmanager
async def through(line: Proxy, url: str, folder: Path) -> AsyncGenerator[Database]:
    parts = urlsplit(url)
    port = parse_qs(parts.query)["port"][0]
    path = folder / f".s.PGSQL.{port}"
    query = f"host={quote(str(folder))}&port={port}"
    async with await asyncio.start_unix_server(line.connected, path):
        db = await Database.connect(urlunsplit(parts._replace(query=query)), size_max=2)
        try:
            yield db
        finally:
            await db.close()


def socket_of(url: str) -> str:
    query = parse_qs(urlsplit(url).query)
    return f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
