"""Clearing files are imported: each record once, matched where it can be, posted all the same."""

import asyncio
from datetime import timedelta
from typing import Final

import pytest
from msgspec.structs import replace

from bayon import cards
from bayon.cards import (
    CardStatus,
    ClearingFile,
    Entry,
    Expire,
    FeeRule,
    Original,
    Present,
    Reverse,
    Trace,
    Transaction,
    read_clearing_csv,
    read_ipm,
)
from bayon.cards.authorize import HOLD_TTL
from bayon.cards.clearing_import import ClearingFileNotFound
from bayon.cards.clearing_store import update_entries
from bayon.db import Database, Tx
from bayon.errors import Invalid
from bayon.ids import uuid7
from bayon.log import Secret
from cards.clearing_files import (
    csv_line,
    digest_of,
    ipm_ends,
    ipm_record,
    number_of,
    unknown_number,
    write_csv,
    write_ipm,
)
from cards_factories import (
    RIDES,
    VAULT,
    Purse,
    balance_of,
    make_authorize,
    make_card,
    make_purse,
    make_withdrawal,
    move_one,
    now_of,
    set_cash_fee,
)

RRN: Final = "633018000001"
CODE: Final = "123456"
STEP: Final = 3


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db, usd_minor=10_000)


class Killed(Exception):
    """The import ends here, without a word to the database."""


async def clear_all(
    db: Database, read: ClearingFile, *, step: int = 500, killed_at: int | None = None
) -> list[Entry]:
    """Import a file as the command line does; returns what is new."""
    records = cards.ready_records(read, VAULT)

    async def begin(tx: Tx) -> cards.ImportedFile:
        return await cards.begin_clearing(tx, read, name="a", now=await now_of(tx))

    file = await db.transaction(begin)
    entries: list[Entry] = []
    for at in range(0, len(records), step):

        async def clear(tx: Tx, at: int = at) -> list[Entry]:
            found = await cards.clear_records(
                tx, file.id, records[at : at + step], vault=VAULT, now=await now_of(tx)
            )
            if killed_at is not None and at >= killed_at:
                raise Killed
            return found

        entries += await db.transaction(clear)
    return entries


async def clear_csv(db: Database, *lines: dict[str, str]) -> list[Entry]:
    return await clear_all(db, read_clearing_csv(write_csv(lines)))


async def authorized(db: Database, purse: Purse, amount_minor: int = 1_000) -> Transaction:
    """Authorise as the network does: with a reference and an approval code."""
    trace = Trace(message_id=uuid7(), mti="0100", rrn=RRN, approval_code=CODE, terminal="T1")
    made = await move_one(db, make_authorize(purse.card, amount_minor, trace=trace))
    assert made.status == "pending"
    return made


async def has(db: Database, purse: Purse) -> tuple[int, int]:
    found = await balance_of(db, purse.account)
    return found.posted_minor, found.held_minor


async def find(db: Database, transaction: Transaction) -> Transaction:
    return await db.read(
        lambda tx: cards.find_transaction(
            tx, issuer_id=transaction.issuer_id, transaction_id=transaction.id
        )
    )


def line(purse: Purse, amount_minor: int, **others: str) -> dict[str, str]:
    given = {"reference": uuid7().hex} | others
    return csv_line(number_of(purse.card), amount_minor, **given)


# What it matches.


@pytest.mark.parametrize(
    ("amount_minor", "named"),
    [
        (1_000, {"rrn": RRN, "terminal": "T1"}),
        (700, {"rrn": RRN, "terminal": "T1"}),
        (9_000, {"rrn": RRN, "terminal": "T1"}),
        (1_000, {"approval_code": CODE}),
        (1_200, {"approval_code": CODE}),
        (800, {"approval_code": CODE}),
        (50, {"approval_code": CODE, "rrn": RRN}),
        (12_000, {"approval_code": CODE, "rrn": RRN}),
    ],
)
async def test_an_authorisation_is_cleared_for_whatever_the_record_says(
    db: Database, purse: Purse, amount_minor: int, named: dict[str, str]
) -> None:
    pending = await authorized(db, purse)
    (entry,) = await clear_csv(db, line(purse, amount_minor, **named))
    assert (entry.state, entry.transaction_id) == ("matched", pending.id)
    assert (entry.posted_minor, entry.difference_minor) == (amount_minor, amount_minor - 1_000)
    assert (await find(db, pending)).status == "settled"
    assert await has(db, purse) == (10_000 - amount_minor, 0)


