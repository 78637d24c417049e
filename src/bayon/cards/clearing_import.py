"""The import of clearing files: begun, posted in steps, finished; and what became of each record.

Each step is one transaction, in which records get their state and what they cleared is posted, so
that an import that is killed goes on where it was when the same file is given again. A record is
known by its key in whichever file it comes, and posted once. What could not be posted (no such
card, no exchange rate) is tried again with its file.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon.cards import clearing_store as store
from bayon.cards.clearing import Present
from bayon.cards.clearing_store import Entry, ImportedFile
from bayon.cards.model import Trace
from bayon.cards.move import move
from bayon.cards.original import Original
from bayon.cards.presentment import ClearingFile, Note, Presentment, key_of, refuse
from bayon.cards.till import Moved
from bayon.cards.vault import BadPan, Vault
from bayon.db import Tx
from bayon.errors import BayonError, NotFound
from bayon.ids import uuid7

TOLERANCE_PERCENT: Final = 20
"""By how much a cleared amount may differ from the authorised one, where only card and approval
code are the same. Source: NCR's matching of clearing records, as processors print theirs."""

TRIED_AGAIN: Final = frozenset({"parked", "rejected"})


class ClearingFileNotFound(NotFound):
    """There is no such clearing file."""

    code = "clearing_file_not_found"


class Readied(Struct, frozen=True, kw_only=True):
    """A record of a file with the digests it is known by; no card number in clear."""

    place: int
    record: Presentment | Note
    key: bytes
    pan_digest: bytes | None = None
    last_four: str | None = None


def ready_records(read: ClearingFile, vault: Vault) -> list[Readied]:
    """Digest each record's card number, and find what it is known by. Pure.

    Errors: `Invalid` when one is no card number; the file is refused whole.
    """
    readied: list[Readied] = []
    problems: list[tuple[int, str]] = []
    for place, record in enumerate(read.records):
        if isinstance(record, Note):
            readied.append(Readied(place=place, record=record, key=key_of(record, None)))
            continue
        try:
            pan = vault.read_pan(record.pan)
        except BadPan as error:
            problems.append((record.line, error.message))
            continue
        digest = vault.pan_digest(pan)
        readied.append(
            Readied(
                place=place,
                record=record,
                key=key_of(record, digest),
                pan_digest=digest,
                last_four=vault.last_four(pan),
            )
        )
    if problems:
        raise refuse(problems)
    return readied


async def begin_clearing(tx: Tx, read: ClearingFile, *, name: str, now: datetime) -> ImportedFile:
    """Begin the import of a file, or find it where its content was given before. Writes it."""
    file = ImportedFile(
        id=uuid7(),
        digest=read.digest,
        name=name,
        form=read.form,
        records=len(read.records),
        totals=read.totals,
        imported_at=now,
    )
    await store.insert_file(tx, file)
    found = await store.find_file_by_digest(tx, read.digest)
    assert found is not None, "it is there, whoever inserted it"
    return found


async def clear_records(
    tx: Tx, file_id: UUID, records: Sequence[Readied], *, vault: Vault, now: datetime
) -> list[Entry]:
    """Give these records of a file their state, and post what they cleared, each once.

    Locks the file, then as `move`. Writes the records, and as `move`. Returns what was new, or
    tried again; what has its state from an earlier run keeps it.
    """
    await store.lock_file(tx, file_id)
    there = await store.entries_at(tx, file_id, [each.place for each in records])
    new = [_drafted(file_id, each, now) for each in records if each.place not in there]
    claimed = await store.claim(tx, new)
    told = [
        replace(each, state="duplicate", reason="another record is the same")
        for each in new
        if each.place not in claimed
    ]
    await store.claim(tx, told)
    again = [each for each in there.values() if each.state in TRIED_AGAIN]
    drafts = {
        each.place: each for each in (*again, *new) if each.place not in {t.place for t in told}
    }
    asked = [
        each for each in records if each.place in drafts and isinstance(each.record, Presentment)
    ]
    posted = await _post(tx, asked, drafts, vault=vault, now=now)
    await store.update_entries(tx, posted)
    by_place = drafts | {each.place: each for each in (*posted, *told)}
    return [by_place[place] for place in sorted(by_place)]


async def finish_clearing(tx: Tx, file_id: UUID, *, now: datetime) -> None:
    """Note that every record of a file has its state. Writes the file."""
    await store.finish_file(tx, file_id, now=now)


async def clearing_file(tx: Tx, file_id: UUID) -> tuple[ImportedFile, list[Entry]]:
    """Find a file, and what became of its records. Errors: `ClearingFileNotFound`."""
    file = await store.find_file(tx, file_id)
    if file is None:
        raise ClearingFileNotFound
    return file, await store.entries(tx, file_id)


async def clearing_files(tx: Tx, from_at: datetime, to_at: datetime) -> list[ImportedFile]:
    """List the files imported from one instant on and before another, the oldest first."""
    return await store.files_between(tx, from_at, to_at)


