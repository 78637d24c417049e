"""The server's life: made, started or adopted, watched, stopped."""

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import asyncpg
import structlog

from bayon.errors import Unavailable
from bayon.postgres import place, process
from bayon.postgres.account import Account, new_owner, owner_of, state_dir

TICK_S = 0.1
BACKOFF_MAX_S = 5.0
SHUTDOWN_S = 300.0  # the last checkpoint of a busy server on a slow disk
DISK_FULL_B = 32 * 2**20  # two WAL segments: below that nothing can be made or started

# On the command line, where ALTER SYSTEM cannot undo them: durability is not a matter of taste.
# max_wal_size weighs fewer full page images against a longer recovery. No wal_compression: the
# wheel has no lz4. The log has no statements and no errors of clients, because those quote values
# (a PAN, a token); its length is ours to cap.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "listen_addresses": "",
    "port": str(place.PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "logging_collector": "off",
}

# Code point order, as C has it, but with the letters of all scripts; independent of the machine's
# libc. Synced (0.1 s): synced commits over an unsynced catalogue would be lost with it.
INITDB = (
    "--username=postgres",
    "--auth=peer",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)

# Starts its arguments in the background, orphaned at once: nobody's child, in nobody's session.
ORPHAN = 'umask 077; log="$1"; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'

_log = structlog.get_logger()


class _DiedError(Exception):
    """The server ended while we waited for its first answer."""


async def url_of(data_dir: Path) -> str:
    """Answer the URL of the server that runs on a data directory. Unavailable if none does."""
    return _running_url(data_dir)


def _running_url(data_dir: Path) -> str:
    data_dir = data_dir.resolve()
    try:
        cluster = place.cluster_of(data_dir)
        socket_dir = place.socket_dir_of(data_dir, cluster) if cluster else None
        pid = process.running_pid(cluster) if cluster else None
    except PermissionError as error:
        raise Unavailable(f"The database in {data_dir} belongs to another user.") from error
    if socket_dir is None or pid is None:
        raise Unavailable(f"No database is running on {data_dir}.")
    return place.url(socket_dir)


