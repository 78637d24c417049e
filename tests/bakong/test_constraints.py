"""Constraints: each field at, below and beyond its limits; bodies and headers nobody sends."""

import json
from collections.abc import Mapping
from typing import Final

import pytest

from bayon.web import Field, read_fields
from bayon.web.fields import BadFields
from factories import make_qr
from sandboxes import PAYER, RECEIVER, OpenSandbox, Sandbox, envelope, send_raw

MIB: Final = 1_048_576
MISSING: Final = "Missing required fields."
WRONG_FOR_A_TEXT: Final[list[object]] = [True, False, 0, 1, 1.5, [], ["x"], {}, {"x": "y"}]
WRONG_FOR_A_NUMBER: Final[list[object]] = [True, False, "", "1", "1.0", [], [1], {}]
WRONG_FOR_AN_OBJECT: Final[list[object]] = [True, 0, 1.5, "x", "", [], [{}]]
WRONG_FOR_A_LIST: Final[list[object]] = [True, 0, "x", {}, [1], [None], [["x"]], ["x", 1]]

SOURCE: Final[dict[str, object]] = {
    "appIconUrl": "https://shop.test/icon.svg",
    "appName": "Shop",
    "appDeepLinkCallback": "shop://paid",
}
GOOD: Final[dict[str, dict[str, object]]] = {
    "/v1/request_token": {"email": "dev@shop.test", "organization": "Shop", "project": "Till"},
    "/v1/verify": {"code": "x" * 20},
    "/v1/renew_token": {"email": "dev@shop.test"},
    "/v1/generate_deeplink_by_qr": {"qr": make_qr(amount_minor=1), "sourceInfo": SOURCE},
    "/v1/check_transaction_by_md5": {"md5": "x"},
    "/v1/check_transaction_by_hash": {"hash": "x"},
    "/v1/check_transaction_by_short_hash": {"hash": "x" * 8, "amount": 1, "currency": "USD"},
    "/v1/check_transaction_by_instruction_ref": {"instructionRef": "x"},
    "/v1/check_transaction_by_external_ref": {"externalRef": "x"},
    "/v1/check_transaction_by_md5_list": {"md5List": ["x"]},
    "/v1/check_transaction_by_hash_list": {"hashList": ["x"]},
    "/v1/check_bakong_account": {"accountId": "nobody@devb"},
    "/v1/check_account_exist": {"accountId": "nobody@devb"},
    "/participant/v1/accounts": {"accountId": "x", "name": "X", "currencies": ["USD"]},
    "/participant/v1/deposits": {"accountId": "nobody@devb", "amount": 1, "currency": "USD"},
    "/participant/v1/payments": {"fromAccountId": "nobody@devb", "qr": make_qr(amount_minor=1)},
    "/participant/v1/refunds": {"hash": "0" * 64},
}
TEXTS: Final = [
    ("/v1/request_token", "email"),
    ("/v1/request_token", "organization"),
    ("/v1/request_token", "project"),
    ("/v1/verify", "code"),
    ("/v1/renew_token", "email"),
    ("/v1/generate_deeplink_by_qr", "qr"),
    ("/v1/check_transaction_by_md5", "md5"),
    ("/v1/check_transaction_by_hash", "hash"),
    ("/v1/check_transaction_by_short_hash", "hash"),
    ("/v1/check_transaction_by_short_hash", "currency"),
    ("/v1/check_transaction_by_instruction_ref", "instructionRef"),
    ("/v1/check_transaction_by_external_ref", "externalRef"),
    ("/v1/check_bakong_account", "accountId"),
    ("/v1/check_account_exist", "accountId"),
    ("/participant/v1/accounts", "accountId"),
    ("/participant/v1/accounts", "name"),
    ("/participant/v1/deposits", "accountId"),
    ("/participant/v1/deposits", "currency"),
    ("/participant/v1/payments", "fromAccountId"),
    ("/participant/v1/refunds", "hash"),
]
OTHERS: Final[list[tuple[str, str, list[object]]]] = [
    ("/v1/check_transaction_by_short_hash", "amount", WRONG_FOR_A_NUMBER),
    ("/v1/check_transaction_by_md5_list", "md5List", WRONG_FOR_A_LIST),
    ("/v1/check_transaction_by_hash_list", "hashList", WRONG_FOR_A_LIST),
    ("/participant/v1/accounts", "currencies", [*WRONG_FOR_A_LIST, [], ["EUR"], ["usd"]]),
    ("/participant/v1/deposits", "amount", WRONG_FOR_A_NUMBER),
]
OPTIONAL: Final[list[tuple[str, str, list[object]]]] = [
    ("/v1/generate_deeplink_by_qr", "sourceInfo", WRONG_FOR_AN_OBJECT),
    ("/participant/v1/payments", "amount", WRONG_FOR_A_NUMBER),
    ("/participant/v1/payments", "currency", [*WRONG_FOR_A_TEXT, "EUR", "usd", ""]),
    ("/participant/v1/payments", "description", [*WRONG_FOR_A_TEXT, "x" * 256, "a\0b"]),
    ("/participant/v1/payments", "instructionRef", [*WRONG_FOR_A_TEXT, "x" * 101, ""]),
    ("/participant/v1/payments", "externalRef", [*WRONG_FOR_A_TEXT, "x" * 101, ""]),
    ("/participant/v1/deposits", "externalRef", [*WRONG_FOR_A_TEXT, "x" * 101, ""]),
]


