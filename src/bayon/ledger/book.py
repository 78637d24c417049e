"""The book: loaded accounts and holds, on which a batch is decided. Pure.

Each method is one command: a ladder of guards, each answering a `Decline`, then the effect. A
declined command changes nothing. Commands decided on one book see each other's effects in order,
exactly as if each had been a transaction of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from bayon.ids import uuid7
from bayon.ledger.model import Account, Balance, Decline, Hold, HoldState, Transfer
from bayon.money import AMOUNT_MINOR_MAX

BALANCE_MINOR_MAX: Final = AMOUNT_MINOR_MAX
"""The most a customer may have: what a JSON number still shows exactly, to the cent.

A system account has no limit that is checked: a decline there would stop everybody's money. A
bigint holds what 9,000 full customers have together, 10^13 dollars each: no row comes near it.
"""


@dataclass(slots=True)
class Line:
    """One account's row in the book: as loaded, and what this batch adds to it."""

    account: Account
    slot: int
    posted_minor: int
    held_minor: int
    posted_delta_minor: int = 0
    held_delta_minor: int = 0

    @property
    def balance(self) -> Balance:
        """The balance with this batch's effects."""
        return Balance(
            posted_minor=self.posted_minor + self.posted_delta_minor,
            held_minor=self.held_minor + self.held_delta_minor,
        )

    @property
    def available_minor(self) -> int:
        """What may still be spent, this batch's effects included."""
        return self.posted_minor + self.posted_delta_minor - self.held_minor - self.held_delta_minor

    def lacking_minor(self, amount_minor: int) -> int:
        """Tell what a customer would owe of an amount; a system account owes nothing."""
        if self.account.kind == "system":
            return 0
        return max(0, amount_minor - max(0, self.available_minor))

    @property
    def room_minor(self) -> int:
        """How much more there may be; a system account has no limit."""
        if self.account.kind == "system":
            return BALANCE_MINOR_MAX
        return BALANCE_MINOR_MAX - self.posted_minor - self.posted_delta_minor


