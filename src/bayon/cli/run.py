"""The command line. Verbs connect to a database; only `dev` starts one.

A verb's module is loaded when it is asked for: whoever makes a code waits for no web server.
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, cast

import uvloop

from bayon.errors import BayonError, Invalid

VERBS: Final = (
    ("dev", "serving", "dev_verb", "run a sandbox, its PostgreSQL included"),
    ("serve", "serving", "serve_verb", "run in production, on your own database"),
    ("migrate", "migrate", "migrate_verb", "bring the database's schema up to date"),
    ("check", "check", "check_verb", "recompute every balance; says what is not as it must be"),
    ("config", "settings", "config_verb", "show the settings as they take effect, secrets as ***"),
    ("participants", "participants", "participants_verbs", "banks: create, list"),
    ("issuers", "issuers", "issuers_verbs", "issuers of cards: create, list"),
    ("cardholders", "issuers", "cardholders_verbs", "reviews: waiting, approve, reject"),
    ("tokens", "access", "tokens_verbs", "access tokens: create, list, revoke"),
    ("cards", "production", "cards_verbs", "physical cards, for their bureau: export, exports"),
    ("rates", "rates", "rates_verbs", "exchange rates: set, list, import"),
    ("clearing", "clearing", "clearing_verbs", "what was cleared: import, unmatched, report"),
    ("webhooks", "webhooks", "webhooks_verbs", "list, create, listen, replay"),
    ("vault", "rotate", "vault_verbs", "keys: rotate, new-key, wrap, sent-keys"),
    ("khqr", "codes", "khqr_verbs", "KHQR codes: make, read"),
    ("iso", "dumps", "iso_verbs", "ISO 8583 messages: describe"),
    ("acquirer", "acquirer", "acquirer_verbs", "a shop's bank: purchase, reverse, load, echo"),
)
"""Each verb: the module here that has it, the function that adds it to a parser, what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    args = _parser(next(iter(words), None)).parse_args(words)

    async def run() -> int:
        return cast("int", await args.verb(args))

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())
    except Invalid as error:
        lines = [f"  {p.message}" for p in error.problems if p.message != error.message]
        print("\n".join((f"bayon: {error.message}", *lines)), file=sys.stderr)
    except BayonError as error:
        print(f"bayon: {error.message}", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"bayon: {where}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser(asked: str | None) -> argparse.ArgumentParser:
    """Make a parser that knows each verb by name, and the one that is asked for in full."""
    parser = argparse.ArgumentParser(prog="bayon", description="A payments core for Cambodia.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, module, add, says in VERBS:
        of_verb = verbs.add_parser(name, help=says)
        if name == asked:
            _loaded(module, add)(of_verb)
    return parser


def _loaded(module: str, add: str) -> Callable[[argparse.ArgumentParser], None]:
    gc.disable()  # nothing is garbage yet: to look for it was a fifth of every start
    try:
        loaded = import_module(f"bayon.cli.{module}")
    finally:
        gc.enable()
    return cast("Callable[[argparse.ArgumentParser], None]", getattr(loaded, add))
