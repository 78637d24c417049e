"""Zone PIN keys that a network sends: each counts once it is kept, and the former for a while."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final, NamedTuple

import pytest

from bayon.cards import KeyBlockKey, SentKey, ZonePinKey, keep_sent_key, newest_sent_keys
from bayon.db import Database, Tx
from bayon.errors import Invalid
from bayon.log import Secret
from bayon.network import acquirer
from bayon.network.connection import Link
from bayon.network.exchange import GRACE, KeyExchange, LinkKeys
from bayon.network.iso8583 import Message, decode
from bayon.network.profile import Profile, parse
from cards.oracles import psec_wrap
from cards_factories import PIN, WRONG_PIN, Purse, balance_of, make_purse, now_of
from network.hosts import (
    PATIENCE_S,
    ZONE_KEY,
    Bank,
    Hosted,
    changed,
    hosted,
    make_link,
    plastic,
    purchase,
    stamp,
)

UNDER: Final = secrets.token_bytes(32)
PROFILES: Final = {
    "ascii": parse("[key_exchange]", name="ascii"),
    "ebcdic": parse('charset = "cp037"\n[key_exchange]\ncode = "101"\nfield = 48', name="ebcdic"),
}


class Sent(NamedTuple):
    """A key, and the block a network sends it in."""

    key: ZonePinKey
    block: str


def made() -> Sent:
    key = secrets.token_bytes(16)
    return Sent(ZonePinKey(key), KeyBlockKey(UNDER).wrap(key, "T"))


def offer(block: str, profile: Profile = PROFILES["ascii"]) -> Message:
    """Send a key, as an 0800."""
    how = profile.key_exchange
    assert how is not None
    asked = acquirer.management("echo", stamp())
    return changed(asked, **{"f70": how.code, f"f{how.field}": block})


async def kept(db: Database) -> list[SentKey]:
    """Tell what is kept of one link."""
    return await db.read(lambda tx: newest_sent_keys(tx, links=["switch"]))


def judge_nothing(_link: str, _key: Secret) -> None:
    """Let every key be good."""


def exchange(
    db: Database,
    *links: str,
    configured: ZonePinKey = ZONE_KEY,
    grace: timedelta = GRACE,
    **others: Any,  # noqa: ANN401 - of the exchange
) -> KeyExchange:
    return KeyExchange(
        db,
        under=Secret(UNDER.hex()),
        configured=dict.fromkeys(links or ("switch",), configured),
        grace=grace,
        **{"judge": judge_nothing} | others,
    )


@asynccontextmanager
async def exchanging(
    db: Database,
    *links: Link,
    profile: Profile = PROFILES["ascii"],
    **how: Any,  # noqa: ANN401 - of the exchange
) -> AsyncGenerator[Hosted]:
    """Serve links whose networks send keys."""
    own = links or (make_link(profile=profile),)
    keys = exchange(db, *(link.terms.link for link in own), **how)
    async with hosted(db, *own, keys=keys) as at_work:
        yield at_work


async def pay(bank: Bank, purse: Purse, key: ZonePinKey, pin: Secret = PIN) -> str:
    """Pay with a PIN that was enciphered under this key, the right one."""
    used = plastic(purse.card, pin=pin, key=key)
    return await bank.code(purchase(used, 100, profile=bank.profile))


@pytest.mark.parametrize("name", PROFILES)
async def test_a_key_that_was_sent_reads_pins_and_the_former_one_still_does(
    db: Database, name: str
) -> None:
    purse, profile = await make_purse(db, usd_minor=10_000), PROFILES[name]
    first, second = made(), made()
    async with exchanging(db, profile=profile) as at_work, at_work.called() as bank:
        assert await pay(bank, purse, first.key) == "91"
        told = await bank.ask(offer(first.block, profile))
        assert (told.mti, told.fields[39], 48 in told.fields) == ("0810", "00", False)
        assert [await pay(bank, purse, key) for key in (first.key, ZONE_KEY)] == ["00", "00"]
        assert await bank.code(offer(second.block, profile)) == "00"
        codes = [await pay(bank, purse, key) for key in (second.key, first.key, ZONE_KEY)]
        assert codes == ["00", "00", "91"]


async def test_what_a_key_that_came_elsewhere_enciphered_uses_up_no_tries(db: Database) -> None:
    purse, elsewhere = await make_purse(db, usd_minor=10_000), made()
    async with exchanging(db) as at_work, at_work.called() as bank:
        assert [await pay(bank, purse, elsewhere.key) for _ in range(4)] == ["91"] * 4
        assert await pay(bank, purse, ZONE_KEY) == "00"
        assert [await pay(bank, purse, ZONE_KEY, WRONG_PIN) for _ in range(3)] == ["55"] * 3
        assert await pay(bank, purse, ZONE_KEY) == "75"


async def test_what_is_told_is_taken_with_whatever_pin(db: Database) -> None:
    purse, elsewhere = await make_purse(db, usd_minor=10_000), made()
    used = plastic(purse.card, pin=PIN, key=elsewhere.key)
    async with exchanging(db) as at_work, at_work.called() as bank:
        asked = purchase(used, 100, profile=bank.profile)
        assert (
            await bank.codes(changed(asked, mti="0120"), changed(asked, mti="0220")) == ["00"] * 2
        )
        assert await pay(bank, purse, ZONE_KEY) == "00"
    assert (await balance_of(db, purse.account)).available_minor == 10_000 - 200


async def test_the_configured_key_is_not_taken_for_a_new_one_in_whatever_block(
    db: Database,
) -> None:
    sent = made()
    again = [
        KeyBlockKey(UNDER).wrap(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), "T")
        for _ in range(2)
    ]
    async with exchanging(db) as at_work, at_work.called() as bank:
        assert await bank.code(offer(again[0])) == "00"  # it counts already
        assert await kept(db) == []
        assert await bank.codes(offer(sent.block), *map(offer, again)) == ["00", "63", "63"]
    assert [key.version for key in await kept(db)] == [1]


async def test_once_its_grace_is_over_the_former_key_reads_nothing(db: Database) -> None:
    purse, sent = await make_purse(db, usd_minor=10_000), made()
    async with exchanging(db, grace=timedelta(0)) as at_work, at_work.called() as bank:
        assert await bank.code(offer(sent.block)) == "00"
        assert [await pay(bank, purse, key) for key in (sent.key, ZONE_KEY)] == ["00", "91"]


async def test_the_grace_ends_by_itself(db: Database) -> None:
    purse, sent = await make_purse(db, usd_minor=10_000), made()
    async with exchanging(db, grace=timedelta(seconds=2)) as at_work, at_work.called() as bank:
        assert await bank.code(offer(sent.block)) == "00"
        (link,) = at_work.host.links
        async with asyncio.timeout(PATIENCE_S):
            while link.terms.former_pin_key is not None:  # noqa: ASYNC110 - the host has no event of it
                await asyncio.sleep(0.05)
        assert [await pay(bank, purse, key) for key in (sent.key, ZONE_KEY)] == ["00", "91"]


async def test_a_key_that_was_sent_survives_a_restart_and_so_does_the_former(db: Database) -> None:
    purse, first, second = await make_purse(db, usd_minor=10_000), made(), made()
    async with exchanging(db) as at_work, at_work.called() as bank:
        assert await bank.codes(offer(first.block), offer(second.block)) == ["00", "00"]
    async with exchanging(db) as at_work, at_work.called() as bank:
        codes = [await pay(bank, purse, key) for key in (second.key, first.key, ZONE_KEY)]
        assert codes == ["00", "00", "91"]
    async with exchanging(db, grace=timedelta(0)) as at_work, at_work.called() as bank:
        assert [await pay(bank, purse, key) for key in (second.key, first.key)] == ["00", "91"]


async def test_another_process_with_the_link_takes_the_key_too(db: Database) -> None:
    purse, sent = await make_purse(db, usd_minor=10_000), made()
    async with exchanging(db) as one, exchanging(db) as other:
        async with one.called() as bank:
            assert await bank.code(offer(sent.block)) == "00"
        (link,) = other.host.links
        async with asyncio.timeout(PATIENCE_S):
            while link.terms.former_pin_key is None:  # noqa: ASYNC110 - the host has no event of it
                await asyncio.sleep(0.05)
        async with other.called() as bank:
            assert [await pay(bank, purse, key) for key in (sent.key, ZONE_KEY)] == ["00", "00"]


async def test_the_same_again_is_the_same_and_an_older_key_does_not_come_back(
    db: Database,
) -> None:
    purse, first, second = await make_purse(db, usd_minor=10_000), made(), made()
    async with exchanging(db) as at_work, at_work.called() as bank:
        asked = offer(first.block)
        assert await bank.codes(asked, acquirer.repeated(asked)) == ["00", "00"]
        assert await pay(bank, purse, ZONE_KEY) == "00"  # which is the former one still
        assert await bank.codes(offer(second.block), offer(first.block)) == ["00", "63"]
        assert await pay(bank, purse, second.key) == "00"
    assert [key.version for key in await kept(db)] == [1, 2]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("", id="nothing"),
        pytest.param("0123456789ABCDEFFEDCBA9876543211", id="a bare key"),
        pytest.param(made().block[:-1] + "G", id="no block"),
        pytest.param(KeyBlockKey(secrets.token_bytes(32)).wrap(b"k" * 16, "T"), id="of others"),
        pytest.param(psec_wrap(UNDER, "DK0TB00E", b"k" * 16, {}), id="for something else"),
        pytest.param("\u00e9" * 112, id="no text"),
    ],
)
async def test_what_is_no_key_for_pins_is_refused_and_nothing_changes(
    db: Database, block: str
) -> None:
    purse = await make_purse(db, usd_minor=10_000)
    async with exchanging(db) as at_work, at_work.called() as bank:
        asked = offer(block)
        assert await bank.code(asked if block else changed(asked, 125)) == "63"
        assert await pay(bank, purse, ZONE_KEY) == "00"
    assert await kept(db) == []


async def test_a_weak_key_is_refused(db: Database) -> None:
    def judge(link: str, key: Secret) -> None:
        raise Invalid(f"{link} was sent {key}")

    async with exchanging(db, judge=judge) as at_work, at_work.called() as bank:
        assert await bank.code(offer(made().block)) == "63"
    assert await kept(db) == []


async def test_a_key_that_is_being_taken_at_the_end_is_taken_and_answered(db: Database) -> None:
    begun = asyncio.Event()

    def judge(_link: str, _key: Secret) -> None:
        begun.set()

    async with AsyncExitStack() as stack:
        async with exchanging(db, judge=judge) as at_work:
            wire = await stack.enter_async_context(at_work.wired())
            await wire.write(offer(made().block))
            await begun.wait()
        assert decode(await wire.read(), wire.profile).fields[39] == "00"
        assert await wire.read() == b""
    assert len(await kept(db)) == 1


async def test_a_link_takes_one_key_at_a_time(db: Database) -> None:
    offers = [offer(made().block) for _ in range(20)]
    async with exchanging(db) as at_work, at_work.called() as bank:
        codes = await asyncio.gather(*map(bank.code, offers))
        assert set(codes) == {"00", "91"}
    assert (await kept(db))[-1].version == codes.count("00")


async def test_each_link_has_its_own_keys(db: Database) -> None:
    purse, sent = await make_purse(db, usd_minor=10_000), made()
    profile = PROFILES["ascii"]
    links = [make_link(name, profile=profile) for name in ("one", "other")]
    async with exchanging(db, *links) as at_work:
        async with at_work.called("one") as bank:
            assert await bank.code(offer(sent.block)) == "00"
            assert await pay(bank, purse, sent.key) == "00"
        async with at_work.called("other") as bank:
            assert [await pay(bank, purse, key) for key in (ZONE_KEY, sent.key)] == ["00", "91"]
            assert await bank.code(offer(sent.block)) == "00"  # it was not sent this one before


async def test_a_new_configured_key_ends_what_was_sent(db: Database) -> None:
    purse, sent, configured = await make_purse(db, usd_minor=10_000), made(), made()
    async with exchanging(db) as at_work, at_work.called() as bank:
        assert await bank.code(offer(sent.block)) == "00"
    link = make_link(profile=PROFILES["ascii"])
    async with exchanging(db, link, configured=configured.key) as at_work, at_work.called() as bank:
        codes = [await pay(bank, purse, key) for key in (configured.key, sent.key)]
        assert codes == ["00", "91"]
        assert await bank.codes(offer(sent.block), offer(made().block)) == ["63", "00"]
        assert await pay(bank, purse, configured.key) == "00"  # the former one


async def keep(db: Database, block: str) -> None:
    """Keep a block as one that came upon the configured key."""
    upon = ZONE_KEY.check_value()

    async def work(tx: Tx) -> None:
        now = await now_of(tx)
        await keep_sent_key(tx, link="switch", block=block, upon=upon, now=now)

    await db.transaction(work)


async def test_what_was_sent_and_cannot_be_read_any_more_stops_the_start(db: Database) -> None:
    await keep(db, KeyBlockKey(secrets.token_bytes(32)).wrap(secrets.token_bytes(16), "T"))
    with pytest.raises(Invalid, match="What link switch was sent cannot be read"):
        await exchange(db).look(lambda _: None)
    sent = made()
    await keep(db, sent.block)
    told: list[LinkKeys] = []
    await exchange(db).look(lambda keys: told.append(keys["switch"]))
    ((key, former),) = told
    assert key is not None
    assert (key.check_value(), former) == (sent.key.check_value(), None)


async def test_of_keys_at_once_each_has_its_version(db: Database) -> None:
    await asyncio.gather(*(keep(db, made().block) for _ in range(5)))
    assert [key.version for key in await kept(db)] == [4, 5]


async def test_a_link_without_key_exchange_takes_no_key(db: Database) -> None:
    async with hosted(db) as at_work, at_work.called() as bank:
        assert await bank.code(offer(made().block)) == "12"
