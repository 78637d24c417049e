"""Authorise: an issuer's decision on a card request. Pure, on a book of locked rows.

A ladder of guards, each answering a `Decline`, then the effect: a purchase holds its amount until
it is cleared, a cash withdrawal is one message and moves it at once.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bayon import ledger
from bayon.cards.merchants import is_long_held
from bayon.cards.model import Card, Decline, Fee, Kind, Merchant, Transaction
from bayon.cards.till import Seat, new_transaction
from bayon.cards.vault import Vault
from bayon.ledger import Book
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX, Currency

PIN_TRIES_MAX: Final = 3
HOLD_TTL: Final = timedelta(days=7)
LONG_HOLD_TTL: Final = timedelta(days=31)
CASH_FEE: Final = "interbank_cash_withdrawal"

OF_STATUS: Final = {
    "unactivated": Decline.CARD_NOT_ACTIVATED,
    "inactive": Decline.CARD_INACTIVE,
    "canceled": Decline.CARD_CANCELED,
    "lost": Decline.CARD_LOST,
    "stolen": Decline.CARD_STOLEN,
}
RESPONSE_CODES: Final = {
    Decline.CARD_NOT_ACTIVATED: "62",
    Decline.CARD_INACTIVE: "62",
    Decline.CARD_CANCELED: "46",
    Decline.CARD_LOST: "41",
    Decline.CARD_STOLEN: "43",
    Decline.CARD_EXPIRED: "54",
    Decline.CARDHOLDER_REJECTED: "62",
    Decline.ACCOUNT_INACTIVE: "62",
    Decline.PIN_TRIES_EXCEEDED: "75",
    Decline.PIN_WRONG: "55",
    Decline.AMOUNT_OUT_OF_RANGE: "13",
    Decline.INSUFFICIENT_FUNDS: "51",
}
"""Each reason as the card network says it (DE39)."""

APPROVED: Final = "00"
APPROVED_IN_PART: Final = "10"


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorize:
    """A request to spend with a card, in minor units of the account's currency.

    `issuer_id` is whose card it must be. `partial_allowed`: less than the amount will do.
    """

    issuer_id: UUID
    card_id: UUID
    amount_minor: int
    currency: Currency
    kind: Kind
    merchant: Merchant
    pin: Secret | None = None
    partial_allowed: bool = False
    occurred_at: datetime | None = None


def authorize(
    book: Book, seat: Seat, command: Authorize, *, vault: Vault
) -> tuple[Card, Transaction]:
    """Decide on a request; a declined one is a transaction too, and moves nothing.

    Returns the card as it is now (a PIN counts its tries, whatever is decided) and the transaction.
    Declines: `Decline`, in its order.
    """
    card, decline = _judge(seat, command, vault, now=book.now)
    asked = _asked(seat, command, now=book.now)
    if decline is None and not 0 < command.amount_minor <= AMOUNT_MINOR_MAX:
        decline = Decline.AMOUNT_OUT_OF_RANGE
    if decline is None:
        granted = _granted(book, seat, asked, command)
        decided = _take(book, seat, granted)
        if not isinstance(decided, Decline):
            return card, decided
        decline = decided
    return card, replace(asked, status="declined", decline_reason=decline, settled_at=None)


def response_code(transaction: Transaction, *, asked_minor: int = 0) -> str:
    """Tell the network's code for what was decided; less than was asked for is part of it."""
    if transaction.decline_reason is not None:
        return RESPONSE_CODES[transaction.decline_reason]
    in_part = transaction.transaction_amount_minor < asked_minor
    return APPROVED_IN_PART if in_part else APPROVED


def _judge(
    seat: Seat, command: Authorize, vault: Vault, *, now: datetime
) -> tuple[Card, Decline | None]:
    card = seat.card
    assert card is not None, "a request is a card's"
    assert command.currency is seat.currency, "the door converts, or refuses"
    decline = judge_card(seat, now=now)
    if decline is not None or command.pin is None:
        return card, decline
    return _verify_pin(card, command.pin, vault)


