"""Control: see and change what a card, or an account with all its cards, may be used for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from msgspec.structs import replace

from bayon.cards import controls_store as store
from bayon.cards.controls import NO_CONTROLS, NOTHING_USED, Controlled, begin_of, day_of
from bayon.cards.controls_store import Owner
from bayon.cards.model import CardAccountNotFound, CardNotFound
from bayon.db import Tx
from bayon.errors import NotFound

Change = Mapping[str, int | frozenset[str] | None]
"""Fields of `Controls` with what they are from now on."""

_NOT_FOUND: Final[Mapping[Owner, type[NotFound]]] = {
    "account": CardAccountNotFound,
    "card": CardNotFound,
}


async def find_controls(
    tx: Tx, *, issuer_id: UUID, owner: Owner, owner_id: UUID, now: datetime
) -> Controlled:
    """Find controls. Errors: `CardNotFound`, `CardAccountNotFound`."""
    there, controls = await store.find_controls(tx, owner, owner_id, issuer_id=issuer_id)
    if not there:
        raise _NOT_FOUND[owner]
    day = day_of(now)
    if controls is not None and controls.a_day:
        used = await store.find_used(tx, (owner_id, day)) or NOTHING_USED
    else:
        used = await store.count_used(tx, owner, owner_id, issuer_id=issuer_id, since=begin_of(day))
    return Controlled(id=owner_id, controls=controls or NO_CONTROLS, used=used)


async def update_controls(
    tx: Tx, *, issuer_id: UUID, owner: Owner, owner_id: UUID, change: Change, now: datetime
) -> bool:
    """Change controls, one by one; tells whether what is used a day has to be counted from now on.

    Then it has been, up to now, and is by every batch that begins after the commit; one that is
    under way knows of no limit yet, and after it `recount` has to be called. Locks what may change
    what was used: transactions, then cards, then the account. Writes the controls, and what was
    used. Errors: `CardNotFound`, `CardAccountNotFound`.
    """
    there, _ = await store.find_controls(tx, owner, owner_id, issuer_id=issuer_id)
    if not there:
        raise _NOT_FOUND[owner]
    await store.lock_movers(tx, owner, owner_id, since=begin_of(day_of(now)))
    _, found = await store.find_controls(tx, owner, owner_id, issuer_id=issuer_id, lock=True)
    before = found or NO_CONTROLS
    after = replace(before, **cast("Any", change))
    await store.update_controls(tx, owner, owner_id, None if after == NO_CONTROLS else after)
    begins = after.a_day and not before.a_day
    if begins:
        await _count(tx, owner, owner_id, issuer_id=issuer_id, now=now)
    return begins


async def recount(tx: Tx, *, issuer_id: UUID, owner: Owner, owner_id: UUID, now: datetime) -> None:
    """Count what was used today, once more: after a commit that began to count.

    Locks as `update_controls`, and so waits for the batches that were under way. Writes what was
    used.
    """
    await store.lock_movers(tx, owner, owner_id, since=begin_of(day_of(now)))
    await _count(tx, owner, owner_id, issuer_id=issuer_id, now=now)


async def _count(tx: Tx, owner: Owner, owner_id: UUID, *, issuer_id: UUID, now: datetime) -> None:
    day = day_of(now)
    used = await store.count_used(tx, owner, owner_id, issuer_id=issuer_id, since=begin_of(day))
    await store.save_used(tx, [((owner_id, day), used)])
