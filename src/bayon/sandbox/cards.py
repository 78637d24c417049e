"""The sandbox door of the cards: what a card network and a reviewer would do, as anybody wants it.

All of it goes through the very verbs a card network goes through. Amounts are minor units, as in
card management.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast
from uuid import UUID

from bayon import cards
from bayon.batch import Request
from bayon.cards import (
    Authorize,
    Card,
    Cardholder,
    Clear,
    Desk,
    Expire,
    ImportCard,
    Increment,
    Merchant,
    Move,
    Present,
    Proof,
    Reverse,
    Transaction,
)
from bayon.db import Tx, read_clock
from bayon.iso4217 import by_code
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX
from bayon.sandbox import samples
from bayon.web import (
    AccessKind,
    Answer,
    BadFields,
    Call,
    Field,
    Operation,
    Values,
    boolean,
    number,
    plain,
    text,
    text_or_none,
)

ISSUER: Final[tuple[AccessKind, ...]] = ("issuer",)
KINDS: Final = ("purchase", "cash_withdrawal")
DECISIONS: Final = ("approve", "reject")
YEARS: Final = range(2000, 2100)
MONTHS: Final = range(1, 13)
AMOUNTS: Final = range(1, AMOUNT_MINOR_MAX + 1)

_MCC: Final = re.compile(r"[0-9]{4}")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")

MERCHANT: Final = Field(
    name="merchant",
    kind="object",
    required=False,
    fields=(
        Field(name="name", length_max=100, required=False),
        Field(name="city", length_max=100, required=False),
        Field(name="country", length_min=2, length_max=2, required=False, doc="ISO 3166"),
        Field(name="mcc", length_min=4, length_max=4, required=False, doc="ISO 18245"),
        Field(name="category", length_max=100, required=False, doc="its name, instead of mcc"),
    ),
)
USUAL: Final = Merchant(
    name="Rocket Rides", city="Phnom Penh", country="KH", category="taxicabs_limousines", mcc="4121"
)


@dataclass(frozen=True, kw_only=True)
class CardDoor:
    """The part of the sandbox's door that acts on cards."""

    desk: Desk

    def operations(self) -> Sequence[Operation]:
        """List the operations."""
        return [
            Operation(
                name="sandbox_import_card",
                path="/sandbox/v1/cards",
                summary="Import a test card",
                doc="Takes over a card with a number and a PIN you know; it is active at once.",
                serve=self.import_card,
                access=ISSUER,
                body=(
                    Field(name="account_id"),
                    Field(name="pan", length_max=40, doc="12 to 19 digits", secret=True),
                    Field(name="exp_month", kind="number"),
                    Field(name="exp_year", kind="number"),
                    Field(
                        name="pin", required=False, length_max=40, doc="four digits", secret=True
                    ),
                ),
                sample=samples.IMPORT,
                answers=samples.IMPORT_ANSWERS,
            ),
            Operation(
                name="sandbox_show_card",
                method="GET",
                path="/sandbox/v1/cards/{id}",
                summary="Look at a card",
                doc="Tells what its holder reads on it: number, expiry and CVV2, to pay with.",
                serve=self.show_card,
                access=ISSUER,
                answers=samples.CARD_ANSWERS,
            ),
            Operation(
                name="sandbox_authorize",
                path="/sandbox/v1/authorizations",
                summary="Use a card: a purchase, or cash from a machine",
                doc="Decides as the card network's door does; what is declined is an answer too.",
                keyed=True,
                serve=self.authorize,
                access=ISSUER,
                body=(
                    Field(name="card_id"),
                    Field(name="amount", kind="number", doc="minor units"),
                    Field(name="currency", required=False, doc="ISO 4217; USD if absent"),
                    Field(name="type", required=False, one_of=KINDS),
                    MERCHANT,
                    Field(name="pin", required=False, length_max=40, secret=True),
                    Field(name="partial_allowed", kind="boolean", required=False),
                ),
                sample=samples.AUTHORIZE,
                answers=samples.AUTHORIZE_ANSWERS,
            ),
            Operation(
                name="sandbox_clear",
                path="/sandbox/v1/transactions/{id}/clear",
                summary="Clear a pending transaction",
                doc="Settles it, for its amount or another; `final` (true if absent) gives back "
                "the rest.",
                keyed=True,
                serve=self.clear,
                access=ISSUER,
                body=(
                    Field(name="amount", kind="number", required=False, doc="minor units"),
                    Field(name="final", kind="boolean", required=False),
                ),
                sample=samples.CLEAR,
                answers=samples.CLEAR_ANSWERS,
            ),
            *self._changes(),
            self._reviewing(),
        ]

    def _reviewing(self) -> Operation:
        return Operation(
            name="sandbox_review",
            path="/sandbox/v1/cardholders/{id}/review",
            summary="Decide on a cardholder's profile",
            doc="Accepts or rejects a profile, in whatever state it is.",
            serve=self.review,
            access=ISSUER,
            body=(
                Field(name="decision", one_of=DECISIONS),
                Field(name="reason", required=False, length_max=100),
            ),
            sample=samples.REVIEW,
            answers=samples.REVIEW_ANSWERS,
        )

    def _changes(self) -> Sequence[Operation]:
        of_amount = (Field(name="amount", kind="number", required=False, doc="minor units"),)
        of_card = (
            Field(name="card_id"),
            Field(name="amount", kind="number", doc="minor units"),
            MERCHANT,
        )
        return [
            Operation(
                name="sandbox_increment",
                path="/sandbox/v1/transactions/{id}/increment",
                summary="Hold more for a pending transaction",
                doc="Decides again, on what is added; what is declined is an answer too.",
                keyed=True,
                serve=self.increment,
                access=ISSUER,
                body=(Field(name="amount", kind="number", doc="what is added, minor units"),),
                sample={"amount": 500},
                answers=samples.AUTHORIZE_ANSWERS,
            ),
            Operation(
                name="sandbox_reverse",
                path="/sandbox/v1/transactions/{id}/reverse",
                summary="Take a transaction back, or a part of it",
                doc="Takes `amount` back, all if it is absent; of a cash withdrawal too.",
                keyed=True,
                serve=self.reverse,
                access=ISSUER,
                body=of_amount,
                sample={},
                answers=samples.CHANGE_ANSWERS,
            ),
            Operation(
                name="sandbox_expire",
                path="/sandbox/v1/transactions/{id}/expire",
                summary="Expire a pending transaction",
                doc="Gives its hold back, as seven days do (hotels, airlines, cars: 31).",
                keyed=True,
                serve=self.expire,
                access=ISSUER,
                sample={},
                answers=samples.CHANGE_ANSWERS,
            ),
            Operation(
                name="sandbox_refund",
                path="/sandbox/v1/refunds",
                summary="Refund to a card",
                doc="Credits the card's account at once.",
                keyed=True,
                serve=self.refund,
                access=ISSUER,
                body=of_card,
                sample=samples.PRESENT,
                answers=samples.PRESENT_ANSWERS,
            ),
            Operation(
                name="sandbox_force_post",
                path="/sandbox/v1/clearings",
                summary="Clear without an authorisation",
                doc="Debits the card's account at once, whatever is there and whatever state the "
                "card is in: what is cleared is owed.",
                keyed=True,
                serve=self.force_post,
                access=ISSUER,
                body=of_card,
                sample=samples.PRESENT,
                answers=samples.PRESENT_ANSWERS,
            ),
        ]

    async def increment(self, call: Call) -> Answer:
        """Hold more."""
        command = Increment(
            issuer_id=_issuer(call),
            transaction_id=_id(call.path["id"]),
            amount_minor=_whole(call.values, "amount", AMOUNTS),
        )
        return await self._move(call, command, _decided)

    async def reverse(self, call: Call) -> Answer:
        """Take back."""
        given = call.values["amount"] is not None
        command = Reverse(
            issuer_id=_issuer(call),
            transaction_id=_id(call.path["id"]),
            amount_minor=_whole(call.values, "amount", AMOUNTS) if given else None,
        )
        return await self._move(call, command, _cleared)

    async def expire(self, call: Call) -> Answer:
        """Expire."""
        command = Expire(issuer_id=_issuer(call), transaction_id=_id(call.path["id"]))
        return await self._move(call, command, _cleared)

    async def refund(self, call: Call) -> Answer:
        """Refund."""
        return await self._move(call, _present(call, "credit"), _cleared)

    async def force_post(self, call: Call) -> Answer:
        """Clear without an authorisation."""
        return await self._move(call, _present(call, "debit"), _cleared)

    async def _move(
        self, call: Call, command: Move, render: Callable[[Transaction], bytes]
    ) -> Answer:
        request = Request[Move, Transaction](command=command, render=render, keys=call.keys)
        return Answer(body=(await self.desk.move(request)).answer)

    async def import_card(self, call: Call) -> Answer:
        """Take over a card."""
        pin = text_or_none(call.values, "pin")
        command = ImportCard(
            issuer_id=_issuer(call),
            account_id=_id(text(call.values, "account_id")),
            pan=Secret(text(call.values, "pan")),
            exp_month=_whole(call.values, "exp_month", MONTHS),
            exp_year=_whole(call.values, "exp_year", YEARS),
            pin=None if pin is None else Secret(pin),
        )

        async def work(tx: Tx) -> Card:
            now = (await read_clock(tx)).now()
            return await cards.import_card(tx, command, vault=self.desk.vault, now=now)

        card = await self.desk.db.transaction(work)
        return plain({"card_id": str(card.id), "last_four": card.last_four, "status": card.status})

    async def show_card(self, call: Call) -> Answer:
        """Tell what stands on a card: a sandbox's is nobody's money."""
        vault, card_id, issuer_id = self.desk.vault, _id(call.path["id"]), _issuer(call)
        card = await self.desk.db.read(
            lambda tx: cards.find_card(tx, issuer_id=issuer_id, card_id=card_id)
        )
        pan = vault.open_pan(card.pan_sealed, card_id=card.id)
        cvv2 = vault.cvv2(pan, exp_year=card.exp_year, exp_month=card.exp_month)
        return plain(
            {
                "card_id": str(card.id),
                "pan": pan.reveal(),
                "exp_month": card.exp_month,
                "exp_year": card.exp_year,
                "cvv2": cvv2.reveal(),
            }
        )

    async def authorize(self, call: Call) -> Answer:
        """Use a card."""
        pin = text_or_none(call.values, "pin")
        command = Authorize(
            issuer_id=_issuer(call),
            card_id=_id(text(call.values, "card_id")),
            amount_minor=_whole(call.values, "amount", AMOUNTS),
            currency=_currency(call.values),
            posts=call.values["type"] == "cash_withdrawal",
            kind="cash_withdrawal" if call.values["type"] == "cash_withdrawal" else "purchase",
            merchant=_merchant(call.values["merchant"]),
            proof=Proof(pin=None if pin is None else self.desk.vault.read_pin(Secret(pin))),
            partial_allowed=boolean(call.values, "partial_allowed", default=False),
        )

        amount_minor = command.amount_minor
        return await self._move(call, command, lambda t: _decided(t, asked_minor=amount_minor))

    async def clear(self, call: Call) -> Answer:
        """Clear a pending transaction."""
        given = call.values["amount"] is not None
        command = Clear(
            issuer_id=_issuer(call),
            transaction_id=_id(call.path["id"]),
            amount_minor=_whole(call.values, "amount", AMOUNTS) if given else None,
            final=boolean(call.values, "final", default=True),
        )
        return await self._move(call, command, _cleared)

    async def review(self, call: Call) -> Answer:
        """Decide on a cardholder."""
        rejects = call.values["decision"] == "reject"
        reason = (text_or_none(call.values, "reason") or "rejected") if rejects else None

        async def work(tx: Tx) -> Cardholder:
            now = (await read_clock(tx)).now()
            return await cards.decide_review(
                tx,
                cardholder_id=_id(call.path["id"]),
                issuer_id=_issuer(call),
                rejection_reason=reason,
                now=now,
            )

        cardholder = await self.desk.db.transaction(work)
        return plain(
            {
                "cardholder_id": str(cardholder.id),
                "status": cardholder.status,
                "rejection_reason": cardholder.rejection_reason,
            }
        )


