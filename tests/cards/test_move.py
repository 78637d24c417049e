"""Authorise, clear and top up: every guard in its order, and what moves where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bayon import cards, ledger
from bayon.cards import (
    Account,
    Authorize,
    BadAttributes,
    Card,
    CardAccountNotFound,
    CardNotFound,
    ChipData,
    ChipProof,
    FeeRule,
    Inquire,
    Moved,
    NotPending,
    Proof,
    Topup,
    Transaction,
    TransactionNotFound,
    response_code,
)
from bayon.cards.authorize import CVV2_TRIES_MAX, HOLD_TTL, PIN_TRIES_MAX
from bayon.cards.model import Decline, Fee
from bayon.db import Database
from bayon.errors import BayonError
from bayon.ids import uuid7
from bayon.ledger import Balance
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX, Currency
from cards.oracles import psec_cvv_of
from cards.plastic import order_cards
from cards_factories import (
    PIN,
    VAULT,
    VAULT_KEYS,
    WRONG_PIN,
    Purse,
    balance_of,
    decide,
    event_types,
    make_account,
    make_authorize,
    make_card,
    make_clear,
    make_issuer,
    make_purse,
    make_topup,
    make_withdrawal,
    move_all,
    move_one,
    move_whole,
    set_cash_fee,
)

OUT_OF_RANGE: Final = (0, -1, AMOUNT_MINOR_MAX + 1, 2**63, -(2**63))


@pytest.fixture
def db(shared: tuple[Database, str]) -> Database:
    return shared[0]


@pytest.fixture
async def purse(db: Database) -> Purse:
    return await make_purse(db, usd_minor=10_000)


async def has(db: Database, account: Account) -> tuple[int, int]:
    """Tell what is posted and what is held."""
    found = await balance_of(db, account)
    return found.posted_minor, found.held_minor


async def find(db: Database, transaction: Transaction) -> Transaction:
    return await db.read(
        lambda tx: cards.find_transaction(
            tx, issuer_id=transaction.issuer_id, transaction_id=transaction.id
        )
    )


async def sides(db: Database, purse: Purse) -> list[int]:
    """Tell what the issuer's side has: funding, clearing, fees."""
    issuer = purse.issuer
    ids = [issuer.funding_account_id, issuer.clearing_account_id, issuer.fees_account_id]
    found = await db.read(lambda tx: ledger.balance(tx, ids))
    return [balance.posted_minor for balance in found if balance]


async def authorized(db: Database, purse: Purse, amount_minor: int = 1_000) -> Transaction:
    made = await move_one(db, make_authorize(purse.card, amount_minor))
    assert made.status == "pending"
    return made


# Authorisation: the ladder.


@dataclass(frozen=True)
class Rung:
    """One guard: how a request meets it, and what it is declined with."""

    decline: Decline
    status: str = "active"
    exp: tuple[int, int] = (12, 2099)
    reason: str | None = None
    account_status: str = "active"
    chip: ChipProof | None = None
    cvv2: Secret | None = None
    tries: int = 0
    pin: Any = PIN
    amount_minor: int = 1


def used(counter: int, *, genuine: bool = True, agrees: bool = True) -> ChipProof:
    """Make what was judged of a chip's use."""
    said = ChipData(
        version=18,
        counter=counter,
        amount="000000000001",
        currency="840",
        cryptogram=bytes(8),
        signed=bytes(29),
        issuer_data=bytes(7),
    )
    return ChipProof(data=said, psn="00", genuine=genuine, agrees=agrees)


LADDER: Final = (
    Rung(Decline.CARD_INACTIVE, status="inactive"),
    Rung(Decline.CARD_EXPIRED, exp=(1, 2020)),
    Rung(Decline.CARDHOLDER_REJECTED, reason="known_to_us"),
    Rung(Decline.ACCOUNT_INACTIVE, account_status="inactive"),
    Rung(Decline.CRYPTOGRAM_WRONG, chip=used(1, genuine=False)),
    Rung(Decline.CRYPTOGRAM_USED, chip=used(0)),
    Rung(Decline.CVV2_WRONG, cvv2=Secret("12")),
    Rung(Decline.PIN_TRIES_EXCEEDED, tries=PIN_TRIES_MAX),
    Rung(Decline.PIN_WRONG, pin=WRONG_PIN),
    Rung(Decline.AMOUNT_OUT_OF_RANGE, amount_minor=AMOUNT_MINOR_MAX + 1),
    Rung(Decline.INSUFFICIENT_FUNDS, amount_minor=10_001),
)


