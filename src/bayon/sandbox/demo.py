"""Demo data: what a developer finds in a sandbox that has just been started.

Seeding again changes nothing. Tokens and keys are kept in the database, so that every process on
it, and the next start, has the same ones; demo tokens do not expire.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from bayon import payments
from bayon.cards import Vault, VaultKeys
from bayon.db import RunAgain, Tx, change_secret, keep_secret
from bayon.log import Secret
from bayon.money import Currency
from bayon.payments import (
    Deposit,
    OpenPaymentAccount,
    Participant,
    ParticipantExists,
    ParticipantNotFound,
    Statement,
)
from bayon.sandbox.demo_cards import seed_cards
from bayon.sandbox.demo_rates import seed_rates
from bayon.seal import Sealer
from bayon.web import keep_token, new_token

PARTICIPANT: Final = ("devb", "Dev Bank")
ACCOUNTS: Final = {
    "dave@devb": "Dave",
    "bridge_account@devb": "Bridge Account",
    "rieu_dhqj_1984@devb": "Rieu Dhqj",
}
FUNDS_MINOR: Final = {Currency.USD: 1_000_000_00, Currency.KHR: 4_000_000_000_00}
EMAIL: Final = "sandbox@bayon.test"
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys a sandbox made for itself."""

    seal_keys: Secret
    bakong_jwt_key: Secret
    vault: VaultKeys
    zone_pin_key: Secret


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a developer needs to begin."""

    bakong_token: str
    participant_token: str
    cms_token: str
    other_cms_token: str
    webhook_signing_secret: str


class TokenMaker(Protocol):
    """Makes a signed token of the Open API; the door that signs them gives it."""

    def __call__(self, *, integrator_id: str, now: datetime, ttl: timedelta) -> str:
        """Make a token that lives for `ttl`."""
        ...


async def keep_keys(tx: Tx) -> Keys:
    """Make the sandbox's keys, or find those it has."""

    async def keep(name: str, value: str) -> Secret:
        return Secret(await keep_secret(tx, name=name, value=value))

    return Keys(
        seal_keys=await keep("seal_keys", f"1:{secrets.token_hex(32)}"),
        bakong_jwt_key=await keep("bakong_jwt_key", secrets.token_hex(32)),
        vault=VaultKeys(
            vault_keys=await keep("vault_keys", f"1:{secrets.token_hex(32)}"),
            vault_lookup_key=await keep("vault_lookup_key", secrets.token_hex(32)),
            pin_verification_key=await keep("pin_verification_key", secrets.token_hex(16)),
            card_verification_key=await keep("card_verification_key", secrets.token_hex(16)),
            card_cryptogram_key=await keep("card_cryptogram_key", secrets.token_hex(16)),
        ),
        zone_pin_key=await keep("zone_pin_key", secrets.token_hex(16)),
    )


async def add_vault_key(tx: Tx) -> int:
    """Make the next version of the key that seals card numbers; returns it.

    A sandbox that runs has it when it is started anew. Locks and writes the kept secret.
    Errors: `Invalid` when there are as many versions as there can be.
    """
    kept = await keep_secret(tx, name="vault_keys", value=f"1:{secrets.token_hex(32)}")
    version = Sealer.from_text(kept).newest + 1
    keys = f"{kept},{version}:{secrets.token_hex(32)}"
    Sealer.from_text(keys)
    await change_secret(tx, name="vault_keys", value=keys)
    return version


async def seed(tx: Tx, *, now: datetime, make_token: TokenMaker, vault: Vault) -> Demo:
    """Put the demo data there, once."""
    participant = await _participant(tx, now=now)
    integrator_id = await payments.register_verified(
        tx, email=EMAIL, organization="Bayon", project="Sandbox", now=now
    )
    sealer = Sealer.from_text((await keep_keys(tx)).seal_keys.reveal())
    demo_cards = await seed_cards(tx, vault=vault, sealer=sealer, now=now)
    await seed_rates(tx, now=now)
    return Demo(
        cms_token=demo_cards.cms_token,
        other_cms_token=demo_cards.other_cms_token,
        webhook_signing_secret=demo_cards.webhook_signing_secret,
        participant_token=await _participant_token(tx, participant, now=now),
        bakong_token=await _bakong_token(tx, integrator_id, make_token, now=now),
    )


async def _participant(tx: Tx, *, now: datetime) -> Participant:
    code, name = PARTICIPANT
    try:
        return await payments.participant(tx, code=code)
    except ParticipantNotFound:
        participant = await _add(tx, code=code, name=name, now=now)
    for account_id, holder in ACCOUNTS.items():
        await _account(tx, participant, account_id=account_id, name=holder, now=now)
    return participant


async def _add(tx: Tx, *, code: str, name: str, now: datetime) -> Participant:
    try:
        return await payments.add_participant(tx, code=code, name=name, now=now)
    except ParticipantExists as error:
        raise RunAgain from error  # another process is seeding this very moment


async def _account(
    tx: Tx, participant: Participant, *, account_id: str, name: str, now: datetime
) -> None:
    command = OpenPaymentAccount(
        participant_id=participant.id,
        account_id=account_id,
        name=name,
        currencies=frozenset(Currency),
    )
    (opened,) = await payments.open_accounts(tx, [command], now=now)
    assert isinstance(opened, Statement), opened
    deposits = [
        Deposit(
            participant_id=participant.id,
            account_id=account_id,
            currency=currency,
            amount_minor=amount_minor,
        )
        for currency, amount_minor in FUNDS_MINOR.items()
    ]
    await payments.deposit(tx, deposits, now=now)


async def _participant_token(tx: Tx, participant: Participant, *, now: datetime) -> str:
    token = await keep_secret(tx, name="demo_participant_token", value=new_token())
    await keep_token(
        tx, kind="participant", owner=str(participant.id), token=token, label="demo", now=now
    )
    return token


async def _bakong_token(
    tx: Tx, integrator_id: str, make_token: TokenMaker, *, now: datetime
) -> str:
    made = make_token(integrator_id=integrator_id, now=now, ttl=NEVER - now)
    token = await keep_secret(tx, name="demo_bakong_token", value=made)
    await keep_token(tx, kind="integrator", owner=integrator_id, token=token, label="demo", now=now)
    return token
