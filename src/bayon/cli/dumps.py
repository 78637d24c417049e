"""The verb on dumps of ISO 8583 messages."""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from bayon import network
from bayon.cli.connect import Args

DUMP_SIZE_MAX: Final = 16_777_216
HEX: Final = re.compile(r"\s*(?:[0-9A-Fa-f]{2}\s*){2,}")


def iso_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on ISO 8583 messages."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    describe = verbs.add_parser("describe", help="describe a dump, card data hidden")
    describe.set_defaults(verb=_iso_describe)
    describe.add_argument("dump", help="hex digits, or a file of them or of bytes; - reads input")
    describe.add_argument(
        "--profile",
        default=network.DEFAULT_PROFILE,
        metavar="NAME|FILE",
        help="how the link writes, %(default)s if not given",
    )
    describe.add_argument("--no-frame", action="store_true", help="the dump is one bare message")


async def _iso_describe(args: Args) -> int:
    profile = network.load_profile(args.profile)
    text, valid = network.describe_dump(_dump(args.dump), profile, framed=not args.no_frame)
    print(text)
    return 0 if valid else 1


def _dump(text: str) -> bytes:
    if HEX.fullmatch(text):
        return network.read_dump(text.encode())
    with sys.stdin.buffer if text == "-" else Path(text).open("rb") as stream:
        return network.read_dump(stream.read(DUMP_SIZE_MAX))
