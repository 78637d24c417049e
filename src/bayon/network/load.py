"""Load: as many requests as a host can take, or so many a second, and how soon they are answered.

Cheap, so that it is not the limit: a request is written once, and only when it is sent its time,
its trace number and its reference are put in; of an answer two fields are looked at; what is sent
in one turn goes out in one write. No task, no timer and no future for a message.

Closed (`in_flight`): whoever is answered asks again. Open (`rate_per_s`): requests come as Poisson
says, answered or not, and their latency counts from when each was due.
"""

import asyncio
import itertools
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

from bayon.network.client import NoAnswer, wrapped
from bayon.network.frame import BadFrame, Framer
from bayon.network.glance import Glance
from bayon.network.iso8583 import Message, encode
from bayon.network.profile import Profile
from bayon.network.wire import compiled

TICK_S: Final = 0.001
DRAIN_S: Final = 5.0
TRANSMITTED, STAN, RRN = 7, 11, 37
RRN_END: Final = 10**12
STAN_SIZE: Final = 6


class Request(NamedTuple):
    """A frame in pieces: between them stand fields 7 and 11, and field 37."""

    head: bytes
    middle: bytes
    tail: bytes


def prepared(message: Message, profile: Profile) -> Request:
    """Cut a request, which has fields 7, 11 and 37 and none above 64, where it changes."""
    body = encode(message, profile)
    head_size, stan_end, reference_at, reference_end = (
        _size_below(message, number, profile) for number in (TRANSMITTED, STAN + 1, RRN, RRN + 1)
    )
    framed = wrapped(body, profile.framing)
    return Request(
        framed[: len(framed) - len(body) + head_size],
        body[stan_end:reference_at],
        body[reference_end:],
    )


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to send, where, and for how long. `in_flight` is over all links; or `rate_per_s`."""

    host: str
    port: int
    profile: Profile
    requests: Sequence[Request]
    seconds: float
    warm_s: float = 0.5
    links: int = 1
    in_flight: int = 64
    rate_per_s: float = 0.0


@dataclass(kw_only=True)
class Loaded:
    """What came of it, in the measured time only but for what was not answered."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    codes: dict[str, int]
    unanswered: int
    strange: int
    cpu_share: float
    """Of one core, that this process has used."""

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


async def run_load(load: Load) -> Loaded:
    """Connect, load, and tell. Errors: `NoAnswer` when a link cannot be had, or is lost."""
    run = _Run(load)
    try:
        return await run.measure()
    finally:
        await run.close()


@dataclass(kw_only=True)
class _Seen:
    """What is counted in the measured time."""

    since: float
    until: float
    latencies: list[float] = field(default_factory=list[float])
    codes: dict[bytes, int] = field(default_factory=dict[bytes, int])


class _Link(asyncio.Protocol):
    """One connection: `pending` are the trace numbers not answered yet, and since when."""

    def __init__(self, run: "_Run") -> None:
        self._run: _Run = run
        self._framer: Framer = Framer(run.profile.framing)
        self._glance: Glance = run.glance
        self._transport: asyncio.Transport | None = None
        self.pending: dict[bytes, float] = {}
        self.strange: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.lost(exc)

    def send(self, due: Sequence[float]) -> None:
        """Send so many requests, each with when it was due, in one write."""
        assert self._transport is not None
        self._transport.write(self._run.write(due, self.pending))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._framer.feed(data)
        except BadFrame:
            return
        now, seen = time.perf_counter(), self._run.seen
        counts = seen.since <= now <= seen.until
        glance, pending, answered = self._glance, self.pending, 0
        for frame in frames:
            answer = glance(frame.body)
            at = None if answer is None else pending.pop(answer.stan, None)
            if answer is None or at is None:
                self.strange += 1
                continue
            answered += 1
            if counts:
                seen.latencies.append(now - at)
                seen.codes[answer.code] = seen.codes.get(answer.code, 0) + 1
        if self._framer.error is not None:
            self.close()
        elif answered and now < seen.until and not self._run.is_open:
            self.send([now] * answered)


