"""Returning: where a page may offer its visitor to go when all is done. Pure.

Only where the setting `return_urls` says: whoever can write a link to a page could otherwise have
it lead on to a copy of the bank's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from bayon.config import BadSettings
from bayon.errors import Problem
from bayon.payments import leads_to_app

URL_LENGTH_MAX: Final = 500
PLACE: Final = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._-]+(:[1-9][0-9]{0,4})?(/[^?#]*)?")
DOTS: Final = frozenset({".", ".."})
SETTING: Final = "BAYON_RETURN_URLS"


@dataclass(frozen=True, kw_only=True)
class Returns:
    """The places that are allowed: an origin, or an origin and the path what is below begins with.

    https, http towards this machine, or an app's own scheme.
    """

    places: tuple[SplitResult, ...]

    @classmethod
    def of(cls, setting: str) -> "Returns":
        """Read the setting: places, by commas. Errors: `BadSettings` for what is none."""
        entries = [entry.strip() for entry in setting.split(",") if entry.strip()]
        if wrong := [entry for entry in entries if not _is_place(entry)]:
            raise BadSettings(problems=tuple(_problem(entry) for entry in wrong))
        return cls(places=tuple(urlsplit(entry) for entry in entries))

    def take(self, url: str | None) -> str | None:
        """Take a URL that is allowed; any other is as none."""
        if url is None or len(url) > URL_LENGTH_MAX or not _is_clean(url):
            return None
        asked = urlsplit(url)
        return url if any(_is_within(asked, place) for place in self.places) else None


def _is_place(entry: str) -> bool:
    return PLACE.fullmatch(entry) is not None and _is_clean(entry)


def _is_clean(url: str) -> bool:
    """Judge whether a browser reads this URL as we do: no other letters, no way back up."""
    if not url.isascii() or "\\" in url or not leads_to_app(url):
        return False
    parts = urlsplit(url)
    return "@" not in parts.netloc and not DOTS & set(unquote(parts.path).split("/"))


def _is_within(asked: SplitResult, place: SplitResult) -> bool:
    same_origin = (asked.scheme, asked.netloc.lower()) == (place.scheme, place.netloc.lower())
    return same_origin and _begins(asked.path.split("/"), place.path.rstrip("/").split("/"))


def _begins(asked: Sequence[str], place: Sequence[str]) -> bool:
    return place == [""] or list(asked[: len(place)]) == place


def _problem(entry: str) -> Problem:
    message = f"{SETTING} has {entry!r}, which is no https://host/path, and no app's own scheme"
    return Problem(pointer=SETTING, message=message, code="bad_setting")
