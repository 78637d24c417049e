"""pyiso8583 as an oracle: its tables out of our profiles, and what it makes of bytes and fields."""

from functools import cache
from typing import Any

import iso8583

from bayon.network.iso8583 import Message
from bayon.network.profile import Profile, Wire

ENCODINGS = {"ascii": "latin-1"}


@cache
def table_of(profile: Profile) -> dict[str, dict[str, Any]]:
    charset = ENCODINGS.get(profile.charset, profile.charset)
    whole = {"len_enc": "ascii", "len_type": 0, "desc": ""}
    bitmap = "b" if profile.bitmap == "raw" else charset
    return {
        "h": {**whole, "data_enc": "ascii", "max_len": 0},
        "t": {**whole, "data_enc": "b" if profile.mti == "bcd" else charset, "max_len": 4},
        "p": {**whole, "data_enc": bitmap, "max_len": 8},
        "1": {**whole, "data_enc": bitmap, "max_len": 8},
        **{str(number): _field(wire, charset) for number, wire in profile.wires.items()},
    }


def _field(wire: Wire, charset: str) -> dict[str, Any]:
    packed = wire.encoding == "bcd"
    field: dict[str, Any] = {
        "data_enc": "b" if packed or wire.encoding == "raw" else charset,
        "len_enc": {"text": charset, "bcd": "bcd", "binary": "b"}[wire.lengths],
        "len_type": wire.digits if wire.lengths == "text" else (wire.digits + 1) // 2,
        "len_count": "nibbles" if packed else "bytes",
        "max_len": wire.size * 2 if wire.encoding == "hex" else wire.size,
        "desc": "",
    }
    return {**field, "left_pad" if wire.pad == "left" else "right_pad": "0F"[wire.pad != "left"]}


def decoded(body: bytes, profile: Profile) -> dict[str, str]:
    """Decode by pyiso8583 what we could decode: MTI and fields, as our messages write them."""
    document, _ = iso8583.decode(body, table_of(profile))
    return {
        key: _ours(value, profile.wires.get(int(key) if key.isdigit() else 0))
        for key, value in document.items()
        if key not in {"h", "p", "1"}
    }


def _ours(value: str, wire: Wire | None) -> str:
    if wire and wire.encoding == "bcd":
        return value.replace("D", "=")
    return value.upper() if wire and wire.encoding == "hex" else value


def encoded(message: Message, profile: Profile) -> bytes:
    document = {
        key: value.replace("=", "D") if _packed(key, profile) else value
        for key, value in plain(message).items()
    }
    return bytes(iso8583.encode(document, table_of(profile))[0])


def _packed(key: str, profile: Profile) -> bool:
    return key.isdigit() and profile.wires[int(key)].encoding == "bcd"


def plain(message: Message) -> dict[str, str]:
    """Write out a message, its secrets too."""
    secrets = {str(number): secret.reveal() for number, secret in message.secrets.items()}
    return {"t": message.mti, **{str(n): v for n, v in message.fields.items()}, **secrets}
