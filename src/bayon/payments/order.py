"""Orders: from a QR as it was scanned to the `Pay` command it asks for. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from bayon.errors import Invalid, Problem
from bayon.money import Currency
from bayon.payments import khqr
from bayon.payments.khqr import Khqr
from bayon.payments.model import Completed, PaidQr, Pay, account_id_of


class AmountMissing(Invalid):
    """Missing required fields."""

    code = "amount_missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a payer says beside the QR. `amount_minor` and `currency` may be the QR's own."""

    participant_id: UUID
    from_account_id: str
    amount_minor: int | None = None
    currency: Currency | None = None
    description: str | None = None
    instruction_ref: str | None = None
    external_ref: str | None = None
    completes: Completed = "succeeded"
    delay_s: float = 0.0


def order_of(order: Order, *, qr: str) -> Pay:
    """Make the command that pays a QR.

    Errors: `BadQR` when it cannot be read, `AmountMissing` for a static QR without an amount.
    """
    text = khqr.reading(qr)
    read = khqr.read(text)
    amount_minor = order.amount_minor if order.amount_minor is not None else read.amount_minor
    if amount_minor is None:
        raise AmountMissing(
            problems=(Problem(pointer="/amount", message="amount is required", code="missing"),)
        )
    return Pay(
        participant_id=order.participant_id,
        from_account_id=order.from_account_id,
        to_account_id=account_id_of(read.account_id),
        currency=order.currency or read.currency,
        amount_minor=amount_minor,
        qr=_paid_qr(text, read),
        description=order.description,
        instruction_ref=order.instruction_ref,
        external_ref=order.external_ref,
        completes=order.completes,
        delay_s=order.delay_s,
    )


def _paid_qr(text: str, read: Khqr) -> PaidQr:
    expires_at = (
        datetime.fromtimestamp(read.expires_at_ms / 1000, UTC)
        if read.expires_at_ms is not None
        else None
    )
    return PaidQr(
        md5=bytes.fromhex(khqr.md5(text)),
        kind="static" if read.static else "dynamic",
        currency=read.currency,
        amount_minor=read.amount_minor,
        expires_at=expires_at,
        account_information=read.account_information,
    )
