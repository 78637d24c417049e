"""`cards.check` finds what it is for: each law is broken by hand and seen."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, LiteralString

import pytest

from bayon import cards, ledger
from bayon.cards import Transaction
from bayon.db import Database, Tx
from bayon.ledger import Finding
from cards_factories import (
    Purse,
    make_authorize,
    make_clear,
    make_purse,
    make_topup,
    make_withdrawal,
    move_one,
)
from servers import Server

MOVES: Final = "a transaction moves its amount"
HOLDS: Final = "a pending transaction holds its amount"
TOLD: Final = "a transaction is told of once"
ITS_CARDS: Final = "a transaction is its card's"
CAUSED: Final = "a movement is a transaction's"
OVERDRAWN: Final = "no customer overdrawn"


class Undo(Exception):
    """Leave the transaction without its effects."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One transaction of each kind, and another issuer's."""

    purse: Purse
    of: dict[str, Transaction]


@pytest.fixture(scope="module")
async def scratch(server: Server) -> AsyncGenerator[Database]:
    """Make a database that nobody checks afterwards."""
    url = await server.clone()
    db = await Database.connect(url, size_max=2)
    yield db
    await db.close()
    await server.drop(url)


@pytest.fixture(scope="module")
async def scene(scratch: Database) -> Scene:
    purse = await make_purse(scratch, usd_minor=10_000)
    pending = await move_one(scratch, make_authorize(purse.card, 1_000))
    held = await move_one(scratch, make_authorize(purse.card, 1_000))
    return Scene(
        purse=purse,
        of={
            "pending": pending,
            "part": await move_one(scratch, make_clear(pending, 300, final=False)),
            "settled": await move_one(scratch, make_clear(held, 1_100)),
            "cash": await move_one(scratch, make_withdrawal(purse.card, 50)),
            "topup": await move_one(scratch, make_topup(purse.account, 70)),
            "declined": await move_one(scratch, make_authorize(purse.card, 100_000)),
        },
    )


async def found(
    db: Database, *statements: tuple[LiteralString, object], page_size: int = 5_000
) -> list[Finding]:
    """Break something, check, and undo it."""
    seen: list[Finding] = []

    async def work(tx: Tx) -> None:
        for sql, argument in statements:
            await tx.run(sql, argument)
        seen.extend(await cards.check(tx, page_size=page_size))
        raise Undo

    with pytest.raises(Undo):
        await db.transaction(work, isolation="repeatable_read")
    return seen


async def test_nothing_is_found_where_nothing_is_broken(scratch: Database, scene: Scene) -> None:
    assert len(scene.of) == 6
    assert await scratch.transaction(cards.check, isolation="repeatable_read") == []


AMOUNT: Final = "UPDATE cards.transaction SET amount_minor = amount_minor + 1 WHERE id = $1"
TURNED: Final = """
    UPDATE cards.transaction SET balance_adjustment_type = CASE balance_adjustment_type
    WHEN 'debit' THEN 'credit' ELSE 'debit' END WHERE id = $1
"""
SETTLED: Final = (
    "UPDATE cards.transaction SET status = 'settled', settled_at = created_at, "
    "decline_reason = NULL WHERE id = $1"
)
DECLINED: Final = (
    "UPDATE cards.transaction SET status = 'declined', settled_at = NULL, "
    "decline_reason = 'pin_wrong' WHERE id = $1"
)
REVERSED: Final = (
    "UPDATE cards.transaction SET status = 'reversed', settled_at = NULL WHERE id = $1"
)
NO_TRANSFER: Final = "DELETE FROM ledger.transfer WHERE cause_id = $1"
TRANSFER_ELSEWHERE: Final = "UPDATE ledger.transfer SET cause_id = hold_id WHERE cause_id = $1"
MORE_MOVED: Final = "UPDATE ledger.transfer SET amount_minor = amount_minor + 1 WHERE cause_id = $1"
TURNED_ROUND: Final = """
    UPDATE ledger.transfer SET debit_account_id = credit_account_id,
    credit_account_id = debit_account_id WHERE cause_id = $1
"""
NO_HOLD: Final = "DELETE FROM ledger.hold WHERE cause_id = $1"
HOLD_CLOSED: Final = "UPDATE ledger.hold SET open_minor = 0, state = 'released' WHERE cause_id = $1"
HOLD_LESS: Final = "UPDATE ledger.hold SET open_minor = open_minor - 1 WHERE cause_id = $1"
HOLD_OPEN: Final = (
    "UPDATE ledger.hold SET open_minor = amount_minor, state = 'open' WHERE cause_id = $1"
)
DELETED: Final = "DELETE FROM cards.transaction WHERE id = $1"
ANOTHERS_CARD: Final = "UPDATE cards.transaction SET card_id = account_id WHERE id = $1"
NOBODYS: Final = "UPDATE cards.transaction SET account_id = issuer_id WHERE id = $1"
NO_EVENT: Final = "DELETE FROM events.event WHERE subject_id = $1"
EVENT_TWICE: Final = """
    INSERT INTO events.event (id, owner_id, seq, type, subject_id, body, created_at)
    SELECT gen_random_uuid(), owner_id, seq + 1000, type, subject_id, body, created_at
    FROM events.event WHERE subject_id = $1
    AND type IN ('transaction.created', 'transaction.declined')
"""

