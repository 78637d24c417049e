"""Listen: who asks for a status while they have a callback is told when it is final."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bayon.batch import Batcher
from bayon.db import Database, Tx
from bayon.payments import callback_store, store
from bayon.payments.callback_store import Listener
from bayon.payments.model import Payment
from bayon.payments.status import by_md5, is_md5, read_hex

REMEMBERED_S: Final = 1.0
READERS_MAX: Final = 10_000
KEPT: Final = timedelta(days=90)
"""How long at least it is told, of refunds too, who has asked while the answer was not final."""
RENEWED: Final = timedelta(days=1)
"""Who asks again within this is not written anew, and told so much longer at most."""
FORGET_LIMIT: Final = 1_000

Statuses = list[Payment | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """An integrator with a callback asks for the status of these MD5s (hex)."""

    integrator_id: str
    md5s: tuple[str, ...]


async def listen(tx: Tx, questions: Sequence[Question], *, now: datetime) -> list[Statuses]:
    """Answer each question, and let who asks listen for what is not final.

    Nothing falls between the answer and the callback: who makes payments final and who begins to
    listen both lock the counter, and read after that. Whoever is first is seen by the other: the
    listener, so that it is told, or the payment, so that it is answered. Locks the counter, shared,
    and writes `listener`, where there is anything to write: what was not asked within a day.
    """
    md5s = [md5 for question in questions for md5 in question.md5s]
    found = await by_md5(tx, md5s)
    wanted = _open(questions, found)
    fresh: list[Listener] = []
    if wanted:
        fresh = await callback_store.not_listening(tx, wanted, since=now - RENEWED)
    if fresh:
        await store.lock_counter(tx)
        found = await by_md5(tx, md5s)
        still = sorted(set(fresh).intersection(_open(questions, found)))
        await callback_store.insert_listeners(tx, still, asked_at=now)
    answers = iter(found)
    return [[next(answers) for _ in question.md5s] for question in questions]


async def forget_listeners(tx: Tx, *, now: datetime) -> int:
    """Forget some of those who asked too long ago; returns how many, at most `FORGET_LIMIT`."""
    older_than = now - KEPT - RENEWED
    return await callback_store.delete_old_listeners(tx, older_than=older_than, limit=FORGET_LIMIT)


def _open(questions: Sequence[Question], found: Statuses) -> list[Listener]:
    """Tell who asked for what that is not final, in order."""
    asked = [(read_hex(md5), each.integrator_id) for each in questions for md5 in each.md5s]
    pairs = zip(asked, found, strict=True)
    return sorted({pair for pair, payment in pairs if payment is None and is_md5(pair[0])})


class Reachable:
    """Which integrators have a callback: read at most once a second, for all who ask then.

    So a check without one costs no statement; in another process a new one counts within a second.
    """

    def __init__(self, db: Database) -> None:
        self._db: Database = db
        self._known: frozenset[str] = frozenset()
        self._until: float = float("-inf")
        self._turn: int = 0
        self._reading: Batcher[str, bool] = Batcher(self._read, size_max=READERS_MAX)

    async def has(self, integrator_id: str) -> bool:
        """Tell whether an integrator has a callback."""
        if time.monotonic() < self._until:
            return integrator_id in self._known
        return await self._reading.submit(integrator_id)

    def forget(self) -> None:
        """Read anew at the next question; called by who has just set or deleted one."""
        self._until = float("-inf")
        self._turn += 1  # a reading on its way may have seen it before

    async def _read(self, integrator_ids: Sequence[str]) -> list[bool]:
        turn, until = self._turn, time.monotonic() + REMEMBERED_S
        known = await self._db.read(callback_store.reachable)
        if turn == self._turn:
            self._known, self._until = known, until
        return [integrator_id in known for integrator_id in integrator_ids]
