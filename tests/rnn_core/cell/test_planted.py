"""A wrong `step_backward` is reported with its line, its gate and its time step."""

from __future__ import annotations

import json
import linecache
from pathlib import Path

import numpy as np
import pytest

from rnn_core import LanguageModel, gradcheck
from rnn_core.checking.cells import check_step, suspected
from rnn_core.cli import main
from rnn_core.commands.cells import cells_in
from tests.checks import normal
from tests.rnn_core.cell.cells import Peephole

SOURCE = Path(__file__).with_name("cells.py").read_text(encoding="utf-8")
START, END = SOURCE.index("class Gates"), SOURCE.index("def lstm(")
HEAD = SOURCE[:START]


def write(path: Path, old: str = "", new: str = "", name: str = "Planted") -> Path:
    """Write the peephole LSTM alone into a file, with a bug in it."""
    text = HEAD + SOURCE[START:END].replace('"Peephole"', f'"{name}"')
    assert not old or text.count(old) == 1
    file = path / f"{name.lower()}.py"
    file.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return file


def line_of(file: Path, beginning: str) -> int:
    """Return the number of the line of `step_backward` that begins so."""
    lines = file.read_text(encoding="utf-8").splitlines()
    after = next(k for k, line in enumerate(lines) if line.startswith("def step_backward"))
    return next(k for k in range(after, len(lines)) if lines[k].strip().startswith(beginning)) + 1


BELOW_DC = {"da.i", "da.f", "da.g", "dprev.c", "dp.p_i", "dp.p_f"}
BUGS = {
    "a gate's derivative": (
        "dc * prev.c * f * (1 - f)", "dc * prev.c * f * (1 + f)", "da_f", {"da.f", "dprev.c", "dp.p_f"},
    ),
    "a lost term of dc": (" + da_o * p.p_o", "", "dc =", BELOW_DC),
    "a lost term of dc_prev": (" + da_f * p.p_f", "", "dc_prev", {"dprev.c"}),
    "the wrong state": ("p_o=da_o * state.c", "p_o=da_o * prev.c", "dp =", {"dp.p_o"}),
    "a sign": ("da_g = dc * i * (1 - g**2)", "da_g = -dc * i * (1 - g**2)", "da_g", {"da.g"}),
    "a factor": ("da_i = dc * g * i", "da_i = 2 * dc * g * i", "da_i", {"da.i", "dprev.c", "dp.p_i"}),
    "the upstream gradient of c": ("dc = dstate.c + ", "dc = ", "dc =", BELOW_DC),
    "a gradient of h that is none": ("States(h=0, c=dc_prev)", "States(h=dc, c=dc_prev)", "return", {"dprev.h"}),
}  # fmt: skip
"""What is planted, how its line begins, and which outputs it makes wrong."""


@pytest.mark.parametrize("bug", BUGS)
def test_the_line_is_named(bug, tmp_path):
    old, new, line, wrong = BUGS[bug]
    file = write(tmp_path, old, new)
    [kind] = cells_in(str(file))
    report = check_step(kind)
    assert not report
    assert {one.name for one in report.wrong} == wrong
    number = line_of(file, line)
    if bug != "a gradient of h that is none":
        assert all(number in one.suspects for one in report.wrong)
        assert min(len(one.suspects) for one in report.wrong) <= 3
    text = str(report)
    for one in report.wrong:
        assert f"planted.py:{one.line}: {one.name} is wrong: " in text
    assert str(number) in text or bug == "a gradient of h that is none"


def test_what_is_known_of_the_numbers(tmp_path):
    old, new, *_ = BUGS["a factor"]
    [kind] = cells_in(str(write(tmp_path, old, new)))
    by_name = {one.name: one for one in check_step(kind).wrong}
    assert by_name["da.i"].upstream == ("h", "c")
    assert "∂h/∂a.i: claimed is 2 times the reference throughout" in by_name["da.i"].says[0]


