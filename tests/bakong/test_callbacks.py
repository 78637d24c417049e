"""The integrator's callback, over HTTP, with a real receiver: what it is told, of what, and when.

Each test is an integrator of its own; what has happened is checked after each.
"""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import jwt
import pytest

from bayon import bakong, cards, ledger, payments
from bayon.db import Tx, read_clock
from bayon.payments.callbacks import owner_id_of
from events.receivers import Got, Receiver, bearer, receiving, saying, standard, until
from factories import make_qr
from said import never_say
from sandboxes import FOUR, PAYER, RECEIVER, Sandbox, envelope

CALLBACK: Final = "/integrator/v1/callback"
NOT_FOUND: Final = "Transaction could not be found. Please check and try again."

_numbers: Final = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """An integrator, and where it receives."""

    town: Sandbox
    receiver: Receiver
    token: str
    owner_id: UUID

    async def do(self, method: str, body: object = None, **headers: str) -> httpx.Response:
        """Do something with the callback."""
        given = {"Authorization": f"Bearer {self.token}", **headers}
        return await self.town.http.request(method, CALLBACK, json=body, headers=given)

    async def put(self, path: str = "/told") -> str:
        """Set the callback; returns its secret."""
        answer = envelope(await self.do("PUT", {"url": self.receiver.url + path}))
        assert answer["responseMessage"] == "Callback is set"
        assert answer["data"].keys() == {"url", "signingSecret"}
        secret: str = answer["data"]["signingSecret"]
        never_say("a signing secret", secret)
        return secret

    async def check(self, md5: str) -> httpx.Response:
        """Ask for a status."""
        return await self.ask("check_transaction_by_md5", {"md5": md5})

    async def ask(self, what: str, body: object) -> httpx.Response:
        """Ask the Open API."""
        return await self.town.ask(f"/v1/{what}", body, token=self.token)

    async def events(self) -> list[str]:
        """List the types of what it has been told or will be, in order."""
        rows = await self.town.db.read(
            lambda tx: tx.rows(
                "SELECT type FROM events.event WHERE owner_id = $1 ORDER BY seq", self.owner_id
            )
        )
        return [row["type"] for row in rows]

    async def got(self, count: int) -> list[Got]:
        """Wait until so much has come."""
        await until(lambda: len(self.receiver.got) >= count, timeout_s=60)
        assert len(self.receiver.got) == count == len(await self.events())
        return self.receiver.got


async def make_shop(town: Sandbox, receiver: Receiver) -> Shop:
    """Register an integrator with a token."""

    async def work(tx: Tx) -> tuple[str, str]:
        now = (await read_clock(tx)).now()
        email = f"shop{next(_numbers)}@callbacks.test"
        integrator_id = await payments.register_verified(
            tx, email=email, organization="Shop", project="Till", now=now
        )
        token = await bakong.issue_token(
            tx,
            town.jwt_key,
            integrator_id=integrator_id,
            label="test",
            now=now,
            ttl=timedelta(days=1),
        )
        return integrator_id, token

    integrator_id, token = await town.db.transaction(work)
    never_say("a token", token)
    owner_id = owner_id_of(integrator_id)
    return Shop(town=town, receiver=receiver, token=token, owner_id=owner_id)


@pytest.fixture
async def shop(town: Sandbox) -> AsyncGenerator[Shop]:
    """Make an integrator; when its test is over, the invariants must hold."""
    async with receiving() as receiver:
        yield await make_shop(town, receiver)
    for check in (ledger.check, payments.check, cards.check):
        assert await town.db.transaction(check, isolation="repeatable_read") == []


def a_qr(*, static: bool = False) -> tuple[str, str]:
    """Make a QR; returns it with its MD5."""
    qr = make_qr(to=RECEIVER, amount_minor=None if static else 100)
    return qr, hashlib.md5(qr.encode(), usedforsecurity=False).hexdigest()


async def simulate(shop: Shop, qr: str, **more: object) -> dict[str, Any]:
    """Pay at the sandbox door."""
    body = {"fromAccountId": PAYER, "qr": qr, **more}
    paid: dict[str, Any] = (await shop.town.simulate("payments", body)).json()
    return paid


