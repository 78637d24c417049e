"""Ids and random digits: unlike each other, in order, and another process's are other ones."""

import subprocess
import sys
import time
from typing import Final
from uuid import RFC_4122

import pytest

from bayon.ids import random_digits, uuid7


def test_id_is_a_uuid_of_version_7_made_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= after


def test_ids_sort_by_their_making_and_never_repeat() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("length", [1, 6, 12])
def test_random_digits_are_as_many_and_all_of_them_come(length: int) -> None:
    made = [random_digits(length) for _ in range(2_000)]
    assert {len(digits) for digits in made} == {length}
    for place in range(length):
        assert {digits[place] for digits in made} == set("0123456789")


FORKS: Final = """
import os
from bayon.ids import random_word
random_word()
if os.fork() == 0:
    print(*(random_word() for _ in range(2_000)), flush=True)
    os._exit(0)
os.wait()
print(*(random_word() for _ in range(2_000)))
"""


def test_a_child_makes_other_ids_than_its_parent() -> None:
    words = [sys.executable, "-c", FORKS]
    done = subprocess.run(words, capture_output=True, check=True, text=True)  # noqa: S603 - ourselves
    assert len(set(done.stdout.split())) == 4_000
