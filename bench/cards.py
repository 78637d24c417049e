"""Card management: each question at each size, in turn with the constant route's same answer."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

from bayon.app import check
from bayon.cards.document import instant
from bayon.db import Database
from bench import server
from bench.big import CHECKED_MAX, another, vacuum
from bench.cards_world import (
    HOT,
    SPAN,
    CardWorld,
    account_id,
    event_id,
    make_card_world,
    transaction_id,
)
from bench.figures import Figure, table
from bench.load import Load, Loaded
from bench.machine import machine
from bench.measure import ROUNDS, WARM_S
from bench.questions import Requests
from bench.server import Ready, request

SMALL: Final = 10_000
IN_FLIGHT: Final = 64
ASKED: Final = 5_000
OPENED_PER_S_MAX: Final = 5_000
PAGE_SIZE: Final = 10
FAR: Final = 1_000
BIG_GOAL: Final = 0.9
FULL_PAGE: Final = b'"next":"'
NO_ROWS: Final = b'"data":[]'
DOCUMENT: Final = b'{"data":'
WINDOW: Final = timedelta(days=1)
DAYS: Final = SPAN // WINDOW
SHOWN: Final = 0.8
"""Of ten transactions eight are pending or settled, as lists show them."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: requests for a leg of so many seconds. `once`: no request twice."""

    operation: str
    token: str
    requests: Callable[[float], Requests]
    once: bool = False


@dataclass(frozen=True, kw_only=True)
class Side:
    """One database with its server; `postmaster` is its PostgreSQL's process."""

    ready: Ready
    world: CardWorld
    postmaster: int


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What came of a leg, and PostgreSQL's processor time for one answer."""

    loaded: Loaded
    postgres_us: float


@dataclass(kw_only=True)
class Costs:
    """Processor time for one answer, round by round; says most on a busy machine."""

    server_us: list[float] = field(default_factory=list[float])
    constant_us: list[float] = field(default_factory=list[float])
    postgres_us: list[float] = field(default_factory=list[float])
    p50_ms: list[float] = field(default_factory=list[float])

    def add(self, ours: Leg, theirs: Leg) -> None:
        """Keep one round."""
        self.server_us.append(ours.loaded.server_us)
        self.constant_us.append(theirs.loaded.server_us)
        self.postgres_us.append(ours.postgres_us)
        self.p50_ms.append(ours.loaded.p50_ms)

    def note(self, *, size: int) -> str:
        """Write it, as medians."""
        ours, constant = median(self.server_us), median(self.constant_us)
        return (
            f"processor time an answer of {size:,} B: bayon {ours:.0f} µs, constant {constant:.0f} "
            f"({constant / ours:.2f}), PostgreSQL {median(self.postgres_us):.0f}; "
            f"p50 {median(self.p50_ms):.1f} ms"
        )

    def grown(self, small: "Costs") -> str:
        """Write how processor time has grown with the rows."""
        bayon = median(small.server_us) / median(self.server_us)
        postgres = median(small.postgres_us) / median(self.postgres_us)
        return f"small by large in processor time: bayon {bayon:.2f}, PostgreSQL {postgres:.2f}"


