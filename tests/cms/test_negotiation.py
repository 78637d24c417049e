"""Negotiation: media types, bodies that are none, who may come in, and where there is nothing."""

import json
from typing import Any, Final

import httpx
import pytest

from bayon import web
from bayon.db import Tx, read_clock
from cms.clerk import (
    MEDIA_TYPE,
    NOBODY,
    Clerk,
    account_document,
    assert_seen_is_json_api,
    card_document,
    data_of,
    errors_of,
    hire,
    pointed,
    resource_document,
    sound,
)
from jsonapi import wants_node
from sandboxes import Sandbox, send_raw

MIB: Final = 1_048_576
LISTS: Final = ("accounts", "cardholders", "cards", "events", "transactions")

CONTENT_TYPES: Final = [
    (MEDIA_TYPE, True),
    ("Application/Vnd.Api+Json", True),
    (f"{MEDIA_TYPE};", True),
    (f'{MEDIA_TYPE}; profile="https://example.com/timestamps"', True),
    (f'{MEDIA_TYPE}; profile="https://example.com/a;b https://example.com/c"', True),
    (f"{MEDIA_TYPE}; charset=utf-8", False),
    (f"{MEDIA_TYPE};charset=UTF-8", False),
    (f"{MEDIA_TYPE}; version=1", False),
    (f'{MEDIA_TYPE}; ext="https://jsonapi.org/ext/atomic"', False),
    (f'{MEDIA_TYPE}; profile="https://example.com/a"; charset=utf-8', False),
    ("application/json", True),
    ("application/json; charset=utf-8", True),
    ("application/x-www-form-urlencoded", True),
    ("text/plain;charset=UTF-8", True),
    ("application/hal+json", True),
    ("", True),
    ("multipart/form-data; boundary=x", False),
    ("application/xml", False),
    ("text/html", False),
    ("image/png", False),
    ("application/vnd.api", False),
    ("nonsense", False),
]
ACCEPTS: Final = [
    ("", True),
    ("*/*", True),
    (MEDIA_TYPE, True),
    (MEDIA_TYPE.upper(), True),
    ("application/json", True),
    ("application/*", True),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True),
    ("application/json, text/plain, */*", True),
    (f"{MEDIA_TYPE};q=0.5", True),
    (f'{MEDIA_TYPE}; profile="https://example.com/a"', True),
    (f"{MEDIA_TYPE}; charset=utf-8, {MEDIA_TYPE}", True),
    (f'{MEDIA_TYPE}; ext="https://example.com/a", {MEDIA_TYPE}; q=0.1', True),
    (f"text/html, {MEDIA_TYPE}", True),
    (f"{MEDIA_TYPE}; charset=utf-8", False),
    (f"{MEDIA_TYPE}; charset=utf-8, */*", False),
    (f'{MEDIA_TYPE}; ext="https://example.com/a"', False),
    (f'{MEDIA_TYPE}; ext="https://example.com/a", application/json', False),
    (f"{MEDIA_TYPE};q=0", False),
    (f"{MEDIA_TYPE};q=0.000, */*", False),
    ("*/*;q=0", False),
    ("text/html", False),
    ("text/*", False),
    ("application/xml", False),
    ("application/vnd.api", False),
]
NO_JSON: Final = [
    b"",
    b" ",
    b"{",
    b"name=Tang+Dara",
    b"{'data': {}}",
    b'{"data": {},}',
    b'{"data": NaN}',
    b'{"data": Infinity}',
    b'{"data": 1e400}',
    b'{"data": 01}',
    b'{"data": {}} {}',
    b'\xef\xbb\xbf{"data": {}}',
    b'{"data": "\xff"}',
    b'{"data": "\xed\xa0\x80"}',
    b'{"data": "\\ud800"}',
    b'{"\\udfff": {}}',
    b'{"data": "a\nb"}',
    b"[" * 100_000,
    b'{"data":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"data": ' + b"9" * 6_000 + b"}",
]
NO_OBJECT: Final = [b"[]", b"null", b"1", b"true", b'"data"', b'[{"data": {}}]']
BODIES: Final = [
    *((body, "The request body is not valid JSON.") for body in NO_JSON),
    *((body, "The request body must be a JSON object.") for body in NO_OBJECT),
]


