"""What comes after an authorisation and before its clearing: more, less, nothing, or too late."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bayon import ledger
from bayon.cards import (
    BadAttributes,
    Expire,
    FeeRule,
    Increment,
    NotPending,
    Present,
    Reverse,
    Transaction,
    TransactionNotFound,
    category_of,
    mcc_of,
    update_card,
)
from bayon.cards.model import CardStatus, Decline
from bayon.db import Database, Tx, advance_clock
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.money import AMOUNT_MINOR_MAX
from cards_factories import (
    RIDES,
    Purse,
    balance_of,
    event_types,
    make_authorize,
    make_clear,
    make_desk,
    make_issuer,
    make_purse,
    make_topup,
    make_withdrawal,
    move_all,
    move_one,
    set_cash_fee,
)

WEEK_S = 7 * 86_400


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db, usd_minor=10_000)


async def has(db: Database, purse: Purse) -> tuple[int, int]:
    balance = await balance_of(db, purse.account)
    return balance.posted_minor, balance.held_minor


def increment(of: Transaction, amount_minor: int) -> Increment:
    return Increment(issuer_id=of.issuer_id, transaction_id=of.id, amount_minor=amount_minor)


def reverse(of: Transaction, amount_minor: int | None = None) -> Reverse:
    return Reverse(issuer_id=of.issuer_id, transaction_id=of.id, amount_minor=amount_minor)


def expire(of: Transaction) -> Expire:
    return Expire(issuer_id=of.issuer_id, transaction_id=of.id)


def present(purse: Purse, amount_minor: int, adjustment: str = "debit") -> Present:
    return Present(
        issuer_id=purse.issuer.id,
        card_id=purse.card.id,
        amount_minor=amount_minor,
        adjustment="credit" if adjustment == "credit" else "debit",
        merchant=RIDES,
    )


async def test_an_increment_holds_more_of_the_same_transaction(db: Database, purse: Purse) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000))
    more = await move_one(db, increment(made, 500))
    assert (more.id, more.status, more.amount_minor) == (made.id, "pending", 1_500)
    assert await has(db, purse) == (10_000, 1_500)
    cleared = await move_one(db, make_clear(made))
    assert (cleared.status, cleared.amount_minor) == ("settled", 1_500)
    assert await has(db, purse) == (8_500, 0)


async def test_an_increment_beyond_what_is_there_is_declined_by_itself(
    db: Database, purse: Purse
) -> None:
    made = await move_one(db, make_authorize(purse.card, 9_000))
    declined = await move_one(db, increment(made, 1_001))
    assert (declined.status, declined.decline_reason) == ("declined", Decline.INSUFFICIENT_FUNDS)
    assert (declined.id != made.id, declined.card_id) == (True, purse.card.id)
    assert await has(db, purse) == (10_000, 9_000)
    assert (await event_types(db, purse.issuer))[-1] == "transaction.declined"


async def test_a_reversal_gives_back_a_part_and_then_the_rest(db: Database, purse: Purse) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000))
    part = await move_one(db, reverse(made, 300))
    assert (part.status, part.amount_minor) == ("pending", 700)
    assert await has(db, purse) == (10_000, 700)
    whole = await move_one(db, reverse(made, 5_000))  # never more than is blocked
    assert (whole.status, whole.expires_at, whole.settled_at) == ("reversed", None, None)
    assert await has(db, purse) == (10_000, 0)


async def test_a_reversed_cash_withdrawal_brings_back_its_fee_when_it_is_whole(
    db: Database, purse: Purse
) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300))
    made = await move_one(db, make_withdrawal(purse.card, 2_000))
    assert await has(db, purse) == (7_700, 0)
    part = await move_one(db, reverse(made, 500))
    assert (part.status, part.amount_minor, part.transaction_amount_minor) == (
        "settled",
        1_800,
        1_500,
    )
    assert await has(db, purse) == (8_200, 0)
    whole = await move_one(db, reverse(made))
    assert whole.status == "reversed"
    assert await has(db, purse) == (10_000, 0)


@pytest.mark.parametrize(
    ("status", "reason"),
    [("inactive", Decline.CARD_INACTIVE), ("stolen", Decline.CARD_STOLEN)],
)
async def test_an_increment_of_a_card_that_may_not_be_used_is_declined(
    db: Database, purse: Purse, status: CardStatus, reason: Decline
) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000))

    async def work(tx: Tx) -> None:
        await update_card(
            tx, issuer_id=purse.issuer.id, card_id=purse.card.id, status=status, now=made.created_at
        )

    await db.transaction(work)
    declined = await move_one(db, increment(made, 500))
    assert (declined.status, declined.decline_reason) == ("declined", reason)
    assert await has(db, purse) == (10_000, 1_000)


async def test_what_is_cleared_after_its_time_is_owed_all_the_same(
    db: Database, purse: Purse
) -> None:
    made = await move_one(db, make_authorize(purse.card, 9_000))
    await move_one(db, expire(made))
    await move_one(db, make_withdrawal(purse.card, 5_000))
    cleared = await move_one(db, make_clear(made))
    assert (cleared.id, cleared.status, cleared.amount_minor) == (made.id, "settled", 9_000)
    assert await has(db, purse) == (-4_000, 0)
    assert await db.transaction(ledger.check, isolation="repeatable_read") == []


async def test_what_does_not_fit_on_an_account_any_more_is_not_half_brought_back(
    db: Database, purse: Purse
) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300))
    made = await move_one(db, make_withdrawal(purse.card, 2_000))
    await move_one(db, make_topup(purse.account, AMOUNT_MINOR_MAX - 7_700))
    (refused,) = await move_all(db, [reverse(made)])
    assert isinstance(refused, BadAttributes)
    assert await has(db, purse) == (AMOUNT_MINOR_MAX, 0)


async def test_only_what_was_lacking_may_be_owed(db: Database, purse: Purse) -> None:
    made = await move_one(db, make_authorize(purse.card, 10))
    await move_one(db, make_clear(made, 1_000))  # far above the hold, and all of it was there
    await db.transaction(
        lambda tx: tx.run(
            "UPDATE ledger.balance SET posted_minor = -1 WHERE account_id = $1",
            purse.account.ledger_account_id,
        )
    )
    found = await db.transaction(ledger.check, isolation="repeatable_read")
    assert "no customer overdrawn" in {finding.invariant for finding in found}
    await db.transaction(
        lambda tx: tx.run(
            "UPDATE ledger.balance SET posted_minor = 9000 WHERE account_id = $1",
            purse.account.ledger_account_id,
        )
    )


@pytest.mark.parametrize("ended", ["cleared", "reversed", "expired", "declined"])
@pytest.mark.parametrize("what", ["increment", "reverse", "expire", "clear"])
async def test_what_has_ended_cannot_be_changed(
    db: Database, purse: Purse, ended: str, what: str
) -> None:
    made = await move_one(db, make_authorize(purse.card, 20_000 if ended == "declined" else 1_000))
    if ended != "declined":
        end = {"cleared": make_clear, "reversed": reverse, "expired": expire}[ended]
        await move_one(db, end(made))
    before = await has(db, purse)
    if (ended, what) == ("expired", "clear"):
        return  # it is owed all the same
    change = {"increment": increment(made, 1), "reverse": reverse(made), "expire": expire(made)}
    (refused,) = await move_all(db, [change.get(what) or make_clear(made)])
    assert isinstance(refused, NotPending)
    assert await has(db, purse) == before


@pytest.mark.parametrize("foreign", [True, False])
async def test_anothers_transaction_is_not_found(
    db: Database, purse: Purse, *, foreign: bool
) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000))
    other = await make_issuer(db)
    not_there = replace(made, issuer_id=other.id) if foreign else replace(made, id=uuid7())
    commands = [increment(not_there, 1), reverse(not_there), expire(not_there)]
    outcomes = await move_all(db, commands)
    assert [type(outcome) for outcome in outcomes] == [TransactionNotFound] * 3
    assert await has(db, purse) == (10_000, 1_000)


async def test_a_hold_nobody_can_pay_back_is_out_of_range(db: Database, purse: Purse) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000))
    for amount_minor in (0, -1, AMOUNT_MINOR_MAX):
        (refused,) = await move_all(db, [increment(made, amount_minor)])
        assert isinstance(refused, BadAttributes), amount_minor


async def test_a_refund_credits_and_a_force_post_debits_whatever_is_there(
    db: Database, purse: Purse
) -> None:
    refunded = await move_one(db, present(purse, 500, "credit"))
    assert (refunded.status, refunded.balance_adjustment_type) == ("settled", "credit")
    assert await has(db, purse) == (10_500, 0)
    await move_one(db, make_authorize(purse.card, 10_000))
    posted = await move_one(db, present(purse, 20_000))
    assert (posted.status, posted.amount_minor) == ("settled", 20_000)
    assert await has(db, purse) == (-9_500, 10_000)
    again = await move_one(db, present(purse, 1))
    assert again.status == "settled"
    assert await db.transaction(ledger.check, isolation="repeatable_read") == []


async def test_the_commands_of_a_batch_see_each_other(db: Database, purse: Purse) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000))
    outcomes = await move_all(
        db, [increment(made, 500), reverse(made, 200), make_clear(made), reverse(made)]
    )
    assert [outcome.amount_minor for outcome in outcomes if isinstance(outcome, Transaction)] == [
        1_500,
        1_300,
        1_300,
    ]
    assert isinstance(outcomes[-1], BayonError)
    assert await has(db, purse) == (8_700, 0)


@pytest.mark.parametrize(("mcc", "weeks"), [("4121", 1), ("7011", 5), ("3501", 5), (None, 1)])
async def test_a_hold_expires_after_a_week_or_a_month(
    db: Database, purse: Purse, mcc: str | None, weeks: int
) -> None:
    made = await move_one(db, make_authorize(purse.card, 1_000, merchant=replace(RIDES, mcc=mcc)))
    assert made.expires_at is not None
    assert made.expires_at - made.created_at == timedelta(days=7 if weeks == 1 else 31)
    desk = make_desk(db)
    await db.transaction(lambda tx: advance_clock(tx, advance_s=WEEK_S - 60))
    assert await desk.expire() == 0
    await db.transaction(lambda tx: advance_clock(tx, advance_s=WEEK_S * (weeks - 1) + 61))
    assert await desk.expire() == 1
    assert await has(db, purse) == (10_000, 0)
    assert (await event_types(db, purse.issuer))[-1] == "transaction.updated"
    assert await desk.expire() == 0


def test_a_category_has_its_code_and_a_code_its_category() -> None:
    assert mcc_of("taxicabs_limousines") == "4121"
    assert category_of("4121") == "taxicabs_limousines"
    assert (mcc_of("no_such_thing"), category_of("abcd"), category_of("٤١٢١")) == (None, None, None)
