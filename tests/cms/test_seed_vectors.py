"""The seed's vectors: all eighteen are there, as printed, and the samples say the same."""

import json
import re
from typing import Final

import pytest

from bayon.cms.samples import OPERATIONS, Sample
from cms.seed import TABLE, SeedOperation, operations

WITH_A_BODY: Final = {
    "create_account",
    "update_account",
    "create_cardholder",
    "update_cardholder",
    "create_card",
    "create_management_token",
    "update_card",
}
TANG_DARA: Final = (0x178F, 0x17B6, 0x17C6, 0x1784, 0x20, 0x178F, 0x17B6, 0x179A, 0x17B6)
META_KANHA: Final = (
    *(0x1798, 0x17C1, 0x178F, 0x17D2, 0x178F, 0x17B6, 0x20),
    *(0x1780, 0x1789, 0x17D2, 0x1789, 0x17B6),
)
FOUND: Final = {operation.name: operation for operation in operations()}

each = pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)


def test_there_are_eighteen_each_with_its_own_name() -> None:
    assert len(operations()) == len(FOUND) == 18
    assert len(re.findall(r"^curl ", TABLE.read_text(), re.MULTILINE)) == 18
    assert {name for name, operation in FOUND.items() if operation.body} == WITH_A_BODY


@each
def test_a_request_is_read_whole(operation: SeedOperation) -> None:
    assert operation.host == "https://cms-sandbox.bongloy.com"
    assert operation.method in ({"GET"} if operation.body is None else {"POST", "PATCH"})
    assert operation.headers.keys() == {"Authorization"}
    assert re.fullmatch(r"Bearer [\w-]{43}", operation.headers["Authorization"])
    assert re.fullmatch(r"/v1(/[a-z_]+|/[0-9a-f-]{36})+", operation.path)
    assert f"{operation.host}{operation.path}" in operation.curl
    assert (operation.body or "") in operation.curl
    assert isinstance(json.loads(operation.body or "{}"), dict)
    assert operation.answer.keys() <= {"data", "links"}


def test_only_one_request_has_a_query_half_of_it_encoded() -> None:
    queries = {name: operation.query for name, operation in FOUND.items() if operation.query}
    assert queries == {
        "list_transactions": "filter[status]=settled"
        "&filter[account]=174a7f39-49fa-4972-a996-6420b64bd957"
        "&filter[from_date]=2020-01-01T00%3A00%3A00Z&filter[to_date]=2020-01-01T12%3A00%3A00Z"
    }


def test_the_key_that_is_printed_twice_is_there_twice() -> None:
    body = FOUND["update_card"].body or ""
    assert body.startswith('{\n  "data": {\n    "attributes": {\n      "status": null,\n')
    ((_, data),) = json.loads(body, object_pairs_hook=list)
    assert data[0] == ("attributes", [("status", None), ("status", "inactive")])
    assert json.loads(body)["data"]["attributes"] == {"status": "inactive"}


def test_khmer_names_are_intact_to_the_code_point() -> None:
    asked = json.loads(FOUND["create_cardholder"].body or "")
    (listed,) = FOUND["list_cardholders"].answer["data"]
    for found, wanted in (
        (asked["data"], TANG_DARA),
        (FOUND["create_cardholder"].answer["data"], TANG_DARA),
        (FOUND["update_cardholder"].answer["data"], TANG_DARA),
        (FOUND["retrieve_cardholder"].answer["data"], META_KANHA),
        (listed, META_KANHA),
    ):
        name = found["attributes"]["additional_details"]["name_km"]
        assert tuple(map(ord, name)) == wanted


def test_the_samples_are_in_the_order_of_the_document() -> None:
    assert tuple(sample.name for sample in OPERATIONS) == tuple(FOUND)


@pytest.mark.parametrize("sample", OPERATIONS, ids=lambda sample: sample.name)
def test_a_sample_says_what_is_printed(sample: Sample) -> None:
    printed = FOUND[sample.name]
    path = re.sub(r"[0-9a-f-]{36}", "{id}", printed.path)
    assert (sample.method, sample.path, sample.status) == (printed.method, path, printed.status)
    assert sample.request == (printed.body and json.loads(printed.body))
    assert json.dumps(sample.answer) == json.dumps(printed.answer)
