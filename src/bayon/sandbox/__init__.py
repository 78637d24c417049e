"""The sandbox door: simulate endpoints, the mail, the clock, demo data."""

from bayon.sandbox.api import SandboxDoor, refuse
from bayon.sandbox.demo import Demo, Keys, TokenMaker, keep_keys, seed

__all__ = ["Demo", "Keys", "SandboxDoor", "TokenMaker", "keep_keys", "refuse", "seed"]
