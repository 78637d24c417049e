"""What card tests are made of: issuers, cardholders, accounts, cards, commands, a desk at work."""

import itertools
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Final

from msgspec import Struct

from bayon import cards, ledger
from bayon.batch import Key, Request
from bayon.cards import (
    Account,
    Authorize,
    Card,
    Cardholder,
    Clear,
    CreateCardholder,
    Desk,
    FeeRule,
    ImportCard,
    Issuer,
    Merchant,
    Move,
    Moved,
    OpenCardAccount,
    Policy,
    Proof,
    Topup,
    Transaction,
    Vault,
    VaultKeys,
)
from bayon.cards.accounts import open_accounts
from bayon.cards.model import CardStatus, Kind
from bayon.cards.transaction_store import insert_transactions
from bayon.db import Database, Tx, read_clock
from bayon.errors import BayonError
from bayon.fetch import Fetcher
from bayon.ledger import Balance
from bayon.log import Secret
from bayon.seal import Sealer
from servers import Server

VAULT_KEYS: Final = VaultKeys(
    vault_keys=Secret("1:" + "5ea1" * 16),
    vault_lookup_key=Secret("100c" * 16),
    pin_verification_key=Secret("0123456789ABCDEFFEDCBA9876543210"),
    card_verification_key=Secret("FEDCBA98765432100123456789ABCDEF"),
    card_cryptogram_key=Secret("13579BDF02468ACEECA86420FDB97531"),
)
VAULT: Final = Vault(VAULT_KEYS)
SEALER: Final = Sealer({1: bytes(32)})
BIN: Final = "91160000"
PIN: Final = Secret("8524")
WRONG_PIN: Final = Secret("8525")
RIDES: Final = Merchant(
    name="Rocket Rides", city="Phnom Penh", country="KH", category="taxicabs_limousines"
)
PHOTO_URL: Final = "https://via.placeholder.com/150.png"
DOCUMENT_URL: Final = "https://via.placeholder.com/600.png"

_numbers: Final = itertools.count(1)


class Purse(Struct, frozen=True, kw_only=True):
    """An issuer, one of its cardholders, an account and a card of it."""

    issuer: Issuer
    cardholder: Cardholder
    account: Account
    card: Card


async def now_of(tx: Tx) -> datetime:
    """Tell the test's time."""
    return (await read_clock(tx)).now()


async def make_issuer(db: Database, *, name: str | None = None, bin_: str = BIN) -> Issuer:
    """Add an issuer."""

    async def work(tx: Tx) -> Issuer:
        name_ = name or f"Issuer {secrets.token_hex(6)}"
        return await cards.add_issuer(tx, name=name_, bin_=bin_, now=await now_of(tx))

    return await db.transaction(work)


async def set_cash_fee(db: Database, issuer: Issuer, rule: FeeRule | None) -> Issuer:
    """Let an issuer take this for a cash withdrawal."""

    async def work(tx: Tx) -> Issuer:
        fees = {cards.FEES[0]: rule}
        now = await now_of(tx)
        return await cards.update_issuer(tx, issuer_id=issuer.id, name=None, fees=fees, now=now)

    return await db.transaction(work)


def make_profile(issuer: Issuer, **others: Any) -> CreateCardholder:  # noqa: ANN401 - its fields
    """Make the command that creates a cardholder as the API's document shows one."""
    fields: dict[str, Any] = {
        "name": "Tang Dara",
        "phone_number": "855715200960",
        "email": None,
        "born_on": date(2016, 12, 20),
        "address": "#87, Street 63 (Trasak Paem), Phnom Penh, Cambodia",
        "identity_document_number": "123456789",
        "identity_document_type": "id_card",
        "photo_url": PHOTO_URL,
        "identity_document_url": DOCUMENT_URL,
        "additional_details": {"name_km": "តាំង តារា", "member_since": "2017"},
        "metadata": {"foobar": "foobar"},
    }
    return CreateCardholder(issuer_id=issuer.id, **(fields | others))


