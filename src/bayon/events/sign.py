"""Signing: what proves to a receiver that a delivery is ours, whole and fresh. Pure.

Two schemes by one secret of 32 letters and digits. The document's own: a bearer token, a JWT by
HS256, whose key is the text of the secret; beyond the document it names the event and binds the
body. Beside it Standard Webhooks, whose key is what the same text says as base64.
Source: Bongloy card management API, "Webhooks"; Standard Webhooks 1.0, "Signature scheme".
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final
from uuid import UUID

import jwt

from bayon.log import Secret
from bayon.seal import Sealer

ALGORITHM: Final = "HS256"
TOKEN_TTL_S: Final = 300

_USER_AGENT: Final = f"Bayon/{version('bayon')}"


def seal_secret(secret: Secret, *, endpoint_id: UUID, sealer: Sealer) -> bytes:
    """Seal an endpoint's secret, which opens at this endpoint only."""
    return sealer.seal(secret.reveal().encode(), context=_context(endpoint_id))


def open_secret(sealed: bytes, *, endpoint_id: UUID, sealer: Sealer) -> Secret:
    """Open an endpoint's secret. Errors: `BadSeal`."""
    return Secret(sealer.open(sealed, context=_context(endpoint_id)).decode())


def headers(
    bearer: Secret,
    others: Sequence[Secret] = (),
    *,
    iss: str,
    attempt_id: UUID,
    event_id: UUID,
    body: bytes,
    signed_at_s: int,
) -> dict[str, str]:
    """Write the headers of one attempt; `signed_at_s` is the real time, in seconds since 1970.

    `bearer` signs the token, which holds one signature only; it and the others sign beside it.
    """
    claims: dict[str, object] = {
        "iss": iss,
        "iat": signed_at_s,
        "exp": signed_at_s + TOKEN_TTL_S,
        "jti": str(attempt_id),
        "sub": str(event_id),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    token = jwt.encode(claims, bearer.reveal(), algorithm=ALGORITHM)
    signed = f"{event_id}.{signed_at_s}.".encode() + body
    return {
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        "Authorization": f"Bearer {token}",
        "webhook-id": str(event_id),
        "webhook-timestamp": str(signed_at_s),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in (bearer, *others)),
    }


def _signature(secret: Secret, signed: bytes) -> str:
    key = base64.b64decode(secret.reveal())
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _context(endpoint_id: UUID) -> bytes:
    return b"events.endpoint" + endpoint_id.bytes