def token_for(sandbox: Sandbox, path: str) -> str:
    """Tell the token a path wants; where none is wanted one does no harm."""
    return sandbox.bank_token if path.startswith("/participant") else sandbox.integrator_token


async def refusal(sandbox: Sandbox, path: str, body: object) -> tuple[int, object, str]:
    """Ask; returns HTTP status, error code and message."""
    answer = await sandbox.ask(path, body, token=token_for(sandbox, path))
    read = envelope(answer)
    return answer.status_code, read["errorCode"], read["responseMessage"]


MANDATORY: Final = [*TEXTS, *((path, name) for path, name, _ in OTHERS)]


@pytest.mark.parametrize(("path", "name"), MANDATORY)
async def test_a_field_that_is_missing_or_null_is_said_to_be_missing(
    town: Sandbox, path: str, name: str
) -> None:
    without = {n: v for n, v in GOOD[path].items() if n != name}
    for body in (without, {**without, name: None}):
        assert await refusal(town, path, body) == (200, 5, MISSING)


@pytest.mark.parametrize("name", SOURCE)
async def test_a_source_info_is_whole_or_absent(town: Sandbox, name: str) -> None:
    path = "/v1/generate_deeplink_by_qr"
    without = {n: v for n, v in SOURCE.items() if n != name}
    for source in ({}, without, {**without, name: None}):
        body = {**GOOD[path], "sourceInfo": source}
        assert await refusal(town, path, body) == (200, 5, MISSING)
    for body in ({"qr": GOOD[path]["qr"]}, {**GOOD[path], "sourceInfo": None}):
        assert (await refusal(town, path, body))[1] is None


WRONG: Final = [
    *((path, name, [*WRONG_FOR_A_TEXT, "a\0b"]) for path, name in TEXTS),
    *OTHERS,
    *OPTIONAL,
]


@pytest.mark.parametrize(("path", "name", "values"), WRONG)
async def test_a_field_of_a_wrong_kind_is_named(
    town: Sandbox, path: str, name: str, values: list[object]
) -> None:
    for value in values:
        status, error_code, message = await refusal(town, path, {**GOOD[path], name: value})
        assert (status, error_code) == (200, 5), (value, message)
        assert message.startswith(name), (value, message)


LIMITS: Final = [
    ("/v1/request_token", "organization", 1, 100),
    ("/v1/request_token", "project", 1, 100),
    ("/v1/verify", "code", 20, 20),
    ("/v1/check_transaction_by_md5", "md5", 1, 255),
    ("/v1/check_transaction_by_hash", "hash", 1, 255),
    ("/v1/check_transaction_by_short_hash", "hash", 8, 8),
    ("/participant/v1/refunds", "hash", 64, 64),
]


@pytest.mark.parametrize("sign", ["x", "ក", "😀"])
@pytest.mark.parametrize("limit", LIMITS)
async def test_lengths_are_counted_in_characters(
    town: Sandbox, limit: tuple[str, str, int, int], sign: str
) -> None:
    path, name, low, high = limit
    for length in (low - 1, high + 1):
        status, error_code, message = await refusal(town, path, {**GOOD[path], name: sign * length})
        assert (status, error_code) == (200, 5)
        assert message.startswith(f"{name} must have ")
    for length in (low, high):
        body = {**GOOD[path], name: sign * length}
        assert (await refusal(town, path, body))[1] != 5


@pytest.mark.parametrize("path", ["/v1/request_token", "/v1/renew_token"])
async def test_an_address_has_at_most_30_characters(town: Sandbox, path: str) -> None:
    for email, error_code in (("a" * 21 + "@shop.com", {None, 10}), ("a" * 22 + "@shop.com", {5})):
        assert len(email) in {30, 31}
        assert (await refusal(town, path, {**GOOD[path], "email": email}))[1] in error_code


