"""Issuers: added once by name, with their own side of the ledger, and changed."""

import asyncio
from collections.abc import Mapping

import pytest

from bayon import cards, events, ledger
from bayon.cards import BadAttributes, FeeRule, Issuer, IssuerExists, IssuerNotFound
from bayon.db import Database, Tx
from bayon.errors import BayonError, Invalid
from bayon.ids import uuid7
from bayon.keyset import Span, Window
from cards_factories import make_issuer, now_of


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


async def update(
    db: Database,
    issuer: Issuer,
    *,
    name: str | None = None,
    fees: Mapping[str, FeeRule | None] | None = None,
) -> Issuer:
    async def work(tx: Tx) -> Issuer:
        now = await now_of(tx)
        return await cards.update_issuer(tx, issuer_id=issuer.id, name=name, fees=fees, now=now)

    return await db.transaction(work)


async def test_a_new_issuer_has_three_accounts_of_its_own_and_a_stream_of_events(
    db: Database,
) -> None:
    issuer = await make_issuer(db, name="  Angkor Bank ")
    assert (issuer.name, issuer.bin, issuer.fees) == ("Angkor Bank", "91160000", {})
    ids = [issuer.funding_account_id, issuer.clearing_account_id, issuer.fees_account_id]
    assert len(set(ids)) == 3
    balances = await db.read(lambda tx: ledger.balance(tx, ids))
    assert [b.posted_minor for b in balances if b] == [0, 0, 0]
    found = await db.read(lambda tx: cards.find_issuer(tx, issuer_id=issuer.id))
    assert found == issuer
    page = await db.read(
        lambda tx: events.list_events(tx, owner_id=issuer.id, window=Window(), span=Span())
    )
    assert page.items == []


@pytest.mark.parametrize(
    ("name", "bin_", "error"),
    [
        ("", "x", Invalid),
        ("  ", "91160000", Invalid),
        ("x" * 101, "91160000", Invalid),
        ("Taken", "91160", Invalid),
        ("Taken", "9116000000", Invalid),
        ("Taken", "9116000\u0660", Invalid),
        ("Taken", "91160000\n", Invalid),
        ("Taken", "911600", IssuerExists),
        (" Taken ", "911600000", IssuerExists),
    ],
)
async def test_guards_of_an_issuer_in_their_order(
    db: Database, name: str, bin_: str, error: type[BayonError]
) -> None:
    known = {each.name for each in await db.read(cards.issuers)}
    if "Taken" not in known:
        await make_issuer(db, name="Taken")

    async def add(tx: Tx) -> Issuer:
        return await cards.add_issuer(tx, name=name, bin_=bin_, now=await now_of(tx))

    with pytest.raises(error):
        await db.transaction(add)


async def test_fees_are_set_and_taken_away_one_by_one(db: Database) -> None:
    issuer = await make_issuer(db)
    rule = FeeRule(flat_minor=300, basis_points=150)
    changed = await update(db, issuer, fees={"interbank_cash_withdrawal": rule, "other": rule})
    assert changed.fees == {"interbank_cash_withdrawal": rule, "other": rule}
    changed = await update(db, issuer, name="Renamed", fees={"other": None})
    assert (changed.name, changed.fees) == ("Renamed", {"interbank_cash_withdrawal": rule})
    assert await db.read(lambda tx: cards.find_issuer(tx, issuer_id=issuer.id)) == changed


async def test_a_name_is_one_issuers_and_its_own_may_be_said_again(db: Database) -> None:
    first, second = await make_issuer(db), await make_issuer(db)
    assert (await update(db, first, name=first.name)).name == first.name
    with pytest.raises(BadAttributes) as refused:
        await update(db, second, name=first.name)
    assert [each.pointer for each in refused.value.problems] == ["/data/attributes/name"]
    with pytest.raises(IssuerNotFound):
        await db.read(lambda tx: cards.find_issuer(tx, issuer_id=uuid7()))


async def test_a_name_taken_by_a_commit_on_its_way_is_refused_when_it_is_through(
    db: Database, shared: tuple[Database, str]
) -> None:
    first, second = await make_issuer(db), await make_issuer(db)
    other = await Database.connect(shared[1], size_max=1)
    written, may_commit = asyncio.Event(), asyncio.Event()

    async def rename_slowly(tx: Tx) -> None:
        now = await now_of(tx)
        await cards.update_issuer(tx, issuer_id=first.id, name="Wanted", fees=None, now=now)
        written.set()
        await may_commit.wait()

    slow = asyncio.create_task(db.transaction(rename_slowly))
    await written.wait()
    quick = asyncio.create_task(update(other, second, name="Wanted"))
    await asyncio.sleep(0.1)
    assert not quick.done()
    may_commit.set()
    await slow
    with pytest.raises(BadAttributes):
        await quick
    await other.close()
