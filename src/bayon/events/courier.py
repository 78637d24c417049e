"""The courier: what a process needs to tell events to their subscribers, wired once.

It claims what is due, sends it outside of any transaction, and settles what came of it together
with whatever ends at the same time. While some wait for a slow receiver, it goes on claiming for
the others.
"""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from bayon.batch import Batcher
from bayon.clock import Clock
from bayon.db import Database, Tx
from bayon.errors import Unavailable
from bayon.events.deliveries import Claimed, Result, claim_due, settle, sweep, waits
from bayon.events.delivery_store import Claim, Target
from bayon.events.model import Attempt
from bayon.events.outbox import whole
from bayon.events.schedule import Policy, judge, read_retry_after
from bayon.events.sign import headers, open_secret
from bayon.fetch import BadUrl, Fetched, Fetcher, FetchFailed
from bayon.ids import uuid7
from bayon.log import Secret
from bayon.seal import Sealer
from bayon.work import Worker

POLL_S: Final = 0.05
SWEEP_POLL_S: Final = 1.0
TIMEOUT_S: Final = 15.0
STOP_S: Final = 2.0
SETTLE_TRIES: Final = 20
SETTLE_BACKOFF_S: Final = 0.5
SETTLE_SIZE_MAX: Final = 200
EXCERPT_SIZE_MAX: Final = 1_024
NOT_LET_IN: Final = frozenset({401, 403})

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """The secrets of an endpoint: what signs now, and the one before while it counts."""

    current: Secret
    older: Sequence[Secret]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """An attempt, and for how long its answer asks to be left alone."""

    attempt: Attempt
    retry_after: timedelta | None = None


