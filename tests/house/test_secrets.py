"""Secrets: what may be logged, who may reveal, and who may print at all."""

import ast
from collections.abc import Iterator
from typing import Final

from bayon.log import ALLOWED
from house.source import Module, imports, nodes, package, told

LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
CONTEXT: Final = frozenset({"bind_contextvars", "bound_contextvars", "bind", "new"})
OUR_OWN: Final = frozenset({"exc_info"})
"""What the log reads itself and never shows: see `log.configure`."""

MAY_PRINT: Final = frozenset({"cli", "serve"})
MAY_SET_UP_LOGGING: Final = frozenset({"log.py"})

MAY_REVEAL: Final = {
    "app.py:build": "hands the sealing keys to the sealer",
    "bakong/callbacks.py:_with_secret": "shows a callback's signing secret, the once it is made",
    "cms/issuers.py:_with_secret": "shows a decision's signing secret, the once it is made",
    "bakong/register.py:_smtp": "signs on at the mail server",
    "bakong/tokens.py:make": "signs a token",
    "bakong/tokens.py:signed": "checks a token's signature",
    "cards/chip_card.py:__post_init__": "sets up a chip's key, as whoever made the card did",
    "cards/chip_card.py:believes": "judges an answer, as a chip does",
    "cards/chip_card.py:sign": "signs, as a chip does",
    "cards/pin_block.py:encipher_pin_block": "enciphers a PIN, as a terminal does",
    "cards/key_block.py:from_hex": "reads the key that protects others",
    "cards/key_block.py:read_key": "tells hex digits from a key block, and takes the key out",
    "cards/key_block.py:wrap_key": "protects a key",
    "cards/pin_block.py:read": "reads a key",
    "cards/vault.py:__init__": "hands the keys to the sealer",
    "cards/vault.py:_key": "reads a key",
    "cards/vault.py:_sealing_check_values": "calculates what two sides compare keys by",
    "cards/vault.py:answer_chip": "signs an answer to a card's chip",
    "cards/vault.py:cvv": "calculates what a card's stripe or chip carries",
    "cards/vault.py:cvv2": "calculates what is printed on a card",
    "cards/vault.py:encipher": "writes what its recipient alone can read",
    "cards/vault.py:is_cryptogram": "judges what a card's chip has signed",
    "cards/vault.py:is_cvv": "judges the CVV of a track",
    "cards/vault.py:is_cvv2": "judges what was read off a card",
    "cards/vault.py:is_pin": "judges a PIN",
    "cards/vault.py:last_four": "tells what may stand in clear",
    "cards/vault.py:pan_digest": "digests a card number",
    "cards/vault.py:pvv": "calculates what is kept of a PIN",
    "cards/vault.py:read_pan": "judges a card number",
    "cards/vault.py:read_chip_data": "reads what a chip has signed",
    "cards/vault.py:read_pin": "judges a PIN",
    "cards/vault.py:read_pin_block": "deciphers a PIN",
    "cards/vault.py:read_track_2": "reads a track",
    "cards/vault.py:seal_pan": "seals a card number",
    "cards/vault.py:track_1": "writes a card's track",
    "cards/vault.py:track_2": "writes a card's track",
    "cards/vault.py:track_2_equivalent": "writes a chip's image of a track",
    "cards/vault.py:weak_pin": "says why a PIN is weak",
    "cli/connect.py:sealer_of": "hands the sealing keys to the sealer",
    "cli/connect.py:with_database": "connects",
    "cli/receive.py:_why_no_signature": "verifies a delivery, as its receiver does",
    "cli/receive.py:_why_no_token": "verifies a delivery's token, as its receiver does",
    "cli/webhooks.py:_create": "shows a webhook's signing secret, the once it is made",
    "cms/hooks.py:_endpoint": "shows a webhook's signing secret, the once it is made",
    "config.py:_judge": "measures a key, and says nothing of it",
    "events/sign.py:_signature": "signs a delivery",
    "events/sign.py:headers": "signs a delivery's token",
    "events/sign.py:seal_secret": "seals an endpoint's secret",
    "sandbox/cards.py:show_card": "shows a sandbox's card, as its holder sees it",
    "sandbox/demo.py:seed": "hands the sandbox's own sealing keys to the sealer",
    "sandbox/demo_cards.py:_webhook": "keeps the demo endpoint's signing secret, to be shown",
    "keys.py:_each": "takes each key, to be judged",
    "keys.py:_each_of": "takes the links' keys, to be judged",
    "keys.py:_refuse_bad_versions": "judges what the sealer would not take",
    "network/cvv2.py:read": "takes the printed code out of its field",
    "network/cvv2.py:write": "writes the field of a printed code, as a terminal does",
    "network/describe.py:masked_pan": "shows what of a card number may be seen",
    "network/iso8583.py:encode": "writes a frame",
    "serve.py:_database": "connects",
    "serve.py:_dev": "writes the sandbox's keys for terminals into its ready-file",
    "serve.py:_serve": "connects",
}
"""Every function that turns a `Secret` into text, and why. A new one wants a reviewer's eyes."""


