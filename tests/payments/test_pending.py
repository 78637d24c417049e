"""Pending payments: funds are held until the payment is due, then it succeeds or fails, once."""

import asyncio
from datetime import UTC, datetime

from bayon import payments
from bayon.db import Database
from bayon.ledger import Balance
from bayon.money import AMOUNT_MINOR_MAX
from bayon.payments import Decline, Deposit, Payment
from factories import (
    USD,
    Street,
    advance,
    balance_of,
    complete,
    make_account,
    make_pay,
    make_qr,
    make_rail,
    make_request,
    make_street,
    pay_all,
    pay_one,
    status,
    working,
)


def exactly(posted_minor: int, held_minor: int = 0) -> Balance:
    return Balance(posted_minor=posted_minor, held_minor=held_minor)


async def pend(db: Database, street: Street, qr: str, completes: payments.Completed) -> Payment:
    command = make_pay(payer=street.dara, qr=qr, completes=completes, delay_s=60)
    pending = await pay_one(db, command)
    assert pending.state == "pending"
    return pending


async def test_a_pending_payment_holds_its_funds_occupies_its_qr_and_is_not_found(
    db: Database,
) -> None:
    street = await make_street(db, usd_minor=1_000)
    qr = make_qr(amount_minor=600)
    pending = await pend(db, street, qr, "succeeded")
    assert pending.acknowledged_at is None
    assert await balance_of(db, street.dara) == exactly(1_000, 600)
    assert await balance_of(db, street.shop) == exactly(0)
    assert await status(db, qr) is None
    again = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    assert again.decline_reason is Decline.QR_ALREADY_PAID
    too_much = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=401)))
    assert too_much.decline_reason is Decline.INSUFFICIENT_FUNDS
    assert await complete(db) == []


