"""The fields of ISO 8583:1987, as a table: what each is called, made of, and how long.

Nothing here says how a link writes them: that is its profile's. Looked things up in by the codec,
the profiles and the description; the wording is shortened, the numbers are the standard's.

Source: ISO 8583:1987, as the public dialects print it (see docs/network.md).
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

Kind = Literal["n", "an", "ans", "ansb", "ns", "x", "z", "b"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""What a value is made of.

`n` digits; `an` letters, digits and the space that fills up; `ans` printable ASCII; `ansb` what
two parties agreed upon, any byte; `ns` printable without letters; `x` C or D, then digits;
`z` the digits and separators of a track; `b` bytes, which a message holds as upper-case hex.
"""


class Field(NamedTuple):
    """One field. `digits` is how many tell its length: none if that is fixed, else two or three."""

    name: str
    kind: Kind
    digits: int
    size: int
    """Characters, or bytes of kind `b`; at most, if there is a length."""


EXTENDED: Final = 65
"""Announces a third bitmap, which 1987 has no fields for."""

HIDDEN: Final = frozenset({2, 20, 34, 35, 36, 45, 52, 55})
"""Whose content is a card's: number, tracks, PIN block, chip data. Decoded into a `Secret`.

On some links one that is private is so too: see `Profile.hidden`.
"""

_PRIVATE: Final = Field("Reserved", "ansb", 3, 999)

FIELDS: Final[Mapping[int, Field]] = {
    2: Field("Primary account number", "n", 2, 19),
    3: Field("Processing code", "n", 0, 6),
    4: Field("Amount, transaction", "n", 0, 12),
    5: Field("Amount, settlement", "n", 0, 12),
    6: Field("Amount, cardholder billing", "n", 0, 12),
    7: Field("Transmission date and time", "n", 0, 10),
    8: Field("Amount, cardholder billing fee", "n", 0, 8),
    9: Field("Conversion rate, settlement", "n", 0, 8),
    10: Field("Conversion rate, cardholder billing", "n", 0, 8),
    11: Field("System trace audit number", "n", 0, 6),
    12: Field("Time, local transaction", "n", 0, 6),
    13: Field("Date, local transaction", "n", 0, 4),
    14: Field("Date, expiration", "n", 0, 4),
    15: Field("Date, settlement", "n", 0, 4),
    16: Field("Date, conversion", "n", 0, 4),
    17: Field("Date, capture", "n", 0, 4),
    18: Field("Merchant type", "n", 0, 4),
    19: Field("Acquirer's country", "n", 0, 3),
    20: Field("Primary account number's country", "n", 0, 3),
    21: Field("Forwarding institution's country", "n", 0, 3),
    22: Field("Point of service entry mode", "n", 0, 3),
    23: Field("Card sequence number", "n", 0, 3),
    24: Field("Network international identifier", "n", 0, 3),
    25: Field("Point of service condition code", "n", 0, 2),
    26: Field("Point of service PIN capture code", "n", 0, 2),
    27: Field("Approval code's length", "n", 0, 1),
    28: Field("Amount, transaction fee", "x", 0, 9),
    29: Field("Amount, settlement fee", "x", 0, 9),
    30: Field("Amount, transaction processing fee", "x", 0, 9),
    31: Field("Amount, settlement processing fee", "x", 0, 9),
    32: Field("Acquiring institution", "n", 2, 11),
    33: Field("Forwarding institution", "n", 2, 11),
    34: Field("Primary account number, extended", "ns", 2, 28),
    35: Field("Track 2", "z", 2, 37),
    36: Field("Track 3", "z", 3, 104),
    37: Field("Retrieval reference number", "an", 0, 12),
    38: Field("Approval code", "an", 0, 6),
    39: Field("Response code", "an", 0, 2),
    40: Field("Service restriction code", "an", 0, 3),
    41: Field("Terminal", "ans", 0, 8),
    42: Field("Card acceptor", "ans", 0, 15),
    43: Field("Card acceptor's name and place", "ans", 0, 40),
    44: Field("Additional response data", "ans", 2, 25),
    45: Field("Track 1", "ans", 2, 76),
    46: Field("Additional data, ISO", "ansb", 3, 999),
    47: Field("Additional data, national", "ansb", 3, 999),
    48: Field("Additional data, private", "ansb", 3, 999),
    49: Field("Currency, transaction", "n", 0, 3),
    50: Field("Currency, settlement", "n", 0, 3),
    51: Field("Currency, cardholder billing", "n", 0, 3),
    52: Field("PIN block", "b", 0, 8),
    53: Field("Security control information", "n", 0, 16),
    54: Field("Additional amounts", "an", 3, 120),
    55: Field("Chip data", "b", 3, 255),
    **dict.fromkeys(range(56, 64), _PRIVATE),
    64: Field("Message authentication code", "b", 0, 8),
    66: Field("Settlement code", "n", 0, 1),
    67: Field("Extended payment code", "n", 0, 2),
    68: Field("Receiving institution's country", "n", 0, 3),
    69: Field("Settlement institution's country", "n", 0, 3),
    70: Field("Network management code", "n", 0, 3),
    71: Field("Message number", "n", 0, 4),
    72: Field("Message number, last", "n", 0, 4),
    73: Field("Date, action", "n", 0, 6),
    74: Field("Credits, number", "n", 0, 10),
    75: Field("Credits, reversal, number", "n", 0, 10),
    76: Field("Debits, number", "n", 0, 10),
    77: Field("Debits, reversal, number", "n", 0, 10),
    78: Field("Transfers, number", "n", 0, 10),
    79: Field("Transfers, reversal, number", "n", 0, 10),
    80: Field("Inquiries, number", "n", 0, 10),
    81: Field("Authorisations, number", "n", 0, 10),
    82: Field("Credits, processing fee", "n", 0, 12),
    83: Field("Credits, transaction fee", "n", 0, 12),
    84: Field("Debits, processing fee", "n", 0, 12),
    85: Field("Debits, transaction fee", "n", 0, 12),
    86: Field("Credits, amount", "n", 0, 16),
    87: Field("Credits, reversal, amount", "n", 0, 16),
    88: Field("Debits, amount", "n", 0, 16),
    89: Field("Debits, reversal, amount", "n", 0, 16),
    90: Field("Original data elements", "n", 0, 42),
    91: Field("File update code", "an", 0, 1),
    92: Field("File security code", "n", 0, 2),
    93: Field("Response indicator", "n", 0, 5),
    94: Field("Service indicator", "an", 0, 7),
    95: Field("Replacement amounts", "an", 0, 42),
    96: Field("Message security code", "b", 0, 8),
    97: Field("Amount, net settlement", "x", 0, 17),
    98: Field("Payee", "ans", 0, 25),
    99: Field("Settlement institution", "n", 2, 11),
    100: Field("Receiving institution", "n", 2, 11),
    101: Field("File name", "ans", 2, 17),
    102: Field("Account identification 1", "ans", 2, 28),
    103: Field("Account identification 2", "ans", 2, 28),
    104: Field("Transaction description", "ansb", 3, 100),
    **dict.fromkeys(range(105, 128), _PRIVATE),
    128: Field("Message authentication code", "b", 0, 8),
}

PRIVATE: Final = frozenset(number for number, field in FIELDS.items() if field.kind == "ansb")
"""What two parties agree upon."""
