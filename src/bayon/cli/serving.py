"""The verbs that serve until they are told to stop: a sandbox, and production."""

import argparse
from pathlib import Path

from bayon.cli.connect import Args, add_verb, settings_of
from bayon.config import BadSettings
from bayon.serve import PARTS, run_dev, run_serve


def dev_verb(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox."""
    add_verb(parser, _dev)
    for name in ("http", "https", "network"):
        parser.add_argument(f"--{name}-port", type=int, metavar="N", help="0 picks a free one")
    parser.add_argument(
        "--network-profile",
        choices=("ascii-binary", "ascii-hex", "bcd", "ebcdic"),
        help="ISO 8583 dialect (taken, unused until the card network host is here)",
    )
    parser.add_argument("--ready-file", type=Path, help="written as JSON when all answers")


def serve_verb(parser: argparse.ArgumentParser) -> None:
    """Add production."""
    add_verb(parser, _serve).add_argument(
        "--only", choices=("http", "network", "worker"), help="run this part alone"
    )


async def _dev(args: Args) -> int:
    await run_dev(settings_of(args, sandbox=True), ready_file=args.ready_file)
    return 0


async def _serve(args: Args) -> int:
    if args.only == "network":
        raise BadSettings("There is no card network host in this version yet.")
    await run_serve(settings_of(args), parts=(args.only,) if args.only else PARTS)
    return 0
