"""A link over real sockets: answers in any order, late, garbled, or none at all."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from bench.null_host import answered, listen

from bayon.log import Secret
from bayon.network import acquirer
from bayon.network.acquirer import Amount, Place, Plastic, Stamp
from bayon.network.client import Caller, NoAnswer
from bayon.network.frame import Frame, Framer, wrap
from bayon.network.iso8583 import Message, decode, encode
from bayon.network.profile import SHIPPED, Profile, parse
from network.samples import PROFILES

PROFILE = PROFILES["ascii-binary"]
CARD = Plastic(pan=Secret("9116001234567890"))
AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
PATIENCE_S = 20.0
SOON_S = 0.2

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def purchase(stan: int) -> Message:
    paid = Amount(stan, "840")
    return acquirer.request("purchase", CARD, paid, Place(), Stamp(AT, stan), profile=PROFILE)


def framed(message: Message, profile: Profile = PROFILE) -> bytes:
    return wrap(Frame(encode(message, profile)), profile.framing)


async def requests(reader: asyncio.StreamReader, count: int) -> list[Message]:
    framer, found = Framer(PROFILE.framing), list[Message]()
    while len(found) < count and (data := await reader.read(65_536)):
        found += [decode(frame.body, PROFILE) for frame in framer.feed(data)]
    return found


@asynccontextmanager
async def linked(peer: Peer) -> AsyncGenerator[Caller]:
    """Open a link to a host that does as told."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await peer(reader, writer)
            await ended.wait()
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        link = await Caller.open("127.0.0.1", port, PROFILE, timeout_s=PATIENCE_S)
        try:
            yield link
        finally:
            ended.set()
            link.close()


@pytest.mark.parametrize("name", SHIPPED)
async def test_what_is_asked_is_answered_on_every_wire(name: str) -> None:
    profile = PROFILES[name]
    async with await listen(profile) as server:
        port: int = server.sockets[0].getsockname()[1]
        link = await Caller.open("127.0.0.1", port, profile, timeout_s=PATIENCE_S)
        for message, mti in (
            (purchase(1), "0110"),
            (acquirer.management("echo", Stamp(AT, 2)), "0810"),
        ):
            answer = await link.ask(message, timeout_s=PATIENCE_S)
            assert (answer.mti, answer.fields[11], answer.fields[39]) == (
                mti,
                message.fields[11],
                "00",
            )
        link.close()


async def test_a_link_with_addresses_in_its_frames_has_them_turned_round() -> None:
    profile = parse('[framing]\nlength = "ascii-4"\ntpdu = true', name="pos")
    async with await listen(profile) as server:
        port: int = server.sockets[0].getsockname()[1]
        link = await Caller.open("127.0.0.1", port, profile, timeout_s=PATIENCE_S)
        answer = await link.ask(purchase(1), timeout_s=PATIENCE_S)
        link.close()
    assert answer.fields[39] == "00"


async def test_answers_in_any_order_cut_anywhere_find_who_asked() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await requests(reader, 20)
        stream = b"".join(framed(answered(message)) for message in reversed(asked))
        for at in range(0, len(stream), 7):
            writer.write(stream[at : at + 7])
            await writer.drain()
            await asyncio.sleep(0)

    async with linked(peer) as link:
        asking = [link.ask(purchase(stan), timeout_s=PATIENCE_S) for stan in range(1, 21)]
        answers = await asyncio.gather(*asking)
    assert [int(answer.fields[4]) for answer in answers] == list(range(1, 21))


async def test_of_two_messages_alike_each_has_an_answer() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place, message in enumerate(await requests(reader, 2)):
            said = answered(message)
            writer.write(framed(Message(mti=said.mti, fields={**said.fields, 39: f"0{place}"})))

    async with linked(peer) as link:
        again = acquirer.repeated(purchase(1))
        asking = [link.ask(each, timeout_s=PATIENCE_S) for each in (purchase(1), again)]
        first, second = await asyncio.gather(*asking)
    assert (first.fields[39], second.fields[39]) == ("00", "01")


