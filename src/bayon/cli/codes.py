"""The verbs on KHQR codes, which need no database."""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from bayon.cli.connect import Args
from bayon.money import Currency, minor_from_major
from bayon.payments import khqr, picture
from bayon.payments.khqr import Khqr


def khqr_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on KHQR codes."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    make = verbs.add_parser("make", help="make a code; with an amount it is dynamic")
    make.set_defaults(verb=_khqr_make)
    make.add_argument("--account", required=True, help="name@bank")
    make.add_argument("--name", required=True, help="the payee's")
    make.add_argument("--city", default="Phnom Penh")
    make.add_argument("--amount", help="major units; without it the code is static")
    make.add_argument("--currency", choices=[c.value for c in Currency], default="USD")
    make.add_argument("--merchant-id", help="makes a merchant's code")
    make.add_argument("--bank", help="the acquiring bank; needed with --merchant-id")
    for name in ("bill-number", "mobile-number", "store-label", "terminal-label", "purpose"):
        make.add_argument(f"--{name}")
    make.add_argument("--expires-in-s", type=int, default=86_400, help="life of a dynamic code")
    make.add_argument("--png", type=Path, help="write a picture too")
    make.add_argument("--svg", type=Path, help="write a picture too")
    read = verbs.add_parser("read", help="read and verify a code; - reads standard input")
    read.set_defaults(verb=_khqr_read)
    read.add_argument("qr")


async def _khqr_make(args: Args) -> int:
    currency = Currency(args.currency)
    amount_minor = None if args.amount is None else minor_from_major(args.amount, currency)
    now_ms = time.time_ns() // 1_000_000
    text = khqr.make(
        Khqr(
            kind="merchant" if args.merchant_id else "individual",
            static=amount_minor is None,
            account_id=args.account,
            merchant_id=args.merchant_id,
            acquiring_bank=args.bank,
            currency=currency,
            amount_minor=amount_minor,
            merchant_name=args.name,
            merchant_city=args.city,
            bill_number=args.bill_number,
            mobile_number=args.mobile_number,
            store_label=args.store_label,
            terminal_label=args.terminal_label,
            purpose=args.purpose,
            created_at_ms=now_ms if amount_minor else None,
            expires_at_ms=now_ms + args.expires_in_s * 1000 if amount_minor else None,
        )
    )
    if args.png:
        args.png.write_bytes(picture.png(text))
    if args.svg:
        args.svg.write_text(picture.svg(text))
    print(text)
    return 0


async def _khqr_read(args: Args) -> int:
    text = khqr.reading(_standard_input().rstrip("\r\n") if args.qr == "-" else args.qr)
    shown = {**msgspec.to_builtins(khqr.read(text)), "md5": khqr.md5(text)}
    print(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    return 0


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode(errors="surrogateescape")  # whatever the locale
