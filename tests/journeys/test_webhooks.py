"""Webhooks on the command line: endpoints, a listener that verifies, replays; the demo endpoint."""

import asyncio
import re
import signal
from typing import Any, Final

import httpx
import jwt
import pytest

from events.receivers import bearer, receiving, until
from journeys.running import PATIENCE_S, Dev, Home, Running, query
from journeys.test_serve import KEYS
from said import never_say
from sandboxes import Server

DEMO: Final = "Demo Issuer"
LINE: Final = re.compile(r"^\d\d:\d\d:\d\d  (\S+) +(\S+)  (.+)$", re.MULTILINE)


async def test_a_listener_verifies_what_it_is_told_and_leaves_nothing_behind(
    shared_home: Home, dev: Dev
) -> None:
    listener = shared_home.start("bayon", "webhooks", "listen", "--port=0", "--print-body")
    port = await _printed(listener, r"localhost:(\d+)/listen")
    topped_up = await _top_up(dev)
    line = await _printed(listener, rf"(transaction\.created +{topped_up}  \S.*)")
    assert line.endswith("  verified")
    assert await _printed(listener, r'("funding_source": "Agent")')
    assert f"http://localhost:{port}/listen" in await _urls(dev)
    done = await listener.stop()
    assert (done.code, done.err) == (0, "")
    assert len(LINE.findall(done.out)) == 1
    assert f"http://localhost:{port}/listen" not in await _urls(dev)


