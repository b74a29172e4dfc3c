"""``python -m benchmarks.cpu.layers.last_step``. Nothing here looks at a time."""

from __future__ import annotations

import numba
import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks import timing
from benchmarks.cases import Case
from benchmarks.cpu.layers import last_step


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0.0)
    ours, theirs = numba.get_num_threads(), torch.get_num_threads()
    yield
    numba.set_num_threads(ours)
    torch.set_num_threads(theirs)


@pytest.mark.parametrize("cell", last_step.CELLS)
def test_both_sides_agree_where_the_gradient_fades(cell):
    case = Case(cell, "training", 200, 2, 8)
    found = last_step.ours(case, every=False)()
    for flush in (False, True):
        expected = last_step.theirs(torch, case, flush)()
        assert found.keys() == expected.keys()
        assert last_step.disagreement(found, expected) < 1e-5
    assert np.float32(1e-40) * np.float32(1) != 0  # torch's setting is as it was


def test_a_table_is_printed_unless_they_differ(monkeypatch, capsys):
    monkeypatch.setattr(last_step, "CELLS", ("RNN",))
    assert last_step.main(["--quick"]) == 0
    assert "| RNN | " in capsys.readouterr().out
    monkeypatch.setattr(last_step, "disagreement", lambda *_: 1.0)
    assert last_step.main(["--quick"]) == 1
    assert "RNN: the two sides must agree, but differ by 1.0e+00" in capsys.readouterr().err