def questions(world: CardWorld) -> dict[str, Question]:
    """Make what a side is asked.

    The far page is the 1,000th, where there are fewer the last full one.
    """
    hot = f"filter[account]={account_id(HOT)}"
    day = _day(world)
    return {
        "retrieve account": _each(world, "retrieve_account", "/v1/accounts/{}"),
        "retrieve balance": _each(world, "retrieve_balance", "/v1/accounts/{}/balance"),
        "accounts": _page(world, "list_accounts"),
        "accounts, far": _far(world, "list_accounts", share=1.0),
        "transactions": _page(world, "list_transactions"),
        "transactions, far": _far(world, "list_transactions", share=SHOWN),
        "transactions of an account": _page(world, "list_transactions", hot),
        "transactions of an account, far": _far(world, "list_transactions", hot, share=SHOWN / 2),
        "transactions declined": _page(world, "list_transactions", "filter[status]=declined"),
        "transactions declined, far": _far(
            world, "list_transactions", "filter[status]=declined", share=0.1
        ),
        "transactions expired: none": _page(
            world, "list_transactions", "filter[status]=expired", holds=NO_ROWS
        ),
        "transactions long ago": _page(world, "list_transactions", day),
        "transactions long ago, far": _far(
            world,
            "list_transactions",
            day,
            share=SHOWN,
            top=2 * world.count // DAYS,
            rows=world.count // DAYS,
        ),
        "events": _page(world, "list_events"),
        "events, far": _far(world, "list_events", share=1.0),
        "create account": Question(
            operation="create_account",
            token=world.opening_token,
            requests=lambda seconds: _opening(world, round(seconds * OPENED_PER_S_MAX)),
            once=True,
        ),
    }


async def card_management(
    folder: Path, ready: Ready, db: Database, *, seconds: float
) -> list[Figure]:
    """Ask at ten thousand rows, in turn with the constant route."""
    side = await _side(ready, db, SMALL)
    return await _compare([side], folder=folder, seconds=seconds)


async def big_cards(count: int, *, seconds: float, folder: Path) -> None:
    """Ask at N rows, at ten thousand and the constant route, in turn; print the table."""
    async with server.dev(folder / "data") as ready:
        small_url = await another(ready.database_url)
        async with server.dev(folder / "small", database_url=small_url) as small_ready:
            db = await Database.connect(ready.database_url)
            small_db = await Database.connect(small_url)
            sides = [
                await _side(ready, db, count),
                await _side(small_ready, small_db, SMALL),
            ]
            figures = await _compare(sides, folder=folder, seconds=seconds)
            print("", *(await machine(db, folder)), "", table(figures), sep="\n")
            await small_db.close()
            await db.close()


async def _side(ready: Ready, db: Database, count: int) -> Side:
    world = await make_card_world(db, count)
    await vacuum(ready.database_url)
    if count <= CHECKED_MAX:
        findings = await db.transaction(check, isolation="repeatable_read")
        print(f"bayon check at {count:,}: {findings[:3] or 'all invariants hold'}", flush=True)
    backend: int = await db.read(lambda tx: tx.value("SELECT pg_backend_pid()"))
    return Side(ready=ready, world=world, postmaster=server.parent(backend))


async def _compare(sides: Sequence[Side], *, folder: Path, seconds: float) -> list[Figure]:
    """Ask everything of all sides; the last one is the small one."""
    figures: list[Figure] = []
    asked = [questions(side.world) for side in sides]
    for name in asked[0]:
        found = await _ask_all(name, sides, [each[name] for each in asked], folder, seconds)
        print(*(line for figure in found for line in figure.lines()), sep="\n", flush=True)
        figures += found
    return figures


async def _ask_all(
    name: str, sides: Sequence[Side], asked: Sequence[Question], folder: Path, seconds: float
) -> list[Figure]:
    """Ask one thing in rounds; every other round the other way round."""
    figures = [
        Figure(what=f"{name}, {side.world.count:,}", against="constant route") for side in sides
    ]
    grown = Figure(what=f"{name}: large/small", against=f"{SMALL:,} rows, in turn", goal=BIG_GOAL)
    last = asked[-1]
    answer = server.ask(sides[-1].ready, last.requests(0.001)[0][0])
    async with server.constant(
        folder, operation=last.operation, token=last.token, answer=answer
    ) as constant:
        still = Side(ready=constant, world=sides[-1].world, postmaster=sides[-1].postmaster)
        costs = [Costs() for _ in sides]
        for place in range(ROUNDS):
            legs = [*zip(sides, asked, strict=True), (still, last)]
            told: dict[int, Leg] = {}
            for side, question in legs[:: -1 if place % 2 else 1]:
                told[side.ready.pid] = await _leg(
                    side, question, folder, seconds, still=side is still
                )
            theirs = told[constant.pid]
            for side, figure, cost in zip(sides, figures, costs, strict=True):
                ours = told[side.ready.pid]
                figure.add(ours.loaded.per_s, theirs.loaded.per_s)
                cost.add(ours, theirs)
                figure.notes = [cost.note(size=len(answer))]
            if len(sides) > 1:
                grown.add(*(told[side.ready.pid].loaded.per_s for side in (sides[0], sides[-1])))
    if not grown.ours:
        return figures
    grown.notes = [costs[0].grown(costs[-1])]
    return [*figures, grown]


