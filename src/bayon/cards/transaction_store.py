"""Every statement that moves, shows or checks cards' transactions, of the schema `cards`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

import asyncpg
import msgspec

from bayon.cards.controls_store import read_controls
from bayon.cards.model import (
    Adjustment,
    Card,
    Decline,
    Fee,
    FeeRule,
    Merchant,
    Status,
    Trace,
    Transaction,
)
from bayon.cards.till import Seat, Till
from bayon.db import RunAgain, Tx, rows_text
from bayon.keyset import SEQ_MAX, Span, Window, numbering
from bayon.money import Currency

_TRANSACTION: Final = """ t.id, t.issuer_id, t.account_id, t.card_id, t.number, t.type, t.status,
    t.balance_adjustment_type, t.currency, t.amount_minor, t.transaction_currency,
    t.transaction_amount_minor, t.fees, t.merchant, t.funding_source, t.decline_reason, t.hold_id,
    t.occurred_at, t.settled_at, t.created_at, t.updated_at, t.expires_at, t.trace """

LATE_AFTER: Final = timedelta(hours=1)
"""What was written so long after it happened is late: a list by time finds it by its own index."""

Owner = Literal["issuer", "account", "card"]

_SEAT: Final = """ a.ledger_account_id, a.status AS account_status,
    a.currency AS account_currency, h.status AS cardholder_status, i.funding_account_id,
    i.clearing_account_id, i.fees_account_id, i.fees AS issuer_fees,
    a.controls AS account_controls """

_FEES: Final = msgspec.json.Decoder(tuple[Fee, ...])
_TRACE: Final = msgspec.json.Decoder(Trace)
_MERCHANT: Final = msgspec.json.Decoder(Merchant)
_FEE_RULES: Final = msgspec.json.Decoder(dict[str, FeeRule])

_OF: Final[dict[Owner, LiteralString]] = {
    "issuer": "t.issuer_id = $1 AND $2::uuid IS NOT NULL",
    "account": """ t.account_id = $2
        AND EXISTS (SELECT FROM cards.account AS o WHERE o.id = $2 AND o.issuer_id = $1)""",
    "card": """ t.card_id = $2
        AND EXISTS (SELECT FROM cards.card AS o WHERE o.id = $2 AND o.issuer_id = $1)""",
}
"""Whose rows, by one column, so that one index serves. That the account or the card is the issuer's
own is looked at first: else all of another's were read.
"""

_LANE: Final = """ SELECT t.* FROM cards.transaction AS t
    WHERE t.status = lane.status
    AND t.balance_adjustment_type = lane.adjustment AND """
_CURSOR: Final = """ coalesce((SELECT c.seq FROM cards.transaction AS c
    WHERE c.id = $6 AND c.issuer_id = $1), $7) """
_NOT_BEFORE: Final = """ AND t.occurred_at BETWEEN $8 AND $9
    AND t.seq >= coalesce((SELECT c.seq FROM cards.transaction AS c
        WHERE c.issuer_id = $1 AND c.created_at < $10 ORDER BY c.created_at DESC LIMIT 1), 0) """
_WITHIN: Final = f""" {_NOT_BEFORE} AND NOT t.late
    AND t.seq <= coalesce((SELECT c.seq FROM cards.transaction AS c
        WHERE c.issuer_id = $1 AND c.created_at > $11 ORDER BY c.created_at LIMIT 1), $12) """
_LATE: Final = f" {_NOT_BEFORE} AND t.late "


async def lock_cards(
    tx: Tx, card_ids: Sequence[UUID], pan_digests: Sequence[bytes]
) -> tuple[dict[UUID, Seat], dict[bytes, UUID]]:
    """Lock cards by id, of any issuers: the batch looks at whose they are itself.

    Their accounts are locked too, since what was changed while this waited is seen only in rows
    that are locked: against who changes their controls, not against who changes other things, whom
    one batch upon the other would never let through. Returns their seats, and which card is behind
    each digest.
    """
    rows = await tx.rows(
        f"""
        SELECT r.id, r.issuer_id, r.account_id, r.cardholder_id, r.type, r.status, r.last_four,
            r.exp_month, r.exp_year, r.pan_sealed, r.pvv, r.pin_tries, r.created_at, r.updated_at,
            r.atc, r.cvv2_tries, r.pan_digest, r.controls AS card_controls, {_SEAT}
        FROM cards.card AS r
        JOIN cards.account AS a ON a.id = r.account_id
        JOIN cards.cardholder AS h ON h.id = r.cardholder_id
        JOIN cards.issuer AS i ON i.id = r.issuer_id
        WHERE r.id = ANY($1::uuid[]) OR r.pan_digest = ANY($2::bytea[])
        ORDER BY r.id FOR UPDATE OF r FOR KEY SHARE OF a
        """,
        card_ids,
        pan_digests,
    )
    seats = {row["id"]: _seat(row).with_card(_card(row)) for row in rows}
    return seats, {row["pan_digest"]: row["id"] for row in rows}


async def find_seats(tx: Tx, account_ids: Sequence[UUID]) -> dict[UUID, Seat]:
    """Find where accounts' money lies, of any issuers. Locks nothing."""
    rows = await tx.rows(
        f"""
        SELECT a.id AS account_id, a.issuer_id, NULL AS card_controls, {_SEAT}
        FROM cards.account AS a
        JOIN cards.cardholder AS h ON h.id = a.cardholder_id
        JOIN cards.issuer AS i ON i.id = a.issuer_id
        WHERE a.id = ANY($1::uuid[])
        """,
        account_ids,
    )
    return {row["account_id"]: _seat(row) for row in rows}


