"""The Bakong Open API: its operations, as a table, and what each does.

Source: Bakong Open API 1.0.2, sections 1 to 8; the four later checks and the lists as its later
versions and the clients have them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from bayon import payments
from bayon.bakong import samples
from bayon.bakong.register import Registrar
from bayon.bakong.wire import StaticQr, owner_of, refuse
from bayon.config import Settings
from bayon.db import Database, Tx
from bayon.errors import Problem
from bayon.money import BadAmount, Currency, minor_from_major
from bayon.payments import AccountNotFound, Payment, PaymentNotFound, Rail, document, khqr
from bayon.web import (
    Answer,
    BadFields,
    Call,
    Field,
    Gate,
    Operation,
    Unauthorized,
    Values,
    failure,
    free_text,
    number,
    read_fields,
    success,
    text,
    text_or_none,
    with_refusals,
)

LIST_LENGTH_MAX: Final = 50
WAIT_S_MAX: Final = 30
WAITS_S: Final = {str(seconds): seconds for seconds in range(1, WAIT_S_MAX + 1)}

APP_NAME_LENGTH_MAX: Final = 100
URL_LENGTH_MAX: Final = 2_048
"""Anybody may make links, and they are kept: so each is small."""

MD5: Final = Field(name="md5", length_max=255, doc="MD5 of the QR's text, hex")
HASH: Final = Field(name="hash", length_max=255, doc="the transaction's full hash, hex")
EMAIL: Final = Field(name="email", length_min=0, length_max=30)
SOURCE_INFO: Final = Field(
    name="sourceInfo",
    kind="object",
    required=False,
    fields=(
        Field(
            name="appIconUrl",
            length_min=0,
            length_max=URL_LENGTH_MAX,
            doc="https; shown by the payer's device, never fetched here",
        ),
        Field(name="appName", length_min=0, length_max=APP_NAME_LENGTH_MAX),
        Field(
            name="appDeepLinkCallback",
            length_min=0,
            length_max=URL_LENGTH_MAX,
            doc="https or your app's own scheme",
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class OpenApi:
    """The door of the Bakong Open API. `gate` tells who makes a deeplink; without one, nobody."""

    db: Database
    rail: Rail
    registrar: Registrar
    settings: Settings
    gate: Gate | None = None

    def operations(self) -> list[Operation]:
        """List the operations of this door."""
        found = [*self._registration(), *self._checks(), *self._lists(), *self._account_checks()]
        return with_refusals(found, refuse)

    def _registration(self) -> list[Operation]:
        names = (
            Field(name="organization", length_max=100),
            Field(name="project", length_max=100),
        )
        code = Field(name="code", length_min=20, length_max=20, doc="from the mail")
        return [
            Operation(
                name="request_token",
                path="/v1/request_token",
                summary="Request a token: a verification code by e-mail",
                doc="Mails a code to the address; asking again voids the code before.",
                serve=self.request_token,
                body=(EMAIL, *names),
                sample=samples.REQUEST_TOKEN,
                answers=samples.REQUEST_TOKEN_ANSWERS,
            ),
            Operation(
                name="verify",
                path="/v1/verify",
                summary="Verify the code and get a token",
                doc="Turns the code from the mail into a token, once.",
                serve=self.verify,
                body=(code,),
                sample=samples.VERIFY,
                answers=samples.VERIFY_ANSWERS,
            ),
            Operation(
                name="renew_token",
                path="/v1/renew_token",
                summary="Renew a token",
                doc="Gives a verified address a new token; where the server asks for it, only to "
                "the bearer of the latest one, expired or not.",
                serve=self.renew_token,
                body=(EMAIL,),
                sample=samples.RENEW_TOKEN,
                answers=samples.RENEW_TOKEN_ANSWERS,
            ),
            Operation(
                name="generate_deeplink_by_qr",
                path="/v1/generate_deeplink_by_qr",
                summary="Generate a deeplink to a dynamic QR",
                doc="Makes a link, another one each time, to a page with the QR to pay. No token "
                "is needed; whoever sends one, and has a callback, is told of the payment there.",
                serve=self.generate_deeplink_by_qr,
                body=(free_text("qr"), SOURCE_INFO),
                sample=samples.DEEPLINK,
                answers=samples.DEEPLINK_ANSWERS,
            ),
        ]

    def _checks(self) -> list[Operation]:
        wait = Field(
            name="wait_s",
            required=False,
            doc="1 to 30: answer as soon as the payment is made, at the latest after so many "
            "seconds. The real service has no such thing.",
        )
        short = (
            Field(name="hash", length_min=8, length_max=8, doc="the first 8 of the full hash"),
            Field(name="amount", kind="number"),
            Field(name="currency", one_of=("USD", "KHR")),
        )
        named = [
            ("md5", self.check_by_md5, (MD5,), (wait,)),
            ("hash", self.check_by_hash, (HASH,), ()),
            ("short_hash", self.check_by_short_hash, short, ()),
            ("instruction_ref", self.check_by_instruction_ref, (free_text("instructionRef"),), ()),
            ("external_ref", self.check_by_external_ref, (free_text("externalRef"),), ()),
        ]
        return [
            Operation(
                name=f"check_transaction_by_{name}",
                path=f"/v1/check_transaction_by_{name}",
                summary=f"Check a transaction's status by {name.replace('_', ' ')}",
                doc="Finds the newest payment that succeeded, else one that failed; what is "
                "pending or declined is not found.",
                serve=serve,
                access=("integrator",),
                body=body,
                query=query,
                sample=samples.CHECKS[name],
                answers=samples.CHECK_ANSWERS[name],
            )
            for name, serve, body, query in named
        ]

    def _lists(self) -> list[Operation]:
        named = [
            ("md5", "md5List", self.check_by_md5_list),
            ("hash", "hashList", self.check_by_hash_list),
        ]
        return [
            Operation(
                name=f"check_transaction_by_{name}_list",
                path=f"/v1/check_transaction_by_{name}_list",
                summary=f"Check up to 50 transactions' status by {name}",
                doc="Answers in the order asked, one item for each; takes a bare array or an "
                "object with its one member.",
                serve=serve,
                access=("integrator",),
                body=(Field(name=member, kind="texts", length_max=LIST_LENGTH_MAX),),
                array=True,
                sample=samples.LISTS[name],
                answers=samples.LIST_ANSWERS[name],
            )
            for name, member, serve in named
        ]

    def _account_checks(self) -> list[Operation]:
        return [
            Operation(
                name=name,
                path=f"/v1/{name}",
                summary="Check whether a Bakong account exists",
                doc="Says whether there is such an account here, and nothing else of it.",
                serve=self.check_bakong_account,
                access=() if self.settings.bakong_open_account_check else ("integrator",),
                body=(free_text("accountId"),),
                sample=samples.ACCOUNT,
                answers=samples.ACCOUNT_ANSWERS,
            )
            for name in ("check_bakong_account", "check_account_exist")
        ]

    async def request_token(self, call: Call) -> Answer:
        """Send a verification code."""
        await self.registrar.request_code(
            email=text(call.values, "email"),
            organization=text(call.values, "organization"),
            project=text(call.values, "project"),
        )
        return Answer(body=success(None, "Email has been sent"))

    async def verify(self, call: Call) -> Answer:
        """Turn a code into a token."""
        token = await self.registrar.verify(text(call.values, "code"))
        return Answer(body=success({"token": token}, "Token has been issued"))

    async def renew_token(self, call: Call) -> Answer:
        """Make a new token."""
        email = text(call.values, "email")
        token = await self.registrar.renew(email=email, bearer=call.token)
        return Answer(body=success({"token": token}, "Token has been issued"))

    async def generate_deeplink_by_qr(self, call: Call) -> Answer:
        """Make a link to a QR, another one each time; its integrator listens, if it says who."""
        source = _source_info(call.values, loopback=self.settings.sandbox)
        qr = khqr.reading(text(call.values, "qr"))
        if khqr.read(qr).static:
            raise StaticQr
        integrator_id = await self._bearer(call)
        if integrator_id is not None:
            await self.rail.listen(khqr.md5(qr), integrator_id=integrator_id)
        now = (await self.db.clock()).now()

        async def work(tx: Tx) -> str:
            deeplink = await payments.make_deeplink(
                tx,
                qr=qr,
                app_name=source.get("appName") or None,
                app_icon_url=source.get("appIconUrl"),
                app_callback_url=source.get("appDeepLinkCallback"),
                now=now,
            )
            return deeplink.slug

        link = f"{call.url}/{await self.db.transaction(work)}"
        return Answer(body=success({"shortLink": link}, "Getting deep link successfully"))

    async def check_by_md5(self, call: Call) -> Answer:
        """Tell the status of a QR's payment, at once or as soon as it is made."""
        found = await self.rail.status_by_md5(
            text(call.values, "md5"), wait_s=_wait_s(call.values), integrator_id=owner_of(call)
        )
        if found is None:
            raise PaymentNotFound
        return Answer(body=document.answer_by_md5(found))

    async def check_by_hash(self, call: Call) -> Answer:
        """Tell the status of a payment by its full hash."""
        hashes = [text(call.values, "hash")]
        (found,) = await self.db.read(lambda tx: payments.by_hash(tx, hashes))
        return _status(found)

    async def check_by_short_hash(self, call: Call) -> Answer:
        """Tell the status of a payment by its short hash, amount and currency."""
        currency = Currency(text(call.values, "currency"))
        try:
            amount_minor = minor_from_major(number(call.values, "amount"), currency)
        except BadAmount:
            return _status(None)  # no payment can have it
        short_hash = text(call.values, "hash")
        found = await self.db.read(
            lambda tx: payments.by_short_hash(
                tx, short_hash=short_hash, amount_minor=amount_minor, currency=currency
            )
        )
        return _status(found)

    async def check_by_instruction_ref(self, call: Call) -> Answer:
        """Tell the status of a payment by its instruction reference."""
        ref = text(call.values, "instructionRef")
        return _status(await self.db.read(lambda tx: payments.by_instruction_ref(tx, ref)))

    async def check_by_external_ref(self, call: Call) -> Answer:
        """Tell the status of a payment by its external reference."""
        ref = text(call.values, "externalRef")
        return _status(await self.db.read(lambda tx: payments.by_external_ref(tx, ref)))

    async def check_by_md5_list(self, call: Call) -> Answer:
        """Tell the status of up to fifty QRs' payments, in the order asked."""
        md5s = _listed(call, "md5List")
        found = await self.rail.statuses_by_md5(md5s, integrator_id=owner_of(call))
        return _statuses("md5", md5s, found)

    async def check_by_hash_list(self, call: Call) -> Answer:
        """Tell the status of up to fifty payments by full hash, in the order asked."""
        hashes = _listed(call, "hashList")
        found = await self.db.read(lambda tx: payments.by_hash(tx, hashes))
        return _statuses("hash", hashes, found)

    async def _bearer(self, call: Call) -> str | None:
        """Tell whose token came along where none is needed; a bad one turns nobody away."""
        if self.gate is None or call.token is None:
            return None
        try:
            return (await self.gate.enter(call.token, "integrator")).owner
        except Unauthorized:
            return None

    async def check_bakong_account(self, call: Call) -> Answer:
        """Tell whether an account exists."""
        account_id = payments.account_id_asked(text(call.values, "accountId"))
        if not await self.db.read(lambda tx: payments.find_accounts(tx, [account_id])):
            raise AccountNotFound
        return Answer(body=success(None, "Account ID exists"))


