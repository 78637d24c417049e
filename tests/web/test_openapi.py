"""The description: what is served is described, what is described is served, and as it reads."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import pytest

from bayon.bakong import wire
from bayon.batch import KeyReused
from bayon.cards import BadAttributes
from bayon.cms import wire as cms_wire
from bayon.errors import BayonError, Unavailable
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
    "/v1/accounts",
    "/v1/accounts/{id}",
    "/v1/accounts/{account_id}/balance",
    "/v1/cardholders",
    "/v1/cardholders/{id}",
    "/v1/cards",
    "/v1/cards/{id}",
    "/v1/cards/{card_id}/management_tokens",
    "/v1/events",
    "/v1/events/{id}",
    "/v1/transactions",
    "/v1/transactions/{id}",
}
TYPES: Final = {"string", "number", "integer", "boolean", "array", "object"}
BY_TYPE: Final = {
    "string": str,
    "number": int | float,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}
WITH_BODY: Final = {"post", "patch", "put"}
CARDS: Final = "Card management"
SAMPLES_ID: Final = "0199f3a0-7b2c-7c3e-9a51-3f6a3a0c7d11"


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


def speaks_json_api(operation: Mapping[str, Any]) -> bool:
    """Tell whether an operation is card management's, in its own dialect."""
    return operation["tags"] == [CARDS]


def media_type_of(operation: Mapping[str, Any]) -> str:
    """Tell the media type of an operation's door."""
    return cms_wire.MEDIA_TYPE if speaks_json_api(operation) else "application/json"


def in_its_dialect(operation: Mapping[str, Any], status: str, body: Mapping[str, Any]) -> bool:
    """Judge the keys of an answer by the dialect of its operation's door."""
    if speaks_json_api(operation):
        good = [{"data"}, {"data", "links"}, {"meta"}]
        return set(body) in (good if status < "300" else [{"errors"}])
    plain = operation["tags"] == ["Sandbox"] and status == "200"
    return (set(body) == FOUR) is not plain


async def test_every_operation_has_an_id_of_its_own_and_answers_with_examples(
    town: Sandbox,
) -> None:
    found = await operations(town)
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(ids) == len(set(ids)) > 40
    for path, method, operation in found:
        where = (method, path)
        assert operation["summary"], where
        assert {"200", "201", "202", "204"} & operation["responses"].keys(), where
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[2-5]\d\d", status), where
            assert response["description"], where
            if status == "204":
                assert "content" not in response, where
                continue
            assert response["content"].keys() == {media_type_of(operation)}, where
            examples = response["content"][media_type_of(operation)]["examples"]
            assert examples, where
            for example in examples.values():
                assert in_its_dialect(operation, status, example["value"]), (where, status)


def codes(operation: Mapping[str, Any]) -> set[tuple[int, object]]:
    """List HTTP status and error code of each answer that is shown."""
    return {
        (int(status), code_of(example["value"]))
        for status, response in operation["responses"].items()
        for media in response.get("content", {}).values()
        for example in media["examples"].values()
    }


def code_of(body: Mapping[str, Any]) -> object:
    """Read an error code, of either dialect."""
    return body["errors"][0]["code"] if "errors" in body else body.get("errorCode")


def told(operation: Mapping[str, Any], error: type[BayonError]) -> tuple[int, object]:
    """Tell the HTTP status and the error code an error has in the table of an operation's door."""
    if speaks_json_api(operation):
        return cms_wire.STATUSES[error], error.code
    if operation["tags"] == ["Sandbox"]:
        return sandbox_api.ERRORS[error][1], sandbox_api.ERRORS[error][0]
    return wire.ERRORS[error][1], wire.ERRORS[error][0]


def takes_fields(operation: Mapping[str, Any]) -> bool:
    """Tell whether there is anything in an operation's body that could be wrong."""
    content = operation.get("requestBody", {}).get("content", {})
    return any(
        media["schema"].get("properties") or "anyOf" in media["schema"]
        for media in content.values()
    )


async def test_every_operation_shows_what_its_kind_is_refused_with(town: Sandbox) -> None:
    for path, method, operation in await operations(town):
        fields = BadAttributes if speaks_json_api(operation) else BadFields
        post, reading = (BadBody, BodyTooLarge), operation.get("parameters", [])
        kinds: list[type[BayonError]] = [WrongMethod, TooManyRequests, Unavailable]
        kinds += post if method in WITH_BODY else ()
        kinds += [fields] if takes_fields(operation) else []
        kinds += [Unauthorized] if operation.get("security") else []
        kinds += [KeyReused] if any(p["in"] == "header" for p in reading) else []
        if speaks_json_api(operation):
            kinds += [cms_wire.BadQuery, cms_wire.NotAcceptable]
            further = [cms_wire.TypeConflict, cms_wire.UnsupportedMediaType]
            kinds += further if method in WITH_BODY else []
        shown = codes(operation)
        wanted = {told(operation, kind) for kind in kinds}
        assert wanted <= shown, (path, wanted - shown)
        if method == "get":
            assert not shown & {told(operation, kind) for kind in post}, path
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
    "put_callback": {6},
    "get_callback": {1, 6},
    "delete_callback": {1, 6},
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
    "sandbox_import_card": {6},
    "sandbox_show_card": {6},
    "sandbox_authorize": {6},
    "sandbox_clear": {6},
    "sandbox_reverse": {6},
    "sandbox_increment": {6},
    "sandbox_expire": {6},
    "sandbox_refund": {6},
    "sandbox_force_post": {6},
    "sandbox_review": {6},
}
"""The error codes each operation of Bakong's dialect can answer, but 5 and 9."""


