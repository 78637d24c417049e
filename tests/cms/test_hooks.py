"""Webhook endpoints, resends and attempts over HTTP, by issuers who mean well and who do not."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final
from uuid import UUID

import jwt
import pytest

from cms.clerk import (
    NOBODY,
    Clerk,
    Resource,
    assert_seen_is_json_api,
    data_of,
    errors_of,
    hire,
    pointed,
    resource_document,
)
from events.receivers import Receiver, bearer, receiving, saying, until
from jsonapi import wants_node
from said import never_say
from sandboxes import Sandbox

HOOKS: Final = "/v1/webhook_endpoints"
SHOWN: Final = {
    *("created_at", "updated_at", "url", "event_types", "enabled", "disabled_reason"),
}
NOWHERE: Final = "http://127.0.0.1:1/"
TYPES: Final = (
    "must hold some of: transaction.created, transaction.updated, transaction.declined, "
    "cardholder.created, cardholder.updated, account.created, account.updated, card.created, "
    "card.updated"
)


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def issuer(town: Sandbox) -> Clerk:
    """Hire a clerk for the test alone: whom it tells of events is nobody else's."""
    return await hire(town)


def hook_document(**attributes: object) -> dict[str, Any]:
    return {"data": {"type": "webhook_endpoint", "attributes": {"url": NOWHERE, **attributes}}}


async def hook(clerk: Clerk, url: str = NOWHERE, **attributes: object) -> Resource:
    made = data_of(await clerk.post(HOOKS, hook_document(url=url, **attributes)), 201)
    never_say("a signing secret", made["attributes"]["signing_secret"])
    return made


def path_of(endpoint: Resource) -> str:
    return f"{HOOKS}/{endpoint['id']}"


async def told(clerk: Clerk, of_type: str = "account.created") -> Resource:
    """Find the newest event of a type."""
    return data_of(await clerk.get(f"/v1/events?filter[type]={of_type}&page[size]=1"))[0]


async def account_of(clerk: Clerk) -> Resource:
    return await clerk.account((await clerk.cardholder())["id"])


async def attempts_of(clerk: Clerk, event_id: str, query: str = "") -> list[Resource]:
    return data_of(await clerk.get(f"/v1/events/{event_id}/attempts{query}"))


async def until_tried(clerk: Clerk, event_id: str, count: int) -> list[Resource]:
    """Wait until an event has had so many attempts."""
    for _ in range(600):
        if len(found := await attempts_of(clerk, event_id, "?page[size]=100")) >= count:
            return found
    raise TimeoutError(event_id)


async def test_an_endpoint_shows_its_secret_when_it_is_made_and_never_again(
    issuer: Clerk,
) -> None:
    answer = await issuer.post(HOOKS, hook_document(event_types=["card.created"], enabled=False))
    made = data_of(answer, 201)
    assert answer.headers["location"] == f"http://bayon.test{path_of(made)}"
    attributes = made["attributes"]
    secret = attributes["signing_secret"]
    assert attributes.keys() == SHOWN | {"signing_secret"}
    assert (len(secret), secret.isalnum(), secret.isascii()) == (32, True, True)
    assert attributes["event_types"] == ["card.created"]
    assert (attributes["enabled"], attributes["disabled_reason"]) == (False, None)
    asked_for = "?fields[webhook_endpoint]=signing_secret"
    changed = resource_document("webhook_endpoint", made["id"], enabled=True)
    answers = [
        await issuer.get(path_of(made)),
        await issuer.get(HOOKS),
        await issuer.get(f"{path_of(made)}{asked_for}"),
        await issuer.get(f"{HOOKS}{asked_for}"),
        await issuer.patch(path_of(made), changed),
    ]
    for each in answers:
        assert each.status_code == 200, each.text
        assert secret not in each.text
    assert data_of(answers[0])["attributes"].keys() == SHOWN


async def test_what_is_left_out_has_a_default_and_what_is_not_yours_to_set_is_ignored(
    issuer: Clerk,
) -> None:
    own = {"signing_secret": "A" * 32, "disabled_reason": "gone", "created_at": "2001-01-01"}
    made = await hook(issuer, **own, colour="red")
    assert made["attributes"]["signing_secret"] != "A" * 32
    kept = data_of(await issuer.get(path_of(made)))["attributes"]
    assert (kept["enabled"], kept["event_types"], kept["disabled_reason"]) == (True, [], None)
    assert kept["created_at"] > "2020"
    nothing = {"updated_at": None, "url": None, "event_types": None, "enabled": None}
    changed = resource_document("webhook_endpoint", made["id"], **own, **nothing)
    after = data_of(await issuer.patch(path_of(made), changed))["attributes"]
    assert {**after, "updated_at": kept["updated_at"]} == kept


