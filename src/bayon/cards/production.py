"""Production: physical cards that were ordered go to a bureau, each in one file.

A card is put into a batch, and the batch is kept, before its file is written: killed at any
moment, what was kept is listed, and its file is made again. So no card is forgotten, and none is in
two batches; that two files are of the same cards, their batch's id says.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon.cards import production_store as store
from bayon.cards.emboss import emboss
from bayon.cards.issuers import find_issuer
from bayon.cards.model import Issuer
from bayon.cards.personalise import Batch, Ordered, personalise
from bayon.cards.production_store import CardBatch
from bayon.cards.recipient import Recipient
from bayon.cards.vault import Vault
from bayon.db import Tx
from bayon.errors import NotFound
from bayon.ids import uuid7

LISTED_MAX: Final = 1_000


class BatchNotFound(NotFound):
    """There is no such batch of cards."""

    code = "batch_not_found"


class BureauFile(Struct, frozen=True, kw_only=True):
    """A file for the bureau that is still to be written: its batch's cards, enciphered.

    `digest`: SHA-256 of the content, by which a bureau knows the file to be ours.
    """

    id: UUID
    batch: Batch
    content: bytes
    digest: bytes


class Exported(Struct, frozen=True, kw_only=True):
    """What came of an export: a file, if a card could go, and who is left.

    `not_embossed`: cards whose holder's name is not in Latin letters. `waiting`: how many are left
    for the next. `not_written`: earlier batches no file of which is known to be whole.
    """

    file: BureauFile | None
    not_embossed: tuple[UUID, ...] = ()
    waiting: int = 0
    not_written: tuple[UUID, ...] = ()


async def export_cards(
    tx: Tx, *, issuer_id: UUID, recipient: Recipient, limit: int, vault: Vault, now: datetime
) -> Exported:
    """Put the cards that wait into a batch, the oldest first and at most `limit`, and encipher it.

    The file is to be written after the commit. Locks the orders; passes over those another export
    has locked. Writes the batch, its orders and its file. Errors: `IssuerNotFound`; `Invalid` when
    a card's number does not open.
    """
    issuer = await find_issuer(tx, issuer_id=issuer_id)
    not_written = await store.not_written(tx, issuer_id=issuer_id)
    ready, not_embossed = await _take(tx, issuer_id, limit, now=now)
    file = None
    if ready:
        batch = Batch(id=uuid7(), issuer_id=issuer.id, cards=len(ready), created_at=now)
        await store.insert_batch(tx, batch, ready)
        file = await _begin(tx, batch, ready, issuer, recipient, vault=vault, now=now)
    left = await store.count_waiting(tx, issuer_id=issuer_id, now=now)
    return Exported(
        file=file,
        not_embossed=tuple(not_embossed),
        waiting=left - len(not_embossed),
        not_written=tuple(not_written),
    )


async def export_again(
    tx: Tx, *, batch_id: UUID, recipient: Recipient, vault: Vault, now: datetime
) -> BureauFile:
    """Encipher a batch once more: the same cards and embossed names, whatever they are by now.

    Where they are sent, and what is printed beside the name, is as their holders have it now.
    Locks nothing. Writes the file. Errors: `BatchNotFound`; `Invalid` when a card's number does
    not open.
    """
    batch = await store.find_batch(tx, batch_id)
    if batch is None:
        raise BatchNotFound
    issuer = await find_issuer(tx, issuer_id=batch.issuer_id)
    ordered = await store.ordered_in(tx, batch_id)
    return await _begin(tx, batch, ordered, issuer, recipient, vault=vault, now=now)


async def note_written(tx: Tx, file: BureauFile, *, now: datetime) -> None:
    """Note that a file is whole on the disk. Writes it."""
    await store.note_written(tx, file.id, now=now)


async def card_batches(tx: Tx) -> list[CardBatch]:
    """List the newest batches of all issuers."""
    return await store.newest_batches(tx, limit=LISTED_MAX)


async def _take(
    tx: Tx, issuer_id: UUID, limit: int, *, now: datetime
) -> tuple[list[Ordered], list[UUID]]:
    """Lock orders until enough can be embossed, or there are no more; and who cannot be."""
    ready: list[Ordered] = []
    not_embossed: list[UUID] = []
    after = UUID(int=0)
    while len(ready) < limit and (
        page := await store.lock_waiting(
            tx, issuer_id=issuer_id, after=after, limit=limit - len(ready), now=now
        )
    ):
        after = page[-1].card_id
        named = [replace(each, embossed=emboss(each.name)) for each in page]
        ready += [each for each in named if each.embossed is not None]
        not_embossed += [each.card_id for each in named if each.embossed is None]
    return ready, not_embossed


async def _begin(
    tx: Tx,
    batch: Batch,
    ordered: Sequence[Ordered],
    issuer: Issuer,
    recipient: Recipient,
    *,
    vault: Vault,
    now: datetime,
) -> BureauFile:
    document = personalise(batch, ordered, issuer=issuer, vault=vault)
    content = vault.encipher(document, recipient)
    digest = hashlib.sha256(content).digest()
    file = BureauFile(id=uuid7(), batch=batch, content=content, digest=digest)
    await store.insert_file(
        tx, file.id, batch_id=batch.id, recipient=recipient.key, digest=digest, now=now
    )
    return file
