"""Every statement on how card numbers are sealed, of the schema `cards`.

A sealed value begins with the version of its key.
"""

from collections.abc import Mapping
from uuid import UUID

from bayon.db import Tx


async def count_by_version(tx: Tx) -> dict[int, int]:
    """Count the cards whose number each version of the key has sealed, the lowest first."""
    rows = await tx.rows(
        """
        SELECT get_byte(pan_sealed, 0) AS version, count(*) AS cards FROM cards.card
        GROUP BY version ORDER BY version
        """
    )
    return {row["version"]: row["cards"] for row in rows}


async def sample_of_version(tx: Tx, *, version: int) -> tuple[UUID, bytes] | None:
    """Find a card whose number this version has sealed: its id and the sealed number."""
    row = await tx.row(
        "SELECT id, pan_sealed FROM cards.card WHERE get_byte(pan_sealed, 0) = $1 LIMIT 1", version
    )
    return None if row is None else (row["id"], row["pan_sealed"])


async def lock_sealed_otherwise(
    tx: Tx, *, version: int, after: UUID, limit: int
) -> dict[UUID, bytes]:
    """Lock cards whose number other versions have sealed, by id from there; skips locked ones."""
    rows = await tx.rows(
        """
        SELECT id, pan_sealed FROM cards.card
        WHERE id > $2 AND get_byte(pan_sealed, 0) <> $1
        ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
        """,
        version,
        after,
        limit,
    )
    return {row["id"]: row["pan_sealed"] for row in rows}


async def update_sealed(tx: Tx, sealed: Mapping[UUID, bytes]) -> None:
    """Write the sealed numbers of locked cards."""
    await tx.run(
        """
        UPDATE cards.card AS r SET pan_sealed = n.pan_sealed
        FROM unnest($1::uuid[], $2::bytea[]) AS n (id, pan_sealed) WHERE r.id = n.id
        """,
        list(sealed),
        list(sealed.values()),
    )
