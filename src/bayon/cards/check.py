"""Cards' invariants, recomputed from the rows of the room, the ledger's and the events'."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from bayon import events, ledger
from bayon.cards import clearing_store, production_store
from bayon.cards import transaction_store as store
from bayon.cards.model import Transaction
from bayon.db import Tx
from bayon.ledger import Finding, Hold

PAGE_SIZE: Final = 5_000
FIRST_TOLD: Final = ("transaction.created", "transaction.declined")

_Moved = Mapping[UUID, Sequence[tuple[UUID, UUID, int]]]


class _Seen(Struct, frozen=True, kw_only=True):
    """What belongs to a page of transactions, by transaction, and the accounts' ledger accounts."""

    moved: _Moved
    held: Mapping[UUID, Sequence[Hold]]
    told: Mapping[UUID, int]
    ledger_ids: Mapping[UUID, UUID]


async def check(tx: Tx, *, page_size: int = PAGE_SIZE) -> list[Finding]:
    """Compare every transaction with what it moved. Wants a REPEATABLE READ transaction.

    Invariants: a settled transaction moved its amount on its account in its direction, another
    moved nothing; a pending one holds its amount, another holds nothing; each was told of once; it
    is on its card's account, and its account its issuer's; what a clearing record tells of is
    settled; no account's money is moved or held by anything else; a physical card was ordered of
    its bureau, and a batch has the cards it says.
    """
    found: list[Finding] = []
    after: UUID | None = None
    while page := await store.check_page(tx, after=after, limit=page_size):
        after = page[-1].id
        seen = await _look(tx, page)
        found += [finding for each in page for finding in _judge(each, seen)]
    found += [
        Finding("a transaction is its card's", str(i)) for i in await store.check_strangers(tx)
    ]
    lost = await clearing_store.lost_transactions(tx)
    found += [Finding("a clearing record's transaction is settled", str(i)) for i in lost]
    return [*found, *await _production(tx), *await _causes(tx, page_size)]


async def _production(tx: Tx) -> list[Finding]:
    """Look for cards that no bureau would ever make, and for batches that are not whole."""
    laws = {
        "a physical card is ordered": await production_store.never_ordered(tx),
        "a batch has the cards it says": await production_store.miscounted(tx),
    }
    return [Finding(law, str(i)) for law, broken in laws.items() for i in broken]


async def _causes(tx: Tx, page_size: int) -> list[Finding]:
    """Look behind every account: a transfer, or an open hold, has a transaction as its cause."""
    found: list[Finding] = []
    after: UUID | None = None
    while page := await store.check_accounts(tx, after=after, limit=page_size):
        after = max(page)
        causes = await ledger.causes(tx, sorted(page.values()))
        unknown = causes - await store.known(tx, sorted(causes))
        found += [Finding("a movement is a transaction's", str(i)) for i in sorted(unknown)]
    return found


async def _look(tx: Tx, page: Sequence[Transaction]) -> _Seen:
    ids = [each.id for each in page]
    return _Seen(
        moved=await ledger.moved(tx, ids),
        held=await ledger.open_holds(tx, ids),
        told=await events.subjects_told(tx, ids, types=FIRST_TOLD),
        ledger_ids=await store.ledger_ids(tx, sorted({each.account_id for each in page})),
    )


def _judge(each: Transaction, seen: _Seen) -> list[Finding]:
    account_id = seen.ledger_ids.get(each.account_id)
    effect_minor = sum(
        amount_minor * ((credit_id == account_id) - (debit_id == account_id))
        for debit_id, credit_id, amount_minor in seen.moved.get(each.id, ())
    )
    held = seen.held.get(each.id, ())
    sign = 1 if each.balance_adjustment_type == "credit" else -1
    wanted_minor = sign * each.amount_minor if each.status == "settled" else 0
    held_minor = each.amount_minor if each.status == "pending" else 0
    laws = {
        "a transaction moves its amount": effect_minor == wanted_minor,
        "a pending transaction holds its amount": sum(h.open_minor for h in held) == held_minor
        and all(hold.account_id == account_id for hold in held),
        "a transaction is told of once": seen.told.get(each.id) == 1,
    }
    return [Finding(law, str(each.id)) for law, holds in laws.items() if not holds]
