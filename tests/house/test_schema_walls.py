"""The walls go on in the database: one schema a room, statements in one place, portable SQL."""

import ast
import re
from typing import Final

from house.source import SCHEMA, Module, docstrings, floors, package, told

STATEMENT: Final = re.compile(
    r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|VALUES|LOCK|TRUNCATE"
    r"|(CREATE|ALTER|DROP) (SCHEMA|TABLE|INDEX|DATABASE|ROLE|VIEW))\b"
)
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
        for line, sql in _statements(module)
        for target in _foreign_tables(sql, module.room)
    ]
    assert not found, told("Ask the room that owns the table, through its front door:", found)


def test_the_cellar_names_its_own_schema_only() -> None:
    found = [
        f"{module.name}:{line} names {target}"
        for module in package()
        if module.name == "db.py"
        for line, sql in _statements(module)
        for target in _foreign_tables(sql, "cellar")
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
        for node in ast.walk(module.tree)
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


def _statements(module: Module) -> list[tuple[int, str]]:
    """Find the SQL of a module: every string that begins as a statement does."""
    said = {id(node) for node in docstrings(module.tree)}
    inner = {
        id(part)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    found: list[tuple[int, str]] = []
    for node in ast.walk(module.tree):
        if id(node) in said | inner:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else " _ " for part in node.values
            )
        else:
            continue
        if STATEMENT.match(text):
            found.append((node.lineno, _bare(text)))
    return found


def _foreign_tables(sql: str, room: str) -> list[str]:
    """Find the tables of a statement that are not the room's: other schemas, or no schema."""
    named_here = set(re.findall(r"\b(\w+)(?: \([^)]*\))? AS (?:MATERIALIZED )?\(", sql))
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
