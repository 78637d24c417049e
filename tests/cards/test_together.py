"""Many at once, twice the same, and answers that are lost: money of cards moves once."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from bayon import cards
from bayon.batch import KeyReused, Reply, Request
from bayon.cards import (
    Account,
    BadAttributes,
    CardNotFound,
    Desk,
    FeeRule,
    Move,
    OpenCardAccount,
    Transaction,
)
from bayon.cards.model import CardStatus, Decline
from bayon.db import Database, Tx
from bayon.errors import BayonError, Unavailable
from cards_factories import (
    PIN,
    WRONG_PIN,
    Purse,
    balance_of,
    desks_on,
    event_types,
    make_authorize,
    make_card,
    make_clear,
    make_desk,
    make_opening,
    make_purse,
    make_request,
    make_topup,
    make_withdrawal,
    move_all,
    move_one,
    next_number,
    now_of,
    set_cash_fee,
)
from factories import advance
from lines import socket_of, through


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


@pytest.fixture
def url(shared: tuple[Database, str]) -> str:
    return shared[1]


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db, usd_minor=10_000)


async def move_at_once(desks: Sequence[Desk], commands: Sequence[Move]) -> list[Transaction]:
    """Move all at the same instant, in turn at each desk."""
    replies = await asyncio.gather(
        *(desks[n % len(desks)].move(make_request(command)) for n, command in enumerate(commands))
    )
    return [reply.outcome for reply in replies if reply.outcome is not None]


async def count_transactions(db: Database, purse: Purse) -> int:
    found: int = await db.read(
        lambda tx: tx.value(
            "SELECT count(*) FROM cards.transaction WHERE account_id = $1", purse.account.id
        )
    )
    return found


# Many at once.


@pytest.mark.parametrize("desk_count", [1, 2, 3])
async def test_fifty_requests_of_ten_dollars_on_a_hundred_are_ten(
    db: Database, url: str, purse: Purse, desk_count: int
) -> None:
    other = await make_card(db, purse.account)
    commands = [make_authorize((purse.card, other)[n % 4 == 0], 1_000) for n in range(50)]
    async with desks_on(url, desk_count, batch_size_max=7) as desks:
        made = await move_at_once(desks, commands)
    assert Counter(each.decline_reason for each in made) == {
        None: 10,
        Decline.INSUFFICIENT_FUNDS: 40,
    }
    assert (await balance_of(db, purse.account)).held_minor == 10_000


async def test_twenty_wrong_pins_at_once_through_two_desks_are_three_tries(
    db: Database, url: str, purse: Purse
) -> None:
    wrong = make_authorize(purse.card, 1, pin=WRONG_PIN)
    async with desks_on(url, 2, batch_size_max=7) as desks:
        made = await move_at_once(desks, [wrong] * 20)
    assert Counter(each.decline_reason for each in made) == {
        Decline.PIN_WRONG: 3,
        Decline.PIN_TRIES_EXCEEDED: 17,
    }
    blocked = await move_one(db, make_authorize(purse.card, 1, pin=PIN))
    assert blocked.decline_reason == Decline.PIN_TRIES_EXCEEDED


async def test_ten_who_clear_one_transaction_at_once_clear_it_once(
    db: Database, url: str, purse: Purse
) -> None:
    pending = await move_one(db, make_authorize(purse.card, 1_000))
    async with desks_on(url, 2, batch_size_max=7) as desks:
        outcomes = await asyncio.gather(
            *(desks[n % 2].move(make_request(make_clear(pending))) for n in range(10)),
            return_exceptions=True,
        )
    names = Counter(type(each).__name__ for each in outcomes)
    assert names == {"Reply": 1, "NotPending": 9}
    assert (await balance_of(db, purse.account)).posted_minor == 9_000


async def test_everything_at_once_ends_without_a_deadlock_and_with_every_cent(
    db: Database, url: str
) -> None:
    """Money, states of cards, profiles, accounts and fees change side by side for a while."""
    chance = random.Random(20_260_117)  # noqa: S311 - a test's dice
    purses = [await make_purse(db, usd_minor=5_000) for _ in range(2)]
    purses += [await make_purse(db, usd_minor=5_000, issuer=purses[0].issuer) for _ in range(2)]
    pending = [
        await move_one(db, make_authorize(purse.card, 10)) for purse in purses for _ in range(10)
    ]

    def any_move() -> Move:
        purse = chance.choice(purses)
        return chance.choice(
            (
                make_authorize(purse.card, chance.randint(1, 900), pin=PIN),
                make_withdrawal(purse.card, chance.randint(1, 300)),
                make_clear(chance.choice(pending), chance.randint(1, 20), final=False),
                make_topup(purse.account, chance.randint(1, 500)),
            )
        )

    async def change(other: Database, n: int) -> None:
        purse = purses[n % len(purses)]
        statuses: tuple[CardStatus, ...] = ("inactive", "active")
        ids = {"issuer_id": purse.issuer.id}

        async def work(tx: Tx) -> None:
            now = await now_of(tx)
            await cards.update_card(
                tx, card_id=purse.card.id, status=statuses[n % 2], now=now, **ids
            )
            await cards.update_cardholder(
                tx,
                cardholder_id=purse.cardholder.id,
                changes={"metadata": {"n": n}},
                now=now,
                **ids,
            )

        await other.transaction(work)
        await set_cash_fee(other, purse.issuer, FeeRule(flat_minor=n % 3))
        desk = make_desk(other)
        await desk.open_account(opening(make_opening(purse.cardholder)))

    async with desks_on(url, 3, batch_size_max=7) as desks:
        outcomes = await asyncio.gather(
            *(desks[n % 3].move(make_request(any_move())) for n in range(300)),
            *(change(desks[n % 3].db, n) for n in range(24)),
            return_exceptions=True,
        )
    odd = [each for each in outcomes if isinstance(each, Exception)]
    assert {type(each).__name__ for each in odd} <= {"NotPending"}
    assert sum(isinstance(each, Reply) for each in outcomes) > 200


def opening(command: OpenCardAccount) -> Request[OpenCardAccount, Account]:
    return Request(command=command, render=lambda account: str(account.id).encode())


# The same, whatever the batch.


def short(outcome: Transaction | BayonError) -> object:
    """Tell what came of a command, without what no two have in common."""
    if isinstance(outcome, BayonError):
        return type(outcome).__name__
    fees = tuple(fee.amount_minor for fee in outcome.fees)
    return outcome.status, outcome.decline_reason, outcome.amount_minor, fees


@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_is_as_if_each_command_had_been_a_transaction_of_its_own(
    db: Database, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    twins = [await make_purse(db, usd_minor=2_000) for _ in range(2)]
    for twin in twins:
        await set_cash_fee(db, twin.issuer, FeeRule(flat_minor=7, basis_points=100))
    second = [await make_card(db, twin.account) for twin in twins]
    pending = [
        [await move_one(db, make_authorize(twin.card, 100 + n)) for n in range(4)] for twin in twins
    ]
    steps = [(chance.randrange(5), chance.randint(-5, 700), chance.randrange(4)) for _ in range(40)]

    def command(twin: int, what: int, amount_minor: int, which: int) -> Move:
        card = (twins[twin].card, second[twin])[which % 2]
        pin = (PIN, WRONG_PIN, None, PIN)[which]
        match what:
            case 0:
                return make_authorize(card, amount_minor, pin=pin, partial_allowed=which == 3)
            case 1:
                return make_withdrawal(card, amount_minor, pin=pin)
            case 2:
                return make_topup(twins[twin].account, amount_minor)
            case 3:
                return make_clear(pending[twin][which], amount_minor, final=False)
            case _:
                return replace(make_clear(pending[twin][which]), amount_minor=amount_minor)

    batched = await move_all(db, [command(0, *step) for step in steps])
    alone = [(await move_all(db, [command(1, *step)]))[0] for step in steps]
    assert [short(each) for each in batched] == [short(each) for each in alone]
    balances = [await balance_of(db, twin.account) for twin in twins]
    assert balances[0] == balances[1]
    told = [await event_types(db, twin.issuer) for twin in twins]
    assert told[0] == told[1]


# Statements.


async def test_a_batch_of_moves_takes_the_same_few_statements_whatever_its_size(
    db: Database,
) -> None:
    purse = await make_purse(db, usd_minor=10_000_000)
    desk = make_desk(db)
    await desk.consultant.consult(make_authorize(purse.card, 1))
    kinds: dict[str, list[list[str]]] = {}
    for size in (1, 50, 500):
        made = await move_all(db, [make_authorize(purse.card, 10)] * size)
        pending = [each for each in made if isinstance(each, Transaction)]
        for name, commands in {
            "authorize": [make_authorize(purse.card, 10, pin=PIN)] * size,
            "withdraw": [make_withdrawal(purse.card, 10)] * size,
            "decline": [make_withdrawal(purse.card, 0)] * size,
            "clear": [make_clear(each) for each in pending],
            "top up": [make_topup(purse.account, 10)] * size,
            "all": [
                make_authorize(purse.card, 10, pin=PIN),
                make_withdrawal(purse.card, 10),
                make_topup(purse.account, 10),
            ]
            * (size // 3 or 1),
        }.items():
            db.journal = []
            await asyncio.gather(
                *(
                    desk.move(make_request(command, key=f"{name} {size} {n}"))
                    for n, command in enumerate(commands)
                )
            )
            assert desk.moving.sizes.recent[-1] == len(commands)
            statements = [" ".join(sql.split()) for sql, _ in db.journal]
            # Once a second somebody looks who is to be asked, whatever the batch does.
            statements = [sql for sql in statements if "decision_secret_sealed" not in sql]
            kinds.setdefault(name, []).append(statements)
            db.journal = None
    writes = ("INSERT INTO", "UPDATE", "WITH locked")
    for name, journals in kinds.items():
        assert journals[0] == journals[1] == journals[2], name
        first_write = next(n for n, sql in enumerate(journals[0]) if sql.startswith(writes))
        assert first_write <= 6, name
        assert len(journals[0]) <= 12, name


# Twice the same.


async def test_the_same_key_is_answered_with_the_same_bytes_and_moves_once(
    db: Database, purse: Purse
) -> None:
    desk = make_desk(db)
    before = await count_transactions(db, purse)
    pending = await move_one(db, make_authorize(purse.card, 100))
    commands = [
        make_authorize(purse.card, 1_000),
        make_authorize(purse.card, 100_000),
        make_withdrawal(purse.card, 1_000),
        make_clear(pending, 50, final=False),
        make_topup(purse.account, 1_000),
    ]
    keys = [f"{purse.card.id} {n}" for n in range(len(commands))]
    rounds = [
        await asyncio.gather(
            *(
                desk.move(make_request(command, key=key, body=b"1"))
                for command, key in zip(commands, keys, strict=True)
            )
        )
        for _ in range(3)
    ]
    answers = [[reply.answer for reply in replies] for replies in rounds]
    assert answers[0] == answers[1] == answers[2]
    assert [reply.outcome for reply in rounds[1]] == [None] * len(commands)
    assert await count_transactions(db, purse) == before + 1 + len(commands)
    assert (await balance_of(db, purse.account)).posted_minor == 9_950
    with pytest.raises(KeyReused):
        await desk.move(make_request(commands[0], key=keys[0], body=b"2"))


async def test_a_decline_is_kept_and_an_error_is_not(db: Database, purse: Purse) -> None:
    desk = make_desk(db)
    key = str(purse.card.id)
    dear = make_authorize(purse.card, 10_001)
    declined = await desk.move(make_request(dear, key=key + "d"))
    await move_one(db, make_topup(purse.account, 1))
    assert (await desk.move(make_request(dear, key=key + "d"))).answer == declined.answer
    for wrong, error in (
        (replace(dear, card_id=purse.account.id), CardNotFound),
        (make_topup(purse.account, 0), BadAttributes),
    ):
        with pytest.raises(error):
            await desk.move(make_request(wrong, key=key + "e"))
    made = await desk.move(make_request(dear, key=key + "e"))
    assert made.outcome is not None
    assert made.outcome.status == "pending"


async def test_one_key_raced_through_two_desks_moves_once(
    db: Database, url: str, purse: Purse
) -> None:
    async with desks_on(url, 2, batch_size_max=7) as desks:
        for turn in range(6):
            request = [
                make_request(make_topup(purse.account, 1), key=f"{purse.card.id} {turn}")
                for _ in range(6)
            ]
            replies = await asyncio.gather(
                *(desks[n % 2].move(each) for n, each in enumerate(request))
            )
            assert len({reply.answer for reply in replies}) == 1
    assert (await balance_of(db, purse.account)).posted_minor == 10_006


async def test_a_key_outlives_any_time(db: Database, purse: Purse) -> None:
    desk = make_desk(db)
    request = make_request(make_topup(purse.account, 1), key=str(purse.card.id))
    first = await desk.move(request)
    await advance(db, advance_s=10 * 365 * 86_400)
    assert (await desk.move(request)).answer == first.answer


async def test_an_account_opened_twice_by_one_key_is_one(db: Database, purse: Purse) -> None:
    desk = make_desk(db)
    command = make_opening(purse.cardholder, number=next_number())
    key = make_request(make_topup(purse.account, 1), key=f"open {command.number}").keys
    request = replace(opening(command), keys=key)
    replies = await asyncio.gather(*(desk.open_account(request) for _ in range(5)))
    again = await desk.open_account(request)
    assert {reply.answer for reply in (*replies, again)} == {replies[0].answer}


# A command that breaks its batch.


async def test_a_card_whose_seal_is_broken_fails_alone(db: Database, purse: Purse) -> None:
    broken = await make_card(db, purse.account)
    await db.read(
        lambda tx: tx.run(
            "UPDATE cards.card SET pan_sealed = '\\x00'::bytea WHERE id = $1", broken.id
        )
    )
    desk = make_desk(db)
    commands = [make_authorize(purse.card, 1, pin=PIN) for _ in range(6)]
    commands.insert(3, make_authorize(broken, 1, pin=PIN))
    outcomes = await asyncio.gather(
        *(desk.move(make_request(command)) for command in commands), return_exceptions=True
    )
    assert [isinstance(each, Reply) for each in outcomes] == [n != 3 for n in range(7)]
    assert (await balance_of(db, purse.account)).held_minor == 6


# The answer to a COMMIT is lost.

COMMIT: Final = b"COMMIT;"


class Line:
    """A proxy before PostgreSQL's socket, which hangs up once the next COMMIT is done."""

    def __init__(self, socket: str) -> None:
        self.socket: str = socket
        self.cuts: int = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_unix_connection(self.socket)
        committing = asyncio.Event()

        async def ask() -> None:
            while data := await reader.read(65_536):
                if COMMIT in data and self.cuts:
                    committing.set()
                to_there.write(data)

        async def answer() -> None:
            # PostgreSQL answers after the commit: what is cut off here has happened there.
            while data := await there.read(65_536):
                if committing.is_set():
                    self.cuts -= 1
                    return
                writer.write(data)

        with suppress(ConnectionError):
            await asyncio.wait(
                (asyncio.ensure_future(ask()), asyncio.ensure_future(answer())),
                return_when=asyncio.FIRST_COMPLETED,
            )
        writer.close()
        to_there.close()


