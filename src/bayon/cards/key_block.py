"""Key blocks: a PIN key on its way, enciphered together with what it may be used for.

A block says in clear what its key is (a header, perhaps optional blocks), then come the key
enciphered and a MAC over both: nothing of it can be changed, and no key be taken for another.
Version D is protected by a key of AES, version B by one of 3DES; which of the two a key block
protection key is, the version says. Pure, but for the chance that fills a block up.

Source: ANSI X9.143-2021 (TR-31:2018), as `psec` has it.
"""

import hmac
import re
import secrets
from typing import Final, Literal, NamedTuple, cast

from bayon.cards.cipher import BlockCipher, aes_check_value
from bayon.errors import Invalid
from bayon.log import Secret

Algorithm = Literal["T", "A"]
"""What a key is of: 3DES or AES, as a block's header writes it."""

Version = Literal["B", "D"]

USAGE: Final = "P0"
"""Enciphers PINs: the one usage of keys we take by a block."""

MODES: Final = frozenset("BDN")
"""Deciphers and more, deciphers only, without limit."""

EXPORTABLE: Final = frozenset("ENS")
FIXED_SIZE: Final = 16
DES_KEY_SIZES: Final = (16, 24)
KEY_SIZES: Final = {"T": DES_KEY_SIZES, "A": (16, 24, 32)}
MAC_SIZES: Final[dict[Version, int]] = {"B": 8, "D": 16}
"""In bytes, as are the blocks that are enciphered."""

_FOR_CIPHER, _FOR_MAC = 0, 1
_OF_KEYS: Final = {("B", 16): 0, ("B", 24): 1, ("D", 16): 2, ("D", 24): 3, ("D", 32): 4}
_LENGTH_SIZE: Final = 2

_HEX_KEY: Final = re.compile(r"(?:[0-9a-fA-F]{16}){2,4}")
_HEADER: Final = re.compile(
    r"(?P<version>[0-9A-Z])(?P<length>[0-9]{4})(?P<usage>[0-9A-Z]{2})(?P<algorithm>[0-9A-Z])"
    r"(?P<mode>[0-9A-Z])(?P<number>[0-9A-Za-z]{2})(?P<exportable>[A-Z])(?P<optional>[0-9]{2})"
    r"[0-9]{2}"
)
_OPTIONAL: Final = re.compile(
    r"[0-9A-Z]{2}(?:0002(?P<long>[0-9A-F]{4})|(?!00)(?P<short>[0-9A-F]{2}))"
)
"""What an optional block is, and how long, itself included: in two digits, or in four."""

_PROTECTED: Final = re.compile(r"[0-9A-F]+")


class BadKeyBlock(Invalid):
    """A key block is not valid, or its key is none that we may use."""

    code = "bad_key_block"


class BareKey(NamedTuple):
    """A key as it is when nothing protects it."""

    key: Secret
    """Hex digits."""

    algorithm: Algorithm | None
    """None where only hex digits were given: they do not say."""


