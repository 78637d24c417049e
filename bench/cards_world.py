"""An issuer with N accounts, N transactions and an event of each, and one that opens accounts.

Written by SQL through the rooms' own tables, because it is quick, and whole: every settled amount
has its transfer, every pending one its hold, every transaction its event as the room writes it. Ids
and numbers follow from n, so that a row far down can be named without looking it up. What accounts
and cards would have told of themselves is left out, and cards' numbers are sealed nothing.

Ten transactions in a row are one account's: every other ten the hot one's, the rest each of an
account of its own; over thirty days, up to now; one in a hundred is told two hours late.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from bayon import cards, web
from bayon.cards import (
    Cardholder,
    CreateCardholder,
    Issuer,
    Merchant,
    Transaction,
    document,
)
from bayon.cards.model import Decline
from bayon.db import Database, Tx, read_clock
from bayon.money import Currency

ACCOUNTS_MAX: Final = 1_000_000
"""So many numbers of six digits there are for an issuer."""

BLOCK: Final = 10
SPAN: Final = timedelta(days=30)
CHUNK: Final = 50_000
ACCOUNT: Final = "019a0000-0000-7000-8001-"
LEDGER: Final = "019a0000-0000-7000-8002-"
CARD: Final = "019a0000-0000-7000-8003-"
TRANSACTION: Final = "019a0000-0000-7000-8004-"
EVENT: Final = "019a0000-0000-7000-8005-"
TRANSFER: Final = "019a0000-0000-7000-8006-"
HOLD: Final = "019a0000-0000-7000-8007-"
HOT: Final = 1

WRITTEN: Final = datetime(1970, 1, 1, tzinfo=UTC)
HAPPENED: Final = datetime(1971, 1, 1, tzinfo=UTC)
NUMBER: Final = "9" * 12
NAMES: Final = ("event", "transaction", "account", "card")
IDS: Final = {name: UUID(int=place) for place, name in enumerate(NAMES, 1)}
"""What stands in an event's template for what differs from one to another."""

MERCHANT: Final = Merchant(name="Coffee Klaing", city="Phnom Penh", country="KH", category=None)


@dataclass(frozen=True, kw_only=True)
class CardWorld:
    """What there is: `token` is the issuer's, `opening_token` that of who opens accounts."""

    count: int
    since: datetime
    issuer: Issuer
    token: str
    opening_token: str
    opening_cardholder_id: UUID
    numbers: Iterator[int] = field(default_factory=itertools.count)
    """The account numbers of who opens accounts that nobody has used."""


async def make_card_world(db: Database, count: int) -> CardWorld:
    """Make both issuers, and what the first one has."""
    assert count % (2 * BLOCK) == 0, "whole blocks for the hot account and for the others"
    assert count <= ACCOUNTS_MAX, "an issuer has a million account numbers"
    started = time.monotonic()
    world, holder = await db.transaction(lambda tx: _begin(tx, count))
    for first in range(1, count + 1, CHUNK):
        last = min(first + CHUNK - 1, count)
        await db.transaction(lambda tx, f=first, n=last: insert_accounts(tx, holder, f, n))
        await db.transaction(lambda tx, f=first, n=last: _transactions(tx, world, f, n))
    await db.transaction(lambda tx: _finish(tx, world))
    took_s = time.monotonic() - started
    print(f"{count:,} accounts, transactions and events written in {took_s:.0f} s", flush=True)
    return world


def account_id(number: int) -> str:
    """Name an account, 1 to N."""
    return f"{ACCOUNT}{number:012}"


def transaction_id(number: int) -> str:
    """Name a transaction, 1 to N."""
    return f"{TRANSACTION}{number:012}"


def event_id(number: int) -> str:
    """Name an event, 1 to N."""
    return f"{EVENT}{number:012}"


