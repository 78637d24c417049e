"""The desk: what a process needs to serve card management, wired once.

One batcher for what moves money, one for opening accounts, one for finding them; a worker for
reviews. Everything else is a transaction of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

import structlog
from msgspec.structs import replace

from bayon import ledger
from bayon.batch import Batcher, Reply, Request, Verb, answer_all, answer_once
from bayon.cards import store, transaction_store
from bayon.cards.accounts import OpenCardAccount, open_accounts
from bayon.cards.authorize import Authorize
from bayon.cards.cardholders import CreateCardholder, create_cardholders
from bayon.cards.change import Expire
from bayon.cards.consult import Consultant
from bayon.cards.issue import IssueCard, issue_cards
from bayon.cards.lifecycle import CreateToken, create_tokens
from bayon.cards.model import (
    Account,
    Card,
    CardAccountNotFound,
    Cardholder,
    ManagementToken,
    Transaction,
)
from bayon.cards.move import Move, move
from bayon.cards.review import Policy, Reviewer
from bayon.cards.till import Moved
from bayon.cards.vault import Vault
from bayon.db import Database, Tx, read_clock
from bayon.errors import BayonError
from bayon.fetch import Fetcher
from bayon.ledger import Balance
from bayon.seal import Sealer
from bayon.work import Worker

REVIEW_POLL_S: Final = 0.2
EXPIRY_POLL_S: Final = 0.5
EXPIRY_LIMIT: Final = 500
LOOKUPS_MAX: Final = 500

log = structlog.get_logger()

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - outcome


async def _due(tx: Tx) -> list[tuple[UUID, UUID]]:
    now = (await read_clock(tx)).now()
    return await transaction_store.expired(tx, now=now, limit=EXPIRY_LIMIT)


def _one(moved: Moved) -> Transaction:
    assert moved.transaction is not None, "a door's command is about a transaction"
    return moved.transaction


def _nothing(_: Transaction) -> bytes:
    """Render for nobody."""
    return b""


def _nobody() -> None:
    """Wake nobody: where no courier runs beside."""


class Desk:
    """Card management of one process; `told` wakes who delivers, after a commit with events."""

    def __init__(
        self,
        db: Database,
        sealer: Sealer,
        vault: Vault,
        fetcher: Fetcher,
        *,
        policy: Policy,
        batch_size_max: int = 500,
        told: Callable[[], None] = _nobody,
        iss: str = "Bayon",
    ) -> None:
        self.db: Database = db
        self.vault: Vault = vault
        self.fetcher: Fetcher = fetcher
        self.sealer: Sealer = sealer
        self.consultant: Consultant = Consultant(db=db, sealer=sealer, fetcher=fetcher, iss=iss)
        self._told: Callable[[], None] = told
        self.moving: Batcher[Request[Move, Moved], Reply[Moved]] = Batcher(
            self._batch(partial(move, vault=vault)), size_max=batch_size_max
        )
        self.opening: Batcher[Request[OpenCardAccount, Account], Reply[Account]] = Batcher(
            self._batch(open_accounts), size_max=batch_size_max
        )
        self._finding: Batcher[UUID, Account | None] = Batcher(self._find, size_max=LOOKUPS_MAX)
        self._weighing: Batcher[UUID, Balance] = Batcher(self._weigh, size_max=LOOKUPS_MAX)
        self._reviewer: Reviewer = Reviewer(db=db, sealer=sealer, fetcher=fetcher, policy=policy)
        self.reviews: Worker = Worker("reviews", self._reviewer.step, poll_s=REVIEW_POLL_S)
        self._reviewer.landed = self.reviews.nudge
        self.expiries: Worker = Worker("expiries", self.expire, poll_s=EXPIRY_POLL_S)

    async def move(self, request: Request[Move, Transaction]) -> Reply[Transaction]:
        """Move money, in the batch that forms. Errors: as the verb, and `KeyReused`."""
        render = request.render
        asked = Request[Move, Moved](
            command=request.command, render=lambda m: render(_one(m)), keys=request.keys
        )
        # Who gives up waiting takes nothing back.
        reply = await asyncio.shield(self.put(asked))
        outcome = None if reply.outcome is None else _one(reply.outcome)
        return Reply(answer=reply.answer, outcome=outcome)

    def put(
        self, request: Request[Move, Moved], *, of: Hashable = None
    ) -> asyncio.Future[Reply[Moved]]:
        """Put what the card network asks into the batch that forms; without a task for each.

        `of`: who asks; each has a share of the batch. But where its issuer is to be asked first:
        then it is a task that asks. Cancelling the future takes it back, unless its batch has
        begun. Errors: as `move`.
        """
        command = request.command
        if isinstance(command, Authorize) and self.consultant.is_asked():
            return asyncio.create_task(self._consulted(request, command, of))
        return self.moving.put(request, of=of)

    async def _consulted(
        self, request: Request[Move, Moved], command: Authorize, of: Hashable
    ) -> Reply[Moved]:
        command = await self.consultant.consult(command)
        return await self.moving.put(replace(request, command=command), of=of)

    async def open_account(self, request: Request[OpenCardAccount, Account]) -> Reply[Account]:
        """Open an account, in the batch that forms. Errors: as the verb, and `KeyReused`."""
        return await self.opening.submit(request)

    async def find_account(self, account_id: UUID, *, issuer_id: UUID) -> Account:
        """Find an account, in one query for all who ask now. Errors: `CardAccountNotFound`."""
        account = await self._finding.submit(account_id)
        if account is None or account.issuer_id != issuer_id:
            raise CardAccountNotFound
        return account

    async def balance(self, account: Account) -> Balance:
        """Tell what is on an account, in one query for all who ask now."""
        return await self._weighing.submit(account.ledger_account_id)

    async def create_cardholder(
        self, request: Request[CreateCardholder, Cardholder]
    ) -> Reply[Cardholder]:
        """Create a cardholder, and wake who reviews. Errors: `KeyReused`."""
        reply = await self._once(request, create_cardholders)
        self.reviews.nudge()
        return reply

    async def issue_card(self, request: Request[IssueCard, Card]) -> Reply[Card]:
        """Make a card. Errors: as the verb, and `KeyReused`."""
        return await self._once(request, partial(issue_cards, vault=self.vault))

    async def create_token(
        self, request: Request[CreateToken, ManagementToken]
    ) -> Reply[ManagementToken]:
        """Make a management token. Errors: as the verb, and `KeyReused`."""
        return await self._once(request, create_tokens)

    async def work(self) -> None:
        """Review and expire what is due, until cancelled."""
        try:
            await asyncio.gather(self.reviews.run(), self.expiries.run())
        finally:
            await self._reviewer.stop()
            await self.fetcher.close()

    async def _once(self, request: Request[C, O], verb: Verb[C, O]) -> Reply[O]:
        reply = await answer_once(self.db, request, verb=verb, sealer=self.sealer)
        self._told()
        return reply

    def _batch(
        self, verb: Verb[C, O]
    ) -> Callable[[Sequence[Request[C, O]]], Awaitable[Sequence[Reply[O] | BayonError]]]:
        """Make what runs a batch of a verb: one transaction, answers stored with it."""

        async def run(requests: Sequence[Request[C, O]]) -> list[Reply[O] | BayonError]:
            async def work(tx: Tx) -> list[Reply[O] | BayonError]:
                return await answer_all(tx, requests, verb=verb, sealer=self.sealer)

            # After the commit nothing may raise here: the engine would take the batch for undone.
            replies = await self.db.transaction(work)
            self._told()
            return replies

        return run

    async def expire(self) -> int:
        """Give back the holds whose time is over, in the batch that forms; returns how many.

        One that fails, which is a bug, fails alone, and the others go on.
        """
        due = await self.db.read(_due)
        commands = [Expire(issuer_id=i, transaction_id=t) for i, t in due]
        requests = [Request[Move, Transaction](command=c, render=_nothing) for c in commands]
        outcomes = await asyncio.gather(*map(self.move, requests), return_exceptions=True)
        failed = [each for each in outcomes if isinstance(each, BaseException)]
        for error in failed:
            log.error("hold not expired", error=type(error).__name__)
        return len(outcomes) - len(failed)

    async def _weigh(self, ledger_ids: Sequence[UUID]) -> list[Balance]:
        wanted = sorted(set(ledger_ids))
        balances = await self.db.read(lambda tx: ledger.balance(tx, wanted))
        found = dict(zip(wanted, balances, strict=True))
        weighed = [found[ledger_id] for ledger_id in ledger_ids]
        assert None not in weighed, "every account has its ledger account"
        return [balance for balance in weighed if balance is not None]

    async def _find(self, account_ids: Sequence[UUID]) -> list[Account | None]:
        wanted = sorted(set(account_ids))
        found = await self.db.read(lambda tx: store.accounts_of_all(tx, wanted))
        return [found.get(account_id) for account_id in account_ids]
