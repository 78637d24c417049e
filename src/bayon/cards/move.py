"""Move: the one batch that moves money on cards' accounts, whatever the command.

`load` locks transactions, cards, what was used of limits, holds and balances, each by id; `decide`
is pure, command by command, on what was loaded; `save` writes balances, transactions and events,
one statement each. A decline is recorded and moves nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from bayon.cards.advise import Advise, advise, replace_amount
from bayon.cards.authorize import Authorize, Inquire, authorize, judge
from bayon.cards.billing import billed, merchant_share
from bayon.cards.change import Expire, Increment, Reverse, expire, increment, reverse
from bayon.cards.clearing import Clear, Present, clear, present
from bayon.cards.loaded import Loaded, Move, OfCard, OfTransaction, load, save
from bayon.cards.model import (
    BadAttributes,
    CardAccountNotFound,
    CardNotFound,
    NotPending,
    Transaction,
    TransactionNotFound,
)
from bayon.cards.original import Original, Unmatched, UnmatchedKind
from bayon.cards.till import Moved, Seat
from bayon.cards.topup import Topup, top_up
from bayon.cards.vault import Vault
from bayon.db import Tx
from bayon.errors import BayonError

NOTHING = Moved(transaction=None, effect=False)


async def move(
    tx: Tx, commands: Sequence[Move], /, *, vault: Vault, now: datetime
) -> list[Moved | BayonError]:
    """Do whatever moves money on cards' accounts, each command once, in order.

    Locks transactions, then cards, then what was used of a limit a day, then holds, then balances,
    each by id. Writes them, the transactions and an event of each. Errors: `CardNotFound`,
    `CardAccountNotFound` and `TransactionNotFound` where there is none of this issuer;
    `NotPending`, `BadAttributes`. What the network tells and cannot be declined is kept as
    unmatched instead. Declines: as `authorize`.
    """
    loaded = await load(tx, commands, vault, now=now)
    outcomes = [_decide(loaded, command) for command in commands]
    await save(tx, loaded, now=now)
    return outcomes


def _decide(loaded: Loaded, command: Move) -> Moved | BayonError:
    if isinstance(command, Topup):
        return _top_up(loaded, command)
    if isinstance(command, OfCard):
        return _of_card(loaded, command)
    if isinstance(command, Increment | Reverse) and command.original is not None:
        return _of_original(loaded, command, command.original)
    assert command.transaction_id is not None, "it names its transaction, one way or the other"
    found = loaded.transactions.get(command.transaction_id)
    if found is None or found[0].issuer_id != command.issuer_id:
        return TransactionNotFound()
    return _of_transaction(loaded, *found, command)


def _of_card(loaded: Loaded, command: OfCard) -> Moved | BayonError:
    seat = loaded.seat_of(command)
    match command:
        case Authorize():
            return CardNotFound() if seat is None else _authorize(loaded, seat, command)
        case Inquire():
            return CardNotFound() if seat is None else _inquire(loaded, seat, command)
        case Advise():
            outcome = CardNotFound() if seat is None else _advise(loaded, seat, command)
            return _kept(loaded, "advice", command.original, command.request, outcome)
        case Present():
            outcome = CardNotFound() if seat is None else _present(loaded, seat, command)
            if command.original is None or command.reconciles:
                return outcome
            return _kept(loaded, "completion", command.original, command, outcome)


def _authorize(loaded: Loaded, seat: Seat, command: Authorize) -> Moved:
    card, transaction = authorize(
        loaded.book,
        seat,
        command,
        vault=loaded.vault,
        rates=loaded.rates,
        usage=loaded.usage,
    )
    return loaded.make(loaded.card_is(card, seat), transaction)


def _inquire(loaded: Loaded, seat: Seat, command: Inquire) -> Moved:
    card, decline = judge(seat, command.proof, loaded.vault, now=loaded.book.now)
    counted = loaded.card_is(card, seat) is not seat
    balance = loaded.book.lines[seat.till.ledger_account_id].balance
    return Moved(
        transaction=None, decline=decline, balance=balance, currency=seat.currency, effect=counted
    )


def _advise(loaded: Loaded, seat: Seat, command: Advise) -> Moved | BayonError:
    found = loaded.find(command.original)
    status = None if found is None else found[1].status
    if found is not None and (status == "pending" or (status == "expired" and command.holds)):
        changed = replace_amount(loaded.book, *found, command, rates=loaded.rates)
        return changed if isinstance(changed, BayonError) else loaded.change(found[0], changed)
    if found is not None and not (status == "declined" and command.holds):
        return loaded.moved(*found, effect=False)
    if command.request.amount_minor == 0:
        return NOTHING
    made = advise(loaded.book, seat, command, rates=loaded.rates)
    return made if isinstance(made, BayonError) else loaded.make(seat, made)


def _present(loaded: Loaded, seat: Seat, command: Present) -> Moved | BayonError:
    """Post what was cleared: as the end of what it is about, if that waits; else by itself."""
    original = command.original
    if original is not None and (command.adjustment == "debit" or command.reconciles):
        found = loaded.find(original, adjustment=command.adjustment)
        done = None if found is None else _end(loaded, *found, command)
        if found is not None and done is not None:
            return replace(done, before=found[1]) if isinstance(done, Moved) else done
    presented = present(loaded.book, seat, command, rates=loaded.rates)
    return presented if isinstance(presented, BayonError) else loaded.make(seat, presented)


def _end(
    loaded: Loaded, seat: Seat, transaction: Transaction, command: Present
) -> Moved | BayonError | None:
    """Clear what a presentment is about, if it waits; None where that ended in another way."""
    if transaction.status in {"pending", "expired"}:
        return _complete(loaded, seat, transaction, command)
    same = (transaction.transaction_currency, transaction.transaction_amount_minor) == (
        command.currency,
        command.amount_minor,
    )
    at_once = command.reconciles and transaction.hold_id is None
    if transaction.status == "settled" and (same or at_once):
        return loaded.moved(seat, transaction, effect=False)
    return None


def _complete(
    loaded: Loaded, seat: Seat, transaction: Transaction, command: Present
) -> Moved | BayonError:
    """Clear what a completion is about, for its amount, in whichever currency it is told."""
    billing = command.billing
    billing_minor = billing[1] if billing and billing[0] == seat.currency else None
    same = command.currency == transaction.transaction_currency
    if billing_minor is None and not same:
        billing_minor = billed(command, seat.currency, loaded.rates, hold=False)
        if billing_minor is None:
            return BadAttributes.at("/currency", "has no exchange rate")
    clearing = Clear(
        issuer_id=seat.issuer_id,
        transaction_id=transaction.id,
        amount_minor=command.amount_minor if same else _share_of(transaction, billing_minor),
        billing_minor=billing_minor,
        final=command.final,
    )
    return _clear(loaded, seat, transaction, clearing)


def _share_of(transaction: Transaction, billing_minor: int | None) -> int | None:
    return None if billing_minor is None else merchant_share(transaction, billing_minor)


def _of_original(
    loaded: Loaded, command: Increment | Reverse, original: Original
) -> Moved | BayonError:
    """Change what a message of the network is about."""
    found = loaded.find(original)
    if found is not None and command.currency not in {None, found[1].transaction_currency}:
        found = None
    if isinstance(command, Increment):
        return TransactionNotFound() if found is None else _increment(loaded, *found, command)
    outcome = TransactionNotFound() if found is None else _take_back(loaded, *found, command)
    return _kept(loaded, "reversal", original, command, outcome)


def _take_back(
    loaded: Loaded, seat: Seat, transaction: Transaction, command: Reverse
) -> Moved | BayonError:
    changed = reverse(loaded.book, seat, transaction, command)
    if isinstance(changed, NotPending):
        return loaded.moved(seat, transaction, effect=False)
    return changed if isinstance(changed, BayonError) else loaded.change(seat, changed)


def _kept(
    loaded: Loaded,
    kind: UnmatchedKind,
    original: Original,
    command: Authorize | Present | Reverse,
    outcome: Moved | BayonError,
) -> Moved:
    """Keep for a person what cannot be declined, and could not be done."""
    if not isinstance(outcome, BayonError):
        return outcome
    loaded.unmatched.append(
        Unmatched(
            kind=kind,
            reason=outcome.message,
            original=original,
            currency=command.currency,
            card_id=loaded.by_digest.get(original.pan_digest or b""),
            trace=command.trace,
            remaining_minor=command.remaining_minor if isinstance(command, Reverse) else None,
        )
    )
    return NOTHING


def _of_transaction(
    loaded: Loaded, seat: Seat, transaction: Transaction, command: OfTransaction
) -> Moved | BayonError:
    match command:
        case Clear():
            return _clear(loaded, seat, transaction, command)
        case Increment():
            return _increment(loaded, seat, transaction, command)
        case Reverse():
            changed = reverse(loaded.book, seat, transaction, command)
        case Expire():
            changed = expire(loaded.book, transaction)
    return changed if isinstance(changed, BayonError) else loaded.change(seat, changed)


def _clear(loaded: Loaded, seat: Seat, pending: Transaction, command: Clear) -> Moved | BayonError:
    cleared = clear(loaded.book, seat, pending, command)
    if isinstance(cleared, BayonError):
        return cleared
    changed = loaded.change(seat, cleared[0], counts=False)
    made = [loaded.make(seat, part, counts=False) for part in cleared[1:]]
    return made[-1] if made else changed


def _increment(
    loaded: Loaded, seat: Seat, pending: Transaction, command: Increment
) -> Moved | BayonError:
    card_seat = seat if pending.card_id is None else loaded.by_card[pending.card_id]
    incremented = increment(loaded.book, card_seat, pending, command, usage=loaded.usage)
    if isinstance(incremented, BayonError):
        return incremented
    transaction, approved = incremented
    return loaded.change(seat, transaction) if approved else loaded.make(seat, transaction)


def _top_up(loaded: Loaded, command: Topup) -> Moved | BayonError:
    seat = loaded.by_account.get(command.account_id)
    if seat is None or seat.issuer_id != command.issuer_id:
        return CardAccountNotFound()
    transaction = top_up(loaded.book, seat, command)
    return transaction if isinstance(transaction, BayonError) else loaded.make(seat, transaction)
