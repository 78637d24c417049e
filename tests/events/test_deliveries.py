"""Deliveries: told once, again when it failed, in order, to whom it may concern, and to each alone."""

from events.receivers import (
    attempts,
    deliver,
    delivering,
    emit_of,
    make_owner,
    receiving,
    states,
    subscribe,
)

from bayon.db import Database
from bayon.events import whole


async def test_an_event_arrives_as_it_is_served(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url + "/a")
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
        (got,) = receiver.got
        assert got.event_id == event_id
        assert await states(db, event_id) == ["delivered"]
        assert len(await attempts(db, owner_id, event_id)) == 1
