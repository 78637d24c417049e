"""The outbox: facts go in with the transaction of their cause, and are read in its order."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from bayon.db import Tx
from bayon.events import store
from bayon.events.model import Event, EventNotFound, Fact
from bayon.keyset import Page, Span, Window, cut


async def open_stream(tx: Tx, *, owner_id: UUID) -> None:
    """Let there be events of this owner; once there may be, nothing changes."""
    await store.open_counter(tx, owner_id)


async def emit(tx: Tx, facts: Sequence[Fact], *, now: datetime) -> None:
    """Write facts, in order, in their owners' streams. The last statement of a verb.

    Writes `counter` (locked by owner until the commit, so that `seq` is the order of commits),
    `event`, and a `delivery` for each enabled endpoint that wants the type. An owner without a
    stream is a bug: nothing would be written, and nobody told.
    """
    if facts:
        written = await store.insert_events(tx, facts, created_at=now)
        assert written == len(facts), "every owner has a stream"


def whole(body: bytes) -> bytes:
    """Write the document an event is served and sent as, byte for byte."""
    return b'{"data":' + body + b"}"


async def find_event(tx: Tx, *, owner_id: UUID, event_id: UUID) -> Event:
    """Find an event of this owner. Errors: `EventNotFound`."""
    found = await store.find_event(tx, event_id, owner_id=owner_id)
    if found is None:
        raise EventNotFound
    return found


async def list_events(
    tx: Tx, *, owner_id: UUID, window: Window, of_type: str | None = None, span: Span
) -> Page[Event]:
    """List an owner's events, the newest first, in the order of their commits."""
    rows = await store.page(tx, owner_id=owner_id, window=window, of_type=of_type, span=span)
    return cut(window, rows)


async def subjects_told(
    tx: Tx, subject_ids: Sequence[UUID], *, types: Sequence[str]
) -> dict[UUID, int]:
    """Count the events of these types of each resource; one without any is not in the answer."""
    return await store.subjects_told(tx, subject_ids, types=types)
