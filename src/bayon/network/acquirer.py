"""The other end of the link: the messages an acquirer sends, and what it makes of the answers.

What a shop's bank writes to the issuer, from the first request to the last reversal; the host of
this package reads it. Pure: whoever sends gives the instant and the trace number.

Source: ISO 8583:1987, as the public dialects print it (see docs/network.md).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from msgspec import structs

from bayon.cards import ChipCard
from bayon.clock import PHNOM_PENH
from bayon.errors import Invalid
from bayon.iso4217 import by_number
from bayon.log import Secret
from bayon.network import cvv2
from bayon.network.iso8583 import Message
from bayon.network.profile import Profile

Kind = Literal["purchase", "withdraw", "refund", "inquire", "verify"]

APPROVED: Final = ("approved", "partly_approved", "verified")
"""The reasons of a profile whose codes are a yes."""


STAN_MAX: Final = 999_999

_PROCESSING: Final[Mapping[Kind, str]] = {
    "purchase": "000000",
    "withdraw": "010000",
    "refund": "200000",
    "verify": "000000",
}
_PARTIAL_SUPPORTED: Final = "181"
_INCREMENTAL: Final = "187"
_MANAGEMENT: Final[Mapping[str, str]] = {"sign-on": "001", "sign-off": "002", "echo": "301"}
_ACQUIRER_SIZE: Final = 11
_NOBODY: Final = "0" * _ACQUIRER_SIZE
_REPLACEMENT_SIZE: Final = 42
_AMOUNT_SIZE: Final = 12
_BALANCE_SIZE: Final = 20
_NAME_SIZE, _CITY_SIZE = 25, 13

_ORIGINAL: Final = re.compile(
    r"(?P<mti>0[12][0-9]{2})-(?P<stan>[0-9]{6})-(?P<transmitted>[0-9]{10})-(?P<acquirer>[0-9]{1,11})"
    r"-(?P<rrn>[0-9A-Za-z ]{12})-(?P<approval_code>[0-9A-Za-z ]{6})?-(?P<processing>[0-9]{6})"
    r"-(?P<amount_minor>[0-9]{1,12})-(?P<currency>[0-9]{3})-(?P<terminal>[ -~]{1,8})"
)


class BadOriginal(Invalid):
    """The original is not as `bayon acquirer` prints one."""

    code = "bad_original"


@dataclass(frozen=True, kw_only=True)
class Plastic:
    """The card as the terminal has read it: its number or its second track."""

    pan: Secret | None = None
    track2: Secret | None = None
    expiry: str | None = None
    """YYMM."""

    pin_block: Secret | None = None
    """Upper-case hex."""

    cvv2: Secret | None = None
    """The code printed on it, three digits; for links whose profile says where it goes."""

    chip: ChipCard | None = None
    """Signs what is asked for, if it is there."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the card is used, and whose terminal it is."""

    acquirer: str = "116001"
    terminal: str = "TERM0001"
    merchant_number: str = "ROCKETRIDES"
    name: str = "Rocket Rides"
    city: str = "Phnom Penh"
    country: str = "KH"
    mcc: str = "4121"


class Stamp(NamedTuple):
    """When a message is sent, and its trace number."""

    at: datetime
    stan: int


class Amount(NamedTuple):
    """Minor units, and the three digits of the currency."""

    minor: int
    currency: str


class Balance(NamedTuple):
    """One amount of field 54: `ledger`, `available` or the two digits of another."""

    kind: str
    currency: str
    minor: int


@dataclass(frozen=True, kw_only=True)
class Original:
    """What later messages say of the one they are about. Nothing of it is a secret."""

    mti: str
    stan: str
    transmitted: str
    acquirer: str
    rrn: str
    approval_code: str = ""
    processing: str
    amount: Amount
    terminal: str

    @property
    def token(self) -> str:
        """Write it as one word, to be pasted."""
        head = (self.mti, self.stan, self.transmitted, self.acquirer, self.rrn)
        tail = (self.approval_code, self.processing, *map(str, self.amount), self.terminal.strip())
        return "-".join((*head, *tail))

    @property
    def elements(self) -> str:
        """Write it as field 90."""
        return (
            self.mti + self.stan + self.transmitted + self.acquirer.zfill(_ACQUIRER_SIZE) + _NOBODY
        )


