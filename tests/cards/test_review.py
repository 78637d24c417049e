"""Reviews: what is fetched, what is kept of it, and what becomes of the cardholder."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from aiohttp import web
from msgspec.structs import replace

from bayon import cards
from bayon.cards import Cardholder, Issuer, Policy, review_store
from bayon.cards.review import (
    ATTEMPTS_MAX,
    CLAIM_TTL,
    RETRY_AFTER,
    REVIEWS_MAX,
    REVIEWS_OF_ISSUER_MAX,
    Reviewer,
    media_type_of,
)
from bayon.cards.review_store import Room
from bayon.db import Database, Tx
from bayon.fetch import Fetcher
from bayon.seal import BadSeal
from cards_factories import (
    SEALER,
    create_cardholder,
    decide,
    event_types,
    make_desk,
    make_issuer,
    now_of,
)
from factories import advance, working

JPEG: Final = b"\xff\xd8\xff\xe0 a photo"
PNG: Final = b"\x89PNG\r\n\x1a\n a photo"
WEBP: Final = b"RIFF\x10\x00\x00\x00WEBP a photo"
PDF: Final = b"%PDF-1.7 a document"
HTML: Final = b"<!doctype html>"
SIZE_MAX: Final = 20_000
TIMEOUT_S: Final = 1.5

AUTOMATIC: Final = Policy()
OPTIONAL: Final = Policy(documents_required=False)
MANUAL: Final = Policy(mode="manual")
MANUAL_OPTIONAL: Final = Policy(mode="manual", documents_required=False)


@dataclass
class Host:
    """A server whose pages are what a test wants them to be."""

    url: str = ""
    pages: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    open_now: int = 0
    open_most: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            await self.gate.wait()
            status, body = self.pages.get(request.path, (404, b"not here"))
            if status == 302:
                return web.Response(status=302, headers={"Location": f"{self.url}/photo"})
            if body == b"hang":
                await asyncio.sleep(60)
            return web.Response(status=status, body=body, content_type="text/html")
        finally:
            self.open_now -= 1


@asynccontextmanager
async def serving() -> AsyncGenerator[Host]:
    host = Host()
    host.pages = {"/photo": (200, PNG), "/document": (200, PDF)}
    host.gate.set()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", host.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    host.url = f"http://127.0.0.1:{address[1]}"
    yield host
    await runner.cleanup()


@pytest.fixture
async def db(shared: tuple[Database, str]) -> Database:
    """Share a database, in which no review is due."""
    nothing_due = "UPDATE cards.cardholder SET review_at = NULL"
    await shared[0].read(lambda tx: tx.run(nothing_due))
    return shared[0]


@pytest.fixture
async def host() -> AsyncGenerator[Host]:
    async with serving() as made:
        yield made


@pytest.fixture
async def issuer(db: Database) -> Issuer:
    return await make_issuer(db)


def make_reviewer(db: Database, policy: Policy = AUTOMATIC, *, timeout_s: float = 20.0) -> Reviewer:
    """Make a worker that is patient, for a machine that is slow."""
    fetcher = Fetcher(loopback=True, timeout_s=timeout_s, size_max=SIZE_MAX)
    return Reviewer(db=db, sealer=SEALER, fetcher=fetcher, policy=policy)


async def step(reviewer: Reviewer) -> int:
    """Do one step of a worker to its end, and close what it fetched with."""
    try:
        taken = await reviewer.step()
        await reviewer.idle()
        return taken
    finally:
        await reviewer.fetcher.close()


async def steps(reviewer: Reviewer) -> int:
    """Do all that is due, and close what it was fetched with."""
    try:
        taken = 0
        while count := await reviewer.step():
            taken += count
            await reviewer.idle()
        return taken
    finally:
        await reviewer.fetcher.close()


async def apply(
    db: Database, issuer: Issuer, host: Host, photo: str = "/photo", document: str = "/document"
) -> Cardholder:
    """Create a cardholder with documents at this host."""
    return await create_cardholder(
        db,
        issuer,
        photo_url=host.url + photo if photo.startswith("/") else photo,
        identity_document_url=host.url + document if document.startswith("/") else document,
    )


async def find(db: Database, cardholder: Cardholder) -> Cardholder:
    return await db.read(
        lambda tx: cards.find_cardholder(
            tx, issuer_id=cardholder.issuer_id, cardholder_id=cardholder.id
        )
    )


async def kept(db: Database, cardholder_id: UUID) -> dict[str, tuple[str, bytes]]:
    """Read what was kept of a cardholder, in clear."""
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT kind, media_type, sealed FROM cards.document WHERE cardholder_id = $1",
            cardholder_id,
        )
    )
    return {row["kind"]: (row["media_type"], opened(row, cardholder_id)) for row in rows}


def opened(row: Any, cardholder_id: UUID, kind: str | None = None) -> bytes:  # noqa: ANN401 - a Record
    context = b"cards.document" + cardholder_id.bytes + (kind or row["kind"]).encode()
    return SEALER.open(row["sealed"], context=context)


# What is accepted.


@pytest.mark.parametrize(
    ("kind", "body", "media_type"),
    [
        ("photo", JPEG, "image/jpeg"),
        ("photo", PNG, "image/png"),
        ("photo", WEBP, "image/webp"),
        ("photo", PDF, None),
        ("photo", b"RIFF\x10\x00\x00\x00WAVE", None),
        ("photo", b"RIFF", None),
        ("photo", b"GIF89a", None),
        ("photo", HTML, None),
        ("photo", b"<svg onload='alert(1)'>", None),
        ("photo", b" " + PNG, None),
        ("photo", b"", None),
        ("identity_document", JPEG, "image/jpeg"),
        ("identity_document", PNG, "image/png"),
        ("identity_document", WEBP, "image/webp"),
        ("identity_document", PDF, "application/pdf"),
        ("identity_document", b"%PDF", None),
        ("identity_document", HTML, None),
        ("identity_document", b"", None),
    ],
)
def test_a_document_is_what_its_first_bytes_say(
    kind: str, body: bytes, media_type: str | None
) -> None:
    assert media_type_of(kind, body) == media_type


async def test_good_documents_make_a_cardholder_active_and_are_kept_sealed(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host)
    assert await step(make_reviewer(db)) == 1
    found = await find(db, made)
    assert found == replace(
        made, status="active", review_at=None, review_attempts=1, updated_at=found.updated_at
    )
    assert found.updated_at > made.updated_at
    assert await event_types(db, issuer) == ["cardholder.created", "cardholder.updated"]
    assert await kept(db, made.id) == {
        "photo": ("image/png", PNG),
        "identity_document": ("application/pdf", PDF),
    }
    assert await step(make_reviewer(db)) == 0
    assert sorted(host.asked) == ["/document", "/photo"]


async def test_a_kept_document_opens_for_its_cardholder_and_kind_alone(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host)
    await step(make_reviewer(db))
    photo = await db.read(
        lambda tx: tx.row(
            "SELECT * FROM cards.document WHERE cardholder_id = $1 AND kind = 'photo'", made.id
        )
    )
    assert photo is not None
    assert PNG not in photo["sealed"]
    assert opened(photo, made.id) == PNG
    with pytest.raises(BadSeal):
        opened(photo, issuer.id)
    with pytest.raises(BadSeal):
        opened(photo, made.id, "identity_document")


# What is not. `lasting`: asking again would not help.

NOT_THERE: Final = (
    ("/missing", False),
    ("/broken", False),
    ("/elsewhere", False),
    ("/hangs", False),
    ("http://127.0.0.1:1/", False),
    ("/html", True),
    ("/large", True),
    ("http://10.0.0.1/", True),
    ("file:///etc/passwd", True),
)


def furnish(host: Host) -> None:
    host.pages |= {
        "/broken": (500, PNG),
        "/elsewhere": (302, PNG),
        "/hangs": (200, b"hang"),
        "/html": (200, HTML),
        "/large": (200, PNG.ljust(SIZE_MAX + 1)),
        "/just right": (200, PNG.ljust(SIZE_MAX)),
    }


async def test_what_lasts_rejects_at_once_and_what_may_pass_is_asked_again(
    db: Database, issuer: Issuer, host: Host
) -> None:
    furnish(host)
    by_photo = [await apply(db, issuer, host, photo=url) for url, _ in NOT_THERE]
    by_document = [await apply(db, issuer, host, document=url) for url, _ in NOT_THERE]
    reviewer = make_reviewer(db, timeout_s=TIMEOUT_S)
    assert await steps(reviewer) == len(NOT_THERE) * 2
    for kind, made in (("photo", by_photo), ("identity_document", by_document)):
        for cardholder, (url, lasting) in zip(made, NOT_THERE, strict=True):
            found = await find(db, cardholder)
            if lasting:
                wanted = ("rejected", f"{kind}_not_acceptable", None)
            else:
                wanted = ("processing_profile", None, found.review_at)
                assert found.review_at is not None, url
            assert (found.status, found.rejection_reason, found.review_at) == wanted, url
    rejected = sum(lasting for _, lasting in NOT_THERE) * 2
    assert (await event_types(db, issuer)).count("cardholder.updated") == rejected


async def test_a_redirect_is_not_followed(db: Database, issuer: Issuer, host: Host) -> None:
    furnish(host)
    await apply(db, issuer, host, photo="/elsewhere")
    await step(make_reviewer(db))
    assert sorted(host.asked) == ["/document", "/elsewhere"]


async def test_a_document_of_the_largest_size_is_kept(
    db: Database, issuer: Issuer, host: Host
) -> None:
    furnish(host)
    made = await apply(db, issuer, host, photo="/just%20right")
    await step(make_reviewer(db))
    assert (await find(db, made)).status == "active"
    assert len((await kept(db, made.id))["photo"][1]) == SIZE_MAX


async def test_the_photo_is_named_first_when_both_are_bad(
    db: Database, issuer: Issuer, host: Host
) -> None:
    furnish(host)
    made = await apply(db, issuer, host, photo="/html", document="/html")
    await step(make_reviewer(db))
    assert (await find(db, made)).rejection_reason == "photo_not_acceptable"


@pytest.mark.parametrize(
    ("policy", "photo", "status", "is_due"),
    [
        (AUTOMATIC, "/photo", "active", False),
        (AUTOMATIC, "/missing", "processing_profile", True),
        (AUTOMATIC, "/html", "rejected", False),
        (OPTIONAL, "/photo", "active", False),
        (OPTIONAL, "/missing", "active", False),
        (OPTIONAL, "/html", "active", False),
        (MANUAL, "/photo", "processing_profile", False),
        (MANUAL, "/missing", "processing_profile", True),
        (MANUAL, "/html", "rejected", False),
        (MANUAL_OPTIONAL, "/photo", "processing_profile", False),
        (MANUAL_OPTIONAL, "/missing", "processing_profile", False),
        (MANUAL_OPTIONAL, "/html", "processing_profile", False),
    ],
)
async def test_a_policy_says_who_decides_and_whether_without_documents(
    db: Database, host: Host, *, policy: Policy, photo: str, status: str, is_due: bool
) -> None:
    furnish(host)
    issuer = await make_issuer(db)
    made = await apply(db, issuer, host, photo=photo)
    await step(make_reviewer(db, policy))
    found = await find(db, made)
    assert (found.status, found.review_at is not None) == (status, is_due)
    assert (await kept(db, made.id)).keys() == {"identity_document"} | (
        {"photo"} if photo == "/photo" else set()
    )
    told = await event_types(db, issuer)
    assert told == ["cardholder.created"] + ["cardholder.updated"] * (
        status != "processing_profile"
    )


async def test_what_may_pass_is_asked_again_later_and_later_and_at_last_rejected(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host, photo="/missing")
    found, waits = made, list[timedelta]()
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert await step(make_reviewer(db)) == 1
        found = await find(db, made)
        assert found.review_attempts == attempt
        if found.review_at is None:
            break
        waits.append(found.review_at - (await db.transaction(now_of)))
        assert await step(make_reviewer(db)) == 0
        await advance(db, advance_s=waits[-1].total_seconds() + 1)
    assert (found.status, found.rejection_reason) == ("rejected", "photo_not_acceptable")
    seconds = [round(wait.total_seconds(), -1) for wait in waits]
    wanted = [RETRY_AFTER.total_seconds() * 2**n for n in range(1, ATTEMPTS_MAX)]
    assert seconds == wanted
    assert host.asked.count("/missing") == ATTEMPTS_MAX


async def test_a_document_that_comes_late_still_makes_the_cardholder_active(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host, photo="/late")
    await step(make_reviewer(db))
    host.pages["/late"] = (200, JPEG)
    await advance(db, advance_s=300)
    assert await step(make_reviewer(db)) == 1
    assert (await find(db, made)).status == "active"
    assert (await kept(db, made.id))["photo"] == ("image/jpeg", JPEG)


# What happens meanwhile.


@asynccontextmanager
async def during_a_review(db: Database, host: Host) -> AsyncGenerator[None]:
    """Hold a review where its documents are asked for."""
    host.gate.clear()
    reviewer = make_reviewer(db)
    task = asyncio.create_task(step(reviewer))
    async with asyncio.timeout(20):
        while len(host.asked) < 2:  # noqa: ASYNC110 - both documents, and no more
            await asyncio.sleep(0.005)
    yield
    host.gate.set()
    assert await task == 1


async def update(db: Database, cardholder: Cardholder, **changes: object) -> Cardholder:
    async def work(tx: Tx) -> Cardholder:
        return await cards.update_cardholder(
            tx,
            issuer_id=cardholder.issuer_id,
            cardholder_id=cardholder.id,
            changes=changes,
            now=await now_of(tx),
        )

    return await db.transaction(work)


async def test_a_change_during_a_review_is_left_to_its_own_review(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host)
    async with during_a_review(db, host):
        changed = await update(db, made, name="Somebody Else")
    assert await find(db, made) == changed
    assert await kept(db, made.id) == {}
    assert await step(make_reviewer(db)) == 1
    found = await find(db, made)
    assert (found.status, found.name, found.revision) == ("active", "Somebody Else", 2)


async def test_metadata_set_during_a_review_is_there_afterwards(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host)
    async with during_a_review(db, host):
        await update(db, made, metadata={"vip": True})
    found = await find(db, made)
    assert (found.status, found.metadata) == ("active", {"foobar": "foobar", "vip": True})


async def test_a_decision_by_hand_during_a_review_stands(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host)
    async with during_a_review(db, host):
        decided = await decide(db, made, reason="known_to_us")
    assert await find(db, made) == decided
    assert await step(make_reviewer(db)) == 0


async def test_a_review_is_not_taken_twice_while_it_goes_on(
    db: Database, issuer: Issuer, host: Host
) -> None:
    await apply(db, issuer, host)
    async with during_a_review(db, host):
        assert [await step(make_reviewer(db)) for _ in range(3)] == [0, 0, 0]
    assert len(host.asked) == 2


async def test_a_review_whose_worker_died_is_taken_again_when_its_claim_is_over(
    db: Database, issuer: Issuer, host: Host
) -> None:
    made = await apply(db, issuer, host)

    async def claim(tx: Tx) -> list[UUID]:
        now = await now_of(tx)
        room = Room(total=20, of_issuer=20, in_flight={}, look=20)
        return await review_store.claim(tx, now=now, until=now + CLAIM_TTL, room=room)

    assert await db.transaction(claim) == [made.id]
    assert await step(make_reviewer(db)) == 0
    await advance(db, advance_s=CLAIM_TTL.total_seconds() + 1)
    assert await step(make_reviewer(db)) == 1
    found = await find(db, made)
    assert (found.status, found.review_attempts) == ("active", 2)


async def test_one_issuers_slow_documents_hold_up_nobody_elses_reviews(
    db: Database, host: Host
) -> None:
    host.pages["/hangs"] = (200, b"hang")
    slow, other = await make_issuer(db), await make_issuer(db)
    held = [await apply(db, slow, host, photo="/hangs") for _ in range(REVIEWS_OF_ISSUER_MAX * 2)]
    made = [await apply(db, other, host) for _ in range(REVIEWS_OF_ISSUER_MAX + 2)]
    reviewer = make_reviewer(db)
    taken = 0
    async with asyncio.timeout(20):
        while any([(await find(db, each)).status != "active" for each in made]):
            taken += await reviewer.step()
            await asyncio.sleep(0.02)
    assert taken == REVIEWS_OF_ISSUER_MAX + len(made)
    begun = [(await find(db, each)).review_attempts for each in held]
    assert begun == [1] * REVIEWS_OF_ISSUER_MAX + [0] * REVIEWS_OF_ISSUER_MAX
    await reviewer.stop()
    await reviewer.idle()
    await reviewer.fetcher.close()


async def test_no_more_reviews_are_under_way_than_there_are_places(
    db: Database, host: Host
) -> None:
    host.gate.clear()
    for _ in range(REVIEWS_MAX // REVIEWS_OF_ISSUER_MAX + 1):
        issuer = await make_issuer(db)
        for _ in range(REVIEWS_OF_ISSUER_MAX):
            await apply(db, issuer, host)
    reviewer = make_reviewer(db)
    assert [await reviewer.step() for _ in range(3)] == [REVIEWS_MAX, 0, 0]
    host.gate.set()
    await reviewer.idle()
    assert await steps(reviewer) == REVIEWS_OF_ISSUER_MAX
    assert host.open_most <= REVIEWS_MAX * 2


async def test_an_unexpected_error_of_one_review_stops_no_other(
    db: Database, issuer: Issuer, host: Host
) -> None:
    host.pages["/odd"] = (200, WEBP)
    made = [await apply(db, issuer, host, photo=url) for url in ("/photo", "/odd", "/photo")]
    refuse = "ALTER TABLE cards.document ADD CONSTRAINT odd CHECK (media_type <> 'image/webp')"
    await db.transaction(lambda tx: tx.run(refuse))
    try:
        assert await step(make_reviewer(db)) == 3
    finally:
        await db.transaction(lambda tx: tx.run("ALTER TABLE cards.document DROP CONSTRAINT odd"))
    statuses = [(await find(db, each)).status for each in made]
    assert statuses == ["active", "processing_profile", "active"]


async def test_many_workers_review_each_cardholder_once(
    db: Database, shared: tuple[Database, str], issuer: Issuer, host: Host
) -> None:
    for n in range(50):
        await apply(db, issuer, host, photo=f"/photo?{n}")
    others = [await Database.connect(shared[1], size_max=4) for _ in range(3)]
    reviewed = await asyncio.gather(
        *(steps(make_reviewer(other)) for other in others for _ in range(2))
    )
    assert sum(reviewed) == 50
    for other in others:
        await other.close()
    assert len(host.asked) == 100
    assert (await event_types(db, issuer)).count("cardholder.updated") == 50


async def test_a_new_cardholder_wakes_the_desks_worker(
    db: Database, issuer: Issuer, host: Host
) -> None:
    desk = make_desk(db, timeout_s=20.0)
    async with working(desk.work):
        made = await apply(db, issuer, host)
        async with asyncio.timeout(20):
            while (await find(db, made)).status != "active":  # noqa: ASYNC110 - a row's state
                await asyncio.sleep(0.02)
