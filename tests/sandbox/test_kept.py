"""What is kept of a request that had a PIN in it: nothing from which it could be found."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest

from bayon import sandbox
from bayon.cards import Vault
from bayon.db import Database
from bayon.web import Field, canonical
from bayon.web.fields import without_secrets
from sandboxes import Sandbox

PINS: Final = tuple(f"{number:04}" for number in range(10_000))
NESTED: Final = (
    Field(name="a"),
    Field(name="pin", secret=True),
    Field(name="in", kind="object", fields=(Field(name="pin", secret=True), Field(name="b"))),
)


async def authorize(sandbox: Sandbox, key: str, body: Mapping[str, object]) -> httpx.Response:
    """Use a card with an idempotency key."""
    headers = {"Idempotency-Key": key}
    path = "/sandbox/v1/authorizations"
    return await sandbox.ask(path, body, token=sandbox.cms_token, headers=headers)


async def use_of(sandbox: Sandbox) -> dict[str, Any]:
    """Say how a card of the sandbox's is used."""
    cards = (await sandbox.get("/v1/cards", token=sandbox.cms_token)).json()["data"]
    return {"card_id": cards[0]["id"], "amount": 10}


def hash_of(body: object) -> bytes:
    """Hash a body as its key does."""
    return hashlib.sha256(canonical(body)).digest()


async def test_no_pin_is_found_from_what_is_kept_by_trying_all(town: Sandbox) -> None:
    use = await use_of(town)
    answer = await authorize(town, "pin", {**use, "pin": "4711"})
    assert answer.status_code == 200, answer.text
    kept = "SELECT body_hash FROM batch.answer ORDER BY created_at DESC LIMIT 1"
    body_hash = await town.value(kept)
    assert body_hash == hash_of(use)
    assert body_hash not in {hash_of({**use, "pin": pin}) for pin in PINS}


async def test_a_sandbox_seeded_before_keys_were_added_gets_them_and_keeps_the_others(
    db: Database,
) -> None:
    first = await db.transaction(sandbox.keep_keys)
    older = """
        DELETE FROM cellar.secret
        WHERE name IN ('card_verification_key', 'card_cryptogram_key', 'zone_pin_key')
    """
    await db.transaction(lambda tx: tx.run(older))
    second = await db.transaction(sandbox.keep_keys)
    assert second.zone_pin_key != first.zone_pin_key
    made = dict.fromkeys(("card_verification_key", "card_cryptogram_key"), "")
    assert Vault(second.vault).check_values() | made == Vault(first.vault).check_values() | made
    assert await db.transaction(sandbox.keep_keys) == second


async def test_the_same_key_with_another_pin_gets_the_first_answer(town: Sandbox) -> None:
    use = await use_of(town)
    first = await authorize(town, "again", {**use, "pin": "4711"})
    for more in ({"pin": "4711"}, {"pin": "4712"}, {}):
        again = await authorize(town, "again", {**use, **more})
        assert (again.status_code, again.content) == (200, first.content)


async def test_the_same_key_with_another_amount_is_refused(town: Sandbox) -> None:
    use = await use_of(town)
    await authorize(town, "amount", {**use, "pin": "4711"})
    other = await authorize(town, "amount", {**use, "amount": 11, "pin": "4711"})
    assert other.status_code == 409, other.text


@pytest.mark.parametrize(
    ("decoded", "left"),
    [
        ({"a": "1", "pin": "2", "other": "3"}, {"a": "1", "other": "3"}),
        ({"in": {"pin": "2", "b": "4", "other": "5"}}, {"in": {"b": "4", "other": "5"}}),
        ({"in": None, "other": {"pin": "6"}}, {"in": None, "other": {"pin": "6"}}),
        ([{"pin": "7"}], [{"pin": "7"}]),
        (None, None),
    ],
)
def test_secrets_are_left_out_where_the_fields_say_so(decoded: object, left: object) -> None:
    assert without_secrets(decoded, NESTED) == left
