"""JSON:API's own schema of responses, for every test that has documents to show."""

import asyncio
import json
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

NODE_DIR: Final = Path(__file__).parent / "clients" / "node"
WAIVERS: Final = ("attribute-type", "null-link")
"""What the card API does though the schema forbids it; the script says why of each."""
PATIENCE_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A document the schema refuses; one line an error: where, what, which member."""

    name: str
    errors: tuple[str, ...]


def have_node() -> bool:
    """Say whether the schema can be asked here."""
    return shutil.which("node") is not None and (NODE_DIR / "node_modules/ajv-formats").is_dir()


wants_node: Final = pytest.mark.skipif(
    not have_node(), reason="wants node, and once: npm ci --prefix tests/clients/node"
)


async def schema_failures(
    documents: Sequence[tuple[str, object]], *, waivers: Collection[str] = WAIVERS
) -> list[Failure]:
    """Judge named documents of responses, all in one run; the empty list is what one wants."""
    lines = [json.dumps({"name": name, "document": document}) for name, document in documents]
    process = await asyncio.create_subprocess_exec(
        *("node", str(NODE_DIR / "jsonapi_schema.js"), *waivers),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate("\n".join(lines).encode())
    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    assert told["checked"] == len(documents), told
    return [Failure(name=f["name"], errors=tuple(f["errors"])) for f in told["failures"]]
