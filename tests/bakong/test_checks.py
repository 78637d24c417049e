"""Checks: what each finds, lists in their order, waiting, the account check, and browsers."""

import asyncio
import hashlib
import time
from typing import Any, Final

import httpx
import pytest

from factories import make_qr
from sandboxes import FOUR, PAYER, RECEIVER, OpenSandbox, Sandbox, envelope

ORIGIN: Final = {"Origin": "https://shop.test"}
NOBODY: Final = "d60f3db96913029a2af979a1662c1e72"
MEMBERS: Final = {
    *("hash", "fromAccountId", "toAccountId", "currency", "amount", "description"),
    *("createdDateMs", "acknowledgedDateMs", "trackingStatus", "receiverBank"),
    *("receiverBankAccount", "instructionRef", "externalRef"),
}


def md5_of(qr: str) -> str:
    """Name a QR."""
    return hashlib.md5(qr.encode(), usedforsecurity=False).hexdigest()


async def simulated(sandbox: Sandbox, qr: str, **more: object) -> dict[str, Any]:
    """Pay at the sandbox door."""
    body = {"fromAccountId": PAYER, "qr": qr, **more}
    paid: dict[str, Any] = (await sandbox.simulate("payments", body)).json()
    return paid


async def test_every_check_finds_the_same_transaction(town: Sandbox) -> None:
    qr = make_qr(to=RECEIVER, amount_minor=1_234)
    refs = {"instructionRef": "00001234", "externalRef": "DEV123456ZTH"}
    paid = await town.pay(qr, **refs)
    asked: dict[str, dict[str, object]] = {
        "md5": {"md5": md5_of(qr)},
        "hash": {"hash": paid["hash"]},
        "short_hash": {"hash": paid["hash"][:8], "amount": 12.34, "currency": "USD"},
        "instruction_ref": {"instructionRef": "00001234"},
        "external_ref": {"externalRef": "DEV123456ZTH"},
    }
    found = [envelope(await town.check(by, body))["data"] for by, body in asked.items()]
    assert found == [found[0]] * 5
    assert found[0].keys() == MEMBERS
    assert {name: found[0][name] for name in refs} == refs
    upper = await town.check("md5", {"md5": md5_of(qr).upper()})
    assert envelope(upper)["data"] == found[0]


async def test_amounts_are_numbers_and_times_are_integers(town: Sandbox) -> None:
    usd = await town.pay(make_qr(to=RECEIVER, amount_minor=100))
    answer = await town.check("hash", {"hash": usd["hash"]})
    assert '"amount":1.0,' in answer.text
    data = envelope(answer)["data"]
    for name in ("createdDateMs", "acknowledgedDateMs"):
        assert isinstance(data[name], int)
        assert abs(data[name] / 1000 - time.time()) < 60
    order = {"toAccountId": RECEIVER, "amount": 4_000, "currency": "KHR", "fromAccountId": PAYER}
    khr = envelope(await town.bank("payments", order))["data"]
    shown = envelope(await town.check("hash", {"hash": khr["hash"]}))["data"]
    assert (shown["amount"], shown["currency"]) == (4_000, "KHR")
    assert isinstance(shown["amount"], float)


NOT_IT: Final[list[dict[str, object]]] = [
    {"amount": 12.35},
    {"amount": 12},
    {"amount": 12.345},
    {"amount": -12.34},
    {"currency": "KHR"},
    {"hash": "00000000"},
    {"hash": "zzzzzzzz"},
]


@pytest.mark.parametrize("other", NOT_IT)
async def test_a_short_hash_is_found_with_its_own_amount_and_currency_only(
    town: Sandbox, other: dict[str, object]
) -> None:
    paid = await town.pay(make_qr(to=RECEIVER, amount_minor=1_234))
    asked = {"hash": paid["hash"][:8], "amount": 12.34, "currency": "USD", **other}
    assert envelope(await town.check("short_hash", asked))["errorCode"] == 1


async def test_what_is_pending_or_declined_is_not_found(town: Sandbox) -> None:
    pending = await simulated(town, make_qr(to=RECEIVER, amount_minor=1), delay_s=3_600)
    assert pending["state"] == "pending"
    poor = make_qr(to=RECEIVER, amount_minor=10**12)
    declined = (await simulated(town, poor))["data"]
    assert declined["declineReason"] == "insufficient_funds"
    for payment in (pending, declined):
        for by in ("md5", "hash"):
            assert envelope(await town.check(by, {by: payment[by]}))["errorCode"] == 1


