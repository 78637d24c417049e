"""The seed's samples: each request as printed, each answer with its shape, keys and messages."""

import hashlib
import json
from typing import Any, Final

import pytest

from bayon import payments
from bayon.db import Tx, read_clock
from bayon.money import Currency
from factories import make_qr
from sandboxes import PAYER, RECEIVER, OpenSandbox, Sandbox, envelope

QR: Final = (
    "00020101021229190015gg_hh_1980@amkb52045999530384054031685802KH5905Gg+Hh"
    "6010Phnom+Penh62100806#hello630498B8"
)
NOT_FOUND: Final = {
    "data": None,
    "errorCode": 1,
    "responseCode": 1,
    "responseMessage": "Transaction could not be found. Please check and try again.",
}
FAILED: Final = {
    "data": None,
    "errorCode": 3,
    "responseCode": 1,
    "responseMessage": "Transaction failed.",
}
TRANSACTION: Final = {
    "fromAccountId": PAYER,
    "toAccountId": RECEIVER,
    "currency": "USD",
    "amount": 1.0,
    "description": "testing bakong generator",
}
TYPES: Final = {
    "none": {},
    "json": {"Content-Type": "application/json"},
    "charset": {"Content-Type": "application/json; charset=utf-8"},
    "curl": {"Content-Type": "application/x-www-form-urlencoded"},
    "text": {"Content-Type": "text/plain"},
}
REQUESTS: Final = {
    "request_token": """
{

"email": "string",

"organization": "string",

"project": "string"

}""",
    "verify": """
{

"code": "string"

}""",
    "renew_token": """
{

"email": "string"

}""",
    "generate_deeplink_by_qr": """
{

"qr":

"QR",

"sourceInfo": {

"appIconUrl": "https://bakong.nbc.org.kh/images/logo.svg",

"appName": "Bakong",

"appDeepLinkCallback": "https://bakong.nbc.org.kh/" }

}""".replace("QR", QR),
    "check_transaction_by_md5": """
{

"md5": "d60f3db96913029a2af979a1662c1e72"

}""",
    "check_transaction_by_hash": """
{

"hash": "dcd53430d3b3005d9cda36f1fe8dedc3714ccf18f886cf5d090d36fee67ef956"

}""",
    "check_transaction_by_short_hash": """
{

"hash": "8465d722",

"amount": 1.0,

"currency": "USD"

}""",
    "check_bakong_account": """
{

"accountId": "user@bank"

}""",
}
"""Each request of the document, blanks and all."""

ANSWERS: Final[dict[str, dict[str, Any] | None]] = {
    "request_token": {
        "data": None,
        "errorCode": None,
        "responseCode": 0,
        "responseMessage": "Email has been sent",
    },
    "verify": {
        "data": None,
        "errorCode": 5,
        "responseCode": 1,
        "responseMessage": "code must have 20 characters.",
    },
    "renew_token": {
        "data": None,
        "errorCode": 10,
        "responseCode": 1,
        "responseMessage": "Not registered yet.",
    },
    "generate_deeplink_by_qr": None,
    "check_transaction_by_md5": NOT_FOUND,
    "check_transaction_by_hash": NOT_FOUND,
    "check_transaction_by_short_hash": NOT_FOUND,
    "check_bakong_account": {
        "responseCode": 1,
        "responseMessage": "Account ID not found",
        "errorCode": 11,
        "data": None,
    },
}


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("name", REQUESTS)
async def test_each_sample_request_is_answered_as_printed(
    town: Sandbox, name: str, content_type: str
) -> None:
    token = town.integrator_token if name.startswith("check_") else None
    answer = await town.ask(
        f"/v1/{name}", REQUESTS[name].encode(), token=token, headers=TYPES[content_type]
    )
    assert answer.status_code == 200
    body = envelope(answer)
    expected = ANSWERS[name]
    if expected is not None:
        assert body == expected
    else:
        assert body["data"].keys() == {"shortLink"}
        assert body["data"]["shortLink"].startswith("http://bayon.test/")
        assert body["responseMessage"] == "Getting deep link successfully"


@pytest.mark.parametrize("by", ["md5", "hash", "short_hash"])
async def test_a_real_payment_answers_the_sample_success(town: Sandbox, by: str) -> None:
    qr = make_qr(to=RECEIVER, amount_minor=100)
    paid = await town.pay(qr, description="testing bakong generator")
    asked = {
        "md5": {"md5": hashlib.md5(qr.encode(), usedforsecurity=False).hexdigest()},
        "hash": {"hash": paid["hash"]},
        "short_hash": {"hash": paid["hash"][:8], "amount": 1.0, "currency": "USD"},
    }[by]
    answer = await town.check(by, asked)
    body = envelope(answer)
    assert answer.status_code == 200
    assert (body["responseCode"], body["errorCode"]) == (0, None)
    assert body["responseMessage"] == "Getting transaction successfully."
    assert {name: body["data"][name] for name in TRANSACTION} == TRANSACTION
    assert body["data"]["hash"] == paid["hash"]
    assert len(bytes.fromhex(paid["hash"])) == 32
    assert '"amount":1.0,' in answer.text


