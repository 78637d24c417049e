"""The world of the bench: two banks, ten thousand payers with money, ten thousand merchants.

Written by SQL through the rooms' own tables, because it is quick; funded by the ledger's own verb,
so that the invariants hold. Names and ledger ids follow from a number of five digits, so that
pgbench can name an account without looking it up.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon import ledger, payments, web
from bayon.db import Database, Tx, read_clock
from bayon.ids import uuid7
from bayon.ledger import OpenAccount, Post
from bayon.money import Currency
from bayon.payments import Pay, khqr
from bayon.payments.khqr import Khqr

FIRST: Final = 10_000
PAYERS: Final = 10_000
PAYER_LEDGER: Final = "019a0000-0000-7000-8000-0000000"
MERCHANT_LEDGER: Final = "019a0000-0000-7000-8000-0000001"
FUNDS_MINOR: Final = 10_000_000_00
AMOUNT_MINOR: Final = 1_00
BATCH: Final = 500
DYNAMIC_LIFE_MS: Final = 86_400_000


@dataclass(frozen=True, kw_only=True)
class World:
    """Who pays whom; `token` is the paying bank's, `shops_token` that of the merchants' bank."""

    bank_id: UUID
    shops_id: UUID
    token: str
    shops_token: str
    static_qr: str


def payer(number: int) -> str:
    """Name a payer's account."""
    return f"p{number}@bnka"


def merchant(number: int) -> str:
    """Name a merchant's account."""
    return f"m{number}@bnkb"


async def make_world(db: Database, *, payers: int = PAYERS) -> World:
    """Make the two banks, their accounts, and the payers' money."""
    token, shops_token = web.new_token(), web.new_token()

    async def work(tx: Tx) -> tuple[UUID, UUID]:
        now = (await read_clock(tx)).now()
        bank = await payments.add_participant(tx, code="bnka", name="Bank A", now=now)
        shops = await payments.add_participant(tx, code="bnkb", name="Bank B", now=now)
        for owner, borne in ((bank, token), (shops, shops_token)):
            await web.keep_token(
                tx, kind="participant", owner=str(owner.id), token=borne, label="bench", now=now
            )
        await _insert(tx, bank.id, ("p", "@bnka", PAYER_LEDGER), payers, now)
        await _insert(tx, shops.id, ("m", "@bnkb", MERCHANT_LEDGER), payers, now)
        return bank.id, shops.id

    bank_id, shops_id = await db.transaction(work)
    for numbers in _batches(payers):
        await db.transaction(lambda tx, numbers=numbers: _fund(tx, numbers))
    return World(
        bank_id=bank_id,
        shops_id=shops_id,
        token=token,
        shops_token=shops_token,
        static_qr=make_qr(),
    )


def make_qr(number: int | None = None) -> str:
    """Make the hot merchant's static QR, or with a number a dynamic one unlike any other."""
    now_ms = time.time_ns() // 1_000_000
    return khqr.make(
        Khqr(
            kind="individual",
            static=number is None,
            account_id=merchant(FIRST),
            currency=Currency.USD,
            amount_minor=None if number is None else AMOUNT_MINOR,
            merchant_name="Coffee Klaing",
            bill_number=None if number is None else f"bench-{number}",
            created_at_ms=None if number is None else now_ms,
            expires_at_ms=None if number is None else now_ms + DYNAMIC_LIFE_MS,
        )
    )


def make_pay(world: World, number: int, *, qr: str | None, to: int = FIRST) -> Pay:
    """Make the command by which a payer pays a QR, or without one a merchant."""
    order = payments.Order(
        participant_id=world.bank_id,
        from_account_id=payer(number),
        amount=AMOUNT_MINOR / 100,
        currency=Currency.USD,
    )
    if qr is not None:
        return payments.order_by_qr(order, qr=qr)
    return payments.order_to_account(order, to_account_id=merchant(to))


def _batches(payers: int) -> list[range]:
    return [
        range(start, min(start + BATCH, FIRST + payers))
        for start in range(FIRST, FIRST + payers, BATCH)
    ]


async def _insert(
    tx: Tx, participant_id: UUID, form: tuple[str, str, str], count: int, now: datetime
) -> None:
    first, last, ledger_form = form
    await tx.run(
        """
        INSERT INTO ledger.account (id, currency, kind, created_at)
        SELECT ($1 || n)::uuid, 'USD', 'customer', $2 FROM generate_series($3::int, $4::int) AS n
        """,
        ledger_form,
        now,
        FIRST,
        FIRST + count - 1,
    )
    await tx.run(
        """
        INSERT INTO ledger.balance (account_id, slot)
        SELECT ($1 || n)::uuid, 0 FROM generate_series($2::int, $3::int) AS n
        """,
        ledger_form,
        FIRST,
        FIRST + count - 1,
    )
    await tx.run(
        """
        INSERT INTO payments.account (account_id, participant_id, name, usd_account_id, created_at)
        SELECT $1 || n || $2, $3, 'Bench ' || n, ($4 || n)::uuid, $5
        FROM generate_series($6::int, $7::int) AS n
        """,
        first,
        last,
        participant_id,
        ledger_form,
        now,
        FIRST,
        FIRST + count - 1,
    )


async def _fund(tx: Tx, numbers: range) -> None:
    now = (await read_clock(tx)).now()
    name = f"funding {Currency.USD}"
    (funding,) = await ledger.open_account(
        tx, [OpenAccount(currency=Currency.USD, kind="system", name=name)], now=now
    )
    posts = [
        Post(
            debit_account_id=funding.id,
            credit_account_id=UUID(f"{PAYER_LEDGER}{number}"),
            amount_minor=FUNDS_MINOR,
            cause_id=uuid7(),
        )
        for number in numbers
    ]
    moved = await ledger.post(tx, posts, now=now)
    assert not any(isinstance(outcome, ledger.Decline) for outcome in moved), moved
