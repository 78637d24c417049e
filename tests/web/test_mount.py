"""A mounted door: where its paths lead, how it reads, and what it says where there is nothing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, cast

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp

from bayon.app import Metrics, observed
from bayon.batch import Key
from bayon.db import Database
from bayon.errors import BayonError, Invalid
from bayon.web import (
    AccessKind,
    Answer,
    BodyTooLarge,
    Call,
    Gate,
    Limit,
    Operation,
    Porch,
    Read,
    Values,
    headers_of,
    keep_token,
    mount,
    new_token,
    read_by_fields,
)
from cards_factories import make_desk
from factories import make_rail
from sandboxes import Sandbox, send_raw

MEDIA_TYPE: Final = "application/vnd.test+json"
STATUSES: Final = {"unknown_path": 404, "wrong_method": 405, "body_too_large": 413, "invalid": 422}
ISSUER: Final[tuple[AccessKind, ...]] = ("issuer",)


def refuse(error: BayonError) -> Answer:
    """Refuse in a dialect of its own."""
    return Answer(
        body=msgspec.json.encode({"refused": error.code}),
        status=STATUSES.get(error.code, 500),
        headers=headers_of(error),
        media_type=MEDIA_TYPE,
    )


async def tell(call: Call) -> Answer:
    """Answer with what was read."""
    told = {"path": call.path, "query": call.query.decode(), "values": call.values}
    return Answer(body=msgspec.json.encode(told), media_type=MEDIA_TYPE)


async def empty(_call: Call) -> Answer:
    """Answer with nothing."""
    return Answer(body=b"", status=204)


async def fall(_call: Call) -> Answer:
    """Be a bug."""
    raise KeyError("secret")


class Keys:
    """An operation that keeps the keys of its calls."""

    def __init__(self) -> None:
        self.seen: list[tuple[Key, ...]] = []

    async def __call__(self, call: Call) -> Answer:
        """Keep them."""
        self.seen.append(call.keys)
        return Answer(body=b"{}")


def operation(method: str, path: str, serve: Any = tell, **more: Any) -> Operation:  # noqa: ANN401 - an operation's own members
    """Make an operation."""
    return Operation(name="x", method=method, path=path, summary="", serve=serve, **more)


CARDS: Final = (
    operation("GET", "/v1/cards"),
    operation("POST", "/v1/cards"),
    operation("GET", "/v1/cards/{id}"),
    operation("PATCH", "/v1/cards/{id}"),
    operation("PUT", "/v1/cards/{id}"),
    operation("DELETE", "/v1/cards/{id}", empty),
    operation("GET", "/v1/cards/{card_id}/tokens/{id}"),
    operation("GET", "/v1/cards_lost/{id}"),
    operation("GET", "/v1/cards/search"),
    operation("GET", "/v1/bug", fall),
)


@asynccontextmanager
async def door(
    db: Database,
    operations: Sequence[Operation] = CARDS,
    *,
    host: str | None = None,
    read: Read = read_by_fields,
) -> AsyncGenerator[tuple[httpx.AsyncClient, Metrics]]:
    """Open a door of its own, measured as ours are."""
    porch = Porch(
        gate=Gate(db, signed=lambda _: True),
        token_limit=Limit(0),
        address_limit=Limit(0),
        body_size_max=100,
        public_url=None,
    )
    app = Litestar(
        route_handlers=mount(operations, porch, refuse=refuse, host=host, read=read),
        openapi_config=None,
        logging_config=None,
        cors_config=CORSConfig(),
    )
    metrics = Metrics(make_rail(db), make_desk(db))
    asgi = observed(cast("ASGIApp", app), metrics)
    transport = httpx.ASGITransport(app=cast("Any", asgi))
    async with httpx.AsyncClient(transport=transport, base_url="http://bayon.test") as http:
        yield http, metrics


LED: Final[dict[str, dict[str, str] | None]] = {
    "/v1/cards": {},
    "/v1/cards/": {},
    "/v1//cards": {},  # Litestar's router makes one slash of many
    "/v1/cards/a": {"id": "a"},
    "/v1/cards/a/": {"id": "a"},
    "/v1/cards/a%20b%3F": {"id": "a b?"},
    "/v1/cards/a/tokens/t": {"card_id": "a", "id": "t"},
    "/v1/cards/search": {},
    "/v1/cards_lost/a": {"id": "a"},
    "/v1/cards/a%2Fb": None,
    "/v1/cards/a%2Ftokens%2Ft": {"card_id": "a", "id": "t"},
    "/v1/cards/a/tokens": None,
    "/v1/cards/a/nope": None,
    "/v1/cardsa": None,
    "/v1/cards_lost": None,
}


async def test_each_path_leads_to_its_operation_or_to_the_doors_own_refusal(db: Database) -> None:
    async with door(db) as (http, _):
        for path, parameters in LED.items():
            answer = await http.get(path)
            assert answer.headers["content-type"] == MEDIA_TYPE, path
            if parameters is None:
                assert (answer.status_code, answer.json()) == (404, {"refused": "unknown_path"})
            else:
                assert (answer.status_code, answer.json()["path"]) == (200, parameters), path


async def test_a_wrong_method_is_refused_by_the_door_with_the_right_ones(db: Database) -> None:
    async with door(db) as (http, _):
        for path, allowed in (
            ("/v1/cards", "GET, HEAD, POST"),
            ("/v1/cards/a", "DELETE, GET, HEAD, PATCH, PUT"),
            ("/v1/cards/a/tokens/t", "GET, HEAD"),
        ):
            for method in ("BREW", "OPTIONS"):
                answer = await http.request(method, path)
                assert (answer.status_code, answer.json()) == (405, {"refused": "wrong_method"})
                assert answer.headers["allow"] == allowed


async def test_a_preflight_is_answered_for_every_path(db: Database) -> None:
    headers = {"Origin": "https://shop.test", "Access-Control-Request-Method": "PATCH"}
    async with door(db) as (http, _):
        for path in ("/v1/cards", "/v1/cards/a"):
            answer = await http.options(path, headers=headers)
            assert answer.status_code == 204
            assert "PATCH" in answer.headers["access-control-allow-methods"]
            answer = await http.get(path, headers=headers)
            assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_bug_is_answered_by_the_door_without_a_word_about_it(db: Database) -> None:
    async with door(db) as (http, metrics):
        answer = await http.get("/v1/bug")
    assert (answer.status_code, answer.json()) == (500, {"refused": "error"})
    assert metrics.registry.get_sample_value("bayon_unexpected_errors_total") == 1.0


async def test_nothing_has_neither_type_nor_length(db: Database) -> None:
    async with door(db) as (http, _):
        answer = await http.delete("/v1/cards/a")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not answer.headers.keys() & {"content-type", "content-length"}


async def test_requests_are_measured_by_template_and_never_by_path(db: Database) -> None:
    async with door(db) as (http, metrics):
        for path in ("/v1/cards/secret", "/v1/cards/secret/tokens/other", "/v1/cards/x/secret"):
            await http.get(path)
        await http.request("BREW", "/v1/cards/secret")
        found = {
            (sample.labels["method"], sample.labels["route"], sample.labels["status"])
            for metric in metrics.requests.collect()
            for sample in metric.samples
        }
    assert found == {
        ("GET", "/v1/cards/{id}", "200"),
        ("GET", "/v1/cards/{card_id}/tokens/{id}", "200"),
        ("GET", "unknown", "404"),
        ("BREW", "/v1/cards/{id}", "405"),
    }


async def test_a_head_is_answered_as_a_get_without_its_body(town: Sandbox) -> None:
    for path, token, status in (
        ("/participant/v1/accounts/dave@devb", town.bank_token, 200),
        ("/participant/v1/payments", town.bank_token, 200),
        ("/participant/v1/payments", "none", 401),
        ("/sandbox/v1/mail", town.bank_token, 200),
    ):
        request = {
            "path": path,
            "raw_path": path.encode(),
            "headers": [(b"authorization", b"Bearer " + token.encode())],
        }
        got, headers, body = await send_raw(town.asgi, [], method="GET", **request)
        head, head_headers, nothing = await send_raw(town.asgi, [], method="HEAD", **request)
        assert (got, head, nothing) == (status, status, b"")
        assert headers[b"content-length"] == str(len(body)).encode() != b"0"
        assert {**head_headers, b"x-request-id": b""} == {**headers, b"x-request-id": b""}


Given = tuple[str, str, bytes | None]


class Reading:
    """A door's own reading, that keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Given] = []

    def __call__(
        self, asked: Operation, headers: Mapping[bytes, bytes], query: bytes, body: bytes | None, /
    ) -> tuple[object, Values]:
        """Keep it, and refuse a header."""
        self.given.append((asked.method, query.decode(), body))
        if headers.get(b"x-refuse"):
            raise Invalid
        return None, {"length": len(body or b"")}


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", None), ("POST", b"body"), ("PATCH", b"body"), ("PUT", b"body")],
)
async def test_a_door_reads_its_requests_itself(
    db: Database, method: str, body: bytes | None
) -> None:
    path = "/v1/cards" if method == "POST" else "/v1/cards/a"
    reading = Reading()
    async with door(db, read=reading) as (http, _):
        answer = await http.request(method, f"{path}?a=1&a=2", content=b"body")
        assert answer.json()["values"] == {"length": len(body or b"")}
        assert answer.json()["query"] == "a=1&a=2"
        answer = await http.request(method, path, content=b"body", headers={"X-Refuse": "1"})
        assert (answer.status_code, answer.json()) == (422, {"refused": "invalid"})
    assert reading.given == [(method, "a=1&a=2", body), (method, "", body)]


