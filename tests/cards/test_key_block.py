"""Key blocks: made and read as another program does, and what was changed is no key."""

import itertools
import secrets
import string
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bayon.cards import BadKeyBlock, KeyBlockKey, ZonePinKey, encipher_pin_block, read_key, wrap_key
from bayon.cards.key_block import Algorithm, Version
from bayon.cards.pin_block import PinFormat
from bayon.errors import Invalid
from bayon.log import Secret
from cards.oracles import CASES, psec_seal, psec_unwrap, psec_wrap

KINDS: Final[tuple[tuple[Version, Algorithm, int, int], ...]] = (
    *(("B", "T", size, under) for size, under in ((16, 16), (16, 24), (24, 24))),
    *(("D", "T", size, under) for size in (16, 24) for under in (16, 24, 32)),
    *(("D", "A", size, under) for size, under in ((16, 16), (16, 24), (16, 32), (24, 24))),
    *(("D", "A", size, 32) for size in (24, 32)),
)
"""Version, algorithm, bytes of the key and of the one that protects it."""

UNDER: Final = secrets.token_bytes(16)
KEY: Final = secrets.token_bytes(16)
HEX: Final = string.hexdigits[:16].upper()
PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))


def test_another_program_takes_out_what_we_put_in() -> None:
    for number in range(CASES):
        version, algorithm, size, protecting = KINDS[number % len(KINDS)]
        under, key = secrets.token_bytes(protecting), secrets.token_bytes(size)
        block = KeyBlockKey(under).wrap(key, algorithm, version)
        assert psec_unwrap(under, block) == (f"{version}P0{algorithm}B00E", key)
        assert KeyBlockKey(under).unwrap(block) == (key, algorithm)


def test_we_take_out_what_another_program_put_in_whatever_else_it_says() -> None:
    for number in range(CASES):
        version, algorithm, size, protecting = KINDS[number % len(KINDS)]
        under, key = secrets.token_bytes(protecting), secrets.token_bytes(size)
        names = ("KS", "KV", "TS", "10", "ZZ")[: secrets.randbelow(6)]
        optional = {name: _printable(secrets.randbelow(300)) for name in names}
        header = (
            f"{version}P0{algorithm}{secrets.choice('BDN')}{secrets.choice(('00', '12', 'c1'))}"
        )
        block = psec_wrap(under, header + secrets.choice("ENS"), key, optional)
        assert KeyBlockKey(under).unwrap(block) == (key, algorithm), block


def _printable(length: int) -> str:
    return "".join(secrets.choice(PRINTABLE) for _ in range(length))


def test_the_length_of_a_key_does_not_show() -> None:
    under = KeyBlockKey(secrets.token_bytes(32))
    for version, algorithm, length in (("D", "T", 112), ("D", "A", 144)):
        blocks = [
            under.wrap(secrets.token_bytes(size), algorithm, version)  # pyright: ignore[reportArgumentType] - of the tuple
            for size in (16, 24)
        ]
        assert [len(block) for block in blocks] == [length] * 2


BLOCKS: Final = [
    psec_wrap(UNDER, "DP0TB00E", KEY, {}),
    psec_wrap(UNDER, "BP0TD00N", KEY, {}),
    psec_wrap(UNDER, "DP0AN00S", KEY, {"KS": "00604B120F9292800000", "ZZ": "x" * 260}),
]


@given(block=st.sampled_from(BLOCKS), at=st.integers(0, 10_000), to=st.sampled_from(PRINTABLE))
@example(block=BLOCKS[0], at=0, to="B")
@example(block=BLOCKS[0], at=-1, to="a")
def test_a_block_of_which_one_character_is_another_is_no_key(block: str, at: int, to: str) -> None:
    at %= len(block)
    changed = block[:at] + to + block[at + 1 :]
    if changed == block:
        assert KeyBlockKey(UNDER).unwrap(changed)[0] == KEY
    else:
        _refused(changed)


@given(
    block=st.sampled_from(BLOCKS),
    start=st.integers(0, 600),
    size=st.integers(0, 200),
    by=st.text(max_size=200) | st.text(HEX, max_size=200),
)
def test_a_block_that_was_cut_or_stretched_is_no_key(
    block: str, start: int, size: int, by: str
) -> None:
    changed = block[:start] + by + block[start + size :]
    if changed != block:
        _refused(changed)
        _refused(f"{changed[:1]}{len(changed):04d}{changed[5:]}")


@given(text=st.text() | st.from_regex(r"[BD][0-9]{4}P0[TA]B00E[0-9]{4}[0-9A-F]*", fullmatch=True))
def test_noise_is_no_key(text: str) -> None:
    _refused(text)


