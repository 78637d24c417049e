"""Cards and the links by which their holders act.

Source: Bongloy card management API, "Cards".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from bayon import cards
from bayon.batch import Request
from bayon.cards import (
    Card,
    CardAccountNotFound,
    CardStatus,
    CardType,
    CreateToken,
    Desk,
    IssueCard,
    ManagementToken,
    TokenType,
)
from bayon.cms import accounts, attributes, cardholders, samples, shapes
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
from bayon.cms.reply import changed, created, listed, looked_up, rendered
from bayon.cms.wire import MEDIA_TYPE, RelatedNotFound
from bayon.db import Tx, read_clock
from bayon.web import Answer, Call, Shown

PATH: Final = "/v1/cards"
FIELDS: Final = frozenset(
    {
        *("created_at", "updated_at", "last_four", "exp_month", "exp_year", "status", "type"),
        "account",
    }
)
THIN: Final = {"card": FIELDS, "account": accounts.FIELDS, "cardholder": cardholders.FIELDS}
INCLUDES: Final = ("account", "account.cardholder")
ONE: Final = Rules(includes=INCLUDES, fields=THIN)
MANY: Final = Rules(
    filters={"cardholder": attributes.filter_id}, includes=INCLUDES, fields=THIN, paged=True
)
TYPES: Final = ("physical", "virtual")
TOKEN_TYPES: Final = ("card_activation", "pin_reset")


@dataclass(frozen=True, kw_only=True)
class Cards:
    """The operations on cards; `virtual` cards are made only where that is wanted."""

    desk: Desk
    virtual: bool

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        return [*self._asking(), *self._changing(), self._linking()]

    def _asking(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="list_cards",
                method="GET",
                path=PATH,
                summary="List all cards",
                doc="Lists cards, the newest first.",
                serve=self.list,
                access=ISSUER,
                rules=MANY,
                parameters=parameters(MANY),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="A page of cards",
                        body=samples.CARDS,
                        schema=shapes.many("Card"),
                    ),
                ),
            ),
            CardOperation(
                name="retrieve_card",
                method="GET",
                path=f"{PATH}/{{id}}",
                summary="Retrieve a card",
                doc="Shows a card.",
                serve=self.retrieve,
                access=ISSUER,
                rules=ONE,
                parameters=parameters(ONE),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="The card",
                        body=samples.CARD,
                        schema=shapes.one("Card"),
                    ),
                ),
            ),
        ]

    def _changing(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="create_card",
                path=PATH,
                summary="Create a card",
                doc="Makes a card for an account; its holder activates it.",
                serve=self.create,
                access=ISSUER,
                keyed=True,
                takes="card",
                plural="cards",
                media_type=MEDIA_TYPE,
                sample=samples.CREATE_CARD,
                body_schema=shapes.taken(
                    "card",
                    {"type": {"type": "string", "enum": list(TYPES)}, "currency": {"const": "USD"}},
                    related="account",
                ),
                answers=(
                    Shown(
                        status=201,
                        title="The card",
                        body=samples.CREATED_CARD,
                        schema=shapes.one("Card"),
                    ),
                ),
            ),
            CardOperation(
                name="update_card",
                method="PATCH",
                path=f"{PATH}/{{id}}",
                summary="Update a card",
                doc="Gives a card another state; canceled, lost and stolen are final.",
                serve=self.update,
                access=ISSUER,
                takes="card",
                plural="cards",
                media_type=MEDIA_TYPE,
                sample=samples.UPDATE_CARD,
                body_schema=shapes.taken(
                    "card",
                    {"status": {"type": "string", "enum": list(shapes.CARD_STATUSES)}},
                    with_id=True,
                ),
                answers=(
                    Shown(
                        status=200,
                        title="The card",
                        body=samples.UPDATED_CARD,
                        schema=shapes.one("Card"),
                    ),
                ),
            ),
        ]

    def _linking(self) -> CardOperation:
        return CardOperation(
            name="create_management_token",
            path=f"{PATH}/{{card_id}}/management_tokens",
            summary="Create a management token",
            doc="Makes a link by which the card's holder activates it or chooses a new PIN; it "
            "lives for ten minutes.",
            serve=self.create_token,
            access=ISSUER,
            keyed=True,
            takes="card_management_token",
            plural="management_tokens",
            media_type=MEDIA_TYPE,
            sample=samples.CREATE_MANAGEMENT_TOKEN,
            body_schema=shapes.taken(
                "card_management_token",
                {"type": {"type": "string", "enum": list(TOKEN_TYPES)}},
                required=("type",),
            ),
            answers=(
                Shown(
                    status=201,
                    title="The link",
                    body=samples.MANAGEMENT_TOKEN,
                    schema=shapes.one("ManagementToken"),
                ),
            ),
        )

    async def list(self, call: Call) -> Answer:
        """List cards."""
        asked, issuer_id = asked_of(call), issuer_of(call)
        return await listed(
            call,
            self.desk.db,
            lambda tx: cards.list_cards(
                tx,
                issuer_id=issuer_id,
                window=asked.window,
                cardholder_id=asked.filters.get("cardholder"),
            ),
        )

    async def retrieve(self, call: Call) -> Answer:
        """Show a card."""
        card_id, issuer_id = id_of(call), issuer_of(call)
        return await looked_up(
            call,
            self.desk.db,
            lambda tx: cards.find_card(tx, issuer_id=issuer_id, card_id=card_id),
        )

    async def create(self, call: Call) -> Answer:
        """Make a card."""
        reading = reading_of(call)
        kind = reading.optional("type", one_of(*TYPES)) or "physical"
        if kind == "virtual" and not self.virtual:
            reading.fail("/data/attributes/type", "must be physical: the only type at this time")
        reading.optional("currency", one_of("USD"))
        account_id = reading.related("account")
        reading.finish()
        assert account_id is not None
        command = IssueCard(
            issuer_id=issuer_of(call), account_id=account_id, type=cast("CardType", kind)
        )
        request = Request[IssueCard, Card](command=command, render=rendered, keys=call.keys)
        try:
            reply = await self.desk.issue_card(request)
        except CardAccountNotFound:
            raise RelatedNotFound("account") from None
        return created(call, reply.answer, path=PATH)

    async def update(self, call: Call) -> Answer:
        """Give a card another state."""
        reading = reading_of(call, resource_id=call.path["id"])
        status = None
        if reading.has("status"):
            status = reading.required("status", one_of(*shapes.CARD_STATUSES))
        account_id = reading.related_if_given("account")
        reading.finish()
        card_id, issuer_id = id_of(call), issuer_of(call)

        async def work(tx: Tx) -> Card:
            now = (await read_clock(tx)).now()
            return await cards.update_card(
                tx,
                issuer_id=issuer_id,
                card_id=card_id,
                account_id=account_id,
                status=cast("CardStatus | None", status),
                now=now,
            )

        return changed(await self.desk.db.transaction(work))

    async def create_token(self, call: Call) -> Answer:
        """Make a link for a card's holder."""
        reading = reading_of(call)
        kind = reading.required("type", one_of(*TOKEN_TYPES))
        reading.finish()
        command = CreateToken(
            issuer_id=issuer_of(call),
            card_id=id_of(call, "card_id"),
            type=cast("TokenType", kind),
        )

        def render(token: ManagementToken) -> bytes:
            return document(cards.document.management_token(token, url=call.url))

        request = Request[CreateToken, ManagementToken](
            command=command, render=render, keys=call.keys
        )
        return created(call, (await self.desk.create_token(request)).answer)
