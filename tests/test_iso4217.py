"""ISO 4217: our table says what the standard's own list says, in another's copy of it."""

from typing import Final

import iso4217 as published
import pytest

from bayon import iso4217
from bayon.iso4217 import CURRENCIES, IsoCurrency
from bayon.money import MINOR_PER_MAJOR, Currency

X_CODES: Final = ("AG", "AU", "BA", "BB", "BC", "BD", "DR", "PD", "PT", "SU", "TS", "UA", "XX")
"""What follows the X of those that stand for gold, units of account, testing, and nothing."""


def test_the_table_is_the_published_list_less_what_has_no_minor_unit() -> None:
    listed = {
        each.code: (f"{each.number:03}", each.exponent)
        for each in published.Currency
        if each.exponent is not None
    }
    assert {each.code: (each.number, each.exponent) for each in CURRENCIES} == listed
    assert {each.code for each in published.Currency} - listed.keys() == {
        f"X{each}" for each in X_CODES
    }


def test_every_currency_is_there_once_and_is_found_by_its_letters_and_by_its_number() -> None:
    assert len({each.code for each in CURRENCIES}) == len(CURRENCIES)
    assert len({each.number for each in CURRENCIES}) == len(CURRENCIES)
    for each in CURRENCIES:
        assert iso4217.by_code(each.code) is iso4217.by_number(each.number) is each


@pytest.mark.parametrize(
    ("code", "number", "exponent"),
    [
        ("USD", "840", 2),
        ("KHR", "116", 2),
        ("THB", "764", 2),
        ("VND", "704", 0),
        ("JPY", "392", 0),
        ("KWD", "414", 3),
        ("CLF", "990", 4),
        ("ALL", "008", 2),
    ],
)
def test_well_known_currencies(code: str, number: str, exponent: int) -> None:
    assert iso4217.by_code(code) == IsoCurrency(code=code, number=number, exponent=exponent)


@pytest.mark.parametrize("text", ["", "usd", "USD ", "XTS", "XAU", "840", "BGN", "THBX"])
def test_what_is_no_code_is_not_found(text: str) -> None:
    assert iso4217.by_code(text) is None


@pytest.mark.parametrize("text", ["", "8", "08", "999", "000", "USD", " 840", "840 ", "٨٤٠"])
def test_what_is_no_number_is_not_found(text: str) -> None:
    assert iso4217.by_number(text) is None


def test_the_currencies_of_the_ledger_are_among_them_as_they_are_there() -> None:
    for currency in Currency:
        found = iso4217.by_code(currency)
        assert found is not None
        assert (found.number, 10**found.exponent) == (currency.number, MINOR_PER_MAJOR)
