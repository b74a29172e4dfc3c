"""`rnn-core gradcheck`: what it prints, what it writes, how its options are named, and its exit codes."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from rnn_core import cli, gradcheck
from rnn_core.checking import standard_cases
from rnn_core.checking.suite import CELLS, LAYERS, OPTIONS, layer_cases, variant_cases
from rnn_core.layers import Attention
from rnn_core.layers.defined import SHIPPED
from tests.mutations import MUTATIONS

QUICK = ["--option", "ragged"]


def test_gradcheck_prints_a_line_for_each_layer_and_succeeds(capsys) -> None:
    assert cli.main(["gradcheck", *QUICK]) == 0
    out = capsys.readouterr().out
    assert out.count("passed") == len(CELLS) + 1
    assert re.search(r"5 of 5 layers passed: \d+ gradient elements, largest relative error \d\.\de-1[3-6]", out)


def test_gradcheck_fails_and_shows_where_for_a_planted_bug(capsys) -> None:
    bug = next(mutation for mutation in MUTATIONS if mutation.bug == "gru: the reset gate is applied to dh")
    with bug.planted():
        assert cli.main(["gradcheck", "--cell", "GRU", "--backend", "numpy", *QUICK]) == 1
    out = capsys.readouterr().out
    assert "0 of 1 layers passed" in out
    assert "FAILED" in out
    assert "weight_ih_l0" in out


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", ["numpy", None])
def test_layers_that_are_no_cells_are_checked(backend, dtype) -> None:
    cases = list(layer_cases(backend=backend, dtype=dtype))
    assert [(case.cell, case.option) for case in cases] == [(name, form) for name in LAYERS for form in LAYERS[name]]
    for case in cases:
        report = case.check()
        assert report.passed, f"{case.cell}, {case.option}: {report}"
        assert report.dtype == dtype


def test_layers_that_are_no_cells_have_lines_of_their_own(capsys) -> None:
    assert cli.main(["gradcheck", "--cell", "attention", "--cell", "crf"]) == 0
    out = capsys.readouterr().out
    assert [out.count(name) for name in ("Attention", "CRF", "LSTM")] == [3, 2, 0]
    assert "5 of 5 layers passed" in out
    assert cli.main(["gradcheck", "--cell", "conv1d", *QUICK]) == 2
    assert "--option must be left out with --cell conv1d, which is no cell" in capsys.readouterr().err


def test_a_bug_in_attention_is_found_by_the_command(capsys) -> None:
    name = "attention: a weight's gradient is not its row's"
    bug = next(mutation for mutation in MUTATIONS if mutation.bug == name)
    with bug.planted():
        assert cli.main(["gradcheck", "--cell", "attention"]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_attention_is_checked_on_queries_and_keys() -> None:
    layer = Attention(3, 3, dtype=np.float64, seed=0)
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    assert gradcheck(layer, (x, x[:, :3]), lengths=[3, 1]).passed
    with pytest.raises(TypeError, match=r"x of an Attention must be \(queries, keys\) or .*, got ndarray; who asks"):
        gradcheck(layer, x)
    with pytest.raises(TypeError, match="got 4 arrays"):
        gradcheck(layer, (x, x, x, x))


def test_gradcheck_writes_json(tmp_path, capsys) -> None:
    file = tmp_path / "report.json"
    assert cli.main(["gradcheck", "--cell", "LSTM", *QUICK, "--json", str(file)]) == 0
    (report,) = json.loads(file.read_text(encoding="utf-8"))
    assert report["cell"] == "LSTM"
    assert report["passed"] is True
    assert {row["upstream"] for row in report["rows"]} == {"y", "h_T", "c_T"}


def test_central_differences_and_float32(capsys) -> None:
    assert cli.main(["gradcheck", "--cell", "RNN tanh", *QUICK, "--method", "central"]) == 0
    assert cli.main(["gradcheck", "--cell", "LSTM", *QUICK, "--dtype", "float32"]) == 0
    assert "float32 gradients against the complex-step" in capsys.readouterr().out


def test_a_tolerance_that_is_too_tight_fails(capsys) -> None:
    assert cli.main(["gradcheck", "--cell", "LSTM", *QUICK, "--tolerance", "1e-17"]) == 1


def test_float32_at_any_length(capsys) -> None:
    assert cli.main(["gradcheck", "--dtype", "float32", "--cell", "RNN sigmoid", "--option", "long"]) == 0
    assert "too small" in capsys.readouterr().out


@pytest.mark.parametrize(
    "typed, option",
    [
        *((option, option) for option in OPTIONS),
        ("ragged, stacked, both ways", "combined"),
        ("no bias, batch first", "no-bias"),
        ("Ragged ", "ragged"),
    ],
)
def test_options_have_short_names_and_the_former_ones_are_taken(typed, option, tmp_path, capsys) -> None:
    file = tmp_path / "report.json"
    assert cli.main(["gradcheck", "--cell", "rnn-tanh", "--option", typed, "--steps", "3", "--json", str(file)]) == 0
    (report,) = json.loads(file.read_text(encoding="utf-8"))
    assert (report["cell"], report["option"]) == ("RNN tanh", option)


@pytest.mark.parametrize("typed", ["rnn-relu", "RNN ReLU", "rnn relu"])
def test_cells_can_be_typed_without_blanks(typed, capsys) -> None:
    assert cli.main(["gradcheck", "--cell", typed, *QUICK]) == 0
    assert "RNN ReLU" in capsys.readouterr().out


def test_every_name_is_one_word_and_stands_in_the_help(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["gradcheck", "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert ", ".join(OPTIONS) in help_text
    assert "rnn-tanh, rnn-relu, rnn-sigmoid, lstm, gru" in help_text
    assert all(re.fullmatch(r"[a-z-]+", option) for option in OPTIONS)


@pytest.mark.parametrize(
    "arguments, known",
    [
        (
            ["--option", "ragged, long"],
            "long, stacked, bidirectional, ragged, resets, combined, no-bias, got 'ragged, long'",
        ),
        (
            ["--cell", "ltsm\n"],
            "rnn-tanh, rnn-relu, rnn-sigmoid, lstm, gru, conv1d, conv2d, maxpool, avgpool, attention, crf, "
            f"{', '.join(map(str.lower, SHIPPED))}, got 'ltsm\\n'",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_list(arguments, known, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["gradcheck", *arguments])
    assert f"must be one of {known}" in capsys.readouterr().err.splitlines()[-1]


def test_cells_are_made_with_what_is_asked_for(capsys) -> None:
    options = ["zoneout=[0.1, 0.4]", "recurrent_dropout=0.3", "weight_drop=0.3"]
    assert cli.main(["gradcheck", "--cell", "lstm", "--backend", "numpy", *QUICK, "--cell-option", *options]) == 0
    assert "1 of 1 layers passed" in capsys.readouterr().out
    own = ["--cell", "leakyrnn", "--cell", "projectedlstm", "--backend", "numpy", *QUICK]
    assert cli.main(["gradcheck", *own, "--cell-option", "weight_drop=0.3"]) == 0
    assert "2 of 2 layers passed" in capsys.readouterr().out
    how = {"backend": "numpy", "options": ("ragged",)}
    (case,) = standard_cases(**how, cells=("LSTM",), cell_options={"zoneout": (0.1, 0.4)})
    assert case.layer.config["zoneout"] == [0.1, 0.4]
    (case,) = variant_cases(("LeakyRNN",), **how, cell_options={"alpha": 0.3})
    assert case.layer.options == {"alpha": 0.3}
    (case,) = variant_cases(("ProjectedLSTM",), **how, cell_options={"proj_size": 3})
    assert case.layer.proj_size == 3


LEAKY = """
from typing import NamedTuple

