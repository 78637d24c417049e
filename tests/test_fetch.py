"""Fetching: what a URL may name, where a name may lead, and what an answer may cost."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from bayon.fetch import (
    LOOKUPS_MAX,
    LOOKUPS_OF_ZONE_MAX,
    URL_LENGTH_MAX,
    BadUrl,
    Fetcher,
    FetchFailed,
    Lookups,
)

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

WIDE_127 = "\uff11\uff12\uff17"
WIDE_169 = "\uff11\uff16\uff19"
"""Digits as wide as Chinese letters, which names are rid of before they are looked up."""

PRODUCTION = Fetcher(loopback=False)
SANDBOX = Fetcher(loopback=True)

PUBLIC_URLS = [
    "https://shop.example",
    "https://shop.example/hook?token=a%20b#part",
    "https://shop.example:8443/hook",
    "https://shop.example:1/",
    "https://shop.example.:443/",
    "HTTPS://SHOP.EXAMPLE/",
    "https://bücher.example/straße",
    "https://xn--bcher-kva.example/",
    "https://កម្ពុជា.example/",
    "https://under_score.example/",
    "https://1password.example/",
    "https://localhost.example/",
    "https://notlocalhost/",
    "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]:8443/",
    "https://[::ffff:8.8.8.8]/",
    "https://[64:ff9b::8.8.8.8]/",
    "https://shop.example/@path:with@signs",
    "https://shop.example?@127.0.0.1/",
    "https://shop.example#@127.0.0.1/",
    "https://shop.example/".ljust(URL_LENGTH_MAX, "a"),
]

HTTPS = "must begin with https://"
HOST = "host is not public"
WRITTEN = "not written as addresses are"
NAME = "no host, or one that is no host name"
CHARACTERS = "characters that no URL has"
USER = "user or a password"

REFUSED_EVERYWHERE = [
    # The ladder, in its order.
    ("https://shop.example/".ljust(URL_LENGTH_MAX + 1, "a"), "at most 2048"),
    ("https://shop.example/\x00", CHARACTERS),
    ("https://shop.example/\r\nHost: x", CHARACTERS),
    ("https://shop.example/\u200b", CHARACTERS),
    ("https://shop.example/\ud800", CHARACTERS),
    ("https://shop.example/a b", CHARACTERS),
    (" https://shop.example/", CHARACTERS),
    ("\thttps://shop.example/", CHARACTERS),
    ("https://127.0.0.1\\@shop.example/", CHARACTERS),
    ("https://[::1/", "not a URL"),
    ("https://[127.0.0.1]/", "not a URL"),
    ("https://shop.example:65536/", "not a URL"),
    ("https://shop.example:-1/", "not a URL"),
    ("https://shop.example:port/", "not a URL"),
    ("https://xn--/", "not a URL"),
    ("https://[]@/", "not a URL"),
    ("", HTTPS),
    ("shop.example", HTTPS),
    ("//shop.example/", HTTPS),
    ("ftp://shop.example/", HTTPS),
    ("file:///etc/passwd", HTTPS),
    ("gopher://shop.example/", HTTPS),
    ("javascript:alert(1)", HTTPS),
    ("data:text/plain,x", HTTPS),
    ("unix:///run/docker.sock", HTTPS),
    ("ws://127.0.0.1/", HTTPS),
    ("https://user@shop.example/", USER),
    ("https://user:password@shop.example/", USER),
    ("https://:password@shop.example/", USER),
    ("https://shop.example@127.0.0.1/", USER),
    ("https://", NAME),
    ("https:///path", NAME),
    ("https:shop.example", NAME),
    ("https://:443/", "not a URL"),
    ("https://./", NAME),
    ("https://shop..example/", NAME),
    ("https://shop.example../", NAME),
    ("https://-shop.example/", NAME),
    ("https://*.example/", NAME),
    ("https://shop,example/", NAME),
    ("https://%31%32%37.0.0.1/", WRITTEN),
    (f"https://{'a' * 64}.example/", NAME),
    (f"https://{'a.' * 127}example/", NAME),
    # Addresses in odd dress.
    ("https://2130706433/", WRITTEN),
    ("https://0x7f000001/", WRITTEN),
    ("https://0X7F.0.0.1/", WRITTEN),
    ("https://0x/", WRITTEN),
    ("https://017700000001/", WRITTEN),
    ("https://0177.0.0.1/", WRITTEN),
    ("https://127.1/", WRITTEN),
    ("https://127.0.1/", WRITTEN),
    ("https://0/", WRITTEN),
    ("https://127.0.0.1./", WRITTEN),
    ("https://127.0.0.01/", WRITTEN),
    ("https://256.256.256.256/", WRITTEN),
    ("https://1.2.3.4.5/", WRITTEN),
    ("https://shop.example.1/", WRITTEN),
    ("https://8.8.8.0x8/", WRITTEN),
    # Addresses that are nobody's, or everybody's own.
    ("https://0.0.0.0/", HOST),
    ("https://10.0.0.1/", HOST),
    ("https://100.64.0.1/", HOST),
    ("https://100.127.255.254/", HOST),
    ("https://169.254.169.254/latest/meta-data/", HOST),
    (f"https://{WIDE_169}.254.169.254/", HOST),
    ("https://172.16.0.1/", HOST),
    ("https://192.0.0.9/", HOST),
    ("https://192.0.2.1/", HOST),
    ("https://192.88.99.1/", HOST),
    ("https://192.168.1.1/", HOST),
    ("https://198.18.0.1/", HOST),
    ("https://198.51.100.1/", HOST),
    ("https://203.0.113.1/", HOST),
    ("https://224.0.1.1/", HOST),
    ("https://240.0.0.1/", HOST),
    ("https://255.255.255.255/", HOST),
    ("https://[::]/", HOST),
    ("https://[::127.0.0.1]/", HOST),
    ("https://[::ffff:10.0.0.1]/", HOST),
    ("https://[::ffff:a9fe:a9fe]/", HOST),
    ("https://[::ffff:0:8.8.8.8]/", HOST),
    ("https://[64:ff9b::127.0.0.1]/", HOST),
    ("https://[64:ff9b::a9fe:a9fe]/", HOST),
    ("https://[64:ff9b:1::8.8.8.8]/", HOST),
    ("https://[100::1]/", HOST),
    ("https://[2001::1]/", HOST),
    ("https://[2001:db8::1]/", HOST),
    ("https://[2002:7f00:1::1]/", HOST),
    ("https://[2002:808:808::1]/", HOST),
    ("https://[3fff::1]/", HOST),
    ("https://[4000::1]/", HOST),
    ("https://[fc00::1]/", HOST),
    ("https://[fd00:ec2::254]/", HOST),
    ("https://[fe80::1]/", HOST),
    ("https://[fe80::1%25eth0]/", HOST),
    ("https://[2606:4700::1%25eth0]/", HOST),
    ("https://[fec0::1]/", HOST),
    ("https://[ff02::1]/", HOST),
    ("https://[ff0e::1]/", HOST),
    ("https://[4000:8::ffff]/", HOST),
    ("https://[8000::1]/", HOST),
    # Plain http is for loopback, and for the sandbox.
    ("http://shop.example/", HTTPS),
    ("http://8.8.8.8/", HTTPS),
]

LOOPBACK = [
    "https://127.0.0.1/",
    "https://127.9.9.9:8443/",
    f"https://{WIDE_127}\N{IDEOGRAPHIC FULL STOP}0.0.1/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]:8000/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://ⓛocalhost/",
    "https://shop.localhost:8443/",
]


@pytest.mark.parametrize("fetcher", [PRODUCTION, SANDBOX], ids=["production", "sandbox"])
@pytest.mark.parametrize("url", PUBLIC_URLS)
def test_public_urls_are_allowed_everywhere(fetcher: Fetcher, url: str) -> None:
    fetcher.judge(url)


@pytest.mark.parametrize("fetcher", [PRODUCTION, SANDBOX], ids=["production", "sandbox"])
@pytest.mark.parametrize(("url", "why"), REFUSED_EVERYWHERE)
async def test_url_is_refused_when_judged_and_when_used(
    fetcher: Fetcher, url: str, why: str
) -> None:
    with pytest.raises(BadUrl, match=why):
        fetcher.judge(url)
    with pytest.raises(BadUrl, match=why):
        await fetcher.fetch("GET", url)


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_is_for_the_sandbox_alone_there_also_by_http(url: str) -> None:
    plain = url.replace("https", "http")
    SANDBOX.judge(url)
    SANDBOX.judge(plain)
    with pytest.raises(BadUrl, match=HOST):
        PRODUCTION.judge(url)
    with pytest.raises(BadUrl, match=HTTPS):
        PRODUCTION.judge(plain)


class Names(AbstractResolver):
    """The outer wall: a name server that gives the next list at every question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers: list[list[str]] = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if not self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        found = self.answers.pop(0)
        assert family == socket.AF_UNSPEC
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=0,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


