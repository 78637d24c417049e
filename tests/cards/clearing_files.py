"""What clearing tests are made of: IPM records, written by cardutil, and lines of CSV."""

import io
from collections.abc import Sequence
from typing import Any, Final, cast

from cardutil import mciipm  # pyright: ignore[reportMissingTypeStubs] - has none

from bayon.cards import Card
from bayon.log import Secret
from cards_factories import VAULT

TIME: Final = "2026-11-25T18:00:00Z"
COLUMNS: Final = (
    *("type", "card_number", "amount", "currency", "time", "billing_amount", "billing_currency"),
    *("reference", "rrn", "approval_code", "terminal", "name", "city", "country", "mcc", "more"),
)
MERCHANT: Final = r"Rocket Rides\Street 63\Phnom Penh\12000     PP KHM"


def number_of(card: Card) -> str:
    """Tell a card's number, as the network knows it."""
    return VAULT.open_pan(card.pan_sealed, card_id=card.id).reveal()


def unknown_number() -> str:
    """Make the number of a card that is none of ours."""
    return VAULT.make_pan("91169999").reveal()


def digest_of(number: str) -> bytes:
    """Digest a card number as the vault does."""
    return VAULT.pan_digest(Secret(number))


def ipm_record(number: str, amount_minor: int, **others: Any) -> dict[str, Any]:  # noqa: ANN401 - its fields
    """Make a first presentment, as cardutil writes one: a purchase unless it says otherwise."""
    record: dict[str, Any] = {
        "MTI": "1240",
        "DE2": number,
        "DE3": "000000",
        "DE4": amount_minor,
        "DE12": "2026-11-25 18:00:00",
        "DE24": "200",
        "DE26": 4121,
        "DE38": "123456",
        "DE43": MERCHANT,
        "DE49": "840",
    }
    return {name: value for name, value in (record | others).items() if value is not None}


def ipm_ends(records: Sequence[dict[str, Any]], **totals: str) -> list[dict[str, Any]]:
    """Put records between a header and a trailer that counts them, or says what it is given."""
    amount_minor = sum(record.get("DE4", 0) for record in records)
    header = {"MTI": "1644", "DE24": "697", "DE48": _pds("0105", "0012611250000000000000001")}
    told = {
        "0301": totals.get("amounts", f"{amount_minor:016}"),
        "0306": totals.get("messages", f"{len(records) + 2:08}"),
    }
    trailer = {
        "MTI": "1644",
        "DE24": "695",
        "DE48": "".join(_pds(tag, value) for tag, value in told.items()),
    }
    return [header, *records, trailer]


def write_ipm(
    records: Sequence[dict[str, Any]], *, encoding: str = "latin_1", blocked: bool = False
) -> bytes:
    """Write a file, ended as it must be, by cardutil."""
    file = io.BytesIO()
    writer = cast("Any", mciipm).IpmWriter(file, encoding=encoding, blocked=blocked)
    for record in records:
        writer.write(dict(record))
    cast("Any", mciipm).VbsWriter.close(writer)
    return file.getvalue()


def csv_line(number: str, amount_minor: int, **others: str) -> dict[str, str]:
    """Make the cells of a line: a purchase unless it says otherwise."""
    return {
        "type": "purchase",
        "card_number": number,
        "amount": str(amount_minor),
        "currency": "USD",
        "time": TIME,
        "name": "Rocket Rides",
        "country": "KH",
    } | others


def write_csv(lines: Sequence[dict[str, str]], *, totals: str | None = None) -> bytes:
    """Write a file with its control totals, or these, and its end."""
    rows = [",".join(line.get(name, "") for name in COLUMNS) for line in lines]
    ends = _totals(lines) if totals is None else totals
    return "\n".join([",".join(COLUMNS), *rows, *ends.split(), f"end,{len(lines)}", ""]).encode()


def _totals(lines: Sequence[dict[str, str]]) -> str:
    sums: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        side = "credits" if line["type"] == "refund" else "debits"
        sums.setdefault((side, line["currency"]), []).append(int(line["amount"]))
    return " ".join(
        f"{side},{len(all_)},{sum(all_)},{currency}" for (side, currency), all_ in sums.items()
    )


def _pds(tag: str, value: str) -> str:
    return f"{tag}{len(value):03}{value}"
