"""Key-value pairs that API clients attach to things: their limits, and how changes merge. Pure."""

from typing import Final

from bayon.cards.model import BadAttributes, Texts

KEYS_MAX: Final = 50
KEY_LENGTH_MAX: Final = 40
VALUE_LENGTH_MAX: Final = 500


def merged(before: Texts, changes: Texts, *, pointer: str) -> Texts:
    """Merge changes into what was there: a key with null goes, every other comes or is replaced.

    Errors: `BadAttributes` at the pointer when too many keys would be there.
    """
    after = {**before, **changes}
    kept = {key: value for key, value in after.items() if value is not None}
    if len(kept) > KEYS_MAX:
        raise BadAttributes.at(pointer, f"must have at most {KEYS_MAX} keys")
    return kept
