"""Many at once, through one rail and through several with pools of their own."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from bayon import payments
from bayon.db import Database, Tx
from bayon.payments import Decline, Pay, Payment, Rail
from factories import (
    balance_of,
    make_account,
    make_participant,
    make_pay,
    make_qr,
    make_rail,
    make_request,
    make_street,
    make_transfer,
)


@asynccontextmanager
async def rails_on(database: str, count: int) -> AsyncGenerator[list[Rail]]:
    """Make rails with a pool each, as processes of their own would have."""
    opened = [await Database.connect(database, size_max=3) for _ in range(count)]
    yield [make_rail(db) for db in opened]
    for db in opened:
        await db.close()


async def pay_at_once(rails: Sequence[Rail], commands: Sequence[Pay]) -> list[Payment]:
    """Pay all at the same instant, in turn through each rail."""
    replies = await asyncio.gather(
        *(rails[n % len(rails)].pay(make_request(command)) for n, command in enumerate(commands))
    )
    return [reply.outcome for reply in replies if reply.outcome is not None]


def reasons(paid: Sequence[Payment]) -> Counter[Decline | None]:
    return Counter(payment.decline_reason for payment in paid)


@pytest.mark.parametrize("rail_count", [1, 2])
async def test_fifty_payers_at_one_dynamic_qr_pay_it_once(
    db: Database, database: str, rail_count: int
) -> None:
    street = await make_street(db)
    payers = [
        await make_account(db, participant=street.aclb, name=f"payer{n}", usd_minor=100)
        for n in range(50)
    ]
    qr = make_qr(amount_minor=100)
    async with rails_on(database, rail_count) as rails:
        paid = await pay_at_once(rails, [make_pay(payer=payer, qr=qr) for payer in payers])
    assert reasons(paid) == {None: 1, Decline.QR_ALREADY_PAID: 49}
    assert (await balance_of(db, street.shop)).posted_minor == 100


@pytest.mark.parametrize("rail_count", [1, 2])
async def test_two_hundred_payments_with_funds_for_a_hundred_are_a_hundred(
    db: Database, database: str, rail_count: int
) -> None:
    street = await make_street(db, usd_minor=10_000)
    qr = make_qr()
    command = make_pay(payer=street.dara, qr=qr, amount_minor=100)
    async with rails_on(database, rail_count) as rails:
        paid = await pay_at_once(rails, [command] * 200)
    assert reasons(paid) == {None: 100, Decline.INSUFFICIENT_FUNDS: 100}
    assert (await balance_of(db, street.dara)).posted_minor == 0
    assert (await balance_of(db, street.shop)).posted_minor == 10_000


async def test_many_payments_in_both_directions_through_three_rails_lose_nothing(
    db: Database, database: str
) -> None:
    chance = random.Random(20_260_117)  # noqa: S311 - a test's dice
    banks = [await make_participant(db, code=code) for code in ("aclb", "wing", "phil")]
    accounts = [
        await make_account(db, participant=banks[n % 3], name=f"a{n}", usd_minor=2_000)
        for n in range(12)
    ]
    pairs = [chance.sample(accounts, 2) for _ in range(900)]
    qrs = [make_qr(to=account.account_id, amount_minor=50) for account in accounts for _ in "12345"]
    commands = [
        make_transfer(payer=payer, receiver=receiver, amount_minor=chance.randint(1, 400))
        for payer, receiver in pairs
    ] + [
        make_pay(payer=payer, qr=qr)
        for qr in qrs
        for payer in chance.sample(accounts, 3)
        if payer.account_id not in qr
    ]
    chance.shuffle(commands)
    async with rails_on(database, 3) as rails:
        waves = [
            await pay_at_once(rails, commands[start : start + 300])
            for start in range(0, len(commands), 300)
        ]
    paid = [payment for wave in waves for payment in wave]
    assert len(paid) == len(commands)
    assert set(reasons(paid)) == {None, Decline.INSUFFICIENT_FUNDS, Decline.QR_ALREADY_PAID}
    left = [(await balance_of(db, account)).posted_minor for account in accounts]
    moved: Counter[str] = Counter()
    for payment in paid:
        if payment.state == "succeeded":
            moved[payment.from_account_id] -= payment.amount_minor
            moved[payment.to_account_id] += payment.amount_minor
    assert left == [2_000 + moved[account.account_id] for account in accounts]


async def test_a_batch_of_payments_takes_the_same_few_statements_whatever_its_size(
    db: Database,
) -> None:
    street = await make_street(db, usd_minor=1_000_000)
    rail = make_rail(db)
    journals: list[list[str]] = []
    for size in (1, 50, 500):
        commands = [
            make_pay(payer=street.dara, qr=make_qr(amount_minor=100 + n % 7)) for n in range(size)
        ]
        db.journal = []
        replies = await asyncio.gather(
            *(rail.pay(make_request(c, key=f"{size} {n}")) for n, c in enumerate(commands))
        )
        journals.append([" ".join(sql.split()) for sql, _ in db.journal])
        db.journal = None
        assert {reply.outcome.state for reply in replies if reply.outcome} == {"succeeded"}
        assert rail.paying.sizes.recent[-1] == size
    assert journals[0] == journals[1] == journals[2]
    writes = ("INSERT INTO ledger.", "UPDATE ledger.")
    first_write = next(n for n, sql in enumerate(journals[0]) if sql.startswith(writes))
    assert first_write <= 6
    assert len(journals[0]) <= 10


async def test_whoever_reads_on_from_what_he_knows_misses_nothing(
    db: Database, database: str
) -> None:
    """One commit is delayed after it took its number; the other rail must not overtake it."""
    street = await make_street(db)
    transfer = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=1)
    known: list[str] = []

    async def read_on() -> None:
        page, _ = await db.read(
            lambda tx: payments.list_payments(tx, participant_id=street.wing.id)
        )
        fresh: list[str] = []
        for payment in page:
            if payment.hash.hex() in known:
                break
            fresh.append(payment.hash.hex())
        known[:0] = fresh

    other_payer = await make_account(db, participant=street.aclb, name="sok", usd_minor=100)
    other_shop = await make_account(db, participant=street.wing, name="kiosk")
    numbered, may_commit = asyncio.Event(), asyncio.Event()

    async def pay_slowly(tx: Tx) -> None:
        now = (await db.clock()).now()
        await payments.pay(tx, [transfer], now=now)
        numbered.set()
        await may_commit.wait()

    async with rails_on(database, 2) as (slow, quick):
        await slow.pay(make_request(transfer))
        await read_on()
        delayed = asyncio.create_task(db.transaction(pay_slowly))
        await numbered.wait()
        elsewhere = make_transfer(payer=other_payer, receiver=other_shop, amount_minor=1)
        overtaking = asyncio.create_task(quick.pay(make_request(elsewhere)))
        for _ in range(5):
            await asyncio.sleep(0.02)
            await read_on()
        assert not overtaking.done()
        may_commit.set()
        await asyncio.gather(delayed, overtaking)
        await read_on()
    page, _ = await db.read(lambda tx: payments.list_payments(tx, participant_id=street.wing.id))
    assert known == [payment.hash.hex() for payment in page]
    assert len(known) == 3


async def test_a_reader_beside_two_busy_rails_misses_nothing(db: Database, database: str) -> None:
    street = await make_street(db)
    banks = [street.aclb, street.wing]
    payers = [
        await make_account(db, participant=banks[n % 2], name=f"p{n}", usd_minor=10_000)
        for n in range(6)
    ]
    known: list[bytes] = []
    done = asyncio.Event()

    async def read_until_done() -> None:
        while True:
            last = done.is_set()
            fresh: list[bytes] = []
            after: int | None = None
            while True:
                page, after = await db.read(
                    lambda tx, after=after: payments.list_payments(
                        tx, participant_id=street.wing.id, direction="incoming", after=after
                    )
                )
                unknown = [p.hash for p in page if p.hash not in known[:200]]
                fresh += unknown
                if len(unknown) < len(page) or after is None:
                    break
            known[:0] = fresh
            if last:
                return

    async def pay_one_after_the_other(rail: Rail, who: int) -> None:
        command = make_transfer(payer=payers[who], receiver=street.shop, amount_minor=1)
        for _ in range(25):
            await rail.pay(make_request(command))

    async with rails_on(database, 2) as rails:
        reader = asyncio.create_task(read_until_done())
        await asyncio.gather(*(pay_one_after_the_other(rails[n % 2], n) for n in range(6)))
        done.set()
        await reader
    count: int = await db.read(
        lambda tx: tx.value("SELECT count(*) FROM payments.payment WHERE state = 'succeeded'")
    )
    assert count == 150
    assert len(known) == len(set(known)) == 150
