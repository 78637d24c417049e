"""The events' nouns, frozen."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from bayon.errors import Conflict, NotFound
from bayon.log import Secret


class EventNotFound(NotFound):
    """There is no such event."""

    code = "event_not_found"


class EndpointNotFound(NotFound):
    """There is no such webhook endpoint."""

    code = "endpoint_not_found"


class TooManyEndpoints(Conflict):
    """There are as many webhook endpoints as there may be; delete one first."""

    code = "too_many_endpoints"


class Fact(Struct, frozen=True, kw_only=True):
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A subscriber: where its owner's events are sent to.

    `event_types`: which; none is all but declines. `disabled_reason`: why we disabled it (`gone`,
    `failing`), None where its owner did. `previous_until`: how long the secret before still counts.
    """

    id: UUID
    owner_id: UUID
    url: str
    event_types: tuple[str, ...]
    enabled: bool
    disabled_reason: str | None
    previous_until: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class NewSecret:
    """An endpoint with the signing secret it has just been given, told this once."""

    endpoint: Endpoint
    secret: Secret


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt to tell an event to an endpoint, and what came of it.

    `status_code` and `response_excerpt` (the first KiB) where there was an answer, `error` where
    there was none: unreachable, untrusted, timed_out, too_large, bad_url.
    """

    id: UUID
    event_id: UUID
    endpoint_id: UUID
    attempted_at: datetime
    status_code: int | None
    duration_ms: int
    error: str | None
    response_excerpt: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """A page of a replay: how many deliveries came due, and where to go on; None at the end."""

    deliveries: int
    next_seq: int | None
