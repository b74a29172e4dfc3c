"""A user's own cell on the command line: trained, resumed, used, and never run because a model's file names it."""

from __future__ import annotations

import io
import json
import sys

import pytest

from rnn_core import LanguageModel, cli, load, save
from rnn_core.layers.defined import DEFINED
from tests.rnn_core.cell.conftest import forgotten  # noqa: F401  # a fixture that is used

from .made import TINY, corpus, done, refused, reviews, tree
from .test_resume import KINDS, data_of, killed, stopped_at, words

LEAKY = '''
"""A leaky unit."""

from typing import NamedTuple

from rnn_core.cell import define, tanh


class Options(NamedTuple):
    leak: float = 0.5


def step(a, prev, p):
    g = tanh(a.a)
    return ((1 - p.leak) * prev.h + p.leak * g,), (g,)


def step_backward(kept, prev, state, dstate, p):
    return (dstate.h * (1 - p.leak),), (dstate.h * p.leak * (1 - kept.g**2),)


Leaky = define("Leaky", step, step_backward, gates=("a",), states=("h",), kept=("g",), options=Options)
'''


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch):
    """Let cells run as they are written, and no picture be drawn."""
    monkeypatch.setattr("rnn_core.backends.default", lambda *made_by: "numpy")
    monkeypatch.setattr("rnn_core.commands.training.report.find_spec", lambda name: None)


@pytest.fixture
def leaky(tmp_path):
    """Return a file of a user's that defines one cell."""
    (tmp_path / "leaky.py").write_text(LEAKY)
    return tmp_path / "leaky.py"


def own(file, *options: str) -> list[str]:
    return ["--cell-file", str(file), *(["--cell-option", *options] if options else [])]


def another_process() -> None:
    """Let the cell be unknown, as it is where nobody has defined it."""
    DEFINED.pop("Leaky", None)
    sys.modules.pop("leaky", None)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "series"])
def test_every_task_trains_it_and_every_command_uses_it(kind, leaky, tmp_path, capsys) -> None:
    data, model = data_of(kind, tmp_path), tmp_path / "out" / "model.safetensors"
    done(capsys, *words(kind, data, tmp_path / "out"), *own(leaky, "leak=0.25"), "--epochs", 1)
    another_process()
    use = {
        "evaluate": ["evaluate", model, data, "--json", tmp_path / "e.json"],
        "predict": ["predict", model, data, "--out", tmp_path / "p.jsonl"],
    }
    if kind == "language":
        use["generate"] = ["generate", model, "--prompt", "The", "--length", 3, "--seed", 0]
    for command in use.values():
        said = refused(capsys, *command)
        assert "error: --cell-file FILE.py must name the file that defines the cell 'Leaky' of MODEL " in said
        assert said.endswith("model.safetensors', which was leaky.py; it is run\n")
        assert "leaky" not in sys.modules
    for command in use.values():
        done(capsys, *command, *own(leaky))
        another_process()
    done(capsys, *use["evaluate"], *own(leaky))
    config = load(model).config
    assert (config["cell"], config["cell_options"]) == ("Leaky", {"leak": 0.25})
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert json.loads((tmp_path / "e.json").read_text())["scores"]
    assert found["network"]["cell_options"] == {"leak": 0.25}
    assert f"--cell Leaky --cell-file {leaky} --cell-option leak=0.25" in found["command"]


def test_a_conversation(leaky, tmp_path, capsys, monkeypatch) -> None:
    data, model = data_of("reply", tmp_path), tmp_path / "out" / "model.safetensors"
    done(capsys, *words("reply", data, tmp_path / "out"), *own(leaky), "--epochs", 1)
    another_process()
    assert "--cell-file FILE.py must name the file" in refused(capsys, "reply", model)
    monkeypatch.setattr("sys.stdin", io.StringIO("good\n"))
    done(capsys, "reply", model, *own(leaky))


