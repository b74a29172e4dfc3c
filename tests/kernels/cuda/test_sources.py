"""What the CUDA kernels' sources promise: the CPU's equations word for word, and one file that imports numba.cuda."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KERNELS = ROOT / "kernels"


def functions(path: Path) -> dict[str, str]:
    """Return the source of every function of a file by name, without decorators."""
    text = path.read_text(encoding="utf-8")
    return {
        node.name: "\n".join(line.strip() for line in text.splitlines()[node.lineno - 1 : node.end_lineno])
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("function", ["step", "step_backward"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_cell_has_the_equations_of_the_cpu(cell, function):
    """A thread's numbers need a 1 and a 0 of their precision; otherwise the lines are the same."""
    ours = functions(KERNELS / "cuda" / f"{cell}.py")[function]
    ours = re.sub(r"\bone\b", "1", re.sub(r"\(zero,", "(None,", ours))
    assert ours == functions(KERNELS / "cpu" / f"{cell}.py")[function]


def test_one_file_imports_numba_cuda():
    statement = re.compile(r"^\s*(from|import) (_?numba_cuda|numba\.cuda|numba\S* import cuda)", re.MULTILINE)
    importing = {
        path.relative_to(ROOT).as_posix()
        for package in ("kernels", "rnn_core", "transfer")
        for path in (ROOT / package).rglob("*.py")
        if statement.search(path.read_text("utf-8"))
    }
    assert importing == {"kernels/cuda/language/compiler.py"}


@pytest.mark.parametrize(
    ("absent", "reason"),
    [
        ("_numba_cuda_redirector", "the package 'numba-cuda' is not installed"),
        ("cupy", "the package 'cupy' is not installed"),
    ],
)
def test_a_missing_package_is_named(absent, reason):
    """With and without the package on this machine; what numba-cuda would say is not asked."""
    code = f"""
import sys, types
if {absent!r} == "cupy":
    stand_in = types.ModuleType("kernels.cuda.language.compiler")
    names = "exp log sqrt tanh normal shared_memory load_vector store_vector arrive wait to_tf32 mma"
    for name in ("cuda", "device_function", *names.split()):
        setattr(stand_in, name, lambda function=None: function)
    sys.modules["kernels.cuda.language.compiler"] = stand_in
sys.modules[{absent!r}] = None
from rnn_core import LSTM
try:
    LSTM(2, 3, backend="cuda")
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith(f"LSTM: backend 'cuda' is not available: {reason}")
    assert "use one of 'cpu', 'numpy'" in done.stdout


def test_kernels_are_neither_compiled_nor_simulated_before_they_are_asked_for():
    """A user of the CPU pays nothing for the GPU."""
    found = "[m for m in sys.modules if m.startswith(('kernels.cuda', 'numba.cuda', 'cupy'))]"
    code = f"import sys, rnn_core; rnn_core.LSTM(2, 3); print({found})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
