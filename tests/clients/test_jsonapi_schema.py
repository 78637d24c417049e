"""JSON:API's own schema: the seed's answers pass with what is waived, and broken ones do not."""

from collections.abc import Mapping
from typing import Final

import pytest

from cms.seed import operations
from jsonapi import schema_failures, wants_node

SEED: Final = [(operation.name, operation.answer) for operation in operations()]
WITH_AN_ATTRIBUTE_TYPE: Final = {
    name for name, _ in SEED if not name.endswith(("_balance", "_account", "_accounts"))
}
LISTS: Final = {name for name, _ in SEED if name.startswith("list_")}
CARD: Final[Mapping[str, object]] = {"type": "card", "id": "1"}
ACCOUNT: Final[Mapping[str, object]] = {"type": "account", "id": "2"}
ENCODED: Final = "http://bayon.test/v1/cards?page%5Bbefore%5D=1"

SOUND: Final[dict[str, object]] = {
    "a resource": {"data": CARD},
    "an empty list": {"data": [], "links": {"prev": None, "next": None}},
    "a list with links": {"data": [CARD], "links": {"prev": ENCODED, "next": None}},
    "included": {"data": CARD, "included": [ACCOUNT]},
    "a relationship": {"data": {**CARD, "relationships": {"account": {"data": ACCOUNT}}}},
    "an error": {"errors": [{"status": "404", "code": "not_found", "title": "Not found"}]},
    "an error's pointer": {"errors": [{"source": {"pointer": "/data/attributes/number"}}]},
    "an error's parameter": {"errors": [{"source": {"parameter": "filter[status]"}}]},
    "only meta": {"meta": {"version": 1}},
}
BROKEN: Final[dict[str, object]] = {
    "nothing": {},
    "a list": [],
    "data and errors": {"data": None, "errors": []},
    "a member of its own": {"data": None, "status": 200},
    "included without data": {"included": [CARD]},
    "included twice": {"data": CARD, "included": [ACCOUNT, ACCOUNT]},
    "no id": {"data": {"type": "card"}},
    "no type": {"data": {"id": "1"}},
    "an id that is a number": {"data": {"type": "card", "id": 1}},
    "a resource's own member": {"data": {**CARD, "status": "active"}},
    "an attribute id": {"data": {**CARD, "attributes": {"id": "1"}}},
    "an attribute's name": {"data": {**CARD, "attributes": {"last four": "1178"}}},
    "attributes that are a list": {"data": {**CARD, "attributes": []}},
    "a bare relationship": {"data": {**CARD, "relationships": {"account": ACCOUNT}}},
    "an empty relationship": {"data": {**CARD, "relationships": {"account": {}}}},
    "a link that is a number": {"data": [], "links": {"next": 7}},
    "a link that is no URL": {"data": [], "links": {"next": "page 2"}},
    "a link with bare brackets": {"data": [], "links": {"next": "/v1/cards?page[after]=1"}},
    "errors that are no list": {"errors": {"title": "Not found"}},
    "a status that is a number": {"errors": [{"status": 404}]},
    "an error's own member": {"errors": [{"title": "Not found", "pointer": "/data"}]},
    "an error said twice": {"errors": [{"title": "Not found"}, {"title": "Not found"}]},
    "a pointer that is a list": {"errors": [{"source": {"pointer": ["data"]}}]},
}

pytestmark = wants_node


@pytest.mark.parametrize(
    ("waivers", "fail", "count"),
    [
        (("attribute-type", "null-link"), set[str](), 0),
        (("null-link",), WITH_AN_ATTRIBUTE_TYPE, 13),
        (("attribute-type",), LISTS, 5),
        ((), WITH_AN_ATTRIBUTE_TYPE | LISTS, 14),
    ],
)
async def test_the_seeds_answers_fail_only_for_what_is_waived(
    waivers: tuple[str, ...], fail: set[str], count: int
) -> None:
    failures = await schema_failures(SEED, waivers=waivers)
    assert len(SEED) == 18
    assert len(failures) == count
    assert {failure.name for failure in failures} == fail


async def test_sound_documents_pass() -> None:
    assert await schema_failures(list(SOUND.items())) == []


async def test_broken_documents_fail_each_with_its_errors() -> None:
    failures = await schema_failures(list(BROKEN.items()))
    assert [failure.name for failure in failures] == list(BROKEN)
    assert all(failure.errors for failure in failures)
    (no_id,) = [failure.errors for failure in failures if failure.name == "no id"]
    assert any("/data must have required property 'id'" in error for error in no_id)


async def test_a_broken_answer_is_found_among_sound_ones() -> None:
    (failure,) = await schema_failures([*SEED, ("broken", {"data": {}}), *SEED])
    assert failure.name == "broken"


async def test_a_waiver_nobody_knows_is_no_waiver() -> None:
    with pytest.raises(AssertionError, match="TypeError"):
        await schema_failures(SEED, waivers=["everything"])
