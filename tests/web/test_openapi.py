"""The description: what is served is described, what is described is served, and as it reads."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from bayon.bakong import wire
from bayon.batch import KeyReused
from bayon.errors import Unavailable
from bayon.sandbox import api as sandbox_api
from bayon.web import (
    BadBody,
    BadFields,
    BodyTooLarge,
    TooManyRequests,
    Unauthorized,
    WrongMethod,
)
from factories import make_qr
from sandboxes import FOUR, PAYER, RECEIVER, OpenSandbox, Sandbox

SEEDS: Final = {
    "/v1/request_token",
    "/v1/verify",
    "/v1/renew_token",
    "/v1/generate_deeplink_by_qr",
    "/v1/check_transaction_by_md5",
    "/v1/check_transaction_by_hash",
    "/v1/check_transaction_by_short_hash",
    "/v1/check_bakong_account",
}
TYPES: Final = {"string", "number", "array", "object"}
BY_TYPE: Final = {"string": str, "number": int | float, "array": list, "object": dict}


async def described(sandbox: Sandbox) -> dict[str, Any]:
    """Read the description."""
    answer = await sandbox.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


async def operations(sandbox: Sandbox) -> list[tuple[str, str, dict[str, Any]]]:
    """List path, method and operation."""
    paths = (await described(sandbox))["paths"]
    return [(path, method, o) for path, methods in paths.items() for method, o in methods.items()]


async def test_the_document_is_openapi_3_1_with_its_parts(town: Sandbox) -> None:
    document = await described(town)
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert {"title", "version"} <= document["info"].keys()
    assert document.keys() <= {"openapi", "info", "tags", "paths", "components", "servers"}
    tags = [tag["name"] for tag in document["tags"]]
    used = {tag for _, _, operation in await operations(town) for tag in operation["tags"]}
    assert set(tags) == used
    assert document["paths"].keys() >= SEEDS


async def test_every_operation_has_an_id_of_its_own_and_answers_with_examples(
    town: Sandbox,
) -> None:
    found = await operations(town)
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(ids) == len(set(ids)) > 20
    for path, method, operation in found:
        where = (method, path)
        assert operation["summary"], where
        assert "200" in operation["responses"], where
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[2-5]\d\d", status), where
            assert response["description"], where
            examples = response["content"]["application/json"]["examples"]
            assert examples, where
            for example in examples.values():
                plain = path.startswith("/sandbox") and status == "200"
                assert (example["value"].keys() == FOUR) is not plain, where


def codes(operation: Mapping[str, Any]) -> set[tuple[int, int | None]]:
    """List HTTP status and error code of each answer that is shown."""
    return {
        (int(status), example["value"].get("errorCode"))
        for status, response in operation["responses"].items()
        for example in response["content"]["application/json"]["examples"].values()
    }


async def test_every_operation_shows_what_its_kind_is_refused_with(town: Sandbox) -> None:
    for path, method, operation in await operations(town):
        table = sandbox_api.ERRORS if path.startswith("/sandbox") else wire.ERRORS
        post, reading = (BadBody, BodyTooLarge), operation.get("parameters", [])
        kinds = [WrongMethod, TooManyRequests, Unavailable]
        kinds += [BadFields, *post] if method == "post" else []
        kinds += [Unauthorized] if operation.get("security") else []
        kinds += [KeyReused] if any(p["in"] == "header" for p in reading) else []
        shown = codes(operation)
        assert {(table[kind][1], table[kind][0]) for kind in kinds} <= shown, path
        if method == "get":
            assert not shown & {(table[kind][1], table[kind][0]) for kind in post}, path
        assert operation["description"].endswith("."), path
        responses = operation["responses"]
        assert responses["429"]["headers"]["Retry-After"]["schema"]["type"] == "integer", path
        assert "Allow" in responses["405"]["headers"], path
        if operation.get("security"):
            assert "WWW-Authenticate" in responses["401"]["headers"], path


OWN_CODES: Final[dict[str, set[int]]] = {
    "request_token": {7, 8},
    "verify": {6},
    "renew_token": {6, 10},
    "generate_deeplink_by_qr": {2, 4},
    "check_transaction_by_md5": {1, 2, 3, 6},
    "check_transaction_by_hash": {1, 3, 6},
    "check_transaction_by_short_hash": {1, 3, 6},
    "check_transaction_by_instruction_ref": {1, 3, 6},
    "check_transaction_by_external_ref": {1, 3, 6},
    "check_transaction_by_md5_list": {6},
    "check_transaction_by_hash_list": {6},
    "check_bakong_account": {6, 11, 12},
    "check_account_exist": {6, 11, 12},
    "open_account": {6, 12},
    "get_account": {6, 11, 12},
    "deposit": {3, 6, 11, 12},
    "pay": {3, 4, 6, 11, 12},
    "list_payments": {6, 12},
    "refund": {1, 3, 6},
    "sandbox_pay": {3, 4, 6, 11, 12},
    "sandbox_mail": {6},
    "sandbox_clock": {6},
    "sandbox_advance_clock": {6},
}
"""The error codes each operation can answer, but 5 and 9."""


async def test_every_operation_shows_the_error_codes_it_has_and_no_others(town: Sandbox) -> None:
    found = {
        operation["operationId"]: {code for _, code in codes(operation)} - {None, 5, 9}
        for _, _, operation in await operations(town)
    }
    assert found == OWN_CODES


async def test_lists_show_a_static_qr_by_md5_only(town: Sandbox) -> None:
    paths = (await described(town))["paths"]
    for name, static in (("md5", True), ("hash", False)):
        answers = paths[f"/v1/check_transaction_by_{name}_list"]["post"]["responses"]["200"]
        success = answers["content"]["application/json"]["examples"]["Success"]["value"]
        statuses = {item["status"] for item in success["data"]}
        assert ("STATIC_QR" in statuses) is static


async def test_the_envelope_is_a_schema_that_every_other_answer_refers_to(town: Sandbox) -> None:
    document = await described(town)
    envelope = document["components"]["schemas"]["Envelope"]
    assert set(envelope["required"]) == envelope["properties"].keys() == FOUR
    for path, _, operation in await operations(town):
        for status, response in operation["responses"].items():
            schema = response["content"]["application/json"]["schema"]
            plain = path.startswith("/sandbox") and status == "200"
            reference = {"$ref": "#/components/schemas/Envelope"}
            assert (reference in [schema, *schema.get("allOf", [])]) is not plain, (path, status)
            assert not plain or schema["properties"], path


async def test_the_sandboxs_samples_have_the_shape_of_its_answers(town: Sandbox) -> None:
    paths = (await described(town))["paths"]
    order = {"fromAccountId": PAYER, "qr": make_qr(to=RECEIVER, amount_minor=1)}
    await town.ask(
        "/v1/request_token",
        paths["/v1/request_token"]["post"]["requestBody"]["content"]["application/json"]["example"],
    )
    for method, path, answer in (
        ("post", "payments", await town.simulate("payments", order)),
        ("post", "clock", await town.simulate("clock", {"advance_s": 0})),
        ("get", "clock", await town.get("/sandbox/v1/clock", token=town.bank_token)),
        ("get", "mail", await town.get("/sandbox/v1/mail", token=town.bank_token)),
    ):
        response = paths[f"/sandbox/v1/{path}"][method]["responses"]["200"]
        for example in response["content"]["application/json"]["examples"].values():
            assert example["value"].keys() == answer.json().keys()
    mail = paths["/sandbox/v1/mail"]["get"]["responses"]["200"]["content"]["application/json"]
    found = (await town.get("/sandbox/v1/mail", token=town.bank_token)).json()["messages"]
    (shown,) = mail["examples"]["The mail"]["value"]["messages"]
    assert shown.keys() == found[0].keys()


async def test_paths_and_parameters_agree(town: Sandbox) -> None:
    for path, _, operation in await operations(town):
        parameters = operation.get("parameters", [])
        in_path = {p["name"] for p in parameters if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), path
        assert all(p["required"] for p in parameters if p["in"] == "path"), path
        assert all(p["schema"]["type"] in TYPES for p in parameters), path


def schemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """List a schema and all within it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    inner += [schema["items"]] if "items" in schema else []
    for child in inner:
        yield from schemas(child)


