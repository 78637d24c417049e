"""Rotation: card numbers go under the newest key in steps, and nothing else of a card changes."""

import secrets
from dataclasses import replace
from typing import Final
from uuid import UUID

import pytest
from msgspec import structs

from bayon.cards import (
    ImportCard,
    Moved,
    Vault,
    find_card,
    import_card,
    move,
    reseal,
    sealed_under,
)
from bayon.db import Database, Tx
from bayon.errors import Invalid
from bayon.log import Secret
from bayon.seal import BadSeal
from cards_factories import (
    BIN,
    PIN,
    VAULT,
    VAULT_KEYS,
    Purse,
    make_authorize,
    make_purse,
    now_of,
)

FIRST: Final = VAULT_KEYS.vault_keys.reveal()
SECOND: Final = f"2:{secrets.token_hex(32)}"
THIRD: Final = f"3:{secrets.token_hex(32)}"


def vault(*keys: str) -> Vault:
    """Make a vault with these versions of the sealing key, all else as it was."""
    return Vault(replace(VAULT_KEYS, vault_keys=Secret(",".join(keys))))


async def seal_cards(db: Database, purse: Purse, of: Vault, count: int) -> dict[UUID, Secret]:
    """Import cards into a vault; returns their numbers."""

    async def work(tx: Tx) -> dict[UUID, Secret]:
        now = await now_of(tx)
        pans = [of.make_pan(BIN) for _ in range(count)]
        made = [
            await import_card(
                tx,
                ImportCard(
                    issuer_id=purse.issuer.id,
                    account_id=purse.account.id,
                    pan=pan,
                    exp_month=12,
                    exp_year=2099,
                    pin=PIN,
                ),
                vault=of,
                now=now,
            )
            for pan in pans
        ]
        return dict(zip((card.id for card in made), pans, strict=True))

    return await db.transaction(work)


async def step(db: Database, of: Vault, *, after: UUID | None = None, limit: int = 3) -> list[UUID]:
    """Take one step of a rotation."""
    return await db.transaction(lambda tx: reseal(tx, vault=of, after=after, limit=limit))


async def rotate(db: Database, of: Vault) -> list[UUID]:
    """Take all steps of a round; returns whose numbers were sealed anew."""
    done: list[UUID] = []
    while found := await step(db, of, after=done[-1] if done else None):
        done += found
    return done


async def counts(db: Database, of: Vault) -> dict[int, int]:
    """Count card numbers by the version that sealed them."""
    return await db.read(lambda tx: sealed_under(tx, vault=of))


async def sealed_of(db: Database) -> dict[UUID, bytes]:
    """Read what is sealed, as it lies there."""
    rows = await db.read(lambda tx: tx.rows("SELECT id, pan_sealed FROM cards.card"))
    return {row["id"]: row["pan_sealed"] for row in rows}


async def test_all_numbers_are_under_the_newest_key_and_are_what_they_were(db: Database) -> None:
    purse = await make_purse(db)
    both, all_three = vault(FIRST, SECOND), vault(FIRST, SECOND, THIRD)
    pans = await seal_cards(db, purse, VAULT, 7) | await seal_cards(db, purse, both, 4)
    assert await counts(db, all_three) == {1: 8, 2: 4}
    done = await rotate(db, all_three)
    assert done == sorted(done)
    assert set(done) == {purse.card.id, *pans}
    assert await counts(db, vault(THIRD)) == {3: 12}
    opened = {
        card_id: vault(THIRD).open_pan(sealed, card_id=card_id)
        for card_id, sealed in (await sealed_of(db)).items()
        if card_id in pans
    }
    assert opened == pans
    assert await rotate(db, all_three) == []


async def test_what_the_newest_sealed_is_left_as_it_is(db: Database) -> None:
    purse = await make_purse(db)
    both = vault(FIRST, SECOND)
    newer = await seal_cards(db, purse, both, 3)
    before = await sealed_of(db)
    assert await rotate(db, both) == [purse.card.id]
    after = await sealed_of(db)
    assert {card_id for card_id in before if before[card_id] != after[card_id]} == {purse.card.id}
    assert newer.keys() < after.keys()


