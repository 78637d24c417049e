"""The host on a real desk and a real PostgreSQL: each message, each code, each of its effects."""

from decimal import Decimal

import pytest

from bayon import cards
from bayon.cards import NewRate
from bayon.cards.model import CardStatus
from bayon.db import Database, Tx
from bayon.log import Secret
from bayon.network import acquirer
from bayon.network.acquirer import Amount, Place, Plastic
from bayon.network.iso8583 import Message, decode
from bayon.network.profile import SHIPPED
from cards.plastic import order_cards
from cards_factories import (
    PIN,
    VAULT,
    WRONG_PIN,
    balance_of,
    make_card,
    make_purse,
    now_of,
)
from network.hosts import (
    changed,
    hosted,
    make_link,
    money,
    offline,
    plastic,
    purchase,
    reversal,
    stamp,
    swiped,
    told,
    unmatched,
)
from network.samples import PROFILES

DOLLARS = 100


@pytest.mark.parametrize("wire", SHIPPED)
async def test_each_message_has_its_answer_on_each_wire(db: Database, wire: str) -> None:
    purse = await make_purse(db, usd_minor=100 * DOLLARS)
    card = purse.card
    async with hosted(db, make_link(wire=wire)) as at_work, at_work.called() as bank:
        asked = purchase(card, 10 * DOLLARS)
        answer = await bank.ask(asked)
        assert (answer.mti, answer.fields[39]) == ("0110", "00")
        echoed = {n: v for n, v in asked.fields.items() if n in {3, 4, 7, 11, 12, 13, 32, 37, 41}}
        assert {n: answer.fields[n] for n in echoed} == echoed
        assert len(answer.fields[38].strip()) == 6
        assert not answer.secrets
        first = acquirer.original_of(asked, answer)
        later = [
            told(first, card, 12 * DOLLARS, final=False),
            told(first, card, 11 * DOLLARS, final=True),
            purchase(card, 5 * DOLLARS, single=True),
            reversal(offline(1), card),
            reversal(offline(1), card, advice=True),
            changed(purchase(card, 1), mti="0300"),
            *(acquirer.management(what, stamp()) for what in ("sign-on", "echo", "sign-off")),
            changed(acquirer.management("echo", stamp()), f70="999"),
        ]
        answers = [await bank.ask(each) for each in later]
    assert [(each.mti, each.fields[39]) for each in answers] == [
        ("0130", "00"),
        ("0230", "00"),
        ("0210", "00"),
        ("0410", "00"),
        ("0430", "00"),
        ("0310", "12"),
        ("0810", "00"),
        ("0810", "00"),
        ("0810", "00"),
        ("0810", "12"),
    ]
    assert money(await balance_of(db, purse.account)) == (8_400, 8_400)


STATES: list[tuple[CardStatus, str]] = [
    ("inactive", "62"),
    ("canceled", "46"),
    ("lost", "41"),
    ("stolen", "43"),
]


async def test_each_decline_has_its_code(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10 * DOLLARS)
    account, card = purse.account, purse.card
    in_state = [(await make_card(db, account, status=status), code) for status, code in STATES]
    (issued,) = await order_cards(db, purse)
    over = await make_card(db, account, exp=(1, 2020))
    with_pin = await make_card(db, account)
    unknown = Plastic(pan=VAULT.make_pan("91160009"))
    asked = [
        *((purchase(each, 100), code) for each, code in in_state),
        (purchase(issued, 100), "62"),
        (purchase(over, 100), "54"),
        (purchase(plastic(card, expiry="9911"), 100), "54"),
        (purchase(plastic(card, expiry="9912"), 100), "00"),
        (purchase(swiped(card), 100), "00"),
        (purchase(swiped(card, chip=True), 100), "05"),
        (purchase(plastic(with_pin, pin=WRONG_PIN), 100), "55"),
        (purchase(plastic(with_pin, pin=PIN), 100), "00"),
        *((purchase(plastic(with_pin, pin=WRONG_PIN), 100), "55") for _ in range(3)),
        (purchase(plastic(with_pin, pin=PIN), 100), "75"),
        (purchase(unknown, 100), "14"),
        (purchase(Plastic(pan=Secret("9116000000000001")), 100), "14"),
        (purchase(card, 11 * DOLLARS), "51"),
        (changed(purchase(card, 100), f3="990000"), "12"),
        (purchase(card, 999_999_999_999), "51"),
        (purchase(card, 100, currency="978"), "57"),
        (purchase(card, 100, currency="764"), "00"),
        (purchase(card, 1, currency="116"), "13"),  # which comes to no cent
        (purchase(card, 0, kind="verify"), "85"),
        (purchase(in_state[2][0], 0, kind="verify"), "41"),
        (purchase(card, 100, kind="refund"), "00"),
        (acquirer.increment(offline(1), plastic(card), Amount(1, "840"), Place(), stamp()), "25"),
    ]

    async def rate(tx: Tx) -> None:
        rates = [("THB", Decimal("0.5")), ("KHR", Decimal("0.00025"))]
        new = [NewRate(from_code=code, to_code="USD", rate=each) for code, each in rates]
        await cards.set_rates(tx, new, now=await now_of(tx))

    await db.transaction(rate)
    async with hosted(db) as at_work, at_work.called() as bank:
        codes = await bank.codes(*(message for message, _ in asked))
    assert codes == [code for _, code in asked]
    assert money(await balance_of(db, account)) == (1_000, 1_000 - 350)


