"""Every error code of the seed and every HTTP code that is ours, each reached through HTTP."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import httpx
import pytest

from bayon.db import Database, migrate
from bayon.postgres import EmbeddedPostgres
from bayon.web import TEXTS
from factories import make_qr
from sandboxes import PAYER, RECEIVER, OpenSandbox, Sandbox, envelope, open_sandbox

MD5: Final = "d60f3db96913029a2af979a1662c1e72"
REGISTRATION: Final = {"email": "dev@shop.test", "organization": "Shop", "project": "Till"}
MISSING: Final = "Missing required fields."
AWAY: Final = "Cannot connect to server. Please try again later."

Ask = Callable[[Sandbox], Awaitable[httpx.Response]]


async def a_failed_payment(sandbox: Sandbox) -> httpx.Response:
    order = {"fromAccountId": PAYER, "qr": make_qr(to=RECEIVER, amount_minor=1)}
    failed = await sandbox.simulate("payments", {**order, "outcome": "failed"})
    return await sandbox.check("md5", {"md5": failed.json()["md5"]})


async def a_static_qr_that_was_paid(sandbox: Sandbox) -> httpx.Response:
    paid = await sandbox.pay(make_qr(to=RECEIVER), amount=1)
    return await sandbox.check("md5", {"md5": paid["md5"]})


async def an_address_verified_before(sandbox: Sandbox) -> httpx.Response:
    return await sandbox.ask("/v1/request_token", {**REGISTRATION, "email": "sandbox@bayon.test"})


def deeplink(qr: str) -> Ask:
    return lambda sandbox: sandbox.ask("/v1/generate_deeplink_by_qr", {"qr": qr})


def account(account_id: str) -> Ask:
    return lambda sandbox: sandbox.ask(
        "/v1/check_bakong_account", {"accountId": account_id}, token=sandbox.integrator_token
    )


def code(text: str) -> Ask:
    return lambda sandbox: sandbox.ask("/v1/verify", {"code": text})


CODES: Final[list[tuple[int, Ask, int, str]]] = [
    (
        1,
        lambda s: s.check("md5", {"md5": MD5}),
        200,
        "Transaction could not be found. Please check and try again.",
    ),
    (2, deeplink(make_qr()), 200, "Sorry, the system does not support static QR code."),
    (2, a_static_qr_that_was_paid, 200, "Sorry, the system does not support static QR code."),
    (3, a_failed_payment, 200, "Transaction failed."),
    (4, deeplink("no QR"), 200, "Error occurred on requesting deeplink from provider."),
    (
        4,
        deeplink(make_qr(amount_minor=1)[:-1] + "x"),
        200,
        "Error occurred on requesting deeplink from provider.",
    ),
    (5, lambda s: s.check("md5", {}), 200, MISSING),
    (5, lambda s: s.check("md5", {"md5": "x" * 256}), 200, "md5 must have at most 255 characters."),
    (6, lambda s: s.ask("/v1/check_transaction_by_md5", {"md5": MD5}), 401, "Unauthorized."),
    (6, code("x" * 20), 401, "Unauthorized."),
    (8, an_address_verified_before, 200, "Email has been registered already."),
    (10, lambda s: s.ask("/v1/renew_token", {"email": "no@body"}), 200, "Not registered yet."),
    (10, lambda s: s.ask("/v1/renew_token", {"email": ""}), 200, "Not registered yet."),
    (11, account("nobody@devb"), 200, "Account ID not found"),
    (11, account("user@b"), 200, "Account ID not found"),
    (11, account("_dave@devb"), 200, "Account ID not found"),
    (11, account("@devb"), 200, "Account ID not found"),
    (12, account("nobody"), 200, "Account ID is invalid"),
    (12, account("a@b@devb"), 200, "Account ID is invalid"),
    (12, account(f"{'a' * 28}@devb"), 200, "Account ID is invalid"),
    (12, account("da ve@devb"), 200, "Account ID is invalid"),
    (12, account("ដារា@devb"), 200, "Account ID is invalid"),
    (12, account(""), 200, "Account ID is invalid"),
    (12, account("a" * 100_000), 200, "Account ID is invalid"),
]


@pytest.mark.parametrize(("error_code", "ask", "status", "message"), CODES)
async def test_each_error_code_is_reached_with_its_text(
    town: Sandbox, error_code: int, ask: Ask, status: int, message: str
) -> None:
    answer = await ask(town)
    assert answer.status_code == status
    assert envelope(answer) == {
        "data": None,
        "errorCode": error_code,
        "responseCode": 1,
        "responseMessage": message,
    }


def test_the_table_reaches_every_code_but_the_two_below() -> None:
    assert {error_code for error_code, _, _, _ in CODES} | {7, 9} == set(TEXTS)


async def test_7_is_a_mail_server_that_is_not_there(opened: OpenSandbox) -> None:
    sandbox = await opened(sandbox=False)  # where no mail server is set
    answer = await sandbox.ask("/v1/request_token", REGISTRATION)
    assert answer.status_code == 200
    assert envelope(answer)["errorCode"] == 7
    assert answer.json()["responseMessage"] == "Email server has been down."


HTTP_CODES: Final[list[tuple[int, int | None, Ask]]] = [
    (200, None, lambda s: s.ask("/v1/generate_deeplink_by_qr", {"qr": make_qr(amount_minor=1)})),
    (400, 5, lambda s: s.check("md5", b"{")),
    (400, 5, lambda s: s.check("md5", ["x"])),
    (400, 5, lambda s: s.check("md5", "x")),
    (400, 5, lambda s: s.check("md5_list", "x")),
    (401, 6, lambda s: s.ask("/v1/check_transaction_by_md5", {"md5": MD5}, token="x")),
    (401, 6, lambda s: s.ask("/v1/check_transaction_by_md5", {"md5": MD5}, token=s.bank_token)),
    (404, None, lambda s: s.ask("/v1/check_transaction_by_magic", {})),
    (404, None, lambda s: s.ask("/participant/v1/magic", {})),
    (404, None, lambda s: s.ask("/integrator/v1/magic", {})),
    (404, None, lambda s: s.get("/v2/verify")),
    (405, None, lambda s: s.get("/v1/verify")),
    (405, None, lambda s: s.http.delete("/participant/v1/payments")),
    (405, None, lambda s: s.ask(f"/participant/v1/accounts/{PAYER}", {}, token=s.bank_token)),
    (405, None, lambda s: s.ask("/healthz", {})),
    (413, None, lambda s: s.check("md5", b" " * 1_048_577)),
]


@pytest.mark.parametrize(("status", "error_code", "ask"), HTTP_CODES)
async def test_each_http_code_wears_the_envelope(
    town: Sandbox, status: int, error_code: int | None, ask: Ask
) -> None:
    answer = await ask(town)
    assert answer.status_code == status
    body = envelope(answer)
    assert body["errorCode"] == error_code
    assert (body["responseCode"] == 0) is (status == 200)
    assert answer.headers["x-request-id"]
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    if status == 405:
        assert answer.headers["allow"]
        assert answer.request.method not in answer.headers["allow"].split(", ")


@pytest.mark.parametrize("setting", ["rate_limit_token_per_s", "rate_limit_address_per_s"])
async def test_429_says_when_to_come_back(opened: OpenSandbox, setting: str) -> None:
    sandbox = await opened(**{setting: 1})
    for _ in range(10):
        assert (await sandbox.check("md5", {"md5": MD5})).status_code == 200
    answer = await sandbox.check("md5", {"md5": MD5})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert envelope(answer)["errorCode"] is None


@pytest.fixture(scope="module")
async def orphan(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Sandbox]:
    """Open a sandbox and take its database away."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("orphan"))
    url = await postgres.start()
    db = await Database.connect(url)
    await migrate(db)
    await db.close()
    async with open_sandbox(url) as sandbox:
        await postgres.stop()
        yield sandbox
    await postgres.erase()


