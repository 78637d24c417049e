"""Queries: what may be asked for, and what is said of what may not."""

import itertools
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from cms.clerk import (
    NOBODY,
    Clerk,
    Resource,
    assert_seen_is_json_api,
    data_of,
    errors_of,
    hire,
    numbers_of,
    pointed,
)
from jsonapi import wants_node
from sandboxes import Sandbox

LISTS: Final = ("accounts", "cardholders", "cards", "events", "transactions")
TOGETHER: Final = "account,account.cardholder,card"


@dataclass(frozen=True, kw_only=True)
class World:
    """Two cardholders; three accounts, a card each; transactions of every status there is."""

    clerk: Clerk
    cardholders: list[Resource]
    accounts: list[Resource]
    cards: list[Resource]
    transactions: dict[str, str]

    async def ids(self, path: str) -> list[str]:
        """List the ids of what is asked for."""
        return [each["id"] for each in data_of(await self.clerk.get(path))]


@pytest.fixture(scope="module")
async def world(clerk: Clerk) -> World:
    """Make a world."""
    cardholders = [await clerk.cardholder() for _ in range(2)]
    whose = (cardholders[0], cardholders[0], cardholders[1])
    accounts = [await clerk.account(each["id"]) for each in whose]
    cards = [await clerk.card(account["id"]) for account in accounts]
    made: dict[str, str] = {}
    for n in range(6):
        time = f"2020-01-0{n + 1}T00:00:00Z"
        top_up = await clerk.top_up(accounts[0]["id"], 5_000, transaction_time=time)
        made[f"day {n + 1}"] = top_up["id"]
    made["pending"] = await clerk.authorize(cards[0]["id"], 100)
    made["settled"] = await clerk.clear(await clerk.authorize(cards[0]["id"], 200))
    made["declined"] = await clerk.authorize(cards[1]["id"], 300)
    made["other account's"] = (await clerk.top_up(accounts[2]["id"], 400))["id"]
    made["other card's"] = await clerk.authorize(cards[2]["id"], 50)
    return World(
        clerk=clerk, cardholders=cardholders, accounts=accounts, cards=cards, transactions=made
    )


UNKNOWN: Final = [
    *("colour", "Include", "filters[x]", "filter", "filter[]", "filter[x", "page", "page[number]"),
    *("page[offset]", "fields", "fields[colour]", "include[x]", "filter[status][x]", "sort[x]"),
    *("filter[Status]", "limit", "q", "ក", "filter[status]x", "\0"),
]
ASKED: Final = [
    "/v1/accounts",
    "/v1/cardholders",
    "/v1/cards",
    "/v1/events",
    "/v1/transactions",
    "/v1/issuer",
    f"/v1/accounts/{NOBODY}",
    f"/v1/accounts/{NOBODY}/balance",
    f"/v1/cards/{NOBODY}/controls",
]


@pytest.mark.parametrize("path", ASKED)
async def test_a_parameter_nobody_knows_is_named(clerk: Clerk, path: str) -> None:
    for name in (*UNKNOWN, "sort"):
        for value in ("", "x", "-created_at"):
            answer = await clerk.get(f"{path}?{quote(name)}={quote(value)}")
            assert pointed(answer, 400) == {name: "is not supported"}


REFUSED: Final = [
    ("accounts", "include", "colour", "must be one of: cardholder; there is no colour"),
    ("accounts", "include", "cardholder,card", "must be one of: cardholder; there is no card"),
    ("accounts", "include", "cardholder.accounts", "must be one of: cardholder"),
    ("accounts", "include", " cardholder", "must be one of: cardholder"),
    ("cards", "include", "cardholder", "must be one of: account, account.cardholder"),
    ("cardholders", "include", "accounts", "is not supported"),
    ("events", "include", "details", "is not supported"),
    ("accounts", "fields[account]", "colour", "has no colour"),
    ("accounts", "fields[account]", "number,colour,id", "has no colour, id"),
    ("accounts", "fields[cardholder]", "number", "has no number"),
    ("accounts", "fields[card]", "status", "is not supported"),
    ("accounts", "filter[cardholder]", "", "must be filled"),
    ("accounts", "filter[cardholder]", "x", "is invalid"),
    ("accounts", "filter[number]", "000000", "is not supported"),
    ("cards", "filter[cardholder]", "1,2", "is invalid"),
    ("transactions", "filter[account]", "x", "is invalid"),
    ("transactions", "filter[card]", "", "must be filled"),
    ("transactions", "filter[status]", "Settled", "must be one of: pending, settled"),
    ("transactions", "filter[status]", "settled,pending", "must be one of: pending, settled"),
    ("transactions", "filter[balance_adjustment_type]", "x", "must be one of: credit, debit"),
    *(
        (name, f"filter[{end}]", value, "must be")
        for name in ("transactions", "events")
        for end in ("from_date", "to_date")
        for value in (
            *("", "x", "2020-13-01", "2020-02-30", "01/01/2020", "1577836800", "2020-01-01T25:00"),
            *("2020-01-01T00:00:60Z", "9999-12-31T23:59:59-14:00", "2020-01-01T00:00:00 +07:00"),
        )
    ),
    ("events", "filter[type]", "transaction", "must be one of: transaction.created"),
]


