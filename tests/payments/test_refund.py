"""Refunds: the whole amount, once, by whoever received it."""

import asyncio
from collections.abc import Sequence

from bayon import ledger, payments
from bayon.db import Database, Tx, read_clock
from bayon.errors import BayonError
from bayon.money import Currency
from bayon.payments import (
    Decline,
    NotRefundable,
    Participant,
    Payment,
    PaymentNotFound,
    Refund,
    RefundDeclined,
)
from factories import (
    Street,
    advance,
    balance_of,
    complete,
    make_pay,
    make_qr,
    make_street,
    make_transfer,
    pay_one,
    status,
)

Outcome = Payment | RefundDeclined | BayonError


async def refund_all(db: Database, by: Participant, hashes: Sequence[bytes]) -> list[Outcome]:
    commands = [Refund(participant_id=by.id, hash=digest) for digest in hashes]

    async def work(tx: Tx) -> list[Outcome]:
        return await payments.refund(tx, commands, now=(await read_clock(tx)).now())

    return await db.transaction(work)


async def refund_one(db: Database, by: Participant, payment: Payment) -> Outcome:
    (outcome,) = await refund_all(db, by, [payment.hash])
    return outcome


async def funds(db: Database, street: Street) -> tuple[int, int]:
    """Tell what the payer and the shop may spend."""
    dara, shop = await balance_of(db, street.dara), await balance_of(db, street.shop)
    return dara.available_minor, shop.available_minor


async def test_a_refund_gives_the_whole_amount_back_once_and_says_so(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    qr = make_qr(amount_minor=600)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    refunded = await refund_one(db, street.wing, paid)
    assert isinstance(refunded, Payment)
    assert refunded.refunded_at is not None
    assert (refunded.state, refunded.hash) == ("succeeded", paid.hash)
    assert payments.document.tracking_status(paid) == "SUCCESS"
    assert payments.document.tracking_status(refunded) == "REFUNDED_BY_RECEIVER"
    assert await funds(db, street) == (1_000, 0)
    assert await refund_all(db, street.wing, [paid.hash, paid.hash]) == [refunded, refunded]
    assert await funds(db, street) == (1_000, 0)
    assert await status(db, qr) == refunded
    again = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    assert again.decline_reason is Decline.QR_ALREADY_PAID


async def test_one_batch_that_asks_twice_refunds_once(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=400)))
    other = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=400)))
    outcomes = await refund_all(db, street.wing, [paid.hash, paid.hash])
    assert outcomes[0] == outcomes[1]
    assert await funds(db, street) == (600, 400)
    assert (await db.read(lambda tx: payments.by_hash(tx, [other.hash.hex()]))) == [other]


async def test_only_the_receivers_participant_may_refund(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=600)))
    assert isinstance(await refund_one(db, street.aclb, paid), PaymentNotFound)
    (unknown,) = await refund_all(db, street.wing, [bytes(32)])
    assert isinstance(unknown, PaymentNotFound)
    assert await funds(db, street) == (400, 600)


async def test_only_what_succeeded_can_be_refunded(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    declined = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=1_001)))
    failed = await pay_one(
        db, make_pay(payer=street.dara, qr=make_qr(amount_minor=100), completes="failed")
    )
    pending = await pay_one(
        db, make_pay(payer=street.dara, qr=make_qr(amount_minor=100), delay_s=60)
    )
    nowhere = await pay_one(
        db, make_pay(payer=street.dara, qr=make_qr(to="nobody@wing", amount_minor=1))
    )
    hashes = [p.hash for p in (declined, failed, pending, nowhere)]
    assert [type(outcome) for outcome in await refund_all(db, street.wing, hashes)] == [
        *(NotRefundable, NotRefundable, NotRefundable, PaymentNotFound)
    ]
    await advance(db, advance_s=61)
    await complete(db)
    assert isinstance(await refund_one(db, street.wing, pending), Payment)
    assert await funds(db, street) == (1_000, 0)


async def test_a_receiver_without_funds_cannot_refund_until_it_has_them(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=600)))
    back = make_transfer(payer=street.shop, receiver=street.dara, amount_minor=1)
    await pay_one(db, back)
    declined = await refund_one(db, street.wing, paid)
    assert isinstance(declined, RefundDeclined)
    assert declined.reason is Decline.INSUFFICIENT_FUNDS
    assert declined.payment == paid
    assert await funds(db, street) == (401, 599)
    await pay_one(db, make_transfer(payer=street.dara, receiver=street.shop, amount_minor=1))
    assert isinstance(await refund_one(db, street.wing, paid), Payment)


async def test_refunds_of_one_payment_at_the_same_instant_make_one_transfer(
    db: Database, database: str
) -> None:
    street = await make_street(db, usd_minor=10_000)
    other = await Database.connect(database)
    paid = [
        await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=100)))
        for _ in range(10)
    ]
    await asyncio.gather(
        *(refund_one(d, street.wing, payment) for payment in paid for d in (db, other)),
        refund_all(db, street.wing, [payment.hash for payment in paid]),
        refund_all(other, street.wing, [payment.hash for payment in reversed(paid)]),
    )
    await other.close()
    moved = await db.read(lambda tx: ledger.moved(tx, [payment.id for payment in paid]))
    from_id, to_id = street.dara.ledger_ids[Currency.USD], street.shop.ledger_ids[Currency.USD]
    assert list(moved.values()) == [[(from_id, to_id, 100), (to_id, from_id, 100)]] * 10
    assert await funds(db, street) == (10_000, 0)
