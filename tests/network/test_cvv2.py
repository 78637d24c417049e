"""The printed code in its field: what is written is found; any text has one, none, or is bad."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.log import Secret
from bayon.network import cvv2
from bayon.network.profile import Cvv2Field
from bayon.network.wire import Unreadable

CODES = st.integers(0, 999).map("{:03}".format)
PLACES = st.builds(Cvv2Field, st.just(48), st.integers(1, 30), st.sampled_from([None, "92", "00"]))
TEXTS = st.one_of(
    st.text(alphabet=st.characters(max_codepoint=255)),
    st.text(alphabet="0129 "),
    st.from_regex(r"(?:(?:92|00|42)03[0-9 ]{3}|4200|920[0-4].){1,5}.?", fullmatch=True),
)


@given(code=CODES, place=PLACES, size=st.sampled_from([0, 50]))
def test_what_is_written_is_found(code: str, place: Cvv2Field, size: int) -> None:
    written = cvv2.write(Secret(code), place, size=size)
    assert cvv2.read(written, place) == Secret(code)
    least = place.at - 1 + (3 if place.tag is None else 7)
    assert len(written.reveal()) == (size or least)


@given(text=TEXTS, place=PLACES)
def test_any_text_has_a_code_none_or_is_bad(text: str, place: Cvv2Field) -> None:
    with contextlib.suppress(Unreadable):
        found = cvv2.read(Secret(text), place)
        assert found is None or found.reveal() in text
        assert found is None or (found.reveal().isascii() and len(found.reveal()) == 3)
        assert found is None or found.reveal().isdecimal()


def test_an_error_tells_no_content() -> None:
    for place, text in ((Cvv2Field(48, 1, None), "9x7"), (Cvv2Field(48, 1, "92"), "92039x7")):
        with pytest.raises(Unreadable) as caught:
            cvv2.read(Secret(text), place)
        assert "9x7" not in f"{caught.value} {caught.value!r}"
