"""Cards for a bureau: each in one file, which it alone can read, whatever happens in between."""

import asyncio
import dataclasses
import hashlib
import json
import re
from datetime import timedelta
from typing import Any, Final, LiteralString, cast
from uuid import uuid4

import pyrage
import pytest
from msgspec.structs import replace

from bayon import cards
from bayon.cards import Card, Exported, IssueCard, Recipient, Vault
from bayon.cards.issue import issue_cards
from bayon.cards.model import CardStatus, IssuerNotFound
from bayon.cards.production import BatchNotFound
from bayon.cards.recipient import BadRecipient
from bayon.db import Database, Tx
from bayon.errors import Invalid
from bayon.ledger import Finding
from bayon.log import Secret
from cards.oracles import psec_cvv_of
from cards.plastic import (
    BUREAU,
    RECIPIENT,
    content,
    export,
    export_again,
    export_in,
    ids,
    note,
    order_cards,
    rename,
    their_ids,
    update,
)
from cards_factories import (
    VAULT,
    VAULT_KEYS,
    Purse,
    create_cardholder,
    decide,
    make_account,
    make_card,
    make_issuer,
    make_purse,
    now_of,
)
from house.source import ROOT, SCHEMA

OTHER_KEYS: Final = Vault(dataclasses.replace(VAULT_KEYS, vault_keys=Secret("1:" + "ab" * 32)))
BATCHES: Final = "SELECT count(*) FROM cards.production_batch"
FILES: Final = "SELECT count(*) FROM cards.production_file"


async def value(db: Database, sql: LiteralString) -> Any:  # noqa: ANN401 - a column's type
    return await db.read(lambda tx: tx.value(sql))


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db)  # with a card that was imported


# What is in a file.


async def test_a_file_says_all_that_goes_onto_a_card_and_nothing_else(
    db: Database, purse: Purse
) -> None:
    (card,) = await order_cards(db, purse)
    file = (await export(db, purse)).file
    assert file is not None
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id)
    number, expiry = pan.reveal(), f"{card.exp_year % 100:02}{card.exp_month:02}"

    dates = {"exp_year": card.exp_year, "exp_month": card.exp_month}
    cvv = {
        "000": VAULT.cvv2(pan, **dates).reveal(),
        "201": VAULT.cvv(pan, exp_year=card.exp_year, exp_month=card.exp_month).reveal(),
        "999": VAULT.cvv(pan, exp_year=card.exp_year, exp_month=card.exp_month, chip=True).reveal(),
    }
    key = bytes.fromhex(VAULT_KEYS.card_verification_key.reveal())
    for service_code, ours in cvv.items():
        theirs = psec_cvv_of(key, number, expiry, service_code)
        assert theirs
        assert ours.startswith(theirs)
    assert content(file) == {
        "format": "bayon-card-production",
        "format_version": 1,
        "batch_id": str(file.batch.id),
        "created_at": file.batch.created_at.isoformat().replace("+00:00", "Z"),
        "issuer": {"id": str(purse.issuer.id), "name": purse.issuer.name},
        "number_of_cards": 1,
        "cards": [
            {
                "card_id": str(card.id),
                "type": "physical",
                "pan": number,
                "psn": "00",
                "exp_month": card.exp_month,
                "exp_year": card.exp_year,
                "service_code": "201",
                "emboss_name": "TANG DARA",
                "additional_details": {"name_km": "តាំង តារា", "member_since": "2017"},
                "cvv2": cvv["000"],
                "stripe": {
                    "track_1": f"B{number}^TANG DARA/^{expiry}20110000{cvv['201']}",
                    "track_2": f"{number}={expiry}20110000{cvv['201']}",
                    "cvv": cvv["201"],
                },
                "chip": {
                    "track_2_equivalent": f"{number}D{expiry}20110000{cvv['999']}",
                    "icvv": cvv["999"],
                },
                "delivery": {
                    "name": "Tang Dara",
                    "address": "#87, Street 63 (Trasak Paem), Phnom Penh, Cambodia",
                    "phone_number": "+855715200960",
                },
            }
        ],
    }


