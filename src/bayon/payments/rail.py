"""The rail: what a process needs to move payments and to tell their status, wired once.

One batcher for paying, one for asking by MD5, one for asking with a callback; a worker for what is
pending; a watch for who waits.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from bayon.batch import Batcher, Reply, Request, answer_all
from bayon.db import Database, Tx, read_clock
from bayon.errors import BayonError, Unavailable
from bayon.payments.complete import claim_due, complete
from bayon.payments.integrators import forget_unsent
from bayon.payments.listen import Question, Reachable, Statuses, forget_listeners, listen
from bayon.payments.model import Pay, Payment
from bayon.payments.pay import pay
from bayon.payments.status import Watch, by_md5
from bayon.seal import Sealer
from bayon.work import Worker

PENDING_POLL_S: Final = 0.2
WATCH_POLL_S: Final = 0.2
UNSENT_POLL_S: Final = 30.0
DUE_LIMIT: Final = 200
SET_ASIDE_S: Final = 60.0
LISTEN_SIZE_MAX: Final = 100
"""How many may be answered together, each of up to fifty MD5s."""

log = structlog.get_logger()


class Rail:
    """Payments of one process."""

    def __init__(self, db: Database, sealer: Sealer, *, batch_size_max: int = 500) -> None:
        self._db: Database = db
        self._sealer: Sealer = sealer
        self.watch: Watch = Watch()
        self.paying: Batcher[Request[Pay, Payment], Reply[Payment]] = Batcher(
            self._pay, size_max=batch_size_max
        )
        self.asking: Batcher[str, Payment | None] = Batcher(self._ask, size_max=batch_size_max)
        self.reachable: Reachable = Reachable(db)
        self._listening: Batcher[Question, Statuses] = Batcher(
            self._listen, size_max=LISTEN_SIZE_MAX
        )
        self._alone: int = 0
        self._set_aside: dict[UUID, float] = {}
        self._completing: Worker = Worker("payments due", self._complete, poll_s=PENDING_POLL_S)
        self._watching: Worker = Worker("payments watched", self._look, poll_s=WATCH_POLL_S)
        self._forgetting: Worker = Worker("what is too old", self._forget, poll_s=UNSENT_POLL_S)

    async def pay(self, request: Request[Pay, Payment]) -> Reply[Payment]:
        """Pay, together with whoever pays now. Errors: as `pay.pay`, and `KeyReused`."""
        reply = await self.paying.submit(request)
        if reply.outcome is not None:
            self.watch.wake([reply.outcome])
            if reply.outcome.state == "pending":
                self._completing.nudge()
        return reply

    async def status_by_md5(
        self, md5: str, *, wait_s: float = 0.0, integrator_id: str | None = None
    ) -> Payment | None:
        """Tell the payment of an MD5, at once or as soon as it is final within `wait_s`.

        An integrator who asks and has a callback is told there, if the answer is not final.
        """
        if integrator_id is not None and await self.reachable.has(integrator_id):
            question = Question(integrator_id=integrator_id, md5s=(md5,))
            (found,) = await self._listening.submit(question)
            if found is not None or wait_s <= 0:
                return found
        return await self._status(md5, wait_s=wait_s)

    async def statuses_by_md5(
        self, md5s: Sequence[str], *, integrator_id: str
    ) -> Sequence[Payment | None]:
        """Tell the payments of many MD5s to an integrator, as `status_by_md5` does."""
        if await self.reachable.has(integrator_id):
            question = Question(integrator_id=integrator_id, md5s=tuple(md5s))
            return await self._listening.submit(question)
        return await self._db.read(lambda tx: by_md5(tx, md5s))

    async def listen(self, md5: str, *, integrator_id: str) -> None:
        """Let an integrator who has a callback be told of an MD5's payment, as if it had asked."""
        if await self.reachable.has(integrator_id):
            await self._listening.submit(Question(integrator_id=integrator_id, md5s=(md5,)))

    async def _status(self, md5: str, *, wait_s: float) -> Payment | None:
        if wait_s <= 0:
            return await self.asking.submit(md5)
        event = self.watch.add(md5.lower())
        try:
            found = await self.asking.submit(md5)
            if found is not None:
                return found
            await asyncio.wait_for(event.wait(), wait_s)
        except TimeoutError:
            return None
        finally:
            self.watch.remove(md5.lower(), event)
        return await self.asking.submit(md5)

    async def watch_others(self) -> None:
        """Wake waiters when another process has made their payment. Runs until cancelled."""
        await self._watching.run()

    async def work(self) -> None:
        """Complete what is due, and free what was left half done. Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._completing.run())
            group.create_task(self._forgetting.run())

    async def _pay(
        self, requests: Sequence[Request[Pay, Payment]]
    ) -> list[Reply[Payment] | BayonError]:
        async def work(tx: Tx) -> list[Reply[Payment] | BayonError]:
            return await answer_all(tx, requests, verb=pay, sealer=self._sealer)

        # After the commit nothing may raise here: the engine would take the batch for undone.
        return await self._db.transaction(work)

    async def _ask(self, md5s: Sequence[str]) -> list[Payment | None]:
        return await self._db.read(lambda tx: by_md5(tx, md5s))

    async def _listen(self, questions: Sequence[Question]) -> list[Statuses]:
        now = (await self._db.clock()).now()
        return await self._db.transaction(lambda tx: listen(tx, questions, now=now))

    async def _complete(self) -> int:
        """Complete what is due together; after a failure one by one, so that one stops no other."""
        limit = 1 if self._alone else DUE_LIMIT
        claimed: list[Payment] = []

        async def work(tx: Tx) -> list[Payment]:
            nonlocal claimed
            now = (await read_clock(tx)).now()
            claimed = await claim_due(tx, now=now, limit=limit, but=self._aside())
            return await complete(tx, claimed, now=now)

        try:
            done = await self._db.transaction(work)
        except Exception as error:
            if isinstance(error, Unavailable) or not claimed:
                raise
            log.exception("payments due cannot be completed", worker="payments due")
            self._fail(claimed)
            return len(claimed)
        self._alone = max(0, self._alone - 1)
        self.watch.wake(done)
        return len(done)

    def _fail(self, claimed: Sequence[Payment]) -> None:
        if len(claimed) > 1:
            self._alone = len(claimed)
            return
        self._alone = max(0, self._alone - 1)
        self._set_aside[claimed[0].id] = time.monotonic() + SET_ASIDE_S

    def _aside(self) -> list[UUID]:
        """Tell which payments failed alone lately: they shall not come first for ever."""
        now = time.monotonic()
        self._set_aside = {i: until for i, until in self._set_aside.items() if until > now}
        return list(self._set_aside)

    async def _look(self) -> int:
        if md5s := self.watch.md5s:
            self.watch.wake(await self._ask(md5s))
        return 0

    async def _forget(self) -> int:
        now = (await self._db.clock()).now()
        await self._db.transaction(lambda tx: forget_unsent(tx, now=now))
        return await self._db.transaction(lambda tx: forget_listeners(tx, now=now))
