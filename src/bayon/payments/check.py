"""The invariants of payments, recomputed from their rows and the ledger's."""

from collections.abc import Mapping
from uuid import UUID

from bayon import ledger
from bayon.db import Tx
from bayon.ledger import Finding
from bayon.payments import store
from bayon.payments.model import Account, Payment

PAGE_SIZE = 10_000


async def check(tx: Tx) -> list[Finding]:
    """Check all payments. Wants a REPEATABLE READ transaction; locks and writes nothing.

    Invariants: a dynamic QR is claimed exactly by its one pending or succeeded payment; a payment
    moved its amount from payer to receiver if it succeeded, then back if it was refunded, and never
    otherwise; a pending one holds its amount on the payer's account, and no other holds anything.
    """
    found = [Finding("one payment a dynamic QR", md5) for md5 in await store.check_claims(tx)]
    page = await store.check_page(tx, after=None, limit=PAGE_SIZE)
    while page:
        found += await _check_page(tx, page)
        page = await store.check_page(tx, after=page[-1].id, limit=PAGE_SIZE)
    return found


async def _check_page(tx: Tx, page: list[Payment]) -> list[Finding]:
    ids = [payment.id for payment in page]
    names = {p.from_account_id for p in page} | {p.to_account_id for p in page}
    accounts = await store.accounts(tx, sorted(names))
    moved = await ledger.moved(tx, ids)
    holds = await ledger.open_holds(tx, ids)
    held = {i: [(h.id, h.account_id, h.open_minor) for h in open_] for i, open_ in holds.items()}
    return [
        *(
            Finding("a payment moves its amount", str(p.id))
            for p in page
            if moved.get(p.id, []) != _owed(p, accounts)
        ),
        *(
            Finding("pending is held", str(p.id))
            for p in page
            if held.get(p.id, []) != _reserved(p, accounts)
        ),
    ]


def _owed(payment: Payment, accounts: Mapping[str, Account]) -> list[tuple[object, ...]]:
    payer_id = _ledger_id(accounts, payment.from_account_id, payment)
    receiver_id = _ledger_id(accounts, payment.to_account_id, payment)
    owed: list[tuple[object, ...]] = []
    if payment.state == "succeeded":
        owed.append((payer_id, receiver_id, payment.amount_minor))
    if payment.refunded_at is not None:
        owed.append((receiver_id, payer_id, payment.amount_minor))
    return owed


def _reserved(payment: Payment, accounts: Mapping[str, Account]) -> list[tuple[object, ...]]:
    if payment.state != "pending":
        return []
    payer_id = _ledger_id(accounts, payment.from_account_id, payment)
    return [(payment.hold_id, payer_id, payment.amount_minor)]


def _ledger_id(accounts: Mapping[str, Account], account_id: str, payment: Payment) -> UUID | None:
    account = accounts.get(account_id)
    return account.ledger_ids.get(payment.currency) if account is not None else None
