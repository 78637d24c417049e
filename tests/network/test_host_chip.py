"""Chips at the host: what is genuine, what was heard before, and what is answered to a chip.

pyemv is the chip: it signs what is asked, and signs once more what the issuer should have answered.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, LiteralString, cast

import pytest
from msgspec.structs import replace
from pyemv import tlv

from bayon.cards import Card
from bayon.db import Database
from bayon.log import Secret
from bayon.network import acquirer
from bayon.network.acquirer import Amount, Place, original_of
from bayon.network.iso8583 import Message
from bayon.network.profile import SHIPPED, parse
from cards.oracles import pyemv_answer, pyemv_cryptogram
from cards_factories import (
    PIN,
    VAULT,
    VAULT_KEYS,
    WRONG_PIN,
    Purse,
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
    told,
    unmatched,
)

KEY: Final = bytes.fromhex(VAULT_KEYS.card_cryptogram_key.reveal())
VERSIONS: Final = (10, 18)
APPROVES: Final = bytes.fromhex("00800000")
Tags = Mapping[str, bytes]


def signed(card: Card, message: Message, counter: int, *, key: bytes = KEY, **how: Any) -> Tags:  # noqa: ANN401 - tags
    """Let the card's chip sign a request: its amount and currency, unless it is to sign another."""
    version, psn = how.pop("version", 18), how.pop("psn", "00")
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id).reveal()
    tags = {
        "9F02": bytes.fromhex(message.fields[4]),
        "9F03": bytes(6),
        "9F1A": bytes.fromhex("0116"),
        "95": bytes(5),
        "5F2A": bytes.fromhex(message.fields[49].zfill(4)),
        "9A": bytes.fromhex("261120"),
        "9C": bytes.fromhex(message.fields[3][:2]),
        "9F37": secrets.token_bytes(4),
        "82": bytes.fromhex("1800"),
        "9F36": counter.to_bytes(2),
        "9F10": bytes([6, 1, version]) + bytes.fromhex("03A0B800"),
        **{name.upper().removeprefix("T"): value for name, value in how.items()},
    }
    return tags | {"9F26": pyemv_cryptogram(key, pan, psn, tags)}


def with_chip(message: Message, tags: Tags) -> Message:
    """Say what the chip says."""
    data = Secret(tlv.encode({tag: bytes(value) for tag, value in tags.items()}).hex().upper())
    return replace(message, secrets={**message.secrets, 55: data})


def by_chip(card: Card, minor: int, counter: int, **how: Any) -> Message:  # noqa: ANN401 - tags
    """Ask for an amount, by the chip's use of this number."""
    asked = purchase(card, minor)
    return with_chip(asked, signed(card, asked, counter, **how))


def shown(answer: Message) -> bytes | None:
    """Tell what the issuer shows of itself: tag 91."""
    if 55 not in answer.secrets:
        return None
    found = tlv.decode(bytes.fromhex(answer.secrets[55].reveal()))
    assert set(found) == {"91"}
    return found["91"]


def right(card: Card, tags: Tags, *, code: str, psn: str = "00") -> bytes:
    """Tell what pyemv says the issuer should show."""
    update = APPROVES if code in {"00", "10", "85"} else bytes(4)
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id).reveal()
    return pyemv_answer(KEY, pan, psn, tags, update=update, code=code)


async def atc_of(db: Database, card: Card) -> int:
    """Tell the counter that is kept of a card."""
    return await db.read(lambda tx: tx.value("SELECT atc FROM cards.card WHERE id = $1", card.id))


async def reasons(db: Database, purse: Purse) -> list[str | None]:
    """Tell why an account's transactions were declined, if they were, the oldest first."""
    statement = "SELECT decline_reason FROM cards.transaction WHERE account_id = $1 ORDER BY seq"
    rows = await db.read(lambda tx: tx.rows(statement, purse.account.id))
    return [row["decline_reason"] for row in rows][1:]  # the first is the top-up


