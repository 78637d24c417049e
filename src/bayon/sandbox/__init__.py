"""The sandbox door: simulate endpoints, the mail, the clock, demo data."""

from bayon.sandbox.api import SandboxDoor, refuse
from bayon.sandbox.demo import Demo, Keys, TokenMaker, add_vault_key, keep_keys, seed
from bayon.sandbox.demo_cards import DEMO_ISSUER, WEBHOOK_KEPT_AS, WEBHOOK_PORT

__all__ = [
    "DEMO_ISSUER",
    "WEBHOOK_KEPT_AS",
    "WEBHOOK_PORT",
    "Demo",
    "Keys",
    "SandboxDoor",
    "TokenMaker",
    "add_vault_key",
    "keep_keys",
    "refuse",
    "seed",
]