@pytest.mark.parametrize(("name", "parameter", "value", "title"), REFUSED)
async def test_a_value_nobody_understands_is_named(
    clerk: Clerk, name: str, parameter: str, value: str, title: str
) -> None:
    answer = await clerk.get(f"/v1/{name}?{quote(parameter)}={quote(value)}")
    told = pointed(answer, 400)
    assert told.keys() == {parameter}
    assert told[parameter].startswith(title)


async def test_everything_that_is_not_understood_is_named_at_once(clerk: Clerk) -> None:
    query = "sort=x&include=x&fields[account]=x&fields[x]=y&filter[cardholder]=x&page[x]=1&x=y"
    told = pointed(await clerk.get(f"/v1/accounts?{query}&page[size]=x"), 400)
    assert told.keys() == {name for name, _ in parse_qsl(query)}
    for error in errors_of(await clerk.get(f"/v1/accounts?{query}"), 400):
        assert error["code"] == "bad_query"
        assert error["source"].keys() == {"parameter"}


@pytest.mark.parametrize("query", ["filter[cardholder]=%ff", "%ff=x", "x" * 9_000, "%00%"])
async def test_a_query_that_is_none_is_refused(clerk: Clerk, query: str) -> None:
    assert errors_of(await clerk.get(f"/v1/accounts?{query}"), 400)[0]["code"] == "bad_query"


async def test_brackets_may_be_encoded_and_empty_parts_do_not_matter(world: World) -> None:
    cardholder_id = world.cardholders[1]["id"]
    wanted = [world.accounts[2]["id"]]
    for query in (
        f"filter[cardholder]={cardholder_id}",
        f"filter%5Bcardholder%5D={cardholder_id}",
        f"%66ilter[cardholder]={cardholder_id.upper()}",
        f"&&filter[cardholder]={cardholder_id}&",
        f"filter[cardholder]={cardholder_id}&include=&fields[account]=",
    ):
        assert await world.ids(f"/v1/accounts?{query}") == wanted


async def test_lists_are_filtered(world: World) -> None:
    one, other = (holder["id"] for holder in world.cardholders)
    accounts, cards = ([r["id"] for r in rs] for rs in (world.accounts, world.cards))
    assert await world.ids(f"/v1/accounts?filter[cardholder]={one}") == accounts[1::-1]
    assert await world.ids(f"/v1/accounts?filter[cardholder]={other}") == accounts[2:]
    assert await world.ids(f"/v1/cards?filter[cardholder]={one}") == cards[1::-1]
    assert await world.ids(f"/v1/cards?filter[cardholder]={other}") == cards[2:]
    for path in ("accounts?filter[cardholder]", "cards?filter[cardholder]"):
        for unknown in (NOBODY, accounts[0]):
            answer = (await world.clerk.get(f"/v1/{path}={unknown}")).json()
            assert answer == {"data": [], "links": {"prev": None, "next": None}}


