"""Pay: the batch that moves money between accounts of participants.

`load` resolves the accounts, claims the dynamic QRs and locks the balances; `decide` is pure,
command by command, on what was loaded; `save` writes transfers, balances and payments, one
statement each; `tell` tells who listens. A decline is recorded and moves nothing; it leaves a
dynamic QR free.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from bayon import ledger
from bayon.db import Tx
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.ledger import Book
from bayon.money import AMOUNT_MINOR_MAX
from bayon.payments import store
from bayon.payments.model import Account, AccountNotFound, Decline, Pay, Payment
from bayon.payments.tell import tell_final


@dataclass(frozen=True, kw_only=True, slots=True)
class _Loaded:
    accounts: Mapping[str, Account]
    free_qrs: set[bytes]
    book: Book


async def pay(tx: Tx, commands: Sequence[Pay], /, *, now: datetime) -> list[Payment | BayonError]:
    """Pay, each command once, in order; a declined one is a `Payment` too.

    Locks QR claims by MD5, then balances by account. Writes payments, transfers, holds, balances,
    and events for who listens.
    Errors: `AccountNotFound` when the paying account is not the participant's own.
    Declines: `Decline`, in its order.
    """
    loaded = await _load(tx, commands, now=now)
    claimed = frozenset(loaded.free_qrs)
    outcomes = [_decide(loaded, command, now=now) for command in commands]
    payments = [paid for paid in outcomes if isinstance(paid, Payment)]
    await _save(tx, loaded, claimed, payments)
    await tell_final(tx, payments, now=now)
    return outcomes


async def _load(tx: Tx, commands: Sequence[Pay], *, now: datetime) -> _Loaded:
    names = {c.from_account_id for c in commands} | {c.to_account_id for c in commands}
    accounts = await store.accounts(tx, sorted(names))
    md5s = {c.qr.md5 for c in commands if c.qr is not None and c.qr.kind == "dynamic"}
    free_qrs = await store.claim_qrs(tx, sorted(md5s)) if md5s else set[bytes]()
    ledger_ids = {i for c in commands for i in _ledger_ids(accounts, c)}
    book = await ledger.load(tx, now=now, account_ids=ledger_ids)
    return _Loaded(accounts=accounts, free_qrs=free_qrs, book=book)


async def _save(
    tx: Tx, loaded: _Loaded, claimed: frozenset[bytes], payments: Sequence[Payment]
) -> None:
    await ledger.save(tx, loaded.book)
    if unused := sorted(claimed & loaded.free_qrs):
        await store.release_qrs(tx, unused)
    if payments:
        await store.insert_payments(tx, payments)


def _decide(loaded: _Loaded, command: Pay, *, now: datetime) -> Payment | BayonError:
    payer = loaded.accounts.get(command.from_account_id)
    if payer is None or payer.participant_id != command.participant_id:
        return AccountNotFound()
    receiver = loaded.accounts.get(command.to_account_id)
    decline = _judge(loaded, command, payer, receiver, now=now)
    payment = _payment(command, receiver, decline, now=now)
    if receiver is None or decline is not None:
        return payment
    return _move(loaded, command, payment, payer=payer, receiver=receiver)


def _judge(
    loaded: _Loaded, command: Pay, payer: Account, receiver: Account | None, *, now: datetime
) -> Decline | None:
    qr = command.qr
    if qr is not None and qr.expires_at is not None and qr.expires_at <= now:
        return Decline.QR_EXPIRED
    if receiver is None:
        return Decline.UNKNOWN_ACCOUNT
    if receiver.account_id == payer.account_id:
        return Decline.SAME_ACCOUNT
    if qr is not None and qr.currency is not command.currency:
        return Decline.WRONG_CURRENCY
    if command.currency not in payer.ledger_ids or command.currency not in receiver.ledger_ids:
        return Decline.WRONG_CURRENCY
    if qr is not None and qr.amount_minor not in {None, command.amount_minor}:
        return Decline.AMOUNT_DIFFERS
    if not 0 < command.amount_minor <= AMOUNT_MINOR_MAX:
        return Decline.AMOUNT_OUT_OF_RANGE
    if qr is not None and qr.kind == "dynamic" and qr.md5 not in loaded.free_qrs:
        return Decline.QR_ALREADY_PAID
    return None


def _move(
    loaded: _Loaded, command: Pay, payment: Payment, *, payer: Account, receiver: Account
) -> Payment:
    from_id, to_id = payer.ledger_ids[command.currency], receiver.ledger_ids[command.currency]
    if command.delay_s > 0:
        paid = _hold(loaded.book, command, payment, from_id)
    elif command.completes == "failed":
        paid = replace(payment, state="failed", acknowledged_at=payment.created_at)
    else:
        paid = _post(loaded.book, payment, from_id, to_id)
    if command.qr is not None and paid.state in {"pending", "succeeded"}:
        loaded.free_qrs.discard(command.qr.md5)
    return paid


def _post(book: Book, payment: Payment, from_id: UUID, to_id: UUID) -> Payment:
    moved = book.post(
        debit_account_id=from_id,
        credit_account_id=to_id,
        amount_minor=payment.amount_minor,
        cause_id=payment.id,
    )
    if isinstance(moved, ledger.Decline):
        return replace(payment, state="declined", decline_reason=Decline(moved.value))
    return payment


def _hold(book: Book, command: Pay, payment: Payment, from_id: UUID) -> Payment:
    held = book.hold(account_id=from_id, amount_minor=payment.amount_minor, cause_id=payment.id)
    if isinstance(held, ledger.Decline):
        return replace(payment, state="declined", decline_reason=Decline(held.value))
    return replace(
        payment,
        state="pending",
        acknowledged_at=None,
        hold_id=held.id,
        due_at=payment.created_at + timedelta(seconds=command.delay_s),
        due_state=command.completes,
    )


def _payment(
    command: Pay, receiver: Account | None, decline: Decline | None, *, now: datetime
) -> Payment:
    payment_id = uuid7()
    qr = command.qr
    return Payment(
        id=payment_id,
        hash=hashlib.sha256(payment_id.bytes + (qr.md5 if qr else b"")).digest(),
        md5=qr.md5 if qr else None,
        qr_kind=qr.kind if qr else None,
        from_account_id=command.from_account_id,
        from_participant_id=command.participant_id,
        to_account_id=command.to_account_id,
        to_participant_id=receiver.participant_id if receiver else None,
        currency=command.currency,
        amount_minor=command.amount_minor,
        description=command.description,
        instruction_ref=command.instruction_ref,
        external_ref=command.external_ref,
        receiver_bank=receiver.participant_name if receiver else None,
        receiver_bank_account=_masked(qr.account_information) if qr else None,
        state="declined" if decline else "succeeded",
        decline_reason=decline,
        created_at=now,
        acknowledged_at=now,
        refunded_at=None,
        hold_id=None,
        due_at=None,
        due_state=None,
    )


def _ledger_ids(accounts: Mapping[str, Account], command: Pay) -> list[UUID]:
    sides = (accounts.get(command.from_account_id), accounts.get(command.to_account_id))
    found = (side.ledger_ids.get(command.currency) for side in sides if side is not None)
    return [ledger_id for ledger_id in found if ledger_id is not None]


def _masked(account_information: str | None) -> str | None:
    """Show a bank account as the live service does: its first and its last three characters."""
    if account_information is None:
        return None
    if len(account_information) < 5:  # noqa: PLR2004 - nothing would be left to mask
        return "*" * len(account_information)
    stars = "*" * (len(account_information) - 4)
    return f"{account_information[0]}{stars}{account_information[-3:]}"
