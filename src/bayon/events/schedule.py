"""The schedule: when a delivery is tried again, what an answer means, who may be told now. Pure."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from uuid import UUID

RETRIES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long after each failed attempt the next one follows: 75 hours in all."""

GONE: Final = 410
MAY_ASK_FOR_REST: Final = frozenset({429, 503})
DIGITS_MAX: Final = 9

State = Literal["due", "delivered", "failed", "voided"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How deliveries are tried; the numbers of deliveries are those of one process.

    `jitter`: by which part a delay may grow. `hold_attempts`: how many failed attempts hold back
    later events of the resource. `lease`: for how long a claim is a worker's own. `failing_after`:
    how long an endpoint may fail without one success. `sent_max`: on their way to an endpoint at
    once; more are claimed, so that they are at hand when others arrive: `claimed_max` (of one that
    fails `failing_max`), and in all `total_max`, of which `reserve` are not for those that fail:
    `shares` says how they are given out.
    """

    retries: Sequence[timedelta] = RETRIES
    jitter: float = 0.1
    hold_attempts: int = 5
    retry_after_max: timedelta = timedelta(hours=24)
    failing_after: timedelta = timedelta(days=3)
    lease: timedelta = timedelta(minutes=1)
    sent_max: int = 8
    claimed_max: int = 32
    failing_max: int = 1
    total_max: int = 2_048
    reserve: int = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt, and of its endpoint."""

    state: State
    next_at: datetime | None = None
    gone: bool = False
    rests_until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """An endpoint to which something is due.

    `failing`: its last attempt failed. `closed`: what is due is to become void, not to be sent.
    """

    endpoint_id: UUID
    failing: bool
    closed: bool = False


def succeeded(status_code: int | None) -> bool:
    """Tell whether an answer is one of success; a redirect is not."""
    return status_code is not None and 200 <= status_code < 300  # noqa: PLR2004 - HTTP's own


def judge(
    policy: Policy,
    *,
    failed_before: int,
    status_code: int | None,
    retry_after: timedelta | None,
    at: datetime,
    chance: float,
) -> Verdict:
    """Decide on a delivery after an attempt that ended `at`; `chance` from 0 to 1 is its jitter."""
    if succeeded(status_code):
        return Verdict(state="delivered")
    if status_code == GONE:
        return Verdict(state="voided", gone=True)
    asked = retry_after if status_code in MAY_ASK_FOR_REST else None
    rest = min(asked, policy.retry_after_max) if asked else timedelta()
    rests_until = at + rest if rest else None
    if failed_before >= len(policy.retries):
        return Verdict(state="failed", rests_until=rests_until)
    delay = policy.retries[failed_before] * (1 + policy.jitter * chance)
    return Verdict(state="due", next_at=at + max(delay, rest), rests_until=rests_until)


def read_retry_after(value: str | None, *, at: datetime) -> timedelta | None:
    """Read `Retry-After`: seconds, or a date after `at`, the real time; anything else is None.

    Source: RFC 9110, 10.2.3.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:DIGITS_MAX]))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return until - at if until > at else None


def shares(
    policy: Policy, lanes: Sequence[Lane], *, in_flight: Mapping[UUID, int], turn: int = 0
) -> dict[UUID, int]:
    """Tell how many deliveries may be claimed for each endpoint now, beside those in flight.

    Half of the places are for the first delivery in flight to each endpoint, a quarter for more
    on their way (`sent_max`), a quarter for more at hand (`claimed_max`), which nobody gets while
    one that is well waits for its first; served in another order at each `turn`. So who is slow
    and has many keeps nobody else from the first. Endpoints that fail come last, get few, and
    leave a reserve of the half.
    """
    counts = in_flight.values()
    more, sent = policy.total_max // 4, policy.sent_max
    firsts = policy.total_max - 2 * more - sum(count > 0 for count in counts)
    order = sorted(lanes, key=lambda lane: lane.endpoint_id)
    random.Random(turn).shuffle(order)  # noqa: S311 - spreads places, guards nothing
    well = [lane.endpoint_id for lane in order if not lane.failing]
    failing = [lane.endpoint_id for lane in order if lane.failing]
    held = Counter(in_flight)
    firsts -= _deal(held, well, range(min(1, policy.claimed_max)), free=firsts)
    _deal(held, failing, range(min(1, policy.failing_max)), free=firsts - policy.reserve)
    if any(not held[each] for each in well):
        more = 0  # who has a first lets go of it only if it is given no more
    free = more - sum(min(count, sent) - 1 for count in counts if count > 0)
    free -= _deal(held, well, range(1, min(sent, policy.claimed_max)), free=free)
    _deal(held, failing, range(1, policy.failing_max), free=free)
    ahead = more - sum(max(count - sent, 0) for count in counts)
    _deal(held, well, range(sent, policy.claimed_max), free=ahead)
    given = {each: held[each] - in_flight.get(each, 0) for each in (*well, *failing)}
    return {endpoint_id: size for endpoint_id, size in given.items() if size}


def _deal(held: Counter[UUID], order: Sequence[UUID], levels: range, *, free: int) -> int:
    """Give out free places round, first to those that hold least; returns how many."""
    given = 0
    for level in levels:
        at_level = [endpoint_id for endpoint_id in order if held[endpoint_id] == level]
        served = at_level[: max(free - given, 0)]
        held.update(served)
        given += len(served)
    return given
