"""Refusals: this door's table from errors to pages, and who is answered with a page at all."""

import re
from collections.abc import Mapping
from typing import Final

from litestar.response import Template

from bayon.errors import BayonError, NotFound, Unavailable
from bayon.pages.forms import StaleForm
from bayon.pages.page import HtmlRequest, page, say_to
from bayon.web import BodyTooLarge, TooManyRequests, WrongMethod

_NO_PAGES: Final = re.compile(r"/(v1|participant|integrator|sandbox)(/.*)?")

ERRORS: Final[dict[type[BayonError], tuple[int, str]]] = {
    # error: (HTTP status, name of the texts)
    StaleForm: (403, "stale"),
    WrongMethod: (405, "missing"),
    BodyTooLarge: (413, "stale"),
    TooManyRequests: (429, "slow"),
    Unavailable: (503, "away"),
    NotFound: (404, "missing"),
    BayonError: (500, "away"),
}
"""Every error a page can meet; one that is not named here is as its family."""


def refuse(request: HtmlRequest, error: BayonError) -> Template:
    """Answer an error with a page."""
    family = next(kind for kind in type(error).__mro__ if kind in ERRORS)
    status, what = ERRORS[family]
    again = f"{request.url.path}?seen=1" if what == "stale" else None
    return _message(request, what, status=status, again=again, headers=_headers(error))


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
    request: HtmlRequest,
    what: str,
    *,
    status: int,
    again: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Template:
    context = {"what": what, "status": status, "again": again}
    return page("message.html", say_to(request), context, status=status, headers=headers)
