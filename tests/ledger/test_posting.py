"""The ledger's verbs: guards as tables in their order of precedence, then effects.

Most tests share one database, on accounts of their own.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bayon import ledger
from bayon.db import Database, Tx
from bayon.ids import uuid7
from bayon.ledger import (
    Account,
    Balance,
    Book,
    Capture,
    Decline,
    Expire,
    Hold,
    OpenAccount,
    PlaceHold,
    Post,
    Release,
    Transfer,
    store,
)
from bayon.money import AMOUNT_MINOR_MAX, Currency
from servers import Server

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOO_MUCH = AMOUNT_MINOR_MAX + 1
USD, KHR = Currency.USD, Currency.KHR

OPEN = {
    "source": OpenAccount(currency=USD, kind="system", name="source"),
    "riel source": OpenAccount(currency=KHR, kind="system", name="riel source"),
    "payer": OpenAccount(currency=USD),
    "payee": OpenAccount(currency=USD),
    "riel": OpenAccount(currency=KHR),
}


@dataclass(frozen=True)
class Town:
    """Accounts by what they are called here; the payer has 100, of which nothing is held."""

    db: Database
    ids: dict[str, UUID]

    async def post(self, debit: str, credit: str, amount_minor: int) -> Transfer | Decline:
        command = Post(
            debit_account_id=self.ids[debit],
            credit_account_id=self.ids[credit],
            amount_minor=amount_minor,
            cause_id=uuid7(),
        )
        (outcome,) = await self.db.transaction(lambda tx: ledger.post(tx, [command], now=NOW))
        return outcome

    async def hold(
        self, account: str, amount_minor: int, *, expires_at: datetime | None = None
    ) -> Hold | Decline:
        command = PlaceHold(
            account_id=self.ids[account],
            amount_minor=amount_minor,
            cause_id=uuid7(),
            expires_at=expires_at,
        )
        (outcome,) = await self.db.transaction(lambda tx: ledger.hold(tx, [command], now=NOW))
        return outcome

    async def held(self, amount_minor: int, *, expires_at: datetime | None = None) -> Hold:
        placed = await self.hold("payer", amount_minor, expires_at=expires_at)
        assert isinstance(placed, Hold)
        return placed

    async def capture(
        self,
        hold_id: UUID,
        amount_minor: int,
        *,
        credit: str = "payee",
        final: bool = True,
        above: bool = False,
    ) -> Transfer | Decline:
        command = Capture(
            hold_id=hold_id,
            credit_account_id=self.ids[credit],
            amount_minor=amount_minor,
            final=final,
            above=above,
        )
        (outcome,) = await self.db.transaction(lambda tx: ledger.capture(tx, [command], now=NOW))
        return outcome

    async def release(self, hold_id: UUID, amount_minor: int | None = None) -> Hold | Decline:
        command = Release(hold_id=hold_id, amount_minor=amount_minor)
        (outcome,) = await self.db.transaction(lambda tx: ledger.release(tx, [command], now=NOW))
        return outcome

    async def expire(self, hold_id: UUID, *, now: datetime = NOW) -> Hold | Decline:
        (outcome,) = await self.db.transaction(
            lambda tx: ledger.expire(tx, [Expire(hold_id=hold_id)], now=now)
        )
        return outcome

    async def balance(self, account: str) -> tuple[int, int]:
        """Tell posted and held."""
        (found,) = await self.db.read(lambda tx: ledger.balance(tx, [self.ids[account]]))
        assert found is not None
        assert found.available_minor == found.posted_minor - found.held_minor
        return found.posted_minor, found.held_minor


async def opened(db: Database, commands: Sequence[OpenAccount]) -> list[Account]:
    return await db.transaction(lambda tx: ledger.open_account(tx, commands, now=NOW))


@pytest.fixture(scope="module")
async def shared(server: Server) -> AsyncGenerator[Database]:
    url = await server.clone()
    db = await Database.connect(url)
    yield db
    found = await db.transaction(ledger.check, isolation="repeatable_read")
    # Captures above a hold overdraw, as clearing may.
    assert {finding.invariant for finding in found} <= {"no customer overdrawn"}
    await db.close()
    await server.drop(url)


@pytest.fixture
async def town(shared: Database) -> Town:
    db, mark = shared, uuid7()
    commands = [replace(c, name=c.name and f"{c.name} {mark}") for c in OPEN.values()]
    accounts = await opened(db, commands)
    ids = dict(zip(OPEN, (account.id for account in accounts), strict=True))
    made = Town(db, ids | {"nobody": uuid7()})
    assert isinstance(await made.post("source", "payer", 100), Transfer)
    return made


# post


@pytest.mark.parametrize(
    ("debit", "credit", "amount_minor", "decline"),
    [
        ("nobody", "nobody", 0, Decline.ACCOUNT_NOT_FOUND),
        ("nobody", "riel", 0, Decline.ACCOUNT_NOT_FOUND),
        ("payer", "nobody", 0, Decline.ACCOUNT_NOT_FOUND),
        ("payer", "payer", 0, Decline.ACCOUNTS_MUST_DIFFER),
        ("source", "source", 1, Decline.ACCOUNTS_MUST_DIFFER),
        ("payer", "riel", 0, Decline.CURRENCY_MISMATCH),
        ("riel source", "source", TOO_MUCH, Decline.CURRENCY_MISMATCH),
        ("payer", "payee", 0, Decline.AMOUNT_OUT_OF_RANGE),
        ("payer", "payee", -1, Decline.AMOUNT_OUT_OF_RANGE),
        ("payer", "payee", TOO_MUCH, Decline.AMOUNT_OUT_OF_RANGE),
        ("source", "payee", TOO_MUCH, Decline.AMOUNT_OUT_OF_RANGE),
        ("source", "payee", 2**63, Decline.AMOUNT_OUT_OF_RANGE),
        ("payer", "payee", 101, Decline.INSUFFICIENT_FUNDS),
        ("payer", "source", 101, Decline.INSUFFICIENT_FUNDS),
        ("payee", "payer", 1, Decline.INSUFFICIENT_FUNDS),
        ("payer", "payee", 100, None),
        ("payer", "source", 1, None),
        ("source", "payee", AMOUNT_MINOR_MAX, None),
    ],
)
async def test_post_says_no_in_order_or_moves(
    town: Town, debit: str, credit: str, amount_minor: int, decline: Decline | None
) -> None:
    outcome = await town.post(debit, credit, amount_minor)
    assert (outcome if isinstance(outcome, Decline) else None) == decline
    moved_minor = 0 if decline else amount_minor
    expected = {"source": -100, "payer": 100, "payee": 0, "riel": 0}
    if not decline:
        expected[debit] -= moved_minor
        expected[credit] += moved_minor
    assert {name: (await town.balance(name))[0] for name in expected} == expected


async def test_post_keeps_its_transfer_with_both_clocks(town: Town) -> None:
    happened, cause_id = NOW - timedelta(days=3), uuid7()
    command = Post(
        debit_account_id=town.ids["payer"],
        credit_account_id=town.ids["payee"],
        amount_minor=7,
        cause_id=cause_id,
        occurred_at=happened,
    )
    (made,) = await town.db.transaction(lambda tx: ledger.post(tx, [command], now=NOW))
    kept = await town.db.read(
        lambda tx: tx.row("SELECT * FROM ledger.transfer WHERE cause_id = $1", cause_id)
    )
    assert kept is not None
    assert isinstance(made, Transfer)
    assert made == Transfer(**dict(kept))
    assert (made.created_at, made.occurred_at) == (NOW, happened)
    moved = await town.db.read(lambda tx: ledger.moved(tx, [cause_id, uuid7()]))
    assert moved == {cause_id: [(town.ids["payer"], town.ids["payee"], 7)]}


async def test_what_is_held_cannot_be_posted(town: Town) -> None:
    await town.held(60)
    assert await town.post("payer", "payee", 41) == Decline.INSUFFICIENT_FUNDS
    assert isinstance(await town.post("payer", "payee", 40), Transfer)
    assert await town.balance("payer") == (60, 60)


async def test_a_customer_has_at_most_what_a_double_shows_to_the_cent(town: Town) -> None:
    assert isinstance(await town.post("source", "payee", AMOUNT_MINOR_MAX - 30), Transfer)
    assert await town.post("payer", "payee", 31) == Decline.AMOUNT_OUT_OF_RANGE
    assert await town.post("source", "payee", 31) == Decline.AMOUNT_OUT_OF_RANGE
    assert isinstance(await town.post("payer", "payee", 30), Transfer)
    hold = await town.held(1)
    assert await town.capture(hold.id, 1) == Decline.AMOUNT_OUT_OF_RANGE
    assert isinstance(await town.release(hold.id), Hold)
    assert await town.balance("payee") == (AMOUNT_MINOR_MAX, 0)
    assert isinstance(await town.post("payee", "payer", 1), Transfer)


async def test_a_system_account_has_no_limit(town: Town) -> None:
    accounts = await opened(town.db, [OpenAccount(currency=Currency.USD)] * 600)
    commands = [
        Post(
            debit_account_id=town.ids["source"],
            credit_account_id=account.id,
            amount_minor=AMOUNT_MINOR_MAX,
            cause_id=uuid7(),
        )
        for account in accounts
        for _ in range(2)
    ]
    outcomes = await town.db.transaction(lambda tx: ledger.post(tx, commands, now=NOW))
    assert [o for o in outcomes if isinstance(o, Decline)] == [Decline.AMOUNT_OUT_OF_RANGE] * 600
    assert (await town.balance("source"))[0] == -600 * AMOUNT_MINOR_MAX - 100


# hold


@pytest.mark.parametrize(
    ("account", "amount_minor", "decline"),
    [
        ("nobody", 0, Decline.ACCOUNT_NOT_FOUND),
        ("source", 0, Decline.ACCOUNT_NOT_FOUND),
        ("source", 1, Decline.ACCOUNT_NOT_FOUND),
        ("payee", 0, Decline.AMOUNT_OUT_OF_RANGE),
        ("payer", -1, Decline.AMOUNT_OUT_OF_RANGE),
        ("payer", TOO_MUCH, Decline.AMOUNT_OUT_OF_RANGE),
        ("payer", 101, Decline.INSUFFICIENT_FUNDS),
        ("payee", 1, Decline.INSUFFICIENT_FUNDS),
        ("payer", 100, None),
        ("payer", 1, None),
    ],
)
async def test_hold_says_no_in_order_or_reserves(
    town: Town, account: str, amount_minor: int, decline: Decline | None
) -> None:
    outcome = await town.hold(account, amount_minor)
    assert (outcome if isinstance(outcome, Decline) else None) == decline
    assert await town.balance("payer") == (100, 0 if decline else amount_minor)


async def test_hold_larger_than_available_is_declined(town: Town) -> None:
    await town.held(60)
    assert await town.hold("payer", 41) == Decline.INSUFFICIENT_FUNDS
    assert isinstance(await town.hold("payer", 40), Hold)
    assert await town.balance("payer") == (100, 100)


# capture


async def closed_hold(town: Town) -> UUID:
    hold = await town.held(10)
    assert isinstance(await town.release(hold.id), Hold)
    return hold.id


@pytest.mark.parametrize(
    ("hold", "credit", "amount_minor", "above", "decline"),
    [
        ("none", "nobody", 0, True, Decline.HOLD_NOT_FOUND),
        ("closed", "nobody", 0, True, Decline.HOLD_NOT_OPEN),
        ("open", "nobody", 0, True, Decline.ACCOUNT_NOT_FOUND),
        ("open", "payer", 0, True, Decline.ACCOUNTS_MUST_DIFFER),
        ("open", "riel", 0, True, Decline.CURRENCY_MISMATCH),
        ("open", "payee", 0, True, Decline.AMOUNT_OUT_OF_RANGE),
        ("open", "payee", -1, True, Decline.AMOUNT_OUT_OF_RANGE),
        ("open", "payee", TOO_MUCH, True, Decline.AMOUNT_OUT_OF_RANGE),
        ("open", "payee", TOO_MUCH, False, Decline.AMOUNT_OUT_OF_RANGE),
        ("open", "payee", 51, False, Decline.EXCEEDS_HOLD),
        ("open", "payee", 51, True, None),
        ("open", "payee", 50, False, None),
        ("open", "source", 50, False, None),
    ],
)
async def test_capture_says_no_in_order_or_moves(
    town: Town, hold: str, credit: str, amount_minor: int, *, above: bool, decline: Decline | None
) -> None:
    ids = {
        "none": uuid7(),
        "closed": await closed_hold(town),
        "open": (await town.held(50)).id,
    }
    outcome = await town.capture(ids[hold], amount_minor, credit=credit, above=above)
    assert (outcome if isinstance(outcome, Decline) else None) == decline
    assert await town.balance("payer") == ((100, 50) if decline else (100 - amount_minor, 0))


@pytest.mark.parametrize(
    ("amount_minor", "final", "above", "payer", "state", "open_minor"),
    [
        (50, True, False, (50, 0), "captured", 0),
        (50, False, False, (50, 0), "captured", 0),
        (20, True, False, (80, 0), "captured", 0),
        (20, False, False, (80, 30), "open", 30),
        (70, True, True, (30, 0), "captured", 0),
        (70, False, True, (30, 0), "captured", 0),
        (170, True, True, (-70, 0), "captured", 0),
        (20, False, True, (80, 30), "open", 30),
    ],
)
async def test_capture_in_part_in_full_and_above(
    town: Town,
    amount_minor: int,
    *,
    final: bool,
    above: bool,
    payer: tuple[int, int],
    state: str,
    open_minor: int,
) -> None:
    hold = await town.held(50)
    transfer = await town.capture(hold.id, amount_minor, final=final, above=above)
    assert isinstance(transfer, Transfer)
    assert (transfer.hold_id, transfer.cause_id) == (hold.id, hold.cause_id)
    assert await town.balance("payer") == payer
    assert await town.balance("payee") == (amount_minor, 0)
    row = await town.db.read(
        lambda tx: tx.row("SELECT state, open_minor FROM ledger.hold WHERE id = $1", hold.id)
    )
    assert row is not None
    assert tuple(row) == (state, open_minor)


async def test_hold_is_captured_piece_by_piece_and_no_further(town: Town) -> None:
    hold = await town.held(50)
    for amount_minor in (20, 30):
        assert isinstance(await town.capture(hold.id, amount_minor, final=False), Transfer)
    assert await town.capture(hold.id, 1) == Decline.HOLD_NOT_OPEN
    assert await town.balance("payer") == (50, 0)


async def test_capture_above_leaves_the_other_holds_alone(town: Town) -> None:
    hold, other = await town.held(50), await town.held(50)
    assert isinstance(await town.capture(hold.id, 80, above=True), Transfer)
    assert await town.balance("payer") == (20, 50)
    assert await town.post("payer", "payee", 1) == Decline.INSUFFICIENT_FUNDS
    assert isinstance(await town.capture(other.id, 50), Transfer)
    assert await town.balance("payer") == (-30, 0)


# release


@pytest.mark.parametrize(
    ("hold", "amount_minor", "decline"),
    [
        ("none", 0, Decline.HOLD_NOT_FOUND),
        ("closed", 0, Decline.HOLD_NOT_OPEN),
        ("closed", None, Decline.HOLD_NOT_OPEN),
        ("open", 0, Decline.AMOUNT_OUT_OF_RANGE),
        ("open", -1, Decline.AMOUNT_OUT_OF_RANGE),
        ("open", 51, Decline.EXCEEDS_HOLD),
        ("open", TOO_MUCH, Decline.EXCEEDS_HOLD),
        ("open", 1, None),
        ("open", 50, None),
        ("open", None, None),
    ],
)
async def test_release_says_no_in_order_or_gives_back(
    town: Town, hold: str, amount_minor: int | None, decline: Decline | None
) -> None:
    ids = {
        "none": uuid7(),
        "closed": await closed_hold(town),
        "open": (await town.held(50)).id,
    }
    outcome = await town.release(ids[hold], amount_minor)
    assert (outcome if isinstance(outcome, Decline) else None) == decline
    back_minor = 0 if decline else amount_minor or 50
    assert await town.balance("payer") == (100, 50 - back_minor)


async def test_hold_released_in_part_can_be_captured_for_the_rest_only(town: Town) -> None:
    hold = await town.held(50)
    part = await town.release(hold.id, 20)
    assert isinstance(part, Hold)
    assert (part.state, part.open_minor, part.amount_minor) == ("open", 30, 50)
    assert await town.capture(hold.id, 31) == Decline.EXCEEDS_HOLD
    assert isinstance(await town.capture(hold.id, 30), Transfer)
    assert await town.release(hold.id) == Decline.HOLD_NOT_OPEN


# expire


@pytest.mark.parametrize(
    ("hold", "after_s", "decline"),
    [
        ("none", 60, Decline.HOLD_NOT_FOUND),
        ("closed", 60, Decline.HOLD_NOT_OPEN),
        ("endless", 10**9, Decline.HOLD_NOT_DUE),
        ("open", 59, Decline.HOLD_NOT_DUE),
        ("open", 60, None),
        ("open", 61, None),
    ],
)
async def test_expire_says_no_in_order_or_gives_back(
    town: Town, hold: str, after_s: int, decline: Decline | None
) -> None:
    ids = {
        "none": uuid7(),
        "closed": await closed_hold(town),
        "open": (await town.held(30, expires_at=NOW + timedelta(seconds=60))).id,
        "endless": (await town.held(20)).id,
    }
    now = NOW + timedelta(seconds=after_s)
    outcome = await town.expire(ids[hold], now=now)
    assert (outcome if isinstance(outcome, Decline) else None) == decline
    assert await town.balance("payer") == (100, 50 if decline else 20)


# Batches


async def test_commands_of_one_batch_see_each_other_in_order(town: Town) -> None:
    def move(debit: str, credit: str, amount_minor: int) -> Post:
        ids = town.ids
        return Post(
            debit_account_id=ids[debit],
            credit_account_id=ids[credit],
            amount_minor=amount_minor,
            cause_id=uuid7(),
        )

    commands = [
        move("payee", "payer", 1),
        move("payer", "payee", 100),
        move("payer", "payee", 1),
        move("payee", "payer", 30),
        move("payer", "payee", 31),
        move("payer", "payee", 30),
    ]
    outcomes = await town.db.transaction(lambda tx: ledger.post(tx, commands, now=NOW))
    assert [isinstance(outcome, Transfer) for outcome in outcomes] == [
        *(False, True, False),
        *(True, False, True),
    ]
    assert (await town.balance("payer"), await town.balance("payee")) == ((0, 0), (100, 0))


async def test_one_hold_captured_twice_in_one_batch_is_captured_once(town: Town) -> None:
    hold = await town.held(50)
    command = Capture(hold_id=hold.id, credit_account_id=town.ids["payee"], amount_minor=50)
    outcomes = await town.db.transaction(lambda tx: ledger.capture(tx, [command, command], now=NOW))
    assert isinstance(outcomes[0], Transfer)
    assert outcomes[1] == Decline.HOLD_NOT_OPEN
    assert await town.balance("payee") == (50, 0)


async def test_hold_placed_and_closed_on_one_book_is_kept_closed(town: Town) -> None:
    async def work(tx: Tx) -> Hold:
        book = await ledger.load(tx, now=NOW, account_ids=list(town.ids.values()))
        placed = book.hold(account_id=town.ids["payer"], amount_minor=60, cause_id=uuid7())
        assert isinstance(placed, Hold)
        captured = book.capture(
            hold_id=placed.id, credit_account_id=town.ids["payee"], amount_minor=10
        )
        assert isinstance(captured, Transfer)
        await ledger.save(tx, book)
        return placed

    placed = await town.db.transaction(work)
    assert await town.release(placed.id) == Decline.HOLD_NOT_OPEN
    assert (await town.balance("payer"), await town.balance("payee")) == ((90, 0), (10, 0))


async def test_empty_batch_does_nothing(town: Town) -> None:
    async def work(tx: Tx) -> list[object]:
        return [
            *await ledger.open_account(tx, [], now=NOW),
            *await ledger.post(tx, [], now=NOW),
            *await ledger.hold(tx, [], now=NOW),
            *await ledger.capture(tx, [], now=NOW),
            *await ledger.release(tx, [], now=NOW),
            *await ledger.expire(tx, [], now=NOW),
        ]

    assert await town.db.transaction(work) == []


# Accounts


async def test_new_account_has_nothing_and_an_unknown_one_no_balance(town: Town) -> None:
    found = await town.db.read(
        lambda tx: ledger.balance(tx, [uuid7(), town.ids["riel"], town.ids["riel"]])
    )
    nothing = Balance(posted_minor=0, held_minor=0)
    assert found == [None, nothing, nothing]


async def test_named_account_is_opened_once_and_answered_as_it_is(db: Database) -> None:
    fees = OpenAccount(currency=USD, kind="system", name="fees")
    (first,) = await opened(db, [fees])
    (again,) = await opened(db, [OpenAccount(currency=KHR, kind="system", name="fees")])
    assert again == first
    found = await db.read(lambda tx: ledger.named_accounts(tx, ["fees", "none"]))
    assert found == {"fees": first}


async def test_name_given_twice_in_one_batch_is_one_account(db: Database) -> None:
    fees = OpenAccount(currency=USD, kind="system", name="fees")
    riel = OpenAccount(currency=KHR, kind="system", name="fees")
    accounts = await opened(db, [OpenAccount(currency=USD), fees, riel, OpenAccount(currency=USD)])
    assert accounts[1] == accounts[2]
    assert accounts[1].currency == USD
    assert len({account.id for account in accounts}) == 3


async def test_named_accounts_opened_at_once_in_any_order_are_one_each(database: str) -> None:
    pools = [await Database.connect(database, size_max=4) for _ in range(2)]
    names = [f"account {n:03}" for n in range(200)]
    commands = [OpenAccount(currency=USD, kind="system", name=name) for name in names]
    orders = [
        commands,
        commands[::-1],
        commands[99:] + commands[:99],
        commands[::2] + commands[1::2],
    ]
    attempts = 0

    async def once(db: Database, order: Sequence[OpenAccount]) -> list[Account]:
        async def work(tx: Tx) -> list[Account]:
            nonlocal attempts
            attempts += 1
            return await ledger.open_account(tx, order, now=NOW)

        return await db.transaction(work)

    told = await asyncio.gather(
        *(once(pool, order) for pool in pools for order in (*orders, *orders))
    )
    sets = {frozenset(account.id for account in accounts) for accounts in told}
    assert len(sets) == 1
    rows = await pools[0].read(lambda tx: tx.rows("SELECT account_id, slot FROM ledger.balance"))
    assert len(rows) == 200 * 8
    # Names are inserted in their order: nobody met a deadlock.
    assert attempts == len(told)
    for pool in pools:
        await pool.close()


# Slots of system accounts


async def post_in_slot(town: Town, slot: int, amount_minor: int) -> None:
    """Post as a process does that has another slot than this one."""

    async def work(tx: Tx) -> None:
        ids = sorted([town.ids["source"], town.ids["payee"]])
        book = Book(now=NOW, lines=await store.lock_balances(tx, ids, slot=slot))
        assert {line.slot for line in book.lines.values()} == {0, slot}
        outcome = book.post(
            debit_account_id=town.ids["source"],
            credit_account_id=town.ids["payee"],
            amount_minor=amount_minor,
            cause_id=uuid7(),
        )
        assert isinstance(outcome, Transfer)
        await ledger.save(tx, book)

    await town.db.transaction(work)


async def test_balance_of_a_system_account_is_the_sum_of_its_slots(town: Town) -> None:
    for slot in range(1, 9):
        await post_in_slot(town, slot, slot)
    assert await town.balance("source") == (-136, 0)
    assert await town.balance("payee") == (36, 0)
    rows = await town.db.read(
        lambda tx: tx.rows(
            "SELECT posted_minor FROM ledger.balance WHERE account_id = $1 ORDER BY slot",
            town.ids["source"],
        )
    )
    assert len(rows) == 8
    assert sum(row["posted_minor"] for row in rows) == -136


async def test_slots_of_a_system_account_do_not_wait_for_each_other(town: Town) -> None:
    source_id = town.ids["source"]

    async def other(tx: Tx) -> int:
        (line,) = await store.lock_balances(tx, [source_id], slot=2)
        return line.slot

    async def one(tx: Tx) -> int:
        await store.lock_balances(tx, [source_id], slot=1)
        async with asyncio.timeout(2):
            return await town.db.transaction(other)

    assert await town.db.transaction(one) == 2
