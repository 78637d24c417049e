"""Names as they are embossed on plastic, and as track 1 has them."""

import unicodedata
from typing import Final

EMBOSSED_LENGTH_MAX: Final = 26
SURNAME_ENDS: Final = "/"
"""What stands on track 1 between a surname and what is not one."""

_BESIDE_LETTERS: Final = frozenset("0123456789-'")
_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WRITTEN_AS: Final = str.maketrans(
    {
        "Æ": "AE",
        "Œ": "OE",
        "Ø": "O",
        "Đ": "D",
        "Ð": "D",
        "Ł": "L",
        "Þ": "TH",
        **dict.fromkeys("\u2018\u2019\u02bc", "'"),
        **dict.fromkeys("\u2010\u2011\u2013\u2014", "-"),
    }
)
"""Latin letters that are no letter with an accent, and the signs that typesetting has."""


def emboss(name: str) -> str | None:
    """Write a name in Latin capitals, at most 26 characters; None if it is in another script.

    Accents go, other signs are spaces, and what is too long is cut. Nothing is transcribed: how a
    Khmer name is written in Latin letters is for its holder to say.
    """
    text = unicodedata.normalize("NFKD", name).upper().translate(_WRITTEN_AS)
    letters = [each for each in text if not unicodedata.combining(each)]
    if any(each.isalnum() and not each.isascii() for each in letters):
        return None
    kept = (each if each in _LETTERS | _BESIDE_LETTERS else " " for each in letters)
    line = " ".join("".join(kept).split())[:EMBOSSED_LENGTH_MAX].strip()
    return line if _LETTERS & set(line) else None


def name_on_track(embossed: str) -> str:
    """Write an embossed name for track 1: all of it as the surname, at most 26 with its end.

    Which part of a name is the surname, a Cambodian name and a foreigner's say differently, and the
    least that track 1 wants is a surname. Source: ISO/IEC 7813.
    """
    return embossed[: EMBOSSED_LENGTH_MAX - len(SURNAME_ENDS)].rstrip() + SURNAME_ENDS
