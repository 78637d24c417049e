"""What nobody could match is listed, linked to what it is about, and closed."""

from decimal import Decimal
from typing import Final

import pytest
from msgspec.structs import replace

from bayon import cards
from bayon.cards import (
    NewRate,
    NotLinkable,
    NotPending,
    OpenItem,
    OpenItemNotFound,
    Original,
    Present,
    Reverse,
    Trace,
    Transaction,
    TransactionNotFound,
    read_clearing_csv,
)
from bayon.cards.move import move
from bayon.db import Database, Tx
from bayon.errors import BayonError
from bayon.ids import uuid7
from cards.clearing_files import csv_line, digest_of, number_of, unknown_number, write_csv
from cards_factories import (
    RIDES,
    VAULT,
    Purse,
    balance_of,
    make_authorize,
    make_purse,
    make_withdrawal,
    move_one,
    now_of,
)

RRN: Final = "633018000001"


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db, usd_minor=10_000)


async def cleared(db: Database, *lines: dict[str, str]) -> None:
    """Import a file of these lines."""
    read = read_clearing_csv(write_csv(lines))

    async def work(tx: Tx) -> None:
        now = await now_of(tx)
        file = await cards.begin_clearing(tx, read, name="a", now=now)
        records = cards.ready_records(read, VAULT)
        await cards.clear_records(tx, file.id, records, vault=VAULT, now=now)

    await db.transaction(work)


async def told(db: Database, command: Present | Reverse) -> None:
    """Tell what cannot be declined."""

    async def work(tx: Tx) -> None:
        (outcome,) = await move(tx, [command], vault=VAULT, now=await now_of(tx))
        assert not isinstance(outcome, BayonError)

    await db.transaction(work)


async def items(db: Database, card_number: str) -> list[OpenItem]:
    """List the open items of one card."""
    digest = digest_of(card_number)
    return [each for each in await db.read(cards.open_items) if each.pan_digest == digest]


async def link(
    db: Database, item: str, transaction: Transaction, amount_minor: int | None = None
) -> Transaction:
    async def work(tx: Tx) -> Transaction:
        return await cards.link_item(
            tx,
            item,
            transaction.id,
            amount_minor=amount_minor,
            note="a call from the bank",
            vault=VAULT,
            now=await now_of(tx),
        )

    return await db.transaction(work)


async def close(db: Database, item: str) -> OpenItem:
    async def work(tx: Tx) -> OpenItem:
        return await cards.close_item(tx, item, note="seen", now=await now_of(tx))

    return await db.transaction(work)


async def has(db: Database, purse: Purse) -> tuple[int, int]:
    found = await balance_of(db, purse.account)
    return found.posted_minor, found.held_minor


def nowhere(purse: Purse) -> Original:
    """Tell of what nobody asked."""
    return Original(pan_digest=digest_of(number_of(purse.card)), rrn="1", terminal="T9")


async def test_an_unmatched_record_that_is_linked_gives_its_authorisation_back(
    db: Database, purse: Purse
) -> None:
    number = number_of(purse.card)
    pending = await move_one(db, make_authorize(purse.card, 1_000))
    await cleared(db, csv_line(number, 1_200, reference=uuid7().hex))
    assert await has(db, purse) == (8_800, 1_000)
    (item,) = await items(db, number)
    assert (item.source, item.what, item.side, item.reason) == (
        "clearing",
        "unmatched",
        "debit",
        "no authorisation",
    )
    assert (await link(db, item.item, pending)).status == "reversed"
    assert await has(db, purse) == (8_800, 0)
    assert await items(db, number) == []
    with pytest.raises(OpenItemNotFound):
        await link(db, item.item, pending)


async def test_a_reversal_that_came_to_nothing_is_done_by_hand_in_whole_or_in_part(
    db: Database, purse: Purse
) -> None:
    number = number_of(purse.card)
    pending = await move_one(db, make_authorize(purse.card, 1_000))
    cash = await move_one(db, make_withdrawal(purse.card, 2_000))
    for _ in range(2):
        await told(db, Reverse(original=nowhere(purse), currency="USD"))
    second, first = await items(db, number)
    assert (first.source, first.what, first.rrn) == ("network", "reversal", "1")
    assert first.last_four == purse.card.last_four
    assert (await link(db, first.item, pending, 400)).amount_minor == 600
    assert await has(db, purse) == (8_000, 600)
    assert (await link(db, second.item, cash)).status == "reversed"
    assert await has(db, purse) == (10_000, 600)
    assert await items(db, number) == []


