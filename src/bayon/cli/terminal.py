"""The terminal: what is told it of link, card, place and amount, by options or more quietly.

A card number, a PIN, a code and a key are better not said on the command line, where others see
them: the environment (`ACQUIRER_PAN`, `ACQUIRER_PIN`, `ACQUIRER_CVV2`, `BAYON_ZONE_PIN_KEY`,
`BAYON_CARD_CRYPTOGRAM_KEY`) and standard input tell them as well. Whatever is said of them becomes
a `Secret` where it is read.
"""

import argparse
import getpass
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bayon import network
from bayon.cards import ChipCard, ZonePinKey, encipher_pin_block
from bayon.cli.connect import Args
from bayon.errors import Invalid
from bayon.iso4217 import IsoCurrency, by_code, by_number
from bayon.log import Secret
from bayon.network import Profile
from bayon.network.acquirer import Amount, Place, Plastic

HOST: Final = "127.0.0.1"
PORT: Final = 8583
AMOUNT_MINOR_END: Final = 10**12

_PAN: Final = re.compile(r"[0-9]{12,19}")
_TRACK: Final = re.compile(r"([0-9]{12,19})[=D][0-9=D]*")


class Card(NamedTuple):
    """What is said of a card: its number, and the track it was read of, if it was."""

    pan: Secret
    track2: Secret | None = None


class Address(NamedTuple):
    """Where the host is, and what it shares with us."""

    host: str
    port: int
    zone_pin_key: Secret | None
    card_cryptogram_key: Secret | None


class _Ready(msgspec.Struct):
    """What a sandbox's ready-file says of its link, and of its cards."""

    network_host: str
    network_port: int
    zone_pin_key: str
    card_cryptogram_key: str = ""


def add_link_options(verb: argparse.ArgumentParser) -> None:
    """Let a verb be told of the link."""
    verb.add_argument("--host", default=HOST, help="%(default)s")
    verb.add_argument("--port", type=int, default=PORT, help="%(default)s")
    verb.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="a sandbox's: host, port, keys"
    )
    verb.add_argument(
        "--profile", default=network.DEFAULT_PROFILE, metavar="NAME|FILE", help="%(default)s"
    )
    verb.add_argument("--json", action="store_true", help="for programs")


def add_card_options(verb: argparse.ArgumentParser) -> None:
    """Let a verb be told of the card."""
    read = verb.add_mutually_exclusive_group()
    read.add_argument("--pan", type=_card, help="card number; - reads it; else ACQUIRER_PAN")
    read.add_argument("--track2", type=_track, metavar="TRACK", help="the stripe's; - reads it")
    verb.add_argument(
        "--exp",
        type=matching("[0-9]{2}(?:0[1-9]|1[0-2])", "YYMM"),
        metavar="YYMM",
        help="its expiry",
    )


def add_chip_options(verb: argparse.ArgumentParser) -> None:
    """Let a verb be told of the card's chip."""
    verb.add_argument("--chip", action="store_true", help="have the card's chip sign it")
    verb.add_argument("--atc", type=int, metavar="N", help="which use of the chip it is; each once")
    verb.add_argument(
        *("--psn",), default="00", type=matching("[0-9]{2}", "two digits"), help="%(default)s"
    )
    verb.add_argument("--cvn", type=int, choices=(10, 18), default=18, help="%(default)s")


def add_place_options(verb: argparse.ArgumentParser) -> None:
    """Let a verb be told where the card is used."""
    usual = Place()
    words: tuple[tuple[str, str, str, str], ...] = (
        ("acquirer", usual.acquirer, "[0-9]{1,11}", "1 to 11 digits"),
        ("terminal", usual.terminal, "[ -~]{1,8}", "1 to 8 characters"),
        ("merchant", usual.name, "[ -~]{1,25}", "1 to 25 characters"),
        ("merchant-number", usual.merchant_number, "[ -~]{1,15}", "1 to 15 characters"),
        ("city", usual.city, "[ -~]{1,13}", "1 to 13 characters"),
        ("country", usual.country, "[A-Z]{2}", "two capital letters"),
        ("mcc", usual.mcc, "[0-9]{4}", "four digits"),
    )
    for name, default, form, says in words:
        verb.add_argument(
            f"--{name}", default=default, type=matching(form, says), help=f"{says}; %(default)s"
        )


def add_amount_options(verb: argparse.ArgumentParser, *, required: bool, says: str) -> None:
    """Let a verb be told an amount."""
    verb.add_argument("--amount", required=required, help=f"{says}, as people write it: 12.34")
    verb.add_argument("--currency", type=_currency, help="of ISO 4217: USD")


def matching(form: str, says: str) -> Callable[[str], str]:
    """Make what judges an option's words."""

    def judge(text: str) -> str:
        if re.fullmatch(form, text):
            return text
        raise argparse.ArgumentTypeError(f"must be {says}")

    return judge


def address(args: Args) -> Address:
    """Tell where the host is. Errors: `Invalid`."""
    key, of_chips = map(os.environ.get, ("BAYON_ZONE_PIN_KEY", "BAYON_CARD_CRYPTOGRAM_KEY"))
    if args.ready_file is None:
        return Address(args.host, args.port, _secret(key), _secret(of_chips))
    try:
        ready = msgspec.json.decode(args.ready_file.read_bytes(), type=_Ready)
    except (OSError, msgspec.MsgspecError):
        raise Invalid(f"{args.ready_file} is no ready-file of a sandbox that runs.") from None
    return Address(
        ready.network_host,
        ready.network_port,
        _secret(key or ready.zone_pin_key),
        _secret(of_chips or ready.card_cryptogram_key),
    )


