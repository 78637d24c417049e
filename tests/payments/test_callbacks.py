"""Listening and telling: nobody falls between the answer and the callback, and it costs little."""

import asyncio
import random
import secrets
from collections.abc import Sequence

import pytest

from bayon import payments
from bayon.db import Database, Tx, read_clock
from bayon.payments import Payment, Rail
from bayon.payments import listen as listen_module
from bayon.payments.callbacks import owner_id_of
from bayon.payments.listen import KEPT, RENEWED, Question, forget_listeners, listen
from events.receivers import FETCHER, SEALER
from factories import (
    advance,
    complete,
    make_pay,
    make_qr,
    make_rail,
    make_request,
    make_street,
    make_transfer,
    pay_all,
    pay_one,
    working,
)
from said import never_say


async def make_integrator(db: Database, *, callback: bool = True) -> str:
    """Register an integrator, with a callback that nothing is sent to here."""

    async def work(tx: Tx) -> str:
        now = (await read_clock(tx)).now()
        integrator_id = await payments.register_verified(
            tx, email=f"{secrets.token_hex(4)}@x.test", organization="O", project="P", now=now
        )
        if callback:
            made = await payments.put_callback(
                tx,
                integrator_id=integrator_id,
                url="https://shop.example/",
                sealer=SEALER,
                fetcher=FETCHER,
                now=now,
            )
            never_say("a signing secret", made.secret.reveal())
        return integrator_id

    return await db.transaction(work)


async def told(db: Database, integrator_id: str) -> list[tuple[str, str]]:
    """List type and MD5 of what an integrator has been told or will be, in order."""
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT type, subject_id FROM events.event WHERE owner_id = $1 ORDER BY seq",
            owner_id_of(integrator_id),
        )
    )
    return [(row["type"], row["subject_id"].hex) for row in rows]


async def listening(db: Database) -> list[tuple[str, str]]:
    """List who listens for what."""
    rows = await db.read(lambda tx: tx.rows("SELECT * FROM payments.listener ORDER BY md5"))
    return [(row["md5"].hex(), row["integrator_id"]) for row in rows]


async def test_who_asks_while_a_payment_commits_waits_and_has_it_in_the_answer(
    db: Database, database: str
) -> None:
    street, integrator_id = await make_street(db), await make_integrator(db)
    qr = make_qr(amount_minor=100)
    written, may_commit = asyncio.Event(), asyncio.Event()

    async def pay_slowly(tx: Tx) -> None:
        command = make_pay(payer=street.dara, qr=qr)
        await payments.pay(tx, [command], now=(await read_clock(tx)).now())
        written.set()
        await may_commit.wait()

    other = await Database.connect(database, size_max=2)
    paying = asyncio.create_task(db.transaction(pay_slowly))
    await written.wait()
    asking = asyncio.create_task(
        make_rail(other).status_by_md5(payments.khqr.md5(qr), integrator_id=integrator_id)
    )
    await asyncio.sleep(0.3)
    assert not asking.done()
    may_commit.set()
    await paying
    found = await asking
    await other.close()
    assert found is not None
    assert found.state == "succeeded"
    assert await listening(db) == await told(db, integrator_id) == []


async def test_who_pays_while_somebody_begins_to_listen_waits_and_tells(
    db: Database, database: str
) -> None:
    street, integrator_id = await make_street(db), await make_integrator(db)
    qr = make_qr(amount_minor=100)
    md5 = payments.khqr.md5(qr)
    asked, may_commit = asyncio.Event(), asyncio.Event()

    async def ask_slowly(tx: Tx) -> list[list[Payment | None]]:
        question = Question(integrator_id=integrator_id, md5s=(md5, md5.upper()))
        answers = await listen(tx, [question], now=(await read_clock(tx)).now())
        asked.set()
        await may_commit.wait()
        return answers

    other = await Database.connect(database, size_max=2)
    asking = asyncio.create_task(other.transaction(ask_slowly))
    await asked.wait()
    paying = asyncio.create_task(pay_one(db, make_pay(payer=street.dara, qr=qr)))
    await asyncio.sleep(0.3)
    assert not paying.done()
    may_commit.set()
    assert await asking == [[None, None]]
    await paying
    await other.close()
    assert await told(db, integrator_id) == [("payment.succeeded", md5)]


