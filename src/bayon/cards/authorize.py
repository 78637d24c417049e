"""Authorise: an issuer's decision on a card request. Pure, on a book of locked rows.

A ladder of guards, each answering a `Decline`, then the effect: what is one message moves its
amount at once, cash from a machine among it; everything else is held until it is cleared.
"""

from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon import ledger
from bayon.cards.billing import SURCHARGE, Amounts, Rates, billed, pay, share
from bayon.cards.chip import ChipProof
from bayon.cards.controls import Usage, judge_limits, judge_place
from bayon.cards.merchants import is_long_held
from bayon.cards.model import Card, Decline, Fee, Kind, Merchant, Trace, Transaction, Verdict
from bayon.cards.till import Seat, new_transaction
from bayon.cards.vault import Vault
from bayon.ledger import Book
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX

PIN_TRIES_MAX: Final = 3
CVV2_TRIES_MAX: Final = 5
"""Wrong ones in a row, of a thousand there are; then none is right."""

HOLD_TTL: Final = timedelta(days=7)
LONG_HOLD_TTL: Final = timedelta(days=31)
CASH_FEE: Final = "interbank_cash_withdrawal"

OF_STATUS: Final = {
    "unactivated": Decline.CARD_NOT_ACTIVATED,
    "inactive": Decline.CARD_INACTIVE,
    "canceled": Decline.CARD_CANCELED,
    "lost": Decline.CARD_LOST,
    "stolen": Decline.CARD_STOLEN,
}
RESPONSE_CODES: Final = {
    Decline.CARD_NOT_ACTIVATED: "62",
    Decline.CARD_INACTIVE: "62",
    Decline.CARD_CANCELED: "46",
    Decline.CARD_LOST: "41",
    Decline.CARD_STOLEN: "43",
    Decline.CARD_EXPIRED: "54",
    Decline.EXPIRY_WRONG: "54",
    Decline.CVV_WRONG: "05",
    Decline.CARDHOLDER_REJECTED: "62",
    Decline.ACCOUNT_INACTIVE: "62",
    Decline.CRYPTOGRAM_WRONG: "59",
    Decline.CRYPTOGRAM_USED: "59",
    Decline.CVV2_WRONG: "05",
    Decline.PIN_TRIES_EXCEEDED: "75",
    Decline.PIN_WRONG: "55",
    Decline.NOT_PERMITTED: "57",
    Decline.AMOUNT_OUT_OF_RANGE: "13",
    Decline.AMOUNT_LIMIT: "61",
    Decline.COUNT_LIMIT: "65",
    Decline.ISSUER_DECLINED: "05",
    Decline.INSUFFICIENT_FUNDS: "51",
    Decline.STAND_IN_DECLINED: "05",
}
"""Each reason as the card network says it (DE39)."""

APPROVED: Final = "00"
APPROVED_IN_PART: Final = "10"


class Proof(Struct, frozen=True, kw_only=True):
    """What came with a request to show that the card was there, and its holder.

    `expiry` is year and month; `cvv_right` was judged where the track was read, and so was what the
    chip has signed. `cvv2` is the code printed on the card.
    """

    pin: Secret | None = None
    cvv2: Secret | None = None
    expiry: tuple[int, int] | None = None
    cvv_right: bool | None = None
    chip: ChipProof | None = None


NO_PROOF: Final = Proof()


class Authorize(Struct, frozen=True, kw_only=True):
    """A request to spend with a card, in minor units of the merchant's currency.

    The card is named by its issuer and its id, or by its number's digest. `billing` is the amount
    in the cardholder's currency, where the network has calculated it. `surcharge_minor` comes on
    top. `partial_allowed`: less than the amount will do. `posts`: no clearing follows.
    """

    issuer_id: UUID | None = None
    card_id: UUID | None = None
    pan_digest: bytes | None = None
    amount_minor: int
    currency: str
    kind: Kind
    merchant: Merchant
    billing: tuple[str, int] | None = None
    surcharge_minor: int = 0
    proof: Proof = NO_PROOF
    partial_allowed: bool = False
    posts: bool = False
    occurred_at: datetime | None = None
    trace: Trace | None = None
    verdict: Verdict | None = None


class Inquire(Struct, frozen=True, kw_only=True):
    """A question about a card: whether it is good, and what is on its account."""

    pan_digest: bytes
    proof: Proof = NO_PROOF


