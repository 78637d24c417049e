"""The nouns of payments, frozen. Amounts are positive integers of minor units."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from bayon.errors import Conflict, Invalid, NotFound
from bayon.money import Currency

State = Literal["declined", "pending", "succeeded", "failed"]
QrKind = Literal["static", "dynamic"]
Completed = Literal["succeeded", "failed"]

ACCOUNT_ID_LENGTH_MAX: Final = 32
_ACCOUNT_ID: Final = re.compile(r"[a-z0-9][a-z0-9._+-]*@[a-z0-9]{2,16}")

_ASKED_FOR: Final = re.compile(r"[a-z0-9._+-]*@[a-z0-9._+-]*")


class BadAccountId(Invalid):
    """Account ID is invalid"""  # noqa: D400 - the live service's text

    code = "bad_account_id"


class AccountNotFound(NotFound):
    """Account ID not found."""

    code = "account_not_found"


class AccountExists(Conflict):
    """This account ID is taken."""

    code = "account_exists"


class ParticipantNotFound(NotFound):
    """There is no such participant."""

    code = "participant_not_found"


class ParticipantExists(Conflict):
    """This participant code is taken."""

    code = "participant_exists"


class PaymentNotFound(NotFound):
    """Transaction could not be found. Please check and try again."""

    code = "payment_not_found"


class NotRefundable(Conflict):
    """Only a payment that succeeded can be refunded."""

    code = "not_refundable"


class Decline(StrEnum):
    """Why a payment is declined, in the order of the guards. Recorded; nothing moves."""

    QR_EXPIRED = "qr_expired"
    UNKNOWN_ACCOUNT = "unknown_account"
    SAME_ACCOUNT = "same_account"
    WRONG_CURRENCY = "wrong_currency"
    AMOUNT_DIFFERS = "amount_differs"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    QR_ALREADY_PAID = "qr_already_paid"
    INSUFFICIENT_FUNDS = "insufficient_funds"


@dataclass(frozen=True, kw_only=True, slots=True)
class Participant:
    """A bank of the scheme; its `code` stands behind the @ of its accounts."""

    id: UUID
    code: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """An account at a participant, `name@bank`, with one ledger account a currency."""

    account_id: str
    participant_id: UUID
    participant_name: str
    name: str
    ledger_ids: dict[Currency, UUID]


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidQr:
    """What a payment keeps of the QR it pays: its MD5 (16 bytes) and what it demands."""

    md5: bytes
    kind: QrKind
    currency: Currency
    amount_minor: int | None
    expires_at: datetime | None
    account_information: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pay:
    """Pay an amount from one account to another, by a QR or without.

    `completes` and `delay_s` are the sandbox's: how a payment ends, and after how long.
    """

    participant_id: UUID
    from_account_id: str
    to_account_id: str
    currency: Currency
    amount_minor: int
    qr: PaidQr | None = None
    description: str | None = None
    instruction_ref: str | None = None
    external_ref: str | None = None
    completes: Completed = "succeeded"
    delay_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Payment:
    """One payment, in whatever state. `hash` is 32 bytes, `md5` 16."""

    id: UUID
    hash: bytes
    md5: bytes | None
    qr_kind: QrKind | None
    from_account_id: str
    from_participant_id: UUID
    to_account_id: str
    to_participant_id: UUID | None
    currency: Currency
    amount_minor: int
    description: str | None
    instruction_ref: str | None
    external_ref: str | None
    receiver_bank: str | None
    receiver_bank_account: str | None
    state: State
    decline_reason: Decline | None
    created_at: datetime
    acknowledged_at: datetime | None
    refunded_at: datetime | None
    hold_id: UUID | None
    due_at: datetime | None
    due_state: Completed | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Deeplink:
    """A short link to a QR, and the app that asked for it."""

    slug: str
    qr: str
    app_name: str | None
    app_icon_url: str | None
    app_callback_url: str | None
    created_at: datetime


def account_id_of(text: str) -> str:
    """Read an account id: lower-case `name@bank`. Errors: `BadAccountId` for what none can be."""
    return _lowered(text, _ACCOUNT_ID)


def account_id_asked(text: str) -> str:
    """Read an id of which is asked whether there is such an account: also what none can be.

    Errors: `BadAccountId` without exactly one @, longer than 32, or with characters no account has.
    """
    return _lowered(text, _ASKED_FOR)


def _lowered(text: str, shape: re.Pattern[str]) -> str:
    lowered = text.lower()
    # Judged before it is lowered too: the Kelvin sign becomes a k.
    fits = text.isascii() and len(text) <= ACCOUNT_ID_LENGTH_MAX
    if not fits or not shape.fullmatch(lowered):
        raise BadAccountId
    return lowered
