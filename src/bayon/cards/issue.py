"""Issue: a card is made for an account, its number by the vault; the sandbox imports others'."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon.cards import production_store, store
from bayon.cards.model import (
    Account,
    BadAttributes,
    Card,
    CardAccountNotFound,
    CardType,
    PanTaken,
)
from bayon.cards.tell import tell
from bayon.cards.vault import Vault
from bayon.db import RunAgain, Tx
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.log import Secret

YEARS: Final = 3
ACCOUNT: Final = "/data/relationships/account"


class IssueCard(Struct, frozen=True, kw_only=True):
    """Make a card for an account."""

    issuer_id: UUID
    account_id: UUID
    type: CardType = "physical"


class ImportCard(Struct, frozen=True, kw_only=True):
    """Take a card that was made elsewhere: active at once, with its PIN if it has one."""

    issuer_id: UUID
    account_id: UUID
    pan: Secret
    exp_month: int
    exp_year: int
    pin: Secret | None


async def issue_cards(
    tx: Tx, commands: Sequence[IssueCard], /, *, vault: Vault, now: datetime
) -> list[Card | BayonError]:
    """Make cards, unactivated, for three years to the end of the month.

    Writes the cards, the orders of physical ones, which a bureau makes, and `card.created`. Locks
    the issuer's counter. Errors: `CardAccountNotFound`;
    `BadAttributes` when the account or its cardholder is not active; `RunAgain` when chance made
    a number that is taken.
    """
    return [await _issue(tx, command, vault, now=now) for command in commands]


async def import_card(tx: Tx, command: ImportCard, *, vault: Vault, now: datetime) -> Card:
    """Take a card over. Writes it, and `card.created`. Locks the issuer's counter.

    Errors: `BadPan`, `BadPin`, `CardAccountNotFound`; `BadAttributes` when the account or its
    cardholder is not active; `PanTaken`.
    """
    pan = vault.read_pan(command.pan)
    pin = None if command.pin is None else vault.read_pin(command.pin)
    account = await _account(tx, command.account_id, issuer_id=command.issuer_id)
    card = replace(
        _made(account, vault, pan, now=now),
        status="active",
        exp_month=command.exp_month,
        exp_year=command.exp_year,
        pvv=None if pin is None else vault.pvv(pan, pin),
    )
    if not await store.insert_card(tx, card, pan_digest=vault.pan_digest(pan)):
        raise PanTaken
    await tell(tx, [("card.created", card)], now=now)
    return card


async def _issue(tx: Tx, command: IssueCard, vault: Vault, *, now: datetime) -> Card | BayonError:
    try:
        account = await _account(tx, command.account_id, issuer_id=command.issuer_id)
    except BayonError as error:
        return error
    (issuer,) = (await store.find_issuers(tx, [command.issuer_id])).values()
    pan = vault.make_pan(issuer.bin)
    card = replace(_made(account, vault, pan, now=now), type=command.type)
    if not await store.insert_card(tx, card, pan_digest=vault.pan_digest(pan)):
        raise RunAgain
    if card.type == "physical":
        await production_store.insert_order(tx, card)
    await tell(tx, [("card.created", card)], now=now)
    return card


async def _account(tx: Tx, account_id: UUID, *, issuer_id: UUID) -> Account:
    """Find an account that may have a card."""
    accounts = await store.find_accounts(tx, [account_id], issuer_id=issuer_id)
    if account_id not in accounts:
        raise CardAccountNotFound
    account = accounts[account_id]
    if account.status != "active":
        raise BadAttributes.at(ACCOUNT, "must be active")
    holders = await store.find_cardholders(tx, [account.cardholder_id], issuer_id=issuer_id)
    if holders[account.cardholder_id].status != "active":
        raise BadAttributes.at(ACCOUNT, "must have an active cardholder")
    return account


def _made(account: Account, vault: Vault, pan: Secret, *, now: datetime) -> Card:
    card_id = uuid7()
    return Card(
        id=card_id,
        issuer_id=account.issuer_id,
        account_id=account.id,
        cardholder_id=account.cardholder_id,
        type="physical",
        status="unactivated",
        last_four=vault.last_four(pan),
        exp_month=now.month,
        exp_year=now.year + YEARS,
        pan_sealed=vault.seal_pan(pan, card_id=card_id),
        pvv=None,
        pin_tries=0,
        created_at=now,
        updated_at=now,
    )
