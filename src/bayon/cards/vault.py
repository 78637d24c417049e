"""The vault: the one place of the room where a card number or a PIN is seen.

Doors wrap them in `Secret` where they parse them, everybody hands the `Secret` on, and what is
kept is what the vault makes of it: a PAN sealed, its keyed digest for look-up, its last four
digits in clear; of a PIN its PVV only; of CVVs, PIN blocks and tracks nothing. Nobody else
reveals, and a house test proves it.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from bayon.cards import chip, cvv
from bayon.cards.chip import ChipData, ChipProof
from bayon.cards.cipher import CHECK_VALUE_SIZE, KeyedDigest, aes_check_value
from bayon.cards.cvv import Track2
from bayon.cards.hsm import Hsm, SoftHsm
from bayon.cards.pin import KEY_SIZE, WeakPin, weakness
from bayon.cards.pin_block import ZonePinKey
from bayon.cards.recipient import Recipient
from bayon.errors import Invalid
from bayon.log import Secret
from bayon.seal import Sealer

PAN_LENGTH: Final = 16
LOOKUP_KEY_SIZE: Final = 32
NO_PVV: Final = "0000"
"""What stands on a track for a PVV that is kept elsewhere."""

_BIN: Final = re.compile(r"[0-9]{6,9}")
_PAN: Final = re.compile(r"[0-9](?:[ -]?[0-9]){11,18}")
_PIN: Final = re.compile(r"[0-9]{4}")
_HEX: Final = re.compile(r"[0-9a-fA-F]*")
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
"""Of each digit's letter, the digits of its double, added."""

_ZERO: Final = ord("0")


class BadPan(Invalid):
    """A card number is not valid."""

    code = "bad_pan"


class BadPin(Invalid):
    """A PIN has exactly four digits, 0 to 9."""

    code = "bad_pin"


@dataclass(frozen=True, kw_only=True)
class VaultKeys:
    """The keys of the vault, as the settings of these names write them."""

    vault_keys: Secret
    """Seal PANs: `1:<64 hex digits>,2:<64 hex digits>`, of which the highest version seals."""

    vault_lookup_key: Secret
    """Digests PANs: 64 hex digits. Changed, it finds no card that was there before."""

    pin_verification_key: Secret
    """Makes PVVs: 32 hex digits, two DES keys. Changed, it fits no PIN that was set before."""

    card_verification_key: Secret
    """Makes CVVs: 32 hex digits, two DES keys. Changed, it fits no card that was made before."""

    card_cryptogram_key: Secret
    """Derives what chips sign with: 32 hex digits, two DES keys. Changed, no chip is genuine."""


