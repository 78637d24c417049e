"""Review: a cardholder's documents are fetched and kept, and the profile is accepted or not.

Claimed in one transaction, fetched outside of any, settled in another. A claim is a review that is
due again later: if its worker dies, another takes it then. What has changed meanwhile is left to
the review that change has asked for. While some wait for a slow server, others go on: up to
`REVIEWS_MAX`, so that is how many times two documents are in memory, and `REVIEWS_OF_ISSUER_MAX`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace

from bayon.cards import review_store, store
from bayon.cards.model import Cardholder, CardholderNotFound
from bayon.cards.review_store import Room
from bayon.cards.tell import tell
from bayon.db import Database, Tx, read_clock
from bayon.errors import Unavailable
from bayon.fetch import BadUrl, Fetcher, FetchFailed
from bayon.seal import Sealer

CLAIM_TTL: Final = timedelta(minutes=1)
REVIEWS_MAX: Final = 32
REVIEWS_OF_ISSUER_MAX: Final = 8
LOOK_LIMIT: Final = 256
ATTEMPTS_MAX: Final = 6
RETRY_AFTER: Final = timedelta(minutes=1)
OK: Final = 200

IMAGES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"RIFF", "image/webp"),
)
PDF: Final = ((b"%PDF-", "application/pdf"),)
ACCEPTED: Final = {"photo": IMAGES, "identity_document": IMAGES + PDF}
"""How each kind of document may begin: told by its own first bytes, not by what its server says."""

Mode = Literal["automatic", "manual"]

log = structlog.get_logger()


class Policy(Struct, frozen=True, kw_only=True):
    """How profiles are reviewed: by whom, and whether without documents."""

    mode: Mode = "automatic"
    documents_required: bool = True


class Document(Struct, frozen=True, kw_only=True):
    """A document that was fetched."""

    kind: str
    media_type: str
    body: bytes


class Missing(Struct, frozen=True, kw_only=True):
    """A document that was not; `lasting` where asking again would not help."""

    kind: str
    lasting: bool


def _nobody() -> None:
    """Wake nobody: where steps are made by hand."""


@dataclass(kw_only=True, eq=False)
class Reviewer:
    """The worker's step; `landed` is called as a review ends, for there is room then."""

    db: Database
    sealer: Sealer
    fetcher: Fetcher
    policy: Policy
    landed: Callable[[], None] = _nobody
    _in_flight: dict[asyncio.Task[None], Cardholder] = field(default_factory=dict, init=False)

    async def step(self) -> int:
        """Claim what is due, as far as there is room, and begin; returns how many were taken."""
        counted = Counter(each.issuer_id for each in self._in_flight.values())
        if counted.total() >= REVIEWS_MAX:
            return 0
        claimed = await self.db.transaction(lambda tx: _claim(tx, in_flight=counted))
        for cardholder in claimed:
            task = asyncio.create_task(self._review_surely(cardholder))
            self._in_flight[task] = cardholder
            task.add_done_callback(self._ended)
        return len(claimed)

    async def idle(self) -> None:
        """Wait until no review is under way."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def stop(self) -> None:
        """End what is under way; it comes due again when its claim is over."""
        tasks = list(self._in_flight)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self.landed()

    async def _review_surely(self, cardholder: Cardholder) -> None:
        try:
            await self._review(cardholder)
        except Unavailable:
            log.warning("review waits for the database", worker="reviews")
        except Exception:
            log.exception("review failed", worker="reviews")

    async def _review(self, cardholder: Cardholder) -> None:
        urls = {
            "photo": cardholder.photo_url,
            "identity_document": cardholder.identity_document_url,
        }
        seen = await asyncio.gather(*(self._fetch(kind, url) for kind, url in urls.items()))
        await self.db.transaction(lambda tx: self._settle(tx, cardholder, seen))

    async def _fetch(self, kind: str, url: str) -> Document | Missing:
        try:
            fetched = await self.fetcher.fetch("GET", url)
        except (BadUrl, FetchFailed) as error:
            log.info("document not fetched", error=type(error).__name__)
            lasting = isinstance(error, BadUrl) or error.context.get("reason") == "too_large"
            return Missing(kind=kind, lasting=lasting)
        media_type = media_type_of(kind, fetched.body)
        if fetched.status != OK or media_type is None:
            log.info("document not accepted", status=fetched.status)
            return Missing(kind=kind, lasting=fetched.status == OK)
        return Document(kind=kind, media_type=media_type, body=fetched.body)

    async def _settle(
        self, tx: Tx, claimed: Cardholder, seen: Sequence[Document | Missing]
    ) -> None:
        now = (await read_clock(tx)).now()
        found = await store.find_cardholders(
            tx, [claimed.id], issuer_id=claimed.issuer_id, lock=True
        )
        if found[claimed.id].revision != claimed.revision or found[claimed.id].review_at is None:
            return
        for document in (each for each in seen if isinstance(each, Document)):
            await self._keep(tx, claimed.id, document, now=now)
        missing = [each for each in seen if isinstance(each, Missing)]
        after = judge(found[claimed.id], missing, self.policy, now=now)
        await store.update_cardholder(tx, after)
        if after.status != "processing_profile":
            await tell(tx, [("cardholder.updated", after)], now=now)

    async def _keep(
        self, tx: Tx, cardholder_id: UUID, document: Document, *, now: datetime
    ) -> None:
        context = b"cards.document" + cardholder_id.bytes + document.kind.encode()
        await review_store.keep_document(
            tx,
            cardholder_id,
            kind=document.kind,
            media_type=document.media_type,
            sealed=self.sealer.seal(document.body, context=context),
            fetched_at=now,
        )


def media_type_of(kind: str, body: bytes) -> str | None:
    """Tell what a document is by how it begins; None where its kind does not accept it."""
    found = next((m for begins, m in ACCEPTED[kind] if body.startswith(begins)), None)
    return None if found == "image/webp" and body[8:12] != b"WEBP" else found


def judge(
    cardholder: Cardholder, missing: Sequence[Missing], policy: Policy, *, now: datetime
) -> Cardholder:
    """Decide on a profile whose documents were asked for: accept, wait, ask again, or reject."""
    if missing and policy.documents_required:
        if any(each.lasting for each in missing) or cardholder.review_attempts >= ATTEMPTS_MAX:
            return decided(cardholder, f"{missing[0].kind}_not_acceptable", now=now)
        again_at = now + RETRY_AFTER * 2**cardholder.review_attempts
        return replace(cardholder, review_at=again_at)
    if policy.mode == "manual":
        return replace(cardholder, review_at=None)
    return decided(cardholder, None, now=now)


def decided(cardholder: Cardholder, rejection_reason: str | None, *, now: datetime) -> Cardholder:
    """Accept a profile, or reject it for a reason."""
    return replace(
        cardholder,
        status="rejected" if rejection_reason else "active",
        rejection_reason=rejection_reason or None,
        review_at=None,
        updated_at=now,
    )


async def waiting_for_review(tx: Tx, *, issuer_id: UUID, limit: int) -> list[Cardholder]:
    """List cardholders whose documents are here and who wait for a person, the longest first."""
    waiting = await review_store.waiting(tx, issuer_id=issuer_id, limit=limit)
    found = await store.find_cardholders(tx, waiting, issuer_id=issuer_id)
    return [found[cardholder_id] for cardholder_id in waiting]


async def decide_review(
    tx: Tx,
    *,
    cardholder_id: UUID,
    issuer_id: UUID,
    rejection_reason: str | None,
    now: datetime,
) -> Cardholder:
    """Accept or reject a profile by hand, in whatever state it is.

    Locks and writes the cardholder, and `cardholder.updated`. Errors: `CardholderNotFound`.
    """
    found = await store.find_cardholders(tx, [cardholder_id], issuer_id=issuer_id, lock=True)
    if cardholder_id not in found:
        raise CardholderNotFound
    after = decided(found[cardholder_id], rejection_reason, now=now)
    await store.update_cardholder(tx, after)
    await tell(tx, [("cardholder.updated", after)], now=now)
    return after


async def _claim(tx: Tx, *, in_flight: Mapping[UUID, int]) -> list[Cardholder]:
    """Take the oldest that are due, of each issuer as many as there is room for beside these."""
    now = (await read_clock(tx)).now()
    room = Room(
        total=REVIEWS_MAX, of_issuer=REVIEWS_OF_ISSUER_MAX, in_flight=in_flight, look=LOOK_LIMIT
    )
    taken = await review_store.claim(tx, now=now, until=now + CLAIM_TTL, room=room)
    found = await store.cardholders_of_all(tx, taken) if taken else {}
    return list(found.values())
