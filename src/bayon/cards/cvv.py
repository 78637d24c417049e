"""Card verification values, and track 2, which carries one.

Pure, and in clear: the vault alone calls this, with what it has taken out of its `Secret`.

One key makes three values of a card, told apart by the service code that goes in: the stripe's
own (CVV), 000 for what is printed on the card (CVV2), 999 for the chip's image of track 2 (iCVV),
so that none can be written where another belongs.
"""

import re
from dataclasses import dataclass
from typing import Final

from bayon.cards.cipher import BlockCipher
from bayon.cards.pin import KEY_INDEX, decimals
from bayon.log import Secret

KEY_SIZE: Final = 16
CVV_LENGTH: Final = 3
PRINTED: Final = "000"
"""The service code that stands for a CVV2."""

CHIP: Final = "999"
"""The service code that stands for an iCVV."""

STRIPE_SERVICE: Final = "201"
"""The service code we write: international, with a chip, no restriction."""

_TRACK_2: Final = re.compile(
    r";?(?P<pan>[0-9]{12,19})[=D](?P<year>[0-9]{2})(?P<month>0[1-9]|1[0-2])"
    r"(?P<service>[0-9]{3})(?P<rest>[0-9]*)[F?]?"
)
_CVV: Final = re.compile(r"[0-9]{5}(?P<cvv>[0-9]{3})[0-9]*")


@dataclass(frozen=True, kw_only=True)
class Track2:
    """What a card tells on track 2, by its stripe or its chip's image of it."""

    pan: Secret
    exp_year: int
    exp_month: int
    service_code: str
    cvv: Secret | None
    """Three digits, after PVKI (1) and PVV (4) in the discretionary data, if it goes that far."""


class CvvKey:
    """A card verification key at work: two DES keys."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_SIZE
        self._single: BlockCipher = BlockCipher.des(key[:8])
        self._double: BlockCipher = BlockCipher.des(key)

    def cvv(self, *, pan: str, exp_year: int, exp_month: int, service_code: str) -> str:
        """Calculate a card verification value: three digits.

        Card number, expiry as YYMM and service code, filled with zeros to two blocks: the first
        enciphered by the first key, the second added to it, both keys over that; its decimal
        digits from the left, then its letters as in a PVV.

        Source: Visa CVV, as `psec.cvv.generate_cvv` and IBM's ICSF (VISA-CVV) have it. There CVV2
        too may have its expiry as YYMM or MMYY: ours has it as on the track.
        """
        text = f"{pan}{exp_year % 100:02}{exp_month:02}{service_code}".ljust(32, "0")
        first, second = int.from_bytes(self._single.encipher(bytes.fromhex(text[:16]))), text[16:]
        added = (first ^ int(second, 16)).to_bytes(8)
        return decimals(self._double.encipher(added).hex())[:CVV_LENGTH]

    def check_value(self) -> str:
        """Tell the key's check value: six hex digits."""
        return self._double.check_value()


def parse_track_2(text: str) -> Track2 | None:
    """Read track 2: card number, `=` or `D`, expiry as YYMM, service code, discretionary data.

    Its start `;`, end `?` and filler `F` may be there. None if it is no such track. Years are of
    this century. Source: ISO/IEC 7813; where the CVV stands: the schemes' convention.
    """
    found = _TRACK_2.fullmatch(text)
    if found is None:
        return None
    cvv = _CVV.fullmatch(found["rest"])
    return Track2(
        pan=Secret(found["pan"]),
        exp_year=2000 + int(found["year"]),
        exp_month=int(found["month"]),
        service_code=found["service"],
        cvv=cvv and Secret(cvv["cvv"]),
    )


def write_track_2(
    *, pan: str, exp_year: int, exp_month: int, service_code: str, pvv: str, cvv: str
) -> str:
    """Write track 2 with `=`, at most 37 characters; the reverse of reading it."""
    return f"{pan}={exp_year % 100:02}{exp_month:02}{service_code}{KEY_INDEX}{pvv}{cvv}"


def write_track_1(
    *, pan: str, name: str, exp_year: int, exp_month: int, service_code: str, pvv: str, cvv: str
) -> str:
    """Write track 1 in format B, at most 63 characters; its PVV and CVV stand as on track 2.

    `name` ends its surname with `/`. Start `%`, end `?` and check character are the encoder's, as
    on track 2. Source: ISO/IEC 7813.
    """
    expiry = f"{exp_year % 100:02}{exp_month:02}"
    return f"B{pan}^{name}^{expiry}{service_code}{KEY_INDEX}{pvv}{cvv}"
