"""Rows for lists that are long: made by PostgreSQL itself, in the shape the rooms write."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from bayon.cards import Issuer
from bayon.db import Database, Tx
from bayon.ids import uuid7

BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What was made: `count` rows of each kind, `step` apart, in the order of `seq`."""

    issuer: Issuer
    stranger: Issuer
    count: int
    step: timedelta
    hot_account: UUID
    rare_account: UUID
    hot_holder: UUID
    rare_holder: UUID

    def written(self, seq: int) -> datetime:
        """Tell when the row of this place was written."""
        return BEGAN + self.step * seq


def row_id(issuer: Issuer, letter: str, n: int) -> UUID:
    """Tell the id of the n-th row of a kind, as PostgreSQL makes it."""
    text = f"{issuer.id}{letter}{n}".encode()
    return UUID(hashlib.md5(text, usedforsecurity=False).hexdigest())


async def make_rows(
    db: Database, issuer: Issuer, stranger: Issuer, *, count: int, step: timedelta
) -> Rows:
    """Make cardholders, accounts, cards, transactions and events of an issuer, and ANALYZE.

    One row in ten is the hot owner's, five are the rare one's; of two hundred statuses one is
    declined, four pending; five are reversed; one in fifty was written a month late.
    """
    made = Rows(
        issuer=issuer,
        stranger=stranger,
        count=count,
        step=step,
        hot_account=row_id(issuer, "a", 10),
        rare_account=row_id(issuer, "a", 11),
        hot_holder=uuid7(),
        rare_holder=uuid7(),
    )

    async def work(tx: Tx) -> None:
        await _cardholders(tx, made)
        await _accounts(tx, made)
        await _cards(tx, made)
        await _transactions(tx, made)
        await _events(tx, made)
        await tx.run(
            "UPDATE cards.counter SET seq = $2 WHERE issuer_id = $1", issuer.id, count * 10
        )
        await tx.run(
            "UPDATE events.counter SET seq = $2 WHERE owner_id = $1", issuer.id, count * 10
        )

    await db.transaction(work)
    for table in ("cardholder", "account", "card", "transaction"):
        await db.read(lambda tx, table=table: tx.run(f"VACUUM ANALYZE cards.{table}"))
    await db.read(lambda tx: tx.run("VACUUM ANALYZE events.event"))
    return made


async def _cardholders(tx: Tx, made: Rows) -> None:
    await tx.run(
        """
        INSERT INTO cards.cardholder (id, issuer_id, seq, name, phone_number, status, born_on,
            address, identity_document_number, identity_document_type, photo_url,
            identity_document_url, additional_details, metadata, created_at, updated_at, revision,
            review_attempts)
        SELECT CASE n WHEN 1 THEN $4 WHEN 2 THEN $5 ELSE gen_random_uuid() END, $1, n, 'Tang Dara',
            '855715200960', 'active', date '2000-01-01', 'Phnom Penh', '123456789', 'id_card',
            'https://example.org/a.png', 'https://example.org/b.png', '{}', '{}', $3, $3, 1, 0
        FROM generate_series(1, $2::bigint) AS n
        """,
        made.issuer.id,
        made.count,
        BEGAN,
        made.hot_holder,
        made.rare_holder,
    )


async def _accounts(tx: Tx, made: Rows) -> None:
    await tx.run(
        """
        INSERT INTO ledger.account (id, currency, kind, created_at)
        SELECT md5($1::text || n)::uuid, 'USD', 'customer', $3
        FROM generate_series(1, $2::bigint) AS n
        """,
        str(made.issuer.id),
        made.count,
        BEGAN,
    )
    await tx.run(
        "INSERT INTO ledger.balance (account_id, slot) "
        "SELECT md5($1::text || n)::uuid, 0 FROM generate_series(1, $2::bigint) AS n",
        str(made.issuer.id),
        made.count,
    )
    await tx.run(
        """
        INSERT INTO cards.account (id, issuer_id, seq, cardholder_id, number, currency, status,
            metadata, ledger_account_id, created_at, updated_at)
        SELECT md5($7::text || 'a' || n)::uuid, $1, n, CASE WHEN n % 10 = 0 THEN $4::uuid
            WHEN n % ($2 / 5) = 1 THEN $5::uuid ELSE h.id END, lpad(n::text, 6, '0'), 'USD',
            'active', '{}', md5($6::text || n)::uuid, $3, $3
        FROM generate_series(1, $2::bigint) AS n
        JOIN cards.cardholder AS h ON h.issuer_id = $1 AND h.seq = greatest(3, n / 3)
        """,
        made.issuer.id,
        made.count,
        BEGAN,
        made.hot_holder,
        made.rare_holder,
        str(made.issuer.id),
        str(made.issuer.id),
    )


