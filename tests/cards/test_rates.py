"""Exchange rates: what becomes of an amount, exactly, and once rounded."""

import ast
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bayon.cards import (
    NewRate,
    Rate,
    billing_for_clearing,
    billing_for_hold,
    read_conversion_rate,
    write_conversion_rate,
)
from bayon.cards import rates as module
from bayon.cards.rates import convert, judge
from bayon.ids import uuid7
from bayon.iso4217 import CURRENCIES, IsoCurrency
from bayon.money import AMOUNT_MINOR_MAX

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AMOUNTS = st.integers(min_value=0, max_value=AMOUNT_MINOR_MAX)
RATES = st.tuples(
    st.integers(min_value=1, max_value=10**9 - 1), st.integers(min_value=0, max_value=12)
).map(lambda drawn: Decimal(drawn[0]).scaleb(-drawn[1]))
EXPONENTS = st.sampled_from([0, 2, 3, 4])


def make_rate(from_code: str, to_code: str, rate: str, *, pad: int = 0) -> Rate:
    return Rate(
        id=uuid7(),
        from_code=from_code,
        to_code=to_code,
        rate=Decimal(rate),
        hold_pad_basis_points=pad,
        starts_at=NOW,
        created_at=NOW,
    )


def rounded(exact: Fraction) -> int | None:
    """Round as a book says: halves up; what is over the largest amount is none."""
    whole = (exact + Fraction(1, 2)).__floor__()
    return whole if whole <= AMOUNT_MINOR_MAX else None


# Converting.


@pytest.mark.parametrize(
    ("amount_minor", "rate", "exponents", "expected"),
    [
        (100_000, "0.0285", (2, 2), 2_850),  # 1,000.00 THB: 28.50 USD
        (100_000, "0.000038", (0, 2), 380),  # 100,000 VND: 3.80 USD
        (4_000_000, "0.00025", (2, 2), 1_000),  # 40,000.00 KHR: 10.00 USD
        (12_345, "3.25", (3, 2), 4_012),  # 12.345 KWD: 40.12125 USD
        (1, "4000", (2, 2), 4_000),  # 0.01 USD: 40.00 KHR
        (1, "0.5", (2, 2), 1),  # half of a cent counts as one
        (1, "0.499999999999", (2, 2), 0),
        (3, "0.5", (2, 2), 2),
        (5, "0.5", (2, 2), 3),  # halves up, not to even
        (1, "0.00025", (2, 2), 0),
        (0, "999999999", (0, 4), 0),
        (AMOUNT_MINOR_MAX, "1", (2, 2), AMOUNT_MINOR_MAX),
        (AMOUNT_MINOR_MAX, "1.000000000001", (2, 2), None),
        (AMOUNT_MINOR_MAX, "999999999.999999999999", (0, 4), None),
        (AMOUNT_MINOR_MAX + 1, "0.0285", (2, 2), None),
        (-1, "0.0285", (2, 2), None),
    ],
)
def test_amounts_are_converted_and_rounded_once(
    amount_minor: int, rate: str, exponents: tuple[int, int], expected: int | None
) -> None:
    found = convert(
        amount_minor, Decimal(rate), from_exponent=exponents[0], to_exponent=exponents[1]
    )
    assert found == expected


@given(AMOUNTS, RATES, EXPONENTS, EXPONENTS)
@example(AMOUNT_MINOR_MAX, Decimal("999999999.999999999999"), 0, 4)
@example(AMOUNT_MINOR_MAX, Decimal("0.000000000001"), 4, 0)
def test_a_conversion_is_the_exact_product_rounded_once_and_never_negative(
    amount_minor: int, rate: Decimal, from_exponent: int, to_exponent: int
) -> None:
    exact = amount_minor * Fraction(rate) * Fraction(10) ** (to_exponent - from_exponent)
    found = convert(amount_minor, rate, from_exponent=from_exponent, to_exponent=to_exponent)
    assert found == rounded(exact)
    assert found is None or (found >= 0 and type(found) is int)


@given(AMOUNTS, AMOUNTS, RATES, EXPONENTS)
def test_more_never_becomes_less(one: int, other: int, rate: Decimal, exponent: int) -> None:
    less, more = (
        convert(amount, rate, from_exponent=exponent, to_exponent=2)
        for amount in sorted((one, other))
    )
    assert more is None or (less is not None and less <= more)


