"""Clearing: what an authorisation held becomes final. Pure, on a book of locked rows."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon import ledger
from bayon.cards.authorize import fees_of
from bayon.cards.billing import Rates, billed, goes_to, pay, share
from bayon.cards.model import (
    Adjustment,
    BadAttributes,
    Kind,
    Merchant,
    NotPending,
    Trace,
    Transaction,
)
from bayon.cards.original import Original
from bayon.cards.till import Seat, new_transaction
from bayon.errors import BayonError
from bayon.ledger import Book
from bayon.money import AMOUNT_MINOR_MAX


class Clear(Struct, frozen=True, kw_only=True):
    """Clear a pending transaction, or an expired one, for its amount unless another is given.

    The amount is the merchant's, `billing_minor` what it comes to on the account (else at the
    transaction's own rate). `final`: what is left is given back; else it stays pending.
    """

    issuer_id: UUID
    transaction_id: UUID
    amount_minor: int | None = None
    billing_minor: int | None = None
    final: bool = True


class Present(Struct, frozen=True, kw_only=True):
    """Post what was cleared: money taken, or given back (a refund).

    The card is named by its issuer and its id, or by its number's digest. With an `original` that
    is known this clears it; else it is posted by itself. It was cleared, so it is owed, whatever
    state the card is in and whatever is there. `reconciles`: it tells of what was posted at once,
    if that is what its original was, also where the amount is another.
    """

    issuer_id: UUID | None = None
    card_id: UUID | None = None
    pan_digest: bytes | None = None
    amount_minor: int
    currency: str = "USD"
    billing: tuple[str, int] | None = None
    adjustment: Adjustment
    kind: Kind = "purchase"
    merchant: Merchant
    original: Original | None = None
    final: bool = True
    reconciles: bool = False
    occurred_at: datetime | None = None
    trace: Trace | None = None


def present(book: Book, seat: Seat, command: Present, *, rates: Rates) -> Transaction | BayonError:
    """Post at once.

    Errors: `BadAttributes` (no exchange rate; an amount, or what were then there, out of range).
    """
    billing_minor = billed(command, seat.currency, rates, hold=False)
    if billing_minor is None:
        return BadAttributes.at("/currency", "has no exchange rate")
    debits = command.adjustment == "debit"
    fees = fees_of(seat, command, billing_minor, surcharge_minor=0) if debits else ()
    made = new_transaction(
        seat,
        now=book.now,
        occurred_at=command.occurred_at,
        kind=command.kind,
        adjustment=command.adjustment,
        amount_minor=billing_minor + sum(fee.amount_minor for fee in fees),
        merchant_minor=command.amount_minor,
        merchant_currency=command.currency,
        fees=fees,
        merchant=command.merchant,
        trace=command.trace,
    )
    refused = pay(book, seat, made, above=True) if debits else _credit(book, seat, made)
    if refused is not None:
        return BadAttributes.at("/amount", "is out of range")
    return replace(made, settled_at=book.now.replace(microsecond=0))


def clear(
    book: Book, seat: Seat, pending: Transaction, command: Clear
) -> list[Transaction] | BayonError:
    """Capture an authorisation's hold, in full, in part or above: what is cleared is owed.

    Returns the transaction that is settled, and before it the pending one where it goes on: a part
    is a transaction of its own, and the fees stay with what goes on. Errors: `NotPending`,
    `BadAttributes` (an amount out of range).
    """
    if pending.status == "expired":
        return _clear_late(book, seat, pending, command)
    if pending.status != "pending" or pending.hold_id is None:
        return NotPending()
    amount_minor, billing_minor = _asked(pending, command)
    if not 0 < billing_minor <= AMOUNT_MINOR_MAX:
        return BadAttributes.at("/amount", "is out of range")
    less = amount_minor < pending.transaction_amount_minor and billing_minor < pending.billing_minor
    goes_on = not command.final and less
    part = _part(seat, pending, amount_minor, billing_minor, now=book.now)
    # The fees first: they stay within the hold, whatever the amount does.
    for fee in () if goes_on else pending.fees:
        taken = book.capture(
            hold_id=pending.hold_id,
            credit_account_id=goes_to(fee, seat),
            amount_minor=fee.amount_minor,
            final=False,
            cause_id=pending.id,
        )
        assert not isinstance(taken, ledger.Decline), taken
    captured = book.capture(
        hold_id=pending.hold_id,
        credit_account_id=seat.till.clearing_account_id,
        amount_minor=billing_minor,
        final=not goes_on,
        above=True,
        cause_id=part.id if goes_on else pending.id,
    )
    assert not isinstance(captured, ledger.Decline), captured
    if goes_on:
        left_minor = pending.transaction_amount_minor - amount_minor
        left_billing_minor = pending.billing_minor - billing_minor
        return [_changed(pending, left_minor, left_billing_minor, now=book.now), part]
    settled_at = book.now.replace(microsecond=0)
    ended = _changed(pending, amount_minor, billing_minor, now=book.now)
    return [replace(ended, status="settled", settled_at=settled_at, expires_at=None)]


def _asked(pending: Transaction, command: Clear) -> tuple[int, int]:
    whole_minor = pending.transaction_amount_minor
    amount_minor = whole_minor if command.amount_minor is None else command.amount_minor
    if command.billing_minor is not None:
        return amount_minor, command.billing_minor
    return amount_minor, share(pending, amount_minor)


def _clear_late(
    book: Book, seat: Seat, expired: Transaction, command: Clear
) -> list[Transaction] | BayonError:
    """Settle an authorisation whose hold was given back already: it is owed all the same.

    A part that is not the last is a transaction of its own, and the rest waits for its own.
    """
    amount_minor, billing_minor = _asked(expired, command)
    less = amount_minor < expired.transaction_amount_minor and billing_minor < expired.billing_minor
    if less and not command.final:
        part = _part(seat, expired, amount_minor, billing_minor, now=book.now)
        if pay(book, seat, part, above=True) is not None:
            return BadAttributes.at("/amount", "is out of range")
        left_minor = expired.transaction_amount_minor - amount_minor
        left_billing_minor = expired.billing_minor - billing_minor
        return [_changed(expired, left_minor, left_billing_minor, now=book.now), part]
    ended = _changed(expired, amount_minor, billing_minor, now=book.now)
    if pay(book, seat, ended, above=True) is not None:
        return BadAttributes.at("/amount", "is out of range")
    return [replace(ended, status="settled", settled_at=book.now.replace(microsecond=0))]


def _credit(book: Book, seat: Seat, made: Transaction) -> ledger.Decline | None:
    moved = book.post(
        debit_account_id=seat.till.clearing_account_id,
        credit_account_id=seat.till.ledger_account_id,
        amount_minor=made.amount_minor,
        cause_id=made.id,
        occurred_at=made.occurred_at,
    )
    return moved if isinstance(moved, ledger.Decline) else None


def _part(
    seat: Seat, pending: Transaction, amount_minor: int, billing_minor: int, *, now: datetime
) -> Transaction:
    made = new_transaction(
        seat,
        now=now,
        occurred_at=pending.occurred_at,
        kind=pending.type,
        adjustment=pending.balance_adjustment_type,
        amount_minor=billing_minor,
        merchant_minor=amount_minor,
        merchant_currency=pending.transaction_currency,
        merchant=pending.merchant,
    )
    return replace(made, card_id=pending.card_id, settled_at=now.replace(microsecond=0))


def _changed(
    transaction: Transaction, amount_minor: int, billing_minor: int, *, now: datetime
) -> Transaction:
    return replace(
        transaction,
        amount_minor=billing_minor + transaction.fees_minor,
        transaction_amount_minor=amount_minor,
        updated_at=now,
    )
