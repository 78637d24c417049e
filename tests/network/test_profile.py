"""Profiles: four that are shipped, one's own, and every way to get one wrong, by its key."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.network.fields import FIELDS, HIDDEN
from bayon.network.frame import Framing
from bayon.network.iso8583 import decode, encode
from bayon.network.profile import (
    DEFAULT_PROFILE,
    RESPONSE_CODES,
    SHIPPED,
    BadProfile,
    load_profile,
    parse,
)
from network.samples import PROFILES, VECTORS

OWN = """
version = "1987"
charset = "cp500"
mti = "bcd"
bitmap = "hex"
numbers = "bcd"
lengths = "binary"
binary = "hex"
pad = "right"
inquiry = ["30", "31"]

[framing]
length = "bcd-2"
tpdu = true
size_max = 2048

[fields.48]
kind = "ans"
length = "LL"
size = 90

[fields.35]
encoding = "text"
lengths = "text"
pad = "left"

[mandatory]
0100 = [3, 4, "2|35|34"]
0420 = [90]

[key_exchange]
field = 63

[cvv2]
field = 126
at = 2
tag = "92"

[response_codes]
card_canceled = "14"
cvv_wrong = "N7"
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_profile_knows_every_field_of_1987(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.framing == Framing()
    assert profile.wires.keys() == FIELDS.keys() == {*range(2, 129)} - {65}
    assert (
        profile.required("0100") == profile.required("0101") == ((2, 35), (3,), (4,), (11,), (49,))
    )
    assert profile.required("0200") == profile.required("0201") != ()
    assert profile.required("0110") == profile.required("0800") == ()
    assert profile.inquiry == ("31",)
    assert profile.key_exchange is profile.cvv2 is None
    assert profile.hidden == HIDDEN
    assert profile.response_codes == RESPONSE_CODES


def test_the_default_is_the_one_without_surprises() -> None:
    assert load_profile(DEFAULT_PROFILE).wires == parse("", name="empty").wires


def test_ones_own_profile_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "switch.toml"
    path.write_text(OWN)
    profile = load_profile(str(path))
    assert profile.name == "switch"
    assert profile.framing == Framing(length="bcd-2", tpdu=True, size_max=2048)
    assert (profile.charset, profile.mti, profile.bitmap) == ("cp500", "bcd", "hex")
    assert profile.wires[48] == (48, "ans", 2, 90, "text", "binary", "right")
    assert profile.wires[35] == (35, "z", 2, 37, "text", "text", "left")
    assert profile.wires[52] == (52, "b", 0, 8, "hex", "binary", "right")
    assert profile.wires[4] == (4, "n", 0, 12, "bcd", "binary", "right")
    assert profile.required("0101") == ((3,), (4,), (2, 35, 34))
    assert profile.required("0421") == ((90,),)
    assert profile.required("0200") != ()
    assert profile.inquiry == ("30", "31")
    assert profile.key_exchange == ("161", 63)
    assert parse('[key_exchange]\ncode = "101"', name="own").key_exchange == ("101", 125)
    assert profile.cvv2 == (126, 2, "92")
    assert profile.hidden == HIDDEN | {126}
    assert parse("[cvv2]\nfield = 48", name="own").cvv2 == (48, 1, None)
    assert parse("[cvv2]\nfield = 63\nat = 997", name="own").cvv2 == (63, 997, None)
    assert profile.response_codes["card_canceled"] == "14"
    assert profile.response_codes["cvv_wrong"] == "N7"
    assert profile.response_codes["approved"] == "00"


@pytest.mark.parametrize("name", VECTORS)
def test_messages_go_through_ones_own_profile_and_come_back(name: str) -> None:
    message, _ = VECTORS[name]
    profile = parse(OWN, name="own")
    assert decode(encode(message, profile), profile) == message


WRONG = {
    'charset = "utf-8"': "charset",
    "colour = 1": "colour",
    'version = "1993"': "version",
    "charset = 1": "charset",
    "framing = 2": "framing",
    "[framing]\nlength = 2": "framing.length",
    "[framing]\nheader = 2": "framing.header",
    "[framing]\ntpdu = 1": "framing.tpdu",
    "[framing]\nsize_max = 0": "framing.size_max",
    "[framing]\nsize_max = true": "framing.size_max",
    '[framing]\nlength = "ascii-4"\nsize_max = 10000': "framing.size_max",
    "fields = []": "fields",
    "[fields.65]": "fields.65",
    "[fields.1]": "fields.1",
    "[fields.129]": "fields.129",
    "[fields.pan]": "fields.pan",
    "fields.2 = 1": "fields.2",
    "[fields.2]\nwidth = 1": "fields.2.width",
    '[fields.2]\nencoding = "hex"': "fields.2.encoding",
    '[fields.52]\nencoding = "text"': "fields.52.encoding",
    '[fields.41]\nencoding = "bcd"': "fields.41.encoding",
    '[fields.2]\nkind = "pan"': "fields.2.kind",
    '[fields.43]\nkind = "ansb"': "fields.43.kind",
    '[fields.2]\nlength = "LLLL"': "fields.2.length",
    "[fields.2]\nsize = 100": "fields.2.size",
    "[fields.2]\nsize = -1": "fields.2.size",
    '[fields.55]\nencoding = "hex"\nsize = 500': "fields.55.size",
    '[fields.48]\nlength = "LL"': "fields.48.size",
    '[fields.2]\npad = "both"': "fields.2.pad",
    '[fields.2]\nlengths = "hex"': "fields.2.lengths",
    "[mandatory]\n0100 = 2": "mandatory.0100",
    "[mandatory]\n0100 = [1]": "mandatory.0100",
    '[mandatory]\n0100 = ["2,3"]': "mandatory.0100",
    "[mandatory]\n1100 = [2]": "mandatory.1100",
    "[mandatory]\nx = [2]": "mandatory.x",
    "key_exchange = true": "key_exchange",
    "[key_exchange]\ncode = 161": "key_exchange.code",
    '[key_exchange]\ncode = "301"': "key_exchange.code",
    '[key_exchange]\ncode = "1611"': "key_exchange.code",
    "[key_exchange]\nfield = 65": "key_exchange.field",
    "[key_exchange]\nfield = 96": "key_exchange.field",
    "[key_exchange]\nfield = 129": "key_exchange.field",
    "[key_exchange]\nfield = 2": "key_exchange.field",
    "[key_exchange]\n[fields.125]\nsize = 111": "key_exchange.field",
    "[key_exchange]\nkey = 1": "key_exchange.key",
    "[cvv2]": "cvv2.field",
    '[cvv2]\nfield = "48"': "cvv2.field",
    "[cvv2]\nfield = 129": "cvv2.field",
    "[cvv2]\nfield = 65": "cvv2.field",
    "[cvv2]\nfield = 2\nat = 9": "cvv2.field",
    "[cvv2]\nfield = 43": "cvv2.field",
    '[cvv2]\nfield = 48\n[fields.48]\nkind = "b"\nsize = 99': "cvv2.field",
    '[cvv2]\nfield = 48\n[fields.48]\nkind = "n"': "cvv2.field",
    "[cvv2]\nfield = 48\n[fields.48]\nsize = 2": "cvv2.field",
    '[cvv2]\nfield = 48\ntag = "92"\n[fields.48]\nsize = 6': "cvv2.field",
    "[cvv2]\nfield = 125\n[key_exchange]": "cvv2.field",
    "[cvv2]\nfield = 48\nat = 0": "cvv2.at",
    "[cvv2]\nfield = 48\nat = 998": "cvv2.at",
    '[cvv2]\nfield = 48\nat = 994\ntag = "92"': "cvv2.at",
    "[cvv2]\nfield = 48\ntag = 92": "cvv2.tag",
    '[cvv2]\nfield = 48\ntag = ""': "cvv2.tag",
    '[cvv2]\nfield = 48\ntag = "092"': "cvv2.tag",
    "[cvv2]\nfield = 48\nsize = 4": "cvv2.size",
    'inquiry = "31"': "inquiry",
    'inquiry = ["310000"]': "inquiry",
    "[response_codes]\napproved = 0": "response_codes.approved",
    '[response_codes]\napproved = "000"': "response_codes.approved",
    '[response_codes]\nno_reason = "05"': "response_codes.no_reason",
    '[response_codes]\ncvv_wrong = "N7"\n[fields.39]\nkind = "n"': "response_codes.cvv_wrong",
}


@pytest.mark.parametrize(("text", "path"), WRONG.items(), ids=WRONG.keys())
def test_what_is_wrong_is_told_by_its_key(text: str, path: str) -> None:
    with pytest.raises(BadProfile) as caught:
        parse(text, name="own")
    assert [problem.pointer for problem in caught.value.problems] == [path]
    assert caught.value.problems[0].message.startswith(f"{path} ")


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(BadProfile) as caught:
        parse('a = 1\ncvv2 = 48\ncharset = "x"\n[fields.2]\nb = 1\n[framing]\nc = 1', name="own")
    pointers = {problem.pointer for problem in caught.value.problems}
    assert pointers == {"a", "charset", "cvv2", "cvv2.field", "fields.2.b", "framing.c"}


@pytest.mark.parametrize("text", ["= 1", "a = 1\na = 2", "[" * 5_000, "a = " + "[" * 30_000])
def test_what_is_no_toml_is_told(text: str) -> None:
    with pytest.raises(BadProfile):
        parse(text, name="own")


def test_what_is_no_profile_and_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text("#" * 100_000)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    for name in ("ascii", "../profiles/bcd", str(tmp_path), *map(str, tmp_path.iterdir()), "\0"):
        with pytest.raises(BadProfile):
            load_profile(name)


KEYS = [
    "charset",
    "framing",
    "framing.length",
    "fields",
    "fields.2",
    "fields.2.size",
    "fields.99.length",
    "mandatory",
    "mandatory.0100",
    "inquiry",
    "key_exchange",
    "key_exchange.field",
    "cvv2",
    "cvv2.field",
    "cvv2.tag",
    "response_codes.approved",
    "pad.x",
]
VALUES = [
    "0",
    "-1",
    "99",
    "true",
    "1.5",
    "nan",
    "1979-05-27",
    '""',
    '"LL"',
    '"bcd"',
    '"00"',
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    '["31", 2]',
    "{length = 1}",
    "{2 = {size = 5}}",
    "{0100 = [2]}",
]
LINES = st.builds("{} = {}".format, st.sampled_from(KEYS), st.sampled_from(VALUES))


@given(st.lists(LINES, max_size=4))
def test_any_toml_is_a_profile_or_bad(lines: list[str]) -> None:
    with contextlib.suppress(BadProfile):
        profile = parse("\n".join(lines), name="any")
        assert decode(encode(VECTORS["sign-on"][0], profile), profile) == VECTORS["sign-on"][0]


def test_profiles_are_compared_by_identity() -> None:
    assert PROFILES["bcd"] != load_profile("bcd")
