"""Demo data of exchange rates, so that a card can be used abroad. Made up, if near the truth."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from bayon import cards
from bayon.cards import NewRate
from bayon.db import Tx
from bayon.money import Currency

PAD_BASIS_POINTS: Final = 250
USD_FOR_ONE: Final = {
    "AUD": "0.66",
    "CNY": "0.14",
    "EUR": "1.16",
    "GBP": "1.33",
    "JPY": "0.0065",
    "KHR": "0.00025",
    "KRW": "0.0007",
    "LAK": "0.000046",
    "SGD": "0.77",
    "THB": "0.031",
    "VND": "0.000038",
}


async def seed_rates(tx: Tx, *, now: datetime) -> None:
    """Put a rate there for each currency that never had one, so that yours stay as they are.

    Whoever seeds has locked the sandbox's keys: no two look for what is missing at once.
    """
    known = {each.from_code for each in await cards.list_rates(tx, now=now, past=True)}
    missing = [
        NewRate(
            from_code=code,
            to_code=Currency.USD,
            rate=Decimal(rate),
            hold_pad_basis_points=PAD_BASIS_POINTS,
        )
        for code, rate in USD_FOR_ONE.items()
        if code not in known
    ]
    await cards.set_rates(tx, missing, now=now)