@pytest.mark.parametrize(
    "email",
    ["", " ", "a b@c", "a@b\n", "a@b\r\nBcc: c@d", "+:\\_,*<@", ".<`b)", "().b?<[(", "\u200b@b"],
)
async def test_what_no_mail_can_be_sent_to_is_refused_and_nothing_is_kept(
    town: Sandbox, email: str
) -> None:
    body = {**GOOD["/v1/request_token"], "email": email}
    status, error_code, message = await refusal(town, "/v1/request_token", body)
    assert (status, error_code) == (200, 5)
    assert message.startswith("email")
    assert not await town.value(
        "SELECT count(*) FROM payments.integrator WHERE email = $1", email.replace("\0", "")
    )


URLS: Final = [
    ("appIconUrl", "http://shop.test/i.svg", False),
    ("appIconUrl", "shop://i.svg", False),
    ("appIconUrl", "data:image/svg+xml,x", False),
    ("appIconUrl", "//shop.test/i.svg", False),
    ("appIconUrl", "i.svg", False),
    ("appIconUrl", "https://", False),
    ("appIconUrl", "https://[::1", False),
    ("appIconUrl", "https://shop.test/ i.svg", False),
    ("appIconUrl", "HTTPS://shop.test/i.svg", True),
    ("appIconUrl", "http://localhost:3000/i.svg", False),
    ("appDeepLinkCallback", "https://shop.test/paid?x=1#y", True),
    ("appDeepLinkCallback", "com.shop.app://paid", True),
    ("appDeepLinkCallback", "http://shop.test/", False),
    ("appDeepLinkCallback", "http://localhost:3000/", True),
    ("appDeepLinkCallback", "javascript:alert(1)", False),
    ("appDeepLinkCallback", "JavaScript:alert(1)", False),
    ("appDeepLinkCallback", " javascript:alert(1)", False),
    ("appDeepLinkCallback", "java\tscript:alert(1)", False),
    ("appDeepLinkCallback", "\x01javascript:alert(1)", False),
    ("appDeepLinkCallback", "data:text/html,x", False),
    ("appDeepLinkCallback", "file:///etc/passwd", False),
    ("appDeepLinkCallback", "blob:https://shop.test/x", False),
    ("appDeepLinkCallback", "vbscript:x", False),
    ("appDeepLinkCallback", "paid", False),
    ("appDeepLinkCallback", "", False),
    ("appIconUrl", "", False),
    ("appName", "", True),
    ("appName", "x" * 100, True),
    ("appName", "x" * 101, False),
    ("appIconUrl", "https://shop.test/".ljust(2_048, "x"), True),
    ("appIconUrl", "https://shop.test/".ljust(2_049, "x"), False),
    ("appIconUrl", "https://bank.test@shop.test/i.svg", False),
    ("appDeepLinkCallback", "https://shop.test/".ljust(2_049, "x"), False),
    ("appDeepLinkCallback", "https://bank.test@shop.test/", False),
    ("appDeepLinkCallback", "https://bank.test:x@shop.test/", False),
    ("appDeepLinkCallback", "http://shop.test@localhost/", False),
    ("appDeepLinkCallback", "https://shop.test/@dara", True),
    *(
        ("appDeepLinkCallback", f"{scheme}:x", False)
        for scheme in (
            *("intent", "about", "filesystem", "view-source", "ftp", "mailto", "sms", "tel"),
            *("ms-settings", "MS-Word", "Intent"),
        )
    ),
]


@pytest.mark.parametrize(("name", "url", "fine"), URLS)
async def test_urls_of_a_source_are_https_or_the_apps_own(
    town: Sandbox, name: str, url: str, *, fine: bool
) -> None:
    path = "/v1/generate_deeplink_by_qr"
    links = await town.value("SELECT count(*) FROM payments.deeplink")
    body = {**GOOD[path], "sourceInfo": {**SOURCE, name: url}}
    status, error_code, message = await refusal(town, path, body)
    assert (status, error_code) == (200, None if fine else 5)
    assert fine or message.startswith(f"sourceInfo.{name}")
    assert await town.value("SELECT count(*) FROM payments.deeplink") == links + fine


