"""Ciphers at work: 3DES and AES, one block after another, each on its own; and a keyed digest.

Pure, and on the hot path of every authorisation, so a key is set up once: an encryptor made anew
for each block costs 6 µs, a kept one 0.7. That is sound in ECB only, where blocks do not chain,
and as long as whole blocks go in: a part of one would wait inside for the next.
"""

from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

DES_BLOCK_SIZE: Final = 8
AES_BLOCK_SIZE: Final = 16
CHECK_VALUE_SIZE: Final = 3


class BlockCipher:
    """A key and its cipher. Enciphers and deciphers whole blocks; never tells the key."""

    def __init__(self, algorithm: TripleDES | AES) -> None:
        # Chaining, where the schemes want some, is done anew for each text.
        self._algorithm = algorithm
        cipher = Cipher(algorithm, modes.ECB())  # noqa: S305 - single blocks, as the schemes say
        self.block_size: int = algorithm.block_size // 8
        self._encryptor = cipher.encryptor()
        self._decryptor = cipher.decryptor()

    @classmethod
    def des(cls, key: bytes) -> "BlockCipher":
        """Set up DES keys as 3DES: one (8 bytes), two (16; K1, K2, K1) or three (24).

        Expanded here, since `cryptography` is to refuse keys of fewer parts than three.
        """
        assert len(key) in (8, 16, 24)
        return cls(TripleDES((key * 3)[:24]))

    @classmethod
    def aes(cls, key: bytes) -> "BlockCipher":
        """Set up an AES key of 16, 24 or 32 bytes."""
        return cls(AES(key))

    def encipher(self, blocks: bytes) -> bytes:
        """Encipher whole blocks."""
        assert len(blocks) % self.block_size == 0
        return self._encryptor.update(blocks)

    def decipher(self, blocks: bytes) -> bytes:
        """Decipher whole blocks."""
        assert len(blocks) % self.block_size == 0
        return self._decryptor.update(blocks)

    def encipher_chained(self, blocks: bytes, start: bytes) -> bytes:
        """Encipher whole blocks one upon the other, the first upon `start`: CBC."""
        return Cipher(self._algorithm, modes.CBC(start)).encryptor().update(blocks)

    def decipher_chained(self, blocks: bytes, start: bytes) -> bytes:
        """Decipher what was so enciphered."""
        return Cipher(self._algorithm, modes.CBC(start)).decryptor().update(blocks)

    def mac(self, data: bytes) -> bytes:
        """Sign any data by CMAC: one block. Source: NIST SP 800-38B."""
        mac = CMAC(self._algorithm)
        mac.update(data)
        return mac.finalize()

    def check_value(self) -> str:
        """Calculate a DES key's check value, by which two sides compare keys: six hex digits.

        Source: ANSI X9.24-1, annex on check values; eight zero bytes, enciphered.
        """
        return self.encipher(bytes(self.block_size))[:CHECK_VALUE_SIZE].hex().upper()


class KeyedDigest:
    """A key's HMAC-SHA-256, kept begun: to begin anew takes longer than to digest. Never tells it.

    Source: RFC 2104.
    """

    def __init__(self, key: bytes) -> None:
        self._begun: HMAC = HMAC(key, SHA256())

    def of(self, data: bytes) -> bytes:
        """Digest data: 32 bytes."""
        digest = self._begun.copy()
        digest.update(data)
        return digest.finalize()


def encipher_once(key: bytes, blocks: bytes) -> bytes:
    """Encipher whole blocks under a key of two DES parts that is used for nothing else."""
    cipher = Cipher(TripleDES(key + key[:DES_BLOCK_SIZE]), modes.ECB())  # noqa: S305 - as above
    return cipher.encryptor().update(blocks)


def des_mac(key: bytes, data: bytes) -> bytes:
    """Sign whole blocks under two DES keys: 8 bytes.

    The first key chains all blocks; the last one goes through both, as 3DES does it.
    Source: ISO 9797-1, algorithm 3.
    """
    head, last = data[:-DES_BLOCK_SIZE], data[-DES_BLOCK_SIZE:]
    chained = bytes(DES_BLOCK_SIZE)
    if head:
        cipher = Cipher(TripleDES(key[:DES_BLOCK_SIZE] * 3), modes.CBC(chained))
        chained = cipher.encryptor().update(head)[-DES_BLOCK_SIZE:]
    mixed = int.from_bytes(chained) ^ int.from_bytes(last)
    return encipher_once(key, mixed.to_bytes(DES_BLOCK_SIZE))


def aes_check_value(key: bytes) -> str:
    """Calculate an AES key's check value: six hex digits.

    By CMAC, since a block of zeros, enciphered, is what GCM authenticates with.
    Source: ANSI X9.24-1:2017, annex A.
    """
    mac = CMAC(AES(key))
    mac.update(bytes(AES_BLOCK_SIZE))
    return mac.finalize()[:CHECK_VALUE_SIZE].hex().upper()
