"""The statements on callbacks, and on who listens for the payments of a QR."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from bayon.db import Tx

Listener = tuple[bytes, str]
"""An MD5 (16 bytes), and the integrator who is told of its payments."""


async def find(tx: Tx, integrator_id: str, *, lock: bool = False) -> UUID | None:
    """Find the endpoint of an integrator's callback, locked where it is to be changed."""
    found: UUID | None = await tx.value(
        "SELECT endpoint_id FROM payments.callback WHERE integrator_id = $1"
        + (" FOR UPDATE" if lock else ""),
        integrator_id,
    )
    return found


async def insert(tx: Tx, integrator_id: str, *, endpoint_id: UUID, created_at: datetime) -> bool:
    """Insert a callback; False when somebody else has done so meanwhile."""
    return bool(
        await tx.value(
            """
            INSERT INTO payments.callback (integrator_id, endpoint_id, created_at)
            VALUES ($1, $2, $3) ON CONFLICT (integrator_id) DO NOTHING RETURNING true
            """,
            integrator_id,
            endpoint_id,
            created_at,
        )
    )


async def delete(tx: Tx, integrator_id: str) -> UUID | None:
    """Delete a callback; returns its endpoint, None when there was none."""
    found: UUID | None = await tx.value(
        "DELETE FROM payments.callback WHERE integrator_id = $1 RETURNING endpoint_id",
        integrator_id,
    )
    return found


async def reachable(tx: Tx) -> frozenset[str]:
    """List the integrators who have a callback."""
    rows = await tx.rows("SELECT integrator_id FROM payments.callback")
    return frozenset(row["integrator_id"] for row in rows)


async def not_listening(tx: Tx, pairs: Sequence[Listener], *, since: datetime) -> list[Listener]:
    """Tell which of these have a callback and have not listened since then, in order."""
    rows = await tx.rows(
        """
        SELECT asked.md5, asked.integrator_id
        FROM unnest($1::bytea[], $2::text[]) AS asked (md5, integrator_id)
        JOIN payments.callback AS c ON c.integrator_id = asked.integrator_id
        WHERE NOT EXISTS (SELECT FROM payments.listener AS l
            WHERE l.md5 = asked.md5 AND l.integrator_id = asked.integrator_id
                AND l.asked_at >= $3)
        ORDER BY asked.md5, asked.integrator_id
        """,
        [md5 for md5, _ in pairs],
        [integrator_id for _, integrator_id in pairs],
        since,
    )
    return [(row["md5"], row["integrator_id"]) for row in rows]


async def insert_listeners(tx: Tx, pairs: Sequence[Listener], *, asked_at: datetime) -> None:
    """Let integrators listen; who does so already has asked again."""
    await tx.run(
        """
        INSERT INTO payments.listener (md5, integrator_id, asked_at)
        SELECT new.md5, new.integrator_id, $3
        FROM unnest($1::bytea[], $2::text[]) AS new (md5, integrator_id)
        ON CONFLICT (md5, integrator_id) DO UPDATE SET asked_at = excluded.asked_at
        """,
        [md5 for md5, _ in pairs],
        [integrator_id for _, integrator_id in pairs],
        asked_at,
    )


async def listeners(tx: Tx, md5s: Sequence[bytes]) -> Mapping[bytes, Sequence[str]]:
    """Find for each MD5 who listens and has a callback; one nobody listens for is not there."""
    rows = await tx.rows(
        """
        SELECT l.md5, l.integrator_id
        FROM payments.listener AS l JOIN payments.callback AS c USING (integrator_id)
        WHERE l.md5 = ANY($1::bytea[]) ORDER BY l.md5, l.integrator_id
        """,
        md5s,
    )
    found: defaultdict[bytes, list[str]] = defaultdict(list)
    for row in rows:
        found[row["md5"]].append(row["integrator_id"])
    return found


async def delete_listeners(tx: Tx, pairs: Sequence[Listener]) -> None:
    """Let integrators listen no more."""
    await tx.run(
        """
        DELETE FROM payments.listener AS l
        USING unnest($1::bytea[], $2::text[]) AS old (md5, integrator_id)
        WHERE l.md5 = old.md5 AND l.integrator_id = old.integrator_id
        """,
        [md5 for md5, _ in pairs],
        [integrator_id for _, integrator_id in pairs],
    )


async def delete_old_listeners(tx: Tx, *, older_than: datetime, limit: int) -> int:
    """Let those listen no more who have asked before then, the oldest first; returns how many."""
    rows = await tx.rows(
        """
        WITH old AS MATERIALIZED (
            SELECT md5, integrator_id FROM payments.listener WHERE asked_at < $1
            ORDER BY asked_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        DELETE FROM payments.listener AS l USING old
        WHERE l.md5 = old.md5 AND l.integrator_id = old.integrator_id
        RETURNING 1
        """,
        older_than,
        limit,
    )
    return len(rows)
