"""Bakong's envelope: four keys around every answer of the doors that speak its dialect.

Source: Bakong Open API 1.0.2, "Status Code"; codes 11 and 12 from its section 8 and later versions.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

TEXTS: Final = {
    1: "Transaction could not be found. Please check and try again.",
    2: "Sorry, the system does not support static QR code.",
    3: "Transaction failed.",
    4: "Error occurred on requesting deeplink from provider.",
    5: "Missing required fields.",
    6: "Unauthorized.",
    7: "Email server has been down.",
    8: "Email has been registered already.",
    9: "Cannot connect to server. Please try again later.",
    10: "Not registered yet.",
    11: "Account ID not found",
    12: "Account ID is invalid",
}
"""What each error code says, unless something more exact is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    media_type: str = "application/json"


def success(data: object, message: str) -> bytes:
    """Wrap what went well."""
    return msgspec.json.encode(
        {"data": data, "errorCode": None, "responseCode": 0, "responseMessage": message}
    )


def failure(error_code: int | None, message: str | None = None, data: object = None) -> bytes:
    """Wrap what did not; the text is the code's own unless another is given."""
    text = message or TEXTS.get(error_code or 0, "")
    return msgspec.json.encode(
        {"data": data, "errorCode": error_code, "responseCode": 1, "responseMessage": text}
    )


def plain(body: object) -> Answer:
    """Answer with plain JSON, without the envelope."""
    return Answer(body=msgspec.json.encode(body))
