"""Status: found by MD5, hash, short hash or reference; waited for without a connection."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from bayon import payments
from bayon.db import Database, Tx
from bayon.money import Currency
from bayon.payments import Completed, Payment
from factories import (
    KHR,
    USD,
    complete,
    make_pay,
    make_qr,
    make_rail,
    make_request,
    make_street,
    make_transfer,
    pay_one,
    status,
    working,
)

WEIRD = [
    *("", " ", "0", "zz" * 16, "00" * 15, "0" * 31, "00" * 17, "a" * 255, "a" * 254),
    *("\uff10" * 32, "\u0661" * 32, "\u17e1" * 32, "\x00" * 32, "\ud800" * 32, "0x" + "0" * 30),
    *("%" * 32, "'; DROP TABLE payments.payment; --"),
]
"""What no client should send as hex."""


def blanked(text: str) -> list[str]:
    """Put blanks of every kind where `bytes.fromhex` would overlook them."""
    blanks = ("\n", "\t", "\r", "\x0b", "\x0c", " ", "\u00a0", "\u200b")
    return [t for b in blanks for t in (text + b, b + text, f"{text[:2]}{b}{text[2:]}")]


async def by_short_hash(
    db: Database, short_hash: str, *, amount_minor: int = 100, currency: Currency
) -> Payment | None:
    return await db.read(
        lambda tx: payments.by_short_hash(
            tx, short_hash=short_hash, amount_minor=amount_minor, currency=currency
        )
    )


async def test_by_md5_the_newest_that_succeeded_goes_before_any_that_failed(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr()
    ends: tuple[Completed, ...] = ("failed", "succeeded", "failed", "succeeded", "failed")
    newest = found = None
    for completes in ends:
        paid = await pay_one(
            db, make_pay(payer=street.dara, qr=qr, amount_minor=100, completes=completes)
        )
        found = await status(db, qr)
        if completes == "succeeded":
            newest = paid
            assert found == paid
    assert newest is not None
    assert found == newest


async def test_by_md5_the_newest_that_failed_is_found_while_none_succeeded(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=100)
    assert await status(db, qr) is None
    for _ in range(2):
        failed = await pay_one(db, make_pay(payer=street.dara, qr=qr, completes="failed"))
        assert await status(db, qr) == failed


async def test_pending_and_declined_payments_are_not_found_by_anything(db: Database) -> None:
    street = await make_street(db)
    for amount_minor, delay_s in ((100, 60.0), (999_999, 0.0)):
        qr = make_qr(amount_minor=amount_minor)
        made = await pay_one(
            db,
            make_pay(
                payer=street.dara, qr=qr, delay_s=delay_s, instruction_ref="I", external_ref="E"
            ),
        )
        assert made.state in {"pending", "declined"}
        digest = made.hash.hex()
        assert await status(db, qr) is None
        assert await db.read(lambda tx, digest=digest: payments.by_hash(tx, [digest])) == [None]
        assert await by_short_hash(db, digest[:8], amount_minor=amount_minor, currency=USD) is None
        assert await db.read(lambda tx: payments.by_instruction_ref(tx, "I")) is None
        assert await db.read(lambda tx: payments.by_external_ref(tx, "E")) is None


async def test_many_are_asked_in_one_statement_and_answered_in_their_order(db: Database) -> None:
    street = await make_street(db)
    qrs = [make_qr(amount_minor=100) for _ in range(5)]
    paid = [await pay_one(db, make_pay(payer=street.dara, qr=qr)) for qr in qrs]
    asked = [payments.khqr.md5(qr) for qr in (*qrs, qrs[0])]
    db.journal = []
    found = await db.read(lambda tx: payments.by_md5(tx, ["0" * 32, *asked, "weird"]))
    assert found == [None, *paid, paid[0], None]
    hashes = [payment.hash.hex() for payment in paid]
    found = await db.read(lambda tx: payments.by_hash(tx, [*reversed(hashes), "f" * 64]))
    assert found == [*reversed(paid), None]
    assert len(db.journal) == 2


async def test_hex_in_capitals_is_the_same_number(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=100)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    digest = paid.hash.hex().upper()
    assert await db.read(lambda tx: payments.by_md5(tx, [payments.khqr.md5(qr).upper()])) == [paid]
    assert await db.read(lambda tx: payments.by_hash(tx, [digest])) == [paid]
    assert await by_short_hash(db, digest[:8], currency=USD) == paid


async def test_what_is_no_hash_is_not_found(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=100)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    digest = paid.hash.hex()
    md5s = [*WEIRD, *blanked(payments.khqr.md5(qr))]
    assert await db.read(lambda tx: payments.by_md5(tx, md5s)) == [None] * len(md5s)
    hashes = [*WEIRD, *blanked(digest), digest[:8], digest[:-2]]
    assert await db.read(lambda tx: payments.by_hash(tx, hashes)) == [None] * len(hashes)
    shorts = [*WEIRD, *blanked(digest[:8]), *blanked(digest[:6]), digest[:7], digest, digest[:9]]
    shorts += [f"{digest[:2]}\t{digest[2:4]}\t{digest[4:6]}", f"{digest[:6]}\n\n"]
    for short in shorts:
        assert await by_short_hash(db, short, currency=USD) is None


async def test_a_short_hash_needs_the_amount_and_the_currency_and_finds_the_newest(
    db: Database,
) -> None:
    street = await make_street(db, khr_minor=10_000)
    made = [
        await pay_one(
            db,
            make_transfer(
                payer=street.dara, receiver=street.shop, amount_minor=amount, currency=currency
            ),
        )
        for amount, currency in ((100, USD), (100, USD), (200, USD), (100, KHR))
    ]
    for n, payment in enumerate(made):
        hash_ = bytes.fromhex("abcdef01") + bytes([255 - n]) * 28
        await db.transaction(
            lambda tx, hash_=hash_, payment=payment: tx.run(
                "UPDATE payments.payment SET hash = $1 WHERE id = $2", hash_, payment.id
            )
        )
    found = [
        await by_short_hash(db, "abcdef01", amount_minor=amount, currency=currency)
        for amount, currency in ((100, USD), (200, USD), (100, KHR), (200, KHR), (101, USD))
    ]
    expected = [made[1].id, made[2].id, made[3].id, None, None]
    assert [payment.id if payment else None for payment in found] == expected
    assert await by_short_hash(db, "abcdef02", currency=USD) is None
    assert await by_short_hash(db, "abcdef00", currency=USD) is None


async def test_a_short_hash_at_either_end_of_its_range_is_found(db: Database) -> None:
    street = await make_street(db)
    for hash_ in (bytes(32), b"\xff" * 32):
        paid = await pay_one(
            db, make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
        )
        await db.transaction(
            lambda tx, hash_=hash_, paid=paid: tx.run(
                "UPDATE payments.payment SET hash = $1 WHERE id = $2", hash_, paid.id
            )
        )
        found = await by_short_hash(db, hash_.hex()[:8], currency=USD)
        assert found is not None
        assert found.id == paid.id


@pytest.mark.parametrize("ask", [payments.by_instruction_ref, payments.by_external_ref])
async def test_a_reference_finds_its_newest_payment_and_only_exactly(
    db: Database, ask: Callable[[Tx, str], Awaitable[Payment | None]]
) -> None:
    street = await make_street(db)
    for amount_minor in (100, 200):
        newest = await pay_one(
            db,
            make_pay(
                payer=street.dara,
                qr=make_qr(amount_minor=amount_minor),
                instruction_ref="Ref 1",
                external_ref="Ref 1",
            ),
        )
    assert await db.read(lambda tx: ask(tx, "Ref 1")) == newest
    for other in ("ref 1", "Ref 1 ", "Ref", "", "%", "Ref_1", "R" * 255):
        assert await db.read(lambda tx, other=other: ask(tx, other)) is None


async def wait_until_waiting(rail: payments.Rail, count: int = 1) -> None:
    """Give the waiters time to have asked once, so that only waking can answer them."""
    while len(rail.watch.md5s) < count or rail.asking.sizes.commands < count:  # noqa: ASYNC110 - no event tells that a waiter has asked
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)


async def test_who_waits_is_told_right_after_the_commit_in_the_same_process(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    qr = make_qr(amount_minor=100)
    waiter = asyncio.create_task(rail.status_by_md5(payments.khqr.md5(qr).upper(), wait_s=5))
    await wait_until_waiting(rail)
    reply = await rail.pay(make_request(make_pay(payer=street.dara, qr=qr)))
    paid_at = time.monotonic()
    assert await waiter == reply.outcome
    assert time.monotonic() - paid_at < 0.15
    assert rail.watch.md5s == []


async def test_who_waits_is_not_woken_by_what_is_not_final(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    qr = make_qr(amount_minor=100)
    waiter = asyncio.create_task(rail.status_by_md5(payments.khqr.md5(qr), wait_s=0.4))
    await wait_until_waiting(rail)
    await rail.pay(make_request(make_pay(payer=street.dara, qr=qr, delay_s=60)))
    await rail.pay(make_request(make_pay(payer=street.shop, qr=qr)))
    await asyncio.sleep(0.1)
    assert not waiter.done()
    assert rail.asking.sizes.commands == 1
    assert await waiter is None
    assert await complete(db) == []


async def test_who_waits_is_told_what_another_process_has_paid(db: Database, database: str) -> None:
    street = await make_street(db)
    here = make_rail(db)
    other = await Database.connect(database)
    there = make_rail(other)
    qr = make_qr(amount_minor=100)
    async with working(here.watch_others):
        waiter = asyncio.create_task(here.status_by_md5(payments.khqr.md5(qr), wait_s=5))
        await wait_until_waiting(here)
        reply = await there.pay(make_request(make_pay(payer=street.dara, qr=qr)))
        paid_at = time.monotonic()
        assert await waiter == reply.outcome
        assert time.monotonic() - paid_at < 0.4
    await other.close()


async def test_what_is_there_already_is_told_without_waiting(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    ends: tuple[Completed, ...] = ("succeeded", "failed")
    for completes in ends:
        qr = make_qr(amount_minor=100)
        paid = await pay_one(db, make_pay(payer=street.dara, qr=qr, completes=completes))
        asked_at = time.monotonic()
        assert await rail.status_by_md5(payments.khqr.md5(qr), wait_s=5) == paid
        assert time.monotonic() - asked_at < 1
    assert rail.watch.md5s == []


async def test_when_the_time_is_over_nothing_was_found_and_nobody_waits_any_more(
    db: Database,
) -> None:
    rail = make_rail(db)
    started_at = time.monotonic()
    found = await asyncio.gather(
        *(rail.status_by_md5(md5, wait_s=0.2) for md5 in ("0" * 32, "0" * 32, *WEIRD))
    )
    assert set(found) == {None}
    assert 0.2 <= time.monotonic() - started_at < 1
    assert rail.watch.md5s == []


async def test_a_hundred_waiters_hold_no_connection_and_are_all_told(database: str) -> None:
    small = await Database.connect(database, size_max=1)
    street = await make_street(small)
    rail = make_rail(small)
    qrs = [make_qr(amount_minor=10) for _ in range(50)]
    waiters = [
        asyncio.create_task(rail.status_by_md5(payments.khqr.md5(qr), wait_s=10))
        for qr in (*qrs, *qrs)
    ]
    async with working(rail.watch_others):
        await wait_until_waiting(rail, 50)
        paid = [await pay_one(small, make_pay(payer=street.dara, qr=qr)) for qr in qrs]
        assert await asyncio.gather(*waiters) == [*paid, *paid]
    assert rail.watch.md5s == []
    await small.close()


async def test_who_gives_up_waiting_is_forgotten_and_the_others_are_not(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    qr = make_qr(amount_minor=100)
    md5 = payments.khqr.md5(qr)
    gone, stays = (asyncio.create_task(rail.status_by_md5(md5, wait_s=5)) for _ in range(2))
    asking = asyncio.create_task(rail.status_by_md5("0" * 32, wait_s=5))
    await asyncio.sleep(0)
    asking.cancel()  # while it asks for the first time
    await wait_until_waiting(rail)
    gone.cancel()
    await asyncio.wait([gone, asking])
    assert rail.watch.md5s == [md5]
    reply = await rail.pay(make_request(make_pay(payer=street.dara, qr=qr)))
    assert await stays == reply.outcome
    assert rail.watch.md5s == []
