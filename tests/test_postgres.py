"""The embedded server, for real: it is started, killed, adopted, misled and found again."""

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import asyncpg
import pytest

from bayon.errors import Unavailable
from bayon.postgres import EmbeddedPostgres, binary, process, url_of

STARTER = """
import asyncio, os, signal, sys
from pathlib import Path
from bayon.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
asyncio.run(server.start())
print("pid", server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def open_dir() -> Generator[Path]:
    # Not tmp_path: that of root is closed to all others, and most tests are about an open one.
    made = Path(tempfile.mkdtemp(prefix="bayon-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def data_dir(open_dir: Path) -> AsyncGenerator[Path]:
    yield open_dir / "data"
    await EmbeddedPostgres(open_dir / "data").erase()


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


async def until_answered(url: str, sql: str) -> object:
    async with asyncio.timeout(15):
        while True:
            try:
                return await ask(url, sql)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.02)


async def starter(data_dir: Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTER, str(data_dir)), stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    return int(out.rpartition(b"pid ")[2]), out.decode()


@contextlib.asynccontextmanager
async def watched(server: EmbeddedPostgres) -> AsyncGenerator[None]:
    watch = asyncio.create_task(server.watch())
    yield
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch


async def test_it_starts_stops_and_starts_again_with_what_was_committed(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    with pytest.raises(Unavailable):
        await url_of(data_dir)
    url = await server.start()
    assert await ask(url, "SELECT current_user::text || current_database()") == "bayonbayon"
    assert await url_of(data_dir) == url == server.url
    await ask(url, "CREATE TABLE kept AS SELECT 7 AS n")
    first = server.pid
    await server.stop()
    assert not is_alive(first)
    cluster = await _cluster(data_dir)
    assert not (cluster / "postmaster.pid").exists()
    with pytest.raises(Unavailable):
        await url_of(data_dir)
    assert await server.start() == url
    assert await ask(url, "SELECT n FROM kept") == 7


async def _cluster(data_dir: Path) -> Path:
    elsewhere = data_dir / "postgres.path"
    return Path(elsewhere.read_text().strip()) if elsewhere.exists() else data_dir / "postgres"


async def test_commits_are_durable_and_nothing_listens_on_tcp(data_dir: Path) -> None:
    url = await EmbeddedPostgres(data_dir).start()
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert await ask(url, f"SHOW {name}") == "on"
    assert await ask(url, "SHOW listen_addresses") == ""
    assert await ask(url, "SHOW timezone") == "UTC"
    assert await ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = 'bayon'") is False
    assert await ask(url, "SELECT lower('ÉÑ') || (SELECT 'B' < 'a')") == "éñtrue"


async def test_the_servers_log_quotes_no_values(data_dir: Path) -> None:
    url = await EmbeddedPostgres(data_dir).start()
    await ask(url, "CREATE TABLE kept (pan text UNIQUE)")
    for sql in ("INSERT INTO kept VALUES ('4111111111111111')",) * 2 + ("SELECT '4111x'::int",):
        with contextlib.suppress(asyncpg.PostgresError):
            await ask(url, sql)
    log = (await _cluster(data_dir) / "server.log").read_text()
    assert "ready to accept connections" in log
    assert "4111" not in log


async def test_it_outlives_a_killed_starter_and_is_adopted(data_dir: Path) -> None:
    pid, _ = await starter(data_dir)
    assert is_alive(pid)
    server = EmbeddedPostgres(data_dir)
    await server.start()
    assert server.pid == pid
    assert await ask(server.url, "SELECT 1") == 1


async def test_two_starts_at_once_end_with_one_server(data_dir: Path) -> None:
    (one, _), (other, _) = await asyncio.gather(starter(data_dir), starter(data_dir))
    assert one == other
    assert is_alive(one)


@pytest.mark.parametrize("busy", [False, True])
async def test_a_killed_server_is_brought_back_with_what_was_committed(
    data_dir: Path, *, busy: bool
) -> None:
    server = EmbeddedPostgres(data_dir)
    url = await server.start()
    async with watched(server):
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS n")
        orphan = None
        if busy:  # does not look up from its work, so it does not see that the server has died
            spin = "SELECT count(*) FROM generate_series(1, 10000000000)"
            orphan = asyncio.create_task(ask(url, spin))
            await asyncio.sleep(0.2)
        for _ in range(2):
            killed = server.pid
            os.kill(killed, signal.SIGKILL)
            assert await until_answered(url, "SELECT n FROM kept") == 7
            while server.pid == killed:  # noqa: ASYNC110 - the watch tells nobody
                await asyncio.sleep(0.01)
            assert is_alive(server.pid)
        if orphan is not None:
            with pytest.raises((OSError, asyncpg.PostgresError)):
                await orphan


async def test_a_watch_that_cannot_see_leaves_the_server_alone_and_goes_on(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(data_dir)
    url = await server.start()
    pid, looked = server.pid, 0

    def blind(*_: object) -> bool:
        nonlocal looked
        looked += 1
        raise OSError(errno.EMFILE, "Too many open files")

    async with watched(server):
        with monkeypatch.context() as patch:
            patch.setattr(process, "is_server", blind)
            async with asyncio.timeout(15):
                while looked < 3:  # noqa: ASYNC110 - the watch tells nobody
                    await asyncio.sleep(0.01)
        assert server.pid == pid
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
        assert await until_answered(url, "SELECT 1") == 1


async def test_a_stopped_server_is_not_brought_back(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    await server.start()
    async with watched(server):
        await server.stop()
        await asyncio.sleep(0.3)
        with pytest.raises(Unavailable):
            await url_of(data_dir)


async def test_a_stale_pid_file_misleads_nobody(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    url = await server.start()
    pid_file = await _cluster(data_dir) / "postmaster.pid"
    lock = Path(url.partition("host=")[2].partition("&")[0]) / ".s.PGSQL.5432.lock"
    owner = pid_file.stat()
    other = subprocess.Popen(  # noqa: ASYNC220, S603 - alive, of the server's user, but no server
        [shutil.which("sleep") or "sleep", "60"], user=owner.st_uid, group=owner.st_gid
    )
    try:
        for content in (f"{other.pid}", "", "?", "999999999"):
            lines = pid_file.read_text().splitlines()
            os.kill(server.pid, signal.SIGKILL)
            pid_file.write_text("\n".join([content, *lines[1:]]) if content else "")
            lock.write_text(f"{other.pid}\n")
            with pytest.raises(Unavailable):
                await url_of(data_dir)
            await server.start()
            assert await ask(url, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_the_data_directory_may_be_deep_and_oddly_named(data_dir: Path) -> None:
    deep = data_dir / ("d" * 90) / 'it\'s, a "test" + 50 % ខ្មែរ' / "data"
    server = EmbeddedPostgres(deep)
    url = await server.start()
    try:
        assert await url_of(deep) == url
        assert await ask(url, "SELECT 1") == 1
        done = subprocess.run(  # noqa: ASYNC221, S603 - libpq reads the URL as asyncpg does
            [binary("psql"), url, "-Atc", "SELECT 2"], capture_output=True, check=True, text=True
        )
        assert done.stdout == "2\n"
    finally:
        await server.erase()


async def test_permissions_of_parents_stay_as_they_are(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [parent.stat().st_mode for parent in (closed, *closed.parents)]
    server = EmbeddedPostgres(closed / "data")
    url = await server.start()
    try:
        assert await url_of(closed / "data") == url
        assert await ask(url, "SELECT 1") == 1
        assert [parent.stat().st_mode for parent in (closed, *closed.parents)] == before
        cluster = await _cluster(closed / "data")
        assert cluster.stat().st_mode & 0o777 == 0o700
    finally:
        await server.erase()
    assert not cluster.exists()


async def test_an_interrupted_initdb_leaves_nothing_behind(data_dir: Path) -> None:
    (data_dir / "postgres.new-half").mkdir(parents=True)
    (data_dir / "postgres.new-half" / "PG_VERSION").write_text("18\n")
    await EmbeddedPostgres(data_dir).start()
    assert not (data_dir / "postgres.new-half").exists()


async def test_what_cannot_work_says_why(data_dir: Path) -> None:
    with pytest.raises(Unavailable, match="data directory cannot be used"):
        await EmbeddedPostgres(Path(__file__) / "data").start()
    server = EmbeddedPostgres(data_dir)
    await server.start()
    await server.stop()
    cluster = await _cluster(data_dir)
    control = cluster / "global" / "pg_control"
    control.rename(control.with_suffix(".away"))
    with pytest.raises(Unavailable, match=r"does not start.*pg_control") as caught:
        await server.start()
    assert "pg_control" in str(caught.value.context["log_tail"])
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(Unavailable, match="made by PostgreSQL 16"):
        await server.start()
    shutil.rmtree(cluster)
    with pytest.raises(Unavailable, match="No database"):
        await url_of(data_dir)


def test_programs_are_found_by_name() -> None:
    assert binary("pgbench").is_file()
    with pytest.raises(Unavailable, match="no program oracle"):
        binary("oracle")
