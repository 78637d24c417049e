"""Keys of production: what protects nothing is refused, by its name and nothing of it."""

import secrets
from dataclasses import replace
from typing import Final

import pytest

from bayon.cards import KeyBlockKey, ZonePinKey
from bayon.config import BadSettings, Settings
from bayon.keys import check_values, refuse_weak_keys, vault_keys
from bayon.log import Secret

SETTINGS: Final = Settings(
    seal_keys=Secret(f"1:{secrets.token_hex(32)},2:{secrets.token_hex(32)}"),
    bakong_jwt_key=Secret("any text of at least, thirty-two: characters"),
    vault_keys=Secret(f"1:{secrets.token_hex(32)},7:{secrets.token_hex(32)}"),
    vault_lookup_key=Secret(secrets.token_hex(32)),
    pin_verification_key=Secret(secrets.token_hex(16)),
    card_verification_key=Secret(secrets.token_hex(16)),
    card_cryptogram_key=Secret(secrets.token_hex(16)),
    zone_pin_key=Secret(secrets.token_hex(24)),
    key_block_key=Secret(secrets.token_hex(32)),
)
PARTS: Final = tuple(secrets.token_hex(7) + "fe" for _ in range(3))
ODD: Final = PARTS[0][:-2] + "ff"  # the first part but for its parity


def test_good_keys_are_taken() -> None:
    refuse_weak_keys(SETTINGS, of_links={"atm": Secret(secrets.token_hex(32))})
    refuse_weak_keys(Settings())  # what must be there is another question
    assert vault_keys(SETTINGS).card_verification_key == SETTINGS.card_verification_key


def test_the_vaults_keys_that_are_missing_are_all_named() -> None:
    with pytest.raises(BadSettings) as caught:
        vault_keys(replace(SETTINGS, vault_keys=None, card_verification_key=None))
    assert [problem.pointer for problem in caught.value.problems] == [
        "BAYON_VAULT_KEYS",
        "BAYON_CARD_VERIFICATION_KEY",
    ]


@pytest.mark.parametrize(
    ("name", "key", "says"),
    [
        ("seal_keys", f"0:{secrets.token_hex(32)}", "is not valid"),
        ("seal_keys", f"1:{secrets.token_hex(32)},2:{'ab' * 32}", "is no secret"),
        ("vault_keys", f"1:{'00' * 32}", "is no secret"),
        ("vault_lookup_key", bytes(range(32)).hex(), "is no secret"),
        ("pin_verification_key", PARTS[0] + PARTS[0], "has two equal halves"),
        ("card_verification_key", PARTS[0] + ODD, "has two equal halves"),
        ("card_verification_key", "00" * 16, "has two equal halves"),
        ("card_verification_key", "0123456789ABCDEFFEDCBA9876543210", "is no secret"),
        ("card_cryptogram_key", PARTS[0] + ODD, "has two equal halves"),
        ("card_cryptogram_key", "0123456789ABCDEFFEDCBA9876543210", "is no secret"),
        ("zone_pin_key", "C1D0F8FB4958670DBA40AB1F3752EF0D", "is no secret"),
        ("zone_pin_key", PARTS[0] + PARTS[0], "has two equal halves"),
        ("zone_pin_key", PARTS[0] + ODD + PARTS[1], "has two equal halves"),
        ("zone_pin_key", PARTS[1] + PARTS[0] + ODD, "has two equal halves"),
        ("zone_pin_key", "11" * 32, "is no secret"),
        ("key_block_key", "11" * 32, "is no secret"),
        ("key_block_key", PARTS[0] + PARTS[0], "has two equal halves"),
    ],
)
def test_a_weak_key_is_refused_by_the_name_of_its_setting(name: str, key: str, says: str) -> None:
    with pytest.raises(BadSettings, match=f"^BAYON_{name.upper()} {says}") as caught:
        refuse_weak_keys(replace(SETTINGS, **{name: Secret(key)}))
    assert key not in f"{caught.value!r}"


