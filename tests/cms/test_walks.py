"""Walks over pages: any size, both cursors, rows that come meanwhile, beside a small reference."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from cms.clerk import (
    NOBODY,
    Clerk,
    account_document,
    assert_seen_is_json_api,
    data_of,
    hire,
)
from jsonapi import wants_node
from sandboxes import Sandbox

SIZE_DEFAULT: Final = 10
SIZE_MAX: Final = 100

Page = tuple[list[str], tuple[str, str] | None, tuple[str, str] | None]
"""Ids, and where `prev` and `next` lead to: a cursor's name and the row it names."""


def reference(
    rows: Sequence[str], *, size: int = SIZE_DEFAULT, before: str | None, after: str | None
) -> Page:
    """Tell which page there must be of rows, the newest first."""
    cursor = before or after
    if cursor is not None and cursor not in rows:
        return [], None, None
    at = rows.index(cursor) if cursor is not None else -1
    if before is not None:
        page = list(rows[max(0, at - size) : at])
        newer, older = at > size, bool(page)
    else:
        page = list(rows[at + 1 : at + 1 + size])
        newer, older = bool(page), at + 1 + size < len(rows)
    prev_link = ("before", page[0]) if page and newer else None
    next_link = ("after", page[-1]) if page and older else None
    return page, prev_link, next_link


def asked(path: str, answer: dict[str, Any]) -> Page:
    """Read an answer as a page."""
    ids = [each["id"] for each in answer["data"]]
    return ids, _cursor(path, answer["links"]["prev"]), _cursor(path, answer["links"]["next"])


def _cursor(path: str, link: str | None) -> tuple[str, str] | None:
    if link is None:
        return None
    parts = urlsplit(link)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"http://bayon.test{path}"
    pairs = parse_qsl(parts.query, strict_parsing=True)
    assert pairs == sorted(pairs)
    assert not set(parts.query) & set("[]: ,")
    (found,) = [(n, v) for n, v in pairs if n in {"page[before]", "page[after]"}]
    return found[0][5:-1], found[1]


class Street:
    """Lists of an issuer, and what adds a row to each."""

    def __init__(self, clerk: Clerk, cardholder_id: str, account_id: str) -> None:
        self.clerk: Clerk = clerk
        self.cardholder_id: str = cardholder_id
        self.account_id: str = account_id

    async def insert(self, name: str) -> str:
        """Add a row to a list; returns its id."""
        match name:
            case "accounts":
                return (await self.clerk.account(self.cardholder_id))["id"]
            case "cards":
                return (await self.clerk.card(self.account_id))["id"]
            case "cardholders":
                return (await self.clerk.cardholder())["id"]
            case "transactions":
                return (await self.clerk.top_up(self.account_id, 1))["id"]
            case _:
                await self.clerk.account(self.cardholder_id)
                return data_of(await self.clerk.get("/v1/events?page[size]=1"))[0]["id"]


async def _street(town: Sandbox) -> Street:
    clerk = await hire(town)
    cardholder = await clerk.cardholder()
    account = await clerk.account(cardholder["id"])
    return Street(clerk, cardholder["id"], account["id"])


LISTS: Final = ("accounts", "cardholders", "cards", "events", "transactions")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", LISTS)
async def test_a_random_walk_agrees_with_the_reference(town: Sandbox, name: str, seed: int) -> None:
    dice = random.Random(f"{name} {seed}")  # noqa: S311 - no secret
    street = await _street(town)
    clerk, path = street.clerk, f"/v1/{name}"
    for _ in range(dice.randrange(8, 26)):
        await street.insert(name)
    rows = [each["id"] for each in data_of(await clerk.get(f"{path}?page[size]=100"))]
    followed: str | None = None
    for _ in range(60):
        if dice.random() < 0.15:
            await street.insert(name)
            rows = [each["id"] for each in data_of(await clerk.get(f"{path}?page[size]=100"))]
            assert len(rows) < SIZE_MAX
        if followed is None or dice.random() < 0.4:
            size = dice.choice([1, 2, 3, 7, 10, 30, 100])
            cursors = dict.fromkeys(dice.sample(["before", "after"], dice.randrange(3)))
            query = {f"page[{c}]": dice.choice([*rows, NOBODY, "x"]) for c in cursors}
            followed = _url(path, query | {"page[size]": str(size)})
        answer = (await clerk.get(followed)).json()
        pairs = dict(parse_qsl(urlsplit(followed).query))
        expected = reference(
            rows,
            size=int(pairs["page[size]"]),
            before=pairs.get("page[before]"),
            after=pairs.get("page[after]"),
        )
        assert asked(path, answer) == expected, followed
        link = answer["links"][dice.choice(["prev", "next"])]
        followed = None if link is None else link.removeprefix("http://bayon.test")


def _url(path: str, query: dict[str, str]) -> str:
    return f"{path}?" + "&".join(f"{name}={value}" for name, value in query.items())


@pytest.mark.parametrize("size", [1, 3, 10, 100])
async def test_a_walk_to_the_end_and_back_sees_every_row_once(town: Sandbox, size: int) -> None:
    street = await _street(town)
    path = "/v1/transactions"
    made = [await street.insert("transactions") for _ in range(23)][::-1]
    seen, last = await _walk(street.clerk, f"{path}?page[size]={size}", "next")
    assert [row for page in seen for row in page] == made
    assert {len(page) for page in seen[:-1]} <= {size}
    back, _ = await _walk(street.clerk, last, "prev")
    while back and not back[-1]:
        back.pop()  # beyond the newest row there is nothing yet
    assert [row for page in back[::-1] for row in page] == made


