"""The server as a process: does it live, what has it left behind, what did it say last."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TextIO

import structlog

from bayon.errors import Unavailable

LOG_MAX_B = 10 * 2**20
LOG_KEPT_B = 2**20
PROGRESS_S = 10.0

_log = structlog.get_logger()


def is_alive(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    if os.getpid() == 1:  # in a container, orphans become our children
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    if not Path("/proc/self").exists():  # macOS
        return bool(command_of(pid))
    try:  # not by the command line: that is empty for a moment while a program is exchanged
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {b"Z", b"X"}


def command_of(pid: int) -> str:
    """Read a process's command line; empty when it is dead, a zombie included."""
    if Path("/proc/self").exists():
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    words = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]  # macOS
    return subprocess.run(words, capture_output=True, check=False, text=True).stdout  # noqa: S603 - fixed words


def is_server(pid: int, cluster: Path) -> bool:
    """Tell whether a process is the server of a cluster, and not a later owner of its pid."""
    # By the command line, which everybody may read: root in a container may not see another
    # user's working directory. Children of a server have changed theirs to a title.
    return f" -D {cluster} " in f"{command_of(pid)} "


def recorded_pid(cluster: Path) -> int | None:
    """Read the pid file, whoever that pid may be by now. Zero if it says nothing sensible."""
    try:
        text = (cluster / "postmaster.pid").read_bytes()
    except FileNotFoundError:
        return None
    found = re.match(rb"-?([1-9][0-9]{0,9})\s", text)
    return int(found[1]) if found else 0


def running_pid(cluster: Path) -> int | None:
    """Find the live server of a cluster."""
    pid = recorded_pid(cluster)
    return pid if pid and is_server(pid, cluster) else None


def title(cluster: Path) -> str:
    """Name a cluster in the titles of its server's children."""
    return f"bayon-{hashlib.sha256(bytes(cluster)).hexdigest()[:8]}"


def kill_orphans(cluster: Path) -> None:
    """Kill what a dead server has left behind, so that its shared memory is free at once.

    They would go by themselves, but a busy one only after its statement. Does nothing on macOS.
    """
    owner, mark = cluster.stat().st_uid, f"postgres: {title(cluster)}: "
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has gone meanwhile
            pid = int(process.name)
            if process.stat().st_uid == owner and command_of(pid).startswith(mark):
                os.kill(pid, signal.SIGKILL)


def log_file(cluster: Path) -> Path:
    """Name the server's log."""
    return cluster / "server.log"


def log_size_b(cluster: Path) -> int:
    """Measure the server's log."""
    log = log_file(cluster)
    return log.stat().st_size if log.exists() else 0


def log_tail(cluster: Path, *, start_b: int = 0) -> str:
    """Read the last words of the server's log, none before `start_b`."""
    with contextlib.suppress(OSError), log_file(cluster).open("rb") as file:
        file.seek(max(start_b, log_size_b(cluster) - 4096))
        return file.read().decode(errors="replace").strip()
    return ""


def trim_log(cluster: Path) -> None:
    """Cut the beginning off a log that has grown too long; the server appends, and goes on."""
    if log_size_b(cluster) <= LOG_MAX_B:
        return
    # No links: as root we write where another user rules.
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
    with contextlib.suppress(OSError), os.fdopen(os.open(log_file(cluster), flags), "r+b") as file:
        file.seek(-LOG_KEPT_B, os.SEEK_END)
        kept = file.read()
        file.truncate(0)
        file.write(kept)


class Progress:
    """Says now and then that something still takes its time."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._began = self._told = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """How long it takes so far."""
        return time.monotonic() - self._began

    def tell(self) -> None:
        """Log it, if it was not logged just now."""
        if time.monotonic() - self._told >= PROGRESS_S:
            self._told = time.monotonic()
            _log.info(self._event, seconds=round(self.elapsed_s))


@contextlib.asynccontextmanager
async def alone(data_dir: Path) -> AsyncGenerator[None]:
    """Keep other starts and stops of a data directory out; waits for them as long as it takes."""
    with _open_lock(data_dir) as file:
        progress = Progress("postgres.waiting_for_another_start")
        while not _try_lock(file):
            progress.tell()
            await asyncio.sleep(0.02)
        yield


def _open_lock(data_dir: Path) -> TextIO:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / "postgres.lock").open("a")
    except OSError as error:
        raise Unavailable(f"The data directory cannot be used: {error}") from error
    if os.geteuid() == 0:  # so that the directory's owner can lock it too, without sudo
        owner = data_dir.stat()
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    return file


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
