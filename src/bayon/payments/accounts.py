"""Participants, their accounts, and the deposits that put money on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bayon import ledger
from bayon.db import Tx
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.ledger import Balance, OpenAccount
from bayon.money import Currency
from bayon.payments import store
from bayon.payments.model import (
    Account,
    AccountExists,
    AccountNotFound,
    BadAccountId,
    Decline,
    Participant,
    ParticipantExists,
    ParticipantNotFound,
    account_id_of,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenPaymentAccount:
    """Open `account_id` (its part behind the @ is the participant's code) in these currencies."""

    participant_id: UUID
    account_id: str
    name: str
    currencies: frozenset[Currency]


@dataclass(frozen=True, kw_only=True, slots=True)
class Deposit:
    """Put money on an account from its participant's own funding account."""

    participant_id: UUID
    account_id: str
    currency: Currency
    amount_minor: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """An account and its balances."""

    account: Account
    balances: dict[Currency, Balance]


async def add_participant(tx: Tx, *, code: str, name: str, now: datetime) -> Participant:
    """Add a participant. Errors: `ParticipantExists`."""
    participant = Participant(id=uuid7(), code=code, name=name)
    if not await store.insert_participant(tx, participant, created_at=now):
        raise ParticipantExists
    return participant


async def participants(tx: Tx) -> list[Participant]:
    """List all participants, by code."""
    return await store.participants(tx)


async def participant(tx: Tx, *, code: str) -> Participant:
    """Find a participant. Errors: `ParticipantNotFound`."""
    found = [p for p in await store.participants(tx) if p.code == code]
    if not found:
        raise ParticipantNotFound
    return found[0]


async def open_accounts(
    tx: Tx, commands: Sequence[OpenPaymentAccount], /, *, now: datetime
) -> list[Statement | BayonError]:
    """Open accounts with nothing on them. Writes accounts and their ledger accounts.

    Errors: `BadAccountId` (also when the part behind the @ is another participant's),
    `AccountExists`.
    """
    codes = {p.id: p.code for p in await store.participants(tx)}
    return [
        await _open(tx, command, codes[command.participant_id], now=now) for command in commands
    ]


async def find_accounts(tx: Tx, account_ids: Sequence[str]) -> dict[str, Account]:
    """Find accounts by id, in one statement; what is not there is not in the answer."""
    return await store.accounts(tx, account_ids)


async def statement(tx: Tx, *, participant_id: UUID, account_id: str) -> Statement:
    """Tell an account's balances to its own participant. Errors: `AccountNotFound`."""
    account = (await store.accounts(tx, [account_id])).get(account_id)
    if account is None or account.participant_id != participant_id:
        raise AccountNotFound
    return await _statement(tx, account)


async def deposit(
    tx: Tx, commands: Sequence[Deposit], /, *, now: datetime
) -> list[Statement | Decline | BayonError]:
    """Put money on accounts. Locks balances; writes transfers and balances.

    Errors: `AccountNotFound` when it is not the participant's own.
    Declines: wrong_currency, amount_out_of_range.
    """
    accounts = await store.accounts(tx, sorted({c.account_id for c in commands}))
    funding = await _funding(tx, {c.participant_id for c in commands}, now=now)
    ids = {i for a in accounts.values() for i in a.ledger_ids.values()}
    book = await ledger.load(tx, now=now, account_ids={*ids, *funding.values()})
    outcomes: list[Account | Decline | BayonError] = [
        _decide(book, accounts.get(command.account_id), funding, command) for command in commands
    ]
    await ledger.save(tx, book)
    return [await _statement(tx, o) if isinstance(o, Account) else o for o in outcomes]


def _decide(
    book: ledger.Book,
    account: Account | None,
    funding: dict[tuple[UUID, Currency], UUID],
    command: Deposit,
) -> Account | Decline | BayonError:
    if account is None or account.participant_id != command.participant_id:
        return AccountNotFound()
    if command.currency not in account.ledger_ids:
        return Decline.WRONG_CURRENCY
    moved = book.post(
        debit_account_id=funding[command.participant_id, command.currency],
        credit_account_id=account.ledger_ids[command.currency],
        amount_minor=command.amount_minor,
        cause_id=uuid7(),
    )
    return Decline(moved.value) if isinstance(moved, ledger.Decline) else account


async def _funding(
    tx: Tx, participant_ids: Iterable[UUID], *, now: datetime
) -> dict[tuple[UUID, Currency], UUID]:
    """Find the accounts deposits come from: money a participant brought into the scheme.

    Each has its own, so that no participant can do anything to the deposits of another.
    """
    names = {f"funding {p} {c}": (p, c) for p in participant_ids for c in Currency}
    found = await ledger.named_accounts(tx, list(names))
    absent = sorted(names.keys() - found)
    missing = [OpenAccount(currency=names[n][1], kind="system", name=n) for n in absent]
    opened = await ledger.open_account(tx, missing, now=now) if missing else []
    by_name = {**found, **dict(zip(absent, opened, strict=True))}
    return {names[name]: account.id for name, account in by_name.items()}


async def _open(
    tx: Tx, command: OpenPaymentAccount, code: str, *, now: datetime
) -> Statement | BayonError:
    try:
        account_id = account_id_of(command.account_id)
    except BadAccountId as error:
        return error
    if account_id.rpartition("@")[2] != code:
        return BadAccountId(f"Account ID must end with @{code}.")
    currencies = sorted(command.currencies)
    opened = await ledger.open_account(tx, [OpenAccount(currency=c) for c in currencies], now=now)
    account = Account(
        account_id=account_id,
        participant_id=command.participant_id,
        participant_name="",
        name=command.name,
        ledger_ids={account.currency: account.id for account in opened},
    )
    if not await store.insert_account(tx, account, created_at=now):
        raise AccountExists
    return await _statement(tx, account)


async def _statement(tx: Tx, account: Account) -> Statement:
    currencies = sorted(account.ledger_ids)
    found = await ledger.balance(tx, [account.ledger_ids[c] for c in currencies])
    balances = {c: b for c, b in zip(currencies, found, strict=True) if b is not None}
    return Statement(account=account, balances=balances)
