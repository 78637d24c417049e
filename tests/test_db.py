"""The database's pool, retries, migrations and clock, against a real server that misbehaves."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from bayon.db import (
    CLOCK_OFFSET_S_MAX,
    ClockGoesForward,
    Database,
    Isolation,
    RunAgain,
    Tx,
    advance_clock,
    keep_secret,
    migrate,
    read_clock,
)
from bayon.errors import Unavailable
from lines import socket_of, through
from servers import Server, database_url

MIGRATOR = """
import asyncio, sys
from bayon.db import Database, migrate
async def main():
    db = await Database.connect(sys.argv[1])
    print(len(await migrate(db)))
    await db.close()
asyncio.run(main())
"""


@pytest.fixture
async def empty(server: Server) -> AsyncGenerator[str]:
    """Make a database without any schema."""
    name = f"empty_{id(object())}"
    await server.run(f"CREATE DATABASE {name}")
    url = database_url(server.url, name)
    yield url
    await server.drop(url)


@pytest.fixture
async def pair(db: Database) -> Database:
    """Two rows to fight about."""

    async def work(tx: Tx) -> None:
        await tx.run("CREATE TABLE public.pair (id int PRIMARY KEY, n int NOT NULL)")
        await tx.run("INSERT INTO public.pair VALUES (1, 0), (2, 0)")

    await db.transaction(work)
    return db


async def numbers(db: Database) -> list[int]:
    rows = await db.read(lambda tx: tx.rows("SELECT n FROM public.pair ORDER BY id"))
    return [row["n"] for row in rows]


# Transactions.


async def test_what_work_raises_rolls_back_and_comes_out(pair: Database) -> None:
    async def work(tx: Tx) -> None:
        await tx.run("UPDATE public.pair SET n = 1")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await pair.transaction(work)
    assert await numbers(pair) == [0, 0]


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read"])
async def test_updates_of_one_row_from_many_transactions_are_all_there(
    pair: Database, isolation: Isolation
) -> None:
    attempts = 0

    async def work(tx: Tx) -> None:
        nonlocal attempts
        attempts += 1
        seen: int = await tx.value("SELECT n FROM public.pair WHERE id = 2")
        await asyncio.sleep(0.002)
        await tx.run("UPDATE public.pair SET n = n + 1 WHERE id = 1")
        assert seen == 0

    await asyncio.gather(*(pair.transaction(work, isolation=isolation) for _ in range(10)))
    assert await numbers(pair) == [10, 0]
    # READ COMMITTED waits; REPEATABLE READ meets 40001 and runs again.
    assert (attempts > 10) == (isolation == "repeatable_read")


async def test_deadlocked_transactions_run_again_until_both_are_done(pair: Database) -> None:
    attempts = 0
    both_hold_one = asyncio.Barrier(2)

    async def cross(order: Sequence[int]) -> None:
        first = True

        async def work(tx: Tx) -> None:
            nonlocal attempts, first
            attempts += 1
            for row_id in order:
                await tx.run("UPDATE public.pair SET n = n + 1 WHERE id = $1", row_id)
                if first:
                    first = False
                    await both_hold_one.wait()

        await pair.transaction(work)

    await asyncio.gather(cross([1, 2]), cross([2, 1]))
    assert await numbers(pair) == [2, 2]
    assert attempts >= 3  # one that comes again at once may be first, and meet the other once more


async def test_run_again_runs_again_with_nothing_left_of_before(pair: Database) -> None:
    attempts = 0

    async def work(tx: Tx) -> int:
        nonlocal attempts
        attempts += 1
        await tx.run("UPDATE public.pair SET n = n + 1")
        if attempts < 3:
            raise RunAgain
        return attempts

    assert await pair.transaction(work) == 3
    assert await numbers(pair) == [1, 1]


async def test_transaction_that_never_gets_through_is_unavailable(db: Database) -> None:
    attempts = 0

    async def work(_: Tx) -> None:
        nonlocal attempts
        attempts += 1
        raise RunAgain

    with pytest.raises(Unavailable, match="busy"):
        await db.transaction(work)
    assert attempts == 20


async def test_value_that_does_not_fit_is_no_outage(db: Database) -> None:
    for value in (2**63, "one"):
        with pytest.raises(asyncpg.DataError):
            await db.read(lambda tx, v=value: tx.value("SELECT $1::bigint", v))
    with pytest.raises(asyncpg.DataError):
        await db.transaction(lambda tx: tx.value("SELECT $1::text", "\ud800"))


async def test_cancelled_transaction_leaves_nothing_open_in_the_pool(database: str) -> None:
    db = await Database.connect(database, size_max=1)

    async def work(tx: Tx) -> None:
        await tx.run("UPDATE cellar.clock SET offset_s = 5")
        await asyncio.sleep(60)

    for _ in range(5):
        task = asyncio.create_task(db.transaction(work))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await db.transaction(lambda tx: tx.value("SELECT offset_s FROM cellar.clock")) == 0
    await db.close()


# What is written meanwhile.


def adding(number: int) -> Callable[[Tx], Awaitable[None]]:
    """Append a digit to what is there: so the order shows."""

    async def work(tx: Tx) -> None:
        await tx.run("UPDATE public.pair SET n = n * 10 + $1::int", number)

    return work


async def test_what_is_begun_goes_on_while_its_caller_does_and_is_there_at_the_next_statement(
    pair: Database,
) -> None:
    goes_on = asyncio.Event()

    async def slow(tx: Tx) -> None:
        await goes_on.wait()
        await adding(1)(tx)

    async def work(tx: Tx) -> int:
        tx.meanwhile(slow)
        tx.meanwhile(adding(2))
        assert await tx.in_turns(lambda n: n + 1, range(3)) == [1, 2, 3]
        goes_on.set()
        seen: int = await tx.value("SELECT n FROM public.pair WHERE id = 1")
        tx.meanwhile(adding(3))
        await asyncio.sleep(0.05)
        tx.meanwhile(adding(4))
        return seen

    assert await pair.transaction(work) == 12
    assert await numbers(pair) == [1234, 1234]


@pytest.mark.parametrize("next_is", ["statement", "begun", "commit"])
async def test_what_fails_meanwhile_is_raised_by_what_comes_next_and_rolled_back(
    pair: Database, next_is: str
) -> None:
    failed = asyncio.Event()

    async def fail(_: Tx) -> None:
        failed.set()
        raise KeyError("mine")

    async def work(tx: Tx) -> None:
        tx.meanwhile(adding(1))
        tx.meanwhile(fail)
        await failed.wait()
        if next_is == "statement":
            await tx.run("SELECT")
        if next_is == "begun":
            tx.meanwhile(adding(2))
        assert next_is == "commit"

    with pytest.raises(KeyError, match="mine"):
        await pair.transaction(work)
    assert await numbers(pair) == [0, 0]


@pytest.mark.parametrize("started", [True, False])
async def test_what_was_begun_ends_with_its_caller_and_its_connection_goes_on(
    database: str, *, started: bool
) -> None:
    db = await Database.connect(database, size_max=1)
    ended: list[str] = []

    async def sleep(tx: Tx) -> None:
        try:
            await tx.run("SELECT pg_sleep(30)")
        finally:
            ended.append("sleep")

    async def work(tx: Tx) -> None:
        await tx.run("CREATE TABLE public.nothing ()")
        tx.meanwhile(sleep)
        tx.meanwhile(adding(1))
        if started:
            await asyncio.sleep(0.1)
        raise KeyError("mine")

    async with asyncio.timeout(10):
        with pytest.raises(KeyError, match="mine"):
            await db.transaction(work)
        assert ended == ["sleep"] * started
        there = await db.read(lambda tx: tx.value("SELECT to_regclass('public.nothing')"))
    assert there is None
    await db.close()


async def test_what_is_begun_by_what_is_begun_comes_before_what_comes_next(pair: Database) -> None:
    async def nested(tx: Tx) -> None:
        tx.meanwhile(adding(1))

    async def work(tx: Tx) -> None:
        tx.meanwhile(nested)
        tx.meanwhile(adding(2))
        await adding(3)(tx)

    await pair.transaction(work)
    assert await numbers(pair) == [123, 123]


async def test_a_read_ends_with_what_it_began(pair: Database) -> None:
    async def work(tx: Tx) -> None:
        tx.meanwhile(adding(1))

    await pair.read(work)
    assert await numbers(pair) == [1, 1]


async def test_run_again_from_what_was_begun_runs_again(pair: Database) -> None:
    attempts = 0

    async def again(tx: Tx) -> None:
        await adding(attempts)(tx)
        if attempts < 3:
            raise RunAgain

    async def work(tx: Tx) -> None:
        nonlocal attempts
        attempts += 1
        tx.meanwhile(again)

    await pair.transaction(work)
    assert await numbers(pair) == [3, 3]


async def test_journal_tells_every_statement_and_its_arguments(db: Database) -> None:
    db.journal = []
    await db.read(lambda tx: tx.value("SELECT $1::int", 7))
    await db.transaction(lambda tx: tx.run("SELECT 1"))
    assert db.journal == [("SELECT $1::int", (7,)), ("SELECT 1", ())]


# A server that goes away.


async def test_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await Database.connect("postgresql://nobody@127.0.0.1:1/nothing")


async def test_server_that_goes_away_is_unavailable_until_it_is_back(
    db: Database, server: Server
) -> None:
    async def work(tx: Tx) -> None:
        pid: int = await tx.value("SELECT pg_backend_pid()")
        await server.run(f"SELECT pg_terminate_backend({pid}, 5000)")
        await tx.run("SELECT 1")

    with pytest.raises(Unavailable):
        await db.transaction(work)
    assert await db.read(lambda tx: tx.value("SELECT 1")) == 1


async def test_closed_database_is_unavailable(database: str) -> None:
    db = await Database.connect(database)
    await db.close()
    with pytest.raises(Unavailable):
        await db.read(lambda tx: tx.value("SELECT 1"))


# Migrations.


async def test_second_migration_finds_nothing_to_do(empty: str) -> None:
    db = await Database.connect(empty)
    first = await migrate(db)
    assert first == sorted(first)
    assert first[:3] == ["0001_cellar.sql", "0002_batch.sql", "0003_ledger.sql"]
    assert await migrate(db) == []
    kept = await db.read(lambda tx: tx.rows("SELECT name FROM cellar.migration ORDER BY name"))
    assert [row["name"] for row in kept] == first
    await db.close()


async def test_many_tasks_migrating_an_empty_database_apply_each_migration_once(empty: str) -> None:
    pools = [await Database.connect(empty, size_max=2) for _ in range(6)]
    applied = await asyncio.gather(*(migrate(pool) for pool in pools))
    flat = [name for names in applied for name in names]
    assert len(flat) == len(set(flat)) > 0
    assert await migrate(pools[0]) == []
    for pool in pools:
        await pool.close()


async def test_two_processes_migrating_an_empty_database_apply_each_migration_once(
    empty: str,
) -> None:
    command = (sys.executable, "-c", MIGRATOR, empty)
    started = [
        await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE) for _ in range(2)
    ]
    told = [(await process.communicate())[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    db = await Database.connect(empty)
    count: int = await db.read(lambda tx: tx.value("SELECT count(*) FROM cellar.migration"))
    assert sum(int(text.split()[-1]) for text in told) == count
    await db.close()


# The clock and the sandbox's secrets.


async def test_clock_moves_forward_by_what_was_asked(db: Database) -> None:
    for _ in range(2):
        await db.transaction(lambda tx: advance_clock(tx, advance_s=90.5))
    clock = await db.transaction(read_clock)
    assert clock.offset == timedelta(seconds=181)
    assert timedelta(seconds=180) < clock.now() - datetime.now(UTC) < timedelta(seconds=182)


@pytest.mark.parametrize(
    "advance_s", [-1.0, -1e-9, float("nan"), float("inf"), float("-inf"), 1e400, 1e18]
)
async def test_clock_goes_neither_back_nor_nowhere(db: Database, advance_s: float) -> None:
    with pytest.raises(ClockGoesForward):
        await db.transaction(lambda tx: advance_clock(tx, advance_s=advance_s))
    assert (await db.transaction(read_clock)).offset == timedelta()


async def test_clock_goes_a_century_ahead_in_all_and_still_tells_the_time(db: Database) -> None:
    clock = await db.transaction(lambda tx: advance_clock(tx, advance_s=CLOCK_OFFSET_S_MAX))
    with pytest.raises(ClockGoesForward):
        await db.transaction(lambda tx: advance_clock(tx, advance_s=1))
    assert (await db.transaction(read_clock)).now() - clock.now() < timedelta(seconds=5)


async def test_clock_is_asked_of_the_database_at_most_once_a_second(db: Database) -> None:
    db.journal = []
    for _ in range(100):
        await db.clock()
    assert len(db.journal) == 1
    await db.transaction(lambda tx: advance_clock(tx, advance_s=10))
    assert (await db.clock()).offset == timedelta()
    db.forget_clock()
    assert (await db.clock()).offset == timedelta(seconds=10)


async def test_clock_is_read_once_for_all_who_ask_at_the_same_time(db: Database) -> None:
    db.journal = []
    first = asyncio.create_task(db.clock())
    others = [asyncio.create_task(db.clock()) for _ in range(50)]
    await asyncio.sleep(0)
    first.cancel()
    assert len(set(await asyncio.gather(*others))) == 1
    assert len(db.journal) == 1


class SlowAnswer:
    """A proxy that holds back the answer to the first reading of the clock."""

    def __init__(self, socket: str) -> None:
        self.socket: str = socket
        self.read: asyncio.Event = asyncio.Event()
        self.may_tell: asyncio.Event = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_unix_connection(self.socket)
        asked = asyncio.Event()
        with suppress(ConnectionError):
            await asyncio.wait(
                (
                    asyncio.ensure_future(self.ask(reader, to_there, asked)),
                    asyncio.ensure_future(self.answer(there, writer, asked)),
                ),
                return_when=asyncio.FIRST_COMPLETED,
            )
        writer.close()
        to_there.close()

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if b"SELECT offset_s" in data:
                asked.set()
            writer.write(data)

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if asked.is_set() and b"SELECT 1\x00" in data and not self.read.is_set():
                self.read.set()
                await self.may_tell.wait()
            writer.write(data)


async def test_clock_read_before_it_was_moved_is_told_to_nobody_who_asks_after(
    database: str, tmp_path: Path
) -> None:
    line = SlowAnswer(socket_of(database))
    async with asyncio.timeout(10), through(line, database, tmp_path) as db:
        early = asyncio.create_task(db.clock())
        await line.read.wait()
        await db.transaction(lambda tx: advance_clock(tx, advance_s=10))
        db.forget_clock()
        assert (await db.clock()).offset == timedelta(seconds=10)
        line.may_tell.set()
        assert (await early).offset == timedelta()
        assert (await db.clock()).offset == timedelta(seconds=10)


async def test_clock_that_could_not_be_read_is_read_again(database: str, db: Database) -> None:
    closed = await Database.connect(database)
    await closed.close()
    for _ in range(2):
        told = await asyncio.gather(closed.clock(), closed.clock(), return_exceptions=True)
        assert [type(each) for each in told] == [Unavailable] * 2
    assert (await db.clock()).offset == timedelta()


async def test_first_secret_kept_under_a_name_stays(db: Database) -> None:
    kept = await asyncio.gather(
        *(
            db.transaction(lambda tx, v=value: keep_secret(tx, name="jwt", value=v))
            for value in "abcdefgh"
        )
    )
    assert len(set(kept)) == 1
    assert await db.transaction(lambda tx: keep_secret(tx, name="jwt", value="z")) == kept[0]
