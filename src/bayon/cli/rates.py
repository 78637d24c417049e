"""The verbs on exchange rates: set, list, import."""

import argparse
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from bayon import cards
from bayon.cards import Rate
from bayon.cli.connect import Args, add_verb, with_database
from bayon.db import Tx, read_clock
from bayon.iso4217 import by_code

EXAMPLE_MAJOR: Final = 1_000


def rates_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on exchange rates."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    set_ = add_verb(verbs.add_parser("set", help="set a rate, from now on or from later"), _set)
    set_.add_argument("from_code", metavar="FROM", help="the merchant's currency, like THB")
    set_.add_argument("to_code", metavar="TO", help="the account's, like USD")
    set_.add_argument("rate", metavar="RATE", help="how much of TO one of FROM is, like 0.0285")
    set_.add_argument(
        "--pad", default="", metavar="PERCENT", help="is held on top until clearing; none if absent"
    )
    set_.add_argument(
        "--from",
        dest="starts_at",
        default="",
        metavar="TIME",
        help="ISO 8601, else UTC; now if absent",
    )
    listed = add_verb(verbs.add_parser("list", help="list what counts and is set ahead"), _list)
    listed.add_argument("--all", action="store_true", help="past ones too")
    import_ = add_verb(verbs.add_parser("import", help="set all rates of a file, or none"), _import)
    import_.add_argument(
        "file", type=Path, help="CSV with the columns from,to,rate,pad,starts_at; - reads input"
    )


async def _set(args: Args) -> int:
    new = cards.read_rate(
        {
            "from": args.from_code,
            "to": args.to_code,
            "rate": args.rate,
            "pad": args.pad,
            "starts_at": args.starts_at,
        }
    )

    async def work(tx: Tx) -> list[Rate]:
        return await cards.set_rates(tx, [new], now=(await read_clock(tx)).now())

    (made,) = await with_database(args, lambda db, _: db.transaction(work))
    print(f"1 {made.from_code} is {made.rate:f} {made.to_code} from {_shown(made.starts_at)} on.")
    print(_example(made))
    return 0


async def _list(args: Args) -> int:
    async def work(tx: Tx) -> tuple[list[Rate], datetime]:
        now = (await read_clock(tx)).now()
        return await cards.list_rates(tx, now=now, past=args.all), now

    rates, now = await with_database(args, lambda db, _: db.transaction(work))
    current = {(each.from_code, each.to_code): each.id for each in rates if each.starts_at <= now}
    for each in rates:
        counts = each.id == current.get((each.from_code, each.to_code))
        state = "now" if counts else "ahead" if each.starts_at > now else "past"
        pad = f"{Decimal(each.hold_pad_basis_points).scaleb(-2):f}%"
        print(
            f"{each.from_code}\t{each.to_code}\t{each.rate:f}\t{pad}\t"
            f"{_shown(each.starts_at)}\t{state}"
        )
    return 0


async def _import(args: Args) -> int:
    content = _content(args.file)

    async def work(tx: Tx) -> list[Rate]:
        now = (await read_clock(tx)).now()
        return await cards.set_rates(tx, cards.read_rates(content, now=now), now=now)

    made = await with_database(args, lambda db, _: db.transaction(work))
    print(f"Rates set: {len(made)}.")
    return 0


def _content(file: Path) -> bytes:
    """Read a file, or so much of it that it is seen to be too large."""
    with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
        return stream.read(cards.RATES_FILE_SIZE_MAX + 1)


def _example(rate: Rate) -> str:
    """Tell what becomes of an amount: who mistook the direction sees it."""
    amount_minor = EXAMPLE_MAJOR * 10 ** _exponent(rate.from_code)
    held, cleared = (
        _amount(billing(amount_minor, rate), rate.to_code)
        for billing in (cards.billing_for_hold, cards.billing_for_clearing)
    )
    amount = _amount(amount_minor, rate.from_code)
    return f"Of {amount}, {held} is held and {cleared} cleared."


def _amount(minor: int | None, code: str) -> str:
    if minor is None:
        return f"too much {code}"
    return f"{Decimal(minor).scaleb(-_exponent(code)):,f} {code}"


def _exponent(code: str) -> int:
    currency = by_code(code)
    assert currency is not None, "a rate that was set has known currencies"
    return currency.exponent


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
