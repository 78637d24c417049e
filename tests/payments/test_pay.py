"""Paying: what is declined and why, what a payment is when it succeeded, and what may be paid."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bayon import payments
from bayon.db import Database
from bayon.errors import Invalid
from bayon.ids import uuid7
from bayon.ledger import Balance
from bayon.money import AMOUNT_MINOR_MAX, Currency
from bayon.payments import (
    AccountNotFound,
    AmountMissing,
    BadAccountId,
    Decline,
    Order,
    PaidQr,
    Pay,
    Payment,
)
from bayon.payments.khqr import BadQR
from factories import (
    KHR,
    USD,
    Street,
    balance_of,
    make_account,
    make_pay,
    make_qr,
    make_street,
    make_transfer,
    pay_all,
    pay_one,
    status,
)

MD5 = bytes(range(16))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def good_command(street: Street) -> Pay:
    return Pay(
        participant_id=street.aclb.id,
        from_account_id=street.dara.account_id,
        to_account_id=street.shop.account_id,
        currency=USD,
        amount_minor=500,
        qr=PaidQr(
            md5=MD5,
            kind="dynamic",
            currency=USD,
            amount_minor=500,
            expires_at=None,
            account_information=None,
        ),
    )


def with_qr(
    command: Pay,
    *,
    amount_minor: int | None = None,
    currency: Currency | None = None,
    expires_at: datetime | None = None,
) -> Pay:
    assert command.qr is not None
    qr = command.qr
    return replace(
        command,
        qr=replace(
            qr,
            amount_minor=amount_minor if amount_minor is not None else qr.amount_minor,
            currency=currency or qr.currency,
            expires_at=expires_at or qr.expires_at,
        ),
    )


def with_amount(command: Pay, amount_minor: int) -> Pay:
    return replace(with_qr(command, amount_minor=amount_minor), amount_minor=amount_minor)


FAULTS: dict[Decline, Callable[[Pay], Pay]] = {
    Decline.QR_EXPIRED: lambda c: with_qr(c, expires_at=LONG_AGO),
    Decline.UNKNOWN_ACCOUNT: lambda c: replace(c, to_account_id="nobody@wing"),
    Decline.SAME_ACCOUNT: lambda c: replace(c, to_account_id=c.from_account_id),
    Decline.WRONG_CURRENCY: lambda c: with_qr(c, currency=KHR),
    Decline.AMOUNT_DIFFERS: lambda c: with_qr(c, amount_minor=c.amount_minor - 1),
    Decline.AMOUNT_OUT_OF_RANGE: lambda c: with_amount(c, AMOUNT_MINOR_MAX + 1),
    Decline.QR_ALREADY_PAID: lambda c: c,
    Decline.INSUFFICIENT_FUNDS: lambda c: with_amount(c, 10_001),
}
"""What is wrong with a command, in the order in which it is to be found."""


def exactly(posted_minor: int, held_minor: int = 0) -> Balance:
    return Balance(posted_minor=posted_minor, held_minor=held_minor)


async def count_claims(db: Database) -> int:
    found: int = await db.read(lambda tx: tx.value("SELECT count(*) FROM payments.qr_claim"))
    return found


async def count_payments(db: Database) -> int:
    found: int = await db.read(lambda tx: tx.value("SELECT count(*) FROM payments.payment"))
    return found


def test_every_decline_has_its_fault_in_the_same_order() -> None:
    assert list(FAULTS) == list(Decline)


@pytest.mark.parametrize("reason", [r for r in Decline if r is not Decline.QR_ALREADY_PAID])
async def test_a_fault_is_declined_recorded_and_leaves_money_and_qr_as_they_were(
    db: Database, reason: Decline
) -> None:
    street = await make_street(db)
    declined = await pay_one(db, FAULTS[reason](good_command(street)))
    assert (declined.state, declined.decline_reason) == ("declined", reason)
    (kept,), _ = await db.read(lambda tx: payments.list_payments(tx, participant_id=street.aclb.id))
    assert kept == declined
    assert (await balance_of(db, street.dara)).available_minor == 10_000
    assert (await balance_of(db, street.shop)).posted_minor == 0
    assert await count_claims(db) == 0
    assert (await pay_one(db, good_command(street))).state == "succeeded"


async def test_the_first_of_many_faults_is_the_reason(db: Database) -> None:
    street = await make_street(db)
    await pay_one(db, with_amount(good_command(street), 100))
    for delay_s in (0.0, 60.0):
        for first, reason in enumerate(Decline):
            command = replace(good_command(street), delay_s=delay_s)
            for fault in reversed(list(Decline)[first:]):
                command = FAULTS[fault](command)
            if reason is Decline.INSUFFICIENT_FUNDS:
                command = replace(command, qr=None)
            assert (await pay_one(db, command)).decline_reason is reason
    assert await balance_of(db, street.dara) == exactly(9_900)
    assert await count_payments(db) == 17


async def test_a_currency_that_either_side_lacks_is_wrong(db: Database) -> None:
    street = await make_street(db)
    in_usd = await make_account(
        db, participant=street.aclb, name="usd", currencies=frozenset({USD}), usd_minor=1_000
    )
    in_khr = await make_account(
        db, participant=street.wing, name="khr", currencies=frozenset({KHR}), khr_minor=1_000
    )
    lacking = [
        make_transfer(payer=in_usd, receiver=street.shop, amount_minor=100, currency=KHR),
        make_transfer(payer=street.dara, receiver=in_khr, amount_minor=100, currency=USD),
        make_transfer(payer=in_khr, receiver=in_usd, amount_minor=100, currency=KHR),
    ]
    declined = [p for p in await pay_all(db, lacking) if isinstance(p, Payment)]
    assert [p.decline_reason for p in declined] == [Decline.WRONG_CURRENCY] * 3


async def test_an_amount_out_of_range_is_declined_however_it_was_to_end(db: Database) -> None:
    street = await make_street(db)
    ends: tuple[payments.Completed, ...] = ("succeeded", "failed")
    commands = [
        replace(
            make_transfer(payer=street.dara, receiver=street.shop, amount_minor=amount_minor),
            completes=completes,
            delay_s=delay_s,
        )
        for amount_minor in (0, -1, AMOUNT_MINOR_MAX + 1, 2**63 - 1)
        for completes in ends
        for delay_s in (0.0, 1.0)
    ]
    declined = [p for p in await pay_all(db, commands) if isinstance(p, Payment)]
    assert [p.decline_reason for p in declined] == [Decline.AMOUNT_OUT_OF_RANGE] * 16


async def test_the_last_cent_can_be_paid_and_not_one_more(db: Database) -> None:
    street = await make_street(db, usd_minor=100)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=101)
    assert (await pay_one(db, command)).decline_reason is Decline.INSUFFICIENT_FUNDS
    assert (await pay_one(db, replace(command, amount_minor=100))).state == "succeeded"
    assert await balance_of(db, street.dara) == exactly(0)


async def test_paying_from_what_is_not_the_participants_own_is_an_error_and_not_recorded(
    db: Database,
) -> None:
    street = await make_street(db)
    theirs = replace(good_command(street), participant_id=street.wing.id)
    nobodys = replace(good_command(street), from_account_id="nobody@aclb")
    outcomes = await pay_all(db, [theirs, nobodys])
    assert [type(outcome) for outcome in outcomes] == [AccountNotFound, AccountNotFound]
    assert await count_payments(db) == 0
    assert await count_claims(db) == 0


async def test_a_payment_keeps_what_was_said_and_moves_the_amount(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=1_250, account_information="0123456789")
    order = Order(
        participant_id=street.aclb.id,
        from_account_id="dara@aclb",
        description="Lunch",
        instruction_ref="I-1",
        external_ref="E-1",
    )
    paid = await pay_one(db, payments.order_by_qr(order, qr=qr))
    assert (paid.state, paid.decline_reason, paid.refunded_at) == ("succeeded", None, None)
    assert paid.md5 == bytes.fromhex(payments.khqr.md5(qr))
    assert (paid.from_account_id, paid.to_account_id) == ("dara@aclb", "shop@wing")
    assert (paid.from_participant_id, paid.to_participant_id) == (street.aclb.id, street.wing.id)
    assert (paid.currency, paid.amount_minor) == (USD, 1_250)
    assert (paid.description, paid.instruction_ref, paid.external_ref) == ("Lunch", "I-1", "E-1")
    assert (paid.receiver_bank, paid.receiver_bank_account) == ("Wing Bank", "0******789")
    assert paid.created_at == paid.acknowledged_at
    assert abs(paid.created_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert len(paid.hash) == 32
    assert await status(db, qr) == paid
    assert await balance_of(db, street.dara) == exactly(8_750)
    assert await balance_of(db, street.shop) == exactly(1_250)


async def test_a_dynamic_qr_is_paid_once_and_a_static_one_often(db: Database) -> None:
    street = await make_street(db)
    for qr, amount_minor, states in (
        (make_qr(amount_minor=100), None, ["succeeded", "declined", "declined"]),
        (make_qr(amount_minor=100, static=True), None, ["succeeded"] * 3),
        (make_qr(), 100, ["succeeded"] * 3),
    ):
        command = make_pay(payer=street.dara, qr=qr, amount_minor=amount_minor)
        alone = await pay_one(db, command)
        together = await pay_all(db, [command, command])
        found = [p.state for p in (alone, *together) if isinstance(p, Payment)]
        assert found == states


async def test_commands_of_one_batch_have_the_meaning_of_one_after_the_other(db: Database) -> None:
    street = await make_street(db, usd_minor=100)
    qr = make_qr(amount_minor=150)
    there = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    back = make_transfer(payer=street.shop, receiver=street.dara, amount_minor=60)
    outcomes = await pay_all(
        db,
        [
            make_pay(payer=street.dara, qr=qr),  # too much, the QR stays free
            back,  # nothing there yet
            there,
            there,  # nothing left
            back,
            replace(there, amount_minor=60),
        ],
    )
    assert [p.state for p in outcomes if isinstance(p, Payment)] == [
        *("declined", "declined", "succeeded", "declined", "succeeded", "succeeded")
    ]
    assert await balance_of(db, street.shop) == exactly(100)


async def test_a_qr_declined_and_paid_in_one_batch_is_paid_once(db: Database) -> None:
    street = await make_street(db, usd_minor=100)
    poor = await make_account(db, participant=street.aclb, name="poor")
    qr = make_qr(amount_minor=100)
    payers = (poor, street.dara, poor, street.dara)
    outcomes = await pay_all(db, [make_pay(payer=payer, qr=qr) for payer in payers])
    assert [p.decline_reason for p in outcomes if isinstance(p, Payment)] == [
        *(Decline.INSUFFICIENT_FUNDS, None, Decline.QR_ALREADY_PAID, Decline.QR_ALREADY_PAID)
    ]


async def test_a_payment_that_fails_at_once_moves_nothing_and_frees_its_qr(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=100)
    failed = await pay_one(db, make_pay(payer=street.dara, qr=qr, completes="failed"))
    assert failed.state == "failed"
    assert await status(db, qr) == failed
    assert await balance_of(db, street.dara) == exactly(10_000)
    assert (await pay_one(db, make_pay(payer=street.dara, qr=qr))).state == "succeeded"


async def test_a_qr_that_writes_its_account_in_capitals_reaches_it(db: Database) -> None:
    street = await make_street(db)
    paid = await pay_one(
        db, make_pay(payer=street.dara, qr=make_qr(to="SHOP@Wing", amount_minor=100))
    )
    assert (paid.state, paid.to_account_id) == ("succeeded", "shop@wing")


async def test_a_qr_whose_blanks_became_pluses_is_the_same_qr(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=100, merchant_name="Mekong Coffee House")
    printed = qr.replace(" ", "+")
    assert printed != qr
    paid = await pay_one(db, make_pay(payer=street.dara, qr=printed))
    assert await status(db, qr) == paid
    again = await pay_one(db, make_pay(payer=street.dara, qr=qr))
    assert again.decline_reason is Decline.QR_ALREADY_PAID


async def test_a_qr_with_a_plus_of_its_own_is_read_as_it_stands(db: Database) -> None:
    street = await make_street(db)
    qr = make_qr(amount_minor=100, merchant_name="Tea + Cake")
    assert await pay_one(db, make_pay(payer=street.dara, qr=qr)) == await status(db, qr)


async def test_a_qr_can_be_paid_until_it_expires(db: Database) -> None:
    street = await make_street(db)
    soon = datetime.now(UTC) + timedelta(seconds=30)
    qr = make_qr(amount_minor=100, expires_at=soon)
    command = make_pay(payer=street.dara, qr=qr)
    assert command.qr is not None
    assert command.qr.expires_at is not None
    at = command.qr.expires_at
    outcomes = [
        (await db.transaction(lambda tx, now=now: payments.pay(tx, [command], now=now)))[0]
        for now in (at, at + timedelta(days=1), at - timedelta(microseconds=1))
    ]
    assert [p.decline_reason for p in outcomes if isinstance(p, Payment)] == [
        *(Decline.QR_EXPIRED, Decline.QR_EXPIRED, None)
    ]


async def test_a_bank_account_is_shown_by_its_first_and_last_three_characters(
    db: Database,
) -> None:
    street = await make_street(db)
    for information, shown in (
        (None, None),
        ("1", "*"),
        ("1234", "****"),
        ("12345", "1*345"),
        ("85512345678", "8*******678"),
        ("កខគឃងច", "ក**ឃងច"),
    ):
        qr = make_qr(amount_minor=100, account_information=information)
        paid = await pay_one(db, make_pay(payer=street.dara, qr=qr))
        assert paid.receiver_bank_account == shown


ORDER = Order(participant_id=uuid7(), from_account_id="dara@aclb")


@pytest.mark.parametrize(
    ("qr", "error"),
    [
        ("", BadQR),
        ("not a QR", BadQR),
        (make_qr(amount_minor=100)[:-1] + "x", BadQR),
        (make_qr(amount_minor=100).replace("Shop", "Shoq"), BadQR),
        (make_qr(), AmountMissing),
        (make_qr(to="a/b@wing", amount_minor=100), BadAccountId),
        (make_qr(to="shop@wing-bank", amount_minor=100), BadAccountId),
    ],
    ids=("empty", "text", "crc", "name", "static", "account", "bank"),
)
def test_a_qr_that_cannot_be_paid_makes_no_command(qr: str, error: type[Invalid]) -> None:
    with pytest.raises(error):
        payments.order_by_qr(ORDER, qr=qr)


def test_an_order_may_say_less_or_more_than_the_qr_and_the_qr_stays_with_it() -> None:
    qr = make_qr(amount_minor=100)
    silent = payments.order_by_qr(ORDER, qr=qr)
    assert (silent.amount_minor, silent.currency) == (100, USD)
    other = payments.order_by_qr(replace(ORDER, amount=0, currency=KHR), qr=qr)
    assert (other.amount_minor, other.currency) == (0, KHR)
    assert other.qr == silent.qr
    assert silent.qr is not None
    assert (silent.qr.kind, silent.qr.amount_minor, silent.qr.currency) == ("dynamic", 100, USD)


def test_a_qr_may_have_expired_at_the_beginning_of_time() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    command = payments.order_by_qr(ORDER, qr=make_qr(amount_minor=100, expires_at=epoch))
    assert command.qr is not None
    assert command.qr.expires_at == epoch


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "@",
            "dara",
            "dara@",
            "@aclb",
            "dara@aclb@aclb",
            "dara@a",
            "dara @aclb",
            " dara@aclb",
        ),
        *("dara@aclb\n", "dara@aclb\x00", "dara@" + "a" * 17, "d" * 28 + "@aclb", "-dara@aclb"),
        *("da\u212aa@aclb", "ដារា@aclb", "dara@aclb\uff11", "da/ra@aclb"),
    ],
)
def test_what_is_no_account_id_is_refused(text: str) -> None:
    with pytest.raises(BadAccountId):
        payments.account_id_of(text)


def test_an_account_id_is_kept_in_lower_case() -> None:
    assert payments.account_id_of("Dara.K-2+x_y@ACLB") == "dara.k-2+x_y@aclb"
    assert payments.account_id_of("d" * 27 + "@aclb") == "d" * 27 + "@aclb"
