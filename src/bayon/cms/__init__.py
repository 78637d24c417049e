"""The card management API: JSON:API, to the letter of its document."""

from bayon.cms.api import CardApi
from bayon.cms.operation import read
from bayon.cms.shapes import COMPONENTS, EVENT_TYPES
from bayon.cms.wire import refuse

__all__ = ["COMPONENTS", "EVENT_TYPES", "CardApi", "read", "refuse"]
