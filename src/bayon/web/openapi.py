"""The description: from the doors' tables of operations to an OpenAPI 3.1 document. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from bayon.web.fields import FREE_LENGTH_MAX, Field
from bayon.web.operation import Operation, Shown

Document = dict[str, Any]


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
    for shown in answers:
        response = responses.setdefault(
            str(shown.status),
            {
                "description": shown.title,
                "content": {
                    "application/json": {"schema": {"type": ["object", "array"]}, "examples": {}}
                },
            },
        )
        examples = response["content"]["application/json"]["examples"]
        examples[shown.title] = {"summary": shown.title, "value": shown.body}
    return responses
