"""A backward whose loss is at the last step. Nothing here looks at a time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks import timing
from benchmarks.cases import Case
from benchmarks.cpu.layers import last_step
from benchmarks.cpu.setting import Setting


@pytest.mark.parametrize("cell", last_step.CELLS)
def test_both_sides_agree_where_the_gradient_fades(cell):
    case = Case(cell, "backward", 200, 2, 8)
    found = last_step.ours(case, "cpu", every=False)()
    for flush in (False, True):
        expected = last_step.theirs(torch, case, flush)()
        assert found.keys() == expected.keys()
        assert last_step.disagreement(found, expected) < 1e-5
    assert np.float32(1e-40) * np.float32(1) != 0  # torch's setting is as it was


def test_a_row_has_three_ratios_unless_the_sides_differ(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0.0)
    setting, case = Setting(torch, "numpy", 1, None, quick=True), last_step.cases(quick=True)[0]
    row = last_step.measure(setting, case).as_dict()
    assert all(row[name]["ratio"] > 0 for name in ("every", "torch", "flushing"))
    assert row["every"]["ours"] == row["torch"]["ours"] > 0  # the same blocks, of a loss at the last step
    monkeypatch.setattr(last_step, "disagreement", lambda *_: float("nan"))
    assert "DIFFERS" in last_step.measure(setting, case).line()