WITHOUT_A_DATABASE: Final[list[Ask]] = [
    lambda s: s.check("md5", {"md5": MD5}),
    lambda s: s.check("hash", {"hash": MD5}),
    lambda s: s.check("md5_list", [MD5]),
    lambda s: s.ask("/v1/request_token", REGISTRATION),
    lambda s: s.ask("/v1/verify", {"code": "x" * 20}),
    lambda s: s.ask("/v1/renew_token", {"email": "a@b"}),
    lambda s: s.ask("/v1/generate_deeplink_by_qr", {"qr": make_qr(amount_minor=1)}),
    lambda s: s.bank("payments", {"fromAccountId": PAYER, "qr": make_qr(amount_minor=1)}),
    lambda s: s.get(f"/participant/v1/accounts/{PAYER}", token=s.bank_token),
]


@pytest.mark.parametrize("ask", WITHOUT_A_DATABASE)
async def test_9_with_http_500_is_a_database_that_is_away(orphan: Sandbox, ask: Ask) -> None:
    answer = await ask(orphan)
    assert answer.status_code == 500
    assert envelope(answer)["errorCode"] == 9
    assert answer.json()["responseMessage"] == AWAY


async def test_what_needs_no_database_is_answered_without_one(orphan: Sandbox) -> None:
    assert (await orphan.get("/healthz")).status_code == 200
    assert (await orphan.get("/readyz")).status_code == 503
    assert (await orphan.ask("/v1/check_transaction_by_md5", {"md5": MD5})).status_code == 401
    assert (await orphan.ask("/v1/verify", b"")).status_code == 400


async def test_a_bug_is_answered_9_without_a_word_about_it(opened: OpenSandbox) -> None:
    sandbox = await opened()
    await sandbox.db.transaction(lambda tx: tx.run("DROP TABLE payments.deeplink"))
    answer = await sandbox.ask("/v1/generate_deeplink_by_qr", {"qr": make_qr(amount_minor=1)})
    assert answer.status_code == 500
    assert envelope(answer) == {
        "data": None,
        "errorCode": 9,
        "responseCode": 1,
        "responseMessage": AWAY,
    }
