"""Redeem: a link gives a card its PIN once, and nobody learns why it does not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import pytest

from bayon.cards import (
    BadPin,
    Card,
    HolderLink,
    TokenType,
    TokenVoid,
    WeakPin,
    look_up,
    redeem,
    update_card,
)
from bayon.cards.lifecycle import TOKEN_TTL, token_digest
from bayon.cards.model import CardStatus
from bayon.db import Database, Tx
from bayon.log import Secret
from factories import advance
from pages.holders import (
    OLD_PIN,
    PIN,
    VAULT,
    Held,
    card_now,
    events_of,
    hold,
    is_pin,
    link,
    now_of,
)

TYPES: Final[tuple[TokenType, ...]] = ("card_activation", "pin_reset")
OTHER: Final[dict[TokenType, TokenType]] = {
    "card_activation": "pin_reset",
    "pin_reset": "card_activation",
}


async def use(
    db: Database, token: str, of_type: TokenType = "card_activation", *, pin: str = PIN
) -> Card | WeakPin:
    async def work(tx: Tx) -> Card | WeakPin:
        now, chosen = await now_of(tx), Secret(pin)
        return await redeem(tx, token=token, of_type=of_type, pin=chosen, vault=VAULT, now=now)

    return await db.transaction(work)


async def see(db: Database, token: str, of_type: TokenType = "card_activation") -> HolderLink:
    async def work(tx: Tx) -> HolderLink:
        return await look_up(tx, token=token, of_type=of_type, now=await now_of(tx))

    return await db.transaction(work)


async def give_status(db: Database, card: Card, status: CardStatus) -> None:
    async def work(tx: Tx) -> None:
        await update_card(
            tx, issuer_id=card.issuer_id, card_id=card.id, status=status, now=await now_of(tx)
        )

    await db.transaction(work)


async def test_activation_gives_the_card_its_pin_and_makes_it_active(db: Database) -> None:
    held = await hold(db)
    after = await use(db, held.token)
    assert isinstance(after, Card)
    assert after == await card_now(db, held.card)
    assert after.status == "active"
    assert after.updated_at > held.card.updated_at
    assert is_pin(after, PIN)
    assert not is_pin(after, "7295")


@pytest.mark.parametrize("status", ["active", "inactive"])
async def test_a_reset_changes_the_pin_frees_the_tries_and_leaves_the_status(
    db: Database, status: CardStatus
) -> None:
    held = await hold(db, "pin_reset")
    await give_status(db, held.card, status)
    await db.transaction(lambda tx: _block(tx, held.card, status))
    after = await use(db, held.token, "pin_reset")
    assert isinstance(after, Card)
    assert (after.status, after.pin_tries, after.cvv2_tries) == (status, 0, 0)
    assert is_pin(after, PIN)
    assert not is_pin(after, OLD_PIN)
    assert after == await card_now(db, held.card)


async def _block(tx: Tx, card: Card, status: CardStatus) -> None:
    await tx.run(
        "UPDATE cards.card SET pin_tries = 3, cvv2_tries = 5 WHERE id = $1 AND status = $2",
        card.id,
        status,
    )


@pytest.mark.parametrize("of_type", TYPES)
async def test_the_event_is_told_once_and_shows_no_secret(db: Database, of_type: TokenType) -> None:
    held = await hold(db, of_type)
    before = await events_of(db, held.card)
    await use(db, held.token, of_type)
    with pytest.raises(TokenVoid):
        await use(db, held.token, of_type)
    assert await events_of(db, held.card) == [*before, "card.updated"]
    body: bytes = await db.read(
        lambda tx: tx.value("SELECT body FROM events.event ORDER BY seq DESC LIMIT 1")
    )
    assert b'"status":"active"' in body
    assert str(held.card.id).encode() in body
    for secret in (PIN, held.token):
        assert secret.encode() not in body


@pytest.mark.parametrize("of_type", TYPES)
async def test_looking_shows_the_card_and_uses_nothing(db: Database, of_type: TokenType) -> None:
    held = await hold(db, of_type, issuer_name="Mekong Bank")
    first, second = await see(db, held.token, of_type), await see(db, held.token, of_type)
    assert first == second
    assert (first.type, first.last_four) == (of_type, held.card.last_four)
    assert (first.name, first.name_km, first.issuer_name) == (
        "Tang Dara",
        "តាំង តារា",
        "Mekong Bank",
    )
    assert isinstance(await use(db, held.token, of_type), Card)


@pytest.mark.parametrize("details", [{}, {"name_km": ""}, {"name_km": "  "}, {"name_km": 7}])
async def test_a_khmer_name_is_shown_only_where_there_is_one(
    db: Database, details: dict[str, object]
) -> None:
    held = await hold(db, additional_details=details)
    assert (await see(db, held.token)).name_km is None


Void = Callable[[Database, Held, TokenType], Awaitable[object]]


async def _used(db: Database, held: Held, of_type: TokenType) -> None:
    await use(db, held.token, of_type)


async def _expired(db: Database, _held: Held, _of_type: TokenType) -> None:
    await advance(db, advance_s=TOKEN_TTL.total_seconds())


async def _replaced(db: Database, held: Held, of_type: TokenType) -> None:
    await link(db, held.card, of_type)


async def _lost(db: Database, held: Held, _of_type: TokenType) -> None:
    await give_status(db, held.card, "lost")


async def _moved_on(db: Database, held: Held, of_type: TokenType) -> None:
    """Give the card a state there are no such links in, and leave the link as it was."""
    status: CardStatus = "active" if of_type == "card_activation" else "unactivated"

    async def work(tx: Tx) -> None:
        await tx.run("UPDATE cards.card SET status = $2 WHERE id = $1", held.card.id, status)

    await db.transaction(work)


@pytest.mark.parametrize("of_type", TYPES)
@pytest.mark.parametrize("spoil", [_used, _expired, _replaced, _lost, _moved_on])
async def test_a_link_that_is_none_any_more_neither_shows_nor_changes_anything(
    db: Database, of_type: TokenType, spoil: Void
) -> None:
    held = await hold(db, of_type)
    await spoil(db, held, of_type)
    before = (await card_now(db, held.card), await events_of(db, held.card))
    for attempt in (see(db, held.token, of_type), use(db, held.token, of_type, pin="8461")):
        with pytest.raises(TokenVoid):
            await attempt
    assert (await card_now(db, held.card), await events_of(db, held.card)) == before


@pytest.mark.parametrize("of_type", TYPES)
async def test_a_link_of_the_other_type_or_of_no_type_is_unknown(
    db: Database, of_type: TokenType
) -> None:
    held = await hold(db, of_type)
    wrong: list[tuple[str, TokenType]] = [
        (held.token, OTHER[of_type]),
        ("x" * 43, of_type),
        ("", of_type),
    ]
    for token, asked in wrong:
        with pytest.raises(TokenVoid):
            await see(db, token, asked)
        with pytest.raises(TokenVoid):
            await use(db, token, asked)
    assert isinstance(await use(db, held.token, of_type), Card)


async def test_a_link_lives_for_ten_minutes_of_the_sandboxs_clock(db: Database) -> None:
    held = await hold(db)
    await advance(db, advance_s=TOKEN_TTL.total_seconds() - 30)
    left = (await see(db, held.token)).expires_at - await db.read(now_of)
    assert timedelta(0) < left <= timedelta(seconds=30)
    await advance(db, advance_s=30)
    with pytest.raises(TokenVoid):
        await see(db, held.token)


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        ("0000", WeakPin.SAME_DIGIT),
        ("1234", WeakPin.RUN),
        ("0987", WeakPin.RUN),
        ("2580", WeakPin.WELL_KNOWN),
    ],
)
async def test_a_weak_pin_is_refused_with_the_reason_and_the_link_stays(
    db: Database, pin: str, why: WeakPin
) -> None:
    held = await hold(db)
    before = (await card_now(db, held.card), await events_of(db, held.card))
    assert await use(db, held.token, pin=pin) is why
    assert (await card_now(db, held.card), await events_of(db, held.card)) == before
    assert isinstance(await use(db, held.token), Card)


@pytest.mark.parametrize("pin", ["", "729", "72940", "729a", "៧២៩៤", " 7294", "7294\n", "-729"])
async def test_what_is_no_pin_is_refused_and_the_link_stays(db: Database, pin: str) -> None:
    held = await hold(db)
    with pytest.raises(BadPin):
        await use(db, held.token, pin=pin)
    assert isinstance(await use(db, held.token), Card)


@pytest.mark.parametrize("pin", ["", "0000"])
async def test_a_bad_pin_tells_nothing_of_a_link_that_is_used(db: Database, pin: str) -> None:
    held = await hold(db)
    await use(db, held.token)
    with pytest.raises(TokenVoid):
        await use(db, held.token, pin=pin)


@pytest.mark.parametrize("of_type", TYPES)
async def test_of_two_who_use_a_link_at_once_one_wins(db: Database, of_type: TokenType) -> None:
    held = await hold(db, of_type)
    before = await events_of(db, held.card)
    uses = [use(db, held.token, of_type, pin=pin) for pin in ("7294", "8461", "9035", "4718")]
    outcomes = await asyncio.gather(*uses, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Card)]
    assert len(won) == 1
    assert [type(o) for o in outcomes if o is not won[0]] == [TokenVoid] * 3
    assert await card_now(db, held.card) == won[0]
    assert await events_of(db, held.card) == [*before, "card.updated"]


@pytest.mark.parametrize("of_type", TYPES)
async def test_who_waits_for_the_card_while_its_link_is_used_comes_too_late(
    db: Database, of_type: TokenType
) -> None:
    held = await hold(db, of_type)
    began, done = asyncio.Event(), asyncio.Event()

    async def slow(tx: Tx) -> Card | WeakPin:
        now, pin = await now_of(tx), Secret(PIN)
        after = await redeem(tx, token=held.token, of_type=of_type, pin=pin, vault=VAULT, now=now)
        began.set()
        await done.wait()
        return after

    first = asyncio.ensure_future(db.transaction(slow))
    await began.wait()
    second = asyncio.ensure_future(use(db, held.token, of_type, pin="8461"))
    await _until_somebody_waits(db)
    done.set()
    assert isinstance(await first, Card)
    with pytest.raises(TokenVoid):
        await second
    assert is_pin(await card_now(db, held.card), PIN)


async def _until_somebody_waits(db: Database) -> None:
    async with asyncio.timeout(10):
        while not await db.read(  # noqa: ASYNC110 - the database tells nobody
            lambda tx: tx.value("SELECT true FROM pg_locks WHERE NOT granted LIMIT 1")
        ):
            await asyncio.sleep(0.01)


async def test_a_card_that_is_lost_meanwhile_is_not_activated(db: Database) -> None:
    held = await hold(db)
    began, done = asyncio.Event(), asyncio.Event()

    async def lose(tx: Tx) -> None:
        card, now = held.card, await now_of(tx)
        await update_card(tx, issuer_id=card.issuer_id, card_id=card.id, status="lost", now=now)
        began.set()
        await done.wait()

    losing = asyncio.ensure_future(db.transaction(lose))
    await began.wait()
    using = asyncio.ensure_future(use(db, held.token))
    await _until_somebody_waits(db)
    done.set()
    await losing
    with pytest.raises(TokenVoid):
        await using
    assert (await card_now(db, held.card)).status == "lost"


async def test_token_and_pin_are_in_no_column(db: Database) -> None:
    held = await hold(db)
    await use(db, held.token)
    row: str = await db.read(lambda tx: tx.value("SELECT t::text FROM cards.management_token AS t"))
    assert held.token not in row
    assert token_digest(held.token).hex() in row