class KeyBlockKey:
    """A key block protection key at work: what two sides share to send each other keys."""

    def __init__(self, key: bytes) -> None:
        self._key: bytes = key

    @classmethod
    def from_hex(cls, text: Secret) -> "KeyBlockKey":
        """Read a key as settings write it: 32, 48 or 64 hex digits. Errors: `Invalid`."""
        if not _HEX_KEY.fullmatch(text.reveal()):
            raise Invalid("A key block protection key is 32, 48 or 64 hex digits.")
        return cls(bytes.fromhex(text.reveal()))

    def check_values(self) -> dict[str, str]:
        """Tell the key's check values: as of AES, and as of DES if it can be."""
        of_des = len(self._key) in DES_KEY_SIZES
        des = {"DES": BlockCipher.des(self._key).check_value()} if of_des else {}
        return {"AES": aes_check_value(self._key)} | des

    def wrap(self, key: bytes, algorithm: Algorithm, version: Version = "D") -> str:
        """Protect a PIN key, for whoever shares this one.

        The length of the key does not show: it is filled up to the longest of its algorithm.
        Errors: `BadKeyBlock` when the key is none of the algorithm's, or this one too weak for it.
        """
        if len(key) not in KEY_SIZES[algorithm]:
            raise BadKeyBlock(f"A key of {_name(algorithm)} has another length.")
        cipher, mac = self._derived(version)
        self._refuse_weaker(version, algorithm, len(key))
        size = MAC_SIZES[version]
        filled = -(-(_LENGTH_SIZE + max(KEY_SIZES[algorithm])) // size) * size
        fill = secrets.token_bytes(filled - _LENGTH_SIZE - len(key))
        clear = (len(key) * 8).to_bytes(_LENGTH_SIZE) + key + fill
        length = FIXED_SIZE + 2 * (filled + size)
        header = f"{version}{length:04d}{USAGE}{algorithm}B00E0000"
        signature = mac.mac(header.encode() + clear)
        protected = cipher.encipher_chained(clear, signature) + signature
        return header + protected.hex().upper()

    def unwrap(self, block: str) -> tuple[bytes, Algorithm]:
        """Take a PIN key out of a block, by which we may decipher; and what it is of.

        Errors: `BadKeyBlock`, which tells nothing of the key.
        """
        found = _HEADER.match(block)
        if found is None or int(found["length"]) != len(block):
            raise BadKeyBlock("It is no key block: its header or its length is wrong.")
        if found["version"] not in MAC_SIZES:
            raise BadKeyBlock(f"A key block of version {found['version']} is not taken: B or D.")
        version = cast("Version", found["version"])
        algorithm = _usable(found)
        start = _after_optional(block, int(found["optional"]))
        size = MAC_SIZES[version]
        data = block[start:]
        if not _PROTECTED.fullmatch(data) or len(data) % (2 * size):
            raise BadKeyBlock("What the key block protects is not whole.")
        protected = bytes.fromhex(data)
        cipher, mac = self._derived(version)
        clear = cipher.decipher_chained(protected[:-size], protected[-size:])
        signature = mac.mac(block[:start].encode() + clear)
        if not hmac.compare_digest(signature, protected[-size:]):
            raise BadKeyBlock(
                "The key block was changed, or is protected by another key than the one here."
            )
        key = _measured(clear, algorithm)
        self._refuse_weaker(version, algorithm, len(key))
        return key, algorithm

    def _derived(self, version: Version) -> tuple[BlockCipher, BlockCipher]:
        """Derive the keys of a version: what enciphers, and what signs."""
        if (version, len(self._key)) not in _OF_KEYS:
            raise BadKeyBlock("A key block of version B wants a protection key of 3DES, not AES.")
        make = BlockCipher.des if version == "B" else BlockCipher.aes
        ours = make(self._key)

        def derive(purpose: int) -> BlockCipher:
            tail = bytes([0, 0, _OF_KEYS[version, len(self._key)]])
            tail += (len(self._key) * 8).to_bytes(2)
            parts = [ours.mac(bytes([at, 0, purpose]) + tail) for at in (1, 2, 3)]
            return make(b"".join(parts)[: len(self._key)])

        return derive(_FOR_CIPHER), derive(_FOR_MAC)

    def _refuse_weaker(self, version: Version, algorithm: Algorithm, size: int) -> None:
        """Refuse to protect a key by a weaker one. Source: ANSI X9.143, PCI PIN 18."""
        if version == "B" and algorithm == "A":
            raise BadKeyBlock("A key of AES is not protected by one of 3DES.")
        if (version == "B") == (algorithm == "T") and size > len(self._key):
            raise BadKeyBlock("The key is longer than the one that protects it.")


def read_key(text: Secret, under: Secret | None) -> BareKey:
    """Read a PIN key as settings write it: 32, 48 or 64 hex digits, or a key block.

    `under`: the key block protection key, in hex. Errors: `Invalid` when it is neither, or there is
    a block and nothing to read it by; `BadKeyBlock`.
    """
    if _HEX_KEY.fullmatch(text.reveal()):
        return BareKey(text, None)
    if not _HEADER.match(text.reveal()):
        raise Invalid("A zone PIN key is 32, 48 or 64 hex digits, or a TR-31 key block.")
    if under is None:
        raise Invalid("To read a key block, BAYON_KEY_BLOCK_KEY must be set.")
    key, algorithm = KeyBlockKey.from_hex(under).unwrap(text.reveal())
    return BareKey(Secret(key.hex()), algorithm)


def wrap_key(text: Secret, under: Secret, *, of_aes: bool = False, version: Version = "D") -> str:
    """Protect a PIN key of 32, 48 or 64 hex digits: of 3DES, unless it is too long or said to be.

    Errors: `Invalid` when one of the two is no key; `BadKeyBlock`.
    """
    if not _HEX_KEY.fullmatch(text.reveal()):
        raise Invalid("A zone PIN key is 32, 48 or 64 hex digits.")
    key = bytes.fromhex(text.reveal())
    algorithm = "A" if of_aes or len(key) not in DES_KEY_SIZES else "T"
    return KeyBlockKey.from_hex(under).wrap(key, algorithm, version)


def _usable(header: re.Match[str]) -> Algorithm:
    """Judge what a header says its key is for."""
    usage, mode = header["usage"], header["mode"]
    if usage != USAGE:
        raise BadKeyBlock(f"The key block's key is for {usage}; one for PINs is {USAGE}.")
    if header["algorithm"] not in KEY_SIZES:
        raise BadKeyBlock("The key block's key is of neither 3DES (T) nor AES (A).")
    if mode not in MODES:
        raise BadKeyBlock(f"The key block's key may not decipher: its mode is {mode}.")
    if header["exportable"] not in EXPORTABLE:
        raise BadKeyBlock("The key block does not say whether its key may be handed on.")
    return cast("Algorithm", header["algorithm"])


def _after_optional(block: str, count: int) -> int:
    """Find where the protected part begins, behind so many optional blocks."""
    at = FIXED_SIZE
    for _ in range(count):
        found = _OPTIONAL.match(block, at)
        end = at + int(found["long"] or found["short"], 16) if found else 0
        if found is None or end < found.end():
            raise BadKeyBlock("An optional block of the key block is not whole.")
        at = end
    return at


def _measured(clear: bytes, algorithm: Algorithm) -> bytes:
    """Take out the key that stands behind its length in bits."""
    size, rest = divmod(int.from_bytes(clear[:_LENGTH_SIZE]), 8)
    key = clear[_LENGTH_SIZE : _LENGTH_SIZE + size]
    if rest or size not in KEY_SIZES[algorithm] or len(key) < size:
        raise BadKeyBlock(f"The key block's key has a length that none of {_name(algorithm)} has.")
    return key


def _name(algorithm: Algorithm) -> str:
    return "3DES" if algorithm == "T" else "AES"