def authorize(
    book: Book, seat: Seat, command: Authorize, *, vault: Vault, rates: Rates, usage: Usage
) -> tuple[Card, Transaction]:
    """Decide on a request; a declined one is a transaction too, and moves nothing.

    Returns the card as it is now (a PIN and a CVV2 count their tries and a chip its uses, whatever
    is decided) and the transaction.
    Declines: `Decline`, in its order.
    """
    card, decline = judge(seat, command.proof, vault, now=book.now)
    billing_minor = billed(command, seat.currency, rates, hold=True)
    asked = asked_for(seat, command, billing_minor, rates, now=book.now)
    subjects = seat.controlled(card.id)
    if decline is None:
        unknown = billing_minor is None
        decline = Decline.NOT_PERMITTED if unknown else judge_place(subjects, command.merchant)
    if decline is None and not _in_range(command.amount_minor, billing_minor):
        decline = Decline.AMOUNT_OUT_OF_RANGE
    if decline is None:
        granted = _granted(book, seat, asked, command)
        above = judge_limits(subjects, usage, granted)
        above = above or _judge_verdict(command.verdict, granted)
        decided = above or _take(book, seat, granted, command)
        if not isinstance(decided, Decline):
            return card, decided
        decline = decided
    return card, declined(asked, decline)


def declined(asked: Transaction, decline: Decline) -> Transaction:
    """Write what was asked for as what was declined."""
    return replace(asked, status="declined", decline_reason=decline, settled_at=None)


def response_code(transaction: Transaction, *, asked_minor: int = 0) -> str:
    """Tell the network's code for what was decided; less than was asked for is part of it."""
    if transaction.decline_reason is not None:
        return RESPONSE_CODES[transaction.decline_reason]
    in_part = transaction.transaction_amount_minor < asked_minor
    return APPROVED_IN_PART if in_part else APPROVED


def judge(seat: Seat, proof: Proof, vault: Vault, *, now: datetime) -> tuple[Card, Decline | None]:
    """Judge card and holder by what came with a request. Declines: as `Decline`, in its order."""
    card = seat.card
    assert card is not None, "a request is a card's"
    card, of_chip = _count_use(card, proof.chip)
    decline = judge_card(seat, proof, now=now) or of_chip
    if decline is None and proof.cvv2 is not None:
        card, decline = _verify_cvv2(card, proof.cvv2, vault)
    if decline is not None or proof.pin is None:
        return card, decline
    return _verify_pin(card, proof.pin, vault)


def judge_card(seat: Seat, proof: Proof = NO_PROOF, *, now: datetime) -> Decline | None:
    """Say why a card may not be used at all, if it may not."""
    card = seat.card
    assert card is not None, "a request is a card's"
    if card.status != "active":
        return OF_STATUS[card.status]
    if has_expired(card, now=now):
        return Decline.CARD_EXPIRED
    if proof.expiry not in {None, (card.exp_year, card.exp_month)}:
        return Decline.EXPIRY_WRONG
    if proof.cvv_right is False:
        return Decline.CVV_WRONG
    if seat.cardholder_status == "rejected":
        return Decline.CARDHOLDER_REJECTED
    return Decline.ACCOUNT_INACTIVE if seat.account_status != "active" else None


def _count_use(card: Card, chip: ChipProof | None) -> tuple[Card, Decline | None]:
    """Judge what a chip has signed; a genuine use is counted, whatever is decided.

    One that was counted before is somebody's who has listened. Source: EMV 4.3 book 2, 8.1.
    """
    if chip is None:
        return card, None
    if not chip.genuine:
        return card, Decline.CRYPTOGRAM_WRONG
    used = chip.data.counter <= card.atc
    counted = card if used else replace(card, atc=chip.data.counter)
    if not chip.agrees:
        return counted, Decline.CRYPTOGRAM_WRONG
    return counted, Decline.CRYPTOGRAM_USED if used else None


def has_expired(card: Card, *, now: datetime) -> bool:
    """Tell whether the last month a card is good for is over."""
    return (now.year, now.month) > (card.exp_year, card.exp_month)


def _verify_cvv2(card: Card, cvv2: Secret, vault: Vault) -> tuple[Card, Decline | None]:
    """Judge the printed code by the card's own expiry; whoever guesses it is soon right no more."""
    if card.cvv2_tries >= CVV2_TRIES_MAX:
        return card, Decline.CVV2_WRONG
    pan = vault.open_pan(card.pan_sealed, card_id=card.id)
    if vault.is_cvv2(pan, cvv2, exp_year=card.exp_year, exp_month=card.exp_month):
        return replace(card, cvv2_tries=0), None
    return replace(card, cvv2_tries=card.cvv2_tries + 1), Decline.CVV2_WRONG


def _verify_pin(card: Card, pin: Secret, vault: Vault) -> tuple[Card, Decline | None]:
    if card.pin_tries >= PIN_TRIES_MAX:
        return card, Decline.PIN_TRIES_EXCEEDED
    pan = vault.open_pan(card.pan_sealed, card_id=card.id)
    if card.pvv is not None and vault.is_pin(pan, pin, pvv=card.pvv):
        # Who knows the PIN has the card: the code printed on it may be said wrong anew.
        return replace(card, pin_tries=0, cvv2_tries=0), None
    return replace(card, pin_tries=card.pin_tries + 1), Decline.PIN_WRONG


