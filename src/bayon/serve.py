"""Serving: the life of a process, from its sockets to its last connection.

`dev` owns its PostgreSQL: it starts it, brings it back when it dies, and stops it at the end.
`serve` owns nothing but itself, and refuses to begin on what belongs to a sandbox; a sandbox
refuses what is not one. Told to stop, at any moment, both first answer whoever waits.
"""

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import structlog
import trustme

from bayon import bakong, payments, sandbox
from bayon.app import Bayon, build
from bayon.cards import Vault, VaultKeys, ZonePinKey
from bayon.config import BadSettings, Settings, require
from bayon.db import Database, Tx, is_untouched, kept_secrets, migrate, read_clock
from bayon.errors import Unavailable
from bayon.keys import refuse_weak_keys, vault_keys
from bayon.listen import Server, bound, make_server, take_all_files
from bayon.log import Secret
from bayon.network import Host, KeyExchange, Link, LinkSettings, Terms, load_links, load_profile
from bayon.postgres import EmbeddedPostgres
from bayon.sandbox import Demo, Keys

Part = Literal["http", "network", "worker"]
PARTS: Final[tuple[Part, ...]] = ("http", "network", "worker")

COLLECT_AFTER: Final = (50_000, 20, 100)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a sandbox answers, and how to begin; what the ready-file holds."""

    http_url: str
    https_url: str
    tls_cert_file: str
    network_host: str
    network_port: int
    database_url: str
    cms_token: str
    other_cms_token: str
    webhook_signing_secret: str
    bakong_token: str
    participant_token: str
    zone_pin_key: str
    card_cryptogram_key: str
    pid: int


async def run_dev(settings: Settings, *, ready_file: Path | None) -> None:
    """Run a sandbox until it is told to stop: everything in one process, demo data seeded.

    Errors: `Unavailable` when a port is taken, the ready-file cannot be written, another sandbox
    runs on the data directory, or PostgreSQL does not start; `BadSettings` on a database that is
    no sandbox's.
    """
    take_all_files()
    await until_stopped(_dev(settings, ready_file))


async def run_serve(settings: Settings, *, parts: tuple[Part, ...]) -> None:
    """Run in production: the parts asked for, on your own database and keys.

    Errors: `BadSettings` when a setting is missing, a key is weak, or the database is a sandbox's;
    `Unavailable` when the port is taken or the database is away.
    """
    take_all_files()
    await until_stopped(_serve(settings, parts))


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGTERM, SIGINT or SIGHUP, which cancel the work once: it may then tidy up."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:  # nohup
            loop.add_signal_handler(number, stop.set)
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def _dev(settings: Settings, ready_file: Path | None) -> None:
    _remove(ready_file)
    _ = load_profile(settings.network_profile)  # before PostgreSQL runs for nothing, too
    with (
        bound(settings.http_host, settings.http_port) as http,  # before PostgreSQL runs for nothing
        bound(settings.http_host, settings.https_port) as https,
        bound(settings.network_host, settings.network_port) as network,
    ):
        async with _database(settings) as (url, db, guards):
            keys, demo = await _seed(db)
            bayon = build(
                settings,
                db,
                seal_keys=keys.seal_keys,
                jwt_key=keys.bakong_jwt_key,
                vault_keys=keys.vault,
            )
            links = host_links(links_of(settings), bayon.desk.vault, keys.zone_pin_key)
            ca_file, key_file = certificate(settings.data_dir / "tls")
            addresses = Addresses(
                http_url=_url("http", settings, http),
                https_url=_url("https", settings, https),
                tls_cert_file=str(ca_file.resolve()),
                network_host=settings.network_host,
                network_port=network.getsockname()[1],
                database_url=url,
                cms_token=demo.cms_token,
                other_cms_token=demo.other_cms_token,
                webhook_signing_secret=demo.webhook_signing_secret,
                bakong_token=demo.bakong_token,
                participant_token=demo.participant_token,
                zone_pin_key=keys.zone_pin_key.reveal(),
                card_cryptogram_key=keys.vault.card_cryptogram_key.reveal(),
                pid=os.getpid(),
            )
            servers = [
                make_server(bayon, settings, http),
                make_server(bayon, settings, https, key_file),
            ]
            serving = host_of(bayon, links, key_exchange(settings, db, links)).serve([network])
            work = [bayon.rail.watch_others(), serving, *_workers(bayon), *guards]
            await _run(bayon, servers, work, ready=lambda: _announce(addresses, ready_file))


async def _serve(settings: Settings, parts: tuple[Part, ...]) -> None:
    public = ("public_url",) if "http" in parts else ()
    vault = tuple(field.name for field in fields(VaultKeys))
    links = links_of(settings) if "network" in parts else []
    zone = () if all(link.zone_pin_key for link in links) else ("zone_pin_key",)
    require(settings, "database_url", "seal_keys", "bakong_jwt_key", *vault, *public, *zone)
    assert settings.database_url is not None
    assert settings.seal_keys is not None
    assert settings.bakong_jwt_key is not None
    own = {link.name: link.zone_pin_key for link in links if link.zone_pin_key is not None}
    refuse_weak_keys(settings, of_links=own)
    with contextlib.ExitStack() as stack:
        listeners = []
        if "http" in parts:
            listeners = [stack.enter_context(bound(settings.http_host, settings.http_port))]
        ports = [
            stack.enter_context(bound(link.host, link.port)) for link in links if link.peer is None
        ]
        db = await Database.connect(settings.database_url.reveal(), size_max=settings.pool_size_max)
        try:
            await db.transaction(_refuse_sandbox)  # first: what is refused is left as it is
            await migrate(db)
            bayon = build(
                settings,
                db,
                seal_keys=settings.seal_keys,
                jwt_key=settings.bakong_jwt_key,
                vault_keys=vault_keys(settings),
            )
            work = [bayon.rail.watch_others()] if listeners else []
            work += _workers(bayon) if "worker" in parts else []
            if links:
                served = host_links(
                    links, bayon.desk.vault, settings.zone_pin_key, settings.key_block_key
                )
                exchange = key_exchange(settings, db, served)
                work.append(host_of(bayon, served, exchange).serve(ports))
            servers = [make_server(bayon, settings, listener) for listener in listeners]
            port = listeners[0].getsockname()[1] if listeners else None
            await _run(bayon, servers, work, ready=lambda: log.info("ready", port=port))
        finally:
            await db.close()


def links_of(settings: Settings) -> list[LinkSettings]:
    """List the links to card networks: those of the file, else one. Errors: `BadLinks`."""
    if settings.network_links is not None and not settings.sandbox:
        return load_links(settings.network_links, os.environ)
    return [
        LinkSettings(
            name="default",
            host=settings.network_host,
            port=settings.network_port,
            profile=settings.network_profile,
        )
    ]


def host_of(bayon: Bayon, links: Sequence[Link], exchange: KeyExchange | None) -> Host:
    """Make the host of these links, which `/metrics` tells of."""
    bayon.metrics.watch(links)
    return Host(bayon.desk, links, observe=bayon.metrics.answered, keys=exchange)


def key_exchange(settings: Settings, db: Database, links: Sequence[Link]) -> KeyExchange | None:
    """Let networks send zone PIN keys, on links whose profile says how. Errors: `BadSettings`."""
    configured = {
        link.terms.link: link.terms.zone_pin_key
        for link in links
        if link.terms.profile.key_exchange is not None
    }
    if not configured:
        return None
    require(settings, "key_block_key")
    assert settings.key_block_key is not None
    return KeyExchange(
        db,
        under=settings.key_block_key,
        configured=configured,
        judge=lambda link, key: refuse_weak_keys(settings, of_links={link: key}),
    )


def host_links(
    links: Sequence[LinkSettings],
    vault: Vault,
    zone_pin_key: Secret | None,
    key_block_key: Secret | None = None,
) -> list[Link]:
    """Make links ready to serve: profiles loaded, keys read. Errors: `BadProfile`, `Invalid`."""
    made: list[Link] = []
    for link in links:
        key = link.zone_pin_key or zone_pin_key
        terms = Terms(
            link=link.name,
            profile=load_profile(link.profile),
            vault=vault,
            zone_pin_key=None if key is None else ZonePinKey.read(key, key_block_key),
        )
        made.append(
            Link(
                terms=terms,
                peer=link.peer,
                allow=link.allow,
                connections_max=link.connections_max,
                in_flight_max=link.in_flight_max,
            )
        )
    return made


def _workers(bayon: Bayon) -> list[Coroutine[Any, Any, None]]:
    """List what claims rows and does them, in whichever process it may be."""
    return [bayon.rail.work(), bayon.desk.work(), bayon.courier.work()]


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make the sandbox's certificate once; returns the authority's file and the server's."""
    ca_file, key_file = folder / "ca.pem", folder / "server.pem"
    if ca_file.exists() and key_file.exists():
        return ca_file, key_file
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}.new-", dir=folder.parent))
    try:
        authority = trustme.CA(organization_name="Bayon sandbox")
        server = authority.issue_cert("localhost", "127.0.0.1", "::1")
        (fresh / key_file.name).touch(mode=0o600)
        server.private_key_and_cert_chain_pem.write_to_path(str(fresh / key_file.name))
        authority.cert_pem.write_to_path(str(fresh / ca_file.name))
        fresh.chmod(0o755)  # the authority's certificate is for everybody
        fresh.rename(folder)  # both or neither, whenever we are killed
    except OSError:
        if not (ca_file.exists() and key_file.exists()):  # unless another start was first
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
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
    with _only_one(settings.data_dir):
        postgres = EmbeddedPostgres(settings.data_dir)
        try:
            url = await postgres.start()
            db = await Database.connect(url, size_max=settings.pool_size_max)
            try:
                yield url, db, [postgres.watch()]
            finally:
                await db.close()
        finally:
            await postgres.stop()


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Generator[None]:
    """Keep a second sandbox out: ending, it would take our PostgreSQL with it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Unavailable(f"Another `bayon dev` runs on {data_dir}.") from error
    finally:
        os.close(descriptor)


async def _seed(db: Database) -> tuple[Keys, Demo]:
    await migrate(db)
    await db.transaction(_refuse_production)
    keys = await db.transaction(sandbox.keep_keys)

    async def work(tx: Tx) -> Demo:
        now = (await read_clock(tx)).now()
        return await sandbox.seed(
            tx,
            now=now,
            make_token=_token_maker(keys.bakong_jwt_key),
            vault=Vault(keys.vault),
        )

    return keys, await db.transaction(work)


def _token_maker(key: Secret) -> sandbox.TokenMaker:
    def make_token(*, integrator_id: str, now: datetime, ttl: timedelta) -> str:
        return bakong.tokens.make(key, integrator_id=integrator_id, now=now, ttl=ttl)

    return make_token


async def _refuse_sandbox(tx: Tx) -> None:
    if await is_untouched(tx):
        return
    if (await read_clock(tx)).offset or await kept_secrets(tx):
        raise BadSettings("This database is a sandbox's: production wants one of its own.")


async def _refuse_production(tx: Tx) -> None:
    if not await kept_secrets(tx) and await payments.participants(tx):
        raise BadSettings("This database is in use, and is no sandbox's: a sandbox wants its own.")


async def _run(
    bayon: Bayon,
    servers: Sequence[Server],
    work: Sequence[Coroutine[Any, Any, None]],
    *,
    ready: Callable[[], object],
) -> None:
    """Run until cancelled: answer what is being answered, then let go of everything."""
    workers = [asyncio.create_task(coroutine) for coroutine in work]
    serving = [asyncio.create_task(s.serve(sockets=[s.listener])) for s in servers]
    tasks = [*workers, *serving]
    try:
        while not (all(s.started for s in servers) or any(t.done() for t in tasks)):  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.005)
        if not any(t.done() for t in tasks):
            spare_the_collector()
            ready()
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for server in servers:
            server.should_exit = True
        bayon.rail.watch.let_go()
        if serving:
            await asyncio.wait(serving)
        for task in workers:
            task.cancel()
        await asyncio.wait(workers)


def spare_the_collector() -> None:
    """Let the garbage collector pass over what lives as long as we do, and come less often.

    Requests leave few cycles; looking at everything ever imported again and again was a tenth of a
    payment's processor time, and most of its longest pauses.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _url(scheme: str, settings: Settings, listener: socket.socket) -> str:
    everywhere = {"127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104 - told apart, not bound
    host = "localhost" if settings.http_host in everywhere else settings.http_host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _remove(ready_file: Path | None) -> None:
    if ready_file is not None:
        try:
            ready_file.parent.mkdir(parents=True, exist_ok=True)
            ready_file.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"The ready-file cannot be written: {error}.") from error


