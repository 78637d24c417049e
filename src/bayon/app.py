"""The wiring: from settings and a database to one ASGI application, its workers, its listeners.

With the command line the only place that knows every door.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final, cast

import msgspec
import structlog
from litestar import HttpMethod, Litestar, Request, get, route
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException, NotFoundException
from litestar.response import Response, Template
from litestar.routes import HTTPRoute
from litestar.types import (
    ASGIApp,
    ControllerRouterHandler,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
)
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bayon import bakong, cards, cms, events, ledger, pages, payments, sandbox
from bayon.bakong import CallbackApi, OpenApi, ParticipantApi, Registrar
from bayon.cards import Desk, Policy, Vault, VaultKeys
from bayon.cms import CardApi
from bayon.config import Settings
from bayon.db import Database, Tx
from bayon.errors import BayonError, Unavailable
from bayon.events import Courier
from bayon.fetch import Fetcher
from bayon.ids import uuid7
from bayon.ledger import Finding
from bayon.log import Secret
from bayon.network import Link
from bayon.payments import Rail
from bayon.sandbox import SandboxDoor
from bayon.seal import Sealer
from bayon.web import (
    Answer,
    BadBody,
    BodyTooLarge,
    Gate,
    Limit,
    Porch,
    UnknownPath,
    WrongMethod,
    describe,
    mount,
    send_answer,
)

JSON_API: Final = b"application/vnd.api+json"
CARD_COLLECTIONS: Final = frozenset(
    {*("accounts", "cardholders", "cards", "events", "transactions", "issuer", "webhook_endpoints")}
)
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
HEADERS_SIZE_MAX: Final = 65_536
ANSWER_SIZE_MAX: Final = 65_536
LOOPBACK: Final = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
DOCUMENT_S: Final = 10.0
DOCUMENT_OPTIONAL_S: Final = 2.0
BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Bayon:
    """A wired process: `asgi` answers, `rail`, `desk` and `courier` work."""

    asgi: ASGIApp
    rail: Rail
    desk: Desk
    courier: Courier
    metrics: "Metrics"


def build(
    settings: Settings,
    db: Database,
    *,
    seal_keys: Secret,
    jwt_key: Secret,
    vault_keys: VaultKeys,
) -> Bayon:
    """Wire everything; touches nothing outside."""
    sealer = Sealer.from_text(seal_keys.reveal())
    rail = Rail(db, sealer, batch_size_max=settings.batch_size_max)
    fetcher = Fetcher(
        loopback=settings.sandbox, timeout_s=events.TIMEOUT_S, size_max=ANSWER_SIZE_MAX, cut=True
    )
    courier = Courier(db, sealer, fetcher, iss=settings.webhook_iss)
    desk = _desk(settings, db, sealer, Vault(vault_keys), told=courier.nudge)
    gate = Gate(db, signed=lambda token: bakong.tokens.signed(jwt_key, token))
    porch = Porch(
        gate=gate,
        token_limit=Limit(settings.rate_limit_token_per_s),
        address_limit=Limit(settings.rate_limit_address_per_s),
        body_size_max=settings.body_size_max,
        public_url=settings.public_url.rstrip("/") if settings.public_url else None,
    )
    registrar = Registrar(db=db, settings=settings, key=jwt_key)
    open_api = [
        *OpenApi(db=db, rail=rail, registrar=registrar, settings=settings, gate=gate).operations(),
        *CallbackApi(db=db, rail=rail, sealer=sealer, fetcher=fetcher).operations(),
    ]
    participant_api = ParticipantApi(db=db, rail=rail, sealer=sealer).operations()
    card_api = CardApi(desk=desk, sealer=sealer, virtual=settings.virtual_cards).operations()
    doors = [
        ("Bakong Open API", "Tokens, deeplinks, the status of payments, accounts.", open_api),
        ("Participants", "The rail, as banks use it: accounts and payments.", participant_api),
        ("Card management", "Cardholders, accounts, cards, what moves on them.", card_api),
    ]
    handlers: list[ControllerRouterHandler] = [
        *mount(open_api, porch, refuse=bakong.refuse, host=settings.bakong_host),
        *mount(participant_api, porch, refuse=bakong.refuse),
        *mount(card_api, porch, refuse=cms.refuse, host=settings.cms_host, read=cms.read),
    ]
    if settings.sandbox:
        simulate = SandboxDoor(db=db, rail=rail, desk=desk).operations()
        doors.append(("Sandbox", "Pay as anybody, read the mail, move the clock.", simulate))
        handlers += mount(simulate, porch, refuse=sandbox.refuse)
    metrics = Metrics(rail, desk)
    described = describe(doors, version=version("bayon"), schemas=cms.COMPONENTS)
    handlers += pages.handlers(
        db=db,
        rail=rail,
        porch=porch,
        settings=settings,
        sealer=sealer,
        api=described,
        vault=desk.vault,
    )
    handlers += _plain_routes(db, metrics, described, everybody=settings.sandbox)
    litestar = Litestar(
        route_handlers=handlers,
        openapi_config=None,
        logging_config=None,
        cors_config=CORSConfig(
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"], max_age=3_600
        ),
        exception_handlers={HTTPException: _refuse_http, Exception: _refuse_bug},
        template_config=pages.template_config(),
    )
    asgi = observed(cast("ASGIApp", litestar), metrics)
    return Bayon(asgi=asgi, rail=rail, desk=desk, courier=courier, metrics=metrics)


async def check(tx: Tx) -> list[Finding]:
    """Check every room's invariants. Wants a REPEATABLE READ transaction."""
    return [*await ledger.check(tx), *await payments.check(tx), *await cards.check(tx)]


