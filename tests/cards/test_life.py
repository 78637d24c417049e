"""The whole life of a card's transactions, in any order, agrees with a small model of it.

Authorise, increment, reverse, clear, expire, refund, force post, stand-in advice, the same again,
a restart: after each step the account and every transaction are as the model says.
"""

import asyncio
import os
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from bayon import cards, ledger
from bayon.batch import Key, Reply, Request
from bayon.cards import (
    Advise,
    Authorize,
    Clear,
    Desk,
    Expire,
    Increment,
    Move,
    Moved,
    NotPending,
    Original,
    Present,
    Reverse,
    Trace,
    TransactionNotFound,
)
from bayon.cards.model import Status
from bayon.db import Database
from bayon.ids import uuid7
from cards_factories import (
    RIDES,
    Purse,
    balance_of,
    make_authorize,
    make_desk,
    make_purse,
    make_topup,
)

T = TypeVar("T")

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
SETTINGS: Final = settings(
    max_examples=400 if LONG else 12,
    stateful_step_count=50 if LONG else 20,
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow,),
)
AMOUNTS: Final = st.sampled_from((1, 20, 40, 60, 100, 400))
FUNDS: Final = 400


@dataclass
class Made:
    """A transaction as the model has it; `once`: one message, which a reversal may take back."""

    status: Status
    amount: int
    once: bool = False
    trace: Trace | None = None

    @property
    def held(self) -> int:
        return self.amount if self.status == "pending" else 0


@dataclass
class Model:
    """One account."""

    posted: int = FUNDS
    made: list[Made] = field(default_factory=list[Made])

    @property
    def available(self) -> int:
        return self.posted - sum(each.held for each in self.made)

    def add(self, status: Status, amount: int, *, once: bool = False) -> None:
        self.made.append(Made(status, amount, once))
        if status == "settled":
            self.posted -= amount

    def authorize(self, amount: int, *, posts: bool, partial: bool) -> None:
        if partial and 0 < self.available < amount:
            amount = self.available
        there = amount <= self.available
        status: Status = "declined" if not there else "settled" if posts else "pending"
        self.add(status, amount, once=posts)

    def increment(self, each: Made, amount: int) -> None:
        if each.status != "pending":
            return
        if amount > self.available:
            self.add("declined", amount)
        else:
            each.amount += amount

    def reverse(self, each: Made, taken: int) -> None:
        taken = min(taken, each.amount)
        back = each.status == "settled" and each.once
        if taken <= 0 or not (back or each.status == "pending"):
            return
        self.posted += taken if back else 0
        if taken == each.amount:
            each.status = "reversed"
        else:
            each.amount -= taken

    def clear(self, each: Made, amount: int, *, final: bool) -> None:
        if each.status not in {"pending", "expired"}:
            return
        if amount < each.amount and not final:
            each.amount -= amount
            self.add("settled", amount)
        else:
            each.status, each.amount = "settled", amount
            self.posted -= amount

    def complete(self, each: Made | None, amount: int) -> None:
        if each is not None and each.status in {"pending", "expired"}:
            self.clear(each, amount, final=True)
        elif each is None or (each.status, each.amount) != ("settled", amount):
            self.add("settled", amount, once=True)

    def advise(self, each: Made | None, amount: int, *, approved: bool) -> None:
        holds = approved and amount > 0
        if each is not None and (each.status == "pending" or (each.status == "expired" and holds)):
            each.status = "pending" if holds else "reversed"
            each.amount = amount if holds else each.amount
        elif each is None and amount > 0:
            self.add("pending" if approved else "declined", amount)
        elif each is not None and holds and each.status == "declined":
            self.add("pending", amount)


