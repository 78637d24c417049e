"""The load generator: one process, keep-alive connections, one request in flight on each.

    python -m bench.load FILE      FILE: a `Load`, as MessagePack; prints a `Loaded`, as JSON

Requests are ready bytes, each with the bytes its answer must hold; every answer is looked at.
Closed: whoever is answered asks again. Open (`rate_per_s`): requests come as Poisson says, whether
or not those before were answered, and latency counts from when each was due.
"""

import asyncio
import random
import resource
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop

TICK_S: Final = 0.001  # uvloop counts in milliseconds: less would be none, and spin
DRAIN_S: Final = 10.0
END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length: "


class Load(msgspec.Struct):
    """What to send. `once`: no request twice; the run ends early when none is left."""

    host: str
    port: int
    connections: int
    warm_s: float
    seconds: float
    requests: list[tuple[bytes, bytes]]
    once: bool = False
    rate_per_s: float = 0.0


class Loaded(msgspec.Struct):
    """What came of it, in the measured time only; `failure` is the first wrong answer."""

    done: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_share: float
    answers: int
    """All right answers, also those before the measured time and after it."""
    failure: str = ""
    server_us: float = 0.0
    """Processor time of the server's own process for one answer: says most on a busy machine."""

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.done / self.seconds


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, run: "Run") -> None:
        self._run: Run = run
        self._transport: asyncio.Transport | None = None
        self._got: bytes = b""
        self.asked_at: float = 0.0
        self.expected: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that was closed on us as a failure."""
        self._run.lost(exc)

    def send(self, request: bytes, expected: bytes, at: float) -> None:
        """Ask."""
        assert self._transport is not None
        self.asked_at, self.expected = at, expected
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer as soon as it is whole."""
        got = self._got + data if self._got else data
        head = got.find(END)
        if head > 0:
            start = got.find(LENGTH, 0, head) + len(LENGTH)
            length = int(got[start : got.find(b"\r\n", start)])
            if len(got) >= head + len(END) + length:
                self._got = b""
                self._run.answered(self, got)
                return
        self._got = got


class Run:
    """One measurement."""

    def __init__(self, load: Load) -> None:
        self._load: Load = load
        self._next: int = 0
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._from: float = 0.0
        self._until: float = 0.0
        self._ended_at: float = 0.0
        self._closing: bool = False
        self._latencies: list[float] = []
        self._answers: int = 0
        self._failed: int = 0
        self._failure: str = ""

    async def measure(self) -> Loaded:
        """Connect, load, and tell."""
        load = self._load
        loop = asyncio.get_running_loop()
        for _ in range(load.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), load.host, load.port
            )
            self._idle.append(connection)
        started = time.perf_counter()
        self._from = started + load.warm_s
        self._until = self._ended_at = self._from + load.seconds
        before = resource.getrusage(resource.RUSAGE_SELF)
        await (self._arrive(started) if load.rate_per_s else self._ask_all())
        await self._drain()
        return self._loaded(before)

    def answered(self, connection: Connection, got: bytes) -> None:
        """Judge an answer, and ask the next thing."""
        now = time.perf_counter()
        if not got.startswith(b"HTTP/1.1 20") or connection.expected not in got:
            self._failed += 1
            self._failure = self._failure or got.decode(errors="replace")
        else:
            self._answers += 1
            if self._from <= now <= self._until:
                self._latencies.append(now - connection.asked_at)
        if self._due:
            self._send(connection, self._due.popleft())
        elif self._load.rate_per_s or now > self._until:
            self._idle.append(connection)
        else:
            self._send(connection, now)

    def lost(self, error: Exception | None) -> None:
        """Note a connection that ended before we were done."""
        if not self._closing:
            self._failed += 1
            self._failure = self._failure or f"connection lost: {error}"

    def _send(self, connection: Connection, at: float) -> None:
        if self._load.once and self._next >= len(self._load.requests):
            self._ended_at = min(self._ended_at, time.perf_counter())
            self._idle.append(connection)
            return
        request, expected = self._load.requests[self._next % len(self._load.requests)]
        self._next += 1
        connection.send(request, expected, at)

    async def _ask_all(self) -> None:
        for _ in range(len(self._idle)):
            self._send(self._idle.popleft(), time.perf_counter())
        await asyncio.sleep(self._until - time.perf_counter())

    async def _arrive(self, started: float) -> None:
        chance = random.Random(1)  # noqa: S311 - the same arrivals in every run
        due = started
        while due < self._until:
            due += chance.expovariate(self._load.rate_per_s)
            while time.perf_counter() < due:  # noqa: ASYNC110 - time is no Event
                await asyncio.sleep(TICK_S)
            if self._idle:
                self._send(self._idle.popleft(), due)
            else:
                self._due.append(due)

    @property
    def _busy(self) -> int:
        return self._load.connections - len(self._idle)

    async def _drain(self) -> None:
        give_up_at = time.perf_counter() + DRAIN_S
        self._due.clear()
        while self._busy and time.perf_counter() < give_up_at:  # noqa: ASYNC110 - seldom more than once
            await asyncio.sleep(0.005)
        if self._busy:
            self.lost(TimeoutError(f"{self._busy} not answered"))
        self._closing = True

    def _loaded(self, before: resource.struct_rusage) -> Loaded:
        after = resource.getrusage(resource.RUSAGE_SELF)
        used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        ordered = sorted(self._latencies)
        return Loaded(
            done=len(ordered),
            failed=self._failed,
            answers=self._answers,
            seconds=max(self._ended_at - self._from, 0.001),
            p50_ms=_percentile_ms(ordered, 0.50),
            p99_ms=_percentile_ms(ordered, 0.99),
            cpu_share=used_s / (self._load.warm_s + self._load.seconds),
            failure=self._failure[:2_000],
        )


def _percentile_ms(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1_000 if ordered else 0.0


def main(path: str) -> None:
    """Load as the file says."""
    load = msgspec.msgpack.decode(Path(path).read_bytes(), type=Load)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loaded = runner.run(Run(load).measure())
    sys.stdout.write(msgspec.json.encode(loaded).decode())


if __name__ == "__main__":
    main(sys.argv[1])