SHOWN: Final = {"pending", "settled", "other account's", "other card's"} | {
    f"day {n}" for n in range(1, 7)
}
OF_FIRST: Final = {"pending", "settled"} | {f"day {n}" for n in range(1, 7)}
FILTERS: Final[list[tuple[dict[str, str], set[str]]]] = [
    ({}, SHOWN),
    ({"status": "pending"}, {"pending", "other card's"}),
    ({"status": "settled"}, SHOWN - {"pending", "other card's"}),
    ({"status": "declined"}, {"declined"}),
    ({"status": "reversed"}, set()),
    ({"status": "expired"}, set()),
    ({"balance_adjustment_type": "debit"}, {"pending", "settled", "other card's"}),
    ({"balance_adjustment_type": "credit"}, SHOWN - {"pending", "settled", "other card's"}),
    ({"account": "0"}, OF_FIRST),
    ({"account": "1"}, set()),
    ({"account": "1", "status": "declined"}, {"declined"}),
    ({"account": "2"}, {"other account's", "other card's"}),
    ({"card": "0"}, {"pending", "settled"}),
    ({"card": "1"}, set()),
    ({"card": "2"}, {"other card's"}),
    ({"account": "0", "card": "0"}, {"pending", "settled"}),
    ({"account": "2", "card": "0"}, set()),
    ({"card": "0", "status": "settled", "balance_adjustment_type": "debit"}, {"settled"}),
    ({"card": "0", "status": "settled", "balance_adjustment_type": "credit"}, set()),
    ({"account": "0", "from_date": "2020-01-02", "to_date": "2020-01-03"}, {"day 2", "day 3"}),
    ({"status": "pending", "to_date": "2020-12-31"}, set()),
]


@pytest.mark.parametrize(("filters", "wanted"), FILTERS)
async def test_transactions_are_filtered(
    world: World, filters: dict[str, str], wanted: set[str]
) -> None:
    places = {"account": world.accounts, "card": world.cards}
    given = {n: places[n][int(v)]["id"] if n in places else v for n, v in filters.items()}
    query = "&".join(f"filter[{name}]={value}" for name, value in given.items())
    found = await world.ids(f"/v1/transactions?{query}&page[size]=100")
    assert set(found) == {world.transactions[name] for name in wanted}
    assert len(found) == len(wanted)
    assert found == sorted(found, key=list(world.transactions.values()).index, reverse=True)


DAYS: Final[list[tuple[str | None, str | None, str]]] = [
    ("2020-01-02T00:00:00Z", "2020-01-04T00:00:00Z", "234"),
    ("2020-01-02T00:00:00Z", "2020-01-02T00:00:00Z", "2"),
    ("2020-01-02T00:00:01Z", "2020-01-03T23:59:59Z", "3"),
    ("2020-01-02T00:00:00.000001Z", "2020-01-04T00:00:00Z", "34"),
    ("2020-01-02", "2020-01-02", "2"),
    ("20200102", "20200103", "23"),
    ("2020-01-01T23:59:59", "2020-01-02T00:00:00", "2"),
    ("2020-01-02T07:00:00+07:00", "2020-01-02T07:00:00+07:00", "2"),
    ("2020-01-02T07:00:00%2B07:00", "2020-01-03T07:00:00%2B07:00", "23"),
    ("2020-01-02T07:00:01+07:00", "2020-01-03T06:59:59+07:00", ""),
    ("2020-01-01T19:00:00-05:00", "2020-01-01T19:00:00-05:00", "2"),
    (None, "2020-01-02", "12"),
    (None, "2020-01-01T23:59:59Z", "1"),
    (None, "2019-12-31", ""),
    (None, "1969-12-31", ""),
    (None, "0001-01-01", ""),
    ("2020-01-05T12:00:00Z", "2020-12-31", "6"),
    ("0001-01-01", "2020-01-01", "1"),
    ("9999-12-31T23:59:59Z", None, ""),
    ("0001-01-01", "9999-12-31T23:59:59.999999Z", "123456"),
]


@pytest.mark.parametrize(("since", "until", "days"), DAYS)
async def test_both_ends_of_a_time_are_included(
    world: World, since: str | None, until: str | None, days: str
) -> None:
    ends = {"from_date": since, "to_date": until}
    query = "".join(f"&filter[{name}]={value}" for name, value in ends.items() if value)
    account_id = world.accounts[0]["id"]
    path = f"/v1/transactions?filter[balance_adjustment_type]=credit&filter[account]={account_id}"
    wanted = [world.transactions[f"day {day}"] for day in reversed(days)]
    assert await world.ids(path + query) == wanted


@pytest.mark.parametrize("name", ["transactions", "events"])
async def test_a_time_that_ends_before_it_begins_is_refused(clerk: Clerk, name: str) -> None:
    for since, until in (
        ("2020-01-02", "2020-01-01"),
        ("2020-01-02T00:00:01Z", "2020-01-02T00:00:00Z"),
        ("2020-01-02T00:00:00Z", "2020-01-02T00:00:00+07:00"),
        ("9999-12-31", "0001-01-01"),
    ):
        query = f"filter[from_date]={since}&filter[to_date]={until}"
        answer = await clerk.get(f"/v1/{name}?{query}")
        told = {"filter[to_date]": "must not be before filter[from_date]"}
        assert pointed(answer, 400) == told


