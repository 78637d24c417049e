"""The verbs on webhook endpoints: list, create, listen, replay."""

import argparse
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from bayon import cards, cms, events, sandbox
from bayon.cli.connect import Args, add_verb, is_sandbox, sealer_of, with_database
from bayon.cli.receive import Receiver, serve
from bayon.config import Settings
from bayon.db import Database, Tx, read_clock, read_secret
from bayon.errors import Invalid
from bayon.events import Endpoint, EndpointNotFound, NewSecret, Replayed
from bayon.fetch import Fetcher
from bayon.keyset import SIZE_MAX, Span, Window
from bayon.listen import bound
from bayon.log import Secret
from bayon.serve import until_stopped

HOST: Final = "127.0.0.1"


def webhooks_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on webhook endpoints."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    listed = add_verb(verbs.add_parser("list", help="list an issuer's endpoints"), _list)
    create = add_verb(verbs.add_parser("create", help="add an endpoint"), _create)
    create.add_argument("url")
    replay = add_verb(verbs.add_parser("replay", help="send a time's events again"), _replay)
    for name in ("since", "until"):
        replay.add_argument(f"--{name}", required=True, metavar="TIME", help="ISO 8601, else UTC")
    for verb in (listed, create, replay):
        verb.add_argument("--issuer", metavar="NAME", required=True)
    listen = add_verb(verbs.add_parser("listen", help="receive, verify and print"), _listen)
    listen.add_argument("--issuer", metavar="NAME", default=sandbox.DEMO_ISSUER)
    listen.add_argument("--port", type=int, default=sandbox.WEBHOOK_PORT, help="%(default)s")
    listen.add_argument("--print-body", action="store_true", help="print what is told, too")
    for verb in (create, listen):
        verb.add_argument(
            *("--event-type", "-t"),
            dest="event_types",
            action="append",
            default=[],
            metavar="TYPE",
            help="may be repeated; all but declines if not given",
        )


async def _list(args: Args) -> int:
    async def work(tx: Tx) -> Sequence[Endpoint]:
        issuer = await cards.find_issuer_by_name(tx, name=args.issuer)
        return await _all_of(tx, issuer.id)

    for each in await with_database(args, lambda db, _: db.transaction(work)):
        state = "enabled" if each.enabled else f"disabled {each.disabled_reason or ''}".rstrip()
        print(f"{each.id}\t{state}\t{each.url}\t{','.join(each.event_types) or 'all'}")
    return 0


async def _create(args: Args) -> int:
    event_types = _event_types(args)

    async def work(tx: Tx, settings: Settings) -> NewSecret:
        issuer = await cards.find_issuer_by_name(tx, name=args.issuer)
        return await _add(tx, settings, issuer.id, args.url, event_types)

    made = await with_database(args, lambda db, s: db.transaction(lambda tx: work(tx, s)))
    print(f"{made.endpoint.id} is told; its signing secret, shown this once:")
    print(made.secret.reveal())
    return 0


async def _replay(args: Args) -> int:
    span = Span(since=_instant(args.since), until=_instant(args.until))
    if span.since > span.until:
        raise Invalid("--since is later than --until.")
    count = await with_database(args, lambda db, _: _replay_all(db, args.issuer, span))
    print(f"Deliveries on their way: {count}.")
    return 0


async def _replay_all(db: Database, issuer_name: str, span: Span) -> int:
    """Send again page by page, so that nobody waits long for the endpoints' rows."""
    issuer = await db.read(lambda tx: cards.find_issuer_by_name(tx, name=issuer_name))
    count, after_seq = 0, 0
    while True:

        async def work(tx: Tx, after_seq: int = after_seq) -> Replayed:
            now = (await read_clock(tx)).now()
            return await events.replay(
                tx, owner_id=issuer.id, span=span, after_seq=after_seq, now=now
            )

        page = await db.transaction(work)
        count += page.deliveries
        if page.next_seq is None:
            return count
        after_seq = page.next_seq


async def _listen(args: Args) -> int:
    event_types = _event_types(args)
    if not 0 <= args.port <= 65_535:  # noqa: PLR2004 - the highest there is
        raise Invalid("A port is a number from 0 to 65535.")

    async def work(db: Database, settings: Settings) -> None:
        with bound(HOST, args.port) as listener:  # first: of two, one alone may have the address
            url = f"http://localhost:{listener.getsockname()[1]}/listen"
            async with _endpoint(db, settings, args.issuer, url, event_types) as secrets:
                receiver = Receiver(
                    secrets=secrets, iss=settings.webhook_iss, body=args.print_body, say=_say
                )
                _say(f"Events of {args.issuer} are told here, at {url}. Ctrl-C ends it.")
                await serve(receiver, settings, listener)

    await until_stopped(with_database(args, work))
    return 0


@asynccontextmanager
async def _endpoint(
    db: Database, settings: Settings, issuer_name: str, url: str, event_types: Sequence[str]
) -> AsyncGenerator[list[Secret]]:
    """Let there be an endpoint meanwhile; what one that was killed has left goes too.

    Yields the secrets by which what comes may be signed: its own, and of the demo issuer the one of
    its demo endpoint, which somebody may have enabled.
    """

    async def begin(tx: Tx) -> tuple[NewSecret, list[Secret]]:
        if not await is_sandbox(tx):
            raise Invalid("Only a sandbox sends to this machine itself.")
        issuer = await cards.find_issuer_by_name(tx, name=issuer_name)
        for left in await _all_of(tx, issuer.id):
            if left.url == url:
                await events.delete_endpoint(tx, owner_id=issuer.id, endpoint_id=left.id)
        made = await _add(tx, settings, issuer.id, url, event_types)
        demo = await read_secret(tx, name=sandbox.WEBHOOK_KEPT_AS)
        others = [Secret(demo)] if demo and issuer_name == sandbox.DEMO_ISSUER else []
        return made, [made.secret, *others]

    made, secrets = await db.transaction(begin)
    own = made.endpoint
    try:
        yield secrets
    finally:
        with contextlib.suppress(EndpointNotFound):
            await db.transaction(
                lambda tx: events.delete_endpoint(tx, owner_id=own.owner_id, endpoint_id=own.id)
            )


async def _all_of(tx: Tx, owner_id: UUID) -> Sequence[Endpoint]:
    """List all endpoints: there are never more than a page of them."""
    page = await events.list_endpoints(tx, owner_id=owner_id, window=Window(size=SIZE_MAX))
    return page.items


async def _add(
    tx: Tx, settings: Settings, owner_id: UUID, url: str, event_types: Sequence[str]
) -> NewSecret:
    return await events.create_endpoint(
        tx,
        owner_id=owner_id,
        url=url,
        event_types=event_types,
        sealer=await sealer_of(tx, settings),
        fetcher=Fetcher(loopback=await is_sandbox(tx)),
        now=(await read_clock(tx)).now(),
    )


def _event_types(args: Args) -> Sequence[str]:
    given: list[str] = args.event_types
    if unknown := [each for each in given if each not in cms.EVENT_TYPES]:
        raise Invalid(f"{unknown[0]!r} is no event type; they are: {', '.join(cms.EVENT_TYPES)}.")
    return tuple(dict.fromkeys(given))


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no time; write it like 2026-01-31T18:00:00Z.") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at, Span().since), Span().until)


def _say(line: str) -> None:
    print(line, flush=True)