@pytest.mark.parametrize("by", ["md5", "hash", "short_hash"])
async def test_a_failed_payment_answers_the_sample_failure(town: Sandbox, by: str) -> None:
    qr = make_qr(to=RECEIVER, amount_minor=100)
    order = {"fromAccountId": PAYER, "qr": qr, "outcome": "failed"}
    failed = (await town.simulate("payments", order)).json()
    asked = {
        "md5": {"md5": failed["md5"]},
        "hash": {"hash": failed["hash"]},
        "short_hash": {"hash": failed["hash"][:8], "amount": 1, "currency": "USD"},
    }[by]
    assert envelope(await town.check(by, asked)) == FAILED


@pytest.mark.parametrize("account", [RECEIVER, RECEIVER.upper()])
async def test_an_account_that_exists_answers_the_sample(town: Sandbox, account: str) -> None:
    answer = await town.ask(
        "/v1/check_bakong_account", {"accountId": account}, token=town.integrator_token
    )
    assert envelope(answer) == {
        "responseCode": 0,
        "responseMessage": "Account ID exists",
        "errorCode": None,
        "data": None,
    }


async def test_a_code_answers_the_sample_with_a_token(opened: OpenSandbox) -> None:
    sandbox = await opened()
    registration = {"email": "dev@shop.test", "organization": "Shop", "project": "Till"}
    await sandbox.ask("/v1/request_token", registration)
    mails = (await sandbox.get("/sandbox/v1/mail", token=sandbox.integrator_token)).json()
    code = mails["messages"][0]["text"].partition("Verification code:")[2].split()[0]
    for path, body in (("verify", {"code": code}), ("renew_token", {"email": "dev@shop.test"})):
        answer = envelope(await sandbox.ask(f"/v1/{path}", body))
        assert answer["data"].keys() == {"token"}
        assert answer["responseMessage"] == "Token has been issued"
        assert (answer["responseCode"], answer["errorCode"]) == (0, None)


async def open_sample_payee(tx: Tx) -> None:
    """Open the account of the sample's QR, at a bank of its own."""
    now = (await read_clock(tx)).now()
    amkb = await payments.add_participant(tx, code="amkb", name="AMK", now=now)
    command = payments.OpenPaymentAccount(
        participant_id=amkb.id,
        account_id="gg_hh_1980@amkb",
        name="Gg Hh",
        currencies=frozenset({Currency.USD}),
    )
    await payments.open_accounts(tx, [command], now=now)


async def test_the_sample_qr_is_paid_as_the_reading_whose_crc_holds(opened: OpenSandbox) -> None:
    sandbox = await opened()
    await sandbox.db.transaction(open_sample_payee)
    paid = await sandbox.pay(QR)
    assert (paid["toAccountId"], paid["amount"]) == ("gg_hh_1980@amkb", 168.0)
    assert paid["md5"] == "c16c64af655f344c69ef3bbf04bc1a5d"
    read = QR.replace("+", " ").encode()
    assert paid["md5"] == hashlib.md5(read, usedforsecurity=False).hexdigest()
    found = envelope(await sandbox.check("md5", {"md5": paid["md5"]}))
    assert found["data"]["hash"] == paid["hash"]
    as_printed = hashlib.md5(QR.encode(), usedforsecurity=False).hexdigest()
    assert envelope(await sandbox.check("md5", {"md5": as_printed})) == NOT_FOUND


async def test_each_deeplink_to_one_qr_is_another(town: Sandbox) -> None:
    links = {
        (await town.ask("/v1/generate_deeplink_by_qr", {"qr": QR})).json()["data"]["shortLink"]
        for _ in range(3)
    }
    assert len(links) == 3


async def test_an_expired_qr_still_gets_its_deeplink_and_a_static_one_none(town: Sandbox) -> None:
    sample = "00020101021229190015john_smith@devb5204599953038405405100.05802KH5910John Smith"
    expired = f"{sample}6010Phnom Penh993400131742249567316011317422496273166304B418"
    answer = await town.ask("/v1/generate_deeplink_by_qr", {"qr": expired})
    assert envelope(answer)["responseCode"] == 0
    static = await town.ask("/v1/generate_deeplink_by_qr", {"qr": make_qr(to=RECEIVER)})
    assert envelope(static)["errorCode"] == 2


async def test_the_sample_registration_may_be_repeated_until_it_is_verified(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened()
    for _ in range(2):
        answer = await sandbox.ask("/v1/request_token", json.loads(REQUESTS["request_token"]))
        assert envelope(answer)["responseMessage"] == "Email has been sent"
