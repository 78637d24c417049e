"""Status: whether a payment was made, asked by MD5, hash, short hash or reference; and waiting."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon.db import Tx
from bayon.money import Currency
from bayon.payments import store
from bayon.payments.model import Payment

SEQ_MAX: Final = 2**63 - 1
SHORT_HASH_LENGTH: Final = 8
MD5_SIZE: Final = 16
PAGE_SIZE: Final = 50


async def by_md5(tx: Tx, md5s: Sequence[str]) -> list[Payment | None]:
    """Find for each MD5 (hex) its newest payment that succeeded, else failed. One statement."""
    wanted = [read_hex(md5) for md5 in md5s]
    found = await store.newest_by_md5(tx, sorted({md5 for md5 in wanted if is_md5(md5)}))
    return [found.get(md5) for md5 in wanted]


async def is_pending(tx: Tx, md5: str) -> bool:
    """Tell whether a payment of this MD5 (hex) is on its way: its QR is taken, and not yet paid."""
    return await store.pending_by_md5(tx, read_hex(md5))


async def by_hash(tx: Tx, hashes: Sequence[str]) -> list[Payment | None]:
    """Find for each hash (64 hex digits) its payment, if it succeeded or failed. One statement."""
    wanted = [read_hex(digest) for digest in hashes]
    found = await store.newest_by_hash(tx, sorted({digest for digest in wanted if digest}))
    return [found.get(digest) for digest in wanted]


async def by_short_hash(
    tx: Tx, *, short_hash: str, amount_minor: int, currency: Currency
) -> Payment | None:
    """Find the newest payment whose hash begins with these 8 hex digits, of this amount."""
    start = read_hex(short_hash) if len(short_hash) == SHORT_HASH_LENGTH else b""
    if not start:
        return None
    rest = 32 - len(start)
    return await store.newest_by_short_hash(
        tx,
        low=start + b"\x00" * rest,
        high=start + b"\xff" * rest,
        amount_minor=amount_minor,
        currency=currency,
    )


async def by_instruction_ref(tx: Tx, ref: str) -> Payment | None:
    """Find the newest payment with this instruction reference."""
    return await store.newest_by_instruction_ref(tx, ref)


async def by_external_ref(tx: Tx, ref: str) -> Payment | None:
    """Find the newest payment with this external reference."""
    return await store.newest_by_external_ref(tx, ref)


async def list_payments(
    tx: Tx,
    *,
    participant_id: UUID,
    account_id: str | None = None,
    direction: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
) -> tuple[list[Payment], int | None]:
    """List a participant's payments, newest first, 50 a page, and where the next page starts.

    `direction` is incoming, outgoing or both; times include both ends. Incoming payments are shown
    once they succeeded; declines are shown to who made them.
    """
    rows = await store.page(
        tx,
        participant_id=participant_id,
        account_id=account_id,
        direction=direction,
        since=since,
        until=until,
        before_seq=after if after is not None else SEQ_MAX,
        limit=PAGE_SIZE + 1,
    )
    shown = rows[:PAGE_SIZE]
    after_shown = shown[-1][0] if len(rows) > PAGE_SIZE else None
    return [payment for _, payment in shown], after_shown


class Watch:
    """Who waits for the payment of an MD5, in this process. A waiter holds no connection."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._open: bool = True

    @property
    def md5s(self) -> list[str]:
        """Every MD5 somebody waits for."""
        return list(self._waiting)

    def add(self, md5: str) -> asyncio.Event:
        """Begin to wait; the event is set when the payment has come to an end."""
        event = asyncio.Event()
        if not self._open:
            event.set()
        self._waiting[md5].add(event)
        return event

    def remove(self, md5: str, event: asyncio.Event) -> None:
        """Stop waiting."""
        self._waiting[md5].discard(event)
        if not self._waiting[md5]:
            del self._waiting[md5]

    def let_go(self) -> None:
        """Wake everybody, now and from now on: the process stops, and they shall be answered."""
        self._open = False
        for events in self._waiting.values():
            for event in events:
                event.set()

    def wake(self, payments: Iterable[Payment | None]) -> None:
        """Wake who waits for one of these payments, if it is final."""
        for payment in payments:
            if payment is not None and payment.md5 and payment.state in {"succeeded", "failed"}:
                for event in self._waiting.get(payment.md5.hex(), ()):
                    event.set()


def read_hex(text: str) -> bytes:
    """Read hex digits; whatever is none is found nowhere."""
    try:
        return bytes.fromhex(text) if text.isalnum() else b""  # fromhex skips blanks of all kinds
    except ValueError:
        return b""


def is_md5(digest: bytes) -> bool:
    """Tell whether these bytes can be a QR's MD5."""
    return len(digest) == MD5_SIZE
