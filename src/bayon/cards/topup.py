"""Top-up: money comes onto an account from outside. Pure, on a book of locked rows."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from bayon import ledger
from bayon.cards.model import BadAttributes, Transaction
from bayon.cards.till import Seat, new_transaction
from bayon.errors import BayonError
from bayon.ledger import Book


class Topup(Struct, frozen=True, kw_only=True):
    """Put an amount of minor units onto an account; `occurred_at` is when the source took it."""

    issuer_id: UUID
    account_id: UUID
    amount_minor: int
    funding_source: str
    occurred_at: datetime | None = None


def top_up(book: Book, seat: Seat, command: Topup) -> Transaction | BayonError:
    """Move the amount from the issuer's funding, settled at once.

    Errors: `BadAttributes` when the account is not active, or the amount, or what would then be
    on the account, is out of range.
    """
    if seat.account_status != "active":
        return BadAttributes.at("/data/type", "wants an active account")
    made = new_transaction(
        seat,
        now=book.now,
        occurred_at=command.occurred_at,
        kind="purchase",  # as the API's document prints a top-up
        adjustment="credit",
        amount_minor=command.amount_minor,
        merchant_minor=command.amount_minor,
        funding_source=command.funding_source,
    )
    moved = book.post(
        debit_account_id=seat.till.funding_account_id,
        credit_account_id=seat.till.ledger_account_id,
        amount_minor=command.amount_minor,
        cause_id=made.id,
        occurred_at=made.occurred_at,
    )
    if isinstance(moved, ledger.Decline):
        return BadAttributes.at("/data/attributes/amount", "is out of range")
    return made
