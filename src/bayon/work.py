"""Work: a loop that claims due rows and does them. The state is the queue.

A worker's `step` claims what is due (`FOR UPDATE SKIP LOCKED`), does it, and says how many it did.
While there is something to do it goes on; else it sleeps until it is nudged, or for `poll_s`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from bayon.errors import Unavailable

BACKOFF_S: Final = 0.5

log = structlog.get_logger()


class Worker:
    """One claim loop, by name. Runs until cancelled; an error is logged and waited out."""

    def __init__(self, name: str, step: Callable[[], Awaitable[int]], *, poll_s: float) -> None:
        self._name: str = name
        self._step: Callable[[], Awaitable[int]] = step
        self._poll_s: float = poll_s
        self._nudged: asyncio.Event = asyncio.Event()

    def nudge(self) -> None:
        """Say that something may have become due, after the commit that made it so."""
        self._nudged.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._nudged.clear()
            if not await self._try_step():
                # Not `wait_for`, which before Python 3.12 may swallow that we are to stop.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._nudged.wait()

    async def _try_step(self) -> int:
        try:
            return await self._step()
        except Unavailable:
            log.warning("worker waits for the database", worker=self._name)
        except Exception:
            log.exception("worker failed", worker=self._name)
        await asyncio.sleep(BACKOFF_S)
        return 0
