"""What the servers are asked: requests ready to be sent, each with what its answer must hold."""

import secrets
import time
from collections.abc import Sequence
from typing import Final

from bayon.db import Database
from bayon.payments import khqr
from bench.engine import pay_once
from bench.server import Ready, ask, request
from bench.world import FIRST, PAYERS, World, make_pay, make_qr, payer

PAY: Final = "/participant/v1/payments"
CHECK: Final = "/v1/check_transaction_by_md5"
OK: Final = b'"responseCode":0'
NOT_FOUND: Final = b'"errorCode":1'

Requests = list[tuple[bytes, bytes]]


def static_requests(world: World) -> Requests:
    """Everybody pays the one static QR."""
    return [(_pay_request(world, n, world.static_qr), OK) for n in range(FIRST, FIRST + PAYERS)]


async def check_requests(ready: Ready, db: Database, world: World) -> tuple[Requests, bytes]:
    """Ask for MD5s half of which are paid, in any order; and show an answer to a paid one."""
    first = time.time_ns() // 1_000
    qrs = [make_qr(first + n) for n in range(PAYERS // 2)]
    await pay_once(db, (make_pay(world, FIRST + n, qr=qr) for n, qr in enumerate(qrs)))
    token = ready.bakong_token
    paid: Sequence[tuple[str, bytes]] = [(khqr.md5(qr), OK) for qr in qrs]
    unknown = [(khqr.md5(secrets.token_hex()), NOT_FOUND) for _ in paid]
    asked = [*paid, *unknown]
    secrets.SystemRandom().shuffle(asked)
    requests = [
        (request(CHECK, token=token, body={"md5": md5}), expected) for md5, expected in asked
    ]
    answer = ask(ready, request(CHECK, token=token, body={"md5": paid[0][0]}))
    return requests, answer


def dynamic_requests(world: World, count: int) -> Requests:
    """Pay QRs no two of which are alike."""
    first = time.time_ns() // 1_000  # unlike any number of another run
    return [(_pay_request(world, FIRST + n % PAYERS, make_qr(first + n)), OK) for n in range(count)]


def _pay_request(world: World, number: int, qr: str) -> bytes:
    body: dict[str, object] = {"fromAccountId": payer(number), "qr": qr}
    if qr == world.static_qr:
        body["amount"] = 1
    return request(PAY, token=world.token, body=body)
