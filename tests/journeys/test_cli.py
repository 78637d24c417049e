"""The verbs of the command line, each as a process against a sandbox that runs."""

import asyncio
import hashlib
import json
import re
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import httpx
import pytest
import zxingcpp
from PIL import Image

from bayon.cli import main
from journeys.running import BAYON, PAYER, RECEIVER, Dev, Done, Home, query
from sandboxes import Server

VERBS = (
    *("dev", "serve", "migrate", "check", "config", "participants", "participants create"),
    *("participants list", "tokens", "tokens create", "tokens list", "tokens revoke"),
    *("khqr", "khqr make", "khqr read", "vault", "vault rotate", "vault new-key"),
)
KHQR = ("khqr", "make", "--account", RECEIVER, "--name", "ហាងកាហ្វេ")


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit, match="0"):
            main([*verb.split(), "--help"])
        assert capsys.readouterr().out.startswith(f"usage: bayon {verb}")
    with pytest.raises(SystemExit, match="2"):
        main([])


async def test_whoever_asks_for_help_waits_for_no_door_and_no_web_server(home: Home) -> None:
    done = await home.run(sys.executable, "-X", "importtime", "-m", "bayon", "--help")
    loaded = set(re.findall(r"\| +(\S+)$", done.err, re.MULTILINE))
    assert {"argparse", "bayon.cli.run"} <= loaded
    assert {name for name in loaded if name.startswith("bayon.")} <= {
        *("bayon.cli", "bayon.cli.run", "bayon.errors"),
    }


async def test_without_a_database_that_runs_every_verb_says_so(home: Home) -> None:
    for verb in ("migrate", "check", "tokens list"):
        _refused(await home.bayon(*verb.split()), f"No database is running on {home.data_dir}.")
    assert not home.data_dir.exists()  # verbs connect, they never start anything


async def test_migrate_brings_an_empty_database_up_to_date_once(home: Home, server: Server) -> None:
    name = f"migrate_{time.monotonic_ns()}"
    await server.run(f"CREATE DATABASE {name}")
    url = server.url.replace("/bayon?", f"/{name}?")
    unready = await home.bayon("check", BAYON_DATABASE_URL=url)
    _refused(unready, "The database's schema is not up to date: bayon migrate.")
    first = await home.bayon("migrate", BAYON_DATABASE_URL=url)
    schema = Path(__file__).parents[2] / "src/bayon/schema"
    assert first.code == 0
    assert first.out.split() == sorted(file.name for file in schema.glob("*.sql"))
    second = await home.bayon("migrate", BAYON_DATABASE_URL=url)
    assert (second.code, second.out) == (0, "The schema is up to date.\n")
    await server.drop(url)


async def test_check_says_what_is_not_true_and_fails(home: Home, server: Server) -> None:
    url = await server.clone()
    dev = await home.dev(BAYON_DATABASE_URL=url)
    await dev.running.stop()
    good = await home.bayon("check", BAYON_DATABASE_URL=url)
    assert (good.code, good.out[:19]) == (0, "All invariants hold")
    customer = "SELECT id FROM ledger.account WHERE kind = 'customer' ORDER BY id LIMIT 1"
    spoil = (
        f"UPDATE ledger.balance SET posted_minor = posted_minor + 1 WHERE account_id = ({customer})"
    )
    account = str(await query(url, customer))
    await query(url, spoil)
    bad = await home.bayon("check", BAYON_DATABASE_URL=url)
    assert bad.code == 1
    told = [line for line in bad.out.splitlines() if line.startswith("NOT TRUE: ")]
    assert told
    assert any(account in line for line in told)
    assert f"{len(told)} findings" in bad.out
    await server.drop(url)


