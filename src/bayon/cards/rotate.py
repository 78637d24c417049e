"""Rotation: every card number under the newest version of the vault's key.

In steps, each a transaction of its own, so that nobody waits for the whole; killed at any moment,
what is done is done, and the next run does the rest. Cards that others have locked are passed
over, for another round. Every process must have the newest version before the first step.
"""

from uuid import UUID

from bayon.cards import vault_store
from bayon.cards.vault import Vault
from bayon.db import Tx
from bayon.errors import Invalid
from bayon.seal import BadSeal


async def sealed_under(tx: Tx, *, vault: Vault) -> dict[int, int]:
    """Count the card numbers each version of the key has sealed, and make sure that all will open.

    Looks at one of each version. Errors: `Invalid` when a version that sealed some is missing, or
    is another key than the one that did.
    """
    counts = await vault_store.count_by_version(tx)
    missing = [str(version) for version in counts if version not in vault.versions]
    if missing:
        raise Invalid(
            f"Card numbers are sealed under versions that are not here: {', '.join(missing)}."
        )
    for version in counts:
        sample = await vault_store.sample_of_version(tx, version=version)
        if sample is not None and not _opens(vault, *sample):
            raise Invalid(f"Version {version} is another key than the one that sealed under it.")
    return counts


async def reseal(tx: Tx, *, vault: Vault, after: UUID | None, limit: int) -> list[UUID]:
    """Seal the next card numbers anew, of cards after that one by id; returns whose, in order.

    Locks those cards and writes them. Errors: `Invalid` when one does not open; none is written.
    """
    found = await vault_store.lock_sealed_otherwise(
        tx, version=vault.newest, after=after or UUID(int=0), limit=limit
    )
    sealed = {card_id: _sealed_anew(vault, card_id, old) for card_id, old in found.items()}
    await vault_store.update_sealed(tx, sealed)
    return list(sealed)


def _sealed_anew(vault: Vault, card_id: UUID, sealed: bytes) -> bytes:
    try:
        return vault.seal_pan(vault.open_pan(sealed, card_id=card_id), card_id=card_id)
    except BadSeal as error:
        raise Invalid(f"The number of card {card_id} does not open.") from error


def _opens(vault: Vault, card_id: UUID, sealed: bytes) -> bool:
    try:
        vault.open_pan(sealed, card_id=card_id)
    except BadSeal:
        return False
    return True
