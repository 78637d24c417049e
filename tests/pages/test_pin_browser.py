"""The pages for card holders in a real browser: the whole story, on every screen they are seen on.

Every page and state is left as pictures in build/screenshots, for a person to look at.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from bayon.cards import TokenType
from bayon.cards.lifecycle import TOKEN_TTL
from bayon.config import Settings
from bayon.listen import bound, make_server
from bayon.pages.page import ICON
from links import SOURCE, fresh_qr, link_to
from pages.holders import PIN, Held, card_now, events_of, is_pin
from pages.screen import launched, want
from pages.stage import DONE, TITLES, TYPES, held_in, path_of, vault_of
from sandboxes import Sandbox, Server, check_invariants, open_sandbox

ROOT: Final = Path(__file__).parents[2]
PICTURES: Final = ROOT / "build/screenshots"
AXE: Final = ROOT / "tests/clients/node/node_modules/axe-core/axe.min.js"
BACK: Final = "http://localhost:3000/cards"
WIDTHS: Final = (360, 1280)
LANGS: Final = ("en", "km")
HARMLESS: Final = re.compile(r"status of 4\d\d|^Autofocus processing was blocked")
"""What Chromium says of an answer that refuses, and to whoever types before a page has settled."""

SPARED: Final = {"meta-refresh": {"enabled": False}}
"""How a page without scripts sees that somebody has paid elsewhere, and says that it does."""

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
"""Whether pictures are taken of every mixture, or of the judged ones: all widths, both looks."""

JUDGED: Final = {(360, "light"), (1280, "dark")}
"""Each colour and each width once: axe takes its time."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A sandbox that listens on a port of its own, and a browser."""

    url: str
    town: Sandbox
    chromium: Browser

    async def hold(self, of_type: TokenType = "card_activation") -> Held:
        """Make a card of a bank that has a name, and a link to it."""
        return await held_in(self.town, of_type, issuer_name="Mekong Bank")

    def link(self, held: Held, of_type: TokenType = "card_activation", **query: str) -> str:
        """Write a link as its holder gets it."""
        return self.url + path_of(held, of_type, **query)


@pytest.fixture(scope="module")
async def stage(server: Server) -> AsyncGenerator[Stage]:
    """Open a sandbox, let it listen, and start the browser."""
    url = await server.clone()
    async with launched() as chromium, open_sandbox(url, return_urls=BACK) as town:
        with bound("127.0.0.1", 0) as listener:
            listening = make_server(cast("Any", town), Settings(sandbox=True), listener)
            serving = asyncio.create_task(listening.serve(sockets=[listener]))
            port: int = listener.getsockname()[1]
            yield Stage(url=f"http://127.0.0.1:{port}", town=town, chromium=chromium)
            listening.should_exit = True
            await serving
    await check_invariants(url)
    await server.drop(url)


OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_page(stage: Stage) -> AsyncGenerator[OpenPage]:
    """Give what opens a browser of its own; it must ask nobody else for anything, and not warn."""
    said: list[str] = []
    contexts: list[BrowserContext] = []

    async def foreign(route: Route) -> None:
        if route.request.url != SOURCE["appIconUrl"]:
            said.append(route.request.url)
        await route.fulfill(body=ICON, content_type="image/svg+xml")

    async def open_one(width: int = 1280, **more: Any) -> Page:  # noqa: ANN401 - of the browser
        size = {"width": width, "height": 800}
        context = await stage.chromium.new_context(viewport=cast("Any", size), **more)
        contexts.append(context)
        await context.route(lambda url: not url.startswith((stage.url, BACK)), foreign)
        page = await context.new_page()
        page.on("console", lambda m: None if HARMLESS.search(m.text) else said.append(m.text))
        return page

    yield open_one
    for context in contexts:
        await context.close()
    assert said == []


async def choose(page: Page, pin: str, confirmation: str | None = None) -> None:
    await page.locator("#pin").fill(pin)
    await page.locator("#pin_confirmation").fill(pin if confirmation is None else confirmation)
    async with page.expect_navigation():  # else what comes next may ask the page that goes
        await page.get_by_role("button").click()


def heading(page: Page, text: str) -> Awaitable[None]:
    return expect(page.get_by_role("heading", level=1)).to_have_text(text)


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("of_type", TYPES)
async def test_from_the_link_to_the_done_page_with_scripts_or_without(
    stage: Stage, open_page: OpenPage, of_type: TokenType, *, script: bool
) -> None:
    held = await stage.hold(of_type)
    page = await open_page(java_script_enabled=script)
    await page.goto(stage.link(held, of_type, return_url=BACK))
    await heading(page, TITLES[of_type])
    await choose(page, "1234")
    await expect(page.get_by_role("alert")).to_contain_text("digits in a row")
    await expect(page.locator("#pin")).to_have_value("")
    await choose(page, PIN, "7295")
    await expect(page.get_by_role("alert")).to_contain_text("are not the same")
    await choose(page, PIN)
    await heading(page, DONE[of_type])
    assert held.token not in page.url
    await expect(page.get_by_role("link", name="Continue")).to_have_attribute("href", BACK)
    await page.reload()
    await heading(page, DONE[of_type])
    card = await card_now(stage.town.db, held.card)
    assert card.status == "active"
    assert is_pin(card, PIN, vault=await vault_of(stage.town))
    await page.goto(stage.link(held, of_type))
    await heading(page, "This link can no longer be used")


