"""The codec: vectors, pyiso8583 as oracle, what each field promises, and whatever bytes come."""

import contextlib
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.network.fields import FIELDS, HIDDEN
from bayon.network.frame import Framer
from bayon.network.iso8583 import BITMAP, MTI, BadMessage, Message, decode, encode
from bayon.network.profile import SHIPPED, Profile, parse
from network import oracle
from network.samples import PROFILES, VECTORS, message_of, messages

CASES = [(name, wire) for name in VECTORS for wire in SHIPPED]
ODD = parse(
    'pad = "right"\nnumbers = "bcd"\nlengths = "binary"\nmti = "bcd"\ncharset = "cp500"', name="odd"
)
PURCHASE = VECTORS["purchase"][0]


@pytest.mark.parametrize(("name", "wire"), CASES)
def test_vectors_are_read_and_written_as_others_write_them(name: str, wire: str) -> None:
    message, frames = VECTORS[name]
    profile = PROFILES[wire]
    (frame,) = Framer(profile.framing).feed(frames[wire])
    assert decode(frame.body, profile) == message
    assert encode(message, profile) == frame.body
    assert oracle.decoded(frame.body, profile) == oracle.plain(message)
    assert oracle.encoded(message, profile) == frame.body


@pytest.mark.parametrize("profile", [*PROFILES.values(), ODD], ids=[*SHIPPED, "odd"])
@given(data=st.data())
def test_any_message_is_written_as_by_pyiso8583_and_comes_back(
    profile: Profile, data: st.DataObject
) -> None:
    message = data.draw(messages(profile))
    body = encode(message, profile)
    assert body == oracle.encoded(message, profile)
    assert oracle.decoded(body, profile) == oracle.plain(message)
    assert decode(body, profile) == message


@pytest.mark.parametrize("profile", [*PROFILES.values(), ODD], ids=[*SHIPPED, "odd"])
@given(data=st.data())
def test_what_is_read_quickly_is_read_the_same_when_looked_at_field_by_field(
    profile: Profile, data: st.DataObject
) -> None:
    """A message that lacks something is read slowly, so that it can be told what."""
    message = data.draw(messages(profile))
    lacking = encode(Message(mti="0100", fields=message.fields, secrets=message.secrets), profile)
    if all(any(map(message.has, group)) for group in profile.required("0100")):
        return
    with pytest.raises(BadMessage, match="is missing") as caught:
        decode(lacking, profile)
    assert caught.value.partial is not None
    assert caught.value.partial.fields == message.fields
    assert caught.value.partial.secrets == message.secrets


@given(st.sampled_from([*PROFILES.values(), ODD]), st.binary(max_size=400))
def test_any_bytes_are_a_message_or_bad(profile: Profile, body: bytes) -> None:
    with contextlib.suppress(BadMessage):
        assert oracle.plain(decode(body, profile)) == oracle.decoded(body, profile)


@pytest.mark.parametrize(("name", "wire"), CASES)
def test_a_message_that_is_cut_short_or_goes_on_is_bad_and_read_as_far_as_it_goes(
    name: str, wire: str
) -> None:
    message, frames = VECTORS[name]
    body = frames[wire][2:]
    for end in range(len(body)):
        with pytest.raises(BadMessage) as caught:
            decode(body[:end], PROFILES[wire])
        assert caught.value.field is not None
        partial = caught.value.partial or Message(mti=message.mti)
        assert partial.fields.items() <= message.fields.items()
        assert partial.secrets.items() <= message.secrets.items()
    with pytest.raises(BadMessage, match="goes on") as caught:
        decode(body + b"\0", PROFILES[wire])
    assert caught.value.field is None
    assert caught.value.partial == message


