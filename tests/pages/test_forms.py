"""The token of a form: for one page, one visitor and half an hour."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.pages.forms import FORM_TTL_S, StaleForm, check_token, make_token, visitor
from bayon.seal import Sealer

OLD = Sealer.from_text("1:" + "11" * 32)
NEW = Sealer.from_text("1:" + "11" * 32 + ",2:" + "22" * 32)
OTHER = Sealer.from_text("1:" + "33" * 32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VISITOR = visitor(None)


def test_a_token_holds_for_half_an_hour() -> None:
    token = make_token(OLD, page="a", visitor=VISITOR, now=NOW)
    last = NOW + timedelta(seconds=FORM_TTL_S)
    check_token(OLD, token, page="a", visitor=VISITOR, now=last)
    with pytest.raises(StaleForm):
        check_token(OLD, token, page="a", visitor=VISITOR, now=last + timedelta(seconds=1))


def test_a_token_holds_in_every_process_and_after_the_keys_are_rotated() -> None:
    token = make_token(OLD, page="a", visitor=VISITOR, now=NOW)
    check_token(NEW, token, page="a", visitor=VISITOR, now=NOW)
    with pytest.raises(StaleForm):
        check_token(OTHER, token, page="a", visitor=VISITOR, now=NOW)


@pytest.mark.parametrize(("page", "who"), [("b", VISITOR), ("a", visitor(None)), ("a", None)])
def test_a_token_holds_for_no_other_page_or_visitor(page: str, who: str | None) -> None:
    token = make_token(OLD, page="a", visitor=VISITOR, now=NOW)
    with pytest.raises(StaleForm):
        check_token(OLD, token, page=page, visitor=who, now=NOW)


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(StaleForm):
        check_token(OLD, text, page="a", visitor=VISITOR, now=NOW)


@pytest.mark.parametrize("cookie", [None, "", "short", "ឆ" * 22, "a" * 23, "a" * 21 + " "])
def test_a_cookie_that_is_none_of_ours_makes_a_new_visitor(cookie: str | None) -> None:
    assert visitor(cookie) != cookie
    assert visitor(VISITOR) == VISITOR
