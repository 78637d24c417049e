"""Skipping: told where a tool is absent, a failure where BAYON_REQUIRE_ALL says all are there."""

import sys

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


async def test_skipped_tests_are_counted_with_their_reasons(home: Home) -> None:
    done = await _pytest(home)
    assert done.code == 0
    assert "2 skipped: Skipped: no such tool; Skipped: not today" in done.out


async def test_where_all_is_required_a_skipped_test_fails(home: Home) -> None:
    done = await _pytest(home, BAYON_REQUIRE_ALL="1")
    assert done.code == 1
    assert "1 failed, 1 xfailed, 1 error" in done.out
    assert "no such tool\nBAYON_REQUIRE_ALL=1 lets no test be skipped." in done.out


async def test_where_all_is_required_a_skipped_file_fails(home: Home) -> None:
    (home.folder / "test_more.py").write_text("__import__('pytest').importorskip('nothing')")
    done = await _pytest(home, BAYON_REQUIRE_ALL="1")
    assert done.code != 0
    assert "could not import 'nothing'" in done.out


async def _pytest(home: Home, **env: str) -> Done:
    (home.folder / "test_it.py").write_text(SKIPPING)
    words = (sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider")
    return await home.run(*words, stdin=b"", PYTHONPATH=str(ROOT / "tests"), **env)