def judge_card(seat: Seat, *, now: datetime) -> Decline | None:
    """Say why a card may not be used at all, if it may not."""
    card = seat.card
    assert card is not None, "a request is a card's"
    if card.status != "active":
        return OF_STATUS[card.status]
    if has_expired(card, now=now):
        return Decline.CARD_EXPIRED
    if seat.cardholder_status == "rejected":
        return Decline.CARDHOLDER_REJECTED
    return Decline.ACCOUNT_INACTIVE if seat.account_status != "active" else None


def has_expired(card: Card, *, now: datetime) -> bool:
    """Tell whether the last month a card is good for is over."""
    return (now.year, now.month) > (card.exp_year, card.exp_month)


def _verify_pin(card: Card, pin: Secret, vault: Vault) -> tuple[Card, Decline | None]:
    if card.pin_tries >= PIN_TRIES_MAX:
        return card, Decline.PIN_TRIES_EXCEEDED
    pan = vault.open_pan(card.pan_sealed, card_id=card.id)
    if card.pvv is not None and vault.is_pin(pan, pin, pvv=card.pvv):
        return replace(card, pin_tries=0), None
    return replace(card, pin_tries=card.pin_tries + 1), Decline.PIN_WRONG


def _asked(seat: Seat, command: Authorize, *, now: datetime) -> Transaction:
    """Write the request as a transaction, with what the issuer takes for it.

    An amount out of range, which is declined, is written as the nearest that is not.
    """
    asked_minor = min(max(command.amount_minor, 0), AMOUNT_MINOR_MAX)
    rule = seat.till.fees.get(CASH_FEE) if command.kind == "cash_withdrawal" else None
    fee_minor = 0 if rule is None else rule.of(asked_minor)
    fees = (Fee(type=CASH_FEE, amount_minor=fee_minor, currency=seat.currency),)
    return new_transaction(
        seat,
        now=now,
        occurred_at=command.occurred_at,
        kind=command.kind,
        adjustment="debit",
        amount_minor=asked_minor + fee_minor,
        merchant_minor=asked_minor,
        fees=fees if fee_minor else (),
        merchant=command.merchant,
    )


def _granted(book: Book, seat: Seat, asked: Transaction, command: Authorize) -> Transaction:
    """Cut a purchase down to what is there, where its acquirer takes less."""
    there_minor = book.lines[seat.till.ledger_account_id].available_minor
    cut = command.partial_allowed and command.kind == "purchase"
    if not cut or not 0 < there_minor < asked.amount_minor:
        return asked
    return replace(asked, amount_minor=there_minor, transaction_amount_minor=there_minor)


def _take(book: Book, seat: Seat, granted: Transaction) -> Transaction | Decline:
    if granted.type == "cash_withdrawal":
        return _pay_out(book, seat, granted)
    mcc = granted.merchant.mcc if granted.merchant else None
    expires_at = book.now + (LONG_HOLD_TTL if is_long_held(mcc) else HOLD_TTL)
    held = book.hold(
        account_id=seat.till.ledger_account_id,
        amount_minor=granted.amount_minor,
        cause_id=granted.id,
        expires_at=expires_at,
    )
    if isinstance(held, ledger.Decline):
        return Decline(held.value)
    return replace(
        granted, status="pending", hold_id=held.id, settled_at=None, expires_at=expires_at
    )


def _pay_out(book: Book, seat: Seat, granted: Transaction) -> Transaction | Decline:
    """Move the cash and its fee together or not at all."""
    till = seat.till
    if book.lines[till.ledger_account_id].available_minor < granted.amount_minor:
        return Decline.INSUFFICIENT_FUNDS
    paid = book.post(
        debit_account_id=till.ledger_account_id,
        credit_account_id=till.clearing_account_id,
        amount_minor=granted.transaction_amount_minor,
        cause_id=granted.id,
        occurred_at=granted.occurred_at,
    )
    if isinstance(paid, ledger.Decline):
        return Decline(paid.value)
    for fee in granted.fees:
        taken = book.post(
            debit_account_id=till.ledger_account_id,
            credit_account_id=till.fees_account_id,
            amount_minor=fee.amount_minor,
            cause_id=granted.id,
            occurred_at=granted.occurred_at,
        )
        assert not isinstance(taken, ledger.Decline), "what is there was looked at"
    return granted
