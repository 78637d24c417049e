"""The sandbox door: pay as anybody, read the mail, move the clock; never in production."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from bayon import web
from factories import make_qr
from sandboxes import PAYER, RECEIVER, OpenSandbox, Sandbox, envelope

SHOP: Final = "shop@wing"
PATHS: Final = [
    ("POST", "payments"),
    ("GET", "mail"),
    ("GET", "clock"),
    ("POST", "clock"),
]


async def pay(sandbox: Sandbox, qr: str, **more: object) -> httpx.Response:
    """Pay as the seed's payer."""
    return await sandbox.simulate("payments", {"fromAccountId": PAYER, "qr": qr, **more})


async def state_of(sandbox: Sandbox, payment: dict[str, Any]) -> str:
    """Look up how a payment stands."""
    state: str = await sandbox.value(
        "SELECT state FROM payments.payment WHERE hash = $1", bytes.fromhex(payment["hash"])
    )
    return state


async def eventually(sandbox: Sandbox, payment: dict[str, Any], state: str) -> None:
    """Wait until a payment stands so."""
    async with asyncio.timeout(5):
        while await state_of(sandbox, payment) != state:  # noqa: ASYNC110 - another task writes it
            await asyncio.sleep(0.02)


async def now(sandbox: Sandbox) -> datetime:
    """Read the sandbox's clock."""
    answer = await sandbox.get("/sandbox/v1/clock", token=sandbox.integrator_token)
    assert answer.json().keys() == {"now"}
    return datetime.fromisoformat(answer.json()["now"])


# Paying.


async def test_anybody_pays_at_once_and_successfully_unless_told_otherwise(town: Sandbox) -> None:
    answer = await pay(town, make_qr(to=SHOP, amount_minor=100))
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    found = await town.check("md5", {"md5": answer.json()["md5"]})
    assert envelope(found)["data"]["hash"] == answer.json()["hash"]
    theirs = {"fromAccountId": SHOP, "qr": make_qr(to=RECEIVER), "amount": 1}
    assert (await town.simulate("payments", theirs)).json()["fromAccountId"] == SHOP


async def test_a_payment_fails_when_told_to_and_frees_its_qr(town: Sandbox) -> None:
    qr = make_qr(to=SHOP, amount_minor=100)
    answer = await pay(town, qr, outcome="failed")
    assert (answer.status_code, answer.json()["state"]) == (200, "failed")
    found = envelope(await town.check("md5", {"md5": answer.json()["md5"]}))
    assert (found["errorCode"], found["responseMessage"]) == (3, "Transaction failed.")
    assert (await pay(town, qr)).json()["state"] == "succeeded"


@pytest.mark.parametrize(("outcome", "state"), [("success", "succeeded"), ("failed", "failed")])
async def test_a_delayed_payment_is_pending_until_its_time(
    town: Sandbox, outcome: str, state: str
) -> None:
    payment = (
        await pay(town, make_qr(to=SHOP, amount_minor=1), delay_s=0.3, outcome=outcome)
    ).json()
    assert (payment["state"], payment["trackingStatus"]) == ("pending", None)
    assert envelope(await town.check("md5", {"md5": payment["md5"]}))["errorCode"] == 1
    await eventually(town, payment, state)


async def test_the_clock_brings_a_delayed_payment_forward(opened: OpenSandbox) -> None:
    sandbox = await opened()
    payment = (await pay(sandbox, make_qr(to=SHOP, amount_minor=1), delay_s=86_400)).json()
    await asyncio.sleep(0.3)
    assert await state_of(sandbox, payment) == "pending"
    await sandbox.advance(86_401)
    await eventually(sandbox, payment, "succeeded")


