"""The manual: what the page that describes the API shows, made of its OpenAPI document. Pure."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

Document = Mapping[str, Any]

LINE_LENGTH_MAX: Final = 70
TOKENS: Final = {"Participants": "BANK", "Card management": "CARDS"}
"""Whose token a tag's operations want, by the names `bayon dev` prints; the others want BAKONG."""
SAMPLES: Final = {"account_id": "dave@devb"}
"""What stands in a sample's path."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One field of a request: `name` is dotted, `rule` what is demanded of it."""

    name: str
    kind: str
    rule: str
    required: bool
    doc: str
    where: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """One answer."""

    status: int
    phrase: str
    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One operation; `command` is a ready line for a shell, with {url} for this server."""

    anchor: str
    method: str
    path: str
    summary: str
    doc: str
    access: str | None
    """The variable with the token it wants; None when it wants none."""
    access_optional: bool
    lines: tuple[Line, ...]
    before: str
    after: str
    """The command in two parts, between which this server's address stands."""
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """The operations of one tag."""

    anchor: str
    title: str
    doc: str
    entries: tuple[Entry, ...]


def chapters(api: Document) -> tuple[Chapter, ...]:
    """Read the whole document."""
    entries = [
        (operation["tags"][0], _entry(method, path, operation))
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    ]
    return tuple(
        Chapter(
            anchor=tag["name"].lower().replace(" ", "-"),
            title=tag["name"],
            doc=tag["description"],
            entries=tuple(entry for name, entry in entries if name == tag["name"]),
        )
        for tag in api["tags"]
    )


def _entry(method: str, path: str, operation: Document) -> Entry:
    security = operation.get("security")
    access = TOKENS.get(operation["tags"][0], "BAKONG") if security else None
    before, after = _command(method, path, operation, access)
    return Entry(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        doc=operation.get("description", ""),
        access=access,
        access_optional=bool(security) and {} in security,
        lines=tuple(_lines(operation)),
        before=before,
        after=after,
        examples=tuple(_examples(operation["responses"])),
    )


def _lines(operation: Document) -> Iterator[Line]:
    for parameter in operation.get("parameters", ()):
        yield _line(parameter, parameter["schema"], parameter["required"], parameter["in"])
    body = operation.get("requestBody")
    if body is not None:
        yield from _members(_media(body)["schema"], "")


def _media(described: Document) -> Document:
    """Take what is said of the one media type there is; nothing where there is no content."""
    content: Mapping[str, Document] = described.get("content", {})
    empty: Document = {}
    return next(iter(content.values()), empty)


def _kind(schema: Document) -> str:
    kind: str | list[str] = schema.get("type", "string")
    return kind if isinstance(kind, str) else " or ".join(kind)


def _members(schema: Document, prefix: str) -> Iterator[Line]:
    if "anyOf" in schema:
        yield from (line for one in schema["anyOf"] for line in _members(one, prefix))
        return
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        dotted = f"{prefix}{name}"
        yield _line({"name": dotted}, member, name in required, "")
        yield from _members(member, f"{dotted}.")


def _line(named: Document, schema: Document, required: bool, where: str) -> Line:  # noqa: FBT001 - a column
    return Line(
        name=named["name"],
        kind=_kind(schema),
        rule="; ".join(_rules(schema)),
        required=required,
        doc=schema.get("description", ""),
        where=where,
    )


def _rules(schema: Document) -> Iterator[str]:
    low, high = schema.get("minLength"), schema.get("maxLength")
    if low is not None and low == high:
        yield f"{low} characters"
    elif high is not None:
        yield f"{low or 0} to {high:,} characters"
    if "const" in schema:
        yield str(schema["const"])
    if "enum" in schema:
        yield " or ".join(schema["enum"])
    if "maxItems" in schema:
        yield f"at most {schema['maxItems']} items"
    if "enum" in schema.get("items", {}):
        yield f"of {' or '.join(schema['items']['enum'])}"


def _command(method: str, path: str, operation: Document, access: str | None) -> tuple[str, str]:
    """Write a request for a shell, as what stands before and after this server's address."""
    for name, value in SAMPLES.items():
        path = path.replace(f"{{{name}}}", value)
    parts = [path]
    if access is not None:
        parts.append(f'-H "Authorization: Bearer ${access}"')
    media = _media(operation.get("requestBody", {}))
    if "example" in media:
        parts.append(f"-d {shlex.quote(_short_json(media['example']))}")
    return f"curl -s{_method(method, media)} ", " \\\n  ".join(parts)


def _method(method: str, media: Document) -> str:
    usual = "post" if media else "get"
    return "" if method == usual else f" -X {method.upper()}"


def _examples(responses: Document) -> Iterable[Example]:
    for status, response in responses.items():
        for example in _media(response).get("examples", {}).values():
            yield Example(
                status=int(status),
                phrase=HTTPStatus(int(status)).phrase,
                title=example["summary"],
                body=_json(example["value"]),
            )


def _short_json(value: object) -> str:
    """Write JSON on one line if it fits there."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= LINE_LENGTH_MAX else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
