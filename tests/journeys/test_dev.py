"""`bayon dev` as a process: it starts, says where it is, answers, and stops without a trace."""

import asyncio
import hashlib
import json
import signal
import socket
import stat
import sys
import time

import asyncpg
import httpx
import pytest

from bayon.cards import ZonePinKey
from bayon.log import Secret
from journeys.running import (
    BAYON,
    PAYER,
    Done,
    Home,
    posted,
    query,
    trusting,
    until_ready,
)
from sandboxes import Server

MEMBERS = {
    *("http_url", "https_url", "tls_cert_file", "database_url"),
    *("bakong_token", "participant_token", "cms_token", "other_cms_token"),
    *("webhook_signing_secret", "zone_pin_key", "pid", "network_host", "network_port"),
    "card_cryptogram_key",
}
START_S = 15.0
RESTART_S = 2.0
STOP_S = 10.0


async def test_it_starts_fast_and_again_faster_with_the_same_tokens(home: Home) -> None:
    first = await home.dev(program=BAYON)
    assert first.ready.keys() == MEMBERS
    assert first.ready["pid"] == first.running.process.pid
    assert stat.S_IMODE(home.ready_file.stat().st_mode) == 0o600
    assert (await first.running.stop()).code == 0
    second = await home.dev(program=BAYON)
    assert ZonePinKey.read(Secret(first.ready["zone_pin_key"]))
    for name in (
        "bakong_token",
        "participant_token",
        "zone_pin_key",
        "card_cryptogram_key",
        "tls_cert_file",
        "database_url",
    ):
        assert second.ready[name] == first.ready[name]
    print(f"first start {first.seconds:.2f} s, second {second.seconds:.2f} s")  # noqa: T201 - the figures
    assert first.seconds < START_S
    assert second.seconds < RESTART_S * 3  # the machine may be loaded by other tests
    assert (await second.running.stop()).code == 0


async def test_every_option_is_taken_and_a_stale_ready_file_is_removed_first(home: Home) -> None:
    home.ready_file.write_text('{"stale": true}')
    ports = _free_ports(3)
    options = [f"--{n}-port={p}" for n, p in zip(("http", "https", "network"), ports, strict=True)]
    running = home.start(
        *("bayon", "dev", *options, "--network-profile", "bcd"),
        *("--data-dir", home.data_dir, "--ready-file", home.ready_file),
    )
    async with asyncio.timeout(START_S):
        while home.ready_file.exists() and "stale" in home.ready_file.read_text():
            assert home.postmaster is None  # it is removed before anything else
            await asyncio.sleep(0.002)
    seen: set[str] = set()
    while not home.ready_file.exists():
        seen |= {path.name for path in home.folder.glob("ready.json*")}
        await asyncio.sleep(0.001)
    ready = await until_ready(running, home.ready_file)  # whole at once: it was renamed
    assert ready["http_url"] == f"http://localhost:{ports[0]}"
    assert ready["https_url"] == f"https://localhost:{ports[1]}"
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert (await running.stop()).code == 0
    assert list(home.folder.glob("ready.json.*")) == []


async def test_an_unknown_network_profile_is_refused(home: Home) -> None:
    done = await home.bayon("dev", "--network-profile", "morse")
    assert done.code == 1
    assert "ascii-binary" in done.err
    assert not home.data_dir.exists()  # PostgreSQL was not started for nothing


async def test_https_answers_whoever_trusts_its_certificate_and_nobody_else(home: Home) -> None:
    dev = await home.dev()
    https_url = dev.ready["https_url"]
    async with dev.bank(base_url=https_url, verify=trusting(dev)) as bank:
        assert await posted(bank, PAYER) == 1_000_000
    async with httpx.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get(https_url)
    key = home.data_dir / "tls" / "server.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    await dev.running.stop()


