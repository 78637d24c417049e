"""What the host tells of itself: each answer with its reason, and how links stand."""

import re

from prometheus_client import generate_latest

from bayon.app import Metrics
from bayon.db import Database
from bayon.network import acquirer
from bayon.network.acquirer import Plastic
from bayon.payments import Rail
from cards_factories import SEALER, VAULT, make_desk, make_purse
from network.hosts import changed, hosted, make_link, purchase, reversal, stamp

COUNT = re.compile(
    r'bayon_network_answer_seconds_count\{link="switch",mti="(\d+)",reason="(\w+)"\} ([\d.]+)'
)
STANDING = re.compile(r'bayon_network_(\w+)\{link="switch"\} ([\d.]+)')


def standing(metrics: Metrics) -> dict[str, float]:
    found = STANDING.findall(generate_latest(metrics.registry).decode())
    return {what: float(value) for what, value in found}


async def test_each_answer_is_counted_by_its_message_and_reason(db: Database) -> None:
    purse = await make_purse(db, usd_minor=1_000)
    card, desk, link = purse.card, make_desk(db), make_link()
    metrics = Metrics(Rail(db, SEALER), desk)
    metrics.watch([link])
    asked = purchase(card, 100)
    nobody = Plastic(pan=VAULT.make_pan("91160009"))
    async with (
        hosted(db, link, desk=desk, observe=metrics.answered) as at_work,
        at_work.called() as bank,
    ):
        first = await bank.approved(asked)
        messages = [
            *(acquirer.repeated(asked), purchase(card, 1_000), changed(asked, f41="TERM0002")),
            *(purchase(nobody, 1), changed(purchase(card, 1), 3), reversal(first, card)),
            reversal(first, card, advice=True),
            acquirer.management("sign-off", stamp()),
            purchase(card, 1),
        ]
        codes = await bank.codes(*messages)
        assert standing(metrics) == {"connections": 1, "in_flight": 0, "signed_on": 0}
    assert codes == ["00", "51", "94", "14", "30", "00", "00", "00", "91"]
    found = COUNT.findall(generate_latest(metrics.registry).decode())
    assert {(mti, reason): float(count) for mti, reason, count in found} == {
        ("0100", "approved"): 1,
        ("0100", "repeated"): 1,
        ("0100", "insufficient_funds"): 1,
        ("0100", "duplicate"): 1,
        ("0100", "card_unknown"): 1,
        ("0100", "malformed"): 1,
        ("0400", "approved"): 1,
        ("0420", "kept"): 1,
        ("0800", "answered"): 1,
        ("0100", "unavailable"): 1,
    }
    assert standing(metrics)["connections"] == 0
