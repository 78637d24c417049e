"""Mutated messages: read as pyiso8583 reads them or refused, at once, in little room."""

import os
import random
import secrets
import time
import tracemalloc

import iso8583
import pytest

from bayon.network.iso8583 import BadMessage, decode, encode
from bayon.network.profile import SHIPPED, parse
from network import oracle
from network.samples import PROFILES, VECTORS

BODIES = {wire: [frames[wire][2:] for _, frames in VECTORS.values()] for wire in SHIPPED}
OF_CONTENT = ("is not ", "is missing", "announces a third", "is odd and not filled up")
"""Why we refuse what pyiso8583 may take: it looks at no content, and fills up less strictly."""


def survive(count: int, seed: int) -> int:
    """Read `count` mutated messages; return how many were taken."""
    rng = random.Random(seed)  # noqa: S311 - noise, not a secret
    taken = 0
    for number in range(count):
        wire = rng.choice(SHIPPED)
        body = mutated(rng.choice(BODIES[wire]), wire, rng)
        try:
            taken += survives(body, wire)
        except Exception as error:
            raise AssertionError(f"seed {seed}, message {number}, {wire}: {body.hex()}") from error
    return taken


def mutated(body: bytes, wire: str, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(body) + 1)
        to = at + rng.randint(1, 8)
        match rng.randrange(8):
            case 0:
                body = body[:at] + rng.randbytes(1) + body[to:]
            case 1:
                body = body[:at] + rng.choice([b"0", b"9", b"A", b" ", b"\xf0"]) + body[at + 1 :]
            case 2:
                body = body[:at] + bytes([body[at - 1] ^ 1 << rng.randrange(8)]) + body[at + 1 :]
            case 3:
                body = body[:at] + body[to:]
            case 4:
                body = body[:to] + body[at:]
            case 5:
                body = body[:at]
            case 6:
                body += rng.randbytes(rng.randint(1, 40))
            case _:
                other = rng.choice(BODIES[wire])
                body = body[:at] + other[rng.randrange(len(other)) :]
        body = body or b"0"
    return body


def survives(body: bytes, wire: str) -> bool:
    profile = PROFILES[wire]
    try:
        message = decode(body, profile)
    except BadMessage as error:
        if not error.reason.startswith(OF_CONTENT) and taken_by_pyiso8583(body, wire):
            raise AssertionError(error.message) from error
        return False
    assert oracle.plain(message) == oracle.decoded(body, profile)
    again = encode(message, profile)
    assert decode(again, profile) == message
    return True


def taken_by_pyiso8583(body: bytes, wire: str) -> bool:
    """Ask pyiso8583 if it takes a message, with lengths that are digits and nothing else."""
    try:
        _, encoded = iso8583.decode(body, oracle.table_of(PROFILES[wire]))
    except (iso8583.DecodeError, KeyError):  # it knows a third bitmap, and no fields for it
        return False
    charset = "cp037" if wire == "ebcdic" else "latin-1"
    return wire == "bcd" or all(
        part["len"].decode(charset).isdecimal() for part in encoded.values() if part["len"]
    )


def test_mutated_messages_are_read_or_refused() -> None:
    """One in fifty at least must be taken, else the noise never gets past the doorstep."""
    assert survive(4_000, seed=20_261) > 80


@pytest.mark.prove
def test_two_hundred_thousand_mutated_messages_are_read_or_refused() -> None:
    seed = int(os.environ.get("BAYON_TEST_SEED") or secrets.randbits(32))
    assert survive(200_000, seed) > 4_000


MILLION = 1_000_000
LONG = {
    "zeros": b"\0" * MILLION,
    "ones": b"\xff" * MILLION,
    "digits": b"0" * MILLION,
    "nines": b"9" * MILLION,
    "every field, of nines": b"0800" + b"\x7f" + b"\xff" * 7 + b"9" * MILLION,
    "every field twice": b"0800" + b"\xff" * 8 + b"\x7f" + b"\xff" * 7 + b"9" * MILLION,
    "every field, empty": b"0800" + b"\xff" * 8 + b"\x7f" + b"\xff" * 7 + b"0" * MILLION,
}


@pytest.mark.parametrize("wire", SHIPPED)
@pytest.mark.parametrize("body", LONG.values(), ids=LONG.keys())
def test_long_input_is_refused_at_once(body: bytes, wire: str) -> None:
    started_at = time.process_time()
    with pytest.raises(BadMessage):
        decode(body, PROFILES[wire])
    assert time.process_time() - started_at < 0.5


def test_bitmaps_of_all_sorts_do_not_fill_the_memory() -> None:
    """Plans are kept for a few hundred bitmaps, whoever sends how many others."""
    rng = random.Random(1)  # noqa: S311 - noise, not a secret
    profile = parse("", name="own")

    def read(count: int) -> None:
        for _ in range(count):
            with pytest.raises(BadMessage):
                decode(b"0800" + rng.randbytes(16), profile)

    read(1_200)
    tracemalloc.start()
    read(1_200)
    grown_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown_bytes < 16 * MILLION