def read_original(token: str) -> Original:
    """Read what `Original.token` wrote. Errors: `BadOriginal`."""
    found = _ORIGINAL.fullmatch(token)
    if found is None:
        raise BadOriginal
    amount = Amount(int(found["amount_minor"]), found["currency"])
    return Original(
        mti=found["mti"],
        stan=found["stan"],
        transmitted=found["transmitted"],
        acquirer=found["acquirer"],
        rrn=found["rrn"],
        approval_code=found["approval_code"] or "",
        processing=found["processing"],
        amount=amount,
        terminal=found["terminal"],
    )


def original_of(sent: Message, answer: Message | None) -> Original:
    """Make of a request, and of its answer if there is one, what later messages say of it."""
    fields = sent.fields
    answered: Mapping[int, str] = answer.fields if answer else {}
    return Original(
        mti=f"{sent.mti[:3]}0",
        stan=fields[11],
        transmitted=fields[7],
        acquirer=fields[32],
        rrn=fields[37],
        approval_code=(answered.get(38) or fields.get(38, "")).strip(),
        processing=fields[3],
        amount=Amount(int(answered.get(4) or fields[4]), fields[49]),
        terminal=fields[41],
    )


def request(
    kind: Kind,
    plastic: Plastic,
    amount: Amount,
    place: Place,
    stamp: Stamp,
    *,
    profile: Profile,
    single: bool = False,
    partial: bool = False,
) -> Message:
    """Ask the issuer: a 0100, or a 0200 if it is to be posted at once, as cash always is.

    `partial`: say that an approval in part would do.
    """
    processing = f"{profile.inquiry[0]}0000" if kind == "inquire" else _PROCESSING[kind]
    fields = {**_presence(plastic, place), **_stamped(stamp), 3: processing}
    fields |= {**_amount(amount), 37: reference(stamp)}
    if partial:
        fields[24] = _PARTIAL_SUPPORTED
    mti = "0200" if single or kind == "withdraw" else "0100"
    said = _secrets(plastic)
    if plastic.chip is not None:
        fields[23] = plastic.chip.psn.zfill(3)
        said[55] = _signed(plastic.chip, processing, amount, stamp)
    if plastic.cvv2 is not None:
        assert profile.cvv2 is not None, "the profile says where it goes"
        wire = profile.wires[profile.cvv2.field]
        size = 0 if wire.digits else wire.size
        said[wire.number] = cvv2.write(plastic.cvv2, profile.cvv2, size=size)
    return Message(mti=mti, fields=fields, secrets=said)


def increment(
    original: Original, plastic: Plastic, added: Amount, place: Place, stamp: Stamp
) -> Message:
    """Ask for more on top of an authorisation."""
    fields = {**_later(original, plastic, place, stamp), **_amount(added), 24: _INCREMENTAL}
    return Message(mti="0100", fields=fields, secrets=_secrets(plastic))


def reversal(
    original: Original,
    plastic: Plastic,
    place: Place,
    stamp: Stamp,
    *,
    remaining_minor: int = 0,
    advice: bool = False,
) -> Message:
    """Take an original back: a 0400, or a 0420 if it is an advice; in part if something remains."""
    fields = _later(original, plastic, place, stamp) | {90: original.elements}
    if remaining_minor:
        fields[95] = f"{remaining_minor:0{_AMOUNT_SIZE}d}".ljust(_REPLACEMENT_SIZE, "0")
    secrets = _secrets(replace(plastic, pin_block=None))
    return Message(mti="0420" if advice else "0400", fields=fields, secrets=secrets)


def told_later(
    original: Original, plastic: Plastic, amount: Amount, place: Place, stamp: Stamp, *, final: bool
) -> Message:
    """Tell what has happened and cannot be declined: a 0220 posts it, a 0120 holds it."""
    fields = {**_later(original, plastic, place, stamp), **_amount(amount), 39: "00"}
    secrets = _secrets(replace(plastic, pin_block=None))
    return Message(mti="0220" if final else "0120", fields=fields, secrets=secrets)


