"""Cardholders: created for review, changed key by key, and nobody else's."""

import asyncio
from collections.abc import Mapping
from datetime import date

import pytest
from msgspec.structs import replace

from bayon import cards
from bayon.cards import BadAttributes, Cardholder, CardholderNotFound
from bayon.db import Database, Tx
from bayon.ids import uuid7
from cards_factories import (
    create_cardholder,
    decide,
    event_types,
    make_cardholder,
    make_issuer,
    make_profile,
    now_of,
)
from factories import advance


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


async def change(
    db: Database, cardholder: Cardholder, changes: Mapping[str, object], **whose: object
) -> Cardholder:
    """Change a cardholder as its issuer, or as another."""

    async def work(tx: Tx) -> Cardholder:
        ids = {"issuer_id": cardholder.issuer_id, "cardholder_id": cardholder.id} | whose
        return await cards.update_cardholder(
            tx,
            changes=changes,
            now=await now_of(tx),
            **ids,  # pyright: ignore[reportArgumentType]
        )

    return await db.transaction(work)


async def find(db: Database, cardholder: Cardholder) -> Cardholder:
    return await db.read(
        lambda tx: cards.find_cardholder(
            tx, issuer_id=cardholder.issuer_id, cardholder_id=cardholder.id
        )
    )


async def test_a_new_cardholder_awaits_the_review_that_is_due_at_once(db: Database) -> None:
    issuer = await make_issuer(db)
    made = await create_cardholder(db, issuer, email="dara@example.org")
    assert (made.status, made.rejection_reason) == ("processing_profile", None)
    assert (made.revision, made.review_at, made.review_attempts) == (1, made.created_at, 0)
    assert made.email == "dara@example.org"
    assert await find(db, made) == made
    assert await event_types(db, issuer) == ["cardholder.created"]


async def test_khmer_and_odd_texts_are_kept_to_the_code_point(db: Database) -> None:
    issuer = await make_issuer(db)
    texts = {"name_km": "តាំង តារា\u200b", "e\u0301": "é", "\ud83d\ude00": 1.5, "t": True, "n": ""}
    texts = {key.encode("utf-16", "surrogatepass").decode("utf-16"): v for key, v in texts.items()}
    made = await create_cardholder(db, issuer, name="មេត្តា កញ្ញា", metadata=texts)
    found = await find(db, made)
    assert (found.name, found.metadata) == ("មេត្តា កញ្ញា", texts)
    assert list(found.metadata) == list(texts)


async def test_several_are_created_in_order_each_with_its_event(db: Database) -> None:
    issuers = [await make_issuer(db), await make_issuer(db)]

    async def work(tx: Tx) -> list[Cardholder]:
        profiles = [make_profile(issuers[n % 2], name=f"Holder {n}") for n in range(5)]
        return await cards.create_cardholders(tx, profiles, now=await now_of(tx))

    made = await db.transaction(work)
    assert [each.name for each in made] == [f"Holder {n}" for n in range(5)]
    assert [each.issuer_id for each in made] == [issuers[n % 2].id for n in range(5)]
    assert await event_types(db, issuers[0]) == ["cardholder.created"] * 3
    assert await event_types(db, issuers[1]) == ["cardholder.created"] * 2


MERGES: list[tuple[Mapping[str, object], Mapping[str, object], Mapping[str, object]]] = [
    ({}, {}, {}),
    ({"a": 1}, {}, {"a": 1}),
    ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ({"a": 1}, {"a": 2}, {"a": 2}),
    ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
    ({"a": 1}, {"b": None}, {"a": 1}),
    ({"a": 1}, {"a": ""}, {"a": ""}),
    ({"a": 1}, {"a": False}, {"a": False}),
    ({"a": 1}, {"A": 2}, {"a": 1, "A": 2}),
]


@pytest.mark.parametrize("field", ["metadata", "additional_details"])
async def test_pairs_are_merged_and_null_removes_a_key(db: Database, field: str) -> None:
    issuer = await make_issuer(db)
    for before, changes, after in MERGES:
        made = await create_cardholder(db, issuer, **{field: before})
        changed = await change(db, made, {field: changes})
        assert getattr(changed, field) == after
        assert await find(db, made) == changed


def pairs(count: int, start: int = 0) -> dict[str, object]:
    return {f"key {n}": n for n in range(start, start + count)}


@pytest.mark.parametrize("field", ["metadata", "additional_details"])
async def test_fifty_keys_are_the_most_after_the_merge_and_one_more_changes_nothing(
    db: Database, field: str
) -> None:
    issuer = await make_issuer(db)
    made = await create_cardholder(db, issuer, **{field: pairs(49)})
    full = await change(db, made, {field: {"the 50th": 1}})
    replaced = await change(db, full, {field: {"key 0": None, "another 50th": 1}})
    assert len(getattr(replaced, field)) == 50
    with pytest.raises(BadAttributes) as refused:
        await change(db, made, {"name": "Somebody", field: {"the 51st": 1}})
    assert [each.pointer for each in refused.value.problems] == [f"/data/attributes/{field}"]
    assert await find(db, made) == replaced
    assert (await event_types(db, issuer)).count("cardholder.updated") == 2


