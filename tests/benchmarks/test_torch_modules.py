"""``python -m benchmarks.torch_modules``. Nothing here looks at a time."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from benchmarks import timing
from benchmarks.torch_modules import __main__ as command
from benchmarks.torch_modules.modules import cases, sides
from benchmarks.torch_modules.programs import Training, programs
from rnn_core.torch import accelerate


@pytest.mark.parametrize("program", programs(quick=True), ids=lambda program: program.name)
def test_a_program_learns_the_same_with_our_modules(program):
    mine, theirs = (Training(program, torch.float32, change) for change in (accelerate, None))
    assert mine.curve(12) == pytest.approx(theirs.curve(12), rel=command.CURVE)
    assert not any(type(module) in (torch.nn.LSTM, torch.nn.GRU) for module in mine.model.modules())


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_every_module_of_the_grid_is_served():
    for case in cases(quick=True):
        mine, theirs = sides(case)
        assert command.disagreement(mine.results(), theirs.results()) <= command.AGREEMENT[case.dtype]


def test_tables_are_printed_unless_losses_differ(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(timing, "REST", 0.0)
    monkeypatch.setattr(command, "STEPS", 2)
    words = ["--quick", "--only", "GRU float32", "--threads", "1", "--json", str(tmp_path / "found.json")]
    assert command.main(words) == 0
    shown = capsys.readouterr().out
    assert "| regressor, GRU, float32 | 1 |" in shown
    assert "| GRU float32 packed T=5 B=3 H=8 | 1 |" in shown
    assert "| GRU, RNN, float64, packed, projected |" in shown
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["program"] for row in found["programs"]] == ["regressor", "classifier"]
    assert len(found["modules"]) == 2
    monkeypatch.setattr(command, "CURVE", -1.0)
    assert command.main(words) == 1
    assert "regressor float32: losses must agree to -1" in capsys.readouterr().err


def test_a_run_that_is_cut_keeps_its_rows(monkeypatch, tmp_path):
    def cut(*_, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(timing, "REST", 0.0)
    monkeypatch.setattr(command, "STEPS", 2)
    monkeypatch.setattr(command, "module_rows", cut)
    file = tmp_path / "found.json"
    with pytest.raises(KeyboardInterrupt):
        command.main(["--quick", "--only", "regressor GRU float32", "--threads", "1", "--json", str(file)])
    found = json.loads(file.read_text())
    assert [row["program"] for row in found["programs"]] == ["regressor"]
    assert found["machine"]