@pytest.mark.parametrize("delay_s", [0.0, 60.0])
async def test_at_whatever_moment_one_asks_it_is_in_the_answer_or_told_and_never_both(
    db: Database, database: str, delay_s: float
) -> None:
    """Two rails, as two processes have; payments are made, or completed, meanwhile."""
    chance = random.Random(20_260_118)  # noqa: S311 - a test's dice
    street, integrator_id = await make_street(db, usd_minor=1_000), await make_integrator(db)
    qrs = [make_qr(amount_minor=1) for _ in range(120)]
    commands = [make_pay(payer=street.dara, qr=qr, delay_s=delay_s) for qr in qrs]
    other = await Database.connect(database, size_max=3)
    paying, asking = make_rail(db, batch_size_max=5), make_rail(other)
    if delay_s:
        await pay_all(db, commands)
        await advance(db, advance_s=delay_s + 1)

    async def ask(qr: str, *, after_s: float | None = None) -> Payment | None:
        await asyncio.sleep(chance.random() * 0.3 if after_s is None else after_s)
        return await asking.status_by_md5(payments.khqr.md5(qr), integrator_id=integrator_id)

    async def make_final() -> None:
        if delay_s:
            await complete(db)
        else:
            await asyncio.gather(*(paying.pay(make_request(each)) for each in commands))

    first = await ask(qrs[0], after_s=0)
    questions = [asyncio.create_task(ask(qr)) for qr in qrs[1:-1]]
    await asyncio.sleep(0.1)
    await make_final()
    last = await ask(qrs[-1], after_s=0)
    answers = [first, *await asyncio.gather(*questions), last]
    await other.close()
    heard = [payments.khqr.md5(qr) for qr, a in zip(qrs, answers, strict=True) if a is None]
    assert sorted(await told(db, integrator_id)) == sorted(("payment.succeeded", m) for m in heard)
    assert 0 < len(heard) < len(qrs)


async def test_two_who_begin_to_listen_at_once_are_both_told(db: Database, database: str) -> None:
    street, qr = await make_street(db), make_qr(amount_minor=1)
    md5 = payments.khqr.md5(qr)
    integrators = [await make_integrator(db) for _ in range(2)]
    other = await Database.connect(database, size_max=3)
    rails = [make_rail(db), make_rail(other)]
    asked = [
        rail.status_by_md5(md5, integrator_id=each)
        for rail in rails
        for each in integrators
        for _ in range(3)
    ]
    assert set(await asyncio.gather(*asked)) == {None}
    await other.close()
    assert sorted(await listening(db)) == sorted((md5, each) for each in integrators)
    await pay_one(db, make_pay(payer=street.dara, qr=qr))
    for each in integrators:
        assert await told(db, each) == [("payment.succeeded", md5)]


async def test_of_many_payments_of_a_static_qr_in_one_batch_the_first_is_told(db: Database) -> None:
    street, integrator_id = await make_street(db), await make_integrator(db)
    qr, dynamic = make_qr(), make_qr(amount_minor=1)
    rail = make_rail(db)
    md5, dynamic_md5 = payments.khqr.md5(qr), payments.khqr.md5(dynamic)
    for each in (md5, dynamic_md5):
        await rail.status_by_md5(each, integrator_id=integrator_id)
    static = make_pay(payer=street.dara, qr=qr, amount_minor=1)
    await pay_all(db, [static, make_pay(payer=street.dara, qr=dynamic), static])
    assert [m for _, m in await told(db, integrator_id)] == [md5, dynamic_md5]
    assert await listening(db) == [(dynamic_md5, integrator_id)]
    await pay_one(db, static)
    assert len(await told(db, integrator_id)) == 2


async def test_in_one_batch_a_failure_is_told_before_the_success_that_follows(
    db: Database,
) -> None:
    street, integrator_id = await make_street(db), await make_integrator(db)
    qr = make_qr(amount_minor=1)
    md5 = payments.khqr.md5(qr)
    await make_rail(db).status_by_md5(md5, integrator_id=integrator_id)
    failing = make_pay(payer=street.dara, qr=qr, completes="failed")
    again = make_pay(payer=street.dara, qr=qr)
    await pay_all(db, [failing, again, again])
    assert await told(db, integrator_id) == [("payment.failed", md5), ("payment.succeeded", md5)]


async def test_what_is_rolled_back_is_not_told(db: Database) -> None:
    street, integrator_id = await make_street(db), await make_integrator(db)
    qr = make_qr(amount_minor=1)
    await make_rail(db).status_by_md5(payments.khqr.md5(qr), integrator_id=integrator_id)

    async def fail(tx: Tx) -> None:
        command = make_pay(payer=street.dara, qr=qr)
        await payments.pay(tx, [command], now=(await read_clock(tx)).now())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.transaction(fail)
    assert await told(db, integrator_id) == []
    await pay_one(db, make_pay(payer=street.dara, qr=qr))
    assert len(await told(db, integrator_id)) == 1


async def test_another_process_hears_of_a_callback_within_a_second(db: Database) -> None:
    rail = make_rail(db)
    md5 = payments.khqr.md5(make_qr(amount_minor=1))
    integrator_id = await make_integrator(db, callback=False)
    await rail.status_by_md5(md5, integrator_id=integrator_id)
    other = await make_integrator(db)
    await asyncio.sleep(1.05)
    for each in (integrator_id, other):
        await rail.status_by_md5(md5, integrator_id=each)
    assert await listening(db) == [(md5, other)]


# How long it lasts.


async def forget(db: Database) -> int:
    """Do one step of forgetting."""
    now = (await db.clock()).now()
    return await db.transaction(lambda tx: forget_listeners(tx, now=now))


