"""The contract: whatever the description allows, and more, is answered as the description says.

Schemathesis makes the requests, in a thread; a sandbox answers them, in the loop of the tests. Most
of what it makes is filled with ids of what there is and with what samples have, so that requests
get deep. When all is over, the invariants are checked. Long with BAYON_TEST_EXAMPLES=long.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis import checks as their
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup

from sandboxes import Sandbox

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
EXAMPLES: Final = 100 if LONG else 6
REQUESTS_MIN: Final = 8_000 if LONG else 500
URL: Final = "http://bayon.test"
PATIENCE_S: Final = 60.0
TYPES: Final = ("account", "cardholder", "card", "transaction", "event", "webhook_endpoint")
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
TOKENS: Final = {
    "Bakong Open API": "integrator_token",
    "Participants": "bank_token",
    "Card management": "cms_token",
    "Sandbox": "cms_token",
}
UNHURRIED: Final = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
LAST: Final = "sandbox_advance_clock"
"""Asked last: it takes the sandbox out of its time."""

UNIQUE: Final = "number"
"""Of which no two are the same, so that a sample's serves once."""

PENDING: Final = 12
"""How many pending transactions there are for the sandbox's door to act on."""

HARD_TO_REACH: Final = frozenset(
    {
        *("sandbox_pay", "sandbox_authorize", "sandbox_increment"),
        *("sandbox_clear", "sandbox_reverse", "sandbox_expire"),
    }
)
"""What may not succeed once: no sample has a QR of an account that is here, and what is pending
or active may no longer be so when it is asked for."""

Case: TypeAlias = Any
Operation: TypeAlias = Any
"""Of Schemathesis, which writes both with types left open."""

Known = Mapping[str, list[str]]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(kw_only=True)
class Asker:
    """Asks a sandbox from another thread, and counts its answers."""

    town: Sandbox
    loop: asyncio.AbstractEventLoop
    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])

    def ask(self, case: Case, *, token: str | None) -> httpx.Response:
        """Send what a case says, as its own library would."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        told = case.as_transport_kwargs(base_url=URL, headers=headers)
        sent = requests.Request(**told).prepare()
        body = cast("bytes | str | None", sent.body)
        sent_headers = cast("dict[str, str]", dict(sent.headers))
        request = httpx.Request(str(sent.method), str(sent.url), headers=sent_headers, content=body)
        answer = self._send(request)
        self.answers[name_of(case.operation), answer.status_code] += 1
        return answer

    def known(self) -> Known:
        """List the ids of what there is."""
        headers = {"Authorization": f"Bearer {self.town.cms_token}"}
        found: dict[str, list[str]] = {}
        for kind in TYPES:
            page = self._send(httpx.Request("GET", f"{URL}/v1/{kind}s", headers=headers))
            found[kind] = [resource["id"] for resource in page.json().get("data", [])]
        issuer = self._send(httpx.Request("GET", f"{URL}/v1/issuer", headers=headers))
        return {**found, "issuer": [issuer.json()["data"]["id"]]}

    def _send(self, request: httpx.Request) -> httpx.Response:
        sending = self.town.http.send(request)
        return asyncio.run_coroutine_threadsafe(sending, self.loop).result(PATIENCE_S)


def token_of(town: Sandbox, operation: Operation) -> str:
    """Tell whose token gets far with an operation."""
    return str(getattr(town, TOKENS[operation.tags[0]]))


def name_of(operation: Operation) -> str:
    """Tell an operation's name."""
    name: str = operation.definition.raw["operationId"]
    return name


