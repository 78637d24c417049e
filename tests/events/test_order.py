"""In what order events are told, to whom, and again when asked."""

import asyncio
from uuid import UUID

import pytest
from aiohttp import web

from bayon import events
from bayon.db import Database
from bayon.events import Policy
from bayon.events.schedule import RETRIES
from bayon.ids import uuid7
from events.receivers import (
    Answer,
    Got,
    advance,
    attempts,
    change,
    deliver,
    delivering,
    emit,
    emit_of,
    make_fact,
    make_owner,
    now,
    receiving,
    replay,
    resend,
    saying,
    states,
    subscribe,
)

# In what order.


async def test_events_of_one_resource_arrive_in_order(db: Database) -> None:
    owner_id, subject_id = await make_owner(db), uuid7()
    async with receiving(saying(200, delay_s=0.01)) as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url + "/a")
        event_ids = await emit_of(db, owner_id, subject_id=subject_id, count=20)
        event_ids += await emit_of(db, owner_id, subject_id=subject_id, count=3)
        await deliver(courier)
    assert receiver.ids() == event_ids
    assert receiver.at_once_max == {"/a": 1}


async def test_one_that_fails_holds_back_its_own_resource_only_and_five_times(
    db: Database,
) -> None:
    owner_id, subject_id = await make_owner(db), uuid7()
    async with receiving() as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url)
        first, second, third = await emit_of(db, owner_id, subject_id=subject_id, count=3)
        (other,) = await emit_of(db, owner_id)
        receiver.answer = failing_for(first)
        await deliver(courier)
        assert sorted(receiver.ids()) == sorted([first, other])
        for delay in RETRIES[:3]:
            await advance(db, advance_s=delay.total_seconds())
            await deliver(courier)
        assert receiver.ids().count(first) == 4
        assert second not in receiver.ids()
        await advance(db, advance_s=RETRIES[3].total_seconds())
        await deliver(courier)
        assert receiver.ids()[-3:] == [first, second, third]
        receiver.answer = None
        await advance(db, advance_s=RETRIES[4].total_seconds())
        await deliver(courier)
    assert receiver.ids()[-1] == first
    assert await states(db, first, second, third) == ["delivered"] * 3


async def test_what_is_held_back_comes_when_it_may(db: Database) -> None:
    owner_id, subject_id = await make_owner(db), uuid7()
    async with receiving(saying(500)) as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url)
        event_ids = await emit_of(db, owner_id, subject_id=subject_id, count=100)
        await deliver(courier)
        event_ids += await emit_of(db, owner_id, subject_id=subject_id, count=5)
        await deliver(courier)
        assert receiver.ids() == event_ids[:1]
        receiver.answer = None
        await advance(db, advance_s=5)
        await deliver(courier)
    assert receiver.ids()[1:] == event_ids


# To whom.


async def test_declines_are_told_to_those_only_that_name_them(db: Database) -> None:
    owner_id = await make_owner(db)
    types = ["transaction.created", "transaction.declined", "card.updated"]
    async with receiving() as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url + "/all")
        await subscribe(db, owner_id, receiver.url + "/some", event_types=types[1:])
        made = await emit(db, *(make_fact(owner_id, of_type=of_type) for of_type in types))
        await deliver(courier)
    assert sorted(receiver.ids("/all")) == sorted([made[0], made[2]])
    assert sorted(receiver.ids("/some")) == sorted(made[1:])


async def test_owners_are_told_their_own(db: Database) -> None:
    here, there = await make_owner(db), await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        await subscribe(db, here, receiver.url + "/here")
        await subscribe(db, there, receiver.url + "/there")
        mine, yours = make_fact(here), make_fact(there)
        await emit(db, mine, yours)
        await deliver(courier)
        with pytest.raises(events.EventNotFound):
            await attempts(db, there, mine.id)
        with pytest.raises(events.EventNotFound):
            await resend(db, there, mine.id)
        await deliver(courier)
    assert receiver.ids("/here") == [mine.id]
    assert receiver.ids("/there") == [yours.id]


