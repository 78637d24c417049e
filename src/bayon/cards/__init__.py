"""Cards: issuers, cardholders, accounts, cards, and what moves on them. Knows no wire."""

from bayon.cards import document
from bayon.cards.accounts import OpenCardAccount, open_accounts, update_account
from bayon.cards.advise import Advise
from bayon.cards.authorize import Authorize, Inquire, Proof, response_code
from bayon.cards.cardholders import CreateCardholder, create_cardholders, update_cardholder
from bayon.cards.change import Expire, Increment, Reverse
from bayon.cards.check import check
from bayon.cards.chip import ChipData, ChipProof
from bayon.cards.chip_card import ChipCard
from bayon.cards.clearing import Clear, Present
from bayon.cards.clearing_csv import read_clearing_csv
from bayon.cards.clearing_import import (
    Readied,
    begin_clearing,
    clear_records,
    clearing_file,
    clearing_files,
    finish_clearing,
    ready_records,
    was_imported,
)
from bayon.cards.clearing_ipm import BLOCKINGS, ENCODINGS, is_ipm, read_ipm
from bayon.cards.clearing_store import Entry, ImportedFile
from bayon.cards.control import find_controls, recount, update_controls
from bayon.cards.controls import Controlled, Controls
from bayon.cards.cvv import Track2
from bayon.cards.desk import Desk
from bayon.cards.find import (
    Filters,
    Wanted,
    find_account,
    find_card,
    find_cardholder,
    find_transaction,
    list_accounts,
    list_cardholders,
    list_cards,
    list_transactions,
    related,
)
from bayon.cards.issue import ImportCard, IssueCard, import_card
from bayon.cards.issuers import (
    BIN_DEFAULT,
    FEES,
    NewDecider,
    add_issuer,
    find_issuer,
    find_issuer_by_name,
    issuers,
    update_issuer,
)
from bayon.cards.key_block import BadKeyBlock, KeyBlockKey, read_key, wrap_key
from bayon.cards.lifecycle import CreateToken, update_card
from bayon.cards.loaded import Move
from bayon.cards.merchants import categories, category_of, mcc_of
from bayon.cards.model import (
    Account,
    BadAttributes,
    Card,
    CardAccountNotFound,
    Cardholder,
    CardholderNotFound,
    CardNotFound,
    CardStatus,
    CardType,
    Decider,
    Decline,
    FeeRule,
    Issuer,
    IssuerExists,
    IssuerNotFound,
    ManagementToken,
    Merchant,
    NotPending,
    PanTaken,
    TokenType,
    TokenVoid,
    Trace,
    Transaction,
    TransactionNotFound,
)
from bayon.cards.move import move
from bayon.cards.open_item_store import OpenItem
from bayon.cards.open_items import (
    NotLinkable,
    OpenItemNotFound,
    close_item,
    link_item,
    open_items,
)
from bayon.cards.original import Original
from bayon.cards.pin import WeakPin
from bayon.cards.pin_block import PinFormat, ZonePinKey, encipher_pin_block
from bayon.cards.presentment import FILE_SIZE_MAX as CLEARING_FILE_SIZE_MAX
from bayon.cards.presentment import ClearingFile, Total
from bayon.cards.production import (
    BureauFile,
    Exported,
    card_batches,
    export_again,
    export_cards,
    note_written,
)
from bayon.cards.production_store import CardBatch
from bayon.cards.rate_file import FILE_SIZE_MAX as RATES_FILE_SIZE_MAX
from bayon.cards.rate_file import read_rate, read_rates
from bayon.cards.rate_table import list_rates, set_rates
from bayon.cards.rates import (
    NewRate,
    Rate,
    billing_for_clearing,
    billing_for_hold,
    read_conversion_rate,
    write_conversion_rate,
)
from bayon.cards.recipient import Recipient
from bayon.cards.redeem import HolderLink, look_up, redeem
from bayon.cards.review import Policy, decide_review, waiting_for_review
from bayon.cards.rotate import reseal, sealed_under
from bayon.cards.till import Moved
from bayon.cards.topup import Topup
from bayon.cards.vault import BadPan, BadPin, Vault, VaultKeys
from bayon.cards.zone_key_store import SentKey, newest_sent_keys, sent_keys
from bayon.cards.zone_keys import KeySentBefore, keep_sent_key

__all__ = [
    "BIN_DEFAULT",
    "BLOCKINGS",
    "CLEARING_FILE_SIZE_MAX",
    "ENCODINGS",
    "FEES",
    "RATES_FILE_SIZE_MAX",
    "Account",
    "Advise",
    "Authorize",
    "BadAttributes",
    "BadKeyBlock",
    "BadPan",
    "BadPin",
    "BureauFile",
    "Card",
    "CardAccountNotFound",
    "CardBatch",
    "CardNotFound",
    "CardStatus",
    "CardType",
    "Cardholder",
    "CardholderNotFound",
    "ChipCard",
    "ChipData",
    "ChipProof",
    "Clear",
    "ClearingFile",
    "Controlled",
    "Controls",
    "CreateCardholder",
    "CreateToken",
    "Decider",
    "Decline",
    "Desk",
    "Entry",
    "Expire",
    "Exported",
    "FeeRule",
    "Filters",
    "HolderLink",
    "ImportCard",
    "ImportedFile",
    "Increment",
    "Inquire",
    "IssueCard",
    "Issuer",
    "IssuerExists",
    "IssuerNotFound",
    "KeyBlockKey",
    "KeySentBefore",
    "ManagementToken",
    "Merchant",
    "Move",
    "Moved",
    "NewDecider",
    "NewRate",
    "NotLinkable",
    "NotPending",
    "OpenCardAccount",
    "OpenItem",
    "OpenItemNotFound",
    "Original",
    "PanTaken",
    "PinFormat",
    "Policy",
    "Present",
    "Proof",
    "Rate",
    "Readied",
    "Recipient",
    "Reverse",
    "SentKey",
    "TokenType",
    "TokenVoid",
    "Topup",
    "Total",
    "Trace",
    "Track2",
    "Transaction",
    "TransactionNotFound",
    "Vault",
    "VaultKeys",
    "Wanted",
    "WeakPin",
    "ZonePinKey",
    "add_issuer",
    "begin_clearing",
    "billing_for_clearing",
    "billing_for_hold",
    "card_batches",
    "categories",
    "category_of",
    "check",
    "clear_records",
    "clearing_file",
    "clearing_files",
    "close_item",
    "create_cardholders",
    "decide_review",
    "document",
    "encipher_pin_block",
    "export_again",
    "export_cards",
    "find_account",
    "find_card",
    "find_cardholder",
    "find_controls",
    "find_issuer",
    "find_issuer_by_name",
    "find_transaction",
    "finish_clearing",
    "import_card",
    "is_ipm",
    "issuers",
    "keep_sent_key",
    "link_item",
    "list_accounts",
    "list_cardholders",
    "list_cards",
    "list_rates",
    "list_transactions",
    "look_up",
    "mcc_of",
    "move",
    "newest_sent_keys",
    "note_written",
    "open_accounts",
    "open_items",
    "read_clearing_csv",
    "read_conversion_rate",
    "read_ipm",
    "read_key",
    "read_rate",
    "read_rates",
    "ready_records",
    "recount",
    "redeem",
    "related",
    "reseal",
    "response_code",
    "sealed_under",
    "sent_keys",
    "set_rates",
    "update_account",
    "update_card",
    "update_cardholder",
    "update_controls",
    "update_issuer",
    "waiting_for_review",
    "was_imported",
    "wrap_key",
    "write_conversion_rate",
]