async def test_the_page_shows_a_file_as_it_is(db: Database, purse: Purse) -> None:
    page = (ROOT / "docs/cards.md").read_text()
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (shown,) = [json.loads(block) for block in blocks if "bayon-card-production" in block]
    sql = "UPDATE cards.cardholder SET additional_details = $1"
    details = json.dumps(shown["cards"][0]["additional_details"])
    await db.transaction(lambda tx: tx.run(sql, details))
    await order_cards(db, purse)
    made = content((await export(db, purse)).file)
    assert shape_of(made) == shape_of(shown)
    assert made["cards"][0]["additional_details"] == shown["cards"][0]["additional_details"]


def shape_of(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Tell the members and types of a JSON value."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: shape_of(each) for name, each in members.items()}
    if isinstance(value, list):
        return [shape_of(each) for each in cast("list[Any]", value)]
    return type(cast("object", value))


async def test_what_is_on_a_card_is_believed_when_the_card_is_used(
    db: Database, purse: Purse
) -> None:
    (card,) = await order_cards(db, purse)
    (made,) = content((await export(db, purse)).file)["cards"]
    pan = Secret(made["pan"])
    assert VAULT.read_pan(pan) == VAULT.open_pan(card.pan_sealed, card_id=card.id)
    for text, chip in (
        (made["stripe"]["track_2"], False),
        (made["chip"]["track_2_equivalent"], True),
    ):
        track = VAULT.read_track_2(Secret(text))
        assert track is not None
        assert VAULT.is_cvv(track, chip=chip)
        assert not VAULT.is_cvv(track, chip=not chip)
    dates = {"exp_year": made["exp_year"], "exp_month": made["exp_month"]}
    assert VAULT.is_cvv2(pan, Secret(made["cvv2"]), **dates)


@pytest.mark.parametrize(
    ("number", "filler"), [("9116000000123457", ""), ("9116000000001234561", "F")]
)
def test_a_chips_image_of_a_track_is_whole_bytes(number: str, filler: str) -> None:
    icvv = VAULT.cvv(Secret(number), exp_year=2030, exp_month=1, chip=True).reveal()
    text = VAULT.track_2_equivalent(Secret(number), exp_year=2030, exp_month=1).reveal()
    assert text == f"{number}D300120110000{icvv}{filler}"
    assert len(bytes.fromhex(text)) * 2 == len(text)


async def test_only_the_bureau_can_read_it_and_nothing_of_it_is_kept(
    db: Database, purse: Purse, capfd: pytest.CaptureFixture[str]
) -> None:
    made = await order_cards(db, purse, 3)
    file = (await export(db, purse)).file
    assert file is not None
    assert file.digest == hashlib.sha256(file.content).digest()
    again = await export_again(db, file.batch.id)
    assert again.content != file.content  # another key each time
    numbers = [VAULT.open_pan(card.pan_sealed, card_id=card.id).reveal() for card in made]
    clear = [file.content, again.content, *capfd.readouterr()]
    for each in clear:
        text = each if isinstance(each, str) else each.decode("latin-1")
        assert not any(number in text for number in (*numbers, "TANG DARA", "cvv2"))
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(file.content, [pyrage.x25519.Identity.generate()])
    secrets_ = {*numbers}
    for card in content(file)["cards"]:
        secrets_ |= {*card["stripe"].values(), *card["chip"].values()} - {
            card["stripe"]["cvv"],
            card["chip"]["icvv"],
        }
    tables = await db.read(
        lambda tx: tx.rows(
            """SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
            WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
        )
    )
    assert len(tables) > 20
    for table in tables:
        whole = cast("LiteralString", f"SELECT to_json(t)::text AS row FROM {table['name']} AS t")
        rows = await db.read(lambda tx, sql=whole: tx.rows(sql))
        assert not any(each in row["row"] for row in rows for each in secrets_), table["name"]


# Which cards go.


async def test_each_card_goes_once_in_the_order_it_was_made(db: Database, purse: Purse) -> None:
    made = await order_cards(db, purse, 5)
    first = await export(db, purse, limit=2)
    assert (ids(first.file), first.waiting) == (their_ids(made[:2]), 3)
    second = await export(db, purse, limit=10)
    assert (ids(second.file), second.waiting) == (their_ids(made[2:]), 0)
    none = await export(db, purse)
    assert (none.file, none.waiting) == (None, 0)
    assert (await value(db, BATCHES), await value(db, FILES)) == (2, 2)
    (later,) = await order_cards(db, purse)
    assert ids((await export(db, purse)).file) == [str(later.id)]


async def test_a_card_that_was_imported_or_is_virtual_is_none_to_be_made(
    db: Database, purse: Purse
) -> None:
    await make_card(db, purse.account)

    async def virtual(tx: Tx) -> None:
        command = IssueCard(issuer_id=purse.issuer.id, account_id=purse.account.id, type="virtual")
        (made,) = await issue_cards(tx, [command], vault=VAULT, now=await now_of(tx))
        assert isinstance(made, Card)

    await db.transaction(virtual)
    assert (await export(db, purse)).file is None


async def test_what_is_lost_before_it_was_made_is_left_out_and_what_is_activated_is_not(
    db: Database, purse: Purse
) -> None:
    canceled, lost, stolen, activated, waits = await order_cards(db, purse, 5)
    for card, status in (canceled, "canceled"), (lost, "lost"), (stolen, "stolen"):
        await update(db, card, cast("CardStatus", status))
    sql = "UPDATE cards.card SET status = 'active' WHERE id = $1"  # by its holder, who has a link
    await db.transaction(lambda tx: tx.run(sql, activated.id))
    exported = await export(db, purse)
    assert (ids(exported.file), exported.waiting) == (their_ids([activated, waits]), 0)


async def test_a_card_waits_while_its_holder_is_under_review_or_rejected(
    db: Database, purse: Purse
) -> None:
    (card,) = await order_cards(db, purse)
    holder_id = purse.cardholder.id
    sql = "UPDATE cards.cardholder SET status = $2, rejection_reason = $3 WHERE id = $1"
    for status, reason in ("processing_profile", None), ("rejected", "no face on the photo"):
        await db.transaction(lambda tx, to=(status, reason): tx.run(sql, holder_id, *to))
        exported = await export(db, purse)
        assert (exported.file, exported.waiting) == (None, 0)
    await db.transaction(lambda tx: tx.run(sql, holder_id, "active", None))
    assert ids((await export(db, purse)).file) == [str(card.id)]


async def test_what_has_expired_while_it_waited_is_left_out(db: Database, purse: Purse) -> None:
    expired, last = await order_cards(db, purse, 2)
    sql = "UPDATE cards.card SET exp_year = $2, exp_month = $3 WHERE id = $1"
    now = await db.read(now_of)
    then = now.replace(day=1) - timedelta(days=1)
    for card, month in (expired, then), (last, now):
        to = (card.id, month.year, month.month)
        await db.transaction(lambda tx, to=to: tx.run(sql, *to))
    exported = await export(db, purse)
    assert (ids(exported.file), exported.waiting) == ([str(last.id)], 0)


async def test_another_issuers_cards_stay_where_they_are(db: Database, purse: Purse) -> None:
    other = await make_purse(db)
    theirs = await order_cards(db, other)
    assert (await export(db, purse)).file is None
    assert ids((await export(db, other)).file) == their_ids(theirs)


async def test_whom_nobody_can_emboss_waits_and_holds_nobody_up(db: Database) -> None:
    issuer = await make_issuer(db)
    khmer = await decide(db, await create_cardholder(db, issuer, name="តាំង តារា"))
    account = await make_account(db, khmer)
    purse = Purse(
        issuer=issuer, cardholder=khmer, account=account, card=await make_card(db, account)
    )
    held_up = await order_cards(db, purse, 3)
    latin = await make_purse(db, issuer=issuer)
    made = await order_cards(db, latin, 2)
    exported = await export(db, purse, limit=2)
    assert ids(exported.file) == their_ids(made)
    assert list(exported.not_embossed) == [card.id for card in held_up]
    assert exported.waiting == 0
    none = await export(db, purse)
    assert (none.file, len(none.not_embossed)) == (None, 3)
    await rename(db, purse, "Tang Dara")
    assert ids((await export(db, purse)).file) == their_ids(held_up)


# At the same time.


async def test_two_exports_at_once_put_no_card_into_two_files(db: Database, purse: Purse) -> None:
    made = await order_cards(db, purse, 7)

    async def inner(tx: Tx) -> tuple[Exported, Exported]:
        return await export_in(tx, purse, limit=3), await export(db, purse, limit=10)

    one, other = await db.transaction(inner)
    assert (ids(one.file), ids(other.file)) == (their_ids(made[:3]), their_ids(made[3:]))


async def test_many_exports_at_once_make_each_card_once(db: Database, purse: Purse) -> None:
    made = await order_cards(db, purse, 40)
    exported = await asyncio.gather(*(export(db, purse, limit=7) for _ in range(8)))
    done = [card_id for each in exported if each.file is not None for card_id in ids(each.file)]
    while (rest := await export(db, purse)).file is not None:
        done += ids(rest.file)
    assert sorted(done) == sorted(their_ids(made))
    assert await value(db, "SELECT sum(cards)::int FROM cards.production_batch") == 40


# Stopped half-way, and once more.


async def test_what_breaks_before_the_commit_leaves_everything_as_it_was(
    db: Database, purse: Purse
) -> None:
    made = await order_cards(db, purse, 2)

    async def broken(tx: Tx) -> None:
        assert (await export_in(tx, purse)).file is not None
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await db.transaction(broken)
    assert (await value(db, BATCHES), await value(db, FILES)) == (0, 0)
    with pytest.raises(Invalid, match=f"The number of card {made[0].id} does not open."):
        await export(db, purse, vault=OTHER_KEYS)
    assert await value(db, BATCHES) == 0
    assert ids((await export(db, purse)).file) == their_ids(made)


async def test_what_was_recorded_and_not_written_is_told_and_made_again(
    db: Database, purse: Purse
) -> None:
    made = await order_cards(db, purse, 2)
    lost = (await export(db, purse)).file  # and here its process is killed
    assert lost is not None
    (listed,) = await db.read(cards.card_batches)
    assert (listed.id, listed.cards, listed.issuer) == (lost.batch.id, 2, purse.issuer.name)
    assert (listed.files, listed.written_at, listed.digest) == (0, None, None)
    after = await export(db, purse)
    assert (after.file, after.not_written) == (None, (lost.batch.id,))
    again = await export_again(db, lost.batch.id)
    assert ids(again) == their_ids(made)
    assert content(again) == content(lost)
    await note(db, again)
    (listed,) = await db.read(cards.card_batches)
    assert (listed.files, listed.digest) == (1, again.digest)
    assert listed.written_at is not None
    assert listed.written_at - listed.created_at < timedelta(minutes=1)
    assert (await export(db, purse)).not_written == ()


async def test_another_issuers_file_that_was_not_written_is_not_told(
    db: Database, purse: Purse
) -> None:
    other = await make_purse(db)
    await order_cards(db, other)
    await export(db, other)
    assert (await export(db, purse)).not_written == ()


async def test_once_more_are_the_same_cards_and_names_whatever_they_are_by_now(
    db: Database, purse: Purse
) -> None:
    made = await order_cards(db, purse, 3)
    first = (await export(db, purse, limit=2)).file
    assert first is not None
    await update(db, made[0], "lost")
    await rename(db, purse, "តាំង តារា", "12, Street 1, Battambang")
    other = pyrage.x25519.Identity.generate()
    another = Recipient.read(str(other.to_public()))
    again = await export_again(db, first.batch.id, recipient=another)
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(again.content, [BUREAU])
    told = content(await export_again(db, first.batch.id))
    before = content(first)
    assert told["cards"][0]["delivery"]["address"] == "12, Street 1, Battambang"
    for card in (*told["cards"], *before["cards"]):
        del card["delivery"]
    assert told == before
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT recipient, digest FROM cards.production_file ORDER BY begun_at, id"
        )
    )
    assert [row["recipient"] for row in rows] == [RECIPIENT.key, another.key, RECIPIENT.key]
    assert [row["digest"] for row in rows[:2]] == [first.digest, again.digest]
    assert await value(db, BATCHES) == 1


async def test_batches_are_listed_the_newest_first(db: Database, purse: Purse) -> None:
    await order_cards(db, purse, 3)
    files = [(await export(db, purse, limit=1)).file for _ in range(3)]
    listed = await db.read(cards.card_batches)
    assert [each.id for each in listed] == [f.batch.id for f in reversed(files) if f is not None]


# What is refused.


async def test_there_is_nothing_of_a_batch_or_an_issuer_that_is_not_there(
    db: Database, purse: Purse
) -> None:
    with pytest.raises(BatchNotFound):
        await export_again(db, uuid4())
    nobody = replace(purse, issuer=replace(purse.issuer, id=uuid4()))
    with pytest.raises(IssuerNotFound):
        await export(db, nobody)
    await order_cards(db, purse)
    file = (await export(db, purse)).file
    assert file is not None
    with pytest.raises(Invalid, match="does not open"):
        await export_again(db, file.batch.id, vault=OTHER_KEYS)
    assert await value(db, FILES) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        RECIPIENT.key[:-1] + ("q" if RECIPIENT.key[-1] != "q" else "p"),
        RECIPIENT.key + "q",
        str(BUREAU),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "age1 ",
    ],
    ids=["nothing", "short", "mistyped", "long", "secret", "ssh", "blank"],
)
def test_what_is_no_public_key_is_refused_and_not_said(text: str) -> None:
    with pytest.raises(BadRecipient) as caught:
        Recipient.read(text)
    assert (
        caught.value.message
        == "A recipient is a public key of age: age1, and 58 letters and digits."
    )
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# Those that were there before.


async def test_what_was_ordered_before_there_were_orders_waits_too(
    db: Database, purse: Purse
) -> None:
    made = await order_cards(db, purse, 2)
    await db.transaction(lambda tx: tx.run("DELETE FROM cards.production_order"))
    assert await db.transaction(cards.check, isolation="repeatable_read") == [
        Finding("a physical card is ordered", str(card.id)) for card in made
    ]
    sql = (SCHEMA / "0019_cards_production.sql").read_text()
    statement = cast("LiteralString", sql[sql.index("INSERT INTO") :])
    await db.transaction(lambda tx: tx.run(statement))
    assert ids((await export(db, purse)).file) == their_ids(made)


async def test_a_batch_that_has_not_the_cards_it_says_is_found(db: Database, purse: Purse) -> None:
    await order_cards(db, purse, 2)
    file = (await export(db, purse)).file
    assert file is not None
    sql = "UPDATE cards.production_batch SET cards = $1"
    await db.transaction(lambda tx: tx.run(sql, 3))
    assert await db.transaction(cards.check, isolation="repeatable_read") == [
        Finding("a batch has the cards it says", str(file.batch.id))
    ]
    await db.transaction(lambda tx: tx.run(sql, 2))
