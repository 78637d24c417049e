"""Sizes: what one can read in one go. Beyond the limit it is cut where it has two reasons."""

import ast
import statistics
from typing import Final

from house.source import Function, Module, docstring, functions, others, package, told

FILE_LINES_MAX: Final = 500
FUNCTION_LINES_MAX: Final = 70
FUNCTION_LINES_MEDIAN_MAX: Final = 10

PRINTED: Final = "the requests and answers the API's document prints, as data"
TABLES: Final = {"bakong/samples.py": PRINTED, "cms/samples.py": PRINTED}
"""Files that are read by looking something up, not from top to bottom."""

RATCHET: Final[dict[str, int]] = {}
"""Files and functions (`file:name`) that are still too long: they may shrink, never grow."""


def test_no_file_is_too_long() -> None:
    found = [
        f"{module.name}: {length} lines"
        for module in (*package(), *_measurements())
        if (length := len(module.text.splitlines())) > RATCHET.get(module.name, FILE_LINES_MAX)
        and module.name not in TABLES
    ]
    assert not found, told(f"Cut these in two where they have two reasons to change:{MEND}", found)


def test_no_function_is_too_long() -> None:
    found = [
        f"{name}: {length} lines"
        for name, length in _lengths((*package(), *_measurements()))
        if length > RATCHET.get(name, FUNCTION_LINES_MAX)
    ]
    assert not found, told(f"Give a step of these functions a name of its own:{MEND}", found)


def test_most_functions_are_short() -> None:
    files = [len(module.text.splitlines()) for module in package()]
    lengths = [length for _, length in _lengths(package())]
    median = statistics.median(lengths)
    print(  # noqa: T201 - the figures, for who runs this with -s
        f"{len(files)} files of {statistics.median(files)} lines (at most {max(files)}), "
        f"{len(lengths)} functions of {median} (at most {max(lengths)})"
    )
    assert median < FUNCTION_LINES_MEDIAN_MAX, (
        f"Half of all functions have {median} lines or more: name their steps."
    )


def test_no_exemption_outlives_its_reason() -> None:
    files = {module.name: len(module.text.splitlines()) for module in package()}
    gone = [name for name in TABLES if name not in files]
    lengths = files | dict(_lengths(package()))
    loose = [f"{name}: {lengths.get(name)}" for name, n in RATCHET.items() if n != lengths[name]]
    assert not gone + loose, told(
        "Take it off TABLES, or tighten RATCHET to what it is now:", loose
    )


MEND: Final = f" (at most {FILE_LINES_MAX} lines a file, {FUNCTION_LINES_MAX} a function)"


def _measurements() -> list[Module]:
    return [module for module in others() if module.name.startswith("bench/")]


def _lengths(modules: tuple[Module, ...]) -> list[tuple[str, int]]:
    return [
        (f"{module.name}:{function.name}", _length(function))
        for module in modules
        for function in functions(module.tree)
    ]


def _length(function: Function) -> int:
    """Count the lines of a function, without decorators and docstring."""
    text = docstring(function)
    return _lines(function) - (_lines(text) if text else 0)


def _lines(node: ast.stmt | ast.expr) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1
