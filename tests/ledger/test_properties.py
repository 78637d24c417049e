"""The ledger against a model of plain dicts, and one batch against many.

Long with BAYON_TEST_EXAMPLES=long.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Coroutine, Generator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType] - untyped there
)

from bayon import ledger
from bayon.db import Database, Tx
from bayon.ids import uuid7
from bayon.ledger import (
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
)
from bayon.money import Currency
from servers import Server

T = TypeVar("T")

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
START: Final = datetime(2026, 1, 2, tzinfo=UTC)
LARGEST_MINOR: Final = 10**15 - 1


class Step(NamedTuple):
    """One command, in numbers: accounts and holds are counted in the order of their making."""

    verb: Literal["post", "hold", "capture", "release", "expire"]
    account: int
    other: int
    hold: int
    amount: int
    minutes: int | None
    whole: bool
    above: bool


# The model.


class Model:
    """What a ledger is, said once more: accounts and holds by number, amounts in dicts."""

    def __init__(self, accounts: Sequence[OpenAccount]) -> None:
        self.minute: int = 0
        self.currency: dict[int, str] = {n: a.currency.value for n, a in enumerate(accounts)}
        self.limited: set[int] = {n for n, a in enumerate(accounts) if a.kind == "customer"}
        self.posted: defaultdict[int, int] = defaultdict(int)
        self.reserved: dict[int, int] = {}
        self.owner: dict[int, int] = {}
        self.due: dict[int, float] = {}

    def held(self, account: int) -> int:
        return sum(n for hold, n in self.reserved.items() if self.owner[hold] == account)

    def do(self, step: Step) -> str:
        if step.verb in {"post", "hold"}:
            return self.post(step) if step.verb == "post" else self.place(step)
        if step.hold not in self.owner:
            return "hold_not_found"
        if not self.reserved[step.hold]:
            return "hold_not_open"
        return {"capture": self.capture, "release": self.release}.get(step.verb, self.expire)(step)

    def post(self, step: Step) -> str:
        short = self.posted[step.account] - self.held(step.account) < step.amount
        refused = self.cannot_move(step.account, step.other, step.amount)
        if not refused and step.account in self.limited and short:
            return "insufficient_funds"
        return refused or self.move(step.account, step.other, step.amount)

    def place(self, step: Step) -> str:
        if step.account not in self.limited:
            return "account_not_found"
        if not 1 <= step.amount <= LARGEST_MINOR:
            return "amount_out_of_range"
        if self.posted[step.account] - self.held(step.account) < step.amount:
            return "insufficient_funds"
        hold = len(self.owner)
        self.owner[hold], self.reserved[hold] = step.account, step.amount
        self.due[hold] = float("inf") if step.minutes is None else self.minute + step.minutes
        return "ok"

    def capture(self, step: Step) -> str:
        reserved, owner = self.reserved[step.hold], self.owner[step.hold]
        refused = self.cannot_move(owner, step.other, step.amount)
        if refused or (step.amount > reserved and not step.above):
            return refused or "exceeds_hold"
        self.reserved[step.hold] = 0 if step.whole else max(0, reserved - step.amount)
        return self.move(owner, step.other, step.amount)

    def release(self, step: Step) -> str:
        given_back = self.reserved[step.hold] if step.whole else step.amount
        if not 1 <= given_back <= self.reserved[step.hold]:
            return "exceeds_hold" if given_back > 0 else "amount_out_of_range"
        self.reserved[step.hold] -= given_back
        return "ok"

    def expire(self, step: Step) -> str:
        if self.due[step.hold] > self.minute:
            return "hold_not_due"
        self.reserved[step.hold] = 0
        return "ok"

    def cannot_move(self, debit: int, credit: int, amount: int) -> str:
        if not {debit, credit} <= set(self.currency):
            return "account_not_found"
        if debit == credit:
            return "accounts_must_differ"
        if self.currency[debit] != self.currency[credit]:
            return "currency_mismatch"
        full = credit in self.limited and self.posted[credit] + amount > LARGEST_MINOR
        return "" if 1 <= amount <= LARGEST_MINOR and not full else "amount_out_of_range"

    def move(self, debit: int, credit: int, amount: int) -> str:
        self.posted[debit] -= amount
        self.posted[credit] += amount
        return "ok"


# The real one.


class Hand:
    """A database and a loop of its own, for tests that are not asynchronous themselves."""

    def __init__(self, server: Server) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self.url: str = self.run(server.clone())
        self.db: Database = self.run(Database.connect(self.url, size_max=2))

    def run(self, doing: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(doing)

    def check(self) -> None:
        found = self.run(self.db.transaction(ledger.check, isolation="repeatable_read"))
        # Captures above a hold overdraw, as clearing may.
        assert {finding.invariant for finding in found} <= {"no customer overdrawn"}

    def close(self, server: Server) -> None:
        self.run(self.db.close())
        self.run(server.drop(self.url))
        self.loop.close()


class World:
    """Fresh accounts in the database, and how to do steps with them."""

    def __init__(self, hand: Hand, accounts: Sequence[OpenAccount]) -> None:
        self.hand: Hand = hand
        self.now: datetime = START
        opened = hand.run(
            hand.db.transaction(lambda tx: ledger.open_account(tx, accounts, now=START))
        )
        self.ids: dict[int, UUID] = {n: account.id for n, account in enumerate(opened)}
        self.holds: dict[int, UUID] = {}

    def account(self, number: int) -> UUID:
        return self.ids.get(number) or uuid7()

    def hold(self, number: int) -> UUID:
        return self.holds.get(number) or uuid7()

    def told(self, outcome: Transfer | Hold | Decline, step: Step) -> str:
        """Name an outcome; a hold that was placed gets its number."""
        if isinstance(outcome, Hold) and step.verb == "hold":
            self.holds[len(self.holds)] = outcome.id
        return outcome.value if isinstance(outcome, Decline) else "ok"

    def balances(self) -> list[tuple[int, int]]:
        doing = self.hand.db.read(lambda tx: ledger.balance(tx, list(self.ids.values())))
        found = self.hand.run(doing)
        return [(each.posted_minor, each.held_minor) for each in found if each is not None]

    def by_verb(self, steps: Sequence[Step]) -> list[str]:
        """Do steps of one verb in one call of it."""

        async def work(tx: Tx) -> Sequence[Transfer | Hold | Decline]:
            match steps[0].verb:
                case "post":
                    return await ledger.post(tx, [self.post(s) for s in steps], now=self.now)
                case "hold":
                    return await ledger.hold(tx, [self.place(s) for s in steps], now=self.now)
                case "capture":
                    return await ledger.capture(tx, [self.capture(s) for s in steps], now=self.now)
                case "release":
                    return await ledger.release(tx, [self.release(s) for s in steps], now=self.now)
                case "expire":
                    commands = [Expire(hold_id=self.hold(s.hold)) for s in steps]
                    return await ledger.expire(tx, commands, now=self.now)

        outcomes = self.hand.run(self.hand.db.transaction(work))
        return [self.told(outcome, s) for outcome, s in zip(outcomes, steps, strict=True)]

    def by_book(self, steps: Sequence[Step]) -> list[str]:
        """Do steps of any verbs on one book, as the rooms above do."""

        async def work(tx: Tx) -> list[str]:
            book = await ledger.load(
                tx, now=self.now, account_ids=self.ids.values(), hold_ids=self.holds.values()
            )
            told = [self.told(self.decide(book, step), step) for step in steps]
            await ledger.save(tx, book)
            return told

        return self.hand.run(self.hand.db.transaction(work))

    def decide(self, book: Book, step: Step) -> Transfer | Hold | Decline:
        match step.verb:
            case "post":
                return book.post(**asdict(self.post(step)))
            case "hold":
                return book.hold(**asdict(self.place(step)))
            case "capture":
                return book.capture(**asdict(self.capture(step)))
            case "release":
                return book.release(**asdict(self.release(step)))
            case "expire":
                return book.expire(hold_id=self.hold(step.hold))

    def post(self, step: Step) -> Post:
        return Post(
            debit_account_id=self.account(step.account),
            credit_account_id=self.account(step.other),
            amount_minor=step.amount,
            cause_id=uuid7(),
        )

    def place(self, step: Step) -> PlaceHold:
        minutes = step.minutes
        return PlaceHold(
            account_id=self.account(step.account),
            amount_minor=step.amount,
            cause_id=uuid7(),
            expires_at=None if minutes is None else self.now + timedelta(minutes=minutes),
        )

    def capture(self, step: Step) -> Capture:
        return Capture(
            hold_id=self.hold(step.hold),
            credit_account_id=self.account(step.other),
            amount_minor=step.amount,
            final=step.whole,
            above=step.above,
        )

    def release(self, step: Step) -> Release:
        amount_minor = None if step.whole else step.amount
        return Release(hold_id=self.hold(step.hold), amount_minor=amount_minor)


# What may happen. Numbers are few, so that steps meet; some name nothing.

amounts = st.integers(0, 60) | st.sampled_from((-1, LARGEST_MINOR, LARGEST_MINOR + 1))


def steps(*verbs: str, most: int) -> st.SearchStrategy[list[Step]]:
    step = st.builds(
        Step,
        verb=st.sampled_from(verbs),
        account=st.integers(-1, 5),
        other=st.integers(-1, 5),
        hold=st.integers(-1, 7),
        amount=amounts,
        minutes=st.none() | st.integers(-1, 9),
        whole=st.booleans(),
        above=st.booleans(),
    )
    return st.lists(step, min_size=1, max_size=most)


def town() -> list[OpenAccount]:
    """Two sources and four customers, one of them in riel."""
    mark = uuid7()
    sources = [OpenAccount(currency=c, kind="system", name=f"{c} {mark}") for c in Currency]
    dollars = [OpenAccount(currency=Currency.USD) for _ in range(3)]
    return [*sources, *dollars, OpenAccount(currency=Currency.KHR)]


FUNDS: Final = [
    Step("post", source, customer, -1, 100, None, whole=True, above=False)
    for source, customer in ((0, 2), (0, 3), (1, 5))
]


class Machine(RuleBasedStateMachine):
    """Every rule is one call of one verb, on the database and on the model."""

    def __init__(self, hand: Hand) -> None:
        super().__init__()
        accounts = town()
        self.model: Model = Model(accounts)
        self.world: World = World(hand, accounts)

    @initialize()
    def fund(self) -> None:
        self.both(FUNDS)

    @rule(minutes=st.integers(1, 5))
    def wait(self, minutes: int) -> None:
        self.model.minute += minutes
        self.world.now += timedelta(minutes=minutes)

    @rule(some=steps("post", most=4))
    def post(self, some: list[Step]) -> None:
        self.both(some)

    @rule(some=steps("hold", most=4))
    def hold(self, some: list[Step]) -> None:
        self.both(some)

    @rule(some=steps("capture", most=4))
    def capture(self, some: list[Step]) -> None:
        self.both(some)

    @rule(some=steps("release", most=3))
    def release(self, some: list[Step]) -> None:
        self.both(some)

    @rule(some=steps("expire", most=3))
    def expire(self, some: list[Step]) -> None:
        self.both(some)

    @rule(some=steps("post", "hold", "capture", "release", "expire", most=12))
    def everything_at_once(self, some: list[Step]) -> None:
        self.both(some, by_book=True)

    def both(self, some: list[Step], *, by_book: bool = False) -> None:
        do = self.world.by_book if by_book else self.world.by_verb
        assert do(some) == [self.model.do(step) for step in some]
        numbers = range(len(self.world.ids))
        expected = [(self.model.posted[n], self.model.held(n)) for n in numbers]
        assert self.world.balances() == expected

    def teardown(self) -> None:
        self.world.hand.check()


@pytest.fixture(scope="module")
def hand(server: Server) -> Generator[Hand]:
    made = Hand(server)
    yield made
    made.close(server)


def few_or_many(few: int, many: int) -> settings:
    return settings(
        max_examples=many if LONG else few,
        stateful_step_count=50 if LONG else 15,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def test_ledger_agrees_with_its_model(hand: Hand) -> None:
    class OnThisHand(Machine):
        def __init__(self) -> None:
            super().__init__(hand)

    run_state_machine_as_test(OnThisHand, settings=few_or_many(60, 300))


@few_or_many(60, 600)
@given(
    before=steps("post", "hold", most=8),
    some=steps("post", "hold", "capture", "release", "expire", most=20),
)
def test_one_batch_is_exactly_its_commands_one_by_one(
    hand: Hand, before: list[Step], some: list[Step]
) -> None:
    together, apart = (World(hand, town()) for _ in range(2))
    for world in (together, apart):
        world.by_book([*FUNDS, *before])
        world.now += timedelta(minutes=5)
    assert together.by_book(some) == [told for step in some for told in apart.by_book([step])]
    assert together.balances() == apart.balances()
    assert holds_of(together) == holds_of(apart)
    hand.check()


def holds_of(world: World) -> list[tuple[object, ...]]:
    """Tell how each hold stands, in the order of their placing."""
    doing = world.hand.db.read(
        lambda tx: tx.rows(
            """
            SELECT hold.state, hold.amount_minor, hold.open_minor, hold.expires_at
            FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, n)
            JOIN ledger.hold USING (id) ORDER BY n
            """,
            list(world.holds.values()),
        )
    )
    return [tuple(row) for row in world.hand.run(doing)]
