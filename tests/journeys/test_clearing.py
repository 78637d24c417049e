"""`bayon clearing` as a process: imported once, refused whole, reported."""

import asyncio
import csv
import io
import re
import signal
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from bayon.cards import ImportCard, Trace, import_card
from bayon.db import Database, Tx
from bayon.log import Secret
from cards.clearing_files import csv_line, ipm_ends, ipm_record, write_csv, write_ipm
from cards_factories import (
    VAULT,
    VAULT_KEYS,
    Purse,
    balance_of,
    make_authorize,
    make_purse,
    move_one,
    now_of,
)
from journeys.running import Done, Home, Running, query

PAGE: Final = (Path(__file__).parents[2] / "docs/clearing.md").read_text()
NUMBER: Final = "9116000000123457"
LINES: Final = 3_000
POSTED: Final = 10_000 - 1_500 - 275 + 500
RECORDS: Final = "SELECT count(*) FROM cards.clearing_record"
FILES: Final = "SELECT count(*) FROM cards.clearing_file"


class Operator:
    """Somebody who types `bayon clearing` on a database with one card, of the page's number."""

    def __init__(self, home: Home, url: str, db: Database, purse: Purse) -> None:
        self.home: Home = home
        self.url: str = url
        self.db: Database = db
        self.purse: Purse = purse

    async def clearing(self, *words: str | Path, stdin: bytes = b"") -> Done:
        return await self.home.bayon("clearing", *words, stdin=stdin, **self._env())

    def start(self, *words: str | Path) -> Running:
        return self.home.start("bayon", "clearing", *words, stdin=b"", **self._env())

    def _env(self) -> dict[str, str]:
        return {
            "BAYON_DATABASE_URL": self.url,
            **{
                f"BAYON_{name.upper()}": getattr(VAULT_KEYS, name).reveal()
                for name in VAULT_KEYS.__dataclass_fields__
            },
        }

    async def posted_minor(self) -> int:
        return (await balance_of(self.db, self.purse.account)).posted_minor

    def keep(self, content: bytes, name: str = "fares.csv") -> Path:
        file = self.home.folder / name
        file.write_bytes(content)
        return file


@pytest.fixture
async def operator(home: Home, database: str) -> AsyncGenerator[Operator]:
    db = await Database.connect(database, size_max=4)
    purse = await make_purse(db, usd_minor=10_000)

    async def imported(tx: Tx) -> Purse:
        command = ImportCard(
            issuer_id=purse.issuer.id,
            account_id=purse.account.id,
            pan=Secret(NUMBER),
            exp_month=12,
            exp_year=2099,
            pin=None,
        )
        card = await import_card(tx, command, vault=VAULT, now=await now_of(tx))
        return replace(purse, card=card)

    yield Operator(home, database, db, await db.transaction(imported))
    await db.close()