async def test_nothing_but_metadata_keeps_the_status(db: Database) -> None:
    issuer = await make_issuer(db)
    active = await make_cardholder(db, issuer)
    changed = await change(db, active, {"metadata": {"vip": True}})
    assert changed == replace(
        active, metadata={**active.metadata, "vip": True}, updated_at=changed.updated_at
    )
    rejected = await decide(db, active, reason="photo_not_acceptable")
    changed = await change(db, rejected, {"metadata": {"vip": None}})
    assert (changed.status, changed.rejection_reason) == ("rejected", "photo_not_acceptable")


async def test_what_is_as_it_was_is_no_change(db: Database) -> None:
    issuer = await make_issuer(db)
    active = await decide(db, await create_cardholder(db, issuer))
    names = ("name", "phone_number", "email", "born_on", "address", "identity_document_number")
    same = {name: getattr(active, name) for name in (*names, "additional_details", "metadata")}
    told = await event_types(db, issuer)
    assert await change(db, active, same) == active
    assert await event_types(db, issuer) == told
    changed = await change(db, active, same | {"metadata": {"vip": True}})
    assert (changed.status, changed.revision) == ("active", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Dara Tang"},
        {"phone_number": "85512345678"},
        {"email": "dara@example.org"},
        {"born_on": date(2000, 1, 1)},
        {"address": "new address"},
        {"identity_document_number": "N00000001"},
        {"identity_document_type": "passport"},
        {"photo_url": "https://example.org/photo.png"},
        {"identity_document_url": "https://example.org/id.pdf"},
        {"additional_details": {"member_since": "2031"}},
        {"name": "Dara Tang", "metadata": {"vip": True}},
    ],
    ids="+".join,
)
async def test_anything_else_is_reviewed_anew(db: Database, changes: Mapping[str, object]) -> None:
    issuer = await make_issuer(db)
    for reason in (None, "photo_not_acceptable"):
        decided = await decide(db, await create_cardholder(db, issuer), reason=reason)
        await advance(db, advance_s=5)
        changed = await change(db, decided, changes)
        assert (changed.status, changed.rejection_reason) == ("processing_profile", None)
        assert (changed.revision, changed.review_attempts) == (2, 0)
        assert changed.review_at == changed.updated_at
        assert changed.updated_at > decided.updated_at
        plain = changes.keys() - {"metadata", "additional_details"}
        assert {name: getattr(changed, name) for name in plain} == {
            name: changes[name] for name in plain
        }
        assert await find(db, changed) == changed


async def test_no_change_at_all_writes_nothing(db: Database) -> None:
    issuer = await make_issuer(db)
    made = await make_cardholder(db, issuer)
    told = await event_types(db, issuer)
    assert await change(db, made, {}) == made
    assert await event_types(db, issuer) == told


async def test_another_issuers_cardholder_is_not_there(db: Database) -> None:
    issuer, other = await make_issuer(db), await make_issuer(db)
    made = await create_cardholder(db, issuer)
    told = await event_types(db, issuer)

    async def found(tx: Tx) -> Cardholder:
        return await cards.find_cardholder(tx, issuer_id=other.id, cardholder_id=made.id)

    async def decided(tx: Tx) -> Cardholder:
        now = await now_of(tx)
        return await cards.decide_review(
            tx, cardholder_id=made.id, issuer_id=other.id, rejection_reason=None, now=now
        )

    for work in (found, decided):
        with pytest.raises(CardholderNotFound):
            await db.transaction(work)
    with pytest.raises(CardholderNotFound):
        await change(db, made, {"name": "Mine"}, issuer_id=other.id)
    with pytest.raises(CardholderNotFound):
        await change(db, made, {"name": "Nobody"}, cardholder_id=uuid7())
    assert await find(db, made) == made
    assert await event_types(db, issuer) == told


@pytest.mark.parametrize("reason", [None, "", "photo_not_acceptable"])
async def test_a_decision_by_hand_accepts_without_a_reason_and_rejects_with_one(
    db: Database, reason: str | None
) -> None:
    issuer = await make_issuer(db)
    decided = await decide(db, await create_cardholder(db, issuer), reason=reason)
    assert decided.status == ("rejected" if reason else "active")
    assert decided.rejection_reason == (reason or None)
    assert decided.review_at is None
    assert await find(db, decided) == decided


async def test_changes_at_the_same_time_are_all_merged(
    db: Database, shared: tuple[Database, str]
) -> None:
    made = await create_cardholder(db, await make_issuer(db), metadata={})
    others = [await Database.connect(shared[1], size_max=2) for _ in range(2)]
    await asyncio.gather(
        *(change(others[n % 2], made, {"metadata": {f"key {n}": n}}) for n in range(20))
    )
    for other in others:
        await other.close()
    assert (await find(db, made)).metadata == pairs(20)
