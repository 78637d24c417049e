"""Change: what an authorisation's acquirer does before it is cleared, and what time does. Pure.

An increment is a decision like the first one; a reversal and an expiry cannot be declined.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from bayon import ledger
from bayon.cards.authorize import judge_card
from bayon.cards.model import BadAttributes, Decline, NotPending, Transaction
from bayon.cards.till import Seat, new_transaction
from bayon.errors import BayonError
from bayon.ledger import Book


@dataclass(frozen=True, kw_only=True, slots=True)
class Increment:
    """Hold more for a pending transaction."""

    issuer_id: UUID
    transaction_id: UUID
    amount_minor: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reverse:
    """Take a transaction back, or an amount of it: a pending one, or a cash withdrawal."""

    issuer_id: UUID
    transaction_id: UUID
    amount_minor: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Expire:
    """Give a pending transaction's hold back, as time does."""

    issuer_id: UUID
    transaction_id: UUID


def increment(
    book: Book, seat: Seat, pending: Transaction, command: Increment
) -> tuple[Transaction, bool] | BayonError:
    """Hold more. Returns the pending transaction as it is now, or a declined one of its own.

    The card is judged as at first, but for a PIN, which an increment has none of.
    Errors: `NotPending`, `BadAttributes` (an amount out of range).
    """
    if pending.status != "pending" or pending.hold_id is None:
        return NotPending()
    decline = judge_card(seat, now=book.now)
    if decline is not None:
        return _declined(seat, pending, command, decline, now=book.now), False
    held = book.increase(hold_id=pending.hold_id, amount_minor=command.amount_minor)
    if held is ledger.Decline.AMOUNT_OUT_OF_RANGE:
        return BadAttributes.at("/amount", "is out of range")
    if isinstance(held, ledger.Decline):
        return _declined(seat, pending, command, Decline(held.value), now=book.now), False
    return _with_amount(pending, pending.amount_minor + command.amount_minor, now=book.now), True


def reverse(
    book: Book, seat: Seat, transaction: Transaction, command: Reverse
) -> Transaction | BayonError:
    """Take back; never more than there is to take. What is taken back whole is `reversed`.

    Errors: `NotPending` where it is neither pending nor a settled cash withdrawal; `BadAttributes`
    where what comes back would be more than an account may have.
    """
    if transaction.status == "pending" and transaction.hold_id is not None:
        amount_minor = min(
            command.amount_minor or transaction.amount_minor, transaction.amount_minor
        )
        released = book.release(hold_id=transaction.hold_id, amount_minor=amount_minor)
        assert not isinstance(released, ledger.Decline), released
        return _taken_back(transaction, amount_minor, now=book.now)
    if transaction.status == "settled" and transaction.type == "cash_withdrawal":
        return _hand_back(book, seat, transaction, command)
    return NotPending()


def expire(book: Book, pending: Transaction) -> Transaction | BayonError:
    """Give a hold back because its time is over. Errors: `NotPending`."""
    if pending.status != "pending" or pending.hold_id is None:
        return NotPending()
    released = book.release(hold_id=pending.hold_id)
    assert not isinstance(released, ledger.Decline), released
    return replace(pending, status="expired", expires_at=None, updated_at=book.now)


def _hand_back(
    book: Book, seat: Seat, transaction: Transaction, command: Reverse
) -> Transaction | BayonError:
    """Move back what a cash withdrawal has moved; its fee with the whole of it."""
    paid_minor = transaction.transaction_amount_minor
    amount_minor = min(command.amount_minor or paid_minor, paid_minor)
    whole = amount_minor == paid_minor
    moves = [(seat.till.clearing_account_id, amount_minor)]
    if whole:
        moves += [(seat.till.fees_account_id, fee.amount_minor) for fee in transaction.fees]
    if sum(back for _, back in moves) > book.lines[seat.till.ledger_account_id].room_minor:
        return BadAttributes.at("/amount", "is out of range")  # before anything has moved
    for from_id, back_minor in moves:
        moved = book.post(
            debit_account_id=from_id,
            credit_account_id=seat.till.ledger_account_id,
            amount_minor=back_minor,
            cause_id=transaction.id,
        )
        assert not isinstance(moved, ledger.Decline), moved
    if whole:
        return replace(transaction, status="reversed", settled_at=None, updated_at=book.now)
    return replace(
        transaction,
        amount_minor=transaction.amount_minor - amount_minor,
        transaction_amount_minor=paid_minor - amount_minor,
        updated_at=book.now,
    )


def _taken_back(pending: Transaction, amount_minor: int, *, now: datetime) -> Transaction:
    if amount_minor == pending.amount_minor:
        return replace(pending, status="reversed", expires_at=None, updated_at=now)
    return _with_amount(pending, pending.amount_minor - amount_minor, now=now)


def _with_amount(pending: Transaction, amount_minor: int, *, now: datetime) -> Transaction:
    return replace(
        pending,
        amount_minor=amount_minor,
        transaction_amount_minor=amount_minor,
        updated_at=now,
    )


def _declined(
    seat: Seat, pending: Transaction, command: Increment, decline: Decline, *, now: datetime
) -> Transaction:
    made = new_transaction(
        seat,
        now=now,
        occurred_at=None,
        kind=pending.type,
        adjustment="debit",
        amount_minor=command.amount_minor,
        merchant_minor=command.amount_minor,
        merchant=pending.merchant,
    )
    return replace(
        made,
        card_id=pending.card_id,
        status="declined",
        decline_reason=decline,
        settled_at=None,
    )
