"""The documents say what is there: versions, rubrics, reasons, links, commands, settings."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest

from bayon.config import Settings
from house.source import ROOT, project, told

RUBRICS: Final = ["Security", "Money", "Added", "Changed", "Fixed", "Removed"]
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS: Final = sorted((ROOT / "docs/decisions").glob("*.md"))
OF_THE_TESTS: Final = frozenset({"BAYON_REQUIRE_ALL"})
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", _read("CHANGELOG.md"), re.MULTILINE)
    version = project()["project"]["version"]
    assert versions[:1] == [version], (
        f"pyproject.toml says {version}: begin CHANGELOG.md's list with `## {version}`."
    )


def test_the_changelog_has_its_rubrics_in_order() -> None:
    for part in re.split(r"^## ", _read("CHANGELOG.md"), flags=re.MULTILINE)[1:]:
        version = part.partition("\n")[0]
        rubrics = re.findall(r"^### (.+)$", part, re.MULTILINE)
        expected = [rubric for rubric in RUBRICS if rubric in rubrics]
        assert rubrics, f"Say under {version} what changed, by rubric: {', '.join(RUBRICS)}."
        assert rubrics == expected, f"Under {version}, keep to the order {', '.join(RUBRICS)}."


def test_decisions_are_numbered_without_a_gap() -> None:
    names = [path.name for path in DECISIONS]
    wrong = [name for name in names if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name)]
    assert not wrong, told("Name a decision NNNN-what-was-decided.md:", wrong)
    numbers = [int(name[:4]) for name in names]
    assert numbers == list(range(1, len(names) + 1)), f"Number decisions on: {numbers}."


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_number_and_one_line_of_reason(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith(f"# {int(path.name[:4])}. "), (
        f"Begin {path.name} with `# {int(path.name[:4])}. What was decided`."
    )
    assert re.fullmatch(r"\*\*Reason: .+\.\*\*", lines[2]), (
        f"Give {path.name} its reason in the third line: **Reason: because.**"
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    broken = [
        link
        for link in LINK.findall(_without_code(path.read_text()))
        if not re.match(r"[a-z]+:", link) and not _leads_somewhere(path, link)
    ]
    assert not broken, told(f"{path.name}: mend these links:", broken)


def test_every_command_of_make_that_is_told_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))
    found = [
        f"{path.name}: make {target}"
        for path in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z]+)\b", path.read_text(), re.MULTILINE)
        if target not in targets
    ]
    assert not found, told("No such target in the Makefile:", found)


def test_make_help_tells_every_target() -> None:
    makefile = _read("Makefile")
    phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[0].split()
    explained = re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE)
    assert sorted(phony) == sorted(explained), "Every target is .PHONY and explained after `##`."


def test_every_setting_that_is_told_exists() -> None:
    known = {f"BAYON_{field.name.upper()}" for field in fields(Settings)} | OF_THE_TESTS
    found = [
        f"{path.name}: {name}"
        for path in PAGES
        for name in re.findall(r"\bBAYON_[A-Z_]+[A-Z]\b", path.read_text())
        if name not in known and not name.startswith("BAYON_TEST_")
    ]
    assert not found, told("No such setting (src/bayon/config.py):", found)


def test_every_library_has_its_reason() -> None:
    reasons = _read("docs/decisions/0006-libraries.md").lower()
    needed: list[str] = project()["project"]["dependencies"]
    names = [re.split(r"[<>=!\[; ]", requirement)[0] for requirement in needed]
    missing = [name for name in names if name not in reasons]
    assert not missing, told("Say in docs/decisions/0006-libraries.md why it is here:", missing)


def test_no_page_names_another_machine_to_install_from() -> None:
    hosts = re.compile(r"(pypi|pythonhosted|npmjs|registry\.\w+|proxy\.golang)\.\w+")
    names = ["Makefile", ".ci/run", "pyproject.toml", "requirements.lock"]
    found = [
        f"{name}: {match[0]}"
        for name in names
        if (ROOT / name).exists()
        for match in hosts.finditer(_read(name))
    ]
    assert not found, told("The machine's own settings say from where; do not name a host:", found)


def _read(name: str) -> str:
    return (ROOT / name).read_text()


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


def _leads_somewhere(page: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (page.parent / target) if target else page
    if not path.exists() or not path.resolve().is_relative_to(ROOT):
        return False
    return not anchor or path.suffix != ".md" or anchor in _anchors(path.read_text())


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
