"""`bayon acquirer`: what a terminal sends, what it prints, how it ends, and what it never says."""

import contextlib
import io
import json
import secrets
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.null_host import answered

from bayon.cards import KeyBlockKey, ZonePinKey
from bayon.cards.chip import ChipKey, parse_chip_data
from bayon.cli import main
from bayon.log import Secret
from bayon.network import Message, load_profile
from bayon.network.frame import Frame, Framer, wrap
from bayon.network.iso8583 import decode, encode
from said import never_say

PAN = "9116001234567890"
PIN = "4826"
KEY = "0123456789ABCDEFFEDCBA9876543210"
MASKED = "911600******7890"

Answer = Callable[[Message], Message | None]


@contextmanager
def host(
    answer: Answer, profile_name: str = "ascii-binary"
) -> Generator[tuple[int, list[Message]]]:
    """Answer one link as told, and keep what came."""
    profile = load_profile(profile_name)
    seen: list[Message] = []

    def serve() -> None:
        link, _ = listener.accept()
        with link, contextlib.suppress(OSError):
            framer = Framer(profile.framing)
            while data := link.recv(65_536):
                for frame in framer.feed(data):
                    seen.append(decode(frame.body, profile))
                    if said := answer(seen[-1]):
                        link.sendall(wrap(Frame(encode(said, profile)), profile.framing))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], seen
        thread.join(20)


def declined(message: Message) -> Message:
    said = answered(message)
    return Message(mti=said.mti, fields={**said.fields, 39: "51"})


def balanced(message: Message) -> Message:
    said = answered(message)
    amounts = "0001840C0000000100000002840D000000000005"
    return Message(mti=said.mti, fields={**said.fields, 54: amounts})


def silent(_: Message) -> None:
    return None


def acquirer(port: int, verb: str, *words: str) -> int:
    return main(["acquirer", verb, "--port", str(port), *words])


@pytest.fixture(autouse=True)
def _card(monkeypatch: pytest.MonkeyPatch) -> None:
    never_say("a card number", PAN)
    monkeypatch.setenv("ACQUIRER_PAN", PAN)
    monkeypatch.delenv("BAYON_ZONE_PIN_KEY", raising=False)
    monkeypatch.delenv("BAYON_CARD_CRYPTOGRAM_KEY", raising=False)


def test_a_purchase_is_printed_with_its_answer_and_without_the_card(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with host(answered) as (port, seen):
        assert acquirer(port, "purchase", "--amount=12.34", "--merchant=Coffee Klaing") == 0
    out = capsys.readouterr().out
    (sent,) = seen
    assert (sent.mti, sent.fields[4], sent.fields[49]) == ("0100", "000000001234", "840")
    assert sent.fields[43] == "Coffee Klaing            Phnom Penh   KH"
    assert MASKED in out
    assert PAN not in out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[-6:] if line)
    assert lines["approved"].startswith("00 approved, in ")
    assert lines["amount"] == "12.34 USD"
    assert lines["RRN"] == sent.fields[37]
    assert lines["original"].startswith(f"0100-{sent.fields[11]}-{sent.fields[7]}-116001-")


@pytest.mark.parametrize("profile", ["ascii-hex", "bcd", "ebcdic"])
def test_every_wire_is_spoken(profile: str) -> None:
    with host(answered, profile) as (port, seen):
        assert (
            acquirer(port, "withdraw", "--amount=100", "--currency=KHR", "--profile", profile) == 0
        )
    assert (seen[0].mti, seen[0].fields[4], seen[0].fields[49]) == ("0200", "000000010000", "116")


