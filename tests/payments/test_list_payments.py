"""Lists: whose payments are shown to whom, by which filter, page by page."""

from datetime import datetime, timedelta
from uuid import UUID

from bayon import payments
from bayon.db import Database
from bayon.payments import Participant, Payment
from factories import (
    Street,
    make_account,
    make_participant,
    make_pay,
    make_qr,
    make_street,
    make_transfer,
    pay_all,
    pay_one,
)


async def list_all(
    db: Database,
    by: Participant,
    *,
    direction: str | None = None,
    account_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Payment]:
    """List every page, which must hold 50 but for the last."""
    found: list[Payment] = []
    after: int | None = None
    while True:
        page, after = await db.read(
            lambda tx, after=after: payments.list_payments(
                tx,
                participant_id=by.id,
                direction=direction,
                account_id=account_id,
                since=since,
                until=until,
                after=after,
            )
        )
        found += page
        if after is None:
            return found
        assert len(page) == 50


async def ids_in_order(db: Database) -> list[UUID]:
    """Tell the ids of all payments, newest first."""
    rows = await db.read(lambda tx: tx.rows("SELECT id FROM payments.payment ORDER BY seq DESC"))
    return [row["id"] for row in rows]


async def pay_some(db: Database, street: Street, count: int) -> None:
    """Pay in batches, to and fro and within one participant."""
    sok = await make_account(db, participant=street.aclb, name="sok", usd_minor=10_000)
    ways = ((street.dara, street.shop), (street.dara, sok), (street.shop, sok))
    commands = [
        make_transfer(payer=ways[n % 3][0], receiver=ways[n % 3][1], amount_minor=2)
        for n in range(count)
    ]
    await pay_all(db, commands[: count // 2])
    await pay_all(db, commands[count // 2 :])


async def test_pages_follow_each_other_without_gap_or_repeat(db: Database) -> None:
    street = await make_street(db)
    await pay_some(db, street, 151)
    listed = [payment.id for payment in await list_all(db, street.aclb)]
    assert len(listed) == 151
    assert listed == await ids_in_order(db)


async def test_a_full_last_page_has_no_next_one(db: Database) -> None:
    street = await make_street(db)
    await pay_some(db, street, 100)
    assert len(await list_all(db, street.aclb)) == 100


async def test_a_page_stays_what_it_was_when_newer_payments_arrive(db: Database) -> None:
    street = await make_street(db)
    await pay_some(db, street, 60)
    _, after = await db.read(lambda tx: payments.list_payments(tx, participant_id=street.aclb.id))
    before = await db.read(
        lambda tx: payments.list_payments(tx, participant_id=street.aclb.id, after=after)
    )
    await pay_one(db, make_transfer(payer=street.dara, receiver=street.shop, amount_minor=1))
    again = await db.read(
        lambda tx: payments.list_payments(tx, participant_id=street.aclb.id, after=after)
    )
    assert again == before
    assert len(again[0]) == 10


async def test_each_side_sees_its_direction_and_strangers_see_nothing(db: Database) -> None:
    street = await make_street(db)
    stranger = await make_participant(db, code="phil")
    sok = await make_account(db, participant=street.aclb, name="sok")
    there = await pay_one(
        db, make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    )
    back = await pay_one(
        db, make_transfer(payer=street.shop, receiver=street.dara, amount_minor=50)
    )
    within = await pay_one(db, make_transfer(payer=street.dara, receiver=sok, amount_minor=1))
    assert await list_all(db, street.aclb) == [within, back, there]
    assert await list_all(db, street.aclb, direction="outgoing") == [within, there]
    assert await list_all(db, street.aclb, direction="incoming") == [within, back]
    assert await list_all(db, street.wing) == [back, there]
    assert await list_all(db, street.wing, direction="incoming") == [there]
    assert await list_all(db, street.wing, direction="outgoing") == [back]
    assert await list_all(db, stranger) == []
    assert await list_all(db, stranger, account_id="dara@aclb") == []


async def test_an_account_filters_its_own_side(db: Database) -> None:
    street = await make_street(db)
    sok = await make_account(db, participant=street.aclb, name="sok", usd_minor=100)
    by_dara = await pay_one(
        db, make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    )
    by_sok = await pay_one(db, make_transfer(payer=sok, receiver=street.shop, amount_minor=10))
    to_sok = await pay_one(db, make_transfer(payer=street.dara, receiver=sok, amount_minor=1))
    assert await list_all(db, street.aclb, account_id="sok@aclb") == [to_sok, by_sok]
    assert await list_all(db, street.aclb, account_id="sok@aclb", direction="incoming") == [to_sok]
    assert await list_all(db, street.aclb, account_id="dara@aclb") == [to_sok, by_dara]
    assert await list_all(db, street.aclb, account_id="shop@wing") == []
    assert await list_all(db, street.wing, account_id="sok@aclb") == []


async def test_what_did_not_succeed_is_its_payers_business_alone(db: Database) -> None:
    street = await make_street(db, usd_minor=1_000)
    declined = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=1_001)))
    failed = await pay_one(
        db, make_pay(payer=street.dara, qr=make_qr(amount_minor=1), completes="failed")
    )
    pending = await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=1), delay_s=60))
    nowhere = await pay_one(
        db, make_pay(payer=street.dara, qr=make_qr(to="nobody@wing", amount_minor=1))
    )
    assert await list_all(db, street.aclb) == [nowhere, pending, failed, declined]
    assert await list_all(db, street.wing) == []


async def test_times_filter_with_both_ends_included(db: Database) -> None:
    street = await make_street(db)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=1)
    noon = datetime.fromisoformat("2026-01-17T12:00:00+07:00")
    minute = timedelta(minutes=1)
    for n in range(3):
        await db.transaction(lambda tx, n=n: payments.pay(tx, [command], now=noon + n * minute))
    newest, middle, oldest = await list_all(db, street.wing)
    assert await list_all(db, street.wing, since=noon, until=noon) == [oldest]
    assert await list_all(db, street.wing, since=noon + minute) == [newest, middle]
    assert await list_all(db, street.wing, until=noon + minute) == [middle, oldest]
    after_all = noon + 2 * minute + timedelta(microseconds=1)
    assert await list_all(db, street.wing, since=after_all) == []
