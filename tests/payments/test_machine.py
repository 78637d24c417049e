"""Any order of deposits, payments, completions and refunds agrees with a small model of money."""

import asyncio
import os
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bayon import ledger, payments
from bayon.db import Database, Tx
from bayon.money import Currency
from bayon.payments import (
    Account,
    Completed,
    Decline,
    Deposit,
    NotRefundable,
    PaidQr,
    Participant,
    Pay,
    Payment,
    PaymentNotFound,
    Refund,
    RefundDeclined,
)
from bayon.payments.complete import claim_due, complete
from factories import BOTH, KHR, USD, make_account, make_participant

T = TypeVar("T")

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
SETTINGS: Final = settings(
    max_examples=300 if LONG else 60,
    stateful_step_count=40 if LONG else 12,
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow,),
)
START: Final = datetime(2026, 1, 17, tzinfo=UTC)

# Accounts by number: two with both currencies at the first bank, one in dollars only at the first,
# one with both at the second.
ACCOUNTS: Final = ((0, BOTH), (0, BOTH), (0, frozenset({USD})), (1, BOTH))
# QRs by number: receiver, currency, amount; without an amount static.
QRS: Final = (
    (0, USD, 30),
    (3, USD, 50),
    (2, USD, 70),
    (3, KHR, 40),
    (1, USD, None),
    (3, KHR, None),
)


@dataclass(frozen=True)
class Wish:
    """A payment somebody wants, in numbers of accounts and QRs."""

    payer: int
    receiver: int
    currency: Currency
    amount_minor: int
    qr: int | None
    completes: Completed
    delay_s: int

    @classmethod
    def by_qr(cls, payer: int, qr: int, amount: int, completes: Completed, delay_s: int) -> "Wish":
        receiver, currency, demanded = QRS[qr]
        # One in eight pays something else than the QR demands.
        amount_minor = amount if demanded is None or amount % 8 == 0 else demanded
        return cls(payer, receiver, currency, amount_minor, qr, completes, delay_s)


@dataclass
class Model:
    """What there should be: pure, one command after the other."""

    posted: dict[tuple[int, Currency], int] = field(
        default_factory=lambda: {(n, c): 0 for n, (_, cs) in enumerate(ACCOUNTS) for c in cs}
    )
    held: dict[tuple[int, Currency], int] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    made: list[tuple[Wish, str, int]] = field(default_factory=list)
    refunded: set[int] = field(default_factory=set)

    def available(self, account: int, currency: Currency) -> int:
        return self.posted[account, currency] - self.held.get((account, currency), 0)

    def move(self, payer: int, receiver: int, currency: Currency, amount_minor: int) -> None:
        self.posted[payer, currency] -= amount_minor
        self.posted[receiver, currency] += amount_minor

    def hold(self, wish: Wish, amount_minor: int) -> None:
        key = (wish.payer, wish.currency)
        self.held[key] = self.held.get(key, 0) + amount_minor

    def reason(self, wish: Wish) -> Decline | None:
        demanded = QRS[wish.qr][2] if wish.qr is not None else None
        if wish.payer == wish.receiver:
            return Decline.SAME_ACCOUNT
        if {(wish.payer, wish.currency), (wish.receiver, wish.currency)} - self.posted.keys():
            return Decline.WRONG_CURRENCY
        if demanded is not None and demanded != wish.amount_minor:
            return Decline.AMOUNT_DIFFERS
        if wish.qr in self.taken:
            return Decline.QR_ALREADY_PAID
        moves = wish.delay_s > 0 or wish.completes == "succeeded"
        if moves and self.available(wish.payer, wish.currency) < wish.amount_minor:
            return Decline.INSUFFICIENT_FUNDS
        return None

    def pay(self, wish: Wish, at_s: int) -> str:
        state = "declined" if self.reason(wish) else "pending" if wish.delay_s else wish.completes
        if state == "succeeded":
            self.move(wish.payer, wish.receiver, wish.currency, wish.amount_minor)
        if state == "pending":
            self.hold(wish, wish.amount_minor)
        if state in {"pending", "succeeded"} and wish.qr is not None and QRS[wish.qr][2]:
            self.taken.add(wish.qr)
        self.made.append((wish, state, at_s + wish.delay_s))
        return state

    def complete(self, at_s: int) -> set[int]:
        due = {
            n
            for n, (_, state, due_s) in enumerate(self.made)
            if state == "pending" and due_s <= at_s
        }
        for n in due:
            wish, _, due_s = self.made[n]
            self.hold(wish, -wish.amount_minor)
            if wish.completes == "succeeded":
                self.move(wish.payer, wish.receiver, wish.currency, wish.amount_minor)
            elif wish.qr is not None:
                self.taken.discard(wish.qr)
            self.made[n] = (wish, wish.completes, due_s)
        return due


