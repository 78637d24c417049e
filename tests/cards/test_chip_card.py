"""A card's chip on the terminal's side: pyemv signs as it does, and it believes pyemv's answers."""

import secrets
from datetime import date
from typing import Final

import pytest
from pyemv import tlv

from bayon.cards.chip import parse_chip_data
from bayon.cards.chip_card import ChipCard
from bayon.errors import Invalid
from bayon.log import Secret
from cards.oracles import CASES, digits, pyemv_answer, pyemv_cryptogram

PAN: Final = Secret("9116001234567890")
KEY: Final = Secret(secrets.token_hex(16))
ON: Final = date(2026, 11, 26)


@pytest.mark.parametrize("version", [10, 18])
def test_it_signs_and_believes_as_another_program_does(version: int) -> None:
    key = bytes.fromhex(KEY.reveal())
    for _ in range(CASES // 10):
        pan, psn = digits(secrets.choice(range(12, 20))), digits(2)
        counter = secrets.randbelow(65_535) + 1
        chip = ChipCard(pan=Secret(pan), key=KEY, counter=counter, psn=psn, version=version)
        said = _signed(chip)
        tags = tlv.decode(bytes.fromhex(said.reveal()))
        assert tags["9F26"] == pyemv_cryptogram(key, pan, psn, _of_cryptogram(tags))
        assert (tags["9F02"].hex(), tags["5F2A"].hex()) == ("000000001234", "0840")
        assert (tags["9A"].hex(), tags["9C"].hex(), tags["9F27"]) == ("261126", "01", b"\x80")
        assert int.from_bytes(tags["9F36"]) == counter
        for code, update in (("00", "00800000"), ("51", "00000000")):
            right = pyemv_answer(key, pan, psn, tags, update=bytes.fromhex(update), code=code)
            told = Secret(tlv.encode({"91": right}).hex())
            yes = code == "00"
            assert chip.believes(said, told, response_code=code, approved=yes)
            assert not chip.believes(said, told, response_code="05", approved=not yes)
            wrong = Secret(tlv.encode({"91": bytes([right[0] ^ 1]) + right[1:]}).hex())
            assert not chip.believes(said, wrong, response_code=code, approved=yes)
            assert not chip.believes(
                _signed(chip, chance=8), told, response_code=code, approved=yes
            )


def test_it_believes_nobody_who_shows_nothing() -> None:
    chip = ChipCard(pan=PAN, key=KEY, counter=1)
    for nothing in (None, Secret(""), Secret("91")):
        assert not chip.believes(_signed(chip), nothing, response_code="00", approved=True)


def test_what_it_says_is_what_an_issuer_reads() -> None:
    said = parse_chip_data(bytes.fromhex(_signed(ChipCard(pan=PAN, key=KEY, counter=3)).reveal()))
    assert said is not None
    assert (said.version, said.counter, said.amount, said.currency) == (
        *(18, 3),
        *("000000001234", "840"),
    )


def test_neither_key_nor_number_nor_signature_is_shown() -> None:
    chip = ChipCard(pan=PAN, key=KEY, counter=3)
    said = parse_chip_data(bytes.fromhex(_signed(chip).reveal()))
    assert said is not None
    shown = f"{chip!r} {said!r}"
    for secret in (PAN.reveal(), KEY.reveal(), said.cryptogram.hex(), repr(said.cryptogram)):
        assert secret not in shown


@pytest.mark.parametrize(
    ("key", "counter", "version"),
    [
        ("", 1, 18),
        ("ab" * 15, 1, 18),
        ("xy" * 16, 1, 18),
        ("ab" * 16, 0, 18),
        ("ab" * 16, 65_536, 18),
        ("ab" * 16, 1, 17),
    ],
)
def test_what_is_no_chip_is_refused(key: str, counter: int, version: int) -> None:
    with pytest.raises(Invalid):
        _signed(ChipCard(pan=PAN, key=Secret(key), counter=counter, version=version))


def _signed(chip: ChipCard, *, chance: int = 7) -> Secret:
    return chip.sign(amount_minor=1_234, currency="840", processing="01", on=ON, chance=chance)


def _of_cryptogram(tags: dict[str, bytes]) -> dict[str, bytes]:
    return {tag: value for tag, value in tags.items() if tag not in {"9F26", "9F27"}}
