"""Every statement on open items: clearing records and messages that a person has to look at."""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from msgspec import Struct

from bayon.db import Tx

Source = Literal["clearing", "network"]


class OpenItem(Struct, frozen=True, kw_only=True):
    """Something nobody could match: a record of a clearing file, or a message of the network.

    `item` names it: `FILE-ID:LINE`, or a message's id. `what`: of a record its state, of a message
    its kind. `side`: debit or credit, of a record. `remaining_minor`: what a reversal leaves.
    """

    item: str
    source: Source
    what: str
    reason: str | None
    side: str | None
    currency: str | None
    amount_minor: int | None
    remaining_minor: int | None
    last_four: str | None
    reference: str | None
    rrn: str | None
    approval_code: str | None
    terminal: str | None
    pan_digest: bytes | None
    created_at: datetime


_RECORD: Final = """
    SELECT r.file_id::text || ':' || r.line AS item, 'clearing' AS source, r.state AS what,
        r.reason, r.adjustment AS side, r.currency, r.amount_minor,
        NULL::bigint AS remaining_minor, r.last_four, r.reference, r.rrn, r.approval_code,
        NULL AS terminal, r.pan_digest, r.created_at
    FROM cards.clearing_record AS r
    WHERE r.state IN ('unmatched', 'parked', 'rejected') AND r.closed_at IS NULL
    """
_MESSAGE: Final = """
    SELECT u.id::text AS item, 'network' AS source, u.kind AS what, u.reason, NULL AS side,
        u.currency, u.amount_minor, u.remaining_minor, c.last_four, NULL AS reference, u.rrn,
        u.approval_code, u.terminal, u.pan_digest, u.created_at
    FROM cards.unmatched AS u LEFT JOIN cards.card AS c ON c.id = u.card_id
    WHERE u.closed_at IS NULL
    """


async def open_items(tx: Tx, *, limit: int) -> list[OpenItem]:
    """List the newest open items."""
    rows = await tx.rows(
        "SELECT * FROM (("
        + _RECORD
        + "ORDER BY r.created_at DESC, r.file_id DESC, r.place DESC LIMIT $1) UNION ALL ("
        + _MESSAGE
        + "ORDER BY u.created_at DESC, u.id DESC LIMIT $1)) AS o "
        "ORDER BY o.created_at DESC, o.item DESC LIMIT $1",
        limit,
    )
    return [_item(row) for row in rows]


async def lock_record(tx: Tx, file_id: UUID, line: int) -> OpenItem | None:
    """Lock a record that is open."""
    row = await tx.row(
        _RECORD + "AND r.file_id = $1 AND r.line = $2 FOR UPDATE OF r", file_id, line
    )
    return _item(row) if row else None


async def lock_message(tx: Tx, message_id: UUID) -> OpenItem | None:
    """Lock a message that is open."""
    row = await tx.row(_MESSAGE + "AND u.id = $1 FOR UPDATE OF u", message_id)
    return _item(row) if row else None


async def close_record(
    tx: Tx, file_id: UUID, line: int, *, note: str | None, matched: bool, now: datetime
) -> None:
    """Close a record; `matched`: somebody has found what it cleared."""
    await tx.run(
        """
        UPDATE cards.clearing_record SET closed_at = $3, note = $4,
            state = CASE WHEN $5 THEN 'matched' ELSE state END,
            reason = CASE WHEN $5 THEN 'linked by hand' ELSE reason END
        WHERE file_id = $1 AND line = $2 AND state IN ('unmatched', 'parked', 'rejected')
        """,
        file_id,
        line,
        now,
        note,
        matched,
    )


async def close_message(tx: Tx, message_id: UUID, *, note: str | None, now: datetime) -> None:
    """Close a message."""
    await tx.run(
        "UPDATE cards.unmatched SET closed_at = $2, note = $3 WHERE id = $1", message_id, now, note
    )


async def card_digest(tx: Tx, card_id: UUID) -> bytes | None:
    """Tell the keyed digest of a card's number."""
    row = await tx.row("SELECT pan_digest FROM cards.card WHERE id = $1", card_id)
    return row["pan_digest"] if row else None


def _item(row: Any) -> OpenItem:  # noqa: ANN401 - a Record, whose columns have no types
    return OpenItem(**dict(row))
