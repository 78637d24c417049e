"""Attributes: each, of each operation, at, below and beyond its limits, and all at once."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from bayon.money import AMOUNT_MINOR_MAX
from cms.bodies import MISSING, OPERATIONS, PATCH, POST, Desk, open_desk
from cms.clerk import Clerk, assert_seen_is_json_api, data_of, pointed
from jsonapi import wants_node

Wrong = Sequence[tuple[Sequence[object], str]]
"""Values, and the title each is refused with."""

MISSING_ONE: Final[Wrong] = [([MISSING], "is missing"), ([None], "must be filled")]
NO_STRING: Final[Wrong] = [([True, 0, 1, 1.5, [], ["x"], {}, {"x": "y"}], "must be a string")]
NO_OBJECT: Final[Wrong] = [([True, 0, 1.5, "x", "", [], [{"x": 1}]], "must be an object")]
NO_WHOLE: Final[Wrong] = [
    ([True, False, "1", "", 1.5, -0.5, 1e-9, [], [1], {}], "must be an integer")
]
EMPTY: Final[Wrong] = [(["", " ", "\n", "\u3000\u00a0"], "must be filled")]
NULL_SIGN: Final[Wrong] = [(["\0", "a\0b", "ក\0"], "must not have a null character")]
SIGNS: Final = ("x", "ក", "😀")


def no_text(length_max: int) -> Wrong:
    too_long = [sign * (length_max + 1) for sign in SIGNS]
    says = f"must have at most {length_max} characters"
    return [*NO_STRING, *EMPTY, *NULL_SIGN, (too_long, says)]


def none_of(*words: str, but: Sequence[object] = ()) -> Wrong:
    others = ["", words[0].swapcase(), f"{words[0]} ", "x", "\0", *but]
    return [*NO_STRING, (others, f"must be one of: {', '.join(words)}")]


NO_PAIRS: Final[Wrong] = [
    *NO_OBJECT,
    ([{str(n): "x" for n in range(51)}], "must have at most 50 keys"),
]
NO_MAIL: Final = ("x", "@", "a@b", "a@b.", "a b@c.d", "a@b@c.d", "a@.d", "a@b..d", "a@b.c\n")
NO_EMAIL: Final[Wrong] = [*no_text(255), ([*NO_MAIL, f"{'a' * 65}@b.c"], "is invalid")]
NO_NUMBER: Final = ("x", "+", "110", "071", "+855", "+85571520096000", "1-800-FLOWERS", "7" * 40)
NO_PHONE: Final[Wrong] = [*no_text(40), ([*NO_NUMBER, "020 7183 8750"], "is invalid")]
NO_DAYS: Final = (
    "x",
    "2016-13-01",
    "20160230",
    "2016-1-1",
    "16-12-20",
    "2016",
    "20161220T00:00:00Z",
)
TOMORROW: Final = (datetime.now(UTC) + timedelta(days=2)).date()
NO_DATE: Final[Wrong] = [
    *no_text(255),
    ([*NO_DAYS, " 20161220", "٢٠١٦-12-20"], "must be a date: YYYYMMDD or YYYY-MM-DD"),
    (["18991231", "0001-01-01", str(TOMORROW), "9999-12-31"], "must be a date in the past"),
]
NO_URL: Final = (
    *("x", "/photo.png", "ftp://x.example/", "http://x.example/", "https://", "https:///x"),
    *("https://10.0.0.1/", "https://[fe80::1]/", "https://user@x.example/", "file:///etc/passwd"),
)
NO_AMOUNT: Final[Wrong] = [
    *NO_WHOLE,
    ([0, -1, AMOUNT_MINOR_MAX + 1, 10**30, -1e30], f"must be from 1 to {AMOUNT_MINOR_MAX}"),
]
NO_LIMIT: Final[Wrong] = [
    *NO_WHOLE,
    ([-1, AMOUNT_MINOR_MAX + 1, 1e30], f"must be from 0 to {AMOUNT_MINOR_MAX}"),
]
NO_COUNT: Final[Wrong] = [*NO_WHOLE, ([-1, 1_000_001, 1e30], "must be from 0 to 1000000")]


def no_list(word: str) -> Wrong:
    return [
        ([True, 0, 1.5, "", word, {}, {"0": word}], "must be a list"),
        ([[word] * 1_001], "must have at most 1000 entries"),
    ]


LISTS: Final = ("_mccs", "_countries")
CONTROLS: Final[Mapping[str, Wrong]] = {
    "/data/attributes/amount_per_transaction": NO_LIMIT,
    "/data/attributes/amount_per_day": NO_LIMIT,
    "/data/attributes/count_per_day": NO_COUNT,
    "/data/attributes/allowed_mccs": no_list("4121"),
    "/data/attributes/blocked_mccs": no_list("4121"),
    "/data/attributes/allowed_countries": no_list("KH"),
    "/data/attributes/blocked_countries": no_list("KH"),
}
NO_SIX_DIGITS: Final = ("", "12345", "1234567", "12345x", "12 456", "١٢٣٤٥٦", "123456\n", "-12345")
NO_INSTANT: Final[Wrong] = [
    *no_text(255),
    (["x", "2020-13-01", "2020-01-01T25:00:00Z", "01/01/2020"], "must be a date/time in ISO 8601"),
    (["9999-12-31T23:59:59-14:00"], "must be a date/time in ISO 8601"),
    ([f"{TOMORROW}T00:00:00Z", "9999-12-31"], "must not be in the future"),
]
PROFILE: Final[Mapping[str, Wrong]] = {
    "/data/attributes/name": no_text(255),
    "/data/attributes/phone_number": NO_PHONE,
    "/data/attributes/email": NO_EMAIL,
    "/data/attributes/type": none_of("individual"),
    "/data/attributes/individual": NO_OBJECT,
    "/data/attributes/additional_details": NO_PAIRS,
    "/data/attributes/metadata": NO_PAIRS,
    "/data/attributes/individual/date_of_birth": NO_DATE,
    "/data/attributes/individual/address": no_text(1_000),
    "/data/attributes/individual/remote_photo_url": no_text(2_048),
    "/data/attributes/individual/remote_identity_document_url": no_text(2_048),
    "/data/attributes/individual/identity_document_number": no_text(255),
    "/data/attributes/individual/identity_document_type": none_of("id_card", "passport"),
}
WRONG: Final[Mapping[str, Mapping[str, Wrong]]] = {
    "create_cardholder": PROFILE,
    "update_cardholder": PROFILE,
    "create_account": {
        "/data/attributes/number": [*NO_STRING, (NO_SIX_DIGITS, "must have six digits")],
        "/data/attributes/currency": none_of("USD", but=["KHR"]),
        "/data/attributes/metadata": NO_PAIRS,
    },
    "update_account": {
        "/data/attributes/number": [
            *NO_STRING,
            (NO_SIX_DIGITS, "must have six digits"),
            (["700002"], "cannot be changed"),
        ],
        "/data/attributes/currency": none_of("USD", but=["KHR"]),
        "/data/attributes/metadata": NO_PAIRS,
    },
    "create_card": {
        "/data/attributes/type": [
            *none_of("physical", "virtual"),
            (["virtual"], "must be physical: the only type at this time"),
        ],
        "/data/attributes/currency": none_of("USD", but=["KHR"]),
    },
    "update_card": {
        "/data/attributes/status": [
            *none_of("unactivated", "active", "inactive", "canceled", "lost", "stolen"),
            ([None], "must be filled"),
            (["unactivated"], "must be one of: active, inactive, canceled, lost, stolen"),
        ],
    },
    "create_management_token": {
        "/data/attributes/type": [
            *none_of("card_activation", "pin_reset"),
            (["card_activation"], "is not possible for a card that is active"),
        ],
    },
    "create_topup": {
        "/data/attributes/amount": NO_AMOUNT,
        "/data/attributes/funding_source": no_text(255),
        "/data/attributes/transaction_time": NO_INSTANT,
    },
    "update_issuer": {
        "/data/attributes/name": no_text(100),
        "/data/attributes/fees": NO_OBJECT,
        "/data/attributes/decision": NO_OBJECT,
    },
    "update_account_controls": CONTROLS,
    "update_card_controls": CONTROLS,
}
KYC_NAMES: Final = tuple(pointer for pointer in PROFILE if pointer.count("/") == 4)
REQUIRED: Final[Mapping[str, Sequence[str]]] = {
    "create_cardholder": [
        *(f"/data/attributes/{n}" for n in ("name", "phone_number", "type", "individual")),
        *KYC_NAMES,
    ],
    "create_account": ["/data/attributes/number", "/data/attributes/currency"],
    "create_management_token": ["/data/attributes/type"],
    "create_topup": ["/data/attributes/amount", "/data/attributes/funding_source"],
}
CASES: Final = [(o, p) for o, pointers in WRONG.items() for p in pointers]


@pytest.fixture(scope="module")
async def desk(clerk: Clerk) -> Desk:
    """Have one of everything."""
    return await open_desk(clerk)


def pointers_in(described: Mapping[str, Any]) -> set[str]:
    """List the pointers of the attributes an operation is described with."""
    (content,) = described["requestBody"]["content"].values()
    attributes = content["schema"]["properties"]["data"]["properties"]["attributes"]["properties"]
    kyc = attributes.get("individual", {}).get("properties", {})
    return {f"/data/attributes/{name}" for name in attributes} | {
        f"/data/attributes/individual/{name}" for name in kyc
    }


async def test_every_attribute_that_is_described_is_tried(desk: Desk) -> None:
    paths = (await desk.clerk.sandbox.get("/openapi.json")).json()["paths"]
    described = {o["operationId"]: o for methods in paths.values() for o in methods.values()}
    assert WRONG.keys() == OPERATIONS.keys()
    for name, pointers in WRONG.items():
        assert pointers_in(described[name]) == pointers.keys(), name


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_the_document_that_is_spoilt_is_accepted_as_it_is(desk: Desk, operation: str) -> None:
    answer = await desk.ask(operation, desk.document(operation))
    assert answer.status_code in {200, 201, 202}, answer.text


@pytest.mark.parametrize(("operation", "pointer"), CASES)
async def test_a_value_that_is_wrong_is_pointed_at(
    desk: Desk, operation: str, pointer: str
) -> None:
    for values, title in WRONG[operation][pointer]:
        for value in values:
            answer = await desk.ask_with(operation, pointer, value)
            assert answer.status_code == 422, (value, answer.text)
            assert pointed(answer) == {pointer: title}, value


@pytest.mark.parametrize("operation", REQUIRED)
async def test_what_must_be_there_is_missed(desk: Desk, operation: str) -> None:
    for pointer in REQUIRED[operation]:
        for values, title in MISSING_ONE:
            answer = await desk.ask_with(operation, pointer, values[0])
            assert pointed(answer) == {pointer: title}


@pytest.mark.parametrize("pointer", KYC_NAMES)
@pytest.mark.parametrize("operation", ["create_cardholder", "update_cardholder"])
async def test_a_member_of_individual_cannot_be_null(
    desk: Desk, operation: str, pointer: str
) -> None:
    assert pointed(await desk.ask_with(operation, pointer, None)) == {pointer: "must be filled"}


OPTIONAL: Final = [
    (o, p)
    for o, p in CASES
    if p not in REQUIRED.get(o, ()) and p not in {*KYC_NAMES, "/data/attributes/status"}
]


@pytest.mark.parametrize(("operation", "pointer"), OPTIONAL)
async def test_what_may_be_missing_may_be_null_too(
    desk: Desk, operation: str, pointer: str
) -> None:
    for value in (MISSING, None):
        answer = await desk.ask_with(operation, pointer, value)
        assert answer.status_code in {200, 201, 202}, answer.text


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_everything_that_is_wrong_is_said_at_once(desk: Desk, operation: str) -> None:
    wrong: dict[str, object] = {
        p: 0 if p.endswith(LISTS) else [0]
        for p in WRONG[operation]
        if not p.endswith("/individual")
    }
    answer = await desk.ask(operation, desk.with_value(operation, wrong))
    assert pointed(answer).keys() == wrong.keys()


@pytest.mark.parametrize("operation", POST)
async def test_everything_that_is_missing_is_said_at_once(desk: Desk, operation: str) -> None:
    kind = desk.document(operation)["data"]["type"]
    related = {"create_account": "cardholder", "create_card": "account"}.get(operation)
    missing = {p for p in REQUIRED.get(operation, ()) if p not in KYC_NAMES}
    missing |= {f"/data/relationships/{related}"} if related else set()
    answer = await desk.ask(operation, {"data": {"type": kind}})
    assert pointed(answer) == dict.fromkeys(missing, "is missing")


@pytest.mark.parametrize("operation", PATCH)
async def test_a_patch_of_nothing_changes_nothing(desk: Desk, operation: str) -> None:
    path = OPERATIONS[operation].format_map(desk.ids)
    before = data_of(await desk.clerk.get(path))
    for document in (
        desk.with_value(operation, {"/data/attributes": MISSING}),
        desk.with_value(operation, {"/data/attributes": {}}),
        desk.with_value(operation, {"/data/attributes": {"colour": "red", "created_at": 1}}),
    ):
        answer = await desk.ask(operation, document)
        assert data_of(answer, 202 if "cardholder" in operation else 200) == before


URLS: Final = ("remote_photo_url", "remote_identity_document_url")


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("url", NO_URL)
async def test_a_url_that_must_not_be_fetched_is_refused_at_once(
    desk: Desk, name: str, url: str
) -> None:
    pointer = f"/data/attributes/individual/{name}"
    for operation in ("create_cardholder", "update_cardholder"):
        told = pointed(await desk.ask_with(operation, pointer, url))
        assert told.keys() == {pointer}
        assert told[pointer].startswith("is not allowed")


PERCENTS: Final[Wrong] = [
    ([True, "1", "nan", "1e999999999", "٣", None, [], {}], "must be a number"),
    ([-1, -0.01, 100.01, 1e300, 0.001, 1e-320, 10**40], "must be from 0 to 100, to two decimals"),
]
FLATS: Final[Wrong] = [
    *NO_WHOLE,
    ([None], "must be an integer"),
    ([-1, AMOUNT_MINOR_MAX + 1, 1e30], f"must be from 0 to {AMOUNT_MINOR_MAX}"),
]


@pytest.mark.parametrize(("member", "wrong"), [("flat", FLATS), ("percent", PERCENTS)])
async def test_a_fee_that_is_wrong_is_pointed_at(desk: Desk, member: str, wrong: Wrong) -> None:
    fee = "/data/attributes/fees/interbank_cash_withdrawal"
    for values, title in wrong:
        for value in values:
            answer = await desk.ask_with("update_issuer", f"{fee}/{member}", value)
            assert pointed(answer) == {f"{fee}/{member}": title}, value
    both = await desk.ask_with("update_issuer", fee, {"flat": "x", "percent": "x"})
    assert pointed(both).keys() == {f"{fee}/flat", f"{fee}/percent"}
    for value in NO_OBJECT[0][0]:
        told = pointed(await desk.ask_with("update_issuer", fee, value))
        assert told == {fee: "must be an object"}
    for name in ("x", "a~0b", ""):
        answer = await desk.ask_with("update_issuer", "/data/attributes/fees", {name: {}})
        says = "must be one of: interbank_cash_withdrawal"
        assert list(pointed(answer).values()) == [says]


async def test_a_fee_is_kept_to_the_hundredth_and_a_null_takes_it_away(desk: Desk) -> None:
    fees = "/data/attributes/fees"
    for flat, percent in ((0, 0), (300, 0.01), (300.0, 99.99), (AMOUNT_MINOR_MAX, 100)):
        given = {"interbank_cash_withdrawal": {"flat": flat, "percent": percent}}
        shown = data_of(await desk.ask_with("update_issuer", fees, given))["attributes"]["fees"]
        assert shown == given
        assert json.dumps(shown["interbank_cash_withdrawal"]["flat"]).isdigit()
    gone = await desk.ask_with("update_issuer", fees, {"interbank_cash_withdrawal": None})
    assert data_of(gone)["attributes"]["fees"] == {}


NO_LINKAGES: Final[Sequence[object]] = ["x", 1, [], {}, {"data": None}, {"data": []}, {"data": {}}]
NO_NAMES: Final[Sequence[object]] = [None, 1, True, [], ["x"], {}, {"x": "y"}]
RELATED: Final = [("create_account", "cardholder"), ("create_card", "account")]


@pytest.mark.parametrize(("operation", "name"), RELATED)
async def test_a_relationship_that_is_none_is_pointed_at(
    desk: Desk, operation: str, name: str
) -> None:
    pointer = f"/data/relationships/{name}"
    linkage = {"type": name, "id": desk.ids[name]}
    is_wrong = {
        f"{pointer}/data/type": f"must be equal to {name}",
        f"{pointer}/data/id": "must be a string",
    }
    table: list[tuple[object, dict[str, str]]] = [
        (MISSING, {pointer: "is missing"}),
        (None, {pointer: "is missing"}),
        ({"data": {"id": 1, "type": 1}}, is_wrong),
    ]
    table += [(value, {f"{pointer}/data": "must be filled"}) for value in NO_LINKAGES]
    table.append(({"data": [linkage]}, {f"{pointer}/data": "must be filled"}))
    for member, title in is_wrong.items():
        last = member.rpartition("/")[2]
        wrong = [{"data": {**linkage, last: value}} for value in NO_NAMES]
        table += [(value, {member: title}) for value in wrong]
    for value, told in table:
        assert pointed(await desk.ask_with(operation, pointer, value)) == told, value


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
