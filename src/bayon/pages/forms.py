"""Forms: the proof that a form was sent from our own page, by the browser it was shown to. Pure.

Pages know no session and send no Referer, so that browsers write `Origin: null`. Instead the page
sets a cookie (a random visitor, SameSite=Strict) and the form carries a token sealed for this
visitor and this page. The keys are those of everything sealed: any process of the same server
takes a token, and one sealed before a rotation of the keys still opens.
"""

import binascii
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final

from bayon.errors import Denied
from bayon.seal import BadSeal, Sealer

FORM_TTL_S: Final = 1_800
TOKEN_LENGTH_MAX: Final = 200
_VISITOR_SIZE: Final = 16
_VISITOR: Final = re.compile(r"[A-Za-z0-9_-]{22}")


class StaleForm(Denied):
    """This form is no longer valid."""

    code = "stale_form"


def visitor(cookie: str | None) -> str:
    """Recognise a visitor by the cookie, or make a new one."""
    if cookie is not None and _VISITOR.fullmatch(cookie):
        return cookie
    return secrets.token_urlsafe(_VISITOR_SIZE)


def make_token(sealer: Sealer, *, page: str, visitor: str, now: datetime) -> str:
    """Make the token of a form that stands on `page`."""
    until_s = int(now.timestamp()) + FORM_TTL_S
    sealed = sealer.seal(until_s.to_bytes(8, "big"), context=_context(page, visitor))
    return urlsafe_b64encode(sealed).decode()


def check_token(
    sealer: Sealer, token: str, *, page: str, visitor: str | None, now: datetime
) -> None:
    """Errors: `StaleForm` unless the token was made for this page and visitor, not long ago."""
    if visitor is None or not _VISITOR.fullmatch(visitor) or len(token) > TOKEN_LENGTH_MAX:
        raise StaleForm
    try:
        clear = sealer.open(urlsafe_b64decode(token), context=_context(page, visitor))
    except (BadSeal, binascii.Error, ValueError) as error:
        raise StaleForm from error
    if int.from_bytes(clear, "big") < now.timestamp():
        raise StaleForm


def _context(page: str, visitor: str) -> bytes:
    return f"bayon form {page} {visitor}".encode()
