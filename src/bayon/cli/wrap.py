"""The verb that makes key blocks: a zone PIN key, protected for its way to the other end."""

import argparse
import os
import sys
from typing import Final

from bayon.cards import ZonePinKey, wrap_key
from bayon.cli.connect import Args, add_verb, settings_of
from bayon.config import require
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