async def test_a_summary_leads_to_the_field_and_is_where_one_reads_on(
    stage: Stage, open_page: OpenPage
) -> None:
    page = await open_page()
    await page.goto(stage.link(await stage.hold()))
    await choose(page, PIN, "7295")
    await expect(page).to_have_title("Error: Activate your card")
    await expect(page.get_by_role("alert")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#pin_confirmation")).to_be_focused()
    described = await page.locator("#pin_confirmation").get_attribute("aria-describedby")
    assert described == "pin_confirmation_error"
    await expect(page.locator(f"#{described}")).to_contain_text("are not the same")


async def test_a_keyboard_is_enough(stage: Stage, open_page: OpenPage) -> None:
    held = await stage.hold()
    page = await open_page()
    await page.goto(stage.link(held))
    reached: list[str] = []
    for _ in range(4):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.textContent.trim() || 'field'"))
        assert await page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle != 'none'"
        )
    assert reached[:2] == ["Skip to the content", "ខ្មែរ"]
    await expect(page.locator("#pin_confirmation")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.type(PIN)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PIN + "99")  # a field holds four
    await page.keyboard.press("Enter")
    await heading(page, "Your card is active")
    assert (await card_now(stage.town.db, held.card)).status == "active"


async def test_two_presses_choose_once(stage: Stage, open_page: OpenPage) -> None:
    held = await stage.hold()
    page = await open_page()
    await page.goto(stage.link(held))
    await page.locator("#pin").fill(PIN)
    await page.locator("#pin_confirmation").fill(PIN)
    await page.get_by_role("button").dblclick(no_wait_after=True)
    told = page.get_by_role("heading", level=1)
    # Whichever of the two answers came last.
    await expect(told).to_have_text(re.compile("Your card is active|can no longer be used"))
    assert (await card_now(stage.town.db, held.card)).status == "active"
    assert await events_of(stage.town.db, held.card) == ["card.created", "card.updated"]


async def test_two_windows_choose_once(stage: Stage, open_page: OpenPage) -> None:
    held = await stage.hold()
    first, second = await open_page(), await open_page()
    for page in (first, second):
        await page.goto(stage.link(held))
    await choose(first, PIN)
    await heading(first, "Your card is active")
    await choose(second, "8461")
    await heading(second, "This link can no longer be used")
    assert is_pin(await card_now(stage.town.db, held.card), PIN, vault=await vault_of(stage.town))


async def test_a_link_expires_by_the_sandboxs_clock_while_one_reads(
    stage: Stage, open_page: OpenPage
) -> None:
    held = await stage.hold()
    page = await open_page()
    await page.goto(stage.link(held))
    await stage.town.advance(TOKEN_TTL.total_seconds())
    await choose(page, PIN)
    await heading(page, "This link can no longer be used")
    assert await card_now(stage.town.db, held.card) == held.card


async def test_the_other_language_keeps_the_link(stage: Stage, open_page: OpenPage) -> None:
    held = await stage.hold()
    page = await open_page(locale="km-KH")
    await page.goto(stage.link(held, return_url=BACK))
    await heading(page, "បើកដំណើរការកាតរបស់អ្នក")
    await choose(page, "1111")
    await page.get_by_role("link", name="English").click()
    await heading(page, "Activate your card")
    await page.get_by_role("link", name="ខ្មែរ").click()
    await choose(page, PIN)
    await heading(page, "កាតរបស់អ្នកដំណើរការហើយ")
    await expect(page.get_by_role("link", name="បន្ត")).to_have_attribute("href", BACK)
    await page.get_by_role("link", name="English").click()
    await heading(page, "Your card is active")


async def test_the_way_back_tells_nobody_where_one_was(stage: Stage, open_page: OpenPage) -> None:
    held = await stage.hold()
    page = await open_page()
    asked: list[dict[str, str]] = []

    async def answer(route: Route) -> None:
        asked.append(await route.request.all_headers())
        await route.fulfill(body="back", content_type="text/plain")

    await page.context.route(f"{BACK}**", answer)
    await page.goto(stage.link(held, return_url=BACK))
    await choose(page, PIN)
    await page.get_by_role("link", name="Continue").click()
    await page.wait_for_url(BACK)
    assert len(asked) == 1
    assert "referer" not in asked[0]


# Pictures, and what a program that judges for those who do not see has to say of the same pages.

State = Callable[[Stage, Page, str], Awaitable[object]]


def _opening(of_type: TokenType) -> State:
    async def show(stage: Stage, page: Page, lang: str) -> None:
        held = await stage.hold(of_type)
        await page.goto(stage.link(held, of_type, return_url=BACK, lang=lang))

    return show


def _sending(of_type: TokenType, pin: str, confirmation: str | None = None) -> State:
    async def show(stage: Stage, page: Page, lang: str) -> None:
        await _opening(of_type)(stage, page, lang)
        await choose(page, pin, confirmation)

    return show


