"""`bayon vault` as a process: killed, continued, refused, and on a sandbox with keys of its own."""

import asyncio
import secrets
import signal
from typing import Any, Final

import httpx

from bayon.cards import ImportCard, ZonePinKey, import_card, read_key
from bayon.db import Database, Tx
from bayon.log import Secret
from cards_factories import BIN, PIN, VAULT, VAULT_KEYS, make_purse, now_of
from journeys.running import Dev, Done, Home, query

FIRST: Final = VAULT_KEYS.vault_keys.reveal()
SECOND: Final = f"2:{secrets.token_hex(32)}"
CARDS: Final = 600
UNDER: Final = "SELECT count(*) FROM cards.card WHERE get_byte(pan_sealed, 0) = $1"


async def test_killed_it_goes_on_where_it_was(home: Home, database: str) -> None:
    await _seal_cards(database)
    env = _env(database, FIRST, SECOND)
    running = home.start("bayon", "vault", "rotate", "--step", "1", stdin=b"", **env)
    while not (before := await query(database, UNDER, 2)):  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.005)
    assert (await running.stop(signal.SIGKILL)).code == -signal.SIGKILL
    assert before < CARDS  # it was killed half-way
    left: int = await query(database, UNDER, 1)
    assert 0 < left < CARDS
    done = await home.bayon("vault", "rotate", stdin=b"", **env)
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            f"{left} card numbers were sealed anew; all are under version 2.",
            "Version 1 seals no card number any more: only older backups need it.",
        ],
    )
    assert await query(database, UNDER, 2) == CARDS
    again = await home.bayon("vault", "rotate", stdin=b"", **_env(database, SECOND))
    assert again.out == "0 card numbers were sealed anew; all are under version 2.\n"


async def test_a_wrong_or_missing_key_is_refused_and_nothing_is_written(
    home: Home, database: str
) -> None:
    await _seal_cards(database, count=3)
    another = await home.bayon(
        "vault", "rotate", stdin=b"", **_env(database, f"1:{'ab' * 32}", SECOND)
    )
    _refused(another, "Version 1 is another key than the one that sealed under it.")
    missing = await home.bayon("vault", "rotate", stdin=b"", **_env(database, SECOND))
    _refused(missing, "Card numbers are sealed under versions that are not here: 1.")
    unset = {name: v for name, v in _env(database, FIRST).items() if "CARD_VERIF" not in name}
    _refused(
        await home.bayon("vault", "rotate", stdin=b"", **unset), "The settings are not complete."
    )
    _refused(
        await home.bayon("vault", "rotate", "--step", "0", stdin=b"", **_env(database, FIRST)),
        "A step is one card number or more.",
    )
    _refused(
        await home.bayon("vault", "new-key", stdin=b"", **_env(database, FIRST)),
        "Your own database's keys are yours: write the next one beside the last.",
    )
    assert await query(database, UNDER, 1) == 3


async def test_a_zone_pin_key_is_made_a_key_block(home: Home) -> None:
    under, key = secrets.token_hex(32), secrets.token_hex(16)
    env = {"BAYON_KEY_BLOCK_KEY": under, "SWITCH_KEY": key}
    for words, stdin in (("SWITCH_KEY",), b""), (("-", "--aes"), f"{key}\n".encode()):
        done = await home.bayon("vault", "wrap", *words, stdin=stdin, **env)
        block, told = done.out.splitlines()
        made = ZonePinKey.read(Secret(block), Secret(under))
        assert (done.code, told) == (0, f"check value: {made.check_value()}")
        assert read_key(Secret(block), Secret(under)) == (Secret(key), "A" if stdin else "T")


async def test_no_key_block_is_made_of_what_is_no_key_nor_is_it_said(home: Home) -> None:
    under, key = secrets.token_hex(32), secrets.token_hex(16)
    env = {"BAYON_KEY_BLOCK_KEY": under, "SHORT": key[:20], "SWITCH_KEY": key}
    for words, says in (
        (["SHORT"], "A zone PIN key is 32, 48 or 64 hex digits."),
        ([key], "There is no key: name the variable that has it, or - for standard input."),
        (["-"], "There is no key: name the variable that has it, or - for standard input."),
        (["SWITCH_KEY", "--version=B"], "A key block of version B wants a protection key of 3DES"),
    ):
        done = await home.bayon("vault", "wrap", *words, stdin=b"", **env)
        assert (done.code, says in done.err, done.out) == (1, True, ""), done.err
        assert key[:20] not in done.err
    done = await home.bayon("vault", "wrap", "SWITCH_KEY", stdin=b"", SWITCH_KEY=key)
    assert "BAYON_KEY_BLOCK_KEY must be set" in done.err


async def test_a_sandbox_gets_a_new_key_and_its_card_can_still_be_used(home: Home) -> None:
    first = await home.dev()
    made = await home.bayon("vault", "new-key")
    assert made.out == (
        "Version 2 is kept. Start `bayon dev` anew, then run `bayon vault rotate`.\n"
    )
    assert await _use_card(first)  # which knows the first key alone, and nothing has happened yet
    await first.running.stop()
    second = await home.dev()
    done = await home.bayon("vault", "rotate")
    assert done.out.splitlines() == [
        "1 card numbers were sealed anew; all are under version 2.",
        "Version 1 seals no card number any more: only older backups need it.",
    ]
    assert await _use_card(second)


async def _use_card(dev: Dev) -> bool:
    """Spend with the demo card, by a wrong PIN: for that its number must be opened."""
    bearer = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    async with httpx.AsyncClient(base_url=dev.url, headers=bearer, trust_env=False) as http:
        cards: list[dict[str, Any]] = (await http.get("/v1/cards")).json()["data"]
        use = {"card_id": cards[0]["id"], "amount": 10, "currency": "USD", "pin": "9182"}
        answer = await http.post("/sandbox/v1/authorizations", json=use)
        reason: str | None = answer.raise_for_status().json()["decline_reason"]
        return reason == "pin_wrong"


def _env(url: str, *keys: str) -> dict[str, str]:
    return {
        "BAYON_DATABASE_URL": url,
        "BAYON_VAULT_KEYS": ",".join(keys),
        "BAYON_VAULT_LOOKUP_KEY": VAULT_KEYS.vault_lookup_key.reveal(),
        "BAYON_PIN_VERIFICATION_KEY": VAULT_KEYS.pin_verification_key.reveal(),
        "BAYON_CARD_VERIFICATION_KEY": VAULT_KEYS.card_verification_key.reveal(),
        "BAYON_CARD_CRYPTOGRAM_KEY": VAULT_KEYS.card_cryptogram_key.reveal(),
    }


async def _seal_cards(url: str, *, count: int = CARDS) -> None:
    """Put as many cards there, whose numbers the first key seals."""
    db = await Database.connect(url, size_max=4)
    purse = await make_purse(db)
    numbers: set[str] = set()  # by chance, so that of hundreds two are the same now and then
    while len(numbers) < count - 1:
        numbers.add(VAULT.make_pan(BIN).reveal())

    async def work(tx: Tx) -> None:
        for number in numbers:
            command = ImportCard(
                issuer_id=purse.issuer.id,
                account_id=purse.account.id,
                pan=Secret(number),
                exp_month=12,
                exp_year=2099,
                pin=PIN,
            )
            await import_card(tx, command, vault=VAULT, now=await now_of(tx))

    await db.transaction(work)
    await db.close()


def _refused(done: Done, message: str) -> None:
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0] == f"bayon: {message}"