@pytest.mark.parametrize(("content_type", "taken"), CONTENT_TYPES)
async def test_a_body_of_another_media_type_is_refused(
    clerk: Clerk, content_type: str, *, taken: bool
) -> None:
    body = json.dumps(account_document(NOBODY)).encode()
    headers = {"Content-Type": content_type}
    for method, path in (("POST", "/v1/accounts"), ("PATCH", f"/v1/accounts/{NOBODY}")):
        answer = await clerk.send(method, path, content=body, headers=headers)
        if taken:
            assert answer.status_code in {404, 422}, answer.text
            continue
        (error,) = errors_of(answer, 415)
        assert error["code"] == "unsupported_media_type"
        assert error["source"] == {"header": "Content-Type"}


async def test_a_body_without_a_media_type_is_read(clerk: Clerk) -> None:
    body = json.dumps(account_document(NOBODY)).encode()
    assert (await clerk.send("POST", "/v1/accounts", content=body)).status_code == 404


@pytest.mark.parametrize("content_type", ["text/html", f"{MEDIA_TYPE}; charset=utf-8"])
async def test_the_media_type_of_no_body_does_not_matter(clerk: Clerk, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    data_of(await clerk.send("GET", "/v1/accounts", headers=headers))


@pytest.mark.parametrize(("accept", "taken"), ACCEPTS)
async def test_who_does_not_accept_the_media_type_is_told(
    clerk: Clerk, accept: str, *, taken: bool
) -> None:
    asked = [
        await clerk.send("GET", "/v1/accounts", headers={"Accept": accept}),
        await clerk.send("GET", f"/v1/cards/{NOBODY}", headers={"Accept": accept}),
        await clerk.post("/v1/cards", card_document(NOBODY), Accept=accept),
    ]
    if taken:
        assert [answer.status_code for answer in asked] == [200, 404, 404]
        return
    for answer in asked:
        (error,) = errors_of(answer, 406)
        assert (error["code"], error["source"]) == ("not_acceptable", {"header": "Accept"})


@pytest.mark.parametrize(("body", "detail"), BODIES, ids=lambda value: str(value)[:24])
async def test_a_body_that_is_no_json_object_is_refused(
    clerk: Clerk, body: bytes, detail: str
) -> None:
    for method, path in (("POST", "/v1/cardholders"), ("PATCH", f"/v1/cardholders/{NOBODY}")):
        headers = {"Idempotency-Key": f"{len(body)} {body[:9]!a}"}
        (error,) = errors_of(await clerk.send(method, path, content=body, headers=headers), 400)
        assert error == {
            "status": "400",
            "code": "bad_body",
            "title": "Bad Request",
            "detail": detail,
        }


@pytest.mark.parametrize("key", [None, "deep"])
async def test_what_is_nested_deep_where_nobody_looks_is_no_harm(
    clerk: Clerk, key: str | None
) -> None:
    deep = b'{"meta": ' + b"[" * 900 + b"]" * 900 + b"}"
    assert (await clerk.post("/v1/accounts", deep, key=key)).status_code in {400, 422}


async def test_a_number_of_any_size_where_nobody_looks_is_no_harm(clerk: Clerk) -> None:
    for number in ("1" * 40, "1e300", "-0.0", "123456789.123456789123456789"):
        body = f'{{"meta": {number}}}'.encode()
        answer = await clerk.post("/v1/accounts", body, key=f"number {number}")
        assert pointed(answer) == {"/data": "is missing"}


async def test_a_body_beyond_the_limit_is_refused_and_one_at_it_is_read(clerk: Clerk) -> None:
    body = json.dumps(account_document(NOBODY)).encode()
    at_it = body + b" " * (MIB - len(body))
    assert (await clerk.post("/v1/accounts", at_it)).status_code == 404
    (error,) = errors_of(await clerk.post("/v1/accounts", at_it + b" "), 413)
    assert error["code"] == "body_too_large"


async def test_a_body_in_pieces_is_counted_too(clerk: Clerk) -> None:
    piece = {"type": "http.request", "body": b" " * 65_536, "more_body": True}
    token = f"Bearer {clerk.token}".encode()
    status, headers, body = await send_raw(
        clerk.sandbox.asgi,
        [piece] * 17,
        path="/v1/accounts",
        raw_path=b"/v1/accounts",
        headers=[(b"authorization", token), (b"host", b"bayon.test")],
    )
    assert (status, headers[b"content-type"]) == (413, MEDIA_TYPE.encode())
    assert json.loads(body)["errors"][0]["status"] == "413"


async def _bearers(sandbox: Sandbox) -> dict[str, str]:
    """Make headers nobody comes in with."""
    known = await hire(sandbox)

    async def work(tx: Tx) -> None:
        now = (await read_clock(tx)).now()
        (mine,) = [t for t in await web.list_tokens(tx) if t.owner == known.issuer_id]
        await web.revoke_token(tx, token_id=mine.id, now=now)

    await sandbox.db.transaction(work)
    return {
        "wrong": f"Bearer {web.new_token()}",
        "revoked": f"Bearer {known.token}",
        "a bank's": f"Bearer {sandbox.bank_token}",
        "an integrator's": f"Bearer {sandbox.integrator_token}",
        "another scheme's": f"Basic {sandbox.cms_token}",
        "without a scheme": sandbox.cms_token,
        "empty": "Bearer ",
        "a part": f"Bearer {sandbox.cms_token[:-1]}",
        "too long": f"Bearer {sandbox.cms_token * 200}",
        "not ASCII": "Bearer \u00e9",
    }


@pytest.mark.parametrize(("method", "path"), [("GET", "cards"), ("POST", "cards"), ("GET", "x/y")])
async def test_nobody_comes_in_without_a_token_of_an_issuer(
    town: Sandbox, method: str, path: str
) -> None:
    where = f"/v1/{path}" if path == "cards" else f"/v1/accounts/{NOBODY}/balance"
    tried: list[dict[str, str]] = [{}]
    tried += [{"Authorization": bearer} for bearer in (await _bearers(town)).values()]
    for headers in tried:
        raw = [(b"authorization", value.encode("latin-1")) for value in headers.values()]
        answer = sound(await town.http.request(method, where, content=b"?", headers=raw))
        (error,) = errors_of(answer, 401)
        assert error["code"] == "unauthorized"
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_scheme_is_read_in_any_case(clerk: Clerk) -> None:
    headers = {"Authorization": f"bearer {clerk.token}"}
    data_of(await clerk.send("GET", "/v1/issuer", headers=headers))


CREATED: Final = [
    ("/v1/accounts", account_document(NOBODY)),
    ("/v1/cards", card_document(NOBODY)),
    ("/v1/cardholders", {"data": {"type": "cardholder"}}),
    (f"/v1/accounts/{NOBODY}/topups", {"data": {"type": "topup"}}),
    (f"/v1/cards/{NOBODY}/management_tokens", {"data": {"type": "card_management_token"}}),
]
CHANGED: Final = [
    (f"/v1/accounts/{NOBODY}", "account"),
    (f"/v1/cards/{NOBODY}", "card"),
    (f"/v1/cardholders/{NOBODY}", "cardholder"),
]


@pytest.mark.parametrize(("path", "document"), CREATED)
async def test_a_new_resource_brings_no_id(
    clerk: Clerk, path: str, document: dict[str, Any]
) -> None:
    for given in (NOBODY, "1", ""):
        body = {"data": {**document["data"], "id": given}}
        (error,) = errors_of(await clerk.post(path, body), 403)
        assert error["code"] == "client_id"
    null = {"data": {**document["data"], "id": None}}
    assert (await clerk.post(path, null)).status_code in {404, 422}


@pytest.mark.parametrize(("path", "document"), CREATED)
async def test_another_type_is_a_conflict_and_its_plural_is_not(
    clerk: Clerk, path: str, document: dict[str, Any]
) -> None:
    kind = document["data"]["type"]
    for given in ("event", kind.upper(), f"{kind} ", ""):
        body = {"data": {**document["data"], "type": given}}
        assert pointed(await clerk.post(path, body), 409) == {
            "/data/type": f"must be equal to {kind}"
        }
    for given in {kind, f"{kind}s", path.rpartition("/")[2]}:
        body = {"data": {**document["data"], "type": given}}
        assert (await clerk.post(path, body)).status_code in {404, 422}
    wrong: list[tuple[object, str]] = [(None, "is missing")]
    wrong += [(1, "must be a string"), ([], "must be a string"), ({}, "must be a string")]
    for given, title in wrong:
        body = {"data": {**document["data"], "type": given}}
        assert pointed(await clerk.post(path, body))["/data/type"] == title


@pytest.mark.parametrize(("path", "kind"), CHANGED)
async def test_another_id_or_type_than_the_address_is_a_conflict(
    clerk: Clerk, path: str, kind: str
) -> None:
    other_id = "00000000-0000-4000-8000-000000000000"
    table: list[tuple[dict[str, object], int, dict[str, str] | None]] = [
        ({"type": kind, "id": other_id}, 409, {"/data/id": "is invalid"}),
        ({"type": kind, "id": ""}, 409, {"/data/id": "is invalid"}),
        ({"type": "event", "id": NOBODY}, 409, {"/data/type": f"must be equal to {kind}"}),
        ({"type": kind}, 422, {"/data/id": "is missing"}),
        ({"type": kind, "id": 1}, 422, {"/data/id": "must be a string"}),
        ({"id": NOBODY}, 422, {"/data/type": "is missing"}),
        ({}, 422, {"/data/id": "is missing", "/data/type": "is missing"}),
        ({"type": kind, "id": NOBODY}, 404, None),
        ({"type": f"{kind}s", "id": NOBODY.upper()}, 404, None),
    ]
    for data, status, told in table:
        answer = await clerk.patch(path, {"data": data})
        assert answer.status_code == status, (data, answer.text)
        assert told is None or pointed(answer, status) == told


@pytest.mark.parametrize("data", [None, [], "x", 1, True, [{}]])
async def test_data_that_is_no_resource_is_pointed_at(clerk: Clerk, data: object) -> None:
    for path, _ in CREATED:
        assert pointed(await clerk.post(path, {"data": data})) == {
            "/data": "must be a resource object"
        }
        assert pointed(await clerk.post(path, {"meta": {}})) == {"/data": "is missing"}


@pytest.mark.parametrize("given", [None, [], "x", 1])
async def test_attributes_and_relationships_that_are_no_objects_are_pointed_at(
    clerk: Clerk, given: object
) -> None:
    for path, document in CREATED:
        for name in ("attributes", "relationships"):
            body = {"data": {**document["data"], name: given}}
            told = pointed(await clerk.post(path, body))
            assert told[f"/data/{name}"] == "must be an object"


PATHS: Final = [
    ("/v1/accounts", "GET, HEAD, POST"),
    ("/v1/cardholders", "GET, HEAD, POST"),
    ("/v1/cards", "GET, HEAD, POST"),
    ("/v1/events", "GET, HEAD"),
    ("/v1/transactions", "GET, HEAD"),
    (f"/v1/accounts/{NOBODY}", "GET, HEAD, PATCH"),
    (f"/v1/cardholders/{NOBODY}", "GET, HEAD, PATCH"),
    (f"/v1/cards/{NOBODY}", "GET, HEAD, PATCH"),
    (f"/v1/events/{NOBODY}", "GET, HEAD"),
    (f"/v1/transactions/{NOBODY}", "GET, HEAD"),
    (f"/v1/accounts/{NOBODY}/balance", "GET, HEAD"),
    (f"/v1/accounts/{NOBODY}/controls", "GET, HEAD, PATCH"),
    (f"/v1/cards/{NOBODY}/controls", "GET, HEAD, PATCH"),
    (f"/v1/accounts/{NOBODY}/topups", "POST"),
    (f"/v1/cards/{NOBODY}/management_tokens", "POST"),
    ("/v1/issuer", "GET, HEAD, PATCH"),
]


@pytest.mark.parametrize(("path", "allowed"), PATHS)
async def test_another_method_is_told_which_there_are(
    clerk: Clerk, path: str, allowed: str
) -> None:
    for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        if method not in allowed:
            answer = await clerk.send(method, path, content=b"{}")
            assert errors_of(answer, 405)[0]["code"] == "wrong_method"
            assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/v1/accounts/x/y",
        f"/v1/accounts/{NOBODY}/relationships/cardholder",
        f"/v1/accounts/{NOBODY}/cardholder",
        "/v1/cards/x/management_tokens/y",
        "/v1/events/x/y/z",
        "/v1/issuer/x",
        "/v1/nothing",
    ],
)
async def test_where_there_is_nothing_is_said_as_json_api(clerk: Clerk, path: str) -> None:
    assert errors_of(await clerk.get(path), 404)[0]["code"] == "unknown_path"