async def _begin(tx: Tx, count: int) -> tuple[CardWorld, Cardholder]:
    now = (await read_clock(tx)).now()
    (first, token, holder), (_, opening_token, opening_holder) = [
        await make_issuer(tx, name, now=now) for name in ("Bench", "Bench, opening")
    ]
    world = CardWorld(
        count=count,
        since=now.replace(microsecond=0) - SPAN,
        issuer=first,
        token=token,
        opening_token=opening_token,
        opening_cardholder_id=opening_holder.id,
    )
    return world, holder


async def make_issuer(tx: Tx, name: str, *, now: datetime) -> tuple[Issuer, str, Cardholder]:
    """Make an issuer, its token, and a cardholder of it who may have cards."""
    issuer, token = await cards.add_issuer(tx, name=name, now=now), web.new_token()
    await web.keep_token(
        tx, kind="issuer", owner=str(issuer.id), token=token, label="bench", now=now
    )
    command = CreateCardholder(
        issuer_id=issuer.id,
        name="Sok Dara",
        phone_number="85512345678",
        email=None,
        born_on=date(1990, 4, 9),
        address="#1, Norodom Boulevard, Phnom Penh, Cambodia",
        identity_document_number="012345678",
        identity_document_type="id_card",
        photo_url="https://bayon.example/photo.png",
        identity_document_url="https://bayon.example/id.png",
        additional_details={},
        metadata={},
    )
    (made,) = await cards.create_cardholders(tx, [command], now=now)
    holder = await cards.decide_review(
        tx, cardholder_id=made.id, issuer_id=issuer.id, rejection_reason=None, now=now
    )
    return issuer, token, holder


async def insert_accounts(tx: Tx, holder: Cardholder, first: int, last: int) -> None:
    """Open accounts, from the first number to the last, with nothing on them."""
    now = (await read_clock(tx)).now()
    await tx.run(
        """
        WITH new AS MATERIALIZED (
            SELECT n, ($3 || lpad(n::text, 12, '0'))::uuid AS id,
                ($4 || lpad(n::text, 12, '0'))::uuid AS ledger_id
            FROM generate_series($1::int, $2::int) AS n
        ), opened AS (
            INSERT INTO ledger.account (id, currency, kind, created_at)
            SELECT ledger_id, 'USD', 'customer', $5 FROM new
        ), kept AS (
            INSERT INTO ledger.balance (account_id, slot) SELECT ledger_id, 0 FROM new
        )
        INSERT INTO cards.account (seq, id, issuer_id, cardholder_id, number, currency, status,
            metadata, ledger_account_id, created_at, updated_at)
        SELECT 10 + n, id, $6, $7, lpad((n - 1)::text, 6, '0'), 'USD', 'active', '{}', ledger_id,
            $5, $5
        FROM new
        """,
        *(first, last, ACCOUNT, LEDGER, now, holder.issuer_id, holder.id),
    )


