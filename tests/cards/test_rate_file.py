"""Files of exchange rates: read whole or not at all, and every wrong line is told."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.cards import RATES_FILE_SIZE_MAX, NewRate, read_rate, read_rates
from bayon.errors import Invalid

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
THB = NewRate(from_code="THB", to_code="USD", rate=Decimal("0.0285"), hold_pad_basis_points=250)
HEADER = "from,to,rate,pad,starts_at\n"


def refused(content: str | bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_rates(content.encode() if isinstance(content, str) else content, now=NOW)
    return caught.value


def told(content: str) -> list[str]:
    return [problem.message for problem in refused(content).problems]


@pytest.mark.parametrize(
    "text",
    [
        "from,to,rate,pad\nTHB,USD,0.0285,2.5\n",
        "from,to,rate,pad\nTHB,USD,0.0285,2.5",
        "\ufefffrom,to,rate,pad\nTHB,USD,0.0285,2.50\n",
        "from,to,rate,pad\r\nTHB,USD,0.0285,2.5\r\n",
        "from,to,rate,pad\rTHB,USD,0.0285,2.5\r",
        "\n\nfrom,to,rate,pad,starts_at\n\nTHB,USD,0.0285,02.5,\n,,,,\n\n",
        " from , to , rate , pad \n THB , USD , 0.0285 , 2.5 \n",
        '"from","to","rate","pad"\n"THB","USD","0.0285","2.5"\n',
        "pad,rate,to,from\n2.5,0.0285,USD,THB\n",
    ],
)
def test_one_rate_written_in_many_ways(text: str) -> None:
    assert read_rates(text.encode(), now=NOW) == [THB]


def test_a_line_may_say_from_when_on_and_have_no_pad() -> None:
    text = (
        "EUR,USD,1.0845,,2027-01-01T00:00:00+07:00\n"
        "VND,USD,0.000038,0,2027-01-01T00:00:00\n"
        "USD,KHR,4000,100,2027-01-01\n"
    )
    read = read_rates((HEADER + text).encode(), now=NOW)
    assert [(each.hold_pad_basis_points, each.starts_at) for each in read] == [
        (0, datetime(2026, 12, 31, 17, tzinfo=UTC)),
        (0, datetime(2027, 1, 1, tzinfo=UTC)),
        (10_000, datetime(2027, 1, 1, tzinfo=UTC)),
    ]


def test_every_wrong_line_is_told_in_the_order_of_the_file() -> None:
    text = (
        "THB,USD,0.0285,2.5,\n"
        "THBX,USD,0.0285,,\n"
        "\n"
        "EUR,USD,1,2\n"
        "EUR,USD,-1,x,soon\n"
        "EUR,THB,1,,\n"
        "VND,USD,1,,2026-11-25T11:59:59Z\n"
        "THB,USD,0.0286,,\n"
    )
    assert told(HEADER + text) == [
        "line 3: 'THBX' is no currency of ISO 4217.",
        "line 5: has 4 cells, and 5 columns.",
        "line 6: '-1' is no rate: at most 9 digits before the point and 12 after it.",
        "line 6: 'x' is no pad: a percentage of at most two decimals.",
        "line 6: 'soon' is no time; write it like 2027-01-31T18:00:00Z.",
        "line 7: 'THB' is no currency of accounts, which are USD, KHR.",
        "line 8: A rate starts from now (2026-11-25T12:00:00Z) on, not before.",
        "line 9: THB to USD is given twice.",
    ]


@pytest.mark.parametrize(
    "rate",
    [
        *("", "0", "0.0", "-1", "+1", "1e3", "1E-3", "NaN", "sNaN", "Infinity", "-Infinity"),
        *(".5", "5.", "1,5", "1_000", "0x1", "1 000", "\u0660.\u0665", "1.0\x00", "$1", "1.2.3"),
        *("1000000000", "1.0000000000001", "9" * 5_000, "0." + "0" * 5_000 + "1"),
    ],
)
def test_what_is_no_rate_is_refused(rate: str) -> None:
    (message,) = told(f'{HEADER}THB,USD,"{rate}",,\n')
    assert "rate" in message
    assert len(message) < 200


@pytest.mark.parametrize("pad", ["-1", "2.555", "100.01", "101", "1000", "2.5%", "NaN", "1e1", "٢"])
def test_what_is_no_pad_is_refused(pad: str) -> None:
    (message,) = told(f"{HEADER}THB,USD,0.0285,{pad},\n")
    assert "pad" in message


@pytest.mark.parametrize(
    "starts_at",
    [
        *("tomorrow", "2027-13-01", "2027-02-30T00:00:00Z", "25/12/2027", "1e9"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-25", "1970-01-01"),
    ],
)
def test_what_is_no_time_from_now_on_is_refused(starts_at: str) -> None:
    assert len(told(f"{HEADER}THB,USD,0.0285,,{starts_at}\n")) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "There is no rate in it."),
        (b"\xef\xbb\xbf", "There is no rate in it."),
        (b"\r\n\r\n", "There is no rate in it."),
        (b",,,,\n", "There is no rate in it."),
        (HEADER.encode(), "There is no rate in it."),
        (b"THB,USD,0.0285\n", "The first line names the columns"),
        (b"from,to\nTHB,USD\n", "The first line names the columns"),
        (b"from,to,rate,pad,pad\n", "The first line names the columns"),
        (b"from,to,rate,pad,\n", "The first line names the columns"),
        (b"from;to;rate\nTHB;USD;0.0285\n", "The first line names the columns"),
        (b"From,To,Rate\n", "The first line names the columns"),
        (b"from,to,rate\nTHB,USD,\xff\n", "The file is not UTF-8, from its byte 21 on."),
        (HEADER.encode("utf-16"), "The file is not UTF-8, from its byte 0 on."),
        (b"\x00" * 100, "The first line names the columns"),
        (b"x" * (RATES_FILE_SIZE_MAX + 1), "A file of rates is of 1 MiB at most."),
        (b"\n" * (10 * 2**20), "A file of rates is of 1 MiB at most."),
    ],
)
def test_what_is_no_file_of_rates_is_refused(content: bytes, says: str) -> None:
    error = refused(content)
    assert error.message.startswith(says)
    assert error.problems == ()


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ('THB,USD,"0.0285\nEUR,USD,1,,\n', 3),
        ('THB,USD,"0.02"85,,\n', 2),
        (f"THB,USD,{'1' * 200_000},,\n", 2),
    ],
)
def test_what_is_no_csv_is_told_where_it_ends(rest: str, line: int) -> None:
    (message,) = told(HEADER + rest)
    assert message.startswith(f"line {line}: is no CSV: ")


def test_a_large_file_of_nothing_but_wrong_lines_is_told_line_by_line() -> None:
    lines = 10_000
    messages = told(HEADER + "a,b,c,d,e\n" * lines)
    assert len({message.split(":")[0] for message in messages}) == lines


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (HEADER + text).encode()))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(Invalid):
        assert read_rates(content, now=NOW)


def test_the_words_of_a_command_are_read_as_a_line_is() -> None:
    words = {"from": "THB", "to": "USD", "rate": "0.0285", "pad": "2.5", "starts_at": ""}
    assert read_rate(words) == THB
    with pytest.raises(Invalid) as caught:
        read_rate({**words, "rate": "x", "pad": "y", "starts_at": "z"})
    assert [p.pointer for p in caught.value.problems] == ["/rate", "/pad", "/starts_at"]
