"""The pages for card holders: what they show, what they take, and what they never tell."""

import asyncio
import html
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import httpx
import pytest

from bayon.cards import TokenType, update_card
from bayon.cards.lifecycle import TOKEN_TTL
from bayon.db import Tx
from links import browser
from pages.holders import OLD_PIN, PIN, Held, card_now, events_of, is_pin, link, now_of
from pages.stage import DONE, TITLES, TYPES, choose, form_of, held_in, path_of, vault_of
from sandboxes import OpenSandbox, Sandbox

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
POLICY: Final = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


async def test_a_holder_activates_the_card_and_the_page_can_be_loaded_again(town: Sandbox) -> None:
    held = await held_in(town)
    async with browser(town) as person:
        form = form_of(await person.get(path_of(held)))
        answer = await person.post(form.action, data=form.filled(PIN))
        assert answer.status_code == 303
        where = answer.headers["location"]
        assert where.startswith("/card_activation/done?receipt=")
        assert held.token not in where
        pages = [await person.get(where) for _ in range(2)]
    for page in pages:
        assert page.status_code == 200
        assert "Your card is active" in page.text
        assert f"Card ending in {held.card.last_four}" in page.text
    card = await card_now(town.db, held.card)
    assert card.status == "active"
    assert is_pin(card, PIN, vault=await vault_of(town))
    assert await events_of(town.db, card) == ["card.created", "card.updated"]


async def test_a_holder_changes_the_pin(town: Sandbox) -> None:
    held = await held_in(town, "pin_reset")
    answer = await choose(town, held, "pin_reset", PIN)
    assert answer.status_code == 303
    card, vault = await card_now(town.db, held.card), await vault_of(town)
    assert is_pin(card, PIN, vault=vault)
    assert not is_pin(card, OLD_PIN, vault=vault)
    assert (await events_of(town.db, card))[2:] == ["card.updated"]


@pytest.mark.parametrize("of_type", TYPES)
async def test_the_page_shows_of_the_card_its_last_four_its_holder_and_its_issuer(
    town: Sandbox, of_type: TokenType
) -> None:
    held = await held_in(town, of_type, issuer_name=f"Mekong <Bank> {of_type}")
    page = await town.http.get(path_of(held, of_type))
    text = html.unescape(page.text)
    for shown in (TITLES[of_type], held.card.last_four, "Tang Dara", f"Mekong <Bank> {of_type}"):
        assert shown in text
    assert "<Bank>" not in page.text
    assert re.search(r"until \d\d:\d\d\.", page.text)


@pytest.mark.parametrize("of_type", TYPES)
async def test_looking_uses_nothing_up(town: Sandbox, of_type: TokenType) -> None:
    held = await held_in(town, of_type)
    before = await card_now(town.db, held.card)
    for _ in range(3):
        assert (await town.http.get(path_of(held, of_type))).status_code == 200
        seen = await town.http.head(path_of(held, of_type))
        assert (seen.status_code, seen.content) == (200, b"")
    assert await card_now(town.db, held.card) == before
    assert (await choose(town, held, of_type, PIN)).status_code == 303


Void = Callable[[Sandbox, Held, TokenType], Awaitable[Held]]


async def _unknown(_town: Sandbox, held: Held, _of_type: TokenType) -> Held:
    return replace(held, token="x" * 43)


async def _no_token(_town: Sandbox, held: Held, _of_type: TokenType) -> Held:
    return replace(held, token="")


async def _no_text(_town: Sandbox, held: Held, _of_type: TokenType) -> Held:
    return replace(held, token="\udcff<script>'" + "x" * 5_000)


async def _khmer(_town: Sandbox, held: Held, _of_type: TokenType) -> Held:
    return replace(held, token="ក" * 43)


async def _used(town: Sandbox, held: Held, of_type: TokenType) -> Held:
    assert (await choose(town, held, of_type, PIN)).status_code == 303
    return held


async def _replaced(town: Sandbox, held: Held, of_type: TokenType) -> Held:
    await link(town.db, held.card, of_type)
    return held


