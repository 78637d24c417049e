"""Time: real time plus an offset. The sandbox moves its offset forward; production has none."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

PHNOM_PENH: Final = timezone(timedelta(hours=7), "Asia/Phnom_Penh")
"""Which has no summer."""


@dataclass(frozen=True)
class Clock:
    """What o'clock it is, `offset` ahead of the machine's own time."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        """Tell the time, aware and in UTC."""
        return datetime.fromtimestamp(time.time(), UTC) + self.offset


def epoch_ms(at: datetime) -> int:
    """Tell an instant in milliseconds since 1970, as an integer."""
    return int(at.timestamp() * 1000)
