"""The same key again: the same bytes, and nothing moved twice."""

import asyncio
from dataclasses import replace

import pytest

from bayon.batch import KeyReused
from bayon.db import Database
from bayon.payments import AccountNotFound
from factories import (
    advance,
    balance_of,
    make_account,
    make_pay,
    make_qr,
    make_rail,
    make_request,
    make_street,
    make_transfer,
)


async def count_payments(db: Database) -> int:
    found: int = await db.read(lambda tx: tx.value("SELECT count(*) FROM payments.payment"))
    return found


async def test_the_same_key_is_answered_with_the_same_bytes_and_moves_once(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    first = await rail.pay(make_request(command, key="k", body=b"1"))
    together = await asyncio.gather(
        *(rail.pay(make_request(command, key="k", body=b"1")) for _ in range(10))
    )
    assert {reply.answer for reply in together} == {first.answer}
    assert {reply.outcome for reply in together} == {None}
    assert (await balance_of(db, street.shop)).posted_minor == 100
    other = await rail.pay(make_request(command, key="other", body=b"1"))
    assert other.answer != first.answer
    assert (await balance_of(db, street.shop)).posted_minor == 200


async def test_the_same_key_many_times_in_one_batch_moves_once(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    replies = await asyncio.gather(*(rail.pay(make_request(command, key="k")) for _ in range(20)))
    assert len({reply.answer for reply in replies}) == 1
    assert rail.paying.sizes.largest == 20
    assert await count_payments(db) == 1


async def test_a_key_with_other_content_is_refused_and_moves_nothing(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    outcomes = await asyncio.gather(
        *(rail.pay(make_request(command, key="k", body=body)) for body in (b"1", b"2", b"1")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], KeyReused)
    assert outcomes[0] == outcomes[2]
    with pytest.raises(KeyReused):
        await rail.pay(make_request(command, key="k", body=b"2"))
    assert await count_payments(db) == 1


async def test_a_decline_is_answered_the_same_even_when_funds_have_come(db: Database) -> None:
    street = await make_street(db, usd_minor=50)
    rail = make_rail(db)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    declined = await rail.pay(make_request(command, key="k"))
    rich = await make_account(db, participant=street.aclb, name="rich", usd_minor=1_000)
    await rail.pay(make_request(make_transfer(payer=rich, receiver=street.dara, amount_minor=500)))
    assert (await rail.pay(make_request(command, key="k"))).answer == declined.answer
    assert (await balance_of(db, street.shop)).posted_minor == 0


async def test_an_error_is_not_kept_so_the_key_may_be_tried_again(db: Database) -> None:
    street = await make_street(db)
    rail = make_rail(db)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    with pytest.raises(AccountNotFound):
        await rail.pay(make_request(replace(command, from_account_id="sok@aclb"), key="k"))
    reply = await rail.pay(make_request(command, key="k"))
    assert reply.outcome is not None
    assert reply.outcome.state == "succeeded"


async def test_one_key_raced_through_two_pools_moves_once_and_all_get_the_same_bytes(
    db: Database, database: str
) -> None:
    street = await make_street(db)
    others = [await Database.connect(database, size_max=3) for _ in range(2)]
    rails = [make_rail(other, batch_size_max=4) for other in others]
    qr = make_qr(amount_minor=10)
    commands = [
        make_transfer(payer=street.dara, receiver=street.shop, amount_minor=10),
        make_transfer(payer=street.dara, receiver=street.shop, amount_minor=20),
        make_pay(payer=street.dara, qr=qr),
    ]
    for turn in range(8):
        replies = await asyncio.gather(
            *(
                rail.pay(make_request(command, key=f"{turn} {n}"))
                for rail in rails
                for n, command in enumerate(commands)
            ),
        )
        answers = [reply.answer for reply in replies]
        assert answers[:3] == answers[3:]
    for other in others:
        await other.close()
    assert await count_payments(db) == 24
    assert (await balance_of(db, street.shop)).posted_minor == 8 * 30 + 10


async def test_a_key_outlives_any_time(db: Database) -> None:
    street = await make_street(db)
    command = make_transfer(payer=street.dara, receiver=street.shop, amount_minor=100)
    first = await make_rail(db).pay(make_request(command, key="k"))
    await advance(db, advance_s=10 * 365 * 86_400)
    assert (await make_rail(db).pay(make_request(command, key="k"))).answer == first.answer
