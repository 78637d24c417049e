"""Noise: whatever is sent to whichever operation, the answer is an envelope and below 500.

Card management has a dialect of its own: noise for it is made from its schemas, in
`web/test_contract.py`.
"""

import json
import random
import string
from collections.abc import Mapping
from typing import Any, Final

import pytest

from factories import make_qr
from sandboxes import Sandbox, envelope

JUNK: Final[list[object]] = [
    *(None, True, 0, -1, 1, 1.5, 1e300, -1e-300, 2**63, 2**64, 10**30),
    *("", " ", "x", "\0", "ក" * 40, "😀", "%00", "' OR 1=1 --", "../..", "\u202e", "x" * 5_000),
    *([], [[]], [None], ["x"] * 60, {}, {"x": {"y": []}}),
    *("dave@devb", "shop@wing", "USD", "KHR", "0" * 64, make_qr(), make_qr(amount_minor=1)),
]
COUNTS: Final = """
    SELECT array[(SELECT count(*) FROM payments.payment), (SELECT count(*) FROM payments.deeplink),
        (SELECT count(*) FROM payments.integrator), (SELECT count(*) FROM payments.account),
        (SELECT count(*) FROM payments.mail), (SELECT count(*) FROM web.access_token),
        (SELECT count(*) FROM ledger.transfer), (SELECT count(*) FROM ledger.account)]
"""


def body_like(described: Mapping[str, Any], dice: random.Random) -> object:
    """Make a body that is more or less like the described one."""
    if dice.random() < 0.1:
        return dice.choice(JUNK)
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    schema = schema["anyOf"][1] if "anyOf" in schema else schema
    example = described["requestBody"]["content"]["application/json"].get("example")
    body: dict[str, Any] = dict(example) if isinstance(example, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
    for name in schema["properties"]:
        if dice.random() < 0.3:
            body[name] = dice.choice(JUNK)
        elif dice.random() < 0.1:
            body.pop(name, None)
    return body


def query_like(described: Mapping[str, Any], dice: random.Random) -> str:
    """Make a query string of the described parameters, none of which makes anybody wait."""
    names = [p["name"] for p in described.get("parameters", []) if p["in"] == "query"]
    signs = string.ascii_letters + "%&=+.:-\u1780"
    values = {name: "".join(dice.choices(signs, k=dice.randrange(9))) for name in names}
    return "&".join(f"{n}={v}" for n, v in values.items() if dice.random() < 0.5)


@pytest.mark.parametrize("seed", range(4))
async def test_noise_is_answered_below_500_and_what_is_refused_writes_nothing(
    town: Sandbox, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - noise, no secret
    described = (await town.get("/openapi.json")).json()["paths"]
    operations = [
        (path, method, operation)
        for path, methods in described.items()
        for method, operation in methods.items()
        if operation["tags"] != ["Card management"]
    ]
    assert len(operations) > 20
    for path, method, operation in operations * 12:
        name = dice.choice(["dave@devb", "x", "%00", "%E1%9E%80"])
        filled = path.replace("{account_id}", name).replace("{id}", name)
        token = town.bank_token if path.startswith("/participant") else town.integrator_token
        token = town.cms_token if path.startswith("/sandbox") else token
        content = b""
        if method == "post":
            content = json.dumps(body_like(operation, dice)).encode()
        if dice.random() < 0.05:
            content = dice.randbytes(dice.randrange(50))
        headers = {"Authorization": f"Bearer {token}"}
        if dice.random() < 0.3:
            headers["Idempotency-Key"] = dice.choice(["a", "b", "c d", "x" * 256])
        before = await town.value(COUNTS)
        answer = await town.http.request(
            method, f"{filled}?{query_like(operation, dice)}", content=content, headers=headers
        )
        said = (seed, method, filled, content, headers, answer.text)
        unknown_code = {401} if path == "/v1/verify" else set[int]()
        assert answer.status_code in {200, 400, 404, 409, 413, 422} | unknown_code, said
        if path.startswith("/sandbox") and answer.status_code == 200:
            continue
        body = envelope(answer)
        if body["responseCode"] == 1 and body["errorCode"] != 3:
            assert await town.value(COUNTS) == before, said