REFUSED: Final[list[tuple[dict[str, Any], int, int]]] = [
    ({}, 422, 5),
    ({"qr": None}, 422, 5),
    ({"qr": "x"}, 422, 4),
    ({"qr": make_qr(to=SHOP)}, 422, 5),
    ({"qr": make_qr(to=SHOP), "amount": 0.001}, 422, 5),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "fromAccountId": "nobody@devb"}, 404, 11),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "fromAccountId": "nobody"}, 422, 12),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "outcome": "maybe"}, 422, 5),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "delay_s": -1}, 422, 5),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "delay_s": 86_401}, 422, 5),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "delay_s": 10**400}, 422, 5),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "delay_s": "1"}, 422, 5),
    ({"qr": make_qr(to=SHOP, amount_minor=10**12)}, 422, 3),
    ({"qr": make_qr(to="nobody@wing", amount_minor=1)}, 422, 3),
]


@pytest.mark.parametrize(("body", "status", "error_code"), REFUSED)
async def test_what_cannot_be_paid_is_a_4xx_in_the_envelope_and_moves_nothing(
    town: Sandbox, body: dict[str, Any], status: int, error_code: int
) -> None:
    count = "SELECT count(*) FROM ledger.transfer"
    before = await town.value(count)
    answer = await town.simulate("payments", {"fromAccountId": PAYER, **body})
    assert (answer.status_code, envelope(answer)["errorCode"]) == (status, error_code)
    assert await town.value(count) == before


async def test_a_qr_is_paid_once_here_too(town: Sandbox) -> None:
    qr = make_qr(to=SHOP, amount_minor=1)
    await pay(town, qr)
    answer = await pay(town, qr)
    assert (answer.status_code, envelope(answer)["errorCode"]) == (422, 3)
    assert answer.json()["data"]["declineReason"] == "qr_already_paid"


async def once(sandbox: Sandbox, body: dict[str, Any], key: str) -> httpx.Response:
    """Pay with an idempotency key."""
    headers = {"Idempotency-Key": key}
    return await sandbox.ask(
        "/sandbox/v1/payments", body, token=sandbox.integrator_token, headers=headers
    )


@pytest.mark.parametrize(("amount_minor", "status"), [(100, 200), (10**12, 422)])
async def test_a_repeat_with_the_same_key_gets_the_same_answer_and_pays_nothing(
    town: Sandbox, amount_minor: int, status: int
) -> None:
    body = {"fromAccountId": PAYER, "qr": make_qr(to=SHOP, amount_minor=amount_minor)}
    key = f"sandbox {amount_minor}"
    first = await once(town, body, key)
    payments = await town.value("SELECT count(*) FROM payments.payment")
    again = await once(town, body, key)
    assert (first.status_code, again.status_code) == (status, status)
    assert first.content == again.content
    assert await town.value("SELECT count(*) FROM payments.payment") == payments
    other = await once(town, {**body, "delay_s": 1}, key)
    assert (other.status_code, envelope(other)["errorCode"]) == (409, 5)


async def test_a_static_qr_is_paid_once_for_one_key(town: Sandbox) -> None:
    body = {"fromAccountId": PAYER, "qr": make_qr(to=SHOP), "amount": 1}
    hashes = {(await once(town, body, "static")).json()["hash"] for _ in range(3)}
    assert len(hashes) == 1


# The mail.


async def test_the_mail_that_was_not_sent_is_read_here_newest_first(opened: OpenSandbox) -> None:
    sandbox = await opened()
    for name in ("first", "second"):
        body = {"email": f"{name}@shop.test", "organization": name, "project": "Till"}
        await sandbox.ask("/v1/request_token", body)
    answer = await sandbox.get("/sandbox/v1/mail", token=sandbox.integrator_token)
    mails = answer.json()["messages"]
    assert [mail["to"] for mail in mails] == ["second@shop.test", "first@shop.test"]
    assert all(mail.keys() == {"to", "subject", "text", "sent_at"} for mail in mails)
    assert "first" in mails[1]["text"]
    assert datetime.fromisoformat(mails[0]["sent_at"]).tzinfo is not None


# The clock.


async def test_the_clock_moves_forward_for_every_process(opened: OpenSandbox) -> None:
    here, there = await opened(), await opened()
    before = await now(there)
    answer = await here.simulate("clock", {"advance_s": 600})
    assert answer.status_code == 200
    assert datetime.fromisoformat(answer.json()["now"]) - before >= timedelta(seconds=600)
    assert await now(there) - before >= timedelta(seconds=600)
    assert (await now(here)) - datetime.now(UTC) < timedelta(seconds=601)


