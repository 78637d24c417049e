"""Tokens: registration by real mail, codes that work once, JWTs, renewal, what is never seen."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any, Final, cast

import jwt
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from structlog.testing import capture_logs

from bayon import web
from bayon.bakong.register import TOKENS_PER_SECOND_MAX, issue_token
from bayon.db import Tx
from bayon.errors import Unavailable
from bayon.log import Secret
from sandboxes import OpenSandbox, Sandbox, envelope

EMAIL: Final = "dev@shop.test"
REGISTRATION: Final = {"email": EMAIL, "organization": "ហាងកាហ្វេ", "project": "Till {code}"}
DAY_S: Final = 86_400
MD5: Final = {"md5": "0" * 32}


@dataclass
class PostOffice:
    """A mail server: takes mail, refuses it, or hangs; `refusal` is what it says instead of 250."""

    refusal: str | None = None
    hang_s: float = 0.0
    mails: list[Envelope] = field(default_factory=list[Envelope])
    logins: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])

    async def handle_DATA(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: object, envelope: Envelope
    ) -> str:
        """Take a mail."""
        await asyncio.sleep(self.hang_s)
        if self.refusal is not None:
            return self.refusal
        self.mails.append(envelope)
        return "250 OK"

    def login(self, *args: Any) -> AuthResult:  # noqa: ANN401 - as the library calls it
        """Let `bayon` in."""
        data = cast("LoginPassword", args[-1])
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss word", handled=False)

    def code(self) -> str:
        """Read the code in the newest mail."""
        content = self.mails[-1].content
        assert isinstance(content, bytes)
        text: str = message_from_bytes(content, policy=policy.default).get_content()
        return text.partition("code:")[2].split()[0]


@asynccontextmanager
async def listening(make: Callable[[], asyncio.BaseProtocol]) -> AsyncGenerator[int]:
    """Listen on a free port meanwhile."""
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def post_office(office: PostOffice, *, login: bool = False) -> AsyncGenerator[Secret]:
    """Run a mail server; gives the setting that names it."""

    def make() -> SMTP:
        return SMTP(
            office,
            enable_SMTPUTF8=True,
            authenticator=office.login if login else None,
            auth_require_tls=False,
        )

    async with listening(make) as port:
        user = "bayon:p%40ss%20word@" if login else ""
        yield Secret(f"smtp://{user}127.0.0.1:{port}")


async def register(sandbox: Sandbox, **changed: str) -> dict[str, Any]:
    """Ask for a code."""
    return envelope(await sandbox.ask("/v1/request_token", {**REGISTRATION, **changed}))


async def verify(sandbox: Sandbox, code: str) -> tuple[int, dict[str, Any]]:
    """Hand in a code."""
    answer = await sandbox.ask("/v1/verify", {"code": code})
    return answer.status_code, envelope(answer)


async def token_of(sandbox: Sandbox, office: PostOffice) -> str:
    """Register and verify."""
    assert (await register(sandbox))["responseCode"] == 0
    _, answer = await verify(sandbox, office.code())
    token: str = answer["data"]["token"]
    return token


async def renew(
    sandbox: Sandbox, token: str | None = None, email: str = EMAIL
) -> tuple[int, dict[str, Any]]:
    """Renew, with a bearer or without."""
    answer = await sandbox.ask("/v1/renew_token", {"email": email}, token=token)
    return answer.status_code, envelope(answer)


async def admitted(sandbox: Sandbox, token: str) -> bool:
    """Tell whether a token opens the door."""
    answer = await sandbox.ask("/v1/check_transaction_by_md5", MD5, token=token)
    assert (answer.status_code, envelope(answer)["errorCode"]) in {(200, 1), (401, 6)}
    return answer.status_code == 200


async def test_a_code_comes_by_mail_and_works_once(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url)
        assert await register(sandbox) == {
            "data": None,
            "errorCode": None,
            "responseCode": 0,
            "responseMessage": "Email has been sent",
        }
        (mail,) = office.mails
        assert (mail.mail_from, mail.rcpt_tos) == ("no-reply@bayon.test", [EMAIL])
        code = office.code()
        assert len(code) == 20
        status, first = await verify(sandbox, code)
        assert (status, first["responseMessage"]) == (200, "Token has been issued")
        assert await verify(sandbox, code) == (401, {**first, **UNAUTHORIZED})
        assert await admitted(sandbox, first["data"]["token"])
        assert await sandbox.value("SELECT count(*) FROM payments.mail") == 0


UNAUTHORIZED: Final = {
    "data": None,
    "errorCode": 6,
    "responseCode": 1,
    "responseMessage": "Unauthorized.",
}


async def test_a_verified_address_is_taken_whatever_its_case(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url)
        await token_of(sandbox, office)
        for email in (EMAIL, EMAIL.upper()):
            assert (await register(sandbox, email=email))["errorCode"] == 8
        assert len(office.mails) == 1


async def test_asking_again_voids_the_code_before(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url)
        await register(sandbox)
        old = office.code()
        await register(sandbox)
        assert (await verify(sandbox, old))[0] == 401
        assert (await verify(sandbox, office.code()))[0] == 200


async def test_a_strangers_text_stays_in_its_line_of_the_mail(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url)
        text = "Till\r\n\r\nYou have won!\u2028Pay\t\x1b  here"
        await register(sandbox, project=text, organization=text)
    content = office.mails[-1].content
    assert isinstance(content, bytes)
    body: str = message_from_bytes(content, policy=policy.default).get_content()
    for name in ("Project:            ", "Organization:       "):
        assert f"    {name}Till You have won! Pay here" in body.splitlines()
    assert "\x1b" not in body


async def test_mails_to_one_address_are_limited_in_production(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url, sandbox=False)
        for email in (EMAIL, EMAIL.upper(), EMAIL):
            assert (await register(sandbox, email=email))["responseCode"] == 0
        answer = await sandbox.ask("/v1/request_token", REGISTRATION)
        assert (answer.status_code, envelope(answer)["errorCode"]) == (429, None)
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert len(office.mails) == 3
        assert (await register(sandbox, email="other@shop.test"))["responseCode"] == 0


async def test_a_code_expires_by_the_clock(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url, bakong_code_ttl_s=600)
        await register(sandbox)
        await sandbox.advance(601)
        assert (await verify(sandbox, office.code()))[0] == 401
        await register(sandbox)
        await sandbox.advance(590)
        assert (await verify(sandbox, office.code()))[0] == 200


async def test_the_server_is_logged_in_to_where_the_setting_says_so(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office, login=True) as url:
        sandbox = await opened(smtp_url=url)
        assert (await register(sandbox))["responseCode"] == 0
        assert office.logins == [(b"bayon", b"p@ss word")]
        nobody = Secret(url.reveal().replace("p%40ss", "wrong"))
        refused = await opened(smtp_url=nobody)
        assert (await register(refused, email="x@shop.test"))["errorCode"] == 7


REFUSALS: Final[dict[str, PostOffice]] = {
    "for ever": PostOffice(refusal="550 No such user"),
    "for now": PostOffice(refusal="451 Try again"),
    "service away": PostOffice(refusal="421 Closing"),
    "hanging": PostOffice(hang_s=30),
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_a_mail_that_is_refused_or_hangs_answers_7_and_leaves_the_address_free(
    opened: OpenSandbox, why: str
) -> None:
    async with post_office(REFUSALS[why]) as url:
        sandbox = await opened(smtp_url=url, smtp_timeout_s=0.3)
        answer = await asyncio.wait_for(register(sandbox), 5)
    assert (answer["errorCode"], answer["responseMessage"]) == (7, "Email server has been down.")
    await assert_free(sandbox, opened)


async def assert_free(sandbox: Sandbox, opened: OpenSandbox) -> None:
    """Show that nothing is left of a registration, and that the address can be registered."""
    count = "SELECT count(*) FROM payments.integrator WHERE email = $1"
    assert await sandbox.value(count, EMAIL) == 0
    office = PostOffice()
    async with post_office(office) as url:
        again = await opened(smtp_url=url)
        assert await admitted(again, await token_of(again, office))


class Silent(asyncio.Protocol):
    """A server that says nothing, but keeps the line."""


class Dripping(asyncio.Protocol):
    """A server that is always about to finish its greeting."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to drip."""
        self._transport = cast("asyncio.Transport", transport)
        self._drip()

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"220-wait\r\n")
            asyncio.get_running_loop().call_later(0.05, self._drip)


