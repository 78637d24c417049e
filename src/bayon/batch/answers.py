"""Stored answers: the same request again gets the same answer, saved in the commit of its effect.

A request carries keys (scope, key and the hash of its body) and a pure `render` from its door. The
scope of an `Idempotency-Key` is the owner of the credential, the method and the path. What a verb
returns as an error is not stored; whatever else it returns is, declines too.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from bayon.batch import store
from bayon.batch.store import StoredAnswer
from bayon.db import Database, Tx
from bayon.errors import BayonError, Conflict
from bayon.seal import Sealer

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - outcome
C_contra = TypeVar("C_contra", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class KeyReused(Conflict):
    """This key was already used with other content."""

    code = "key_reused"


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a request, made by `Key.of`; 32 bytes each."""

    digest: bytes
    body_hash: bytes

    @classmethod
    def of(cls, *scope: str, key: str, body: bytes) -> "Key":
        """Make a key from its scope, itself and the body it came with.

        The hashes are plain and kept for ever: who calls leaves secrets out of the body.
        """
        # Each part with its length, so that no two scopes read the same, whatever is in them.
        parts = [part.encode("utf-8", "surrogatepass") for part in (*scope, key)]
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return cls(digest=hashlib.sha256(text).digest(), body_hash=hashlib.sha256(body).digest())


@dataclass(frozen=True, kw_only=True)
class Request(Generic[C, O]):
    """A command on its way, with what turns its outcome into the answer's bytes."""

    command: C
    render: Callable[[O], bytes]
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reply(Generic[O]):
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
    digests = sorted({key.digest for request in requests for key in request.keys})
    now, stored = await store.load(tx, digests)
    places, fresh = _sort_out(requests, stored)
    outcomes: Sequence[O | BayonError] = []
    if fresh:
        outcomes = await verb(tx, [request.command for request in fresh], now=now)
    replies = [_reply(r, outcome) for r, outcome in zip(fresh, outcomes, strict=True)]
    settled = [_settled(place, replies, sealer) for place in places]
    rows = {
        key.digest: StoredAnswer(key.digest, key.body_hash, _sealed(reply, key, sealer))
        for request, reply in zip(requests, settled, strict=True)
        if isinstance(reply, Reply)
        for key in request.keys
        if key.digest not in stored
    }
    if rows:
        await store.save(tx, [rows[digest] for digest in sorted(rows)], created_at=now)
    return settled


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
                known.setdefault(key.digest, (key.body_hash, place))
        places.append(place)
    return places, fresh


def _place(request: Request[C, O], known: _Known) -> _Place | None:
    earlier = [(key, *known[key.digest]) for key in request.keys if key.digest in known]
    if any(body_hash != key.body_hash for key, body_hash, _ in earlier):
        return KeyReused()
    return earlier[0][2] if earlier else None


def _reply(request: Request[C, O], outcome: O | BayonError) -> Reply[O] | BayonError:
    if isinstance(outcome, BayonError):
        return outcome
    return Reply(answer=request.render(outcome), outcome=outcome)


def _sealed(reply: Reply[O], key: Key, sealer: Sealer) -> bytes:
    return sealer.seal(reply.answer, context=key.digest)


def _settled(
    place: _Place, replies: Sequence[Reply[O] | BayonError], sealer: Sealer
) -> Reply[O] | BayonError:
    if isinstance(place, int):
        return replies[place]
    if isinstance(place, KeyReused):
        return place
    return Reply(answer=sealer.open(place.sealed, context=place.digest))
