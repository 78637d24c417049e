"""The door to the card network: ISO 8583, as each link writes it."""

from bayon.network.describe import describe_dump, read_dump
from bayon.network.profile import DEFAULT_PROFILE, load_profile

__all__ = ["DEFAULT_PROFILE", "describe_dump", "load_profile", "read_dump"]
