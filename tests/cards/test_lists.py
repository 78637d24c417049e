"""Lists: pages in the order of commits, whatever arrives meanwhile, against a small reference."""

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol
from uuid import UUID

import pytest
from msgspec.structs import replace

from bayon import cards, events
from bayon.cards import (
    Account,
    Card,
    Cardholder,
    Filters,
    Issuer,
    Transaction,
    Wanted,
)
from bayon.cards.accounts import open_accounts
from bayon.cards.find import SHOWN
from bayon.cards.issue import IssueCard, issue_cards
from bayon.db import Database, Tx
from bayon.errors import BayonError
from bayon.events import Event
from bayon.ids import uuid7
from bayon.keyset import Page, Span, Window
from cards_factories import (
    VAULT,
    Purse,
    create_cardholder,
    make_account,
    make_authorize,
    make_card,
    make_cardholder,
    make_clear,
    make_issuer,
    make_opening,
    make_purse,
    make_topup,
    make_withdrawal,
    move_all,
    move_one,
    now_of,
    open_all,
)

START: Final = datetime(2040, 1, 17, 12, 0, tzinfo=UTC)
"""After the purses were made: whoever begins later commits later."""
HOUR: Final = timedelta(hours=1)
STATUSES: Final = (None, "pending", "settled", "declined", "reversed", "expired")


class Row(Protocol):
    """Whatever is listed."""

    @property
    def id(self) -> UUID: ...


Lister = Callable[[Tx, Window], Awaitable[Page[Any]]]


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


def cardholders(issuer: Issuer) -> Lister:
    return lambda tx, window: cards.list_cardholders(tx, issuer_id=issuer.id, window=window)


def accounts(issuer: Issuer, holder_id: UUID | None = None) -> Lister:
    return lambda tx, window: cards.list_accounts(
        tx, issuer_id=issuer.id, window=window, cardholder_id=holder_id
    )


def cards_(issuer: Issuer, holder_id: UUID | None = None) -> Lister:
    return lambda tx, window: cards.list_cards(
        tx, issuer_id=issuer.id, window=window, cardholder_id=holder_id
    )


def events_(issuer: Issuer, of_type: str | None = None, span: Span | None = None) -> Lister:
    return lambda tx, window: events.list_events(
        tx, owner_id=issuer.id, window=window, of_type=of_type, span=span or Span()
    )


def reference(rows: Sequence[Row], window: Window) -> tuple[list[UUID], bool, bool]:
    """Page as one would by hand: rows newest first, all of them, and which of them are wanted."""
    ids = [row.id for row in rows]
    if window.cursor is not None and window.cursor not in ids:
        return [], False, False
    if window.before is not None:
        newer = ids[: ids.index(window.before)]
        return newer[-window.size :], len(newer) > window.size, bool(newer)
    older = ids if window.after is None else ids[ids.index(window.after) + 1 :]
    return older[: window.size], bool(older), len(older) > window.size


async def read(db: Database, lister: Lister, window: Window) -> Page[Any]:
    """Read a page, which must take one statement."""
    db.journal = []
    page = await db.read(lambda tx: lister(tx, window))
    count, db.journal = len(db.journal), None
    assert count == 1
    return page


async def walk(
    db: Database,
    lister: Lister,
    everything: Callable[[], Sequence[Row]],
    chance: random.Random,
    *,
    steps: int,
) -> None:
    """Go to and fro in a list at random, and compare every page with the reference's."""
    seen: list[UUID] = []
    for _ in range(steps):
        window = Window(size=chance.choice((1, 2, 3, 10, chance.randint(1, 100))))
        if seen:
            cursor = chance.choice(seen)
            window = dataclasses.replace(window, **{chance.choice(("before", "after")): cursor})
        page = await read(db, lister, window)
        found = [row.id for row in page.items], page.newer, page.older
        rows = everything()
        if window.cursor is None or window.cursor in {row.id for row in rows}:
            assert found == reference(rows, window)
        seen += [row.id for row in page.items]


@dataclass
class Town:
    """An issuer with two accounts and three cards, and every transaction there is, newest first."""

    purses: list[Purse]
    made: list[Transaction]

    @property
    def issuer(self) -> Issuer:
        return self.purses[0].issuer

    def matching(self, filters: Filters) -> list[Transaction]:
        span = filters.span or Span()
        return [
            t
            for t in self.made
            if t.status in (SHOWN if filters.status is None else (filters.status,))
            and filters.adjustment in {None, t.balance_adjustment_type}
            and filters.account_id in {None, t.account_id}
            and filters.card_id in {None, t.card_id}
            and span.since <= t.occurred_at <= span.until
        ]


