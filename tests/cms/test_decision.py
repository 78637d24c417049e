"""The real-time decision: an issuer is asked before its card is decided on, and slows no other."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Any, Final

import jwt
import pytest
from standardwebhooks import Webhook

from cms.clerk import Clerk, Resource, data_of, pointed, resource_document
from events.receivers import Receiver, receiving, saying
from said import never_say

ISSUER: Final = "/v1/issuer"
YES: Final = b'{"approved": true}'
NO: Final = b'{"approved": false, "reason": "not today"}'


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving(saying(200, body=YES)) as made:
        yield made


@pytest.fixture
async def card(clerk: Clerk) -> Resource:
    cardholder = await clerk.cardholder()
    account = await clerk.account(cardholder["id"])
    await clerk.top_up(account["id"], 10_000)
    return await clerk.card(account["id"])


async def ask(clerk: Clerk, url: str | None, **more: object) -> Any:  # noqa: ANN401 - as shown
    decision = None if url is None else {"url": url, **more}
    document = resource_document("issuer", clerk.issuer_id, decision=decision)
    shown = data_of(await clerk.patch(ISSUER, document))["attributes"]["decision"]
    if shown is not None and "signing_secret" in shown:
        never_say(shown["signing_secret"])
    return shown


async def use(clerk: Clerk, card: Resource, amount: int = 1_000, **more: object) -> dict[str, Any]:
    return await clerk.simulate("authorizations", {"card_id": card["id"], "amount": amount, **more})


async def test_the_secret_is_shown_once_and_signs_the_question_both_ways(
    clerk: Clerk, card: Resource, receiver: Receiver
) -> None:
    set_up = await ask(clerk, f"{receiver.url}/decide", timeout_ms=900, default="approve")
    secret = set_up.pop("signing_secret")
    assert set_up == {"url": f"{receiver.url}/decide", "timeout_ms": 900, "default": "approve"}
    assert data_of(await clerk.get(ISSUER))["attributes"]["decision"] == set_up
    assert (await use(clerk, card))["approved"]
    (got,) = receiver.got
    token = got.headers["Authorization"].removeprefix("Bearer ")
    assert jwt.decode(token, secret, algorithms=["HS256"])["sub"] == str(got.event_id)
    told = Webhook(secret).verify(got.body, {k.lower(): v for k, v in got.headers.items()})
    attributes = told["data"]["attributes"]
    assert told["data"]["relationships"]["card"]["data"]["id"] == card["id"]
    assert (attributes["transaction_amount"], attributes["transaction_currency"]) == (1_000, "USD")
    assert attributes["card_last_four"] == "2345"
    assert attributes["transaction_details"]["card"]["merchant_data"]["mcc"] == "4121"


async def test_the_secret_stays_while_the_url_does(
    clerk: Clerk, card: Resource, receiver: Receiver
) -> None:
    secret = (await ask(clerk, receiver.url))["signing_secret"]
    whole = data_of(await clerk.get(ISSUER))["attributes"]
    document = resource_document("issuer", clerk.issuer_id, **whole)
    assert (
        data_of(await clerk.patch(ISSUER, document))["attributes"]["decision"]
        == (whole["decision"])
    )
    assert (await use(clerk, card))["approved"]
    Webhook(secret).verify(
        receiver.got[0].body, {k.lower(): v for k, v in receiver.got[0].headers.items()}
    )
    other = (await ask(clerk, f"{receiver.url}/other"))["signing_secret"]
    assert other != secret


async def test_what_the_issuer_declines_is_declined_and_moves_nothing(
    clerk: Clerk, card: Resource, receiver: Receiver
) -> None:
    await ask(clerk, receiver.url)
    receiver.answer = saying(200, body=NO)
    declined = await use(clerk, card)
    assert (declined["decline_reason"], declined["response_code"]) == ("issuer_declined", "05")
    receiver.answer = saying(200, body=YES)
    assert (await use(clerk, card, 10_000))["approved"]


async def test_a_yes_is_no_more_than_the_account_has(
    clerk: Clerk, card: Resource, receiver: Receiver
) -> None:
    await ask(clerk, receiver.url)
    assert (await use(clerk, card, 10_001))["decline_reason"] == "insufficient_funds"


@pytest.mark.parametrize(("partial", "approved"), [(True, True), (False, False)])
async def test_an_amount_is_the_most_that_is_granted(
    clerk: Clerk, card: Resource, receiver: Receiver, *, partial: bool, approved: bool
) -> None:
    await ask(clerk, receiver.url)
    receiver.answer = saying(200, body=b'{"approved": true, "amount": 600}')
    answer = await use(clerk, card, 1_000, partial_allowed=partial)
    assert answer["approved"] is approved
    assert answer["response_code"] == ("10" if partial else "05")


@pytest.mark.parametrize("default", ["approve", "decline"])
@pytest.mark.parametrize(
    "said",
    [
        (200, YES, 5.0),
        (500, YES, 0.0),
        (204, b"", 0.0),
        (302, YES, 0.0),
        (200, b"yes", 0.0),
        (200, b"[]", 0.0),
        (200, b'{"approved": "yes"}', 0.0),
        (200, b'{"approved": true, "amount": 1.5}', 0.0),
        (200, b"\xff", 0.0),
    ],
)
async def test_what_is_no_answer_is_the_default(
    clerk: Clerk,
    card: Resource,
    receiver: Receiver,
    default: str,
    said: tuple[int, bytes, float],
) -> None:
    status, body, delay_s = said
    await ask(clerk, receiver.url, timeout_ms=100, default=default)
    receiver.answer = saying(status, body=body, delay_s=delay_s)
    answer = await use(clerk, card)
    assert answer["approved"] is (default == "approve")
    assert len(receiver.got) == 1


async def test_nobody_there_is_the_default(clerk: Clerk, card: Resource) -> None:
    await ask(clerk, "http://127.0.0.1:1/")
    assert (await use(clerk, card))["decline_reason"] == "issuer_declined"
    await ask(clerk, None)
    assert (await use(clerk, card))["approved"]
    assert data_of(await clerk.get(ISSUER))["attributes"]["decision"] is None


async def test_an_issuer_that_takes_its_time_slows_nobody_else(
    clerk: Clerk, other: Clerk, card: Resource, receiver: Receiver
) -> None:
    await ask(clerk, receiver.url, timeout_ms=1_000, default="approve")
    holder = await other.cardholder()
    account = await other.account(holder["id"])
    await other.top_up(account["id"], 10_000)
    swift = await other.card(account["id"], last_four="9876")
    receiver.answer = saying(200, body=YES, delay_s=5.0)
    slow = [asyncio.create_task(use(clerk, card, 10)) for _ in range(20)]
    await asyncio.sleep(0.1)
    started = time.perf_counter()
    assert (await use(other, swift))["approved"]
    assert time.perf_counter() - started < 0.7
    assert all(answer["approved"] for answer in await asyncio.gather(*slow))


async def test_what_is_wrong_with_a_decision_is_pointed_at(clerk: Clerk) -> None:
    wrong = {"url": "http://example.com/", "timeout_ms": 1_001, "default": "maybe"}
    document = resource_document("issuer", clerk.issuer_id, decision=wrong)
    at = "/data/attributes/decision"
    assert set(pointed(await clerk.patch(ISSUER, document))) == {
        *(f"{at}/url", f"{at}/timeout_ms", f"{at}/default"),
    }
    given: tuple[object, ...] = ({}, {"timeout_ms": 100}, (), "x", 1)
    for decision in given:
        document = resource_document("issuer", clerk.issuer_id, decision=decision)
        assert pointed(await clerk.patch(ISSUER, document)), json.dumps(decision)
