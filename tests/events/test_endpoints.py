"""Endpoints: made, found, changed and deleted by their owner, and by nobody else."""

import base64
import re
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from bayon import events
from bayon.db import Database, Tx
from bayon.events import EndpointNotFound, TooManyEndpoints
from bayon.events.endpoints import ENDPOINTS_MAX
from bayon.fetch import BadUrl, Fetcher
from bayon.ids import uuid7
from bayon.keyset import Window
from events.receivers import SEALER, change, find, make_owner, now, rotate, subscribe

URL = "http://127.0.0.1:1/hook"


async def test_a_secret_is_32_letters_and_digits_and_as_base64_the_24_bytes_of_the_standard(
    db: Database,
) -> None:
    owner_id = await make_owner(db)
    made = [await subscribe(db, owner_id, URL) for _ in range(3)]
    secrets = [each.secret.reveal() for each in made]
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", secret) for secret in secrets)
    assert {len(base64.b64decode(secret, validate=True)) for secret in secrets} == {24}
    assert len(set(secrets)) == 3


async def test_secrets_are_sealed_and_shown_by_nothing(db: Database) -> None:
    owner_id = await make_owner(db)
    made = await subscribe(db, owner_id, URL)
    rotated = await rotate(db, owner_id, made.endpoint.id)
    row = await db.read(lambda tx: tx.row("SELECT * FROM events.endpoint"))
    found = await find(db, made.endpoint)
    shown = f"{made!r} {rotated!r} {row!r} {found!r}"
    assert made.secret.reveal() not in shown
    assert rotated.secret.reveal() not in shown
    assert made.secret != rotated.secret


async def test_it_is_found_as_it_was_made(db: Database) -> None:
    owner_id = await make_owner(db)
    made = await subscribe(db, owner_id, URL, event_types=["card.updated", "a.declined"])
    assert await find(db, made.endpoint) == made.endpoint
    assert made.endpoint.enabled
    assert made.endpoint.event_types == ("card.updated", "a.declined")


async def test_a_url_is_judged_when_it_is_made_and_when_it_is_changed(db: Database) -> None:
    owner_id = await make_owner(db)
    with pytest.raises(BadUrl):
        await subscribe(db, owner_id, "http://shop.example/")
    made = await subscribe(db, owner_id, URL)
    with pytest.raises(BadUrl):
        await change(db, made.endpoint, url="https://169.254.169.254/latest")
    at = await now(db)
    with pytest.raises(BadUrl):
        await db.transaction(
            lambda tx: events.create_endpoint(
                tx,
                owner_id=owner_id,
                url=URL,
                sealer=SEALER,
                fetcher=Fetcher(loopback=False),
                now=at,
            )
        )
    assert await find(db, made.endpoint) == made.endpoint


async def test_an_owner_has_twenty_at_most(db: Database) -> None:
    owner_id = await make_owner(db)
    made = [await subscribe(db, owner_id, URL) for _ in range(ENDPOINTS_MAX)]
    with pytest.raises(TooManyEndpoints):
        await subscribe(db, owner_id, URL)
    await subscribe(db, await make_owner(db), URL)
    await db.transaction(
        lambda tx: events.delete_endpoint(tx, owner_id=owner_id, endpoint_id=made[0].endpoint.id)
    )
    await subscribe(db, owner_id, URL)


async def test_an_owner_without_a_stream_gets_one(db: Database) -> None:
    made = await subscribe(db, uuid7(), URL)
    assert await find(db, made.endpoint) == made.endpoint


async def test_a_list_is_the_newest_first_and_goes_both_ways(db: Database) -> None:
    owner_id = await make_owner(db)
    await subscribe(db, await make_owner(db), URL)
    made = [(await subscribe(db, owner_id, f"{URL}/{n}")).endpoint for n in range(5)]

    async def page(window: Window) -> tuple[list[str], bool, bool]:
        found = await db.read(
            lambda tx: events.list_endpoints(tx, owner_id=owner_id, window=window)
        )
        return [each.url[-1] for each in found.items], found.newer, found.older

    assert await page(Window()) == (["4", "3", "2", "1", "0"], True, False)
    assert await page(Window(size=2)) == (["4", "3"], True, True)
    assert await page(Window(size=2, after=made[3].id)) == (["2", "1"], True, True)
    assert await page(Window(size=2, before=made[1].id)) == (["3", "2"], True, True)
    assert await page(Window(after=uuid7())) == ([], False, False)


async def test_what_is_not_given_stays(db: Database) -> None:
    owner_id = await make_owner(db)
    made = await subscribe(db, owner_id, URL, event_types=["card.updated"])
    changed = await change(db, made.endpoint, url=URL + "/other")
    assert (changed.url, changed.event_types) == (URL + "/other", ("card.updated",))
    assert changed.enabled
    off = await change(db, made.endpoint, enabled=False)
    assert (off.url, off.enabled, off.disabled_reason) == (URL + "/other", False, None)
    assert await find(db, made.endpoint) == off
    assert off.updated_at > off.created_at


Verb = Callable[[Tx], Awaitable[object]]


async def test_another_owners_endpoint_is_not_there(db: Database) -> None:
    owner_id, other_id = await make_owner(db), await make_owner(db)
    made = await subscribe(db, owner_id, URL)
    endpoint_id, at, fetcher = made.endpoint.id, await now(db), Fetcher(loopback=True)
    find_it = partial(events.find_endpoint, owner_id=other_id, endpoint_id=endpoint_id)
    change_it = partial(
        events.update_endpoint, owner_id=other_id, endpoint_id=endpoint_id, enabled=False
    )
    rotate_it = partial(events.rotate_secret, owner_id=other_id, endpoint_id=endpoint_id)
    delete_it = partial(events.delete_endpoint, owner_id=other_id, endpoint_id=endpoint_id)
    verbs: list[Verb] = [
        find_it,
        partial(change_it, fetcher=fetcher, now=at),
        partial(rotate_it, sealer=SEALER, now=at),
        delete_it,
    ]
    for verb in verbs:
        with pytest.raises(EndpointNotFound):
            await db.transaction(verb)
    assert await find(db, made.endpoint) == made.endpoint