async def test_events_are_found_by_the_time_and_the_type_they_show(world: World) -> None:
    events = data_of(await world.clerk.get("/v1/events?page[size]=100"))
    kinds = {event["attributes"]["type"] for event in events}
    assert {"transaction.created", "transaction.declined", "account.created"} <= kinds
    for kind in kinds:
        of_kind = [event["id"] for event in events if event["attributes"]["type"] == kind]
        assert await world.ids(f"/v1/events?filter[type]={kind}&page[size]=100") == of_kind
    for time, same in itertools.groupby(events, lambda event: event["attributes"]["created_at"]):
        query = f"filter[from_date]={time}&filter[to_date]={time}&page[size]=100"
        assert await world.ids(f"/v1/events?{query}") == [event["id"] for event in same]


INCLUDED: Final = [
    ("accounts", "cardholder", {"cardholder"}),
    ("cards", "account", {"account"}),
    ("cards", "account.cardholder", {"account", "cardholder"}),
    ("cards", "account,account.cardholder", {"account", "cardholder"}),
    ("transactions", "account", {"account"}),
    ("transactions", "card", {"card"}),
    ("transactions", "card.account", {"card", "account"}),
    ("transactions", "account.cardholder,card", {"account", "cardholder", "card"}),
    ("transactions", f"{TOGETHER},card.account,{TOGETHER}", {"account", "cardholder", "card"}),
]


def linked(resources: list[Resource]) -> set[tuple[str, str]]:
    """List what resources are related to."""
    relationships = [each.get("relationships", {}) for each in resources]
    return {
        (one["data"]["type"], one["data"]["id"]) for all_ in relationships for one in all_.values()
    }


def named(resources: list[Resource]) -> set[tuple[str, str]]:
    """List what resources are."""
    return {(each["type"], each["id"]) for each in resources}


@pytest.mark.parametrize(("name", "include", "kinds"), INCLUDED)
async def test_what_is_included_is_linked_whole_and_there_once(
    world: World, name: str, include: str, kinds: set[str]
) -> None:
    path = f"/v1/{name}?page[size]=100&include={include}"
    document = (await world.clerk.get(path)).json()
    included: list[Resource] = document["included"]
    assert len(named(included)) == len(included)
    assert {each["type"] for each in included} == kinds
    everything = document["data"] + included
    assert named(included) <= linked(everything)
    for kind in kinds:
        wanted = {each for each in linked(everything) if each[0] == kind}
        assert {each for each in named(included) if each[0] == kind} == wanted
    plain = {"data": document["data"], "links": document["links"]}
    assert data_of(await world.clerk.get(f"/v1/{name}?page[size]=100")) == plain["data"]
    for each in included:
        assert data_of(await world.clerk.get(f"/v1/{each['type']}s/{each['id']}")) == each


@pytest.mark.parametrize(("name", "include", "kinds"), INCLUDED)
async def test_one_resource_includes_what_is_related_too(
    world: World, name: str, include: str, kinds: set[str]
) -> None:
    ids = {"accounts": world.accounts[0]["id"], "cards": world.cards[0]["id"]}
    ids["transactions"] = world.transactions["settled"]
    document = (await world.clerk.get(f"/v1/{name}/{ids[name]}?include={include}")).json()
    assert {each["type"] for each in document["included"]} == kinds
    assert len(document["included"]) == len(kinds)
    assert "included" not in (await world.clerk.get(f"/v1/{name}/{ids[name]}")).json()


async def test_what_is_not_related_is_not_included(world: World) -> None:
    path = f"/v1/transactions/{world.transactions['day 1']}?include=card,card.account"
    assert (await world.clerk.get(path)).json()["included"] == []
    for name in ("accounts", "cards", "transactions"):
        for include in ("", ","):
            document = (await world.clerk.get(f"/v1/{name}?include={include}")).json()
            assert document["included"] == []


async def test_nothing_is_included_where_there_is_nothing(town: Sandbox) -> None:
    clerk = await hire(town)
    for name, include in (
        ("accounts", "cardholder"),
        ("cards", "account"),
        ("transactions", "card"),
    ):
        assert (await clerk.get(f"/v1/{name}?include={include}")).json() == {
            "data": [],
            "included": [],
            "links": {"prev": None, "next": None},
        }