def _desk(
    settings: Settings,
    db: Database,
    sealer: Sealer,
    vault: Vault,
    *,
    told: Callable[[], None],
) -> Desk:
    """Wire card management; a sandbox waits two seconds for a document, and no longer."""
    documents_required = settings.kyc_documents == "required"
    return Desk(
        db,
        sealer,
        vault,
        Fetcher(
            loopback=settings.sandbox,
            timeout_s=DOCUMENT_S if documents_required else DOCUMENT_OPTIONAL_S,
        ),
        policy=Policy(
            mode="manual" if settings.kyc_review == "manual" else "automatic",
            documents_required=documents_required,
        ),
        batch_size_max=settings.batch_size_max,
        told=told,
        iss=settings.webhook_iss,
    )


class Metrics:
    """What Prometheus may read."""

    def __init__(self, rail: Rail, desk: Desk) -> None:
        self.registry: CollectorRegistry = CollectorRegistry()
        self.requests: Histogram = Histogram(
            "bayon_request_duration_seconds",
            "Requests by route, and how long they took",
            ("method", "route", "status"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.errors: Counter = Counter(
            "bayon_unexpected_errors",
            "Answers with a 5xx: bugs, and outages of the database",
            registry=self.registry,
        )
        self._network: Histogram = Histogram(
            "bayon_network_answer_seconds",
            "Answers to the card network by link, message and reason, and how long they took",
            ("link", "mti", "reason"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        for name, sizes in (
            ("payments", rail.paying.sizes),
            ("status", rail.asking.sizes),
            ("cards", desk.moving.sizes),
        ):
            for what, read in (
                ("batches", lambda s=sizes: s.batches),
                ("commands", lambda s=sizes: s.commands),
                ("largest", lambda s=sizes: s.largest),
            ):
                gauge = Gauge(
                    f"bayon_{name}_{what}", f"Batch engine: {what}", registry=self.registry
                )
                gauge.set_function(read)

    def answered(self, link: str, mti: str, reason: str, seconds: float) -> None:
        """Count an answer to the card network."""
        self._network.labels(link, mti, reason).observe(seconds)

    def watch(self, links: Sequence[Link]) -> None:
        """Show how links stand: once for each process that serves them."""
        for what in ("connections", "in_flight", "signed_on"):
            gauge = Gauge(
                f"bayon_network_{what}", f"Links: {what}", ("link",), registry=self.registry
            )
            for link in links:
                gauge.labels(link.terms.link).set_function(partial(_standing, link, what))


def _standing(link: Link, what: str) -> float:
    """Tell how a link stands just now."""
    return {
        "connections": len(link.connections),
        "in_flight": link.in_flight,
        "signed_on": int(link.signed_on),
    }[what]


def observed(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """Give every request an id, a log line and a measurement; say 500 where the app did not."""

    async def observe(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = time.perf_counter()
        status, answered = 500, False

        async def tell(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        try:
            if _headers_size(scope) > HEADERS_SIZE_MAX:
                too_large = BodyTooLarge("The request's headers are too large.")
                await send_answer(_refuse(scope, too_large), tell)
            else:
                await app(scope, receive, tell)
        except Exception:
            log.exception("unexpected error")
            if answered:
                raise
            await send_answer(_refuse(scope, BayonError()), tell)
        finally:
            seconds = time.perf_counter() - started
            route = str(scope.get("path_template") or "unknown")
            metrics.requests.labels(scope["method"], route, status).observe(seconds)
            if status >= 500:  # noqa: PLR2004 - HTTP's own number
                metrics.errors.inc()
            log.debug(
                "request",
                method=scope["method"],
                path=route,
                status=status,
                duration_ms=round(seconds * 1000, 3),
            )
            structlog.contextvars.unbind_contextvars("request_id")

    return observe


def _refuse(scope: HTTPScope, error: BayonError) -> Answer:
    """Answer an error that no door has met, in the dialect of the door it was meant for."""
    parts = scope["path"].split("/", 3)
    of_cards = parts[1:2] == ["v1"] and parts[2:3] != [] and parts[2] in CARD_COLLECTIONS
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return (cms if of_cards or JSON_API in accept else bakong).refuse(error)


def _headers_size(scope: HTTPScope) -> int:
    return sum(len(name) + len(value) for name, value in scope["headers"])


def _request_id(scope: HTTPScope) -> bytes:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given if REQUEST_ID.fullmatch(given) else str(uuid7()).encode()


def _plain_routes(
    db: Database, metrics: Metrics, described: dict[str, object], *, everybody: bool
) -> list[ControllerRouterHandler]:
    openapi_json = msgspec.json.encode(described)

    reading = [HttpMethod.GET, HttpMethod.HEAD]

    @route("/healthz", http_method=reading, sync_to_thread=False)
    def healthz() -> Response[bytes]:
        return Response(b'{"status":"ok"}', media_type="application/json")

    @route("/readyz", http_method=reading)
    async def readyz() -> Response[bytes]:
        try:
            await db.ping()
        except Unavailable:
            return Response(b'{"status":"away"}', media_type="application/json", status_code=503)
        return Response(b'{"status":"ok"}', media_type="application/json")

    @get("/metrics", sync_to_thread=False)
    def read_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not (everybody or _is_of_this_machine(request)):
            raise NotFoundException
        return Response(
            generate_latest(metrics.registry), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    @get("/openapi.json", sync_to_thread=False)
    def openapi() -> Response[bytes]:
        return Response(openapi_json, media_type="application/json")

    return [healthz, readyz, read_metrics, openapi]


def _is_of_this_machine(request: Request[Any, Any, Any]) -> bool:
    """Tell whether who asks is here, and is no proxy that asks for somebody else."""
    here = request.client is not None and request.client.host in LOOPBACK
    return here and not any(name in request.headers for name in FORWARDED)


def _refuse_http(
    request: Request[Any, Any, Any], error: HTTPException
) -> Response[bytes] | Template:
    """Answer what the router itself refuses: unknown paths, wrong methods, a Host that is none."""
    scope = request.scope
    if error.status_code >= 500:  # noqa: PLR2004 - HTTP's own number
        return _refuse_bug(request, error)
    if error.status_code == 400:  # noqa: PLR2004 - HTTP's own number
        return _response(_refuse(scope, BadBody("The request is not valid.")))
    # Not from request.url, which raises on a Host whose port is none.
    if pages.wanted(request.headers.get("accept", ""), request.scope["path"]):
        return pages.not_found(request)
    if error.status_code == 405:  # noqa: PLR2004 - HTTP's own number
        return _response(_refuse(scope, WrongMethod(_allowed(request))))
    return _response(_refuse(scope, UnknownPath()))


def _allowed(request: Request[Any, Any, Any]) -> list[str]:
    """Tell the methods of a path; the router knows them and does not say."""
    parts = [part for part in request.scope["path"].split("/") if part]
    routes = [r for r in request.app.routes if isinstance(r, HTTPRoute) and _fits(r, parts)]
    if not routes:
        return []
    # Where a name and a parameter both fit, the name is meant, as the router does it.
    meant = max(routes, key=lambda r: sum(isinstance(c, str) for c in r.path_components))
    return sorted(meant.methods)


def _fits(route: HTTPRoute, parts: Sequence[str]) -> bool:
    components = route.path_components
    return len(components) == len(parts) and all(
        component == part or not isinstance(component, str)
        for component, part in zip(components, parts, strict=True)
    )


def _refuse_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a bug without a word about it; the log has the place."""
    if isinstance(error, BayonError):
        return _response(_refuse(request.scope, error))
    log.error("unexpected error", exc_info=error)
    return _response(_refuse(request.scope, BayonError()))


def _response(answer: Answer) -> Response[bytes]:
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=answer.media_type,
        headers=answer.headers,
    )
