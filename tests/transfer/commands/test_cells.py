"""A user's own cell in ``rnn-core transfer``: for both sides, and again where a network of it is the source."""

from __future__ import annotations

import inspect

import pytest

from rnn_core import load
from rnn_core.layers.defined import DEFINED
from rnn_core.variants import leaky_rnn
from tests.rnn_core.cell.conftest import forgotten  # noqa: F401  # a fixture that is used
from tests.rnn_core.commands.made import corpus
from transfer.inputs import gathering_tasks

from .made import SHORT, beside, predicted, refused, table, texts, transferred, ucr


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch):
    """Let cells run as they are written."""
    monkeypatch.setattr("rnn_core.backends.default", lambda *made_by: "numpy")


@pytest.fixture
def mine(tmp_path):
    """Return a file of a user's that defines one cell."""
    text = inspect.getsource(leaky_rnn).replace("from ..cell", "from rnn_core.cell")
    (tmp_path / "mine.py").write_text(text.replace('"LeakyRNN"', '"Mine"'))
    return tmp_path / "mine.py"


def test_it_is_carried_over_and_is_the_source_again(mine, tmp_path, capsys) -> None:
    a, b, out = ucr(tmp_path / "a.tsv", 24, 0), ucr(tmp_path / "b.tsv", 24, 1), tmp_path / "out"
    own = ["--cell-file", mine, "--cell-option", "alpha=0.25"]
    transferred(capsys, "--source", a, "--target", b, *SHORT, *own, "--out", out)
    model = load(out / "model.safetensors")
    assert (model.config["cell"], model.config["cell_options"]) == ("Mine", {"alpha": 0.25})
    assert beside(out)["task"] == "classify"
    del DEFINED["Mine"]
    again = ["--source-model", out / "model.safetensors", "--target", b, *SHORT, "--out", tmp_path / "again"]
    said = refused(capsys, *again)
    assert "--cell-file FILE.py must name the file that defines the cell 'Mine' of --source-model " in said
    said = refused(capsys, *again, "--cell-file", mine, "--cell-option", "alpha=0.5")
    assert "--cell-option must be the source model's, {'alpha': 0.25}, got {'alpha': 0.5}; leave it out" in said
    transferred(capsys, *again, "--cell-file", mine)
    assert load(tmp_path / "again" / "model.safetensors").rnn.options == {"alpha": 0.25}
    del DEFINED["Mine"]
    predicted(capsys, tmp_path / "again" / "model.safetensors", b, "--cell-file", mine)


def test_in_any_other_task(mine, tmp_path, capsys) -> None:
    data, out = corpus(tmp_path / "d.txt"), tmp_path / "out"
    own = ["--cell-file", mine, "--cell-option", "alpha=0.25"]
    more = ["--steps", 10, "--batch-size", 4, "--methods", "fine-tuned", "--quick", "--workers", 1]
    transferred(capsys, "language", "--source", data, "--target", data, *more, *own, "--out", out)
    assert load(out / "model.safetensors").rnn.options == {"alpha": 0.25}
    again = ["language", "--source-model", out / "model.safetensors", "--target", data, *more, "--cell-file", mine]
    assert "--cell-option must be the source model's" in refused(capsys, *again, "--cell-option", "alpha=0.5")
    transferred(capsys, *again, "--out", tmp_path / "again")
    assert load(tmp_path / "again" / "model.safetensors").rnn.options == {"alpha": 0.25}


def test_regularisers_are_of_both_sides_and_may_be_said_again(tmp_path, capsys, monkeypatch) -> None:
    data, out, studies, sides = corpus(tmp_path / "d.txt"), tmp_path / "out", [], gathering_tasks._sides

    def noted(study):
        studies.append(study)
        return sides(study)

    monkeypatch.setattr(gathering_tasks, "_sides", noted)
    more = ["--steps", 10, "--batch-size", 4, "--methods", "fine-tuned", "--quick", "--workers", 1]
    said, given = ["--zoneout", 0.25, "--weight-drop", 0.5], {"zoneout": 0.25, "weight_drop": 0.5}
    transferred(capsys, "language", "--source", data, "--target", data, *more, *said, "--out", out)
    assert all(side.build(0).rnn.regularisers.config == given for side in (studies[0].source, studies[0].target))
    again = ["language", "--source-model", out / "model.safetensors", "--target", data, *more]
    assert "--cell-option must be the source model's" in refused(capsys, *again, "--zoneout", 0.5)
    transferred(capsys, *again, *said, "--out", tmp_path / "again")
    assert load(tmp_path / "again" / "model.safetensors").rnn.regularisers.config == given


def test_another_cell_of_this_name_does_not_go_on_with_its_runs(mine, tmp_path, capsys, monkeypatch) -> None:
    a, out = table(tmp_path / "a.csv", texts(24, 0)), tmp_path / "out"
    words = ["--source", a, "--target", a, *SHORT, "--cell-file", mine, "--out", out]

    def stop(*args: object, **options: object) -> None:
        raise RuntimeError("the lights go out")

    with monkeypatch.context() as patch:
        patch.setattr("transfer.commands.run._write", stop)
        assert "the lights go out" in refused(capsys, *words)
    mine.write_text(mine.read_text().replace("tanh(a.n)", "tanh(2 * a.n)"))
    assert "--resume must go on with the data, options and version" in refused(capsys, *words, "--resume")
