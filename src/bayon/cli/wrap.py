"""The verbs of key blocks: a zone PIN key is protected for its way; those that came are listed."""

import argparse
import os
import sys
from typing import Final

from bayon.cards import SentKey, ZonePinKey, sent_keys, wrap_key
from bayon.cli.connect import Args, add_verb, settings_of, with_database
from bayon.config import Settings, require
from bayon.db import Database
from bayon.errors import Invalid
from bayon.log import Secret

STDIN: Final = "-"


def wrap_verb(parser: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser.add_argument(
        "variable",
        metavar="VARIABLE",
        help="the environment variable that has the key in hex; - reads it from standard input",
    )
    parser.add_argument(
        "--aes", action="store_true", help="a key of AES; if not said, one of 64 hex digits is"
    )
    parser.add_argument(
        "--version",
        choices=("D", "B"),
        default="D",
        help="what BAYON_KEY_BLOCK_KEY is of: D is AES, B is 3DES; %(default)s if not given",
    )
    add_verb(parser, _wrap)


def sent_keys_verb(parser: argparse.ArgumentParser) -> None:
    """Add the verb."""
    add_verb(parser, _list_sent)


async def _wrap(args: Args) -> int:
    settings = settings_of(args)
    require(settings, "key_block_key")
    assert settings.key_block_key is not None
    key, under = _key(args.variable), settings.key_block_key
    block = wrap_key(key, under, of_aes=args.aes, version=args.version)
    print(block)
    print(f"check value: {ZonePinKey.read(Secret(block), under).check_value()}")
    return 0


def _key(variable: str) -> Secret:
    """Take the key from where it does not show. Errors: `Invalid`, which repeats nothing."""
    text = sys.stdin.readline() if variable == STDIN else os.environ.get(variable, "")
    if not text.strip():
        raise Invalid("There is no key: name the variable that has it, or - for standard input.")
    return Secret(text.strip())


async def _list_sent(args: Args) -> int:
    async def work(db: Database, settings: Settings) -> list[tuple[SentKey, str]]:
        keys = await db.read(sent_keys)
        return [(key, _check_value(key, settings.key_block_key)) for key in keys]

    for key, value in await with_database(args, work):
        print(f"{key.link}\t{key.version}\t{key.received_at:%Y-%m-%dT%H:%M:%SZ}\t{value}")
    return 0


def _check_value(key: SentKey, under: Secret | None) -> str:
    """Tell a key's check value, if its block can be read."""
    try:
        return "unknown" if under is None else ZonePinKey.from_block(key.block, under).check_value()
    except Invalid:
        return "unreadable"
