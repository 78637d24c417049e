"""Callbacks: where an integrator is told of payments, by the machinery of webhooks. One each."""

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from bayon import events
from bayon.db import RunAgain, Tx
from bayon.errors import NotFound
from bayon.events import Endpoint, NewSecret
from bayon.fetch import Fetcher
from bayon.payments import callback_store as store
from bayon.seal import Sealer

_NAMESPACE: Final = UUID("0279d49b-fe04-414f-9b02-70e94cb9606f")


class CallbackNotFound(NotFound):
    """No callback is set."""

    code = "callback_not_found"


def owner_id_of(integrator_id: str) -> UUID:
    """Tell as whom an integrator owns its events: always the same, and unlike any id of ours."""
    return uuid5(_NAMESPACE, integrator_id)


async def put_callback(
    tx: Tx, *, integrator_id: str, url: str, sealer: Sealer, fetcher: Fetcher, now: datetime
) -> NewSecret:
    """Set an integrator's callback, with a new secret that is told this once.

    One that is there goes on at this URL, enabled; its secret before counts for the grace time.
    Locks the callback. Errors: `BadUrl`.
    """
    owner_id = owner_id_of(integrator_id)
    endpoint_id = await store.find(tx, integrator_id, lock=True)
    if endpoint_id is None:
        made = await events.create_endpoint(
            tx, owner_id=owner_id, url=url, bare=True, sealer=sealer, fetcher=fetcher, now=now
        )
        if not await store.insert(tx, integrator_id, endpoint_id=made.endpoint.id, created_at=now):
            raise RunAgain
        return made
    await events.update_endpoint(
        tx,
        owner_id=owner_id,
        endpoint_id=endpoint_id,
        url=url,
        enabled=True,
        fetcher=fetcher,
        now=now,
    )
    return await events.rotate_secret(
        tx, owner_id=owner_id, endpoint_id=endpoint_id, sealer=sealer, now=now
    )


async def find_callback(tx: Tx, *, integrator_id: str) -> Endpoint:
    """Find an integrator's callback. Errors: `CallbackNotFound`."""
    endpoint_id = await store.find(tx, integrator_id)
    if endpoint_id is None:
        raise CallbackNotFound
    return await events.find_endpoint(
        tx, owner_id=owner_id_of(integrator_id), endpoint_id=endpoint_id
    )


async def delete_callback(tx: Tx, *, integrator_id: str) -> None:
    """Delete an integrator's callback and its secrets; what was on its way is void.

    What it listened for is kept, for the next one. Errors: `CallbackNotFound`.
    """
    endpoint_id = await store.delete(tx, integrator_id)
    if endpoint_id is None:
        raise CallbackNotFound
    await events.delete_endpoint(tx, owner_id=owner_id_of(integrator_id), endpoint_id=endpoint_id)
