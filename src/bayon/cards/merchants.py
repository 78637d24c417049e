"""Merchants: from the category code a card network sends to the name the API shows. Pure.

The names are those of Stripe Issuing, which the API's document uses; a code without one is named
by its ISO 18245 description. A code nobody knows has no name, never a wrong one.
"""

import re
from functools import cache
from typing import Final

import iso18245

LONG_HELD_FROM: Final = "3000"
LONG_HELD_TO: Final = "4000"
LONG_HELD: Final = frozenset({"4511", "7011", "7512", "7513"})
"""Airlines, car rental and lodging: 3000 to 3999 name their brands, these the trades."""

_CODE: Final = re.compile(r"[0-9]{4}")


@cache
def categories() -> frozenset[str]:
    """List every name a category may have."""
    return frozenset(_named(mcc) for mcc in iso18245.get_all_mccs())


@cache
def category_of(mcc: str) -> str | None:
    """Name a category by its four digits; None where nobody knows it."""
    if not _CODE.fullmatch(mcc):
        return None
    try:
        return _named(iso18245.get_mcc(mcc))
    except (iso18245.MCCNotFound, iso18245.InvalidMCC):
        return None


def is_long_held(mcc: str | None) -> bool:
    """Tell whether a merchant clears late: an airline, a hotel, who lets cars."""
    return mcc is not None and (mcc in LONG_HELD or LONG_HELD_FROM <= mcc < LONG_HELD_TO)


def mcc_of(category: str) -> str | None:
    """Find the first code of a category's name."""
    codes = (mcc.mcc for mcc in iso18245.get_all_mccs() if _named(mcc) == category)
    return next(codes, None)


def _named(mcc: iso18245.MCC) -> str:
    described = mcc.iso_description or mcc.usda_description or mcc.mcc
    return mcc.stripe_code or re.sub(r"[^a-z0-9]+", "_", described.lower()).strip("_")
