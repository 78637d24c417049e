"""Limits and controls of a card, and of an account with all its cards. An extension: design 8."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, cast
from uuid import UUID

from bayon import cards
from bayon.cards import Controlled, Desk
from bayon.cms import attributes, shapes
from bayon.cms.attributes import Check, Reading, Wrong
from bayon.cms.jsonapi import document
from bayon.cms.operation import ISSUER, CardOperation, id_of, issuer_of, reading_of
from bayon.cms.reply import changed, found
from bayon.cms.wire import MEDIA_TYPE
from bayon.db import Tx, read_clock
from bayon.money import AMOUNT_MINOR_MAX
from bayon.web import Answer, Call, Shown

Owner = Literal["account", "card"]

COUNT_MAX: Final = 1_000_000
WORDS_MAX: Final = 1_000
ID: Final = "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d12"
SET: Final = {
    "amount_per_transaction": 20_000,
    "amount_per_day": 50_000,
    "count_per_day": 20,
    "allowed_mccs": None,
    "blocked_mccs": ["7995"],
    "allowed_countries": ["KH", "TH", "VN"],
    "blocked_countries": None,
}
UPDATE: Final = {"data": {"id": ID, "type": "controls", "attributes": SET}}
SAMPLE: Final = {
    "data": {
        "id": ID,
        "type": "controls",
        "attributes": {**SET, "used_today": {"amount": 12_500, "count": 3}},
    }
}

_MCC: Final = re.compile(r"[0-9]{4}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, kw_only=True)
class ControlsApi:
    """The operations on the controls of accounts and of cards."""

    desk: Desk

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        return [*self._operations("account"), *self._operations("card")]

    def _operations(self, owner: Owner) -> Sequence[CardOperation]:
        path = f"/v1/{owner}s/{{id}}/controls"
        answers = (
            Shown(status=200, title="The controls", body=SAMPLE, schema=shapes.one("Controls")),
        )
        return [
            CardOperation(
                name=f"retrieve_{owner}_controls",
                method="GET",
                path=path,
                summary=f"Retrieve the controls of a{'n' * (owner == 'account')} {owner}",
                doc="Shows its limits, where it may be used, and what was used today.",
                serve=partial(self.retrieve, owner),
                access=ISSUER,
                media_type=MEDIA_TYPE,
                answers=answers,
            ),
            CardOperation(
                name=f"update_{owner}_controls",
                method="PATCH",
                path=path,
                summary=f"Update the controls of a{'n' * (owner == 'account')} {owner}",
                doc="Changes limits and lists, one by one; one that is null goes.",
                serve=partial(self.update, owner),
                access=ISSUER,
                takes="controls",
                plural="controls",
                media_type=MEDIA_TYPE,
                sample=UPDATE,
                body_schema=shapes.taken("controls", shapes.CONTROLS, with_id=True),
                answers=answers,
            ),
        ]

    async def retrieve(self, owner: Owner, call: Call) -> Answer:
        """Show controls."""
        owner_id, issuer_id = id_of(call), issuer_of(call)

        controlled = await self._find(owner, owner_id, issuer_id)
        return found(call, document(cards.document.resource(controlled)))

    async def update(self, owner: Owner, call: Call) -> Answer:
        """Change controls."""
        reading = reading_of(call, resource_id=call.path["id"])
        change = {**_read(reading, _LIMITS), **_read(reading, _LISTS)}
        reading.finish()
        owner_id, issuer_id = id_of(call), issuer_of(call)

        async def work(tx: Tx) -> bool:
            now = (await read_clock(tx)).now()
            return await cards.update_controls(
                tx, issuer_id=issuer_id, owner=owner, owner_id=owner_id, change=change, now=now
            )

        async def recount(tx: Tx) -> None:
            now = (await read_clock(tx)).now()
            await cards.recount(tx, issuer_id=issuer_id, owner=owner, owner_id=owner_id, now=now)

        if await self.desk.db.transaction(work):
            await self.desk.db.transaction(recount)
        return changed(await self._find(owner, owner_id, issuer_id))

    async def _find(self, owner: Owner, owner_id: UUID, issuer_id: UUID) -> Controlled:
        async def work(tx: Tx) -> Controlled:
            now = (await read_clock(tx)).now()
            return await cards.find_controls(
                tx, issuer_id=issuer_id, owner=owner, owner_id=owner_id, now=now
            )

        return await self.desk.db.transaction(work)


def _read(
    reading: Reading, fields: Mapping[str, tuple[str, Check[int] | Check[frozenset[str]]]]
) -> dict[str, int | frozenset[str] | None]:
    """Take the attributes that are given: null is a change too."""
    return {
        field: reading.optional(name, cast("Check[int | frozenset[str]]", check))
        for name, (field, check) in fields.items()
        if reading.has(name)
    }


def _limit(highest: int) -> Check[int]:
    def check(value: object) -> int:
        limit = attributes.whole(value)
        if not 0 <= limit <= highest:
            raise ValueError(f"must be from 0 to {highest}")
        return limit

    return check


def _words(pattern: re.Pattern[str], title: str) -> Check[frozenset[str]]:
    """Make a check for a list of words of one form."""

    def check(value: object) -> frozenset[str]:
        if not isinstance(value, list):
            raise ValueError("must be a list")  # noqa: TRY004 - a title, not a fault of ours
        words = cast("list[object]", value)
        if len(words) > WORDS_MAX:
            raise ValueError(f"must have at most {WORDS_MAX} entries")
        right = [word for word in words if isinstance(word, str) and pattern.fullmatch(word)]
        if len(right) < len(words):
            raise Wrong({f"/{place}": title for place, w in enumerate(words) if w not in right})
        return frozenset(right)

    return check


_LIMITS: Final = {
    "amount_per_transaction": ("amount_per_transaction_minor", _limit(AMOUNT_MINOR_MAX)),
    "amount_per_day": ("amount_per_day_minor", _limit(AMOUNT_MINOR_MAX)),
    "count_per_day": ("count_per_day", _limit(COUNT_MAX)),
}
_MCCS: Final = _words(_MCC, "must have four digits")
_COUNTRIES: Final = _words(_COUNTRY, "must have two capital letters, as ISO 3166 has them")
_LISTS: Final = {
    "allowed_mccs": ("allowed_mccs", _MCCS),
    "blocked_mccs": ("blocked_mccs", _MCCS),
    "allowed_countries": ("allowed_countries", _COUNTRIES),
    "blocked_countries": ("blocked_countries", _COUNTRIES),
}