async def create_cardholder(db: Database, issuer: Issuer, **others: Any) -> Cardholder:  # noqa: ANN401 - its fields
    """Create a cardholder, whose review is due."""

    async def work(tx: Tx) -> Cardholder:
        profile = make_profile(issuer, **others)
        (made,) = await cards.create_cardholders(tx, [profile], now=await now_of(tx))
        return made

    return await db.transaction(work)


async def decide(db: Database, cardholder: Cardholder, *, reason: str | None = None) -> Cardholder:
    """Accept a cardholder, or reject it for a reason."""

    async def work(tx: Tx) -> Cardholder:
        return await cards.decide_review(
            tx,
            cardholder_id=cardholder.id,
            issuer_id=cardholder.issuer_id,
            rejection_reason=reason,
            now=await now_of(tx),
        )

    return await db.transaction(work)


async def make_cardholder(db: Database, issuer: Issuer) -> Cardholder:
    """Create a cardholder who is accepted."""
    return await decide(db, await create_cardholder(db, issuer))


def next_number() -> str:
    """Make an account number unlike any other."""
    return f"{next(_numbers):06}"


def make_opening(
    cardholder: Cardholder, *, number: str | None = None, issuer: Issuer | None = None
) -> OpenCardAccount:
    """Make the command that opens an account."""
    return OpenCardAccount(
        issuer_id=issuer.id if issuer else cardholder.issuer_id,
        cardholder_id=cardholder.id,
        number=number or next_number(),
        metadata={"foobar": "foobar"},
    )


async def open_all(db: Database, commands: Sequence[OpenCardAccount]) -> list[Account | BayonError]:
    """Open accounts as one batch, now."""

    async def work(tx: Tx) -> list[Account | BayonError]:
        return await open_accounts(tx, commands, now=await now_of(tx))

    return await db.transaction(work)


async def make_account(db: Database, cardholder: Cardholder, *, usd_minor: int = 0) -> Account:
    """Open an account with this much on it."""
    (account,) = await open_all(db, [make_opening(cardholder)])
    assert isinstance(account, Account)
    if usd_minor:
        await move_one(db, make_topup(account, usd_minor))
    return account


async def make_card(
    db: Database,
    account: Account,
    *,
    pin: Secret | None = PIN,
    exp: tuple[int, int] = (12, 2099),
    status: CardStatus = "active",
) -> Card:
    """Import a card, and give it this status."""

    async def work(tx: Tx) -> Card:
        now = await now_of(tx)
        command = ImportCard(
            issuer_id=account.issuer_id,
            account_id=account.id,
            pan=VAULT.make_pan(BIN),
            exp_month=exp[0],
            exp_year=exp[1],
            pin=pin,
        )
        card = await cards.import_card(tx, command, vault=VAULT, now=now)
        return await cards.update_card(
            tx, issuer_id=card.issuer_id, card_id=card.id, status=status, now=now
        )

    return await db.transaction(work)


async def make_purse(db: Database, *, usd_minor: int = 0, issuer: Issuer | None = None) -> Purse:
    """Make an issuer (or take this one), a cardholder, an account with this much, and a card."""
    issuer = issuer or await make_issuer(db)
    cardholder = await make_cardholder(db, issuer)
    account = await make_account(db, cardholder, usd_minor=usd_minor)
    card = await make_card(db, account)
    return Purse(issuer=issuer, cardholder=cardholder, account=account, card=card)


def make_authorize(card: Card, amount_minor: int, **others: Any) -> Authorize:  # noqa: ANN401 - its fields
    """Make a request to spend with a card: a purchase unless it says otherwise."""
    fields: dict[str, Any] = {
        "issuer_id": card.issuer_id,
        "currency": "USD",
        "kind": "purchase",
        "merchant": RIDES,
        "proof": Proof(pin=others.pop("pin", None)),
        "posts": others.get("kind") == "cash_withdrawal",
    }
    return Authorize(card_id=card.id, amount_minor=amount_minor, **(fields | others))


def make_withdrawal(card: Card, amount_minor: int, **others: Any) -> Authorize:  # noqa: ANN401 - its fields
    """Make a request for cash."""
    kind: Kind = "cash_withdrawal"
    return make_authorize(card, amount_minor, kind=kind, **others)


