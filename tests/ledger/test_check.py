"""`ledger.check` finds what it is for: each invariant is broken by hand and seen."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID

import pytest

from bayon import ledger
from bayon.db import Database, Tx
from bayon.ids import uuid7
from bayon.ledger import Finding, Hold, OpenAccount, PlaceHold, Post, Transfer
from bayon.money import Currency
from servers import Server

NOW = datetime(2026, 1, 2, tzinfo=UTC)

ADD_UP = "balances add up to nothing"
POSTED = "balance = sum of transfers"
HELD = "held = sum of open holds"
OVERDRAWN = "no customer overdrawn"
ONE_CURRENCY = "one currency"


@pytest.fixture(scope="module")
async def scratch(server: Server) -> AsyncGenerator[Database]:
    """Make a database that nobody checks afterwards, with one transfer and one hold."""
    url = await server.clone()
    db = await Database.connect(url, size_max=2)
    yield db
    await db.close()
    await server.drop(url)


@pytest.fixture(scope="module")
async def ids(scratch: Database) -> dict[str, UUID]:
    """Name what there is to be broken."""
    commands = [
        OpenAccount(currency=Currency.USD, kind="system", name="source"),
        OpenAccount(currency=Currency.USD),
        OpenAccount(currency=Currency.USD),
        OpenAccount(currency=Currency.KHR),
    ]

    async def work(tx: Tx) -> dict[str, UUID]:
        accounts = await ledger.open_account(tx, commands, now=NOW)
        source, payer, payee, riel = (account.id for account in accounts)
        posts = [
            Post(debit_account_id=a, credit_account_id=b, amount_minor=n, cause_id=uuid7())
            for a, b, n in ((source, payer, 100), (payer, payee, 10))
        ]
        transfers = await ledger.post(tx, posts, now=NOW)
        holds = await ledger.hold(
            tx, [PlaceHold(account_id=payer, amount_minor=30, cause_id=uuid7())], now=NOW
        )
        assert isinstance(transfers[1], Transfer)
        assert isinstance(holds[0], Hold)
        return {
            "source": source,
            "payer": payer,
            "payee": payee,
            "riel": riel,
            "transfer": transfers[1].id,
            "hold": holds[0].id,
        }

    return await scratch.transaction(work)


class Undone(Exception):
    """Carries the findings out of a transaction that must not stay."""

    def __init__(self, found: set[Finding]) -> None:
        super().__init__()
        self.found: set[Finding] = found


async def found_after(db: Database, *statements: tuple[LiteralString, object]) -> set[Finding]:
    async def work(tx: Tx) -> None:
        for sql, argument in statements:
            await tx.run(sql, argument)
        raise Undone(set(await ledger.check(tx)))

    with pytest.raises(Undone) as caught:
        await db.transaction(work, isolation="repeatable_read")
    return caught.value.found


async def test_sound_ledger_has_no_findings(scratch: Database, ids: dict[str, UUID]) -> None:
    assert len(ids) == 6
    assert await found_after(scratch) == set()


async def test_money_out_of_nothing_is_found(scratch: Database, ids: dict[str, UUID]) -> None:
    sql = "UPDATE ledger.balance SET posted_minor = posted_minor + 1 WHERE account_id = $1"
    found = await found_after(scratch, (sql, ids["payee"]))
    assert found == {Finding(ADD_UP, "USD"), Finding(POSTED, str(ids["payee"]))}


async def test_money_in_one_slot_out_of_nothing_is_found(
    scratch: Database, ids: dict[str, UUID]
) -> None:
    sql = "UPDATE ledger.balance SET posted_minor = 5 WHERE slot = 8 AND account_id = $1"
    found = await found_after(scratch, (sql, ids["source"]))
    # This process may have slot 8 itself: then the balance is changed, not made, and found too.
    assert found == {Finding(ADD_UP, "USD"), Finding(POSTED, str(ids["source"]))}


async def test_money_shifted_without_a_transfer_is_found(
    scratch: Database, ids: dict[str, UUID]
) -> None:
    found = await found_after(
        scratch,
        ("UPDATE ledger.balance SET posted_minor = 89 WHERE account_id = $1", ids["payer"]),
        ("UPDATE ledger.balance SET posted_minor = 11 WHERE account_id = $1", ids["payee"]),
    )
    assert found == {Finding(POSTED, str(ids[name])) for name in ("payer", "payee")}


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM ledger.transfer WHERE id = $1",
        "UPDATE ledger.transfer SET amount_minor = 11 WHERE id = $1",
    ],
)
async def test_transfer_deleted_or_changed_is_found(
    scratch: Database, ids: dict[str, UUID], sql: LiteralString
) -> None:
    found = await found_after(scratch, (sql, ids["transfer"]))
    assert found == {Finding(POSTED, str(ids[name])) for name in ("payer", "payee")}


async def test_transfer_of_an_account_that_is_not_there_is_found(
    scratch: Database, ids: dict[str, UUID]
) -> None:
    nobody = uuid7()
    found = await found_after(
        scratch,
        ("UPDATE ledger.transfer SET credit_account_id = $1 WHERE amount_minor = 10", nobody),
    )
    assert found == {Finding(POSTED, str(subject)) for subject in (ids["payee"], nobody)}


async def test_account_that_lost_its_balance_is_found(
    scratch: Database, ids: dict[str, UUID]
) -> None:
    found = await found_after(
        scratch, ("DELETE FROM ledger.balance WHERE account_id = $1", ids["payer"])
    )
    assert found == {
        Finding(ADD_UP, "USD"),
        Finding(POSTED, str(ids["payer"])),
        Finding(HELD, str(ids["payer"])),
    }


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("UPDATE ledger.balance SET held_minor = 29 WHERE account_id = $1", "payer"),
        ("UPDATE ledger.balance SET held_minor = 1 WHERE account_id = $1", "payee"),
        ("UPDATE ledger.hold SET open_minor = 29 WHERE id = $1", "hold"),
        ("UPDATE ledger.hold SET state = 'released', open_minor = 0 WHERE id = $1", "hold"),
        ("DELETE FROM ledger.hold WHERE id = $1", "hold"),
    ],
)
async def test_held_that_is_not_the_sum_of_open_holds_is_found(
    scratch: Database, ids: dict[str, UUID], sql: LiteralString, name: str
) -> None:
    owner = "payee" if name == "payee" else "payer"
    found = await found_after(scratch, (sql, ids[name]))
    assert found == {Finding(HELD, str(ids[owner]))}


async def test_hold_of_an_account_that_is_not_there_is_found(
    scratch: Database, ids: dict[str, UUID]
) -> None:
    moved = "UPDATE ledger.hold SET account_id = cause_id WHERE id = $1 RETURNING account_id"
    found = await found_after(scratch, (moved, ids["hold"]))
    assert Finding(HELD, str(ids["payer"])) in found
    assert len(found) == 2  # and one of nobody's


async def test_transfer_between_two_currencies_is_found(
    scratch: Database, ids: dict[str, UUID]
) -> None:
    found = await found_after(
        scratch,
        ("UPDATE ledger.transfer SET credit_account_id = $1 WHERE amount_minor = 10", ids["riel"]),
        ("UPDATE ledger.balance SET posted_minor = 10 WHERE account_id = $1", ids["riel"]),
        ("UPDATE ledger.balance SET posted_minor = 0 WHERE account_id = $1", ids["payee"]),
    )
    assert found == {
        Finding(ONE_CURRENCY, str(ids["transfer"])),
        Finding(ADD_UP, "USD"),
        Finding(ADD_UP, "KHR"),
    }


@pytest.mark.parametrize(("credit_minor", "overdrawn"), [(60, False), (61, True), (101, True)])
async def test_customer_overdrawn_is_found_counting_what_is_held(
    scratch: Database, ids: dict[str, UUID], credit_minor: int, *, overdrawn: bool
) -> None:
    # It all adds up: 90 less this is what the payer has, of which 30 are held.
    found = await found_after(
        scratch,
        (
            """
            INSERT INTO ledger.transfer (id, debit_account_id, credit_account_id, amount_minor,
                cause_id, created_at, occurred_at)
            SELECT gen_random_uuid(), debit_account_id, credit_account_id, $1::bigint, cause_id,
                created_at, occurred_at
            FROM ledger.transfer WHERE amount_minor = 10
            """,
            credit_minor,
        ),
        (
            """
            UPDATE ledger.balance SET posted_minor = posted_minor - $1::bigint
            WHERE posted_minor = 90
            """,
            credit_minor,
        ),
        (
            """
            UPDATE ledger.balance SET posted_minor = posted_minor + $1::bigint
            WHERE posted_minor = 10
            """,
            credit_minor,
        ),
    )
    assert found == ({Finding(OVERDRAWN, str(ids["payer"]))} if overdrawn else set())
