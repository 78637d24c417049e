"""A message for people's eyes: names beside numbers, and nothing of a card that may not be seen.

Redaction is no option: of a card number the first six and last four digits are shown, of tracks,
PIN block and chip data their size, and so it is with what two parties agreed upon, where nobody
but them knows what stands in it (a CVV, with some). Pure; called by `bayon iso describe`
and `bayon acquirer`.
"""

import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bayon.iso4217 import by_number
from bayon.log import Secret
from bayon.network.fields import FIELDS, PRIVATE
from bayon.network.frame import BadFrame, Frame, Framer
from bayon.network.iso8583 import BadMessage, Message, decode
from bayon.network.profile import Profile

PAN: Final = 2
PAN_LENGTH_MIN: Final = 15
"""Of a shorter card number ten digits would be too many to show."""

LAST_SHOWN: Final = 4
ACCOUNTS: Final = frozenset({102, 103})
"""Account numbers, which with some are card numbers: the last four digits are shown."""

_CLASSES: Final[Mapping[str, str]] = {
    "1": "authorisation",
    "2": "financial",
    "3": "file action",
    "4": "reversal",
    "5": "reconciliation",
    "6": "administrative",
    "7": "fee collection",
    "8": "network management",
}
_FUNCTIONS: Final[Mapping[str, str]] = {
    "0": "request",
    "1": "response",
    "2": "advice",
    "3": "advice response",
    "4": "notification",
    "5": "notification acknowledgement",
}
_ORIGINS: Final[Mapping[str, str]] = {
    "0": "acquirer",
    "1": "acquirer, repeated",
    "2": "issuer",
    "3": "issuer, repeated",
    "4": "other",
    "5": "other, repeated",
}
_PROCESSING: Final[Mapping[str, str]] = {
    "00": "purchase",
    "01": "cash withdrawal",
    "09": "purchase with cash back",
    "17": "cash disbursement",
    "20": "refund",
    "21": "deposit",
    "28": "payment to the cardholder",
    "30": "available funds inquiry",
    "31": "balance inquiry",
    "38": "mini statement",
    "40": "transfer between accounts",
    "60": "pre-authorisation",
    "61": "completion",
    "91": "PIN unblock",
    "92": "PIN change",
}
_ACCOUNTS: Final[Mapping[str, str]] = {
    "00": "default",
    "10": "savings",
    "20": "cheque",
    "30": "credit",
}
_RESPONSES: Final[Mapping[str, str]] = {
    "00": "approved",
    "05": "declined",
    "10": "approved in part",
    "12": "invalid transaction",
    "13": "invalid amount",
    "14": "no such card",
    "25": "original not found",
    "30": "format error",
    "41": "lost card",
    "43": "stolen card",
    "46": "closed account",
    "51": "insufficient funds",
    "54": "expired card",
    "55": "wrong PIN",
    "57": "not permitted to the card",
    "58": "not permitted to the terminal",
    "59": "suspected fraud",
    "61": "exceeds the amount limit",
    "62": "restricted card",
    "63": "security violation",
    "65": "exceeds the count limit",
    "75": "too many wrong PINs",
    "85": "verified, nothing to decline",
    "91": "issuer unavailable",
    "94": "duplicate",
    "96": "system malfunction",
    "N7": "wrong CVV2",
}
_MANAGEMENT: Final[Mapping[str, str]] = {
    "001": "sign-on",
    "002": "sign-off",
    "101": "key change",
    "161": "key change",
    "301": "echo",
}

_NAME_WIDTH: Final = 36


def describe_dump(data: bytes, profile: Profile, *, framed: bool) -> tuple[str, bool]:
    """Describe every message of a dump, and say whether it is all valid.

    Errors: `BadFrame` when there is no message in it.
    """
    if not framed:
        return _told(Frame(data), profile)
    framer = Framer(profile.framing)
    told = [_told(frame, profile) for frame in framer.feed(data)]
    if not told:
        why = framer.error.message if framer.error else "The dump holds no whole frame."
        raise BadFrame(f"{why} If it is one bare message, say --no-frame.")
    if framer.waiting:
        told.append((f"NOT VALID: {framer.waiting} bytes behind the last whole frame.", False))
    return "\n\n".join(text for text, _ in told), all(valid for _, valid in told)


def read_dump(content: bytes) -> bytes:
    """Read a dump that may be written in hex digits, with blanks between them."""
    digits = content.translate(None, b" \t\r\n")
    try:
        return binascii.unhexlify(digits)
    except binascii.Error:
        return content


