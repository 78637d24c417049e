"""The verb that recomputes every balance."""

import argparse
import time

from bayon.app import check
from bayon.cli.connect import Args, add_verb, with_database


def check_verb(parser: argparse.ArgumentParser) -> None:
    """Add the verb."""
    add_verb(parser, _check)


async def _check(args: Args) -> int:
    started = time.monotonic()
    found = await with_database(
        args, lambda db, _: db.transaction(check, isolation="repeatable_read")
    )
    for finding in found:
        print(f"NOT TRUE: {finding.invariant}: {finding.subject}")
    seconds = time.monotonic() - started
    print(f"{len(found)} findings" if found else f"All invariants hold ({seconds:.1f} s).")
    return 1 if found else 0
