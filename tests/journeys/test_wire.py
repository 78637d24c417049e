"""The wire: who sends too much, too slowly or nothing costs neither memory nor a place for ever."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

import httpx
import pytest
import uvicorn

from bayon.listen import Server, Wire
from journeys.running import BAYON, Home

SHORT_S: Final = 0.3
PIECE: Final = 16_384


class Hasty(Wire):
    """The wire, without the patience."""

    headers_s: ClassVar[float] = SHORT_S
    body_s: ClassVar[float] = SHORT_S
    linger_s: ClassVar[float] = SHORT_S


async def slow_echo(_scope: object, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """Answer with the body's length, long after one has lost patience."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await asyncio.sleep(SHORT_S * 3)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def listening() -> AsyncGenerator[int]:
    """Run one listener; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            slow_echo, http=Hasty, ws="none", lifespan="off", log_config=None, loop="none"
        )
        server = Server(config, listener)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.005)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def said_to(
    port: int, pieces: Iterable[bytes], *, every_s: float = 0.0
) -> tuple[bytes, float]:
    """Send pieces until the other side ends; returns what it said, and how long it took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    reading = asyncio.create_task(reader.read())
    for piece in pieces:
        if reading.done() or writer.is_closing():
            break
        writer.write(piece)
        await asyncio.sleep(every_s)
    try:
        async with asyncio.timeout(10):
            return await reading, time.monotonic() - began
    except ConnectionResetError:  # it ended without reading all that we had sent
        return b"", time.monotonic() - began
    finally:
        writer.close()


POST: Final = b"POST / HTTP/1.1\r\nHost: a\r\n"
ENDLESS: Final = {
    "header": (b"GET / HTTP/1.1\r\nX: ", b"x" * PIECE),
    "headers": (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * (PIECE // 6)),
    "url": (b"GET /", b"x" * PIECE),
    "method": (b"", b"\r\n" * (PIECE // 2)),
}


@pytest.mark.parametrize("begin", ENDLESS)
async def test_headers_without_end_are_refused(begin: str) -> None:
    first, piece = ENDLESS[begin]
    async with listening() as port:
        answer, _ = await said_to(port, (first, *[piece] * 8), every_s=0.01)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head
    assert json.loads(body)["responseMessage"] == "The request's headers are too large."


async def test_a_body_without_end_behind_its_end_is_cut_off() -> None:
    begin = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: "
    async with listening() as port:
        answer, took_s = await said_to(port, (begin, *[b"x" * PIECE] * 8), every_s=0.01)
    assert (answer, took_s < 2) == (b"", True)


SLOW: Final = {
    "nothing": (),
    "half its headers": (b"GET / HTTP/1.1\r\n",),
    "headers by the byte": tuple(bytes([byte]) for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * 90),
    "empty lines": (b"\r\n",) * 90,
    "half its body": (POST + b"Content-Length: 10\r\n\r\nhalf",),
}


@pytest.mark.parametrize("what", SLOW)
async def test_who_sends_too_slowly_is_not_waited_for(what: str) -> None:
    async with listening() as port:
        _, took_s = await said_to(port, SLOW[what], every_s=0.02)
    assert SHORT_S * 0.9 < took_s < SHORT_S * 5


async def test_after_an_answer_the_next_request_is_not_waited_for_either() -> None:
    pieces = (POST + b"Content-Length: 0\r\n\r\n", b"GET")
    async with listening() as port:
        answer, took_s = await said_to(port, pieces, every_s=SHORT_S * 4)
    assert answer.endswith(b"\r\n\r\n0")
    assert took_s < SHORT_S * 12


async def test_whoever_goes_on_is_waited_for_and_may_wait_for_us() -> None:
    """A body that comes slowly but steadily, then an answer that takes longer than any limit."""
    body = [b"x" * 100] * 12
    async with listening() as port, httpx.AsyncClient(trust_env=False) as http:

        async def drip() -> AsyncGenerator[bytes]:
            for piece in body:
                yield piece
                await asyncio.sleep(SHORT_S / 6)

        for _ in range(2):  # and the connection may be used again
            answer = await http.post(f"http://127.0.0.1:{port}/", content=drip())
            assert answer.text == "1200"
            await asyncio.sleep(SHORT_S * 2)


async def test_many_requests_in_one_piece_are_no_long_headers() -> None:
    """Pipelined, with bodies larger than headers may be; the last without its end at first."""
    request = POST + b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000
    async with listening() as port:
        pieces = (request * 2 + POST, b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        answer, _ = await said_to(port, pieces)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(b"70000") == 2


async def test_a_flood_of_idle_connections_takes_nothing_down(home: Home) -> None:
    few = 'ulimit -Sn 200 && ulimit -Hn 256 && exec "$0" "$@"'
    ports = ("--http-port=0", "--https-port=0", "--network-port=0", "--ready-file", home.ready_file)
    began = time.monotonic()
    running = home.start("/bin/sh", "-c", few, BAYON, "dev", *ports)
    dev = await home.answering(running, began=began)
    postmaster = home.postmaster
    port = int(dev.url.rpartition(":")[2])
    flood = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
    await asyncio.sleep(1.0)
    assert running.process.poll() is None, running.err_file.read_text()
    assert home.postmaster == postmaster is not None
    refused = [reader for reader, _ in flood if reader.at_eof() or reader.exception()]
    assert 200 < len(refused) < 400
    for _, writer in flood:
        writer.close()
    await asyncio.sleep(0.5)
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{dev.url}/readyz")).status_code == 200
    done = await running.stop()
    assert (done.code, "Traceback" in done.err) == (0, False), done.err
    assert home.postmaster is None