async def test_a_listener_says_why_it_does_not_trust_a_delivery_and_shows_no_commands(
    shared_home: Home, dev: Dev
) -> None:
    assert dev
    words = ("bayon", "webhooks", "listen", "--port=0", "--print-body", "--event-type=card.created")
    listener = shared_home.start(*words)
    port = await _printed(listener, r"localhost:(\d+)/listen")
    url = f"http://localhost:{port}/listen"
    forged = jwt.encode({"iss": "Bongloy", "sub": "1"}, "x" * 32, algorithm="HS256")
    event = (
        b'{"data":{"attributes":{"type":"a\\u001b[2J","details":{"data":{"id":"1\\n  verified"}}}}}'
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        answers = [
            await http.post(url, content=b"\x1b]0;mine\x07\xff{"),
            await http.post(url, content=event, headers={"Authorization": f"Bearer {forged}"}),
            await http.post(url, content=b"{}", headers={"Authorization": "Bearer ..."}),
            await http.get(url),
            await http.post(url, content=b"x" * (2**20 + 1)),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 405, 413]
    done = await listener.stop(signal.SIGINT)
    assert (done.code, done.err) == (0, "")
    whys = [line.partition("NOT VERIFIED: ")[2] for line in done.out.splitlines()]
    assert [why for why in whys if why] == [
        "there is no bearer token",
        "the token is signed by another secret",
        "the token does not hold (DecodeError)",
    ]
    assert not any(line.endswith("  verified") for line in done.out.splitlines())
    assert "\x1b" not in done.out
    assert "\x07" not in done.out


async def test_what_a_killed_listener_has_left_goes_with_the_next(
    shared_home: Home, dev: Dev
) -> None:
    first = shared_home.start("bayon", "webhooks", "listen", "--port=0")
    port = await _printed(first, r"localhost:(\d+)/listen")
    await first.stop(signal.SIGKILL)
    assert (await _urls(dev)).count(f"http://localhost:{port}/listen") == 1
    second = shared_home.start("bayon", "webhooks", "listen", "--port", port)
    await _printed(second, rf"localhost:({port})/listen")
    assert (await _urls(dev)).count(f"http://localhost:{port}/listen") == 1
    third = await shared_home.bayon("webhooks", "listen", "--port", port)
    assert (third.code, third.err.splitlines()) == (
        1,
        [f"bayon: Port {port} of 127.0.0.1 cannot be listened on: Address already in use."],
    )
    await second.stop()
    assert f"http://localhost:{port}/listen" not in await _urls(dev)


async def test_an_endpoint_is_made_listed_and_sent_again_what_happened(
    shared_home: Home, dev: Dev
) -> None:
    name = "Sala"
    assert (await shared_home.bayon("issuers", "create", name)).code == 0
    token = (await shared_home.bayon("tokens", "create", "--issuer", name)).out.strip()
    async with receiving() as receiver:
        words = ("webhooks", "create", "--issuer", name, f"{receiver.url}/a")
        made = await shared_home.bayon(*words, "--event-type", "cardholder.created")
        assert made.code == 0, made.err
        secret = made.out.splitlines()[-1]
        never_say("a signing secret", secret)
        listed = (await shared_home.bayon("webhooks", "list", "--issuer", name)).out
        endpoint_id = made.out.partition(" ")[0]
        assert listed == f"{endpoint_id}\tenabled\t{receiver.url}/a\tcardholder.created\n"
        await _cardholder(dev, token)
        await until(lambda: len(receiver.got) == 1, timeout_s=PATIENCE_S)
        claims = jwt.decode(bearer(receiver.got[0]), secret, algorithms=["HS256"], issuer="Bongloy")
        assert claims["sub"] == str(receiver.got[0].event_id)
        replay = ("webhooks", "replay", "--issuer", name)
        past = await shared_home.bayon(*replay, "--since=2020-01-01", "--until=2020-02-01")
        assert (past.code, past.out) == (0, "Deliveries on their way: 0.\n")
        again = await shared_home.bayon(
            *replay, "--since=2020-01-01T00:00+07:00", "--until=9999-12-31"
        )
        assert (again.code, again.out) == (0, "Deliveries on their way: 1.\n")
        await until(lambda: len(receiver.got) == 2, timeout_s=PATIENCE_S)
        assert len({got.event_id for got in receiver.got}) == 1


BAD: Final = [
    (("list", "--issuer", "Nobody"), "There is no such issuer."),
    (("create", "--issuer", "Nobody", "https://a.example"), "There is no such issuer."),
    (("listen", "--issuer", "Nobody", "--port=0"), "There is no such issuer."),
    (("create", "--issuer", DEMO, "nonsense"), "The URL must begin with https://."),
    (("create", "--issuer", DEMO, "https://10.0.0.1/"), "The URL's host is not public."),
    (
        ("create", "--issuer", DEMO, "https://a.example", "--event-type", "card.\x1b"),
        r"'card.\x1b' is no event type; they are: transaction.created,",
    ),
    (("listen", "--event-type", "all"), "'all' is no event type; they are: "),
    (("listen", "--port", "65536"), "A port is a number from 0 to 65535."),
    (("replay", "--issuer", "Nobody", "--since=2020-01-01", "--until=2021-01-01"), "There is no"),
    (
        ("replay", "--issuer", DEMO, "--since=yesterday", "--until=2021-01-01"),
        "'yesterday' is no time; write it like 2026-01-31T18:00:00Z.",
    ),
    (
        ("replay", "--issuer", DEMO, "--since=2021-01-02", "--until=2021-01-01"),
        "--since is later than --until.",
    ),
]


@pytest.mark.parametrize(("words", "says"), BAD)
async def test_what_cannot_be_done_is_said_in_one_line(
    shared_home: Home, dev: Dev, words: tuple[str, ...], says: str
) -> None:
    before = await _urls(dev)
    done = await shared_home.bayon("webhooks", *words)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"bayon: {says}")
    assert len(done.err.splitlines()) == 1
    assert await _urls(dev) == before
    assert dev.running.process.poll() is None


async def test_production_sends_nothing_to_this_machine(home: Home, server: Server) -> None:
    url = await server.clone()
    env = {**KEYS, "BAYON_DATABASE_URL": url}
    issuer = await home.bayon("issuers", "create", "Sala", stdin=b"", **env)
    assert issuer.code == 0, issuer.err
    words = ("webhooks", "listen", "--issuer", "Sala", "--port=0")
    listened = await home.bayon(*words, stdin=b"", **env)
    assert (listened.code, listened.err) == (
        1,
        "bayon: Only a sandbox sends to this machine itself.\n",
    )
    create = ("webhooks", "create", "--issuer", "Sala")
    local = await home.bayon(*create, "http://localhost:1/", stdin=b"", **env)
    assert (local.code, local.err) == (1, "bayon: The URL must begin with https://.\n")
    made = await home.bayon(*create, "https://shop.example/webhooks", stdin=b"", **env)
    assert (made.code, len(made.out.splitlines()[-1])) == (0, 32)
    never_say("a signing secret", made.out.splitlines()[-1])
    await server.drop(url)


