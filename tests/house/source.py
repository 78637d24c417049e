"""The source as text and trees, for the tests of the house: read once, judged by many."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "src" / "bayon"
SCHEMA: Final = PACKAGE / "schema"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its name from the root (or the package) on, its text, its tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The room of the package it stands in, or its own name where it is a room by itself."""
        return self.name.partition("/")[0].removesuffix(".py")

    @property
    def dotted(self) -> str:
        """The name it is imported by."""
        parts = ["bayon", *self.name.removesuffix(".py").split("/")]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def package() -> tuple[Module, ...]:
    """Read every module of the package."""
    return tuple(_read(path, PACKAGE) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def others() -> tuple[Module, ...]:
    """Read what stands beside the package: tests and measurements."""
    folders = [folder for name in ("tests", "bench") if (folder := ROOT / name).is_dir()]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return tuple(_read(path, ROOT) for path in paths if "node_modules" not in path.parts)


@cache
def project() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def floors() -> dict[str, int]:
    """Read the floor plan: every room and module with its floor; the higher floor imports."""
    (plan,) = [
        contract
        for contract in project()["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    layers: list[str] = plan["layers"]
    return {name: floor for floor, layer in enumerate(reversed(layers)) for name in rooms_of(layer)}


def rooms_of(layer: str) -> list[str]:
    """Read the rooms of one layer: `bakong | (cms)` has two, one of them still to be built."""
    return re.findall(r"\w+", layer)


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Walk a tree, once for all who ask: walking is most of the work of these tests."""
    return tuple(ast.walk(tree))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Find every function, methods and inner ones too."""
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def docstring(node: ast.AST) -> ast.Constant | None:
    """Find the docstring of a module, class or function."""
    body: list[ast.stmt] = getattr(node, "body", [])
    first = body[0] if body and isinstance(body[0], ast.Expr) else None
    if first and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.value
    return None


def docstrings(tree: ast.AST) -> list[ast.Constant]:
    """Find every docstring, and the bare strings that explain the constant above them."""
    return [
        node.value
        for node in nodes(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str | None]]:
    """Find every import as line, module and, for `from module import name`, the name."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, node.module or "", alias.name


def exported(module: Module) -> list[str]:
    """Read `__all__`, as it stands."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


@cache
def front_doors() -> dict[str, Module]:
    """Find the `__init__` of every room."""
    return {
        module.room: module
        for module in package()
        if module.name.endswith("/__init__.py") and module.name.count("/") == 1
    }


def words(table: str) -> frozenset[str]:
    """Read a table of words."""
    return frozenset(table.split())


def told(mend: str, found: list[str]) -> str:
    """Write the message of a failed rule: what to do, and where."""
    return "\n".join((mend, *(f"  {line}" for line in found)))


def _read(path: Path, base: Path) -> Module:
    text = path.read_text()
    return Module(path.relative_to(base).as_posix(), path, text, ast.parse(text))
