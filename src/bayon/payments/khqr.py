"""KHQR: the text behind Cambodia's QR codes, made and read. Pure; no clock, no I/O.

Called by payments, by the doors that take or give a QR, and by the command line. It says what a
QR says; whether it is expired, paid or its payee known is for others to judge.

What we make is strict: limits, conventions and order of the official SDK. What we read is strict
about structure (a QR has one meaning or none) and tolerant of what banks print:

- unknown tags and subtags pass, anywhere, and are not kept; the order of tags is free, 63 is last;
- tag 99 may be missing, or hold only the creation; times that are not 13 digits count as absent;
- the CRC may be in lower case; riel may be written `5000.0`;
- tag 01 may be missing: a QR with an amount is dynamic then, one without is static;
- a static QR (01 = 11) may carry an amount: a poster with a fixed price, as EMVCo allows, paid
  any number of times. An amount of zero means none, so a dynamic QR cannot have it.

Source: KHQR Content Guideline 1.4; KHQR SDK Document 2.7; EMVCo QR Merchant-Presented Mode 1.1.
"""

import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bayon.errors import Problem
from bayon.money import AMOUNT_MINOR_MAX, MINOR_PER_MAJOR, BadAmount, Currency, minor_from_major
from bayon.payments import tlv
from bayon.payments.tlv import BadQR, bad, problem

__all__ = ["BadQR", "Khqr", "crc", "make", "md5", "read", "reading", "verify"]

_ACCOUNT_TAG: Final = {"individual": "29", "merchant": "30"}
_TEMPLATES: Final = ("29", "30", "62", "64", "99")
_MANDATORY: Final = ("00", "52", "53", "58", "59", "60", "63")
_CURRENCIES: Final = {currency.number: currency for currency in Currency}
_AMOUNT_CHARS_MAX: Final = 13
_TIME_DIGITS: Final = 13
_CRC_HEADER: Final = "6304"

_ACCOUNT_ID: Final = re.compile(r"[!-?A-~]+@[!-?A-~]+")  # printable ASCII without blank, one @
_CATEGORY: Final = re.compile(r"[0-9]{4}")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2,3}")
_AMOUNT: Final = re.compile(r"[0-9]+(\.[0-9]*)?")  # EMVCo lets a point end it
_TIME: Final = re.compile(rf"[0-9]{{{_TIME_DIGITS}}}")
_CRC: Final = re.compile(r"[0-9A-Fa-f]{4}")

# Field, tag (* is 29 or 30), longest value in UTF-16 units.
_TEXTS: Final = (
    ("upi_account", "15", 99),
    ("account_id", "*.00", 32),
    ("account_information", "*.01", 32),
    ("merchant_id", "*.01", 32),
    ("acquiring_bank", "*.02", 32),
    ("merchant_name", "59", 25),
    ("merchant_city", "60", 15),
    ("bill_number", "62.01", 25),
    ("mobile_number", "62.02", 25),
    ("store_label", "62.03", 25),
    ("terminal_label", "62.07", 25),
    ("purpose", "62.08", 25),
    ("language", "64.00", 2),
    ("merchant_name_alternate", "64.01", 25),
    ("merchant_city_alternate", "64.02", 15),
)


@dataclass(frozen=True, kw_only=True)
class Khqr:
    """What a KHQR says; `amount_minor` in ledger minor units (exponent 2 for both currencies)."""

    kind: Literal["individual", "merchant"]
    static: bool
    account_id: str
    account_information: str | None = None
    merchant_id: str | None = None
    acquiring_bank: str | None = None
    upi_account: str | None = None
    merchant_category_code: str = "5999"
    currency: Currency
    amount_minor: int | None = None
    country_code: str = "KH"
    merchant_name: str
    merchant_city: str = "Phnom Penh"
    bill_number: str | None = None
    mobile_number: str | None = None
    store_label: str | None = None
    terminal_label: str | None = None
    purpose: str | None = None
    language: str | None = None
    merchant_name_alternate: str | None = None
    merchant_city_alternate: str | None = None
    created_at_ms: int | None = None
    expires_at_ms: int | None = None


def make(khqr: Khqr) -> str:
    """Write the text of a QR, sealed with its CRC; `read` gives the same `Khqr` back.

    Errors: `BadQR` with every field that breaks a limit or a convention of the official SDK, or
    with the template (29, 30, 62) whose fields together pass its 99 characters.
    Source: KHQR Content Guideline 1.4; KHQR SDK Document 2.7.
    """
    problems = (*_problems(khqr), *_broken_conventions(khqr))
    if problems:
        raise BadQR(problems=problems)
    body = f"{tlv.build(_layout(khqr))}{_CRC_HEADER}"
    return body + crc(body)


