"""Chip cryptograms: judged and answered as another program does, and read from a message."""

import secrets
from typing import Final

import pytest
from pyemv import tlv

from bayon.cards.chip import ChipData, ChipKey, parse_chip_data
from cards.oracles import CASES, digits, pyemv_answer, pyemv_cryptogram

SIZES: Final = {
    "9F02": 6,
    "9F03": 6,
    "9F1A": 2,
    "95": 5,
    "5F2A": 2,
    "9A": 3,
    "9C": 1,
    "9F37": 4,
    "82": 2,
    "9F36": 2,
}
KEY: Final = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
PAN: Final = "4111111111111111"
APPROVED: Final = bytes.fromhex("00800000")
VERSIONS: Final = (10, 18)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cryptogram_of_another_program_is_right_and_answered_as_it_does(version: int) -> None:
    different: list[tuple[str, ...]] = []
    for _ in range(CASES):
        key, psn = secrets.token_bytes(16), digits(2)
        pan = digits(secrets.choice(range(12, 20)))
        tags = _tags(key, pan, psn, version)
        chip = _read(tags)
        code = secrets.choice(("00", "10", "05", "51"))
        yes = code in {"00", "10"}
        ours = ChipKey(key).answer(chip, pan=pan, psn=psn, response_code=code, approved=yes)
        update = APPROVED if yes else bytes(4)
        theirs = pyemv_answer(key, pan, psn, tags, update=update, code=code)
        if not ChipKey(key).is_cryptogram(chip, pan=pan, psn=psn) or ours != theirs:
            different.append((key.hex(), pan, psn, tlv.encode(tags).hex()))
    assert not different


def test_a_cryptogram_is_as_it_is_printed() -> None:
    # pyemv's documentation of version 18.
    tags = {
        "9F02": "000000009999",
        "9F03": "000000000000",
        "9F1A": "0840",
        "95": "8000048000",
        "5F2A": "0840",
        "9A": "991231",
        "9C": "01",
        "9F37": "52BF4585",
        "82": "1800",
        "9F36": "0FFF",
        "9F10": "06011203A0B800",
        "9F26": "769577B5ABE9FE62",
    }
    chip = _read({tag: bytes.fromhex(value) for tag, value in tags.items()})
    key = ChipKey(bytes.fromhex("AA" * 16))
    assert (chip.version, chip.counter) == (18, 4095)
    assert key.is_cryptogram(chip, pan="1234567890123456", psn="00")
    how = {"pan": "1234567890123456", "psn": "00", "response_code": "05"}
    answer = key.answer(chip, **how, approved=False)
    assert answer.hex().upper() == "76503F4800000000"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cryptogram_is_of_all_that_is_signed(version: int) -> None:
    key = ChipKey(KEY)
    tags = _tags(KEY, PAN, "01", version)
    assert key.is_cryptogram(_read(tags), pan=PAN, psn="01")
    for tag, value in tags.items():
        at = 5 if tag == "9F10" else -1  # of the issuer data what the chip found, not what it is
        changed = bytearray(value)
        changed[at] ^= 0x01
        assert not key.is_cryptogram(_read({**tags, tag: bytes(changed)}), pan=PAN, psn="01"), tag
    assert not key.is_cryptogram(_read(tags), pan=PAN, psn="02")
    assert not key.is_cryptogram(_read(tags), pan="4111111111111112", psn="01")
    other = ChipKey(secrets.token_bytes(16))
    assert not other.is_cryptogram(_read(tags), pan=PAN, psn="01")


@pytest.mark.parametrize("version", [0, 1, 9, 11, 17, 19, 34, 255])
def test_a_version_that_is_not_known_proves_nothing(version: int) -> None:
    for right in VERSIONS:
        tags = _tags(KEY, PAN, "00", right)
        data = bytearray(tags["9F10"])
        data[2] = version
        chip = _read({**tags, "9F10": bytes(data)})
        assert not ChipKey(KEY).is_cryptogram(chip, pan=PAN, psn="00")


def test_a_second_amount_that_is_not_there_is_nought() -> None:
    tags = {**_tags(KEY, PAN, "00", 18), "9F03": bytes(6)}
    tags["9F26"] = pyemv_cryptogram(KEY, PAN, "00", tags)
    without = {tag: value for tag, value in tags.items() if tag != "9F03"}
    assert ChipKey(KEY).is_cryptogram(_read(without), pan=PAN, psn="00")


def test_what_a_chip_says_is_read_in_any_order_and_beside_other_tags() -> None:
    tags = _tags(KEY, PAN, "00", 18)
    more = {"9F27": b"\x80", "5F34": b"\x01", "9F33": bytes(3), "84": bytes(7), "9F1E": bytes(8)}
    names = list(tags | more)
    secrets.SystemRandom().shuffle(names)
    mixed = {name: (tags | more)[name] for name in names}
    assert _read(mixed) == _read(tags)


def test_a_tag_that_is_missing_twice_there_or_of_another_length_is_noticed() -> None:
    tags = _tags(KEY, PAN, "00", 18)
    whole = tlv.encode(tags)
    assert parse_chip_data(whole) is not None
    for tag, value in tags.items():
        without = {name: held for name, held in tags.items() if name != tag}
        again = whole + tlv.encode({tag: value})
        short = {**tags, tag: value[:-1]}
        assert (parse_chip_data(tlv.encode(without)) is None) is (tag != "9F03"), tag
        assert parse_chip_data(again) is None, tag
        assert parse_chip_data(tlv.encode(short)) is None, tag


def test_data_that_ends_anywhere_or_is_noise_is_not_read_and_never_breaks() -> None:
    whole = tlv.encode(_tags(KEY, PAN, "00", 10))
    assert [at for at in range(len(whole)) if parse_chip_data(whole[:at])] == []
    noise = [secrets.token_bytes(secrets.randbelow(255)) for _ in range(CASES)]
    assert [data for data in noise if parse_chip_data(data)] == []
    for data in (
        b"",
        b"\x00",
        b"\x9f",
        b"\x9f\x26",
        b"\x9f\x26\x08",
        b"\x95\x81\x05",
        b"\xff" * 255,
    ):
        assert parse_chip_data(data) is None


def _tags(key: bytes, pan: str, psn: str, version: int) -> dict[str, bytes]:
    """Make what a genuine chip says, by chance."""
    tags = {tag: secrets.token_bytes(size) for tag, size in SIZES.items()}
    tags["9F10"] = bytes([6, 1, version]) + secrets.token_bytes(4)
    return tags | {"9F26": pyemv_cryptogram(key, pan, psn, tags)}


def _read(tags: dict[str, bytes]) -> ChipData:
    chip = parse_chip_data(tlv.encode(tags))
    assert chip is not None
    return chip