async def test_one_that_is_disabled_is_told_nothing_of_that_time(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(500)) as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        before = await emit_of(db, owner_id, count=3)
        await deliver(courier)
        await change(db, made.endpoint, enabled=False)
        await emit_of(db, owner_id)
        receiver.answer, receiver.got = None, []
        await change(db, made.endpoint, enabled=True)
        after = await emit_of(db, owner_id)
        await advance(db, advance_s=60)
        await deliver(courier)
        assert receiver.ids() == []
        while await courier.sweep():
            pass
        await deliver(courier)
    assert receiver.ids() == after
    assert await states(db, *before) == ["voided"] * 3


async def test_one_that_is_deleted_takes_what_was_due_with_it_and_leaves_its_attempts(
    db: Database,
) -> None:
    owner_id, subject_id = await make_owner(db), uuid7()
    async with receiving(saying(500)) as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        event_ids = await emit_of(db, owner_id, subject_id=subject_id, count=3)
        await deliver(courier)
        await db.transaction(
            lambda tx: events.delete_endpoint(tx, owner_id=owner_id, endpoint_id=made.endpoint.id)
        )
        await advance(db, advance_s=60)
        await deliver(courier)
        while await courier.sweep():
            pass
    assert receiver.ids() == event_ids[:1]
    assert await states(db, *event_ids) == ["voided"] * 3
    assert len(await attempts(db, owner_id, event_ids[0])) == 1


# Again, when asked.


async def test_an_event_is_sent_again_with_its_id_though_it_had_arrived(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url + "/a")
        off = await subscribe(db, owner_id, receiver.url + "/off")
        await change(db, off.endpoint, enabled=False)
        await subscribe(db, owner_id, receiver.url + "/cards", event_types=["card.updated"])
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
        await subscribe(db, owner_id, receiver.url + "/later")
        assert await resend(db, owner_id, event_id) == 2
        await deliver(courier)
    assert sorted(got.path for got in receiver.got) == ["/a", "/a", "/later"]
    assert set(receiver.ids()) == {event_id}
    assert len(await attempts(db, owner_id, event_id)) == 3


async def test_what_failed_for_good_is_tried_as_if_new_when_sent_again(db: Database) -> None:
    owner_id = await make_owner(db)
    short = Policy(retries=RETRIES[:1], jitter=0.0)
    async with receiving(saying(500)) as receiver, delivering(db, policy=short) as courier:
        await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
        await advance(db, advance_s=5)
        await deliver(courier)
        assert await states(db, event_id) == ["failed"]
        await resend(db, owner_id, event_id)
        await deliver(courier)
        assert await states(db, event_id) == ["due"]
        receiver.answer = None
        await advance(db, advance_s=5)
        await deliver(courier)
    assert await states(db, event_id) == ["delivered"]
    assert len(receiver.got) == 4


async def test_a_range_is_replayed_in_pages_and_in_order(db: Database) -> None:
    owner_id, subject_id = await make_owner(db), uuid7()
    async with receiving() as receiver, delivering(db) as courier:
        await emit_of(db, owner_id, count=2)
        await advance(db, advance_s=3_600)
        since = await now(db)
        wanted = await emit_of(db, owner_id, subject_id=subject_id, count=7)
        until = await now(db)
        await advance(db, advance_s=3_600)
        await emit_of(db, owner_id, count=2)
        await subscribe(db, owner_id, receiver.url)
        pages: list[int] = []
        at = 0
        while True:
            page = await replay(db, owner_id, since=since, until=until, after_seq=at)
            pages.append(page.deliveries)
            if page.next_seq is None:
                break
            at = page.next_seq
        await deliver(courier)
    assert pages == [3, 3, 1]
    assert receiver.ids() == wanted


def failing_for(event_id: UUID) -> Answer:
    async def answer(got: Got) -> web.Response:
        await asyncio.sleep(0)
        return web.Response(status=500 if got.event_id == event_id else 204)

    return answer
