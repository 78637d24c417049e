"""The demo's exchange rates: there at once, and put there once."""

import asyncio
from datetime import datetime
from decimal import Decimal

from bayon import cards
from bayon.cards import NewRate, Rate, billing_for_hold
from bayon.db import Tx, read_clock
from bayon.sandbox.demo_rates import USD_FOR_ONE
from sandboxes import OpenSandbox, Sandbox


async def rates_of(sandbox: Sandbox) -> list[Rate]:
    async def work(tx: Tx) -> list[Rate]:
        return await cards.list_rates(tx, now=(await read_clock(tx)).now(), past=True)

    return await sandbox.db.read(work)


async def test_a_new_sandbox_has_a_rate_for_the_riel_and_for_its_neighbours(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened()
    found = {(rate.from_code, rate.to_code): rate for rate in await rates_of(sandbox)}
    assert found.keys() == {(code, "USD") for code in USD_FOR_ONE}
    assert {"KHR", "THB", "VND", "LAK", "CNY", "EUR"} <= USD_FOR_ONE.keys()
    assert billing_for_hold(4_000_000, found["KHR", "USD"]) == 1_025


async def test_starting_again_changes_no_rate_and_adds_what_is_missing(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened()
    before = await rates_of(sandbox)
    own = NewRate(from_code="THB", to_code="USD", rate=Decimal("0.5"))

    async def work(tx: Tx) -> None:
        now: datetime = (await read_clock(tx)).now()
        await tx.run("DELETE FROM cards.rate WHERE from_code IN ('THB', 'JPY')")
        await cards.set_rates(tx, [own], now=now)

    await sandbox.db.transaction(work)
    after = await rates_of(await opened())
    kept = [rate for rate in before if rate.from_code not in {"THB", "JPY"}]
    assert [rate for rate in after if rate.from_code not in {"THB", "JPY"}] == kept
    others = {rate.from_code: rate.rate for rate in after if rate not in kept}
    assert others == {"THB": Decimal("0.5"), "JPY": Decimal(USD_FOR_ONE["JPY"])}
    assert await rates_of(await opened()) == after


async def test_two_that_start_at_once_put_each_rate_there_once(opened: OpenSandbox) -> None:
    sandbox = await opened()
    for _ in range(3):
        await sandbox.db.transaction(lambda tx: tx.run("DELETE FROM cards.rate"))
        await asyncio.gather(opened(), opened())
        found = [rate.from_code for rate in await rates_of(sandbox)]
        assert found == sorted(USD_FOR_ONE)
