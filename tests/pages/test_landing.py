"""The landing of a deeplink: what it shows, to whom, and what it never lets through."""

import html
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from bayon import payments
from bayon.db import Tx
from bayon.money import Currency
from links import PHONE, browser, fresh_qr, link_to
from sandboxes import OpenSandbox, Sandbox

KHMER: dict[str, Any] = {
    "language": "km",
    "merchant_name_alternate": "កាហ្វេ ក្លាំង",
    "merchant_city_alternate": "ភ្នំពេញ",
}


async def test_a_link_shows_who_asks_for_how_much_and_the_qr(town: Sandbox) -> None:
    path = await link_to(town, fresh_qr(bill_number="INV-42"))
    async with browser(town) as person:
        page = await person.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for shown in ("Klaing Shop", "Coffee Klaing", "bridge_account@devb", "INV-42", "Phnom Penh"):
        assert shown in page.text
    assert "USD 1.00" in page.text
    assert "<svg" in page.text
    assert "Time left" in page.text
    icon = re.search(r'<img src="https://shop.example/icon.png"[^>]*>', page.text)
    assert icon
    assert 'referrerpolicy="no-referrer"' in icon[0]


@pytest.mark.parametrize(
    ("currency", "amount_minor", "written"),
    [
        (Currency.USD, 123_456_50, "USD 123,456.50"),
        (Currency.KHR, 5_000_00, "KHR 5,000"),
        (Currency.KHR, 1_00, "KHR 1"),
    ],
)
async def test_amounts_are_written_as_their_currency_wants(
    town: Sandbox, currency: Currency, amount_minor: int, written: str
) -> None:
    path = await link_to(town, fresh_qr(currency=currency, amount_minor=amount_minor))
    page = await town.http.get(path)
    assert f">{written}<" in page.text


async def test_the_khmer_page_shows_the_payees_khmer_name(town: Sandbox) -> None:
    path = await link_to(town, fresh_qr(**KHMER))
    english, khmer = [await town.http.get(f"{path}?lang={lang}") for lang in ("en", "km")]
    assert '<html lang="km">' in khmer.text
    assert khmer.headers["content-language"] == "km"
    assert "កាហ្វេ ក្លាំង" in khmer.text
    assert "ភ្នំពេញ" in khmer.text
    assert "Coffee Klaing" not in khmer.text
    assert "USD 1.00" in khmer.text
    assert '<html lang="en">' in english.text
    assert "Coffee Klaing" in english.text
    assert "កាហ្វេ" not in english.text


async def test_a_browser_is_answered_in_its_own_language_until_it_asks_for_another(
    town: Sandbox,
) -> None:
    path = await link_to(town, fresh_qr())
    async with browser(town, **{"Accept-Language": "km-KH,km;q=0.9,en;q=0.8"}) as person:
        assert '<html lang="km">' in (await person.get(path)).text
        assert '<html lang="en">' in (await person.get(f"{path}?lang=en")).text


async def test_a_phone_is_led_to_the_app_once(town: Sandbox) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    app = f"bakong://pay?qr={quote(qr, safe='')}"
    async with browser(town, **{"User-Agent": PHONE}) as person:
        first = html.unescape((await person.get(path)).text)
        again = html.unescape((await person.get(f"{path}?seen=1")).text)
    assert f'<meta http-equiv="refresh" content="0;url={app}">' in first
    assert f'href="{app}"' in first
    assert f'href="{path}?seen=1&lang=en"' in first
    assert f'content="0;url={app}"' not in again
    assert f'<meta http-equiv="refresh" content="4;url={path}?seen=1&lang=en">' in again
    assert f'href="{app}"' in again


async def test_a_desktop_is_led_nowhere_and_looks_again_by_itself(town: Sandbox) -> None:
    path = await link_to(town, fresh_qr())
    page = await town.http.get(path)
    assert "bakong://" not in page.text
    assert f'content="4;url={path}?seen=1&amp;lang=en"' in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize("agent", ["Mozilla/5.0 (X11; Linux x86_64)", PHONE])
async def test_an_expired_link_says_so_and_offers_nothing_to_pay(town: Sandbox, agent: str) -> None:
    path = await link_to(town, fresh_qr(expires_in_s=-1))
    async with browser(town, **{"User-Agent": agent}) as person:
        page = (await person.get(path)).text
    assert "This QR has expired" in page
    for offer in ("<form", "bakong://", 'class="picture"', "http-equiv", "Open in your"):
        assert offer not in page


