"""The table of exchange rates: set and listed. It is the operator's, one for all issuers."""

from collections.abc import Sequence
from datetime import datetime

from bayon.cards import rate_store
from bayon.cards.rates import NewRate, Rate, judge
from bayon.db import Tx
from bayon.errors import Invalid, Problem
from bayon.ids import uuid7


async def set_rates(tx: Tx, rates: Sequence[NewRate], *, now: datetime) -> list[Rate]:
    """Set rates, all of them or none; each counts from its start on, those there were until then.

    Writes rates, and changes none. Errors: `Invalid`, with a problem for each thing `judge` finds.
    """
    faults = judge(rates, now=now)
    if faults:
        raise Invalid(
            "These rates are not possible.",
            problems=tuple(Problem(pointer=f"/{place}", message=says) for place, says in faults),
        )
    made = [
        Rate(
            id=uuid7(),
            from_code=new.from_code,
            to_code=new.to_code,
            rate=new.rate,
            hold_pad_basis_points=new.hold_pad_basis_points,
            starts_at=new.starts_at or now,
            created_at=now,
        )
        for new in rates
    ]
    await rate_store.insert_rates(tx, made)
    return made


async def list_rates(tx: Tx, *, now: datetime, past: bool = False) -> list[Rate]:
    """List the rates that count now and those set ahead, by pair and start; and past ones too.

    Reads all there ever were.
    """
    rates = await rate_store.rates(tx)
    if past:
        return rates
    current = {(rate.from_code, rate.to_code): rate for rate in rates if rate.starts_at <= now}
    counting = {rate.id for rate in current.values()}
    return [rate for rate in rates if rate.starts_at > now or rate.id in counting]
