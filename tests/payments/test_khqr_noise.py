"""KHQR against noise and against very long input: nothing but `BadQR`, and at once."""

import binascii
import contextlib
import os
import random
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bayon.payments import khqr, picture, tlv
from bayon.payments.khqr import BadQR

TABLE = Path(__file__).parents[1] / "vectors" / "khqr.txt"
QRS: list[str] = re.findall(r"^qr: (.*)$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)

ALPHABET = "0123456789" * 4 + "@.+- AZazéក្១⁴😀\U0010ffff\0\n\ud800\udc00\u200b"


def noise(rng: random.Random) -> str:
    """Mutate a vector one to three times; half of the time seal it anew, to get past the CRC."""
    text = rng.choice(QRS)
    for _ in range(rng.randint(1, 3)):
        text = mutated(text, rng)
    return resealed(text) if rng.random() < 0.5 else text


def mutated(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    to = at + rng.randint(1, 8)
    match rng.randrange(7):
        case 0 | 1:
            return text[:at] + rng.choice(ALPHABET) + text[at + 1 :]
        case 2:
            return text[:at] + rng.choice(ALPHABET) + text[at:]
        case 3:
            return text[:at] + text[to:]
        case 4:
            return text[:to] + text[at:]
        case 5:
            return text[:at]
        case _:
            other = rng.choice(QRS)
            return text[:at] + other[rng.randrange(len(other)) :]


def resealed(text: str) -> str:
    body = f"{text[:-8]}6304"
    return f"{body}{binascii.crc_hqx(body.encode('utf-8', 'surrogatepass'), 0xFFFF):04X}"


def survive(count: int, seed: int) -> int:
    """Read `count` noisy texts; return how many were taken."""
    rng = random.Random(seed)  # noqa: S311  # noise, not a secret
    taken = 0
    for number in range(count):
        text = noise(rng)
        try:
            taken += survives(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}, text {number}: {text!r}") from error
    return taken


def survives(text: str) -> bool:
    khqr.verify(text)  # as it stands too: its structure is judged before its CRC
    try:
        read = khqr.read(khqr.reading(text))
        made = khqr.make(read)
    except BadQR:
        return False
    assert khqr.read(made) == read
    return True


def test_noise_is_read_or_refused() -> None:
    """One text in a hundred at least must be taken, else the noise never gets past the doorstep."""
    assert survive(20_000, seed=20_260) > 200


@pytest.mark.prove
def test_a_million_noisy_texts_are_read_or_refused() -> None:
    seed = int(os.environ.get("BAYON_TEST_SEED") or secrets.randbits(32))
    assert survive(1_000_000, seed) > 10_000


# Long input.

MILLION = 1_000_000
LONG = {
    "digits": "9" * MILLION,
    "tiny tags": "0000" * (MILLION // 4),
    "all tags, again and again": "".join(f"{tag:02d}00" for tag in range(100)) * (MILLION // 400),
    "plus": "+" * MILLION,
    "Khmer": "ក" * MILLION,
    "emoji": "😀" * MILLION,
    "lone surrogates": "\ud800" * MILLION,
    "a QR and blanks": QRS[0] + " " * MILLION,
    "a long number": QRS[0][:-8] + "5499" + "9" * MILLION,
    "as long as may be": "".join(f"{tag:02d}99{'+' * 99}" for tag in range(100)),
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize(
    "verb",
    [khqr.read, khqr.verify, khqr.reading, khqr.md5, khqr.crc, tlv.parse, picture.png, picture.svg],
)
def test_long_input_is_answered_at_once(verb: Callable[[str], object], text: str) -> None:
    started_at = time.perf_counter()
    with contextlib.suppress(BadQR):
        verb(text)
    assert time.perf_counter() - started_at < 1
