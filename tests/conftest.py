"""Fixtures: one real PostgreSQL a session, one fresh database a test, checked after it."""

import os
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from bayon import cards, ledger, payments
from bayon.db import Database, migrate
from bayon.postgres import EmbeddedPostgres
from said import LEAKS, look_through, said
from servers import Server, database_url

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

OPAQUE: Final = re.compile(r"(?![a-z_:,-]*$|[A-Z_]*$)[\w:,=-]{20,}")

FOLDERS: Final[list[Path]] = []
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private folder inside
MEMORY_B_MIN: Final = 4 * 2**30

settings.register_profile("beside", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside")  # other tests run meanwhile: how long an example takes says nothing

REQUIRE_ALL: Final = os.environ.get("BAYON_REQUIRE_ALL") == "1"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a key or a token by its argument: one made at random would be another in each process.

    Those that test beside each other must call each test the same, or none of them runs.
    """
    return argname if isinstance(val, str) and OPAQUE.fullmatch(val) else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let no file be skipped where everything is required."""
    assert collector
    return _demand((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test be skipped where everything is required."""
    return _demand((yield))


def _demand(report: Report) -> Report:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{why}\nBAYON_REQUIRE_ALL=1 lets no test be skipped."
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look through what each test has logged, or printed, for what nobody may say."""
    for title, content in report.sections:
        LEAKS.extend(f"{report.nodeid}, {title}: {kind}" for kind in said(content))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look through the logs of every process that was started; a secret in one is a failure."""
    for folder in FOLDERS:
        look_through(folder)
    told = getattr(session.config, "workeroutput", None)
    if told is not None:  # one of several processes: whoever started it says what was found
        told["leaks"] = LEAKS
    if LEAKS and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - of xdist, which has no types
    """Take over what a process of ours has found: its secrets are its own, and so are its logs."""
    LEAKS.extend(getattr(node, "workeroutput", {}).get("leaks", []))


@pytest.fixture(scope="session", autouse=True)
def _where_logs_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Remember where tests write: their processes' logs stand there."""
    FOLDERS.append(tmp_path_factory.getbasetemp())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, and why; and what was said that nobody may say."""
    for leak in dict.fromkeys(LEAKS):
        terminalreporter.write_line(f"SAID IN A LOG: {leak}", red=True)
    skipped: list[pytest.TestReport] = terminalreporter.getreports("skipped")
    whys = {str(r.longrepr[2] if isinstance(r.longrepr, tuple) else r.longrepr) for r in skipped}
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} skipped: {'; '.join(sorted(whys))}")


@pytest.fixture(scope="session")
async def server() -> AsyncGenerator[Server]:
    """Start the embedded PostgreSQL once and migrate a template."""
    with _memory() as folder:
        embedded = EmbeddedPostgres(folder)
        url = await embedded.start()
        made = Server(url=url, template="template_bayon")
        await made.run(f"CREATE DATABASE {made.template}")
        template = await Database.connect(database_url(url, made.template))
        await migrate(template)
        await template.close()
        yield made
        await embedded.erase()


@contextmanager
def _memory() -> Generator[Path]:
    """Make a folder for databases that nobody misses: in memory, where that is large enough.

    It is the same server with the same settings, fsync included: it only waits for no disk. What
    is about durability runs `bayon dev` on a disk (tests/journeys).
    """
    spacious = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_B_MIN
    folder = Path(tempfile.mkdtemp(prefix="bayon-tests-", dir=MEMORY if spacious else None))
    folder.chmod(0o755)  # that of root is closed to all others, PostgreSQL's own user included
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
async def database(server: Server) -> AsyncGenerator[str]:
    """Make a fresh database; when the test is over its invariants must hold."""
    url = await server.clone()
    yield url
    db = await Database.connect(url, size_max=4)
    for check in (ledger.check, payments.check, cards.check):
        assert await db.transaction(check, isolation="repeatable_read") == []
    await db.close()
    await server.drop(url)


@pytest.fixture
async def db(database: str) -> AsyncGenerator[Database]:
    """Connect to the test's own database."""
    opened = await Database.connect(database)
    yield opened
    await opened.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Name a folder that does not exist yet."""
    return tmp_path / "data"