async def test_a_part_is_approved_where_it_will_do_and_the_answer_says_what_is_left(
    db: Database,
) -> None:
    purse = await make_purse(db, usd_minor=10 * DOLLARS)
    async with hosted(db) as at_work, at_work.called() as bank:
        answer = await bank.ask(purchase(purse.card, 25 * DOLLARS, partial=True))
    assert (answer.fields[39], answer.fields[4]) == ("10", "000000001000")
    assert [each.minor for each in acquirer.balances(answer)] == [1_000, 0]


async def test_a_balance_is_told_to_who_asks_and_to_who_pays_cash(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100 * DOLLARS)
    async with hosted(db) as at_work, at_work.called() as bank:
        await bank.approved(purchase(purse.card, 10 * DOLLARS))
        asked = [
            purchase(plastic(purse.card, pin=PIN), 0, kind="inquire"),
            purchase(purse.card, 20 * DOLLARS, kind="withdraw"),
            changed(purchase(purse.card, 0, kind="inquire"), f3="300000"),
        ]
        answers = [await bank.ask(each) for each in asked]
    told_of = [[(b.kind, b.currency, b.minor) for b in acquirer.balances(each)] for each in answers]
    assert [each.fields[39] for each in answers] == ["00", "00", "12"]
    assert told_of[0] == [("ledger", "USD", 10_000), ("available", "USD", 9_000)]
    assert told_of[1] == [("ledger", "USD", 8_000), ("available", "USD", 7_000)]


MALFORMED: list[tuple[dict[str, str], tuple[int, ...], str]] = [
    ({}, (2,), "002"),
    ({}, (3,), "003"),
    ({}, (4,), "004"),
    ({}, (49,), "049"),
    ({"f49": "999"}, (), "049"),
    ({"f51": "001", "f6": "000000000001"}, (), "051"),
    ({"f35": "nonsense"}, (), "035"),
]


async def test_what_is_malformed_is_answered_with_the_fields_number(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100)
    other = await make_card(db, purse.account)
    base = purchase(purse.card, 100)
    broken = [changed(base, *without, **others) for others, without, _ in MALFORMED]
    broken[-1] = Message(
        mti="0100",
        fields=base.fields,
        secrets={**base.secrets, **purchase(swiped(other), 1).secrets},
    )
    async with hosted(db) as at_work, at_work.called() as bank:
        answers = [await bank.ask(each) for each in broken]
        assert await bank.code(base) == "00"
    assert [(each.fields[39], each.fields[44]) for each in answers] == [
        ("30", number) for _, _, number in MALFORMED
    ]


async def test_a_field_that_is_none_is_answered_too(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100)
    profile = PROFILES["ascii-binary"]
    async with hosted(db) as at_work, at_work.wired() as wire:
        whole = wire.framed(purchase(purse.card, 100))
        stan = purchase(purse.card, 1).fields[7].encode()
        wire.writer.write(whole.replace(stan, b"9920080000", 1))
        answer = await wire.read()
        assert answer[:4] == b"0110"
        said = decode(answer, profile)
        assert (said.fields[39], said.fields[44]) == ("30", "007")


async def test_the_same_identity_with_other_content_is_94_and_moves_nothing(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100 * DOLLARS)
    asked = purchase(purse.card, 10 * DOLLARS)
    async with hosted(db) as at_work, at_work.called() as bank:
        first = await bank.ask(asked)
        others = [changed(asked, f4="000000001001"), changed(asked, f41="TERM0002")]
        assert await bank.codes(*others) == ["94", "94"]
        assert await bank.ask(acquirer.repeated(asked)) == first
    assert money(await balance_of(db, purse.account)) == (10_000, 9_000)


