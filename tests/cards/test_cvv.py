"""CVVs and track 2: as another program calculates them, where they stand, and where they do not."""

import secrets
from dataclasses import replace
from typing import Final

import pytest

from bayon.cards import Track2, Vault
from bayon.cards.cvv import CvvKey
from bayon.cards.pin import PvvKey
from bayon.log import Secret
from cards.oracles import CASES, cardutil_pvv, digits, psec_check_value, psec_cvv_of, psec_pvv
from cards_factories import VAULT, VAULT_KEYS

PAN: Final = Secret("4111111111111111")
KHMER: Final = "\u17e1\u17e2\u17e3"


# Against other programs.


def test_a_cvv_is_what_another_program_calculates() -> None:
    different: list[tuple[str, ...]] = []
    for _ in range(CASES):
        key = secrets.token_bytes(16)
        pan, service_code = digits(secrets.choice(range(12, 20))), digits(3)
        year, month = secrets.randbelow(100), 1 + secrets.randbelow(12)
        ours = CvvKey(key).cvv(
            pan=pan, exp_year=2000 + year, exp_month=month, service_code=service_code
        )
        theirs = psec_cvv_of(key, pan, f"{year:02}{month:02}", service_code)
        if len(ours) != 3 or not theirs or not ours.startswith(theirs):
            different.append((key.hex(), pan, f"{year:02}{month:02}", service_code))
    assert not different


def test_a_pvv_is_what_two_other_programs_calculate() -> None:
    different: list[tuple[str, str, str]] = []
    for _ in range(CASES):
        key = secrets.token_bytes(16)
        pan, pin = digits(secrets.choice(range(12, 20))), digits(4)
        ours = PvvKey(key).pvv(pan=pan, pin=pin)
        if not ours == psec_pvv(key, pan, pin) == cardutil_pvv(key, pan, pin):
            different.append((key.hex(), pan, pin))
    assert not different


def test_check_values_are_what_another_program_calculates() -> None:
    for _ in range(100):
        key = secrets.token_bytes(16)
        theirs = psec_check_value(key)
        assert (CvvKey(key).check_value(), PvvKey(key).check_value()) == (theirs, theirs)


# As printed.


@pytest.mark.parametrize(
    ("key", "pan", "expiry", "service_code", "expected"),
    [
        # psec's documentation, and the example manuals of HSMs print.
        ("0123456789ABCDEFFEDCBA9876543210", "1234567890123456", "9912", "220", "170"),
        ("0123456789ABCDEFFEDCBA9876543210", "4123456789012345", "8701", "101", "561"),
    ],
)
def test_a_cvv_is_as_it_is_printed(
    key: str, pan: str, expiry: str, service_code: str, expected: str
) -> None:
    cvv = CvvKey(bytes.fromhex(key)).cvv(
        pan=pan,
        exp_year=1900 + int(expiry[:2]),
        exp_month=int(expiry[2:]),
        service_code=service_code,
    )
    assert cvv == expected


# Tracks.


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111=30122010000012",  # shorter than a CVV's place
        "4111111111111111=3012201",
        "4111111111111111D3012201",
        *("4111111111111111=301220100000123", "4111111111111111D301220100000123F"),
        *(";4111111111111111=301220100000123?", "4111111111111111=3012201000001234567"),
    ],
)
def test_a_track_is_read_in_each_of_its_forms(text: str) -> None:
    track = VAULT.read_track_2(Secret(text))
    assert track is not None
    assert (track.pan, track.exp_year, track.exp_month) == (PAN, 2030, 12)
    assert track.service_code == "201"
    assert track.cvv == (Secret("123") if "00000123" in text else None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "=", "4111111111111111", "4111111111111111=", "4111111111111111=3012"),
        *("4111111111111111=301", "4111111111111111=30132010000123", "41111111111=3012201"),
        *("4111111111111111=30002010000123", "41111111111111111111=3012201"),
        *("4111111111111111==2010000123", "4111111111111111=3012201000012A", "B4111=3012201"),
        *("%B4111111111111111^DOE/JOHN^3012201", "4111111111111111 3012201", KHMER * 12),
        *("4111111111111111=3012201\n", "4111111111111111=3012201??", "9" * 100_000),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_what_is_no_track_is_not_read(text: str) -> None:
    assert VAULT.read_track_2(Secret(text)) is None