def block(language: str) -> str:
    """Read the page's one block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def told(text: str) -> list[list[str]]:
    """Cut what was printed into its cells, as the page prints them."""
    return [re.split(r"\t|  +", line.strip()) for line in text.splitlines()]


async def test_the_pages_example_is_imported_once_and_told_as_the_page_tells_it(
    operator: Operator,
) -> None:
    trace = Trace(mti="0100", rrn="633018000001", approval_code="123456", terminal="T1")
    await move_one(operator.db, make_authorize(operator.purse.card, 1_800, trace=trace))
    file = operator.keep(block("csv").encode())
    dry = await operator.clearing("import", file, "--dry-run")
    assert (dry.code, dry.out.splitlines()[0]) == (0, "This file is new.")
    assert await query(operator.url, FILES) == 0
    done = await operator.clearing("import", file)
    assert (done.code, done.err) == (0, "")
    said, printed = told(done.out), told(block("text"))
    assert said[1:] == printed[1:]
    assert said[0][1:3] + said[0][4:] == printed[0][1:3] + printed[0][-2:]
    assert await operator.posted_minor() == POSTED
    again = await operator.clearing("import", file)
    assert again.err == "This file was imported before: nothing is posted twice.\n"
    assert (again.code, again.out) == (0, done.out)
    assert await operator.posted_minor() == POSTED
    known = await operator.clearing("import", file, "--dry-run")
    assert known.out.splitlines()[0] == "This file was imported before."

    file_id = said[0][0]
    assert (await operator.clearing("report", file_id)).out == done.out
    today = f"{datetime.now(UTC).astimezone(timezone(timedelta(hours=7))):%Y-%m-%d}"
    assert (await operator.clearing("report", "--date", today)).out == done.out
    assert (await operator.clearing("report", "--date", "2001-01-01")).out == ""
    listed = await operator.clearing("unmatched")
    ((item, *cells),) = told(listed.out)
    assert (item, cells) == (f"{file_id}:3", printed[-1][1:])
    as_csv = await operator.clearing("report", file_id, "--report", "csv")
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [(row["state"], row["amount_minor"], row["difference_minor"]) for row in rows] == [
        ("matched", "1500", "-300"),
        ("unmatched", "275", ""),
        ("refunded", "500", ""),
    ]
    assert NUMBER not in done.out + as_csv.out + listed.out


@pytest.mark.parametrize(("encoding", "blocked"), [("latin_1", False), ("cp500", True)])
async def test_an_ipm_comes_by_standard_input_and_is_refused_whole_where_it_is_cut(
    operator: Operator, encoding: str, *, blocked: bool
) -> None:
    records = [ipm_record(NUMBER, amount, DE31=f"{amount:023}") for amount in range(1, 1_203)]
    whole = write_ipm(ipm_ends(records), encoding=encoding, blocked=blocked)
    cut = await operator.clearing("import", "-", stdin=whole[: len(whole) // 2])
    assert (cut.code, cut.out) == (1, "")
    assert cut.err.startswith("bayon: The file is ")
    assert "Traceback" not in cut.err
    assert await query(operator.url, FILES) == 0
    done = await operator.clearing("import", "-", "--report", "csv", stdin=whole)
    assert (done.code, len(done.out.splitlines())) == (0, 1_203)
    assert await operator.posted_minor() == 10_000 - sum(range(1, 1_203))
    assert await query(operator.url, RECORDS) == 1_202


async def test_killed_it_goes_on_where_it_was(operator: Operator) -> None:
    lines = [csv_line(NUMBER, 1, reference=f"A{place}") for place in range(LINES)]
    file = operator.keep(write_csv(lines))
    running = operator.start("import", file)
    while await query(operator.url, RECORDS) == 0:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.01)
    assert (await running.stop(signal.SIGKILL)).code == -signal.SIGKILL
    before = await query(operator.url, RECORDS)
    assert 0 < before < LINES  # it was killed half-way
    done = await operator.clearing("import", file)
    assert (done.code, done.err) == (0, "")
    assert await query(operator.url, RECORDS) == LINES
    assert await operator.posted_minor() == 10_000 - LINES
    again = await operator.clearing("import", file)
    assert again.out == done.out
    assert await operator.posted_minor() == 10_000 - LINES


async def test_what_cannot_be_read_is_said_and_not_written(operator: Operator) -> None:
    wrong = block("csv").replace("debits,2,1775,USD", "debits,2,1776,USD").encode()
    done = await operator.clearing("import", operator.keep(wrong))
    assert (done.code, done.out) == (1, "")
    assert "its control totals are not those of its lines" in done.err
    number = block("csv").replace(NUMBER, "9116000000123450").encode()
    done = await operator.clearing("import", operator.keep(number))
    assert done.err.splitlines()[1] == (
        "  record 2: A card number ends in its check digit, and this one does not."
    )
    both = await operator.clearing("import", operator.keep(wrong), "--blocking", "1014")
    assert both.err == "bayon: A CSV has neither --encoding nor --blocking: it is UTF-8.\n"
    none = await operator.clearing("report", "01a21533-d30d-7591-b523-ae50cb679279")
    assert (none.code, none.err) == (1, "bayon: There is no such clearing file.\n")
    missing = await operator.clearing("import", "no-such-file")
    assert missing.code == 1
    assert await query(operator.url, FILES) == 0


async def test_a_file_with_something_that_could_not_be_posted_says_so_by_its_exit_status(
    operator: Operator,
) -> None:
    content = block("csv").replace(",275,USD", ",275,THB").replace("2,1775,USD", "1,1500,USD")
    content = content.replace("credits,", "debits,1,275,THB\ncredits,")
    done = await operator.clearing("import", operator.keep(content.encode()))
    assert (done.code, done.err) == (1, "")
    assert "rejected\tdebit\t2.75 THB\t…3457" in done.out
    assert await operator.posted_minor() == 10_000 - 1_500 + 500


async def test_what_nobody_could_match_is_linked_and_closed(operator: Operator) -> None:
    pending = await move_one(operator.db, make_authorize(operator.purse.card, 275))
    done = await operator.clearing("import", operator.keep(block("csv").encode()))
    file_id = told(done.out)[0][0]
    first, second = f"{file_id}:2", f"{file_id}:3"
    for words in (("link", "1", str(pending.id)), ("close", f"{file_id}:4")):
        wrong = await operator.clearing(*words)
        assert (wrong.code, wrong.err) == (1, "bayon: There is no such open item.\n")
    linked = await operator.clearing("link", second, str(pending.id), "--note", "same shop")
    assert (linked.code, linked.err) == (0, "")
    assert told(linked.out) == [[str(pending.id), "reversed", "debit", "2.75 USD"]]
    assert await operator.posted_minor() == POSTED
    closed = await operator.clearing("close", first)
    assert told(closed.out)[0][:2] == [first, "unmatched"]
    as_csv = await operator.clearing("unmatched", "--report", "csv")
    assert (as_csv.code, len(as_csv.out.splitlines())) == (0, 1)
    report = await operator.clearing("report", file_id, "--report", "csv")
    states = [row["state"] for row in csv.DictReader(io.StringIO(report.out))]
    assert states == ["unmatched", "matched", "refunded"]
    for note in ("", "two\nlines", "n" * 501):
        assert (await operator.clearing("close", first, "--note", note)).code == 2
