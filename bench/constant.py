"""The constant route: what HTTP, the ladder and the measuring cost without any database.

    python -m bench.constant --operation=NAME --answer=FILE --ready-file=FILE

The same kind of handler (the real operation of that name, mounted the same way in the same Litestar
under the same `observed`, served by the same uvicorn with the same settings): it reads and parses
the query and the body, checks the token in memory, and always answers the same bytes.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import uvloop
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp

from bayon import bakong, cms, log
from bayon.app import Bayon, Metrics, observed
from bayon.bakong import OpenApi
from bayon.cards import Desk, Policy
from bayon.cms import CardApi
from bayon.config import Settings
from bayon.listen import make_server
from bayon.payments import Rail
from bayon.seal import Sealer
from bayon.serve import spare_the_collector
from bayon.web import (
    Access,
    AccessKind,
    Answer,
    Call,
    Gate,
    Limit,
    Operation,
    Porch,
    Unauthorized,
    mount,
)
from bayon.web.access import digest_of

NOTHING: Final[Any] = None
OWNER: Final = str(UUID(int=1))


class OneToken:
    """A gate that knows one token, in memory."""

    def __init__(self, token: str) -> None:
        self._digest: bytes = digest_of(token)
        self._known: Mapping[AccessKind, Access] = {
            kind: Access(kind=kind, owner=OWNER, digest=self._digest, expires_at=None)
            for kind in ("integrator", "issuer")
        }

    async def enter(self, token: str | None, *kinds: AccessKind) -> Access:
        """Let in who bears the token."""
        known = digest_of(token or "") == self._digest
        access = next((self._known[kind] for kind in kinds if kind in self._known), None)
        if access is None or not known:
            raise Unauthorized
        return access


def build(settings: Settings, *, name: str, token: str, answer: bytes) -> Bayon:
    """Wire the one route."""
    sealer = Sealer({1: bytes(32)})
    rail = Rail(NOTHING, sealer)
    desk = Desk(NOTHING, NOTHING, NOTHING, NOTHING, policy=Policy())
    open_api = OpenApi(db=NOTHING, rail=rail, registrar=NOTHING, settings=settings).operations()
    card_api = CardApi(desk=desk, sealer=sealer).operations()
    porch = Porch(
        gate=cast("Gate", OneToken(token)),
        token_limit=Limit(settings.rate_limit_token_per_s),
        address_limit=Limit(settings.rate_limit_address_per_s),
        body_size_max=settings.body_size_max,
        public_url=None,
    )
    theirs = [_constant(o, answer) for o in open_api if o.name == name]
    cards = [_constant(o, answer) for o in card_api if o.name == name]
    assert len(theirs) + len(cards) == 1, f"one operation is called {name}"
    litestar = Litestar(
        route_handlers=[
            *mount(theirs, porch, refuse=bakong.refuse),
            *mount(cards, porch, refuse=cms.refuse, read=cms.read),
        ],
        openapi_config=None,
        logging_config=None,
        cors_config=CORSConfig(expose_headers=["Retry-After", "X-Request-Id"], max_age=3_600),
    )
    metrics = Metrics(rail, desk)
    asgi = observed(cast("ASGIApp", litestar), metrics)
    return Bayon(asgi=asgi, rail=rail, desk=desk, courier=NOTHING, metrics=metrics)


def _constant(operation: Operation, answer: bytes) -> Operation:
    async def serve(_: Call) -> Answer:
        return Answer(body=answer, media_type=operation.media_type)

    return replace(operation, serve=serve)


async def run(name: str, answer: bytes, ready_file: Path) -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_env(os.environ, sandbox=True, http_port=0)
    log.configure(json=False, level=settings.log_level)
    bayon = build(settings, name=name, token=os.environ["BENCH_TOKEN"], answer=answer)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    listener.setblocking(False)
    server = make_server(bayon, settings, listener)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
        await asyncio.sleep(0.005)
    spare_the_collector()
    _announce(ready_file, listener.getsockname()[1])
    await serving


def _announce(ready_file: Path, port: int) -> None:
    written = ready_file.with_suffix(".new")
    written.write_text(json.dumps({"http_url": f"http://127.0.0.1:{port}", "pid": os.getpid()}))
    written.rename(ready_file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--operation", required=True)
    parser.add_argument("--answer", type=Path, required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    args = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(args.operation, args.answer.read_bytes(), args.ready_file))
