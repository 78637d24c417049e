"""Orders: from what a payer says, and the QR as it was scanned, to the `Pay` command. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from bayon.errors import Invalid, Problem
from bayon.money import Currency, minor_from_major
from bayon.payments import khqr
from bayon.payments.khqr import Khqr
from bayon.payments.model import Completed, PaidQr, Pay, account_id_of

SCANS_REMEMBERED: Final = 1_000


class AmountMissing(Invalid):
    """Missing required fields."""

    code = "amount_missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a payer says; `amount` is in major units. A QR may say amount and currency itself."""

    participant_id: UUID
    from_account_id: str
    amount: float | None = None
    currency: Currency | None = None
    description: str | None = None
    instruction_ref: str | None = None
    external_ref: str | None = None
    completes: Completed = "succeeded"
    delay_s: float = 0.0


def order_by_qr(order: Order, *, qr: str) -> Pay:
    """Make the command that pays a QR.

    Errors: `BadQR` when it cannot be read, `BadAmount`, `AmountMissing` for a QR without an amount.
    """
    read, paid_qr = _scanned(qr)
    currency = order.currency or read.currency
    said_minor = _amount_minor(order, currency)
    return _pay(
        order,
        account_id_of(read.account_id),
        currency=currency,
        amount_minor=read.amount_minor if said_minor is None else said_minor,
        qr=paid_qr,
    )


def order_to_account(order: Order, *, to_account_id: str) -> Pay:
    """Make the command that pays an account without a QR.

    Errors: `BadAccountId`, `AmountMissing` without amount or currency, `BadAmount`.
    """
    account_id = account_id_of(to_account_id)
    if order.currency is None:
        raise _missing("currency")
    amount_minor = _amount_minor(order, order.currency)
    return _pay(order, account_id, currency=order.currency, amount_minor=amount_minor, qr=None)


def _pay(
    order: Order,
    to_account_id: str,
    *,
    currency: Currency,
    amount_minor: int | None,
    qr: PaidQr | None,
) -> Pay:
    if amount_minor is None:
        raise _missing("amount")
    return Pay(
        participant_id=order.participant_id,
        from_account_id=order.from_account_id,
        to_account_id=to_account_id,
        currency=currency,
        amount_minor=amount_minor,
        qr=qr,
        description=order.description,
        instruction_ref=order.instruction_ref,
        external_ref=order.external_ref,
        completes=order.completes,
        delay_s=order.delay_s,
    )


def _amount_minor(order: Order, currency: Currency) -> int | None:
    return None if order.amount is None else minor_from_major(order.amount, currency)


@lru_cache(SCANS_REMEMBERED)
def _scanned(qr: str) -> tuple[Khqr, PaidQr]:
    """Read a QR; a shop's static one is read again and again."""
    text = khqr.reading(qr)
    read = khqr.read(text)
    at_ms = read.expires_at_ms
    paid_qr = PaidQr(
        md5=bytes.fromhex(khqr.md5(text)),
        kind="static" if read.static else "dynamic",
        currency=read.currency,
        amount_minor=read.amount_minor,
        expires_at=None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC),
        account_information=read.account_information,
    )
    return read, paid_qr


def _missing(name: str) -> AmountMissing:
    problem = Problem(pointer=f"/{name}", message=f"{name} is required.", code="missing")
    return AmountMissing(AmountMissing.__doc__, problems=(problem,))
