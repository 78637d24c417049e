"""Billing: what an amount of the merchant's comes to on the account, and who gets it. Pure."""

from collections.abc import Mapping
from typing import Final, Protocol
from uuid import UUID

from bayon import ledger
from bayon.cards.model import Fee, Transaction
from bayon.cards.rates import Rate, billing_for_clearing, billing_for_hold
from bayon.cards.till import Seat
from bayon.ledger import Book
from bayon.money import Currency

SURCHARGE: Final = "acquirer_surcharge"
"""What the acquirer takes on top (field 28): it goes the way of the amount, not to our fees."""


Rates = Mapping[tuple[str, str], Rate]
"""The exchange rates that count now, by the letters of from and to."""


class Amounts(Protocol):
    """An amount as a message tells it: the merchant's, and what the network bills for it."""

    @property
    def amount_minor(self) -> int:
        """In the merchant's currency."""
        ...

    @property
    def currency(self) -> str:
        """The merchant's, by its letters."""
        ...

    @property
    def billing(self) -> tuple[str, int] | None:
        """Currency and amount of the cardholder's bill, where the network has calculated it."""
        ...


def billed(amounts: Amounts, currency: Currency, rates: Rates, *, hold: bool) -> int | None:
    """Tell an amount in the account's currency; None where there is no way to it.

    As the network bills it, if it does so in this currency; as it is, if it is in it; else by our
    own rate, for a hold with its pad.
    """
    if amounts.billing is not None and amounts.billing[0] == currency:
        return amounts.billing[1]
    if amounts.currency == currency:
        return amounts.amount_minor
    rate = rates.get((amounts.currency, currency.value))
    if rate is None:
        return None
    return (billing_for_hold if hold else billing_for_clearing)(amounts.amount_minor, rate)


def share(transaction: Transaction, merchant_minor: int) -> int:
    """Tell what a part of the merchant's amount comes to, at the transaction's own rate."""
    whole_minor = transaction.transaction_amount_minor
    if whole_minor in {merchant_minor, 0}:
        return transaction.billing_minor
    return (2 * merchant_minor * transaction.billing_minor + whole_minor) // (2 * whole_minor)


def merchant_share(transaction: Transaction, billing_minor: int) -> int:
    """Tell what a part of the bill is of the merchant's amount, at the transaction's own rate.

    At least one minor unit: something was taken.
    """
    whole_minor, bill_minor = transaction.transaction_amount_minor, transaction.billing_minor
    if bill_minor == 0:
        return whole_minor
    return max(1, (2 * billing_minor * whole_minor + bill_minor) // (2 * bill_minor))


def goes_to(fee: Fee, seat: Seat) -> UUID:
    """Tell whose a fee is: the acquirer's surcharge is cleared, all others are the issuer's."""
    till = seat.till
    return till.clearing_account_id if fee.type == SURCHARGE else till.fees_account_id


def pay(book: Book, seat: Seat, made: Transaction, *, above: bool) -> ledger.Decline | None:
    """Move a debit's amount and its fees off the account, together or not at all.

    Declines: as `Book.post`.
    """
    account_id = seat.till.ledger_account_id
    if not above and book.lines[account_id].available_minor < made.amount_minor:
        return ledger.Decline.INSUFFICIENT_FUNDS
    moves = [(seat.till.clearing_account_id, made.billing_minor)]
    moves += [(goes_to(fee, seat), fee.amount_minor) for fee in made.fees]
    for credit_id, amount_minor in moves:
        moved = book.post(
            debit_account_id=account_id,
            credit_account_id=credit_id,
            amount_minor=amount_minor,
            cause_id=made.id,
            above=above,
            occurred_at=made.occurred_at,
        )
        if isinstance(moved, ledger.Decline):
            assert credit_id == moves[0][0], "the amount goes first, and fees fit where it does"
            return moved
    return None
