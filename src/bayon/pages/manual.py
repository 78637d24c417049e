"""The manual: what the page that describes the API shows, made of its OpenAPI document. Pure."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

Document = Mapping[str, Any]

LINE_LENGTH_MAX: Final = 70
TOKENS: Final = {"Participants": "BANK", "Card management": "CARDS"}
"""Whose token a tag's operations want, by the names `bayon dev` prints; the others want BAKONG."""
ON_CARDS: Final = re.compile(
    "/sandbox/v1/(cards|authorizations|transactions|refunds|clearings|cardholders)(/|$)"
)
"""Where the sandbox acts on cards, for which it wants one of their issuer's tokens."""
SAMPLES: Final = {"Participants": {"account_id": "dave@devb"}}
"""What stands in the paths of a tag's samples; elsewhere it is a variable, $ID say."""
FORMATS: Final = {"uuid": "a UUID", "uri": "a URL", "date-time": "ISO 8601"}

_IN_PATH: Final = re.compile(r"\{([a-z_]+)\}")
_DIGITS: Final = re.compile(r"\^\[0-9\]\{([0-9]+)\}\$")


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
    access = _token(path, operation["tags"][0]) if security else None
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


def _token(path: str, tag: str) -> str:
    return "CARDS" if ON_CARDS.match(path) else TOKENS.get(tag, "BAKONG")


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
    yield from _ranges(schema)
    if "pattern" in schema:
        yield _pattern(schema["pattern"])
    if "format" in schema:
        called: str = schema["format"]
        yield FORMATS.get(called, called)
    if "const" in schema:
        yield str(schema["const"])
    if "enum" in schema:
        yield " or ".join(schema["enum"])
    yield from _sizes(schema)
    if "default" in schema:
        yield f"{schema['default']} if absent"


def _sizes(schema: Document) -> Iterator[str]:
    if "maxItems" in schema:
        yield f"at most {schema['maxItems']} items"
    if "enum" in schema.get("items", {}):
        yield f"of {' or '.join(schema['items']['enum'])}"
    if "maxProperties" in schema:
        yield f"at most {schema['maxProperties']} keys"
    for what, member in (("keys", "propertyNames"), ("values", "additionalProperties")):
        longest: int | None = _inside(schema, member, "maxLength")
        if longest is not None:
            yield f"{what} of at most {longest} characters"


def _ranges(schema: Document) -> Iterator[str]:
    low, high = schema.get("minLength"), schema.get("maxLength")
    if low is not None and low == high:
        yield f"{low} characters"
    elif high is not None:
        yield f"{low or 0} to {high:,} characters"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        yield f"{least} to {most:,}"
    elif least is not None:
        yield f"at least {least}"


def _pattern(pattern: str) -> str:
    """Say in words what a pattern is that wants digits; another as it is written."""
    found = _DIGITS.fullmatch(pattern)
    return f"{found[1]} digits" if found else pattern


def _command(method: str, path: str, operation: Document, access: str | None) -> tuple[str, str]:
    """Write a request for a shell, as what stands before and after this server's address."""
    known: Mapping[str, str] = SAMPLES.get(operation["tags"][0], {})
    parts = [_IN_PATH.sub(lambda name: known.get(name[1], f"${name[1].upper()}"), path)]
    if access is not None:
        parts.append(f'-H "Authorization: Bearer ${access}"')
    media = _media(operation.get("requestBody", {}))
    if "example" in media:
        parts.append(f"-d {_body(media['example'])}")
    return f"curl -s{_method(method, media)} ", " \\\n  ".join(parts)


def _inside(value: Any, *names: str) -> Any:  # noqa: ANN401 - JSON of any kind
    """Follow names into objects; None where one leads nowhere."""
    for name in names:
        value = cast("Document", value).get(name) if isinstance(value, dict) else None
    return value


def _body(example: Any) -> str:  # noqa: ANN401 - JSON of any kind
    """Quote a body for a shell; where it repeats the id of the path, with the path's variable."""
    quoted = shlex.quote(_short_json(example))
    repeated: str | None = _inside(example, "data", "id")
    return quoted.replace(repeated, "'\"$ID\"'", 1) if repeated else quoted


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
