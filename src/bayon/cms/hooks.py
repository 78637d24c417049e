"""Webhook endpoints, and what became of events on their way to them. Extensions of ours: design 8.

An endpoint's signing secret is shown when it is made, and never again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

import msgspec

from bayon import cards, events
from bayon.batch import Request, answer_once
from bayon.cards import Desk
from bayon.cms import attributes, shapes
from bayon.cms.jsonapi import Resource, document, thinned
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
from bayon.cms.reply import created, found, links_of
from bayon.cms.transactions import EVENTS_PATH
from bayon.cms.wire import MEDIA_TYPE
from bayon.db import Tx, read_clock
from bayon.events import Attempt, Endpoint, NewSecret
from bayon.log import Secret
from bayon.seal import Sealer
from bayon.web import Answer, Call, Shown

PATH: Final = "/v1/webhook_endpoints"
FIELDS: Final = frozenset(
    {
        *("created_at", "updated_at", "url", "event_types", "enabled", "disabled_reason"),
        "signing_secret",
    }
)
ATTEMPT_FIELDS: Final = frozenset(
    {
        *("attempted_at", "status_code", "duration_ms", "error", "response_excerpt"),
        *("event", "webhook_endpoint"),
    }
)
ONE: Final = Rules(fields={"webhook_endpoint": FIELDS})
MANY: Final = Rules(fields={"webhook_endpoint": FIELDS}, paged=True)
ATTEMPTS: Final = Rules(fields={"delivery_attempt": ATTEMPT_FIELDS}, paged=True)

_ID: Final = "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d13"
_SHOWN: Final[dict[str, object]] = {
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "url": "https://shop.example/webhooks",
    "event_types": ["transaction.created"],
    "enabled": True,
    "disabled_reason": None,
}
SAMPLE: Final = {"data": {"id": _ID, "type": "webhook_endpoint", "attributes": _SHOWN}}
MADE: Final = {
    "data": {
        "id": _ID,
        "type": "webhook_endpoint",
        "attributes": {**_SHOWN, "signing_secret": "Zp3mK9vQ1xT7cR5nB2wL8yH4gF6dJ0sA"},
    }
}
LISTED: Final = {"data": [SAMPLE["data"]], "links": {"prev": None, "next": None}}
CREATE: Final[dict[str, object]] = {
    "data": {
        "type": "webhook_endpoint",
        "attributes": {"url": "https://shop.example/webhooks", "event_types": []},
    }
}
UPDATE: Final = {"data": {"type": "webhook_endpoint", "id": _ID, "attributes": {"enabled": False}}}
ATTEMPT: Final = {
    "data": [
        {
            "id": "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d14",
            "type": "delivery_attempt",
            "attributes": {
                "attempted_at": "2026-01-01T00:00:00Z",
                "status_code": 200,
                "duration_ms": 12,
                "error": None,
                "response_excerpt": "ok",
            },
        }
    ],
    "links": {"prev": None, "next": None},
}
RESENT: Final = {"meta": {"deliveries": 1}}
TAKEN: Final[shapes.Schema] = {
    "url": {"type": "string", "format": "uri", "maxLength": attributes.URL_LENGTH_MAX},
    "event_types": {
        "type": "array",
        "items": {"type": "string", "enum": list(shapes.EVENT_TYPES)},
        "description": "none is all but declines",
    },
    "enabled": {"type": "boolean"},
}
META: Final[shapes.Schema] = {
    "type": "object",
    "required": ["meta"],
    "properties": {
        "meta": {
            "type": "object",
            "required": ["deliveries"],
            "properties": {"deliveries": {"type": "integer", "minimum": 0}},
        }
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateEndpoint:
    """What an endpoint is made of."""

    url: str
    event_types: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The operations on webhook endpoints and deliveries."""

    desk: Desk
    sealer: Sealer

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        return [*self._endpoints(), *self._one_endpoint(), *self._deliveries()]

    def _endpoints(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="create_webhook_endpoint",
                path=PATH,
                summary="Create a webhook endpoint",
                doc="Events are then sent there; the signing secret is shown this once.",
                serve=self.create,
                access=ISSUER,
                keyed=True,
                takes="webhook_endpoint",
                plural="webhook_endpoints",
                media_type=MEDIA_TYPE,
                sample=CREATE,
                body_schema=shapes.taken("webhook_endpoint", TAKEN, required=("url",)),
                answers=(_shown(201, "The endpoint, and its secret", MADE),),
            ),
            CardOperation(
                name="list_webhook_endpoints",
                method="GET",
                path=PATH,
                summary="List all webhook endpoints",
                doc="Lists webhook endpoints, the newest first.",
                serve=self.list,
                access=ISSUER,
                rules=MANY,
                parameters=parameters(MANY),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="A page of endpoints",
                        body=LISTED,
                        schema=shapes.many("WebhookEndpoint"),
                    ),
                ),
            ),
        ]

    def _one_endpoint(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="retrieve_webhook_endpoint",
                method="GET",
                path=f"{PATH}/{{id}}",
                summary="Retrieve a webhook endpoint",
                doc="Shows a webhook endpoint, without its secret.",
                serve=self.retrieve,
                access=ISSUER,
                rules=ONE,
                parameters=parameters(ONE),
                media_type=MEDIA_TYPE,
                answers=(_shown(200, "The endpoint", SAMPLE),),
            ),
            CardOperation(
                name="update_webhook_endpoint",
                method="PATCH",
                path=f"{PATH}/{{id}}",
                summary="Update a webhook endpoint",
                doc="Changes what is given. A disabled endpoint is told nothing meanwhile.",
                serve=self.update,
                access=ISSUER,
                takes="webhook_endpoint",
                plural="webhook_endpoints",
                media_type=MEDIA_TYPE,
                sample=UPDATE,
                body_schema=shapes.taken("webhook_endpoint", TAKEN, with_id=True),
                answers=(_shown(200, "The endpoint", SAMPLE),),
            ),
            CardOperation(
                name="delete_webhook_endpoint",
                method="DELETE",
                path=f"{PATH}/{{id}}",
                summary="Delete a webhook endpoint",
                doc="Ends it, and what was on its way to it.",
                serve=self.delete,
                access=ISSUER,
                media_type=MEDIA_TYPE,
                answers=(Shown(status=204, title="Deleted"),),
            ),
            CardOperation(
                name="rotate_webhook_secret",
                path=f"{PATH}/{{id}}/rotate",
                summary="Give a webhook endpoint a new secret",
                doc="Shows the new secret this once; the one before counts for a day more.",
                serve=self.rotate,
                access=ISSUER,
                keyed=True,
                media_type=MEDIA_TYPE,
                sample={},
                body_schema=shapes.EMPTY,
                answers=(_shown(200, "The endpoint, and its secret", MADE),),
            ),
        ]

    def _deliveries(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="resend_event",
                path=f"{EVENTS_PATH}/{{id}}/resend",
                summary="Send an event again",
                doc="Sends an event to every enabled endpoint that wants it, arrived or not.",
                serve=self.resend,
                access=ISSUER,
                keyed=True,
                media_type=MEDIA_TYPE,
                sample={},
                body_schema=shapes.EMPTY,
                answers=(Shown(status=202, title="On its way", body=RESENT, schema=META),),
            ),
            CardOperation(
                name="list_delivery_attempts",
                method="GET",
                path=f"{EVENTS_PATH}/{{id}}/attempts",
                summary="List the attempts to deliver an event",
                doc="Lists attempts, the last begun first, each with how the endpoint answered.",
                serve=self.attempts,
                access=ISSUER,
                rules=ATTEMPTS,
                parameters=parameters(ATTEMPTS),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="A page of attempts",
                        body=ATTEMPT,
                        schema=shapes.many("DeliveryAttempt"),
                    ),
                ),
            ),
        ]

    async def create(self, call: Call) -> Answer:
        """Create an endpoint."""
        reading = reading_of(call)
        url = reading.required("url", attributes.url(self.desk.fetcher.judge))
        event_types = reading.optional("event_types", _event_types)
        enabled = reading.optional("enabled", attributes.boolean)
        reading.finish()
        assert url is not None
        command = CreateEndpoint(
            url=url, event_types=event_types or (), enabled=True if enabled is None else enabled
        )
        issuer_id = issuer_of(call)

        async def verb(
            tx: Tx, commands: Sequence[CreateEndpoint], /, *, now: datetime
        ) -> list[NewSecret]:
            return [
                await events.create_endpoint(
                    tx,
                    owner_id=issuer_id,
                    url=each.url,
                    event_types=each.event_types,
                    enabled=each.enabled,
                    sealer=self.sealer,
                    fetcher=self.desk.fetcher,
                    now=now,
                )
                for each in commands
            ]

        request = Request[CreateEndpoint, NewSecret](
            command=command, render=_with_secret, keys=call.keys
        )
        reply = await answer_once(self.desk.db, request, verb=verb, sealer=self.sealer)
        return created(call, reply.answer, path=PATH)

    async def list(self, call: Call) -> Answer:
        """List endpoints."""
        asked, issuer_id = asked_of(call), issuer_of(call)
        page = await self.desk.db.read(
            lambda tx: events.list_endpoints(tx, owner_id=issuer_id, window=asked.window)
        )
        ids = (str(page.items[0].id), str(page.items[-1].id)) if page.items else None
        left = thinned([_endpoint(each) for each in page.items], asked)
        return found(call, document(left, links=links_of(call, page, ids)))

    async def retrieve(self, call: Call) -> Answer:
        """Show an endpoint."""
        endpoint_id, issuer_id = id_of(call), issuer_of(call)
        endpoint = await self.desk.db.read(
            lambda tx: events.find_endpoint(tx, owner_id=issuer_id, endpoint_id=endpoint_id)
        )
        (left,) = thinned([_endpoint(endpoint)], asked_of(call))
        return found(call, document(left))

    async def update(self, call: Call) -> Answer:
        """Change an endpoint."""
        reading = reading_of(call, resource_id=call.path["id"])
        url = reading.optional("url", attributes.url(self.desk.fetcher.judge))
        event_types = reading.optional("event_types", _event_types)
        enabled = reading.optional("enabled", attributes.boolean)
        reading.finish()
        endpoint_id, issuer_id = id_of(call), issuer_of(call)

        async def work(tx: Tx) -> Endpoint:
            return await events.update_endpoint(
                tx,
                owner_id=issuer_id,
                endpoint_id=endpoint_id,
                url=url,
                event_types=event_types,
                enabled=enabled,
                fetcher=self.desk.fetcher,
                now=(await read_clock(tx)).now(),
            )

        endpoint = await self.desk.db.transaction(work)
        return Answer(body=document(_endpoint(endpoint)), media_type=MEDIA_TYPE)

    async def delete(self, call: Call) -> Answer:
        """Delete an endpoint."""
        endpoint_id, issuer_id = id_of(call), issuer_of(call)
        await self.desk.db.transaction(
            lambda tx: events.delete_endpoint(tx, owner_id=issuer_id, endpoint_id=endpoint_id)
        )
        return Answer(body=b"", status=204, media_type=MEDIA_TYPE)

    async def rotate(self, call: Call) -> Answer:
        """Give an endpoint a new secret."""
        endpoint_id, issuer_id = id_of(call), issuer_of(call)

        async def verb(tx: Tx, commands: Sequence[None], /, *, now: datetime) -> list[NewSecret]:
            return [
                await events.rotate_secret(
                    tx,
                    owner_id=issuer_id,
                    endpoint_id=endpoint_id,
                    sealer=self.sealer,
                    now=now,
                )
                for _ in commands
            ]

        request = Request[None, NewSecret](command=None, render=_with_secret, keys=call.keys)
        reply = await answer_once(self.desk.db, request, verb=verb, sealer=self.sealer)
        return Answer(body=reply.answer, media_type=MEDIA_TYPE)

    async def resend(self, call: Call) -> Answer:
        """Send an event again."""
        event_id, issuer_id = id_of(call), issuer_of(call)

        async def verb(tx: Tx, commands: Sequence[None], /, *, now: datetime) -> list[int]:
            return [
                await events.resend(tx, owner_id=issuer_id, event_id=event_id, now=now)
                for _ in commands
            ]

        request = Request[None, int](command=None, render=_resent, keys=call.keys)
        reply = await answer_once(self.desk.db, request, verb=verb, sealer=self.sealer)
        return Answer(body=reply.answer, status=202, media_type=MEDIA_TYPE)

    async def attempts(self, call: Call) -> Answer:
        """List the attempts to deliver an event."""
        asked, event_id, issuer_id = asked_of(call), id_of(call), issuer_of(call)
        page = await self.desk.db.transaction(
            lambda tx: events.list_attempts(
                tx, owner_id=issuer_id, event_id=event_id, window=asked.window
            ),
            isolation="repeatable_read",
        )
        ids = (str(page.items[0].id), str(page.items[-1].id)) if page.items else None
        left = thinned([_attempt(each) for each in page.items], asked)
        return found(call, document(left, links=links_of(call, page, ids)))