def _decided(transaction: Transaction, *, asked_minor: int = 0) -> bytes:
    return plain(
        {
            "approved": transaction.status != "declined",
            "decline_reason": transaction.decline_reason,
            "response_code": cards.response_code(transaction, asked_minor=asked_minor),
            "transaction_id": str(transaction.id),
        }
    ).body


def _present(call: Call, adjustment: Literal["credit", "debit"]) -> Present:
    return Present(
        issuer_id=_issuer(call),
        card_id=_id(text(call.values, "card_id")),
        amount_minor=_whole(call.values, "amount", AMOUNTS),
        adjustment=adjustment,
        merchant=_merchant(call.values["merchant"]),
    )


def _cleared(transaction: Transaction) -> bytes:
    return plain(
        {
            "transaction_id": str(transaction.id),
            "status": transaction.status,
            "amount": transaction.amount_minor,
        }
    ).body


def _issuer(call: Call) -> UUID:
    assert call.access is not None
    return UUID(call.access.owner)


def _id(given: str) -> UUID:
    """Read an id; what is none is nobody's."""
    try:
        return UUID(given)
    except ValueError:
        return UUID(int=0)


def _whole(values: Values, name: str, allowed: range) -> int:
    value = number(values, name)
    if not isinstance(value, int) or value not in allowed:
        raise BadFields(f"{name} must be a whole number from {allowed[0]} to {allowed[-1]}.")
    return value


def _currency(values: Values) -> str:
    code = text_or_none(values, "currency") or "USD"
    if by_code(code) is None:
        raise BadFields("currency must be a code of ISO 4217, like USD.")
    return code


def _merchant(value: object) -> Merchant:
    given = cast("dict[str, str | None]", value or {})
    category, mcc = given.get("category"), given.get("mcc")
    country = given.get("country") or USUAL.country
    if category is not None and mcc is not None:
        raise BadFields("merchant must have an mcc or a category, not both.")
    if category is not None and category not in cards.categories():
        raise BadFields("merchant.category must be the name of a category.")
    if mcc is not None and not _MCC.fullmatch(mcc):
        raise BadFields("merchant.mcc must have four digits.")
    if not _COUNTRY.fullmatch(country):
        raise BadFields("merchant.country must have two letters, as ISO 3166 has them.")
    if category is not None:
        mcc = cards.mcc_of(category)
    elif mcc is None:
        category, mcc = USUAL.category, USUAL.mcc
    else:
        category = cards.category_of(mcc)
    return Merchant(
        name=given.get("name") or USUAL.name,
        city=given.get("city") or USUAL.city,
        country=country.upper(),
        category=category,
        mcc=mcc,
    )
