"""The picture of a QR, for pages and the command line. Draws any text that fits; judges none.

Source: ISO/IEC 18004; KHQR Content Guideline 1.4 (error correction level M).
"""

from io import BytesIO
from typing import Final

import segno

from bayon.payments.tlv import TEXT_UNITS_MAX, bad, utf8

_QUIET_ZONE_MODULES: Final = 4


def png(text: str, scale: int = 8) -> bytes:
    """Draw `text` as a PNG, `scale` pixels a module, quiet zone included.

    Errors: `BadQR` when `text` is no Unicode text or does not fit into a QR symbol.
    """
    out = BytesIO()
    _symbol(text).save(out, kind="png", scale=scale, border=_QUIET_ZONE_MODULES)
    return out.getvalue()


def svg(text: str) -> str:
    """Draw `text` as an SVG, for a file or inside an HTML page; whoever shows it gives its size.

    It brings its own white ground, so that it can be scanned on a dark page.
    Errors: `BadQR` when `text` is no Unicode text or does not fit into a QR symbol.
    """
    out = BytesIO()
    _symbol(text).save(
        out,
        kind="svg",
        border=_QUIET_ZONE_MODULES,
        omitsize=True,
        light="white",
        title="KHQR",
        xmldecl=False,
        nl=False,
    )
    return out.getvalue().decode()


def _symbol(text: str) -> segno.QRCode:
    # Long input is refused before the encoder spends time on it.
    if len(text) > TEXT_UNITS_MAX:
        raise bad("", "The text is too long for a QR.", "too_long")
    # Bytes, because left to itself the encoder writes Latin letters in ISO 8859-1 and wallets,
    # as the CRC does, read UTF-8.
    content = utf8(text)
    try:
        return segno.make_qr(content, error="m", encoding="utf-8", boost_error=False)
    except (segno.DataOverflowError, ValueError) as error:
        raise bad("", "The text does not fit into a QR.", "too_long") from error
