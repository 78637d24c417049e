"""The code printed on a card, at the host: found where a profile says it is, judged, kept nowhere.

psec calculates the right ones.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, LiteralString, cast

import pytest
from msgspec import structs

from bayon.cards import Card
from bayon.cards.authorize import CVV2_TRIES_MAX
from bayon.db import Database
from bayon.log import Secret
from bayon.network import acquirer, cvv2
from bayon.network.acquirer import Amount, Place, original_of
from bayon.network.describe import describe, redacted
from bayon.network.iso8583 import BadMessage, Message, decode, encode
from bayon.network.profile import SHIPPED, Profile, load_profile, parse
from cards.oracles import psec_cvv_of
from cards_factories import (
    PIN,
    VAULT,
    VAULT_KEYS,
    WRONG_PIN,
    balance_of,
    make_card,
    make_purse,
)
from network.hosts import (
    Hosted,
    all_same,
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
from network.samples import message_of

TAGGED: Final = '[cvv2]\nfield = 48\nat = 2\ntag = "92"\n'
PLACED: Final = "[cvv2]\nfield = 126\nat = 12\n"
VISA: Final = '[response_codes]\ncvv2_wrong = "N7"\n'
EBCDIC: Final = 'charset = "cp037"\n'
BCD: Final = 'mti = "bcd"\nnumbers = "bcd"\nlengths = "bcd"\n'
FIXED: Final = '[fields.48]\nlength = "fixed"\nsize = 20\n'
PROFILES: Final = {
    "tagged": parse(TAGGED, name="tagged"),
    "placed, EBCDIC": parse(EBCDIC + PLACED + VISA, name="placed"),
    "tagged, BCD": parse(BCD + TAGGED, name="bcd"),
    "of fixed size": parse(TAGGED + FIXED, name="fixed"),
}
TAGS: Final = PROFILES["tagged"]
PLACE: Final = parse(PLACED, name="placed")


def printed(card: Card, *, off: int = 0) -> Secret:
    """Tell the code on a card, as psec calculates it, or one that is so far off."""
    key = bytes.fromhex(VAULT_KEYS.card_verification_key.reveal())
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id).reveal()
    expiry = f"{card.exp_year % 100:02}{card.exp_month:02}"
    return Secret(f"{(int(psec_cvv_of(key, pan, expiry, '000')) + off) % 1_000:03}")


def read_off(
    card: Card,
    profile: Profile = TAGS,
    *,
    off: int = 0,
    minor: int = 100,
    kind: acquirer.Kind = "purchase",
    expiry: str | None = None,
) -> Message:
    """Ask for an amount, by what is printed on the card."""
    seen = replace(plastic(card, expiry=expiry), cvv2=printed(card, off=off))
    return purchase(seen, minor, profile=profile, kind=kind)


def saying(message: Message, text: str, number: int = 48) -> Message:
    """Say this where the code comes."""
    return structs.replace(message, secrets={**message.secrets, number: Secret(text)})


async def tries_of(db: Database, card: Card) -> int:
    """Tell how often in a row a card's code was wrong."""
    statement = "SELECT cvv2_tries FROM cards.card WHERE id = $1"
    return await db.read(lambda tx: tx.value(statement, card.id))


async def reasons(db: Database, card: Card) -> list[str | None]:
    """Tell why a card's transactions were declined, if they were, the oldest first."""
    statement = "SELECT decline_reason FROM cards.transaction WHERE card_id = $1 ORDER BY seq"
    rows = await db.read(lambda tx: tx.rows(statement, card.id))
    return [row["decline_reason"] for row in rows]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("expiry", ["without 14", "with 14"])
