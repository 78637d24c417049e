"""The statements on accounts and payments. Those that write many rows take arrays, sorted."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from bayon.db import Tx
from bayon.money import Currency
from bayon.payments.model import Account, Decline, Participant, Payment

_PAYMENT: Final[LiteralString] = """
    p.id, p.hash, p.md5, p.qr_kind, p.from_account_id, p.from_participant_id, p.to_account_id,
    p.to_participant_id, p.currency, p.amount_minor, p.description, p.instruction_ref,
    p.external_ref, p.receiver_bank, p.receiver_bank_account, p.state, p.decline_reason,
    p.created_at, p.acknowledged_at, p.refunded_at, p.hold_id, p.due_at, p.due_state
"""
_INSERTED: Final = (
    *("id", "hash", "md5", "qr_kind", "from_account_id", "from_participant_id"),
    *("to_account_id", "to_participant_id", "currency", "amount_minor", "description"),
    *("instruction_ref", "external_ref", "receiver_bank", "receiver_bank_account", "state"),
    *("decline_reason", "created_at", "acknowledged_at", "hold_id", "due_at", "due_state"),
)
_ENDED: Final[LiteralString] = "p.state IN ('succeeded', 'failed')"
_BY_PARTICIPANT: Final[tuple[LiteralString, LiteralString]] = (
    "from_participant_id = $1 AND $8::text IS NULL",
    "to_participant_id = $1 AND $8::text IS NULL",
)
_BY_ACCOUNT: Final[tuple[LiteralString, LiteralString]] = (
    "from_account_id = $8 AND from_participant_id = $1",
    "to_account_id = $8 AND to_participant_id = $1",
)


async def insert_participant(tx: Tx, participant: Participant, *, created_at: datetime) -> bool:
    """Insert a participant; False when its code is taken."""
    return bool(
        await tx.value(
            """
            INSERT INTO payments.participant (id, code, name, created_at)
            VALUES ($1, $2, $3, $4) ON CONFLICT (code) DO NOTHING RETURNING true
            """,
            *astuple(participant),
            created_at,
        )
    )


async def participants(tx: Tx) -> list[Participant]:
    """List participants by code."""
    rows = await tx.rows("SELECT id, code, name FROM payments.participant ORDER BY code")
    return [Participant(**dict(row)) for row in rows]


async def insert_account(tx: Tx, account: Account, *, created_at: datetime) -> bool:
    """Insert an account; False when its id is taken."""
    return bool(
        await tx.value(
            """
            INSERT INTO payments.account (account_id, participant_id, name, usd_account_id,
                khr_account_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id) DO NOTHING RETURNING true
            """,
            account.account_id,
            account.participant_id,
            account.name,
            account.ledger_ids.get(Currency.USD),
            account.ledger_ids.get(Currency.KHR),
            created_at,
        )
    )


async def accounts(tx: Tx, account_ids: Sequence[str]) -> dict[str, Account]:
    """Find accounts by id. Locks nothing: what is read here never changes."""
    rows = await tx.rows(
        """
        SELECT a.account_id, a.participant_id, participant.name AS participant_name, a.name,
            a.usd_account_id, a.khr_account_id
        FROM payments.account AS a
        JOIN payments.participant ON participant.id = a.participant_id
        WHERE a.account_id = ANY($1::text[])
        """,
        account_ids,
    )
    return {row["account_id"]: _account(row) for row in rows}


async def claim_qrs(tx: Tx, md5s: Sequence[bytes]) -> set[bytes]:
    """Claim dynamic QRs; returns those that were free. Waits for who is claiming one of them."""
    rows = await tx.rows(
        """
        INSERT INTO payments.qr_claim (md5) SELECT unnest($1::bytea[])
        ON CONFLICT DO NOTHING RETURNING md5
        """,
        md5s,
    )
    return {row["md5"] for row in rows}


async def release_qrs(tx: Tx, md5s: Sequence[bytes]) -> None:
    """Free dynamic QRs whose payment came to nothing."""
    await tx.run("DELETE FROM payments.qr_claim WHERE md5 = ANY($1::bytea[])", md5s)


async def insert_payments(tx: Tx, payments: Sequence[Payment]) -> None:
    """Insert payments and number them in order. Locks the counter until the commit."""
    await tx.run(
        """
        WITH counted AS (
            UPDATE payments.counter SET seq = seq + cardinality($1::uuid[])
            RETURNING seq - cardinality($1::uuid[]) AS before
        )
        INSERT INTO payments.payment (seq, id, hash, md5, qr_kind, from_account_id,
            from_participant_id, to_account_id, to_participant_id, currency, amount_minor,
            description, instruction_ref, external_ref, receiver_bank, receiver_bank_account,
            state, decline_reason, created_at, acknowledged_at, hold_id, due_at, due_state)
        SELECT counted.before + new.place, new.id, new.hash, new.md5, new.qr_kind,
            new.from_account_id, new.from_participant_id, new.to_account_id,
            new.to_participant_id, new.currency, new.amount_minor, new.description,
            new.instruction_ref, new.external_ref, new.receiver_bank, new.receiver_bank_account,
            new.state, new.decline_reason, new.created_at, new.acknowledged_at, new.hold_id,
            new.due_at, new.due_state
        FROM counted, unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::text[], $5::text[],
            $6::uuid[], $7::text[], $8::uuid[], $9::text[], $10::bigint[], $11::text[],
            $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
            $18::timestamptz[], $19::timestamptz[], $20::uuid[], $21::timestamptz[], $22::text[])
            WITH ORDINALITY AS new (id, hash, md5, qr_kind, from_account_id,
            from_participant_id, to_account_id, to_participant_id, currency, amount_minor,
            description, instruction_ref, external_ref, receiver_bank, receiver_bank_account,
            state, decline_reason, created_at, acknowledged_at, hold_id, due_at, due_state, place)
        """,
        *_arrays(payments, _INSERTED),
    )


async def lock_counter(tx: Tx) -> None:
    """Wait for whoever is numbering payments, and keep others from it until the commit."""
    await tx.run("SELECT seq FROM payments.counter FOR SHARE")


async def lock_payments(tx: Tx, hashes: Sequence[bytes]) -> list[Payment]:
    """Lock payments by id."""
    rows = await tx.rows(
        "SELECT"
        + _PAYMENT
        + "FROM payments.payment AS p WHERE p.hash = ANY($1::bytea[]) ORDER BY p.id FOR UPDATE",
        hashes,
    )
    return [_payment(row) for row in rows]


async def claim_due_payments(
    tx: Tx, *, now: datetime, limit: int, but: Sequence[UUID]
) -> list[Payment]:
    """Lock pending payments that are due, `but` these, the oldest first, skipping those locked."""
    rows = await tx.rows(
        "SELECT"
        + _PAYMENT
        + """
        FROM payments.payment AS p
        WHERE p.state = 'pending' AND p.due_at <= $1 AND p.id <> ALL($3::uuid[])
        ORDER BY p.due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        now,
        limit,
        but,
    )
    return [_payment(row) for row in rows]