WRONG: Final[Sequence[tuple[dict[str, object], dict[str, str]]]] = [
    ({"url": 7}, {"url": "must be a string"}),
    ({"url": ["https://a.example"]}, {"url": "must be a string"}),
    ({"url": ""}, {"url": ""}),
    ({"url": "https://a.example/" + "x" * 2_048}, {"url": ""}),
    ({"url": "http://a.example/"}, {"url": "is not allowed: The URL must begin with https://"}),
    ({"url": "ftp://a.example/"}, {"url": "is not allowed: The URL must begin with https://"}),
    ({"url": "https://10.0.0.1/"}, {"url": "is not allowed: The URL's host is not public"}),
    ({"url": "https://169.254.169.254/"}, {"url": "is not allowed: "}),
    ({"url": "https://[::ffff:10.0.0.1]/"}, {"url": "is not allowed: "}),
    ({"url": "https://0x7f.1/"}, {"url": "is not allowed: "}),
    ({"url": "https://me:hush@a.example/"}, {"url": "is not allowed: "}),
    ({"url": "https://a.example/\r\nX: y"}, {"url": ""}),
    ({"enabled": "yes"}, {"enabled": "must be"}),
    ({"enabled": 1}, {"enabled": "must be"}),
    ({"event_types": "card.created"}, {"event_types": "must be an array"}),
    ({"event_types": {"card.created": 1}}, {"event_types": "must be an array"}),
    ({"event_types": ["card.deleted"]}, {"event_types": TYPES}),
    ({"event_types": ["card.created", "*"]}, {"event_types": TYPES}),
    ({"event_types": ["CARD.CREATED"]}, {"event_types": TYPES}),
    ({"event_types": [None]}, {"event_types": TYPES}),
    ({"event_types": [["card.created"]]}, {"event_types": TYPES}),
    ({"event_types": ["card.created"] * 10}, {"event_types": TYPES}),
    (
        {"url": "nonsense", "event_types": ["x"], "enabled": 0},
        {"url": "is not allowed: ", "event_types": TYPES, "enabled": "must be"},
    ),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG)
async def test_every_attribute_that_is_wrong_is_pointed_at(
    clerk: Clerk, wrong: dict[str, object], says: dict[str, str]
) -> None:
    made = data_of(await clerk.get(HOOKS)) or [await hook(clerk)]
    document = resource_document("webhook_endpoint", made[0]["id"], **wrong)
    answers = [await clerk.post(HOOKS, hook_document(**wrong))]
    answers += [await clerk.patch(path_of(made[0]), document)]
    for answer in answers:
        found = pointed(answer)
        assert found.keys() == {f"/data/attributes/{name}" for name in says}, found
        for name, title in says.items():
            assert found[f"/data/attributes/{name}"].startswith(title)
    assert data_of(await clerk.get(HOOKS)) == [
        {**made[0], "attributes": {n: v for n, v in made[0]["attributes"].items() if n in SHOWN}}
    ]


async def test_an_endpoint_without_a_url_is_none(clerk: Clerk) -> None:
    document = {"data": {"type": "webhook_endpoint", "attributes": {"enabled": True}}}
    for body in (document, hook_document(url=None)):
        assert pointed(await clerk.post(HOOKS, body)).keys() == {"/data/attributes/url"}


async def test_another_type_or_another_id_is_a_conflict(issuer: Clerk) -> None:
    made = await hook(issuer)
    body = {"data": {"type": "webhook", "attributes": {"url": NOWHERE}}}
    errors_of(await issuer.post(HOOKS, body), 409)
    other = resource_document("webhook_endpoint", NOBODY, enabled=False)
    errors_of(await issuer.patch(path_of(made), other), 409)
    assert data_of(await issuer.get(path_of(made)))["attributes"]["enabled"] is True


