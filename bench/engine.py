"""The batch engine alone: `Rail.pay` in this process, without HTTP; hot against uniform."""

import asyncio
import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bayon import web
from bayon.batch import Request
from bayon.db import Database
from bayon.payments import Pay, Payment, Rail, document
from bayon.seal import Sealer
from bench.world import FIRST, World, make_pay, merchant

WARM_S: Final = 0.3


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What it did: payments a second, and how many a batch had."""

    per_s: float
    batch_size: float


def hot_orders(world: World, payers: int) -> list[Request[Pay, Payment]]:
    """Everybody pays one merchant's static QR."""
    return [_request(make_pay(world, n, qr=world.static_qr)) for n in _shuffled(payers)]


def uniform_orders(world: World, payers: int) -> list[Request[Pay, Payment]]:
    """Everybody pays a merchant of their own: the same QR, read once, with another payee."""
    to = _shuffled(payers)
    return [
        _request(replace(make_pay(world, n, qr=world.static_qr), to_account_id=merchant(m)))
        for n, m in zip(_shuffled(payers), to, strict=True)
    ]


async def run_engine(
    db: Database, orders: Sequence[Request[Pay, Payment]], *, in_flight: int, seconds: float
) -> Engine:
    """Keep so many payments in flight, for so long."""
    rail = Rail(db, Sealer({1: bytes(32)}))
    endless = itertools.cycle(orders)
    until = time.perf_counter() + WARM_S + seconds
    tasks = [asyncio.create_task(_pay_on(rail, endless, until)) for _ in range(in_flight)]
    await asyncio.sleep(WARM_S)
    sizes = rail.paying.sizes
    commands, batches, began = sizes.commands, sizes.batches, time.perf_counter()
    await asyncio.sleep(seconds)
    done, took_s = sizes.commands - commands, time.perf_counter() - began
    batch_count = sizes.batches - batches
    await asyncio.gather(*tasks)
    return Engine(per_s=done / took_s, batch_size=done / max(batch_count, 1))


async def pay_once(db: Database, commands: Iterable[Pay]) -> None:
    """Pay each of these once."""
    rail = Rail(db, Sealer({1: bytes(32)}))
    await asyncio.gather(*(rail.pay(_request(command)) for command in commands))


async def _pay_on(rail: Rail, orders: Iterator[Request[Pay, Payment]], until: float) -> None:
    while time.perf_counter() < until:
        reply = await rail.pay(next(orders))
        assert reply.outcome is not None
        assert reply.outcome.state == "succeeded", reply.outcome


def _request(command: Pay) -> Request[Pay, Payment]:
    return Request(command=command, render=_render)


def _render(payment: Payment) -> bytes:
    return web.success(document.own_payment(payment), "Payment has been made")


def _shuffled(count: int) -> list[int]:
    numbers = list(range(FIRST, FIRST + count))
    random.shuffle(numbers)
    return numbers
