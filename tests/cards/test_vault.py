"""The vault: card numbers and PINs, judged, sealed, compared, and never told."""

import hashlib
import hmac
import secrets
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.utils import CryptographyDeprecationWarning
from psec.pin import generate_visa_pvv

from bayon.cards.pin import WeakPin
from bayon.cards.vault import BadPan, BadPin, Vault, VaultKeys
from bayon.errors import BayonError, Invalid
from bayon.log import Secret
from bayon.seal import BadSeal

PVK: Final = "0123456789ABCDEFFEDCBA9876543210"
CVK: Final = "76543210FEDCBA9889ABCDEF01234567"
CMK: Final = "13579BDF02468ACEECA86420FDB97531"
KEYS: Final = VaultKeys(
    vault_keys=Secret("1:" + "5ea1" * 16),
    vault_lookup_key=Secret("100c" * 16),
    pin_verification_key=Secret(PVK),
    card_verification_key=Secret(CVK),
    card_cryptogram_key=Secret(CMK),
)
VAULT: Final = Vault(KEYS)
CARD: Final = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
PAN: Final = Secret("4111111111111111")
PINS: Final = tuple(f"{pin:04}" for pin in range(10_000))
KHMER: Final = "\u17e1\u17e2\u17e3\u17e4"
FULL_WIDTH: Final = "\uff11\uff12\uff13\uff14"

# Card numbers.

# What the card schemes and their processors print for tests, of 12 to 19 digits.
VALID: Final = (
    *("501800000009", "4222222222222", "30569309025904", "378282246310005"),
    *("4111111111111111", "5555555555554444", "6205500000000000004"),
)


@pytest.mark.parametrize("pan", VALID)
def test_a_card_number_in_use_is_read(pan: str) -> None:
    assert VAULT.read_pan(Secret(pan)).reveal() == pan


@pytest.mark.parametrize(
    "text", ["4111 1111 1111 1111", "4111-1111-1111-1111", "4111 1111-11111111"]
)
def test_spaces_and_dashes_between_groups_are_dropped(text: str) -> None:
    assert VAULT.read_pan(Secret(text)) == PAN


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "18",
        "50180000003",  # eleven digits, the last their check digit
        "62055000000000000007",  # twenty
        " 4111111111111111",
        "4111111111111111 ",
        "4111111111111111\n",
        "4111  1111 1111 1111",
        "4111_1111_1111_1111",
        "4111\u00a01111\u00a01111\u00a01111",
        "4111.1111.1111.1111",
        "4111111111111111\0",
        "411111111111111\0",
        "4111\x0011111111111",
        "411111111111111A",
        "+411111111111111",
        "-411111111111111",
        "\u17e4" + "\u17e1" * 15,
        "4" + "\u17e1" * 15,
        "\uff14" + "\uff11" * 15,
        "\u0664" + "\u0661" * 15,
        "\u00b9" * 16,
        "4" * 1_000_000,
        "4 " * 500_000,
        " " * 1_000_000,
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_no_card_number_is_refused(text: str) -> None:
    with pytest.raises(BadPan, match="twelve to nineteen"):
        VAULT.read_pan(Secret(text))


@pytest.mark.parametrize("pan", VALID)
def test_one_check_digit_of_ten_is_right(pan: str) -> None:
    others = [pan[:-1] + digit for digit in "0123456789" if digit != pan[-1]]
    assert [other for other in others if _is_read(other)] == []


@pytest.mark.parametrize("pan", VALID)
def test_a_digit_mistyped_is_noticed_and_two_exchanged_but_for_0_and_9(pan: str) -> None:
    mistyped = [
        pan[:at] + digit + pan[at + 1 :]
        for at in range(len(pan))
        for digit in "0123456789"
        if digit != pan[at]
    ]
    exchanged = [
        pan[:at] + pan[at + 1] + pan[at] + pan[at + 2 :]
        for at in range(len(pan) - 1)
        if pan[at] != pan[at + 1] and {pan[at], pan[at + 1]} != {"0", "9"}
    ]
    assert [other for other in (*mistyped, *exchanged) if _is_read(other)] == []


