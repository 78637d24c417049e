"""A connection: one peer on one link, a protocol without a task.

Frames in, each decoded once and put into the batch that forms; answers out as their batches commit,
those of one turn of the loop in one write. Whatever comes in, the worst is an answer 30, a dropped
frame or a closed connection, and no other link notices.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, Literal, NamedTuple, Protocol, cast

import structlog

from bayon.batch import Reply
from bayon.cards import BadPan, Desk, Moved
from bayon.errors import BayonError, Unavailable
from bayon.network.acquirer import is_approved
from bayon.network.asked import sent_key
from bayon.network.client import wrapped
from bayon.network.dial import Peer
from bayon.network.exchange import KeyExchange
from bayon.network.frame import Frame, Framer, turned, wrap
from bayon.network.iso8583 import BadMessage, Message, decode, encode
from bayon.network.messages import (
    MANAGEMENT,
    SIGN_OFF,
    SIGN_ON,
    Terms,
    answer,
    is_request,
    is_told,
    read,
    reason_of,
    refusal,
)

CONNECTIONS_MAX: Final = 256
IN_FLIGHT_MAX: Final = 1_000

STAN: Final = 11
"""The field by which our own 0800 is known again in its answer."""

log = structlog.get_logger()


@dataclass(kw_only=True, eq=False)
class Link:
    """One link as it is configured, and how it stands. Its name is part of messages' identity."""

    terms: Terms
    peer: Peer | None = None
    """Whom it dials; who has none is dialled."""

    allow: Sequence[IPv4Network | IPv6Network] = ()
    """Whom it is for; everybody, if nobody is named."""

    connections_max: int = CONNECTIONS_MAX
    in_flight_max: int = IN_FLIGHT_MAX
    signed_on: bool = True
    in_flight: int = 0
    connections: set["Connection"] = field(default_factory=set["Connection"])

    def allows(self, host: str) -> bool:
        """Tell whether this link is for a peer."""
        if not self.allow:
            return True
        peer = ip_address(host)
        # On a socket for both, IPv4 comes as IPv6.
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self.allow)


Observe = Callable[[str, str, str, float], None]
"""Is told of each answer: its link, the MTI it answers, its reason, and the seconds it took."""


class _Asked(NamedTuple):
    message: Message
    answer: asyncio.Future[Message | None]


class Hosting(Protocol):
    """What a connection needs of its host."""

    desk: Desk
    read_s: float
    keys: KeyExchange | None
    observe: Observe

    def wait_for(self, future: asyncio.Future[Reply[Moved]]) -> None:
        """Let an answer take its time, and no longer."""
        ...

    def take_key(self, keys: KeyExchange, link: str, block: str) -> asyncio.Task[None]:
        """Take a key that was sent."""
        ...