async def operations(town: Sandbox) -> list[Operation]:
    """List the operations of the description."""
    document: dict[str, Any] = (await town.get("/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    given_there = cast("Any", schema).get_all_operations()
    found: list[Operation] = [result.ok() for result in given_there]
    return sorted(found, key=lambda operation: name_of(operation) == LAST)


def sample_of(operation: Operation) -> object:
    """Find the sample of an operation's body."""
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    return next((media.get("example") for media in content.values()), None)


def deeper(draw: Draw, case: Case, known: Known) -> Case:
    """Fill a case with ids of what there is, and with what its operation's sample has."""
    kind = case.operation.path.partition("/{")[0].rpartition("/")[2].removesuffix("s")
    own_id: str = draw(st.sampled_from(known.get(kind) or ["dave@devb"]))
    for name in case.path_parameters:
        case.path_parameters[name] = own_id
    body = cast("object", case.body)
    if isinstance(body, dict):
        made = cast("dict[str, object]", body)
        filled = mixed(draw, made, sample_of(case.operation), out_of=draw(st.sampled_from([2, 20])))
        case.body = related(draw, filled, known, own_id)
    return case


def mixed(draw: Draw, made: dict[str, object], sample: object, *, out_of: int) -> dict[str, object]:
    """Take members of the sample, and once `out_of` times what was made."""
    found = dict(made)
    there = cast("dict[str, object]", sample) if isinstance(sample, dict) else {}
    for name, value in there.items():
        mine = found.get(name)
        if isinstance(mine, dict) and isinstance(value, dict):
            inner = cast("dict[str, object]", mine)
            found[name] = mixed(draw, inner, cast("object", value), out_of=out_of)
        elif name != UNIQUE and draw(st.integers(1, out_of)) > 1:
            found[name] = value
    return found


def related(draw: Draw, body: dict[str, Any], known: Known, own_id: str) -> dict[str, Any]:
    """Relate a body to what there is: its own id, its relationships', the sandbox's ids."""
    for kind in TYPES:
        if f"{kind}_id" in body and known[kind]:
            body[f"{kind}_id"] = draw(st.sampled_from(known[kind]))
    data = body.get("data")
    if isinstance(data, dict):
        resource = cast("dict[str, Any]", data)
        if "id" in resource:
            resource["id"] = own_id
        for kind in ("account", "cardholder"):
            relationships = resource.get("relationships")
            if isinstance(relationships, dict) and kind in relationships:
                linkage = {"type": kind, "id": draw(st.sampled_from(known[kind]))}
                relationships[kind] = {"data": linkage}
    return body


def registered() -> list[Any]:
    """Find the checks among those Schemathesis has."""
    their.load_all_checks()
    return cast("Any", their.CHECKS).get_by_names(CHECKS)


def fuzz(asker: Asker, operation: Operation, mode: GenerationMode) -> list[str]:
    """Ask for one operation in many ways; returns what was not answered as described."""
    known, token = asker.known(), token_of(asker.town, operation)
    checks = registered()
    failures: list[str] = []

    @st.composite
    def cases(draw: Draw) -> Case:
        case: Case = draw(operation.as_strategy(generation_mode=mode))
        return deeper(draw, case, known) if draw(st.integers(0, 3)) else case

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=UNHURRIED,
    )
    @given(case=cases())
    def answered_as_described(case: Case) -> None:
        try:
            case.validate_response(asker.ask(case, token=token), checks=checks)
        except FailureGroup as error:  # not raised: asked again, what has changed answers otherwise
            failures.append(f"{name_of(operation)} {mode.value}: {error}")

    answered_as_described()
    return failures[:1]


async def test_the_description_is_valid_openapi(town: Sandbox) -> None:
    found = await operations(town)
    assert len(found) > 40
    assert {operation.tags[0] for operation in found} == TOKENS.keys()


# In its own thread the sandbox throws dice meanwhile, which Hypothesis takes for a strategy's.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_whatever_is_asked_is_answered_as_described(town: Sandbox) -> None:
    asker = Asker(town=town, loop=asyncio.get_running_loop())
    asked = await operations(town)
    cards = (await town.get("/v1/cards", token=town.cms_token)).json()["data"]
    use = {"card_id": cards[0]["id"], "amount": 10}
    for _ in range(PENDING):
        answer = await town.ask("/sandbox/v1/authorizations", use, token=town.cms_token)
        assert answer.json()["approved"], answer.text

    def fuzz_all() -> list[str]:
        return [failure for o in asked for mode in MODES for failure in fuzz(asker, o, mode)]

    failures = await asyncio.to_thread(fuzz_all)
    by_status = Counter[int]()
    for (_, status), count in asker.answers.items():
        by_status[status] += count
    print(  # noqa: T201 - the figures, for who runs this with -s
        f"{by_status.total()} requests to {len(asked)} operations, by status: "
        f"{dict(sorted(by_status.items()))}"
    )
    assert not failures, "\n\n".join(failures)
    assert by_status.total() >= REQUESTS_MIN
    assert {200, 201, 202, 400, 401, 404, 409, 422} <= by_status.keys()
    succeeded = {name for name, status in asker.answers if status < 300}
    assert {name_of(operation) for operation in asked} - succeeded <= HARD_TO_REACH


async def test_whatever_wants_a_token_answers_401_without_and_with_anothers(town: Sandbox) -> None:
    asker = Asker(town=town, loop=asyncio.get_running_loop())
    guarded = [o for o in await operations(town) if o.definition.raw.get("security")]
    assert len(guarded) > 35

    def refused() -> list[str]:
        return [
            f"{name_of(operation)}: {answer.status_code}"
            for operation in guarded
            for token in (None, "x" * 43, *strangers(town, operation))
            if (answer := asker.ask(plain_case(operation), token=token)).status_code != 401
            or answer.headers["www-authenticate"] != "Bearer"
        ]

    assert await asyncio.to_thread(refused) == []
    print(f"{asker.answers.total()} requests without a token that serves")  # noqa: T201 - the figure


def strangers(town: Sandbox, operation: Operation) -> list[str]:
    """List tokens that are valid, and of another door."""
    tokens = {town.integrator_token, town.bank_token, town.cms_token}
    if operation.tags[0] == "Sandbox":
        return []  # whose door is open to all three kinds, or to issuers
    return sorted(tokens - {token_of(town, operation)})


def plain_case(operation: Operation) -> Case:
    """Make the request its sample shows."""
    names = [parameter.name for parameter in operation.path_parameters]
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    return operation.Case(
        method=operation.method.upper(),
        path_parameters=dict.fromkeys(names, "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d11"),
        body=sample_of(operation) or NOT_SET,
        media_type=next(iter(content), None),
    )
