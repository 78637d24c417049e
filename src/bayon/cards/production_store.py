"""Every statement on the making of cards by a bureau, of the schema `cards`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from msgspec import Struct

from bayon.cards.model import Card
from bayon.cards.personalise import Batch, Ordered
from bayon.db import Tx

_ORDERED: Final = """
    SELECT o.card_id, c.type, c.exp_month, c.exp_year, c.pan_sealed, h.name, h.address,
        h.phone_number, h.additional_details, o.embossed
    FROM cards.production_order AS o
    JOIN cards.card AS c ON c.id = o.card_id
    JOIN cards.cardholder AS h ON h.id = c.cardholder_id """
_WAITS: Final = """
    o.batch_id IS NULL AND c.status NOT IN ('canceled', 'lost', 'stolen')
    AND h.status = 'active' AND (c.exp_year, c.exp_month) >= ($2::int, $3::int) """
_TEXTS: Final = dict[str, object]


class CardBatch(Struct, frozen=True, kw_only=True):
    """A batch as it is listed: how many files were whole, and of the last of them when and what."""

    id: UUID
    issuer: str
    cards: int
    created_at: datetime
    files: int
    written_at: datetime | None
    digest: bytes | None


async def insert_order(tx: Tx, card: Card) -> None:
    """Insert the order of a physical card."""
    await tx.run(
        "INSERT INTO cards.production_order (card_id, issuer_id) VALUES ($1, $2)",
        card.id,
        card.issuer_id,
    )


async def lock_waiting(
    tx: Tx, *, issuer_id: UUID, after: UUID, limit: int, now: datetime
) -> list[Ordered]:
    """Lock orders that wait, of cards after that one by id; skips those another export has."""
    rows = await tx.rows(
        _ORDERED
        + "WHERE o.issuer_id = $1 AND o.card_id > $4 AND "
        + _WAITS
        + "ORDER BY o.card_id LIMIT $5 FOR UPDATE OF o SKIP LOCKED",
        issuer_id,
        now.year,
        now.month,
        after,
        limit,
    )
    return [_ordered(row) for row in rows]


async def count_waiting(tx: Tx, *, issuer_id: UUID, now: datetime) -> int:
    """Count the orders of an issuer that wait."""
    count: int = await tx.value(
        """
        SELECT count(*) FROM cards.production_order AS o
        JOIN cards.card AS c ON c.id = o.card_id
        JOIN cards.cardholder AS h ON h.id = c.cardholder_id
        WHERE o.issuer_id = $1 AND """
        + _WAITS,
        issuer_id,
        now.year,
        now.month,
    )
    return count


async def insert_batch(tx: Tx, batch: Batch, ordered: Sequence[Ordered]) -> None:
    """Insert a batch, and put locked orders into it with the names that are embossed."""
    await tx.run(
        """
        INSERT INTO cards.production_batch (id, issuer_id, cards, created_at)
        VALUES ($1, $2, $3, $4)
        """,
        batch.id,
        batch.issuer_id,
        batch.cards,
        batch.created_at,
    )
    await tx.run(
        """
        UPDATE cards.production_order AS o SET batch_id = $1, embossed = d.embossed
        FROM unnest($2::uuid[], $3::text[]) AS d (card_id, embossed) WHERE o.card_id = d.card_id
        """,
        batch.id,
        [each.card_id for each in ordered],
        [each.embossed for each in ordered],
    )


async def find_batch(tx: Tx, batch_id: UUID) -> Batch | None:
    """Find a batch."""
    row = await tx.row(
        "SELECT id, issuer_id, cards, created_at FROM cards.production_batch WHERE id = $1",
        batch_id,
    )
    return Batch(**dict(row)) if row else None


async def ordered_in(tx: Tx, batch_id: UUID) -> list[Ordered]:
    """List a batch's cards, in the order of its file."""
    rows = await tx.rows(_ORDERED + "WHERE o.batch_id = $1 ORDER BY o.card_id", batch_id)
    return [_ordered(row) for row in rows]


async def insert_file(
    tx: Tx, file_id: UUID, *, batch_id: UUID, recipient: str, digest: bytes, now: datetime
) -> None:
    """Insert a file that is about to be written."""
    await tx.run(
        """
        INSERT INTO cards.production_file (id, batch_id, recipient, digest, begun_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        file_id,
        batch_id,
        recipient,
        digest,
        now,
    )


async def note_written(tx: Tx, file_id: UUID, *, now: datetime) -> None:
    """Note that a file is whole on the disk."""
    await tx.run("UPDATE cards.production_file SET written_at = $2 WHERE id = $1", file_id, now)


async def not_written(tx: Tx, *, issuer_id: UUID) -> list[UUID]:
    """List an issuer's batches of which no file is known to be whole, the oldest first."""
    rows = await tx.rows(
        """
        SELECT b.id FROM cards.production_batch AS b
        WHERE b.issuer_id = $1 AND NOT EXISTS (
            SELECT FROM cards.production_file AS f
            WHERE f.batch_id = b.id AND f.written_at IS NOT NULL
        )
        ORDER BY b.created_at, b.id
        """,
        issuer_id,
    )
    return [row["id"] for row in rows]


async def newest_batches(tx: Tx, *, limit: int) -> list[CardBatch]:
    """List the newest batches of all issuers."""
    rows = await tx.rows(
        """
        SELECT b.id, i.name AS issuer, b.cards, b.created_at, count(f.written_at) AS files,
            max(f.written_at) AS written_at,
            (array_agg(f.digest ORDER BY f.written_at DESC)
                FILTER (WHERE f.written_at IS NOT NULL))[1] AS digest
        FROM cards.production_batch AS b
        JOIN cards.issuer AS i ON i.id = b.issuer_id
        LEFT JOIN cards.production_file AS f ON f.batch_id = b.id
        GROUP BY b.id, i.name ORDER BY b.created_at DESC, b.id DESC LIMIT $1
        """,
        limit,
    )
    return [CardBatch(**dict(row)) for row in rows]


async def never_ordered(tx: Tx) -> list[UUID]:
    """List physical cards that nobody has in hand yet, and that were never ordered."""
    rows = await tx.rows(
        """
        SELECT c.id FROM cards.card AS c
        WHERE c.type = 'physical' AND c.status = 'unactivated' AND NOT EXISTS (
            SELECT FROM cards.production_order AS o WHERE o.card_id = c.id
        )
        ORDER BY c.id
        """
    )
    return [row["id"] for row in rows]


async def miscounted(tx: Tx) -> list[UUID]:
    """List batches that have not as many cards as they say."""
    rows = await tx.rows(
        """
        SELECT b.id FROM cards.production_batch AS b
        WHERE b.cards <> (
            SELECT count(*) FROM cards.production_order AS o WHERE o.batch_id = b.id
        )
        ORDER BY b.id
        """
    )
    return [row["id"] for row in rows]


def _ordered(row: Any) -> Ordered:  # noqa: ANN401 - a Record, whose columns have no types
    columns = cast("dict[str, Any]", dict(row))
    details = msgspec.json.decode(columns.pop("additional_details"), type=_TEXTS)
    return Ordered(additional_details=details, **columns)