async def _walk(clerk: Clerk, path: str, to: str) -> tuple[list[list[str]], str]:
    """Follow links one way, until there is none; returns the pages, and the last address."""
    pages: list[list[str]] = []
    while True:
        answer = (await clerk.get(path)).json()
        pages.append([each["id"] for each in answer["data"]])
        link = answer["links"][to]
        if link is None:
            return pages, path
        path = link.removeprefix("http://bayon.test")


async def test_who_polls_what_is_newer_sees_every_new_row_once(town: Sandbox) -> None:
    street = await _street(town)
    await street.insert("transactions")
    poll = (await street.clerk.get("/v1/transactions?page[size]=2")).json()["links"]["prev"]
    seen: list[str] = []
    made: list[str] = []
    for count in (0, 1, 2, 3, 5, 0):
        made += [await street.insert("transactions") for _ in range(count)]
        while True:
            answer = (await street.clerk.get(poll.removeprefix("http://bayon.test"))).json()
            if not answer["data"]:
                assert answer["links"] == {"prev": None, "next": None}
                break
            ids = [each["id"] for each in answer["data"]]
            seen += ids[::-1]
            poll = _newer_than(ids[0])
    assert seen == made


def _newer_than(row_id: str) -> str:
    return f"http://bayon.test/v1/transactions?page[before]={row_id}&page[size]=2"


SIZES: Final = [
    ("1", 1),
    ("2", 2),
    ("%202", 2),
    ("%2B2", 2),
    ("+2", 2),
    ("02", 2),
    ("2.9", 2),
    ("2abc", 2),
    ("100", 100),
    ("101", 100),
    ("500", 100),
    ("99999999999999999999", 100),
    ("0", 1),
    ("-5", 1),
    ("-0", 1),
    ("", 1),
    ("abc", 1),
    ("0x10", 1),
    ("%D9%A3", 1),
    ("null", 1),
    ("1e2", 1),
]


async def test_a_size_is_clamped_and_stands_in_links_as_it_took_effect(town: Sandbox) -> None:
    street = await _street(town)
    bodies = [account_document(street.cardholder_id) for _ in range(101)]
    await asyncio.gather(*(street.clerk.post("/v1/accounts", body) for body in bodies))
    default = (await street.clerk.get("/v1/accounts")).json()
    assert len(default["data"]) == SIZE_DEFAULT
    assert "size" not in default["links"]["next"]
    for given, size in SIZES:
        answer = (await street.clerk.get(f"/v1/accounts?page[size]={given}")).json()
        assert len(answer["data"]) == size, given
        links: dict[str, str] = answer["links"]
        for link in links.values():
            assert dict(parse_qsl(urlsplit(link).query))["page[size]"] == str(size)


BAD_CURSORS: Final = ("x", "", "1", NOBODY, "00000000-0000-0000-0000-000000000000", "%00", "ក")


@pytest.mark.parametrize("name", LISTS)
async def test_a_cursor_that_is_no_row_gives_an_empty_page(town: Sandbox, name: str) -> None:
    street = await _street(town)
    await street.insert(name)
    nothing: dict[str, object] = {"data": [], "links": {"prev": None, "next": None}}
    for cursor in ("before", "after"):
        for value in BAD_CURSORS:
            answer = await street.clerk.get(f"/v1/{name}?page[{cursor}]={value}")
            assert (answer.status_code, answer.json()) == (200, nothing), value
    kind = "cards" if name == "accounts" else "accounts"
    elsewhere = await street.insert(kind)
    answer = await street.clerk.get(f"/v1/{name}?page[after]={elsewhere}")
    assert answer.json() == nothing


@pytest.mark.parametrize("name", LISTS)
async def test_of_two_cursors_before_wins_and_links_have_one(town: Sandbox, name: str) -> None:
    street = await _street(town)
    for _ in range(4):
        await street.insert(name)
    path = f"/v1/{name}"
    rows = [each["id"] for each in data_of(await street.clerk.get(f"{path}?page[size]=100"))]
    query = f"page[after]={rows[0]}&page[before]={rows[3]}&page[size]=2"
    answer = (await street.clerk.get(f"{path}?{query}")).json()
    assert asked(path, answer) == (rows[1:3], ("before", rows[1]), ("after", rows[2]))


async def test_the_last_page_before_the_newest_row_has_no_newer_one(town: Sandbox) -> None:
    street = await _street(town)
    for _ in range(5):
        await street.insert("transactions")
    path = "/v1/transactions"
    rows = [each["id"] for each in data_of(await street.clerk.get(path))]
    for cursor, page, newer in ((2, rows[:2], None), (3, rows[1:3], rows[1]), (0, [], None)):
        query = f"page[before]={rows[cursor]}&page[size]=2"
        answer = asked(path, (await street.clerk.get(f"{path}?{query}")).json())
        older = ("after", page[-1]) if page else None
        assert answer == (page, ("before", newer) if newer else None, older)


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
