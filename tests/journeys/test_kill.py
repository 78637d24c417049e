"""Killing Bayon and PostgreSQL while money moves: nothing acknowledged is lost, nothing doubled.

The short form kills each once; `make prove` kills them BAYON_TEST_KILLS times.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from journeys.running import PAYER, RECEIVER, Dev, Home, posted, query

PAYERS = 8
BEGIN = 1_000_000.0
KILLS = int(os.environ.get("BAYON_TEST_KILLS", "25"))


@dataclass(kw_only=True)
class Journal:
    """What the payers have seen: the hash of each acknowledged payment, and who got no answer."""

    acknowledged: dict[str, str] = field(default_factory=dict[str, str])
    unanswered: set[str] = field(default_factory=set[str])
    refused: list[tuple[float, int, Any]] = field(default_factory=list[tuple[float, int, Any]])
    last_at: float = 0.0


async def test_killed_while_payments_run_it_has_every_acknowledged_one_and_none_twice(
    home: Home,
) -> None:
    await _kill_bayon(home, Journal(), times=1)


async def test_postgresql_killed_while_payments_run_comes_back_by_itself(home: Home) -> None:
    await _kill_postgresql(home, Journal(), times=1)


@pytest.mark.prove
async def test_bayon_killed_many_times(home: Home) -> None:
    await _kill_bayon(home, Journal(), times=KILLS)


@pytest.mark.prove
async def test_postgresql_killed_many_times(home: Home) -> None:
    await _kill_postgresql(home, Journal(), times=KILLS)


async def _kill_bayon(home: Home, journal: Journal, *, times: int) -> None:
    dev = await home.dev()
    for _ in range(times):
        postmaster = home.postmaster
        before = len(journal.acknowledged)
        async with _payers(dev, journal):
            await _until_acknowledged(journal, before + random.randint(50, 150))  # noqa: S311 - any moment will do
            dev.running.process.kill()
            await dev.running.ended()
        assert home.postmaster == postmaster  # it lives on
        dev = await home.dev()
        assert home.postmaster == postmaster  # and was adopted
    print(f"{times} kills, the last start took {dev.seconds:.2f} s")  # noqa: T201 - the figures
    await _settle_accounts(home, dev, journal)


async def _kill_postgresql(home: Home, journal: Journal, *, times: int) -> None:
    dev = await home.dev()
    away: list[float] = []
    for _ in range(times):
        before, refused = len(journal.acknowledged), len(journal.refused)
        async with _payers(dev, journal):
            await _until_acknowledged(journal, before + random.randint(50, 150))  # noqa: S311 - any moment will do
            postmaster = home.postmaster
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
            began = time.monotonic()
            async with asyncio.timeout(30):
                while len(journal.refused) == refused:  # noqa: ASYNC110 - a journal is no Event
                    await asyncio.sleep(0.005)
                while journal.last_at < journal.refused[-1][0]:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.005)
            away.append(time.monotonic() - began)
            await _until_acknowledged(journal, len(journal.acknowledged) + 20)
    answers = {(status, body["errorCode"]) for _, status, body in journal.refused}
    assert answers == {(500, 9)}  # as the Open API says it
    print(f"{times} kills; away for {max(away):.2f} s at most, {len(journal.refused)} refused")  # noqa: T201 - the figures
    assert max(away) < 15
    await _settle_accounts(home, dev, journal)


@asynccontextmanager
async def _payers(dev: Dev, journal: Journal) -> AsyncGenerator[None]:
    """Pay from many hands until told to stop, or until nobody answers any more."""
    stop = asyncio.Event()
    async with dev.bank() as bank, asyncio.TaskGroup() as group:
        for _ in range(PAYERS):
            group.create_task(_pay_on(bank, journal, stop))
        yield
        stop.set()  # not cancelled: whoever is just connecting would leave its socket open


async def _pay_on(bank: httpx.AsyncClient, journal: Journal, stop: asyncio.Event) -> None:
    while not stop.is_set():
        external_ref = os.urandom(8).hex()
        journal.unanswered.add(external_ref)
        try:
            if not await _pay(bank, journal, external_ref):
                await asyncio.sleep(0.05)
        except httpx.TransportError:
            return


async def _pay(bank: httpx.AsyncClient, journal: Journal, external_ref: str) -> bool:
    body = {"fromAccountId": PAYER, "toAccountId": RECEIVER, "amount": 1, "currency": "USD"}
    answer = await bank.post("/participant/v1/payments", json={**body, "externalRef": external_ref})
    if answer.status_code != 200:
        journal.refused.append((time.monotonic(), answer.status_code, answer.json()))
        return False
    told: dict[str, Any] = answer.json()
    assert told["responseCode"] == 0, told
    known = journal.acknowledged.setdefault(external_ref, told["data"]["hash"])
    assert known == told["data"]["hash"]  # asked again, it is the same payment
    journal.unanswered.discard(external_ref)
    journal.last_at = time.monotonic()
    return True


async def _until_acknowledged(journal: Journal, count: int) -> None:
    async with asyncio.timeout(60):
        while len(journal.acknowledged) < count:  # noqa: ASYNC110 - a journal is no Event
            await asyncio.sleep(0.002)


async def _settle_accounts(home: Home, dev: Dev, journal: Journal) -> None:
    """Compare what the payers know with what is there; who got no answer asks again."""
    in_doubt = sorted(journal.unanswered)
    assert in_doubt, "nobody was killed in the middle of anything"
    url = dev.ready["database_url"]
    found = "SELECT array_agg(external_ref || ' ' || encode(hash, 'hex')) FROM payments.payment"
    there = {*await query(url, found)}
    assert {f"{ref} {digest}" for ref, digest in journal.acknowledged.items()} <= there
    async with dev.bank() as bank:
        again = (*in_doubt, *random.sample(sorted(journal.acknowledged), 10))
        assert all(await asyncio.gather(*(_pay(bank, journal, ref) for ref in again)))
        count = len(journal.acknowledged)
        assert await query(url, "SELECT count(*) FROM payments.payment") == count
        assert (
            await query(url, "SELECT count(DISTINCT external_ref) FROM payments.payment") == count
        )
        assert await posted(bank, RECEIVER) == BEGIN + count
        assert await posted(bank, PAYER) == BEGIN - count
    checked = await home.bayon("check")
    assert (checked.code, checked.out[:19]) == (0, "All invariants hold"), checked.out
    print(f"{count} payments, {len(in_doubt)} of them in doubt")  # noqa: T201 - the figures
    await dev.running.stop()