def approved_offline(place: Place, amount: Amount, stamp: Stamp, *, approval_code: str) -> Original:
    """Make the original of what nobody asked the issuer for."""
    return Original(
        mti="0100",
        stan=f"{stamp.stan:06d}",
        transmitted=_transmitted(stamp),
        acquirer=place.acquirer,
        rrn=reference(stamp),
        approval_code=approval_code,
        processing=_PROCESSING["purchase"],
        amount=amount,
        terminal=place.terminal,
    )


def management(what: str, stamp: Stamp) -> Message:
    """Speak of the link itself: `sign-on`, `sign-off` or `echo`."""
    fields = {7: _transmitted(stamp), 11: f"{stamp.stan:06d}", 70: _MANAGEMENT[what]}
    return Message(mti="0800", fields=fields)


def repeated(message: Message) -> Message:
    """Say the same again: an odd last digit, all else as it was."""
    return structs.replace(message, mti=f"{message.mti[:3]}1")


def is_approved(answer: Message, profile: Profile) -> bool:
    """Tell whether field 39 is a yes, in whole or in part."""
    return answer.fields.get(39) in {profile.response_codes[reason] for reason in APPROVED}


def balances(answer: Message) -> list[Balance]:
    """Read the balances of an answer."""
    text = answer.fields.get(54, "")
    return [_balance(text[at : at + _BALANCE_SIZE]) for at in range(0, len(text), _BALANCE_SIZE)]


def reference(stamp: Stamp) -> str:
    """Make a retrieval reference number: the year's last digit, day, hour, trace number."""
    return f"{stamp.at.astimezone(UTC):%Y%j%H}"[3:] + f"{stamp.stan:06d}"


def _balance(text: str) -> Balance:
    kind = {"01": "ledger", "02": "available"}.get(text[2:4], text[2:4])
    currency = by_number(text[4:7])
    minor = int(text[8:])
    return Balance(
        kind, currency.code if currency else text[4:7], -minor if text[7] == "D" else minor
    )


def _transmitted(stamp: Stamp) -> str:
    return f"{stamp.at.astimezone(UTC):%m%d%H%M%S}"


def _stamped(stamp: Stamp) -> dict[int, str]:
    local = stamp.at.astimezone(PHNOM_PENH)
    return {
        7: _transmitted(stamp),
        11: f"{stamp.stan:06d}",
        12: f"{local:%H%M%S}",
        13: f"{local:%m%d}",
    }


def _amount(amount: Amount) -> dict[int, str]:
    return {4: f"{amount.minor:0{_AMOUNT_SIZE}d}", 49: amount.currency}


def _later(original: Original, plastic: Plastic, place: Place, stamp: Stamp) -> dict[int, str]:
    """Write what a later message has of its original, and of itself."""
    fields = {**_presence(plastic, place), **_stamped(stamp), **_amount(original.amount)}
    fields |= {3: original.processing, 32: original.acquirer, 37: original.rrn}
    fields[41] = original.terminal.ljust(8)
    return fields | ({38: original.approval_code.ljust(6)} if original.approval_code else {})


def _presence(plastic: Plastic, place: Place) -> dict[int, str]:
    """Write how the card was read, and where."""
    read = "05" if plastic.chip else "02" if plastic.track2 else "01"
    fields = {
        18: place.mcc,
        22: f"{read}{'1' if plastic.pin_block else '2'}",
        25: "00",
        32: place.acquirer,
        41: place.terminal.ljust(8),
        42: place.merchant_number.ljust(15),
        43: _name_and_place(place),
    }
    return fields | ({14: plastic.expiry} if plastic.expiry else {})


def _name_and_place(place: Place) -> str:
    return (
        place.name[:_NAME_SIZE].ljust(_NAME_SIZE)
        + place.city[:_CITY_SIZE].ljust(_CITY_SIZE)
        + place.country
    )


def _signed(chip: ChipCard, processing: str, amount: Amount, stamp: Stamp) -> Secret:
    return chip.sign(
        amount_minor=amount.minor,
        currency=amount.currency,
        processing=processing[:2],
        on=stamp.at.astimezone(PHNOM_PENH).date(),
        chance=stamp.stan,
    )


def _secrets(plastic: Plastic) -> dict[int, Secret]:
    found = {2: plastic.pan, 35: plastic.track2, 52: plastic.pin_block}
    return {number: value for number, value in found.items() if value is not None}
