"""The command line. Verbs connect to a database; only `dev` starts one."""

import argparse
import asyncio
import os
import re
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import msgspec
import uvloop

from bayon import bakong, cards, log, network, payments, web
from bayon.app import check
from bayon.config import BadSettings, Settings, require
from bayon.db import Database, Tx, migrate, read_clock, read_secret, require_migrated
from bayon.errors import BayonError, Invalid, Unavailable
from bayon.log import Secret
from bayon.money import Currency, minor_from_major
from bayon.payments import khqr, picture
from bayon.payments.khqr import Khqr
from bayon.postgres import url_of
from bayon.serve import PARTS, run_dev, run_serve

DEV_LIMIT_PER_S: Final = 10_000
WAITING_MAX: Final = 1_000
DUMP_SIZE_MAX: Final = 16_777_216
HEX: Final = re.compile(r"\s*(?:[0-9A-Fa-f]{2}\s*){2,}")
PARTICIPANT_CODE: Final = re.compile(r"[a-z0-9]{2,16}")
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
T = TypeVar("T")
Args = argparse.Namespace
Verb = Callable[[Args], Awaitable[int]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    args = _parser().parse_args(argv)
    verb: Verb = args.verb

    async def run() -> int:
        return await verb(args)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())
    except Invalid as error:
        lines = [f"  {p.message}" for p in error.problems if p.message != error.message]
        print("\n".join((f"bayon: {error.message}", *lines)), file=sys.stderr)
    except BayonError as error:
        print(f"bayon: {error.message}", file=sys.stderr)
    except OSError as error:
        print(f"bayon: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bayon", description="A payments core for Cambodia.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _dev_verb(verbs.add_parser("dev", help="run a sandbox, its PostgreSQL included"))
    _serve_verb(verbs.add_parser("serve", help="run in production, on your own database"))
    for name, verb, says in (
        ("migrate", _migrate, "bring the database's schema up to date"),
        ("check", _check, "recompute every balance; says what is not as it must be"),
        ("config", _config, "show the settings as they take effect, secrets as ***"),
    ):
        _verb(verbs.add_parser(name, help=says), verb)
    _participants_verbs(verbs.add_parser("participants", help="banks: create, list"))
    _issuers_verbs(verbs.add_parser("issuers", help="issuers of cards: create, list"))
    _cardholders_verbs(verbs.add_parser("cardholders", help="reviews: waiting, approve, reject"))
    _tokens_verbs(verbs.add_parser("tokens", help="access tokens: create, list, revoke"))
    _khqr_verbs(verbs.add_parser("khqr", help="KHQR codes: make, read"))
    _iso_verbs(verbs.add_parser("iso", help="ISO 8583 messages: describe"))
    return parser


def _verb(parser: argparse.ArgumentParser, verb: Verb) -> argparse.ArgumentParser:
    parser.add_argument("--data-dir", type=Path, help="where `bayon dev` keeps its PostgreSQL")
    parser.set_defaults(verb=verb)
    return parser


def _dev_verb(parser: argparse.ArgumentParser) -> None:
    _verb(parser, _dev)
    for name in ("http", "https", "network"):
        parser.add_argument(f"--{name}-port", type=int, metavar="N", help="0 picks a free one")
    parser.add_argument(
        "--network-profile",
        choices=("ascii-binary", "ascii-hex", "bcd", "ebcdic"),
        help="ISO 8583 dialect (taken, unused until the card network host is here)",
    )
    parser.add_argument("--ready-file", type=Path, help="written as JSON when all answers")


def _serve_verb(parser: argparse.ArgumentParser) -> None:
    _verb(parser, _serve).add_argument(
        "--only", choices=("http", "network", "worker"), help="run this part alone"
    )


def _participants_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = _verb(verbs.add_parser("create", help="add a bank"), _create_participant)
    create.add_argument("code", help="what stands behind the @ of its accounts")
    create.add_argument("name")
    _verb(verbs.add_parser("list", help="list the banks"), _list_participants)


def _issuers_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = _verb(verbs.add_parser("create", help="add an issuer"), _create_issuer)
    create.add_argument("name")
    create.add_argument(
        "--bin",
        dest="bin_",
        metavar="DIGITS",
        default=cards.BIN_DEFAULT,
        help="its cards' first six to nine digits; %(default)s, a test BIN, if not given",
    )
    _verb(verbs.add_parser("list", help="list the issuers"), _list_issuers)


def _cardholders_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    waiting = _verb(verbs.add_parser("waiting", help="list who waits for you"), _list_waiting)
    approve = _verb(verbs.add_parser("approve", help="accept a profile"), _review)
    reject = _verb(verbs.add_parser("reject", help="reject a profile"), _review)
    reject.add_argument("--reason", required=True)
    for verb in (waiting, approve, reject):
        verb.add_argument("--issuer", metavar="NAME", required=True)
    for verb in (approve, reject):
        verb.add_argument("cardholder_id", type=UUID)


def _tokens_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = _verb(verbs.add_parser("create", help="make a token, shown once"), _create_token)
    owner = create.add_mutually_exclusive_group(required=True)
    owner.add_argument("--participant", metavar="CODE", help="for the participant API")
    owner.add_argument("--issuer", metavar="NAME", help="for the card management API")
    owner.add_argument("--email", help="for the Bakong Open API; the address counts as verified")
    create.add_argument("--organization", help="the address's; its domain if not given")
    create.add_argument("--project", help="the address's; its domain if not given")
    create.add_argument("--label", default="command line")
    _verb(verbs.add_parser("list", help="list tokens, never their text"), _list_tokens)
    revoke = _verb(verbs.add_parser("revoke", help="end a token"), _revoke_token)
    revoke.add_argument("token_id", type=UUID)


def _khqr_verbs(parser: argparse.ArgumentParser) -> None:
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


def _iso_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    describe = verbs.add_parser("describe", help="describe a dump, card data hidden")
    describe.set_defaults(verb=_iso_describe)
    describe.add_argument("dump", help="hex digits, or a file of them or of bytes; - reads input")
    describe.add_argument(
        "--profile",
        default=network.DEFAULT_PROFILE,
        metavar="NAME|FILE",
        help="how the link writes, %(default)s if not given",
    )
    describe.add_argument("--no-frame", action="store_true", help="the dump is one bare message")


def _settings(args: Args, *, sandbox: bool = False) -> Settings:
    env = dict(os.environ)
    if sandbox:
        for name in ("TOKEN", "ADDRESS"):
            env.setdefault(f"BAYON_RATE_LIMIT_{name}_PER_S", str(DEV_LIMIT_PER_S))
        env.setdefault("BAYON_LOG_FORMAT", "console")
        env.setdefault("BAYON_BAKONG_RENEWAL", "documented")
        env.setdefault("BAYON_KYC_DOCUMENTS", "optional")
    settings = Settings.from_env(
        env,
        sandbox=sandbox,
        data_dir=args.data_dir,
        http_port=getattr(args, "http_port", None),
        https_port=getattr(args, "https_port", None),
        network_port=getattr(args, "network_port", None),
    )
    log.configure(json=settings.log_format == "json", level=settings.log_level)
    return settings


async def _dev(args: Args) -> int:
    await run_dev(_settings(args, sandbox=True), ready_file=args.ready_file)
    return 0


async def _serve(args: Args) -> int:
    if args.only == "network":
        raise BadSettings("There is no card network host in this version yet.")
    await run_serve(_settings(args), parts=(args.only,) if args.only else PARTS)
    return 0


async def _with_database(
    args: Args, work: Callable[[Database, Settings], Awaitable[T]], *, migrated: bool = True
) -> T:
    """Connect to the database named by the environment, or to that of a running `bayon dev`."""
    settings = _settings(args)
    url = settings.database_url.reveal() if settings.database_url else await _sandbox_url(settings)
    db = await Database.connect(url, size_max=2)
    try:
        if migrated:
            await require_migrated(db)
        return await work(db, settings)
    finally:
        await db.close()


async def _sandbox_url(settings: Settings) -> str:
    try:
        return await url_of(settings.data_dir)
    except Unavailable as error:
        raise Unavailable(
            f"{error.message} Start `bayon dev`, name another --data-dir, or set "
            "BAYON_DATABASE_URL."
        ) from error


async def _migrate(args: Args) -> int:
    applied = await _with_database(args, lambda db, _: migrate(db), migrated=False)
    print("\n".join(applied) or "The schema is up to date.")
    return 0


async def _check(args: Args) -> int:
    started = time.monotonic()
    found = await _with_database(
        args, lambda db, _: db.transaction(check, isolation="repeatable_read")
    )
    for finding in found:
        print(f"NOT TRUE: {finding.invariant}: {finding.subject}")
    seconds = time.monotonic() - started
    print(f"{len(found)} findings" if found else f"All invariants hold ({seconds:.1f} s).")
    return 1 if found else 0


async def _config(args: Args) -> int:
    for name, value in _settings(args).redacted().items():
        print(f"BAYON_{name.upper()}={value}")
    return 0


async def _create_participant(args: Args) -> int:
    if not PARTICIPANT_CODE.fullmatch(args.code):
        raise Invalid("A participant's code is 2 to 16 lower-case letters and digits.")

    async def work(tx: Tx) -> str:
        now = (await read_clock(tx)).now()
        participant = await payments.add_participant(tx, code=args.code, name=args.name, now=now)
        return participant.code

    code = await _with_database(args, lambda db, _: db.transaction(work))
    print(f"{code} is a participant; its token: bayon tokens create --participant {code}")
    return 0


async def _list_participants(args: Args) -> int:
    for participant in await _with_database(args, lambda db, _: db.read(payments.participants)):
        print(f"{participant.code}\t{participant.name}")
    return 0


async def _create_issuer(args: Args) -> int:
    async def work(tx: Tx) -> str:
        now = (await read_clock(tx)).now()
        return (await cards.add_issuer(tx, name=args.name, bin_=args.bin_, now=now)).name

    name = await _with_database(args, lambda db, _: db.transaction(work))
    print(f"{name} is an issuer; its token: bayon tokens create --issuer {shlex.quote(name)}")
    return 0


async def _list_issuers(args: Args) -> int:
    for issuer in await _with_database(args, lambda db, _: db.read(cards.issuers)):
        print(f"{issuer.id}\t{issuer.bin}\t{issuer.name}")
    return 0


async def _list_waiting(args: Args) -> int:
    async def work(tx: Tx) -> list[cards.Cardholder]:
        issuer = await cards.find_issuer_by_name(tx, name=args.issuer)
        return await cards.waiting_for_review(tx, issuer_id=issuer.id, limit=WAITING_MAX)

    for each in await _with_database(args, lambda db, _: db.transaction(work)):
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

    cardholder = await _with_database(args, lambda db, _: db.transaction(work))
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

    print(await _with_database(args, lambda db, s: db.transaction(lambda tx: work(tx, s))))
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
        await _jwt_key(tx, settings),
        integrator_id=integrator_id,
        label=args.label,
        now=now,
        ttl=timedelta(days=settings.bakong_token_ttl_days),
    )