class Vault:
    """Makes, reads, seals and compares card numbers, PINs and CVVs. Pure but for its randomness.

    What keys of the card schemes do is asked of a security module: one in this process, or the one
    that is given.
    """

    def __init__(self, keys: VaultKeys, *, hsm: Hsm | None = None) -> None:
        self._sealer: Sealer = Sealer.from_text(keys.vault_keys.reveal())
        self._lookup: KeyedDigest = KeyedDigest(
            _key(keys.vault_lookup_key, LOOKUP_KEY_SIZE, "vault look-up")
        )
        self._sealing: dict[str, str] = _sealing_check_values(keys.vault_keys)
        self._hsm: Hsm = hsm or SoftHsm(
            pin_verification_key=_key(keys.pin_verification_key, KEY_SIZE, "PIN verification"),
            card_verification_key=_key(
                keys.card_verification_key, cvv.KEY_SIZE, "card verification"
            ),
            card_cryptogram_key=_key(keys.card_cryptogram_key, chip.KEY_SIZE, "card cryptogram"),
        )

    @property
    def versions(self) -> frozenset[int]:
        """The versions of the sealing key that are here."""
        return self._sealer.versions

    @property
    def newest(self) -> int:
        """The version that seals."""
        return self._sealer.newest

    def make_pan(self, bin: str) -> Secret:  # noqa: A002 - the field's own word
        """Make a card number of 16 digits: the BIN (6 to 9 digits), chance, the check digit.

        Nothing says that it is free: that is for the digest's index. Errors: `Invalid` when the
        BIN is none.
        """
        if not _BIN.fullmatch(bin):
            raise Invalid("A BIN has six to nine digits.")
        length = PAN_LENGTH - len(bin) - 1
        body = f"{bin}{secrets.randbelow(10**length):0{length}}"
        return Secret(body + _check_digit(body))

    def read_pan(self, text: Secret) -> Secret:
        """Read a card number that others made: 12 to 19 digits, the last their check digit.

        One space or dash between two digits is dropped. Errors: `BadPan`.
        """
        if not _PAN.fullmatch(text.reveal()):
            raise BadPan("A card number has twelve to nineteen digits.")
        pan = text.reveal().replace(" ", "").replace("-", "")
        if _check_digit(pan[:-1]) != pan[-1]:
            raise BadPan("A card number ends in its check digit, and this one does not.")
        return Secret(pan)

    def seal_pan(self, pan: Secret, *, card_id: UUID) -> bytes:
        """Seal a card number for its card's row."""
        return self._sealer.seal(pan.reveal().encode(), context=_context(card_id))

    def open_pan(self, sealed: bytes, *, card_id: UUID) -> Secret:
        """Open what was sealed for that card. Errors: `BadSeal`."""
        return Secret(self._sealer.open(sealed, context=_context(card_id)).decode())

    def pan_digest(self, pan: Secret) -> bytes:
        """Digest the whole card number, for look-up: HMAC-SHA-256, 32 bytes.

        Keyed, since all numbers of a BIN are soon tried. Source: PCI DSS 4.0.1, 3.5.1.1.
        """
        return self._lookup.of(pan.reveal().encode())

    def last_four(self, pan: Secret) -> str:
        """Tell the four digits that may stand in clear."""
        return pan.reveal()[-4:]

    def read_pin(self, text: Secret) -> Secret:
        """Read a PIN: four digits of ASCII, as a terminal sends them. Errors: `BadPin`."""
        if not _PIN.fullmatch(text.reveal()):
            raise BadPin
        return text

    def weak_pin(self, pin: Secret) -> WeakPin | None:
        """Say why a PIN that was read is one a thief tries first, if it is."""
        return weakness(pin.reveal())

    def pvv(self, pan: Secret, pin: Secret) -> str:
        """Calculate what is kept of a PIN: the Visa PVV, four digits. Wants both as read here."""
        return self._hsm.pvv(pan=pan.reveal(), pin=pin.reveal())

    def is_pin(self, pan: Secret, pin: Secret, *, pvv: str) -> bool:
        """Judge a PIN by the PVV that was kept; what is no PIN at all is a wrong one."""
        if not _PIN.fullmatch(pin.reveal()):
            return False
        return self._hsm.is_pin(pan=pan.reveal(), pin=pin.reveal(), pvv=pvv)

    def read_pin_block(self, block: Secret, pan: Secret, key: ZonePinKey) -> Secret | None:
        """Read the PIN in a block (hex, 16 or 32 digits) that came over the link of this key.

        None when there is none to be read: no such block, another key or card, no four digits.
        """
        try:
            enciphered = bytes.fromhex(block.reveal())
        except ValueError:
            return None
        pin = self._hsm.read_pin_block(enciphered, pan=pan.reveal(), key=key)
        return None if pin is None else Secret(pin)

    def read_track_2(self, text: Secret) -> Track2 | None:
        """Read track 2, of a stripe or a chip; None if it is none. Its CVV is not yet judged."""
        return cvv.parse_track_2(text.reveal())

    def is_cvv(self, track: Track2, *, chip: bool) -> bool:
        """Judge the CVV a track carries: the chip's own on a chip's, else the stripe's.

        A chip's written onto a stripe is wrong, and so is a track that has none.
        """
        if track.cvv is None:
            return False
        return self._hsm.is_cvv(
            pan=track.pan.reveal(),
            exp_year=track.exp_year,
            exp_month=track.exp_month,
            service_code=cvv.CHIP if chip else track.service_code,
            cvv=track.cvv.reveal(),
        )

    def read_chip_data(self, text: Secret) -> ChipData | None:
        """Read what a chip says (hex); None if it is not what a chip signs."""
        try:
            return chip.parse_chip_data(bytes.fromhex(text.reveal()))
        except ValueError:
            return None

    def is_cryptogram(self, data: ChipData, pan: Secret, *, psn: str) -> bool:
        """Judge whether the chip of this card has signed what it says; `psn` has two digits."""
        return self._hsm.is_cryptogram(data, pan=pan.reveal(), psn=psn)

    def answer_chip(
        self, proof: ChipProof, pan: Secret, *, response_code: str, approved: bool
    ) -> Secret:
        """Show the issuer to a genuine chip: tag 91 in upper-case hex, as field 55 has it."""
        answer = self._hsm.answer_cryptogram(
            proof.data,
            pan=pan.reveal(),
            psn=proof.psn,
            response_code=response_code,
            approved=approved,
        )
        return Secret(chip.write_tag(chip.ANSWER, answer).hex().upper())

    def cvv2(self, pan: Secret, *, exp_year: int, exp_month: int) -> Secret:
        """Calculate the CVV2 that is printed on a card: three digits, never to be kept."""
        return Secret(
            self._hsm.cvv(
                pan=pan.reveal(), exp_year=exp_year, exp_month=exp_month, service_code=cvv.PRINTED
            )
        )

    def is_cvv2(self, pan: Secret, cvv2: Secret, *, exp_year: int, exp_month: int) -> bool:
        """Judge what somebody read off a card."""
        return self._hsm.is_cvv(
            pan=pan.reveal(),
            exp_year=exp_year,
            exp_month=exp_month,
            service_code=cvv.PRINTED,
            cvv=cvv2.reveal(),
        )

    def track_2(
        self,
        pan: Secret,
        *,
        exp_year: int,
        exp_month: int,
        pvv: str = NO_PVV,
        service_code: str = cvv.STRIPE_SERVICE,
        chip: bool = False,
    ) -> Secret:
        """Write track 2 as it is on a card's stripe, or as its chip has it, CVV included."""
        number = pan.reveal()
        expiry = {"exp_year": exp_year, "exp_month": exp_month}
        value = self._hsm.cvv(pan=number, **expiry, service_code=cvv.CHIP if chip else service_code)
        return Secret(
            cvv.write_track_2(pan=number, **expiry, service_code=service_code, pvv=pvv, cvv=value)
        )

    def cvv(self, pan: Secret, *, exp_year: int, exp_month: int, chip: bool = False) -> Secret:
        """Calculate the CVV of a card's stripe, or its chip's own (iCVV): never to be kept."""
        return Secret(
            self._hsm.cvv(
                pan=pan.reveal(),
                exp_year=exp_year,
                exp_month=exp_month,
                service_code=cvv.CHIP if chip else cvv.STRIPE_SERVICE,
            )
        )

    def track_1(self, pan: Secret, *, name: str, exp_year: int, exp_month: int) -> Secret:
        """Write track 1 as it is on a card's stripe, CVV included; `name` as track 1 has it."""
        number = pan.reveal()
        expiry = {"exp_year": exp_year, "exp_month": exp_month}
        service_code = cvv.STRIPE_SERVICE
        value = self._hsm.cvv(pan=number, **expiry, service_code=service_code)
        return Secret(
            cvv.write_track_1(
                pan=number, name=name, **expiry, service_code=service_code, pvv=NO_PVV, cvv=value
            )
        )

    def track_2_equivalent(self, pan: Secret, *, exp_year: int, exp_month: int) -> Secret:
        """Write tag 57, a chip's image of track 2, in hex: its separator D, filled with F.

        Source: EMV Book 3, annex A.
        """
        track = self.track_2(pan, exp_year=exp_year, exp_month=exp_month, chip=True).reveal()
        return Secret(track.replace("=", "D") + "F" * (len(track) % 2))

    def encipher(self, document: Mapping[str, object], recipient: Recipient) -> bytes:
        """Write a document as JSON, its `Secret`s in clear, which its recipient alone can read."""

        def reveal(value: object) -> str:
            assert isinstance(value, Secret)
            return value.reveal()

        return recipient.encipher(msgspec.json.encode(document, enc_hook=reveal))

    def check_values(self) -> dict[str, str]:
        """Tell the check values of the keys, by the names of their settings: six hex digits each.

        By these two sides make sure that they have the same key, and they tell nothing of it.
        """
        lookup = self._lookup.of(b"")[:CHECK_VALUE_SIZE].hex().upper()
        return {**self._sealing, "vault_lookup_key": lookup, **self._hsm.check_values()}


def _check_digit(body: str) -> str:
    """Calculate Luhn's digit: from the right every other digit is doubled, its digits added."""
    digits = body.encode()
    others = digits[-2::-2]
    total = sum(digits[::-2].translate(_DOUBLED)) + sum(others) - _ZERO * len(others)
    return str(-total % 10)


def _context(card_id: UUID) -> bytes:
    return b"cards.pan" + card_id.bytes


def _sealing_check_values(keys: Secret) -> dict[str, str]:
    versions = (entry.split(":") for entry in keys.reveal().split(","))
    return {f"vault_keys {int(v)}": aes_check_value(bytes.fromhex(key)) for v, key in versions}


def _key(key: Secret, size: int, name: str) -> bytes:
    text = key.reveal()
    if len(text) != size * 2 or not _HEX.fullmatch(text):
        raise Invalid(f"The {name} key is {size * 2} hex digits.")
    return bytes.fromhex(text)
