"""Ids: UUIDv7, made by us, so that rows sort by their making and no database sequence is needed."""

import os
import time
from struct import unpack
from typing import Final
from uuid import UUID, SafeUUID

_VERSION_7: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_SUB_MS_BITS: Final = 12
_RANDOM_MASK: Final = (1 << 62) - 1
_WORDS: Final = 512

_words: Final[list[int]] = []


def uuid7() -> UUID:
    """Make a UUIDv7: 48 bits of milliseconds, 12 bits of the fraction, 62 random bits.

    Source: RFC 9562, 5.7 and 6.2 (method 3, increased clock precision).
    """
    ms, ns = divmod(time.time_ns(), 1_000_000)
    fraction = (ns << _SUB_MS_BITS) // 1_000_000
    bits = ms << 80 | _VERSION_7 | fraction << 64 | _VARIANT | random_word() & _RANDOM_MASK
    # Not by the constructor, whose checks of what was just made cost as much as its making.
    made = object.__new__(UUID)
    object.__setattr__(made, "int", bits)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


def random_digits(length: int) -> str:
    """Make a number of so many digits that nobody foresees; at most 12, so that all are as likely.

    (By less than one in ten million.)
    """
    return f"{random_word() % 10**length:0{length}}"


def random_word() -> int:
    """Take 64 random bits of the system's, of which a page is fetched at a time.

    To ask the system for each costs four times as much as all else an id takes.
    """
    while True:
        try:
            return _words.pop()
        except IndexError:
            _words.extend(unpack(f"{_WORDS}Q", os.urandom(8 * _WORDS)))


# A child would otherwise make the ids of its parent.
os.register_at_fork(after_in_child=_words.clear)
