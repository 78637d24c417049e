"""PIN blocks: written and read as other programs do, and what holds no PIN is said to hold none."""

import secrets
from collections.abc import Callable
from typing import Final

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from bayon.cards import PinFormat, ZonePinKey, encipher_pin_block
from bayon.errors import Invalid
from bayon.log import Secret
from cards.oracles import (
    CASES,
    cardutil_block,
    cardutil_field_4,
    cardutil_pin_of,
    digits,
    psec_block,
    psec_check_value,
    psec_pin_of,
)
from cards_factories import VAULT

PAN: Final = Secret("4111111111111111")
OTHER_PAN: Final = Secret("4999999999999998")  # so far off that no filler of format 3 fits both
PIN: Final = Secret("1357")
DES_KEY: Final = "0123456789ABCDEFFEDCBA9876543210"
AES_KEY: Final = "5ea1" * 8 + "0123" * 8
KHMER: Final = "\u17e1\u17e2\u17e3\u17e4"
FORMS: Final = {PinFormat.ISO_0: (16, 24), PinFormat.ISO_3: (16, 24), PinFormat.ISO_4: (16, 24, 32)}


# Against other programs.


@pytest.mark.parametrize("form", PinFormat)
def test_another_program_reads_our_blocks_and_we_read_its(form: PinFormat) -> None:
    different: list[tuple[str, str, str]] = []
    for _ in range(CASES):
        key = secrets.token_bytes(secrets.choice(FORMS[form]))
        pan, pin = digits(secrets.choice(range(13, 20))), digits(4)
        ours = _block(pin, pan, key, form)
        theirs = psec_block(form.value, key, pan, pin)
        read = _read(theirs.hex().upper(), pan, key)
        if psec_pin_of(form.value, key, pan, bytes.fromhex(ours)) != pin or read != pin:
            different.append((key.hex(), pan, pin))
    assert not different


def test_a_third_program_writes_the_same_blocks_of_format_0() -> None:
    different: list[tuple[str, str, str]] = []
    for _ in range(CASES):
        key = secrets.token_bytes(secrets.choice(FORMS[PinFormat.ISO_0]))
        pan, pin = digits(16), digits(4)
        ours = bytes.fromhex(_block(pin, pan, key, PinFormat.ISO_0))
        if ours != cardutil_block(key, pan, pin) or cardutil_pin_of(key, pan, ours) != pin:
            different.append((key.hex(), pan, pin))
    assert not different


def test_a_third_program_writes_the_same_pin_field_of_format_4() -> None:
    """The field alone: to the card it is bound here, by the standard's two rounds."""
    different: list[tuple[str, str, str]] = []
    for _ in range(CASES):
        key = secrets.token_bytes(secrets.choice(FORMS[PinFormat.ISO_4]))
        pan, pin = digits(16), digits(4)
        field = cardutil_field_4(pin, secrets.randbits(64))
        if _read(_bound(field, pan, key), pan, key) != pin:
            different.append((key.hex(), pan, pin))
    assert not different


@pytest.mark.parametrize("size", [16, 24])
def test_a_des_keys_check_value_is_another_programs(size: int) -> None:
    for _ in range(100):
        key = secrets.token_bytes(size)
        assert ZonePinKey(key).check_value() == psec_check_value(key)


def test_an_aes_keys_check_value_is_a_cmac_of_zeros() -> None:
    mac = CMAC(AES(bytes.fromhex(AES_KEY)))
    mac.update(bytes(16))
    assert _key(AES_KEY).check_value() == mac.finalize()[:3].hex().upper()


# As printed: the clear fields of each format, enciphered by hand.


def test_format_0_is_length_pin_and_filler_over_twelve_digits_of_the_card() -> None:
    # psec's own documentation prints this field: PIN 1234 of card 5544332211009966.
    clear = bytes.fromhex("041277CDDEEFF669")
    block = _des_by_hand(clear)
    assert _read(block, "5544332211009966", bytes.fromhex(DES_KEY)) == "1234"


def test_the_same_pin_has_one_block_in_format_0_and_many_in_the_others() -> None:
    for form, sizes in FORMS.items():
        key = ZonePinKey(secrets.token_bytes(sizes[0]))
        blocks = {encipher_pin_block(PIN, PAN, key, form=form) for _ in range(20)}
        assert (len(blocks) == 1) is (form is PinFormat.ISO_0), form


