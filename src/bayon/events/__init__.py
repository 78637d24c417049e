"""Events: facts told to the outside, written with their cause. Stores bytes, knows no shape."""

from bayon.events.model import Event, EventNotFound, Fact
from bayon.events.outbox import emit, find_event, list_events, open_stream, subjects_told

__all__ = [
    "Event",
    "EventNotFound",
    "Fact",
    "emit",
    "find_event",
    "list_events",
    "open_stream",
    "subjects_told",
]