def test_what_follows_names_its_original_by_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    with host(answered) as (port, _):
        assert acquirer(port, "purchase", "--amount=12.34", "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["approved"], told["response_code"], told["meaning"]) == (True, "00", "approved")
    assert told["sent"]["fields"]["2"] == MASKED
    word = f"--original={told['original']}"
    asked = told["sent"]["fields"]
    for verb, words, mti, changed in (
        ("reverse", (), "0400", {4: "000000001234"}),
        ("reverse", ("--amount=2.34", "--advice"), "0420", {95: "000000001000".ljust(42, "0")}),
        ("increment", ("--amount=1",), "0100", {4: "000000000100", 24: "187"}),
        ("complete", ("--amount=10",), "0220", {4: "000000001000"}),
        ("advise", (), "0120", {4: "000000001234"}),
    ):
        with host(answered) as (port, seen):
            assert acquirer(port, verb, word, *words) == 0
        assert seen[0].mti == mti
        assert {n: seen[0].fields[n] for n in changed} == changed
        assert seen[0].fields[37] == asked["37"]
        assert seen[0].fields[38] == told["approval_code"]
        if verb == "reverse":
            names = f"0100{asked['11']}{asked['7']}00000116001"
            assert seen[0].fields[90] == names.ljust(42, "0")


def test_a_completion_of_nothing_is_a_force_post() -> None:
    with host(answered) as (port, seen):
        assert acquirer(port, "complete", "--amount=5") == 0
    assert (seen[0].mti, len(seen[0].fields[38]), seen[0].fields[39]) == ("0220", 6, "00")


def test_a_decline_ends_with_1_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with host(declined) as (port, _):
        assert acquirer(port, "purchase", "--amount=1") == 1
    assert "DECLINED        51 insufficient funds, in " in capsys.readouterr().out


def test_balances_are_written_as_people_do(capsys: pytest.CaptureFixture[str]) -> None:
    with host(balanced) as (port, seen):
        assert acquirer(port, "inquire") == 0
    assert seen[0].fields[3] == "310000"
    out = capsys.readouterr().out
    assert "ledger          100.00 USD\navailable       -0.05 USD\n" in out


def test_without_an_answer_it_ends_with_3_and_the_word_to_reverse_by(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with host(silent) as (port, seen):
        assert acquirer(port, "purchase", "--amount=1", "--timeout-s=0.3") == 3
    out = capsys.readouterr().out
    assert "NO ANSWER       No answer within 0.3 s." in out
    assert f"original        0100-{seen[0].fields[11]}-" in out
    assert acquirer(1, "echo") == 3
    assert capsys.readouterr().err == "bayon: Nobody answers at 127.0.0.1:1.\n"


def test_repeats_are_the_same_again(capsys: pytest.CaptureFixture[str]) -> None:
    with host(answered) as (port, seen):
        assert acquirer(port, "purchase", "--amount=1", "--repeat=2", "--stan=000042") == 0
    assert [message.mti for message in seen] == ["0100", "0101", "0101"]
    assert seen[0].fields == seen[1].fields == seen[2].fields
    assert seen[0].fields[11] == "000042"
    assert "repeat 2        00 approved\n" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["environment", "key block", "input", "ready-file"])
def test_a_pin_is_sent_as_a_block_and_said_nowhere(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words: tuple[str, ...] = ("--pin", "--amount=20")
    with host(answered) as (port, seen):
        if source in {"environment", "key block"}:
            under = secrets.token_bytes(32)
            wrapped = KeyBlockKey(under).wrap(bytes.fromhex(KEY), "T")
            monkeypatch.setenv("ACQUIRER_PIN", PIN)
            monkeypatch.setenv("BAYON_KEY_BLOCK_KEY", under.hex())
            monkeypatch.setenv("BAYON_ZONE_PIN_KEY", wrapped if source == "key block" else KEY)
        else:
            monkeypatch.setattr("sys.stdin", io.StringIO(f"{PAN[:4]} {PAN[4:]}\n{PIN}\n"))
            words = (*words, "--pan=-")
            ready = {"network_host": "127.0.0.1", "network_port": port, "zone_pin_key": KEY}
            (tmp_path / "ready.json").write_text(json.dumps(ready))
            words = (*words, f"--ready-file={tmp_path / 'ready.json'}")
        assert acquirer(port, "withdraw", *words) == 0
    block = bytes.fromhex(seen[0].secrets[52].reveal())
    assert ZonePinKey(bytes.fromhex(KEY)).decipher(block, PAN) == PIN
    assert seen[0].secrets[2].reveal() == PAN
    out, err = capsys.readouterr()
    for secret in (PAN, KEY, block.hex()):
        assert secret.lower() not in (out + err).lower()
    assert "PIN block                             (not shown)" in out


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ("00", 0, "chip            believes the issuer"),
        ("51", 1, "chip            believes the issuer"),
        ("forged", 1, "chip            DOES NOT BELIEVE THE ISSUER"),
        ("nothing", 1, "chip            DOES NOT BELIEVE THE ISSUER"),
    ],
)
def test_a_chip_signs_and_says_whether_it_believes_the_issuer(
    answer: str,
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BAYON_CARD_CRYPTOGRAM_KEY", KEY)
    never_say("a key", KEY)

    def issuer(message: Message) -> Message:
        said = parse_chip_data(bytes.fromhex(message.secrets[55].reveal()))
        assert said is not None
        yes = answer != "51"
        key = ChipKey(bytes.fromhex(KEY if answer != "forged" else KEY[16:] + KEY[:16]))
        given = {"pan": PAN, "psn": "00", "response_code": "00" if yes else "51"}
        shown = Secret("910A" + key.answer(said, **given, approved=yes).hex().upper())
        secrets = {} if answer == "nothing" else {55: shown}
        told = answered(message)
        return Message(
            mti=told.mti, fields={**told.fields, 39: given["response_code"]}, secrets=secrets
        )

    words = ("--amount=1", "--chip", "--atc=9", "--cvn=10")
    with host(issuer) as (port, seen):
        assert acquirer(port, "purchase", *words) == code
    out = capsys.readouterr().out
    assert says in out
    assert seen[0].fields[22] == "052"
    assert not {KEY, PAN, seen[0].secrets[55].reveal()} & set(out.split())
    with host(issuer) as (port, _):
        assert acquirer(port, "purchase", *words, "--json") == code
    told = json.loads(capsys.readouterr().out)
    assert (told["approved"], told["chip_believes"]) == (code == 0, "DOES NOT" not in says)


@pytest.mark.parametrize("source", ["environment", "input"])
@pytest.mark.parametrize("place", ['tag = "92"', "at = 12"])
def test_a_printed_code_is_sent_where_the_profile_says_and_shown_nowhere(
    source: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f"[cvv2]\nfield = 48\n{place}\n")
    words: tuple[str, ...] = ("--cvv2", "--amount=1", f"--profile={own}", "--stan=000001")
    monkeypatch.setenv("BAYON_ZONE_PIN_KEY", KEY)
    if source == "environment":
        monkeypatch.setenv("ACQUIRER_CVV2", "407")
    else:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{PAN}\n{PIN}\n407\n"))
        words = (*words, "--pan=-", "--pin")
    with host(answered, str(own)) as (port, seen):
        assert acquirer(port, "purchase", *words) == 0
    said = "9203407" if "tag" in place else f"{'':11}407"
    assert seen[0].secrets[48] == Secret(said)
    out, err = capsys.readouterr()
    assert "Additional data, private              (not shown)" in out
    assert "9203407" not in out + err
    assert " 407\n" not in out


def test_a_track_is_sent_instead_of_the_number(capsys: pytest.CaptureFixture[str]) -> None:
    with host(answered) as (port, seen):
        assert acquirer(port, "purchase", "--amount=1", f"--track2=;{PAN}D2912201000?") == 0
    assert seen[0].secrets[35].reveal() == f"{PAN}=2912201000"
    assert 2 not in seen[0].secrets
    assert PAN not in capsys.readouterr().out


def test_the_link_itself_is_spoken_of() -> None:
    for verb, code in (("sign-on", "001"), ("echo", "301"), ("sign-off", "002")):
        with host(answered) as (port, seen):
            assert acquirer(port, verb) == 0
        assert (seen[0].mti, seen[0].fields[70]) == ("0800", code)


@pytest.mark.parametrize("atc", [None, "0", "65536"])
def test_a_use_of_a_chip_has_its_number(
    atc: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAYON_CARD_CRYPTOGRAM_KEY", KEY)
    words = () if atc is None else (f"--atc={atc}",)
    assert acquirer(1, "purchase", "--amount=1", "--chip", *words) == 2
    says = "Which use of the chip is it?" if atc is None else "A chip counts its uses from 1"
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("code", ["", "12", "1234", "12a", "១២៣", "123\n"])
def test_a_printed_code_has_three_digits_and_another_is_not_said(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[cvv2]\nfield = 48\n")
    monkeypatch.setenv("ACQUIRER_CVV2", code)
    assert acquirer(1, "purchase", "--amount=1", "--cvv2", f"--profile={own}") == 2
    assert capsys.readouterr() == ("", "bayon: A CVV2 has three digits.\n")


def test_a_load_tells_what_came_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cards").write_text(f"{PAN}\n9116001234567809\n")
    short = ("--seconds=1", "--warm-s=0", "--in-flight=4")
    with host(answered) as (port, seen):
        assert acquirer(port, "load", *short, f"--cards={tmp_path / 'cards'}", "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["codes"] == {"00": told["answers"]}
    assert 0 < told["answers"] <= len(seen)
    assert {message.secrets[2].reveal() for message in seen} == {PAN, "9116001234567809"}
    assert {message.fields[4] for message in seen} == {"000000000001"}
    with host(declined) as (port, _):
        assert acquirer(port, "load", *short) == 0
    out = capsys.readouterr().out
    assert "51 insufficient funds" in out
    assert "p99" in out


WRONG = {
    "no card": (("purchase", "--amount=1"), "Which card? --pan, --track2 or ACQUIRER_PAN says it."),
    "decimals": (
        ("purchase", f"--pan={PAN}", "--amount=1.234"),
        "--amount must have at most 2 decimals and twelve digits.",
    ),
    "no number": (
        ("purchase", f"--pan={PAN}", "--amount=NaN"),
        "--amount must be an amount: 12.34.",
    ),
    "below nothing": (
        ("purchase", f"--pan={PAN}", "--amount=-1"),
        "--amount must have at most 2 decimals and twelve digits.",
    ),
    "no decimals in yen": (
        ("purchase", f"--pan={PAN}", "--amount=1.5", "--currency=JPY"),
        "--amount must have at most 0 decimals and twelve digits.",
    ),
    "too much back": (
        (
            "reverse",
            "--amount=2",
            "--original=0100-000001-1120080000-1-A23456789012--000000-100-840-T",
        ),
        "No more can be taken back than there was, and in its currency.",
    ),
    "no amount": (("complete", f"--pan={PAN}"), "How much? --amount says it, or --original."),
    "no key": (
        ("purchase", f"--pan={PAN}", "--amount=1", "--pin"),
        (
            "Under which key? BAYON_ZONE_PIN_KEY says it, or --ready-file names the file that"
            " `bayon dev --ready-file FILE` has written."
        ),
    ),
    "no key of chips": (
        ("purchase", f"--pan={PAN}", "--amount=1", "--chip", "--atc=1"),
        "Of which key is its own? BAYON_CARD_CRYPTOGRAM_KEY or --ready-file says it.",
    ),
    "no place for a code": (
        ("purchase", f"--pan={PAN}", "--amount=1", "--cvv2"),
        "Where does a CVV2 go? --profile names a file whose [cvv2] says it.",
    ),
    "no ready-file": (
        ("echo", "--ready-file=nowhere"),
        "nowhere is no ready-file of a sandbox that runs.",
    ),
    "no cards": (("load", "--cards=nowhere"), "nowhere is no file that can be read."),
    "no number in them": (
        ("load", f"--cards={__file__}"),
        f"{__file__}: a line must be 12 to 19 digits.",
    ),
    "no profile": (
        ("echo", "--profile=nowhere"),
        "nowhere is none of ascii-binary, ascii-hex, bcd, ebcdic, and no file that can be read.",
    ),
}
MISSPELT = {
    "card": (("purchase", "--amount=1", "--pan=12"), "argument --pan: must be 12 to 19 digits"),
    "currency": (
        ("purchase", "--amount=1", "--currency=ABC"),
        "argument --currency: must be three letters of ISO 4217",
    ),
    "expiry": (("purchase", "--amount=1", "--exp=1329"), "argument --exp: must be YYMM"),
    "original": (("reverse", "--original=it"), "argument --original: must be the word on a slip"),
    "amount": (("purchase",), "the following arguments are required: --amount"),
    "two ways": (("load", "--rate=5", "--in-flight=5"), "not allowed with argument"),
}


@pytest.mark.parametrize(("words", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_asked_ends_with_2_before_anything_is_sent(
    words: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACQUIRER_PAN")
    assert acquirer(1, *words) == 2
    assert capsys.readouterr() == ("", f"bayon: {says}\n")


@pytest.mark.parametrize(("words", "says"), MISSPELT.values(), ids=MISSPELT.keys())
def test_what_is_misspelt_ends_with_2_and_the_option(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        acquirer(1, *words)
    assert says in capsys.readouterr().err
