"""The slip: what a terminal prints when all is said, for people's eyes or as JSON.

Nothing of a card stands on it but the ends of its number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bayon.cards import ChipCard
from bayon.iso4217 import IsoCurrency, by_code, by_number
from bayon.network import Loaded, Message, Profile, acquirer, describe, redacted, response_name

WIDTH: Final = 15


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A message, the answers to it and its repeats, and how long the first one took.

    Where no answer came, `failure` says why. `chip` is what has signed the message, if one has.
    """

    profile: Profile
    sent: Message
    answers: Sequence[Message] = ()
    took_ms: float = 0.0
    failure: str = ""
    chip: ChipCard | None = None

    @property
    def answer(self) -> Message | None:
        """The first answer."""
        return self.answers[0] if self.answers else None

    @property
    def approved(self) -> bool:
        """Whether all answers are a yes, and none of them one that the chip does not believe."""
        answers = self.answers
        yes = all(acquirer.is_approved(answer, self.profile) for answer in answers)
        return bool(answers) and yes and self.believed is not False

    @property
    def believed(self) -> bool | None:
        """Whether the chip believes that its issuer answers; none without a chip or an answer."""
        if self.chip is None or self.answer is None:
            return None
        return self.chip.believes(
            self.sent.secrets[55],
            self.answer.secrets.get(55),
            response_code=_code(self.answer),
            approved=acquirer.is_approved(self.answer, self.profile),
        )

    @property
    def original(self) -> str:
        """What names the message to later ones, if there can be any."""
        if self.sent.mti[1] not in "12":
            return ""
        return acquirer.original_of(self.sent, self.answer).token


def as_text(exchange: Exchange) -> str:
    """Write what was sent, what was answered, and what it comes to."""
    told = [describe(message) for message in (exchange.sent, *exchange.answers)]
    lines = [f"{name:{WIDTH}} {value}" for name, value in _sums(exchange)]
    return "\n\n".join((*told, "\n".join(lines)))


def as_json(exchange: Exchange) -> str:
    """Write the same for programs."""
    answer = exchange.answer
    code = _code(answer)
    shown = {
        "approved": exchange.approved,
        "response_code": code,
        "meaning": response_name(code) if code else None,
        "approval_code": answer.fields.get(38) if answer else None,
        "rrn": exchange.sent.fields.get(37),
        "balances": [balance._asdict() for balance in acquirer.balances(answer)] if answer else [],
        "chip_believes": exchange.believed,
        "original": exchange.original or None,
        "took_ms": round(exchange.took_ms, 3),
        "failure": exchange.failure or None,
        "sent": _message(exchange.sent),
        "answers": [_message(each) for each in exchange.answers],
    }
    return _json(shown)


def load_as_text(loaded: Loaded) -> str:
    """Write what came of a load."""
    codes = [
        f"{code} {response_name(code):{WIDTH + 15}} {count:>10,}"
        for code, count in loaded.codes.items()
    ]
    missing = [
        f"{name:{WIDTH}} {count:,}"
        for name, count in (("not answered", loaded.unanswered), ("not asked for", loaded.strange))
        if count
    ]
    return "\n".join(
        (
            f"{'answers':{WIDTH}} {loaded.per_s:,.0f}/s for {loaded.seconds:g} s",
            f"{'latency':{WIDTH}} p50 {loaded.p50_ms:.2f} ms, p99 {loaded.p99_ms:.2f} ms",
            f"{'this process':{WIDTH}} {loaded.cpu_share:.2f} of a core",
            *missing,
            *codes,
        )
    )


def load_as_json(loaded: Loaded) -> str:
    """Write the same for programs."""
    return _json({**msgspec.to_builtins(loaded), "per_s": loaded.per_s})


def _sums(exchange: Exchange) -> list[tuple[str, str]]:
    answer, code = exchange.answer, _code(exchange.answer)
    if answer is None:
        found = [("NO ANSWER", exchange.failure)]
    else:
        verdict = "approved" if acquirer.is_approved(answer, exchange.profile) else "DECLINED"
        found = [(verdict, f"{code} {response_name(code)}, in {exchange.took_ms:.1f} ms")]
        found += _of_answer(answer)
    if (believed := exchange.believed) is not None:
        found.append(("chip", "believes the issuer" if believed else "DOES NOT BELIEVE THE ISSUER"))
    rrn = exchange.sent.fields.get(37)
    found += [("RRN", rrn)] if rrn else []
    found += [
        (f"repeat {place}", f"{_code(each)} {response_name(_code(each))}")
        for place, each in enumerate(exchange.answers[1:], 1)
    ]
    return [*found, ("original", exchange.original)] if exchange.original else found


def _of_answer(answer: Message) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if amount := answer.fields.get(4):
        number = answer.fields.get(49, "")
        found.append(("amount", _major(int(amount), by_number(number), number)))
    if code := answer.fields.get(38):
        found.append(("approval code", code))
    return found + [
        (each.kind, _major(each.minor, by_code(each.currency), each.currency))
        for each in acquirer.balances(answer)
    ]


def _code(answer: Message | None) -> str:
    return answer.fields.get(39, "") if answer else ""


def _major(minor: int, currency: IsoCurrency | None, called: str) -> str:
    """Write an amount as people do: 12.34 USD."""
    if currency is None:
        return f"{minor} {called}".strip()
    sign, digits = "-" if minor < 0 else "", f"{abs(minor):0{currency.exponent + 1}d}"
    whole = len(digits) - currency.exponent
    return (
        f"{sign}{digits[:whole]}{'.' if currency.exponent else ''}{digits[whole:]} {currency.code}"
    )


def _message(message: Message) -> dict[str, object]:
    return {"mti": message.mti, "fields": redacted(message)}


def _json(shown: object) -> str:
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
