"""Descriptions: everything has its name, and nothing of a card is shown that may not be."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.cli import main
from bayon.log import Secret
from bayon.network import DEFAULT_PROFILE, describe_dump, load_profile, read_dump
from bayon.network.describe import describe, describe_bad, masked_pan, mti_name
from bayon.network.fields import FIELDS, HIDDEN
from bayon.network.frame import BadFrame
from bayon.network.iso8583 import BadMessage, decode
from bayon.network.profile import SHIPPED
from network.samples import PROFILES, VECTORS, message_of, messages

PROFILE = load_profile(DEFAULT_PROFILE)
PURCHASE, FRAMES = VECTORS["purchase"]
FRAME = FRAMES["ascii-binary"]
LEDGER = "0001840C000000010000  ledger balance, default account, USD"
AVAILABLE = "0002840C000000009000  available balance, default account, USD"


def test_a_message_is_told_by_names() -> None:
    assert describe(VECTORS["approval"][0]).splitlines() == [
        "0110  authorisation response, from acquirer",
        "    2  Primary account number                911600******3457",
        "    3  Processing code                       000000  purchase, default to default account",
        "    4  Amount, transaction                   000000001000",
        "    7  Transmission date and time            1120093015",
        "   11  System trace audit number             003316",
        "   12  Time, local transaction               163015",
        "   13  Date, local transaction               1120",
        "   32  Acquiring institution                 12345",
        "   37  Retrieval reference number            632409003316",
        "   38  Approval code                         A1B2C3",
        "   39  Response code                         00  approved",
        "   41  Terminal                              TERM0001",
        "   42  Card acceptor                         MERCHANT0000001",
        "   49  Currency, transaction                 840  USD",
        f"   54  Additional amounts                    {LEDGER}",
        f"                                             {AVAILABLE}",
    ]


MTIS = [
    ("0100", "authorisation request, from acquirer"),
    ("0101", "authorisation request, from acquirer, repeated"),
    ("0130", "authorisation advice response, from acquirer"),
    ("0421", "reversal advice, from acquirer, repeated"),
    ("0810", "network management response, from acquirer"),
    ("0302", "file action request, from issuer"),
    ("0998", "reserved (9) reserved (9), from reserved (8)"),
]


@pytest.mark.parametrize(("mti", "name"), MTIS)
def test_an_mti_is_told_by_its_parts(mti: str, name: str) -> None:
    assert mti_name(mti) == name


PANS = [
    ("9116000000123457", "911600******3457"),
    ("9116000000123456787", "911600*********6787"),
    ("411111111111111", "411111*****1111"),
    ("91160000001234", "**********1234"),
    ("123456789", "*****6789"),
    ("12345678", "********"),
    ("1", "*"),
]


@pytest.mark.parametrize(("pan", "shown"), PANS)
def test_a_card_number_shows_its_ends_at_most(pan: str, shown: str) -> None:
    assert masked_pan(Secret(pan)) == shown


def test_nothing_is_shown_that_may_not_be() -> None:
    hidden = {n: "7" * 18 if FIELDS[n].digits else "7" * FIELDS[n].size for n in HIDDEN - {52}}
    private = {n: "CVC2 777" for n, field in FIELDS.items() if field.kind == "ansb"}
    accounts = {102: "7" * 16, 103: "7" * 19}
    message = message_of({**hidden, **private, **accounts, 52: "77" * 8}, mti="0100")
    text = describe(message)
    assert len(text.splitlines()) == 1 + len(HIDDEN | private.keys() | accounts.keys())
    assert "CVC2" not in text
    assert max(map(len, re.findall("7+", text))) == 6


@given(messages(PROFILE))
def test_any_message_is_told_in_printable_lines(message: object) -> None:
    assert isinstance(message, type(PURCHASE))
    lines = describe(message).splitlines()
    assert len(lines) > len(message.fields) + len(message.secrets)
    assert all(line.isascii() and line.isprintable() for line in lines)


@given(st.binary(max_size=200))
def test_any_dump_is_told_or_no_dump(data: bytes) -> None:
    try:
        text, _ = describe_dump(data, PROFILE, framed=True)
    except BadFrame:
        text, valid = describe_dump(data, PROFILE, framed=False)
        assert text
        assert not valid or decode(data, PROFILE)
    assert text


def test_of_a_bad_message_is_told_what_can_be_read_and_what_is_wrong() -> None:
    with pytest.raises(BadMessage) as caught:
        decode(FRAME[2:].replace(b"840", b"USD"), PROFILE)
    told = describe_bad(caught.value).splitlines()
    assert told[:-1] == [line for line in describe(PURCHASE).splitlines() if "Currency" not in line]
    assert told[-1] == "NOT VALID: Field 49 is not 3 digits."


@pytest.mark.parametrize("wire", SHIPPED)
def test_every_message_of_a_dump_is_told(wire: str) -> None:
    dump = b"".join(frames[wire] for _, frames in VECTORS.values())
    text, valid = describe_dump(dump, PROFILES[wire], framed=True)
    assert text.split("\n\n") == [describe(message) for message, _ in VECTORS.values()]
    assert valid
    text, valid = describe_dump(dump + b"\0", PROFILES[wire], framed=True)
    assert text.endswith("NOT VALID: 1 bytes behind the last whole frame.")
    assert not valid


DUMPS = [
    (b"0800", b"\x08\x00"),
    (b" 08 00\r\n\t82 ", b"\x08\x00\x82"),
    (b"08 00 8", b"08 00 8"),
    (b"\x00\x040800", b"\x00\x040800"),
    (b"", b""),
]


@pytest.mark.parametrize(("content", "expected"), DUMPS)
def test_a_dump_of_hex_digits_is_read_as_what_they_say(content: bytes, expected: bytes) -> None:
    assert read_dump(content) == expected


def test_the_command_line_tells_a_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dump.bin"
    path.write_bytes(FRAMES["bcd"])
    (tmp_path / "dump.txt").write_text(FRAMES["bcd"].hex(" "))
    (tmp_path / "own.toml").write_text('bitmap = "hex"\nbinary = "hex"')
    hexed = FRAMES["ascii-hex"].hex()
    for words in (
        [FRAME.hex()],
        [FRAME.hex(" ")],
        [FRAME[2:].hex(), "--no-frame"],
        [str(path), "--profile", "bcd"],
        [str(tmp_path / "dump.txt"), "--profile", "bcd"],
        [hexed, "--profile", str(tmp_path / "own.toml")],
    ):
        assert main(["iso", "describe", *words]) == 0
        assert capsys.readouterr().out == f"{describe(PURCHASE)}\n"


REFUSED = {
    "no such file": (["nowhere.bin"], "nowhere.bin"),
    "no such profile": (["0800", "--profile", "nowhere"], "nowhere is none of ascii-binary"),
    "a bare message": ([FRAME[2:].hex()], "--no-frame"),
    "half a frame": ([FRAME[:20].hex()], "The dump holds no whole frame"),
}


@pytest.mark.parametrize(("words", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_the_command_line_says_why_it_tells_nothing(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["iso", "describe", *words]) == 1
    assert told in capsys.readouterr().err


def test_the_command_line_says_by_its_code_that_a_message_is_bad(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["iso", "describe", FRAME[2:-1].hex(), "--no-frame"]) == 1
    assert "NOT VALID: Field 55 is cut short." in capsys.readouterr().out