@given(RATES, EXPONENTS, EXPONENTS)
def test_nothing_becomes_nothing(rate: Decimal, from_exponent: int, to_exponent: int) -> None:
    assert convert(0, rate, from_exponent=from_exponent, to_exponent=to_exponent) == 0


@given(
    st.integers(min_value=0, max_value=10**9),
    st.sampled_from(["0.25", "0.5", "1", "2", "4", "0.0002", "0.00025", "4000", "5000", "0.125"]),
)
def test_there_and_back_again_is_off_by_the_two_roundings_at_most(
    amount_minor: int, text: str
) -> None:
    rate = Decimal(text)
    there = convert(amount_minor, rate, from_exponent=2, to_exponent=2)
    assert there is not None
    back = convert(there, 1 / rate, from_exponent=2, to_exponent=2)
    assert back is not None
    assert abs(back - amount_minor) <= Fraction(1, 2) / Fraction(rate) + Fraction(1, 2)


def test_no_float_is_calculated_with() -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    numbers = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    assert [n for n in numbers if isinstance(n, float)] == []
    divided = [n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div)]
    assert divided == []
    assert "float" not in {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


# Billing.


@pytest.mark.parametrize(
    ("amount_minor", "rate", "held", "cleared"),
    [
        (100_000, make_rate("THB", "USD", "0.0285"), 2_850, 2_850),
        (100_000, make_rate("THB", "USD", "0.0285", pad=250), 2_921, 2_850),  # 29.2125
        (100_000, make_rate("VND", "USD", "0.000038", pad=250), 390, 380),  # 3.895 up
        (100_000, make_rate("KWD", "USD", "3.25", pad=1), 32_503, 32_500),  # 325.0325
        (100, make_rate("USD", "KHR", "4000", pad=10_000), 800_000, 400_000),
        (0, make_rate("THB", "USD", "0.0285", pad=250), 0, 0),
        (AMOUNT_MINOR_MAX, make_rate("EUR", "USD", "1", pad=1), None, AMOUNT_MINOR_MAX),
        (AMOUNT_MINOR_MAX, make_rate("JPY", "USD", "1"), None, None),
        (-1, make_rate("EUR", "USD", "1"), None, None),
        (100, make_rate("BGN", "USD", "0.59"), None, None),  # of a currency that is no more
        (100, make_rate("USD", "BGN", "1.7"), None, None),
    ],
)
def test_a_hold_has_the_pad_and_a_clearing_has_not(
    amount_minor: int, rate: Rate, held: int | None, cleared: int | None
) -> None:
    assert billing_for_hold(amount_minor, rate) == held
    assert billing_for_clearing(amount_minor, rate) == cleared


@given(AMOUNTS, RATES, st.integers(min_value=0, max_value=10_000), st.sampled_from(CURRENCIES))
def test_a_pad_is_calculated_with_the_rate_and_not_rounded_by_itself(
    amount_minor: int, rate: Decimal, pad: int, currency: IsoCurrency
) -> None:
    padded = make_rate(currency.code, "KHR", f"{rate:f}", pad=pad)
    exact = amount_minor * Fraction(rate) * Fraction(10) ** (2 - currency.exponent)
    assert billing_for_clearing(amount_minor, padded) == rounded(exact)
    assert billing_for_hold(amount_minor, padded) == rounded(exact * Fraction(10_000 + pad, 10_000))


# Judging.


def new(**others: object) -> NewRate:
    fields: dict[str, object] = {"from_code": "THB", "to_code": "USD", "rate": Decimal("0.0285")}
    return NewRate(**(fields | others))  # pyright: ignore[reportArgumentType] - whatever a test says


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        (new(from_code="thb"), "'thb' is no currency of ISO 4217."),
        (new(from_code=""), "'' is no currency of ISO 4217."),
        (new(from_code="XTS"), "'XTS' is no currency of ISO 4217."),
        (new(to_code="THB", from_code="USD"), "'THB' is no currency of accounts"),
        (new(to_code="usd"), "'usd' is no currency of accounts"),
        (new(from_code="USD"), "From a currency to itself"),
        (new(rate=Decimal(0)), "A rate is more than 0"),
        (new(rate=Decimal("-0.0285")), "A rate is more than 0"),
        (new(rate=Decimal("NaN")), "A rate is more than 0"),
        (new(rate=Decimal("sNaN")), "A rate is more than 0"),
        (new(rate=Decimal("Infinity")), "A rate is more than 0"),
        (new(rate=Decimal("1E+9")), "at most 9 digits before the point"),
        (new(rate=Decimal("1E-13")), "and 12 after it"),
        (new(hold_pad_basis_points=-1), "A pad is from 0 to 100 percent."),
        (new(hold_pad_basis_points=10_001), "A pad is from 0 to 100 percent."),
        (new(starts_at=NOW - timedelta(microseconds=1)), "from now (2026-11-25T12:00:00Z) on"),
    ],
)
def test_what_is_not_possible_is_told(given_: NewRate, says: str) -> None:
    ((place, fault),) = judge([new(from_code="EUR"), given_], now=NOW)
    assert place == 1
    assert says in fault


