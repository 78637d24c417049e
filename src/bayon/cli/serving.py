"""The verbs that serve until they are told to stop: a sandbox, and production."""

import argparse
from pathlib import Path

from bayon.cli.connect import Args, add_verb, settings_of
from bayon.serve import PARTS, run_dev, run_serve


def dev_verb(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox."""
    add_verb(parser, _dev)
    for name in ("http", "https", "network"):
        parser.add_argument(f"--{name}-port", type=int, metavar="N", help="0 picks a free one")
    parser.add_argument(
        "--network-profile",
        metavar="NAME|FILE",
        help="ISO 8583 dialect: ascii-binary, ascii-hex, bcd, ebcdic, or a file of your own",
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
    await run_serve(settings_of(args), parts=(args.only,) if args.only else PARTS)
    return 0