_TEN_KINDS: Final = """
    WITH kind AS (
        SELECT * FROM unnest($11::int[], $12::text[], $13::text[], $14::text[], $15::bigint[],
            $16::text[], $17::text[], $18::text[], $19::text[]) AS k (place, type, status,
            adjustment, amount, funding_source, decline_reason, merchant, told)
    ), new AS MATERIALIZED (
        SELECT kind.*, n, lpad(n::text, 12, '0') AS number,
            (n - 1) / 10 % 2 = 0 AS hot, n % 100 = 4 AS late,
            CASE WHEN (n - 1) / 10 % 2 = 0 THEN 1 ELSE 2 + (n - 1) / 10 END AS account,
            $3::timestamptz + n * $4::interval AS at
        FROM generate_series($1::int, $2::int) AS n JOIN kind ON kind.place = (n - 1) % 10
    ), made AS MATERIALIZED (
        SELECT *, lpad(account::text, 12, '0') AS whose,
            CASE WHEN late THEN at - interval '2 hours' ELSE at END AS occurred_at
        FROM new
    ), moved AS (
        INSERT INTO ledger.transfer (id, debit_account_id, credit_account_id, amount_minor,
            cause_id, created_at, occurred_at)
        SELECT ($9 || number)::uuid,
            CASE adjustment WHEN 'credit' THEN $20::uuid ELSE ($6 || whose)::uuid END,
            CASE adjustment WHEN 'credit' THEN ($6 || whose)::uuid ELSE $21::uuid END,
            amount, ($8 || number)::uuid, at, occurred_at
        FROM made WHERE status = 'settled'
    ), held AS (
        INSERT INTO ledger.hold (id, account_id, amount_minor, open_minor, state, cause_id,
            created_at, expires_at)
        SELECT ($10 || number)::uuid, ($6 || whose)::uuid, amount,
            CASE status WHEN 'pending' THEN amount ELSE 0 END,
            CASE status WHEN 'pending' THEN 'open' ELSE 'released' END,
            ($8 || number)::uuid, at, at + interval '60 days'
        FROM made WHERE status IN ('pending', 'reversed')
    ), told AS (
        INSERT INTO events.event (id, owner_id, seq, type, subject_id, body, created_at)
        SELECT ($22 || number)::uuid, $23, 10 + n,
            CASE status WHEN 'declined' THEN 'transaction.declined'
                ELSE 'transaction.created' END,
            ($8 || number)::uuid,
            convert_to(replace(replace(replace(replace(replace(replace(replace(told,
                $24, $22 || number), $25, $8 || number), $26, $5 || whose), $27, $7 || whose),
                $28, number),
                $29, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                $30, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                'UTF8'), at
        FROM made
    ), carded AS (
        INSERT INTO cards.card (seq, id, issuer_id, account_id, cardholder_id, type, status,
            last_four, exp_month, exp_year, pan_sealed, pan_digest, pin_tries, created_at,
            updated_at)
        SELECT 10 + $31::int + n, ($7 || whose)::uuid, $23, ($5 || whose)::uuid,
            a.cardholder_id, 'physical', 'active', '0000', 12, 2099, '',
            sha256(made.number::bytea), 0, at, at
        FROM made JOIN cards.account AS a ON a.id = ($5 || whose)::uuid
        WHERE place = 0 AND (NOT hot OR n = 1)
    )
    INSERT INTO cards.transaction (seq, late, id, issuer_id, account_id, card_id, number, type,
        status, balance_adjustment_type, currency, amount_minor, transaction_currency,
        transaction_amount_minor, fees, merchant, funding_source, decline_reason, hold_id,
        occurred_at, settled_at, created_at, updated_at)
    SELECT 10 + 2 * $31::int + n, late, ($8 || number)::uuid, $23, ($5 || whose)::uuid,
        CASE WHEN merchant IS NOT NULL THEN ($7 || whose)::uuid END, number, type, status,
        adjustment, 'USD', amount, 'USD', amount, '[]', merchant::json, funding_source,
        decline_reason,
        CASE WHEN status IN ('pending', 'reversed') THEN ($10 || number)::uuid END,
        occurred_at, CASE status WHEN 'settled' THEN at END, at, at
    FROM made
"""


async def _transactions(tx: Tx, world: CardWorld, first: int, last: int) -> None:
    """Write transactions of ten kinds, one after the other, with all that belongs to them."""
    kinds = _kinds(world.issuer.id)
    names = ("type", "status", "balance_adjustment_type", "amount_minor", "funding_source")
    await tx.run(
        _TEN_KINDS,
        *(first, last, world.since, SPAN / world.count),
        *(ACCOUNT, LEDGER, CARD, TRANSACTION, TRANSFER, HOLD),
        list(range(len(kinds))),
        *([getattr(kind, name) for kind in kinds] for name in names),
        [kind.decline_reason for kind in kinds],
        [msgspec.json.encode(k.merchant).decode() if k.merchant else None for k in kinds],
        [_told(kind) for kind in kinds],
        *(world.issuer.funding_account_id, world.issuer.clearing_account_id),
        *(EVENT, world.issuer.id),
        *(str(IDS[name]) for name in NAMES),
        *(NUMBER, document.instant(WRITTEN), document.instant(HAPPENED)),
        world.count,
    )


