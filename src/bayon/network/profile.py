"""Profiles: how one link writes its messages, read from TOML; four are shipped with the package.

A profile says what the standard leaves to two parties: frames, character set, bitmaps, digits as
text or packed, fields that are otherwise, fields that must be there, codes. The host reads one
for each link. `parse` is pure; `load_profile` reads one file. Nothing is guessed: an unknown key
is an error. The form of the files is told in docs/network.md.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeGuard, TypeVar, cast, get_args

from bayon.errors import Invalid, Problem
from bayon.network.fields import EXTENDED, FIELDS, HIDDEN, KINDS, PRIVATE, Kind
from bayon.network.frame import FRAME_SIZE_MAX, LENGTH_MAX, LENGTHS, Framing, Length

T = TypeVar("T", bound=str)
V = TypeVar("V")

Charset = Literal["ascii", "cp037", "cp500"]
Digits = Literal["text", "bcd"]
Lengths = Literal["text", "bcd", "binary"]
Binary = Literal["raw", "hex"]
Encoding = Literal["text", "bcd", "raw", "hex"]
Pad = Literal["left", "right"]
VarLength = Literal["fixed", "LL", "LLL"]

SHIPPED: Final = ("ascii-binary", "ascii-hex", "bcd", "ebcdic")
DEFAULT_PROFILE: Final = "ascii-binary"
VERSION: Final = "1987"

_ASKED: Final = ("2|35", "3", "4", "11", "49")
_REVERSED: Final = ("2|35|90", "4", "11")
MANDATORY: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("0100", "0120", "0200", "0220"), _ASKED),
    **dict.fromkeys(("0400", "0420"), _REVERSED),
}
"""What must be in a message, repeats of it included; `2|35` is one of the two."""

INQUIRY: Final = ("31",)
"""Processing codes of a balance inquiry; Visa and Mastercard say 30."""

RESPONSE_CODES: Final[Mapping[str, str]] = {
    "approved": "00",
    "partly_approved": "10",
    "verified": "85",
    "declined": "05",
    "processing_code_unsupported": "12",
    "amount_out_of_range": "13",
    "card_unknown": "14",
    "original_unknown": "25",
    "malformed": "30",
    "card_lost": "41",
    "card_stolen": "43",
    "card_canceled": "46",
    "insufficient_funds": "51",
    "card_expired": "54",
    "expiry_wrong": "54",
    "pin_wrong": "55",
    "not_permitted": "57",
    "terminal_not_permitted": "58",
    "cryptogram_wrong": "59",
    "cryptogram_used": "59",
    "cvv_wrong": "05",
    "cvv2_wrong": "05",
    "amount_limit": "61",
    "card_not_activated": "62",
    "card_inactive": "62",
    "cardholder_rejected": "62",
    "account_inactive": "62",
    "security_violation": "63",
    "count_limit": "65",
    "pin_tries_exceeded": "75",
    "unavailable": "91",
    "duplicate": "94",
    "failed": "96",
}
"""What field 39 says for each reason of ours, unless a profile says otherwise."""

KEY_EXCHANGE: Final = "key_exchange"
KEY_CODE: Final = "161"
KEY_FIELD: Final = 125
KEY_BLOCK_SIZE: Final = 112
"""Characters of the block of a 3DES key under one of AES, without more in its header."""

CVV2: Final = "cvv2"
CVV2_SIZE: Final = 3
TAG_SIZE: Final = 2
TAG_HEAD_SIZE: Final = 2 * TAG_SIZE
"""A tag and the length of its value, two digits each."""

_FILE_SIZE_MAX: Final = 65_536
_SIZE_MAX: Final[Mapping[VarLength, int]] = {"fixed": 999, "LL": 99, "LLL": 999}
_LL_BINARY_MAX: Final = 255
_LENGTH_DIGITS: Final[Mapping[VarLength, int]] = {"fixed": 0, "LL": 2, "LLL": 3}
_MTI: Final = re.compile(r"0[1-8][0-9]{2}")
_RESPONSE_CODE: Final = re.compile(r"[0-9A-Z]{2}")
_FIELD: Final = rf"(?:{'|'.join(str(number) for number in FIELDS)})"
_GROUP: Final = re.compile(rf"{_FIELD}(?:\|{_FIELD})*")
_PROCESSING: Final = re.compile(r"[0-9]{2}")
_TAG: Final = re.compile(rf"[0-9]{{{TAG_SIZE}}}")
_KEY_CODE: Final = re.compile(r"(?!001|002|301)[0-9]{3}")
"""What field 70 may say for a new key: not what it says of the link."""


class BadProfile(Invalid):
    """The profile of a link is not valid."""

    code = "bad_profile"


class Wire(NamedTuple):
    """One field as a link writes it."""

    number: int
    kind: Kind
    digits: int
    size: int
    encoding: Encoding
    lengths: Lengths
    pad: Pad


class KeyField(NamedTuple):
    """How a network sends a new zone PIN key: what field 70 says, and which field has its block."""

    code: str
    field: int


class Cvv2Field(NamedTuple):
    """Where a network says the code printed on a card: at a place of a field, or under a tag.

    `at` counts characters from 1; if there is a `tag`, tags begin there, each two digits, two of
    length, and a value.
    """

    field: int
    at: int
    tag: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """How one link writes its messages. Compared by identity, as what is compiled of it is kept."""

    name: str
    framing: Framing
    charset: Charset
    mti: Digits
    bitmap: Binary
    wires: Mapping[int, Wire]
    mandatory: Mapping[str, tuple[tuple[int, ...], ...]]
    """MTI of a request → groups of fields, of each of which one must be there."""

    inquiry: tuple[str, ...]
    surcharge_on_top: bool
    """Whether field 28 comes on top of field 4, or stands in it already."""

    chip_amount_differs: bool
    """Whether a chip may have signed another amount, or in another currency, than 4 and 49 say."""

    key_exchange: KeyField | None
    cvv2: Cvv2Field | None
    response_codes: Mapping[str, str]

    @property
    def hidden(self) -> frozenset[int]:
        """Tell the fields whose content is a card's, to be decoded into a `Secret`."""
        return HIDDEN if self.cvv2 is None else HIDDEN | {self.cvv2.field}

    def required(self, mti: str) -> tuple[tuple[int, ...], ...]:
        """Tell what a message must have; a repeat as much as what it repeats."""
        return self.mandatory.get(mti) or self.mandatory.get(f"{mti[:3]}0", ())


