"""pgbench with the same writes: its script is generated from the statements a payment really runs.

One real payment runs as a batch of one while `Database.journal` records what it sends. Each
statement is then written with its arguments as SQL: what differs from payment to payment (payer,
ids, hashes, a dynamic QR's MD5) as an expression on pgbench's variables, all else as a literal. So
pgbench sends as many statements, takes the same locks and writes the same rows, also ids in the
order of time; what it spares is HTTP and Python.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias, cast
from uuid import UUID

import msgspec

from bayon.batch import Request
from bayon.db import Database
from bayon.payments import Pay, Payment, Rail
from bayon.postgres import binary
from bayon.seal import Sealer
from bench.world import (
    FIRST,
    MERCHANT_LEDGER,
    PAYER_LEDGER,
    World,
    make_pay,
    make_qr,
    merchant,
    payer,
)

Journal: TypeAlias = list[tuple[str, tuple[object, ...]]]

TRIED: Final = (1, 4, 8, 16)
TPS: Final = re.compile(r"tps = ([0-9.]+)")
FAILED: Final = re.compile(r"number of failed transactions: ([0-9]+)")
ROWS: Final = "[{"
"""How a text begins that is rows in JSON."""

JSON_TEXT: Final = re.compile(r'"([^"\\]*)"')
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")

# The first 64 bits are the time, as in a UUIDv7: random ids would cost pgbench more than us. now()
# is the transaction's, so that the expression is the same id in each of its statements.
PAYMENT_ID: Final = (
    "(lpad(to_hex((extract(epoch FROM now()) * 1000000)::bigint), 16, '0')"
    " || lpad(to_hex(:r::bigint), 16, '0'))::uuid"
)
MD5: Final = "decode(md5(:r::text), 'hex')"


@dataclass(frozen=True, kw_only=True)
class Script:
    """What pgbench runs; `statements` counts those between BEGIN and COMMIT."""

    text: str
    statements: int


async def make_script(db: Database, world: World, *, dynamic: bool, payers: int) -> Script:
    """Record one payment of a batch of one, and generate the script from it."""
    qr = make_qr(time.time_ns()) if dynamic else world.static_qr
    paid, journal = await _record(db, make_pay(world, FIRST, qr=qr))
    known = _known(world, paid, journal, dynamic=dynamic)
    statements = [statement(sql, args, known) for sql, args in journal]
    head = [
        f"\\set p random({FIRST}, {FIRST + payers - 1})",
        "\\set r random(1, 9223372036854775807)",
    ]
    lines = [*head, "BEGIN ISOLATION LEVEL READ COMMITTED;", *statements, "COMMIT;"]
    return Script(text="\n".join(lines) + "\n", statements=len(statements))


async def run_pgbench(url: str, file: Path, *, clients: int, seconds: float) -> float:
    """Run a script; tells transactions a second. A failed transaction is an error."""
    process = await asyncio.create_subprocess_exec(
        binary("pgbench"),
        *("--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(clients, 2)}"),
        *(f"--time={max(round(seconds), 1)}", f"--file={file}", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    said = output.decode()
    tps, failed = TPS.search(said), FAILED.search(said)
    if process.returncode or tps is None or failed is None or failed[1] != "0":
        raise RuntimeError(f"pgbench failed:\n{said}")
    return float(tps[1])


async def best_clients(url: str, file: Path, *, seconds: float) -> dict[int, float]:
    """Try some numbers of clients; tells transactions a second for each."""
    return {n: await run_pgbench(url, file, clients=n, seconds=seconds) for n in TRIED}


async def _record(db: Database, command: Pay) -> tuple[Payment, Journal]:
    rail = Rail(db, Sealer({1: bytes(32)}))
    journal: Journal = []
    db.journal = journal
    try:
        reply = await rail.pay(Request(command=command, render=lambda _: b""))
    finally:
        db.journal = None
    assert reply.outcome is not None
    assert reply.outcome.state == "succeeded", reply.outcome
    return reply.outcome, journal


def _known(world: World, paid: Payment, journal: Journal, *, dynamic: bool) -> Mapping[object, str]:
    """Write what differs from payment to payment as an expression, and the other ids as text."""
    assert paid.md5 is not None
    transfer_ids = next(args[0] for sql, args in journal if "INTO ledger.transfer" in sql)
    (transfer_id,) = cast("list[UUID]", transfer_ids)
    head, tail = payer(FIRST).split(str(FIRST))
    md5 = MD5 if dynamic else bytes_literal(paid.md5)
    return {
        paid.from_account_id: f"('{head}' || :p::text || '{tail}')",
        UUID(f"{PAYER_LEDGER}{FIRST}"): f"('{PAYER_LEDGER}' || :p::text)::uuid",
        paid.id: PAYMENT_ID,
        transfer_id: "uuidv7()",
        paid.md5: md5,
        paid.hash: f"sha256(uuid_send({PAYMENT_ID}) || {md5})",
        merchant(FIRST): f"'{merchant(FIRST)}'",
        UUID(f"{MERCHANT_LEDGER}{FIRST}"): f"'{MERCHANT_LEDGER}{FIRST}'::uuid",
        world.bank_id: f"'{world.bank_id}'::uuid",
        world.shops_id: f"'{world.shops_id}'::uuid",
    }


def statement(sql: str, args: tuple[object, ...], known: Mapping[object, str]) -> str:
    """Write a statement with its arguments; those that are `known` as the expression given."""
    written = [_literal(arg, known) for arg in args]
    return re.sub(r"\$(\d+)", lambda m: f"({written[int(m[1]) - 1]})", sql.strip()) + ";"


def _literal(value: object, known: Mapping[object, str]) -> str:
    if isinstance(value, list):
        members = cast("list[object]", value)
        inner = ", ".join(_literal(member, known) for member in members)
        return f"ARRAY[{inner}]" if members else "'{}'"
    if value in known:
        return known[value]
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value).lower()
        case datetime():
            return "now()"
        case timedelta():
            return f"'{value.total_seconds():f} s'::interval"
        case str() if value.startswith(ROWS):
            return _rows_literal(value, known)
        case str():
            return _text_literal(value)
        case _:
            raise AssertionError(f"there is something new in it: {value!r}")


def _rows_literal(text: str, known: Mapping[object, str]) -> str:
    """Write rows that go as one JSON text: in it, too, what is known as the expression given."""
    texts = {msgspec.to_builtins(value): sql for value, sql in known.items()}
    pieces: list[str] = []
    start = 0
    for found in JSON_TEXT.finditer(text):
        sql = texts.get(found[1]) or ("now()" if INSTANT.fullmatch(found[1]) else None)
        if sql is not None:
            pieces += [_text_literal(text[start : found.start(1)]), f"({sql})::text"]
            start = found.end(1)
    return " || ".join([*pieces, _text_literal(text[start:])])


def _text_literal(text: str) -> str:
    # A colon, as it stands, would begin one of pgbench's variables.
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace(":", r"\x3a")
    return f"E'{escaped}'"


def bytes_literal(value: bytes) -> str:
    """Write bytes."""
    return f"'\\x{value.hex()}'::bytea"