from rnn_core.cell import define, tanh


class Options(NamedTuple):
    leak: float = 0.5


def step(a, prev, p):
    g = tanh(a.a)
    return ((1 - p.leak) * prev.h + p.leak * g,), (g,)


def step_backward(kept, prev, state, dstate, p):
    return (dstate.h * p.leak,), (dstate.h * p.leak * (1 - kept.g**2),)


HalfRight = define("HalfRight", step, step_backward, gates=("a",), states=("h",), kept=("g",), options=Options)
"""


def test_a_bug_that_an_option_hides_is_found_with_another(tmp_path, capsys) -> None:
    file = tmp_path / "half_right.py"
    file.write_text(LEAKY, encoding="utf-8")
    asked = ["gradcheck", str(file), "--backend", "numpy", *QUICK]
    assert cli.main(asked) == 0
    assert "HalfRight: step_backward is that of step: " in capsys.readouterr().out
    assert cli.main([*asked, "--cell-option", "leak=0.3"]) == 1
    out = capsys.readouterr().out
    assert "half_right.py:17: dprev.h is wrong: return (dstate.h * p.leak,)" in out
    assert "∂h/∂prev.h: claimed is 0.428571 times the reference throughout" in out
    assert "0 of 1 layers passed" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("lstm", "alpha=0.3"), "--cell-option must be one that LSTM takes, zoneout, recurrent_dropout, "),
        (("lstm", "hidden_size=3"), "--cell-option must be one that LSTM takes, zoneout, recurrent_dropout, "),
        (("lstm", "bias=false"), "--cell-option must leave out bias, which --option no-bias is for"),
        (("lstm", "weight_drop=1"), "--cell-option: LSTM: weight_drop must be at least 0 and below 1, got 1"),
        (("lstm", "weight_drop"), "--cell-option must be NAME=VALUE, as alpha=0.3, got 'weight_drop'"),
        (("leakyrnn", "alpha=much"), "--cell-option: LeakyRNN: alpha must be a number, got str 'much'"),
        (("projectedlstm", "proj_size=4"), "--cell-option: ProjectedLSTM: proj_size must be below hidden_size = 4"),
        (("conv1d", "kernel_size=3"), "--cell-option must be left out with --cell conv1d, which is no cell"),
    ],
)
def test_an_option_that_a_cell_does_not_take_is_refused(words, says, capsys) -> None:
    cell, option = words
    assert cli.main(["gradcheck", "--cell", cell, "--cell-option", option]) == 2
    assert f"error: {says}" in capsys.readouterr().err


def test_standard_cases_take_the_former_names_and_refuse_others() -> None:
    assert next(iter(standard_cases(options=("no bias, batch first",)))).option == "no-bias"
    with pytest.raises(ValueError, match=r"standard_cases: options must be out of long, .*no-bias, got 'curly'"):
        standard_cases(options=("curly",))


def test_a_planted_bug_is_shown_with_its_gate_and_step(tmp_path, capsys) -> None:
    bug = next(mutation for mutation in MUTATIONS if mutation.bug == "lstm: the forget gate's derivative is missing")
    file = tmp_path / "report.json"
    with bug.planted():
        arguments = ["--cell", "lstm", "--backend", "numpy", *QUICK, "--json", str(file)]
        assert cli.main(["gradcheck", *arguments]) == 1
    out = capsys.readouterr().out
    assert "first wrong: a loss of y at time step 0 alone" in out
    assert "wrong there: gate f of weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0; x, h0" in out
    (report,) = json.loads(file.read_text(encoding="utf-8"))
    assert report["first"]["gates"] == ["f"]
    assert report["rows"][0]["wrong"]["time_step"] == 6


def test_json_holds_no_number_that_json_does_not_know(tmp_path, capsys) -> None:
    bug = next(mutation for mutation in MUTATIONS if mutation.bug == "relu: the derivative is 1 everywhere")
    file = tmp_path / "report.json"
    with bug.planted():
        arguments = ["--cell", "rnn-relu", "--backend", "numpy", "--option", "long", "--json", str(file)]
        assert cli.main(["gradcheck", *arguments]) == 1

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    (report,) = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
    assert not report["passed"]


def test_nothing_of_the_standard_cases_is_left_unjudged(tmp_path, capsys) -> None:
    file = tmp_path / "report.json"
    assert cli.main(["gradcheck", *QUICK, "--option", "no-bias", "--json", str(file)]) == 0
    reports = json.loads(file.read_text(encoding="utf-8"))
    assert not any(row["zeros"] or row["unresolved"] for report in reports for row in report["rows"])
    assert "not judged" not in capsys.readouterr().out


def test_a_tolerance_that_lets_zeros_pass_judges_nothing(capsys) -> None:
    assert cli.main(["gradcheck", "--cell", "gru", *QUICK, "--tolerance", "2"]) == 1
    assert "not judged, and so not passed" in capsys.readouterr().out
