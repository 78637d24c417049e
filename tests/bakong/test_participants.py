"""The participant API: own accounts only, repeats without a second effect, lists, refunds."""

import asyncio
from typing import Any, Final

import pytest

from factories import make_qr
from sandboxes import PAYER, RECEIVER, OpenSandbox, Sandbox, envelope

SHOP: Final = "shop@wing"
DEPOSIT: Final = {"accountId": PAYER, "amount": 1, "currency": "USD"}


async def balances(sandbox: Sandbox, account_id: str) -> dict[str, float]:
    """Read what is available on an account, by currency."""
    token = sandbox.other_bank_token if account_id == SHOP else sandbox.bank_token
    answer = envelope(await sandbox.get(f"/participant/v1/accounts/{account_id}", token=token))
    assert all(b["available"] == b["posted"] for b in answer["data"]["balances"])
    return {b["currency"]: b["available"] for b in answer["data"]["balances"]}


async def transfers(sandbox: Sandbox) -> int:
    """Count what moved."""
    count: int = await sandbox.value("SELECT count(*) FROM ledger.transfer")
    return count


async def made(sandbox: Sandbox) -> int:
    """Count payments, declined ones too."""
    count: int = await sandbox.value("SELECT count(*) FROM payments.payment")
    return count


# Accounts, and whose they are.


async def test_an_account_is_opened_filled_and_read(town: Sandbox) -> None:
    opening = {"accountId": "Sok@devb", "name": "សុខ", "currencies": ["KHR", "USD"]}
    opened = envelope(await town.bank("accounts", opening))
    empty = [
        {"currency": "KHR", "available": 0.0, "posted": 0.0},
        {"currency": "USD", "available": 0.0, "posted": 0.0},
    ]
    assert opened["data"] == {"accountId": "sok@devb", "name": "សុខ", "balances": empty}
    for amount, currency in ((12.34, "USD"), (5_000, "KHR")):
        deposit = {"accountId": "sok@devb", "amount": amount, "currency": currency}
        assert envelope(await town.bank("deposits", deposit))["responseCode"] == 0
    assert await balances(town, "SOK@devb") == {"USD": 12.34, "KHR": 5_000.0}
    assert envelope(await town.bank("accounts", opening))["responseMessage"] == (
        "This account ID is taken."
    )


@pytest.mark.parametrize(
    "account_id", ["x@wing", "x@DEVC", "x", "x@y@devb", "", "a" * 28 + "@devb"]
)
async def test_an_account_is_opened_under_its_own_banks_code_only(
    town: Sandbox, account_id: str
) -> None:
    before = await town.value("SELECT count(*) FROM payments.account")
    opening = {"accountId": account_id, "name": "X", "currencies": ["USD"]}
    assert envelope(await town.bank("accounts", opening))["errorCode"] == 12
    assert await town.value("SELECT count(*) FROM payments.account") == before


async def test_a_bank_sees_and_debits_its_own_accounts_only(town: Sandbox) -> None:
    token = town.other_bank_token
    moved = await transfers(town)
    answers = [
        await town.get(f"/participant/v1/accounts/{PAYER}", token=token),
        await town.get("/participant/v1/accounts/nobody@wing", token=token),
        await town.bank("deposits", DEPOSIT, other=True),
        await town.bank(
            "payments", {"fromAccountId": PAYER, "qr": make_qr(amount_minor=1)}, other=True
        ),
        await town.bank(
            "payments",
            {"fromAccountId": PAYER, "toAccountId": SHOP, "amount": 1, "currency": "USD"},
            other=True,
        ),
    ]
    for answer in answers:
        assert (answer.status_code, envelope(answer)["errorCode"]) == (200, 11)
    assert await transfers(town) == moved


@pytest.mark.parametrize("path", ["accounts", "deposits", "payments", "refunds"])
async def test_only_a_banks_token_opens_this_door(town: Sandbox, path: str) -> None:
    for token in (None, town.integrator_token, "x"):
        answer = await town.ask(f"/participant/v1/{path}", DEPOSIT, token=token)
        assert (answer.status_code, envelope(answer)["errorCode"]) == (401, 6)


