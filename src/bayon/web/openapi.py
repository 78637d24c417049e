"""The description: from the doors' tables of operations to an OpenAPI 3.1 document. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

import msgspec

from bayon.batch import KeyReused
from bayon.errors import BayonError, Unavailable
from bayon.web.access import Unauthorized
from bayon.web.envelope import Answer
from bayon.web.fields import FREE_LENGTH_MAX, BadBody, BadFields, BodyTooLarge, Field
from bayon.web.limits import TooManyRequests
from bayon.web.operation import (
    IDEMPOTENCY_KEY_LENGTH_MAX,
    WITH_BODY,
    BadIdempotencyKey,
    Document,
    Operation,
    Refuse,
    Shown,
    WrongMethod,
)

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


Refusals = Callable[[Operation], Sequence[tuple[str, BayonError]]]
"""What an operation may be refused with: (title, error)."""


def refusals(operation: Operation) -> list[tuple[str, BayonError]]:
    """List what every operation of this one's kind is refused with on its way to `serve`."""
    found: list[tuple[str, BayonError]] = []
    if operation.body or operation.query:
        name = (*operation.body, *operation.query)[0].name
        found.append(("A field breaks its rule", BadFields(f"{name} must be a string.")))
    if any(field.required for field in operation.body):
        found.append(("A field is missing", BadFields()))
    if operation.method in WITH_BODY:
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


def with_refusals(
    operations: Sequence[Operation],
    refuse: Refuse,
    *,
    errors: Refusals = refusals,
    schema: Document | None = None,
) -> list[Operation]:
    """Show with each operation what it is refused with, as its door says it.

    A door with errors of its own gives them with `errors`, and with `schema` that of its refusals.
    """

    def shown(operation: Operation) -> list[Shown]:
        return [_refused(title, refuse(error), schema) for title, error in errors(operation)]

    return [replace(o, answers=(*o.answers, *shown(o))) for o in operations]


def _refused(title: str, answer: Answer, schema: Document | None) -> Shown:
    body: object = msgspec.json.decode(answer.body)
    return Shown(status=answer.status, title=title, body=body, schema=schema)


def describe(
    doors: Sequence[tuple[str, str, Sequence[Operation]]],
    *,
    version: str,
    schemas: Document | None = None,
) -> Document:
    """Describe doors: (tag, what it is, its operations); `schemas` are further components."""
    paths: Document = {}
    for tag, _, operations in doors:
        for operation in operations:
            methods: Document = paths.setdefault(operation.path, {})
            methods[operation.method.lower()] = _operation(tag, operation)
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
            "schemas": {"Envelope": ENVELOPE, **(schemas or {})},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(tag: str, operation: Operation) -> Document:
    described: Document = {
        "operationId": operation.name,
        "tags": [tag],
        "summary": operation.summary,
        "description": operation.doc,
        "responses": _responses(operation),
    }
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    if operation.method in WITH_BODY:
        described["requestBody"] = _body(operation)
    if operation.access:
        optional: list[Document] = [{}] if operation.access_optional else []
        described["security"] = [{"bearer": []}, *optional]
    return described


def _parameters(operation: Operation) -> list[Document]:
    """List the parameters; the operation's own stand for those made of its path and query."""
    made = [*_path_parameters(operation.path), *map(_query_parameter, operation.query)]
    if operation.keyed:
        made.append(KEY)
    return list({(p["in"], p["name"]): p for p in (*made, *operation.parameters)}.values())


def _body(operation: Operation) -> Document:
    schema = operation.body_schema or _object(operation.body)
    if operation.array:
        array = {"type": "array", "items": {"type": "string"}, "maxItems": 50}
        schema = {"anyOf": [array, schema]}
    media: Document = {"schema": schema}
    if operation.sample is not None:
        media["example"] = operation.sample
    return {"required": True, "content": {operation.media_type: media}}


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
        case "boolean":
            schema = {"type": "boolean"}
        case "texts":
            items: Document = {"type": "string"}
            if field.one_of:
                items["enum"] = list(field.one_of)
            schema = {"type": "array", "items": items, "maxItems": field.length_max}
        case "object":
            schema = _object(field.fields)
    return {**schema, "description": field.doc} if field.doc else schema


def _path_parameters(path: str) -> list[Document]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _query_parameter(field: Field) -> Document:
    return {"name": field.name, "in": "query", "required": field.required, "schema": _schema(field)}


def _responses(operation: Operation) -> Document:
    answers = operation.answers
    return {
        str(status): _response([a for a in answers if a.status == status], operation.media_type)
        for status in dict.fromkeys(shown.status for shown in answers)
    }


def _response(answers: Sequence[Shown], media_type: str) -> Document:
    """Describe the answers of a status; those without a body have no content."""
    response: Document = {"description": answers[0].title}
    if bodies := [shown for shown in answers if shown.body is not None]:
        examples = {s.title: {"summary": s.title, "value": s.body} for s in bodies}
        schema = next((s.schema for s in bodies if s.schema), None)
        media = {
            "schema": schema or _answer_schema(bodies),
            "examples": examples,
        }
        response["content"] = {media_type: media}
    headers = dict(HEADERS.get(answers[0].status, {}))
    for shown in answers:
        headers |= shown.headers or {}
    return {**response, "headers": headers} if headers else response


def _answer_schema(answers: Sequence[Shown]) -> Document:
    """Describe the answers of a status by all that are shown."""
    nullable = frozenset(name for shown in answers for name in shown.nullable)
    shape = _shape([shown.body for shown in answers], nullable)
    if shape.get("properties", {}).keys() != ENVELOPE["properties"].keys():
        return shape
    data = shape["properties"]["data"]
    if not data:
        return WEARS_ENVELOPE
    wider = {"anyOf": [data, {"type": "null"}]}
    return {"allOf": [WEARS_ENVELOPE, {"properties": {"data": wider}}]}


def _shape(values: Sequence[object], nullable: frozenset[str]) -> Document:
    """Describe values that stand in one place by their members; only nulls may be anything."""
    there = [value for value in values if value is not None]
    shape = _shape_of(there, nullable)
    return _or_null(shape) if len(there) < len(values) else shape


def _shape_of(values: Sequence[object], nullable: frozenset[str]) -> Document:
    kinds = {_KINDS[type(value)] for value in values}
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    if len(kinds) != 1:
        return {}
    (kind,) = kinds
    if kind == "array":
        members = [member for value in values for member in cast("list[object]", value)]
        return {"type": "array", "items": _shape(members, nullable)}
    if kind == "object":
        named = [cast("Mapping[str, object]", value) for value in values]
        names = dict.fromkeys(name for value in named for name in value)
        shapes = {n: _shape([v[n] for v in named if n in v], nullable) for n in names}
        wider = {n: _or_null(s) if n in nullable else s for n, s in shapes.items()}
        return {"type": "object", "properties": wider}
    return {"type": kind}


def _or_null(shape: Document) -> Document:
    kind = shape.get("type")
    return {**shape, "type": [kind, "null"]} if isinstance(kind, str) else shape


_KINDS: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
