"""The schedule: what each answer leads to, when, and who has room."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayon.events.schedule import RETRIES, Lane, Policy, Verdict, judge, read_retry_after, shares

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
POLICY = Policy()


def judged(
    status_code: int | None,
    *,
    failed_before: int = 0,
    retry_after_s: float | None = None,
    chance: float = 0.0,
) -> Verdict:
    retry_after = None if retry_after_s is None else timedelta(seconds=retry_after_s)
    return judge(
        POLICY,
        failed_before=failed_before,
        status_code=status_code,
        retry_after=retry_after,
        at=AT,
        chance=chance,
    )


def after_s(verdict: Verdict) -> float:
    assert verdict.next_at is not None
    return (verdict.next_at - AT).total_seconds()


@pytest.mark.parametrize("status_code", [200, 201, 202, 204, 299])
def test_two_hundreds_settle(status_code: int) -> None:
    assert judged(status_code) == Verdict(state="delivered")


@pytest.mark.parametrize(
    "status_code", [None, 101, 301, 302, 307, 400, 401, 404, 409, 429, 500, 503]
)
def test_everything_else_is_tried_again(status_code: int | None) -> None:
    verdict = judged(status_code)
    assert (verdict.state, after_s(verdict)) == ("due", 5.0)


def test_gone_is_never_tried_again() -> None:
    assert judged(410) == Verdict(state="voided", gone=True)
    assert judged(410, failed_before=10) == Verdict(state="voided", gone=True)


def test_the_table_is_followed_to_its_end_over_three_days() -> None:
    delays = [after_s(judged(500, failed_before=n)) for n in range(len(RETRIES))]
    assert delays == [5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert sum(delays) / 3_600 == pytest.approx(75.6, abs=0.1)
    assert judged(500, failed_before=len(RETRIES)) == Verdict(state="failed")


def test_jitter_adds_a_tenth_at_most() -> None:
    assert after_s(judged(500, chance=0.5)) == pytest.approx(5.25)
    assert after_s(judged(500, failed_before=9, chance=1.0)) == pytest.approx(86_400 * 1.1)


@pytest.mark.parametrize(
    ("status_code", "failed_before", "retry_after_s", "expected_s"),
    [
        (429, 0, 120, 120),
        (503, 0, 120, 120),
        (503, 0, 2, 5),  # never earlier than the table says, which would use up the attempts
        (429, 2, 10, 300),
        (429, 0, 10 * 86_400, 86_400),  # nor later than in a day
        (500, 0, 120, 5),  # where it means nothing
        (302, 0, 120, 5),
    ],
)
def test_retry_after_is_honoured_within_limits(
    status_code: int, failed_before: int, retry_after_s: int, expected_s: int
) -> None:
    verdict = judged(status_code, failed_before=failed_before, retry_after_s=retry_after_s)
    assert after_s(verdict) == expected_s
    rests = status_code in {429, 503}
    limit = timedelta(seconds=min(retry_after_s, 86_400))
    assert verdict.rests_until == (AT + limit if rests else None)


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("Mon, 04 May 2026 03:04:01 GMT", 120),
        ("Monday, 04-May-26 03:04:01 GMT", 120),
        ("Mon, 04 May 2026 05:04:01 +0200", 120),
        ("Mon, 04 May 2026 03:04:01 -0000", 120),
        ("Mon, 04 May 2026 03:00:00 GMT", None),  # over
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("១២០", None),
        ("Mon, 99 May 2026 03:04:01 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(
    text: str | None, expected_s: float | None
) -> None:
    read = read_retry_after(text, at=AT)
    assert read == (None if expected_s is None else timedelta(seconds=expected_s))


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{0,30}", fullmatch=True))
def test_no_retry_after_breaks_the_reading(text: str) -> None:
    read = read_retry_after(text, at=AT)
    verdict = judge(POLICY, failed_before=0, status_code=429, retry_after=read, at=AT, chance=1.0)
    assert verdict.next_at is not None
    assert verdict.next_at <= AT + timedelta(days=1)


def lane(number: int, *, failing: bool = False) -> Lane:
    return Lane(endpoint_id=UUID(int=number), failing=failing)


def shared(
    lanes: list[Lane], in_flight: dict[int, int] | None = None, **policy: int
) -> dict[int, int]:
    flying = {UUID(int=n): count for n, count in (in_flight or {}).items()}
    given_out = shares(Policy(**policy), lanes, in_flight=flying)  # pyright: ignore[reportArgumentType]
    return {endpoint_id.int: size for endpoint_id, size in given_out.items()}


def test_each_endpoint_has_its_places() -> None:
    assert shared([lane(1), lane(2)]) == {1: 32, 2: 32}
    assert shared([lane(1), lane(2)], {1: 32, 2: 5}) == {2: 27}
    assert shared([]) == {}


def test_one_that_fails_has_one_place() -> None:
    assert shared([lane(1, failing=True), lane(2)]) == {1: 1, 2: 32}
    assert shared([lane(1, failing=True)], {1: 1}) == {}
    assert shared([lane(1, failing=True)], {1: 32}) == {}


def test_those_that_fail_leave_a_reserve_and_come_last() -> None:
    lanes = [*(lane(n, failing=True) for n in range(1, 60)), lane(60)]
    given_out = shared(lanes, total_max=100, reserve=20)
    assert given_out.pop(60) == 32
    assert set(given_out.values()) == {1}
    assert len(given_out) == 50 - 1 - 20
    flying = dict.fromkeys(range(100, 130), 1)
    assert shared([lane(1, failing=True)], flying, total_max=100, reserve=20) == {}
    assert shared([lane(1)], flying, total_max=100, reserve=20) == {1: 32}


def test_slow_endpoints_that_have_all_their_places_leave_some_to_the_others() -> None:
    slow = dict.fromkeys(range(1, 65), 32)
    lanes = [lane(n) for n in range(1, 66)]
    assert shared(lanes, slow) == {65: 8}
    assert sum(shared(lanes).values()) == 65 + 65 * 7 + 512
    few = shared(lanes, total_max=100)
    assert (len(few), set(few.values())) == (50, {1})


@settings(deadline=None)
@given(
    total=st.integers(4, 40),
    endpoints=st.integers(1, 20),
    failing=st.sets(st.integers(1, 20)),
    flying=st.dictionaries(st.integers(1, 20), st.integers(1, 32), max_size=5),
    lands=st.integers(1, 3),
)
def test_whoever_waits_with_nothing_in_flight_comes_first_soon(
    total: int, endpoints: int, failing: set[int], flying: dict[int, int], lands: int
) -> None:
    """All are slow and never without work: what lands, the oldest first, is all that frees."""
    policy = Policy(total_max=total, reserve=total // 8)
    lanes = [lane(n, failing=n in failing) for n in range(1, endpoints + 1)]
    well = {each.endpoint_id for each in lanes if not each.failing}
    queue = [UUID(int=n) for n, count in flying.items() for _ in range(count)]
    seen = set(queue) & well
    for turn in range(5_000):
        counts = Counter(queue)
        given_out = shares(policy, lanes, in_flight=counts, turn=turn)
        for endpoint_id, size in given_out.items():
            most = policy.claimed_max if endpoint_id in well else policy.failing_max
            assert counts[endpoint_id] + size <= most
            queue += [endpoint_id] * size
        seen |= set(given_out) & well
        if seen == well:
            return
        del queue[:lands]
    pytest.fail("somebody had no place")
