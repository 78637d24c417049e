"""What a page of a list costs: one statement, no scan, few buffers, wherever in the list it is."""

import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from bayon import cards, events
from bayon.cards import Filters
from bayon.db import Database, Tx
from bayon.keyset import Page, Span, Window
from cards.list_rows import BEGAN, Rows, make_rows, row_id
from cards_factories import make_issuer
from servers import Server

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
COUNT: Final = 200_000 if LONG else 5_000
STEP: Final = timedelta(seconds=10)
RUNS: Final = 7
"""From its sixth execution on PostgreSQL may plan a prepared statement without its arguments."""


@pytest.fixture(scope="module")
async def ready(server: Server) -> AsyncGenerator[tuple[Database, str, Rows]]:
    """Make long lists of one issuer and of a stranger, which nobody checks afterwards."""
    url = await server.clone()
    db = await Database.connect(url, size_max=1)
    issuers = [await make_issuer(db) for _ in range(2)]
    made = await make_rows(db, *issuers, count=COUNT, step=STEP)
    yield db, url, made
    await db.close()
    await server.drop(url)


Lister = Callable[[Tx, Window], Awaitable[Page[Any]]]


def transactions(issuer_id: UUID, filters: Filters) -> Lister:
    return lambda tx, window: cards.list_transactions(
        tx, issuer_id=issuer_id, window=window, filters=filters
    )


def of_events(issuer_id: UUID, of_type: str | None = None, span: Span | None = None) -> Lister:
    return lambda tx, window: events.list_events(
        tx, owner_id=issuer_id, window=window, of_type=of_type, span=span or Span()
    )


def spans(rows: Rows) -> dict[str, Span]:
    """Spans of time: all of it, an hour of each part of the list, and what is before and after."""
    whole = rows.step * rows.count
    hour = timedelta(hours=1)
    return {
        "any time": Span(),
        "lately": Span(since=BEGAN + whole - hour),
        "until lately": Span(until=BEGAN + whole - hour),
        "an hour in the middle": Span(since=BEGAN + whole / 2, until=BEGAN + whole / 2 + hour),
        "a second in the middle": Span(
            since=BEGAN + whole / 2, until=BEGAN + whole / 2 + timedelta(seconds=1)
        ),
        "the first hour": Span(until=BEGAN + hour),
        "since the first hour": Span(since=BEGAN + hour),
        "the first late hour": Span(until=BEGAN + hour - timedelta(days=30)),
        "before everything": Span(until=BEGAN - timedelta(days=365)),
        "after everything": Span(since=BEGAN + whole + timedelta(days=365)),
    }


def listers(rows: Rows) -> dict[str, tuple[Lister, str]]:
    """Every list with every filter: how it is read, and the letter of its ids."""
    me = rows.issuer.id
    found: dict[str, tuple[Lister, str]] = {
        "cardholders": (lambda tx, w: cards.list_cardholders(tx, issuer_id=me, window=w), "h"),
    }
    holders = {"": None, " of hot": rows.hot_holder, " of rare": rows.rare_holder, " of none": me}
    for name, holder in holders.items():
        found["accounts" + name] = (
            lambda tx, w, holder=holder: cards.list_accounts(
                tx, issuer_id=me, window=w, cardholder_id=holder
            ),
            "a",
        )
        found["cards" + name] = (
            lambda tx, w, holder=holder: cards.list_cards(
                tx, issuer_id=me, window=w, cardholder_id=holder
            ),
            "a",
        )
    theirs = rows.stranger.id
    found["accounts of a stranger's"] = (
        lambda tx, w: cards.list_accounts(
            tx, issuer_id=theirs, window=w, cardholder_id=rows.hot_holder
        ),
        "a",
    )
    found["cards of a stranger's"] = (
        lambda tx, w: cards.list_cards(
            tx, issuer_id=theirs, window=w, cardholder_id=rows.hot_holder
        ),
        "a",
    )
    for name, filters in (
        ("account", Filters(account_id=rows.hot_account)),
        ("card", Filters(card_id=rows.hot_account)),
    ):
        lister = transactions(theirs, filters)
        found[f"transactions of a stranger's {name} None None"] = (lister, "t")
    for name, span in spans(rows).items():
        for of_type in (None, "transaction.created", "transaction.updated", "account.updated", "x"):
            found[f"events {of_type} {name}"] = (of_events(me, of_type, span), "e")
    whose: dict[str, dict[str, UUID]] = {
        "": {},
        " of hot account": {"account_id": rows.hot_account},
        " of rare account": {"account_id": rows.rare_account},
        " of no account": {"account_id": rows.stranger.id},
        " of hot card": {"card_id": rows.hot_account},
        " of rare card": {"card_id": rows.rare_account},
    }
    each_span = {"": None} | spans(rows)
    statuses = (None, "settled", "pending", "declined", "reversed", "expired")
    for (who, ids), status, adjustment, (when, span) in product(
        whose.items(), statuses, (None, "credit"), each_span.items()
    ):
        others: dict[str, Any] = {"status": status, "adjustment": adjustment, "span": span}
        name = f"transactions{who} {status} {adjustment} {when}".strip()
        if not LONG and when and (who or adjustment):
            continue
        found[name] = (transactions(me, Filters(**ids, **others)), "t")
    return found


