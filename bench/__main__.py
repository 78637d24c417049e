"""`make bench`: measure, print a table, say plainly which goal is missed.

    python -m bench [--quick] [--only NAME ...] [--big N | --big-cards N]

A leg takes `BENCH_SECONDS` (4; with --quick 1). `--big N` fills N payments and compares the status
by MD5 and the participant's list with 10 thousand, instead of all else; `--big-cards N` does so
with N accounts, card transactions and events (to a million), against the constant route as well.
"""

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from bayon import log
from bayon.db import Database
from bayon.postgres import EmbeddedPostgres
from bench import server
from bench.big import big
from bench.cards import big_cards, card_management
from bench.deliveries import deliveries
from bench.figures import Figure, table
from bench.machine import machine
from bench.measure import Bench, checks, engine, latencies, payments
from bench.network import network
from bench.world import make_world

PARTS: Final = ("static", "dynamic", "check", "latency", "engine", "network", "cards", "deliveries")


async def run(parts: list[str], *, seconds: float, folder: Path) -> None:
    """Measure these parts on a server and a database of their own."""
    async with server.dev(folder / "data") as ready:
        db = await Database.connect(ready.database_url)
        started = time.monotonic()
        world = await make_world(db)
        print(f"10,000 payers and 10,000 merchants in {time.monotonic() - started:.1f} s")
        bench = Bench(folder=folder, ready=ready, db=db, world=world, seconds=seconds)
        figures = [figure for part in parts for figure in await _measure(bench, part)]
        print("", *(await machine(db, folder)), *bench.findings, "", sep="\n")
        print(table(figures))
        await db.close()


async def _measure(bench: Bench, part: str) -> list[Figure]:
    match part:
        case "static" | "dynamic":
            figures = await payments(bench, dynamic=part == "dynamic")
        case "check":
            figures = await checks(bench)
        case "latency":
            figures = await latencies(bench)
        case "network":
            figures = await network(bench)
        case "cards":
            figures = await card_management(
                bench.folder, bench.ready, bench.db, seconds=bench.seconds / 2
            )
        case "deliveries":
            figures = await deliveries(bench.ready, bench.db, seconds=bench.seconds)
        case _:
            figures = await engine(bench)
    print(*(line for figure in figures for line in figure.lines()), sep="\n", flush=True)
    return figures


def main() -> None:
    """Run as the command line says; the exit code is 0 unless something broke."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="legs of a second: about a minute")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts alone")
    parser.add_argument("--big", type=int, metavar="N", help="compare N payments with 10,000")
    parser.add_argument("--big-cards", type=int, metavar="N", help="the same of card management")
    parser.add_argument("--keep", type=Path, help="a folder to work in, and to leave as it is")
    args = parser.parse_args()
    seconds = float(os.environ.get("BENCH_SECONDS", "1" if args.quick else "4"))
    log.configure(json=False, level="WARNING")
    folder: Path = args.keep or Path(tempfile.mkdtemp(prefix="bayon-bench-"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            if args.big:
                runner.run(big(args.big, seconds=seconds, folder=folder))
            elif args.big_cards:
                runner.run(big_cards(args.big_cards, seconds=seconds, folder=folder))
            else:
                parts = [part for part in PARTS if part in (args.only or PARTS)]
                runner.run(run(parts, seconds=seconds, folder=folder))
        finally:
            if args.keep is None:
                runner.run(EmbeddedPostgres(folder / "data").erase())
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
