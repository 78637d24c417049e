"""The verb that brings a database's schema up to date."""

import argparse

from bayon.cli.connect import Args, add_verb, with_database
from bayon.db import migrate


def migrate_verb(parser: argparse.ArgumentParser) -> None:
    """Add the verb."""
    add_verb(parser, _migrate)


async def _migrate(args: Args) -> int:
    applied = await with_database(args, lambda db, _: migrate(db), migrated=False)
    print("\n".join(applied) or "The schema is up to date.")
    return 0
