"""Operations: one line of a door's table each, and the ladder every request of it climbs.

    address limit > access > token limit > idempotency key > body > read > serve > answer

An operation says what it takes and shows; `mount` makes of a door's table the ASGI handlers that
serve it, and `openapi` makes of the same table its description. What goes wrong on any rung, where
there is nothing and where the method is another goes through the door's own table of errors.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast
from urllib.parse import parse_qsl

import msgspec
import structlog
from litestar import asgi
from litestar.types import ControllerRouterHandler, HTTPScope, Receive, Scope, Send

from bayon.batch import Key
from bayon.errors import BayonError, Denied, Invalid, NotFound
from bayon.money import AMOUNT_MINOR_MAX
from bayon.web import fields
from bayon.web.access import Access, Gate
from bayon.web.envelope import Answer
from bayon.web.fields import BadBody, BodyTooLarge, Field, Values
from bayon.web.limits import Limit, TooManyRequests
from bayon.web.paths import Found, Paths
from bayon.web.store import AccessKind

IDEMPOTENCY_KEY_LENGTH_MAX: Final = 255
BODILESS: Final = frozenset({204, 304})
WITH_BODY: Final = frozenset({"POST", "PATCH", "PUT"})
"""The methods that have a body; that of any other is not read."""

Document = dict[str, Any]
"""A piece of the OpenAPI description."""

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
    """The path's parameters."""
    query: bytes
    """The query string as it came."""
    headers: Mapping[bytes, bytes]
    keys: tuple[Key, ...]
    url: str
    """Where this server stands, as the caller sees it: scheme and host."""
    token: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """An answer as the description shows it: HTTP status, title, and its body, None without one.

    `schema` is that of the status' answers, which is otherwise made of the bodies shown: then
    `nullable` are members that may be null though no body shows it. `headers` are OpenAPI header
    objects by name.
    """

    status: int
    title: str
    body: object = None
    schema: Document | None = None
    nullable: frozenset[str] = frozenset()
    headers: Document | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation: where it is, what it takes, who may, what it answers, and what does it.

    `path` has its parameters in braces, each a whole segment. `body` are the fields of a JSON
    object, `query` those of the query string. `array` says that the body may be a bare array as
    well: then the operation reads `decoded` itself. `keyed` says that an `Idempotency-Key` makes a
    repeat harmless. The last three are for the description, where a door's own `read` takes more
    than fields can say: a media type, the body's schema, OpenAPI parameter objects.
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
    media_type: str = "application/json"
    body_schema: Document | None = None
    parameters: tuple[Document, ...] = ()


class Refuse(Protocol):
    """A door's table of errors: from what was raised to the door's answer."""

    def __call__(self, error: BayonError, /) -> Answer:
        """Translate."""
        ...


class Read(Protocol):
    """A door's reading of a request; pure. Errors: whatever its table of errors has."""

    def __call__(
        self,
        operation: Operation,
        headers: Mapping[bytes, bytes],
        query: bytes,
        body: bytes | None,
        /,
    ) -> tuple[object, Values]:
        """Give what was decoded, and the values in it; the body is None where none is read."""
        ...


@dataclass(frozen=True, kw_only=True)
class Porch:
    """What stands before every door: who may come in, how often, how large, and where we are."""

    gate: Gate
    token_limit: Limit
    address_limit: Limit
    body_size_max: int
    public_url: str | None


def read_by_fields(
    operation: Operation, _headers: Mapping[bytes, bytes], query: bytes, body: bytes | None, /
) -> tuple[object, Values]:
    """Read the query string and a JSON object by the operation's fields.

    Errors: `BadFields` of the query, `BadBody`, `BadFields` of the body.
    """
    values = fields.read(_asked(query), operation.query) if operation.query else {}
    if body is None:
        return None, values
    decoded = fields.decode(body)
    if operation.array and isinstance(decoded, list):
        return decoded, values  # pyright: ignore[reportUnknownVariableType] - the operation reads it
    return decoded, values | fields.read(fields.as_object(decoded), operation.body)


def _asked(query: bytes) -> Values:
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


def mount(
    operations: Sequence[Operation],
    porch: Porch,
    *,
    refuse: Refuse,
    host: str | None = None,
    read: Read = read_by_fields,
) -> list[ControllerRouterHandler]:
    """Make the handlers of a door; with `host` it is there under that name only.

    Raw ASGI handlers, one for each path without parameters and one for all below it: Litestar's
    router knows no parameters in such, which are its fastest by far, so that we part paths there.
    """
    paths = Paths(_entries(operations))
    door = _Door(paths=paths, porch=porch, refuse=refuse, host=host, read=read)
    return [_handler(prefix, door, whole=whole) for prefix, whole in paths.prefixes().items()]