def _shown(status: int, title: str, body: object) -> Shown:
    return Shown(status=status, title=title, body=body, schema=shapes.one("WebhookEndpoint"))


def _event_types(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("must be an array")  # noqa: TRY004 - a title, not a fault of ours
    given = cast("list[object]", value)
    if not set(map(str, given)) <= set(shapes.EVENT_TYPES) or len(given) > len(shapes.EVENT_TYPES):
        raise ValueError(f"must hold some of: {', '.join(shapes.EVENT_TYPES)}")
    return tuple(dict.fromkeys(str(each) for each in given))


def _endpoint(endpoint: Endpoint, secret: Secret | None = None) -> Resource:
    shown: dict[str, object] = {
        "created_at": cards.document.instant(endpoint.created_at),
        "updated_at": cards.document.instant(endpoint.updated_at),
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
    }
    if secret is not None:
        shown["signing_secret"] = secret.reveal()
    return {"id": str(endpoint.id), "type": "webhook_endpoint", "attributes": shown}


def _with_secret(made: NewSecret) -> bytes:
    return document(_endpoint(made.endpoint, made.secret))


def _resent(deliveries: int) -> bytes:
    return msgspec.json.encode({"meta": {"deliveries": deliveries}})


def _attempt(attempt: Attempt) -> Resource:
    related: Mapping[str, object] = {
        name: {"data": {"id": str(related_id), "type": name}}
        for name, related_id in (
            ("event", attempt.event_id),
            ("webhook_endpoint", attempt.endpoint_id),
        )
    }
    return {
        "id": str(attempt.id),
        "type": "delivery_attempt",
        "attributes": {
            "attempted_at": cards.document.instant(attempt.attempted_at),
            "status_code": attempt.status_code,
            "duration_ms": attempt.duration_ms,
            "error": attempt.error,
            "response_excerpt": attempt.response_excerpt,
        },
        "relationships": related,
    }
