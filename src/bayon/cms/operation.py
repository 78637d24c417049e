"""Operations of this door: what is asked for by rules, what is taken by a type; read and described.

The same line serves, checks and describes, as with every door. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

from bayon.batch import KeyReused
from bayon.cards import BadAttributes
from bayon.cms import shapes
from bayon.cms.attributes import Reading, uuid_or_nobody
from bayon.cms.jsonapi import negotiate, read_document, read_resource
from bayon.cms.query import Asked, Rules, read_query
from bayon.cms.wire import (
    BadQuery,
    ClientId,
    NotAcceptable,
    TypeConflict,
    UnsupportedMediaType,
)
from bayon.errors import BayonError, NotFound, Problem, Unavailable
from bayon.web import (
    AccessKind,
    BadBody,
    BadIdempotencyKey,
    BodyTooLarge,
    Call,
    Operation,
    TooManyRequests,
    Unauthorized,
    Values,
    WrongMethod,
)

NO_RULES: Final = Rules()
ISSUER: Final[tuple[AccessKind, ...]] = ("issuer",)


@dataclass(frozen=True, kw_only=True)
class CardOperation(Operation):
    """One operation of this door.

    `takes` is the type of the resource in a request's body; `plural` what its collection is called.
    """

    takes: str = ""
    plural: str = ""
    rules: Rules = NO_RULES


def read(
    operation: Operation, headers: Mapping[bytes, bytes], query: bytes, body: bytes | None, /
) -> tuple[object, Values]:
    """Read a request: its media types, its body, its query.

    Errors: `UnsupportedMediaType`, `NotAcceptable`, `BadBody`, `BadQuery`.
    """
    assert isinstance(operation, CardOperation)
    negotiate(headers, with_body=body is not None)
    decoded: Mapping[str, object] | None = None
    if body is not None:  # what takes no resource wants no body either
        decoded = {} if not body and not operation.takes else read_document(body)
    return decoded, {"asked": read_query(query, operation.rules), "operation": operation}


def asked_of(call: Call) -> Asked:
    """Take what was asked for."""
    return cast("Asked", call.values["asked"])


def operation_of(call: Call) -> CardOperation:
    """Tell which operation this is."""
    return cast("CardOperation", call.values["operation"])


def issuer_of(call: Call) -> UUID:
    """Tell who calls."""
    assert call.access is not None
    return UUID(call.access.owner)


def id_of(call: Call, name: str = "id") -> UUID:
    """Take the id in the address; one that is none is nobody's, and not found."""
    return uuid_or_nobody(call.path[name])


def reading_of(call: Call, *, resource_id: str | None = None) -> Reading:
    """Begin to read the resource of a request. Errors: as `read_resource`."""
    operation = operation_of(call)
    resource, problems = read_resource(
        cast("Mapping[str, object]", call.decoded),
        kind=operation.takes,
        plural=operation.plural,
        resource_id=resource_id,
    )
    return Reading(resource, problems)


def refusals(operation: Operation) -> Sequence[tuple[str, BayonError]]:
    """List what an operation of this door is refused with, for the description."""
    assert isinstance(operation, CardOperation)
    pointed = Problem(pointer="/data/attributes/name", message="is missing")
    found: list[tuple[str, BayonError]] = [
        ("The query is not understood", _bad_query()),
        ("Unauthorized", Unauthorized()),
        ("There is no such thing, or it is not yours", NotFound()),
        ("Another method", WrongMethod([operation.method])),
        ("No answer would be acceptable", NotAcceptable()),
        ("Too many requests", TooManyRequests(retry_after_s=1)),
        ("The database is away", Unavailable()),
    ]
    if operation.method in {"POST", "PATCH"}:
        found += [
            ("The body is no JSON", BadBody()),
            ("Another type or id", TypeConflict()),
            ("The body is too large", BodyTooLarge()),
            ("The media type is none", UnsupportedMediaType()),
            ("Every failing attribute", BadAttributes(problems=(pointed,))),
        ]
    if operation.method == "POST":
        found.append(("An id of your own", ClientId()))
    if operation.keyed:
        found.append(("The key was used with other content", KeyReused()))
        found.append(("The key is none", BadIdempotencyKey()))
    return found


def _bad_query() -> BadQuery:
    return BadQuery(problems=(Problem(pointer="filter[colour]", message="is not supported"),))


def parameters(rules: Rules) -> tuple[dict[str, Any], ...]:
    """Describe what may be asked for."""
    found = [_parameter(f"filter[{name}]", shapes.FILTERS[name]) for name in rules.filters]
    if rules.includes:
        found.append(_names("include", rules.includes))
    found += [_names(f"fields[{name}]", sorted(fields)) for name, fields in rules.fields.items()]
    if rules.paged:
        size = {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
        found.append(_parameter("page[size]", size))
        cursor = {**shapes.ID, "description": "as links have it"}
        found += [_parameter(f"page[{name}]", cursor) for name in ("before", "after")]
    return tuple(found)


def _names(name: str, known: Sequence[str]) -> dict[str, Any]:
    """Describe names by commas."""
    items = {"type": "string", "enum": list(known)}
    described = _parameter(name, {"type": "array", "items": items, "description": "by commas"})
    return {**described, "style": "form", "explode": False}


def _parameter(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}