class Life(RuleBasedStateMachine):
    """Does to the database what it does to the model; runs in a thread beside the loop."""

    def __init__(self, db: Database, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.db: Database = db
        self.loop: asyncio.AbstractEventLoop = loop
        self.model: Model = Model()
        self.ids: list[str] = []
        self.asked: list[tuple[Request[Move, Moved], bytes]] = []
        self.wait(self.open())

    def wait(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def open(self) -> None:
        self.purse: Purse = await make_purse(self.db, usd_minor=FUNDS)
        self.desk: Desk = make_desk(self.db)
        self.digest: bytes = await self.db.read(
            lambda tx: tx.value(
                "SELECT pan_digest FROM cards.card WHERE id = $1", self.purse.card.id
            )
        )

    def ask(self, command: Move) -> Moved | None:
        """Ask once, and note what it comes to; none where there was nothing to do."""
        key = Key.of("life", key=secrets.token_hex(8), body=b"")
        request = Request[Move, Moved](command=command, render=_rendered, keys=(key,))
        try:
            reply = self.wait(self.put(request))
        except (NotPending, TransactionNotFound):
            return None
        assert reply.outcome is not None
        self.asked.append((request, reply.answer))
        return reply.outcome

    async def put(self, request: Request[Move, Moved]) -> Reply[Moved]:
        return await self.desk.put(request)

    def trace(self, mti: str) -> Trace:
        return Trace(message_id=uuid7(), mti=mti, rrn=secrets.token_hex(6), terminal="T1")

    def original(self, trace: Trace | None) -> Original:
        message_id = trace.message_id if trace else uuid7()
        return Original(message_id=message_id, pan_digest=self.digest)

    def one(self, which: int) -> tuple[Made, dict[str, object]]:
        at = which % len(self.model.made)
        row = self.wait(self.rows())[at]
        named = {"issuer_id": self.purse.issuer.id, "transaction_id": row["id"]}
        return self.model.made[at], named

    async def rows(self) -> list[dict[str, object]]:
        rows = await self.db.read(
            lambda tx: tx.rows(
                """
                SELECT id, status, amount_minor FROM cards.transaction
                WHERE card_id = $1 ORDER BY seq
                """,
                self.purse.card.id,
            )
        )
        return [dict(row) for row in rows]

    @rule(amount=AMOUNTS, posts=st.booleans(), partial=st.booleans())
    def authorize(self, amount: int, posts: bool, partial: bool) -> None:  # noqa: FBT001 - drawn
        trace = self.trace("0200" if posts else "0100")
        command = make_authorize(
            self.purse.card, amount, posts=posts, partial_allowed=partial, trace=trace
        )
        self.model.authorize(amount, posts=posts, partial=partial)
        self.model.made[-1].trace = trace
        self.ask(command)

    @rule(which=st.integers(0, 99), amount=AMOUNTS)
    def increment(self, which: int, amount: int) -> None:
        if self.model.made:
            each, named = self.one(which)
            self.model.increment(each, amount)
            self.ask(Increment(amount_minor=amount, **named))  # pyright: ignore[reportArgumentType] - ids

    @rule(which=st.integers(0, 99), amount=st.one_of(st.none(), AMOUNTS))
    def reverse(self, which: int, amount: int | None) -> None:
        if self.model.made:
            each, named = self.one(which)
            self.model.reverse(each, each.amount if amount is None else amount)
            self.ask(Reverse(amount_minor=amount, **named))  # pyright: ignore[reportArgumentType] - ids

    @rule(which=st.integers(0, 99), remaining=st.one_of(st.just(0), AMOUNTS))
    def reverse_by_message(self, which: int, remaining: int) -> None:
        traced = [each for each in self.model.made if each.trace is not None]
        if not traced:
            self.ask(Reverse(original=self.original(None), remaining_minor=remaining))
            return
        each = traced[which % len(traced)]
        self.model.reverse(each, each.amount - remaining)
        self.ask(Reverse(original=self.original(each.trace), remaining_minor=remaining))

    @rule(which=st.integers(0, 99), amount=st.one_of(st.none(), AMOUNTS), final=st.booleans())
    def clear(self, which: int, amount: int | None, final: bool) -> None:  # noqa: FBT001 - drawn
        if self.model.made:
            each, named = self.one(which)
            self.model.clear(each, each.amount if amount is None else amount, final=final)
            self.ask(Clear(amount_minor=amount, final=final, **named))  # pyright: ignore[reportArgumentType] - ids

    @rule(which=st.integers(0, 99))
    def expire(self, which: int) -> None:
        if self.model.made:
            each, named = self.one(which)
            each.status = "expired" if each.status == "pending" else each.status
            self.ask(Expire(**named))  # pyright: ignore[reportArgumentType] - ids

    @rule(amount=AMOUNTS)
    def refund(self, amount: int) -> None:
        self.model.made.append(Made("settled", amount))
        self.model.posted += amount
        self.ask(self.presented(amount, None))

    @rule(which=st.integers(0, 99), amount=AMOUNTS, known=st.booleans())
    def complete(self, which: int, amount: int, known: bool) -> None:  # noqa: FBT001 - drawn
        traced = [each for each in self.model.made if each.trace is not None]
        each = traced[which % len(traced)] if traced and known else None
        before = len(self.model.made)
        self.model.complete(each, amount)
        command = self.presented(amount, self.original(each.trace if each else None))
        if len(self.model.made) > before:
            self.model.made[-1].trace = command.trace
        self.ask(command)

    def presented(self, amount: int, original: Original | None) -> Present:
        return Present(
            pan_digest=self.digest,
            amount_minor=amount,
            adjustment="credit" if original is None else "debit",
            merchant=RIDES,
            original=original,
            trace=self.trace("0220") if original is not None else None,
        )

    @rule(
        which=st.integers(0, 99),
        amount=st.one_of(st.just(0), AMOUNTS),
        known=st.booleans(),
        approved=st.sampled_from((True, True, False)),
    )
    def advise(self, which: int, amount: int, known: bool, approved: bool) -> None:  # noqa: FBT001 - drawn
        traced = [each for each in self.model.made if each.trace is not None]
        each = traced[which % len(traced)] if traced and known else None
        trace = self.trace("0120")
        before = len(self.model.made)
        self.model.advise(each, amount, approved=approved)
        if len(self.model.made) > before:
            self.model.made[-1].trace = trace
        spend: Authorize = make_authorize(self.purse.card, amount, trace=trace)
        request = replace(spend, pan_digest=self.digest)
        original = self.original(each.trace if each else None)
        self.ask(Advise(request=request, original=original, approved=approved))

    @rule(amount=AMOUNTS)
    def top_up(self, amount: int) -> None:
        self.model.posted += amount
        self.ask(make_topup(self.purse.account, amount))

    @rule(which=st.integers(0, 99))
    def say_again(self, which: int) -> None:
        if self.asked:
            request, answer = self.asked[which % len(self.asked)]
            reply = self.wait(self.put(request))
            assert (reply.answer, reply.outcome) == (answer, None)

    @rule()
    def restart(self) -> None:
        self.desk = make_desk(self.db)

    @invariant()
    def the_account_is_as_in_the_model(self) -> None:
        found = self.wait(balance_of(self.db, self.purse.account))
        assert (found.posted_minor, found.available_minor) == (
            self.model.posted,
            self.model.available,
        )

    @invariant()
    def every_transaction_is_as_in_the_model(self) -> None:
        found = [(row["status"], row["amount_minor"]) for row in self.wait(self.rows())]
        assert found == [(each.status, each.amount) for each in self.model.made]

    def teardown(self) -> None:
        for check in (ledger.check, cards.check):
            assert self.wait(self.db.transaction(check, isolation="repeatable_read")) == []


def _rendered(moved: Moved) -> bytes:
    status = moved.transaction.status if moved.transaction else "none"
    return f"{status} {secrets.token_hex(8)}".encode()


async def test_a_life_in_any_order_agrees_with_the_model(db: Database) -> None:
    loop = asyncio.get_running_loop()

    class Machine(Life):
        def __init__(self) -> None:
            super().__init__(db, loop)

    await asyncio.to_thread(run_state_machine_as_test, Machine, settings=SETTINGS)
