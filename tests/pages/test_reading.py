"""The pages to read: the start page, the manual, what is missing; and what guards every page."""

import html
import re

import pytest

from links import browser, fresh_qr, link_to
from sandboxes import OpenSandbox, Sandbox


@pytest.mark.parametrize("page", ["/", "/docs", "/nowhere", "link"])
async def test_every_page_is_guarded(town: Sandbox, page: str) -> None:
    path = await link_to(town, fresh_qr()) if page == "link" else page
    async with browser(town) as person:
        answer = await person.get(path)
    rules = answer.headers["content-security-policy"].split("; ")
    policy: dict[str, str] = dict(rule.split(" ", 1) for rule in rules)
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' https:" if page == "link" else "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "geolocation=()" in answer.headers["permissions-policy"]


@pytest.mark.parametrize("page", ["/", "/docs", "/nowhere", "link"])
async def test_every_page_stands_alone_and_in_order(town: Sandbox, page: str) -> None:
    path = await link_to(town, fresh_qr()) if page == "link" else page
    async with browser(town) as person:
        text = (await person.get(path)).text
    assert "<script" not in text
    assert not re.search(r"\sstyle=|\son\w+=", text)
    ours = re.findall(r'<(?:link|img)[^>]+(?:href|src)="([^"]+)"', text)
    assert all(url.startswith(("/", "https://shop.example/")) for url in ours)
    names = re.findall(r'\sid="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert {f[1:] for f in re.findall(r'href="(#[^"]+)"', text)} <= set(names)
    assert len(re.findall("<h1", text)) == 1
    assert len(re.findall("<main", text)) == 1


@pytest.mark.parametrize("page", ["/", "/docs"])
async def test_a_page_can_be_asked_for_without_its_body(town: Sandbox, page: str) -> None:
    answer = await town.http.head(page)
    assert answer.status_code == 200
    assert answer.content == b""


async def test_style_and_icon_may_be_kept_and_carry_their_version(town: Sandbox) -> None:
    text = (await town.http.get("/")).text
    for kind, url in (("text/css", "/style.css?v="), ("image/svg+xml", "/icon.svg?v=")):
        (asked,) = set(re.findall(rf'"({re.escape(url)}[0-9a-f]+)"', text))
        answer = await town.http.get(asked)
        assert answer.headers["content-type"].startswith(kind)
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_start_page_leads_on_and_keeps_the_secrets(town: Sandbox) -> None:
    for lang in ("en", "km"):
        text = (await town.http.get(f"/?lang={lang}")).text
        assert 'href="/docs"' in text
        assert re.search(r"BAKONG, BANK \S+ CARDS", text)
        assert "curl -s http://bayon.test/v1/check_transaction_by_md5" in text
        for secret in (town.integrator_token, town.bank_token):
            assert secret not in text


async def test_production_starts_with_no_sandbox_steps(opened: OpenSandbox) -> None:
    sandbox = await opened(sandbox=False, public_url="https://pay.example")
    text = (await sandbox.http.get("/")).text
    assert "curl" not in text
    assert "dave@devb" not in text
    manual = (await sandbox.http.get("/docs")).text
    assert "curl -s https://pay.example/v1/" in manual
    assert "/sandbox/v1/" not in manual


async def test_the_manual_shows_every_operation_with_its_fields_and_answers(town: Sandbox) -> None:
    api = (await town.http.get("/openapi.json")).json()
    text = html.unescape((await town.http.get("/docs")).text)
    for path, methods in api["paths"].items():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in text
            assert f'href="#{operation["operationId"]}"' in text
            assert operation["summary"] in text
            assert f"<code>{path}</code>" in text
            for response in operation["responses"].values():
                for media in response.get("content", {}).values():
                    for example in media.get("examples", {}):
                        assert example in text
    assert "sourceInfo.appDeepLinkCallback" in text
    assert "required; USD or KHR" in text
    assert 'Authorization: Bearer $BAKONG"' in text
    assert 'Authorization: Bearer $BANK"' in text
    assert "curl -s http://bayon.test/participant/v1/accounts/dave@devb " in text


ROUTES = re.compile(r"curl -s(?: -X [A-Z]+)? http://bayon\.test(/\S*) \\\n  -H \"[^$]*\$([A-Z]+)\"")


async def test_a_sample_takes_the_token_its_operation_wants(town: Sandbox) -> None:
    text = html.unescape((await town.http.get("/docs")).text)
    tokens: dict[str, str] = dict(ROUTES.findall(text))
    for path in ("payments", "mail", "clock"):
        assert tokens[f"/sandbox/v1/{path}"] == "BAKONG"
    on_cards = ("cards", "authorizations", "refunds", "clearings", "cardholders/$ID/review")
    changes = ("clear", "increment", "reverse", "expire")
    for path in (*on_cards, *(f"transactions/$ID/{change}" for change in changes)):
        assert tokens[f"/sandbox/v1/{path}"] == "CARDS"
    assert tokens["/v1/accounts/$ACCOUNT_ID/balance"] == "CARDS"
    assert tokens["/v1/cards/$CARD_ID/management_tokens"] == "CARDS"
    assert not [path for path in tokens if "{" in path]
    assert '"id": "\'"$ID"\'"' in text  # what is changed is what the address names


async def test_rules_are_shown_in_words_and_code_as_code(town: Sandbox) -> None:
    text = (await town.http.get("/docs")).text
    shown = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
    for rule in ("6 digits", "1 to 100; 10 if absent", "a UUID", "keys of at most 40 characters"):
        assert rule in shown
    assert "^[0-9]" not in shown
    assert "`" not in shown
    assert "Takes <code>amount</code> back" in shown


async def test_a_missing_page_says_so_in_the_readers_language(town: Sandbox) -> None:
    async with browser(town, **{"Accept-Language": "km"}) as person:
        page = await person.get("/nowhere")
    assert page.status_code == 404
    assert '<html lang="km">' in page.text
    assert "រកមិនឃើញទំព័រ" in page.text