def _refused(text: str) -> None:
    if text in BLOCKS:
        return
    with pytest.raises(BadKeyBlock) as caught:
        KeyBlockKey(UNDER).unwrap(text)
    assert KEY.hex() not in caught.value.message.lower()


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("AP0TB00E", "of version A is not taken"),
        ("CP0TB00E", "of version C is not taken"),
        ("DK0TB00E", "is for K0; one for PINs is P0"),
        ("DD0TB00E", "is for D0; one for PINs is P0"),
        ("DV2TB00E", "is for V2; one for PINs is P0"),
        ("DP0DB00E", "of neither 3DES"),
        ("DP0HB00E", "of neither 3DES"),
        ("DP0TE00E", "may not decipher: its mode is E"),
        ("DP0TX00E", "may not decipher: its mode is X"),
        ("DP0TG00E", "may not decipher: its mode is G"),
        ("DP0TB00X", "does not say whether its key may be handed on"),
        ("BP0AB00E", "A key of AES is not protected by one of 3DES"),
    ],
)
def test_a_key_that_is_for_something_else_is_refused_and_why(header: str, says: str) -> None:
    block = psec_wrap(UNDER, header, KEY, {})
    with pytest.raises(BadKeyBlock, match=says) as caught:
        KeyBlockKey(UNDER).unwrap(block)
    assert block[16:] not in caught.value.message


@pytest.mark.parametrize(
    ("header", "size", "protecting", "says"),
    [
        ("DP0TB00E", 8, 32, "a length that none of 3DES has"),
        ("DP0TB00E", 32, 32, "a length that none of 3DES has"),
        ("DP0AB00E", 17, 32, "a length that none of AES has"),
        ("DP0AB00E", 0, 32, "a length that none of AES has"),
        ("DP0AB00E", 48, 32, "a length that none of AES has"),
        ("DP0AB00E", 32, 16, "longer than the one that protects it"),
        ("BP0TB00E", 24, 16, "longer than the one that protects it"),
    ],
)
def test_a_key_of_another_length_is_refused(
    header: str, size: int, protecting: int, says: str
) -> None:
    under = secrets.token_bytes(protecting)
    block = psec_wrap(under, header, secrets.token_bytes(size), {})
    with pytest.raises(BadKeyBlock, match=says):
        KeyBlockKey(under).unwrap(block)


CLEAR: Final = bytes([0, 128]) + KEY + bytes(14)


@pytest.mark.parametrize(
    ("header", "clear", "says"),
    [
        ("D0112P0TB00E0000", CLEAR, None),
        ("D0128P0TB00E0100ZZ10" + "x" * 12, CLEAR, None),
        ("D0128P0TB00E0100ZZ0002" + "0010" + "x" * 6, CLEAR, None),
        ("D0128P0TB00E0000", CLEAR, "its header or its length is wrong"),
        ("D0128P0TB00E0100ZZ03" + "x" * 12, CLEAR, "An optional block of the key block"),
        ("D0128P0TB00E0100ZZ0002" + "0009" + "x" * 6, CLEAR, "An optional block of the key block"),
        ("D0128P0TB00E0100ZZ0003" + "0010" + "x" * 6, CLEAR, "An optional block of the key block"),
        ("D0128P0TB00E0100ZZ1g" + "x" * 12, CLEAR, "An optional block of the key block"),
        ("D0128P0TB00E0100ZZFF" + "x" * 12, CLEAR, "is not whole"),
        ("D0112P0TB00E0000", bytes([0, 129]) + KEY + bytes(14), "a length that none of 3DES has"),
        ("D0080P0TB00E0000", bytes([0, 128]) + KEY[:14], "a length that none of 3DES has"),
    ],
    ids=itertools.count(),  # the key is another in each process
)
def test_what_is_signed_and_still_wrong_is_refused(
    header: str, clear: bytes, says: str | None
) -> None:
    block = psec_seal(UNDER, header, clear)
    if says is None:
        assert KeyBlockKey(UNDER).unwrap(block) == (KEY, "T")
        return
    with pytest.raises(BadKeyBlock, match=says):
        KeyBlockKey(UNDER).unwrap(block)


def test_a_block_of_3des_wants_a_protection_key_of_3des() -> None:
    block = psec_wrap(UNDER, "BP0TB00E", KEY, {})
    with pytest.raises(BadKeyBlock, match="wants a protection key of 3DES"):
        KeyBlockKey(secrets.token_bytes(32)).unwrap(block)


def test_under_another_key_a_block_is_none() -> None:
    for block in BLOCKS:
        with pytest.raises(BadKeyBlock, match="protected by another key than the one here"):
            KeyBlockKey(secrets.token_bytes(16)).unwrap(block)


