"""The form of a PIN: what stood in it, and what is wrong with that, as the page says it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bayon.cards import BadPin, TokenVoid, Vault
from bayon.log import Secret

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")

Problems = Mapping[str, str]
"""What is wrong with which field, by the names of the texts; the form's own field is `form`."""


@dataclass(frozen=True, kw_only=True)
class PinForm:
    """What a holder sent."""

    token: str
    pin: Secret
    confirmation: Secret
    return_url: str | None


def read_token(text: str | None) -> str:
    """Read a link's token. Errors: `TokenVoid` for what can be none."""
    if text is None or not TOKEN.fullmatch(text):
        raise TokenVoid
    return text


def read(fields: Mapping[str, str]) -> PinForm:
    """Read the fields. Errors: `TokenVoid` for what can be no link's token."""
    return PinForm(
        token=read_token(fields.get("token")),
        pin=Secret(fields.get("pin", "")),
        confirmation=Secret(fields.get("pin_confirmation", "")),
        return_url=fields.get("return_url"),
    )


def judge(form: PinForm, vault: Vault) -> Problems:
    """Say what is wrong with the PIN, or with its repetition when nothing is."""
    try:
        weak = vault.weak_pin(vault.read_pin(form.pin))
    except BadPin:
        return {"pin": "pin_not_four"}
    if weak:
        return {"pin": f"pin_{weak}"}
    return {} if form.confirmation == form.pin else {"pin_confirmation": "pin_differs"}
