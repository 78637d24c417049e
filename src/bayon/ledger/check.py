"""The ledger's invariants, recomputed from its rows."""

from dataclasses import dataclass

from bayon.db import Tx
from bayon.ledger import store


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which invariant, and what breaks it."""

    invariant: str
    subject: str


async def check(tx: Tx) -> list[Finding]:
    """Recompute every balance. Wants a REPEATABLE READ transaction; locks and writes nothing.

    Invariants: balances of a currency add up to nothing; a balance is the sum of its transfers;
    held is the sum of open holds; no customer lacks more, holds counted, than was cleared above
    what was there (`above_minor`); a transfer stays within one currency.
    """
    return [
        *(Finding("balances add up to nothing", c) for c in await store.check_currencies(tx)),
        *(Finding("balance = sum of transfers", str(a)) for a in await store.check_posted(tx)),
        *(Finding("held = sum of open holds", str(a)) for a in await store.check_held(tx)),
        *(Finding("no customer overdrawn", str(a)) for a in await store.check_overdrawn(tx)),
        *(Finding("one currency", str(t)) for t in await store.check_transfer_currencies(tx)),
    ]
