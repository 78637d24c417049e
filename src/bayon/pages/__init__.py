"""The pages door: the deeplink's landing and pay page, the description to browse."""

from bayon.pages.views import handlers, not_found, template_config, wanted

__all__ = ["handlers", "not_found", "template_config", "wanted"]
