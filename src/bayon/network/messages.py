"""Messages: what a card network asks, as a command of the cards, and what is answered. Pure.

`read` makes of a message either its answer or a request for the batch, whose answer is written
where its outcome is known, before the commit, so that a repeat is answered byte for byte alike.

Source: ISO 8583:1987; docs/network.md tells what the documents leave open.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, Literal
from uuid import UUID

from bayon import iso4217
from bayon.batch import Key, KeyReused, Request
from bayon.cards import (
    Advise,
    Authorize,
    BadAttributes,
    BadPan,
    CardNotFound,
    Decline,
    Increment,
    Inquire,
    Merchant,
    Move,
    Moved,
    NotPending,
    Original,
    Present,
    Proof,
    Reverse,
    Trace,
    TransactionNotFound,
    category_of,
)
from bayon.errors import Unavailable
from bayon.ids import random_digits
from bayon.network.asked import (
    AMOUNT_SIZE,
    MANAGEMENT,
    REVERSAL,
    Asked,
    KeyRefused,
    Terms,
    is_told,
    read_card,
)
from bayon.network.iso8583 import BadMessage, Message, encode
from bayon.network.proof import chip_of, printed_of, proof_of, to_chip

ECHOED: Final = (3, 4, 7, 11, 12, 13, 32, 33, 37, 41, 42, 49, 70)
"""What an answer has of its request; a card's number is in none, since answers are kept."""

SIGN_ON: Final = "001"
SIGN_OFF: Final = "002"
ECHO: Final = "301"

PURCHASES: Final = frozenset({"00", "09", "60"})
CASH: Final = frozenset({"01", "17"})
CREDITS: Final = frozenset({"20", "21", "28"})
INCREMENTAL: Final = "187"
PARTIAL_SUPPORTED: Final = "181"
"""Function codes in field 24, as jPOS-CMF has them."""

SENT: Final = 7
"""The field that says when a message was sent."""

_NAME_SIZE: Final = 25
_CITY_SIZE: Final = 13

REASONS: Final[Mapping[Decline, str]] = {
    Decline.ISSUER_DECLINED: "declined",
    Decline.STAND_IN_DECLINED: "declined",
}
"""The reasons a profile has no code of its own for."""

OF_ERRORS: Final[Mapping[type[BaseException], str]] = {
    BadMessage: "malformed",
    BadPan: "card_unknown",
    CardNotFound: "card_unknown",
    TransactionNotFound: "original_unknown",
    NotPending: "original_unknown",
    BadAttributes: "amount_out_of_range",
    KeyReused: "duplicate",
    KeyRefused: "security_violation",
    Unavailable: "unavailable",
}
"""What each error is called in a profile; any other has `failed`."""


def read(message: Message, terms: Terms) -> Message | Request[Move, Moved]:
    """Read a request: its answer, or what the batch is to do.

    Errors: `BadMessage` (no track, two card numbers, a currency there is none of, no chip's data,
    no printed code); `BadPan`, but of what cannot be declined: that is of a card we do not know.
    """
    if message.mti[1] == MANAGEMENT:
        return _management(message, terms)
    reader = _READERS.get(message.mti[1:3])
    if reader is None:
        return answer(message, terms, "processing_code_unsupported")
    pan, track = read_card(message, terms.vault)
    if pan is not None and not is_told(message.mti):
        pan = terms.vault.read_pan(pan)
    asked = Asked(
        message=message,
        terms=terms,
        pan=pan,
        track=track,
        pan_digest=None if pan is None else terms.vault.pan_digest(pan),
        currency=_currency(message, 49) or "USD",
        identity=identity(terms.link, message),
    )
    command, reason = reader(asked)
    if command is None:
        return answer(message, terms, reason)
    return Request(
        command=command,
        render=lambda moved: encode(_to_chip(command, asked, moved, reason), terms.profile),
        keys=_keys(asked),
        voids=_voids(asked),
    )


