"""Exchange rates: what an account is billed for an amount in a merchant's currency. Pure.

Calculated in exact decimals and rounded once, at the end, to a whole minor unit, halves up.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation
from typing import Final
from uuid import UUID

from msgspec import Struct

from bayon import iso4217
from bayon.money import AMOUNT_MINOR_MAX, Currency

WHOLE_DIGITS_MAX: Final = 9
DECIMALS_MAX: Final = 12
WHOLE_BASIS_POINTS: Final = 10_000

_CONVERSION_RATE: Final = re.compile(r"[0-9]{8}")
_CONVERSION_DIGITS: Final = 7
_CONVERSION_DECIMALS_MAX: Final = 9
_EXACT: Final = Context(prec=80, traps=[Inexact, InvalidOperation])
"""More digits than an amount, a rate and a pad have together: it calculates exactly or raises."""


class NewRate(Struct, frozen=True, kw_only=True):
    """A rate to be set: `rate` major units of `to_code` for one major unit of `from_code`.

    `hold_pad_basis_points`: what is held on top, in hundredths of a percent of the amount, since
    the rate may be another one when it is cleared. `starts_at`: at once if not given.
    """

    from_code: str
    to_code: str
    rate: Decimal
    hold_pad_basis_points: int = 0
    starts_at: datetime | None = None


class Rate(Struct, frozen=True, kw_only=True):
    """A rate as it was set, never changed: it counts from `starts_at` until another one starts."""

    id: UUID
    from_code: str
    to_code: str
    rate: Decimal
    hold_pad_basis_points: int
    starts_at: datetime
    created_at: datetime


def convert(
    amount_minor: int, rate: Decimal, *, from_exponent: int, to_exponent: int
) -> int | None:
    """Convert minor units of one currency to minor units of another, halves rounded up.

    None when the amount or what becomes of it is out of range; a very small amount becomes 0.
    """
    if not 0 <= amount_minor <= AMOUNT_MINOR_MAX:
        return None
    assert rate.is_finite(), "a rate is a number"
    assert rate > 0, "a rate is more than nothing"
    exact = _EXACT.multiply(amount_minor, rate).scaleb(to_exponent - from_exponent, _EXACT)
    converted = int(exact.to_integral_value(ROUND_HALF_UP))
    return converted if converted <= AMOUNT_MINOR_MAX else None


def billing_for_hold(amount_minor: int, rate: Rate) -> int | None:
    """Tell what to hold for a merchant's amount: with the rate's pad. None: out of range."""
    padded = WHOLE_BASIS_POINTS + rate.hold_pad_basis_points
    share = Decimal(padded).scaleb(-4, _EXACT)
    return _billing(amount_minor, rate, _EXACT.multiply(rate.rate, share))


def billing_for_clearing(amount_minor: int, rate: Rate) -> int | None:
    """Tell what a merchant's amount comes to: without a pad. None: out of range."""
    return _billing(amount_minor, rate, rate.rate)


def judge(rates: Sequence[NewRate], *, now: datetime) -> list[tuple[int, str]]:
    """Say what is wrong with rates that are to be set together: the place of each, and what.

    In the order of the guards: a currency ISO 4217 does not know, one the ledger does not keep,
    twice the same; a rate or a pad out of range; a start that is over; the same start twice.
    """
    found: list[tuple[int, str]] = []
    starts: set[tuple[str, str, datetime]] = set()
    for place, new in enumerate(rates):
        found += [(place, fault) for fault in _faults(new, now=now)]
        start = (new.from_code, new.to_code, new.starts_at or now)
        if start in starts:
            found.append((place, f"{new.from_code} to {new.to_code} is given twice."))
        starts.add(start)
    return found


def read_conversion_rate(text: str) -> Decimal | None:
    """Read a conversion rate of ISO 8583 (DE 9, DE 10): `61000000` is 1.000000.

    The first digit says how many of the seven others are decimals. None when it is no such text,
    or nothing at all: there is no rate of 0.
    """
    if not _CONVERSION_RATE.fullmatch(text):
        return None
    return Decimal(text[1:]).scaleb(-int(text[0])) or None


def write_conversion_rate(rate: Decimal) -> str | None:
    """Write a conversion rate of ISO 8583 in as many of its seven digits as it takes, halves up.

    None when it has more than seven digits before the point, or becomes 0.
    """
    decimals = min(_CONVERSION_DIGITS - 1 - rate.adjusted(), _CONVERSION_DECIMALS_MAX)
    if decimals >= 0 and len(_digits(rate, decimals)) > _CONVERSION_DIGITS:
        decimals -= 1  # rounded up to one digit more: 9.99999999
    if decimals < 0 or (digits := _digits(rate, decimals)) == "0":
        return None
    return f"{decimals}{digits:0>7}"


def _digits(rate: Decimal, decimals: int) -> str:
    return str(int(rate.scaleb(decimals, _EXACT).to_integral_value(ROUND_HALF_UP)))


def _billing(amount_minor: int, rate: Rate, factor: Decimal) -> int | None:
    currencies = iso4217.by_code(rate.from_code), iso4217.by_code(rate.to_code)
    if currencies[0] is None or currencies[1] is None:
        return None  # ISO 4217 has dropped it since the rate was set
    return convert(
        amount_minor,
        factor,
        from_exponent=currencies[0].exponent,
        to_exponent=currencies[1].exponent,
    )


def _faults(new: NewRate, *, now: datetime) -> Iterator[str]:
    if iso4217.by_code(new.from_code) is None:
        yield f"{new.from_code[:12]!r} is no currency of ISO 4217."
    if new.to_code not in set(Currency):
        yield f"{new.to_code[:12]!r} is no currency of accounts, which are {', '.join(Currency)}."
    if new.from_code == new.to_code:
        yield "From a currency to itself there is no rate."
    if not _is_in_range(new.rate):
        yield (
            f"A rate is more than 0, of at most {WHOLE_DIGITS_MAX} digits before the point "
            f"and {DECIMALS_MAX} after it."
        )
    if not 0 <= new.hold_pad_basis_points <= WHOLE_BASIS_POINTS:
        yield "A pad is from 0 to 100 percent."
    if new.starts_at is not None and new.starts_at < now:
        yield f"A rate starts from now ({now:%Y-%m-%dT%H:%M:%SZ}) on, not before."


def _is_in_range(rate: Decimal) -> bool:
    exponent = rate.as_tuple().exponent
    if not isinstance(exponent, int):
        return False
    return rate > 0 and rate.adjusted() < WHOLE_DIGITS_MAX and exponent >= -DECIMALS_MAX
