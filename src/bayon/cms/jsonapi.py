"""JSON:API: what a request's headers and body must be, and how a document is written. Pure.

Source: JSON:API 1.1, "Content Negotiation", "Document Structure"; for what the API's document shows
and clients send beyond it (a body without its media type, plural types), design 12.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

import msgspec

from bayon.cards import BadAttributes
from bayon.cms.query import Asked
from bayon.cms.wire import (
    MEDIA_TYPE,
    ClientId,
    NotAcceptable,
    TypeConflict,
    UnsupportedMediaType,
)
from bayon.errors import Problem
from bayon.web import BadBody

Resource = Mapping[str, object]

JSON_TYPES: Final = frozenset(
    {
        *("", "application/json", "text/json", "text/x-json", "application/octet-stream"),
        *("application/x-www-form-urlencoded", "text/plain"),  # what curl and fetch say unasked
    }
)
ACCEPTED: Final = frozenset({"*/*", "application/*", "application/json", MEDIA_TYPE})


def negotiate(headers: Mapping[bytes, bytes], *, with_body: bool) -> None:
    """Judge the media types of a request. Errors: `UnsupportedMediaType`, `NotAcceptable`."""
    if with_body and not _is_json(headers.get(b"content-type", b"").decode("latin-1")):
        raise UnsupportedMediaType
    if not _takes_json(headers.get(b"accept", b"").decode("latin-1")):
        raise NotAcceptable


def read_document(body: bytes) -> Mapping[str, object]:
    """Read a body that must be a JSON object. Errors: `BadBody`."""
    try:
        decoded: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadBody from error
    if not isinstance(decoded, dict):
        raise BadBody("The request body must be a JSON object.")
    return cast("Mapping[str, object]", decoded)


def read_resource(
    document: Mapping[str, object], *, kind: str, plural: str, resource_id: str | None
) -> tuple[Resource, list[Problem]]:
    """Read the resource object of a request, and what its envelope lacks.

    `resource_id` is the address' where there is one. Errors: `BadAttributes` where there is no
    resource object to look into; `ClientId`, `TypeConflict`.
    """
    data = document.get("data")
    if not isinstance(data, dict):
        missing = "data" not in document
        raise BadAttributes.at("/data", "is missing" if missing else "must be a resource object")
    resource = cast("Resource", data)
    problems = [*_judge_type(resource, kind, plural), *_judge_id(resource, resource_id)]
    problems += [
        Problem(pointer=f"/data/{name}", message="must be an object")
        for name in ("attributes", "relationships")
        if not isinstance(resource.get(name, {}), dict)
    ]
    return resource, problems


def document(
    data: object, *, included: Sequence[Resource] | None = None, links: object = None
) -> bytes:
    """Write a document."""
    whole: dict[str, object] = {"data": data}
    if included is not None:
        whole["included"] = included
    if links is not None:
        whole["links"] = links
    return msgspec.json.encode(whole)


def thinned(resources: Iterable[Resource], asked: Asked) -> list[Resource]:
    """Leave of each resource the fields that were asked for of its type."""
    if not asked.fields:
        return list(resources)
    return [_thin(resource, asked.fields) for resource in resources]


def entity_tag(body: bytes) -> str:
    """Tell a document apart from any other."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'  # half of blake2b's time


def has_tag(headers: Mapping[bytes, bytes], tag: str) -> bool:
    """Tell whether who asks has this document already."""
    given = headers.get(b"if-none-match", b"").decode("latin-1")
    return given == "*" or tag in {each.strip().removeprefix("W/") for each in given.split(",")}


def _thin(resource: Resource, fields: Mapping[str, frozenset[str]]) -> Resource:
    wanted = fields.get(str(resource["type"]))
    if wanted is None:
        return resource
    kept: dict[str, object] = {"id": resource["id"], "type": resource["type"]}
    for name in ("attributes", "relationships"):
        members = cast("Mapping[str, object]", resource.get(name, {}))
        if left := {key: value for key, value in members.items() if key in wanted}:
            kept[name] = left
    return kept


def _judge_type(resource: Resource, kind: str, plural: str) -> Iterator[Problem]:
    given = resource.get("type")
    if given is None:
        yield Problem(pointer="/data/type", message="is missing")
    elif not isinstance(given, str):
        yield Problem(pointer="/data/type", message="must be a string")
    elif given not in {kind, f"{kind}s", plural}:
        raise TypeConflict(title=f"must be equal to {kind}")


def _judge_id(resource: Resource, resource_id: str | None) -> Iterator[Problem]:
    given = resource.get("id")
    if resource_id is None:
        if given is not None:
            raise ClientId
    elif given is None:
        yield Problem(pointer="/data/id", message="is missing")
    elif not isinstance(given, str):
        yield Problem(pointer="/data/id", message="must be a string")
    elif given.lower() != resource_id.lower():
        raise TypeConflict(pointer="/data/id", title="is invalid")


def _is_json(content_type: str) -> bool:
    if content_type == MEDIA_TYPE or content_type in JSON_TYPES:
        return True
    kind, parameters = _media_type(content_type)
    if kind == MEDIA_TYPE:
        return parameters <= {"profile"}  # an extension we do not know, a charset: neither
    return kind in JSON_TYPES or kind.endswith("+json")


def _takes_json(accept: str) -> bool:
    """Tell whether our media type will do: what is said of itself goes before any wildcard."""
    if not accept.strip() or accept in ACCEPTED:
        return True
    entries = [(*_media_type(entry), entry) for entry in _split(accept, ",")]
    of_ours = [each for each in entries if each[0] == MEDIA_TYPE]
    return any(
        kind in ACCEPTED
        and not ("q" in parameters and _is_nothing(entry))
        and (kind != MEDIA_TYPE or parameters - {"q"} <= {"profile"})
        for kind, parameters, entry in of_ours or entries
    )


def _is_nothing(entry: str) -> bool:
    weights = [p.partition("=")[2] for p in _split(entry, ";") if p.strip().lower()[:2] == "q="]
    return bool(weights) and not weights[-1].strip().strip("0.")


def _media_type(text: str) -> tuple[str, frozenset[str]]:
    """Read a media type: its name, and the names of its parameters."""
    kind, *parameters = _split(text, ";")
    names = (each.partition("=")[0].strip().lower() for each in parameters)
    return kind.strip().lower(), frozenset(filter(None, names))


def _split(text: str, mark: str) -> list[str]:
    """Cut at a mark, but for those in quotes."""
    parts, quoted = [""], False
    for letter in text:
        quoted ^= letter == '"'
        if letter == mark and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
