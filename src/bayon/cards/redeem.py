"""Redeem: a card's holder uses the link that was made for it, once, and chooses a PIN."""

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bayon.cards import store
from bayon.cards.lifecycle import MANAGED_IN, token_digest
from bayon.cards.model import Card, CardStatus, CardType, ManagementToken, TokenType, TokenVoid
from bayon.cards.pin import WeakPin
from bayon.cards.tell import tell
from bayon.cards.vault import Vault
from bayon.db import Tx
from bayon.log import Secret

NAME_KM: Final = "name_km"
"""Where an issuer keeps a cardholder's Khmer name, among the additional details."""


class HolderLink(Struct, frozen=True, kw_only=True):
    """What whoever has a link is shown of its card."""

    type: TokenType
    card_type: CardType
    last_four: str
    name: str
    name_km: str | None
    issuer_name: str
    expires_at: datetime


async def look_up(tx: Tx, *, token: str, of_type: TokenType, now: datetime) -> HolderLink:
    """Tell what a link is for, without using it. Locks and writes nothing.

    Errors: `TokenVoid`, the same for a token that is unknown, of another type, used, expired or
    voided, and for one whose card is in no state for it: nobody learns which.
    """
    found = await _open(tx, token, of_type, now=now)
    card = (await store.find_cards(tx, [found.card_id], issuer_id=found.issuer_id))[found.card_id]
    _judge(card, of_type)
    whose = card.cardholder_id
    holder = (await store.find_cardholders(tx, [whose], issuer_id=card.issuer_id))[whose]
    issuer = (await store.find_issuers(tx, [card.issuer_id]))[card.issuer_id]
    name_km = holder.additional_details.get(NAME_KM)
    return HolderLink(
        type=of_type,
        card_type=card.type,
        last_four=card.last_four,
        name=holder.name,
        name_km=name_km if isinstance(name_km, str) and name_km.strip() else None,
        issuer_name=issuer.name,
        expires_at=found.expires_at,
    )


async def redeem(
    tx: Tx, *, token: str, of_type: TokenType, pin: Secret, vault: Vault, now: datetime
) -> Card | WeakPin:
    """Give a card the PIN its holder chose; a card that is to be activated becomes active.

    A weak PIN is a value, and leaves the link as it was. Locks the card, then the token; writes
    both and `card.updated`. Errors: `TokenVoid` as in `look_up`, for all but one of those who use
    a link at once, too; `BadPin` when it is not four digits.
    """
    found = await _open(tx, token, of_type, now=now)
    if weak := vault.weak_pin(vault.read_pin(pin)):
        return weak
    locked = await store.find_cards(tx, [found.card_id], issuer_id=found.issuer_id, lock=True)
    before = locked[found.card_id]
    _judge(before, of_type)
    if not await store.use_token(tx, found.id, now=now):
        raise TokenVoid
    pan = vault.open_pan(before.pan_sealed, card_id=before.id)
    status: CardStatus = "active" if of_type == "card_activation" else before.status
    after = replace(
        before,
        status=status,
        pvv=vault.pvv(pan, pin),
        pin_tries=0,
        cvv2_tries=0,
        updated_at=now,
    )
    await store.update_card(tx, after)
    await tell(tx, [("card.updated", after)], now=now)
    return after


async def _open(tx: Tx, token: str, of_type: TokenType, *, now: datetime) -> ManagementToken:
    found = await store.find_open_token(tx, token, digest=token_digest(token), now=now)
    if found is None or found.type != of_type:
        raise TokenVoid
    return found


def _judge(card: Card, of_type: TokenType) -> None:
    if card.status not in MANAGED_IN[of_type]:
        raise TokenVoid
