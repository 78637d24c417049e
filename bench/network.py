"""The card network: durable authorisations over TCP, against pgbench and against the null host.

The load comes from `bayon acquirer load`, a process of its own, with its requests written before.
Hot is one card; uniform is a card of each of ten thousand accounts of one issuer.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench import server
from bench.big import vacuum
from bench.figures import Figure
from bench.measure import IN_FLIGHT, ROUNDS, TAIL_LOAD, WARM_S, Bench
from bench.network_script import make_card_script
from bench.network_world import NetworkWorld, make_network_world
from bench.pgbench import best_clients, run_pgbench
from bench.server import Ready

CONNECTIONS: Final = 4
GOALS: Final[Mapping[str, float]] = {"one hot account": 5, "10,000 accounts": 1.5}
HOT, UNIFORM = GOALS


class Answered(msgspec.Struct):
    """What `bayon acquirer load --json` tells, and the host's processor time for an answer."""

    answers: int
    per_s: float
    p50_ms: float
    p99_ms: float
    codes: dict[str, int]
    unanswered: int
    strange: int
    cpu_share: float
    host_us: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The cards of a load, in a file, and pgbench's script for the same accounts."""

    name: str
    cards: Path
    script: Path
    statements: int


async def network(bench: Bench) -> list[Figure]:
    """Measure all of it."""
    world = await make_network_world(bench.db)
    await vacuum(bench.ready.database_url)
    spreads = [await _spread(bench, world, name) for name in GOALS]
    async with server.null_host(bench.folder) as null:
        rates = await _rates(bench, spreads, null)
    return [*rates, *await _alone(bench, spreads[-1]), await _tail(bench, spreads[-1])]


async def load(
    file: Path, ready: Ready, *, seconds: float, in_flight: int, rate_per_s: float = 0.0
) -> Answered:
    """Load a host in a process of its own. Whatever is not approved is an error."""
    how = f"--rate={rate_per_s}" if rate_per_s else f"--in-flight={in_flight}"
    words = (
        *("--json", how, f"--links={min(in_flight, CONNECTIONS)}", f"--seconds={seconds}"),
        *(f"--warm-s={WARM_S}", f"--cards={file}", f"--port={ready.network_port}"),
    )
    before_s = server.cpu_s([ready.pid])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bayon", "acquirer", "load", *words),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load failed: {output.decode()}")
    answered = msgspec.json.decode(output, type=Answered)
    if set(answered.codes) != {"00"} or answered.unanswered or answered.strange:
        raise RuntimeError(f"not all was approved: {answered}")
    used_s = server.cpu_s([ready.pid]) - before_s
    answered.host_us = used_s / (answered.per_s * (seconds + WARM_S)) * 1e6
    return answered


async def _spread(bench: Bench, world: NetworkWorld, name: str) -> Spread:
    pans = world.pans[:1] if name == HOT else world.pans
    script = await make_card_script(bench.db, world, accounts=len(pans))
    stem = bench.folder / name.replace(" ", "-")
    cards, file = stem.with_suffix(".cards"), stem.with_suffix(".sql")
    cards.write_text("".join(f"{pan.reveal()}\n" for pan in pans))
    file.write_text(script.text)
    return Spread(name=name, cards=cards, script=file, statements=script.statements)