async def test_config_shows_every_setting_but_no_secret(home: Home) -> None:
    secret, seal_key = "tell-nobody-tell-nobody-tell-nobody", "5ea1" * 16
    pin_key = "0123456789ABCDEFFEDCBA9876543210"
    secrets = {
        "BAYON_DATABASE_URL": f"postgresql://bayon:{secret}@db/bayon",
        "BAYON_BAKONG_JWT_KEY": secret,
        "BAYON_SEAL_KEYS": f"1:{seal_key}",
        "BAYON_VAULT_KEYS": f"1:{seal_key}",
        "BAYON_VAULT_LOOKUP_KEY": seal_key,
        "BAYON_PIN_VERIFICATION_KEY": pin_key,
        "BAYON_CARD_VERIFICATION_KEY": seal_key[:32],
        "BAYON_CARD_CRYPTOGRAM_KEY": seal_key[:32],
        "BAYON_ZONE_PIN_KEY": seal_key,
        "BAYON_KEY_BLOCK_KEY": pin_key,
        "BAYON_SMTP_URL": f"smtp://me:{secret}@mail",
    }
    done = await home.bayon("config", stdin=b"", BAYON_HTTP_PORT="81", **secrets)
    lines = done.out.splitlines()
    shown = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert done.code == 0
    for hidden in (secret, seal_key[:32], pin_key):
        assert hidden not in done.out
    told = dict(line.split(": ") for line in lines if line.startswith("# check value of "))
    assert [name.split("BAYON_")[1] for name in told] == [
        *("VAULT_KEYS 1", "VAULT_LOOKUP_KEY", "PIN_VERIFICATION_KEY"),
        *("CARD_VERIFICATION_KEY", "CARD_CRYPTOGRAM_KEY", "ZONE_PIN_KEY"),
        *("KEY_BLOCK_KEY (AES)", "KEY_BLOCK_KEY (DES)"),
    ]
    assert told["# check value of BAYON_PIN_VERIFICATION_KEY"] == "08D7B4"
    assert {shown[name] for name in secrets} == {"***"}
    assert (shown["BAYON_HTTP_PORT"], shown["BAYON_HTTPS_PORT"]) == ("81", "8443")


async def test_a_participant_made_here_has_accounts_at_once(shared_home: Home, dev: Dev) -> None:
    made = await shared_home.bayon("participants", "create", "aclb", "ACLEDA Bank Plc.")
    assert made.code == 0
    listed = await shared_home.bayon("participants", "list")
    assert "aclb\tACLEDA Bank Plc." in listed.out.splitlines()
    assert "devb\tDev Bank" in listed.out.splitlines()
    token = (await shared_home.bayon("tokens", "create", "--participant", "aclb")).out.strip()
    account = {"accountId": "dara@aclb", "name": "Dara", "currencies": ["KHR"]}
    answer = await _ask(dev, token, "/participant/v1/accounts", account)
    assert answer.json()["responseCode"] == 0
    again = await shared_home.bayon("participants", "create", "aclb", "Another")
    _refused(again, "This participant code is taken.")
    named = await shared_home.bayon("participants", "create", "a@b", "Another")
    _refused(named, "A participant's code is 2 to 16 lower-case letters and digits.")


@pytest.mark.parametrize(
    ("owner", "path", "body"),
    [
        (("--email", "me@shop.test"), "/v1/check_transaction_by_md5", {"md5": "0" * 32}),
        (
            ("--participant", "devb"),
            "/participant/v1/payments",
            {"fromAccountId": PAYER, "toAccountId": RECEIVER, "amount": 1, "currency": "KHR"},
        ),
    ],
)
async def test_a_revoked_token_is_refused_within_about_a_second(
    shared_home: Home, dev: Dev, owner: tuple[str, str], path: str, body: dict[str, Any]
) -> None:
    label = f"till of {owner[1]}"
    created = await shared_home.bayon("tokens", "create", *owner, "--label", label)
    token = created.out.strip()
    assert (await _ask(dev, token, path, body)).status_code == 200
    lines = (await shared_home.bayon("tokens", "list")).out.splitlines()
    (line,) = [line for line in lines if label in line]
    assert token not in "\n".join(lines)
    assert "revoked" not in line.rpartition("until")[0]
    revoked = await shared_home.bayon("tokens", "revoke", line.split("\t")[0])
    assert (revoked.code, revoked.out.startswith("Revoked")) == (0, True)
    await asyncio.sleep(1.1)
    refused = await _ask(dev, token, path, body)
    assert (refused.status_code, refused.json()["errorCode"]) == (401, 6)
    lines = (await shared_home.bayon("tokens", "list")).out.splitlines()
    assert [line.endswith("\trevoked") for line in lines if label in line] == [True]


