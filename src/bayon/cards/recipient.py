"""Recipients: who alone can open what is enciphered to their public key, in age's format. Pure."""

import pyrage
from msgspec import Struct

from bayon.errors import Invalid


class BadRecipient(Invalid):
    """A recipient is a public key of age: age1, and 58 letters and digits."""

    code = "bad_recipient"


class Recipient(Struct, frozen=True, kw_only=True):
    """Somebody's public key, as `age-keygen` prints it: theirs alone is the other half."""

    key: str

    @classmethod
    def read(cls, text: str) -> "Recipient":
        """Read a public key. Errors: `BadRecipient`, which does not say what it was."""
        try:
            return cls(key=str(pyrage.x25519.Recipient.from_str(text)))
        except pyrage.RecipientError:
            raise BadRecipient from None  # it may be somebody's secret key

    def encipher(self, clear: bytes) -> bytes:
        """Encipher for this recipient: a file of age, another one each time.

        Source: age-encryption.org/v1.
        """
        return pyrage.encrypt(clear, [pyrage.x25519.Recipient.from_str(self.key)])
