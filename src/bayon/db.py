"""The database: the pool, transactions that may run again, migrations, and the sandbox's clock.

A transaction is a function of a `Tx`; it can run again on 40001 and 40P01, so it does nothing
outside the database. Doors and batches begin transactions, verbs never do. Statements are literals
(`LiteralString`, so that putting text into SQL is a type error) and live in each room's `store.py`;
those here are on the schema `cellar`.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from importlib import resources
from typing import Any, Final, Literal, LiteralString, TypeAlias, TypeVar

import asyncpg
import msgspec
import structlog
from asyncpg.pool import PoolConnectionProxy
from asyncpg.protocol.record import Record

from bayon.clock import Clock
from bayon.errors import Conflict, Unavailable

C = TypeVar("C")
T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"
Isolation = Literal["read_committed", "repeatable_read"]

ATTEMPTS_MAX: Final = 20
TURN: Final = 8
"""How many things are computed at a stretch while statements run: half a millisecond's."""

BACKOFF_S: Final = 0.005
CONNECT_TIMEOUT_S: Final = 10.0
STATEMENT_TIMEOUT_S: Final = 60.0
CLOCK_AGE_S_MAX: Final = 1.0
CLOCK_OFFSET_S_MAX: Final = 36_500 * 86_400.0

SESSION: Final = {
    "application_name": "bayon",
    "timezone": "UTC",
    # Every statement of ours is short: compiling it or sharing it among workers costs more.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}

AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
)
"""What asyncpg raises when the server is gone, going or not there yet."""

log = structlog.get_logger()


class RunAgain(Exception):
    """Somebody committed first what this transaction would write: run it again on their state."""


class ClockGoesForward(Conflict):
    """The sandbox's clock moves only forward."""

    code = "clock_goes_forward"


class Tx:
    """One transaction, or one read: the only thing that sends statements."""

    __slots__: tuple[str, ...] = ("_ahead", "_begun", "_connection", "_journal")

    def __init__(
        self, connection: Connection, journal: list[tuple[str, tuple[object, ...]]] | None
    ) -> None:
        self._connection: Connection = connection
        self._journal: list[tuple[str, tuple[object, ...]]] | None = journal
        self._ahead: asyncio.Task[None] | None = None
        self._begun: deque[Callable[[Tx], Awaitable[None]]] = deque()

    async def rows(self, sql: LiteralString, *args: object) -> Sequence[Record]:
        """Run one statement and fetch all its rows."""
        await self.settle()
        if self._journal is not None:
            self._journal.append((sql, args))
        return await self._connection.fetch(sql, *args)

    async def row(self, sql: LiteralString, *args: object) -> Record | None:
        """Run one statement and fetch its first row, if any."""
        found = await self.rows(sql, *args)
        return found[0] if found else None

    async def value(self, sql: LiteralString, *args: object) -> Any:  # noqa: ANN401 - a column's type
        """Run one statement and fetch the first column of its first row, None without a row."""
        found = await self.row(sql, *args)
        return found[0] if found else None

    async def run(self, sql: LiteralString, *args: object) -> None:
        """Run one statement that answers nothing of interest."""
        await self.rows(sql, *args)

    def meanwhile(self, work: Callable[["Tx"], Awaitable[None]]) -> None:
        """Begin to write while the caller goes on: whose next statement, or the commit, waits.

        The database then works on the one while Python prepares the other (`in_turns`). What is
        begun after it is written after it. An error is raised by what comes next.
        """
        if self._ahead is not None and self._ahead.done():
            self._ahead.result()
            self._ahead = None
        self._begun.append(work)
        if self._ahead is None:
            self._ahead = asyncio.create_task(self._write())
            self._ahead.add_done_callback(_seen)

    async def _write(self) -> None:
        while self._begun:
            await _settled(Tx(self._connection, self._journal), self._begun.popleft())

    async def in_turns(self, work: Callable[[C], T], of: Iterable[C]) -> list[T]:
        """Do what only computes for each, in order, and give way to what is written meanwhile."""
        done: list[T] = []
        for each in of:
            if len(done) % TURN == 0 and self._ahead is not None and not self._ahead.done():
                await asyncio.sleep(0)
            done.append(work(each))
        return done

    async def settle(self) -> None:
        """Wait for what was begun. Errors: its."""
        if self._ahead is not None:
            await self._ahead
            self._ahead = None

    async def abandon(self) -> None:
        """Stop what was begun, if it has not ended: before a rollback."""
        self._begun.clear()
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait({self._ahead})