async def complete_payments(tx: Tx, payments: Sequence[Payment]) -> None:
    """Write how pending payments ended; they are locked. Numbers them anew, as the newest.

    So whoever reads a list on from its top sees a payment when it succeeds. Locks the counter.
    """
    await tx.run(
        """
        WITH counted AS (
            UPDATE payments.counter SET seq = seq + cardinality($1::uuid[])
            RETURNING seq - cardinality($1::uuid[]) AS before
        )
        UPDATE payments.payment AS p
        SET seq = counted.before + new.place, state = new.state,
            acknowledged_at = new.acknowledged_at, due_at = NULL, due_state = NULL
        FROM counted, unnest($1::uuid[], $2::text[], $3::timestamptz[])
            WITH ORDINALITY AS new (id, state, acknowledged_at, place)
        WHERE p.id = new.id
        """,
        *_arrays(payments, ("id", "state", "acknowledged_at")),
    )


async def mark_refunded(tx: Tx, payment_ids: Sequence[UUID], *, refunded_at: datetime) -> None:
    """Mark payments as refunded; they are locked."""
    await tx.run(
        "UPDATE payments.payment SET refunded_at = $2 WHERE id = ANY($1::uuid[])",
        payment_ids,
        refunded_at,
    )


async def newest_by_md5(tx: Tx, md5s: Sequence[bytes]) -> dict[bytes, Payment]:
    """Find for each MD5 the newest payment that succeeded, else the newest that failed."""
    rows = await tx.rows(
        "SELECT"
        + _PAYMENT
        + """
        FROM unnest($1::bytea[]) AS asked (md5)
        CROSS JOIN LATERAL (
            (SELECT * FROM payments.payment WHERE md5 = asked.md5 AND state = 'failed'
             ORDER BY seq DESC LIMIT 1)
            UNION ALL
            (SELECT * FROM payments.payment WHERE md5 = asked.md5 AND state = 'succeeded'
             ORDER BY seq DESC LIMIT 1)
        ) AS p
        """,
        md5s,
    )
    # "failed" sorts before "succeeded", which therefore has the last word.
    found = sorted((_payment(row) for row in rows), key=lambda payment: payment.state)
    return {payment.md5: payment for payment in found if payment.md5 is not None}


async def newest_by_hash(tx: Tx, hashes: Sequence[bytes]) -> dict[bytes, Payment]:
    """Find payments by hash that succeeded or failed."""
    rows = await tx.rows(
        "SELECT"
        + _PAYMENT
        + "FROM payments.payment AS p WHERE p.hash = ANY($1::bytea[]) AND "
        + _ENDED,
        hashes,
    )
    return {row["hash"]: _payment(row) for row in rows}