async def test_told_to_stop_it_answers_those_who_wait_and_takes_postgresql_along(
    home: Home,
) -> None:
    dev = await home.dev()
    unpaid = {"md5": hashlib.md5(b"nobody pays this", usedforsecurity=False).hexdigest()}
    async with dev.shop() as shop, dev.bank() as bank:
        waiting = asyncio.create_task(
            shop.post("/v1/check_transaction_by_md5?wait_s=30", json=unpaid)
        )
        held = await asyncpg.connect(dev.ready["database_url"])
        async with held.transaction():
            await held.execute("LOCK TABLE payments.payment IN EXCLUSIVE MODE")
            paying = [asyncio.create_task(_pay(bank, f"held-{n}")) for n in range(5)]
            await _until_blocked(dev.ready["database_url"])
            began = time.monotonic()
            dev.running.process.send_signal(signal.SIGTERM)
            answer = await asyncio.wait_for(waiting, 5)
            assert (answer.status_code, answer.json()["errorCode"]) == (200, 1)
            assert not any(task.done() for task in paying)
        await held.close()
        answers = await asyncio.gather(*paying)
    assert [a.json()["responseCode"] for a in answers] == [0] * 5
    assert (await dev.running.ended()).code == 0
    print(f"stopped in {time.monotonic() - began:.2f} s")  # noqa: T201 - the figure
    assert time.monotonic() - began < STOP_S
    assert home.postmaster is None


async def test_an_interrupt_stops_it_too(home: Home) -> None:
    dev = await home.dev()
    done = await dev.running.stop(signal.SIGINT)
    assert done.code == 0
    assert "Traceback" not in done.err
    assert home.postmaster is None


@pytest.mark.parametrize("after_s", [0.3, 0.6])
async def test_told_to_stop_while_it_starts_it_leaves_nothing_behind(
    home: Home, after_s: float
) -> None:
    running = home.start_dev()
    await asyncio.sleep(after_s)
    if running.process.poll() is None and not home.data_dir.exists():
        async with asyncio.timeout(START_S):  # Python itself is slow to start today
            while not home.data_dir.exists():  # noqa: ASYNC110 - a folder is no Event
                await asyncio.sleep(0.001)
    done = await running.stop()
    assert (done.code, "Traceback" in done.err) == (0, False), done.err
    assert home.postmaster is None