@pytest.mark.parametrize("name", [NOBODY, "1", "0" * 32, "%00", "a%2Fb", "%F0%9F"])
async def test_an_id_nobody_has_is_not_found(clerk: Clerk, name: str) -> None:
    document = resource_document("webhook_endpoint", name, enabled=False)
    answers = [
        await clerk.get(f"{HOOKS}/{name}"),
        await clerk.patch(f"{HOOKS}/{name}", document),
        await clerk.send("DELETE", f"{HOOKS}/{name}"),
        await clerk.post(f"{HOOKS}/{name}/rotate", {}),
        await clerk.post(f"/v1/events/{name}/resend", {}),
        await clerk.get(f"/v1/events/{name}/attempts"),
    ]
    # A name the address cannot carry is no id of the document either.
    assert {answer.status_code for answer in answers} <= {404, 409}
    assert [answers[at].status_code for at in (0, 2, 3, 4, 5)] == [404] * 5


async def test_another_issuers_endpoints_events_and_attempts_are_not_there(
    issuer: Clerk, other: Clerk, receiver: Receiver
) -> None:
    made = await hook(issuer, receiver.url)
    await account_of(issuer)
    event = await told(issuer)
    await until_tried(issuer, event["id"], 1)
    before = len(receiver.got)
    document = resource_document("webhook_endpoint", made["id"], url=NOWHERE)
    for answer in (
        await other.get(path_of(made)),
        await other.patch(path_of(made), document),
        await other.send("DELETE", path_of(made)),
        await other.post(f"{path_of(made)}/rotate", {}),
        await other.post(f"/v1/events/{event['id']}/resend", {}),
        await other.get(f"/v1/events/{event['id']}/attempts"),
    ):
        errors_of(answer, 404)
    assert made["id"] not in (await other.get(f"{HOOKS}?page[size]=100")).text
    await account_of(other)
    shown = data_of(await issuer.get(path_of(made)))["attributes"]
    assert shown == {n: v for n, v in made["attributes"].items() if n in SHOWN}
    own = {each["id"] for each in data_of(await issuer.get("/v1/events?page[size]=100"))}
    assert len(receiver.got) >= before
    assert {str(each) for each in receiver.ids()} <= own


async def test_without_a_token_of_an_issuer_nothing_is_shown(town: Sandbox) -> None:
    for method, path in (("GET", HOOKS), ("POST", HOOKS), ("DELETE", f"{HOOKS}/{NOBODY}")):
        for token in ("nonsense", town.bank_token, town.integrator_token):
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.api+json"}
            answer = await town.http.request(method, path, headers=headers)
            errors_of(answer, 401)


async def test_what_is_sent_is_what_is_served_and_signed_by_the_secret_that_was_shown(
    issuer: Clerk, receiver: Receiver
) -> None:
    made = await hook(issuer, f"{receiver.url}/hook?a=b")
    await account_of(issuer)
    event = await told(issuer)
    await until(lambda: UUID(event["id"]) in receiver.ids(), timeout_s=60)
    (got,) = [each for each in receiver.got if str(each.event_id) == event["id"]]
    assert got.path == "/hook"
    assert got.body == (await issuer.get(f"/v1/events/{event['id']}")).content
    secret = made["attributes"]["signing_secret"]
    claims = jwt.decode(bearer(got), secret, algorithms=["HS256"], issuer="Bongloy")
    assert claims["sub"] == event["id"]
    assert claims["body_sha256"] == hashlib.sha256(got.body).hexdigest()
    (attempt,) = await until_tried(issuer, event["id"], 1)
    assert attempt["id"] == claims["jti"]


async def test_declines_are_told_to_whoever_names_them_and_to_nobody_else(
    issuer: Clerk, receiver: Receiver
) -> None:
    await hook(issuer, f"{receiver.url}/all")
    await hook(issuer, f"{receiver.url}/declines", event_types=["transaction.declined"] * 2)
    await hook(issuer, f"{receiver.url}/cards", event_types=["card.created", "account.created"])
    account = await account_of(issuer)
    card = await issuer.card(account["id"])
    await issuer.authorize(card["id"], 100)
    await issuer.top_up(account["id"], 100)
    events = {e["id"]: e["attributes"]["type"] for e in data_of(await issuer.get("/v1/events"))}
    declined = [UUID(i) for i, of_type in events.items() if of_type == "transaction.declined"]
    cards = {UUID(i) for i, of_type in events.items() if of_type[:5] in {"card.", "accou"}}
    assert len(declined) == 1
    rest = {UUID(i) for i in events} - {*declined}
    await until(lambda: {*receiver.ids("/all")} == rest, timeout_s=60)
    await until(lambda: receiver.ids("/declines") == declined, timeout_s=60)
    await until(lambda: len(receiver.ids("/cards")) == len(cards), timeout_s=60)
    assert {events[str(i)] for i in receiver.ids("/cards")} == {"card.created", "account.created"}


