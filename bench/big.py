"""The same questions at N payments and at ten thousand: two databases of one PostgreSQL.

Both are filled with valid rows (one paid dynamic QR each), both are served by a `bayon dev` of
their own, and both are asked in turn.
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bayon.app import check
from bayon.db import Database, Tx, read_clock
from bayon.payments import khqr
from bench import server
from bench.figures import Figure, table
from bench.load import Load
from bench.machine import machine
from bench.measure import ROUNDS, WARM_S
from bench.questions import CHECK, NOT_FOUND, OK, PAY, Requests
from bench.server import Ready, request
from bench.world import (
    FIRST,
    MERCHANT_LEDGER,
    PAYER_LEDGER,
    PAYERS,
    World,
    make_world,
    merchant,
    payer,
)

SMALL: Final = 10_000
CHUNK: Final = 50_000
ASKED: Final = 5_000
PAGE_SIZE: Final = 50
CHECKED_MAX: Final = 1_000_000
IN_FLIGHT: Final = 64
EACH: Final = 100
"""Payments of one payer, at the least: two pages everywhere."""
FULL_PAGE: Final = b'"next":"'


@dataclass(frozen=True, kw_only=True)
class Side:
    """One database with its server."""

    ready: Ready
    world: World
    count: int
    folder: Path

    def questions(self) -> dict[str, Requests]:
        """Make what both sides are asked.

        The far page is the 1,000th, of the small side the last full one. The status of the newest
        is what most ask for; of any it is harsher.
        """
        far = min(1_000, self.count // PAGE_SIZE - 1)
        return {
            "check_transaction_by_md5, the newest": self._checks(self.count - SMALL),
            "check_transaction_by_md5, any": self._checks(0),
            "list, page 1": self._page(""),
            "list, page 1,000": self._page(f"?after={self.count - PAGE_SIZE * (far - 1) + 1}"),
            "list of one payer": self._page(f"?accountId={payer(FIRST)}"),
            "list of one hot merchant": self._page(f"?accountId={merchant(FIRST)}", shops=True),
            "list of what comes in": self._page("?direction=incoming", shops=True),
        }

    def _checks(self, above: int) -> Requests:
        chance = random.Random(1)  # noqa: S311 - the same questions in every run
        paid = [f"bench qr {chance.randint(above + 1, self.count)}" for _ in range(ASKED)]
        unknown = [f"bench qr {-n}" for n in range(ASKED)]
        asked = [(text, OK) for text in paid] + [(text, NOT_FOUND) for text in unknown]
        chance.shuffle(asked)
        token = self.ready.bakong_token
        return [
            (request(CHECK, token=token, body={"md5": khqr.md5(text)}), expected)
            for text, expected in asked
        ]

    def _page(self, query: str, *, shops: bool = False) -> Requests:
        token = self.world.shops_token if shops else self.world.token
        return [(request(PAY + query, token=token, body=None, method="GET"), FULL_PAGE)]

    async def ask(self, requests: Requests, *, seconds: float) -> float:
        """Tell answers a second."""
        wanted = Load(
            host="127.0.0.1",
            port=self.ready.port,
            connections=IN_FLIGHT,
            warm_s=WARM_S,
            seconds=seconds,
            requests=requests,
        )
        return (await server.load(self.folder / "load", wanted, pid=self.ready.pid)).per_s


async def big(count: int, *, seconds: float, folder: Path) -> None:
    """Fill both, ask both, print the table."""
    count = -(-count // CHUNK) * CHUNK
    async with server.dev(folder / "data") as ready:
        small_url = await another(ready.database_url)
        async with server.dev(folder / "small", database_url=small_url) as small_ready:
            large = await _side(ready, count, folder)
            small = await _side(small_ready, SMALL, folder)
            figures = await _compare(large, small, seconds=seconds)
            db = await Database.connect(ready.database_url)
            print("", *(await machine(db, folder)), "", table(figures), sep="\n")
            await db.close()


async def _compare(large: Side, small: Side, *, seconds: float) -> list[Figure]:
    figures: list[Figure] = []
    theirs = small.questions()
    for name, ours in large.questions().items():
        against = f"{small.count:,} payments (ours: {large.count:,})"
        figure = Figure(what=name, against=against, goal=0.9)
        for _ in range(ROUNDS):
            at_large = await large.ask(ours, seconds=seconds)
            figure.add(at_large, await small.ask(theirs[name], seconds=seconds))
        print(*figure.lines(), sep="\n", flush=True)
        figures.append(figure)
    return figures


async def another(url: str) -> str:
    """Make a second database on the same server."""
    connection = await asyncpg.connect(url.replace("bayon@/bayon", "postgres@/postgres"))
    await connection.execute("CREATE DATABASE small OWNER bayon")
    await connection.close()
    return url.replace("bayon@/bayon", "bayon@/small")


async def _side(ready: Ready, count: int, folder: Path) -> Side:
    db = await Database.connect(ready.database_url)
    world = await make_world(db)
    started = time.monotonic()
    payers = min(PAYERS, count // EACH)
    for first in range(1, count + 1, CHUNK):
        size = min(CHUNK, count + 1 - first)
        await db.transaction(lambda tx, f=first, s=size: _fill(tx, world, payers, f, s))
    print(f"{count:,} payments written in {time.monotonic() - started:.0f} s", flush=True)
    await vacuum(ready.database_url)
    if count <= CHECKED_MAX:
        findings = await db.transaction(check, isolation="repeatable_read")
        print(f"bayon check at {count:,}: {findings or 'all invariants hold'}", flush=True)
    await db.close()
    return Side(ready=ready, world=world, count=count, folder=folder)


async def vacuum(url: str) -> None:
    """Leave nothing for autovacuum to do while we measure."""
    connection = await asyncpg.connect(url.replace("bayon@", "postgres@"))
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _fill(tx: Tx, world: World, payers: int, first: int, size: int) -> None:
    """Write payments first to first + size - 1, a minor unit each; each payer pays as often."""
    now = (await read_clock(tx)).now()
    await tx.run(
        """
        WITH new AS MATERIALIZED (
            SELECT n, uuidv7() AS id, uuidv7() AS transfer_id, $3::int + n % $4::int AS number,
                decode(md5('bench qr ' || n), 'hex') AS md5
            FROM generate_series($1::int, $2::int) AS n
        ), claimed AS (
            INSERT INTO payments.qr_claim (md5) SELECT md5 FROM new
        ), moved AS (
            INSERT INTO ledger.transfer (id, debit_account_id, credit_account_id, amount_minor,
                cause_id, created_at, occurred_at)
            SELECT transfer_id, ($5 || number)::uuid, $6::uuid, 1, id, $7, $7 FROM new
        )
        INSERT INTO payments.payment (id, seq, hash, md5, qr_kind, from_account_id,
            from_participant_id, to_account_id, to_participant_id, currency, amount_minor,
            receiver_bank, state, created_at, acknowledged_at)
        SELECT id, n, sha256(uuid_send(id) || md5), md5, 'dynamic', 'p' || number || '@bnka',
            $8, 'm10000@bnkb', $9, 'USD', 1, 'Bank B', 'succeeded', $7, $7
        FROM new
        """,
        *(first, first + size - 1, FIRST, payers, PAYER_LEDGER, f"{MERCHANT_LEDGER}{FIRST}", now),
        *(world.bank_id, world.shops_id),
    )
    await tx.run(
        "UPDATE ledger.balance SET posted_minor = posted_minor - $1 "
        "WHERE account_id BETWEEN ($2::text || $3::int)::uuid AND ($2::text || $4::int)::uuid",
        size // payers,
        PAYER_LEDGER,
        FIRST,
        FIRST + payers - 1,
    )
    await tx.run(
        "UPDATE ledger.balance SET posted_minor = posted_minor + $1 WHERE account_id = $2::uuid",
        size,
        f"{MERCHANT_LEDGER}{FIRST}",
    )
    await tx.run("UPDATE payments.counter SET seq = $1", first + size - 1)
