"""Paths: where each leads in a small table, and which prefixes all of them begin with."""

from typing import Final

import pytest

from bayon.web.paths import Paths

PATHS: Final = Paths(
    [
        ("/v1/cards", "GET", "list"),
        ("/v1/cards", "POST", "issue"),
        ("/v1/cards/{id}", "GET", "read"),
        ("/v1/cards/{id}", "PATCH", "change"),
        ("/v1/cards/search", "GET", "search"),
        ("/v1/cards/{card_id}/tokens", "POST", "token"),
        ("/v1/cards/{card_id}/tokens/{id}", "GET", "read token"),
        ("/v1/cards/mine/tokens/{id}", "GET", "read my token"),
        ("/v1/verify", "POST", "verify"),
    ]
)

LED: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "/v1/verify": ("/v1/verify", {}),
    "/v1/verify/": ("/v1/verify", {}),
    "/v1/cards": ("/v1/cards", {}),
    "/v1/cards/": ("/v1/cards", {}),
    "/v1/cards/a": ("/v1/cards/{id}", {"id": "a"}),
    "/v1/cards/a/": ("/v1/cards/{id}", {"id": "a"}),
    "/v1/cards/a b{}?é": ("/v1/cards/{id}", {"id": "a b{}?é"}),
    "/v1/cards/{id}": ("/v1/cards/{id}", {"id": "{id}"}),
    "/v1/cards/search": ("/v1/cards/search", {}),
    "/v1/cards/searched": ("/v1/cards/{id}", {"id": "searched"}),
    "/v1/cards/search/tokens": ("/v1/cards/{card_id}/tokens", {"card_id": "search"}),
    "/v1/cards/mine": ("/v1/cards/{id}", {"id": "mine"}),
    "/v1/cards/mine/tokens": ("/v1/cards/{card_id}/tokens", {"card_id": "mine"}),
    "/v1/cards/mine/tokens/t": ("/v1/cards/mine/tokens/{id}", {"id": "t"}),
    "/v1/cards/a/tokens/t": ("/v1/cards/{card_id}/tokens/{id}", {"card_id": "a", "id": "t"}),
}
NOWHERE: Final = [
    "",
    "/",
    "v1/verify",
    "/V1/verify",
    "/v1",
    "/v1/verify//",
    "/v1/verify/a",
    "/v1/cardsa",
    "/v1/cards//",
    "/v1/cards//tokens",
    "/v1/cards/a//",
    "/v1/cards/a/nope",
    "/v1/cards/a/tokens/t/u",
    "//v1/cards/a",
]


@pytest.mark.parametrize("path", LED)
def test_a_path_leads_to_its_place_with_its_parameters(path: str) -> None:
    found = PATHS.find(path)
    assert found is not None
    assert (found.template, found.parameters) == LED[path]
    assert found.path == path.removesuffix("/")


@pytest.mark.parametrize("path", NOWHERE)
def test_any_other_path_leads_nowhere(path: str) -> None:
    assert PATHS.find(path) is None


def test_a_place_has_the_methods_that_its_lines_name() -> None:
    found = PATHS.find("/v1/cards/a")
    assert found is not None
    assert found.methods == {"GET": "read", "PATCH": "change"}


def test_a_place_has_one_name_for_each_parameter() -> None:
    with pytest.raises(AssertionError):
        Paths([("/v1/cards/{id}", "GET", 1), ("/v1/cards/{card_id}", "PATCH", 2)])


@pytest.mark.parametrize(
    ("templates", "prefixes"),
    [
        (["/a"], {"/a": False}),
        (["/a", "/b"], {"/a": False, "/b": False}),
        (["/a", "/a/{x}", "/a/{x}/b"], {"/a": True}),
        (["/a/{x}"], {"/a": True}),
        (["/a/{x}", "/a/b"], {"/a": True}),
        (["/a/{x}", "/a/b/{y}"], {"/a": True}),
        (["/a/b/{x}", "/a"], {"/a": False, "/a/b": True}),
        (["/a/{x}", "/ab", "/abc/{x}"], {"/a": True, "/ab": False, "/abc": True}),
    ],
)
def test_few_prefixes_have_all_paths_below_them(
    templates: list[str], prefixes: dict[str, bool]
) -> None:
    assert Paths((template, "GET", 0) for template in templates).prefixes() == prefixes
