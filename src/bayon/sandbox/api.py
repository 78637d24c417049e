"""The sandbox door: what no real service offers, and everybody who tests wants.

Plain JSON; errors in Bakong's envelope with a 4xx. Any of the three kinds of token may come in.
Absent in production.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from bayon import payments
from bayon.batch import KeyReused, Request
from bayon.cards import (
    BadAttributes,
    BadPan,
    BadPin,
    CardAccountNotFound,
    CardholderNotFound,
    CardNotFound,
    Desk,
    NotPending,
    PanTaken,
    TransactionNotFound,
)
from bayon.clock import Clock
from bayon.db import ClockGoesForward, Database, Tx, advance_clock
from bayon.errors import BayonError, Conflict, Denied, Invalid, NotFound, Unavailable
from bayon.money import BadAmount
from bayon.payments import (
    AccountNotFound,
    AmountMissing,
    BadAccountId,
    Completed,
    Order,
    Pay,
    Payment,
    PaymentNotFound,
    Rail,
    document,
)
from bayon.payments.khqr import BadQR
from bayon.sandbox import samples
from bayon.sandbox.cards import CardDoor
from bayon.web import (
    AccessKind,
    Answer,
    BadBody,
    BadFields,
    BadIdempotencyKey,
    BodyTooLarge,
    Call,
    Field,
    Operation,
    TooManyRequests,
    Unauthorized,
    WrongMethod,
    failure,
    free_text,
    headers_of,
    number,
    plain,
    text,
    text_or_none,
    with_refusals,
)

ANY: Final[tuple[AccessKind, ...]] = ("participant", "integrator", "issuer")
DELAY_S_MAX: Final = 86_400
OUTCOMES: Final[dict[str, Completed]] = {"success": "succeeded", "failed": "failed"}

ERRORS: Final[dict[type[BayonError], tuple[int | None, int]]] = {
    # error: (error code, HTTP status)
    Unauthorized: (6, 401),
    Denied: (6, 401),
    BadBody: (5, 400),
    BadIdempotencyKey: (5, 400),
    BodyTooLarge: (None, 413),
    WrongMethod: (None, 405),
    TooManyRequests: (None, 429),
    BadFields: (5, 422),
    BadAmount: (5, 422),
    AmountMissing: (5, 422),
    BadQR: (4, 422),
    AccountNotFound: (11, 404),
    BadAccountId: (12, 422),
    PaymentNotFound: (1, 404),
    ClockGoesForward: (5, 409),
    CardholderNotFound: (None, 404),
    CardAccountNotFound: (None, 404),
    CardNotFound: (None, 404),
    TransactionNotFound: (None, 404),
    BadPan: (5, 422),
    BadPin: (5, 422),
    BadAttributes: (5, 422),
    PanTaken: (5, 409),
    NotPending: (5, 409),
    KeyReused: (5, 409),
    Invalid: (5, 422),
    NotFound: (1, 404),
    Conflict: (5, 409),
    Unavailable: (9, 503),
}
"""Every error this door can meet; one that is not named here is as its family."""


@dataclass(frozen=True, kw_only=True)
class SandboxDoor:
    """The door of the sandbox."""

    db: Database
    rail: Rail
    desk: Desk

    def operations(self) -> list[Operation]:
        """List the operations of this door."""
        of_cards = CardDoor(desk=self.desk).operations()
        return with_refusals([*self._operations(), *of_cards], refuse)

    def _operations(self) -> list[Operation]:
        return [
            Operation(
                name="sandbox_pay",
                path="/sandbox/v1/payments",
                summary="Pay a QR as anybody: at once or later, successfully or not",
                doc="Pays from any account; with `delay_s` the payment is pending until its time.",
                keyed=True,
                serve=self.pay,
                access=ANY,
                body=(
                    free_text("fromAccountId"),
                    free_text("qr"),
                    Field(name="amount", kind="number", required=False, doc="for a static QR"),
                    Field(name="outcome", required=False, one_of=tuple(OUTCOMES)),
                    Field(name="delay_s", kind="number", required=False, doc="0 to 86400"),
                ),
                sample=samples.PAY,
                answers=samples.PAY_ANSWERS,
            ),
            Operation(
                name="sandbox_mail",
                method="GET",
                path="/sandbox/v1/mail",
                summary="Read the mail that was not sent, the newest first",
                doc="Gives the newest hundred mails, where no mail server is set.",
                serve=self.mail,
                access=ANY,
                answers=samples.MAIL_ANSWERS,
            ),
            Operation(
                name="sandbox_clock",
                method="GET",
                path="/sandbox/v1/clock",
                summary="Read the sandbox's clock",
                doc="Tells the time that codes, tokens and QRs expire by.",
                serve=self.clock,
                access=ANY,
                answers=samples.CLOCK_ANSWERS,
            ),
            Operation(
                name="sandbox_advance_clock",
                path="/sandbox/v1/clock",
                summary="Move the sandbox's clock forward",
                doc="Moves it forward only; codes made on real time are then expired here, and a "
                "new `--data-dir` starts anew.",
                serve=self.advance,
                access=ANY,
                body=(Field(name="advance_s", kind="number"),),
                sample=samples.ADVANCE,
                answers=samples.ADVANCE_ANSWERS,
            ),
        ]

    async def pay(self, call: Call) -> Answer:
        """Pay a QR from any account."""
        request = Request[Pay, Payment](
            command=await self._order(call), render=_paid, keys=call.keys
        )
        answer = (await self.rail.pay(request)).answer
        return Answer(body=answer, status=422 if _is_refusal(answer) else 200)

    async def mail(self, _call: Call) -> Answer:
        """List the mail."""
        mails = await self.db.read(payments.list_mail)
        messages = [
            {"to": m.recipient, "subject": m.subject, "text": m.body, "sent_at": m.sent_at}
            for m in mails
        ]
        return plain({"messages": messages})

    async def clock(self, _call: Call) -> Answer:
        """Tell the time."""
        self.db.forget_clock()
        return _now(await self.db.clock())

    async def advance(self, call: Call) -> Answer:
        """Move the clock forward."""
        advance_s = number(call.values, "advance_s")  # of any size: judged, then a float

        async def work(tx: Tx) -> Clock:
            return await advance_clock(tx, advance_s=advance_s)

        clock = await self.db.transaction(work)
        self.db.forget_clock()
        return _now(clock)

    async def _order(self, call: Call) -> Pay:
        from_account_id = payments.account_id_of(text(call.values, "fromAccountId"))
        found = await self.db.read(lambda tx: payments.find_accounts(tx, [from_account_id]))
        if from_account_id not in found:
            raise AccountNotFound
        order = Order(
            participant_id=found[from_account_id].participant_id,
            from_account_id=from_account_id,
            amount=None if call.values["amount"] is None else number(call.values, "amount"),
            completes=OUTCOMES[text_or_none(call.values, "outcome") or "success"],
            delay_s=_delay_s(call),
        )
        return payments.order_by_qr(order, qr=text(call.values, "qr"))


def refuse(error: BayonError) -> Answer:
    """Translate an error to the envelope, with a 4xx."""
    family = next((kind for kind in type(error).__mro__ if kind in ERRORS), None)
    error_code, status = ERRORS[family] if family else (9, 500)
    body = failure(error_code, error.message)
    return Answer(body=body, status=status, headers=headers_of(error))


def _paid(payment: Payment) -> bytes:
    shown = document.own_payment(payment)
    if payment.state == "declined":
        return failure(3, None, shown)
    return plain(shown).body


def _is_refusal(answer: bytes) -> bool:
    """Tell a decline by what was stored, so that a repeat has the first answer's status."""
    stored: dict[str, object] = msgspec.json.decode(answer)
    return "responseCode" in stored  # only what went wrong wears the envelope here


def _delay_s(call: Call) -> float:
    if call.values["delay_s"] is None:
        return 0.0
    delay_s = number(call.values, "delay_s")
    if not 0 <= delay_s <= DELAY_S_MAX:
        raise BadFields(f"delay_s must be from 0 to {DELAY_S_MAX}.")
    return float(delay_s)


def _now(clock: Clock) -> Answer:
    return plain({"now": clock.now()})
