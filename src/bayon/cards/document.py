"""The public shape of card management: JSON:API resources, as the API's document prints them. Pure.

`resource` shows any noun; `event` writes the bytes of an event, once, as they are served and sent.
Source: Bongloy card management API, the sample of each section.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache, singledispatch
from typing import Final
from uuid import UUID

import msgspec

from bayon.cards.controls import Controlled
from bayon.cards.model import (
    Account,
    Card,
    Cardholder,
    Decider,
    Issuer,
    ManagementToken,
    Texts,
    Transaction,
)
from bayon.ledger import Balance
from bayon.money import Currency

Resource = dict[str, object]

PAGES: Final = {"card_activation": "/card_activation/new", "pin_reset": "/pin_reset/new"}


@lru_cache(maxsize=4_096)
def instant(at: datetime) -> str:
    """Show an instant to the second, in UTC; those of a resource are often the same."""
    return at.isoformat(timespec="seconds")[:19] + "Z"


@singledispatch
def resource(noun: object) -> Resource:
    """Show a noun as a resource: type, id, attributes and relationships."""
    raise AssertionError(f"{type(noun).__name__} is not shown")


@resource.register
def account(account: Account) -> Resource:
    """Show an account."""
    return {
        "id": str(account.id),
        "type": "account",
        "attributes": {
            **_times(account.created_at, account.updated_at),
            "currency": account.currency.value,
            "number": account.number,
            "status": account.status,
            "metadata": account.metadata,
        },
        "relationships": _related(cardholder=account.cardholder_id),
    }


@resource.register
def cardholder(cardholder: Cardholder) -> Resource:
    """Show a cardholder; a rejected one with the reason."""
    why = {"rejection_reason": cardholder.rejection_reason} if cardholder.rejection_reason else {}
    return {
        "id": str(cardholder.id),
        "type": "cardholder",
        "attributes": {
            **_times(cardholder.created_at, cardholder.updated_at),
            "name": cardholder.name,
            "phone_number": cardholder.phone_number,
            "email": cardholder.email,
            "type": "individual",
            "status": cardholder.status,
            **why,
            "additional_details": cardholder.additional_details,
            "metadata": cardholder.metadata,
            "individual": _individual(cardholder),
        },
    }


@resource.register
def card(card: Card) -> Resource:
    """Show a card: of its number the last four digits."""
    return {
        "id": str(card.id),
        "type": "card",
        "attributes": {
            **_times(card.created_at, card.updated_at),
            "last_four": card.last_four,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "status": card.status,
            "type": card.type,
        },
        "relationships": _related(account=card.account_id),
    }


@resource.register
def issuer(issuer: Issuer) -> Resource:
    """Show an issuer; fees as they are set."""
    return {
        "id": str(issuer.id),
        "type": "issuer",
        "attributes": {
            **_times(issuer.created_at, issuer.updated_at),
            "name": issuer.name,
            "bin": issuer.bin,
            "fees": {
                kind: {"flat": rule.flat_minor, "percent": rule.basis_points / 100}
                for kind, rule in issuer.fees.items()
            },
            "decision": _decision(issuer.decision),
        },
    }


@resource.register
def controls(controlled: Controlled) -> Resource:
    """Show the controls of a card or an account, and what was used today."""
    limits, used = controlled.controls, controlled.used
    return {
        "id": str(controlled.id),
        "type": "controls",
        "attributes": {
            "amount_per_transaction": limits.amount_per_transaction_minor,
            "amount_per_day": limits.amount_per_day_minor,
            "count_per_day": limits.count_per_day,
            "allowed_mccs": _sorted(limits.allowed_mccs),
            "blocked_mccs": _sorted(limits.blocked_mccs),
            "allowed_countries": _sorted(limits.allowed_countries),
            "blocked_countries": _sorted(limits.blocked_countries),
            "used_today": {"amount": used.amount_minor, "count": used.count},
        },
    }


@resource.register
def transaction(transaction: Transaction) -> Resource:
    """Show a transaction; a declined one with the reason."""
    why = {"decline_reason": transaction.decline_reason} if transaction.decline_reason else {}
    settled_at = transaction.settled_at
    of_card = {"card": transaction.card_id} if transaction.card_id else {}
    return {
        "id": str(transaction.id),
        "type": "transaction",
        "attributes": {
            **_times(transaction.created_at, transaction.updated_at),
            "currency": transaction.currency.value,
            "transaction_number": transaction.number,
            "transaction_currency": transaction.transaction_currency,
            "transaction_details": _details(transaction),
            "type": transaction.type,
            "fees": [
                {"type": f.type, "amount": f.amount_minor, "currency": f.currency.value}
                for f in transaction.fees
            ],
            "status": transaction.status,
            **why,
            "balance_adjustment_type": transaction.balance_adjustment_type,
            "amount": transaction.amount_minor,
            "total_fee": sum(fee.amount_minor for fee in transaction.fees),
            "transaction_amount": transaction.transaction_amount_minor,
            "transaction_time": instant(transaction.occurred_at),
            "settlement_time": instant(settled_at) if settled_at else None,
        },
        "relationships": _related(account=transaction.account_id, **of_card),
    }


def balance(account: Account, balance: Balance) -> Resource:
    """Show what is on an account; the resource has the account's id."""
    return {
        "id": str(account.id),
        "type": "balance",
        "attributes": {
            "available": _money(balance.available_minor, account.currency),
            "balance": _money(balance.posted_minor, account.currency),
        },
    }


def management_token(token: ManagementToken, *, url: str) -> Resource:
    """Show a token as the link it is for; `url` is where this server stands."""
    return {
        "id": str(token.id),
        "type": "card_management_token",
        "attributes": {
            **_times(token.created_at, token.created_at),
            "expires_at": instant(token.expires_at),
            "type": token.type,
            "url": f"{url}{PAGES[token.type]}?token={token.token}",
        },
    }


def event(*, event_id: UUID, of_type: str, told: Resource, created_at: datetime) -> bytes:
    """Write an event: the resource it tells of, as it is now, for ever."""
    shown = {
        "id": str(event_id),
        "type": "event",
        "attributes": {
            **_times(created_at, created_at),
            "type": of_type,
            "details": {"data": told},
        },
    }
    return msgspec.json.encode(shown)


def _decision(decider: Decider | None) -> Mapping[str, object] | None:
    if decider is None:
        return None
    return {"url": decider.url, "timeout_ms": decider.timeout_ms, "default": decider.default}


def _times(created_at: datetime, updated_at: datetime) -> dict[str, object]:
    return {"created_at": instant(created_at), "updated_at": instant(updated_at)}


def _related(**related: UUID) -> Resource:
    return {name: {"data": {"id": str(i), "type": name}} for name, i in related.items()}


def _money(amount_minor: int, currency: Currency) -> Texts:
    return {"amount": amount_minor, "currency": currency.value}


def _individual(cardholder: Cardholder) -> Mapping[str, object]:
    return {
        "address": cardholder.address,
        "date_of_birth": cardholder.born_on.isoformat(),
        "identity_document_number": cardholder.identity_document_number,
        "identity_document_type": cardholder.identity_document_type,
    }


def _details(transaction: Transaction) -> Mapping[str, object]:
    merchant = transaction.merchant
    if merchant is None:
        return {"type": "topup", "topup": {"funding_source": transaction.funding_source}}
    data = {
        "city": merchant.city,
        "name": merchant.name,
        "country": merchant.country,
        "category": merchant.category,
    }
    return {"card": {"merchant_data": data}, "type": "card"}


def _sorted(words: frozenset[str] | None) -> list[str] | None:
    return None if words is None else sorted(words)