async def save_counts(tx: Tx, cards: Sequence[Card]) -> None:
    """Write what is counted of locked cards: wrong PINs and codes, uses of the chip."""
    await tx.run(
        """
        UPDATE cards.card AS c
        SET pin_tries = d.pin_tries, atc = d.atc, cvv2_tries = d.cvv2_tries
        FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::smallint[])
            AS d (id, pin_tries, atc, cvv2_tries)
        WHERE c.id = d.id
        """,
        [card.id for card in cards],
        [card.pin_tries for card in cards],
        [card.atc for card in cards],
        [card.cvv2_tries for card in cards],
    )


async def lock_transactions(
    tx: Tx, transaction_ids: Sequence[UUID]
) -> dict[UUID, tuple[Seat, Transaction]]:
    """Lock transactions by id, of any issuers, each with where its account's money lies."""
    rows = await tx.rows(
        f"""
        SELECT {_TRANSACTION}, r.controls AS card_controls, {_SEAT} FROM cards.transaction AS t
        LEFT JOIN cards.card AS r ON r.id = t.card_id
        JOIN cards.account AS a ON a.id = t.account_id
        JOIN cards.cardholder AS h ON h.id = a.cardholder_id
        JOIN cards.issuer AS i ON i.id = t.issuer_id
        WHERE t.id = ANY($1::uuid[]) ORDER BY t.id FOR UPDATE OF t
        """,
        transaction_ids,
    )
    return {row["id"]: (_seat(row), _transaction(row)) for row in rows}


async def insert_transactions(tx: Tx, transactions: Sequence[Transaction]) -> None:
    """Insert transactions, numbered in order. Locks the issuers' counters until the commit.

    Errors: `RunAgain` when one of the random numbers is taken.
    """
    new = numbering([t.issuer_id for t in transactions])
    try:
        await tx.run(
            """
            WITH locked AS (
                SELECT issuer_id FROM cards.counter WHERE issuer_id = ANY($1::uuid[])
                ORDER BY issuer_id FOR UPDATE
            ), counted AS (
                UPDATE cards.counter AS c SET seq = c.seq + d.count
                FROM locked JOIN unnest($1::uuid[], $2::bigint[]) AS d (issuer_id, count)
                    ON d.issuer_id = locked.issuer_id
                WHERE c.issuer_id = locked.issuer_id
                RETURNING c.issuer_id, c.seq - d.count AS before
            )
            INSERT INTO cards.transaction (seq, late, id, issuer_id, account_id, card_id, number,
                type, status, balance_adjustment_type, currency, amount_minor,
                transaction_currency, transaction_amount_minor, fees, merchant, funding_source,
                decline_reason, hold_id, occurred_at, settled_at, created_at, updated_at,
                expires_at, trace, message_id, rrn, approval_code)
            SELECT counted.before + new.place,
                new.created_at - new.occurred_at > $4::interval, new.id, new.issuer_id,
                new.account_id, new.card_id, new.number, new.type, new.status,
                new.balance_adjustment_type, new.currency, new.amount_minor,
                new.transaction_currency, new.transaction_amount_minor, new.fees, new.merchant,
                new.funding_source, new.decline_reason, new.hold_id, new.occurred_at,
                new.settled_at, new.created_at, new.updated_at, new.expires_at, new.trace,
                (new.trace ->> 'message_id')::uuid, new.trace ->> 'rrn',
                new.trace ->> 'approval_code'
            FROM ROWS FROM (
                unnest($3::bigint[]),
                json_to_recordset($5::json) AS (id uuid, issuer_id uuid, account_id uuid,
                    card_id uuid, number text, type text, status text,
                    balance_adjustment_type text, currency text, amount_minor bigint,
                    transaction_currency text, transaction_amount_minor bigint, fees json,
                    merchant json, funding_source text, decline_reason text, hold_id uuid,
                    occurred_at timestamptz, settled_at timestamptz, created_at timestamptz,
                    updated_at timestamptz, expires_at timestamptz, trace json)
            ) AS new (place)
            JOIN counted ON counted.issuer_id = new.issuer_id
            """,
            new.owner_ids,
            new.counts,
            new.places,
            LATE_AFTER,
            rows_text(transactions),
        )
    except asyncpg.UniqueViolationError as error:
        raise RunAgain from error


