"""The participant API: the rail, as banks use it. Without it no status could turn to success.

Bakong's envelope and camelCase; amounts are numbers in major units. A decline is errorCode 3 with
`data.declineReason`. `Idempotency-Key` and `externalRef` both make a repeat harmless.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from bayon import payments
from bayon.bakong import samples
from bayon.bakong.wire import DECLINES, refuse
from bayon.batch import Key, Request, answer_once
from bayon.db import Database
from bayon.errors import Problem
from bayon.money import Currency, minor_from_major
from bayon.payments import (
    Decline,
    Deposit,
    OpenPaymentAccount,
    Order,
    Pay,
    Payment,
    Rail,
    Refund,
    RefundDeclined,
    Statement,
    document,
)
from bayon.seal import Sealer
from bayon.web import (
    AccessKind,
    Answer,
    BadFields,
    Call,
    Field,
    Operation,
    Values,
    canonical,
    failure,
    free_text,
    number,
    success,
    text,
    text_or_none,
    with_refusals,
)

OWN: Final[tuple[AccessKind, ...]] = ("participant",)
CURRENCIES: Final = tuple(currency.value for currency in Currency)
CURRENCY: Final = Field(name="currency", one_of=CURRENCIES)
AMOUNT: Final = Field(name="amount", kind="number", doc="major units; whole riel")
ACCOUNT_ID: Final = free_text("accountId")
EXTERNAL_REF: Final = Field(
    name="externalRef",
    required=False,
    length_max=100,
    doc="yours, unique: repeated with the same content it returns the first answer",
)
PAYMENT_FIELDS: Final = (
    free_text("fromAccountId"),
    free_text("qr", required=False, doc="a KHQR; or toAccountId and amount"),
    free_text("toAccountId", required=False),
    Field(name="amount", kind="number", required=False, doc="major units; whole riel"),
    Field(name="currency", required=False, one_of=CURRENCIES),
    Field(name="description", required=False, length_max=255),
    Field(name="instructionRef", required=False, length_max=100),
    EXTERNAL_REF,
)
LIST_FIELDS: Final = (
    free_text("accountId", required=False),
    Field(name="direction", required=False, one_of=("incoming", "outgoing")),
    Field(name="from", required=False, length_max=40, doc="ISO 8601 or epoch ms, inclusive"),
    Field(name="to", required=False, length_max=40, doc="ISO 8601 or epoch ms, inclusive"),
    Field(name="after", required=False, length_max=20, doc="`next` of the page before"),
)


@dataclass(frozen=True, kw_only=True)
class ParticipantApi:
    """The door of the participants."""

    db: Database
    rail: Rail
    sealer: Sealer

    def operations(self) -> list[Operation]:
        """List the operations of this door."""
        return with_refusals([*self._on_accounts(), *self._on_payments()], refuse)

    def _on_accounts(self) -> list[Operation]:
        accounts = "/participant/v1/accounts"
        return [
            Operation(
                name="open_account",
                path=accounts,
                summary="Open an account",
                doc="Opens it in one or two currencies; the part behind the @ is your code.",
                keyed=True,
                serve=self.open_account,
                access=OWN,
                body=(
                    ACCOUNT_ID,
                    Field(name="name", length_max=100),
                    Field(name="currencies", kind="texts", length_max=2, one_of=CURRENCIES),
                ),
                sample=samples.OPEN_ACCOUNT,
                answers=samples.OPEN_ACCOUNT_ANSWERS,
            ),
            Operation(
                name="get_account",
                method="GET",
                path=accounts + "/{account_id}",
                summary="Read an account and its balances",
                doc="Tells what an account of yours has, booked and available.",
                serve=self.get_account,
                access=OWN,
                answers=samples.ACCOUNT_READ_ANSWERS,
            ),
            Operation(
                name="deposit",
                path="/participant/v1/deposits",
                summary="Put money on an account",
                doc="Adds to the balance of an account of yours.",
                keyed=True,
                serve=self.deposit,
                access=OWN,
                body=(ACCOUNT_ID, AMOUNT, CURRENCY, EXTERNAL_REF),
                sample=samples.DEPOSIT,
                answers=samples.DEPOSIT_ANSWERS,
            ),
        ]

    def _on_payments(self) -> list[Operation]:
        return [
            Operation(
                name="pay",
                path="/participant/v1/payments",
                summary="Pay a KHQR, or an account",
                doc="Pays from your account, once; a decline is recorded, and nothing moves.",
                keyed=True,
                serve=self.pay,
                access=OWN,
                body=PAYMENT_FIELDS,
                sample=samples.PAY,
                answers=samples.PAY_ANSWERS,
            ),
            Operation(
                name="list_payments",
                method="GET",
                path="/participant/v1/payments",
                summary="List payments, newest first: incoming and outgoing, declines with reason",
                doc="Gives 50 a page; `next` of one page is `after` for the one behind it.",
                serve=self.list_payments,
                access=OWN,
                query=LIST_FIELDS,
                answers=samples.PAYMENTS_ANSWERS,
            ),
            Operation(
                name="refund",
                path="/participant/v1/refunds",
                summary="Refund a payment you received: the whole amount, once",
                doc="Gives the whole amount back to who paid.",
                keyed=True,
                serve=self.refund,
                access=OWN,
                body=(Field(name="hash", length_min=64, length_max=64),),
                sample=samples.REFUND,
                answers=samples.REFUND_ANSWERS,
            ),
        ]

    async def open_account(self, call: Call) -> Answer:
        """Open an account of the participant."""
        names: object = call.values["currencies"]
        if not isinstance(names, list) or not names:
            raise BadFields("currencies must name at least one currency.")
        command = OpenPaymentAccount(
            participant_id=_participant(call),
            account_id=text(call.values, "accountId"),
            name=text(call.values, "name"),
            currencies=frozenset(Currency(str(name)) for name in names),  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - read as texts
        )
        request = Request[OpenPaymentAccount, Statement](
            command=command, render=_statement("Account has been opened"), keys=call.keys
        )
        reply = await answer_once(self.db, request, verb=payments.open_accounts, sealer=self.sealer)
        return Answer(body=reply.answer)

    async def get_account(self, call: Call) -> Answer:
        """Tell an account's balances."""
        account_id = payments.account_id_of(call.path["account_id"])
        participant_id = _participant(call)
        found = await self.db.read(
            lambda tx: payments.statement(tx, participant_id=participant_id, account_id=account_id)
        )
        return Answer(body=_statement("Getting account successfully")(found))

    async def deposit(self, call: Call) -> Answer:
        """Put money on an account."""
        currency = Currency(text(call.values, "currency"))
        command = Deposit(
            participant_id=_participant(call),
            account_id=payments.account_id_of(text(call.values, "accountId")),
            currency=currency,
            amount_minor=minor_from_major(number(call.values, "amount"), currency),
        )
        request = Request[Deposit, Statement | Decline](
            command=command, render=_deposited, keys=_keys(call, "deposit")
        )
        reply = await answer_once(self.db, request, verb=payments.deposit, sealer=self.sealer)
        return Answer(body=reply.answer)

    async def pay(self, call: Call) -> Answer:
        """Pay by a QR or to an account."""
        request: Request[Pay, Payment] = Request(
            command=_pay(call), render=_paid, keys=_keys(call, "payment")
        )
        return Answer(body=(await self.rail.pay(request)).answer)

    async def list_payments(self, call: Call) -> Answer:
        """List payments."""
        values = call.values
        account_id = text_or_none(values, "accountId")
        found, after = await self.db.read(
            lambda tx: payments.list_payments(
                tx,
                participant_id=_participant(call),
                account_id=None if account_id is None else payments.account_id_of(account_id),
                direction=text_or_none(values, "direction"),
                since=_instant(values, "from"),
                until=_instant(values, "to"),
                after=_cursor(values),
            )
        )
        page = {
            "payments": [document.own_payment(payment) for payment in found],
            "next": None if after is None else str(after),
        }
        return Answer(body=success(page, "Getting payments successfully"))

    async def refund(self, call: Call) -> Answer:
        """Give a payment back."""
        try:
            digest = bytes.fromhex(text(call.values, "hash"))
        except ValueError:
            digest = b""  # not found, as any other hash nobody has
        command = Refund(participant_id=_participant(call), hash=digest)
        request = Request[Refund, Payment | RefundDeclined](
            command=command, render=_refunded, keys=call.keys
        )
        reply = await answer_once(self.db, request, verb=payments.refund, sealer=self.sealer)
        return Answer(body=reply.answer)


