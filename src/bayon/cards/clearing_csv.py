"""Clearing files as CSV, as docs/clearing.md describes them. Pure.

UTF-8, the names of the columns first, a presentment a line, then the control totals and the end:

    type,card_number,amount,currency,time,reference,approval_code,name,country
    purchase,9116000012345678,1500,USD,2027-01-31T18:00:00Z,A1,123456,Rocket Rides,KH
    debits,1,1500,USD
    end,1
"""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from bayon.cards.merchants import category_of
from bayon.cards.model import Adjustment, Kind, Merchant
from bayon.cards.presentment import (
    RECORDS_MAX,
    ClearingFile,
    Note,
    Presentment,
    Total,
    reference_text,
    refuse,
    size_is_right,
    totals_of,
)
from bayon.errors import Invalid
from bayon.iso4217 import by_code
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX

NEEDED: Final = ("type", "card_number", "amount", "currency", "time")
COLUMNS: Final = (
    *NEEDED,
    *("billing_amount", "billing_currency", "reference", "rrn", "approval_code", "terminal"),
    *("name", "city", "country", "mcc", "more"),
)
CELL_LENGTH_MAX: Final = 200

_TYPES: Final[Mapping[str, tuple[Kind, Adjustment]]] = {
    "purchase": ("purchase", "debit"),
    "cash": ("cash_withdrawal", "debit"),
    "refund": ("purchase", "credit"),
}
_SIDES: Final[Mapping[str, Adjustment]] = {"debits": "debit", "credits": "credit"}
_AMOUNT: Final = re.compile(r"[0-9]{1,15}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_MCC: Final = re.compile(r"[0-9]{4}")
_UNTOLD: Final = "the end is missing: it is not whole."


@dataclass(slots=True)
class _Reading:
    columns: Sequence[str] | None = None
    records: list[Presentment] = field(default_factory=list[Presentment])
    totals: list[Total] = field(default_factory=list[Total])
    problems: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    count: int = 0
    ended: bool = False


def read_clearing_csv(content: bytes) -> ClearingFile:
    """Read a file, whole or not at all.

    Errors: `Invalid` when it is too large, not UTF-8, has other columns, no end (it is cut short),
    or other totals than its lines; with a problem for each line that is wrong.
    """
    size_is_right(content)
    reading = _Reading()
    reader = csv.reader(io.StringIO(_text(content), newline=""), strict=True)
    try:
        for row in reader:
            _row(reading, [cell.strip() for cell in row], reader.line_num)
    except csv.Error as error:
        reading.problems.append((reader.line_num, f"is no CSV: {error}."))
    if reading.problems:
        raise refuse(reading.problems)
    if not reading.ended:
        raise Invalid(f"The file is refused whole: {_UNTOLD}")
    _totals_are_right(reading)
    records: tuple[Presentment | Note, ...] = tuple(reading.records)
    return ClearingFile(form="csv", digest=hashlib.sha256(content).digest(), records=records)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"The file is not UTF-8, from its byte {error.start} on.") from None


def _row(reading: _Reading, cells: list[str], line: int) -> None:
    if not any(cells):
        return
    if reading.columns is None:
        reading.columns = _columns(cells)
    elif reading.ended:
        reading.problems.append((line, "stands behind the end."))
    elif cells[0] == "end":
        _end(reading, cells, line)
    elif cells[0] in _SIDES:
        _total(reading, cells, line)
    else:
        _presentment(reading, cells, line)


def _columns(cells: list[str]) -> list[str]:
    if len(set(cells)) < len(cells) or cells[0] != "type" or not _known(cells):
        raise Invalid(
            f"The first line names the columns: type first, {', '.join(NEEDED[1:])} and, if need "
            f"be, {', '.join(COLUMNS[len(NEEDED) :])}, separated by commas."
        )
    return cells


def _known(cells: list[str]) -> bool:
    return set(NEEDED) <= set(cells) <= set(COLUMNS)


def _end(reading: _Reading, cells: list[str], line: int) -> None:
    reading.ended = True
    if [cell for cell in cells[1:] if cell] != [str(reading.count)]:
        says = f"the end does not count the {reading.count} records before it."
        reading.problems.append((line, says))


