"""Deliveries: what is sent, what is kept of it, and when it is tried again."""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import jwt
import pytest

from bayon import events
from bayon.db import Database
from bayon.events import Courier, Policy
from bayon.events.schedule import RETRIES
from bayon.fetch import Fetcher
from events.receivers import (
    SEALER,
    STEADY,
    advance,
    attempts,
    bearer,
    deliver,
    delivering,
    emit,
    emit_of,
    find,
    make_fact,
    make_owner,
    receiving,
    saying,
    standard,
    states,
    subscribe,
)

# What is sent.


async def test_an_event_arrives_as_it_is_served_and_verifies(db: Database) -> None:
    owner_id = await make_owner(db)
    fact = make_fact(owner_id)
    async with receiving() as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url + "/a?b=c")
        await emit(db, fact)
        await deliver(courier)
    (got,) = receiver.got
    assert got.body == b'{"data":' + fact.body + b"}" == events.whole(fact.body)
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["User-Agent"].startswith("Bayon/")
    secret = made.secret.reveal()
    claims = jwt.decode(bearer(got), secret, algorithms=["HS256"], issuer="Bongloy")
    assert claims["sub"] == got.headers["webhook-id"] == str(fact.id)
    assert claims["body_sha256"] == hashlib.sha256(got.body).hexdigest()
    (attempt,) = await attempts(db, owner_id, fact.id)
    assert claims["jti"] == str(attempt.id)
    assert got.headers["webhook-signature"] == standard(secret, got, got.body)
    assert got.headers["webhook-signature"] != standard(secret, got, got.body + b" ")


async def test_signatures_carry_the_real_time_however_far_the_clock_is_ahead(db: Database) -> None:
    owner_id = await make_owner(db)
    await advance(db, advance_s=30 * 86_400)
    async with receiving() as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
    (got,) = receiver.got
    jwt.decode(bearer(got), made.secret.reveal(), algorithms=["HS256"], issuer="Bongloy")
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    (attempt,) = await attempts(db, owner_id, event_id)
    assert attempt.attempted_at > datetime.now(UTC) + timedelta(days=29)


async def test_an_attempt_is_kept_with_the_beginning_of_its_answer(db: Database) -> None:
    owner_id = await make_owner(db)
    body = b"\x00\xff" + "ខ".encode() * 1_000
    async with receiving(saying(200, body=body)) as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
    (attempt,) = await attempts(db, owner_id, event_id)
    assert (attempt.status_code, attempt.error) == (200, None)
    assert attempt.response_excerpt is not None
    assert attempt.response_excerpt.startswith("\ufffd\ufffdខខ")
    assert len(attempt.response_excerpt) == 2 + 340 + 1  # 1,024 bytes, the last letter cut
    assert 0 <= attempt.duration_ms < 5_000


async def test_a_long_answer_of_success_is_success_and_no_more_than_its_beginning_is_read(
    db: Database,
) -> None:
    owner_id = await make_owner(db)
    long = saying(200, body=b"x" * 20 * 2**20)
    async with receiving(long) as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
    (attempt,) = await attempts(db, owner_id, event_id)
    assert (attempt.status_code, attempt.error) == (200, None)
    assert attempt.response_excerpt == "x" * 1_024
    assert await states(db, event_id) == ["delivered"]


@pytest.mark.parametrize(
    ("url", "error"), [("http://127.0.0.1:1/", "unreachable"), ("https://10.0.0.1/", "bad_url")]
)
async def test_no_answer_is_an_attempt_too(db: Database, url: str, error: str) -> None:
    owner_id = await make_owner(db)
    await subscribe(db, owner_id, "http://127.0.0.1:1/")
    await db.transaction(lambda tx: tx.run("UPDATE events.endpoint SET url = $1", url))
    async with delivering(db) as courier:
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
    (attempt,) = await attempts(db, owner_id, event_id)
    assert (attempt.status_code, attempt.error, attempt.response_excerpt) == (None, error, None)
    assert await states(db, event_id) == ["due"]


async def test_an_answer_that_does_not_come_is_not_waited_for(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(200, delay_s=5)) as receiver:
        await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        async with Fetcher(loopback=True, timeout_s=0.2) as fetcher:
            await deliver(Courier(db, SEALER, fetcher, policy=STEADY))
    (attempt,) = await attempts(db, owner_id, event_id)
    assert attempt.error == "timed_out"


