"""Links: which there are, from a TOML file. Pure, but for reading that file.

    [links.switch]
    host = "0.0.0.0"
    port = 8583
    profile = "bcd"
    allow = ["10.1.0.0/16"]
    zone_pin_key_variable = "SWITCH_ZONE_PIN_KEY"

    [links.national]
    connect = "switch.example:5000"

A link listens on a port of its own, or connects to a peer, so that its name, which is part of
messages' identity, follows from who is at the other end. Keys stand in the environment, never here.
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
from bayon.network.connection import CONNECTIONS_MAX, IN_FLIGHT_MAX
from bayon.network.dial import ECHO_S, Peer
from bayon.network.profile import DEFAULT_PROFILE

PORT_MAX: Final = 65_535
LOCALHOST: Final = "127.0.0.1"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ADDRESS: Final = re.compile(
    r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*))"
    r":(?P<port>[0-9]{1,5})"
)


class BadLinks(Invalid):
    """The file of links is not valid."""

    code = "bad_links"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: int | None = None
    host: str | None = None
    allow: tuple[str, ...] | None = None
    connections_max: int | None = None

    connect: str | None = None
    sign_on: bool | None = None
    echo_s: float | None = None

    profile: str = DEFAULT_PROFILE
    zone_pin_key_variable: str | None = None
    in_flight_max: int = IN_FLIGHT_MAX


LISTENING: Final = ("port", "host", "allow", "connections_max")
DIALLING: Final = ("connect", "sign_on", "echo_s")
"""What a link may say that listens, and one that dials; all others are for both."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    links: dict[str, _Entry]


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """One link: where it listens or whom it dials, how it writes, and its own key if it has one."""

    name: str
    host: str = LOCALHOST
    port: int = 0
    peer: Peer | None = None
    """Whom it dials, instead of listening."""

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
    places = {(each.host, each.port) for link in found for each in [link.peer or link]}
    if len(places) < len(found):
        raise BadLinks("Two links have one address: each has its own.")
    return found


def _link(name: str, entry: _Entry, env: Mapping[str, str]) -> LinkSettings:
    if not _NAME.fullmatch(name):
        raise BadLinks(f"{name} is no name of a link: small letters, digits, dashes.")
    _refuse_both(name, entry)
    peer = None if entry.connect is None else _peer(name, entry, entry.connect)
    port = entry.port or 0
    if peer is None and (entry.port is None or not 0 <= port <= PORT_MAX):
        raise BadLinks(f"The link {name} has no port: from 0 to {PORT_MAX}; or it says connect.")
    connections_max = CONNECTIONS_MAX if entry.connections_max is None else entry.connections_max
    if min(connections_max, entry.in_flight_max) < 1:
        raise BadLinks(f"The link {name} lets nobody in.")
    try:
        allow = tuple(ip_network(each) for each in entry.allow or ())
    except ValueError:
        raise BadLinks(f"The link {name} allows what is no network.") from None
    variable = entry.zone_pin_key_variable
    if variable is not None and not env.get(variable):
        raise BadLinks(f"The link {name} has its key in {variable}, which is not set.")
    return LinkSettings(
        name=name,
        host=LOCALHOST if entry.host is None else entry.host,
        port=port,
        peer=peer,
        profile=entry.profile,
        allow=allow,
        zone_pin_key=None if variable is None else Secret(env[variable]),
        connections_max=connections_max,
        in_flight_max=entry.in_flight_max,
    )


def _refuse_both(name: str, entry: _Entry) -> None:
    """Refuse what would be without effect: a link listens, or it dials."""
    dials = entry.connect is not None
    strange = [
        each for each in (LISTENING if dials else DIALLING) if getattr(entry, each) is not None
    ]
    if strange:
        does = "connects" if dials else "listens"
        raise BadLinks(f"The link {name} {does}, so it has no {strange[0]}.")


def _peer(name: str, entry: _Entry, connect: str) -> Peer:
    found = _ADDRESS.fullmatch(connect)
    if found is None or not 0 < int(found["port"]) <= PORT_MAX:
        raise BadLinks(f"The link {name} connects to no address: like 10.1.0.9:5000.")
    echo_s = ECHO_S if entry.echo_s is None else entry.echo_s
    if not 0 <= echo_s < float("inf"):
        raise BadLinks(f"The link {name} echoes never: echo_s has seconds, or 0 for no echo.")
    return Peer(
        host=found["v6"] or found["host"],
        port=int(found["port"]),
        sign_on=entry.sign_on is not False,
        echo_s=echo_s,
    )