def answer(
    message: Message, terms: Terms, reason: str, more: Mapping[int, str] | None = None
) -> Message:
    """Answer a request with a reason of the profile, and `more` fields than it came with."""
    fields = message.fields
    said = {number: fields[number] for number in ECHOED if number in fields} | dict(more or {})
    said[39] = terms.profile.response_codes[reason]
    return Message(mti=f"{message.mti[:2]}{int(message.mti[2]) + 1}0", fields=said)


def refusal(message: Message, terms: Terms, error: BaseException) -> Message:
    """Answer a request that came to nothing, by the error it came to."""
    if isinstance(error, BadMessage) and error.field is not None:
        return answer(message, terms, "malformed", {44: f"{error.field:03d}"})
    return answer(message, terms, reason_of(error))


def reason_of(error: BaseException) -> str:
    """Tell what an error is called in a profile."""
    return OF_ERRORS.get(type(error), "failed")


def is_request(mti: str) -> bool:
    """Tell whether a message wants an answer."""
    return mti[2] in _ANSWERED


def identity(link: str, message: Message) -> bytes | None:
    """Digest what makes a message itself and its repeats: link, MTI, fields 7, 11, 32 and 33.

    None where it does not say when it was sent.
    """
    fields = message.fields
    if SENT not in fields:
        return None
    institutions = (fields.get(number, "").lstrip("0") for number in (32, 33))
    mti, stan = f"{message.mti[:3]}0", fields.get(11, "")
    return _digest(link, mti, stan, fields[SENT], *institutions)


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def _keys(asked: Asked) -> tuple[Key, ...]:
    """Make the key by which a repeat is known, bound to what must be the same in it."""
    fields = asked.message.fields
    body = b"\0".join(
        [
            asked.pan_digest or b"",
            *(fields.get(n, "").encode() for n in (3, 4, 24, 38, 41, 42, 49, 90, 95)),
        ]
    )
    body_hash = hashlib.sha256(body).digest()
    if asked.identity is not None:
        return (Key(digest=asked.identity, body_hash=body_hash),)
    parts = (
        *(fields.get(11, ""), (asked.pan_digest or b"").hex()),
        *(fields.get(4, ""), fields.get(41, "")),
    )
    digest = _digest("undated", asked.terms.link, f"{asked.message.mti[:3]}0", *parts)
    return (Key(digest=digest, body_hash=body_hash, anew=asked.message.mti[3] not in _REPEATS),)


def _voids(asked: Asked) -> tuple[bytes, ...]:
    """Name what is to come to nothing, should it come later: a reversal's original."""
    original = _named(asked) if asked.message.mti[1] == REVERSAL else None
    return () if original is None else (original,)


def _named(asked: Asked) -> bytes | None:
    """Tell the identity of the original, if field 90 names it whole."""
    text = asked.message.fields.get(90, "")
    mti, stan, sent = f"{text[:3]}0", text[4:10], text[10:20]
    if not stan.strip("0") or not sent.strip("0"):
        return None
    institutions = (text[20:31].lstrip("0"), text[31:42].lstrip("0"))
    return _digest(asked.terms.link, mti, stan, sent, *institutions)


def _original(asked: Asked) -> Original:
    named = _named(asked)
    return Original(
        message_id=None if named is None else UUID(bytes=named[:16]),
        pan_digest=asked.pan_digest,
        rrn=asked.text(37),
        terminal=asked.text(41),
        approval_code=asked.text(38),
        stan=asked.text(11),
        amount_minor=asked.amount_minor,
    )


def _trace(asked: Asked, approval_code: str | None) -> Trace:
    return Trace(
        message_id=None if asked.identity is None else UUID(bytes=asked.identity[:16]),
        mti=asked.message.mti,
        stan=asked.text(11),
        rrn=asked.text(37),
        approval_code=approval_code,
        terminal=asked.text(41),
        acquirer=asked.text(32),
    )


_Read = tuple[Move | None, str]
"""A command and the reason of its success, or no command and why not."""


