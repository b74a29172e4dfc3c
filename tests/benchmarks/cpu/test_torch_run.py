"""The benchmark runs, checks before it times, and says what is missing. Nothing here looks at a time."""

from __future__ import annotations

import json
import sys
import types

import numba
import numpy as np
import pytest

from benchmarks import machine, sides, timing
from benchmarks.__main__ import main
from benchmarks.cases import TIMED, Case
from benchmarks.cpu import setting
from benchmarks.cpu.layers import grid, memory
from benchmarks.cpu.limits import Limits
from benchmarks.cpu.peers import onnx_side
from benchmarks.cpu.sections import SECTIONS

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(timing, "REST", 0)
    monkeypatch.setitem(setting.QUICK, "rest", 0)


def run(*arguments: str) -> int:
    """Run the command, on the equations: what it does doesn't depend on the backend, and they need no compiling."""
    return main(["cpu", "--quick", "--threads", "1", "--backend", "numpy", *arguments])


def test_a_quick_run_agrees_and_writes_json(tmp_path, capsys) -> None:
    file = tmp_path / "cpu.json"
    assert run("--only", "B=8", "--json", str(file)) == 0
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["complete"]
    assert written["failed"] == []
    assert written["machine"]["threads"] == 1
    sections = written["sections"]
    timed = [row for name in TIMED for row in sections.get(name, [])]
    assert all(row["agrees"] and row["ours"] > 0 and row["theirs"] > 0 for row in timed)
    assert all(row["flops"] > 0 and row["share"] > 0 and row["bound"] in ("FMA", "stream") for row in timed)
    assert {(row["cell"], row["task"]) for row in timed} == {
        (cell, task) for cell in ("RNN", "LSTM", "GRU") for task in ("inference", "training")
    }
    assert {row["section"] for row in timed} == set(TIMED) - {"single", "one-thread"}  # which have no B=8
    assert {(row["I"], row["H"]) for row in sections["odd"]} == {(20, 33)}
    assert written["limits"]["1"]["flops_per_second"]["float64"] > 0
    assert all(row["handing_down"]["ratio"] > 0 and row["idle"]["ratio"] > 0 for row in sections["frozen"])
    assert all(row["ours"] > 0 and row["theirs"] > 0 for row in sections["memory"])
    assert {name for row in sections["accuracy"] for name in row["errors"]} == {
        "y", "dx", "dweight_ih", "dweight_hh", "dbias_ih", "dbias_hh"
    }  # fmt: skip
    assert all(e["our_rms"] < 1e-5 for row in sections["accuracy"] for e in row["errors"].values())
    lines = {line["what"]: line for line in written["summary"]}
    assert lines["ragged, training"]["worst_case"].endswith(", ragged")
    assert (lines["ragged, training"]["mean_target"], lines["ragged, training"]["worst_target"]) == (6.0, 2.0)
    out = capsys.readouterr().out
    assert "Summary" in out
    assert "FMA peak, threads 1: float32" in out


def test_tables_and_picture_are_written_for_a_section(tmp_path) -> None:
    table, picture = tmp_path / "cpu.md", tmp_path / "cpu.png"
    assert run("--section", "single", "--markdown", str(table), "--picture", str(picture)) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = table.read_text(encoding="utf-8")
    assert "| one sequence, inference: T, B, H | RNN | LSTM | GRU |\n|---|---|---|---|\n| 12, 1, 32 |" in text
    assert "| geometric mean | **" in text
    assert sorted(tmp_path.iterdir()) == [table, picture]


def test_what_differs_is_not_timed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(grid, "disagreement", lambda a, b: 0.5)
    assert run("--only", "GRU training float64") == 1
    assert "DIFFERS by 5.0e-01, not timed" in capsys.readouterr().out


def test_not_a_number_is_no_agreement(monkeypatch) -> None:
    monkeypatch.setattr(grid, "disagreement", lambda a, b: float("nan"))
    assert run("--only", "RNN inference float64") == 1


def replaced(monkeypatch, section: str, measure) -> None:
    """Let something else measure a section."""
    monkeypatch.setitem(SECTIONS, section, SECTIONS[section]._replace(measure=measure))


def test_an_interrupted_run_keeps_what_it_has(monkeypatch, tmp_path, capsys) -> None:
    file = tmp_path / "cpu.json"

    def interrupted(setting, case):
        if case.cell == "LSTM":
            raise KeyboardInterrupt
        return grid.measure(setting, case)

    replaced(monkeypatch, "float64", interrupted)
    assert run("--section", "float64", "--json", str(file)) == 130
    assert "interrupted" in capsys.readouterr().err
    written = json.loads(file.read_text(encoding="utf-8"))
    assert not written["complete"]
    assert [row["cell"] for row in written["sections"]["float64"]] == ["RNN"]