class Book:
    """Locked rows of the ledger and the changes decided on them. Made by `load`, kept by `save`."""

    def __init__(self, *, now: datetime, lines: Iterable[Line], holds: Iterable[Hold] = ()) -> None:
        self.now: datetime = now
        self.lines: dict[UUID, Line] = {line.account.id: line for line in lines}
        self.holds: dict[UUID, Hold] = {hold.id: hold for hold in holds}
        self.transfers: list[Transfer] = []
        self.holds_placed: set[UUID] = set()
        self.holds_changed: set[UUID] = set()

    def post(
        self,
        *,
        debit_account_id: UUID,
        credit_account_id: UUID,
        amount_minor: int,
        cause_id: UUID,
        above: bool = False,
        occurred_at: datetime | None = None,
    ) -> Transfer | Decline:
        """Move an amount from the debit to the credit account.

        `above` lets it exceed what is available: what the network has cleared is owed.
        Declines: account_not_found, accounts_must_differ, currency_mismatch, amount_out_of_range
        (the amount, or what a customer would then have), insufficient_funds (a customer's available
        balance is below the amount).
        """
        decline = self._judge_move(debit_account_id, credit_account_id, amount_minor)
        if decline is not None:
            return decline
        debit = self.lines[debit_account_id]
        lacking_minor = debit.lacking_minor(amount_minor)
        if lacking_minor and not above:
            return Decline.INSUFFICIENT_FUNDS
        return self._move(
            debit_id=debit_account_id,
            credit_id=credit_account_id,
            amount_minor=amount_minor,
            cause_id=cause_id,
            hold_id=None,
            above_minor=lacking_minor,
            occurred_at=occurred_at,
        )

    def hold(
        self,
        *,
        account_id: UUID,
        amount_minor: int,
        cause_id: UUID,
        above: bool = False,
        expires_at: datetime | None = None,
    ) -> Hold | Decline:
        """Reserve an amount of a customer account.

        `above` lets it exceed what is available: what was approved in our stead is owed.
        Declines: account_not_found (a system account holds nothing), amount_out_of_range,
        insufficient_funds.
        """
        line = self.lines.get(account_id)
        if line is None or line.account.kind != "customer":
            return Decline.ACCOUNT_NOT_FOUND
        if not 0 < amount_minor <= AMOUNT_MINOR_MAX:
            return Decline.AMOUNT_OUT_OF_RANGE
        lacking_minor = line.lacking_minor(amount_minor)
        if lacking_minor and not above:
            return Decline.INSUFFICIENT_FUNDS
        hold = Hold(
            id=uuid7(),
            account_id=account_id,
            amount_minor=amount_minor,
            open_minor=amount_minor,
            state="open",
            cause_id=cause_id,
            created_at=self.now,
            expires_at=expires_at,
            above_minor=lacking_minor,
        )
        line.held_delta_minor += amount_minor
        self.holds[hold.id] = hold
        self.holds_placed.add(hold.id)
        return hold

    def increase(self, *, hold_id: UUID, amount_minor: int, above: bool = False) -> Hold | Decline:
        """Reserve more under a hold, `above` what is available too.

        Declines: hold_not_found, hold_not_open, amount_out_of_range, insufficient_funds.
        """
        hold = self.holds.get(hold_id)
        if hold is None:
            return Decline.HOLD_NOT_FOUND
        if hold.state != "open":
            return Decline.HOLD_NOT_OPEN
        if amount_minor <= 0 or hold.amount_minor + amount_minor > AMOUNT_MINOR_MAX:
            return Decline.AMOUNT_OUT_OF_RANGE
        line = self.lines[hold.account_id]
        lacking_minor = line.lacking_minor(amount_minor)
        if lacking_minor and not above:
            return Decline.INSUFFICIENT_FUNDS
        line.held_delta_minor += amount_minor
        return self._changed(
            replace(
                hold,
                above_minor=hold.above_minor + lacking_minor,
                amount_minor=hold.amount_minor + amount_minor,
                open_minor=hold.open_minor + amount_minor,
            )
        )

    def capture(
        self,
        *,
        hold_id: UUID,
        credit_account_id: UUID,
        amount_minor: int,
        final: bool = True,
        above: bool = False,
        cause_id: UUID | None = None,
        occurred_at: datetime | None = None,
    ) -> Transfer | Decline:
        """Turn a hold, or part of it, into a transfer; `final` gives the rest back.

        `above` lets the amount exceed what is held, even what is there: what the network has
        cleared is owed. The cause is the hold's unless another is given. Declines: hold_not_found,
        hold_not_open, account_not_found, accounts_must_differ, currency_mismatch,
        amount_out_of_range, exceeds_hold.
        """
        hold = self.holds.get(hold_id)
        if hold is None:
            return Decline.HOLD_NOT_FOUND
        if hold.state != "open":
            return Decline.HOLD_NOT_OPEN
        decline = self._judge_move(hold.account_id, credit_account_id, amount_minor)
        if decline is not None:
            return decline
        if amount_minor > hold.open_minor and not above:
            return Decline.EXCEEDS_HOLD
        used_minor = hold.open_minor if final else min(amount_minor, hold.open_minor)
        lacking_minor = self.lines[hold.account_id].lacking_minor(amount_minor - used_minor)
        self._unhold(hold, used_minor, "captured")
        return self._move(
            debit_id=hold.account_id,
            credit_id=credit_account_id,
            amount_minor=amount_minor,
            cause_id=cause_id or hold.cause_id,
            hold_id=hold.id,
            above_minor=lacking_minor,
            occurred_at=occurred_at,
        )

    def release(self, *, hold_id: UUID, amount_minor: int | None = None) -> Hold | Decline:
        """Give back a hold, or `amount_minor` of it, without moving anything.

        Declines: hold_not_found, hold_not_open, amount_out_of_range, exceeds_hold.
        """
        hold = self.holds.get(hold_id)
        if hold is None:
            return Decline.HOLD_NOT_FOUND
        if hold.state != "open":
            return Decline.HOLD_NOT_OPEN
        amount_minor = hold.open_minor if amount_minor is None else amount_minor
        if amount_minor <= 0:
            return Decline.AMOUNT_OUT_OF_RANGE
        if amount_minor > hold.open_minor:
            return Decline.EXCEEDS_HOLD
        return self._unhold(hold, amount_minor, "released")

    def expire(self, *, hold_id: UUID) -> Hold | Decline:
        """Give back a hold whose time is over.

        Declines: hold_not_found, hold_not_open, hold_not_due.
        """
        hold = self.holds.get(hold_id)
        if hold is None:
            return Decline.HOLD_NOT_FOUND
        if hold.state != "open":
            return Decline.HOLD_NOT_OPEN
        if hold.expires_at is None or hold.expires_at > self.now:
            return Decline.HOLD_NOT_DUE
        return self._unhold(hold, hold.open_minor, "expired")

    def _judge_move(self, debit_id: UUID, credit_id: UUID, amount_minor: int) -> Decline | None:
        debit, credit = self.lines.get(debit_id), self.lines.get(credit_id)
        if debit is None or credit is None:
            return Decline.ACCOUNT_NOT_FOUND
        if debit_id == credit_id:
            return Decline.ACCOUNTS_MUST_DIFFER
        if debit.account.currency != credit.account.currency:
            return Decline.CURRENCY_MISMATCH
        if not 0 < amount_minor <= AMOUNT_MINOR_MAX:
            return Decline.AMOUNT_OUT_OF_RANGE
        if credit.account.kind == "customer":
            credited_minor = credit.balance.posted_minor + amount_minor
            return Decline.AMOUNT_OUT_OF_RANGE if credited_minor > BALANCE_MINOR_MAX else None
        return None

    def _move(
        self,
        *,
        debit_id: UUID,
        credit_id: UUID,
        amount_minor: int,
        cause_id: UUID,
        hold_id: UUID | None,
        occurred_at: datetime | None,
        above_minor: int = 0,
    ) -> Transfer:
        self.lines[debit_id].posted_delta_minor -= amount_minor
        self.lines[credit_id].posted_delta_minor += amount_minor
        transfer = Transfer(
            id=uuid7(),
            debit_account_id=debit_id,
            credit_account_id=credit_id,
            amount_minor=amount_minor,
            cause_id=cause_id,
            hold_id=hold_id,
            above_minor=above_minor,
            created_at=self.now,
            occurred_at=occurred_at or self.now,
        )
        self.transfers.append(transfer)
        return transfer

    def _unhold(self, hold: Hold, amount_minor: int, state: HoldState) -> Hold:
        open_minor = hold.open_minor - amount_minor
        changed = replace(hold, open_minor=open_minor, state="open" if open_minor else state)
        self.lines[hold.account_id].held_delta_minor -= amount_minor
        return self._changed(changed)

    def _changed(self, hold: Hold) -> Hold:
        self.holds[hold.id] = hold
        self.holds_changed.add(hold.id)
        return hold
