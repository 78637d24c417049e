"""The bench of the card network: its cards are sound, and pgbench writes what the host writes."""

from pathlib import Path
from typing import Any

import pytest
from bench.network import load
from bench.network_script import make_card_script
from bench.network_world import FIRST, TWIN, make_network_world, named
from bench.pgbench import run_pgbench

from bayon.app import check
from bayon.db import Database
from bench import server

ACCOUNTS = 20


@pytest.mark.parametrize("accounts", [1, ACCOUNTS])
async def test_pgbench_writes_the_same_valid_rows_as_an_authorisation(
    db: Database, database: str, tmp_path: Path, accounts: int
) -> None:
    world = await make_network_world(db, accounts=ACCOUNTS)
    script = await make_card_script(db, world, accounts=accounts)
    file = tmp_path / "script.sql"
    file.write_text(script.text)

    assert await run_pgbench(database, file, clients=2, seconds=1) > 0

    rows = await _rows(db, card_id=named(TWIN, FIRST))
    assert rows
    for row in rows:
        assert (row["status"], row["amount_minor"], row["days"]) == ("pending", 1, 7)
        assert (row["open_minor"], row["events"]) == (1, 1)
    assert await db.transaction(check, isolation="repeatable_read") == []


async def test_the_host_authorises_with_every_card_and_the_null_host_does_so_too(
    db: Database, database: str, tmp_path: Path
) -> None:
    world = await make_network_world(db, accounts=ACCOUNTS)
    file = tmp_path / "cards"
    file.write_text("".join(f"{pan.reveal()}\n" for pan in world.pans))

    async with (
        server.dev(tmp_path / "dev", database_url=database) as ready,
        server.null_host(tmp_path) as null,
    ):
        ours = await load(file, ready, seconds=0.3, in_flight=2 * ACCOUNTS)
        theirs = await load(file, null, seconds=0.3, in_flight=2 * ACCOUNTS, rate_per_s=500)

    used = await db.read(
        lambda tx: tx.value("SELECT count(DISTINCT card_id) FROM cards.transaction")
    )
    assert used == ACCOUNTS
    assert ours.answers > 0
    assert theirs.answers > 0
    assert await db.transaction(check, isolation="repeatable_read") == []


async def _rows(db: Database, *, card_id: object) -> list[Any]:
    found = await db.read(
        lambda tx: tx.rows(
            """
            SELECT t.status, t.amount_minor, h.open_minor,
                extract(day FROM t.expires_at - t.created_at)::int AS days,
                (SELECT count(*) FROM events.event AS e WHERE e.subject_id = t.id) AS events
            FROM cards.transaction AS t JOIN ledger.hold AS h ON h.id = t.hold_id
            WHERE t.card_id = $1
            """,
            card_id,
        )
    )
    return list(found)