async def test_a_redirect_is_a_failure_and_is_not_followed(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        receiver.answer = saying(302, {"Location": receiver.url + "/other"})
        await subscribe(db, owner_id, receiver.url + "/a")
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
    assert [got.path for got in receiver.got] == ["/a"]
    assert await states(db, event_id) == ["due"]


# When it is tried again.


async def test_the_table_is_followed_under_the_clock_with_one_id_to_the_end(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(500)) as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
        for number, delay in enumerate(RETRIES, 1):
            early_s = 4 if number == 1 else delay.total_seconds() / 2
            await advance(db, advance_s=delay.total_seconds() - early_s)
            await deliver(courier)
            assert len(receiver.got) == number, "too early"
            await advance(db, advance_s=early_s)
            await deliver(courier)
            assert len(receiver.got) == number + 1, "too late"
        assert await states(db, event_id) == ["failed"]
        await advance(db, advance_s=10 * 86_400)
        await deliver(courier)
    assert receiver.ids() == [event_id] * 11
    tokens = [jwt.decode(bearer(got), made.secret.reveal(), ["HS256"]) for got in receiver.got]
    assert len({token["jti"] for token in tokens}) == 11
    kept = await attempts(db, owner_id, event_id)
    assert [attempt.status_code for attempt in kept] == [500] * 11
    begun = [attempt.attempted_at for attempt in kept]
    assert begun == sorted(begun, reverse=True)
    after = await find(db, made.endpoint)
    assert (after.enabled, after.disabled_reason) == (False, "failing")


async def test_jitter_spreads_retries(db: Database) -> None:
    owner_id = await make_owner(db)
    wild = Policy(jitter=1_000.0)
    async with receiving(saying(500)) as receiver, delivering(db, policy=wild) as courier:
        await subscribe(db, owner_id, receiver.url)
        await emit_of(db, owner_id, count=8)
        await deliver(courier)
    next_at = [
        row["next_at"]
        for row in await db.read(lambda tx: tx.rows("SELECT next_at FROM events.delivery"))
    ]
    assert len(next_at) == 8
    assert max(next_at) - min(next_at) > timedelta(seconds=200)


@pytest.mark.parametrize("dated", [False, True])
async def test_retry_after_is_honoured_and_leaves_the_endpoint_alone(
    db: Database, *, dated: bool
) -> None:
    owner_id = await make_owner(db)
    value = format_datetime(datetime.now(UTC) + timedelta(seconds=6_001), usegmt=True)
    said = saying(429, {"Retry-After": value if dated else "6000"})
    async with receiving(said) as receiver, delivering(db) as courier:
        await subscribe(db, owner_id, receiver.url)
        first = await emit_of(db, owner_id)
        await deliver(courier)
        receiver.answer = None
        second = await emit_of(db, owner_id)
        await advance(db, advance_s=5_900)
        await deliver(courier)
        assert receiver.ids() == first
        await advance(db, advance_s=101)
        await deliver(courier)
    assert sorted(receiver.ids()[1:]) == sorted(first + second)


async def test_gone_disables_at_once(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(410)) as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        told = await emit_of(db, owner_id)
        await deliver(courier)
        assert await emit_of(db, owner_id)
        await advance(db, advance_s=10 * 86_400)
        await deliver(courier)
    assert receiver.ids() == told
    after = await find(db, made.endpoint)
    assert (after.enabled, after.disabled_reason) == (False, "gone")
    assert await states(db, *told) == ["voided"]


async def test_an_endpoint_that_fails_for_three_days_is_disabled_and_one_success_prevents_it(
    db: Database,
) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(500)) as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        await emit_of(db, owner_id)
        await deliver(courier)
        assert (await find(db, made.endpoint)).failing_since is not None
        await advance(db, advance_s=2 * 86_400)
        receiver.answer = None
        await deliver(courier)
        assert (await find(db, made.endpoint)).failing_since is None
        receiver.answer = saying(500)
        await emit_of(db, owner_id)
        await deliver(courier)
        await advance(db, advance_s=2 * 86_400)
        await deliver(courier)
        assert (await find(db, made.endpoint)).enabled
        await advance(db, advance_s=86_400)
        last = await emit_of(db, owner_id)
        await deliver(courier)
        assert not (await find(db, made.endpoint)).enabled
        while await courier.sweep():
            pass
    assert await states(db, *last) == ["voided"]