def test_suspects_are_what_is_behind_all_that_is_wrong_and_nothing_that_is_right():
    program = Peephole.definition.step_backward
    names = program.output_names
    lines = dict(zip(names, program.lines, strict=True))
    wrong = ["da.i", "da.f", "da.g", "dprev.c", "dp.p_i", "dp.p_f"]
    right = ["da.o", "dp.p_o", "dprev.h"]
    assert suspected(program, "da.g", wrong, right) == (lines["da.i"] - 1,)  # the line of dc
    assert lines["da.g"] in suspected(program, "da.g", ["da.g"], [n for n in names if n != "da.g"])
    both = ["da.g", "dp.p_o"]  # two mistakes: no line is behind both
    assert lines["da.g"] in suspected(program, "da.g", both, [n for n in names if n not in both])


def test_the_command_on_a_right_file(tmp_path, capsys):
    file = write(tmp_path, name="Right")
    how = ["--backend", "numpy", "--option", "ragged", "--json", str(tmp_path / "r.json")]
    assert main(["gradcheck", str(file), *how]) == 0
    out = capsys.readouterr().out
    assert "Right: step_backward is that of step: " in out
    assert "1 of 1 layers passed" in out
    rows = json.loads((tmp_path / "r.json").read_text())
    assert [(row["cell"], row["option"]) for row in rows] == [("Right", "step"), ("Right", "ragged")]
    assert all(row["passed"] for row in rows)


def test_the_command_on_a_wrong_file(tmp_path, capsys):
    old, new, line, _ = BUGS["a gate's derivative"]
    file = write(tmp_path, old, new)
    assert main(["gradcheck", str(file), "--backend", "numpy"]) == 1
    out = capsys.readouterr().out
    assert f"planted.py:{line_of(file, line)}: da.f is wrong: da_f = dc * prev.c * f * (1 + f)" in out
    assert "first wrong: a loss of y at time step 0 alone" in out
    assert "gate f of " in out
    assert "0 of 1 layers passed" in out


def test_central_differences_too(tmp_path):
    [kind] = cells_in(str(write(tmp_path, name="Central")))
    assert check_step(kind, method="central")
    old, new, *_ = BUGS["a sign"]
    [kind] = cells_in(str(write(tmp_path, old, new, name="Central")))
    assert [one.name for one in check_step(kind, method="central").wrong] == ["da.g"]


def test_a_kink_is_no_mistake_and_a_mistake_at_a_kink_is(tmp_path):
    file = tmp_path / "kinked.py"
    text = """
from rnn_core.cell import define, maximum, relu, where_less


def step(a, prev):
    return (relu(a.a) + maximum(a.a, prev.h),), (a.a,)


def step_backward(kept, prev, state, dstate):
    larger = where_less(kept.a, prev.h, 0, dstate.h)
    return (dstate.h - larger,), (larger + where_less(0, kept.a, dstate.h, 0),)


Kinked = define("Kinked", step, step_backward, gates=("a",), states=("h",), kept=("a",))
"""
    file.write_text(text, encoding="utf-8")
    [kind] = cells_in(str(file))
    assert check_step(kind)
    wrong = text.replace("where_less(0, kept.a, dstate.h, 0)", "where_less(0, kept.a, 0, dstate.h)")
    file.write_text(wrong, encoding="utf-8")
    linecache.clearcache()
    [kind] = cells_in(str(file))
    report = check_step(kind)
    assert [one.name for one in report.wrong] == ["da.a"]


def test_the_arguments(tmp_path, capsys):
    file = str(write(tmp_path, name="Arguments"))
    assert main(["gradcheck", file, "--cell", "lstm"]) == 2
    assert "--cell must be left out with a file" in capsys.readouterr().err


CONSTANT = """
from rnn_core.cell import define, sigmoid, tanh


def step(a, prev):
    i = sigmoid(a.i)
    g = tanh(a.g)
    c = prev.c + i * g
    return (c, c, prev.n + i, 0.0), (i, g)


def step_backward(kept, prev, state, dstate):
    i, g = kept
    dc = dstate.h + dstate.c
    da_i = (dc * g + dstate.n) * i * (1 - i)
    return (0, dc, dstate.n, 0), (da_i, dc * i * (1 - g**2))


Four = define("Four", step, step_backward, gates=("i", "g"), states=("h", "c", "n", "z"), kept=("i", "g"))
"""


