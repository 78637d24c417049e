"""The till: where an account's money lies and goes, and a transaction on it in the making. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon.cards.controls import Controls, Subject
from bayon.cards.model import (
    Adjustment,
    Card,
    CardholderStatus,
    Decline,
    Fee,
    FeeRule,
    Kind,
    Merchant,
    Trace,
    Transaction,
)
from bayon.ids import random_digits, uuid7
from bayon.ledger import Balance
from bayon.money import Currency

NUMBER_LENGTH: Final = 12


class Till(Struct, frozen=True, kw_only=True):
    """The ledger accounts on both sides of an account's movements, and the issuer's fees."""

    ledger_account_id: UUID
    funding_account_id: UUID
    clearing_account_id: UUID
    fees_account_id: UUID
    fees: Mapping[str, FeeRule]


class Seat(Struct, frozen=True, kw_only=True):
    """Where a command acts: an account, and the locked card if it comes by one."""

    issuer_id: UUID
    account_id: UUID
    account_status: str
    currency: Currency
    cardholder_status: CardholderStatus
    till: Till
    card: Card | None = None
    controls: Controls | None = None
    card_controls: Controls | None = None

    def controlled(self, card_id: UUID | None) -> list[Subject]:
        """List the controls a card's use is judged by: its own, and its account's."""
        found = [(card_id, self.card_controls), (self.account_id, self.controls)]
        return [(owner_id, each) for owner_id, each in found if owner_id and each is not None]

    def with_card(self, card: Card) -> "Seat":
        """Seat the card as it is now."""
        return replace(self, card=card)


def new_transaction(
    seat: Seat,
    *,
    now: datetime,
    occurred_at: datetime | None,
    kind: Kind,
    adjustment: Adjustment,
    amount_minor: int,
    merchant_minor: int,
    fees: tuple[Fee, ...] = (),
    merchant: Merchant | None = None,
    funding_source: str | None = None,
    merchant_currency: str | None = None,
    trace: Trace | None = None,
) -> Transaction:
    """Make a transaction, settled now; it happened now if not earlier, to the whole second.

    `amount_minor` is the effect on the account, `merchant_minor` what the other side sees.
    """
    happened_at = min(occurred_at or now, now).replace(microsecond=0)
    return Transaction(
        id=uuid7(),
        issuer_id=seat.issuer_id,
        account_id=seat.account_id,
        card_id=seat.card.id if seat.card else None,
        number=random_digits(NUMBER_LENGTH),
        type=kind,
        status="settled",
        balance_adjustment_type=adjustment,
        currency=seat.currency,
        amount_minor=amount_minor,
        transaction_currency=merchant_currency or seat.currency.value,
        transaction_amount_minor=merchant_minor,
        fees=fees,
        merchant=merchant,
        funding_source=funding_source,
        decline_reason=None,
        hold_id=None,
        occurred_at=happened_at,
        settled_at=happened_at,
        created_at=now,
        updated_at=now,
        trace=trace,
    )


class Moved(Struct, frozen=True, kw_only=True):
    """What a command has come to: the transaction as it is now, and what is on the account.

    Without a transaction nothing was written of one: an inquiry, or a message about one that is
    not known. `effect` tells whether anything has moved by this command; `before` how the
    transaction was that a presentment ended, or told of.
    """

    transaction: Transaction | None
    decline: Decline | None = None
    balance: Balance | None = None
    currency: Currency | None = None
    effect: bool = True
    before: Transaction | None = None