def test_a_stopped_run_is_resumed_to_the_same_bits(leaky, tmp_path, capsys, monkeypatch) -> None:
    data, more = data_of("classify", tmp_path), own(leaky, "leak=0.25")
    done(capsys, *words("classify", data, tmp_path / "whole"), *more)
    another_process()
    with monkeypatch.context() as patch:
        stopped_at(patch, 6, killed)
        assert cli.main([*words("classify", data, tmp_path / "part"), *more]) == 130
    assert f" --cell Leaky --cell-file {leaky} --cell-option leak=0.25 " in capsys.readouterr().err
    another_process()
    done(capsys, *words("classify", data, tmp_path / "part"), *more, "--resume")
    whole, part = (tree(tmp_path / name)["model.safetensors"] for name in ("whole", "part"))
    assert part == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("tanh(a.a)", "tanh(2 * a.a)"), "the cell is another than it was, or has other defaults"),
        (("float = 0.5", "float = 0.25"), "the cell is another than it was, or has other defaults"),
        (None, "--cell-option was left out and is ['leak=0.1']"),
    ],
)
def test_another_cell_is_not_trained_on(change, message, leaky, tmp_path, capsys, monkeypatch) -> None:
    data = data_of("classify", tmp_path)
    with monkeypatch.context() as patch:
        stopped_at(patch, 6, killed)
        assert cli.main([*words("classify", data, tmp_path / "out"), *own(leaky)]) == 130
    capsys.readouterr()
    another_process()
    before = tree(tmp_path / "out")
    if change:
        leaky.write_text(LEAKY.replace(*change))
    said = refused(
        capsys, *words("classify", data, tmp_path / "out"), *own(leaky, *([] if change else ["leak=0.1"])), "--resume"
    )
    assert message in said
    assert "undo the change, or begin afresh with --overwrite" in said
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cell", "gro"), "--cell must be one of rnn, lstm, gru, PeepholeLSTM, "),
        (("--cell", "gro"), "got 'gro'; --cell-file FILE.py names the file of one of your own"),
        (("--cell", "lstm", "--cell-file", "leaky.py"), "one that --cell-file 'leaky.py' defines, Leaky, got 'lstm'"),
        (("--cell-file", "none.py"), "--cell-file must be there, got 'none.py', which is not"),
        (("--cell-file", "two.py"), "--cell-file 'two.py' defines, Leaky, Other, got none"),
        (("--cell-file", "d.csv"), "--cell-file must be a file of Python's that defines cells"),
        (("--cell-file", "empty.py"), "empty.py must define a cell, got none"),
        (("--cell-file", "broken.py"), "broken.py:2: ZeroDivisionError"),
        (("--cell-file", "cut.py"), "error: cut.py:1: SyntaxError: '(' was never closed\n"),
        (("--cell-file", "imports.py"), "imports.py:2: SyntaxError: '(' was never closed (cut.py, line 1)"),
        (("--cell-file", "exits.py"), "exits.py:3: a file of cells must not exit, got SystemExit(0); put what is for"),
        (("--cell-file", "leaky.py", "--cell-option", "leak"), "--cell-option must be NAME=VALUE, as alpha=0.3, got"),
        (("--cell-file", "leaky.py", "--cell-option", "leak=1", "leak=2"), "name an option once, got 'leak' twice"),
        (("--cell-file", "leaky.py", "--cell-option", "leek=1"), "one that Leaky takes, bias, zoneout, "),
        (("--cell-file", "leaky.py", "--cell-option", "leak=much"), "--cell-option: Leaky: leak must be a number"),
        (("--cell-file", "leaky.py", "--cell-option", "leak=nan"), "--cell-option: Leaky: leak must be finite"),
        (("--cell-option", "hidden_size=3"), "--cell-option must be one that lstm takes, bias"),
        (("--weight-drop", "1"), "error: --weight-drop: LSTM: weight_drop must be at least 0 and below 1, got 1.0"),
        (("--cell-option", "weight_drop=1", "--zoneout", "0.1"), "error: --cell-option: LSTM: weight_drop must be"),
        (("--zoneout", "2", "--cell-option", "bias=false"), "error: --zoneout: LSTM: zoneout must be at least 0 and"),
        (("--zoneout", "0", "0.1", "0"), "error: --zoneout: LSTM: zoneout must be a number, or one for each state"),
        (("--cell", "MinGRU", "--recurrent-dropout", "0.1"), "error: --recurrent-dropout: MinGRU: recurrent_dropout"),
        (("--cell", "ProjectedLSTM", "--zoneout", "0.1", "--cell-option", "proj_size=4"), "error: --zoneout: Project"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(options, message, leaky, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.py").write_text(
        LEAKY + LEAKY.replace('"Leaky"', '"Other"').replace('"""A leaky unit."""', "").replace("Leaky =", "Other =")
    )
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    (tmp_path / "cut.py").write_text("step(\n")
    (tmp_path / "imports.py").write_text("\nimport cut\n")
    (tmp_path / "exits.py").write_text("import sys\n\nsys.exit(0)\n")
    (tmp_path / "d.csv").write_text("broken")
    before = tree(tmp_path)
    assert message in refused(capsys, "train", "classify", "--data", "d.csv", "--out", "out", *options)
    assert tree(tmp_path) == before


def test_one_of_two_and_options_of_built_in_cells(tmp_path, capsys) -> None:
    two = tmp_path / "two.py"
    two.write_text(LEAKY + LEAKY.replace('"""A leaky unit."""', "").replace('"Leaky"', '"Other"'))
    data = reviews(tmp_path / "d.csv")
    for cell, more in (("Other", ["--cell-file", two]), ("LeakyRNN", []), ("gru", ["--cell-option", "bias=false"])):
        out = tmp_path / cell
        done(capsys, "train", "classify", "--data", data, "--out", out, *TINY, "--epochs", 1, "--cell", cell, *more)
        found = load(out / "model.safetensors")
        assert found.config["cell"] == cell
        assert ("rnn.bias_hh_l0" in found.parameters) == (cell != "gru")


def test_a_file_that_nothing_heeds(leaky, tmp_path, capsys) -> None:
    (tmp_path / "other.py").write_text(LEAKY.replace('"Leaky"', '"Other"'))
    data = corpus(tmp_path / "d.txt")
    save(LanguageModel(vocab_size=5, hidden_size=3), tmp_path / "plain.safetensors")
    said = refused(capsys, "evaluate", tmp_path / "plain.safetensors", data, *own(leaky))
    assert "--cell-file must define a cell of MODEL " in said
    assert "which has none but built-in ones; leave it out" in said
    save(LanguageModel(vocab_size=5, hidden_size=3, cell="Leaky"), tmp_path / "own.safetensors")
    another_process()
    said = refused(capsys, "evaluate", tmp_path / "own.safetensors", data, *own(tmp_path / "other.py"))
    assert "--cell-file must define the cell 'Leaky' of MODEL " in said
    assert "other.py' with Other" in said


def test_nothing_is_imported_because_a_file_says_so(tmp_path, capsys, monkeypatch) -> None:
    """A model's file names a module that is there, and no command imports it."""
    (tmp_path / "lying.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{LEAKY}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        "rnn_core.weights.saving.described", lambda target: {"Leaky": {"place": "lying (../lying.py)"}}
    )
    model, data = tmp_path / "model.safetensors", corpus(tmp_path / "d.txt")
    save(LanguageModel(vocab_size=5, hidden_size=3), model)
    for command in (["predict", model, data], ["evaluate", model, data], ["generate", model, "--prompt", "a"],
                    ["reply", model]):  # fmt: skip
        assert "which was ../lying.py; it is run" in refused(capsys, *command)
    with pytest.raises(RuntimeError, match="import lying first"):
        load(model)
    assert "lying" not in sys.modules
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("command", [["train", "classify"], ["predict"], ["evaluate"], ["generate"], ["reply"]])
def test_the_help_says_that_the_file_is_run(command, capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([*command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--cell-file FILE.py" in text
    assert "it is run" in text


def test_regularisers_have_options_of_their_own(tmp_path, capsys):
    out, given = tmp_path / "run", ["--zoneout", "0.1", "0.4", "--recurrent-dropout", "0.2", "--weight-drop", "0.3"]
    done(capsys, "train", "classify", "--data", reviews(tmp_path / "reviews.csv"), "--out", out, *TINY, *given)
    config = load(out / "model.safetensors", backend="numpy").rnn.config
    assert {name: config[name] for name in ("zoneout", "recurrent_dropout", "weight_drop")} == {
        "zoneout": [0.1, 0.4], "recurrent_dropout": 0.2, "weight_drop": 0.3,
    }  # fmt: skip
    words = ["train", "classify", "--data", tmp_path / "reviews.csv", "--out", tmp_path / "other", *TINY]
    says = refused(capsys, *words, "--zoneout", "0.1", "--cell-option", "zoneout=0.2")
    assert "--cell-option must leave out zoneout with --zoneout, got both" in says
    assert "zoneout must be at least 0 and at most 1, got 2.0" in refused(capsys, *words, "--zoneout", "2")