@pytest.mark.parametrize(
    ("size", "algorithm", "version", "protecting", "says"),
    [
        (32, "T", "D", 32, "A key of 3DES has another length"),
        (8, "T", "D", 32, "A key of 3DES has another length"),
        (20, "A", "D", 32, "A key of AES has another length"),
        (16, "A", "B", 16, "A key of AES is not protected by one of 3DES"),
        (16, "T", "B", 32, "wants a protection key of 3DES"),
        (32, "A", "D", 16, "longer than the one that protects it"),
        (24, "T", "B", 16, "longer than the one that protects it"),
    ],
)
def test_what_protects_too_little_makes_no_block(
    size: int, algorithm: Algorithm, version: Version, protecting: int, says: str
) -> None:
    under = KeyBlockKey(secrets.token_bytes(protecting))
    with pytest.raises(BadKeyBlock, match=says):
        under.wrap(secrets.token_bytes(size), algorithm, version)


# Where settings have a key in either form.

PAN: Final = Secret("4111111111111111")
HEX_KEY: Final = Secret(KEY.hex())
HEX_UNDER: Final = Secret(UNDER.hex())


@pytest.mark.parametrize(
    ("of_aes", "form", "not_form"),
    [(False, PinFormat.ISO_0, PinFormat.ISO_4), (True, PinFormat.ISO_4, PinFormat.ISO_0)],
)
def test_a_key_of_a_block_does_what_the_block_says_and_nothing_else(
    of_aes: bool,  # noqa: FBT001 - a parameter
    form: PinFormat,
    not_form: PinFormat,
) -> None:
    text = Secret(wrap_key(HEX_KEY, HEX_UNDER, of_aes=of_aes))
    wrapped, bare = ZonePinKey.read(text, HEX_UNDER), ZonePinKey.read(HEX_KEY)
    block = encipher_pin_block(Secret("1357"), PAN, bare, form=form)
    assert wrapped.decipher(bytes.fromhex(block.reveal()), PAN.reveal()) == "1357"
    other = encipher_pin_block(Secret("1357"), PAN, bare, form=not_form)
    assert bare.decipher(bytes.fromhex(other.reveal()), PAN.reveal()) == "1357"
    assert wrapped.decipher(bytes.fromhex(other.reveal()), PAN.reveal()) is None
    with pytest.raises(Invalid, match="alone"):
        encipher_pin_block(Secret("1357"), PAN, wrapped, form=not_form)


def test_a_key_says_the_check_value_of_its_algorithm() -> None:
    des, aes = (
        ZonePinKey.read(Secret(wrap_key(HEX_KEY, HEX_UNDER, of_aes=of_aes)), HEX_UNDER)
        for of_aes in (False, True)
    )
    as_both = KeyBlockKey(KEY).check_values()
    assert {"DES": des.check_value(), "AES": aes.check_value()} == as_both
    assert ZonePinKey.read(HEX_KEY).check_value() == as_both["DES"]
    long = secrets.token_bytes(32)
    assert KeyBlockKey(long).check_values() == {"AES": ZonePinKey(long).check_value()}


def test_hex_digits_are_read_whether_blocks_could_be_or_not() -> None:
    for size in (16, 24, 32):
        text = Secret(secrets.token_hex(size))
        assert read_key(text, None) == read_key(text, HEX_UNDER) == (text, None)


def test_a_key_of_sixty_four_digits_is_of_aes() -> None:
    text, under = Secret(secrets.token_hex(32)), Secret(secrets.token_hex(32))
    bare = read_key(Secret(wrap_key(text, under)), under)
    assert bare == (text, "A")


@pytest.mark.parametrize("text", ["", "5A" * 8, "5A" * 20, "xy" * 16, "D0112", "5A" * 16 + "\n"])
def test_what_is_neither_is_no_key(text: str) -> None:
    with pytest.raises(Invalid, match="32, 48 or 64 hex digits, or a TR-31 key block"):
        read_key(Secret(text), HEX_UNDER)
    with pytest.raises(Invalid, match="A zone PIN key is 32, 48 or 64 hex digits"):
        wrap_key(Secret(text), HEX_UNDER)
    with pytest.raises(Invalid, match="A key block protection key is 32, 48 or 64 hex digits"):
        wrap_key(HEX_KEY, Secret(text))


def test_a_block_without_its_protection_key_says_which_setting_has_it() -> None:
    with pytest.raises(Invalid, match="BAYON_KEY_BLOCK_KEY must be set"):
        read_key(Secret(BLOCKS[0]), None)
