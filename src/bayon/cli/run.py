"""The command line. Verbs connect to a database; only `dev` starts one."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bayon.app import check
from bayon.cli.codes import iso_verbs, khqr_verbs
from bayon.cli.connect import Args, Verb, add_verb, settings_of, with_database
from bayon.cli.owners import cardholders_verbs, issuers_verbs, participants_verbs, tokens_verbs
from bayon.cli.rates import rates_verbs
from bayon.cli.rotate import vault_verbs
from bayon.cli.webhooks import webhooks_verbs
from bayon.config import BadSettings
from bayon.db import migrate
from bayon.errors import BayonError, Invalid
from bayon.keys import check_values
from bayon.serve import PARTS, run_dev, run_serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    args = _parser().parse_args(argv)
    verb: Verb = args.verb

    async def run() -> int:
        return await verb(args)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())
    except Invalid as error:
        lines = [f"  {p.message}" for p in error.problems if p.message != error.message]
        print("\n".join((f"bayon: {error.message}", *lines)), file=sys.stderr)
    except BayonError as error:
        print(f"bayon: {error.message}", file=sys.stderr)
    except OSError as error:
        print(f"bayon: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bayon", description="A payments core for Cambodia.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _dev_verb(verbs.add_parser("dev", help="run a sandbox, its PostgreSQL included"))
    _serve_verb(verbs.add_parser("serve", help="run in production, on your own database"))
    for name, verb, says in (
        ("migrate", _migrate, "bring the database's schema up to date"),
        ("check", _check, "recompute every balance; says what is not as it must be"),
        ("config", _config, "show the settings as they take effect, secrets as ***"),
    ):
        add_verb(verbs.add_parser(name, help=says), verb)
    participants_verbs(verbs.add_parser("participants", help="banks: create, list"))
    issuers_verbs(verbs.add_parser("issuers", help="issuers of cards: create, list"))
    cardholders_verbs(verbs.add_parser("cardholders", help="reviews: waiting, approve, reject"))
    tokens_verbs(verbs.add_parser("tokens", help="access tokens: create, list, revoke"))
    rates_verbs(verbs.add_parser("rates", help="exchange rates: set, list, import"))
    webhooks_verbs(verbs.add_parser("webhooks", help="list, create, listen, replay"))
    vault_verbs(verbs.add_parser("vault", help="the key of card numbers: rotate, new-key"))
    khqr_verbs(verbs.add_parser("khqr", help="KHQR codes: make, read"))
    iso_verbs(verbs.add_parser("iso", help="ISO 8583 messages: describe"))
    return parser


def _dev_verb(parser: argparse.ArgumentParser) -> None:
    add_verb(parser, _dev)
    for name in ("http", "https", "network"):
        parser.add_argument(f"--{name}-port", type=int, metavar="N", help="0 picks a free one")
    parser.add_argument(
        "--network-profile",
        choices=("ascii-binary", "ascii-hex", "bcd", "ebcdic"),
        help="ISO 8583 dialect (taken, unused until the card network host is here)",
    )
    parser.add_argument("--ready-file", type=Path, help="written as JSON when all answers")


def _serve_verb(parser: argparse.ArgumentParser) -> None:
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


async def _migrate(args: Args) -> int:
    applied = await with_database(args, lambda db, _: migrate(db), migrated=False)
    print("\n".join(applied) or "The schema is up to date.")
    return 0


async def _check(args: Args) -> int:
    started = time.monotonic()
    found = await with_database(
        args, lambda db, _: db.transaction(check, isolation="repeatable_read")
    )
    for finding in found:
        print(f"NOT TRUE: {finding.invariant}: {finding.subject}")
    seconds = time.monotonic() - started
    print(f"{len(found)} findings" if found else f"All invariants hold ({seconds:.1f} s).")
    return 1 if found else 0


async def _config(args: Args) -> int:
    settings = settings_of(args)
    for name, value in settings.redacted().items():
        print(f"BAYON_{name.upper()}={value}")
    for name, value in check_values(settings).items():
        print(f"# check value of {name}: {value}")
    return 0