def test_a_log_line_has_allowed_fields_only() -> None:
    found = [
        f"{module.name}:{call.lineno} {keyword.arg or '**'}"
        for module in package()
        for call in _log_calls(module)
        for keyword in call.keywords
        if keyword.arg not in ALLOWED | OUR_OWN
    ]
    assert not found, told("log.ALLOWED drops it. Allow it there, if no caller can fill it:", found)


def test_a_log_line_says_always_the_same() -> None:
    found = [
        f"{module.name}:{call.lineno} {ast.unparse(call)[:60]}"
        for module in package()
        for call in _log_calls(module)
        if not _says_always_the_same(call)
    ]
    assert not found, told("Write a plain text, and what changes as an allowed field:", found)


def test_an_event_handed_on_is_a_plain_text() -> None:
    found = [
        f"{module.name}:{node.lineno} {ast.unparse(node)[:60]}"
        for module in package()
        for node in nodes(module.tree)
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]).split(".")[-1].lstrip("_") == "event"
        and _put_together(node.value)
    ]
    assert not found, told("Choose between plain texts; what changes is an allowed field:", found)


def test_a_logged_field_is_no_text_put_together() -> None:
    found = [
        f"{module.name}:{call.lineno} {keyword.arg}={ast.unparse(keyword.value)}"
        for module in package()
        for call in _log_calls(module)
        for keyword in call.keywords
        if _put_together(keyword.value)
    ]
    assert not found, told("Log a number, a name of ours, or type(error).__name__:", found)


def test_secrets_are_revealed_in_few_places() -> None:
    revealing = {
        f"{module.name}:{function}" for module in package() for function in _revealing(module)
    }
    new = sorted(revealing - set(MAY_REVEAL))
    gone = sorted(set(MAY_REVEAL) - revealing)
    assert not new, told("Hand the Secret on, or have MAY_REVEAL reviewed:", new)
    assert not gone, told("Take these off MAY_REVEAL:", gone)


def test_only_the_command_line_prints() -> None:
    found = [
        f"{module.name}:{node.lineno}"
        for module in package()
        if module.room not in MAY_PRINT
        for node in nodes(module.tree)
        if (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.stdout")
    ]
    assert not found, told("Log an event, or return the text to the command line:", found)


def test_only_the_log_sets_up_logging() -> None:
    found = [
        f"{module.name}:{line}"
        for module in package()
        if module.name not in MAY_SET_UP_LOGGING
        for line, target, _ in imports(module.tree)
        if target.partition(".")[0] in {"logging", "warnings"}
    ]
    assert not found, told(
        "Take structlog.get_logger(), which the allow-list stands behind:", found
    )


def _log_calls(module: Module) -> Iterator[ast.Call]:
    for node in nodes(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = ast.unparse(node.func.value)
            if (on.split(".")[-1].strip("_") in {"log", "logger"} and node.func.attr in LEVELS) or (
                node.func.attr in CONTEXT and "structlog" in on
            ):
                yield node


def _says_always_the_same(call: ast.Call) -> bool:
    """Judge an event: a plain text, or one handed on under the name `event`."""
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr in CONTEXT:
        return not call.args
    match call.args:
        case [ast.Constant(value=str())]:
            return True
        case [ast.Name(id=name) | ast.Attribute(attr=name)]:
            return name.lstrip("_") == "event"
        case _:
            return False


def _put_together(value: ast.expr) -> bool:
    """Judge whether a value may carry somebody's text: f-strings, sums, and str or repr of it."""
    spoken = isinstance(value, ast.Call) and ast.unparse(value.func) in {"str", "repr", "format"}
    return spoken or isinstance(value, ast.JoinedStr | ast.BinOp)


def _revealing(module: Module) -> set[str]:
    """Find who calls `reveal`: functions and methods, inner ones counting as their outer one."""
    statements = [
        statement
        for node in nodes(module.tree)
        if isinstance(node, ast.ClassDef | ast.Module)
        for statement in node.body
        if not isinstance(statement, ast.ClassDef)
    ]
    return {
        statement.name
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        else "outside of any function"
        for statement in statements
        if any(isinstance(n, ast.Attribute) and n.attr == "reveal" for n in ast.walk(statement))
    }
