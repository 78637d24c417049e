"""PyPI's `jsonapi-client` and `jsonapi-requests`, unmodified: an issuer's work by their idioms.

Both want to be told that collections are called by the plural, and what a PATCH is sent to; both
take attributes called `type` as they are.
"""

import asyncio
import json
import sys
import time
from typing import Any, Final

import httpx
import pytest

from journeys.running import Dev, Home

PATIENCE_S: Final = 20.0

CLIENT: Final = """
import json, sys, warnings
warnings.simplefilter("error")
from jsonapi_client import Filter, Inclusion, Modifier, ResourceTuple, Session

url, token, holder_id, number = sys.argv[1:]
SCHEMA = {
    "cardholder": {"properties": {"name": {}, "status": {}, "metadata": {}}},
    "account": {"properties": {
        "number": {}, "currency": {}, "metadata": {},
        "cardholder": {"relation": "to-one", "resource": ["cardholder"]},
    }},
    "card": {"properties": {
        "type": {}, "status": {}, "account": {"relation": "to-one", "resource": ["account"]},
    }},
}

def session():
    headers = {"Authorization": f"Bearer {token}"}
    return Session(f"{url}/v1", schema=SCHEMA, request_kwargs={"headers": headers, "timeout": 20})

def send(resource, path):
    return resource.commit(custom_url=f"{url}/v1/{path}")

s = session()
holder = ResourceTuple(holder_id, "cardholder")
accounts = []
for n in range(3):
    account = s.create("account", fields={
        "number": str(int(number) + n), "currency": "USD", "metadata": {"foo": "bar"},
        "cardholder": holder,
    })
    send(account, "accounts")
    accounts.append(account)
account = accounts[0]
owner = ResourceTuple(account.id, "account")
card = s.create("card", fields={"type": "physical", "account": owner})
send(card, "cards")
account["metadata"] = {"buzz": "foobar"}
send(account, f"accounts/{account.id}")
card["status"] = "canceled"
send(card, f"cards/{card.id}")

fresh = session()
read = fresh.get("cards", Filter(cardholder=holder_id) + Inclusion("account")).resources[0]
two_of_holder = Filter(cardholder=holder_id) + Modifier("page[size]=2")
pages = list(fresh.iterate("accounts", two_of_holder))
print(json.dumps({
    "metadata": account["metadata"],
    "card": [read.id == card.id, read.type, read["type"], read["status"], len(read["last_four"])],
    "included": read.account["number"],
    "all": [a["number"] for a in pages],
    "first_page": [a["number"] for a in fresh.get("accounts", two_of_holder).resources],
    "one": fresh.get(f"accounts/{account.id}").resource["number"],
}))
"""

REQUESTS: Final = """
import json, sys, warnings
warnings.simplefilter("error")
from urllib.parse import parse_qsl, urlsplit
import requests
from jsonapi_requests import orm

url, token, holder_id, number = sys.argv[1:]

class Bearer(requests.auth.AuthBase):
    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {token}"
        return request

api = orm.OrmApi.config(API_ROOT=f"{url}/v1", AUTH=Bearer(), TIMEOUT=20, RETRIES=1)

class Cardholder(orm.ApiModel):
    class Meta:
        type, path, api = "cardholder", "cardholders", api
    name = orm.AttributeField("name")

class Account(orm.ApiModel):
    class Meta:
        type, path, api = "account", "accounts", api
    number = orm.AttributeField("number")
    currency = orm.AttributeField("currency")
    metadata = orm.AttributeField("metadata")
    cardholder = orm.RelationField("cardholder")

class Card(orm.ApiModel):
    class Meta:
        type, path, api = "card", "cards", api
    kind = orm.AttributeField("type")
    status = orm.AttributeField("status")
    last_four = orm.AttributeField("last_four")
    account = orm.RelationField("account")

def pages(**query):
    while True:
        content = api.endpoint(Account.endpoint_path()).get(params=query).content
        yield [account.number for account in Account.from_response_content(content)]
        if not (link := content.links.get("next")):
            return
        query = dict(parse_qsl(urlsplit(link).query))

holder = Cardholder.from_id(holder_id)
accounts = []
for n in range(3):
    account = Account()
    account.number, account.currency = str(int(number) + n), "USD"
    account.metadata, account.cardholder = {"foo": "bar"}, holder
    account.save()
    accounts.append(account)
account = accounts[0]
card = Card()
card.kind, card.account = "physical", account
card.save()
account.metadata = {"buzz": "foobar"}
account.save()
card.status = "canceled"
card.save()
read = Card.from_id(card.id)
mine = {"filter[cardholder]": holder_id}
shown = list(pages(**mine, **{"page[size]": 2}))
print(json.dumps({
    "metadata": account.metadata,
    "card": [read.id == card.id, read.type, read.kind, read.status, len(read.last_four)],
    "included": Card.get_list(params={**mine, "include": "account"})[0].account.number,
    "all": [n for page in shown for n in page],
    "first_page": shown[0],
    "one": Account.from_id(account.id).number,
    "none": Account.exists("23cf351b-cb6c-461b-9e3b-1aee4343efb1"),
}))
"""

