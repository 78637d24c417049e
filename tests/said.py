"""What no log line of the whole suite may say: tokens, card numbers, numbers of documents.

Whoever makes one in a test tells it here; `conftest` looks through everything that was logged. Card
numbers of our own making are known by themselves, by their BIN and their check digit.
"""

import re
from pathlib import Path
from typing import Final

LENGTH_MIN: Final = 8
"""What is shorter is found in every other line by chance."""

LEAKS: Final[list[str]] = []
"""Where somebody has said in a log what nobody may."""

_TOKEN: Final = re.compile(r'_(?:token|key)": "([^"]{16,})"')
_MADE_HERE: Final = re.compile(r"(?<![0-9a-f-])9116[0-9]{12}(?![0-9a-f-])")
_secrets: Final[dict[str, str]] = {}


def never_say(kind: str, *values: str) -> None:
    """Remember what no log line may say."""
    for value in values:
        assert len(value) >= LENGTH_MIN, kind
        _secrets[value] = kind


def said(text: str) -> list[str]:
    """Tell what kinds of secrets a text says."""
    found = [kind for value, kind in _secrets.items() if value in text]
    found += ["a card number" for number in _MADE_HERE.findall(text) if _is_luhn(number)]
    return sorted(set(found))


def look_through(folder: Path) -> None:
    """Search what processes have logged under a folder, for what their ready-files tell too."""
    for path in folder.rglob("*.json"):
        never_say("a token or key", *_TOKEN.findall(path.read_text(errors="replace")))
    for path in folder.rglob("*.err"):
        LEAKS.extend(f"{path}: {kind}" for kind in said(path.read_text(errors="replace")))


def secrets_count() -> int:
    """Count what is looked for: a search for nothing finds nothing."""
    return len(_secrets)


def _is_luhn(number: str) -> bool:
    doubled = (int(digit) * 2 for digit in number[-2::-2])
    plain = (int(digit) for digit in number[::-2])
    return (sum(plain) + sum(twice // 10 + twice % 10 for twice in doubled)) % 10 == 0
