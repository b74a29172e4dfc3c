"""There and back: what `export_onnx` wrote `load_onnx` reads, and every bit of every weight is what it was."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_core import Embedding, LanguageModel, Linear, SequenceClassifier, SequenceRegressor, SequenceTagger
from rnn_core.formats import export_onnx, load_onnx
from transfer import copy_parameters

from .beside import CELLS, calls, fill, flat, layers, numbers


def back(tmp_path, target, **options):
    export_onnx(target, tmp_path / "file.onnx", **options)
    return load_onnx(tmp_path / "file.onnx", backend="numpy")


def assert_same_bits(found, expected):
    assert {*found} == {*expected}
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes(), name


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_comes_back(cell, tmp_path, data):
    layer = data.draw(layers((cell,), dtype=data.draw(st.sampled_from([np.float32, np.float64]))))
    inputs = {"lengths": data.draw(st.booleans()), "states": data.draw(st.booleans())}
    chain = back(tmp_path, layer, **inputs)
    (one,) = chain.layers.values()
    assert type(one) is type(layer)
    assert_same_bits(one.parameters, layer.parameters)
    assert one.config | {"batch_first": layer.batch_first} == layer.config
    if layer.dtype == np.float32:
        (x, state, steps), _ = data.draw(calls(layer))
        for actual, expected in zip(flat(*chain(x, state, steps)), flat(*layer(x, state, steps)), strict=True):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("layer", [Linear(3, 4, seed=0), Linear(3, 1, bias=False, seed=0), Embedding(5, 3, seed=0)],
                         ids=["linear", "linear without a bias", "embedding"])  # fmt: skip
def test_layers_without_time_come_back(tmp_path, layer):
    chain = back(tmp_path, layer)
    part = type(layer).__name__.lower()
    assert_same_bits(chain.state_dict(), {f"{part}.{name}": array for name, array in layer.parameters.items()})
    x = np.array([[0, 4, 2]]) if isinstance(layer, Embedding) else numbers(np.random.default_rng(0), 2, 5, 3)
    y, state = chain(x)
    assert state is None
    np.testing.assert_array_equal(y, layer(x))


MODELS = {
    "a classifier": lambda **o: SequenceClassifier(3, 4, input_size=2, **o),
    "yes or no": lambda **o: SequenceClassifier(1, 4, vocab_size=5, pooling="max", **o),
    "a regressor": lambda **o: SequenceRegressor(2, 4, vocab_size=5, pooling="mean", **o),
    "a tagger": lambda **o: SequenceTagger(3, 4, input_size=2, **o),
    "a language model": lambda **o: LanguageModel(5, 4, tied=True, **o),
}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "CoupledLSTM"])
@pytest.mark.parametrize("what", MODELS)
@pytest.mark.parametrize("lengths", [True, False])
def test_a_model_comes_back(tmp_path, what, cell, lengths):
    two = {} if what == "a language model" else {"bidirectional": True}
    model = fill(MODELS[what](cell=cell, num_layers=2, backend="numpy", **two))
    chain = back(tmp_path, model, lengths=lengths)
    again = chain.as_model(type(model))
    expected = model.state_dict()
    if what == "a language model":
        expected |= {"head.weight": expected["embedding.weight"]}
    assert_same_bits(again.parameters, expected)
    rng = np.random.default_rng(0)
    x = numbers(rng, 3, 6, 2) if model.embedding is None else rng.integers(0, 5, (3, 6))
    steps = np.array([6, 2, 4])
    answer = model(x, None, steps)[0] if what == "a language model" else model(x, steps)
    np.testing.assert_allclose(chain(x, lengths=steps)[0], answer, rtol=0, atol=1e-5)


def test_a_chain_is_a_source_for_transfer(tmp_path):
    model = SequenceClassifier(3, 4, input_size=2, seed=0)
    chain = back(tmp_path, model)
    target = SequenceClassifier(2, 4, input_size=2, seed=1)
    copy_parameters(chain.state_dict(), target, exclude=("head.*",))
    np.testing.assert_array_equal(target.parameters["rnn.weight_hh_l0"], model.parameters["rnn.weight_hh_l0"])


def test_a_chain_says_what_it_is_and_what_it_is_not(tmp_path):
    chain = back(tmp_path, SequenceClassifier(3, 4, vocab_size=7, seed=0))
    assert repr(chain) == (
        "Chain(embedding: Embedding(7, 4) → rnn: LSTM(4, 4, 1, False) → last over time → linear: Linear(4, 3))"
    )
    with pytest.raises(ValueError, match="one recurrent layer, and an affine map, for a SequenceTagger, got Chain"):
        chain.as_model(SequenceTagger)
    with pytest.raises(TypeError, match="kind must be one of SequenceClassifier"):
        chain.as_model(Linear)
    with pytest.raises(ValueError, match="lengths must be between 1 and T = 2"):
        chain(np.array([[1, 2]]), lengths=np.array([3]))
