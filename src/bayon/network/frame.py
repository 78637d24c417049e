"""Frames: where a message ends on a stream that knows no messages, and whom it is for.

A length stands before every message, and behind the length, on some links, a TPDU: five bytes
that say where to and where from, and go back turned round. Pure: bytes in, frames out, however
the stream was cut. The host owns a `Framer` for each connection and closes it on `BadFrame`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from bayon.errors import Invalid

Length = Literal["binary-2", "binary-2-inclusive", "ascii-4", "bcd-2"]
LENGTHS: Final[tuple[Length, ...]] = get_args(Length)

TPDU_SIZE: Final = 5
FRAME_SIZE_MAX: Final = 8_192
LENGTH_MAX: Final[Mapping[Length, int]] = {
    "binary-2": 0xFFFF,
    "binary-2-inclusive": 0xFFFF - 2,
    "ascii-4": 9_999,
    "bcd-2": 9_999,
}
"""What each form of the length can say, in bytes behind it."""

_ASCII_SIZE: Final = 4
_BINARY_SIZE: Final = 2


class BadFrame(Invalid):
    """The stream holds no frame where one must begin."""

    code = "bad_frame"


class Frame(NamedTuple):
    """One message as it came, and the TPDU before it, if the link has them."""

    body: bytes
    tpdu: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    """How a link marks where its messages end."""

    length: Length = "binary-2"
    """Two bytes, the high one first, that count themselves or not; four ASCII digits; four BCD."""

    tpdu: bool = False
    """Whether a TPDU stands behind the length, which counts it."""

    size_max: int = FRAME_SIZE_MAX
    """Bytes behind the length. A longer frame closes the link before it is read."""


def wrap(frame: Frame, framing: Framing) -> bytes:
    """Write a frame, its length before it. Errors: `BadFrame` when it is longer than may be."""
    content = frame.tpdu + frame.body
    if len(frame.tpdu) != (TPDU_SIZE if framing.tpdu else 0):
        raise BadFrame("The frame has a TPDU where there is none, or has none.")
    if len(content) > min(framing.size_max, LENGTH_MAX[framing.length]):
        raise BadFrame("The frame is longer than may be.")
    return _WRITE[framing.length](len(content)) + content


def turned(tpdu: bytes) -> bytes:
    """Turn a TPDU round for the answer: one byte of kind, two of target, two of source."""
    return tpdu[:1] + tpdu[3:5] + tpdu[1:3]


class Framer:
    """Cuts one connection's stream into frames. Keeps no more than one frame and the last read."""

    def __init__(self, framing: Framing) -> None:
        self._framing: Framing = framing
        self._kept: bytearray = bytearray()
        self.error: BadFrame | None = None
        """Why no more frames can come; set once the frames before it are handed out."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take what was read; return the frames that are whole now, in order.

        A frame of length nothing keeps a link alive, and is dropped. Errors: `BadFrame`, by
        whoever feeds on after `error` was set.
        """
        if self.error is not None:
            raise self.error
        self._kept += data
        frames: list[Frame] = []
        at = 0
        try:
            while (end := self._end(at)) is not None:
                frames += self._frame(at + self._header_size, end)
                at = end
        except BadFrame as error:
            self.error = error
        del self._kept[:at]
        return frames

    @property
    def waiting(self) -> int:
        """Count the bytes of a frame that has begun and is not whole."""
        return len(self._kept)

    @property
    def _header_size(self) -> int:
        return _ASCII_SIZE if self._framing.length == "ascii-4" else _BINARY_SIZE

    def _end(self, at: int) -> int | None:
        """Find where the frame that begins at `at` ends; `None` while it is not all there."""
        start = at + self._header_size
        if len(self._kept) < start:
            return None
        size = _READ[self._framing.length](bytes(self._kept[at:start]))
        if size > self._framing.size_max:
            raise BadFrame("A frame is longer than this link allows.")
        return start + size if len(self._kept) >= start + size else None

    def _frame(self, start: int, end: int) -> list[Frame]:
        tpdu_size = TPDU_SIZE if self._framing.tpdu else 0
        if start < end < start + tpdu_size:
            raise BadFrame("A frame is too short for its TPDU.")
        body = bytes(self._kept[start + tpdu_size : end])
        return [Frame(body, bytes(self._kept[start : start + tpdu_size]))] if body else []


def _read_binary(header: bytes) -> int:
    return int.from_bytes(header, "big")


def _read_inclusive(header: bytes) -> int:
    size = int.from_bytes(header, "big") - len(header)
    if size < 0:
        raise BadFrame("A frame's length is less than what counts itself.")
    return size


def _read_digits(header: bytes) -> int:
    if not header.isdigit():
        raise BadFrame("A frame's length is no number.")
    return int(header)


_READ: Final[Mapping[Length, Callable[[bytes], int]]] = {
    "binary-2": _read_binary,
    "binary-2-inclusive": _read_inclusive,
    "ascii-4": _read_digits,
    "bcd-2": lambda header: _read_digits(header.hex().encode()),
}
_WRITE: Final[Mapping[Length, Callable[[int], bytes]]] = {
    "binary-2": lambda size: size.to_bytes(2, "big"),
    "binary-2-inclusive": lambda size: (size + 2).to_bytes(2, "big"),
    "ascii-4": lambda size: b"%04d" % size,
    "bcd-2": lambda size: bytes.fromhex(f"{size:04d}"),
}