def test_a_wrong_check_digit_is_said_to_be_one() -> None:
    with pytest.raises(BadPan, match="check digit"):
        VAULT.read_pan(Secret("4111111111111112"))


@pytest.mark.parametrize("bin_", ["411111", "4111111", "41111111", "411111111", "000000"])
def test_a_card_number_made_has_16_digits_its_bin_and_a_check_digit(bin_: str) -> None:
    made = [VAULT.make_pan(bin_) for _ in range(300)]
    assert {len(pan.reveal()) for pan in made} == {16}
    assert {pan.reveal()[: len(bin_)] for pan in made} == {bin_}
    assert [VAULT.read_pan(pan) for pan in made] == made
    places = [{pan.reveal()[at] for pan in made} for at in range(len(bin_), 16)]
    assert [len(digits) for digits in places] == [10] * len(places)


@pytest.mark.parametrize(
    "bin_", ["", "41111", "4111111111", "41111a", "4111 11", "411111\n", KHMER + "11", "4" * 10**6]
)
def test_a_card_number_is_made_for_a_bin_of_6_to_9_digits_only(bin_: str) -> None:
    with pytest.raises(Invalid, match="BIN"):
        VAULT.make_pan(bin_)


@pytest.mark.parametrize("pan", VALID)
def test_four_digits_of_a_card_number_stand_in_clear(pan: str) -> None:
    assert VAULT.last_four(Secret(pan)) == pan[-4:]


# Sealing and look-up.


@pytest.mark.parametrize("pan", VALID)
def test_a_sealed_card_number_opens_for_its_card(pan: str) -> None:
    sealed = VAULT.seal_pan(Secret(pan), card_id=CARD)
    assert VAULT.open_pan(sealed, card_id=CARD).reveal() == pan
    assert pan.encode() not in sealed
    assert VAULT.seal_pan(Secret(pan), card_id=CARD) != sealed


def test_a_sealed_card_number_moved_to_another_card_does_not_open() -> None:
    sealed = VAULT.seal_pan(PAN, card_id=CARD)
    with pytest.raises(BadSeal):
        VAULT.open_pan(sealed, card_id=UUID(int=CARD.int ^ 1))


def test_the_newest_key_seals_card_numbers_and_an_old_one_opens_what_it_sealed() -> None:
    old, new = f"1:{secrets.token_hex(32)}", f"2:{secrets.token_hex(32)}"
    before, during, after = (_vault(vault_keys=keys) for keys in (old, f"{old},{new}", new))
    sealed, resealed = (vault.seal_pan(PAN, card_id=CARD) for vault in (before, during))
    assert (sealed[0], resealed[0]) == (1, 2)
    assert during.open_pan(sealed, card_id=CARD) == PAN
    assert after.open_pan(resealed, card_id=CARD) == PAN
    for vault, other in ((before, resealed), (after, sealed), (VAULT, sealed)):
        with pytest.raises(BadSeal):
            vault.open_pan(other, card_id=CARD)


@pytest.mark.parametrize("pan", VALID)
def test_a_card_number_is_digested_whole_by_hmac_sha_256(pan: str) -> None:
    key = bytes.fromhex(KEYS.vault_lookup_key.reveal())
    expected = hmac.new(key, pan.encode(), hashlib.sha256).digest()
    assert VAULT.pan_digest(Secret(pan)) == expected
    assert len(expected) == 32


def test_the_digest_is_the_look_up_keys_alone() -> None:
    digest = VAULT.pan_digest(PAN)
    assert _vault(vault_lookup_key=secrets.token_hex(32)).pan_digest(PAN) != digest
    others = _vault(
        vault_keys=f"1:{secrets.token_hex(32)}", pin_verification_key=secrets.token_hex(16)
    )
    assert others.pan_digest(PAN) == digest
    assert VAULT.pan_digest(VAULT.read_pan(Secret("4111 1111 1111 1111"))) == digest