def test_a_key_that_fits_aes_alone_writes_format_4_and_others_format_0() -> None:
    assert len(encipher_pin_block(PIN, PAN, _key(AES_KEY)).reveal()) == 32
    assert len(encipher_pin_block(PIN, PAN, _key(DES_KEY)).reveal()) == 16


@pytest.mark.parametrize("pan", ["501800000009", "4222222222222", "6205500000000000004"])
@pytest.mark.parametrize("form", PinFormat)
def test_card_numbers_of_12_to_19_digits_have_blocks(pan: str, form: PinFormat) -> None:
    key = secrets.token_bytes(16)
    assert _read(_block("0090", pan, key, form), pan, key) == "0090"


def test_every_pin_is_read_again() -> None:
    key = _key(DES_KEY)
    for form in PinFormat:
        pins = [f"{pin:04}" for pin in range(10_000)]
        read = [
            VAULT.read_pin_block(encipher_pin_block(Secret(pin), PAN, key, form=form), PAN, key)
            for pin in pins
        ]
        assert [pin.reveal() for pin in read if pin] == pins


# What holds no PIN.


@pytest.mark.parametrize("form", PinFormat)
def test_a_block_of_another_card_or_key_holds_no_pin(form: PinFormat) -> None:
    key, other = ZonePinKey(secrets.token_bytes(16)), ZonePinKey(secrets.token_bytes(16))
    for _ in range(50):
        block = encipher_pin_block(PIN, PAN, key, form=form)
        assert VAULT.read_pin_block(block, OTHER_PAN, key) is None
        assert VAULT.read_pin_block(block, PAN, other) is None


@pytest.mark.parametrize(
    "clear",
    [
        "041357FFFFFFFFFF",  # the standard's, to see that the others are refused for what they are
        *("031357FFFFFFFFFF", "051357FFFFFFFFFF", "0C135713571357FF", "001357FFFFFFFFFF"),
        *("141357FFFFFFFFFF", "241357FFFFFFFFFF", "441357FFFFFFFFFF", "F41357FFFFFFFFFF"),
        *("04135AFFFFFFFFFF", "04F357FFFFFFFFFF", "04ABCDFFFFFFFFFF"),
        *("041357FFFFFFFFFE", "0413570FFFFFFFFF", "041357AAAAAAAAAA", "0413579FFFFFFFFF"),
        *("341357FFFFFFFFF9", "3413570AAAAAAAAA", "341357ABCDEFABC0", "34135AFFFFFFFFFF"),
        *("0000000000000000", "FFFFFFFFFFFFFFFF", "041357FFFFFFFFF4", "351357FFFFFFFFFF"),
    ],
)
def test_a_field_of_formats_0_and_3_is_read_only_as_it_must_be(clear: str) -> None:
    pan_field = bytes.fromhex("0000" + PAN.reveal()[3:15])
    mixed = bytes(a ^ b for a, b in zip(bytes.fromhex(clear), pan_field, strict=True))
    read = _read(_des_by_hand(mixed), PAN.reveal(), bytes.fromhex(DES_KEY))
    assert read == ("1357" if clear == "041357FFFFFFFFFF" else None)


@pytest.mark.parametrize(
    "clear",
    [
        "441357AAAAAAAAAA",  # the standard's
        *("431357AAAAAAAAAA", "451357AAAAAAAAAA", "4C135713571357AA", "041357AAAAAAAAAA"),
        *("34135AAAAAAAAAAA", "44135AAAAAAAAAAA", "441357AAAAAAAAAF", "4413570AAAAAAAAA"),
        *("441357FFFFFFFFFF", "0000000000000000", "FFFFFFFFFFFFFFFF"),
    ],
)
def test_a_field_of_format_4_is_read_only_as_it_must_be(clear: str) -> None:
    key = bytes.fromhex(AES_KEY)
    field = bytes.fromhex(clear) + secrets.token_bytes(8)
    read = _read(_bound(field, PAN.reveal(), key), PAN.reveal(), key)
    assert read == ("1357" if clear == "441357AAAAAAAAAA" else None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "00", "0" * 14, "0" * 15, "0" * 17, "0" * 18, "0" * 30, "0" * 31, "0" * 48),
        *("0" * 64, "0" * 100_000, "G" * 16, " " * 16, "041357FF FFFFFFFF", KHMER * 4, KHMER * 8),
        *("\0" * 16, "-" * 16, "0x" + "0" * 14, "1357"),
    ],
    ids=lambda text: repr(text[:20]) + str(len(text)),
)
@pytest.mark.parametrize("key", [DES_KEY, DES_KEY + "F" * 16, AES_KEY], ids=len)
def test_what_is_no_block_holds_no_pin(text: str, key: str) -> None:
    assert VAULT.read_pin_block(Secret(text), PAN, _key(key)) is None
    good = encipher_pin_block(PIN, PAN, _key(key))
    assert VAULT.read_pin_block(good, PAN, _key(key)) == PIN  # nothing was left over inside