def verify(got: Got, secret: str) -> None:
    """Verify both signatures, as a receiver would."""
    claims = jwt.decode(bearer(got), secret, algorithms=["HS256"], issuer="Bongloy")
    assert claims["sub"] == got.headers["webhook-id"]
    assert claims["body_sha256"] == hashlib.sha256(got.body).hexdigest()
    assert standard(secret, got, got.body) in got.headers["webhook-signature"].split(" ")


def with_md5(answer: httpx.Response, md5: str) -> bytes:
    """Write what is told: the answer, and behind its members the MD5."""
    return answer.content.removesuffix(b"}") + f',"md5":"{md5}"}}'.encode()


async def test_who_asked_is_told_what_the_check_then_answers_byte_for_byte(shop: Shop) -> None:
    secret = await shop.put()
    qr, md5 = a_qr()
    assert envelope(await shop.check(md5))["responseMessage"] == NOT_FOUND
    paid = await shop.town.pay(qr)
    (got,) = await shop.got(1)
    answer = await shop.check(md5)
    assert envelope(answer)["data"]["hash"] == paid["hash"]
    assert got.path == "/told"
    assert got.body == with_md5(answer, md5)
    assert got.headers["Content-Type"] == "application/json"
    verify(got, secret)
    assert await shop.events() == ["payment.succeeded"]
    with pytest.raises(jwt.InvalidTokenError):
        verify(got, "x" * 32)


async def test_whoever_asks_again_and_otherwise_is_told_once(shop: Shop) -> None:
    await shop.put()
    qr, md5 = a_qr()
    other_qr, other_md5 = a_qr()
    waiting = asyncio.create_task(
        shop.ask("check_transaction_by_md5?wait_s=30", {"md5": md5.upper()})
    )
    for _ in range(3):
        await shop.check(md5)
        await shop.ask("check_transaction_by_md5_list", [other_md5, md5, "x", md5.upper()])
    await shop.town.pay(qr)
    assert envelope(await asyncio.wait_for(waiting, 30))["responseCode"] == 0
    await shop.check(md5)
    await shop.town.pay(other_qr)
    told = {got.body for got in await shop.got(2)}
    assert told == {with_md5(await shop.check(each), each) for each in (md5, other_md5)}


async def test_a_failed_payment_is_told_and_the_next_of_its_qr_too_in_order(shop: Shop) -> None:
    await shop.put()
    qr, md5 = a_qr()
    await shop.check(md5)
    await simulate(shop, qr, outcome="failed")
    failed = await shop.check(md5)
    assert envelope(failed)["errorCode"] == 3
    await simulate(shop, qr, amount=2)  # declined: the answer stays
    await shop.town.pay(qr)
    paid = await shop.check(md5)
    bodies = [got.body for got in await shop.got(2)]
    assert bodies == [with_md5(failed, md5), with_md5(paid, md5)]
    assert await shop.events() == ["payment.failed", "payment.succeeded"]


async def test_a_pending_payment_is_told_when_the_worker_completes_it(shop: Shop) -> None:
    await shop.put()
    qr, md5 = a_qr()
    await shop.check(md5)
    pending = await simulate(shop, qr, delay_s=1)
    assert pending["state"] == "pending"
    assert envelope(await shop.check(md5))["errorCode"] == 1
    (got,) = await shop.got(1)
    answer = await shop.check(md5)
    assert envelope(answer)["responseCode"] == 0
    assert got.body == with_md5(answer, md5)


async def test_a_refund_changes_the_answer_and_is_told_once(shop: Shop) -> None:
    await shop.put()
    qr, md5 = a_qr()
    await shop.check(md5)
    paid = await shop.town.pay(qr)
    before = await shop.check(md5)
    for _ in range(2):
        assert envelope(await shop.town.bank("refunds", {"hash": paid["hash"]}))["data"]
    after = await shop.check(md5)
    assert envelope(after)["data"]["trackingStatus"] == "REFUNDED_BY_RECEIVER"
    bodies = [got.body for got in await shop.got(2)]
    assert bodies == [with_md5(before, md5), with_md5(after, md5)]
    assert await shop.events() == ["payment.succeeded", "payment.refunded"]


async def test_a_static_qr_is_told_once_that_it_has_no_status(shop: Shop) -> None:
    await shop.put()
    qr, md5 = a_qr(static=True)
    await shop.check(md5)
    first, second = [await shop.town.pay(qr, amount=1) for _ in range(2)]
    answer = await shop.check(md5)
    assert envelope(answer)["errorCode"] == 2
    for paid in (first, second):
        assert envelope(await shop.town.bank("refunds", {"hash": paid["hash"]}))["data"]
    await shop.town.pay(qr, amount=1)
    (got,) = await shop.got(1)
    assert got.body == with_md5(answer, md5)