# PINs.


def test_every_four_digits_are_a_pin() -> None:
    assert [VAULT.read_pin(Secret(pin)).reveal() for pin in PINS] == list(PINS)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "123", "12345", "123456789012"),
        *(KHMER, FULL_WIDTH, "123\u17e4", "\u0661\u0662\u0663\u0664", "\u00b9\u00b2\u00b3\u2074"),
        *("123a", "abcd", "12AB", "12.4", "1 34", "1234 ", " 1234", "1234\n", "+123", "-123"),
        *("123\0", "1234\0", "\x001234", "1" * 1_000_000, " " * 1_000_000),
    ],
    ids=lambda text: repr(text[:16]),
)
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(BadPin):
        VAULT.read_pin(Secret(text))


@pytest.mark.parametrize(
    ("pin", "reason"),
    [
        *(("0000", "same_digit"), ("7777", "same_digit")),
        *(("1234", "run"), ("4321", "run"), ("0123", "run"), ("9876", "run")),
        *(("7890", "run"), ("0987", "run"), ("9012", "run"), ("2109", "run")),
        *(("2580", "well_known"), ("1212", "well_known"), ("6969", "well_known")),
        *(("1357", None), ("1243", None), ("0002", None), ("8524", None), ("1235", None)),
    ],
)
def test_a_pin_anybody_would_try_is_weak_and_it_is_said_why(pin: str, reason: str | None) -> None:
    assert VAULT.weak_pin(Secret(pin)) == reason


def test_few_pins_are_weak() -> None:
    around = "0123456789012"
    same = {digit * 4 for digit in "0123456789"}
    runs = {way[at : at + 4] for way in (around, around[::-1]) for at in range(10)}
    found = {pin: VAULT.weak_pin(Secret(pin)) for pin in PINS}
    assert {pin for pin, why in found.items() if why is WeakPin.SAME_DIGIT} == same
    assert {pin for pin, why in found.items() if why is WeakPin.RUN} == runs
    assert sum(why is WeakPin.WELL_KNOWN for why in found.values()) == 10


# The PVV.


@pytest.mark.parametrize(
    ("pan", "pin", "expected"),
    [
        ("4321000000001234", "1234", "6629"),  # as psec's own documentation prints it
        ("4000229052019980", "9245", "5063"),  # dbd50dedcebbe6fe: three decimal digits
        ("4000554128214610", "3287", "8412"),  # 8bc4eabfbfbaebef: two
        ("4000444706233620", "3604", "5214"),  # cbeb5fdebccdabae: one
    ],
)
def test_a_pvv_is_decimal_digits_first_and_letters_where_these_are_too_few(
    pan: str, pin: str, expected: str
) -> None:
    assert VAULT.pvv(Secret(pan), Secret(pin)) == expected == _psec(PVK, pan, pin)


def test_a_pvv_is_what_another_program_calculates() -> None:
    different: list[tuple[str, str, str]] = []
    for _ in range(100):
        key = secrets.token_hex(16)
        vault = _vault(pin_verification_key=key)
        for length in (*range(12, 20), *[16] * 92):
            pan, pin = _digits(length), _digits(4)
            if vault.pvv(Secret(pan), Secret(pin)) != _psec(key, pan, pin):
                different.append((key, pan, pin))
    assert not different


def test_a_pvv_is_of_one_card_and_one_key() -> None:
    pvv = VAULT.pvv(PAN, Secret("1357"))
    keys = {_vault(pin_verification_key=_flipped(bit)).pvv(PAN, Secret("1357")) for bit in (1, 70)}
    cards = {VAULT.pvv(Secret(pan), Secret("1357")) for pan in VALID if pan != PAN.reveal()}
    assert pvv not in keys | cards