Handler = Callable[["Server", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A real HTTP server on 127.0.0.1 that keeps what it was told and answers as `handler` does."""

    handler: Handler
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list[bytes])
    sent: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self.requests.append(head + await reader.readexactly(int(length or 0)))
            await self.handler(self, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answer(status: str = "200 OK", body: bytes = b"hello", *headers: str) -> Handler:
    async def handler(_: Server, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return handler


async def endless(server: Server, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()
        server.sent += 65_536


async def silent(_: Server, writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    await asyncio.sleep(60)


async def dripping(_: Server, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start() -> AsyncGenerator[Start]:
    """Start servers that end with the test."""
    running: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(handler: Handler, tls: ssl.SSLContext | None = None) -> Server:
        server = Server(handler)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(server.serve(reader, writer)))

        listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
        running.append(listening)
        server.port = listening.sockets[0].getsockname()[1]
        return server

    yield start
    for listening in running:
        listening.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_answer_is_given_whole_and_the_request_arrives_as_given(start: Start) -> None:
    server = await start(answer("201 Created", b"made", "X-Answer: yes"))
    async with Fetcher(loopback=True) as fetcher:
        url = f"http://127.0.0.1:{server.port}/hook?a=1#part"
        got = await fetcher.fetch("POST", url, headers={"X-Asked": "so"}, body=b"body")
    assert (got.status, got.body, got.headers["x-answer"]) == (201, b"made", "yes")
    assert 0 <= got.duration_ms < 5_000
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert b"X-Asked: so" in head
    assert b"Python" not in head
    assert body == b"body"


async def test_loopback_by_name_is_reached_in_the_sandbox_only(start: Start) -> None:
    server = await start(answer())
    async with Fetcher(loopback=True) as fetcher:
        assert (await fetcher.fetch("GET", f"http://localhost:{server.port}/")).status == 200
    async with Fetcher(loopback=False) as fetcher:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(BadUrl):
                await fetcher.fetch("GET", f"https://{host}:{server.port}/")
    assert server.connections == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirect_is_an_answer_and_is_not_followed(start: Start, status: str) -> None:
    aim = await start(answer())
    server = await start(answer(status, b"", f"Location: http://127.0.0.1:{aim.port}/"))
    async with Fetcher(loopback=True) as fetcher:
        got = await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
    assert (got.status, got.headers["Location"]) == (
        int(status[:3]),
        f"http://127.0.0.1:{aim.port}/",
    )
    assert aim.connections == 0


async def test_answer_of_the_largest_size_is_given_and_one_byte_more_refused(start: Start) -> None:
    async with Fetcher(loopback=True, size_max=100_000) as fetcher:
        server = await start(answer(body=b"x" * 100_000))
        got = await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
        assert len(got.body) == 100_000
        server = await start(answer(body=b"x" * 100_001))
        with pytest.raises(FetchFailed) as failed:
            await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
        assert failed.value.context == {"reason": "too_large"}


async def test_endless_answer_is_not_read_on(start: Start) -> None:
    server = await start(endless)
    async with Fetcher(loopback=True, size_max=1_000) as fetcher:
        with pytest.raises(FetchFailed) as failed:
            await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
        await asyncio.sleep(0.1)
    assert failed.value.context == {"reason": "too_large"}
    assert server.sent < 20 * 2**20, "more than sockets' buffers hold"


async def test_answer_is_cut_where_its_beginning_is_enough(start: Start) -> None:
    async with Fetcher(loopback=True, size_max=1_000, cut=True) as fetcher:
        for body in (b"x" * 999, b"x" * 1_000, b"x" * 1_001, b"x" * 1_000_000):
            server = await start(answer("202 Accepted", body))
            got = await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
            assert (got.status, got.body) == (202, body[:1_000])
        server = await start(endless)
        got = await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
        await asyncio.sleep(0.1)
        assert (got.status, got.body) == (200, b"x" * 1_000)
    assert server.sent < 20 * 2**20, "more than sockets' buffers hold"


async def test_packed_answer_is_not_unpacked(start: Start) -> None:
    server = await start(answer("200 OK", b"not gzip", "Content-Encoding: gzip"))
    async with Fetcher(loopback=True) as fetcher:
        got = await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
    assert got.body == b"not gzip"
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


@pytest.mark.parametrize("slow", [silent, dripping])
async def test_slow_answer_ends_with_the_time_for_all_of_it(start: Start, slow: Handler) -> None:
    server = await start(slow)
    loop = asyncio.get_running_loop()
    async with Fetcher(loopback=True, timeout_s=0.3) as fetcher:
        began = loop.time()
        with pytest.raises(FetchFailed) as failed:
            await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
    assert failed.value.context == {"reason": "timed_out"}
    assert 0.25 < loop.time() - began < 2


async def test_slow_name_server_counts_too() -> None:
    class Slow(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            await asyncio.sleep(60)
            return await super().resolve(host, port, family)

    async with Fetcher(loopback=False, timeout_s=0.1, resolver=Slow()) as fetcher:
        with pytest.raises(FetchFailed) as failed:
            await fetcher.fetch("GET", "https://shop.example/")
    assert failed.value.context == {"reason": "timed_out"}


# The outer wall again: the system's look-up, which blocks for as long as a test likes.


@dataclass
class Hanging:
    """Names are looked up at once, but for those that nobody answers for: until `gate` is set."""

    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list[str])

    def ask(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.gate.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return ["127.0.0.1"]


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.gate.set()


async def timed_out(fetcher: Fetcher, host: str) -> None:
    with pytest.raises(FetchFailed) as failed:
        await fetcher.fetch("GET", f"https://{host}/")
    assert failed.value.context == {"reason": "timed_out"}


@pytest.mark.parametrize(
    ("slow", "asked_for"),
    [
        ([f"slow.shop{n}.example" for n in range(10)], 10),
        ([f"slow.shop{n}.example" for n in range(100)], 100),
        ([f"slow{n}.shop.example" for n in range(300)], LOOKUPS_OF_ZONE_MAX),
        ([f"slow{n}.shop.com.kh" for n in range(300)], LOOKUPS_OF_ZONE_MAX),
        (["slow.shop.example"] * 300, 1),
    ],
    ids=["ten", "many", "of one owner", "of one owner in Cambodia", "one name"],
)
async def test_slow_names_delay_no_other(
    start: Start, hanging: Hanging, slow: list[str], asked_for: int
) -> None:
    server, loop = await start(answer()), asyncio.get_running_loop()
    async with Fetcher(loopback=True, timeout_s=3.0, resolver=Lookups(hanging.ask)) as fetcher:
        waiting = [asyncio.create_task(timed_out(fetcher, host)) for host in slow]
        await asyncio.sleep(0.5)
        began = loop.time()
        for url in (f"http://well.localhost:{server.port}/", f"http://localhost:{server.port}/"):
            assert (await fetcher.fetch("GET", url)).status == 200
        await loop.getaddrinfo("127.0.0.1", 0)
        assert loop.time() - began < 1.5
        assert len([host for host in hanging.asked if host.startswith("slow")]) == asked_for
        await asyncio.gather(*waiting)


async def test_those_who_have_stopped_waiting_for_a_place_take_none(hanging: Hanging) -> None:
    lookups = Lookups(hanging.ask)
    hosts = [f"slow.shop{n}.example" for n in range(LOOKUPS_MAX + 50)]
    async with Fetcher(loopback=False, timeout_s=1.0, resolver=lookups) as fetcher:
        await asyncio.gather(*(timed_out(fetcher, host) for host in hosts))
        assert sorted(hanging.asked) == sorted(hosts[:LOOKUPS_MAX])
        await timed_out(fetcher, "well.example")
        hanging.gate.set()
        async with asyncio.timeout(5):
            assert (await lookups.resolve("well.example", 443))[0]["host"] == "127.0.0.1"
    assert len(hanging.asked) == LOOKUPS_MAX + 1


async def test_look_up_gives_addresses_of_the_wanted_family_with_the_port() -> None:
    lookups = Lookups(lambda _: ["127.0.0.1", "::1"])
    found = await lookups.resolve("shop.example", 443)
    assert [(each["host"], each["port"]) for each in found] == [("127.0.0.1", 443), ("::1", 443)]
    found = await lookups.resolve("shop.example", 443, socket.AF_INET6)
    assert [each["host"] for each in found] == ["::1"]
    with pytest.raises(socket.gaierror):
        await Lookups().resolve("no-such-name.invalid", 443)


async def test_nobody_there_a_broken_answer_and_no_such_name_are_unreachable(start: Start) -> None:
    broken = await start(answer("nonsense"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody: int = taken.getsockname()[1]
        urls = [f"http://127.0.0.1:{port}/" for port in (nobody, broken.port)]
        async with Fetcher(loopback=True, resolver=Names()) as fetcher:
            for url in [*urls, "https://shop.example/"]:
                with pytest.raises(FetchFailed) as failed:
                    await fetcher.fetch("GET", url)
                assert failed.value.context == {"reason": "unreachable"}


async def test_no_cookie_comes_back(start: Start) -> None:
    server = await start(answer("200 OK", b"", "Set-Cookie: a=1; Path=/"))
    async with Fetcher(loopback=True) as fetcher:
        for _ in range(2):
            await fetcher.fetch("GET", f"http://localhost:{server.port}/")
    assert len(server.requests) == 2
    assert not [request for request in server.requests if b"cookie" in request.lower()]


async def test_proxies_of_the_environment_are_ignored(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = await start(answer(body=b"proxy")), await start(answer(body=b"server"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "")
    async with Fetcher(loopback=True) as fetcher:
        got = await fetcher.fetch("GET", f"http://127.0.0.1:{server.port}/")
    assert (got.body, proxy.connections) == (b"server", 0)


# The Internet, as far as the tests know it: whoever connects to a public address is noted, and
# reaches a server of ours.


@pytest.fixture
async def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lead every connection to 127.0.0.1, and note where it was meant to go."""
    meant: list[str] = []
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: tuple[str, int]) -> None:
        meant.append(address[0])
        await connect(sock, ("127.0.0.1", address[1]))

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    return meant


def tls_for(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - of pyOpenSSL
    return context


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Trust this authority as if the system did."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return made


async def test_connection_goes_to_the_address_that_was_judged(
    start: Start, connected: list[str], authority: trustme.CA
) -> None:
    server = await start(answer(), tls_for(authority, "shop.example"))
    names = Names([PUBLIC], ["127.0.0.1"])
    async with Fetcher(loopback=False, resolver=names) as fetcher:
        url = f"https://shop.example:{server.port}/"
        assert (await fetcher.fetch("GET", url)).body == b"hello"
        assert (names.asked, connected) == (["shop.example"], [PUBLIC])
        with pytest.raises(BadUrl, match="public addresses, and no others"):
            await fetcher.fetch("GET", url)
    assert (len(names.asked), connected, server.connections) == (2, [PUBLIC], 1)
    assert f"Host: shop.example:{server.port}\r\n".encode() in server.requests[0]


async def test_name_that_turns_private_after_a_broken_connection_is_refused(
    start: Start, connected: list[str], authority: trustme.CA
) -> None:
    async def hang_up(_: Server, writer: asyncio.StreamWriter) -> None:
        await writer.drain()

    server = await start(hang_up, tls_for(authority, "shop.example"))
    names = Names([PUBLIC], ["127.0.0.1"])
    async with Fetcher(loopback=False, resolver=names) as fetcher:
        with pytest.raises((BadUrl, FetchFailed)):
            await fetcher.fetch("GET", f"https://shop.example:{server.port}/")
    assert connected == [PUBLIC]


@pytest.mark.parametrize(
    ("found", "production", "sandbox"),
    [
        ([PUBLIC], True, True),
        ([PUBLIC, PUBLIC_V6], True, True),
        (["::ffff:93.184.215.14"], True, True),
        (["64:ff9b::93.184.215.14"], True, True),
        (["127.0.0.1"], False, True),
        (["127.0.0.1", "::1"], False, True),
        ([PUBLIC, "127.0.0.1"], False, False),
        (["127.0.0.1", PUBLIC], False, False),
        ([PUBLIC, "10.0.0.1"], False, False),
        (["127.0.0.1", "10.0.0.1"], False, False),
        ([PUBLIC, "::1"], False, False),
        ([PUBLIC_V6, "fd00::1"], False, False),
        (["169.254.169.254"], False, False),
        (["100.64.0.1"], False, False),
        (["0.0.0.0"], False, False),  # noqa: S104 - nobody listens here
        (["::"], False, False),
        (["fe80::1%eth0"], False, False),
        (["::ffff:10.0.0.1"], False, False),
        (["64:ff9b::10.0.0.1"], False, False),
        (["2002:a00:1::1"], False, False),
        ([], False, False),
    ],
)
@pytest.mark.parametrize("loopback", [False, True], ids=["production", "sandbox"])
async def test_all_addresses_of_a_name_must_be_allowed(
    monkeypatch: pytest.MonkeyPatch,
    found: list[str],
    production: bool,  # noqa: FBT001 - a column
    sandbox: bool,  # noqa: FBT001 - a column
    loopback: bool,  # noqa: FBT001 - a column
) -> None:
    tried: list[str] = []

    async def sock_connect(_: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    allowed = sandbox if loopback else production
    async with Fetcher(loopback=loopback, resolver=Names(found)) as fetcher:
        with pytest.raises(FetchFailed if allowed else BadUrl):
            await fetcher.fetch("GET", "https://shop.example/")
    assert set(tried) == (set(found) if allowed else set())


@pytest.mark.parametrize("found", [PUBLIC, "10.0.0.1"])
async def test_localhost_means_loopback_whatever_a_name_server_says(
    connected: list[str], found: str
) -> None:
    async with Fetcher(loopback=True, resolver=Names([found])) as fetcher:
        with pytest.raises(BadUrl):
            await fetcher.fetch("GET", "http://localhost/")
    assert connected == []


async def test_http_in_the_sandbox_leads_to_no_public_name(connected: list[str]) -> None:
    names = Names(["127.0.0.1"])
    async with Fetcher(loopback=True, resolver=names) as fetcher:
        with pytest.raises(BadUrl, match=HTTPS):
            await fetcher.fetch("GET", "http://shop.example/")
    assert (names.asked, connected) == ([], [])


async def test_certificate_of_an_unknown_authority_is_not_trusted(start: Start) -> None:
    server = await start(answer(), tls_for(trustme.CA(), "localhost", "127.0.0.1"))
    async with Fetcher(loopback=True) as fetcher:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(FetchFailed) as failed:
                await fetcher.fetch("GET", f"https://{host}:{server.port}/")
            assert failed.value.context == {"reason": "untrusted"}
    assert server.requests == []


async def test_certificate_of_another_name_is_not_trusted(
    start: Start, connected: list[str], authority: trustme.CA
) -> None:
    server = await start(answer(), tls_for(authority, "other.example", PUBLIC))
    async with Fetcher(loopback=False, resolver=Names([PUBLIC])) as fetcher:
        with pytest.raises(FetchFailed) as failed:
            await fetcher.fetch("GET", f"https://shop.example:{server.port}/")
    assert failed.value.context == {"reason": "untrusted"}
    assert (server.requests, connected) == ([], [PUBLIC])


async def test_public_address_is_reached_without_a_name(
    start: Start, connected: list[str], authority: trustme.CA
) -> None:
    server = await start(answer(), tls_for(authority, PUBLIC))
    names = Names()
    async with Fetcher(loopback=False, resolver=names) as fetcher:
        got = await fetcher.fetch("GET", f"https://{PUBLIC}:{server.port}/")
    assert (got.status, connected, names.asked) == (200, [PUBLIC], [])


HOSTS = st.text("abc.0123456789x:[]%@-_ⅷ。" + WIDE_127, max_size=20)
URLS = st.one_of(
    st.text(max_size=40),
    st.text(max_size=40).map("https://".__add__),
    st.builds("https://{}/{}".format, HOSTS, st.text(max_size=10)),
    st.builds("http://{}:{}/".format, HOSTS, st.integers(-1, 70_000)),
)


@given(url=URLS)
async def test_whatever_the_url_it_is_refused_or_unreachable(url: str) -> None:
    """Nobody is there: a URL that passes ends at a name server that knows no name, or no one."""
    tried: list[str] = []
    loop = asyncio.get_running_loop()

    async def sock_connect(_: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "sock_connect", sock_connect)
        async with Fetcher(loopback=False, resolver=Names()) as fetcher:
            with pytest.raises((BadUrl, FetchFailed)):
                await fetcher.fetch("GET", url)
    assert all(ip_address(address).is_global for address in tried)