@pytest.mark.parametrize("bad_id", ["x", "1", "23cf351b", "%00", "%E1%9E%80", "'", "9" * 99])
@pytest.mark.parametrize("name", LISTS)
async def test_an_id_that_is_none_is_not_found(clerk: Clerk, name: str, bad_id: str) -> None:
    answer = await clerk.get(f"/v1/{name}/{bad_id}")
    unknown = await clerk.get(f"/v1/{name}/{NOBODY}")
    assert errors_of(answer, 404) == errors_of(unknown, 404)


async def test_a_trailing_slash_leads_to_the_same(clerk: Clerk) -> None:
    cardholder = await clerk.cardholder()
    made = data_of(await clerk.post("/v1/accounts/", account_document(cardholder["id"])), 201)
    for path in (f"/v1/accounts/{made['id']}", "/v1/accounts", "/v1/issuer"):
        plain, slashed = await clerk.get(path), await clerk.get(f"{path}/")
        assert data_of(plain) == data_of(slashed)
    body = resource_document("account", made["id"], metadata={"a": "b"})
    changed = data_of(await clerk.patch(f"/v1/accounts/{made['id']}/", body))
    assert changed["attributes"]["metadata"] == {"a": "b"}


async def test_a_head_is_a_get_without_its_body(clerk: Clerk) -> None:
    for path in ("/v1/accounts", "/v1/issuer", f"/v1/accounts/{NOBODY}", "/v1/cards?include=x"):
        got, head = await clerk.get(path), await clerk.send("HEAD", path)
        assert head.status_code == got.status_code
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == got.headers.get(name)


