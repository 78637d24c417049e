"""`bayon rates` as a process: set, listed, imported, refused."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from journeys.running import Done, Home, query

COUNT = "SELECT count(*) FROM cards.rate"


class Operator:
    """Somebody who types `bayon rates` on a database of their own."""

    def __init__(self, home: Home, database: str) -> None:
        self.home: Home = home
        self.database: str = database

    async def rates(self, *words: str | Path, stdin: bytes = b"") -> Done:
        return await self.home.bayon("rates", *words, stdin=stdin, BAYON_DATABASE_URL=self.database)

    async def listed(self, *words: str) -> list[list[str]]:
        done = await self.rates("list", *words)
        assert (done.code, done.err) == (0, "")
        return [line.split("\t") for line in done.out.splitlines()]


async def test_a_rate_is_set_told_back_and_listed(home: Home, database: str) -> None:
    operator = Operator(home, database)
    done = await operator.rates("set", "THB", "USD", "0.0285", "--pad", "2.5")
    assert done.code == 0, done.err
    said = done.out.splitlines()
    assert re.fullmatch(r"1 THB is 0\.0285 USD from \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ on\.", said[0])
    assert said[1:] == ["Of 1,000.00 THB, 29.21 USD is held and 28.50 USD cleared."]
    ahead = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    later = await operator.rates("set", "VND", "USD", "999999999", "--from", ahead)
    assert later.out.splitlines() == [
        f"1 VND is 999999999 USD from {ahead}T00:00:00Z on.",
        "Of 1,000 VND, 999,999,999,000.00 USD is held and 999,999,999,000.00 USD cleared.",
    ]
    corrected = b"from,to,rate\nTHB,USD,0.029\n"
    assert (await operator.rates("import", "-", stdin=corrected)).out == "Rates set: 1.\n"
    everything = await operator.listed("--all")
    assert [row[:4] + row[5:] for row in everything] == [
        ["THB", "USD", "0.0285", "2.50%", "past"],
        ["THB", "USD", "0.029", "0.00%", "now"],
        ["VND", "USD", "999999999", "0.00%", "ahead"],
    ]
    assert everything[2][4] == f"{ahead}T00:00:00Z"
    assert await operator.listed() == everything[1:]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("USD", "THB", "35"), "'THB' is no currency of accounts, which are USD, KHR."),
        (("THB", "USD", "NaN", "--pad", "x"), "'NaN' is no rate"),
    ],
)
async def test_what_cannot_be_set_is_said_and_not_written(
    home: Home, database: str, words: tuple[str, ...], says: str
) -> None:
    done = await Operator(home, database).rates("set", *words)
    assert (done.code, done.out) == (1, "")
    assert says in done.err
    assert "Traceback" not in done.err
    assert await query(database, COUNT) == 0


async def test_a_file_is_imported_whole_or_not_at_all(home: Home, database: str) -> None:
    operator = Operator(home, database)
    file = home.folder / "rates.csv"
    file.write_text("from,to,rate\nJPY,USD,0.0065\nKRW,USD,0\nLAK,THB,1\n")
    wrong = await operator.rates("import", file)
    assert (wrong.code, wrong.out) == (1, "")
    assert wrong.err.splitlines() == [
        "bayon: No rate was read, since not all lines are right.",
        "  line 3: A rate is more than 0, of at most 9 digits before the point and 12 after it.",
        "  line 4: 'THB' is no currency of accounts, which are USD, KHR.",
    ]
    assert await query(database, COUNT) == 0
    file.write_bytes("\ufefffrom,to,rate,pad\r\nTHB,USD,0.0285,2.5\r\nEUR,USD,1.16,\r\n".encode())
    done = await operator.rates("import", file)
    assert (done.code, done.out) == (0, "Rates set: 2.\n"), done.err
    file.write_bytes(b"x" * 10_000_000)
    large = await operator.rates("import", file)
    assert (large.code, large.err) == (1, "bayon: A file of rates is of 1 MiB at most.\n")
    assert await query(database, COUNT) == 2
