"""Killing who delivers, and PostgreSQL, while webhooks are sent: none is lost, and order holds.

Three endpoints are told of the same events: one is well, one is slow, one always fails. The short
form kills once each; `make prove` sends 10,000 events, and kills five times and PostgreSQL once.
"""

import asyncio
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, Final

import asyncpg
import httpx
import pytest
from aiohttp import web

from events.receivers import Got, Receiver, receiving
from journeys.running import Dev, Home

ACCOUNTS: Final = 24
HANDS: Final = 8
SLOW_S: Final = 0.05
LEASE_S: Final = 61.0
PATIENCE_S: Final = 300.0
PATHS: Final = ("/well", "/slow", "/failing")


@dataclass(kw_only=True)
class Story:
    """What happens: where Bayon is now, what it has acknowledged, and who was told of it."""

    dev: Dev
    http: httpx.AsyncClient
    receiver: Receiver
    wanted: int
    acknowledged: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    numbers: Iterator[int] = field(default_factory=count)

    async def ask(self, method: str, path: str, document: object) -> dict[str, Any]:
        """Ask card management, until it answers: whoever is killed comes back."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                headers = {"Authorization": f"Bearer {self.dev.ready['cms_token']}"}
                with suppress(httpx.TransportError):
                    answer = await self.http.request(
                        method, self.dev.url + path, json=document, headers=headers
                    )
                    if answer.status_code < 500:
                        return answer.raise_for_status().json()
                await asyncio.sleep(0.1)

    async def until(self, share: float) -> None:
        """Wait until this share of the events has happened."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.acknowledged) < self.wanted * share:  # noqa: ASYNC110 - a list is no Event
                await asyncio.sleep(0.005)

    def told(self, path: str) -> list[str]:
        """List the events an endpoint was told, in order, those told twice too."""
        return [str(event_id) for event_id in self.receiver.ids(path)]


async def test_killed_while_webhooks_are_sent_it_loses_none(home: Home) -> None:
    await _kill(home, wanted=400, kills=1)


@pytest.mark.prove
async def test_of_ten_thousand_events_none_is_lost_however_often_it_is_killed(home: Home) -> None:
    await _kill(home, wanted=10_000, kills=5)


async def _kill(home: Home, *, wanted: int, kills: int) -> None:
    began = time.monotonic()
    async with receiving(_answer) as receiver, httpx.AsyncClient(trust_env=False) as http:
        story = Story(dev=await home.dev(), http=http, receiver=receiver, wanted=wanted)
        for path in PATHS:
            attributes = {"url": receiver.url + path, "event_types": ["account.updated"]}
            body = {"data": {"type": "webhook_endpoint", "attributes": attributes}}
            await story.ask("POST", "/v1/webhook_endpoints", body)
        async with _hands(story):
            for number in range(1, kills + 1):
                await story.until(number / (kills + 2))
                await _kill_bayon(home, story)
            await story.until((kills + 1) / (kills + 2))
            await _kill_postgresql(home)
        happened_s = time.monotonic() - began
        await _tell_of_all(home, story)
    print(  # noqa: T201 - the figures
        f"{kills} kills and one of PostgreSQL; {happened_s:.1f} s to change, "
        f"{time.monotonic() - began:.1f} s in all"
    )


async def _answer(got: Got) -> web.Response:
    if got.path == "/slow":
        await asyncio.sleep(SLOW_S)
    return web.Response(status=500 if got.path == "/failing" else 204)


@asynccontextmanager
async def _hands(story: Story) -> AsyncGenerator[None]:
    """Change accounts from many hands, each its own ones, until as much has happened as wanted."""
    accounts = [await _open_account(story) for _ in range(ACCOUNTS)]
    async with asyncio.TaskGroup() as group:
        for hand in range(HANDS):
            group.create_task(_change_on(story, accounts[hand::HANDS]))
        yield


async def _open_account(story: Story) -> str:
    (holder,) = (await story.ask("GET", "/v1/cardholders", None))["data"]
    attributes = {"number": str(800_000 + secrets.randbelow(100_000)), "currency": "USD"}
    whose = {"cardholder": {"data": {"type": "cardholder", "id": holder["id"]}}}
    data = {"type": "account", "attributes": attributes, "relationships": whose}
    made = await story.ask("POST", "/v1/accounts", {"data": data})
    account_id: str = made["data"]["id"]
    return account_id


