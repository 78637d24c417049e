"""The ledger under many hands: nothing is spent twice, nobody is stuck, statements stay few."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from bayon import ledger
from bayon.db import Database, Tx
from bayon.ids import uuid7
from bayon.ledger import Capture, Decline, Hold, OpenAccount, PlaceHold, Post, Release, Transfer
from bayon.money import Currency

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def pools(database: str) -> AsyncGenerator[list[Database]]:
    opened = [await Database.connect(database, size_max=8) for _ in range(3)]
    yield opened
    for pool in opened:
        await pool.close()


async def opened(db: Database, *amounts_minor: int) -> list[UUID]:
    """Open a source, and accounts with these amounts; returns the source first."""

    async def work(tx: Tx) -> list[UUID]:
        source = OpenAccount(currency=Currency.USD, kind="system", name="source")
        customers = [OpenAccount(currency=Currency.USD) for _ in amounts_minor]
        accounts = await ledger.open_account(tx, [source, *customers], now=NOW)
        ids = [account.id for account in accounts]
        posts = [post(ids[0], i, n) for i, n in zip(ids[1:], amounts_minor, strict=True) if n]
        await ledger.post(tx, posts, now=NOW)
        return ids

    return await db.transaction(work)


def post(debit: UUID, credit: UUID, amount_minor: int = 1) -> Post:
    return Post(
        debit_account_id=debit,
        credit_account_id=credit,
        amount_minor=amount_minor,
        cause_id=uuid7(),
    )


async def posted(db: Database, commands: Sequence[Post]) -> list[Transfer | Decline]:
    return await db.transaction(lambda tx: ledger.post(tx, commands, now=NOW))


async def balances(db: Database, ids: Sequence[UUID]) -> list[tuple[int, int]]:
    found = await db.read(lambda tx: ledger.balance(tx, ids))
    return [(each.posted_minor, each.held_minor) for each in found if each is not None]


async def test_of_200_posts_with_funds_for_100_exactly_100_succeed(pools: list[Database]) -> None:
    source, payer, payee, other = await opened(pools[0], 100, 0, 0)
    outcomes_of = await asyncio.gather(
        *(posted(pools[n % 3], [post(payer, (payee, other)[n % 2])]) for n in range(200))
    )
    outcomes = [outcome for (outcome,) in outcomes_of]
    assert sum(isinstance(outcome, Transfer) for outcome in outcomes) == 100
    assert outcomes.count(Decline.INSUFFICIENT_FUNDS) == 100
    kept = await balances(pools[0], [source, payer, payee, other])
    assert kept[:2] == [(-100, 0), (0, 0)]
    assert kept[2][0] + kept[3][0] == 100


async def test_of_holds_and_posts_at_once_no_more_than_the_funds_succeed(
    pools: list[Database],
) -> None:
    _, payer, payee = await opened(pools[0], 50, 0)

    async def held(db: Database) -> list[Hold | Decline]:
        command = PlaceHold(account_id=payer, amount_minor=1, cause_id=uuid7())
        return await db.transaction(lambda tx: ledger.hold(tx, [command], now=NOW))

    outcomes_of = await asyncio.gather(
        *(held(pools[n % 3]) for n in range(60)),
        *(posted(pools[n % 3], [post(payer, payee)]) for n in range(60)),
    )
    assert sum(not isinstance(outcome, Decline) for (outcome,) in outcomes_of) == 50
    ((left, on_hold),) = await balances(pools[0], [payer])
    assert left == on_hold


async def test_one_hold_captured_and_released_by_many_is_closed_once(pools: list[Database]) -> None:
    _, payer, payee = await opened(pools[0], 100, 0)
    place = PlaceHold(account_id=payer, amount_minor=40, cause_id=uuid7())
    (hold,) = await pools[0].transaction(lambda tx: ledger.hold(tx, [place], now=NOW))
    assert isinstance(hold, Hold)
    hold_id = hold.id

    async def captured(db: Database) -> list[Transfer | Decline]:
        command = Capture(hold_id=hold_id, credit_account_id=payee, amount_minor=40)
        return await db.transaction(lambda tx: ledger.capture(tx, [command], now=NOW))

    async def released(db: Database) -> list[Hold | Decline]:
        command = Release(hold_id=hold_id)
        return await db.transaction(lambda tx: ledger.release(tx, [command], now=NOW))

    outcomes_of = await asyncio.gather(
        *(captured(pools[n % 3]) for n in range(20)), *(released(pools[n % 3]) for n in range(20))
    )
    outcomes = [outcome for (outcome,) in outcomes_of]
    assert outcomes.count(Decline.HOLD_NOT_OPEN) == 39
    moved_minor = 40 if any(isinstance(outcome, Transfer) for outcome in outcomes) else 0
    assert await balances(pools[0], [payer, payee]) == [(100 - moved_minor, 0), (moved_minor, 0)]


async def test_opposing_transfers_all_get_through(pools: list[Database]) -> None:
    _, left, right, third = await opened(pools[0], 500, 500, 500)
    ring = [(left, right), (right, left), (right, third), (third, left)]
    outcomes_of = await asyncio.gather(
        *(posted(pools[n % 3], [post(*ring[n % 4]), post(*ring[(n + 1) % 4])]) for n in range(200))
    )
    assert all(isinstance(outcome, Transfer) for outcomes in outcomes_of for outcome in outcomes)
    kept = await balances(pools[0], [left, right, third])
    assert sum(posted_minor for posted_minor, _ in kept) == 1_500


async def test_opposing_transfers_meet_no_deadlock_at_all(pools: list[Database]) -> None:
    _, left, right = await opened(pools[0], 500, 500)
    attempts = 0

    async def once(db: Database, command: Post) -> None:
        async def work(tx: Tx) -> None:
            nonlocal attempts
            attempts += 1
            await ledger.post(tx, [command], now=NOW)

        await db.transaction(work)

    pairs = [(left, right), (right, left)]
    await asyncio.gather(*(once(pools[n % 3], post(*pairs[n % 2])) for n in range(100)))
    assert attempts == 100


async def test_opposing_captures_and_posts_all_get_through(pools: list[Database]) -> None:
    _, left, right = await opened(pools[0], 500, 500)
    places = [
        PlaceHold(account_id=(left, right)[n % 2], amount_minor=1, cause_id=uuid7())
        for n in range(80)
    ]
    holds = await pools[0].transaction(lambda tx: ledger.hold(tx, places, now=NOW))
    ids = [hold.id for hold in holds if isinstance(hold, Hold)]

    async def captured(db: Database, n: int) -> list[Transfer | Decline]:
        # A hold on the left account pays the right one and the other way round.
        commands = [
            Capture(hold_id=ids[n], credit_account_id=(right, left)[n % 2], amount_minor=1),
            Capture(hold_id=ids[n - 1], credit_account_id=(left, right)[n % 2], amount_minor=1),
        ]
        return await db.transaction(lambda tx: ledger.capture(tx, commands, now=NOW))

    outcomes_of = await asyncio.gather(
        *(captured(pools[n % 3], n) for n in range(80)),
        *(posted(pools[n % 3], [post(*((left, right), (right, left))[n % 2])]) for n in range(80)),
    )
    captures = [outcome for outcomes in outcomes_of[:80] for outcome in outcomes]
    assert sum(isinstance(outcome, Transfer) for outcome in captures) == 80
    assert captures.count(Decline.HOLD_NOT_OPEN) == 80
    assert await balances(pools[0], [left, right]) == [(500, 0), (500, 0)]


@pytest.mark.parametrize("size", [1, 50, 500])
async def test_statements_are_as_many_whatever_the_size_of_the_batch(
    db: Database, size: int
) -> None:
    source, *customers = await opened(db, *[10] * size)
    places = [PlaceHold(account_id=c, amount_minor=4, cause_id=uuid7()) for c in customers]
    journal: list[tuple[str, tuple[object, ...]]] = []
    db.journal = journal
    await posted(db, [post(customer, source) for customer in customers])
    # Lock balances, insert transfers, update balances.
    assert told(journal) == 3
    placed = await db.transaction(lambda tx: ledger.hold(tx, places, now=NOW))
    assert told(journal) == 3
    ids = [hold.id for hold in placed if isinstance(hold, Hold)]
    captures = [
        Capture(hold_id=i, credit_account_id=source, amount_minor=1, final=False) for i in ids
    ]
    await db.transaction(lambda tx: ledger.capture(tx, captures, now=NOW))
    # Holds are locked and updated too.
    assert told(journal) == 5
    releases = [Release(hold_id=hold_id) for hold_id in ids]
    await db.transaction(lambda tx: ledger.release(tx, releases, now=NOW))
    assert told(journal) == 4
    assert await balances(db, customers) == [(8, 0)] * size


def told(journal: list[tuple[str, tuple[object, ...]]]) -> int:
    count = len(journal)
    journal.clear()
    return count
