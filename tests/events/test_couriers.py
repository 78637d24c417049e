"""Many at once: workers that die, couriers that compete, endpoints that are slow or dead."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import web

from bayon import events
from bayon.db import Database
from bayon.events import Attempt, Courier
from bayon.events.deliveries import Result, claim_due, settle
from bayon.events.schedule import Verdict
from bayon.fetch import Fetcher
from bayon.ids import uuid7
from events.receivers import (
    SEALER,
    STEADY,
    Got,
    advance,
    attempts,
    deliver,
    delivering,
    emit,
    emit_of,
    make_fact,
    make_owner,
    now,
    receiving,
    saying,
    states,
    subscribe,
    until,
    working,
)


async def test_what_a_dead_worker_had_claimed_comes_due_again(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url)
        event_ids = await emit_of(db, owner_id, count=3)
        died = await db.transaction(lambda tx: claim_due(tx, in_flight={}, policy=STEADY))
        assert len(died.claims) == 3
        await deliver(courier)
        assert receiver.got == []
        await advance(db, advance_s=STEADY.lease.total_seconds())
        await deliver(courier)
    assert sorted(receiver.ids()) == sorted(event_ids)


async def test_a_result_settled_again_after_a_lost_commit_changes_nothing(db: Database) -> None:
    owner_id = await make_owner(db)
    await subscribe(db, owner_id, "http://127.0.0.1:1/")
    (event_id,) = await emit_of(db, owner_id)
    claimed = await db.transaction(lambda tx: claim_due(tx, in_flight={}, policy=STEADY))
    at = claimed.clock.now()
    attempt = Attempt(
        id=uuid7(),
        event_id=event_id,
        endpoint_id=claimed.claims[0].endpoint_id,
        attempted_at=at,
        status_code=500,
        duration_ms=1,
        error=None,
        response_excerpt="",
    )
    verdict = Verdict(state="due", next_at=at + timedelta(seconds=5))
    result = Result(claim=claimed.claims[0], attempts=[attempt], verdict=verdict, ended_at=at)
    for _ in range(2):
        await db.transaction(lambda tx: settle(tx, [result], policy=STEADY))
    assert await attempts(db, owner_id, event_id) == [attempt]
    row = await db.read(lambda tx: tx.row("SELECT attempts, next_at FROM events.delivery"))
    assert row is not None
    assert tuple(row) == (1, at + timedelta(seconds=5))


async def test_a_clock_moved_past_the_lease_sends_nothing_twice_at_once(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(200, delay_s=0.3)) as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        await courier.step()
        await advance(db, advance_s=3_600)
        await courier.step()
        await courier.idle()
        await deliver(courier)
    assert receiver.ids() == [event_id]
    assert await states(db, event_id) == ["delivered"]


async def test_two_couriers_never_send_one_event_twice(db: Database, database: str) -> None:
    owner_id = await make_owner(db)
    other_db = await Database.connect(database, size_max=4)
    async with receiving(saying(200, delay_s=0.005)) as receiver:
        for path in ("/a", "/b", "/c"):
            await subscribe(db, owner_id, receiver.url + path)
        subjects = [uuid7() for _ in range(10)]
        facts = [make_fact(owner_id, subject_id=subjects[n % 10]) for n in range(100)]
        event_ids = await emit(db, *facts)
        couriers = [
            Courier(each, SEALER, Fetcher(loopback=True), policy=STEADY) for each in (db, other_db)
        ]
        async with working(*couriers):
            await until(lambda: len(receiver.got) >= 300)
            await asyncio.sleep(0.2)
    await other_db.close()
    for path in ("/a", "/b", "/c"):
        assert sorted(receiver.ids(path)) == sorted(event_ids)
        for subject_id in subjects:
            own = [fact.id for fact in facts if fact.subject_id == subject_id]
            assert [i for i in receiver.ids(path) if i in set(own)] == own


async def test_a_dead_and_a_slow_endpoint_delay_no_other(db: Database) -> None:
    owner_id = await make_owner(db)

    async def answer(got: Got) -> web.Response:
        if got.path == "/dead":
            await asyncio.sleep(30)
        if got.path == "/slow":
            await asyncio.sleep(0.5)
        return web.Response(status=204)

    async with receiving(answer) as receiver:
        for path in ("/dead", "/slow", "/well"):
            await subscribe(db, owner_id, receiver.url + path)
        courier = Courier(db, SEALER, Fetcher(loopback=True), policy=STEADY)
        async with working(courier):
            started = time.perf_counter()
            event_ids = await emit_of(db, owner_id, count=200)
            await until(lambda: len(receiver.ids("/well")) == 200)
            took_s = time.perf_counter() - started
            assert took_s < events.TIMEOUT_S, "it waited for the dead one"
            assert sorted(receiver.ids("/well")) == sorted(event_ids)
            assert 0 < len(receiver.ids("/slow")) <= 8 * (took_s / 0.5 + 1)
            assert len(receiver.ids("/dead")) == 8
            assert receiver.at_once_max["/well"] <= 8
            assert receiver.at_once_max["/slow"] <= 8


async def test_a_nudge_delivers_without_waiting_for_the_poll(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving() as receiver:
        await subscribe(db, owner_id, receiver.url)
        courier = Courier(db, SEALER, Fetcher(loopback=True))
        async with working(courier):
            await asyncio.sleep(0.2)
            await emit_of(db, owner_id)
            courier.nudge()
            await until(lambda: len(receiver.got) == 1)


async def test_a_batch_takes_as_many_statements_as_one(db: Database) -> None:
    owner_id = await make_owner(db)
    counts: list[tuple[int, int]] = []
    async with receiving() as receiver, delivering(db) as courier:
        for number in range(3):
            await subscribe(db, owner_id, f"{receiver.url}/{number}")
        for size in (1, 50, 500):
            facts = [make_fact(owner_id) for _ in range(size)]
            at = await now(db)
            db.journal = []
            await db.transaction(lambda tx, facts=facts, at=at: events.emit(tx, facts, now=at))
            emitted = len(db.journal)
            db.journal = []
            await courier.step()
            counts.append((emitted, len(db.journal)))
            await courier.idle()
    db.journal = None
    assert counts == [(1, 5)] * 3


async def test_a_long_queue_of_a_dead_endpoint_costs_the_healthy_one_nothing(db: Database) -> None:
    await queue_costs_nothing(db, size=20_000)


@pytest.mark.prove
async def test_a_million_due_to_a_dead_endpoint_cost_the_healthy_one_nothing(db: Database) -> None:
    await queue_costs_nothing(db, size=1_000_000)


async def queue_costs_nothing(db: Database, *, size: int) -> None:
    """Claim of a short queue beside a very long one: half its events are of one resource."""
    owner_id = await make_owner(db)
    dead = await subscribe(db, owner_id, "http://127.0.0.1:1/dead")
    well = await subscribe(db, owner_id, "http://127.0.0.1:1/well")
    (event_id,) = await emit_of(db, owner_id)
    short_s = await claims_take_s(db, flying={dead.endpoint.id: 32, well.endpoint.id: 31})
    await db.transaction(
        lambda tx: tx.run(
            "INSERT INTO events.delivery (event_id, endpoint_id, subject_id, seq, state, attempts,"
            " next_at, created_at) SELECT ('019a0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))"
            "::uuid, $1, CASE WHEN n % 2 = 0 THEN $2 ELSE ('019b0000-0000-7000-8000-' ||"
            " lpad(to_hex(n), 12, '0'))::uuid END, n, 'due', 0, d.next_at, d.next_at"
            " FROM generate_series(10, $3::int) AS n, events.delivery AS d"
            " WHERE d.event_id = $4 AND d.endpoint_id = $1",
            dead.endpoint.id,
            uuid7(),
            size,
            event_id,
        )
    )
    await db.transaction(
        lambda tx: tx.run(
            "INSERT INTO events.event SELECT event_id, $1, seq, 'a.b', subject_id, '{}', created_at"
            " FROM events.delivery WHERE seq BETWEEN 10 AND 5000",
            owner_id,
        )
    )
    await db.transaction(lambda tx: tx.run("UPDATE events.counter SET seq = $1", size + 1))
    await emit_of(db, owner_id, count=10)
    long_s = await claims_take_s(db, flying={dead.endpoint.id: 31})
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT count(*) AS claimed FROM events.delivery WHERE endpoint_id = $1"
            " AND next_at > created_at",
            well.endpoint.id,
        )
    )
    assert rows[0]["claimed"] == 11
    assert long_s < 5 * short_s + 0.01, (short_s, long_s)


async def claims_take_s(db: Database, *, flying: dict[UUID, int]) -> float:
    """Claim twenty times; returns how long it takes in the middle."""
    took_s: list[float] = []
    for _ in range(20):
        started = time.perf_counter()
        await db.transaction(lambda tx: claim_due(tx, in_flight=flying, policy=STEADY))
        took_s.append(time.perf_counter() - started)
    return sorted(took_s)[10]