def plastic(args: Args, *, needed: bool) -> Plastic:
    """Tell the card, its PIN enciphered and its chip there if asked for. Errors: `Invalid`."""
    card = _of_card(args)
    if card is None:
        if needed or args.pin:
            raise Invalid("Which card? --pan, --track2 or ACQUIRER_PAN says it.")
        return Plastic()
    read = Plastic(
        pan=None if card.track2 else card.pan,
        track2=card.track2,
        expiry=args.exp,
        chip=chip(args),
    )
    return replace(read, pin_block=_pin_block(args, card.pan)) if args.pin else read


def with_cvv2(args: Args, card: Plastic, profile: Profile) -> Plastic:
    """Tell the code printed on the card too, if it is asked for. Errors: `Invalid`."""
    if not args.cvv2:
        return card
    if profile.cvv2 is None:
        raise Invalid("Where does a CVV2 go? --profile names a file whose [cvv2] says it.")
    text = _typed("ACQUIRER_CVV2", "CVV2: ")
    if not re.fullmatch("[0-9]{3}", text):
        raise Invalid("A CVV2 has three digits.")
    return replace(card, cvv2=Secret(text))


def chip(args: Args) -> ChipCard | None:
    """Tell the card's chip, if it is to be used. Errors: `Invalid`."""
    card = _of_card(args) if args.chip else None
    if card is None:
        return None
    key = address(args).card_cryptogram_key
    if key is None:
        raise Invalid("Of which key is its own? BAYON_CARD_CRYPTOGRAM_KEY or --ready-file says it.")
    if args.atc is None:
        raise Invalid("Which use of the chip is it? --atc says it, higher each time.")
    return ChipCard(pan=card.pan, key=key, counter=args.atc, psn=args.psn, version=args.cvn)


def cards_of(args: Args) -> list[Plastic]:
    """Tell the cards of a load: one number a line of a file, else the one card."""
    if args.cards is None:
        return [plastic(args, needed=True)]
    try:
        text: str = sys.stdin.read() if args.cards == Path("-") else args.cards.read_text()
        return [Plastic(pan=_card(line).pan) for line in text.split()]
    except argparse.ArgumentTypeError as error:
        raise Invalid(f"{args.cards}: a line {error}.") from None
    except (OSError, ValueError):
        raise Invalid(f"{args.cards} is no file that can be read.") from None


def place(args: Args) -> Place:
    """Tell where the card is used."""
    return Place(
        acquirer=args.acquirer,
        terminal=args.terminal,
        merchant_number=args.merchant_number,
        name=args.merchant,
        city=args.city,
        country=args.country,
        mcc=args.mcc,
    )


def amount(args: Args, usual: Amount | None = None) -> Amount:
    """Tell the amount; unless it is said it is as usual, else nothing. Errors: `Invalid`."""
    currency: IsoCurrency | None = args.currency or by_number(usual.currency if usual else "840")
    if currency is None:
        raise Invalid("The original's currency is none of ISO 4217.")
    if args.amount is None:
        return usual or Amount(0, currency.number)
    return Amount(_minor(args.amount, currency), currency.number)


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None


def _minor(text: str, currency: IsoCurrency) -> int:
    try:
        minor = Decimal(text).scaleb(currency.exponent)
        whole = int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        raise Invalid("--amount must be an amount: 12.34.") from None
    if whole != minor or not 0 <= whole < AMOUNT_MINOR_END:
        raise Invalid(f"--amount must have at most {currency.exponent} decimals and twelve digits.")
    return whole


def _currency(text: str) -> IsoCurrency:
    found = by_code(text.upper())
    if found is None:
        raise argparse.ArgumentTypeError("must be three letters of ISO 4217")
    return found


def _card(text: str) -> Card:
    if text == "-":
        text = sys.stdin.readline()
    digits = re.sub(r"[\s-]", "", text)
    if not _PAN.fullmatch(digits):
        raise argparse.ArgumentTypeError("must be 12 to 19 digits")
    return Card(Secret(digits))


def _track(text: str) -> Card:
    track = (sys.stdin.readline() if text == "-" else text).strip().strip(";?").replace("D", "=")
    if (found := _TRACK.fullmatch(track)) is None:
        raise argparse.ArgumentTypeError("must be a card number, a separator, and digits")
    return Card(Secret(found[1]), Secret(track))


def _of_card(args: Args) -> Card | None:
    given: Card | None = args.pan or args.track2
    if given is None and (text := os.environ.get("ACQUIRER_PAN")):
        try:
            return _card(text)
        except argparse.ArgumentTypeError as error:
            raise Invalid(f"ACQUIRER_PAN {error}.") from None
    return given


def _pin_block(args: Args, pan: Secret) -> Secret:
    key = address(args).zone_pin_key
    if key is None:
        raise Invalid(
            "Under which key? BAYON_ZONE_PIN_KEY says it, or --ready-file names the file that"
            " `bayon dev --ready-file FILE` has written."
        )
    under = _secret(os.environ.get("BAYON_KEY_BLOCK_KEY"))
    pin = Secret(_typed("ACQUIRER_PIN", "PIN: "))
    return encipher_pin_block(pin, pan, ZonePinKey.read(key, under))


def _typed(variable: str, prompt: str) -> str:
    """Ask for digits: a person, who does not see them, else the environment or standard input."""
    if (text := os.environ.get(variable)) is not None:
        return text
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().strip()
