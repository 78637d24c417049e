"""One delivery, three verifiers that know nothing of us, by one secret: PyJWT and both libraries.

`standardwebhooks` and `svix` are used as they come, and are given the secret as it was shown.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook

from bayon.cli.receive import why_not
from bayon.db import Database
from bayon.log import Secret
from events.receivers import (
    Got,
    advance,
    bearer,
    deliver,
    delivering,
    emit_of,
    make_owner,
    receiving,
    rotate,
    saying,
    subscribe,
)

Verify = Callable[[str, Mapping[str, str], bytes], None]


def by_pyjwt(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Verify as the card API's document does, and that the token is of this body."""
    token = headers["Authorization"].removeprefix("Bearer ")
    claims: dict[str, Any] = jwt.decode(token, secret, algorithms=["HS256"], issuer="Bongloy")
    if claims["body_sha256"] != hashlib.sha256(body).hexdigest():
        raise jwt.InvalidTokenError("another body")


def by_standardwebhooks(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    assert StandardWebhook(secret).verify(body, dict(headers)) == json.loads(body)


def by_svix(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    SvixWebhook(secret).verify(body, dict(headers))


def by_listen(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Verify as `bayon webhooks listen` does."""
    lower = {name.lower(): value for name, value in headers.items()}
    if why := why_not(lower, body, secret=Secret(secret), iss="Bongloy"):
        raise ValueError(why)


SIGNATURES: Final[list[Verify]] = [by_standardwebhooks, by_svix]
VERIFIERS: Final[list[Verify]] = [by_pyjwt, *SIGNATURES, by_listen]
each = pytest.mark.parametrize("verify", VERIFIERS, ids=lambda verify: verify.__name__)
REFUSALS: Final = (WebhookVerificationError, jwt.InvalidTokenError, ValueError)


async def delivered(db: Database) -> tuple[Got, str]:
    """Deliver one event; returns the request and the secret."""
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        await emit_of(db, owner_id)
        await deliver(courier)
    (got,) = receiver.got
    return got, made.secret.reveal()


async def test_one_delivery_is_verified_by_all_and_once_tampered_with_by_none(
    db: Database,
) -> None:
    got, secret = await delivered(db)
    for verify in VERIFIERS:
        verify(secret, got.headers, got.body)
        for body in (got.body + b" ", got.body[:-1], got.body.replace(b"event", b"evenT"), b""):
            with pytest.raises(REFUSALS):
                verify(secret, got.headers, body)
        with pytest.raises(REFUSALS):
            verify(secret.swapcase(), got.headers, got.body)


async def test_another_deliverys_headers_verify_nothing(db: Database) -> None:
    (first, secret), (other, _) = await delivered(db), await delivered(db)
    for verify in VERIFIERS:
        with pytest.raises(REFUSALS):
            verify(secret, other.headers, first.body)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_changed_or_missing_header_fails(db: Database, name: str) -> None:
    got, secret = await delivered(db)
    changed = {**got.headers, name: got.headers[name].replace("1", "2")}
    missing = {given: value for given, value in got.headers.items() if given != name}
    for verify in (*SIGNATURES, by_listen):
        for headers in (changed, missing):
            with pytest.raises(REFUSALS):
                verify(secret, headers, got.body)


async def test_in_the_grace_time_both_secrets_verify_and_after_it_the_new_one_alone(
    db: Database,
) -> None:
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        rotated = await rotate(db, owner_id, made.endpoint.id)
        old, new = made.secret.reveal(), rotated.secret.reveal()
        await emit_of(db, owner_id)
        await deliver(courier)
        (got,) = receiver.got
        for verify in SIGNATURES:
            verify(old, got.headers, got.body)
            verify(new, got.headers, got.body)
        by_pyjwt(new, got.headers, got.body)
        receiver.answer, receiver.got = saying(401), []
        await emit_of(db, owner_id)
        await deliver(courier)
        tokens = [bearer(each) for each in receiver.got]
        for secret, got in zip((new, old), receiver.got, strict=True):
            by_pyjwt(secret, got.headers, got.body)
            by_listen(secret, got.headers, got.body)
        assert len(set(tokens)) == 2
        receiver.answer, receiver.got = None, []
        await advance(db, advance_s=86_401)
        await emit_of(db, owner_id)
        await deliver(courier)
    for got in receiver.got:
        for verify in VERIFIERS:
            verify(new, got.headers, got.body)
            with pytest.raises(REFUSALS):
                verify(old, got.headers, got.body)


@each
async def test_each_attempt_is_verified_and_of_the_same_event(db: Database, verify: Verify) -> None:
    owner_id = await make_owner(db)
    async with receiving(saying(500)) as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        (event_id,) = await emit_of(db, owner_id)
        for _ in range(3):
            await deliver(courier)
            await advance(db, advance_s=400)
    assert receiver.ids() == [event_id] * 3
    for got in receiver.got:
        verify(made.secret.reveal(), got.headers, got.body)
    assert len({bearer(got) for got in receiver.got}) == 3
