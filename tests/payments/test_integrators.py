"""Registration by e-mail: codes that work once, for a time, and only the newest."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from bayon import payments
from bayon.db import Database
from bayon.payments import BadCode, EmailTaken, NotRegistered
from bayon.payments.integrators import forget_unsent

NOON: Final = datetime(2026, 1, 17, 5, tzinfo=UTC)
EMAIL: Final = "dev@example.com"


async def ask(
    db: Database, code: str, *, email: str = EMAIL, now: datetime = NOON, sent: bool = True
) -> None:
    await db.transaction(
        lambda tx: payments.ask_for_code(
            tx,
            email=email,
            organization="Org",
            project="Project",
            code=code,
            ttl_s=3_600,
            now=now,
        )
    )
    if sent:
        await db.transaction(lambda tx: payments.code_sent(tx, code=code))


async def verify(db: Database, code: str, *, now: datetime = NOON) -> str:
    return await db.transaction(lambda tx: payments.verify_code(tx, code=code, now=now))


async def find(db: Database, email: str = EMAIL) -> str:
    return await db.transaction(lambda tx: payments.find_integrator(tx, email=email))


async def void(db: Database, code: str) -> None:
    await db.transaction(lambda tx: payments.code_void(tx, code=code))


async def count(db: Database) -> int:
    found: int = await db.read(lambda tx: tx.value("SELECT count(*) FROM payments.integrator"))
    return found


async def test_a_code_verifies_its_address_once_in_whatever_case(db: Database) -> None:
    await ask(db, "code", email="Dev@Example.COM")
    with pytest.raises(NotRegistered):
        await find(db)
    integrator_id = await verify(db, "code")
    assert len(bytes.fromhex(integrator_id)) == 8
    assert await find(db, "dev@EXAMPLE.com") == integrator_id
    with pytest.raises(BadCode):
        await verify(db, "code")
    assert await find(db) == integrator_id


async def test_another_code_verifies_nothing(db: Database) -> None:
    await ask(db, "code")
    for code in ("", "Code", "code ", "x" * 10_000, "\x00", "%"):
        with pytest.raises(BadCode):
            await verify(db, code)
    await verify(db, "code")


async def test_a_code_is_good_until_it_expires(db: Database) -> None:
    await ask(db, "code")
    with pytest.raises(BadCode):
        await verify(db, "code", now=NOON + timedelta(hours=1))
    await verify(db, "code", now=NOON + timedelta(hours=1, microseconds=-1))


async def test_a_code_cannot_be_used_before_its_mail_was_sent(db: Database) -> None:
    await ask(db, "code", sent=False)
    with pytest.raises(BadCode):
        await verify(db, "code")


async def test_asking_again_voids_the_older_code(db: Database) -> None:
    await ask(db, "older")
    await ask(db, "newer")
    with pytest.raises(BadCode):
        await verify(db, "older")
    await verify(db, "newer")
    assert await count(db) == 1


async def test_asking_again_makes_the_older_code_void_even_while_the_mail_is_on_its_way(
    db: Database,
) -> None:
    await ask(db, "older", sent=False)
    await ask(db, "newer", sent=False)
    await db.transaction(lambda tx: payments.code_sent(tx, code="older"))
    for code in ("older", "newer"):
        with pytest.raises(BadCode):
            await verify(db, code)


async def test_an_address_once_verified_is_taken(db: Database) -> None:
    await ask(db, "code")
    integrator_id = await verify(db, "code")
    with pytest.raises(EmailTaken):
        await ask(db, "again", email="DEV@example.com")
    with pytest.raises(BadCode):
        await verify(db, "again")
    assert await find(db) == integrator_id
    await ask(db, "code of another", email="other@example.com")


async def test_a_mail_that_could_not_be_sent_leaves_nothing(db: Database) -> None:
    await ask(db, "code", sent=False)
    await void(db, "code")
    assert await count(db) == 0
    with pytest.raises(BadCode):
        await verify(db, "code")
    await ask(db, "code")
    await verify(db, "code")


async def test_voiding_an_older_code_leaves_the_newer_request(db: Database) -> None:
    await ask(db, "older", sent=False)
    await ask(db, "newer")
    await void(db, "older")
    await verify(db, "newer")
    await void(db, "newer")
    assert await find(db)


async def test_what_was_never_sent_is_forgotten_after_a_minute(db: Database) -> None:
    await ask(db, "unsent", sent=False)
    await ask(db, "sent", email="sent@example.com")
    await ask(db, "verified", email="verified@example.com")
    await verify(db, "verified")
    minute = timedelta(minutes=1)
    await db.transaction(lambda tx: forget_unsent(tx, now=NOON + minute))
    assert await count(db) == 3
    later = NOON + minute + timedelta(microseconds=1)
    await db.transaction(lambda tx: forget_unsent(tx, now=later))
    assert await count(db) == 2
    await db.transaction(lambda tx: payments.code_sent(tx, code="unsent"))
    with pytest.raises(BadCode):
        await verify(db, "unsent")
    await verify(db, "sent")


async def test_of_many_who_use_a_code_at_once_one_wins(db: Database, database: str) -> None:
    other = await Database.connect(database)
    for n in range(5):
        await ask(db, f"code {n}", email=f"{n}@example.com")
        outcomes = await asyncio.gather(
            *(verify(d, f"code {n}") for d in (db, other) * 4), return_exceptions=True
        )
        assert sorted(type(o) is BadCode for o in outcomes) == [False] + [True] * 7
    await other.close()


async def test_of_many_who_ask_at_once_the_last_has_the_code(db: Database, database: str) -> None:
    other = await Database.connect(database)
    await asyncio.gather(*(ask(d, f"{n}", sent=False) for n, d in enumerate((db, other) * 5)))
    await other.close()
    for n in range(10):
        await db.transaction(lambda tx, n=n: payments.code_sent(tx, code=f"{n}"))
    outcomes = await asyncio.gather(
        *(verify(db, f"{n}") for n in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1


async def test_a_code_is_kept_as_its_digest_only(db: Database) -> None:
    code = payments.new_code()
    assert len(code) == 20
    assert code.isalnum()
    assert code.isascii()
    await ask(db, code)
    (row,) = await db.read(lambda tx: tx.rows("SELECT * FROM payments.integrator"))
    assert row["code_digest"] == hashlib.sha256(code.encode()).digest()
    assert code not in "".join(str(value) for value in row.values())
    await verify(db, code)
    kept = await db.read(lambda tx: tx.value("SELECT code_digest FROM payments.integrator"))
    assert kept is None


async def test_an_address_registered_without_a_mail_is_verified_whatever_it_was(
    db: Database,
) -> None:
    async def register(email: str) -> str:
        return await db.transaction(
            lambda tx: payments.register_verified(
                tx, email=email, organization="Shop", project="Till", now=NOON
            )
        )

    fresh = await register("fresh@example.com")
    assert await register("Fresh@example.com") == await find(db, "fresh@example.com") == fresh
    await ask(db, "code")
    assert await register(EMAIL) == await find(db)
    with pytest.raises(BadCode):
        await verify(db, "code")


async def test_the_sandbox_shows_the_newest_hundred_mails_first(db: Database) -> None:
    for n in range(101):
        await db.transaction(
            lambda tx, n=n: payments.keep_mail(
                tx, recipient=EMAIL, subject=f"{n}", body="ខ្មែរ\n", now=NOON
            )
        )
    mails = await db.transaction(payments.list_mail)
    assert [mail.subject for mail in mails] == [f"{n}" for n in range(100, 0, -1)]
    assert (mails[0].recipient, mails[0].body, mails[0].sent_at) == (EMAIL, "ខ្មែរ\n", NOON)
