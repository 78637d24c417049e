"""A link from the acquirer's side: what is asked is sent, and its answer found among all others.

Answers may come in any order, late, twice, or not at all. They are told apart by the message's
class, when it was sent, its trace number and its acquirer. A link that is lost fails whatever
waits on it; a deadline fails one alone. What cannot be read is counted, and ends nothing: only a
stream that holds no frame where one must begin closes the link.
"""

import asyncio
from collections import deque
from itertools import chain
from typing import Final, NamedTuple, cast

from bayon.errors import Unavailable
from bayon.network.frame import BadFrame, Frame, Framer, Framing, wrap
from bayon.network.iso8583 import BadMessage, Message, decode, encode
from bayon.network.profile import Profile

TPDU: Final = bytes.fromhex("6000010000")
"""Of links that have one: kind 60, to 0001, from 0000."""


class NoAnswer(Unavailable):
    """There was no answer."""

    code = "no_answer"


class Key(NamedTuple):
    """By what an answer is known: class of the message, fields 7, 11 and 32."""

    kind: str
    transmitted: str
    stan: str
    acquirer: str


def key_of(message: Message) -> Key:
    """Tell what a message and its answer have in common."""
    fields = message.fields
    return Key(message.mti[1], fields.get(7, ""), fields.get(11, ""), fields.get(32, ""))


class Caller(asyncio.Protocol):
    """One connection to an issuer's host."""

    def __init__(self, profile: Profile) -> None:
        self._profile: Profile = profile
        self._framer: Framer = Framer(profile.framing)
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[Key, deque[asyncio.Future[Message]]] = {}
        self._unreadable: list[str] = []
        self._lost: str = ""

    @classmethod
    async def open(cls, host: str, port: int, profile: Profile, *, timeout_s: float) -> "Caller":
        """Connect. Errors: `NoAnswer`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, caller = await loop.create_connection(lambda: cls(profile), host, port)
        except (OSError, TimeoutError) as error:
            raise NoAnswer(f"Nobody answers at {host}:{port}.") from error
        return caller

    async def ask(self, message: Message, *, timeout_s: float) -> Message:
        """Send a message and wait for its answer.

        Errors: `BadMessage` when the message cannot be written; `NoAnswer` when the deadline
        passes or the link is lost, which says nothing of what the issuer did.
        """
        frame = wrapped(encode(message, self._profile), self._profile.framing)
        key = key_of(message)
        if self._lost:
            raise NoAnswer(self._lost)
        assert self._transport is not None
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        same = self._waiting.setdefault(key, deque())  # repeats are as what they repeat
        same.append(answer)
        self._transport.write(frame)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise NoAnswer(self._why(timeout_s)) from error
        finally:
            same.remove(answer)
            if not same and self._waiting.get(key) is same:
                del self._waiting[key]

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came, cut as it may be."""
        try:
            for frame in self._framer.feed(data):
                self._take(frame)
        except BadFrame:  # what comes on behind the frame that was none
            return
        if self._framer.error is not None:
            self._fail(f"The link was closed: {self._framer.error.message}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whatever waits."""
        how = "reset" if exc else "closed"
        self._fail(f"The link was {how} before the answer came.")

    def _take(self, frame: Frame) -> None:
        try:
            answer = decode(frame.body, self._profile)
        except BadMessage as error:
            self._unreadable.append(error.message)
            return
        for waiting in self._waiting.get(key_of(answer), ()):
            if not waiting.done():
                waiting.set_result(answer)
                break

    def _fail(self, why: str) -> None:
        self._lost = self._lost or why
        for answer in chain.from_iterable(self._waiting.values()):
            if not answer.done():
                answer.set_exception(NoAnswer(self._lost))

    def _why(self, timeout_s: float) -> str:
        seen = f" What came could not be read: {self._unreadable[-1]}" if self._unreadable else ""
        return f"No answer within {timeout_s:g} s.{seen}"


def wrapped(body: bytes, framing: Framing) -> bytes:
    """Frame a message, with our TPDU where the link has one."""
    return wrap(Frame(body, TPDU if framing.tpdu else b""), framing)
