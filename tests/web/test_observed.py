"""What every request gets: an id, a measurement, a log line; and how a process says it lives."""

import json
import re
from typing import Final

import pytest
from litestar.types import Send
from structlog.testing import capture_logs

from bayon.app import Metrics, observed
from bayon.db import Database
from cards_factories import make_desk
from factories import make_rail
from sandboxes import FOUR, OpenSandbox, Sandbox, envelope, send_raw

CHECK: Final = "/v1/check_transaction_by_md5"
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.mark.parametrize("given", ["a", "Z-9._", "x" * 64])
async def test_a_fitting_request_id_is_taken_over(town: Sandbox, given: str) -> None:
    for path in (CHECK, "/v1/nope", "/healthz", "/participant/v1/accounts/x"):
        answer = await town.http.get(path, headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "é", "<script>", "a\tb"])
async def test_any_other_request_gets_an_id_of_its_own(town: Sandbox, given: str | None) -> None:
    headers = {} if given is None else {b"X-Request-Id": given.encode()}
    ids = [
        (await town.http.get("/healthz", headers=headers)).headers["x-request-id"] for _ in range(2)
    ]
    assert all(UUID.fullmatch(i) for i in ids)
    assert ids[0] != ids[1]


async def test_a_request_is_logged_with_its_route_and_nothing_a_caller_sent(town: Sandbox) -> None:
    with capture_logs() as logs:
        path = "/participant/v1/accounts/dave@devb?secret=1"
        await town.get(path, token=town.bank_token)
    (line,) = [line for line in logs if line["event"] == "request"]
    assert line["path"] == "/participant/v1/accounts/{account_id}"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line.keys() <= {"event", "log_level", "method", "path", "status", "duration_ms"}


async def test_requests_are_measured_by_route_and_status(opened: OpenSandbox) -> None:
    sandbox = await opened()
    for _ in range(3):
        await sandbox.check("md5", {"md5": "x"})
    await sandbox.ask(CHECK, {})
    for number in range(5):
        await sandbox.get(f"/v1/nope{number}")
    answer = await sandbox.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    count = "bayon_request_duration_seconds_count"
    for labels, times in (
        (f'method="POST",route="{CHECK}",status="200"', 3),
        (f'method="POST",route="{CHECK}",status="401"', 1),
        ('method="GET",route="unknown",status="404"', 5),
    ):
        assert f"{count}{{{labels}}} {times}.0" in answer.text
    assert "nope" not in answer.text
    assert "bayon_status_commands 3.0" in answer.text
    assert "bayon_unexpected_errors_total 0.0" in answer.text


@pytest.mark.parametrize(
    ("address", "header", "status"),
    [
        ("127.0.0.1", b"accept", 200),
        ("::1", b"accept", 200),
        ("10.0.0.1", b"accept", 404),
        ("", b"accept", 404),
        ("127.0.0.1", b"x-forwarded-for", 404),  # a proxy's, who is here, but asks for another
        ("127.0.0.1", b"forwarded", 404),
    ],
)
async def test_in_production_measurements_are_for_this_machine_only(
    opened: OpenSandbox, address: str, header: bytes, status: int
) -> None:
    production = await opened(sandbox=False)
    request = {"method": "GET", "path": "/metrics", "raw_path": b"/metrics"}
    got, _, body = await send_raw(
        production.asgi,
        [],
        client=(address, 1) if address else None,
        headers=[(header, b"x")],
        **request,
    )
    assert got == status
    assert (b"bayon_request" in body) == (status == 200)
    assert status == 200 or json.loads(body).keys() == FOUR


async def test_a_fault_is_counted_and_logged_by_its_class_only(opened: OpenSandbox) -> None:
    sandbox = await opened()
    await sandbox.db.transaction(lambda tx: tx.run("DROP TABLE payments.mail"))
    with capture_logs() as logs:
        answer = await sandbox.get("/sandbox/v1/mail", token=sandbox.integrator_token)
    assert (answer.status_code, envelope(answer)["errorCode"]) == (500, 9)
    assert "mail" not in answer.text
    assert any(line["event"] == "unexpected error" for line in logs)
    assert "bayon_unexpected_errors_total 1.0" in (await sandbox.get("/metrics")).text


async def test_a_living_process_says_so(town: Sandbox) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await town.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_under_a_host_name_of_its_own_the_open_api_is_there_only(
    opened: OpenSandbox,
) -> None:
    sandbox = await opened(bakong_host="Bakong.test")
    for host, status in (
        ("bakong.test", 200),
        ("BAKONG.test:8000", 200),
        ("bayon.test", 404),
        ("xbakong.test", 404),
        ("", 404),
    ):
        headers = {"Host": host, "Authorization": f"Bearer {sandbox.integrator_token}"}
        answer = await sandbox.http.post(CHECK, content=b'{"md5":"x"}', headers=headers)
        assert (answer.status_code, envelope(answer)["responseCode"]) == (status, 1)
        headers["Authorization"] = f"Bearer {sandbox.bank_token}"
        own = await sandbox.http.get("/participant/v1/payments", headers=headers)
        assert own.status_code == 200


@pytest.mark.parametrize("host", ["a:b", 'evil"', "a b", "x/y", "[", "é"])
@pytest.mark.parametrize("path", ["/v1/nope", CHECK, "/healthz", "/participant/v1/accounts/x"])
async def test_a_host_that_is_none_breaks_nothing(town: Sandbox, host: str, path: str) -> None:
    status, headers, body = await send_raw(
        town.asgi,
        [],
        method="GET",
        path=path,
        raw_path=path.encode(),
        headers=[(b"host", host.encode())],
    )
    assert status in {200, 400, 401, 404, 405}
    assert headers[b"content-type"] == b"application/json"
    assert json.loads(body).keys() == (FOUR if status != 200 else {"status"})


ALLOWED: Final = {
    CHECK: "POST",
    "/participant/v1/payments": "GET, HEAD, POST",
    "/participant/v1/accounts/x": "GET, HEAD",
    "/sandbox/v1/clock": "GET, HEAD, POST",
    "/healthz": "GET, HEAD, OPTIONS",
    "/metrics": "GET, OPTIONS",
}


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.parametrize("method", ["DELETE", "PROPFIND", "BREW"])
async def test_a_wrong_method_is_told_the_right_ones(town: Sandbox, path: str, method: str) -> None:
    answer = await town.http.request(method, path)
    assert (answer.status_code, envelope(answer)["errorCode"]) == (405, None)
    assert answer.headers["allow"] == ALLOWED[path]


async def test_a_probe_may_ask_by_head(town: Sandbox) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await town.http.head(path)).status_code == 200


async def test_what_the_application_lets_fall_is_answered_too(db: Database) -> None:
    async def falls(_scope: object, _receive: object, send: Send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("secret")

    metrics = Metrics(make_rail(db), make_desk(db))
    app = observed(falls, metrics)
    begins = False
    with capture_logs() as logs:
        status, headers, body = await send_raw(app, [], path="/", raw_path=b"/")
    assert (status, json.loads(body)["errorCode"]) == (500, 9)
    assert headers[b"x-request-id"]
    assert any(line["event"] == "unexpected error" for line in logs)
    begins = True
    with pytest.raises(KeyError):  # too late for another answer: the connection is closed
        await send_raw(app, [], path="/", raw_path=b"/")


async def test_headers_that_are_whole_but_too_large_are_refused(town: Sandbox) -> None:
    answer = await town.http.get("/healthz", headers={"x-long": "x" * 70_000})

    assert answer.status_code == 413
    assert answer.json()["responseMessage"] == "The request's headers are too large."
