"""ISO 8583: bytes into messages and back, as a profile writes them; any bytes give one of two.

Either a `Message` whose every field is what its kind and length promise, or `BadMessage`, which
tells the field and the reason, never the content. What a card must keep to itself leaves here as
`Secret`. Pure, and on the hot path of every authorisation: a profile is compiled once, what a
bitmap announces once for each bitmap, and a field is then one slice and one check.

Its own codec, because `pyiso8583`, which is the oracle of the tests, takes five times as long and
checks no content.
"""

import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final, NoReturn

from bayon.errors import Invalid, Problem
from bayon.log import Secret
from bayon.network.fields import EXTENDED, HIDDEN
from bayon.network.profile import Profile
from bayon.network.wire import Check, Part, Read, Unreadable, compiled

MTI: Final = 0
BITMAP: Final = 1
"""What a `BadMessage` calls the two parts of a message that are no field."""

_MTI_SIZE: Final = 4
_BITMAP_SIZE: Final = 8
_BITMAPS_KEPT: Final = 512

Announced = Sequence[tuple[int, Read, Check, bool]]
"""What a bitmap announces, in order: number, reader, check, whether it is hidden."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message, on whatever wire it came: fields by number, as text; bytes as upper-case hex."""

    mti: str
    fields: Mapping[int, str] = field(default_factory=dict[int, str], repr=False)
    """What may be seen, though not by everybody: 48 and 56 to 63 are what two parties agreed on."""

    secrets: Mapping[int, Secret] = field(default_factory=dict[int, Secret])
    """The fields that are `HIDDEN`: card number, tracks, PIN block, chip data."""

    def has(self, number: int) -> bool:
        """Say whether the field is there."""
        return number in self.fields or number in self.secrets


class BadMessage(Invalid):
    """The message is not valid."""

    code = "bad_message"

    def __init__(self, number: int | None, reason: str, *, partial: Message | None = None) -> None:
        named = {None: "The message", MTI: "The MTI", BITMAP: "The bitmap"}
        text = f"{named.get(number, f'Field {number}')} {reason}."
        pointer = "" if number is None else f"/{number}"
        super().__init__(problems=(Problem(pointer=pointer, message=text, code="bad_message"),))
        self.field: int | None = number
        """Its number, 0 for the MTI, 1 for the bitmap, none for the message as a whole."""

        self.reason: str = reason
        self.partial: Message | None = partial
        """What could be read beside it, for an answer: none where not even the MTI could be."""


def decode(body: bytes, profile: Profile) -> Message:
    """Read the bytes of one frame.

    Errors: `BadMessage` when the bytes are cut short, too many, or no MTI, bitmap or length where
    one must stand; when a field is not of its kind; when a field that must be there is not.
    """
    wire = _compiled(profile)
    text = body.decode(wire.charset)
    mti, at = _mti(wire, body, text)
    seen: dict[int, str] = {}
    secrets: dict[int, Secret] = {}
    message = Message(mti=mti, fields=seen, secrets=secrets)
    number, wrong, size = BITMAP, None, len(body)
    try:
        bitmap, at = wire.read_bitmap(body, text, at)
        for number, read, check, hidden in wire.announced(bitmap):
            value, at = read(body, text, at)
            if at > size:
                _cut_short()
            if not check(value):
                wrong = wrong or number
            elif hidden:
                secrets[number] = Secret(value)
            else:
                seen[number] = value
    except Unreadable as error:
        raise BadMessage(number, error.reason, partial=message) from None
    if at != size:
        raise BadMessage(None, "goes on behind its last field", partial=message)
    if wrong is not None:
        raise BadMessage(wrong, f"is not {wire.fields[wrong].promise}", partial=message)
    for group in wire.required(mti):
        if not any(map(message.has, group)):
            raise BadMessage(group[0], "is missing", partial=message)
    return message