BAD = {
    "letters in a card number": (2, "91160000000A2345"),
    "no card number": (2, ""),
    "a card number too long": (2, "9" * 20),
    "a processing code of letters": (3, "00000A"),
    "a processing code too short": (3, "00000"),
    "an amount with a sign": (4, "-00000001000"),
    "an amount with a point": (4, "000000010.00"),
    "an amount in Khmer digits": (4, "០" * 12),
    "an amount in superscripts": (4, "²" * 12),
    "a date that never is": (7, "0230120000"),
    "a month that never is": (7, "1301120000"),
    "an hour that never is": (7, "1120240000"),
    "a minute that never is": (7, "1120236000"),
    "a second that never is": (7, "1120235960"),
    "a time that never is": (12, "240000"),
    "a day that never is": (13, "1131"),
    "a day zero": (13, "1100"),
    "an expiry in month 13": (14, "2913"),
    "a merchant type of letters": (18, "TAXI"),
    "a fee without its side": (28, "000000100"),
    "a track of letters": (35, "9116A"),
    "a reference with a dash": (37, "63240900-316"),
    "a response code with a sign": (39, "-1"),
    "a terminal with a line break": (41, "TERM\n001"),
    "a terminal beyond ASCII": (41, "TERM00é1"),
    "a place with a bell": (43, "\a" * 40),
    "a currency of letters": (49, "USD"),
    "a PIN block too short": (52, "0123456789ABCD"),
    "a PIN block of half a byte": (52, "0123456789ABCDE"),
    "a PIN block of other letters": (52, "0123456789ABCDEX"),
    "a PIN block with blanks": (52, "01 23 45 67 89 A"),
    "amounts of nineteen characters": (54, "0001840C00000001000"),
    "amounts without a side": (54, "0001840X000000010000"),
    "no chip data": (55, ""),
    "half a byte of chip data": (55, "ABC"),
    "private data beyond a byte": (60, "ក"),
    "private data without end": (60, "x" * 1_000),
    "a management code of letters": (70, "00A"),
    "original data elements of letters": (90, "x" * 42),
}


@pytest.mark.parametrize("wire", SHIPPED)
@pytest.mark.parametrize(("number", "value"), BAD.values(), ids=BAD.keys())
def test_what_a_field_does_not_promise_is_not_written(number: int, value: str, wire: str) -> None:
    message = message_of({11: "000001", number: value}, mti="0800")
    with pytest.raises(BadMessage) as caught:
        encode(message, PROFILES[wire])
    assert caught.value.field == number
    assert value not in caught.value.message or not value


@pytest.mark.parametrize(("number", "value"), BAD.values(), ids=BAD.keys())
def test_what_a_field_does_not_promise_is_not_read(number: int, value: str) -> None:
    """All that stands behind it is read all the same, if its length lets it."""
    profile = PROFILES["ascii-binary"]
    try:
        body = oracle.encoded(message_of({number: value, 128: "00" * 8}, mti="0800"), profile)
    except ValueError:
        return  # pyiso8583 cannot write it either
    with pytest.raises(BadMessage) as caught:
        decode(body, profile)
    assert caught.value.field == number
    assert caught.value.reason.startswith("is not ")
    assert caught.value.partial == message_of({128: "00" * 8}, mti="0800")


MISSING = [(2, "2"), (3, "3"), (4, "4"), (11, "11"), (49, "49")]


@pytest.mark.parametrize("mti", ["0100", "0101", "0200", "0201"])
@pytest.mark.parametrize(("number", "told"), MISSING)
def test_a_request_without_what_it_must_have_is_bad(mti: str, number: int, told: str) -> None:
    profile = PROFILES["ascii-binary"]
    values = {2: "9116000000123455", 3: "000000", 4: "000000001000", 11: "000001", 49: "840"}
    whole = message_of(values, mti=mti)
    assert decode(encode(whole, profile), profile) == whole
    lacking = message_of({n: v for n, v in values.items() if n != number}, mti=mti)
    with pytest.raises(BadMessage, match=f"Field {told} is missing") as caught:
        decode(encode(lacking, profile), profile)
    assert caught.value.partial == lacking


def test_a_track_is_as_good_as_a_card_number() -> None:
    profile = PROFILES["ascii-binary"]
    values = {3: "000000", 4: "000000001000", 11: "000001", 35: "9116=2911", 49: "840"}
    message = message_of(values, mti="0100")
    assert decode(encode(message, profile), profile) == message


HEADS = {
    "nothing": (b"", MTI),
    "half an MTI": (b"01", MTI),
    "an MTI of 1993": (b"1100" + b"\0" * 8, MTI),
    "an MTI of letters": (b"01OO" + b"\0" * 8, MTI),
    "no bitmap": (b"0800", BITMAP),
    "half a bitmap": (b"0800" + b"\0" * 7, BITMAP),
    "half a second bitmap": (b"0800\x80" + b"\0" * 14, BITMAP),
    "a third bitmap": (b"0800\x80" + b"\0" * 7 + b"\x80" + b"\0" * 7, BITMAP),
}


@pytest.mark.parametrize(("body", "part"), HEADS.values(), ids=HEADS.keys())
def test_what_does_not_begin_as_a_message_is_bad(body: bytes, part: int) -> None:
    with pytest.raises(BadMessage) as caught:
        decode(body, PROFILES["ascii-binary"])
    assert caught.value.field == part
    assert (caught.value.partial is None) == (part == MTI)


