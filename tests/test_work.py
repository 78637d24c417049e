"""The claim loop: it works while there is work, sleeps else, and outlives every failure."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from bayon import work
from bayon.errors import Unavailable
from bayon.work import Worker


async def while_running(worker: Worker, until: Callable[[], Coroutine[None, None, None]]) -> None:
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(5):
            await until()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_worker_goes_on_while_there_is_work_and_is_woken_by_a_nudge() -> None:
    due, steps, idle = 3, 0, asyncio.Event()

    async def step() -> int:
        nonlocal due, steps
        steps += 1
        if not due:
            idle.set()
            return 0
        due -= 1
        return 1

    worker = Worker("test", step, poll_s=60)

    async def until() -> None:
        nonlocal due
        await idle.wait()
        assert steps == 4
        idle.clear()
        due = 1
        worker.nudge()
        await idle.wait()

    await while_running(worker, until)
    assert (due, steps) == (0, 6)


async def test_nudge_during_a_step_is_not_lost() -> None:
    steps = 0
    done = asyncio.Event()

    async def step() -> int:
        nonlocal steps
        steps += 1
        if steps == 1:
            worker.nudge()
        else:
            done.set()
        return 0

    worker = Worker("test", step, poll_s=60)

    async def until() -> None:
        await done.wait()

    await while_running(worker, until)


async def test_worker_outlives_its_failures() -> None:
    failures: list[Exception] = [Unavailable(), ValueError("bug")]
    done = asyncio.Event()

    async def step() -> int:
        await asyncio.sleep(0)
        if failures:
            raise failures.pop()
        done.set()
        return 0

    async def until() -> None:
        await done.wait()

    started = asyncio.get_running_loop().time()
    await while_running(Worker("test", step, poll_s=0.01), until)
    assert asyncio.get_running_loop().time() - started >= 2 * work.BACKOFF_S
