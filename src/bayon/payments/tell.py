"""Tell: who listens for the payments of a QR is told, in the transaction that makes them final."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon import events
from bayon.db import Tx
from bayon.events import Fact
from bayon.ids import uuid7
from bayon.payments import callback_store as store
from bayon.payments import document
from bayon.payments.callbacks import owner_id_of
from bayon.payments.model import Payment

FINAL: Final = frozenset({"succeeded", "failed"})


async def tell_final(tx: Tx, payments: Sequence[Payment], *, now: datetime) -> None:
    """Tell of those of these payments that are final, after they were written under the counter.

    Of a static QR once: its answer is then the same for ever, and nobody listens any more. Writes
    events, and deletes listeners of static QRs; one look-up where nobody listens. The last
    statement of a verb, as `emit` is.
    """
    ended = [payment for payment in payments if payment.md5 and payment.state in FINAL]
    if not ended:
        return
    listening = await store.listeners(tx, sorted({p.md5 for p in ended if p.md5 is not None}))
    if not listening:
        return
    heard = [payment for payment in _heard(ended) if payment.md5 in listening]
    static = {payment.md5 for payment in heard if payment.qr_kind == "static"}
    if static:
        done = [(md5, each) for md5, ids in listening.items() if md5 in static for each in ids]
        await store.delete_listeners(tx, done)
    await _emit(tx, heard, listening, now=now)


async def tell_refunded(tx: Tx, payments: Sequence[Payment], *, now: datetime) -> None:
    """Tell of payments that have been refunded; a static QR's answer does not change by that."""
    changed = [payment for payment in payments if payment.qr_kind == "dynamic"]
    if not changed:
        return
    listening = await store.listeners(tx, sorted({p.md5 for p in changed if p.md5 is not None}))
    await _emit(tx, changed, listening, now=now)


def _heard(ended: Sequence[Payment]) -> Iterator[Payment]:
    """Leave out all payments of a static QR but the first."""
    seen: set[bytes | None] = set()
    for payment in ended:
        if payment.qr_kind != "static" or payment.md5 not in seen:
            yield payment
        seen.add(payment.md5)


async def _emit(
    tx: Tx, payments: Sequence[Payment], listening: Mapping[bytes, Sequence[str]], *, now: datetime
) -> None:
    facts = [
        _fact(payment, payment.md5, integrator_id)
        for payment in payments
        if payment.md5 is not None
        for integrator_id in listening.get(payment.md5, ())
    ]
    await events.emit(tx, facts, now=now)


def _fact(payment: Payment, md5: bytes, integrator_id: str) -> Fact:
    """Freeze what its status answers now; the resource is the QR, so that it is told in order."""
    what = "refunded" if payment.refunded_at is not None else payment.state
    return Fact(
        id=uuid7(),
        owner_id=owner_id_of(integrator_id),
        type=f"payment.{what}",
        subject_id=UUID(bytes=md5),
        body=document.told(payment),
    )
