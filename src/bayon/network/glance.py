"""A glance at an answer: its trace number and response code, and nothing else of it is read.

For whoever asks so much that decoding every answer would be the limit: the load generator. Where
the two stand is worked out once for each set of fields; of each message only the lengths before
them are read. Pure.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from bayon.network.iso8583 import BadMessage, decode
from bayon.network.profile import Profile, Wire
from bayon.network.wire import Read, Unreadable, compiled

STAN: Final = 11
CODE: Final = 39
_HIGH: Final = 0b1000

Step = tuple[int, Read | None]
"""So many bytes to be passed by, and then a field that tells its own length."""


class Seen(NamedTuple):
    """Both as the wire has them."""

    stan: bytes
    code: bytes


class _Way(NamedTuple):
    start: int
    to_stan: tuple[Step, ...]
    to_code: tuple[Step, ...]


class Glance:
    """Looks at the answers of one link."""

    def __init__(self, profile: Profile) -> None:
        self._profile: Profile = profile
        self._charset: str = "latin-1" if profile.charset == "ascii" else profile.charset
        self._mti_size: int = 2 if profile.mti == "bcd" else 4
        self._bitmap_size: int = 8 if profile.bitmap == "raw" else 16
        self._stan_size: int = width(profile.wires[STAN])
        self._code_size: int = width(profile.wires[CODE])
        self._ways: dict[bytes, _Way] = {}

    def __call__(self, body: bytes) -> Seen | None:
        """Look at an answer; None where it is none that can be read."""
        head = body[: self._mti_size + self._bitmap_size]
        try:
            way = self._ways.get(head) or self._find(head, body)
            at, text = way.start, body.decode(self._charset)
            for skipped, read in way.to_stan:
                at += skipped
                if read is not None:
                    at = read(body, text, at)[1]
            stan_end = at + self._stan_size
            stan, at = body[at:stan_end], stan_end
            for skipped, read in way.to_code:
                at += skipped
                if read is not None:
                    at = read(body, text, at)[1]
        except (BadMessage, Unreadable):
            return None
        code = body[at : at + self._code_size]
        return Seen(stan, code) if len(code) == self._code_size else None

    def code_text(self, code: bytes) -> str:
        """Read a response code."""
        wire = self._profile.wires[CODE]
        return code.hex() if wire.encoding == "bcd" else code.decode(self._charset)

    def _find(self, head: bytes, body: bytes) -> _Way:
        """Work out the way through a message, which must be valid. Errors: `BadMessage`."""
        message = decode(body, self._profile)
        numbers = sorted({*message.fields, *message.secrets})
        for wanted in (STAN, CODE):
            if wanted not in numbers:
                raise BadMessage(wanted, "is missing", partial=message)
        way = _Way(
            self._mti_size + self._bitmap_size * (2 if self._has_second(body) else 1),
            self._steps(n for n in numbers if n < STAN),
            self._steps(n for n in numbers if STAN < n < CODE),
        )
        self._ways[head] = way
        return way

    def _has_second(self, body: bytes) -> bool:
        first = body[self._mti_size : self._mti_size + 1]
        if self._profile.bitmap == "raw":
            return first >= b"\x80"
        return int(first.decode(self._charset), 16) >= _HIGH

    def _steps(self, numbers: Iterable[int]) -> tuple[Step, ...]:
        steps: list[Step] = []
        skipped = 0
        for number in numbers:
            wire = self._profile.wires[number]
            if wire.digits:
                steps.append((skipped, compiled(wire, self._charset).read))
                skipped = 0
            else:
                skipped += width(wire)
        return (*steps, (skipped, None))


def width(wire: Wire) -> int:
    """Tell how many bytes a field of fixed length takes."""
    sizes: dict[str, Callable[[int], int]] = {
        "text": lambda size: size,
        "bcd": lambda size: (size + 1) // 2,
        "raw": lambda size: size,
        "hex": lambda size: 2 * size,
    }
    return sizes[wire.encoding](wire.size)