async def test_every_operation_shows_the_error_codes_it_has_and_no_others(town: Sandbox) -> None:
    found = {
        operation["operationId"]: {code for _, code in codes(operation)} - {None, 5, 9}
        for _, _, operation in await operations(town)
        if not speaks_json_api(operation)
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
            if speaks_json_api(operation):
                continue
            schema = response["content"]["application/json"]["schema"]
            plain = path.startswith("/sandbox") and status == "200"
            reference = {"$ref": "#/components/schemas/Envelope"}
            assert (reference in [schema, *schema.get("allOf", [])]) is not plain, (path, status)
            assert not plain or schema["properties"], path


async def test_every_answer_of_card_management_refers_to_a_resource_or_to_errors(
    town: Sandbox,
) -> None:
    components = (await described(town))["components"]["schemas"]
    for path, _, operation in await operations(town):
        for status, response in operation["responses"].items():
            if not speaks_json_api(operation) or status == "204":
                continue
            schema = response["content"][cms_wire.MEDIA_TYPE]["schema"]
            if status >= "300":
                assert schema == {"$ref": "#/components/schemas/Errors"}, path
                continue
            if schema["required"] == ["meta"]:
                continue
            data = schema["properties"]["data"]
            name = data.get("items", data)["$ref"].removeprefix("#/components/schemas/")
            assert components[name]["properties"]["type"]["const"], path
            assert ("links" in schema["required"]) is ("items" in data), path


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


def types_of(schema: Mapping[str, Any]) -> set[str]:
    """List what a schema's values may be; any, where it does not say."""
    said = schema.get("type", "any")
    return {said} if isinstance(said, str) else set(said)


def schemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """List a schema and all within it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    inner += [schema["items"]] if "items" in schema else []
    for child in inner:
        yield from schemas(child)


async def test_every_body_is_described_and_its_sample_fits(town: Sandbox) -> None:
    for path, method, operation in await operations(town):
        assert ("requestBody" in operation) is (method in WITH_BODY), path
        if method not in WITH_BODY:
            continue
        media = operation["requestBody"]["content"][media_type_of(operation)]
        for schema in schemas(media["schema"]):
            assert types_of(schema) <= TYPES | {"any", "null"}, path
            assert set(schema.get("required", [])) <= schema.get("properties", {}).keys(), path
            assert schema.get("minLength", 0) <= schema.get("maxLength", 2**31), path
        sample, schema = media["example"], media["schema"]
        if isinstance(sample, list):
            assert schema["anyOf"][0]["type"] == "array", path
            continue
        assert misfits(sample, schema, path) == []


def misfits(sample: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> list[str]:
    """List what of a sample its schema does not describe, and what it lacks."""
    lacking = [f"{path}: no {name}" for name in schema.get("required", []) if name not in sample]
    if "properties" not in schema:
        return lacking
    for name, value in sample.items():
        described = schema["properties"].get(name)
        kinds = [] if described is None else [BY_TYPE.get(k, object) for k in types_of(described)]
        if not any(isinstance(value, kind) for kind in kinds):
            lacking.append(f"{path}/{name}")
        elif isinstance(value, dict):
            lacking += misfits(cast("dict[str, Any]", value), described or {}, f"{path}/{name}")
    return lacking


def token_of(sandbox: Sandbox, operation: Mapping[str, Any]) -> str:
    """Tell whose token an operation wants."""
    return {
        "Bakong Open API": sandbox.integrator_token,
        "Participants": sandbox.bank_token,
        CARDS: sandbox.cms_token,
        "Sandbox": sandbox.cms_token,
    }[operation["tags"][0]]


async def test_every_described_path_is_served_with_and_without_a_token(town: Sandbox) -> None:
    for path, method, operation in await operations(town):
        account = path.startswith("/participant")
        filled = re.sub(r"{\w+}", "dave@devb" if account else SAMPLES_ID, path)
        answer = await town.http.request(method, filled, content=b"{")
        wants_token = bool(operation.get("security"))
        assert answer.status_code == (401 if wants_token else 400), (method, path)
        headers = {"Authorization": f"Bearer {token_of(town, operation)}"}
        answer = await town.http.request(method, filled, content=b"{", headers=headers)
        there = 404 if "{" in path and not account else 200
        assert answer.status_code == (400 if method in WITH_BODY else there), (method, path)
        assert answer.headers["content-type"] == media_type_of(operation), (method, path)


async def test_each_sample_is_understood_by_its_operation(town: Sandbox) -> None:
    made_up = {"/v1/verify", "/sandbox/v1/payments"}  # a code and a QR
    for path, method, operation in await operations(town):
        if method not in WITH_BODY:
            continue
        token = token_of(town, operation)
        filled = re.sub(r"{\w+}", SAMPLES_ID, path)
        content = operation["requestBody"]["content"][media_type_of(operation)]
        headers = {"Authorization": f"Bearer {token}"}
        answer = await town.http.request(method, filled, json=content["example"], headers=headers)
        if path in made_up:
            continue
        if speaks_json_api(operation) or "{" in path or "_id" in str(content["example"]):
            # What it relates to is another's; but all it says is understood.
            assert answer.status_code in {201, 202, 404, 409}, (path, answer.text)
            continue
        assert answer.status_code == 200, (path, answer.text)
        assert answer.json().get("errorCode") != 5, (path, answer.text)


@pytest.mark.parametrize("wide", [True, False])
async def test_the_account_check_is_described_as_it_is_set(
    opened: OpenSandbox, *, wide: bool
) -> None:
    sandbox = await opened(bakong_open_account_check=wide)
    paths = (await described(sandbox))["paths"]
    for name in ("check_bakong_account", "check_account_exist"):
        assert ("security" in paths[f"/v1/{name}"]["post"]) is not wide
