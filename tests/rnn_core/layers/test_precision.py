"""``precision="bfloat16"``: what has it, what refuses it, what a file says of it, and how near it stays to float64."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from rnn_core import (
    GRU,
    LSTM,
    RNN,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    load,
    quantize,
    save,
)
from rnn_core.data import Batch, Examples
from rnn_core.equations.rounding import rounded_to_bfloat16
from rnn_core.layers import Embedding, Linear, linear
from rnn_core.models import BidirectionalLanguageModel
from rnn_core.training import Adam, SoftmaxCrossEntropy, fit
from tests.checks import normal
from tests.step_checks import linear_reads_rounded_numbers

LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
SIZE = 2.0**-8
"""Of a step between neighbouring bfloat16, relative to them; half of it is the most that rounding changes."""


def rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def results(layer, x, dy):
    y, _, tape = layer.forward(x)
    dx, _, gradients = layer.backward(tape, dy)
    return {"y": y, "x": dx, **gradients}


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("kind", LAYERS)
def test_results_and_gradients_stay_near_those_of_float64(kind, backend):
    """A number is off by at most half a step when it is rounded; of sums of many such, by less than a step."""
    options = {"num_layers": 2, "bidirectional": True, "seed": 1, "backend": backend}
    layer = LAYERS[kind](12, 40, precision="bfloat16", **options)
    x, dy = (normal(15, 6, n, seed=n).astype(np.float32) for n in (12, 80))
    found, plain = results(layer, x, dy), results(LAYERS[kind](12, 40, **options), x, dy)
    exact = results(layer.astype(np.float64), x.astype(np.float64), dy.astype(np.float64))
    for name, value in found.items():
        assert value.dtype == np.float32
        off = rms(value - exact[name]) / rms(exact[name])
        assert off < 2 * SIZE, name
        assert off > 20 * rms(plain[name] - exact[name]) / rms(exact[name]), f"{name} is not rounded"


def test_parameters_are_float32_and_keep_every_bit():
    layer, plain = LSTM(3, 5, precision="bfloat16", seed=1), LSTM(3, 5, seed=1)
    x = normal(4, 2, 3).astype(np.float32)
    results(layer, x, np.ones((4, 2, 5), np.float32))
    for name, array in layer.parameters.items():
        np.testing.assert_array_equal(array, plain.parameters[name])
    assert not np.array_equal(layer(x)[0], plain(x)[0])


def test_a_config_says_no_more_than_before():
    assert "precision" not in LSTM(3, 5).config
    layer = GRU(3, 5, precision="bfloat16")
    assert layer.config["precision"] == "bfloat16"
    assert type(layer)(**layer.config).config == layer.config
    assert copy.deepcopy(layer).config == layer.config


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match="LSTM: precision must be 'float32' with dtype .*; leave one of the two out"):
        LSTM(3, 5, dtype=dtype, precision="bfloat16")


@pytest.mark.parametrize("wrong", ["float16", "bf16", None, 16, np.float32])
def test_another_word_is_refused(wrong):
    with pytest.raises(ValueError, match="GRU: precision must be 'float32' or 'bfloat16', got "):
        GRU(3, 5, precision=wrong)


def test_the_gpu_refuses_it():
    pytest.importorskip("numba_cuda")
    from kernels import cuda

    with pytest.raises(ValueError, match="precision must be 'float32' with backend='cuda', .* take backend='cpu'"):
        cuda.cell("gru", "bfloat16")


def test_astype_of_a_wider_dtype_rounds_nothing_any_more():
    layer = LSTM(3, 5, precision="bfloat16", seed=1)
    assert "precision" not in layer.astype(np.float64).config
    assert layer.astype(np.float32).config["precision"] == "bfloat16"
    assert "precision" not in layer.astype(np.float32, precision="float32").config
    assert LSTM(3, 5).astype(np.float32, precision="bfloat16").config["precision"] == "bfloat16"
    assert Linear(3, 5).astype(np.float32, precision="bfloat16").config["precision"] == "bfloat16"
    assert "precision" not in Linear(3, 5, precision="bfloat16").astype(np.float64).config
    with pytest.raises(TypeError, match="Embedding.astype: precision must be left out, as there is only one"):
        Embedding(3, 5).astype(np.float32, precision="bfloat16")


MODELS = {
    "classifier": lambda **options: SequenceClassifier(3, 5, input_size=2, **options),
    "regressor": lambda **options: SequenceRegressor(1, 5, input_size=2, **options),
    "tagger": lambda **options: SequenceTagger(3, 5, vocab_size=7, **options),
    "language model": lambda **options: LanguageModel(7, 5, **options),
    "both directions": lambda **options: BidirectionalLanguageModel(7, 5, **options),
    "sequence to sequence": lambda **options: Seq2Seq(7, 5, vocab_size=6, **options),
}


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_has_it_and_so_has_its_file(kind, tmp_path):
    assert "precision" not in MODELS[kind]().config
    model = MODELS[kind](precision="bfloat16", seed=1)
    assert model.config["precision"] == "bfloat16"
    cores = [layer.config for layer in model.layers.values() if "hidden_size" in layer.config]
    assert cores
    assert all(config["precision"] == "bfloat16" for config in cores)
    heads = [layer.config for part, layer in model.layers.items() if part.startswith("head")]
    assert heads
    assert all(config["precision"] == "bfloat16" for config in heads)
    others = [layer.config for part, layer in model.layers.items() if not part.startswith("head")]
    assert all("precision" not in config for config in others if config not in cores)
    path = tmp_path / "model.safetensors"
    save(model, path)
    assert load(path).config["precision"] == "bfloat16"
    assert "precision" not in load(path, precision="float32").config
    assert "precision" not in load(path, dtype=np.float64).config


@pytest.mark.parametrize("small", [0, 1 << 60], ids=["cpu", "numpy"])
def test_a_linear_layer_reads_rounded_factors(small, monkeypatch):
    monkeypatch.setattr(linear, "SMALL", small)
    linear_reads_rounded_numbers()


def test_a_linear_layer_refuses_what_a_core_refuses():
    with pytest.raises(ValueError, match="Linear: precision must be 'float32' with dtype float64"):
        Linear(3, 5, dtype=np.float64, precision="bfloat16")
    with pytest.raises(ValueError, match="Linear: precision must be 'float32' or 'bfloat16', got 'float16'"):
        Linear(3, 5, precision="float16")
    assert "precision" not in Linear(3, 5).config
    assert Linear(3, 5, precision="bfloat16").precision == "bfloat16"
    with pytest.raises(TypeError, match="QuantizedLinear: precision must be left out, as weights are int8"):
        quantize(Linear(3, 5)).astype(np.float32, precision="bfloat16")


def test_what_predicts_is_rounded_as_what_was_trained():
    """A model says the logits whose loss it has been taught, and evaluates those."""
    model = LanguageModel(300, 40, precision="bfloat16", backend="cpu", seed=1)
    rng = np.random.default_rng(0)
    batch = Batch(rng.integers(0, 300, (4, 9)), rng.integers(0, 300, (4, 9)))
    logits = model(batch.inputs)[0]
    loss, _ = SoftmaxCrossEntropy().forward(logits, batch.targets)
    assert model.evaluate(batch).loss / 36 == pytest.approx(float(loss), rel=1e-6)
    assert model.loss_and_gradients(batch).loss == pytest.approx(float(loss), rel=1e-6)
    y = model.rnn(model.front(batch.inputs, None))[0]
    W, b = (model.head.parameters[name] for name in ("weight", "bias"))
    expected = rounded_to_bfloat16(y) @ rounded_to_bfloat16(W).T + b
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert np.abs(logits - (y @ W.T + b)).max() > 1e-4


def test_a_float32_model_can_be_loaded_to_run_in_bfloat16(tmp_path):
    model = SequenceClassifier(3, 5, input_size=2, seed=1)
    save(model, tmp_path / "model.safetensors")
    x = normal(4, 6, 2).astype(np.float32)
    found = load(tmp_path / "model.safetensors", precision="bfloat16")(x)
    assert 0 < rms(found - model(x)) < 4 * SIZE * rms(model(x))


def test_it_learns():
    """The same task in both, as far down."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((96, 12, 2)).astype(np.float32)
    examples = Examples(x, (x[:, :, 0].sum(axis=1) > 0).astype(np.int64))
    last = {}
    for precision in ("float32", "bfloat16"):
        model = SequenceClassifier(2, 16, input_size=2, precision=precision, seed=1)
        history = fit(model, examples, optimizer=Adam(1e-2), epochs=6, seed=1)
        last[precision] = history[-1].loss
    assert last["float32"] < 0.4
    assert abs(last["bfloat16"] - last["float32"]) < 0.05
