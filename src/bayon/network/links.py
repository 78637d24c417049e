"""Links: which there are, from a TOML file. Pure, but for reading that file.

    [links.switch]
    host = "0.0.0.0"
    port = 8583
    profile = "bcd"
    allow = ["10.1.0.0/16"]
    zone_pin_key_variable = "SWITCH_ZONE_PIN_KEY"

A link has a port of its own, so that its name, which is part of messages' identity, follows from
where a peer connects. Keys stand in the environment, never here.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final

import msgspec

from bayon.errors import Invalid
from bayon.log import Secret
from bayon.network.host import CONNECTIONS_MAX, IN_FLIGHT_MAX
from bayon.network.profile import DEFAULT_PROFILE

PORT_MAX: Final = 65_535

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class BadLinks(Invalid):
    """The file of links is not valid."""

    code = "bad_links"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: int
    host: str = "127.0.0.1"
    profile: str = DEFAULT_PROFILE
    allow: tuple[str, ...] = ()
    zone_pin_key_variable: str | None = None
    connections_max: int = CONNECTIONS_MAX
    in_flight_max: int = IN_FLIGHT_MAX


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    links: dict[str, _Entry]


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """One link: where it listens, how it writes, whom it is for, and its own key, if it has one."""

    name: str
    host: str
    port: int
    profile: str = DEFAULT_PROFILE
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    zone_pin_key: Secret | None = None
    connections_max: int = CONNECTIONS_MAX
    in_flight_max: int = IN_FLIGHT_MAX


def load_links(path: Path, env: Mapping[str, str]) -> list[LinkSettings]:
    """Read the file of links, and their keys from the environment. Errors: `BadLinks`."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        links = msgspec.convert(table, _File).links
    except (OSError, ValueError, tomllib.TOMLDecodeError) as error:
        raise BadLinks(f"The file of links {path} is not valid: {error}.") from None
    if not links:
        raise BadLinks(f"The file of links {path} has none.")
    found = [_link(name, entry, env) for name, entry in links.items()]
    if len({(link.host, link.port) for link in found}) < len(found):
        raise BadLinks("Two links have one port: each has its own.")
    return found


def _link(name: str, entry: _Entry, env: Mapping[str, str]) -> LinkSettings:
    if not _NAME.fullmatch(name):
        raise BadLinks(f"{name} is no name of a link: small letters, digits, dashes.")
    if not 0 <= entry.port <= PORT_MAX:
        raise BadLinks(f"The link {name} has no port: from 0 to {PORT_MAX}.")
    if min(entry.connections_max, entry.in_flight_max) < 1:
        raise BadLinks(f"The link {name} lets nobody in.")
    try:
        allow = tuple(ip_network(each) for each in entry.allow)
    except ValueError:
        raise BadLinks(f"The link {name} allows what is no network.") from None
    variable = entry.zone_pin_key_variable
    if variable is not None and not env.get(variable):
        raise BadLinks(f"The link {name} has its key in {variable}, which is not set.")
    return LinkSettings(
        name=name,
        host=entry.host,
        port=entry.port,
        profile=entry.profile,
        allow=allow,
        zone_pin_key=None if variable is None else Secret(env[variable]),
        connections_max=entry.connections_max,
        in_flight_max=entry.in_flight_max,
    )
