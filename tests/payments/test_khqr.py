"""KHQR: the codec against vectors of others, an independent maker, and every refusal."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from functools import cache
from pathlib import Path

import pytest
from bakong_khqr import KHQR  # pyright: ignore[reportMissingTypeStubs]  # it ships none
from hypothesis import given
from hypothesis import strategies as st

from bayon.errors import Invalid
from bayon.money import Currency
from bayon.payments import khqr, tlv
from bayon.payments.khqr import BadQR, Khqr

# Vectors.

Vector = dict[str, str]


def vectors() -> Iterator[Vector]:
    table = Path(__file__).parents[1] / "vectors" / "khqr.txt"
    for block in table.read_text(encoding="utf-8").split("\n\n")[1:]:
        yield dict(line.split(": ", 1) for line in block.strip().splitlines())


VECTORS = tuple(vectors())
QRS = tuple(vector["qr"] for vector in VECTORS)
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["vector"])


@each_vector
def test_vector_says_what_its_source_says(vector: Vector) -> None:
    read = khqr.read(vector["qr"])
    for field in fields(Khqr):
        default = None if field.default is MISSING else field.default
        assert str(getattr(read, field.name)) == vector.get(field.name, str(default)), field.name


@each_vector
def test_vector_has_its_md5_and_crc(vector: Vector) -> None:
    qr = vector["qr"]
    assert khqr.md5(qr) == vector["md5"]
    assert khqr.crc(qr[:-4]) == qr[-4:]
    assert khqr.verify(qr)


@each_vector
def test_vector_read_made_and_read_again_says_the_same(vector: Vector) -> None:
    read = khqr.read(vector["qr"])
    assert khqr.read(khqr.make(read)) == read


@each_vector
def test_vector_form_encoded_is_read_with_blanks(vector: Vector) -> None:
    qr = vector["qr"]
    assert khqr.reading(vector.get("printed", qr)) == qr
    assert khqr.reading(qr.replace(" ", "+")) == qr


def test_the_official_order_and_amounts_make_vector_7_but_for_its_decimals() -> None:
    expected = next(vector["qr"] for vector in VECTORS if vector["vector"] == "7")
    body = expected[:-4].replace("5405100.0", "5403100")
    assert khqr.make(khqr.read(expected)) == body + khqr.crc(body)


def test_crc_of_the_standard_check_string() -> None:
    assert khqr.crc("123456789") == "29B1"


# A QR of parts, for the tables below.

BASE = {
    "00": "01",
    "01": "12",
    "29": "0009john@devb",
    "52": "5999",
    "53": "840",
    "54": "1.50",
    "58": "KH",
    "59": "John",
    "60": "Phnom Penh",
}
BASE_KHQR = Khqr(
    kind="individual",
    static=False,
    account_id="john@devb",
    currency=Currency.USD,
    amount_minor=150,
    merchant_name="John",
)
SHOP = replace(BASE_KHQR, kind="merchant", merchant_id="1", acquiring_bank="Dev Bank")


def but(**changes: object) -> Khqr:
    return replace(BASE_KHQR, **changes)


def shop(**changes: object) -> Khqr:
    return replace(SHOP, **changes)


def said(refusal: BadQR) -> list[str]:
    return [
        f"{problem.pointer.removeprefix('/qr').removeprefix('/') or '-'} {problem.code}"
        for problem in refusal.problems
    ]


def tlvs(tags: dict[str, str]) -> str:
    return "".join(f"{tag}{tlv.units_of(value):02d}{value}" for tag, value in tags.items())


def sealed(body: str) -> str:
    return f"{body}6304{khqr.crc(f'{body}6304')}"


def qr(changes: dict[str, str | None]) -> str:
    merged = {**BASE, **changes}
    return sealed(tlvs({tag: value for tag, value in merged.items() if value is not None}))


PLAIN = qr({})
BODY = PLAIN[:-8]


# What reading tolerates.

AT_MS = 1739495778722
TOLERATED: list[tuple[str, str, dict[str, object]]] = [
    ("nothing unusual", PLAIN, {}),
    ("CRC in lower case", PLAIN[:-4] + PLAIN[-4:].lower(), {}),
    ("tags in another order", sealed(tlvs(dict(reversed(BASE.items())))), {}),
    ("unknown tags", qr({"02": "4", "61": "12", "80": "zz", "98": ""}), {}),
    ("unknown subtags", qr({"29": "0009john@devb0501x", "62": "0501x0600"}), {}),
    ("empty templates", qr({"62": "", "64": "", "99": ""}), {}),
    ("no tag 01, amount", qr({"01": None}), {"static": False}),
    ("no tag 01, no amount", qr({"01": None, "54": None}), {"static": True, "amount_minor": None}),
    ("static with a fixed price", qr({"01": "11"}), {"static": True}),
    ("static, amount zero", qr({"01": "11", "54": "0"}), {"static": True, "amount_minor": None}),
    ("static, amount 0.00", qr({"01": "11", "54": "0.00"}), {"static": True, "amount_minor": None}),
    ("a point that ends the amount", qr({"54": "2."}), {"amount_minor": 200}),
    ("one decimal", qr({"54": "2.5"}), {"amount_minor": 250}),
    ("exact decimals beyond two", qr({"54": "2.500"}), {"amount_minor": 250}),
    ("leading zeros", qr({"54": "002"}), {"amount_minor": 200}),
    ("the largest amount", qr({"54": "9999999999999"}), {"amount_minor": 999_999_999_999_900}),
    (
        "riel with noughts",
        qr({"53": "116", "54": "50.00"}),
        {"currency": "KHR", "amount_minor": 5000},
    ),
    ("only a creation", qr({"99": f"0013{AT_MS}"}), {"created_at_ms": AT_MS}),
    ("only an expiry", qr({"99": f"0113{AT_MS}"}), {"expires_at_ms": AT_MS}),
    ("times that are none", qr({"99": "001339CA026411FDA01021x"}), {}),
    ("times of other length", qr({"99": "00101739495778011417394957787221"}), {}),
    ("times in Khmer digits", qr({"99": "0013១៧៣៩៤៩៥៧៧៨៧២២"}), {}),
    (
        "expiry at creation",
        qr({"99": f"0013{AT_MS}0113{AT_MS}"}),
        {"created_at_ms": AT_MS, "expires_at_ms": AT_MS},
    ),
    ("Khmer counts one", qr({"59": "ភ្នំពេញ" * 3}), {"merchant_name": "ភ្នំពេញ" * 3}),
    ("astral counts two", qr({"59": "😀" * 12}), {"merchant_name": "😀" * 12}),
    ("UnionPay in dollars", qr({"15": "1"}), {"upi_account": "1"}),
    ("a merchant without id", qr({"29": None, "30": "0009john@devb"}), {"kind": "merchant"}),
    ("a language without names", qr({"64": "0002km"}), {"language": "km"}),
]


@pytest.mark.parametrize(("text", "says"), [pytest.param(*row[1:], id=row[0]) for row in TOLERATED])
def test_reading_tolerates(text: str, says: dict[str, object]) -> None:
    expected = {field.name: getattr(BASE_KHQR, field.name) for field in fields(Khqr)} | says
    read = khqr.read(text)
    assert {field.name: getattr(read, field.name) for field in fields(Khqr)} == expected


# What reading refuses: name, text, pointer (under /qr) and code of the first problem.

REFUSED = [
    ("nothing", "", "29 missing"),
    ("words", "hello world", "- malformed"),
    ("a header cut short", "000201010", "- malformed"),
    ("the case that hangs the official SDK", "00020101021129460009khqr@devb01", "29 cut_short"),
    ("a length beyond the end", sealed("0099" + BODY[4:]), "00 cut_short"),
    ("a length one too short", PLAIN.replace("5904John", "5903John"), "- malformed"),
    ("a length one too long", PLAIN.replace("5904John", "5905John"), "- malformed"),
    ("a length with a letter", PLAIN.replace("5904", "590x"), "- malformed"),
    ("a length with a sign", PLAIN.replace("5904", "59+4"), "- malformed"),
    ("a length with a blank", PLAIN.replace("5904", "59 4"), "- malformed"),
    ("a length in Khmer digits", PLAIN.replace("5904", "59០៤"), "- malformed"),
    ("a length in superscript", PLAIN.replace("5904", "590⁴"), "- malformed"),
    ("a tag in Khmer digits", PLAIN.replace("5904", "៥៩04"), "- malformed"),
    ("a tag of letters", PLAIN.replace("5904", "ab04"), "- malformed"),
    ("a header of emoji", sealed(BODY + "😀😀😀😀"), "- malformed"),
    ("a length that splits an emoji", sealed(BODY + "8001😀"), "80 split"),
    ("a length in code points", sealed(BODY.replace("5904John", "5901😀")), "59 split"),
    ("a tag twice", sealed(BODY + "5904Evil"), "59 duplicate"),
    ("an unknown tag twice", sealed(BODY + "8001a8001b"), "80 duplicate"),
    ("an amount twice", sealed(BODY + "540199"[:6]), "54 duplicate"),
    ("a CRC twice", sealed(PLAIN), "63 duplicate"),
    ("a subtag twice", qr({"62": "0101a0101b"}), "62/01 duplicate"),
    ("an account twice", qr({"29": "0009john@devb0009evil@devb"}), "29/00 duplicate"),
    ("an expiry twice", qr({"99": "0101101012"}), "99/01 duplicate"),
    ("a subtag cut short", qr({"62": "0109a"}), "62/01 cut_short"),
    ("a template of noise", qr({"62": "noise"}), "62 malformed"),
    ("times of noise", qr({"99": "noise"}), "99 malformed"),
    ("data after the CRC", PLAIN + "8001a", "63 not_last"),
    ("a CRC before the end", sealed(BODY) + "9900", "63 not_last"),
    ("a blank after the CRC", PLAIN + " ", "- malformed"),
    ("no CRC", BODY, "63 missing"),
    ("a wrong CRC", PLAIN[:-4] + "0000", "63 crc"),
    ("a CRC of three", BODY + "6303ABC", "63 crc"),
    ("a CRC of ligatures", PLAIN[:-4] + "ﬀﬀ12", "63 crc"),
    ("another payload format", qr({"00": "02"}), "00 unknown"),
    ("no payload format", qr({"00": None}), "00 missing"),
    ("another initiation", qr({"01": "13"}), "01 unknown"),
    ("an empty initiation", qr({"01": ""}), "01 unknown"),
    ("no account", qr({"29": None}), "29 missing"),
    ("two accounts", qr({"30": "0009evil@devb"}), "30 ambiguous"),
    ("an empty account template", qr({"29": ""}), "29/00 missing"),
    ("an account without bank", qr({"29": "0005john@"}), "29/00 malformed"),
    ("an account without name", qr({"29": "0005@devb"}), "29/00 malformed"),
    ("an account without @", qr({"29": "0004john"}), "29/00 malformed"),
    ("an account with two @", qr({"29": "0008jo@hn@de"}), "29/00 malformed"),
    ("an account with a blank", qr({"29": "0007jo hn@d"}), "29/00 malformed"),
    ("an account with Khmer", qr({"29": "0003ក@d"}), "29/00 malformed"),
    ("an account too long", qr({"29": f"0033{'j' * 28}@devb"}), "29/00 bad_length"),
    ("an information too long", qr({"29": f"0009john@devb0133{'j' * 33}"}), "29/01 bad_length"),
    ("a bank too long", qr({"29": f"0009john@devb0233{'j' * 33}"}), "29/02 bad_length"),
    ("no category", qr({"52": None}), "52 missing"),
    ("a category too short", qr({"52": "599"}), "52 malformed"),
    ("a category too long", qr({"52": "59999"}), "52 malformed"),
    ("a category of letters", qr({"52": "59A9"}), "52 malformed"),
    ("a category in Khmer digits", qr({"52": "៥៩៩៩"}), "52 malformed"),
    ("no currency", qr({"53": None}), "53 missing"),
    ("baht", qr({"53": "764"}), "53 unknown"),
    ("a currency in letters", qr({"53": "USD"}), "53 unknown"),
    ("dynamic without amount", qr({"54": None}), "54 missing"),
    ("dynamic with amount zero", qr({"54": "0.00"}), "54 missing"),
    ("an empty amount", qr({"54": ""}), "54 malformed"),
    ("an empty amount, static", qr({"01": "11", "54": ""}), "54 malformed"),
    ("an amount below zero", qr({"54": "-1"}), "54 malformed"),
    ("an amount with plus", qr({"54": "+1"}), "54 malformed"),
    ("an amount with exponent", qr({"54": "1e3"}), "54 malformed"),
    ("an amount with comma", qr({"54": "1,000"}), "54 malformed"),
    ("an amount with underscore", qr({"54": "1_000"}), "54 malformed"),
    ("an amount with blank", qr({"54": " 1"}), "54 malformed"),
    ("an amount with two points", qr({"54": "1.0.0"}), "54 malformed"),
    ("an amount without units", qr({"54": ".5"}), "54 malformed"),
    ("an amount that is no number", qr({"54": "NaN"}), "54 malformed"),
    ("an infinite amount", qr({"54": "Infinity"}), "54 malformed"),
    ("an amount in Khmer digits", qr({"54": "១"}), "54 malformed"),
    ("an amount too long", qr({"54": "00000000000001"}), "54 malformed"),
    ("parts of a cent", qr({"54": "1.005"}), "54 bad_amount"),
    ("parts of a riel", qr({"53": "116", "54": "1.50"}), "54 bad_amount"),
    ("no country", qr({"58": None}), "58 missing"),
    ("a country too short", qr({"58": "K"}), "58 malformed"),
    ("a country too long", qr({"58": "KHMR"}), "58 malformed"),
    ("a country in digits", qr({"58": "12"}), "58 malformed"),
    ("no name", qr({"59": None}), "59 missing"),
    ("an empty name", qr({"59": ""}), "59 bad_length"),
    ("a name too long", qr({"59": "x" * 26}), "59 bad_length"),
    ("a name of 13 emoji", qr({"59": "😀" * 13}), "59 bad_length"),
    ("no city", qr({"60": None}), "60 missing"),
    ("a city too long", qr({"60": "x" * 16}), "60 bad_length"),
    ("an empty bill number", qr({"62": "0100"}), "62/01 bad_length"),
    ("a bill number too long", qr({"62": f"0126{'x' * 26}"}), "62/01 bad_length"),
    ("a mobile too long", qr({"62": f"0226{'x' * 26}"}), "62/02 bad_length"),
    ("a store too long", qr({"62": f"0326{'x' * 26}"}), "62/03 bad_length"),
    ("a terminal too long", qr({"62": f"0726{'x' * 26}"}), "62/07 bad_length"),
    ("a purpose too long", qr({"62": f"0826{'x' * 26}"}), "62/08 bad_length"),
    ("a language too long", qr({"64": "0003khm"}), "64/00 bad_length"),
    ("an alternate name too long", qr({"64": f"0126{'x' * 26}"}), "64/01 bad_length"),
    ("an alternate city too long", qr({"64": f"0216{'x' * 16}"}), "64/02 bad_length"),
    (
        "expiry before creation",
        qr({"99": "0013173949577872201131739495778721"}),
        "99/01 out_of_range",
    ),
    ("an empty UnionPay account", qr({"15": ""}), "15 bad_length"),
    ("a line feed at the end", PLAIN + "\n", "- not_text"),
    ("a NUL in the name", qr({"59": "Jo\0n"}), "- not_text"),
    ("a lone surrogate", PLAIN.replace("John", "Joh\ud83d"), "- not_text"),
    ("surrogates in place of an emoji", PLAIN.replace("John", "Jo\ud83d\ude00"), "- not_text"),
    ("more than all tags can hold", "0" * 10_301, "- too_long"),
]


@pytest.mark.parametrize(("text", "says"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_reading_refuses(text: str, says: str) -> None:
    with pytest.raises(BadQR) as refusal:
        khqr.read(text)
    assert said(refusal.value)[0] == says
    assert refusal.value.message == refusal.value.problems[0].message
    assert not khqr.verify(text)


def test_a_refusal_tells_every_field_that_breaks_its_limit() -> None:
    with pytest.raises(BadQR) as refusal:
        khqr.read(qr({"52": "1", "58": "1", "59": "x" * 26, "62": "0100"}))
    expected = ["59 bad_length", "62/01 bad_length", "52 malformed", "58 malformed"]
    assert said(refusal.value) == expected
    assert isinstance(refusal.value, Invalid)
    assert refusal.value.code == "bad_qr"


def test_a_refusal_tells_every_tag_that_is_missing() -> None:
    with pytest.raises(BadQR) as refusal:
        khqr.read(sealed("000201"))
    expected = [f"{tag} missing" for tag in (29, 52, 53, 58, 59, 60)]
    assert said(refusal.value) == expected


# What making refuses: name, what is asked for, pointer and code of the first problem.

NOT_MADE: list[tuple[str, Khqr, str]] = [
    ("dynamic without amount", but(amount_minor=None), "54 missing"),
    ("amount zero", but(static=True, amount_minor=0), "54 out_of_range"),
    ("amount below zero", but(amount_minor=-1), "54 out_of_range"),
    ("dollars of 14 characters", but(amount_minor=10**12 + 1), "54 out_of_range"),
    ("an amount of any size", but(amount_minor=10**9_999), "54 out_of_range"),
    ("parts of a riel", but(currency=Currency.KHR), "54 bad_amount"),
    ("no account", but(account_id=""), "29/00 bad_length"),
    ("a bad account", but(account_id="john"), "29/00 malformed"),
    ("a bad merchant account", shop(account_id="john"), "30/00 malformed"),
    ("a lone surrogate", but(merchant_name="\ud800"), "59 not_text"),
    ("a line feed", but(purpose="a\nb"), "62/08 not_text"),
    ("an empty bill number", but(bill_number=""), "62/01 bad_length"),
    ("a bad category", but(merchant_category_code="x"), "52 malformed"),
    ("a bad country", but(country_code=""), "58 malformed"),
    ("a time below zero", but(created_at_ms=-1), "99/00 out_of_range"),
    ("a time of 14 digits", but(expires_at_ms=10**13), "99/01 out_of_range"),
    ("expiry before creation", but(created_at_ms=2, expires_at_ms=1), "99/01 out_of_range"),
    ("an individual's merchant id", but(merchant_id="1"), "29/01 misplaced"),
    ("a merchant's information", shop(account_information="1"), "30/01 misplaced"),
    ("a merchant without id", shop(merchant_id=None), "30/01 missing"),
    ("a merchant without bank", shop(acquiring_bank=None), "30/02 missing"),
    ("UnionPay in dollars", but(upi_account="1"), "15 misplaced"),
    ("a language without name", but(language="km"), "64/01 missing"),
    ("a name without language", but(merchant_name_alternate="ក"), "64/00 missing"),
    (
        "an account template over 99",
        but(
            account_id="j" * 30 + "@d",
            account_information="x" * 32,
            acquiring_bank="x" * 32,
        ),
        "29 too_long",
    ),
    (
        "additional data over 99",
        but(
            bill_number="x" * 25,
            mobile_number="x" * 25,
            store_label="x" * 25,
            purpose="x" * 25,
        ),
        "62 too_long",
    ),
]


@pytest.mark.parametrize(("asked", "says"), [pytest.param(*row[1:], id=row[0]) for row in NOT_MADE])
def test_making_refuses(asked: Khqr, says: str) -> None:
    with pytest.raises(BadQR) as refusal:
        khqr.make(asked)
    assert said(refusal.value)[0] == says


@pytest.mark.parametrize(
    ("currency", "amount_minor", "wire"),
    [
        (Currency.USD, 1, "0.01"),
        (Currency.USD, 100, "1"),
        (Currency.USD, 150, "1.50"),
        (Currency.USD, 999_999_999_999, "9999999999.99"),
        (Currency.KHR, 500_000, "5000"),
        (Currency.KHR, 999_999_999_999_900, "9999999999999"),
    ],
)
def test_amounts_are_written_as_the_official_sdk_writes_them(
    currency: Currency, amount_minor: int, wire: str
) -> None:
    text = khqr.make(replace(BASE_KHQR, currency=currency, amount_minor=amount_minor))
    assert f"54{len(wire):02d}{wire}5802KH" in text


@pytest.mark.parametrize(
    "text",
    ["", "+", "no QR", PLAIN[:-1], PLAIN + "+", PLAIN.replace("John", "J+hn"), PLAIN + "\ud800"],
)
def test_a_text_neither_of_whose_readings_holds_is_refused(text: str) -> None:
    with pytest.raises(BadQR):
        khqr.reading(text)


def test_a_plus_that_belongs_to_the_qr_stays() -> None:
    text = qr({"62": "0106+85512"})
    assert khqr.reading(text) == text
    assert khqr.read(text).bill_number == "+85512"


@pytest.mark.parametrize("verb", [khqr.read, khqr.reading, khqr.md5, khqr.crc])
def test_a_lone_surrogate_is_a_bad_qr_everywhere(verb: Callable[[str], object]) -> None:
    with pytest.raises(BadQR):
        verb("0002\udc00")


# Properties. Strategies build what fits instead of filtering what does not.

PRINTED = st.characters(exclude_categories=("Cc", "Cs"))


@cache
def texts(units_max: int) -> st.SearchStrategy[str]:
    def clipped(text: str) -> str:
        while tlv.units_of(text) > units_max:
            text = text[:-1]
        return text or "x"

    return st.text(PRINTED, min_size=1, max_size=units_max).map(clipped)


@st.composite
def labels(draw: st.DrawFn) -> tuple[str | None, ...]:
    """Draw the five values of tag 62, as many as it has room for."""
    values: list[str | None] = []
    room = tlv.VALUE_UNITS_MAX
    for _ in range(5):
        value = draw(st.none() | texts(min(25, room - 4))) if room > 4 else None
        room -= 0 if value is None else 4 + tlv.units_of(value)
        values.append(value)
    return tuple(values)


account_ids = st.from_regex(r"[a-z0-9_.]{1,27}@[a-z]{4}", fullmatch=True)
times = st.none() | st.integers(0, 10**13 - 1)


@st.composite
def khqrs(draw: st.DrawFn) -> Khqr:
    kind = draw(st.sampled_from(["individual", "merchant"]))
    merchant = kind == "merchant"
    currency = draw(st.sampled_from(Currency))
    riel = currency is Currency.KHR
    amount = (
        st.integers(1, 10**13 - 1).map(lambda major: major * 100)
        if riel
        else st.integers(1, 10**12 - 1)
    )
    static = draw(st.booleans())
    bill_number, mobile_number, store_label, terminal_label, purpose = draw(labels())
    account_id = draw(account_ids)
    one = draw(texts(32) if merchant else st.none() | texts(32))
    room = tlv.VALUE_UNITS_MAX - 12 - len(account_id) - tlv.units_of(one or "")
    bank = draw(texts(min(32, room)))
    language = draw(st.none() | texts(2))
    created_at_ms, expires_at_ms = draw(times), draw(times)
    if created_at_ms is not None and expires_at_ms is not None:
        created_at_ms, expires_at_ms = sorted((created_at_ms, expires_at_ms))
    return Khqr(
        kind="merchant" if merchant else "individual",
        static=static,
        account_id=account_id,
        account_information=None if merchant else one,
        merchant_id=one if merchant else None,
        acquiring_bank=bank,
        upi_account=draw(st.none() | texts(99)) if riel else None,
        merchant_category_code=draw(st.from_regex(r"[0-9]{4}", fullmatch=True)),
        currency=currency,
        amount_minor=draw(st.none() | amount) if static else draw(amount),
        country_code=draw(st.sampled_from(["KH", "TH", "KHM"])),
        merchant_name=draw(texts(25)),
        merchant_city=draw(texts(15)),
        bill_number=bill_number,
        mobile_number=mobile_number,
        store_label=store_label,
        terminal_label=terminal_label,
        purpose=purpose,
        language=language,
        merchant_name_alternate=None if language is None else draw(texts(25)),
        merchant_city_alternate=None if language is None else draw(st.none() | texts(15)),
        created_at_ms=created_at_ms,
        expires_at_ms=expires_at_ms,
    )


@given(khqrs())
def test_what_is_made_is_read_back_the_same(made: Khqr) -> None:
    text = khqr.make(made)
    assert khqr.read(text) == made
    assert khqr.reading(text) == text


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    assert khqr.verify(text) is is_read(text)


def is_read(text: str) -> bool:
    try:
        khqr.read(text)
    except BadQR:
        return False
    return True


# The oracle: the PyPI client. It counts code points, so it is asked within the BMP only, and lets
# tag 62 pass 99 characters, so its labels are kept short.


@cache
def oracle_texts(chars_max: int) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_categories=("Cc", "Cs"), max_codepoint=0xFFFF)
    drawn = st.text(characters, min_size=1, max_size=chars_max)
    return drawn.map(lambda text: text.strip() or "x")


@given(
    account_id=account_ids,
    currency=st.sampled_from(Currency),
    amount=st.integers(0, 10**9),
    static=st.booleans(),
    name=oracle_texts(25),
    city=oracle_texts(15),
    store_label=st.none() | oracle_texts(18),
    phone_number=st.none() | st.from_regex(r"0[1-9][0-9]{6,8}", fullmatch=True),
    bill_number=st.none() | oracle_texts(18),
    terminal_label=st.none() | oracle_texts(18),
)
def test_a_qr_of_the_pypi_client_is_read_as_it_was_asked_for(  # one argument a field
    *,
    account_id: str,
    currency: Currency,
    amount: int,
    static: bool,
    name: str,
    city: str,
    store_label: str | None,
    phone_number: str | None,
    bill_number: str | None,
    terminal_label: str | None,
) -> None:
    client = KHQR()
    text = str(
        client.create_qr(  # pyright: ignore[reportUnknownMemberType]  # its **kwargs are untyped
            account_id=account_id,
            merchant_name=name,
            merchant_city=city,
            amount=amount / 100 if currency is Currency.USD else amount,
            currency=currency.value,
            store_label=store_label,
            phone_number=phone_number,
            bill_number=bill_number,
            terminal_label=terminal_label,
            static=static,
        )
    )
    read = khqr.read(text)
    amount_minor = amount if currency is Currency.USD else amount * 100
    assert read.created_at_ms is not None
    assert read == Khqr(
        kind="individual",
        static=static or amount == 0,
        account_id=account_id,
        currency=currency,
        amount_minor=None if static else amount_minor or None,
        merchant_name=name,
        merchant_city=city,
        store_label=store_label,
        mobile_number=phone_number,
        bill_number=bill_number,
        terminal_label=terminal_label,
        created_at_ms=read.created_at_ms,
        expires_at_ms=read.expires_at_ms,
    )
    assert (read.expires_at_ms is None) is read.static
    assert khqr.md5(text) == client.generate_md5(text)