class Connection(asyncio.Protocol):
    """One peer on one link."""

    def __init__(self, host: Hosting, link: Link) -> None:
        self._host: Hosting = host
        self._link: Link = link
        self._framer: Framer = Framer(link.terms.profile.framing)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._begun_at: float | None = None
        self._stuck_at: float | None = None
        self._paused: set[Literal["cap", "peer", "end"]] = set()
        self._asked: dict[str, _Asked] = {}
        self.heard_at: float = 0.0
        self.lost: asyncio.Event = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let a peer in, if the link is for it and has room."""
        self._transport = cast("asyncio.Transport", transport)
        peer = str(transport.get_extra_info("peername", ("",))[0])
        allowed = self._link.allows(peer)
        if not allowed or len(self._link.connections) >= self._link.connections_max:
            log.warning("network.refused", link=self._link.terms.link, allowed=allowed)
            self._transport.abort()
            return
        self._link.connections.add(self)
        self.heard_at = asyncio.get_running_loop().time()
        log.info("network.connected", link=self._link.terms.link)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the peer; what it asked for is decided all the same, and kept for its repeat."""
        if self in self._link.connections:
            self._link.connections.discard(self)
            reason = "reset" if exc else "closed"
            log.info("network.disconnected", link=self._link.terms.link, reason=reason)
        self._transport = None
        self.lost.set()
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self not in self._link.connections:
            return
        self.heard_at = asyncio.get_running_loop().time()
        frames = self._framer.feed(data)
        for frame in frames:
            self._take(frame)
        if self._framer.error is not None:
            log.warning("network.bad_frame", link=self._link.terms.link)
            self.close()
            return
        if frames or not self._framer.waiting:
            self._begun_at = None
        if self._framer.waiting and self._begun_at is None:
            self._begun_at = asyncio.get_running_loop().time()

    def pause_writing(self) -> None:
        """Read no more from a peer that does not read."""
        self._stuck_at = self._stuck_at or asyncio.get_running_loop().time()
        self._pause("peer")

    def resume_writing(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._stuck_at = None
        self._resume("peer")

    def look(self, now: float) -> None:
        """Hang up on who does not read, or ends no frame; read on where there is room again."""
        late = now - self._host.read_s
        if self._stuck_at is not None:
            if self._stuck_at < late and self._transport is not None:
                log.warning("network.not_read", link=self._link.terms.link)
                self._transport.abort()
        elif self._begun_at is not None and self._paused:
            self._begun_at = now  # the rest of it may have come: it is we who do not read
        elif self._begun_at is not None and self._begun_at < late:
            log.warning("network.half_frame", link=self._link.terms.link)
            self.close()
        if self._link.in_flight < self._link.in_flight_max:
            self._resume("cap")

    def pause(self) -> None:
        """Read nothing any more."""
        self._pause("end")

    def close(self) -> None:
        """Hang up, once what is to be said is said; on who does not read that, by and by."""
        self._flush()
        if self._transport is not None:
            self._stuck_at = self._stuck_at or asyncio.get_running_loop().time()
            self._transport.close()

    def ask(self, message: Message) -> asyncio.Future[Message | None]:
        """Send a message of ours; its answer comes, or nothing once the connection is lost."""
        answer: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            answer.set_result(None)
            return answer
        stan, profile = message.fields[STAN], self._link.terms.profile
        self._asked[stan] = _Asked(message, answer)
        answer.add_done_callback(lambda _: self._asked.pop(stan))
        self._write(wrapped(encode(message, profile), profile.framing))
        return answer

    def _take(self, frame: Frame) -> None:
        terms = self._link.terms
        try:
            message = decode(frame.body, terms.profile)
        except BadMessage as error:
            self._malformed(frame, error)
            return
        if not is_request(message.mti):
            if not self._is_answered(message):
                log.warning("network.no_request", link=terms.link, mti=message.mti)
            return
        begun_at = asyncio.get_running_loop().time()
        if not self._link.signed_on and _needs_sign_on(message):
            self._refuse(frame, message, Unavailable(), begun_at)
            return
        block, keys = sent_key(message, terms.profile), self._host.keys
        if block is not None and keys is not None:
            taking = self._host.take_key(keys, terms.link, block)
            taking.add_done_callback(partial(self._taken, frame, message, begun_at))
            return
        try:
            asked = read(message, terms)
        except (BadMessage, BadPan, Unavailable) as error:
            self._refuse(frame, message, error, begun_at)
            return
        if isinstance(asked, Message):
            self._sign(message)
            self._say(frame, asked)
            self._observe(message, "answered", begun_at)
            return
        future = self._host.desk.put(asked, of=terms.link)
        self._link.in_flight += 1
        self._host.wait_for(future)
        future.add_done_callback(partial(self._settled, frame, message, begun_at))
        if self._link.in_flight >= self._link.in_flight_max:
            self._pause("cap")

    def _taken(
        self, frame: Frame, message: Message, begun_at: float, taking: asyncio.Task[None]
    ) -> None:
        error = taking.exception()
        if error is None:
            self._say(frame, answer(message, self._link.terms, "approved"))
            self._observe(message, "answered", begun_at)
        else:
            self._fail(frame, message, error, begun_at)

    def _settled(
        self, frame: Frame, message: Message, begun_at: float, future: asyncio.Future[Reply[Moved]]
    ) -> None:
        link = self._link
        link.in_flight -= 1
        if self._paused and link.in_flight <= link.in_flight_max // 2:
            self._resume("cap")
        error = Unavailable() if future.cancelled() else future.exception()
        if error is None:
            reply = future.result()
            self._send(frame, reply.answer)
            self._observe(message, _reason_of(message, reply), begun_at)
        else:
            self._fail(frame, message, error, begun_at)

    def _fail(self, frame: Frame, message: Message, error: BaseException, begun_at: float) -> None:
        if not isinstance(error, BayonError):
            log.error("network.failed", link=self._link.terms.link, error=type(error).__name__)
        self._refuse(frame, message, error, begun_at)

    def _refuse(
        self, frame: Frame, message: Message, error: BaseException, begun_at: float
    ) -> None:
        self._say(frame, refusal(message, self._link.terms, error))
        self._observe(message, reason_of(error), begun_at)

    def _observe(self, message: Message, reason: str, begun_at: float) -> None:
        took_s = asyncio.get_running_loop().time() - begun_at
        self._host.observe(self._link.terms.link, f"{message.mti[:3]}0", reason, took_s)

    def _is_answered(self, message: Message) -> bool:
        """Hand what comes to who asked for it, if we did."""
        asked = self._asked.get(message.fields.get(STAN, ""))
        if asked is None or asked.answer.done() or message.mti[1] != MANAGEMENT:
            return False
        if is_approved(message, self._link.terms.profile):
            self._sign(asked.message)  # at once: what comes behind it may be a sign-off
        asked.answer.set_result(message)
        return True

    def _malformed(self, frame: Frame, error: BadMessage) -> None:
        log.warning("network.malformed", link=self._link.terms.link, field=error.field)
        partly = error.partial
        if partly is not None and is_request(partly.mti):
            self._refuse(frame, partly, error, asyncio.get_running_loop().time())

    def _sign(self, message: Message) -> None:
        wanted = message.fields.get(70) if message.mti[1] == MANAGEMENT else None
        if wanted in {SIGN_ON, SIGN_OFF}:
            self._link.signed_on = wanted == SIGN_ON
            log.info("network.signed", link=self._link.terms.link, on=self._link.signed_on)

    def _say(self, frame: Frame, said: Message) -> None:
        try:
            body = encode(said, self._link.terms.profile)
        except BadMessage as error:
            # What could be read of a broken message need not fit into an answer.
            log.warning("network.unsayable", link=self._link.terms.link, field=error.field)
            return
        self._send(frame, body)

    def _send(self, frame: Frame, body: bytes) -> None:
        tpdu = turned(frame.tpdu)
        self._write(wrap(Frame(body, tpdu), self._link.terms.profile.framing))

    def _write(self, framed: bytes) -> None:
        if self._transport is None:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(framed)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _pause(self, why: Literal["cap", "peer", "end"]) -> None:
        if not self._paused and self._transport is not None:
            self._transport.pause_reading()
        self._paused.add(why)

    def _resume(self, why: Literal["cap", "peer", "end"]) -> None:
        if why in self._paused:
            self._paused.discard(why)
            if not self._paused and self._transport is not None:
                self._transport.resume_reading()


def _needs_sign_on(message: Message) -> bool:
    """Tell a request, which waits for a yes, from what is told, and from speaking of the link."""
    return message.mti[1] != MANAGEMENT and not is_told(message.mti)


def _reason_of(message: Message, reply: Reply[Moved]) -> str:
    """Tell what an answer says.

    `repeated` where it is that of an earlier time; of what cannot be declined `kept` where nothing
    was done, as a rule since nothing is known of it.
    """
    if reply.outcome is None:
        return "repeated"
    if is_told(message.mti):
        return "approved" if reply.outcome.effect else "kept"
    decline = reply.outcome.decline
    return "approved" if decline is None else decline.value
