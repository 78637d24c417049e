"""pgbench's script of a card authorisation: the statements the network's batch runs, one a batch.

One purchase is read by the host's own `messages`, and run by the desk's own verb in a batch of one,
while the journal records. What differs from one to the next is written as an expression: the card
(pgbench's twin of it), its account, ids, numbers, the key of the message. All else is as it was.
"""

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, cast
from uuid import UUID

from bayon import cards
from bayon.batch import Reply, Request, answer_all
from bayon.cards import Transaction
from bayon.db import Database, Tx
from bayon.network import Message, acquirer, load_profile, messages
from bayon.network.acquirer import Amount, Place, Plastic, Stamp
from bayon.seal import Sealer
from bench.cards_world import ACCOUNT, CARD, LEDGER
from bench.network_world import FIRST, TWIN, NetworkWorld, named
from bench.pgbench import Journal, Script, bytes_literal, statement

AMOUNT: Final = Amount(1, "840")
TWIN_DIGEST: Final = "decode(lpad(:p::text, 64, '0'), 'hex')"
KEY: Final = "sha256(int8send(:r::bigint))"
MESSAGE_ID: Final = "md5(:r::text)::uuid"
NUMBER: Final = "lpad((:r::bigint % 1000000000000)::text, 12, '0')"
RRN: Final = "lpad((:r::bigint / 1000 % 1000000000000)::text, 12, '0')"
APPROVAL_CODE: Final = "lpad((:r::bigint % 1000000)::text, 6, '0')"
EXPIRES_AT: Final = "now() + interval '7 days'"

# The time first, as in a UUIDv7: random ids would cost pgbench more than us. now() is the
# transaction's, so that the expression is the same id in each of its statements.
NEW_ID: Final = (
    "(lpad(to_hex((extract(epoch FROM now()) * 1000000)::bigint), 16, '0')"
    " || lpad(to_hex(:r::bigint # {}), 16, '0'))::uuid"
)


async def make_card_script(db: Database, world: NetworkWorld, *, accounts: int) -> Script:
    """Record one purchase of the first card, and generate the script for the first so many."""
    journal: Journal = []
    db.journal = journal
    try:
        made = await db.transaction(lambda tx: _purchase(tx, world))
    finally:
        db.journal = None
    known = _known(world, made, journal)
    statements = [statement(sql, args, known) for sql, args in journal]
    lines = [
        f"\\set p random({FIRST}, {FIRST + accounts - 1})",
        "\\set r random(1, 9223372036854775807)",
        "BEGIN ISOLATION LEVEL READ COMMITTED;",
        *statements,
        "COMMIT;",
    ]
    return Script(text="\n".join(lines) + "\n", statements=len(statements))


def _request(world: NetworkWorld) -> Message:
    """Ask for a purchase with the first card, unlike any that was asked for before."""
    return acquirer.request(
        "purchase",
        Plastic(pan=world.pans[0]),
        AMOUNT,
        Place(),
        Stamp(datetime.now(UTC), secrets.randbelow(acquirer.STAN_MAX)),
        profile=load_profile("ascii-binary"),
    )


async def _purchase(tx: Tx, world: NetworkWorld) -> Transaction:
    terms = messages.Terms(link="bench", profile=load_profile("ascii-binary"), vault=world.vault)
    request = messages.read(_request(world), terms)
    assert isinstance(request, Request), request
    verb = partial(cards.move, vault=world.vault)
    (reply,) = await answer_all(tx, [request], verb=verb, sealer=Sealer({1: bytes(32)}))
    assert isinstance(reply, Reply), reply
    assert reply.outcome is not None
    assert reply.outcome.transaction is not None
    assert reply.outcome.transaction.status == "pending", reply.outcome
    return reply.outcome.transaction


def _known(world: NetworkWorld, made: Transaction, journal: Journal) -> Mapping[object, str]:
    """Write what differs from one to the next as an expression, and other ids and bytes as text."""
    assert made.trace is not None
    assert made.trace.message_id is not None
    issuer, event_id = world.issuer, _event_id(journal)
    constant = (
        issuer.id,
        issuer.funding_account_id,
        issuer.clearing_account_id,
        issuer.fees_account_id,
    )
    key = made.trace.message_id.bytes
    return {
        **{value: bytes_literal(value) for value in _bytes_in(journal)},
        **{value: f"'{value}'::uuid" for value in constant},
        **{value: KEY for value in _bytes_in(journal) if value[:16] == key},
        world.vault.pan_digest(world.pans[0]): TWIN_DIGEST,
        named(ACCOUNT): f"('{ACCOUNT}' || lpad(:p::text, 12, '0'))::uuid",
        named(LEDGER): f"('{LEDGER}' || lpad(:p::text, 12, '0'))::uuid",
        named(CARD): f"('{TWIN}' || lpad(:p::text, 12, '0'))::uuid",
        made.id: NEW_ID.format(0),
        made.hold_id: NEW_ID.format(1),
        event_id: NEW_ID.format(2),
        made.trace.message_id: MESSAGE_ID,
        made.number: NUMBER,
        made.trace.rrn: RRN,
        made.trace.approval_code: APPROVAL_CODE,
        made.expires_at: EXPIRES_AT,
    }


def _event_id(journal: Journal) -> UUID:
    ids = next(args[2] for sql, args in journal if "INTO events.event" in sql)
    (event_id,) = cast("list[UUID]", ids)
    return event_id


def _bytes_in(journal: Journal) -> Iterator[bytes]:
    for _, args in journal:
        for value in args:
            members = cast("list[object]", value) if isinstance(value, list) else [value]
            yield from (each for each in members if isinstance(each, bytes))
