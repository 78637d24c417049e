"""Names on plastic: Latin capitals, and nothing that somebody would have to guess."""

import string
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.cards.emboss import emboss, name_on_track

MAY_STAND: Final = frozenset(string.ascii_uppercase + string.digits + " '-")


@pytest.mark.parametrize(
    ("name", "embossed"),
    [
        ("Tang Dara", "TANG DARA"),
        ("  tang \t dara ", "TANG DARA"),
        ("José Núñez-Ibáñez", "JOSE NUNEZ-IBANEZ"),
        ("Jose\u0301", "JOSE"),
        ("Øystein Ångström", "OYSTEIN ANGSTROM"),
        ("Łukasz Đặng", "LUKASZ DANG"),
        ("Strauß", "STRAUSS"),
        ("D\u2019Arc O'Neil", "D'ARC O'NEIL"),
        ("Anne\u2011Marie", "ANNE-MARIE"),
        ("J. Smith, Jr.", "J SMITH JR"),
        ("Tang/Dara^%?;=", "TANG DARA"),
        ("\uff34\uff41\uff4e\uff47 3rd", "TANG 3RD"),
        ("Abcdefghij Klmnopqrst Uvwxyz", "ABCDEFGHIJ KLMNOPQRST UVWX"),
        ("Abcdefghij Klmnopqrst Uvw Xyz", "ABCDEFGHIJ KLMNOPQRST UVW"),
        ("តាំង តារា", None),
        ("Dara តារា", None),
        ("Дара", None),
        ("ตั้ง", None),
        ("Dara \u17e1", None),  # a Khmer digit
        ("\u00b2", None),  # a digit, and no letter
        ("12", None),
        ("'-", None),
        ("", None),
    ],
)
def test_a_name_is_embossed_in_latin_capitals_or_not_at_all(
    name: str, embossed: str | None
) -> None:
    assert emboss(name) == embossed


@given(st.text(max_size=60))
def test_whatever_a_name_is_it_fits_and_breaks_no_track(name: str) -> None:
    embossed = emboss(name)
    if embossed is None:
        return
    assert 0 < len(embossed) <= 26
    assert set(embossed) <= MAY_STAND
    assert embossed == embossed.strip()
    assert emboss(embossed) == embossed
    on_track = name_on_track(embossed)
    assert on_track[:-1] == embossed[:25].rstrip()
    assert on_track[-1] == "/"
    assert 2 <= len(on_track) <= 26