async def test_every_body_is_described_and_its_sample_fits(town: Sandbox) -> None:
    for path, method, operation in await operations(town):
        assert ("requestBody" in operation) is (method == "post"), path
        if method != "post":
            continue
        media = operation["requestBody"]["content"]["application/json"]
        for schema in schemas(media["schema"]):
            assert schema.get("type", "any") in TYPES | {"any"}, path
            assert set(schema.get("required", [])) <= schema.get("properties", {}).keys(), path
            assert schema.get("minLength", 0) <= schema.get("maxLength", 2**31), path
        sample, schema = media["example"], media["schema"]
        if isinstance(sample, list):
            assert schema["anyOf"][0]["type"] == "array", path
            continue
        assert set(schema.get("required", [])) <= sample.keys() <= schema["properties"].keys(), path
        for name, value in sample.items():
            assert isinstance(value, BY_TYPE[schema["properties"][name]["type"]]), (path, name)


async def test_every_described_path_is_served_with_and_without_a_token(town: Sandbox) -> None:
    for path, method, operation in await operations(town):
        filled = path.replace("{account_id}", "dave@devb")
        answer = await town.http.request(method, filled, content=b"{")
        wants_token = bool(operation.get("security"))
        assert answer.status_code == (401 if wants_token else 400), (method, path)
        participants = path.startswith("/participant")
        token = town.bank_token if participants else town.integrator_token
        headers = {"Authorization": f"Bearer {token}"}
        answer = await town.http.request(method, filled, content=b"{", headers=headers)
        assert answer.status_code == (400 if method == "post" else 200), (method, path)


async def test_each_sample_is_understood_by_its_operation(town: Sandbox) -> None:
    for path, method, operation in await operations(town):
        if method != "post":
            continue
        token = town.bank_token if path.startswith("/participant") else town.integrator_token
        sample = operation["requestBody"]["content"]["application/json"]["example"]
        answer = await town.ask(path, sample, token=token)
        known = path in {"/v1/verify", "/sandbox/v1/payments"}  # a made-up code and QR
        assert known or answer.status_code == 200, (path, answer.text)
        assert known or answer.json().get("errorCode") != 5, (path, answer.text)


@pytest.mark.parametrize("wide", [True, False])
async def test_the_account_check_is_described_as_it_is_set(
    opened: OpenSandbox, *, wide: bool
) -> None:
    sandbox = await opened(bakong_open_account_check=wide)
    paths = (await described(sandbox))["paths"]
    for name in ("check_bakong_account", "check_account_exist"):
        assert ("security" in paths[f"/v1/{name}"]["post"]) is not wide