async def test_the_code_is_judged_by_the_cards_own_expiry(
    db: Database, name: str, expiry: str
) -> None:
    profile = PROFILES[name]
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    wrong = "N7" if "EBCDIC" in name else "05"
    own = f"{card.exp_year % 100:02}{card.exp_month:02}" if expiry == "with 14" else None
    asked = [
        (read_off(card, profile, expiry=own), "00"),
        (read_off(card, profile, off=1, expiry=own), wrong),
        (read_off(card, profile, off=999, minor=99_999, expiry=own), wrong),
        (read_off(card, profile, minor=99_999, expiry=own), "51"),
        (read_off(card, profile, minor=0, kind="verify", expiry=own), "85"),
        (read_off(card, profile, minor=0, kind="inquire", off=1, expiry=own), wrong),
        (read_off(card, profile, kind="refund", expiry=own), "00"),
        (read_off(card, profile, kind="withdraw", off=1, expiry=own), wrong),
        (read_off(card, profile, expiry="2001", off=1), "54"),
        (purchase(card, 100), "00"),
    ]
    async with hosted(db, make_link(profile=profile)) as at_work, at_work.called() as bank:
        for message, code in asked:
            answer = await bank.ask(message)
            assert answer.fields[39] == code
            assert not answer.secrets
            assert not {48, 126} & answer.fields.keys()
    given = [None, *["cvv2_wrong"] * 2, "insufficient_funds", "cvv2_wrong", "expiry_wrong", None]
    assert await reasons(db, card) == given
    assert await tries_of(db, card) == 1
    assert money(await balance_of(db, purse.account)) == (10_000, 9_800)


NONE_SAID: Final = {
    "nothing": (TAGS, ""),
    "only what comes before": (TAGS, "T"),
    "other tags": (TAGS, "T42070103210610500000"),
    "the tag elsewhere": (TAGS, "T420892039999"),
    "no length": (TAGS, "T9200"),
    "blanks under the tag": (TAGS, "T9203   "),
    "blanks behind the tags": (TAGS, "T4201x   "),
    "a field that ends before": (PLACE, "\x00" * 8 + "00 "),
    "blanks at the place": (PLACE, "\x00" * 8 + "20    "),
}
NO_CODE: Final = {
    "letters": (TAGS, "T92031a2"),
    "digits of others": (TAGS, "T9203²³¹"),
    "a blank": (TAGS, "T9203 12"),
    "two digits": (TAGS, "T920212"),
    "four digits": (TAGS, "T92041234"),
    "a code beyond the end": (TAGS, "T920312"),
    "a tag beyond the end": (TAGS, "T4209123"),
    "no tags": (TAGS, "Tsomething"),
    "half a tag": (TAGS, "T4201x92"),
    "a negative length": (TAGS, "T42-192"),
    "letters at the place": (PLACE, "\x00" * 8 + "10 12x"),
    "two digits at the place": (PLACE, "\x00" * 8 + "10 12"),
    "a blank at the place": (PLACE, "\x00" * 8 + "10  12"),
}


