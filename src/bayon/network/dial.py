"""Dialling: a link that we open and keep up, since some networks expect their issuer to call.

Dialled at growing distances until somebody is there; then we sign on, if the link wants it, and
ask for an echo whenever it has been quiet for long. Who does not answer that is hung up on, and
dialled again. Whatever else is said goes the way of any other connection.
"""

import asyncio
import contextlib
import itertools
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

import structlog

from bayon.network.acquirer import STAN_MAX, Stamp, is_approved, management
from bayon.network.iso8583 import Message, encode
from bayon.network.profile import Profile

DIAL_S: Final = 10.0
"""How long a peer may take to pick up."""

ECHO_S: Final = 60.0
ECHO_ANSWER_S: Final = 10.0
PAUSE_MIN_S: Final = 0.5
PAUSE_MAX_S: Final = 30.0
_DOUBLINGS_MAX: Final = 32

What = Literal["sign-on", "sign-off", "echo"]
Trouble = Literal["unreachable", "sign_on_unanswered", "sign_on_refused", "echo_unanswered"]

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Whom a link dials, and what it tells of itself."""

    host: str
    port: int
    sign_on: bool = True
    """Whether the first word is our 0800 with 001, and the last one 002."""

    echo_s: float = ECHO_S
    """How long nothing may be heard before we ask whether anybody is there; 0 is for ever."""

    answer_s: float = ECHO_ANSWER_S
    pause_min_s: float = PAUSE_MIN_S
    pause_max_s: float = PAUSE_MAX_S
    """How long to wait before dialling again: at first, and at most."""


class Line(Protocol):
    """A connection, as who has dialled it sees it."""

    lost: asyncio.Event
    heard_at: float
    """When something came last, by the loop's clock."""

    def ask(self, message: Message) -> asyncio.Future[Message | None]:
        """Send a message of ours; its answer comes, or nothing once the line is lost."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


Connect = Callable[[], Awaitable[Line]]


class Dialler:
    """Keeps one link up."""

    def __init__(self, link: str, peer: Peer, profile: Profile, connect: Connect) -> None:
        """Get ready. Errors: `BadMessage` when the profile cannot write what we have to say."""
        self._link: str = link
        self._peer: Peer = peer
        self._profile: Profile = profile
        self._connect: Connect = connect
        self._stans: itertools.count[int] = itertools.count()
        self._told: Line | None = None
        """The line on which we have said that we sign on."""

        self._trouble: tuple[Trouble, str] | None = None
        _ = encode(self._message("sign-on"), profile)

    async def keep(self) -> None:
        """Dial, and dial again, until cancelled; the line is then left as it is."""
        failed = 0
        while True:
            failed = failures(self._peer, failed, up_s=await self._once())
            await asyncio.sleep(pause_s(self._peer, failed, random.random()))  # noqa: S311 - spreads dialling, guards nothing

    async def sign_off(self) -> None:
        """Tell the peer that we go, if we told it that we came."""
        if self._told is not None:
            await self._ask(self._told, "sign-off")

    async def _once(self) -> float:
        """Dial once, and talk for as long as that goes; returns how long it went, in seconds."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DIAL_S):
                line = await self._connect()
        except (OSError, TimeoutError) as error:
            self._complain("unreachable", type(error).__name__)
            return 0.0
        began = loop.time()
        trouble = await self._talk(line)
        if trouble is not None and not line.lost.is_set():
            self._complain(trouble)
        line.close()
        return loop.time() - began

    async def _talk(self, line: Line) -> Trouble | None:
        """Sign on, and listen until the line is lost or somebody has to hang up, and why."""
        if self._peer.sign_on:
            self._told = line
            answer = await self._ask(line, "sign-on")
            if answer is None:
                return "sign_on_unanswered"
            if not is_approved(answer, self._profile):
                return "sign_on_refused"
        self._trouble = None
        while await self._is_quiet(line):
            if await self._ask(line, "echo") is None:
                return "echo_unanswered"
        return None

    async def _is_quiet(self, line: Line) -> bool:
        """Wait until the line has been quiet for as long as it may be; false if it is lost."""
        loop = asyncio.get_running_loop()
        while not line.lost.is_set():
            left_s = line.heard_at + self._peer.echo_s - loop.time() if self._peer.echo_s else None
            if left_s is not None and left_s <= 0:
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await line.lost.wait()
        return False

    async def _ask(self, line: Line, what: What) -> Message | None:
        try:
            async with asyncio.timeout(self._peer.answer_s):
                return await line.ask(self._message(what))
        except TimeoutError:
            return None

    def _message(self, what: What) -> Message:
        stan = next(self._stans) % STAN_MAX + 1
        return management(what, Stamp(datetime.now(UTC), stan))

    def _complain(self, trouble: Trouble, error: str = "") -> None:
        """Log what keeps the link down, once for as long as it is the same."""
        if self._trouble != (trouble, error):
            self._trouble = (trouble, error)
            log.warning("network.down", link=self._link, reason=trouble, error=error or None)


def failures(peer: Peer, failed: int, *, up_s: float) -> int:
    """Count a line that is lost after so many: a first one again, if it was up for long."""
    return 1 if up_s >= peer.pause_max_s else failed + 1


def pause_s(peer: Peer, failed: int, chance: float) -> float:
    """Tell how long to wait after so many failures: twice as long each time, up to half less.

    `chance` from 0 to 1 says how much less, so that not all who were cut off come back at once.
    """
    longest = min(peer.pause_max_s, peer.pause_min_s * 2 ** min(failed - 1, _DOUBLINGS_MAX))
    return longest * (1 - chance / 2)


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the system notice a peer that is gone without a word."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
