"""The Open API's tokens: HS256 JWTs with `exp`, `iat` and `data.id`.

PyJWT makes and checks the signature; times are checked by us, against our own clock.
Source: Bakong Open API 1.0.2, sections 2.3 and 3.3 (the sample tokens, decoded).
"""

from datetime import datetime, timedelta
from typing import Final

import jwt

from bayon.log import Secret

ALGORITHM: Final = "HS256"


def make(key: Secret, *, integrator_id: str, now: datetime, ttl: timedelta) -> str:
    """Make a token that lives for `ttl`."""
    issued_at = int(now.timestamp())
    payload = {
        "exp": issued_at + int(ttl.total_seconds()),
        "iat": issued_at,
        "data": {"id": integrator_id},
    }
    # Unsorted, the header reads typ, alg: as in the document's sample.
    return jwt.encode(payload, key.reveal(), algorithm=ALGORITHM, sort_headers=False)


def signed(key: Secret, token: str) -> bool:
    """Tell whether a token carries our signature, expired or not."""
    try:
        jwt.decode(
            token,
            key.reveal(),
            algorithms=[ALGORITHM],
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except jwt.InvalidTokenError:
        return False
    return True
