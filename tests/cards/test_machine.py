"""Any order of top-ups, requests, clearings, PINs and states agrees with a small model of money."""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bayon import cards, ledger
from bayon.cards import Authorize, BadAttributes, Card, FeeRule, Move, NotPending, Transaction
from bayon.cards.authorize import PIN_TRIES_MAX
from bayon.cards.model import FINAL, CardStatus, Kind
from bayon.db import Database
from bayon.errors import BayonError
from cards_factories import (
    PIN,
    WRONG_PIN,
    make_account,
    make_authorize,
    make_card,
    make_clear,
    make_purse,
    make_topup,
    move_all,
    set_cash_fee,
)

T = TypeVar("T")

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
SETTINGS: Final = settings(
    max_examples=300 if LONG else 10,
    stateful_step_count=40 if LONG else 8,
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow,),
)
START: Final = datetime(2026, 1, 17, tzinfo=UTC)
FEE: Final = FeeRule(flat_minor=3, basis_points=200)
ACCOUNT_OF: Final = (0, 0, 1)
"""Whose account each card spends from: two share one."""


@dataclass(frozen=True)
class Ask:
    """A request with a card; `pin` is whether it comes with one, and whether that is right."""

    card: int
    amount_minor: int
    kind: Kind
    pin: bool | None
    partial: bool


@dataclass(frozen=True)
class Clearing:
    """A wish to clear the n-th transaction of all that were made."""

    which: int
    amount_minor: int | None
    final: bool


@dataclass(frozen=True)
class Funding:
    """Money for an account."""

    account: int
    amount_minor: int


@dataclass
class Made:
    """A transaction as it should be."""

    account: int
    status: str
    amount_minor: int

    @property
    def pending(self) -> bool:
        return self.status == "pending"


@dataclass
class Model:
    """What there should be: pure, one command after the other."""

    posted: list[int] = field(default_factory=lambda: [400, 400])
    statuses: list[str] = field(default_factory=lambda: ["active"] * 3)
    tries: list[int] = field(default_factory=lambda: [0] * 3)
    made: list[Made] = field(default_factory=list[Made])

    def held(self, account: int) -> int:
        return sum(m.amount_minor for m in self.made if m.account == account and m.pending)

    def available(self, account: int) -> int:
        return self.posted[account] - self.held(account)

    def reason(self, ask: Ask, fee_minor: int) -> str | None:
        status = self.statuses[ask.card]
        if status != "active":
            return f"card_{status}"
        if ask.pin is not None:
            if self.tries[ask.card] == PIN_TRIES_MAX:
                return "pin_tries_exceeded"
            self.tries[ask.card] = 0 if ask.pin else self.tries[ask.card] + 1
            if not ask.pin:
                return "pin_wrong"
        there_minor = self.available(ACCOUNT_OF[ask.card])
        enough = there_minor >= ask.amount_minor + fee_minor
        cut = ask.partial and ask.kind == "purchase" and there_minor > 0
        return None if enough or cut else "insufficient_funds"

    def ask(self, ask: Ask) -> tuple[str, str | None, int]:
        account = ACCOUNT_OF[ask.card]
        fee_minor = FEE.of(ask.amount_minor) if ask.kind == "cash_withdrawal" else 0
        amount_minor = ask.amount_minor + fee_minor
        reason = self.reason(ask, fee_minor)
        if reason is None and ask.kind == "purchase":
            amount_minor = min(amount_minor, self.available(account))
        if reason is None and ask.kind == "cash_withdrawal":
            self.posted[account] -= amount_minor
        approved = "pending" if ask.kind == "purchase" else "settled"
        status = "declined" if reason else approved
        self.made.append(Made(account, status, amount_minor))
        return status, reason, amount_minor

    def fund(self, funding: Funding) -> tuple[str, str | None, int]:
        self.posted[funding.account] += funding.amount_minor
        self.made.append(Made(funding.account, "settled", funding.amount_minor))
        return "settled", None, funding.amount_minor

    def clear(self, clearing: Clearing) -> tuple[str, str | None, int] | type[BayonError]:
        made = self.made[clearing.which]
        if made.status != "pending":
            return NotPending
        cleared_minor = made.amount_minor
        if clearing.amount_minor is not None:
            cleared_minor = clearing.amount_minor
        if cleared_minor == 0:
            return BadAttributes
        self.posted[made.account] -= cleared_minor
        if clearing.final or cleared_minor >= made.amount_minor:
            made.status, made.amount_minor = "settled", cleared_minor
        else:
            made.amount_minor -= cleared_minor
            self.made.append(Made(made.account, "settled", cleared_minor))
        return "settled", None, cleared_minor


Wish = Ask | Clearing | Funding
ASKS: Final = st.builds(
    Ask,
    card=st.integers(0, 2),
    amount_minor=st.sampled_from((1, 20, 40, 60, 100)),
    kind=st.sampled_from(("purchase", "purchase", "cash_withdrawal")),
    pin=st.sampled_from((None, True, False, False)),
    partial=st.booleans(),
)
FUNDINGS: Final = st.builds(
    Funding, account=st.integers(0, 1), amount_minor=st.sampled_from((20, 60, 100))
)
CLEARINGS: Final = st.builds(
    Clearing,
    which=st.integers(0, 200),
    amount_minor=st.sampled_from((None, None, 0, 1, 20, 60, 150, 400)),
    final=st.booleans(),
)


