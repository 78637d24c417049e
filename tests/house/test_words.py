"""Words: one thing has one name, units stand last, prose is British, and nothing is left open."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from house.source import ROOT, SCHEMA, Module, docstrings, nodes, others, package, told, words


@dataclass(frozen=True)
class Word:
    """A word the code does not say, what it says instead, and where the word is another's."""

    say: str
    rooms: frozenset[str] = frozenset()
    """Only in these rooms; everywhere if empty."""
    but: frozenset[str] = frozenset()
    """Identifiers that may: an API's own word, or another sense of it."""
    free: frozenset[str] = frozenset()
    """Rooms in which it is an API's own word, so that every identifier may."""

    def bans(self, name: str, room: str) -> bool:
        """Tell whether an identifier of a room that has this word should have another."""
        concerned = not self.rooms or room in self.rooms
        return concerned and room not in self.free and name not in self.but


GLOSSARY: Final = {
    "auth": Word("authorize"),
    "wallet": Word("account"),
    "transaction": Word(
        "transfer", but=words("transaction TRANSACTION"), free=words("cards cms sandbox")
    ),
    "freeze": Word("hold"),
    "pending": Word("hold", rooms=words("ledger")),
    "void": Word("release", rooms=words("ledger cards"), but=words("TokenVoid void_tokens")),
    "cancel": Word("release", rooms=words("ledger")),
    "settlement": Word("clearing", rooms=words("cards network")),
    "cents": Word("minor units"),
    "member": Word("participant", rooms=words("payments")),
    "client": Word("integrator", rooms=words("payments bakong")),
    "customer": Word("cardholder", rooms=words("cards cms network")),
    "user": Word("cardholder", rooms=words("cards cms network payments")),
    "callback": Word("webhook", rooms=words("ledger events cards cms network web")),
}
"""The words docs/glossary.md advises against; `transaction` is the database's, and the APIs';
what is void of a card is a link, never a hold."""

ABBREVIATIONS: Final = {
    "amt": "amount",
    "acct": "account",
    "acc": "account",
    "cb": "callback",
    "cfg": "settings",
    "cnt": "count",
    "conn": "connection",
    "ctx": "context",
    "cur": "current",
    "curr": "currency",
    "dst": "target",
    "func": "function",
    "idx": "index",
    "mgr": "what it does",
    "msg": "message",
    "obj": "what it is",
    "prev": "before",
    "pwd": "password",
    "qty": "count",
    "req": "request",
    "resp": "answer",
    "ret": "what it is",
    "src": "source",
    "tmp": "what it is",
    "txn": "transfer",
    "usr": "cardholder",
}

UNITS_FIRST: Final = re.compile(r"_*(ms|s|seconds|minor|bytes|max|min)_\w", re.IGNORECASE)
UNITS_FIRST_BUT: Final = words("minor_from_major MINOR_PER_MAJOR")
NEEDS_A_UNIT: Final = words(
    "timeout ttl delay interval duration backoff age grace wait poll balance price fee"
)

LEFT_OPEN: Final = re.compile(
    r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b"
)

AMERICAN: Final = {
    r"colors?|colored": "colour",
    r"behaviors?": "behaviour",
    r"favors?|favorites?": "favour",
    r"honors?|honored": "honour",
    r"neighbors?": "neighbour",
    r"labor": "labour",
    r"centers?|centered": "centre",
    r"fibers?": "fibre",
    r"catalogs?": "catalogue",
    r"gray": "grey",
    r"artifacts?": "artefact",
    r"defenses?": "defence",
    r"offenses?": "offence",
    r"licenses?": "licence",
    r"canceled|canceling": "cancelled",
    r"labeled|labeling": "labelled",
    r"modeled|modeling": "modelled",
    r"signaled|signaling": "signalled",
    r"traveled|traveling": "travelled",
    r"fulfills?": "fulfil",
    r"enrolls?": "enrol",
    r"analyz\w+": "analyse",
    r"paralyz\w+": "paralyse",
    r"judgment": "judgement",
    r"toward": "towards",
    r"math": "arithmetic",
    r"(?!(?:un)?authori|organizations?\b|oversi|resi|capsi|si|pri|sei)"
    r"\w+iz(?:e|es|ed|ing|er|ers|ation|ations)": "-ise",
}
"""American spellings. `authorize` is the field's term, `organization` the wire's."""


def test_identifiers_keep_to_the_glossary() -> None:
    found = [
        f"{where} {name}: say {word.say}"
        for where, room, name in _identifiers()
        for part in _parts(name)
        if (word := GLOSSARY.get(part) or GLOSSARY.get(part.removesuffix("s")))
        and word.bans(name, room)
    ]
    assert not found, told("One thing, one name (docs/glossary.md):", found)


def test_identifiers_are_written_out() -> None:
    found = [
        f"{where} {name}: {ABBREVIATIONS[part]}"
        for where, _, name in _identifiers()
        for part in _parts(name)
        if part in ABBREVIATIONS
    ]
    assert not found, told("Write the word out:", found)


def test_units_and_qualifiers_stand_last() -> None:
    found = [
        f"{where} {name}"
        for where, _, name in _identifiers()
        if UNITS_FIRST.match(name) and name not in UNITS_FIRST_BUT
    ]
    assert not found, told("Turn it round, as in amount_minor, timeout_s, size_max:", found)


