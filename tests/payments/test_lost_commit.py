"""The answer to a COMMIT is lost: nothing is run again, and its key still has one effect."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from bayon.batch import Reply
from bayon.db import Database
from bayon.errors import Unavailable
from bayon.payments import Payment
from factories import balance_of, make_rail, make_request, make_street, make_transfer
from lines import socket_of, through

COMMIT = b"COMMIT;"
COMMITTED = b"COMMIT\x00"


class Line:
    """A proxy before PostgreSQL's socket, which hangs up once the next COMMIT is done."""

    def __init__(self, socket: str) -> None:
        self.socket: str = socket
        self.cuts: int = 0
        self.commits: int = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_unix_connection(self.socket)
        committing = asyncio.Event()
        with suppress(ConnectionError):
            await asyncio.wait(
                (
                    asyncio.ensure_future(self.ask(reader, to_there, committing)),
                    asyncio.ensure_future(self.answer(there, writer, committing)),
                ),
                return_when=asyncio.FIRST_COMPLETED,
            )
        writer.close()
        to_there.close()

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, committing: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if COMMIT in data:
                self.commits += 1
                if self.cuts:
                    committing.set()
            writer.write(data)

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, committing: asyncio.Event
    ) -> None:
        # PostgreSQL answers after the commit: what is cut off here has happened there.
        while data := await reader.read(65_536):
            if committing.is_set():
                assert COMMITTED in data
                self.cuts -= 1
                return
            writer.write(data)


async def test_commit_whose_answer_is_lost_is_unavailable_for_all_and_one_effect_by_key(
    db: Database, database: str, tmp_path: Path
) -> None:
    street = await make_street(db, usd_minor=1_000)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    requests = [make_request(command, key=f"k{n}") for n in range(3)]
    line = Line(socket_of(database))
    async with through(line, database, tmp_path) as behind:
        rail = make_rail(behind)
        line.cuts = 1
        lost = await asyncio.gather(*(rail.pay(r) for r in requests), return_exceptions=True)
        assert [type(each) for each in lost] == [Unavailable] * 3
        assert (line.cuts, line.commits, rail.paying.sizes.batches) == (0, 1, 1)
        assert (await balance_of(db, street.shop)).posted_minor == 300
        again = await asyncio.gather(*(rail.pay(request) for request in requests))
    assert [reply.outcome for reply in again] == [None] * 3
    assert (await balance_of(db, street.shop)).posted_minor == 300
    found = await db.read(
        lambda tx: tx.rows("SELECT id::text, state FROM payments.payment ORDER BY seq")
    )
    kept = [f"{row['id']} {row['state']}" for row in found]
    assert [told(reply) for reply in again] == kept


async def test_commit_whose_answer_is_lost_without_a_key_happened_once(
    db: Database, database: str, tmp_path: Path
) -> None:
    street = await make_street(db, usd_minor=1_000)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    line = Line(socket_of(database))
    async with through(line, database, tmp_path) as behind:
        rail = make_rail(behind)
        line.cuts = 1
        with pytest.raises(Unavailable):
            await rail.pay(make_request(command))
    assert (await balance_of(db, street.shop)).posted_minor == 100


def told(reply: Reply[Payment]) -> str:
    """Tell what an answer says, without what no second rendering would repeat."""
    return reply.answer.decode().rpartition(" ")[0]