def both(first: Rung, second: Rung) -> Rung:
    """Meet two guards at once; what only one of them can set is that one's."""
    plain = Rung(first.decline)
    merged: dict[str, Any] = {
        name: getattr(first, name)
        if getattr(first, name) != getattr(plain, name)
        else getattr(second, name)
        for name in Rung.__dataclass_fields__
    }
    merged["decline"] = first.decline
    return Rung(**merged)


PAIRS: Final = [both(first, second) for n, first in enumerate(LADDER) for second in LADDER[n + 1 :]]


async def ask(db: Database, purse: Purse, rung: Rung, **others: Any) -> Transaction:  # noqa: ANN401 - a command's fields
    """Make a card as a rung wants it, and ask with it."""
    card = await make_card(db, purse.account, exp=rung.exp, status=rung.status)  # pyright: ignore[reportArgumentType]
    await decide(db, purse.cardholder, reason=rung.reason)
    await db.read(
        lambda tx: tx.run(
            "UPDATE cards.account SET status = $2 WHERE id = $1",
            purse.account.id,
            rung.account_status,
        )
    )
    await db.read(
        lambda tx: tx.run("UPDATE cards.card SET pin_tries = $2 WHERE id = $1", card.id, rung.tries)
    )
    proof = Proof(pin=rung.pin, chip=rung.chip, cvv2=rung.cvv2)
    return await move_one(db, make_authorize(card, rung.amount_minor, proof=proof, **others))


@pytest.fixture(scope="module")
async def ladder_purse(shared: tuple[Database, str]) -> Purse:
    purse = await make_purse(shared[0])
    # A card wants an active account, so the money comes first.
    await move_one(shared[0], make_topup(purse.account, 10_000))
    return purse


@pytest.mark.parametrize("kind", ["purchase", "cash_withdrawal"])
@pytest.mark.parametrize("rung", [*LADDER, *PAIRS], ids=lambda rung: rung.decline)
async def test_guards_decline_in_their_order_and_move_nothing(
    db: Database, ladder_purse: Purse, rung: Rung, kind: str
) -> None:
    await db.read(
        lambda tx: tx.run(
            "UPDATE cards.account SET status = 'active' WHERE id = $1", ladder_purse.account.id
        )
    )
    await decide(db, ladder_purse.cardholder)
    before = await has(db, ladder_purse.account)
    declined = await ask(db, ladder_purse, rung, kind=kind)
    assert (declined.status, declined.decline_reason) == ("declined", rung.decline)
    assert (declined.settled_at, declined.hold_id) == (None, None)
    assert await find(db, declined) == declined
    assert await has(db, ladder_purse.account) == before == (10_000, 0)
    assert (await event_types(db, ladder_purse.issuer))[-1] == "transaction.declined"


@pytest.mark.parametrize(
    ("status", "decline", "code"),
    [
        ("inactive", Decline.CARD_INACTIVE, "62"),
        ("canceled", Decline.CARD_CANCELED, "46"),
        ("lost", Decline.CARD_LOST, "41"),
        ("stolen", Decline.CARD_STOLEN, "43"),
    ],
)
async def test_each_state_of_a_card_but_active_declines_with_its_code(
    db: Database, purse: Purse, status: str, decline: Decline, code: str
) -> None:
    await db.read(
        lambda tx: tx.run("UPDATE cards.card SET status = $2 WHERE id = $1", purse.card.id, status)
    )
    command = make_authorize(purse.card, 1)
    declined = await move_one(db, command)
    assert declined.decline_reason == decline
    assert response_code(declined, asked_minor=command.amount_minor) == code


async def test_a_card_nobody_has_activated_declines(db: Database, purse: Purse) -> None:
    (card,) = await order_cards(db, purse)
    declined = await move_one(db, make_authorize(card, 1))
    assert declined.decline_reason == Decline.CARD_NOT_ACTIVATED
    assert response_code(declined, asked_minor=1) == "62"


CODES: Final = {
    Decline.CARD_EXPIRED: "54",
    Decline.CARDHOLDER_REJECTED: "62",
    Decline.ACCOUNT_INACTIVE: "62",
    Decline.CVV2_WRONG: "05",
    Decline.PIN_TRIES_EXCEEDED: "75",
    Decline.PIN_WRONG: "55",
    Decline.AMOUNT_OUT_OF_RANGE: "13",
    Decline.INSUFFICIENT_FUNDS: "51",
}


