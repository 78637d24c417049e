"""The ledger: the truth about money. Knows no card, no QR and no API.

Rooms above load a `Book`, decide on it command by command, and save it; or use the plural verbs.
"""

from bayon.ledger.book import Book
from bayon.ledger.check import Finding, check
from bayon.ledger.model import Account, Balance, Decline, Hold, Transfer
from bayon.ledger.posting import (
    Capture,
    Expire,
    OpenAccount,
    PlaceHold,
    Post,
    Release,
    balance,
    capture,
    causes,
    expire,
    hold,
    load,
    moved,
    named_accounts,
    open_account,
    open_holds,
    post,
    release,
    save,
)

__all__ = [
    "Account",
    "Balance",
    "Book",
    "Capture",
    "Decline",
    "Expire",
    "Finding",
    "Hold",
    "OpenAccount",
    "PlaceHold",
    "Post",
    "Release",
    "Transfer",
    "balance",
    "capture",
    "causes",
    "check",
    "expire",
    "hold",
    "load",
    "moved",
    "named_accounts",
    "open_account",
    "open_holds",
    "post",
    "release",
    "save",
]
