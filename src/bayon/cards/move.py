"""Move: the one batch that moves money on cards' accounts, whatever the command.

`load` locks transactions, cards, holds and balances, each by id; `decide` is pure, command by
command, on what was loaded; `save` writes balances, transactions and events, one statement each.
A decline is recorded and moves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from bayon import ledger
from bayon.cards import transaction_store as store
from bayon.cards.authorize import Authorize, authorize
from bayon.cards.change import Expire, Increment, Reverse, expire, increment, reverse
from bayon.cards.clearing import Clear, Present, clear, present
from bayon.cards.model import (
    Card,
    CardAccountNotFound,
    CardNotFound,
    Transaction,
    TransactionNotFound,
)
from bayon.cards.tell import Told, tell
from bayon.cards.till import Seat
from bayon.cards.topup import Topup, top_up
from bayon.cards.vault import Vault
from bayon.db import Tx
from bayon.errors import BayonError
from bayon.ledger import Book

OfCard = Authorize | Present
OfTransaction = Clear | Expire | Increment | Reverse
Move = OfCard | OfTransaction | Topup


@dataclass(kw_only=True, slots=True)
class _Loaded:
    """What a batch decides on: seats by card and by account, and what changes on the way."""

    book: Book
    vault: Vault
    by_card: dict[UUID, Seat]
    by_account: dict[UUID, Seat]
    transactions: dict[UUID, tuple[Seat, Transaction]]
    made: list[Transaction] = field(default_factory=list[Transaction])
    changed: dict[UUID, Transaction] = field(default_factory=dict[UUID, Transaction])
    cards: dict[UUID, Card] = field(default_factory=dict[UUID, Card])
    told: list[Told] = field(default_factory=list[Told])


async def move(
    tx: Tx, commands: Sequence[Move], /, *, vault: Vault, now: datetime
) -> list[Transaction | BayonError]:
    """Do whatever moves money on cards' accounts, each command once, in order.

    Locks transactions, then cards, then holds, then balances, each by id. Writes them, the
    transactions and an event of each. Errors: `CardNotFound`, `CardAccountNotFound` and
    `TransactionNotFound` where there is none of this issuer; `NotPending`, `BadAttributes`.
    Declines: as `authorize`.
    """
    loaded = await _load(tx, commands, vault, now=now)
    outcomes = [_decide(loaded, command) for command in commands]
    await _save(tx, loaded, now=now)
    return outcomes


async def _load(tx: Tx, commands: Sequence[Move], vault: Vault, *, now: datetime) -> _Loaded:
    transaction_ids = sorted({c.transaction_id for c in commands if isinstance(c, OfTransaction)})
    account_ids = sorted({c.account_id for c in commands if isinstance(c, Topup)})
    transactions = await store.lock_transactions(tx, transaction_ids) if transaction_ids else {}
    card_ids = sorted(_card_ids(commands, transactions))
    by_card = await store.lock_cards(tx, card_ids) if card_ids else {}
    by_account = await store.find_seats(tx, account_ids) if account_ids else {}
    seats = [*by_card.values(), *by_account.values(), *(seat for seat, _ in transactions.values())]
    book = await ledger.load(
        tx,
        now=now,
        account_ids={account_id for seat in seats for account_id in _sides(seat)},
        hold_ids={t.hold_id for _, t in transactions.values() if t.hold_id is not None},
    )
    return _Loaded(
        book=book,
        vault=vault,
        by_card=by_card,
        by_account=by_account,
        transactions=transactions,
    )


def _card_ids(
    commands: Sequence[Move], transactions: Mapping[UUID, tuple[Seat, Transaction]]
) -> set[UUID]:
    """Tell which cards are judged: those that are used, and those of what is incremented."""
    used = {c.card_id for c in commands if isinstance(c, OfCard)}
    raised = (c.transaction_id for c in commands if isinstance(c, Increment))
    of_raised = (transactions[i][1].card_id for i in raised if i in transactions)
    return used | {card_id for card_id in of_raised if card_id is not None}


def _sides(seat: Seat) -> tuple[UUID, ...]:
    till = seat.till
    return (
        till.ledger_account_id,
        till.funding_account_id,
        till.clearing_account_id,
        till.fees_account_id,
    )


def _decide(loaded: _Loaded, command: Move) -> Transaction | BayonError:
    if isinstance(command, Topup):
        return _top_up(loaded, command)
    if isinstance(command, OfCard):
        seat = loaded.by_card.get(command.card_id)
        if seat is None or seat.issuer_id != command.issuer_id:
            return CardNotFound()
        return _of_card(loaded, seat, command)
    seat, transaction = loaded.transactions.get(command.transaction_id, (None, None))
    if seat is None or transaction is None or seat.issuer_id != command.issuer_id:
        return TransactionNotFound()
    return _of_transaction(loaded, seat, transaction, command)


def _of_card(loaded: _Loaded, seat: Seat, command: OfCard) -> Transaction | BayonError:
    if isinstance(command, Authorize):
        return _authorize(loaded, seat, command)
    presented = present(loaded.book, seat, command)
    if isinstance(presented, Transaction):
        _made(loaded, presented, "transaction.created")
    return presented


def _of_transaction(
    loaded: _Loaded, seat: Seat, transaction: Transaction, command: OfTransaction
) -> Transaction | BayonError:
    match command:
        case Clear():
            return _clear(loaded, seat, transaction, command)
        case Increment():
            return _increment(loaded, seat, transaction, command)
        case Reverse():
            changed = reverse(loaded.book, seat, transaction, command)
        case Expire():
            changed = expire(loaded.book, transaction)
    if isinstance(changed, Transaction):
        _changed(loaded, seat, changed)
    return changed


def _authorize(loaded: _Loaded, seat: Seat, command: Authorize) -> Transaction:
    card, transaction = authorize(loaded.book, seat, command, vault=loaded.vault)
    if card is not seat.card:
        loaded.cards[card.id] = card
        loaded.by_card[card.id] = seat.with_card(card)
    declined = transaction.status == "declined"
    _made(loaded, transaction, "transaction.declined" if declined else "transaction.created")
    return transaction


def _clear(
    loaded: _Loaded, seat: Seat, pending: Transaction, command: Clear
) -> Transaction | BayonError:
    cleared = clear(loaded.book, seat, pending, command)
    if isinstance(cleared, BayonError):
        return cleared
    _changed(loaded, seat, cleared[0])
    for part in cleared[1:]:
        _made(loaded, part, "transaction.created")
    return cleared[-1]


def _increment(
    loaded: _Loaded, seat: Seat, pending: Transaction, command: Increment
) -> Transaction | BayonError:
    card_seat = seat if pending.card_id is None else loaded.by_card[pending.card_id]
    incremented = increment(loaded.book, card_seat, pending, command)
    if isinstance(incremented, BayonError):
        return incremented
    transaction, approved = incremented
    if approved:
        _changed(loaded, seat, transaction)
    else:
        _made(loaded, transaction, "transaction.declined")
    return transaction


def _changed(loaded: _Loaded, seat: Seat, transaction: Transaction) -> None:
    """Note how a locked transaction is now: the next command of the batch sees it so."""
    loaded.changed[transaction.id] = transaction
    loaded.transactions[transaction.id] = (seat, transaction)
    loaded.told.append(("transaction.updated", transaction))


def _top_up(loaded: _Loaded, command: Topup) -> Transaction | BayonError:
    seat = loaded.by_account.get(command.account_id)
    if seat is None or seat.issuer_id != command.issuer_id:
        return CardAccountNotFound()
    transaction = top_up(loaded.book, seat, command)
    if isinstance(transaction, Transaction):
        _made(loaded, transaction, "transaction.created")
    return transaction


def _made(loaded: _Loaded, transaction: Transaction, event_type: str) -> None:
    loaded.made.append(transaction)
    loaded.told.append((event_type, transaction))


async def _save(tx: Tx, loaded: _Loaded, *, now: datetime) -> None:
    await ledger.save(tx, loaded.book)
    if loaded.cards:
        await store.count_tries(tx, [loaded.cards[card_id] for card_id in sorted(loaded.cards)])
    if loaded.changed:
        changed = [loaded.changed[transaction_id] for transaction_id in sorted(loaded.changed)]
        await store.update_transactions(tx, changed)
    if loaded.made:
        await store.insert_transactions(tx, loaded.made)
    await tell(tx, loaded.told, now=now)
