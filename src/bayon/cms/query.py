"""The query string of JSON:API: include, fields, filters, pages; and the links of a list. Pure.

Source: JSON:API 1.1, "Fetching Data"; pages as the API's authors do them: cursors are ids, a size
is clamped, `before` wins, and the link to newer rows is there on the first page too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from bayon.cms.wire import BadQuery
from bayon.errors import Problem
from bayon.keyset import SIZE_DEFAULT, SIZE_MAX, Page, Window

NOBODY: Final = UUID(int=0)
"""No row's id: what a cursor that is no id stands for."""

LENGTH_MAX: Final = 8_192
_FAMILY: Final = re.compile(r"(filter|fields|page)\[([a-z_]+)\]")
_LEADING_NUMBER: Final = re.compile(r"\s*([+-]?[0-9]{1,9})")

Check = Callable[[str], object]
"""Reads a filter's value. Errors: `ValueError` with the title of what is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What may be asked for: filters, what may be included, what resources there are to thin out.

    `fields` are the attributes and relationships of each type that may come in an answer.
    """

    filters: Mapping[str, Check] = field(default_factory=dict[str, Check])
    includes: tuple[str, ...] = ()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    paged: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What was asked for. `include` has every step of a path; None was not asked for.

    `kept` are the parameters that go on in links.
    """

    filters: Mapping[str, Any]
    include: frozenset[str] | None
    fields: Mapping[str, frozenset[str]]
    window: Window
    kept: Mapping[str, str]


NOTHING: Final = Asked(filters={}, include=None, fields={}, window=Window(), kept={})


def read_query(query: bytes, rules: Rules) -> Asked:
    """Read a query string. Errors: `BadQuery` with every parameter that is not understood."""
    if not query:
        return NOTHING
    if len(query) > LENGTH_MAX:
        raise BadQuery("The query is too long.")
    try:
        pairs = dict(parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict"))
    except (UnicodeDecodeError, ValueError):
        raise BadQuery("The query is not written as queries are.") from None
    problems: list[Problem] = []
    filters: dict[str, object] = {}
    thinned: dict[str, frozenset[str]] = {}
    include: frozenset[str] | None = None
    for name, value in pairs.items():
        try:
            match _part(name, rules):
                case "filter", key:
                    filters[key] = rules.filters[key](_filled(value))
                case "fields", key:
                    thinned[key] = _names(value, rules.fields[key])
                case "include", _:
                    include = _paths(value, rules.includes)
                case _:
                    pass
        except ValueError as error:
            problems.append(Problem(pointer=name, message=str(error)))
    if problems:
        raise BadQuery(problems=tuple(problems))
    return Asked(
        filters=filters,
        include=include,
        fields=thinned,
        window=_window(pairs),
        kept=_kept(pairs),
    )


def links(page: Page[object], *, asked: Asked, url: str, ids: tuple[str, str] | None) -> object:
    """Link to newer and older rows; `ids` are those of the first and the last row shown."""

    def link(cursor: str, row_id: str) -> str:
        if not asked.kept:
            return f"{url}?page%5B{cursor}%5D={row_id}"  # what it comes to, an id being plain
        parameters = sorted({**asked.kept, f"page[{cursor}]": row_id}.items())
        return f"{url}?{urlencode(parameters)}"

    return {
        "prev": link("before", ids[0]) if ids and page.newer else None,
        "next": link("after", ids[1]) if ids and page.older else None,
    }


def _part(name: str, rules: Rules) -> tuple[str, str]:
    """Tell which parameter this is. Errors: `ValueError` where it is none of the rules'."""
    if name == "include" and rules.includes:
        return "include", ""
    found = _FAMILY.fullmatch(name)
    family, key = (found[1], found[2]) if found else ("", "")
    known = {
        "filter": rules.filters,
        "fields": rules.fields,
        "page": ("size", "before", "after") if rules.paged else (),
    }
    if key not in known.get(family, ()):
        raise ValueError("is not supported")
    return family, key


def _filled(value: str) -> str:
    if not value:
        raise ValueError("must be filled")
    return value


def _names(value: str, known: frozenset[str]) -> frozenset[str]:
    names = frozenset(filter(None, value.split(",")))
    if unknown := sorted(names - known):
        raise ValueError(f"has no {', '.join(unknown)}")
    return names


def _paths(value: str, allowed: tuple[str, ...]) -> frozenset[str]:
    """Read the paths to include, with the steps that lead to each."""
    asked = list(filter(None, value.split(",")))
    if unknown := sorted(set(asked) - set(allowed)):
        raise ValueError(f"must be one of: {', '.join(allowed)}; there is no {unknown[0]}")
    steps = {path.partition(".")[0] for path in asked}
    return frozenset({*asked, *steps})


def _window(pairs: Mapping[str, str]) -> Window:
    return Window(
        size=_size(pairs["page[size]"]) if "page[size]" in pairs else SIZE_DEFAULT,
        before=_cursor(pairs.get("page[before]")),
        after=_cursor(pairs.get("page[after]")),
    )


def _size(text: str) -> int:
    found = _LEADING_NUMBER.match(text)
    return min(max(int(found[1]) if found else 0, 1), SIZE_MAX)


def _cursor(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        return NOBODY


def _kept(pairs: Mapping[str, str]) -> dict[str, str]:
    """Keep what a link goes on with; a size as it took effect."""
    kept = {n: v for n, v in pairs.items() if n not in {"page[before]", "page[after]"}}
    if "page[size]" in kept:
        kept["page[size]"] = str(_size(kept["page[size]"]))
    return kept
