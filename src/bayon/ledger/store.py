"""Every statement on the schema `ledger`. Those that write take arrays, sorted by key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from bayon.db import Tx, rows_text
from bayon.ledger.book import Line
from bayon.ledger.model import Account, Balance, Hold, Transfer
from bayon.money import Currency


async def insert_accounts(
    tx: Tx,
    accounts: Sequence[Account],
    *,
    names: Mapping[UUID, str | None],
    slots: int,
    created_at: datetime,
) -> list[Account]:
    """Insert accounts and their balance rows; returns them in order, a named one as it is kept.

    A name is inserted once, and names in their order, so that two who open the same do not collide.
    """
    once = {names[account.id] or account.id: account for account in reversed(accounts)}
    made = sorted(once.values(), key=lambda account: names[account.id] or "")
    rows = await tx.rows(
        """
        INSERT INTO ledger.account (id, currency, kind, name, created_at)
        SELECT id, currency, kind, name, $5
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
            AS a (id, currency, kind, name)
        ON CONFLICT (name) DO UPDATE SET name = ledger.account.name
        RETURNING id, currency, kind, name
        """,
        [account.id for account in made],
        [account.currency.value for account in made],
        [account.kind for account in made],
        [names[account.id] for account in made],
        created_at,
    )
    await tx.run(
        """
        INSERT INTO ledger.balance (account_id, slot)
        SELECT id, slot FROM unnest($1::uuid[], $2::text[]) AS a (id, kind)
        CROSS JOIN generate_series(0, $3::int) AS slot
        WHERE (kind = 'system') = (slot > 0)
        ON CONFLICT DO NOTHING
        """,
        [row["id"] for row in rows],
        [row["kind"] for row in rows],
        slots,
    )
    kept = {row["name"] or row["id"]: _account(row) for row in rows}
    return [kept[names[account.id] or account.id] for account in accounts]


async def named_accounts(tx: Tx, names: Sequence[str]) -> dict[str, Account]:
    """Find system accounts by name. Locks nothing."""
    rows = await tx.rows(
        "SELECT id, currency, kind, name FROM ledger.account WHERE name = ANY($1::text[])", names
    )
    return {row["name"]: _account(row) for row in rows}


async def moved(tx: Tx, cause_ids: Sequence[UUID]) -> dict[UUID, list[tuple[UUID, UUID, int]]]:
    """Tell for each cause what it moved, in order: debit account, credit account, amount."""
    rows = await tx.rows(
        """
        SELECT cause_id, debit_account_id, credit_account_id, amount_minor
        FROM ledger.transfer WHERE cause_id = ANY($1::uuid[]) ORDER BY id
        """,
        cause_ids,
    )
    found: dict[UUID, list[tuple[UUID, UUID, int]]] = {}
    for cause_id, debit_id, credit_id, amount_minor in rows:
        found.setdefault(cause_id, []).append((debit_id, credit_id, amount_minor))
    return found


async def causes(tx: Tx, account_ids: Sequence[UUID]) -> set[UUID]:
    """Tell the causes of all transfers and open holds of these accounts."""
    rows = await tx.rows(
        """
        SELECT cause_id FROM ledger.transfer WHERE debit_account_id = ANY($1::uuid[])
        UNION SELECT cause_id FROM ledger.transfer WHERE credit_account_id = ANY($1::uuid[])
        UNION SELECT cause_id FROM ledger.hold
            WHERE account_id = ANY($1::uuid[]) AND state = 'open'
        """,
        account_ids,
    )
    return {row["cause_id"] for row in rows}


async def balances(tx: Tx, account_ids: Sequence[UUID]) -> dict[UUID, Balance]:
    """Tell balances, slots added up."""
    rows = await tx.rows(
        """
        SELECT account_id, sum(posted_minor)::bigint AS posted, sum(held_minor)::bigint AS held
        FROM ledger.balance WHERE account_id = ANY($1::uuid[])
        GROUP BY account_id
        """,
        account_ids,
    )
    return {
        row["account_id"]: Balance(posted_minor=row["posted"], held_minor=row["held"])
        for row in rows
    }


async def lock_balances(tx: Tx, account_ids: Sequence[UUID], *, slot: int) -> list[Line]:
    """Lock the balances of accounts, of a system account only this slot, by account and slot."""
    rows = await tx.rows(
        """
        SELECT account.id, account.currency, account.kind,
            balance.slot, balance.posted_minor, balance.held_minor
        FROM ledger.balance JOIN ledger.account ON account.id = balance.account_id
        WHERE balance.account_id = ANY($1::uuid[]) AND balance.slot IN (0, $2::smallint)
        ORDER BY balance.account_id, balance.slot
        FOR UPDATE OF balance
        """,
        account_ids,
        slot,
    )
    return [
        Line(_account(row), row["slot"], row["posted_minor"], row["held_minor"]) for row in rows
    ]


async def lock_holds(tx: Tx, hold_ids: Sequence[UUID]) -> list[Hold]:
    """Lock holds by id."""
    rows = await tx.rows(
        """
        SELECT id, account_id, amount_minor, open_minor, state, cause_id, created_at, expires_at,
            above_minor
        FROM ledger.hold WHERE id = ANY($1::uuid[])
        ORDER BY id FOR UPDATE
        """,
        hold_ids,
    )
    return [Hold(**dict(row)) for row in rows]


async def open_holds(tx: Tx, cause_ids: Sequence[UUID]) -> list[Hold]:
    """Find the open holds of these causes. Locks nothing; no index helps it but the open ones'."""
    rows = await tx.rows(
        """
        SELECT id, account_id, amount_minor, open_minor, state, cause_id, created_at, expires_at,
            above_minor
        FROM ledger.hold WHERE state = 'open' AND cause_id = ANY($1::uuid[]) ORDER BY id
        """,
        cause_ids,
    )
    return [Hold(**dict(row)) for row in rows]


