"""The ledger's nouns, frozen. Every amount is a positive integer of minor units."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from msgspec import Struct

from bayon.money import Currency

AccountKind = Literal["customer", "system"]
HoldState = Literal["open", "captured", "released", "expired"]


class Decline(StrEnum):
    """Why the ledger says no, in the order of its guards. A value, not an error."""

    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNTS_MUST_DIFFER = "accounts_must_differ"
    CURRENCY_MISMATCH = "currency_mismatch"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    HOLD_NOT_FOUND = "hold_not_found"
    HOLD_NOT_OPEN = "hold_not_open"
    EXCEEDS_HOLD = "exceeds_hold"
    HOLD_NOT_DUE = "hold_not_due"


class Account(Struct, frozen=True, kw_only=True):
    """A ledger account. A system account has no limit.

    A customer account owes only what went above what was there, as the network may: by a capture
    `above` its hold, or a posting or a hold `above` what is available.
    """

    id: UUID
    currency: Currency
    kind: AccountKind


class Balance(Struct, frozen=True, kw_only=True):
    """What an account has: `posted` for good, `held` of it reserved."""

    posted_minor: int
    held_minor: int

    @property
    def available_minor(self) -> int:
        """What may still be spent."""
        return self.posted_minor - self.held_minor


class Transfer(Struct, frozen=True, kw_only=True):
    """One amount from a debit to a credit account. Never changed, never deleted.

    `above_minor` is by how much what was cleared, above its hold or without one, went above what
    was there.
    """

    id: UUID
    debit_account_id: UUID
    credit_account_id: UUID
    amount_minor: int
    cause_id: UUID
    hold_id: UUID | None
    above_minor: int
    created_at: datetime
    occurred_at: datetime


class Hold(Struct, frozen=True, kw_only=True):
    """Funds reserved, not yet moved. `open_minor` is what is still reserved of `amount_minor`.

    `above_minor` is by how much it went above what was there: what stood in for the issuer is owed.
    """

    id: UUID
    account_id: UUID
    amount_minor: int
    open_minor: int
    state: HoldState
    cause_id: UUID
    created_at: datetime
    expires_at: datetime | None
    above_minor: int = 0