def test_the_extremes_are_possible() -> None:
    extremes = [
        new(rate=Decimal("999999999.999999999999")),
        new(from_code="EUR", rate=Decimal("0.000000000001"), hold_pad_basis_points=10_000),
        new(from_code="VND", starts_at=NOW),
        new(from_code="JPY", to_code="KHR", rate=Decimal("1E+8")),
    ]
    assert judge(extremes, now=NOW) == []


def test_the_same_start_twice_is_told_whether_it_was_said_or_not() -> None:
    later = NOW + timedelta(days=1)
    rates = [new(), new(starts_at=later), new(to_code="KHR"), new(starts_at=NOW), new()]
    assert judge(rates, now=NOW) == [
        (3, "THB to USD is given twice."),
        (4, "THB to USD is given twice."),
    ]


def test_everything_that_is_wrong_with_one_is_told() -> None:
    wrong = new(from_code="THBX", to_code="XAU", rate=Decimal(0), hold_pad_basis_points=-1)
    assert [place for place, _ in judge([wrong], now=NOW)] == [0, 0, 0, 0]


# Conversion rates of ISO 8583.


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("61000000", "1.000000"),
        ("80285000", "0.00285000"),
        ("72850000", "0.2850000"),
        ("03100000", "3100000"),
        ("00000001", "1"),
        ("90000001", "0.000000001"),
        ("99999999", "0.009999999"),
    ],
)
def test_conversion_rates_are_read(text: str, rate: str) -> None:
    assert str(read_conversion_rate(text)) == str(Decimal(rate))


@pytest.mark.parametrize(
    "text",
    ["", "6100000", "610000000", "6100000A", " 6100000", "6100000\n", "-1000000", "٦١٠٠٠٠٠٠"],
)
def test_what_is_no_conversion_rate_is_none(text: str) -> None:
    assert read_conversion_rate(text) is None


@pytest.mark.parametrize("decimals", range(10))
def test_there_is_no_conversion_rate_of_zero(decimals: int) -> None:
    assert read_conversion_rate(f"{decimals}0000000") is None


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        ("1", "61000000"),
        ("0.0285", "82850000"),
        ("0.00025", "90250000"),
        ("0.000038", "90038000"),
        ("4000", "34000000"),
        ("9999999", "09999999"),
        ("1.2345675", "61234568"),  # a half goes up
        ("9.99999999", "51000000"),  # and takes a digit more
        ("0.0000000005", "90000001"),
        ("0.00000000049", None),
        ("9999999.5", None),
        ("10000000", None),
        ("999999999.999999999999", None),
    ],
)
def test_conversion_rates_are_written(rate: str, text: str | None) -> None:
    assert write_conversion_rate(Decimal(rate)) == text


@given(st.integers(min_value=0, max_value=9), st.integers(min_value=1, max_value=9_999_999))
def test_a_conversion_rate_that_was_read_is_written_as_the_same_one(
    decimals: int, digits: int
) -> None:
    rate = read_conversion_rate(f"{decimals}{digits:07}")
    assert rate is not None
    written = write_conversion_rate(rate)
    assert written is not None
    assert read_conversion_rate(written) == rate


@given(RATES)
def test_a_conversion_rate_that_is_written_is_as_near_as_its_decimals_allow(rate: Decimal) -> None:
    written = write_conversion_rate(rate)
    if written is None:
        assert rate >= Decimal("9999999.5") or rate < Decimal("5E-10")
        return
    read = read_conversion_rate(written)
    assert read is not None
    assert abs(read - rate) <= Decimal(5).scaleb(-int(written[0]) - 1)