async def _change_on(story: Story, accounts: list[str]) -> None:
    while len(story.acknowledged) < story.wanted:
        for account_id in accounts:
            number = next(story.numbers)
            attributes = {"metadata": {"number": str(number)}}
            body = {"data": {"type": "account", "id": account_id, "attributes": attributes}}
            await story.ask("PATCH", f"/v1/accounts/{account_id}", body)
            story.acknowledged.append((account_id, number))


async def _kill_bayon(home: Home, story: Story) -> None:
    """Kill it and start it again; what it had claimed comes due by the sandbox's clock."""
    story.dev.running.process.kill()
    await story.dev.running.ended()
    story.dev = await home.dev()
    await _pass_the_lease(story)


async def _kill_postgresql(home: Home) -> None:
    postmaster = home.postmaster
    assert postmaster is not None
    os.kill(postmaster, signal.SIGKILL)


async def _pass_the_lease(story: Story) -> None:
    await story.ask("POST", "/sandbox/v1/clock", {"advance_s": LEASE_S})


async def _tell_of_all(home: Home, story: Story) -> None:
    """Wait until the one that is well knows all, and look what everybody was told, and how."""
    changed = await _changed(story)
    assert {(event[1], event[2]) for event in changed} >= {*story.acknowledged}
    assert len(changed) >= story.wanted
    event_ids = {event[0] for event in changed}
    async with asyncio.timeout(PATIENCE_S):
        while event_ids - {*story.told("/well")}:  # noqa: ASYNC110 - a list is no Event
            await asyncio.sleep(0.2)
    await _until_settled(story)
    for path in PATHS:
        told = Counter(story.told(path))
        assert told.keys() <= event_ids, f"{path} was told what never happened"
        twice = sum(told.values()) - len(told)
        print(f"{path}: {len(told)} of {len(event_ids)} events, {twice} more than once")  # noqa: T201 - the figures
    for path in ("/well", "/slow"):
        _in_order(story.told(path), changed)
    assert await _states(story) == [("/well", "delivered", len(event_ids))]
    checked = await home.bayon("check")
    assert (checked.code, checked.out[:19]) == (0, "All invariants hold"), checked.out
    await story.dev.running.stop()


async def _changed(story: Story) -> list[tuple[str, str, int]]:
    """List what happened, in its order: the event, its account, and the number it was given."""
    connection = await _connected(story)
    rows = await connection.fetch(
        "SELECT id, subject_id, convert_from(body, 'UTF8')::json #>> "
        "'{attributes,details,data,attributes,metadata,number}' AS number"
        " FROM events.event WHERE type = 'account.updated' ORDER BY seq"
    )
    await connection.close()
    return [(str(row["id"]), str(row["subject_id"]), int(row["number"])) for row in rows]


async def _connected(story: Story) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect, when PostgreSQL has come back."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await asyncpg.connect(story.dev.ready["database_url"])
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)


async def _states(story: Story) -> list[tuple[str, str, int]]:
    """Count what has become of the deliveries to the one that is well."""
    connection = await _connected(story)
    rows = await connection.fetch(
        "SELECT d.state, count(*) AS deliveries FROM events.delivery AS d"
        " JOIN events.endpoint AS e ON e.id = d.endpoint_id WHERE e.url LIKE '%/well'"
        " GROUP BY d.state"
    )
    due = await connection.fetchval(
        "SELECT count(*) FROM events.delivery AS d JOIN events.endpoint AS e"
        " ON e.id = d.endpoint_id WHERE e.url LIKE '%/failing' AND d.state <> 'due'"
    )
    await connection.close()
    assert due == 0, "what fails is tried again, for three days"
    return [("/well", row["state"], row["deliveries"]) for row in rows]


async def _until_settled(story: Story) -> None:
    """Wait until it is written that all has arrived; what PostgreSQL's death undid comes again."""
    async with asyncio.timeout(PATIENCE_S):
        while [state for _, state, _ in await _states(story)] != ["delivered"]:
            await _pass_the_lease(story)
            await asyncio.sleep(1)


def _in_order(told: list[str], changed: list[tuple[str, str, int]]) -> None:
    """Demand that of each resource nothing was told after something later; twice it may be."""
    places = {event_id: (account_id, at) for at, (event_id, account_id, _) in enumerate(changed)}
    by_account: dict[str, list[int]] = {}
    for event_id in told:
        account_id, at = places[event_id]
        by_account.setdefault(account_id, []).append(at)
    assert len(by_account) == ACCOUNTS
    wrong = [
        (account_id, before, after)
        for account_id, ats in by_account.items()
        for before, after in pairwise(ats)
        if before > after
    ]
    assert wrong == []
