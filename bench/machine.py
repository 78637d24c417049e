"""What stands beside every figure: the machine, the disk, PostgreSQL and its settings."""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from bayon.db import Database, Tx

SYNCS: Final = 200
PAGE_B: Final = 8_192


async def machine(db: Database, folder: Path) -> list[str]:
    """Describe where this was measured."""
    version, settings = await db.read(_postgres)
    load = " ".join(f"{n:.2f}" for n in os.getloadavg())
    return [
        f"{os.cpu_count()} cores ({platform.machine()}), load average {load}",
        f"Linux {platform.release()}, Python {platform.python_version()}",
        f"PostgreSQL {version}; {settings}",
        f"write and fdatasync of 8 KiB: {fdatasync_us(folder):.0f} µs (median of {SYNCS})",
        "the load generator runs on the same cores and is counted",
    ]


def fdatasync_us(folder: Path) -> float:
    """Time a page's way to the disk."""
    took: list[float] = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(bytes(PAGE_B * SYNCS))
        os.fsync(file.fileno())
        for place in range(SYNCS):
            started = time.perf_counter()
            os.pwrite(file.fileno(), b"\x01" * PAGE_B, place * PAGE_B)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return statistics.median(took) * 1e6


async def _postgres(tx: Tx) -> tuple[str, str]:
    rows = await tx.rows(
        """
        SELECT name, current_setting(name) AS value FROM pg_settings WHERE name IN (
            'server_version', 'fsync', 'full_page_writes', 'synchronous_commit',
            'wal_sync_method', 'shared_buffers', 'max_wal_size') ORDER BY name
        """
    )
    found: dict[str, str] = {row["name"]: row["value"] for row in rows}
    version = found.pop("server_version")
    return version, ", ".join(f"{name} {value}" for name, value in found.items())
