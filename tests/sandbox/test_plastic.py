"""What a developer needs to pay with a card of a sandbox: what stands on it, and any currency."""

from typing import Any

from cms.clerk import hire, pan_ending
from sandboxes import Sandbox


async def card_of(town: Sandbox) -> dict[str, Any]:
    """Import a card, and look at it."""
    clerk = await hire(town)
    cardholder = await clerk.cardholder()
    account = await clerk.account(cardholder["id"])
    given = {"pan": pan_ending("4321"), "exp_month": 4, "exp_year": 2033}
    made = await clerk.simulate("cards", {"account_id": account["id"], **given})
    shown = await town.get(f"/sandbox/v1/cards/{made['card_id']}", token=clerk.token)
    assert shown.status_code == 200
    seen: dict[str, Any] = shown.json()
    assert {name: seen[name] for name in given} == given
    return seen


async def test_what_stands_on_a_card_is_told_and_is_right(town: Sandbox) -> None:
    seen = await card_of(town)
    assert seen.keys() == {"card_id", "pan", "exp_month", "exp_year", "cvv2"}
    assert len(seen["cvv2"]) == 3
    strangers = await town.get(f"/sandbox/v1/cards/{seen['card_id']}", token=town.cms_token)
    assert strangers.status_code == 404
    nobodys = await town.get(f"/sandbox/v1/cards/{seen['card_id']}")
    assert nobodys.status_code == 401


async def test_a_card_is_used_in_any_currency_of_iso_4217(town: Sandbox) -> None:
    (card, *_) = (await town.get("/v1/cards", token=town.cms_token)).json()["data"]
    use = {"card_id": card["id"], "amount": 3_500}
    path = "/sandbox/v1/authorizations"
    answer = await town.ask(path, {**use, "currency": "THB"}, token=town.cms_token)
    found = await town.get(
        f"/v1/transactions/{answer.json()['transaction_id']}", token=town.cms_token
    )
    shown = found.json()["data"]["attributes"]
    assert (shown["transaction_amount"], shown["transaction_currency"]) == (3_500, "THB")
    assert (shown["currency"], shown["status"]) == ("USD", "pending")
    assert 50 < shown["amount"] < 200
    for wrong in ("XAU", "usd", "840", "THBX"):
        refused = await town.ask(path, {**use, "currency": wrong}, token=town.cms_token)
        assert refused.status_code == 422
        assert "ISO 4217" in refused.json()["responseMessage"]
