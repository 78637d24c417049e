"""Every statement on issuers, cardholders, accounts and cards, of the schema `cards`.

What moves and lists their transactions stands in `transaction_store`, what reviews cardholders in
`review_store`. Every query names the issuer
whose row it wants: another's is not there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, cast
from uuid import UUID

import asyncpg
import msgspec

from bayon.cards.model import Account, Card, Cardholder, Decider, FeeRule, Issuer, ManagementToken
from bayon.db import RunAgain, Tx
from bayon.keyset import Window, numbering
from bayon.money import Currency

_ISSUER: Final = """ id, name, bin, fees, funding_account_id, clearing_account_id,
    fees_account_id, created_at, updated_at, decision, decision_secret_sealed """
_CARDHOLDER: Final = """ r.id, r.issuer_id, r.name, r.phone_number, r.email, r.status,
    r.rejection_reason, r.born_on, r.address, r.identity_document_number,
    r.identity_document_type, r.photo_url, r.identity_document_url, r.additional_details,
    r.metadata, r.created_at, r.updated_at, r.revision, r.review_at, r.review_attempts """
_ACCOUNT: Final = """ r.id, r.issuer_id, r.cardholder_id, r.number, r.currency, r.status,
    r.metadata, r.ledger_account_id, r.created_at, r.updated_at """
_CARD: Final = """ r.id, r.issuer_id, r.account_id, r.cardholder_id, r.type, r.status,
    r.last_four, r.exp_month, r.exp_year, r.pan_sealed, r.pvv, r.pin_tries, r.created_at,
    r.updated_at, r.atc, r.cvv2_tries """

_FROM: Final[Mapping[str, LiteralString]] = {
    "cardholder": "SELECT" + _CARDHOLDER + "FROM cards.cardholder AS r ",
    "account": "SELECT" + _ACCOUNT + "FROM cards.account AS r ",
    "card": "SELECT" + _CARD + "FROM cards.card AS r ",
}
_CURSOR: Final[Mapping[str, LiteralString]] = {
    "cardholder": """coalesce((SELECT c.seq FROM cards.cardholder AS c
        WHERE c.id = $2 AND c.issuer_id = $1), $3)""",
    "account": """coalesce((SELECT c.seq FROM cards.account AS c
        WHERE c.id = $2 AND c.issuer_id = $1), $3)""",
    "card": """coalesce((SELECT c.seq FROM cards.card AS c
        WHERE c.id = $2 AND c.issuer_id = $1), $3)""",
}

# Whose rows, by one column, so that one index serves. That the cardholder is the issuer's own is
# looked at first, or all rows of another's were read.
_ISSUERS: Final = " r.issuer_id = $1 AND $5::uuid IS NULL"
_CARDHOLDERS: Final = """ r.cardholder_id = $5
    AND EXISTS (SELECT FROM cards.cardholder AS h WHERE h.id = $5 AND h.issuer_id = $1)"""

_TEXTS: Final = dict[str, object]


async def insert_issuer(tx: Tx, issuer: Issuer) -> bool:
    """Insert an issuer and begin to count its rows; False when its name is taken."""
    inserted = await tx.value(
        """
        INSERT INTO cards.issuer (id, name, bin, fees, funding_account_id, clearing_account_id,
            fees_account_id, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (name) DO NOTHING RETURNING true
        """,
        issuer.id,
        issuer.name,
        issuer.bin,
        _json(issuer.fees),
        issuer.funding_account_id,
        issuer.clearing_account_id,
        issuer.fees_account_id,
        issuer.created_at,
    )
    if inserted:
        await tx.run("INSERT INTO cards.counter (issuer_id, seq) VALUES ($1, 0)", issuer.id)
    return bool(inserted)


async def issuers(tx: Tx) -> list[Issuer]:
    """List all issuers by name."""
    rows = await tx.rows("SELECT" + _ISSUER + "FROM cards.issuer ORDER BY name")
    return [_issuer(row) for row in rows]


async def find_issuers(tx: Tx, issuer_ids: Sequence[UUID]) -> dict[UUID, Issuer]:
    """Find issuers. Locks nothing: what moves money reads of them never changes."""
    rows = await tx.rows(
        "SELECT" + _ISSUER + "FROM cards.issuer WHERE id = ANY($1::uuid[])", issuer_ids
    )
    return {row["id"]: _issuer(row) for row in rows}


async def lock_issuer(tx: Tx, issuer_id: UUID) -> Issuer | None:
    """Lock an issuer."""
    row = await tx.row("SELECT" + _ISSUER + "FROM cards.issuer WHERE id = $1 FOR UPDATE", issuer_id)
    return _issuer(row) if row else None


async def update_issuer(tx: Tx, issuer: Issuer) -> None:
    """Write how a locked issuer is now. Errors: `RunAgain` when its name has just been taken."""
    try:
        await tx.run(
            """
            UPDATE cards.issuer SET name = $2, fees = $3, updated_at = $4, decision = $5,
                decision_secret_sealed = $6
            WHERE id = $1
            """,
            issuer.id,
            issuer.name,
            _json(issuer.fees),
            issuer.updated_at,
            None if issuer.decision is None else _json(issuer.decision),
            issuer.decision_secret_sealed,
        )
    except asyncpg.UniqueViolationError as error:
        raise RunAgain from error


async def insert_cardholder(tx: Tx, cardholder: Cardholder) -> None:
    """Insert a cardholder. Locks the issuer's counter until the commit."""
    await tx.run(
        """
        WITH counted AS (
            UPDATE cards.counter SET seq = seq + 1 WHERE issuer_id = $2 RETURNING seq
        )
        INSERT INTO cards.cardholder (seq, id, issuer_id, name, phone_number, email, status,
            rejection_reason, born_on, address, identity_document_number, identity_document_type,
            photo_url, identity_document_url, additional_details, metadata, created_at,
            updated_at, revision, review_at, review_attempts)
        SELECT seq, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
            $18, $19, $20
        FROM counted
        """,
        *_columns(cardholder),
    )


async def update_cardholder(tx: Tx, cardholder: Cardholder) -> None:
    """Write how a locked cardholder is now."""
    await tx.run(
        """
        UPDATE cards.cardholder SET name = $3, phone_number = $4, email = $5, status = $6,
            rejection_reason = $7, born_on = $8, address = $9, identity_document_number = $10,
            identity_document_type = $11, photo_url = $12, identity_document_url = $13,
            additional_details = $14, metadata = $15, created_at = $16, updated_at = $17,
            revision = $18, review_at = $19, review_attempts = $20
        WHERE id = $1 AND issuer_id = $2
        """,
        *_columns(cardholder),
    )


async def find_cardholders(
    tx: Tx, cardholder_ids: Sequence[UUID], *, issuer_id: UUID, lock: bool = False
) -> dict[UUID, Cardholder]:
    """Find an issuer's cardholders; `lock` locks them by id."""
    return {
        row["id"]: _cardholder(row)
        for row in await _found(tx, "cardholder", cardholder_ids, issuer_id, lock=lock)
    }


async def cardholders_of_all(tx: Tx, cardholder_ids: Sequence[UUID]) -> dict[UUID, Cardholder]:
    """Find cardholders of any issuers: for batches, which look at whose they are themselves."""
    rows = await tx.rows(_FROM["cardholder"] + "WHERE r.id = ANY($1::uuid[])", cardholder_ids)
    return {row["id"]: _cardholder(row) for row in rows}


async def taken_numbers(tx: Tx, numbers: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Tell which account numbers of which issuers are taken."""
    rows = await tx.rows(
        """
        SELECT a.issuer_id, a.number FROM cards.account AS a
        JOIN unnest($1::uuid[], $2::text[]) AS asked (issuer_id, number)
            ON asked.issuer_id = a.issuer_id AND asked.number = a.number
        """,
        [issuer_id for issuer_id, _ in numbers],
        [number for _, number in numbers],
    )
    return {(row["issuer_id"], row["number"]) for row in rows}


async def insert_accounts(tx: Tx, accounts: Sequence[Account]) -> None:
    """Insert accounts, numbered in order. Locks the issuers' counters until the commit.

    Errors: `RunAgain` when somebody else has just taken one of the numbers.
    """
    new = numbering([account.issuer_id for account in accounts])
    names = ("id", "issuer_id", "cardholder_id", "number", "currency", "status")
    try:
        await tx.run(
            """
            WITH locked AS (
                SELECT issuer_id FROM cards.counter WHERE issuer_id = ANY($1::uuid[])
                ORDER BY issuer_id FOR UPDATE
            ), counted AS (
                UPDATE cards.counter AS c SET seq = c.seq + d.count
                FROM locked JOIN unnest($1::uuid[], $2::bigint[]) AS d (issuer_id, count)
                    ON d.issuer_id = locked.issuer_id
                WHERE c.issuer_id = locked.issuer_id
                RETURNING c.issuer_id, c.seq - d.count AS before
            )
            INSERT INTO cards.account (seq, id, issuer_id, cardholder_id, number, currency, status,
                metadata, ledger_account_id, created_at, updated_at)
            SELECT counted.before + new.place, new.id, new.issuer_id, new.cardholder_id,
                new.number, new.currency, new.status, new.metadata, new.ledger_account_id,
                new.created_at, new.created_at
            FROM unnest($3::bigint[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
                $9::text[], $10::json[], $11::uuid[], $12::timestamptz[])
                AS new (place, id, issuer_id, cardholder_id, number, currency, status, metadata,
                ledger_account_id, created_at)
            JOIN counted ON counted.issuer_id = new.issuer_id
            """,
            new.owner_ids,
            new.counts,
            new.places,
            *([getattr(account, name) for account in accounts] for name in names),
            [_json(account.metadata) for account in accounts],
            [account.ledger_account_id for account in accounts],
            [account.created_at for account in accounts],
        )
    except asyncpg.UniqueViolationError as error:
        raise RunAgain from error


async def update_account(tx: Tx, account: Account) -> None:
    """Write how a locked account is now."""
    await tx.run(
        """
        UPDATE cards.account SET metadata = $3, updated_at = $4 WHERE id = $1 AND issuer_id = $2
        """,
        account.id,
        account.issuer_id,
        _json(account.metadata),
        account.updated_at,
    )


async def find_accounts(
    tx: Tx, account_ids: Sequence[UUID], *, issuer_id: UUID, lock: bool = False
) -> dict[UUID, Account]:
    """Find an issuer's accounts; `lock` locks them by id."""
    return {
        row["id"]: _account(row)
        for row in await _found(tx, "account", account_ids, issuer_id, lock=lock)
    }


async def accounts_of_all(tx: Tx, account_ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Find accounts of any issuers: for batches, which look at whose they are themselves."""
    rows = await tx.rows(_FROM["account"] + "WHERE r.id = ANY($1::uuid[])", account_ids)
    return {row["id"]: _account(row) for row in rows}


async def insert_card(tx: Tx, card: Card, *, pan_digest: bytes) -> bool:
    """Insert a card; False when there is one of its number. Locks the issuer's counter."""
    return bool(
        await tx.value(
            """
            WITH counted AS (
                UPDATE cards.counter SET seq = seq + 1 WHERE issuer_id = $2 RETURNING seq
            )
            INSERT INTO cards.card (seq, id, issuer_id, account_id, cardholder_id, type, status,
                last_four, exp_month, exp_year, pan_sealed, pvv, pin_tries, created_at,
                updated_at, atc, cvv2_tries, pan_digest)
            SELECT seq, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
            FROM counted
            ON CONFLICT (pan_digest) DO NOTHING RETURNING true
            """,
            *_columns(card),
            pan_digest,
        )
    )


async def update_card(tx: Tx, card: Card) -> None:
    """Write how a locked card is now."""
    await tx.run(
        """
        UPDATE cards.card
        SET status = $3, pvv = $4, pin_tries = $5, cvv2_tries = $6, updated_at = $7
        WHERE id = $1 AND issuer_id = $2
        """,
        card.id,
        card.issuer_id,
        card.status,
        card.pvv,
        card.pin_tries,
        card.cvv2_tries,
        card.updated_at,
    )


async def find_cards(
    tx: Tx, card_ids: Sequence[UUID], *, issuer_id: UUID, lock: bool = False
) -> dict[UUID, Card]:
    """Find an issuer's cards; `lock` locks them by id."""
    found = await _found(tx, "card", card_ids, issuer_id, lock=lock)
    return {row["id"]: _card(row) for row in found}


async def insert_token(tx: Tx, token: ManagementToken, *, digest: bytes) -> None:
    """Insert a management token; the card is locked, and older ones of the type are voided."""
    await tx.run(
        """
        INSERT INTO cards.management_token (id, issuer_id, card_id, type, digest, created_at,
            expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        token.id,
        token.issuer_id,
        token.card_id,
        token.type,
        digest,
        token.created_at,
        token.expires_at,
    )


async def void_tokens(tx: Tx, card_id: UUID, *, types: Sequence[str], now: datetime) -> None:
    """Void the open tokens of these types of a locked card."""
    await tx.run(
        """
        UPDATE cards.management_token SET voided_at = $3
        WHERE card_id = $1 AND type = ANY($2::text[]) AND used_at IS NULL AND voided_at IS NULL
        """,
        card_id,
        types,
        now,
    )


async def find_open_token(
    tx: Tx, token: str, *, digest: bytes, now: datetime
) -> ManagementToken | None:
    """Find a management token while it is open. Locks nothing.

    It names no issuer: whoever has the token may, and of all rows it fits one.
    """
    row = await tx.row(
        """
        SELECT id, issuer_id, card_id, type, created_at, expires_at FROM cards.management_token
        WHERE digest = $1 AND used_at IS NULL AND voided_at IS NULL AND expires_at > $2
        """,
        digest,
        now,
    )
    return ManagementToken(token=token, **dict(row)) if row else None


async def use_token(tx: Tx, token_id: UUID, *, now: datetime) -> bool:
    """Use a token of a locked card up; False when somebody has, or it was voided."""
    return bool(
        await tx.value(
            """
            UPDATE cards.management_token SET used_at = $2
            WHERE id = $1 AND used_at IS NULL AND voided_at IS NULL RETURNING true
            """,
            token_id,
            now,
        )
    )


async def page_cardholders(tx: Tx, *, issuer_id: UUID, window: Window) -> list[Cardholder]:
    """Read a window of an issuer's cardholders, in the order of reading."""
    rows = await _page(tx, "cardholder", issuer_id, window, cardholder_id=None)
    return [_cardholder(row) for row in rows]


async def page_accounts(
    tx: Tx, *, issuer_id: UUID, window: Window, cardholder_id: UUID | None
) -> list[Account]:
    """Read a window of an issuer's accounts, or of one cardholder's, in the order of reading."""
    rows = await _page(tx, "account", issuer_id, window, cardholder_id=cardholder_id)
    return [_account(row) for row in rows]


async def page_cards(
    tx: Tx, *, issuer_id: UUID, window: Window, cardholder_id: UUID | None
) -> list[Card]:
    """Read a window of an issuer's cards, or of one cardholder's, in the order of reading."""
    rows = await _page(tx, "card", issuer_id, window, cardholder_id=cardholder_id)
    return [_card(row) for row in rows]


async def _page(
    tx: Tx, kind: str, issuer_id: UUID, window: Window, *, cardholder_id: UUID | None
) -> Sequence[Any]:
    order: LiteralString = "DESC" if window.before is None else "ASC"
    beyond: LiteralString = "<" if window.before is None else ">"
    whose: LiteralString = _ISSUERS if cardholder_id is None else _CARDHOLDERS
    return await tx.rows(
        f"""{_FROM[kind]}
        WHERE {whose} AND r.seq {beyond} {_CURSOR[kind]}
        ORDER BY r.seq {order} LIMIT $4
        """,
        issuer_id,
        window.cursor,
        window.top_seq,
        window.limit,
        cardholder_id,
    )


async def _found(
    tx: Tx, kind: str, ids: Sequence[UUID], issuer_id: UUID, *, lock: bool
) -> Sequence[Any]:
    return await tx.rows(
        _FROM[kind]
        + "WHERE r.id = ANY($1::uuid[]) AND r.issuer_id = $2"
        + (" ORDER BY r.id FOR NO KEY UPDATE" if lock else ""),
        ids,
        issuer_id,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _columns(noun: object) -> list[object]:
    """List a noun's values in the order of its fields, mappings as JSON."""
    fields = cast("Any", type(noun)).__struct_fields__
    values = [getattr(noun, name) for name in fields]
    return [_json(cast("object", v)) if isinstance(v, Mapping) else v for v in values]


def _issuer(row: Any) -> Issuer:  # noqa: ANN401 - a Record, whose columns have no types
    decision = {} if row["decision"] is None else {"decision": Decider}
    return Issuer(**_read(row, fees=dict[str, FeeRule], **decision))


def _cardholder(row: Any) -> Cardholder:  # noqa: ANN401 - a Record, whose columns have no types
    return Cardholder(**_read(row, additional_details=_TEXTS, metadata=_TEXTS))


def _account(row: Any) -> Account:  # noqa: ANN401 - a Record, whose columns have no types
    columns = _read(row, metadata=_TEXTS)
    columns["currency"] = Currency(columns["currency"])
    return Account(**columns)


def _card(row: Any) -> Card:  # noqa: ANN401 - a Record, whose columns have no types
    return Card(**dict(row))


def _read(row: Any, **written: Any) -> dict[str, Any]:  # noqa: ANN401 - a Record, and types
    """Take the columns of a row, those written as JSON read as their types."""
    columns: dict[str, Any] = dict(row)
    for name, kind in written.items():
        columns[name] = msgspec.json.decode(columns[name], type=kind)
    return columns
