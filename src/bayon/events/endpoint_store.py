"""The statements on endpoints."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from bayon.db import Tx
from bayon.events.model import Endpoint
from bayon.keyset import Window


async def next_seq(tx: Tx, owner_id: UUID) -> int:
    """Count one more endpoint of an owner. Locks its counter until the commit."""
    seq: int = await tx.value(
        """
        INSERT INTO events.counter AS c (owner_id, seq, endpoint_seq) VALUES ($1, 0, 1)
        ON CONFLICT (owner_id) DO UPDATE SET endpoint_seq = c.endpoint_seq + 1
        RETURNING endpoint_seq
        """,
        owner_id,
    )
    return seq


async def count(tx: Tx, owner_id: UUID) -> int:
    """Count the endpoints an owner has."""
    counted: int = await tx.value(
        "SELECT count(*) FROM events.endpoint WHERE owner_id = $1", owner_id
    )
    return counted


async def insert(tx: Tx, endpoint: Endpoint, *, seq: int, bare: bool, secret_sealed: bytes) -> None:
    """Insert an endpoint."""
    await tx.run(
        """
        INSERT INTO events.endpoint (id, owner_id, seq, url, event_types, enabled, bare,
            secret_sealed, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        endpoint.id,
        endpoint.owner_id,
        seq,
        endpoint.url,
        endpoint.event_types,
        endpoint.enabled,
        bare,
        secret_sealed,
        endpoint.created_at,
        endpoint.updated_at,
    )


async def find(tx: Tx, endpoint_id: UUID, *, owner_id: UUID, lock: bool = False) -> Endpoint | None:
    """Find an owner's endpoint, locked where it is to be changed."""
    row = await tx.row(
        "SELECT "
        + _COLUMNS
        + " FROM events.endpoint WHERE id = $1 AND owner_id = $2"
        + (" FOR UPDATE" if lock else ""),
        endpoint_id,
        owner_id,
    )
    return _endpoint(row) if row else None


async def page(tx: Tx, *, owner_id: UUID, window: Window) -> list[Endpoint]:
    """Read a window of an owner's endpoints, in the order of reading."""
    rows = await tx.rows(
        "SELECT "
        + _COLUMNS
        + " FROM events.endpoint WHERE owner_id = $1 AND seq "
        + (_OLDER if window.before is None else _NEWER),
        owner_id,
        window.cursor,
        window.top_seq,
        window.limit,
    )
    return [_endpoint(row) for row in rows]


async def update(tx: Tx, endpoint: Endpoint, *, keep_rest: bool) -> None:
    """Write what its owner may change.

    Disabled, it makes void what is due by now, however much: the sweep does it row by row, and
    until it has, an endpoint enabled again waits.
    """
    await tx.run(
        """
        UPDATE events.endpoint SET url = $2, event_types = $3, enabled = $4, disabled_reason = $5,
            failing_since = $6, updated_at = $7,
            rests_until = CASE WHEN $8 THEN rests_until END,
            void_before = CASE WHEN enabled AND NOT $4 THEN $7
                WHEN EXISTS (SELECT FROM events.delivery AS d
                    WHERE d.endpoint_id = $1 AND d.state = 'due') THEN void_before END
        WHERE id = $1
        """,
        endpoint.id,
        endpoint.url,
        endpoint.event_types,
        endpoint.enabled,
        endpoint.disabled_reason,
        endpoint.failing_since,
        endpoint.updated_at,
        keep_rest,
    )


async def delete(tx: Tx, endpoint_id: UUID, *, owner_id: UUID) -> bool:
    """Delete an owner's endpoint; tells whether it was there."""
    return bool(
        await tx.value(
            "DELETE FROM events.endpoint WHERE id = $1 AND owner_id = $2 RETURNING true",
            endpoint_id,
            owner_id,
        )
    )


async def rotate(
    tx: Tx, endpoint_id: UUID, *, secret_sealed: bytes, previous_until: datetime, now: datetime
) -> None:
    """Write a new secret, and until when the one before still counts."""
    await tx.run(
        """
        UPDATE events.endpoint SET secret_sealed = $2, previous_secret_sealed = secret_sealed,
            previous_until = $3, updated_at = $4
        WHERE id = $1
        """,
        endpoint_id,
        secret_sealed,
        previous_until,
        now,
    )


_COLUMNS: Final = (
    "id, owner_id, url, event_types, enabled, disabled_reason, previous_until, failing_since,"
    " created_at, updated_at"
)
_CURSOR: Final = (
    "coalesce((SELECT e.seq FROM events.endpoint AS e WHERE e.id = $2 AND e.owner_id = $1), $3)"
)
_OLDER: Final = "< " + _CURSOR + " ORDER BY seq DESC LIMIT $4"
_NEWER: Final = "> " + _CURSOR + " ORDER BY seq LIMIT $4"


def _endpoint(row: Any) -> Endpoint:  # noqa: ANN401 - a Record, whose columns have no types
    found = dict(row)
    found["event_types"] = tuple(found["event_types"])
    return Endpoint(**found)
