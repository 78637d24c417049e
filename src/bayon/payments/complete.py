"""Complete: a pending payment whose time has come is captured, or fails and gives its hold back."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from bayon import ledger
from bayon.db import Tx
from bayon.ledger import Book
from bayon.payments import store
from bayon.payments.model import Account, Completed, Payment
from bayon.payments.tell import tell_final


async def claim_due(
    tx: Tx, *, now: datetime, limit: int, but: Collection[UUID] = ()
) -> list[Payment]:
    """Claim pending payments that are due, `but` these. Locks them, skipping those locked."""
    return await store.claim_due_payments(tx, now=now, limit=limit, but=sorted(but))


async def complete(tx: Tx, due: Sequence[Payment], *, now: datetime) -> list[Payment]:
    """Complete payments that `claim_due` has locked; returns them as they are now.

    Locks holds, then balances. Writes them, the payments, and events for who listens. One that
    fails, or whose receiver the ledger will not credit any more, gives back its hold and frees its
    dynamic QR.
    """
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
    await tell_final(tx, completed, now=now)
    return completed


def _complete(book: Book, payment: Payment, receiver: Account) -> Payment:
    assert payment.hold_id is not None
    assert payment.due_state is not None
    if payment.due_state == "succeeded":
        captured = book.capture(
            hold_id=payment.hold_id,
            credit_account_id=receiver.ledger_ids[payment.currency],
            amount_minor=payment.amount_minor,
        )
        if not isinstance(captured, ledger.Decline):
            return _ended(payment, "succeeded", now=book.now)
    released = book.release(hold_id=payment.hold_id)
    assert not isinstance(released, ledger.Decline), released
    return _ended(payment, "failed", now=book.now)


def _ended(payment: Payment, state: Completed, *, now: datetime) -> Payment:
    return replace(payment, state=state, acknowledged_at=now, due_at=None, due_state=None)


async def _save(tx: Tx, book: Book, completed: Sequence[Payment]) -> None:
    await ledger.save(tx, book)
    freed = [p.md5 for p in completed if p.state == "failed" and p.md5 and p.qr_kind == "dynamic"]
    if freed:
        await store.release_qrs(tx, sorted(freed))
    await store.complete_payments(tx, completed)
