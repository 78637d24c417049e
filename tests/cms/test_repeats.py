"""Repeats: the same POST with the same Idempotency-Key is done once, and answered as it was."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import pytest

from cms.clerk import (
    PROFILE,
    Clerk,
    account_document,
    assert_seen_is_json_api,
    card_document,
    errors_of,
    next_number,
)
from jsonapi import wants_node

Made = tuple[str, dict[str, Any]]
"""A path and the document to POST there."""

Make = Callable[[Clerk], Awaitable[Made]]


async def a_cardholder(_: Clerk) -> Made:
    return "/v1/cardholders", {"data": {"type": "cardholder", "attributes": {**PROFILE}}}


async def an_account(clerk: Clerk) -> Made:
    return "/v1/accounts", account_document((await clerk.cardholder())["id"], metadata={})


async def a_card(clerk: Clerk) -> Made:
    account = await clerk.account((await clerk.cardholder())["id"])
    return "/v1/cards", card_document(account["id"])


async def a_token(clerk: Clerk) -> Made:
    account = await clerk.account((await clerk.cardholder())["id"])
    card = await clerk.card(account["id"])
    body = {"data": {"type": "card_management_token", "attributes": {"type": "pin_reset"}}}
    return f"/v1/cards/{card['id']}/management_tokens", body


async def a_topup(clerk: Clerk) -> Made:
    account = await clerk.account((await clerk.cardholder())["id"])
    attributes = {"amount": 100, "funding_source": "Agent Network"}
    return f"/v1/accounts/{account['id']}/topups", {
        "data": {"type": "topup", "attributes": attributes}
    }


MAKERS: Final = [a_cardholder, an_account, a_card, a_token, a_topup]
each = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


def said(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Tell what a repeat must have in common with the first answer."""
    return answer.status_code, answer.text, answer.headers.get("location")


@each
async def test_a_repeat_is_answered_as_the_first(clerk: Clerk, make: Make) -> None:
    path, document = await make(clerk)
    first = await clerk.post(path, document, key=f"repeat {make.__name__}")
    assert first.status_code in {201, 202}, first.text
    same_elsewhere = json.dumps(document, indent=3, sort_keys=True).encode()
    for again in (document, same_elsewhere):
        assert said(await clerk.post(path, again, key=f"repeat {make.__name__}")) == said(first)
    slashed = await clerk.post(f"{path}/", document, key=f"repeat {make.__name__}")
    assert said(slashed) == said(first)


@each
async def test_where_a_new_resource_is_stands_in_its_location(clerk: Clerk, make: Make) -> None:
    path, document = await make(clerk)
    made = await clerk.post(path, document)
    assert ("location" in made.headers) == (make is not a_token)
    if make is not a_token:
        found = await clerk.get(made.headers["location"].removeprefix("http://bayon.test"))
        assert found.json()["data"]["id"] == made.json()["data"]["id"]


@each
async def test_a_key_with_another_body_is_a_conflict(clerk: Clerk, make: Make) -> None:
    path, document = await make(clerk)
    first = await clerk.post(path, document, key=f"other {make.__name__}")
    changed = {**document, "meta": {"changed": True}}
    answer = await clerk.post(path, changed, key=f"other {make.__name__}")
    (error,) = errors_of(answer, 409)
    assert (error["code"], error["source"]) == ("key_reused", {"header": "Idempotency-Key"})
    assert said(await clerk.post(path, document, key=f"other {make.__name__}")) == said(first)


@each
async def test_the_same_key_of_another_issuer_is_another(
    clerk: Clerk, other: Clerk, make: Make
) -> None:
    key = f"issuers {make.__name__}"
    answers = [await one.post(*(await make(one)), key=key) for one in (clerk, other)]
    assert [answer.status_code for answer in answers] in ([201, 201], [202, 202])
    assert len({answer.json()["data"]["id"] for answer in answers}) == 2


async def test_the_same_key_at_another_address_is_another(clerk: Clerk) -> None:
    ids = [
        (await clerk.post(*(await make(clerk)), key="the same everywhere")).json()["data"]["id"]
        for make in [*MAKERS, a_topup, a_token]
    ]
    assert len(set(ids)) == len(ids)


@each
async def test_all_at_once_are_answered_as_one(clerk: Clerk, make: Make) -> None:
    path, document = await make(clerk)
    key = f"race {make.__name__}"
    answers = await asyncio.gather(*(clerk.post(path, document, key=key) for _ in range(12)))
    assert len({said(answer) for answer in answers}) == 1
    assert answers[0].status_code in {201, 202}


async def test_a_top_up_that_is_repeated_moves_money_once(clerk: Clerk) -> None:
    path, document = await a_topup(clerk)
    for key in ("first", "first", "second", "first"):
        await clerk.post(path, document, key=f"moves {key}")
    balance = (await clerk.get(path.replace("topups", "balance"))).json()["data"]["attributes"]
    assert balance["balance"] == {"amount": 200, "currency": "USD"}


async def test_what_was_refused_may_be_mended_under_its_key(clerk: Clerk) -> None:
    path, document = await an_account(clerk)
    number = document["data"]["attributes"]["number"]
    document["data"]["attributes"]["number"] = "12345"
    errors_of(await clerk.post(path, document, key="mended"), 422)
    document["data"]["attributes"]["number"] = number
    assert (await clerk.post(path, document, key="mended")).status_code == 201


async def test_a_number_that_is_taken_now_and_free_later_is_asked_for_anew(clerk: Clerk) -> None:
    path, document = await an_account(clerk)
    first = await clerk.post(path, document, key="taken")
    errors_of(await clerk.post(path, document, key="taken too"), 422)
    errors_of(await clerk.post(path, document), 422)
    assert said(await clerk.post(path, document, key="taken")) == said(first)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "caf\xe9"])
async def test_a_key_that_is_none_is_refused(clerk: Clerk, key: str) -> None:
    body = json.dumps(account_document(next_number())).encode()
    headers = [
        (b"authorization", f"Bearer {clerk.token}".encode()),
        (b"idempotency-key", key.encode("latin-1")),
    ]
    answer = await clerk.sandbox.http.post("/v1/accounts", content=body, headers=headers)
    (error,) = errors_of(answer, 400)
    assert error["code"] == "bad_idempotency_key"
    assert error["source"] == {"header": "Idempotency-Key"}


async def test_the_longest_key_is_taken(clerk: Clerk) -> None:
    path, document = await an_account(clerk)
    first = await clerk.post(path, document, key="~" * 255)
    assert said(await clerk.post(path, document, key="~" * 255)) == said(first)


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
