"""Issuers apart: at every route, whatever is another's is answered as what nobody has.

The routes are read from the description of the API: one that is not in the tables here fails.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

import pytest

from cms.clerk import (
    NOBODY,
    PROFILE,
    Clerk,
    account_document,
    assert_seen_is_json_api,
    card_document,
    data_of,
    hire,
    pan_ending,
    resource_document,
)
from jsonapi import wants_node
from sandboxes import Sandbox

OURS: Final = re.compile(
    r"/v1/(accounts|cardholders|cards|events|transactions|issuer|webhook_endpoints)\b.*"
    r"|/sandbox/v1/(cards|authorizations|transactions|cardholders|refunds|clearings)\b.*"
)
Route = tuple[str, str]
"""Method and path, with names for ids."""

OF_ONE: Final[Mapping[Route, object]] = {
    ("GET", "/v1/accounts/{account}"): None,
    ("GET", "/v1/accounts/{account}?include=cardholder"): None,
    ("PATCH", "/v1/accounts/{account}"): resource_document("account", "{account}", metadata={}),
    ("GET", "/v1/accounts/{account}/balance"): None,
    ("GET", "/v1/accounts/{account}/controls"): None,
    ("PATCH", "/v1/accounts/{account}/controls"): resource_document(
        "controls", "{account}", count_per_day=1_000
    ),
    ("POST", "/v1/accounts/{account}/topups"): {
        "data": {"type": "topup", "attributes": {"amount": 1, "funding_source": "x"}}
    },
    ("GET", "/v1/cardholders/{cardholder}"): None,
    ("PATCH", "/v1/cardholders/{cardholder}"): resource_document(
        "cardholder", "{cardholder}", name="x", phone_number="855715200961"
    ),
    ("GET", "/v1/cards/{card}"): None,
    ("GET", "/v1/cards/{card}?include=account.cardholder"): None,
    ("PATCH", "/v1/cards/{card}"): resource_document("card", "{card}", status="lost"),
    ("GET", "/v1/cards/{card}/controls"): None,
    ("PATCH", "/v1/cards/{card}/controls"): resource_document(
        "controls", "{card}", blocked_mccs=["7995"]
    ),
    ("POST", "/v1/cards/{card}/management_tokens"): {
        "data": {"type": "card_management_token", "attributes": {"type": "pin_reset"}}
    },
    ("GET", "/v1/events/{event}"): None,
    ("GET", "/v1/events/{event}/attempts"): None,
    ("POST", "/v1/events/{event}/resend"): {},
    ("GET", "/sandbox/v1/cards/{card}"): None,
    ("GET", "/v1/transactions/{transaction}"): None,
    ("GET", "/v1/transactions/{transaction}?include=account,card"): None,
    ("GET", "/v1/webhook_endpoints/{webhook_endpoint}"): None,
    ("PATCH", "/v1/webhook_endpoints/{webhook_endpoint}"): resource_document(
        "webhook_endpoint", "{webhook_endpoint}", enabled=False
    ),
    ("POST", "/v1/webhook_endpoints/{webhook_endpoint}/rotate"): {},
    ("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}"): None,
    ("POST", "/sandbox/v1/transactions/{transaction}/clear"): {"amount": 1},
    ("POST", "/sandbox/v1/transactions/{transaction}/reverse"): {"amount": 1},
    ("POST", "/sandbox/v1/transactions/{transaction}/increment"): {"amount": 1},
    ("POST", "/sandbox/v1/transactions/{transaction}/expire"): {},
    ("POST", "/sandbox/v1/cardholders/{cardholder}/review"): {"decision": "reject"},
}
"""Routes to one resource, with what is asked of it."""

NAMING: Final[Mapping[Route, object]] = {
    ("POST", "/v1/accounts"): account_document("{cardholder}", number="800000"),
    ("POST", "/v1/cards"): card_document("{account}"),
    ("GET", "/v1/accounts?filter[cardholder]={cardholder}"): None,
    ("GET", "/v1/accounts?page[after]={account}&include=cardholder"): None,
    ("GET", "/v1/accounts?page[before]={account}"): None,
    ("GET", "/v1/cardholders?page[after]={cardholder}"): None,
    ("GET", "/v1/cardholders?page[before]={cardholder}"): None,
    ("GET", "/v1/cards?filter[cardholder]={cardholder}&include=account.cardholder"): None,
    ("GET", "/v1/cards?page[after]={card}"): None,
    ("GET", "/v1/cards?page[before]={card}"): None,
    ("GET", "/v1/events?page[after]={event}"): None,
    ("GET", "/v1/events?page[before]={event}"): None,
    ("GET", "/v1/transactions?filter[account]={account}&include=account,card"): None,
    ("GET", "/v1/transactions?filter[card]={card}&filter[status]=pending"): None,
    ("GET", "/v1/transactions?filter[card]={card}&filter[account]={account}"): None,
    ("GET", "/v1/transactions?page[after]={transaction}"): None,
    ("GET", "/v1/transactions?page[before]={transaction}"): None,
    ("GET", "/v1/webhook_endpoints?page[after]={webhook_endpoint}"): None,
    ("POST", "/sandbox/v1/cards"): {
        "account_id": "{account}",
        "pan": pan_ending("7777"),
        "exp_month": 1,
        "exp_year": 2030,
    },
    ("POST", "/sandbox/v1/authorizations"): {"card_id": "{card}", "amount": 1},
    ("POST", "/sandbox/v1/refunds"): {"card_id": "{card}", "amount": 1},
    ("POST", "/sandbox/v1/clearings"): {"card_id": "{card}", "amount": 1},
}
"""Routes that name a resource in a body or a query."""

LISTS: Final = ("accounts", "cardholders", "cards", "events", "transactions", "webhook_endpoints")
NAMELESS: Final[frozenset[Route]] = frozenset(
    {
        ("POST", "/v1/cardholders"),
        ("POST", "/v1/webhook_endpoints"),
        ("GET", "/v1/issuer"),
        ("PATCH", "/v1/issuer"),
    }
)
"""Routes that can name nothing of another's."""

