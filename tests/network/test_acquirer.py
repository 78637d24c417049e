"""The acquirer's messages: every field of each, and what it makes of the answers."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from pyemv import tlv

from bayon.cards import ChipCard
from bayon.log import Secret
from bayon.network import acquirer
from bayon.network.acquirer import (
    Amount,
    BadOriginal,
    Balance,
    Original,
    Place,
    Plastic,
    Stamp,
    balances,
    is_approved,
    read_original,
    reference,
)
from bayon.network.iso8583 import Message, decode, encode
from bayon.network.profile import SHIPPED, parse
from network.samples import PROFILES

PROFILE = PROFILES["ascii-binary"]
PAN = Secret("9116001234567890")
CARD = Plastic(pan=PAN)
PAID = Amount(1234, "840")
STAMP = Stamp(datetime(2026, 12, 31, 18, 30, 59, tzinfo=UTC), 7)
LATER = Stamp(datetime(2027, 1, 1, 2, 3, 4, tzinfo=UTC), 8)
PLACE = Place(name="Rocket Rides", terminal="T1", merchant_number="SHOP")
ORIGINAL = Original(
    mti="0100",
    stan="000007",
    transmitted="1231183059",
    acquirer="116001",
    rrn="636518000007",
    approval_code="A1B2C3",
    processing="000000",
    amount=PAID,
    terminal="T1      ",
)
USUAL = {
    4: "000000001234",
    18: "4121",
    22: "012",
    25: "00",
    32: "116001",
    37: "636518000007",
    41: "T1      ",
    42: "SHOP           ",
    43: "Rocket Rides             Phnom Penh   KH",
    49: "840",
}
SENT = {7: "1231183059", 11: "000007", 12: "013059", 13: "0101"}
SENT_LATER = {7: "0101020304", 11: "000008", 12: "090304", 13: "0101", 38: "A1B2C3"}

MESSAGES = {
    "purchase": (
        acquirer.request("purchase", CARD, PAID, PLACE, STAMP, profile=PROFILE),
        "0100",
        {**USUAL, **SENT, 3: "000000"},
    ),
    "purchase, posted at once": (
        acquirer.request("purchase", CARD, PAID, PLACE, STAMP, profile=PROFILE, single=True),
        "0200",
        {**USUAL, **SENT, 3: "000000"},
    ),
    "purchase, a part would do": (
        acquirer.request("purchase", CARD, PAID, PLACE, STAMP, profile=PROFILE, partial=True),
        "0100",
        {**USUAL, **SENT, 3: "000000", 24: "181"},
    ),
    "cash": (
        acquirer.request("withdraw", CARD, PAID, PLACE, STAMP, profile=PROFILE),
        "0200",
        {**USUAL, **SENT, 3: "010000"},
    ),
    "refund": (
        acquirer.request("refund", CARD, PAID, PLACE, STAMP, profile=PROFILE),
        "0100",
        {**USUAL, **SENT, 3: "200000"},
    ),
    "inquiry": (
        acquirer.request("inquire", CARD, Amount(0, "840"), PLACE, STAMP, profile=PROFILE),
        "0100",
        {**USUAL, **SENT, 3: "310000", 4: "0" * 12},
    ),
    "verification": (
        acquirer.request("verify", CARD, Amount(0, "840"), PLACE, STAMP, profile=PROFILE),
        "0100",
        {**USUAL, **SENT, 3: "000000", 4: "0" * 12},
    ),
    "increment": (
        acquirer.increment(ORIGINAL, CARD, Amount(500, "840"), PLACE, LATER),
        "0100",
        {**USUAL, **SENT_LATER, 3: "000000", 4: "000000000500", 24: "187"},
    ),
    "reversal": (
        acquirer.reversal(ORIGINAL, CARD, PLACE, LATER),
        "0400",
        {
            **USUAL,
            **SENT_LATER,
            3: "000000",
            90: "010000000712311830590000011600100000000000",
        },
    ),
    "reversal in part": (
        acquirer.reversal(ORIGINAL, CARD, PLACE, LATER, remaining_minor=1000, advice=True),
        "0420",
        {
            **USUAL,
            **SENT_LATER,
            3: "000000",
            90: "010000000712311830590000011600100000000000",
            95: "000000001000" + "0" * 30,
        },
    ),
    "completion": (
        acquirer.told_later(ORIGINAL, CARD, Amount(99, "840"), PLACE, LATER, final=True),
        "0220",
        {**USUAL, **SENT_LATER, 3: "000000", 4: "000000000099", 39: "00"},
    ),
    "advice": (
        acquirer.told_later(ORIGINAL, CARD, PAID, PLACE, LATER, final=False),
        "0120",
        {**USUAL, **SENT_LATER, 3: "000000", 39: "00"},
    ),
}


@pytest.mark.parametrize(("message", "mti", "fields"), MESSAGES.values(), ids=MESSAGES.keys())
def test_each_message_has_its_fields(message: Message, mti: str, fields: dict[int, str]) -> None:
    assert (message.mti, dict(message.fields)) == (mti, fields)
    assert message.secrets == {2: PAN}


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("message", [each for each, _, _ in MESSAGES.values()], ids=MESSAGES.keys())
def test_each_message_is_valid_on_every_wire(message: Message, name: str) -> None:
    assert decode(encode(message, PROFILES[name]), PROFILES[name]) == message


@pytest.mark.parametrize(
    ("what", "code"), [("sign-on", "001"), ("sign-off", "002"), ("echo", "301")]
)
def test_the_link_itself_is_spoken_of(what: str, code: str) -> None:
    message = acquirer.management(what, STAMP)
    assert (message.mti, message.fields) == ("0800", {7: SENT[7], 11: SENT[11], 70: code})


def test_a_card_is_told_as_it_was_read() -> None:
    striped = Plastic(track2=Secret("9116001234567890=2912"), expiry="2912")
    message = acquirer.request("purchase", striped, PAID, PLACE, STAMP, profile=PROFILE)
    assert message.secrets == {35: striped.track2}
    assert (message.fields[14], message.fields[22]) == ("2912", "022")


def test_a_chip_signs_what_is_asked_for_and_nothing_later() -> None:
    chip = ChipCard(pan=PAN, key=Secret("0123456789ABCDEFFEDCBA9876543210"), counter=7, psn="02")
    card = replace(CARD, chip=chip)
    asked = acquirer.request("withdraw", card, PAID, PLACE, STAMP, profile=PROFILE)
    assert (asked.fields[22], asked.fields[23]) == ("052", "002")
    said = tlv.decode(bytes.fromhex(asked.secrets[55].reveal()))
    signed = {"9F02": "000000001234", "5F2A": "0840", "9A": "270101", "9C": "01", "9F36": "0007"}
    assert {tag: said[tag].hex() for tag in signed} == signed
    assert acquirer.request("withdraw", card, PAID, PLACE, STAMP, profile=PROFILE) == asked
    for wire in PROFILES.values():
        assert decode(encode(asked, wire), wire) == asked
    for message in (
        acquirer.increment(ORIGINAL, card, PAID, PLACE, LATER),
        acquirer.reversal(ORIGINAL, card, PLACE, LATER),
        acquirer.told_later(ORIGINAL, card, PAID, PLACE, LATER, final=True),
    ):
        assert message.secrets == {2: PAN}


def test_a_pin_is_sent_with_a_request_and_never_with_what_has_happened() -> None:
    block = Secret("0123456789ABCDEF")
    card = replace(CARD, pin_block=block)
    asked = acquirer.request("withdraw", card, PAID, PLACE, STAMP, profile=PROFILE)
    assert (asked.secrets, asked.fields[22]) == ({2: PAN, 52: block}, "011")
    for message in (
        acquirer.reversal(ORIGINAL, card, PLACE, LATER),
        acquirer.told_later(ORIGINAL, card, PAID, PLACE, LATER, final=True),
    ):
        assert message.secrets == {2: PAN}


def test_an_inquiry_is_called_what_the_link_calls_it() -> None:
    visa = parse('inquiry = ["30"]', name="visa")
    asked = acquirer.request("inquire", CARD, PAID, PLACE, STAMP, profile=visa)
    assert asked.fields[3] == "300000"


def test_a_name_or_city_that_is_too_long_is_cut() -> None:
    place = replace(PLACE, name="N" * 60, city="C" * 60)
    asked = acquirer.request("purchase", CARD, PAID, place, STAMP, profile=PROFILE)
    assert asked.fields[43] == "N" * 25 + "C" * 13 + "KH"


def test_a_repeat_is_the_same_with_an_odd_last_digit() -> None:
    message = acquirer.reversal(ORIGINAL, CARD, PLACE, LATER, advice=True)
    again = acquirer.repeated(message)
    assert again == structs.replace(message, mti="0421")
    assert acquirer.repeated(again) == again


def test_the_original_is_made_of_the_request_and_of_the_answer_if_there_is_one() -> None:
    asked = acquirer.request("purchase", CARD, PAID, PLACE, STAMP, profile=PROFILE)
    answer = Message(mti="0110", fields={4: "000000001000", 38: "A1B2C3", 39: "10"})
    partly = replace(ORIGINAL, amount=Amount(1000, "840"))
    assert acquirer.original_of(asked, answer) == partly
    assert acquirer.original_of(acquirer.repeated(asked), answer) == partly
    assert acquirer.original_of(asked, None) == replace(ORIGINAL, approval_code="")


def test_what_nobody_asked_for_has_a_reference_of_its_own() -> None:
    offline = acquirer.approved_offline(PLACE, PAID, STAMP, approval_code="A1B2C3")
    assert replace(offline, terminal=ORIGINAL.terminal) == ORIGINAL


def test_a_reference_tells_year_day_hour_and_number() -> None:
    assert reference(STAMP) == "636518000007"
    assert reference(LATER) == "700102000008"


_WORDS = st.text("AZaz09", min_size=6, max_size=6)
_ORIGINALS = st.builds(
    Original,
    mti=st.sampled_from(["0100", "0200", "0220"]),
    stan=st.from_regex("[0-9]{6}", fullmatch=True),
    transmitted=st.just("1231183059"),
    acquirer=st.from_regex("[0-9]{1,11}", fullmatch=True),
    rrn=st.builds("{}{}".format, _WORDS, _WORDS),
    approval_code=st.just("") | _WORDS,
    processing=st.just("010000"),
    amount=st.builds(Amount, st.integers(0, 10**12 - 1), st.sampled_from(["840", "116"])),
    terminal=st.text("A1-. /", min_size=1, max_size=8).map(str.strip).filter(bool),
)


@given(_ORIGINALS)
def test_an_original_is_read_as_it_was_written(original: Original) -> None:
    assert read_original(original.token) == original
    assert len(original.elements) == 42


@pytest.mark.parametrize("token", ["", "0100", ORIGINAL.token[1:], ORIGINAL.token + "too long"])
def test_what_is_no_original_is_refused(token: str) -> None:
    with pytest.raises(BadOriginal):
        read_original(token)


@pytest.mark.parametrize(
    ("code", "approved"), [("00", True), ("10", True), ("85", True), ("05", False), ("51", False)]
)
def test_a_code_is_a_yes_or_a_no(code: str, *, approved: bool) -> None:
    assert is_approved(Message(mti="0110", fields={39: code}), PROFILE) is approved


def test_an_answer_without_a_code_is_no_yes_and_a_profile_has_its_own() -> None:
    assert not is_approved(Message(mti="0110"), PROFILE)
    theirs = parse('[response_codes]\napproved = "A0"', name="theirs")
    assert is_approved(Message(mti="0110", fields={39: "A0"}), theirs)
    assert not is_approved(Message(mti="0110", fields={39: "00"}), theirs)


def test_balances_are_read_with_their_sign() -> None:
    text = "0001840C0000000100000002840D0000000000500040116C000000000001"
    assert balances(Message(mti="0110", fields={54: text})) == [
        Balance("ledger", "USD", 10_000),
        Balance("available", "USD", -50),
        Balance("40", "KHR", 1),
    ]
    assert balances(Message(mti="0110")) == []
