"""Every statement on exchange rates, of the schema `cards`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from bayon.cards.rates import Rate
from bayon.db import Tx

_RATE: Final = """ r.id, r.from_code, r.to_code, r.rate, r.hold_pad_basis_points, r.starts_at,
    r.created_at """


async def find_rates(
    tx: Tx, pairs: Sequence[tuple[str, str]], *, now: datetime
) -> dict[tuple[str, str], Rate]:
    """Find the rate that counts now of each pair of codes, from and to, that has one."""
    rows = await tx.rows(
        """
        SELECT found.* FROM unnest($1::text[], $2::text[]) AS wanted (from_code, to_code)
        CROSS JOIN LATERAL (
            SELECT"""
        + _RATE
        + """FROM cards.rate AS r
            WHERE r.from_code = wanted.from_code AND r.to_code = wanted.to_code
                AND r.starts_at <= $3
            ORDER BY r.starts_at DESC, r.id DESC LIMIT 1
        ) AS found
        """,
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
        now,
    )
    return {(rate.from_code, rate.to_code): rate for rate in map(_rate, rows)}


async def rates(tx: Tx) -> list[Rate]:
    """List all rates there ever were, by pair, each pair's by when they start."""
    order = " ORDER BY r.from_code, r.to_code, r.starts_at, r.id"
    rows = await tx.rows("SELECT" + _RATE + "FROM cards.rate AS r" + order)
    return [_rate(row) for row in rows]


async def insert_rates(tx: Tx, rates: Sequence[Rate]) -> None:
    """Insert rates; none that is there is changed."""
    await tx.run(
        """
        INSERT INTO cards.rate
            (id, from_code, to_code, rate, hold_pad_basis_points, starts_at, created_at)
        SELECT * FROM unnest(
            $1::uuid[], $2::text[], $3::text[], $4::numeric[], $5::int[], $6::timestamptz[],
            $7::timestamptz[]
        )
        """,
        [rate.id for rate in rates],
        [rate.from_code for rate in rates],
        [rate.to_code for rate in rates],
        [rate.rate for rate in rates],
        [rate.hold_pad_basis_points for rate in rates],
        [rate.starts_at for rate in rates],
        [rate.created_at for rate in rates],
    )


def _rate(row: Any) -> Rate:  # noqa: ANN401 - a Record, whose columns have no types
    return Rate(**row)
