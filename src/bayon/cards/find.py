"""Find and list: what an issuer has, one by id, many by page, and what a resource relates to.

Another issuer's id is not found. Lists are in the order of their commits, the newest first.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from bayon.cards import store, transaction_store
from bayon.cards.model import (
    Account,
    Adjustment,
    Card,
    CardAccountNotFound,
    Cardholder,
    CardholderNotFound,
    CardNotFound,
    Status,
    Transaction,
    TransactionNotFound,
)
from bayon.db import Tx
from bayon.keyset import Page, Span, Window, cut

SHOWN: Final[tuple[Status, ...]] = ("pending", "settled")
"""The statuses a list of transactions shows unless another is asked for."""

ADJUSTMENTS: Final[tuple[Adjustment, ...]] = ("credit", "debit")


class Filters(Struct, frozen=True, kw_only=True):
    """Which transactions are wanted; None is any. `span` is of when they happened."""

    account_id: UUID | None = None
    card_id: UUID | None = None
    status: Status | None = None
    adjustment: Adjustment | None = None
    span: Span | None = None


class Wanted(Struct, frozen=True, kw_only=True):
    """Ids of an issuer's resources, by kind."""

    cardholder_ids: Iterable[UUID] = ()
    account_ids: Iterable[UUID] = ()
    card_ids: Iterable[UUID] = ()


async def find_cardholder(tx: Tx, *, issuer_id: UUID, cardholder_id: UUID) -> Cardholder:
    """Find a cardholder. Errors: `CardholderNotFound`."""
    found = await store.find_cardholders(tx, [cardholder_id], issuer_id=issuer_id)
    if cardholder_id not in found:
        raise CardholderNotFound
    return found[cardholder_id]


async def find_account(tx: Tx, *, issuer_id: UUID, account_id: UUID) -> Account:
    """Find an account. Errors: `CardAccountNotFound`."""
    found = await store.find_accounts(tx, [account_id], issuer_id=issuer_id)
    if account_id not in found:
        raise CardAccountNotFound
    return found[account_id]


async def find_card(tx: Tx, *, issuer_id: UUID, card_id: UUID) -> Card:
    """Find a card. Errors: `CardNotFound`."""
    found = await store.find_cards(tx, [card_id], issuer_id=issuer_id)
    if card_id not in found:
        raise CardNotFound
    return found[card_id]


async def find_transaction(tx: Tx, *, issuer_id: UUID, transaction_id: UUID) -> Transaction:
    """Find a transaction, in whatever status. Errors: `TransactionNotFound`."""
    found = await transaction_store.find_transactions(tx, [transaction_id], issuer_id=issuer_id)
    if transaction_id not in found:
        raise TransactionNotFound
    return found[transaction_id]


async def list_cardholders(tx: Tx, *, issuer_id: UUID, window: Window) -> Page[Cardholder]:
    """List cardholders."""
    return cut(window, await store.page_cardholders(tx, issuer_id=issuer_id, window=window))


async def list_accounts(
    tx: Tx, *, issuer_id: UUID, window: Window, cardholder_id: UUID | None
) -> Page[Account]:
    """List accounts, of one cardholder where one is named."""
    rows = await store.page_accounts(
        tx, issuer_id=issuer_id, window=window, cardholder_id=cardholder_id
    )
    return cut(window, rows)


async def list_cards(
    tx: Tx, *, issuer_id: UUID, window: Window, cardholder_id: UUID | None
) -> Page[Card]:
    """List cards, of one cardholder where one is named."""
    rows = await store.page_cards(
        tx, issuer_id=issuer_id, window=window, cardholder_id=cardholder_id
    )
    return cut(window, rows)


async def list_transactions(
    tx: Tx, *, issuer_id: UUID, window: Window, filters: Filters
) -> Page[Transaction]:
    """List transactions, pending and settled ones unless a status is asked for."""
    owner = await _owner(tx, issuer_id, filters)
    if owner is None:
        return Page(items=[], newer=False, older=False)
    rows = await transaction_store.page(
        tx,
        issuer_id=issuer_id,
        owner=owner,
        lanes=_lanes(filters),
        span=filters.span,
        window=window,
    )
    return cut(window, rows)


async def related(tx: Tx, *, issuer_id: UUID, wanted: Wanted) -> list[Cardholder | Account | Card]:
    """Find resources of an issuer by their ids, one statement a kind."""
    found: list[Cardholder | Account | Card] = []
    if cards := sorted(set(wanted.card_ids)):
        found += (await store.find_cards(tx, cards, issuer_id=issuer_id)).values()
    if accounts := sorted(set(wanted.account_ids)):
        found += (await store.find_accounts(tx, accounts, issuer_id=issuer_id)).values()
    if holders := sorted(set(wanted.cardholder_ids)):
        found += (await store.find_cardholders(tx, holders, issuer_id=issuer_id)).values()
    return found


async def _owner(
    tx: Tx, issuer_id: UUID, filters: Filters
) -> tuple[transaction_store.Owner, UUID] | None:
    """Tell whose list it is; None where the card is of another account than the one asked for."""
    if filters.card_id is None:
        return ("account", filters.account_id) if filters.account_id else ("issuer", issuer_id)
    if filters.account_id is not None:
        cards = await store.find_cards(tx, [filters.card_id], issuer_id=issuer_id)
        card = cards.get(filters.card_id)
        if card is None or card.account_id != filters.account_id:
            return None
    return "card", filters.card_id


def _lanes(filters: Filters) -> Sequence[tuple[Status, Adjustment]]:
    statuses = SHOWN if filters.status is None else (filters.status,)
    adjustments = ADJUSTMENTS if filters.adjustment is None else (filters.adjustment,)
    return [(status, adjustment) for status in statuses for adjustment in adjustments]