class PaymentsMachine(RuleBasedStateMachine):
    """Does to the database what it does to the model; runs in a thread beside the loop."""

    def __init__(self, db: Database, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.db: Database = db
        self.loop: asyncio.AbstractEventLoop = loop
        self.model: Model = Model()
        self.now_s: int = 0
        self.paid: list[Payment] = []
        self.md5s: list[bytes] = [secrets.token_bytes(16) for _ in QRS]
        self.banks, self.accounts = self.wait(self.open())

    def wait(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    async def open(self) -> tuple[list[Participant], list[Account]]:
        codes = [f"b{secrets.token_hex(5)}" for _ in range(2)]
        banks = [await make_participant(self.db, code=code) for code in codes]
        accounts = [
            await make_account(self.db, participant=banks[b], name=f"a{n}", currencies=currencies)
            for n, (b, currencies) in enumerate(ACCOUNTS)
        ]
        return banks, accounts

    def command(self, wish: Wish) -> Pay:
        qr = None
        if wish.qr is not None:
            _, currency, amount_minor = QRS[wish.qr]
            qr = PaidQr(
                md5=self.md5s[wish.qr],
                kind="dynamic" if amount_minor else "static",
                currency=currency,
                amount_minor=amount_minor,
                expires_at=None,
                account_information=None,
            )
        return Pay(
            participant_id=self.accounts[wish.payer].participant_id,
            from_account_id=self.accounts[wish.payer].account_id,
            to_account_id=self.accounts[wish.receiver].account_id,
            currency=wish.currency,
            amount_minor=wish.amount_minor,
            qr=qr,
            completes=wish.completes,
            delay_s=wish.delay_s,
        )

    @rule(account=st.integers(0, 3), currency=st.sampled_from(Currency), amount=st.integers(1, 200))
    def deposit(self, account: int, currency: Currency, amount: int) -> None:
        to = self.accounts[account]
        command = Deposit(
            participant_id=to.participant_id,
            account_id=to.account_id,
            currency=currency,
            amount_minor=amount,
        )
        work = self.db.transaction(lambda tx: payments.deposit(tx, [command], now=self.now))
        (outcome,) = self.wait(work)
        if (account, currency) not in self.model.posted:
            assert outcome is Decline.WRONG_CURRENCY
            return
        self.model.posted[account, currency] += amount

    @rule(
        wishes=st.lists(
            st.one_of(
                st.builds(
                    Wish.by_qr,
                    payer=st.integers(0, 3),
                    qr=st.integers(0, len(QRS) - 1),
                    amount=st.integers(1, 90),
                    completes=st.sampled_from(("succeeded", "succeeded", "failed")),
                    delay_s=st.sampled_from((0, 0, 1, 3)),
                ),
                st.builds(
                    Wish,
                    payer=st.integers(0, 3),
                    receiver=st.integers(0, 3),
                    currency=st.sampled_from(Currency),
                    amount_minor=st.integers(1, 90),
                    qr=st.none(),
                    completes=st.sampled_from(("succeeded", "succeeded", "failed")),
                    delay_s=st.sampled_from((0, 0, 2)),
                ),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def pay(self, wishes: list[Wish]) -> None:
        commands = [self.command(wish) for wish in wishes]
        work = self.db.transaction(lambda tx: payments.pay(tx, commands, now=self.now))
        for wish, outcome in zip(wishes, self.wait(work), strict=True):
            reason = self.model.reason(wish)
            assert isinstance(outcome, Payment)
            assert (outcome.state, outcome.decline_reason) == (
                self.model.pay(wish, self.now_s),
                reason,
            )
            self.paid.append(outcome)

    @rule(advance_s=st.integers(0, 4))
    def complete(self, advance_s: int) -> None:
        self.now_s += advance_s

        async def work(tx: Tx) -> list[Payment]:
            due = await claim_due(tx, now=self.now, limit=1_000)
            return await complete(tx, due, now=self.now)

        done = {payment.id: payment for payment in self.wait(self.db.transaction(work))}
        due = self.model.complete(self.now_s)
        assert {n for n, payment in enumerate(self.paid) if payment.id in done} == due
        for n in due:
            self.paid[n] = done[self.paid[n].id]
            assert self.paid[n].state == self.model.made[n][1]

    @rule(which=st.integers(0, 4), by=st.integers(0, 1))
    def refund(self, which: int, by: int) -> None:
        if not self.paid:
            return
        n = which % len(self.paid)
        command = Refund(participant_id=self.banks[by].id, hash=self.paid[n].hash)
        work = self.db.transaction(lambda tx: payments.refund(tx, [command], now=self.now))
        (outcome,) = self.wait(work)
        wish, state, _ = self.model.made[n]
        if ACCOUNTS[wish.receiver][0] != by:
            assert isinstance(outcome, PaymentNotFound)
        elif state != "succeeded":
            assert isinstance(outcome, NotRefundable)
        elif n in self.model.refunded:
            assert outcome == self.paid[n]
        elif self.model.available(wish.receiver, wish.currency) < wish.amount_minor:
            assert isinstance(outcome, RefundDeclined)
        else:
            self.paid[n] = replace(self.paid[n], refunded_at=self.now)
            assert outcome == self.paid[n]
            self.model.move(wish.receiver, wish.payer, wish.currency, wish.amount_minor)
            self.model.refunded.add(n)

    @invariant()
    def every_balance_is_as_in_the_model(self) -> None:
        keys = list(self.model.posted)
        ids = [self.accounts[n].ledger_ids[currency] for n, currency in keys]
        found = self.wait(self.db.read(lambda tx: ledger.balance(tx, ids)))
        assert found == [
            ledger.Balance(posted_minor=self.model.posted[k], held_minor=self.model.held.get(k, 0))
            for k in keys
        ]

    @invariant()
    def the_status_of_every_qr_is_as_in_the_model(self) -> None:
        expected: dict[bytes, Payment] = {}
        for state in ("failed", "succeeded"):
            expected |= {p.md5: p for p in self.paid if p.md5 and p.state == state}
        asked = [md5.hex() for md5 in self.md5s]
        found = self.wait(self.db.read(lambda tx: payments.by_md5(tx, asked)))
        assert found == [expected.get(md5) for md5 in self.md5s]

    def teardown(self) -> None:
        for check in (ledger.check, payments.check):
            work = self.db.transaction(check, isolation="repeatable_read")
            assert self.wait(work) == []


async def test_whatever_is_done_agrees_with_the_model(db: Database) -> None:
    loop = asyncio.get_running_loop()

    class Machine(PaymentsMachine):
        def __init__(self) -> None:
            super().__init__(db, loop)

    await asyncio.to_thread(run_state_machine_as_test, Machine, settings=SETTINGS)
