"""Proof: what shows that a card was there, read of its request; and what shows the issuer to it.

Pure. The vault reads and judges; what is wrong of it the batch declines.
"""

from typing import Final

from msgspec.structs import replace

from bayon import iso4217
from bayon.cards import ChipData, ChipProof, Proof
from bayon.errors import Unavailable
from bayon.log import Secret
from bayon.network import cvv2
from bayon.network.asked import AMOUNT_SIZE, Asked
from bayon.network.iso8583 import BadMessage, Message
from bayon.network.wire import Unreadable

CHIP_ENTRY: Final = frozenset({"05", "07"})
"""Field 22, its first two digits: the chip was read, so the CVV is the chip's."""

FIRST_CARD: Final = "000"
"""Field 23, where it is not said which of several cards of a number it is."""


def proof_of(asked: Asked, chip: ChipProof | None = None, printed: Secret | None = None) -> Proof:
    """Read what shows the card was there; a PIN that cannot be read counts as a wrong one.

    Errors: `Unavailable` for such a PIN where the network sends keys: the next one may have come to
    another process, and nobody's tries are used up by that.
    """
    fields, track = asked.message.fields, asked.track
    if track is None:
        return Proof(pin=_pin(asked), cvv2=printed, expiry=_expiry(fields.get(14)), chip=chip)
    by_chip = fields.get(22, "")[:2] in CHIP_ENTRY
    return Proof(
        pin=_pin(asked),
        cvv2=printed,
        expiry=(track.exp_year, track.exp_month),
        cvv_right=None if track.cvv is None else asked.terms.vault.is_cvv(track, chip=by_chip),
        chip=chip,
    )


def chip_of(asked: Asked) -> ChipProof | None:
    """Judge what a chip has signed.

    Errors: `BadMessage` when it is not what a chip signs.
    """
    data = asked.message.secrets.get(55)
    if data is None or asked.pan is None:
        return None
    vault, psn = asked.terms.vault, asked.message.fields.get(23, FIRST_CARD)[-2:]
    said = vault.read_chip_data(data)
    if said is None:
        raise BadMessage(55, "is no chip's data", partial=asked.message)
    genuine = vault.is_cryptogram(said, asked.pan, psn=psn)
    return ChipProof(data=said, psn=psn, genuine=genuine, agrees=_is_signed(asked, said))


def printed_of(asked: Asked) -> Secret | None:
    """Read the code printed on a card, where the profile says it is.

    Errors: `BadMessage` when what is there is not three digits.
    """
    place = asked.terms.profile.cvv2
    data = None if place is None else asked.message.secrets.get(place.field)
    if place is None or data is None:
        return None
    try:
        return cvv2.read(data, place)
    except Unreadable as error:
        raise BadMessage(place.field, error.reason, partial=asked.message) from None


def _is_signed(asked: Asked, said: ChipData) -> bool:
    """Tell whether a chip has signed the amount that is asked for, with its surcharge or without.

    Where the profile says that it may have signed another, it is not looked at.
    """
    if asked.terms.profile.chip_amount_differs:
        return True
    currency = iso4217.by_number(said.currency)
    surcharge = asked.message.fields.get(28, "")[1:]
    surcharge_minor = int(surcharge) if surcharge.isdecimal() else 0
    amounts = {asked.amount_minor + minor for minor in (-surcharge_minor, 0, surcharge_minor)}
    same = said.amount in {f"{minor:0{AMOUNT_SIZE}d}" for minor in amounts}
    return same and currency is not None and currency.code == asked.currency


def _pin(asked: Asked) -> Secret | None:
    block, pan = asked.message.secrets.get(52), asked.pan
    if block is None or pan is None:
        return None
    keys = (asked.terms.zone_pin_key, asked.terms.former_pin_key)
    pins = (asked.terms.vault.read_pin_block(block, pan, key) for key in keys if key is not None)
    pin = next((pin for pin in pins if pin is not None), None)
    if pin is None and asked.terms.profile.key_exchange is not None:
        raise Unavailable
    return pin or Secret("")


def _expiry(text: str | None) -> tuple[int, int] | None:
    return None if text is None else (2000 + int(text[:2]), int(text[2:]))


def to_chip(answer: Message, asked: Asked, chip: ChipProof, *, approved: bool) -> Message:
    """Let the issuer show itself to a genuine chip, whatever it answers."""
    if asked.pan is None or not chip.genuine:
        return answer
    shown = asked.terms.vault.answer_chip(
        chip, asked.pan, response_code=answer.fields[39], approved=approved
    )
    return replace(answer, secrets={55: shown})