async def insert_transfers(tx: Tx, transfers: Sequence[Transfer]) -> None:
    """Insert transfers."""
    await tx.run(
        """
        INSERT INTO ledger.transfer (id, debit_account_id, credit_account_id, amount_minor,
            cause_id, hold_id, above_minor, created_at, occurred_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[],
            $5::uuid[], $6::uuid[], $7::bigint[], $8::timestamptz[], $9::timestamptz[])
        """,
        [transfer.id for transfer in transfers],
        [transfer.debit_account_id for transfer in transfers],
        [transfer.credit_account_id for transfer in transfers],
        [transfer.amount_minor for transfer in transfers],
        [transfer.cause_id for transfer in transfers],
        [transfer.hold_id for transfer in transfers],
        [transfer.above_minor for transfer in transfers],
        [transfer.created_at for transfer in transfers],
        [transfer.occurred_at for transfer in transfers],
    )


async def update_balances(tx: Tx, lines: Sequence[Line]) -> None:
    """Add this batch's sums to balances that are locked: one change an account."""
    await tx.run(
        """
        UPDATE ledger.balance AS b
        SET posted_minor = b.posted_minor + d.posted, held_minor = b.held_minor + d.held
        FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[])
            AS d (account_id, slot, posted, held)
        WHERE b.account_id = d.account_id AND b.slot = d.slot
        """,
        [line.account.id for line in lines],
        [line.slot for line in lines],
        [line.posted_delta_minor for line in lines],
        [line.held_delta_minor for line in lines],
    )


async def insert_holds(tx: Tx, holds: Sequence[Hold]) -> None:
    """Insert holds, already closed ones too (placed and closed in one batch)."""
    await tx.run(
        """
        INSERT INTO ledger.hold (id, account_id, amount_minor, open_minor, state, cause_id,
            created_at, expires_at, above_minor)
        SELECT * FROM json_to_recordset($1::json) AS new (id uuid, account_id uuid,
            amount_minor bigint, open_minor bigint, state text, cause_id uuid,
            created_at timestamptz, expires_at timestamptz, above_minor bigint)
        """,
        rows_text(holds),
    )