@pytest.mark.parametrize(("decline", "code"), CODES.items())
async def test_each_other_decline_has_its_code(
    db: Database, purse: Purse, decline: Decline, code: str
) -> None:
    made = replace(await authorized(db, purse, 1), decline_reason=decline)
    assert response_code(made, asked_minor=1) == code


@pytest.mark.parametrize("kind", ["purchase", "cash_withdrawal"])
@pytest.mark.parametrize("partial_allowed", [False, True])
@pytest.mark.parametrize("amount_minor", OUT_OF_RANGE)
async def test_an_amount_out_of_range_is_declined_and_breaks_nobody_elses(
    db: Database, purse: Purse, kind: str, amount_minor: int, *, partial_allowed: bool
) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300, basis_points=150))
    odd = make_authorize(purse.card, amount_minor, kind=kind, partial_allowed=partial_allowed)
    declined, pending = await move_all(db, [odd, make_authorize(purse.card, 100)])
    assert isinstance(declined, Transaction)
    assert declined.decline_reason == Decline.AMOUNT_OUT_OF_RANGE
    assert await find(db, declined) == declined
    assert isinstance(pending, Transaction)
    assert pending.status == "pending"
    assert await has(db, purse.account) == (10_000, 100)


async def test_what_is_declined_for_another_reason_may_have_any_amount(
    db: Database, purse: Purse
) -> None:
    card = await make_card(db, purse.account, status="lost")
    for amount_minor in OUT_OF_RANGE:
        declined = await move_one(db, make_withdrawal(card, amount_minor))
        assert declined.decline_reason == Decline.CARD_LOST


# Authorisation: what is approved.


async def test_a_purchase_holds_its_amount_until_it_is_cleared(db: Database, purse: Purse) -> None:
    command = make_authorize(purse.card, 10_000)
    made = await move_one(db, command)
    assert (made.status, made.type, made.balance_adjustment_type) == (
        "pending",
        "purchase",
        "debit",
    )
    assert (made.amount_minor, made.transaction_amount_minor, made.fees) == (10_000, 10_000, ())
    assert (made.account_id, made.card_id) == (purse.account.id, purse.card.id)
    assert (made.settled_at, made.decline_reason, made.funding_source) == (None, None, None)
    assert made.merchant == command.merchant
    assert made.number.isdecimal()
    assert len(made.number) == 12
    assert await find(db, made) == made
    assert await has(db, purse.account) == (10_000, 10_000)
    assert response_code(made, asked_minor=command.amount_minor) == "00"
    assert (await event_types(db, purse.issuer))[-1] == "transaction.created"
    expires_at = await db.read(
        lambda tx: tx.value("SELECT expires_at FROM ledger.hold WHERE id = $1", made.hold_id)
    )
    assert expires_at == made.created_at + HOLD_TTL
    last = await move_one(db, make_authorize(purse.card, 1))
    assert last.decline_reason == Decline.INSUFFICIENT_FUNDS


@pytest.mark.parametrize(
    ("there_minor", "asked_minor", "partial_allowed", "granted_minor", "code"),
    [
        (10_000, 10_000, True, 10_000, "00"),
        (10_000, 10_001, True, 10_000, "10"),
        (1, 10_000, True, 1, "10"),
        (0, 10_000, True, None, "51"),
        (10_000, 10_001, False, None, "51"),
        (10_000, 9_999, True, 9_999, "00"),
    ],
)
async def test_less_than_the_amount_is_granted_where_that_will_do(
    db: Database,
    *,
    there_minor: int,
    asked_minor: int,
    partial_allowed: bool,
    granted_minor: int | None,
    code: str,
) -> None:
    purse = await make_purse(db, usd_minor=there_minor)
    command = make_authorize(purse.card, asked_minor, partial_allowed=partial_allowed)
    made = await move_one(db, command)
    assert response_code(made, asked_minor=command.amount_minor) == code
    assert made.status == ("declined" if granted_minor is None else "pending")
    shown_minor = asked_minor if granted_minor is None else granted_minor
    assert (made.amount_minor, made.transaction_amount_minor) == (shown_minor, shown_minor)
    assert await has(db, purse.account) == (there_minor, granted_minor or 0)


