"""The outbox: what is told is frozen, once a cause, in the order of commits, or not at all."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from bayon import cards, events
from bayon.cards import Moved, Transaction, document
from bayon.db import Database, Tx
from bayon.events import Event, EventNotFound, Fact
from bayon.ids import uuid7
from bayon.keyset import Span, Window
from cards_factories import (
    VAULT,
    Purse,
    checked_database,
    create_cardholder,
    decide,
    make_authorize,
    make_cardholder,
    make_clear,
    make_issuer,
    make_purse,
    make_topup,
    make_withdrawal,
    move_all,
    move_one,
    now_of,
)
from servers import Server

NOW: Final = datetime(2026, 1, 17, 12, tzinfo=UTC)


class Undo(Exception):
    """Leave the transaction without its effects."""


@pytest.fixture(scope="module")
async def shared(server: Server) -> AsyncGenerator[tuple[Database, str]]:
    async with checked_database(server) as made:
        yield made


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


@pytest.fixture
async def owner(db: Database) -> UUID:
    """Open a stream."""
    owner_id = uuid7()
    await db.transaction(lambda tx: events.open_stream(tx, owner_id=owner_id))
    return owner_id


def make_fact(owner_id: UUID, *, of_type: str = "thing.created", body: bytes = b"{}") -> Fact:
    return Fact(id=uuid7(), owner_id=owner_id, type=of_type, subject_id=uuid7(), body=body)


async def emit(db: Database, facts: Sequence[Fact], *, now: datetime = NOW) -> None:
    await db.transaction(lambda tx: events.emit(tx, facts, now=now))


async def told(db: Database, owner_id: UUID) -> list[Event]:
    """List the newest hundred events, the oldest of them first."""
    page = await db.read(
        lambda tx: events.list_events(tx, owner_id=owner_id, window=Window(size=100), span=Span())
    )
    return list(page.items)[::-1]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", bytes(range(256)), "តាំង តារា".encode(), b'{"a" : 1,\n "a":2}', b"x" * 99_999],
)
async def test_bytes_come_back_as_they_were_written(db: Database, owner: UUID, body: bytes) -> None:
    fact = make_fact(owner, body=body)
    await emit(db, [fact])
    wanted = Event(id=fact.id, type=fact.type, body=body, created_at=NOW)
    assert await told(db, owner) == [wanted]
    found = await db.read(lambda tx: events.find_event(tx, owner_id=owner, event_id=fact.id))
    assert found == wanted


async def test_facts_of_many_owners_are_numbered_in_order_in_each_ones_stream(
    db: Database,
) -> None:
    owners = [uuid7() for _ in range(3)]
    for owner_id in owners:
        await db.transaction(lambda tx, o=owner_id: events.open_stream(tx, owner_id=o))
    batches = [[make_fact(owners[(n * 7 + b) % 3]) for n in range(20)] for b in range(3)]
    for batch in batches:
        await emit(db, batch)
    for owner_id in owners:
        ids = [fact.id for batch in batches for fact in batch if fact.owner_id == owner_id]
        assert [event.id for event in await told(db, owner_id)] == ids
        rows = await db.read(
            lambda tx, o=owner_id: tx.rows(
                "SELECT seq FROM events.event WHERE owner_id = $1 ORDER BY seq", o
            )
        )
        assert [row["seq"] for row in rows] == list(range(1, len(ids) + 1))


async def test_an_owner_without_a_stream_is_a_bug_and_nothing_is_written(
    db: Database, owner: UUID
) -> None:
    nobody = uuid7()
    for facts in ([make_fact(nobody)], [make_fact(owner), make_fact(nobody)]):
        with pytest.raises(AssertionError, match="every owner has a stream"):
            await emit(db, facts)
    assert await told(db, owner) == []
    assert await told(db, nobody) == []
    await emit(db, [make_fact(owner)])
    assert len(await told(db, owner)) == 1


async def test_nothing_to_tell_takes_no_statement(db: Database) -> None:
    db.journal = []
    await emit(db, [])
    assert db.journal == []
    db.journal = None


async def test_a_stream_opened_again_goes_on(db: Database, owner: UUID) -> None:
    await emit(db, [make_fact(owner)])
    await db.transaction(lambda tx: events.open_stream(tx, owner_id=owner))
    await emit(db, [make_fact(owner)])
    assert len(await told(db, owner)) == 2


async def test_another_owners_event_is_not_there(db: Database, owner: UUID) -> None:
    fact = make_fact(owner)
    await emit(db, [fact])
    for owner_id, event_id in ((uuid7(), fact.id), (owner, uuid7()), (owner, fact.subject_id)):
        with pytest.raises(EventNotFound):
            await db.read(
                lambda tx, o=owner_id, e=event_id: events.find_event(tx, owner_id=o, event_id=e)
            )


async def test_a_type_and_both_ends_of_a_time_filter(db: Database, owner: UUID) -> None:
    minute = timedelta(minutes=1)
    facts = [make_fact(owner, of_type=f"thing.{'ab'[n % 2]}") for n in range(6)]
    for n, fact in enumerate(facts):
        await emit(db, [fact], now=NOW + n * minute)

    async def found(of_type: str | None, **ends: datetime) -> list[int]:
        page = await db.read(
            lambda tx: events.list_events(
                tx, owner_id=owner, window=Window(), of_type=of_type, span=Span(**ends)
            )
        )
        return [[fact.id for fact in facts].index(event.id) for event in page.items]

    assert await found(None) == [5, 4, 3, 2, 1, 0]
    assert await found("thing.a") == [4, 2, 0]
    assert await found("thing.c") == []
    assert await found(None, since=NOW + minute, until=NOW + 3 * minute) == [3, 2, 1]
    assert await found("thing.a", since=NOW + minute, until=NOW + 4 * minute) == [4, 2]
    just = timedelta(microseconds=1)
    assert await found(None, since=NOW + minute + just, until=NOW + 3 * minute - just) == [2]
    assert await found(None, since=NOW + 9 * minute) == []


async def test_subjects_are_counted_by_type(db: Database, owner: UUID) -> None:
    fact, other = make_fact(owner), make_fact(owner, of_type="thing.updated")
    await emit(db, [fact, other])
    counted = await db.read(
        lambda tx: events.subjects_told(
            tx, [fact.subject_id, other.subject_id, uuid7()], types=["thing.created"]
        )
    )
    assert counted == {fact.subject_id: 1}


# What the cards' room tells.


def of(event: Event) -> dict[str, Any]:
    """Read the resource an event tells of."""
    shown: dict[str, Any] = json.loads(event.body)
    assert (shown["id"], shown["type"]) == (str(event.id), "event")
    assert shown["attributes"]["type"] == event.type
    resource: dict[str, Any] = shown["attributes"]["details"]["data"]
    return resource


async def test_one_event_for_each_cause_shows_the_resource_as_it_was_then(db: Database) -> None:
    purse = await make_purse(db)
    topup = await move_one(db, make_topup(purse.account, 1_000))
    pending = await move_one(db, make_authorize(purse.card, 400))
    part = await move_one(db, make_clear(pending, 100, final=False))
    settled = await move_one(db, make_clear(pending))
    cash = await move_one(db, make_withdrawal(purse.card, 10))
    declined = await move_one(db, make_authorize(purse.card, 9_999))
    shown = [(event.type, of(event)) for event in await told(db, purse.issuer.id)]
    assert [name for name, _ in shown[:4]] == [
        "cardholder.created",
        "cardholder.updated",
        "account.created",
        "card.created",
    ]
    went_on = {"status": "pending", "amount": 300}
    assert [name for name, _ in shown[4:]] == [
        "transaction.created",
        "transaction.created",
        "transaction.updated",
        "transaction.created",
        "transaction.updated",
        "transaction.created",
        "transaction.declined",
    ]
    after = [resource for _, resource in shown[4:]]
    assert after[0] == plain(topup)
    assert after[1] == plain(pending)
    assert after[2]["attributes"].items() >= went_on.items()
    assert after[3:] == [plain(each) for each in (part, settled, cash, declined)]


def plain(transaction: Transaction) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(json.dumps(document.resource(transaction)))
    return shown


async def test_an_event_stays_as_it_was_when_its_resource_changes(db: Database) -> None:
    issuer = await make_issuer(db)
    made = await make_cardholder(db, issuer)
    before = await told(db, issuer.id)

    async def rename(tx: Tx) -> None:
        await cards.update_cardholder(
            tx,
            issuer_id=issuer.id,
            cardholder_id=made.id,
            changes={"name": "Somebody Else"},
            now=await now_of(tx),
        )

    await db.transaction(rename)
    await decide(db, made)
    assert (await told(db, issuer.id))[: len(before)] == before


async def test_a_cause_that_is_rolled_back_is_not_told_and_leaves_no_gap(db: Database) -> None:
    purse = await make_purse(db, usd_minor=1_000)
    before = await told(db, purse.issuer.id)

    async def undone(tx: Tx) -> None:
        await cards.move(
            tx,
            [make_topup(purse.account, 1), make_authorize(purse.card, 1)],
            vault=VAULT,
            now=await now_of(tx),
        )
        raise Undo

    with pytest.raises(Undo):
        await db.transaction(undone)
    assert await told(db, purse.issuer.id) == before
    await move_one(db, make_topup(purse.account, 1))
    assert len(await told(db, purse.issuer.id)) == len(before) + 1


async def test_an_error_in_a_batch_is_not_told_and_what_stands_beside_it_is(db: Database) -> None:
    purse = await make_purse(db)
    before = await told(db, purse.issuer.id)
    outcomes = await move_all(db, [make_topup(purse.account, 0), make_topup(purse.account, 5)])
    assert [isinstance(each, Transaction) for each in outcomes] == [False, True]
    assert len(await told(db, purse.issuer.id)) == len(before) + 1


async def test_events_stand_in_the_order_of_commits_and_not_of_beginnings(
    db: Database, shared: tuple[Database, str]
) -> None:
    first, second = await make_two_purses(db)
    other = await Database.connect(shared[1], size_max=1)
    began, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(tx: Tx) -> Transaction:
        now = await now_of(tx)
        began.set()
        await may_go_on.wait()
        (made,) = await cards.move(tx, [make_topup(first.account, 1)], vault=VAULT, now=now)
        assert isinstance(made, Moved)
        assert made.transaction is not None
        return made.transaction

    slow = asyncio.create_task(db.transaction(slowly))
    await began.wait()
    quick = await move_one(other, make_topup(second.account, 2))
    may_go_on.set()
    late = await slow
    assert late.created_at < quick.created_at
    subjects = [of(event)["id"] for event in await told(db, first.issuer.id)]
    assert subjects[-2:] == [str(quick.id), str(late.id)]
    await other.close()


async def make_two_purses(db: Database) -> tuple[Purse, Purse]:
    first = await make_purse(db)
    return first, await make_purse(db, issuer=first.issuer)


async def test_a_cardholder_told_of_is_the_issuers_own(db: Database) -> None:
    issuer, other = await make_issuer(db), await make_issuer(db)
    made = await create_cardholder(db, issuer)
    (event,) = await told(db, issuer.id)
    assert of(event)["id"] == str(made.id)
    assert await told(db, other.id) == []
