"""npm's `bakong-khqr`, unmodified: the official client, and the tests it ships, against us."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from journeys.running import RECEIVER, Dev, Home

NODE_DIR = Path(__file__).with_name("node")
OWN_TESTS = ("bakongAccountExist.test.js", "deepLink.test.js")

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_DIR / "node_modules/bakong-khqr").is_dir(),
    reason="wants node, and once: npm ci --prefix tests/clients/node",
)


async def test_a_shop_makes_a_code_gets_its_link_and_checks_accounts(home: Home, dev: Dev) -> None:
    told = await _node(home, "shop.js", dev.url, RECEIVER)
    assert told["made"]["status"]["code"] == 0, told["made"]
    link = told["link"]["data"]["shortLink"]
    assert link.startswith(dev.url + "/")
    async with httpx.AsyncClient(trust_env=False) as http:
        page = await http.get(link, headers={"Accept": "text/html"})
    assert page.status_code == 200
    answers = {name: (a["status"]["errorCode"], a["data"]) for name, a in told["accounts"].items()}
    for path in ("check_bakong_account", "check_account_exist"):
        assert answers[f"{path} {RECEIVER}"] == (None, {"bakongAccountExisted": True})
        assert answers[f"{path} nobody@devb"] == (None, {"bakongAccountExisted": False})
        # Our 12 becomes the client's own code of an invalid id in its `catch`, whatever we say.
        assert answers[f"{path} da ve@devb"][1] != {"bakongAccountExisted": True}
        assert answers[f"{path} da ve@devb"][0] is not None


async def test_the_clients_own_tests_of_the_network_pass_against_us(home: Home, dev: Dev) -> None:
    told = await _node(home, "own_tests.js", dev.url, *OWN_TESTS)
    assert len(told["results"]) == 12
    assert set(told["results"].values()) == {"passed"}, told["results"]
    assert sorted(set(told["sent"])) == ["/v1/check_account_exist", "/v1/generate_deeplink_by_qr"]


async def test_their_lock_file_names_no_registry() -> None:
    lock: dict[str, Any] = json.loads((NODE_DIR / "package-lock.json").read_text())
    packages = lock["packages"]
    assert packages["node_modules/bakong-khqr"]["version"] == "1.0.20"
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert not [name for name, p in packages.items() if name and "integrity" not in p]


async def _node(home: Home, script: str, *words: str) -> dict[str, Any]:
    done = await home.run("node", str(NODE_DIR / script), *words)
    assert done.code == 0, done.err
    return json.loads(done.out)
