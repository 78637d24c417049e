"""Advise: what was decided in our stead, and is told afterwards. It cannot be declined. Pure."""

from msgspec import Struct
from msgspec.structs import replace

from bayon import ledger
from bayon.cards.authorize import Authorize, asked_for, declined, hold
from bayon.cards.billing import Rates, billed, merchant_share
from bayon.cards.change import with_amount
from bayon.cards.model import BadAttributes, Decline, Transaction
from bayon.cards.original import Original
from bayon.cards.till import Seat
from bayon.errors import BayonError
from bayon.ledger import Book


class Advise(Struct, frozen=True, kw_only=True):
    """Hold what was approved in our stead; for an authorisation that is known, instead of its own.

    `approved` is false where it was declined in our stead: that is recorded, or gives back what is
    held for it. What was approved for nothing gives back too.
    """

    request: Authorize
    original: Original
    approved: bool = True

    @property
    def holds(self) -> bool:
        """Tell whether anything is to be held from now on."""
        return self.approved and self.request.amount_minor > 0


def advise(book: Book, seat: Seat, command: Advise, *, rates: Rates) -> Transaction | BayonError:
    """Hold whatever is there, and whatever state the card is in.

    Errors: `BadAttributes` (no exchange rate; an amount out of range).
    """
    request = command.request
    billing_minor = billed(request, seat.currency, rates, hold=True)
    if billing_minor is None:
        return BadAttributes.at("/currency", "has no exchange rate")
    asked = asked_for(seat, request, billing_minor, rates, now=book.now)
    if not command.approved:
        return declined(asked, Decline.STAND_IN_DECLINED)
    held = hold(book, seat, asked, above=True)
    return BadAttributes.at("/amount", "is out of range") if isinstance(held, Decline) else held


def replace_amount(
    book: Book, seat: Seat, found: Transaction, command: Advise, *, rates: Rates
) -> Transaction | BayonError:
    """Hold what the advice says for an authorisation: instead of its hold, or again if it expired.

    Errors: `BadAttributes`, as `advise`.
    """
    assert found.hold_id is not None
    request, expired = command.request, found.status == "expired"
    billing_minor = billed(request, seat.currency, rates, hold=True) if command.holds else 0
    if billing_minor is None:
        return BadAttributes.at("/currency", "has no exchange rate")
    if billing_minor <= 0 and not expired:
        released = book.release(hold_id=found.hold_id)
        assert not isinstance(released, ledger.Decline), released
        return replace(found, status="reversed", expires_at=None, updated_at=book.now)
    more_minor = billing_minor - found.billing_minor
    added_minor = _in_its_currency(found, request, billing_minor) - found.transaction_amount_minor
    asked = with_amount(found, added_minor, more_minor, now=book.now)
    held = hold(book, seat, asked, above=True) if expired else _raise(book, found, more_minor)
    if isinstance(held, Decline | ledger.Decline):
        return BadAttributes.at("/amount", "is out of range")
    return held if isinstance(held, Transaction) else asked


def _in_its_currency(pending: Transaction, request: Authorize, billing_minor: int) -> int:
    if request.currency == pending.transaction_currency:
        return request.amount_minor
    return merchant_share(pending, billing_minor)


def _raise(
    book: Book, pending: Transaction, more_minor: int
) -> ledger.Hold | ledger.Decline | None:
    assert pending.hold_id is not None
    if more_minor > 0:
        return book.increase(hold_id=pending.hold_id, amount_minor=more_minor, above=True)
    if more_minor < 0:
        return book.release(hold_id=pending.hold_id, amount_minor=-more_minor)
    return None