async def _finish(tx: Tx, world: CardWorld) -> None:
    """Write what all of it comes to: balances, and how many rows and events there are."""
    kinds = _kinds(world.issuer.id)
    settled = [(k.balance_adjustment_type, k.amount_minor) for k in kinds if k.status == "settled"]
    credit = sum(amount for adjustment, amount in settled if adjustment == "credit")
    debit = sum(amount for adjustment, amount in settled if adjustment == "debit")
    held = sum(kind.amount_minor for kind in kinds if kind.status == "pending")
    blocks = world.count // BLOCK
    await tx.run(
        """
        UPDATE ledger.balance AS b
        SET posted_minor = b.posted_minor + d.posted, held_minor = b.held_minor + d.held
        FROM (
            SELECT ($1 || lpad((2 + block)::text, 12, '0'))::uuid AS account_id, 0 AS slot,
                $2::bigint AS posted, $3::bigint AS held
            FROM generate_series(1, $4::int - 1, 2) AS block
            UNION ALL SELECT ($1 || lpad($5::text, 12, '0'))::uuid, 0, $2 * $4 / 2, $3 * $4 / 2
            UNION ALL SELECT $6::uuid, 1, -$7::bigint * $4, 0
            UNION ALL SELECT $8::uuid, 1, $9::bigint * $4, 0
        ) AS d WHERE b.account_id = d.account_id AND b.slot = d.slot
        """,
        *(LEDGER, credit - debit, held, blocks, str(HOT)),
        *(world.issuer.funding_account_id, credit, world.issuer.clearing_account_id, debit),
    )
    last = (world.issuer.id, 3 * world.count + 10)
    await tx.run("UPDATE cards.counter SET seq = $2 WHERE issuer_id = $1", *last)
    await tx.run("UPDATE events.counter SET seq = $2 WHERE owner_id = $1", *last)


def _kinds(issuer_id: UUID) -> Sequence[Transaction]:
    """Make the ten transactions of a block."""
    settled = _purchase(issuer_id)
    held = replace(settled, settled_at=None)
    topup = replace(
        settled,
        balance_adjustment_type="credit",
        amount_minor=10_00,
        transaction_amount_minor=10_00,
        card_id=None,
        merchant=None,
        funding_source="Agent Network",
    )
    return [
        topup,
        *(settled for _ in range(5)),
        replace(settled, type="cash_withdrawal"),
        replace(held, status="pending"),
        replace(held, status="declined", decline_reason=Decline.INSUFFICIENT_FUNDS),
        replace(held, status="reversed"),
    ]


def _purchase(issuer_id: UUID) -> Transaction:
    return Transaction(
        id=IDS["transaction"],
        issuer_id=issuer_id,
        account_id=IDS["account"],
        card_id=IDS["card"],
        number=NUMBER,
        type="purchase",
        status="settled",
        balance_adjustment_type="debit",
        currency=Currency.USD,
        amount_minor=1_00,
        transaction_currency="USD",
        transaction_amount_minor=1_00,
        fees=(),
        merchant=MERCHANT,
        funding_source=None,
        decline_reason=None,
        hold_id=None,
        occurred_at=HAPPENED,
        settled_at=WRITTEN,
        created_at=WRITTEN,
        updated_at=WRITTEN,
    )


def _told(transaction: Transaction) -> str:
    """Write the template of a transaction's event."""
    declined = transaction.status == "declined"
    body = document.event(
        event_id=IDS["event"],
        of_type="transaction.declined" if declined else "transaction.created",
        told=document.resource(transaction),
        created_at=WRITTEN,
    )
    return body.decode()