async def _leg(side: Side, question: Question, folder: Path, seconds: float, *, still: bool) -> Leg:
    """Load one side for a while; of the constant route any document will do."""
    requests = question.requests(WARM_S + seconds)
    wanted = Load(
        host="127.0.0.1",
        port=side.ready.port,
        connections=IN_FLIGHT,
        warm_s=WARM_S,
        seconds=seconds,
        requests=[(asked, DOCUMENT) for asked, _ in requests] if still else requests,
        once=question.once and not still,
    )
    before_s = server.cpu_s(server.children(side.postmaster))
    loaded = await server.load(folder / "load", wanted, pid=side.ready.pid)
    used_s = server.cpu_s(server.children(side.postmaster)) - before_s
    return Leg(loaded=loaded, postgres_us=used_s / loaded.answers * 1e6)


def _each(world: CardWorld, operation: str, path: str) -> Question:
    """Ask for accounts in any order."""
    chance = random.Random(1)  # noqa: S311 - the same questions in every run
    ids = [account_id(chance.randint(1, world.count)) for _ in range(ASKED)]
    requests = [
        (
            request(path.format(i), token=world.token, body=None, method="GET"),
            f'"id":"{i}"'.encode(),
        )
        for i in ids
    ]
    return Question(operation=operation, token=world.token, requests=lambda _: requests)


def _page(world: CardWorld, operation: str, *parameters: str, holds: bytes = FULL_PAGE) -> Question:
    path, _ = LISTS[operation]
    query = f"?{'&'.join(parameters)}" if parameters else ""
    raw = request(path + query, token=world.token, body=None, method="GET")
    return Question(operation=operation, token=world.token, requests=lambda _: [(raw, holds)])


def _far(
    world: CardWorld,
    operation: str,
    *parameters: str,
    share: float,
    top: int | None = None,
    rows: int | None = None,
) -> Question:
    """Ask for a page far down; `share` of `rows` rows from `top` down are in the list."""
    _, name = LISTS[operation]
    last = min(FAR, int((rows or world.count) * share) // PAGE_SIZE - 1)
    cursor = (top or world.count) + 1 - round(PAGE_SIZE * (last - 1) / share)
    return _page(world, operation, *parameters, f"page[after]={name(cursor)}")


def _day(world: CardWorld) -> str:
    """Ask for the second of all days."""
    since = world.since + WINDOW
    return f"filter[from_date]={instant(since)}&filter[to_date]={instant(since + WINDOW)}"


def _opening(world: CardWorld, count: int) -> Requests:
    """Open accounts under numbers nobody has used yet."""
    holder = {"data": {"type": "cardholder", "id": str(world.opening_cardholder_id)}}
    return [
        (
            request(
                "/v1/accounts",
                token=world.opening_token,
                body={
                    "data": {
                        "type": "account",
                        "attributes": {"number": f"{number:06}", "currency": "USD"},
                        "relationships": {"cardholder": holder},
                    }
                },
            ),
            b'"number":"%06d"' % number,
        )
        for number in islice(world.numbers, max(count, 1))
    ]


LISTS: Final = {
    "list_accounts": ("/v1/accounts", account_id),
    "list_transactions": ("/v1/transactions", transaction_id),
    "list_events": ("/v1/events", event_id),
}