# Lists.


async def statuses(town: Sandbox) -> dict[str, dict[str, Any]]:
    """Make one payment of each status; by the status a list shows for its MD5."""
    return {
        "SUCCESS": await town.pay(make_qr(to=RECEIVER, amount_minor=1)),
        "FAILED": await simulated(town, make_qr(to=RECEIVER, amount_minor=1), outcome="failed"),
        "STATIC_QR": await town.pay(make_qr(to=RECEIVER), amount=1),
        "NOT_FOUND": {"md5": NOBODY, "hash": NOBODY * 2},
    }


@pytest.mark.parametrize("shape", ["bare", "object"])
async def test_lists_keep_order_length_and_repeats_and_echo_what_was_asked(
    town: Sandbox, shape: str
) -> None:
    made = await statuses(town)
    texts = {
        "SUCCESS": "Transaction success",
        "FAILED": "Transaction failed.",
        "STATIC_QR": "Sorry, the system does not support static QR code.",
        "NOT_FOUND": "Transaction could not be found. Please check and try again.",
    }
    order = ("NOT_FOUND", "SUCCESS", "FAILED", "STATIC_QR", "SUCCESS", "NOT_FOUND")
    for by in ("md5", "hash"):
        asked = [made[status][by] for status in order]
        body = asked if shape == "bare" else {f"{by}List": asked}
        answer = envelope(await town.check(f"{by}_list", body))
        assert answer["responseMessage"] == "Getting transaction data successfully."
        assert [item[by] for item in answer["data"]] == asked
        found_by_hash = {"STATIC_QR": "SUCCESS"} if by == "hash" else {}
        expected = [found_by_hash.get(status, status) for status in order]
        assert [item["status"] for item in answer["data"]] == expected
        assert [item["message"] for item in answer["data"]] == [texts[s] for s in expected]
        assert all(item.keys() == {by, "status", "message", "data"} for item in answer["data"])
        for item in answer["data"]:
            assert (item["data"] is not None) is (item["status"] == "SUCCESS")
            assert item["data"] is None or item["data"].keys() == MEMBERS


@pytest.mark.parametrize("by", ["md5", "hash"])
async def test_lists_hold_up_to_fifty(town: Sandbox, by: str) -> None:
    odd = ["", "x", "Z" * 300, "a\0b", "ក", NOBODY.upper(), f" {NOBODY} "]
    for asked, error_code in (
        ([], None),
        (odd, None),
        ([NOBODY] * 50, None),
        ([NOBODY] * 51, 5),
    ):
        for body in (asked, {f"{by}List": asked}):
            answer = envelope(await town.check(f"{by}_list", body))
            assert answer["errorCode"] == error_code
            if error_code is None:
                assert [item[by] for item in answer["data"]] == asked
                assert {item["status"] for item in answer["data"]} <= {"NOT_FOUND"}
            else:
                assert answer["responseMessage"] == f"{by}List must have at most 50 members."


# Waiting.


async def test_a_waiting_check_is_answered_as_soon_as_somebody_pays(town: Sandbox) -> None:
    qr = make_qr(to=RECEIVER, amount_minor=1)
    waiting = [
        asyncio.create_task(town.check("md5?wait_s=30", {"md5": name}))
        for name in (md5_of(qr), md5_of(qr).upper(), md5_of(qr))
    ]
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in waiting)
    began = time.monotonic()
    paid = await town.pay(qr)
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert time.monotonic() - began < 2
    assert [envelope(answer)["data"]["hash"] for answer in answers] == [paid["hash"]] * 3


async def test_a_waiting_check_hears_of_a_pending_payment_and_of_a_failed_one(
    town: Sandbox,
) -> None:
    for outcome, error_code in (("success", None), ("failed", 3)):
        qr = make_qr(to=RECEIVER, amount_minor=1)
        waiting = asyncio.create_task(town.check("md5?wait_s=30", {"md5": md5_of(qr)}))
        await asyncio.sleep(0)
        await simulated(town, qr, delay_s=0.3, outcome=outcome)
        assert envelope(await asyncio.wait_for(waiting, 5))["errorCode"] == error_code