# Repeats.


async def test_the_same_key_gets_the_same_bytes_and_moves_nothing_again(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened()
    qr = make_qr(to=SHOP, amount_minor=100)
    requests: list[tuple[str, dict[str, Any]]] = [
        ("accounts", {"accountId": "new@devb", "name": "New", "currencies": ["USD"]}),
        ("deposits", DEPOSIT),
        ("payments", {"fromAccountId": PAYER, "qr": qr}),
        ("payments", {"fromAccountId": PAYER, "qr": qr, "description": "declined: paid already"}),
    ]
    firsts = [
        (await sandbox.bank(path, body, key=f"key {number}")).content
        for number, (path, body) in enumerate(requests)
    ]
    before = (await transfers(sandbox), await made(sandbox))
    restarted = await opened()
    for again in (sandbox, restarted):
        for number, (path, body) in enumerate(requests):
            turned = dict(reversed(body.items()))  # the same content, written otherwise
            answer = await again.bank(path, turned, key=f"key {number}")
            assert (answer.status_code, answer.content) == (200, firsts[number])
    assert (await transfers(sandbox), await made(sandbox)) == before


async def test_the_same_key_with_another_body_is_refused(town: Sandbox) -> None:
    await town.bank("deposits", DEPOSIT, key="one")
    moved = await transfers(town)
    answer = await town.bank("deposits", {**DEPOSIT, "amount": 2}, key="one")
    assert (answer.status_code, envelope(answer)["errorCode"]) == (200, 5)
    assert answer.json()["responseMessage"] == "This key was already used with other content."
    assert await transfers(town) == moved


async def test_a_key_belongs_to_its_bank_and_its_path(town: Sandbox) -> None:
    deposit = {**DEPOSIT, "accountId": SHOP}
    for body, other in ((DEPOSIT, False), (deposit, True)):
        answer = envelope(await town.bank("deposits", body, key="shared", other=other))
        assert answer["responseCode"] == 0
    pay = {"fromAccountId": PAYER, "qr": make_qr(to=RECEIVER, amount_minor=1)}
    assert envelope(await town.bank("payments", pay, key="shared"))["responseCode"] == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\x7f"])
async def test_a_bad_key_is_refused(town: Sandbox, key: str) -> None:
    answer = await town.bank("deposits", DEPOSIT, key=key)
    assert (answer.status_code, envelope(answer)["errorCode"]) == (400, 5)


async def test_what_was_refused_before_is_not_stored_under_its_key(town: Sandbox) -> None:
    missing = {"accountId": PAYER, "amount": 1}
    assert envelope(await town.bank("deposits", missing, key="later"))["errorCode"] == 5
    nobody = {**DEPOSIT, "accountId": "nobody@devb"}
    assert envelope(await town.bank("deposits", nobody, key="later"))["errorCode"] == 11
    assert envelope(await town.bank("deposits", DEPOSIT, key="later"))["responseCode"] == 0


async def test_many_at_once_with_one_key_move_money_once(town: Sandbox) -> None:
    moved = await transfers(town)
    asked = [town.bank("deposits", DEPOSIT, key="at once") for _ in range(10)]
    answers = await asyncio.gather(*asked)
    assert len({answer.content for answer in answers}) == 1
    assert await transfers(town) == moved + 1


async def test_an_external_ref_names_one_thing_for_ever(opened: OpenSandbox) -> None:
    sandbox = await opened()
    pay = {
        "fromAccountId": PAYER,
        "toAccountId": SHOP,
        "amount": 1,
        "currency": "USD",
        "externalRef": "ref 1",
    }
    first = await sandbox.bank("payments", pay)
    assert envelope(first)["data"]["externalRef"] == "ref 1"
    moved = await transfers(sandbox)
    restarted = await opened()
    for again in (sandbox, restarted):
        assert (await again.bank("payments", pay)).content == first.content
        assert (await again.bank("payments", pay, key="and a key")).content == first.content
        assert (await again.bank("payments", {**pay, "amount": 2}, key="and a key")).json()[
            "errorCode"
        ] == 5
    others = [
        ("payments", {**pay, "amount": 2}),
        ("payments", {**pay, "description": "x"}),
        ("deposits", {**DEPOSIT, "externalRef": "ref 1"}),
    ]
    for path, body in others:
        answer = envelope(await sandbox.bank(path, body))
        assert (answer["errorCode"], answer["data"]) == (5, None)
    assert await transfers(sandbox) == moved
    theirs = {**DEPOSIT, "accountId": SHOP, "externalRef": "ref 1"}
    assert envelope(await sandbox.bank("deposits", theirs, other=True))["responseCode"] == 0


# Paying.


DECLINES: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("qr_expired", {}, "The QR has expired."),
    ("unknown_account", {"toAccountId": "nobody@wing"}, "The receiving account does not exist."),
    (
        "same_account",
        {"toAccountId": PAYER},
        "The paying and the receiving account are the same.",
    ),
    (
        "wrong_currency",
        {"qr": make_qr(to=SHOP, amount_minor=100), "currency": "KHR", "amount": 1},
        "The currency is not the account's or not the QR's.",
    ),
    (
        "amount_differs",
        {"qr": make_qr(to=SHOP, amount_minor=100), "amount": 2},
        "The amount differs from the QR's.",
    ),
    ("amount_out_of_range", {"toAccountId": SHOP, "amount": 0}, "The amount is out of range."),
    ("qr_already_paid", {}, "The QR has been paid already."),
    (
        "insufficient_funds",
        {"toAccountId": SHOP, "amount": 10**10},
        "The funds are not sufficient.",
    ),
]
EXPIRED: Final = (
    "00020101021229190015john_smith@devb5204599953038405405100.05802KH5910John Smith"
    "6010Phnom Penh993400131742249567316011317422496273166304B418"
)


