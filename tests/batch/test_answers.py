"""Stored answers: the same request again gets the same bytes and moves no money twice.

The verb under test is a real one: it posts on the ledger, so a second effect shows in a balance.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import pytest
from msgspec import structs

from bayon import ledger
from bayon.batch import Key, KeyReused, Reply, Request, answer_all, answer_once
from bayon.db import Database, Tx, advance_clock
from bayon.errors import BayonError, NotFound
from bayon.ids import uuid7
from bayon.ledger import Decline, OpenAccount, Post, Transfer
from bayon.money import Currency
from bayon.seal import BadSeal, Sealer

SEALER = Sealer({1: b"k" * 32})

Outcome = Transfer | Decline
Ask = Request[Post, Outcome]


@dataclass(frozen=True)
class Bank:
    """Two accounts of a database: an endless source and a sink that counts."""

    db: Database
    source_id: UUID
    sink_id: UUID

    def ask(self, *keys: str, body: bytes = b"{}", amount_minor: int = 1) -> Ask:
        return Request(
            command=Post(
                debit_account_id=self.source_id,
                credit_account_id=self.sink_id,
                amount_minor=amount_minor,
                cause_id=uuid7(),
            ),
            render=render,
            keys=tuple(Key.of("owner", "POST /x", key=key, body=body) for key in keys),
        )

    async def once(self, request: Ask) -> bytes:
        return (await answer_once(self.db, request, verb=verb, sealer=SEALER)).answer

    async def together(self, *requests: Ask) -> list[Reply[Outcome] | BayonError]:
        return await self.db.transaction(
            lambda tx: answer_all(tx, requests, verb=verb, sealer=SEALER)
        )

    async def moved_minor(self) -> int:
        (found,) = await self.db.read(lambda tx: ledger.balance(tx, [self.sink_id]))
        assert found is not None
        return found.posted_minor

    async def stored(self) -> int:
        return await self.db.read(lambda tx: tx.value("SELECT count(*) FROM batch.answer"))


def render(outcome: Outcome) -> bytes:
    text = str(outcome) if isinstance(outcome, Decline) else str(outcome.id)
    # A nonce shows that an answer is the stored one and was not rendered anew.
    return f"{text} {secrets.token_hex(8)}".encode()


async def verb(tx: Tx, commands: Sequence[Post], /, *, now: datetime) -> list[Outcome | BayonError]:
    """Post; an amount of 404 is an error instead."""
    good = [command for command in commands if command.amount_minor != 404]
    outcomes = iter(await ledger.post(tx, good, now=now))
    return [NotFound() if c.amount_minor == 404 else next(outcomes) for c in commands]


async def bank_of(db: Database) -> Bank:
    command = OpenAccount(currency=Currency.USD, kind="system", name="source")
    sink = OpenAccount(currency=Currency.USD)
    now = (await db.clock()).now()
    accounts = await db.transaction(lambda tx: ledger.open_account(tx, [command, sink], now=now))
    return Bank(db, accounts[0].id, accounts[1].id)


@pytest.fixture
async def bank(db: Database) -> Bank:
    return await bank_of(db)


@pytest.fixture
async def others(database: str) -> AsyncGenerator[list[Database]]:
    opened = [await Database.connect(database, size_max=4) for _ in range(2)]
    yield opened
    for db in opened:
        await db.close()


def answers(replies: Sequence[Reply[Outcome] | BayonError]) -> list[bytes | type[BayonError]]:
    return [r.answer if isinstance(r, Reply) else type(r) for r in replies]


# The same again.


async def test_same_key_again_gets_the_same_bytes_and_no_second_effect(bank: Bank) -> None:
    first = await bank.once(bank.ask("k"))
    assert [await bank.once(bank.ask("k")) for _ in range(3)] == [first] * 3
    assert await bank.moved_minor() == 1


async def test_request_without_a_key_is_new_every_time(bank: Bank) -> None:
    assert await bank.once(bank.ask()) != await bank.once(bank.ask())
    assert await bank.moved_minor() == 2
    assert await bank.stored() == 0


async def test_outcome_is_there_the_first_time_only(bank: Bank) -> None:
    first = await answer_once(bank.db, bank.ask("k"), verb=verb, sealer=SEALER)
    again = await answer_once(bank.db, bank.ask("k"), verb=verb, sealer=SEALER)
    assert isinstance(first.outcome, Transfer)
    assert again == Reply(answer=first.answer, outcome=None)


async def test_same_key_after_a_restart_gets_the_same_bytes(bank: Bank, database: str) -> None:
    first = await bank.once(bank.ask("k"))
    await bank.db.close()
    restarted = replace(bank, db=await Database.connect(database))
    assert await restarted.once(bank.ask("k")) == first
    assert await restarted.moved_minor() == 1
    await restarted.db.close()


async def test_same_key_a_century_later_gets_the_same_bytes(bank: Bank) -> None:
    first = await bank.once(bank.ask("k"))
    await bank.db.transaction(lambda tx: advance_clock(tx, advance_s=36_500 * 86_400))
    assert await bank.once(bank.ask("k")) == first


async def test_same_key_within_one_batch_is_one_effect(bank: Bank) -> None:
    replies = answers(await bank.together(*(bank.ask("k") for _ in range(5))))
    assert len(set(replies)) == 1
    assert await bank.moved_minor() == 1
    assert await bank.once(bank.ask("k")) == replies[0]


async def test_same_key_from_many_pools_at_once_is_one_effect(
    bank: Bank, others: list[Database]
) -> None:
    banks = [replace(bank, db=db) for db in others]
    for n in range(5):
        told = await asyncio.gather(*(b.once(bank.ask(f"k{n}")) for b in banks * 4))
        assert len(set(told)) == 1
        assert await bank.moved_minor() == n + 1


async def test_overlapping_batches_of_many_pools_are_one_effect_a_key(
    bank: Bank, others: list[Database]
) -> None:
    names = [f"k{n}" for n in range(30)]
    orders = [names, names[::-1], names[15:] + names[:15], names[::2] + names[1::2]]
    banks = [replace(bank, db=db) for db in others] * 2
    batches = await asyncio.gather(
        *(b.together(*(bank.ask(k) for k in order)) for b, order in zip(banks, orders, strict=True))
    )
    told = [
        dict(zip(order, answers(batch), strict=True))
        for order, batch in zip(orders, batches, strict=True)
    ]
    assert told[1:] == told[:1] * 3
    assert await bank.moved_minor() == 30


# Something else under the same key.


async def test_same_key_with_another_body_is_refused_and_does_nothing(bank: Bank) -> None:
    await bank.once(bank.ask("k"))
    with pytest.raises(KeyReused):
        await bank.once(bank.ask("k", body=b"{ }"))
    assert await bank.moved_minor() == 1


async def test_same_key_with_another_body_within_one_batch_is_refused(bank: Bank) -> None:
    told = answers(await bank.together(bank.ask("k"), bank.ask("k", body=b"x"), bank.ask("k")))
    assert told[1] == KeyReused
    assert told[0] == told[2]
    assert await bank.moved_minor() == 1


async def test_refused_request_binds_none_of_its_keys(bank: Bank) -> None:
    await bank.once(bank.ask("k"))
    await bank.together(bank.ask("fresh", "k", body=b"x"))
    await bank.once(bank.ask("fresh"))
    assert await bank.moved_minor() == 2


def test_scopes_that_look_alike_are_not_the_same() -> None:
    keys = [
        Key.of("a", "b", key="c", body=b""),
        Key.of("a", key="bc", body=b""),
        Key.of("ab", key="c", body=b""),
        Key.of("a\x00b", key="c", body=b""),
        Key.of("a", key="b\x00c", body=b""),
        Key.of("a", "b", "c", key="", body=b""),
        Key.of("", "a", "b", key="c", body=b""),
    ]
    assert len({key.digest for key in keys}) == len(keys)


def test_key_of_any_text_can_be_made() -> None:
    assert len(Key.of("owner", key="\ud800\x00ភាសា", body=b"").digest) == 32


# What is stored.


async def test_error_is_not_stored_and_the_key_stays_free(bank: Bank) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            await bank.once(bank.ask("k", amount_minor=404))
    assert await bank.stored() == 0
    await bank.once(bank.ask("k", body=b"mended"))
    assert await bank.moved_minor() == 1


async def test_decline_is_stored(bank: Bank) -> None:
    # The sink has nothing yet, and later it has.
    broke = structs.replace(bank.ask("k"), command=replace(bank.ask().command, **turned(bank)))
    first = await bank.once(broke)
    assert first.startswith(b"insufficient_funds")
    await bank.once(bank.ask(amount_minor=50))
    assert await bank.once(broke) == first
    assert await bank.moved_minor() == 50


def turned(bank: Bank) -> dict[str, UUID]:
    return {"debit_account_id": bank.sink_id, "credit_account_id": bank.source_id}


async def test_request_whose_transaction_fails_leaves_no_answer(bank: Bank) -> None:
    def broken(_: Outcome) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await bank.once(structs.replace(bank.ask("k"), render=broken))
    assert (await bank.stored(), await bank.moved_minor()) == (0, 0)


async def test_one_error_in_a_batch_is_its_own(bank: Bank) -> None:
    told = answers(
        await bank.together(bank.ask("a"), bank.ask("b", amount_minor=404), bank.ask("c"))
    )
    assert told[1] == NotFound
    assert await bank.moved_minor() == 2
    assert await bank.stored() == 2


async def test_answer_lies_sealed_in_its_row(bank: Bank) -> None:
    answer = await bank.once(bank.ask("k"))
    (row,) = await bank.db.read(lambda tx: tx.rows("SELECT * FROM batch.answer"))
    clear = b"".join(value for value in row.values() if isinstance(value, bytes))
    assert answer not in clear
    assert answer.split()[0] not in clear
    assert b"k" not in {row["digest"], row["body_hash"]}
    assert SEALER.open(row["sealed"], context=row["digest"]) == answer


async def test_answer_moved_to_another_key_does_not_open(bank: Bank) -> None:
    await bank.once(bank.ask("a"))
    await bank.once(bank.ask("b"))
    (row,) = await bank.db.read(lambda tx: tx.rows("SELECT * FROM batch.answer LIMIT 1"))
    await bank.db.transaction(
        lambda tx: tx.run("UPDATE batch.answer SET sealed = $1", row["sealed"])
    )
    told = await asyncio.gather(
        bank.once(bank.ask("a")), bank.once(bank.ask("b")), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in told) == [BadSeal.__name__, "bytes"]


# Several keys.


async def test_each_of_several_keys_finds_the_answer(bank: Bank) -> None:
    first = await bank.once(bank.ask("header", "reference"))
    for keys in (["header"], ["reference"], ["reference", "header"]):
        assert await bank.once(bank.ask(*keys)) == first
    assert await bank.moved_minor() == 1


async def test_key_that_comes_later_is_bound_to_the_answer_too(bank: Bank) -> None:
    first = await bank.once(bank.ask("reference"))
    assert await bank.once(bank.ask("header", "reference")) == first
    assert await bank.once(bank.ask("header")) == first
    with pytest.raises(KeyReused):
        await bank.once(bank.ask("header", "other reference", body=b"x"))
    assert await bank.moved_minor() == 1


async def test_key_that_comes_later_within_the_batch_is_bound_too(bank: Bank) -> None:
    for stored_before in (False, True):
        if stored_before:
            await bank.once(bank.ask("True r"))
        r, h, i = (f"{stored_before} {name}" for name in "rhi")
        told = answers(
            await bank.together(bank.ask(r), bank.ask(h, r), bank.ask(i, h), bank.ask(i, body=b"x"))
        )
        assert told[:3] == [told[0]] * 3
        assert told[3] == KeyReused
    assert await bank.moved_minor() == 2


@pytest.mark.parametrize("keys", [("used", "fresh"), ("fresh", "used"), ("mine", "used")])
async def test_one_key_with_another_body_refuses_whatever_the_order(
    bank: Bank, keys: tuple[str, ...]
) -> None:
    await bank.once(bank.ask("used"))
    await bank.once(bank.ask("mine", body=b"x"))
    with pytest.raises(KeyReused):
        await bank.once(bank.ask(*keys, body=b"x"))
    assert await bank.moved_minor() == 2


async def test_key_given_twice_is_one_key(bank: Bank) -> None:
    first = await bank.once(bank.ask("k", "k"))
    assert await bank.once(bank.ask("k")) == first
    assert await bank.stored() == 1


async def test_statements_are_as_many_whatever_the_batch(bank: Bank) -> None:
    counts = set[int]()
    for size in (1, 50, 500):
        bank.db.journal = []
        await bank.together(*(bank.ask(f"{size} {n}") for n in range(size)))
        counts.add(len(bank.db.journal))
        bank.db.journal = None
    # Clock and answers, lock, transfers, balances, answers.
    assert counts == {5}


# What comes to nothing: a reversal before its original.


def voiding(bank: Bank, key: str, *, by: str) -> Ask:
    return structs.replace(bank.ask(by), voids=(bank.ask(key).keys[0].digest,))


async def test_what_is_void_is_refused_and_has_no_effect(bank: Bank) -> None:
    await bank.once(voiding(bank, "k", by="reversal"))
    for _ in range(2):
        with pytest.raises(KeyReused):
            await bank.once(bank.ask("k"))
    assert await bank.moved_minor() == 1


async def test_what_was_answered_is_not_void_afterwards(bank: Bank) -> None:
    first = await bank.once(bank.ask("k"))
    await bank.once(voiding(bank, "k", by="reversal"))
    assert await bank.once(bank.ask("k")) == first


async def test_a_repeated_reversal_voids_once(bank: Bank) -> None:
    first = await bank.once(voiding(bank, "k", by="reversal"))
    assert await bank.once(voiding(bank, "k", by="reversal")) == first
    await bank.once(voiding(bank, "k", by="another"))
    assert await bank.stored() == 3


async def test_within_a_batch_the_order_decides_what_is_void(bank: Bank) -> None:
    before = await bank.together(voiding(bank, "k", by="reversal"), bank.ask("k"))
    assert [type(each) for each in before] == [Reply, KeyReused]
    after = await bank.together(bank.ask("l"), voiding(bank, "l", by="other"), bank.ask("l"))
    assert [type(each) for each in after] == [Reply] * 3
    assert answers(after)[0] == answers(after)[2]
    assert await bank.moved_minor() == 3


async def test_of_an_original_and_its_reversal_in_two_processes_one_is_first(
    bank: Bank, others: list[Database]
) -> None:
    for n in range(20):
        banks = [Bank(db, bank.source_id, bank.sink_id) for db in others]
        before = await bank.moved_minor()
        original, reversal = await asyncio.gather(
            banks[0].once(banks[0].ask(f"k{n}")),
            banks[1].once(voiding(banks[1], f"k{n}", by=f"r{n}")),
            return_exceptions=True,
        )
        assert isinstance(reversal, bytes)
        refused = isinstance(original, KeyReused)
        assert refused or isinstance(original, bytes)
        assert await bank.moved_minor() - before == (1 if refused else 2)


# What is no repeat, though its key is.


def anew(bank: Bank, key: str, body: bytes = b"{}") -> Ask:
    request = bank.ask(key, body=body)
    return structs.replace(
        request, keys=tuple(structs.replace(each, anew=True) for each in request.keys)
    )


async def test_what_comes_anew_is_done_and_its_repeats_get_its_answer(bank: Bank) -> None:
    first = await bank.once(anew(bank, "k"))
    second = await bank.once(anew(bank, "k", b"[]"))
    assert first != second
    assert await bank.once(bank.ask("k", body=b"[]")) == second
    with pytest.raises(KeyReused):
        await bank.once(bank.ask("k"))
    assert (await bank.moved_minor(), await bank.stored()) == (2, 1)


async def test_within_a_batch_each_that_comes_anew_is_done(bank: Bank) -> None:
    replies = answers(await bank.together(anew(bank, "k"), bank.ask("k"), anew(bank, "k")))
    assert replies[0] == replies[1] != replies[2]
    assert await bank.once(bank.ask("k")) == replies[2]
    assert await bank.moved_minor() == 2
