"""What the description shows of this door: sample requests and answers, as data."""

from typing import Final

from bayon.web import TEXTS, Shown


def failed(
    error_code: int, title: str, *, status: int = 422, data: object = None, message: str = ""
) -> Shown:
    """Show what did not go well."""
    text = message or TEXTS[error_code]
    body = {"data": data, "errorCode": error_code, "responseCode": 1, "responseMessage": text}
    return Shown(status=status, title=title, body=body)


PAYMENT: Final = {
    "hash": "8465d722d7d5065f2886f0a474a4d34dc6a7855355b611836f7b6111228893e9",
    "fromAccountId": "dave@devb",
    "toAccountId": "bridge_account@devb",
    "currency": "USD",
    "amount": 1.0,
    "description": None,
    "createdDateMs": 1_605_774_370_608,
    "acknowledgedDateMs": 1_605_774_371_120,
    "trackingStatus": "SUCCESS",
    "receiverBank": "Dev Bank",
    "receiverBankAccount": None,
    "instructionRef": None,
    "externalRef": None,
    "state": "succeeded",
    "declineReason": None,
    "md5": "d60f3db96913029a2af979a1662c1e72",
}
NOT_MADE: Final = {**PAYMENT, "acknowledgedDateMs": None, "trackingStatus": None}
PAY: Final = {"fromAccountId": "dave@devb", "qr": "0002…", "outcome": "success"}
PAY_ANSWERS: Final = (
    Shown(status=200, title="The payment", body=PAYMENT),
    Shown(status=200, title="With a delay", body={**NOT_MADE, "state": "pending"}),
    failed(
        3,
        "Declined",
        data={**NOT_MADE, "state": "declined", "declineReason": "insufficient_funds"},
    ),
    failed(4, "The QR cannot be read", message="The QR's CRC (tag 63) is wrong."),
    failed(5, "The QR names no amount", message="Missing required fields."),
    failed(11, "No such account", status=404, message="Account ID not found."),
    failed(12, "No account ID"),
)
MAIL_ANSWERS: Final = (
    Shown(
        status=200,
        title="The mail",
        body={
            "messages": [
                {
                    "to": "dev@shop.test",
                    "subject": "Your Bakong Open API verification code",
                    "text": "…",
                    "sent_at": "2026-01-01T00:00:00Z",
                }
            ]
        },
    ),
)
CLOCK_ANSWERS: Final = (Shown(status=200, title="Now", body={"now": "2026-01-01T00:00:00Z"}),)
ADVANCE: Final = {"advance_s": 600}
ADVANCE_ANSWERS: Final = (
    Shown(status=200, title="Now", body={"now": "2026-01-01T00:10:00Z"}),
    failed(5, "Backwards", status=409, message="The clock moves only forward."),
)