async def found_town(db: Database, chance: random.Random, *, batches: int) -> Town:
    """Let much happen within a day, some of it told late, some at the very same second."""
    first = await make_purse(db)
    second = await make_purse(db, issuer=first.issuer)
    third = replace(first, card=await make_card(db, first.account))
    town = Town([first, second, third], [])
    await make_purse(db, usd_minor=5)  # a stranger
    now = START
    for _ in range(batches):
        now += timedelta(seconds=chance.choice((0, 0.3, 1, 59.5, 600, 2_400)))
        await happen(db, town, chance, now)
    return town


async def happen(db: Database, town: Town, chance: random.Random, now: datetime) -> None:
    """Do a batch of something, and write it down as it should be listed."""
    pending = [t for t in town.made if t.status == "pending"]
    lateness = (0, 0, 1, 59, 3_599, 3_600, 3_601, 7_200, 90_000)
    commands: list[cards.Move] = []
    for _ in range(chance.randint(1, 6)):
        purse = chance.choice(town.purses)
        at = now - timedelta(seconds=chance.choice(lateness))
        commands.append(
            chance.choice(
                (
                    make_topup(purse.account, chance.randint(1, 900), at=at),
                    make_authorize(purse.card, chance.randint(1, 300), occurred_at=at),
                    make_withdrawal(purse.card, chance.randint(1, 300), occurred_at=at),
                )
            )
        )
    if pending and chance.random() < 0.5:
        commands.insert(0, make_clear(chance.choice(pending), final=chance.random() < 0.5))
    for outcome in await move_all(db, commands, now=now):
        if isinstance(outcome, BayonError):
            continue
        known = [n for n, t in enumerate(town.made) if t.id == outcome.id]
        if known:
            town.made[known[0]] = outcome
        else:
            town.made.insert(0, outcome)


def transactions(issuer: Issuer, filters: Filters) -> Lister:
    return lambda tx, window: cards.list_transactions(
        tx, issuer_id=issuer.id, window=window, filters=filters
    )


def any_filters(town: Town, chance: random.Random) -> Filters:
    """Choose filters, and of spans often such as begin or end at a row."""
    purse = chance.choice(town.purses)
    whose = chance.choice(({}, {}, {"account_id": purse.account.id}, {"card_id": purse.card.id}))
    span = None
    if chance.random() < 0.6:
        ends = [chance.choice(town.made).occurred_at for _ in range(2)]
        ends = [end + timedelta(seconds=chance.choice((0, 0, 0, -1, 1))) for end in ends]
        span = chance.choice(
            (
                Span(since=min(ends), until=max(ends)),
                Span(since=ends[0]),
                Span(until=ends[0]),
                Span(since=ends[0], until=ends[0]),
                Span(since=max(ends), until=min(ends)),
            )
        )
    return Filters(
        status=chance.choice(STATUSES),  # pyright: ignore[reportArgumentType]
        adjustment=chance.choice((None, "debit", "credit")),
        span=span,
        **whose,
    )