def _in_range(*amounts_minor: int | None) -> bool:
    return all(amount is not None and 0 < amount <= AMOUNT_MINOR_MAX for amount in amounts_minor)


def asked_for(
    seat: Seat,
    command: Authorize,
    billing_minor: int | None,
    rates: Rates,
    *,
    now: datetime,
) -> Transaction:
    """Write the request as a transaction, with what is taken for it.

    An amount out of range, which is declined, is written as the nearest that is not; one that no
    rate leads from, declined too, as nothing.
    """
    asked_minor = min(max(command.amount_minor, 0), AMOUNT_MINOR_MAX)
    bill_minor = min(max(billing_minor or 0, 0), AMOUNT_MINOR_MAX)
    fees = fees_of(seat, command, bill_minor, surcharge_minor=_surcharge(seat, command, rates))
    return new_transaction(
        seat,
        now=now,
        occurred_at=command.occurred_at,
        kind=command.kind,
        adjustment="debit",
        amount_minor=bill_minor + sum(fee.amount_minor for fee in fees),
        merchant_minor=asked_minor,
        merchant_currency=command.currency,
        fees=fees,
        merchant=command.merchant,
        trace=command.trace,
    )


class _Charged(Amounts, Protocol):
    @property
    def kind(self) -> Kind: ...


def fees_of(
    seat: Seat, command: _Charged, bill_minor: int, *, surcharge_minor: int
) -> tuple[Fee, ...]:
    """Tell what is taken on top of a bill: the issuer's own for cash, the acquirer's surcharge."""
    rule = seat.till.fees.get(CASH_FEE) if command.kind == "cash_withdrawal" else None
    taken = {CASH_FEE: rule.of(bill_minor) if rule else 0, SURCHARGE: surcharge_minor}
    return tuple(
        Fee(type=type_, amount_minor=amount_minor, currency=seat.currency)
        for type_, amount_minor in taken.items()
        if amount_minor
    )


def _surcharge(seat: Seat, command: Authorize, rates: Rates) -> int:
    if not command.surcharge_minor:
        return 0
    on_top = replace(command, amount_minor=command.surcharge_minor, billing=None)
    return billed(on_top, seat.currency, rates, hold=True) or 0


def _granted(book: Book, seat: Seat, asked: Transaction, command: Authorize) -> Transaction:
    """Cut a purchase down to what is there, where its acquirer takes less."""
    there_minor = book.lines[seat.till.ledger_account_id].available_minor
    if command.verdict is not None and command.verdict.amount_minor is not None:
        there_minor = min(there_minor, command.verdict.amount_minor)
    cut = command.partial_allowed and command.kind == "purchase" and not asked.fees
    if not cut or not 0 < there_minor < asked.amount_minor:
        return asked
    merchant_minor = asked.transaction_amount_minor * there_minor // asked.amount_minor
    if merchant_minor == 0:
        return asked
    granted = share(asked, merchant_minor)
    return replace(
        asked, amount_minor=min(granted, there_minor), transaction_amount_minor=merchant_minor
    )


def _judge_verdict(verdict: Verdict | None, granted: Transaction) -> Decline | None:
    """Hold a request to what the issuer has said of it, if it was asked."""
    if verdict is None:
        return None
    limit_minor = verdict.amount_minor
    above = limit_minor is not None and granted.billing_minor > limit_minor
    return Decline.ISSUER_DECLINED if above or not verdict.approved else None


def _take(
    book: Book, seat: Seat, granted: Transaction, command: Authorize
) -> Transaction | Decline:
    if command.posts:
        refused = pay(book, seat, granted, above=False)
        return granted if refused is None else Decline(refused.value)
    return hold(book, seat, granted)


def hold(
    book: Book, seat: Seat, granted: Transaction, *, above: bool = False
) -> Transaction | Decline:
    """Hold a transaction's amount until it is cleared or its time is over.

    Declines: as `Book.hold`.
    """
    mcc = granted.merchant.mcc if granted.merchant else None
    expires_at = book.now + (LONG_HOLD_TTL if is_long_held(mcc) else HOLD_TTL)
    held = book.hold(
        account_id=seat.till.ledger_account_id,
        amount_minor=granted.amount_minor,
        cause_id=granted.id,
        above=above,
        expires_at=expires_at,
    )
    if isinstance(held, ledger.Decline):
        return Decline(held.value)
    return replace(
        granted, status="pending", hold_id=held.id, settled_at=None, expires_at=expires_at
    )