async def test_a_way_back_to_this_very_machine_is_the_sandboxs_alone(opened: OpenSandbox) -> None:
    source = {**SOURCE, "appDeepLinkCallback": "http://localhost:3000/"}
    body = {**GOOD["/v1/generate_deeplink_by_qr"], "sourceInfo": source}
    for sandbox, error_code in ((await opened(), None), (await opened(sandbox=False), 5)):
        answer = envelope(await sandbox.ask("/v1/generate_deeplink_by_qr", body))
        assert answer["errorCode"] == error_code


AMOUNTS: Final = [
    (b"1e400", 400),
    (b"1e300", 200),
    (b"-1", 200),
    (b"-0.0", 200),
    (b"0.001", 200),
    (b"1" * 30, 200),
    (b"1" * 4_000, 200),
    (b"NaN", 400),
    (b"Infinity", 400),
    (b"01", 400),
]


@pytest.mark.parametrize(("amount", "status"), AMOUNTS)
async def test_an_amount_no_payment_has_is_found_nowhere_and_paid_nowhere(
    town: Sandbox, amount: bytes, status: int
) -> None:
    asked = b'{"hash":"8465d722","currency":"USD","amount":' + amount + b"}"
    answer = await town.check("short_hash", asked)
    assert (answer.status_code, envelope(answer)["errorCode"]) == (
        status,
        1 if status == 200 else 5,
    )
    for path, body in (
        ("deposits", b'{"accountId":"dave@devb","currency":"USD","amount":'),
        (
            "payments",
            b'{"fromAccountId":"dave@devb","toAccountId":"%s","currency":"USD","amount":'
            % RECEIVER.encode(),
        ),
    ):
        transfers = await town.value("SELECT count(*) FROM ledger.transfer")
        answer = await town.bank(path, body + amount + b"}", key=f"{path} {amount[:50]!r}")
        assert answer.status_code == status
        assert envelope(answer)["errorCode"] in {3, 5}
        assert await town.value("SELECT count(*) FROM ledger.transfer") == transfers


