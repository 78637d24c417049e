"""The pages on which a card's holder chooses a PIN: to activate the card, or in place of another.

    link > form > [transaction] redeem > [commit] > done

The link holds a token, which a GET does not use up: programs that preview links open them too. A
token that is unknown, used, expired, voided or for the other page leads to one and the same page.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from litestar import HttpMethod, Request, route
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from bayon import cards
from bayon.cards import Card, HolderLink, TokenType, TokenVoid, Vault, WeakPin
from bayon.clock import PHNOM_PENH, Clock
from bayon.config import Settings
from bayon.db import Database, Tx, read_clock
from bayon.errors import BayonError
from bayon.pages import pin_form, receipts
from bayon.pages.forms import StaleForm
from bayon.pages.guard import FORM_SIZE_MAX, Guard
from bayon.pages.page import HEADERS, HtmlRequest, page, say_to
from bayon.pages.pin_form import PinForm, Problems
from bayon.pages.refusals import refuse
from bayon.pages.returning import Returns
from bayon.web import Limit

PAGES: Final[tuple[TokenType, ...]] = ("card_activation", "pin_reset")
REFUSED: Final = 422
STALE: Final = 403
PER_TOKEN_PER_S: Final = 1
PER_TOKEN_BURST: Final = 20
"""How often one link may be used, right or wrong: a holder who errs, not a program that tries."""
SECURE: Final = {"Strict-Transport-Security": "max-age=31536000"}


@dataclass(frozen=True, kw_only=True)
class PinPages:
    """The door of card holders."""

    db: Database
    guard: Guard
    vault: Vault
    settings: Settings
    limit: Limit
    returns: Returns

    async def show(self, request: HtmlRequest, of_type: TokenType) -> Template:
        """Show the form a link leads to."""
        self.guard.enter(request)
        token = pin_form.read_token(request.query_params.get("token"))
        self._count(token)
        link = await self._look_up(token, of_type)
        return_url = self.returns.take(request.query_params.get("return_url"))
        return self._form(request, link, token, return_url, {}, status=200)

    async def submit(self, request: HtmlRequest, of_type: TokenType) -> Template | Redirect:
        """Take the form; what is wrong with it stands above it, shown again without the PIN."""
        self.guard.enter(request)
        fields = await self.guard.read_form(request)
        form = pin_form.read(fields)
        self._count(form.token)
        link = await self._look_up(form.token, of_type)
        return_url = self.returns.take(form.return_url)
        if not self._is_own(request, fields, _place(of_type, form.token)):
            stale = {"form": "form_stale"}
            return self._form(request, link, form.token, return_url, stale, status=STALE)
        problems = pin_form.judge(form, self.vault) or await self._redeem(form, of_type)
        if problems:
            return self._form(request, link, form.token, return_url, problems, status=REFUSED)
        return self._to_done(request, link, return_url)

    def done(self, request: HtmlRequest, of_type: TokenType) -> Template:
        """Say what was done, and where to go on."""
        self.guard.enter(request)
        given, now = request.query_params.get("receipt"), Clock().now()
        receipt = receipts.read(self.guard.sealer, given, page=of_type, now=now)
        if receipt is None:
            raise TokenVoid
        context = {
            "of_type": of_type,
            "receipt": receipt,
            "return_url": self.returns.take(receipt.return_url),
            "sandbox": self.settings.sandbox,
            "there": f"/{of_type}/done",
            "kept": urlencode({"receipt": given}) + "&",
        }
        return page("pin_done.html", say_to(request), context, headers=self._headers(request))

    def refuse(self, request: HtmlRequest, error: BayonError) -> Template:
        """Answer an error with a page; for a link that leads nowhere always with the same."""
        template = refuse(request, error)
        template.headers.update(self._headers(request))
        return template

    def _count(self, token: str) -> None:
        self.limit.take(hashlib.sha256(token.encode()).digest())

    async def _look_up(self, token: str, of_type: TokenType) -> HolderLink:
        async def work(tx: Tx) -> HolderLink:
            now = (await read_clock(tx)).now()
            return await cards.look_up(tx, token=token, of_type=of_type, now=now)

        return await self.db.transaction(work)

    async def _redeem(self, form: PinForm, of_type: TokenType) -> Problems:
        async def work(tx: Tx) -> Card | WeakPin:
            return await cards.redeem(
                tx,
                token=form.token,
                of_type=of_type,
                pin=form.pin,
                vault=self.vault,
                now=(await read_clock(tx)).now(),
            )

        outcome = await self.db.transaction(work)
        return {"pin": f"pin_{outcome}"} if isinstance(outcome, WeakPin) else {}

    def _is_own(self, request: HtmlRequest, fields: Mapping[str, str], place: str) -> bool:
        try:
            self.guard.check_form(request, fields, page=place)
        except StaleForm:
            return False
        return True

    def _form(
        self,
        request: HtmlRequest,
        link: HolderLink,
        token: str,
        return_url: str | None,
        problems: Problems,
        *,
        status: int,
    ) -> Template:
        say, visitor = say_to(request), self.guard.visitor(request)
        named = {"token": token} | ({"return_url": return_url} if return_url else {})
        context = {
            "of_type": link.type,
            "link": link,
            "name": (link.name_km if say.lang == "km" else None) or link.name,
            "until": f"{link.expires_at.astimezone(PHNOM_PENH):%H:%M}",
            "hidden": {**named, "form_token": self._form_token(link, token, visitor)},
            "problems": problems,
            "sandbox": self.settings.sandbox,
            "there": f"/{link.type}/new",
            "kept": urlencode(named) + "&",
        }
        cookies = [self.guard.cookie(request, f"/{link.type}", visitor)]
        headers = self._headers(request)
        return page("pin.html", say, context, status=status, headers=headers, cookies=cookies)

    def _form_token(self, link: HolderLink, token: str, visitor: str) -> str:
        return self.guard.form_token(_place(link.type, token), visitor)

    def _to_done(self, request: HtmlRequest, link: HolderLink, return_url: str | None) -> Redirect:
        receipt = receipts.make(
            self.guard.sealer,
            page=link.type,
            last_four=link.last_four,
            issuer_name=link.issuer_name,
            return_url=return_url,
            now=Clock().now(),
        )
        named = urlencode({"receipt": receipt, "lang": say_to(request).lang})
        there = f"/{link.type}/done?{named}"
        return Redirect(there, status_code=303, headers={**HEADERS, **self._headers(request)})

    def _headers(self, request: HtmlRequest) -> dict[str, str]:
        # Not in the sandbox, which serves http on the same name too.
        return SECURE if self.guard.is_secure(request) and not self.settings.sandbox else {}


def _place(of_type: TokenType, token: str) -> str:
    """Name the page a form stands on: that of one link."""
    return f"{of_type} {token}"


def pin_handlers(
    *, db: Database, guard: Guard, vault: Vault, settings: Settings
) -> list[ControllerRouterHandler]:
    """List the handlers of the pages for holders."""
    pages = PinPages(
        db=db,
        guard=guard,
        vault=vault,
        settings=settings,
        limit=Limit(min(PER_TOKEN_PER_S, settings.rate_limit_token_per_s), burst=PER_TOKEN_BURST),
        returns=Returns.of(settings.return_urls),
    )
    return [handler for of_type in PAGES for handler in _handlers(pages, of_type)]


def _handlers(pages: PinPages, of_type: TokenType) -> list[ControllerRouterHandler]:
    errors: Any = {BayonError: pages.refuse}
    reading = [HttpMethod.GET, HttpMethod.HEAD]

    @route(f"/{of_type}/new", http_method=reading, exception_handlers=errors)
    async def show(request: Request[Any, Any, Any]) -> Template:
        return await pages.show(request, of_type)

    @route(
        f"/{of_type}",
        http_method=HttpMethod.POST,
        exception_handlers=errors,
        request_max_body_size=FORM_SIZE_MAX,
    )
    async def submit(request: Request[Any, Any, Any]) -> Template | Redirect:
        return await pages.submit(request, of_type)

    @route(f"/{of_type}/done", http_method=reading, sync_to_thread=False, exception_handlers=errors)
    def done(request: Request[Any, Any, Any]) -> Template:
        return pages.done(request, of_type)

    return [show, submit, done]
