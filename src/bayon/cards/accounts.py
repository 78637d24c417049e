"""Accounts of cardholders: opened with a ledger account under them, in batches."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon import ledger
from bayon.cards import store
from bayon.cards.model import (
    Account,
    BadAttributes,
    CardAccountNotFound,
    Cardholder,
    CardholderNotFound,
    Texts,
)
from bayon.cards.tell import tell
from bayon.cards.texts import merged
from bayon.db import Tx
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.ledger import OpenAccount
from bayon.money import Currency

NUMBER: Final = "/data/attributes/number"
CARDHOLDER: Final = "/data/relationships/cardholder"


class OpenCardAccount(Struct, frozen=True, kw_only=True):
    """Open an account of a cardholder under the issuer's own number of six digits."""

    issuer_id: UUID
    cardholder_id: UUID
    number: str
    metadata: Texts


async def open_accounts(
    tx: Tx, commands: Sequence[OpenCardAccount], /, *, now: datetime
) -> list[Account | BayonError]:
    """Open accounts, each command once, in order.

    Writes ledger accounts, accounts and `account.created`. Locks the issuers' counters.
    Errors: `CardholderNotFound` (there is none, or not this issuer's); `BadAttributes` when the
    cardholder is rejected, or the number taken; `RunAgain` when it was taken just now.
    """
    holders = await store.cardholders_of_all(tx, sorted({c.cardholder_id for c in commands}))
    taken = await store.taken_numbers(tx, sorted({(c.issuer_id, c.number) for c in commands}))
    refusals = [_judge(command, holders, taken) for command in commands]
    fresh = [c for c, refusal in zip(commands, refusals, strict=True) if refusal is None]
    made = iter(await _open(tx, fresh, now=now) if fresh else [])
    return [next(made) if refusal is None else refusal for refusal in refusals]


async def update_account(
    tx: Tx,
    *,
    issuer_id: UUID,
    account_id: UUID,
    number: str | None,
    cardholder_id: UUID | None = None,
    metadata: Texts | None,
    now: datetime,
) -> Account:
    """Merge metadata into an account's. Locks and writes the account, and `account.updated`.

    Errors: `CardAccountNotFound`; `BadAttributes` when another number or cardholder is given than
    the account's, or there would be too many keys.
    """
    found = await store.find_accounts(tx, [account_id], issuer_id=issuer_id, lock=True)
    if account_id not in found:
        raise CardAccountNotFound
    before = found[account_id]
    if number is not None and number != before.number:
        raise BadAttributes.at(NUMBER, "cannot be changed")
    if cardholder_id is not None and cardholder_id != before.cardholder_id:
        raise BadAttributes.at(CARDHOLDER, "cannot be changed")
    if metadata is None:
        return before
    after = replace(
        before,
        metadata=merged(before.metadata, metadata, pointer="/data/attributes/metadata"),
        updated_at=now,
    )
    await store.update_account(tx, after)
    await tell(tx, [("account.updated", after)], now=now)
    return after


async def _open(tx: Tx, commands: Sequence[OpenCardAccount], *, now: datetime) -> Sequence[Account]:
    opened = await ledger.open_account(
        tx, [OpenAccount(currency=Currency.USD) for _ in commands], now=now
    )
    accounts = [
        Account(
            id=uuid7(),
            issuer_id=command.issuer_id,
            cardholder_id=command.cardholder_id,
            number=command.number,
            currency=under.currency,
            status="active",
            metadata=command.metadata,
            ledger_account_id=under.id,
            created_at=now,
            updated_at=now,
        )
        for command, under in zip(commands, opened, strict=True)
    ]
    await store.insert_accounts(tx, accounts)
    await tell(tx, [("account.created", account) for account in accounts], now=now)
    return accounts


def _judge(
    command: OpenCardAccount,
    holders: Mapping[UUID, Cardholder],
    taken: set[tuple[UUID, str]],
) -> BayonError | None:
    """Judge a command, and take its number for the rest of the batch."""
    holder = holders.get(command.cardholder_id)
    if holder is None or holder.issuer_id != command.issuer_id:
        return CardholderNotFound()
    if holder.status == "rejected":
        return BadAttributes.at(CARDHOLDER, "must not be rejected")
    if (command.issuer_id, command.number) in taken:
        return BadAttributes.at(NUMBER, "must be unique")
    taken.add((command.issuer_id, command.number))
    return None
