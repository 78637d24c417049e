"""Three who know ISO 8583 without us: `iso8583sim`, npm's `iso_8583` and Wireshark's dissector.

Each runs unmodified, as a program of its own. What they cannot do stands where it is left out.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from bayon.db import Database
from bayon.network import acquirer
from bayon.network.frame import Frame, Framer, Framing, turned, wrap
from bayon.network.iso8583 import Message, decode, encode
from bayon.network.profile import SHIPPED, Profile
from cards_factories import balance_of, make_purse
from network.hosts import changed, hosted, make_link, money, purchase, stamp
from network.oracle import plain
from network.samples import PROFILES, VECTORS

ROOT: Final = Path(__file__).parents[2]
SIMULATOR: Final = os.environ.get("BAYON_TEST_ISO8583SIM") or str(
    ROOT / "build/iso8583sim/bin/iso8583sim"
)
NODE_DIR: Final = ROOT / "tests/clients/node"

simulated = pytest.mark.skipif(
    shutil.which(SIMULATOR) is None,
    reason="wants iso8583sim in a venv of its own: BAYON_TEST_ISO8583SIM names the program",
)
dissected = pytest.mark.skipif(
    shutil.which("tshark") is None or shutil.which("text2pcap") is None, reason="wants tshark"
)
in_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_DIR / "node_modules/iso_8583").is_dir(),
    reason="wants node, and once: npm ci --prefix tests/clients/node",
)

ASKED: Final = [("purchase", "approval"), ("sign-on", "signed-on")]
TPDU: Final = bytes.fromhex("6000010002")


@simulated
@pytest.mark.parametrize("wire", SHIPPED)
async def test_iso8583sim_is_understood_and_understands_on_each_wire(wire: str) -> None:
    for request, answer in ASKED:
        frame, shown = await _simulate(PROFILES[wire], VECTORS[request][0], VECTORS[answer][0])
        assert decode(frame.body, PROFILES[wire]) == VECTORS[request][0]
        assert frame.body == VECTORS[request][1][wire][2:]
        assert shown == {"t": "0110", **plain(VECTORS[answer][0])}


@simulated
@pytest.mark.parametrize(
    ("framing", "options"),
    [
        (Framing(length="ascii-4"), ("--header", "4a")),
        (Framing(tpdu=True), ("--tpdu", TPDU.hex())),
        (Framing(length="ascii-4", tpdu=True), ("--header", "4a", "--tpdu", TPDU.hex())),
    ],
)
async def test_iso8583sim_frames_as_we_do(framing: Framing, options: tuple[str, ...]) -> None:
    request, answer = VECTORS["sign-on"][0], VECTORS["signed-on"][0]
    frame, shown = await _simulate(PROFILES["bcd"], request, answer, framing, options)
    assert frame.tpdu == (TPDU if framing.tpdu else b"")
    assert decode(frame.body, PROFILES["bcd"]) == request
    assert shown == plain(answer)


async def _simulate(
    profile: Profile,
    request: Message,
    answer: Message,
    framing: Framing | None = None,
    options: tuple[str, ...] = (),
) -> tuple[Frame, dict[str, str]]:
    """Have iso8583sim send a message; return the frame it sent, and what it shows of our answer."""
    framing = framing or profile.framing
    received: list[Frame] = []

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer(framing)
        while not received and (data := await reader.read(65_536)):
            received.extend(framer.feed(data))
        writer.write(wrap(Frame(encode(answer, profile), turned(received[0].tpdu)), framing))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(host, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        shown = await _send(port, profile.name, request, *options)
    return received[0], shown


async def _send(port: int, wire: str, request: Message, *options: str) -> dict[str, str]:
    """Have iso8583sim send a message; return what it shows of the answer."""
    text = encode(request, PROFILES["ascii-hex"]).decode()
    words = ("send", "--port", str(port), "--format", wire, *options, text)
    process = await asyncio.create_subprocess_exec(
        SIMULATOR, *words, env={**os.environ, "COLUMNS": "300"}, stdout=subprocess.PIPE
    )
    shown, _ = await asyncio.wait_for(process.communicate(), 60)
    rows = re.findall(r"^│ (\d+) +│[^│]*│ (.*?) *│ \d+ +│$", shown.decode(), re.MULTILINE)
    return {"t" if key == "0" else key: value for key, value in rows}


@simulated
@pytest.mark.parametrize("wire", SHIPPED)
async def test_iso8583sim_pays_at_our_host_until_there_is_nothing_left(
    db: Database, wire: str
) -> None:
    purse = await make_purse(db, usd_minor=1_000)
    async with hosted(db, make_link(wire=wire)) as at_work:
        port = at_work.ports["switch"]
        for code, left_minor in (("00", 400), ("51", 400)):
            asked = purchase(purse.card, 600)
            shown = await _send(port, wire, asked)
            said = {n: shown[str(n)] for n in (4, 7, 11, 37, 39, 49)}
            assert said == {n: asked.fields[n] for n in said if n != 39} | {39: code}
            assert ("38" in shown) == (code == "00")
            assert money(await balance_of(db, purse.account)) == (1_000, left_minor)
        signed = await _send(port, wire, acquirer.management("sign-on", stamp()))
        assert (signed["t"], signed["39"]) == ("0810", "00")


@in_node
def test_npms_iso_8583_is_understood_and_understands() -> None:
    """Chip data it treats as text; a second bitmap it writes always, be it empty."""
    profile = PROFILES["ascii-binary"]
    written = [_without(message, "55") for message, _ in VECTORS.values()]
    frames = [frames["ascii-binary"].hex() for _, frames in VECTORS.values()]
    words = (json.dumps(frames), json.dumps([_numbered(fields) for fields in written]))
    told: dict[str, Any] = json.loads(_run("node", str(NODE_DIR / "iso8583.js"), *words))
    for fields, read, frame in zip(written, told["read"], told["written"], strict=True):
        assert {k: v.upper() if k == "52" else v for k, v in read.items() if k != "55"} == (
            _numbered(fields)
        )
        assert plain(decode(bytes.fromhex(frame)[2:], profile)) == fields


@in_node
async def test_npms_iso_8583_pays_at_our_host_until_there_is_nothing_left(db: Database) -> None:
    """Written and read by it, over a socket of node's own."""
    purse = await make_purse(db, usd_minor=1_000)
    async with hosted(db) as at_work:
        asked = [_numbered(plain(purchase(purse.card, 600))) for _ in range(2)]
        words = (str(at_work.ports["switch"]), json.dumps(asked))
        process = await asyncio.create_subprocess_exec(
            "node", str(NODE_DIR / "iso8583_link.js"), *words, stdout=subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        told: list[dict[str, str]] = json.loads(output)
    assert [(each["0"], each["11"], each["39"]) for each in told] == [
        ("0110", asked[0]["11"], "00"),
        ("0110", asked[1]["11"], "51"),
    ]
    assert len(told[0]["38"]) == 6
    assert money(await balance_of(db, purse.account)) == (1_000, 400)


def _without(message: Message, *numbers: str) -> dict[str, str]:
    return {key: value for key, value in plain(message).items() if key not in numbers}


def _numbered(fields: dict[str, str]) -> dict[str, str]:
    return {"0" if key == "t" else key: value for key, value in fields.items()}


DISSECTED: Final = {
    "ascii-binary": ("Digits represented as ASCII Characters", "Bin data not encoded"),
    "ascii-hex": (
        "Digits represented as ASCII Characters",
        "Bin data represented as Hex Ascii characters",
    ),
    "bcd": ("Digits represented in nibbles", "Bin data not encoded"),
}
"""How the dissector is told of a wire. It knows no EBCDIC."""

LOSES_ITS_WAY: Final[dict[str, set[int]]] = {
    "ascii-binary": {35},  # takes a track for raw bytes
    "ascii-hex": set(),
    "bcd": {35, 39, 49},  # and response code and currency for text
}
"""The fields behind which the dissector (of Wireshark 4.0) reads nothing right."""


@dissected
@pytest.mark.parametrize("wire", DISSECTED)
def test_wireshark_dissects_what_we_write(wire: str, tmp_path: Path) -> None:
    told = _dissect([frames[wire] for _, frames in VECTORS.values()], wire, tmp_path)
    for (message, _), read in zip(VECTORS.values(), told, strict=True):
        fields = {int(key): value for key, value in plain(message).items() if key != "t"}
        end = min({129, *LOSES_ITS_WAY[wire] & fields.keys()})
        assert read.pop(0) == message.mti
        assert {n: value[: len(fields[n])] for n, value in read.items() if n < end} == {
            n: value for n, value in fields.items() if n < end
        }


@dissected
@pytest.mark.parametrize("wire", DISSECTED)
async def test_wireshark_dissects_what_our_host_says(
    db: Database, wire: str, tmp_path: Path
) -> None:
    purse = await make_purse(db, usd_minor=1_000)
    profile = PROFILES[wire]
    asked = [
        purchase(purse.card, 600),
        purchase(purse.card, 600),
        purchase(purse.card, 0, kind="inquire", profile=profile),
        acquirer.management("echo", stamp()),
        changed(purchase(purse.card, 1), 3),
    ]
    async with hosted(db, make_link(wire=wire)) as at_work, at_work.wired() as link:
        bodies = [await link.ask(each) for each in asked]
    answers = [decode(body, profile) for body in bodies]
    assert [each.fields[39] for each in answers] == ["00", "51", "00", "00", "30"]
    frames = [wrap(Frame(body), profile.framing) for body in bodies]
    told = await asyncio.to_thread(_dissect, frames, wire, tmp_path)
    for answer, read in zip(answers, told, strict=True):
        end = min({129, *LOSES_ITS_WAY[wire] & answer.fields.keys()})
        assert read.pop(0) == answer.mti
        assert {n: value for n, value in read.items() if n < end} == {
            n: value for n, value in answer.fields.items() if n < end
        }


def _dissect(frames: list[bytes], wire: str, folder: Path) -> list[dict[int, str]]:
    capture = str(folder / "frames.pcap")
    dump = "".join(f"000000 {frame.hex(' ')}\n" for frame in frames)
    _run("text2pcap", "-q", "-T", "1111,8583", "-", capture, given=dump)
    digits, binary = DISSECTED[wire]
    options = ("len_endian:Big endian", f"charset:{digits}", f"binencode:{binary}")
    preferences = [word for option in options for word in ("-o", f"iso8583.{option}")]
    as_iso8583 = ("-d", "tcp.port==8583,iso8583", *preferences, "-T", "json")
    packets: list[dict[str, Any]] = json.loads(_run("tshark", "-r", capture, *as_iso8583))
    return [_dissected(packet["_source"]["layers"]["iso8583"]) for packet in packets]


def _dissected(layer: dict[str, Any]) -> dict[int, str]:
    return {
        int(key.removeprefix("iso8583.bit").replace("iso8583.mti", "0")): value
        for key, value in layer.items()
        if re.fullmatch(r"iso8583\.(mti|bit\d+)", key)
    }


def _run(*words: str, given: str = "") -> bytes:
    done = subprocess.run(words, input=given.encode(), check=True, capture_output=True)  # noqa: S603 - the peer
    return done.stdout
