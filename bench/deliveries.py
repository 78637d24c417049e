"""Webhooks: how many are delivered a second to a receiver of this machine, and how soon each is.

    python -m bench.deliveries      the receiver: prints its port; answers GET with what it was told

What is told of is read from the receiver's clock, which is ours too. When it happened is taken
from before: of a top-up when it was asked for, of an event of another process when its commit was
asked for. So what is printed is never less than from commit to receipt.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

import aiohttp
import msgspec
import uvloop

from bayon import events, sandbox
from bayon.db import Database, Tx, read_clock, read_secret
from bayon.events import Endpoint, Fact
from bayon.fetch import Fetcher
from bayon.ids import uuid7
from bayon.seal import Sealer
from bench import server
from bench.figures import Figure
from bench.server import Ready

ROUNDS: Final = 3
PER_S: Final = 100.0
BACKLOG: Final = 1_500
GOAL_MS: Final = 100.0
WAIT_S: Final = 120.0
RESOURCE: Final = b'"details":{"data":{"id":"'
TOLD: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class World:
    """The demo issuer: its token, its account, and an event of it as it is told."""

    db: Database
    ready: Ready
    sealer: Sealer
    owner_id: UUID
    account_id: UUID
    token: str
    body: bytes


class Receiver(asyncio.Protocol):
    """One connection: notes which resource it is told of and when, and answers at once."""

    def __init__(self, seen: dict[str, float]) -> None:
        self._seen: dict[str, float] = seen
        self._got: bytes = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a request as soon as it is whole."""
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at > 0 else 0
        if end and len(body) >= length:
            self._got = b""
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        if head.startswith(b"GET"):
            shown = msgspec.json.encode(self._seen)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(shown))
            self._transport.write(shown)
            return
        start = body.find(RESOURCE) + len(RESOURCE)
        self._seen.setdefault(body[start : start + 36].decode(), time.time())
        self._transport.write(TOLD)


async def deliveries(ready: Ready, db: Database, *, seconds: float) -> list[Figure]:
    """Measure how many, and how soon."""
    world = await _world(ready, db)
    many = Figure(what="webhooks delivered to one local receiver")
    figures = [many]
    for _ in range(ROUNDS):
        async with _subscribed(world) as url:
            many.add(await _deliver_backlog(world, url, many))
    for name, tell in (("a top-up", _top_up), ("another process's event", _emit)):
        p50 = Figure(what=f"{name} to receipt at 100/s: p50", unit=" ms")
        p99 = Figure(
            what=f"{name} to receipt at 100/s: p99", unit=" ms", goal=GOAL_MS, at_most=True
        )
        for _ in range(ROUNDS):
            async with _subscribed(world) as url:
                told, answered = await _times_ms(world, url, tell, seconds=seconds)
                p50.add(_percentile(told, 0.5))
                p99.add(_percentile(told, 0.99))
                p50.notes = [
                    f"of that p50 {_percentile(answered, 0.5):.1f} ms until it was written"
                ]
                p99.notes = [f"p99 of writing alone {_percentile(answered, 0.99):.1f} ms"]
        figures += [p50, p99]
    return figures


async def _world(ready: Ready, db: Database) -> World:
    async def work(tx: Tx) -> World:
        row = await tx.row(
            "SELECT e.owner_id, a.id, e.body FROM events.event AS e"
            " JOIN cards.account AS a ON a.issuer_id = e.owner_id"
            " WHERE e.type = 'transaction.created' ORDER BY e.created_at LIMIT 1"
        )
        token = await read_secret(tx, name="demo_cms_token")
        assert row is not None
        assert token is not None
        return World(
            db=db,
            ready=ready,
            sealer=Sealer.from_text((await sandbox.keep_keys(tx)).seal_keys.reveal()),
            owner_id=row["owner_id"],
            account_id=row["id"],
            token=token,
            body=row["body"],
        )

    return await db.transaction(work)