@pytest.mark.parametrize("seed", range(2))
async def test_transactions_are_paged_as_by_hand_whatever_the_filters(
    db: Database, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    town = await found_town(db, chance, batches=40)
    assert {t.status for t in town.made} == {"pending", "settled", "declined"}
    now = max(t.created_at for t in town.made)
    for _ in range(50):
        filters = any_filters(town, chance)
        await walk(
            db,
            transactions(town.issuer, filters),
            partial(town.matching, filters),
            chance,
            steps=4,
        )
        now += timedelta(seconds=chance.choice((0, 1, 600)))
        await happen(db, town, chance, now)


async def test_every_combination_of_filters_shows_what_matches_and_nothing_else(
    db: Database,
) -> None:
    chance = random.Random(7)  # noqa: S311 - a test's dice
    town = await found_town(db, chance, batches=30)
    ends = sorted({t.occurred_at for t in town.made})
    spans = (None, Span(since=ends[9]), Span(until=ends[-9]), Span(since=ends[9], until=ends[-9]))
    account_id, card_id = town.purses[0].account.id, town.purses[0].card.id
    for status in STATUSES:
        for adjustment in (None, "debit", "credit"):
            for span in spans:
                for whose in ({}, {"account_id": account_id}, {"card_id": card_id}):
                    filters = Filters(
                        status=status,  # pyright: ignore[reportArgumentType]
                        adjustment=adjustment,  # pyright: ignore[reportArgumentType]
                        span=span,
                        **whose,
                    )
                    page = await read(db, transactions(town.issuer, filters), Window(size=100))
                    assert [t.id for t in page.items] == [
                        t.id for t in town.matching(filters)[:100]
                    ], filters


async def test_a_card_is_listed_with_its_own_account_and_not_with_another(db: Database) -> None:
    chance = random.Random(8)  # noqa: S311 - a test's dice
    town = await found_town(db, chance, batches=10)
    first, second, third = town.purses
    for card, account, shown in (
        (first, first, True),
        (third, first, True),
        (second, first, False),
        (first, second, False),
    ):
        filters = Filters(card_id=card.card.id, account_id=account.account.id)
        lister = transactions(town.issuer, filters)
        page = await db.read(lambda tx, lister=lister: lister(tx, Window(size=100)))
        wanted = town.matching(replace(filters, account_id=None)) if shown else []
        assert [t.id for t in page.items] == [t.id for t in wanted]


async def test_a_span_includes_both_its_ends_late_rows_too(db: Database) -> None:
    purse = await make_purse(db)
    at = START - timedelta(days=3)
    for lateness in (0, 3_600, 3_601, 86_400, 86_400 * 400):
        now = at + timedelta(seconds=lateness)
        made = await move_one(db, make_topup(purse.account, 1, at=at), now=now)
        for since, until, shown in (
            (at, at, True),
            (at, None, True),
            (None, at, True),
            (at + timedelta(seconds=1), None, False),
            (None, at - timedelta(seconds=1), False),
        ):
            span = Span(**{k: v for k, v in (("since", since), ("until", until)) if v})
            page = await read(db, transactions(purse.issuer, Filters(span=span)), Window(size=100))
            assert (made.id in {t.id for t in page.items}) == shown, (lateness, since, until)


# Cardholders, accounts, cards and events.


async def test_the_other_lists_are_paged_as_by_hand_while_rows_arrive(db: Database) -> None:
    chance = random.Random(9)  # noqa: S311 - a test's dice
    issuer = await make_issuer(db)
    holders: list[Cardholder] = []
    opened: list[Account] = []
    issued: list[Card] = []

    async def grow() -> None:
        holders.insert(0, await make_cardholder(db, issuer))
        commands = [make_opening(chance.choice(holders)) for _ in range(chance.randint(1, 7))]
        for account in await open_all(db, commands):
            assert isinstance(account, Account)
            opened.insert(0, account)

        async def issue(tx: Tx) -> Sequence[Card | BayonError]:
            ids = [chance.choice(opened).id for _ in range(3)]
            wanted = [IssueCard(issuer_id=issuer.id, account_id=each) for each in ids]
            return await issue_cards(tx, wanted, vault=VAULT, now=await now_of(tx))

        for card in await db.transaction(issue):
            assert isinstance(card, Card)
            issued.insert(0, card)

    for _ in range(25):
        await grow()
        whose = chance.choice([None, *holders])
        holder_id = None if whose is None else whose.id
        theirs = [a for a in opened if holder_id in {None, a.cardholder_id}]
        of_them = [c for c in issued if holder_id in {None, c.cardholder_id}]
        for lister, rows in (
            (cardholders(issuer), holders),
            (accounts(issuer, holder_id), theirs),
            (cards_(issuer, holder_id), of_them),
        ):
            await walk(db, lister, as_they_are(rows), chance, steps=4)
    assert len(opened) > 50


def as_they_are(rows: Sequence[Row]) -> Callable[[], Sequence[Row]]:
    return lambda: rows


async def all_events(db: Database, issuer: Issuer) -> list[Event]:
    rows = await db.read(
        lambda tx: tx.rows(
            """
            SELECT id, type, body, created_at FROM events.event WHERE owner_id = $1
            ORDER BY seq DESC
            """,
            issuer.id,
        )
    )
    return [Event(**dict(row)) for row in rows]


async def test_events_are_paged_as_by_hand_by_type_and_by_time(db: Database) -> None:
    chance = random.Random(10)  # noqa: S311 - a test's dice
    town = await found_town(db, chance, batches=40)
    now = max(t.created_at for t in town.made)
    for _ in range(40):
        told = await all_events(db, town.issuer)
        of_type = chance.choice((None, None, *{e.type for e in told}, "nothing.happened"))
        ends = sorted(chance.choice(told).created_at for _ in range(2))
        span = chance.choice((Span(), Span(since=ends[0], until=ends[1]), Span(since=ends[0])))
        rows = [
            e
            for e in told
            if of_type in {None, e.type} and span.since <= e.created_at <= span.until
        ]
        await walk(
            db,
            events_(town.issuer, of_type, span),
            as_they_are(rows),
            chance,
            steps=4,
        )
        now += timedelta(seconds=chance.choice((0, 1, 600)))
        await happen(db, town, chance, now)


# Whose.


async def test_nothing_of_another_issuer_is_listed_or_a_cursor(db: Database) -> None:
    purse, other = await make_purse(db, usd_minor=100), await make_purse(db, usd_minor=100)
    await move_one(db, make_authorize(purse.card, 1))
    theirs = other.issuer
    page = await read(db, transactions(purse.issuer, Filters()), Window())
    for lister in (
        transactions(theirs, Filters(account_id=purse.account.id)),
        transactions(theirs, Filters(card_id=purse.card.id)),
        accounts(theirs, purse.cardholder.id),
        cards_(theirs, purse.cardholder.id),
    ):
        assert (await read(db, lister, Window())).items == []
    own: list[tuple[Lister, UUID]] = [
        (transactions(theirs, Filters()), page.items[0].id),
        (cardholders(theirs), purse.cardholder.id),
        (accounts(theirs), purse.account.id),
        (cards_(theirs), purse.card.id),
        (events_(theirs), (await all_events(db, purse.issuer))[0].id),
    ]
    for lister, foreign in own:
        assert len((await read(db, lister, Window())).items) > 0
        for cursor in (foreign, uuid7()):
            for window in (Window(before=cursor), Window(after=cursor)):
                assert await read(db, lister, window) == Page(items=[], newer=False, older=False)


async def test_related_resources_are_the_issuers_own_alone(db: Database) -> None:
    purse, other = await make_purse(db), await make_purse(db)
    wanted = Wanted(
        cardholder_ids=[purse.cardholder.id, other.cardholder.id],
        account_ids=[purse.account.id, purse.account.id, other.account.id],
        card_ids=[purse.card.id, other.card.id, uuid7()],
    )
    found = await db.transaction(
        lambda tx: cards.related(tx, issuer_id=purse.issuer.id, wanted=wanted)
    )
    assert found == [purse.card, purse.account, purse.cardholder]


# In the order of commits.


async def test_whoever_polls_newer_rows_misses_nothing_of_a_commit_that_was_late(
    db: Database, shared: tuple[Database, str]
) -> None:
    """One commit is delayed after it took its numbers; nobody's else may overtake it."""
    purse = await make_purse(db, usd_minor=1)
    other = await make_purse(db, issuer=purse.issuer)
    quick_db = await Database.connect(shared[1], size_max=3)
    polls: dict[str, tuple[Lister, list[UUID]]] = {
        "transactions": (transactions(purse.issuer, Filters()), []),
        "accounts": (accounts(purse.issuer), []),
        "cardholders": (cardholders(purse.issuer), []),
        "events": (events_(purse.issuer), []),
    }

    async def poll() -> None:
        for lister, known in polls.values():
            while True:
                window = Window(size=2, before=known[-1]) if known else Window(size=100)
                page = await db.read(lambda tx, w=window, lister=lister: lister(tx, w))
                known += [row.id for row in reversed(page.items)]
                if not page.items or window.before is None:
                    break

    numbered, may_commit = asyncio.Event(), asyncio.Event()

    async def work_slowly(tx: Tx) -> None:
        now = await now_of(tx)
        await open_accounts(tx, [make_opening(purse.cardholder)], now=now)
        await cards.move(tx, [make_topup(purse.account, 1)], vault=VAULT, now=now)
        numbered.set()
        await may_commit.wait()

    await poll()
    delayed = asyncio.create_task(db.transaction(work_slowly))
    await numbered.wait()
    overtaking = [
        asyncio.create_task(move_one(quick_db, make_topup(other.account, 1))),
        asyncio.create_task(make_account(quick_db, other.cardholder)),
        asyncio.create_task(create_cardholder(quick_db, purse.issuer)),
    ]
    for _ in range(5):
        await asyncio.sleep(0.02)
        await poll()
    assert not any(task.done() for task in overtaking)
    may_commit.set()
    await asyncio.gather(delayed, *overtaking)
    await poll()
    for name, (lister, known) in polls.items():
        page = await db.read(lambda tx, lister=lister: lister(tx, Window(size=100)))
        assert known == [row.id for row in reversed(page.items)], name
    await quick_db.close()
