"""Clearing files are read whole or not at all: both forms, both blockings, cut at every place."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, cast

import pytest
from cardutil import config, iso8583  # pyright: ignore[reportMissingTypeStubs] - has none
from hypothesis import given
from hypothesis import strategies as st

from bayon.cards import Total, read_clearing_csv, read_ipm
from bayon.cards.clearing_csv import COLUMNS
from bayon.cards.clearing_ipm import read_fields
from bayon.cards.presentment import ClearingFile, Note, Presentment, key_of
from bayon.errors import Invalid
from cards.clearing_files import (
    csv_line,
    ipm_ends,
    ipm_record,
    unknown_number,
    write_csv,
    write_ipm,
)

NUMBER: Final = unknown_number()
ARD: Final = "55123456327000000000012"
RECORDS: Final = (
    ipm_record(NUMBER, 1_500, DE31=ARD, DE37="633018000001", DE41="T1"),
    ipm_record(NUMBER, 2_500, DE3="010000", DE6=10_000_000, DE51="116"),
    ipm_record(NUMBER, 700, DE3="200000", DE49="392", PDS0148="3920"),
    {"MTI": "1442", "DE2": NUMBER, "DE4": 900, "DE24": "450", "DE31": ARD, "DE49": "840"},
    {"MTI": "1644", "DE24": "685"},
    ipm_record(NUMBER, 1_500, DE24="205", DE31=ARD),
)
MANY: Final = [ipm_record(NUMBER, amount) for amount in range(1, 30)]
WIRES: Final = [
    (encoding, blocked) for encoding in ("latin_1", "cp500") for blocked in (False, True)
]


def presentments(read: ClearingFile) -> list[Presentment]:
    return [each for each in read.records if isinstance(each, Presentment)]


def refused(content: bytes, **options: Any) -> Invalid:  # noqa: ANN401 - the reader's own
    with pytest.raises(Invalid) as caught:
        read_ipm(content, **options)
    return caught.value


@pytest.mark.parametrize(("encoding", "blocked"), WIRES)
def test_an_ipm_file_is_read_on_every_wire(encoding: str, *, blocked: bool) -> None:
    read = read_ipm(write_ipm(ipm_ends(RECORDS), encoding=encoding, blocked=blocked))
    purchase, cash, refund = presentments(read)
    assert (purchase.kind, purchase.adjustment, purchase.amount_minor) == (
        "purchase",
        "debit",
        1_500,
    )
    assert (purchase.currency, purchase.billing) == ("USD", None)
    assert purchase.occurred_at == datetime(2026, 11, 25, 11, tzinfo=UTC)
    assert (purchase.reference, purchase.rrn) == (ARD, "633018000001")
    assert (purchase.approval_code, purchase.terminal) == ("123456", "T1")
    merchant = purchase.merchant
    assert (merchant.name, merchant.city, merchant.country) == ("Rocket Rides", "Phnom Penh", "KH")
    assert (merchant.mcc, merchant.category) == ("4121", "taxicabs_limousines")
    assert (cash.kind, cash.billing) == ("cash_withdrawal", ("KHR", 10_000_000))
    assert (refund.adjustment, refund.currency, refund.amount_minor) == ("credit", "JPY", 700)
    notes = [each for each in read.records if isinstance(each, Note)]
    assert [note.kind for note in notes] == ["1442-450", "1240-205"]
    assert read.totals == (
        Total(adjustment="credit", currency="JPY", count=1, amount_minor=700),
        Total(adjustment="debit", currency="USD", count=2, amount_minor=4_000),
    )


def test_a_files_encoding_and_blocking_may_be_given_and_must_be_right() -> None:
    plain, blocked = write_ipm(RECORDS), write_ipm(RECORDS, blocked=True)
    assert read_ipm(plain, encoding="latin_1", blocking="none").records
    assert read_ipm(blocked, blocking="1014").records
    refused(plain, blocking="1014")
    refused(blocked, blocking="none")
    refused(plain, encoding="cp500")


def test_an_amount_in_other_minor_units_is_counted_in_ours() -> None:
    def amount(minor: int, exponent: str) -> int:
        record = ipm_record(NUMBER, minor, PDS0148=f"840{exponent}")
        (read,) = presentments(read_ipm(write_ipm([record])))
        return read.amount_minor

    assert [amount(15, "0"), amount(1_500, "2"), amount(15_000, "3")] == [1_500] * 3
    refused(write_ipm([ipm_record(NUMBER, 15_001, PDS0148="8403")]))


def test_a_reversal_of_a_presentment_goes_the_other_way_and_is_another_record() -> None:
    read = read_ipm(
        write_ipm(
            [ipm_record(NUMBER, 5, DE31=ARD), ipm_record(NUMBER, 5, DE31=ARD, PDS0025="R261126")]
        )
    )
    assert [each.adjustment for each in presentments(read)] == ["debit", "credit"]
    assert len({key_of(each, bytes(32)) for each in read.records}) == 2


@pytest.mark.parametrize(("encoding", "blocked"), WIRES)
@pytest.mark.parametrize("ended", [False, True])
def test_a_file_cut_anywhere_is_refused(encoding: str, *, blocked: bool, ended: bool) -> None:
    records = ipm_ends(MANY) if ended else MANY
    whole = write_ipm(records, encoding=encoding, blocked=blocked)
    assert len(read_ipm(whole).records) == len(MANY)
    for size in {*range(0, len(whole), 50), *range(0, len(whole), 1_014), len(whole) - 1}:
        refused(whole[:size])


@pytest.mark.parametrize("blocked", [False, True])
def test_a_file_without_its_trailer_is_refused_though_its_records_are_whole(
    *, blocked: bool
) -> None:
    error = refused(write_ipm(ipm_ends(MANY)[:-1], blocked=blocked))
    assert error.message == "The file is refused whole: it is cut short, it has no trailer."


@pytest.mark.parametrize(
    ("totals", "says"),
    [
        ({"amounts": "0000000000000434"}, "control total of amounts is not 435"),
        ({"messages": "00000030"}, "control total of messages is not 31"),
        ({"messages": "0000003x"}, "control total of messages is not 31"),
    ],
)
def test_a_file_that_does_not_add_up_is_refused(totals: dict[str, str], says: str) -> None:
    assert says in refused(write_ipm(ipm_ends(MANY, **totals))).problems[0].message


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"DE49": "999"}, "DE4 is an amount, and DE49 its currency."),
        ({"DE4": 0}, "DE4 is out of range."),
        ({"DE3": "00x000"}, "DE3 is six digits."),
        ({"MTI": "9240"}, "is of no type we know."),
        ({"DE48": "00230"}, "DE48 is not made of PDS."),
        ({"DE48": "0023-07"}, "DE48 is not made of PDS."),
        ({"DE37": "\x01\x02"}, "DE37 is of 1 to 39 letters"),
    ],
)
def test_a_record_that_is_wrong_refuses_the_file(fields: dict[str, Any], says: str) -> None:
    error = refused(write_ipm([ipm_record(NUMBER, 5), ipm_record(NUMBER, 5, **fields)]))
    assert [says in problem.message for problem in error.problems] == [True]
    assert error.problems[0].pointer == "/2"
    assert NUMBER not in str([problem.message for problem in error.problems])


@pytest.mark.parametrize("encoding", ["latin_1", "cp500"])
def test_every_field_is_read_as_cardutil_reads_it(encoding: str) -> None:
    table = cast("dict[str, Any]", config.config["bit_config"])
    bare = {
        number: {name: field[name] for name in ("field_type", "field_length")}
        for number, field in table.items()
    }
    values = {
        f"DE{number}": "1" * (bare[number]["field_length"] or 7) for number in bare if number != "1"
    }
    chosen = [{"DE2"}, {"DE127"}, set(values), {"DE4", "DE37", "DE63"}, {"DE14", "DE125"}]
    for names in chosen:
        record = {"MTI": "1240", **{name: values[name] for name in names}}
        written = cast("Any", iso8583).dumps(record, encoding=encoding, iso_config=bare)
        theirs = cast("Any", iso8583).loads(written, encoding=encoding, iso_config=bare)
        assert read_fields(written, cast("Any", encoding)) == theirs == record
        assert read_fields(written + b"1", cast("Any", encoding)) is None
        assert read_fields(written[:-1], cast("Any", encoding)) is None


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=400))
def test_whatever_bytes_a_file_is_made_of_it_is_read_or_refused(noise: bytes, at: int) -> None:
    whole = write_ipm(MANY[:3])
    for content in (noise, whole[:at] + noise + whole[at + len(noise) :]):
        for read in (read_ipm, read_clearing_csv):
            with suppress(Invalid):
                read(content)


CSV: Final = write_csv(
    [
        csv_line(NUMBER, 1_500, reference=ARD, rrn="633018000001", mcc="4121", more="yes"),
        csv_line(NUMBER, 20, type="cash", billing_amount="81000", billing_currency="KHR"),
        csv_line(NUMBER, 700, type="refund", currency="JPY"),
    ]
)


def test_a_csv_is_read() -> None:
    read = read_clearing_csv(CSV)
    purchase, cash, refund = presentments(read)
    assert (purchase.line, purchase.amount_minor, purchase.final) == (2, 1_500, False)
    assert (purchase.reference, purchase.merchant.category) == (ARD, "taxicabs_limousines")
    assert (cash.kind, cash.billing, cash.final) == ("cash_withdrawal", ("KHR", 81_000), True)
    assert (refund.adjustment, refund.currency) == ("credit", "JPY")
    assert [(each.count, each.amount_minor) for each in read.totals] == [(1, 700), (2, 1_520)]


def test_a_csv_cut_anywhere_is_refused() -> None:
    for size in range(len(CSV) - 1):  # the last end of line says nothing
        with pytest.raises(Invalid):
            read_clearing_csv(CSV[:size])
    assert read_clearing_csv(CSV[:-1]).records


@pytest.mark.parametrize(
    "totals",
    [
        "",
        "debits,2,1500,USD",
        "debits,1,1501,USD",
        "debits,1,1500,KHR",
        "credits,1,1500,USD",
        "debits,1,1500,USD debits,1,1500,USD",
        "debits,1,1500,USD credits,0,0,USD",
    ],
)
def test_a_csv_whose_totals_are_wrong_is_refused(totals: str) -> None:
    with pytest.raises(Invalid, match=r"are not those of its lines, debits,1,1500,USD\."):
        read_clearing_csv(write_csv([csv_line(NUMBER, 1_500)], totals=totals))


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"type": "gift"}, "type is purchase, cash, refund"),
        ({"amount": "0"}, "amount is in minor units"),
        ({"amount": "1.50"}, "amount is in minor units"),
        ({"currency": "XYZ"}, "currency is one of ISO 4217."),
        ({"time": "yesterday"}, "time is one of ISO 8601"),
        ({"billing_amount": "5"}, "billing_amount and billing_currency go together."),
        ({"country": "Cambodia"}, "country is two capital letters."),
        ({"mcc": "12"}, "mcc is four digits."),
        ({"more": "no"}, "more is yes or empty."),
        ({"name": "a\x00b"}, "all printable."),
        ({"reference": "=1+1"}, "reference is of 1 to 39 letters"),
    ],
)
def test_a_line_that_is_wrong_refuses_the_file(cells: dict[str, str], says: str) -> None:
    line = csv_line(NUMBER, 1_500) | cells
    totals = "debits,1,1500,USD"
    with pytest.raises(Invalid) as caught:
        read_clearing_csv(write_csv([line], totals=totals))
    assert [says in problem.message for problem in caught.value.problems] == [True]
    assert re.match(r"record 2: ", caught.value.problems[0].message)


def test_a_csv_with_other_columns_is_refused() -> None:
    for head in ("card_number,type", ",".join((*COLUMNS, "cvv")), "type,card_number,amount"):
        with pytest.raises(Invalid, match="The first line names the columns"):
            read_clearing_csv(f"{head}\nend,0\n".encode())


def test_what_stands_behind_the_end_refuses_the_file() -> None:
    with pytest.raises(Invalid, match="not all of its records are right"):
        read_clearing_csv(CSV + b"end,3\n")