async def test_a_payment_made_elsewhere_shows_with_its_short_hash_and_the_way_back(
    town: Sandbox,
) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    assert "Waiting for the payment" in (await town.http.get(path)).text
    paid = await town.pay(qr)
    async with browser(town, **{"User-Agent": PHONE}) as person:
        page = (await person.get(path)).text
    assert "Payment successful" in page
    assert paid["hash"][:8] in page
    assert paid["hash"] not in page
    assert paid["fromAccountId"] not in page
    assert "Return to Klaing Shop" in page
    back = re.search(r'<a [^>]*href="klaing://paid\?order=42"[^>]*>', page)
    assert back
    assert 'rel="noopener noreferrer"' in back[0]
    for offer in ("<form", "bakong://", "http-equiv", 'class="picture"'):
        assert offer not in page


async def test_a_paid_link_stays_paid_after_its_time(opened: OpenSandbox) -> None:
    sandbox = await opened()
    qr = fresh_qr()
    path = await link_to(sandbox, qr)
    await sandbox.pay(qr)
    await sandbox.advance(3_600)
    assert "Payment successful" in (await sandbox.http.get(path)).text


async def test_a_refunded_payment_is_told_as_such(town: Sandbox) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    paid = await town.pay(qr)
    await town.bank("refunds", {"hash": paid["hash"]})
    assert "Paid, then refunded" in (await town.http.get(path)).text


async def test_a_failed_attempt_is_told_and_the_qr_can_still_be_paid(town: Sandbox) -> None:
    qr = fresh_qr()
    path = await link_to(town, qr)
    attempt = {"fromAccountId": "dave@devb", "qr": qr, "outcome": "failed"}
    assert (await town.simulate("payments", attempt)).status_code == 200
    page = (await town.http.get(path)).text
    assert "The last attempt failed" in page
    assert "<form" in page


async def test_nothing_a_stranger_writes_becomes_markup(town: Sandbox) -> None:
    qr = fresh_qr(merchant_name='"><script>a</script>', bill_number="<img src=x>")
    path = await link_to(
        town,
        qr,
        appName="</title><script>b</script>",
        appIconUrl='https://shop.example/"onerror="c()',
        appDeepLinkCallback='klaing://x"onclick="d()',
    )
    waiting = (await town.http.get(path)).text
    await town.pay(qr)
    paid = (await town.http.get(path)).text
    for page in (waiting, paid):
        assert "<script" not in page
        assert "<img src=x" not in page
        assert '"onerror' not in page
        assert '"onclick' not in page
    assert "&lt;script&gt;b" in waiting


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://x",
        "http://shop.example/",
        "//shop.example/",
        "/elsewhere",
        "https://",
    ],
)
async def test_a_way_back_that_could_do_more_than_lead_back_is_not_shown(
    town: Sandbox, url: str
) -> None:
    qr = fresh_qr()

    async def keep(tx: Tx) -> str:
        link = await payments.make_deeplink(
            tx,
            qr=qr,
            app_name="Shop",
            app_icon_url=url,
            app_callback_url=url,
            now=datetime.now(UTC),
        )
        return link.slug

    slug = await town.db.transaction(keep)
    await town.pay(qr)
    page = (await town.http.get(f"/{slug}")).text
    assert "Payment successful" in page
    assert "Return to" not in page
    assert 'referrerpolicy="no-referrer"' not in page


async def test_a_link_without_an_app_shows_the_payment_all_the_same(town: Sandbox) -> None:
    answer = await town.ask("/v1/generate_deeplink_by_qr", {"qr": fresh_qr()})
    page = await town.http.get(answer.json()["data"]["shortLink"])
    assert page.status_code == 200
    assert "Pay Coffee Klaing" in page.text


@pytest.mark.parametrize("path", ["/aaaaaaaaaaaaaaaaa", "/short", "/aaaaaaaaaaaaaaaa-", "/a/b"])
async def test_a_link_that_leads_nowhere_is_a_page_to_people_and_an_envelope_to_programs(
    town: Sandbox, path: str
) -> None:
    async with browser(town) as person:
        page = await person.get(path)
    assert page.status_code == 404
    assert "Page not found" in page.text
    program = await town.http.get(path)
    assert program.status_code == 404
    assert program.json()["responseMessage"] == "There is nothing here."


@pytest.mark.parametrize("path", ["/v1/nothing", "/participant/v1/x", "/sandbox", "/integrator"])
async def test_the_doors_of_programs_answer_people_too_in_their_envelope(
    town: Sandbox, path: str
) -> None:
    async with browser(town) as person:
        answer = await person.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"


async def test_links_leave_the_plain_paths_alone(town: Sandbox) -> None:
    assert (await town.http.get("/healthz")).json() == {"status": "ok"}
    assert (await town.http.get("/openapi.json")).json()["openapi"] == "3.1.0"
