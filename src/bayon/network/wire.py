"""One field on the wire: read, checked and written as a profile says, compiled into functions.

Called by `iso8583` when it compiles a profile, never by anybody else. A reader slices and does
not look: whether the bytes were there, and whether they are what the field's kind promises, is
asked once, by the loop that calls it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from bayon.network.fields import FIELDS, Kind
from bayon.network.profile import Encoding, Wire

Check = Callable[[str], object]
Read = Callable[[bytes, str, int], tuple[str, int]]
"""From body, the same as text, and position, to value and the position behind it."""

Write = Callable[[str], bytes]
Length = tuple[Callable[[bytes, str, int], tuple[int, int]], Callable[[int], bytes]]


class Unreadable(Exception):
    """The bytes go on in no way we know, or the value in none we can write."""

    def __init__(self, reason: str) -> None:
        self.reason: str = reason
        super().__init__(reason)


class Part(NamedTuple):
    """One field, compiled. `promise` says what `check` wants, after "is not"."""

    wire: Wire
    read: Read
    check: Check
    write: Write
    promise: str


def compiled(wire: Wire, charset: str) -> Part:
    """Compile one field. In `charset` every byte must be a character."""
    read, write = _CONTENT[wire.encoding](wire, charset)
    special = _SPECIAL.get(wire.number)
    if special and wire[1:4] == FIELDS[wire.number][1:]:
        return Part(wire, read, special[0], write, special[1])
    return Part(wire, read, _CHECKS[wire.kind], write, _promise(wire))


def _text(wire: Wire, charset: str) -> tuple[Read, Write]:
    size = wire.size
    read_length, write_length = _length(wire, charset, size)

    def read_fixed(_body: bytes, text: str, at: int) -> tuple[str, int]:
        end = at + size
        return text[at:end], end

    def read(body: bytes, text: str, at: int) -> tuple[str, int]:
        count, at = read_length(body, text, at)
        end = at + count
        return text[at:end], end

    def write(value: str) -> bytes:
        return write_length(len(value)) + value.encode(charset)

    return read if wire.digits else read_fixed, write


def _hex(wire: Wire, charset: str) -> tuple[Read, Write]:
    read_length, write_length = _length(wire, charset, wire.size * 2)

    def read(body: bytes, text: str, at: int) -> tuple[str, int]:
        count, at = read_length(body, text, at)
        if count & 1:
            raise Unreadable("is half a byte too long")
        end = at + count
        return text[at:end].upper(), end

    def write(value: str) -> bytes:
        if len(value) & 1:
            raise Unreadable("is half a byte too long")
        return write_length(len(value)) + value.encode(charset)

    return read, write


def _raw(wire: Wire, charset: str) -> tuple[Read, Write]:
    read_length, write_length = _length(wire, charset, wire.size)

    def read(body: bytes, text: str, at: int) -> tuple[str, int]:
        count, at = read_length(body, text, at)
        end = at + count
        return body[at:end].hex().upper(), end

    def write(value: str) -> bytes:
        return write_length(len(value) // 2) + bytes.fromhex(value)

    return read, write


def _packed(wire: Wire, charset: str) -> tuple[Read, Write]:
    """Two digits a byte, an odd one beside a 0 on its left or an F on its right; D separates."""
    read_length, write_length = _length(wire, charset, wire.size)
    left = wire.pad == "left"

    def read(body: bytes, text: str, at: int) -> tuple[str, int]:
        count, at = read_length(body, text, at)
        end = at + (count + 1) // 2
        digits = body[at:end].hex()
        if count & 1 and end <= len(body):
            if digits[0 if left else -1] != ("0" if left else "f"):
                raise Unreadable("is odd and not filled up as it should be")
            digits = digits[1:] if left else digits[:-1]
        return digits.replace("d", "="), end

    def write(value: str) -> bytes:
        digits = value.replace("=", "D")
        if len(value) & 1:
            digits = f"0{digits}" if left else f"{digits}F"
        return write_length(len(value)) + bytes.fromhex(digits)

    return read, write


_CONTENT: Final[Mapping[Encoding, Callable[[Wire, str], tuple[Read, Write]]]] = {
    "text": _text,
    "bcd": _packed,
    "raw": _raw,
    "hex": _hex,
}


def _length(wire: Wire, charset: str, count_max: int) -> Length:
    """Make what reads and writes a field's length, counted as its encoding counts."""
    if not wire.digits:
        return _fixed(count_max)
    return _PREFIX[wire.lengths](wire.digits, charset, count_max)