def describe(message: Message) -> str:
    """Describe a message, a line a field. No line shows what a card must keep to itself."""
    lines = [f"{message.mti}  {mti_name(message.mti)}"]
    for number in sorted({*message.fields, *message.secrets}):
        head = f"{number:5}  {FIELDS[number].name:{_NAME_WIDTH}}  "
        for line in _lines(message, number):
            lines.append(head + line)
            head = " " * len(head)
    return "\n".join(lines)


def describe_bad(error: BadMessage) -> str:
    """Describe what could be read of a message that is not valid, and what is wrong with it."""
    read = [] if error.partial is None else [describe(error.partial)]
    return "\n".join([*read, f"NOT VALID: {error.message}"])


def redacted(message: Message) -> dict[str, str]:
    """Tell a message's fields by number, as far as anybody may see them."""
    shown = {n: v for n, v in message.fields.items() if n not in PRIVATE | ACCOUNTS}
    hidden = {n: masked_pan(v) if n == PAN else "(not shown)" for n, v in message.secrets.items()}
    return {str(number): value for number, value in sorted({**shown, **hidden}.items())}


def response_name(code: str) -> str:
    """Name a response code."""
    return _RESPONSES.get(code, "unknown")


def mti_name(mti: str) -> str:
    """Name the parts of an MTI: class, function, origin."""
    parts = zip((_CLASSES, _FUNCTIONS, _ORIGINS), mti[1:], strict=True)
    kind, function, origin = (names.get(digit, f"reserved ({digit})") for names, digit in parts)
    return f"{kind} {function}, from {origin}"


def masked_pan(pan: Secret) -> str:
    """Show of a card number the first six digits and the last four, or of a short one these.

    Source: PCI DSS 4.0.1, 3.4.1.
    """
    digits = pan.reveal()
    if len(digits) < PAN_LENGTH_MIN:
        return _last_shown(digits)
    return f"{digits[:6]}{_last_shown(digits[6:])}"


def _last_shown(value: str) -> str:
    shown = value[-LAST_SHOWN:] if len(value) > 2 * LAST_SHOWN else ""
    return "*" * (len(value) - len(shown)) + shown


def _told(frame: Frame, profile: Profile) -> tuple[str, bool]:
    head = f"TPDU {frame.tpdu.hex()}\n" if frame.tpdu else ""
    try:
        return head + describe(decode(frame.body, profile)), True
    except BadMessage as error:
        return head + describe_bad(error), False


def _lines(message: Message, number: int) -> Iterator[str]:
    if number in message.secrets:
        yield masked_pan(message.secrets[number]) if number == PAN else "(not shown)"
        return
    value = message.fields[number]
    if number in PRIVATE or not value.isascii() or not value.isprintable():
        yield f"({len(value)} characters, not shown)"
    elif number in ACCOUNTS:
        yield _last_shown(value)
    else:
        yield from _EXPLAINED.get(number, _plain)(value)


def _plain(value: str) -> Iterator[str]:
    yield value


def _processing(value: str) -> Iterator[str]:
    names = [_ACCOUNTS.get(part, part) for part in (value[2:4], value[4:])]
    yield f"{value}  {_PROCESSING.get(value[:2], 'unknown')}, {names[0]} to {names[1]} account"


def _named(names: Mapping[str, str]) -> Callable[[str], Iterator[str]]:
    def named(value: str) -> Iterator[str]:
        yield f"{value}  {names.get(value, 'unknown')}"

    return named


def _currency(value: str) -> Iterator[str]:
    yield f"{value}  {_code_of(value) or 'unknown'}"


def _code_of(number: str) -> str | None:
    currency = by_number(number)
    return None if currency is None else currency.code


def _originals(value: str) -> Iterator[str]:
    yield f"{value[:4]}  original's MTI"
    yield f"{value[4:10]}  its system trace audit number"
    yield f"{value[10:20]}  its transmission date and time"
    yield f"{value[20:31]}  its acquiring institution"
    yield f"{value[31:]}  its forwarding institution"


def _amounts(value: str) -> Iterator[str]:
    for at in range(0, len(value), 20):
        one = value[at : at + 20]
        kind = {"01": "ledger balance", "02": "available balance"}.get(one[2:4], f"type {one[2:4]}")
        currency = _code_of(one[4:7]) or one[4:7]
        yield f"{one}  {kind}, {_ACCOUNTS.get(one[:2], one[:2])} account, {currency}"


_EXPLAINED: Final[Mapping[int, Callable[[str], Iterator[str]]]] = {
    3: _processing,
    39: _named(_RESPONSES),
    49: _currency,
    50: _currency,
    51: _currency,
    54: _amounts,
    70: _named(_MANAGEMENT),
    90: _originals,
}