class Database:
    """A pool of connections. `journal`, when set, records every statement (tests, bench)."""

    def __init__(self, pool: "asyncpg.Pool[Record]") -> None:
        self._pool: asyncpg.Pool[Record] = pool
        self._clock: Clock = Clock()
        self._clock_read_at: float = float("-inf")
        self._clock_reading: asyncio.Task[Clock] | None = None
        self.journal: list[tuple[str, tuple[object, ...]]] | None = None

    @classmethod
    async def connect(cls, url: str, *, size_max: int = 12) -> "Database":
        """Open a pool. Errors: `Unavailable` when the server is not there, or will not have us."""
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size_max,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                reset=_keep,
                server_settings=SESSION,
            )
        except asyncpg.ClientConfigurationError:
            # Not from the error, whose text may tell the password.
            raise Unavailable("The database's address is no PostgreSQL URL.") from None
        except AWAY as error:
            raise Unavailable("The database is away.", error=type(error).__name__) from error
        except asyncpg.PostgresError as error:
            raise Unavailable(f"The database refuses us: {error}.") from error
        return cls(pool)

    async def close(self) -> None:
        """Close the pool, at once if it will not close by itself within five seconds."""
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except (*AWAY, asyncpg.PostgresError):
            self._pool.terminate()

    async def transaction(
        self, work: Callable[[Tx], Awaitable[T]], *, isolation: Isolation = "read_committed"
    ) -> T:
        """Run `work` in a transaction and commit; run it again when the database or it asks so.

        Errors: what `work` raises (after a rollback), `Unavailable` when the server is away.
        """
        for attempt in range(ATTEMPTS_MAX):
            try:
                async with (
                    self._connection() as connection,
                    connection.transaction(isolation=isolation),
                ):
                    return await _settled(Tx(connection, self.journal), work)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, RunAgain):
                await asyncio.sleep(random.uniform(0, BACKOFF_S * 2 ** min(attempt, 6)))  # noqa: S311 - spreads retries, guards nothing
        raise Unavailable("The database is too busy.", attempt=ATTEMPTS_MAX)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work`, a single reading statement, without a transaction around it."""
        async with self._connection() as connection:
            return await _settled(Tx(connection, self.journal), work)

    async def ping(self) -> None:
        """Ask whether the server answers. Errors: `Unavailable`."""
        await self.read(lambda tx: tx.value("SELECT true"))

    async def clock(self) -> Clock:
        """Tell the clock, read from the database at most once a second, for all who ask then."""
        if time.monotonic() - self._clock_read_at <= CLOCK_AGE_S_MAX:
            return self._clock
        if self._clock_reading is None or self._clock_reading.done():
            self._clock_reading = asyncio.create_task(self._read_clock())
            self._clock_reading.add_done_callback(_seen)
        # Who gives up waiting leaves the others theirs.
        return await asyncio.shield(self._clock_reading)

    def forget_clock(self) -> None:
        """Read the clock anew at the next question; called by who has just moved it."""
        self._clock_read_at = float("-inf")
        # A reading on its way may have seen it before: nobody who asks from now on shares it.
        self._clock_reading = None

    async def _read_clock(self) -> Clock:
        clock = await self.read(read_clock)
        if self._clock_reading is asyncio.current_task():
            self._clock, self._clock_read_at = clock, time.monotonic()
        return clock

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        try:
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection
        except AWAY as error:
            raise Unavailable("The database is away.", error=type(error).__name__) from error


def rows_text(rows: Sequence[msgspec.Struct]) -> str:
    """Write rows as one JSON array, for `json_to_recordset`. No text in them has a NUL.

    Of many columns this costs a tenth of an array for each, whose every member asyncpg looks at.
    """
    return msgspec.json.encode(rows).decode()


async def _settled(tx: Tx, work: Callable[[Tx], Awaitable[T]]) -> T:
    try:
        result = await work(tx)
        await tx.settle()
    finally:
        await tx.abandon()
    return result


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of an error that nobody may be left to hear: at the end of a process, say."""
    if not task.cancelled():
        task.exception()


async def _keep(_connection: Connection) -> None:
    """Keep a connection as it is between uses: no statement of ours leaves state in its session."""


async def read_clock(tx: Tx) -> Clock:
    """Read the clock, inside a transaction that needs it."""
    offset_s: float = await tx.value("SELECT offset_s FROM cellar.clock") or 0.0
    return Clock(timedelta(seconds=offset_s))


async def advance_clock(tx: Tx, *, advance_s: float) -> Clock:
    """Move the sandbox's clock forward, at most a century in all. Errors: `ClockGoesForward`."""
    if not 0 <= advance_s <= CLOCK_OFFSET_S_MAX:
        raise ClockGoesForward
    offset_s: float | None = await tx.value(
        """
        UPDATE cellar.clock SET offset_s = offset_s + $1::float8
        WHERE offset_s + $1::float8 <= $2 RETURNING offset_s
        """,
        advance_s,
        CLOCK_OFFSET_S_MAX,
    )
    if offset_s is None:
        raise ClockGoesForward("The sandbox's clock goes a century ahead and no further.")
    return Clock(timedelta(seconds=offset_s))


async def keep_secret(tx: Tx, *, name: str, value: str) -> str:
    """Keep a generated secret of the sandbox under its name; the first one kept stays.

    Returns the one that is kept. Locks its row.
    """
    kept: str = await tx.value(
        """
        INSERT INTO cellar.secret (name, value) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = cellar.secret.value
        RETURNING value
        """,
        name,
        value,
    )
    return kept


async def change_secret(tx: Tx, *, name: str, value: str) -> None:
    """Write another value of a secret the sandbox keeps."""
    await tx.run("UPDATE cellar.secret SET value = $2 WHERE name = $1", name, value)


async def kept_secrets(tx: Tx) -> int:
    """Count the generated secrets: only a sandbox's database has any."""
    count: int = await tx.value("SELECT count(*) FROM cellar.secret")
    return count


async def is_untouched(tx: Tx) -> bool:
    """Tell whether nobody has ever migrated this database."""
    untouched: bool = await tx.value("SELECT to_regclass('cellar.secret') IS NULL")
    return untouched


async def read_secret(tx: Tx, *, name: str) -> str | None:
    """Read a generated secret of the sandbox."""
    value: str | None = await tx.value("SELECT value FROM cellar.secret WHERE name = $1", name)
    return value


async def migrate(db: Database) -> list[str]:
    """Bring the schema up to date; returns the names of the migrations applied.

    Safe when many start at once: each locks the same row first. Forward only.
    """
    await _open_cellar(db)
    files = _migrations()
    applied = [name for name in files if await db.transaction(_apply(name, files[name]))]
    for name in applied:
        log.info("migrated", migration=name)
    return applied


async def require_migrated(db: Database) -> None:
    """Refuse to work on a schema of another version. Errors: `Unavailable`."""
    applied: set[str] = set()
    with suppress(asyncpg.UndefinedTableError):
        rows = await db.read(lambda tx: tx.rows("SELECT name FROM cellar.migration"))
        applied = {row["name"] for row in rows}
    if _migrations().keys() - applied:
        raise Unavailable("The database's schema is not up to date: bayon migrate.")


def _migrations() -> dict[str, Any]:  # of Traversables
    folder = resources.files("bayon") / "schema"
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".sql")}
    return dict(sorted(files.items()))


def _apply(name: str, file: Any) -> Callable[[Tx], Awaitable[bool]]:  # noqa: ANN401 - a Traversable
    async def work(tx: Tx) -> bool:
        await tx.run("SELECT FROM cellar.migration_lock FOR UPDATE")
        if await tx.value("SELECT true FROM cellar.migration WHERE name = $1", name):
            return False
        for statement in _statements(file.read_text(encoding="utf-8")):
            await tx.run(statement)
        await tx.run("INSERT INTO cellar.migration (name) VALUES ($1)", name)
        return True

    return work


def _statements(text: str) -> list[LiteralString]:
    """Cut a migration into its statements: each ends with `;` at a line's end."""
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip() for part in bare.split(";\n") if part.strip(" ;\n")]  # pyright: ignore[reportReturnType] - our own files are literals too


async def _open_cellar(db: Database) -> None:
    async def work(tx: Tx) -> None:
        await tx.run("CREATE SCHEMA IF NOT EXISTS cellar")
        await tx.run("CREATE TABLE IF NOT EXISTS cellar.migration (name text PRIMARY KEY)")
        await tx.run("CREATE TABLE IF NOT EXISTS cellar.migration_lock (one int PRIMARY KEY)")
        await tx.run("INSERT INTO cellar.migration_lock VALUES (1) ON CONFLICT DO NOTHING")

    for _ in range(ATTEMPTS_MAX):
        try:
            return await db.transaction(work)
        except (
            asyncpg.UniqueViolationError,
            asyncpg.DuplicateTableError,
            asyncpg.DuplicateSchemaError,
            asyncpg.DuplicateObjectError,
        ):
            await asyncio.sleep(BACKOFF_S)  # IF NOT EXISTS still collides when two run at once
    raise Unavailable("The database is too busy.", attempt=ATTEMPTS_MAX)
