"""The servers under test: a real `bayon dev` and the constant route; and what they are asked."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.load import Load, Loaded

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 60.0
METRIC: Final = re.compile(r"^bayon_payments_(batches|commands|largest) ([0-9.e+]+)$", re.MULTILINE)
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Ready(msgspec.Struct):
    """What the bench needs of a ready-file."""

    http_url: str
    pid: int
    database_url: str = ""
    bakong_token: str = ""
    network_port: int = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.http_url.rsplit(":", 1)[1])


@dataclass(frozen=True, kw_only=True)
class Batches:
    """What /metrics tells of the batches of payments, since the start."""

    batches: float
    commands: float
    largest: float

    def mean_since(self, before: "Batches") -> float:
        """Payments in a batch, on average, since then."""
        return (self.commands - before.commands) / max(self.batches - before.batches, 1)


@asynccontextmanager
async def dev(data_dir: Path, *, database_url: str | None = None) -> AsyncGenerator[Ready]:
    """Run `bayon dev` on a data directory of its own, or on this database."""
    env = {} if database_url is None else {"BAYON_DATABASE_URL": database_url}
    options = [f"--{name}-port=0" for name in ("http", "https", "network")]
    command = ["-m", "bayon", "dev", *options, f"--data-dir={data_dir}"]
    async with _running(command, data_dir / "ready.json", env) as ready:
        yield ready


@asynccontextmanager
async def constant(
    folder: Path, *, operation: str, token: str, answer: bytes
) -> AsyncGenerator[Ready]:
    """Run the constant route; it answers this to whoever bears the token."""
    file = folder / "answer"
    file.write_bytes(answer)
    (folder / "constant.json").unlink(missing_ok=True)  # of one that ran before
    command = ["-m", "bench.constant", f"--operation={operation}", f"--answer={file}"]
    async with _running(command, folder / "constant.json", {"BENCH_TOKEN": token}) as ready:
        yield ready


@asynccontextmanager
async def null_host(folder: Path) -> AsyncGenerator[Ready]:
    """Run the null host, which approves everything and keeps nothing."""
    (folder / "null.json").unlink(missing_ok=True)  # of one that ran before
    async with _running(["-m", "bench.null_host"], folder / "null.json", {}) as ready:
        yield ready


@asynccontextmanager
async def _running(
    command: list[str], ready_file: Path, env: dict[str, str]
) -> AsyncGenerator[Ready]:
    ready_file.parent.mkdir(parents=True, exist_ok=True)
    limits = {f"BAYON_RATE_LIMIT_{n}_PER_S": "1000000" for n in ("TOKEN", "ADDRESS")}
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - a fork is short; our own command
        [sys.executable, *command, f"--ready-file={ready_file}"],
        env={**os.environ, **limits, "BAYON_LOG_LEVEL": "WARNING", **env},
        stdout=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_S_MAX):
            while not ready_file.exists():  # noqa: ASYNC240 - a start, nothing is timed yet
                assert process.poll() is None, "the server under test ended at its start"
                await asyncio.sleep(0.02)
        yield msgspec.json.decode(ready_file.read_bytes(), type=Ready)  # noqa: ASYNC240 - a start, nothing is timed yet
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, STOP_S_MAX)


async def load(file: Path, wanted: Load, *, pid: int) -> Loaded:
    """Run the load generator in a process of its own. A wrong answer is an error.

    `pid` is the server's, whose processor time is told.
    """
    before_s = cpu_s([pid])
    file.write_bytes(msgspec.msgpack.encode(wanted))  # noqa: ASYNC240 - before anything is timed
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load", str(file)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    loaded = msgspec.json.decode(output, type=Loaded)
    if loaded.failed or not loaded.done:
        raise RuntimeError(f"{loaded.failed} wrong answers, {loaded.done} right: {loaded.failure}")
    loaded.server_us = (cpu_s([pid]) - before_s) / loaded.answers * 1e6
    return loaded


def batches(ready: Ready) -> Batches:
    """Read /metrics."""
    with urllib.request.urlopen(f"{ready.http_url}/metrics") as response:  # noqa: S310 - our own
        text: str = response.read().decode()
    return Batches(**{name: float(value) for name, value in METRIC.findall(text)})


def ask(ready: Ready, raw: bytes) -> bytes:
    """Send one request, and tell the answer's body."""
    with socket.create_connection(("127.0.0.1", ready.port)) as connection:
        connection.sendall(raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        parts = iter(lambda: connection.recv(65_536), b"")
        return b"".join(parts).partition(b"\r\n\r\n")[2]


def request(path: str, *, token: str, body: object, method: str = "POST") -> bytes:
    """Write a request, ready to be sent."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def cpu_s(pids: Iterable[int]) -> float:
    """Tell the processor time these processes have used so far; one that has ended counts none."""
    return sum(_ticks(pid) for pid in pids) / TICKS_PER_S


def children(pid: int) -> list[int]:
    """Name a process and its children: a PostgreSQL and its backends."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid, *(p for p in found if _stat(p)[1:2] == [str(pid)])]


def parent(pid: int) -> int:
    """Name a process's parent: of a backend the PostgreSQL."""
    return int(_stat(pid)[1])


def _ticks(pid: int) -> int:
    return sum(int(ticks) for ticks in _stat(pid)[11:13])


def _stat(pid: int) -> list[str]:
    """Split what /proc tells, from the state on: parent second, user and system time 12th, 13th."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
