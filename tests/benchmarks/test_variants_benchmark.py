"""``python -m benchmarks.variants``. Nothing here looks at a time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import timing
from benchmarks.variants import __main__ as variants
from benchmarks.variants.cases import PLAIN, Case, ours, theirs
from rnn_core.layers.defined import SHIPPED

torch = pytest.importorskip("torch")


def test_every_variant_is_there():
    assert set(PLAIN) == set(SHIPPED)


@pytest.mark.parametrize("cell", PLAIN)
def test_the_loop_agrees(cell):
    """Uncompiled, as any function of torch."""
    case = Case(cell, 2, 8, 5)
    assert variants.disagreement(ours(case).results(), theirs(torch, case, lambda loop: loop).results()) < 1e-5


def test_a_gradient_may_differ_where_a_derivative_jumps_and_nowhere_else():
    one, apart = {"y": np.ones(3)}, {"y": np.ones(3) + 1e-3}
    gradients = {"u_l0": np.ones(3)}, {"u_l0": np.ones(3) + 1e-3}
    variants.check(Case("IndRNN", 1, 3), one | gradients[0], one | gradients[1])
    with pytest.raises(RuntimeError, match="but y differs by 1.0e-03"):
        variants.check(Case("IndRNN", 1, 3), one, apart)
    with pytest.raises(RuntimeError, match="but u_l0 differs by 1.0e-03"):
        variants.check(Case("LeakyRNN", 1, 3), one | gradients[0], one | gradients[1])


def test_tables_are_printed_unless_they_differ(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(timing, "REST", 0.0)
    monkeypatch.setattr(torch.jit, "script", lambda loop: loop)
    words = ["--quick", "--only", "LeakyRNN B=1", "--threads", "1", "--json", str(tmp_path / "found.json")]
    assert variants.main(words) == 0
    shown = capsys.readouterr().out
    assert "| LeakyRNN B=1 H=64 |" in shown
    assert "| LeakyRNN beside RNN |" in shown
    assert "| MinLSTM T=64 B=1 H=64 |" in shown
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["cell"] for row in found["rows"]] == ["LeakyRNN"]
    assert found["targets"] == variants.TARGETS
    monkeypatch.setattr(variants, "disagreement", lambda *_: float("nan"))
    assert variants.main(words) == 1
    assert "LeakyRNN B=1 H=64: variant and loop must agree, but y differs by nan" in capsys.readouterr().err
