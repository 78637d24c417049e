"""A sandbox as people start it: `bayon dev`, a process of its own with real ports."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from bayon.payments import khqr
from links import SOURCE
from servers import Server

START_S: Final = 30


@dataclass(frozen=True)
class Dev:
    """A running `bayon dev`, as its ready-file tells it."""

    http_url: str
    bakong_token: str
    participant_token: str

    async def ask(self, path: str, body: object, token: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=self.http_url) as http:
            answer: dict[str, Any] = (await http.post(path, json=body, headers=headers)).json()
        return answer

    async def link(self, qr: str) -> str:
        body = {"qr": qr, "sourceInfo": SOURCE}
        link: str = (await self.ask("/v1/generate_deeplink_by_qr", body))["data"]["shortLink"]
        return link

    async def status(self, qr: str) -> dict[str, Any]:
        body = {"md5": khqr.md5(qr)}
        return await self.ask("/v1/check_transaction_by_md5", body, self.bakong_token)


@pytest.fixture(scope="module")
async def dev(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Dev]:
    """Start `bayon dev` on ports of its own, and stop it at the end."""
    folder = tmp_path_factory.mktemp("dev")
    url = await server.clone()
    ready = folder / "ready.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bayon", "dev"),
        *("--http-port=0", "--https-port=0", "--network-port=0"),
        *("--data-dir", str(folder), "--ready-file", str(ready)),
        env={**os.environ, "BAYON_DATABASE_URL": url},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        told = await _read(ready, process)
        yield Dev(told["http_url"], told["bakong_token"], told["participant_token"])
    finally:
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.wait(), START_S) == 0
    await server.drop(url)


async def _read(ready: Path, process: asyncio.subprocess.Process) -> dict[str, str]:
    async with asyncio.timeout(START_S):
        while not ready.exists():  # noqa: ASYNC240 - a small file
            assert process.returncode is None, "bayon dev has ended"
            await asyncio.sleep(0.02)
    told: dict[str, str] = json.loads(ready.read_text())  # noqa: ASYNC240 - a small file
    return told
