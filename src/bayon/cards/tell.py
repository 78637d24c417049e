"""Tell: what has happened to a resource becomes an event, as the resource is now."""

from collections.abc import Sequence
from datetime import datetime

from bayon import events
from bayon.cards import document
from bayon.cards.model import Account, Card, Cardholder, Transaction
from bayon.db import Tx
from bayon.events import Fact
from bayon.ids import uuid7

Told = tuple[str, Account | Card | Cardholder | Transaction]
"""The type of the event, and the noun it tells of."""


async def tell(tx: Tx, told: Sequence[Told], *, now: datetime) -> None:
    """Freeze each noun in an event of its issuer. The last statement of a verb, as `emit` is.

    Is begun, and goes on while the caller does: to render its answers, say.
    """
    facts = await tx.in_turns(lambda each: _fact(*each, now=now), told)
    tx.meanwhile(lambda tx: events.emit(tx, facts, now=now))


def _fact(of_type: str, noun: Account | Card | Cardholder | Transaction, *, now: datetime) -> Fact:
    event_id = uuid7()
    return Fact(
        id=event_id,
        owner_id=noun.issuer_id,
        type=of_type,
        subject_id=noun.id,
        body=document.event(
            event_id=event_id, of_type=of_type, told=document.resource(noun), created_at=now
        ),
    )
