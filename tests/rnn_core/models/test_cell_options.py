"""What a model hands on to its recurrent layer: in every model, kept in files and copies, and checked by the layer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnn_core import (
    BidirectionalLanguageModel,
    Forecaster,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    gradcheck,
    load,
    save,
)
from rnn_core.data import Batch
from rnn_core.data.forecasting import TimeSeries, WindowSpec
from rnn_core.models.cores import width_of_core
from rnn_core.weights import read_metadata
from tests.rnn_core.cell.rows import Projected
from transfer import Head, MultiTask

WINDOW = WindowSpec.fit([TimeSeries(np.sin(np.arange(40.0)))], horizon=2, context=4)
MODELS = {
    "language model": lambda **how: LanguageModel(5, 3, **how),
    "classifier": lambda **how: SequenceClassifier(2, 3, input_size=2, **how),
    "regressor": lambda **how: SequenceRegressor(1, 3, input_size=2, **how),
    "tagger": lambda **how: SequenceTagger(2, 3, input_size=2, **how),
    "writer": lambda **how: Seq2Seq(5, 3, vocab_size=5, **how),
    "forecaster": lambda **how: Forecaster(WINDOW, 3, **how),
    "two ways": lambda **how: BidirectionalLanguageModel(5, 3, **how),
    "several tasks": lambda **how: MultiTask({"one": Head(2, pooling="last")}, 3, input_size=2, **how),
}


def model_of(kind, **how):
    return MODELS[kind](backend="numpy", seed=0, **how)


def cores_of(model):
    """Return the recurrent layers of a model."""
    return [layer for layer in model.layers.values() if hasattr(layer, "num_layers") and hasattr(layer, "cell")]


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_hands_them_on_and_keeps_them(kind, tmp_path):
    model = model_of(kind, cell="LeakyRNN", cell_options={"alpha": np.float32(0.25), "bias": False})
    assert model.config["cell_options"] == {"alpha": 0.25, "bias": False}
    assert type(model.config["cell_options"]["alpha"]) is float
    save(model, tmp_path / "model.safetensors")
    for twin in (model, load(tmp_path / "model.safetensors"), model.astype("float64"), type(model)(**model.config)):
        cores = cores_of(twin)
        assert cores
        assert all(core.options == {"alpha": 0.25} for core in cores)
        assert not [name for name in twin.parameters if "bias_hh" in name]


@pytest.mark.parametrize("given", [None, {}, {"alpha": 0.2}], ids=str)
def test_those_that_are_as_usual_change_no_number(given):
    plain, model = (model_of("classifier", cell="LeakyRNN", **more) for more in ({}, {"cell_options": given}))
    for name, array in plain.parameters.items():
        np.testing.assert_array_equal(model.parameters[name], array)
    x = np.random.default_rng(0).standard_normal((2, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(model(x), plain(x))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("cell", ["lstm", "LeakyRNN"])
def test_an_empty_mapping_changes_no_file(kind, cell, tmp_path):
    save(model_of(kind, cell=cell), tmp_path / "plain")
    save(model_of(kind, cell=cell, cell_options={}), tmp_path / "empty")
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "empty").read_bytes()
    assert "cell_options" not in json.loads(read_metadata(tmp_path / "empty")["config"])


def test_built_in_cells_take_them_too():
    model = model_of("writer", cell="gru", cell_options={"bias": False})
    assert not [name for name in model.parameters if "bias_ih" in name]
    assert model.config["cell_options"] == {"bias": False}


@pytest.mark.parametrize("kind", MODELS)
def test_the_message_names_model_and_layer(kind):
    model = type(model_of(kind)).__name__
    with pytest.raises(ValueError, match=f"^{model}: LeakyRNN: alpha must be finite, got nan"):
        model_of(kind, cell="LeakyRNN", cell_options={"alpha": float("nan")})


@pytest.mark.parametrize(
    "cell, given, error, said",
    [
        ("LeakyRNN", {"leak": 1}, TypeError, "cell_options must be what LeakyRNN takes, bias.* alpha, got 'leak'"),
        ("LeakyRNN", {"alpha": "x"}, TypeError, "LeakyRNN: alpha must be a number, got str 'x'"),
        ("lstm", {"alpha": 1}, TypeError, "cell_options must be what LSTM takes, bias.*, got 'alpha'"),
        ("lstm", {3: 1}, TypeError, "cell_options must be what LSTM takes, bias.*, got 3"),
        ("lstm", {"hidden_size": 4}, ValueError, "must leave out hidden_size, which is the model's to decide, got 4"),
        ("rnn", {"nonlinearity": "relu"}, ValueError, "leave out nonlinearity, which is the model's to decide"),
        ("rnn", [("bias", False)], TypeError, "cell_options must be a mapping of what the recurrent layer takes"),
        ("rnn", {"bias": "no"}, TypeError, "RNN: bias must be"),
    ],
)
def test_what_is_no_option(cell, given, error, said):
    with pytest.raises(error, match=f"^LanguageModel: .*{said}"):
        LanguageModel(5, 3, cell=cell, cell_options=given)


def test_a_file_can_not_choose_what_is_the_models(tmp_path):
    """A file's options are held against the layer as a user's are."""
    model = model_of("language model", cell="LeakyRNN", cell_options={"alpha": 0.3})
    for lie in ({"backend": "cpu"}, {"alpha": "x"}, {"alpha": None}, {"eval": "1"}, "alpha", {"bias": 3}):
        model.config["cell_options"] = lie
        save(model, tmp_path / "model.safetensors")
        with pytest.raises(ValueError, match="does not hold what it says it holds: .*cell_options|LeakyRNN"):
            load(tmp_path / "model.safetensors")


def test_the_width_of_a_core_is_asked_of_it():
    core = {"cell": "LeakyRNN", "nonlinearity": "tanh", "dropout": 0.0, "num_layers": 2}
    for options in (None, {"alpha": 0.5}):
        assert width_of_core("here", hidden_size=7, cell_options=options, **core) == 7
    assert width_of_core("here", hidden_size=7, cell_options={"proj_size": 2}, **{**core, "cell": Projected}) == 2


def written(**how):
    """Return a model that reads and writes tokens, and a batch for it."""
    return Seq2Seq(5, 4, vocab_size=5, **how), Batch(TOKENS, TOKENS, lengths=np.array([4, 2]))


TOKENS = np.array([[1, 2, 3, 4], [4, 1, 2, 0]])
PROJECTED = {
    "language model": lambda **how: (LanguageModel(5, 4, embedding_size=2, tied=True, **how), Batch(TOKENS, TOKENS)),
    "both ways": lambda **how: (
        SequenceClassifier(3, 4, vocab_size=5, bidirectional=True, num_layers=2, **how), Batch(TOKENS, np.array([0, 2]))
    ),
    "two ways": lambda **how: (BidirectionalLanguageModel(5, 4, **how), Batch(TOKENS, TOKENS)),
    "a bridge": written,
    "no bridge": lambda **how: written(bidirectional=False, attention=None, embedding_size=2, tied=True, **how),
    "fed": lambda **how: written(input_feeding=True, decoder_size=5, **how),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROJECTED)
def test_a_core_whose_h_is_narrower(kind, tmp_path):
    """Heads, bridge, attention and what is fed back are as wide as what the core puts out."""
    how = {"cell": Projected, "cell_options": {"proj_size": 2}, "backend": "numpy", "dtype": "float64", "seed": 0}
    model, batch = PROJECTED[kind](**how)
    assert gradcheck(model, batch)
    head = model.layers["head"]
    assert head.in_features == (4 if kind == "both ways" else 2)
    assert (getattr(model, "bridge", None) is not None) == (kind in ("a bridge", "fed"))
    save(model, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").evaluate(batch).loss == model.evaluate(batch).loss


def test_tied_weights_are_as_wide_as_the_output():
    how = {"cell": Projected, "cell_options": {"proj_size": 2}, "backend": "numpy", "tied": True}
    with pytest.raises(ValueError, match="embedding_size must equal the core's output size = 2 with tied=True, got 4"):
        LanguageModel(5, 4, **how)
    with pytest.raises(ValueError, match="embedding_size must equal the decoder's output size = 2 with tied=True"):
        Seq2Seq(5, 4, vocab_size=5, **how)