def _authorization(asked: Asked) -> _Read:
    processing, single = asked.processing, asked.message.mti[1] == "2"
    if asked.pan_digest is None:
        raise BadMessage(2, "is missing")
    if processing in asked.terms.profile.inquiry:
        return _inquiry(asked), "approved"
    if processing not in PURCHASES | CASH | CREDITS:
        return None, "processing_code_unsupported"
    if asked.amount_minor == 0:
        return _inquiry(asked), "verified"
    if processing in CREDITS:
        if single:
            return _presentment(asked, "credit", _approval_code()), "approved"
        return _inquiry(asked), "approved"
    if asked.message.fields.get(24) == INCREMENTAL and not single:
        return _increment(asked), "approved"
    return _request(asked, _approval_code(), posts=single), "approved"


def _inquiry(asked: Asked) -> Inquire:
    assert asked.pan_digest is not None
    return Inquire(pan_digest=asked.pan_digest, proof=_whole_proof(asked))


def _whole_proof(asked: Asked) -> Proof:
    """Read all that came to show that the card was there; of what is told, nothing is judged."""
    if is_told(asked.message.mti):
        return Proof()
    return proof_of(asked, chip_of(asked), printed_of(asked))


def _increment(asked: Asked) -> Increment:
    return Increment(
        original=_original(asked),
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        proof=proof_of(asked),
        trace=_trace(asked, None),
    )


def _advice(asked: Asked) -> _Read:
    if asked.pan_digest is None:
        raise BadMessage(2, "is missing")
    approved = _was_approved(asked)
    posts = approved and asked.amount_minor > 0 and asked.message.mti[1] == "2"
    if asked.processing in CREDITS:
        return _presentment(asked, "credit", asked.text(38)) if posts else None, "approved"
    if asked.processing in asked.terms.profile.inquiry:
        return None, "approved"
    if posts:
        return _presentment(asked, "debit", asked.text(38)), "approved"
    request = _request(asked, asked.text(38), posts=False)
    return Advise(request=request, original=_original(asked), approved=approved), "approved"


def _reversal(asked: Asked) -> _Read:
    fields = asked.message.fields
    remaining = fields.get(95, "")[:AMOUNT_SIZE]
    return (
        Reverse(
            original=_original(asked),
            amount_minor=asked.amount_minor or None,
            remaining_minor=int(remaining) if remaining.isdigit() else None,
            currency=_currency(asked.message, 49),
            trace=_trace(asked, None),
        ),
        "approved",
    )


_READERS: Final[Mapping[str, Callable[[Asked], _Read]]] = {
    **dict.fromkeys(("10", "20"), _authorization),
    **dict.fromkeys(("12", "22"), _advice),
    **dict.fromkeys(("40", "42"), _reversal),
}
"""By class and function of the MTI."""

_JUDGED: Final = (Authorize, Inquire)
"""What a card is asked for, so that its chip has signed it."""

_ANSWERED: Final = frozenset("02")
_REPEATS: Final = frozenset("13579")


def _request(asked: Asked, approval_code: str | None, *, posts: bool) -> Authorize:
    fields = asked.message.fields
    surcharge = fields.get(28, "")
    on_top = asked.terms.profile.surcharge_on_top and surcharge[:1] == "D"
    return Authorize(
        pan_digest=asked.pan_digest,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        billing=_billing(asked),
        surcharge_minor=int(surcharge[1:]) if on_top else 0,
        kind="cash_withdrawal" if asked.processing in CASH else "purchase",
        merchant=_merchant(asked),
        proof=_whole_proof(asked),
        partial_allowed=fields.get(24) == PARTIAL_SUPPORTED,
        posts=posts,
        trace=_trace(asked, approval_code),
    )


