"""Every statement on clearing files and their records, of the schema `cards`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from msgspec import Struct

from bayon.cards.presentment import Form, Total
from bayon.db import Tx

_FILE: Final = """ f.id, f.digest, f.name, f.form, f.records, f.totals, f.imported_at,
    f.finished_at """
_ENTRY: Final = """ r.file_id, r.place, r.line, r.key, r.state, r.reason, r.kind, r.adjustment,
    r.currency, r.amount_minor, r.posted_currency, r.posted_minor, r.difference_minor,
    r.transaction_id, r.pan_digest, r.last_four, r.reference, r.rrn, r.approval_code,
    r.created_at """
_TOTALS: Final = msgspec.json.Decoder(tuple[Total, ...])


class ImportedFile(Struct, frozen=True, kw_only=True):
    """A clearing file as it was imported; `finished_at` is None until all records have a state."""

    id: UUID
    digest: bytes
    name: str
    form: Form
    records: int
    totals: tuple[Total, ...]
    imported_at: datetime
    finished_at: datetime | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """What became of one record; `place` is its number among a file's, `line` where it stands."""

    file_id: UUID
    place: int
    line: int
    key: bytes
    state: str
    reason: str | None = None
    kind: str
    adjustment: str | None = None
    currency: str | None = None
    amount_minor: int | None = None
    posted_currency: str | None = None
    posted_minor: int | None = None
    difference_minor: int | None = None
    transaction_id: UUID | None = None
    pan_digest: bytes | None = None
    last_four: str | None = None
    reference: str | None = None
    rrn: str | None = None
    approval_code: str | None = None
    created_at: datetime


async def insert_file(tx: Tx, file: ImportedFile) -> None:
    """Insert a file, unless its content is there already."""
    await tx.run(
        """
        INSERT INTO cards.clearing_file (id, digest, name, form, records, totals, imported_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (digest) DO NOTHING
        """,
        file.id,
        file.digest,
        file.name,
        file.form,
        file.records,
        msgspec.json.encode(file.totals).decode(),
        file.imported_at,
    )


async def find_file_by_digest(tx: Tx, digest: bytes) -> ImportedFile | None:
    """Find a file by its content."""
    row = await tx.row("SELECT" + _FILE + "FROM cards.clearing_file AS f WHERE digest = $1", digest)
    return _file(row) if row else None


async def lock_file(tx: Tx, file_id: UUID) -> None:
    """Lock a file: one import of it goes on at a time."""
    await tx.run("SELECT FROM cards.clearing_file WHERE id = $1 FOR UPDATE", file_id)


async def finish_file(tx: Tx, file_id: UUID, *, now: datetime) -> None:
    """Note that every record of a file has its state; the first time stays."""
    await tx.run(
        """
        UPDATE cards.clearing_file SET finished_at = $2 WHERE id = $1 AND finished_at IS NULL
        """,
        file_id,
        now,
    )


async def find_file(tx: Tx, file_id: UUID) -> ImportedFile | None:
    """Find a file."""
    row = await tx.row("SELECT" + _FILE + "FROM cards.clearing_file AS f WHERE f.id = $1", file_id)
    return _file(row) if row else None


async def files_between(tx: Tx, from_at: datetime, to_at: datetime) -> list[ImportedFile]:
    """List the files imported from one instant on and before another, the oldest first."""
    rows = await tx.rows(
        "SELECT"
        + _FILE
        + """FROM cards.clearing_file AS f
        WHERE f.imported_at >= $1 AND f.imported_at < $2 ORDER BY f.imported_at, f.id
        """,
        from_at,
        to_at,
    )
    return [_file(row) for row in rows]


async def entries_at(tx: Tx, file_id: UUID, places: Sequence[int]) -> dict[int, Entry]:
    """Find what became of these records of a file, by their places."""
    rows = await tx.rows(
        "SELECT"
        + _ENTRY
        + "FROM cards.clearing_record AS r WHERE r.file_id = $1 AND r.place = ANY($2::int[])",
        file_id,
        places,
    )
    return {row["place"]: _entry(row) for row in rows}


