"""`bayon cards` as a process: cards are ordered, exported once, killed half-way, exported again."""

import asyncio
import hashlib
import re
import signal
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pyrage
import pytest

from bayon.db import Database
from bayon.log import Secret
from cards.plastic import BUREAU, RECIPIENT, order_cards, read_by_bureau
from cards_factories import VAULT, VAULT_KEYS, Purse, make_purse
from journeys.running import BAYON, Done, Home, Running, query

TO: Final = ("--recipient", RECIPIENT.key)
BATCHES: Final = "SELECT count(*) FROM cards.production_batch"
SLOW: Final = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON cards.production_file FOR EACH ROW EXECUTE FUNCTION slow();
"""
"""Lets a process never note that its file is written."""


class Operator:
    """Somebody who types `bayon cards`, on a database of one issuer."""

    def __init__(self, home: Home, url: str, db: Database, purse: Purse) -> None:
        self.home: Home = home
        self.url: str = url
        self.db: Database = db
        self.purse: Purse = purse

    async def export(self, out: str | Path, *more: str, **env: str) -> Done:
        return await self.home.bayon(*self._words(out, more), stdin=b"", **(self._env() | env))

    def start(self, out: str) -> Running:
        return self.home.start("bayon", *self._words(out, ()), stdin=b"", **self._env())

    async def exports(self) -> list[list[str]]:
        done = await self.home.bayon("cards", "exports", stdin=b"", **self._env())
        assert (done.code, done.err) == (0, "")
        return [line.split("\t") for line in done.out.splitlines()]

    async def with_little_room(self, out: str) -> Done:
        """Export where no file may be larger than a kilobyte."""
        words = ("sh", "-c", 'ulimit -f 1; exec "$@"', "sh", BAYON, *self._words(out, ()))
        return await self.home.run(*words, stdin=b"", **self._env(), PYTHONDONTWRITEBYTECODE="1")

    async def order(self, count: int) -> list[str]:
        made = await order_cards(self.db, self.purse, count)
        return [str(card.id) for card in made]

    def read(self, out: str) -> Any:  # noqa: ANN401 - JSON
        return read_by_bureau((self.home.folder / out).read_bytes())

    def left(self) -> list[str]:
        """Tell what stands in the folder, but for what processes have said."""
        names = (path.name for path in self.home.folder.iterdir())
        return sorted(name for name in names if not re.fullmatch(r"\w{8}\.(in|out|err)", name))

    def _words(self, out: str | Path, more: tuple[str, ...]) -> tuple[str, ...]:
        what = () if "--again" in more else ("--issuer", self.purse.issuer.name)
        to = () if "--recipient" in more else TO
        return ("cards", "export", *what, *to, "--out", str(out), *more)

    def _env(self) -> dict[str, str]:
        return {
            "BAYON_DATABASE_URL": self.url,
            **{
                f"BAYON_{name.upper()}": getattr(VAULT_KEYS, name).reveal()
                for name in VAULT_KEYS.__dataclass_fields__
            },
        }


@pytest.fixture
async def operator(home: Home, database: str) -> AsyncGenerator[Operator]:
    db = await Database.connect(database, size_max=4)
    yield Operator(home, database, db, await make_purse(db))
    await db.close()


def card_ids(document: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [card["card_id"] for card in document["cards"]]


async def test_a_card_that_was_ordered_over_the_api_gets_to_the_bureau(home: Home) -> None:
    dev = await home.dev()
    headers = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    async with httpx.AsyncClient(base_url=dev.url, headers=headers, trust_env=False) as issuer:
        (account,) = (await issuer.get("/v1/accounts")).json()["data"]
        ordered = await issuer.post(
            "/v1/cards",
            json={
                "data": {
                    "type": "card",
                    "attributes": {"currency": "USD", "type": "physical"},
                    "relationships": {
                        "account": {"data": {"type": "account", "id": account["id"]}}
                    },
                }
            },
        )
    assert ordered.status_code == 201
    card = ordered.json()["data"]
    words = ("cards", "export", "--issuer", "Demo Issuer", *TO, "--out", "cards.age")
    done = await home.bayon(*words)
    assert (done.code, done.err) == (0, "")
    file = home.folder / "cards.age"
    document = read_by_bureau(file.read_bytes())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert done.out == f"{document['batch_id']}\t1 cards\tcards.age\tSHA-256 {digest}\n"
    assert card_ids(document) == [card["id"]]
    (made,) = document["cards"]
    assert VAULT.last_four(Secret(made["pan"])) == card["attributes"]["last_four"]
    assert made["exp_year"] == card["attributes"]["exp_year"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_each_card_is_exported_once_and_a_batch_as_often_as_it_is_asked_for(
    operator: Operator,
) -> None:
    made = await operator.order(3)
    first = await operator.export("one.age", "--limit", "2")
    assert (first.code, first.err) == (0, "1 more wait for the next file.\n")
    assert card_ids(operator.read("one.age")) == made[:2]
    batch_id = first.out.split("\t")[0]
    assert operator.read("one.age")["batch_id"] == batch_id
    second = await operator.export("two.age")
    assert (second.code, second.err) == (0, "")
    assert card_ids(operator.read("two.age")) == made[2:]
    none = await operator.export("three.age")
    assert (none.code, none.out) == (0, "")
    assert none.err == "No card waits to be made: no file was written.\n"
    other = pyrage.x25519.Identity.generate()
    to = ("--recipient", str(other.to_public()))
    again = await operator.export("again.age", "--again", batch_id, *to)
    assert (again.code, again.out[: again.out.rindex("\t")]) == (
        0,
        f"{batch_id}\t2 cards\tagain.age",
    )
    sealed = (operator.home.folder / "again.age").read_bytes()
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [BUREAU])
    assert batch_id.encode() in pyrage.decrypt(sealed, [other])
    assert operator.left() == ["again.age", "one.age", "two.age"]
    listed = await operator.exports()
    assert [line[0] for line in listed] == [second.out.split("\t")[0], batch_id]
    assert [line[2:4] for line in listed] == [
        ["1 cards", operator.purse.issuer.name],
        ["2 cards", operator.purse.issuer.name],
    ]
    assert [line[4].partition(",")[0] for line in listed] == ["written once", "written 2 times"]
    assert [line[5] for line in listed] == [
        done.out.strip().split("\t")[3] for done in (second, again)
    ]
    numbers = [card["pan"] for card in operator.read("one.age")["cards"]]
    for path in operator.home.folder.iterdir():
        if path.is_file():
            assert not any(number.encode() in path.read_bytes() for number in numbers), path


async def test_whose_name_cannot_be_embossed_is_told(operator: Operator) -> None:
    (card_id,) = await operator.order(1)
    name, holder_id = "តាំង តារា", operator.purse.cardholder.id
    sql = "UPDATE cards.cardholder SET name = $1 WHERE id = $2"
    await operator.db.transaction(lambda tx: tx.run(sql, name, holder_id))
    done = await operator.export("cards.age")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [
        "No card waits to be made: no file was written.",
        f"{card_id} waits: its holder's name is not in Latin letters.",
    ]
    assert operator.left() == []


async def test_what_cannot_be_written_is_refused_before_anything_is_recorded(
    operator: Operator,
) -> None:
    made = await operator.order(1)
    there = operator.home.folder / "there.age"
    there.write_bytes(b"of somebody")
    (operator.home.folder / "dangling.age").symlink_to("nowhere")
    secret = str(BUREAU)
    for out, more, says in (
        ("there.age", (), "there.age is there already, and is not overwritten."),
        ("dangling.age", (), "dangling.age is there already, and is not overwritten."),
        ("no/cards.age", (), "No such file or directory"),
        ("there.age/cards.age", (), "Not a directory"),
        ("/proc/cards.age", (), "bayon: /proc/.cards.age."),
        ("cards.age", ("--recipient", RECIPIENT.key[:-1]), "A recipient is a public key of age"),
        ("cards.age", ("--recipient", secret), "A recipient is a public key of age"),
        ("cards.age", ("--limit", "0"), "A file has 1 to 20000 cards."),
        ("cards.age", ("--limit", "20001"), "A file has 1 to 20000 cards."),
        ("cards.age", ("--again", str(made[0])), "There is no such batch of cards."),
    ):
        done = await operator.export(out, *more)
        assert (done.code, done.out) == (1, ""), out
        assert says in done.err
        assert "Traceback" not in done.err
        assert secret not in done.err
    keyless = await operator.export("cards.age", BAYON_CARD_VERIFICATION_KEY="")
    assert keyless.code == 1
    assert await query(operator.url, BATCHES) == 0
    assert there.read_bytes() == b"of somebody"
    assert operator.left() == ["dangling.age", "there.age"]
    assert (await operator.export("cards.age")).code == 0
    assert card_ids(operator.read("cards.age")) == made


async def test_where_the_file_cannot_be_written_its_batch_is_told_and_made_again(
    operator: Operator,
) -> None:
    made = await operator.order(3)
    done = await operator.with_little_room("cards.age")
    assert (done.code, done.out) == (1, "")
    ((batch_id, *_, state),) = await operator.exports()
    assert state == f"not written: bayon cards export --again {batch_id}"
    assert done.err == (
        f"bayon: The file was not written (File too large), and its cards are recorded as batch "
        f"{batch_id}. Write it elsewhere: bayon cards export --again {batch_id}\n"
    )
    assert operator.left() == []
    told = await operator.export("more.age")
    assert told.err.splitlines()[1:] == [
        f"Batch {batch_id} may not be written: bayon cards export --again {batch_id}"
    ]
    assert (await operator.export("cards.age", "--again", batch_id)).code == 0
    assert card_ids(operator.read("cards.age")) == made


async def test_killed_before_the_commit_it_has_done_nothing(operator: Operator) -> None:
    made = await operator.order(2)
    connection = await asyncpg.connect(operator.url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE cards.production_file IN SHARE MODE")
        running = operator.start("cards.age")
        await _waits_for_a_lock(operator.url)
        assert (await running.stop(signal.SIGKILL)).code == -signal.SIGKILL
    await connection.close()
    assert await query(operator.url, BATCHES) == 0
    assert not (operator.home.folder / "cards.age").exists()
    assert (await operator.export("cards.age")).code == 0
    assert card_ids(operator.read("cards.age")) == made


async def test_killed_when_the_file_is_there_it_is_whole_and_told_as_not_written(
    operator: Operator,
) -> None:
    made = await operator.order(2)
    connection = await asyncpg.connect(operator.url)
    await connection.execute(SLOW)
    await connection.close()
    running = operator.start("cards.age")
    file = operator.home.folder / "cards.age"
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(file.exists):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)
    assert (await running.stop(signal.SIGKILL)).code == -signal.SIGKILL
    document = operator.read("cards.age")
    assert card_ids(document) == made
    ((batch_id, *_, state),) = await operator.exports()
    assert batch_id == document["batch_id"]
    assert state.startswith("not written")
    none = await operator.export("more.age")
    assert "No card waits" in none.err
    assert batch_id in none.err


async def _waits_for_a_lock(url: str) -> None:
    async with asyncio.timeout(30):
        while not await query(url, "SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)
