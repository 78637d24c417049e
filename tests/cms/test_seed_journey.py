"""The seed's journey: every request the document prints, as curl sends it, and what it prints back.

Changed are hosts, ids and tokens, nothing else. What cannot be as printed stands in `FREE` and
`MORE`, with the reason.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from bayon.batch import Request
from bayon.cards import Authorize, Clear, Merchant, Move, Transaction
from bayon.cards.document import resource
from cms.clerk import (
    SEEN,
    Clerk,
    assert_seen_is_json_api,
    card_document,
    data_of,
    hire,
    resource_document,
)
from cms.likeness import UUID as PRINTED_ID
from cms.likeness import Likeness
from cms.seed import SeedOperation, operations
from jsonapi import wants_node
from sandboxes import Sandbox, Server, check_invariants, open_sandbox, send_raw

ADDRESS: Final = (
    "#87, Street 63 (Trasak Paem), Sangkat Boeung Raing, Khan Daun Penh, Phnom Penh, Cambodia"
)
KANHA: Final[Mapping[str, object]] = {
    "name": "Meta Kanha",
    "phone_number": "855715100860",
    "additional_details": {
        "name_km": "មេត្តា កញ្ញា",
        "member_id": "P01-123456",
        "member_since": "2019",
    },
    "individual": {
        "date_of_birth": "20020409",
        "address": ADDRESS,
        "remote_photo_url": "https://via.placeholder.com/150.png",
        "remote_identity_document_url": "https://via.placeholder.com/600.png",
        "identity_document_number": "A123456789",
        "identity_document_type": "id_card",
    },
}
RIDES: Final = Merchant(
    name="Rocket Rides", city="Phnom Penh", country="KH", category="taxicabs_limousines"
)
AT_ONE: Final = datetime(2020, 1, 1, 1, tzinfo=UTC)

FOUR_DIGITS: Final = r"[0-9]{4}"
TWELVE_DIGITS: Final = r"[0-9]{12}"
NOW_OR_THEN: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
NUMBER: Final = "/attributes/transaction_number"
TOLD: Final = "/attributes/details/data"

FREE: Final[Mapping[str, Mapping[str, str]]] = {
    "create_card": {
        "/data/attributes/last_four": FOUR_DIGITS,  # its number is drawn by chance
        "/data/attributes/exp_month": r"[1-9]|1[0-2]",  # three years from now
        "/data/attributes/exp_year": FOUR_DIGITS,
    },
    "retrieve_transaction": {f"/data{NUMBER}": TWELVE_DIGITS},
    "retrieve_event": {f"/data{TOLD}{NUMBER}": TWELVE_DIGITS},
    "list_events": {f"/data/{n}{TOLD}{NUMBER}": TWELVE_DIGITS for n in range(2)},
    "list_transactions": {
        **{f"/data/{n}{NUMBER}": TWELVE_DIGITS for n in range(3)},
        # 10000 = 1000 + 300 + 0 obeys no rule: amount is the whole effect, total_fee the sum.
        "/data/0/attributes/amount": "1300",
        "/data/0/attributes/total_fee": "300",
        # A purchase settles when it is cleared, and nobody clears in the past.
        "/data/2/attributes/settlement_time": NOW_OR_THEN,
    },
}
MORE: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    # A transaction names its card wherever it is shown; the document's own does so but for events.
    "retrieve_event": {f"/data{TOLD}/relationships": frozenset({"card"})},
    "list_events": {f"/data/{n}{TOLD}/relationships": frozenset({"card"}) for n in range(2)},
}

FOUND: Final = {operation.name: operation for operation in operations()}

Arrange = Callable[[Clerk, SeedOperation], Awaitable[dict[str, str]]]
"""Makes what a request is about; returns our ids by those in its address, query and body."""


@pytest.fixture(scope="module")
async def town(server: Server) -> AsyncGenerator[Sandbox]:
    """Open a sandbox whose reviewer waits: no event comes from there."""
    url = await server.clone()
    async with open_sandbox(url, kyc_review="manual") as opened:
        yield opened
    await check_invariants(url)
    await server.drop(url)


async def nothing(_clerk: Clerk, _operation: SeedOperation) -> dict[str, str]:
    return {}


async def balance(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    account = await clerk.account((await clerk.cardholder())["id"])
    card = await clerk.card(account["id"])
    await clerk.top_up(account["id"], 10_000)
    await clerk.authorize(card["id"], 1_000)
    return {_id_in(operation): account["id"]}


async def a_cardholder(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    made = await clerk.cardholder(**KANHA)
    return {_id_in(operation): made["id"]}


async def only_kanha(clerk: Clerk, _operation: SeedOperation) -> dict[str, str]:
    await clerk.cardholder(**KANHA)
    return {}


async def dara(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    details = {"name_km": "តាំង តារា", "member_id": "P01-123456", "member_since": "2016"}
    made = await clerk.cardholder(additional_details=details, metadata={"foo": "bar"})
    return {_id_in(operation): made["id"]}


async def two_accounts(clerk: Clerk, _operation: SeedOperation) -> dict[str, str]:
    for number in ("000122", "000123"):
        await clerk.account((await clerk.cardholder())["id"], number=number)
    return {}


async def account_121(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    made = await clerk.account((await clerk.cardholder())["id"], number="000121")
    return {_id_in(operation): made["id"]}


async def account_120(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    cardholder = await clerk.cardholder()
    made = await clerk.account(cardholder["id"], number="000120", metadata={"foo": "bar"})
    return {_id_in(operation): made["id"]}


async def an_account(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    made = await clerk.account((await clerk.cardholder())["id"])
    return {_id_in(operation): made["id"]}


async def a_card(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    account = await clerk.account((await clerk.cardholder())["id"])
    made = await clerk.card(account["id"], exp_year=2023)
    return {_id_in(operation): made["id"]}


async def an_unactivated_card(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    account = await clerk.account((await clerk.cardholder())["id"])
    made = data_of(await clerk.post("/v1/cards", card_document(account["id"])), 201)
    return {_id_in(operation): made["id"]}


async def two_cards(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    for _ in operation.answer["data"]:
        account = await clerk.account((await clerk.cardholder())["id"])
        await clerk.card(account["id"], exp_year=2023)
    return {}


async def a_purchase(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    account = await clerk.account((await clerk.cardholder())["id"])
    card = await clerk.card(account["id"])
    await clerk.top_up(account["id"], 10_000)
    return {_id_in(operation): await clerk.clear(await clerk.authorize(card["id"], 1_000))}


async def told_of_purchases(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    """Clear two parts of a purchase: transactions that are settled when they are created.

    Of one account: those of two would have more events than stand on a page.
    """
    account = await clerk.account((await clerk.cardholder())["id"])
    card = await clerk.card(account["id"])
    await clerk.top_up(account["id"], 10_000)
    pending = await clerk.authorize(card["id"], 3_000)
    for _ in range(2):
        await clerk.clear(pending, amount=1_000, final=False)
    told = [event["attributes"]["details"]["data"] for event in operation.answer["data"]]
    return {t["relationships"]["account"]["data"]["id"]: account["id"] for t in told}


async def told_of_a_purchase(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    await told_of_purchases(clerk, FOUND["list_events"])
    (newest, *_) = data_of(await clerk.get("/v1/events"))
    return {_id_in(operation): newest["id"]}


async def three_transactions(clerk: Clerk, operation: SeedOperation) -> dict[str, str]:
    """Buy, top up and take out cash in the window that is printed, and something outside of it.

    No door moves a card's transactions into the past, as a card network's message does: they go
    through the verb both would use.
    """
    account = await clerk.account((await clerk.cardholder())["id"])
    card = await clerk.card(account["id"])
    fees = {"interbank_cash_withdrawal": {"flat": 300}}
    changed = resource_document("issuer", clerk.issuer_id, fees=fees)
    data_of(await clerk.patch("/v1/issuer", changed))
    await clerk.top_up(account["id"], 10_000)
    spend = Authorize(
        issuer_id=UUID(clerk.issuer_id),
        card_id=UUID(card["id"]),
        amount_minor=1_000,
        currency="USD",
        kind="purchase",
        merchant=RIDES,
        occurred_at=AT_ONE,
    )
    bought = await _move(clerk, spend)
    await _move(clerk, Clear(issuer_id=bought.issuer_id, transaction_id=bought.id))
    await clerk.top_up(account["id"], 1_000, transaction_time="2020-01-01T07:00:00Z")
    await _move(clerk, replace(spend, kind="cash_withdrawal", posts=True))
    await clerk.top_up(account["id"], 1_000, transaction_time="2020-01-01T12:00:01Z")
    return {_id_in(operation): account["id"]}


ARRANGED: Final[Mapping[str, Arrange]] = {
    "retrieve_balance": balance,
    "create_account": a_cardholder,
    "list_accounts": two_accounts,
    "retrieve_account": account_121,
    "update_account": account_120,
    "create_cardholder": nothing,
    "list_cardholders": only_kanha,
    "retrieve_cardholder": a_cardholder,
    "update_cardholder": dara,
    "create_card": an_account,
    "create_management_token": an_unactivated_card,
    "list_cards": two_cards,
    "retrieve_card": a_card,
    "update_card": a_card,
    "list_events": told_of_purchases,
    "retrieve_event": told_of_a_purchase,
    "list_transactions": three_transactions,
    "retrieve_transaction": a_purchase,
}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
async def test_a_printed_request_is_answered_as_printed(
    town: Sandbox, operation: SeedOperation
) -> None:
    clerk = await hire(town)
    ids = await ARRANGED[operation.name](clerk, operation)
    status, document = await _curl(clerk, operation, ids)
    assert status == operation.status
    alike = Likeness(ids=ids, free=FREE.get(operation.name, {}), more=MORE.get(operation.name, {}))
    alike.compare(operation.answer, _of_the_printed_kind(operation, document))
    assert alike.differences == []


def test_every_printed_request_is_replayed() -> None:
    names = [operation.name for operation in operations()]
    assert sorted(names) == sorted(ARRANGED)
    assert FREE.keys() | MORE.keys() <= set(names)


async def test_the_reasons_to_differ_still_hold(town: Sandbox) -> None:
    first: Any = FOUND["list_transactions"].answer["data"][0]["attributes"]
    assert first["amount"] != first["transaction_amount"] + first["fees"][0]["amount"]
    assert first["total_fee"] != first["fees"][0]["amount"]
    clerk = await hire(town)
    account = await clerk.account((await clerk.cardholder())["id"])
    made = data_of(await clerk.post("/v1/cards", card_document(account["id"])), 201)
    now = datetime.now(UTC)
    assert made["attributes"]["exp_year"] - now.year == 3
    assert made["attributes"]["exp_month"] == now.month


async def test_a_likeness_finds_what_differs() -> None:
    printed: dict[str, Any] = {
        "data": {
            "id": "53c7c220-c019-45be-abfd-d34f89868583",
            "attributes": {"at": "2020-04-09T12:20:08Z", "n": 1, "s": "x", "none": None},
        },
        "links": {"prev": "http://a/v1?b=53c7c220-c019-45be-abfd-d34f89868583"},
    }
    assert _differences(printed, printed) == []
    spoilt: list[tuple[str, str, object]] = [
        ("data", "id", "53c7c220"),
        ("data", "more", 1),
        ("attributes", "at", "2020-04-09T12:20:08+00:00"),
        ("attributes", "n", 2),
        ("attributes", "n", 1.0),
        ("attributes", "s", "y"),
        ("attributes", "none", ""),
        ("links", "prev", "http://b/v1?b=00000000-0000-4000-8000-000000000000"),
        ("links", "prev", None),
    ]
    for place, name, value in spoilt:
        ours = json.loads(json.dumps(printed))
        (ours["data"]["attributes"] if place == "attributes" else ours[place])[name] = value
        assert len(_differences(printed, ours)) >= 1, (place, name, value)


def _differences(printed: object, ours: object) -> list[str]:
    alike = Likeness(ids={})
    alike.compare(printed, ours)
    return alike.differences


def _of_the_printed_kind(operation: SeedOperation, document: dict[str, Any]) -> dict[str, Any]:
    """Leave of all events those of settled purchases: the document prints no others."""
    if operation.name != "list_events":
        return document
    assert len(document["data"]) == 10
    return {**document, "data": [e for e in document["data"] if _tells_of_a_purchase(e)]}


def _tells_of_a_purchase(event: dict[str, Any]) -> bool:
    told = event["attributes"]["details"]["data"]["attributes"]
    return (
        event["attributes"]["type"] == "transaction.created"
        and told["status"] == "settled"
        and told["transaction_details"]["type"] == "card"
    )


def _id_in(operation: SeedOperation) -> str:
    """Find the one id a request names that is ours to make."""
    body = json.loads(operation.body or "{}")
    related = body.get("data", {}).get("relationships", {})
    text = operation.path + operation.query + json.dumps(related)
    (found,) = {match[0] for match in PRINTED_ID.finditer(text)}
    return found


async def _move(clerk: Clerk, command: Move) -> Transaction:
    request = Request[Move, Transaction](
        command=command, render=lambda made: json.dumps(resource(made)).encode()
    )
    outcome = (await clerk.sandbox.desk.move(request)).outcome
    assert outcome is not None
    return outcome


async def _curl(
    clerk: Clerk, operation: SeedOperation, ids: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """Send a printed request byte by byte as curl would, but for ids and the token."""
    ours = Likeness(ids=ids)
    body = None if operation.body is None else ours.with_our_ids(operation.body).encode()
    path = ours.with_our_ids(operation.path)
    headers = {"host": "bayon.test", "user-agent": "curl/8.5.0", "accept": "*/*"}
    headers["authorization"] = f"Bearer {clerk.token}"
    if body is not None:
        headers["content-length"] = str(len(body))
        headers["content-type"] = "application/x-www-form-urlencoded"
    status, answered, content = await send_raw(
        clerk.sandbox.asgi,
        [{"type": "http.request", "body": body or b"", "more_body": False}],
        method=operation.method,
        path=path,
        raw_path=path.encode(),
        query_string=ours.with_our_ids(operation.query).encode(),
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
    )
    assert answered[b"content-type"] == b"application/vnd.api+json"
    document: dict[str, Any] = json.loads(content)
    SEEN.setdefault(content.decode(), (operation.name, document))
    return status, document


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