def _pay(call: Call) -> Pay:
    values = call.values
    currency_name = text_or_none(values, "currency")
    currency = Currency(currency_name) if currency_name else None
    order = Order(
        participant_id=_participant(call),
        from_account_id=payments.account_id_of(text(values, "fromAccountId")),
        currency=currency,
        amount=None if values["amount"] is None else number(values, "amount"),
        description=text_or_none(values, "description"),
        instruction_ref=text_or_none(values, "instructionRef"),
        external_ref=text_or_none(values, "externalRef"),
    )
    qr, to_account_id = text_or_none(values, "qr"), text_or_none(values, "toAccountId")
    if (qr is None) == (to_account_id is None):
        raise BadFields(None if qr is None else "Give either qr or toAccountId, not both.")
    if qr is not None:
        return payments.order_by_qr(order, qr=qr)
    assert to_account_id is not None
    return payments.order_to_account(order, to_account_id=to_account_id)


def _participant(call: Call) -> UUID:
    assert call.access is not None
    return UUID(call.access.owner)


def _keys(call: Call, operation: str) -> tuple[Key, ...]:
    """Add the external reference to the call's own key: it names the same thing for ever."""
    external_ref = text_or_none(call.values, "externalRef")
    if external_ref is None:
        return call.keys
    scope = ("participant", str(_participant(call)), "externalRef")
    body = operation.encode() + canonical(call.decoded)
    return (*call.keys, Key.of(*scope, key=external_ref, body=body))


