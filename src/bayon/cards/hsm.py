"""The boundary of the security module: what is asked of the card keys, which stay behind it.

`Hsm` is all the vault knows of them: verbs of the business, no cipher and no key. `SoftHsm` does
them in this process; an adapter to a device or a service of that kind is another class with these
verbs, and is given to the vault instead. In clear on this side of it are card numbers and PINs.
"""

import hmac
from typing import Protocol

from bayon.cards.chip import ChipData, ChipKey
from bayon.cards.cvv import CvvKey
from bayon.cards.pin import PvvKey
from bayon.cards.pin_block import ZonePinKey


class Hsm(Protocol):
    """What a security module does for an issuer. Digits are texts, years have four."""

    def pvv(self, *, pan: str, pin: str) -> str:
        """Calculate the PIN verification value of a PIN: four digits."""
        ...

    def is_pin(self, *, pan: str, pin: str, pvv: str) -> bool:
        """Judge four digits by the PIN verification value that was kept."""
        ...

    def read_pin_block(self, block: bytes, *, pan: str, key: ZonePinKey) -> str | None:
        """Decipher a PIN block of a link: its PIN, or None if it holds none for this card."""
        ...

    def cvv(self, *, pan: str, exp_year: int, exp_month: int, service_code: str) -> str:
        """Calculate a card verification value: three digits."""
        ...

    def is_cvv(
        self, *, pan: str, exp_year: int, exp_month: int, service_code: str, cvv: str
    ) -> bool:
        """Judge a card verification value."""
        ...

    def is_cryptogram(self, chip: ChipData, *, pan: str, psn: str) -> bool:
        """Judge what a chip has signed; `psn` is the card's sequence number, two digits."""
        ...

    def answer_cryptogram(
        self, chip: ChipData, *, pan: str, psn: str, response_code: str, approved: bool
    ) -> bytes:
        """Sign the answer to a genuine cryptogram: issuer authentication data."""
        ...

    def check_values(self) -> dict[str, str]:
        """Tell the check value of each key, by the name of its setting: six hex digits each."""
        ...


class SoftHsm:
    """The security module in this process."""

    def __init__(
        self,
        *,
        pin_verification_key: bytes,
        card_verification_key: bytes,
        card_cryptogram_key: bytes,
    ) -> None:
        self._pvv_key: PvvKey = PvvKey(pin_verification_key)
        self._cvv_key: CvvKey = CvvKey(card_verification_key)
        self._chip_key: ChipKey = ChipKey(card_cryptogram_key)

    def pvv(self, *, pan: str, pin: str) -> str:
        """Calculate the PIN verification value of a PIN: four digits."""
        return self._pvv_key.pvv(pan=pan, pin=pin)

    def is_pin(self, *, pan: str, pin: str, pvv: str) -> bool:
        """Judge four digits by their value, in the same time however wrong they are."""
        return hmac.compare_digest(self.pvv(pan=pan, pin=pin).encode(), pvv.encode())

    def read_pin_block(self, block: bytes, *, pan: str, key: ZonePinKey) -> str | None:
        """Decipher a PIN block of a link: its PIN, or None if it holds none for this card."""
        return key.decipher(block, pan)

    def cvv(self, *, pan: str, exp_year: int, exp_month: int, service_code: str) -> str:
        """Calculate a card verification value: three digits."""
        return self._cvv_key.cvv(
            pan=pan, exp_year=exp_year, exp_month=exp_month, service_code=service_code
        )

    def is_cvv(
        self, *, pan: str, exp_year: int, exp_month: int, service_code: str, cvv: str
    ) -> bool:
        """Judge a card verification value, in the same time however wrong it is."""
        right = self.cvv(pan=pan, exp_year=exp_year, exp_month=exp_month, service_code=service_code)
        return hmac.compare_digest(right.encode(), cvv.encode())

    def is_cryptogram(self, chip: ChipData, *, pan: str, psn: str) -> bool:
        """Judge what a chip has signed, in the same time however wrong it is."""
        return self._chip_key.is_cryptogram(chip, pan=pan, psn=psn)

    def answer_cryptogram(
        self, chip: ChipData, *, pan: str, psn: str, response_code: str, approved: bool
    ) -> bytes:
        """Sign the answer to a genuine cryptogram: issuer authentication data."""
        return self._chip_key.answer(
            chip, pan=pan, psn=psn, response_code=response_code, approved=approved
        )

    def check_values(self) -> dict[str, str]:
        """Tell the check value of each key, by the name of its setting: six hex digits each."""
        return {
            "pin_verification_key": self._pvv_key.check_value(),
            "card_verification_key": self._cvv_key.check_value(),
            "card_cryptogram_key": self._chip_key.check_value(),
        }
