"""Accounts of cardholders: opened, changed, what is on them, and the top-ups that fill them.

Source: Bongloy card management API, "Account Balance", "Accounts"; top-ups: design 8 and 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bayon import cards
from bayon.batch import Request
from bayon.cards import Account, Desk, Move, OpenCardAccount, Topup, Transaction
from bayon.cards import CardholderNotFound as NoCardholder
from bayon.cms import attributes, cardholders, samples, shapes
from bayon.cms.attributes import one_of
from bayon.cms.jsonapi import document
from bayon.cms.operation import (
    ISSUER,
    CardOperation,
    asked_of,
    id_of,
    issuer_of,
    parameters,
    reading_of,
)
from bayon.cms.query import Rules
from bayon.cms.reply import changed, created, found, listed, looked_up, rendered, shown
from bayon.cms.wire import MEDIA_TYPE, RelatedNotFound
from bayon.db import Tx, read_clock
from bayon.web import Answer, Call, Shown

PATH: Final = "/v1/accounts"
TRANSACTIONS_PATH: Final = "/v1/transactions"
FIELDS: Final = frozenset(
    {*("created_at", "updated_at", "currency", "number", "status", "metadata"), "cardholder"}
)
THIN: Final = {"account": FIELDS, "cardholder": cardholders.FIELDS}
ONE: Final = Rules(includes=("cardholder",), fields=THIN)
MANY: Final = Rules(
    filters={"cardholder": attributes.filter_id},
    includes=("cardholder",),
    fields=THIN,
    paged=True,
)
OPENED: Final[shapes.Schema] = {
    "number": {"type": "string", "pattern": "^[0-9]{6}$"},
    "currency": {"const": "USD"},
    "metadata": shapes.PAIRS_TAKEN,
}
FILLED: Final[shapes.Schema] = {
    "amount": {"type": "integer", "minimum": 1, "description": "minor units"},
    "funding_source": {"type": "string", "minLength": 1, "maxLength": 255},
    "transaction_time": {"type": "string", "description": "ISO 8601; not in the future"},
}
TOPUP: Final = {
    "data": {
        "type": "topup",
        "attributes": {"amount": 1_000, "funding_source": "Agent Network"},
    }
}


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The operations on accounts."""

    desk: Desk

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        return [*self._asking(), *self._changing(), self._filling()]

    def _asking(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="retrieve_balance",
                method="GET",
                path=f"{PATH}/{{account_id}}/balance",
                summary="Retrieve an account balance",
                doc="Shows what is on an account, and what of it may be spent.",
                serve=self.balance,
                access=ISSUER,
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="The balance",
                        body=samples.BALANCE,
                        schema=shapes.one("Balance"),
                    ),
                ),
            ),
            CardOperation(
                name="list_accounts",
                method="GET",
                path=PATH,
                summary="List all accounts",
                doc="Lists accounts, the newest first.",
                serve=self.list,
                access=ISSUER,
                rules=MANY,
                parameters=parameters(MANY),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="A page of accounts",
                        body=samples.ACCOUNTS,
                        schema=shapes.many("Account"),
                    ),
                ),
            ),
            CardOperation(
                name="retrieve_account",
                method="GET",
                path=f"{PATH}/{{id}}",
                summary="Retrieve an account",
                doc="Shows an account.",
                serve=self.retrieve,
                access=ISSUER,
                rules=ONE,
                parameters=parameters(ONE),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="The account",
                        body=samples.ACCOUNT,
                        schema=shapes.one("Account"),
                    ),
                ),
            ),
        ]

    def _changing(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="create_account",
                path=PATH,
                summary="Create an account",
                doc="Opens an account of a cardholder, under a number of your own.",
                serve=self.create,
                access=ISSUER,
                keyed=True,
                takes="account",
                plural="accounts",
                media_type=MEDIA_TYPE,
                sample=samples.CREATE_ACCOUNT,
                body_schema=shapes.taken(
                    "account", OPENED, required=("number", "currency"), related="cardholder"
                ),
                answers=(
                    Shown(
                        status=201,
                        title="The account",
                        body=samples.CREATED_ACCOUNT,
                        schema=shapes.one("Account"),
                    ),
                ),
            ),
            CardOperation(
                name="update_account",
                method="PATCH",
                path=f"{PATH}/{{id}}",
                summary="Update an account",
                doc="Merges metadata; number and currency cannot be changed.",
                serve=self.update,
                access=ISSUER,
                takes="account",
                plural="accounts",
                media_type=MEDIA_TYPE,
                sample=samples.UPDATE_ACCOUNT,
                body_schema=shapes.taken("account", OPENED, with_id=True),
                answers=(
                    Shown(
                        status=200,
                        title="The account",
                        body=samples.UPDATED_ACCOUNT,
                        schema=shapes.one("Account"),
                    ),
                ),
            ),
        ]

    def _filling(self) -> CardOperation:
        return CardOperation(
            name="create_topup",
            path=f"{PATH}/{{account_id}}/topups",
            summary="Top up an account",
            doc="Puts money onto an account, settled at once; answers the transaction.",
            serve=self.top_up,
            access=ISSUER,
            keyed=True,
            takes="topup",
            plural="topups",
            media_type=MEDIA_TYPE,
            sample=TOPUP,
            body_schema=shapes.taken("topup", FILLED, required=("amount", "funding_source")),
            answers=(
                Shown(
                    status=201,
                    title="The transaction",
                    body=samples.TRANSACTION,
                    schema=shapes.one("Transaction"),
                ),
            ),
        )

    async def balance(self, call: Call) -> Answer:
        """Show a balance."""
        account = await self.desk.find_account(id_of(call, "account_id"), issuer_id=issuer_of(call))
        balance = await self.desk.balance(account)
        return found(call, document(cards.document.balance(account, balance)))

    async def list(self, call: Call) -> Answer:
        """List accounts."""
        asked, issuer_id = asked_of(call), issuer_of(call)
        return await listed(
            call,
            self.desk.db,
            lambda tx: cards.list_accounts(
                tx,
                issuer_id=issuer_id,
                window=asked.window,
                cardholder_id=asked.filters.get("cardholder"),
            ),
        )

    async def retrieve(self, call: Call) -> Answer:
        """Show an account; all who ask in this moment share a query."""
        account_id, issuer_id = id_of(call), issuer_of(call)
        if not asked_of(call).include:
            account = await self.desk.find_account(account_id, issuer_id=issuer_id)
            return shown(call, account)
        return await looked_up(
            call,
            self.desk.db,
            lambda tx: cards.find_account(tx, issuer_id=issuer_id, account_id=account_id),
        )

    async def create(self, call: Call) -> Answer:
        """Open an account."""
        reading = reading_of(call)
        number = reading.required("number", attributes.account_number)
        reading.required("currency", one_of("USD"))
        metadata = reading.optional("metadata", attributes.new_pairs)
        cardholder_id = reading.related("cardholder")
        reading.finish()
        assert number is not None
        assert cardholder_id is not None
        command = OpenCardAccount(
            issuer_id=issuer_of(call),
            cardholder_id=cardholder_id,
            number=number,
            metadata=metadata or {},
        )
        request = Request[OpenCardAccount, Account](
            command=command, render=rendered, keys=call.keys
        )
        try:
            reply = await self.desk.open_account(request)
        except NoCardholder:
            raise RelatedNotFound("cardholder") from None
        return created(call, reply.answer, path=PATH)

    async def update(self, call: Call) -> Answer:
        """Change an account."""
        reading = reading_of(call, resource_id=call.path["id"])
        number = reading.optional("number", attributes.account_number)
        reading.optional("currency", one_of("USD"))
        metadata = reading.optional("metadata", attributes.pairs)
        cardholder_id = reading.related_if_given("cardholder")
        reading.finish()
        account_id, issuer_id = id_of(call), issuer_of(call)

        async def work(tx: Tx) -> Account:
            now = (await read_clock(tx)).now()
            return await cards.update_account(
                tx,
                issuer_id=issuer_id,
                account_id=account_id,
                number=number,
                cardholder_id=cardholder_id,
                metadata=metadata,
                now=now,
            )

        return changed(await self.desk.db.transaction(work))

    async def top_up(self, call: Call) -> Answer:
        """Put money onto an account."""
        reading = reading_of(call)
        amount_minor = reading.required("amount", attributes.amount)
        funding_source = reading.required("funding_source", attributes.text)
        occurred_at = reading.optional("transaction_time", attributes.past)
        if occurred_at and occurred_at > (await self.desk.db.clock()).now():
            reading.fail("/data/attributes/transaction_time", "must not be in the future")
        reading.finish()
        assert amount_minor is not None
        assert funding_source is not None
        command = Topup(
            issuer_id=issuer_of(call),
            account_id=id_of(call, "account_id"),
            amount_minor=amount_minor,
            funding_source=funding_source,
            occurred_at=occurred_at,
        )
        request = Request[Move, Transaction](command=command, render=rendered, keys=call.keys)
        reply = await self.desk.move(request)
        return created(call, reply.answer, path=TRANSACTIONS_PATH)