async def _lost(town: Sandbox, held: Held, _of_type: TokenType) -> Held:
    card = held.card

    async def work(tx: Tx) -> None:
        now = await now_of(tx)
        await update_card(tx, issuer_id=card.issuer_id, card_id=card.id, status="lost", now=now)

    await town.db.transaction(work)
    return held


async def _of_the_other_page(town: Sandbox, _held: Held, of_type: TokenType) -> Held:
    other: TokenType = "pin_reset" if of_type == "card_activation" else "card_activation"
    return await held_in(town, other)


async def _expired(town: Sandbox, held: Held, _of_type: TokenType) -> Held:
    await town.advance(TOKEN_TTL.total_seconds())
    town.db.forget_clock()
    return held


SPOILT: Final = [
    *(_unknown, _no_token, _no_text, _khmer, _used, _replaced, _lost, _of_the_other_page),
    _expired,
]


def _seen(page: httpx.Response) -> tuple[int, dict[str, str], str]:
    headers = {name: value for name, value in page.headers.items() if name != "x-request-id"}
    return page.status_code, headers, page.text


@pytest.mark.parametrize("lang", ["en", "km"])
@pytest.mark.parametrize("of_type", TYPES)
async def test_links_that_lead_nowhere_look_the_same_byte_for_byte(
    town: Sandbox, of_type: TokenType, lang: str
) -> None:
    seen: list[tuple[int, dict[str, str], str]] = []
    for spoil in SPOILT:
        held = await spoil(town, await held_in(town, of_type), of_type)
        async with browser(town, **{"Accept-Language": lang}) as person:
            token = held.token.encode("utf-8", "replace").decode()
            read = await person.get(f"/{of_type}/new", params={"token": token})
            sent = await person.post(
                f"/{of_type}", data={"token": token[:1_000], "pin": PIN, "pin_confirmation": PIN}
            )
        seen += [_seen(read), _seen(sent)]
    assert len(set(map(str, seen))) == 1
    status, headers, text = seen[0]
    assert status == 410
    assert "set-cookie" not in headers
    assert '<html lang="' + lang in text
    assert f'href="/{of_type}/new?lang=' in text


@pytest.mark.parametrize("of_type", TYPES)
async def test_of_two_forms_sent_at_once_one_wins(town: Sandbox, of_type: TokenType) -> None:
    held = await held_in(town, of_type)
    async with browser(town) as person:
        form = form_of(await person.get(path_of(held, of_type)))
        sent = [person.post(form.action, data=form.filled(p)) for p in (PIN, "8461", "9035")]
        answers = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in answers) == [303, 410, 410]
    assert (await events_of(town.db, held.card)).count("card.updated") == (
        1 if of_type == "card_activation" else 2
    )


