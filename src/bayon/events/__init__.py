"""Events: facts told to the outside, written with their cause. Stores bytes, knows no shape."""

from bayon.events.courier import TIMEOUT_S, Courier
from bayon.events.deliveries import list_attempts, replay, resend
from bayon.events.endpoints import (
    create_endpoint,
    delete_endpoint,
    find_endpoint,
    list_endpoints,
    new_secret,
    rotate_secret,
    update_endpoint,
)
from bayon.events.model import (
    Attempt,
    Endpoint,
    EndpointNotFound,
    Event,
    EventNotFound,
    Fact,
    NewSecret,
    Replayed,
    TooManyEndpoints,
)
from bayon.events.outbox import (
    emit,
    find_event,
    list_events,
    open_stream,
    subjects_told,
    whole,
)
from bayon.events.schedule import Policy
from bayon.events.sign import headers as sign
from bayon.events.sign import open_secret, seal_secret

__all__ = [
    "TIMEOUT_S",
    "Attempt",
    "Courier",
    "Endpoint",
    "EndpointNotFound",
    "Event",
    "EventNotFound",
    "Fact",
    "NewSecret",
    "Policy",
    "Replayed",
    "TooManyEndpoints",
    "create_endpoint",
    "delete_endpoint",
    "emit",
    "find_endpoint",
    "find_event",
    "list_attempts",
    "list_endpoints",
    "list_events",
    "new_secret",
    "open_secret",
    "open_stream",
    "replay",
    "resend",
    "rotate_secret",
    "seal_secret",
    "sign",
    "subjects_told",
    "update_endpoint",
    "whole",
]
