"""Receipts: what a page that says "done" shows, sealed into its own address. Pure.

So the page can be loaded again, in the other language too, and holds neither token nor PIN; and
nobody can write an address under which it says what was not done.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from bayon.seal import BadSeal, Sealer

TTL: Final = timedelta(minutes=30)
LENGTH_MAX: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was done, for whom, and where to go on."""

    last_four: str
    issuer_name: str
    return_url: str | None
    until_s: int


def make(
    sealer: Sealer,
    *,
    page: str,
    last_four: str,
    issuer_name: str,
    return_url: str | None,
    now: datetime,
) -> str:
    """Make the receipt of something `page` has done."""
    receipt = Receipt(
        last_four=last_four,
        issuer_name=issuer_name,
        return_url=return_url,
        until_s=int((now + TTL).timestamp()),
    )
    sealed = sealer.seal(msgspec.json.encode(receipt), context=_context(page))
    return urlsafe_b64encode(sealed).decode()


def read(sealer: Sealer, text: str | None, *, page: str, now: datetime) -> Receipt | None:
    """Read a receipt of this page's, not older than half an hour."""
    if text is None or len(text) > LENGTH_MAX:
        return None
    try:
        clear = sealer.open(urlsafe_b64decode(text), context=_context(page))
    except (BadSeal, binascii.Error, ValueError):
        return None
    receipt = msgspec.json.decode(clear, type=Receipt)
    return receipt if now.timestamp() < receipt.until_s else None


def _context(page: str) -> bytes:
    return f"bayon receipt {page}".encode()
