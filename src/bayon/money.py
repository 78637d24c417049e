"""Money: integers of minor units, and the one place where major units become minor ones.

Both currencies have exponent 2 in the ledger and in card management (40,000 riel is 4,000,000).
The Bakong and KHQR side writes riel without decimals: `decimals_at_bakong` says so, and whatever
cannot be converted exactly is refused. No floats are calculated with anywhere.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum
from typing import Final

from bayon.errors import Invalid

MINOR_PER_MAJOR: Final = 100
AMOUNT_MINOR_MAX: Final = 10**15 - 1
"""The largest amount a command may carry: any 15 digits survive a JSON number, 16 may not."""

_EXACT: Final = Context(prec=40, traps=[Inexact, InvalidOperation])
"""Calculates exactly or raises: the usual context rounds to 28 digits without a word."""


class BadAmount(Invalid):
    """The amount is not valid."""

    code = "bad_amount"


class Currency(StrEnum):
    """A currency of the ledger, by its ISO 4217 letters."""

    USD = "USD"
    KHR = "KHR"

    @property
    def number(self) -> str:
        """The ISO 4217 number, as KHQR and ISO 8583 write it."""
        return {"USD": "840", "KHR": "116"}[self.value]

    @property
    def decimals_at_bakong(self) -> int:
        """How many decimals the Bakong and KHQR side may write."""
        return {"USD": 2, "KHR": 0}[self.value]


def minor_from_major(major: Decimal | str | float, currency: Currency) -> int:
    """Convert an amount as Bakong writes it (major units) to minor units, exactly or not at all.

    A float is read by its shortest decimal form: what its sender wrote in up to 15 digits, which is
    every amount there is. A larger one may have been rounded on its way, and is out of range.
    Errors: `BadAmount` when it is no finite number, negative, too fine or too large.
    """
    amount = _decimal(major)
    if not amount.is_finite() or amount < 0 or amount.adjusted() > len(str(AMOUNT_MINOR_MAX)):
        raise BadAmount("The amount is out of range.")
    minor = _whole_minor(amount, currency)
    if minor is None:
        raise BadAmount(f"The amount has too many decimals for {currency}.")
    if minor > AMOUNT_MINOR_MAX:
        raise BadAmount("The amount is out of range.")
    return minor


def major_from_minor(amount_minor: int) -> float:
    """Convert to the JSON number Bakong shows: `1.0` for a dollar.

    Exact to the cent up to `AMOUNT_MINOR_MAX`, above or below nothing: so are all balances.
    """
    return amount_minor / MINOR_PER_MAJOR


def _whole_minor(amount: Decimal, currency: Currency) -> int | None:
    step = MINOR_PER_MAJOR // 10**currency.decimals_at_bakong
    try:
        minor = _EXACT.multiply(amount, MINOR_PER_MAJOR)
    except Inexact:
        return None
    return None if _EXACT.remainder(minor, step) else int(minor)


def _decimal(major: Decimal | str | float) -> Decimal:
    if isinstance(major, bool):
        raise BadAmount("The amount is not a number.")
    try:
        return Decimal(repr(major) if isinstance(major, float) else major)
    except (InvalidOperation, ValueError, TypeError) as error:
        raise BadAmount("The amount is not a number.") from error