@pytest.mark.parametrize(("profile", "text"), NONE_SAID.values(), ids=NONE_SAID.keys())
async def test_where_no_code_is_said_the_rest_is_judged(
    db: Database, profile: Profile, text: str
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    assert profile.cvv2 is not None
    async with hosted(db, make_link(profile=profile)) as at_work, at_work.called() as bank:
        assert await bank.code(saying(purchase(purse.card, 1), text, profile.cvv2.field)) == "00"


@pytest.mark.parametrize(("profile", "text"), NO_CODE.values(), ids=NO_CODE.keys())
async def test_what_is_no_code_is_malformed_and_counts_nothing(
    db: Database, profile: Profile, text: str
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    assert profile.cvv2 is not None
    number = profile.cvv2.field
    async with hosted(db, make_link(profile=profile)) as at_work, at_work.called() as bank:
        answer = await bank.ask(saying(purchase(purse.card, 1), text, number))
        assert (answer.fields[39], answer.fields[44]) == ("30", f"{number:03}")
        assert not answer.secrets
    assert (await reasons(db, purse.card), await tries_of(db, purse.card)) == ([], 0)


async def test_other_tags_beside_it_are_passed_by(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    code = printed(purse.card).reveal()
    wrong = printed(purse.card, off=1).reveal()
    async with hosted(db, make_link(profile=TAGS)) as at_work, at_work.called() as bank:
        for text, expected in (
            (f"T42079203{wrong}9203{code}", "00"),
            (f"T61059200x9203{code}4299", "00"),
            (f"T610392009203{code}anything", "30"),
            (f"T610492009203{code}anything", "00"),
            (f"T9203{code}9203{wrong}", "00"),
            (f"T9203{wrong}9203{code}", "05"),
        ):
            assert (text, await bank.code(saying(purchase(purse.card, 1), text))) == (
                text,
                expected,
            )


async def test_without_a_place_in_the_profile_no_code_is_looked_for(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    asked = purchase(purse.card, 1)
    wrong = printed(purse.card, off=1).reveal()
    async with hosted(db) as at_work, at_work.called() as bank:
        assert await bank.codes(changed(asked, f48=f"T9203{wrong}"), changed(asked, f48="T")) == [
            "00",
            "00",
        ]


async def test_the_link_a_code_comes_by_says_where_it_is(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    tagged, placed = make_link("tagged", profile=TAGS), make_link("placed", profile=PLACE)
    async with (
        hosted(db, tagged, placed) as at_work,
        at_work.called("tagged") as one,
        at_work.called("placed") as other,
    ):
        assert await one.code(read_off(purse.card, TAGS, off=1)) == "05"
        assert await other.code(read_off(purse.card, PLACE, off=1)) == "05"
        assert await one.code(changed(purchase(purse.card, 1), f126="anything")) == "00"
        assert await other.code(changed(purchase(purse.card, 1), f48="anything")) == "00"


async def test_a_code_of_another_card_is_wrong_and_one_beside_a_track_is_judged(
    db: Database,
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    other = await make_card(db, purse.account)
    mine, theirs = printed(purse.card), printed(other)
    beside = [replace(swiped(purse.card), cvv2=printed(purse.card, off=off)) for off in (0, 1)]
    async with hosted(db, make_link(profile=TAGS)) as at_work, at_work.called() as bank:
        code = await bank.code(saying(purchase(purse.card, 1), f"T9203{theirs.reveal()}"))
        assert code == ("00" if mine == theirs else "05")
        asked = [purchase(each, 1, profile=TAGS) for each in beside]
        assert await bank.codes(*asked) == ["00", "05"]


async def test_whoever_guesses_is_right_no_more_and_the_pin_frees_the_code(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    guesses = [read_off(card, off=n, minor=0, kind="verify") for n in range(1, 10)]
    pins = [purchase(plastic(card, pin=pin), 1) for pin in (WRONG_PIN, PIN)]
    async with hosted(db, make_link(profile=TAGS)) as at_work, at_work.called() as bank:
        assert await bank.codes(*guesses[:4], read_off(card), *guesses[4:]) == [
            *["05"] * 4,
            "00",
            *["05"] * 5,
        ]
        assert await bank.codes(read_off(card), purchase(card, 1), pins[0], read_off(card)) == [
            *("05", "00", "55", "05")
        ]
        assert await tries_of(db, card) == 5
        assert await bank.codes(pins[1], read_off(card)) == ["00", "00"]
        assert await tries_of(db, card) == 0


async def test_of_many_guesses_at_once_five_are_looked_at(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    links = [make_link(profile=TAGS) for _ in range(2)]

    async def codes(host: Hosted, offs: Sequence[int]) -> list[str]:
        async with host.called() as bank:
            return await asyncio.gather(*(bank.code(read_off(card, off=off)) for off in offs))

    async with hosted(db, links[0]) as one, hosted(db, links[1]) as other:
        answers = await asyncio.gather(codes(one, range(1, 20)), codes(other, range(20, 40)))
        assert {code for each in answers for code in each} == {"05"}
        assert await codes(one, [0]) == ["05"]
    assert await tries_of(db, card) == CVV2_TRIES_MAX


async def test_a_wrong_code_tries_no_pin(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card

    def asked(pin: Secret, off: int) -> Message:
        seen = replace(plastic(card, pin=pin), cvv2=printed(card, off=off))
        return purchase(seen, 1, profile=TAGS)

    async with hosted(db, make_link(profile=TAGS)) as at_work, at_work.called() as bank:
        assert await bank.codes(asked(WRONG_PIN, 1), asked(WRONG_PIN, 0)) == ["05", "55"]
        assert await bank.codes(asked(PIN, 1), asked(PIN, 0)) == ["05", "00"]


async def test_a_repeat_is_no_second_guess(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    asked = read_off(purse.card, off=1)
    answers: list[bytes] = []
    for _ in range(3):
        async with hosted(db, make_link(profile=TAGS)) as at_work, at_work.wired() as wire:
            answers += [await wire.ask(asked), await wire.ask(acquirer.repeated(asked))]
    assert all_same(answers)
    assert await tries_of(db, purse.card) == 1


@pytest.mark.parametrize("said", ["no code", "a wrong one"])
async def test_what_is_told_and_what_is_added_is_not_judged_by_a_code(
    db: Database, said: str
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    text = said if said == "no code" else f"T9203{printed(card, off=1).reveal()}"
    async with hosted(db, make_link(profile=TAGS)) as at_work, at_work.called() as bank:
        asked = read_off(card, minor=1_000)
        original = original_of(asked, await bank.ask(asked))
        more = acquirer.increment(original, plastic(card), Amount(500, "840"), Place(), stamp())
        later = [
            more,
            told(original, card, 1_200, final=False),
            reversal(original, card, remaining_minor=1_000),
            told(offline(300), card, 300, final=True),
            purchase(card, 100, kind="refund", single=True),
            reversal(original, card, advice=True),
        ]
        codes = await bank.codes(*(saying(each, text) for each in later))
        assert codes == ["00"] * len(later)
    assert await tries_of(db, card) == 0
    assert await unmatched(db) == []
    assert money(await balance_of(db, purse.account)) == (9_800, 9_800)


@pytest.mark.parametrize("name", PROFILES)
def test_the_field_is_hidden_as_a_track_is(name: str) -> None:
    profile = PROFILES[name]
    assert profile.cvv2 is not None
    number = profile.cvv2.field
    size = 20 if name == "of fixed size" else 0
    said = cvv2.write(Secret("907"), profile.cvv2, size=size)
    fields = {11: "000001", 41: "TERM0001", 49: "840"}
    message = Message(mti="0800", fields=fields, secrets={number: said})
    assert decode(encode(message, profile), profile) == message
    with pytest.raises(BadMessage, match="is missing") as caught:
        decode(encode(structs.replace(message, mti="0100"), profile), profile)
    partial = caught.value.partial
    assert partial is not None
    assert partial.secrets == message.secrets
    assert redacted(message)[str(number)] == "(not shown)"
    shown = [describe(message), message, partial, redacted(message), caught.value, profile.cvv2]
    assert not any("907" in f"{each} {each!r}" for each in shown)


@pytest.mark.parametrize("wire", SHIPPED)
def test_without_a_place_no_field_is_hidden_but_those_of_all(wire: str) -> None:
    profile = load_profile(wire)
    message = message_of({48: "T9203123", 126: "x"}, mti="0800")
    assert decode(encode(message, profile), profile).fields.keys() == {48, 126}


async def test_a_code_is_kept_nowhere(db: Database, capfd: pytest.CaptureFixture[str]) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    # With a word around it: three digits alone stand in every other row.
    mark = "QZ7XW"
    sent = [
        saying(purchase(card, 1), f"T6105{mark}9203{printed(card, off=off).reveal()}")
        for off in (0, 1)
    ]
    sent += [
        saying(purchase(card, 1), f"T6105{mark}92031x3"),
        saying(purchase(card, 99_999), f"T6105{mark}9203{printed(card).reveal()}"),
        saying(changed(purchase(card, 1), 4), f"T6105{mark}9203123"),
        saying(purchase(card, 0, kind="inquire"), f"T6105{mark}9203{printed(card).reveal()}"),
    ]
    async with hosted(db, make_link(profile=TAGS)) as at_work, at_work.wired() as wire:
        answers = [await wire.ask(each) for each in sent]
    assert [decode(each, TAGS).fields[39] for each in answers] == [
        "00",
        "05",
        "30",
        "51",
        "30",
        "00",
    ]
    tables = """SELECT schemaname || '.' || tablename AS name FROM pg_tables
        WHERE schemaname IN ('cards', 'events', 'ledger', 'batch')"""
    kept: list[str] = []
    for table in await db.read(lambda tx: tx.rows(tables)):
        whole = cast("LiteralString", f"SELECT to_json(t)::text AS row FROM {table['name']} AS t")
        kept += [row["row"] for row in await db.read(lambda tx, whole=whole: tx.rows(whole))]
    assert len(kept) > len(sent)
    said = "".join([*kept, *capfd.readouterr(), *map(repr, answers), *map(repr, sent)])
    assert mark not in said
    assert mark.encode().hex() not in said.lower()