def make_clear(
    transaction: Transaction, amount_minor: int | None = None, *, final: bool = True
) -> Clear:
    """Make the command that clears a transaction."""
    return Clear(
        issuer_id=transaction.issuer_id,
        transaction_id=transaction.id,
        amount_minor=amount_minor,
        final=final,
    )


def make_topup(account: Account, amount_minor: int, *, at: datetime | None = None) -> Topup:
    """Make the command that puts money onto an account."""
    return Topup(
        issuer_id=account.issuer_id,
        account_id=account.id,
        amount_minor=amount_minor,
        funding_source="Agent Network",
        occurred_at=at,
    )


async def move_all(
    db: Database, commands: Sequence[Move], *, now: datetime | None = None
) -> list[Transaction | BayonError]:
    """Move as one batch, now if not then."""
    return [
        outcome if isinstance(outcome, BayonError) else _transaction(outcome)
        for outcome in await move_whole(db, commands, now=now)
    ]


async def move_whole(
    db: Database, commands: Sequence[Move], *, now: datetime | None = None
) -> list[Moved | BayonError]:
    """Move as one batch, and tell all that has come of it."""

    async def work(tx: Tx) -> list[Moved | BayonError]:
        return await cards.move(tx, commands, vault=VAULT, now=now or await now_of(tx))

    return await db.transaction(work)


def _transaction(moved: Moved) -> Transaction:
    assert moved.transaction is not None
    return moved.transaction


async def move_one(db: Database, command: Move, *, now: datetime | None = None) -> Transaction:
    """Move once; whatever is no transaction is raised."""
    (outcome,) = await move_all(db, [command], now=now)
    if isinstance(outcome, BayonError):
        raise outcome
    return outcome


async def balance_of(db: Database, account: Account) -> Balance:
    """Tell what is on an account."""
    (found,) = await db.read(lambda tx: ledger.balance(tx, [account.ledger_account_id]))
    assert found is not None
    return found


async def keep_transactions(db: Database, transactions: Sequence[Transaction]) -> None:
    """Insert transactions as they are, whatever they should have moved."""
    await db.transaction(lambda tx: insert_transactions(tx, transactions))


@asynccontextmanager
async def desks_on(url: str, count: int, *, batch_size_max: int) -> AsyncGenerator[list[Desk]]:
    """Make desks with a pool each, as processes of their own would have."""
    opened = [await Database.connect(url, size_max=3) for _ in range(count)]
    yield [make_desk(db, batch_size_max=batch_size_max) for db in opened]
    for db in opened:
        await db.close()


def make_desk(
    db: Database, *, batch_size_max: int = 500, policy: Policy | None = None, timeout_s: float = 2.0
) -> Desk:
    """Make the card management of one process."""
    return Desk(
        db,
        SEALER,
        VAULT,
        Fetcher(loopback=True, timeout_s=timeout_s, size_max=20_000),
        policy=policy or Policy(),
        batch_size_max=batch_size_max,
    )


def make_request(
    command: Move, *, key: str | None = None, body: bytes = b""
) -> Request[Move, Transaction]:
    """Make a request to the desk, rendered with something no second rendering would repeat."""
    keys = (Key.of("test", key=key, body=body),) if key is not None else ()
    return Request(command=command, render=_rendered, keys=keys)


async def event_types(db: Database, issuer: Issuer) -> list[str]:
    """Tell the types of an issuer's events, in the order of their commits, the oldest first."""
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT type FROM events.event WHERE owner_id = $1 ORDER BY seq", issuer.id
        )
    )
    return [row["type"] for row in rows]


@asynccontextmanager
async def checked_database(server: Server) -> AsyncGenerator[tuple[Database, str]]:
    """Make a database that the tests of a file share, and check it when they are over."""
    url = await server.clone()
    db = await Database.connect(url)
    yield db, url
    for check in (ledger.check, cards.check):
        assert await db.transaction(check, isolation="repeatable_read") == []
    await db.close()
    await server.drop(url)


def instant(text: str) -> datetime:
    """Read an instant of a document."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _rendered(transaction: Transaction) -> bytes:
    return f"{transaction.id} {transaction.status} {secrets.token_hex(8)}".encode()