async def test_nothing_is_granted_in_part_below_nothing(db: Database, purse: Purse) -> None:
    await move_one(db, make_clear(await authorized(db, purse), 12_000))
    made = await move_one(db, make_authorize(purse.card, 100, partial_allowed=True))
    assert made.decline_reason == Decline.INSUFFICIENT_FUNDS


@pytest.mark.parametrize(
    ("rule", "there_minor", "fee_minor"),
    [
        (None, 10_000, 0),
        (FeeRule(), 10_000, 0),
        (FeeRule(flat_minor=300), 10_300, 300),
        (FeeRule(flat_minor=300, basis_points=150), 10_450, 450),
    ],
)
async def test_cash_and_its_fee_go_together_or_not_at_all(
    db: Database, rule: FeeRule | None, there_minor: int, fee_minor: int
) -> None:
    purse = await make_purse(db, usd_minor=there_minor - 1)
    await set_cash_fee(db, purse.issuer, rule)
    command = make_withdrawal(purse.card, 10_000, partial_allowed=True)
    declined = await move_one(db, command)
    assert declined.decline_reason == Decline.INSUFFICIENT_FUNDS
    assert await has(db, purse.account) == (there_minor - 1, 0)
    await move_one(db, make_topup(purse.account, 1))
    made = await move_one(db, command)
    assert (made.status, made.type, made.hold_id) == ("settled", "cash_withdrawal", None)
    assert (made.amount_minor, made.transaction_amount_minor) == (10_000 + fee_minor, 10_000)
    fee = Fee(type="interbank_cash_withdrawal", amount_minor=fee_minor, currency=Currency.USD)
    assert made.fees == ((fee,) if fee_minor else ())
    assert made.settled_at == made.occurred_at == made.created_at.replace(microsecond=0)
    assert await has(db, purse.account) == (0, 0)
    assert await sides(db, purse) == [-there_minor, 10_000, fee_minor]
    assert response_code(made, asked_minor=command.amount_minor) == "00"
    assert await find(db, made) == made


async def test_a_purchase_takes_no_cash_fee(db: Database, purse: Purse) -> None:
    await set_cash_fee(db, purse.issuer, FeeRule(flat_minor=300))
    assert (await authorized(db, purse, 10_000)).fees == ()


@pytest.mark.parametrize(
    ("ahead", "happened_ago"),
    [
        (timedelta(), timedelta()),
        (timedelta(minutes=5), timedelta()),
        (timedelta(days=-3), timedelta(days=3)),
    ],
)
async def test_a_transaction_happened_when_it_says_but_never_later_than_now(
    db: Database, purse: Purse, ahead: timedelta, happened_ago: timedelta
) -> None:
    now = datetime(2026, 1, 17, 12, 0, 0, 900_000, tzinfo=UTC)
    for command in (
        make_authorize(purse.card, 1, occurred_at=now + ahead),
        make_topup(purse.account, 1, at=now + ahead),
    ):
        made = await move_one(db, command, now=now)
        assert made.occurred_at == (now - happened_ago).replace(microsecond=0)
        assert made.created_at == now


# PINs.

SEQUENCES: Final = {
    "www r": (*["pin_wrong"] * 3, "pin_tries_exceeded"),
    "www w": (*["pin_wrong"] * 3, "pin_tries_exceeded"),
    "ww r www r": ("pin_wrong", "pin_wrong", None, *["pin_wrong"] * 3, "pin_tries_exceeded"),
    "ww n w r": ("pin_wrong", "pin_wrong", None, "pin_wrong", "pin_tries_exceeded"),
    "www n": (*["pin_wrong"] * 3, None),
    "r r": (None, None),
}


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("sequence", SEQUENCES)
async def test_three_wrong_pins_are_the_last_in_one_batch_or_in_several(
    db: Database, purse: Purse, sequence: str, size: int
) -> None:
    pins = {"w": WRONG_PIN, "r": PIN, "n": None}
    letters = sequence.replace(" ", "")
    commands = [make_authorize(purse.card, 1, pin=pins[letter]) for letter in letters]
    outcomes: list[Transaction | BayonError] = []
    for start in range(0, len(commands), size):
        outcomes += await move_all(db, commands[start : start + size])
    reasons = [each.decline_reason for each in outcomes if isinstance(each, Transaction)]
    assert tuple(reasons) == SEQUENCES[sequence]