def test_a_number_says_its_unit() -> None:
    found = [
        f"{module.name}:{line} {name}"
        for module in package()
        for line, name, kind in _annotated(module)
        if kind.removeprefix("Final[").split(" ")[0].rstrip("]") in {"int", "float"}
        and name.lower().rstrip("_").split("_")[-1] in NEEDS_A_UNIT
    ]
    assert not found, told("Add the unit (_s, _ms, _days, _minor), or take a timedelta:", found)


def test_nothing_is_left_open() -> None:
    found = [
        f"{name}:{number} {line.strip()[:60]}"
        for name, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if LEFT_OPEN.search(re.sub(r"`[^`]*`", "", line))
    ]
    assert not found, told("Do it now, or open an issue and remove the mark:", found)


def test_prose_is_british() -> None:
    spelt = [
        (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), better)
        for pattern, better in AMERICAN.items()
    ]
    any_of_them = re.compile(rf"\b(?:{'|'.join(AMERICAN)})\b", re.IGNORECASE)
    found = [
        f"{name}:{line} {match[0]}: {better}"
        for name, line, prose in _prose(any_of_them)
        for pattern, better in spelt
        for match in pattern.finditer(prose)
    ]
    assert not found, told("Spell it as in Britain, or put a foreign word in `code`:", found)


def test_the_glossary_has_every_word() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text().lower()
    said = {word.say for word in GLOSSARY.values()} | set(GLOSSARY)
    missing = sorted(word for word in said if not re.search(rf"\b{word}", glossary))
    assert not missing, told("Add to docs/glossary.md, as a term or as what not to say:", missing)


def _identifiers() -> list[tuple[str, str, str]]:
    """List every name the package makes, columns included: where, in which room, what."""
    made = [
        (f"{module.name}:{line}", module.room, name)
        for module in package()
        for line, name in (*_names(module), (1, module.path.stem))
    ]
    for path in sorted(SCHEMA.iterdir()):
        room = path.stem[5:].split("_")[0]
        columns = re.findall(r"^    ([a-z_0-9]+) [a-z]+", path.read_text(), re.MULTILINE)
        tables = re.findall(r"CREATE TABLE \w+\.(\w+)", path.read_text())
        made += [(path.name, room, name) for name in (*columns, *tables)]
    return made


def _names(module: Module) -> Iterator[tuple[int, str]]:
    for node in nodes(module.tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case _:
                pass


def _annotated(module: Module) -> Iterator[tuple[int, str, str]]:
    for node in nodes(module.tree):
        if isinstance(node, ast.arg) and node.annotation:
            yield node.lineno, node.arg, ast.unparse(node.annotation)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            kind = ast.unparse(node.annotation)
            if kind == "Final" and isinstance(node.value, ast.Constant):
                kind = type(node.value.value).__name__
            yield node.lineno, node.target.id, kind


def _parts(name: str) -> list[str]:
    """Cut a name into its words: `AccessToken_id` into access, token, id."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _texts() -> list[tuple[str, str]]:
    """Read everything somebody wrote: code, SQL, pages, prose, the Makefile, the CI's script."""
    written = [(module.path.relative_to(ROOT).as_posix(), module.text) for module in package()]
    written += [(module.name, module.text) for module in others()]
    loose = [ROOT / "Makefile", ROOT / ".ci/run", ROOT / "pyproject.toml", *ROOT.glob("*.md")]
    folders = [*SCHEMA.iterdir(), *(ROOT / "docs").rglob("*.md")]
    pages = [path for path in (ROOT / "src").rglob("*") if path.suffix in {".html", ".css", ".js"}]
    paths = sorted({*loose, *folders, *pages})
    return written + [
        (path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths if path.exists()
    ]


def _prose(having: re.Pattern[str]) -> Iterator[tuple[str, int, str]]:
    """Read what is written for people: name, line and text, without quoted code and addresses.

    Only of files that have what is looked for anywhere: to tell prose from code takes its time.
    """
    for name, text in _texts():
        if not having.search(text):
            continue
        if name.endswith(".md"):
            bare = re.sub(r"```.*?```", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
            lines = enumerate(bare.splitlines(), 1)
        elif name.endswith(".py"):
            lines = iter(_explained(text, having))
        elif name.endswith((".html", ".css", ".js")):
            continue
        else:
            mark = "--" if name.endswith(".sql") else "#"
            cut = (line.partition(mark)[2] for line in text.splitlines())
            lines = enumerate(cut, 1)
        for number, line in lines:
            yield name, number, _unquoted(line)


def _explained(text: str, having: re.Pattern[str]) -> list[tuple[int, str]]:
    """Find the docstrings of a Python file, and its comments where one has what is looked for."""
    told_there = [(node.lineno, str(node.value)) for node in docstrings(ast.parse(text))]
    if not any(having.search(line.partition("#")[2]) for line in text.splitlines()):
        return told_there
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]
    return told_there + comments


def _unquoted(line: str) -> str:
    line = re.sub(r"`[^`]*`|\"[^\"]*\"", " ", line)
    return re.sub(r"\S*(://|[\w/]\.\w|\\|/|_)\S*|\b[A-Z]+\b|# (noqa|pyright)\S*", " ", line)
