"""Clearing: what an authorisation held becomes final. Pure, on a book of locked rows."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from bayon import ledger
from bayon.cards.model import Adjustment, BadAttributes, Merchant, NotPending, Transaction
from bayon.cards.till import Seat, new_transaction
from bayon.errors import BayonError
from bayon.ledger import Book


@dataclass(frozen=True, kw_only=True, slots=True)
class Clear:
    """Clear a pending transaction, or an expired one, for its amount unless another is given.

    `final`: what is left is given back; else it stays pending.
    """

    issuer_id: UUID
    transaction_id: UUID
    amount_minor: int | None = None
    final: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Present:
    """Post what was cleared without an authorisation: money taken, or given back (a refund).

    It was cleared, so it is owed, whatever state the card is in and whatever is there.
    """

    issuer_id: UUID
    card_id: UUID
    amount_minor: int
    adjustment: Adjustment
    merchant: Merchant
    occurred_at: datetime | None = None


def present(book: Book, seat: Seat, command: Present) -> Transaction | BayonError:
    """Post at once. Errors: `BadAttributes` (an amount, or what were then there, out of range)."""
    made = new_transaction(
        seat,
        now=book.now,
        occurred_at=command.occurred_at,
        kind="purchase",
        adjustment=command.adjustment,
        amount_minor=command.amount_minor,
        merchant_minor=command.amount_minor,
        merchant=command.merchant,
    )
    sides = (seat.till.ledger_account_id, seat.till.clearing_account_id)
    debit_id, credit_id = sides if command.adjustment == "debit" else sides[::-1]
    moved = book.post(
        debit_account_id=debit_id,
        credit_account_id=credit_id,
        amount_minor=command.amount_minor,
        cause_id=made.id,
        above=True,
        occurred_at=made.occurred_at,
    )
    if isinstance(moved, ledger.Decline):
        return BadAttributes.at("/amount", "is out of range")
    return replace(made, settled_at=book.now.replace(microsecond=0))


def clear(
    book: Book, seat: Seat, pending: Transaction, command: Clear
) -> list[Transaction] | BayonError:
    """Capture an authorisation's hold, in full, in part or above: what is cleared is owed.

    Returns the transaction that is settled, and before it the pending one where it goes on: a part
    is a transaction of its own. Errors: `NotPending`, `BadAttributes` (an amount out of range).
    """
    if pending.status == "expired":
        return _clear_late(book, seat, pending, command)
    if pending.status != "pending" or pending.hold_id is None:
        return NotPending()
    amount_minor = pending.amount_minor if command.amount_minor is None else command.amount_minor
    goes_on = not command.final and amount_minor < pending.amount_minor
    part = _part(seat, pending, amount_minor, now=book.now)
    captured = book.capture(
        hold_id=pending.hold_id,
        credit_account_id=seat.till.clearing_account_id,
        amount_minor=amount_minor,
        final=not goes_on,
        above=True,
        cause_id=part.id if goes_on else pending.id,
    )
    if isinstance(captured, ledger.Decline):
        assert captured is ledger.Decline.AMOUNT_OUT_OF_RANGE, captured
        return BadAttributes.at("/amount", "is out of range")
    if goes_on:
        return [_changed(pending, pending.amount_minor - amount_minor, now=book.now), part]
    settled_at = book.now.replace(microsecond=0)
    ended = _changed(pending, amount_minor, now=book.now)
    return [replace(ended, status="settled", settled_at=settled_at, expires_at=None)]


def _clear_late(
    book: Book, seat: Seat, expired: Transaction, command: Clear
) -> list[Transaction] | BayonError:
    """Settle an authorisation whose hold was given back already: it is owed all the same."""
    amount_minor = expired.amount_minor if command.amount_minor is None else command.amount_minor
    moved = book.post(
        debit_account_id=seat.till.ledger_account_id,
        credit_account_id=seat.till.clearing_account_id,
        amount_minor=amount_minor,
        cause_id=expired.id,
        above=True,
    )
    if isinstance(moved, ledger.Decline):
        return BadAttributes.at("/amount", "is out of range")
    ended = _changed(expired, amount_minor, now=book.now)
    return [replace(ended, status="settled", settled_at=book.now.replace(microsecond=0))]


def _part(seat: Seat, pending: Transaction, amount_minor: int, *, now: datetime) -> Transaction:
    made = new_transaction(
        seat,
        now=now,
        occurred_at=pending.occurred_at,
        kind=pending.type,
        adjustment=pending.balance_adjustment_type,
        amount_minor=amount_minor,
        merchant_minor=amount_minor,
        merchant=pending.merchant,
    )
    return replace(made, card_id=pending.card_id, settled_at=now.replace(microsecond=0))


def _changed(transaction: Transaction, amount_minor: int, *, now: datetime) -> Transaction:
    return replace(
        transaction,
        amount_minor=amount_minor,
        transaction_amount_minor=amount_minor,
        updated_at=now,
    )
