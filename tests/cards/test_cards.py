"""Cards: made with a number of their own, through their states, and the links of their holders."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final, get_args

import pytest
from msgspec.structs import replace

from bayon import cards
from bayon.cards import (
    BadAttributes,
    BadPan,
    BadPin,
    Card,
    CardAccountNotFound,
    CardNotFound,
    CreateToken,
    ImportCard,
    IssueCard,
    Issuer,
    ManagementToken,
    PanTaken,
)
from bayon.cards.authorize import has_expired
from bayon.cards.issue import issue_cards
from bayon.cards.lifecycle import create_tokens, token_digest
from bayon.cards.model import FINAL, CardStatus, TokenType
from bayon.db import Database, Tx
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.log import Secret
from cards_factories import (
    PIN,
    VAULT,
    Purse,
    create_cardholder,
    decide,
    event_types,
    make_card,
    make_issuer,
    make_opening,
    make_purse,
    now_of,
    open_all,
)

STATUSES: Final[tuple[CardStatus, ...]] = get_args(CardStatus)
TOKENS: Final[tuple[TokenType, ...]] = get_args(TokenType)
PAN: Final = Secret("4111111111111111")


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db)


async def issue(
    db: Database, purse: Purse, *, issuer: Issuer | None = None, now: datetime | None = None
) -> Card | BayonError:
    """Make a card for the purse's account, as its issuer or another."""
    issuer_id = issuer.id if issuer else purse.issuer.id

    async def work(tx: Tx) -> Card | BayonError:
        command = IssueCard(issuer_id=issuer_id, account_id=purse.account.id)
        at = now or await now_of(tx)
        (outcome,) = await issue_cards(tx, [command], vault=VAULT, now=at)
        return outcome

    return await db.transaction(work)


async def update(
    db: Database, card: Card, status: CardStatus | None, *, issuer: Issuer | None = None
) -> Card:
    async def work(tx: Tx) -> Card:
        issuer_id = issuer.id if issuer else card.issuer_id
        now = await now_of(tx)
        return await cards.update_card(
            tx, issuer_id=issuer_id, card_id=card.id, status=status, now=now
        )

    return await db.transaction(work)


async def find(db: Database, card: Card) -> Card:
    return await db.read(lambda tx: cards.find_card(tx, issuer_id=card.issuer_id, card_id=card.id))


async def make_in(db: Database, purse: Purse, status: CardStatus) -> Card:
    """Make a card in this state."""
    if status == "unactivated":
        made = await issue(db, purse)
        assert isinstance(made, Card)
        return made
    return await make_card(db, purse.account, status=status)


# Their making.


async def test_a_card_is_made_unactivated_with_a_number_of_its_issuers(
    db: Database, purse: Purse
) -> None:
    card = await issue(db, purse)
    assert isinstance(card, Card)
    assert (card.status, card.type, card.pvv, card.pin_tries) == (
        "unactivated",
        "physical",
        None,
        0,
    )
    assert (card.account_id, card.cardholder_id) == (purse.account.id, purse.cardholder.id)
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id)
    assert VAULT.read_pan(pan) == pan
    assert pan.reveal().startswith(purse.issuer.bin)
    assert (len(pan.reveal()), pan.reveal()[-4:]) == (16, card.last_four)
    assert await find(db, card) == card
    assert (await event_types(db, purse.issuer))[-1] == "card.created"


@pytest.mark.parametrize(
    ("made", "month", "year"),
    [
        ("2020-04-09T12:20:10", 4, 2023),
        ("2023-12-31T23:59:59", 12, 2026),
        ("2024-01-01T00:00:00", 1, 2027),
        ("2024-02-29T00:00:00", 2, 2027),
    ],
)
async def test_a_card_is_good_for_three_years_to_the_end_of_the_month(
    db: Database, purse: Purse, made: str, month: int, year: int
) -> None:
    card = await issue(db, purse, now=datetime.fromisoformat(made).replace(tzinfo=UTC))
    assert isinstance(card, Card)
    assert (card.exp_month, card.exp_year) == (month, year)


@pytest.mark.parametrize(
    ("now", "is_over"),
    [
        ("2023-03-31T23:59:59", False),
        ("2023-04-01T00:00:00", False),
        ("2023-04-30T23:59:59", False),
        ("2023-05-01T00:00:00", True),
        ("2024-01-01T00:00:00", True),
        ("2022-12-31T00:00:00", False),
    ],
)
async def test_a_card_expires_when_its_month_is_over(
    db: Database, purse: Purse, now: str, *, is_over: bool
) -> None:
    card = replace(await make_card(db, purse.account), exp_month=4, exp_year=2023)
    assert has_expired(card, now=datetime.fromisoformat(now).replace(tzinfo=UTC)) == is_over


