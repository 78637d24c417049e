"""The issuer itself: its name, its BIN, what it takes for what. An extension of ours: design 13."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, cast

import msgspec

from bayon import cards, events
from bayon.cards import FEES, Decider, Desk, FeeRule, Issuer, NewDecider
from bayon.cms import attributes, shapes
from bayon.cms.jsonapi import document
from bayon.cms.operation import ISSUER, CardOperation, issuer_of, reading_of
from bayon.cms.reply import changed, found
from bayon.cms.wire import MEDIA_TYPE
from bayon.db import Tx, read_clock
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX
from bayon.seal import Sealer
from bayon.web import Answer, Call, Shown

PATH: Final = "/v1/issuer"
NAME_LENGTH_MAX: Final = 100
BASIS_POINTS: Final = 100
TIMEOUT_MS_MIN: Final = 50
TIMEOUT_MS_MAX: Final = 1_000
SAMPLE: Final = {
    "data": {
        "id": "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d11",
        "type": "issuer",
        "attributes": {
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "name": "Rocket Bank",
            "bin": "91160000",
            "fees": {"interbank_cash_withdrawal": {"flat": 300, "percent": 0.5}},
            "decision": None,
        },
    }
}
UPDATE: Final = {
    "data": {
        "id": "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d11",
        "type": "issuer",
        "attributes": {"fees": {"interbank_cash_withdrawal": {"flat": 300, "percent": 0.5}}},
    }
}
CHANGED: Final[shapes.Schema] = {
    "name": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
    "fees": {
        "type": "object",
        "properties": dict.fromkeys(FEES, shapes.FEE_RULE),
        "additionalProperties": False,
    },
    "decision": shapes.DECISION,
}


@dataclass(frozen=True, kw_only=True)
class Issuers:
    """The operations on the issuer who calls."""

    desk: Desk

    def operations(self) -> Sequence[CardOperation]:
        """List the operations."""
        answers = (Shown(status=200, title="The issuer", body=SAMPLE, schema=shapes.one("Issuer")),)
        return [
            CardOperation(
                name="retrieve_issuer",
                method="GET",
                path=PATH,
                summary="Retrieve the issuer",
                doc="Shows the issuer whose token this is.",
                serve=self.retrieve,
                access=ISSUER,
                media_type=MEDIA_TYPE,
                answers=answers,
            ),
            CardOperation(
                name="update_issuer",
                method="PATCH",
                path=PATH,
                summary="Update the issuer",
                doc="Changes its name, its fees, one by one (a fee that is null goes), and whom it "
                "has asked before a card is decided on: the answer has the secret that signs.",
                serve=self.update,
                access=ISSUER,
                takes="issuer",
                plural="issuer",
                media_type=MEDIA_TYPE,
                sample=UPDATE,
                body_schema=shapes.taken("issuer", CHANGED, with_id=True),
                answers=answers,
            ),
        ]

    async def retrieve(self, call: Call) -> Answer:
        """Show the issuer."""
        issuer_id = issuer_of(call)
        issuer = await self.desk.db.read(lambda tx: cards.find_issuer(tx, issuer_id=issuer_id))
        return found(call, document(cards.document.resource(issuer)))

    async def update(self, call: Call) -> Answer:
        """Change the issuer."""
        issuer_id = issuer_of(call)
        reading = reading_of(call, resource_id=str(issuer_id))
        name = reading.optional("name", _name)
        fees = reading.optional("fees", _fees)
        # In a list, so that nobody (null) is told from nothing said.
        asked = reading.optional("decision", self._decider)
        decision = [asked] if reading.has("decision") else None
        reading.finish()
        secret = events.new_secret()

        async def work(tx: Tx) -> Issuer:
            if name is None and fees is None and decision is None:
                return await cards.find_issuer(tx, issuer_id=issuer_id)
            now = (await read_clock(tx)).now()
            sealed = events.seal_secret(secret, endpoint_id=issuer_id, sealer=self.desk.sealer)
            return await cards.update_issuer(
                tx,
                issuer_id=issuer_id,
                name=name,
                fees=fees,
                now=now,
                decision=None if decision is None else _new(decision[0], sealed),
            )

        issuer = await self.desk.db.transaction(work)
        self.desk.consultant.forget()
        if not _opens(issuer, secret, self.desk.sealer):
            return changed(issuer)
        return _with_secret(issuer, secret)

    def _decider(self, value: object) -> Decider:
        """Read whom to ask, each member that is not there as usual."""
        given = attributes.object_of(value)
        titles: dict[str, str] = {}
        for member, check in self._checks().items():
            try:
                if member in given or member == "url":
                    check(given.get(member))
            except ValueError as error:
                titles[f"/{member}"] = str(error)
        if titles:
            raise attributes.Wrong(titles)
        usual = {"timeout_ms": TIMEOUT_MS_MAX, "default": "decline"}
        known = {m: v for m, v in {**usual, **given}.items() if m in {*usual, "url"}}
        return msgspec.convert(known, Decider)

    def _checks(self) -> Mapping[str, Callable[[object], object]]:
        return {
            "url": attributes.url(self.desk.fetcher.judge),
            "timeout_ms": _timeout,
            "default": _default,
        }


def _new(decider: Decider | None, secret_sealed: bytes) -> NewDecider:
    return NewDecider(decider=decider, secret_sealed=secret_sealed if decider else None)


def _opens(issuer: Issuer, secret: Secret, sealer: Sealer) -> bool:
    """Tell whether this is the secret that signs from now on: the one before, if it is kept."""
    sealed = issuer.decision_secret_sealed
    if sealed is None:
        return False
    return events.open_secret(sealed, endpoint_id=issuer.id, sealer=sealer) == secret


def _with_secret(issuer: Issuer, secret: Secret) -> Answer:
    """Show the issuer with the secret that signs its questions: this once."""
    shown = cards.document.resource(issuer)
    decision = cast("dict[str, object]", cast("dict[str, object]", shown["attributes"])["decision"])
    decision["signing_secret"] = secret.reveal()
    return Answer(body=document(shown), status=200, media_type=MEDIA_TYPE)


def _timeout(value: object) -> int:
    timeout_ms = attributes.whole(value)
    if not TIMEOUT_MS_MIN <= timeout_ms <= TIMEOUT_MS_MAX:
        raise ValueError(f"must be from {TIMEOUT_MS_MIN} to {TIMEOUT_MS_MAX}")
    return timeout_ms


def _default(value: object) -> object:
    if value not in {"approve", "decline"}:
        raise ValueError("must be one of: approve, decline")
    return value


def _name(value: object) -> str:
    return attributes.text(value, length_max=NAME_LENGTH_MAX).strip()


def _fees(value: object) -> Mapping[str, FeeRule | None]:
    given = attributes.object_of(value)
    titles = {below: title for name, rule in given.items() for below, title in _wrong(name, rule)}
    if titles:
        raise attributes.Wrong(titles)
    return {name: None if rule is None else _rule(rule) for name, rule in given.items()}


def _wrong(name: str, rule: object) -> Iterator[tuple[str, str]]:
    """Say what is wrong with a fee, and where."""
    if name not in FEES:
        yield attributes.below(name), f"must be one of: {', '.join(FEES)}"
    elif rule is not None and not isinstance(rule, dict):
        yield f"/{name}", "must be an object"
    elif rule is not None:
        members = cast("Mapping[str, object]", rule)
        for member, check in (("flat", _flat), ("percent", _points)):
            try:
                check(members.get(member, 0))
            except ValueError as error:
                yield f"/{name}/{member}", str(error)


def _rule(value: object) -> FeeRule:
    rule = cast("Mapping[str, object]", value)
    return FeeRule(
        flat_minor=_flat(rule.get("flat", 0)), basis_points=_points(rule.get("percent", 0))
    )


def _flat(value: object) -> int:
    flat_minor = attributes.whole(value)
    if not 0 <= flat_minor <= AMOUNT_MINOR_MAX:
        raise ValueError(f"must be from 0 to {AMOUNT_MINOR_MAX}")
    return flat_minor


def _points(value: object) -> int:
    """Read a percentage of at most two decimals as hundredths."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - a title, not a fault of ours
    points = Decimal(str(value)) * BASIS_POINTS
    if not 0 <= points <= BASIS_POINTS**2 or points % 1:
        raise ValueError("must be from 0 to 100, to two decimals")
    return int(points)
