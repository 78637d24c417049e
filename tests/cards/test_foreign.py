"""Amounts in a merchant's currency: held, cleared in parts, late, in yet another currency."""

from decimal import Decimal

import pytest

from bayon import cards, ledger
from bayon.cards import Advise, Moved, NewRate, Original, Present, Reverse, Trace, Transaction
from bayon.cards.change import Expire
from bayon.db import Database, Tx
from bayon.ids import uuid7
from cards_factories import (
    RIDES,
    FeeRule,
    Purse,
    balance_of,
    make_authorize,
    make_clear,
    make_purse,
    move_one,
    move_whole,
    now_of,
    set_cash_fee,
)


@pytest.fixture
async def purse(db: Database) -> Purse:
    async def work(tx: Tx) -> None:
        new = [
            NewRate(from_code="THB", to_code="USD", rate=Decimal("0.03"), hold_pad_basis_points=0),
            NewRate(from_code="VND", to_code="USD", rate=Decimal("0.00004")),
        ]
        await cards.set_rates(tx, new, now=await now_of(tx))

    await db.transaction(work)
    return await make_purse(db, usd_minor=10_000)


def trace(rrn: str) -> Trace:
    return Trace(message_id=uuid7(), mti="0100", rrn=rrn, terminal="T1", approval_code="123456")


async def original_of(db: Database, purse: Purse, rrn: str) -> Original:
    digest = await db.read(
        lambda tx: tx.value("SELECT pan_digest FROM cards.card WHERE id = $1", purse.card.id)
    )
    return Original(pan_digest=digest, rrn=rrn, terminal="T1")


async def one(db: Database, command: cards.Move) -> Moved:
    (moved,) = await move_whole(db, [command])
    assert isinstance(moved, Moved), moved
    return moved


async def money(db: Database, purse: Purse) -> tuple[int, int]:
    found = await balance_of(db, purse.account)
    return found.posted_minor, found.held_minor


async def sound(db: Database) -> None:
    for check in (ledger.check, cards.check):
        assert await db.transaction(check, isolation="repeatable_read") == []


async def test_the_second_part_of_an_expired_authorisation_is_posted_too(
    db: Database, purse: Purse
) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000))
    await move_one(db, Expire(issuer_id=made.issuer_id, transaction_id=made.id))
    for left in (500, 0):
        await move_one(db, make_clear(made, 500, final=left == 0))
        assert await money(db, purse) == (9_000 + left, 0)
    await sound(db)


async def test_a_part_in_another_currency_leaves_the_rest_held(db: Database, purse: Purse) -> None:
    made = await move_one(db, make_authorize(purse.card, 100_000, currency="THB", trace=trace("1")))
    assert (made.amount_minor, made.transaction_currency) == (3_000, "THB")
    part = Present(
        pan_digest=(await original_of(db, purse, "1")).pan_digest,
        amount_minor=1_000,
        currency="USD",
        adjustment="debit",
        merchant=RIDES,
        original=await original_of(db, purse, "1"),
        final=False,
    )
    await one(db, part)
    assert await money(db, purse) == (9_000, 2_000)
    await sound(db)


async def test_a_reversal_in_another_currency_is_of_nothing_we_know(
    db: Database, purse: Purse
) -> None:
    await move_one(db, make_authorize(purse.card, 1_000, trace=trace("2")))
    original = await original_of(db, purse, "2")
    foreign = await one(db, Reverse(original=original, amount_minor=400_000, currency="KHR"))
    assert (foreign.transaction, await money(db, purse)) == (None, (10_000, 1_000))
    await one(db, Reverse(original=original, amount_minor=400, currency="USD"))
    assert await money(db, purse) == (10_000, 600)
    await sound(db)


async def test_an_advice_in_another_currency_keeps_the_transactions_own(
    db: Database, purse: Purse
) -> None:
    await move_one(db, make_authorize(purse.card, 1_000, trace=trace("3")))
    original = await original_of(db, purse, "3")
    request = make_authorize(
        purse.card, 100_000, currency="THB", pan_digest=original.pan_digest, trace=trace("3")
    )
    advised = await one(db, Advise(request=request, original=original))
    assert isinstance(advised.transaction, Transaction)
    shown = advised.transaction
    assert (shown.transaction_currency, shown.transaction_amount_minor) == ("USD", 3_000)
    assert (shown.amount_minor, await money(db, purse)) == (3_000, (10_000, 3_000))
    await sound(db)


async def test_a_rest_that_comes_to_nothing_is_no_rest(db: Database, purse: Purse) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300))
    cash = make_authorize(
        purse.card, 1_000, currency="VND", kind="cash_withdrawal", posts=False, trace=trace("4")
    )
    made = await move_one(db, cash)
    assert (made.amount_minor, made.status) == (304, "pending")
    original = await original_of(db, purse, "4")
    done = await one(db, Reverse(original=original, remaining_minor=10, currency="VND"))
    assert done.transaction is not None
    assert (done.transaction.status, await money(db, purse)) == ("reversed", (10_000, 0))
    await sound(db)


@pytest.mark.parametrize("posts", [True, False])
async def test_cash_with_its_fee_comes_and_goes_whole(
    db: Database, purse: Purse, *, posts: bool
) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300))
    mti = "0200" if posts else "0100"
    made = await move_one(
        db,
        make_authorize(
            purse.card,
            1_000,
            kind="cash_withdrawal",
            posts=posts,
            trace=Trace(mti=mti, rrn="5", terminal="T1"),
        ),
    )
    if not posts:
        made = await move_one(db, make_clear(made))
        assert (made.status, await money(db, purse)) == ("settled", (8_700, 0))
        return await sound(db)
    assert await money(db, purse) == (8_700, 0)
    await one(db, Reverse(original=await original_of(db, purse, "5")))
    assert await money(db, purse) == (10_000, 0)
    return await sound(db)
