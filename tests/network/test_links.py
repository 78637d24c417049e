"""The file of links: where each listens or whom it dials, and what cannot be."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from bayon.log import Secret
from bayon.network.dial import Peer
from bayon.network.links import BadLinks, LinkSettings, load_links

KEY = "5A" * 16
ENV = {"SWITCH_ZONE_PIN_KEY": KEY}


def loaded(folder: Path, text: str) -> list[LinkSettings]:
    file = folder / "links.toml"
    file.write_text(text)
    return load_links(file, ENV)


def test_a_link_that_listens_and_one_that_dials_say_what_they_are(tmp_path: Path) -> None:
    text = """
[links.switch]
host = "10.1.0.5"
port = 8583
profile = "bcd"
allow = ["10.1.0.0/16", "::1/128"]
zone_pin_key_variable = "SWITCH_ZONE_PIN_KEY"
connections_max = 4
in_flight_max = 20

[links.national]
connect = "switch.example:5000"
sign_on = false
echo_s = 5.5
profile = "ebcdic"
in_flight_max = 30
"""
    assert loaded(tmp_path, text) == [
        LinkSettings(
            name="switch",
            host="10.1.0.5",
            port=8583,
            profile="bcd",
            allow=(ip_network("10.1.0.0/16"), ip_network("::1/128")),
            zone_pin_key=Secret(KEY),
            connections_max=4,
            in_flight_max=20,
        ),
        LinkSettings(
            name="national",
            peer=Peer(host="switch.example", port=5000, sign_on=False, echo_s=5.5),
            profile="ebcdic",
            in_flight_max=30,
        ),
    ]


def test_what_is_not_said_is_as_it_is_for_most(tmp_path: Path) -> None:
    listens, dials = loaded(tmp_path, '[links.a]\nport = 0\n[links.b]\nconnect = "10.1.0.9:5000"')
    assert listens == LinkSettings(name="a", host="127.0.0.1", port=0)
    assert dials == LinkSettings(name="b", peer=Peer(host="10.1.0.9", port=5000))
    assert dials.peer is not None
    assert (dials.peer.sign_on, dials.peer.echo_s) == (True, 60.0)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("10.1.0.9:5000", "10.1.0.9", 5000),
        ("[fd00::9]:1", "fd00::9", 1),
        ("switch:65535", "switch", 65_535),
    ],
)
def test_an_address_in_each_of_its_forms_is_taken(
    tmp_path: Path, address: str, host: str, port: int
) -> None:
    (link,) = loaded(tmp_path, f'[links.a]\nconnect = "{address}"')
    assert link.peer == Peer(host=host, port=port)


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.0.9", ":5000", "10.1.0.9:0", "10.1.0.9:65536", "10.1.0.9:", "fd00::9:5000", ""),
        *("a b:5000", "tcp://switch:5000", "switch:5000/x", ".:5000", "a..b:5000", f"{'a' * 64}:1"),
        *("switch:-1", "switch:\\u0665", "[switch]:5000"),
    ],
)
def test_what_is_no_address_is_not_dialled(tmp_path: Path, address: str) -> None:
    with pytest.raises(BadLinks, match=r"^The link a connects to no address"):
        loaded(tmp_path, f'[links.a]\nconnect = "{address}"')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("links = {}", "has none"),
        ("[links.a", "is not valid"),
        ('[links.a]\nport = "8583"', "is not valid"),
        ("[links.a]\nport = 1\nprofil = 'bcd'", "is not valid"),
        ("[links.A]\nport = 1", "A is no name of a link"),
        ("[links.a]", "The link a has no port: from 0 to 65535; or it says connect"),
        ("[links.a]\nhost = '10.1.0.5'", "The link a has no port"),
        ("[links.a]\nport = 65_536", "The link a has no port"),
        ("[links.a]\nport = -1", "The link a has no port"),
        ("[links.a]\nconnect = 'b:1'\nport = 1", "a connects, so it has no port"),
        ("[links.a]\nconnect = 'b:1'\nport = 0", "a connects, so it has no port"),
        ("[links.a]\nconnect = 'b:1'\nhost = '::'", "a connects, so it has no host"),
        ("[links.a]\nconnect = 'b:1'\nallow = []", "a connects, so it has no allow"),
        (
            "[links.a]\nconnect = 'b:1'\nconnections_max = 1",
            "a connects, so it has no connections_max",
        ),
        ("[links.a]\nport = 1\nsign_on = false", "a listens, so it has no sign_on"),
        ("[links.a]\nport = 1\necho_s = 1", "a listens, so it has no echo_s"),
        ("[links.a]\nconnect = 'b:1'\necho_s = -1", "The link a echoes never"),
        ("[links.a]\nconnect = 'b:1'\necho_s = nan", "The link a echoes never"),
        ("[links.a]\nconnect = 'b:1'\necho_s = inf", "The link a echoes never"),
        ("[links.a]\nport = 1\nconnections_max = 0", "The link a lets nobody in"),
        ("[links.a]\nport = 1\nin_flight_max = 0", "The link a lets nobody in"),
        ("[links.a]\nconnect = 'b:1'\nin_flight_max = 0", "The link a lets nobody in"),
        ("[links.a]\nport = 1\nallow = ['10.1.0.1/16']", "The link a allows what is no network"),
        (
            "[links.a]\nport = 1\nzone_pin_key_variable = 'NONE'",
            "The link a has its key in NONE, which is not set",
        ),
        ("[links.a]\nport = 1\n[links.b]\nport = 1", "Two links have one address"),
        (
            "[links.a]\nconnect = 'c:1'\n[links.b]\nconnect = 'c:1'",
            "Two links have one address",
        ),
        (
            "[links.a]\nconnect = '127.0.0.1:1'\n[links.b]\nport = 1",
            "Two links have one address",
        ),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadLinks, match=says) as caught:
        loaded(tmp_path, text)
    assert KEY not in caught.value.message


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadLinks, match="is not valid"):
        load_links(tmp_path / "links.toml", ENV)
