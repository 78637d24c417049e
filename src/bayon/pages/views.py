"""The handlers of the pages: what is asked for, what is shown, and the sandbox's pay button."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar import HttpMethod, Request, get, route
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect, Response, Template
from litestar.types import ControllerRouterHandler

from bayon import batch, payments
from bayon.cards import Vault
from bayon.config import Settings
from bayon.db import Database
from bayon.errors import BayonError
from bayon.pages import landing, manual
from bayon.pages.guard import FORM_SIZE_MAX, Guard
from bayon.pages.page import HEADERS, ICON, STYLE, HtmlRequest, page, say_to
from bayon.pages.pins import pin_handlers
from bayon.pages.refusals import refuse
from bayon.payments import (
    AccountNotFound,
    BadAccountId,
    Decline,
    Deeplink,
    DeeplinkNotFound,
    Order,
    Pay,
    Payment,
    Rail,
    khqr,
)
from bayon.seal import Sealer
from bayon.web import Porch, WrongMethod

PAYER: Final = "dave@devb"
REFRESH_S: Final = 4
READING_S: Final = 20
"""How long a page stays that says why a payment was declined."""
SLUG: Final = re.compile(r"[A-Za-z0-9]{17}")


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The door of the pages."""

    db: Database
    rail: Rail
    guard: Guard
    settings: Settings
    chapters: tuple[manual.Chapter, ...]

    def welcome(self, request: HtmlRequest) -> Template:
        """Say what this is and how to begin."""
        self.guard.enter(request)
        context = {"url": self.guard.url(request), "sandbox": self.settings.sandbox}
        return page("welcome.html", say_to(request), context)

    def docs(self, request: HtmlRequest) -> Template:
        """Describe the API."""
        self.guard.enter(request)
        context = {"url": self.guard.url(request), "chapters": self.chapters}
        return page("docs.html", say_to(request), context)

    async def land(self, request: HtmlRequest, slug: str) -> Template:
        """Show what a link asks to pay, and whether it is paid."""
        self.guard.enter(request)
        deeplink = await self._deeplink(slug)
        md5 = khqr.md5(deeplink.qr)
        # Asked for first: what comes to an end in between is then seen as ended.
        pending = await self.db.read(lambda tx: payments.is_pending(tx, md5))
        payment = await self.rail.status_by_md5(md5)
        now = (await self.db.clock()).now()
        return self._landing(request, deeplink, payment, pending=pending, now=now)

    async def pay(self, request: HtmlRequest, slug: str) -> Redirect:
        """Pay a link's QR from the sandbox's account, then lead back to the page."""
        self.guard.enter(request)
        deeplink = await self._deeplink(slug)
        if not self.settings.sandbox:
            raise WrongMethod(["GET", "HEAD"])
        fields = await self.guard.read_form(request)
        self.guard.check_form(request, fields, page=slug)
        decline = await self._pay(deeplink)
        # Whoever presses twice pays once; the page tells how it stands, whoever paid.
        told = f"&declined={decline}" if decline is not None else ""
        back = f"/{slug}?seen=1&lang={say_to(request).lang}{told}"
        return Redirect(back, status_code=303, headers=HEADERS)

    def _landing(
        self,
        request: HtmlRequest,
        deeplink: Deeplink,
        payment: Payment | None,
        *,
        pending: bool,
        now: datetime,
    ) -> Template:
        say = say_to(request)
        phone = landing.is_phone(request.headers.get("user-agent", ""))
        app_url = landing.app_link(self.settings.deeplink_app_url, deeplink.qr) if phone else None
        shown = landing.show(deeplink, payment, pending=pending, now=now, say=say, app_url=app_url)
        visitor = self.guard.visitor(request)
        payable = self.settings.sandbox and shown.state == "open"
        decline = self._decline(request) if payable else None
        context = {
            "shown": shown,
            "slug": deeplink.slug,
            "refresh": self._refresh(request, shown, deeplink.slug, say.lang, decline),
            "decline": decline,
            "sandbox": self.settings.sandbox,
            "payer": PAYER,
            "form_token": self.guard.form_token(deeplink.slug, visitor) if payable else None,
        }
        cookies = [self.guard.cookie(request, f"/{deeplink.slug}", visitor)] if payable else []
        return page("landing.html", say, context, foreign_images=True, cookies=cookies)

    def _refresh(
        self,
        request: HtmlRequest,
        shown: landing.Landing,
        slug: str,
        lang: str,
        decline: Decline | None,
    ) -> str | None:
        """Say when to go where without a click: to the app the first time, then here again."""
        if shown.state not in {"open", "pending"}:
            return None
        if (
            shown.state == "open"
            and shown.app_url is not None
            and "seen" not in request.query_params
        ):
            return f"0;url={shown.app_url}"
        delay_s = REFRESH_S if decline is None else READING_S
        return f"{delay_s};url=/{slug}?seen=1&lang={lang}"

    def _decline(self, request: HtmlRequest) -> Decline | None:
        told = request.query_params.get("declined")
        return Decline(told) if told in set(Decline) else None

    async def _pay(self, deeplink: Deeplink) -> Decline | None:
        found = await self.db.read(lambda tx: payments.find_accounts(tx, [PAYER]))
        if PAYER not in found:
            raise AccountNotFound
        order = Order(participant_id=found[PAYER].participant_id, from_account_id=PAYER)
        try:
            command = payments.order_by_qr(order, qr=deeplink.qr)
        except BadAccountId:
            return Decline.UNKNOWN_ACCOUNT  # a bank elsewhere may have such a name, none here
        reply = await self.rail.pay(batch.Request[Pay, Payment](command=command, render=_nothing))
        assert reply.outcome is not None
        return reply.outcome.decline_reason

    async def _deeplink(self, slug: str) -> Deeplink:
        if not SLUG.fullmatch(slug):
            raise NotFoundException
        try:
            return await self.db.read(lambda tx: payments.find_deeplink(tx, slug))
        except DeeplinkNotFound as error:
            raise NotFoundException from error