async def _cards(tx: Tx, made: Rows) -> None:
    await tx.run(
        """
        INSERT INTO cards.card (id, issuer_id, seq, account_id, cardholder_id, type, status,
            last_four, exp_month, exp_year, pan_sealed, pan_digest, pin_tries, created_at,
            updated_at)
        SELECT a.id, a.issuer_id, a.seq, a.id, a.cardholder_id,
            'physical', 'active', '1178', 4, 2029, '\\x00'::bytea,
            sha256(convert_to($2::text || a.seq, 'UTF8')), 0, $3, $3
        FROM cards.account AS a WHERE a.issuer_id = $1
        """,
        made.issuer.id,
        str(made.issuer.id),
        BEGAN,
    )


async def _transactions(tx: Tx, made: Rows) -> None:
    await tx.run(
        """
        INSERT INTO cards.transaction (id, issuer_id, seq, account_id, card_id, number, type,
            status, balance_adjustment_type, currency, amount_minor, transaction_currency,
            transaction_amount_minor, fees, merchant, decline_reason, occurred_at, settled_at, late,
            created_at, updated_at)
        SELECT md5($6::text || 't' || n)::uuid, $1, n, r.account_id, r.account_id,
            lpad(n::text, 12, '0'), 'purchase', r.status,
            CASE WHEN n % 20 = 7 THEN 'credit' ELSE 'debit' END, 'USD', 0, 'USD', 0, '[]',
            '{"name": "Shop", "city": "Phnom Penh", "country": "KH", "category": null}',
            CASE r.status WHEN 'declined' THEN 'insufficient_funds' END,
            date_trunc('second', r.at) - CASE WHEN r.late THEN interval '30 days'
                ELSE interval '0' END,
            CASE r.status WHEN 'settled' THEN r.at END, r.late, r.at, r.at
        FROM generate_series(1, $2::bigint) AS n
        CROSS JOIN LATERAL (
            SELECT CASE WHEN n % 10 = 0 THEN $4::uuid WHEN n % ($2 / 5) = 1 THEN $5::uuid
                    ELSE md5($6::text || 'a' || 12 + n % 1000)::uuid END AS account_id,
                CASE WHEN n % ($2 / 5) = 3 THEN 'reversed' WHEN n % 200 = 5 THEN 'declined'
                    WHEN n % 200 IN (11, 12, 13, 14) THEN 'pending' ELSE 'settled' END AS status,
                n % 50 = 9 AS late, $3::timestamptz + $7::interval * n AS at
        ) AS r
        """,
        made.issuer.id,
        made.count,
        BEGAN,
        made.hot_account,
        made.rare_account,
        str(made.issuer.id),
        made.step,
    )


async def _events(tx: Tx, made: Rows) -> None:
    await tx.run(
        """
        INSERT INTO events.event (id, owner_id, seq, type, subject_id, body, created_at)
        SELECT md5($4::text || 'e' || n)::uuid, $1, n, CASE WHEN n % ($2 / 5) = 3
            THEN 'account.updated' WHEN n % 20 = 7 THEN 'transaction.updated'
            ELSE 'transaction.created' END, gen_random_uuid(), convert_to('{}', 'UTF8'),
            $3::timestamptz + $5::interval * n
        FROM generate_series(1, $2::bigint) AS n
        """,
        made.issuer.id,
        made.count,
        BEGAN,
        str(made.issuer.id),
        made.step,
    )