@pytest.mark.parametrize("pan", ["", "1", "411111111111111x", KHMER * 4, "4" * 20, "4" * 100_000])
def test_no_block_holds_a_pin_for_what_is_no_card_number(pan: str) -> None:
    for form in PinFormat:
        block = encipher_pin_block(PIN, PAN, _key(DES_KEY), form=form)
        assert VAULT.read_pin_block(block, Secret(pan), _key(DES_KEY)) is None


def test_a_key_of_aes_reads_no_block_of_des() -> None:
    block = encipher_pin_block(PIN, PAN, _key(DES_KEY))
    assert VAULT.read_pin_block(block, PAN, _key(AES_KEY)) is None


def test_random_blocks_hold_hardly_ever_a_pin_and_never_break() -> None:
    key = _key(DES_KEY)
    blocks = [Secret(secrets.token_hex(secrets.choice((8, 16))).upper()) for _ in range(CASES)]
    assert [block for block in blocks if VAULT.read_pin_block(block, PAN, key)] == []


# What is not enciphered, and which keys are none.


@pytest.mark.parametrize("pin", ["", "123", "12345", "12a4", KHMER, "123 "])
def test_what_is_no_pin_is_not_enciphered_nor_told(pin: str) -> None:
    with pytest.raises(Invalid) as caught:
        encipher_pin_block(Secret(pin), PAN, _key(DES_KEY))
    assert not pin or pin not in f"{caught.value} {caught.value!r}"


def test_a_key_of_aes_writes_no_block_of_des() -> None:
    for form in (PinFormat.ISO_0, PinFormat.ISO_3):
        with pytest.raises(Invalid, match="format 4"):
            encipher_pin_block(PIN, PAN, _key(AES_KEY), form=form)


@pytest.mark.parametrize(
    "text",
    [
        *("", "5ea1", "5ea1" * 4, "5ea1" * 7 + "5ea", "5ea1" * 8 + "5", "5ea1" * 9, "5ea1" * 20),
        *("5ea1" * 7 + "seal", "5ea1" * 7 + "    ", KHMER * 8, "5ea1" * 8 + "\n"),
    ],
)
def test_a_malformed_key_is_refused_and_not_told(text: str) -> None:
    with pytest.raises(Invalid, match="32, 48 or 64 hex digits") as caught:
        _key(text)
    assert "5ea1" not in f"{caught.value} {caught.value!r} {caught.value.context}"


def test_a_key_does_not_show_itself() -> None:
    assert "5EA1" not in f"{_key(AES_KEY)} {_key(AES_KEY)!r}".upper()


def _key(text: str) -> ZonePinKey:
    return ZonePinKey.read(Secret(text))


def _block(pin: str, pan: str, key: bytes, form: PinFormat) -> str:
    return encipher_pin_block(Secret(pin), Secret(pan), ZonePinKey(key), form=form).reveal()


def _read(block: str, pan: str, key: bytes) -> str | None:
    pin = VAULT.read_pin_block(Secret(block), Secret(pan), ZonePinKey(key))
    return pin and pin.reveal()


def _des_by_hand(clear: bytes) -> str:
    key = bytes.fromhex(DES_KEY)
    return Cipher(TripleDES(key + key[:8]), modes.ECB()).encryptor().update(clear).hex()  # noqa: S305 - the schemes'


def _bound(field: bytes, pan: str, key: bytes) -> str:
    """Encipher a PIN field in the two rounds of format 4, for a card number of 16 digits."""
    encipher: Callable[[bytes], bytes] = Cipher(AES(key), modes.ECB()).encryptor().update  # noqa: S305 - the schemes'
    pan_field = bytes.fromhex(f"4{pan}".ljust(32, "0"))
    mixed = bytes(a ^ b for a, b in zip(encipher(field), pan_field, strict=True))
    return encipher(mixed).hex()