class _Run:
    """One measurement."""

    def __init__(self, load: Load) -> None:
        self._load: Load = load
        self.profile: Profile = load.profile
        self.glance: Glance = Glance(load.profile)
        self.seen: _Seen = _Seen(since=0.0, until=0.0)
        self.is_open: bool = load.rate_per_s > 0
        self._links: list[_Link] = []
        self._requests: Iterator[Request] = itertools.cycle(load.requests)
        self._numbers: Iterator[int] = _numbers()
        self._write_at, self._write_stan, self._write_reference = _writers(load.profile)
        self._second: int = 0
        self._transmitted: bytes = b""
        self._failure: str = ""
        self._broken: asyncio.Event = asyncio.Event()
        self._closing: bool = False

    async def measure(self) -> Loaded:
        """Do it."""
        load = self._load
        await self._connect()
        started = time.perf_counter()
        since = started + load.warm_s
        self.seen = _Seen(since=since, until=since + load.seconds)
        used_s = sum(os.times()[:2])
        await (self._arrive(started) if self.is_open else self._ask_all(started))
        used_s = sum(os.times()[:2]) - used_s
        await self._drain()
        if self._failure:
            raise NoAnswer(self._failure)
        return self._loaded(used_s / (load.warm_s + load.seconds))

    async def close(self) -> None:
        """Close all links."""
        self._closing = True
        for link in self._links:
            link.close()
        await asyncio.sleep(0)

    def write(self, due: Sequence[float], pending: dict[bytes, float]) -> bytes:
        """Write requests, and note them."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._transmitted = self._write_at(f"{datetime.fromtimestamp(second, UTC):%m%d%H%M%S}")
        transmitted, parts = self._transmitted, list[bytes]()
        for at, (head, middle, tail) in zip(due, self._requests, strict=False):
            reference = f"{next(self._numbers):012d}"
            stan = self._write_stan(reference[-STAN_SIZE:])
            pending[stan] = at
            parts += (head, transmitted, stan, middle, self._write_reference(reference), tail)
        return b"".join(parts)

    def lost(self, error: Exception | None) -> None:
        """Note a link that ended before we were done."""
        if not self._closing:
            self._failure = self._failure or f"A link was lost under load: {error or 'closed'}."
            self._broken.set()

    async def _connect(self) -> None:
        loop, load = asyncio.get_running_loop(), self._load
        for _ in range(load.links):
            try:
                _, link = await loop.create_connection(lambda: _Link(self), load.host, load.port)
            except OSError as error:
                raise NoAnswer(f"Nobody answers at {load.host}:{load.port}.") from error
            self._links.append(link)

    async def _ask_all(self, started: float) -> None:
        load = self._load
        for place, link in enumerate(self._links):
            share = load.in_flight // load.links + (place < load.in_flight % load.links)
            if share:
                link.send([started] * share)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.seen.until - time.perf_counter()):
                await self._broken.wait()

    async def _arrive(self, started: float) -> None:
        """Send what is due in each tick, link by link in turn."""
        chance, links = random.Random(1), itertools.cycle(self._links)  # noqa: S311 - spreads arrivals, guards nothing
        due = started + chance.expovariate(self._load.rate_per_s)
        while (now := time.perf_counter()) < self.seen.until and not self._failure:
            arrived: list[float] = []
            while due <= now:
                arrived.append(due)
                due += chance.expovariate(self._load.rate_per_s)
            if arrived:
                next(links).send(arrived)
            await asyncio.sleep(TICK_S)

    async def _drain(self) -> None:
        """Wait a while for what is still to come."""
        give_up_at = time.perf_counter() + DRAIN_S
        while any(link.pending for link in self._links) and not self._failure:
            if time.perf_counter() > give_up_at:
                break
            await asyncio.sleep(0.005)

    def _loaded(self, cpu_share: float) -> Loaded:
        ordered = sorted(self.seen.latencies)
        return Loaded(
            answers=len(ordered),
            seconds=self._load.seconds,
            p50_ms=_percentile_ms(ordered, 0.50),
            p99_ms=_percentile_ms(ordered, 0.99),
            codes={self.glance.code_text(c): n for c, n in sorted(self.seen.codes.items())},
            unanswered=sum(len(link.pending) for link in self._links),
            strange=sum(link.strange for link in self._links),
            cpu_share=cpu_share,
        )


def _numbers() -> Iterator[int]:
    """Count from anywhere: a run is no repeat of the one before it."""
    start = secrets.randbelow(RRN_END)
    return (number % RRN_END for number in itertools.count(start))


def _writers(profile: Profile) -> tuple[Callable[[str], bytes], ...]:
    charset = "latin-1" if profile.charset == "ascii" else profile.charset
    return tuple(
        compiled(profile.wires[number], charset).write for number in (TRANSMITTED, STAN, RRN)
    )


def _size_below(message: Message, number: int, profile: Profile) -> int:
    """Tell where a field begins, or would."""
    below = Message(
        mti=message.mti,
        fields={n: value for n, value in message.fields.items() if n < number},
        secrets={n: value for n, value in message.secrets.items() if n < number},
    )
    return len(encode(below, profile))


def _percentile_ms(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1_000 if ordered else 0.0
