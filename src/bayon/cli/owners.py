"""The verbs of who is here: participants, issuers, cardholders under review, and tokens."""

import argparse
import re
import shlex
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bayon import bakong, cards, payments, web
from bayon.cli.connect import Args, add_verb, jwt_key_of, with_database
from bayon.config import Settings
from bayon.db import Tx, read_clock
from bayon.errors import Invalid

WAITING_MAX: Final = 1_000
PARTICIPANT_CODE: Final = re.compile(r"[a-z0-9]{2,16}")
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def participants_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on participants."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = add_verb(verbs.add_parser("create", help="add a bank"), _create_participant)
    create.add_argument("code", help="what stands behind the @ of its accounts")
    create.add_argument("name")
    add_verb(verbs.add_parser("list", help="list the banks"), _list_participants)


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


def tokens_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on access tokens."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = add_verb(verbs.add_parser("create", help="make a token, shown once"), _create_token)
    owner = create.add_mutually_exclusive_group(required=True)
    owner.add_argument("--participant", metavar="CODE", help="for the participant API")
    owner.add_argument("--issuer", metavar="NAME", help="for the card management API")
    owner.add_argument("--email", help="for the Bakong Open API; the address counts as verified")
    create.add_argument("--organization", help="the address's; its domain if not given")
    create.add_argument("--project", help="the address's; its domain if not given")
    create.add_argument("--label", default="command line")
    add_verb(verbs.add_parser("list", help="list tokens, never their text"), _list_tokens)
    revoke = add_verb(verbs.add_parser("revoke", help="end a token"), _revoke_token)
    revoke.add_argument("token_id", type=UUID)


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


async def _create_token(args: Args) -> int:
    if args.email is not None and not EMAIL.fullmatch(args.email):
        raise Invalid("This is no e-mail address.")

    async def work(tx: Tx, settings: Settings) -> str:
        now = (await read_clock(tx)).now()
        if args.participant:
            participant = await payments.participant(tx, code=args.participant)
            return await _opaque_token(tx, "participant", participant.id, args, now=now)
        if args.issuer:
            issuer = await cards.find_issuer_by_name(tx, name=args.issuer)
            return await _opaque_token(tx, "issuer", issuer.id, args, now=now)
        return await _integrator_token(tx, settings, args, now=now)

    print(await with_database(args, lambda db, s: db.transaction(lambda tx: work(tx, s))))
    return 0


async def _opaque_token(
    tx: Tx, kind: web.AccessKind, owner_id: UUID, args: Args, *, now: datetime
) -> str:
    token = web.new_token()
    await web.keep_token(tx, kind=kind, owner=str(owner_id), token=token, label=args.label, now=now)
    return token


async def _integrator_token(tx: Tx, settings: Settings, args: Args, *, now: datetime) -> str:
    domain = args.email.partition("@")[2]
    integrator_id = await payments.register_verified(
        tx,
        email=args.email,
        organization=args.organization or domain,
        project=args.project or domain,
        now=now,
    )
    return await bakong.issue_token(
        tx,
        await jwt_key_of(tx, settings),
        integrator_id=integrator_id,
        label=args.label,
        now=now,
        ttl=timedelta(days=settings.bakong_token_ttl_days),
    )


async def _list_tokens(args: Args) -> int:
    for token in await with_database(args, lambda db, _: db.read(web.list_tokens)):
        ended = "revoked" if token.revoked_at else f"until {token.expires_at or 'revoked'}"
        print(f"{token.id}\t{token.kind}\t{token.owner}\t{token.label}\t{ended}")
    return 0


async def _revoke_token(args: Args) -> int:
    async def work(tx: Tx) -> None:
        now = (await read_clock(tx)).now()
        await web.revoke_token(tx, token_id=args.token_id, now=now)

    await with_database(args, lambda db, _: db.transaction(work))
    print("Revoked; every process knows within a second.")
    return 0
