"""Loaded: what a batch that moves money on cards' accounts decides on, and what changes on the way.

Loading locks transactions, cards, what was used of limits, holds and balances, each by id, in at
most one statement each; what messages of the network are about is looked up first, without
a lock, and judged once it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from bayon import ledger
from bayon.cards import controls_store, rate_store, trace_store
from bayon.cards import transaction_store as store
from bayon.cards.advise import Advise
from bayon.cards.authorize import Authorize, Inquire
from bayon.cards.billing import Rates
from bayon.cards.change import Expire, Increment, Reverse
from bayon.cards.clearing import Clear, Present
from bayon.cards.controls import Place, Usage, places
from bayon.cards.model import Adjustment, Card, Transaction
from bayon.cards.original import Original, Unmatched, match
from bayon.cards.tell import Told, tell
from bayon.cards.till import Moved, Seat
from bayon.cards.topup import Topup
from bayon.cards.vault import Vault
from bayon.db import Tx
from bayon.ledger import Book

OfCard = Authorize | Present | Inquire | Advise
OfTransaction = Clear | Expire | Increment | Reverse
Move = OfCard | OfTransaction | Topup


@dataclass(kw_only=True, slots=True)
class Loaded:
    """Seats by card and by account, transactions by id, and what changes on the way."""

    book: Book
    vault: Vault
    rates: Rates
    usage: Usage
    by_card: dict[UUID, Seat]
    by_digest: Mapping[bytes, UUID]
    by_account: dict[UUID, Seat]
    transactions: dict[UUID, tuple[Seat, Transaction]]
    candidates: Mapping[Original, Sequence[UUID]]
    made: dict[UUID, Transaction] = field(default_factory=dict[UUID, Transaction])
    made_by_message: dict[UUID, UUID] = field(default_factory=dict[UUID, UUID])
    made_by_card: dict[UUID, list[UUID]] = field(default_factory=dict[UUID, list[UUID]])
    changed: dict[UUID, Transaction] = field(default_factory=dict[UUID, Transaction])
    cards: dict[UUID, Card] = field(default_factory=dict[UUID, Card])
    unmatched: list[Unmatched] = field(default_factory=list[Unmatched])
    told: list[Told] = field(default_factory=list[Told])

    def seat_of(self, command: OfCard) -> Seat | None:
        """Seat the card a command names; none if it is not there, or another issuer's."""
        named = command.request if isinstance(command, Advise) else command
        if named.pan_digest is not None:
            card_id = self.by_digest.get(named.pan_digest)
            return None if card_id is None else self.by_card[card_id]
        assert not isinstance(named, Inquire)
        seat = None if named.card_id is None else self.by_card.get(named.card_id)
        return seat if seat is not None and seat.issuer_id == named.issuer_id else None

    def find(
        self, original: Original, *, adjustment: Adjustment | None = None
    ) -> tuple[Seat, Transaction] | None:
        """Find what a message is about: among what was there, and what this batch has made.

        `adjustment`: only what moves money in this direction.
        """
        ids = [*self.candidates.get(original, ())]
        if original.message_id and (made := self.made_by_message.get(original.message_id)):
            ids.append(made)
        card_id = self.by_digest.get(original.pan_digest or b"")
        if card_id is not None:
            ids += self.made_by_card.get(card_id, ())
        there = [self.transactions[i][1] for i in ids if i in self.transactions]
        meant = [t for t in there if adjustment in {None, t.balance_adjustment_type}]
        found = match(original, meant)
        return None if found is None else self.transactions[found.id]

    def card_is(self, card: Card, seat: Seat) -> Seat:
        """Note how a locked card is now: the next command of the batch sees it so."""
        if card is seat.card:
            return seat
        self.cards[card.id] = card
        self.by_card[card.id] = seat.with_card(card)
        return self.by_card[card.id]

    def make(self, seat: Seat, transaction: Transaction, *, counts: bool = True) -> Moved:
        """Note a new transaction, declined or not; it counts, but for the part of another."""
        if counts:
            self.usage.count(transaction)
        self.made[transaction.id] = transaction
        self.transactions[transaction.id] = (seat, transaction)
        if transaction.trace is not None and transaction.card_id is not None:
            self.made_by_card.setdefault(transaction.card_id, []).append(transaction.id)
            if transaction.trace.message_id is not None:
                self.made_by_message[transaction.trace.message_id] = transaction.id
        declined = transaction.status == "declined"
        self.told.append(
            ("transaction.declined" if declined else "transaction.created", transaction)
        )
        return self.moved(seat, transaction)

    def change(self, seat: Seat, transaction: Transaction, *, counts: bool = True) -> Moved:
        """Note how a locked transaction is now: the next command of the batch sees it so.

        Clearing changes a transaction, and what was used with it stays used.
        """
        if counts:
            self.usage.count(transaction, self.transactions[transaction.id][1])
        where = self.made if transaction.id in self.made else self.changed
        where[transaction.id] = transaction
        self.transactions[transaction.id] = (seat, transaction)
        self.told.append(("transaction.updated", transaction))
        return self.moved(seat, transaction)

    def moved(self, seat: Seat, transaction: Transaction | None, *, effect: bool = True) -> Moved:
        """Tell what a command has come to."""
        return Moved(
            transaction=transaction,
            decline=transaction.decline_reason if transaction else None,
            balance=self.book.lines[seat.till.ledger_account_id].balance,
            currency=seat.currency,
            effect=effect,
        )


