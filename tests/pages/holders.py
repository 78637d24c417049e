"""Holders of cards, for tests: a card of an issuer's, and the link that was made for its holder."""

import itertools
import secrets
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from bayon import cards
from bayon.cards import (
    Account,
    Card,
    Cardholder,
    CreateCardholder,
    CreateToken,
    ManagementToken,
    OpenCardAccount,
    TokenType,
    Vault,
    VaultKeys,
)
from bayon.cards.accounts import open_accounts
from bayon.cards.issue import IssueCard, issue_cards
from bayon.cards.lifecycle import create_tokens
from bayon.cards.redeem import redeem
from bayon.cards.store import find_cards
from bayon.db import Database, Tx, read_clock
from bayon.log import Secret

VAULT: Final = Vault(
    VaultKeys(
        vault_keys=Secret("1:" + "5ea1" * 16),
        vault_lookup_key=Secret("100c" * 16),
        pin_verification_key=Secret("0123456789ABCDEFFEDCBA9876543210"),
        card_verification_key=Secret("FEDCBA98765432100123456789ABCDEF"),
        card_cryptogram_key=Secret("13579BDF02468ACEECA86420FDB97531"),
    )
)
PIN: Final = "7294"
OLD_PIN: Final = "8524"
PROFILE: Final[dict[str, Any]] = {
    "name": "Tang Dara",
    "phone_number": "855715200960",
    "email": None,
    "born_on": date(1996, 12, 20),
    "address": "#87, Street 63 (Trasak Paem), Phnom Penh, Cambodia",
    "identity_document_number": "123456789",
    "identity_document_type": "id_card",
    "photo_url": "https://via.placeholder.com/150.png",
    "identity_document_url": "https://via.placeholder.com/600.png",
    "additional_details": {"name_km": "តាំង តារា"},
    "metadata": {},
}
_numbers: Final = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A card, and a link for its holder."""

    card: Card
    cardholder: Cardholder
    token: str


async def now_of(tx: Tx) -> datetime:
    """Tell the test's time."""
    return (await read_clock(tx)).now()


async def hold(
    db: Database,
    of_type: TokenType = "card_activation",
    *,
    vault: Vault = VAULT,
    issuer_name: str | None = None,
    **profile: Any,  # noqa: ANN401 - a profile's fields
) -> Held:
    """Make an issuer (or find it by name), a cardholder, a card in the state for it, and a link."""
    cardholder, card = await db.transaction(lambda tx: _issue(tx, vault, issuer_name, profile))
    token = await link(db, card)
    if of_type == "pin_reset":
        await db.transaction(lambda tx: _activate(tx, token, vault))
        card, token = await card_now(db, card), await link(db, card, of_type)
    return Held(card=card, cardholder=cardholder, token=token)


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


async def events_of(db: Database, card: Card) -> list[str]:
    """Tell the types of what was told of a card, the oldest first."""
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT type FROM events.event WHERE subject_id = $1 ORDER BY seq", card.id
        )
    )
    return [row["type"] for row in rows]


def is_pin(card: Card, pin: str, *, vault: Vault = VAULT) -> bool:
    """Tell whether a card has this PIN."""
    pan = vault.open_pan(card.pan_sealed, card_id=card.id)
    return card.pvv is not None and vault.is_pin(pan, Secret(pin), pvv=card.pvv)


async def _issue(
    tx: Tx, vault: Vault, issuer_name: str | None, profile: dict[str, Any]
) -> tuple[Cardholder, Card]:
    now = await now_of(tx)
    name = issuer_name or f"Bank {secrets.token_hex(6)}"
    known = {issuer.name: issuer for issuer in await cards.issuers(tx)}
    issuer = known.get(name) or await cards.add_issuer(tx, name=name, now=now)
    asked = CreateCardholder(issuer_id=issuer.id, **(PROFILE | profile))
    (applied,) = await cards.create_cardholders(tx, [asked], now=now)
    cardholder = await cards.decide_review(
        tx, cardholder_id=applied.id, issuer_id=issuer.id, rejection_reason=None, now=now
    )
    opening = OpenCardAccount(
        issuer_id=issuer.id,
        cardholder_id=cardholder.id,
        number=f"{next(_numbers):06}",
        metadata={},
    )
    (account,) = await open_accounts(tx, [opening], now=now)
    assert isinstance(account, Account), account
    wanted = IssueCard(issuer_id=issuer.id, account_id=account.id)
    (card,) = await issue_cards(tx, [wanted], vault=vault, now=now)
    assert isinstance(card, Card), card
    return cardholder, card


async def _activate(tx: Tx, token: str, vault: Vault) -> None:
    pin, now = Secret(OLD_PIN), await now_of(tx)
    of_type: TokenType = "card_activation"
    done = await redeem(tx, token=token, of_type=of_type, pin=pin, vault=vault, now=now)
    assert isinstance(done, Card), done
