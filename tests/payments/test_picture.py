"""Pictures of QRs: a scanner reads them back, a page can hold them."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from bayon.payments import picture
from bayon.payments.khqr import BadQR

TABLE = Path(__file__).parents[1] / "vectors" / "khqr.txt"
QRS: list[str] = re.findall(r"^qr: (.*)$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
TEXTS = (*QRS, "a@b 5907ភ្នំពេញ", "a@b Café é😀", "ក" * 300)


@pytest.mark.parametrize("text", TEXTS)
def test_png_is_read_back_by_a_scanner(text: str) -> None:
    (code,) = zxingcpp.read_barcodes(Image.open(BytesIO(picture.png(text))))
    assert code.bytes == text.encode()
    assert code.text == text
    assert code.ec_level == "M"


def test_scale_is_pixels_a_module() -> None:
    one, three = (Image.open(BytesIO(picture.png(QRS[0], scale=scale))) for scale in (1, 3))
    assert three.width == one.width * 3


@pytest.mark.parametrize("text", TEXTS)
def test_svg_is_one_well_formed_element(text: str) -> None:
    drawn = picture.svg(text)
    element = ET.fromstring(drawn)  # noqa: S314  # our own
    assert drawn.startswith("<svg ")
    assert element.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in element.attrib


@pytest.mark.parametrize("draw", [picture.png, picture.svg])
def test_what_no_symbol_can_hold_is_a_bad_qr(draw: Callable[[str], object]) -> None:
    with pytest.raises(BadQR):
        draw("a" * 2_400)


@pytest.mark.parametrize("draw", [picture.png, picture.svg])
def test_a_lone_surrogate_is_a_bad_qr(draw: Callable[[str], object]) -> None:
    with pytest.raises(BadQR):
        draw("0002\udc00")