def handlers(
    *,
    db: Database,
    rail: Rail,
    porch: Porch,
    settings: Settings,
    sealer: Sealer,
    api: dict[str, Any],
    vault: Vault,
) -> list[ControllerRouterHandler]:
    """List the handlers of the pages."""
    guard = Guard(porch=porch, sealer=sealer)
    pages = Pages(
        db=db,
        rail=rail,
        guard=guard,
        settings=settings,
        chapters=manual.chapters(api),
    )
    errors: Any = {BayonError: refuse}
    reading = [HttpMethod.GET, HttpMethod.HEAD]

    @route("/", http_method=reading, sync_to_thread=False, exception_handlers=errors)
    def welcome(request: Request[Any, Any, Any]) -> Template:
        return pages.welcome(request)

    @route("/docs", http_method=reading, sync_to_thread=False, exception_handlers=errors)
    def docs(request: Request[Any, Any, Any]) -> Template:
        return pages.docs(request)

    @route("/{slug:str}", http_method=reading, exception_handlers=errors)
    async def land(request: Request[Any, Any, Any], slug: FromPath[str]) -> Template:
        return await pages.land(request, slug)

    @route(
        "/{slug:str}",
        http_method=HttpMethod.POST,
        exception_handlers=errors,
        request_max_body_size=FORM_SIZE_MAX,
    )
    async def pay(request: Request[Any, Any, Any], slug: FromPath[str]) -> Redirect:
        return await pages.pay(request, slug)

    pins = pin_handlers(db=db, guard=guard, vault=vault, settings=settings)
    return [welcome, docs, land, pay, *pins, *_files()]


def _files() -> list[ControllerRouterHandler]:
    # Their addresses on the pages carry their version, so that they may be kept for ever.
    kept = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }

    @get("/style.css", sync_to_thread=False)
    def style() -> Response[bytes]:
        return Response(STYLE, media_type="text/css", headers=kept)

    @get("/icon.svg", sync_to_thread=False)
    def icon() -> Response[bytes]:
        return Response(ICON, media_type="image/svg+xml", headers=kept)

    return [style, icon]


def _nothing(_payment: Payment) -> bytes:
    """Render no answer: a page that is loaded anew tells the outcome."""
    return b""
