"""The description: from the doors' tables of operations to an OpenAPI 3.1 document. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

import msgspec

from bayon.batch import KeyReused
from bayon.errors import BayonError, Unavailable
from bayon.web.access import Unauthorized
from bayon.web.fields import FREE_LENGTH_MAX, BadBody, BadFields, BodyTooLarge, Field
from bayon.web.limits import TooManyRequests
from bayon.web.operation import (
    IDEMPOTENCY_KEY_LENGTH_MAX,
    BadIdempotencyKey,
    Operation,
    Refuse,
    Shown,
    WrongMethod,
)

Document = dict[str, Any]

ENVELOPE: Final[Document] = {
    "type": "object",
    "required": ["data", "errorCode", "responseCode", "responseMessage"],
    "properties": {
        "data": {"description": "what was asked for; null where there is nothing to say"},
        "errorCode": {"type": ["integer", "null"], "minimum": 1, "maximum": 12},
        "responseCode": {"type": "integer", "enum": [0, 1], "description": "0 is success"},
        "responseMessage": {"type": "string"},
    },
    "additionalProperties": False,
}
WEARS_ENVELOPE: Final[Document] = {"$ref": "#/components/schemas/Envelope"}
HEADERS: Final[dict[int, Document]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "Bearer"}},
    405: {"Allow": {"schema": {"type": "string"}, "description": "the methods there are"}},
    429: {
        "Retry-After": {
            "schema": {"type": "integer", "minimum": 1},
            "description": "seconds until the next request is taken",
        }
    },
}
"""The headers that stand with a status, as `headers_of` gives them."""

KEY: Final[Document] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX,
        "description": "yours: the same request again gets the same answer and moves nothing",
    },
}


def with_refusals(operations: Sequence[Operation], refuse: Refuse) -> list[Operation]:
    """Show with each operation what every one of its kind is refused with, as its door says it."""
    return [
        replace(
            operation,
            answers=(
                *operation.answers,
                *(_refused(title, refuse, error) for title, error in _refusals(operation)),
            ),
        )
        for operation in operations
    ]


def _refusals(operation: Operation) -> list[tuple[str, BayonError]]:
    found: list[tuple[str, BayonError]] = []
    if operation.body or operation.query:
        name = (*operation.body, *operation.query)[0].name
        found.append(("A field breaks its rule", BadFields(f"{name} must be a string.")))
    if any(field.required for field in operation.body):
        found.append(("A field is missing", BadFields()))
    if operation.method == "POST":
        found += [("The body is no JSON", BadBody()), ("The body is too large", BodyTooLarge())]
    if operation.keyed:
        found.append(("The key was used with other content", KeyReused()))
        found.append(("The key is none", BadIdempotencyKey()))
    if operation.access:
        found.append(("Unauthorized", Unauthorized()))
    return [
        *found,
        ("Another method", WrongMethod([operation.method])),
        ("Too many requests", TooManyRequests(retry_after_s=1)),
        ("The database is away", Unavailable()),
    ]


def _refused(title: str, refuse: Refuse, error: BayonError) -> Shown:
    answer = refuse(error)
    return Shown(status=answer.status, title=title, body=msgspec.json.decode(answer.body))


def describe(doors: Sequence[tuple[str, str, Sequence[Operation]]], *, version: str) -> Document:
    """Describe doors: (tag, what it is, its operations)."""
    paths: Document = {}
    for tag, _, operations in doors:
        for operation in operations:
            paths.setdefault(operation.path.replace(":str", ""), {})[operation.method.lower()] = (
                _operation(tag, operation)
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Bayon",
            "version": version,
            "description": "An open, self-hosted payments core for Cambodia.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag, "description": doc} for tag, doc, _ in doors],
        "paths": paths,
        "components": {
            "schemas": {"Envelope": ENVELOPE},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(tag: str, operation: Operation) -> Document:
    described: Document = {
        "operationId": operation.name,
        "tags": [tag],
        "summary": operation.summary,
        "description": operation.doc,
        "responses": _responses(operation.answers),
    }
    parameters = [*_path_parameters(operation.path), *map(_query_parameter, operation.query)]
    if operation.keyed:
        parameters.append(KEY)
    if parameters:
        described["parameters"] = parameters
    if operation.method == "POST":
        described["requestBody"] = _body(operation)
    if operation.access:
        optional: list[Document] = [{}] if operation.access_optional else []
        described["security"] = [{"bearer": []}, *optional]
    return described


def _body(operation: Operation) -> Document:
    schema = _object(operation.body)
    if operation.array:
        array = {"type": "array", "items": {"type": "string"}, "maxItems": 50}
        schema = {"anyOf": [array, schema]}
    media: Document = {"schema": schema}
    if operation.sample is not None:
        media["example"] = operation.sample
    return {"required": True, "content": {"application/json": media}}


def _object(fields: Iterable[Field]) -> Document:
    fields = list(fields)
    schema: Document = {"type": "object", "properties": {f.name: _schema(f) for f in fields}}
    required = [field.name for field in fields if field.required]
    return {**schema, "required": required} if required else schema


def _schema(field: Field) -> Document:
    match field.kind:
        case "text":
            schema: Document = {"type": "string", "minLength": field.length_min}
            if field.length_max < FREE_LENGTH_MAX:
                schema["maxLength"] = field.length_max
            if field.one_of:
                schema = {"type": "string", "enum": list(field.one_of)}
        case "number":
            schema = {"type": "number"}
        case "texts":
            items: Document = {"type": "string"}
            if field.one_of:
                items["enum"] = list(field.one_of)
            schema = {"type": "array", "items": items, "maxItems": field.length_max}
        case "object":
            schema = _object(field.fields)
    return {**schema, "description": field.doc} if field.doc else schema


def _path_parameters(path: str) -> list[Document]:
    names = [part[1:-1].removesuffix(":str") for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _query_parameter(field: Field) -> Document:
    return {"name": field.name, "in": "query", "required": field.required, "schema": _schema(field)}


def _responses(answers: Sequence[Shown]) -> Document:
    responses: Document = {}
    for status in dict.fromkeys(shown.status for shown in answers):
        of_status = [shown for shown in answers if shown.status == status]
        examples = {s.title: {"summary": s.title, "value": s.body} for s in of_status}
        media = {"schema": _answer_schema(of_status[0].body), "examples": examples}
        responses[str(status)] = {
            "description": of_status[0].title,
            "content": {"application/json": media},
        }
        if status in HEADERS:
            responses[str(status)]["headers"] = HEADERS[status]
    return responses


def _answer_schema(body: object) -> Document:
    """Describe the answers of a status by the first shown: success where there is one."""
    shape = _shape(body)
    if shape.get("properties", {}).keys() != ENVELOPE["properties"].keys():
        return shape
    data = shape["properties"]["data"]
    if not data:
        return WEARS_ENVELOPE
    nullable = {"anyOf": [data, {"type": "null"}]}
    return {"allOf": [WEARS_ENVELOPE, {"properties": {"data": nullable}}]}


def _shape(value: object) -> Document:
    """Describe a value by its own members; null may be anything."""
    match value:
        case None:
            return {}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case list():
            members = cast("list[object]", value)
            return {"type": "array", "items": _shape(members[0]) if members else {}}
        case _:
            named = cast("Mapping[str, object]", value)
            return {
                "type": "object",
                "properties": {name: _shape(member) for name, member in named.items()},
            }