async def load(tx: Tx, commands: Sequence[Move], vault: Vault, *, now: datetime) -> Loaded:
    """Load what these commands are decided on."""
    originals = [original for c in commands if (original := original_of(c)) is not None]
    candidates = await trace_store.candidates(tx, originals) if originals else {}
    transaction_ids = {
        c.transaction_id for c in commands if isinstance(c, OfTransaction) and c.transaction_id
    }.union(*candidates.values())
    account_ids = sorted({c.account_id for c in commands if isinstance(c, Topup)})
    transactions = (
        await store.lock_transactions(tx, sorted(transaction_ids)) if transaction_ids else {}
    )
    card_ids = sorted(_card_ids(commands, transactions))
    digests = sorted({d for c in commands if (d := digest_of(c)) is not None})
    by_card, by_digest = (
        await store.lock_cards(tx, card_ids, digests) if card_ids or digests else ({}, {})
    )
    transactions = {i: (_as_locked(seat, t, by_card), t) for i, (seat, t) in transactions.items()}
    by_account = await store.find_seats(tx, account_ids) if account_ids else {}
    seats = [*by_card.values(), *by_account.values(), *(seat for seat, _ in transactions.values())]
    foreign = _foreign(commands, seats)
    used = _used(by_card, transactions, now=now)
    usage = Usage(rows=await controls_store.lock_used(tx, used)) if used else Usage()
    book = await ledger.load(
        tx,
        now=now,
        account_ids={account_id for seat in seats for account_id in _sides(seat)},
        hold_ids={t.hold_id for _, t in transactions.values() if t.hold_id is not None},
    )
    return Loaded(
        book=book,
        vault=vault,
        rates=await rate_store.find_rates(tx, foreign, now=now) if foreign else {},
        usage=usage,
        by_card=by_card,
        by_digest=by_digest,
        by_account=by_account,
        transactions=transactions,
        candidates=candidates,
    )


async def save(tx: Tx, loaded: Loaded, *, now: datetime) -> None:
    """Save what was decided: at most one statement a table and kind of change, events last.

    Is begun, and goes on while the caller does; so the events are written while rows are.
    """
    tx.meanwhile(lambda tx: _save(tx, loaded, now=now))
    await tell(tx, loaded.told, now=now)


async def _save(tx: Tx, loaded: Loaded, *, now: datetime) -> None:
    await ledger.save(tx, loaded.book)
    if loaded.cards:
        await store.save_counts(tx, [loaded.cards[card_id] for card_id in sorted(loaded.cards)])
    if loaded.usage.changed:
        used = [(place, loaded.usage.rows[place]) for place in loaded.usage.changed]
        await controls_store.save_used(tx, used)
    if loaded.changed:
        changed = [loaded.changed[transaction_id] for transaction_id in sorted(loaded.changed)]
        await store.update_transactions(tx, changed)
    if loaded.unmatched:
        await trace_store.insert_unmatched(tx, loaded.unmatched, created_at=now)
    if loaded.made:
        await store.insert_transactions(tx, list(loaded.made.values()))


def original_of(command: Move) -> Original | None:
    """Tell what a command of the network is about, if it is about another."""
    if isinstance(command, Advise | Increment | Present | Reverse):
        return command.original
    return None


def digest_of(command: Move) -> bytes | None:
    """Tell the digest of the card's number a command comes with."""
    match command:
        case Authorize() | Inquire() | Present():
            return command.pan_digest
        case Advise():
            return command.request.pan_digest
        case Increment() | Reverse():
            return command.original.pan_digest if command.original else None
        case Clear() | Expire() | Topup():
            return None


def _foreign(commands: Sequence[Move], seats: Sequence[Seat]) -> list[tuple[str, str]]:
    """List the pairs of currencies that may have to be converted."""
    asked = [c.request if isinstance(c, Advise) else c for c in commands]
    currencies = {c.currency for c in asked if isinstance(c, Authorize | Present)}
    ours = {seat.currency.value for seat in seats}
    return sorted((theirs, our) for theirs in currencies for our in ours if theirs != our)


def _used(
    by_card: Mapping[UUID, Seat],
    transactions: Mapping[UUID, tuple[Seat, Transaction]],
    *,
    now: datetime,
) -> set[Place]:
    """Tell what is to be counted: of what has a limit a day, today and the days of what changes."""
    seats = [(seat, card_id, now) for card_id, seat in by_card.items()]
    seats += [(seat, t.card_id, t.created_at) for seat, t in transactions.values()]
    return {
        place
        for seat, card_id, at in seats
        if (found := [owner_id for owner_id, each in seat.controlled(card_id) if each.a_day])
        for place in places(found, at)
    }


def _card_ids(
    commands: Sequence[Move], transactions: Mapping[UUID, tuple[Seat, Transaction]]
) -> set[UUID]:
    """Tell which cards are locked: those that are used, and those of what may change."""
    used = {c.card_id for c in commands if isinstance(c, Authorize | Present) and c.card_id}
    return used | {t.card_id for _, t in transactions.values() if t.card_id is not None}


def _as_locked(seat: Seat, transaction: Transaction, by_card: Mapping[UUID, Seat]) -> Seat:
    """Take the controls from the locked card: they may have changed while it was waited for."""
    locked = by_card.get(transaction.card_id) if transaction.card_id else None
    if locked is None:
        return seat
    return replace(seat, controls=locked.controls, card_controls=locked.card_controls)


def _sides(seat: Seat) -> tuple[UUID, ...]:
    till = seat.till
    return (
        till.ledger_account_id,
        till.funding_account_id,
        till.clearing_account_id,
        till.fees_account_id,
    )
