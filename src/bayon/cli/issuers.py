"""The verbs on issuers of cards, and on their cardholders under review."""

import argparse
import shlex
from typing import Final
from uuid import UUID

from bayon import cards
from bayon.cli.connect import Args, add_verb, with_database
from bayon.db import Tx, read_clock

WAITING_MAX: Final = 1_000


def issuers_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on issuers."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = add_verb(verbs.add_parser("create", help="add an issuer"), _create_issuer)
    create.add_argument("name")
    create.add_argument(
        "--bin",
        dest="bin_",
        metavar="DIGITS",
        default=cards.BIN_DEFAULT,
        help="its cards' first six to nine digits; %(default)s, a test BIN, if not given",
    )
    add_verb(verbs.add_parser("list", help="list the issuers"), _list_issuers)


def cardholders_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on cardholders under review."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    waiting = add_verb(verbs.add_parser("waiting", help="list who waits for you"), _list_waiting)
    approve = add_verb(verbs.add_parser("approve", help="accept a profile"), _review)
    reject = add_verb(verbs.add_parser("reject", help="reject a profile"), _review)
    reject.add_argument("--reason", required=True)
    for verb in (waiting, approve, reject):
        verb.add_argument("--issuer", metavar="NAME", required=True)
    for verb in (approve, reject):
        verb.add_argument("cardholder_id", type=UUID)


async def _create_issuer(args: Args) -> int:
    async def work(tx: Tx) -> str:
        now = (await read_clock(tx)).now()
        return (await cards.add_issuer(tx, name=args.name, bin_=args.bin_, now=now)).name

    name = await with_database(args, lambda db, _: db.transaction(work))
    print(f"{name} is an issuer; its token: bayon tokens create --issuer {shlex.quote(name)}")
    return 0


async def _list_issuers(args: Args) -> int:
    for issuer in await with_database(args, lambda db, _: db.read(cards.issuers)):
        print(f"{issuer.id}\t{issuer.bin}\t{issuer.name}")
    return 0


async def _list_waiting(args: Args) -> int:
    async def work(tx: Tx) -> list[cards.Cardholder]:
        issuer = await cards.find_issuer_by_name(tx, name=args.issuer)
        return await cards.waiting_for_review(tx, issuer_id=issuer.id, limit=WAITING_MAX)

    for each in await with_database(args, lambda db, _: db.transaction(work)):
        print(f"{each.id}\t{each.updated_at:%Y-%m-%d %H:%M}\t{each.name}")
    return 0


async def _review(args: Args) -> int:
    reason: str | None = getattr(args, "reason", None)

    async def work(tx: Tx) -> cards.Cardholder:
        issuer = await cards.find_issuer_by_name(tx, name=args.issuer)
        return await cards.decide_review(
            tx,
            cardholder_id=args.cardholder_id,
            issuer_id=issuer.id,
            rejection_reason=reason,
            now=(await read_clock(tx)).now(),
        )

    cardholder = await with_database(args, lambda db, _: db.transaction(work))
    print(f"{cardholder.name} is {cardholder.status}.")
    return 0