async def test_a_right_pin_counts_anew_even_when_funds_are_missing(
    db: Database, purse: Purse
) -> None:
    asked = [(WRONG_PIN, 1), (WRONG_PIN, 1), (PIN, 10_001), (WRONG_PIN, 1), (PIN, 1)]
    outcomes = await move_all(
        db, [make_authorize(purse.card, amount, pin=pin) for pin, amount in asked]
    )
    assert [each.decline_reason for each in outcomes if isinstance(each, Transaction)] == [
        "pin_wrong",
        "pin_wrong",
        "insufficient_funds",
        "pin_wrong",
        None,
    ]


async def test_a_pin_that_no_guard_looked_at_is_not_counted(db: Database, purse: Purse) -> None:
    wrong = make_authorize(purse.card, 1, pin=WRONG_PIN)
    for status in ("inactive", "active"):
        await db.read(
            lambda tx, s=status: tx.run(
                "UPDATE cards.card SET status = $2 WHERE id = $1", purse.card.id, s
            )
        )
        await move_all(db, [wrong, wrong])
    assert (await tries(db, purse)) == 2


async def tries(db: Database, purse: Purse) -> int:
    card = await db.read(
        lambda tx: cards.find_card(tx, issuer_id=purse.issuer.id, card_id=purse.card.id)
    )
    return card.pin_tries


async def test_a_card_without_a_pin_has_no_right_one(db: Database, purse: Purse) -> None:
    card = await make_card(db, purse.account, pin=None)
    assert (await move_one(db, make_authorize(card, 1, pin=PIN))).decline_reason == "pin_wrong"
    assert (await move_one(db, make_authorize(card, 1))).status == "pending"


# The code printed on a card.

GUESSES: Final = {
    "wwwww r": (*["cvv2_wrong"] * 5, "cvv2_wrong"),
    "wwww r wwww r": (*["cvv2_wrong"] * 4, None, *["cvv2_wrong"] * 4, None),
    "wwwww n r": (*["cvv2_wrong"] * 5, None, "cvv2_wrong"),
    "wwwww p r": (*["cvv2_wrong"] * 5, None, None),
    "wwwww q r": (*["cvv2_wrong"] * 5, "pin_wrong", "cvv2_wrong"),
}


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("sequence", GUESSES)
async def test_a_code_that_is_guessed_is_soon_right_no_more(
    db: Database, purse: Purse, sequence: str, size: int
) -> None:
    assert CVV2_TRIES_MAX == 5
    right = printed(purse.card)
    wrong = Secret(f"{(int(right.reveal()) + 1) % 1_000:03}")
    proofs = {
        "w": Proof(cvv2=wrong),
        "r": Proof(cvv2=right),
        "n": Proof(),
        "p": Proof(pin=PIN),
        "q": Proof(pin=WRONG_PIN),
    }
    asked = [make_authorize(purse.card, 1, proof=proofs[c]) for c in sequence.replace(" ", "")]
    outcomes: list[Transaction | BayonError] = []
    for start in range(0, len(asked), size):
        outcomes += await move_all(db, asked[start : start + size])
    reasons = [each.decline_reason for each in outcomes if isinstance(each, Transaction)]
    assert tuple(reasons) == GUESSES[sequence]


async def test_a_code_that_no_guard_looked_at_is_not_counted(db: Database, purse: Purse) -> None:
    guess = make_authorize(purse.card, 1, proof=Proof(cvv2=Secret("12"), expiry=(2001, 1)))
    outcomes = await move_all(db, [guess] * (CVV2_TRIES_MAX + 1))
    assert {each.decline_reason for each in outcomes if isinstance(each, Transaction)} == {
        "expiry_wrong"
    }
    right = make_authorize(purse.card, 1, proof=Proof(cvv2=printed(purse.card)))
    assert (await move_one(db, right)).status == "pending"


def printed(card: Card) -> Secret:
    """Tell the code on a card, as psec calculates it."""
    key = bytes.fromhex(VAULT_KEYS.card_verification_key.reveal())
    pan = VAULT.open_pan(card.pan_sealed, card_id=card.id).reveal()
    expiry = f"{card.exp_year % 100:02}{card.exp_month:02}"
    return Secret(psec_cvv_of(key, pan, expiry, "000"))