async def test_a_disabled_endpoint_is_told_nothing_of_what_happens_meanwhile(
    issuer: Clerk, receiver: Receiver
) -> None:
    made = await hook(issuer, receiver.url, enabled=False)
    account = await account_of(issuer)
    before = await told(issuer)
    enable = resource_document("webhook_endpoint", made["id"], enabled=True)
    assert data_of(await issuer.patch(path_of(made), enable))["attributes"]["enabled"] is True
    first = await issuer.top_up(account["id"], 100)
    await until(lambda: len(receiver.got) == 1, timeout_s=60)
    disable = resource_document("webhook_endpoint", made["id"], enabled=False)
    shown = data_of(await issuer.patch(path_of(made), disable))["attributes"]
    assert (shown["enabled"], shown["disabled_reason"]) == (False, None)
    await issuer.top_up(account["id"], 200)
    assert (await issuer.post(f"/v1/events/{before['id']}/resend", {})).json() == {
        "meta": {"deliveries": 0}
    }
    data_of(await issuer.patch(path_of(made), enable))
    last = await issuer.top_up(account["id"], 300)
    await until(lambda: len(receiver.got) == 2, timeout_s=60)
    assert [
        first["id"] in receiver.got[0].body.decode(),
        last["id"] in receiver.got[1].body.decode(),
    ]
    assert await attempts_of(issuer, before["id"]) == []


async def test_an_endpoint_that_is_gone_is_disabled_and_says_why(
    issuer: Clerk, receiver: Receiver
) -> None:
    receiver.answer = saying(410)
    made = await hook(issuer, receiver.url)
    account = await account_of(issuer)
    await until(lambda: len(receiver.got) > 0, timeout_s=60)
    shown = await _until_disabled(issuer, made)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    receiver.answer, before = None, len(receiver.got)
    enable = resource_document("webhook_endpoint", made["id"], enabled=True)
    shown = data_of(await issuer.patch(path_of(made), enable))["attributes"]
    assert (shown["enabled"], shown["disabled_reason"]) == (True, None)
    await issuer.top_up(account["id"], 100)
    await until(lambda: len(receiver.got) > before, timeout_s=60)


async def test_deleted_it_is_gone_and_its_attempts_stay_with_their_event(
    issuer: Clerk, receiver: Receiver
) -> None:
    made = await hook(issuer, receiver.url)
    account = await account_of(issuer)
    event = await told(issuer)
    await until_tried(issuer, event["id"], 1)
    deleted = await issuer.send("DELETE", path_of(made))
    assert (deleted.status_code, deleted.content) == (204, b"")
    for answer in (
        await issuer.send("DELETE", path_of(made)),
        await issuer.get(path_of(made)),
        await issuer.post(f"{path_of(made)}/rotate", {}),
    ):
        errors_of(answer, 404)
    assert data_of(await issuer.get(HOOKS)) == []
    count = len(receiver.got)
    await issuer.top_up(account["id"], 100)
    resent = await issuer.post(f"/v1/events/{event['id']}/resend", {})
    assert (resent.status_code, resent.json()) == (202, {"meta": {"deliveries": 0}})
    (attempt,) = await attempts_of(issuer, event["id"])
    whose = attempt["relationships"]["webhook_endpoint"]["data"]
    assert whose == {"type": "webhook_endpoint", "id": made["id"]}
    assert len(receiver.got) == count


async def test_a_rotation_shows_a_new_secret_once_a_key(issuer: Clerk) -> None:
    made = await hook(issuer)
    secrets = [made["attributes"]["signing_secret"]]
    for key in ("first", "first", "second", None, None):
        answer = await issuer.post(f"{path_of(made)}/rotate", {}, key=key)
        shown = data_of(answer)["attributes"]
        assert shown.keys() == SHOWN | {"signing_secret"}
        secrets.append(shown["signing_secret"])
    never_say("a signing secret", *secrets)
    assert secrets[1] == secrets[2]
    assert len(set(secrets)) == 5
    shown_again = (await issuer.get(path_of(made))).text
    assert [secret for secret in secrets if secret in shown_again] == []