@pytest.mark.parametrize("wire", SHIPPED)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_genuine_chip_is_believed_and_shown_the_issuer(
    db: Database, wire: str, version: int
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    asked = [
        *((purchase(card, 1_000, single=single), "00") for single in (False, True)),
        (purchase(card, 0, kind="verify"), "85"),
        (purchase(card, 0, kind="inquire"), "00"),
        (purchase(card, 100, kind="refund"), "00"),
        (purchase(card, 50_000, partial=True), "10"),
        (purchase(card, 1_000), "51"),
    ]
    async with hosted(db, make_link(wire=wire)) as at_work, at_work.called() as bank:
        for counter, (message, code) in enumerate(asked, 1):
            psn = secrets.choice(("00", "01", "07"))
            tags = signed(card, message, counter, version=version, psn=psn)
            sent = changed(message, f23=f"0{psn}")
            answer = await bank.ask(with_chip(sent, tags))
            assert answer.fields[39] == code
            assert shown(answer) == right(card, tags, code=code, psn=psn)
            assert await atc_of(db, card) == counter
    assert money(await balance_of(db, purse.account)) == (9_000, 0)


async def test_a_wrong_cryptogram_moves_and_counts_nothing(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    asked = purchase(card, 1_000)
    tags = signed(card, asked, 5)
    of_another = signed(await make_card(db, purse.account), asked, 5)
    wrong = [
        with_chip(asked, {**tags, "9F26": bytes(8)}),
        by_chip(card, 1_000, 5, key=secrets.token_bytes(16)),
        with_chip(purchase(card, 1_000), {**tags, "9F36": b"\0\x06"}),
        changed(by_chip(card, 1_000, 5, psn="01"), f23="000"),
        with_chip(purchase(card, 1_000), of_another),
        with_chip(purchase(card, 1_000), {**tags, "9F10": bytes.fromhex("06011103A0B800")}),
    ]
    async with hosted(db) as at_work, at_work.called() as bank:
        answers = [await bank.ask(each) for each in wrong]
        assert [(each.fields[39], shown(each)) for each in answers] == [("59", None)] * len(wrong)
        assert await reasons(db, purse) == ["cryptogram_wrong"] * len(wrong)
        assert await atc_of(db, card) == 0
        assert money(await balance_of(db, purse.account)) == (10_000, 10_000)
        assert await bank.code(with_chip(purchase(card, 1_000), tags)) == "00"


async def test_a_use_that_was_heard_before_is_declined(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    asked = purchase(card, 1_000)
    tags = signed(card, asked, 7)
    async with hosted(db) as at_work, at_work.called() as bank:
        assert await bank.code(with_chip(asked, tags)) == "00"
        again = await bank.ask(with_chip(purchase(card, 1_000), tags))
        assert (again.fields[39], shown(again)) == ("59", right(card, tags, code="59"))
        late, next_ = by_chip(card, 1_000, 6), by_chip(card, 1_000, 8)
        assert await bank.codes(late, next_) == ["59", "00"]
        assert await atc_of(db, card) == 8
        last, beyond = by_chip(card, 1_000, 0xFFFF), by_chip(card, 1_000, 0)
        assert await bank.codes(last, beyond) == ["00", "59"]
    used = "cryptogram_used"
    assert await reasons(db, purse) == [None, used, used, None, None, used]
    assert money(await balance_of(db, purse.account)) == (10_000, 7_000)


Ask = Callable[[Card], Message]
DECLINED: Final[dict[str, tuple[Ask, str]]] = {
    "no funds": (lambda card: purchase(card, 99_999), "51"),
    "a wrong PIN": (lambda card: purchase(plastic(card, pin=WRONG_PIN), 100), "55"),
    "another expiry": (lambda card: purchase(plastic(card, expiry="2001"), 100), "54"),
    "a foreign currency": (lambda card: purchase(card, 100, currency="978"), "57"),
}


@pytest.mark.parametrize(("make", "code"), DECLINED.values(), ids=DECLINED.keys())
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_genuine_use_counts_though_it_is_declined(
    db: Database, make: Ask, code: str, version: int
) -> None:
    purse = await make_purse(db, usd_minor=1_000)
    asked = make(purse.card)
    tags = signed(purse.card, asked, 3, version=version)
    async with hosted(db) as at_work, at_work.called() as bank:
        answer = await bank.ask(with_chip(asked, tags))
        assert (answer.fields[39], shown(answer)) == (code, right(purse.card, tags, code=code))
        assert await atc_of(db, purse.card) == 3
        assert await bank.codes(by_chip(purse.card, 100, 3), by_chip(purse.card, 100, 4)) == [
            "59",
            "00",
        ]


async def test_a_chip_that_is_not_genuine_tries_no_pin_and_a_genuine_one_does(db: Database) -> None:
    purse = await make_purse(db, usd_minor=1_000)
    card = purse.card

    def asked(pin: Secret, counter: int, **how: Any) -> Message:  # noqa: ANN401 - tags
        message = purchase(plastic(card, pin=pin), 100)
        return with_chip(message, signed(card, message, counter, **how))

    async with hosted(db) as at_work, at_work.called() as bank:
        for _ in range(4):
            assert await bank.code(asked(WRONG_PIN, 1, key=bytes(range(16)))) == "59"
        assert await bank.codes(asked(PIN, 1), asked(WRONG_PIN, 1)) == ["00", "59"]
        wrong = [asked(WRONG_PIN, counter) for counter in (2, 3, 4)]
        assert await bank.codes(*wrong, asked(PIN, 5)) == ["55", "55", "55", "75"]
    assert await atc_of(db, card) == 5


async def test_a_chip_has_signed_the_amount_that_is_asked_for(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    another = bytes.fromhex("000000000999")
    asked = purchase(card, 1_000)
    riel = purchase(card, 1_000)
    fee = changed(purchase(card, 1_000), f28="D00000001")
    lower = by_chip(card, 1_000, 4, t9F02=another)
    async with hosted(db) as at_work, at_work.called() as bank:
        answer = await bank.ask(with_chip(asked, signed(card, asked, 1, t9F02=another)))
        tags = signed(card, riel, 2, t5F2A=bytes.fromhex("0116"))
        assert (answer.fields[39], shown(answer) is not None) == ("59", True)
        assert await bank.code(with_chip(riel, tags)) == "59"
        assert await bank.code(with_chip(fee, signed(card, fee, 3, t9F02=another))) == "00"
    assert await reasons(db, purse) == ["cryptogram_wrong", "cryptogram_wrong", None]
    assert await atc_of(db, card) == 3
    quick = parse("chip_amount_differs = true", name="quick")
    async with hosted(db, make_link(profile=quick)) as at_work, at_work.called() as bank:
        assert await bank.code(lower) == "00"
    assert money(await balance_of(db, purse.account)) == (10_000, 8_000)


async def test_what_is_no_chips_data_is_malformed(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    asked = purchase(purse.card, 1_000)
    tags = dict(signed(purse.card, asked, 1))
    whole = tlv.encode(tags)
    without = [tlv.encode({n: v for n, v in tags.items() if n != tag}) for tag in tags]
    bad = [b"\0", whole[:-1], whole + b"\x9f", whole + whole, *without]
    bad.remove(tlv.encode({n: v for n, v in tags.items() if n != "9F03"}))
    async with hosted(db) as at_work, at_work.called() as bank:
        for data in bad:
            sent = purchase(purse.card, 1_000)
            answer = await bank.ask(
                replace(sent, secrets={**sent.secrets, 55: Secret(data.hex().upper())})
            )
            assert (answer.fields[39], answer.fields[44], shown(answer)) == ("30", "055", None)
        assert await bank.code(with_chip(asked, tags)) == "00"
    assert money(await balance_of(db, purse.account)) == (10_000, 9_000)


async def test_a_repeat_has_the_same_bytes_and_is_no_second_use(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    asked = [by_chip(card, 1_000, 1), by_chip(card, 99_999, 2)]
    inquiry = purchase(card, 0, kind="inquire")
    asked.append(with_chip(inquiry, signed(card, inquiry, 3)))
    asked.append(by_chip(card, 1_000, 3))
    for message in asked:
        answers: list[bytes] = []
        for _ in range(2):
            async with hosted(db) as at_work, at_work.wired() as wire:
                answers += [await wire.ask(message), await wire.ask(acquirer.repeated(message))]
        assert all_same(answers)
    assert await reasons(db, purse) == [None, "insufficient_funds", "cryptogram_used"]
    assert money(await balance_of(db, purse.account)) == (10_000, 9_000)


async def test_of_messages_of_one_use_one_is_approved(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    for counter in range(1, 6):
        asked = [by_chip(card, 100 + n, counter) for n in range(8)]
        async with hosted(db) as one, hosted(db) as other:
            codes = await asyncio.gather(
                *(_code(one, each) for each in asked[::2]),
                *(_code(other, each) for each in asked[1::2]),
            )
        assert sorted(codes) == ["00", *["59"] * 7]
        assert await atc_of(db, card) == counter


async def _code(at_work: Hosted, message: Message) -> str:
    async with at_work.called() as bank:
        return await bank.code(message)


async def test_what_is_told_and_what_is_added_is_not_judged_by_a_copy(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    junk: Tags = {"9F26": bytes(8)}
    async with hosted(db) as at_work, at_work.called() as bank:
        asked = by_chip(card, 1_000, 1)
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
        answers = [await bank.ask(with_chip(each, junk)) for each in later]
    assert [(each.fields[39], shown(each)) for each in answers] == [("00", None)] * len(later)
    assert await atc_of(db, card) == 1
    assert await unmatched(db) == []
    assert money(await balance_of(db, purse.account)) == (9_800, 9_800)


async def test_without_chip_data_a_request_is_judged_by_the_rest(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    async with hosted(db) as at_work, at_work.called() as bank:
        assert await bank.code(by_chip(purse.card, 1_000, 9)) == "00"
        answer = await bank.ask(changed(purchase(purse.card, 1_000), f22="051", f23="001"))
        assert (answer.fields[39], shown(answer)) == ("00", None)
    assert await atc_of(db, purse.card) == 9


async def test_what_a_chip_has_signed_is_kept_nowhere(
    db: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    sent = [
        by_chip(card, 1_000, 1),
        by_chip(card, 99_999, 2),
        by_chip(card, 1, 1),
        by_chip(card, 1, 3),
    ]
    sent[3] = with_chip(sent[3], {"9F26": secrets.token_bytes(8)})
    async with hosted(db) as at_work, at_work.called() as bank:
        assert await bank.codes(*sent) == ["00", "51", "59", "30"]
    tables = """SELECT schemaname || '.' || tablename AS name FROM pg_tables
        WHERE schemaname IN ('cards', 'events', 'ledger', 'batch')"""
    kept: list[str] = []
    for table in await db.read(lambda tx: tx.rows(tables)):
        whole = cast("LiteralString", f"SELECT to_json(t)::text AS row FROM {table['name']} AS t")
        kept += [row["row"] for row in await db.read(lambda tx, whole=whole: tx.rows(whole))]
    assert len(kept) > len(sent)
    said = "".join([*kept, *capfd.readouterr()]).upper()
    for message in sent:
        data = bytes.fromhex(message.secrets[55].reveal())
        cryptogram = tlv.decode(data)["9F26"]
        for secret in (data.hex(), cryptogram.hex()):
            assert secret.upper() not in said
            assert secret.upper() not in f"{message!r}{message.__rich_repr__()}".upper()
