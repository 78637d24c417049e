"""`bayon serve` as processes: what it insists on, and its parts apart on one database."""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import pytest

from bayon.cards import KeyBlockKey, ZonePinKey
from bayon.db import Database
from bayon.network import Caller, Message, load_profile
from bayon.payments import Rail, find_accounts, khqr
from bayon.seal import Sealer
from factories import USD, make_pay, make_qr, make_request
from journeys.running import Home, Running, query
from sandboxes import Server

KEYS = {
    "BAYON_SEAL_KEYS": f"1:{secrets.token_hex(32)}",
    "BAYON_BAKONG_JWT_KEY": secrets.token_hex(32),
    "BAYON_VAULT_KEYS": f"1:{secrets.token_hex(32)}",
    "BAYON_VAULT_LOOKUP_KEY": secrets.token_hex(32),
    "BAYON_PIN_VERIFICATION_KEY": secrets.token_hex(16),
    "BAYON_CARD_VERIFICATION_KEY": secrets.token_hex(16),
    "BAYON_CARD_CRYPTOGRAM_KEY": secrets.token_hex(16),
    "BAYON_ZONE_PIN_KEY": secrets.token_hex(16),
    "BAYON_PUBLIC_URL": "https://pay.example",
    "BAYON_HTTP_PORT": "0",
    "BAYON_NETWORK_PORT": "0",
}
REQUIRED = (
    *("DATABASE_URL", "SEAL_KEYS", "BAKONG_JWT_KEY"),
    *("VAULT_KEYS", "VAULT_LOOKUP_KEY", "PIN_VERIFICATION_KEY", "CARD_VERIFICATION_KEY"),
    "CARD_CRYPTOGRAM_KEY",
    "PUBLIC_URL",
    "ZONE_PIN_KEY",
)
PRINTED = (
    "0123456789ABCDEFFEDCBA9876543210",
    "00112233445566778899aabbccddeeff",
    "404142434445464748494A4B4C4D4E4F",
    "C1D0F8FB4958670DBA40AB1F3752EF0D",
)
UNDER = secrets.token_bytes(32)
HALF = secrets.token_hex(7) + "fe"


