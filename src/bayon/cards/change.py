"""Change: what an authorisation's acquirer does before it is cleared, and what time does. Pure.

An increment is a decision like the first one; a reversal and an expiry cannot be declined.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon import ledger
from bayon.cards.authorize import NO_PROOF, Proof, declined, judge_card
from bayon.cards.billing import goes_to, share
from bayon.cards.controls import Usage, judge_limits, judge_place
from bayon.cards.model import BadAttributes, Decline, NotPending, Trace, Transaction
from bayon.cards.original import Original
from bayon.cards.till import Seat, new_transaction
from bayon.errors import BayonError
from bayon.ledger import Book
from bayon.money import AMOUNT_MINOR_MAX

FINANCIAL: Final = "02"
"""How the MTI of what was one message begins."""


class Increment(Struct, frozen=True, kw_only=True):
    """Hold more for a pending transaction, named by its issuer and id, or by what it came with.

    The amount is the merchant's, and in the currency of the transaction: in none other it is found.
    """

    issuer_id: UUID | None = None
    transaction_id: UUID | None = None
    original: Original | None = None
    amount_minor: int
    currency: str | None = None
    proof: Proof = NO_PROOF
    trace: Trace | None = None


class Reverse(Struct, frozen=True, kw_only=True):
    """Take a transaction back, or an amount of it: a pending one, or one that was posted at once.

    All of it, or `amount_minor` of the merchant's, or all but `remaining_minor`. In a currency that
    is not the transaction's it is not found.
    """

    issuer_id: UUID | None = None
    transaction_id: UUID | None = None
    original: Original | None = None
    amount_minor: int | None = None
    remaining_minor: int | None = None
    currency: str | None = None
    trace: Trace | None = None


class Expire(Struct, frozen=True, kw_only=True):
    """Give a pending transaction's hold back, as time does."""

    issuer_id: UUID
    transaction_id: UUID


def increment(
    book: Book, seat: Seat, pending: Transaction, command: Increment, *, usage: Usage
) -> tuple[Transaction, bool] | BayonError:
    """Hold more. Returns the pending transaction as it is now, or a declined one of its own.

    The card is judged as at first, but for a PIN, which an increment has none of.
    Errors: `NotPending`, `BadAttributes` (an amount out of range).
    """
    if pending.status != "pending" or pending.hold_id is None:
        return NotPending()
    subjects = seat.controlled(pending.card_id)
    decline = judge_card(seat, command.proof, now=book.now)
    decline = decline or judge_place(subjects, pending.merchant)
    if decline is not None:
        return _declined(seat, pending, command, decline, now=book.now), False
    added_minor = share(pending, command.amount_minor)
    if not 0 < added_minor <= AMOUNT_MINOR_MAX:
        return BadAttributes.at("/amount", "is out of range")
    more = with_amount(pending, command.amount_minor, added_minor, now=book.now)
    decline = judge_limits(subjects, usage, more, pending)
    if decline is not None:
        return _declined(seat, pending, command, decline, now=book.now), False
    held = book.increase(hold_id=pending.hold_id, amount_minor=added_minor)
    if held is ledger.Decline.AMOUNT_OUT_OF_RANGE:
        return BadAttributes.at("/amount", "is out of range")
    if isinstance(held, ledger.Decline):
        return _declined(seat, pending, command, Decline(held.value), now=book.now), False
    return more, True


def reverse(
    book: Book, seat: Seat, transaction: Transaction, command: Reverse
) -> Transaction | BayonError:
    """Take back; never more than there is to take. What is taken back whole is `reversed`.

    Errors: `NotPending` where there is nothing to take back any more; `BadAttributes` where what
    comes back would be more than an account may have.
    """
    amount_minor = _taken(transaction, command)
    if amount_minor <= 0:
        return NotPending()
    if transaction.status == "pending" and transaction.hold_id is not None:
        return _release(book, transaction, amount_minor)
    if transaction.status == "settled" and was_one_message(transaction):
        return _hand_back(book, seat, transaction, amount_minor)
    return NotPending()