def _presentment(
    asked: Asked, adjustment: Literal["debit", "credit"], approval_code: str | None
) -> Present:
    return Present(
        pan_digest=asked.pan_digest,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        billing=_billing(asked),
        adjustment=adjustment,
        kind="cash_withdrawal" if asked.processing in CASH else "purchase",
        merchant=_merchant(asked),
        original=_original(asked),
        trace=_trace(asked, approval_code),
    )


def _was_approved(asked: Asked) -> bool:
    """Tell whether an advice is of a yes: one that does not say so is."""
    codes = asked.terms.profile.response_codes
    yes = {codes[reason] for reason in ("approved", "partly_approved", "verified")}
    return asked.message.fields.get(39) in {None, *yes}


def _billing(asked: Asked) -> tuple[str, int] | None:
    currency = _currency(asked.message, 51)
    amount = asked.message.fields.get(6)
    return None if currency is None or amount is None else (currency, int(amount))


def _currency(message: Message, number: int) -> str | None:
    digits = message.fields.get(number)
    if digits is None:
        return None
    known = iso4217.by_number(digits)
    if known is None:
        raise BadMessage(number, "is no currency", partial=message)
    return known.code


def _merchant(asked: Asked) -> Merchant:
    place = asked.message.fields.get(43, "")
    mcc = asked.message.fields.get(18)
    return Merchant(
        name=place[:_NAME_SIZE].strip() or asked.text(42) or "",
        city=place[_NAME_SIZE : _NAME_SIZE + _CITY_SIZE].strip(),
        country=place[_NAME_SIZE + _CITY_SIZE :].strip().upper(),
        category=None if mcc is None else category_of(mcc),
        mcc=mcc,
    )


def _management(message: Message, terms: Terms) -> Message:
    known = message.fields.get(70) in {SIGN_ON, SIGN_OFF, ECHO}
    return answer(message, terms, "approved" if known else "processing_code_unsupported")


def _outcome(asked: Asked, moved: Moved, reason: str) -> Message:
    """Write what the batch has come to."""
    message, terms = asked.message, asked.terms
    if is_told(message.mti):
        return answer(message, terms, reason)
    if moved.decline is not None:
        return answer(message, terms, REASONS.get(moved.decline, moved.decline.value))
    more = {38: _approved(moved).ljust(6)}
    if moved.transaction is not None and message.fields.get(24) != INCREMENTAL:
        granted_minor = moved.transaction.transaction_amount_minor
        if granted_minor < asked.amount_minor:
            reason = "partly_approved"
            more[4] = f"{granted_minor:0{AMOUNT_SIZE}d}"
    if _wants_balances(asked, reason):
        more[54] = _balances(asked, moved)
    return answer(message, terms, reason, more)


def _to_chip(command: Move, asked: Asked, moved: Moved, reason: str) -> Message:
    """Write what the batch has come to, and show the issuer to a chip that was judged genuine."""
    outcome = _outcome(asked, moved, reason)
    if not isinstance(command, _JUDGED) or command.proof.chip is None:
        return outcome
    return to_chip(outcome, asked, command.proof.chip, approved=moved.decline is None)


def _approved(moved: Moved) -> str:
    """Tell the approval code: the transaction's, or one of its own where there is none."""
    trace = moved.transaction.trace if moved.transaction else None
    return (trace.approval_code if trace else None) or _approval_code()


def _wants_balances(asked: Asked, reason: str) -> bool:
    inquiry = asked.processing in asked.terms.profile.inquiry
    return inquiry or asked.processing in CASH or reason == "partly_approved"


def _balances(asked: Asked, moved: Moved) -> str:
    """Write field 54: what is posted, and what is available, in the account's currency."""
    assert moved.balance is not None
    assert moved.currency is not None
    account = asked.message.fields.get(3, "000000")[2:4]
    amounts = (("01", moved.balance.posted_minor), ("02", moved.balance.available_minor))
    return "".join(
        f"{account}{kind}{moved.currency.number}{'C' if minor >= 0 else 'D'}{abs(minor):012d}"
        for kind, minor in amounts
    )


def _approval_code() -> str:
    return random_digits(6)