async def test_it_names_every_setting_it_misses(home: Home) -> None:
    done = await home.bayon("serve")
    assert done.code == 1
    assert done.err.splitlines() == [
        "bayon: The settings are not complete.",
        *(f"  BAYON_{name} must be set" for name in REQUIRED),
    ]


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("BAKONG_JWT_KEY", "short", "must have at least 32 characters"),
        ("BAKONG_JWT_KEY", "changeme" * 4, "BAYON_BAKONG_JWT_KEY is no secret"),
        (
            "SEAL_KEYS",
            f"1:{secrets.token_hex(16)}",
            "BAYON_SEAL_KEYS must be like 1:<64 hex digits>",
        ),
        ("SEAL_KEYS", secrets.token_hex(32), "BAYON_SEAL_KEYS must be like 1:<64 hex digits>"),
        ("SEAL_KEYS", f"1:{'ab' * 32},2:{secrets.token_hex(32)}", "BAYON_SEAL_KEYS is no secret"),
        ("VAULT_KEYS", f"0:{secrets.token_hex(32)}", "BAYON_VAULT_KEYS is not valid."),
        ("VAULT_KEYS", f"1:{'00' * 32}", "BAYON_VAULT_KEYS is no secret"),
        ("VAULT_KEYS", KEYS["BAYON_SEAL_KEYS"].upper(), "BAYON_VAULT_KEYS repeats another key"),
        ("VAULT_LOOKUP_KEY", secrets.token_hex(16), "BAYON_VAULT_LOOKUP_KEY must be 64 hex digits"),
        ("VAULT_LOOKUP_KEY", bytes(range(32)).hex(), "BAYON_VAULT_LOOKUP_KEY is no secret"),
        (
            "VAULT_LOOKUP_KEY",
            KEYS["BAYON_BAKONG_JWT_KEY"],
            "BAYON_VAULT_LOOKUP_KEY repeats another key",
        ),
        ("PIN_VERIFICATION_KEY", secrets.token_hex(24), "must be 32 hex digits"),
        ("PIN_VERIFICATION_KEY", HALF + HALF, "BAYON_PIN_VERIFICATION_KEY has two equal halves"),
        (
            "PIN_VERIFICATION_KEY",
            HALF + HALF[:-2] + "ff",  # a byte's lowest bit is parity, and no part of the key
            "BAYON_PIN_VERIFICATION_KEY has two equal halves",
        ),
        *(
            ("PIN_VERIFICATION_KEY", key, "BAYON_PIN_VERIFICATION_KEY is no secret")
            for key in PRINTED
        ),
        ("CARD_VERIFICATION_KEY", secrets.token_hex(24), "must be 32 hex digits"),
        (
            "CARD_VERIFICATION_KEY",
            KEYS["BAYON_PIN_VERIFICATION_KEY"].upper(),
            "BAYON_CARD_VERIFICATION_KEY repeats another key",
        ),
        ("CARD_CRYPTOGRAM_KEY", secrets.token_hex(15), "must be 32 hex digits"),
        ("CARD_CRYPTOGRAM_KEY", HALF + HALF, "BAYON_CARD_CRYPTOGRAM_KEY has two equal halves"),
        ("ZONE_PIN_KEY", secrets.token_hex(20), "must be 32, 48 or 64 hex digits"),
        (
            "ZONE_PIN_KEY",
            KeyBlockKey(UNDER).wrap(secrets.token_bytes(16), "T"),
            "BAYON_ZONE_PIN_KEY cannot be read. To read a key block, BAYON_KEY_BLOCK_KEY must be",
        ),
        ("KEY_BLOCK_KEY", secrets.token_hex(20), "must be 32, 48 or 64 hex digits"),
        ("KEY_BLOCK_KEY", "5A" * 32, "BAYON_KEY_BLOCK_KEY is no secret"),
        ("PUBLIC_URL", "pay.example", "BAYON_PUBLIC_URL must be a URL"),
        ("DATABASE_URL", "pay.example", "BAYON_DATABASE_URL must be a URL"),
        ("DATABASE_URL", "postgresql://bayon:hush@127.0.0.1:1/bayon", "The database is away."),
    ],
)
async def test_a_bad_key_or_address_stops_the_start_and_is_not_repeated_aloud(
    home: Home, setting: str, value: str, says: str
) -> None:
    away = {"BAYON_DATABASE_URL": "postgresql://127.0.0.1:1/bayon"}
    done = await home.bayon("serve", stdin=b"", **away | KEYS | {f"BAYON_{setting}": value})
    assert done.code == 1
    assert says in done.err
    assert "Traceback" not in done.err
    assert value not in done.err
    assert "hush" not in done.err


async def test_it_refuses_the_database_of_a_sandbox(home: Home, server: Server) -> None:
    url = await server.clone()
    dev = await home.dev(BAYON_DATABASE_URL=url)
    await dev.running.stop()
    done = await home.bayon("serve", stdin=b"", **_on(url))
    assert (done.code, "This database is a sandbox's" in done.err) == (1, True), done.err
    await server.drop(url)


async def test_what_it_refuses_it_leaves_as_it_is(home: Home, server: Server) -> None:
    url = await server.clone()
    dev = await home.dev(BAYON_DATABASE_URL=url)
    await dev.running.stop()
    await query(url, "DELETE FROM cellar.migration")  # made by an older version, it seems
    done = await home.bayon("serve", stdin=b"", **_on(url))
    assert (done.code, "This database is a sandbox's" in done.err) == (1, True), done.err
    assert await query(url, "SELECT count(*) FROM cellar.migration") == 0
    await server.drop(url)


async def test_a_worker_alone_needs_no_public_address(home: Home) -> None:
    done = await home.bayon("serve", "--only", "worker")
    assert [line.split()[0] for line in done.err.splitlines()[1:]] == [
        f"BAYON_{name}" for name in REQUIRED if name not in {"PUBLIC_URL", "ZONE_PIN_KEY"}
    ]


async def test_the_card_network_answers_alone(home: Home, server: Server) -> None:
    url = await server.clone()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    env = _on(url) | {"BAYON_NETWORK_PORT": port}
    running = home.start("bayon", "serve", "--only", "network", stdin=b"", **env)
    await running.said(r'"event": "(ready)"')
    done = await home.bayon("acquirer", "echo", "--port", port)
    assert (done.code, "00 approved" in done.out) == (0, True)
    assert (await running.stop()).code == 0
    await server.drop(url)


