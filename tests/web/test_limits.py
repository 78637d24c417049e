"""Rate limits: bursts, refills, one bucket each, and no more memory than is needed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from bayon.web import Limit, TooManyRequests, limits
from sandboxes import OpenSandbox, Sandbox, send_raw

CHECK: Final = "/v1/check_transaction_by_md5"
BODY: Final = [{"type": "http.request", "body": b'{"md5":"x"}', "more_body": False}]


def taken(limit: Limit, key: str, times: int) -> int:
    """Take so often; returns how often it was granted."""
    granted = 0
    for _ in range(times):
        try:
            limit.take(key)
            granted += 1
        except TooManyRequests:
            pass
    return granted


@pytest.mark.parametrize("per_s", [1, 3, 50])
def test_a_burst_is_ten_seconds_worth(per_s: int) -> None:
    assert taken(Limit(per_s), "a", per_s * 10 + 1) == per_s * 10


def test_zero_is_off() -> None:
    assert taken(Limit(0), "a", 10_000) == 10_000


def test_each_caller_has_a_bucket_of_its_own() -> None:
    limit = Limit(1)
    assert [taken(limit, key, 11) for key in ("a", "b", "a")] == [10, 10, 0]


async def test_a_bucket_fills_up_again_by_the_time_that_was_said() -> None:
    limit = Limit(2)
    taken(limit, "a", 20)
    with pytest.raises(TooManyRequests) as raised:
        limit.take("a")
    assert raised.value.retry_after_s == 1
    await asyncio.sleep(1.0)
    assert taken(limit, "a", 5) == 2


def test_asking_too_often_does_not_put_the_next_grant_off() -> None:
    limit = Limit(0.01)
    waits: list[int] = []
    for _ in range(3):
        with pytest.raises(TooManyRequests) as raised:
            limit.take("a")
        waits.append(raised.value.retry_after_s)
    assert waits == [90, 90, 90]


def test_a_flood_of_addresses_is_forgotten_again() -> None:
    limit = Limit(1)
    for number in range(limits.BUCKETS_MAX + 10):
        limit.take(str(number))
    assert limit.callers <= limits.BUCKETS_MAX


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("no:address", "no:other", False),
    ],
)
def test_of_an_ipv6_address_the_network_is_the_caller(
    first: str, second: str, *, same: bool
) -> None:
    limit = Limit(1)
    assert taken(limit, first, 10) == 10
    assert taken(limit, second, 10) == (0 if same else 10)


def test_a_flood_of_addresses_buys_nobody_a_new_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS_MAX", 100)
    limit, granted = Limit(1), 0
    for number in range(1_000):
        granted += taken(limit, "glutton", 1)
        limit.take(str(number))
    assert granted in {10, 11}  # and what filled up again meanwhile


async def status_from(sandbox: Sandbox, address: str) -> int:
    """Ask from an address."""
    token = sandbox.integrator_token.encode()
    status, _, _ = await send_raw(
        sandbox.asgi,
        BODY,
        path=CHECK,
        raw_path=CHECK.encode(),
        client=(address, 1),
        headers=[(b"authorization", b"Bearer " + token)],
    )
    return status


async def until_limited(ask: Callable[[int], Awaitable[int]], *, status: int) -> None:
    """Ask until it is too often: a burst of ten, and one for each second that it takes."""
    started = time.monotonic()
    statuses = [await ask(0)]
    async with asyncio.timeout(60):
        while statuses[-1] != 429:
            statuses.append(await ask(len(statuses)))
    assert set(statuses[:-1]) == {status}
    assert 10 <= len(statuses) - 1 <= 10 + time.monotonic() - started


async def test_addresses_are_limited_apart_and_tokens_wherever_they_come_from(
    opened: OpenSandbox,
) -> None:
    by_address = await opened(rate_limit_address_per_s=1)
    await until_limited(lambda _: status_from(by_address, "10.0.0.1"), status=200)
    assert await status_from(by_address, "10.0.0.2") == 200
    by_token = await opened(rate_limit_token_per_s=1)
    await until_limited(lambda n: status_from(by_token, f"10.0.{n // 256}.{n % 256}"), status=200)


async def test_who_guesses_tokens_is_limited_by_address(opened: OpenSandbox) -> None:
    sandbox = await opened(rate_limit_address_per_s=1)

    async def guess(number: int) -> int:
        answer = await sandbox.ask(CHECK, {"md5": "x"}, token=f"guess {number}")
        return answer.status_code

    await until_limited(guess, status=401)
