"""Open items: what nobody could match, and a person works off: linked to what it is about, closed.

A clearing record without an authorisation was posted by itself: linked, the authorisation it
belongs to gives its hold back. A message that cannot be declined was acknowledged: linked, it does
what it said to the transaction it is about.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from bayon.cards import open_item_store as store
from bayon.cards import transaction_store
from bayon.cards.change import Reverse
from bayon.cards.clearing import Clear
from bayon.cards.model import NotPending, Transaction, TransactionNotFound
from bayon.cards.move import move
from bayon.cards.open_item_store import OpenItem
from bayon.cards.vault import Vault
from bayon.db import Tx
from bayon.errors import BayonError, Conflict, NotFound

LISTED_MAX: Final = 1_000


class OpenItemNotFound(NotFound):
    """There is no such open item."""

    code = "open_item_not_found"


class NotLinkable(Conflict):
    """This item is about no transaction that could be changed by it: it can only be closed."""

    code = "not_linkable"


class _Named(Struct, frozen=True, kw_only=True):
    """An item's name, read: a record's file and line, or a message's id."""

    id: UUID
    line: int | None


async def open_items(tx: Tx) -> list[OpenItem]:
    """List the newest open items, of clearing files and of the network."""
    return await store.open_items(tx, limit=LISTED_MAX)


async def close_item(tx: Tx, item: str, *, note: str | None, now: datetime) -> OpenItem:
    """Take an item off the list, with a note. Locks and writes it. Errors: `OpenItemNotFound`."""
    named = _read(item)
    found = await _lock(tx, named)
    await _close(tx, named, note=note, linked=False, now=now)
    return found


async def link_item(
    tx: Tx,
    item: str,
    transaction_id: UUID,
    *,
    amount_minor: int | None = None,
    note: str | None = None,
    vault: Vault,
    now: datetime,
) -> Transaction:
    """Say what an item is about, and close it; returns the transaction as it is then.

    An unmatched record: its authorisation gives its hold back. A reversal takes back, and a
    completion clears, what it said, or `amount_minor` of the merchant's. Locks the item, then as
    `move`; writes both. Errors: `OpenItemNotFound`; `NotLinkable` (in another currency too);
    `TransactionNotFound` (another card's too); `NotPending`; as `move`.
    """
    named = _read(item)
    found = await _lock(tx, named)
    locked = await transaction_store.lock_transactions(tx, [transaction_id])
    if transaction_id not in locked:
        raise TransactionNotFound
    _, transaction = locked[transaction_id]
    command = _command(found, transaction, amount_minor)
    digest = None
    if transaction.card_id is not None:
        digest = await store.card_digest(tx, transaction.card_id)
    if digest is None or digest != found.pan_digest:
        raise TransactionNotFound
    (outcome,) = await move(tx, [command], vault=vault, now=now)
    if isinstance(outcome, BayonError):
        raise outcome
    assert outcome.transaction is not None
    await _close(tx, named, note=note, linked=True, now=now)
    return outcome.transaction


def _command(
    found: OpenItem, transaction: Transaction, amount_minor: int | None
) -> Reverse | Clear:
    issuer_id, transaction_id = transaction.issuer_id, transaction.id
    if found.what == "unmatched" and found.side == "debit":
        if transaction.status != "pending":
            raise NotPending
        return Reverse(issuer_id=issuer_id, transaction_id=transaction_id)
    if found.what not in {"reversal", "completion"}:
        raise NotLinkable
    remaining_minor = found.remaining_minor if amount_minor is None else None
    if amount_minor is None:
        if found.currency not in {None, transaction.transaction_currency}:
            raise NotLinkable
        amount_minor = found.amount_minor or None
    if found.what == "completion":
        return Clear(issuer_id=issuer_id, transaction_id=transaction_id, amount_minor=amount_minor)
    return Reverse(
        issuer_id=issuer_id,
        transaction_id=transaction_id,
        amount_minor=amount_minor,
        remaining_minor=remaining_minor,
    )


def _read(item: str) -> _Named:
    """Read an item's name. Errors: `OpenItemNotFound`."""
    name, colon, line = item.partition(":")
    try:
        named = _Named(id=UUID(name), line=int(line) if colon else None)
    except ValueError:
        raise OpenItemNotFound from None
    if named.line is not None and not 0 <= named.line < 2**31:
        raise OpenItemNotFound
    return named


async def _lock(tx: Tx, named: _Named) -> OpenItem:
    if named.line is None:
        found = await store.lock_message(tx, named.id)
    else:
        found = await store.lock_record(tx, named.id, named.line)
    if found is None:
        raise OpenItemNotFound
    return found


async def _close(tx: Tx, named: _Named, *, note: str | None, linked: bool, now: datetime) -> None:
    if named.line is None:
        await store.close_message(tx, named.id, note=note, now=now)
    else:
        await store.close_record(tx, named.id, named.line, note=note, matched=linked, now=now)
