"""Links for the tests of the pages: fresh QRs, the links to them, and browsers without a screen."""

import itertools
import time
from typing import Any, Final, cast

import httpx

from bayon.money import Currency
from bayon.payments import khqr
from bayon.payments.khqr import Khqr
from sandboxes import Sandbox

PHONE: Final = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)
SOURCE: Final = {
    "appIconUrl": "https://shop.example/icon.png",
    "appName": "Klaing Shop",
    "appDeepLinkCallback": "klaing://paid?order=42",
}
_COUNTER: Final = itertools.count()


def fresh_qr(expires_in_s: float = 600, **changed: object) -> str:
    """Write a dynamic QR as nobody has before."""
    now_ms = int(time.time() * 1000)
    values: dict[str, Any] = {
        "kind": "individual",
        "static": False,
        "account_id": "bridge_account@devb",
        "currency": Currency.USD,
        "amount_minor": 1_00,
        "merchant_name": "Coffee Klaing",
        "merchant_city": "Phnom Penh",
        "created_at_ms": now_ms - 86_400_000 + next(_COUNTER),
        "expires_at_ms": now_ms + int(expires_in_s * 1000),
        **changed,
    }
    return khqr.make(Khqr(**values))


async def link_to(sandbox: Sandbox, qr: str, **source: str) -> str:
    """Ask for a link as an integrator does; returns its path."""
    body = {"qr": qr, "sourceInfo": {**SOURCE, **source}}
    answer = await sandbox.ask("/v1/generate_deeplink_by_qr", body)
    link: str = answer.json()["data"]["shortLink"]
    return httpx.URL(link).path


def browser(sandbox: Sandbox, **headers: str) -> httpx.AsyncClient:
    """Open a browser with cookies of its own."""
    transport = httpx.ASGITransport(app=cast("Any", sandbox.asgi))
    given = {"Accept": "text/html,*/*;q=0.8", **headers}
    return httpx.AsyncClient(transport=transport, base_url="http://bayon.test", headers=given)