async def test_the_secret_of_the_ready_file_signs_once_the_demo_endpoint_is_wanted(
    shared_home: Home, dev: Dev
) -> None:
    secret: str = dev.ready["webhook_signing_secret"]
    never_say("a signing secret", secret)
    listed = await shared_home.bayon("webhooks", "list", "--issuer", DEMO)
    assert "\tdisabled\thttp://localhost:8584/\tall\n" in listed.out
    async with receiving() as receiver, _cards(dev) as cards:
        (hook,) = [
            each
            for each in (await cards.get("/v1/webhook_endpoints")).json()["data"]
            if each["attributes"]["url"] == "http://localhost:8584/"
        ]
        wanted = {"enabled": True, "url": receiver.url}
        data = {"type": "webhook_endpoint", "id": hook["id"], "attributes": wanted}
        path = f"/v1/webhook_endpoints/{hook['id']}"
        (await cards.patch(path, json={"data": data})).raise_for_status()
        topped_up = await _top_up(dev)
        await until(lambda: len(receiver.got) > 0, timeout_s=PATIENCE_S)
        back = {"enabled": False, "url": "http://localhost:8584/"}
        (await cards.patch(path, json={"data": {**data, "attributes": back}})).raise_for_status()
    (got,) = receiver.got
    assert topped_up in got.body.decode()
    jwt.decode(bearer(got), secret, algorithms=["HS256"], issuer="Bongloy")


async def test_two_sandboxes_that_start_at_once_seed_one_endpoint_with_one_secret(
    home: Home, server: Server
) -> None:
    url = await server.clone()
    files = [home.folder / f"{n}.json" for n in range(2)]
    both = [
        home.start(
            *(
                "bayon",
                "dev",
                "--http-port=0",
                "--https-port=0",
                "--network-port=0",
                "--ready-file",
                file,
            ),
            stdin=b"",
            BAYON_DATABASE_URL=url,
        )
        for file in files
    ]
    async with asyncio.timeout(2 * PATIENCE_S):
        while not all(file.exists() for file in files):
            assert all(running.process.poll() is None for running in both)
            await asyncio.sleep(0.02)
    secrets = {_member(file.read_text(), "webhook_signing_secret") for file in files}
    assert len(secrets) == 1
    assert await query(url, "SELECT count(*) FROM events.endpoint") == 1
    for running in both:
        assert (await running.stop()).code == 0
    await query(url, "DELETE FROM events.endpoint")
    again = await home.dev(BAYON_DATABASE_URL=url)  # whoever deletes it does not want it
    assert {again.ready["webhook_signing_secret"]} == secrets
    assert await query(url, "SELECT count(*) FROM events.endpoint") == 0
    await again.running.stop()
    await server.drop(url)


def _member(text: str, name: str) -> str:
    found = re.search(rf'"{name}": "([^"]+)"', text)
    assert found
    return found[1]


def _cards(dev: Dev) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    return httpx.AsyncClient(base_url=dev.url, headers=headers, trust_env=False, timeout=60)


async def _urls(dev: Dev) -> list[str]:
    """List where endpoints are, without waiting for a process to start."""
    found = "SELECT coalesce(array_agg(url ORDER BY url), '{}') FROM events.endpoint"
    urls: list[str] = await query(dev.ready["database_url"], found)
    return urls


async def _printed(running: Running, pattern: str) -> str:
    """Wait until it has printed this; returns the first group."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := re.search(pattern, running.out_file.read_text())):
            assert running.process.poll() is None, running.err_file.read_text()
            await asyncio.sleep(0.02)
    return found[1]


async def _top_up(dev: Dev) -> str:
    """Put money on the demo account; returns the transaction's id."""
    async with _cards(dev) as cards:
        account = (await cards.get("/v1/accounts")).json()["data"][0]
        data = {"type": "topup", "attributes": {"amount": 100, "funding_source": "Agent"}}
        path = f"/v1/accounts/{account['id']}/topups"
        answer = await cards.post(path, json={"data": data})
    topped_up: dict[str, Any] = answer.raise_for_status().json()
    return topped_up["data"]["id"]


async def _cardholder(dev: Dev, token: str) -> None:
    individual = {
        "date_of_birth": "20161220",
        "address": "#87, Street 63, Phnom Penh, Cambodia",
        "remote_photo_url": "https://a.example/150.png",
        "remote_identity_document_url": "https://a.example/600.png",
        "identity_document_number": "123456789",
        "identity_document_type": "id_card",
    }
    attributes = {"name": "Tang Dara", "phone_number": "855715200960", "type": "individual"}
    data = {"type": "cardholder", "attributes": {**attributes, "individual": individual}}
    async with _cards(dev) as cards:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await cards.post("/v1/cardholders", json={"data": data}, headers=headers)
    answer.raise_for_status()