@pytest.mark.parametrize(
    ("advance_s", "status"),
    [(0, 200), (0.5, 200), (-1, 409), (10**10, 409), (10**400, 409), (None, 422), ("1", 422)],
)
async def test_the_clock_moves_a_number_of_seconds_and_never_back(
    opened: OpenSandbox, advance_s: object, status: int
) -> None:
    sandbox = await opened()
    before = await now(sandbox)
    answer = await sandbox.simulate("clock", {"advance_s": advance_s})
    assert answer.status_code == status
    assert status == 200 or envelope(answer)["errorCode"] == 5
    assert timedelta(0) <= await now(sandbox) - before < timedelta(seconds=30)


async def test_a_qr_expires_by_the_clock(opened: OpenSandbox) -> None:
    sandbox = await opened()
    expires_at = await now(sandbox) + timedelta(minutes=10)
    qr = make_qr(to=SHOP, amount_minor=1, expires_at=expires_at)
    await sandbox.advance(601)
    answer = await pay(sandbox, qr)
    assert answer.json()["data"]["declineReason"] == "qr_expired"


# Who comes in.


async def test_any_of_three_kinds_of_token_comes_in_and_nobody_without(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened()
    issuer = web.new_token()
    at = (await sandbox.db.clock()).now()
    await sandbox.db.transaction(
        lambda tx: web.keep_token(tx, kind="issuer", owner="1", token=issuer, label="", now=at)
    )
    for method, path in PATHS:
        for token in (sandbox.integrator_token, sandbox.bank_token, issuer):
            headers = {"Authorization": f"Bearer {token}"}
            answer = await sandbox.http.request(
                method, f"/sandbox/v1/{path}", headers=headers, content=b"{}"
            )
            assert answer.status_code == (422 if method == "POST" else 200)
        for headers in ({}, {"Authorization": "Bearer x"}):
            answer = await sandbox.http.request(
                method, f"/sandbox/v1/{path}", headers=headers, content=b"{}"
            )
            assert (answer.status_code, envelope(answer)["errorCode"]) == (401, 6)
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_production_has_no_sandbox_door(opened: OpenSandbox, method: str, path: str) -> None:
    sandbox = await opened(sandbox=False)
    headers = {"Authorization": f"Bearer {sandbox.bank_token}"}
    answer = await sandbox.http.request(method, f"/sandbox/v1/{path}", headers=headers)
    assert (answer.status_code, envelope(answer)["errorCode"]) == (404, None)
    described = (await sandbox.get("/openapi.json")).json()
    assert not [path for path in described["paths"] if path.startswith("/sandbox")]


WRONG: Final[list[tuple[str, str, bytes, int]]] = [
    ("POST", "clock", b"{", 400),
    ("POST", "clock", b"[]", 400),
    ("POST", "clock", b" " * 1_048_577, 413),
    ("POST", "mail", b"{}", 405),
    ("DELETE", "clock", b"", 405),
    ("POST", "magic", b"{}", 404),
]


@pytest.mark.parametrize(("method", "path", "content", "status"), WRONG)
async def test_what_is_wrong_with_a_request_is_a_4xx_in_the_envelope(
    town: Sandbox, method: str, path: str, content: bytes, status: int
) -> None:
    headers = {"Authorization": f"Bearer {town.bank_token}"}
    answer = await town.http.request(
        method, f"/sandbox/v1/{path}", headers=headers, content=content
    )
    assert answer.status_code == status
    assert envelope(answer)["errorCode"] == (5 if status == 400 else None)
    assert ("allow" in answer.headers) is (status == 405)


async def test_the_sandbox_door_has_its_limits_too(opened: OpenSandbox) -> None:
    sandbox = await opened(rate_limit_token_per_s=1)
    while (answer := await sandbox.get("/sandbox/v1/clock", token=sandbox.bank_token)).is_success:
        pass
    assert (answer.status_code, envelope(answer)["errorCode"]) == (429, None)
    assert answer.headers["retry-after"] == "1"
