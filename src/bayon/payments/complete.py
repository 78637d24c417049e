"""Complete: a pending payment whose time has come is captured, or fails and gives its hold back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bayon import ledger
from bayon.db import Tx
from bayon.ledger import Book
from bayon.payments import store
from bayon.payments.model import Account, Payment


async def complete_due(tx: Tx, *, now: datetime, limit: int) -> list[Payment]:
    """Complete pending payments that are due; returns them as they are now.

    Locks due payments (skipping those another worker has), then holds, then balances. Writes all of
    them; a payment that fails frees its dynamic QR.
    """
    due = await store.claim_due_payments(tx, now=now, limit=limit)
    if not due:
        return []
    accounts = await store.accounts(tx, sorted({payment.to_account_id for payment in due}))
    book = await ledger.load(
        tx,
        now=now,
        account_ids={accounts[p.to_account_id].ledger_ids[p.currency] for p in due},
        hold_ids={p.hold_id for p in due if p.hold_id is not None},
    )
    completed = [_complete(book, payment, accounts[payment.to_account_id]) for payment in due]
    await _save(tx, book, completed)
    return completed


def _complete(book: Book, payment: Payment, receiver: Account) -> Payment:
    assert payment.hold_id is not None
    assert payment.due_state is not None
    if payment.due_state == "succeeded":
        outcome = book.capture(
            hold_id=payment.hold_id,
            credit_account_id=receiver.ledger_ids[payment.currency],
            amount_minor=payment.amount_minor,
        )
    else:
        outcome = book.release(hold_id=payment.hold_id)
    assert not isinstance(outcome, ledger.Decline), outcome
    return replace(
        payment, state=payment.due_state, acknowledged_at=book.now, due_at=None, due_state=None
    )


async def _save(tx: Tx, book: Book, completed: Sequence[Payment]) -> None:
    await ledger.save(tx, book)
    freed = [p.md5 for p in completed if p.state == "failed" and p.md5 and p.qr_kind == "dynamic"]
    if freed:
        await store.release_qrs(tx, sorted(freed))
    await store.complete_payments(tx, completed)
