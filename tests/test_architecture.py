"""The house: imports run one way, rooms are small, functions short, and importing wants the required packages alone."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BELOW = {"kernels": set(), "rnn_core": {"kernels"}, "transfer": {"kernels", "rnn_core"}}
"""Which of our packages each of them may import."""

MOST_FILES = 12
"""Files of a room, its ``__init__.py`` not counted."""

EXTRAS = {
    "rnn_core.torch": {"torch"},
    "rnn_core.onnx": {"onnx"},
    "rnn_core.keras": {"h5py"},
    "rnn_core.sklearn": {"sklearn"},
}
"""What a room may import besides because it is for whoever has that already; nothing else here imports the room."""

MOST_LINES = 60
"""Lines of a function, its docstring not counted. Functions within it count."""


def files(package: str) -> list[Path]:
    """Return the source files of one of our packages."""
    return sorted((ROOT / package).rglob("*.py"))


def imports(nodes: Iterator[ast.AST] | list[ast.stmt]) -> set[str]:
    """Return the absolute names that some nodes import."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


def top(names: set[str]) -> set[str]:
    """Return the packages that dotted names belong to."""
    return {name.partition(".")[0] for name in names}


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), path)


def dotted(path: Path) -> str:
    """Return the name under which a file is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def arrows(package: str) -> dict[str, set[str]]:
    """Return the files of the same package that each file imports, by name; those for types alone count as well."""
    known = {dotted(path) for path in files(package)}
    found = {}
    for path in files(package):
        here = dotted(path).split(".") if path.name == "__init__.py" else dotted(path).split(".")[:-1]
        wanted = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = here[: len(here) - node.level + 1] if node.level else []
                module = ".".join([*base, *([node.module] if node.module else [])])
                wanted |= {name if (name := f"{module}.{alias.name}") in known else module for alias in node.names}
        found[dotted(path)] = (wanted & known) - {dotted(path)}
    return found


def circles(graph: dict[str, set[str]]) -> set[str]:
    """Return the nodes from which arrows lead back to themselves, or to such nodes."""
    left = {node: set(targets) for node, targets in graph.items()}
    while done := {node for node, targets in left.items() if not targets & set(left)}:
        for node in done:
            del left[node]
    return set(left)


@pytest.mark.parametrize("package", BELOW)
def test_imports_run_one_way(package):
    ours = {*BELOW, "tests", "benchmarks", "examples"}
    wrong = {
        path.relative_to(ROOT).as_posix(): found
        for path in files(package)
        if (found := top(imports(ast.walk(tree(path)))) & ours - BELOW[package] - {package})
    }
    assert not wrong


@pytest.mark.parametrize("package", BELOW)
def test_no_files_import_each_other(package):
    graph = arrows(package)
    assert circles(graph) == set()


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}


FOLDERS = sorted({path.parent for package in BELOW for path in files(package)})
HOUSES = [folder for folder in FOLDERS if sum(other.parent == folder for other in FOLDERS) > 1]
"""Folders of several rooms."""


def named(path: Path) -> str:
    """Return a path as a test's name."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("house", HOUSES, ids=named)
def test_arrows_between_rooms_run_one_way(house):
    """Files in the house's own folder are in no room: they may stand below the rooms, or upon them."""
    rooms: dict[str, set[str]] = {dotted(folder / "__init__.py"): set() for folder in FOLDERS if folder.parent == house}

    def room(name: str) -> str | None:
        return next((room for room in rooms if f"{name}.".startswith(f"{room}.")), None)

    for source, targets in arrows(named(house).partition("/")[0]).items():
        if here := room(source):
            rooms[here] |= {there for target in targets if (there := room(target)) and there != here}
    assert circles(rooms) == set(), rooms


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_a_room_is_small_and_says_its_purpose(folder):
    assert ast.get_docstring(tree(folder / "__init__.py"))
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MOST_FILES


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function, from its name to its end, without its docstring."""
    first = function.body[0]
    said = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if said else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@pytest.mark.parametrize("package", BELOW)
def test_functions_are_short(package):
    long = {
        f"{named(path)}:{node.name}": lines
        for path in files(package)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := lines_of(node)) > MOST_LINES
    }
    assert not long


def test_equations_take_names_from_the_contract_and_no_arithmetic():
    for path in files("rnn_core/equations"):
        ours = {name for name in imports(ast.walk(tree(path))) if name.startswith("kernels")}
        assert ours <= {"kernels.contract", "kernels.definition"}, path  # the latter: names, and a user's own functions


@pytest.mark.parametrize("package", BELOW)
def test_importing_wants_nothing_but_the_required_packages(package):
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    required = re.findall(r"^([\w-]+)", settings["options"]["install_requires"], re.MULTILINE)
    allowed = {*sys.stdlib_module_names, *BELOW, *(name.replace("-", "_") for name in required)}
    for path in files(package):
        room = next((room for room in EXTRAS if f"{dotted(path)}.".startswith(f"{room}.")), "")
        assert top(imports(tree(path).body)) <= allowed | EXTRAS.get(room, set()), path
        if not room:
            assert not {name for name in arrows(package)[dotted(path)] if name.startswith(tuple(EXTRAS))}, path