async def test_guards_of_a_card_in_their_order(db: Database) -> None:
    purse, other = await make_purse(db), await make_issuer(db)
    assert isinstance(await issue(db, purse, issuer=other), CardAccountNotFound)
    nowhere = replace(purse, account=replace(purse.account, id=uuid7()))
    assert isinstance(await issue(db, nowhere), CardAccountNotFound)
    rejected = await decide(db, purse.cardholder, reason="known_to_us")
    assert refusal(await issue(db, purse)) == "must have an active cardholder"
    await set_account_status(db, purse, "inactive")
    assert refusal(await issue(db, purse)) == "must be active"
    await decide(db, rejected)
    assert refusal(await issue(db, purse)) == "must be active"
    await set_account_status(db, purse, "active")
    assert isinstance(await issue(db, purse), Card)


async def test_a_cardholder_under_review_has_no_new_card(db: Database) -> None:
    purse = await make_purse(db)
    reviewed = await create_cardholder(db, purse.issuer)
    (account,) = await open_all(db, [make_opening(reviewed)])
    assert not isinstance(account, BayonError)
    assert refusal(await issue(db, replace(purse, account=account))) == (
        "must have an active cardholder"
    )


def refusal(outcome: Card | BayonError) -> str:
    assert isinstance(outcome, BadAttributes)
    (problem,) = outcome.problems
    assert problem.pointer == "/data/relationships/account"
    return problem.message


async def set_account_status(db: Database, purse: Purse, status: str) -> None:
    await db.read(
        lambda tx: tx.run(
            "UPDATE cards.account SET status = $2 WHERE id = $1", purse.account.id, status
        )
    )


# Imported ones.


def importing(purse: Purse, pan: Secret = PAN, pin: Secret | None = PIN) -> ImportCard:
    return ImportCard(
        issuer_id=purse.issuer.id,
        account_id=purse.account.id,
        pan=pan,
        exp_month=2,
        exp_year=2030,
        pin=pin,
    )


async def bring(db: Database, command: ImportCard) -> Card:
    async def work(tx: Tx) -> Card:
        return await cards.import_card(tx, command, vault=VAULT, now=await now_of(tx))

    return await db.transaction(work)


async def test_an_imported_card_is_active_with_its_pin(db: Database, purse: Purse) -> None:
    pan = VAULT.make_pan("41111111")
    card = await bring(db, importing(purse, pan))
    assert (card.status, card.exp_month, card.exp_year) == ("active", 2, 2030)
    assert card.pvv is not None
    assert VAULT.is_pin(pan, PIN, pvv=card.pvv)
    assert (await bring(db, importing(purse, VAULT.make_pan("41111111"), None))).pvv is None
    assert (await event_types(db, purse.issuer))[-1] == "card.created"


async def test_guards_of_an_import_in_their_order(db: Database, purse: Purse) -> None:
    bad, weird = Secret("4111111111111112"), Secret("12345")
    command = importing(purse, PAN)
    nowhere = replace(command, account_id=uuid7())
    await bring(db, command)
    for case, error in (
        (replace(nowhere, pan=bad, pin=weird), BadPan),
        (replace(nowhere, pin=weird), BadPin),
        (nowhere, CardAccountNotFound),
        (command, PanTaken),
    ):
        with pytest.raises(error):
            await bring(db, case)


async def test_a_number_is_taken_for_all_issuers_however_it_is_written(db: Database) -> None:
    pan = VAULT.make_pan("41111111")
    digits = pan.reveal()
    await bring(db, importing(await make_purse(db), pan))
    spaced = Secret(" ".join(digits[n : n + 4] for n in range(0, 16, 4)))
    with pytest.raises(PanTaken):
        await bring(db, importing(await make_purse(db), spaced))


