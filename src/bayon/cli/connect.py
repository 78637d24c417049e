"""Connecting: the settings and the database a verb works on, and how verbs are added."""

import argparse
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from bayon import log
from bayon.config import Settings, require
from bayon.db import Database, Tx, read_secret, require_migrated
from bayon.errors import Unavailable
from bayon.log import Secret
from bayon.postgres import url_of
from bayon.seal import Sealer

DEV_LIMIT_PER_S: Final = 10_000

T = TypeVar("T")
Args = argparse.Namespace
Verb = Callable[[Args], Awaitable[int]]


def add_verb(parser: argparse.ArgumentParser, verb: Verb) -> argparse.ArgumentParser:
    """Let a parser run a verb on a database."""
    parser.add_argument("--data-dir", type=Path, help="where `bayon dev` keeps its PostgreSQL")
    parser.set_defaults(verb=verb)
    return parser


def settings_of(args: Args, *, sandbox: bool = False) -> Settings:
    """Read the settings, and set up the log. Errors: `BadSettings`."""
    env = dict(os.environ)
    if sandbox:
        for name in ("TOKEN", "ADDRESS"):
            env.setdefault(f"BAYON_RATE_LIMIT_{name}_PER_S", str(DEV_LIMIT_PER_S))
        env.setdefault("BAYON_LOG_FORMAT", "console")
        env.setdefault("BAYON_BAKONG_RENEWAL", "documented")
        env.setdefault("BAYON_KYC_DOCUMENTS", "optional")
    settings = Settings.from_env(
        env,
        sandbox=sandbox,
        data_dir=args.data_dir,
        http_port=getattr(args, "http_port", None),
        https_port=getattr(args, "https_port", None),
        network_port=getattr(args, "network_port", None),
        network_profile=getattr(args, "network_profile", None),
    )
    log.configure(json=settings.log_format == "json", level=settings.log_level)
    return settings


async def with_database(
    args: Args, work: Callable[[Database, Settings], Awaitable[T]], *, migrated: bool = True
) -> T:
    """Connect to the database named by the environment, or to that of a running `bayon dev`."""
    settings = settings_of(args)
    url = settings.database_url.reveal() if settings.database_url else await _sandbox_url(settings)
    db = await Database.connect(url, size_max=2)
    try:
        if migrated:
            await require_migrated(db)
        return await work(db, settings)
    finally:
        await db.close()


async def _sandbox_url(settings: Settings) -> str:
    try:
        return await url_of(settings.data_dir)
    except Unavailable as error:
        raise Unavailable(
            f"{error.message} Start `bayon dev`, name another --data-dir, or set "
            "BAYON_DATABASE_URL."
        ) from error


async def jwt_key_of(tx: Tx, settings: Settings) -> Secret:
    """Find the key of the Open API's tokens: the settings', else the sandbox's own."""
    if settings.bakong_jwt_key is None and (kept := await read_secret(tx, name="bakong_jwt_key")):
        return Secret(kept)
    require(settings, "bakong_jwt_key")
    assert settings.bakong_jwt_key is not None
    return settings.bakong_jwt_key


async def is_sandbox(tx: Tx) -> bool:
    """Tell whether this database is a sandbox's, which has keys of its own."""
    return await read_secret(tx, name="seal_keys") is not None


async def sealer_of(tx: Tx, settings: Settings) -> Sealer:
    """Make what opens this database's sealed values: by the sandbox's own keys, else by yours."""
    if kept := await read_secret(tx, name="seal_keys"):
        return Sealer.from_text(kept)
    require(settings, "seal_keys")
    assert settings.seal_keys is not None
    return Sealer.from_text(settings.seal_keys.reveal())
