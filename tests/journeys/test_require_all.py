"""Skipping: told where a tool is absent, a failure where BAYON_REQUIRE_ALL says all are there."""

import sys

import pytest

from journeys.running import ROOT, Done, Home

SKIPPING = """
import pytest

@pytest.mark.skipif(True, reason="no such tool")
def test_one() -> None: ...

def test_two() -> None:
    pytest.skip("not today")

@pytest.mark.xfail(reason="known")
def test_three() -> None:
    assert False
"""


SAYING = """
import logging

def test_quiet() -> None: ...

def test_loud() -> None:
    logging.getLogger("here").warning("card %s declined", "91160000" "00000002")

def test_process(tmp_path) -> None:
    (tmp_path / "ready.json").write_text('{"cms_token": "secret-4929-of-nobody"}')
    (tmp_path / "bayon.err").write_text("GET / secret-4929-of-nobody")
"""
PATIENCE_S = 180.0
"""For three starts of Python, where many other things run."""

PLUGINS = ("cacheprovider", "anyio", "faker", "platformdirs", "schemathesis")
"""What a run of a few lines does not need, and takes seconds to load."""

TESTERS = pytest.mark.parametrize("testers", ["0", "2"])


@TESTERS
async def test_skipped_tests_are_counted_with_their_reasons(home: Home, testers: str) -> None:
    done = await _pytest(home, testers)
    assert done.code == 0
    assert "2 skipped: Skipped: no such tool; Skipped: not today" in done.out


@TESTERS
async def test_where_all_is_required_a_skipped_test_fails(home: Home, testers: str) -> None:
    done = await _pytest(home, testers, BAYON_REQUIRE_ALL="1")
    assert done.code == 1
    assert "1 failed, 1 xfailed, 1 error" in done.out
    assert "no such tool\nBAYON_REQUIRE_ALL=1 lets no test be skipped." in done.out


@TESTERS
async def test_where_all_is_required_a_skipped_file_fails(home: Home, testers: str) -> None:
    (home.folder / "test_more.py").write_text("__import__('pytest').importorskip('nothing')")
    done = await _pytest(home, testers, BAYON_REQUIRE_ALL="1")
    assert done.code != 0
    assert "could not import 'nothing'" in done.out


@TESTERS
async def test_a_secret_in_a_log_fails_the_run_and_is_told_without_itself(
    home: Home, testers: str
) -> None:
    done = await _pytest(home, testers, program=SAYING)
    assert done.code == 1
    assert "3 passed" in done.out
    assert "SAID IN A LOG: test_it.py::test_loud, Captured log call: a card number" in done.out
    assert "test_process0/bayon.err: a token" in done.out
    assert "4929-of-nobody" not in done.out + done.err


async def _pytest(home: Home, testers: str, program: str = SKIPPING, **env: str) -> Done:
    (home.folder / "test_it.py").write_text(program)
    unwanted = [word for name in PLUGINS for word in ("-p", f"no:{name}")]
    words = (sys.executable, "-m", "pytest", "-p", "conftest", "-n", testers, *unwanted)
    running = home.start(*words, stdin=b"", PYTHONPATH=str(ROOT / "tests"), **env)
    return await running.ended(patience_s=PATIENCE_S)
