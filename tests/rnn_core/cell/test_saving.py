"""Saved files name their cell; models take one by name or by its class."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rnn_core import LanguageModel, Seq2Seq, SequenceClassifier, SequenceTagger, load, save
from rnn_core.cell import define
from rnn_core.data import Batch
from rnn_core.layers.defined import DEFINED
from rnn_core.weights import read_metadata
from tests.rnn_core.cell import cells
from tests.rnn_core.cell.cells import Independent, Peephole, Strange


@pytest.mark.parametrize("kind", [Peephole, Strange, Independent])
def test_a_layer_is_saved_and_loaded(kind, tmp_path):
    options = {"leak": 0.5} if kind is Independent else {}
    layer = kind(3, 4, num_layers=2, bidirectional=True, backend="numpy", seed=0, **options)
    save(layer, tmp_path / "layer.safetensors")
    found = load(tmp_path / "layer.safetensors", backend="numpy")
    assert type(found) is kind
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype("float32")
    np.testing.assert_array_equal(found(x)[0], layer(x)[0])
    assert {**found.config, "seed": 0} == layer.config


def models(cell, **options):
    options = {"cell": cell, "backend": "numpy", "seed": 0, **options}
    tokens = np.random.default_rng(1).integers(0, 7, (2, 5))
    yield LanguageModel(vocab_size=7, hidden_size=4, **options), Batch(tokens, tokens)
    yield SequenceClassifier(num_classes=3, hidden_size=4, vocab_size=7, **options), Batch(tokens, np.array([0, 2]))
    yield SequenceTagger(num_tags=3, hidden_size=4, vocab_size=7, **options), Batch(tokens, tokens % 3)


@pytest.mark.parametrize("cell", ["Strange", Strange], ids=["name", "class"])
def test_models_take_it_by_name_or_class(cell, tmp_path):
    for model, batch in models(cell):
        assert model.config["cell"] == "Strange"
        assert type(model.rnn) is Strange
        step = model.loss_and_gradients(batch, rng=0)
        assert set(step.gradients) == set(model.parameters)
        assert model.gate_blocks["rnn.weight_ih_l0"] == 2
        save(model, tmp_path / "model.safetensors")
        found = load(tmp_path / "model.safetensors", backend="numpy")
        assert found.evaluate(batch).loss == model.evaluate(batch).loss
        twin = model.astype("float64")
        assert abs(twin.evaluate(batch).loss / model.evaluate(batch).loss - 1) < 1e-5


def test_a_model_with_two_cores(tmp_path):
    model = Seq2Seq(7, 4, vocab_size=7, cell=Peephole, backend="numpy", seed=0)
    assert type(model.rnn) is type(model.decoder.rnn) is Peephole
    save(model, tmp_path / "model.safetensors")
    assert type(load(tmp_path / "model.safetensors").decoder.rnn) is Peephole


def test_a_cell_that_there_is_not():
    with pytest.raises(ValueError, match="LanguageModel: cell must be one of 'rnn', 'lstm', 'gru', .*got 'Unknown'"):
        LanguageModel(vocab_size=5, hidden_size=3, cell="Unknown")
    with pytest.raises(ValueError, match="nonlinearity must be left out with cell='Strange'"):
        LanguageModel(vocab_size=5, hidden_size=3, cell=Strange, nonlinearity="relu")
    with pytest.raises(ValueError, match="got <class 'int'>"):
        LanguageModel(vocab_size=5, hidden_size=3, cell=int)


def test_a_file_whose_cell_is_not_defined_says_what_to_import(tmp_path):
    save(Peephole(3, 4, backend="numpy", seed=0), tmp_path / "layer.safetensors")
    save(LanguageModel(vocab_size=5, hidden_size=3, cell=Peephole, backend="numpy"), tmp_path / "model.safetensors")
    before = DEFINED.pop("Peephole")
    try:
        for name in ("layer", "model"):
            with pytest.raises(RuntimeError) as caught:
                load(tmp_path / f"{name}.safetensors")
            assert str(caught.value).endswith(
                "has a cell 'Peephole', which is not defined here; import 'tests.rnn_core.cell.cells (cells.py)' "
                "first, where it was"
            )
    finally:
        DEFINED["Peephole"] = before
    assert "/" not in read_metadata(tmp_path / "layer.safetensors")["cells"]  # no path of this machine's


def test_another_process(tmp_path):
    """A file of a cell loads where the cell's module has been imported, and a pickle imports it itself."""
    import pickle

    layer = Strange(3, 4, backend="numpy", seed=0)
    save(layer, tmp_path / "layer.safetensors")
    (tmp_path / "layer.pickle").write_bytes(pickle.dumps(layer))
    code = """
import pickle, sys
import numpy as np
layer = pickle.loads(open(sys.argv[1], "rb").read())
from rnn_core import load
found = load(sys.argv[2], backend="numpy")
x = np.ones((3, 1, 3), np.float32)
assert (found(x)[0] == layer(x)[0]).all()
"""
    paths = [str(tmp_path / f"layer.{end}") for end in ("pickle", "safetensors")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True)


def test_what_was_defined_again_is_not_saved_as_if_it_were_the_same(tmp_path):
    def again():
        return define("Again", cells.rnn, cells.rnn_backward, gates=("a",), states=("h",))

    old = again()(3, 4, backend="numpy")
    new = again()(3, 4, backend="numpy")
    with pytest.raises(TypeError, match="save: the cell of Again has been defined again since it was made"):
        save(old, tmp_path / "old.safetensors")
    save(new, tmp_path / "new.safetensors")
    assert type(load(tmp_path / "new.safetensors")) is type(new)
    with pytest.raises(ValueError, match="cell must be one of"):
        LanguageModel(vocab_size=5, hidden_size=3, cell=type(old))


def test_files_without_such_a_cell_are_as_they_were(tmp_path):
    save(LanguageModel(vocab_size=5, hidden_size=3, backend="numpy"), tmp_path / "model.safetensors")
    assert "cells" not in read_metadata(tmp_path / "model.safetensors")
