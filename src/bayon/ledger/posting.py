"""The ledger's verbs. Plural: one call is a batch, one outcome for each command, in order.

Each is four steps: `load` (lock holds, then balances, by id), decide on the book, `save` (one
statement a table, one change an account), and the outcome. They never begin or commit.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from bayon.db import Tx
from bayon.ids import uuid7
from bayon.ledger import store
from bayon.ledger.book import Book
from bayon.ledger.model import Account, AccountKind, Balance, Decline, Hold, Transfer
from bayon.money import Currency

SLOTS: Final = 8

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAccount:
    """Open an account. A system account has a name, under which it is opened once."""

    currency: Currency
    kind: AccountKind = "customer"
    name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """Move an amount, as `Book.post`."""

    debit_account_id: UUID
    credit_account_id: UUID
    amount_minor: int
    cause_id: UUID
    occurred_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceHold:
    """Reserve an amount, as `Book.hold`."""

    account_id: UUID
    amount_minor: int
    cause_id: UUID
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """Capture a hold, as `Book.capture`."""

    hold_id: UUID
    credit_account_id: UUID
    amount_minor: int
    final: bool = True
    above: bool = False
    occurred_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """Release a hold or part of it, as `Book.release`."""

    hold_id: UUID
    amount_minor: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Expire:
    """Expire a hold, as `Book.expire`."""

    hold_id: UUID


async def open_account(tx: Tx, commands: Sequence[OpenAccount], *, now: datetime) -> list[Account]:
    """Open accounts with nothing on them; a named one that is open already is answered as it is.

    Writes `account` and `balance` (a system account: one row a slot).
    """
    wanted = [Account(id=uuid7(), currency=c.currency, kind=c.kind) for c in commands]
    names = {a.id: c.name for a, c in zip(wanted, commands, strict=True)}
    return await store.insert_accounts(tx, wanted, names=names, slots=SLOTS, created_at=now)


async def named_accounts(tx: Tx, names: Sequence[str]) -> dict[str, Account]:
    """Find system accounts by name; what is not open is not in the answer. Locks nothing."""
    return await store.named_accounts(tx, names)


async def moved(tx: Tx, cause_ids: Sequence[UUID]) -> dict[UUID, list[tuple[UUID, UUID, int]]]:
    """Tell for each cause its transfers, in order: from which account, to which, minor units.

    Locks nothing.
    """
    return await store.moved(tx, cause_ids)


async def causes(tx: Tx, account_ids: Sequence[UUID]) -> set[UUID]:
    """Tell what has moved or holds these accounts' money: the causes of transfers and open holds.

    Locks nothing.
    """
    return await store.causes(tx, account_ids)


async def balance(tx: Tx, account_ids: Sequence[UUID]) -> list[Balance | None]:
    """Tell balances, None where there is no such account. Locks nothing."""
    found = await store.balances(tx, account_ids)
    return [found.get(account_id) for account_id in account_ids]


async def load(
    tx: Tx, *, now: datetime, account_ids: Iterable[UUID], hold_ids: Iterable[UUID] = ()
) -> Book:
    """Load a book of these accounts, these holds, and the accounts the holds are on.

    Locks holds by id, then balances by account and slot (of a system account this process's slot).
    What is not there is not in the book. At most two statements.
    """
    wanted = sorted(set(hold_ids))
    holds = await store.lock_holds(tx, wanted) if wanted else []
    ids = sorted({*account_ids, *(hold.account_id for hold in holds)})
    return Book(now=now, lines=await store.lock_balances(tx, ids, slot=_slot()), holds=holds)


async def save(tx: Tx, book: Book) -> None:
    """Save what was decided on a book: at most one statement a table and kind of change."""
    changed = [x for x in book.lines.values() if x.posted_delta_minor or x.held_delta_minor]
    closed = sorted(book.holds_changed - book.holds_placed)
    if book.transfers:
        await store.insert_transfers(tx, book.transfers)
    if book.holds_placed:
        await store.insert_holds(tx, [book.holds[hold_id] for hold_id in sorted(book.holds_placed)])
    if closed:
        await store.update_holds(tx, [book.holds[hold_id] for hold_id in closed])
    if changed:
        assert sum(line.posted_delta_minor for line in changed) == 0, "a batch is balanced"
        await store.update_balances(tx, changed)


async def post(tx: Tx, commands: Sequence[Post], *, now: datetime) -> list[Transfer | Decline]:
    """Move amounts between accounts. Declines: as `Book.post`."""
    ids = {c.debit_account_id for c in commands} | {c.credit_account_id for c in commands}
    book = await load(tx, now=now, account_ids=ids)
    return await _decided(
        tx,
        book,
        (
            lambda c=c: book.post(
                debit_account_id=c.debit_account_id,
                credit_account_id=c.credit_account_id,
                amount_minor=c.amount_minor,
                cause_id=c.cause_id,
                occurred_at=c.occurred_at,
            )
            for c in commands
        ),
    )


async def hold(tx: Tx, commands: Sequence[PlaceHold], *, now: datetime) -> list[Hold | Decline]:
    """Reserve amounts. Declines: as `Book.hold`."""
    book = await load(tx, now=now, account_ids={c.account_id for c in commands})
    return await _decided(
        tx,
        book,
        (
            lambda c=c: book.hold(
                account_id=c.account_id,
                amount_minor=c.amount_minor,
                cause_id=c.cause_id,
                expires_at=c.expires_at,
            )
            for c in commands
        ),
    )


async def capture(
    tx: Tx, commands: Sequence[Capture], *, now: datetime
) -> list[Transfer | Decline]:
    """Turn holds into transfers. Declines: as `Book.capture`."""
    ids = {c.credit_account_id for c in commands}
    book = await load(tx, now=now, account_ids=ids, hold_ids={c.hold_id for c in commands})
    return await _decided(
        tx,
        book,
        (
            lambda c=c: book.capture(
                hold_id=c.hold_id,
                credit_account_id=c.credit_account_id,
                amount_minor=c.amount_minor,
                final=c.final,
                above=c.above,
                occurred_at=c.occurred_at,
            )
            for c in commands
        ),
    )


async def release(tx: Tx, commands: Sequence[Release], *, now: datetime) -> list[Hold | Decline]:
    """Give holds back. Declines: as `Book.release`."""
    book = await load(tx, now=now, account_ids=(), hold_ids={c.hold_id for c in commands})
    return await _decided(
        tx,
        book,
        (
            lambda c=c: book.release(hold_id=c.hold_id, amount_minor=c.amount_minor)
            for c in commands
        ),
    )


async def expire(tx: Tx, commands: Sequence[Expire], *, now: datetime) -> list[Hold | Decline]:
    """Give back holds whose time is over. Declines: as `Book.expire`."""
    book = await load(tx, now=now, account_ids=(), hold_ids={c.hold_id for c in commands})
    return await _decided(tx, book, (lambda c=c: book.expire(hold_id=c.hold_id) for c in commands))


async def open_holds(tx: Tx, cause_ids: Sequence[UUID]) -> dict[UUID, list[Hold]]:
    """Tell for each cause its open holds; one without any is not in the answer. Locks nothing."""
    found: dict[UUID, list[Hold]] = {}
    for each in await store.open_holds(tx, cause_ids):
        found.setdefault(each.cause_id, []).append(each)
    return found


async def _decided(tx: Tx, book: Book, decisions: Iterable[Callable[[], T]]) -> list[T]:
    outcomes = [decide() for decide in decisions]
    await save(tx, book)
    return outcomes


def _slot() -> int:
    return os.getpid() % SLOTS + 1
