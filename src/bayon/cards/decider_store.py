"""The statements on who is asked before a decision, of the schema `cards`."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from bayon.cards.model import Decider
from bayon.db import Tx

_DECIDER = msgspec.json.Decoder(Decider)


class Held(Struct, frozen=True, kw_only=True):
    """A card that is asked about, and whose it is."""

    id: UUID
    issuer_id: UUID
    account_id: UUID
    last_four: str


async def deciders(tx: Tx) -> dict[UUID, tuple[Decider, bytes]]:
    """List whom issuers have asked, with the sealed secret of each, by issuer."""
    rows = await tx.rows(
        """
        SELECT id, decision, decision_secret_sealed FROM cards.issuer WHERE decision IS NOT NULL
        """
    )
    return {
        row["id"]: (_DECIDER.decode(row["decision"]), row["decision_secret_sealed"]) for row in rows
    }


async def held(
    tx: Tx, *, card_ids: Sequence[UUID], pan_digests: Sequence[bytes]
) -> dict[UUID | bytes, Held]:
    """Find cards by id and by their numbers' digests, of any issuers. Locks nothing."""
    rows = await tx.rows(
        """
        SELECT id, issuer_id, account_id, last_four, pan_digest FROM cards.card
        WHERE id = ANY($1::uuid[]) OR pan_digest = ANY($2::bytea[])
        """,
        card_ids,
        pan_digests,
    )
    found: dict[UUID | bytes, Held] = {}
    for row in rows:
        card = Held(
            id=row["id"],
            issuer_id=row["issuer_id"],
            account_id=row["account_id"],
            last_four=row["last_four"],
        )
        found |= {card.id: card, row["pan_digest"]: card}
    return found