def places(rows: Rows, letter: str) -> dict[str, Window]:
    """Where in a list one reads: on top, page 1,000 and later, at the end, and upwards."""
    if letter == "h":
        return {"top": Window()}
    deep = row_id(rows.issuer, letter, rows.count // 2)
    last = row_id(rows.issuer, letter, 30)
    if not LONG:
        return {"top": Window(), "deep": Window(after=deep), "deep up": Window(before=deep)}
    return {
        "top": Window(),
        "top 100": Window(size=100),
        "deep": Window(after=deep),
        "deep up": Window(before=deep),
        "end": Window(after=last),
        "end up": Window(before=last),
    }


async def statement(db: Database, lister: Lister, window: Window) -> tuple[str, tuple[object, ...]]:
    """Tell the one statement of a list."""
    db.journal = []
    await db.read(lambda tx: lister(tx, window))
    ((sql, args),) = db.journal
    db.journal = None
    return sql, args


def literal(value: object) -> str:
    """Write an argument for EXECUTE, which takes none from outside."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join(str(each) for each in value) + "}'"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return f"'{value.isoformat() if isinstance(value, datetime) else value}'"


async def explain(
    connection: "asyncpg.Connection[asyncpg.Record]", sql: str, args: tuple[object, ...], mode: str
) -> dict[str, Any]:
    """Tell the plan of a statement's seventh execution, and what it read."""
    await connection.execute(f"SET plan_cache_mode = {mode}")
    name = f"p{abs(hash(sql))}"
    if name not in PREPARED:
        await connection.execute(f"PREPARE {name} AS {sql}")
        PREPARED.add(name)
    call = f"EXECUTE {name}({', '.join(map(literal, args))})"
    for _ in range(RUNS - 1 if mode == "auto" else 0):
        await connection.execute(call)
    found = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {call}")
    return json.loads(found)[0]["Plan"]


PREPARED: Final = set[str]()


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def buffers(plan: Mapping[str, Any]) -> int:
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def scanned(plan: Mapping[str, Any]) -> list[str]:
    return [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    PREPARED.clear()
    connection = await asyncpg.connect(url)
    await connection.execute("SET jit = off; SET max_parallel_workers_per_gather = 0")
    yield connection
    await connection.close()


FEW: Final = 150
"""A page of a hundred rows, each on a page of its own and its index's, with what finds them."""


async def costs(
    ready: tuple[Database, str, Rows], names: Callable[[str], bool]
) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    """Explain every place of the lists of these names, in every way PostgreSQL may plan them."""
    db, url, rows = ready
    async with connected(url) as connection:
        for name, (lister, letter) in listers(rows).items():
            if not names(name):
                continue
            for place, window in places(rows, letter).items():
                sql, args = await statement(db, lister, window)
                for mode in MODES:
                    yield f"{name} | {place} | {mode}", await explain(connection, sql, args, mode)


MODES: Final = (
    ("auto", "force_custom_plan", "force_generic_plan")
    if LONG
    else (
        "force_custom_plan",
        "force_generic_plan",
    )
)


def spanned(name: str) -> bool:
    """Tell whether a list of transactions is one of a span of time."""
    return name.startswith("transactions") and name.rsplit(" ", 1)[1] not in {"None", "credit"}


async def test_every_list_without_a_span_of_transactions_reads_few_pages_wherever_it_is_read(
    ready: tuple[Database, str, Rows],
) -> None:
    dear = {
        name: (buffers(plan), scanned(plan))
        async for name, plan in costs(ready, lambda name: not spanned(name))
        if buffers(plan) > FEW + (200 if "top 100" in name else 0) or scanned(plan)
    }
    assert dear == {}


async def test_a_span_of_transactions_reads_no_more_than_the_hour_around_it_and_what_was_late(
    ready: tuple[Database, str, Rows],
) -> None:
    """Not flat: it reads what was written up to an hour later, and all late rows of its time."""
    rows = ready[2]
    late = rows.count // 50 * 5
    around = int(timedelta(minutes=75) / rows.step)
    dear = {
        name: (buffers(plan), scanned(plan))
        async for name, plan in costs(ready, spanned)
        if buffers(plan) > FEW + 200 + late + around or scanned(plan)
    }
    assert dear == {}
