"""The batch engine, without any database: who goes with whom, and who is told what."""

import asyncio
from collections.abc import Sequence

import pytest

from bayon.batch import Batcher
from bayon.errors import Conflict, Unavailable


class Counter:
    """A `run` that doubles numbers, remembers its batches, and can be held up."""

    def __init__(self, *, poison: frozenset[int] = frozenset(), size_max: int = 500) -> None:
        self.batches: list[list[int]] = []
        self.done: list[int] = []
        self.poison: frozenset[int] = poison
        self.gate: asyncio.Event = asyncio.Event()
        self.gate.set()
        self.batcher: Batcher[int, int] = Batcher(self.run, size_max=size_max)

    async def run(self, commands: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(commands))
        await self.gate.wait()
        if self.poison & set(commands):
            raise ValueError(f"cannot do {sorted(self.poison & set(commands))}")
        self.done += commands
        return [command * 2 for command in commands]

    def put(self, *commands: int) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.batcher.submit(command)) for command in commands]


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def results(tasks: Sequence[asyncio.Task[int]]) -> list[int | BaseException]:
    async with asyncio.timeout(2):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_alone_a_command_is_a_batch_of_one() -> None:
    counter = Counter()
    assert [await counter.batcher.submit(n) for n in (1, 2, 3)] == [2, 4, 6]
    assert counter.batches == [[1], [2], [3]]


async def test_what_comes_in_the_same_turn_goes_together() -> None:
    counter = Counter()
    assert await results(counter.put(1, 2, 3)) == [2, 4, 6]
    assert counter.batches == [[1, 2, 3]]


async def test_while_one_batch_runs_the_next_forms() -> None:
    counter = Counter()
    counter.gate.clear()
    tasks = counter.put(1)
    await turn()
    tasks += counter.put(2)
    await turn()
    tasks += counter.put(3, 4)
    await turn()
    assert counter.batches == [[1]]
    counter.gate.set()
    assert await results(tasks) == [2, 4, 6, 8]
    assert counter.batches == [[1], [2, 3, 4]]


async def test_each_who_asks_has_a_share_of_a_batch_and_what_others_leave() -> None:
    counter = Counter(size_max=5)
    counter.gate.clear()
    first = counter.batcher.put(0)
    await turn()
    flood = [counter.batcher.put(n, of="flood") for n in range(10, 19)]
    calm = [counter.batcher.put(n, of="calm") for n in (1, 2)]
    late = counter.batcher.put(3, of="late")
    counter.gate.set()
    await asyncio.gather(first, late, *flood, *calm)
    assert counter.batches == [[0], [10, 11, 1, 2, 3], [12, 13, 14, 15, 16], [17, 18]]


async def test_of_more_who_ask_than_a_batch_has_room_for_all_have_their_turn() -> None:
    counter = Counter(size_max=2)
    counter.gate.clear()
    first = counter.batcher.put(0)
    await turn()
    asked = [counter.batcher.put(who * 10 + n, of=who) for n in range(2) for who in (1, 2, 3)]
    counter.gate.set()
    await asyncio.gather(first, *asked)
    assert counter.batches == [[0], [10, 20], [30, 11], [21, 31]]


async def test_nobody_is_answered_before_its_batch_is_done() -> None:
    counter = Counter()
    counter.gate.clear()
    tasks = counter.put(1, 2)
    await turn()
    assert not any(task.done() for task in tasks)
    counter.gate.set()
    assert await results(tasks) == [2, 4]


async def test_batch_is_never_larger_than_the_cap_and_order_is_kept() -> None:
    counter = Counter(size_max=4)
    assert await results(counter.put(*range(10))) == [n * 2 for n in range(10)]
    assert counter.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_sizes_tell_what_went() -> None:
    counter = Counter(size_max=4)
    await results(counter.put(*range(10)))
    sizes = counter.batcher.sizes
    assert (sizes.batches, sizes.commands, sizes.largest) == (3, 10, 4)
    assert list(sizes.recent) == [4, 4, 2]


@pytest.mark.parametrize("poison", [{0}, {7}, {15}, {3, 4}, {0, 15}, {1, 5, 9, 13}, set(range(16))])
async def test_commands_that_break_the_batch_fail_alone_and_all_others_are_done_once(
    poison: set[int],
) -> None:
    counter = Counter(poison=frozenset(poison))
    told = await results(counter.put(*range(16)))
    for n, result in enumerate(told):
        if n in poison:
            assert str(result) == f"cannot do [{n}]"
        else:
            assert result == n * 2
    assert counter.done == [n for n in range(16) if n not in poison]