async def update_holds(tx: Tx, holds: Sequence[Hold]) -> None:
    """Write how holds stand now; they are locked."""
    await tx.run(
        """
        UPDATE ledger.hold AS h
        SET amount_minor = d.amount_minor, open_minor = d.open_minor, state = d.state,
            above_minor = d.above_minor
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])
            AS d (id, amount_minor, open_minor, state, above_minor)
        WHERE h.id = d.id
        """,
        [hold.id for hold in holds],
        [hold.amount_minor for hold in holds],
        [hold.open_minor for hold in holds],
        [hold.state for hold in holds],
        [hold.above_minor for hold in holds],
    )


async def check_currencies(tx: Tx) -> list[str]:
    """Name the currencies whose balances do not add up to nothing."""
    rows = await tx.rows(
        """
        SELECT account.currency
        FROM ledger.balance JOIN ledger.account ON account.id = balance.account_id
        GROUP BY account.currency HAVING sum(balance.posted_minor) <> 0
        """
    )
    return [row["currency"] for row in rows]


async def check_posted(tx: Tx) -> list[UUID]:
    """Name the accounts whose balance is not the sum of their transfers, or that have none."""
    rows = await tx.rows(
        """
        WITH moved AS (
            SELECT account_id, sum(amount)::numeric AS total FROM (
                SELECT credit_account_id AS account_id, amount_minor AS amount FROM ledger.transfer
                UNION ALL
                SELECT debit_account_id, -amount_minor FROM ledger.transfer
            ) AS sides GROUP BY account_id
        ), kept AS (
            SELECT account_id, sum(posted_minor)::numeric AS total
            FROM ledger.balance GROUP BY account_id
        )
        SELECT account_id FROM moved FULL JOIN kept USING (account_id)
        WHERE kept.total IS NULL OR kept.total <> coalesce(moved.total, 0)
        """
    )
    return [row["account_id"] for row in rows]


async def check_held(tx: Tx) -> list[UUID]:
    """Name the accounts whose held balance is not the sum of their open holds."""
    rows = await tx.rows(
        """
        WITH open AS (
            SELECT account_id, sum(open_minor)::numeric AS total
            FROM ledger.hold WHERE state = 'open' GROUP BY account_id
        ), kept AS (
            SELECT account_id, sum(held_minor)::numeric AS total
            FROM ledger.balance GROUP BY account_id
        )
        SELECT account_id FROM open FULL JOIN kept USING (account_id)
        WHERE kept.total IS NULL OR kept.total <> coalesce(open.total, 0)
        """
    )
    return [row["account_id"] for row in rows]


async def check_overdrawn(tx: Tx) -> list[UUID]:
    """Name the customer accounts that lack more than went above what was there."""
    rows = await tx.rows(
        """
        SELECT balance.account_id
        FROM ledger.balance JOIN ledger.account ON account.id = balance.account_id
        WHERE account.kind = 'customer' AND balance.posted_minor < balance.held_minor
            AND balance.held_minor - balance.posted_minor > (
                SELECT coalesce(sum(above_minor), 0) FROM ledger.transfer
                WHERE debit_account_id = balance.account_id
            ) + (
                SELECT coalesce(sum(above_minor), 0) FROM ledger.hold
                WHERE account_id = balance.account_id AND above_minor > 0
            )
        """
    )
    return [row["account_id"] for row in rows]


async def check_transfer_currencies(tx: Tx) -> list[UUID]:
    """Name the transfers between accounts of two currencies."""
    rows = await tx.rows(
        """
        SELECT transfer.id FROM ledger.transfer
        JOIN ledger.account AS debit ON debit.id = transfer.debit_account_id
        JOIN ledger.account AS credit ON credit.id = transfer.credit_account_id
        WHERE debit.currency <> credit.currency
        """
    )
    return [row["id"] for row in rows]


def _account(row: Any) -> Account:  # noqa: ANN401 - a Record, whose columns have no types
    return Account(id=row["id"], currency=Currency(row["currency"]), kind=row["kind"])