async def test_who_makes_a_deeplink_and_says_who_it_is_is_told(shop: Shop) -> None:
    await shop.put()
    qrs = [a_qr() for _ in range(4)]
    tokens = [shop.token, None, shop.token[:-3] + "xyz", shop.town.bank_token]
    for (qr, _), token in zip(qrs, tokens, strict=True):
        made = await shop.town.ask("/v1/generate_deeplink_by_qr", {"qr": qr}, token=token)
        assert envelope(made)["data"]["shortLink"]
        await shop.town.pay(qr)
    (got,) = await shop.got(1)
    assert got.body == with_md5(await shop.check(qrs[0][1]), qrs[0][1])


async def test_two_integrators_are_told_each_by_its_own_secret(shop: Shop) -> None:
    qr, md5 = a_qr()
    async with receiving() as elsewhere:
        other = await make_shop(shop.town, elsewhere)
        silent = await make_shop(shop.town, elsewhere)
        secrets = [await shop.put(), await other.put()]
        for each in (shop, other, silent):
            await each.check(md5)
        await shop.town.pay(qr)
        (mine,), (theirs,) = await shop.got(1), await other.got(1)
        assert await silent.events() == []
    assert mine.body == theirs.body
    assert mine.event_id != theirs.event_id
    for got, secret in zip((mine, theirs), secrets, strict=True):
        verify(got, secret)
    with pytest.raises(jwt.InvalidTokenError):
        verify(mine, secrets[1])


async def listeners(shop: Shop, *md5s: str) -> int:
    """Count who listens for these."""
    count: int = await shop.town.value(
        "SELECT count(*) FROM payments.listener WHERE md5 = ANY($1::bytea[])",
        [bytes.fromhex(md5) for md5 in md5s],
    )
    return count


async def test_what_is_asked_without_a_callback_or_when_it_is_final_writes_nothing(
    shop: Shop,
) -> None:
    (qr, md5), (paid_qr, paid_md5), (failed_qr, failed_md5) = a_qr(), a_qr(), a_qr()
    await shop.check(md5)
    await shop.ask("check_transaction_by_md5_list", [md5])
    await shop.ask("generate_deeplink_by_qr", {"qr": qr})
    await shop.put()
    paid = await shop.town.pay(paid_qr)
    await simulate(shop, failed_qr, outcome="failed")
    for each in (paid_md5, failed_md5):
        await shop.check(each)
        await shop.ask("check_transaction_by_md5_list", [each])
    await shop.check("no MD5")
    await shop.check(md5[:-2])
    assert await listeners(shop, md5, paid_md5, failed_md5) == 0
    await shop.town.pay(qr)
    await shop.town.bank("refunds", {"hash": paid["hash"]})
    assert await shop.events() == []


async def test_a_deleted_callback_is_told_nothing_and_the_next_goes_on(shop: Shop) -> None:
    await shop.put()
    (qr, md5), (late_qr, late_md5) = a_qr(), a_qr()
    await shop.check(md5)
    await shop.check(late_md5)
    deleted = envelope(await shop.do("DELETE"))
    assert deleted["responseMessage"] == "Callback has been deleted"
    assert envelope(await shop.do("GET"))["errorCode"] == 1
    await shop.town.pay(qr)
    assert await shop.events() == []
    await shop.check(md5[::-1])
    assert await listeners(shop, md5, late_md5, md5[::-1]) == 2
    secret = await shop.put("/anew")
    await shop.town.pay(late_qr)
    (got,) = await shop.got(1)
    assert (got.path, got.body) == ("/anew", with_md5(await shop.check(late_md5), late_md5))
    verify(got, secret)


async def test_set_again_it_has_a_new_secret_and_the_one_before_counts_too(shop: Shop) -> None:
    before, after = await shop.put("/before"), await shop.put("/after")
    assert before != after
    qr, md5 = a_qr()
    await shop.check(md5)
    await shop.town.pay(qr)
    (got,) = await shop.got(1)
    assert got.path == "/after"
    verify(got, after)
    assert standard(before, got, got.body) in got.headers["webhook-signature"].split(" ")
    with pytest.raises(jwt.InvalidTokenError):
        verify(got, before)