async def _without_cookies(stage: Stage, page: Page, lang: str) -> None:
    await _opening("card_activation")(stage, page, lang)
    await page.context.clear_cookies()
    await choose(page, PIN)


async def _without_return(stage: Stage, page: Page, lang: str) -> None:
    held = await stage.hold()
    await page.goto(stage.link(held, lang=lang))
    await choose(page, PIN)


async def _long_names(stage: Stage, page: Page, lang: str) -> None:
    name = "Preah Bat Samdech Norodom Sihanouk Varman Jayavarman-Suryavarman"
    bank = "Angkor Mikroheranhvatthu and Savings Bank of the Tonle Sap Plc."
    held = await held_in(
        stage.town, "pin_reset", name=name, issuer_name=bank, additional_details={}
    )
    await page.goto(stage.link(held, "pin_reset", lang=lang))


def _at(path: str) -> State:
    async def show(stage: Stage, page: Page, lang: str) -> None:
        mark = "&" if "?" in path else "?"
        await page.goto(f"{stage.url}{path}{mark}lang={lang}")

    return show


async def _malformed(stage: Stage, page: Page, lang: str) -> None:
    async def spoil(route: Route) -> None:
        await route.continue_(post_data=b"\xff")

    await _opening("card_activation")(stage, page, lang)
    await page.route("**/card_activation?**", spoil)
    await choose(page, PIN)


async def _landing(stage: Stage, page: Page, lang: str) -> None:
    path = await link_to(stage.town, fresh_qr(expires_in_s=86_400))
    await page.goto(f"{stage.url}{path}?seen=1&lang={lang}")


async def _landing_that_stays(stage: Stage, page: Page, lang: str) -> None:
    await _landing(stage, page, lang)
    await page.route("**seen=1**", lambda route: route.fulfill(status=204))


async def _paid(stage: Stage, page: Page, lang: str) -> None:
    await _landing(stage, page, lang)
    await page.get_by_role("button").click()
    await page.wait_for_url("**seen=1**")


STATES: Final[dict[str, State]] = {
    "activation": _opening("card_activation"),
    "activation-weak": _sending("card_activation", "1234"),
    "activation-differs": _sending("card_activation", PIN, "7295"),
    "activation-empty": _sending("card_activation", ""),
    "activation-stale": _without_cookies,
    "activation-done-return": _sending("card_activation", PIN),
    "activation-done": _without_return,
    "activation-malformed": _malformed,
    "reset": _opening("pin_reset"),
    "reset-common": _sending("pin_reset", "2580"),
    "reset-done": _sending("pin_reset", PIN),
    "reset-long-names": _long_names,
    "gone": _at("/card_activation/new?token=unknown"),
    "landing": _landing_that_stays,
    "landing-paid": _paid,
    "start": _at("/"),
    "missing": _at("/nowhere"),
}


@pytest.mark.parametrize("state", STATES)
async def test_every_page_is_sound_on_every_screen_and_its_picture_is_taken(
    stage: Stage, open_page: OpenPage, state: str
) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for lang in LANGS:
        page = await open_page(bypass_csp=True)  # for axe's own script; scripts of ours are none
        await STATES[state](stage, page, lang)
        assert await page.evaluate("document.documentElement.lang") == lang
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            assert await _overflow(page) <= 0
            for scheme in ("light", "dark"):
                if (width, scheme) not in JUDGED and not LONG:
                    continue
                await page.emulate_media(color_scheme=cast("Any", scheme))
                file = PICTURES / f"{state}.{width}.{lang}.{scheme}.png"
                await page.screenshot(path=file, full_page=True)
                if (width, scheme) in JUDGED:
                    await _judged(page)
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await _overflow(page) <= 0


async def _overflow(page: Page) -> int:
    return await page.evaluate("document.documentElement.scrollWidth - innerWidth")


async def _judged(page: Page) -> None:
    """Let axe judge the page as it is shown now."""
    want(AXE.exists(), "There is no axe-core: npm ci --prefix tests/clients/node")
    if not await page.evaluate("'axe' in window"):
        await page.add_script_tag(path=AXE)
    found: dict[str, Any] = await page.evaluate("rules => axe.run(document, {rules})", SPARED)
    told = [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]]
    assert told == []


@pytest.mark.parametrize("state", ["activation", "activation-weak", "activation-done-return"])
async def test_what_is_touched_is_large_enough_for_a_thumb(
    stage: Stage, open_page: OpenPage, state: str
) -> None:
    page = await open_page(360)
    await STATES[state](stage, page, "en")
    for element in await page.locator(".top nav a, .field input, .button").all():
        box = await element.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44


async def test_nothing_of_a_page_is_kept_by_the_browser(stage: Stage, open_page: OpenPage) -> None:
    held = await stage.hold()
    page = await open_page()
    await page.goto(stage.link(held))
    await choose(page, PIN)
    await heading(page, "Your card is active")
    await page.go_back()
    await heading(page, "This link can no longer be used")
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(stage.link(held))).status_code == 410
