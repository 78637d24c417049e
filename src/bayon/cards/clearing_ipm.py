"""Clearing files as Mastercard's IPM: what of them is posted, noted, and must add up. Pure.

Records of variable length, each behind four bytes that tell it, the last of length zero; in blocks
of 1014 bytes or not, in ASCII or EBCDIC. `cardutil` reads the blocks and has the table of fields.
A logical file begins with 1644/697 and ends with 1644/695, which counts its messages (PDS 0306) and
adds up their amounts (PDS 0301).

Source: cardutil 0.7.3; ISO 8583:1993.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from cardutil import config, mciipm  # pyright: ignore[reportMissingTypeStubs] - has none
from msgspec import Struct, field

from bayon.cards.countries import country_of
from bayon.cards.merchants import category_of
from bayon.cards.model import Adjustment, Kind, Merchant
from bayon.cards.presentment import (
    RECORDS_MAX,
    ClearingFile,
    Note,
    Presentment,
    reference_text,
    refuse,
    size_is_right,
)
from bayon.clock import PHNOM_PENH
from bayon.errors import Invalid
from bayon.iso4217 import IsoCurrency, by_number
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX

Encoding = Literal["latin_1", "cp500", "cp037", "cp1140"]
Blocking = Literal["1014", "none"]

ENCODINGS: Final[tuple[Encoding, ...]] = ("latin_1", "cp500", "cp037", "cp1140")
BLOCKINGS: Final[tuple[Blocking, ...]] = ("1014", "none")
RECORD_SIZE_MAX: Final = 6_000
BLOCK_SIZE: Final = 1_014
PAD: Final = b"\x40"
LENGTH_SIZE: Final = 4

BITS: Final = 128
_BITMAP_END: Final = LENGTH_SIZE + BITS // 8
_HEADS: Final = {"FIXED": 0, "LLVAR": 2, "LLLVAR": 3}


FIELDS: Final[Mapping[int, tuple[int, int]]] = {
    int(number): (_HEADS[known["field_type"]], known["field_length"])
    for number, known in cast("dict[str, dict[str, Any]]", config.config["bit_config"]).items()
}
"""How each field of IPM is written: digits that tell its length, or the length it always has."""

_PDS_FIELDS: Final = ("DE48", "DE62", "DE123", "DE124", "DE125")
_CASH: Final = frozenset({"01", "12", "17"})
_HEADER, _TRAILER = "697", "695"
_DIGITS: Final = re.compile(r"[0-9]+")
_PDS: Final = re.compile(r"([0-9]{4})([0-9]{3})")


class _Reading(Struct):
    records: list[Presentment | Note] = field(default_factory=list[Presentment | Note])
    problems: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    inside: bool = False
    headed: bool = False
    count: int = 0
    amount_minor: int = 0


class _Record(Struct, frozen=True, kw_only=True):
    """One message: its fields and its PDS by name, and what was found wrong with it."""

    line: int
    fields: Mapping[str, str]
    pds: Mapping[str, str]
    problems: list[str] = field(default_factory=list[str])

    def text(self, name: str) -> str:
        return self.fields.get(name, "").strip()

    def number(self, name: str) -> int | None:
        text = self.fields.get(name)
        if text is None:
            return None
        if not (text.isascii() and _DIGITS.fullmatch(text)):
            self.problems.append(f"{name} is a number.")
            return None
        return int(text)


def read_ipm(
    content: bytes, *, encoding: Encoding | None = None, blocking: Blocking | None = None
) -> ClearingFile:
    """Read a file, whole or not at all; encoding and blocking are detected unless they are given.

    Errors: `Invalid` when it is too large, cut short, no IPM, or not what its trailer says; with a
    problem for each record that is wrong.
    """
    size_is_right(content)
    data = _unblocked(content, blocking)
    encoding = encoding or _encoding_of(data)
    reading = _Reading()
    for line, frame in enumerate(_frames(data), 1):
        if line > RECORDS_MAX:
            raise Invalid(f"A clearing file has {RECORDS_MAX} records at most.")
        record = _message(frame, encoding, line)
        if isinstance(record, str):
            reading.problems.append((line, record))
            continue
        _take(reading, record)
        reading.problems += [(line, says) for says in record.problems]
    if reading.problems:
        raise refuse(reading.problems)
    if reading.inside:
        raise _cut("it has no trailer")
    digest = hashlib.sha256(content).digest()
    return ClearingFile(form="ipm", digest=digest, records=tuple(reading.records))


def is_ipm(content: bytes) -> bool:
    """Tell whether a file begins as IPM does: with a length, not with a line of text."""
    return len(content) >= LENGTH_SIZE and content[:2] == b"\0\0"


def _unblocked(content: bytes, blocking: Blocking | None) -> bytes:
    blocks = [content[at : at + BLOCK_SIZE] for at in range(0, len(content), BLOCK_SIZE)]
    whole = bool(blocks) and all(
        len(block) == BLOCK_SIZE and block.endswith(PAD * 2) for block in blocks
    )
    if blocking == "1014" and not whole:
        raise _cut("it is not in whole blocks of 1014 bytes")
    if blocking == "none" or not whole:
        return content
    unblocked = io.BytesIO()
    mciipm.unblock_1014(io.BytesIO(content), unblocked)
    return unblocked.getvalue().rstrip(PAD)


def _encoding_of(data: bytes) -> Encoding:
    mti = data[LENGTH_SIZE : 2 * LENGTH_SIZE]
    return "latin_1" if mti.isdigit() else "cp500"


def _frames(data: bytes) -> Iterator[bytes]:
    """Cut records, to the one of length zero that ends them; nothing may stand behind it."""
    at = 0
    while True:
        size = int.from_bytes(data[at : at + LENGTH_SIZE])
        if len(data) >= at + LENGTH_SIZE and size > RECORD_SIZE_MAX:
            raise Invalid(f"The file is no IPM: a record of {size} bytes begins at byte {at}.")
        if len(data) < at + LENGTH_SIZE + size:
            raise _cut(f"it ends at byte {len(data)}, within a record or before the last")
        at += LENGTH_SIZE
        if size == 0:
            break
        yield data[at : at + size]
        at += size
    if data[at:]:
        raise Invalid("The file is no IPM: something stands behind its end.")


def _message(frame: bytes, encoding: Encoding, line: int) -> _Record | str:
    fields = read_fields(frame, encoding)
    if fields is None:
        return "is no message of IPM."
    pds: dict[str, str] = {}
    for name in _PDS_FIELDS:
        if not _read_pds(fields.get(name, ""), pds):
            return f"{name} is not made of PDS."
    return _Record(line=line, fields=fields, pds=pds)


def read_fields(frame: bytes, encoding: Encoding) -> dict[str, str] | None:
    """Cut a message into its type and its fields; None where it is not made of them to its end.

    Not by cardutil, which dumps every message for its debug log, whether there is one or not: it
    takes fifteen times as long.
    """
    if len(frame) < _BITMAP_END or not (mti := frame[:LENGTH_SIZE].decode(encoding)).isdecimal():
        return None
    bitmap = int.from_bytes(frame[LENGTH_SIZE:_BITMAP_END])
    fields, at = {"MTI": mti}, _BITMAP_END
    for number in range(2, BITS + 1):
        if not bitmap >> (BITS - number) & 1:
            continue
        if (known := FIELDS.get(number)) is None:
            return None
        head, size = known
        if head:
            told = frame[at : at + head].decode(encoding)
            if not (told.isascii() and told.isdigit()):
                return None
            at, size = at + head, int(told)
        fields[f"DE{number}"] = frame[at : at + size].decode(encoding)
        at += size
    return fields if at == len(frame) else None


def _read_pds(text: str, pds: dict[str, str]) -> bool:
    at = 0
    while at < len(text):
        head = _PDS.match(text, at)
        if head is None or not head[0].isascii():
            return False
        at = head.end() + int(head[2])
        if at > len(text):
            return False
        pds[head[1]] = text[head.end() : at]
    return True


def _take(reading: _Reading, record: _Record) -> None:
    mti, function = record.fields["MTI"], record.fields.get("DE24", "")
    reading.count += 1
    reading.amount_minor += record.number("DE4") or 0
    if mti == "1644":
        return _take_file_message(reading, record, function)
    if reading.headed and not reading.inside:
        record.problems.append("stands outside of header and trailer.")
    if mti == "1240" and function == "200":
        read = _presentment(record)
        if read is not None:
            reading.records.append(read)
    elif mti in {"1240", "1442", "1740"}:
        reading.records.append(_note(record, f"{mti}-{function}"))
    else:
        record.problems.append("is of no type we know.")
    return None


def _take_file_message(reading: _Reading, record: _Record, function: str) -> None:
    if function == _HEADER:
        if reading.inside or (reading.records and not reading.headed):
            record.problems.append("a header stands amidst records.")
        reading.inside = reading.headed = True
        reading.count, reading.amount_minor = 1, 0
    elif function == _TRAILER:
        if not reading.inside:
            record.problems.append("a trailer has no header.")
        reading.inside = False
        _adds_up(record, "0306", "messages", reading.count)
        _adds_up(record, "0301", "amounts", reading.amount_minor)


def _adds_up(record: _Record, tag: str, name: str, found: int) -> None:
    told = record.pds.get(tag)
    if told is None:
        return
    if not (told.isascii() and _DIGITS.fullmatch(told)) or int(told) != found:
        record.problems.append(f"the trailer's control total of {name} is not {found}.")


def _note(record: _Record, kind: str) -> Note:
    currency = by_number(record.text("DE49"))
    return Note(
        line=record.line,
        kind=kind,
        reference=reference_text(record.text("DE31"), record.problems, "DE31"),
        amount_minor=record.number("DE4") if currency else None,
        currency=currency.code if currency else None,
    )


def _presentment(record: _Record) -> Presentment | None:
    processing = record.text("DE3")
    if not re.fullmatch(r"[0-9]{6}", processing):
        record.problems.append("DE3 is six digits.")
    amount = _amount(record, "DE4", "DE49")
    billing = _amount(record, "DE6", "DE51") if "DE6" in record.fields else None
    occurred_at = _occurred_at(record)
    references = {
        name: reference_text(record.text(number), record.problems, number)
        for name, number in (
            *(("reference", "DE31"), ("rrn", "DE37")),
            *(("approval_code", "DE38"), ("terminal", "DE41")),
        )
    }
    if amount is None and not record.problems:
        record.problems.append("DE4 and DE49 are missing.")
    if record.problems or amount is None:
        return None
    kind: Kind = "cash_withdrawal" if processing[:2] in _CASH else "purchase"
    reverses = record.pds.get("0025", "").startswith("R")
    credit = (processing[0] == "2") != reverses
    adjustment: Adjustment = "credit" if credit else "debit"
    return Presentment(
        line=record.line,
        pan=Secret(record.text("DE2")),
        kind=kind,
        adjustment=adjustment,
        amount_minor=amount[1],
        currency=amount[0],
        billing=billing,
        occurred_at=occurred_at,
        reference=references["reference"],
        rrn=references["rrn"],
        approval_code=references["approval_code"],
        terminal=references["terminal"],
        merchant=_merchant(record),
        reverses=reverses,
    )


def _amount(record: _Record, amount: str, currency: str) -> tuple[str, int] | None:
    """Read an amount in our minor units: the network may count others (PDS 0148)."""
    found = by_number(record.text(currency))
    minor = record.number(amount)
    if found is None or minor is None:
        record.problems.append(f"{amount} is an amount, and {currency} its currency.")
        return None
    shift = found.exponent - _exponent(record, found)
    whole = minor * 10 ** max(shift, 0)
    scaled, rest = divmod(whole, 10 ** max(-shift, 0))
    if rest or not 0 < scaled <= AMOUNT_MINOR_MAX:
        record.problems.append(f"{amount} is out of range.")
        return None
    return found.code, scaled


def _exponent(record: _Record, currency: IsoCurrency) -> int:
    text = record.pds.get("0148", "")
    told = {text[at : at + 3]: text[at + 3 : at + 4] for at in range(0, len(text), 4)}
    exponent = told.get(currency.number, "")
    return int(exponent) if re.fullmatch(r"[0-9]", exponent) else currency.exponent


def _occurred_at(record: _Record) -> datetime | None:
    text = record.text("DE12")
    try:
        local = datetime.strptime(text, "%y%m%d%H%M%S").replace(tzinfo=PHNOM_PENH)
    except ValueError:
        if text:
            record.problems.append("DE12 is a time.")
        return None
    return local.astimezone(UTC)


def _merchant(record: _Record) -> Merchant:
    """Read DE43: name, address, city, then postcode, region and country, by backslashes."""
    name, _, city, place, *_ = [*record.text("DE43").split("\\"), "", "", "", ""]
    mcc = record.text("DE26")
    known = re.fullmatch(r"[0-9]{4}", mcc) is not None
    return Merchant(
        name=_printable(name.strip()) or "Unknown",
        city=_printable(city.strip()),
        country=country_of(place.strip()[-3:]),
        category=category_of(mcc) if known else None,
        mcc=mcc if known else None,
    )


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def _cut(says: str) -> Invalid:
    return Invalid(f"The file is refused whole: it is cut short, {says}.")
