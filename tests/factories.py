"""What payment tests are made of: participants, accounts, QRs, commands, and a rail at work."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bayon import payments
from bayon.batch import Key, Request
from bayon.db import Database, Tx, advance_clock, read_clock
from bayon.errors import BayonError
from bayon.ledger import Balance
from bayon.money import Currency
from bayon.payments import Account, Deposit, OpenPaymentAccount, Order, Participant, Pay, Payment
from bayon.payments import complete as completing
from bayon.payments.khqr import Khqr
from bayon.payments.rail import Rail
from bayon.seal import Sealer

USD: Final = Currency.USD
KHR: Final = Currency.KHR
BOTH: Final = frozenset({USD, KHR})

_numbers: Final = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Street:
    """Two banks, a payer at one and a shop at the other."""

    aclb: Participant
    wing: Participant
    dara: Account
    shop: Account


async def make_participant(db: Database, *, code: str, name: str | None = None) -> Participant:
    """Add a participant."""

    async def work(tx: Tx) -> Participant:
        now = (await read_clock(tx)).now()
        return await payments.add_participant(tx, code=code, name=name or f"{code} bank", now=now)

    return await db.transaction(work)


async def make_account(
    db: Database,
    *,
    participant: Participant,
    name: str,
    currencies: frozenset[Currency] = BOTH,
    usd_minor: int = 0,
    khr_minor: int = 0,
) -> Account:
    """Open `name@participant`, with this much on it."""
    account_id = f"{name}@{participant.code}"
    command = OpenPaymentAccount(
        participant_id=participant.id, account_id=account_id, name=name, currencies=currencies
    )
    funds = {USD: usd_minor, KHR: khr_minor}
    deposits = [
        Deposit(
            participant_id=participant.id,
            account_id=account_id,
            currency=currency,
            amount_minor=amount_minor,
        )
        for currency, amount_minor in funds.items()
        if amount_minor
    ]

    async def work(tx: Tx) -> Account:
        now = (await read_clock(tx)).now()
        await payments.open_accounts(tx, [command], now=now)
        await payments.deposit(tx, deposits, now=now)
        return (await payments.find_accounts(tx, [account_id]))[account_id]

    return await db.transaction(work)


async def make_street(db: Database, *, usd_minor: int = 10_000, khr_minor: int = 0) -> Street:
    """Make two banks, `dara@aclb` with this much on it, and `shop@wing` with nothing."""
    aclb = await make_participant(db, code="aclb", name="ACLEDA Bank Plc.")
    wing = await make_participant(db, code="wing", name="Wing Bank")
    dara = await make_account(
        db, participant=aclb, name="dara", usd_minor=usd_minor, khr_minor=khr_minor
    )
    shop = await make_account(db, participant=wing, name="shop")
    return Street(aclb=aclb, wing=wing, dara=dara, shop=shop)


def make_qr(
    *,
    to: str = "shop@wing",
    amount_minor: int | None = None,
    static: bool = False,
    currency: Currency = USD,
    expires_at: datetime | None = None,
    account_information: str | None = None,
    merchant_name: str = "Shop",
) -> str:
    """Make a QR unlike any other: dynamic if it has an amount and is not said to be static."""
    return payments.khqr.make(
        Khqr(
            kind="individual",
            static=static or amount_minor is None,
            account_id=to,
            account_information=account_information,
            currency=currency,
            amount_minor=amount_minor,
            merchant_name=merchant_name,
            bill_number=f"{next(_numbers)}-{secrets.token_hex(4)}",
            expires_at_ms=int(expires_at.timestamp() * 1000) if expires_at else None,
        )
    )


def make_pay(
    *,
    payer: Account,
    qr: str,
    amount_minor: int | None = None,
    completes: payments.Completed = "succeeded",
    delay_s: float = 0.0,
    instruction_ref: str | None = None,
    external_ref: str | None = None,
) -> Pay:
    """Make the command by which this account pays a QR."""
    order = Order(
        participant_id=payer.participant_id,
        from_account_id=payer.account_id,
        amount=None if amount_minor is None else amount_minor / 100,
        completes=completes,
        delay_s=delay_s,
        instruction_ref=instruction_ref,
        external_ref=external_ref,
    )
    return payments.order_by_qr(order, qr=qr)


def make_transfer(
    *, payer: Account, receiver: Account, amount_minor: int, currency: Currency = USD
) -> Pay:
    """Make the command by which one account pays another without a QR."""
    return Pay(
        participant_id=payer.participant_id,
        from_account_id=payer.account_id,
        to_account_id=receiver.account_id,
        currency=currency,
        amount_minor=amount_minor,
    )


async def pay_all(db: Database, commands: Sequence[Pay]) -> list[Payment | BayonError]:
    """Pay as one batch, now."""

    async def work(tx: Tx) -> list[Payment | BayonError]:
        return await payments.pay(tx, commands, now=(await read_clock(tx)).now())

    return await db.transaction(work)


async def pay_one(db: Database, command: Pay) -> Payment:
    """Pay once; whatever is no payment is raised."""
    (outcome,) = await pay_all(db, [command])
    if isinstance(outcome, BayonError):
        raise outcome
    return outcome


async def complete(db: Database) -> list[Payment]:
    """Complete what is due, as the worker does."""

    async def work(tx: Tx) -> list[Payment]:
        now = (await read_clock(tx)).now()
        due = await completing.claim_due(tx, now=now, limit=200)
        return await completing.complete(tx, due, now=now)

    return await db.transaction(work)


async def advance(db: Database, *, advance_s: float) -> None:
    """Move the sandbox's clock forward."""
    await db.transaction(lambda tx: advance_clock(tx, advance_s=advance_s))
    db.forget_clock()


async def balance_of(db: Database, account: Account, currency: Currency = USD) -> Balance:
    """Tell what is on an account."""
    found = await db.transaction(
        lambda tx: payments.statement(
            tx, participant_id=account.participant_id, account_id=account.account_id
        )
    )
    return found.balances[currency]


async def status(db: Database, qr: str) -> Payment | None:
    """Tell the payment of a QR, as asked by its MD5."""
    md5 = payments.khqr.md5(qr)
    (found,) = await db.read(lambda tx: payments.by_md5(tx, [md5]))
    return found


def make_rail(db: Database, *, batch_size_max: int = 500) -> Rail:
    """Make the payments of one process."""
    return Rail(db, Sealer({1: bytes(32)}), batch_size_max=batch_size_max)


def make_request(
    command: Pay, *, key: str | None = None, body: bytes = b""
) -> Request[Pay, Payment]:
    """Make a request to the rail, rendered with something no second rendering would repeat."""
    keys = (Key.of("test", key=key, body=body),) if key is not None else ()
    return Request(command=command, render=_rendered, keys=keys)


@asynccontextmanager
async def working(*loops: Callable[[], Coroutine[None, None, None]]) -> AsyncGenerator[None]:
    """Run a rail's loops meanwhile."""
    tasks = [asyncio.ensure_future(loop()) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def _rendered(payment: Payment) -> bytes:
    return f"{payment.id} {payment.state} {secrets.token_hex(8)}".encode()
