"""The cellar: settings, logs, seals, ids and money, each against whoever wishes it ill."""

import copy
import json
import pickle
import subprocess
import sys
import time
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bayon.config import BadSettings, Settings, require
from bayon.errors import BayonError, Invalid
from bayon.log import Secret
from bayon.money import AMOUNT_MINOR_MAX, BadAmount, Currency, major_from_minor, minor_from_major
from bayon.seal import BadSeal, Sealer

# Settings.

SEAL_KEY = "5ea1" * 16
JWT_KEY = "a-key-of-the-open-api-long-enough-for-anybody"


def refused(env: dict[str, str], **chosen: object) -> set[str]:
    with pytest.raises(BadSettings) as caught:
        Settings.from_env(env, **chosen)
    return {problem.pointer for problem in caught.value.problems}


def test_settings_without_any_variable_are_the_defaults() -> None:
    assert Settings.from_env({"PATH": "/bin", "BAYON_TEST_EXAMPLES": "long"}) == Settings()


def test_every_default_is_a_value_its_own_variable_may_have() -> None:
    default = Settings()
    plain = [f.name for f in fields(Settings) if getattr(default, f.name) not in {None, ""}]
    env = {f"BAYON_{name.upper()}": str(getattr(default, name)) for name in plain}
    del env["BAYON_SANDBOX"]
    assert Settings.from_env(env) == default


def test_every_unknown_variable_and_every_bad_value_is_listed_at_once() -> None:
    env = {
        "BAYON_HTTP_PROT": "1",
        "BAYON_SANDBOX": "true",
        "BAYON_HTTP_PORT": "65536",
        "BAYON_LOG_FORMAT": "xml",
        "BAYON_SMTP_TIMEOUT_S": "nan",
    }
    assert refused(env) == set(env)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POOL_SIZE_MAX", ""),
        ("POOL_SIZE_MAX", "3"),
        ("POOL_SIZE_MAX", "--5"),
        ("POOL_SIZE_MAX", "5.0"),
        ("POOL_SIZE_MAX", "\u0665"),
        ("POOL_SIZE_MAX", "9" * 5_000),
        ("HTTP_PORT", "-1"),
        ("SMTP_TIMEOUT_S", "soon"),
        ("SMTP_TIMEOUT_S", "inf"),
        ("SMTP_TIMEOUT_S", "0"),
        ("BAKONG_OPEN_ACCOUNT_CHECK", "yes"),
        ("LOG_LEVEL", "LOUD"),
        ("PUBLIC_URL", "bayon.test"),
        ("SMTP_URL", "mail.bayon.test"),
        ("BAKONG_JWT_KEY", "short"),
        ("BAKONG_JWT_KEY", " "),
        ("DATA_DIR", ""),
        ("HTTP_HOST", " "),
    ],
)
def test_bad_value_is_refused(name: str, value: str) -> None:
    assert refused({f"BAYON_{name}": value}) == {f"BAYON_{name}"}


def test_command_line_goes_before_the_environment_unless_it_says_nothing() -> None:
    env = {"BAYON_HTTP_PORT": "1", "BAYON_HTTPS_PORT": "2"}
    settings = Settings.from_env(env, http_port=0, https_port=None, data_dir=Path("x"))
    assert (settings.http_port, settings.https_port, settings.data_dir) == (0, 2, Path("x"))


def test_command_line_is_judged_as_the_environment_is() -> None:
    assert refused({}, http_port=65_536, pool_size_max=0) == {
        "BAYON_HTTP_PORT",
        "BAYON_POOL_SIZE_MAX",
    }


