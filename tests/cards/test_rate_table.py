"""The table of exchange rates: which one counts, what is set together, what is never changed."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from bayon import cards
from bayon.cards import NewRate, Rate, rate_store
from bayon.db import Database, Tx
from bayon.errors import Invalid
from bayon.ids import uuid7
from cards_factories import now_of

DAY = timedelta(days=1)
PAIR = ("THB", "USD")


def new(rate: str = "0.0285", **others: Any) -> NewRate:  # noqa: ANN401 - its fields
    fields: dict[str, Any] = {"from_code": "THB", "to_code": "USD", "rate": Decimal(rate)}
    return NewRate(**(fields | others))


async def set_all(db: Database, *rates: NewRate, now: datetime | None = None) -> list[Rate]:
    async def work(tx: Tx) -> list[Rate]:
        return await cards.set_rates(tx, rates, now=now or await now_of(tx))

    return await db.transaction(work)


async def find(db: Database, *pairs: tuple[str, str], now: datetime) -> dict[tuple[str, str], str]:
    found = await db.read(lambda tx: rate_store.find_rates(tx, pairs, now=now))
    assert all(pair == (rate.from_code, rate.to_code) for pair, rate in found.items())
    return {pair: f"{rate.rate:f}" for pair, rate in found.items()}


async def test_the_rate_that_started_last_counts_and_one_set_ahead_does_not_yet(
    db: Database,
) -> None:
    now = await db.read(now_of)
    await set_all(db, new("0.03", starts_at=now + DAY), new("0.0285"), now=now)
    await set_all(db, new("0.029", starts_at=now + DAY / 2), now=now)
    told = [
        await find(db, PAIR, now=now + after)
        for after in (-DAY, timedelta(), DAY / 2 - DAY / 100, DAY / 2, DAY, 365 * DAY)
    ]
    assert told == [
        {},
        {PAIR: "0.0285"},
        {PAIR: "0.0285"},
        {PAIR: "0.029"},
        {PAIR: "0.03"},
        {PAIR: "0.03"},
    ]


async def test_of_two_that_start_together_the_one_set_last_counts(db: Database) -> None:
    now = await db.read(now_of)
    for rate in ("0.285", "0.0285", "0.0286"):
        await set_all(db, new(rate, starts_at=now + DAY), now=now)
        assert await find(db, PAIR, now=now + DAY) == {PAIR: rate}


async def test_many_pairs_are_found_in_one_statement_and_those_without_a_rate_are_not(
    db: Database,
) -> None:
    now = await db.read(now_of)
    codes = ("EUR", "THB", "VND", "JPY")
    await set_all(db, *(new(f"1.{n}", from_code=code) for n, code in enumerate(codes)), now=now)
    await set_all(db, new("4000", from_code="USD", to_code="KHR"), now=now)
    db.journal = []
    found = await find(
        *(db, ("THB", "USD"), ("USD", "THB"), ("USD", "KHR"), ("EUR", "KHR"), ("JPY", "USD")),
        now=now,
    )
    assert len(db.journal) == 1
    assert found == {("THB", "USD"): "1.1", ("USD", "KHR"): "4000", ("JPY", "USD"): "1.3"}
    assert await find(db, now=now) == {}


async def test_a_rate_comes_back_as_it_was_set(db: Database) -> None:
    for text in ("999999999.999999999999", "0.000000000001", "0.02850", "40000"):
        (made,) = await set_all(db, new(text, hold_pad_basis_points=10_000))
        found = await db.read(
            lambda tx, at=made.starts_at: rate_store.find_rates(tx, [PAIR], now=at)
        )
        assert found == {PAIR: made}
        assert (made.rate, made.hold_pad_basis_points) == (Decimal(text), 10_000)


async def test_the_list_shows_what_counts_and_what_is_set_ahead_and_the_past_if_asked(
    db: Database,
) -> None:
    now = await db.read(now_of)
    first = await set_all(db, new("1"), new("2", from_code="EUR"), now=now - 2 * DAY)
    second = await set_all(db, new("3"), new("4", starts_at=now + DAY), now=now - DAY)
    listed = await db.read(lambda tx: cards.list_rates(tx, now=now))
    assert listed == [first[1], *second]
    everything = await db.read(lambda tx: cards.list_rates(tx, now=now, past=True))
    assert everything == [first[1], first[0], *second]


async def test_one_that_is_not_possible_stops_them_all(db: Database) -> None:
    with pytest.raises(Invalid) as caught:
        await set_all(db, new(), new("0", from_code="EUR"), new(from_code="XTS", to_code="THB"))
    assert [problem.pointer for problem in caught.value.problems] == ["/1", "/2", "/2"]
    now = await db.read(now_of)
    assert await db.read(lambda tx: cards.list_rates(tx, now=now, past=True)) == []


async def test_nothing_at_all_may_be_set(db: Database) -> None:
    assert await set_all(db) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": Decimal(0)},
        {"rate": Decimal(-1)},
        {"rate": Decimal("NaN")},
        {"rate": Decimal("Infinity")},
        {"rate": Decimal(1_000_000_000)},
        {"hold_pad_basis_points": -1},
        {"hold_pad_basis_points": 10_001},
        {"from_code": "usd"},
        {"from_code": "USD"},
        {"to_code": "THBX"},
    ],
)
async def test_the_schema_refuses_what_no_verb_would_write(
    db: Database, wrong: dict[str, Any]
) -> None:
    now = await db.read(now_of)
    fields: dict[str, Any] = {
        "id": uuid7(),
        "from_code": "THB",
        "to_code": "USD",
        "rate": Decimal("0.0285"),
        "hold_pad_basis_points": 0,
        "starts_at": now,
        "created_at": now,
    }
    with pytest.raises(asyncpg.CheckViolationError):
        await db.transaction(lambda tx: rate_store.insert_rates(tx, [Rate(**(fields | wrong))]))