@pytest.mark.parametrize(
    ("amount_minor", "named"),
    [
        (1_201, {"approval_code": CODE}),
        (799, {"approval_code": CODE}),
        (1_000, {"approval_code": "654321"}),
        (1_000, {"rrn": RRN}),
        (1_000, {"rrn": "633018000002", "terminal": "T1"}),
        (1_000, {}),
    ],
)
async def test_what_matches_nothing_is_posted_by_itself_and_listed(
    db: Database, purse: Purse, amount_minor: int, named: dict[str, str]
) -> None:
    pending = await authorized(db, purse)
    (entry,) = await clear_csv(db, line(purse, amount_minor, **named))
    assert (entry.state, entry.reason) == ("unmatched", "no authorisation")
    assert entry.transaction_id != pending.id
    assert (await find(db, pending)).status == "pending"
    assert await has(db, purse) == (10_000 - amount_minor, 1_000)
    item = f"{entry.file_id}:{entry.line}"
    assert item in {each.item for each in await db.read(cards.open_items)}


@pytest.mark.parametrize("status", ["inactive", "canceled", "lost"])
async def test_a_cards_state_and_an_empty_account_do_not_matter(
    db: Database, status: CardStatus
) -> None:
    purse = await make_purse(db, usd_minor=100)
    closed = replace(purse, card=await make_card(db, purse.account, status=status))
    (entry,) = await clear_csv(db, line(closed, 5_000))
    assert entry.state == "unmatched"
    assert await has(db, purse) == (-4_900, 0)


async def test_parts_are_cleared_one_after_another_in_one_file(db: Database, purse: Purse) -> None:
    pending = await authorized(db, purse)
    named = {"rrn": RRN, "approval_code": CODE}
    first, second, third = await clear_csv(
        db,
        line(purse, 300, more="yes", **named),
        line(purse, 200, more="yes", **named),
        line(purse, 400, **named),
    )
    assert {first.state, second.state, third.state} == {"matched"}
    assert (third.transaction_id, len({first.transaction_id, second.transaction_id})) == (
        pending.id,
        2,
    )
    assert await has(db, purse) == (9_100, 0)


async def test_what_is_cleared_after_its_hold_expired_settles_the_same_transaction(
    db: Database, purse: Purse
) -> None:
    pending = await authorized(db, purse)
    later = pending.created_at + HOLD_TTL + timedelta(seconds=1)
    expire = Expire(issuer_id=pending.issuer_id, transaction_id=pending.id)
    await move_one(db, expire, now=later)
    (entry,) = await clear_csv(db, line(purse, 1_100, rrn=RRN, terminal="T1"))
    assert (entry.state, entry.reason) == ("matched", "its hold had expired")
    assert entry.transaction_id == pending.id
    assert await has(db, purse) == (8_900, 0)


async def test_what_is_cleared_after_it_was_reversed_is_owed_again(
    db: Database, purse: Purse
) -> None:
    pending = await authorized(db, purse)
    await move_one(db, Reverse(issuer_id=pending.issuer_id, transaction_id=pending.id))
    (entry,) = await clear_csv(db, line(purse, 1_000, rrn=RRN, terminal="T1"))
    assert entry.state == "unmatched"
    assert await has(db, purse) == (9_000, 0)


@pytest.mark.parametrize("amount_minor", [2_000, 2_050])
async def test_what_was_posted_at_once_is_reconciled_and_never_posted_twice(
    db: Database, purse: Purse, amount_minor: int
) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300))
    trace = Trace(message_id=uuid7(), mti="0200", rrn=RRN, approval_code=CODE, terminal="T1")
    cash = await move_one(db, make_withdrawal(purse.card, 2_000, trace=trace))
    there = await has(db, purse)
    told = line(purse, amount_minor, type="cash", rrn=RRN, approval_code=CODE)
    (entry,) = await clear_csv(db, told)
    assert (entry.state, entry.transaction_id) == ("reconciled", cash.id)
    assert entry.difference_minor == amount_minor - 2_000
    assert await has(db, purse) == there
    again = told | {"reference": uuid7().hex}
    (second,) = await clear_csv(db, again)
    assert (second.state, second.reason) == ("unmatched", "its transaction was cleared before")
    assert await has(db, purse) == (there[0] - amount_minor - 300, 0)


