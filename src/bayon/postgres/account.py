"""Who the server runs as: ourselves, or as root a user of its own, because PostgreSQL insists."""

import asyncio
import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bayon.errors import Unavailable

STATE_DIR = Path("/var/lib/bayon")  # as root only: made by us, so ours to open to the server
SERVER_USER = "bayon-postgres"
RETRY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Account:
    """The operating system's user that owns a cluster and runs its server."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Tell whether becoming this user means dropping privileges."""
        return self.uid != os.geteuid()

    def own(self, path: Path) -> None:
        """Give a directory that we have just made to this user."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    async def run(self, *command: str | Path, also: Mapping[str, str] | None = None) -> str:
        """Run a command as this user to its end; answers what it printed.

        subprocess.CalledProcessError when it fails. When the caller is cancelled, it is killed.
        """
        with tempfile.TemporaryFile() as output:
            # Not asyncio's subprocess: uvloop's cannot change users.
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

    async def can(self, test: str, path: Path) -> bool:
        """Tell whether a shell test over `$1` holds for this user."""
        try:
            await self.run("/bin/sh", "-c", test, "sh", path)
        except subprocess.CalledProcessError:
            return False
        return True


def account_of(uid: int) -> Account:
    """Look up a user. Unavailable for root, and without a name: PostgreSQL refuses both."""
    if uid == 0:
        raise Unavailable(f"PostgreSQL does not run as root: give its files to {SERVER_USER}.")
    try:
        entry = pwd.getpwuid(uid)
    except KeyError as error:
        raise Unavailable(
            f"User id {uid} has no name, and PostgreSQL needs one: add it to /etc/passwd."
        ) from error
    return Account(name=entry.pw_name, uid=uid, gid=entry.pw_gid)


def owner_of(cluster: Path) -> Account:
    """Say who owns a cluster. Unavailable if we can neither be that user nor become it."""
    account = account_of(cluster.stat().st_uid)
    if account.is_other and os.geteuid() != 0:
        raise Unavailable(f"The database belongs to the user {account.name}.", cluster=str(cluster))
    return account


async def new_owner() -> Account:
    """Say who shall own a new cluster; as root makes that user. Unavailable if that fails."""
    if os.geteuid() != 0:
        return account_of(os.geteuid())
    trouble = ""
    for _ in range(5):  # of two at once, one finds /etc/passwd locked
        with contextlib.suppress(KeyError):
            return account_of(pwd.getpwnam(SERVER_USER).pw_uid)
        trouble = await asyncio.to_thread(_add_server_user) or trouble
        await asyncio.sleep(RETRY_S if trouble else 0)
    raise Unavailable(
        f"PostgreSQL does not run as root, and its user {SERVER_USER} could not be made "
        f"({trouble}). Make it with useradd --system, or run Bayon as an ordinary user."
    )


def _add_server_user() -> str:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", str(STATE_DIR), "--shell", "/usr/sbin/nologin", SERVER_USER]
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - fixed words
    except FileNotFoundError:
        return "there is no useradd here"
    return done.stderr.strip()


def state_dir() -> Path:
    """Make the directory for what the server's user must reach, as root only."""
    if not STATE_DIR.exists():
        STATE_DIR.mkdir(parents=True, exist_ok=True)
        STATE_DIR.chmod(0o755)  # whatever the umask
    return STATE_DIR
