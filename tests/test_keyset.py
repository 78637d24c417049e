"""Keysets: windows, pages and numbers, without a database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.ids import uuid7
from bayon.keyset import (
    BATCH_TIME_MAX,
    BEGINNING,
    END,
    SEQ_MAX,
    SIZE_DEFAULT,
    Page,
    Span,
    Window,
    cut,
    numbering,
)

A, B = sorted((uuid7(), uuid7()))
OWNERS = [UUID(int=n) for n in range(5)]


@pytest.mark.parametrize(
    ("window", "cursor", "top_seq"),
    [
        (Window(), None, SEQ_MAX),
        (Window(after=A), A, None),
        (Window(before=A), A, None),
        (Window(before=A, after=B), A, None),
    ],
)
def test_a_window_reads_from_its_cursor_or_from_the_top_and_before_wins(
    window: Window, cursor: UUID | None, top_seq: int | None
) -> None:
    assert (window.cursor, window.top_seq) == (cursor, top_seq)


@pytest.mark.parametrize("size", [1, SIZE_DEFAULT, 100])
def test_a_window_reads_one_row_more_than_its_page(size: int) -> None:
    assert Window(size=size).limit == size + 1


NONE: list[int] = []


# The rows in the order of reading: from the newest down, or towards newer ones upwards.
@pytest.mark.parametrize(
    ("window", "rows", "page"),
    [
        (Window(size=2), NONE, (NONE, False, False)),
        (Window(size=2), [9], ([9], True, False)),
        (Window(size=2), [9, 8], ([9, 8], True, False)),
        (Window(size=2), [9, 8, 7], ([9, 8], True, True)),
        (Window(size=2, after=A), NONE, (NONE, False, False)),
        (Window(size=2, after=A), [9, 8, 7], ([9, 8], True, True)),
        (Window(size=2, before=A), NONE, (NONE, False, False)),
        (Window(size=2, before=A), [1], ([1], False, True)),
        (Window(size=2, before=A), [1, 2], ([2, 1], False, True)),
        (Window(size=2, before=A), [1, 2, 3], ([2, 1], True, True)),
        (Window(size=2, before=A, after=B), [1, 2, 3], ([2, 1], True, True)),
    ],
)
def test_a_page_is_cut_newest_first_and_says_where_the_list_goes_on(
    window: Window, rows: list[int], page: tuple[list[int], bool, bool]
) -> None:
    items, newer, older = page
    assert cut(window, rows) == Page(items=items, newer=newer, older=older)


@given(st.lists(st.sampled_from(OWNERS), max_size=40))
def test_rows_are_numbered_by_owner_from_one_on_in_their_order(owner_ids: list[UUID]) -> None:
    made = numbering(owner_ids)
    assert made.owner_ids == sorted(set(owner_ids))
    assert made.counts == [owner_ids.count(owner_id) for owner_id in made.owner_ids]
    assert len(made.places) == len(owner_ids)
    for owner_id in made.owner_ids:
        places = [p for p, o in zip(made.places, owner_ids, strict=True) if o == owner_id]
        assert places == list(range(1, len(places) + 1))


def test_a_span_is_all_of_time_unless_it_says_otherwise() -> None:
    assert (Span().since, Span().until) == (BEGINNING, END)


def test_what_lies_well_before_or_after_a_span_is_further_than_any_transaction_takes() -> None:
    since = datetime(2026, 1, 17, tzinfo=UTC)
    span = Span(since=since, until=since + timedelta(hours=1))
    assert span.well_before == since - BATCH_TIME_MAX
    assert span.well_after == since + timedelta(hours=1) + BATCH_TIME_MAX


@pytest.mark.parametrize(
    "at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]
)
def test_a_span_to_the_ends_of_time_is_still_one_that_can_be_calculated_with(
    at: datetime,
) -> None:
    span = Span(since=at, until=at)
    assert span.well_before >= BEGINNING - BATCH_TIME_MAX
    assert span.well_after <= END + BATCH_TIME_MAX
