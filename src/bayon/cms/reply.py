"""Replies: a resource, a page of them, something new; with what they include, and their links."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar, cast
from uuid import UUID

import msgspec

from bayon import cards
from bayon.cards import Account, Card, Cardholder, Transaction, Wanted
from bayon.cms.jsonapi import Resource, document, entity_tag, has_tag, thinned
from bayon.cms.operation import asked_of, issuer_of, operation_of
from bayon.cms.query import links
from bayon.cms.wire import MEDIA_TYPE
from bayon.db import Database, Tx
from bayon.keyset import Page
from bayon.web import Answer, Call

Noun = Account | Card | Cardholder | Transaction

PRIVATE: Final = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"}

T = TypeVar("T")


async def looked_up(call: Call, db: Database, find: Callable[[Tx], Awaitable[Noun]]) -> Answer:
    """Answer with one resource, and what it includes."""

    async def work(tx: Tx) -> tuple[Noun, list[Resource] | None]:
        noun = await find(tx)
        return noun, await _included(tx, call, [noun])

    noun, included = await _read(call, db, work)
    return shown(call, noun, included)


def shown(call: Call, noun: Noun, included: Sequence[Resource] | None = None) -> Answer:
    """Answer with a resource that was found."""
    (left,) = thinned([cards.document.resource(noun)], asked_of(call))
    return found(call, document(left, included=included))


async def listed(call: Call, db: Database, find: Callable[[Tx], Awaitable[Page[Noun]]]) -> Answer:
    """Answer with a page of resources, its links, and what they include."""

    async def work(tx: Tx) -> tuple[Page[Noun], list[Resource] | None]:
        page = await find(tx)
        return page, await _included(tx, call, page.items)

    page, included = await _read(call, db, work)
    left = thinned([cards.document.resource(noun) for noun in page.items], asked_of(call))
    ids = (str(page.items[0].id), str(page.items[-1].id)) if page.items else None
    return found(call, document(left, included=included, links=links_of(call, page, ids)))


def found(call: Call, body: bytes) -> Answer:
    """Answer with a document, or that who asks has it already."""
    tag = entity_tag(body)
    known = has_tag(call.headers, tag)
    return Answer(
        body=b"" if known else body,
        status=304 if known else 200,
        headers={"ETag": tag, **PRIVATE},
        media_type=MEDIA_TYPE,
    )


def changed(noun: object, *, status: int = 200) -> Answer:
    """Answer with a resource as it is after a change."""
    return Answer(body=rendered(noun), status=status, media_type=MEDIA_TYPE)


def created(call: Call, body: bytes, *, path: str | None = None, status: int = 201) -> Answer:
    """Answer with what was made, and where it is; `path` is its collection's, if it has one."""
    headers: dict[str, str] = {}
    if path is not None:
        stored = msgspec.json.decode(body, type=_Stored)
        headers["Location"] = f"{call.url}{path}/{stored.data.id}"
    return Answer(body=body, status=status, headers=headers, media_type=MEDIA_TYPE)


def rendered(noun: object) -> bytes:
    """Write the document of a noun: what is stored for who asks again."""
    return document(cards.document.resource(noun))


def links_of(call: Call, page: Page[T], ids: tuple[str, str] | None) -> object:
    """Make a list's links."""
    path = operation_of(call).path.format(**call.path)
    return links(cast("Page[object]", page), asked=asked_of(call), url=call.url + path, ids=ids)


class _Named(msgspec.Struct):
    id: str


class _Stored(msgspec.Struct):
    data: _Named


async def _read(call: Call, db: Database, work: Callable[[Tx], Awaitable[T]]) -> T:
    """Read in one statement where nothing is included, else in one snapshot."""
    if asked_of(call).include:
        return await db.transaction(work, isolation="repeatable_read")
    return await db.read(work)


async def _included(tx: Tx, call: Call, nouns: Sequence[Noun]) -> list[Resource] | None:
    """Find what is related to the nouns, step by step, each resource once."""
    asked = asked_of(call)
    if asked.include is None:
        return None
    found: dict[UUID, Noun] = {}
    for name in sorted(path for path in asked.include if "." not in path):
        steps = await _related(tx, call, name, nouns)
        found |= {noun.id: noun for noun in steps}
        for path in sorted(asked.include):
            if path.startswith(f"{name}."):
                further = await _related(tx, call, path.partition(".")[2], steps)
                found |= {noun.id: noun for noun in further}
    return thinned([cards.document.resource(noun) for noun in found.values()], asked)


async def _related(tx: Tx, call: Call, name: str, nouns: Sequence[Noun]) -> Sequence[Noun]:
    ids = {i for noun in nouns if (i := getattr(noun, f"{name}_id")) is not None}
    wanted = {
        "account": Wanted(account_ids=ids),
        "card": Wanted(card_ids=ids),
        "cardholder": Wanted(cardholder_ids=ids),
    }[name]
    return await cards.related(tx, issuer_id=issuer_of(call), wanted=wanted)