async def disabled(shop: Shop) -> dict[str, Any]:
    """Wait until the callback is disabled; returns what is shown of it."""
    for _ in range(1_000):
        shown: dict[str, Any] = envelope(await shop.do("GET"))["data"]
        if not shown["enabled"]:
            return shown
        await asyncio.sleep(0.05)
    raise TimeoutError


async def test_a_callback_that_is_gone_is_shown_as_such_and_set_again_works(shop: Shop) -> None:
    await shop.put()
    shop.receiver.answer = saying(410)
    qr, md5 = a_qr()
    await shop.check(md5)
    await shop.town.pay(qr)
    shown = await disabled(shop)
    assert shown.keys() == {*("url", "enabled", "disabledReason", "createdDateMs", "updatedDateMs")}
    assert (shown["url"], shown["disabledReason"]) == (f"{shop.receiver.url}/told", "gone")
    assert isinstance(shown["createdDateMs"], int)
    shop.receiver.answer = None
    await shop.put()
    shown = envelope(await shop.do("GET"))["data"]
    assert (shown["enabled"], shown["disabledReason"]) == (True, None)
    next_qr, next_md5 = a_qr()
    await shop.check(next_md5)
    await shop.town.pay(next_qr)
    await until(lambda: len(shop.receiver.got) == 2, timeout_s=60)
    assert shop.receiver.got[-1].body == with_md5(await shop.check(next_md5), next_md5)


async def test_where_none_is_set_get_and_delete_are_not_found(shop: Shop) -> None:
    for method in ("GET", "DELETE", "GET"):
        answer = await shop.do(method)
        assert answer.status_code == 200
        assert envelope(answer) == {
            "data": None,
            "errorCode": 1,
            "responseCode": 1,
            "responseMessage": "No callback is set.",
        }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Missing required fields."),
        ({"url": None}, "Missing required fields."),
        ({"url": 1}, "url must be a string."),
        ({"url": ""}, "url must have at least 1 characters."),
        ({"url": "https://a.test/" + "x" * 2_048}, "url must have at most 2048 characters."),
        *(
            ({"url": url}, "url must be https, to a public address.")
            for url in (
                "x",
                "ftp://a.test/",
                "http://a.test/",
                "https://10.0.0.1/",
                "https://u@a.b/",
            )
        ),
    ],
)
async def test_a_url_that_is_none_of_ours_is_5_with_a_text(
    shop: Shop, body: object, says: str
) -> None:
    answer = await shop.do("PUT", body)
    assert answer.status_code == 200
    assert envelope(answer) == {
        "data": None,
        "errorCode": 5,
        "responseCode": 1,
        "responseMessage": says,
    }
    assert envelope(await shop.do("GET"))["errorCode"] == 1


async def test_only_an_integrators_token_comes_in(shop: Shop) -> None:
    for method in ("PUT", "GET", "DELETE"):
        for token in (None, "x", shop.town.bank_token, shop.town.cms_token):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await shop.town.http.request(
                method, CALLBACK, json={"url": "https://a.test/"}, headers=headers
            )
            assert (answer.status_code, envelope(answer)["errorCode"]) == (401, 6)
    answer = await shop.town.ask(CALLBACK, {}, token=shop.token)
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")
    assert answer.json().keys() == FOUR


async def test_the_same_key_shows_the_same_secret_and_sets_it_once(shop: Shop) -> None:
    body = {"url": shop.receiver.url}
    first, again = [await shop.do("PUT", body, **{"Idempotency-Key": "one"}) for _ in range(2)]
    assert first.content == again.content
    never_say("a signing secret", first.json()["data"]["signingSecret"])
    other = await shop.do("PUT", {"url": "https://a.test/"}, **{"Idempotency-Key": "one"})
    assert envelope(other)["errorCode"] == 5
    assert envelope(await shop.do("GET"))["data"]["url"] == shop.receiver.url


async def test_many_at_once_set_one_callback(shop: Shop) -> None:
    answers = await asyncio.gather(*(shop.put(f"/{n}") for n in range(4)))
    assert len(set(answers)) == 4
    endpoints: int = await shop.town.value(
        "SELECT count(*) FROM events.endpoint WHERE owner_id = $1", shop.owner_id
    )
    assert endpoints == 1
