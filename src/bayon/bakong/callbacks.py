"""The integrator's callback: where it is told of the payments it asks for. Ours: design 11.

Its signing secret is shown when it is set, and never again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bayon import payments
from bayon.bakong import samples
from bayon.bakong.wire import owner_of, refuse
from bayon.batch import Request, answer_once
from bayon.clock import epoch_ms
from bayon.db import Database, Tx
from bayon.errors import Problem
from bayon.events import NewSecret
from bayon.fetch import URL_LENGTH_MAX, BadUrl, Fetcher
from bayon.payments import Rail
from bayon.seal import Sealer
from bayon.web import (
    AccessKind,
    Answer,
    BadFields,
    Call,
    Field,
    Operation,
    success,
    text,
    with_refusals,
)

PATH: Final = "/integrator/v1/callback"
OWN: Final[tuple[AccessKind, ...]] = ("integrator",)
URL: Final = Field(name="url", length_max=URL_LENGTH_MAX, doc="https, to a public address")


@dataclass(frozen=True, kw_only=True)
class CallbackApi:
    """The operations on an integrator's callback."""

    db: Database
    rail: Rail
    sealer: Sealer
    fetcher: Fetcher

    def operations(self) -> list[Operation]:
        """List the operations."""
        found = [
            Operation(
                name="put_callback",
                method="PUT",
                path=PATH,
                summary="Set your callback",
                doc="Payments of QRs you make deeplinks to, or ask the status of, are then told "
                "there. Shows a new signing secret this once; one before counts for a day more.",
                serve=self.put,
                access=OWN,
                keyed=True,
                body=(URL,),
                sample=samples.PUT_CALLBACK,
                answers=samples.PUT_CALLBACK_ANSWERS,
            ),
            Operation(
                name="get_callback",
                method="GET",
                path=PATH,
                summary="Read your callback",
                doc="Tells where it is and whether it is enabled, without its secret.",
                serve=self.get,
                access=OWN,
                answers=samples.GET_CALLBACK_ANSWERS,
            ),
            Operation(
                name="delete_callback",
                method="DELETE",
                path=PATH,
                summary="Delete your callback",
                doc="Ends it, and what was on its way to it.",
                serve=self.delete,
                access=OWN,
                answers=samples.DELETE_CALLBACK_ANSWERS,
            ),
        ]
        return with_refusals(found, refuse)

    async def put(self, call: Call) -> Answer:
        """Set the callback, with a new secret."""
        url, integrator_id = self._url(call), owner_of(call)

        async def verb(tx: Tx, commands: Sequence[str], /, *, now: datetime) -> list[NewSecret]:
            return [
                await payments.put_callback(
                    tx,
                    integrator_id=integrator_id,
                    url=each,
                    sealer=self.sealer,
                    fetcher=self.fetcher,
                    now=now,
                )
                for each in commands
            ]

        request = Request[str, NewSecret](command=url, render=_with_secret, keys=call.keys)
        reply = await answer_once(self.db, request, verb=verb, sealer=self.sealer)
        self.rail.reachable.forget()
        return Answer(body=reply.answer)

    async def get(self, call: Call) -> Answer:
        """Show the callback."""
        integrator_id = owner_of(call)
        found = await self.db.transaction(
            lambda tx: payments.find_callback(tx, integrator_id=integrator_id),
            isolation="repeatable_read",
        )
        shown = {
            "url": found.url,
            "enabled": found.enabled,
            "disabledReason": found.disabled_reason,
            "createdDateMs": epoch_ms(found.created_at),
            "updatedDateMs": epoch_ms(found.updated_at),
        }
        return Answer(body=success(shown, "Getting callback successfully"))

    async def delete(self, call: Call) -> Answer:
        """Delete the callback."""
        integrator_id = owner_of(call)
        await self.db.transaction(
            lambda tx: payments.delete_callback(tx, integrator_id=integrator_id)
        )
        self.rail.reachable.forget()
        return Answer(body=success(None, "Callback has been deleted"))

    def _url(self, call: Call) -> str:
        url = text(call.values, "url")
        try:
            self.fetcher.judge(url)
        except BadUrl as error:
            message = "url must be https, to a public address."
            raise BadFields(
                message, problems=(Problem(pointer="/url", message=message),)
            ) from error
        return url


def _with_secret(made: NewSecret) -> bytes:
    shown = {"url": made.endpoint.url, "signingSecret": made.secret.reveal()}
    return success(shown, "Callback is set")