THINNED: Final[list[tuple[str, str, str, set[str], set[str]]]] = [
    ("accounts", "account", "number", {"number"}, set()),
    ("accounts", "account", "number,cardholder", {"number"}, {"cardholder"}),
    ("accounts", "account", "cardholder", set(), {"cardholder"}),
    ("accounts", "account", "", set(), set()),
    ("cardholders", "cardholder", "name,individual", {"name", "individual"}, set()),
    ("cards", "card", "type,status,account", {"type", "status"}, {"account"}),
    ("events", "event", "type", {"type"}, set()),
    ("events", "event", "type,details,created_at", {"type", "details", "created_at"}, set()),
    ("transactions", "transaction", "amount,account", {"amount"}, {"account"}),
]


@pytest.mark.parametrize("case", THINNED, ids=lambda case: f"{case[0]}-{case[2]}")
async def test_only_the_fields_that_are_asked_for_are_there(
    world: World, case: tuple[str, str, str, set[str], set[str]]
) -> None:
    name, kind, fields, attributes, relationships = case
    for each in data_of(await world.clerk.get(f"/v1/{name}?fields[{kind}]={fields}")):
        path = f"/v1/{name}/{each['id']}"
        assert data_of(await world.clerk.get(f"{path}?fields[{kind}]={fields}")) == each
        whole = data_of(await world.clerk.get(path))
        assert each.get("attributes", {}).keys() == attributes
        assert each.get("relationships", {}).keys() == relationships
        assert each.get("attributes", {}).items() <= whole["attributes"].items()
        assert ("attributes" in each, "relationships" in each) == (
            bool(attributes),
            bool(relationships),
        )


async def test_what_is_included_is_thinned_by_its_own_fields(world: World) -> None:
    query = "include=account.cardholder&fields[cardholder]=name&fields[account]=number"
    document = (await world.clerk.get(f"/v1/cards?{query}")).json()
    kinds = {each["type"]: each for each in document["included"]}
    assert kinds["cardholder"]["attributes"] == {"name": "Tang Dara"}
    assert kinds["account"]["attributes"].keys() == {"number"}
    assert "relationships" not in kinds["account"]
    assert len(document["data"][0]["attributes"]) == 7


async def test_everything_together_goes_on_in_links(world: World) -> None:
    status = "settled"
    query = {
        "page[size]": "2",
        "filter[status]": status,
        "include": "account",
        "filter[from_date]": "2020-01-01T07:00:00+07:00",
        "fields[transaction]": "amount,account",
        "filter[account]": world.accounts[0]["id"],
    }
    path = "/v1/transactions?" + "&".join(f"{n}={v}" for n, v in query.items())
    seen: list[str] = []
    while path:
        answer = (await world.clerk.get(path)).json()
        seen += [each["id"] for each in answer["data"]]
        assert all(each["attributes"].keys() == {"amount"} for each in answer["data"])
        assert [each["type"] for each in answer["included"]] == ["account"]
        link = answer["links"]["next"]
        path = "" if link is None else _checked(link, seen[-1])
    wanted = ["settled", *(f"day {n}" for n in range(6, 0, -1))]
    assert seen == [world.transactions[name] for name in wanted]


def _checked(link: str, last: str) -> str:
    """Judge a link by the letter, and make of it what a client would send."""
    parts = urlsplit(link)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://bayon.test/v1/transactions"
    pairs = parse_qsl(parts.query, strict_parsing=True)
    assert pairs == sorted(pairs)
    assert dict(pairs)["page[after]"] == last
    assert not set(parts.query) & set("[]: ,")
    assert len(pairs) == 7
    return link.removeprefix("http://bayon.test")


async def test_a_list_of_accounts_is_the_newest_first(world: World) -> None:
    found = data_of(await world.clerk.get("/v1/accounts"))
    assert numbers_of(found) == numbers_of(world.accounts)[::-1]


async def test_a_public_url_is_where_links_stand(world: World) -> None:
    clerk = world.clerk
    answer = await clerk.get("/v1/accounts?page[size]=1", Host="cms.bank.example:8443")
    links: dict[str, Any] = answer.json()["links"]
    assert links["next"].startswith("http://cms.bank.example:8443/v1/accounts?page%5Bafter%5D=")


@wants_node
async def test_every_document_of_this_file_is_json_api() -> None:
    await assert_seen_is_json_api()