@pytest.mark.parametrize("make", [Silent, Dripping])
async def test_a_server_that_never_answers_is_given_up_in_time(
    opened: OpenSandbox, make: Callable[[], asyncio.BaseProtocol]
) -> None:
    async with listening(make) as port:
        sandbox = await opened(smtp_url=Secret(f"smtp://127.0.0.1:{port}"), smtp_timeout_s=0.3)
        answer = await asyncio.wait_for(register(sandbox), 5)
        assert answer["errorCode"] == 7
        await assert_free(sandbox, opened)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_that_is_down_or_speaks_no_tls_answers_7(
    opened: OpenSandbox, scheme: str
) -> None:
    async with post_office(PostOffice()) as url:
        address = url.reveal().partition("://")[2]
        if scheme == "smtps":  # to a server that speaks in clear
            sandbox = await opened(smtp_url=Secret(f"smtps://{address}"), smtp_timeout_s=1.0)
            assert (await register(sandbox))["errorCode"] == 7
            return
    sandbox = await opened(smtp_url=Secret(f"smtp://{address}"), smtp_timeout_s=1.0)
    assert (await register(sandbox))["errorCode"] == 7
    await assert_free(sandbox, opened)


async def test_many_renew_at_once_on_few_connections(opened: OpenSandbox) -> None:
    sandbox = await opened(pool_size_max=4)
    sandbox.db.forget_clock()
    asked = [renew(sandbox, email="sandbox@bayon.test") for _ in range(12)]
    answers = await asyncio.wait_for(asyncio.gather(*asked), 8)
    assert [answer["responseCode"] for _, answer in answers] == [0] * 12


