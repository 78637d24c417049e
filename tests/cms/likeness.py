"""Likeness: an answer of ours beside the printed one: keys, types and constants, ids one to one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
HOST: Final = re.compile(r"https?://[^/]+")
TOKEN: Final = re.compile(r"token=[\w-]{43}$")
WRITTEN_AT: Final = "2020-04-09"
"""The day the document was printed: an instant of that day was the present."""


@dataclass(kw_only=True)
class Likeness:
    """The comparison of two documents.

    `ids` are ours by the printed ones. `free` are places whose value chance or our own arithmetic
    makes, with a pattern it has; `more` are members of ours that are not printed.
    """

    ids: dict[str, str]
    free: Mapping[str, str] = field(default_factory=dict[str, str])
    more: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    differences: list[str] = field(default_factory=list[str])

    def compare(self, printed: object, ours: object, at: str = "") -> None:
        """Compare, and remember what differs."""
        if type(printed) is not type(ours):
            self._differs(at, printed, ours)
        elif isinstance(printed, dict):
            self._objects(
                cast("Mapping[str, object]", printed), cast("Mapping[str, object]", ours), at
            )
        elif isinstance(printed, list):
            self._lists(cast("list[object]", printed), cast("list[object]", ours), at)
        elif at in self.free:
            if not re.fullmatch(self.free[at], str(ours)):
                self._differs(at, self.free[at], ours)
        elif not (self._alike(printed, ours) if isinstance(printed, str) else printed == ours):
            self._differs(at, printed, ours)

    def _objects(self, printed: Mapping[str, object], ours: Mapping[str, object], at: str) -> None:
        if set(printed) != set(ours) - self.more.get(at, frozenset()):
            self._differs(at, sorted(printed), sorted(ours))
        # `id` first: links are made of them.
        for name in sorted(printed.keys() & ours.keys(), key=lambda name: (name == "links", name)):
            self.compare(printed[name], ours[name], f"{at}/{name}")

    def _lists(self, printed: list[object], ours: list[object], at: str) -> None:
        if len(printed) != len(ours):
            self._differs(at, f"{len(printed)} items", f"{len(ours)} items")
        for n, (one, other) in enumerate(zip(printed, ours, strict=False)):
            self.compare(one, other, f"{at}/{n}")

    def _alike(self, printed: str, ours: object) -> bool:
        assert isinstance(ours, str)
        if UUID.fullmatch(printed):
            return bool(UUID.fullmatch(ours)) and self._is_same(printed, ours)
        if INSTANT.fullmatch(printed) and printed.startswith(WRITTEN_AT):
            return bool(INSTANT.fullmatch(ours))
        if HOST.match(printed):
            return self.with_our_ids(_bare(printed)) == _bare(ours)
        return printed == ours

    def with_our_ids(self, text: str) -> str:
        """Put our ids for the printed ones."""
        return UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def _is_same(self, printed: str, ours: str) -> bool:
        if printed not in self.ids and ours not in self.ids.values():
            self.ids[printed] = ours
        return self.ids.get(printed) == ours

    def _differs(self, at: str, printed: object, ours: object) -> None:
        self.differences.append(f"{at or '/'}: printed {printed!r}, ours {ours!r}")


def _bare(url: str) -> str:
    """Take the host off a URL, and the token, if it has one as long as it must be."""
    return TOKEN.sub("token=", HOST.sub("", url, count=1))
