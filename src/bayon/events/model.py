"""The events' nouns, frozen."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bayon.errors import NotFound


class EventNotFound(NotFound):
    """There is no such event."""

    code = "event_not_found"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that happened: whose, of what type, to which resource, and the bytes to tell."""

    id: UUID
    owner_id: UUID
    type: str
    subject_id: UUID
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A fact as it was written: its bytes are served and sent as they are."""

    id: UUID
    type: str
    body: bytes
    created_at: datetime
