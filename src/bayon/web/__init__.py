"""What all HTTP doors share: access tokens, limits, the ladder of a request, the envelope."""

from bayon.web.access import (
    Access,
    Gate,
    TokenNotFound,
    Unauthorized,
    is_latest,
    keep_token,
    list_tokens,
    new_token,
    revoke_token,
)
from bayon.web.envelope import TEXTS, Answer, failure, plain, success
from bayon.web.fields import (
    BadBody,
    BadFields,
    BodyTooLarge,
    Field,
    Values,
    free_text,
    number,
    text,
    text_or_none,
)
from bayon.web.fields import read as read_fields
from bayon.web.limits import Limit, TooManyRequests
from bayon.web.openapi import describe
from bayon.web.operation import (
    BadIdempotencyKey,
    Call,
    Operation,
    Porch,
    Shown,
    UnknownPath,
    WrongMethod,
    canonical,
    headers_of,
    mount,
    send_answer,
)
from bayon.web.store import AccessKind

__all__ = [
    "TEXTS",
    "Access",
    "AccessKind",
    "Answer",
    "BadBody",
    "BadFields",
    "BadIdempotencyKey",
    "BodyTooLarge",
    "Call",
    "Field",
    "Gate",
    "Limit",
    "Operation",
    "Porch",
    "Shown",
    "TokenNotFound",
    "TooManyRequests",
    "Unauthorized",
    "UnknownPath",
    "Values",
    "WrongMethod",
    "canonical",
    "describe",
    "failure",
    "free_text",
    "headers_of",
    "is_latest",
    "keep_token",
    "list_tokens",
    "mount",
    "new_token",
    "number",
    "plain",
    "read_fields",
    "revoke_token",
    "send_answer",
    "success",
    "text",
    "text_or_none",
]
