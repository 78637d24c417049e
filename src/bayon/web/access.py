"""Access: who bears this token. Tokens are kept as their SHA-256 only.

Found tokens are remembered for a second, so that a revocation takes hold everywhere within one;
what is not found is never remembered.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon.batch import Batcher
from bayon.db import Database, Tx
from bayon.errors import Denied, NotFound
from bayon.web import store
from bayon.web.store import AccessKind, AccessToken

REMEMBERED_S: Final = 1.0
REMEMBERED_MAX: Final = 10_000
TOKEN_LENGTH_MAX: Final = 4_096
TOKEN_SIZE: Final = 32
LOOKUPS_MAX: Final = 500


class Unauthorized(Denied):
    """Unauthorized."""

    code = "unauthorized"


class TokenNotFound(NotFound):
    """There is no such token."""

    code = "token_not_found"


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who calls: the kind of token and its owner. `digest` names the token in limits and scopes."""

    kind: AccessKind
    owner: str
    digest: bytes
    expires_at: datetime | None


class Gate:
    """Tells tokens apart. `signed` says whether an integrator's token carries our signature."""

    def __init__(self, db: Database, *, signed: Callable[[str], bool]) -> None:
        self._db: Database = db
        self._signed: Callable[[str], bool] = signed
        self._found: dict[bytes, tuple[Access, float]] = {}
        self._finding: Batcher[bytes, AccessToken | None] = Batcher(
            self._find, size_max=LOOKUPS_MAX
        )

    async def enter(self, token: str | None, *kinds: AccessKind) -> Access:
        """Let in the bearer of a valid token of one of these kinds.

        Errors: `Unauthorized` without a token, or with one that is unknown, revoked, expired, of
        another kind, or not signed by us.
        """
        if not token or len(token) > TOKEN_LENGTH_MAX:
            raise Unauthorized
        digest = digest_of(token)
        access = self._remembered(digest) or await self._look_up(token, digest)
        now = (await self._db.clock()).now()
        if access.kind not in kinds or (access.expires_at and access.expires_at <= now):
            raise Unauthorized
        return access

    def _remembered(self, digest: bytes) -> Access | None:
        access, until = self._found.get(digest, (None, 0.0))
        return access if until > time.monotonic() else None

    async def _look_up(self, token: str, digest: bytes) -> Access:
        row = await self._finding.submit(digest)
        if row is None or row.revoked_at is not None:
            raise Unauthorized
        if row.kind == "integrator" and not self._signed(token):
            raise Unauthorized
        access = Access(kind=row.kind, owner=row.owner, digest=digest, expires_at=row.expires_at)
        if len(self._found) >= REMEMBERED_MAX:
            self._found.clear()
        self._found[digest] = (access, time.monotonic() + REMEMBERED_S)
        return access

    async def _find(self, digests: Sequence[bytes]) -> list[AccessToken | None]:
        found = await self._db.read(lambda tx: store.find_tokens(tx, sorted(set(digests))))
        return [found.get(digest) for digest in digests]


def new_token() -> str:
    """Make an opaque token: 43 characters, 256 bits."""
    return secrets.token_urlsafe(TOKEN_SIZE)


def digest_of(token: str) -> bytes:
    """Tell what a token is kept as."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def keep_token(
    tx: Tx,
    *,
    kind: AccessKind,
    owner: str,
    token: str,
    label: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> bool:
    """Make a token valid; False when there was such a token already, which stays as it is."""
    return await store.insert_token(
        tx,
        kind=kind,
        owner=owner,
        digest=digest_of(token),
        label=label,
        created_at=now,
        expires_at=expires_at,
    )


async def is_latest(tx: Tx, *, kind: AccessKind, owner: str, token: str) -> bool:
    """Tell whether this is the owner's latest token, and not revoked; expiry does not matter.

    Revoking the latest brings no older one back.
    """
    latest = await store.latest_digest(tx, kind=kind, owner=owner)
    return latest is not None and hmac.compare_digest(latest, digest_of(token))


async def list_tokens(tx: Tx) -> list[AccessToken]:
    """List all tokens, the newest first."""
    return await store.tokens(tx)


async def revoke_token(tx: Tx, *, token_id: UUID, now: datetime) -> None:
    """Revoke a token. Errors: `TokenNotFound`."""
    if not await store.revoke_token(tx, token_id=token_id, now=now):
        raise TokenNotFound
