"""Serving: the life of a process, from its sockets to its last connection.

`dev` owns its PostgreSQL: it starts it, brings it back when it dies, and stops it at the end.
`serve` owns nothing but itself, and refuses to begin on what belongs to a sandbox.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import structlog
import trustme
import uvicorn

from bayon import bakong, sandbox
from bayon.app import Bayon, build
from bayon.config import BadSettings, Settings, require
from bayon.db import Database, Tx, kept_secrets, migrate, read_clock
from bayon.errors import Unavailable
from bayon.log import Secret
from bayon.postgres import EmbeddedPostgres
from bayon.sandbox import Demo, Keys

Part = Literal["http", "network", "worker"]
PARTS: Final[tuple[Part, ...]] = ("http", "worker")

BACKLOG: Final = 2_048
GRACE_S: Final = 5
KEEP_ALIVE_S: Final = 75

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a sandbox answers, and how to begin; what the ready-file holds."""

    http_url: str
    https_url: str
    tls_cert_file: str
    database_url: str
    bakong_token: str
    participant_token: str
    pid: int


async def run_dev(settings: Settings, *, ready_file: Path | None) -> None:
    """Run a sandbox until it is told to stop: everything in one process, demo data seeded."""
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # noqa: ASYNC240 - before anything runs
    async with _database(settings) as (url, db, guards):
        keys, demo = await _seed(db)
        bayon = build(settings, db, seal_keys=keys.seal_keys, jwt_key=keys.bakong_jwt_key)
        http = _listen(settings.http_host, settings.http_port)
        https = _listen(settings.http_host, settings.https_port)
        ca_file, key_file = certificate(settings.data_dir / "tls")
        addresses = Addresses(
            http_url=_url("http", settings, http),
            https_url=_url("https", settings, https),
            tls_cert_file=str(ca_file.resolve()),
            database_url=url,
            bakong_token=demo.bakong_token,
            participant_token=demo.participant_token,
            pid=os.getpid(),
        )
        servers = [_server(bayon, settings, http), _server(bayon, settings, https, key_file)]
        work = [bayon.rail.work(), bayon.rail.watch_others(), *guards]
        await _run(servers, work, ready=lambda: _announce(addresses, ready_file))


async def run_serve(settings: Settings, *, parts: tuple[Part, ...]) -> None:
    """Run in production: the parts asked for, on your own database and keys.

    Errors: `BadSettings` when a setting is missing, or the database is a sandbox's.
    """
    require(settings, "database_url", "seal_keys", "bakong_jwt_key", "public_url")
    assert settings.database_url is not None
    assert settings.seal_keys is not None
    assert settings.bakong_jwt_key is not None
    db = await Database.connect(settings.database_url.reveal(), size_max=settings.pool_size_max)
    try:
        await migrate(db)
        await db.transaction(_refuse_sandbox)
        bayon = build(settings, db, seal_keys=settings.seal_keys, jwt_key=settings.bakong_jwt_key)
        servers: list[_Server] = []
        work: list[Coroutine[Any, Any, None]] = []
        if "http" in parts:
            listener = _listen(settings.http_host, settings.http_port)
            servers.append(_server(bayon, settings, listener))
            work.append(bayon.rail.watch_others())
        if "worker" in parts:
            work.append(bayon.rail.work())
        await _run(servers, work, ready=lambda: log.info("ready", port=settings.http_port))
    finally:
        await db.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make the sandbox's certificate once; returns the authority's file and the server's."""
    ca_file, key_file = folder / "ca.pem", folder / "server.pem"
    if not (ca_file.exists() and key_file.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="Bayon sandbox")
        server = authority.issue_cert("localhost", "127.0.0.1", "::1")
        key_file.touch(mode=0o600)
        server.private_key_and_cert_chain_pem.write_to_path(str(key_file))
        authority.cert_pem.write_to_path(str(ca_file))
    return ca_file, key_file


@asynccontextmanager
async def _database(
    settings: Settings,
) -> AsyncGenerator[tuple[str, Database, list[Coroutine[Any, Any, None]]]]:
    """Open the sandbox's database: yours, or the embedded one, which is stopped at the end."""
    if settings.database_url is not None:
        url = settings.database_url.reveal()
        db = await Database.connect(url, size_max=settings.pool_size_max)
        try:
            yield url, db, []
        finally:
            await db.close()
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    url = await postgres.start()
    try:
        db = await Database.connect(url, size_max=settings.pool_size_max)
        try:
            yield url, db, [postgres.watch()]
        finally:
            await db.close()
    finally:
        await postgres.stop()