class Courier:
    """The deliveries of one process. Its fetcher should wait `TIMEOUT_S`; it waits no longer."""

    def __init__(
        self,
        db: Database,
        sealer: Sealer,
        fetcher: Fetcher,
        *,
        iss: str = "Bongloy",
        policy: Policy | None = None,
    ) -> None:
        self._db: Database = db
        self._sealer: Sealer = sealer
        self._fetcher: Fetcher = fetcher
        self._iss: str = iss
        self._policy: Policy = policy or Policy()
        self._turns: Iterator[int] = itertools.count()
        self._in_flight: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}
        self._gates: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()
        self._settling: Batcher[Result, None] = Batcher(self._settle, size_max=SETTLE_SIZE_MAX)
        self._worker: Worker = Worker("deliveries", self.step, poll_s=POLL_S)
        self._sweeper: Worker = Worker("deliveries void", self.sweep, poll_s=SWEEP_POLL_S)

    def nudge(self) -> None:
        """Say that events have been emitted, after their commit."""
        self._worker.nudge()

    async def work(self) -> None:
        """Deliver what is due, until cancelled; what is on its way then has two seconds left."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._worker.run())
                group.create_task(self._sweeper.run())
        finally:
            await self._stop()

    async def step(self) -> int:
        """Claim what is due and send it off; returns how much there was to do."""
        if not await self._db.read(waits):
            return 0
        counted = Counter(endpoint_id for _, endpoint_id in self._in_flight)
        turn = next(self._turns)
        claimed = await self._db.transaction(
            lambda tx: claim_due(tx, in_flight=counted, policy=self._policy, turn=turn)
        )
        for claim in claimed.claims:
            self._send_off(claim, claimed)
        return claimed.moved

    async def sweep(self) -> int:
        """Void some of what is due to endpoints that are gone or disabled."""
        return await self._db.transaction(sweep)

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        while self._in_flight:
            await asyncio.wait(self._in_flight.values())

    def _send_off(self, claim: Claim, claimed: Claimed) -> None:
        key = claim.event_id, claim.endpoint_id
        if key in self._in_flight:
            return  # the clock was moved past its lease, which it has got anew by this
        task = asyncio.create_task(self._deliver(claim, claimed))
        self._in_flight[key] = task
        task.add_done_callback(lambda _: self._landed(key))

    def _landed(self, key: tuple[UUID, UUID]) -> None:
        del self._in_flight[key]
        self._worker.nudge()

    async def _deliver(self, claim: Claim, claimed: Claimed) -> None:
        target, clock = claimed.targets[claim.endpoint_id], claimed.clock
        try:
            async with self._gate(target.endpoint_id):
                if clock.now() > claimed.until - timedelta(seconds=2 * TIMEOUT_S):
                    return  # it has waited for slow ones: when its lease is over it comes again
                tried = await self._try_keys(claim, target, clock)
            await self._settle_surely(self._result(claim, tried, clock))
        except Exception:
            log.exception("delivery failed", worker="deliveries")

    def _gate(self, endpoint_id: UUID) -> asyncio.Semaphore:
        """Find what lets so many at once through to an endpoint; there while anybody waits."""
        fresh = asyncio.Semaphore(self._policy.sent_max)
        return self._gates.setdefault(endpoint_id, fresh)

    async def _try_keys(self, claim: Claim, target: Target, clock: Clock) -> list[Tried]:
        """Make an attempt, and if its token is refused, another at once by the secret before."""
        keys = self._keys(target, clock.now())
        tried = [await self._try(claim, target, keys.current, keys.older, clock)]
        if keys.older and tried[0].attempt.status_code in NOT_LET_IN:
            others = (keys.current,)
            tried.append(await self._try(claim, target, keys.older[0], others, clock))
        return tried

    def _keys(self, target: Target, now: datetime) -> Keys:
        def opened(sealed: bytes) -> Secret:
            return open_secret(sealed, endpoint_id=target.endpoint_id, sealer=self._sealer)

        counts = target.previous_until is not None and now < target.previous_until
        older = target.previous_secret_sealed if counts else None
        return Keys(current=opened(target.secret_sealed), older=[opened(older)] if older else [])

    async def _try(
        self, claim: Claim, target: Target, bearer: Secret, others: Sequence[Secret], clock: Clock
    ) -> Tried:
        """Make one attempt; receivers judge its age by the real time, so that is what it says."""
        assert claim.body is not None, "what is held back is not sent"
        body, attempt_id = claim.body if target.bare else whole(claim.body), uuid7()
        signed = headers(
            bearer,
            others,
            iss=self._iss,
            attempt_id=attempt_id,
            event_id=claim.event_id,
            body=body,
            signed_at_s=int(time.time()),
        )
        attempted_at, started = clock.now(), time.perf_counter()
        answer = await self._post(target.url, signed, body)
        fetched = answer if isinstance(answer, Fetched) else None
        attempt = Attempt(
            id=attempt_id,
            event_id=claim.event_id,
            endpoint_id=claim.endpoint_id,
            attempted_at=attempted_at,
            status_code=fetched.status if fetched else None,
            duration_ms=round((time.perf_counter() - started) * 1_000),
            error=None if isinstance(answer, Fetched) else answer,
            response_excerpt=_excerpt(fetched.body) if fetched else None,
        )
        asked = fetched.headers.get("Retry-After") if fetched else None
        return Tried(attempt=attempt, retry_after=read_retry_after(asked, at=datetime.now(UTC)))

    async def _post(self, url: str, signed: dict[str, str], body: bytes) -> Fetched | str:
        """Send it; returns the answer, or in one word why there was none."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._fetcher.fetch("POST", url, headers=signed, body=body)
        except FetchFailed as error:
            return str(error.context["reason"])
        except BadUrl:
            return BadUrl.code
        except TimeoutError:
            return "timed_out"

    def _result(self, claim: Claim, tried: Sequence[Tried], clock: Clock) -> Result:
        last, ended_at = tried[-1], clock.now()
        verdict = judge(
            self._policy,
            failed_before=claim.attempts,
            status_code=last.attempt.status_code,
            retry_after=last.retry_after,
            at=ended_at,
            chance=random.random(),  # noqa: S311 - spreads retries, guards nothing
        )
        if verdict.state != "delivered":
            status, error = last.attempt.status_code, last.attempt.error
            log.info("event not delivered", status=status, error=error, attempt=claim.attempts)
        return Result(
            claim=claim,
            attempts=[each.attempt for each in tried],
            verdict=verdict,
            ended_at=ended_at,
        )

    async def _settle_surely(self, result: Result) -> None:
        """Settle, once the database is there; after a while the claim comes due again anyway."""
        for _ in range(SETTLE_TRIES):
            try:
                return await self._settling.submit(result)
            except Unavailable:
                await asyncio.sleep(SETTLE_BACKOFF_S)
        log.warning("delivery not settled", worker="deliveries")
        return None

    async def _settle(self, results: Sequence[Result]) -> Sequence[None]:
        async def work(tx: Tx) -> None:
            await settle(tx, results, policy=self._policy)

        await self._db.transaction(work)
        return [None] * len(results)

    async def _stop(self) -> None:
        if self._in_flight:
            await asyncio.wait(self._in_flight.values(), timeout=STOP_S)
        left = list(self._in_flight.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._fetcher.close()


def _excerpt(body: bytes) -> str:
    """Show how an answer begins; the database's texts have no NUL."""
    return body[:EXCERPT_SIZE_MAX].decode(errors="replace").replace("\0", "\ufffd")
