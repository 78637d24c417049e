"""Key exchange: a network sends a link a new zone PIN key, in an 0800.

The key is kept before it counts, so that it survives us; the former one still reads PINs for a
while, since what is on its way was enciphered under it. Other processes with the same link look
every second what has come.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from bayon.cards import (
    KeySentBefore,
    SentKey,
    ZonePinKey,
    keep_sent_key,
    newest_sent_keys,
)
from bayon.db import Database
from bayon.errors import Invalid, Unavailable
from bayon.log import Secret
from bayon.network.asked import KeyRefused
from bayon.work import Worker

GRACE: Final = timedelta(minutes=10)
"""How long the former key still reads PINs."""

LOOK_S: Final = 1.0

Judge = Callable[[str, Secret], None]
"""Refuses a link's key if it is weak. Errors: `Invalid`."""

log = structlog.get_logger()


class LinkKeys(NamedTuple):
    """What reads a link's PINs: the key that counts, and the former one while it still may."""

    key: ZonePinKey | None
    former: ZonePinKey | None = None


Renew = Callable[[Mapping[str, LinkKeys]], None]
"""Is told the keys of all links that exchange some, whenever they have been looked up."""


class KeyExchange:
    """Takes keys, and tells which count: one thing after the other, so that no older look wins."""

    def __init__(
        self,
        db: Database,
        *,
        under: Secret,
        configured: Mapping[str, ZonePinKey | None],
        judge: Judge,
        grace: timedelta = GRACE,
    ) -> None:
        """Get ready.

        `under`: the key that protects key blocks, in hex. `configured`: of each link whose network
        sends keys, the one of the settings.
        """
        self._db: Database = db
        self._under: Secret = under
        self._configured: Mapping[str, ZonePinKey | None] = configured
        self._judge: Judge = judge
        self._grace: timedelta = grace
        self._one: asyncio.Lock = asyncio.Lock()
        self._taking: set[str] = set()

    async def look(self, renew: Renew) -> None:
        """Look up which keys count. Errors: `Invalid` when one cannot be read, `Unavailable`."""
        async with self._one:
            renew(await self._keys([*self._configured]))

    async def follow(self, renew: Renew) -> None:
        """Look again and again, until cancelled; what cannot be told leaves all as it was."""

        async def step() -> int:
            await self.look(renew)
            return 0

        await Worker("zone keys", step, poll_s=LOOK_S).run()

    async def take(self, link: str, block: str, renew: Renew) -> None:
        """Keep a key that a link's network has sent: it counts from now.

        Errors: `Unavailable`, also while another one is being taken; `KeyRefused` when it cannot be
        read, is weak, or came before.
        """
        if link in self._taking:
            raise Unavailable
        self._taking.add(link)
        try:
            async with self._one:
                await self._keep(link, block)
                renew(await self._keys([link]))
        except Invalid as error:
            log.warning("network.key_refused", link=link, error=type(error).__name__)
            raise KeyRefused from error
        finally:
            self._taking.discard(link)
        log.info("network.key_taken", link=link)

    async def _keep(self, link: str, block: str) -> None:
        value = ZonePinKey.from_block(block, self._under).check_value()
        self._judge(link, Secret(block))
        counting, upon = (await self._keys([link]))[link], self._upon(link)
        if counting.key is not None and counting.key.check_value() == value:
            return
        if value in {upon, counting.former and counting.former.check_value()}:
            raise KeySentBefore  # in another block, or as it is configured: it was replaced
        now = (await self._db.clock()).now()
        await self._db.transaction(
            lambda tx: keep_sent_key(tx, link=link, block=block, upon=upon, now=now)
        )

    async def _keys(self, links: Sequence[str]) -> Mapping[str, LinkKeys]:
        now = (await self._db.clock()).now()
        sent = await self._db.read(lambda tx: newest_sent_keys(tx, links=links))
        return {
            link: self._standing(link, [key for key in sent if key.link == link], now)
            for link in links
        }

    def _standing(self, link: str, sent: Sequence[SentKey], now: datetime) -> LinkKeys:
        """Put together what was sent upon the configured key, and that key itself."""
        configured, upon = self._configured[link], self._upon(link)
        counting = [key for key in sent if key.upon == upon]
        if not counting:
            return LinkKeys(configured)
        try:
            key = ZonePinKey.from_block(counting[-1].block, self._under)
        except Invalid as error:
            raise Invalid(f"What link {link} was sent cannot be read. {error.message}") from error
        if now >= counting[-1].received_at + self._grace:
            return LinkKeys(key)
        if len(counting) == 1:
            return LinkKeys(key, configured)
        with contextlib.suppress(Invalid):
            return LinkKeys(key, ZonePinKey.from_block(counting[-2].block, self._under))
        return LinkKeys(key)  # the former one is of an older protection key

    def _upon(self, link: str) -> str:
        configured = self._configured[link]
        return "" if configured is None else configured.check_value()
