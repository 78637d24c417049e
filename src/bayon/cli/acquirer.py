"""The acquirer's verbs: a shop's bank on the other end of the link, with a terminal and a card.

Ends with 0 if approved, 1 if declined, 2 if what is asked for cannot be, 3 without an answer.
Writes nothing down: what later messages must say of this one stands on the slip, as one word.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bayon.cli import slip, terminal
from bayon.cli.connect import Args
from bayon.cli.slip import Exchange
from bayon.errors import Invalid
from bayon.network import (
    Caller,
    Load,
    Message,
    NoAnswer,
    Profile,
    acquirer,
    load_profile,
    prepared,
    run_load,
)
from bayon.network.acquirer import Kind, Original, Stamp

DECLINED, WRONG, NO_ANSWER = 1, 2, 3
CONNECT_S: Final = 5.0

Make = Callable[[Args, Profile, Stamp], Message]


def acquirer_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of an acquirer."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, help_, make, amount in (
        ("purchase", "ask for an amount", _asking("purchase"), "what is paid"),
        ("withdraw", "draw cash, decided and posted at once", _asking("withdraw"), "what is drawn"),
        ("refund", "give money back, no purchase named", _asking("refund"), "what is given"),
        ("inquire", "ask for the balance", _asking("inquire"), ""),
        ("verify", "ask whether the card is good, for no amount", _asking("verify"), ""),
    ):
        verb = _card_verb(verbs.add_parser(name, help=help_), make, amount, required=bool(amount))
        terminal.add_chip_options(verb)
        verb.add_argument(
            "--cvv2", action="store_true", help="send the printed code; asks, or ACQUIRER_CVV2"
        )
        verb.add_argument("--single", action="store_true", help="a 0200: posted at once")
        verb.add_argument("--partial", action="store_true", help="a part of it would do")
    for name, help_, make, amount in (
        ("increment", "ask for more on an authorisation", _increment, "what is added"),
        ("reverse", "take a message back, in whole or in part", _reverse, "what is taken back"),
        ("complete", "post what was authorised, or was not", _complete, "what is posted"),
        ("advise", "tell what was approved in the issuer's stead", _advise, "what is held"),
    ):
        about = name in {"increment", "reverse"}
        verb = _card_verb(
            verbs.add_parser(name, help=help_), make, amount, required=name == "increment"
        )
        verb.add_argument(
            *("--original",),
            type=_original,
            required=about,
            metavar="WORD",
            help="the word on its slip" + ("" if about else ", if there is one"),
        )
        if name == "reverse":
            verb.add_argument("--advice", action="store_true", help="a 0420, not a 0400")
    for name in ("echo", "sign-on", "sign-off"):
        _link_verb(verbs.add_parser(name, help="of the link itself"), _managing(name))
    _load_verb(verbs.add_parser("load", help="ask as fast as answers come, or at a rate"))


def _link_verb(verb: argparse.ArgumentParser, make: Make) -> argparse.ArgumentParser:
    verb.set_defaults(verb=_speak, make=make, chip=False)
    terminal.add_link_options(verb)
    verb.add_argument("--timeout-s", type=float, default=10.0, help="%(default)s")
    verb.add_argument("--stan", type=terminal.matching("[0-9]{6}", "six digits"), help="else any")
    verb.add_argument("--repeat", type=int, default=0, metavar="N", help="say it so often again")
    return verb


def _card_verb(
    verb: argparse.ArgumentParser, make: Make, amount: str, *, required: bool
) -> argparse.ArgumentParser:
    _link_verb(verb, make)
    terminal.add_card_options(verb)
    verb.add_argument(
        "--pin", action="store_true", help="send a PIN; asks, or ACQUIRER_PIN says it"
    )
    terminal.add_place_options(verb)
    verb.set_defaults(amount=None, currency=None)
    if amount:
        terminal.add_amount_options(verb, required=required, says=amount)
    return verb


def _load_verb(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(verb=_load, pin=False, chip=False)
    terminal.add_link_options(verb)
    terminal.add_card_options(verb)
    verb.add_argument("--cards", type=Path, metavar="FILE", help="card numbers, one a line")
    terminal.add_place_options(verb)
    terminal.add_amount_options(verb, required=False, says="of each, 0.01 if not given")
    verb.add_argument("--what", choices=("purchase", "withdraw", "verify"), default="purchase")
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--in-flight", type=_whole, default=64, metavar="N", help="%(default)s")
    how.add_argument(
        "--rate", type=float, default=0.0, metavar="N", help="a second, as Poisson says"
    )
    verb.add_argument("--seconds", type=float, default=10.0, help="%(default)s")
    verb.add_argument("--warm-s", type=float, default=0.5, help="before them, %(default)s")
    verb.add_argument("--links", type=_whole, default=1, metavar="K", help="%(default)s")


async def _speak(args: Args) -> int:
    """Send one message, and its repeats; print the slip."""
    try:
        profile = load_profile(args.profile)
        message = args.make(args, profile, _stamp(args))
        exchange = await _exchange(args, profile, message)
    except NoAnswer as error:
        return _failed(error.message, NO_ANSWER)
    except Invalid as error:
        return _failed(error.message, WRONG)
    print((slip.as_json if args.json else slip.as_text)(exchange))
    return NO_ANSWER if exchange.failure else 0 if exchange.approved else DECLINED


async def _exchange(args: Args, profile: Profile, message: Message) -> Exchange:
    host, port, *_ = terminal.address(args)
    caller = await Caller.open(host, port, profile, timeout_s=CONNECT_S)
    answers: list[Message] = []
    began, took_s, failure = time.perf_counter(), 0.0, ""
    try:
        for again in range(1 + args.repeat):
            said = acquirer.repeated(message) if again else message
            answers.append(await caller.ask(said, timeout_s=args.timeout_s))
            took_s = took_s or time.perf_counter() - began
    except NoAnswer as error:
        failure = error.message
    finally:
        caller.close()
    return Exchange(
        profile=profile,
        sent=message,
        answers=answers,
        took_ms=took_s * 1_000,
        failure=failure,
        chip=terminal.chip(args),
    )


async def _load(args: Args) -> int:
    """Load a host; print what came of it."""
    try:
        loaded = await run_load(_wanted(args))
    except NoAnswer as error:
        return _failed(error.message, NO_ANSWER)
    except Invalid as error:
        return _failed(error.message, WRONG)
    print((slip.load_as_json if args.json else slip.load_as_text)(loaded))
    return 0 if loaded.answers and not loaded.unanswered else NO_ANSWER


def _wanted(args: Args) -> Load:
    profile, where = load_profile(args.profile), terminal.place(args)
    kind: Kind = args.what
    paid = terminal.amount(args)
    if args.amount is None and kind != "verify":
        paid = paid._replace(minor=1)
    host, port, *_ = terminal.address(args)
    at = Stamp(datetime.now(UTC), 0)
    return Load(
        host=host,
        port=port,
        profile=profile,
        requests=[
            prepared(acquirer.request(kind, card, paid, where, at, profile=profile), profile)
            for card in terminal.cards_of(args)
        ],
        seconds=args.seconds,
        warm_s=args.warm_s,
        links=args.links,
        in_flight=args.in_flight,
        rate_per_s=args.rate,
    )


def _asking(kind: Kind) -> Make:
    def make(args: Args, profile: Profile, stamp: Stamp) -> Message:
        return acquirer.request(
            kind,
            terminal.with_cvv2(args, terminal.plastic(args, needed=True), profile),
            terminal.amount(args),
            terminal.place(args),
            stamp,
            profile=profile,
            single=args.single,
            partial=args.partial,
        )

    return make


def _increment(args: Args, _: Profile, stamp: Stamp) -> Message:
    added = terminal.amount(args, args.original.amount)
    card = terminal.plastic(args, needed=True)
    return acquirer.increment(args.original, card, added, terminal.place(args), stamp)


def _reverse(args: Args, _: Profile, stamp: Stamp) -> Message:
    whole = args.original.amount
    back = terminal.amount(args, whole)
    if back.currency != whole.currency or back.minor > whole.minor:
        raise Invalid("No more can be taken back than there was, and in its currency.")
    return acquirer.reversal(
        args.original,
        terminal.plastic(args, needed=False),
        terminal.place(args),
        stamp,
        remaining_minor=whole.minor - back.minor,
        advice=args.advice,
    )


def _complete(args: Args, _: Profile, stamp: Stamp) -> Message:
    return _telling(args, stamp, final=True)


def _advise(args: Args, _: Profile, stamp: Stamp) -> Message:
    return _telling(args, stamp, final=False)


def _telling(args: Args, stamp: Stamp, *, final: bool) -> Message:
    original: Original | None = args.original
    if original is None and args.amount is None:
        raise Invalid("How much? --amount says it, or --original.")
    card = terminal.plastic(args, needed=original is None)
    told, where = terminal.amount(args, original.amount if original else None), terminal.place(args)
    if original is None:
        code = f"{secrets.randbelow(10**6):06d}"
        original = acquirer.approved_offline(where, told, stamp, approval_code=code)
    return acquirer.told_later(original, card, told, where, stamp, final=final)


def _managing(what: str) -> Make:
    return lambda _args, _profile, stamp: acquirer.management(what, stamp)


def _stamp(args: Args) -> Stamp:
    stan = args.stan or secrets.randbelow(acquirer.STAN_MAX) + 1
    return Stamp(datetime.now(UTC), int(stan))


def _original(text: str) -> Original:
    try:
        return acquirer.read_original(text)
    except Invalid as error:
        raise argparse.ArgumentTypeError("must be the word on a slip") from error


def _whole(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


def _failed(why: str, code: int) -> int:
    print(f"bayon: {why}", file=sys.stderr)
    return code