def test_secret_settings_are_never_shown() -> None:
    env = {
        "BAYON_BAKONG_JWT_KEY": JWT_KEY,
        "BAYON_DATABASE_URL": f"postgresql://u:{JWT_KEY}@h/d",
        "BAYON_SEAL_KEYS": f"1:{SEAL_KEY}",
        "BAYON_VAULT_KEYS": f"1:{SEAL_KEY}",
        "BAYON_VAULT_LOOKUP_KEY": SEAL_KEY,
        "BAYON_PIN_VERIFICATION_KEY": SEAL_KEY[:32],
        "BAYON_CARD_VERIFICATION_KEY": SEAL_KEY[:32],
        "BAYON_CARD_CRYPTOGRAM_KEY": SEAL_KEY[:32],
        "BAYON_ZONE_PIN_KEY": SEAL_KEY,
        "BAYON_KEY_BLOCK_KEY": SEAL_KEY,
        "BAYON_SMTP_URL": f"smtp://u:{JWT_KEY}@h",
    }
    settings = Settings.from_env(env)
    assert settings.bakong_jwt_key == Secret(JWT_KEY)
    shown = f"{settings!r} {settings} {settings.redacted()}"
    assert JWT_KEY not in shown
    assert SEAL_KEY[:32] not in shown
    assert settings.redacted()["bakong_jwt_key"] == "***"


