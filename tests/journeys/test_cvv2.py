"""The code printed on a card, from the bureau's file to the host: as a developer tries it out."""

import json

import httpx

from cards.plastic import RECIPIENT, read_by_bureau
from journeys.running import Dev, Home, query
from said import never_say

OWN = '[cvv2]\nfield = 48\nat = 2\ntag = "92"\n[response_codes]\ncvv2_wrong = "N7"\n'


async def ordered(dev: Dev) -> str:
    """Order a card, and have it activated; tell its id."""
    headers = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    async with httpx.AsyncClient(base_url=dev.url, headers=headers, trust_env=False) as issuer:
        (account,) = (await issuer.get("/v1/accounts")).json()["data"]
        relationships = {"account": {"data": {"type": "account", "id": account["id"]}}}
        attributes = {"currency": "USD", "type": "physical"}
        data = {"type": "card", "attributes": attributes, "relationships": relationships}
        made = await issuer.post("/v1/cards", json={"data": data})
    card_id: str = made.raise_for_status().json()["data"]["id"]
    return card_id


async def test_the_code_in_the_bureaus_file_is_right_at_the_host(home: Home) -> None:
    (home.folder / "own.toml").write_text(OWN)
    dev = await home.dev("--network-profile", "own.toml")
    card_id = await ordered(dev)
    to = ("--recipient", RECIPIENT.key, "--out", "cards.age")
    exported = await home.bayon("cards", "export", "--issuer", "Demo Issuer", *to)
    assert exported.code == 0, exported
    await query(
        dev.ready["database_url"],
        "UPDATE cards.card SET status = 'active' WHERE id = $1 RETURNING id",
        card_id,
    )
    (card,) = read_by_bureau((home.folder / "cards.age").read_bytes())["cards"]
    never_say("a card number", card["pan"])

    async def verified(code: str) -> str:
        words = ("--json", "--profile", "own.toml", "--ready-file", home.ready_file, "--cvv2")
        done = await home.bayon(
            *("acquirer", "verify", *words), ACQUIRER_PAN=card["pan"], ACQUIRER_CVV2=code
        )
        told = json.loads(done.out)
        assert told["sent"]["fields"]["48"] == "(not shown)"
        assert done.code == (0 if told["approved"] else 1)
        answer: str = told["response_code"]
        return answer

    wrong = f"{(int(card['cvv2']) + 1) % 1_000:03}"
    assert [await verified(code) for code in (card["cvv2"], wrong)] == ["85", "N7"]
    assert [await verified(code) for code in (*[wrong] * 4, card["cvv2"])] == ["N7"] * 5