def _entries(operations: Sequence[Operation]) -> Iterator[tuple[str, str, Operation]]:
    for operation in operations:
        yield operation.path, operation.method, operation
        if operation.method == "GET":
            yield operation.path, "HEAD", operation


def _handler(prefix: str, door: "_Door", *, whole: bool) -> ControllerRouterHandler:
    # Of a mounted path Litestar cuts off the prefix, wherever a segment ends: /a/bc is /a/b and c.
    # Put together again it is looked up whole, so that it does not matter which mount has taken it.
    cut = prefix if whole else ""

    @asgi(prefix, is_mount=whole, copy_scope=False)
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        asked = cast("HTTPScope", scope)
        answer = await door.answer(asked, receive, cut + scope["path"])
        await send_answer(answer, send, head=asked["method"] == "HEAD")

    return handler


@dataclass(frozen=True, kw_only=True, slots=True)
class _Door:
    """A door's table at work, as all its handlers share it."""

    paths: Paths[Operation]
    porch: Porch
    refuse: Refuse
    host: str | None
    read: Read

    async def answer(self, scope: HTTPScope, receive: Receive, path: str) -> Answer:
        try:
            operation, found = self._find(scope, path)
            return await operation.serve(await self._climb(operation, found, scope, receive))
        except BayonError as error:
            refused = self.refuse(error)
            if refused.status >= 500:  # noqa: PLR2004 - HTTP's own number
                log.warning("request failed", error=type(error).__name__)
            return refused
        except Exception:
            log.exception("unexpected error")
            return self.refuse(BayonError())  # a bug, without a word about it

    def _find(self, scope: HTTPScope, path: str) -> tuple[Operation, Found[Operation]]:
        if self.host is not None and _host(scope) != self.host.lower():
            raise UnknownPath
        found = self.paths.find(path)
        if found is None:
            raise UnknownPath
        cast("dict[str, object]", scope)["path_template"] = found.template  # what is measured
        operation = found.methods.get(scope["method"])
        if operation is None:
            raise WrongMethod(sorted(found.methods))
        return operation, found

    async def _climb(
        self, operation: Operation, found: Found[Operation], scope: HTTPScope, receive: Receive
    ) -> Call:
        headers, query = _headers(scope), scope["query_string"]
        self.porch.address_limit.take(_address(scope))
        token = _bearer(headers)
        access = await _enter(operation, self.porch, token)
        if access is not None:
            self.porch.token_limit.take(access.digest)
        key = _idempotency_key(headers)
        with_body = operation.method in WITH_BODY
        body = await read_body(receive, self.porch.body_size_max) if with_body else None
        decoded, values = self.read(operation, headers, query, body)
        return Call(
            access=access,
            values=values,
            decoded=decoded,
            path=found.parameters,
            query=query,
            headers=headers,
            keys=_keys(operation, found.path, access, key, decoded),
            url=self.porch.public_url or _url(scope, headers),
            token=token,
        )


async def _enter(operation: Operation, porch: Porch, token: str | None) -> Access | None:
    if not operation.access or (operation.access_optional and token is None):
        return None
    return await porch.gate.enter(token, *operation.access)


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


async def send_answer(answer: Answer, send: Send, *, head: bool = False) -> None:
    """Send an answer; to a HEAD without its body, as is one with nothing in it (204, 304)."""
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.status not in BODILESS:
        headers += [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
    body = b"" if head else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


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
    """Take the headers by name; of one that came in several lines all, as HTTP has it."""
    lines = list(scope["headers"])
    headers = dict(lines)
    if len(headers) < len(lines):
        for name in headers:
            headers[name] = b", ".join(value for each, value in lines if each == name)
    return headers


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
    operation: Operation, path: str, access: Access | None, key: str | None, decoded: object
) -> tuple[Key, ...]:
    """Make the call's key; of method and path as asked for: the same key elsewhere is another.

    A repeat is known by its body without the secrets, of which the kept hash would tell: so the
    same key with another PIN, or with none, is a repeat, and gets the first one's answer.
    """
    if key is None or access is None:
        return ()
    body = canonical(fields.without_secrets(decoded, operation.body))
    scope = (access.kind, access.owner, operation.method, path)
    return (Key.of(*scope, key=key, body=body),)


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
