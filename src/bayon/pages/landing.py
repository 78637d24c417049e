"""The landing of a deeplink: what its page shows, from the link, the QR and its payment. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import quote

from bayon.clock import PHNOM_PENH
from bayon.money import MINOR_PER_MAJOR, Currency
from bayon.pages.words import Say
from bayon.payments import Deeplink, Payment, khqr, leads_to_app, picture, scheme_of
from bayon.payments.khqr import Khqr

NAME_LENGTH_MAX: Final = 60
SHORT_HASH_LENGTH: Final = 8
PHONES: Final = ("android", "iphone", "ipad", "ipod")
KHMER: Final = frozenset({"km", "kh"})
"""How QRs name the language of their alternate name: rightly, and as many do."""


@dataclass(frozen=True, kw_only=True)
class Landing:
    """What the page shows; `app_url` only to phones. Times are ready to be read."""

    state: Literal["open", "pending", "expired", "paid"]
    payee: str
    city: str
    account_id: str
    currency: Currency
    amount: str
    details: tuple[tuple[str, str], ...]
    """Further lines: the name of a text, and what the QR says."""
    picture: str
    app_name: str | None
    app_icon_url: str | None
    return_url: str | None
    app_url: str | None
    left: str | None
    until: str | None
    short_hash: str | None
    paid_at: str | None
    refunded: bool
    failed: bool


def show(
    deeplink: Deeplink,
    payment: Payment | None,
    *,
    pending: bool,
    now: datetime,
    say: Say,
    app_url: str | None,
) -> Landing:
    """Show a link as it stands now: `payment` is the newest of its QR that came to an end.

    `pending` says that another one is on its way.
    """
    read = khqr.read(deeplink.qr)
    expires_at = _at(read.expires_at_ms)
    paid = payment is not None and payment.state == "succeeded"
    payee, city = _names(read, say)
    return Landing(
        state=_state(paid=paid, pending=pending, expires_at=expires_at, now=now),
        payee=payee,
        city=city,
        account_id=read.account_id,
        currency=read.currency,
        amount=amount(read.amount_minor or 0, read.currency),
        details=_details(read),
        picture=picture.svg(deeplink.qr),
        app_name=_short(deeplink.app_name),
        app_icon_url=icon_url(deeplink.app_icon_url),
        return_url=return_url(deeplink.app_callback_url),
        app_url=app_url,
        left=None if expires_at is None else _left(expires_at - now, say),
        until=_time(expires_at),
        short_hash=payment.hash.hex()[:SHORT_HASH_LENGTH] if payment and paid else None,
        paid_at=_time(payment.acknowledged_at or payment.created_at) if payment and paid else None,
        refunded=payment is not None and payment.refunded_at is not None,
        failed=payment is not None and payment.state == "failed",
    )


def _state(
    *, paid: bool, pending: bool, expires_at: datetime | None, now: datetime
) -> Literal["open", "pending", "expired", "paid"]:
    if paid:
        return "paid"
    if pending:
        return "pending"  # it was made in time, and may end after it
    return "expired" if expires_at is not None and expires_at <= now else "open"


def is_phone(user_agent: str) -> bool:
    """Tell whether a banking app may be on this device."""
    lowered = user_agent.lower()
    return any(phone in lowered for phone in PHONES)


def app_link(template: str, qr: str) -> str:
    """Write the link that opens a banking app with this QR."""
    return template.replace("{qr}", quote(qr, safe=""))


def amount(amount_minor: int, currency: Currency) -> str:
    """Write an amount of a currency: 1,234.50 for dollars, 5,000 for riel."""
    major, rest = divmod(amount_minor, MINOR_PER_MAJOR)
    return f"{major:,}.{rest:02d}" if currency.decimals_at_bakong else f"{major:,}"


def return_url(url: str | None) -> str | None:
    """Take the link back to the app, unless it could do more than lead there.

    The door that keeps it judges it too; a page trusts no row with a link's scheme.
    """
    return url if url is not None and leads_to_app(url) else None


def icon_url(url: str | None) -> str | None:
    """Take the app's icon if it is served over https."""
    return url if url is not None and scheme_of(url) == "https" else None


def _names(read: Khqr, say: Say) -> tuple[str, str]:
    if say.lang == "km" and (read.language or "").lower() in KHMER:
        return (
            read.merchant_name_alternate or read.merchant_name,
            read.merchant_city_alternate or read.merchant_city,
        )
    return read.merchant_name, read.merchant_city


def _details(read: Khqr) -> tuple[tuple[str, str], ...]:
    named = (("bill", read.bill_number), ("store", read.store_label), ("purpose", read.purpose))
    return tuple((name, value) for name, value in named if value is not None)


def _short(name: str | None) -> str | None:
    if name is None or len(name) <= NAME_LENGTH_MAX:
        return name
    return f"{name[: NAME_LENGTH_MAX - 1]}…"


def _at(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)


def _time(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(PHNOM_PENH):%d/%m/%Y %H:%M}"


def _left(left: timedelta, say: Say) -> str:
    """Write the two largest units of a time."""
    minutes, seconds = divmod(max(0, int(left.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [("days", days), ("hours", hours), ("minutes", minutes), ("seconds", seconds)]
    first = next((at for at, (_, n) in enumerate(parts) if n), len(parts) - 1)
    return " ".join(
        say(name, n=n) for name, n in parts[first : first + 2] if n or name == "seconds"
    )