def four(path: Path, old: str = "", new: str = ""):
    """Return a cell of four states of which the last is 0 after every step."""
    file = path / "four.py"
    assert not old or CONSTANT.count(old) == 1
    file.write_text(CONSTANT.replace(old, new) if old else CONSTANT, encoding="utf-8")
    linecache.clearcache()
    [kind] = cells_in(str(file))
    return kind


@pytest.mark.parametrize("method", ["complex-step", "central"])
def test_a_constant_state_has_no_gradient_and_is_right(method, tmp_path):
    kind = four(tmp_path)
    report = check_step(kind, method=method)
    assert report, report
    assert all(row.passed and row.size for row in report.report.rows if row.upstream == "z")
    layer = kind(2, 3, num_layers=2, dtype="float64", backend="numpy", seed=0)
    for all_states in (False, True):
        assert (report := gradcheck(layer, normal(4, 2, 2), method=method, all_states=all_states)), report
    model = LanguageModel(5, 3, cell="Four", dtype="float64", backend="numpy", seed=0)
    assert (report := gradcheck(model, np.array([[1, 2], [4, 0]]), method=method)), report


def test_a_gradient_of_a_constant_state_is_wrong(tmp_path):
    kind = four(tmp_path, "(dc * g + dstate.n)", "(dc * g + dstate.n + dstate.z)")
    report = check_step(kind)
    assert [(one.name, one.upstream) for one in report.wrong] == [("da.i", ("z",))]
    assert "step_backward is not that of step" in str(report)


def test_a_constant_state_is_no_judgement_of_what_it_has_no_gradient_of(tmp_path):
    off = CONSTANT.replace("Four", "Off").replace("define,", "define, relu,")
    off = off.replace("tanh(a.g)", "relu(a.g - 100)").replace("(1 - g**2)", "0")
    (tmp_path / "off.py").write_text(off, encoding="utf-8")
    [kind] = cells_in(str(tmp_path / "off.py"))
    report = check_step(kind)
    assert not report
    assert not report.wrong
    assert report.report.unjudged == ("a.g",)
    assert str(report).startswith("Off: not judged: a.g\n")
    assert "is not that of step" not in str(report)


@pytest.mark.parametrize("method", ["complex-step", "central"])
def test_exchanged_outputs_are_said_to_be_so(method, tmp_path):
    file = write(tmp_path, "Gates(i=da_i, f=da_f", "Gates(i=da_f, f=da_i", name="Exchanged")
    [kind] = cells_in(str(file))
    report = check_step(kind, method=method)
    line = line_of(file, "return")
    assert [(one.name, one.instead, one.swapped) for one in report.wrong] == [
        ("da.i", ("da.f",), True), ("da.f", ("da.i",), True)
    ]  # fmt: skip
    assert [one.lines[0] for one in report.wrong] == [line, line]
    text = str(report)
    assert f"exchanged.py:{line}: da.i is wrong: return States(h=0, c=dc_prev), Gates(i=da_f, f=da_i" in text
    assert f"this is what da.f should be; swapped on line {line}" in text


def test_an_output_that_is_returned_twice(tmp_path):
    file = write(tmp_path, "Gates(i=da_i, f=da_f", "Gates(i=da_i, f=da_i", name="Twice")
    [kind] = cells_in(str(file))
    [wrong] = check_step(kind).wrong
    assert (wrong.name, wrong.instead, wrong.swapped) == ("da.f", ("da.i",), False)
    assert wrong.says[0] == f"this is what da.i should be; line {line_of(file, 'return')} returns it"
    assert line_of(file, "return") in wrong.lines


@pytest.mark.parametrize("bug", BUGS)
def test_the_line_of_the_return_is_a_candidate(bug, tmp_path):
    file = write(tmp_path, *BUGS[bug][:2])
    [kind] = cells_in(str(file))
    report = check_step(kind)
    line = line_of(file, "return")
    assert all(line in one.lines and one.returned == line for one in report.wrong)
    assert f"{line}: return States(" in str(report)
