"""A bureau of the tests: it has a key of its own, and reads what is written for it."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import pyrage

from bayon import cards
from bayon.cards import BureauFile, Card, Exported, IssueCard, Recipient, Vault
from bayon.cards.issue import issue_cards
from bayon.cards.model import CardStatus
from bayon.db import Database, Tx
from cards_factories import VAULT, Purse, now_of

BUREAU: Final = pyrage.x25519.Identity.generate()
RECIPIENT: Final = Recipient.read(str(BUREAU.to_public()))


def read_by_bureau(content: bytes) -> Any:  # noqa: ANN401 - JSON
    """Decipher a file, and read it."""
    return msgspec.json.decode(pyrage.decrypt(content, [BUREAU]))


async def order_cards(db: Database, purse: Purse, count: int = 1) -> Sequence[Card]:
    """Have physical cards made for a purse's account, unactivated."""

    async def work(tx: Tx) -> Sequence[Card]:
        command = IssueCard(issuer_id=purse.issuer.id, account_id=purse.account.id)
        made = await issue_cards(tx, [command] * count, vault=VAULT, now=await now_of(tx))
        return [each for each in made if isinstance(each, Card)]

    made = await db.transaction(work)
    assert len(made) == count
    return made


async def export(db: Database, purse: Purse, *, limit: int = 100, vault: Vault = VAULT) -> Exported:
    """Export the cards of a purse's issuer that wait."""

    async def work(tx: Tx) -> Exported:
        return await export_in(tx, purse, limit=limit, vault=vault)

    return await db.transaction(work)


async def export_in(tx: Tx, purse: Purse, *, limit: int = 100, vault: Vault = VAULT) -> Exported:
    """Export them in a transaction that goes on."""
    return await cards.export_cards(
        tx,
        issuer_id=purse.issuer.id,
        recipient=RECIPIENT,
        limit=limit,
        vault=vault,
        now=await now_of(tx),
    )


async def export_again(
    db: Database, batch_id: UUID, *, recipient: Recipient = RECIPIENT, vault: Vault = VAULT
) -> BureauFile:
    """Export a batch once more."""

    async def work(tx: Tx) -> BureauFile:
        return await cards.export_again(
            tx, batch_id=batch_id, recipient=recipient, vault=vault, now=await now_of(tx)
        )

    return await db.transaction(work)


async def note(db: Database, file: BureauFile) -> None:
    """Note that a file is written."""

    async def work(tx: Tx) -> None:
        await cards.note_written(tx, file, now=await now_of(tx))

    await db.transaction(work)


def content(file: BureauFile | None) -> Any:  # noqa: ANN401 - JSON
    """Read what stands in a file."""
    assert file is not None
    return read_by_bureau(file.content)


def ids(file: BureauFile | None) -> list[str]:
    """List the cards of a file."""
    return [each["card_id"] for each in content(file)["cards"]]


def their_ids(made: Sequence[Card]) -> list[str]:
    """List cards, as a file does."""
    return [str(card.id) for card in made]


async def update(db: Database, card: Card, status: CardStatus) -> None:
    """Give a card a state, as its issuer."""

    async def work(tx: Tx) -> None:
        now = await now_of(tx)
        await cards.update_card(
            tx, issuer_id=card.issuer_id, card_id=card.id, status=status, now=now
        )

    await db.transaction(work)


async def rename(db: Database, purse: Purse, name: str, address: str = "Siem Reap") -> None:
    """Give a purse's cardholder another name and address."""

    async def work(tx: Tx) -> None:
        await tx.run(
            "UPDATE cards.cardholder SET name = $2, address = $3 WHERE id = $1",
            purse.cardholder.id,
            name,
            address,
        )

    await db.transaction(work)
