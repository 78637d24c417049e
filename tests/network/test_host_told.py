"""What is told afterwards and cannot be declined: it is booked, or kept for a person to see."""

import pytest

from bayon.cards.authorize import HOLD_TTL
from bayon.db import Database
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX
from bayon.network import acquirer
from bayon.network.acquirer import Amount, Original, Place, Plastic
from bayon.network.iso8583 import Message
from cards_factories import VAULT, balance_of, make_card, make_desk, make_purse
from factories import advance
from network.hosts import (
    changed,
    hosted,
    money,
    offline,
    plastic,
    purchase,
    reversal,
    stamp,
    told,
    unmatched,
)

DOLLARS = 100


async def test_an_advice_cannot_be_declined_and_may_take_more_than_there_is(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10 * DOLLARS)
    account = purse.account
    lost = await make_card(db, account, status="lost")
    nobody = Plastic(pan=VAULT.make_pan("91160009"))
    async with hosted(db) as at_work, at_work.called() as bank:
        first = await bank.approved(purchase(purse.card, 10 * DOLLARS))
        assert await bank.code(told(first, purse.card, 15 * DOLLARS, final=True)) == "00"
        assert money(await balance_of(db, account)) == (-500, -500)
        assert await bank.code(told(offline(300), purse.card, 300, final=True)) == "00"
        assert money(await balance_of(db, account)) == (-800, -800)
        assert await bank.code(told(offline(200), lost, 200, final=False)) == "00"
        assert money(await balance_of(db, account)) == (-800, -1_000)
        of_nobody = [
            acquirer.told_later(offline(1), nobody, Amount(1, "840"), Place(), stamp(), final=final)
            for final in (True, False)
        ]
        assert await bank.codes(*of_nobody) == ["00", "00"]
        assert await bank.codes(*map(acquirer.repeated, of_nobody)) == ["00", "00"]
    assert await unmatched(db) == ["advice", "completion"]
    assert money(await balance_of(db, account)) == (-800, -1_000)


@pytest.mark.parametrize("final", [True, False])
async def test_what_was_told_and_cannot_be_booked_is_kept_for_a_person(
    db: Database, *, final: bool
) -> None:
    purse = await make_purse(db, usd_minor=10 * DOLLARS)
    mistyped = Plastic(pan=Secret("9116000000000001"))
    untold = [(plastic(purse.card), Amount(300, "978")), (mistyped, Amount(300, "840"))]
    kept = [
        acquirer.told_later(offline(300), card, paid, Place(), stamp(), final=final)
        for card, paid in untold
    ]
    async with hosted(db) as at_work, at_work.called() as bank:
        assert await bank.codes(*kept, *map(acquirer.repeated, kept)) == ["00"] * 4
    assert await unmatched(db) == ["completion" if final else "advice"] * 2
    assert money(await balance_of(db, purse.account)) == (1_000, 1_000)


async def test_a_reversal_that_an_account_has_no_room_for_is_kept_for_a_person(
    db: Database,
) -> None:
    purse = await make_purse(db, usd_minor=AMOUNT_MINOR_MAX)
    card = purse.card
    async with hosted(db) as at_work, at_work.called() as bank:
        first = await bank.approved(purchase(card, 100, single=True))
        await bank.approved(purchase(card, 100, kind="refund", single=True))
        back = reversal(first, card)
        assert await bank.codes(back, acquirer.repeated(back)) == ["00", "00"]
    assert await unmatched(db) == ["reversal"]
    assert (await balance_of(db, purse.account)).posted_minor == AMOUNT_MINOR_MAX


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("changes", [{"f39": "05"}, {"f4": "000000000000"}], ids=str)
async def test_what_came_to_nothing_in_our_stead_gives_back_what_is_held(
    db: Database, *, final: bool, changes: dict[str, str]
) -> None:
    purse = await make_purse(db, usd_minor=10 * DOLLARS)
    async with hosted(db) as at_work, at_work.called() as bank:
        first = await bank.approved(purchase(purse.card, 4 * DOLLARS))
        unknown = changed(told(offline(300), purse.card, 300, final=final), **changes)
        assert await bank.code(unknown) == "00"
        assert money(await balance_of(db, purse.account)) == (1_000, 600)
        nothing = changed(told(first, purse.card, 4 * DOLLARS, final=final), **changes)
        assert await bank.codes(nothing, acquirer.repeated(nothing)) == ["00", "00"]
    assert money(await balance_of(db, purse.account)) == (1_000, 1_000)
    assert await unmatched(db) == []


@pytest.mark.parametrize("named", [True, False], ids=["by 90", "by 37"])
@pytest.mark.parametrize("end", ["reversal", "completion"])
async def test_an_advice_about_what_has_expired_holds_for_it_again_once(
    db: Database, *, named: bool, end: str
) -> None:
    purse = await make_purse(db, usd_minor=10 * DOLLARS)
    desk, card = make_desk(db), purse.card
    async with hosted(db, desk=desk) as at_work, at_work.called() as bank:
        asked = purchase(card, 4 * DOLLARS)
        first = await bank.approved(asked)
        await advance(db, advance_s=HOLD_TTL.total_seconds() + 1)
        assert await desk.expire() == 1
        for minor in (300, 200):
            advice = about(told(first, card, minor, final=False), first, named=named)
            assert await bank.code(advice) == "00"
            assert money(await balance_of(db, purse.account)) == (1_000, 1_000 - minor)
        last = reversal(first, card) if end == "reversal" else told(first, card, 200, final=True)
        assert await bank.code(about(last, first, named=named)) == "00"
    left = 1_000 if end == "reversal" else 800
    assert money(await balance_of(db, purse.account)) == (left, left)
    assert await unmatched(db) == []


@pytest.mark.parametrize("named", [True, False], ids=["by 90", "by 37"])
async def test_what_was_declined_and_then_approved_in_our_stead_is_one_more_and_no_more(
    db: Database, *, named: bool
) -> None:
    purse = await make_purse(db, usd_minor=1 * DOLLARS)
    async with hosted(db) as at_work, at_work.called() as bank:
        asked = purchase(purse.card, 4 * DOLLARS)
        answer = await bank.ask(asked)
        assert answer.fields[39] == "51"
        first = acquirer.original_of(asked, answer)
        for minor in (400, 300):
            advice = about(told(first, purse.card, minor, final=False), first, named=named)
            assert await bank.code(advice) == "00"
            assert money(await balance_of(db, purse.account)) == (100, 100 - minor)
        back = about(reversal(first, purse.card), first, named=named)
        assert await bank.code(back) == "00"
    assert money(await balance_of(db, purse.account)) == (100, 100)


def about(message: Message, original: Original, *, named: bool) -> Message:
    """Name the original by field 90, or leave that to its reference."""
    who = original.acquirer.zfill(11)
    whole = f"{original.mti}{original.stan}{original.transmitted}{who}{'0' * 11}"
    return changed(message, f90=whole) if named else changed(message, 90)
