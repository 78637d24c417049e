"""Links that we dial, and a network that listens: it is signed on to, asked for echoes, lost."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from bayon.db import Database
from bayon.network import acquirer
from bayon.network.connection import Link
from bayon.network.dial import Peer, failures, pause_s
from bayon.network.host import Host
from bayon.network.iso8583 import BadMessage, Message, decode
from bayon.network.messages import Terms, answer
from bayon.network.profile import DEFAULT_PROFILE, SHIPPED, Profile, parse
from cards_factories import VAULT, balance_of, make_desk, make_purse
from network.hosts import (
    PATIENCE_S,
    Wire,
    changed,
    hosted,
    make_link,
    money,
    purchase,
    stamp,
)
from network.samples import PROFILES

SOON_S = 0.2


@dataclass(kw_only=True)
class Network:
    """A switch that listens, and who has called it, in their order."""

    server: asyncio.Server
    profile: Profile
    callers: asyncio.Queue[Wire]
    open: list[asyncio.StreamWriter]

    @property
    def port(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    async def called(self) -> Wire:
        async with asyncio.timeout(PATIENCE_S):
            return await self.callers.get()

    async def signed_on(self) -> Wire:
        """Wait for a caller, and let it sign on."""
        wire = await self.called()
        assert (await take(wire)).fields[70] == "001"
        return wire

    def close(self) -> None:
        """Go away."""
        self.server.close()
        for writer in self.open:
            writer.close()


@asynccontextmanager
async def network(wire: str = DEFAULT_PROFILE, *, port: int = 0) -> AsyncGenerator[Network]:
    """Listen as a network does that wants its issuers to call."""
    callers: asyncio.Queue[Wire] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []
    profile = PROFILES[wire]

    async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await callers.put(Wire(reader=reader, writer=writer, profile=profile))

    server = await asyncio.start_server(called, "127.0.0.1", port)
    switch = Network(server=server, profile=profile, callers=callers, open=writers)
    try:
        yield switch
    finally:
        switch.close()


@asynccontextmanager
async def dialled(
    db: Database,
    *,
    wire: str = DEFAULT_PROFILE,
    **peer: Any,  # noqa: ANN401 - its fields
) -> AsyncGenerator[Network]:
    """Listen, be dialled by a host, and go away first."""
    async with network(wire) as switch, hosted(db, dialling(switch.port, wire, **peer)):
        yield switch
        switch.close()


async def heard(wire: Wire) -> Message:
    """Wait for what the issuer says."""
    return decode(await wire.read(), wire.profile)


async def take(wire: Wire, reason: str = "approved") -> Message:
    """Wait for what the issuer asks of its own, and answer it."""
    asked = await heard(wire)
    terms = Terms(link="switch", profile=wire.profile, vault=VAULT)
    await wire.write(answer(asked, terms, reason))
    return asked


def dialling(port: int, wire: str = DEFAULT_PROFILE, **others: Any) -> Link:  # noqa: ANN401 - the peer's fields
    """Make a link that dials, and does not wait long for anything but what is asked for."""
    quick: dict[str, Any] = {"pause_min_s": 0.01, "pause_max_s": 0.05, "answer_s": PATIENCE_S}
    peer = Peer(host="127.0.0.1", port=port, **quick | others)
    return make_link(wire=wire, peer=peer)


@pytest.mark.parametrize("wire", SHIPPED)
async def test_the_first_word_is_our_sign_on_and_requests_are_answered_on_each_wire(
    db: Database, wire: str
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    async with dialled(db, wire=wire) as switch:
        caller = await switch.called()
        asked = await take(caller)
        assert (asked.mti, asked.fields.keys(), asked.secrets) == ("0800", {7, 11, 70}, {})
        assert asked.fields[70] == "001"
        told = await caller.told(purchase(purse.card, 1_000, profile=switch.profile))
        assert (told.mti, told.fields[39]) == ("0110", "00")
        said = await caller.told(acquirer.management("echo", stamp()))
        assert (said.mti, said.fields[39]) == ("0810", "00")
    assert money(await balance_of(db, purse.account)) == (10_000, 9_000)


async def test_a_network_that_is_lost_is_dialled_again_and_a_repeat_is_one(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    asked = purchase(purse.card, 1_000)
    async with dialled(db) as switch:
        answers: list[bytes] = []
        for message in (asked, acquirer.repeated(asked), acquirer.repeated(asked)):
            caller = await switch.signed_on()
            answers.append(await caller.ask(message))
            caller.writer.transport.abort()
    assert answers == answers[:1] * 3
    assert b"" not in answers
    assert money(await balance_of(db, purse.account)) == (10_000, 9_000)


async def test_each_of_our_own_has_a_number_of_its_own(db: Database) -> None:
    async with dialled(db, echo_s=0.01) as switch:
        caller = await switch.called()
        said = [await take(caller) for _ in range(5)]
    assert len({message.fields[11] for message in said}) == 5
    assert [message.fields[70] for message in said] == ["001", *["301"] * 4]


async def test_who_is_heard_is_not_asked_whether_it_is_there(db: Database) -> None:
    async with dialled(db, echo_s=0.5) as switch:
        caller = await switch.signed_on()
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        for _ in range(10):
            await asyncio.sleep(0.1)
            told = await caller.told(acquirer.management("echo", stamp()))
            assert told.mti == "0810"
            quiet_since = loop.time()
        assert (await heard(caller)).fields[70] == "301"
        assert loop.time() - quiet_since > 0.4


async def test_an_echo_that_is_not_answered_ends_the_line_and_a_new_one_is_dialled(
    db: Database,
) -> None:
    with structlog.testing.capture_logs() as lines:
        peer: dict[str, Any] = {"echo_s": 0.02, "answer_s": SOON_S}
        async with dialled(db, **peer) as switch:
            caller = await switch.signed_on()
            assert (await heard(caller)).fields[70] == "301"
            assert await caller.read() == b""  # it was hung up on
            caller = await switch.signed_on()
            assert [(await take(caller)).fields[70] for _ in range(3)] == ["301"] * 3
    assert [line["reason"] for line in lines if line["event"] == "network.down"] == [
        "echo_unanswered"
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"f11": "999999"}, id="another number"),
        pytest.param({"mti": "0110"}, id="another class"),
    ],
)
async def test_an_answer_to_something_else_is_none(db: Database, other: dict[str, str]) -> None:
    with structlog.testing.capture_logs() as lines:
        peer: dict[str, Any] = {"answer_s": SOON_S, "echo_s": 0}
        async with dialled(db, **peer) as switch:
            caller = await switch.called()
            asked = await heard(caller)
            await caller.write(changed(asked, **{"mti": "0810", "f39": "00"} | other))
            assert await caller.read() == b""
    events = [line["event"] for line in lines]
    assert "network.no_request" in events
    assert "sign_on_unanswered" in [line.get("reason") for line in lines]


async def test_nobody_there_is_said_once_and_the_link_comes_up_once_somebody_is(
    db: Database,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with structlog.testing.capture_logs() as lines:
        async with hosted(db, dialling(port), make_link("other")) as at_work:
            await asyncio.sleep(SOON_S)  # some tries
            async with at_work.called("other") as bank:
                assert await bank.code(acquirer.management("echo", stamp())) == "00"
            async with network(port=port) as switch:
                caller = await switch.signed_on()
                told = await caller.told(acquirer.management("echo", stamp()))
                assert told.fields[39] == "00"
                switch.close()
            await asyncio.sleep(SOON_S)  # some tries more
    down = [line for line in lines if line["event"] == "network.down"]
    assert [(line["link"], line["reason"], line["error"]) for line in down] == [
        ("switch", "unreachable", "ConnectionRefusedError")
    ] * 2  # before somebody was there, and since nobody is any more
    assert "network.no_request" not in [line["event"] for line in lines]


async def test_a_sign_on_that_is_refused_is_tried_again_on_a_new_line(db: Database) -> None:
    with structlog.testing.capture_logs() as lines:
        async with network() as switch:
            link = dialling(switch.port)
            link.signed_on = False
            async with hosted(db, link):
                for _ in range(3):
                    caller = await switch.called()
                    await take(caller, "unavailable")
                    assert await caller.read() == b""
                    assert not link.signed_on
                caller = await switch.signed_on()
                assert (await caller.told(acquirer.management("echo", stamp()))).mti == "0810"
                assert link.signed_on
                switch.close()
    down = [line["reason"] for line in lines if line["event"] == "network.down"]
    assert down == ["sign_on_refused"]


async def test_who_hangs_up_at_once_is_dialled_less_and_less_often(db: Database) -> None:
    loop = asyncio.get_running_loop()
    with structlog.testing.capture_logs() as lines:
        async with dialled(db, pause_min_s=0.05, pause_max_s=PATIENCE_S) as switch:
            began = loop.time()
            for _ in range(5):
                (await switch.called()).writer.close()
            took_s = loop.time() - began
    assert took_s >= (0.05 + 0.1 + 0.2 + 0.4) / 2  # by chance up to half of it
    events = [line["event"] for line in lines]
    assert events.count("network.disconnected") >= 4
    assert "network.down" not in events  # what there is to say is that they hung up


async def test_a_link_that_was_signed_off_works_again_once_we_have_signed_on(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    async with dialled(db) as switch:
        caller = await switch.signed_on()
        await caller.told(acquirer.management("sign-off", stamp()))
        assert (await caller.told(purchase(purse.card, 100))).fields[39] == "91"
        caller.writer.close()
        caller = await switch.signed_on()
        assert (await caller.told(purchase(purse.card, 100))).fields[39] == "00"


async def test_the_last_word_is_our_sign_off_and_what_came_before_its_answer_is_answered(
    db: Database,
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    async with network() as switch, AsyncExitStack() as stack:
        desk = make_desk(db, batch_size_max=1)
        at_work = hosted(db, dialling(switch.port), desk=desk)
        await stack.enter_async_context(at_work)
        caller = await switch.signed_on()
        stopping = asyncio.create_task(stack.aclose())
        off = await heard(caller)
        assert (off.mti, off.fields[70]) == ("0800", "002")
        late = [purchase(purse.card, 100) for _ in range(8)]
        terms = Terms(link="switch", profile=caller.profile, vault=VAULT)
        await caller.write(*late, answer(off, terms, "approved"))
        told = [await heard(caller) for _ in late]
        assert [each.fields[39] for each in told] == ["00"] * 8
        assert await caller.read() == b""
        await stopping
        assert switch.callers.empty()
    assert money(await balance_of(db, purse.account)) == (10_000, 9_200)


async def test_a_network_that_says_nothing_to_our_sign_off_is_not_waited_for(db: Database) -> None:
    async with network() as switch:
        async with hosted(db, dialling(switch.port), answer_s=SOON_S):
            caller = await switch.signed_on()
            loop = asyncio.get_running_loop()
            began = loop.time()
        assert loop.time() - began < PATIENCE_S / 10
        assert (await heard(caller)).fields[70] == "002"
        assert await caller.read() == b""


async def test_without_sign_on_nothing_is_said_first_and_nothing_last(db: Database) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    async with network() as switch:
        async with hosted(db, dialling(switch.port, sign_on=False, echo_s=0)):
            caller = await switch.called()
            assert (await caller.told(purchase(purse.card, 100))).fields[39] == "00"
        assert await caller.read() == b""


async def test_it_stops_while_it_dials_and_while_it_waits_to_be_let_in(db: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    async with network() as switch:
        waits = make_link("waits", peer=Peer(host="127.0.0.1", port=switch.port))
        away = make_link("away", peer=Peer(host="127.0.0.1", port=port))
        async with hosted(db, waits, away, answer_s=SOON_S):
            caller = await switch.called()
            assert (await heard(caller)).fields[70] == "001"
        assert (await heard(caller)).fields[70] == "002"  # it may have let us in by now
        assert await caller.read() == b""


async def test_a_link_with_addresses_signs_on_with_one(db: Database) -> None:
    profile = parse("[framing]\ntpdu = true", name="pos")
    async with network() as switch:
        peer = Peer(host="127.0.0.1", port=switch.port)
        async with hosted(db, make_link(profile=profile, peer=peer), answer_s=SOON_S):
            caller = await switch.called()
            caller.profile, caller.framer = (
                profile,
                Wire(reader=caller.reader, writer=caller.writer, profile=profile).framer,
            )
            await take(caller)
            assert (await caller.told(acquirer.management("echo", stamp()))).mti == "0810"


def test_a_profile_that_cannot_write_our_sign_on_is_refused_at_once(db: Database) -> None:
    profile = parse('[fields.70]\nkind = "n"\nlength = "fixed"\nsize = 2', name="odd")
    link = make_link(profile=profile, peer=Peer(host="127.0.0.1", port=1))
    with pytest.raises(BadMessage):
        Host(make_desk(db), [link])


@pytest.mark.parametrize(
    ("failed", "chance", "waits_s"),
    [(1, 0.0, 0.5), (2, 0.0, 1.0), (6, 0.0, 16.0), (7, 0.0, 30.0), (10**6, 0.0, 30.0), (2, 1, 0.5)],
)
def test_each_failure_doubles_the_wait_up_to_a_cap(
    failed: int, chance: float, waits_s: float
) -> None:
    assert pause_s(Peer(host="switch.example", port=5000), failed, chance) == waits_s


@pytest.mark.parametrize(("failed", "up_s", "then"), [(0, 0.0, 1), (7, 29.9, 8), (7, 30.0, 1)])
def test_a_line_that_was_up_for_long_is_no_failure_of_dialling(
    failed: int, up_s: float, then: int
) -> None:
    assert failures(Peer(host="switch.example", port=5000), failed, up_s=up_s) == then
