"""Settings: one frozen object, built once from the environment, handed down explicitly.

Every setting is `BAYON_` and its name in capitals. Unknown variables and bad values stop the
start, with the full list of what is wrong. Units stand in the names.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, get_args

from bayon.errors import Invalid, Problem
from bayon.log import Secret

PREFIX: Final = "BAYON_"
FOREIGN: Final = ("BAYON_TEST_", "BAYON_REQUIRE_ALL")
"""Variables of the test suite, which share the prefix and are none of ours."""

SECRET_LENGTH_MIN: Final = 32
WHOLE_LENGTH_MAX: Final = 18
PORT_MAX: Final = 65_535

_URL: Final = re.compile(
    r"(?P<scheme>[a-z]+)://([^\s/?#@]*@)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])?"
    r"(:(?P<port>[0-9]{1,5}))?([/?#]\S*)?"
)

_VERSIONED_KEYS: Final = (
    r"[0-9]{1,3}:[0-9a-fA-F]{64}(,[0-9]{1,3}:[0-9a-fA-F]{64})*",
    "like 1:<64 hex digits>,2:<64 hex digits>",
)


class BadSettings(Invalid):
    """The settings are not valid."""

    code = "bad_settings"


def _setting(default: object, doc: str, **rule: object) -> Any:  # noqa: ANN401 - as `field` itself
    return field(default=default, metadata={"doc": doc, **rule})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set. `sandbox` is chosen by the verb (`dev`, `serve`), not here."""

    sandbox: bool = field(default=False, metadata={"verb": True})

    database_url: Secret | None = _setting(
        None, "your own PostgreSQL, 15 or newer", schemes=("postgresql", "postgres"), host=False
    )
    data_dir: Path = _setting(Path(".bayon"), "where `bayon dev` keeps its PostgreSQL")
    pool_size_max: int = _setting(12, "database connections of one process", at_least=4)
    batch_size_max: int = _setting(500, "commands in one batch", at_least=1)

    http_host: str = _setting("127.0.0.1", "the address HTTP and HTTPS listen on")
    http_port: int = _setting(8000, "0 picks a free one", at_least=0, at_most=65_535)
    https_port: int = _setting(8443, "0 picks a free one", at_least=0, at_most=65_535)
    network_host: str = _setting("127.0.0.1", "the address ISO 8583 listens on")
    network_port: int = _setting(8583, "ISO 8583", at_least=0, at_most=65_535)
    network_profile: str = _setting("ascii-binary", "a shipped dialect of ISO 8583, or a file")
    network_links: Path | None = _setting(
        None, "a TOML file of links to card networks, instead of one by the three above"
    )
    public_url: str | None = _setting(
        None, "where public links stand; `serve` requires it", schemes=("https", "http")
    )
    bakong_host: str | None = _setting(
        None,
        "serve the Bakong Open API under this host name only",
        like=(r"[a-z0-9.-]+", "a host name in lower case, nothing else"),
    )
    cms_host: str | None = _setting(
        None,
        "serve the card management API under this host name only",
        like=(r"[a-z0-9.-]+", "a host name in lower case, nothing else"),
    )
    body_size_max: int = _setting(1_048_576, "bytes of a request's body", at_least=1_024)
    rate_limit_token_per_s: int = _setting(50, "requests of one token; 0 is off", at_least=0)
    rate_limit_address_per_s: int = _setting(50, "requests of one address; 0 is off", at_least=0)
    trusted_proxies: str = _setting(
        "", "addresses whose X-Forwarded-* are believed, by commas", networks=True
    )

    seal_keys: Secret | None = _setting(
        None,
        "keys of what is sealed; the one of the highest version seals",
        like=_VERSIONED_KEYS,
    )
    vault_keys: Secret | None = _setting(
        None, "keys of card numbers, as the above and none of them", like=_VERSIONED_KEYS
    )
    vault_lookup_key: Secret | None = _setting(
        None, "finds a card by its number", like=(r"[0-9a-fA-F]{64}", "64 hex digits")
    )
    pin_verification_key: Secret | None = _setting(
        None, "two DES keys, which make PVVs", like=(r"[0-9a-fA-F]{32}", "32 hex digits")
    )
    card_verification_key: Secret | None = _setting(
        None, "two DES keys, which make CVVs", like=(r"[0-9a-fA-F]{32}", "32 hex digits")
    )
    card_cryptogram_key: Secret | None = _setting(
        None,
        "two DES keys, of which those of chips are derived",
        like=(r"[0-9a-fA-F]{32}", "32 hex digits"),
    )
    zone_pin_key: Secret | None = _setting(
        None,
        "enciphers PINs on links of the card network that have no key of their own",
        like=(
            r"([0-9a-fA-F]{16}){2,4}|[A-D][0-9]{4}[ -~]{75,}",
            "32, 48 or 64 hex digits, or a TR-31 key block",
        ),
    )
    key_block_key: Secret | None = _setting(
        None,
        "protects zone PIN keys that are given as key blocks",
        like=(r"([0-9a-fA-F]{16}){2,4}", "32, 48 or 64 hex digits"),
    )
    bakong_jwt_key: Secret | None = _setting(None, "signs the Open API's tokens", secret=True)
    bakong_token_ttl_days: int = _setting(90, "life of an Open API token", at_least=1)
    bakong_code_ttl_s: int = _setting(3_600, "life of a verification code", at_least=1)
    bakong_renewal: str = _setting(
        "bearer",
        "who may renew: the bearer of the last token, or as documented",
        one_of=("bearer", "documented"),
    )
    bakong_open_account_check: bool = _setting(False, "check accounts without a token")
    smtp_url: Secret | None = _setting(
        None, "smtp[s]://user:password@host:port", schemes=("smtp", "smtps")
    )
    smtp_timeout_s: float = _setting(10.0, "how long one mail may take", at_least=0.1)
    mail_from: str = _setting(
        "no-reply@bayon.test",
        "the sender of our mail",
        like=(r"[^@\s]+@[^@\s]+", "an address like name@host"),
    )
    deeplink_app_url: str = _setting(
        "bakong://pay?qr={qr}",
        "what a deeplink opens on a phone; {qr} is the code",
        like=(r"[a-z][a-z0-9+.-]*:[^\s]*\{qr\}[^\s]*", "a URL with {qr} where the code goes"),
    )

    kyc_review: str = _setting(
        "automatic", "who accepts cardholders' profiles", one_of=("automatic", "manual")
    )
    kyc_documents: str = _setting(
        "required",
        "whether a profile is accepted whose documents cannot be fetched",
        one_of=("required", "optional"),
    )
    webhook_iss: str = _setting("Bongloy", "who signs deliveries: `iss` of their tokens")
    virtual_cards: bool = _setting(False, "make virtual cards too")

    return_urls: str = _setting(
        "",
        "where a page for card holders may lead back to, by commas",
        like=(
            r"[a-z][a-z0-9+.-]*://[^\s,]+(, ?[a-z][a-z0-9+.-]*://[^\s,]+)*",
            "places like https://bank.example/app or bankapp://card, by commas",
        ),
    )

    log_format: str = _setting("json", "how logs are written", one_of=("json", "console"))
    log_level: str = _setting("INFO", "", one_of=("DEBUG", "INFO", "WARNING", "ERROR"))

    @classmethod
    def from_env(cls, env: Mapping[str, str], **chosen: object) -> "Settings":
        """Build the settings from the environment; `chosen` (the command line) goes before it.

        Errors: `BadSettings` with every unknown variable and every bad value.
        """
        known = {PREFIX + f.name.upper(): f for f in fields(cls) if "verb" not in f.metadata}
        ours = {n: v for n, v in env.items() if n.startswith(PREFIX) and not n.startswith(FOREIGN)}
        problems = [_problem(name, "is no setting of Bayon") for name in ours if name not in known]
        values: dict[str, object] = {}
        for name in sorted(set(ours) & set(known)):
            try:
                values[known[name].name] = _parse(known[name], ours[name])
            except ValueError as error:
                problems.append(_problem(name, str(error)))
        for setting in fields(cls):
            if (value := chosen.get(setting.name)) is not None:
                values[setting.name] = value
                problems += _problems(setting, value)
        if problems:
            raise BadSettings("The settings are not valid.", problems=tuple(problems))
        return cls(**values)  # pyright: ignore[reportArgumentType] - parsed by each field's own type

    def redacted(self) -> dict[str, str]:
        """Show every setting as it took effect, secrets as ***."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self)}


def require(settings: Settings, *names: str) -> None:
    """Refuse to go on without these settings, naming all that are missing."""
    missing = [name for name in names if getattr(settings, name) is None]
    if missing:
        texts = tuple(_problem(PREFIX + name.upper(), "must be set") for name in missing)
        raise BadSettings("The settings are not complete.", problems=texts)


def _problem(name: str, text: str) -> Problem:
    return Problem(pointer=name, message=f"{name} {text}", code="bad_setting")


def _problems(setting: Field[Any], value: object) -> list[Problem]:
    try:
        _judge(value, setting.metadata)
    except ValueError as error:
        return [_problem(PREFIX + setting.name.upper(), str(error))]
    return []


def _parse(setting: Field[Any], text: str) -> object:
    kind = next(k for k in (*get_args(setting.type), setting.type) if k is not type(None))
    value = _READ[kind](text)
    _judge(value, setting.metadata)
    return value


def _judge(value: Any, rule: Mapping[str, Any]) -> None:  # noqa: ANN401 - of its field's type
    if "at_least" in rule and value < rule["at_least"]:
        raise ValueError(f"must be at least {rule['at_least']}")
    if "at_most" in rule and value > rule["at_most"]:
        raise ValueError(f"must be at most {rule['at_most']}")
    if "one_of" in rule and value not in rule["one_of"]:
        raise ValueError(f"must be one of {', '.join(rule['one_of'])}")
    _judge_text(value.reveal() if isinstance(value, Secret) else value, rule)


def _judge_text(text: str, rule: Mapping[str, Any]) -> None:
    if "schemes" in rule:
        _judge_url(text, rule["schemes"], host=rule.get("host", True))
    if "like" in rule and not re.fullmatch(rule["like"][0], text):
        raise ValueError(f"must be {rule['like'][1]}")
    if "networks" in rule:
        _judge_networks(text)
    if "secret" in rule and len(text) < SECRET_LENGTH_MIN:
        raise ValueError(f"must have at least {SECRET_LENGTH_MIN} characters")


def _judge_url(text: str, schemes: Sequence[str], *, host: bool) -> None:
    found = _URL.fullmatch(text)
    port = int(found["port"] or "1") if found else 0
    named = found is not None and (bool(found["host"]) or not host)
    if found is None or found["scheme"] not in schemes or not named or not 0 < port <= PORT_MAX:
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"must be a URL that begins with {begins}")


def _judge_networks(text: str) -> None:
    try:
        for entry in filter(None, text.split(",")):
            ip_network(entry.strip())
    except ValueError:
        raise ValueError("must be addresses or networks (10.0.0.0/8), by commas") from None


def _truth(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _whole(text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= WHOLE_LENGTH_MAX):
        raise ValueError("must be a whole number")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


_READ: Final[Mapping[object, Callable[[str], object]]] = {
    bool: _truth,
    int: _whole,
    float: _number,
    str: _text,
    Path: lambda text: Path(_text(text)),
    Secret: lambda text: Secret(_text(text)),
}
