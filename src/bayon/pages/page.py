"""Pages: how each one goes out: its template, its language and the headers that guard it."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request
from litestar.datastructures import Cookie
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template import TemplateConfig

from bayon.pages.words import LANGS, LENGTH_MAX, Say, language

HtmlRequest = Request[Any, Any, Any]

_HERE: Final = Path(__file__).parent
STYLE: Final = (_HERE / "static" / "style.css").read_bytes()
ICON: Final = (_HERE / "static" / "icon.svg").read_bytes()
_VERSION: Final = hashlib.sha256(STYLE + ICON).hexdigest()[:12]

_IMAGES: Final = "img-src 'self'"
_POLICY: Final = (
    f"default-src 'none'; style-src 'self'; {_IMAGES}; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    """Say where the templates are; everything put into them is escaped, nothing may be missing."""
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(_HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment))


def say_to(request: HtmlRequest) -> Say:
    """Find out which language to speak."""
    asked = request.query_params.get("lang")
    return Say(language(asked, request.headers.get("accept-language", "")[:LENGTH_MAX]))


def page(
    template: str,
    say: Say,
    context: Mapping[str, object],
    *,
    status: int = 200,
    foreign_images: bool = False,
    headers: Mapping[str, str] | None = None,
    cookies: Iterable[Cookie] = (),
) -> Template:
    """Answer with a page. `foreign_images` lets it show images of other servers, over https."""
    policy = _POLICY.replace(_IMAGES, f"{_IMAGES} https:") if foreign_images else _POLICY
    given = {"Content-Security-Policy": policy, "Content-Language": say.lang, **(headers or {})}
    return Template(
        template,
        context={"say": say, "lang": say.lang, "langs": LANGS, "version": _VERSION, **context},
        status_code=status,
        headers={**HEADERS, **given},
        cookies=list(cookies),
        media_type="text/html",
    )
