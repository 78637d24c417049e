"""PyPI's `bakong-khqr`, unmodified, over HTTPS: what a shop does with it."""

import json
import sys
from typing import Any

import pytest

from journeys.running import PAYER, RECEIVER, Dev, Home

SHOP = """
import json, sys
from bakong_khqr import KHQR

url, token, account, md5s = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
khqr = KHQR(token)
khqr._KHQR__bakong_api = url + "/v1"
qr = khqr.create_qr(
    account_id=account, merchant_name="Coffee Klaing", merchant_city="Phnom Penh", amount=9800,
    currency="KHR", store_label="Shop", phone_number="85512345678", bill_number="INV-" + token[-4:],
    terminal_label="Till-1",
)
md5 = khqr.generate_md5(qr)
print(json.dumps({
    "qr": str(qr),
    "md5": md5,
    "link": khqr.generate_deeplink(
        qr, appDeepLinkCallback="https://shop.test/done", appName="Shop",
        appIconUrl="https://shop.test/icon.png",
    ),
    "now": khqr.check_payment(md5),
    "then": [khqr.check_payment(md5) for md5 in md5s],
    "payments": [khqr.get_payment(md5) for md5 in md5s],
    "paid": khqr.check_bulk_payments([md5, *md5s]),
}))
"""


async def test_a_shop_sees_its_code_unpaid_and_then_paid(home: Home, dev: Dev) -> None:
    first = await _shop(home, dev)
    assert first["now"] == "UNPAID"
    assert first["link"].startswith(dev.ready["https_url"] + "/")
    assert (first["paid"], first["payments"]) == ([], [])
    async with dev.bank() as bank:
        body = {"fromAccountId": PAYER, "qr": first["qr"], "description": "Iced coffee"}
        answer = (await bank.post("/participant/v1/payments", json=body)).json()
    assert answer["responseCode"] == 0
    then = await _shop(home, dev, first["md5"])
    assert then["then"] == ["PAID"]
    (payment,) = then["payments"]
    shown = {"fromAccountId": PAYER, "toAccountId": RECEIVER, "currency": "KHR", "amount": 9800.0}
    assert shown.items() <= payment.items()
    assert (payment["hash"], payment["description"]) == (answer["data"]["hash"], "Iced coffee")
    assert then["paid"] == [first["md5"]]


@pytest.mark.parametrize(("token", "says"), [("wrong", "Unauthorized"), ("", "Token is required")])
async def test_a_shop_with_a_bad_token_is_told(home: Home, dev: Dev, token: str, says: str) -> None:
    script = "khqr = __import__('bakong_khqr').KHQR(__import__('sys').argv[2])\n"
    script += "khqr._KHQR__bakong_api = __import__('sys').argv[1] + '/v1'\n"
    script += "print(khqr._KHQR__post_request('/check_transaction_by_md5', {'md5': '0' * 32}))"
    words = (sys.executable, "-c", script, dev.ready["https_url"], token)
    done = await home.run(*words, stdin=b"", SSL_CERT_FILE=dev.ready["tls_cert_file"])
    assert says in done.out + done.err


async def test_a_shop_that_does_not_trust_the_certificate_gets_no_answer(
    home: Home, dev: Dev
) -> None:
    words = (sys.executable, "-c", SHOP, dev.ready["https_url"], dev.ready["bakong_token"])
    done = await home.run(*words, RECEIVER)
    assert done.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in done.err


async def _shop(home: Home, dev: Dev, *md5s: str) -> dict[str, Any]:
    words = (sys.executable, "-c", SHOP, dev.ready["https_url"], dev.ready["bakong_token"])
    trust = {"SSL_CERT_FILE": dev.ready["tls_cert_file"]}
    done = await home.run(*words, RECEIVER, *md5s, stdin=b"", **trust)
    assert done.code == 0, done.err
    return json.loads(done.out)
