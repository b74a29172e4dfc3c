"""No file that is read can have anything called: nothing that is shipped unpickles, or runs what a file holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("kernels", "rnn_core", "transfer", "benchmarks", "examples")

UNPICKLERS = {"pickle", "_pickle", "cPickle", "pickletools", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules that build whatever a file asks for."""

RUNNERS = {"eval", "exec", "__import__"}
"""What makes code of a text; ``compile`` alone is of no use without them."""

ALLOWED = {
    # The processes of one comparison hand each other the study and its runs, and fail where they can't; no file.
    "transfer/comparing/runs.py": {"pickle"},
    # Also where joblib or Dask has started them, and what a notebook has defined; joblib's own files aren't read.
    "transfer/spreading/over_joblib.py": {"joblib"},
    "transfer/spreading/spread.py": {"joblib", "pickle"},
    "transfer/spreading/tasks.py": {"cloudpickle", "joblib", "pickle"},
    # numba's own files of machine code, which only numba writes; behind a checksum, which numba has not.
    "kernels/cpu/running/kept.py": {"pickle"},
    # A kernel's own source, with its loops written out.
    "kernels/cuda/language/unrolled.py": {"exec(…)"},
    # The statements of a function that has been imported already, one by one in the place of a call of it.
    "rnn_core/study/running.py": {"exec(…)", "eval(…)"},
    # A file of Python's that the user has named in words of the command line, to have its cells run.
    "rnn_core/commands/cells.py": {"exec_module(…)"},
    "kernels/cuda/assembly.py": {"exec_module(…)"},
}
"""Where it is taken nevertheless, and why."""


def taken(text: str) -> set[str]:
    """Return what a source uses of all this."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names} & UNPICKLERS
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {(node.module or "").partition(".")[0]} & UNPICKLERS
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            pickled = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}.get("allow_pickle")
            if name in RUNNERS or pickled not in (None, "False"):
                found.add(f"{name}(…)" if pickled is None else f"{name}(…, allow_pickle={pickled})")
            if name.endswith("exec_module") or name.startswith("runpy."):
                found.add("exec_module(…)")
            if name in ("torch.load", "np.load", "numpy.load") and pickled != "False":
                found.add(f"{name}(…)")
    return found


@pytest.mark.parametrize("package", SHIPPED)
def test_nothing_is_unpickled_and_no_text_is_run(package: str) -> None:
    found = {
        path.relative_to(ROOT).as_posix(): names
        for path in sorted((ROOT / package).rglob("*.py"))
        if (names := taken(path.read_text(encoding="utf-8")))
    }
    assert found == {name: names for name, names in ALLOWED.items() if name.startswith(package)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import pickle", "pickle"),
        ("from pickle import Unpickler as Lists", "pickle"),
        ("import torch\ntorch.load(path)", "torch.load(…)"),
        ("np.load(path)", "np.load(…)"),
        ("read_array(file, allow_pickle=True)", "read_array(…, allow_pickle=True)"),
        ("eval(text)", "eval(…)"),
        ("spec.loader.exec_module(module)", "exec_module(…)"),
        ("runpy.run_path(path)", "exec_module(…)"),
    ],
)
def test_each_of_them_would_be_seen(text: str, what: str) -> None:
    assert taken(text) == {what}
