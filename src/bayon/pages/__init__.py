"""The pages door: the deeplink's landing and pay page, the description to browse."""

from bayon.pages.page import template_config
from bayon.pages.refusals import not_found, wanted
from bayon.pages.views import handlers

__all__ = ["handlers", "not_found", "template_config", "wanted"]