async def test_a_body_that_is_too_large_is_not_read_by_the_door(db: Database) -> None:
    reading = Reading()
    async with door(db, read=reading) as (http, _):
        for method, path in (("POST", "/v1/cards"), ("PATCH", "/v1/cards/a")):
            answer = await http.request(method, path, content=b"x" * 101)
            assert (answer.status_code, answer.json()) == (413, {"refused": BodyTooLarge.code})
    assert reading.given == []


async def test_the_same_key_on_another_resource_is_another_key(db: Database) -> None:
    keys, token, now = Keys(), new_token(), datetime.now(UTC)
    await db.transaction(
        lambda tx: keep_token(tx, kind="issuer", owner="i", token=token, label="test", now=now)
    )
    topups = operation("POST", "/v1/accounts/{id}/topups", keys, access=ISSUER, keyed=True)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    async with door(db, [topups]) as (http, _):
        for path in ("a/topups", "b/topups", "a/topups/", "%61/topups"):
            await http.post(f"/v1/accounts/{path}", content=b"{}", headers=headers)
    first, other, *same = keys.seen
    assert first != other
    assert len(first) == 1
    assert same == [first, first]


async def test_under_another_host_name_a_door_is_not_there(db: Database) -> None:
    async with door(db, host="cards.test") as (http, _):
        for path in ("/v1/cards", "/v1/cards/a", "/v1/bug"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()) == (404, {"refused": "unknown_path"})
        answer = await http.get("/v1/cards/a", headers={"Host": "Cards.test:80"})
        assert answer.status_code == 200
