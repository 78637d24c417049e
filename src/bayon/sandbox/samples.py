"""What the description shows of this door: sample requests and answers, as data."""

from typing import Final

from bayon.web import TEXTS, Shown


def failed(
    error_code: int | None, title: str, *, status: int = 422, data: object = None, message: str = ""
) -> Shown:
    """Show what did not go well."""
    text = message or TEXTS[error_code or 0]
    body = {"data": data, "errorCode": error_code, "responseCode": 1, "responseMessage": text}
    return Shown(status=status, title=title, body=body, nullable=NULLABLE)


NULLABLE: Final = frozenset(
    {
        *("description", "receiverBank", "receiverBankAccount", "instructionRef", "externalRef"),
        *("md5", "declineReason", "trackingStatus", "rejection_reason"),
    }
)
"""What a payment or a cardholder may be without."""


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
    Shown(status=200, title="The payment", body=PAYMENT, nullable=NULLABLE),
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

_CARD: Final = "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d11"
_TRANSACTION: Final = "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d12"
IMPORT: Final = {
    "account_id": "<an account's id>",
    "pan": "9116000012345676",
    "exp_month": 12,
    "exp_year": 2030,
    "pin": "5279",
}
IMPORT_ANSWERS: Final = (
    Shown(
        status=200,
        title="The card",
        body={"card_id": _CARD, "last_four": "5676", "status": "active"},
    ),
    failed(None, "No such account", status=404, message="There is no such account."),
    failed(5, "No card number", message="A card number has twelve to nineteen digits."),
    failed(5, "Taken", status=409, message="There is a card of this number already."),
)
CARD_ANSWERS: Final = (
    Shown(
        status=200,
        title="The card",
        body={
            "card_id": _CARD,
            "pan": "9116000012345676",
            "exp_month": 12,
            "exp_year": 2030,
            "cvv2": "123",
        },
    ),
    failed(None, "No such card", status=404, message="There is no such card."),
)
AUTHORIZE: Final = {
    "card_id": "<a card's id>",
    "amount": 1_000,
    "currency": "USD",
    "type": "purchase",
    "merchant": {"name": "Rocket Rides", "city": "Phnom Penh", "country": "KH", "mcc": "4121"},
}
AUTHORIZE_ANSWERS: Final = (
    Shown(
        status=200,
        title="Approved",
        body={
            "approved": True,
            "decline_reason": None,
            "response_code": "00",
            "transaction_id": _TRANSACTION,
        },
    ),
    Shown(
        status=200,
        title="Declined",
        body={
            "approved": False,
            "decline_reason": "insufficient_funds",
            "response_code": "51",
            "transaction_id": _TRANSACTION,
        },
    ),
    failed(None, "No such card", status=404, message="There is no such card."),
)
CLEAR: Final = {"amount": 1_000, "final": True}
CLEAR_ANSWERS: Final = (
    Shown(
        status=200,
        title="Settled",
        body={"transaction_id": _TRANSACTION, "status": "settled", "amount": 1_000},
    ),
    failed(None, "No such transaction", status=404, message="There is no such transaction."),
    failed(5, "Not pending", status=409, message="The transaction is not pending."),
)
REVIEW: Final = {"decision": "approve"}
REVIEW_ANSWERS: Final = (
    Shown(
        status=200,
        title="Accepted",
        body={"cardholder_id": _CARD, "status": "active", "rejection_reason": None},
    ),
    Shown(
        status=200,
        title="Rejected",
        body={"cardholder_id": _CARD, "status": "rejected", "rejection_reason": "blurred photo"},
    ),
    failed(None, "No such cardholder", status=404, message="There is no such cardholder."),
)
CHANGE_ANSWERS: Final = (
    Shown(
        status=200,
        title="As it is now",
        body={"transaction_id": _TRANSACTION, "status": "reversed", "amount": 1_000},
    ),
    failed(None, "No such transaction", status=404, message="There is no such transaction."),
    failed(5, "Not pending", status=409, message="The transaction is not pending."),
)
PRESENT: Final = {"card_id": "<a card's id>", "amount": 1_000}
PRESENT_ANSWERS: Final = (
    Shown(
        status=200,
        title="Settled",
        body={"transaction_id": _TRANSACTION, "status": "settled", "amount": 1_000},
    ),
    failed(None, "No such card", status=404, message="There is no such card."),
    failed(5, "Out of range", message="amount is out of range."),
)
