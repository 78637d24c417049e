"""Registration by e-mail: a code by mail, a token for the code, and a new one for the address.

A mail is never queued: the request is committed as `sending`, the mail is sent, then it is `sent`
or nothing is left of it. Without a mail server the sandbox keeps the mail in its own table.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import cached_property
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from bayon import payments
from bayon.bakong import tokens
from bayon.bakong.wire import BadEmail, MailDown
from bayon.config import Settings
from bayon.db import Database, Tx
from bayon.errors import Unavailable
from bayon.log import Secret
from bayon.web import Limit, Unauthorized, is_latest, keep_token

SUBJECT: Final = "Your Bakong Open API verification code"
BODY: Final = """\
Somebody, we hope you, asked for access to the Bakong Open API for the project below.

    Project:            {project}
    Organization:       {organization}
    Verification code:  {code}

Send the code to /v1/verify to get your token. It works once, and for {minutes} minutes.
If it was not you, there is nothing you need to do.
"""

TOKENS_PER_SECOND_MAX: Final = 60
"""Tokens of one second read alike, a revoked one too, so each further one is a second older."""

MAILS_PER_S: Final = 1 / 60
MAILS_BURST: Final = 3
"""Who mistyped may ask again at once; nobody's letter box is filled from here."""

SANDBOX_MAILS_PER_S: Final = 100

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Registrar:
    """Registers integrators. `key` signs their tokens."""

    db: Database
    settings: Settings
    key: Secret

    @cached_property
    def _mails(self) -> Limit:
        """Limit the mails to one address; a sandbox sends none to strangers, and tests many."""
        if self.settings.sandbox:
            return Limit(SANDBOX_MAILS_PER_S)
        return Limit(MAILS_PER_S, burst=MAILS_BURST)

    async def request_code(self, *, email: str, organization: str, project: str) -> None:
        """Send a verification code to an address; a code sent before is void.

        Errors: `BadEmail`, `TooManyRequests`, `EmailTaken` once it is verified, `MailDown`.
        """
        code = payments.new_code()
        body = BODY.format(
            project=_on_one_line(project),
            organization=_on_one_line(organization),
            code=code,
            minutes=max(1, self.settings.bakong_code_ttl_s // 60),
        )
        message = _message(sender=self.settings.mail_from, recipient=email, body=body)
        self._mails.take(email.lower().encode())
        await self._begin(email=email, organization=organization, project=project, code=code)
        await self._send(message, email=email, code=code, body=body)

    async def verify(self, code: str) -> str:
        """Turn a code into a token. Errors: `BadCode`."""
        now = (await self.db.clock()).now()

        async def work(tx: Tx) -> str:
            integrator_id = await payments.verify_code(tx, code=code, now=now)
            return await self._issue(tx, integrator_id, now=now)

        return await self.db.transaction(work)

    async def renew(self, *, email: str, bearer: str | None) -> str:
        """Make a new token for a verified address; older ones live on until they expire.

        As documented anybody who knows the address gets it; otherwise only the bearer of the
        address's latest token does, expired or not, unless that one is revoked.

        Errors: `NotRegistered`, `Unauthorized`.
        """
        now = (await self.db.clock()).now()

        async def work(tx: Tx) -> str:
            integrator_id = await payments.find_integrator(tx, email=email)
            if self.settings.bakong_renewal != "documented":
                await self._demand_latest(tx, integrator_id, bearer)
            return await self._issue(tx, integrator_id, now=now)

        return await self.db.transaction(work)

    async def _demand_latest(self, tx: Tx, integrator_id: str, bearer: str | None) -> None:
        # Looked for before it is taken apart: a text that is no token of ours may be anything.
        if bearer is None or not await is_latest(
            tx, kind="integrator", owner=integrator_id, token=bearer
        ):
            raise Unauthorized
        if not tokens.signed(self.key, bearer):
            raise Unauthorized

    async def _issue(self, tx: Tx, integrator_id: str, *, now: datetime) -> str:
        return await issue_token(
            tx,
            self.key,
            integrator_id=integrator_id,
            label="Open API",
            now=now,
            ttl=timedelta(days=self.settings.bakong_token_ttl_days),
        )

    async def _begin(self, *, email: str, organization: str, project: str, code: str) -> None:
        now = (await self.db.clock()).now()

        async def work(tx: Tx) -> None:
            await payments.ask_for_code(
                tx,
                email=email,
                organization=organization,
                project=project,
                code=code,
                ttl_s=self.settings.bakong_code_ttl_s,
                now=now,
            )

        await self.db.transaction(work)

    async def _send(self, message: EmailMessage, *, email: str, code: str, body: str) -> None:
        try:
            async with asyncio.timeout(self.settings.smtp_timeout_s):
                await _smtp(self.settings, message, recipient=email)
        except (MailDown, aiosmtplib.SMTPException, OSError, ValueError) as error:
            await self.db.transaction(lambda tx: payments.code_void(tx, code=code))
            log.warning("mail not sent", error=type(error).__name__)
            raise MailDown from error
        await self._sent(email=email, code=code, body=body)

    async def _sent(self, *, email: str, code: str, body: str) -> None:
        now = (await self.db.clock()).now()

        async def work(tx: Tx) -> None:
            await payments.code_sent(tx, code=code)
            if self.settings.smtp_url is None:
                await payments.keep_mail(tx, recipient=email, subject=SUBJECT, body=body, now=now)

        await self.db.transaction(work)
        log.info("mail sent")


async def issue_token(
    tx: Tx, key: Secret, *, integrator_id: str, label: str, now: datetime, ttl: timedelta
) -> str:
    """Make a token nobody has yet and make it valid. Errors: `Unavailable` when none is left."""
    for age_s in range(TOKENS_PER_SECOND_MAX):
        issued_at = now - timedelta(seconds=age_s)
        token = tokens.make(key, integrator_id=integrator_id, now=issued_at, ttl=ttl)
        if await keep_token(
            tx,
            kind="integrator",
            owner=integrator_id,
            token=token,
            label=label,
            now=now,
            expires_at=issued_at + ttl,
        ):
            return token
    raise Unavailable("Too many tokens were made this second. Please try again.")


def _on_one_line(text: str) -> str:
    """Keep a stranger's text in its line: no controls, no line breaks, no runs of blanks."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _message(*, sender: str, recipient: str, body: str) -> EmailMessage:
    """Write the mail. Errors: `BadEmail` for what cannot stand behind `To`."""
    if not recipient or not recipient.isprintable() or any(sign.isspace() for sign in recipient):
        raise BadEmail
    message = EmailMessage()
    message["From"], message["Subject"] = sender, SUBJECT
    try:
        message["To"] = recipient
        message.as_bytes()
    except Exception as error:  # the library's parser meets the unexpected with whatever it has
        raise BadEmail from error
    message.set_content(body)
    return message


async def _smtp(settings: Settings, message: EmailMessage, *, recipient: str) -> None:
    if settings.smtp_url is None:
        if settings.sandbox:
            return  # the sandbox keeps its mail
        raise MailDown
    server = urlsplit(settings.smtp_url.reveal())
    await aiosmtplib.send(
        message,
        sender=settings.mail_from,
        recipients=[recipient],
        hostname=server.hostname,
        port=server.port,
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=server.scheme == "smtps",
        timeout=settings.smtp_timeout_s,
    )
