"""Control: see and change what a card, or an account with all its cards, may be used for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

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
) -> Controlled:
    """Change controls, one by one; the first limit a day begins with what was used today already.

    Locks what may change that: transactions that wait, then cards, then the account. Writes the
    controls, and what was used. Errors: `CardNotFound`, `CardAccountNotFound`.
    """
    there, _ = await store.find_controls(tx, owner, owner_id, issuer_id=issuer_id)
    if not there:
        raise _NOT_FOUND[owner]
    day = day_of(now)
    await store.lock_movers(tx, owner, owner_id, since=begin_of(day))
    _, found = await store.find_controls(tx, owner, owner_id, issuer_id=issuer_id, lock=True)
    before = found or NO_CONTROLS
    after = replace(before, **cast("Any", change))
    await store.update_controls(tx, owner, owner_id, None if after == NO_CONTROLS else after)
    if after.a_day and not before.a_day:
        used = await store.count_used(tx, owner, owner_id, issuer_id=issuer_id, since=begin_of(day))
        await store.save_used(tx, [((owner_id, day), used)])
    return await find_controls(tx, issuer_id=issuer_id, owner=owner, owner_id=owner_id, now=now)
