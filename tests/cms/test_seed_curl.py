"""The seed's curl lines, pasted into a shell against `bayon dev`: host, ids and token changed."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncGenerator
from typing import Any, Final

import httpx
import pytest

from cms.clerk import pan_ending
from cms.likeness import UUID
from cms.seed import SeedOperation, operations
from journeys.running import Dev, Home, living_in

FOUND: Final = {operation.name: operation for operation in operations()}
TOKEN: Final = re.compile(r"Bearer [\w-]{43}")
PASTED: Final = (
    *("create_cardholder", "create_account", "create_card", "create_management_token"),
    *("list_accounts", "list_cards", "list_events", "retrieve_account", "retrieve_balance"),
    *("retrieve_card", "retrieve_cardholder", "update_account", "update_card"),
    *("update_cardholder", "list_transactions", "list_cardholders"),
)
AS_PRINTED: Final = {
    "update_card": ("status",),
    "update_cardholder": ("name", "phone_number", "status"),
    "create_cardholder": ("name", "phone_number", "status", "additional_details", "individual"),
    "create_account": ("number", "metadata"),
}
"""What is as printed whatever was there before."""

OF_WHAT: Final = {"accounts": "account", "cardholders": "cardholder", "cards": "card"}

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="wants curl")


@pytest.fixture(scope="module")
async def home() -> AsyncGenerator[Home]:
    """Give a folder to run curl in."""
    async with living_in("bayon-curl-") as made:
        yield made


@pytest.fixture(scope="module")
async def dev(home: Home) -> Dev:
    """Run a sandbox."""
    return await home.dev()


async def _paste(home: Home, dev: Dev, operation: SeedOperation, our_id: str) -> Any:  # noqa: ANN401 - a document
    """Paste a printed command into a shell; returns what it writes, told by curl to say how."""
    text = operation.curl.replace(operation.host, dev.url)
    text = TOKEN.sub(f"Bearer {dev.ready['cms_token']}", text)
    whose = json.dumps(json.loads(operation.body or "{}").get("data", {}).get("relationships"))
    for printed in UUID.finditer(operation.path + operation.query + whose):
        text = text.replace(printed[0], our_id)
    assert text.count("\n") == operation.curl.count("\n")
    end = r" --silent --show-error --max-time 20 --write-out '\n%{http_code} %{content_type}'"
    done = await home.run("/bin/sh", "-c", text + end)
    assert (done.code, done.err) == (0, "")
    body, _, how = done.out.rpartition("\n")
    assert how == f"{operation.status} application/vnd.api+json", done.out
    return json.loads(body)


async def _ids(dev: Dev) -> dict[str, str]:
    """Find what the demo has, and add a card that may still be changed."""
    headers = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    async with httpx.AsyncClient(base_url=dev.url, headers=headers, trust_env=False) as issuer:
        found = {
            kind: (await issuer.get(f"/v1/{path}")).raise_for_status().json()["data"][-1]["id"]
            for path, kind in OF_WHAT.items()
        }
        # What has just been pasted may have changed the cardholder, who is then looked at anew.
        for _ in range(400):
            if await _status(issuer, found["cardholder"]) == "active":
                break
            await asyncio.sleep(0.05)
        body = {"account_id": found["account"], "pan": pan_ending("2345")}
        card = {**body, "exp_month": 4, "exp_year": 2033}
        made = await issuer.post("/sandbox/v1/cards", json=card)
        return {**found, "card": made.raise_for_status().json()["card_id"]}


async def _status(issuer: httpx.AsyncClient, cardholder_id: str) -> str:
    shown = (await issuer.get(f"/v1/cardholders/{cardholder_id}")).raise_for_status().json()
    status: str = shown["data"]["attributes"]["status"]
    return status


@pytest.mark.parametrize("name", PASTED)
async def test_a_printed_command_works_when_it_is_pasted(home: Home, dev: Dev, name: str) -> None:
    operation = FOUND[name]
    ids = await _ids(dev)
    wanted = OF_WHAT[operation.path.split("/")[2]] if "/" in operation.path[4:] else "account"
    if name == "create_account":
        wanted = "cardholder"
    if name == "create_management_token":
        made = await _paste(home, dev, FOUND["create_card"], ids["account"])
        ids["card"] = made["data"]["id"]
    shown = await _paste(home, dev, operation, ids.get(wanted, ""))
    _assert_has_the_printed_members(operation, shown)


def _assert_has_the_printed_members(operation: SeedOperation, shown: dict[str, Any]) -> None:
    assert shown.keys() == operation.answer.keys()
    printed: Any = operation.answer["data"]
    ours: Any = shown["data"]
    if operation.name == "list_transactions":
        assert shown == {"data": [], "links": {"prev": None, "next": None}}
        return
    if operation.name.startswith("list_"):
        printed, ours = printed[0], ours[0]
    assert ours.keys() == printed.keys()
    assert ours["type"] == printed["type"]
    assert ours["attributes"].keys() == printed["attributes"].keys()
    for name in AS_PRINTED.get(operation.name, ()):
        assert ours["attributes"][name] == printed["attributes"][name]
