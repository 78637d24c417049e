"""Personalisation: what a bureau is told to make cards of. Pure.

The document holds every secret as a `Secret`: in clear it is only where the vault enciphers it, and
whoever writes the file has never seen what is in it. A PIN is not there: its holder chooses it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from bayon.cards.cvv import STRIPE_SERVICE
from bayon.cards.emboss import name_on_track
from bayon.cards.model import CardType, Issuer, Texts
from bayon.cards.vault import Vault
from bayon.errors import Invalid
from bayon.log import Secret
from bayon.seal import BadSeal

FORMAT: Final = "bayon-card-production"
FORMAT_VERSION: Final = 1
PSN: Final = "00"
"""The sequence number of a number's first card, which each of ours is."""


class Batch(Struct, frozen=True, kw_only=True):
    """Cards that went to the bureau in one file; `cards` is how many."""

    id: UUID
    issuer_id: UUID
    cards: int
    created_at: datetime


class Ordered(Struct, frozen=True, kw_only=True):
    """A card that is to be made, and whose it is."""

    card_id: UUID
    type: CardType
    exp_month: int
    exp_year: int
    pan_sealed: bytes
    name: str
    address: str
    phone_number: str
    additional_details: Texts
    embossed: str | None = None
    """The name on the card, from when it is in a batch."""


def personalise(
    batch: Batch, ordered: Sequence[Ordered], *, issuer: Issuer, vault: Vault
) -> dict[str, object]:
    """Put a batch's document together; its secrets are `Secret`s. Wants each card's embossed name.

    Errors: `Invalid` when a card's number does not open.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "batch_id": batch.id,
        "created_at": batch.created_at,
        "issuer": {"id": issuer.id, "name": issuer.name},
        "number_of_cards": batch.cards,
        "cards": [_card(each, vault) for each in ordered],
    }


def _card(card: Ordered, vault: Vault) -> dict[str, object]:
    assert card.embossed is not None, "it is in a batch"
    pan = _pan(card, vault)
    month, year = card.exp_month, card.exp_year
    return {
        "card_id": card.card_id,
        "type": card.type,
        "pan": pan,
        "psn": PSN,
        "exp_month": month,
        "exp_year": year,
        "service_code": STRIPE_SERVICE,
        "emboss_name": card.embossed,
        "additional_details": card.additional_details,
        "cvv2": vault.cvv2(pan, exp_year=year, exp_month=month),
        "stripe": {
            "track_1": vault.track_1(
                pan, name=name_on_track(card.embossed), exp_year=year, exp_month=month
            ),
            "track_2": vault.track_2(pan, exp_year=year, exp_month=month),
            "cvv": vault.cvv(pan, exp_year=year, exp_month=month),
        },
        "chip": {
            "track_2_equivalent": vault.track_2_equivalent(pan, exp_year=year, exp_month=month),
            "icvv": vault.cvv(pan, exp_year=year, exp_month=month, chip=True),
        },
        "delivery": {
            "name": card.name,
            "address": card.address,
            "phone_number": f"+{card.phone_number}",
        },
    }


def _pan(card: Ordered, vault: Vault) -> Secret:
    try:
        return vault.open_pan(card.pan_sealed, card_id=card.card_id)
    except BadSeal as error:
        raise Invalid(f"The number of card {card.card_id} does not open.") from error
