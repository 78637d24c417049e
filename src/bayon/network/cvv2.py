"""The code printed on a card, as the private field of a network has it: found, and written.

Pure. It comes and goes as a `Secret`, and so does the field it stands in.

Source: Mastercard's 48.92 (tags) and Visa's 126.10 (a place), as public pages of processors tell.
"""

import re
from typing import Final

from bayon.log import Secret
from bayon.network.profile import CVV2_SIZE, TAG_HEAD_SIZE, TAG_SIZE, Cvv2Field
from bayon.network.wire import Unreadable

_CODE: Final = re.compile(rf"[0-9]{{{CVV2_SIZE}}}")
_TAG_HEAD: Final = re.compile(rf"[0-9]{{{TAG_HEAD_SIZE}}}")


def read(data: Secret, place: Cvv2Field) -> Secret | None:
    """Find the code in its field; None where none is said: the field ends before, or has blanks.

    Errors: `Unreadable` when what stands there is no code, or the tags before it are none.
    """
    text = data.reveal()[place.at - 1 :]
    code = text[:CVV2_SIZE] if place.tag is None else _tagged(text, place.tag)
    if not code.strip(" "):
        return None
    if not _CODE.fullmatch(code):
        raise Unreadable(f"has not {CVV2_SIZE} digits where a card's code stands")
    return Secret(code)


def write(code: Secret, place: Cvv2Field, *, size: int) -> Secret:
    """Write the field with nothing but the code in it; `size` is its length, 0 if that varies."""
    head = "" if place.tag is None else f"{place.tag}{CVV2_SIZE:02}"
    return Secret(f"{' ' * (place.at - 1)}{head}{code.reveal()}".ljust(size))


def _tagged(text: str, tag: str) -> str:
    """Find a tag's value; nothing if it is not there."""
    while text.strip(" "):
        head = text[:TAG_HEAD_SIZE]
        end = TAG_HEAD_SIZE + int(head[TAG_SIZE:]) if _TAG_HEAD.fullmatch(head) else len(text) + 1
        if end > len(text):
            raise Unreadable("has no tags where they should be, or a length beyond its end")
        if head[:TAG_SIZE] == tag:
            return text[TAG_HEAD_SIZE:end]
        text = text[end:]
    return ""
