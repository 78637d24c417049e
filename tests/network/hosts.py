"""A host at work on a real desk, and the acquirers who ask it over real sockets."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from bayon.cards import Card, Desk, ZonePinKey, encipher_pin_block, open_items
from bayon.db import Database
from bayon.log import Secret
from bayon.network import acquirer
from bayon.network.acquirer import Amount, Original, Place, Plastic, Stamp, original_of
from bayon.network.client import Caller, wrapped
from bayon.network.connection import Link
from bayon.network.frame import Framer
from bayon.network.host import Host
from bayon.network.iso8583 import Message, decode, encode
from bayon.network.messages import Terms
from bayon.network.profile import DEFAULT_PROFILE, Profile
from cards_factories import VAULT, make_desk
from network.samples import PROFILES

AT: Final = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
PATIENCE_S: Final = 60.0
USD: Final = "840"
ZONE_KEY: Final = ZonePinKey(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))

_stans: Final = itertools.count(1)


def make_link(name: str = "switch", *, wire: str = DEFAULT_PROFILE, **others: Any) -> Link:  # noqa: ANN401 - its fields
    """Make a link."""
    profile: Profile = others.pop("profile", PROFILES[wire])
    terms = Terms(link=name, profile=profile, vault=VAULT, zone_pin_key=ZONE_KEY)
    return Link(terms=terms, **others)


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """A host that serves, and the ports of its links, by their names."""

    host: Host
    ports: dict[str, int]

    @asynccontextmanager
    async def called(self, link: str = "switch") -> AsyncGenerator["Bank"]:
        """Connect a shop's bank."""
        (terms,) = [each.terms for each in self.host.links if each.terms.link == link]
        port = self.ports[link]
        caller = await Caller.open("127.0.0.1", port, terms.profile, timeout_s=PATIENCE_S)
        try:
            yield Bank(caller=caller, profile=terms.profile)
        finally:
            caller.close()

    @asynccontextmanager
    async def wired(self, link: str = "switch") -> AsyncGenerator["Wire"]:
        """Connect whoever writes bytes."""
        (terms,) = [each.terms for each in self.host.links if each.terms.link == link]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[link])
        try:
            yield Wire(reader=reader, writer=writer, profile=terms.profile)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def hosted(
    db: Database,
    *links: Link,
    answer_s: float = PATIENCE_S,
    read_s: float = PATIENCE_S,
    desk: Desk | None = None,
    **others: Any,  # noqa: ANN401 - of the host
) -> AsyncGenerator[Hosted]:
    """Serve these links, or one; what waits at the end is answered before it is over."""
    own = links or (make_link(),)
    listening = [link for link in own if link.peer is None]
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in listening]
    ports = {
        link.terms.link: listener.getsockname()[1]
        for link, listener in zip(listening, listeners, strict=True)
    }
    host = Host(desk or make_desk(db), own, answer_s=answer_s, read_s=read_s, **others)
    serving = asyncio.create_task(host.serve(listeners))
    await asyncio.sleep(0)
    try:
        yield Hosted(host=host, ports=ports)
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


@dataclass(kw_only=True)
class Wire:
    """A connection of bytes: whatever is written, and the frames that come back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    profile: Profile
    framer: Framer = field(init=False)
    bodies: list[bytes] = field(default_factory=list[bytes])

    def __post_init__(self) -> None:
        """Begin to read."""
        self.framer = Framer(self.profile.framing)

    def framed(self, message: Message) -> bytes:
        return wrapped(encode(message, self.profile), self.profile.framing)

    async def write(self, *messages: Message) -> None:
        self.writer.write(b"".join(map(self.framed, messages)))
        await self.writer.drain()

    async def read(self) -> bytes:
        """Wait for the next answer's bytes; nothing once the host has hung up."""
        while not self.bodies:
            async with asyncio.timeout(PATIENCE_S):
                try:
                    data = await self.reader.read(65_536)
                except ConnectionError:
                    data = b""
            if not data:
                return b""
            self.bodies += [frame.body for frame in self.framer.feed(data)]
        return self.bodies.pop(0)

    async def ask(self, message: Message) -> bytes:
        await self.write(message)
        return await self.read()

    async def told(self, message: Message) -> Message:
        return decode(await self.ask(message), self.profile)


