"""The command line: verbs by what they are about."""

from bayon.cli.run import main

__all__ = ["main"]
