"""The sandbox's pay button: pays once, says why not, and only from its own page."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bayon.payments import khqr
from links import PHONE, browser, fresh_qr, link_to
from sandboxes import OpenSandbox, Sandbox


@dataclass(frozen=True)
class Form:
    """The form as a page shows it."""

    action: str
    token: str

    @property
    def fields(self) -> dict[str, str]:
        return {"form_token": self.token}


def form_of(page: httpx.Response) -> Form:
    action = re.search(r'<form method="post" action="([^"]+)"', page.text)
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert action
    assert token
    return Form(action[1].replace("&amp;", "&"), token[1])


async def paid_times(sandbox: Sandbox, qr: str) -> int:
    md5 = bytes.fromhex(khqr.md5(qr))
    times: int = await sandbox.value(
        "SELECT count(*) FROM payments.payment WHERE md5 = $1 AND state = 'succeeded'", md5
    )
    return times


async def test_the_button_pays_and_leads_to_a_page_that_can_be_loaded_again(town: Sandbox) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    async with browser(town) as person:
        form = form_of(await person.get(path))
        answer = await person.post(form.action, data=form.fields)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{path}?seen=1&lang=en"
        first, again = [await person.get(answer.headers["location"]) for _ in range(2)]
    for page in (first, again):
        assert "Payment successful" in page.text
        assert "Return to Klaing Shop" in page.text
    assert await paid_times(town, qr) == 1
    status = await town.check("md5", {"md5": khqr.md5(qr)})
    data = status.json()["data"]
    assert data["fromAccountId"] == "dave@devb"
    assert data["hash"][:8] in first.text


async def test_the_language_stays_when_the_button_is_pressed(town: Sandbox) -> None:
    path = await link_to(town, fresh_qr())
    async with browser(town) as person:
        form = form_of(await person.get(f"{path}?lang=km"))
        answer = await person.post(form.action, data=form.fields)
    assert answer.headers["location"] == f"{path}?seen=1&lang=km"


async def test_two_presses_at_once_pay_once_and_both_see_success(town: Sandbox) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    async with browser(town) as person:
        form = form_of(await person.get(path))
        presses = [person.post(form.action, data=form.fields) for _ in range(4)]
        answers = await asyncio.gather(*presses)
        for answer in answers:
            assert answer.status_code == 303
            assert "Payment successful" in (await person.get(answer.headers["location"])).text
    assert await paid_times(town, qr) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"amount_minor": 10**12}, "There is not enough money on the account."),
        ({"account_id": "dave@devb"}, "The payer and the payee are the same account."),
        ({"account_id": "nobody@amkb"}, "The payee&#39;s account does not exist here."),
        ({"account_id": "no.account!@x"}, "The payee&#39;s account does not exist here."),
    ],
)
async def test_a_declined_payment_says_why_in_plain_words_and_can_be_tried_again(
    town: Sandbox, changed: dict[str, Any], says: str
) -> None:
    path = await link_to(town, fresh_qr(**changed))
    async with browser(town) as person:
        form = form_of(await person.get(path))
        answer = await person.post(form.action, data=form.fields)
        page = await person.get(answer.headers["location"])
    assert says in page.text
    assert 'role="alert"' in page.text
    assert form_of(page)


async def test_a_qr_that_expires_before_the_press_is_not_paid(opened: OpenSandbox) -> None:
    sandbox = await opened()
    qr = fresh_qr()
    path = await link_to(sandbox, qr)
    async with browser(sandbox) as person:
        form = form_of(await person.get(path))
        await sandbox.advance(3_600)
        answer = await person.post(form.action, data=form.fields)
        page = await person.get(answer.headers["location"])
    assert "This QR has expired" in page.text
    assert await paid_times(sandbox, qr) == 0


@pytest.mark.parametrize(
    ("lang", "says"), [("en", "Payment on its way"), ("km", "ការទូទាត់កំពុងដំណើរការ")]
)
async def test_a_qr_whose_payment_is_under_way_says_so_and_offers_nothing_to_pay(
    town: Sandbox, lang: str, says: str
) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    async with browser(town, **{"User-Agent": PHONE}) as person:
        form = form_of(await person.get(path))
        slow = {"fromAccountId": "rieu_dhqj_1984@devb", "qr": qr, "delay_s": 600}
        assert (await town.simulate("payments", slow)).status_code == 200
        await person.post(form.action, data=form.fields)
        page = await person.get(f"{path}?seen=1&lang={lang}")
    assert says in page.text
    assert 'content="4;url=' in page.text
    for offer in ("<form", "bakong://", 'class="picture"'):
        assert offer not in page.text


async def test_a_payment_on_its_way_that_fails_leaves_the_qr_to_be_paid_again(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened()
    qr = fresh_qr()
    path = await link_to(sandbox, qr)
    slow = {"fromAccountId": "rieu_dhqj_1984@devb", "qr": qr, "delay_s": 0.3, "outcome": "failed"}
    await sandbox.simulate("payments", slow)
    assert "<form" not in (await sandbox.http.get(path)).text
    async with asyncio.timeout(5):
        while "<form" not in (page := await sandbox.http.get(path)).text:  # noqa: ASYNC110 - a worker writes it
            await asyncio.sleep(0.05)
    assert "The last attempt failed" in page.text


async def test_a_reason_nobody_has_is_not_told(town: Sandbox) -> None:
    path = await link_to(town, fresh_qr())
    page = await town.http.get(f"{path}?declined=your+money+is+gone")
    assert page.status_code == 200
    assert 'role="alert"' not in page.text
    assert "gone" not in page.text


@pytest.mark.parametrize(
    "what", ["nothing", "rubbish", "another page's", "no cookie", "a stranger"]
)
async def test_a_form_that_is_not_our_pages_own_pays_nothing(town: Sandbox, what: str) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    async with browser(town) as person, browser(town) as stranger:
        token = form_of(await person.get(path)).token
        other = form_of(await person.get(await link_to(town, fresh_qr()))).token
        await stranger.get(path)
        tokens = {"nothing": "", "rubbish": "rubbish", "another page's": other}
        if what == "no cookie":
            person.cookies.clear()
        sender = stranger if what == "a stranger" else person
        answer = await sender.post(path, data={"form_token": tokens.get(what, token)})
    assert answer.status_code == 403
    assert "no longer valid" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert await paid_times(town, qr) == 0


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=1&" * 20, b'{"form_token": 1}'])
async def test_a_body_that_is_no_form_is_refused(town: Sandbox, body: bytes) -> None:
    path = await link_to(town, fresh_qr())
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for headers in (form, {"Content-Type": "application/json"}, {}):
        answer = await town.http.post(path, content=body, headers=headers)
        assert answer.status_code in {400, 403}
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_form_of_any_size_is_not_read(town: Sandbox) -> None:
    path = await link_to(town, fresh_qr())
    answer = await town.http.post(path, data={"form_token": "x" * 100_000})
    assert answer.status_code == 413


async def test_the_cookie_is_for_this_page_and_no_script(town: Sandbox) -> None:
    path = await link_to(town, fresh_qr())
    page = await town.http.get(path)
    cookie = page.headers["set-cookie"].lower()
    for wanted in ("httponly", "samesite=strict", f"path={path.lower()}", "max-age=1800"):
        assert wanted in cookie
    assert "secure" not in cookie
    secure = (await town.http.get(f"https://bayon.test{path}")).headers["set-cookie"]
    assert secure.startswith("__Secure-bayon-form=")
    assert "; Secure" in secure


async def test_a_page_that_loads_again_keeps_its_cookie_so_that_older_forms_hold(
    town: Sandbox,
) -> None:
    path = await link_to(town, fresh_qr())
    async with browser(town) as person:
        form = form_of(await person.get(path))
        await person.get(f"{path}?seen=1")
        answer = await person.post(form.action, data=form.fields)
    assert answer.status_code == 303


async def test_production_has_no_button_and_takes_no_form(opened: OpenSandbox) -> None:
    sandbox = await opened(sandbox=False, public_url="https://pay.example")
    path = await link_to(sandbox, fresh_qr())
    page = await sandbox.http.get(path)
    assert page.status_code == 200
    assert "<form" not in page.text
    assert "Sandbox" not in page.text
    assert "set-cookie" not in page.headers
    answer = await sandbox.http.post(path, data={"form_token": "x"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_too_many_requests_are_told_when_to_come_back(opened: OpenSandbox) -> None:
    sandbox = await opened(rate_limit_address_per_s=1)
    path = await link_to(sandbox, fresh_qr())
    answers = [await sandbox.http.get(path) for _ in range(12)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert answers[-1].headers["content-type"] == "text/html; charset=utf-8"
    assert int(answers[-1].headers["retry-after"]) >= 1
