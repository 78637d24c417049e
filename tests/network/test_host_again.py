"""The same message again, at once, late and after a restart: one effect, the same bytes."""

import asyncio
import itertools
import random
from contextlib import AsyncExitStack

import pytest

from bayon.cards import Desk
from bayon.db import Database
from bayon.network import acquirer
from bayon.network.acquirer import original_of
from bayon.network.iso8583 import Message, decode
from cards_factories import Purse, balance_of, make_card, make_desk, make_purse
from network.hosts import (
    Wire,
    all_same,
    changed,
    hosted,
    make_link,
    money,
    offline,
    purchase,
    reversal,
    told,
)
from network.samples import PROFILES

KINDS = ["0100", "0200", "0400", "0420", "0120", "0220"]


async def asked_of(purse: Purse, wire: Wire, kind: str) -> Message:
    """Make a message that has an effect."""
    card = purse.card
    if kind in {"0100", "0200"}:
        return purchase(card, 1_000, single=kind == "0200")
    first = purchase(card, 1_000)
    original = original_of(first, await wire.told(first))
    if kind in {"0400", "0420"}:
        return reversal(original, card, remaining_minor=100, advice=kind == "0420")
    return told(original, card, 1_100, final=kind == "0220")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_repeat_has_the_same_bytes_and_no_effect(db: Database, kind: str) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    async with hosted(db) as at_work, at_work.wired() as wire, at_work.wired() as other:
        asked = await asked_of(purse, wire, kind)
        answers = [await wire.ask(asked)]
        then = money(await balance_of(db, purse.account))
        for each in (acquirer.repeated(asked), asked, changed(asked, mti=f"{asked.mti[:3]}3")):
            answers += [await wire.ask(each), await other.ask(each)]
    async with hosted(db) as at_work, at_work.wired() as wire:
        answers.append(await wire.ask(acquirer.repeated(asked)))
    assert all_same(answers)
    assert answers[0][:3] == asked.mti[:2].encode() + str(int(asked.mti[2]) + 1).encode()
    assert then == money(await balance_of(db, purse.account)) != (10_000, 10_000)


