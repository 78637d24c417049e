"""A bureau of the tests: it has a key of its own, and reads what is written for it."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pyrage

from bayon.cards import Card, IssueCard, Recipient
from bayon.cards.issue import issue_cards
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