async def test_a_waiting_check_hears_of_what_another_process_did(opened: OpenSandbox) -> None:
    here, there = await opened(), await opened()
    qr = make_qr(to=RECEIVER, amount_minor=1)
    waiting = asyncio.create_task(here.check("md5?wait_s=30", {"md5": md5_of(qr)}))
    await asyncio.sleep(0.1)
    await there.pay(qr)
    assert envelope(await asyncio.wait_for(waiting, 5))["responseCode"] == 0


async def test_a_waiting_check_says_not_found_when_its_time_is_over(town: Sandbox) -> None:
    began = time.monotonic()
    answer = await town.check("md5?wait_s=1", {"md5": NOBODY})
    assert 0.9 < time.monotonic() - began < 4
    assert envelope(answer)["errorCode"] == 1


async def test_a_payment_that_was_made_keeps_nobody_waiting(town: Sandbox) -> None:
    paid = await town.pay(make_qr(to=RECEIVER, amount_minor=1))
    began = time.monotonic()
    assert envelope(await town.check("md5?wait_s=30", {"md5": paid["md5"]}))["responseCode"] == 0
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "wait_s",
    [
        "",
        "0",
        "31",
        "-1",
        "+1",
        "1.0",
        "x",
        "1e1",
        "305",
        "0305",
        "00000000000001",
        "٣",
        "9" * 4_000,
    ],
)
async def test_a_wait_that_is_no_whole_number_up_to_thirty_is_5(town: Sandbox, wait_s: str) -> None:
    asked = town.check(f"md5?wait_s={wait_s}", {"md5": NOBODY})
    answer = envelope(await asyncio.wait_for(asked, 5))
    assert answer["errorCode"] == 5
    assert answer["responseMessage"].startswith("wait_s must ")


# The account check.


@pytest.mark.parametrize("path", ["/v1/check_bakong_account", "/v1/check_account_exist"])
async def test_the_account_check_wants_a_token_unless_it_is_set_open(
    opened: OpenSandbox, path: str
) -> None:
    closed, wide = await opened(), await opened(bakong_open_account_check=True)
    body = {"accountId": PAYER}
    for token, allowed in (
        (closed.integrator_token, True),
        (closed.bank_token, False),
        ("x", False),
        (None, False),
    ):
        answer = await closed.ask(path, body, token=token)
        assert (answer.status_code == 200) is allowed
        assert envelope(answer)["errorCode"] == (None if allowed else 6)
        assert envelope(await wide.ask(path, body, token=token))["responseCode"] == 0


# Browsers, and jsdom.


PREFLIGHTS: Final = [
    "/v1/check_transaction_by_md5",
    "/v1/generate_deeplink_by_qr",
    "/participant/v1/accounts/dave@devb",
    "/sandbox/v1/clock",
]


@pytest.mark.parametrize("path", PREFLIGHTS)
async def test_a_preflight_lets_a_browser_ask_with_a_token(town: Sandbox, path: str) -> None:
    asks = {
        **ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = await town.http.options(path, headers=asks)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert {"authorization", "content-type"} <= set(allowed.split(", "))


async def test_a_browser_reads_every_answer_errors_too(opened: OpenSandbox) -> None:
    sandbox = await opened(rate_limit_address_per_s=1)

    async def ask(path: str, body: bytes = b"{}", *, token: bool = True) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {sandbox.integrator_token}"} if token else {}
        return await sandbox.http.post(path, content=body, headers={**ORIGIN, **bearer})

    check = "/v1/check_transaction_by_md5"
    answers = [
        (await ask(check), 200),
        (await ask(check, b"{"), 400),
        (await ask(check, token=False), 401),
        (await ask("/v1/nope"), 404),
        (await sandbox.http.get(check, headers=ORIGIN), 405),
        (await ask(check, b" " * 1_048_577), 413),
    ]
    while (limited := await ask(check)).status_code != 429:
        pass
    for answer, status in [*answers, (limited, 429)]:
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"]
        assert {"Retry-After", "X-Request-Id"} <= set(exposed.split(", "))
        assert answer.json().keys() == FOUR
