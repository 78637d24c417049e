"""ISO 8583: bytes into messages and back, as a profile writes them; any bytes give one of two.

Either a `Message` whose every field is what its kind and length promise, or `BadMessage`, which
tells the field and the reason, never the content. What a card must keep to itself leaves here as
`Secret`. Pure, and on the hot path of every authorisation: a profile is compiled once, what a
bitmap announces once for each bitmap, and a field is then one slice and one check.

Our own codec, because `pyiso8583`, which is the oracle of the tests, takes more than twice as
long for a message and checks no content.
"""

import binascii
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache, lru_cache
from typing import Final, NoReturn

from msgspec import Struct, field

from bayon.errors import Invalid, Problem
from bayon.log import Secret
from bayon.network.fields import EXTENDED
from bayon.network.plan import Plan, planned, read, write
from bayon.network.profile import Profile
from bayon.network.wire import Check, Part, Unreadable, compiled

MTI: Final = 0
BITMAP: Final = 1
"""What a `BadMessage` calls the two parts of a message that are no field."""

_MTI_SIZE: Final = 4
_BITMAP_SIZE: Final = 8
_PLANS_KEPT: Final = 512


class Message(Struct, frozen=True, kw_only=True):
    """One message, on whatever wire it came: fields by number, as text; bytes as upper-case hex."""

    mti: str
    fields: Mapping[int, str] = field(default_factory=dict[int, str])
    """What may be seen, though not by everybody: 48 and 56 to 63 are what two parties agreed on."""

    secrets: Mapping[int, Secret] = field(default_factory=dict[int, Secret])
    """What the profile hides: card number, tracks, PIN block, chip data, printed code."""

    def __repr__(self) -> str:
        return f"Message(mti={self.mti!r}, secrets={self.secrets!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("mti", self.mti), ("secrets", self.secrets)]

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


class _Compiled:
    """A profile as functions, and the plans that were made for it."""

    def __init__(self, profile: Profile) -> None:
        self.charset: str = _charset(profile)
        self.hidden: Collection[int] = profile.hidden
        self.packed_mti: bool = profile.mti == "bcd"
        self.parts: Mapping[int, Part] = {
            number: compiled(wire, self.charset) for number, wire in profile.wires.items()
        }
        self.read_bitmap: Callable[[bytes, str, int], tuple[bytes, int]] = (
            _read_raw_bitmap if profile.bitmap == "raw" else _read_hex_bitmap
        )
        self._hex_bitmap: bool = profile.bitmap == "hex"
        self._profile: Profile = profile
        kept = lru_cache(_PLANS_KEPT)
        self.plan_for: Callable[[str, bytes], Plan | None] = kept(self._plan_for)
        self.plan_of: Callable[[tuple[int, ...]], tuple[bytes, Plan]] = kept(self._plan_of)

    def missing(self, mti: str, numbers: Collection[int]) -> int | None:
        """Find the first field that must be there and is not; of several that would do, one."""
        groups = self._profile.required(mti)
        return next((group[0] for group in groups if not set(group) & set(numbers)), None)

    def write_mti(self, mti: str) -> bytes:
        return bytes.fromhex(mti) if self.packed_mti else mti.encode(self.charset)

    def _plan_for(self, mti: str, bitmap: bytes) -> Plan | None:
        """Plan to read what a bitmap announces; no plan, if something is missing that must be."""
        numbers = _numbers(bitmap)
        if EXTENDED in numbers:
            raise Unreadable("announces a third")
        if self.missing(mti, numbers) is not None:
            return None
        return planned(numbers, self.parts, self.hidden)

    def _plan_of(self, numbers: tuple[int, ...]) -> tuple[bytes, Plan]:
        """Make the bitmap of these fields, and plan to write them."""
        if unused := [number for number in numbers if number not in self.parts]:
            raise BadMessage(unused[0], "is not used")
        bits = sum(1 << 128 - number for number in numbers)
        size = 2 * _BITMAP_SIZE if numbers and numbers[-1] > _BITMAP_SIZE * 8 else _BITMAP_SIZE
        second = 1 << 127 if size > _BITMAP_SIZE else 0
        bitmap = (bits | second).to_bytes(2 * _BITMAP_SIZE, "big")[:size]
        written = bitmap.hex().upper().encode(self.charset) if self._hex_bitmap else bitmap
        return written, planned(numbers, self.parts, self.hidden)


def decode(body: bytes, profile: Profile) -> Message:
    """Read the bytes of one frame.

    Errors: `BadMessage` when the bytes are cut short, too many, or no MTI, bitmap or length where
    one must stand; when a field is not of its kind; when a field that must be there is not.
    """
    wire = _compiled(profile)
    text = body.decode(wire.charset)
    mti, at = _mti(wire, body, text)
    try:
        bitmap, at = wire.read_bitmap(body, text, at)
        plan = wire.plan_for(mti, bitmap)
    except Unreadable as error:
        raise BadMessage(BITMAP, error.reason, partial=Message(mti=mti)) from None
    found = None if plan is None else read(plan, body, text, at)
    if found is None:
        return _field_by_field(wire, mti, bitmap, body, at)
    secrets = {number: Secret(value) for number, value in found[1].items()}
    return Message(mti=mti, fields=found[0], secrets=secrets)


def _field_by_field(wire: _Compiled, mti: str, bitmap: bytes, body: bytes, at: int) -> Message:
    """Read slowly, and know where it was when it went wrong."""
    text = body.decode(wire.charset)
    seen: dict[int, str] = {}
    secrets: dict[int, Secret] = {}
    message = Message(mti=mti, fields=seen, secrets=secrets)
    wrong: int | None = None
    for number in _numbers(bitmap):
        part = wire.parts[number]
        try:
            value, at = part.read(body, text, at)
        except Unreadable as error:
            raise BadMessage(number, error.reason, partial=message) from None
        if at > len(body):
            raise BadMessage(number, "is cut short", partial=message)
        if not part.check(value):
            wrong = wrong or number
        elif number in wire.hidden:
            secrets[number] = Secret(value)
        else:
            seen[number] = value
    if at != len(body):
        raise BadMessage(None, "goes on behind its last field", partial=message)
    if wrong is not None:
        raise BadMessage(wrong, f"is not {wire.parts[wrong].promise}", partial=message)
    if (missing := wire.missing(mti, [*seen, *secrets])) is not None:
        raise BadMessage(missing, "is missing", partial=message)
    return message


def encode(message: Message, profile: Profile) -> bytes:
    """Write a message. Errors: `BadMessage` when a field is not what its kind promises."""
    wire = _compiled(profile)
    values = dict(message.fields)
    for number, secret in message.secrets.items():
        values[number] = secret.reveal()
    if not _is_mti(message.mti):
        raise BadMessage(MTI, f"is not {_MTI_PROMISE}")
    bitmap, plan = wire.plan_of(tuple(sorted(values)))
    content = write(plan, values, wire.charset)
    if content is None:
        raise _unwritable(wire, values)
    return wire.write_mti(message.mti) + bitmap + content


def _unwritable(wire: _Compiled, values: Mapping[int, str]) -> BadMessage:
    """Find which field it was that could not be written."""
    for number, value in sorted(values.items()):
        part = wire.parts[number]
        try:
            if not part.check(value):
                return BadMessage(number, f"is not {part.promise}")
            part.write(value)
        except (Unreadable, ValueError):
            return BadMessage(number, f"is not {part.promise}")
    raise AssertionError("what cannot be written together cannot be written apart")


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
    return [number for number in range(2, last + 1) if bits >> (last - number) & 1]


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
