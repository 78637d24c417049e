"""What a peer may do to the host: too much, too slowly, or nothing; and no other peer notices."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest

from bayon.db import Database, migrate
from bayon.network import acquirer
from bayon.network.iso8583 import Message, decode
from bayon.network.profile import parse
from bayon.postgres import EmbeddedPostgres
from cards_factories import balance_of, make_desk, make_purse
from network.hosts import PATIENCE_S, Hosted, Wire, hosted, make_link, money, purchase, stamp

SOON_S = 0.3


def echo() -> Message:
    return acquirer.management("echo", stamp())


async def is_well(at_work: Hosted, link: str = "switch") -> bool:
    async with at_work.called(link) as bank:
        return await bank.code(echo()) == "00"


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - the host has no event of it
            await asyncio.sleep(0)


@pytest.mark.parametrize("noise", [b"\xff\xff", b"\x20\x01", b"\x20\x01" + b"0" * 100])
async def test_a_frame_that_is_too_long_closes_its_connection_alone(
    db: Database, noise: bytes
) -> None:
    async with hosted(db) as at_work, at_work.wired() as wire, at_work.wired() as other:
        wire.writer.write(wire.framed(echo()) + noise)
        assert decode(await wire.read(), wire.profile).mti == "0810"
        assert await wire.read() == b""
        assert (await other.told(echo())).mti == "0810"


async def test_what_is_no_message_has_no_answer_and_the_next_one_has(db: Database) -> None:
    async with hosted(db) as at_work, at_work.wired() as wire:
        nothing = [b"\0\0", b"\0\x01x", b"\0\x040100", b"\0\x05hello", b"\0\x049999"]
        answers = [wire.framed(acquirer.management("echo", stamp())).replace(b"0800", b"0810", 1)]
        wire.writer.write(b"".join(nothing + answers))
        said = await wire.told(echo())
        while said.fields.get(39) == "30":
            said = decode(await wire.read(), wire.profile)
    assert (said.mti, said.fields[39]) == ("0810", "00")


async def test_half_a_frame_is_waited_for_and_then_closed(db: Database) -> None:
    async with hosted(db, read_s=SOON_S) as at_work, at_work.wired() as wire:
        frame = wire.framed(echo())
        wire.writer.write(frame[:5])
        await asyncio.sleep(SOON_S / 10)
        wire.writer.write(frame[5:])
        assert (await wire.read())[:4] == b"0810"
        await asyncio.sleep(2 * SOON_S)  # a connection may be quiet for as long as it likes
        wire.writer.write(frame + frame[:-1])
        assert (await wire.read())[:4] == b"0810"
        assert await wire.read() == b""


async def test_a_peer_whose_reads_always_end_within_a_frame_is_not_slow(db: Database) -> None:
    async with hosted(db, read_s=SOON_S) as at_work, at_work.wired() as wire:
        frames = b"".join(wire.framed(echo()) for _ in range(30))
        size = len(frames) // 30
        wire.writer.write(frames[: size - 5])
        for at in range(size - 5, len(frames) - 5, size):
            wire.writer.write(frames[at : at + size])
            await asyncio.sleep(SOON_S / 10)
        for _ in range(29):
            assert (await wire.read())[:4] == b"0810"


async def test_at_the_cap_the_host_reads_no_more_until_there_is_room(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100_000)
    link = make_link(in_flight_max=4)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, link.in_flight)
            await asyncio.sleep(0)

    desk = make_desk(db, batch_size_max=2)
    async with hosted(db, link, desk=desk) as at_work, at_work.wired() as wire:
        watching = asyncio.create_task(watch())
        for _ in range(60):
            await wire.write(purchase(purse.card, 100))
            await asyncio.sleep(0)
        codes = [decode(await wire.read(), wire.profile).fields[39] for _ in range(60)]
        watching.cancel()
        assert await is_well(at_work)
    assert codes == ["00"] * 60
    assert 4 <= most < 60
    assert link.in_flight == 0
    assert money(await balance_of(db, purse.account)) == (100_000, 94_000)


async def test_more_connections_than_may_be_are_refused_until_one_is_closed(db: Database) -> None:
    link = make_link(connections_max=2)
    async with hosted(db, link) as at_work, AsyncExitStack() as stack:
        first, second, third = [await stack.enter_async_context(at_work.wired()) for _ in range(3)]
        for wire in (first, second):
            assert (await wire.ask(echo()))[:4] == b"0810"
        assert await third.read() == b""
        first.writer.close()
        await until(lambda: len(link.connections) == 1)
        assert await is_well(at_work)


@pytest.mark.parametrize(
    ("allow", "welcome"),
    [(["127.0.0.0/8"], True), (["10.1.0.0/16", "::1/128"], False), ([], True)],
)
async def test_a_link_is_for_whom_it_allows(db: Database, allow: list[str], welcome: bool) -> None:  # noqa: FBT001 - a parameter
    link = make_link(allow=[ip_network(each) for each in allow])
    async with hosted(db, link, make_link("other")) as at_work, at_work.wired() as wire:
        try:
            answer = await wire.ask(echo())
        except ConnectionError:
            answer = b""
        assert (answer != b"") == welcome
        assert await is_well(at_work, "other")


@pytest.mark.parametrize(
    ("peer", "welcome"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("::ffff:10.2.2.3", False), ("::1", False)],
)
def test_ipv4_that_comes_as_ipv6_is_known(peer: str, welcome: bool) -> None:  # noqa: FBT001 - a parameter
    assert make_link(allow=[ip_network("10.1.0.0/16")]).allows(peer) == welcome


async def test_who_does_not_read_is_hung_up_on_and_harms_no_other(db: Database) -> None:
    deaf_link, link = make_link("deaf"), make_link()
    async with hosted(db, deaf_link, link, read_s=SOON_S) as at_work:
        async with at_work.called() as bank, at_work.wired("deaf") as deaf:
            await until(lambda: len(deaf_link.connections) == 1)
            shouting = asyncio.create_task(_shout(deaf))
            waited = asyncio.create_task(until(lambda: not deaf_link.connections))
            while not waited.done():
                assert await bank.code(echo()) == "00"
            await waited
            shouting.cancel()
        assert await is_well(at_work, "deaf")


async def _shout(wire: Wire) -> None:
    """Ask, and read none of the answers."""
    try:
        while True:
            wire.writer.write(wire.framed(echo()) * 100)
            await wire.writer.drain()
    except ConnectionError:
        return


async def test_what_is_in_flight_at_the_end_is_answered_first(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100_000)
    asked = [purchase(purse.card, 100) for _ in range(40)]
    link = make_link()
    async with AsyncExitStack() as stack:
        async with hosted(db, link, desk=make_desk(db, batch_size_max=4)) as at_work:
            wire = await stack.enter_async_context(at_work.wired())
            await wire.write(*asked)
            await until(lambda: link.in_flight == len(asked))
        codes = [decode(await wire.read(), wire.profile).fields[39] for _ in asked]
        assert await wire.read() == b""
    assert codes == ["00"] * 40
    assert money(await balance_of(db, purse.account)) == (100_000, 96_000)


async def test_a_link_with_addresses_answers_to_where_it_was_asked_from(db: Database) -> None:
    profile = parse('[framing]\nlength = "ascii-4"\ntpdu = true', name="pos")
    async with hosted(db, make_link(profile=profile)) as at_work:
        assert await is_well(at_work)
        async with at_work.wired() as wire:
            wire.writer.write(wire.framed(echo()))
            assert (await wire.reader.readexactly(9))[4:] == bytes.fromhex("6000000001")


async def test_without_a_database_it_is_91_and_after_it_came_back_as_if_never_asked(
    data_dir: Path,
) -> None:
    server = EmbeddedPostgres(data_dir)
    db = await Database.connect(await server.start())
    try:
        await migrate(db)
        purse = await make_purse(db, usd_minor=10_000)
        asked = purchase(purse.card, 1_000)
        async with hosted(db, answer_s=2.0) as at_work, at_work.called() as bank:
            assert await bank.code(purchase(purse.card, 1_000)) == "00"
            await server.stop()
            assert await bank.codes(asked, acquirer.repeated(asked)) == ["91", "91"]
            assert await bank.code(echo()) == "00"
            await server.start()
            codes = [await bank.code(acquirer.repeated(asked)) for _ in range(3)]
            assert codes[-1] == "00"
        assert money(await balance_of(db, purse.account)) == (10_000, 8_000)
    finally:
        await db.close()
        await server.erase()


async def test_a_link_that_floods_the_host_leaves_its_share_to_another(db: Database) -> None:
    purse = await make_purse(db, usd_minor=100_000)
    links, desk = (make_link(), make_link("other")), make_desk(db, batch_size_max=10)
    async with (
        hosted(db, *links, desk=desk) as at_work,
        at_work.wired() as flood,
        at_work.wired("other") as calm,
    ):
        await flood.write(*(purchase(purse.card, 100) for _ in range(400)))
        await until(lambda: links[0].in_flight > 0)
        assert (await calm.told(purchase(purse.card, 100))).fields[39] == "00"
        assert links[0].in_flight > 300
        codes = [decode(await flood.read(), flood.profile).fields[39] for _ in range(400)]
        assert codes == ["00"] * 400
