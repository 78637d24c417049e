"""Error tables: each error has a row of its own in each door's table, or a reason for having none.

An error that is as its family by accident is an error nobody has thought about.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Final

import pytest

import bayon
from bayon import cards, payments
from bayon.bakong import wire
from bayon.batch import KeyReused
from bayon.cards.authorize import RESPONSE_CODES
from bayon.cms import wire as cms_wire
from bayon.errors import BayonError, Unavailable
from bayon.network import load_profile
from bayon.network import messages as network_messages
from bayon.sandbox import api as sandbox_api
from bayon.web import TEXTS

CLI: Final = "met by the command line only"
START: Final = "stops the start, before any door is open"
INNER: Final = "a fault of ours: answered as one, 9 and 500, and logged"
PAGES: Final = "met by the pages, which have a table of their own"
FIELD: Final = "answered as a field that breaks its rule"
FETCH: Final = "met by workers, who note it; no request waits for a fetch"
PAYMENTS: Final = "met by the doors of payments only"
OPEN_API: Final = "met by the Open API and the participants' door only"
SANDBOX: Final = "met by the sandbox door only"
CARDS: Final = "met by card management, and where the sandbox acts on cards"
OF_CARDS: Final = "met by card management only"
ROUTER: Final = "the router's, answered by the table of whoever was meant"
NETWORK: Final = "met by the card network's door, which answers in the network's own way"

NOT_AT_ALL: Final = {
    "BadSettings": START,
    "BadSeal": INNER,
    "StaleForm": PAGES,
    "TokenVoid": PAGES,
    "FetchFailed": FETCH,
    "ParticipantExists": CLI,
    "ParticipantNotFound": CLI,
    "IssuerExists": CLI,
    "TokenNotFound": CLI,
    "BadFrame": NETWORK,
    "BadMessage": NETWORK,
    "BadKeyBlock": START,
    "BadProfile": START,
    "BadLinks": START,
    "KeyRefused": NETWORK,
    "KeySentBefore": NETWORK,
    "BadOriginal": CLI,
    "ClearingFileNotFound": CLI,
    "BadRecipient": CLI,
    "BatchNotFound": CLI,
    "OpenItemNotFound": CLI,
    "NotLinkable": CLI,
    "NoAnswer": CLI,
}
"""What is met at none of these doors."""

NOT_AT_BAKONG: Final = {
    **NOT_AT_ALL,
    "BadUrl": FIELD,
    "ClockGoesForward": SANDBOX,
    "BadPan": SANDBOX,
    "BadPin": SANDBOX,
    "BadAttributes": CARDS,
    "CardAccountNotFound": CARDS,
    "CardNotFound": CARDS,
    "CardholderNotFound": CARDS,
    "NotPending": CARDS,
    "PanTaken": CARDS,
    "TransactionNotFound": CARDS,
    "BadQuery": OF_CARDS,
    "ClientId": OF_CARDS,
    "EndpointNotFound": OF_CARDS,
    "EventNotFound": OF_CARDS,
    "IssuerNotFound": OF_CARDS,
    "NotAcceptable": OF_CARDS,
    "RelatedNotFound": OF_CARDS,
    "TooManyEndpoints": OF_CARDS,
    "TypeConflict": OF_CARDS,
    "UnsupportedMediaType": OF_CARDS,
}
NOT_AT_THE_SANDBOX: Final = {
    **NOT_AT_ALL,
    "BadUrl": FETCH,
    "DeeplinkNotFound": PAGES,
    "UnknownPath": ROUTER,
    "AccountExists": OPEN_API,
    "CallbackNotFound": OPEN_API,
    "NotRefundable": OPEN_API,
    "StaticQr": OPEN_API,
    "BadCode": OPEN_API,
    "BadEmail": OPEN_API,
    "EmailTaken": OPEN_API,
    "MailDown": OPEN_API,
    "NotRegistered": OPEN_API,
    "BadQuery": OF_CARDS,
    "ClientId": OF_CARDS,
    "EndpointNotFound": OF_CARDS,
    "EventNotFound": OF_CARDS,
    "IssuerNotFound": OF_CARDS,
    "NotAcceptable": OF_CARDS,
    "RelatedNotFound": OF_CARDS,
    "TooManyEndpoints": OF_CARDS,
    "TypeConflict": OF_CARDS,
    "UnsupportedMediaType": OF_CARDS,
}
NOT_AT_CARD_MANAGEMENT: Final = {
    **NOT_AT_ALL,
    "BadFields": "its requests are read by attributes, not by fields",
    "ClockGoesForward": SANDBOX,
    "BadPan": SANDBOX,
    "BadPin": SANDBOX,
    "AccountExists": PAYMENTS,
    "AccountNotFound": PAYMENTS,
    "AmountMissing": PAYMENTS,
    "BadAccountId": PAYMENTS,
    "BadAmount": PAYMENTS,
    "BadCode": PAYMENTS,
    "BadEmail": PAYMENTS,
    "BadQR": PAYMENTS,
    "CallbackNotFound": PAYMENTS,
    "DeeplinkNotFound": PAYMENTS,
    "EmailTaken": PAYMENTS,
    "MailDown": PAYMENTS,
    "NotRefundable": PAYMENTS,
    "NotRegistered": PAYMENTS,
    "PaymentNotFound": PAYMENTS,
    "StaticQr": PAYMENTS,
}
TABLES: Final = {
    "bakong": (set(wire.ERRORS), NOT_AT_BAKONG),
    "sandbox": (set(sandbox_api.ERRORS), NOT_AT_THE_SANDBOX),
    "cms": (set(cms_wire.STATUSES), NOT_AT_CARD_MANAGEMENT),
}


def errors() -> set[type[BayonError]]:
    """Find every error of the package."""
    for module in pkgutil.walk_packages(bayon.__path__, "bayon."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {error for error in descendants(BayonError) if error.__module__.startswith("bayon.")}


def descendants(kind: type[BayonError]) -> Iterator[type[BayonError]]:
    """List the classes below a class."""
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


@pytest.mark.parametrize("door", TABLES)
def test_every_error_has_a_row_of_its_own_or_a_reason_for_having_none(door: str) -> None:
    rows, reasons = TABLES[door]
    found = errors()
    assert len(found) > 30
    assert {error.__name__ for error in found - rows if error.__name__ not in reasons} == set()


@pytest.mark.parametrize("door", TABLES)
def test_no_error_has_both_a_row_and_a_reason_for_having_none(door: str) -> None:
    rows, reasons = TABLES[door]
    assert {error.__name__ for error in rows} & reasons.keys() == set()


@pytest.mark.parametrize("door", TABLES)
def test_no_reason_outlives_its_error(door: str) -> None:
    _, reasons = TABLES[door]
    assert reasons.keys() - {error.__name__ for error in errors()} == set()


def test_every_error_has_a_code_of_its_own_and_a_public_message() -> None:
    found = errors()
    codes = [error.code for error in found]
    assert sorted(codes) == sorted(set(codes))
    assert [error.__name__ for error in found if not (error.__doc__ or "").strip()] == []


def test_every_decline_has_a_text() -> None:
    assert set(wire.DECLINES) == set(payments.Decline)
    assert all(wire.DECLINES.values())


def test_the_seeds_codes_all_have_their_text_and_a_row_that_leads_to_it() -> None:
    assert sorted(TEXTS) == list(range(1, 13))
    led_to = {error_code for error_code, _, _ in wire.ERRORS.values()}
    assert led_to - {None} == set(TEXTS)


def test_http_statuses_are_those_the_documents_name() -> None:
    assert {status for _, status, _ in wire.ERRORS.values()} <= {
        *(200, 400, 401, 403, 404, 429, 500),
        *(405, 413),  # the seed names neither; nothing else would be true
    }
    refused = {
        status for error, (_, status) in sandbox_api.ERRORS.items() if error.code != "unavailable"
    }
    assert all(400 <= status < 500 for status in refused)
    told = {status for error, status in cms_wire.STATUSES.items() if error.code != "unavailable"}
    assert told == {400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429}
    assert told <= cms_wire.TITLES.keys()


def test_every_decline_has_a_code_at_the_card_network_the_same_as_in_the_sandbox() -> None:
    codes = load_profile("ascii-binary").response_codes
    for decline in cards.Decline:
        reason = network_messages.REASONS.get(decline, decline.value)
        assert codes[reason] == RESPONSE_CODES[decline], decline


def test_every_error_of_the_cards_batch_has_a_code_at_the_card_network() -> None:
    codes = load_profile("ascii-binary").response_codes
    met = {cards.BadAttributes, cards.BadPan, cards.CardNotFound, cards.NotPending}
    met |= {cards.TransactionNotFound, KeyReused, Unavailable}
    assert met <= network_messages.OF_ERRORS.keys()
    assert set(network_messages.OF_ERRORS.values()) <= codes.keys()
