"""The door to the card network: ISO 8583, as each link writes it; and the acquirer's end of one."""

from bayon.network import acquirer
from bayon.network.client import Caller, NoAnswer
from bayon.network.connection import Link
from bayon.network.describe import (
    describe,
    describe_dump,
    read_dump,
    redacted,
    response_name,
)
from bayon.network.exchange import KeyExchange
from bayon.network.host import Host
from bayon.network.iso8583 import Message
from bayon.network.links import BadLinks, LinkSettings, load_links
from bayon.network.load import Load, Loaded, prepared, run_load
from bayon.network.messages import Terms
from bayon.network.profile import DEFAULT_PROFILE, Profile, load_profile

__all__ = [
    "DEFAULT_PROFILE",
    "BadLinks",
    "Caller",
    "Host",
    "KeyExchange",
    "Link",
    "LinkSettings",
    "Load",
    "Loaded",
    "Message",
    "NoAnswer",
    "Profile",
    "Terms",
    "acquirer",
    "describe",
    "describe_dump",
    "load_links",
    "load_profile",
    "prepared",
    "read_dump",
    "redacted",
    "response_name",
    "run_load",
]
