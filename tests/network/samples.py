"""Messages for the tests: the table of vectors, and messages of any fields by Hypothesis."""

import re
import string
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from bayon.log import Secret
from bayon.network.fields import HIDDEN
from bayon.network.iso8583 import Message
from bayon.network.profile import SHIPPED, Profile, Wire, load_profile

TABLE: Final = Path(__file__).parents[1] / "vectors" / "iso8583.txt"
PROFILES: Final[dict[str, Profile]] = {name: load_profile(name) for name in SHIPPED}


def message_of(values: dict[int, str], *, mti: str) -> Message:
    """Make a message; what must be hidden is."""
    return Message(
        mti=mti,
        fields={n: v for n, v in values.items() if n not in HIDDEN},
        secrets={n: Secret(v) for n, v in values.items() if n in HIDDEN},
    )


def vectors() -> dict[str, tuple[Message, dict[str, bytes]]]:
    """Read the vectors: name, message, and the frame on each wire."""
    read: dict[str, tuple[Message, dict[str, bytes]]] = {}
    for block in TABLE.read_text(encoding="utf-8").split("\n\n")[1:]:
        lines: dict[str, str] = dict(re.findall(r"^([^:\n]+): ?(.*)$", block, re.MULTILINE))
        values = {int(key): value for key, value in lines.items() if key.isdigit()}
        frames = {name: bytes.fromhex(lines[name]) for name in SHIPPED}
        read[lines["vector"]] = (message_of(values, mti=lines["mti"]), frames)
    return read


VECTORS: Final = vectors()

_LETTERS: Final = string.ascii_letters + string.digits + " "
_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))
_ALPHABETS: Final = {
    "n": string.digits,
    "an": _LETTERS,
    "ans": _PRINTABLE,
    "ansb": "".join(map(chr, range(256))),
    "ns": "".join(c for c in _PRINTABLE if not c.isalpha()),
    "z": string.digits + "=",
    "b": "0123456789ABCDEF",
}
_MONTHS: Final = st.integers(1, 12).map("{:02d}".format)
_MONTH_AND_DAY: Final = st.dates().map(lambda day: f"{day:%m%d}")
_TIME: Final = st.times().map(lambda time: f"{time:%H%M%S}")
_SPECIAL: Final = {
    7: st.builds("{}{}".format, _MONTH_AND_DAY, _TIME),
    12: _TIME,
    13: _MONTH_AND_DAY,
    14: st.builds("{:02d}{}".format, st.integers(0, 99), _MONTHS),
    54: st.lists(
        st.from_regex(r"[0-9]{4}[0-9A-Z]{3}[CD][0-9]{12}", fullmatch=True), min_size=1, max_size=6
    ).map("".join),
}


def values(wire: Wire) -> st.SearchStrategy[str]:
    """Draw values of one field."""
    if wire.number in _SPECIAL:
        return _SPECIAL[wire.number]
    if wire.kind == "x":
        return st.from_regex(rf"[CD][0-9]{{{wire.size - 1}}}", fullmatch=True)
    least = 0 if wire.kind == "ansb" else 1
    most = min(wire.size, 60) if wire.digits else wire.size
    factor = 2 if wire.kind == "b" else 1
    text = st.text(
        _ALPHABETS[wire.kind],
        min_size=(least if wire.digits else most) * factor,
        max_size=most * factor,
    )
    return text.map(lambda value: value[: len(value) // factor * factor])


@st.composite
def messages(draw: st.DrawFn, profile: Profile) -> Message:
    """Draw messages of any fields; MTIs of which nothing is mandatory."""
    numbers = draw(st.sets(st.sampled_from(sorted(profile.wires)), max_size=24))
    drawn = {number: draw(values(profile.wires[number])) for number in sorted(numbers)}
    return message_of(drawn, mti=draw(st.sampled_from(["0110", "0210", "0430", "0800", "0612"])))
