"""The life of a card: which state leads to which, and the links by which its holder acts."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon.cards import store
from bayon.cards.model import (
    FINAL,
    BadAttributes,
    Card,
    CardNotFound,
    CardStatus,
    ManagementToken,
    TokenType,
)
from bayon.cards.tell import tell
from bayon.db import Tx
from bayon.errors import BayonError
from bayon.ids import uuid7

TOKEN_SIZE: Final = 32
TOKEN_TTL: Final = timedelta(minutes=10)
STATUS: Final = "/data/attributes/status"
TYPE: Final = "/data/attributes/type"
TOKEN_TYPES: Final[tuple[TokenType, ...]] = ("card_activation", "pin_reset")
CHOSEN: Final[tuple[CardStatus, ...]] = ("active", "inactive", "canceled", "lost", "stolen")
"""The states an issuer may give a card."""

MANAGED_IN: Final[dict[TokenType, frozenset[CardStatus]]] = {
    "card_activation": frozenset({"unactivated"}),
    "pin_reset": frozenset({"active", "inactive"}),
}
"""In which states of the card there are links of a type."""


class CreateToken(Struct, frozen=True, kw_only=True):
    """Make a link for a card's holder."""

    issuer_id: UUID
    card_id: UUID
    type: TokenType


async def update_card(
    tx: Tx,
    *,
    issuer_id: UUID,
    card_id: UUID,
    account_id: UUID | None = None,
    status: CardStatus | None,
    now: datetime,
) -> Card:
    """Give a card another state; the state it has changes nothing.

    Locks and writes the card; voids its links when the state is final; writes `card.updated`.
    Errors: `CardNotFound`; `BadAttributes` when another account is given than the card's, or the
    state it has does not lead there.
    """
    card = await _lock(tx, card_id, issuer_id=issuer_id)
    if account_id is not None and account_id != card.account_id:
        raise BadAttributes.at("/data/relationships/account", "cannot be changed")
    if status is None or status == card.status:
        return card
    if problem := judge_change(card.status, status):
        raise BadAttributes.at(STATUS, problem)
    after = replace(card, status=status, updated_at=now)
    await store.update_card(tx, after)
    if status in FINAL:
        await store.void_tokens(tx, card.id, types=TOKEN_TYPES, now=now)
    await tell(tx, [("card.updated", after)], now=now)
    return after


def judge_change(before: CardStatus, after: CardStatus) -> str | None:
    """Say why one state does not lead to the other, if it does not."""
    if before in FINAL:
        return f"cannot be changed once it is {before}"
    if after not in CHOSEN:
        return f"must be one of: {', '.join(CHOSEN)}"
    if before == "unactivated" and after not in FINAL:
        return "is unactivated until its holder activates the card with a management token"
    return None


async def create_tokens(
    tx: Tx, commands: Sequence[CreateToken], /, *, now: datetime
) -> list[ManagementToken | BayonError]:
    """Make links that live for ten minutes; older ones of the same card and type are void.

    Locks the cards. Writes the tokens, as their SHA-256. Errors: `CardNotFound`; `BadAttributes`
    when the card is in no state for it.
    """
    return [await _create_token(tx, command, now=now) for command in commands]


def token_digest(token: str) -> bytes:
    """Tell what a management token is kept as."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def _create_token(
    tx: Tx, command: CreateToken, *, now: datetime
) -> ManagementToken | BayonError:
    try:
        card = await _lock(tx, command.card_id, issuer_id=command.issuer_id)
    except CardNotFound as error:
        return error
    if card.status not in MANAGED_IN[command.type]:
        return BadAttributes.at(TYPE, f"is not possible for a card that is {card.status}")
    token = ManagementToken(
        id=uuid7(),
        issuer_id=card.issuer_id,
        card_id=card.id,
        type=command.type,
        token=secrets.token_urlsafe(TOKEN_SIZE),
        created_at=now,
        expires_at=now + TOKEN_TTL,
    )
    await store.void_tokens(tx, card.id, types=[command.type], now=now)
    await store.insert_token(tx, token, digest=token_digest(token.token))
    return token


async def _lock(tx: Tx, card_id: UUID, *, issuer_id: UUID) -> Card:
    cards = await store.find_cards(tx, [card_id], issuer_id=issuer_id, lock=True)
    if card_id not in cards:
        raise CardNotFound
    return cards[card_id]
