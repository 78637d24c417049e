"""Keysets: which rows of a list are asked for, and what a page of it is. Pure.

A list is ordered by the commits of its rows, the newest first. A cursor is the id of a row; one
that is no row of the list gives an empty page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar
from uuid import UUID

SIZE_DEFAULT: Final = 10
SIZE_MAX: Final = 100
SEQ_MAX: Final = 2**63 - 1
BEGINNING: Final = datetime(1, 1, 2, tzinfo=UTC)
END: Final = datetime(9999, 12, 1, tzinfo=UTC)
BATCH_TIME_MAX: Final = timedelta(minutes=5)
"""No transaction takes so long: who began that much later has committed later."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """At most `size` rows next to a cursor: older than `after`, or newer than `before`, which wins.

    `limit` is one more than the size: whether that row is there tells whether the list goes on.
    """

    size: int = SIZE_DEFAULT
    before: UUID | None = None
    after: UUID | None = None

    @property
    def limit(self) -> int:
        """How many rows to read."""
        return self.size + 1

    @property
    def cursor(self) -> UUID | None:
        """The row to read on from; none is the top of the list."""
        return self.before or self.after

    @property
    def top_seq(self) -> int | None:
        """Below which seq to read where no cursor says so."""
        return None if self.cursor else SEQ_MAX


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """From one instant to another, both included.

    Rows are numbered as they commit and carry the time at which their transaction began. So what
    was written within the span lies between the last row written well before it and the first one
    written well after it: two numbers, found by an index on the time, between which the list's own
    index reads, wherever the span lies.
    """

    since: datetime = BEGINNING
    until: datetime = END

    @property
    def well_before(self) -> datetime:
        """Whoever wrote before this has committed before the span."""
        return max(self.since, BEGINNING) - BATCH_TIME_MAX

    @property
    def well_after(self) -> datetime:
        """Whoever wrote after this commits after the span."""
        return min(self.until, END) + BATCH_TIME_MAX


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T_co]):
    """Rows, the newest first, and whether there is reason to ask for newer and for older ones."""

    items: Sequence[T_co]
    newer: bool
    older: bool


def cut(window: Window, rows: Sequence[T]) -> Page[T]:
    """Make a page of the rows read: in the order read, one more than the size where there is more.

    Read downwards, newer rows may come at any time, so there is always reason to ask for them.
    """
    more = len(rows) > window.size
    kept = list(rows[: window.size])
    if window.before is None:
        return Page(items=kept, newer=bool(kept), older=more)
    return Page(items=kept[::-1], newer=more, older=bool(kept))


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbering:
    """How new rows of several owners are numbered: how many each has, and each row's place."""

    owner_ids: list[UUID]
    counts: list[int]
    places: list[int]


def numbering(owner_ids: Sequence[UUID]) -> Numbering:
    """Give rows their places by owner, from one on; owners are sorted, to be locked in order."""
    counts: dict[UUID, int] = {}
    places: list[int] = []
    for owner_id in owner_ids:
        counts[owner_id] = counts.get(owner_id, 0) + 1
        places.append(counts[owner_id])
    owners = sorted(counts)
    return Numbering(owner_ids=owners, counts=[counts[o] for o in owners], places=places)