async def test_after_a_sign_off_requests_are_91_until_the_next_sign_on(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100 * DOLLARS)
    card = purse.card
    links = (make_link(), make_link("other"))
    async with hosted(db, *links) as at_work, at_work.called() as bank, at_work.called() as twin:
        first = await bank.approved(purchase(card, 100))
        assert await bank.code(acquirer.management("sign-off", stamp())) == "00"
        asked = purchase(card, 100)
        assert await bank.codes(asked, purchase(card, 100, single=True)) == ["91", "91"]
        assert await twin.code(purchase(card, 100)) == "91"
        assert await bank.code(acquirer.management("echo", stamp())) == "00"
        assert await bank.code(told(first, card, 100, final=True)) == "00"
        async with at_work.called("other") as elsewhere:
            assert await elsewhere.code(purchase(card, 100)) == "00"
        assert await bank.code(acquirer.management("sign-on", stamp())) == "00"
        assert await bank.code(acquirer.repeated(asked)) == "00"
    assert money(await balance_of(db, purse.account)) == (9_900, 9_700)


async def test_a_reversal_takes_all_back_or_a_part_and_no_more(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100 * DOLLARS)
    card = purse.card

    async def left() -> int:
        return (await balance_of(db, purse.account)).available_minor

    async with hosted(db) as at_work, at_work.called() as bank:
        first = await bank.approved(purchase(card, 10 * DOLLARS))
        assert await bank.code(reversal(first, card, remaining_minor=400)) == "00"
        assert await left() == 9_600
        lower = changed(reversal(first, card), f4="000000000100")
        assert await bank.code(lower) == "00"
        assert await left() == 9_700
        again = [reversal(first, card, advice=True), reversal(first, card), reversal(first, card)]
        assert await bank.codes(*again) == ["00"] * 3
        assert await left() == 10_000
        single = await bank.approved(purchase(card, 10 * DOLLARS, single=True))
        assert await left() == 9_000
        assert await bank.code(reversal(single, card)) == "00"
        assert await left() == 10_000
    assert await unmatched(db) == []


LADDER: list[tuple[int, ...]] = [
    (90,),  # by 37 and 41
    (90, 37),  # by 38 and 4
    (90, 41, 38),  # by 37 and 11, which is the original's
]


@pytest.mark.parametrize("without", LADDER, ids=str)
async def test_a_reversal_without_90_finds_its_original_by_what_is_left(
    db: Database, without: tuple[int, ...]
) -> None:
    purse = await make_purse(db, usd_minor=100 * DOLLARS)
    async with hosted(db) as at_work, at_work.called() as bank:
        await bank.approved(purchase(purse.card, 20 * DOLLARS))
        first = await bank.approved(purchase(purse.card, 10 * DOLLARS))
        asked = changed(reversal(first, purse.card), *without, f11=first.stan)
        assert await bank.code(asked) == "00"
    assert money(await balance_of(db, purse.account)) == (10_000, 8_000)
    assert await unmatched(db) == []


async def test_a_reversal_of_what_nobody_asked_is_kept_and_its_original_comes_to_nothing(
    db: Database,
) -> None:
    purse = await make_purse(db, usd_minor=100 * DOLLARS)
    asked = purchase(purse.card, 10 * DOLLARS)
    async with hosted(db) as at_work, at_work.called() as bank:
        before = reversal(acquirer.original_of(asked, None), purse.card)
        assert await bank.codes(before, asked, acquirer.repeated(asked)) == ["00", "94", "94"]
        assert await bank.code(acquirer.repeated(before)) == "00"
    assert money(await balance_of(db, purse.account)) == (10_000, 10_000)
    assert await unmatched(db) == ["reversal"]


async def test_an_increment_holds_more_and_the_whole_is_cleared(db: Database) -> None:
    purse = await make_purse(db, usd_minor=20 * DOLLARS)
    card = purse.card
    async with hosted(db) as at_work, at_work.called() as bank:
        first = await bank.approved(purchase(card, 10 * DOLLARS))

        def more(minor: int) -> Message:
            paid = Amount(minor, "840")
            return acquirer.increment(first, plastic(card), paid, Place(), stamp())

        assert await bank.codes(more(5 * DOLLARS), more(6 * DOLLARS)) == ["00", "51"]
        assert money(await balance_of(db, purse.account)) == (2_000, 500)
        assert await bank.code(told(first, card, 15 * DOLLARS, final=True)) == "00"
    assert money(await balance_of(db, purse.account)) == (500, 500)