async def test_a_completion_over_the_network_is_reconciled_and_not_posted_twice(
    db: Database, purse: Purse
) -> None:
    pending = await authorized(db, purse)
    completion = Present(
        pan_digest=digest_of(number_of(purse.card)),
        amount_minor=900,
        adjustment="debit",
        merchant=RIDES,
        original=Original(
            pan_digest=digest_of(number_of(purse.card)), rrn=RRN, terminal="T1", amount_minor=900
        ),
    )
    assert (await move_one(db, completion)).id == pending.id
    first, second = await clear_csv(
        db,
        line(purse, 900, rrn=RRN, approval_code=CODE),
        line(purse, 900, rrn=RRN, approval_code=CODE),
    )
    assert (first.state, first.transaction_id) == ("reconciled", pending.id)
    assert second.state == "unmatched"
    assert await has(db, purse) == (8_200, 0)


async def test_a_refund_is_credited_once_and_one_that_was_posted_at_once_is_reconciled(
    db: Database, purse: Purse
) -> None:
    named = {"rrn": RRN, "approval_code": CODE}
    pending = await authorized(db, purse)
    (entry,) = await clear_csv(db, line(purse, 400, type="refund", **named))
    assert (entry.state, entry.adjustment) == ("refunded", "credit")
    assert (await find(db, pending)).status == "pending"
    assert await has(db, purse) == (10_400, 1_000)
    posted = await move_one(
        db,
        Present(
            pan_digest=digest_of(number_of(purse.card)),
            amount_minor=50,
            adjustment="credit",
            merchant=RIDES,
            trace=Trace(rrn="633018000009", approval_code="999999"),
        ),
    )
    (told,) = await clear_csv(
        db, line(purse, 50, type="refund", rrn="633018000009", approval_code="999999")
    )
    assert (told.state, told.transaction_id) == ("reconciled", posted.id)
    assert await has(db, purse) == (10_450, 1_000)


async def test_an_ipm_is_posted_and_chargebacks_are_noted(db: Database, purse: Purse) -> None:
    number = number_of(purse.card)
    pending = await authorized(db, purse)
    records = [
        ipm_record(number, 1_000, DE31="1" * 23, DE37=RRN, DE38=CODE),
        ipm_record(number, 250, DE31="2" * 23, DE3="200000", DE38=None),
        ipm_record(number, 1_000, DE31="1" * 23, PDS0025="R261126", DE37=RRN, DE38=CODE),
        {"MTI": "1442", "DE2": number, "DE4": 900, "DE24": "450", "DE31": "3" * 23, "DE49": "840"},
    ]
    entries = await clear_all(db, read_ipm(write_ipm(ipm_ends(records))))
    states = ["matched", "refunded", "refunded", "noted"]
    assert [entry.state for entry in entries] == states
    assert entries[0].transaction_id == pending.id
    assert (entries[3].kind, entries[3].amount_minor) == ("1442-450", 900)
    assert await has(db, purse) == (10_250, 0)


# Once, whatever happens.


async def test_the_same_file_twice_posts_nothing_more(db: Database, purse: Purse) -> None:
    await authorized(db, purse)
    read = read_clearing_csv(
        write_csv([line(purse, 1_000, rrn=RRN, terminal="T1"), line(purse, 250)])
    )
    assert [each.state for each in await clear_all(db, read)] == ["matched", "unmatched"]
    assert await clear_all(db, read) == []
    assert await has(db, purse) == (8_750, 0)


@pytest.mark.parametrize("reference", ["", "A1"])
async def test_a_record_in_two_files_or_twice_in_one_is_posted_once(
    db: Database, purse: Purse, reference: str
) -> None:
    marked = f"{reference}{uuid7().hex}" if reference else ""
    same = line(purse, 333, reference=marked, approval_code="777777")
    first, second = await clear_csv(db, same, same)
    assert [first.state, second.state] == ["unmatched", "duplicate"]
    assert second.reason == "another record is the same"
    other, third = await clear_csv(db, line(purse, 1), same)
    assert [other.state, third.state] == ["unmatched", "duplicate"]
    assert (third.transaction_id, third.posted_minor) == (None, None)
    assert await has(db, purse) == (10_000 - 334, 0)


@pytest.mark.parametrize("killed_at", [0, 3, 6, 9])
async def test_an_import_that_is_killed_goes_on_where_it_was(
    db: Database, purse: Purse, killed_at: int
) -> None:
    await authorized(db, purse)
    lines = [line(purse, 1_000, rrn=RRN, terminal="T1")]
    lines += [line(purse, amount_minor) for amount_minor in range(1, 10)]
    read = read_clearing_csv(write_csv(lines))
    with pytest.raises(Killed):
        await clear_all(db, read, step=STEP, killed_at=killed_at)
    rest = await clear_all(db, read, step=STEP)
    assert [entry.place for entry in rest] == list(range(killed_at, 10))
    assert await clear_all(db, read) == []
    assert await has(db, purse) == (10_000 - 1_000 - 45, 0)


