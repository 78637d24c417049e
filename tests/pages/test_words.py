"""The words: complete in both languages, and chosen as people wish."""

import re

import pytest

from bayon.pages.refusals import ERRORS
from bayon.pages.words import WORDS, language
from bayon.payments import Decline

KHMER = re.compile(r"[\u1780-\u17ff]")


@pytest.mark.parametrize("name", WORDS)
def test_a_text_is_there_in_both_languages_with_the_same_gaps(name: str) -> None:
    english, khmer = WORDS[name]
    assert english.isascii()
    assert KHMER.search(khmer)
    assert re.findall(r"{\w*}", english) == re.findall(r"{\w*}", khmer)
    assert not re.search("[០-៩]", khmer), "digits are Western ones"


@pytest.mark.parametrize("decline", Decline)
def test_every_decline_can_be_said(decline: Decline) -> None:
    assert f"decline_{decline}" in WORDS


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_can_be_said(error: type[Exception]) -> None:
    status, what = ERRORS[error]  # pyright: ignore[reportArgumentType] - its own keys
    assert 400 <= status < 600
    assert what in WORDS
    assert f"{what}_text" in WORDS


@pytest.mark.parametrize(
    ("asked", "accept", "chosen"),
    [
        (None, "", "en"),
        (None, "km", "km"),
        (None, "km-KH,km;q=0.9,en-US;q=0.8", "km"),
        (None, "en-GB,en;q=0.9,km;q=0.8", "en"),
        (None, "fr,km;q=0.5,en;q=0.4", "km"),
        (None, "de", "en"),
        (None, "km;q=0", "en"),
        (None, "km;q=zero", "en"),
        (None, "*;q=0.1", "en"),
        ("km", "en", "km"),
        ("en", "km", "en"),
        ("fr", "km", "km"),
        ("", "km", "km"),
    ],
)
def test_the_language_is_what_was_asked_for_else_what_is_liked_best(
    asked: str | None, accept: str, chosen: str
) -> None:
    assert language(asked, accept) == chosen