DAMAGE: Final[list[tuple[str, LiteralString, set[str]]]] = [
    *[(kind, AMOUNT, {MOVES}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, TURNED, {MOVES}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, DECLINED, {MOVES}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, REVERSED, {MOVES}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, NO_TRANSFER, {MOVES}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, MORE_MOVED, {MOVES}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, TURNED_ROUND, {MOVES}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, NOBODYS, {MOVES, ITS_CARDS}) for kind in ("part", "settled", "cash", "topup")],
    *[(kind, DELETED, {CAUSED}) for kind in ("pending", "part", "settled", "cash", "topup")],
    *[(kind, ANOTHERS_CARD, {ITS_CARDS}) for kind in ("pending", "part", "settled", "cash")],
    ("pending", AMOUNT, {HOLDS}),
    ("pending", SETTLED, {MOVES, HOLDS}),
    ("pending", DECLINED, {HOLDS}),
    ("pending", REVERSED, {HOLDS}),
    ("pending", NO_HOLD, {HOLDS}),
    ("pending", HOLD_CLOSED, {HOLDS}),
    ("pending", HOLD_LESS, {HOLDS}),
    ("pending", HOLD_OPEN, {HOLDS}),
    ("pending", NOBODYS, {HOLDS, ITS_CARDS}),
    ("settled", HOLD_OPEN, {HOLDS}),
    ("part", TRANSFER_ELSEWHERE, {MOVES}),
    ("declined", SETTLED, {MOVES}),
    *[(kind, NO_EVENT, {TOLD}) for kind in ("pending", "part", "settled", "topup", "declined")],
    *[(kind, EVENT_TWICE, {TOLD}) for kind in ("pending", "part", "settled", "topup", "declined")],
]


@pytest.mark.parametrize(("kind", "damage", "laws"), DAMAGE)
async def test_each_kind_of_damage_is_found_and_named(
    scratch: Database, scene: Scene, kind: str, damage: LiteralString, laws: set[str]
) -> None:
    broken = scene.of[kind].id
    seen = await found(scratch, (damage, broken))
    of_it = [finding for finding in seen if finding.subject == str(broken)]
    every = (MOVES, HOLDS, TOLD, ITS_CARDS, CAUSED)
    assert of_it == [Finding(law, str(broken)) for law in every if law in laws]
    others = [finding for finding in seen if finding.subject != str(broken)]
    assert [finding.invariant for finding in others] == (
        [CAUSED] if damage == TRANSFER_ELSEWHERE else []
    )


async def test_every_page_is_checked(scratch: Database, scene: Scene) -> None:
    for each in scene.of.values():
        seen = await found(scratch, (NO_EVENT, each.id), page_size=2)
        assert seen == [Finding(TOLD, str(each.id))]


# What is cleared above may overdraw; nothing else may.


async def overdraw(db: Database, purse: Purse, amount_minor: int) -> list[Finding]:
    """Move an amount that is not there, booked on both sides, and check the ledger."""
    seen: list[Finding] = []
    payer, payee = purse.account.ledger_account_id, purse.issuer.clearing_account_id

    async def work(tx: Tx) -> None:
        await tx.run(
            """
            INSERT INTO ledger.transfer (id, debit_account_id, credit_account_id, amount_minor,
                cause_id, created_at, occurred_at)
            SELECT gen_random_uuid(), $1, $2, $3, $1, created_at, created_at
            FROM ledger.account WHERE id = $1
            """,
            payer,
            payee,
            amount_minor,
        )
        for account_id, slot, delta in ((payer, 0, -amount_minor), (payee, 1, amount_minor)):
            await tx.run(
                """
                UPDATE ledger.balance SET posted_minor = posted_minor + $3
                WHERE account_id = $1 AND slot = $2
                """,
                account_id,
                slot,
                delta,
            )
        seen.extend(await ledger.check(tx))
        raise Undo

    with pytest.raises(Undo):
        await db.transaction(work, isolation="repeatable_read")
    return seen


@pytest.mark.parametrize(
    ("above_minor", "funded_minor", "taken_minor", "is_found"),
    [
        (0, 0, 1_000, False),
        (0, 0, 1_001, True),
        (500, 0, 0, False),
        (500, 0, 1, True),
        (500, 200, 201, True),
    ],
)
async def test_only_what_was_cleared_above_may_overdraw(
    scratch: Database,
    *,
    above_minor: int,
    funded_minor: int,
    taken_minor: int,
    is_found: bool,
) -> None:
    purse = await make_purse(scratch, usd_minor=1_000)
    if above_minor:
        pending = await move_one(scratch, make_authorize(purse.card, 1_000))
        await move_one(scratch, make_clear(pending, 1_000 + above_minor))
    if funded_minor:
        await move_one(scratch, make_topup(purse.account, funded_minor))
    assert await scratch.transaction(ledger.check, isolation="repeatable_read") == []
    if taken_minor:
        wanted = [Finding(OVERDRAWN, str(purse.account.ledger_account_id))] if is_found else []
        assert await overdraw(scratch, purse, taken_minor) == wanted