async def test_a_network_sends_a_key_and_no_weak_one(home: Home, server: Server) -> None:
    url = await server.clone()
    file = home.folder / "switch.toml"
    file.write_text("[key_exchange]\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    env = _on(url) | {"BAYON_NETWORK_PORT": str(port), "BAYON_NETWORK_PROFILE": str(file)}
    done = await home.bayon("serve", "--only", "network", stdin=b"", **env)
    assert (done.code, "BAYON_KEY_BLOCK_KEY must be set" in done.err) == (1, True)
    env["BAYON_KEY_BLOCK_KEY"] = UNDER.hex()
    running = home.start("bayon", "serve", "--only", "network", stdin=b"", **env)
    await running.said(r'"event": "(ready)"')
    caller = await Caller.open("127.0.0.1", port, load_profile(str(file)), timeout_s=60)
    codes: list[str] = []
    good = secrets.token_hex(16)
    sent = ZonePinKey(bytes.fromhex(good))
    for stan, key in enumerate((good, PRINTED[0], env["BAYON_ZONE_PIN_KEY"])):
        block = KeyBlockKey(UNDER).wrap(bytes.fromhex(key), "T")
        fields = {7: "1120080000", 11: f"{stan:06d}", 70: "161", 125: block}
        answer = await caller.ask(Message(mti="0800", fields=fields), timeout_s=60)
        codes.append(answer.fields[39])
    caller.close()
    assert codes == ["00", "63", "63"]
    assert (await running.stop()).code == 0
    for under, value in (
        ({"BAYON_KEY_BLOCK_KEY": UNDER.hex()}, sent.check_value()),
        ({"BAYON_KEY_BLOCK_KEY": secrets.token_hex(32)}, "unreadable"),
        ({}, "unknown"),
    ):
        listed = await home.bayon("vault", "sent-keys", stdin=b"", BAYON_DATABASE_URL=url, **under)
        (line,) = listed.out.splitlines()
        assert [*line.split("\t")[:2], line.split("\t")[3]] == ["default", "1", value]
    said = running.err_file.read_text()
    assert [said.count(event) for event in ("network.key_taken", "network.key_refused")] == [1, 2]
    await server.drop(url)


async def test_a_link_that_dials_is_ready_before_anybody_is_there(
    home: Home, server: Server
) -> None:
    url = await server.clone()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    file = home.folder / "links.toml"
    key = 'zone_pin_key_variable = "SWITCH_KEY"'
    file.write_text(f'[links.switch]\nconnect = "127.0.0.1:{port}"\n{key}\n')
    env = _on(url) | {
        "BAYON_NETWORK_LINKS": str(file),
        "BAYON_KEY_BLOCK_KEY": UNDER.hex(),
        "SWITCH_KEY": KeyBlockKey(UNDER).wrap(secrets.token_bytes(16), "T"),
    }
    running = home.start("bayon", "serve", "--only", "network", stdin=b"", **env)
    await running.said(r'"event": "(ready)"')
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                size = int.from_bytes(await reader.readexactly(2))
                await heard.put(await reader.readexactly(size))

    async with await asyncio.start_server(listen, "127.0.0.1", port), asyncio.timeout(60):
        signs_on = await heard.get()
        assert (await running.stop()).code == 0
        signs_off = await heard.get()
    assert [said[:4] + said[-3:] for said in (signs_on, signs_off)] == [b"0800001", b"0800002"]
    await server.drop(url)


async def test_a_file_of_links_that_is_none_stops_the_start(home: Home) -> None:
    file = home.folder / "links.toml"
    file.write_text('[links.switch]\nport = 8583\nprofil = "bcd"\n')
    env = _on("postgresql://bayon@127.0.0.1:1/bayon") | {"BAYON_NETWORK_LINKS": str(file)}
    done = await home.bayon("serve", stdin=b"", **env)
    assert (done.code, "profil" in done.err) == (1, True)


async def test_two_processes_that_start_at_once_migrate_once(home: Home, server: Server) -> None:
    name = f"empty_{secrets.token_hex(4)}"
    await server.run(f"CREATE DATABASE {name}")
    url = server.url.replace("/bayon?", f"/{name}?")
    both = [home.start("bayon", "serve", stdin=b"", **_on(url)) for _ in range(2)]
    for running in both:
        await _answers(running)
    for running in both:
        assert (await running.stop()).code == 0
    told = [running.err_file.read_text().count('"event": "migrated"') for running in both]
    assert sum(told) == await query(url, "SELECT count(*) FROM cellar.migration")
    await server.drop(url)


async def test_its_parts_work_apart_and_wake_each_other(home: Home, database: str) -> None:
    """Two processes that only answer, and later one that only works, on one database."""
    env = _on(database)
    first, second = [
        await _answers(home.start("bayon", "serve", "--only", "http", stdin=b"", **env))
        for _ in range(2)
    ]
    bank, shop = await _tokens(home, env)
    async with (
        httpx.AsyncClient(base_url=first.url, headers=bank, trust_env=False) as at_first,
        httpx.AsyncClient(base_url=second.url, headers=shop, trust_env=False) as at_second,
    ):
        assert (await at_first.get("/sandbox/v1/clock")).status_code == 404
        for name, amount in (("dara", 10), ("shop", 0)):
            account = {"accountId": f"{name}@aclb", "name": name, "currencies": ["USD"]}
            assert (await _ask(at_first, "/participant/v1/accounts", account)) == 0
            deposit = {"accountId": f"{name}@aclb", "amount": amount, "currency": "USD"}
            assert not amount or (await _ask(at_first, "/participant/v1/deposits", deposit)) == 0

        paid = make_qr(to="shop@aclb", amount_minor=300)
        waiting = asyncio.create_task(_wait_for(at_second, paid))
        await asyncio.sleep(0.5)
        body = {"fromAccountId": "dara@aclb", "qr": paid}
        assert not waiting.done()
        assert await _ask(at_first, "/participant/v1/payments", body) == 0
        told_s, code = await waiting
        assert (code, told_s < 10) == (0, True)

        waiting = asyncio.create_task(_wait_for(at_second, await _pay_later(database)))
        await asyncio.sleep(1.0)
        assert not waiting.done()  # nobody works
        worker = home.start("bayon", "serve", "--only", "worker", stdin=b"", **env)
        told_s, code = await waiting
        assert (code, told_s < 20) == (0, True)
    for running in (first.running, second.running, worker):
        assert (await running.stop()).code == 0
    assert (await home.bayon("check", stdin=b"", **env)).code == 0


@dataclass(frozen=True, kw_only=True)
class _Answering:
    running: Running
    url: str


def _on(url: str) -> dict[str, str]:
    return {**KEYS, "BAYON_DATABASE_URL": url}


async def _answers(running: Running) -> _Answering:
    port = await running.said(r'"port": (\d+)')
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.get(f"{url}/readyz")).raise_for_status()
    return _Answering(running=running, url=url)


