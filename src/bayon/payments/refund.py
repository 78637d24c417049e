"""Refund: the receiver's participant gives the whole amount back, once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from bayon import ledger
from bayon.db import Tx
from bayon.errors import BayonError
from bayon.payments import store
from bayon.payments.model import Account, Decline, NotRefundable, Payment, PaymentNotFound
from bayon.payments.tell import tell_refunded


@dataclass(frozen=True, kw_only=True, slots=True)
class Refund:
    """Give back the payment with this hash (32 bytes)."""

    participant_id: UUID
    hash: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundDeclined:
    """The refund did not happen, and why."""

    payment: Payment
    reason: Decline


async def refund(
    tx: Tx, commands: Sequence[Refund], /, *, now: datetime
) -> list[Payment | RefundDeclined | BayonError]:
    """Refund payments; one refunded before is answered as it is. The QR stays used.

    Locks payments by id, then balances. Writes transfers, balances, payments, and
    events for who listens.
    Errors: `PaymentNotFound` (or not received by this participant), `NotRefundable`.
    Declines: insufficient_funds, amount_out_of_range (the payer's account is full).
    """
    payments = await store.lock_payments(tx, sorted({c.hash for c in commands}))
    names = {p.from_account_id for p in payments} | {p.to_account_id for p in payments}
    accounts = await store.accounts(tx, sorted(names))
    ids = {i for a in accounts.values() for i in a.ledger_ids.values()}
    book = await ledger.load(tx, now=now, account_ids=ids)
    by_hash = {payment.hash: payment for payment in payments}
    outcomes: list[Payment | RefundDeclined | BayonError] = []
    for command in commands:
        outcome = _decide(book, accounts, by_hash.get(command.hash), command)
        if isinstance(outcome, Payment):
            by_hash[outcome.hash] = outcome
        outcomes.append(outcome)
    await ledger.save(tx, book)
    refunded = [by_hash[p.hash] for p in payments if by_hash[p.hash].refunded_at != p.refunded_at]
    if refunded:
        await store.mark_refunded(tx, [p.id for p in refunded], refunded_at=now)
        await tell_refunded(tx, refunded, now=now)
    return outcomes


def _decide(
    book: ledger.Book, accounts: dict[str, Account], payment: Payment | None, command: Refund
) -> Payment | RefundDeclined | BayonError:
    if payment is None or payment.to_participant_id != command.participant_id:
        return PaymentNotFound()
    if payment.state != "succeeded":
        return NotRefundable()
    if payment.refunded_at is not None:
        return payment
    moved = book.post(
        debit_account_id=accounts[payment.to_account_id].ledger_ids[payment.currency],
        credit_account_id=accounts[payment.from_account_id].ledger_ids[payment.currency],
        amount_minor=payment.amount_minor,
        cause_id=payment.id,
    )
    if isinstance(moved, ledger.Decline):
        return RefundDeclined(payment=payment, reason=Decline(moved.value))
    return replace(payment, refunded_at=book.now)