async def test_who_has_a_document_already_is_told_so_until_it_changes(clerk: Clerk) -> None:
    cardholder = await clerk.cardholder()
    path = f"/v1/cardholders/{cardholder['id']}"
    tag = (await clerk.get(path)).headers["etag"]
    for given, status in (
        (tag, 304),
        (f"W/{tag}", 304),
        (f'"x", {tag}', 304),
        ("*", 304),
        ('"x"', 200),
        (tag.strip('"'), 200),
        ("", 200),
    ):
        answer = await clerk.get(path, **{"If-None-Match": given})
        assert (answer.status_code, answer.headers["etag"]) == (status, tag), given
        described = {name for name in ("content-type", "content-length") if name in answer.headers}
        assert described == (set() if status == 304 else {"content-type", "content-length"})
    await clerk.patch(path, resource_document("cardholder", cardholder["id"], name="Tang Sokha"))
    fresh = await clerk.get(path, **{"If-None-Match": tag})
    assert fresh.status_code == 200
    assert fresh.headers["etag"] != tag


async def test_answers_are_for_who_asked_only(clerk: Clerk) -> None:
    for path in ("/v1/accounts", "/v1/issuer", "/v1/events"):
        answer: httpx.Response = await clerk.get(path)
        assert "private" in answer.headers["cache-control"]
        assert "Authorization" in answer.headers["vary"]


async def test_what_clients_send_beyond_the_resource_is_no_harm(clerk: Clerk) -> None:
    cardholder = await clerk.cardholder()
    document = account_document(cardholder["id"])
    document |= {"meta": {}, "jsonapi": {"version": "1.1"}, "links": {}, "included": []}
    document["data"] |= {"meta": {"x": 1}, "links": {"self": None}, "lid": "a"}
    made = data_of(await clerk.post("/v1/accounts", document), 201)
    change = resource_document("account", made["id"], metadata={"a": 1})
    change |= {"meta": {}}
    change["data"] |= {"relationships": {}, "meta": {}}
    assert data_of(await clerk.patch(f"/v1/accounts/{made['id']}", change))["attributes"][
        "metadata"
    ] == {"a": 1}


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
