"""Guard: what stands before every page: how often one may come, that a form is its page's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException

from bayon.clock import Clock
from bayon.pages import forms
from bayon.pages.page import HtmlRequest
from bayon.seal import Sealer
from bayon.web import BadBody, BodyTooLarge, Porch

FORM_SIZE_MAX: Final = 4_096
FIELDS_MAX: Final = 8
FORM_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The guard of all pages."""

    porch: Porch
    sealer: Sealer

    def enter(self, request: HtmlRequest) -> None:
        """Count a visit. Errors: `TooManyRequests`."""
        self.porch.address_limit.take(request.client.host if request.client else "")

    def url(self, request: HtmlRequest) -> str:
        """Tell where this server stands, as the visitor sees it."""
        host = request.headers.get("host", "localhost")
        return self.porch.public_url or f"{request.scope['scheme']}://{host}"

    def is_secure(self, request: HtmlRequest) -> bool:
        """Tell whether the visitor comes by https."""
        return self.url(request).startswith("https:")

    def visitor(self, request: HtmlRequest) -> str:
        """Recognise a visitor, or make a new one."""
        return forms.visitor(request.cookies.get(self._cookie_name(request)))

    def form_token(self, page: str, visitor: str) -> str:
        """Make the token of a form that stands on `page`."""
        return forms.make_token(self.sealer, page=page, visitor=visitor, now=Clock().now())

    def cookie(self, request: HtmlRequest, path: str, visitor: str) -> Cookie:
        """Make the cookie by which a visitor of the pages under `path` is recognised."""
        return Cookie(
            key=self._cookie_name(request),
            value=visitor,
            path=path,
            max_age=forms.FORM_TTL_S,
            httponly=True,
            samesite="strict",
            secure=self.is_secure(request),
        )

    async def read_form(self, request: HtmlRequest) -> dict[str, str]:
        """Read a form's fields. Errors: `BodyTooLarge`, `BadBody`."""
        try:
            body = await request.body()
        except HTTPException as error:
            raise BodyTooLarge from error
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
            raise BadBody("This is no form.")
        try:
            return dict(parse_qsl(body.decode("ascii"), max_num_fields=FIELDS_MAX))
        except ValueError as error:
            raise BadBody("This is no form.") from error

    def check_form(self, request: HtmlRequest, fields: Mapping[str, str], *, page: str) -> None:
        """Errors: `StaleForm` unless the form stood on `page` and was shown to this visitor."""
        forms.check_token(
            self.sealer,
            fields.get("form_token", ""),
            page=page,
            visitor=request.cookies.get(self._cookie_name(request)),
            now=Clock().now(),
        )

    def _cookie_name(self, request: HtmlRequest) -> str:
        # Two names, because a browser lets no page without TLS replace what one with it has set.
        return "__Secure-bayon-form" if self.is_secure(request) else "bayon-form"
