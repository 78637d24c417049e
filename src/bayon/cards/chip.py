"""Chip cryptograms: what proves that a genuine card asked, and that a genuine issuer answered.

Pure. A card's master key is derived from the issuer's by its number and sequence number; by that
the chip signs what the terminal told it (ARQC), and the issuer signs its answer (ARPC). Which way,
the cryptogram version says: 10 and 18 of Visa, which national schemes have taken over.

Source: EMV 4.3 book 2, 8.1 and 8.2, annexes A1.3 and A1.4; `pyemv` for what versions 10 and 18
put together.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bayon.cards.cipher import DES_BLOCK_SIZE, BlockCipher, des_mac, encipher_once
from bayon.cards.pin import decimals

KEY_SIZE: Final = 16
MASTER: Final = 10
"""The version that signs by the card's master key itself."""

SESSION: Final = 18
"""The version that signs by a key of this use of the card alone."""

CRYPTOGRAM, ISSUER_DATA, COUNTER, OTHER_AMOUNT = 0x9F26, 0x9F10, 0x9F36, 0x9F03
ANSWER: Final = 0x91
"""The tag of an issuer's answer: issuer authentication data."""

AMOUNT, CURRENCY = 0x9F02, 0x5F2A
SIGNED: Final = {
    AMOUNT: 6,
    OTHER_AMOUNT: 6,
    0x9F1A: 2,  # the terminal's country
    0x95: 5,  # what the terminal found
    CURRENCY: 2,
    0x9A: 3,  # date
    0x9C: 1,  # type
    0x9F37: 4,  # the terminal's chance
    0x82: 2,  # what the card can do
    COUNTER: 2,
}
"""What is signed, in this order, and the bytes of each."""

APPROVES: Final = bytes.fromhex("00800000")
"""A card status update that says the issuer approves; all zeros says it does not."""

_SHORT: Final = 0x80
_MORE_OF_TAG: Final = 0x1F
_ISSUER_DATA_SIZE_MIN: Final = 7


@dataclass(frozen=True, kw_only=True)
class ChipData:
    """What a chip says of its use; `counter` (ATC) rises with each.

    Of what is signed, `amount` has twelve digits, minor units, and `currency` three.
    """

    version: int
    counter: int
    amount: str
    currency: str
    cryptogram: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    issuer_data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ChipProof:
    """What a chip has said, and what it was judged to be where the message was read.

    `psn`: the card's sequence number, two digits. `genuine`: the card's chip has signed it.
    `agrees`: what it has signed is what was asked for.
    """

    data: ChipData
    psn: str
    genuine: bool
    agrees: bool = True


class ChipKey:
    """An issuer's master key for cryptograms at work: two DES keys."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_SIZE
        self._cipher: BlockCipher = BlockCipher.des(key)

    def is_cryptogram(self, chip: ChipData, *, pan: str, psn: str) -> bool:
        """Judge what a chip signed, of the card of this number and sequence number (two digits).

        False too for a version we do not know.
        """
        right = self.sign(chip, pan=pan, psn=psn)
        return right is not None and hmac.compare_digest(right, chip.cryptogram)

    def sign(self, chip: ChipData, *, pan: str, psn: str) -> bytes | None:
        """Sign what a chip says, as it does itself: 8 bytes; none of a version we do not know."""
        if chip.version == MASTER:
            data = _filled(chip.signed + chip.issuer_data[3:7])
        elif chip.version == SESSION:
            data = _ended(chip.signed + chip.issuer_data)
        else:
            return None
        return des_mac(self._signing_key(chip, pan, psn), data)

    def answer(
        self, chip: ChipData, *, pan: str, psn: str, response_code: str, approved: bool
    ) -> bytes:
        """Sign the answer to a genuine cryptogram: issuer authentication data.

        Of version 10 the ARPC (8) and the response code; of 18 the ARPC (4) and a card status
        update (4), which says whether the issuer approves.
        """
        assert chip.version in (MASTER, SESSION)
        key = self._signing_key(chip, pan, psn)
        if chip.version == MASTER:
            code = response_code.encode()
            mixed = _xor(chip.cryptogram, code.ljust(DES_BLOCK_SIZE, b"\0"))
            return encipher_once(key, mixed) + code
        update = APPROVES if approved else bytes(len(APPROVES))
        return des_mac(key, _ended(chip.cryptogram + update))[:4] + update

    def check_value(self) -> str:
        """Tell the key's check value: six hex digits."""
        return self._cipher.check_value()

    def _signing_key(self, chip: ChipData, pan: str, psn: str) -> bytes:
        digits = pan + psn
        if chip.version == SESSION and len(pan) > 2 * DES_BLOCK_SIZE:
            number = bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))
            digits = decimals(hashlib.sha1(number, usedforsecurity=False).hexdigest())[:16]
        name = bytes.fromhex(digits[-16:].zfill(16))
        card_key = self._cipher.encipher(name + bytes(byte ^ 0xFF for byte in name))
        if chip.version == MASTER:
            return card_key
        counter = chip.counter.to_bytes(2)
        halves = (counter + bytes([mark]) + bytes(5) for mark in (0xF0, 0x0F))
        return encipher_once(card_key, b"".join(halves))


def parse_chip_data(data: bytes) -> ChipData | None:
    """Read what a chip says, as a message's field 55 has it: tags, lengths, values of EMV.

    None when that is malformed, a tag stands there twice, or one that is signed is missing.
    """
    found = _tags(data)
    if found is None:
        return None
    found = {OTHER_AMOUNT: bytes(SIGNED[OTHER_AMOUNT]), **found}
    if any(len(found.get(tag, b"")) != size for tag, size in {**SIGNED, CRYPTOGRAM: 8}.items()):
        return None
    issuer_data = found.get(ISSUER_DATA, b"")
    if len(issuer_data) < _ISSUER_DATA_SIZE_MIN:
        return None
    return ChipData(
        version=issuer_data[2],
        counter=int.from_bytes(found[COUNTER]),
        amount=found[AMOUNT].hex(),
        currency=found[CURRENCY].hex()[1:],
        cryptogram=found[CRYPTOGRAM],
        signed=b"".join(found[tag] for tag in SIGNED),
        issuer_data=issuer_data,
    )


def write_tag(tag: int, value: bytes) -> bytes:
    """Write a tag, its length and its value, shorter than 128 bytes."""
    assert len(value) < _SHORT
    return tag.to_bytes((tag.bit_length() + 7) // 8) + bytes([len(value)]) + value


def _tags(data: bytes) -> Mapping[int, bytes] | None:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        size = 2 if data[at] & _MORE_OF_TAG == _MORE_OF_TAG else 1
        tag = int.from_bytes(data[at : at + size])
        at += size
        if at >= len(data) or data[at] >= _SHORT or tag in found:  # longer ones have no chip's data
            return None
        length, at = data[at], at + 1
        found[tag] = data[at : at + length]
        at += length
        if at > len(data):
            return None
    return found


def _filled(data: bytes) -> bytes:
    """Fill up with zeros: ISO 9797-1, padding 1."""
    return data + bytes(-len(data) % DES_BLOCK_SIZE)


def _ended(data: bytes) -> bytes:
    """Fill up with a one and zeros: ISO 9797-1, padding 2."""
    return _filled(data + b"\x80")


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
