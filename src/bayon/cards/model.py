"""The nouns of card management, frozen. Amounts are integers of minor units, instants are UTC."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from bayon.errors import Conflict, Denied, Invalid, NotFound, Problem
from bayon.money import Currency

CardStatus = Literal["unactivated", "active", "inactive", "canceled", "lost", "stolen"]
CardType = Literal["physical", "virtual"]
CardholderStatus = Literal["processing_profile", "active", "rejected"]
TokenType = Literal["card_activation", "pin_reset"]
Status = Literal["pending", "settled", "reversed", "expired", "declined"]
Adjustment = Literal["debit", "credit"]
Kind = Literal["purchase", "cash_withdrawal"]
Texts = Mapping[str, object]
"""Key-value pairs of an API client's own: texts, numbers, truths."""

FINAL: Final[frozenset[CardStatus]] = frozenset({"canceled", "lost", "stolen"})
"""The states of a card nothing leads out of."""


class IssuerNotFound(NotFound):
    """There is no such issuer."""

    code = "issuer_not_found"


class IssuerExists(Conflict):
    """There is an issuer of this name already."""

    code = "issuer_exists"


class CardholderNotFound(NotFound):
    """There is no such cardholder."""

    code = "cardholder_not_found"


class CardAccountNotFound(NotFound):
    """There is no such account."""

    code = "card_account_not_found"


class CardNotFound(NotFound):
    """There is no such card."""

    code = "card_not_found"


class TransactionNotFound(NotFound):
    """There is no such transaction."""

    code = "transaction_not_found"


class BadAttributes(Invalid):
    """The attributes are not valid."""

    code = "bad_attributes"

    @classmethod
    def at(cls, pointer: str, title: str) -> "BadAttributes":
        """Point at the one that is not."""
        name = pointer.rpartition("/")[2]
        problem = Problem(pointer=pointer, message=title)
        return cls(f"{name} {title}.", problems=(problem,))


class PanTaken(Conflict):
    """There is a card of this number already."""

    code = "pan_taken"


class NotPending(Conflict):
    """The transaction is not pending."""

    code = "not_pending"


class TokenVoid(Denied):
    """This link is used, expired or unknown."""

    code = "token_void"


class Decline(StrEnum):
    """Why a card request is declined, in the order of the guards. A value, not an error."""

    CARD_NOT_ACTIVATED = "card_not_activated"
    CARD_INACTIVE = "card_inactive"
    CARD_CANCELED = "card_canceled"
    CARD_LOST = "card_lost"
    CARD_STOLEN = "card_stolen"
    CARD_EXPIRED = "card_expired"
    EXPIRY_WRONG = "expiry_wrong"
    CVV_WRONG = "cvv_wrong"
    CARDHOLDER_REJECTED = "cardholder_rejected"
    ACCOUNT_INACTIVE = "account_inactive"
    CRYPTOGRAM_WRONG = "cryptogram_wrong"
    CRYPTOGRAM_USED = "cryptogram_used"
    CVV2_WRONG = "cvv2_wrong"
    PIN_TRIES_EXCEEDED = "pin_tries_exceeded"
    PIN_WRONG = "pin_wrong"
    NOT_PERMITTED = "not_permitted"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    AMOUNT_LIMIT = "amount_limit"
    COUNT_LIMIT = "count_limit"
    ISSUER_DECLINED = "issuer_declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    STAND_IN_DECLINED = "stand_in_declined"


class FeeRule(Struct, frozen=True, kw_only=True):
    """What an issuer takes for something: a flat amount, and a share in hundredths of a percent."""

    flat_minor: int = 0
    basis_points: int = 0

    def of(self, amount_minor: int) -> int:
        """Tell the fee on an amount, halves rounded up."""
        return self.flat_minor + (amount_minor * self.basis_points + 5_000) // 10_000


class Decider(Struct, frozen=True, kw_only=True):
    """Whom an issuer has asked before a card of its own is decided on.

    Without an answer by `timeout_ms` it is the `default`.
    """

    url: str
    timeout_ms: int = 1_000
    default: Literal["approve", "decline"] = "decline"


class Verdict(Struct, frozen=True, kw_only=True):
    """What an issuer has said of a request; `amount_minor`: not more than this, on the account."""

    approved: bool
    amount_minor: int | None = None