async def test_tokens_of_one_second_are_two_and_say_whose_they_are(
    shared_home: Home, dev: Dev
) -> None:
    create = ("tokens", "create", "--email", "till@cafe.test")
    own = ("--organization", "Klaing", "--project", "Till")
    made = await asyncio.gather(*(shared_home.bayon(*create, *own) for _ in range(2)))
    first, second = [done.out.strip() for done in made]
    assert first != second
    for token in (first, second):
        answer = await _ask(dev, token, "/v1/check_transaction_by_md5", {"md5": "0" * 32})
        assert answer.status_code == 200
    await shared_home.bayon("tokens", "create", "--email", "me@domain.test")
    sql = "SELECT organization || '/' || project FROM payments.integrator WHERE email = "
    assert await query(dev.ready["database_url"], sql + "'till@cafe.test'") == "Klaing/Till"
    assert (
        await query(dev.ready["database_url"], sql + "'me@domain.test'")
        == "domain.test/domain.test"
    )


async def test_a_token_nobody_has_is_not_made_or_revoked(shared_home: Home, dev: Dev) -> None:
    assert dev
    unknown = "00000000-0000-0000-0000-000000000000"
    create = ("tokens", "create")
    _refused(
        await shared_home.bayon(*create, "--participant", "x1"), "There is no such participant."
    )
    _refused(await shared_home.bayon(*create, "--email", "nobody"), "This is no e-mail address.")
    _refused(await shared_home.bayon("tokens", "revoke", unknown), "There is no such token.")
    assert (await shared_home.bayon(*create)).code == 2


async def test_a_code_that_was_made_can_be_read_from_its_pictures_and_from_standard_input(
    home: Home,
) -> None:
    png, svg = home.folder / "qr.png", home.folder / "qr.svg"
    made = await home.bayon(
        *(*KHQR, "--amount", "12.50", "--bill-number", "INV-7", "--png", png, "--svg", svg)
    )
    qr = made.out.strip()
    with Image.open(png) as picture:
        (seen,) = zxingcpp.read_barcodes(picture)
    assert seen.text == qr
    assert ET.parse(svg).getroot().tag.endswith("svg")  # noqa: S314 - our own picture
    read = await home.bayon("khqr", "read", "-", stdin=made.out.encode())
    shown: dict[str, Any] = json.loads(read.out)
    assert shown["md5"] == hashlib.md5(qr.encode(), usedforsecurity=False).hexdigest()
    assert (shown["kind"], shown["static"], shown["amount_minor"]) == ("individual", False, 1250)
    assert (shown["merchant_name"], shown["bill_number"]) == ("ហាងកាហ្វេ", "INV-7")
    assert shown["expires_at_ms"] - shown["created_at_ms"] == 86_400_000


async def test_a_merchants_code_without_an_amount_is_static(home: Home) -> None:
    words = (*KHQR, "--merchant-id", "M-1", "--bank", "Dev Bank", "--currency", "KHR")
    made = await home.bayon(*words)
    shown: dict[str, Any] = json.loads((await home.bayon("khqr", "read", made.out.strip())).out)
    assert (shown["kind"], shown["static"], shown["amount_minor"]) == ("merchant", True, None)
    assert (shown["currency"], shown["created_at_ms"]) == ("KHR", None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("khqr", "read", "00020101021129"), "The QR's CRC (tag 63) is wrong."),
        (("khqr", "read", "\x07"), "The QR has control characters or is no valid Unicode text."),
        ((*KHQR, "--amount", "1.5", "--currency", "KHR"), "has too many decimals for KHR."),
        ((*KHQR, "--amount", ""), "The amount is not a number."),
        ((*KHQR, "--amount", "0"), "The QR's amount (tag 54) is not above zero."),
        ((*KHQR, "--merchant-id", "M-1"), "A merchant's QR wants an acquiring_bank (tag 30.02)."),
        ((*KHQR, "--png", "/none/qr.png"), "/none/qr.png: No such file or directory"),
    ],
)
def test_a_code_that_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    code = main(words)
    told = capsys.readouterr()
    _refused(Done(code=code, out=told.out, err=told.err), says)


async def test_standard_input_that_is_no_text_is_refused(home: Home) -> None:
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    done = await home.run(BAYON, "khqr", "read", "-", stdin=b"\xff\xfe\x00", **strict)
    _refused(done, "The QR has control characters or is no valid Unicode text.")


def _refused(done: Done, says: str) -> None:
    assert done.code == 1, done.out
    assert done.err.startswith("bayon: ")
    assert says in done.err
    assert len(done.err.splitlines()) == 1, done.err


async def _ask(dev: Dev, token: str, path: str, body: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=dev.url, trust_env=False) as http:
        return await http.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
