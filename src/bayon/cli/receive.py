"""Receiving: a subscriber of our own, who verifies what comes as any other would.

It trusts nothing that is sent to it: a line tells what the body says, and whether that is signed.
"""

import asyncio
import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import jwt
import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from bayon.config import Settings
from bayon.listen import make_server
from bayon.log import Secret

AGE_S_MAX: Final = 300
BODY_SIZE_MAX: Final = 2**20


class _Told(msgspec.Struct):
    id: str


class _Details(msgspec.Struct):
    data: _Told


class _Attributes(msgspec.Struct):
    type: str
    details: _Details


class _Event(msgspec.Struct):
    attributes: _Attributes


class _Document(msgspec.Struct):
    data: _Event


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """What is served: it says a line for each delivery, and answers each with 200.

    `secrets`: by which it may be signed; `body`: whether to say what came, too.
    """

    secrets: Sequence[Secret]
    iss: str
    body: bool
    say: Callable[[str], None]

    @property
    def asgi(self) -> ASGIApp:
        """Itself: called with a request, it answers."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a delivery; whatever is no POST is not one."""
        assert scope["type"] == "http"
        body = await _read(receive)
        status = 413 if body is None else 200 if scope["method"] == "POST" else 405
        if body is not None and status == 200:  # noqa: PLR2004 - HTTP's own number
            headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
            self._say(headers, body)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-length", b"0")],
            }
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _say(self, headers: Mapping[str, str], body: bytes) -> None:
        whys = [why_not(headers, body, secret=each, iss=self.iss) for each in self.secrets]
        verified = "verified" if None in whys else f"NOT VERIFIED: {whys[0]}"
        self.say(f"{time.strftime('%H:%M:%S')}  {_printable(_subject(body))}  {verified}")
        for line in _shown(body).splitlines() if self.body else ():
            self.say("    " + _printable(line))


def why_not(headers: Mapping[str, str], body: bytes, *, secret: Secret, iss: str) -> str | None:
    """Tell why a delivery is not to be trusted; None where both of its signatures hold."""
    return _why_no_token(headers, body, secret, iss) or _why_no_signature(headers, body, secret)


async def serve(receiver: Receiver, settings: Settings, listener: socket.socket) -> None:
    """Receive until cancelled; whoever is being answered then still is."""
    server = make_server(receiver, settings, listener)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


async def _read(receive: Receive) -> bytes | None:
    """Read a body; None where it is too large to be ours, or does not come."""
    body = b""
    while len(body) <= BODY_SIZE_MAX:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"] and len(body) <= BODY_SIZE_MAX:
            return body
    return None


def _why_no_token(headers: Mapping[str, str], body: bytes, secret: Secret, iss: str) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        return "there is no bearer token"
    try:
        claims = jwt.decode(
            token,
            secret.reveal(),
            algorithms=["HS256"],
            issuer=iss,
            options={"require": ["exp", "iat", "sub", "body_sha256"]},
        )
    except jwt.InvalidSignatureError:
        return "the token is signed by another secret"
    except jwt.InvalidTokenError as error:
        return f"the token does not hold ({type(error).__name__})"
    if claims["body_sha256"] != hashlib.sha256(body).hexdigest():  # both are known to all
        return "the token is of another body"
    return None if claims["sub"] == headers.get("webhook-id") else "the token is of another event"


def _why_no_signature(headers: Mapping[str, str], body: bytes, secret: Secret) -> str | None:
    """Verify as Standard Webhooks 1.0 says."""
    event_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (at.isascii() and at.isdigit() and abs(time.time() - float(at)) <= AGE_S_MAX):
        return "its webhook-timestamp is not of these five minutes"
    key = base64.b64decode(secret.reveal())
    digest = hmac.digest(key, f"{event_id}.{at}.".encode() + body, "sha256")
    ours = b"v1," + base64.b64encode(digest)
    given = headers.get("webhook-signature", "").encode().split(b" ")
    if not any(hmac.compare_digest(ours, each) for each in given):
        return "no webhook-signature is by this secret"
    return None


def _subject(body: bytes) -> str:
    try:
        event = msgspec.json.decode(body, type=_Document).data.attributes
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "no event"
    return f"{event.type:<22} {event.details.data.id}"


def _shown(body: bytes) -> str:
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode(errors="replace")


def _printable(text: str) -> str:
    """Keep from a terminal what would command it, and from a line what would end it."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