def load_profile(name: str) -> Profile:
    """Load a shipped profile by its name, or a file of one's own by its path.

    Errors: `BadProfile`, with the path of every key that is wrong.
    """
    if name in SHIPPED:
        file = resources.files("bayon.network").joinpath("profiles", f"{name}.toml")
        return parse(file.read_text(encoding="utf-8"), name=name)
    try:
        with Path(name).open("rb") as stream:
            text = stream.read(_FILE_SIZE_MAX + 1).decode()
    except (OSError, ValueError):
        shipped = ", ".join(SHIPPED)
        raise BadProfile(f"{name} is none of {shipped}, and no file that can be read.") from None
    return parse(text, name=Path(name).stem)


def parse(text: str, *, name: str) -> Profile:
    """Read a profile. Errors: `BadProfile`, with the path of every key that is wrong."""
    if len(text) > _FILE_SIZE_MAX:
        raise BadProfile(f"The profile {name} is longer than {_FILE_SIZE_MAX} bytes.")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadProfile(f"The profile {name} is no TOML: {error}.") from None
    problems: list[Problem] = []
    profile = _profile(_Table(table, "", problems), name)
    if problems:
        raise BadProfile(f"The profile {name} is not valid.", problems=tuple(problems))
    return profile


class _Table:
    """One table of a profile: hands out what is asked for, and notes what is wrong or unasked."""

    def __init__(self, table: Mapping[str, object], path: str, problems: list[Problem]) -> None:
        self._left: dict[str, object] = dict(table)
        self._path: str = path
        self._problems: list[Problem] = problems

    def choice(self, key: str, allowed: Sequence[T], default: T) -> T:
        value = self._left.pop(key, default)
        for one in allowed:
            if one == value:
                return one
        return self.wrong(key, f"must be one of {', '.join(allowed)}", default)

    def flag(self, key: str) -> bool:
        value = self._left.pop(key, False)
        return value if isinstance(value, bool) else self.wrong(key, "must be true or false", False)

    def whole(self, key: str, default: int, *, at_most: int) -> int:
        value = self._left.pop(key, default)
        if type(value) is int and 0 < value <= at_most:
            return value
        return self.wrong(key, f"must be a whole number from 1 to {at_most}", default)

    def texts(self, key: str, default: Sequence[str], form: re.Pattern[str]) -> tuple[str, ...]:
        value = self._left.pop(key, list(default))
        texts = [str(each) for each in value] if _is_list(value) else [""]
        if all(form.fullmatch(each) for each in texts):
            return tuple(texts)
        return self.wrong(key, f"must be a list of what looks like {form.pattern}", tuple(default))

    def code(self, key: str, default: str) -> str:
        value = self._left.pop(key, default)
        if isinstance(value, str) and _RESPONSE_CODE.fullmatch(value):
            return value
        return self.wrong(key, "must be two digits or capital letters", default)

    def text(self, key: str, default: str, form: re.Pattern[str]) -> str:
        value = self._left.pop(key, default)
        if isinstance(value, str) and form.fullmatch(value):
            return value
        return self.wrong(key, f"must look like {form.pattern}", default)

    def table(self, key: str) -> "_Table":
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            value = self.wrong(key, "must be a table", None)
        inner = cast("dict[str, object]", value or {})
        return _Table(inner, f"{self._path}{key}.", self._problems)

    def has(self, name: str) -> bool:
        return name in self._left

    def names(self) -> list[str]:
        """List what is left, while what is asked for is taken out."""
        return list(self._left)

    def close(self) -> None:
        for key in self.names():
            self.wrong(key, "is no key of a profile", None)

    def wrong(self, key: str, text: str, default: V) -> V:
        path = f"{self._path}{key}"
        self._problems.append(Problem(pointer=path, message=f"{path} {text}", code="bad_profile"))
        self._left.pop(key, None)
        return default


