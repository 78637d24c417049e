"""What a door describes itself: media type, schemas, parameters, and answers with nothing in them.

A door of its own, described and never served: what is served is described in `test_openapi.py`.
"""

from typing import Any, Final

import msgspec

from bayon.errors import BayonError, NotFound
from bayon.web import (
    Answer,
    Call,
    Field,
    Operation,
    Shown,
    describe,
    headers_of,
    refusals,
    with_refusals,
)

MEDIA_TYPE: Final = "application/vnd.test+json"
CARD: Final = {"$ref": "#/components/schemas/Card"}
ERRORS: Final = {"$ref": "#/components/schemas/Errors"}
ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}
SIZE: Final = {
    "name": "page[size]",
    "in": "query",
    "required": False,
    "schema": {"type": "integer"},
}
LOCATION: Final = {"Location": {"schema": {"type": "string"}, "description": "where it is"}}


async def serve(_call: Call) -> Answer:
    """Serve nothing."""
    return Answer(body=b"")


def refuse(error: BayonError) -> Answer:
    """Refuse in a dialect of its own."""
    status = 404 if isinstance(error, NotFound) else 422
    body = msgspec.json.encode({"errors": [{"code": error.code}]})
    return Answer(body=body, status=status, headers=headers_of(error), media_type=MEDIA_TYPE)


def operation(method: str, path: str, **more: Any) -> Operation:  # noqa: ANN401 - an operation's own members
    """Make an operation."""
    return Operation(
        name="x",
        method=method,
        path=path,
        summary="",
        serve=serve,
        media_type=MEDIA_TYPE,
        **more,
    )


def described(*operations: Operation) -> dict[str, Any]:
    """Describe a door."""
    return describe([("Cards", "", operations)], version="1", schemas={"Card": {"type": "object"}})


def test_a_door_brings_schemas_of_its_own() -> None:
    schemas = described()["components"]["schemas"]
    assert schemas.keys() == {"Envelope", "Card"}


def test_every_method_with_a_body_shows_it_in_the_doors_media_type() -> None:
    for method in ("POST", "PATCH", "PUT"):
        one = operation(method, "/v1/cards", body_schema=CARD, sample={"a": 1})
        shown = described(one)["paths"]["/v1/cards"][method.lower()]["requestBody"]
        media = {"schema": CARD, "example": {"a": 1}}
        assert shown == {"required": True, "content": {MEDIA_TYPE: media}}
    for method in ("GET", "DELETE"):
        one = operation(method, "/v1/cards")
        assert "requestBody" not in described(one)["paths"]["/v1/cards"][method.lower()]


def test_a_parameter_that_is_written_stands_for_the_one_that_is_made() -> None:
    made = operation(
        "GET",
        "/v1/cards/{card_id}/tokens/{id}",
        query=(Field(name="q", required=False),),
        parameters=(ID, SIZE),
    )
    shown = described(made)["paths"]["/v1/cards/{card_id}/tokens/{id}"]["get"]["parameters"]
    assert [(p["in"], p["name"]) for p in shown] == [
        ("path", "card_id"),
        ("path", "id"),
        ("query", "q"),
        ("query", "page[size]"),
    ]
    assert shown[0]["schema"] == {"type": "string"}
    assert shown[1] == ID


def test_an_answer_has_the_schema_and_the_headers_it_is_shown_with() -> None:
    created = Shown(status=201, title="Made", body={"a": 1}, schema=CARD, headers=LOCATION)
    made = operation("POST", "/v1/cards", answers=(created, Shown(status=204, title="Gone")))
    responses = described(made)["paths"]["/v1/cards"]["post"]["responses"]
    examples = {"Made": {"summary": "Made", "value": {"a": 1}}}
    assert responses["201"] == {
        "description": "Made",
        "content": {MEDIA_TYPE: {"schema": CARD, "examples": examples}},
        "headers": LOCATION,
    }
    assert responses["204"] == {"description": "Gone"}


def test_a_door_shows_its_own_refusals_beside_those_of_the_ladder() -> None:
    (plain,) = with_refusals([operation("GET", "/v1/cards")], refuse)
    (own,) = with_refusals(
        [operation("GET", "/v1/cards")],
        refuse,
        errors=lambda one: [("It is not there", NotFound()), *refusals(one)],
        schema=ERRORS,
    )
    assert {a.title for a in own.answers} == {"It is not there"} | {a.title for a in plain.answers}
    assert own.answers[0].body == {"errors": [{"code": "not_found"}]}
    responses = described(own)["paths"]["/v1/cards"]["get"]["responses"]
    assert responses.keys() == {"404", "422"}
    assert all(r["content"][MEDIA_TYPE]["schema"] == ERRORS for r in responses.values())
