"""When secrets change: who has the old one is served meanwhile, and none is said aloud."""

import asyncio

import jwt
import pytest
from aiohttp import web

from bayon.db import Database
from events.receivers import (
    Answer,
    Got,
    advance,
    attempts,
    bearer,
    deliver,
    delivering,
    emit_of,
    make_owner,
    receiving,
    rotate,
    saying,
    standard,
    states,
    subscribe,
)


async def test_in_the_grace_time_a_receiver_with_the_old_secret_is_served_at_once(
    db: Database,
) -> None:
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        old = await subscribe(db, owner_id, receiver.url)
        receiver.answer = letting_in(old.secret.reveal())
        new = await rotate(db, owner_id, old.endpoint.id)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
        tried = await attempts(db, owner_id, event_id)
        assert [attempt.status_code for attempt in tried] == [204, 401]
        for got in receiver.got:
            both = got.headers["webhook-signature"].split(" ")
            assert {standard(s.reveal(), got, got.body) for s in (new.secret, old.secret)} == set(
                both
            )
        receiver.answer = letting_in(new.secret.reveal())
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
        assert [a.status_code for a in await attempts(db, owner_id, event_id)] == [204]
        await advance(db, advance_s=86_401)
        receiver.answer, receiver.got = letting_in(old.secret.reveal()), []
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
    (got,) = receiver.got
    assert got.headers["webhook-signature"] == standard(new.secret.reveal(), got, got.body)
    assert await states(db, event_id) == ["due"]


async def test_both_secrets_refused_is_one_failure_with_two_attempts(db: Database) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(403)) as receiver, delivering(db) as courier:
        old = await subscribe(db, owner_id, receiver.url)
        await rotate(db, owner_id, old.endpoint.id)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
        assert len(await attempts(db, owner_id, event_id)) == 2
        await advance(db, advance_s=5)
        await deliver(courier)
    assert len(receiver.got) == 4


async def test_no_secret_and_no_token_is_said_aloud(
    db: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(500)) as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url + "/path")
        rotated = await rotate(db, owner_id, made.endpoint.id)
        await emit_of(db, owner_id)
        await deliver(courier)
        said = "".join(capfd.readouterr())
    assert "event not delivered" in said
    rows = await db.read(lambda tx: tx.rows("SELECT * FROM events.endpoint"))
    said += repr((made, rotated, rows))
    hidden = [made.secret.reveal(), rotated.secret.reveal(), bearer(receiver.got[0])]
    assert [secret for secret in hidden if secret in said] == []
    assert "/path" not in said.partition("(NewSecret")[0]


def letting_in(secret: str) -> Answer:
    """Answer as a receiver that verifies the token by this secret."""

    async def answer(got: Got) -> web.Response:
        await asyncio.sleep(0)
        try:
            jwt.decode(bearer(got), secret, algorithms=["HS256"], issuer="Bongloy")
        except jwt.InvalidTokenError:
            return web.Response(status=401)
        return web.Response(status=204)

    return answer