@pytest.mark.parametrize(("reason", "changes", "message"), DECLINES)
async def test_a_decline_is_3_with_its_reason_and_is_recorded(
    town: Sandbox, reason: str, changes: dict[str, Any], message: str
) -> None:
    body: dict[str, Any] = {"fromAccountId": PAYER, **changes}
    if "toAccountId" in changes:
        body = {"amount": 1, "currency": "USD", **body}
    if reason == "qr_expired":
        body["qr"] = EXPIRED
    if reason == "qr_already_paid":
        body["qr"] = make_qr(to=SHOP, amount_minor=1)
        await town.pay(body["qr"])
    before = (await transfers(town), await made(town))
    answer = await town.bank("payments", body)
    read = envelope(answer)
    assert (answer.status_code, read["errorCode"], read["responseMessage"]) == (200, 3, message)
    assert (read["data"]["state"], read["data"]["declineReason"]) == ("declined", reason)
    assert (await transfers(town), await made(town)) == (before[0], before[1] + 1)
    listed = envelope(await town.get("/participant/v1/payments", token=town.bank_token))
    assert listed["data"]["payments"][0]["declineReason"] == reason


WRONG: Final[list[tuple[dict[str, Any], int]]] = [
    ({}, 5),
    ({"qr": make_qr(to=SHOP)}, 5),
    ({"qr": make_qr(to=SHOP, amount_minor=1), "toAccountId": SHOP}, 5),
    ({"toAccountId": SHOP, "amount": 1}, 5),
    ({"toAccountId": SHOP, "currency": "USD"}, 5),
    ({"toAccountId": SHOP, "amount": 0.001, "currency": "USD"}, 5),
    ({"toAccountId": SHOP, "amount": 1.5, "currency": "KHR"}, 5),
    ({"toAccountId": SHOP, "amount": -1, "currency": "USD"}, 5),
    ({"toAccountId": "shop", "amount": 1, "currency": "USD"}, 12),
    ({"qr": "x"}, 4),
]


