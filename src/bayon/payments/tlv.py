"""Tag, length, value: the layer under KHQR, and `BadQR`, the one error of both.

A tag is two digits, a length two digits, a value that many UTF-16 code units: the official SDK is
JavaScript and counts so, hence Khmer letters count one and emoji two. Called by `khqr` and
`picture`; knows no tag by meaning. Every function is total and linear in its input.

Source: EMVCo QR Code Specification for Payment Systems, Merchant-Presented Mode 1.1, 3.
"""

import re
import sys
from array import array
from collections.abc import Iterable
from typing import Final

from bayon.errors import Invalid, Problem

VALUE_UNITS_MAX: Final = 99

TEXT_UNITS_MAX: Final = 100 * (4 + VALUE_UNITS_MAX)
"""No longer text can be valid: there are a hundred two-digit tags, each may stand once."""

_HEADER_UNITS: Final = 4
_UTF_16: Final = "utf-16-le" if sys.byteorder == "little" else "utf-16-be"
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class BadQR(Invalid):
    """The QR is not valid."""

    code = "bad_qr"


def problem(path: str, message: str, code: str) -> Problem:
    """Say what is wrong with the tag at `path` (`62.01`; empty: the QR as a whole)."""
    return Problem(
        pointer="/".join(("/qr", *path.split("."))).rstrip("/"), message=message, code=code
    )


def bad(path: str, message: str, code: str) -> BadQR:
    """Make the error of a single problem."""
    return BadQR(problems=(problem(path, message, code),))


def parse(text: str, *, within: str = "") -> dict[str, str]:
    """Read `text` into tag → value, in the order of their standing; `within` names its template.

    Errors: `BadQR` when a header is not four ASCII digits, a tag stands twice, a value is cut
    short or a length splits a surrogate pair.
    """
    units = _spread(text)
    values: dict[str, str] = {}
    at = 0
    while at < len(units):
        tag, start, end = _header(units, at, within)
        path = f"{within}.{tag}" if within else tag
        if tag in values:
            raise bad(path, f"The QR has tag {path} twice.", "duplicate")
        if end > len(units):
            raise bad(path, f"The QR's tag {path} is cut short.", "cut_short")
        values[tag] = units[start:end] if units is text else _joined(units[start:end], path)
        at = end
    return values


def build(pairs: Iterable[tuple[str, str | None]], *, within: str = "") -> str | None:
    """Write tag → value one after the other; absent values are left out, nothing at all is `None`.

    Errors: `BadQR` when a value is longer than a two-digit length can say.
    """
    parts = [_part(tag, value, within) for tag, value in pairs if value is not None]
    return "".join(parts) or None


def units_of(text: str) -> int:
    """Count UTF-16 code units."""
    return len(_spread(text))


def is_text(text: str) -> bool:
    """Say whether `text` is free of control characters and of lone surrogates.

    Neither can be printed by anybody, and PostgreSQL or UTF-8 would refuse some of them later.
    """
    return text.isprintable() or _NO_TEXT.search(text) is None


def utf8(text: str) -> bytes:
    """Encode for CRC and MD5.

    Errors: `BadQR` when `text` holds a lone surrogate.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise bad("", "The QR is no valid Unicode text.", "not_text") from error


def _spread(text: str) -> str:
    # One character a unit: mostly the text itself; else astral ones as their two surrogates.
    if text.isascii() or max(text) <= "\uffff":
        return text
    return "".join(map(chr, array("H", text.encode(_UTF_16, "surrogatepass"))))


def _joined(units: str, path: str) -> str:
    try:
        return units.encode(_UTF_16, "surrogatepass").decode(_UTF_16)
    except UnicodeDecodeError as error:
        raise bad(path, f"The QR's tag {path} splits a character.", "split") from error


def _header(units: str, at: int, within: str) -> tuple[str, int, int]:
    start = at + _HEADER_UNITS
    header = units[at:start]
    # isdigit alone would let Khmer and superscript digits pass.
    if len(header) != _HEADER_UNITS or not (header.isascii() and header.isdigit()):
        where = f"tag {within}" if within else "text"
        raise bad(within, f"The QR's {where} has no tag and length at {at}.", "malformed")
    return header[:2], start, start + int(header[2:])


def _part(tag: str, value: str, within: str) -> str:
    units = units_of(value)
    if units > VALUE_UNITS_MAX:
        path = f"{within}.{tag}" if within else tag
        raise bad(path, f"The QR's tag {path} is longer than {VALUE_UNITS_MAX}.", "too_long")
    return f"{tag}{units:02d}{value}"
