import asyncio
import json
from pathlib import Path

from bench.cards import DOCUMENT, Question, questions
from bench.cards_world import make_card_world
from bench.load import Load

from bayon.app import check
from bayon.db import Database
from bench import server

ROWS = 1_200


async def test_the_cards_of_the_bench_are_sound_and_every_question_is_answered(
    db: Database, database: str, tmp_path: Path
) -> None:
    world = await make_card_world(db, ROWS)
    asked = questions(world)

    async with server.dev(tmp_path, database_url=database) as ready:
        for name, question in asked.items():
            raw, holds = question.requests(0.001)[0]
            answer = await asyncio.to_thread(server.ask, ready, raw)
            assert answer.startswith(DOCUMENT), (name, answer)
            assert holds in answer, (name, answer)
            if name.endswith("far"):
                assert len(json.loads(answer)["data"]) == 10, name
    assert await db.transaction(check, isolation="repeatable_read") == []


async def test_an_event_of_the_bench_is_as_its_transaction_is_shown(
    db: Database, database: str, tmp_path: Path
) -> None:
    asked = questions(await make_card_world(db, ROWS))
    first = [
        asked[name].requests(1)[0][0].replace(b" HTTP", b"?page[size]=100 HTTP", 1)
        for name in ("transactions", "events")
    ]

    async with server.dev(tmp_path, database_url=database) as ready:
        shown, told = [json.loads(server.ask(ready, raw))["data"] for raw in first]

    facts = {e["attributes"]["details"]["data"]["id"]: e for e in told}
    for transaction in shown[:50]:
        assert facts[transaction["id"]]["attributes"]["details"]["data"] == transaction
        assert facts[transaction["id"]]["attributes"]["type"] == "transaction.created"


async def test_the_load_generator_opens_accounts_each_once_at_us_and_at_the_constant_route(
    db: Database, database: str, tmp_path: Path
) -> None:
    world = await make_card_world(db, ROWS)
    question = questions(world)["create account"]

    async with (
        server.dev(tmp_path / "dev", database_url=database) as ready,
        server.constant(
            tmp_path, operation=question.operation, token=question.token, answer=b'{"data":{}}'
        ) as constant,
    ):
        wanted = _wanted(ready, question)
        loaded = await server.load(tmp_path / "load", wanted, pid=ready.pid)
        wanted.port = constant.port
        wanted.requests = [(raw, DOCUMENT) for raw, _ in wanted.requests]
        theirs = await server.load(tmp_path / "load", wanted, pid=constant.pid)

    opened = await db.read(
        lambda tx: tx.value(
            "SELECT count(*) FROM cards.account WHERE cardholder_id = $1",
            world.opening_cardholder_id,
        )
    )
    assert opened == loaded.done == theirs.done == len(wanted.requests)


def _wanted(ready: server.Ready, question: Question) -> Load:
    return Load(
        host="127.0.0.1",
        port=ready.port,
        connections=4,
        warm_s=0.0,
        seconds=5.0,
        requests=question.requests(0.01),
        once=True,
    )