BAD: Final = {
    "weak, one digit": ("1111", "1111", "pin", "one digit four times"),
    "weak, a row": ("4567", "4567", "pin", "digits in a row"),
    "weak, well known": ("2580", "2580", "pin", "the first a thief tries"),
    "not the same": (PIN, "7295", "pin_confirmation", "are not the same"),
    "not repeated": (PIN, "", "pin_confirmation", "are not the same"),
    "nothing": ("", "", "pin", "exactly four digits"),
    "too short": ("729", "729", "pin", "exactly four digits"),
    "too long": ("72945", "72945", "pin", "exactly four digits"),
    "letters": ("72a4", "72a4", "pin", "exactly four digits"),
    "Khmer digits": ("៧២៩៤", "៧២៩៤", "pin", "exactly four digits"),
    "a space": ("7294 ", "7294 ", "pin", "exactly four digits"),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_pin_is_refused_with_the_reason_and_the_link_stays(
    town: Sandbox, what: str
) -> None:
    pin, confirmation, field, says = BAD[what]
    held = await held_in(town)
    async with browser(town) as person:
        form = form_of(await person.get(path_of(held)))
        answer = await person.post(form.action, data=form.filled(pin, confirmation))
        again = form_of(answer)
        assert (await person.post(again.action, data=again.filled(PIN))).status_code == 303
    assert answer.status_code == 422
    text = answer.text
    assert "<title>Error: Activate your card</title>" in text
    assert re.search(rf'role="alert".*?<a href="#{field}">[^<]*{says}', text, re.DOTALL)
    described = f"{field}_hint {field}_error" if field == "pin" else f"{field}_error"
    assert f'aria-describedby="{described}" aria-invalid="true"' in text
    assert re.search(rf'id="{field}_error">[^<]*{says}', text)
    assert text.count('aria-invalid="true"') == 1


@pytest.mark.parametrize("pin", [PIN, "1111", "72945", "៧២៩៤", "<b>&\"'"])
async def test_no_page_ever_shows_a_pin(town: Sandbox, pin: str) -> None:
    held = await held_in(town)
    answer = await choose(town, held, "card_activation", pin, "x" + pin)
    shown = answer.text.replace("1111", "", 1) if pin == "1111" else answer.text  # the hint's own
    assert pin not in html.unescape(re.sub(r'value="[^"]+"', "", shown))
    for value in re.findall(r'value="([^"]+)"', answer.text):
        assert html.unescape(value) != pin
    assert not re.search(r'<input id="pin[^>]* value=', answer.text)


async def test_the_fields_are_made_for_fingers_and_for_nobody_to_look_over(town: Sandbox) -> None:
    page = await town.http.get(path_of(await held_in(town)))
    fields = re.findall(r'<input id="(pin\w*)"([^>]+)>', page.text)
    assert [name for name, _ in fields] == ["pin", "pin_confirmation"]
    for name, rest in fields:
        assert f'<label for="{name}">' in page.text
        for wanted in ('type="password"', 'inputmode="numeric"', 'autocomplete="off"'):
            assert wanted in rest
        assert 'maxlength="4"' in rest
    assert "<script" not in page.text


@pytest.mark.parametrize(
    "what", ["nothing", "rubbish", "another link's", "no cookie", "a stranger"]
)
async def test_a_form_that_is_not_its_pages_own_changes_nothing(town: Sandbox, what: str) -> None:
    held, other = await held_in(town), await held_in(town)
    async with browser(town) as person, browser(town) as stranger:
        form = form_of(await person.get(path_of(held)))
        others = form_of(await person.get(path_of(other)))
        await stranger.get(path_of(held))
        tokens = {
            "nothing": "",
            "rubbish": "rubbish",
            "another link's": others.hidden["form_token"],
        }
        if what == "no cookie":
            person.cookies.clear()
        sender = stranger if what == "a stranger" else person
        token = tokens.get(what, form.hidden["form_token"])
        answer = await sender.post(form.action, data=form.filled(PIN, form_token=token))
        assert answer.status_code == 403
        assert "accepts no cookies" in answer.text
        assert await card_now(town.db, held.card) == held.card
        again = form_of(answer)
        assert (await sender.post(again.action, data=again.filled(PIN))).status_code == 303


@pytest.mark.parametrize("of_type", TYPES)
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (FORM, b"\xff\xfe", 400),
        (FORM, b"a=1&" * 20, 400),
        ({"Content-Type": "application/json"}, b'{"pin": "7294"}', 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 400),
        ({}, b"pin=7294", 400),
        (FORM, b"pin=" + b"7" * 100_000, 413),
        (FORM, b"", 410),
        (FORM, b"token=x&pin=%zz", 410),
    ],
)
async def test_what_is_no_form_gets_a_clear_page(
    town: Sandbox, of_type: TokenType, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = await town.http.post(f"/{of_type}", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Nothing was changed" in answer.text or status == 410
    assert "7294" not in answer.text
    _guarded(answer)


def _guarded(answer: httpx.Response) -> None:
    rules = answer.headers["content-security-policy"].split("; ")
    assert dict(rule.split(" ", 1) for rule in rules) == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("of_type", TYPES)
async def test_every_answer_is_guarded(town: Sandbox, of_type: TokenType) -> None:
    held = await held_in(town, of_type)
    async with browser(town) as person:
        page = await person.get(path_of(held, of_type))
        form = form_of(page)
        wrong = await person.post(form.action, data=form.filled("1111"))
        sent = await person.post(form.action, data=form.filled(PIN))
        done = await person.get(sent.headers["location"])
        gone = await person.get(path_of(held, of_type))
    for answer in (page, wrong, sent, done, gone):
        _guarded(answer)
        assert "strict-transport-security" not in answer.headers
    cookie = page.headers["set-cookie"].lower()
    for wanted in ("httponly", "samesite=strict", f"path=/{of_type}", "max-age=1800"):
        assert wanted in cookie


async def test_production_demands_https_for_a_year(opened: OpenSandbox) -> None:
    sandbox = await opened(sandbox=False, public_url="https://pay.example")
    held = await held_in(sandbox)
    for path, status in ((path_of(held), 200), ("/pin_reset/new", 410)):
        answer = await sandbox.http.get(path)
        assert answer.status_code == status
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert "Sandbox" not in answer.text
    cookie = (await sandbox.http.get(path_of(held))).headers["set-cookie"]
    assert cookie.startswith("__Secure-bayon-form=")


async def test_the_language_is_the_browsers_until_another_is_asked_for(town: Sandbox) -> None:
    held = await held_in(town)
    async with browser(town, **{"Accept-Language": "km-KH,km;q=0.9,en;q=0.8"}) as person:
        khmer = await person.get(path_of(held, return_url="https://bank.example/"))
        form = form_of(khmer)
        wrong = await person.post(form.action, data=form.filled("1111"))
        (switch,) = re.findall(r'<a href="([^"]+)" lang="en"', khmer.text)
        assert re.findall(r'<a href="([^"]+)" lang="en"', wrong.text) == [switch]
        english = await person.get(html.unescape(switch))
        sent = await person.post(form.action, data=form.filled(PIN))
        done = await person.get(sent.headers["location"])
        (other,) = re.findall(r'<a href="([^"]+)" lang="en"', done.text)
        done_english = await person.get(html.unescape(other))
    for page in (khmer, wrong, done):
        assert '<html lang="km">' in page.text
        assert page.headers["content-language"] == "km"
    assert "តាំង តារា" in khmer.text
    assert "Tang Dara" not in khmer.text
    assert "Tang Dara" in english.text
    assert "Your card is active" in done_english.text


async def test_a_link_leads_to_nobody_elses_server(town: Sandbox) -> None:
    held = await held_in(town)
    page = await town.http.get(path_of(held))
    for url in re.findall(r'(?:href|src|action)="([^"]+)"', page.text):
        assert url.startswith(("/", "#")), url
        assert held.token not in url or url.startswith("/card_activation/new?token=")


RETURNS: Final = "https://bank.example/app, bankapp://card,http://localhost:3000"


@pytest.mark.parametrize(
    "url", ["https://bank.example/app/cards?id=7", "bankapp://card", "http://localhost:3000/x"]
)
@pytest.mark.parametrize("of_type", TYPES)
async def test_a_place_on_the_list_is_offered_when_all_is_done(
    opened: OpenSandbox, of_type: TokenType, url: str
) -> None:
    sandbox = await opened(return_urls=RETURNS)
    held = await held_in(sandbox, of_type)
    async with browser(sandbox) as person:
        first = await person.get(path_of(held, of_type, return_url=url))
        wrong = await person.post(form_of(first).action, data=form_of(first).filled("1111"))
        form = form_of(wrong)
        assert form.hidden["return_url"] == url
        sent = await person.post(form.action, data=form.filled(PIN))
        done = await person.get(sent.headers["location"])
    assert DONE[of_type] in done.text
    (back,) = re.findall(r'<a class="button" href="([^"]+)" rel="noopener noreferrer">', done.text)
    assert html.unescape(back) == url
    assert "http-equiv" not in done.text


async def test_any_other_place_is_as_none(opened: OpenSandbox) -> None:
    sandbox = await opened(return_urls=RETURNS)
    evil = "https://bank.example.evil.example/app"
    held = await held_in(sandbox)
    async with browser(sandbox) as person:
        first = await person.get(path_of(held, return_url=evil))
        form = form_of(first)
        assert "return_url" not in form.hidden
        sent = await person.post(form.action, data=form.filled(PIN, return_url=evil))
        done = await person.get(sent.headers["location"])
    for page in (first, done):
        assert page.status_code == 200
        assert "evil" not in page.text
    assert "You can close this page." in done.text


@pytest.mark.parametrize("receipt", ["", "x", "A" * 200, "ក", "A" * 10_000, "-_-_"])
async def test_nobody_writes_a_receipt_but_us(town: Sandbox, receipt: str) -> None:
    answer = await town.http.get("/card_activation/done", params={"receipt": receipt})
    assert answer.status_code == 410


async def test_a_receipt_is_good_for_its_own_page_only(town: Sandbox) -> None:
    held = await held_in(town)
    where = (await choose(town, held, "card_activation", PIN)).headers["location"]
    assert (await town.http.get(where)).status_code == 200
    assert (await town.http.head(where)).status_code == 200
    other = where.replace("/card_activation/", "/pin_reset/")
    assert (await town.http.get(other)).status_code == 410


async def test_a_link_that_is_tried_without_end_is_slowed_down(opened: OpenSandbox) -> None:
    sandbox = await opened(rate_limit_token_per_s=50)
    held, other = await held_in(sandbox), await held_in(sandbox)
    answers = [await sandbox.http.get(path_of(held)) for _ in range(25)]
    assert [a.status_code for a in answers[:20]] == [200] * 20
    slow = answers[-1]
    assert slow.status_code == 429
    assert int(slow.headers["retry-after"]) >= 1
    assert "Too many requests" in slow.text
    _guarded(slow)
    sent = await sandbox.http.post("/card_activation", data={"token": held.token, "pin": PIN})
    assert sent.status_code == 429
    assert (await sandbox.http.get(path_of(other))).status_code == 200


async def test_an_address_that_never_rests_is_slowed_down(opened: OpenSandbox) -> None:
    sandbox = await opened(rate_limit_address_per_s=1)
    answers = [
        await sandbox.http.get("/pin_reset/new", params={"token": f"{n:043}"}) for n in range(12)
    ]
    assert [answer.status_code for answer in answers] == [410] * 10 + [429] * 2


@pytest.mark.parametrize("of_type", TYPES)
async def test_no_secret_of_the_run_is_in_a_log_an_answer_an_address_or_a_column(
    town: Sandbox, of_type: TokenType, capsys: pytest.CaptureFixture[str]
) -> None:
    held, vault = await held_in(town, of_type), await vault_of(town)
    pan = vault.open_pan(held.card.pan_sealed, card_id=held.card.id).reveal()
    async with browser(town) as person:
        first = await person.get(path_of(held, of_type))
        form = form_of(first)
        wrong = await person.post(form.action, data=form.filled(PIN, "8461"))
        sent = await person.post(form.action, data=form.filled(PIN))
        done = await person.get(sent.headers["location"])
        gone = await person.get(path_of(held, of_type))
    said = "".join(capsys.readouterr())
    assert "/new" in said, "the log was heard"
    tables = await _columns(town)
    answers = "".join(str(a.headers) + a.text for a in (first, wrong, sent, done, gone))
    after = "".join(str(a.headers) + a.text for a in (sent, done, gone))
    for where in (said, tables, answers):
        assert pan not in where
    for where in (said, tables, after):
        assert held.token not in where
    for where in (said, wrong.text, after):
        assert not re.search(rf"(?<![0-9A-Za-z_:.-]){PIN}(?![0-9A-Za-z_-])", where)


async def _columns(town: Sandbox) -> str:
    """Read everything that is kept of cards and events, as text; what is bytes as its letters."""
    kept: list[str] = []
    for table in ("cards.card", "cards.management_token", "cards.cardholder", "events.event"):
        rows = await town.db.read(
            lambda tx, table=table: tx.rows(f"SELECT * FROM {table}")  # pyright: ignore[reportArgumentType] - our own names
        )
        for row in rows:
            kept += [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row.values()]
    return "\n".join(kept)