TRIED: Final = {**OF_ONE, **NAMING}


@pytest.fixture(scope="module")
async def ids(other: Clerk) -> dict[str, str]:
    """Make one of everything of another issuer's."""
    cardholder = await other.cardholder()
    account = await other.account(cardholder["id"])
    card = await other.card(account["id"])
    await other.top_up(account["id"], 10_000)
    transaction = await other.authorize(card["id"], 100)
    body = {"type": "webhook_endpoint", "attributes": {"url": "https://shop.example/hooks"}}
    endpoint = data_of(await other.post("/v1/webhook_endpoints", {"data": body}), 201)
    (event, *_) = data_of(await other.get("/v1/events"))
    return {
        "cardholder": cardholder["id"],
        "account": account["id"],
        "card": card["id"],
        "transaction": transaction,
        "event": event["id"],
        "webhook_endpoint": endpoint["id"],
    }


async def routes(sandbox: Sandbox) -> set[Route]:
    """Read every route of card management, its ids without their names."""
    paths = (await sandbox.get("/openapi.json")).json()["paths"]
    return {
        (method.upper(), bare(path))
        for path, methods in paths.items()
        for method in methods
        if OURS.fullmatch(path)
    }


def bare(path: str) -> str:
    """Leave of a path what tells its route."""
    return re.sub(r"\{\w+\}", "{}", path.partition("?")[0])


async def test_every_route_is_tried(town: Sandbox) -> None:
    found = await routes(town)
    tried = {(method, bare(path)) for method, path in TRIED} | NAMELESS
    assert len(found) > 25
    missing, gone = found - tried, tried - found
    assert not missing, f"Put these into OF_ONE, NAMING or NAMELESS: {sorted(missing)}"
    assert not gone, f"There are no such routes: {sorted(gone)}"


