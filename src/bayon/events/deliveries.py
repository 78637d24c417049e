"""Deliveries: claimed in one transaction, settled in another; voided, and made due again.

Nothing here sends. A claim is a delivery that is due again later: if its worker dies, another
takes it then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from bayon.clock import Clock
from bayon.db import Tx, read_clock
from bayon.events import delivery_store as store
from bayon.events.delivery_store import Change, Claim, Health, Target
from bayon.events.model import Attempt, Replayed
from bayon.events.outbox import find_event
from bayon.events.schedule import Policy, Verdict, shares
from bayon.keyset import Page, Span, Window, cut

REPLAY_LIMIT: Final = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """What a worker has claimed, until when, by which clock, and where it goes.

    `moved`: how many were looked at, those that are held back included.
    """

    clock: Clock
    until: datetime
    claims: Sequence[Claim]
    targets: Mapping[UUID, Target]
    moved: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of a claim, at its end: its attempts, and what follows."""

    claim: Claim
    attempts: Sequence[Attempt]
    verdict: Verdict
    ended_at: datetime


async def waits(tx: Tx) -> bool:
    """Tell whether anything is to be told, now or later: as a rule not, and one look says so."""
    return await store.waits(tx)


async def claim_due(
    tx: Tx, *, in_flight: Mapping[UUID, int], policy: Policy, turn: int = 0
) -> Claimed:
    """Claim what is due, of each endpoint its share, in the order in which it came due.

    At each `turn` another endpoint comes first, where places are few.
    Locks the endpoints that nobody else holds; writes `delivery`.
    """
    clock = await read_clock(tx)
    now, until = clock.now(), clock.now() + policy.lease
    lanes = [lane for lane in await store.lanes(tx, now=now) if not lane.closed]
    given = shares(policy, lanes, in_flight=in_flight, turn=turn)
    targets = await store.lock_targets(tx, sorted(given)) if given else {}
    if not targets:
        return Claimed(clock=clock, until=until, claims=(), targets={}, moved=0)
    rows = await store.claim(
        tx,
        {endpoint_id: given[endpoint_id] for endpoint_id in targets},
        now=now,
        until=until,
        hold_attempts=policy.hold_attempts,
    )
    claims = [row for row in rows if row.body is not None]
    return Claimed(clock=clock, until=until, claims=claims, targets=targets, moved=len(rows))


async def settle(tx: Tx, results: Sequence[Result], *, policy: Policy) -> None:
    """Write what came of claims, let come what they held back, and judge their endpoints.

    Locks the endpoints; writes `delivery_attempt`, `delivery` and `endpoint`, each in one
    statement, whatever the number of results.
    """
    endpoint_ids = sorted({result.claim.endpoint_id for result in results})
    healths = await store.lock_health(tx, endpoint_ids)
    await store.insert_attempts(tx, [each for result in results for each in result.attempts])
    await store.update_deliveries(tx, [_change(result) for result in results])
    if subjects := _let_go(results, policy):
        await store.bring_next(tx, subjects)
    after = [_judged(health, results, policy) for health in healths.values()]
    changed = [health for health in after if health != healths[health.endpoint_id]]
    if changed:
        now = max(result.ended_at for result in results)
        await store.update_health(tx, changed, now=now)


async def sweep(tx: Tx) -> int:
    """Void some of what is due to one endpoint that is gone or disabled; 0 when there is none.

    Locks the endpoint, where it is still there.
    """
    lanes = await store.lanes(tx, now=(await read_clock(tx)).now())
    closed = next((lane.endpoint_id for lane in lanes if lane.closed), None)
    if closed is None:
        return 0
    await store.lock_health(tx, [closed])
    voided = await store.void(tx, closed)
    if voided < store.VOID_LIMIT:
        await store.end_void(tx, closed)
    return max(voided, 1)


async def resend(tx: Tx, *, owner_id: UUID, event_id: UUID, now: datetime) -> int:
    """Make an event due to its owner's enabled endpoints that want its type, as if it were new.

    Whether it has arrived there before or not; its id stays. Locks the endpoints; writes
    `delivery`. Returns how many deliveries came due. Errors: `EventNotFound`.
    """
    await find_event(tx, owner_id=owner_id, event_id=event_id)
    return await _send_again(tx, owner_id=owner_id, event_ids=[event_id], now=now)


async def replay(
    tx: Tx,
    *,
    owner_id: UUID,
    span: Span,
    after_seq: int = 0,
    limit: int = REPLAY_LIMIT,
    now: datetime,
) -> Replayed:
    """Resend what was written within a span, the oldest first: one page, to go on `after_seq`."""
    found = await store.events_within(
        tx, owner_id=owner_id, span=span, after_seq=after_seq, limit=limit
    )
    event_ids = [event_id for event_id, _ in found]
    count = await _send_again(tx, owner_id=owner_id, event_ids=event_ids, now=now)
    next_seq = found[-1][1] if len(found) == limit else None
    return Replayed(deliveries=count, next_seq=next_seq)


async def list_attempts(tx: Tx, *, owner_id: UUID, event_id: UUID, window: Window) -> Page[Attempt]:
    """List the attempts to tell an event, the last begun first. Errors: `EventNotFound`."""
    await find_event(tx, owner_id=owner_id, event_id=event_id)
    return cut(window, await store.attempts_page(tx, event_id, window=window))


async def _send_again(tx: Tx, *, owner_id: UUID, event_ids: Sequence[UUID], now: datetime) -> int:
    endpoint_ids = await store.lock_enabled(tx, owner_id)
    return await store.send_again(
        tx, owner_id=owner_id, event_ids=event_ids, endpoint_ids=endpoint_ids, now=now
    )


def _change(result: Result) -> Change:
    return Change(
        event_id=result.claim.event_id,
        endpoint_id=result.claim.endpoint_id,
        attempts=result.claim.attempts,
        state=result.verdict.state,
        next_at=result.verdict.next_at,
    )


def _let_go(results: Sequence[Result], policy: Policy) -> list[tuple[UUID, UUID]]:
    """Find the resources, each of an endpoint, of which the next event may come."""
    return sorted(
        {
            (result.claim.endpoint_id, result.claim.subject_id)
            for result in results
            if result.verdict.state != "due" or result.claim.attempts + 1 >= policy.hold_attempts
        }
    )


def _judged(health: Health, results: Sequence[Result], policy: Policy) -> Health:
    """Decide how an endpoint is doing, by what came of the deliveries to it."""
    own = [each for each in results if each.claim.endpoint_id == health.endpoint_id]
    if any(result.verdict.gone for result in own):
        return _disabled(health, "gone")
    rests = [each.verdict.rests_until for each in own if each.verdict.rests_until]
    after = replace(health, rests_until=max(rests, default=health.rests_until))
    if any(result.verdict.state == "delivered" for result in own):
        return replace(after, failing_since=None)
    since = health.failing_since or min(result.ended_at for result in own)
    if max(result.ended_at for result in own) - since >= policy.failing_after:
        return _disabled(after, "failing")
    return replace(after, failing_since=since)


def _disabled(health: Health, reason: str) -> Health:
    return replace(health, enabled=False, disabled_reason=reason) if health.enabled else health