class Issuer(Struct, frozen=True, kw_only=True):
    """Who issues cards: a tenant. Its ledger accounts are its own side of every movement."""

    id: UUID
    name: str
    bin: str
    fees: Mapping[str, FeeRule]
    funding_account_id: UUID
    clearing_account_id: UUID
    fees_account_id: UUID
    created_at: datetime
    updated_at: datetime
    decision: Decider | None = None
    decision_secret_sealed: bytes | None = None


class Cardholder(Struct, frozen=True, kw_only=True):
    """Whom cards are made out to. `phone_number` is E.164 without its plus."""

    id: UUID
    issuer_id: UUID
    name: str
    phone_number: str
    email: str | None
    status: CardholderStatus
    rejection_reason: str | None
    born_on: date
    address: str
    identity_document_number: str
    identity_document_type: str
    photo_url: str
    identity_document_url: str
    additional_details: Texts
    metadata: Texts
    created_at: datetime
    updated_at: datetime
    revision: int = 1
    review_at: datetime | None = None
    review_attempts: int = 0


class Account(Struct, frozen=True, kw_only=True):
    """A cardholder's account; what is on it, the ledger says."""

    id: UUID
    issuer_id: UUID
    cardholder_id: UUID
    number: str
    currency: Currency
    status: str
    metadata: Texts
    ledger_account_id: UUID
    created_at: datetime
    updated_at: datetime


class Card(Struct, frozen=True, kw_only=True):
    """A card, without its number: that is in the vault. `pvv` is None until a PIN was chosen.

    `atc` is the counter of the last genuine use of its chip, `cvv2_tries` how often in a row the
    code printed on it was wrong.
    """

    id: UUID
    issuer_id: UUID
    account_id: UUID
    cardholder_id: UUID
    type: CardType
    status: CardStatus
    last_four: str
    exp_month: int
    exp_year: int
    pan_sealed: bytes
    pvv: str | None
    pin_tries: int
    created_at: datetime
    updated_at: datetime
    atc: int = 0
    cvv2_tries: int = 0


class ManagementToken(Struct, frozen=True, kw_only=True):
    """A link for one use by a card's holder; `token` is known when it is made, and never again."""

    id: UUID
    issuer_id: UUID
    card_id: UUID
    type: TokenType
    token: str
    created_at: datetime
    expires_at: datetime


class Merchant(Struct, frozen=True, kw_only=True):
    """Where a card was used; `category` is the name of `mcc`, `country` two letters."""

    name: str
    city: str
    country: str
    category: str | None
    mcc: str | None = None


class Fee(Struct, frozen=True, kw_only=True):
    """What the issuer took, in the account's currency."""

    type: str
    amount_minor: int
    currency: Currency


class Trace(Struct, frozen=True, kw_only=True):
    """How the card network names the message a transaction came by, for what refers to it later.

    `message_id` is made of the message's identity; `rrn` is the acquirer's reference, the same over
    the whole life; `approval_code` is ours.
    """

    message_id: UUID | None = None
    mti: str = ""
    stan: str | None = None
    rrn: str | None = None
    approval_code: str | None = None
    terminal: str | None = None
    acquirer: str | None = None


class Transaction(Struct, frozen=True, kw_only=True):
    """A card's transaction or a top-up, as the account sees it.

    `amount_minor` is the whole effect on the account, fees included, in its currency;
    `transaction_amount_minor` is the merchant's side, in any currency of ISO 4217. A card's has a
    merchant, a top-up a source; one that came over the card network has a trace.
    """

    id: UUID
    issuer_id: UUID
    account_id: UUID
    card_id: UUID | None
    number: str
    type: Kind
    status: Status
    balance_adjustment_type: Adjustment
    currency: Currency
    amount_minor: int
    transaction_currency: str
    transaction_amount_minor: int
    fees: tuple[Fee, ...]
    merchant: Merchant | None
    funding_source: str | None
    decline_reason: Decline | None
    hold_id: UUID | None
    occurred_at: datetime
    settled_at: datetime | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    trace: Trace | None = None

    @property
    def fees_minor(self) -> int:
        """All that is taken on top, in the account's currency."""
        return sum(fee.amount_minor for fee in self.fees)

    @property
    def billing_minor(self) -> int:
        """What the merchant's side comes to in the account's currency."""
        return self.amount_minor - self.fees_minor
