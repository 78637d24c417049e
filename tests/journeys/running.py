"""Running Bayon as its users do: a process of its own, its ports, its files, its signals."""

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
import httpx

from bayon.postgres import EmbeddedPostgres
from bayon.postgres.place import cluster_of
from bayon.postgres.process import running_pid
from journeys.nursery import Fork, nursery
from said import look_through

ROOT: Final = Path(__file__).parents[2]
BAYON: Final = str(Path(sys.executable).with_name("bayon"))
PATIENCE_S: Final = 30.0
PAYER: Final = "dave@devb"
RECEIVER: Final = "bridge_account@devb"


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Running:
    """A command that runs; what it says stands in files."""

    process: "subprocess.Popen[bytes] | Fork"
    out_file: Path
    err_file: Path

    async def ended(self, *, patience_s: float = PATIENCE_S) -> Done:
        """Wait for its end."""
        async with asyncio.timeout(patience_s):
            while self.process.poll() is None:  # noqa: ASYNC110 - a process's end is no Event
                await asyncio.sleep(0.005)
        return Done(
            code=self.process.wait(),
            out=self.out_file.read_text(errors="replace"),
            err=self.err_file.read_text(errors="replace"),
        )

    async def said(self, pattern: str) -> str:
        """Wait until it has logged this; returns the first group."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := re.search(pattern, self.err_file.read_text(errors="replace"))):
                assert self.process.poll() is None, self.err_file.read_text(errors="replace")
                await asyncio.sleep(0.01)
        return found[1]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> Done:
        """Tell it to stop, and wait until it has."""
        self.process.send_signal(number)
        return await self.ended()


@dataclass(frozen=True, kw_only=True)
class Dev:
    """A sandbox that answers: what its ready-file says, and how long that took."""

    running: Running
    ready: dict[str, Any]
    seconds: float

    @property
    def url(self) -> str:
        """Where HTTP is."""
        return cast("str", self.ready["http_url"])

    def bank(self, **more: Any) -> httpx.AsyncClient:  # noqa: ANN401 - of httpx
        """Make a client with the participant's token."""
        return self._client("participant_token", **more)

    def shop(self, **more: Any) -> httpx.AsyncClient:  # noqa: ANN401 - of httpx
        """Make a client with the Open API's token."""
        return self._client("bakong_token", **more)

    def _client(self, token: str, **more: Any) -> httpx.AsyncClient:  # noqa: ANN401 - of httpx
        headers = {"Authorization": f"Bearer {self.ready[token]}"}
        base_url: str = more.pop("base_url", self.url)
        return httpx.AsyncClient(
            base_url=base_url, headers=headers, timeout=60, trust_env=False, **more
        )


