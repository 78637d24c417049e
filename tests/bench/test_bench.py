from pathlib import Path

import pytest
from bench.pgbench import make_script, run_pgbench
from bench.world import FIRST, FUNDS_MINOR, make_world, payer

from bayon import payments
from bayon.app import check
from bayon.db import Database
from bayon.money import Currency

PAYERS = 50


@pytest.mark.parametrize("dynamic", [False, True])
async def test_pgbench_writes_the_same_valid_rows_as_a_payment(
    db: Database, database: str, tmp_path: Path, *, dynamic: bool
) -> None:
    world = await make_world(db, payers=PAYERS)
    script = await make_script(db, world, dynamic=dynamic, payers=PAYERS)
    file = tmp_path / "script.sql"
    file.write_text(script.text)

    tps = await run_pgbench(database, file, clients=2, seconds=1)

    paid = await db.read(lambda tx: tx.value("SELECT seq FROM payments.counter"))
    claims = await db.read(lambda tx: tx.value("SELECT count(*) FROM payments.qr_claim"))
    assert tps > 0
    assert paid > 1
    assert claims == (paid if dynamic else 0)
    assert await db.transaction(check, isolation="repeatable_read") == []


async def test_the_world_is_funded_and_sound(db: Database) -> None:
    world = await make_world(db, payers=PAYERS)

    found = await db.read(
        lambda tx: payments.statement(
            tx, participant_id=world.bank_id, account_id=payer(FIRST + PAYERS - 1)
        )
    )

    assert found.balances[Currency.USD].available_minor == FUNDS_MINOR
    assert await db.transaction(check, isolation="repeatable_read") == []
