"""Values: what is taken comes back as it was given, and what a PATCH merges."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import phonenumbers
import pytest

from bayon.cms import attributes
from bayon.money import AMOUNT_MINOR_MAX
from cms.bodies import Desk, open_desk
from cms.clerk import (
    KYC,
    Clerk,
    Resource,
    assert_seen_is_json_api,
    card_document,
    data_of,
    pointed,
    resource_document,
)
from jsonapi import wants_node

KHMER: Final = "តាំង តារា"
SIGNS: Final = ("x", "ក", "😀")
ODD: Final = (
    KHMER,
    "👩🏽‍🚀 Sok",
    "a\nb\tc",
    " x ",
    "\u202eabc",
    "<b>&amp;'\"\\/",
    "%00",
    "\u200b",
    "\ufeff",
)
TEXTS: Final = [
    ("create_cardholder", "/data/attributes/name", 255),
    ("create_cardholder", "/data/attributes/individual/address", 1_000),
    ("create_cardholder", "/data/attributes/individual/identity_document_number", 255),
    ("update_cardholder", "/data/attributes/name", 255),
    ("update_cardholder", "/data/attributes/individual/address", 1_000),
    ("create_topup", "/data/attributes/funding_source", 255),
]


@pytest.fixture(scope="module")
async def desk(clerk: Clerk) -> Desk:
    """Have one of everything."""
    return await open_desk(clerk)


@pytest.mark.parametrize(("operation", "pointer", "length_max"), TEXTS)
async def test_a_text_comes_back_to_the_code_point(
    desk: Desk, operation: str, pointer: str, length_max: int
) -> None:
    longest = [sign * length_max for sign in SIGNS]
    for text in (*ODD, "x", *longest):
        answer = await desk.ask_with(operation, pointer, text)
        made = data_of(answer, 201 if operation == "create_topup" else 202)
        shown: Any = made["attributes"]
        if operation == "create_topup":
            shown = shown["transaction_details"]["topup"]
        for step in pointer.removeprefix("/data/attributes/").split("/"):
            shown = shown[step]
        assert shown == text
        path = "/v1/transactions" if operation == "create_topup" else "/v1/cardholders"
        again = data_of(await desk.clerk.get(f"{path}/{made['id']}"))
        assert _given(again) == _given(made)


def _given(resource: Mapping[str, Any]) -> dict[str, object]:
    """Take what a client gave: a review may decide on a cardholder between two looks at it."""
    of_review = {"status", "updated_at"} if resource["type"] == "cardholder" else set[str]()
    return {n: value for n, value in resource["attributes"].items() if n not in of_review}


PHONES: Final = [
    ("855715200960", "855715200960"),
    ("071 520 0960", "855715200960"),
    ("0715200960", "855715200960"),
    ("715200960", "855715200960"),
    ("+855 71 520 0960", "855715200960"),
    ("+855 (0)71 520 0960", "855715200960"),
    ("8550715200960", "855715200960"),
    ("855-71-520-0960", "855715200960"),
    ("(071) 520.0960", "855715200960"),
    ("00855715200960", "855715200960"),
    ("00 855 71 520 0960", "855715200960"),
    ("001 855 71 520 0960", "855715200960"),
    ("០៧១ ៥២០ ០៩៦០", "855715200960"),
    (" 855715200960 ", "855715200960"),
    ("012 345 678", "85512345678"),
    ("023 722 222", "85523722222"),
    ("+1 650 253 0000", "16502530000"),
    ("1 650 253 0000", "16502530000"),
    ("16502530000", "16502530000"),
    ("+66 81 234 5678", "66812345678"),
    ("66812345678", "66812345678"),
    ("+84 91 234 56 78", "84912345678"),
    ("+44 20 7183 8750", "442071838750"),
]


@pytest.mark.parametrize(("given", "shown"), PHONES)
async def test_a_phone_number_is_kept_as_e164(desk: Desk, given: str, shown: str) -> None:
    answer = await desk.ask_with("create_cardholder", "/data/attributes/phone_number", given)
    assert data_of(answer, 202)["attributes"]["phone_number"] == shown


def test_a_phone_number_of_any_country_is_read_with_its_plus() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if example is not None:
            e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert attributes.phone_number(e164) == e164.removeprefix("+")


async def test_a_phone_number_that_is_sent_back_as_shown_stays(clerk: Clerk) -> None:
    cardholder = await clerk.cardholder(phone_number="+676 20 123")  # of Tonga
    shown = cardholder["attributes"]["phone_number"]
    assert shown == "67620123"
    assert attributes.phone_number(shown) == "85567620123"
    path = f"/v1/cardholders/{cardholder['id']}"
    changed = await clerk.patch(path, {"data": cardholder})
    assert data_of(changed, 202)["attributes"]["phone_number"] == shown


BIRTHS: Final = [
    ("20161220", "2016-12-20"),
    ("2016-12-20", "2016-12-20"),
    ("19000101", "1900-01-01"),
    ("20000229", "2000-02-29"),
    (datetime.now(UTC).strftime("%Y%m%d"), datetime.now(UTC).strftime("%Y-%m-%d")),
]


@pytest.mark.parametrize(("given", "shown"), BIRTHS)
async def test_a_date_of_birth_is_shown_with_dashes(desk: Desk, given: str, shown: str) -> None:
    pointer = "/data/attributes/individual/date_of_birth"
    for operation in ("create_cardholder", "update_cardholder"):
        answer = await desk.ask_with(operation, pointer, given)
        assert data_of(answer, 202)["attributes"]["individual"]["date_of_birth"] == shown


TIMES: Final = [
    ("2020-01-01T07:00:00Z", "2020-01-01T07:00:00Z"),
    ("2020-01-01T07:00:00.999999Z", "2020-01-01T07:00:00Z"),
    ("2020-01-01T07:00:00+07:00", "2020-01-01T00:00:00Z"),
    ("2020-01-01T07:00:00", "2020-01-01T07:00:00Z"),
    ("2020-01-01 07:00:00", "2020-01-01T07:00:00Z"),
    ("20200101T070000Z", "2020-01-01T07:00:00Z"),
    ("2020-01-01", "2020-01-01T00:00:00Z"),
    ("2020-02-29", "2020-02-29T00:00:00Z"),
    ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
    ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z"),
]


async def test_a_transaction_time_before_1900_is_refused(desk: Desk) -> None:
    for given in ("1899-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
        answer = await desk.ask_with("create_topup", "/data/attributes/transaction_time", given)
        assert answer.status_code == 422, given
        assert answer.json()["errors"][0]["title"] == "must not be before 1900"


@pytest.mark.parametrize(("given", "shown"), TIMES)
async def test_a_transaction_time_is_shown_in_utc_to_the_second(
    desk: Desk, given: str, shown: str
) -> None:
    answer = await desk.ask_with("create_topup", "/data/attributes/transaction_time", given)
    made = data_of(answer, 201)["attributes"]
    assert (made["transaction_time"], made["settlement_time"]) == (shown, shown)


async def test_an_amount_is_whole_with_a_decimal_point_or_without(desk: Desk) -> None:
    for amount in (1, 1.0, 2e3, AMOUNT_MINOR_MAX // 10):
        answer = await desk.ask_with("create_topup", "/data/attributes/amount", amount)
        made = data_of(answer, 201)["attributes"]
        shown = [json.dumps(made[n]) for n in ("amount", "transaction_amount", "total_fee")]
        assert shown == [str(int(amount)), str(int(amount)), "0"]


async def test_an_account_number_may_begin_with_zeros_and_is_unique(clerk: Clerk) -> None:
    cardholder = await clerk.cardholder()
    for number in ("000000", "000001", "999999"):
        made = await clerk.account(cardholder["id"], number=number)
        assert made["attributes"]["number"] == number
        again = resource_document("account", made["id"], number=number)
        answer = await clerk.post("/v1/accounts", _without_id(made))
        assert pointed(answer) == {"/data/attributes/number": "must be unique"}
        assert data_of(await clerk.patch(f"/v1/accounts/{made['id']}", again)) == made


def _without_id(resource: Resource) -> dict[str, Any]:
    return {"data": {name: value for name, value in resource.items() if name != "id"}}


PLACES: Final = [
    ("create_account", "metadata"),
    ("update_account", "metadata"),
    ("create_cardholder", "metadata"),
    ("create_cardholder", "additional_details"),
    ("update_cardholder", "metadata"),
    ("update_cardholder", "additional_details"),
]
LONG: Final = {sign * 40: sign * 500 for sign in SIGNS}
PAIRS: Final[list[Mapping[str, object]]] = [
    {},
    LONG,
    {"a/b~c": "x", "~1": "y", " ": " ", "foo bar": "", "ឈ្មោះ": KHMER, "😀": "👩🏽‍🚀"},
    {"true": True, "false": False, "int": -7, "float": 1.5, "big": 10**30, "tiny": 1e-300},
    {"huge": 1e300, "whole": 2.0, "digits": "1" * 500, "zero": 0, "type": "x", "id": "y"},
    {str(n): n for n in range(50)},
]


@pytest.mark.parametrize("pairs", PAIRS, ids=lambda pairs: str(pairs)[:20])
async def test_pairs_come_back_as_they_were_given(
    clerk: Clerk, pairs: Mapping[str, object]
) -> None:
    cardholder = await clerk.cardholder(metadata=pairs, additional_details=pairs)
    account = await clerk.account(cardholder["id"], metadata=pairs)
    for kind, made in (("accounts", account), ("cardholders", cardholder)):
        shown = data_of(await clerk.get(f"/v1/{kind}/{made['id']}"))["attributes"]
        for name in {"metadata", "additional_details"} & shown.keys():
            assert json.dumps(shown[name]) == json.dumps(pairs)


BAD_PAIRS: Final[list[tuple[Mapping[str, object], dict[str, str]]]] = [
    ({"x": ["y"]}, {"/x": "must be a string, a number or a boolean"}),
    ({"x": {"y": "z"}}, {"/x": "must be a string, a number or a boolean"}),
    ({"a/b~c": {}}, {"/a~1b~0c": "must be a string, a number or a boolean"}),
    ({"~1": []}, {"/~01": "must be a string, a number or a boolean"}),
    ({"": "x"}, {"/": "must have a key of 1 to 40 characters"}),
    ({"ក" * 41: "x"}, {f"/{'ក' * 41}": "must have a key of 1 to 40 characters"}),
    ({"a\0": "x"}, {"/a\0": "must not have a null character"}),
    ({"ក": "\0"}, {"/ក": "must not have a null character"}),
    *(({"x": sign * 501}, {"/x": "must have at most 500 characters"}) for sign in SIGNS),
    ({"n": 10**501}, {"/n": "must have at most 500 characters"}),
    (
        {"a": [], "b": "fine", "c": "x" * 501, "": 1, "d/e": {}},
        {
            "/a": "must be a string, a number or a boolean",
            "/c": "must have at most 500 characters",
            "/": "must have a key of 1 to 40 characters",
            "/d~1e": "must be a string, a number or a boolean",
        },
    ),
]


@pytest.mark.parametrize(("operation", "name"), PLACES)
async def test_every_pair_that_is_wrong_is_pointed_at(
    desk: Desk, operation: str, name: str
) -> None:
    pointer = f"/data/attributes/{name}"
    for pairs, told in BAD_PAIRS:
        answer = await desk.ask_with(operation, pointer, pairs)
        assert pointed(answer) == {pointer + below: title for below, title in told.items()}


FIRST: Final = {"foo": "bar", "name_km": KHMER, "gone": "x"}
LATER: Final = {"foo": "buzz", "name_km": KHMER, "new": 1}
MERGES: Final[list[tuple[Mapping[str, object] | None, Mapping[str, object]]]] = [
    ({"foo": "buzz", "new": 1}, {**LATER, "gone": "x"}),
    ({"gone": None, "never": None}, LATER),
    ({}, LATER),
    (None, LATER),
    ({"foo": None, "name_km": None, "new": None}, {}),
]


async def test_pairs_are_merged_and_a_null_takes_one_away(clerk: Clerk) -> None:
    cardholder = await clerk.cardholder(metadata=FIRST, additional_details=FIRST)
    account = await clerk.account(cardholder["id"], metadata={**FIRST, "never": None})
    for name, made in (("account", account), ("cardholder", cardholder)):
        path = f"/v1/{name}s/{made['id']}"
        for change, after in MERGES:
            body = resource_document(name, made["id"], metadata=change)
            if name == "cardholder":
                body["data"]["attributes"]["additional_details"] = change
            shown = (await clerk.patch(path, body)).json()["data"]["attributes"]
            assert shown["metadata"] == after
            assert shown.get("additional_details", after) == after


async def test_there_are_never_more_than_fifty_keys(clerk: Clerk) -> None:
    fifty = {str(n): "x" for n in range(50)}
    cardholder = await clerk.cardholder(metadata=fifty, additional_details=fifty)
    account = await clerk.account(cardholder["id"], metadata=fifty)
    for name, made in (("account", account), ("cardholder", cardholder)):
        path = f"/v1/{name}s/{made['id']}"
        one_more = resource_document(name, made["id"], metadata={"fifty-first": "x"})
        told = {"/data/attributes/metadata": "must have at most 50 keys"}
        assert pointed(await clerk.patch(path, one_more)) == told
        swapped = resource_document(name, made["id"], metadata={"fifty-first": "x", "0": None})
        assert (
            len((await clerk.patch(path, swapped)).json()["data"]["attributes"]["metadata"]) == 50
        )


CHANGES: Final[list[tuple[Mapping[str, object], bool]]] = [
    ({"metadata": {"a": "b"}}, False),
    ({"metadata": {}}, False),
    ({}, False),
    ({"status": "rejected", "created_at": "x", "colour": "red"}, False),
    ({"name": "Tang Sokha"}, True),
    ({"phone_number": "012 345 678"}, True),
    ({"email": "dara@bank.example"}, True),
    ({"email": None}, True),
    ({"additional_details": {"member_since": "2020"}}, True),
    ({"individual": {"address": "new address"}}, True),
    ({"individual": {"remote_photo_url": KYC["remote_photo_url"]}}, True),
    ({"individual": {}}, False),
    ({"individual": None}, False),
    ({"type": "individual"}, False),
]


@pytest.mark.parametrize(("change", "reviewed"), CHANGES, ids=str)
async def test_whatever_is_more_than_metadata_is_reviewed_again(
    clerk: Clerk, change: dict[str, object], *, reviewed: bool
) -> None:
    made = await clerk.cardholder(email="tang@bank.example")
    body = resource_document("cardholder", made["id"], **change)
    after = data_of(await clerk.patch(f"/v1/cardholders/{made['id']}", body), 202)["attributes"]
    assert after["status"] == ("processing_profile" if reviewed else "active")
    untouched = made["attributes"].keys() - change.keys() - {"status", "updated_at"}
    assert {n: after[n] for n in untouched} == {n: made["attributes"][n] for n in untouched}


async def test_an_email_is_never_invented_and_a_null_removes_it(clerk: Clerk) -> None:
    made = await clerk.cardholder()
    path = f"/v1/cardholders/{made['id']}"
    assert made["attributes"]["email"] is None
    for email in ("dara@bank.example", "តារា@bank.example", None):
        body = resource_document("cardholder", made["id"], email=email)
        assert data_of(await clerk.patch(path, body), 202)["attributes"]["email"] == email


async def test_what_a_get_returned_may_be_sent_back_whole(clerk: Clerk) -> None:
    cardholder = await clerk.cardholder(metadata={"foo": "bar"}, additional_details={"a": 1})
    account = await clerk.account(cardholder["id"], metadata={"foo": "bar"})
    active = await clerk.card(account["id"])
    unactivated = data_of(await clerk.post("/v1/cards", card_document(account["id"])), 201)
    canceled = await clerk.card(account["id"])
    stop = resource_document("card", canceled["id"], status="canceled")
    canceled = data_of(await clerk.patch(f"/v1/cards/{canceled['id']}", stop))
    issuer = data_of(await clerk.get("/v1/issuer"))
    for resource in (cardholder, account, active, unactivated, canceled, issuer):
        kind = resource["type"]
        path = "/v1/issuer" if kind == "issuer" else f"/v1/{kind}s/{resource['id']}"
        answer = await clerk.patch(path, {"data": resource})
        after = data_of(answer, 202 if kind == "cardholder" else 200)
        may_change = {"updated_at", "status"} if kind == "cardholder" else {"updated_at"}
        for name in resource["attributes"].keys() - may_change:
            assert after["attributes"][name] == resource["attributes"][name], name


async def test_a_card_needs_no_attributes(clerk: Clerk) -> None:
    account = await clerk.account((await clerk.cardholder())["id"])
    linkage = {"account": {"data": {"type": "accounts", "id": account["id"]}}}
    document = {"data": {"type": "card", "relationships": linkage}}
    made = data_of(await clerk.post("/v1/cards", document), 201)
    assert (made["attributes"]["type"], made["attributes"]["status"]) == ("physical", "unactivated")


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
