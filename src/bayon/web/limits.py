"""Rate limits: a bucket for each caller, of ten seconds' worth, in this process."""

import math
import time
from typing import Final

from bayon.errors import BayonError

BURST_S: Final = 10
BUCKETS_MAX: Final = 100_000


class TooManyRequests(BayonError):
    """Too many requests. Please slow down."""

    code = "too_many_requests"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s: int = retry_after_s


class Limit:
    """So many requests a second for each key, in bursts of ten seconds' worth; 0 is off."""

    def __init__(self, per_s: float, *, burst: int | None = None) -> None:
        self._per_s: float = per_s
        self._full: float = per_s * BURST_S if burst is None else burst
        self._buckets: dict[bytes | str, tuple[float, float]] = {}

    @property
    def callers(self) -> int:
        """How many callers are remembered."""
        return len(self._buckets)

    def take(self, key: bytes | str) -> None:
        """Count one request. Errors: `TooManyRequests`, with when to come back."""
        if self._per_s <= 0:
            return
        now = time.monotonic()
        left, at = self._buckets.get(key, (self._full, now))
        left = min(self._full, left + (now - at) * self._per_s)
        if left < 1:
            raise TooManyRequests(retry_after_s=math.ceil((1 - left) / self._per_s))
        if len(self._buckets) >= BUCKETS_MAX and key not in self._buckets:
            self._forget_full(now)
        self._buckets[key] = (left - 1, now)

    def _forget_full(self, now: float) -> None:
        """Drop the buckets that have filled up again; they say no more than none would.

        Where that does not help all are dropped: a flood must not make us look at each every time.
        """
        self._buckets = {
            key: (left, at)
            for key, (left, at) in self._buckets.items()
            if left + (now - at) * self._per_s < self._full
        }
        if len(self._buckets) >= BUCKETS_MAX:
            self._buckets.clear()