@pytest.mark.parametrize("chip", [False, True])
@pytest.mark.parametrize("pan", ["501800000009", "4111111111111111", "6205500000000000004"])
def test_a_track_that_was_written_is_read_and_its_cvv_is_right(pan: str, *, chip: bool) -> None:
    text = VAULT.track_2(Secret(pan), exp_year=2031, exp_month=2, pvv="6264", chip=chip)
    assert text.reveal()[: len(pan) + 13] == f"{pan}=310220116264"
    assert len(text.reveal()) <= 37
    track = _read(text)
    assert track == Track2(
        pan=Secret(pan), exp_year=2031, exp_month=2, service_code="201", cvv=track.cvv
    )
    assert VAULT.is_cvv(track, chip=chip)


def test_a_chips_cvv_is_wrong_on_a_stripe_and_a_stripes_on_a_chip() -> None:
    for chip in (False, True):
        track = _read(VAULT.track_2(PAN, exp_year=2031, exp_month=2, chip=chip))
        assert not VAULT.is_cvv(track, chip=not chip)


def test_one_cvv_of_a_thousand_is_right_and_it_is_of_all_that_the_track_says() -> None:
    track = _read(VAULT.track_2(PAN, exp_year=2031, exp_month=2))
    cvvs = [f"{cvv:03}" for cvv in range(1_000)]
    right = [cvv for cvv in cvvs if VAULT.is_cvv(replace(track, cvv=Secret(cvv)), chip=False)]
    assert [Secret(cvv) for cvv in right] == [track.cvv]
    changed = (
        replace(track, pan=Secret("4111111111111112")),
        replace(track, exp_year=2032),
        replace(track, exp_month=3),
        replace(track, service_code="101"),
    )
    assert not all(VAULT.is_cvv(other, chip=False) for other in changed)


@pytest.mark.parametrize("cvv", ["", "1", "12", "1234", KHMER, "12a", "\0\0\0"])
def test_what_is_no_cvv_is_wrong(cvv: str) -> None:
    track = _read(VAULT.track_2(PAN, exp_year=2031, exp_month=2))
    assert not VAULT.is_cvv(replace(track, cvv=Secret(cvv)), chip=False)
    assert not VAULT.is_cvv2(PAN, Secret(cvv), exp_year=2031, exp_month=2)


def test_a_track_without_a_cvv_has_none_that_is_right() -> None:
    assert not VAULT.is_cvv(_read(Secret("4111111111111111=3012201")), chip=False)


def test_a_cvv2_is_right_for_its_card_and_expiry_and_is_no_other_cvv() -> None:
    cvv2 = VAULT.cvv2(PAN, exp_year=2031, exp_month=2)
    assert VAULT.is_cvv2(PAN, cvv2, exp_year=2031, exp_month=2)
    cards = [VAULT.make_pan("91160000") for _ in range(50)]
    alike = [VAULT.is_cvv2(card, cvv2, exp_year=2031, exp_month=2) for card in cards]
    assert sum(alike) < 5
    key = CvvKey(bytes.fromhex(VAULT_KEYS.card_verification_key.reveal()))
    values = {
        key.cvv(pan=PAN.reveal(), exp_year=2031, exp_month=2, service_code=service_code)
        for service_code in ("000", "201", "999")
    }
    assert len(values) == 3
    assert cvv2.reveal() in values


def test_another_key_makes_other_cvvs() -> None:
    other = Vault(replace(VAULT_KEYS, card_verification_key=Secret(secrets.token_hex(16))))
    tracks = [
        _read(VAULT.track_2(VAULT.make_pan("91160000"), exp_year=2031, exp_month=2))
        for _ in range(50)
    ]
    assert sum(other.is_cvv(track, chip=False) for track in tracks) < 5


def test_neither_tracks_nor_cvvs_show_themselves() -> None:
    text = VAULT.track_2(PAN, exp_year=2031, exp_month=2)
    cvv2 = VAULT.cvv2(PAN, exp_year=2031, exp_month=2)
    shown = f"{text} {text!r} {_read(text)} {_read(text)!r} {cvv2} {cvv2!r}"
    for told in ("4111", cvv2.reveal(), (_read(text).cvv or cvv2).reveal()):
        assert told not in shown


def _read(text: Secret) -> Track2:
    track = VAULT.read_track_2(text)
    assert track is not None
    return track
