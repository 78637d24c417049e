"""What the description shows: the sample requests and answers of the documents, as data.

Source: Bakong Open API 1.0.2, the sample of each section; the live service for later members.
"""

from collections.abc import Mapping
from typing import Final

from bayon.web import TEXTS, Shown

_MD5: Final = "d60f3db96913029a2af979a1662c1e72"
_HASH: Final = "8465d722d7d5065f2886f0a474a4d34dc6a7855355b611836f7b6111228893e9"
_TOKEN: Final = {"token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.<payload>.<signature>"}

NULLABLE: Final = frozenset(
    {
        *("description", "receiverBank", "receiverBankAccount", "instructionRef", "externalRef"),
        *("md5", "declineReason", "trackingStatus", "disabledReason"),
    }
)
"""What a payment, or a callback, may be without."""


def shown(data: object, message: str, *, title: str = "Success") -> Shown:
    """Show what went well."""
    body = {"data": data, "errorCode": None, "responseCode": 0, "responseMessage": message}
    return Shown(status=200, title=title, body=body, nullable=NULLABLE)


def failed(
    error_code: int | None, title: str, *, status: int = 200, message: str | None = None
) -> Shown:
    """Show what did not."""
    text = message or TEXTS[error_code or 0]
    body = {"data": None, "errorCode": error_code, "responseCode": 1, "responseMessage": text}
    return Shown(status=status, title=title, body=body)


def declined(reason: str, message: str, payment: Mapping[str, object] | None = None) -> Shown:
    """Show a decline: error 3 with its reason, and with the payment where there is one."""
    data = {**(payment or {}), "declineReason": reason}
    body = {"data": data, "errorCode": 3, "responseCode": 1, "responseMessage": message}
    return Shown(status=200, title=f"Declined: {reason}", body=body, nullable=NULLABLE)


TRANSACTION: Final = {
    "hash": _HASH,
    "fromAccountId": "rieu_dhqj_1984@devb",
    "toAccountId": "bridge_account@devb",
    "currency": "USD",
    "amount": 1.0,
    "description": "testing bakong generator",
    "createdDateMs": 1_605_774_370_608,
    "acknowledgedDateMs": 1_605_774_371_120,
    "trackingStatus": "SUCCESS",
    "receiverBank": "Dev Bank",
    "receiverBankAccount": None,
    "instructionRef": None,
    "externalRef": None,
}

REQUEST_TOKEN: Final = {"email": "string", "organization": "string", "project": "string"}
REQUEST_TOKEN_ANSWERS: Final = (
    shown(None, "Email has been sent"),
    failed(7, "Mail server is down"),
    failed(8, "Registered already"),
    failed(5, "No address", message="email is not an address mail can be sent to."),
)
VERIFY: Final = {"code": "aB3dE5gH7jK9mN1pQ2sT"}
VERIFY_ANSWERS: Final = (
    shown(_TOKEN, "Token has been issued"),
    failed(6, "The code does not work", status=401),
)
RENEW_TOKEN: Final = {"email": "string"}
RENEW_TOKEN_ANSWERS: Final = (
    shown(_TOKEN, "Token has been issued"),
    failed(10, "Not registered yet"),
    failed(6, "Not the bearer of the latest token", status=401),
)
DEEPLINK: Final = {
    "qr": "00020101021229190015gg_hh_1980@amkb52045999530384054031685802KH5905Gg+Hh"
    "6010Phnom+Penh62100806#hello630498B8",
    "sourceInfo": {
        "appIconUrl": "https://bakong.nbc.org.kh/images/logo.svg",
        "appName": "Bakong",
        "appDeepLinkCallback": "https://bakong.nbc.org.kh/",
    },
}
DEEPLINK_ANSWERS: Final = (
    shown(
        {"shortLink": "https://bakongsit.page.link/dGZAr1McBs1UaNmH9"},
        "Getting deep link successfully",
    ),
    failed(2, "A static QR"),
    failed(4, "The QR cannot be read"),
)
CHECKS: Final[dict[str, object]] = {
    "md5": {"md5": _MD5},
    "hash": {"hash": "dcd53430d3b3005d9cda36f1fe8dedc3714ccf18f886cf5d090d36fee67ef956"},
    "short_hash": {"hash": "8465d722", "amount": 1.0, "currency": "USD"},
    "instruction_ref": {"instructionRef": "00001234"},
    "external_ref": {"externalRef": "DEV123456ZTH"},
}
_CHECKED: Final = (
    shown(TRANSACTION, "Getting transaction successfully."),
    failed(3, "Failed"),
    failed(1, "Not found"),
)
CHECK_ANSWERS: Final[dict[str, tuple[Shown, ...]]] = {
    **dict.fromkeys(CHECKS, _CHECKED),
    "md5": (*_CHECKED, failed(2, "The MD5 is a static QR's")),
}
LISTS: Final[dict[str, object]] = {"md5": [_MD5], "hash": [_HASH]}
_LISTED: Final = (
    ("SUCCESS", "Transaction success", TRANSACTION),
    ("NOT_FOUND", TEXTS[1], None),
    ("FAILED", TEXTS[3], None),
)
_STATIC: Final = ("STATIC_QR", TEXTS[2], None)
LIST_ANSWERS: Final = {
    name: (
        shown(
            [
                {name: value, "status": status, "message": text, "data": data}
                for status, text, data in listed
            ],
            "Getting transaction data successfully.",
        ),
    )
    for name, value, listed in (("md5", _MD5, (*_LISTED, _STATIC)), ("hash", _HASH, _LISTED))
}
ACCOUNT: Final = {"accountId": "user@bank"}
ACCOUNT_ANSWERS: Final = (
    shown(None, "Account ID exists"),
    failed(11, "Not found"),
    failed(12, "Invalid"),
)

