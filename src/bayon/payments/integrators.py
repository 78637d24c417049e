"""Integrators: who registered by e-mail to ask for the status of payments.

A code is single-use, expires, and is kept as its SHA-256 only. The mail itself is the door's work:
`ask_for_code` (commit), send, then `code_sent` or `code_void`.
"""

import hashlib
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bayon.db import Tx
from bayon.errors import Conflict, Denied, NotFound
from bayon.payments import integrator_store as store

CODE_LENGTH: Final = 20
SENDING: Final = timedelta(minutes=1)
"""How long a mail may be on its way before its sender is taken for dead."""

_ALPHABET: Final = string.ascii_letters + string.digits


class EmailTaken(Conflict):
    """Email has been registered already."""

    code = "email_taken"


class NotRegistered(NotFound):
    """Not registered yet"""  # noqa: D400 - the live service's text

    code = "not_registered"


class BadCode(Denied):
    """Unauthorized."""

    code = "bad_code"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """A mail the sandbox kept instead of sending it."""

    recipient: str
    subject: str
    body: str
    sent_at: datetime


def new_code() -> str:
    """Make a verification code: 20 letters and digits, 119 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH))


async def ask_for_code(
    tx: Tx, *, email: str, organization: str, project: str, code: str, ttl_s: int, now: datetime
) -> None:
    """Register an address with a code whose mail is on its way; an older code is void.

    Locks the address. Errors: `EmailTaken` once the address is verified.
    """
    asked = await store.request_code(
        tx,
        integrator_id=secrets.token_hex(8),
        email=email.lower(),
        organization=organization,
        project=project,
        code_digest=_digest(code),
        code_expires_at=now + timedelta(seconds=ttl_s),
        now=now,
    )
    if not asked:
        raise EmailTaken


async def code_sent(tx: Tx, *, code: str) -> None:
    """Note that the mail was sent: the code may be used."""
    await store.code_sent(tx, code_digest=_digest(code))


async def code_void(tx: Tx, *, code: str) -> None:
    """Note that the mail could not be sent: nothing is left of the request."""
    await store.code_void(tx, code_digest=_digest(code))


async def verify_code(tx: Tx, *, code: str, now: datetime) -> str:
    """Use up a code; returns the integrator's id, 16 hex digits.

    Errors: `BadCode` when it is unknown, used, void or expired.
    """
    integrator_id = await store.verify_code(tx, code_digest=_digest(code), now=now)
    if integrator_id is None:
        raise BadCode
    return integrator_id


async def find_integrator(tx: Tx, *, email: str) -> str:
    """Find who verified an address. Errors: `NotRegistered`."""
    integrator_id = await store.verified_integrator(tx, email=email.lower())
    if integrator_id is None:
        raise NotRegistered
    return integrator_id


async def register_verified(
    tx: Tx, *, email: str, organization: str, project: str, now: datetime
) -> str:
    """Register an address without a mail (demo data, command line); returns the integrator.

    An address that is registered already keeps its organization and project.
    """
    return await store.insert_verified(
        tx,
        integrator_id=secrets.token_hex(8),
        email=email.lower(),
        organization=organization,
        project=project,
        now=now,
    )


async def forget_unsent(tx: Tx, *, now: datetime) -> None:
    """Free the addresses whose mail's sender died."""
    await store.delete_unsent(tx, older_than=now - SENDING)


async def keep_mail(tx: Tx, *, recipient: str, subject: str, body: str, now: datetime) -> None:
    """Keep a mail for the sandbox door to show."""
    await store.insert_mail(tx, recipient=recipient, subject=subject, body=body, sent_at=now)


async def list_mail(tx: Tx) -> list[Mail]:
    """List the newest hundred mails the sandbox kept."""
    rows = await store.mail(tx, limit=100)
    return [Mail(recipient=r, subject=s, body=b, sent_at=at) for r, s, b, at in rows]


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
