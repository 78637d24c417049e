"""The verbs on participants, which are banks."""

import argparse
import re
from typing import Final

from bayon import payments
from bayon.cli.connect import Args, add_verb, with_database
from bayon.db import Tx, read_clock
from bayon.errors import Invalid

PARTICIPANT_CODE: Final = re.compile(r"[a-z0-9]{2,16}")


def participants_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on participants."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = add_verb(verbs.add_parser("create", help="add a bank"), _create_participant)
    create.add_argument("code", help="what stands behind the @ of its accounts")
    create.add_argument("name")
    add_verb(verbs.add_parser("list", help="list the banks"), _list_participants)


async def _create_participant(args: Args) -> int:
    if not PARTICIPANT_CODE.fullmatch(args.code):
        raise Invalid("A participant's code is 2 to 16 lower-case letters and digits.")

    async def work(tx: Tx) -> str:
        now = (await read_clock(tx)).now()
        participant = await payments.add_participant(tx, code=args.code, name=args.name, now=now)
        return participant.code

    code = await with_database(args, lambda db, _: db.transaction(work))
    print(f"{code} is a participant; its token: bayon tokens create --participant {code}")
    return 0


async def _list_participants(args: Args) -> int:
    for participant in await with_database(args, lambda db, _: db.read(payments.participants)):
        print(f"{participant.code}\t{participant.name}")
    return 0