class Home:
    """A folder in which Bayon is run; nothing that was started there outlives the test."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder
        self.data_dir: Path = folder / ".bayon"
        self.ready_file: Path = folder / "ready.json"
        self.processes: list[subprocess.Popen[bytes] | Fork] = []

    def start(self, *words: str | Path, stdin: bytes = b"", **env: str) -> Running:
        """Start a command; `bayon` is a fork of the nursery's, `BAYON` this checkout's program."""
        name = self.folder / secrets.token_hex(4)
        in_file, *files = (name.with_suffix(end) for end in (".in", ".out", ".err"))
        in_file.write_bytes(stdin)
        for file in files:
            file.touch()  # who reads what it says need not wait until it has begun
        texts = [str(word) for word in words]
        if words[0] == "bayon":
            made, files_ = environment(**env), (in_file, *files)
            process = nursery().start(texts, folder=self.folder, env=made, files=files_)
        else:
            process = self._anew(texts, in_file, *files, **env)
        self.processes.append(process)
        return Running(process=process, out_file=files[0], err_file=files[1])

    def _anew(
        self, words: Sequence[str], in_file: Path, out_file: Path, err_file: Path, **env: str
    ) -> "subprocess.Popen[bytes]":
        with in_file.open("rb") as source, out_file.open("wb") as out, err_file.open("wb") as err:
            return subprocess.Popen(  # noqa: S603 - our own words
                words,
                cwd=self.folder,
                env=environment(**env),
                stdin=source,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    async def run(self, *words: str | Path, stdin: bytes = b"", **env: str) -> Done:
        """Run a command to its end."""
        return await self.start(*words, stdin=stdin, **env).ended()

    async def bayon(self, *words: str | Path, stdin: bytes = b"", **env: str) -> Done:
        """Run a verb to its end."""
        return await self.run("bayon", *words, stdin=stdin, **env)

    def start_dev(self, *more: str | Path, program: str = "bayon", **env: str) -> Running:
        """Start a sandbox on free ports."""
        ports = ("--http-port=0", "--https-port=0", "--network-port=0")
        words = (program, "dev", *ports, "--ready-file", self.ready_file, *more)
        return self.start(*words, stdin=b"", **env)

    async def dev(self, *more: str | Path, program: str = "bayon", **env: str) -> Dev:
        """Start a sandbox on free ports, until it has answered a request."""
        self.ready_file.unlink(missing_ok=True)
        began = time.monotonic()
        return await self.answering(self.start_dev(*more, program=program, **env), began=began)

    async def answering(self, running: Running, *, began: float) -> Dev:
        """Wait until a sandbox has answered a request."""
        ready = await until_ready(running, self.ready_file)
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            (await http.get(f"{ready['http_url']}/readyz")).raise_for_status()
        return Dev(running=running, ready=ready, seconds=time.monotonic() - began)

    @property
    def postmaster(self) -> int | None:
        """The process id of the embedded PostgreSQL, if it lives."""
        cluster = cluster_of(self.data_dir) if self.data_dir.is_dir() else None
        return running_pid(cluster) if cluster else None


@asynccontextmanager
async def living_in(prefix: str = "bayon-journey-") -> AsyncGenerator[Home]:
    """Make a home, and leave nothing behind."""
    home = Home(_folder(prefix))
    try:
        yield home
    finally:
        for process in home.processes:
            process.kill()
            process.wait()
        for lock in home.folder.glob("*/postgres.lock"):
            await EmbeddedPostgres(lock.parent).erase()
        look_through(home.folder)
        shutil.rmtree(home.folder)


def _folder(prefix: str) -> Path:
    # Not tmp_path: that of root is closed to all others, PostgreSQL's own user included.
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    return folder


async def until_ready(running: Running, ready_file: Path) -> dict[str, Any]:
    """Wait for a ready-file."""
    async with asyncio.timeout(PATIENCE_S):
        while not ready_file.exists():  # noqa: ASYNC240 - at once
            assert running.process.poll() is None, running.err_file.read_text(errors="replace")
            await asyncio.sleep(0.002)
    return cast("dict[str, Any]", json.loads(ready_file.read_text()))  # noqa: ASYNC240 - at once


def environment(**env: str) -> dict[str, str]:
    """Give a process our environment, without settings that are not this test's."""
    return {n: v for n, v in os.environ.items() if not n.startswith("BAYON_")} | env


def trusting(dev: Dev) -> ssl.SSLContext:
    """Trust what a sandbox's ready-file says, and nothing else."""
    return ssl.create_default_context(cafile=dev.ready["tls_cert_file"])


async def query(url: str, sql: str, *args: object) -> Any:  # noqa: ANN401 - a column's type
    """Ask a database behind every door: the first column of the first row."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql, *args)
    finally:
        await connection.close()


async def make_qr(home: Home, *more: str) -> str:
    """Make a QR of one dollar, as a shop would."""
    words = ("khqr", "make", "--account", RECEIVER, "--name", "Coffee Klaing", "--amount", "1")
    return (await home.bayon(*words, *more)).out.strip()


async def posted(bank: httpx.AsyncClient, account_id: str, currency: str = "USD") -> float:
    """Tell what is on an account."""
    answer = await bank.get(f"/participant/v1/accounts/{account_id}")
    balances: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["balances"]
    return next(b["posted"] for b in balances if b["currency"] == currency)
