"""Demo data of card management: an issuer with one of everything, and one with nothing."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from bayon import cards, events
from bayon.cards import (
    Account,
    Cardholder,
    CreateCardholder,
    ImportCard,
    Issuer,
    IssuerExists,
    Moved,
    OpenCardAccount,
    Topup,
    Vault,
)
from bayon.db import RunAgain, Tx, keep_secret, read_secret
from bayon.errors import BayonError
from bayon.fetch import Fetcher
from bayon.log import Secret
from bayon.seal import Sealer
from bayon.web import keep_token, new_token

DEMO_ISSUER: Final = "Demo Issuer"
NAMES: Final = (DEMO_ISSUER, "Other Demo Issuer")
WEBHOOK_PORT: Final = 8584
WEBHOOK_KEPT_AS: Final = "demo_webhook_signing_secret"
NUMBER: Final = "900001"
FUNDS_MINOR: Final = 100_00
PIN: Final = "5279"
YEARS: Final = 3


@dataclass(frozen=True, kw_only=True)
class DemoCards:
    """The tokens of both issuers, and the secret of the first one's webhook endpoint."""

    cms_token: str
    other_cms_token: str
    webhook_signing_secret: str


async def seed_cards(tx: Tx, *, vault: Vault, sealer: Sealer, now: datetime) -> DemoCards:
    """Put both issuers there, once, and what the first one has."""
    known = {issuer.name: issuer for issuer in await cards.issuers(tx)}
    first, other = [known.get(name) or await _issuer(tx, name, now=now) for name in NAMES]
    if first.name not in known:
        await _one_of_everything(tx, first.id, vault, now=now)
    return DemoCards(
        cms_token=await _token(tx, first, name="demo_cms_token", now=now),
        other_cms_token=await _token(tx, other, name="demo_other_cms_token", now=now),
        webhook_signing_secret=await _webhook(tx, first.id, sealer, now=now),
    )


async def _issuer(tx: Tx, name: str, *, now: datetime) -> Issuer:
    try:
        return await cards.add_issuer(tx, name=name, now=now)
    except IssuerExists as error:
        raise RunAgain from error  # another process is seeding this very moment


async def _token(tx: Tx, issuer: Issuer, *, name: str, now: datetime) -> str:
    token = await keep_secret(tx, name=name, value=new_token())
    await keep_token(tx, kind="issuer", owner=str(issuer.id), token=token, label="demo", now=now)
    return token


async def _webhook(tx: Tx, issuer_id: UUID, sealer: Sealer, *, now: datetime) -> str:
    """Put an endpoint there, once, that is disabled until somebody wants it."""
    if kept := await read_secret(tx, name=WEBHOOK_KEPT_AS):
        return kept
    made = await events.create_endpoint(
        tx,
        owner_id=issuer_id,
        url=f"http://localhost:{WEBHOOK_PORT}/",
        enabled=False,
        sealer=sealer,
        fetcher=Fetcher(loopback=True),
        now=now,
    )
    secret = made.secret.reveal()
    if await keep_secret(tx, name=WEBHOOK_KEPT_AS, value=secret) != secret:
        raise RunAgain  # another process is seeding this very moment
    return secret


async def _one_of_everything(tx: Tx, issuer_id: UUID, vault: Vault, *, now: datetime) -> None:
    cardholder = await _cardholder(tx, issuer_id, now=now)
    account = await _account(tx, cardholder, now=now)
    command = ImportCard(
        issuer_id=issuer_id,
        account_id=account.id,
        pan=vault.make_pan(cards.BIN_DEFAULT),
        exp_month=now.month,
        exp_year=now.year + YEARS,
        pin=Secret(PIN),
    )
    await cards.import_card(tx, command, vault=vault, now=now)
    topup = Topup(
        issuer_id=issuer_id,
        account_id=account.id,
        amount_minor=FUNDS_MINOR,
        funding_source="Demo funds",
    )
    (funded,) = await cards.move(tx, [topup], vault=vault, now=now)
    assert isinstance(funded, Moved), funded


async def _cardholder(tx: Tx, issuer_id: UUID, *, now: datetime) -> Cardholder:
    command = CreateCardholder(
        issuer_id=issuer_id,
        name="Sok Dara",
        phone_number="85512345678",
        email=None,
        born_on=date(1990, 4, 9),
        address="#1, Norodom Boulevard, Phnom Penh, Cambodia",
        identity_document_number="012345678",
        identity_document_type="id_card",
        photo_url="https://bayon.example/photo.png",
        identity_document_url="https://bayon.example/id.png",
        additional_details={"name_km": "សុខ តារា"},
        metadata={},
    )
    (made,) = await cards.create_cardholders(tx, [command], now=now)
    return await cards.decide_review(
        tx, cardholder_id=made.id, issuer_id=issuer_id, rejection_reason=None, now=now
    )


async def _account(tx: Tx, cardholder: Cardholder, *, now: datetime) -> Account:
    command = OpenCardAccount(
        issuer_id=cardholder.issuer_id, cardholder_id=cardholder.id, number=NUMBER, metadata={}
    )
    (opened,) = await cards.open_accounts(tx, [command], now=now)
    assert not isinstance(opened, BayonError), opened
    return opened
