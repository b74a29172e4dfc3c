"""`examples/peephole_lstm.py`: short, right, and the cell of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from rnn_core.checking.cells import check_step
from rnn_core.commands.cells import cells_in
from tests.rnn_core.cell.cells import Peephole

FILE = Path(__file__).resolve().parents[3] / "examples" / "peephole_lstm.py"


def test_it_has_at_most_sixty_lines_of_code():
    lines = [line.strip() for line in FILE.read_text(encoding="utf-8").splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= 60


def test_its_cell():
    [kind] = cells_in(str(FILE))
    assert kind.__name__ == "PeepholeCell"
    assert check_step(kind)
    own, other = (one(3, 4, num_layers=2, backend="numpy", seed=0) for one in (kind, Peephole))
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype("float32")
    np.testing.assert_array_equal(own(x)[0], other(x)[0])


def test_it_runs_in_the_simulator():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run([sys.executable, str(FILE)], env=environment, capture_output=True, text=True, check=True)
    said, _, error = done.stdout.removeprefix("simulated: at most ").partition(" ")
    assert float(said) < 1e-6, done.stdout
    assert error.startswith("from the equations")