@pytest.mark.parametrize("bitmap", ["00200000 0000000", "0020000000 00000", "0x20000000000000"])
def test_a_bitmap_of_other_than_hex_digits_is_bad(bitmap: str) -> None:
    with pytest.raises(BadMessage, match="bitmap is not hex"):
        decode(f"0800{bitmap}000001".encode(), PROFILES["ascii-hex"])


def test_hex_digits_of_either_case_are_read() -> None:
    profile = PROFILES["ascii-hex"]
    message = message_of({2: "9116", 52: "ABCDEF0123456789"}, mti="0800")
    body = encode(message, profile)
    assert body == b"080040000000000010000" + b"49116ABCDEF0123456789"
    assert decode(body.lower(), profile) == message


@pytest.mark.parametrize("length", [b" 4", b"+4", b"-4", b"4 ", b"_4", "²4".encode("latin-1")])
def test_a_length_is_digits_and_nothing_else(length: bytes) -> None:
    with pytest.raises(BadMessage, match="Field 2 has no length"):
        decode(b"0800\x40" + b"\0" * 7 + length + b"9116", PROFILES["ascii-binary"])


def test_a_digit_that_fills_up_is_a_zero_on_the_left_and_f_on_the_right() -> None:
    left, right = PROFILES["bcd"], parse('numbers = "bcd"\npad = "right"', name="right")
    message = message_of({22: "051", 49: "840"}, mti="0800")
    head = "0000040000008000"
    assert encode(message, left).hex() == f"0800{head}00510840"
    assert encode(message, right).hex() == f"{b'0800'.hex()}{head}051f840f"
    for body in (f"0800{head}10510840", f"0800{head}00511840"):
        with pytest.raises(BadMessage, match="filled up"):
            decode(bytes.fromhex(body), left)
    with pytest.raises(BadMessage, match="Field 49 is odd and not filled up"):
        decode(bytes.fromhex(f"{b'0800'.hex()}{head}051f8400"), right)


@pytest.mark.parametrize("number", [-1, 65, 129])
def test_a_field_that_is_none_is_not_written(number: int) -> None:
    with pytest.raises(BadMessage, match=f"Field {number} is not used"):
        encode(Message(mti="0800", fields={number: "1"}), PROFILES["ascii-binary"])


@pytest.mark.parametrize("mti", ["", "800", "08000", "1800", "08O0", "០៨០០"])
def test_an_mti_that_is_none_is_not_written(mti: str) -> None:
    with pytest.raises(BadMessage, match="The MTI is not"):
        encode(Message(mti=mti), PROFILES["ascii-binary"])


def test_what_a_card_must_keep_to_itself_is_nowhere_in_clear() -> None:
    profile = PROFILES["ascii-binary"]
    values = {n: "9" * 18 if FIELDS[n].digits else "9" * FIELDS[n].size for n in HIDDEN - {52}}
    message = message_of({**values, 52: "99" * 8, 48: "CVC2 999"}, mti="0800")
    read = decode(encode(message, profile), profile)
    assert read.secrets.keys() == HIDDEN
    assert read.fields.keys() == {48}
    assert not re.search(r"9{3}", f"{read!r} {read}")
    with pytest.raises(TypeError):
        pickle.dumps(read)


def test_an_error_tells_no_content() -> None:
    message = message_of({2: "9" * 19, 41: "9" * 8, 48: "9" * 9, 49: "840"}, mti="0800")
    body = encode(message, PROFILES["ascii-binary"]).replace(b"840", b"XYZ")
    with pytest.raises(BadMessage) as caught:
        decode(body, PROFILES["ascii-binary"])
    error = caught.value
    assert error.message == "Field 49 is not 3 digits."
    assert [(problem.pointer, problem.code) for problem in error.problems] == [
        ("/49", "bad_message")
    ]
    assert not re.search("9{4}|XYZ", f"{error!r} {error} {error.problems} {error.partial!r}")


def test_a_message_is_equal_to_one_that_says_the_same() -> None:
    assert message_of({2: "9116"}, mti="0800") == message_of({2: "9116"}, mti="0800")
    assert message_of({2: "9116"}, mti="0800") != message_of({2: "9117"}, mti="0800")
    assert PURCHASE.has(2)
    assert PURCHASE.has(3)
    assert not PURCHASE.has(65)