class CardsMachine(RuleBasedStateMachine):
    """Does to the database what it does to the model; runs in a thread beside the loop."""

    def __init__(self, db: Database, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.db: Database = db
        self.loop: asyncio.AbstractEventLoop = loop
        self.model: Model = Model()
        self.now: datetime = START
        self.made: list[Transaction] = []
        self.wait(self.open())

    def wait(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def open(self) -> None:
        purse = await make_purse(self.db, usd_minor=400)
        await set_cash_fee(self.db, purse.issuer, FEE)
        self.accounts: list[cards.Account] = [
            purse.account,
            await make_account(self.db, purse.cardholder, usd_minor=400),
        ]
        self.cards: list[Card] = [
            await make_card(self.db, self.accounts[account]) for account in ACCOUNT_OF
        ]

    def command(self, wish: Wish) -> Move:
        match wish:
            case Ask():
                pin = {None: None, True: PIN, False: WRONG_PIN}[wish.pin]
                asked: Authorize = make_authorize(
                    self.cards[wish.card],
                    wish.amount_minor,
                    kind=wish.kind,
                    pin=pin,
                    partial_allowed=wish.partial,
                )
                return asked
            case Funding():
                return make_topup(self.accounts[wish.account], wish.amount_minor)
            case Clearing():
                return make_clear(self.made[wish.which], wish.amount_minor, final=wish.final)

    def expect(self, wish: Wish) -> tuple[str, str | None, int] | type[BayonError]:
        match wish:
            case Ask():
                return self.model.ask(wish)
            case Funding():
                return self.model.fund(wish)
            case Clearing():
                return self.model.clear(wish)

    @rule(wishes=st.lists(st.one_of(ASKS, ASKS, FUNDINGS, CLEARINGS), min_size=8, max_size=24))
    def move(self, wishes: list[Wish]) -> None:
        # Clearings are of what was there before the batch: nobody knows of more.
        known = len(self.made)
        wishes = [
            Clearing(w.which % known, w.amount_minor, w.final)
            if isinstance(w, Clearing) and known
            else w
            for w in wishes
            if known or not isinstance(w, Clearing)
        ]
        if not wishes:
            return
        commands = [self.command(wish) for wish in wishes]
        outcomes = self.wait(move_all(self.db, commands, now=self.now))
        for wish, outcome in zip(wishes, outcomes, strict=True):
            expected = self.expect(wish)
            if isinstance(outcome, BayonError):
                assert type(outcome) is expected
                continue
            found = (outcome.status, outcome.decline_reason, outcome.amount_minor)
            assert found == expected
            if len(self.model.made) > len(self.made):
                self.made.append(outcome)

    @rule(
        card=st.integers(0, 2),
        status=st.sampled_from(("active", "active", "active", "inactive", "lost")),
        days=st.integers(0, 9),
    )
    def change(self, card: int, status: CardStatus, days: int) -> None:
        """Nothing of a hold or a card ends by time alone yet."""
        self.now += timedelta(days=days)
        before = self.model.statuses[card]
        work = self.db.transaction(
            lambda tx: cards.update_card(
                tx,
                issuer_id=self.cards[card].issuer_id,
                card_id=self.cards[card].id,
                status=status,
                now=self.now,
            )
        )
        if before in FINAL and before != status:
            try:
                self.wait(work)
            except BadAttributes:
                return
            raise AssertionError(before)
        assert self.wait(work).status == status
        self.model.statuses[card] = status

    @invariant()
    def every_balance_is_as_in_the_model(self) -> None:
        ids = [account.ledger_account_id for account in self.accounts]
        found = self.wait(self.db.read(lambda tx: ledger.balance(tx, ids)))
        assert found == [
            ledger.Balance(posted_minor=self.model.posted[n], held_minor=self.model.held(n))
            for n in range(2)
        ]

    @invariant()
    def every_transaction_is_as_in_the_model(self) -> None:
        rows = self.wait(
            self.db.read(
                lambda tx: tx.rows(
                    """
                    SELECT id, status, amount_minor FROM cards.transaction
                    WHERE id = ANY($1::uuid[])
                    """,
                    [made.id for made in self.made],
                )
            )
        )
        found = {row["id"]: (row["status"], row["amount_minor"]) for row in rows}
        assert found == {
            made.id: (model.status, model.amount_minor)
            for made, model in zip(self.made, self.model.made, strict=True)
        }

    @invariant()
    def every_count_of_tries_is_as_in_the_model(self) -> None:
        rows = self.wait(
            self.db.read(
                lambda tx: tx.rows(
                    "SELECT id, pin_tries FROM cards.card WHERE id = ANY($1::uuid[])",
                    [card.id for card in self.cards],
                )
            )
        )
        found = {row["id"]: row["pin_tries"] for row in rows}
        assert [found[card.id] for card in self.cards] == self.model.tries

    def teardown(self) -> None:
        for check in (ledger.check, cards.check):
            work = self.db.transaction(check, isolation="repeatable_read")
            assert self.wait(work) == []


async def test_whatever_is_done_agrees_with_the_model(db: Database) -> None:
    loop = asyncio.get_running_loop()

    class Machine(CardsMachine):
        def __init__(self) -> None:
            super().__init__(db, loop)

    await asyncio.to_thread(run_state_machine_as_test, Machine, settings=SETTINGS)
