"""The statements on deliveries and their attempts.

Whoever changes a delivery holds its endpoint's row: so what is held back and what holds it back
cannot pass each other by. Only emitting does not; it adds, and the next claim sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon.db import Tx
from bayon.events.model import Attempt
from bayon.events.schedule import Lane, State
from bayon.keyset import SEQ_MAX, Span, Window

VOID_LIMIT: Final = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An endpoint as deliveries are sent to it, its secrets sealed; `bare` without a document."""

    endpoint_id: UUID
    url: str
    bare: bool
    secret_sealed: bytes
    previous_secret_sealed: bytes | None
    previous_until: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A delivery that is this worker's for a while; `body` None: held back, nothing to do now."""

    event_id: UUID
    endpoint_id: UUID
    subject_id: UUID
    attempts: int
    body: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What becomes of a delivery, of which this many attempts had failed before this one."""

    event_id: UUID
    endpoint_id: UUID
    attempts: int
    state: State
    next_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """How an endpoint is doing."""

    endpoint_id: UUID
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    rests_until: datetime | None


async def waits(tx: Tx) -> bool:
    """Tell whether there is a delivery that has not ended.

    In the order of its index, so that it looks nowhere else: what statistics of an hour ago, when
    much was due, would make it do.
    """
    first = await tx.row(
        """
        SELECT FROM events.delivery WHERE state = 'due'
        ORDER BY endpoint_id, next_at, seq LIMIT 1
        """
    )
    return first is not None


async def lanes(tx: Tx, *, now: datetime) -> list[Lane]:
    """Find the endpoints to which something is due: one look into each queue, however long.

    Those that are gone or disabled, or whose past is not all void yet, come too, as `closed`.
    """
    rows = await tx.rows(
        """
        WITH RECURSIVE lane AS (
            (SELECT d.endpoint_id FROM events.delivery AS d WHERE d.state = 'due'
                ORDER BY d.endpoint_id LIMIT 1)
            UNION ALL
            SELECT (SELECT d.endpoint_id FROM events.delivery AS d
                WHERE d.state = 'due' AND d.endpoint_id > lane.endpoint_id
                ORDER BY d.endpoint_id LIMIT 1)
            FROM lane WHERE lane.endpoint_id IS NOT NULL
        )
        SELECT lane.endpoint_id, e.failing_since IS NOT NULL AS failing,
            e.id IS NULL OR NOT e.enabled OR e.void_before IS NOT NULL AS closed
        FROM lane LEFT JOIN events.endpoint AS e ON e.id = lane.endpoint_id
        WHERE lane.endpoint_id IS NOT NULL
            AND (e.id IS NULL OR NOT e.enabled OR e.void_before IS NOT NULL
                OR (e.rests_until IS NULL OR e.rests_until <= $1)
                AND (SELECT d.next_at FROM events.delivery AS d
                    WHERE d.endpoint_id = lane.endpoint_id AND d.state = 'due'
                    ORDER BY d.next_at LIMIT 1) <= $1)
        """,
        now,
    )
    return [Lane(**dict(row)) for row in rows]


async def lock_targets(tx: Tx, endpoint_ids: Sequence[UUID]) -> dict[UUID, Target]:
    """Lock those of these endpoints that nobody else has locked, where anything may be sent."""
    rows = await tx.rows(
        """
        SELECT id AS endpoint_id, url, bare, secret_sealed, previous_secret_sealed, previous_until
        FROM events.endpoint
        WHERE id = ANY($1::uuid[]) AND enabled AND void_before IS NULL
        ORDER BY id FOR UPDATE SKIP LOCKED
        """,
        endpoint_ids,
    )
    return {row["endpoint_id"]: Target(**dict(row)) for row in rows}


async def claim(
    tx: Tx,
    shares: Mapping[UUID, int],
    *,
    now: datetime,
    until: datetime,
    hold_attempts: int,
) -> list[Claim]:
    """Claim of each endpoint's queue its share, and put aside what is held back on the way.

    Each thing is put aside once and comes back once, so a long queue of one resource costs no
    more than one of many. Limits are literals: of a parameter the planner expects the worst.
    """
    rows = await tx.rows(
        """
        WITH found AS (
            SELECT d.event_id, d.endpoint_id, d.held, share.size, row_number() OVER (
                PARTITION BY d.endpoint_id, d.held ORDER BY d.next_at, d.seq) AS place
            FROM unnest($1::uuid[], $2::int[]) AS share (endpoint_id, size)
            CROSS JOIN LATERAL (
                SELECT due.event_id, due.endpoint_id, due.next_at, due.seq, EXISTS (
                    SELECT FROM events.delivery AS older
                    WHERE older.endpoint_id = due.endpoint_id
                        AND older.subject_id = due.subject_id AND older.seq < due.seq
                        AND older.state = 'due' AND older.attempts < $5) AS held
                FROM events.delivery AS due
                WHERE due.endpoint_id = share.endpoint_id AND due.state = 'due'
                    AND due.next_at <= $3
                ORDER BY due.next_at, due.seq LIMIT 64
            ) AS d
        )
        UPDATE events.delivery AS d SET next_at = CASE WHEN NOT found.held THEN $4::timestamptz END
        FROM found JOIN events.event AS e ON e.id = found.event_id
        WHERE d.event_id = found.event_id AND d.endpoint_id = found.endpoint_id
            AND (found.held OR found.place <= found.size)
        RETURNING d.event_id, d.endpoint_id, d.subject_id, d.attempts,
            CASE WHEN NOT found.held THEN e.body END AS body
        """,
        list(shares),
        list(shares.values()),
        now,
        until,
        hold_attempts,
    )
    return [Claim(**dict(row)) for row in rows]


async def lock_health(tx: Tx, endpoint_ids: Sequence[UUID]) -> dict[UUID, Health]:
    """Lock these endpoints, one after the other, and tell how they are doing."""
    rows = await tx.rows(
        """
        SELECT id AS endpoint_id, enabled, disabled_reason, failing_since, rests_until
        FROM events.endpoint WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
        """,
        endpoint_ids,
    )
    return {row["endpoint_id"]: Health(**dict(row)) for row in rows}


async def update_health(tx: Tx, healths: Sequence[Health], *, now: datetime) -> None:
    """Write how endpoints are doing; one that is disabled makes void what is due by now."""
    await tx.run(
        """
        UPDATE events.endpoint AS e SET failing_since = new.failing_since,
            rests_until = new.rests_until, enabled = new.enabled,
            disabled_reason = new.disabled_reason,
            void_before = CASE WHEN e.enabled AND NOT new.enabled THEN $6 ELSE void_before END,
            updated_at = CASE WHEN e.enabled = new.enabled THEN updated_at ELSE $6 END
        FROM unnest($1::uuid[], $2::boolean[], $3::text[], $4::timestamptz[], $5::timestamptz[])
            AS new (id, enabled, disabled_reason, failing_since, rests_until)
        WHERE e.id = new.id
        """,
        [health.endpoint_id for health in healths],
        [health.enabled for health in healths],
        [health.disabled_reason for health in healths],
        [health.failing_since for health in healths],
        [health.rests_until for health in healths],
        now,
    )


async def insert_attempts(tx: Tx, attempts: Sequence[Attempt]) -> None:
    """Keep attempts; one that is kept already, because a commit was not heard of, stays."""
    await tx.run(
        """
        INSERT INTO events.delivery_attempt (id, event_id, endpoint_id, attempted_at, status_code,
            duration_ms, error, response_excerpt)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::int[],
            $6::int[], $7::text[], $8::text[])
        ON CONFLICT (id) DO NOTHING
        """,
        [attempt.id for attempt in attempts],
        [attempt.event_id for attempt in attempts],
        [attempt.endpoint_id for attempt in attempts],
        [attempt.attempted_at for attempt in attempts],
        [attempt.status_code for attempt in attempts],
        [attempt.duration_ms for attempt in attempts],
        [attempt.error for attempt in attempts],
        [attempt.response_excerpt for attempt in attempts],
    )


async def update_deliveries(tx: Tx, changes: Sequence[Change]) -> None:
    """Write what became of deliveries.

    What arrived has arrived, whoever claimed it meanwhile. A failure counts where this was still
    the attempt to be made.
    """
    await tx.run(
        """
        UPDATE events.delivery AS d SET state = new.state, next_at = new.next_at,
            attempts = d.attempts + CASE WHEN new.state = 'delivered' THEN 0 ELSE 1 END
        FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::timestamptz[])
            AS new (event_id, endpoint_id, attempts, state, next_at)
        WHERE d.event_id = new.event_id AND d.endpoint_id = new.endpoint_id
            AND CASE WHEN new.state = 'delivered' THEN d.state <> 'delivered'
                ELSE d.state = 'due' AND d.attempts = new.attempts END
        """,
        [change.event_id for change in changes],
        [change.endpoint_id for change in changes],
        [change.attempts for change in changes],
        [change.state for change in changes],
        [change.next_at for change in changes],
    )


async def bring_next(tx: Tx, subjects: Sequence[tuple[UUID, UUID]]) -> None:
    """Let the oldest that is held back of each endpoint's resource come due, at its old place."""
    await tx.run(
        """
        UPDATE events.delivery AS d SET next_at = d.created_at
        FROM unnest($1::uuid[], $2::uuid[]) AS subject (endpoint_id, subject_id)
        CROSS JOIN LATERAL (
            SELECT held.event_id FROM events.delivery AS held
            WHERE held.endpoint_id = subject.endpoint_id AND held.subject_id = subject.subject_id
                AND held.state = 'due' AND held.next_at IS NULL
            ORDER BY held.seq LIMIT 1
        ) AS next
        WHERE d.event_id = next.event_id AND d.endpoint_id = subject.endpoint_id
        """,
        [endpoint_id for endpoint_id, _ in subjects],
        [subject_id for _, subject_id in subjects],
    )