@pytest.mark.parametrize(("body", "error_code"), WRONG)
async def test_an_order_that_makes_no_sense_is_refused_and_not_recorded(
    town: Sandbox, body: dict[str, Any], error_code: int
) -> None:
    before = await made(town)
    answer = envelope(await town.bank("payments", {"fromAccountId": PAYER, **body}))
    assert (answer["errorCode"], answer["data"]) == (error_code, None)
    assert await made(town) == before


async def test_fifty_payers_at_one_dynamic_qr_make_one_success(town: Sandbox) -> None:
    payers = [f"payer{number}@devb" for number in range(50)]
    for payer in payers:
        await town.bank("accounts", {"accountId": payer, "name": "P", "currencies": ["USD"]})
        await town.bank("deposits", {"accountId": payer, "amount": 5, "currency": "USD"})
    before = await balances(town, SHOP)
    qr = make_qr(to=SHOP, amount_minor=500)
    asked = [town.bank("payments", {"fromAccountId": payer, "qr": qr}) for payer in payers]
    answers = [envelope(answer) for answer in await asyncio.gather(*asked)]
    assert sorted(answer["data"]["state"] for answer in answers) == (
        ["declined"] * 49 + ["succeeded"]
    )
    reasons = {answer["data"]["declineReason"] for answer in answers}
    assert reasons == {None, "qr_already_paid"}
    assert (await balances(town, SHOP))["USD"] == before["USD"] + 5


# Refunds.


async def test_a_refund_gives_everything_back_once(town: Sandbox) -> None:
    before = (await balances(town, PAYER), await balances(town, SHOP))
    qr = make_qr(to=SHOP, amount_minor=250)
    paid = await town.pay(qr)
    refunds = [
        envelope(await town.bank("refunds", {"hash": hashed}, other=True))
        for hashed in (paid["hash"], paid["hash"].upper())
    ]
    for refund in refunds:
        assert refund["responseMessage"] == "Payment has been refunded"
        assert refund["data"]["trackingStatus"] == "REFUNDED_BY_RECEIVER"
    assert (await balances(town, PAYER), await balances(town, SHOP)) == before
    shown = envelope(await town.check("md5", {"md5": paid["md5"]}))
    assert (shown["responseCode"], shown["data"]["trackingStatus"]) == (0, "REFUNDED_BY_RECEIVER")
    again = envelope(await town.bank("payments", {"fromAccountId": PAYER, "qr": qr}))
    assert again["data"]["declineReason"] == "qr_already_paid"


async def test_only_the_receivers_bank_refunds_and_only_what_succeeded(town: Sandbox) -> None:
    paid = await town.pay(make_qr(to=SHOP, amount_minor=250))
    order = {"fromAccountId": PAYER, "qr": make_qr(to=SHOP, amount_minor=1), "outcome": "failed"}
    failed = (await town.simulate("payments", order)).json()
    for hashed, other, error_code in (
        (paid["hash"], False, 1),
        ("0" * 64, True, 1),
        ("z" * 64, True, 1),
        ("ក" * 64, True, 1),
        (failed["hash"], True, 3),
    ):
        moved = await transfers(town)
        answer = envelope(await town.bank("refunds", {"hash": hashed}, other=other))
        assert answer["errorCode"] == error_code
        assert await transfers(town) == moved


async def test_a_refund_without_funds_is_declined(opened: OpenSandbox) -> None:
    sandbox = await opened()
    paid = await sandbox.pay(make_qr(to=SHOP, amount_minor=250))
    away = {"fromAccountId": SHOP, "toAccountId": PAYER, "amount": 1, "currency": "USD"}
    assert envelope(await sandbox.bank("payments", away, other=True))["responseCode"] == 0
    answer = envelope(await sandbox.bank("refunds", {"hash": paid["hash"]}, other=True))
    assert (answer["errorCode"], answer["data"]["declineReason"]) == (3, "insufficient_funds")
    assert await balances(sandbox, SHOP) == {"USD": 1.5, "KHR": 0.0}