def _announce(addresses: Addresses, ready_file: Path | None) -> None:
    if ready_file is not None:
        written = ready_file.with_name(f"{ready_file.name}.new-{addresses.pid}")
        written.touch(mode=0o600)
        written.write_text(json.dumps(addresses.__dict__, indent=2) + "\n")
        written.rename(ready_file)
    shown = {**addresses.__dict__, "database_url": PASSWORD.sub("***", addresses.database_url)}
    print(WELCOME.format(**shown), flush=True)  # noqa: T201 - what `make run` is for


PASSWORD: Final = re.compile(r"(?<=:)(?!//)[^:@/]*(?=@)")

WELCOME: Final = """
Bayon is ready: a Bakong Open API you can pay in, and card management.

  HTTP      {http_url}          (browse the API: {http_url}/docs)
  HTTPS     {https_url}          (certificate: {tls_cert_file})
  ISO 8583  {network_host}:{network_port}          (pay by card: bayon acquirer)
  database  {database_url}

  export BAKONG={bakong_token}
  export BANK={participant_token}
  export CARDS={cms_token}

Is a QR paid? Not yet:

  QR=$(.venv/bin/bayon khqr make --account bridge_account@devb --name "Coffee Klaing" --amount 1)
  MD5=$(printf %s "$QR" | md5sum | cut -d' ' -f1)
  curl -s {http_url}/v1/check_transaction_by_md5 \\
    -H "Authorization: Bearer $BAKONG" -d "{{\\"md5\\":\\"$MD5\\"}}"

Pay it as a bank would:

  curl -s {http_url}/participant/v1/payments \\
    -H "Authorization: Bearer $BANK" -d "{{\\"fromAccountId\\":\\"dave@devb\\",\\"qr\\":\\"$QR\\"}}"

Then ask again as above: now it is paid.

Card management: an account with 100.00 USD, and its card.

  curl -sg {http_url}/v1/accounts -H "Authorization: Bearer $CARDS"

Ctrl-C stops it, PostgreSQL included.
"""
