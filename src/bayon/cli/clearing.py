"""The verbs on clearing files: imported, listed where nothing matched, reported."""

import argparse
import csv
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import UUID

from bayon import cards
from bayon.cards import (
    ClearingFile,
    Entry,
    ImportedFile,
    OpenItem,
    Readied,
    Total,
    Transaction,
    Vault,
)
from bayon.cli.connect import Args, add_verb, with_database
from bayon.cli.rotate import vault_of
from bayon.clock import PHNOM_PENH
from bayon.config import Settings
from bayon.db import Database, Tx, read_clock
from bayon.errors import Invalid
from bayon.iso4217 import by_code

STEP: Final = 500
NOTE_SIZE_MAX: Final = 500
OPEN: Final = frozenset({"unmatched", "parked", "rejected"})
COLUMNS: Final = (
    *("file_id", "line", "state", "reason", "kind", "adjustment", "amount_minor", "currency"),
    *("posted_minor", "posted_currency", "difference_minor", "last_four", "reference", "rrn"),
    *("approval_code", "transaction_id"),
)
ITEM_COLUMNS: Final = (
    *("item", "source", "what", "reason", "side", "amount_minor", "currency", "last_four"),
    *("reference", "rrn", "approval_code", "terminal", "created_at"),
)


def clearing_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs on clearing files."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    import_ = add_verb(
        verbs.add_parser("import", help="post all that a file says was cleared, once"), _import
    )
    import_.add_argument("file", type=Path, help="Mastercard IPM or CSV; - reads standard input")
    import_.add_argument("--form", choices=["csv", "ipm"], help="detected if absent")
    import_.add_argument(
        "--encoding", choices=cards.ENCODINGS, help="of IPM's letters; detected if absent"
    )
    import_.add_argument(
        "--blocking", choices=cards.BLOCKINGS, help="whether IPM is in blocks; detected if absent"
    )
    import_.add_argument(
        "--dry-run", action="store_true", help="read and verify the file, and write nothing"
    )
    _report_of(import_)
    _report_of(
        add_verb(verbs.add_parser("unmatched", help="what somebody should look at"), _unmatched)
    )
    link = add_verb(
        verbs.add_parser("link", help="say which transaction an unmatched item is about"), _link
    )
    link.add_argument("item", metavar="ITEM", help="as `unmatched` names it")
    link.add_argument("transaction_id", metavar="TRANSACTION-ID", type=UUID)
    link.add_argument(
        "--amount",
        type=_minor,
        metavar="MINOR",
        help="in minor units of the merchant's currency: what a reversal takes back, what a"
        " completion clears; what it said itself if absent",
    )
    close = add_verb(verbs.add_parser("close", help="take an unmatched item off the list"), _close)
    close.add_argument("item", metavar="ITEM", help="as `unmatched` names it")
    for verb in (link, close):
        verb.add_argument("--note", type=_note, help="why, for whoever asks later")
    report = add_verb(
        verbs.add_parser("report", help="what became of a file, or of a day's"), _report
    )
    what = report.add_mutually_exclusive_group(required=True)
    what.add_argument("file_id", nargs="?", metavar="FILE-ID", type=UUID)
    what.add_argument("--date", type=date.fromisoformat, help="imported then, in Phnom Penh")
    _report_of(report)


