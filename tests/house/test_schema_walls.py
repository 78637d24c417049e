"""The walls go on in the database: one schema a room, statements in one place, portable SQL."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from house.source import (
    PACKAGE,
    SCHEMA,
    Module,
    docstrings,
    floors,
    functions,
    nodes,
    package,
    told,
)

STATEMENT: Final = re.compile(
    r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|VALUES|LOCK|TRUNCATE"
    r"|(CREATE|ALTER|DROP) (SCHEMA|TABLE|INDEX|DATABASE|ROLE|VIEW))\b"
)
PIECE: Final = re.compile(
    r"\b(FROM|JOIN|INTO|UPDATE|USING|REFERENCES)\s+[a-z_]|\b[a-z]+\.[a-z_]+\b"
)
"""What a store puts a statement together from."""

MIGRATION: Final = re.compile(r"(\d{4})_([a-z]+)(_[a-z_]+)?\.sql")

BESIDE_THE_STORES: Final = {
    "db.py": "the cellar's own schema: migrations, the clock, the sandbox's secrets",
    "postgres/server.py": "makes role and database, before there is any schema",
}
"""Where statements may stand beside a room's `store.py`."""

FOR_EVERYBODY: Final = "cellar.clock"
"""Read inside the statements that load a batch or claim work."""

OF_THE_CLOCK: Final = re.compile(
    r"\b(now|random|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday"
    r"|gen_random_uuid|uuidv4|uuidv7|nextval)\s*\(|\b(current_timestamp|current_date"
    r"|current_time|localtimestamp|localtime)\b",
    re.IGNORECASE,
)
NOT_PORTABLE: Final = re.compile(
    r"\b(TRIGGER|FUNCTION|PROCEDURE|plpgsql|SAVEPOINT|LISTEN|NOTIFY|pg_(try_)?advisory\w*"
    r"|DEFERRABLE|(small|big)?serial|SEQUENCE|GENERATED|INHERITS|RULE|LOCK TABLE)\b|\bDO \$",
    re.IGNORECASE,
)
TABLE: Final = re.compile(r"CREATE TABLE (\S+) \((.*?)\n\)[^;]*;", re.DOTALL)
COLUMN: Final = re.compile(r"^    ([a-z_0-9]+) ([a-z]+(?: precision)?)", re.MULTILINE)
TARGET: Final = re.compile(
    r"(?<!DISTINCT )\b(?:FROM|JOIN|INTO|(?<!FOR )(?<!DO )UPDATE)\s+"
    r"([a-z_]\w*(?:\.\w+)?)(?!\s*\(|\w)"
)
UNITS: Final = {"_at": {"timestamptz"}, "_on": {"date"}, "_minor": {"bigint"}}


def test_a_store_names_the_schema_of_its_room_only() -> None:
    found = [
        f"{module.name}:{line} names {target}"
        for module in package()
        if module.path.name.endswith("store.py")
        for line, target in _names_of_others(module, module.room)
    ]
    assert not found, told("Ask the room that owns the table, through its front door:", found)


def test_the_cellar_names_its_own_schema_only() -> None:
    found = [
        f"{module.name}:{line} names {target}"
        for module in package()
        if module.name == "db.py"
        for line, target in _names_of_others(module, "cellar")
    ]
    assert not found, told("Move the statement into the store.py of its room:", found)


def test_statements_stand_in_stores_only() -> None:
    found = [
        f"{module.name}:{line} {' '.join(sql.split())[:50]}"
        for module in package()
        if not module.path.name.endswith("store.py") and module.name not in BESIDE_THE_STORES
        for line, sql in _statements(module)
    ]
    assert not found, told("Make it a function of the room's store.py:", found)


def test_the_database_never_tells_the_time_or_the_dice() -> None:
    found = [
        f"{where} {match[0]}" for where, sql in _all_sql() for match in OF_THE_CLOCK.finditer(sql)
    ]
    assert not found, told("Instants, ids and chance are parameters: give it as $n:", found)