@asynccontextmanager
async def _subscribed(world: World) -> AsyncGenerator[str]:
    """Run a receiver, and let it be told meanwhile; yields where it is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.deliveries"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(await process.stdout.readline())}/"
        endpoint = await _subscribe(world, url)
        yield url
        await world.db.transaction(
            lambda tx: events.delete_endpoint(tx, owner_id=world.owner_id, endpoint_id=endpoint.id)
        )
    finally:
        process.terminate()
        await process.wait()


async def _subscribe(world: World, url: str) -> Endpoint:
    async def work(tx: Tx) -> Endpoint:
        made = await events.create_endpoint(
            tx,
            owner_id=world.owner_id,
            url=url,
            sealer=world.sealer,
            fetcher=Fetcher(loopback=True),
            now=(await read_clock(tx)).now(),
        )
        return made.endpoint

    return await world.db.transaction(work)


async def _deliver_backlog(world: World, url: str, figure: Figure) -> float:
    """Deliver what has been written at once; from the first receipt to the last."""
    used_s = server.cpu_s([world.ready.pid])
    facts = [_fact(world) for _ in range(BACKLOG)]
    await world.db.transaction(lambda tx: _write(tx, facts))
    seen = await _until_seen(url, {str(fact.subject_id) for fact in facts})
    used_us = (server.cpu_s([world.ready.pid]) - used_s) / BACKLOG * 1e6
    figure.notes = [f"{BACKLOG} at once; {used_us:.0f} µs of Bayon's processor time each"]
    return (BACKLOG - 1) / (max(seen.values()) - min(seen.values()))


@dataclass(frozen=True, kw_only=True)
class Happened:
    """What is told of: since when it could be, and when it was known here to be written."""

    resource: str
    at: float
    answered_at: float


Tell = Callable[[World, aiohttp.ClientSession], Awaitable[Happened]]
"""Makes something happen."""


async def _times_ms(
    world: World, url: str, tell: Tell, *, seconds: float
) -> tuple[list[float], list[float]]:
    """Let things happen as Poisson says; returns how long each took to be told of, and written."""
    chance = random.Random(1)  # noqa: S311 - the same arrivals in every run
    telling: list[asyncio.Future[Happened]] = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {world.token}"}) as http:
        due, until = time.perf_counter(), time.perf_counter() + max(seconds, 2.0)
        while due < until:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            telling.append(asyncio.ensure_future(tell(world, http)))
            due += chance.expovariate(PER_S)
        happened = await asyncio.gather(*telling)
    seen = await _until_seen(url, {each.resource for each in happened})
    told = [(seen[each.resource] - each.at) * 1_000 for each in happened]
    return told, [(each.answered_at - each.at) * 1_000 for each in happened]


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


async def _top_up(world: World, http: aiohttp.ClientSession) -> Happened:
    """Put money onto the demo account, at the process that delivers too."""
    data = {"type": "topup", "attributes": {"amount": 1, "funding_source": "Bench"}}
    url = f"http://127.0.0.1:{world.ready.port}/v1/accounts/{world.account_id}/topups"
    at = time.time()
    async with http.post(url, json={"data": data}) as answer:
        made = await answer.json(content_type=None)
    return Happened(resource=made["data"]["id"], at=at, answered_at=time.time())


async def _emit(world: World, _: aiohttp.ClientSession) -> Happened:
    """Write an event here, of which the process that delivers hears by its poll alone."""
    fact, at = _fact(world), 0.0

    async def work(tx: Tx) -> None:
        nonlocal at
        await _write(tx, [fact])
        at = time.time()

    await world.db.transaction(work)
    return Happened(resource=str(fact.subject_id), at=at, answered_at=time.time())


def _fact(world: World) -> Fact:
    """Make a fact as large as the demo's own, of a resource nobody has heard of."""
    subject_id = uuid7()
    head, mark, rest = world.body.partition(RESOURCE)
    body = head + mark + str(subject_id).encode() + rest[36:]
    return Fact(
        id=uuid7(),
        owner_id=world.owner_id,
        type="transaction.created",
        subject_id=subject_id,
        body=body,
    )


async def _write(tx: Tx, facts: list[Fact]) -> None:
    await events.emit(tx, facts, now=(await read_clock(tx)).now())


async def _until_seen(url: str, wanted: set[str]) -> dict[str, float]:
    """Wait until the receiver has been told of all these; asks seldom, not to be in the way."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(WAIT_S):
        while True:
            async with http.get(url) as answer:
                seen: dict[str, float] = await answer.json(content_type=None)
            if wanted <= seen.keys():
                return {resource: seen[resource] for resource in wanted}
            await asyncio.sleep(0.5)


async def _receive() -> None:
    seen: dict[str, float] = {}
    listening = await asyncio.get_running_loop().create_server(
        lambda: Receiver(seen), "127.0.0.1", 0, backlog=2_048
    )
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await listening.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_receive())