def read(text: str) -> Khqr:
    """Read the text of a QR whose structure and CRC hold.

    Errors: `BadQR` when it is too long, no text, no sound TLV, has a tag twice or not at all,
    ends in anything but its CRC, the CRC is wrong, or values break their limits (all of those at
    once).
    Source: KHQR Content Guideline 1.4; EMVCo QR Merchant-Presented Mode 1.1.
    """
    khqr = _khqr(_tags(text))
    problems = tuple(_problems(khqr))
    if problems:
        raise BadQR(problems=problems)
    return khqr


def verify(text: str) -> bool:
    """Say whether `read` would take this text."""
    try:
        read(text)
    except BadQR:
        return False
    return True


def reading(text: str) -> str:
    """Choose between the text as it stands and, form-encoded by its sender, with `+` as blanks.

    The one whose CRC holds is the QR, and its MD5 the QR's; the rest of it is `read`'s to judge.
    Errors: `BadQR` when neither CRC holds.
    """
    _guard_text(text)
    for candidate in (text, text.replace("+", " ")):
        if _crc_holds(candidate):
            return candidate
    raise _bad_crc()


def md5(text: str) -> str:
    """Name a QR as the Bakong Open API does: lower-case hex MD5 of its complete text in UTF-8.

    Errors: `BadQR` when `text` is no Unicode text.
    """
    return hashlib.md5(tlv.utf8(text), usedforsecurity=False).hexdigest()


def crc(text_up_to_and_including_6304: str) -> str:
    """Compute the value of tag 63: CRC-16/CCITT-FALSE over UTF-8, four upper-case hex digits.

    Errors: `BadQR` when the text is no Unicode text.
    Source: EMVCo QR Merchant-Presented Mode 1.1, 4.7.3.
    """
    return f"{binascii.crc_hqx(tlv.utf8(text_up_to_and_including_6304), 0xFFFF):04X}"


# Reading: text → tags by path (`62`, `62.01`) → Khqr.


def _tags(text: str) -> dict[str, str]:
    _guard_text(text)
    tags = tlv.parse(text)
    if "63" in tags and next(reversed(tags)) != "63":
        raise bad("63", "The QR goes on after its CRC (tag 63).", "not_last")
    if "63" in tags and not _crc_holds(text):
        raise _bad_crc()
    for template in _TEMPLATES:
        within = tlv.parse(tags.get(template, ""), within=template)
        tags |= {f"{template}.{tag}": value for tag, value in within.items()}
    missing = tuple(_missing(tags))
    if missing:
        raise BadQR(problems=missing)
    if tags["00"] != "01":
        raise bad("00", "The QR's format (tag 00) is not 01.", "unknown")
    return tags


def _guard_text(text: str) -> None:
    # First, so that whatever follows is bounded however long the input.
    if len(text) > tlv.TEXT_UNITS_MAX:
        raise bad("", "The QR is too long.", "too_long")
    if not tlv.is_text(text):
        raise bad("", "The QR has control characters or is no valid Unicode text.", "not_text")


def _crc_holds(text: str) -> bool:
    body, seal = text[:-4], text[-4:]
    return (
        body.endswith(_CRC_HEADER)
        and _CRC.fullmatch(seal) is not None
        and crc(body) == seal.upper()
    )


def _bad_crc() -> BadQR:
    return bad("63", "The QR's CRC (tag 63) is wrong.", "crc")


def _missing(tags: dict[str, str]) -> Iterator[Problem]:
    accounts = [tag for tag in _ACCOUNT_TAG.values() if tag in tags]
    if not accounts:
        yield problem("29", "The QR names no account (tag 29 or 30).", "missing")
    if len(accounts) > 1:
        yield problem("30", "The QR names two accounts (tags 29 and 30).", "ambiguous")
    for path in (*_MANDATORY, *(f"{account}.00" for account in accounts)):
        if path not in tags:
            yield problem(path, f"The QR has no tag {path}.", "missing")