async def void(tx: Tx, endpoint_id: UUID) -> int:
    """Void up to `VOID_LIMIT` of what is due to an endpoint and may not be sent; tells how many."""
    rows = await tx.rows(
        """
        UPDATE events.delivery AS d SET state = 'voided', next_at = NULL
        FROM (
            SELECT due.event_id FROM events.delivery AS due
            LEFT JOIN events.endpoint AS e ON e.id = due.endpoint_id
            WHERE due.endpoint_id = $1 AND due.state = 'due'
                AND (e.id IS NULL OR NOT e.enabled OR due.created_at <= e.void_before)
            LIMIT 1000
        ) AS old
        WHERE d.event_id = old.event_id AND d.endpoint_id = $1
        RETURNING true
        """,
        endpoint_id,
    )
    return len(rows)


async def end_void(tx: Tx, endpoint_id: UUID) -> None:
    """Let an endpoint be told again, when nothing is left to void; nothing left is held back."""
    await tx.run("UPDATE events.endpoint SET void_before = NULL WHERE id = $1", endpoint_id)
    await tx.run(
        """
        UPDATE events.delivery SET next_at = created_at
        WHERE endpoint_id = $1 AND state = 'due' AND next_at IS NULL
        """,
        endpoint_id,
    )


async def send_again(
    tx: Tx,
    *,
    owner_id: UUID,
    event_ids: Sequence[UUID],
    endpoint_ids: Sequence[UUID],
    now: datetime,
) -> int:
    """Make events due to those endpoints that want their types, as if new; returns how many."""
    rows = await tx.rows(
        """
        INSERT INTO events.delivery AS d (event_id, endpoint_id, subject_id, seq, state, attempts,
            next_at, created_at)
        SELECT event.id, e.id, event.subject_id, event.seq, 'due', 0, $4, $4
        FROM events.event AS event JOIN events.endpoint AS e ON e.owner_id = event.owner_id
        WHERE event.id = ANY($1::uuid[]) AND event.owner_id = $2 AND e.id = ANY($3::uuid[])
            AND CASE WHEN e.event_types = '{}'
                THEN event.type NOT LIKE '%.declined' ELSE event.type = ANY(e.event_types) END
        ON CONFLICT (event_id, endpoint_id) DO UPDATE
        SET state = 'due', attempts = 0, next_at = $4, created_at = $4
        RETURNING true
        """,
        event_ids,
        owner_id,
        endpoint_ids,
        now,
    )
    return len(rows)