# The tokens themselves.


def parts_of(token: str) -> list[dict[str, Any]]:
    """Read header and payload of a token as any client would."""
    header, payload, signature = token.split(".")
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload)]


async def test_a_token_reads_as_the_samples(opened: OpenSandbox) -> None:
    sandbox = await opened()
    _, answer = await renew(sandbox, email="sandbox@bayon.test")
    header, payload = parts_of(answer["data"]["token"])
    assert answer["data"]["token"].startswith("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.")
    assert list(header.items()) == [("typ", "JWT"), ("alg", "HS256")]
    assert list(payload) == ["exp", "iat", "data"]
    assert payload["exp"] - payload["iat"] == 90 * DAY_S
    assert payload["data"].keys() == {"id"}
    assert len(bytes.fromhex(payload["data"]["id"])) == 8


def forged(sandbox: Sandbox) -> dict[str, str]:
    """Make tokens that are none."""
    token = sandbox.integrator_token
    header, payload, signature = token.split(".")
    _, claims = parts_of(token)
    other = base64.urlsafe_b64encode(json.dumps({**claims, "iat": 1}).encode()).decode().rstrip("=")
    key = sandbox.jwt_key.reveal()
    nested = base64.urlsafe_b64encode(b"[" * 3_000).decode()
    return {
        "tampered": f"{header}.{other}.{signature}",
        "unsigned": jwt.encode(claims, "", algorithm="none"),
        "no signature": f"{header}.{payload}.",
        "another key": jwt.encode(claims, "k" * 64, algorithm="HS256"),
        "another algorithm": jwt.encode(claims, key, algorithm="HS512"),
        "signed but not issued": jwt.encode({**claims, "iat": 1}, key, algorithm="HS256"),
        "two parts": f"{header}.{payload}",
        "nested": f"{nested}.{payload}.{signature}",
        "blank": " ",
        "dots": "..",
    }


FORGED: Final = (
    *("tampered", "unsigned", "no signature", "another key", "another algorithm"),
    *("signed but not issued", "two parts", "nested", "blank", "dots"),
)


@pytest.mark.parametrize("how", FORGED)
async def test_a_forged_token_opens_nothing(town: Sandbox, how: str) -> None:
    assert not await admitted(town, forged(town)[how])


@pytest.mark.parametrize("how", FORGED)
async def test_a_forged_token_renews_nothing_in_production(opened: OpenSandbox, how: str) -> None:
    sandbox = await opened(bakong_renewal="bearer")
    assert (await renew(sandbox, forged(sandbox)[how], "sandbox@bayon.test"))[0] == 401


async def test_a_row_without_our_signature_opens_nothing(opened: OpenSandbox) -> None:
    sandbox = await opened()
    token = forged(sandbox)["another key"]
    now = (await sandbox.db.clock()).now()
    await sandbox.db.transaction(
        lambda tx: web.keep_token(
            tx, kind="integrator", owner="0" * 16, token=token, label="", now=now
        )
    )
    assert not await admitted(sandbox, token)


async def test_a_token_expires_after_90_days_by_the_clock(opened: OpenSandbox) -> None:
    sandbox = await opened()
    token = (await renew(sandbox, email="sandbox@bayon.test"))[1]["data"]["token"]
    await sandbox.advance(90 * DAY_S - 60)
    assert await admitted(sandbox, token)
    await sandbox.advance(61)
    assert not await admitted(sandbox, token)
    assert await admitted(sandbox, sandbox.integrator_token)  # demo tokens do not expire