def was_one_message(transaction: Transaction) -> bool:
    """Tell whether a transaction was posted at once, and not cleared."""
    if transaction.hold_id is not None or transaction.merchant is None:
        return False
    if transaction.trace is None:
        return transaction.type == "cash_withdrawal"
    return transaction.trace.mti.startswith(FINANCIAL)


def expire(book: Book, pending: Transaction) -> Transaction | BayonError:
    """Give a hold back because its time is over. Errors: `NotPending`."""
    if pending.status != "pending" or pending.hold_id is None:
        return NotPending()
    released = book.release(hold_id=pending.hold_id)
    assert not isinstance(released, ledger.Decline), released
    return replace(pending, status="expired", expires_at=None, updated_at=book.now)


def with_amount(
    pending: Transaction, added_minor: int, billing_minor: int, *, now: datetime
) -> Transaction:
    """Write a transaction with this much more (or less) on either side."""
    return replace(
        pending,
        amount_minor=pending.amount_minor + billing_minor,
        transaction_amount_minor=pending.transaction_amount_minor + added_minor,
        updated_at=now,
    )


def _taken(transaction: Transaction, command: Reverse) -> int:
    whole_minor = transaction.transaction_amount_minor
    if command.remaining_minor is not None:
        return whole_minor - min(command.remaining_minor, whole_minor)
    return min(command.amount_minor or whole_minor, whole_minor)


def _release(book: Book, pending: Transaction, amount_minor: int) -> Transaction:
    """Release a part of a hold; its fees with the whole of it."""
    assert pending.hold_id is not None
    billing_minor = share(pending, amount_minor)
    whole = amount_minor == pending.transaction_amount_minor
    if whole or billing_minor >= pending.billing_minor:  # nothing of the bill is left
        released = book.release(hold_id=pending.hold_id)
        ended = replace(pending, status="reversed", expires_at=None, updated_at=book.now)
    else:
        # What rounds to nothing gives nothing back.
        released = (
            book.release(hold_id=pending.hold_id, amount_minor=billing_minor)
            if billing_minor
            else None
        )
        ended = with_amount(pending, -amount_minor, -billing_minor, now=book.now)
    assert not isinstance(released, ledger.Decline), released
    return ended


def _hand_back(
    book: Book, seat: Seat, transaction: Transaction, amount_minor: int
) -> Transaction | BayonError:
    """Move back what was posted at once; its fees with the whole of it."""
    billing_minor = share(transaction, amount_minor)
    whole = billing_minor >= transaction.billing_minor
    moves = [(seat.till.clearing_account_id, billing_minor)]
    if whole:
        moves += [(goes_to(fee, seat), fee.amount_minor) for fee in transaction.fees]
    debited = transaction.balance_adjustment_type == "debit"
    room_minor = book.lines[seat.till.ledger_account_id].room_minor
    if debited and sum(back for _, back in moves) > room_minor:
        return BadAttributes.at("/amount", "is out of range")  # before anything has moved
    for other_id, back_minor in moves:
        sides = (other_id, seat.till.ledger_account_id)
        debit_id, credit_id = sides if debited else sides[::-1]
        moved = back_minor and book.post(
            debit_account_id=debit_id,
            credit_account_id=credit_id,
            amount_minor=back_minor,
            cause_id=transaction.id,
            above=True,
        )
        assert not isinstance(moved, ledger.Decline), moved
    if whole:
        return replace(transaction, status="reversed", settled_at=None, updated_at=book.now)
    return with_amount(transaction, -amount_minor, -billing_minor, now=book.now)


def _declined(
    seat: Seat, pending: Transaction, command: Increment, decline: Decline, *, now: datetime
) -> Transaction:
    made = new_transaction(
        seat,
        now=now,
        occurred_at=None,
        kind=pending.type,
        adjustment="debit",
        amount_minor=share(pending, command.amount_minor),
        merchant_minor=command.amount_minor,
        merchant_currency=pending.transaction_currency,
        merchant=pending.merchant,
        trace=command.trace,
    )
    return declined(replace(made, card_id=pending.card_id), decline)