def _khqr(tags: dict[str, str]) -> Khqr:
    account = "29" if "29" in tags else "30"
    currency = _currency(tags)
    amount_minor = _amount_minor(tags, currency)
    return Khqr(
        kind="individual" if account == "29" else "merchant",
        static=_static(tags, amount_minor),
        account_id=tags[f"{account}.00"],
        account_information=tags.get("29.01"),
        merchant_id=tags.get("30.01"),
        acquiring_bank=tags.get(f"{account}.02"),
        upi_account=tags.get("15"),
        merchant_category_code=tags["52"],
        currency=currency,
        amount_minor=amount_minor,
        country_code=tags["58"],
        merchant_name=tags["59"],
        merchant_city=tags["60"],
        bill_number=tags.get("62.01"),
        mobile_number=tags.get("62.02"),
        store_label=tags.get("62.03"),
        terminal_label=tags.get("62.07"),
        purpose=tags.get("62.08"),
        language=tags.get("64.00"),
        merchant_name_alternate=tags.get("64.01"),
        merchant_city_alternate=tags.get("64.02"),
        created_at_ms=_time_ms(tags.get("99.00")),
        expires_at_ms=_time_ms(tags.get("99.01")),
    )


def _currency(tags: dict[str, str]) -> Currency:
    if tags["53"] not in _CURRENCIES:
        raise bad("53", "The QR's currency (tag 53) is neither 116 nor 840.", "unknown")
    return _CURRENCIES[tags["53"]]


def _amount_minor(tags: dict[str, str], currency: Currency) -> int | None:
    wire = tags.get("54")
    if wire is None:
        return None
    if len(wire) > _AMOUNT_CHARS_MAX or not _AMOUNT.fullmatch(wire):
        raise bad("54", "The QR's amount (tag 54) is malformed.", "malformed")
    try:
        return minor_from_major(wire, currency) or None
    except BadAmount as error:
        raise bad("54", f"The QR's amount (tag 54): {error.message}", error.code) from error


def _static(tags: dict[str, str], amount_minor: int | None) -> bool:
    initiation = tags.get("01", "11" if amount_minor is None else "12")
    if initiation not in ("11", "12"):
        raise bad("01", "The QR is neither static nor dynamic (tag 01).", "unknown")
    return initiation == "11"


def _time_ms(wire: str | None) -> int | None:
    return int(wire) if wire is not None and _TIME.fullmatch(wire) else None


# Writing: Khqr → tags in the official order.


def _layout(khqr: Khqr) -> Iterator[tuple[str, str | None]]:
    yield "00", "01"
    yield "01", "11" if khqr.static else "12"
    yield "15", khqr.upi_account
    yield _account(khqr)
    yield "52", khqr.merchant_category_code
    yield "53", khqr.currency.number
    yield "54", _amount_wire(khqr)
    yield "58", khqr.country_code
    yield "59", khqr.merchant_name
    yield "60", khqr.merchant_city
    yield _additional(khqr)
    yield _alternate(khqr)
    times = (("00", _time_wire(khqr.created_at_ms)), ("01", _time_wire(khqr.expires_at_ms)))
    yield "99", tlv.build(times, within="99")


def _account(khqr: Khqr) -> tuple[str, str | None]:
    tag = _ACCOUNT_TAG[khqr.kind]
    pairs = (
        ("00", khqr.account_id),
        ("01", khqr.account_information or khqr.merchant_id),
        ("02", khqr.acquiring_bank),
    )
    return tag, tlv.build(pairs, within=tag)


def _additional(khqr: Khqr) -> tuple[str, str | None]:
    pairs = (
        ("01", khqr.bill_number),
        ("02", khqr.mobile_number),
        ("03", khqr.store_label),
        ("07", khqr.terminal_label),
        ("08", khqr.purpose),
    )
    return "62", tlv.build(pairs, within="62")


def _alternate(khqr: Khqr) -> tuple[str, str | None]:
    pairs = (
        ("00", khqr.language),
        ("01", khqr.merchant_name_alternate),
        ("02", khqr.merchant_city_alternate),
    )
    return "64", tlv.build(pairs, within="64")


def _amount_wire(khqr: Khqr) -> str | None:
    if khqr.amount_minor is None:
        return None
    major, rest = divmod(khqr.amount_minor, MINOR_PER_MAJOR)
    return f"{major}.{rest:02d}" if rest else f"{major}"


def _time_wire(at_ms: int | None) -> str | None:
    return None if at_ms is None else f"{at_ms:0{_TIME_DIGITS}d}"


# Rules: what holds for every Khqr, and what only for those we make.


