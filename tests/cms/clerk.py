"""Clerks: who asks card management for an issuer. Every document that comes back is remembered."""

import itertools
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from bayon import cards
from bayon.db import Tx, read_clock
from bayon.web import keep_token, new_token
from jsonapi import schema_failures
from sandboxes import Sandbox

MEDIA_TYPE: Final = "application/vnd.api+json"
SAID: Final = frozenset({"status", "code", "title", "detail"})
NOBODY: Final = "23cf351b-cb6c-461b-9e3b-1aee4343efb1"
"""An id nobody has."""

KYC: Final[Mapping[str, object]] = {
    "date_of_birth": "20161220",
    "address": "#87, Street 63 (Trasak Paem), Phnom Penh, Cambodia",
    "remote_photo_url": "https://via.placeholder.com/150.png",
    "remote_identity_document_url": "https://via.placeholder.com/600.png",
    "identity_document_number": "123456789",
    "identity_document_type": "id_card",
}
PROFILE: Final[Mapping[str, object]] = {
    "name": "Tang Dara",
    "phone_number": "855715200960",
    "type": "individual",
    "individual": KYC,
}

Resource = dict[str, Any]
SEEN: Final[dict[str, tuple[str, object]]] = {}
"""Every document, by its text: what it answered, and itself."""

_numbers: Final = itertools.count(500_000)