async def test_commit_whose_answer_is_lost_is_unavailable_for_all_and_one_effect_by_key(
    db: Database, url: str, purse: Purse, tmp_path: Path
) -> None:
    pending = await move_one(db, make_authorize(purse.card, 100))
    spend = make_authorize(purse.card, 1_000)
    commands: list[Move] = [spend, make_clear(pending), make_topup(purse.account, 50)]
    requests = [make_request(c, key=f"{purse.card.id} {n}") for n, c in enumerate(commands)]
    line = Line(socket_of(url))
    before = await count_transactions(db, purse)
    async with through(line, url, tmp_path) as behind:
        desk = make_desk(behind)
        await desk.consultant.consult(spend)
        line.cuts = 1
        lost = await asyncio.gather(*(desk.move(r) for r in requests), return_exceptions=True)
        assert [type(each) for each in lost] == [Unavailable] * 3
        assert (line.cuts, desk.moving.sizes.batches) == (0, 1)
        again = await asyncio.gather(*(desk.move(request) for request in requests))
    assert [reply.outcome for reply in again] == [None] * 3
    found = await balance_of(db, purse.account)
    assert (found.posted_minor, found.held_minor) == (10_000 - 100 + 50, 1_000)
    assert await count_transactions(db, purse) == before + 2