async def _rates(bench: Bench, spreads: Sequence[Spread], null: Ready) -> list[Figure]:
    """Authorise as fast as answers come: hot, uniform, pgbench, null host, in each round."""
    clients = {spread.name: await _clients(bench, spread) for spread in spreads}
    rates = {(s.name, n): _rate(s, n, clients[s.name]) for s in spreads for n in IN_FLIGHT}
    even = {n: Figure(what=f"authorisations, {n} in flight: hot", goal=0.95) for n in IN_FLIGHT}
    ceiling = {n: Figure(what=f"authorisations, {n} in flight: uniform") for n in IN_FLIGHT}
    for _ in range(ROUNDS):
        ours = {
            (s.name, n): await load(s.cards, bench.ready, seconds=bench.seconds, in_flight=n)
            for s in spreads
            for n in IN_FLIGHT
        }
        for spread in spreads:
            theirs = await _pgbench(bench, spread, clients[spread.name][0])
            for n in IN_FLIGHT:
                rates[spread.name, n].add(ours[spread.name, n].per_s, theirs)
        for n in IN_FLIGHT:
            hot, uniform = ours[HOT, n], ours[UNIFORM, n]
            even[n].against = "uniform"
            even[n].add(hot.per_s, uniform.per_s)
            empty = await load(spreads[-1].cards, null, seconds=bench.seconds, in_flight=n)
            ceiling[n].against = "null host, which decodes, approves and encodes"
            ceiling[n].add(uniform.per_s, empty.per_s)
            ceiling[n].notes = [_cost(uniform, empty)]
    await bench.verify("after authorisations by the network and pgbench")
    return [*rates.values(), *even.values(), *ceiling.values()]


def _rate(spread: Spread, in_flight: int, clients: tuple[int, str]) -> Figure:
    return Figure(
        what=f"authorisations, {spread.name}, {in_flight} in flight",
        against=f"pgbench, the same {spread.statements} statements, {clients[0]} clients (best of "
        f"{clients[1]})",
        goal=GOALS[spread.name],
    )


def _cost(ours: Answered, empty: Answered) -> str:
    return (
        f"processor time an answer: host {ours.host_us:.0f} µs, null host {empty.host_us:.0f} µs; "
        f"load {empty.cpu_share / empty.per_s * 1e6:.1f} µs"
    )


async def _clients(bench: Bench, spread: Spread) -> tuple[int, str]:
    """Find how many clients are pgbench's best, and tell of all that were tried."""
    await bench.checkpoint()
    seconds = max(bench.seconds / 3, 1)
    tried = await best_clients(bench.ready.database_url, spread.script, seconds=seconds)
    told = ", ".join(f"{n}: {tps / 1000:.1f}k" for n, tps in tried.items())
    return max(tried, key=lambda n: tried[n]), told


async def _pgbench(bench: Bench, spread: Spread, clients: int) -> float:
    url = bench.ready.database_url
    return await run_pgbench(url, spread.script, clients=clients, seconds=bench.seconds)


async def _alone(bench: Bench, spread: Spread) -> list[Figure]:
    """Authorise one after the other on one link."""
    p50, p99 = (
        Figure(what=f"authorisation, 1 link, 1 in flight: {name}", unit=" ms")
        for name in ("p50", "p99")
    )
    for _ in range(ROUNDS):
        alone = await load(spread.cards, bench.ready, seconds=bench.seconds, in_flight=1)
        p50.add(alone.p50_ms)
        p99.add(alone.p99_ms)
    return [p50, p99]


async def _tail(bench: Bench, spread: Spread) -> Figure:
    """Load to 70 % of what a full load just before reached, so that both saw the same machine."""
    figure = Figure(what="authorisation p99 against p50 at 70 %", unit=" ms", goal=3, at_most=True)
    reached: list[str] = []
    for _ in range(ROUNDS):
        ready, most = bench.ready, IN_FLIGHT[-1]
        full = await load(spread.cards, ready, seconds=bench.seconds, in_flight=most)
        rate = full.per_s * TAIL_LOAD
        await bench.checkpoint()  # files of the log to use again: see `measure`
        told = await load(
            spread.cards, ready, seconds=bench.seconds, in_flight=most, rate_per_s=rate
        )
        figure.add(told.p99_ms, told.p50_ms)
        reached.append(f"{told.per_s:.0f} of {rate:.0f}")
    figure.notes = [f"answered {', '.join(reached)} authorisations/s, Poisson arrivals"]
    return figure