async def test_who_asked_long_ago_is_forgotten_in_batches_the_oldest_first(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen_module, "FORGET_LIMIT", 2)
    rail, integrator_id = make_rail(db), await make_integrator(db)
    md5s = [payments.khqr.md5(make_qr(amount_minor=1)) for _ in range(4)]
    for md5 in md5s:
        await rail.status_by_md5(md5, integrator_id=integrator_id)
        await advance(db, advance_s=60)
    await advance(db, advance_s=KEPT.total_seconds())
    assert await forget(db) == 0
    await advance(db, advance_s=RENEWED.total_seconds() - 90)
    assert [await forget(db) for _ in range(3)] == [2, 1, 0]
    assert await listening(db) == [(md5s[-1], integrator_id)]


async def test_who_asks_again_listens_on_and_is_told(db: Database) -> None:
    street, integrator_id, rail = await make_street(db), await make_integrator(db), make_rail(db)
    qr, silent = make_qr(amount_minor=1), make_qr(amount_minor=1)
    md5 = payments.khqr.md5(qr)
    await rail.listen(payments.khqr.md5(silent), integrator_id=integrator_id)
    for _ in range(3):
        await rail.status_by_md5(md5, integrator_id=integrator_id)
        await advance(db, advance_s=KEPT.total_seconds() / 2)
    await forget(db)
    assert await listening(db) == [(md5, integrator_id)]
    for each in (silent, qr):
        await pay_one(db, make_pay(payer=street.dara, qr=each))
    assert await told(db, integrator_id) == [("payment.succeeded", md5)]


async def test_the_worker_forgets_who_asked_long_ago(db: Database) -> None:
    rail, integrator_id = make_rail(db), await make_integrator(db)
    await rail.listen(payments.khqr.md5(make_qr(amount_minor=1)), integrator_id=integrator_id)
    await advance(db, advance_s=(KEPT + RENEWED).total_seconds() + 1)
    async with working(rail.work), asyncio.timeout(10):
        while await listening(db):  # noqa: ASYNC110 - a row is no Event
            await asyncio.sleep(0.05)


# What it costs.


async def statements(
    db: Database, rail: Rail, md5s: Sequence[str], integrator_id: str
) -> list[str]:
    """Ask together; returns what was sent, the clock aside."""
    db.journal = []
    await asyncio.gather(*(rail.status_by_md5(md5, integrator_id=integrator_id) for md5 in md5s))
    sent = [" ".join(sql.split()) for sql, _ in db.journal if "cellar.clock" not in sql]
    db.journal = None
    return sent


async def test_a_check_without_a_callback_sends_the_one_statement_it_always_did(
    db: Database,
) -> None:
    rail, integrator_id = make_rail(db), await make_integrator(db, callback=False)
    await make_integrator(db)
    md5s = [payments.khqr.md5(make_qr(amount_minor=1)) for _ in range(50)]
    await rail.status_by_md5(md5s[0], integrator_id=integrator_id)
    sent = await statements(db, rail, md5s, integrator_id)
    db.journal = []
    await rail.asking.submit(md5s[0])
    assert sent == [" ".join(sql.split()) for sql, _ in db.journal]
    assert await listening(db) == []


async def test_who_has_a_callback_writes_at_the_first_check_only(db: Database) -> None:
    rail, integrator_id = make_rail(db), await make_integrator(db)
    journals: list[list[str]] = []
    for size in (1, 50):
        md5s = [payments.khqr.md5(make_qr(amount_minor=1)) for _ in range(size)]
        await rail.status_by_md5(md5s[0], integrator_id=integrator_id)
        md5s[0] = payments.khqr.md5(make_qr(amount_minor=1))
        journals += [await statements(db, rail, md5s, integrator_id) for _ in range(2)]
    first, again = journals[:2]
    assert journals == [first, again] * 2
    assert len(first) == 5
    assert len(again) == 2
    assert all(sql.startswith("SELECT") for sql in again)


async def test_a_batch_of_payments_looks_once_who_listens_and_tells_them_by_one_statement(
    db: Database,
) -> None:
    street, rail = await make_street(db, usd_minor=1_000), make_rail(db)
    integrators = [await make_integrator(db) for _ in range(2)]
    journals: list[list[str]] = []
    for size, listens in ((1, False), (50, False), (1, True), (50, True)):
        qrs = [make_qr(amount_minor=1) for _ in range(size)]
        md5s = [payments.khqr.md5(qr) for qr in qrs] if listens else []
        for each in integrators:
            await asyncio.gather(*(rail.listen(md5, integrator_id=each) for md5 in md5s))
        db.journal = []
        await pay_all(db, [make_pay(payer=street.dara, qr=qr) for qr in qrs])
        journals.append([" ".join(sql.split()) for sql, _ in db.journal])
        db.journal = None
    silent, heard = journals[0], journals[2]
    assert journals == [silent, silent, heard, heard]
    assert "payments.listener" in silent[-1]
    assert len(heard) == len(silent) + 1
    assert [len(await told(db, each)) for each in integrators] == [51, 51]


async def test_payments_without_a_qr_look_for_nobody(db: Database) -> None:
    street = await make_street(db)
    await make_integrator(db)
    db.journal = []
    await pay_one(db, make_transfer(payer=street.dara, receiver=street.shop, amount_minor=1))
    assert not any("payments.listener" in sql for sql, _ in db.journal)
    db.journal = None
