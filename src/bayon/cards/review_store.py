"""Every statement on reviews of cardholders, of the schema `cards`."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from bayon.db import Tx


class Room(Struct, frozen=True, kw_only=True):
    """How many reviews may be begun: in all, of one issuer, beside those under way by issuer.

    `look` is how many that are due are looked at.
    """

    total: int
    of_issuer: int
    in_flight: Mapping[UUID, int]
    look: int


async def claim(tx: Tx, *, now: datetime, until: datetime, room: Room) -> list[UUID]:
    """Take the oldest that are due until then, of each issuer as many as there is room for.

    Locks them, and skips those another worker is taking.
    """
    full = [each for each, count in room.in_flight.items() if count >= room.of_issuer]
    rows = await tx.rows(
        """
        WITH due AS (
            SELECT id, issuer_id, review_at FROM cards.cardholder
            WHERE review_at <= $1 AND issuer_id <> ALL($3::uuid[])
            ORDER BY review_at LIMIT $4 FOR UPDATE SKIP LOCKED
        ), placed AS (
            SELECT id, review_at, coalesce(flying.count, 0)
                + row_number() OVER (PARTITION BY issuer_id ORDER BY review_at, id) AS place
            FROM due LEFT JOIN unnest($5::uuid[], $6::int[]) AS flying (issuer_id, count)
                USING (issuer_id)
        )
        UPDATE cards.cardholder AS r SET review_at = $2, review_attempts = r.review_attempts + 1
        FROM (SELECT id FROM placed WHERE place <= $7 ORDER BY review_at LIMIT $8) AS taken
        WHERE r.id = taken.id RETURNING r.id
        """,
        now,
        until,
        full,
        room.look,
        list(room.in_flight),
        list(room.in_flight.values()),
        room.of_issuer,
        room.total - sum(room.in_flight.values()),
    )
    return [row["id"] for row in rows]


async def waiting(tx: Tx, *, issuer_id: UUID, limit: int) -> list[UUID]:
    """Find an issuer's cardholders who wait for a person's decision, the longest waiting first."""
    rows = await tx.rows(
        """
        SELECT id FROM cards.cardholder
        WHERE issuer_id = $1 AND status = 'processing_profile' AND review_at IS NULL
        ORDER BY updated_at LIMIT $2
        """,
        issuer_id,
        limit,
    )
    return [row["id"] for row in rows]


async def keep_document(
    tx: Tx, cardholder_id: UUID, *, kind: str, media_type: str, sealed: bytes, fetched_at: datetime
) -> None:
    """Keep a document of a cardholder in the place of an older one."""
    await tx.run(
        """
        INSERT INTO cards.document (cardholder_id, kind, media_type, sealed, fetched_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (cardholder_id, kind) DO UPDATE
        SET media_type = EXCLUDED.media_type, sealed = EXCLUDED.sealed,
            fetched_at = EXCLUDED.fetched_at
        """,
        cardholder_id,
        kind,
        media_type,
        sealed,
        fetched_at,
    )
