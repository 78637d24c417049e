"""Accounts: a number is an issuer's own, once, also when many ask for it at the same time."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest
from msgspec.structs import replace

from bayon import cards, ledger
from bayon.cards import (
    Account,
    BadAttributes,
    CardAccountNotFound,
    CardholderNotFound,
    OpenCardAccount,
    transaction_store,
)
from bayon.cards.accounts import open_accounts
from bayon.db import Database, Tx
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.ledger import Balance
from cards_factories import (
    balance_of,
    create_cardholder,
    decide,
    event_types,
    make_account,
    make_cardholder,
    make_issuer,
    make_opening,
    make_purse,
    make_topup,
    move_one,
    next_number,
    now_of,
    open_all,
)

UNIQUE: Final = ("/data/attributes/number", "must be unique")
REJECTED: Final = ("/data/relationships/cardholder", "must not be rejected")


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


def told(outcome: Account | BayonError) -> object:
    """Tell what came of a command in short: opened, where it is wrong, or the error."""
    if isinstance(outcome, BadAttributes):
        (problem,) = outcome.problems
        return problem.pointer, problem.message
    return "opened" if isinstance(outcome, Account) else type(outcome)


async def find(db: Database, account: Account) -> Account:
    return await db.read(
        lambda tx: cards.find_account(tx, issuer_id=account.issuer_id, account_id=account.id)
    )


async def test_an_account_is_opened_with_nothing_on_it_and_told_of(db: Database) -> None:
    issuer = await make_issuer(db)
    cardholder = await make_cardholder(db, issuer)
    (account,) = await open_all(db, [make_opening(cardholder)])
    assert isinstance(account, Account)
    assert (account.status, account.currency.value) == ("active", "USD")
    assert account.metadata == {"foobar": "foobar"}
    assert await find(db, account) == account
    assert await balance_of(db, account) == Balance(posted_minor=0, held_minor=0)
    assert (await event_types(db, issuer))[-1] == "account.created"


async def test_a_cardholder_under_review_may_have_accounts_and_several(db: Database) -> None:
    issuer = await make_issuer(db)
    reviewed = await create_cardholder(db, issuer)
    opened = await open_all(db, [make_opening(reviewed) for _ in range(3)])
    assert [told(each) for each in opened] == ["opened"] * 3


async def test_guards_are_judged_in_their_order(db: Database) -> None:
    """One line a case: whose cardholder, in what state, and whether the number is taken."""
    issuer, other = await make_issuer(db), await make_issuer(db)
    active = await make_cardholder(db, issuer)
    rejected = await decide(db, await create_cardholder(db, issuer), reason="known_to_us")
    foreign = await decide(db, await create_cardholder(db, other), reason="known_to_us")
    taken = (await make_account(db, active)).number
    nobody = replace(active, id=uuid7())
    table = [
        (make_opening(nobody, number=taken), CardholderNotFound),
        (make_opening(foreign, number=taken, issuer=issuer), CardholderNotFound),
        (make_opening(rejected, number=taken), REJECTED),
        (make_opening(rejected), REJECTED),
        (make_opening(active, number=taken), UNIQUE),
        (make_opening(active), "opened"),
    ]
    before = await count_rows(db)
    outcomes = await open_all(db, [command for command, _ in table])
    assert [told(each) for each in outcomes] == [wanted for _, wanted in table]
    assert await count_rows(db) == [count + 1 for count in before]


async def count_rows(db: Database) -> list[int]:
    """Count accounts, those of the ledger that are cardholders', and what was told of accounts."""
    row = await db.read(
        lambda tx: tx.row(
            """
            SELECT (SELECT count(*) FROM cards.account),
                (SELECT count(*) FROM ledger.account WHERE kind = 'customer'),
                (SELECT count(*) FROM events.event WHERE type = 'account.created')
            """
        )
    )
    assert row is not None
    return list(row)


async def test_a_number_twice_in_one_batch_is_the_first_ones(db: Database) -> None:
    cardholder = await make_cardholder(db, await make_issuer(db))
    number = next_number()
    commands = [make_opening(cardholder, number=n) for n in (number, next_number(), number)]
    outcomes = await open_all(db, commands)
    assert [told(each) for each in outcomes] == ["opened", "opened", UNIQUE]


async def test_a_refused_command_leaves_its_number_free(db: Database) -> None:
    issuer = await make_issuer(db)
    rejected = await decide(db, await create_cardholder(db, issuer), reason="known_to_us")
    active = await make_cardholder(db, issuer)
    number = next_number()
    commands = [make_opening(holder, number=number) for holder in (rejected, active)]
    assert [told(each) for each in await open_all(db, commands)] == [REJECTED, "opened"]


async def test_another_issuer_may_have_the_same_number_in_the_same_batch(db: Database) -> None:
    holders = [await make_cardholder(db, await make_issuer(db)) for _ in range(2)]
    number = next_number()
    opened = await open_all(db, [make_opening(holder, number=number) for holder in holders])
    assert [told(each) for each in opened] == ["opened", "opened"]
    assert [each.issuer_id for each in opened if isinstance(each, Account)] == [
        holder.issuer_id for holder in holders
    ]