async def entries(tx: Tx, file_id: UUID) -> list[Entry]:
    """List what became of a file's records, in its order."""
    rows = await tx.rows(
        "SELECT" + _ENTRY + "FROM cards.clearing_record AS r WHERE r.file_id = $1 ORDER BY r.place",
        file_id,
    )
    return [_entry(row) for row in rows]


async def claim(tx: Tx, entries: Sequence[Entry]) -> set[int]:
    """Insert records that no file has told of yet; returns the places of those.

    Waits for who is inserting one of them; in the order of their keys, so that nobody waits in a
    circle.
    """
    ordered = sorted(entries, key=lambda each: each.key)
    rows = await tx.rows(
        """
        INSERT INTO cards.clearing_record (file_id, place, line, key, state, reason, kind,
            adjustment, currency, amount_minor, posted_currency, posted_minor, difference_minor,
            transaction_id, pan_digest, last_four, reference, rrn, approval_code, created_at)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bytea[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bigint[],
            $13::bigint[], $14::uuid[], $15::bytea[], $16::text[], $17::text[], $18::text[],
            $19::text[], $20::timestamptz[])
        ON CONFLICT (key) WHERE state <> 'duplicate' DO NOTHING
        RETURNING place
        """,
        *_arrays(ordered),
    )
    return {row["place"] for row in rows}


async def update_entries(tx: Tx, entries: Sequence[Entry]) -> None:
    """Write what has become of records that were claimed."""
    await tx.run(
        """
        UPDATE cards.clearing_record AS r SET state = d.state, reason = d.reason,
            posted_currency = d.posted_currency, posted_minor = d.posted_minor,
            difference_minor = d.difference_minor, transaction_id = d.transaction_id,
            closed_at = NULL, note = NULL
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bigint[],
            $7::bigint[], $8::uuid[]) AS d (file_id, place, state, reason, posted_currency,
            posted_minor, difference_minor, transaction_id)
        WHERE r.file_id = d.file_id AND r.place = d.place
        """,
        *(
            [getattr(each, name) for each in entries]
            for name in (
                *("file_id", "place", "state", "reason", "posted_currency", "posted_minor"),
                *("difference_minor", "transaction_id"),
            )
        ),
    )


async def told_of(tx: Tx, transaction_ids: Sequence[UUID]) -> set[UUID]:
    """Tell which of these transactions a record has told of already."""
    rows = await tx.rows(
        "SELECT transaction_id FROM cards.clearing_record WHERE transaction_id = ANY($1::uuid[])",
        transaction_ids,
    )
    return {row["transaction_id"] for row in rows}


async def known_cards(tx: Tx, pan_digests: Sequence[bytes]) -> set[bytes]:
    """Tell which of these are cards of ours."""
    rows = await tx.rows(
        "SELECT pan_digest FROM cards.card WHERE pan_digest = ANY($1::bytea[])", pan_digests
    )
    return {row["pan_digest"] for row in rows}


async def lost_transactions(tx: Tx) -> list[UUID]:
    """List what records say was posted and is not there, or is not settled."""
    rows = await tx.rows(
        """
        SELECT r.transaction_id FROM cards.clearing_record AS r
        LEFT JOIN cards.transaction AS t ON t.id = r.transaction_id
        WHERE r.transaction_id IS NOT NULL AND (t.id IS NULL OR t.status <> 'settled')
        ORDER BY r.transaction_id
        """
    )
    return [row["transaction_id"] for row in rows]


def _arrays(entries: Sequence[Entry]) -> list[list[object]]:
    names = Entry.__struct_fields__
    return [[getattr(each, name) for each in entries] for name in names]


def _file(row: Any) -> ImportedFile:  # noqa: ANN401 - a Record, whose columns have no types
    columns = cast("dict[str, Any]", dict(row))
    columns["totals"] = _TOTALS.decode(columns["totals"])
    return ImportedFile(**columns)


def _entry(row: Any) -> Entry:  # noqa: ANN401 - a Record, whose columns have no types
    return Entry(**cast("dict[str, Any]", dict(row)))