async def test_nothing_else_of_a_card_changes_and_it_can_still_be_used(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100_00)
    both = vault(FIRST, SECOND)
    card = purse.card

    async def look(tx: Tx) -> object:
        found = await find_card(tx, issuer_id=card.issuer_id, card_id=card.id)
        return structs.replace(found, pan_sealed=b"")

    async def use(of: Vault) -> bool:
        async def work(tx: Tx) -> bool:
            command = make_authorize(card, 10_00, pin=PIN)
            (used,) = await move(tx, [command], vault=of, now=await now_of(tx))
            return isinstance(used, Moved) and used.decline is None

        return await db.transaction(work)

    before = await db.read(look)
    await rotate(db, both)
    assert await db.read(look) == before
    assert await use(both)
    with pytest.raises(BadSeal):  # a process that has not the new key
        await use(VAULT)


async def test_a_rotation_that_ends_between_or_within_steps_goes_on_where_it_was(
    db: Database,
) -> None:
    purse = await make_purse(db)
    both = vault(FIRST, SECOND)
    await seal_cards(db, purse, VAULT, 9)
    first = await step(db, both, limit=4)

    async def broken(tx: Tx) -> None:
        assert len(await reseal(tx, vault=both, after=first[-1], limit=4)) == 4
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await db.transaction(broken)
    assert await counts(db, both) == {1: 6, 2: 4}
    assert not set(first) & set(await rotate(db, both))
    assert await counts(db, both) == {2: 10}


async def test_a_card_that_is_in_use_is_passed_over_and_nobody_waits(db: Database) -> None:
    purse = await make_purse(db)
    both = vault(FIRST, SECOND)
    await seal_cards(db, purse, VAULT, 5)

    async def meanwhile(tx: Tx) -> list[UUID]:
        sql = "SELECT id FROM cards.card WHERE id = $1 FOR UPDATE"
        assert await tx.value(sql, purse.card.id)
        return await rotate(db, both)

    assert purse.card.id not in await db.transaction(meanwhile)
    assert await counts(db, both) == {1: 1, 2: 5}
    assert await rotate(db, both) == [purse.card.id]


async def test_two_rotations_at_once_do_each_card_once(db: Database) -> None:
    purse = await make_purse(db)
    both = vault(FIRST, SECOND)
    await seal_cards(db, purse, VAULT, 30)

    async def inner(tx: Tx) -> tuple[list[UUID], list[UUID]]:
        return await reseal(tx, vault=both, after=None, limit=10), await rotate(db, both)

    one, other = await db.transaction(inner)
    assert (len(one), len(other), set(one) & set(other)) == (10, 21, set())
    assert await counts(db, both) == {2: 31}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ((SECOND,), "Card numbers are sealed under versions that are not here: 1."),
        ((THIRD,), "Card numbers are sealed under versions that are not here: 1, 2."),
        ((FIRST, f"2:{'ab' * 32}"), "Version 2 is another key than the one that sealed under it."),
        (
            (f"1:{'ab' * 32}", SECOND, THIRD),
            "Version 1 is another key than the one that sealed under it.",
        ),
    ],
)
async def test_a_missing_or_another_key_is_noticed_first(
    db: Database, keys: tuple[str, ...], says: str
) -> None:
    purse = await make_purse(db)
    await seal_cards(db, purse, vault(FIRST, SECOND), 2)
    with pytest.raises(Invalid) as caught:
        await counts(db, vault(*keys))
    assert caught.value.message == says


async def test_a_number_that_does_not_open_stops_its_step_which_writes_nothing(
    db: Database,
) -> None:
    purse = await make_purse(db)
    moved, *_ = await seal_cards(db, purse, VAULT, 3)
    await db.transaction(
        lambda tx: tx.run(
            """UPDATE cards.card SET pan_sealed =
            (SELECT pan_sealed FROM cards.card WHERE id = $2) WHERE id = $1""",
            moved,
            purse.card.id,
        )
    )
    before = await sealed_of(db)
    with pytest.raises(Invalid, match=f"The number of card {moved} does not open."):
        await step(db, vault(FIRST, SECOND), limit=10)
    assert await sealed_of(db) == before
