"""Endpoints: who subscribes to an owner's events, and the secrets that sign what it is told."""

import secrets
import string
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bayon.db import Tx
from bayon.events import endpoint_store as store
from bayon.events.model import Endpoint, EndpointNotFound, NewSecret, TooManyEndpoints
from bayon.events.sign import seal_secret
from bayon.fetch import Fetcher
from bayon.ids import uuid7
from bayon.keyset import Page, Window, cut
from bayon.log import Secret
from bayon.seal import Sealer

ENDPOINTS_MAX: Final = 20
GRACE: Final = timedelta(hours=24)
SECRET_LENGTH: Final = 32  # as base64 24 bytes, the least Standard Webhooks takes

_ALPHABET: Final = string.ascii_letters + string.digits


async def create_endpoint(
    tx: Tx,
    *,
    owner_id: UUID,
    url: str,
    event_types: Sequence[str] = (),
    enabled: bool = True,
    bare: bool = False,
    sealer: Sealer,
    fetcher: Fetcher,
    now: datetime,
) -> NewSecret:
    """Create an endpoint of this owner, whose secret is told this once.

    `bare`: it is sent the events' own bytes, else each as the document it is served as. The door
    knows which types there are; the URL is judged as it is written. Writes `endpoint` and
    `counter` (locked until the commit). Errors: `BadUrl`, `TooManyEndpoints`.
    """
    fetcher.judge(url)
    seq = await store.next_seq(tx, owner_id)
    if await store.count(tx, owner_id) >= ENDPOINTS_MAX:
        raise TooManyEndpoints
    endpoint = Endpoint(
        id=uuid7(),
        owner_id=owner_id,
        url=url,
        event_types=tuple(event_types),
        enabled=enabled,
        disabled_reason=None,
        previous_until=None,
        failing_since=None,
        created_at=now,
        updated_at=now,
    )
    secret = new_secret()
    sealed = seal_secret(secret, endpoint_id=endpoint.id, sealer=sealer)
    await store.insert(tx, endpoint, seq=seq, bare=bare, secret_sealed=sealed)
    return NewSecret(endpoint=endpoint, secret=secret)


async def find_endpoint(tx: Tx, *, owner_id: UUID, endpoint_id: UUID) -> Endpoint:
    """Find an endpoint of this owner. Errors: `EndpointNotFound`."""
    return _there(await store.find(tx, endpoint_id, owner_id=owner_id))


async def list_endpoints(tx: Tx, *, owner_id: UUID, window: Window) -> Page[Endpoint]:
    """List an owner's endpoints, the newest first, in the order of their commits."""
    return cut(window, await store.page(tx, owner_id=owner_id, window=window))


async def update_endpoint(
    tx: Tx,
    *,
    owner_id: UUID,
    endpoint_id: UUID,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    enabled: bool | None = None,
    fetcher: Fetcher,
    now: datetime,
) -> Endpoint:
    """Change what is given, and leave the rest.

    Disabled, it is told nothing of what happens meanwhile, and what was due is void. Enabled again
    or at another URL, it begins without a past. Locks and writes `endpoint`. Errors: `BadUrl`,
    `EndpointNotFound`.
    """
    if url is not None:
        fetcher.judge(url)
    found = _there(await store.find(tx, endpoint_id, owner_id=owner_id, lock=True))
    after = replace(
        found,
        url=found.url if url is None else url,
        event_types=found.event_types if event_types is None else tuple(event_types),
        enabled=found.enabled if enabled is None else enabled,
        updated_at=now,
    )
    afresh = after.url != found.url or after.enabled != found.enabled
    if afresh:
        after = replace(after, failing_since=None)
    if after.enabled != found.enabled:
        after = replace(after, disabled_reason=None)
    await store.update(tx, after, keep_rest=not afresh)
    return after


async def delete_endpoint(tx: Tx, *, owner_id: UUID, endpoint_id: UUID) -> None:
    """Delete an endpoint with its secrets; what was due is void, its attempts are kept.

    Errors: `EndpointNotFound`.
    """
    if not await store.delete(tx, endpoint_id, owner_id=owner_id):
        raise EndpointNotFound


async def rotate_secret(
    tx: Tx,
    *,
    owner_id: UUID,
    endpoint_id: UUID,
    sealer: Sealer,
    grace: timedelta = GRACE,
    now: datetime,
) -> NewSecret:
    """Give an endpoint a new secret, told this once; the one before counts for the grace time.

    One before that counts no more. Locks and writes `endpoint`. Errors: `EndpointNotFound`.
    """
    found = _there(await store.find(tx, endpoint_id, owner_id=owner_id, lock=True))
    secret = new_secret()
    sealed = seal_secret(secret, endpoint_id=endpoint_id, sealer=sealer)
    after = replace(found, previous_until=now + grace, updated_at=now)
    await store.rotate(tx, endpoint_id, secret_sealed=sealed, previous_until=now + grace, now=now)
    return NewSecret(endpoint=after, secret=secret)


def _there(found: Endpoint | None) -> Endpoint:
    if found is None:
        raise EndpointNotFound
    return found


def new_secret() -> Secret:
    """Make a secret that signs: 32 letters and digits."""
    return Secret("".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH)))