async def newest_by_short_hash(
    tx: Tx, *, low: bytes, high: bytes, amount_minor: int, currency: Currency
) -> Payment | None:
    """Find the newest payment whose hash lies in a range: succeeded before failed."""
    where = "p.hash BETWEEN $1 AND $2 AND p.amount_minor = $3 AND p.currency = $4"
    return await _newest(tx, where, low, high, amount_minor, currency.value)


async def newest_by_instruction_ref(tx: Tx, ref: str) -> Payment | None:
    """Find the newest payment with this instruction reference: succeeded before failed."""
    return await _newest(tx, "p.instruction_ref = $1", ref)


async def newest_by_external_ref(tx: Tx, ref: str) -> Payment | None:
    """Find the newest payment with this external reference: succeeded before failed."""
    return await _newest(tx, "p.external_ref = $1", ref)


async def _newest(tx: Tx, where: LiteralString, *args: object) -> Payment | None:
    row = await tx.row(
        "SELECT"
        + _PAYMENT
        + "FROM payments.payment AS p WHERE "
        + _ENDED
        + " AND "
        + where
        + " ORDER BY p.state DESC, p.seq DESC LIMIT 1",
        *args,
    )
    return _payment(row) if row else None


async def page(
    tx: Tx,
    *,
    participant_id: UUID,
    account_id: str | None,
    direction: str | None,
    since: datetime | None,
    until: datetime | None,
    before_seq: int,
    limit: int,
) -> list[tuple[int, Payment]]:
    """List a participant's payments, newest first, from below a seq; each with its seq.

    Both directions are read by their own index and merged, so that a page costs the same wherever
    it lies. Incoming payments are shown once they succeeded; a decline is its payer's business.
    """
    sent, received = _BY_PARTICIPANT if account_id is None else _BY_ACCOUNT
    rows = await tx.rows(
        "SELECT p.seq,"
        + _PAYMENT
        + """
        FROM (
            (SELECT * FROM payments.payment
             WHERE seq < $2 AND $3::bool AND created_at BETWEEN $5 AND $6 AND """
        + sent
        + """
             ORDER BY seq DESC LIMIT $7)
            UNION
            (SELECT * FROM payments.payment
             WHERE seq < $2 AND $4::bool AND created_at BETWEEN $5 AND $6
                AND state = 'succeeded' AND """
        + received
        + """
             ORDER BY seq DESC LIMIT $7)
        ) AS p
        ORDER BY p.seq DESC LIMIT $7
        """,
        participant_id,
        before_seq,
        direction != "incoming",
        direction != "outgoing",
        since or datetime.fromisoformat("1970-01-01T00:00:00+00:00"),
        until or datetime.fromisoformat("9999-01-01T00:00:00+00:00"),
        limit,
        account_id,
    )
    return [(row["seq"], _payment(row)) for row in rows]


async def pending_by_md5(tx: Tx, md5: bytes) -> bool:
    """Tell whether a payment of this MD5 is pending."""
    sql = "SELECT EXISTS (SELECT FROM payments.payment WHERE md5 = $1 AND state = 'pending')"
    return bool(await tx.value(sql, md5))


async def check_claims(tx: Tx) -> list[str]:
    """Name dynamic QRs with other than one pending or succeeded payment, or without a claim."""
    rows = await tx.rows(
        """
        WITH occupied AS (
            SELECT md5, count(*) AS payments FROM payments.payment
            WHERE qr_kind = 'dynamic' AND state IN ('pending', 'succeeded') GROUP BY md5
        )
        SELECT encode(md5, 'hex') AS md5
        FROM occupied FULL JOIN payments.qr_claim AS claim USING (md5)
        WHERE occupied.payments IS DISTINCT FROM 1 OR claim.md5 IS NULL
        """
    )
    return [row["md5"] for row in rows]


async def check_page(tx: Tx, *, after: UUID | None, limit: int) -> list[Payment]:
    """Read payments by id, from behind one on, to check them one page at a time."""
    rows = await tx.rows(
        "SELECT"
        + _PAYMENT
        + "FROM payments.payment AS p WHERE $1::uuid IS NULL OR p.id > $1 ORDER BY p.id LIMIT $2",
        after,
        limit,
    )
    return [_payment(row) for row in rows]


def _arrays(payments: Sequence[Payment], names: Sequence[str]) -> list[list[object]]:
    return [[getattr(payment, name) for payment in payments] for name in names]


def _account(row: Any) -> Account:  # noqa: ANN401 - a Record, whose columns have no types
    ids = {Currency.USD: row["usd_account_id"], Currency.KHR: row["khr_account_id"]}
    return Account(
        account_id=row["account_id"],
        participant_id=row["participant_id"],
        participant_name=row["participant_name"],
        name=row["name"],
        ledger_ids={currency: i for currency, i in ids.items() if i is not None},
    )


def _payment(row: Any) -> Payment:  # noqa: ANN401 - a Record, whose columns have no types
    columns = dict(row)
    columns.pop("seq", None)
    columns["currency"] = Currency(columns["currency"])
    if columns["decline_reason"] is not None:
        columns["decline_reason"] = Decline(columns["decline_reason"])
    return Payment(**columns)
