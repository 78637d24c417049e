"""Asked: a request of a card network with what all its readings need. Pure."""

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from bayon.cards import Track2, Vault, ZonePinKey
from bayon.errors import Invalid
from bayon.log import Secret
from bayon.network.iso8583 import BadMessage, Message
from bayon.network.profile import Profile

REVERSAL: Final = "4"
MANAGEMENT: Final = "8"
"""Classes of messages, the second digit of an MTI."""

ADVICE: Final = "2"
"""The third digit of what has happened already."""

AMOUNT_SIZE: Final = 12


class KeyRefused(Invalid):
    """A zone PIN key that was sent is not taken."""

    code = "key_refused"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a link reads messages with."""

    link: str
    profile: Profile
    vault: Vault
    zone_pin_key: ZonePinKey | None = None
    former_pin_key: ZonePinKey | None = None
    """The zone PIN key before this one, while what it enciphered may still be on its way."""


class Asked(Struct, frozen=True, kw_only=True):
    """A request with what all its readings need."""

    message: Message
    terms: Terms
    pan: Secret | None
    track: Track2 | None
    pan_digest: bytes | None
    currency: str
    identity: bytes | None

    def text(self, number: int) -> str | None:
        """Tell a field without the spaces that fill it up; none if it is empty."""
        return self.message.fields.get(number, "").strip() or None

    @property
    def amount_minor(self) -> int:
        """Tell field 4."""
        return int(self.message.fields.get(4, "0"))

    @property
    def processing(self) -> str:
        """Tell what is asked for, the first two digits of field 3."""
        return self.message.fields.get(3, "00")[:2]


def is_told(mti: str) -> bool:
    """Tell what has happened already, and cannot be declined: an advice, a reversal."""
    return mti[1] == REVERSAL or mti[2] == ADVICE


def sent_key(message: Message, profile: Profile) -> str | None:
    """Find the key block in an 0800 that sends one, empty if it has none; else nothing."""
    how = profile.key_exchange
    if how is None or message.mti[1] != MANAGEMENT or message.fields.get(70) != how.code:
        return None
    return message.fields.get(how.field, "").rstrip()


def read_card(message: Message, vault: Vault) -> tuple[Secret | None, Track2 | None]:
    """Read field 2 and track 2, which must be of the same card. Errors: `BadMessage`."""
    given, stripe = message.secrets.get(2), message.secrets.get(35)
    track = None if stripe is None else vault.read_track_2(stripe)
    if track is None:
        if stripe is not None:
            raise BadMessage(35, "is no track", partial=message)
        return given, None
    if given is not None and given != track.pan:
        raise BadMessage(35, "is of another card than field 2", partial=message)
    return track.pan, track