def encode(message: Message, profile: Profile) -> bytes:
    """Write a message. Errors: `BadMessage` when a field is not what its kind promises."""
    wire = _compiled(profile)
    values = {**message.fields, **{n: s.reveal() for n, s in message.secrets.items()}}
    parts = [b""]
    bits = 0
    for number in sorted(values):
        part = wire.fields.get(number)
        if part is None:
            raise BadMessage(number, "is not used")
        if not part.check(values[number]):
            raise BadMessage(number, f"is not {part.promise}")
        try:
            parts.append(part.write(values[number]))
        except (ValueError, Unreadable):
            raise BadMessage(number, f"is not {part.promise}") from None
        bits |= 1 << (128 - number)
    parts[0] = wire.write_head(message.mti, bits)
    return b"".join(parts)


class _Compiled:
    """A profile as functions."""

    def __init__(self, profile: Profile) -> None:
        self.charset: str = _charset(profile)
        self.packed_mti: bool = profile.mti == "bcd"
        self.fields: Mapping[int, Part] = {
            number: compiled(wire, self.charset) for number, wire in profile.wires.items()
        }
        self.required: Callable[[str], tuple[tuple[int, ...], ...]] = lru_cache(_BITMAPS_KEPT)(
            profile.required
        )
        self.read_bitmap: Callable[[bytes, str, int], tuple[bytes, int]] = (
            _read_raw_bitmap if profile.bitmap == "raw" else _read_hex_bitmap
        )
        self.announced: Callable[[bytes], Announced] = lru_cache(_BITMAPS_KEPT)(self._announced)
        self._hex_bitmap: bool = profile.bitmap == "hex"

    def _announced(self, bitmap: bytes) -> Announced:
        numbers = [n for n in _numbers(bitmap) if n != BITMAP]
        if EXTENDED in numbers:
            raise Unreadable("announces a third")
        parts = [(number, self.fields[number]) for number in numbers]
        return tuple((number, p.read, p.check, number in HIDDEN) for number, p in parts)

    def write_head(self, mti: str, bits: int) -> bytes:
        if not _is_mti(mti):
            raise BadMessage(MTI, f"is not {_MTI_PROMISE}")
        secondary = bits & ((1 << 64) - 1)
        bitmap = (
            (bits | 1 << 127).to_bytes(16, "big") if secondary else (bits >> 64).to_bytes(8, "big")
        )
        head = bytes.fromhex(mti) if self.packed_mti else mti.encode(self.charset)
        return head + (bitmap.hex().upper().encode(self.charset) if self._hex_bitmap else bitmap)


@cache
def _compiled(profile: Profile) -> _Compiled:
    return _Compiled(profile)


def _charset(profile: Profile) -> str:
    """Name the codec: one in which every byte is a character, so that decoding never fails."""
    return "latin-1" if profile.charset == "ascii" else profile.charset


_MTI_PROMISE: Final = "0 and three digits, as those of 1987 are"
_is_mti: Final[Check] = re.compile(r"0[1-9][0-9]{2}").fullmatch


def _mti(wire: _Compiled, body: bytes, text: str) -> tuple[str, int]:
    end = _MTI_SIZE // 2 if wire.packed_mti else _MTI_SIZE
    mti = body[:end].hex() if wire.packed_mti else text[:end]
    if not _is_mti(mti):
        raise BadMessage(MTI, f"is not {_MTI_PROMISE}")
    return mti, end


def _numbers(bitmap: bytes) -> list[int]:
    bits = int.from_bytes(bitmap, "big")
    last = len(bitmap) * 8
    return [number for number in range(1, last + 1) if bits >> (last - number) & 1]


def _cut_short() -> NoReturn:
    raise Unreadable("is cut short")


def _read_raw_bitmap(body: bytes, _text: str, at: int) -> tuple[bytes, int]:
    end = at + _BITMAP_SIZE
    if at < len(body) and body[at] & 0x80:
        end += _BITMAP_SIZE
    if end > len(body):
        _cut_short()
    return body[at:end], end


def _read_hex_bitmap(body: bytes, text: str, at: int) -> tuple[bytes, int]:
    end = at + _BITMAP_SIZE * 2
    if text[at : at + 1] in _HIGH_DIGITS:
        end += _BITMAP_SIZE * 2
    if end > len(body):
        _cut_short()
    try:
        return binascii.unhexlify(text[at:end].encode("latin-1")), end
    except binascii.Error:
        raise Unreadable("is not hex digits") from None


_HIGH_DIGITS: Final = frozenset("89ABCDEFabcdef")
"""Hex digits whose first bit is set: a second bitmap follows."""
