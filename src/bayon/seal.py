"""Sealing: what must be read back later but not by whoever finds the disk.

AES-256-GCM under versioned keys. The newest key seals, every key opens; what is sealed is bound to
its place (`context`), so a sealed value moved to another row does not open.
"""

import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bayon.errors import BayonError, Invalid

NONCE_SIZE: Final = 12
KEY_SIZE: Final = 32
TAG_SIZE: Final = 16
VERSION_MAX: Final = 255


class BadSeal(BayonError):
    """What was sealed does not open."""

    code = "bad_seal"


class Sealer:
    """Seals and opens. A sealed value is: version (1 byte), nonce (12), ciphertext and tag."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        if not keys or any(len(k) != KEY_SIZE for k in keys.values()):
            raise Invalid("Sealing keys are 32 bytes each, and there is at least one.")
        if any(not 0 < version <= VERSION_MAX for version in keys):
            raise Invalid("Sealing keys have versions from 1 to 255.")
        self._ciphers: dict[int, AESGCM] = {v: AESGCM(k) for v, k in keys.items()}
        self.versions: frozenset[int] = frozenset(keys)
        self.newest: int = max(keys)

    @classmethod
    def from_text(cls, text: str) -> "Sealer":
        """Read the keys as the setting writes them: `1:hex,2:hex`."""
        try:
            pairs = [entry.split(":", 1) for entry in text.split(",")]
            keys = {int(version): bytes.fromhex(key) for version, key in pairs}
        except ValueError:
            # Not from the error, whose text may tell a key.
            raise Invalid("Sealing keys are written 1:hex,2:hex.") from None
        if len(keys) < len(pairs):
            raise Invalid("Sealing keys have one version each.")
        return cls(keys)

    def seal(self, clear: bytes, *, context: bytes) -> bytes:
        """Seal bytes for one place."""
        nonce = secrets.token_bytes(NONCE_SIZE)
        sealed = self._ciphers[self.newest].encrypt(nonce, clear, context)
        return bytes([self.newest]) + nonce + sealed

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Open what was sealed for that place. Errors: `BadSeal`."""
        if len(sealed) < 1 + NONCE_SIZE + TAG_SIZE or sealed[0] not in self._ciphers:
            raise BadSeal
        try:
            nonce, rest = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
            return self._ciphers[sealed[0]].decrypt(nonce, rest, context)
        except InvalidTag as error:
            raise BadSeal from error