class EmbeddedPostgres:
    """The server of one data directory. It needs no owner to live; whoever has one may stop it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._wanted = False
        self._pid: int | None = None
        self._cluster: Path | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The database's URL. Unavailable before the first start."""
        if self._url is None:
            raise Unavailable("The database has not been started.")
        return self._url

    @property
    def pid(self) -> int:
        """The server's process id. Unavailable unless it was started."""
        if self._pid is None:
            raise Unavailable("The database has not been started.")
        return self._pid

    @property
    def bin_dir(self) -> Path:
        """Where the programs are, such as pgbench."""
        return place.binary("postgres").parent

    async def start(self) -> str:
        """Adopt or start the server, make its cluster if there is none; answers the URL.

        Returns when it answers, however long recovery takes. Unavailable when there is no hope.
        """
        return await self._start(may_create=True)

    async def watch(self) -> None:
        """Start the server again whenever it has died, until cancelled."""
        attempt = 0
        while True:
            await asyncio.sleep(min(TICK_S * 2 ** min(attempt, 8), BACKOFF_MAX_S))
            if not self._wanted or self._cluster is None or self._pid is None:
                continue
            try:
                if process.is_server(self._pid, self._cluster):
                    process.trim_log(self._cluster)
                    attempt = 0
                    continue
                attempt += 1
                _log.warning("postgres.died", pid=self._pid, attempt=attempt)
                await self._start(may_create=False)
                attempt = 0
            except Unavailable as error:
                _log.warning("postgres.restart_failed", attempt=attempt, reason=error.message)
            except OSError as error:  # no file left to look with: who cannot tell leaves it alone
                attempt += 1
                _log.warning("postgres.not_seen", attempt=attempt, reason=error.strerror)

    async def stop(self) -> None:
        """Shut the server down cleanly, whoever started it; nothing happens if none runs."""
        self._wanted = False
        if not self._data_dir.is_dir():
            return
        async with process.alone(self._data_dir):
            cluster = place.cluster_of(self._data_dir)
            pid = process.running_pid(cluster) if cluster else None
            if pid is not None:
                await self._end(pid)
        self._pid = None

    async def erase(self) -> None:
        """Stop the server and delete its database for ever."""
        await self.stop()
        place.forget(self._data_dir)

    async def _start(self, *, may_create: bool) -> str:
        try:
            async with process.alone(self._data_dir):
                self._cluster = place.cluster_of(self._data_dir)
                if self._cluster is None and not may_create:
                    raise Unavailable("The database's files are gone.")
                self._cluster = self._cluster or await self._create()
                await self._serve(self._cluster)
        except subprocess.CalledProcessError as error:
            raise self._failure("The database cannot be started.", said=error.output) from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._failure(f"The database cannot be started: {error}.") from error
        self._wanted = True
        return self.url

    def _failure(self, message: str, *, said: str | None = None) -> Unavailable:
        where = self._cluster or self._data_dir
        with contextlib.suppress(OSError):
            if shutil.disk_usage(where).free < DISK_FULL_B:
                message = f"{message} The disk is full."
        said = process.log_tail(where) if said is None else said
        # These name files and settings, never values. What clients were told is no reason.
        fatal = re.findall(r"(?:FATAL|PANIC|error):\s+(?!\s|the database system is).*", said)
        reason = fatal[:1] or said.splitlines()[-1:]
        return Unavailable(" ".join([message, *reason]), cluster=str(where), log_tail=said)

    async def _create(self) -> Path:
        """Make a new cluster under a temporary name, then give it its own: whole or not at all."""
        account = await new_owner()
        cluster = self._data_dir / "postgres"
        for left in self._data_dir.glob("postgres.new-*"):  # by a start that was killed half way
            shutil.rmtree(left, ignore_errors=True)
        if account.is_other and not await account.can('cd "$1"', self._data_dir):
            mark = hashlib.sha256(bytes(self._data_dir)).hexdigest()[:8]
            # Never the same twice: a deleted data directory must not find its old database again.
            cluster = state_dir() / f"{mark}-{secrets.token_hex(4)}"
        fresh = Path(tempfile.mkdtemp(prefix=f"{cluster.name}.new-", dir=cluster.parent))
        account.own(fresh)
        try:
            programs = await place.programs(account)
            await account.run(programs / "bin/initdb", "-D", fresh, *INITDB)
            self._admit(account, fresh)
            place.settle(fresh, cluster, self._data_dir)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return cluster

    def _admit(self, account: Account, fresh: Path) -> None:
        """Let in the cluster's owner, and root, who could become the owner anyway."""
        names = sorted({account.name, "root"})
        (fresh / "pg_ident.conf").write_text("".join(f'bayon "{name}" all\n' for name in names))
        (fresh / "pg_hba.conf").write_text("local all all peer map=bayon\n")

    async def _serve(self, cluster: Path) -> None:
        """Adopt the live server or start one, again and again while orphans are in its way."""
        self._check_version(cluster)
        account = owner_of(cluster)
        socket_dir = place.socket_dir_of(self._data_dir, cluster)
        pid = adopted = process.running_pid(cluster)
        if pid and socket_dir is None:  # somebody has cleaned /tmp: alive, but out of reach
            await self._end(pid)
            pid = None
        socket_dir = socket_dir or place.make_socket_dir(self._data_dir, account)
        progress = process.Progress("postgres.waiting_for_orphans")
        while True:
            log_start_b = process.log_size_b(cluster)
            pid = pid or await self._spawn(account, cluster, socket_dir)
            try:
                await self._answer(pid, socket_dir)
                break
            except _DiedError as error:
                said = process.log_tail(cluster, start_b=log_start_b)
                rival = process.running_pid(cluster)  # by a start that was killed a moment ago
                patience = rival or pid == adopted or "pre-existing shared memory" in said
                if not patience:
                    raise self._failure("The database does not start.", said=said) from error
            progress.tell()
            pid = rival
            await asyncio.sleep(TICK_S)
        self._pid, self._url = pid, place.url(socket_dir)
        event = "postgres.adopted" if pid == adopted else "postgres.started"
        _log.info(event, pid=pid, seconds=round(progress.elapsed_s, 3))

    def _check_version(self, cluster: Path) -> None:
        made_by = (cluster / "PG_VERSION").read_text()[:8].strip()
        if made_by != place.MAJOR:
            raise Unavailable(
                f"The database was made by PostgreSQL {made_by}, and this is {place.MAJOR}: "
                "dump it with the old version and load it with the new.",
                cluster=str(cluster),
            )

    async def _spawn(self, account: Account, cluster: Path, socket_dir: Path) -> int:
        """Start the server in the background; answers its process id."""
        stale = process.recorded_pid(cluster)
        if stale is not None:
            process.kill_orphans(cluster)
        if stale == 0:  # cut short by a power loss: PostgreSQL would not start over it
            (cluster / "postmaster.pid").unlink()
        # Nobody else's socket is in there, and the pid in its lock may be anybody's by now.
        socket = place.socket_in(socket_dir)
        socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)
        process.trim_log(cluster)
        settings = {
            **SETTINGS,
            "unix_socket_directories": str(socket_dir),
            "cluster_name": process.title(cluster),
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        postgres = await place.programs(account) / "bin/postgres"
        # How pg_ctl names a pid that is alive but cannot be a server: we have judged the pid
        # file's, and PostgreSQL still judges the shared memory that the file tells of.
        also = {"PG_GRANDPARENT_PID": str(stale)} if stale else {}
        command = (process.log_file(cluster), postgres, "-D", cluster, *words)
        return int(await account.run("/bin/sh", "-c", ORPHAN, "sh", *command, also=also))

    async def _answer(self, pid: int, socket_dir: Path) -> None:
        """Wait until the server answers, through any recovery. _DiedError if it ends."""
        progress = process.Progress("postgres.starting")
        while not await self._answers(socket_dir):
            if not process.is_alive(pid):
                raise _DiedError
            progress.tell()
            await asyncio.sleep(0.01 if progress.elapsed_s < 1 else TICK_S)

    async def _answers(self, socket_dir: Path) -> bool:
        try:
            connection = await asyncpg.connect(place.url(socket_dir), timeout=60)
        except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError):
            await self._furnish(socket_dir)
            return True
        except asyncpg.TooManyConnectionsError:
            return True  # busy is alive
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            return False  # no socket yet, or recovery: patience
        await connection.close()
        return True

    async def _furnish(self, socket_dir: Path) -> None:
        """Make the role and the database. The role is no superuser: it never needs to be."""
        connection = await asyncpg.connect(place.url(socket_dir, role="postgres"), timeout=60)
        try:
            with contextlib.suppress(asyncpg.DuplicateObjectError):
                await connection.execute(
                    "CREATE ROLE bayon LOGIN CREATEDB IN ROLE pg_checkpoint, pg_monitor"
                )
            await connection.execute("CREATE DATABASE bayon OWNER bayon")
        finally:
            await connection.close()

    async def _end(self, pid: int) -> None:
        progress = process.Progress("postgres.stopping")
        os.kill(pid, signal.SIGINT)  # fast: sessions end, a checkpoint is written
        while process.is_alive(pid):
            progress.tell()
            if progress.elapsed_s > SHUTDOWN_S:
                os.kill(pid, signal.SIGQUIT)  # at once; the next start recovers
            await asyncio.sleep(0.01)
        _log.info("postgres.stopped", pid=pid, seconds=round(progress.elapsed_s, 3))