def test_a_pin_is_right_by_its_pvv_and_almost_every_other_is_wrong() -> None:
    for pan in (PAN, Secret(VALID[0])):
        pvv = VAULT.pvv(pan, Secret("1357"))
        right = [pin for pin in PINS if VAULT.is_pin(pan, Secret(pin), pvv=pvv)]
        assert right == [pin for pin in PINS if VAULT.pvv(pan, Secret(pin)) == pvv]
        assert "1357" in right
        assert len(right) < 10  # four digits stand for four digits: some share theirs


@pytest.mark.parametrize("pvv", ["", "0", "00000", KHMER, "\0\0\0\0"])
def test_no_pin_is_right_by_what_is_no_pvv(pvv: str) -> None:
    assert not VAULT.is_pin(PAN, Secret("1357"), pvv=pvv)


@pytest.mark.parametrize(
    "pin", ["", "1", "135", "13579", "135a", "1357\n", " 1357", KHMER, FULL_WIDTH, "1" * 100_000]
)
def test_what_is_no_pin_is_a_wrong_one(pin: str) -> None:
    assert not VAULT.is_pin(PAN, Secret(pin), pvv=VAULT.pvv(PAN, Secret("1357")))


# What two sides compare keys by.


def test_check_values_are_told_of_each_key_and_change_with_it() -> None:
    keys = replace(KEYS, vault_keys=Secret(f"1:{'5ea1' * 16},12:{'ab' * 32}"))
    values = Vault(keys).check_values()
    assert list(values) == [
        *("vault_keys 1", "vault_keys 12"),
        *("vault_lookup_key", "pin_verification_key", "card_verification_key"),
        "card_cryptogram_key",
    ]
    assert all(len(value) == 6 and int(value, 16) >= 0 for value in values.values())
    assert values["pin_verification_key"] == "08D7B4"  # as every HSM's manual prints it
    changed = {"card_verification_key": PVK, "card_cryptogram_key": PVK}
    other = _vault(vault_lookup_key="100d" * 16, **changed).check_values()
    assert other["card_verification_key"] == other["card_cryptogram_key"] == "08D7B4"
    assert values["card_cryptogram_key"] != "08D7B4"
    assert other["vault_lookup_key"] != values["vault_lookup_key"]
    assert other["vault_keys 1"] == values["vault_keys 1"]


def test_a_check_value_is_nothing_that_the_seal_rests_on() -> None:
    """GCM authenticates with an enciphered block of zeros: of that nothing may be told."""
    key = bytes.fromhex("5ea1" * 16)
    zeros = Cipher(AES(key), modes.ECB()).encryptor().update(bytes(16))  # noqa: S305 - GCM's own
    assert VAULT.check_values()["vault_keys 1"] != zeros[:3].hex().upper()


# What must not be told.

BAD_KEYS: Final = [
    ("vault_keys", ""),
    ("vault_keys", "5ea1" * 16),
    ("vault_keys", "5ea1" * 16 + ":1"),
    ("vault_keys", "1:" + "5ea1" * 15),
    ("vault_keys", "0:" + "5ea1" * 16),
    ("vault_keys", "256:" + "5ea1" * 16),
    ("vault_keys", "1:" + "5ea1" * 16 + ",1:" + "5ea1" * 16),
    ("vault_lookup_key", ""),
    ("vault_lookup_key", "5ea1" * 15),
    ("vault_lookup_key", "5ea1" * 16 + "0"),
    ("vault_lookup_key", "5ea1" * 17),
    ("vault_lookup_key", "1:" + "5ea1" * 16),
    ("vault_lookup_key", "5ea1" * 15 + "seal"),
    ("vault_lookup_key", "5ea1" * 15 + "    "),
    ("vault_lookup_key", KHMER * 16),
    ("pin_verification_key", ""),
    ("pin_verification_key", "5ea1" * 4),
    ("pin_verification_key", "5ea1" * 7 + "5ea"),
    ("pin_verification_key", "5ea1" * 12),
    ("pin_verification_key", "5ea1" * 7 + "se4l"),
    ("pin_verification_key", "5ea1" * 7 + "    "),
    ("pin_verification_key", KHMER * 8),
    ("card_verification_key", ""),
    ("card_verification_key", "5ea1" * 4),
    ("card_verification_key", "5ea1" * 12),
    ("card_verification_key", "5ea1" * 7 + "se4l"),
    ("card_cryptogram_key", ""),
    ("card_cryptogram_key", "5ea1" * 12),
    ("card_cryptogram_key", "5ea1" * 7 + "se4l"),
]