async def _seed(db: Database) -> tuple[Keys, Demo]:
    await migrate(db)
    keys = await db.transaction(sandbox.keep_keys)

    async def work(tx: Tx) -> Demo:
        now = (await read_clock(tx)).now()
        return await sandbox.seed(tx, now=now, make_token=_token_maker(keys.bakong_jwt_key))

    return keys, await db.transaction(work)


def _token_maker(key: Secret) -> sandbox.TokenMaker:
    def make_token(*, integrator_id: str, now: datetime, ttl: timedelta) -> str:
        return bakong.tokens.make(key, integrator_id=integrator_id, now=now, ttl=ttl)

    return make_token


async def _refuse_sandbox(tx: Tx) -> None:
    if (await read_clock(tx)).offset or await kept_secrets(tx):
        raise BadSettings("This database is a sandbox's: production wants one of its own.")


class _Server(uvicorn.Server):
    """One listener. Signals are the process's, not each server's."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.listener: socket.socket = listener

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _server(
    bayon: Bayon, settings: Settings, listener: socket.socket, key_file: Path | None = None
) -> "_Server":
    config = uvicorn.Config(
        bayon.asgi,  # pyright: ignore[reportArgumentType] - the same protocol by another name
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=key_file,
        ssl_keyfile=key_file,
    )
    return _Server(config, listener)


async def _run(
    servers: list[_Server],
    work: list[Coroutine[Any, Any, None]],
    *,
    ready: Callable[[], object],
) -> None:
    """Run until SIGTERM or SIGINT: answer what is being answered, then let go of everything."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    workers = [asyncio.create_task(coroutine) for coroutine in work]
    serving = [asyncio.create_task(s.serve(sockets=[s.listener])) for s in servers]
    stopping = asyncio.create_task(stop.wait())
    try:
        while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.005)
        ready()
        done, _ = await asyncio.wait(
            [stopping, *workers, *serving], return_when=asyncio.FIRST_COMPLETED
        )
        for task in done - {stopping}:
            task.result()
    finally:
        for server in servers:
            server.should_exit = True
        if serving:
            await asyncio.wait(serving)
        for task in (*workers, stopping):
            task.cancel()
        await asyncio.wait([*workers, stopping])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = f"Port {port} of {host} cannot be listened on: {error.strerror}."
        raise Unavailable(reason) from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _url(scheme: str, settings: Settings, listener: socket.socket) -> str:
    everywhere = {"127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104 - told apart, not bound
    host = "localhost" if settings.http_host in everywhere else settings.http_host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _announce(addresses: Addresses, ready_file: Path | None) -> None:
    if ready_file is not None:
        written = ready_file.with_name(ready_file.name + ".new")
        written.touch(mode=0o600)
        written.write_text(json.dumps(addresses.__dict__, indent=2) + "\n")
        written.rename(ready_file)
    print(WELCOME.format(**addresses.__dict__), flush=True)  # noqa: T201 - what `make run` is for


WELCOME: Final = """
Bayon is ready: a Bakong Open API you can pay in.

  HTTP      {http_url}          (browse the API: {http_url}/docs)
  HTTPS     {https_url}          (certificate: {tls_cert_file})
  database  {database_url}

  export BAKONG={bakong_token}
  export BANK={participant_token}

Is a QR paid? Not yet:

  QR=$(.venv/bin/bayon khqr make --account bridge_account@devb --name "Coffee Klaing" --amount 1)
  MD5=$(printf %s "$QR" | md5sum | cut -d' ' -f1)
  curl -s {http_url}/v1/check_transaction_by_md5 \\
    -H "Authorization: Bearer $BAKONG" -d "{{\\"md5\\":\\"$MD5\\"}}"

Pay it as a bank would, and ask again:

  curl -s {http_url}/participant/v1/payments \\
    -H "Authorization: Bearer $BANK" -d "{{\\"fromAccountId\\":\\"dave@devb\\",\\"qr\\":\\"$QR\\"}}"

Ctrl-C stops it, PostgreSQL included.
"""
