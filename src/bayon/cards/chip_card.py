"""A card's chip, as a terminal meets it: it signs what is asked, and judges who answers. Pure.

For who speaks for a terminal and has the issuer's key, as a sandbox's acquirer does; of a real card
nobody but its chip can sign.

Source: EMV 4.3 book 2, 8.1 and 8.2; book 3, annex A, for the tags.
"""

import hmac
import re
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from bayon.cards.chip import (
    AMOUNT,
    ANSWER,
    COUNTER,
    CRYPTOGRAM,
    CURRENCY,
    ISSUER_DATA,
    OTHER_AMOUNT,
    SESSION,
    SIGNED,
    ChipData,
    ChipKey,
    parse_chip_data,
    write_tag,
)
from bayon.errors import Invalid
from bayon.log import Secret

COUNTER_MAX: Final = 0xFFFF
CAMBODIA: Final = "0116"

_KEY: Final = re.compile(r"[0-9a-fA-F]{32}")
_FOUND: Final = "03A0B800"
"""What the chip has found, as Visa's specimens have it: a cryptogram is wanted, all is well."""

_IS_REQUEST: Final = write_tag(0x9F27, b"\x80")


@dataclass(frozen=True, kw_only=True)
class ChipCard:
    """A card whose chip is used for the `counter`-th time; `psn` has two digits.

    Errors: `Invalid` when the key is not 32 hex digits, or no chip counts so far.
    """

    pan: Secret
    key: Secret
    """The issuer's, of which the card's is derived."""

    counter: int
    psn: str = "00"
    version: int = SESSION
    _key: ChipKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Set the key up."""
        if not _KEY.fullmatch(self.key.reveal()):
            raise Invalid("A card cryptogram key is 32 hex digits.")
        if not 0 < self.counter <= COUNTER_MAX:
            raise Invalid(f"A chip counts its uses from 1 to {COUNTER_MAX}.")
        object.__setattr__(self, "_key", ChipKey(bytes.fromhex(self.key.reveal())))

    def sign(
        self, *, amount_minor: int, currency: str, processing: str, on: date, chance: int
    ) -> Secret:
        """Sign what a terminal in Cambodia asks for: field 55, in upper-case hex.

        `currency` has three digits, `processing` the first two of field 3; `chance` is the
        terminal's, that no two signatures are alike.
        """
        values = {
            AMOUNT: bytes.fromhex(f"{amount_minor:012d}"),
            OTHER_AMOUNT: bytes(6),
            0x9F1A: bytes.fromhex(CAMBODIA),
            0x95: bytes(5),  # the terminal has found nothing wrong
            CURRENCY: bytes.fromhex(currency.zfill(4)),
            0x9A: bytes.fromhex(f"{on:%y%m%d}"),
            0x9C: bytes.fromhex(processing),
            0x9F37: chance.to_bytes(4),
            0x82: bytes.fromhex("1800"),
            COUNTER: self.counter.to_bytes(2),
        }
        said = ChipData(
            version=self.version,
            counter=self.counter,
            amount=values[AMOUNT].hex(),
            currency=currency,
            cryptogram=b"",
            signed=b"".join(values[tag] for tag in SIGNED),
            issuer_data=bytes([6, 1, self.version]) + bytes.fromhex(_FOUND),
        )
        cryptogram = self._key.sign(said, pan=self.pan.reveal(), psn=self.psn)
        if cryptogram is None:
            raise Invalid("A chip signs by version 10 or 18.")
        values |= {ISSUER_DATA: said.issuer_data, CRYPTOGRAM: cryptogram}
        tags = [write_tag(tag, value) for tag, value in values.items()]
        return Secret(b"".join([*tags, _IS_REQUEST]).hex().upper())

    def believes(
        self, signed: Secret, answer: Secret | None, *, response_code: str, approved: bool
    ) -> bool:
        """Judge whether an answer's field 55 is by the issuer, and says what its field 39 does."""
        asked = parse_chip_data(bytes.fromhex(signed.reveal()))
        if answer is None or asked is None:
            return False
        right = self._key.answer(
            asked,
            pan=self.pan.reveal(),
            psn=self.psn,
            response_code=response_code,
            approved=approved,
        )
        told = write_tag(ANSWER, right).hex().upper()
        return hmac.compare_digest(told.encode(), answer.reveal().upper().encode())