def _problems(khqr: Khqr) -> Iterator[Problem]:
    yield from _problems_of_texts(khqr)
    yield from _problems_of_forms(khqr)
    yield from _problems_of_amount(khqr)
    yield from _problems_of_times(khqr)


def _problems_of_texts(khqr: Khqr) -> Iterator[Problem]:
    for field, tag, units_max in _TEXTS:
        text: str | None = getattr(khqr, field)
        if text is None:
            continue
        path = tag.replace("*", _ACCOUNT_TAG[khqr.kind])
        if not 0 < tlv.units_of(text) <= units_max:
            message = f"The QR's {field} (tag {path}) is not 1 to {units_max} characters long."
            yield problem(path, message, "bad_length")
        if not tlv.is_text(text):
            message = f"The QR's {field} (tag {path}) has characters that cannot be printed."
            yield problem(path, message, "not_text")


def _problems_of_forms(khqr: Khqr) -> Iterator[Problem]:
    if not _ACCOUNT_ID.fullmatch(khqr.account_id):
        path = f"{_ACCOUNT_TAG[khqr.kind]}.00"
        yield problem(path, f"The QR's account (tag {path}) is not like name@bank.", "malformed")
    if not _CATEGORY.fullmatch(khqr.merchant_category_code):
        yield problem("52", "The QR's category (tag 52) is not four digits.", "malformed")
    if not _COUNTRY.fullmatch(khqr.country_code):
        yield problem("58", "The QR's country (tag 58) is not two or three letters.", "malformed")


def _problems_of_amount(khqr: Khqr) -> Iterator[Problem]:
    if khqr.amount_minor is None:
        if not khqr.static:
            yield problem("54", "The QR is dynamic and has no amount (tag 54).", "missing")
        return
    if khqr.amount_minor <= 0:
        yield problem("54", "The QR's amount (tag 54) is not above zero.", "out_of_range")
    if khqr.currency is Currency.KHR and khqr.amount_minor % MINOR_PER_MAJOR:
        yield problem("54", "The QR's amount (tag 54) is not in whole riel.", "bad_amount")
    too_large = khqr.amount_minor > AMOUNT_MINOR_MAX  # before writing it: it may have any length
    if too_large or len(_amount_wire(khqr) or "") > _AMOUNT_CHARS_MAX:
        yield problem("54", "The QR's amount (tag 54) is too long.", "out_of_range")


def _problems_of_times(khqr: Khqr) -> Iterator[Problem]:
    created_at_ms, expires_at_ms = khqr.created_at_ms, khqr.expires_at_ms
    for path, at_ms in (("99.00", created_at_ms), ("99.01", expires_at_ms)):
        if at_ms is not None and not 0 <= at_ms < 10**_TIME_DIGITS:
            yield problem(path, f"The QR's time (tag {path}) is out of range.", "out_of_range")
    if created_at_ms is not None and expires_at_ms is not None and expires_at_ms < created_at_ms:
        yield problem("99.01", "The QR expires (tag 99.01) before its creation.", "out_of_range")


def _broken_conventions(khqr: Khqr) -> Iterator[Problem]:
    if khqr.kind == "individual" and khqr.merchant_id is not None:
        yield problem("29.01", "An individual's QR has no merchant_id (tag 30.01).", "misplaced")
    if khqr.kind == "merchant" and khqr.account_information is not None:
        message = "A merchant's QR has no account_information (tag 29.01)."
        yield problem("30.01", message, "misplaced")
    if khqr.kind == "merchant" and khqr.merchant_id is None:
        yield problem("30.01", "A merchant's QR wants a merchant_id (tag 30.01).", "missing")
    if khqr.kind == "merchant" and khqr.acquiring_bank is None:
        yield problem("30.02", "A merchant's QR wants an acquiring_bank (tag 30.02).", "missing")
    if khqr.upi_account is not None and khqr.currency is not Currency.KHR:
        yield problem("15", "A QR with a UnionPay account (tag 15) is in riel.", "misplaced")
    yield from _broken_conventions_of_language(khqr)


def _broken_conventions_of_language(khqr: Khqr) -> Iterator[Problem]:
    if khqr.language is not None and khqr.merchant_name_alternate is None:
        yield problem("64.01", "A QR with a language (tag 64.00) wants a name in it.", "missing")
    alternates = (khqr.merchant_name_alternate, khqr.merchant_city_alternate)
    if khqr.language is None and alternates != (None, None):
        yield problem("64.00", "A QR with alternate names (tag 64) wants a language.", "missing")
