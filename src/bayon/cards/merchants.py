"""Merchants: from the category code a card network sends to the name the API shows. Pure.

The names are those of Stripe Issuing, which the API's document uses; a code without one is named
by its ISO 18245 description. A code nobody knows has no name, never a wrong one.
"""

import re
from functools import cache
from typing import Final

import iso18245

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


def _named(mcc: iso18245.MCC) -> str:
    described = mcc.iso_description or mcc.usda_description or mcc.mcc
    return mcc.stripe_code or re.sub(r"[^a-z0-9]+", "_", described.lower()).strip("_")
