"""Controls: where a card or an account may be used, how much at once, and how much a day. Pure.

What counts is what a transaction comes to on the account without its fees, on the day it was made,
from its authorisation on: what is taken back or expires gives that back to that day. Clearing, for
more or for less, changes nothing. What cannot be declined counts too. A day is one of Phnom Penh.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final
from uuid import UUID

from msgspec import Struct

from bayon.cards.model import Decline, Merchant, Transaction
from bayon.clock import PHNOM_PENH


class Controls(Struct, frozen=True, kw_only=True):
    """Limits in minor units of the account, and where it may be used; what is None is no limit.

    MCCs have four digits, countries two letters. Nothing is in an allowed list that is empty.
    """

    amount_per_transaction_minor: int | None = None
    amount_per_day_minor: int | None = None
    count_per_day: int | None = None
    allowed_mccs: frozenset[str] | None = None
    blocked_mccs: frozenset[str] | None = None
    allowed_countries: frozenset[str] | None = None
    blocked_countries: frozenset[str] | None = None

    @property
    def a_day(self) -> bool:
        """Tell whether what is used has to be counted."""
        return self.amount_per_day_minor is not None or self.count_per_day is not None


NO_CONTROLS: Final = Controls()


class Used(Struct, frozen=True, kw_only=True):
    """What was used on a day: an amount in minor units, and how often."""

    amount_minor: int = 0
    count: int = 0


NOTHING_USED: Final = Used()


class Controlled(Struct, frozen=True, kw_only=True):
    """The controls of a card or an account, by its id, and what was used today."""

    id: UUID
    controls: Controls
    used: Used


Subject = tuple[UUID, Controls]
"""The id of a card or an account, and its controls."""

Place = tuple[UUID, date]
"""Of which card or account, and on which day."""


@dataclass(kw_only=True, slots=True)
class Usage:
    """What was used, by card or account and by day: of what has a limit a day, and no other."""

    rows: dict[Place, Used] = field(default_factory=dict[Place, Used])
    changed: set[Place] = field(default_factory=set[Place])

    def of(self, subject_id: UUID, day: date) -> Used:
        """Tell what was used."""
        return self.rows.get((subject_id, day), NOTHING_USED)

    def count(self, after: Transaction, before: Transaction | None = None) -> None:
        """Count a transaction as it is now, on its day; `before` is how it was counted, if it was.

        What was made before its card or account had a limit was never counted: nothing is below 0.
        """
        if not self.rows:  # nothing here has a limit a day
            return
        more = _more(after, before)
        if more == NOTHING_USED:
            return
        for place in places([i for i in (after.card_id, after.account_id) if i], after.created_at):
            if place in self.rows:
                used = self.rows[place]
                self.rows[place] = Used(
                    amount_minor=max(used.amount_minor + more.amount_minor, 0),
                    count=max(used.count + more.count, 0),
                )
                self.changed.add(place)


def day_of(at: datetime) -> date:
    """Tell which day it is in Phnom Penh."""
    return at.astimezone(PHNOM_PENH).date()


def begin_of(day: date) -> datetime:
    """Tell when a day of Phnom Penh begins."""
    return datetime.combine(day, time(), PHNOM_PENH)


def places(subject_ids: Collection[UUID], at: datetime) -> list[Place]:
    """Tell where what is used at an instant is counted."""
    return [(subject_id, day_of(at)) for subject_id in subject_ids]


def judge_place(subjects: Sequence[Subject], merchant: Merchant | None) -> Decline | None:
    """Say why a card may not be used at a merchant's, if it may not.

    A trade or a country nobody knows is in no list: where only some are allowed, it is not.
    """
    mcc = merchant.mcc if merchant else None
    country = merchant.country if merchant else None
    for _, controls in subjects:
        mccs = _may(mcc, controls.allowed_mccs, controls.blocked_mccs)
        if not mccs or not _may(country, controls.allowed_countries, controls.blocked_countries):
            return Decline.NOT_PERMITTED
    return None


def judge_limits(
    subjects: Sequence[Subject],
    usage: Usage,
    after: Transaction,
    before: Transaction | None = None,
) -> Decline | None:
    """Say which limit a transaction would be above as it is `after`, if it would be above one.

    Declines: `AMOUNT_LIMIT` of any subject, then `COUNT_LIMIT` of any.
    """
    if not subjects:
        return None
    more, day = _more(after, before), day_of(after.created_at)
    for subject_id, controls in subjects:
        once = after.billing_minor
        daily = usage.of(subject_id, day).amount_minor + more.amount_minor
        limits = (controls.amount_per_transaction_minor, controls.amount_per_day_minor)
        if _above(once, limits[0]) or _above(daily, limits[1]):
            return Decline.AMOUNT_LIMIT
    for subject_id, controls in subjects:
        count = usage.of(subject_id, day).count + more.count
        if more.count and _above(count, controls.count_per_day):
            return Decline.COUNT_LIMIT
    return None


def _may(value: str | None, allowed: frozenset[str] | None, blocked: frozenset[str] | None) -> bool:
    if allowed is not None and value not in allowed:
        return False
    return blocked is None or value not in blocked


def _above(value: int, limit: int | None) -> bool:
    return limit is not None and value > limit


def _more(after: Transaction, before: Transaction | None) -> Used:
    now, then = _counted(after), _counted(before)
    return Used(amount_minor=now.amount_minor - then.amount_minor, count=now.count - then.count)


def _counted(transaction: Transaction | None) -> Used:
    """Tell what of a transaction counts: of one that was declined, or has ended, nothing."""
    if transaction is None or transaction.status not in {"pending", "settled"}:
        return NOTHING_USED
    if transaction.balance_adjustment_type != "debit":
        return NOTHING_USED
    return Used(amount_minor=transaction.billing_minor, count=1)