@pytest.mark.parametrize("key", [PARTS[0] + PARTS[1] + PARTS[0], PARTS[0] * 2 + PARTS[1] * 2])
def test_a_zone_pin_key_may_be_two_des_keys_in_three_parts_or_one_of_aes(key: str) -> None:
    refuse_weak_keys(replace(SETTINGS, zone_pin_key=Secret(key)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("pin_verification_key", "card_verification_key"),
        ("card_verification_key", "card_cryptogram_key"),
        ("pin_verification_key", "zone_pin_key"),
        ("vault_lookup_key", "key_block_key"),
        ("zone_pin_key", "key_block_key"),
    ],
)
def test_no_two_purposes_share_a_key(first: str, second: str) -> None:
    key: Secret = getattr(SETTINGS, first)
    again = Secret(key.reveal().upper())
    with pytest.raises(BadSettings, match=f"^BAYON_{second.upper()} repeats another key"):
        refuse_weak_keys(replace(SETTINGS, **{second: again}))


def test_a_links_own_key_is_judged_as_the_default_is() -> None:
    links = {"atm": Secret("00" * 32), "pos": Secret(secrets.token_hex(16))}
    with pytest.raises(BadSettings, match=r"^The zone PIN key of link atm is no secret"):
        refuse_weak_keys(SETTINGS, of_links=links)
    shared = Secret(secrets.token_hex(16))
    with pytest.raises(BadSettings, match=r"^The zone PIN key of link pos repeats another key"):
        refuse_weak_keys(SETTINGS, of_links={"atm": shared, "pos": shared})


UNDER: Final = secrets.token_bytes(32)


def block(key: str, *, under: bytes = UNDER) -> Secret:
    """Protect a key of DES."""
    return Secret(KeyBlockKey(under).wrap(bytes.fromhex(key), "T"))


def test_of_a_key_block_what_is_in_it_is_judged() -> None:
    good = replace(SETTINGS, key_block_key=Secret(UNDER.hex()), zone_pin_key=block(PARTS[0] * 2))
    with pytest.raises(BadSettings, match=r"^BAYON_ZONE_PIN_KEY has two equal halves"):
        refuse_weak_keys(good)
    good = replace(good, zone_pin_key=block(secrets.token_hex(16)))
    key = secrets.token_hex(16)
    refuse_weak_keys(good, of_links={"atm": block(key)})
    with pytest.raises(BadSettings, match=r"^The zone PIN key of link pos repeats another key"):
        refuse_weak_keys(good, of_links={"atm": block(key), "pos": Secret(key)})
    with pytest.raises(BadSettings, match=r"^The zone PIN key of link atm is no secret"):
        refuse_weak_keys(good, of_links={"atm": block("0123456789ABCDEFFEDCBA9876543210")})


def test_a_key_that_cannot_be_read_is_told_by_the_name_of_its_setting_or_link() -> None:
    good = replace(SETTINGS, key_block_key=Secret(UNDER.hex()))
    strange = block(secrets.token_hex(16), under=secrets.token_bytes(16))
    with pytest.raises(BadSettings, match=r"^BAYON_ZONE_PIN_KEY cannot be read. The key block was"):
        refuse_weak_keys(replace(good, zone_pin_key=strange))
    with pytest.raises(BadSettings, match=r"^BAYON_ZONE_PIN_KEY cannot be read. To read a key bl"):
        refuse_weak_keys(replace(SETTINGS, key_block_key=None, zone_pin_key=strange))
    for key in (strange, Secret("zz" * 16), Secret("5A" * 8)):
        with pytest.raises(
            BadSettings, match=r"^The zone PIN key of link atm cannot be read"
        ) as no:
            refuse_weak_keys(good, of_links={"atm": key})
        assert key.reveal() not in no.value.message


def test_the_check_value_of_a_key_in_a_block_is_its_own() -> None:
    key = secrets.token_hex(16)
    settings = Settings(key_block_key=Secret(UNDER.hex()), zone_pin_key=block(key))
    assert check_values(settings) == {
        "BAYON_ZONE_PIN_KEY": ZonePinKey(bytes.fromhex(key)).check_value(),
        "BAYON_KEY_BLOCK_KEY (AES)": KeyBlockKey(UNDER).check_values()["AES"],
    }
    both = check_values(replace(settings, key_block_key=Secret(key), zone_pin_key=None))
    assert [*both] == ["BAYON_KEY_BLOCK_KEY (AES)", "BAYON_KEY_BLOCK_KEY (DES)"]