@dataclass(frozen=True, kw_only=True)
class Clerk:
    """Who asks for an issuer, with a token of it."""

    sandbox: Sandbox
    issuer_id: str
    token: str

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send what is given and no more, but for the token; the answer must be a sound one."""
        given = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        url = httpx.URL(f"http://bayon.test{path}")
        answer = await self.sandbox.http.request(method, url, content=content, headers=given)
        return sound(answer)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """GET, as a client of JSON:API does."""
        return await self.send("GET", path, headers={"Accept": MEDIA_TYPE, **headers})

    async def post(
        self, path: str, document: object, *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        """POST a document, as a client of JSON:API does."""
        keyed = {} if key is None else {"Idempotency-Key": key}
        given = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE, **keyed, **headers}
        return await self.send("POST", path, content=_bytes(document), headers=given)

    async def patch(self, path: str, document: object, **headers: str) -> httpx.Response:
        """PATCH with a document, as a client of JSON:API does."""
        given = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE, **headers}
        return await self.send("PATCH", path, content=_bytes(document), headers=given)

    async def simulate(self, path: str, body: object) -> dict[str, Any]:
        """Do something at the sandbox's door."""
        answer = await self.sandbox.ask(f"/sandbox/v1/{path}", body, token=self.token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def cardholder(self, **attributes: object) -> Resource:
        """Create a cardholder who is active."""
        body = {"data": {"type": "cardholder", "attributes": {**PROFILE, **attributes}}}
        made = data_of(await self.post("/v1/cardholders", body), 202)
        await self.simulate(f"cardholders/{made['id']}/review", {"decision": "approve"})
        return data_of(await self.get(f"/v1/cardholders/{made['id']}"))

    async def account(self, cardholder_id: str, **attributes: object) -> Resource:
        """Open an account."""
        body = account_document(cardholder_id, **attributes)
        return data_of(await self.post("/v1/accounts", body), 201)

    async def card(self, account_id: str, *, last_four: str = "2345", **more: object) -> Resource:
        """Take over a card, active, whose number ends so."""
        body = {"account_id": account_id, "pan": pan_ending(last_four), "pin": "5279"}
        made = await self.simulate("cards", {**body, "exp_month": 4, "exp_year": 2033, **more})
        return data_of(await self.get(f"/v1/cards/{made['card_id']}"))

    async def top_up(self, account_id: str, amount: int, **attributes: object) -> Resource:
        """Put money onto an account."""
        given = {"amount": amount, "funding_source": "Agent Network", **attributes}
        body = {"data": {"type": "topup", "attributes": given}}
        return data_of(await self.post(f"/v1/accounts/{account_id}/topups", body), 201)

    async def authorize(self, card_id: str, amount: int, **more: object) -> str:
        """Use a card; returns the transaction's id, declined or not."""
        body = {"card_id": card_id, "amount": amount, **more}
        return (await self.simulate("authorizations", body))["transaction_id"]

    async def clear(self, transaction_id: str, **more: object) -> str:
        """Clear a pending transaction; returns the id of the one that is settled."""
        answer = await self.simulate(f"transactions/{transaction_id}/clear", more)
        return answer["transaction_id"]


async def hire(sandbox: Sandbox) -> Clerk:
    """Add an issuer and a token of it."""
    token = new_token()

    async def work(tx: Tx) -> str:
        now = (await read_clock(tx)).now()
        issuer = await cards.add_issuer(tx, name=f"Issuer {secrets.token_hex(6)}", now=now)
        owner = str(issuer.id)
        await keep_token(tx, kind="issuer", owner=owner, token=token, label="test", now=now)
        return owner

    return Clerk(sandbox=sandbox, issuer_id=await sandbox.db.transaction(work), token=token)


def account_document(cardholder_id: str, **attributes: object) -> dict[str, Any]:
    """Make the document that opens an account."""
    whose = {"cardholder": {"data": {"type": "cardholder", "id": cardholder_id}}}
    given = {"number": next_number(), "currency": "USD", **attributes}
    return {"data": {"type": "account", "attributes": given, "relationships": whose}}


def card_document(account_id: str, **attributes: object) -> dict[str, Any]:
    """Make the document that makes a card."""
    whose = {"account": {"data": {"type": "account", "id": account_id}}}
    given = {"type": "physical", **attributes}
    return {"data": {"type": "card", "attributes": given, "relationships": whose}}


def resource_document(kind: str, resource_id: str, **attributes: object) -> dict[str, Any]:
    """Make the document that changes a resource."""
    return {"data": {"type": kind, "id": resource_id, "attributes": attributes}}


def next_number() -> str:
    """Make an account number nobody has had."""
    return str(next(_numbers))


def pan_ending(last_four: str) -> str:
    """Make a card number that ends so, check digit included, and that no other test makes."""
    pans = (f"91160000{secrets.randbelow(10**7):07}{last_four}" for _ in itertools.count())
    return next(pan for pan in pans if _luhn(pan))


def sound(answer: httpx.Response) -> httpx.Response:
    """Judge what must hold of every answer of this door, and remember its document."""
    if answer.request.method == "HEAD" or answer.status_code in {204, 304}:
        assert answer.content == b""
        return answer
    assert answer.headers.get_list("content-type") == [MEDIA_TYPE], answer.text
    document: dict[str, Any] = answer.json()
    assert document.keys() <= {"data", "included", "links"} or len(document) == 1, answer.text
    assert ("errors" in document) == (answer.status_code >= 400), answer.text
    for error in document.get("errors", []):
        assert error.keys() - {"source"} == SAID, error
        assert error["status"] == str(answer.status_code)
        assert all(isinstance(error[name], str) and error[name] for name in SAID), error
    assert "Traceback" not in answer.text
    assert answer.status_code < 500, answer.text
    said = f"{answer.status_code} {answer.request.method} {answer.request.url.path}"
    SEEN.setdefault(answer.text, (said, document))
    return answer


async def assert_seen_is_json_api() -> None:
    """Show JSON:API's schema every document seen so far."""
    assert SEEN, "run the whole file: this judges what its tests have seen"
    assert await schema_failures(list(SEEN.values())) == []


def data_of(answer: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401 - one, or many
    """Take the data of an answer that went well."""
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def errors_of(answer: httpx.Response, status: int) -> list[dict[str, Any]]:
    """Take the errors of an answer that did not."""
    assert answer.status_code == status, answer.text
    return answer.json()["errors"]


def pointed(answer: httpx.Response, status: int = 422) -> dict[str, str]:
    """Take the titles of the errors, by what they point at, each thing once."""
    errors = errors_of(answer, status)
    found = {next(iter(error["source"].values())): error["title"] for error in errors}
    assert len(found) == len(errors), errors
    return found


def numbers_of(resources: Sequence[Resource]) -> list[str]:
    """Take the numbers of accounts."""
    return [resource["attributes"]["number"] for resource in resources]


def _bytes(document: object) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def _luhn(pan: str) -> bool:
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(pan))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0
