"""Deeplinks: short links to a dynamic QR."""

import secrets
import string
from datetime import datetime
from typing import Final

from bayon.db import Tx
from bayon.errors import NotFound
from bayon.payments import integrator_store as store
from bayon.payments.model import Deeplink

SLUG_LENGTH: Final = 17
_ALPHABET: Final = string.ascii_letters + string.digits


class DeeplinkNotFound(NotFound):
    """This link leads nowhere."""

    code = "deeplink_not_found"


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
