"""The receivers docs/webhooks.md shows: run as they stand there, against real deliveries."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from bayon.db import Database
from events.receivers import (
    Got,
    deliver,
    delivering,
    emit_of,
    make_owner,
    receiving,
    rotate,
    subscribe,
)
from house.source import ROOT

PAGE = (ROOT / "docs/webhooks.md").read_text()


def shown(language: str) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 11
    return code


async def delivered(db: Database, *, rotated: bool = False) -> tuple[Got, str, str]:
    """Deliver one event; returns the request, the secret and the event's id."""
    owner_id = await make_owner(db)
    async with receiving() as receiver, delivering(db) as courier:
        made = await subscribe(db, owner_id, receiver.url)
        if rotated:
            await rotate(db, owner_id, made.endpoint.id)
        (event_id,) = await emit_of(db, owner_id)
        await deliver(courier)
    return receiver.got[0], made.secret.reveal(), str(event_id)


async def test_the_python_receiver_verifies_and_refuses_another_body(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    got, secret, event_id = await delivered(db)
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    names: dict[str, Any] = {}
    exec(shown("python"), names)  # noqa: S102 - the page's own code
    verify: Callable[[str, bytes], str] = names["verify"]
    assert verify(got.headers["Authorization"], got.body) == event_id
    with pytest.raises(jwt.InvalidTokenError):
        verify(got.headers["Authorization"], got.body + b" ")
    monkeypatch.setenv("WEBHOOK_SECRET", secret.swapcase())
    with pytest.raises(jwt.InvalidTokenError):
        verify(got.headers["Authorization"], got.body)


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node")
@pytest.mark.parametrize("rotated", [False, True])
async def test_the_node_receiver_verifies_and_refuses_another_body(
    db: Database, tmp_path: Path, *, rotated: bool
) -> None:
    got, secret, event_id = await delivered(db, rotated=rotated)
    headers = {name.lower(): value for name, value in got.headers.items()}
    asked = json.dumps([headers, got.body.decode()])
    program = tmp_path / "receiver.mjs"
    program.write_text(
        shown("javascript")
        + f"\nconst [headers, body] = {asked};\n"
        + "console.log(verify(headers, Buffer.from(body)));\n"
        + 'try { verify(headers, Buffer.from(body + " ")); } catch { console.log("refused"); }\n'
    )
    ran = subprocess.run(  # noqa: ASYNC221, S603 - our own page, and it takes no time
        ["node", program],  # noqa: S607 - whichever is there
        env={"WEBHOOK_SECRET": secret, "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == [event_id, "refused"], ran.stderr


async def test_the_ruby_receiver_is_the_documents_snippet_and_binds_the_body() -> None:
    assert "verify_iss: true, iss: " in shown("ruby")
    assert "body_sha256" in shown("ruby")
