"""The measurements: each a few rounds of both sides, one after the other, on the same server."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from bayon.app import check
from bayon.db import Database
from bench import server
from bench.engine import hot_orders, run_engine, uniform_orders
from bench.figures import Figure
from bench.load import Load, Loaded
from bench.pgbench import best_clients, make_script, run_pgbench
from bench.questions import Requests, check_requests, dynamic_requests, static_requests
from bench.server import Ready
from bench.world import PAYERS, World

ROUNDS: Final = 3
WARM_S: Final = 0.5
IN_FLIGHT: Final = (64, 256)
TAIL_LOAD: Final = 0.7
DYNAMIC_PER_S_MAX: Final = 12_000


@dataclass(kw_only=True)
class Bench:
    """What is measured with: the server, its database, the world, and how long a leg takes."""

    folder: Path
    ready: Ready
    db: Database
    world: World
    seconds: float
    findings: list[str] = field(default_factory=list[str])

    async def load(
        self,
        requests: Requests,
        in_flight: int,
        *,
        ready: Ready | None = None,
        once: bool = False,
        rate_per_s: float = 0.0,
    ) -> Loaded:
        """Load the server under test, or another one."""
        asked = ready or self.ready
        wanted = Load(
            host="127.0.0.1",
            port=asked.port,
            connections=in_flight,
            warm_s=WARM_S,
            seconds=self.seconds,
            requests=requests,
            once=once,
            rate_per_s=rate_per_s,
        )
        return await server.load(self.folder / "load", wanted, pid=asked.pid)

    async def checkpoint(self) -> None:
        """Begin a measurement with clean pages, whoever dirtied them."""
        url = self.ready.database_url.replace("bayon@/bayon", "postgres@/postgres")
        connection = await asyncpg.connect(url)
        await connection.execute("CHECKPOINT")
        await connection.close()

    async def verify(self, when: str) -> None:
        """Look whether all invariants hold."""
        found = await self.db.transaction(check, isolation="repeatable_read")
        state = "all invariants hold" if not found else f"{len(found)} FINDINGS: {found[:3]}"
        self.findings.append(f"bayon check {when}: {state}")
        print(f"  {self.findings[-1]}", flush=True)


async def payments(bench: Bench, *, dynamic: bool) -> list[Figure]:
    """Payments over HTTP against pgbench with the same writes."""
    kind = "dynamic QRs" if dynamic else "one static QR"
    script = await make_script(bench.db, bench.world, dynamic=dynamic, payers=PAYERS)
    file = bench.folder / f"{'dynamic' if dynamic else 'static'}.sql"
    file.write_text(script.text)
    await bench.checkpoint()
    tried = await best_clients(bench.ready.database_url, file, seconds=max(bench.seconds / 3, 1))
    clients = max(tried, key=lambda n: tried[n])
    await bench.verify(f"after pgbench alone, {kind}")
    figures = {
        n: Figure(
            what=f"KHQR payments, {kind}, {n} in flight",
            against=f"pgbench, the same {script.statements} statements, {clients} clients (best "
            f"of {', '.join(f'{n}: {tps / 1000:.1f}k' for n, tps in tried.items())})",
            goal=1.5,
        )
        for n in IN_FLIGHT
    }
    for _ in range(ROUNDS):
        ours = {n: await _pay(bench, figure, n, dynamic=dynamic) for n, figure in figures.items()}
        theirs = await run_pgbench(
            bench.ready.database_url, file, clients=clients, seconds=bench.seconds
        )
        for n, figure in figures.items():
            figure.add(ours[n].per_s, theirs)
    await bench.verify(f"after both, {kind}")
    return list(figures.values())


async def checks(bench: Bench) -> list[Figure]:
    """Status by MD5, half of them paid, against the constant route."""
    requests, answer = await check_requests(bench.ready, bench.db, bench.world)
    figures = {
        n: Figure(
            what=f"check_transaction_by_md5, {n} in flight",
            against="constant route; half of the MD5s are paid",
            goal=0.6,
        )
        for n in IN_FLIGHT
    }
    token = bench.ready.bakong_token
    constant_requests = [(asked, b"{") for asked, _ in requests]
    async with server.constant(
        bench.folder, operation="check_transaction_by_md5", token=token, answer=answer
    ) as constant:
        for _ in range(ROUNDS):
            for n, figure in figures.items():
                ours = await bench.load(requests, n)
                theirs = await bench.load(constant_requests, n, ready=constant)
                figure.add(ours.per_s, theirs.per_s)
                cost = f"{ours.server_us:.0f} µs an answer, constant {theirs.server_us:.0f} µs"
                figure.notes = [
                    f"processor time of the server: {cost}",
                    f"load generator: {ours.cpu_share:.2f} cores",
                ]
    return list(figures.values())


async def latencies(bench: Bench) -> list[Figure]:
    """How long one alone waits, and the tail at 70 % of the load."""
    asked, _ = await check_requests(bench.ready, bench.db, bench.world)
    alone = {"payment": static_requests(bench.world), "check": asked}
    figures: list[Figure] = []
    for name, requests in alone.items():
        p50 = Figure(what=f"{name}, 1 client: p50", unit=" ms")
        p99 = Figure(what=f"{name}, 1 client: p99", unit=" ms")
        for _ in range(ROUNDS):
            loaded = await bench.load(requests, 1)
            p50.add(loaded.p50_ms)
            p99.add(loaded.p99_ms)
        figures += [p50, p99]
    return [*figures, await _tail(bench)]


async def engine(bench: Bench) -> list[Figure]:
    """Pay by the batch engine alone, and tell what a hot account costs."""
    orders = {
        "hot": hot_orders(bench.world, PAYERS),
        "uniform": uniform_orders(bench.world, PAYERS),
    }
    figures: list[Figure] = []
    await bench.checkpoint()
    for n in (128, 512):
        figure = Figure(
            what=f"engine alone, hot, {n} in flight",
            against="uniform (10,000 to 10,000)",
            goal=0.95,
        )
        for _ in range(ROUNDS):
            hot, uniform = [
                await run_engine(bench.db, which, in_flight=n, seconds=bench.seconds)
                for which in orders.values()
            ]
            figure.add(hot.per_s, uniform.per_s)
            figure.notes = [f"batches of {hot.batch_size:.0f} and {uniform.batch_size:.0f}"]
        figures.append(figure)
    await bench.verify("after the engine")
    return figures


async def _tail(bench: Bench) -> Figure:
    """Load to 70 % of what a full load just before reached, so that both saw the same machine."""
    figure = Figure(what="payment p99 against p50 at 70 %", unit=" ms", goal=3, at_most=True)
    reached: list[str] = []
    for _ in range(ROUNDS):
        full = await bench.load(static_requests(bench.world), IN_FLIGHT[-1])
        rate = full.per_s * TAIL_LOAD
        # Now the write-ahead log has files to use again. A young database makes each new one while
        # a commit waits for it, 50 ms every three seconds here: a matter of its first minutes.
        await bench.checkpoint()
        loaded = await bench.load(static_requests(bench.world), IN_FLIGHT[-1], rate_per_s=rate)
        figure.add(loaded.p99_ms, loaded.p50_ms)
        reached.append(f"{loaded.per_s:.0f} of {rate:.0f}")
    figure.notes = [
        f"answered {', '.join(reached)} payments/s, Poisson arrivals; where far fewer were",
        "answered than came, the machine was not ours and the ratio says nothing",
    ]
    return figure


async def _pay(bench: Bench, figure: Figure, in_flight: int, *, dynamic: bool) -> Loaded:
    count = round((WARM_S + bench.seconds) * DYNAMIC_PER_S_MAX)
    requests = dynamic_requests(bench.world, count) if dynamic else static_requests(bench.world)
    postmaster = await _postmaster(bench)
    before, used_s = server.batches(bench.ready), _used_s(bench, postmaster)
    started = time.perf_counter()
    loaded = await bench.load(requests, in_flight, once=dynamic)
    took_s = time.perf_counter() - started
    after, used_after_s = server.batches(bench.ready), _used_s(bench, postmaster)
    bayon, postgres = [(b - a) / took_s for a, b in zip(used_s, used_after_s, strict=True)]
    size = after.mean_since(before)
    figure.notes = [
        f"batches of {size:.0f}; p50 {loaded.p50_ms:.1f} ms, p99 {loaded.p99_ms:.1f} ms",
        (
            f"cores used: bayon {bayon:.2f} ({loaded.server_us:.0f} µs a payment), "
            f"PostgreSQL {postgres:.2f}, load generator {loaded.cpu_share:.2f}"
        ),
    ]
    return loaded


async def _postmaster(bench: Bench) -> int:
    backend: int = await bench.db.read(lambda tx: tx.value("SELECT pg_backend_pid()"))
    return server.parent(backend)


def _used_s(bench: Bench, postmaster: int) -> tuple[float, float]:
    return server.cpu_s([bench.ready.pid]), server.cpu_s(server.children(postmaster))
