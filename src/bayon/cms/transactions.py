"""Transactions and events: what has happened, to be listed and looked up.

Source: Bongloy card management API, "Events", "Transactions".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from bayon import cards, events
from bayon.cards import Desk, Filters
from bayon.cms import accounts, attributes, cardholders, issued, samples, shapes
from bayon.cms.jsonapi import Resource, document, thinned
from bayon.cms.operation import ISSUER, CardOperation, asked_of, id_of, issuer_of, parameters
from bayon.cms.query import Asked, Rules
from bayon.cms.reply import found, links_of, listed, looked_up
from bayon.cms.wire import MEDIA_TYPE, BadQuery
from bayon.errors import Problem
from bayon.events import Event
from bayon.keyset import Span
from bayon.web import Answer, Call, Shown

PATH: Final = "/v1/transactions"
EVENTS_PATH: Final = "/v1/events"
FIELDS: Final = frozenset(
    {
        *("created_at", "updated_at", "currency", "transaction_number", "transaction_currency"),
        *("transaction_details", "type", "fees", "status", "decline_reason"),
        *("balance_adjustment_type", "amount", "total_fee", "transaction_amount"),
        *("transaction_time", "settlement_time", "account", "card"),
    }
)
THIN: Final = {
    "transaction": FIELDS,
    "account": accounts.FIELDS,
    "card": issued.FIELDS,
    "cardholder": cardholders.FIELDS,
}
INCLUDES: Final = ("account", "account.cardholder", "card", "card.account")
TIMES: Final = {
    "from_date": attributes.filter_from,
    "to_date": attributes.filter_to,
}
ONE: Final = Rules(includes=INCLUDES, fields=THIN)
MANY: Final = Rules(
    filters={
        "account": attributes.filter_id,
        "card": attributes.filter_id,
        "status": attributes.one_of(*shapes.STATUSES),
        "balance_adjustment_type": attributes.one_of("credit", "debit"),
        **TIMES,
    },
    includes=INCLUDES,
    fields=THIN,
    paged=True,
)
EVENT_FIELDS: Final = frozenset({"created_at", "updated_at", "type", "details"})
ONE_EVENT: Final = Rules(fields={"event": EVENT_FIELDS})
MANY_EVENTS: Final = Rules(
    filters={"type": attributes.one_of(*shapes.EVENT_TYPES), **TIMES},
    fields={"event": EVENT_FIELDS},
    paged=True,
)


@dataclass(frozen=True, kw_only=True)
class Transactions:
    """The operations on transactions."""

    desk: Desk

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        return [
            CardOperation(
                name="list_transactions",
                method="GET",
                path=PATH,
                summary="List all transactions",
                doc="Lists pending and settled transactions, the newest first; others where "
                "`filter[status]` asks for them. Times are the transactions', both included.",
                serve=self.list,
                access=ISSUER,
                rules=MANY,
                parameters=parameters(MANY),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="A page of transactions",
                        body=samples.TRANSACTIONS,
                        schema=shapes.many("Transaction"),
                    ),
                ),
            ),
            CardOperation(
                name="retrieve_transaction",
                method="GET",
                path=f"{PATH}/{{id}}",
                summary="Retrieve a transaction",
                doc="Shows a transaction, in whatever status.",
                serve=self.retrieve,
                access=ISSUER,
                rules=ONE,
                parameters=parameters(ONE),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="The transaction",
                        body=samples.TRANSACTION,
                        schema=shapes.one("Transaction"),
                    ),
                ),
            ),
        ]

    async def list(self, call: Call) -> Answer:
        """List transactions."""
        asked, issuer_id = asked_of(call), issuer_of(call)
        filters = Filters(
            account_id=asked.filters.get("account"),
            card_id=asked.filters.get("card"),
            status=asked.filters.get("status"),
            adjustment=asked.filters.get("balance_adjustment_type"),
            span=_span(asked),
        )
        return await listed(
            call,
            self.desk.db,
            lambda tx: cards.list_transactions(
                tx, issuer_id=issuer_id, window=asked.window, filters=filters
            ),
        )

    async def retrieve(self, call: Call) -> Answer:
        """Show a transaction."""
        transaction_id, issuer_id = id_of(call), issuer_of(call)
        return await looked_up(
            call,
            self.desk.db,
            lambda tx: cards.find_transaction(
                tx, issuer_id=issuer_id, transaction_id=transaction_id
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Events:
    """The operations on events, which are served as they were written."""

    desk: Desk

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        return [
            CardOperation(
                name="list_events",
                method="GET",
                path=EVENTS_PATH,
                summary="List all events",
                doc="Lists events, the newest first, in the order of their commits.",
                serve=self.list,
                access=ISSUER,
                rules=MANY_EVENTS,
                parameters=parameters(MANY_EVENTS),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="A page of events",
                        body=samples.EVENTS,
                        schema=shapes.many("Event"),
                    ),
                ),
            ),
            CardOperation(
                name="retrieve_event",
                method="GET",
                path=f"{EVENTS_PATH}/{{id}}",
                summary="Retrieve an event",
                doc="Shows an event, with the resource as it was then.",
                serve=self.retrieve,
                access=ISSUER,
                rules=ONE_EVENT,
                parameters=parameters(ONE_EVENT),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="The event",
                        body=samples.EVENT,
                        schema=shapes.one("Event"),
                    ),
                ),
            ),
        ]

    async def list(self, call: Call) -> Answer:
        """List events."""
        asked, issuer_id = asked_of(call), issuer_of(call)
        page = await self.desk.db.read(
            lambda tx: events.list_events(
                tx,
                owner_id=issuer_id,
                window=asked.window,
                of_type=asked.filters.get("type"),
                span=_span(asked) or Span(),
            )
        )
        ids = (str(page.items[0].id), str(page.items[-1].id)) if page.items else None
        shown = [_shown(event, asked) for event in page.items]
        return found(call, document(shown, links=links_of(call, page, ids)))

    async def retrieve(self, call: Call) -> Answer:
        """Show an event."""
        event_id, issuer_id = id_of(call), issuer_of(call)
        event = await self.desk.db.read(
            lambda tx: events.find_event(tx, owner_id=issuer_id, event_id=event_id)
        )
        return found(call, document(_shown(event, asked_of(call))))


def _shown(event: Event, asked: Asked) -> object:
    """Show an event byte for byte as it was written, unless fewer fields are asked for."""
    if not asked.fields:
        return msgspec.Raw(event.body)
    (left,) = thinned([cast("Resource", msgspec.json.decode(event.body))], asked)
    return left


def _span(asked: Asked) -> Span | None:
    """Read from when to when. Errors: `BadQuery` when it ends before it begins."""
    given: dict[str, Any] = {
        end: asked.filters[name]
        for end, name in (("since", "from_date"), ("until", "to_date"))
        if name in asked.filters
    }
    span = Span(**given)
    if len(given) > 1 and span.since > span.until:
        problem = Problem(pointer="filter[to_date]", message="must not be before filter[from_date]")
        raise BadQuery(problems=(problem,))
    return span if given else None