async def test_what_is_never_answered_ends_at_its_deadline_and_harms_no_other() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, second = await requests(reader, 2)
        assert first.fields[11] == "000001"
        writer.write(framed(answered(second)))

    async with linked(peer) as link:
        silent = asyncio.create_task(link.ask(purchase(1), timeout_s=SOON_S))
        await asyncio.sleep(0)
        assert (await link.ask(purchase(2), timeout_s=PATIENCE_S)).fields[39] == "00"
        with pytest.raises(NoAnswer, match=r"No answer within 0\.2 s\."):
            await silent


async def test_an_answer_of_another_class_time_number_or_acquirer_is_none() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (asked,) = await requests(reader, 1)
        said = answered(asked)
        for other in ({7: "1120080001"}, {11: "000002"}, {32: "116002"}):
            writer.write(framed(Message(mti="0110", fields={**said.fields, **other})))
        writer.write(framed(Message(mti="0410", fields=said.fields)))
        writer.write(framed(Message(mti="0110", fields={**said.fields, 39: "51"})))

    async with linked(peer) as link:
        assert (await link.ask(purchase(1), timeout_s=PATIENCE_S)).fields[39] == "51"


async def test_a_late_answer_is_dropped() -> None:
    late = asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (asked,) = await requests(reader, 1)
        await late.wait()
        writer.write(framed(answered(asked)))
        (asked,) = await requests(reader, 1)
        writer.write(framed(answered(asked)))

    async with linked(peer) as link:
        with pytest.raises(NoAnswer):
            await link.ask(purchase(1), timeout_s=SOON_S)
        late.set()
        assert (await link.ask(purchase(2), timeout_s=PATIENCE_S)).fields[11] == "000002"


async def test_what_cannot_be_read_is_passed_over_and_told_of_at_the_deadline() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await requests(reader, 1)
        writer.write(wrap(Frame(b"0110garbage garbage garbage"), PROFILE.framing))
        (asked,) = await requests(reader, 1)
        writer.write(framed(answered(asked)))

    async with linked(peer) as link:
        with pytest.raises(NoAnswer, match="What came could not be read: "):
            await link.ask(purchase(1), timeout_s=SOON_S)
        assert (await link.ask(purchase(2), timeout_s=PATIENCE_S)).fields[39] == "00"


async def test_a_frame_that_is_none_closes_the_link_and_fails_all_who_wait() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await requests(reader, 3)
        writer.write(b"\xff\xff\xff\xff")
        await writer.drain()
        writer.write(b"and more of it")

    async with linked(peer) as link:
        asking = [link.ask(purchase(stan), timeout_s=PATIENCE_S) for stan in (1, 2, 3)]
        failed = await asyncio.gather(*asking, return_exceptions=True)
        assert [str(each) for each in failed] == [
            "The link was closed: A frame is longer than this link allows."
        ] * 3
        with pytest.raises(NoAnswer, match="longer than this link allows"):
            await link.ask(purchase(4), timeout_s=PATIENCE_S)


async def test_a_link_lost_within_a_frame_fails_all_who_wait_at_once() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, _ = await requests(reader, 2)
        writer.write(framed(answered(first))[:-1])
        await writer.drain()
        writer.close()

    async with linked(peer) as link:
        asking = [link.ask(purchase(stan), timeout_s=PATIENCE_S) for stan in (1, 2)]
        for failed in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(failed, NoAnswer)
            assert failed.message == "The link was closed before the answer came."
        with pytest.raises(NoAnswer, match="closed before"):
            await link.ask(purchase(3), timeout_s=PATIENCE_S)


async def test_where_nobody_listens_there_is_no_answer() -> None:
    async with await listen(PROFILE) as server:
        port: int = server.sockets[0].getsockname()[1]
    with pytest.raises(NoAnswer, match=f"Nobody answers at 127.0.0.1:{port}."):
        await Caller.open("127.0.0.1", port, PROFILE, timeout_s=PATIENCE_S)
