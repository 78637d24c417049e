"""PINs: the value that stands for one at rest, and the ones a thief tries first.

Pure, and in clear: the vault alone calls this, with what it has taken out of its `Secret`.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Final

from bayon.cards.cipher import BlockCipher

KEY_SIZE: Final = 16
KEY_INDEX: Final = "1"
"""The PVKI: which of up to ten PIN verification keys; there is one."""

TSP_LENGTH: Final = 16
PVV_LENGTH: Final = 4

LETTERS: Final = str.maketrans("abcdef", "012345", "0123456789")
WITHOUT_LETTERS: Final = str.maketrans("", "", "abcdef")

WELL_KNOWN: Final = frozenset(
    {
        *("1212", "1004", "2000", "6969", "1122", "1313", "2001", "1010"),
        *("2580", "0852"),  # down and up the middle of a keypad
    }
)
"""What stands among the twenty most frequent PINs and has no other pattern.

Source: N. Berry, "PIN analysis", DataGenetics, 2012 (3.4 million leaked codes of four digits).
"""


class WeakPin(StrEnum):
    """Why a PIN is among those a thief tries first."""

    SAME_DIGIT = "same_digit"
    RUN = "run"
    WELL_KNOWN = "well_known"


class PvvKey:
    """A PIN verification key at work: two DES keys, used as 3DES in the order K1, K2, K1."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_SIZE
        self._cipher: BlockCipher = BlockCipher.des(key)

    def pvv(self, *, pan: str, pin: str) -> str:
        """Calculate the PIN verification value: four digits.

        The eleven rightmost digits of the PAN but for its check digit, the key's index and the
        PIN, enciphered; of that the decimal digits from the left, and if these are too few the
        letters, A as 0 to F as 5.

        Source: Visa PVV, as `psec.pin.generate_visa_pvv` and IBM's ICSF (VISA-PVV) have it.
        """
        tsp = pan[-12:-1] + KEY_INDEX + pin
        assert len(tsp) == TSP_LENGTH
        assert tsp.isdecimal()
        block = self._cipher.encipher(bytes.fromhex(tsp)).hex()
        return decimals(block)[:PVV_LENGTH]

    def check_value(self) -> str:
        """Tell the key's check value: six hex digits."""
        return self._cipher.check_value()


def decimals(block: str) -> str:
    """Make decimal digits of hex ones: those that are, then the letters, A as 0 to F as 5."""
    return block.translate(WITHOUT_LETTERS) + block.translate(LETTERS)


def weakness(pin: str) -> WeakPin | None:
    """Say why a PIN of four digits is weak, if it is.

    A run climbs or falls by one, and goes on from 9 to 0 as a keypad does: 1234, 0987, 7890.
    """
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if steps == {0}:
        return WeakPin.SAME_DIGIT
    if steps in ({1}, {9}):
        return WeakPin.RUN
    return WeakPin.WELL_KNOWN if pin in WELL_KNOWN else None