async def was_imported(tx: Tx, digest: bytes) -> bool:
    """Tell whether a file of this content was given before."""
    return await store.find_file_by_digest(tx, digest) is not None


def _drafted(file_id: UUID, readied: Readied, now: datetime) -> Entry:
    record = readied.record
    presented = record if isinstance(record, Presentment) else None
    return Entry(
        file_id=file_id,
        place=readied.place,
        line=record.line,
        key=readied.key,
        state="parked" if presented else "noted",
        reason="there is no such card" if presented else "it is not posted",
        kind=record.kind,
        adjustment=presented.adjustment if presented else None,
        currency=record.currency,
        amount_minor=record.amount_minor,
        pan_digest=readied.pan_digest,
        last_four=readied.last_four,
        reference=record.reference,
        rrn=presented.rrn if presented else None,
        approval_code=presented.approval_code if presented else None,
        created_at=now,
    )


async def _post(
    tx: Tx,
    records: Sequence[Readied],
    drafts: Mapping[int, Entry],
    *,
    vault: Vault,
    now: datetime,
) -> list[Entry]:
    """Post what is of cards of ours. What tells of a transaction another told of is one more."""
    digests = [each.pan_digest for each in records if each.pan_digest is not None]
    known = await store.known_cards(tx, digests) if digests else set[bytes]()
    ours = [each for each in records if each.pan_digest in known]
    if not ours:
        return []
    commands = [_present(each) for each in ours]
    outcomes = await move(tx, commands, vault=vault, now=now)
    once_more = await _told_before(tx, outcomes)
    if once_more:
        alone = [replace(commands[at], original=None) for at in once_more]
        for at, outcome in zip(once_more, await move(tx, alone, vault=vault, now=now), strict=True):
            outcomes[at] = outcome
    return [
        _judged(drafts[each.place], each.record, outcome, once_more=at in once_more)
        for at, (each, outcome) in enumerate(zip(ours, outcomes, strict=True))
        if isinstance(each.record, Presentment)
    ]


def _present(readied: Readied) -> Present:
    record = readied.record
    assert isinstance(record, Presentment), "notes are not posted"
    named = record.rrn is not None or record.approval_code is not None
    original = Original(
        pan_digest=readied.pan_digest,
        rrn=record.rrn,
        terminal=record.terminal,
        approval_code=record.approval_code,
        amount_minor=record.amount_minor,
        tolerance_percent=TOLERANCE_PERCENT,
    )
    return Present(
        pan_digest=readied.pan_digest,
        amount_minor=record.amount_minor,
        currency=record.currency,
        billing=record.billing,
        adjustment=record.adjustment,
        kind=record.kind,
        merchant=record.merchant,
        original=original if named and not record.reverses else None,
        final=record.final,
        reconciles=True,
        occurred_at=record.occurred_at,
        trace=Trace(rrn=record.rrn, approval_code=record.approval_code, terminal=record.terminal),
    )


async def _told_before(tx: Tx, outcomes: Sequence[Moved | BayonError]) -> list[int]:
    """Find which outcomes are about a transaction that a record told of, here or earlier."""
    moved = [each for each in outcomes if isinstance(each, Moved)]
    silent = sorted({m.transaction.id for m in moved if m.transaction and not m.effect})
    told = await store.told_of(tx, silent) if silent else set[UUID]()
    found: list[int] = []
    for at, outcome in enumerate(outcomes):
        if isinstance(outcome, Moved) and outcome.transaction is not None:
            if not outcome.effect and outcome.transaction.id in told:
                found.append(at)
            told.add(outcome.transaction.id)
    return found


def _judged(
    draft: Entry, record: Presentment, outcome: Moved | BayonError, *, once_more: bool
) -> Entry:
    """Tell what has become of a record."""
    if isinstance(outcome, BayonError):
        return replace(draft, state="rejected", reason=outcome.message)
    posted = outcome.transaction
    assert posted is not None, "the card is one of ours, so that something is told of it"
    state, reason = _state_of(record, outcome, once_more=once_more)
    before = outcome.before
    same = before is not None and before.transaction_currency == record.currency
    return replace(
        draft,
        state=state,
        reason=reason,
        posted_currency=posted.currency.value,
        posted_minor=posted.amount_minor,
        difference_minor=record.amount_minor - before.transaction_amount_minor
        if before and same
        else None,
        transaction_id=posted.id,
    )


def _state_of(record: Presentment, outcome: Moved, *, once_more: bool) -> tuple[str, str | None]:
    before = outcome.before
    if not outcome.effect:
        return "reconciled", None
    if before is not None:
        return "matched", "its hold had expired" if before.status == "expired" else None
    if record.adjustment == "credit":
        return "refunded", "it takes a presentment back" if record.reverses else None
    return "unmatched", "its transaction was cleared before" if once_more else "no authorisation"