async def test_a_number_taken_by_a_commit_on_its_way_is_refused_when_it_is_through(
    db: Database, shared: tuple[Database, str]
) -> None:
    cardholder = await make_cardholder(db, await make_issuer(db))
    number = next_number()
    command = make_opening(cardholder, number=number)
    other = await Database.connect(shared[1], size_max=1)
    written, may_commit = asyncio.Event(), asyncio.Event()

    async def open_slowly(tx: Tx) -> list[Account | BayonError]:
        outcome = await open_accounts(tx, [command], now=await now_of(tx))
        written.set()
        await may_commit.wait()
        return outcome

    slow = asyncio.create_task(db.transaction(open_slowly))
    await written.wait()
    quick = asyncio.create_task(open_all(other, [command, make_opening(cardholder)]))
    await asyncio.sleep(0.1)
    assert not quick.done()
    may_commit.set()
    assert [told(each) for each in await slow] == ["opened"]
    assert [told(each) for each in await quick] == [UNIQUE, "opened"]
    await other.close()


async def test_twenty_at_once_through_two_pools_open_one_account_of_a_number(
    db: Database, shared: tuple[Database, str]
) -> None:
    cardholder = await make_cardholder(db, await make_issuer(db))
    other = await Database.connect(shared[1], size_max=5)
    command = make_opening(cardholder, number=next_number())
    outcomes = await asyncio.gather(*(open_all((db, other)[n % 2], [command]) for n in range(20)))
    short = sorted((told(outcome) for (outcome,) in outcomes), key=str)
    assert short == [UNIQUE] * 19 + ["opened"]
    await other.close()


async def test_a_batch_of_openings_takes_the_same_statements_whatever_its_size(
    db: Database,
) -> None:
    cardholder = await make_cardholder(db, await make_issuer(db))
    journals: list[list[str]] = []
    for size in (1, 50, 500):
        commands: Sequence[OpenCardAccount] = [make_opening(cardholder) for _ in range(size)]
        db.journal = []
        outcomes = await open_all(db, commands)
        journals.append([sql for sql, _ in db.journal])
        db.journal = None
        assert {told(each) for each in outcomes} == {"opened"}
    assert journals[0] == journals[1] == journals[2]
    assert len(journals[0]) <= 7


async def update(db: Database, account: Account, **changes: object) -> Account:
    async def work(tx: Tx) -> Account:
        fields = {"issuer_id": account.issuer_id, "number": None, "metadata": None} | changes
        return await cards.update_account(
            tx,
            account_id=account.id,
            now=await now_of(tx),
            **fields,  # pyright: ignore[reportArgumentType]
        )

    return await db.transaction(work)


async def test_metadata_is_merged_and_nothing_else_changes(db: Database) -> None:
    issuer = await make_issuer(db)
    account = await make_account(db, await make_cardholder(db, issuer))
    changed = await update(db, account, metadata={"buzz": "foobar", "foobar": None})
    assert changed == replace(account, metadata={"buzz": "foobar"}, updated_at=changed.updated_at)
    assert await find(db, account) == changed
    assert (await event_types(db, issuer))[-1] == "account.updated"


async def test_a_change_does_not_wait_for_a_batch_of_its_cards(db: Database) -> None:
    purse = await make_purse(db)

    async def batch(tx: Tx) -> Account:
        await transaction_store.lock_cards(tx, [purse.card.id], [])
        async with asyncio.timeout(10):
            return await update(db, purse.account, metadata={"a": "b"})

    assert (await db.transaction(batch)).metadata["a"] == "b"


async def test_guards_of_a_change_in_their_order_write_nothing(db: Database) -> None:
    issuer, other = await make_issuer(db), await make_issuer(db)
    account = await make_account(db, await make_cardholder(db, issuer))
    told_before = await event_types(db, issuer)
    too_many = {f"key {n}": n for n in range(51)}
    with pytest.raises(CardAccountNotFound):
        await update(db, account, issuer_id=other.id, number="999999", metadata=too_many)
    with pytest.raises(BadAttributes) as refused:
        await update(db, account, number="999999", metadata=too_many)
    assert refused.value.problems[0].pointer == "/data/attributes/number"
    with pytest.raises(BadAttributes) as refused:
        await update(db, account, number=account.number, metadata=too_many)
    assert refused.value.problems[0].pointer == "/data/attributes/metadata"
    assert await update(db, account, number=account.number) == account
    assert await find(db, account) == account
    assert await event_types(db, issuer) == told_before


async def test_another_issuers_account_is_not_there(db: Database) -> None:
    issuer, other = await make_issuer(db), await make_issuer(db)
    account = await make_account(db, await make_cardholder(db, issuer))
    for account_id, issuer_id in ((account.id, other.id), (uuid7(), issuer.id)):
        with pytest.raises(CardAccountNotFound):
            await db.read(
                lambda tx, a=account_id, i=issuer_id: cards.find_account(
                    tx, issuer_id=i, account_id=a
                )
            )


async def test_a_balance_is_what_is_there_and_what_is_available(db: Database) -> None:
    account = await make_account(db, await make_cardholder(db, await make_issuer(db)))
    await move_one(db, make_topup(account, 10_000))
    (found,) = await db.read(lambda tx: ledger.balance(tx, [account.ledger_account_id]))
    assert found is not None
    assert (found.posted_minor, found.available_minor) == (10_000, 10_000)
