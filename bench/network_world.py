"""An issuer with ten thousand accounts with money, and two cards of each: the host's and pgbench's.

The host finds a card by the keyed digest of its number, which SQL cannot calculate: so pgbench has
a twin of each card, on the same account, whose id and digest follow from the account's number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon import cards, sandbox
from bayon.cards import Cardholder, Issuer, Topup, Vault
from bayon.db import Database, Tx, read_clock
from bayon.log import Secret
from bench.cards_world import ACCOUNT, CARD, insert_accounts, make_issuer

FIRST: Final = 500_001
"""The number of the first account; those below are another world's."""

ACCOUNTS: Final = 10_000
TWIN: Final = "019a0000-0000-7000-8009-"
FUNDS_MINOR: Final = 10_000_000_00
BATCH: Final = 500


@dataclass(frozen=True, kw_only=True)
class NetworkWorld:
    """Whose cards there are, and their numbers, in the order of their accounts."""

    issuer: Issuer
    vault: Vault
    pans: Sequence[Secret]


async def make_network_world(db: Database, *, accounts: int = ACCOUNTS) -> NetworkWorld:
    """Make the issuer, the accounts, their money and their cards."""
    vault = Vault((await db.transaction(sandbox.keep_keys)).vault)
    pans = _pans(vault, accounts)
    issuer, holder, now = await db.transaction(_begin)
    last = FIRST + accounts - 1
    await db.transaction(lambda tx: insert_accounts(tx, holder, FIRST, last))
    await db.transaction(lambda tx: _cards(tx, holder, vault, pans, now))
    for start in range(FIRST, last + 1, BATCH):
        numbers = range(start, min(start + BATCH, last + 1))
        await db.transaction(lambda tx, n=numbers: _fund(tx, issuer.id, vault, n))
    return NetworkWorld(issuer=issuer, vault=vault, pans=pans)


def named(prefix: str, number: int = FIRST) -> UUID:
    """Name an account, its ledger account or its card."""
    return UUID(f"{prefix}{number:012}")


async def _begin(tx: Tx) -> tuple[Issuer, Cardholder, datetime]:
    now = (await read_clock(tx)).now()
    issuer, _, holder = await make_issuer(tx, "Bench, network", now=now)
    return issuer, holder, now


def _pans(vault: Vault, count: int) -> list[Secret]:
    found: set[Secret] = set()
    while len(found) < count:
        found.add(vault.make_pan(cards.BIN_DEFAULT))
    return list(found)


async def _cards(
    tx: Tx, holder: Cardholder, vault: Vault, pans: Sequence[Secret], now: datetime
) -> None:
    ids = [named(CARD, FIRST + place) for place in range(len(pans))]
    await tx.run(
        """
        WITH new AS (
            SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::text[])
                WITH ORDINALITY AS n (id, pan_sealed, pan_digest, last_four, place)
            UNION ALL
            SELECT ($5 || lpad(n::text, 12, '0'))::uuid, '', decode(lpad(n::text, 64, '0'), 'hex'),
                '0000', n
            FROM generate_series($6::int, $6::int + cardinality($1) - 1) AS n
        )
        INSERT INTO cards.card (seq, id, issuer_id, account_id, cardholder_id, type, status,
            last_four, exp_month, exp_year, pan_sealed, pan_digest, pin_tries, created_at,
            updated_at)
        SELECT place, id, $7, ($8 || right(id::text, 12))::uuid, $9, 'physical', 'active',
            last_four, 12, 2099, pan_sealed, pan_digest, 0, $10, $10
        FROM new
        """,
        ids,
        [vault.seal_pan(pan, card_id=i) for pan, i in zip(pans, ids, strict=True)],
        [vault.pan_digest(pan) for pan in pans],
        [vault.last_four(pan) for pan in pans],
        *(TWIN, FIRST, holder.issuer_id, ACCOUNT, holder.id, now),
    )
    await tx.run(
        "UPDATE cards.counter SET seq = $2 WHERE issuer_id = $1", holder.issuer_id, 2 * FIRST
    )


async def _fund(tx: Tx, issuer_id: UUID, vault: Vault, numbers: range) -> None:
    now = (await read_clock(tx)).now()
    topups = [
        Topup(
            issuer_id=issuer_id,
            account_id=named(ACCOUNT, number),
            amount_minor=FUNDS_MINOR,
            funding_source="Bench",
        )
        for number in numbers
    ]
    funded = await cards.move(tx, topups, vault=vault, now=now)
    assert all(isinstance(each, cards.Moved) for each in funded), funded
