"""Issuers: who issues cards, with its own side of the ledger."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bayon import events, ledger
from bayon.cards import store
from bayon.cards.model import BadAttributes, Decider, FeeRule, Issuer, IssuerExists, IssuerNotFound
from bayon.db import Tx
from bayon.errors import Invalid
from bayon.ids import uuid7
from bayon.ledger import OpenAccount
from bayon.money import Currency

BIN_DEFAULT: Final = "91160000"
"""A test BIN: 9 says national, 116 Cambodia."""

FEES: Final = ("interbank_cash_withdrawal",)
SIDES: Final = ("funding", "clearing", "fees")
NAME_LENGTH_MAX: Final = 100

_BIN: Final = re.compile(r"[0-9]{6,9}")


class NewDecider(Struct, frozen=True, kw_only=True):
    """Whom an issuer has asked from now on, with the sealed secret that signs; or nobody."""

    decider: Decider | None
    secret_sealed: bytes | None


async def add_issuer(tx: Tx, *, name: str, bin_: str = BIN_DEFAULT, now: datetime) -> Issuer:
    """Add an issuer and open its side of the ledger: funding, clearing and fees, in USD.

    Writes ledger accounts, the issuer and its counters. Errors: `Invalid` when the name is empty
    or too long, or the BIN is none; `IssuerExists`.
    """
    if not 0 < len(name.strip()) <= NAME_LENGTH_MAX:
        raise Invalid(f"An issuer's name has 1 to {NAME_LENGTH_MAX} characters.")
    if not _BIN.fullmatch(bin_):
        raise Invalid("A BIN has six to nine digits.")
    issuer_id = uuid7()
    funding, clearing, fees = await ledger.open_account(
        tx,
        [
            OpenAccount(currency=Currency.USD, kind="system", name=f"{side} {issuer_id} USD")
            for side in SIDES
        ],
        now=now,
    )
    issuer = Issuer(
        id=issuer_id,
        name=name.strip(),
        bin=bin_,
        fees={},
        funding_account_id=funding.id,
        clearing_account_id=clearing.id,
        fees_account_id=fees.id,
        created_at=now,
        updated_at=now,
    )
    if not await store.insert_issuer(tx, issuer):
        raise IssuerExists
    await events.open_stream(tx, owner_id=issuer_id)
    return issuer


async def issuers(tx: Tx) -> list[Issuer]:
    """List all issuers, by name."""
    return await store.issuers(tx)


async def find_issuer(tx: Tx, *, issuer_id: UUID) -> Issuer:
    """Find an issuer. Errors: `IssuerNotFound`."""
    found = await store.find_issuers(tx, [issuer_id])
    if issuer_id not in found:
        raise IssuerNotFound
    return found[issuer_id]


async def find_issuer_by_name(tx: Tx, *, name: str) -> Issuer:
    """Find an issuer by its name. Errors: `IssuerNotFound`."""
    found = {issuer.name: issuer for issuer in await store.issuers(tx)}
    if name not in found:
        raise IssuerNotFound
    return found[name]


async def update_issuer(
    tx: Tx,
    *,
    issuer_id: UUID,
    name: str | None,
    fees: Mapping[str, FeeRule | None] | None,
    now: datetime,
    decision: NewDecider | None = None,
) -> Issuer:
    """Change an issuer's name, fees and whom it has asked. Locks and writes the issuer.

    A fee that is None goes.

    Errors: `IssuerNotFound`; `BadAttributes` when another issuer has the name; `RunAgain` when it
    was taken just now.
    """
    before = await store.lock_issuer(tx, issuer_id)
    if before is None:
        raise IssuerNotFound
    if name is not None and _taken(await store.issuers(tx), name, but=issuer_id):
        raise BadAttributes.at("/data/attributes/name", "must be unique")
    changed = {**before.fees, **(fees or {})}
    after = replace(
        before,
        name=name or before.name,
        fees={kind: rule for kind, rule in changed.items() if rule is not None},
        updated_at=now,
    )
    if decision is not None:
        after = _asking(after, decision)
    await store.update_issuer(tx, after)
    return after


def _asking(issuer: Issuer, new: NewDecider) -> Issuer:
    """Have somebody asked, with the secret there is, if it is the same URL as before."""
    same = issuer.decision and new.decider and issuer.decision.url == new.decider.url
    sealed = issuer.decision_secret_sealed if same else new.secret_sealed
    return replace(issuer, decision=new.decider, decision_secret_sealed=sealed)


def _taken(issuers: Sequence[Issuer], name: str, *, but: UUID) -> bool:
    return any(issuer.name == name and issuer.id != but for issuer in issuers)