async def test_what_is_held_cannot_be_held_again_in_the_same_batch(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    commands = [
        make_pay(payer=street.dara, qr=make_qr(amount_minor=400), delay_s=60) for _ in range(3)
    ]
    states = [p.state for p in await pay_all(db, commands) if isinstance(p, Payment)]
    assert states == ["pending", "pending", "declined"]
    assert await balance_of(db, street.dara) == exactly(1_000, 800)


async def test_when_the_clock_has_passed_it_is_due_and_succeeds(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    qr = make_qr(amount_minor=600)
    pending = await pend(db, street, qr, "succeeded")
    await advance(db, advance_s=60)
    (done,) = await complete(db)
    assert (done.id, done.state, done.due_at) == (pending.id, "succeeded", None)
    assert done.acknowledged_at is not None
    assert pending.due_at is not None
    assert done.acknowledged_at >= pending.due_at
    assert await status(db, qr) == done
    assert await balance_of(db, street.dara) == exactly(400)
    assert await balance_of(db, street.shop) == exactly(600)
    assert await complete(db) == []
    again = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    assert again.decline_reason is Decline.QR_ALREADY_PAID


async def test_when_it_fails_the_funds_are_free_and_the_qr_can_be_paid(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    qr = make_qr(amount_minor=600)
    await pend(db, street, qr, "failed")
    await advance(db, advance_s=61)
    (failed,) = await complete(db)
    assert failed.state == "failed"
    assert await status(db, qr) == failed
    assert await balance_of(db, street.dara) == exactly(1_000)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    assert paid.state == "succeeded"
    assert await status(db, qr) == paid


async def test_a_static_qr_may_have_many_pending_payments(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    qr = make_qr()
    for completes in ("succeeded", "failed", "succeeded"):
        command = make_pay(
            payer=street.dara, qr=qr, amount_minor=100, completes=completes, delay_s=1
        )
        assert (await pay_one(db, command)).state == "pending"
    await advance(db, advance_s=2)
    assert [p.state for p in await complete(db)] == ["succeeded", "failed", "succeeded"]
    assert await balance_of(db, street.shop) == exactly(200)


async def test_two_workers_at_once_complete_each_payment_exactly_once(
    db: Database, database: str
) -> None:
    street = await make_street(db, usd_minor=100_000)
    ends: tuple[payments.Completed, ...] = ("succeeded", "failed")
    commands = [
        make_pay(payer=street.dara, qr=make_qr(amount_minor=100), completes=ends[n % 2], delay_s=30)
        for n in range(60)
    ]
    await pay_all(db, commands)
    await advance(db, advance_s=31)
    other = await Database.connect(database)
    done = await asyncio.gather(*(complete(d) for d in (db, other, db, other)))
    await other.close()
    assert sorted(p.id for ps in done for p in ps) == sorted({p.id for ps in done for p in ps})
    assert sum(len(ps) for ps in done) == 60
    assert await balance_of(db, street.dara) == exactly(97_000)


async def test_a_payment_that_is_refused_its_qr_waits_for_the_worker_that_frees_it(
    db: Database, database: str
) -> None:
    """A claim is taken while the worker that deletes it has not committed: it gets it, or not."""
    street = await make_street(db, usd_minor=10_000)
    other = await Database.connect(database)
    for _ in range(10):
        qr = make_qr(amount_minor=100)
        await pend(db, street, qr, "failed")
        await advance(db, advance_s=61)
        paid, _ = await asyncio.gather(
            pay_one(other, make_pay(payer=street.dara, qr=qr)), complete(db)
        )
        assert paid.decline_reason in {None, Decline.QR_ALREADY_PAID}
    await other.close()


async def test_the_rails_own_worker_completes_what_is_due(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    poor = await make_account(db, participant=street.aclb, name="poor")
    rail = make_rail(db)
    qr = make_qr(amount_minor=100)
    async with working(rail.work):
        command = make_pay(payer=street.dara, qr=qr, delay_s=0.2)
        await rail.pay(make_request(command))
        declined = await rail.pay(make_request(make_pay(payer=poor, qr=make_qr(amount_minor=1))))
        found = await rail.status_by_md5(payments.khqr.md5(qr), wait_s=3)
    assert declined.outcome is not None
    assert declined.outcome.state == "declined"
    assert found is not None
    assert found.state == "succeeded"


async def test_a_pending_payment_to_an_account_that_is_full_by_then_fails_alone(
    db: Database,
) -> None:
    street = await make_street(db, usd_minor=1_000)
    full, other = make_qr(amount_minor=600), make_qr(to="other@wing", amount_minor=300)
    receiver = await make_account(db, participant=street.wing, name="other")
    await pend(db, street, full, "succeeded")
    await pend(db, street, other, "succeeded")
    fill = Deposit(
        participant_id=street.wing.id,
        account_id=street.shop.account_id,
        currency=USD,
        amount_minor=AMOUNT_MINOR_MAX - 599,
    )
    await db.transaction(lambda tx: payments.deposit(tx, [fill], now=datetime.now(UTC)))
    await advance(db, advance_s=61)
    assert {p.state for p in await complete(db)} == {"failed", "succeeded"}
    failed = await status(db, full)
    assert failed is not None
    assert failed.state == "failed"
    assert await balance_of(db, street.dara) == exactly(700)
    assert await balance_of(db, receiver) == exactly(300)
    assert await balance_of(db, street.shop) == exactly(AMOUNT_MINOR_MAX - 599)
    again = await pay_one(db, make_pay(payer=street.dara, qr=full))
    assert again.decline_reason is Decline.AMOUNT_OUT_OF_RANGE


async def test_deposits_without_end_on_one_account_stop_nobody_elses(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    fill = [
        Deposit(
            participant_id=street.wing.id,
            account_id=street.shop.account_id,
            currency=USD,
            amount_minor=AMOUNT_MINOR_MAX,
        )
    ] * 600
    now = datetime.now(UTC)
    outcomes = await db.transaction(lambda tx: payments.deposit(tx, fill, now=now))
    assert outcomes[1:] == [Decline.AMOUNT_OUT_OF_RANGE] * 599
    await make_account(db, participant=street.aclb, name="late", usd_minor=5)


async def test_each_participants_deposits_come_from_its_own_funding_account(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    await make_account(db, participant=street.wing, name="late", usd_minor=5)
    rows = await db.read(
        lambda tx: tx.rows("SELECT debit_account_id, amount_minor FROM ledger.transfer ORDER BY id")
    )
    assert [row["amount_minor"] for row in rows] == [1_000, 5]
    assert len({row["debit_account_id"] for row in rows}) == 2


async def test_a_payment_that_cannot_be_completed_stops_no_other(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    qrs = [make_qr(amount_minor=100) for _ in range(5)]
    pending = [await pend(db, street, qr, "succeeded") for qr in qrs]
    bad = pending[0]
    forget = "UPDATE payments.payment SET hold_id = NULL WHERE id = $1"
    await db.transaction(lambda tx: tx.run(forget, bad.id))
    await advance(db, advance_s=61)
    rail = make_rail(db)
    async with working(rail.work):
        found = await asyncio.gather(
            *(rail.status_by_md5(payments.khqr.md5(qr), wait_s=5) for qr in qrs[1:])
        )
        late = make_qr(amount_minor=50)
        await rail.pay(make_request(make_pay(payer=street.dara, qr=late, delay_s=0.1)))
        found.append(await rail.status_by_md5(payments.khqr.md5(late), wait_s=5))
    assert [p.state for p in found if p is not None] == ["succeeded"] * 5
    assert await balance_of(db, street.dara) == exactly(550, 100)
    mend = "UPDATE payments.payment SET hold_id = $2 WHERE id = $1"
    await db.transaction(lambda tx: tx.run(mend, bad.id, bad.hold_id))
    assert [p.id for p in await complete(db)] == [bad.id]
