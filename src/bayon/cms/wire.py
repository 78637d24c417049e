"""The door's table from errors to JSON:API's: a status each, and an error for every failing field.

Source: JSON:API 1.1, "Errors"; what the statuses are for, design 12.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from bayon.batch import KeyReused
from bayon.cards import (
    BadAttributes,
    CardAccountNotFound,
    CardholderNotFound,
    CardNotFound,
    IssuerNotFound,
    NotPending,
    PanTaken,
    TransactionNotFound,
)
from bayon.errors import (
    BayonError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Problem,
    Unavailable,
)
from bayon.events import EndpointNotFound, EventNotFound, TooManyEndpoints
from bayon.fetch import BadUrl
from bayon.web import (
    Answer,
    BadBody,
    BadIdempotencyKey,
    BodyTooLarge,
    TooManyRequests,
    Unauthorized,
    UnknownPath,
    WrongMethod,
    headers_of,
)

MEDIA_TYPE: Final = "application/vnd.api+json"


class BadQuery(Invalid):
    """The query is not valid."""

    code = "bad_query"


class ClientId(Invalid):
    """Ids are ours: a new resource must not bring its own."""

    code = "client_id"


class TypeConflict(Conflict):
    """This is another resource than the one at this address."""

    code = "type_conflict"

    def __init__(self, pointer: str = "/data/type", title: str = "is invalid") -> None:
        super().__init__()
        self.problem: Problem = Problem(pointer=pointer, message=title)


class RelatedNotFound(NotFound):
    """There is no such related resource."""

    code = "related_not_found"

    def __init__(self, name: str) -> None:
        super().__init__()
        pointer = f"/data/relationships/{name}"
        self.problem: Problem = Problem(pointer=pointer, message="does not exist")


class UnsupportedMediaType(BayonError):
    """The body must be JSON, as application/vnd.api+json without parameters."""

    code = "unsupported_media_type"


class NotAcceptable(BayonError):
    """Answers are application/vnd.api+json, without parameters."""

    code = "not_acceptable"


STATUSES: Final[dict[type[BayonError], int]] = {
    Unauthorized: 401,
    ClientId: 403,
    Denied: 403,
    BadBody: 400,
    BadIdempotencyKey: 400,
    BadQuery: 400,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    NotAcceptable: 406,
    UnknownPath: 404,
    WrongMethod: 405,
    TooManyRequests: 429,
    BadAttributes: 422,
    TypeConflict: 409,
    RelatedNotFound: 404,
    CardholderNotFound: 404,
    CardAccountNotFound: 404,
    CardNotFound: 404,
    TransactionNotFound: 404,
    EventNotFound: 404,
    EndpointNotFound: 404,
    IssuerNotFound: 404,
    NotPending: 409,
    PanTaken: 409,
    TooManyEndpoints: 409,
    BadUrl: 422,
    KeyReused: 409,
    Unavailable: 503,
    Invalid: 422,
    NotFound: 404,
    Conflict: 409,
}
"""Every error this door can meet; one that is not named here is as its family."""

TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def refuse(error: BayonError) -> Answer:
    """Translate an error to a document of errors."""
    family = next((kind for kind in type(error).__mro__ if kind in STATUSES), None)
    status = STATUSES[family] if family else 500
    errors = [_field(problem, error, status) for problem in _problems(error)]
    body = msgspec.json.encode({"errors": errors or [_whole(error, status)]})
    return Answer(body=body, status=status, headers=headers_of(error), media_type=MEDIA_TYPE)


def _problems(error: BayonError) -> tuple[Problem, ...]:
    if isinstance(error, TypeConflict | RelatedNotFound):
        return (error.problem,)
    return error.problems if isinstance(error, Invalid) else ()


def _whole(error: BayonError, status: int) -> Mapping[str, object]:
    detail = error.message if status != 500 else "Something went wrong on our side."  # noqa: PLR2004 - HTTP's own number
    shown = {"status": str(status), "code": error.code, "title": TITLES[status], "detail": detail}
    if isinstance(error, BadIdempotencyKey | KeyReused):
        return {**shown, "source": {"header": "Idempotency-Key"}}
    if isinstance(error, NotAcceptable):
        return {**shown, "source": {"header": "Accept"}}
    if isinstance(error, UnsupportedMediaType):
        return {**shown, "source": {"header": "Content-Type"}}
    return shown


def _field(problem: Problem, error: BayonError, status: int) -> Mapping[str, object]:
    where = "parameter" if isinstance(error, BadQuery) else "pointer"
    name = problem.pointer if where == "parameter" else problem.pointer.rpartition("/")[2]
    return {
        "status": str(status),
        "code": error.code if problem.code == "invalid" else problem.code,
        "title": problem.message,
        "detail": f"{name or 'The document'} {problem.message}.",
        "source": {where: problem.pointer},
    }
