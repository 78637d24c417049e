"""The operations of the card management API as its document prints them, read from the vectors."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

TABLE: Final = Path(__file__).parents[1] / "vectors" / "cms.txt"
BLOCK: Final = re.compile(
    r"^operation: (?P<name>\w+)\n(?P<curl>.+?)\n\n"
    r"(?P<status>\d{3}) (?P<reason>.+?)\n(?P<answer>.+?)(?=^operation: |\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class SeedOperation:
    """One printed request with its printed answer."""

    name: str
    curl: str
    """The whole command as printed: a shell would run it."""
    method: str
    host: str
    path: str
    query: str
    """As printed, some of it percent-encoded and some not; empty where there is none."""
    headers: Mapping[str, str]
    """Those printed; curl itself adds `Accept: */*`, and to a body the content type of a form."""
    body: str | None
    status: int
    answer: dict[str, Any]


@cache
def operations() -> tuple[SeedOperation, ...]:
    """Read every operation, in the order of the document."""
    return parse(TABLE.read_text(encoding="utf-8"))


def parse(text: str) -> tuple[SeedOperation, ...]:
    """Read the blocks of a table; what stands before the first is a comment."""
    return tuple(_operation(block) for block in BLOCK.finditer(text))


def _operation(block: re.Match[str]) -> SeedOperation:
    words = shlex.split(block["curl"].replace("\\\n", ""))
    options = list(pairwise(words))
    (url,) = [urlsplit(word) for word in words if word.startswith("https://")]
    return SeedOperation(
        name=block["name"],
        curl=block["curl"],
        method=_only(options, "-X"),
        host=f"{url.scheme}://{url.netloc}",
        path=url.path,
        query=url.query,
        headers=dict(value.split(": ", 1) for option, value in options if option == "-H"),
        body=_only(options, "-d") if "-d" in words else None,
        status=int(block["status"]),
        answer=json.loads(block["answer"]),
    )


def _only(options: list[tuple[str, str]], wanted: str) -> str:
    (value,) = [value for option, value in options if option == wanted]
    return value
