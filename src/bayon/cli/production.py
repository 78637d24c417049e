"""The verbs on cards that a bureau makes: exported as an enciphered file, listed by batch."""

import argparse
import os
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Final
from uuid import UUID

from bayon import cards
from bayon.cards import BureauFile, CardBatch, Exported, Recipient, Vault
from bayon.cli.connect import Args, add_verb, with_database
from bayon.cli.rotate import vault_of
from bayon.clock import PHNOM_PENH
from bayon.config import Settings
from bayon.db import Database, Tx, read_clock
from bayon.errors import Conflict, Invalid

LIMIT: Final = 5_000
LIMIT_MAX: Final = 20_000


def cards_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on cards."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    export = add_verb(
        verbs.add_parser("export", help="write a file of which a bureau makes cards"), _export
    )
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument("--issuer", metavar="NAME", help="its physical cards that no file had yet")
    what.add_argument("--again", metavar="BATCH", type=UUID, help="an earlier batch, once more")
    export.add_argument(
        "--recipient", metavar="age1...", required=True, help="the bureau's public key"
    )
    export.add_argument("--out", metavar="FILE", type=Path, required=True, help="a new file")
    export.add_argument(
        "--limit",
        type=int,
        metavar="N",
        default=LIMIT,
        help="cards in one file; %(default)s if not given",
    )
    add_verb(verbs.add_parser("exports", help="list the newest batches"), _exports)


async def _export(args: Args) -> int:
    if not 1 <= args.limit <= LIMIT_MAX:
        raise Invalid(f"A file has 1 to {LIMIT_MAX} cards.")
    recipient = Recipient.read(args.recipient)

    async def work(db: Database, settings: Settings) -> Exported:
        vault = await db.transaction(lambda tx: vault_of(tx, settings))
        with _begun(args.out) as part:
            exported = await _recorded(args, db, vault, recipient)
            if exported.file is not None:
                _finish(part, args.out, exported.file)
                _tell(exported.file, args.out)
                await _note(db, exported.file)
        return exported

    exported = await with_database(args, work)
    if exported.file is None:
        print("No card waits to be made: no file was written.", file=sys.stderr)
    for batch_id in exported.not_written:
        print(
            f"Batch {batch_id} may not be written: bayon cards export --again {batch_id}",
            file=sys.stderr,
        )
    for card_id in exported.not_embossed:
        print(f"{card_id} waits: its holder's name is not in Latin letters.", file=sys.stderr)
    if exported.waiting > 0:
        print(f"{exported.waiting} more wait for the next file.", file=sys.stderr)
    return 0


async def _recorded(args: Args, db: Database, vault: Vault, recipient: Recipient) -> Exported:
    """Have the batch kept, and what is to be written of it enciphered."""

    async def export(tx: Tx) -> Exported:
        now = (await read_clock(tx)).now()
        if args.again is not None:
            file = await cards.export_again(
                tx, batch_id=args.again, recipient=recipient, vault=vault, now=now
            )
            return Exported(file=file)
        issuer = await cards.find_issuer_by_name(tx, name=args.issuer)
        return await cards.export_cards(
            tx, issuer_id=issuer.id, recipient=recipient, limit=args.limit, vault=vault, now=now
        )

    return await db.transaction(export)


async def _note(db: Database, file: BureauFile) -> None:
    async def note(tx: Tx) -> None:
        await cards.note_written(tx, file, now=(await read_clock(tx)).now())

    await db.transaction(note)


@contextmanager
def _begun(out: Path) -> Generator[tuple[Path, FileIO]]:
    """Open a file beside the one that is wanted, before anything is recorded; gone at the end.

    Errors: `Invalid` when something is there already; OSError when nothing can be written there.
    """
    if os.path.lexists(out):
        raise Invalid(f"{out} is there already, and is not overwritten.")
    path = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as stream:
            yield path, stream
    finally:
        path.unlink(missing_ok=True)


def _finish(part: tuple[Path, FileIO], out: Path, file: BureauFile) -> None:
    """Write a file, whole on the disk before it has its name."""
    path, stream = part
    try:
        left = memoryview(file.content)
        while left:
            left = left[stream.write(left) :]
        os.fsync(stream.fileno())
        out.hardlink_to(path)  # never over a file that has come meanwhile, as a rename would
        _fsync_folder(out.parent)
    except OSError as error:
        raise Conflict(
            f"The file was not written ({error.strerror}), and its cards are recorded as batch "
            f"{file.batch.id}. Write it elsewhere: bayon cards export --again {file.batch.id}"
        ) from error


def _tell(file: BureauFile, out: Path) -> None:
    print(f"{file.batch.id}\t{file.batch.cards} cards\t{out}\tSHA-256 {file.digest.hex()}")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _exports(args: Args) -> int:
    for each in await with_database(args, lambda db, _: db.read(cards.card_batches)):
        made = f"{each.id}\t{_local(each.created_at)}\t{each.cards} cards\t{each.issuer}"
        print(f"{made}\t{_files(each)}")
    return 0


def _files(batch: CardBatch) -> str:
    if batch.written_at is None or batch.digest is None:
        return f"not written: bayon cards export --again {batch.id}"
    times = "once" if batch.files == 1 else f"{batch.files} times"
    return f"written {times}, last {_local(batch.written_at)}\tSHA-256 {batch.digest.hex()}"


def _local(at: datetime) -> str:
    return f"{at.astimezone(PHNOM_PENH):%Y-%m-%d %H:%M}"