async def test_a_partial_reversal_takes_back_by_hand_what_it_said(
    db: Database, purse: Purse
) -> None:
    number = number_of(purse.card)
    pending = await move_one(db, make_authorize(purse.card, 1_000))
    part = replace(nowhere(purse), amount_minor=300)
    await told(db, Reverse(original=part, amount_minor=300, currency="USD"))
    (item,) = await items(db, number)
    assert (await link(db, item.item, pending)).amount_minor == 700
    whole = replace(nowhere(purse), amount_minor=1_000)
    said = Reverse(original=whole, amount_minor=1_000, remaining_minor=200, currency="USD")
    await told(db, said)
    (item,) = await items(db, number)
    assert item.remaining_minor == 200
    assert (await link(db, item.item, pending)).amount_minor == 200
    await told(db, Reverse(original=whole, currency="THB"))
    (item,) = await items(db, number)
    with pytest.raises(NotLinkable):
        await link(db, item.item, pending)
    assert (await link(db, item.item, pending, 200)).status == "reversed"
    assert await has(db, purse) == (10_000, 0)


async def test_a_closed_record_that_is_posted_later_is_open_again(
    db: Database, purse: Purse
) -> None:
    number = number_of(purse.card)
    line = csv_line(number, 30_000, currency="ISK", reference=uuid7().hex)
    await cleared(db, line)
    (item,) = await items(db, number)
    assert item.what == "rejected"
    await close(db, item.item)

    async def rate(tx: Tx) -> None:
        new = NewRate(from_code="ISK", to_code="USD", rate=Decimal("0.01"))
        await cards.set_rates(tx, [new], now=await now_of(tx))

    await db.transaction(rate)
    await cleared(db, line)
    (item,) = await items(db, number)
    assert item.what == "unmatched"
    assert (await has(db, purse))[0] < 10_000


async def test_a_completion_that_could_not_be_booked_clears_what_it_is_linked_to(
    db: Database, purse: Purse
) -> None:
    number = number_of(purse.card)
    command = make_authorize(purse.card, 1_000)
    pending, other = await move_one(db, command), await move_one(db, command)
    foreign = Present(
        pan_digest=digest_of(number),
        amount_minor=30_000,
        currency="THB",
        adjustment="debit",
        merchant=RIDES,
        original=nowhere(purse),
        trace=Trace(mti="0220"),
    )
    await told(db, foreign)
    (item,) = await items(db, number)
    assert (item.what, item.currency, item.reason) == (
        "completion",
        "THB",
        "currency has no exchange rate.",
    )
    with pytest.raises(NotLinkable):
        await link(db, item.item, pending)
    settled = await link(db, item.item, pending, 900)
    assert (settled.status, settled.amount_minor) == ("settled", 900)
    assert await has(db, purse) == (9_100, 1_000)
    with pytest.raises(OpenItemNotFound):
        await link(db, item.item, other, 900)


async def test_only_a_pending_authorisation_of_the_same_card_is_linked_to_a_record(
    db: Database, purse: Purse
) -> None:
    number = number_of(purse.card)
    stranger = await make_purse(db, usd_minor=1_000, issuer=purse.issuer)
    others = await move_one(db, make_authorize(stranger.card, 100))
    cash = await move_one(db, make_withdrawal(purse.card, 100))
    await cleared(db, csv_line(number, 100, reference=uuid7().hex))
    (item,) = await items(db, number)
    with pytest.raises(TransactionNotFound):
        await link(db, item.item, others)
    with pytest.raises(NotPending):
        await link(db, item.item, cash)
    assert await has(db, stranger) == (1_000, 100)
    assert await has(db, purse) == (9_800, 0)
    assert [each.item for each in await items(db, number)] == [item.item]


async def test_what_is_of_no_card_can_only_be_closed_and_is_then_gone_from_the_list(
    db: Database, purse: Purse
) -> None:
    number, pending = unknown_number(), await move_one(db, make_authorize(purse.card, 100))
    await cleared(db, csv_line(number, 100, reference=uuid7().hex))
    await told(db, Reverse(original=Original(pan_digest=digest_of(number), rrn="2", terminal="T")))
    message, record = await items(db, number)
    assert (record.what, message.what) == ("parked", "reversal")
    assert (record.reason, message.reason) == (
        "there is no such card",
        "There is no such transaction.",
    )
    with pytest.raises(NotLinkable):
        await link(db, record.item, pending)
    with pytest.raises(TransactionNotFound):
        await link(db, message.item, pending)
    for each in (record, message):
        assert (await close(db, each.item)).item == each.item
        with pytest.raises(OpenItemNotFound):
            await close(db, each.item)
    assert await items(db, number) == []


@pytest.mark.parametrize(
    "item", ["", "1", str(uuid7()), f"{uuid7()}:1", f"{uuid7()}:x", f"{uuid7()}:{2**40}", ":1"]
)
async def test_what_names_nothing_is_not_found(db: Database, item: str) -> None:
    with pytest.raises(OpenItemNotFound):
        await close(db, item)