def test_every_statement_could_run_on_another_database() -> None:
    found = [
        f"{where} {match[0]}" for where, sql in _all_sql() for match in NOT_PORTABLE.finditer(sql)
    ]
    found += [
        f"{module.name}:{node.lineno} add_listener"
        for module in package()
        for node in nodes(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "add_listener"
    ]
    assert not found, told("Keep the required path portable; say it in Python instead:", found)


def test_foreign_keys_point_downwards() -> None:
    found = [
        f"{name}: {table} references {schema}.{target}"
        for name, sql in _migrations()
        for table, body in _tables(sql)
        for schema, target in re.findall(r"REFERENCES (\w+)\.(\w+)", body)
        if _floor(schema) > _floor(table.split(".")[0])
        or (_floor(schema) == _floor(table.split(".")[0]) and schema != table.split(".")[0])
    ]
    assert not found, told("The room above may point at the one below, never back:", found)


def test_migrations_are_numbered_without_a_gap() -> None:
    names = [name for name, _ in _migrations()]
    wrong = [name for name in names if not MIGRATION.fullmatch(name)]
    assert not wrong, told("Name a migration NNNN_room.sql or NNNN_room_what.sql:", wrong)
    numbers = [int(name[:4]) for name in names]
    assert numbers == list(range(1, len(names) + 1)), f"Number them 0001, 0002...: {numbers}"


def test_a_migration_is_of_one_room_and_says_its_schema() -> None:
    found: list[str] = []
    for name, sql in _migrations():
        room = name[5:].removesuffix(".sql").split("_")[0]
        touched = re.findall(
            r"\b(?:CREATE SCHEMA|CREATE TABLE|ALTER TABLE|DROP TABLE|INSERT INTO|DELETE FROM"
            r"|(?<!FOR )UPDATE|CREATE (?:UNIQUE )?INDEX \w+\s+ON|CREATE VIEW) (\S+)",
            sql,
        )
        found += [f"{name}: {what}" for what in touched if what.rstrip(";").split(".")[0] != room]
    assert not found, told("Qualify it by the schema the migration is named after:", found)


def test_every_room_with_a_store_has_a_schema() -> None:
    rooms = {module.room for module in package() if module.path.name.endswith("store.py")}
    schemas = {name[5:].removesuffix(".sql").split("_")[0] for name, _ in _migrations()}
    assert rooms | {"cellar"} == schemas, "Each room with a store has one schema of its name."


def test_every_statement_of_a_migration_ends_its_line() -> None:
    found = [
        f"{name}: {line}"
        for name, sql in _migrations()
        for line in sql.splitlines()
        if ";" in line.rstrip().removesuffix(";")
    ]
    assert not found, told("db.migrate cuts at `;` at a line's end; break the line there:", found)


def test_every_table_has_a_primary_key() -> None:
    found = [
        f"{name}: {table}"
        for name, sql in _migrations()
        for table, body in _tables(sql)
        if "PRIMARY KEY" not in body
    ]
    assert not found, told("Give it a primary key:", found)


def test_a_column_has_the_type_its_name_promises() -> None:
    found = [
        f"{name}: {table}.{column} is {kind}, not {' or '.join(kinds)}"
        for name, sql in _migrations()
        for table, body in _tables(sql)
        for column, kind in COLUMN.findall(body)
        for suffix, kinds in UNITS.items()
        if column.endswith(suffix) and kind not in kinds
    ]
    assert not found, told("Units stand last and are kept: change the name or the type:", found)


def test_a_statement_put_together_is_read_too() -> None:
    pieces = (
        'A = "WITH due AS (SELECT 1)"\n'
        'B = f"{A} SELECT * FROM due JOIN shelf.loan WHERE {A}"\n'
        'C = "SELECT" + A + "FROM shelf.book" + ("JOIN shelf.fine" if B else "")\n'
        'D = "SELECT * FROM " + A\n'
    )
    module = Module("cards/store.py", PACKAGE / "cards/store.py", pieces, ast.parse(pieces))
    assert sorted(target for _, target in _names_of_others(module, "cards")) == [
        *("_", "shelf.book", "shelf.fine", "shelf.loan")
    ]


def _names_of_others(module: Module, room: str) -> list[tuple[int, str]]:
    """Find the tables a module's statements name which are not the room's."""
    inner = {id(node) for function in functions(module.tree) for node in ast.walk(function)}
    read = _read(module)
    shared = {name for node, sql in read if id(node) not in inner for name in _named(sql)}
    return [
        (node.lineno, target)
        for node, sql in read
        for target in _foreign_tables(sql, room, shared | _named(sql))
    ]


def _statements(module: Module) -> list[tuple[int, str]]:
    """Find the SQL of a module."""
    return [(node.lineno, sql) for node, sql in _read(module)]


def _read(module: Module) -> list[tuple[ast.expr, str]]:
    """Read strings that begin as a statement does, put together or not; in a store, pieces too."""
    in_a_store = module.path.name.endswith("store.py")
    seen = {id(node) for node in docstrings(module.tree)}
    found: list[tuple[ast.expr, str]] = []
    for node in nodes(module.tree):
        if id(node) in seen or not isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
            continue
        parts = list(_parts(node))
        seen |= {id(part) for part in parts}
        text = "".join(_said(part) for part in parts)
        if STATEMENT.match(text) or (in_a_store and PIECE.search(text)):
            found.append((node, _bare(text)))
    return found


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Take a text apart: sums and f-strings, each followed by what it is put together from."""
    yield node
    if isinstance(node, ast.BinOp):
        yield from (*_parts(node.left), *_parts(node.right))
    elif isinstance(node, ast.JoinedStr):
        yield from node.values


def _said(part: ast.expr) -> str:
    if isinstance(part, ast.BinOp | ast.JoinedStr):
        return ""
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else " _ "


def _named(sql: str) -> set[str]:
    """Find what a statement names itself: the queries of its WITH."""
    return set(re.findall(r"\b(\w+)(?: \([^)]*\))? AS (?:MATERIALIZED )?\(", sql))


def _foreign_tables(sql: str, room: str, named_here: set[str]) -> list[str]:
    """Find the tables of a statement that are not the room's: other schemas, or no schema."""
    targets = {target for target in TARGET.findall(sql) if target not in named_here}
    schemas = {name.split("_")[0] for name in _schemas()}
    spelt = {f"{a}.{b}" for a, b in re.findall(r"\b(\w+)\.(\w+)", sql) if a in schemas}
    return sorted(
        target
        for target in targets | spelt
        if target.split(".")[0] != room and not f"{target}.".startswith(f"{FOR_EVERYBODY}.")
    )


def _schemas() -> set[str]:
    return {name[5:].removesuffix(".sql") for name, _ in _migrations()}


def _migrations() -> list[tuple[str, str]]:
    return [(path.name, _bare(path.read_text())) for path in sorted(SCHEMA.iterdir())]


def _all_sql() -> list[tuple[str, str]]:
    statements = [
        (f"{module.name}:{line}", sql) for module in package() for line, sql in _statements(module)
    ]
    return [*statements, *_migrations()]


def _tables(sql: str) -> list[tuple[str, str]]:
    found = TABLE.findall(sql)
    assert len(found) == sql.count("CREATE TABLE"), "Write CREATE TABLE schema.name (…\n);"
    return found


def _floor(schema: str) -> int:
    return floors().get(schema, -1)


def _bare(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)