def _status(payment: Payment | None) -> Answer:
    if payment is None:
        raise PaymentNotFound
    if payment.state == "failed":
        return Answer(body=failure(3))
    return Answer(body=success(document.transaction(payment), document.FOUND))


def _statuses(name: str, asked: Sequence[str], found: Sequence[Payment | None]) -> Answer:
    items = [_item(name, wanted, payment) for wanted, payment in zip(asked, found, strict=True)]
    return Answer(body=success(items, "Getting transaction data successfully."))


def _item(name: str, wanted: str, payment: Payment | None) -> dict[str, object]:
    if payment is None:
        status, says = "NOT_FOUND", "Transaction could not be found. Please check and try again."
    elif name == "md5" and payment.qr_kind == "static":
        status, says = "STATIC_QR", document.STATIC
    elif payment.state == "failed":
        status, says = "FAILED", document.FAILED
    else:
        status, says = "SUCCESS", "Transaction success"
    data = document.transaction(payment) if payment and status == "SUCCESS" else None
    return {name: wanted, "status": status, "message": says, "data": data}


def _listed(call: Call, member: str) -> list[str]:
    """Take the list from a bare array or from the object's member."""
    listed = call.values.get(member, call.decoded)
    field = Field(name=member, kind="texts", length_max=LIST_LENGTH_MAX)
    return cast("list[str]", read_fields({member: listed}, (field,))[member])


def _wait_s(values: Values) -> int:
    wanted = text_or_none(values, "wait_s")
    if wanted is None:
        return 0
    if wanted not in WAITS_S:
        raise _broken("/wait_s", f"wait_s must be a whole number from 1 to {WAIT_S_MAX}.")
    return WAITS_S[wanted]


def _source_info(values: Values, *, loopback: bool) -> dict[str, str]:
    """Take what the app says of itself; `loopback` allows a way back to this very machine."""
    info = cast("dict[str, str] | None", values["sourceInfo"])
    if info is None:
        return {}
    if payments.scheme_of(info["appIconUrl"]) != "https":
        raise _broken("/sourceInfo/appIconUrl", "sourceInfo.appIconUrl must be an https URL.")
    callback = info["appDeepLinkCallback"]
    local = payments.scheme_of(callback) == "loopback"
    if not payments.leads_to_app(callback) or (local and not loopback):
        raise _broken(
            "/sourceInfo/appDeepLinkCallback",
            "sourceInfo.appDeepLinkCallback must be an https URL or one of your app's own scheme.",
        )
    return info


def _broken(pointer: str, message: str) -> BadFields:
    return BadFields(message, problems=(Problem(pointer=pointer, message=message),))