async def test_two_cards_of_an_account_share_its_money_and_not_their_tries(
    db: Database, purse: Purse
) -> None:
    other = await make_card(db, purse.account)
    commands = [
        *[make_authorize(purse.card, 1, pin=WRONG_PIN)] * 3,
        make_authorize(other, 6_000, pin=PIN),
        make_authorize(purse.card, 6_000, pin=PIN),
        make_authorize(purse.card, 6_000),
        make_authorize(other, 4_000, pin=PIN),
    ]
    outcomes = await move_all(db, commands)
    assert [each.decline_reason for each in outcomes[3:] if isinstance(each, Transaction)] == [
        None,
        "pin_tries_exceeded",
        "insufficient_funds",
        None,
    ]


async def test_a_use_of_a_chip_counts_once_in_a_batch_and_beyond_whatever_is_decided(
    db: Database, purse: Purse
) -> None:
    def by(chip: ChipProof, amount_minor: int = 1) -> Authorize:
        return make_authorize(purse.card, amount_minor, proof=Proof(chip=chip))

    async def declines(*commands: Authorize) -> list[Decline | None]:
        outcomes = await move_all(db, commands)
        return [each.decline_reason for each in outcomes if isinstance(each, Transaction)]

    async def counter() -> int:
        issuer, card = purse.issuer, purse.card
        found = await db.read(lambda tx: cards.find_card(tx, issuer_id=issuer.id, card_id=card.id))
        return found.atc

    wrong, again = Decline.CRYPTOGRAM_WRONG, Decline.CRYPTOGRAM_USED
    uses = by(used(5)), by(used(5)), by(used(9, genuine=False)), by(used(6)), by(used(5))
    assert await declines(*uses) == [None, again, wrong, None, again]
    assert await counter() == 6
    assert await declines(by(used(6)), by(used(7, agrees=False))) == [again, wrong]
    assert await declines(by(used(7, agrees=False)), by(used(7))) == [wrong, again]
    assert await declines(by(used(8), 99_999)) == [Decline.INSUFFICIENT_FUNDS]
    assert await counter() == 8
    inquiry = Inquire(
        pan_digest=VAULT.pan_digest(VAULT.open_pan(purse.card.pan_sealed, card_id=purse.card.id)),
        proof=Proof(chip=used(9)),
    )
    asked = await move_whole(db, [inquiry, inquiry, by(used(9)), by(used(10))])
    assert [each.decline for each in asked if isinstance(each, Moved)] == [None, again, again, None]
    assert await counter() == 10
    lost = "UPDATE cards.card SET status = 'lost' WHERE id = $1"
    await db.read(lambda tx: tx.run(lost, purse.card.id))
    assert await declines(by(used(11))) == [Decline.CARD_LOST]
    assert await counter() == 11


# Clearing.


@pytest.mark.parametrize(
    ("amount_minor", "final", "cleared_minor", "left_minor"),
    [
        (None, True, 1_000, 0),
        (None, False, 1_000, 0),
        (1_000, True, 1_000, 0),
        (1_000, False, 1_000, 0),
        (600, True, 600, 0),
        (1, True, 1, 0),
        (1_200, True, 1_200, 0),
        (1_200, False, 1_200, 0),
        (20_000, True, 20_000, 0),
        (600, False, 600, 400),
        (999, False, 999, 1),
    ],
)
async def test_what_is_cleared_is_moved_and_the_rest_given_back_or_kept(
    db: Database,
    purse: Purse,
    *,
    amount_minor: int | None,
    final: bool,
    cleared_minor: int,
    left_minor: int,
) -> None:
    pending = await authorized(db, purse)
    settled = await move_one(db, make_clear(pending, amount_minor, final=final))
    assert (settled.status, settled.amount_minor) == ("settled", cleared_minor)
    assert settled.transaction_amount_minor == cleared_minor
    assert settled.settled_at == settled.updated_at.replace(microsecond=0)
    assert settled.occurred_at == pending.occurred_at
    assert await has(db, purse.account) == (10_000 - cleared_minor, left_minor)
    assert await sides(db, purse) == [-10_000, cleared_minor, 0]
    assert await find(db, settled) == settled
    first = await find(db, pending)
    told = await event_types(db, purse.issuer)
    if not left_minor:
        assert first == settled
        assert told[-2:] == ["transaction.created", "transaction.updated"]
        return
    assert (first.status, first.amount_minor) == ("pending", left_minor)
    assert settled.id != pending.id
    assert settled.number != pending.number
    assert (settled.card_id, settled.account_id) == (pending.card_id, pending.account_id)
    assert (settled.merchant, settled.type) == (pending.merchant, pending.type)
    assert told[-2:] == ["transaction.updated", "transaction.created"]


