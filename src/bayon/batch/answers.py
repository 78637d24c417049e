"""Stored answers: the same request again gets the same answer, saved in the commit of its effect.

A request carries keys (scope, key and the hash of its body) and a pure `render` from its door. The
scope of an `Idempotency-Key` is the owner of the credential, the method and the path. What a verb
returns as an error is not stored; whatever else it returns is, declines too.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from bayon.batch import store
from bayon.batch.store import StoredAnswer
from bayon.db import Database, Tx
from bayon.errors import BayonError, Conflict
from bayon.seal import Sealer

VOID: Final = bytes(32)
"""The body of what is void: no body has this hash."""

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - outcome
C_contra = TypeVar("C_contra", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class KeyReused(Conflict):
    """This key was already used with other content."""

    code = "key_reused"


class Key(Struct, frozen=True, kw_only=True):
    """One key of a request, made by `Key.of`; 32 bytes each."""

    digest: bytes
    body_hash: bytes
    anew: bool = False
    """Whoever comes with it is no repeat: what was stored under it is forgotten."""

    @classmethod
    def of(cls, *scope: str, key: str, body: bytes, anew: bool = False) -> "Key":
        """Make a key from its scope, itself and the body it came with.

        The hashes are plain and kept for ever: who calls leaves secrets out of the body.
        """
        # Each part with its length, so that no two scopes read the same, whatever is in them.
        parts = [part.encode("utf-8", "surrogatepass") for part in (*scope, key)]
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return cls(
            digest=hashlib.sha256(text).digest(),
            body_hash=hashlib.sha256(body).digest(),
            anew=anew,
        )


class Request(Struct, Generic[C, O], frozen=True, kw_only=True):
    """A command on its way, with what turns its outcome into the answer's bytes.

    `voids` are digests of requests that must have no effect if they come later: what a reversal
    says when it comes before its original. They are bound to no body, so whoever comes with one is
    refused as `KeyReused`; one that was answered already stays as it is.
    """

    command: C
    render: Callable[[O], bytes]
    keys: tuple[Key, ...] = ()
    voids: tuple[bytes, ...] = ()


class Reply(Struct, Generic[O], frozen=True, kw_only=True):
    """The answer's bytes; `outcome` is None when the answer was stored before."""

    answer: bytes
    outcome: O | None = None


class Verb(Protocol[C_contra, O_co]):
    """A plural verb: one outcome (or error) for each command, in order."""

    async def __call__(
        self, tx: Tx, commands: Sequence[C_contra], /, *, now: datetime
    ) -> Sequence[O_co | BayonError]:
        """Do the commands."""
        ...


async def answer_all(
    tx: Tx, requests: Sequence[Request[C, O]], *, verb: Verb[C, O], sealer: Sealer
) -> list[Reply[O] | BayonError]:
    """Answer a batch of requests: what is stored from the store, the rest by `verb`, then stored.

    Reads the clock and the stored answers in one statement; writes the new answers in another,
    sorted by their digest. Errors: `RunAgain` when another batch stored one of the keys first.
    """
    digests = sorted({digest for request in requests for digest in _digests(request)})
    now, stored = await store.load(tx, digests)
    places, fresh = _sort_out(requests, stored)
    outcomes: Sequence[O | BayonError] = []
    if fresh:
        outcomes = await verb(tx, [request.command for request in fresh], now=now)
    replies = await tx.in_turns(lambda each: _reply(*each), zip(fresh, outcomes, strict=True))
    settled = [_settled(place, replies, sealer) for place in places]
    known, rows = set(stored), dict[bytes, StoredAnswer]()

    def bind(request: Request[C, O], reply: Reply[O] | BayonError) -> None:
        if isinstance(reply, Reply):
            bound = _rows(request, reply, known, sealer)
            known.update(bound)
            rows.update(bound)

    await tx.in_turns(lambda each: bind(*each), zip(requests, settled, strict=True))
    if again := sorted(rows.keys() & stored.keys()):
        await store.forget(tx, again)
    if rows:
        await store.save(tx, [rows[digest] for digest in sorted(rows)], created_at=now)
    return settled


def _digests(request: Request[C, O]) -> Iterator[bytes]:
    yield from (key.digest for key in request.keys)
    yield from request.voids


def _rows(
    request: Request[C, O], reply: Reply[O], known: AbstractSet[bytes], sealer: Sealer
) -> dict[bytes, StoredAnswer]:
    """Make the rows of what a request binds: its keys, and what it voids."""
    bound = {
        key.digest: StoredAnswer(
            key.digest, key.body_hash, sealer.seal(reply.answer, context=key.digest)
        )
        for key in request.keys
        if key.anew or key.digest not in known
    }
    fresh = [digest for digest in request.voids if digest not in known]
    return bound | {digest: StoredAnswer(digest, VOID, b"") for digest in fresh}


async def answer_once(
    db: Database, request: Request[C, O], *, verb: Verb[C, O], sealer: Sealer
) -> Reply[O]:
    """Answer one request in a transaction of its own. Errors: what the verb returns or raises."""

    async def work(tx: Tx) -> Reply[O]:
        (reply,) = await answer_all(tx, [request], verb=verb, sealer=sealer)
        if isinstance(reply, BayonError):
            raise reply
        return reply

    return await db.transaction(work)


_Place = int | StoredAnswer | KeyReused
"""Where a request's reply comes from: the n-th fresh one, the store, or nowhere."""

_Known = dict[bytes, tuple[bytes, int | StoredAnswer]]
"""For each digest the body it came with and where its reply is."""


def _sort_out(
    requests: Sequence[Request[C, O]], stored: dict[bytes, StoredAnswer]
) -> tuple[list[_Place], list[Request[C, O]]]:
    """Tell which requests are fresh; a repeat within the batch shares the first one's reply.

    Whoever is answered binds all its keys: those that were new are the answer's from now on.
    """
    places: list[_Place] = []
    fresh: list[Request[C, O]] = []
    known: _Known = {digest: (answer.body_hash, answer) for digest, answer in stored.items()}
    for request in requests:
        place = _place(request, known)
        if place is None:
            place = len(fresh)
            fresh.append(request)
        if not isinstance(place, KeyReused):
            for key in request.keys:
                if key.anew:
                    known.pop(key.digest, None)
                known.setdefault(key.digest, (key.body_hash, place))
            for digest in request.voids:
                known.setdefault(digest, (VOID, place))
        places.append(place)
    return places, fresh


def _place(request: Request[C, O], known: _Known) -> _Place | None:
    keys = [key for key in request.keys if not key.anew]
    earlier = [(key, *known[key.digest]) for key in keys if key.digest in known]
    if any(body_hash != key.body_hash for key, body_hash, _ in earlier):
        return KeyReused()
    return earlier[0][2] if earlier else None


def _reply(request: Request[C, O], outcome: O | BayonError) -> Reply[O] | BayonError:
    if isinstance(outcome, BayonError):
        return outcome
    return Reply(answer=request.render(outcome), outcome=outcome)


def _settled(
    place: _Place, replies: Sequence[Reply[O] | BayonError], sealer: Sealer
) -> Reply[O] | BayonError:
    if isinstance(place, int):
        return replies[place]
    if isinstance(place, KeyReused):
        return place
    return Reply(answer=sealer.open(place.sealed, context=place.digest))