def _total(reading: _Reading, cells: list[str], line: int) -> None:
    match cells:
        case [side, count, amount, currency, *rest] if (
            _AMOUNT.fullmatch(count) and _AMOUNT.fullmatch(amount) and not any(rest)
        ):
            reading.totals.append(
                Total(
                    adjustment=_SIDES[side],
                    currency=currency,
                    count=int(count),
                    amount_minor=int(amount),
                )
            )
        case _:
            reading.problems.append((line, "a total has a count, an amount and a currency."))


def _totals_are_right(reading: _Reading) -> None:
    found = set(totals_of(reading.records))
    if found == set(reading.totals) and len(reading.totals) == len(found):
        return
    shown = "; ".join(
        f"{each.adjustment}s,{each.count},{each.amount_minor},{each.currency}"
        for each in totals_of(reading.records)
    )
    raise Invalid(
        "The file is refused whole: its control totals are not those of its lines, "
        f"{shown or 'none'}."
    )


def _presentment(reading: _Reading, cells: list[str], line: int) -> None:
    assert reading.columns is not None, "they were read first"
    reading.count += 1
    if reading.count > RECORDS_MAX:
        raise Invalid(f"A clearing file has {RECORDS_MAX} records at most.")
    if len(cells) != len(reading.columns):
        says = f"has {len(cells)} cells, and {len(reading.columns)} columns."
        reading.problems.append((line, says))
        return
    read = _read(dict(zip(reading.columns, cells, strict=True)), line)
    if isinstance(read, Presentment):
        reading.records.append(read)
    else:
        reading.problems += [(line, says) for says in read]


def _read(cells: Mapping[str, str], line: int) -> Presentment | list[str]:
    problems = [*_problems(cells)]
    traced = {
        name: reference_text(cells.get(name, ""), problems, name)
        for name in ("reference", "rrn", "approval_code", "terminal")
    }
    if problems:
        return problems
    kind, adjustment = _TYPES[cells["type"]]
    billed = cells.get("billing_amount")
    mcc = cells.get("mcc") or None
    return Presentment(
        line=line,
        pan=Secret(cells["card_number"]),
        kind=kind,
        adjustment=adjustment,
        amount_minor=int(cells["amount"]),
        currency=cells["currency"],
        billing=(cells["billing_currency"], int(billed)) if billed else None,
        occurred_at=_instant(cells["time"]),
        reference=traced["reference"],
        rrn=traced["rrn"],
        approval_code=traced["approval_code"],
        terminal=traced["terminal"],
        merchant=Merchant(
            name=cells.get("name") or "Unknown",
            city=cells.get("city") or "",
            country=cells.get("country") or "KH",
            category=category_of(mcc) if mcc else None,
            mcc=mcc,
        ),
        final=cells.get("more") != "yes",
    )


def _problems(cells: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    laws = {
        f"type is {', '.join(_TYPES)}, debits, credits or end.": cells["type"] in _TYPES,
        "amount is in minor units, more than 0.": _is_amount(cells["amount"]),
        "currency is one of ISO 4217.": by_code(cells["currency"]) is not None,
        "time is one of ISO 8601, like 2027-01-31T18:00:00Z.": _instant(cells["time"]) is not None,
        "billing_amount and billing_currency go together.": _billing(cells),
        "country is two capital letters.": _fits(_COUNTRY, cells.get("country")),
        "mcc is four digits.": _fits(_MCC, cells.get("mcc")),
        "more is yes or empty.": cells.get("more", "") in {"", "yes"},
        f"a cell has {CELL_LENGTH_MAX} characters at most, all printable.": all(
            len(cell) <= CELL_LENGTH_MAX and cell.isprintable() for cell in cells.values()
        ),
    }
    problems += [law for law, holds in laws.items() if not holds]
    return problems


def _is_amount(text: str) -> bool:
    return bool(_AMOUNT.fullmatch(text)) and 0 < int(text) <= AMOUNT_MINOR_MAX


def _billing(cells: Mapping[str, str]) -> bool:
    amount, currency = cells.get("billing_amount", ""), cells.get("billing_currency", "")
    return amount == currency == "" or (_is_amount(amount) and by_code(currency) is not None)


def _fits(shape: re.Pattern[str], text: str | None) -> bool:
    return not text or bool(shape.fullmatch(text))


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
