"""Holders of cards, for tests: a card of an issuer's, and the link that was made for its holder."""

from dataclasses import dataclass
from typing import Any, Final

from bayon.cards import Card, Cardholder, CreateToken, ManagementToken, TokenType, Vault
from bayon.cards.issue import IssueCard, issue_cards
from bayon.cards.lifecycle import create_tokens
from bayon.cards.store import find_cards
from bayon.db import Database, Tx
from cards_factories import (
    VAULT,
    create_cardholder,
    decide,
    make_account,
    make_card,
    make_issuer,
    now_of,
)

PIN: Final = "7294"
ISSUER: Final = "Mekong Bank"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A card, and a link for its holder."""

    card: Card
    cardholder: Cardholder
    token: str


async def hold(
    db: Database,
    of_type: TokenType = "card_activation",
    *,
    vault: Vault = VAULT,
    name: str | None = None,
    **profile: Any,  # noqa: ANN401 - a profile's fields
) -> Held:
    """Make an issuer, a cardholder, an account, a card, and a link to it."""
    issuer = await make_issuer(db, name=name)
    cardholder = await decide(db, await create_cardholder(db, issuer, **profile))
    account = await make_account(db, cardholder)

    async def issue(tx: Tx) -> Card:
        command = IssueCard(issuer_id=issuer.id, account_id=account.id)
        (made,) = await issue_cards(tx, [command], vault=vault, now=await now_of(tx))
        assert isinstance(made, Card)
        return made

    if of_type == "card_activation":
        card = await db.transaction(issue)
    else:
        card = await make_card(db, account)
    return Held(card=card, cardholder=cardholder, token=await link(db, card, of_type))


async def link(db: Database, card: Card, of_type: TokenType = "card_activation") -> str:
    """Make another link to a card; returns its token."""

    async def work(tx: Tx) -> str:
        command = CreateToken(issuer_id=card.issuer_id, card_id=card.id, type=of_type)
        (made,) = await create_tokens(tx, [command], now=await now_of(tx))
        assert isinstance(made, ManagementToken), made
        return made.token

    return await db.transaction(work)


async def card_now(db: Database, card: Card) -> Card:
    """Look at a card's row."""
    found = await db.read(lambda tx: find_cards(tx, [card.id], issuer_id=card.issuer_id))
    return found[card.id]
