"""The statements on integrators: their deeplinks, their registration and its mail."""

from dataclasses import astuple
from datetime import datetime

from bayon.db import Tx
from bayon.ids import uuid7
from bayon.payments.model import Deeplink


async def insert_deeplink(tx: Tx, deeplink: Deeplink) -> None:
    """Insert a deeplink."""
    await tx.run(
        """
        INSERT INTO payments.deeplink (slug, qr, app_name, app_icon_url, app_callback_url,
            created_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        *astuple(deeplink),
    )


async def deeplink(tx: Tx, slug: str) -> Deeplink | None:
    """Find a deeplink."""
    row = await tx.row(
        """
        SELECT slug, qr, app_name, app_icon_url, app_callback_url, created_at
        FROM payments.deeplink WHERE slug = $1
        """,
        slug,
    )
    return Deeplink(**dict(row)) if row else None


async def request_code(
    tx: Tx,
    *,
    integrator_id: str,
    email: str,
    organization: str,
    project: str,
    code_digest: bytes,
    code_expires_at: datetime,
    now: datetime,
) -> bool:
    """Register an address, or give it a new code, as `sending`; False once it is verified."""
    return bool(
        await tx.value(
            """
            INSERT INTO payments.integrator AS i (id, email, organization, project, state,
                code_digest, code_expires_at, requested_at)
            VALUES ($1, $2, $3, $4, 'sending', $5, $6, $7)
            ON CONFLICT (email) DO UPDATE
            SET organization = $3, project = $4, state = 'sending', code_digest = $5,
                code_expires_at = $6, requested_at = $7
            WHERE i.state <> 'verified'
            RETURNING true
            """,
            integrator_id,
            email,
            organization,
            project,
            code_digest,
            code_expires_at,
            now,
        )
    )


async def code_sent(tx: Tx, *, code_digest: bytes) -> None:
    """Note that the mail with this code is on its way: the code may be used."""
    await tx.run(
        "UPDATE payments.integrator SET state = 'sent' WHERE code_digest = $1", code_digest
    )


async def code_void(tx: Tx, *, code_digest: bytes) -> None:
    """Forget a registration whose mail could not be sent, unless a newer code was asked for."""
    await tx.run("DELETE FROM payments.integrator WHERE code_digest = $1", code_digest)


async def verify_code(tx: Tx, *, code_digest: bytes, now: datetime) -> str | None:
    """Use up a code; returns the integrator it verified."""
    integrator_id: str | None = await tx.value(
        """
        UPDATE payments.integrator
        SET state = 'verified', verified_at = $2, code_digest = NULL, code_expires_at = NULL
        WHERE code_digest = $1 AND state = 'sent' AND code_expires_at > $2
        RETURNING id
        """,
        code_digest,
        now,
    )
    return integrator_id


async def verified_integrator(tx: Tx, *, email: str) -> str | None:
    """Find the integrator who verified this address."""
    sql = "SELECT id FROM payments.integrator WHERE email = $1 AND state = 'verified'"
    return await tx.value(sql, email)


async def insert_verified(
    tx: Tx, *, integrator_id: str, email: str, organization: str, project: str, now: datetime
) -> str:
    """Register an address without a mail; returns the integrator that has it."""
    kept: str = await tx.value(
        """
        INSERT INTO payments.integrator AS i (id, email, organization, project, state,
            requested_at, verified_at)
        VALUES ($1, $2, $3, $4, 'verified', $5, $5)
        ON CONFLICT (email) DO UPDATE
        SET state = 'verified', verified_at = coalesce(i.verified_at, $5), code_digest = NULL,
            code_expires_at = NULL
        RETURNING id
        """,
        integrator_id,
        email,
        organization,
        project,
        now,
    )
    return kept


async def delete_unsent(tx: Tx, *, older_than: datetime) -> None:
    """Free addresses whose mail was never known to have been sent: its sender died."""
    await tx.run(
        "DELETE FROM payments.integrator WHERE state = 'sending' AND requested_at < $1",
        older_than,
    )


async def insert_mail(
    tx: Tx, *, recipient: str, subject: str, body: str, sent_at: datetime
) -> None:
    """Keep a mail of the sandbox."""
    await tx.run(
        """
        INSERT INTO payments.mail (id, recipient, subject, body, sent_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        uuid7(),
        recipient,
        subject,
        body,
        sent_at,
    )


async def mail(tx: Tx, *, limit: int) -> list[tuple[str, str, str, datetime]]:
    """List the sandbox's mail, newest first: recipient, subject, body, sent_at."""
    rows = await tx.rows(
        "SELECT recipient, subject, body, sent_at FROM payments.mail ORDER BY id DESC LIMIT $1",
        limit,
    )
    return [(row["recipient"], row["subject"], row["body"], row["sent_at"]) for row in rows]
