"""Each resource, made of nouns with the samples' values, is what the API's document prints."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID

import pytest
from msgspec.structs import replace

from bayon.cards import Account, Card, Cardholder, FeeRule, Issuer, ManagementToken, document
from bayon.cards.model import Decline, Fee, Merchant, Transaction
from bayon.cms import samples
from bayon.ids import uuid7
from bayon.ledger import Balance
from bayon.money import Currency
from cards_factories import instant

ISSUER: Final = uuid7()


def data(sample: Mapping[str, object]) -> dict[str, Any]:
    return cast("dict[str, Any]", sample["data"])


def times(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: instant(attributes[name]) for name in ("created_at", "updated_at")}


def related(sample: Mapping[str, Any], name: str) -> UUID:
    return UUID(sample["relationships"][name]["data"]["id"])


def account_of(sample: Mapping[str, Any]) -> Account:
    attributes = sample["attributes"]
    return Account(
        id=UUID(sample["id"]),
        issuer_id=ISSUER,
        cardholder_id=related(sample, "cardholder"),
        number=attributes["number"],
        currency=Currency(attributes["currency"]),
        status=attributes["status"],
        metadata=attributes["metadata"],
        ledger_account_id=uuid7(),
        **times(attributes),
    )


def cardholder_of(sample: Mapping[str, Any]) -> Cardholder:
    attributes = sample["attributes"]
    names = ("name", "phone_number", "email", "status", "additional_details", "metadata")
    person = attributes["individual"]
    whose = ("address", "identity_document_number", "identity_document_type")
    return Cardholder(
        id=UUID(sample["id"]),
        issuer_id=ISSUER,
        rejection_reason=None,
        born_on=datetime.fromisoformat(person["date_of_birth"]).date(),
        photo_url="https://photo.example/",
        identity_document_url="https://document.example/",
        **{name: attributes[name] for name in names},
        **{name: person[name] for name in whose},
        **times(attributes),
    )


def card_of(sample: Mapping[str, Any]) -> Card:
    attributes = sample["attributes"]
    names = ("type", "status", "last_four", "exp_month", "exp_year")
    return Card(
        id=UUID(sample["id"]),
        issuer_id=ISSUER,
        account_id=related(sample, "account"),
        cardholder_id=uuid7(),
        pan_sealed=b"sealed",
        pvv="1234",
        pin_tries=0,
        **{name: attributes[name] for name in names},
        **times(attributes),
    )


def transaction_of(sample: Mapping[str, Any]) -> Transaction:
    attributes = sample["attributes"]
    details = attributes["transaction_details"]
    of_card = details["type"] == "card"
    return Transaction(
        id=UUID(sample["id"]),
        issuer_id=ISSUER,
        account_id=related(sample, "account"),
        card_id=related(sample, "card") if "card" in sample["relationships"] else None,
        number=attributes["transaction_number"],
        type=attributes["type"],
        status=attributes["status"],
        balance_adjustment_type=attributes["balance_adjustment_type"],
        currency=Currency(attributes["currency"]),
        amount_minor=attributes["amount"],
        transaction_currency=Currency(attributes["transaction_currency"]),
        transaction_amount_minor=attributes["transaction_amount"],
        fees=tuple(
            Fee(type=fee["type"], amount_minor=fee["amount"], currency=Currency(fee["currency"]))
            for fee in attributes["fees"]
        ),
        merchant=Merchant(**details["card"]["merchant_data"]) if of_card else None,
        funding_source=None if of_card else details["topup"]["funding_source"],
        decline_reason=None,
        hold_id=None,
        occurred_at=instant(attributes["transaction_time"]),
        settled_at=instant(attributes["settlement_time"]),
        **times(attributes),
    )


MAKERS: Final = {
    "account": account_of,
    "cardholder": cardholder_of,
    "card": card_of,
    "transaction": transaction_of,
}
PRINTED: Final = [
    (name, each)
    for name, sample in {
        "created account": samples.CREATED_ACCOUNT,
        "accounts": samples.ACCOUNTS,
        "account": samples.ACCOUNT,
        "updated account": samples.UPDATED_ACCOUNT,
        "created cardholder": samples.CREATED_CARDHOLDER,
        "cardholders": samples.CARDHOLDERS,
        "cardholder": samples.CARDHOLDER,
        "updated cardholder": samples.UPDATED_CARDHOLDER,
        "created card": samples.CREATED_CARD,
        "cards": samples.CARDS,
        "card": samples.CARD,
        "updated card": samples.UPDATED_CARD,
        "transactions": samples.TRANSACTIONS,
        "transaction": samples.TRANSACTION,
    }.items()
    for each in cast(
        "list[dict[str, Any]]",
        sample["data"] if isinstance(sample["data"], list) else [sample["data"]],
    )
]


@pytest.mark.parametrize("sample", [s for _, s in PRINTED], ids=[name for name, _ in PRINTED])
def test_a_resource_is_shown_as_the_document_prints_it(sample: dict[str, Any]) -> None:
    shown = document.resource(MAKERS[sample["type"]](sample))
    expected = json.loads(json.dumps(sample))
    # The sample of a cash withdrawal obeys no rule (10000, 1000, 300, 0): ours is the sum.
    if sample["type"] == "transaction":
        fees = sample["attributes"]["fees"]
        expected["attributes"]["total_fee"] = sum(fee["amount"] for fee in fees)
    assert json.loads(json.dumps(shown)) == expected


def test_a_balance_is_shown_as_the_document_prints_it() -> None:
    printed = data(samples.BALANCE)
    account = replace(account_of(data(samples.ACCOUNT)), id=UUID(printed["id"]))
    shown = document.balance(account, Balance(posted_minor=10_000, held_minor=1_000))
    assert shown == printed


@pytest.mark.parametrize(
    ("token_type", "path"),
    [("card_activation", "/card_activation/new"), ("pin_reset", "/pin_reset/new")],
)
def test_a_management_token_is_shown_as_the_document_prints_it(
    token_type: Any,  # noqa: ANN401 - a TokenType
    path: str,
) -> None:
    printed = data(samples.MANAGEMENT_TOKEN)
    attributes = printed["attributes"]
    token = ManagementToken(
        id=UUID(printed["id"]),
        issuer_id=ISSUER,
        card_id=uuid7(),
        type=token_type,
        token=attributes["url"].rpartition("=")[2],
        created_at=instant(attributes["created_at"]),
        expires_at=instant(attributes["expires_at"]),
    )
    shown = document.management_token(token, url="https://cms-sandbox.bongloy.com")
    url = attributes["url"].replace("/card_activation/new", path)
    assert shown == printed | {"attributes": attributes | {"type": token_type, "url": url}}


def test_an_event_has_the_resource_it_tells_of_as_the_document_prints_it() -> None:
    printed = data(samples.EVENT)
    attributes = printed["attributes"]
    told = attributes["details"]["data"]
    body = document.event(
        event_id=UUID(printed["id"]),
        of_type=attributes["type"],
        told=document.resource(transaction_of(told)),
        created_at=instant(attributes["created_at"]),
    )
    assert json.loads(body) == printed


def test_khmer_names_go_into_an_event_as_they_are() -> None:
    cardholder = cardholder_of(data(samples.CARDHOLDER))
    body = document.event(
        event_id=uuid7(),
        of_type="cardholder.created",
        told=document.resource(cardholder),
        created_at=cardholder.created_at,
    )
    assert "មេត្តា កញ្ញា".encode() in body


def test_an_issuer_is_shown_with_its_fees_in_percent() -> None:
    made_at = instant("2020-04-09T12:20:08Z")
    issuer = Issuer(
        id=ISSUER,
        name="Angkor Bank",
        bin="91160000",
        fees={"interbank_cash_withdrawal": FeeRule(flat_minor=300, basis_points=150)},
        funding_account_id=uuid7(),
        clearing_account_id=uuid7(),
        fees_account_id=uuid7(),
        created_at=made_at,
        updated_at=made_at,
    )
    assert document.resource(issuer)["attributes"] == {
        "created_at": "2020-04-09T12:20:08Z",
        "updated_at": "2020-04-09T12:20:08Z",
        "name": "Angkor Bank",
        "bin": "91160000",
        "fees": {"interbank_cash_withdrawal": {"flat": 300, "percent": 1.5}},
        "decision": None,
    }


def test_a_rejected_cardholder_says_why_and_others_say_nothing_of_it() -> None:
    active = cardholder_of(data(samples.CARDHOLDER))
    rejected = replace(active, status="rejected", rejection_reason="photo_not_acceptable")
    attributes = cast("dict[str, Any]", document.resource(rejected)["attributes"])
    assert attributes["rejection_reason"] == "photo_not_acceptable"
    assert "rejection_reason" not in cast("dict[str, Any]", document.resource(active)["attributes"])


def test_a_declined_transaction_says_why_and_was_never_settled() -> None:
    settled = transaction_of(data(samples.TRANSACTION))
    declined = replace(
        settled, status="declined", decline_reason=Decline.PIN_WRONG, settled_at=None
    )
    attributes = cast("dict[str, Any]", document.resource(declined)["attributes"])
    assert attributes["decline_reason"] == "pin_wrong"
    assert attributes["settlement_time"] is None
    assert "decline_reason" not in cast("dict[str, Any]", document.resource(settled)["attributes"])


def test_nothing_of_a_cards_number_or_pin_is_shown_but_its_last_four_digits() -> None:
    card = replace(card_of(data(samples.CARD)), pan_sealed=b"4111111111111111", pvv="9876")
    shown = json.dumps(document.resource(card))
    assert "9876" not in shown
    assert "4111" not in shown
    assert {"pan_sealed", "pvv", "pin_tries"} & set(shown.split('"')) == set()


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2020, 4, 9, 12, 20, 8, tzinfo=UTC), "2020-04-09T12:20:08Z"),
        (datetime(2020, 4, 9, 12, 20, 8, 999_999, tzinfo=UTC), "2020-04-09T12:20:08Z"),
        (datetime(999, 1, 1, tzinfo=UTC), "0999-01-01T00:00:00Z"),
    ],
)
def test_an_instant_is_shown_to_the_second(at: datetime, text: str) -> None:
    assert document.instant(at) == text


@pytest.mark.parametrize(
    ("rule", "amount_minor", "fee_minor"),
    [
        (FeeRule(), 10_000, 0),
        (FeeRule(flat_minor=300), 10_000, 300),
        (FeeRule(basis_points=150), 10_000, 150),
        (FeeRule(flat_minor=300, basis_points=150), 10_000, 450),
        (FeeRule(basis_points=1), 4_999, 0),
        (FeeRule(basis_points=1), 5_000, 1),
        (FeeRule(basis_points=10_000), 1, 1),
    ],
)
def test_a_fee_is_flat_and_a_share_with_halves_rounded_up(
    rule: FeeRule, amount_minor: int, fee_minor: int
) -> None:
    assert rule.of(amount_minor) == fee_minor
