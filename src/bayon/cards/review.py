"""Review: a cardholder's documents are fetched and kept, and the profile is accepted or not.

Claimed in one transaction, fetched outside of any, settled in another. A claim is a review that is
due again later: if its worker dies, another takes it then. What has changed meanwhile is left to
the review that change has asked for.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import structlog

from bayon.cards import store
from bayon.cards.model import Cardholder, CardholderNotFound
from bayon.cards.tell import tell
from bayon.db import Database, Tx, read_clock
from bayon.fetch import BadUrl, Fetcher, FetchFailed
from bayon.seal import Sealer

CLAIM_TTL: Final = timedelta(minutes=1)
CLAIM_LIMIT: Final = 20
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How profiles are reviewed: by whom, and whether without documents."""

    mode: Mode = "automatic"
    documents_required: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A document that was fetched."""

    kind: str
    media_type: str
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A document that was not; `lasting` where asking again would not help."""

    kind: str
    lasting: bool


@dataclass(kw_only=True)
class Reviewer:
    """The worker's step."""

    db: Database
    sealer: Sealer
    fetcher: Fetcher
    policy: Policy

    async def step(self) -> int:
        """Review what is due; returns how many were taken."""
        claimed = await self.db.transaction(_claim)
        await asyncio.gather(*(self._review(cardholder) for cardholder in claimed))
        return len(claimed)

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
        await store.keep_document(
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
    return await store.waiting_cardholders(tx, issuer_id=issuer_id, limit=limit)


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


async def _claim(tx: Tx) -> list[Cardholder]:
    now = (await read_clock(tx)).now()
    return await store.claim_reviews(tx, now=now, until=now + CLAIM_TTL, limit=CLAIM_LIMIT)