def test_a_case_that_fails_costs_no_other(monkeypatch, tmp_path, capsys) -> None:
    file = tmp_path / "cpu.json"

    def failing(setting, case):
        if case.cell == "LSTM":
            raise RuntimeError("no such thing")
        return grid.measure(setting, case)

    replaced(monkeypatch, "float64", failing)
    assert run("--section", "float64", "--only", "inference", "--json", str(file)) == 1
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["complete"]
    assert [row["cell"] for row in written["sections"]["float64"]] == ["RNN", "GRU"]
    (failure,) = written["failed"]
    assert failure["error"] == "RuntimeError: no such thing"
    assert f"Failed: {failure['name']}: RuntimeError: no such thing" in capsys.readouterr().out


def test_sections_are_written_as_they_end(monkeypatch, tmp_path) -> None:
    file = tmp_path / "cpu.json"

    def looking(setting, case):
        written = json.loads(file.read_text(encoding="utf-8"))
        assert (list(written["sections"]), written["complete"]) == (["float64"], False)
        return grid.measure(setting, case)

    replaced(monkeypatch, "ragged", looking)
    assert run("--section", "float64", "--section", "ragged", "--only", "RNN inference", "--json", str(file)) == 0


def test_a_disturbed_time_is_taken_again(monkeypatch) -> None:
    shares, calls = iter([0.5, 0.2, 0.0]), []
    monkeypatch.setattr(setting, "PATIENCE", 0)
    monkeypatch.setattr(setting.Others, "share", lambda self: next(shares))
    here = setting.Setting(torch, "numpy", 1, Limits(1))
    pair, others = here.alternate(lambda: calls.append(0), lambda: calls.append(1), pairs=2, block=0)
    assert others == 0
    assert len(calls) == 3 * 2 * (2 + 2 * 2)  # attempts, sides; a block to count calls, two more, a call for warmth


def test_threads_are_equal_inside_and_restored_after() -> None:
    before = torch.get_num_threads(), numba.get_num_threads()
    with machine.threads(torch, 1):
        assert (torch.get_num_threads(), numba.get_num_threads()) == (1, 1)
    assert (torch.get_num_threads(), numba.get_num_threads()) == before


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_torchs_tape_is_all_that_is_kept(cell) -> None:
    """The LSTM's is one workspace of oneDNN's: at least the gates and the cells, which the hooks must have seen."""
    case = Case(cell, "memory", 10, 4, 32)
    module, x = sides.module_of(torch, case), torch.from_numpy(case.input())
    with torch.no_grad():
        assert memory.saved_by_torch(torch, module, x) == 0
    gates = 4 * case.T * case.B * case.H * case.G
    assert memory.saved_by_torch(torch, module, x) >= gates


def test_without_onnxruntime_one_line_says_so(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", types.ModuleType("onnx"))
    assert onnx_side.find()[0] is None
    assert run("--only", "RNN inference float64") == 0
    assert capsys.readouterr().out.count("no onnxruntime in this run") == 1
    assert run("--section", "onnxruntime") == 2
    assert "--section onnxruntime has no case: no onnxruntime in this run" in capsys.readouterr().err


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_onnxruntime_agrees_where_it_is_installed(cell) -> None:
    packages, reason = onnx_side.find()
    if packages is None:
        pytest.skip(reason)
    case = Case(cell, "inference", 7, 3, 5, input_size=4)
    ours = sides.ours(case, "numpy").results()
    assert sides.disagreement(onnx_side.side(packages, case, 1).results(), ours) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "Elman"], "--only must be part of a case's name"),
        (["--section", "float16"], f"--section must be one of {', '.join(SECTIONS)}, got 'float16'"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--threads", "100000"], "--threads must be a number that numba can give, got 100000"),
        (["--backend", "abacus"], "backend must be one of"),
        (["--json", "no/such/folder/cpu.json"], "--json must name a file in a folder that can be written to"),
        (["--picture", "."], "--picture must name a file in a folder that can be written to"),
        (["--section", "memory", "--picture", "cpu.png"], "--picture needs a section with times"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)
    assert main(["cpu", "--quick", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("package", "arguments"), [("torch", []), ("matplotlib", ["--picture", "cpu.png"])])
def test_without_a_package_the_extra_is_named(package, arguments, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["cpu", "--quick", *arguments]) == 2
    assert "pip install '.[bench]'" in capsys.readouterr().err


def test_names_tell_cases_apart() -> None:
    for section in SECTIONS.values():
        for quick in (False, True):
            names = [case.name for case in section.cases(quick)]
            assert len(set(names)) == len(names)
    assert Case("LSTM", "training", 5, 2, 3, ragged=True).name == "LSTM training float32 T=5 B=2 H=3, ragged"


def test_disagreement_sees_a_nan_wherever_it_stands() -> None:
    true = {"y": np.ones(2), "dx": np.ones(2)}
    assert np.isnan(sides.disagreement({**true, "dx": np.array([1.0, np.nan])}, true))


def test_disagreement_is_relative() -> None:
    assert sides.disagreement({"y": np.array([10.0, 0.1])}, {"y": np.array([10.0, 0.0])}) == pytest.approx(0.01)
