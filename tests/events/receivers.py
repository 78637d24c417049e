"""What webhook tests are made of: a receiver that answers as told, owners, facts, couriers."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from aiohttp import web

from bayon import events
from bayon.db import Database, Tx, advance_clock, read_clock
from bayon.events import Attempt, Courier, Endpoint, Fact, NewSecret, Policy, Replayed
from bayon.fetch import Fetcher
from bayon.ids import uuid7
from bayon.keyset import Span, Window
from bayon.seal import Sealer

SEALER: Final = Sealer({1: bytes(32)})
FETCHER: Final = Fetcher(loopback=True)
STEADY: Final = Policy(jitter=0.0)

Answer = Callable[["Got"], Awaitable[web.Response]]


@dataclass(frozen=True)
class Got:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> UUID:
        """The event it tells, as its header says."""
        return UUID(self.headers["webhook-id"])


@dataclass
class Receiver:
    """A server that keeps what it gets and answers as `answer` says, else with 204."""

    url: str = ""
    got: list[Got] = field(default_factory=list[Got])
    answer: Answer | None = None
    at_once: dict[str, int] = field(default_factory=dict[str, int])
    at_once_max: dict[str, int] = field(default_factory=dict[str, int])

    async def handle(self, request: web.Request) -> web.Response:
        """Take one request."""
        got = Got(request.path, dict(request.headers), await request.read())
        self.got.append(got)
        self.at_once[got.path] = self.at_once.get(got.path, 0) + 1
        self.at_once_max[got.path] = max(self.at_once_max.get(got.path, 0), self.at_once[got.path])
        try:
            return await self.answer(got) if self.answer else web.Response(status=204)
        finally:
            self.at_once[got.path] -= 1

    def ids(self, path: str | None = None) -> list[UUID]:
        """List the events it was told, in order."""
        return [got.event_id for got in self.got if path in {None, got.path}]


@asynccontextmanager
async def receiving(answer: Answer | None = None) -> AsyncGenerator[Receiver]:
    """Run a receiver on a free port of this machine."""
    receiver = Receiver(answer=answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def saying(
    status: int, headers: dict[str, str] | None = None, body: bytes = b"", delay_s: float = 0.0
) -> Answer:
    """Answer always the same."""

    async def answer(_: Got) -> web.Response:
        await asyncio.sleep(delay_s)
        return web.Response(status=status, headers=headers, body=body)

    return answer


async def now(db: Database) -> datetime:
    """Tell the time by the clock of the database."""
    return (await db.read(read_clock)).now()


async def advance(db: Database, *, advance_s: float) -> None:
    """Move the clock forward."""
    await db.transaction(lambda tx: advance_clock(tx, advance_s=advance_s))
    db.forget_clock()


async def make_owner(db: Database) -> UUID:
    """Let there be an owner of events."""
    owner_id = uuid7()
    await db.transaction(lambda tx: events.open_stream(tx, owner_id=owner_id))
    return owner_id


async def subscribe(
    db: Database, owner_id: UUID, url: str, *, event_types: Sequence[str] = ()
) -> NewSecret:
    """Create an endpoint."""
    at = await now(db)
    return await db.transaction(
        lambda tx: events.create_endpoint(
            tx,
            owner_id=owner_id,
            url=url,
            event_types=event_types,
            sealer=SEALER,
            fetcher=FETCHER,
            now=at,
        )
    )


async def change(
    db: Database, endpoint: Endpoint, *, enabled: bool | None = None, url: str | None = None
) -> Endpoint:
    """Change an endpoint."""
    at = await now(db)
    return await db.transaction(
        lambda tx: events.update_endpoint(
            tx,
            owner_id=endpoint.owner_id,
            endpoint_id=endpoint.id,
            enabled=enabled,
            url=url,
            fetcher=FETCHER,
            now=at,
        )
    )


async def find(db: Database, endpoint: Endpoint) -> Endpoint:
    """Find an endpoint as it is now."""
    return await db.read(
        lambda tx: events.find_endpoint(tx, owner_id=endpoint.owner_id, endpoint_id=endpoint.id)
    )


def make_fact(
    owner_id: UUID, *, of_type: str = "transaction.created", subject_id: UUID | None = None
) -> Fact:
    """Make a fact about something."""
    event_id = uuid7()
    body = f'{{"id":"{event_id}","type":"event","x":"{secrets.token_hex(4)} ០"}}'.encode()
    subject = subject_id or uuid7()
    return Fact(id=event_id, owner_id=owner_id, type=of_type, subject_id=subject, body=body)


async def emit(db: Database, *facts: Fact) -> list[UUID]:
    """Write facts, in one transaction; returns their ids."""

    async def work(tx: Tx) -> None:
        await events.emit(tx, facts, now=(await read_clock(tx)).now())

    await db.transaction(work)
    return [fact.id for fact in facts]


async def emit_of(
    db: Database, owner_id: UUID, *, subject_id: UUID | None = None, count: int = 1
) -> list[UUID]:
    """Write some facts about one resource, or each about another."""
    return await emit(db, *(make_fact(owner_id, subject_id=subject_id) for _ in range(count)))


@asynccontextmanager
async def delivering(db: Database, *, policy: Policy = STEADY) -> AsyncGenerator[Courier]:
    """Make a courier that is stepped by hand, and closed."""
    fetcher = Fetcher(loopback=True, timeout_s=events.TIMEOUT_S, size_max=65_536, cut=True)
    yield Courier(db, SEALER, fetcher, policy=policy)
    await fetcher.close()


async def deliver(courier: Courier) -> None:
    """Deliver what is due now, and whatever comes due by that."""
    while await courier.step():
        await courier.idle()


async def attempts(db: Database, owner_id: UUID, event_id: UUID) -> list[Attempt]:
    """List the attempts to tell an event, the last first."""
    page = await db.transaction(
        lambda tx: events.list_attempts(
            tx, owner_id=owner_id, event_id=event_id, window=Window(size=100)
        )
    )
    return list(page.items)


async def states(db: Database, *event_ids: UUID) -> list[str]:
    """Tell what has become of the deliveries of events."""
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT d.state FROM events.delivery AS d JOIN events.event AS e ON e.id = d.event_id"
            " WHERE e.id = ANY($1::uuid[]) ORDER BY e.seq, d.endpoint_id",
            event_ids,
        )
    )
    return [row["state"] for row in rows]


async def resend(db: Database, owner_id: UUID, event_id: UUID) -> int:
    """Make an event due again."""
    at = await now(db)
    return await db.transaction(
        lambda tx: events.resend(tx, owner_id=owner_id, event_id=event_id, now=at)
    )


async def replay(
    db: Database, owner_id: UUID, *, since: datetime, until: datetime, after_seq: int
) -> Replayed:
    """Make three events of a time due again."""
    at = await now(db)
    span = Span(since=since, until=until)
    return await db.transaction(
        lambda tx: events.replay(
            tx, owner_id=owner_id, span=span, after_seq=after_seq, limit=3, now=at
        )
    )


async def rotate(db: Database, owner_id: UUID, endpoint_id: UUID) -> NewSecret:
    """Give an endpoint a new secret."""
    at = await now(db)
    return await db.transaction(
        lambda tx: events.rotate_secret(
            tx, owner_id=owner_id, endpoint_id=endpoint_id, sealer=SEALER, now=at
        )
    )


@asynccontextmanager
async def working(*couriers: Courier) -> AsyncGenerator[None]:
    """Let couriers work meanwhile."""
    tasks = [asyncio.create_task(courier.work()) for courier in couriers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(timeout_s):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another process's time
            await asyncio.sleep(0.01)


def bearer(got: Got) -> str:
    """Take the token off a request."""
    return got.headers["Authorization"].removeprefix("Bearer ")


def standard(secret: str, got: Got, body: bytes) -> str:
    """Sign as Standard Webhooks says: base64 of the HMAC of `id.timestamp.body`."""
    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
