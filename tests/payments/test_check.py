"""The check of payments finds what somebody has changed behind our back."""

from typing import LiteralString

import pytest

from bayon import payments
from bayon.db import Database, Tx, read_clock
from bayon.ledger import Finding
from bayon.payments import Refund
from factories import Street, advance, complete, make_pay, make_qr, make_street, pay_one

QR = "one payment a dynamic QR"
AMOUNT = "a payment moves its amount"
HELD = "pending is held"


class Undone(Exception):
    """The transaction was only to look."""


async def findings_after(db: Database, sql: LiteralString) -> list[Finding]:
    """Change something, look, and undo it."""
    found: list[Finding] = []

    async def work(tx: Tx) -> None:
        await tx.run(sql)
        found.extend(await payments.check(tx))
        raise Undone

    with pytest.raises(Undone):
        await db.transaction(work, isolation="repeatable_read")
    return found


async def pay_in_every_way(db: Database, street: Street) -> None:
    qr = make_qr(amount_minor=100)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    await pay_one(db, make_pay(payer=street.dara, qr=qr))
    await pay_one(db, make_pay(payer=street.dara, qr=make_qr(), amount_minor=200))
    ends: tuple[payments.Completed, ...] = ("succeeded", "failed")
    for completes in ends:
        await pay_one(
            db,
            make_pay(payer=street.dara, qr=make_qr(amount_minor=7), completes=completes, delay_s=1),
        )
    await advance(db, advance_s=2)
    await complete(db)
    await pay_one(db, make_pay(payer=street.dara, qr=make_qr(amount_minor=9), delay_s=60))

    async def refund(tx: Tx) -> None:
        command = Refund(participant_id=street.wing.id, hash=paid.hash)
        await payments.refund(tx, [command], now=(await read_clock(tx)).now())

    await db.transaction(refund)


CORRUPTIONS: list[tuple[LiteralString, set[str]]] = [
    ("SELECT 1", set()),
    ("UPDATE payments.payment SET amount_minor = 8 WHERE state = 'pending'", {HELD}),
    ("UPDATE ledger.hold SET state = 'released', open_minor = 0 WHERE state = 'open'", {HELD}),
    ("DELETE FROM payments.qr_claim", {QR}),
    ("INSERT INTO payments.qr_claim VALUES (decode(repeat('00', 16), 'hex'))", {QR}),
    (
        """
        UPDATE payments.payment SET state = 'succeeded', decline_reason = NULL
        WHERE state = 'declined'
        """,
        {QR, AMOUNT},
    ),
    ("UPDATE payments.payment SET amount_minor = 201 WHERE amount_minor = 200", {AMOUNT}),
    ("UPDATE payments.payment SET refunded_at = created_at WHERE amount_minor = 200", {AMOUNT}),
    ("UPDATE payments.payment SET refunded_at = NULL", {AMOUNT}),
    ("UPDATE payments.payment SET state = 'failed' WHERE state = 'succeeded'", {QR, AMOUNT}),
    ("UPDATE payments.payment SET state = 'succeeded' WHERE state = 'failed'", {QR, AMOUNT}),
    (
        "UPDATE payments.payment SET state = 'succeeded', due_at = NULL WHERE state = 'pending'",
        {AMOUNT, HELD},
    ),
    ("DELETE FROM ledger.transfer", {AMOUNT}),
    (
        # Both sides the other way round, and the receiver's books cooked with it.
        """
        UPDATE ledger.transfer SET debit_account_id = credit_account_id,
            credit_account_id = debit_account_id WHERE amount_minor = 200
        """,
        {AMOUNT},
    ),
    (
        # To somebody else: here, to where deposits come from.
        """
        UPDATE ledger.transfer AS t SET credit_account_id = funding.debit_account_id
        FROM ledger.transfer AS funding
        WHERE funding.amount_minor = 10000 AND t.amount_minor = 200
        """,
        {AMOUNT},
    ),
    (
        # From somebody else, at the refund alone.
        """
        UPDATE ledger.transfer AS t SET credit_account_id = funding.debit_account_id
        FROM ledger.transfer AS funding, payments.payment
        WHERE funding.amount_minor = 10000 AND t.cause_id = payment.id
            AND payment.refunded_at IS NOT NULL AND t.created_at = payment.refunded_at
        """,
        {AMOUNT},
    ),
    (
        # The refund before the payment.
        """
        UPDATE ledger.transfer AS t SET debit_account_id = t.credit_account_id,
            credit_account_id = t.debit_account_id
        FROM payments.payment
        WHERE t.cause_id = payment.id AND payment.refunded_at IS NOT NULL
        """,
        {AMOUNT},
    ),
    # What is held outlives its payment, or is held of somebody else, or by a hold unknown to it.
    ("UPDATE ledger.hold SET state = 'open', open_minor = 7 WHERE amount_minor = 7", {HELD}),
    (
        """
        UPDATE ledger.hold SET account_id = credit_account_id FROM ledger.transfer
        WHERE hold.state = 'open' AND transfer.amount_minor = 200
        """,
        {HELD},
    ),
    ("UPDATE payments.payment SET hold_id = NULL WHERE state = 'pending'", {HELD}),
    ("UPDATE ledger.hold SET id = gen_random_uuid() WHERE state = 'open'", {HELD}),
    ("DELETE FROM payments.payment WHERE state = 'pending'", {QR}),
]


async def test_whatever_was_changed_is_found_and_named(db: Database) -> None:
    await pay_in_every_way(db, await make_street(db))
    for sql, invariants in CORRUPTIONS:
        assert {found.invariant for found in await findings_after(db, sql)} == invariants, sql


async def test_a_finding_names_its_qr_or_its_payment(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=100)
    paid = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    assert await findings_after(db, "DELETE FROM payments.qr_claim") == [
        Finding(QR, payments.khqr.md5(qr))
    ]
    assert await findings_after(db, "UPDATE payments.payment SET amount_minor = 1") == [
        Finding(AMOUNT, str(paid.id))
    ]
