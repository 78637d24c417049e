"""Listening: sockets, and how long and how much one connection may keep us waiting and holding."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Generator
from pathlib import Path
from typing import ClassVar, Final, Protocol

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bayon import bakong
from bayon.app import HEADERS_SIZE_MAX
from bayon.config import Settings
from bayon.errors import Unavailable
from bayon.web import BodyTooLarge

BACKLOG: Final = 2_048
GRACE_S: Final = 5
KEEP_ALIVE_S: Final = 75
FILES_MAX: Final = 65_536
FILES_SPARED: Final = 128
NEVER: Final = float("inf")
TOO_LARGE: Final = (
    b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s"
)


@contextlib.contextmanager
def bound(host: str, port: int) -> Generator[socket.socket]:
    """Take a port; who connects before its server has started waits for it."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)  # at once: of two that have only bound it, both may go on
        except OSError as error:
            raise Unavailable(
                f"Port {port} of {host} cannot be listened on: {error.strerror}."
            ) from error
        yield listener


class Answering(Protocol):
    """What answers requests: Bayon itself, and the command line's receiver of webhooks."""

    @property
    def asgi(self) -> ASGIApp:
        """The application."""
        ...


class Server(uvicorn.Server):
    """One listener. Signals are the process's, not each server's."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.listener: socket.socket = listener

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take none."""
        yield


def make_server(
    answering: Answering, settings: Settings, listener: socket.socket, key_file: Path | None = None
) -> Server:
    """Make what answers on one listener."""
    config = uvicorn.Config(
        answering.asgi,  # pyright: ignore[reportArgumentType] - the same protocol by another name
        loop="none",
        http=Wire,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=key_file,
        ssl_keyfile=key_file,
    )
    return Server(config, listener)


def take_all_files() -> None:
    """Ask for as many open files as we may have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if most == resource.RLIM_INFINITY else min(most, FILES_MAX)
    if _files_max() < wanted:
        with contextlib.suppress(OSError, ValueError):  # then with those we have
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _files_max() -> int:
    """Tell how many files we may have open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_MAX if files == resource.RLIM_INFINITY else files


class Wire(HttpToolsProtocol):
    """uvicorn's HTTP on one connection, which by itself waits for ever and holds whatever comes.

    What is due of the caller has a time; one timer looks, again and again. What the parser holds
    has a size: it is what came since it last told of something whole.
    """

    headers_s: ClassVar[float] = 10.0
    body_s: ClassVar[float] = 30.0
    linger_s: ClassVar[float] = 1.0
    held_size_max: ClassVar[int] = HEADERS_SIZE_MAX

    _due: float = NEVER
    _held_size: int = 0
    _told: bool = False
    _deaf: bool = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin; or do not, where too few files would be left for everything else."""
        super().connection_made(transport)
        # The lowest free number is given, so it tells how many files all of us have open.
        number: int = transport.get_extra_info("socket").fileno()
        if number >= max(_files_max() - FILES_SPARED, FILES_SPARED):
            transport.abort()
            return
        self._expect(self.headers_s)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, unless it is too much."""
        if self._deaf:
            return
        if self._due == NEVER and self._owes_nothing():
            self._expect(self.headers_s)
        self._told = False
        super().data_received(data)
        self._held_size = 0 if self._told else self._held_size + len(data)
        if self._held_size > self.held_size_max and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        """Hear of a request: its headers are due."""
        super().on_message_begin()
        if self._due == NEVER:
            self._expect(self.headers_s)

    def on_headers_complete(self) -> None:
        """Hear of headers: the body is due."""
        self._told = True
        self._expect(self.body_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hear of a piece: the next is due."""
        self._told = True
        self._expect(self.body_s)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Hear of the end: it is our turn."""
        self._told = True
        self._due = NEVER
        super().on_message_complete()

    def _expect(self, within_s: float) -> None:
        self._due = self.loop.time() + within_s

    def _owes_nothing(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - None before the first request

    def _refuse(self) -> None:
        """Answer once, and hear no more; closed at once, it might be gone before it was read."""
        self._deaf = True
        if self._owes_nothing():
            body = bakong.refuse(BodyTooLarge("The request's headers are too large.")).body
            self.transport.write(TOO_LARGE % (len(body), body))
        self._expect(self.linger_s)
        self._look()

    def _look(self) -> None:
        """Close when nothing came in time; abort when that does not help, as nobody reads."""
        if self._timer is not None:
            self._timer.cancel()
        late = self.loop.time() >= self._due
        if late and self.transport.is_closing():
            self.transport.abort()
            return
        if late and not self.flow.read_paused:  # paused, it is we who do not listen
            self.transport.close()
        if late or (self.transport.is_closing() and self._due == NEVER):
            self._expect(self.body_s)
        next_s = min(self._due - self.loop.time(), self.headers_s)
        self._timer = self.loop.call_later(next_s, self._look)