PUT_CALLBACK: Final = {"url": "https://shop.example/bakong"}
_NO_CALLBACK: Final = failed(1, "None is set", message="No callback is set.")
PUT_CALLBACK_ANSWERS: Final = (
    shown({**PUT_CALLBACK, "signingSecret": "Zp3mK9vQ1xT7cR5nB2wL8yH4gF6dJ0sA"}, "Callback is set"),
    failed(5, "The URL is not allowed", message="url must be https, to a public address."),
)
GET_CALLBACK_ANSWERS: Final = (
    shown(
        {
            **PUT_CALLBACK,
            "enabled": True,
            "disabledReason": None,
            "createdDateMs": 1_605_774_370_608,
            "updatedDateMs": 1_605_774_370_608,
        },
        "Getting callback successfully",
    ),
    _NO_CALLBACK,
)
DELETE_CALLBACK_ANSWERS: Final = (shown(None, "Callback has been deleted"), _NO_CALLBACK)

STATEMENT: Final = {
    "accountId": "dara@devb",
    "name": "Dara",
    "balances": [{"currency": "USD", "available": 100.0, "posted": 100.0}],
}
OWN_PAYMENT: Final = {**TRANSACTION, "state": "succeeded", "declineReason": None, "md5": _MD5}
DECLINED: Final = declined(
    "insufficient_funds",
    "The funds are not sufficient.",
    {**OWN_PAYMENT, "trackingStatus": None, "state": "declined"},
)
OWN: Final = (failed(11, "Not your account"), failed(12, "No account ID"))
OPEN_ACCOUNT: Final = {"accountId": "dara@devb", "name": "Dara", "currencies": ["USD", "KHR"]}
OPEN_ACCOUNT_ANSWERS: Final = (
    shown(STATEMENT, "Account has been opened"),
    failed(5, "Taken", message="This account ID is taken."),
    failed(12, "Not an account ID of yours"),
)
ACCOUNT_READ_ANSWERS: Final = (shown(STATEMENT, "Getting account successfully"), *OWN)
DEPOSIT: Final = {
    "accountId": "dara@devb",
    "amount": 100.0,
    "currency": "USD",
    "externalRef": "cash-0001",
}
DEPOSIT_ANSWERS: Final = (
    shown(STATEMENT, "Deposit has been made"),
    declined("wrong_currency", "The currency is not the account's or not the QR's."),
    declined("amount_out_of_range", "The amount is out of range."),
    *OWN,
)
PAY: Final = {
    "fromAccountId": "dave@devb",
    "qr": DEEPLINK["qr"],
    "description": "testing bakong generator",
    "externalRef": "DEV123456ZTH",
}
PAY_ANSWERS: Final = (
    shown(OWN_PAYMENT, "Payment has been made"),
    DECLINED,
    failed(4, "The QR cannot be read"),
    failed(5, "Neither the QR nor you name an amount"),
    *OWN,
)
PAYMENTS_ANSWERS: Final = (
    shown({"payments": [OWN_PAYMENT], "next": None}, "Getting payments successfully"),
    failed(12, "No account ID"),
)
REFUND: Final = {"hash": _HASH}
REFUND_ANSWERS: Final = (
    shown({**OWN_PAYMENT, "trackingStatus": "REFUNDED_BY_RECEIVER"}, "Payment has been refunded"),
    failed(1, "Not found, or not received by you"),
    failed(3, "It did not succeed", message="Only a payment that succeeded can be refunded."),
    declined("insufficient_funds", "The funds are not sufficient.", OWN_PAYMENT),
)
