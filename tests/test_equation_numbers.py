"""The numbers of the equations: docs/equations.md and the code know the same ones, forward and primed.

A number is defined where it stands alone in a cell of a table in docs/equations.md. The code carries it in brackets,
``(L6)``; so does a derivation, or in the tag of a displayed equation.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "equations.md"
NUMBER = re.compile(r"\(([A-Z]{1,2}\d+′?)\)|\\tag\{([A-Z]{1,2}\d+′?)\}")
ALONE = re.compile(r"(?<=\|) *\(([A-Z]{1,2}\d+′?)\) *(?=\|)")
DERIVATIONS = {
    "R": "rnn", "L": "lstm", "G": "gru", "M": "losses", "S": "losses", "B": "losses", "Q": "losses",
    "CF": "contextual",
    "AT": "attention",
    "CR": "crf",
    "CV": "convolution", "CP": "convolution",
    "FC": "forecasting",
    "RG": "regularisers",
    "DA": "domains",
    **dict.fromkeys(
        ("PL", "CL", "LR", "IR", "MG", "MN", "MT", "SL", "PS", "PJ", "RB", "GB", "LN", "LL", "LG"), "variants"
    ),
}  # fmt: skip
"""Where each family of equations is derived."""


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def numbers(text: str) -> set[str]:
    """Return every number in a text."""
    return {bracketed or tagged for bracketed, tagged in NUMBER.findall(text)}


def letters(number: str) -> str:
    """Return the family of an equation: what its number begins with."""
    return number.rstrip("′").rstrip("0123456789")


def sections() -> dict[str, str]:
    """Return the sections of the page by heading."""
    parts = re.split(r"^## (.+)$", read(PAGE), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def sources() -> list[Path]:
    """Return every file of the three packages."""
    return sorted(path for package in ("rnn_core", "kernels", "transfer") for path in (ROOT / package).rglob("*.py"))


def code(path: Path) -> str:
    """Return a file without the docstring at its top, where the equations are merely listed."""
    text = read(path)
    first = ast.parse(text).body[:1]
    return "\n".join(text.splitlines()[first[0].end_lineno :]) if first else ""


DEFINED = ALONE.findall(read(PAGE))
IN_CODE = set().union(*(numbers(code(path)) for path in sources()))


def test_each_number_is_defined_once():
    assert len(DEFINED) == len(set(DEFINED))


def test_the_page_and_the_code_know_the_same_numbers():
    assert set(DEFINED) == IN_CODE


@pytest.mark.parametrize("backend", ["kernels/cpu", "kernels/cuda"])
def test_a_backend_carries_every_number_of_the_cells(backend):
    """At a line that computes it: products and loops are written once for all cells, and carry the numbers of each."""
    lines = "\n".join(line for path in (ROOT / backend).rglob("*.py") for line in re.findall(r"#.*", code(path)))
    assert {number for number in DEFINED if letters(number) in ("R", "L", "G")} <= numbers(lines)


def test_numbers_run_from_one_without_gaps():
    forward = [number for number in DEFINED if not number.endswith("′")]
    for family in set(map(letters, forward)):
        found = sorted(int(number.removeprefix(family)) for number in forward if letters(number) == family)
        assert found == list(range(1, len(found) + 1)), family


def test_a_backward_stands_beside_its_forward():
    for line in read(PAGE).splitlines():
        for number in ALONE.findall(line):
            if number.endswith("′"):
                assert number.rstrip("′") in ALONE.findall(line)


@pytest.mark.parametrize("heading", [heading for heading, text in sections().items() if ALONE.search(text)])
def test_a_section_names_the_files_that_hold_its_equations(heading):
    text = sections()[heading]
    files = [PAGE.parent / path for path in re.findall(r"\]\((\.\./[^)]+\.py)\)", text)]
    held = set().union(*(numbers(code(path)) for path in files))
    assert set(ALONE.findall(text)) <= held


def test_a_number_means_one_thing():
    """A line of code carries numbers of the section that names its file; a backend those of the cells."""
    for path in sources():
        if "kernels" in path.relative_to(ROOT).parts:
            continue
        own = {
            number
            for text in sections().values()
            if f"]({'../' + path.relative_to(ROOT).as_posix()})" in text
            for number in ALONE.findall(text)
        }
        carried = numbers("\n".join(re.findall(r"#.*", code(path))))
        assert carried <= own, path


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_every_number_in_the_documents_is_one(path):
    assert numbers(read(path)) <= set(DEFINED)


@pytest.mark.parametrize("family", DERIVATIONS)
def test_every_equation_is_derived(family):
    derived = numbers(read(ROOT / "docs" / "derivations" / f"{DERIVATIONS[family]}.md"))
    assert {number for number in DEFINED if letters(number) == family} <= derived


def test_primes_are_primes():
    """An apostrophe looks almost the same, and no search for (L5′) would find it."""
    for path in [*sources(), *(ROOT / "docs").rglob("*.md")]:
        assert not re.search(r"\([A-Z]{1,2}\d+['’`]\)", read(path)), path
