"""The invariants of payments, recomputed from their rows and the ledger's."""

from bayon import ledger
from bayon.db import Tx
from bayon.ledger import Finding
from bayon.payments import store
from bayon.payments.model import Payment

PAGE_SIZE = 10_000


async def check(tx: Tx) -> list[Finding]:
    """Check all payments. Wants a REPEATABLE READ transaction; locks and writes nothing.

    Invariants: a dynamic QR is claimed exactly by its one pending or succeeded payment; a payment
    moved its amount once if it succeeded, twice if it was refunded, and never otherwise; the
    amount of a pending one is held.
    """
    found = [Finding("one payment a dynamic QR", md5) for md5 in await store.check_claims(tx)]
    page = await store.check_page(tx, after=None, limit=PAGE_SIZE)
    while page:
        moved = await ledger.moved(tx, [payment.id for payment in page])
        wrong = [p for p in page if moved.get(p.id, []) != _owed(p)]
        found += [Finding("a payment moves its amount", str(payment.id)) for payment in wrong]
        found += [Finding("pending is held", str(p.id)) for p in await _not_held(tx, page)]
        page = await store.check_page(tx, after=page[-1].id, limit=PAGE_SIZE)
    return found


async def _not_held(tx: Tx, page: list[Payment]) -> list[Payment]:
    pending = [payment for payment in page if payment.state == "pending"]
    holds = await ledger.find_holds(tx, [p.hold_id for p in pending if p.hold_id is not None])
    return [
        p
        for p in pending
        if p.hold_id is None
        or (hold := holds.get(p.hold_id)) is None
        or (hold.state, hold.open_minor) != ("open", p.amount_minor)
    ]


def _owed(payment: Payment) -> list[int]:
    times = (payment.state == "succeeded") + (payment.refunded_at is not None)
    return [payment.amount_minor] * times