def _statement(message: str) -> Callable[[Statement], bytes]:
    return lambda found: success(document.statement(found), message)


def _deposited(outcome: Statement | Decline) -> bytes:
    if isinstance(outcome, Decline):
        return failure(3, DECLINES[outcome], {"declineReason": outcome.value})
    return _statement("Deposit has been made")(outcome)


def _paid(payment: Payment) -> bytes:
    shown = document.own_payment(payment)
    if payment.decline_reason is not None:
        return failure(3, DECLINES[payment.decline_reason], shown)
    if payment.state == "failed":
        return failure(3, None, shown)
    return success(shown, "Payment has been made")


def _refunded(outcome: Payment | RefundDeclined) -> bytes:
    if isinstance(outcome, RefundDeclined):
        shown = {**document.own_payment(outcome.payment), "declineReason": outcome.reason.value}
        return failure(3, DECLINES[outcome.reason], shown)
    return success(document.own_payment(outcome), "Payment has been refunded")


def _cursor(values: Values) -> int | None:
    after = text_or_none(values, "after")
    if after is None:
        return None
    if not (after.isascii() and after.isdigit()) or int(after) >= 2**63:
        raise _broken("after", "after must be the `next` of another page.")
    return int(after)


def _instant(values: Values, name: str) -> datetime | None:
    """Read an instant: ISO 8601 (UTC unless it says otherwise) or epoch milliseconds."""
    given = text_or_none(values, name)
    if given is None:
        return None
    try:
        if given.isascii() and given.isdigit():
            return datetime.fromtimestamp(int(given) / 1000, UTC)
        at = datetime.fromisoformat(given)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        raise _broken(name, f"{name} must be an instant: ISO 8601 or epoch ms.") from None


def _broken(name: str, message: str) -> BadFields:
    return BadFields(message, problems=(Problem(pointer=f"/{name}", message=message),))
