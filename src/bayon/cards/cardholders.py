"""Cardholders: whom cards are made out to. A profile that is new or changed is reviewed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bayon.cards import store
from bayon.cards.model import Cardholder, CardholderNotFound, Texts
from bayon.cards.tell import tell
from bayon.cards.texts import merged
from bayon.db import Tx
from bayon.ids import uuid7

MERGED: Final = ("additional_details", "metadata")
"""What is merged into what was there, key by key."""

DOCUMENTS: Final = ("photo_url", "identity_document_url")


class CreateCardholder(Struct, frozen=True, kw_only=True):
    """A profile, as the issuer knows it. `phone_number` is E.164 without its plus."""

    issuer_id: UUID
    name: str
    phone_number: str
    email: str | None
    born_on: date
    address: str
    identity_document_number: str
    identity_document_type: str
    photo_url: str
    identity_document_url: str
    additional_details: Texts
    metadata: Texts


async def create_cardholders(
    tx: Tx, commands: Sequence[CreateCardholder], /, *, now: datetime
) -> list[Cardholder]:
    """Create cardholders, their review due at once.

    Writes the cardholders and `cardholder.created`. Locks the issuers' counters.
    """
    made = [_made(command, now=now) for command in commands]
    for cardholder in made:
        await store.insert_cardholder(tx, cardholder)
    await tell(tx, [("cardholder.created", cardholder) for cardholder in made], now=now)
    return made


async def update_cardholder(
    tx: Tx,
    *,
    issuer_id: UUID,
    cardholder_id: UUID,
    changes: Mapping[str, object],
    now: datetime,
) -> Cardholder:
    """Change a profile; a change of anything but metadata has it reviewed again.

    `changes` are a cardholder's fields by name; `additional_details` and `metadata` are merged.
    What is as it was is no change, so that a whole resource may be sent back; but a document's URL
    is one always, as what it leads to may be another.
    Locks and writes the cardholder, and `cardholder.updated`. Nothing changes where nothing is to.
    Errors: `CardholderNotFound`, `BadAttributes` when there would be too many keys.
    """
    found = await store.find_cardholders(tx, [cardholder_id], issuer_id=issuer_id, lock=True)
    if cardholder_id not in found:
        raise CardholderNotFound
    before = found[cardholder_id]
    changed = _changed(before, _merged(before, changes))
    if not changed:
        return before
    after = replace(before, updated_at=now, **cast("dict[str, Any]", changed))
    if changed.keys() - {"metadata"}:
        after = _to_review(after, now=now)
    await store.update_cardholder(tx, after)
    await tell(tx, [("cardholder.updated", after)], now=now)
    return after


def _made(command: CreateCardholder, *, now: datetime) -> Cardholder:
    return Cardholder(
        id=uuid7(),
        issuer_id=command.issuer_id,
        name=command.name,
        phone_number=command.phone_number,
        email=command.email,
        status="processing_profile",
        rejection_reason=None,
        born_on=command.born_on,
        address=command.address,
        identity_document_number=command.identity_document_number,
        identity_document_type=command.identity_document_type,
        photo_url=command.photo_url,
        identity_document_url=command.identity_document_url,
        additional_details=command.additional_details,
        metadata=command.metadata,
        created_at=now,
        updated_at=now,
        review_at=now,
    )


def _to_review(cardholder: Cardholder, *, now: datetime) -> Cardholder:
    return replace(
        cardholder,
        status="processing_profile",
        rejection_reason=None,
        revision=cardholder.revision + 1,
        review_at=now,
        review_attempts=0,
    )


def _changed(before: Cardholder, changes: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in changes.items()
        if name in DOCUMENTS or _written(getattr(before, name)) != _written(value)
    }


def _written(value: object) -> bytes:
    """Write a value so that what differs differs: to Python 1, 1.0 and true are the same."""
    return msgspec.json.encode(value, order="deterministic")


def _merged(before: Cardholder, changes: Mapping[str, object]) -> dict[str, object]:
    """Merge what is merged, and take the rest as it is."""
    return dict(changes) | {
        name: merged(
            getattr(before, name),
            cast("Texts", changes[name]),
            pointer=f"/data/attributes/{name}",
        )
        for name in MERGED
        if name in changes
    }
