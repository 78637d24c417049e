"""Keys of production: taken from the settings, and refused where they protect nothing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Final, NamedTuple

from bayon.cards import KeyBlockKey, Vault, VaultKeys, ZonePinKey, read_key
from bayon.config import PREFIX, BadSettings, Settings, require
from bayon.errors import Invalid
from bayon.log import Secret
from bayon.seal import Sealer

KEY_VARIETY_MIN: Final = 8
PRINTED_KEYS: Final = frozenset({bytes.fromhex("C1D0F8FB4958670DBA40AB1F3752EF0D")})
"""Test keys of the field that look like chance: this one stands in many a terminal's samples."""

VERSIONED: Final = ("seal_keys", "vault_keys")
OF_DES: Final = (
    "pin_verification_key",
    "card_verification_key",
    "card_cryptogram_key",
    "zone_pin_key",
    "key_block_key",
)
NAMES: Final = ("seal_keys", "bakong_jwt_key", "vault_keys", "vault_lookup_key", *OF_DES)
DES_KEY_SIZE: Final = 8
DES_SIZE_MAX: Final = 24

_VERSION: Final = re.compile(r"[0-9]+:")


class _Key(NamedTuple):
    name: str
    text: str
    """In lower case."""
    of_des: bool


def vault_keys(settings: Settings) -> VaultKeys:
    """Take the vault's keys. Errors: `BadSettings`, naming all that are missing."""
    names = [field.name for field in fields(VaultKeys)]
    require(settings, *names)
    return VaultKeys(**{name: getattr(settings, name) for name in names})


def check_values(settings: Settings) -> dict[str, str]:
    """Tell the check values of the card keys that are set, by setting: six hex digits each.

    Those of the vault once all its keys are there. Errors: `Invalid` when a key is none.
    """
    values: dict[str, str] = {}
    if all(getattr(settings, field.name) for field in fields(VaultKeys)):
        values |= Vault(vault_keys(settings)).check_values()
    if settings.zone_pin_key is not None:
        key = ZonePinKey.read(settings.zone_pin_key, settings.key_block_key)
        values["zone_pin_key"] = key.check_value()
    if settings.key_block_key is not None:
        protects = KeyBlockKey.from_hex(settings.key_block_key).check_values()
        values |= {f"key_block_key ({kind})": value for kind, value in protects.items()}
    return {_shown(name): value for name, value in values.items()}


def refuse_weak_keys(settings: Settings, *, of_links: Mapping[str, Secret] | None = None) -> None:
    """Refuse keys that are half a key, that one can guess, or that have two purposes.

    Judges all that are set, and the zone PIN keys of links by the links' names; of a key block
    what is in it.
    Errors: `BadSettings`, which names the setting or link, and tells nothing of the key.
    """
    for name in VERSIONED:
        _refuse_bad_versions(name, settings)
    keys = [*_each(settings), *_each_of(of_links or {}, settings.key_block_key)]
    for key in keys:
        if key.of_des and _is_single_des(bytes.fromhex(key.text)):
            raise BadSettings(f"{key.name} has two equal halves, so it is half a key.")
    for at, key in enumerate(keys):
        if _is_guessable(key.text):
            raise BadSettings(f"{key.name} is no secret: take random bytes.")
        if any(key.text == other.text for other in keys[:at]):
            raise BadSettings(f"{key.name} repeats another key: each purpose has its own.")


def _refuse_bad_versions(name: str, settings: Settings) -> None:
    versions: Secret | None = getattr(settings, name)
    try:
        if versions is not None:
            Sealer.from_text(versions.reveal())
    except Invalid as error:
        raise BadSettings(f"{_shown(name)} is not valid. {error.message}") from None


def _each(settings: Settings) -> Iterator[_Key]:
    for name in NAMES:
        secret: Secret | None = getattr(settings, name)
        if secret is None:
            continue
        if name == "zone_pin_key":
            secret = _bare(_shown(name), secret, settings.key_block_key)
        text = secret.reveal().lower()
        texts = _VERSION.sub("", text).split(",") if name in VERSIONED else [text]
        yield from (_Key(_shown(name), text, of_des=name in OF_DES) for text in texts)


def _each_of(links: Mapping[str, Secret], under: Secret | None) -> Iterator[_Key]:
    for link, key in links.items():
        name = f"The zone PIN key of link {link}"
        yield _Key(name, _bare(name, key, under).reveal().lower(), of_des=True)


def _bare(name: str, key: Secret, under: Secret | None) -> Secret:
    """Take a key out of its block, if it is in one: hex digits."""
    try:
        return read_key(key, under).key
    except Invalid as error:
        raise BadSettings(f"{name} cannot be read. {error.message}") from None


def _shown(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _is_guessable(key: str) -> bool:
    """Judge whether a key repeats itself or counts, as one made by hand or printed does."""
    try:
        raw = bytes.fromhex(key)
    except ValueError:
        raw = key.encode()  # the Open API's may be any text
    steps = {(after - before) % 256 for before, after in pairwise(raw)}
    return min(len(set(raw)), len(steps)) < KEY_VARIETY_MIN or raw in PRINTED_KEYS


def _is_single_des(key: bytes) -> bool:
    """Tell whether 3DES under this key is DES: its second part undoes its first, or its third.

    Compared without the lowest bit of each byte, parity, which DES does not use.
    """
    if len(key) > DES_SIZE_MAX:
        return False
    bits = [byte >> 1 for byte in key]
    parts = [bits[at : at + DES_KEY_SIZE] for at in range(0, len(key), DES_KEY_SIZE)]
    return any(one == other for one, other in pairwise(parts))
