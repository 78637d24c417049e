"""The statements on what the card network calls transactions, of the schema `cards`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon.cards.model import Trace
from bayon.cards.original import Original, Unmatched
from bayon.db import Tx
from bayon.ids import uuid7

CANDIDATES_MAX: Final = 16
"""Transactions of one card that share a reference; more are none of an honest acquirer's."""


async def candidates(tx: Tx, originals: Sequence[Original]) -> dict[Original, list[UUID]]:
    """Find the transactions each message may be about, each way by its own index. Locks nothing."""
    rows = await tx.rows(
        """
        SELECT o.place, found.id
        FROM unnest($1::int[], $2::uuid[], $3::bytea[], $4::text[], $5::text[])
            AS o (place, message_id, pan_digest, rrn, approval_code)
        CROSS JOIN LATERAL (
            (SELECT t.id FROM cards.transaction AS t
                WHERE t.message_id = o.message_id ORDER BY t.id DESC LIMIT $6)
            UNION
            (SELECT t.id FROM cards.card AS c JOIN cards.transaction AS t
                ON t.card_id = c.id AND t.rrn = o.rrn
                WHERE c.pan_digest = o.pan_digest ORDER BY t.id DESC LIMIT $6)
            UNION
            (SELECT t.id FROM cards.card AS c JOIN cards.transaction AS t
                ON t.card_id = c.id AND t.approval_code = o.approval_code
                WHERE c.pan_digest = o.pan_digest ORDER BY t.id DESC LIMIT $6)
        ) AS found
        """,
        list(range(len(originals))),
        [original.message_id for original in originals],
        [original.pan_digest for original in originals],
        [original.rrn for original in originals],
        [original.approval_code for original in originals],
        CANDIDATES_MAX,
    )
    found: dict[Original, list[UUID]] = {}
    for row in rows:
        place: int = row["place"]
        found.setdefault(originals[place], []).append(row["id"])
    return found


async def insert_unmatched(tx: Tx, unmatched: Sequence[Unmatched], *, created_at: datetime) -> None:
    """Keep messages that are about nothing we know."""
    await tx.run(
        """
        INSERT INTO cards.unmatched (id, kind, card_id, pan_digest, message_id, rrn, stan,
            approval_code, terminal, acquirer, currency, amount_minor, remaining_minor, reason,
            created_at)
        SELECT u.*, $15 FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[], $5::uuid[],
            $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
            $12::bigint[], $13::bigint[], $14::text[]) AS u
        """,
        [uuid7() for _ in unmatched],
        [each.kind for each in unmatched],
        [each.card_id for each in unmatched],
        [each.original.pan_digest for each in unmatched],
        [_trace(each).message_id for each in unmatched],
        [each.original.rrn for each in unmatched],
        [each.original.stan for each in unmatched],
        [each.original.approval_code for each in unmatched],
        [each.original.terminal for each in unmatched],
        [_trace(each).acquirer for each in unmatched],
        [each.currency for each in unmatched],
        [each.original.amount_minor for each in unmatched],
        [each.remaining_minor for each in unmatched],
        [each.reason for each in unmatched],
        created_at,
    )


def _trace(unmatched: Unmatched) -> Trace:
    return unmatched.trace or Trace()