@pytest.mark.parametrize(("name", "text"), BAD_KEYS, ids=lambda value: repr(value[:16]))
def test_a_malformed_key_is_refused_and_not_told(name: str, text: str) -> None:
    error = _refused(lambda: _vault(**{name: text}))
    assert isinstance(error, Invalid)
    _assert_hidden(error, text)


@pytest.mark.parametrize("text", ["4111111111111112", "411111111111111 x", "4111" * 8, KHMER * 4])
def test_a_refused_card_number_is_not_told(text: str) -> None:
    error = _refused(lambda: VAULT.read_pan(Secret(text)))
    assert (type(error), error.code) == (BadPan, "bad_pan")
    _assert_hidden(error, text)
    assert not any(character.isdigit() for character in error.message)


@pytest.mark.parametrize("text", ["13579", "135", "1357x", KHMER])
def test_a_refused_pin_is_not_told(text: str) -> None:
    error = _refused(lambda: VAULT.read_pin(Secret(text)))
    assert (type(error), error.code) == (BadPin, "bad_pin")
    _assert_hidden(error, text)


def test_a_seal_that_does_not_open_tells_no_card_number() -> None:
    sealed = VAULT.seal_pan(PAN, card_id=CARD)
    _assert_hidden(_refused(lambda: VAULT.open_pan(sealed, card_id=uuid4())), PAN.reveal())


def test_neither_keys_nor_what_was_read_shows_itself() -> None:
    pan, pin = VAULT.read_pan(PAN), VAULT.read_pin(Secret("1357"))
    opened = VAULT.open_pan(VAULT.seal_pan(PAN, card_id=CARD), card_id=CARD)
    shown = f"{KEYS} {KEYS!r} {VAULT} {VAULT!r} {pan} {opened!r} {VAULT.make_pan('411111')} {pin!r}"
    for told in ("5ea1", "100c", PVK[:8], "4111", "1357"):
        assert told not in shown


def _vault(**changed: str) -> Vault:
    return Vault(replace(KEYS, **{name: Secret(text) for name, text in changed.items()}))


def _is_read(pan: str) -> bool:
    try:
        return VAULT.read_pan(Secret(pan)).reveal() == pan
    except BadPan:
        return False


def _digits(length: int) -> str:
    return f"{secrets.randbelow(10**length):0{length}}"


def _flipped(bit: int) -> str:
    return f"{int(PVK, 16) ^ 1 << bit:032x}"


def _psec(key: str, pan: str, pin: str) -> str:
    """Ask another program; it names 3DES by its old address, and gives it keys of two parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return generate_visa_pvv(bytes.fromhex(key), "1", pin, pan)


def _refused(act: Callable[[], object]) -> BayonError:
    with pytest.raises(BayonError) as caught:
        act()
    return caught.value


def _assert_hidden(error: BayonError, text: str) -> None:
    """Look for the text and each four of its characters in all that an error may be shown as."""
    printed = "".join(traceback.format_exception_only(error))
    linked = f"{error.__cause__!r} {error.__cause__}"
    shown = f"{error} {error!r} {error.args} {error.context} {printed} {linked}"
    parts = ["".join(part) for part in zip(*(text[at:] for at in range(4)), strict=False)]
    assert [part for part in parts if part in shown and part.strip()] == []
