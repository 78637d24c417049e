"""Refusals: this door's table from errors to pages, and who is answered with a page at all."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from litestar.response import Template

from bayon.cards import TokenVoid
from bayon.errors import BayonError, NotFound, Unavailable
from bayon.pages.forms import StaleForm
from bayon.pages.page import HtmlRequest, page, say_to
from bayon.web import BadBody, BodyTooLarge, TooManyRequests, WrongMethod

_HOLDERS: Final = re.compile(r"(/(?:card_activation|pin_reset))(/.*)?")
_NO_PAGES: Final = re.compile(r"/(v1|participant|integrator|sandbox)(/.*)?")

ERRORS: Final[dict[type[BayonError], tuple[int, str]]] = {
    # error: (HTTP status, name of the texts)
    BadBody: (400, "malformed"),
    StaleForm: (403, "stale"),
    WrongMethod: (405, "missing"),
    TokenVoid: (410, "gone"),
    BodyTooLarge: (413, "malformed"),
    TooManyRequests: (429, "slow"),
    Unavailable: (503, "away"),
    NotFound: (404, "missing"),
    BayonError: (500, "away"),
}
"""Every error a page can meet; one that is not named here is as its family."""

_AGAIN: Final = frozenset({"stale", "malformed"})
"""After which of them the page with the form may help."""

_KEPT: Final = ("token", "return_url")


def refuse(request: HtmlRequest, error: BayonError) -> Template:
    """Answer an error with a page."""
    family = next(kind for kind in type(error).__mro__ if kind in ERRORS)
    status, what = ERRORS[family]
    return _message(request, what, status=status, headers=_headers(error))


def _headers(error: BayonError) -> dict[str, str]:
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, WrongMethod):
        return {"Allow": ", ".join(error.allowed)}
    return {}


def wanted(accept: str, path: str) -> bool:
    """Tell whether a person asks, who wants a page, and not a program, which wants its envelope."""
    return "text/html" in accept.lower() and not _NO_PAGES.fullmatch(path)


def not_found(request: HtmlRequest) -> Template:
    """Say that there is nothing here."""
    return _message(request, "missing", status=404)


def _message(
    request: HtmlRequest, what: str, *, status: int, headers: Mapping[str, str] | None = None
) -> Template:
    path: str = request.scope["path"]
    holders = _HOLDERS.fullmatch(path)
    context: dict[str, object] = {"what": what, "status": status, "again": None, "holders": False}
    if holders:
        context |= {"holders": True, "there": f"{holders[1]}/new", "kept": _kept(request, what)}
    elif what in _AGAIN:
        context |= {"again": f"{path}?seen=1"}
    return page("message.html", say_to(request), context, status=status, headers=headers)


def _kept(request: HtmlRequest, what: str) -> str:
    """Keep a link's token for the other language, unless it leads nowhere: then all look alike."""
    kept = [] if what == "gone" else [n for n in _KEPT if n in request.query_params]
    return "".join(f"{urlencode({name: request.query_params[name]})}&" for name in kept)
