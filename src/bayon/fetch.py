"""Fetching what a URL given by a user names, without being led into our own network.

https to public addresses only; the sandbox may reach loopback too, also by http. A URL is judged as
it is written when it is registered and at every use, and `_Guard` judges the addresses its name
has. What is connected to is what was judged, and no redirect is followed.

A name is looked up by the system, which waits for as long as it likes. So `Lookups` has threads of
its own, and names nobody answers for take few of them: the loop's are for those who are at home.
"""

import asyncio
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Literal, Self
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bayon.errors import Invalid, Unavailable

URL_LENGTH_MAX: Final = 2_048
LOOKUPS_MAX: Final = 128
LOOKUPS_OF_ZONE_MAX: Final = 8
SHORT_LABEL: Final = 3  # co.uk, com.kh: there the owner's label is the third

Method = Literal["GET", "POST"]
Headers = Mapping[str, str]

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")
_ENDS_IN_NUMBER: Final = re.compile(r"(?:^|\.)(?:0x[0-9a-f]*|[0-9]+)\.?$")  # 127.1, 0x7f.1

_CARRY_V4: Final = (ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96"))  # mapped, NAT64
_NOT_PUBLIC: Final = (  # beyond what every Python's `ipaddress` knows
    *map(ip_network, ("::/3", "4000::/2", "8000::/1")),  # all but 2000::/3
    *map(ip_network, ("192.0.0.0/24", "2001::/23", "3fff::/20")),  # protocols, documentation
    *map(ip_network, ("192.88.99.0/24", "2002::/16")),  # 6to4: leads to any IPv4 address
)


class BadUrl(Invalid):
    """This URL is not allowed."""

    code = "bad_url"


class FetchFailed(Unavailable):
    """There was no answer. Its context's `reason`: unreachable, untrusted, timed_out, too_large."""

    code = "fetch_failed"


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """An answer, whatever its status; `body` as it was sent, `headers` in any case of letters."""

    status: int
    headers: Headers
    body: bytes
    duration_ms: int


@dataclass(kw_only=True, eq=False)
class Fetcher:
    """The client for URLs given by users; OpenSSL's `SSL_CERT_FILE` names other authorities.

    `cut`: of an answer longer than `size_max` the beginning is enough, and no more is read.
    """

    loopback: bool
    timeout_s: float = 10.0
    size_max: int = 10 * 2**20
    cut: bool = False
    resolver: AbstractResolver | None = None
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    def judge(self, url: str) -> None:
        """Refuse a URL by what is written in it; no name is looked up. Errors: `BadUrl`."""
        _ = _read(url, loopback=self.loopback)

    async def fetch(
        self, method: Method, url: str, *, headers: Headers | None = None, body: bytes | None = None
    ) -> Fetched:
        """Judge the URL and read the answer. Errors: `BadUrl`, `FetchFailed`."""
        read = _read(url, loopback=self.loopback)
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._exchange(method, read, headers, body)
        except TimeoutError as error:
            raise FetchFailed("There was no answer in time.", reason="timed_out") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise FetchFailed("The certificate is not trusted.", reason="untrusted") from error
        except (aiohttp.ClientError, OSError) as error:
            raise FetchFailed("There was no answer.", reason="unreachable") from error

    async def close(self) -> None:
        """Close for good."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _exchange(
        self, method: Method, url: URL, headers: Headers | None, body: bytes | None
    ) -> Fetched:
        sent = self._open().request(method, url, headers=headers, data=body, allow_redirects=False)
        started, kept = time.perf_counter(), bytearray()
        async with sent as got:
            while chunk := await got.content.read(self.size_max + 1 - len(kept)):
                kept += chunk
                if len(kept) > self.size_max and not self.cut:
                    raise FetchFailed("The answer is too large.", reason="too_large")
                if len(kept) > self.size_max:
                    break  # what is left unread closes the connection
        ms = round((time.perf_counter() - started) * 1_000)
        body = bytes(kept[: self.size_max])
        return Fetched(status=got.status, headers=got.headers, body=body, duration_ms=ms)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_Guard(self.resolver or Lookups(), self.loopback),
                use_dns_cache=False,
                force_close=True,  # every use is judged, so no connection is kept for the next
                limit=0,  # waiting behind another's slow host would eat this one's time
                ssl=ssl.create_default_context(),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ours is around all
                auto_decompress=False,  # else a small answer could unpack into much work
                headers={"User-Agent": "Bayon", "Accept-Encoding": "identity"},
            )
        return self._session


def look_up(host: str) -> Sequence[str]:
    """Ask the system for the addresses of a name, however long that takes. Errors: `OSError`."""
    found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    hosts = [address[0] for _, _, _, _, address in found]
    return [each for each in hosts if isinstance(each, str)]  # no IPv6 in Python: packed bytes


@dataclass(eq=False)
class Lookups(AbstractResolver):
    """Looks up names in threads of its own, which nobody waits for at the end.

    One look-up of a name is under way at once, and those who ask meanwhile share it; up to
    `LOOKUPS_OF_ZONE_MAX` of one owner's names, `LOOKUPS_MAX` of all. The others wait for a place,
    and who has stopped waiting takes none. `ask` may block.
    """

    ask: Callable[[str], Sequence[str]] = look_up
    _under_way: dict[str, asyncio.Future[Sequence[str]]] = field(default_factory=dict, init=False)
    _zones: WeakValueDictionary[str, asyncio.Semaphore] = field(
        default_factory=WeakValueDictionary, init=False
    )
    _places: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(LOOKUPS_MAX), init=False
    )

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Find a name's addresses. Errors: `OSError`."""
        if host not in self._under_way:
            await self._take_place(host)
        found = [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await asyncio.shield(self._under_way[host])
        ]
        return [each for each in found if family in {socket.AF_UNSPEC, each["family"]}]

    async def close(self) -> None:
        """Leave what is under way alone: its threads end with the process, or before."""

    async def _take_place(self, host: str) -> None:
        """Wait for a place and begin there, unless another has begun with this name meanwhile."""
        zone = self._zones.setdefault(_zone(host), asyncio.Semaphore(LOOKUPS_OF_ZONE_MAX))
        await zone.acquire()
        try:
            await self._places.acquire()
        except BaseException:
            zone.release()
            raise
        if host in self._under_way:
            self._places.release()
            zone.release()
            return
        found = asyncio.get_running_loop().create_future()
        self._under_way[host] = found

        def ended(_: object) -> None:
            del self._under_way[host]
            self._places.release()
            zone.release()
            found.exception()  # it counts as seen, also when everybody has stopped waiting

        found.add_done_callback(ended)
        self._begin(host, found)

    def _begin(self, host: str, found: asyncio.Future[Sequence[str]]) -> None:
        loop = found.get_loop()

        def run() -> None:
            try:
                tell = partial(found.set_result, self.ask(host))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who asked
                tell = partial(found.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell)

        try:
            threading.Thread(target=run, name=f"look up {host}", daemon=True).start()
        except RuntimeError as error:  # no more threads
            found.set_exception(OSError(*error.args))


@dataclass(eq=False)
class _Guard(AbstractResolver):
    """Where a name becomes addresses: all public, or in the sandbox all loopback, or refused."""

    inner: AbstractResolver
    loopback: bool

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self.inner.resolve(host, port, family)
        addresses = [ip_address(each["host"]) for each in found]
        local = self.loopback and all(address.is_loopback for address in addresses)
        public = all(map(_is_public, addresses)) and not _is_localhost(host)
        if not found or not (public or local):
            raise BadUrl("The URL's host must have public addresses, and no others.")
        return found

    async def close(self) -> None:
        await self.inner.close()


def _read(url: str, *, loopback: bool) -> URL:
    if len(url) > URL_LENGTH_MAX:
        raise BadUrl(f"A URL has at most {URL_LENGTH_MAX} characters.")
    if not url.isprintable() or set(url) & {" ", "\\"}:
        raise BadUrl("The URL has characters that no URL has.")
    try:
        read = URL(url)
        host = (read.host and read.raw_host) or ""  # `host` fails where a name cannot be decoded
    except (ValueError, IndexError):
        raise BadUrl("This is not a URL.") from None
    if read.scheme not in (("https", "http") if loopback else ("https",)):
        raise BadUrl("The URL must begin with https://.")
    if read.user is not None or read.password is not None:
        raise BadUrl("The URL must not have a user or a password.")
    address = _literal(host)
    local = address.is_loopback if address else _is_localhost(host)
    if not (local and loopback) and (local or (address and not _is_public(address))):
        raise BadUrl("The URL's host is not public.")
    if read.scheme == "http" and not local:
        raise BadUrl("The URL must begin with https://.")
    return read


def _zone(host: str) -> str:
    """Tell under which name an owner has all of theirs, as nearly as can be without a list."""
    labels = host.rstrip(".").rsplit(".", 3)
    owned = 3 if len(labels) > 2 and len(labels[-2]) <= SHORT_LABEL else 2  # noqa: PLR2004 - labels
    return ".".join(labels[-owned:])


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    if ":" in host or _ENDS_IN_NUMBER.search(host):
        try:
            return ip_address(host)
        except ValueError:
            raise BadUrl("The URL's address is not written as addresses are.") from None
    if not _NAME.fullmatch(host):
        raise BadUrl("The URL has no host, or one that is no host name.")
    return None


def _is_localhost(host: str) -> bool:
    return f".{host.rstrip('.')}".endswith(".localhost")


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in _CARRY_V4):
        address = IPv4Address(int(address) & 0xFFFF_FFFF)
    odd = address.is_multicast or address.is_reserved or "%" in str(address)
    return address.is_global and not (odd or any(address in network for network in _NOT_PUBLIC))
