"""docs/network.md: what it prints is what happens."""

import re
from pathlib import Path
from typing import Final

import pytest

from bayon.cli import main
from bayon.network.profile import RESPONSE_CODES, parse
from network.samples import VECTORS

PAGE: Final = (Path(__file__).parents[2] / "docs/network.md").read_text()
BLOCKS: Final = re.findall(r"^```\w*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_message_that_is_taken_apart_is_a_sign_on() -> None:
    digits = "".join(re.findall(r"^[0-9a-f]+(?: [0-9a-f]{16})?(?=  )", BLOCKS[0], re.MULTILINE))
    assert bytes.fromhex(digits) == VECTORS["sign-on"][1]["ascii-binary"]


def test_the_description_is_the_one_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    command, _, printed = BLOCKS[1].partition("\n")
    assert main(command.split()[2:]) == 0
    assert capsys.readouterr().out == printed


def test_the_profile_is_one() -> None:
    profile = parse(BLOCKS[2], name="page")
    assert profile.wires[48].size == 99
    assert profile.cvv2 == (48, 2, "92")
    assert profile.response_codes["cvv2_wrong"] == "N7"


def test_the_table_of_reasons_is_the_codes() -> None:
    rows = re.findall(r"([0-9]{2}) \| ((?:`[a-z0-9_]+` ?)+)", PAGE)
    told = {reason: code for code, reasons in rows for reason in re.findall(r"[a-z0-9_]+", reasons)}
    assert told == RESPONSE_CODES
