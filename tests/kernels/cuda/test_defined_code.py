"""What becomes of a defined cell on a GPU: its kernels compiled and assembled, where numba-cuda and ptxas are there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

CODE = """
from kernels.cuda import assembly
from tests.kernels.cuda.defined_cells import Apart, Held, Masked
from tests.kernels.cuda.staged_cells import Narrow, Shared

kernels = set()
for definition in (Held.definition, Apart.definition, Masked.definition, Narrow.definition, Shared.definition):
    for case in assembly.cases({("sm_90", "float32"): ((64,), (4,))}, [definition]):
        if (definition is Masked.definition and case.kernel != "backward") or (case.tile and case.tile.tensor):
            continue
        if definition.across and (case.kernel in kernels or not (case.kernel == "dh" or "+" in case.kernel)):
            continue  # the smaller ones of a stage, or those that the first of the two cells has
        ptx = case.ptx()
        result = assembly.assemble(ptx, case.target)
        assert not result.faults(case), (case, result)
        assert ".f64" not in ptx, case
        kernels.add(case.kernel)
print(*sorted(kernels))

(case, *_) = assembly.cases({("sm_90", "float64"): ((64,), (4,))}, [Apart.definition])
assert "0d3FB999999999999A" in case.ptx()  # 0.1, and not a float32 made longer
assert assembly.ptxas()
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not importlib.util.find_spec("_numba_cuda_redirector") or not importlib.util.find_spec("nvidia"),
    reason="numba-cuda and ptxas are not installed; pip install 'rnn_core[ptx]'",
)
def test_kernels_neither_spill_nor_compute_in_another_precision():
    """In a process of its own: numba-cuda stays out of the others' way."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [
        "all", "all+tape", "all_backward", "all_backward+states", "backward", "backward+states", "dh", "forward",
        "forward+tape", "stage0+tape", "stage0_backward+states", "stage1+tape", "stage1_backward+states", "step",
        "step+tape", "step_backward", "step_backward+states",
    ]  # fmt: skip
