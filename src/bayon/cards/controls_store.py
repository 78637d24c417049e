"""Every statement on the controls of cards and accounts, and on what was used of their limits."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, LiteralString
from uuid import UUID

import msgspec

from bayon.cards.controls import Controls, Place, Used
from bayon.db import Tx

Owner = Literal["account", "card"]

_CONTROLS: Final = msgspec.json.Decoder(Controls)

_FROM: Final[dict[Owner, LiteralString]] = {
    "account": "SELECT controls FROM cards.account WHERE id = $1 AND issuer_id = $2",
    "card": "SELECT controls FROM cards.card WHERE id = $1 AND issuer_id = $2",
}
_UPDATE: Final[dict[Owner, LiteralString]] = {
    "account": "UPDATE cards.account SET controls = $2 WHERE id = $1",
    "card": "UPDATE cards.card SET controls = $2 WHERE id = $1",
}
_OF: Final[dict[Owner, LiteralString]] = {
    "account": "t.account_id = $1",
    "card": "t.card_id = $1",
}
_CARDS_OF: Final[dict[Owner, LiteralString]] = {
    "account": "SELECT id FROM cards.card WHERE account_id = $1 ORDER BY id FOR UPDATE",
    "card": "SELECT id FROM cards.card WHERE id = $1 ORDER BY id FOR UPDATE",
}
_SEQ_SLACK: Final = timedelta(hours=1)
"""Rows are numbered as they are committed: not quite in the order of their instants."""


def read_controls(written: str | None) -> Controls | None:
    """Read controls as a column has them; most cards have none, and cost nothing."""
    return None if written is None else _CONTROLS.decode(written)


async def find_controls(
    tx: Tx, owner: Owner, owner_id: UUID, *, issuer_id: UUID, lock: bool = False
) -> tuple[bool, Controls | None]:
    """Find the controls of an issuer's card or account, and whether it is there at all.

    Locked `FOR UPDATE` and no less: only then does a batch that waited see what was changed, which
    locks an account for its key alone.
    """
    row = await tx.row(_FROM[owner] + (" FOR UPDATE" if lock else ""), owner_id, issuer_id)
    return row is not None, None if row is None else read_controls(row["controls"])


async def update_controls(tx: Tx, owner: Owner, owner_id: UUID, controls: Controls | None) -> None:
    """Write the controls of a locked card or account."""
    written = controls and msgspec.json.encode(controls, order="deterministic").decode()
    await tx.run(_UPDATE[owner], owner_id, written)


async def lock_movers(tx: Tx, owner: Owner, owner_id: UUID, *, since: datetime) -> None:
    """Lock whatever may change what was used since: transactions, then cards.

    In the order of the batch, which has its transactions and cards locked until it has counted.
    """
    await tx.run(
        "SELECT t.id FROM cards.transaction AS t WHERE "
        + _OF[owner]
        + " AND t.status IN ('pending', 'settled') AND t.created_at >= $2 ORDER BY t.id FOR UPDATE",
        owner_id,
        since,
    )
    await tx.run(_CARDS_OF[owner], owner_id)


async def count_used(
    tx: Tx, owner: Owner, owner_id: UUID, *, issuer_id: UUID, since: datetime
) -> Used:
    """Count from the transactions themselves what was used of a card or an account since."""
    row = await tx.row(
        """
        SELECT coalesce(sum(t.amount_minor - f.fees_minor), 0)::bigint AS amount_minor,
            count(*) AS count
        FROM cards.transaction AS t CROSS JOIN LATERAL (
            SELECT coalesce(sum((fee ->> 'amount_minor')::bigint), 0) AS fees_minor
            FROM json_array_elements(t.fees) AS fee
        ) AS f WHERE """
        + _OF[owner]
        + """ AND t.status IN ('pending', 'settled') AND t.balance_adjustment_type = 'debit'
            AND t.created_at >= $3
            AND t.seq >= coalesce((SELECT c.seq FROM cards.transaction AS c
                WHERE c.issuer_id = $2 AND c.created_at < $4
                ORDER BY c.created_at DESC LIMIT 1), 0)
        """,
        owner_id,
        issuer_id,
        since,
        since - _SEQ_SLACK,
    )
    assert row is not None, "a sum has a row"
    return Used(amount_minor=row["amount_minor"], count=row["count"])


async def lock_used(tx: Tx, wanted: Collection[Place]) -> dict[Place, Used]:
    """Lock what was used, in order; a row that is not there is made, so that two wait in turn."""
    ordered = sorted(wanted)
    rows = await tx.rows(
        """
        INSERT INTO cards.usage AS u (subject_id, day, amount_minor, count)
        SELECT d.subject_id, d.day, 0, 0
        FROM unnest($1::uuid[], $2::date[]) AS d (subject_id, day)
        ON CONFLICT (subject_id, day) DO UPDATE SET count = u.count
        RETURNING u.subject_id, u.day, u.amount_minor, u.count
        """,
        [subject_id for subject_id, _ in ordered],
        [day for _, day in ordered],
    )
    return {
        (row["subject_id"], row["day"]): Used(amount_minor=row["amount_minor"], count=row["count"])
        for row in rows
    }


async def find_used(tx: Tx, place: Place) -> Used | None:
    """Find what was used, where it is counted."""
    row = await tx.row(
        "SELECT amount_minor, count FROM cards.usage WHERE subject_id = $1 AND day = $2", *place
    )
    return row if row is None else Used(amount_minor=row["amount_minor"], count=row["count"])


async def save_used(tx: Tx, used: Sequence[tuple[Place, Used]]) -> None:
    """Write what was used, of rows that are locked or made just now."""
    ordered = sorted(used, key=lambda each: each[0])
    await tx.run(
        """
        INSERT INTO cards.usage (subject_id, day, amount_minor, count)
        SELECT * FROM unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[])
        ON CONFLICT (subject_id, day)
        DO UPDATE SET amount_minor = excluded.amount_minor, count = excluded.count
        """,
        [subject_id for (subject_id, _), _ in ordered],
        [day for (_, day), _ in ordered],
        [each.amount_minor for _, each in ordered],
        [each.count for _, each in ordered],
    )
