"""Every statement on the schema `web`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from bayon.db import Tx
from bayon.ids import uuid7

AccessKind = Literal["participant", "integrator", "issuer"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessToken:
    """A row of `web.access_token`, without the token, which nobody keeps."""

    id: UUID
    kind: AccessKind
    owner: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def insert_token(
    tx: Tx,
    *,
    kind: AccessKind,
    owner: str,
    digest: bytes,
    label: str,
    created_at: datetime,
    expires_at: datetime | None,
) -> bool:
    """Insert a token; one that is there already stays as it is, and the answer is False."""
    return bool(
        await tx.value(
            """
            INSERT INTO web.access_token (id, kind, owner, digest, label, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (digest) DO NOTHING RETURNING true
            """,
            uuid7(),
            kind,
            owner,
            digest,
            label,
            created_at,
            expires_at,
        )
    )


async def find_tokens(tx: Tx, digests: Sequence[bytes]) -> dict[bytes, AccessToken]:
    """Find tokens by digest, expired and revoked ones too."""
    rows = await tx.rows(
        """
        SELECT digest, id, kind, owner, label, created_at, expires_at, revoked_at
        FROM web.access_token WHERE digest = ANY($1::bytea[])
        """,
        digests,
    )
    return {
        row["digest"]: AccessToken(**{n: v for n, v in row.items() if n != "digest"})
        for row in rows
    }


async def latest_digest(tx: Tx, *, kind: AccessKind, owner: str) -> bytes | None:
    """Find the digest of an owner's latest token; None when that one is revoked."""
    digest: bytes | None = await tx.value(
        """
        SELECT CASE WHEN revoked_at IS NULL THEN digest END FROM web.access_token
        WHERE kind = $1 AND owner = $2 ORDER BY created_at DESC, id DESC LIMIT 1
        """,
        kind,
        owner,
    )
    return digest


async def tokens(tx: Tx) -> list[AccessToken]:
    """List all tokens, the newest first."""
    rows = await tx.rows(
        """
        SELECT id, kind, owner, label, created_at, expires_at, revoked_at
        FROM web.access_token ORDER BY created_at DESC, id DESC
        """
    )
    return [AccessToken(**dict(row)) for row in rows]


async def revoke_token(tx: Tx, *, token_id: UUID, now: datetime) -> bool:
    """Revoke a token; False when there is none."""
    return bool(
        await tx.value(
            """
            UPDATE web.access_token SET revoked_at = coalesce(revoked_at, $2)
            WHERE id = $1 RETURNING true
            """,
            token_id,
            now,
        )
    )