@pytest.mark.parametrize("in_one_batch", [False, True])
async def test_parts_are_cleared_until_the_last_in_one_batch_or_in_several(
    db: Database, purse: Purse, *, in_one_batch: bool
) -> None:
    pending = await authorized(db, purse)
    commands = [
        make_clear(pending, 300, final=False),
        make_clear(pending, 300, final=False),
        make_clear(pending, 1_000, final=True),
        make_clear(pending),
    ]
    if in_one_batch:
        outcomes = await move_all(db, commands)
    else:
        outcomes = [(await move_all(db, [command]))[0] for command in commands]
    settled = [each for each in outcomes if isinstance(each, Transaction)]
    assert [each.amount_minor for each in settled] == [300, 300, 1_000]
    assert [each.id == pending.id for each in settled] == [False, False, True]
    assert isinstance(outcomes[-1], NotPending)
    assert await has(db, purse.account) == (8_400, 0)


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("amount_minor", OUT_OF_RANGE)
async def test_an_amount_out_of_range_clears_nothing(
    db: Database, purse: Purse, amount_minor: int, *, final: bool
) -> None:
    pending = await authorized(db, purse)
    (refused,) = await move_all(db, [make_clear(pending, amount_minor, final=final)])
    assert isinstance(refused, BadAttributes)
    assert [each.pointer for each in refused.problems] == ["/amount"]
    assert await find(db, pending) == pending
    assert await has(db, purse.account) == (10_000, 1_000)


async def test_only_what_is_pending_is_cleared(db: Database, purse: Purse) -> None:
    pending = await authorized(db, purse)
    part = await move_one(db, make_clear(pending, 1, final=False))
    settled = await move_one(db, make_clear(pending))
    declined = await move_one(db, make_authorize(purse.card, 10_001))
    cash = await move_one(db, make_withdrawal(purse.card, 100))
    topup = await move_one(db, make_topup(purse.account, 100))
    before = await has(db, purse.account)
    for each in (part, settled, declined, cash, topup):
        (refused,) = await move_all(db, [make_clear(each, -1)])
        assert isinstance(refused, NotPending), each
    assert await has(db, purse.account) == before


async def test_what_the_network_has_cleared_is_owed_whatever_has_become_of_the_card(
    db: Database, purse: Purse
) -> None:
    pending = await authorized(db, purse)
    for sql in (
        "UPDATE cards.card SET status = 'stolen' WHERE id = $1",
        "UPDATE cards.account SET status = 'inactive' WHERE id = $1",
    ):
        whose = purse.card.id if "cards.card " in sql else purse.account.id
        await db.read(lambda tx, sql=sql, whose=whose: tx.run(sql, whose))
    await decide(db, purse.cardholder, reason="known_to_us")
    assert (await move_one(db, make_clear(pending))).status == "settled"


async def test_what_is_cleared_above_leaves_other_holds_alone(db: Database, purse: Purse) -> None:
    first, second = await authorized(db, purse, 4_000), await authorized(db, purse, 6_000)
    await move_one(db, make_clear(first, 9_000))
    assert await has(db, purse.account) == (1_000, 6_000)
    assert (await move_one(db, make_authorize(purse.card, 1))).status == "declined"
    await move_one(db, make_clear(second))
    assert await has(db, purse.account) == (-5_000, 0)
    await move_one(db, make_topup(purse.account, 5_001))
    assert (await move_one(db, make_authorize(purse.card, 1))).status == "pending"


# Top-ups.


async def test_a_topup_is_settled_at_once_as_the_document_prints_it(
    db: Database, purse: Purse
) -> None:
    made = await move_one(db, make_topup(purse.account, 500))
    assert (made.type, made.status, made.balance_adjustment_type) == (
        "purchase",
        "settled",
        "credit",
    )
    assert (made.amount_minor, made.transaction_amount_minor, made.fees) == (500, 500, ())
    assert (made.card_id, made.merchant, made.funding_source) == (None, None, "Agent Network")
    assert made.settled_at == made.occurred_at
    assert await find(db, made) == made
    assert await has(db, purse.account) == (10_500, 0)
    assert await sides(db, purse) == [-10_500, 0, 0]
    assert (await event_types(db, purse.issuer))[-1] == "transaction.created"


