"""The verbs on access tokens, of every door."""

import argparse
import re
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bayon import bakong, cards, payments, web
from bayon.cli.connect import Args, add_verb, jwt_key_of, with_database
from bayon.config import Settings
from bayon.db import Tx, read_clock
from bayon.errors import Invalid

EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


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