async def test_a_revoked_token_is_refused_within_a_second(opened: OpenSandbox) -> None:
    sandbox = await opened()
    token = (await renew(sandbox, email="sandbox@bayon.test"))[1]["data"]["token"]
    assert await admitted(sandbox, token)
    now = (await sandbox.db.clock()).now()
    rows = await sandbox.db.read(web.list_tokens)
    newest = next(row for row in rows if row.kind == "integrator")
    await sandbox.db.transaction(lambda tx: web.revoke_token(tx, token_id=newest.id, now=now))
    await asyncio.sleep(1.05)
    assert not await admitted(sandbox, token)
    again = (await renew(sandbox, email="sandbox@bayon.test"))[1]["data"]["token"]
    assert again != token
    assert await admitted(sandbox, again)


# Renewal.


async def test_as_documented_whoever_knows_the_address_renews_and_both_tokens_live(
    opened: OpenSandbox,
) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url)
        first = await token_of(sandbox, office)
    status, answer = await renew(sandbox)
    assert (status, answer["responseMessage"]) == (200, "Token has been issued")
    second = answer["data"]["token"]
    assert second != first
    assert await admitted(sandbox, first)
    assert await admitted(sandbox, second)
    assert parts_of(first)[1]["data"] == parts_of(second)[1]["data"]


@pytest.mark.parametrize("renewal", ["documented", "bearer"])
async def test_an_address_that_is_unknown_or_not_verified_renews_nothing(
    opened: OpenSandbox, renewal: str
) -> None:
    sandbox = await opened(bakong_renewal=renewal)
    await register(sandbox)
    for email in (EMAIL, "no@body"):
        status, answer = await renew(sandbox, email=email)
        assert (status, answer["errorCode"]) == (200, 10)
        assert answer["responseMessage"] == "Not registered yet."


async def test_in_production_only_the_bearer_of_the_latest_token_renews(
    opened: OpenSandbox,
) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url, bakong_renewal="bearer")
        first = await token_of(sandbox, office)
    for stranger in (None, "x", sandbox.integrator_token, sandbox.bank_token):
        assert await renew(sandbox, stranger) == (401, UNAUTHORIZED)
    await sandbox.advance(91 * DAY_S)
    assert not await admitted(sandbox, first)
    status, answer = await renew(sandbox, first)  # expired, but the latest
    assert status == 200
    assert await admitted(sandbox, answer["data"]["token"])
    assert await renew(sandbox, first) == (401, UNAUTHORIZED)


async def test_revoking_the_latest_token_brings_no_older_one_back(opened: OpenSandbox) -> None:
    office = PostOffice()
    async with post_office(office) as url:
        sandbox = await opened(smtp_url=url, bakong_renewal="bearer")
        first = await token_of(sandbox, office)
    await sandbox.advance(60)
    second = (await renew(sandbox, first))[1]["data"]["token"]
    now = (await sandbox.db.clock()).now()
    newest = (await sandbox.db.read(web.list_tokens))[0]
    await sandbox.db.transaction(lambda tx: web.revoke_token(tx, token_id=newest.id, now=now))
    for token in (first, second):
        assert await renew(sandbox, token) == (401, UNAUTHORIZED)


async def test_tokens_of_one_second_differ_until_there_are_too_many(opened: OpenSandbox) -> None:
    sandbox = await opened()
    now = (await sandbox.db.clock()).now()
    ttl = timedelta(days=1)

    async def issue(tx: Tx) -> str:
        return await issue_token(
            tx, sandbox.jwt_key, integrator_id="0" * 16, label="", now=now, ttl=ttl
        )

    made = {await sandbox.db.transaction(issue) for _ in range(TOKENS_PER_SECOND_MAX)}
    assert len(made) == TOKENS_PER_SECOND_MAX
    with pytest.raises(Unavailable):
        await sandbox.db.transaction(issue)


async def test_codes_and_tokens_stand_neither_in_logs_nor_in_the_database(
    opened: OpenSandbox,
) -> None:
    office = PostOffice()
    with capture_logs() as logs:
        async with post_office(office) as url:
            sandbox = await opened(smtp_url=url)
            token = await token_of(sandbox, office)
            assert await admitted(sandbox, token)
            refused = await opened(smtp_url=Secret("smtp://127.0.0.1:1"))
            await register(refused, email="other@shop.test")
    assert any(line["event"] == "mail sent" for line in logs)
    assert any(line["event"] == "mail not sent" for line in logs)
    everything = json.dumps(logs, default=repr)
    rows = await sandbox.value(
        """
        SELECT concat((SELECT string_agg(i::text, ' ') FROM payments.integrator AS i),
            (SELECT string_agg(t::text, ' ') FROM web.access_token AS t),
            (SELECT string_agg(m::text, ' ') FROM payments.mail AS m))
        """
    )
    assert EMAIL in rows
    for secret in (office.code(), token, token.rpartition(".")[2]):
        assert secret not in everything
        assert secret not in rows
