"""Other programs that calculate what the vault does: psec, cardutil and pyemv, each in its words.

They give `cryptography` DES keys of fewer than three parts, which it warns of; here alone that is
let pass.
"""

import os
import secrets
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

from cardutil import pinblock as cardutil  # pyright: ignore[reportMissingTypeStubs] - has none
from cryptography.utils import CryptographyDeprecationWarning
from psec import aes as psec_aes
from psec import cvv as psec_cvv
from psec import des as psec_des
from psec import pin as psec_pin
from psec import pinblock as psec
from psec import tr31
from pyemv.cvn import VisaCVN10, VisaCVN18

LONG: Final = os.environ.get("BAYON_TEST_EXAMPLES") == "long"
CASES: Final = 10_000 if LONG else 500


def digits(length: int) -> str:
    """Make that many digits by chance."""
    return f"{secrets.randbelow(10**length):0{length}}"


@contextmanager
def as_they_are() -> Generator[None]:
    """Let them name 3DES by its old address, and give it short keys."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def psec_pvv(key: bytes, pan: str, pin: str) -> str:
    """Ask psec for a PVV."""
    with as_they_are():
        return psec_pin.generate_visa_pvv(key, "1", pin, pan)


def cardutil_pvv(key: bytes, pan: str, pin: str) -> str:
    """Ask cardutil for a PVV."""
    with as_they_are():
        return cardutil.calculate_pvv(pin, key.hex(), 1, pan)


def psec_cvv_of(key: bytes, pan: str, expiry: str, service_code: str) -> str:
    """Ask psec for a CVV: of fewer than three digits where its block has fewer decimal ones."""
    with as_they_are():
        return psec_cvv.generate_cvv(key, pan, expiry, service_code)


def psec_block(form: int, key: bytes, pan: str, pin: str) -> bytes:
    """Have psec encipher a PIN in format 0, 3 or 4."""
    with as_they_are():
        if form == 0:
            return psec_des.encrypt_tdes_ecb(key, psec.encode_pinblock_iso_0(pin, pan))
        if form == 3:
            return psec_des.encrypt_tdes_ecb(key, psec.encode_pinblock_iso_3(pin, pan))
        return psec.encipher_pinblock_iso_4(key, pin, pan)


def psec_pin_of(form: int, key: bytes, pan: str, block: bytes) -> str:
    """Have psec decipher a block of format 0, 3 or 4."""
    with as_they_are():
        if form == 0:
            return psec.decode_pinblock_iso_0(psec_des.decrypt_tdes_ecb(key, block), pan)
        if form == 3:
            return psec.decode_pinblock_iso_3(psec_des.decrypt_tdes_ecb(key, block), pan)
        return psec.decipher_pinblock_iso_4(key, block, pan)


def cardutil_block(key: bytes, pan: str, pin: str) -> bytes:
    """Have cardutil encipher a PIN in format 0."""
    with as_they_are():
        return cardutil.Iso0TDESPinBlockWithVisaPVV(pin, card_number=pan).to_enc_bytes(key.hex())


def cardutil_pin_of(key: bytes, pan: str, block: bytes) -> str:
    """Have cardutil decipher a block of format 0."""
    with as_they_are():
        made = cast("Any", cardutil.Iso0TDESPinBlockWithVisaPVV)  # not typed
        return made.from_enc_bytes(block, key=key.hex(), card_number=pan).pin


def cardutil_field_4(pin: str, chance: int) -> bytes:
    """Have cardutil write the PIN field of format 4, which it does not bind to a card."""
    return cardutil.Iso4PinBlock(pin, random_value=chance).to_bytes()


def psec_check_value(key: bytes) -> str:
    """Ask psec for a DES key's check value."""
    with as_they_are():
        return psec_des.generate_kcv(key, 3).hex().upper()


def pyemv_cryptogram(key: bytes, pan: str, psn: str, tags: Mapping[str, bytes]) -> bytes:
    """Have pyemv sign as the chip of this card does, by the version its issuer data names."""
    with as_they_are():
        of = {f"tag_{tag.lower()}": value for tag, value in tags.items() if tag != "9F26"}
        issuer_data = of.pop("tag_9f10")
        if issuer_data[2] == 10:
            return VisaCVN10(key, key, key, pan, psn).generate_ac(**of, cvr=issuer_data[3:7])
        return VisaCVN18(key, key, key, pan, psn).generate_ac(**of, tag_9f10=issuer_data)


def pyemv_answer(
    key: bytes, pan: str, psn: str, tags: Mapping[str, bytes], *, update: bytes, code: str
) -> bytes:
    """Have pyemv sign an issuer's answer: issuer authentication data, as tag 91 holds it."""
    with as_they_are():
        if tags["9F10"][2] == 10:
            card = VisaCVN10(key, key, key, pan, psn)
            return card.generate_arpc(tags["9F26"], code.encode()) + code.encode()
        other = VisaCVN18(key, key, key, pan, psn)
        return other.generate_arpc(tags["9F26"], tags["9F36"], update) + update


def psec_wrap(under: bytes, header: str, key: bytes, optional: Mapping[str, str]) -> str:
    """Have psec make a key block: version, usage, algorithm, mode, number and exportability."""
    with as_they_are():
        named = tr31.Header(header[0], header[1:3], header[3], header[4], header[5:7], header[7])
        for name, data in optional.items():
            named.blocks[name] = data
        return tr31.wrap(under, named, key)


def psec_unwrap(under: bytes, block: str) -> tuple[str, bytes]:
    """Have psec take a key out of a block: its header in the words of `psec_wrap`, and the key."""
    with as_they_are():
        header, key = tr31.unwrap(under, block)
        said = (header.version_id, header.key_usage, header.algorithm, header.mode_of_use)
        return "".join((*said, header.version_num, header.exportability)), key


def psec_seal(under: bytes, header: str, clear: bytes) -> str:
    """Have psec protect whatever it may be, under whatever header, as version D does it."""
    with as_they_are():
        block = cast("Any", tr31.KeyBlock(under))  # its steps: no verb of its makes what is wrong
        for_cipher, for_mac = block._d_derive()
        mac = block._d_generate_mac(for_mac, header, clear)
        protected: bytes = psec_aes.encrypt_aes_cbc(for_cipher, mac, clear) + mac
        return header + protected.hex().upper()
