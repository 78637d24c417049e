"""The verbs of the vault: its sealing key is renewed, and card numbers are sealed under it."""

import argparse
import asyncio
from typing import Final
from uuid import UUID

from bayon import cards, sandbox
from bayon.cards import Vault
from bayon.cli.connect import Args, add_verb, is_sandbox, with_database
from bayon.cli.wrap import sent_keys_verb, wrap_verb
from bayon.config import Settings
from bayon.db import Database, Tx
from bayon.errors import Invalid
from bayon.keys import vault_keys

STEP: Final = 500
ROUND_PAUSE_S: Final = 0.05
"""How long cards that somebody has locked are left to them before another round."""


def vault_verbs(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of the vault."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    rotate = add_verb(
        verbs.add_parser("rotate", help="seal every card number under the newest key"), _rotate
    )
    rotate.add_argument(
        "--step",
        type=int,
        metavar="N",
        default=STEP,
        help="card numbers in one transaction; %(default)s if not given",
    )
    add_verb(
        verbs.add_parser("new-key", help="a sandbox's next key (yours is a setting)"), _new_key
    )
    wrap_verb(verbs.add_parser("wrap", help="make a key block of a zone PIN key"))
    sent_keys_verb(verbs.add_parser("sent-keys", help="list the zone PIN keys networks have sent"))


async def vault_of(tx: Tx, settings: Settings) -> Vault:
    """Make this database's vault: by the sandbox's own keys, else by yours."""
    if await is_sandbox(tx):
        return Vault((await sandbox.keep_keys(tx)).vault)
    return Vault(vault_keys(settings))


async def _rotate(args: Args) -> int:
    if args.step < 1:
        raise Invalid("A step is one card number or more.")

    async def work(db: Database, settings: Settings) -> tuple[Vault, int, dict[int, int]]:
        vault = await db.transaction(lambda tx: vault_of(tx, settings))
        count = await _reseal_all(db, vault, step=args.step)
        return vault, count, await _sealed_under(db, vault)

    vault, count, left = await with_database(args, work)
    print(f"{count} card numbers were sealed anew; all are under version {vault.newest}.")
    for version in sorted(vault.versions - left.keys() - {vault.newest}):
        print(f"Version {version} seals no card number any more: only older backups need it.")
    return 0


async def _reseal_all(db: Database, vault: Vault, *, step: int) -> int:
    """Go round by round over what other versions sealed, until there is none; returns how many."""
    count = 0
    while (await _sealed_under(db, vault)).keys() - {vault.newest}:
        after: UUID | None = None
        while done := await _reseal(db, vault, after, step):
            count, after = count + len(done), done[-1]
        await asyncio.sleep(ROUND_PAUSE_S)
    return count


async def _reseal(db: Database, vault: Vault, after: UUID | None, step: int) -> list[UUID]:
    return await db.transaction(lambda tx: cards.reseal(tx, vault=vault, after=after, limit=step))


async def _sealed_under(db: Database, vault: Vault) -> dict[int, int]:
    return await db.read(lambda tx: cards.sealed_under(tx, vault=vault))


async def _new_key(args: Args) -> int:
    async def work(tx: Tx) -> int:
        if not await is_sandbox(tx):
            raise Invalid("Your own database's keys are yours: write the next one beside the last.")
        return await sandbox.add_vault_key(tx)

    version = await with_database(args, lambda db, _: db.transaction(work))
    print(f"Version {version} is kept. Start `bayon dev` anew, then run `bayon vault rotate`.")
    return 0
