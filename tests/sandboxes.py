"""Whole sandboxes for the tests of the doors: the real application on a real database, at work."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, Protocol, cast

import httpx
import pytest
from litestar.types import ASGIApp

from bayon import bakong, cards, ledger, payments, sandbox
from bayon.app import build
from bayon.cards import Desk, Vault
from bayon.config import Settings
from bayon.db import Database, Tx, keep_secret, read_clock
from bayon.log import Secret
from bayon.money import Currency
from bayon.web import keep_token, new_token
from said import never_say
from servers import Server

SETTINGS: Final = Settings(
    sandbox=True,
    bakong_renewal="documented",
    kyc_documents="optional",
    rate_limit_token_per_s=0,
    rate_limit_address_per_s=0,
)
FOUR: Final = {"data", "errorCode", "responseCode", "responseMessage"}
"""The envelope: these keys and no others."""

PAYER: Final = "rieu_dhqj_1984@devb"
RECEIVER: Final = "bridge_account@devb"


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A sandbox at work, and tokens to come in by: an integrator's, two banks', two issuers'."""

    db: Database
    asgi: ASGIApp
    http: httpx.AsyncClient
    settings: Settings
    jwt_key: Secret
    desk: Desk
    integrator_token: str
    bank_token: str
    other_bank_token: str
    cms_token: str
    other_cms_token: str

    async def ask(
        self,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """POST: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        return await self.http.post(path, content=content, headers=given)

    async def get(self, path: str, *, token: str | None = None) -> httpx.Response:
        """GET."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.http.get(path, headers=headers)

    async def check(self, by: str, body: object) -> httpx.Response:
        """Ask for a status as the integrator."""
        return await self.ask(f"/v1/check_transaction_by_{by}", body, token=self.integrator_token)

    async def bank(
        self, what: str, body: object, *, key: str | None = None, other: bool = False
    ) -> httpx.Response:
        """Do something as a bank: `devb`, or the other one, `wing`."""
        token = self.other_bank_token if other else self.bank_token
        headers = {"Idempotency-Key": key} if key is not None else None
        return await self.ask(f"/participant/v1/{what}", body, token=token, headers=headers)

    async def simulate(self, what: str, body: object) -> httpx.Response:
        """Do something at the sandbox door."""
        return await self.ask(f"/sandbox/v1/{what}", body, token=self.integrator_token)

    async def advance(self, advance_s: float) -> None:
        """Move the clock forward."""
        answer = await self.simulate("clock", {"advance_s": advance_s})
        assert answer.status_code == 200, answer.text

    async def pay(self, qr: str, **more: object) -> dict[str, Any]:
        """Pay a QR as the seed's sample payer; returns the transaction."""
        answer = await self.bank("payments", {"fromAccountId": PAYER, "qr": qr, **more})
        data: dict[str, Any] = answer.json()["data"]
        assert data["state"] == "succeeded", answer.text
        return data

    async def value(self, sql: LiteralString, *args: object) -> Any:  # noqa: ANN401 - a column's type
        """Look behind the doors: the first column of the first row."""
        return await self.db.read(lambda tx: tx.value(sql, *args))


class OpenSandbox(Protocol):
    """Opens a sandbox for the rest of the test, with other settings if wanted."""

    async def __call__(self, **settings: object) -> Sandbox:
        """Open."""
        ...


@asynccontextmanager
async def open_sandbox(url: str, **changed: object) -> AsyncGenerator[Sandbox]:
    """Open a sandbox on a migrated database, as `bayon dev` does, its workers running."""
    settings = replace(SETTINGS, **cast("dict[str, Any]", changed))
    db = await Database.connect(url, size_max=settings.pool_size_max)
    keys = await db.transaction(sandbox.keep_keys)

    def make_token(*, integrator_id: str, now: datetime, ttl: timedelta) -> str:
        key = keys.bakong_jwt_key
        return bakong.tokens.make(key, integrator_id=integrator_id, now=now, ttl=ttl)

    async def seed(tx: Tx) -> tuple[sandbox.Demo, str]:
        now = (await read_clock(tx)).now()
        vault = Vault(keys.vault)
        demo = await sandbox.seed(tx, now=now, make_token=make_token, vault=vault)
        return demo, await _other_bank(tx, now)

    demo, other_bank_token = await db.transaction(seed)
    never_say("a token", demo.bakong_token, demo.participant_token, other_bank_token)
    never_say("a token", demo.cms_token, demo.other_cms_token)
    never_say("the number of a document", "012345678")
    bayon = build(
        settings,
        db,
        seal_keys=keys.seal_keys,
        jwt_key=keys.bakong_jwt_key,
        vault_keys=keys.vault,
    )
    transport = httpx.ASGITransport(app=cast("Any", bayon.asgi))
    loops = (bayon.rail.work, bayon.rail.watch_others, bayon.desk.work, bayon.courier.work)
    tasks = [asyncio.create_task(loop()) for loop in loops]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://bayon.test") as http:
            yield Sandbox(
                db=db,
                asgi=bayon.asgi,
                http=http,
                settings=settings,
                jwt_key=keys.bakong_jwt_key,
                desk=bayon.desk,
                integrator_token=demo.bakong_token,
                bank_token=demo.participant_token,
                other_bank_token=other_bank_token,
                cms_token=demo.cms_token,
                other_cms_token=demo.other_cms_token,
            )
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await db.close()


async def check_invariants(url: str) -> None:
    """Check every room's invariants on a database nobody works on any more."""
    db = await Database.connect(url, size_max=4)
    for check in (ledger.check, payments.check, cards.check):
        assert await db.transaction(check, isolation="repeatable_read") == []
    await db.close()


@pytest.fixture(scope="module")
async def town(server: Server) -> AsyncGenerator[Sandbox]:
    """Open a sandbox for a whole file: its tests do not disturb each other."""
    url = await server.clone()
    async with open_sandbox(url) as opened:
        yield opened
    await check_invariants(url)
    await server.drop(url)


@pytest.fixture
async def opened(database: str) -> AsyncGenerator[OpenSandbox]:
    """Give what opens sandboxes on the test's own database, one after the other or together."""
    async with AsyncExitStack() as stack:

        async def open_one(**settings: object) -> Sandbox:
            return await stack.enter_async_context(open_sandbox(database, **settings))

        yield open_one


async def send_raw(
    app: ASGIApp, messages: Sequence[Mapping[str, object]], **scope: object
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Send a request message by message; returns status, headers and body of the answer."""
    waiting = list(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> object:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(cast("dict[str, Any]", message))

    whole: dict[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("bayon.test", 80),
        **scope,
    }
    await app(cast("Any", whole), cast("Any", receive), cast("Any", send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


def envelope(answer: httpx.Response) -> dict[str, Any]:
    """Read an answer that must be an envelope: four keys, JSON, a response code that fits."""
    assert answer.headers["content-type"] == "application/json", answer.text
    body: dict[str, Any] = answer.json()
    assert body.keys() == FOUR, body
    assert body["responseCode"] in {0, 1}, body
    assert isinstance(body["responseMessage"], str), body
    assert body["responseMessage"], body
    if body["responseCode"] == 0:
        assert body["errorCode"] is None, body
    return body


async def _other_bank(tx: Tx, now: datetime) -> str:
    """Add a second bank, `wing`, with `shop@wing` and nothing on it; once."""
    token = await keep_secret(tx, name="test_other_bank_token", value=new_token())
    try:
        wing = await payments.participant(tx, code="wing")
    except payments.ParticipantNotFound:
        wing = await payments.add_participant(tx, code="wing", name="Wing Bank", now=now)
        command = payments.OpenPaymentAccount(
            participant_id=wing.id,
            account_id="shop@wing",
            name="Shop",
            currencies=frozenset(Currency),
        )
        await payments.open_accounts(tx, [command], now=now)
    await keep_token(tx, kind="participant", owner=str(wing.id), token=token, label="test", now=now)
    return token