BODIES: Final[dict[str, tuple[bytes, int]]] = {
    "empty": (b"", 400),
    "blank": (b" \n", 400),
    "null": (b"null", 400),
    "number": (b"1", 400),
    "string": (b'"md5"', 400),
    "array": (b"[]", 400),
    "two objects": (b'{"md5":"x"}{"md5":"x"}', 400),
    "open": (b'{"md5":"x"', 400),
    "comment": (b'{"md5":"x"/**/}', 400),
    "single quotes": (b"{'md5':'x'}", 400),
    "form": (b"md5=x", 400),
    "byte order mark": (b'\xef\xbb\xbf{"md5":"x"}', 400),
    "utf-16": ('{"md5":"x"}'.encode("utf-16"), 400),
    "latin-1": ('{"md5":"é"}'.encode("latin-1"), 400),
    "overlong": (b'{"md5":"\xc0\xaf"}', 400),
    "surrogate in utf-8": (b'{"md5":"\xed\xa0\x80"}', 400),
    "lone surrogate": (b'{"md5":"\\ud800"}', 400),
    "reversed surrogates": (b'{"md5":"\\udc00\\ud800"}', 400),
    "surrogate as a name": (b'{"\\ud800":"x","md5":"x"}', 400),
    "raw control character": (b'{"md5":"\n"}', 400),
    "deep arrays": (b"[" * 200_000, 400),
    "deep objects": (b'{"a":' * 100_000, 400),
    "deep and closed": (b'{"md5":"x","a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", 400),
    "escaped pair": (b'{"md5":"\\ud83d\\ude00"}', 200),
    "duplicate names": (b'{"md5":1,"md5":"x"}', 200),
    "unknown names": (b'{"md5":"x","y":{"z":[1]}}', 200),
    "blanks around": (b'\r\n {"md5":"x"}\t\n', 200),
    "1 MiB": (b'{"md5":"x"' + b" " * (MIB - 11) + b"}", 200),
    "1 MiB and one": (b'{"md5":"x"' + b" " * (MIB - 10) + b"}", 413),
    "4 MiB of nothing": (b"x" * 4 * MIB, 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_each_body_is_read_or_refused(town: Sandbox, name: str) -> None:
    body, status = BODIES[name]
    answer = await town.check("md5", body)
    assert answer.status_code == status
    assert envelope(answer)["errorCode"] == {200: 1, 400: 5, 413: None}[status]


@pytest.mark.parametrize("depth", range(940, 1_000, 4))
async def test_no_depth_is_read_and_not_written_again(town: Sandbox, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    body = b'{"accountId":"nobody@devb","amount":1,"currency":"USD","x":' + nested + b"}"
    answer = await town.bank("deposits", body, key=f"deep {depth}")
    assert (answer.status_code, envelope(answer)["errorCode"]) in {(200, 11), (400, 5)}


QRS: Final = {
    "empty": "",
    "1 MB": "0" * 1_000_000,
    "1 MB of emoji": "😀" * 250_000,
    "a header": "000201",
    "not a text": "00020101021229190015\u0007",
    "khmer digits": "០០០២០១",
    "cut short": "00020101021129460009khqr@devb01",
}


@pytest.mark.parametrize("name", QRS)
async def test_a_qr_that_cannot_be_read_is_4_at_every_door(town: Sandbox, name: str) -> None:
    qr = QRS[name]
    for path, body in (
        ("/v1/generate_deeplink_by_qr", {"qr": qr}),
        ("/participant/v1/payments", {"fromAccountId": PAYER, "qr": qr}),
    ):
        payload = json.dumps(body, ensure_ascii=False).encode()
        assert (await refusal(town, path, payload))[:2] == (200, 4)


CHUNKS: Final[dict[str, tuple[list[Mapping[str, object]], int]]] = {
    "byte by byte": (
        [
            *(
                {"type": "http.request", "body": b'{"md5":"x"}'[i : i + 1], "more_body": True}
                for i in range(11)
            ),
            {"type": "http.request", "body": b"", "more_body": False},
        ],
        200,
    ),
    "endless": (
        [{"type": "http.request", "body": b" " * 65_536, "more_body": True}] * 1_000,
        413,
    ),
    "broken off": ([{"type": "http.request", "body": b'{"md5"', "more_body": True}], 400),
    "gone at once": ([], 400),
}


@pytest.mark.parametrize("name", CHUNKS)
async def test_bodies_in_pieces_are_read_up_to_their_limit(town: Sandbox, name: str) -> None:
    messages, expected = CHUNKS[name]
    status, headers, body = await send_raw(
        town.asgi,
        messages,
        path="/v1/check_transaction_by_md5",
        raw_path=b"/v1/check_transaction_by_md5",
        headers=[(b"authorization", b"Bearer " + town.integrator_token.encode())],
    )
    assert status == expected
    assert headers[b"content-type"] == b"application/json"
    assert json.loads(body)["responseCode"] == 1


AUTHORIZATIONS: Final[list[tuple[bytes, bool]]] = [
    (b"Bearer %s", True),
    (b"bearer %s", True),
    (b"BEARER %s", True),
    (b"Bearer  %s", True),
    (b"Bearer %s ", True),
    (b"", False),
    (b"Bearer", False),
    (b"Bearer ", False),
    (b"%s", False),
    (b"Basic %s", False),
    (b"ApiKey %s", False),
    (b"Bearer\t%s", False),
    (b"Bearer%s", False),
    (b"Bearer %s.x", False),
    (b"Bearer Bearer %s", False),
    (b'Bearer "%s"', False),
    (b"Bearer %s, Bearer %s", False),
    (b"Bearer \xff\xfe", False),
    (b"\xff\xfe", False),
    (b"Bearer \x00", False),
    (b"Bearer " + b"x" * 60_000, False),
]


@pytest.mark.parametrize(("header", "fine"), AUTHORIZATIONS)
async def test_a_bearer_is_read_whatever_its_case_and_blanks(
    town: Sandbox, header: bytes, *, fine: bool
) -> None:
    status, _, body = await send_raw(
        town.asgi,
        [{"type": "http.request", "body": b'{"md5":"x"}', "more_body": False}],
        path="/v1/check_transaction_by_md5",
        raw_path=b"/v1/check_transaction_by_md5",
        headers=[(b"authorization", header.replace(b"%s", town.integrator_token.encode()))],
    )
    assert (status, json.loads(body)["errorCode"]) == ((200, 1) if fine else (401, 6))


async def test_unknown_query_parameters_are_ignored(town: Sandbox) -> None:
    path = "/v1/check_transaction_by_md5?x=1&y&=&%ff=%00&wait=9&&&"
    answer = await town.ask(path, {"md5": "x"}, token=town.integrator_token)
    assert envelope(answer)["errorCode"] == 1


def test_every_failing_field_is_named_and_a_missing_one_decides_the_text() -> None:
    table = (Field(name="a"), Field(name="b", kind="number"), Field(name="c", length_max=1))
    with pytest.raises(BadFields) as raised:
        read_fields({"b": "x", "c": "xx"}, table)
    assert [problem.pointer for problem in raised.value.problems] == ["/a", "/b", "/c"]
    assert raised.value.message == MISSING
