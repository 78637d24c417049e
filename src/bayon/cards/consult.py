"""Consult: an issuer is asked about a request before the batch decides on it, and never within.

The batch decides again, on what is then true, and can only be stricter. Who is asked is read once a
second; where nobody is, a request costs nothing.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from bayon import events
from bayon.batch import Batcher
from bayon.cards import decider_store as store
from bayon.cards.authorize import Authorize
from bayon.cards.decider_store import Held
from bayon.cards.model import Decider, Verdict
from bayon.db import Database
from bayon.errors import BayonError
from bayon.fetch import Fetcher
from bayon.ids import uuid7
from bayon.log import Secret
from bayon.seal import Sealer

AGE_S_MAX: Final = 1.0
LOOKUPS_MAX: Final = 500
OK: Final = 200

log = structlog.get_logger()

Reference = UUID | bytes
"""A card, by its id or by its number's digest."""


class _Said(msgspec.Struct, frozen=True):
    approved: bool
    amount: int | None = None
    reason: str | None = None


_SAID: Final = msgspec.json.Decoder(_Said)


@dataclass(kw_only=True, eq=False)
class Consultant:
    """Asks for a process; `iss` signs."""

    db: Database
    sealer: Sealer
    fetcher: Fetcher
    iss: str

    def __post_init__(self) -> None:
        self._deciders: dict[UUID, tuple[Decider, Secret]] = {}
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._finding: Batcher[Reference, Held | None] = Batcher(self._find, size_max=LOOKUPS_MAX)

    def is_asked(self) -> bool:
        """Tell whether anybody has to be asked, as far as is known; look again, if that is old."""
        if self._read_at is None:
            return True
        if time.monotonic() - self._read_at > AGE_S_MAX:
            self._look()
        return bool(self._deciders)

    async def consult(self, command: Authorize) -> Authorize:
        """Ask whose card it is, if it is to be asked; returns the request with what was said."""
        if self._read_at is None:
            await asyncio.shield(self._look())
        if not self._deciders:
            return command
        reference = command.pan_digest or command.card_id
        card = None if reference is None else await self._finding.submit(reference)
        if card is None or card.issuer_id not in self._deciders:
            return command
        decider, secret = self._deciders[card.issuer_id]
        return replace(command, verdict=await self._ask(decider, secret, card, command))

    def forget(self) -> None:
        """Look anew at the next request: somebody has just been named."""
        self._read_at = None

    async def _ask(
        self, decider: Decider, secret: Secret, card: Held, command: Authorize
    ) -> Verdict | None:
        started = time.perf_counter()
        try:
            said = await self._exchange(decider, secret, card, command)
        except (BayonError, TimeoutError, msgspec.DecodeError, msgspec.ValidationError) as error:
            log.warning("decision.unanswered", error=type(error).__name__)
            return None if decider.default == "approve" else Verdict(approved=False)
        log.debug("decision.answered", seconds=round(time.perf_counter() - started, 3))
        return Verdict(approved=said.approved, amount_minor=said.amount)

    async def _exchange(
        self, decider: Decider, secret: Secret, card: Held, command: Authorize
    ) -> _Said:
        question_id = command.trace.message_id if command.trace else None
        question_id = question_id or uuid7()
        body = _question(question_id, card, command)
        signed = events.sign(
            secret,
            iss=self.iss,
            attempt_id=uuid7(),
            event_id=question_id,
            body=body,
            signed_at_s=int(time.time()),
        )
        async with asyncio.timeout(decider.timeout_ms / 1_000):
            answer = await self.fetcher.fetch("POST", decider.url, headers=signed, body=body)
        if answer.status != OK:
            raise msgspec.ValidationError
        return _SAID.decode(answer.body)

    def _look(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            found = await self.db.read(store.deciders)
        except BayonError:
            return  # the batch will say so
        self._deciders = {
            issuer_id: (
                decider,
                events.open_secret(sealed, endpoint_id=issuer_id, sealer=self.sealer),
            )
            for issuer_id, (decider, sealed) in found.items()
        }
        self._read_at = time.monotonic()

    async def _find(self, references: Sequence[Reference]) -> list[Held | None]:
        ids = sorted({r for r in references if isinstance(r, UUID)})
        digests = sorted({r for r in references if isinstance(r, bytes)})
        found = await self.db.read(lambda tx: store.held(tx, card_ids=ids, pan_digests=digests))
        return [found.get(reference) for reference in references]


def _question(question_id: UUID, card: Held, command: Authorize) -> bytes:
    """Write the request as a resource of the API, which is nowhere yet."""
    merchant = command.merchant
    billing = command.billing
    return msgspec.json.encode(
        {
            "data": {
                "id": str(question_id),
                "type": "authorization",
                "attributes": {
                    "type": command.kind,
                    "transaction_amount": command.amount_minor,
                    "transaction_currency": command.currency,
                    "billing_amount": None if billing is None else billing[1],
                    "billing_currency": None if billing is None else billing[0],
                    "partial_allowed": command.partial_allowed,
                    "card_last_four": card.last_four,
                    "transaction_details": {
                        "type": "card",
                        "card": {
                            "merchant_data": {
                                "name": merchant.name,
                                "city": merchant.city,
                                "country": merchant.country,
                                "category": merchant.category,
                                "mcc": merchant.mcc,
                            }
                        },
                    },
                },
                "relationships": {
                    "account": {"data": {"id": str(card.account_id), "type": "account"}},
                    "card": {"data": {"id": str(card.id), "type": "card"}},
                },
            }
        }
    )