async def test_on_another_link_it_is_another_message(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    asked = purchase(purse.card, 1_000)
    async with hosted(db, make_link(), make_link("other")) as at_work:
        for link in ("switch", "other"):
            async with at_work.called(link) as bank:
                assert await bank.code(asked) == "00"
    assert money(await balance_of(db, purse.account)) == (10_000, 8_000)


async def test_without_7_only_what_says_it_is_a_repeat_is_one(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    asked = changed(purchase(purse.card, 1_000), 7)
    again = acquirer.repeated(asked)
    async with hosted(db) as at_work, at_work.wired() as wire:
        first, repeat = await wire.ask(asked), await wire.ask(again)
        assert first == repeat
        second, repeat = await wire.ask(asked), await wire.ask(again)
        assert second == repeat != first
        other = changed(again, f4="000000000900")
        assert (await wire.told(other)).fields[39] == "00"
    assert money(await balance_of(db, purse.account)) == (10_000, 7_100)


async def test_a_repeat_of_a_decline_is_declined_though_there_is_money_now(db: Database) -> None:
    purse = await make_purse(db, usd_minor=1_000)
    first, small = purchase(purse.card, 1_000), purchase(purse.card, 100)
    async with hosted(db) as at_work, at_work.called() as bank:
        original = await bank.approved(first)
        assert await bank.code(small) == "51"
        assert await bank.code(reversal(original, purse.card)) == "00"
        assert await bank.code(acquirer.repeated(small)) == "51"
        assert await bank.code(purchase(purse.card, 100)) == "00"


async def test_of_fifty_at_once_as_many_are_approved_as_there_is_money_for(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    cards = [purse.card, await make_card(db, purse.account)]
    asked = [purchase(card, 1_000) for card in itertools.islice(itertools.cycle(cards), 50)]
    links = [make_link(), make_link("other")]
    async with hosted(db, *links) as at_work, AsyncExitStack() as stack:
        banks = [
            await stack.enter_async_context(at_work.called(name))
            for name in ("switch", "switch", "switch", "other", "other")
        ]
        waiting = [bank.code(each) for bank, each in zip(itertools.cycle(banks), asked)]
        codes = await asyncio.gather(*waiting)
    assert sorted(codes) == ["00"] * 10 + ["51"] * 40
    assert money(await balance_of(db, purse.account)) == (10_000, 0)


async def sent_often(
    db: Database, messages: list[Message], *, desk: Desk, rng: random.Random
) -> dict[str, list[bytes]]:
    """Send each message 1 to 5 times at once over several sockets; tell the answers to each."""
    answers: dict[str, list[bytes]] = {each.fields[11]: [] for each in messages}
    async with hosted(db, desk=desk) as at_work, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(at_work.wired()) for _ in range(5)]
        sent: list[list[Message]] = [[] for _ in wires]
        for message in messages:
            for place in rng.sample(range(5), rng.randint(1, 5)):
                sent[place].append(rng.choice([message, acquirer.repeated(message)]))
        for each in sent:
            rng.shuffle(each)
        for wire, each in zip(wires, sent, strict=True):
            await wire.write(*each)
        for wire, each in zip(wires, sent, strict=True):
            for _ in each:
                body = await wire.read()
                answers[stan_of(wire, body)].append(body)
    return answers


def stan_of(wire: Wire, body: bytes) -> str:

    return decode(body, wire.profile).fields[11]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_sent_often_and_after_a_restart_each_has_one_effect_and_one_answer(
    db: Database, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    purse = await make_purse(db, usd_minor=10_000)
    card = purse.card
    asked = [purchase(card, 300, single=number % 3 == 0) for number in range(30)]
    asked += [told(offline(200), card, 200, final=number % 2 == 0) for number in range(6)]
    taken = [reversal(original_of(each, None), card) for each in asked[:5]]
    messages = asked + taken
    before = await sent_often(db, messages, desk=make_desk(db, batch_size_max=7), rng=rng)
    then = money(await balance_of(db, purse.account))
    after = await sent_often(db, messages, desk=make_desk(db), rng=rng)
    for stan, first in before.items():
        assert all_same([*first, *after[stan]]), stan
    assert money(await balance_of(db, purse.account)) == then
    yes = [m for m in asked if approved(before[m.fields[11]][0]) and m not in asked[:5]]
    posted = sum(int(m.fields[4]) for m in yes if m.mti[1] == "2")
    held = sum(int(m.fields[4]) for m in yes if m.mti[1] == "1")
    assert then == (10_000 - posted, 10_000 - posted - held)


def approved(body: bytes) -> bool:

    return decode(body, PROFILES["ascii-binary"]).fields[39] == "00"


@pytest.mark.parametrize("seed", range(3))
async def test_a_reversal_during_its_original_leaves_nothing_whoever_comes_first(
    db: Database, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    purse = await make_purse(db, usd_minor=10_000)
    firsts = [purchase(purse.card, 100, single=number % 2 == 0) for number in range(20)]
    pairs = [(first, reversal(original_of(first, None), purse.card)) for first in firsts]
    async with hosted(db, desk=make_desk(db, batch_size_max=5)) as at_work, AsyncExitStack() as s:
        banks = [await s.enter_async_context(at_work.called()) for _ in range(4)]
        messages = [message for pair in pairs for message in pair]
        rng.shuffle(messages)
        codes = await asyncio.gather(*(rng.choice(banks).code(each) for each in messages))
        told_of = {id(message): code for message, code in zip(messages, codes, strict=True)}
        assert {told_of[id(back)] for _, back in pairs} == {"00"}
        assert {told_of[id(first)] for first, _ in pairs} <= {"00", "94"}
    assert money(await balance_of(db, purse.account)) == (10_000, 10_000)