def _fixed(size: int) -> Length:
    def read(_body: bytes, _text: str, at: int) -> tuple[int, int]:
        return size, at

    def write(count: int) -> bytes:
        if count != size:
            raise Unreadable(f"is not {size} long")
        return b""

    return read, write


def _text_prefix(digits: int, charset: str, count_max: int) -> Length:
    known = {f"{count:0{digits}d}": count for count in range(count_max + 1)}
    written = [text.encode(charset) for text in known]

    def read(_body: bytes, text: str, at: int) -> tuple[int, int]:
        end = at + digits
        count = known.get(text[at:end])
        if count is None:
            raise _no_length(count_max)
        return count, end

    return read, _writer(written)


def _packed_prefix(digits: int, _charset: str, count_max: int) -> Length:
    size = (digits + 1) // 2
    known = {bytes.fromhex(f"{n:0{size * 2}d}"): n for n in range(count_max + 1)}

    def read(body: bytes, _text: str, at: int) -> tuple[int, int]:
        end = at + size
        count = known.get(body[at:end])
        if count is None:
            raise _no_length(count_max)
        return count, end

    return read, _writer(list(known))


def _binary_prefix(digits: int, _charset: str, count_max: int) -> Length:
    size = digits - 1

    def read(body: bytes, _text: str, at: int) -> tuple[int, int]:
        end = at + size
        count = int.from_bytes(body[at:end], "big")
        if count > count_max or end > len(body):
            raise _no_length(count_max)
        return count, end

    return read, _writer([n.to_bytes(size, "big") for n in range(count_max + 1)])


def _no_length(count_max: int) -> Unreadable:
    return Unreadable(f"has no length, or one above {count_max}")


def _writer(written: list[bytes]) -> Callable[[int], bytes]:
    def write(count: int) -> bytes:
        if count >= len(written):
            raise Unreadable(f"is longer than {len(written) - 1}")
        return written[count]

    return write


_PREFIX: Final[Mapping[str, Callable[[int, str, int], Length]]] = {
    "text": _text_prefix,
    "bcd": _packed_prefix,
    "binary": _binary_prefix,
}
"""Two or three digits as text, packed into one or two bytes, or as a number in one or two."""

_CHECKS: Final[Mapping[Kind, Check]] = {
    # Text is of one of the charsets, in none of which there are other decimals than ASCII's.
    "n": str.isdecimal,
    "an": re.compile(r"[A-Za-z0-9 ]+").fullmatch,
    "ans": re.compile(r"[ -~]+").fullmatch,
    "ansb": re.compile(r"[\x00-\xff]*").fullmatch,
    "ns": re.compile(r"[ -@\[-`{-~]+").fullmatch,
    "x": re.compile(r"[CD][0-9]+").fullmatch,
    "z": re.compile(r"[0-9D=]+").fullmatch,
    "b": re.compile(r"[0-9A-F]+").fullmatch,
}
_NAMES: Final[Mapping[Kind, str]] = {
    "n": "digits",
    "an": "letters and digits",
    "ans": "printable characters",
    "ansb": "characters",
    "ns": "digits and special characters",
    "x": "characters, C or D and then digits",
    "z": "digits and separators",
    "b": "bytes",
}

_MONTH_AND_DAY: Final = (
    r"(?:(?:0[13578]|1[02])(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)(?:0[1-9]|[12][0-9]|30)|02(?:0[1-9]|[12][0-9]))"
)
_TIME: Final = r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
_SPECIAL: Final[Mapping[int, tuple[Check, str]]] = {
    7: (re.compile(_MONTH_AND_DAY + _TIME).fullmatch, "a date and time, MMDDhhmmss"),
    12: (re.compile(_TIME).fullmatch, "a time, hhmmss"),
    13: (re.compile(_MONTH_AND_DAY).fullmatch, "a date, MMDD"),
    14: (re.compile(r"[0-9]{2}(?:0[1-9]|1[0-2])").fullmatch, "a month, YYMM"),
    54: (
        re.compile(r"(?:[0-9]{4}[0-9A-Z]{3}[CD][0-9]{12}){1,6}").fullmatch,
        "up to six amounts of twenty characters",
    ),
}
"""Fields that promise more than their kind, as long as a profile leaves them as they are."""


def _promise(wire: Wire) -> str:
    count = f"1 to {wire.size}" if wire.digits else f"{wire.size}"
    return f"{count} {_NAMES[wire.kind]}"
