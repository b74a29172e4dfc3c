"""The benchmark of resets: its sides compute the same, and torch's are an oracle for ours."""

from __future__ import annotations

import pytest

from benchmarks import resets


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_the_sides_agree(cell, training):
    torch = pytest.importorskip("torch")
    problem = resets.problem_of(cell, 12, 3, 4, 4.0)
    assert problem.resets[1:].any()
    sides = {
        "ours": resets.ours(problem, training=training, resets=True),
        "stretches": resets.stretches(torch, problem, training),
        "steps": resets.steps(torch, problem, training),
    }
    resets.compare(sides)
    sides["ours"] = resets.ours(problem, training=training, resets=False)
    with pytest.raises(AssertionError, match="apart"):
        resets.compare(sides)
