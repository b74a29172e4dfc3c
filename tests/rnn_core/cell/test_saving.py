"""Saved files name their cell; models take one by name or by its class."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import warnings
import weakref
from typing import NamedTuple

import numpy as np
import pytest

from rnn_core import LanguageModel, Seq2Seq, SequenceClassifier, SequenceTagger, load, save
from rnn_core.cell import define, tanh
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
                "has a cell 'Peephole', which is not defined here; import tests.rnn_core.cell.cells first "
                "(its cell was defined in cells.py)"
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


def test_a_definition_that_was_replaced_is_freed():
    found = []
    for gain in range(3):
        kind = changing(gain=gain)
        SequenceClassifier(2, 3, input_size=2, cell=kind, backend="numpy").predict(np.ones((1, 4, 2), np.float32))
        found.append((weakref.ref(kind), weakref.ref(kind.definition)))
    del kind
    gc.collect()
    assert [[one() is not None for one in refs] for refs in found] == [[False, False], [False, False], [True, True]]


def test_files_without_such_a_cell_are_as_they_were(tmp_path):
    save(LanguageModel(vocab_size=5, hidden_size=3, backend="numpy"), tmp_path / "model.safetensors")
    assert "cells" not in read_metadata(tmp_path / "model.safetensors")


def changing(default=0.5, gain=2, **names):
    """Define the cell again, with something else about it."""

    def step(a, prev, p):
        return (tanh(gain * a.i) * p.leak + tanh(a.f) + getattr(p, "w", 0),), ()

    def step_backward(kept, prev, state, dstate, p):
        return (0,), (dstate.h, dstate.h), *([(dstate.h,)] if hasattr(p, "w") else [])

    class Options(NamedTuple):
        leak: float = default

    names = {"gates": ("i", "f"), "states": ("h",), "options": Options, **names}
    return define("Changing", step, step_backward, **names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"gates": ("f", "i")}, "whose gates were i, f, and are f, i as it is defined here; define it as it was"),
        ({"from_x": ("f", "i")}, "whose from_x were i, f, and are f, i"),
        ({"from_h": ("f",)}, "whose from_h were i, f, and are f"),
        ({"parameters": ("w",)}, "whose parameters were none, and are w"),
    ],
)
def test_a_file_of_a_cell_that_has_other_names_by_now(names, message, tmp_path):
    kind = changing()
    save(kind(3, 4, backend="numpy"), tmp_path / "layer.safetensors")
    save(LanguageModel(vocab_size=5, hidden_size=3, cell=kind, backend="numpy"), tmp_path / "model.safetensors")
    changing(**names)
    for name in ("layer", "model"):
        says = f"^load: '.*{name}.safetensors' has a cell 'Changing' {message}"
        with pytest.raises(ValueError, match=says) as caught:
            load(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(caught.value)


def test_a_file_of_a_cell_that_has_other_defaults_by_now(tmp_path):
    kind, x = changing(), np.ones((5, 2, 3), np.float32)
    layer = kind(3, 4, backend="numpy")
    save(layer, tmp_path / "layer.safetensors")
    save(Seq2Seq(7, 4, vocab_size=7, cell=kind, backend="numpy", seed=0), tmp_path / "model.safetensors")
    changing(default=0.25)
    np.testing.assert_array_equal(load(tmp_path / "layer.safetensors", backend="numpy")(x)[0], layer(x)[0])
    with pytest.raises(ValueError, match=r"option 'rnn.leak' was 0.5, and is 0.25 by its definition here; give"):
        load(tmp_path / "model.safetensors")


def test_a_file_of_a_cell_whose_step_is_another_by_now(tmp_path):
    save(changing()(3, 4, backend="numpy"), tmp_path / "layer.safetensors")
    changing()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "layer.safetensors")
    changing(gain=3)
    with pytest.warns(UserWarning, match="has a cell 'Changing' whose step was another than it is here"):
        load(tmp_path / "layer.safetensors")


@pytest.mark.parametrize(("place", "says"), [
    ("mine (mine.py)", r"import mine first \(its cell was defined in mine.py\)"),
    ("mine.py", "run or import mine.py first, where it was defined"),
    ({"no": 1}, "define it first"),
])  # fmt: skip
def test_where_a_cell_was_defined(place, says, tmp_path, monkeypatch):
    monkeypatch.setattr("rnn_core.weights.saving.described", lambda target: {"Absent": {"place": place}})
    save(changing()(3, 4, backend="numpy"), tmp_path / "layer.safetensors")
    with pytest.raises(RuntimeError, match=f"has a cell 'Absent', which is not defined here; {says}$"):
        load(tmp_path / "layer.safetensors")


@pytest.mark.parametrize("said", [{"gates": 3}, {"options": 3}, {"from_x": {"a": 1}}, {"states": None}, {"step": []}])
def test_what_a_file_may_say_of_its_cells(said, tmp_path):
    """Whatever it is, one line says so."""
    kind = changing()
    save(LanguageModel(vocab_size=5, hidden_size=3, cell=kind, backend="numpy"), tmp_path / "model.safetensors")
    cells = json.loads(read_metadata(tmp_path / "model.safetensors")["cells"])
    cells["Changing"] |= said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnn_core.weights.saving.described", lambda target: cells)
        save(LanguageModel(vocab_size=5, hidden_size=3, cell=kind, backend="numpy"), tmp_path / "model.safetensors")
    with pytest.raises((ValueError, UserWarning), match="^load: ") as caught:
        load(tmp_path / "model.safetensors")
    assert "\n" not in str(caught.value)


def test_what_is_no_cell_is_said_in_a_line():
    kind = changing()
    for given, what in ((kind.definition, "definition"), (kind(3, 4, backend="numpy"), "layer")):
        with pytest.raises(ValueError, match=f"got a {what} of it; take the class, Changing, or its name$"):
            LanguageModel(20, 8, cell=given)
    with pytest.raises(ValueError, match="cell must be one of") as caught:
        LanguageModel(20, 8, cell=list(range(10000)))
    assert "9999" not in str(caught.value)  # the cells are listed, however many there are; what came is cut short
