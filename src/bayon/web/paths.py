"""Paths: which of a door's places a request's path means, and what its parameters are. Pure.

A path is compared segment by segment, as ASGI gives it, percent-decoded: a `%2F` has become a
slash by then, and parts two segments like any other. An empty segment is no parameter.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found(Generic[T]):
    """Where a path leads: `template` as the table has it, `path` as it was asked for."""

    template: str
    path: str
    parameters: Mapping[str, str]
    methods: Mapping[str, T]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place(Generic[T]):
    template: str
    segments: tuple[str | None, ...]
    """The path's segments; None where anything may stand."""
    names: tuple[tuple[int, str], ...]
    """Where which parameter stands."""
    methods: dict[str, T] = field(default_factory=dict[str, T])

    def fits(self, segments: Sequence[str]) -> bool:
        return all(
            mine == given or (mine is None and given != "")
            for mine, given in zip(self.segments, segments, strict=True)
        )


class Paths(Generic[T]):
    """A door's places: (path template, method, what is there).

    A name wins over a parameter, the leftmost first. One trailing slash is accepted everywhere.
    """

    def __init__(self, entries: Iterable[tuple[str, str, T]]) -> None:
        self._whole: dict[str, Found[T]] = {}
        self._by_length: defaultdict[int, list[_Place[T]]] = defaultdict(list)
        places: dict[tuple[str | None, ...], _Place[T]] = {}
        for template, method, what in entries:
            fresh: _Place[T] = _place(template)
            place = places.setdefault(fresh.segments, fresh)
            assert place.template == template, f"one place, two names: {place.template}, {template}"
            place.methods[method] = what
        for place in sorted(places.values(), key=_parameters_last):
            self._keep(place)

    def find(self, path: str) -> Found[T] | None:
        """Find where a path leads."""
        path = path.removesuffix("/")
        if (whole := self._whole.get(path)) is not None:
            return whole
        segments = path.split("/")
        for place in self._by_length.get(len(segments), ()):
            if place.fits(segments):
                return Found(
                    template=place.template,
                    path=path,
                    parameters={name: segments[at] for at, name in place.names},
                    methods=place.methods,
                )
        return None

    def prefixes(self) -> dict[str, bool]:
        """Tell the few paths that all others begin with, and whether any stand below them."""
        templates = [place.template for places in self._by_length.values() for place in places]
        above = {template.partition("/{")[0] for template in templates}
        above = {prefix for prefix in above if not _is_below(prefix, above)}
        plain = {path for path in self._whole if path not in above and not _is_below(path, above)}
        return dict.fromkeys(sorted(plain), False) | dict.fromkeys(sorted(above), True)

    def _keep(self, place: _Place[T]) -> None:
        if place.names:
            self._by_length[len(place.segments)].append(place)
            return
        self._whole[place.template] = Found(
            template=place.template, path=place.template, parameters={}, methods=place.methods
        )


def _place(template: str) -> _Place[T]:
    segments = template.split("/")
    return _Place(
        template=template,
        segments=tuple(None if segment.startswith("{") else segment for segment in segments),
        names=tuple((at, s[1:-1]) for at, s in enumerate(segments) if s.startswith("{")),
    )


def _parameters_last(place: _Place[T]) -> tuple[bool, ...]:
    return tuple(segment is None for segment in place.segments)


def _is_below(path: str, prefixes: Iterable[str]) -> bool:
    return any(path.startswith(f"{prefix}/") for prefix in prefixes)
