"""Cardholders: whom cards are made out to. Both changes answer 202: the profile is reviewed.

Source: Bongloy card management API, "Cardholders".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from bayon import cards
from bayon.batch import Request
from bayon.cards import Cardholder, CreateCardholder, Desk
from bayon.cms import attributes, samples, shapes
from bayon.cms.attributes import Reading, one_of
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
from bayon.cms.wire import MEDIA_TYPE
from bayon.db import Tx, read_clock
from bayon.web import Answer, Call, Shown

PATH: Final = "/v1/cardholders"
FIELDS: Final = frozenset(
    {
        *("created_at", "updated_at", "name", "phone_number", "email", "type", "status"),
        *("rejection_reason", "additional_details", "metadata", "individual"),
    }
)
INDIVIDUAL: Final = "individual"
DOCUMENT_TYPES: Final = ("id_card", "passport")
ONE: Final = Rules(fields={"cardholder": FIELDS})
MANY: Final = Rules(fields={"cardholder": FIELDS}, paged=True)

KYC: Final[shapes.Schema] = {
    "type": "object",
    "properties": {
        "date_of_birth": {"type": "string", "description": "YYYYMMDD or YYYY-MM-DD"},
        "address": shapes.TEXT,
        "remote_photo_url": {"type": "string", "format": "uri"},
        "remote_identity_document_url": {"type": "string", "format": "uri"},
        "identity_document_number": shapes.TEXT,
        "identity_document_type": {"type": "string", "enum": list(DOCUMENT_TYPES)},
    },
}
PROFILE: Final[shapes.Schema] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 255},
    "phone_number": {"type": "string", "description": "E.164, or as one writes it in Cambodia"},
    "email": shapes.TEXT_OR_NULL,
    "type": {"const": "individual"},
    "individual": KYC,
    "additional_details": shapes.PAIRS_TAKEN,
    "metadata": shapes.PAIRS_TAKEN,
}


@dataclass(frozen=True, kw_only=True)
class Cardholders:
    """The operations on cardholders."""

    desk: Desk

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        return [*self._asking(), *self._changing()]

    def _asking(self) -> Sequence[CardOperation]:
        return [
            CardOperation(
                name="list_cardholders",
                method="GET",
                path=PATH,
                summary="List all cardholders",
                doc="Lists cardholders, the newest first.",
                serve=self.list,
                access=ISSUER,
                rules=MANY,
                parameters=parameters(MANY),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="A page of cardholders",
                        body=samples.CARDHOLDERS,
                        schema=shapes.many("Cardholder"),
                    ),
                ),
            ),
            CardOperation(
                name="retrieve_cardholder",
                method="GET",
                path=f"{PATH}/{{id}}",
                summary="Retrieve a cardholder",
                doc="Shows a cardholder.",
                serve=self.retrieve,
                access=ISSUER,
                rules=ONE,
                parameters=parameters(ONE),
                media_type=MEDIA_TYPE,
                answers=(
                    Shown(
                        status=200,
                        title="The cardholder",
                        body=samples.CARDHOLDER,
                        schema=shapes.one("Cardholder"),
                    ),
                ),
            ),
        ]

    def _changing(self) -> Sequence[CardOperation]:
        accepted = Shown(
            status=202,
            title="Under review",
            body=samples.CREATED_CARDHOLDER,
            schema=shapes.one("Cardholder"),
        )
        return [
            CardOperation(
                name="create_cardholder",
                path=PATH,
                summary="Create a cardholder",
                doc="Creates a cardholder, whose profile is then reviewed.",
                serve=self.create,
                access=ISSUER,
                keyed=True,
                takes="cardholder",
                plural="cardholders",
                media_type=MEDIA_TYPE,
                sample=samples.CREATE_CARDHOLDER,
                body_schema=shapes.taken(
                    "cardholder",
                    {**PROFILE, "individual": {**KYC, "required": sorted(KYC["properties"])}},
                    required=("name", "phone_number", "type", "individual"),
                ),
                answers=(accepted,),
            ),
            CardOperation(
                name="update_cardholder",
                method="PATCH",
                path=f"{PATH}/{{id}}",
                summary="Update a cardholder",
                doc="Merges what is given; whatever is more than metadata is reviewed again.",
                serve=self.update,
                access=ISSUER,
                takes="cardholder",
                plural="cardholders",
                media_type=MEDIA_TYPE,
                sample=samples.UPDATE_CARDHOLDER,
                body_schema=shapes.taken("cardholder", PROFILE, with_id=True),
                answers=(accepted,),
            ),
        ]

    async def create(self, call: Call) -> Answer:
        """Create a cardholder."""
        command = self._new(call)
        request = Request[CreateCardholder, Cardholder](
            command=command, render=rendered, keys=call.keys
        )
        reply = await self.desk.create_cardholder(request)
        return created(call, reply.answer, path=PATH, status=202)

    async def list(self, call: Call) -> Answer:
        """List cardholders."""
        window, issuer_id = asked_of(call).window, issuer_of(call)
        return await listed(
            call,
            self.desk.db,
            lambda tx: cards.list_cardholders(tx, issuer_id=issuer_id, window=window),
        )

    async def retrieve(self, call: Call) -> Answer:
        """Show a cardholder."""
        cardholder_id, issuer_id = id_of(call), issuer_of(call)
        return await looked_up(
            call,
            self.desk.db,
            lambda tx: cards.find_cardholder(tx, issuer_id=issuer_id, cardholder_id=cardholder_id),
        )

    async def update(self, call: Call) -> Answer:
        """Change a cardholder."""
        reading = reading_of(call, resource_id=call.path["id"])
        changes = self._changes(reading)
        given = reading.given("phone_number")
        cardholder_id, issuer_id = id_of(call), issuer_of(call)

        async def work(tx: Tx) -> Cardholder:
            now = (await read_clock(tx)).now()
            left = dict(changes)
            if left.get("phone_number", given) != given:
                # Digits that say no country, read as Cambodia's. As we show it, it stays.
                before = await cards.find_cardholder(
                    tx, issuer_id=issuer_id, cardholder_id=cardholder_id
                )
                left |= {"phone_number": given} if given == before.phone_number else {}
            return await cards.update_cardholder(
                tx, issuer_id=issuer_id, cardholder_id=cardholder_id, changes=left, now=now
            )

        cardholder = await self.desk.db.transaction(work)
        self.desk.reviews.nudge()
        return changed(cardholder, status=202)

    def _new(self, call: Call) -> CreateCardholder:
        reading = reading_of(call)
        reading.required("type", one_of(INDIVIDUAL))
        reading.required(INDIVIDUAL, attributes.object_of)
        profile: dict[str, object] = {
            "issuer_id": issuer_of(call),
            "name": reading.required("name", attributes.text),
            "phone_number": reading.required("phone_number", attributes.phone_number),
            "email": reading.optional("email", attributes.email),
            "additional_details": reading.optional("additional_details", attributes.new_pairs),
            "metadata": reading.optional("metadata", attributes.new_pairs),
        }
        if reading.has_object(INDIVIDUAL):
            for name, (wire_name, check) in self._kyc().items():
                profile[name] = reading.required(wire_name, check, within=INDIVIDUAL)
        reading.finish()
        for name in ("additional_details", "metadata"):
            profile[name] = profile[name] or {}
        return CreateCardholder(**profile)  # pyright: ignore[reportArgumentType] - each was checked

    def _changes(self, reading: Reading) -> Mapping[str, object]:
        """Read what a PATCH changes, by the cardholder's own names; a null removes mail only."""
        reading.optional("type", one_of(INDIVIDUAL))
        reading.optional(INDIVIDUAL, attributes.object_of)
        checks: dict[str, Callable[[object], object]] = {
            "name": attributes.text,
            "phone_number": attributes.phone_number,
            "email": attributes.email,
            "additional_details": attributes.pairs,
            "metadata": attributes.pairs,
        }
        found: dict[str, object] = {n: reading.optional(n, check) for n, check in checks.items()}
        for name, (wire_name, check) in self._kyc().items():
            if reading.has(wire_name, within=INDIVIDUAL):
                found[name] = reading.required(wire_name, check, within=INDIVIDUAL)
        reading.finish()
        changes = {name: value for name, value in found.items() if value is not None}
        return {**changes, "email": found["email"]} if reading.has("email") else changes

    def _kyc(self) -> Mapping[str, tuple[str, Callable[[object], date | str]]]:
        """Tell what an individual has, by our names: the name on the wire, and its check."""
        return {
            "born_on": ("date_of_birth", attributes.date_of_birth),
            "address": ("address", attributes.long_text),
            "photo_url": ("remote_photo_url", attributes.url(self.desk.fetcher.judge)),
            "identity_document_url": (
                "remote_identity_document_url",
                attributes.url(self.desk.fetcher.judge),
            ),
            "identity_document_number": ("identity_document_number", attributes.text),
            "identity_document_type": ("identity_document_type", one_of(*DOCUMENT_TYPES)),
        }
