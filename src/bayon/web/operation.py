"""Operations: one line of a door's table each, and the ladder every request of it climbs.

    address limit > access > token limit > idempotency key > body > fields > serve > answer

An operation says what it takes and shows; `mount` makes of a door's table the ASGI handlers that
serve it, and `openapi` makes of the same table its description. What goes wrong on any rung goes
through the door's own table of errors.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast
from urllib.parse import parse_qsl

import msgspec
import structlog
from litestar import HttpMethod, Request, asgi, route
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.response import Response
from litestar.types import ControllerRouterHandler, HTTPScope, Receive, Scope, Send

from bayon.batch import Key
from bayon.errors import BayonError, Denied, Invalid, NotFound
from bayon.money import AMOUNT_MINOR_MAX
from bayon.web import fields
from bayon.web.access import Access, Gate
from bayon.web.envelope import Answer
from bayon.web.fields import BadBody, BodyTooLarge, Field, Values
from bayon.web.limits import Limit, TooManyRequests
from bayon.web.store import AccessKind

IDEMPOTENCY_KEY_LENGTH_MAX: Final = 255

log = structlog.get_logger()


class BadIdempotencyKey(Invalid):
    """Idempotency-Key must have 1 to 255 printable ASCII characters."""

    code = "bad_idempotency_key"


class UnknownPath(NotFound):
    """There is nothing here."""

    code = "unknown_path"


class WrongMethod(BayonError):
    """This method is not allowed here."""

    code = "wrong_method"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self.allowed: tuple[str, ...] = tuple(allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request as its operation sees it, all rungs below climbed."""

    access: Access | None
    values: Values
    decoded: object
    path: Mapping[str, str]
    keys: tuple[Key, ...]
    url: str
    """Where this server stands, as the caller sees it: scheme and host."""
    token: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """An answer as the description shows it: HTTP status, title, and its body."""

    status: int
    title: str
    body: object


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation: where it is, what it takes, who may, what it answers, and what does it.

    `body` are the fields of a JSON object, `query` those of the query string. `array` says that the
    body may be a bare array as well: then the operation reads `decoded` itself. `keyed` says that
    an `Idempotency-Key` makes a repeat harmless.
    """

    name: str
    path: str
    summary: str
    serve: Callable[[Call], Awaitable[Answer]]
    method: str = "POST"
    access: tuple[AccessKind, ...] = ()
    access_optional: bool = False
    body: tuple[Field, ...] = ()
    query: tuple[Field, ...] = ()
    array: bool = False
    keyed: bool = False
    sample: object = None
    answers: tuple[Shown, ...] = ()
    doc: str = ""


class Refuse(Protocol):
    """A door's table of errors: from what was raised to the door's answer."""

    def __call__(self, error: BayonError, /) -> Answer:
        """Translate."""
        ...


@dataclass(frozen=True, kw_only=True)
class Porch:
    """What stands before every door: who may come in, how often, how large, and where we are."""

    gate: Gate
    token_limit: Limit
    address_limit: Limit
    body_size_max: int
    public_url: str | None


def mount(
    operations: Sequence[Operation], porch: Porch, *, refuse: Refuse, host: str | None = None
) -> list[ControllerRouterHandler]:
    """Make the handlers of a door, one a path; with `host` it is there under that name only."""
    by_path: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        by_path[operation.path][operation.method] = operation
    return [_handler(path, methods, porch, refuse, host) for path, methods in by_path.items()]


def _handler(
    path: str,
    methods: Mapping[str, Operation],
    porch: Porch,
    refuse: Refuse,
    host: str | None,
) -> ControllerRouterHandler:
    async def answer(scope: HTTPScope, receive: Receive) -> Answer:
        try:
            if host is not None and _host(scope) != host.lower():
                raise UnknownPath
            operation = methods.get(scope["method"])
            if operation is None:
                raise WrongMethod(sorted(methods))
            return await operation.serve(await _climb(operation, porch, scope, receive))
        except BayonError as error:
            refused = refuse(error)
            if refused.status >= 500:  # noqa: PLR2004 - HTTP's own number
                log.warning("request failed", error=type(error).__name__)
            return refused

    # A raw ASGI handler is Litestar's fastest, but its router knows no parameters in their paths.
    return _with_parameters(path, methods, answer) if "{" in path else _raw(path, answer)


_Answering = Callable[[HTTPScope, Receive], Awaitable[Answer]]


def _raw(path: str, answer: _Answering) -> ASGIRouteHandler:
    @asgi(path, copy_scope=False)
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await send_answer(await answer(cast("HTTPScope", scope), receive), send)

    return handler


def _with_parameters(
    path: str, methods: Mapping[str, Operation], answer: _Answering
) -> HTTPRouteHandler:
    @route(path, http_method=[HttpMethod(method) for method in methods])
    async def handler(request: Request[Any, Any, Any]) -> Response[bytes]:
        given = await answer(request.scope, request.receive)
        return Response(
            given.body,
            status_code=given.status,
            media_type=given.media_type,
            headers=given.headers,
        )

    return handler


async def _climb(operation: Operation, porch: Porch, scope: HTTPScope, receive: Receive) -> Call:
    headers = _headers(scope)
    porch.address_limit.take(_address(scope))
    token = _bearer(headers)
    access = await _enter(operation, porch, token)
    if access is not None:
        porch.token_limit.take(access.digest)
    key = _idempotency_key(headers)
    decoded, values = await _content(operation, porch, scope, receive)
    return Call(
        access=access,
        values=values,
        decoded=decoded,
        path=cast("Mapping[str, str]", scope["path_params"]),
        keys=_keys(operation, access, key, decoded),
        url=porch.public_url or _url(scope, headers),
        token=token,
    )


async def _enter(operation: Operation, porch: Porch, token: str | None) -> Access | None:
    if not operation.access or (operation.access_optional and token is None):
        return None
    return await porch.gate.enter(token, *operation.access)


async def _content(
    operation: Operation, porch: Porch, scope: HTTPScope, receive: Receive
) -> tuple[object, dict[str, object]]:
    asked: Values = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    values = fields.read(asked, operation.query) if operation.query else {}
    if operation.method != "POST":
        return None, values
    decoded = fields.decode(await read_body(receive, porch.body_size_max))
    if operation.array and isinstance(decoded, list):
        return decoded, values  # pyright: ignore[reportUnknownVariableType] - the operation reads it
    return decoded, values | fields.read(fields.as_object(decoded), operation.body)


async def read_body(receive: Receive, size_max: int) -> bytes:
    """Read a request's body. Errors: `BodyTooLarge`, as soon as that is known."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BadBody("The request was broken off.")
        parts.append(message["body"])
        size += len(message["body"])
        if size > size_max:
            raise BodyTooLarge
        if not message["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def send_answer(answer: Answer, send: Send) -> None:
    """Send an answer."""
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def headers_of(error: BayonError) -> dict[str, str]:
    """Tell the headers HTTP itself wants with a refusal, whatever the door's dialect."""
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, WrongMethod):
        return {"Allow": ", ".join(error.allowed)}
    if isinstance(error, Denied):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _headers(scope: HTTPScope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _bearer(headers: Mapping[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    raw = headers.get(b"idempotency-key")
    if raw is None:
        return None
    key = raw.decode("latin-1")
    if not (0 < len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX and key.isascii() and key.isprintable()):
        raise BadIdempotencyKey
    return key


def _keys(
    operation: Operation, access: Access | None, key: str | None, decoded: object
) -> tuple[Key, ...]:
    if key is None or access is None:
        return ()
    scope = (access.kind, access.owner, operation.method, operation.path)
    return (Key.of(*scope, key=key, body=canonical(decoded)),)


def canonical(decoded: object) -> bytes:
    """Write a decoded body so that equal contents are equal bytes: 1 and 1.0 are the same.

    Errors: `BadBody` when it is nested too deep.
    """
    try:
        return msgspec.json.encode(_plain_numbers(decoded), order="deterministic")
    except RecursionError as error:
        raise BadBody from error


def _plain_numbers(decoded: object) -> object:
    match decoded:
        case float() if decoded.is_integer() and abs(decoded) < AMOUNT_MINOR_MAX:
            return int(decoded)
        case dict():
            return {name: _plain_numbers(v) for name, v in cast("Values", decoded).items()}
        case list():
            return [_plain_numbers(value) for value in cast("list[object]", decoded)]
        case _:
            return decoded


def _host(scope: HTTPScope) -> str:
    """Tell the host name a request was sent to, without its port."""
    host = _headers(scope).get(b"host", b"").decode("latin-1").lower()
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host


def _address(scope: HTTPScope) -> str:
    client = scope["client"]
    return client[0] if client else ""


def _url(scope: HTTPScope, headers: Mapping[bytes, bytes]) -> str:
    return f"{scope['scheme']}://{headers.get(b'host', b'localhost').decode('latin-1')}"