def _report_of(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--report", choices=["table", "csv"], default="table")


async def _import(args: Args) -> int:
    read = _read(args, _content(args.file))
    name = re.sub(r"[^\w .-]", "?", args.file.name)[-100:]

    async def work(db: Database, settings: Settings) -> tuple[ImportedFile, list[Entry]] | None:
        vault = await db.transaction(lambda tx: vault_of(tx, settings))
        records = cards.ready_records(read, vault)
        if args.dry_run:
            known = await db.read(lambda tx: cards.was_imported(tx, read.digest))
            print("This file was imported before." if known else "This file is new.")
            return None
        return await _clear_all(db, vault, read, records, name=name)

    found = await with_database(args, work)
    if found is None:
        _print_totals(read.totals)
        return 0
    _show(args, [found])
    return 1 if any(each.state == "rejected" for each in found[1]) else 0


async def _clear_all(
    db: Database, vault: Vault, read: ClearingFile, records: Sequence[Readied], *, name: str
) -> tuple[ImportedFile, list[Entry]]:
    """Post a file step by step, each a transaction; what an earlier run has done stays done."""

    async def begin(tx: Tx) -> ImportedFile:
        return await cards.begin_clearing(tx, read, name=name, now=await _now(tx))

    file = await db.transaction(begin)
    if file.finished_at is not None:
        print("This file was imported before: nothing is posted twice.", file=sys.stderr)
    for at in range(0, len(records), STEP):
        step = records[at : at + STEP]

        async def clear(tx: Tx, step: Sequence[Readied] = step) -> list[Entry]:
            now = await _now(tx)
            return await cards.clear_records(tx, file.id, step, vault=vault, now=now)

        await db.transaction(clear)

    async def finish(tx: Tx) -> tuple[ImportedFile, list[Entry]]:
        await cards.finish_clearing(tx, file.id, now=await _now(tx))
        return await cards.clearing_file(tx, file.id)

    return await db.transaction(finish)


async def _now(tx: Tx) -> datetime:
    return (await read_clock(tx)).now()


async def _unmatched(args: Args) -> int:
    items = await with_database(args, lambda db, _: db.read(cards.open_items))
    if args.report == "csv":
        _print_csv(items, ITEM_COLUMNS)
    else:
        _print_items(items)
    return 0


async def _link(args: Args) -> int:
    async def work(db: Database, settings: Settings) -> Transaction:
        vault = await db.transaction(lambda tx: vault_of(tx, settings))

        async def link(tx: Tx) -> Transaction:
            return await cards.link_item(
                tx,
                args.item,
                args.transaction_id,
                amount_minor=args.amount,
                note=args.note,
                vault=vault,
                now=await _now(tx),
            )

        return await db.transaction(link)

    linked = await with_database(args, work)
    amount = _amount(linked.amount_minor, linked.currency)
    print(f"{linked.id}\t{linked.status}\t{linked.balance_adjustment_type}\t{amount}")
    return 0


async def _close(args: Args) -> int:
    async def work(tx: Tx) -> OpenItem:
        return await cards.close_item(tx, args.item, note=args.note, now=await _now(tx))

    _print_items([await with_database(args, lambda db, _: db.transaction(work))])
    return 0


def _minor(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError("an amount is 1 to 12 digits, in minor units")
    return int(text)


def _note(text: str) -> str:
    if not text.strip() or len(text) > NOTE_SIZE_MAX or not text.isprintable():
        raise argparse.ArgumentTypeError(f"a note is a line of 1 to {NOTE_SIZE_MAX} characters")
    return text.strip()


async def _report(args: Args) -> int:
    async def work(tx: Tx) -> list[tuple[ImportedFile, list[Entry]]]:
        if args.file_id is not None:
            return [await cards.clearing_file(tx, args.file_id)]
        from_at = datetime.combine(args.date, time(), PHNOM_PENH)
        files = await cards.clearing_files(tx, from_at, from_at + timedelta(days=1))
        return [await cards.clearing_file(tx, each.id) for each in files]

    _show(args, await with_database(args, lambda db, _: db.transaction(work)))
    return 0


def _read(args: Args, content: bytes) -> ClearingFile:
    form = args.form or ("ipm" if cards.is_ipm(content) else "csv")
    if form == "ipm":
        return cards.read_ipm(content, encoding=args.encoding, blocking=args.blocking)
    if args.encoding or args.blocking:
        raise Invalid("A CSV has neither --encoding nor --blocking: it is UTF-8.")
    return cards.read_clearing_csv(content)


def _content(file: Path) -> bytes:
    """Read a file, or so much of it that it is seen to be too large."""
    if str(file) == "-":  # left open: the database's socket would take its number
        return sys.stdin.buffer.read(cards.CLEARING_FILE_SIZE_MAX + 1)
    with file.open("rb") as stream:
        return stream.read(cards.CLEARING_FILE_SIZE_MAX + 1)


def _show(args: Args, reports: Sequence[tuple[ImportedFile, list[Entry]]]) -> None:
    if args.report == "csv":
        _print_csv(entry for _, entries in reports for entry in entries)
        return
    for file, entries in reports:
        state = "complete" if file.finished_at else "not complete: import it again"
        at = f"{file.imported_at.astimezone(PHNOM_PENH):%Y-%m-%d %H:%M}"
        print(f"{file.id}\t{file.name}\t{file.form}\t{at}\t{file.records} records\t{state}")
        _print_totals(file.totals)
        _print_states(entries)
        _print_entries(each for each in entries if each.state in OPEN)


def _print_totals(totals: Iterable[Total]) -> None:
    for each in totals:
        amount = _amount(each.amount_minor, each.currency)
        print(f"total\t{each.adjustment}s\t{each.count}\t{amount}")


def _print_states(entries: Iterable[Entry]) -> None:
    """Print what it comes to by state, direction and currency: as cleared, and as posted."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for each in entries:
        key = (each.state, each.adjustment or each.kind, each.currency or "")
        found = sums.setdefault(key, [0, 0])
        found[0] += 1
        found[1] += each.amount_minor or 0
    for (state, side, currency), (count, minor) in sorted(sums.items()):
        print(f"{state}\t{side}\t{count}\t{_amount(minor, currency)}")


def _print_entries(entries: Iterable[Entry]) -> None:
    for each in entries:
        amount = _amount(each.amount_minor or 0, each.currency or "")
        card = f"…{each.last_four}" if each.last_four else "-"
        references = "\t".join(t or "-" for t in (each.reference, each.rrn, each.approval_code))
        print(
            f"line {each.line}\t{each.state}\t{each.adjustment or each.kind}\t{amount}\t{card}\t"
            f"{references}\t{each.reason or ''}"
        )


def _print_items(items: Iterable[OpenItem]) -> None:
    for each in items:
        amount = _amount(each.amount_minor or 0, each.currency or "")
        card = f"…{each.last_four}" if each.last_four else "-"
        references = "\t".join(t or "-" for t in (each.reference, each.rrn, each.approval_code))
        print(
            f"{each.item}\t{each.what}\t{each.side or '-'}\t{amount}\t{card}\t{references}\t"
            f"{each.reason or ''}"
        )


def _print_csv(rows: Iterable[Entry | OpenItem], columns: Sequence[str] = COLUMNS) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for each in rows:
        cells = [getattr(each, name) for name in columns]
        writer.writerow("" if cell is None else cell for cell in cells)


def _amount(minor: int, code: str) -> str:
    currency = by_code(code)
    return f"{Decimal(minor).scaleb(-currency.exponent):,f} {code}" if currency else str(minor)