async def test_one_breaking_command_costs_a_logarithm_of_batches() -> None:
    counter = Counter(poison=frozenset({300}))
    await results(counter.put(*range(500)))
    assert len(counter.batches) <= 2 * 9 + 1


async def test_unavailable_fails_the_whole_batch_at_once_and_the_next_is_served() -> None:
    away, batches = True, list[int]()

    async def run(commands: Sequence[int]) -> list[int]:
        batches.append(len(commands))
        await asyncio.sleep(0)
        if away:
            raise Unavailable
        return list(commands)

    batcher: Batcher[int, int] = Batcher(run, size_max=500)
    told = await results([asyncio.create_task(batcher.submit(n)) for n in range(8)])
    assert [type(result) for result in told] == [Unavailable] * 8
    assert batches == [8]
    away = False
    assert await batcher.submit(1) == 1


async def test_unavailable_in_the_middle_of_bisection_fails_that_half_alone() -> None:
    async def run(commands: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        if len(commands) == 4:
            raise ValueError
        if 0 in commands:
            raise Unavailable
        return list(commands)

    batcher: Batcher[int, int] = Batcher(run, size_max=500)
    told = await results([asyncio.create_task(batcher.submit(n)) for n in range(4)])
    assert [type(result) for result in told] == [Unavailable, Unavailable, int, int]


async def test_result_that_is_an_exception_goes_to_its_own_caller_alone() -> None:
    batches = 0

    async def run(commands: Sequence[int]) -> list[int | Exception]:
        nonlocal batches
        batches += 1
        await asyncio.sleep(0)
        return [Conflict(str(n)) if n == 1 else n for n in commands]

    batcher: Batcher[int, int] = Batcher(run, size_max=500)
    told = await results([asyncio.create_task(batcher.submit(n)) for n in range(3)])
    assert (told[0], str(told[1]), told[2]) == (0, "1", 2)
    assert batches == 1


async def test_cancelled_waiter_does_not_stop_its_batch() -> None:
    counter = Counter()
    counter.gate.clear()
    tasks = counter.put(1, 2, 3)
    await turn()
    tasks[1].cancel()
    await turn()
    counter.gate.set()
    told = await results(tasks)
    assert (told[0], type(told[1]), told[2]) == (2, asyncio.CancelledError, 6)
    assert counter.done == [1, 2, 3]


async def test_first_waiter_may_be_cancelled_too() -> None:
    counter = Counter()
    first, second = counter.put(1, 2)
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 4
    assert await counter.batcher.submit(5) == 10


async def test_batch_with_too_few_answers_tells_everybody_and_never_runs_again() -> None:
    batches = 0

    async def run(commands: Sequence[int]) -> list[int]:
        nonlocal batches
        batches += 1
        await asyncio.sleep(0)
        return list(commands)[1:]

    batcher: Batcher[int, int] = Batcher(run, size_max=500)
    told = await results([asyncio.create_task(batcher.submit(n)) for n in range(4)])
    assert [type(result) for result in told] == [AssertionError] * 4
    assert batches == 1


async def test_batch_that_is_stopped_leaves_nobody_waiting() -> None:
    stopped = True

    async def run(commands: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        if stopped:
            raise asyncio.CancelledError
        return list(commands)

    batcher: Batcher[int, int] = Batcher(run, size_max=2)
    tasks = [asyncio.create_task(batcher.submit(n)) for n in range(3)]
    done, _ = await asyncio.wait(tasks, timeout=1)
    assert done == set(tasks)
    assert {type(task.exception()) for task in tasks} == {Unavailable}
    stopped = False
    assert await batcher.submit(7) == 7


async def test_what_is_taken_back_before_its_batch_is_not_done() -> None:
    counter = Counter()
    counter.gate.clear()
    first = counter.put(1)
    await turn()
    waiting = [counter.batcher.put(n) for n in (2, 3)]
    waiting[0].cancel()
    counter.gate.set()
    assert await results(first) == [2]
    assert await waiting[1] == 6
    assert counter.done == [1, 3]


async def test_what_is_taken_back_once_its_batch_has_begun_is_done_all_the_same() -> None:
    counter = Counter()
    counter.gate.clear()
    future = counter.batcher.put(1)
    await turn()
    future.cancel()
    counter.gate.set()
    assert await counter.batcher.submit(2) == 4
    assert counter.done == [1, 2]


async def test_a_batch_of_which_all_is_taken_back_is_none() -> None:
    counter = Counter()
    for future in [counter.batcher.put(n) for n in (1, 2)]:
        future.cancel()
    assert await counter.batcher.submit(3) == 6
    assert counter.batches == [[3]]
