"""Exchange rates as people write them: in a CSV file, or in the words of a command. Pure.

The file is UTF-8, begins with the names of its columns, and has a rate a line:

    from,to,rate,pad,starts_at
    THB,USD,0.0285,2.5,
    EUR,USD,1.0845,,2027-01-01T00:00:00+07:00

The last two columns may be missing, or empty: then there is no pad, and it starts at once.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from bayon.cards.rates import DECIMALS_MAX, WHOLE_DIGITS_MAX, NewRate, judge
from bayon.errors import Invalid, Problem

FILE_SIZE_MAX: Final = 1_048_576
COLUMNS: Final = ("from", "to", "rate", "pad", "starts_at")
NEEDED: Final = COLUMNS[:3]

_RATE: Final = re.compile(rf"[0-9]{{1,{WHOLE_DIGITS_MAX}}}(\.[0-9]{{1,{DECIMALS_MAX}}})?")
_PAD: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?")


def read_rates(content: bytes, *, now: datetime) -> list[NewRate]:
    """Read a file of rates, whole or not at all.

    Errors: `Invalid` when it is over 1 MiB, not UTF-8, has other columns, or no rate; with a
    problem for each thing that is wrong in a line, pointed at by `/LINE`.
    """
    rates: list[tuple[int, NewRate]] = []
    wrong: list[tuple[int, str]] = []
    for line, cells in _lines(_text(content)):
        try:
            rates.append((line, read_rate(_whole(cells))))
        except Invalid as error:
            wrong += [(line, problem.message) for problem in error.problems]
    wrong += [(rates[at][0], says) for at, says in judge([rate for _, rate in rates], now=now)]
    if wrong:
        raise Invalid(
            "No rate was read, since not all lines are right.",
            problems=tuple(
                Problem(pointer=f"/{line}", message=f"line {line}: {says}")
                for line, says in sorted(wrong, key=lambda each: each[0])
            ),
        )
    if not rates:
        raise Invalid("There is no rate in it.")
    return [rate for _, rate in rates]


def read_rate(cells: Mapping[str, str]) -> NewRate:
    """Read the texts of one rate, by the names of `COLUMNS`.

    Errors: `Invalid`, with a problem for each that is no number or no time.
    """
    problems = tuple(_problems(cells))
    if problems:
        raise Invalid(problems=problems)
    starts_at = cells.get("starts_at")
    return NewRate(
        from_code=cells["from"],
        to_code=cells["to"],
        rate=Decimal(cells["rate"]),
        hold_pad_basis_points=int(Decimal(cells.get("pad") or "0").scaleb(2)),
        starts_at=_instant(starts_at) if starts_at else None,
    )


def _problems(cells: Mapping[str, str]) -> Iterator[Problem]:
    pad, starts_at = cells.get("pad"), cells.get("starts_at")
    if not _RATE.fullmatch(cells["rate"]):
        says = (
            f"is no rate: at most {WHOLE_DIGITS_MAX} digits before the point and {DECIMALS_MAX} "
            "after it."
        )
        yield Problem(pointer="/rate", message=f"{cells['rate'][:32]!r} {says}")
    if pad and not _PAD.fullmatch(pad):
        says = "is no pad: a percentage of at most two decimals."
        yield Problem(pointer="/pad", message=f"{pad[:12]!r} {says}")
    if starts_at and _instant(starts_at) is None:
        says = "is no time; write it like 2027-01-31T18:00:00Z."
        yield Problem(pointer="/starts_at", message=f"{starts_at[:40]!r} {says}")


def _text(content: bytes) -> str:
    if len(content) > FILE_SIZE_MAX:
        raise Invalid("A file of rates is of 1 MiB at most.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"The file is not UTF-8, from its byte {error.start} on.") from None


def _lines(text: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Cut a file into the cells of its lines, by column, or what is wrong; empty ones are none."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if columns is None:
                columns = _columns(cells)
            elif len(cells) == len(columns):
                yield reader.line_num, dict(zip(columns, cells, strict=True))
            else:
                yield reader.line_num, f"has {len(cells)} cells, and {len(columns)} columns."
    except csv.Error as error:  # nothing behind it can be told apart
        yield reader.line_num, f"is no CSV: {error}."


def _whole(cells: dict[str, str] | str) -> dict[str, str]:
    if isinstance(cells, str):
        raise Invalid(problems=(Problem(pointer="", message=cells),))
    return cells


def _columns(cells: list[str]) -> list[str]:
    known, needed = set(COLUMNS), set(NEEDED)
    if len(set(cells)) < len(cells) or not needed <= set(cells) <= known:
        raise Invalid(
            f"The first line names the columns, {', '.join(NEEDED)} and, if need be, "
            f"{', '.join(COLUMNS[3:])}, separated by commas."
        )
    return cells


def _instant(text: str) -> datetime | None:
    """Read an instant of ISO 8601; without an offset it is in UTC."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
