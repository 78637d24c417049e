"""Rate limits: a bucket for each caller, of ten seconds' worth, in this process."""

import math
import time
from ipaddress import IPv6Address
from itertools import islice
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
    """So many requests a second for each caller, in bursts of ten seconds' worth; 0 is off.

    A caller is a token's digest, or an address.
    """

    def __init__(self, per_s: float, *, burst: int | None = None) -> None:
        self._per_s: float = per_s
        self._full: float = per_s * BURST_S if burst is None else burst
        self._buckets: dict[bytes | str | int, tuple[float, float]] = {}

    @property
    def callers(self) -> int:
        """How many callers are remembered."""
        return len(self._buckets)

    def take(self, key: bytes | str) -> None:
        """Count one request. Errors: `TooManyRequests`, with when to come back."""
        if self._per_s <= 0:
            return
        caller = _network(key) if isinstance(key, str) and ":" in key else key
        now = time.monotonic()
        left, at = self._buckets.pop(caller, (self._full, now))
        left = min(self._full, left + (now - at) * self._per_s)
        if len(self._buckets) >= BUCKETS_MAX:
            self._forget_longest_unseen()
        self._buckets[caller] = (left - 1 if left >= 1 else left, now)  # at the end: seen last
        if left < 1:
            raise TooManyRequests(retry_after_s=math.ceil((1 - left) / self._per_s))

    def _forget_longest_unseen(self) -> None:
        """Drop half of the buckets: all that have filled up again are first among them.

        Not all, or a flood of addresses would buy everybody a new burst; and not one, which would
        make us search through what was taken out before, every time.
        """
        for caller in list(islice(self._buckets, BUCKETS_MAX // 2)):
            del self._buckets[caller]


def _network(address: str) -> str | int:
    """Tell who an IPv6 address is: its /64, because whoever has one address has all of those."""
    try:
        whole = IPv6Address(address)
    except ValueError:
        return address
    return str(whole.ipv4_mapped) if whole.ipv4_mapped else int(whole) >> 64