BAD_VALUES = [
    ("SMTP_URL", "ftp://h"),
    ("SMTP_URL", "smtp://h:99999"),
    ("SMTP_URL", "smtp:///nowhere"),
    ("PUBLIC_URL", "javascript://x"),
    ("PUBLIC_URL", "https://pay.example/ x"),
    ("DEEPLINK_APP_URL", "bakong://pay"),
    ("MAIL_FROM", "not an address"),
    ("TRUSTED_PROXIES", "bogus"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("SEAL_KEYS", "zz"),
    ("SEAL_KEYS", f"1:{'a' * 63}"),
    ("VAULT_KEYS", "a" * 64),
    ("VAULT_LOOKUP_KEY", "a" * 63),
    ("VAULT_LOOKUP_KEY", f"1:{'a' * 64}"),
    ("PIN_VERIFICATION_KEY", "a" * 31),
    ("PIN_VERIFICATION_KEY", "g" * 32),
    ("PIN_VERIFICATION_KEY", "a" * 48),
    ("CARD_VERIFICATION_KEY", "a" * 31),
    ("CARD_VERIFICATION_KEY", "a" * 48),
    ("CARD_CRYPTOGRAM_KEY", "a" * 31),
    ("CARD_CRYPTOGRAM_KEY", "g" * 32),
    ("ZONE_PIN_KEY", "a" * 16),
    ("ZONE_PIN_KEY", "a" * 40),
    ("ZONE_PIN_KEY", "a" * 80),
    ("ZONE_PIN_KEY", "g" * 32),
    ("ZONE_PIN_KEY", "D0112P0TB00E0000"),
    ("ZONE_PIN_KEY", f"D0112P0TB00E0000{'A' * 95}\n"),
    ("KEY_BLOCK_KEY", "a" * 40),
    ("KEY_BLOCK_KEY", "g" * 32),
    ("KEY_BLOCK_KEY", f"D0112P0TB00E0000{'A' * 96}"),
    ("DATABASE_URL", "mysql://h/d"),
    ("BAKONG_HOST", "http://x/"),
    ("BAKONG_JWT_KEY", "short"),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_a_setting_that_cannot_work_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as caught:
        Settings.from_env({f"BAYON_{name}": value})
    assert [problem.pointer for problem in caught.value.problems] == [f"BAYON_{name}"]


GOOD_VALUES = [
    ("SMTP_URL", "smtps://user:p%40ss@mail.example:465"),
    ("PUBLIC_URL", "https://pay.example"),
    ("DEEPLINK_APP_URL", "https://app.example/open?qr={qr}"),
    ("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8"),
    ("SEAL_KEYS", f"1:{'a' * 64},2:{'B' * 64}"),
    ("VAULT_KEYS", f"1:{'a' * 64},2:{'B' * 64}"),
    ("VAULT_LOOKUP_KEY", "aB" * 32),
    ("PIN_VERIFICATION_KEY", "aB" * 16),
    ("CARD_VERIFICATION_KEY", "aB" * 16),
    ("CARD_CRYPTOGRAM_KEY", "aB" * 16),
    ("ZONE_PIN_KEY", "aB" * 16),
    ("ZONE_PIN_KEY", "aB" * 24),
    ("ZONE_PIN_KEY", "aB" * 32),
    ("ZONE_PIN_KEY", f"D0112P0TB00E0000{'A' * 96}"),
    ("ZONE_PIN_KEY", f"B0104P0TB00E0100KS08 x y{'A' * 80}"),
    ("KEY_BLOCK_KEY", "aB" * 16),
    ("KEY_BLOCK_KEY", "aB" * 24),
    ("KEY_BLOCK_KEY", "aB" * 32),
    ("DATABASE_URL", "postgresql://bayon@/bayon?host=/run/postgresql&port=5432"),
    ("BAKONG_HOST", "api.bakong.example"),
]


@pytest.mark.parametrize(("name", "value"), GOOD_VALUES)
def test_a_setting_in_each_of_its_forms_is_taken(name: str, value: str) -> None:
    settings = Settings.from_env({f"BAYON_{name}": value})
    taken: object = getattr(settings, name.lower())
    assert (taken.reveal() if isinstance(taken, Secret) else taken) == value


def test_bad_secret_is_not_repeated_in_the_problem() -> None:
    with pytest.raises(BadSettings) as caught:
        Settings.from_env({"BAYON_SMTP_URL": "hunter2", "BAYON_BAKONG_JWT_KEY": "hunter2"})
    assert "hunter2" not in f"{caught.value} {caught.value.problems}"


def test_required_settings_that_are_missing_are_all_named() -> None:
    with pytest.raises(BadSettings) as caught:
        require(Settings(public_url="https://x"), "public_url", "seal_keys", "bakong_jwt_key")
    pointers = [problem.pointer for problem in caught.value.problems]
    assert pointers == ["BAYON_SEAL_KEYS", "BAYON_BAKONG_JWT_KEY"]


# Logs.

SPEAKER = """
import asyncio, logging, structlog
from bayon import log
from bayon.log import Secret

log.configure(json=True, level="INFO")
logger = structlog.get_logger()
logger.info("said", status=200, pan="hunter2", request_id=Secret("hunter2"))
structlog.contextvars.bind_contextvars(path="/x", body="hunter2")
logger.info("bound")
try:
    raise ValueError("hunter2")
except ValueError as error:
    logger.exception("broken")
    logger.error("given", exc_info=error)
    logging.getLogger("uvicorn.error").error("Exception in %s", "hunter2", exc_info=True)
    kept = error
logging.getLogger("asyncio").error("late", exc_info=(ValueError, kept, kept.__traceback__))
logging.getLogger("lib").warning("two\\nlines: hunter2", extra={"token": "hunter2"})

async def main():
    async def fail():
        raise ValueError("hunter2")
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def spoken() -> dict[str, dict[str, object]]:
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", SPEAKER], capture_output=True, text=True, check=True
    )
    assert not done.stdout
    assert "hunter2" not in done.stderr
    lines = [cast("dict[str, object]", json.loads(line)) for line in done.stderr.splitlines()]
    return {str(line["event"]): line for line in lines}


def test_field_that_is_not_allowed_does_not_come_out(spoken: dict[str, dict[str, object]]) -> None:
    said = spoken["said"]
    assert set(said) == {"event", "level", "timestamp", "status", "request_id"}
    assert said["request_id"] == "Secret(***)"
    assert spoken["bound"]["path"] == "/x"
    assert "body" not in spoken["bound"]


@pytest.mark.parametrize("event", ["broken", "given", "Exception in %s", "late"])
def test_exception_is_told_by_its_class_and_place_alone(
    spoken: dict[str, dict[str, object]], event: str
) -> None:
    line = spoken[event]
    assert line["error"] == "ValueError"
    assert "<string>" in str(line["trace"])


def test_message_of_a_library_keeps_its_first_line(spoken: dict[str, dict[str, object]]) -> None:
    assert "two" in spoken
    assert spoken["Task exception was never retrieved"]["error"] == "ValueError"


def test_secret_tells_nothing_but_by_reveal() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {secret!s} {[secret]} {secret!a}".count("hunter2") == 0
    assert secret.reveal() == "hunter2"
    assert not hasattr(secret, "__dict__")


def test_secret_is_neither_json_nor_pickle_nor_a_copy() -> None:
    secret = Secret("hunter2")
    for write in (json.dumps, msgspec.json.encode, pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            write(secret)
        assert "hunter2" not in str(caught.value)


# Seals.

OLD, NEW = Sealer({1: b"1" * 32}), Sealer({1: b"1" * 32, 2: b"2" * 32})


@given(clear=st.binary(max_size=200), context=st.binary(max_size=40))
def test_what_is_sealed_opens_in_its_place(clear: bytes, context: bytes) -> None:
    sealed = NEW.seal(clear, context=context)
    assert NEW.open(sealed, context=context) == clear
    assert len(clear) < 8 or clear not in sealed


def test_newest_key_seals_and_every_key_opens() -> None:
    sealed = OLD.seal(b"x", context=b"c")
    assert NEW.open(sealed, context=b"c") == b"x"
    resealed = NEW.seal(b"x", context=b"c")
    assert (sealed[0], resealed[0]) == (1, 2)
    with pytest.raises(BadSeal):
        OLD.open(resealed, context=b"c")


def test_same_bytes_are_never_sealed_alike() -> None:
    assert len({OLD.seal(b"x", context=b"c") for _ in range(100)}) == 100


def test_sealed_value_moved_elsewhere_does_not_open() -> None:
    sealed = OLD.seal(b"x", context=b"here")
    with pytest.raises(BadSeal):
        OLD.open(sealed, context=b"there")


def test_sealed_value_cut_anywhere_is_a_bad_seal() -> None:
    sealed = OLD.seal(b"secret", context=b"c")
    for length in range(len(sealed)):
        with pytest.raises(BadSeal):
            OLD.open(sealed[:length], context=b"c")


def test_sealed_value_with_any_bit_flipped_is_a_bad_seal() -> None:
    sealed = NEW.seal(b"secret", context=b"c")
    for place in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(BadSeal):
            NEW.open(bytes(flipped), context=b"c")


@given(noise=st.binary(max_size=80))
def test_noise_is_a_bad_seal(noise: bytes) -> None:
    with pytest.raises(BadSeal):
        NEW.open(noise, context=b"c")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        ":",
        "1:",
        "1:" + "00" * 31,
        "1:" + "00" * 33,
        "1:" + "zz" * 32,
        "0:" + "00" * 32,
        "256:" + "00" * 32,
        "1:" + "00" * 32 + ",",
        "1:" + "00" * 32 + ",1:" + "11" * 32,
    ],
)
def test_sealing_keys_written_badly_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Sealer.from_text(text)


def test_refused_sealing_key_is_not_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        Sealer.from_text("ab" * 32 + ":1")
    assert "abab" not in f"{caught.value} {caught.value.__cause__}"


def test_sealing_keys_are_read_as_the_setting_writes_them() -> None:
    read = Sealer.from_text("1:" + b"1".hex() * 32 + ",2:" + b"2".hex() * 32)
    assert read.open(NEW.seal(b"x", context=b"c"), context=b"c") == b"x"


# Money.

USD, KHR, TOP = Currency.USD, Currency.KHR, AMOUNT_MINOR_MAX


@pytest.mark.parametrize(
    ("major", "currency", "minor"),
    [
        (1, USD, 100),
        (1.0, USD, 100),
        (0.1, USD, 10),
        (0.07, USD, 7),
        (1.15, USD, 115),
        (4.35, USD, 435),
        (1e2, USD, 10_000),
        ("1.10", USD, 110),
        ("1.1000000000000000000000000000000000000000000", USD, 110),
        (Decimal("1e4"), KHR, 1_000_000),
        (40_000, KHR, 4_000_000),
        ("40000.00", KHR, 4_000_000),
        (0, USD, 0),
        (-0.0, USD, 0),
        ("0e-1000000", USD, 0),
        (Decimal(AMOUNT_MINOR_MAX) / 100, USD, AMOUNT_MINOR_MAX),
    ],
)
def test_amount_is_converted_exactly(
    major: Decimal | str | float, currency: Currency, minor: int
) -> None:
    assert minor_from_major(major, currency) == minor


@pytest.mark.parametrize(
    ("major", "currency"),
    [
        (0.001, USD),
        (0.1 + 0.2, USD),
        ("1.0000000000000000000000000000000000000000001", USD),
        ("0.0100000000000000000000000000000000000000001", USD),
        ("1e-1000060", USD),
        (Decimal("1e-1000060"), USD),
        (0.5, KHR),
        ("40000.01", KHR),
        (-0.01, USD),
        ("-1", USD),
        (float("nan"), USD),
        (float("inf"), USD),
        (float("-inf"), USD),
        (1e400, USD),
        (1e300, USD),
        (1e15, KHR),
        (10**30, USD),
        ("NaN", USD),
        ("sNaN", USD),
        ("Infinity", USD),
        (Decimal("1e1000000"), USD),
        ("1e1000000", KHR),
        ("1e99999999999999999999", USD),
        (Decimal(AMOUNT_MINOR_MAX + 1) / 100, USD),
        (True, USD),
        (False, USD),
        ("", USD),
        ("one", USD),
        ("1,5", USD),
        ("0x10", USD),
    ],
)
def test_amount_that_is_not_exactly_money_is_refused_at_once(
    major: Decimal | str | float, currency: Currency
) -> None:
    started = time.perf_counter()
    with pytest.raises(BadAmount):
        minor_from_major(major, currency)
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize("major", [None, [], {}, (1, 2), "\x00", "\ud800"])
def test_what_is_no_number_is_a_bad_amount_and_nothing_else(major: object) -> None:
    with pytest.raises(BadAmount):
        minor_from_major(cast("str", major), USD)


@given(minor=st.integers(0, AMOUNT_MINOR_MAX) | st.integers(0, 200).map(lambda n: TOP - n))
@example(minor=TOP)
@example(minor=8 * 10**14 + 1)
def test_amount_shown_as_json_and_read_again_is_the_same(minor: int) -> None:
    shown: float = json.loads(json.dumps(major_from_minor(minor)))
    assert minor_from_major(shown, USD) == minor
    by_msgspec: float = msgspec.json.decode(msgspec.json.encode(major_from_minor(minor)))
    assert by_msgspec == shown


@pytest.mark.parametrize("text", ["80000000000000.01", "10000000000000", "90071992547409.90"])
def test_amount_that_a_double_might_change_is_refused(text: str) -> None:
    for major in (text, float(text)):
        with pytest.raises(BadAmount):
            minor_from_major(major, USD)


@given(minor=st.integers(0, AMOUNT_MINOR_MAX), zeros=st.integers(0, 60))
def test_amount_written_exactly_is_read_exactly(minor: int, zeros: int) -> None:
    text = f"{minor // 100}.{minor % 100:02}" + "0" * zeros
    assert minor_from_major(text, USD) == minor


@given(text=st.text(max_size=30) | st.floats().map(repr) | st.decimals().map(str))
def test_any_text_is_an_amount_or_a_bad_amount(text: str) -> None:
    for currency in Currency:
        try:
            minor = minor_from_major(text, currency)
        except BadAmount:
            continue
        assert 0 <= minor <= AMOUNT_MINOR_MAX
        assert Decimal(minor) == Decimal(text) * 100


def test_riel_has_no_decimals_at_bakong_and_two_in_the_ledger() -> None:
    assert (USD.decimals_at_bakong, KHR.decimals_at_bakong) == (2, 0)
    assert minor_from_major(40_000, KHR) == 4_000_000
    assert (USD.number, KHR.number) == ("840", "116")


# Errors.


def test_error_says_its_docstring_and_keeps_its_context_to_itself() -> None:
    error = BayonError(pan="hunter2")
    assert str(error) == "Something went wrong."
    assert error.context == {"pan": "hunter2"}
    assert "hunter2" not in f"{error} {error!r}"
