"""Every statement on the schema `batch`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
from msgspec import Struct

from bayon.clock import Clock
from bayon.db import RunAgain, Tx


class StoredAnswer(Struct, frozen=True):
    """A row of `batch.answer`."""

    digest: bytes
    body_hash: bytes
    sealed: bytes


async def load(tx: Tx, digests: Sequence[bytes]) -> tuple[datetime, dict[bytes, StoredAnswer]]:
    """Tell the time and the stored answers of these keys, in one statement. Locks nothing."""
    rows = await tx.rows(
        """
        SELECT clock.offset_s, answer.digest, answer.body_hash, answer.sealed
        FROM cellar.clock
        LEFT JOIN batch.answer ON answer.digest = ANY($1::bytea[])
        """,
        digests,
    )
    now = Clock(timedelta(seconds=rows[0]["offset_s"])).now()
    found = [StoredAnswer(row["digest"], row["body_hash"], row["sealed"]) for row in rows if row[1]]
    return now, {answer.digest: answer for answer in found}


async def forget(tx: Tx, digests: Sequence[bytes]) -> None:
    """Forget answers whose keys are another request's from now on."""
    await tx.run("DELETE FROM batch.answer WHERE digest = ANY($1::bytea[])", digests)


async def save(tx: Tx, answers: Sequence[StoredAnswer], *, created_at: datetime) -> None:
    """Store answers, sorted by digest. Errors: `RunAgain` when one of them is there already."""
    await tx.settle()  # what fails of that is no answer that is there already
    try:
        await tx.run(
            """
            INSERT INTO batch.answer (digest, body_hash, sealed, created_at)
            SELECT digest, body_hash, sealed, $4
            FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS a (digest, body_hash, sealed)
            """,
            [answer.digest for answer in answers],
            [answer.body_hash for answer in answers],
            [answer.sealed for answer in answers],
            created_at,
        )
    except asyncpg.UniqueViolationError as error:
        raise RunAgain from error