async def test_a_port_that_is_taken_is_an_error_of_one_line_and_leaves_nothing_running(
    home: Home,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--http-port", "--https-port"):
            done = await home.start_dev(option, str(port)).ended()
            _refused(done, f"bayon: Port {port} of 127.0.0.1 cannot be listened on")
    assert home.postmaster is None
    assert not home.ready_file.exists()


async def test_of_two_that_start_on_one_port_at_once_one_is_refused(home: Home) -> None:
    port = str(_free_ports(1)[0])
    both = [
        home.start(
            "bayon",
            "dev",
            "--https-port=0",
            "--network-port=0",
            "--http-port",
            port,
            "--data-dir",
            data_dir,
        )
        for data_dir in (home.data_dir, home.folder / "other")
    ]
    async with asyncio.timeout(START_S):
        while not (ended := [r for r in both if r.process.poll() is not None]):
            assert not all("Bayon is ready" in r.out_file.read_text() for r in both)
            await asyncio.sleep(0.05)
    _refused(await ended[0].ended(), f"bayon: Port {port} of 127.0.0.1 cannot be listened on")
    (other,) = [running for running in both if running not in ended]
    assert (await other.stop()).code == 0


async def test_a_second_sandbox_on_the_same_data_is_refused_and_harms_the_first_in_nothing(
    home: Home,
) -> None:
    dev = await home.dev()
    postmaster = home.postmaster
    second = home.start("bayon", "dev", "--http-port=0", "--https-port=0", "--network-port=0")
    _refused(await second.ended(), "bayon: Another `bayon dev` runs on")
    assert home.postmaster == postmaster
    async with dev.bank() as bank:
        assert await posted(bank, PAYER) == 1_000_000
    await dev.running.stop()


async def test_every_bad_setting_is_told_at_once(home: Home) -> None:
    done = await home.start_dev(
        BAYON_HTTP_HOTS="::1", BAYON_POOL_SIZE_MAX="3", BAYON_LOG_FORMAT="poem"
    ).ended()
    assert done.code == 1
    assert done.err.splitlines() == [
        "bayon: The settings are not valid.",
        "  BAYON_HTTP_HOTS is no setting of Bayon",
        "  BAYON_LOG_FORMAT must be one of json, console",
        "  BAYON_POOL_SIZE_MAX must be at least 4",
    ]
    assert not home.data_dir.exists()


@pytest.mark.parametrize("where", ["/proc/none/ready.json", "/dev"])
async def test_a_ready_file_that_cannot_be_written_is_told_before_anything_starts(
    home: Home, where: str
) -> None:
    done = await home.start("bayon", "dev", "--ready-file", where).ended()
    _refused(done, "bayon: The ready-file cannot be written")
    assert not home.data_dir.exists()


async def test_it_is_a_module_too(home: Home) -> None:
    ports = ("--http-port=0", "--https-port=0", "--network-port=0")
    words = (sys.executable, "-m", "bayon", "dev", *ports, "--ready-file", home.ready_file)
    dev = await home.answering(home.start(*words), began=time.monotonic())
    done = await dev.running.stop()
    assert done.code == 0
    names = ("http_url", "https_url", "database_url")
    for name in (*names, "bakong_token", "participant_token", "cms_token"):
        assert dev.ready[name] in done.out


async def test_the_first_commands_it_prints_work_as_printed(home: Home) -> None:
    dev = await home.dev()
    (home.folder / ".venv/bin").mkdir(parents=True)
    (home.folder / ".venv/bin/bayon").symlink_to(sys.executable.replace("python", "bayon"))
    printed = dev.running.out_file.read_text()
    commands = printed[printed.index("  export BAKONG") : printed.index("Ctrl-C")]
    script = "\n".join(line for line in commands.splitlines() if line.startswith("  "))
    # The check before, the payment, the accounts of card holders, then the check again.
    again = script[script.index("  curl") : script.index("  curl", script.index("  curl") + 1)]
    done = await home.run("bash", "-euc", f"{script}\n{again}")
    assert done.code == 0, done.err
    answers = [json.loads(part) for part in done.out.replace("}{", "}\n{").splitlines()]
    (account,) = answers.pop(2)["data"]
    assert account["attributes"]["status"] == "active"
    assert [answer["responseCode"] for answer in answers] == [1, 0, 0]
    await dev.running.stop()


async def test_it_runs_on_a_database_of_your_own_and_leaves_it_running(
    home: Home, server: Server
) -> None:
    url = await server.clone()
    dev = await home.dev(BAYON_DATABASE_URL=url)
    assert dev.ready["database_url"] == url
    assert home.postmaster is None
    checked = await home.bayon("check", BAYON_DATABASE_URL=url)
    assert (checked.code, checked.out[:19]) == (0, "All invariants hold")
    assert (await dev.running.stop()).code == 0
    assert await query(url, "SELECT count(*) FROM payments.account") == 3
    await server.drop(url)


async def test_it_does_not_make_a_sandbox_of_a_database_that_is_in_use(
    home: Home, server: Server
) -> None:
    url = await server.clone()
    made = await home.bayon("participants", "create", "aclb", "Acleda", BAYON_DATABASE_URL=url)
    assert made.code == 0
    _refused(await home.start_dev(BAYON_DATABASE_URL=url).ended(), "bayon: This database is in use")
    assert await query(url, "SELECT count(*) FROM payments.participant") == 1
    assert await query(url, "SELECT count(*) FROM cellar.secret") == 0
    await server.drop(url)


def _refused(done: Done, begins: str) -> None:
    errors = [line for line in done.err.splitlines() if line.startswith("bayon: ")]
    assert done.code == 1, done.err
    assert [line.startswith(begins) for line in errors] == [True], done.err
    assert "Traceback" not in done.err


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [listener.getsockname()[1] for listener in taken]
    for listener in taken:
        listener.close()
    return ports


async def _pay(bank: httpx.AsyncClient, external_ref: str) -> httpx.Response:
    body = {"fromAccountId": PAYER, "toAccountId": "bridge_account@devb", "amount": 1}
    return await bank.post(
        "/participant/v1/payments", json={**body, "currency": "USD", "externalRef": external_ref}
    )


async def _until_blocked(url: str) -> None:
    async with asyncio.timeout(10):
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not await query(url, waits):  # noqa: ASYNC110 - another process's state is no Event
            await asyncio.sleep(0.02)
