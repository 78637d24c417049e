"""Every statement on zone PIN keys that were sent, of the schema `cards`."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from bayon.db import Tx


class SentKey(Struct, frozen=True, kw_only=True):
    """A zone PIN key as its network sent it: in its key block, `upon` a configured one."""

    link: str
    version: int
    block: str
    upon: str
    received_at: datetime


async def newest_sent_keys(tx: Tx, *, links: Sequence[str]) -> list[SentKey]:
    """List the last two keys of each link, by link and version."""
    rows = await tx.rows(
        """
        SELECT k.link, k.version, k.block, k.upon, k.received_at FROM cards.zone_key AS k
        WHERE k.link = ANY($1::text[]) AND k.version >= (
            SELECT max(newest.version) - 1 FROM cards.zone_key AS newest
            WHERE newest.link = k.link
        )
        ORDER BY k.link, k.version
        """,
        links,
    )
    return [SentKey(**row) for row in rows]


async def sent_keys(tx: Tx) -> list[SentKey]:
    """List all keys there ever were, by link and version."""
    rows = await tx.rows(
        """
        SELECT k.link, k.version, k.block, k.upon, k.received_at FROM cards.zone_key AS k
        ORDER BY k.link, k.version
        """
    )
    return [SentKey(**row) for row in rows]


async def was_sent(tx: Tx, *, link: str, block: str) -> bool:
    """Tell whether a link's network has sent this very block at any time."""
    sql = "SELECT EXISTS (SELECT 1 FROM cards.zone_key WHERE link = $1 AND block = $2)"
    return bool(await tx.value(sql, link, block))


async def insert_sent_key(tx: Tx, key: SentKey) -> bool:
    """Insert a key; false if somebody else has just inserted one."""
    inserted = await tx.value(
        """
        INSERT INTO cards.zone_key (link, version, block, upon, received_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
        """,
        key.link,
        key.version,
        key.block,
        key.upon,
        key.received_at,
    )
    return bool(inserted)