KYC: Final = {
    "date_of_birth": "20161220",
    "address": "#87, Street 63 (Trasak Paem), Phnom Penh, Cambodia",
    "remote_photo_url": "https://via.placeholder.com/150.png",
    "remote_identity_document_url": "https://via.placeholder.com/600.png",
    "identity_document_number": "123456789",
    "identity_document_type": "id_card",
}
CREATE: Final = """
import json, sys, warnings
warnings.simplefilter("error")
url, token, kyc = sys.argv[1:]
profile = {
    "name": "Tang Dara", "phone_number": "071 520 0960", "type": "individual",
    "individual": json.loads(kyc), "metadata": {"foo": "bar"},
}
"""
CREATE_BY_CLIENT: Final = f"""{CREATE}
from jsonapi_client import Session
schema = {{"cardholder": {{"properties": dict.fromkeys(profile, {{}})}}}}
headers = {{"Authorization": f"Bearer {{token}}"}}
s = Session(f"{{url}}/v1", schema=schema, request_kwargs={{"headers": headers, "timeout": 20}})
made = s.create("cardholder", fields=profile).commit(custom_url=f"{{url}}/v1/cardholders")
print(json.dumps([made.id, made.type, made["type"], made["status"], made["phone_number"]]))
"""
CREATE_BY_REQUESTS: Final = f"""{CREATE}
import requests
from jsonapi_requests import Api, JsonApiObject

class Bearer(requests.auth.AuthBase):
    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {{token}}"
        return request

api = Api.config({{"API_ROOT": f"{{url}}/v1", "AUTH": Bearer(), "TIMEOUT": 20, "RETRIES": 1}})
new = JsonApiObject(type="cardholder", attributes=profile)
answer = api.endpoint("cardholders").post(object=new)
made = answer.data
assert answer.status_code == 202
said = [made.attributes[name] for name in ("type", "status", "phone_number")]
print(json.dumps([made.id, made.type, *said]))
"""
SCRIPTS: Final = [
    pytest.param(CREATE_BY_CLIENT, CLIENT, "810001", id="jsonapi-client"),
    pytest.param(CREATE_BY_REQUESTS, REQUESTS, "820001", id="jsonapi-requests"),
]


@pytest.mark.parametrize(("create", "work", "number"), SCRIPTS)
async def test_a_client_creates_reads_pages_and_updates(
    home: Home, dev: Dev, create: str, work: str, number: str
) -> None:
    holder_id, *said = await _run(home, dev, create, json.dumps(KYC))
    assert said == ["cardholder", "individual", "processing_profile", "855715200960"]
    await _until_active(dev, holder_id)
    told = await _run(home, dev, work, holder_id, number)
    numbers = [str(int(number) + n) for n in (2, 1, 0)]
    assert told["metadata"] == {"foo": "bar", "buzz": "foobar"}
    assert told["card"] == [True, "card", "physical", "canceled", 4]
    assert told["included"] == told["one"] == number
    assert told["all"] == numbers
    assert told["first_page"] == numbers[:2]
    assert told.get("none", False) is False


async def _run(home: Home, dev: Dev, script: str, *words: str) -> Any:  # noqa: ANN401 - any JSON
    command = (sys.executable, "-c", script, dev.url, dev.ready["cms_token"], *words)
    done = await home.run(*command)
    assert done.code == 0, done.err
    return json.loads(done.out)


async def _until_active(dev: Dev, holder_id: str) -> None:
    headers = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    ends_at = time.monotonic() + PATIENCE_S
    async with httpx.AsyncClient(base_url=dev.url, headers=headers, trust_env=False) as issuer:
        while time.monotonic() < ends_at:
            found = (await issuer.get(f"/v1/cardholders/{holder_id}")).json()
            if found["data"]["attributes"]["status"] == "active":
                return
            await asyncio.sleep(0.1)
    pytest.fail("the profile was not reviewed")