@dataclass(frozen=True, kw_only=True)
class Bank:
    """A shop's bank: what it sends, and what it is told."""

    caller: Caller
    profile: Profile

    async def ask(self, message: Message) -> Message:
        return await self.caller.ask(message, timeout_s=PATIENCE_S)

    async def code(self, message: Message) -> str:
        return (await self.ask(message)).fields[39]

    async def codes(self, *messages: Message) -> list[str]:
        """Ask one after the other."""
        return [await self.code(message) for message in messages]

    async def approved(self, message: Message) -> Original:
        """Ask, and make of it what later messages say of it."""
        answer = await self.ask(message)
        assert answer.fields[39] == "00"
        return original_of(message, answer)


def plastic(
    card: Card,
    *,
    pin: Secret | None = None,
    expiry: str | None = None,
    key: ZonePinKey = ZONE_KEY,
) -> Plastic:
    """Make the card as its number was typed."""
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id)
    block = encipher_pin_block(pin, pan, key) if pin else None
    return Plastic(pan=pan, pin_block=block, expiry=expiry)


def swiped(card: Card, *, chip: bool = False) -> Plastic:
    """Make the card as its stripe was read, or with what belongs on its chip there."""
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id)
    track = VAULT.track_2(pan, exp_year=card.exp_year, exp_month=card.exp_month, chip=chip)
    return Plastic(track2=track)


def stamp() -> Stamp:
    """Stamp a message as no other."""
    return Stamp(AT, next(_stans))


def purchase(
    card: Card | Plastic,
    minor: int,
    *,
    currency: str = USD,
    kind: acquirer.Kind = "purchase",
    **how: Any,  # noqa: ANN401 - of the request
) -> Message:
    """Make a request."""
    used = plastic(card) if isinstance(card, Card) else card
    profile: Profile = how.pop("profile", PROFILES[DEFAULT_PROFILE])
    paid = Amount(minor, currency)
    return acquirer.request(kind, used, paid, Place(), stamp(), profile=profile, **how)


def reversal(original: Original, card: Card, **how: Any) -> Message:  # noqa: ANN401 - of the reversal
    """Make a reversal."""
    return acquirer.reversal(original, plastic(card), Place(), stamp(), **how)


def told(original: Original, card: Card, minor: int, *, final: bool) -> Message:
    """Make an advice: a 0220 if it is final, else a 0120."""
    paid = Amount(minor, USD)
    return acquirer.told_later(original, plastic(card), paid, Place(), stamp(), final=final)


def offline(minor: int) -> Original:
    """Make the original of what we were never asked."""
    at, code = stamp(), f"F{next(_stans):05d}"
    return acquirer.approved_offline(Place(), Amount(minor, USD), at, approval_code=code)


def changed(message: Message, *without: int, mti: str | None = None, **others: str) -> Message:
    """Say it otherwise: without these fields, with others, which are named by `f` and number."""
    fields = {n: v for n, v in message.fields.items() if n not in without}
    fields |= {int(name[1:]): value for name, value in others.items()}
    secrets = {n: v for n, v in message.secrets.items() if n not in without}
    return replace(message, mti=mti or message.mti, fields=fields, secrets=secrets)


async def unmatched(db: Database) -> list[str]:
    """Tell what was told of nothing we know, the newest first."""
    return [each.what for each in await db.read(open_items)]


def money(balance: Any) -> tuple[int, int]:  # noqa: ANN401 - a balance
    """Tell what is posted and what is available."""
    return balance.posted_minor, balance.available_minor


def all_same(answers: Sequence[bytes]) -> bool:
    """Tell whether all were answered, and alike."""
    return b"" not in answers and len(set(answers)) == 1
