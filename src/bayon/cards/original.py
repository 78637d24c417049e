"""Original: which transaction a message of the card network is about. Pure.

A reversal, a completion and a clearing record name theirs by some of what it came with; a ladder
says what is believed, the surest first.

Source: ISO 8583:1987, field 90; what processors print of their matching (docs/network.md).
"""

from collections.abc import Callable, Iterable
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from bayon.cards.model import Trace, Transaction

UnmatchedKind = Literal["reversal", "advice", "completion"]


class Original(Struct, frozen=True, kw_only=True):
    """What a message says of the one it is about; `amount_minor` in the merchant's currency.

    `tolerance_percent`: by how much, of the amount that was authorised, it may be another.
    """

    message_id: UUID | None = None
    pan_digest: bytes | None = None
    rrn: str | None = None
    terminal: str | None = None
    approval_code: str | None = None
    stan: str | None = None
    amount_minor: int | None = None
    tolerance_percent: int = 0


class Unmatched(Struct, frozen=True, kw_only=True):
    """A message that cannot be declined, and could not be done: kept for a person to see."""

    kind: UnmatchedKind
    reason: str
    original: Original
    currency: str | None
    card_id: UUID | None
    trace: Trace | None
    remaining_minor: int | None = None


_Rung = Callable[[Original, Transaction, Trace], bool]


def match(original: Original, candidates: Iterable[Transaction]) -> Transaction | None:
    """Find the transaction that is meant, among those of the card and those of the message.

    One that was declined only where no rung has another: what stood in for us approved it, and that
    is a transaction of its own. Of several on one rung the newest.
    """
    traced = [(each, each.trace) for each in candidates if each.trace is not None]
    declined: Transaction | None = None
    for rung in _LADDER:
        found = [each for each, trace in traced if rung(original, each, trace)]
        if not found:
            continue
        best = max(found, key=lambda t: (t.status != "declined", t.created_at, t.id))
        if best.status != "declined":
            return best
        declined = declined or best
    return declined


def _by_message(original: Original, _: Transaction, trace: Trace) -> bool:
    return original.message_id is not None and original.message_id == trace.message_id


def _by_reference(original: Original, _: Transaction, trace: Trace) -> bool:
    given = original.rrn is not None and original.terminal is not None
    return given and (original.rrn, original.terminal) == (trace.rrn, trace.terminal)


def _by_approval(original: Original, transaction: Transaction, trace: Trace) -> bool:
    given = original.approval_code is not None and original.amount_minor is not None
    return (
        given
        and original.approval_code == trace.approval_code
        and original.amount_minor == transaction.transaction_amount_minor
        and not _is_of_another(original, trace)
    )


def _is_of_another(original: Original, trace: Trace) -> bool:
    """Tell whether two messages say of themselves that they are of two acquirers' doings.

    Not so of a clearing record, which may have a reference of its own.
    """
    if None in {original.rrn, original.terminal, trace.rrn, trace.terminal}:
        return False
    return (original.rrn, original.terminal) != (trace.rrn, trace.terminal)


def _by_number(original: Original, _: Transaction, trace: Trace) -> bool:
    given = original.rrn is not None and original.stan is not None
    return given and (original.rrn, original.stan) == (trace.rrn, trace.stan)


def _by_both(original: Original, _: Transaction, trace: Trace) -> bool:
    given = original.rrn is not None and original.approval_code is not None
    return given and (original.rrn, original.approval_code) == (trace.rrn, trace.approval_code)


def _by_tolerance(original: Original, transaction: Transaction, trace: Trace) -> bool:
    if original.approval_code is None or original.amount_minor is None:
        return False
    apart_minor = abs(original.amount_minor - transaction.transaction_amount_minor)
    allowed = original.tolerance_percent * transaction.transaction_amount_minor
    same = original.approval_code == trace.approval_code and apart_minor * 100 <= allowed
    return same and not _is_of_another(original, trace)


_LADDER: Final[tuple[_Rung, ...]] = (
    _by_message,
    _by_reference,
    _by_approval,
    _by_number,
    _by_both,
    _by_tolerance,
)