async def ask(clerk: Clerk, route: Route, body: object, ids: Mapping[str, str]) -> tuple[int, str]:
    """Ask with these ids; returns status and text."""
    method, path = route
    content = None if body is None else json.dumps(filled(body, ids)).encode()
    answer = await clerk.sandbox.http.request(
        method,
        f"http://bayon.test{filled(path, ids)}",
        content=content,
        headers={"Authorization": f"Bearer {clerk.token}"},
    )
    return answer.status_code, answer.text


def filled(value: Any, ids: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
    """Put ids where they are named."""
    match value:
        case str():
            return re.sub(r"\{(\w+)\}", lambda name: ids[name[1]], value)
        case dict():
            members = cast("dict[str, object]", value)
            return {name: filled(each, ids) for name, each in members.items()}
        case _:
            return value


@pytest.mark.parametrize("route", TRIED, ids=lambda route: f"{route[0]} {route[1]}"[:60])
async def test_what_is_anothers_is_answered_as_what_nobody_has(
    clerk: Clerk, ids: dict[str, str], route: Route
) -> None:
    status, text = await ask(clerk, route, TRIED[route], ids)
    unknown = dict.fromkeys(ids, NOBODY)
    assert (status, text) == await ask(clerk, route, TRIED[route], unknown)
    is_list = route in NAMING and route[0] == "GET"
    assert status == (200 if is_list else 404), text
    assert '"data":[],' in text or not is_list


@pytest.mark.parametrize(
    "route", [r for r in TRIED if r[0] != "DELETE"], ids=lambda route: f"{route[0]} {route[1]}"[:60]
)
async def test_its_own_issuer_is_answered(other: Clerk, ids: dict[str, str], route: Route) -> None:
    status, text = await ask(other, route, TRIED[route], ids)
    assert status in ({200} if route[0] == "GET" else {200, 201, 202, 409, 422}), text


async def test_nothing_of_another_was_changed(
    town: Sandbox, clerk: Clerk, ids: dict[str, str]
) -> None:
    whole = await hire(town)
    cardholder = await whole.cardholder()
    account = await whole.account(cardholder["id"])
    card = await whole.card(account["id"])
    kept = {"cardholders": cardholder, "accounts": account, "cards": card}
    mine = {**ids, "cardholder": cardholder["id"], "account": account["id"], "card": card["id"]}
    events = (await whole.get("/v1/events?page[size]=100")).text
    for route, body in TRIED.items():
        await ask(clerk, route, body, mine)
    for name, resource in kept.items():
        assert data_of(await whole.get(f"/v1/{name}/{resource['id']}")) == resource
        assert [r["id"] for r in data_of(await whole.get(f"/v1/{name}"))] == [resource["id"]]
    assert (await whole.get("/v1/events?page[size]=100")).text == events


async def test_a_list_is_of_its_own_issuer_only(clerk: Clerk, ids: dict[str, str]) -> None:
    for name in LISTS:
        for query in ("", "?page[size]=100"):
            text = (await clerk.get(f"/v1/{name}{query}")).text
            assert not [value for value in ids.values() if value in text]
    for status in ("pending", "settled", "declined", "reversed", "expired"):
        assert data_of(await clerk.get(f"/v1/transactions?filter[status]={status}")) == []


async def test_the_issuer_is_the_tokens_own(clerk: Clerk, other: Clerk) -> None:
    for one, another in ((clerk, other), (other, clerk)):
        assert data_of(await one.get("/v1/issuer"))["id"] == one.issuer_id
        body = resource_document("issuer", another.issuer_id, name="Mine now")
        assert (await one.patch("/v1/issuer", body)).status_code == 409
        for path in (f"/v1/issuer?id={another.issuer_id}", f"/v1/issuer/{another.issuer_id}"):
            assert (await one.get(path)).status_code in {400, 404}


async def test_numbers_and_names_of_one_are_free_for_the_other(clerk: Clerk, other: Clerk) -> None:
    for one in (clerk, other):
        cardholder = data_of(
            await one.post(
                "/v1/cardholders", {"data": {"type": "cardholder", "attributes": {**PROFILE}}}
            ),
            202,
        )
        made = await one.post("/v1/accounts", account_document(cardholder["id"], number="123456"))
        assert made.status_code == 201, made.text


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