async def test_ten_imports_of_a_number_at_once_are_one_card(db: Database, purse: Purse) -> None:
    command = importing(purse, VAULT.make_pan("41111111"))
    outcomes = await asyncio.gather(
        *(bring(db, command) for _ in range(10)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Card"] + ["PanTaken"] * 9


# Their states.

MAY: Final = {
    "unactivated": {"canceled", "lost", "stolen"},
    "active": {"inactive", "canceled", "lost", "stolen"},
    "inactive": {"active", "canceled", "lost", "stolen"},
    "canceled": set[str](),
    "lost": set[str](),
    "stolen": set[str](),
}


@pytest.mark.parametrize(("before", "after"), [*product(STATUSES, STATUSES)])
async def test_a_state_leads_where_it_may_and_nowhere_else(
    db: Database, before: CardStatus, after: CardStatus
) -> None:
    purse = await make_purse(db)
    card = await make_in(db, purse, before)
    told = await event_types(db, purse.issuer)
    if after in MAY[before]:
        changed = await update(db, card, after)
        assert changed == replace(card, status=after, updated_at=changed.updated_at)
        assert await find(db, card) == changed
        assert await event_types(db, purse.issuer) == [*told, "card.updated"]
        return
    if before == after:
        assert await update(db, card, after) == card
    else:
        with pytest.raises(BadAttributes) as refused:
            await update(db, card, after)
        assert [each.pointer for each in refused.value.problems] == ["/data/attributes/status"]
    assert await find(db, card) == card
    assert await event_types(db, purse.issuer) == told


async def test_no_state_at_all_changes_nothing(db: Database, purse: Purse) -> None:
    assert await update(db, purse.card, None) == purse.card


async def test_another_issuers_card_is_not_there(db: Database, purse: Purse) -> None:
    other = await make_issuer(db)
    with pytest.raises(CardNotFound):
        await update(db, purse.card, "lost", issuer=other)
    with pytest.raises(CardNotFound):
        await db.read(lambda tx: cards.find_card(tx, issuer_id=other.id, card_id=purse.card.id))
    assert isinstance(await token(db, purse.card, "pin_reset", issuer=other), CardNotFound)
    assert await find(db, purse.card) == purse.card


async def test_two_who_change_a_card_at_once_come_one_after_the_other(
    db: Database, purse: Purse
) -> None:
    """Out of a final state nothing leads, whoever saw it before it was final."""
    outcomes = await asyncio.gather(
        *(update(db, purse.card, status) for status in ("lost", "inactive", "stolen")),
        return_exceptions=True,
    )
    final = (await find(db, purse.card)).status
    assert final in FINAL
    assert sum(isinstance(each, Card) and each.status in FINAL for each in outcomes) == 1


# Links of their holders.


async def token(
    db: Database, card: Card, of_type: TokenType, *, issuer: Issuer | None = None
) -> ManagementToken | BayonError:
    async def work(tx: Tx) -> ManagementToken | BayonError:
        issuer_id = issuer.id if issuer else card.issuer_id
        command = CreateToken(issuer_id=issuer_id, card_id=card.id, type=of_type)
        (outcome,) = await create_tokens(tx, [command], now=await now_of(tx))
        return outcome

    return await db.transaction(work)


async def open_tokens(db: Database, card: Card) -> list[tuple[str, bytes]]:
    rows = await db.read(
        lambda tx: tx.rows(
            """
            SELECT type, digest FROM cards.management_token
            WHERE card_id = $1 AND used_at IS NULL AND voided_at IS NULL ORDER BY type
            """,
            card.id,
        )
    )
    return [(row["type"], row["digest"]) for row in rows]


@pytest.mark.parametrize(("status", "of_type"), [*product(STATUSES, TOKENS)])
async def test_a_link_is_made_in_the_right_states_only(
    db: Database, purse: Purse, status: CardStatus, of_type: TokenType
) -> None:
    card = await make_in(db, purse, status)
    made = await token(db, card, of_type)
    if (of_type, status) in {
        ("card_activation", "unactivated"),
        ("pin_reset", "active"),
        ("pin_reset", "inactive"),
    }:
        assert isinstance(made, ManagementToken)
        assert made.expires_at - made.created_at == timedelta(minutes=10)
        assert len(made.token) == 43
        assert await open_tokens(db, card) == [(of_type, token_digest(made.token))]
        return
    assert isinstance(made, BadAttributes)
    assert [each.pointer for each in made.problems] == ["/data/attributes/type"]
    assert await open_tokens(db, card) == []


async def test_a_token_is_kept_as_its_digest_only(db: Database, purse: Purse) -> None:
    made = await token(db, purse.card, "pin_reset")
    assert isinstance(made, ManagementToken)
    rows = await db.read(
        lambda tx: tx.rows(
            "SELECT t::text AS kept FROM cards.management_token AS t WHERE id = $1", made.id
        )
    )
    (kept,) = [row["kept"] for row in rows]
    assert made.token not in kept
    assert hashlib.sha256(made.token.encode()).hexdigest() in kept


async def test_a_newer_link_voids_the_older_of_its_type_alone(db: Database, purse: Purse) -> None:
    other = await make_card(db, purse.account)
    kept = await token(db, other, "pin_reset")
    older, newer = [await token(db, purse.card, "pin_reset") for _ in range(2)]
    assert isinstance(kept, ManagementToken)
    assert isinstance(older, ManagementToken)
    assert isinstance(newer, ManagementToken)
    assert older.token != newer.token
    assert await open_tokens(db, purse.card) == [("pin_reset", token_digest(newer.token))]
    assert await open_tokens(db, other) == [("pin_reset", token_digest(kept.token))]


@pytest.mark.parametrize("final", sorted(FINAL))
@pytest.mark.parametrize("before", ["unactivated", "active", "inactive"])
async def test_a_final_state_voids_every_link_and_another_none(
    db: Database, purse: Purse, before: CardStatus, final: CardStatus
) -> None:
    card = await make_in(db, purse, before)
    of_type: TokenType = "card_activation" if before == "unactivated" else "pin_reset"
    await token(db, card, of_type)
    if before == "active":
        await update(db, card, "inactive")
    assert len(await open_tokens(db, card)) == 1
    await update(db, card, final)
    assert await open_tokens(db, card) == []


async def test_ten_links_at_once_leave_one_open(db: Database, purse: Purse) -> None:
    made = await asyncio.gather(*(token(db, purse.card, "pin_reset") for _ in range(10)))
    assert all(isinstance(each, ManagementToken) for each in made)
    assert len(await open_tokens(db, purse.card)) == 1


async def test_a_link_and_a_final_state_at_once_leave_no_link_open(
    db: Database, purse: Purse
) -> None:
    for _ in range(5):
        card = await make_card(db, purse.account)
        await asyncio.gather(token(db, card, "pin_reset"), update(db, card, "stolen"))
        assert await open_tokens(db, card) == []