async def test_created_twice_by_one_key_it_is_one_with_one_secret(issuer: Clerk) -> None:
    answers = [await issuer.post(HOOKS, hook_document(), key="k") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(data_of(await issuer.get(HOOKS))) == 1
    changed = hook_document(enabled=False)
    (error,) = errors_of(await issuer.post(HOOKS, changed, key="k"), 409)
    assert error["code"] == "key_reused"


async def test_an_event_is_sent_again_once_a_key_under_its_own_id(
    issuer: Clerk, receiver: Receiver
) -> None:
    await hook(issuer, receiver.url)
    await account_of(issuer)
    event = await told(issuer)
    await until_tried(issuer, event["id"], 1)
    for key, count in (("a", 2), ("a", 2), ("b", 3), ("b", 3)):
        answer = await issuer.post(f"/v1/events/{event['id']}/resend", {}, key=key)
        assert (answer.status_code, answer.json()) == (202, {"meta": {"deliveries": 1}})
        tried = await until_tried(issuer, event["id"], count)
        assert len(tried) == count
    same = [got for got in receiver.got if str(got.event_id) == event["id"]]
    assert len(same) == 3
    assert len({got.body for got in same}) == 1


async def test_there_are_at_most_twenty(issuer: Clerk) -> None:
    for _ in range(20):
        await hook(issuer)
    (error,) = errors_of(await issuer.post(HOOKS, hook_document()), 409)
    assert error["code"] == "too_many_endpoints"
    found = data_of(await issuer.get(f"{HOOKS}?page[size]=100"))
    assert len(found) == 20
    await issuer.send("DELETE", path_of(found[0]))
    await hook(issuer)


async def test_lists_are_walked_by_the_links_they_give_as_they_are(
    issuer: Clerk, receiver: Receiver
) -> None:
    receiver.answer = saying(503, body="ចាំ".encode() * 1_000)
    made = [await hook(issuer, f"{receiver.url}/{n}") for n in range(3)]
    await account_of(issuer)
    event = await told(issuer)
    tried = await until_tried(issuer, event["id"], 3)
    lists = {
        f"{HOOKS}?page[size]=1": [each["id"] for each in reversed(made)],
        f"/v1/events/{event['id']}/attempts?page[size]=1": [each["id"] for each in tried],
    }
    for path, ids in lists.items():
        of_type = "delivery_attempt" if "attempts" in path else "webhook_endpoint"
        for query in (path, f"{path}&fields[{of_type}]="):
            assert await _walked(issuer, query, "next") == ids
        back = f"{path}&page[before]={ids[-1]}"
        assert await _walked(issuer, back, "prev") == ids[-2::-1]
    shown = tried[0]["attributes"]
    assert shown.keys() == {
        *("attempted_at", "status_code", "duration_ms", "error", "response_excerpt")
    }
    assert (shown["status_code"], shown["error"]) == (503, None)
    assert len(shown["response_excerpt"].encode()) <= 1_024 + 2
    assert shown["response_excerpt"].startswith("ចាំចាំ")
    assert {each["relationships"]["webhook_endpoint"]["data"]["id"] for each in tried} == {
        each["id"] for each in made
    }


async def test_an_attempt_without_an_answer_says_why(issuer: Clerk) -> None:
    await hook(issuer, NOWHERE)
    await account_of(issuer)
    (attempt,) = await until_tried(issuer, (await told(issuer))["id"], 1)
    shown = attempt["attributes"]
    assert (shown["status_code"], shown["error"]) == (None, "unreachable")
    assert shown["response_excerpt"] is None


@pytest.mark.parametrize(
    "query",
    ["filter[type]=card.created", "include=event", "sort=id", "fields[card]=id"],
)
async def test_what_these_lists_do_not_know_is_pointed_at(clerk: Clerk, query: str) -> None:
    await account_of(clerk)
    event = await told(clerk)
    for path in (HOOKS, f"/v1/events/{event['id']}/attempts"):
        answer = await clerk.get(f"{path}?{query}")
        errors = errors_of(answer, 400)
        assert errors[0]["source"] == {"parameter": query.partition("=")[0]}


async def _until_disabled(clerk: Clerk, endpoint: Resource) -> dict[str, Any]:
    for _ in range(600):
        shown = data_of(await clerk.get(path_of(endpoint)))["attributes"]
        if not shown["enabled"]:
            return shown
    raise TimeoutError(endpoint["id"])


async def _walked(clerk: Clerk, path: str, link: str) -> list[str]:
    """Follow a list's links to its end, each as it was given."""
    ids: list[str] = []
    url: str | None = path
    while url and len(ids) < 50:
        document = (await clerk.get(url.removeprefix("http://bayon.test"))).json()
        ids += [each["id"] for each in document["data"]]
        url = document["links"][link] if document["data"] else None
    return ids


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
