"""The host: the issuer's end of its links to a card network, over TCP.

All links of a process, on one desk: those that are dialled and those we dial, how long whatever
waits may wait, and an end at which all that was asked is answered.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from bayon.batch import Reply
from bayon.cards import Desk, Moved
from bayon.network.connection import Connection, Link, Observe
from bayon.network.dial import Dialler, keep_alive
from bayon.network.exchange import KeyExchange, LinkKeys

READ_S: Final = 30.0
"""How long a frame that has begun may take to be whole, and a peer to read what it asked for."""

ANSWER_S: Final = 1.0
"""How long an answer may take; then it is 91, and what has not begun is taken back."""

ASK_S: Final = 1.0
"""How long an issuer may take that is asked first."""

SIGN_OFF_S: Final = 1.0
"""How long a peer we have dialled may take to let us go."""

SWEEP_S: Final = 0.05


def observe_nothing(_link: str, _mti: str, _reason: str, _seconds: float) -> None:
    """Count nothing: where nobody reads it."""


class _Waiting(NamedTuple):
    until: float
    future: asyncio.Future[Reply[Moved]]


class Host:
    """All links of a process, on one desk."""

    def __init__(
        self,
        desk: Desk,
        links: Sequence[Link],
        *,
        answer_s: float = ANSWER_S,
        read_s: float = READ_S,
        observe: Observe = observe_nothing,
        keys: KeyExchange | None = None,
    ) -> None:
        self.desk: Desk = desk
        self.links: Sequence[Link] = links
        self.answer_s: float = answer_s
        self.read_s: float = read_s
        self.observe: Observe = observe
        self.keys: KeyExchange | None = keys
        self._taking: set[asyncio.Task[None]] = set()
        self._waiting: deque[_Waiting] = deque()
        self._asking: deque[_Waiting] = deque()
        self._diallers: list[Dialler] = [
            Dialler(each.terms.link, each.peer, each.terms.profile, partial(self._dial, each))
            for each in links
            if each.peer is not None
        ]

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Serve each link until cancelled; whoever waits then is answered first.

        `listeners`: a socket for each link that is dialled, in their order.
        """
        loop = asyncio.get_running_loop()
        if self.keys is not None:
            await self.keys.look(self.renew)
        for listener in listeners:
            # Else a peer that is gone without a word would keep its place for ever.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        servers = [
            await loop.create_server(partial(Connection, self, link), sock=listener)
            for link, listener in zip(self._dialled(), listeners, strict=True)
        ]
        beside = [asyncio.create_task(dialler.keep()) for dialler in self._diallers]
        if self.keys is not None:
            beside.append(asyncio.create_task(self.keys.follow(self.renew)))
        try:
            while not any(task.done() for task in beside):  # which end by an error alone
                await asyncio.sleep(SWEEP_S)
                self._sweep(loop.time())
            await asyncio.gather(*beside)
        finally:
            for server in servers:
                server.close()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._stop()

    def wait_for(self, future: asyncio.Future[Reply[Moved]]) -> None:
        """Let an answer take its time, and no longer."""
        now = asyncio.get_running_loop().time()
        if isinstance(future, asyncio.Task):  # its issuer is asked first, which may take its time
            self._asking.append(_Waiting(now + ASK_S + self.answer_s, future))
        else:
            self._waiting.append(_Waiting(now + self.answer_s, future))

    def renew(self, keys: Mapping[str, LinkKeys]) -> None:
        """Let these keys read the PINs of their links from now."""
        for link in self.links:
            if link.terms.link in keys:
                key, former = keys[link.terms.link]
                link.terms = replace(link.terms, zone_pin_key=key, former_pin_key=former)

    def take_key(self, keys: KeyExchange, link: str, block: str) -> asyncio.Task[None]:
        """Take a key that was sent; what has begun is ended, also when we stop."""
        taking = asyncio.create_task(keys.take(link, block, self.renew))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        return taking

    def _dialled(self) -> list[Link]:
        return [link for link in self.links if link.peer is None]

    async def _dial(self, link: Link) -> "Connection":
        assert link.peer is not None
        transport, connection = await asyncio.get_running_loop().create_connection(
            partial(Connection, self, link), link.peer.host, link.peer.port
        )
        keep_alive(transport)
        return connection

    async def _stop(self) -> None:
        """Answer what is in flight, for as long as an answer may take, and hang up."""
        for link in self._dialled():
            for connection in link.connections:
                connection.pause()
        await self._sign_off()
        for link in self.links:
            for connection in link.connections:
                connection.pause()
        while any(not each.future.done() for each in (*self._waiting, *self._asking)):
            self._sweep(asyncio.get_running_loop().time())
            await asyncio.sleep(SWEEP_S)
        await asyncio.gather(*self._taking, return_exceptions=True)
        await asyncio.sleep(0)
        for link in self.links:
            for connection in list(link.connections):
                connection.close()

    async def _sign_off(self) -> None:
        """Tell whom we have dialled, and take what they sent before they knew."""
        now = asyncio.get_running_loop().time
        until = now() + SIGN_OFF_S
        telling = [asyncio.create_task(dialler.sign_off()) for dialler in self._diallers]
        while now() < until and not all(task.done() for task in telling):
            self._sweep(now())
            await asyncio.sleep(SWEEP_S)
        for task in telling:
            task.cancel()

    def _sweep(self, now: float) -> None:
        for waiting in (self._waiting, self._asking):
            while waiting and (waiting[0].future.done() or waiting[0].until <= now):
                waiting.popleft().future.cancel()
        for link in self.links:
            for connection in list(link.connections):
                connection.look(now)