def _profile(table: _Table, name: str) -> Profile:
    table.choice("version", (VERSION,), VERSION)
    framing = _framing(table.table("framing"))
    charset: Charset = table.choice("charset", get_args(Charset), "ascii")
    wires = _wires(table)
    key_exchange = _key_exchange(table, wires)
    profile = Profile(
        name=name,
        framing=framing,
        charset=charset,
        mti=table.choice("mti", get_args(Digits), "text"),
        bitmap=table.choice("bitmap", get_args(Binary), "raw"),
        wires=wires,
        mandatory=_mandatory(table.table("mandatory")),
        inquiry=table.texts("inquiry", INQUIRY, _PROCESSING),
        surcharge_on_top=table.flag("surcharge_on_top"),
        chip_amount_differs=table.flag("chip_amount_differs"),
        key_exchange=key_exchange,
        cvv2=_cvv2(table, wires, key_exchange),
        response_codes=_response_codes(table.table("response_codes"), wires[39].kind),
    )
    table.close()
    return profile


def _framing(table: _Table) -> Framing:
    length: Length = table.choice("length", LENGTHS, "binary-2")
    framing = Framing(
        length=length,
        tpdu=table.flag("tpdu"),
        size_max=table.whole("size_max", FRAME_SIZE_MAX, at_most=LENGTH_MAX[length]),
    )
    table.close()
    return framing


def _wires(table: _Table) -> Mapping[int, Wire]:
    numbers: Digits = table.choice("numbers", get_args(Digits), "text")
    binary: Binary = table.choice("binary", get_args(Binary), "raw")
    lengths: Lengths = table.choice("lengths", get_args(Lengths), "text")
    pad: Pad = table.choice("pad", get_args(Pad), "left")
    wires = {
        number: Wire(
            number, f.kind, f.digits, f.size, _usual(f.kind, numbers, binary), lengths, pad
        )
        for number, f in FIELDS.items()
    }
    fields = table.table("fields")
    for key in fields.names():
        number = int(key) if re.fullmatch(r"[1-9][0-9]{0,2}", key) else 0
        if number not in FIELDS:
            fields.wrong(key, f"is no field: 2 to 128 are, but for {EXTENDED}", None)
            continue
        wires[number] = _wire(fields.table(key), wires[number], numbers, binary)
    return wires


def _usual(kind: Kind, numbers: Digits, binary: Binary) -> Encoding:
    if kind == "b":
        return binary
    return numbers if kind in {"n", "z"} else "text"