async def lock_enabled(tx: Tx, owner_id: UUID) -> list[UUID]:
    """Lock an owner's enabled endpoints."""
    rows = await tx.rows(
        """
        SELECT id FROM events.endpoint WHERE owner_id = $1 AND enabled ORDER BY id FOR UPDATE
        """,
        owner_id,
    )
    return [row["id"] for row in rows]


async def events_within(
    tx: Tx, *, owner_id: UUID, span: Span, after_seq: int, limit: int
) -> list[tuple[UUID, int]]:
    """Read ids and places of an owner's events written within a span, the oldest first."""
    rows = await tx.rows(
        """
        SELECT id, seq FROM events.event
        WHERE owner_id = $1 AND seq > $2 AND created_at BETWEEN $3 AND $4
            AND seq >= coalesce((SELECT e.seq FROM events.event AS e WHERE e.owner_id = $1
                AND e.created_at < $5 ORDER BY e.created_at DESC LIMIT 1), 0)
            AND seq <= coalesce((SELECT e.seq FROM events.event AS e WHERE e.owner_id = $1
                AND e.created_at > $6 ORDER BY e.created_at LIMIT 1), $7)
        ORDER BY seq LIMIT $8
        """,
        owner_id,
        after_seq,
        span.since,
        span.until,
        span.well_before,
        span.well_after,
        SEQ_MAX,
        limit,
    )
    return [(row["id"], row["seq"]) for row in rows]


async def attempts_page(tx: Tx, event_id: UUID, *, window: Window) -> list[Attempt]:
    """Read a window of an event's attempts, in the order of reading."""
    rows = await tx.rows(
        """
        SELECT id, event_id, endpoint_id, attempted_at, status_code, duration_ms, error,
            response_excerpt
        FROM events.delivery_attempt WHERE event_id = $1
        """
        + (_OLDER if window.before is None else _NEWER),
        event_id,
        window.cursor,
        window.limit,
    )
    return [Attempt(**dict(row)) for row in rows]


_CURSOR: Final = """
    (SELECT a.id FROM events.delivery_attempt AS a WHERE a.id = $2 AND a.event_id = $1)
"""
_OLDER: Final = " AND ($2::uuid IS NULL OR id < " + _CURSOR + ") ORDER BY id DESC LIMIT $3"
_NEWER: Final = " AND ($2::uuid IS NULL OR id > " + _CURSOR + ") ORDER BY id LIMIT $3"