async def _jwt_key(tx: Tx, settings: Settings) -> Secret:
    if settings.bakong_jwt_key is None and (kept := await read_secret(tx, name="bakong_jwt_key")):
        return Secret(kept)
    require(settings, "bakong_jwt_key")
    assert settings.bakong_jwt_key is not None
    return settings.bakong_jwt_key


async def _list_tokens(args: Args) -> int:
    for token in await _with_database(args, lambda db, _: db.read(web.list_tokens)):
        ended = "revoked" if token.revoked_at else f"until {token.expires_at or 'revoked'}"
        print(f"{token.id}\t{token.kind}\t{token.owner}\t{token.label}\t{ended}")
    return 0


async def _revoke_token(args: Args) -> int:
    async def work(tx: Tx) -> None:
        now = (await read_clock(tx)).now()
        await web.revoke_token(tx, token_id=args.token_id, now=now)

    await _with_database(args, lambda db, _: db.transaction(work))
    print("Revoked; every process knows within a second.")
    return 0


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


async def _iso_describe(args: Args) -> int:
    profile = network.load_profile(args.profile)
    text, valid = network.describe_dump(_dump(args.dump), profile, framed=not args.no_frame)
    print(text)
    return 0 if valid else 1


def _dump(text: str) -> bytes:
    if HEX.fullmatch(text):
        return network.read_dump(text.encode())
    with sys.stdin.buffer if text == "-" else Path(text).open("rb") as stream:
        return network.read_dump(stream.read(DUMP_SIZE_MAX))


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode(errors="surrogateescape")  # whatever the locale