def _wire(table: _Table, usual: Wire, numbers: Digits, binary: Binary) -> Wire:
    """Read one field that is otherwise than the standard, or than the rest of its link."""
    # What two parties agreed on may be any bytes; what is kept of a transaction may not.
    kinds: list[Kind] = [each for each in KINDS if each != "ansb" or usual.kind == "ansb"]
    kind: Kind = table.choice("kind", kinds, usual.kind)
    length: VarLength = table.choice("length", get_args(VarLength), _var_length(usual.digits))
    lengths: Lengths = table.choice("lengths", get_args(Lengths), usual.lengths)
    encoding: Encoding = table.choice("encoding", _encodings(kind), _usual(kind, numbers, binary))
    size_max = _size_max(length, lengths, encoding)
    wire = Wire(
        number=usual.number,
        kind=kind,
        digits=_LENGTH_DIGITS[length],
        size=table.whole("size", usual.size, at_most=size_max),
        encoding=encoding,
        lengths=lengths,
        pad=table.choice("pad", get_args(Pad), usual.pad),
    )
    table.close()
    return wire


def _var_length(digits: int) -> VarLength:
    return next(length for length, n in _LENGTH_DIGITS.items() if n == digits)


def _encodings(kind: Kind) -> tuple[Encoding, ...]:
    if kind == "b":
        return ("raw", "hex")
    return ("text", "bcd") if kind in {"n", "z"} else ("text",)


def _size_max(length: VarLength, lengths: Lengths, encoding: Encoding) -> int:
    """Tell how much a length can count, of bytes in hex their digits."""
    counted = _LL_BINARY_MAX if (length, lengths) == ("LL", "binary") else _SIZE_MAX[length]
    return counted // 2 if encoding == "hex" else counted


def _mandatory(table: _Table) -> Mapping[str, tuple[tuple[int, ...], ...]]:
    named: dict[str, tuple[str, ...]] = dict(MANDATORY)
    for mti in table.names():
        if _MTI.fullmatch(mti):
            named[mti] = table.texts(mti, (), _GROUP)
    table.close()
    return {mti: tuple(_group(group) for group in groups) for mti, groups in named.items()}


def _group(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("|"))


def _key_exchange(table: _Table, wires: Mapping[int, Wire]) -> KeyField | None:
    """Read how keys are sent; where nothing is said, none are."""
    if not table.has(KEY_EXCHANGE):
        return None
    said = table.table(KEY_EXCHANGE)
    code = said.text("code", KEY_CODE, _KEY_CODE)
    field = said.whole("field", KEY_FIELD, at_most=max(FIELDS))
    wire = wires.get(field)
    if wire is None or wire.kind not in {"ans", "ansb"} or wire.size < KEY_BLOCK_SIZE:
        said.wrong("field", f"must have room for a key block, {KEY_BLOCK_SIZE} characters", None)
    said.close()
    return KeyField(code, field)


def _cvv2(
    table: _Table, wires: Mapping[int, Wire], key_exchange: KeyField | None
) -> Cvv2Field | None:
    """Read where a card's printed code comes; where nothing is said, it does not."""
    if not table.has(CVV2):
        return None
    said = table.table(CVV2)
    tag = said.text("tag", "", _TAG) if said.has("tag") else None
    field = said.whole("field", 0, at_most=max(FIELDS))
    last = _last_place(wires[field], tag) if field in PRIVATE else 0
    if field and not last:
        said.wrong("field", "must be text with room: one of 46 to 48, 56 to 63, 104 to 127", None)
    elif key_exchange is not None and field == key_exchange.field:
        said.wrong("field", "must be another than keys come in", None)
    at = said.whole("at", 1, at_most=last or _SIZE_MAX["LLL"])
    said.close()
    return Cvv2Field(field, at, tag)


def _last_place(wire: Wire, tag: str | None) -> int:
    """Tell the last character of a field at which a code may begin, or its tags; 0 if none."""
    if wire.kind not in {"an", "ans", "ansb"}:
        return 0
    return max(0, wire.size - CVV2_SIZE + 1 - (0 if tag is None else TAG_HEAD_SIZE))


def _response_codes(table: _Table, kind: Kind) -> Mapping[str, str]:
    codes = {reason: table.code(reason, code) for reason, code in RESPONSE_CODES.items()}
    for reason, code in codes.items():
        if kind == "n" and not code.isdigit():
            table.wrong(reason, "must be digits, as field 39 is", None)
    table.close()
    return codes


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)
