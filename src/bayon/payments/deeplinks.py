"""Deeplinks: short links to a dynamic QR."""

import secrets
import string
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from bayon.db import Tx
from bayon.errors import NotFound
from bayon.payments import integrator_store as store
from bayon.payments.model import Deeplink

SLUG_LENGTH: Final = 17
SCHEMES_REFUSED: Final = frozenset(
    {
        *("", "http", "ftp"),
        *("javascript", "vbscript", "data", "blob", "filesystem", "file"),
        *("about", "view-source", "intent", "mailto", "sms", "tel"),
    }
)
"""What a link to an app must not be: code, something of the reader's device or browser, in clear.

Windows' own, `ms-…`, are refused too: they open settings and programs.
"""

_ALPHABET: Final = string.ascii_letters + string.digits


class DeeplinkNotFound(NotFound):
    """This link leads nowhere."""

    code = "deeplink_not_found"


def scheme_of(url: str) -> str:
    """Tell a URL's scheme, in lower case; empty for what is no clean absolute URL.

    http towards this machine is `loopback`: a sandbox's apps stand there.
    """
    if not url.isprintable() or " " in url:
        return ""
    try:
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    except ValueError:
        return ""
    if parts.scheme in {"http", "https"} and (not parts.hostname or "@" in parts.netloc):
        return ""  # a name before the @ is there to be taken for the host
    return "loopback" if local else parts.scheme


def leads_to_app(url: str) -> bool:
    """Tell whether a link may be offered as the way back to an app: https or a scheme of its own.

    Judged when it is taken and again when it is shown.
    """
    scheme = scheme_of(url)
    return scheme not in SCHEMES_REFUSED and not scheme.startswith("ms-")


async def make_deeplink(
    tx: Tx,
    *,
    qr: str,
    app_name: str | None,
    app_icon_url: str | None,
    app_callback_url: str | None,
    now: datetime,
) -> Deeplink:
    """Make a new link to a QR; another one each time."""
    deeplink = Deeplink(
        slug="".join(secrets.choice(_ALPHABET) for _ in range(SLUG_LENGTH)),
        qr=qr,
        app_name=app_name,
        app_icon_url=app_icon_url,
        app_callback_url=app_callback_url,
        created_at=now,
    )
    await store.insert_deeplink(tx, deeplink)
    return deeplink


async def find_deeplink(tx: Tx, slug: str) -> Deeplink:
    """Find a link. Errors: `DeeplinkNotFound`."""
    deeplink = await store.deeplink(tx, slug)
    if deeplink is None:
        raise DeeplinkNotFound
    return deeplink