# The list.


async def listed(sandbox: Sandbox, query: str = "", *, other: bool = False) -> dict[str, Any]:
    """List payments."""
    token = sandbox.other_bank_token if other else sandbox.bank_token
    answer = envelope(await sandbox.get(f"/participant/v1/payments?{query}", token=token))
    assert answer["responseMessage"] == "Getting payments successfully"
    data: dict[str, Any] = answer["data"]
    return data


async def test_the_list_is_newest_first_and_each_page_leads_to_the_next(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened()
    order = {"fromAccountId": PAYER, "toAccountId": SHOP, "amount": 1, "currency": "USD"}
    for number in range(120):
        await sandbox.bank("payments", {**order, "description": str(number)})
    descriptions: list[int] = []
    sizes: list[int] = []
    query: str | None = ""
    while query is not None:
        page = await listed(sandbox, query)
        descriptions += [int(payment["description"]) for payment in page["payments"]]
        sizes.append(len(page["payments"]))
        query = None if page["next"] is None else f"after={page['next']}"
    assert descriptions == list(reversed(range(120)))
    assert sizes == [50, 50, 20]


async def test_the_list_is_filtered_by_account_direction_and_time(opened: OpenSandbox) -> None:
    sandbox = await opened()
    out = await sandbox.pay(make_qr(to=SHOP, amount_minor=100))
    await sandbox.advance(3_600)
    back = {"fromAccountId": SHOP, "toAccountId": RECEIVER, "amount": 0.5, "currency": "USD"}
    coming = envelope(await sandbox.bank("payments", back, other=True))["data"]
    poor = {**back, "amount": 100}
    declined = envelope(await sandbox.bank("payments", poor, other=True))["data"]
    at_ms = out["createdDateMs"]
    for query, expected in {
        "": [coming, out],
        "direction=outgoing": [out],
        "direction=incoming": [coming],
        f"accountId={PAYER}": [out],
        f"accountId={RECEIVER.upper()}": [coming],
        f"accountId={RECEIVER}&direction=outgoing": [],
        "accountId=nobody@devb": [],
        f"to={at_ms + 1_000}": [out],
        f"from={at_ms + 1_000}": [coming],
        "from=2020-01-01&to=2020-01-02": [],
        "from=2020-01-01T00:00:00Z": [coming, out],
        "from=2020-01-01T00:00:00%2B07:00&unknown=1": [coming, out],
        "after=1": [],
    }.items():
        found = (await listed(sandbox, query))["payments"]
        assert [payment["hash"] for payment in found] == [p["hash"] for p in expected], query
    theirs = (await listed(sandbox, other=True))["payments"]
    assert [payment["hash"] for payment in theirs] == [
        payment["hash"] for payment in (declined, coming, out)
    ]


@pytest.mark.parametrize(
    "query",
    [
        *("direction=both", "direction=", "from=x", "to=yesterday", "from=99999999999999999999"),
        *("after=x", "after=-1", "after=", "after=9223372036854775808", "after=%D9%A3"),
        *("from=0001-01-01T00:00:00%2B14:00", "from=1%00", "to=9999-12-31T23:59:59-14:00"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_5_by_name(town: Sandbox, query: str) -> None:
    answer = await town.get(f"/participant/v1/payments?{query}", token=town.bank_token)
    assert (answer.status_code, envelope(answer)["errorCode"]) == (200, 5)
    assert answer.json()["responseMessage"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("account_id", ["x", "a@b@c", "%E1%9E%80@devb", "a%00b@devb", "a" * 40])
async def test_no_account_has_an_id_like_that(town: Sandbox, account_id: str) -> None:
    for path in (f"accounts/{account_id}", f"payments?accountId={account_id}"):
        answer = await town.get(f"/participant/v1/{path}", token=town.bank_token)
        assert answer.status_code == 200
        assert envelope(answer)["errorCode"] == (5 if "?" in path and "%00" in path else 12)
