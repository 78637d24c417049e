"""A shop's bank and the issuer's host, each a process: one card's day, on every wire."""

import json
from typing import Any

import httpx
import pytest

from bayon.network.profile import SHIPPED
from journeys.running import Dev, Done, Home
from said import never_say

PAN = "4242424242424242"
PIN = "4826"


async def imported(dev: Dev) -> None:
    """Take over a card with a number and a PIN that are known."""
    never_say("a card number", PAN)
    headers = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    async with httpx.AsyncClient(base_url=dev.url, headers=headers, trust_env=False) as issuer:
        (account,) = (await issuer.get("/v1/accounts")).json()["data"]
        body = {
            "account_id": account["id"],
            "pan": PAN,
            "exp_month": 12,
            "exp_year": 2050,
            "pin": PIN,
        }
        (await issuer.post("/sandbox/v1/cards", json=body)).raise_for_status()


@pytest.mark.parametrize("profile", SHIPPED)
async def test_a_cards_day(home: Home, profile: str) -> None:
    dev = await home.dev("--network-profile", profile)
    await imported(dev)

    async def ask(verb: str, *words: str, code: int = 0, pin: str = PIN) -> dict[str, Any]:
        done: Done = await home.bayon(
            *("acquirer", verb, "--json", "--profile", profile, "--ready-file", home.ready_file),
            *words,
            ACQUIRER_PAN=PAN,
            ACQUIRER_PIN=pin,
        )
        assert done.code == code, done
        assert PAN not in done.out + done.err
        told: dict[str, Any] = json.loads(done.out)
        return told

    async def balances() -> list[int]:
        return [each["minor"] for each in (await ask("inquire"))["balances"]]

    paid = await ask("purchase", "--amount=12.34")
    assert await balances() == [100_00, 87_66]
    word = f"--original={paid['original']}"
    await ask("reverse", word, "--amount=2.34", "--repeat=2")
    assert await balances() == [100_00, 90_00]
    await ask("increment", word, "--amount=5")
    assert await balances() == [100_00, 85_00]
    completed = await ask("complete", word, "--amount=11", "--repeat=1")
    assert completed["rrn"] == paid["rrn"]
    assert await balances() == [89_00, 89_00]
    drawn = await ask("withdraw", "--amount=20", "--pin")
    assert [each["minor"] for each in drawn["balances"]] == await balances()
    await ask("reverse", f"--original={drawn['original']}", "--advice")
    assert await balances() == [89_00, 89_00]
    partly = await ask("purchase", "--amount=100", "--partial")
    assert (partly["response_code"], await balances()) == ("10", [89_00, 0])
    declined = await ask("purchase", "--amount=0.01", code=1)
    assert (declined["response_code"], declined["meaning"]) == ("51", "insufficient funds")
    assert (await ask("withdraw", "--amount=1", "--pin", pin="1379", code=1))[
        "response_code"
    ] == "55"
    for counter, code, response in ((1, 0, "85"), (1, 1, "59"), (2, 0, "85")):
        verified = await ask("verify", "--chip", f"--atc={counter}", code=code)
        assert (verified["response_code"], verified["chip_believes"]) == (response, True)
    assert (await ask("verify", "--exp=5012"))["response_code"] == "85"
    for verb, response in (("sign-off", "00"), ("sign-on", "00"), ("echo", "00")):
        assert (await ask(verb))["response_code"] == response
    loaded = await ask("load", "--what=verify", "--seconds=0.3", "--links=2", "--in-flight=8")
    assert set(loaded["codes"]) == {"85"}
    assert (loaded["unanswered"], loaded["strange"]) == (0, 0)
