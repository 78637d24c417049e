"""What each operation with a body takes: a document that is accepted, to be spoilt by tests."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import httpx

from cms.clerk import KYC, PROFILE, Clerk, account_document, card_document, resource_document

MISSING: Final = object()
"""Stands for no value at all."""

POST: Final[Mapping[str, str]] = {
    "create_cardholder": "/v1/cardholders",
    "create_account": "/v1/accounts",
    "create_card": "/v1/cards",
    "create_management_token": "/v1/cards/{card}/management_tokens",
    "create_topup": "/v1/accounts/{account}/topups",
}
PATCH: Final[Mapping[str, str]] = {
    "update_cardholder": "/v1/cardholders/{cardholder}",
    "update_account": "/v1/accounts/{account}",
    "update_card": "/v1/cards/{card}",
    "update_issuer": "/v1/issuer",
    "update_account_controls": "/v1/accounts/{account}/controls",
    "update_card_controls": "/v1/cards/{card}/controls",
}
OPERATIONS: Final = {**POST, **PATCH}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A clerk, and one of everything to ask about."""

    clerk: Clerk
    ids: Mapping[str, str]

    async def ask(self, operation: str, document: object) -> httpx.Response:
        """Ask for an operation."""
        path = OPERATIONS[operation].format_map(self.ids)
        return await (self.clerk.post if operation in POST else self.clerk.patch)(path, document)

    async def ask_with(self, operation: str, pointer: str, value: object) -> httpx.Response:
        """Ask for an operation with this value there."""
        return await self.ask(operation, self.with_value(operation, {pointer: value}))

    def with_value(self, operation: str, values: Mapping[str, object]) -> dict[str, Any]:
        """Make the operation's document with these values, by pointer."""
        document = self.document(operation)
        for pointer, value in values.items():
            *above, name = pointer.removeprefix("/").split("/")
            place: dict[str, Any] = document
            for step in above:
                place = place.setdefault(step, {})
            if value is MISSING:
                place.pop(name, None)
            else:
                place[name] = value
        return document

    def document(self, operation: str) -> dict[str, Any]:
        """Make the document an operation accepts."""
        ids = self.ids
        whole: dict[str, object] = {**deepcopy(dict(PROFILE)), "email": None}
        whole |= {"metadata": {}, "additional_details": {}}
        documents: dict[str, dict[str, Any]] = {
            "create_cardholder": {"data": {"type": "cardholder", "attributes": whole}},
            "create_account": account_document(ids["cardholder"], metadata={}),
            "create_card": card_document(ids["account"], currency="USD"),
            "create_management_token": _new("card_management_token", type="pin_reset"),
            "create_topup": _new("topup", amount=100, funding_source="Agent Network"),
            "update_cardholder": resource_document(
                "cardholder", ids["cardholder"], individual=dict(KYC)
            ),
            "update_account": resource_document("account", ids["account"]),
            "update_card": resource_document("card", ids["card"]),
            "update_issuer": resource_document("issuer", self.clerk.issuer_id),
            "update_account_controls": resource_document("controls", ids["account"]),
            "update_card_controls": resource_document("controls", ids["card"]),
        }
        return documents[operation]


async def open_desk(clerk: Clerk) -> Desk:
    """Make one of everything."""
    cardholder = await clerk.cardholder()
    account = await clerk.account(cardholder["id"], number="700001")
    card = await clerk.card(account["id"])
    ids = {"cardholder": cardholder["id"], "account": account["id"], "card": card["id"]}
    return Desk(clerk=clerk, ids=ids)


def _new(kind: str, **attributes: object) -> dict[str, Any]:
    return {"data": {"type": kind, "attributes": attributes}}
