"""Signatures: two schemes by one secret, each verified as a receiver would, without our code."""

import base64
import hashlib
import hmac
import json
import time
from uuid import UUID

import jwt
import pytest

from bayon.events.sign import headers, open_secret, seal_secret
from bayon.ids import uuid7
from bayon.log import Secret
from bayon.seal import BadSeal, Sealer

NEW = "abcdefghijklmnopqrstuvwxyz012345"
OLD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ678901"
BODY = '{"data":{"id":"1","name":"សុខ"}}'.encode()
EVENT_ID = UUID("019a0000-0000-7000-8000-000000000001")
ATTEMPT_ID = UUID("019a0000-0000-7000-8000-000000000002")
SEALER = Sealer({1: bytes(32)})


def signed(*others: str, at_s: int | None = None, iss: str = "Bongloy") -> dict[str, str]:
    return headers(
        Secret(NEW),
        [Secret(other) for other in others],
        iss=iss,
        attempt_id=ATTEMPT_ID,
        event_id=EVENT_ID,
        body=BODY,
        signed_at_s=int(time.time()) if at_s is None else at_s,
    )


def token(of: dict[str, str]) -> str:
    return of["Authorization"].removeprefix("Bearer ")


def standard(secret: str, of: dict[str, str], body: bytes) -> str:
    """Sign as Standard Webhooks says: base64 of the HMAC of `id.timestamp.body`."""
    key = base64.b64decode(secret)
    content = f"{of['webhook-id']}.{of['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def test_the_token_is_the_documents_and_binds_event_and_body() -> None:
    sent = signed(at_s=1_800_000_000)
    part = token(sent).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims == {
        "iss": "Bongloy",
        "iat": 1_800_000_000,
        "exp": 1_800_000_300,
        "jti": str(ATTEMPT_ID),
        "sub": str(EVENT_ID),
        "body_sha256": hashlib.sha256(BODY).hexdigest(),
    }
    assert jwt.get_unverified_header(token(sent)) == {"alg": "HS256", "typ": "JWT"}


def test_a_jwt_library_verifies_the_token_as_the_documents_snippet_does() -> None:
    verified = jwt.decode(token(signed()), NEW, algorithms=["HS256"], issuer="Bongloy")
    assert verified["iss"] == "Bongloy"


@pytest.mark.parametrize(
    ("key", "issuer", "age_s"), [(OLD, "Bongloy", 0), (NEW, "Other", 0), (NEW, "Bongloy", 301)]
)
def test_another_key_another_issuer_and_an_old_token_fail(
    key: str, issuer: str, age_s: int
) -> None:
    sent = token(signed(at_s=int(time.time()) - age_s))
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(sent, key, algorithms=["HS256"], issuer=issuer)


def test_the_issuer_is_a_setting() -> None:
    sent = token(signed(iss="Sala"))
    assert jwt.decode(sent, NEW, algorithms=["HS256"], issuer="Sala")["iss"] == "Sala"


def test_the_standard_signature_is_that_of_the_same_secret() -> None:
    sent = signed(at_s=1_800_000_000)
    assert sent["webhook-id"] == str(EVENT_ID)
    assert sent["webhook-timestamp"] == "1800000000"
    assert sent["webhook-signature"] == standard(NEW, sent, BODY)
    assert sent["webhook-signature"] != standard(NEW, sent, BODY + b" ")
    assert sent["webhook-signature"] != standard(OLD, sent, BODY)


def test_the_standard_signature_is_the_specifications_own_example() -> None:
    # standard-webhooks/spec, "Signature scheme" and its libraries' tests.
    sent = headers(
        Secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        iss="Bongloy",
        attempt_id=ATTEMPT_ID,
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",  # pyright: ignore[reportArgumentType]
        body=b'{"test": 2432232314}',
        signed_at_s=1_614_265_330,
    )
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_in_the_grace_time_both_secrets_sign() -> None:
    sent = signed(OLD)
    both = sent["webhook-signature"].split(" ")
    assert both == [standard(NEW, sent, BODY), standard(OLD, sent, BODY)]
    jwt.decode(token(sent), NEW, algorithms=["HS256"], issuer="Bongloy")


def test_it_says_what_it_is_and_who_sends_it() -> None:
    sent = signed()
    assert sent["Content-Type"] == "application/json"
    assert sent["User-Agent"].startswith("Bayon/0.")


def test_a_sealed_secret_opens_at_its_endpoint_only() -> None:
    here, there = uuid7(), uuid7()
    sealed = seal_secret(Secret(NEW), endpoint_id=here, sealer=SEALER)
    assert NEW.encode() not in sealed
    assert open_secret(sealed, endpoint_id=here, sealer=SEALER) == Secret(NEW)
    with pytest.raises(BadSeal):
        open_secret(sealed, endpoint_id=there, sealer=SEALER)
