"""Where a page may lead back to: the places of the setting, and nothing that looks like them."""

import pytest

from bayon.config import BadSettings, Settings
from bayon.pages.returning import Returns

PLACES = Returns.of(
    "https://bank.example, https://app.example:8443/cards/ ,bankapp://card,http://localhost:3000"
)


@pytest.mark.parametrize(
    "url",
    [
        "https://bank.example",
        "https://bank.example/",
        "https://BANK.example/any/where?and=what#ever",
        "https://app.example:8443/cards",
        "https://app.example:8443/cards/7?x=..%2f",
        "bankapp://card",
        "bankapp://card/7",
        "http://localhost:3000/done",
    ],
)
def test_what_stands_within_a_place_is_taken(url: str) -> None:
    assert PLACES.take(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "/",
        "//bank.example",
        "bank.example",
        "http://bank.example/",
        "https://bank.example.evil.example/",
        "https://evil.example/https://bank.example/",
        "https://bank.example@evil.example/",
        "https://bank.example:444/",
        "https://evil.example#https://bank.example",
        "https://bank.example\\@evil.example/",
        "https:/bank.example/",
        "https:bank.example",
        "https://ban\u212a.example/",
        "https://bank.example/ក",
        "https://bank.example/a b",
        "https://bank.example/\n",
        " https://bank.example/",
        "https://bank.example/" + "x" * 500,
        "https://app.example/cards/",
        "https://app.example:8443/",
        "https://app.example:8443/cards-of-mine",
        "https://app.example:8443/cards/../admin",
        "https://app.example:8443/cards/%2e%2E/admin",
        "https://app.example:8443/cards/..%2fadmin",
        "https://app.example:8443/x/cards/",
        "bankapp://cards",
        "bankapp:card",
        "javascript:alert(1)",
        "javascript://bank.example/%0aalert(1)",
        "data:text/html,x",
        "http://localhost/",
        "http://[::1",
    ],
)
def test_anything_else_is_as_none(url: str | None) -> None:
    assert PLACES.take(url) is None


def test_without_the_setting_nothing_is_taken() -> None:
    assert Returns.of("").take("https://bank.example/") is None


@pytest.mark.parametrize(
    "entry",
    [
        "bank.example",
        "https://",
        "http://bank.example",
        "https://*.bank.example",
        "https://me@bank.example",
        "https://bank.example/?x",
        "https://bank.example/#x",
        "https://bank.example/a/../b",
        "javascript://x",
        "data://x",
        "ms-settings://x",
        "https://bank.example:99999999",
        "https://bank.example:0",
        "https://បាន.example",
    ],
)
def test_an_entry_that_is_no_place_stops_the_start(entry: str) -> None:
    with pytest.raises(BadSettings, match="BAYON_RETURN_URLS"):
        Returns.of(f"https://good.example,{entry}")


@pytest.mark.parametrize("text", ["bank.example", "https://a.example,,b", "https://a b"])
def test_what_is_no_list_of_places_is_no_setting(text: str) -> None:
    with pytest.raises(BadSettings):
        Settings.from_env({"BAYON_RETURN_URLS": text})
    assert Settings.from_env({}).return_urls == ""
