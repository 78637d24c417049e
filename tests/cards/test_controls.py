"""Limits and controls: what is above them is declined, and what they count is exact."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bayon import cards
from bayon.cards import (
    Advise,
    Card,
    CardAccountNotFound,
    CardNotFound,
    Controlled,
    Controls,
    Desk,
    Expire,
    FeeRule,
    Increment,
    Merchant,
    Original,
    Present,
    Reverse,
    Transaction,
)
from bayon.cards.controls import begin_of, day_of, judge_place
from bayon.cards.model import Decline
from bayon.db import Database, Tx
from bayon.ids import uuid7
from cards_factories import (
    PIN,
    RIDES,
    WRONG_PIN,
    Purse,
    balance_of,
    desks_on,
    instant,
    make_authorize,
    make_card,
    make_clear,
    make_desk,
    make_issuer,
    make_purse,
    make_request,
    make_topup,
    make_withdrawal,
    move_all,
    move_one,
    now_of,
    set_cash_fee,
)

CASINO: Final = Merchant(name="Naga", city="Phnom Penh", country="KH", category=None, mcc="7995")
NOON: Final = instant("2030-05-10T05:00:00Z")
BEFORE_MIDNIGHT: Final = instant("2030-05-10T16:59:59Z")
MIDNIGHT: Final = instant("2030-05-10T17:00:00Z")


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db, usd_minor=100_000)


async def control(
    db: Database,
    purse: Purse,
    *,
    card: Card | None = None,
    now: datetime | None = None,
    **change: Any,  # noqa: ANN401 - fields of Controls
) -> Controlled:
    """Change the controls of a card, or of the account if no card is named."""
    owner = owner_of(purse, card)

    async def work(tx: Tx) -> bool:
        at = now or await now_of(tx)
        return await cards.update_controls(tx, **owner, change=change, now=at)

    async def recount(tx: Tx) -> None:
        await cards.recount(tx, **owner, now=now or await now_of(tx))

    if await db.transaction(work):
        await db.transaction(recount)
    return await shown(db, purse, card=card, now=now)


def owner_of(purse: Purse, card: Card | None) -> dict[str, Any]:
    owner, owner_id = ("card", card.id) if card else ("account", purse.account.id)
    return {"issuer_id": purse.issuer.id, "owner": owner, "owner_id": owner_id}


async def shown(
    db: Database, purse: Purse, *, card: Card | None = None, now: datetime | None = None
) -> Controlled:
    owner = owner_of(purse, card)

    async def work(tx: Tx) -> Controlled:
        return await cards.find_controls(tx, **owner, now=now or await now_of(tx))

    return await db.transaction(work)


async def used(
    db: Database, purse: Purse, *, card: Card | None = None, now: datetime | None = None
) -> tuple[int, int]:
    """Tell the amount and the count of the day."""
    found = (await shown(db, purse, card=card, now=now)).used
    return found.amount_minor, found.count


def to(limit: str, value: int | None) -> dict[str, Any]:
    return {limit: value}


def reverse(of: Transaction, amount_minor: int | None = None) -> Reverse:
    return Reverse(issuer_id=of.issuer_id, transaction_id=of.id, amount_minor=amount_minor)


def increment(of: Transaction, amount_minor: int) -> Increment:
    return Increment(issuer_id=of.issuer_id, transaction_id=of.id, amount_minor=amount_minor)


# Where.


@pytest.mark.parametrize(
    ("controls", "mcc", "country", "may"),
    [
        (Controls(), "7995", "KH", True),
        (Controls(), None, "", True),
        (Controls(allowed_mccs=frozenset({"4121"})), "4121", "KH", True),
        (Controls(allowed_mccs=frozenset({"4121"})), "7995", "KH", False),
        (Controls(allowed_mccs=frozenset({"4121"})), None, "KH", False),
        (Controls(allowed_mccs=frozenset()), "4121", "KH", False),
        (Controls(blocked_mccs=frozenset({"7995"})), "7995", "KH", False),
        (Controls(blocked_mccs=frozenset({"7995"})), "4121", "KH", True),
        (Controls(blocked_mccs=frozenset({"7995"})), None, "KH", True),
        (
            Controls(allowed_mccs=frozenset({"7995"}), blocked_mccs=frozenset({"7995"})),
            *("7995", "KH", False),
        ),
        (Controls(allowed_countries=frozenset({"KH"})), "4121", "KH", True),
        (Controls(allowed_countries=frozenset({"KH"})), "4121", "TH", False),
        (Controls(allowed_countries=frozenset({"KH"})), "4121", "", False),
        (Controls(blocked_countries=frozenset({"TH"})), "4121", "TH", False),
        (Controls(blocked_countries=frozenset({"TH"})), "4121", "KH", True),
    ],
)
def test_a_card_is_used_only_where_it_may_be(
    controls: Controls, mcc: str | None, country: str, *, may: bool
) -> None:
    merchant = replace(CASINO, mcc=mcc, country=country)
    for subjects in ([(uuid7(), controls)], [(uuid7(), Controls()), (uuid7(), controls)]):
        assert judge_place(subjects, merchant) == (None if may else Decline.NOT_PERMITTED)


async def test_a_merchant_that_is_not_permitted_is_declined_for_card_and_account(
    db: Database, purse: Purse
) -> None:
    await control(db, purse, card=purse.card, blocked_mccs=frozenset({"7995"}))
    await control(db, purse, allowed_countries=frozenset({"KH"}))
    for merchant in (CASINO, replace(RIDES, country="TH")):
        made = await move_one(db, make_authorize(purse.card, 100, merchant=merchant))
        assert made.decline_reason == Decline.NOT_PERMITTED
        assert cards.response_code(made) == "57"
    assert (await move_one(db, make_authorize(purse.card, 100))).status == "pending"


# How much, and how often.


@pytest.mark.parametrize("of_card", [True, False])
@pytest.mark.parametrize("limit", ["amount_per_transaction_minor", "amount_per_day_minor"])
async def test_an_amount_limit_is_exact(
    db: Database, purse: Purse, *, of_card: bool, limit: str
) -> None:
    for amount_minor, declined in ((999, None), (1_000, None), (1_001, Decline.AMOUNT_LIMIT)):
        card = await make_card(db, purse.account)
        await control(db, purse, **to(limit, None))  # counts anew
        await control(db, purse, card=card if of_card else None, now=NOON, **to(limit, 1_000))
        made = await move_one(db, make_authorize(card, amount_minor), now=NOON)
        assert made.decline_reason == declined
        if declined:
            assert cards.response_code(made) == "61"
        else:
            await move_one(db, reverse(made), now=NOON)


async def test_a_count_limit_is_exact(db: Database, purse: Purse) -> None:
    await control(db, purse, card=purse.card, count_per_day=2)
    made = [await move_one(db, make_authorize(purse.card, 10)) for _ in range(3)]
    assert [each.decline_reason for each in made] == [None, None, Decline.COUNT_LIMIT]
    assert cards.response_code(made[2]) == "65"
    assert await used(db, purse, card=purse.card) == (20, 2)


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_a_day_is_used_up_to_the_last_minor_unit(
    db: Database, purse: Purse, *, in_one_batch: bool
) -> None:
    await control(db, purse, amount_per_day_minor=1_000)
    commands = [make_authorize(purse.card, amount) for amount in (600, 401, 400, 1)]
    if in_one_batch:
        made = await move_all(db, commands)
    else:
        made = [await move_one(db, command) for command in commands]
    assert [getattr(each, "decline_reason", each) for each in made] == [
        *(None, Decline.AMOUNT_LIMIT, None, Decline.AMOUNT_LIMIT)
    ]
    assert await used(db, purse) == (1_000, 2)


async def test_a_limit_of_nothing_lets_nothing_through(db: Database, purse: Purse) -> None:
    for limit in ("amount_per_transaction_minor", "amount_per_day_minor", "count_per_day"):
        await control(db, purse, **to(limit, 0))
        assert (await move_one(db, make_authorize(purse.card, 1))).status == "declined"
        await control(db, purse, **to(limit, None))
    assert (await move_one(db, make_authorize(purse.card, 1))).status == "pending"


async def test_the_limits_of_card_and_account_hold_together(db: Database, purse: Purse) -> None:
    other = await make_card(db, purse.account)
    await control(db, purse, amount_per_day_minor=1_000)
    await control(db, purse, card=purse.card, amount_per_day_minor=600)
    asked = [(purse.card, 601), (purse.card, 600), (purse.card, 1), (other, 401), (other, 400)]
    made = [await move_one(db, make_authorize(card, amount)) for card, amount in asked]
    assert [each.status for each in made] == [
        *("declined", "pending", "declined", "declined", "pending")
    ]
    assert await used(db, purse) == (1_000, 2)
    assert await used(db, purse, card=purse.card) == (600, 1)
    assert await used(db, purse, card=other) == (400, 1)


ORDER: Final[list[tuple[Decline, dict[str, Any]]]] = [
    (Decline.PIN_WRONG, {"pin": WRONG_PIN}),
    (Decline.NOT_PERMITTED, {"merchant": CASINO}),
    (Decline.AMOUNT_OUT_OF_RANGE, {"amount_minor": 2**60}),
    (Decline.AMOUNT_LIMIT, {"amount_minor": 1_001}),
    (Decline.COUNT_LIMIT, {}),
    (Decline.INSUFFICIENT_FUNDS, {}),
]


async def test_limits_are_judged_after_the_range_and_before_the_funds(db: Database) -> None:
    purse = await make_purse(db)
    await control(db, purse, blocked_mccs=frozenset({"7995"}), amount_per_transaction_minor=1_000)
    await control(db, purse, card=purse.card, count_per_day=0)
    for first in range(len(ORDER)):
        if ORDER[first][0] is Decline.INSUFFICIENT_FUNDS:
            await control(db, purse, card=purse.card, count_per_day=None)
        fields: dict[str, Any] = {"amount_minor": 1, "pin": PIN}
        for _, more in reversed(ORDER[first:]):
            fields |= more
        amount_minor = fields.pop("amount_minor")
        made = await move_one(db, make_authorize(purse.card, amount_minor, **fields))
        assert made.decline_reason == ORDER[first][0]


async def test_what_is_declined_uses_nothing(db: Database, purse: Purse) -> None:
    await control(db, purse, amount_per_day_minor=500_000, count_per_day=9)
    declined = [
        make_authorize(purse.card, 100_001),
        make_authorize(purse.card, 10, pin=WRONG_PIN),
        make_authorize(purse.card, 500_001),
        make_withdrawal(purse.card, 0),
    ]
    made = await move_all(db, declined)
    assert {getattr(each, "status", each) for each in made} == {"declined"}
    assert await used(db, purse) == (0, 0)


async def test_what_is_granted_in_part_counts_as_what_was_granted(db: Database) -> None:
    purse = await make_purse(db, usd_minor=700)
    await control(db, purse, amount_per_day_minor=700)
    made = await move_one(db, make_authorize(purse.card, 1_000, partial_allowed=True))
    assert (made.status, made.amount_minor) == ("pending", 700)
    assert await used(db, purse) == (700, 1)


async def test_fees_do_not_count(db: Database, purse: Purse) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300))
    await control(db, purse, amount_per_day_minor=1_000)
    made = await move_one(db, make_withdrawal(purse.card, 1_000))
    assert (made.status, made.amount_minor) == ("settled", 1_300)
    assert await used(db, purse) == (1_000, 1)
    await control(db, purse, amount_per_day_minor=None)
    await control(db, purse, amount_per_day_minor=1_000)
    assert await used(db, purse) == (1_000, 1)


# What comes after.


async def test_an_increment_counts_to_its_limits(db: Database, purse: Purse) -> None:
    await control(db, purse, amount_per_transaction_minor=900, count_per_day=1)
    await control(db, purse, card=purse.card, amount_per_day_minor=800)
    made = await move_one(db, make_authorize(purse.card, 500))
    assert (await move_one(db, increment(made, 301))).decline_reason == Decline.AMOUNT_LIMIT
    more = await move_one(db, increment(made, 300))
    assert (more.id, more.amount_minor) == (made.id, 800)
    assert await used(db, purse, card=purse.card) == (800, 1)
    await control(db, purse, card=purse.card, amount_per_day_minor=None)
    assert (await move_one(db, increment(made, 101))).decline_reason == Decline.AMOUNT_LIMIT
    assert (await move_one(db, increment(made, 100))).amount_minor == 900
    await control(db, purse, amount_per_transaction_minor=None, count_per_day=0)
    assert (await move_one(db, increment(made, 1))).amount_minor == 901  # no second transaction
    await control(db, purse, allowed_mccs=frozenset({"7995"}))
    assert (await move_one(db, increment(made, 1))).decline_reason == Decline.NOT_PERMITTED
    (refused,) = await move_all(db, [increment(made, 0)])
    assert getattr(refused, "decline_reason", None) == Decline.NOT_PERMITTED
    assert await used(db, purse) == (901, 1)


async def test_a_reversal_gives_back_a_part_and_then_the_rest(db: Database, purse: Purse) -> None:
    await control(db, purse, amount_per_day_minor=1_000, count_per_day=2)
    held = await move_one(db, make_authorize(purse.card, 600))
    cash = await move_one(db, make_withdrawal(purse.card, 400))
    found: list[tuple[int, int]] = []
    for command in (reverse(held, 200), reverse(cash, 100), reverse(held), reverse(cash)):
        await move_one(db, command)
        found.append(await used(db, purse))
    assert found == [(800, 2), (700, 2), (300, 1), (0, 0)]


@pytest.mark.parametrize("what", ["reversal", "part", "expiry"])
async def test_what_is_given_back_is_its_own_days(db: Database, purse: Purse, what: str) -> None:
    await control(db, purse, now=NOON, amount_per_day_minor=1_000, count_per_day=5)
    made = await move_one(db, make_authorize(purse.card, 600), now=NOON)
    next_day = NOON + timedelta(days=1)
    await move_one(db, make_authorize(purse.card, 300), now=next_day)
    command = {
        "reversal": reverse(made),
        "part": reverse(made, 200),
        "expiry": Expire(issuer_id=made.issuer_id, transaction_id=made.id),
    }[what]
    await move_one(db, command, now=next_day)
    assert await used(db, purse, now=NOON) == ((400, 1) if what == "part" else (0, 0))
    assert await used(db, purse, now=next_day) == (300, 1)


@pytest.mark.parametrize("cleared_minor", [600, 200, 900])
async def test_clearing_does_not_change_what_was_used(
    db: Database, purse: Purse, cleared_minor: int
) -> None:
    await control(db, purse, amount_per_day_minor=1_000)
    made = await move_one(db, make_authorize(purse.card, 600))
    await move_one(db, make_clear(made, cleared_minor, final=cleared_minor != 200))
    assert await used(db, purse) == (600, 1)
    if cleared_minor == 200:  # and what is left of it comes back
        await move_one(db, reverse(made))
        assert (await used(db, purse))[0] == 200


async def test_what_cannot_be_declined_counts_above_the_limit(db: Database, purse: Purse) -> None:
    await control(db, purse, amount_per_day_minor=1_000)
    posted = Present(
        issuer_id=purse.issuer.id,
        card_id=purse.card.id,
        amount_minor=900,
        adjustment="debit",
        merchant=RIDES,
    )
    await move_one(db, posted)
    told = make_authorize(purse.card, 500)
    advice = Advise(request=told, original=Original())
    # An advice names its card by number on the wire; by id it is locked with a request beside it.
    await move_all(db, [make_authorize(purse.card, 0), advice])
    assert await used(db, purse) == (1_400, 2)
    await move_one(db, replace(posted, adjustment="credit"))
    await move_one(db, make_topup(purse.account, 50))
    assert await used(db, purse) == (1_400, 2)
    declined = await move_one(db, make_authorize(purse.card, 1))
    assert declined.decline_reason == Decline.AMOUNT_LIMIT


# Days.


def test_a_day_begins_at_seventeen_hours_utc() -> None:
    assert day_of(BEFORE_MIDNIGHT) == day_of(NOON)
    assert day_of(MIDNIGHT) == day_of(NOON) + timedelta(days=1)
    assert begin_of(day_of(MIDNIGHT)) == MIDNIGHT


async def test_a_new_day_in_phnom_penh_has_its_whole_limit(db: Database, purse: Purse) -> None:
    await control(db, purse, now=NOON, amount_per_day_minor=1_000)
    asked = [(1_000, BEFORE_MIDNIGHT), (1, BEFORE_MIDNIGHT), (1_000, MIDNIGHT), (1, MIDNIGHT)]
    made = [await move_one(db, make_authorize(purse.card, a), now=at) for a, at in asked]
    assert [each.status for each in made] == ["pending", "declined", "pending", "declined"]
    assert await used(db, purse, now=NOON) == (1_000, 1)
    assert await used(db, purse, now=MIDNIGHT) == (1_000, 1)


async def test_a_limit_that_is_set_begins_with_what_was_used_today(
    db: Database, purse: Purse
) -> None:
    other = await make_card(db, purse.account)
    for at, amount_minor in ((NOON - timedelta(days=1), 50), (NOON, 300), (NOON, 200)):
        await move_one(db, make_authorize(purse.card, amount_minor), now=at)
    await move_one(db, make_authorize(other, 70), now=NOON)
    reversed_ = await move_one(db, make_authorize(purse.card, 1_000), now=NOON)
    await move_one(db, reverse(reversed_), now=NOON)
    assert await used(db, purse, card=purse.card, now=NOON) == (500, 2)
    await control(db, purse, card=purse.card, now=NOON, amount_per_day_minor=600)
    await control(db, purse, now=NOON, count_per_day=4)
    assert await used(db, purse, card=purse.card, now=NOON) == (500, 2)
    assert await used(db, purse, now=NOON) == (570, 3)
    made = [await move_one(db, make_authorize(purse.card, n), now=NOON) for n in (101, 100)]
    assert [each.decline_reason for each in made] == [Decline.AMOUNT_LIMIT, None]
    last = await move_one(db, make_authorize(other, 1), now=NOON)
    assert last.decline_reason == Decline.COUNT_LIMIT


async def test_what_was_made_before_a_limit_brings_nothing_below_nothing(
    db: Database, purse: Purse
) -> None:
    made = await move_one(db, make_authorize(purse.card, 300), now=NOON)
    next_day = NOON + timedelta(days=1)
    await control(db, purse, now=next_day, amount_per_day_minor=600)
    await move_one(db, reverse(made), now=next_day)
    assert await used(db, purse, now=next_day) == (0, 0)
    assert (await balance_of(db, purse.account)).held_minor == 0


async def test_a_limit_is_merged_and_gone_when_it_is_none(db: Database, purse: Purse) -> None:
    await control(db, purse, amount_per_day_minor=600, blocked_mccs=frozenset({"7995"}))
    left = await control(db, purse, amount_per_day_minor=None)
    assert left.controls == Controls(blocked_mccs=frozenset({"7995"}))
    assert (await control(db, purse, blocked_mccs=None)).controls == Controls()
    column = "SELECT controls FROM cards.account WHERE id = $1"
    assert await db.read(lambda tx: tx.value(column, purse.account.id)) is None


async def test_anothers_controls_are_not_found(db: Database, purse: Purse) -> None:
    stranger = replace(purse, issuer=await make_issuer(db))
    with pytest.raises(CardAccountNotFound):
        await control(db, stranger, count_per_day=1)
    with pytest.raises(CardNotFound):
        await used(db, stranger, card=purse.card)


# Many at once.


async def test_two_processes_at_once_stay_below_a_limit_together(
    shared: tuple[Database, str], purse: Purse
) -> None:
    db, url = shared
    others = [purse.card, *[await make_card(db, purse.account) for _ in range(3)]]
    await control(db, purse, amount_per_day_minor=1_000)
    async with desks_on(url, 2, batch_size_max=3) as desks:
        replies = await asyncio.gather(
            *(
                desks[n % 2].move(make_request(make_authorize(others[n % 4], 100)))
                for n in range(40)
            )
        )
    made = [reply.outcome for reply in replies if reply.outcome is not None]
    assert Counter(each.decline_reason for each in made) == {None: 10, Decline.AMOUNT_LIMIT: 30}
    assert await used(db, purse) == (1_000, 10)


@pytest.mark.parametrize("of_card", [True, False])
async def test_what_is_under_way_while_a_limit_is_set_is_counted(
    shared: tuple[Database, str], purse: Purse, *, of_card: bool
) -> None:
    db, url = shared
    card = purse.card if of_card else None
    made: list[Transaction] = []

    async def spend(desk: Desk) -> None:
        for n in range(20):
            reply = await desk.move(make_request(make_authorize(purse.card, 10 + n)))
            assert reply.outcome is not None
            made.append(reply.outcome)

    async def limit() -> None:
        await asyncio.sleep(0.01)
        for _ in range(5):
            await control(db, purse, card=card, count_per_day=1_000)
            await control(db, purse, card=card, count_per_day=None)
        await control(db, purse, card=card, count_per_day=1_000)

    async with desks_on(url, 3, batch_size_max=3) as desks:
        await asyncio.gather(*(spend(desk) for desk in desks * 2), limit())
    assert {each.status for each in made} == {"pending"}
    spent_minor = sum(each.amount_minor for each in made)
    assert await used(db, purse, card=card) == (spent_minor, 120)


async def until_one_waits(tx: Tx) -> None:
    """Wait until a statement waits for a lock."""
    waiting: Final = """
        SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()
    """
    async with asyncio.timeout(10):
        while not await tx.value(waiting):
            await tx.run("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("of_card", [True, False])
async def test_a_batch_that_waited_for_its_card_knows_the_limit_set_meanwhile(
    db: Database, purse: Purse, *, of_card: bool
) -> None:
    card = purse.card if of_card else None
    await move_one(db, make_authorize(purse.card, 10))
    desk = make_desk(db)

    async def limit(tx: Tx) -> list[asyncio.Task[Any]]:
        change = {"count_per_day": 2}
        now = await now_of(tx)
        await cards.update_controls(tx, **owner_of(purse, card), change=change, now=now)
        commands = (make_authorize(purse.card, 20), make_authorize(purse.card, 30))
        moves = [asyncio.create_task(desk.move(make_request(command))) for command in commands]
        await until_one_waits(tx)
        return moves

    replies = await asyncio.gather(*await db.transaction(limit))
    declines = [reply.outcome.decline_reason for reply in replies]
    assert declines == [None, Decline.COUNT_LIMIT]
    assert await used(db, purse, card=card) == (30, 2)


@pytest.mark.parametrize("of_card", [True, False])
async def test_what_is_given_back_after_a_limit_was_set_meanwhile_is_used_no_more(
    db: Database, purse: Purse, *, of_card: bool
) -> None:
    card = purse.card if of_card else None
    before = await move_one(db, make_authorize(purse.card, 10))
    desk = make_desk(db)

    async def limit(tx: Tx) -> asyncio.Task[Any]:
        change = {"count_per_day": 1}
        now = await now_of(tx)
        await cards.update_controls(tx, **owner_of(purse, card), change=change, now=now)
        moving = asyncio.create_task(desk.move(make_request(reverse(before))))
        await until_one_waits(tx)
        return moving

    await (await db.transaction(limit))
    assert await used(db, purse, card=card) == (0, 0)


async def test_limits_cost_two_statements_a_batch_and_none_where_there_are_none(
    db: Database,
) -> None:
    taken: dict[str, set[int]] = {}
    for limit in ("none", "amount_per_transaction_minor", "amount_per_day_minor"):
        purse = await make_purse(db, usd_minor=1_000_000)
        if limit != "none":
            await control(db, purse, **to(limit, 1_000_000))
            await control(db, purse, card=purse.card, **to(limit, 1_000_000))
        for size in (1, 50, 500):
            db.journal = []
            await move_all(db, [make_authorize(purse.card, 10)] * size)
            taken.setdefault(limit, set()).add(len(db.journal))
            db.journal = None
    (bare,) = taken["none"]
    assert taken["amount_per_transaction_minor"] == {bare}
    assert taken["amount_per_day_minor"] == {bare + 2}
