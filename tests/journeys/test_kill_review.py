"""Killing who reviews while documents are fetched: no cardholder stays in `processing_profile`."""

import asyncio
from collections import Counter
from typing import Any, Final

import httpx
from aiohttp import web

from bayon.cards.review import CLAIM_TTL
from bayon.cms.samples import CREATE_CARDHOLDER
from events.receivers import Got, Receiver, receiving
from journeys.running import Dev, Home, query

CARDHOLDERS: Final = 23
PNG: Final = b"\x89PNG\r\n\x1a\n a photo"
PATIENCE_S: Final = 30.0
CLAIMED: Final = (
    "SELECT count(*) FROM cards.cardholder"
    " WHERE status = 'processing_profile' AND review_attempts > 0"
)
STATUSES: Final = (
    "SELECT array_agg(status) FROM cards.cardholder WHERE photo_url LIKE 'http://127.0.0.1:%'"
)
PHOTOS: Final = "SELECT count(*) FROM cards.document WHERE kind = 'photo'"


async def test_killed_while_photos_are_fetched_it_leaves_no_cardholder_stuck(home: Home) -> None:
    """Those who were not claimed are reviewed at once, the others after the claim.

    Where documents are required it is more patient, so that none is given up before the kill.
    """
    async with receiving(_hang) as receiver:
        dev = await home.dev(BAYON_KYC_DOCUMENTS="required")
        await _apply_all(dev, receiver)
        await _until_fetched(receiver)
        dev.running.process.kill()
        await dev.running.ended()
        claimed = await query(dev.ready["database_url"], CLAIMED)
        assert 0 < claimed <= CARDHOLDERS
        receiver.answer = _show
        dev = await home.dev(BAYON_KYC_DOCUMENTS="optional")
        await _until(dev, {"active": CARDHOLDERS - claimed, "processing_profile": claimed})
        async with dev.shop() as shop:
            body = {"advance_s": CLAIM_TTL.total_seconds() + 1}
            (await shop.post("/sandbox/v1/clock", json=body)).raise_for_status()
        await _until(dev, {"active": CARDHOLDERS})
        assert await query(dev.ready["database_url"], PHOTOS) == CARDHOLDERS
        await dev.running.stop()


async def _hang(_: Got) -> web.Response:
    await asyncio.sleep(60)
    return web.Response(status=500)


async def _show(got: Got) -> web.Response:
    """Give the photo; the other document is nowhere, which does not matter where it may be."""
    if got.path == "/photo":
        return web.Response(body=PNG)
    return web.Response(status=404)


async def _apply_all(dev: Dev, receiver: Receiver) -> None:
    """Ask for all cardholders at once, so that many are claimed together."""
    headers = {"Authorization": f"Bearer {dev.ready['cms_token']}"}
    async with httpx.AsyncClient(base_url=dev.url, headers=headers, trust_env=False) as http:
        body = _document(receiver.url)
        asked = (http.post("/v1/cardholders", json=body) for _ in range(CARDHOLDERS))
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {202}, answers[0].text


def _document(url: str) -> dict[str, Any]:
    data: Any = CREATE_CARDHOLDER["data"]
    given = data["attributes"]
    documents = {
        "remote_photo_url": f"{url}/photo",
        "remote_identity_document_url": f"{url}/document",
    }
    individual = {**given["individual"], **documents}
    return {"data": {**data, "attributes": {**given, "individual": individual}}}


async def _until_fetched(receiver: Receiver) -> None:
    """Wait until photos are being fetched."""
    async with asyncio.timeout(PATIENCE_S):
        while not receiver.at_once.get("/photo"):  # noqa: ASYNC110 - a dictionary is no Event
            await asyncio.sleep(0.005)


async def _until(dev: Dev, wanted: dict[str, int]) -> None:
    """Wait until the cardholders have these statuses."""
    found = Counter[str]()
    for _ in range(300):
        statuses: list[str] = await query(dev.ready["database_url"], STATUSES)
        found = Counter(statuses)
        if found == Counter(wanted):
            return
        await asyncio.sleep(PATIENCE_S / 300)
    assert found == Counter(wanted)
