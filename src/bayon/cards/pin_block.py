"""PIN blocks: how a PIN travels from a terminal to its issuer, enciphered under a link's key.

Formats 0 and 3 are one block of DES, format 4 two rounds of AES; a block's size says which. Pure
but for the chance that fills formats 3 and 4, and in clear: the vault reads blocks, and who speaks
for a terminal writes them.

Source: ISO 9564-1:2017, 9.3, as IBM's ICSF, `psec` and `cardutil` have it.
"""

import re
import secrets
from enum import Enum
from typing import Final

from bayon.cards.cipher import AES_BLOCK_SIZE, DES_BLOCK_SIZE, BlockCipher, aes_check_value
from bayon.cards.key_block import Algorithm, KeyBlockKey, read_key
from bayon.errors import Invalid
from bayon.log import Secret

DES_KEY_SIZE_MAX: Final = 24
PAN_DIGITS: Final = 12
"""Of a card number, what goes into formats 0 and 3: the last digits but for its check digit."""

_PAN: Final = re.compile(r"[0-9]{8,19}")
_PIN: Final = re.compile(r"[0-9]{4}")
_CLEAR: Final = re.compile(r"04([0-9]{4})f{10}|34([0-9]{4})[a-f]{10}|44([0-9]{4})a{10}[0-9a-f]{16}")
"""A deciphered block of format 0, 3 or 4: format, length, PIN, filler. A PIN has four digits."""


class PinFormat(Enum):
    """The formats of ISO 9564-1 that bind a PIN to its card number."""

    ISO_0 = 0
    ISO_3 = 3
    ISO_4 = 4


class ZonePinKey:
    """A zone PIN key at work: what a link's two ends share. Each link may have one of its own.

    Of 16 or 24 bytes it deciphers blocks of DES and of AES, of 32 bytes those of AES alone, unless
    it is known to be of one of the two: a link uses one.
    """

    def __init__(self, key: bytes, algorithm: Algorithm | None = None) -> None:
        of_des = algorithm == "T" or (algorithm is None and len(key) <= DES_KEY_SIZE_MAX)
        self._des: BlockCipher | None = BlockCipher.des(key) if of_des else None
        self._aes: BlockCipher | None = None if algorithm == "T" else BlockCipher.aes(key)
        self._check_value: str = self._des.check_value() if self._des else aes_check_value(key)

    @classmethod
    def read(cls, text: Secret, under: Secret | None = None) -> "ZonePinKey":
        """Read a key as settings write it: 32, 48 or 64 hex digits, or a key block.

        `under`: the key that protects blocks. Errors: `Invalid`, `BadKeyBlock`.
        """
        bare = read_key(text, under)
        return cls(bytes.fromhex(bare.key.reveal()), bare.algorithm)

    @classmethod
    def from_block(cls, block: str, under: Secret) -> "ZonePinKey":
        """Read a key in its key block, and in nothing else. Errors: `Invalid`, `BadKeyBlock`."""
        return cls(*KeyBlockKey.from_hex(under).unwrap(block))

    def check_value(self) -> str:
        """Tell the key's check value: as a DES key's if it may be one, else as an AES key's."""
        return self._check_value

    def encipher(self, pin: str, pan: str, form: PinFormat | None = None) -> bytes:
        """Encipher a PIN of four digits: 8 bytes, or 16 of format 4.

        Without a format it is 0, or 4 if the key fits no other. Errors: `Invalid` when there is
        nothing such to encipher, or the key does not fit the format.
        """
        form = form or (PinFormat.ISO_0 if self._des else PinFormat.ISO_4)
        if not (_PIN.fullmatch(pin) and _PAN.fullmatch(pan)):
            raise Invalid("A PIN block wants a PIN of four digits, and a card number.")
        if form is PinFormat.ISO_4:
            if self._aes is None:
                raise Invalid("A zone PIN key of DES is for blocks of formats 0 and 3 alone.")
            field = bytes.fromhex(f"44{pin}{'a' * 10}{secrets.token_hex(8)}")
            return self._aes.encipher(_xor(self._aes.encipher(field), _pan_field_aes(pan)))
        if self._des is None:
            raise Invalid("A zone PIN key of AES is for blocks of format 4 alone.")
        filler = "f" * 10
        if form is PinFormat.ISO_3:
            filler = "".join(secrets.choice("abcdef") for _ in filler)
        field = bytes.fromhex(f"{form.value}4{pin}{filler}")
        return self._des.encipher(_xor(field, _pan_field_des(pan)))

    def decipher(self, block: bytes, pan: str) -> str | None:
        """Decipher a block: its PIN of four digits.

        None when there is none to be read: another size, key, card number or format than these,
        a PIN of another length. A block of format 3 may fit a card number that is much alike, and
        is then left to the PVV, which is of one card.
        """
        if not _PAN.fullmatch(pan):
            return None
        if len(block) == DES_BLOCK_SIZE and self._des:
            clear = _xor(self._des.decipher(block), _pan_field_des(pan))
        elif len(block) == AES_BLOCK_SIZE and self._aes:
            clear = self._aes.decipher(_xor(self._aes.decipher(block), _pan_field_aes(pan)))
        else:
            return None
        found = _CLEAR.fullmatch(clear.hex())
        return found and found[found.lastindex or 0]


def encipher_pin_block(
    pin: Secret, pan: Secret, key: ZonePinKey, *, form: PinFormat | None = None
) -> Secret:
    """Encipher a PIN as a terminal does: the block in upper-case hex, 16 digits or 32.

    Without a format it is 0, or 4 if the key fits no other. Errors: `Invalid`.
    """
    return Secret(key.encipher(pin.reveal(), pan.reveal(), form).hex().upper())


def _pan_field_des(pan: str) -> bytes:
    return bytes.fromhex(pan[:-1][-PAN_DIGITS:].zfill(AES_BLOCK_SIZE))


def _pan_field_aes(pan: str) -> bytes:
    """Write the whole card number: how much longer it is than twelve digits, itself, zeros."""
    length = max(0, len(pan) - PAN_DIGITS)
    return bytes.fromhex(f"{length}{pan.zfill(PAN_DIGITS)}".ljust(2 * AES_BLOCK_SIZE, "0"))


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
