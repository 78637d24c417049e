"""The Open API's dialect: its table from errors and declines to error codes. Pure.

Source: Bakong Open API 1.0.2, "Status Code"; design for where it is silent.
"""

from typing import Final

from bayon.batch import KeyReused
from bayon.errors import BayonError, Conflict, Denied, Invalid, NotFound, Unavailable
from bayon.money import BadAmount
from bayon.payments import (
    AccountExists,
    AccountNotFound,
    AmountMissing,
    BadAccountId,
    BadCode,
    CallbackNotFound,
    Decline,
    DeeplinkNotFound,
    EmailTaken,
    NotRefundable,
    NotRegistered,
    PaymentNotFound,
)
from bayon.payments.khqr import BadQR
from bayon.web import (
    Answer,
    BadBody,
    BadFields,
    BadIdempotencyKey,
    BodyTooLarge,
    Call,
    TooManyRequests,
    Unauthorized,
    UnknownPath,
    WrongMethod,
    failure,
    headers_of,
)


class StaticQr(Invalid):
    """Sorry, the system does not support static QR code."""

    code = "static_qr"


class BadEmail(Invalid):
    """email is not an address mail can be sent to."""

    code = "bad_email"


class MailDown(Unavailable):
    """Email server has been down."""

    code = "mail_down"


OWN_TEXT: Final = "own"
CODE_TEXT: Final = "code"

ERRORS: Final[dict[type[BayonError], tuple[int | None, int, str]]] = {
    # error: (error code, HTTP status, whose text)
    Unauthorized: (6, 401, CODE_TEXT),
    BadCode: (6, 401, CODE_TEXT),
    Denied: (6, 401, CODE_TEXT),
    BadBody: (5, 400, OWN_TEXT),
    BadIdempotencyKey: (5, 400, OWN_TEXT),
    BodyTooLarge: (None, 413, OWN_TEXT),
    UnknownPath: (None, 404, OWN_TEXT),
    DeeplinkNotFound: (None, 404, OWN_TEXT),
    WrongMethod: (None, 405, OWN_TEXT),
    TooManyRequests: (None, 429, OWN_TEXT),
    BadFields: (5, 200, OWN_TEXT),
    BadEmail: (5, 200, OWN_TEXT),
    AmountMissing: (5, 200, CODE_TEXT),
    BadAmount: (5, 200, OWN_TEXT),
    BadQR: (4, 200, CODE_TEXT),
    StaticQr: (2, 200, CODE_TEXT),
    PaymentNotFound: (1, 200, CODE_TEXT),
    CallbackNotFound: (1, 200, OWN_TEXT),
    MailDown: (7, 200, CODE_TEXT),
    EmailTaken: (8, 200, CODE_TEXT),
    NotRegistered: (10, 200, CODE_TEXT),
    AccountNotFound: (11, 200, CODE_TEXT),
    BadAccountId: (12, 200, OWN_TEXT),
    AccountExists: (5, 200, OWN_TEXT),
    NotRefundable: (3, 200, OWN_TEXT),
    KeyReused: (5, 200, OWN_TEXT),
    Unavailable: (9, 500, CODE_TEXT),
    Invalid: (5, 200, OWN_TEXT),
    NotFound: (1, 200, CODE_TEXT),
    Conflict: (5, 200, OWN_TEXT),
}
"""Every error this door can meet; one that is not named here is as its family."""

DECLINES: Final[dict[Decline, str]] = {
    Decline.QR_EXPIRED: "The QR has expired.",
    Decline.UNKNOWN_ACCOUNT: "The receiving account does not exist.",
    Decline.SAME_ACCOUNT: "The paying and the receiving account are the same.",
    Decline.WRONG_CURRENCY: "The currency is not the account's or not the QR's.",
    Decline.AMOUNT_DIFFERS: "The amount differs from the QR's.",
    Decline.AMOUNT_OUT_OF_RANGE: "The amount is out of range.",
    Decline.QR_ALREADY_PAID: "The QR has been paid already.",
    Decline.INSUFFICIENT_FUNDS: "The funds are not sufficient.",
}
"""What a declined payment's answer says; its error code is 3."""


def refuse(error: BayonError) -> Answer:
    """Translate an error to the envelope."""
    family = next((kind for kind in type(error).__mro__ if kind in ERRORS), None)
    error_code, status, whose = ERRORS[family] if family else (9, 500, CODE_TEXT)
    body = failure(error_code, error.message if whose == OWN_TEXT else None)
    return Answer(body=body, status=status, headers=headers_of(error))


def owner_of(call: Call) -> str:
    """Tell whose token let the call in."""
    assert call.access is not None
    return call.access.owner