async def test_a_card_that_is_none_of_ours_is_parked_and_tried_again_with_its_file(
    db: Database, purse: Purse
) -> None:
    number = unknown_number()
    read = read_clearing_csv(write_csv([csv_line(number, 500), line(purse, 5)]))
    parked, posted = await clear_all(db, read)
    assert (parked.state, parked.transaction_id) == ("parked", None)
    assert (parked.last_four, parked.pan_digest) == (number[-4:], digest_of(number))
    assert posted.state == "unmatched"
    (again,) = await clear_all(db, read)
    assert again.state == "parked"

    async def imported(tx: Tx) -> cards.Card:
        command = cards.ImportCard(
            issuer_id=purse.issuer.id,
            account_id=purse.account.id,
            pan=Secret(number),
            exp_month=12,
            exp_year=2099,
            pin=None,
        )
        return await cards.import_card(tx, command, vault=VAULT, now=await now_of(tx))

    await db.transaction(imported)
    (done,) = await clear_all(db, read)
    assert done.state == "unmatched"
    assert await has(db, purse) == (10_000 - 505, 0)


async def test_what_has_no_exchange_rate_is_rejected_alone_and_tried_again(
    db: Database, purse: Purse
) -> None:
    read = read_clearing_csv(
        write_csv([line(purse, 1_000, currency="THB"), line(purse, 5), line(purse, 7)])
    )
    rejected, *others = await clear_all(db, read)
    assert (rejected.state, rejected.transaction_id) == ("rejected", None)
    assert rejected.reason == "currency has no exchange rate."
    assert [each.state for each in others] == ["unmatched"] * 2

    async def set_rate(tx: Tx) -> None:
        rate = cards.read_rate({"from": "THB", "to": "USD", "rate": "0.0285", "pad": ""})
        await cards.set_rates(tx, [rate], now=await now_of(tx))

    await db.transaction(set_rate)
    (done,) = await clear_all(db, read)
    assert (done.state, done.posted_minor, done.posted_currency) == ("unmatched", 29, "USD")
    assert await has(db, purse) == (10_000 - 12 - 29, 0)


async def test_a_number_that_is_none_refuses_the_file_whole(db: Database, purse: Purse) -> None:
    wrong = csv_line("4000000000000000", 5)
    with pytest.raises(Invalid) as caught:
        await clear_csv(db, line(purse, 5), wrong)
    assert [problem.pointer for problem in caught.value.problems] == ["/3"]
    assert await has(db, purse) == (10_000, 0)


async def test_imports_at_once_of_one_file_and_of_one_record_in_two_post_it_once(
    db: Database, purse: Purse
) -> None:
    lines = [line(purse, amount) for amount in range(1, 11)]
    read, other = (read_clearing_csv(write_csv(each)) for each in (lines, lines[::-1]))
    found = await asyncio.gather(
        *(clear_all(db, each, step=STEP) for each in (read, read, other, read))
    )
    states = sorted(entry.state for entries in found for entry in entries)
    assert states == ["duplicate"] * 10 + ["unmatched"] * 10
    assert await has(db, purse) == (10_000 - 55, 0)


async def test_the_check_finds_a_record_that_tells_of_what_was_not_posted(
    db: Database, purse: Purse
) -> None:
    pending = await authorized(db, purse)
    (entry,) = await clear_csv(db, line(purse, 1))
    laws: set[str] = set()

    async def work(tx: Tx) -> None:
        assert await cards.check(tx) == []
        await update_entries(tx, [replace(entry, transaction_id=pending.id)])
        laws.update(finding.invariant for finding in await cards.check(tx))
        raise Killed

    with pytest.raises(Killed):
        await db.transaction(work, isolation="repeatable_read")
    assert laws == {"a clearing record's transaction is settled"}


async def test_a_file_is_reported_with_all_that_became_of_it(db: Database, purse: Purse) -> None:
    entries = await clear_csv(db, line(purse, 20), csv_line(unknown_number(), 30))
    file, found = await db.transaction(lambda tx: cards.clearing_file(tx, entries[0].file_id))
    assert found == entries
    assert (file.records, [total.amount_minor for total in file.totals]) == (2, [50])
    with pytest.raises(ClearingFileNotFound):
        await db.transaction(lambda tx: cards.clearing_file(tx, uuid7()))