async def _tokens(home: Home, env: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    assert (
        await home.bayon("participants", "create", "aclb", "Acleda", stdin=b"", **env)
    ).code == 0
    made = [
        await home.bayon("tokens", "create", *owner, stdin=b"", **env)
        for owner in (("--participant", "aclb"), ("--email", "shop@example.com"))
    ]
    bank, shop = ({"Authorization": f"Bearer {done.out.strip()}"} for done in made)
    return bank, shop


async def _ask(http: httpx.AsyncClient, path: str, body: object) -> int:
    answer = await http.post(path, json=body)
    code: int = answer.json()["responseCode"]
    return code


async def _wait_for(http: httpx.AsyncClient, qr: str) -> tuple[float, int]:
    began = time.monotonic()
    md5 = khqr.md5(qr)
    answer = await http.post(
        "/v1/check_transaction_by_md5?wait_s=30", json={"md5": md5}, timeout=60
    )
    return time.monotonic() - began, answer.json()["responseCode"]


async def _pay_later(url: str) -> str:
    """Make a payment that is pending, as no door of production can."""
    db = await Database.connect(url, size_max=4)
    found = await db.read(lambda tx: find_accounts(tx, ["dara@aclb"]))
    qr = make_qr(to="shop@aclb", amount_minor=200, currency=USD)
    command = make_pay(payer=found["dara@aclb"], qr=qr, delay_s=0.1)
    rail = Rail(db, Sealer.from_text(KEYS["BAYON_SEAL_KEYS"]))
    reply = await rail.pay(make_request(command))
    assert reply.outcome is not None
    assert reply.outcome.state == "pending"
    await db.close()
    return qr
