"""The verb that shows the settings as they take effect."""

import argparse

from bayon.cli.connect import Args, add_verb, settings_of
from bayon.keys import check_values


def config_verb(parser: argparse.ArgumentParser) -> None:
    """Add the verb."""
    add_verb(parser, _config)


async def _config(args: Args) -> int:
    settings = settings_of(args)
    for name, value in settings.redacted().items():
        print(f"BAYON_{name.upper()}={value}")
    for name, value in check_values(settings).items():
        print(f"# check value of {name}: {value}")
    return 0
