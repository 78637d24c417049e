"""Controls at the door of card management: set, merged, shown, and obeyed."""

from datetime import UTC, datetime, timedelta

import pytest

from cms.bodies import Desk, open_desk
from cms.clerk import Clerk, data_of, hire, pointed, resource_document
from sandboxes import Sandbox

NONE_SET = {
    **dict.fromkeys(("amount_per_transaction", "amount_per_day", "count_per_day")),
    **dict.fromkeys(("allowed_mccs", "blocked_mccs", "allowed_countries", "blocked_countries")),
    "used_today": {"amount": 0, "count": 0},
}


@pytest.fixture
async def clerk(town: Sandbox) -> Clerk:
    """Ask for an issuer that has nothing yet, for each test."""
    return await hire(town)


@pytest.fixture
async def desk(clerk: Clerk) -> Desk:
    return await open_desk(clerk)


def path_of(desk: Desk, owner: str) -> str:
    return f"/v1/{owner}s/{desk.ids[owner]}/controls"


async def decided(clerk: Clerk, desk: Desk, amount: int, **more: object) -> tuple[str, str | None]:
    """Use the card; tells status and reason."""
    transaction = await clerk.authorize(desk.ids["card"], amount, **more)
    shown = data_of(await clerk.get(f"/v1/transactions/{transaction}"))["attributes"]
    return shown["status"], shown.get("decline_reason")


@pytest.mark.parametrize("owner", ["account", "card"])
async def test_controls_are_merged_and_a_null_takes_one_away(
    clerk: Clerk, desk: Desk, owner: str
) -> None:
    path, owner_id = path_of(desk, owner), desk.ids[owner]
    before = data_of(await clerk.get(path))
    assert before == {"id": owner_id, "type": "controls", "attributes": NONE_SET}
    first = {"amount_per_day": 1_000.0, "blocked_mccs": ["7995", "5813", "7995"], "colour": "red"}
    data_of(await clerk.patch(path, resource_document("controls", owner_id, **first)))
    second: dict[str, object] = {
        "count_per_day": 3,
        "used_today": {"amount": 7},
        "allowed_countries": [],
    }
    shown = data_of(await clerk.patch(path, resource_document("controls", owner_id, **second)))
    assert shown["attributes"] == NONE_SET | {
        "amount_per_day": 1_000,
        "count_per_day": 3,
        "blocked_mccs": ["5813", "7995"],
        "allowed_countries": [],
    }
    assert data_of(await clerk.get(path)) == shown
    nothing = dict.fromkeys(name for name in NONE_SET if name != "used_today")
    gone = await clerk.patch(path, resource_document("controls", owner_id, **nothing))
    assert data_of(gone) == before


async def test_every_word_that_is_wrong_is_pointed_at(clerk: Clerk, desk: Desk) -> None:
    words = {"allowed_mccs": ["4121", "412", 4121, "٤١٢١"], "blocked_countries": ["KH", "kh", None]}
    document = resource_document("controls", desk.ids["card"], **words)
    assert pointed(await clerk.patch(path_of(desk, "card"), document)) == {
        **{f"/data/attributes/allowed_mccs/{n}": "must have four digits" for n in (1, 2, 3)},
        **{
            f"/data/attributes/blocked_countries/{n}": (
                "must have two capital letters, as ISO 3166 has them"
            )
            for n in (1, 2)
        },
    }
    assert data_of(await clerk.get(path_of(desk, "card")))["attributes"] == NONE_SET


async def test_a_card_is_used_within_its_controls_and_its_accounts(
    clerk: Clerk, desk: Desk
) -> None:
    await clerk.top_up(desk.ids["account"], 100_000)
    for owner, controls in (
        ("account", {"amount_per_day": 1_000, "allowed_countries": ["KH"]}),
        ("card", {"amount_per_transaction": 600, "count_per_day": 2, "blocked_mccs": ["7995"]}),
    ):
        document = resource_document("controls", desk.ids[owner], **controls)
        data_of(await clerk.patch(path_of(desk, owner), document))
    for amount, more, outcome in (
        (1, {"merchant": {"mcc": "7995"}}, ("declined", "not_permitted")),
        (1, {"merchant": {"country": "TH"}}, ("declined", "not_permitted")),
        (601, {}, ("declined", "amount_limit")),
        (600, {}, ("pending", None)),
        (401, {}, ("declined", "amount_limit")),
        (399, {}, ("pending", None)),
        (1, {}, ("declined", "count_limit")),
    ):
        assert await decided(clerk, desk, amount, **more) == outcome
    for owner in ("account", "card"):
        shown = data_of(await clerk.get(path_of(desk, owner)))["attributes"]
        assert shown["used_today"] == {"amount": 999, "count": 2}


async def test_the_clock_of_the_sandbox_brings_a_new_day_at_midnight_in_phnom_penh(
    clerk: Clerk, desk: Desk
) -> None:
    await clerk.top_up(desk.ids["account"], 100_000)
    path, limit = path_of(desk, "card"), {"amount_per_day": 1_000}
    data_of(await clerk.patch(path, resource_document("controls", desk.ids["card"], **limit)))
    made = await clerk.authorize(desk.ids["card"], 1_000)
    told = data_of(await clerk.get(f"/v1/transactions/{made}"))["attributes"]["created_at"]
    at = datetime.fromisoformat(told).astimezone(UTC)
    midnight = at.replace(hour=17, minute=0, second=0)
    midnight += timedelta(days=1) * (midnight <= at)
    left_s = (midnight - at).total_seconds()
    if left_s > 120:
        await clerk.sandbox.advance(left_s - 60)
        assert await decided(clerk, desk, 1) == ("declined", "amount_limit")
        left_s = 60
    await clerk.sandbox.advance(left_s)
    assert data_of(await clerk.get(path))["attributes"]["used_today"] == {"amount": 0, "count": 0}
    assert await decided(clerk, desk, 1_000) == ("pending", None)
    assert await decided(clerk, desk, 1) == ("declined", "amount_limit")
    await clerk.simulate(f"transactions/{made}/reverse", {})  # yesterday's
    assert await decided(clerk, desk, 1) == ("declined", "amount_limit")
