"""Presentments: what a clearing file says, whichever form it is of. Pure.

A file is read whole or not at all: a record that cannot be understood, a total that does not add
up or an end that is missing refuses all of it, before anything is posted.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from bayon.cards.model import Adjustment, Kind, Merchant
from bayon.errors import Invalid, Problem
from bayon.log import Secret

FILE_SIZE_MAX: Final = 128 * 2**20
RECORDS_MAX: Final = 500_000
PROBLEMS_MAX: Final = 20

Form = Literal["csv", "ipm"]

_TEXT: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z ./-]{0,38}")


class Presentment(Struct, frozen=True, kw_only=True):
    """One cleared amount: money taken, or given back. `billing` as the network calculated it.

    `reference` is the acquirer's, one for each presentment; `reverses`: it takes an earlier one
    back; `final`: nothing more is to come for its authorisation.
    """

    line: int
    pan: Secret
    kind: Kind
    adjustment: Adjustment
    amount_minor: int
    currency: str
    billing: tuple[str, int] | None = None
    occurred_at: datetime | None = None
    reference: str | None = None
    rrn: str | None = None
    approval_code: str | None = None
    terminal: str | None = None
    merchant: Merchant
    reverses: bool = False
    final: bool = True


class Note(Struct, frozen=True, kw_only=True):
    """A record that is counted and kept for a person, and not posted: a chargeback, a fee."""

    line: int
    kind: str
    reference: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


class Total(Struct, frozen=True, kw_only=True):
    """How many presentments there are of one direction and currency, and what they come to."""

    adjustment: Adjustment
    currency: str
    count: int
    amount_minor: int


class ClearingFile(Struct, frozen=True, kw_only=True):
    """A file that was read whole; `digest` is the SHA-256 of its content."""

    form: Form
    digest: bytes
    records: tuple[Presentment | Note, ...]

    @property
    def totals(self) -> tuple[Total, ...]:
        """The control totals, calculated from its records."""
        return totals_of(self.records)


def totals_of(records: Iterable[Presentment | Note]) -> tuple[Total, ...]:
    """Add up the presentments by direction and currency, in their order."""
    sums: dict[tuple[Adjustment, str], tuple[int, int]] = {}
    for each in records:
        if isinstance(each, Presentment):
            key = (each.adjustment, each.currency)
            count, amount_minor = sums.get(key, (0, 0))
            sums[key] = (count + 1, amount_minor + each.amount_minor)
    return tuple(
        Total(adjustment=key[0], currency=key[1], count=sums[key][0], amount_minor=sums[key][1])
        for key in sorted(sums)
    )


def key_of(record: Presentment | Note, pan_digest: bytes | None) -> bytes:
    """Tell by which digest a record is known in whichever file it comes: 32 bytes.

    Of the acquirer's reference; else of RRN, approval code, card, amount and time.
    """
    if isinstance(record, Note):
        parts = [record.kind, record.reference, record.currency, record.amount_minor]
        return _digest(["note", *parts, record.line if record.reference is None else None])
    said = [record.adjustment, "reverses" if record.reverses else "presents"]
    if record.reference is not None:
        return _digest(["reference", record.reference, *said])
    at = record.occurred_at.isoformat() if record.occurred_at else None
    card = pan_digest.hex() if pan_digest else None
    amount = [record.currency, record.amount_minor]
    return _digest(["record", record.rrn, record.approval_code, card, *amount, at, *said])


def reference_text(text: str, problems: list[str], name: str) -> str | None:
    """Read a reference: letters, digits, and a few marks; None where there is none."""
    stripped = text.strip()
    if stripped and not _TEXT.fullmatch(stripped):
        problems.append(f"{name} is of 1 to 39 letters, digits, spaces, points, dashes.")
        return None
    return stripped or None


def refuse(problems: Sequence[tuple[int, str]]) -> Invalid:
    """Make the refusal of a file, with its first wrong records."""
    return Invalid(
        "The file is refused whole, since not all of its records are right.",
        problems=tuple(
            Problem(pointer=f"/{line}", message=f"record {line}: {says}")
            for line, says in problems[:PROBLEMS_MAX]
        ),
    )


def size_is_right(content: bytes) -> None:
    """Refuse a file that is too large to be one. Errors: `Invalid`."""
    if len(content) > FILE_SIZE_MAX:
        raise Invalid("A clearing file is of 128 MiB at most.")


def _digest(parts: Sequence[object]) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()
