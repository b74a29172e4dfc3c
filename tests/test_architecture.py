"""Imports run one way, transfer → rnn_core → kernels, and importing wants nothing but the required packages."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BELOW = {"kernels": set(), "rnn_core": {"kernels"}, "transfer": {"kernels", "rnn_core"}}
"""Which of our packages each of them may import."""


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


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), path)


@pytest.mark.parametrize("package", BELOW)
def test_imports_run_one_way(package):
    ours = {*BELOW, "tests", "benchmarks", "examples"}
    wrong = {
        path.relative_to(ROOT).as_posix(): found
        for path in files(package)
        if (found := top(imports(ast.walk(tree(path)))) & ours - BELOW[package] - {package})
    }
    assert not wrong


def test_equations_take_names_from_the_contract_and_no_arithmetic():
    for path in files("rnn_core/equations"):
        ours = {name for name in imports(ast.walk(tree(path))) if name.startswith("kernels")}
        assert ours <= {"kernels.contract"}, path


@pytest.mark.parametrize("package", BELOW)
def test_importing_wants_nothing_but_the_required_packages(package):
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    required = re.findall(r"^([\w-]+)", settings["options"]["install_requires"], re.MULTILINE)
    allowed = {*sys.stdlib_module_names, *BELOW, *(name.replace("-", "_") for name in required)}
    for path in files(package):
        assert top(imports(tree(path).body)) <= allowed, path
