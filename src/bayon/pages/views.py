"""Pages."""

from pathlib import Path
from typing import Any

from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.response import Response
from litestar.template.config import TemplateConfig
from litestar.types import ControllerRouterHandler

from bayon.config import Settings
from bayon.db import Database
from bayon.payments import Rail
from bayon.web import Porch


def handlers(
    *, db: Database, rail: Rail, porch: Porch, settings: Settings, api: dict[str, Any]
) -> list[ControllerRouterHandler]:
    """List the handlers of the pages."""
    return []


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    """Say where the templates are."""
    return TemplateConfig(directory=Path(__file__).parent / "templates", engine=JinjaTemplateEngine)


def wanted(accept: str, path: str) -> bool:
    """Tell whether a person asks, who wants a page."""
    return False


def not_found() -> Response[bytes]:
    """Say that there is nothing here."""
    return Response(b"", status_code=404)