async def update_transactions(tx: Tx, transactions: Sequence[Transaction]) -> None:
    """Write how locked transactions are now."""
    await tx.run(
        """
        UPDATE cards.transaction AS t
        SET status = d.status, amount_minor = d.amount_minor,
            transaction_amount_minor = d.transaction_amount_minor, settled_at = d.settled_at,
            updated_at = d.updated_at, expires_at = d.expires_at, hold_id = d.hold_id
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[],
            $6::timestamptz[], $7::timestamptz[], $8::uuid[])
            AS d (id, status, amount_minor, transaction_amount_minor, settled_at, updated_at,
            expires_at, hold_id)
        WHERE t.id = d.id
        """,
        *(
            [getattr(each, name) for each in transactions]
            for name in (
                *("id", "status", "amount_minor", "transaction_amount_minor"),
                *("settled_at", "updated_at", "expires_at", "hold_id"),
            )
        ),
    )


async def expired(tx: Tx, *, now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Find pending transactions whose time is over, the oldest first: issuer and transaction.

    Locks nothing: the batch looks again, and to the second of two it is not pending any more.
    """
    rows = await tx.rows(
        """
        SELECT t.issuer_id, t.id FROM cards.transaction AS t
        WHERE t.status = 'pending' AND t.expires_at <= $1
        ORDER BY t.expires_at LIMIT $2
        """,
        now,
        limit,
    )
    return [(row["issuer_id"], row["id"]) for row in rows]


async def find_transactions(
    tx: Tx, transaction_ids: Sequence[UUID], *, issuer_id: UUID
) -> dict[UUID, Transaction]:
    """Find an issuer's transactions, in whatever state."""
    rows = await tx.rows(
        "SELECT"
        + _TRANSACTION
        + "FROM cards.transaction AS t WHERE t.id = ANY($1::uuid[]) AND t.issuer_id = $2",
        transaction_ids,
        issuer_id,
    )
    return {row["id"]: _transaction(row) for row in rows}


async def page(
    tx: Tx,
    *,
    issuer_id: UUID,
    owner: tuple[Owner, UUID],
    lanes: Sequence[tuple[Status, Adjustment]],
    span: Span | None,
    window: Window,
) -> list[Transaction]:
    """Read a window of the transactions of an issuer, an account or a card, in order of reading.

    Each lane (a status and a direction) is read by its own stretch of the owner's index and they
    are merged, so a page costs the same however many rows of other lanes lie between. A span of
    time becomes a stretch of the index, too; what was written late is found by its own index.
    """
    of, owner_id = owner
    order: LiteralString = "DESC" if window.before is None else "ASC"
    beyond: LiteralString = "<" if window.before is None else ">"
    lane: LiteralString = f"{_LANE} {_OF[of]} AND t.seq {beyond} {_CURSOR}"
    within: LiteralString = "" if span is None else _WITHIN
    late: LiteralString = (
        "" if span is None else f"UNION ALL ({lane} {_LATE} ORDER BY t.seq {order} LIMIT $5)"
    )
    rows = await tx.rows(
        f"""
        SELECT {_TRANSACTION} FROM unnest($3::text[], $4::text[]) AS lane (status, adjustment)
        CROSS JOIN LATERAL (
            SELECT * FROM (
                ({lane} {within} ORDER BY t.seq {order} LIMIT $5) {late}
            ) AS found ORDER BY seq {order} LIMIT $5
        ) AS t ORDER BY t.seq {order} LIMIT $5
        """,
        issuer_id,
        owner_id,
        [status for status, _ in lanes],
        [adjustment for _, adjustment in lanes],
        window.limit,
        window.cursor,
        window.top_seq,
        *(() if span is None else _bounds(span)),
    )
    return [_transaction(row) for row in rows]


async def check_page(tx: Tx, *, after: UUID | None, limit: int) -> list[Transaction]:
    """Read transactions by id, from behind one on, to check them one page at a time."""
    rows = await tx.rows(
        "SELECT"
        + _TRANSACTION
        + """
        FROM cards.transaction AS t WHERE $1::uuid IS NULL OR t.id > $1 ORDER BY t.id LIMIT $2
        """,
        after,
        limit,
    )
    return [_transaction(row) for row in rows]


async def check_accounts(tx: Tx, *, after: UUID | None, limit: int) -> dict[UUID, UUID]:
    """Read the ledger accounts of accounts by id, from behind one on, to check them by pages."""
    rows = await tx.rows(
        """
        SELECT id, ledger_account_id FROM cards.account
        WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2
        """,
        after,
        limit,
    )
    return {row["id"]: row["ledger_account_id"] for row in rows}


async def known(tx: Tx, transaction_ids: Sequence[UUID]) -> set[UUID]:
    """Tell which of these are transactions."""
    rows = await tx.rows(
        "SELECT id FROM cards.transaction WHERE id = ANY($1::uuid[])", transaction_ids
    )
    return {row["id"] for row in rows}


async def check_strangers(tx: Tx) -> list[UUID]:
    """Name the transactions whose card or account is another's, or not there."""
    rows = await tx.rows(
        """
        SELECT t.id FROM cards.transaction AS t
        LEFT JOIN cards.account AS a ON a.id = t.account_id
        LEFT JOIN cards.card AS c ON c.id = t.card_id
        WHERE a.issuer_id IS DISTINCT FROM t.issuer_id
            OR (t.card_id IS NOT NULL AND c.account_id IS DISTINCT FROM t.account_id)
        """
    )
    return [row["id"] for row in rows]


async def ledger_ids(tx: Tx, account_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Tell the ledger account of each account, of any issuers."""
    rows = await tx.rows(
        "SELECT id, ledger_account_id FROM cards.account WHERE id = ANY($1::uuid[])", account_ids
    )
    return {row["id"]: row["ledger_account_id"] for row in rows}


def _bounds(span: Span) -> list[object]:
    late_after = span.well_after + LATE_AFTER
    return [span.since, span.until, span.well_before, late_after, SEQ_MAX]


def _seat(row: Any) -> Seat:  # noqa: ANN401 - a Record, whose columns have no types
    return Seat(
        issuer_id=row["issuer_id"],
        account_id=row["account_id"],
        account_status=row["account_status"],
        currency=Currency(row["account_currency"]),
        cardholder_status=row["cardholder_status"],
        till=Till(
            ledger_account_id=row["ledger_account_id"],
            funding_account_id=row["funding_account_id"],
            clearing_account_id=row["clearing_account_id"],
            fees_account_id=row["fees_account_id"],
            fees=_FEE_RULES.decode(row["issuer_fees"]),
        ),
        controls=read_controls(row["account_controls"]),
        card_controls=read_controls(row["card_controls"]),
    )


def _card(row: Any) -> Card:  # noqa: ANN401 - a Record, whose columns have no types
    return Card(**{name: row[name] for name in Card.__struct_fields__})


def _transaction(row: Any) -> Transaction:  # noqa: ANN401 - a Record, whose columns have no types
    columns: dict[str, Any] = {name: row[name] for name in Transaction.__struct_fields__}
    reason, merchant = columns["decline_reason"], columns["merchant"]
    columns["currency"] = Currency(columns["currency"])
    columns["fees"] = _FEES.decode(columns["fees"])
    columns["trace"] = _TRACE.decode(columns["trace"]) if columns["trace"] else None
    columns["merchant"] = _MERCHANT.decode(merchant) if merchant else None
    columns["decline_reason"] = Decline(reason) if reason else None
    return Transaction(**columns)