@pytest.mark.parametrize("amount_minor", [*OUT_OF_RANGE, AMOUNT_MINOR_MAX])
async def test_a_topup_out_of_range_is_refused_and_writes_nothing(
    db: Database, purse: Purse, amount_minor: int
) -> None:
    """The largest amount there is would be too much on top of what is there."""
    told = await event_types(db, purse.issuer)
    (refused,) = await move_all(db, [make_topup(purse.account, amount_minor)])
    assert isinstance(refused, BadAttributes)
    assert [each.pointer for each in refused.problems] == ["/data/attributes/amount"]
    assert await has(db, purse.account) == (10_000, 0)
    assert await event_types(db, purse.issuer) == told


async def test_an_account_takes_all_that_an_account_may_have_and_no_more(db: Database) -> None:
    purse = await make_purse(db)
    outcomes = await move_all(
        db, [make_topup(purse.account, AMOUNT_MINOR_MAX), make_topup(purse.account, 1)]
    )
    assert [type(each) for each in outcomes] == [Transaction, BadAttributes]
    await move_one(db, make_withdrawal(purse.card, AMOUNT_MINOR_MAX))


async def test_an_account_that_is_not_active_takes_no_topup(db: Database, purse: Purse) -> None:
    await db.read(
        lambda tx: tx.run(
            "UPDATE cards.account SET status = 'inactive' WHERE id = $1", purse.account.id
        )
    )
    (refused,) = await move_all(db, [make_topup(purse.account, -1)])
    assert isinstance(refused, BadAttributes)
    assert [each.pointer for each in refused.problems] == ["/data/type"]


# Whose.


async def test_nothing_moves_for_another_issuer(db: Database, purse: Purse) -> None:
    other, told = await make_issuer(db), await event_types(db, purse.issuer)
    pending = await authorized(db, purse)
    told = await event_types(db, purse.issuer)
    commands = [
        make_authorize(purse.card, 1),
        make_withdrawal(purse.card, 1),
        make_clear(pending),
        make_topup(purse.account, 1),
    ]
    foreign = [replace(command, issuer_id=other.id) for command in commands]
    unknown: Sequence[Authorize | cards.Clear | Topup] = [
        replace(make_authorize(purse.card, 1), card_id=uuid7()),
        replace(make_withdrawal(purse.card, 1), card_id=uuid7()),
        replace(make_clear(pending), transaction_id=uuid7()),
        replace(make_topup(purse.account, 1), account_id=uuid7()),
    ]
    wanted = [CardNotFound, CardNotFound, TransactionNotFound, CardAccountNotFound]
    for case in (foreign, unknown):
        assert [type(each) for each in await move_all(db, case)] == wanted
    assert await has(db, purse.account) == (10_000, 1_000)
    assert await event_types(db, purse.issuer) == told
    assert await event_types(db, other) == []
    with pytest.raises(TransactionNotFound):
        await db.read(
            lambda tx: cards.find_transaction(tx, issuer_id=other.id, transaction_id=pending.id)
        )


async def test_issuers_in_one_batch_have_their_own_sides(db: Database, purse: Purse) -> None:
    other = await make_purse(db, usd_minor=10_000)
    for each in (purse, other):
        await set_cash_fee(db, each.issuer, FeeRule(flat_minor=50 if each is purse else 70))
    outcomes = await move_all(
        db, [make_withdrawal(each.card, 1_000) for each in (purse, other, purse)]
    )
    assert [each.amount_minor for each in outcomes if isinstance(each, Transaction)] == [
        1_050,
        1_070,
        1_050,
    ]
    assert await sides(db, purse) == [-10_000, 2_000, 100]
    assert await sides(db, other) == [-10_000, 1_000, 70]


async def test_a_second_account_of_a_cardholder_is_another_account(
    db: Database, purse: Purse
) -> None:
    other = await make_account(db, purse.cardholder, usd_minor=5)
    await move_one(db, make_withdrawal(await make_card(db, other), 5))
    assert await balance_of(db, purse.account) == Balance(posted_minor=10_000, held_minor=0)
    assert await has(db, other) == (0, 0)
