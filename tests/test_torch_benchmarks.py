"""The benchmark runs, checks before it times, and says what is missing. Nothing here looks at a time."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks import cpu, timing
from benchmarks.__main__ import main
from benchmarks.cases import Case, cases

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0)


def test_a_quick_run_agrees_and_writes_json(tmp_path, capsys) -> None:
    file = tmp_path / "cpu.json"
    assert main(["cpu", "--quick", "--only", "B=8", "--threads", "1", "--json", str(file)]) == 0
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["machine"]["threads"] == 1
    assert all(row["agrees"] and row["ours"] > 0 and row["theirs"] > 0 for row in written["rows"])
    assert {(row["cell"], row["task"]) for row in written["rows"]} == {
        (cell, task) for cell in ("RNN", "LSTM", "GRU") for task in ("inference", "training")
    }
    assert any(row["ragged"] for row in written["rows"])
    assert any(row["dtype"] == "float64" for row in written["rows"])
    assert "LSTM training: geometric mean" in capsys.readouterr().out


def test_what_differs_is_not_timed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(cpu, "disagreement", lambda a, b: 0.5)
    assert main(["cpu", "--quick", "--only", "GRU training float64", "--threads", "1"]) == 1
    assert "DIFFERS by 5.0e-01, not timed" in capsys.readouterr().out


def test_disagreement_is_relative() -> None:
    assert cpu.disagreement({"y": np.array([10.0, 0.1])}, {"y": np.array([10.0, 0.0])}) == pytest.approx(0.01)


def test_both_sides_are_called_equally_and_the_ratio_is_theirs_to_ours() -> None:
    clock = {"ours": 0, "theirs": 0}

    def side(name: str) -> None:
        clock[name] += 1

    pair = timing.alternate(lambda: side("ours"), lambda: side("theirs"), pairs=4, block=0.0)
    assert clock["ours"] == clock["theirs"] > 4
    assert pair.low <= pair.ratio <= pair.high


def test_names_tell_cases_apart() -> None:
    for quick in (False, True):
        names = [case.name for case in cases(quick)]
        assert len(set(names)) == len(names)
    assert Case("LSTM", "training", 5, 2, 3, ragged=True).name == "LSTM training float32 T=5 B=2 H=3, ragged"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "Elman"], "--only must be part of a case's name"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--backend", "abacus"], "backend must be one of"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message, capsys) -> None:
    assert main(["cpu", "--quick", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_torch_the_extra_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["cpu", "--quick"]) == 2
    assert "pip install '.[bench]'" in capsys.readouterr().err
