"""The load generator: what it sends is what would be encoded, and what it sees is what came."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from bench.null_host import answered, listen
from hypothesis import given
from hypothesis import strategies as st

from bayon.log import Secret
from bayon.network import acquirer
from bayon.network.acquirer import Amount, Place, Plastic, Stamp
from bayon.network.client import NoAnswer
from bayon.network.frame import Frame, Framer, wrap
from bayon.network.glance import Glance
from bayon.network.iso8583 import Message, decode, encode
from bayon.network.load import Load, prepared, run_load
from bayon.network.profile import SHIPPED, Profile, parse
from network.samples import PROFILES, messages

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
CARDS = [Secret("9116001234567890"), Secret("9116000000001"), Secret("9116001234567890123")]

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def purchase(pan: Secret, profile: Profile) -> Message:
    paid, stamp = Amount(100, "840"), Stamp(AT, 1)
    return acquirer.request("purchase", Plastic(pan=pan), paid, Place(), stamp, profile=profile)


def load_of(profile: Profile, port: int, **more: float) -> Load:
    return Load(
        host="127.0.0.1",
        port=port,
        profile=profile,
        requests=[prepared(purchase(pan, profile), profile) for pan in CARDS],
        seconds=more.get("seconds", 0.3),
        warm_s=0.1,
        in_flight=int(more.get("in_flight", 8)),
        links=int(more.get("links", 1)),
        rate_per_s=more.get("rate_per_s", 0.0),
    )


@pytest.mark.parametrize("name", SHIPPED)
@given(data=st.data())
def test_a_glance_sees_what_decoding_finds(name: str, data: st.DataObject) -> None:
    profile = PROFILES[name]
    message = data.draw(messages(profile))
    message = Message(
        mti=message.mti, fields={**message.fields, 11: "424242", 39: "51"}, secrets=message.secrets
    )
    glance = Glance(profile)
    for _ in range(2):  # the first time it works out where to look
        seen = glance(encode(message, profile))
        assert seen is not None
        assert glance.code_text(seen.code) == "51"
        assert decoded_stan(seen.stan, profile) == "424242"


def decoded_stan(stan: bytes, profile: Profile) -> str:
    if profile.name == "bcd":
        return stan.hex()
    return stan.decode("cp037" if profile.name == "ebcdic" else "ascii")


@pytest.mark.parametrize("name", SHIPPED)
@given(body=st.binary(max_size=60))
def test_a_glance_at_any_bytes_sees_something_or_nothing(name: str, body: bytes) -> None:
    profile = PROFILES[name]
    glance = Glance(profile)
    good = encode(answered(purchase(CARDS[0], profile)), profile)
    assert glance(good) is not None
    for garbled in (body, good[:20] + body, good[: len(body)]):
        seen = glance(garbled)
        assert seen is None or len(seen.code) == len(glance(good).code)  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("missing", [11, 39])
def test_an_answer_without_number_or_code_is_none(missing: int) -> None:
    profile = PROFILES["ascii-binary"]
    said = answered(purchase(CARDS[0], profile))
    fields = {number: value for number, value in said.fields.items() if number != missing}
    assert Glance(profile)(encode(Message(mti="0110", fields=fields), profile)) is None


@pytest.mark.parametrize("name", [*SHIPPED, "tpdu"])
async def test_every_request_is_valid_of_its_card_and_unlike_any_other(name: str) -> None:
    profile = PROFILES.get(name) or parse('[framing]\nlength = "bcd-2"\ntpdu = true', name="tpdu")
    came: list[Message] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer(profile.framing)
        while data := await reader.read(65_536):
            for frame in framer.feed(data):
                came.append(decode(frame.body, profile))
                said = Frame(encode(answered(came[-1]), profile), frame.tpdu)
                writer.write(wrap(said, profile.framing))
        writer.close()

    async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
        began = time.time()
        loaded = await run_load(load_of(profile, server.sockets[0].getsockname()[1]))
    assert 0 < loaded.answers <= len(came)
    assert (loaded.unanswered, loaded.strange) == (0, 0)
    assert loaded.codes == {"00": loaded.answers}
    assert len({message.fields[37] for message in came}) == len(came)
    for message, pan in zip(came, itertools.cycle(CARDS), strict=False):
        usual = purchase(pan, profile)
        changing = {n: message.fields[n] for n in (7, 11, 37)}
        assert message == Message(
            mti="0100", fields={**usual.fields, **changing}, secrets=usual.secrets
        )
        assert message.fields[37].endswith(message.fields[11])
        sent_at = datetime.strptime(f"2026{message.fields[7]}+0000", "%Y%m%d%H%M%S%z")
        now = datetime.fromtimestamp(began, UTC).replace(year=2026)
        assert abs((sent_at - now).total_seconds()) < 60


@pytest.mark.parametrize("links", [1, 3])
async def test_so_many_are_in_flight_and_never_more(links: int) -> None:
    profile, most, open_now = PROFILES["ascii-binary"], 0, 0

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, open_now
        framer = Framer(profile.framing)
        while data := await reader.read(65_536):
            frames = framer.feed(data)
            open_now += len(frames)
            most = max(most, open_now)
            await asyncio.sleep(0.002)
            open_now -= len(frames)
            for frame in frames:
                said = encode(answered(decode(frame.body, profile)), profile)
                writer.write(wrap(Frame(said), profile.framing))
        writer.close()

    async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        loaded = await run_load(load_of(profile, port, in_flight=7, links=links))
    assert most == 7
    assert loaded.answers > 7
    assert loaded.p99_ms >= loaded.p50_ms >= 2


async def test_at_a_rate_so_many_come_answered_or_not() -> None:
    profile = PROFILES["ascii-binary"]
    async with await listen(profile) as server:
        port: int = server.sockets[0].getsockname()[1]
        loaded = await run_load(load_of(profile, port, rate_per_s=300, links=2, seconds=1.0))
    assert 200 < loaded.answers < 400
    assert (loaded.unanswered, loaded.strange) == (0, 0)


async def test_a_link_that_is_lost_ends_the_load() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
        load = load_of(PROFILES["ascii-binary"], server.sockets[0].getsockname()[1], seconds=60.0)
        with pytest.raises(NoAnswer, match="A link was lost under load"):
            await run_load(load)
    with pytest.raises(NoAnswer, match="Nobody answers"):
        await run_load(load)
