"""The documents are true: their Python runs, and their links lead somewhere.

All Python blocks of one document run in order, in one namespace, in an empty folder. A block that can't run here
(it wants a GPU, say) opens with ```` ```python no-run ````.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from kernels.definition import DEFINITIONS
from rnn_core.layers.defined import DEFINED
from tests.rnn_core.cell.conftest import forgotten  # noqa: F401  # a fixture that is used

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]+)(?:#[^)\s]*)?\)")

WANTED = {
    "rnn_core.torch": ("torch",),
    "export_onnx": ("onnx", "onnxruntime"),
    "load_keras": ("h5py", "torch", "keras"),
    "rnn_core.sklearn": ("sklearn",),
    "ParquetBlocks": ("pyarrow",),
}
"""What a page's code wants that may be missing, by what stands in it."""


class Block(NamedTuple):
    """A fenced block of a document."""

    line: int  # of its first line of code, counted from 1
    info: str  # what stands behind the opening fence
    body: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a document."""
    return [
        Block(text.count("\n", 0, match.start("body")) + 1, match["info"].strip(), match["body"])
        for match in FENCE.finditer(text)
    ]


def runnable(path: Path) -> list[Block]:
    """Return the Python blocks of a document that are to be run."""
    return [block for block in blocks(path.read_text(encoding="utf-8")) if block.info == "python"]


def name(path: Path) -> str:
    """Return how a test calls a document."""
    return path.relative_to(ROOT).as_posix()


@pytest.fixture
def no_cells_of_tests(forgotten):  # noqa: F811
    """A reader has none of the cells that tests define; and tests have none of the documents'."""
    for name in [name for name, kind in DEFINED.items() if kind.definition.module.startswith("tests.")]:
        del DEFINED[name], DEFINITIONS[name]


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if runnable(path)], ids=name)
@pytest.mark.usefixtures("no_cells_of_tests")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's, of torch
def test_python_blocks_run(path, tmp_path, monkeypatch):
    for word, packages in WANTED.items():
        if any(word in block.body for block in runnable(path)):
            for package in packages:
                pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in runnable(path):
        source = "\n" * (block.line - 1) + block.body  # so that a traceback names the line of the document
        exec(compile(source, path, "exec"), namespace)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_relative_links_lead_to_a_file(path):
    prose = FENCE.sub("", path.read_text(encoding="utf-8"))
    broken = [match["path"] for match in LINK.finditer(prose) if not (path.parent / match["path"]).exists()]
    assert not broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_blocks_say_what_they_hold(path):
    unnamed = [block.line for block in blocks(path.read_text(encoding="utf-8")) if not block.info]
    assert not unnamed, "a block without a language is neither highlighted nor run"


def test_the_readme_has_code_that_runs():
    assert runnable(ROOT / "README.md")


def test_blocks_are_found_with_their_lines_and_their_info():
    text = "a\n```python\nx = 1\n```\n\n~~~python no-run\ny = 2\n~~~\n````text\n```\n````\n"
    assert blocks(text) == [
        Block(3, "python", "x = 1\n"),
        Block(7, "python no-run", "y = 2\n"),
        Block(10, "text", "```\n"),
    ]
