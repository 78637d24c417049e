"""The README's first five minutes, word for word: every block, in order, in one shell."""

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from journeys.running import ROOT, Home, environment

README: Final = (ROOT / "README.md").read_text()
TITLE: Final = "First five minutes"
PATIENCE_S: Final = 120.0
"""For a dozen commands, each a process of its own, on a machine that has other things to do."""


def blocks_under(title: str) -> list[str]:
    """Take the `sh` blocks of a section, its subsections' too."""
    section = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


async def test_the_first_five_minutes_go_as_printed(home: Home) -> None:
    blocks = blocks_under(TITLE)
    assert len(blocks) >= 4
    # What `make setup` makes, and what `make run` starts, though on ports that are free.
    (home.folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    dev = await home.dev()
    ports = {"8000": dev.ready["http_url"], "8443": dev.ready["https_url"]}
    script = "\n".join(f"{block}\necho\necho '=== {n}'" for n, block in enumerate(blocks))
    for port, url in ports.items():
        script = script.replace(f"localhost:{port}", url.partition("://")[2])
    assert ":8000" not in script
    assert ":8443" not in script
    (home.folder / "tmp").mkdir()
    script = script.replace("/tmp/", f"{home.folder}/tmp/")  # noqa: S108 - the README's, led away
    running = home.start("bash", "-euo", "pipefail", "-c", script)
    done = await running.ended(patience_s=PATIENCE_S)
    assert done.code == 0, done.out + done.err
    assert f"=== {len(blocks) - 1}" in done.out
    assert "Traceback" not in done.err, done.err
    told = re.findall(r'"(?:responseCode|shortLink)":\s*[^,}\s]+|UNPAID', done.out)
    answers = [answer.rpartition(":")[2].strip() for answer in told if "Code" in answer]
    # Unpaid; the payment, and paid; the deeplink.
    assert answers[:4] == ["1", "0", "0", "0"], done.out
    assert any(answer.startswith(f'"shortLink":"{dev.url}/') for answer in told), done.out
    assert "bakong_khqr" not in script or "UNPAID" in told, done.out


def test_the_only_other_block_is_the_one_that_starts_it() -> None:
    everywhere = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert [block for block in everywhere if block not in blocks_under(TITLE)] == ["make run\n"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run: setup .*\n\t\$\(BIN\)/bayon dev \$\(ARGS\)$", makefile, re.MULTILINE)


@pytest.mark.parametrize("name", ["BAYON_DATABASE_URL", "BAYON_SEAL_KEYS"])
def test_a_readers_own_settings_do_not_reach_these_tests(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "mine")
    assert name not in environment()
