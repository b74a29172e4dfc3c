"""`quantize`: layers and models with weights in int8, called, saved and loaded as those they were made of."""

from __future__ import annotations

import copy
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save as foreign_bytes

from rnn_core import (
    GRU,
    LSTM,
    RNN,
    ConvClassifier,
    Dropout,
    Embedding,
    LanguageModel,
    Linear,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    gradcheck,
    load,
    quantize,
    save,
)
from rnn_core.data import Batch, Examples, Windows
from rnn_core.layers.quantized import is_quantized, sizes
from rnn_core.training import Adam, fit
from tests.contextual_checks import bilm, letters, words
from tests.forecasting_checks import model_of, some_series
from tests.seq2seq_checks import VARIANTS, seq2seq, source

X = np.random.default_rng(0).standard_normal((6, 3, 5)).astype(np.float32)
LENGTHS = np.array([6, 1, 4])
ROWS = np.random.default_rng(1).integers(0, 5, (3, 6))
SERIES = some_series()


def stack(kind=LSTM, **options):
    return kind(5, 24, **{"num_layers": 2, "bidirectional": True, "seed": 1, **options})


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_a_stack_is_called_as_it_was(kind, backend):
    layer = stack(kind, backend=backend)
    before = layer.state_dict()
    twin = quantize(layer)
    assert isinstance(twin, kind)
    state = layer(X)[1]
    for arguments in ((X,), (X, state), (X, None, LENGTHS), (X[:, 0],)):
        y, final = twin(*arguments)
        expected, expected_final = layer(*arguments)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, expected, atol=0.03)
        np.testing.assert_allclose(final, expected_final, atol=0.05)
    assert not twin(X, lengths=LENGTHS)[0][1:, 1].any()
    for name, array in layer.parameters.items():
        np.testing.assert_array_equal(array, before[name])


def test_both_backends_say_the_same():
    layer = stack(num_layers=1)
    cpu, numpy = quantize(layer), quantize(layer.astype(np.float32, backend="numpy"))
    np.testing.assert_allclose(cpu(X[:1])[0], numpy(X[:1])[0], atol=1e-6)
    assert cpu.astype(np.float32, backend="numpy").backend == "numpy"


def test_a_stream_goes_step_by_step():
    twin = quantize(LSTM(5, 24, 2, seed=0))
    stream = twin.stream(batch_size=3)
    np.testing.assert_array_equal(np.concatenate([stream(X[t : t + 1]) for t in range(6)]), twin(X)[0])


def test_names_types_and_sizes():
    twin = quantize(LSTM(5, 24, seed=0))
    assert {name: (array.dtype.name, array.shape) for name, array in twin.parameters.items()} == {
        "weight_ih_l0": ("int8", (96, 5)), "weight_ih_l0_scale": ("float32", (96,)),
        "weight_hh_l0": ("int8", (96, 24)), "weight_hh_l0_scale": ("float32", (96,)),
        "bias_ih_l0": ("float32", (96,)), "bias_hh_l0": ("float32", (96,)),
    }  # fmt: skip
    assert twin.groups == {"l0": tuple(twin.parameters)}
    now, before = 96 * 29 + 4 * 4 * 96, 4 * 96 * (29 + 2)
    assert sizes(twin) == (now, before)
    assert repr(twin) == f"QuantizedLSTM(int8: {now:,} bytes, {before:,} in float32)"


@pytest.mark.parametrize("backend", [None, "cpu", "numpy"])
def test_linear_and_embedding(backend):
    linear, table = Linear(5, 40, seed=0, backend=backend), Embedding(7, 9, padding_idx=2, seed=0, backend=backend)
    np.testing.assert_allclose(quantize(linear)(X), linear(X), atol=0.03)
    tokens = np.array([[1, 2], [6, 0]])
    found = quantize(table)(tokens)
    np.testing.assert_allclose(found, table(tokens), atol=0.02)
    assert not found[0, 1].any()
    by_step = quantize(table)(tokens, time_major=True)
    np.testing.assert_array_equal(by_step, found)
    assert by_step.strides == table(tokens, time_major=True).strides
    with pytest.raises(ValueError, match=r"^QuantizedEmbedding.__call__: tokens must be in 0…6, got 7"):
        quantize(table)(np.array([7]))
    with pytest.raises(TypeError, match=r"^QuantizedLinear.__call__: x must be float32.*convert it with \S+$"):
        quantize(linear)(X.astype(np.float64))


def features(model):
    return model(np.swapaxes(X, 0, 1), lengths=LENGTHS)


MODELS = {
    "language": (lambda **o: LanguageModel(5, 12, num_layers=2, **o), lambda m: m(ROWS)[0]),
    "tied": (lambda **o: LanguageModel(5, 12, tied=True, cell="gru", **o), lambda m: m(ROWS, lengths=LENGTHS)[0]),
    "classifier": (lambda **o: SequenceClassifier(3, 12, input_size=5, bidirectional=True, **o), features),
    "regressor": (lambda **o: SequenceRegressor(2, 12, input_size=5, cell="rnn", pooling="mean", **o), features),
    "tagger": (lambda **o: SequenceTagger(3, 12, input_size=5, crf=True, **o), features),
    "convolutions": (lambda **o: ConvClassifier(3, (1, 6, 6), channels=[2], hidden_size=8, **o),
                     lambda m: m(np.resize(X, (3, 1, 6, 6)))),
    "seq2seq": (lambda **o: seq2seq(**VARIANTS["fed"], **o), lambda m: m(np.float32(source(m)), ROWS[:, :4] % 4)),
    "shared": (lambda **o: seq2seq(**VARIANTS["shared and tied"], **o), lambda m: m(source(m), ROWS[:, :4] % 4)),
    "contextual": (lambda **o: bilm(**o), lambda m: m(ROWS)[0]),
    "letters": (lambda **o: bilm(front=letters(highways=1, features=3), **o), lambda m: m(words())[0]),
    "forecaster": (lambda **o: model_of(SERIES, strategy="recursive", **o),
                   lambda m: m.evaluate(Windows(SERIES, m.window, batch_size=5, shuffle=False).batch(0, 0)).loss),
}  # fmt: skip
"""How each model is made, and asked."""


def arrays(answer):
    """Return an answer's arrays."""
    return [np.asarray(part) for part in (answer if isinstance(answer, tuple) else (answer,)) if part is not None]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_answers_is_saved_and_loaded(name, tmp_path):
    make, ask = MODELS[name]
    model = make(dtype=np.float32, seed=1)
    before = model.state_dict()
    twin = quantize(model)
    assert type(twin) is type(model)
    assert (is_quantized(twin), is_quantized(model)) == (True, False)
    assert repr(twin).startswith(f"{type(model).__name__}(int8: ")
    assert sizes(twin).before == sum(array.nbytes for array in before.values())
    answer = arrays(ask(twin))
    for found, expected in zip(answer, arrays(ask(model)), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.05 * (1 + np.abs(expected).max()))
    save(twin, tmp_path / "int8.safetensors")
    again = load(tmp_path / "int8.safetensors")
    assert type(again) is type(model)
    assert list(again.parameters) == list(twin.parameters)
    for found, expected in zip(arrays(ask(again)), answer, strict=True):
        np.testing.assert_array_equal(found, expected)
    for other in (copy.deepcopy(twin), pickle.loads(pickle.dumps(twin)), twin.astype(np.float32)):
        for found, expected in zip(arrays(ask(other)), answer, strict=True):
            np.testing.assert_array_equal(found, expected)
    for key, array in model.parameters.items():
        np.testing.assert_array_equal(array, before[key])
    assert load(tmp_path / "int8.safetensors", backend="numpy").config["backend"] == "numpy"


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"precision": "bfloat16"}])
def test_a_language_model_is_evaluated(options):
    """Without the pass that makes head and loss one, which is of float weights."""
    model = LanguageModel(50, 12, seed=0, **options)
    twin, batch = quantize(model), Batch(ROWS, ROWS)
    assert "precision" not in twin.config
    found, expected = twin.evaluate(batch), model.evaluate(batch)
    assert found.loss == pytest.approx(expected.loss, rel=0.01)
    assert found.count == expected.count
    with pytest.raises(TypeError, match=r"^QuantizedLSTM: precision must be left out, as weights are int8, got 'bf"):
        twin.rnn.astype(np.float32, precision="bfloat16")


def test_a_tied_matrix_is_one(tmp_path):
    twin = quantize(LanguageModel(5, 12, tied=True, seed=0))
    assert "head.weight" not in twin.parameters
    save(twin, tmp_path / "tied.safetensors")
    again = load(tmp_path / "tied.safetensors")
    assert again.head.parameters["weight"] is again.embedding.parameters["weight"]
    assert again.head.parameters["weight_scale"] is again.embedding.parameters["weight_scale"]
    assert again.generate(ROWS[0], 4, rng=0).tolist() == twin.generate(ROWS[0], 4, rng=0).tolist()


def test_training_says_the_way_out():
    model = SequenceClassifier(3, 12, input_size=5, seed=0)
    twin = quantize(model)
    examples = Examples(np.swapaxes(X, 0, 1), np.array([0, 1, 2]))
    way_out = r"train the one that quantize was given and quantize it again$"
    for call in (
        lambda: twin.forward(np.swapaxes(X, 0, 1)),
        lambda: twin.loss_and_gradients(Batch(np.swapaxes(X, 0, 1), np.array([0, 1, 2]))),
        lambda: fit(twin, examples, optimizer=Adam(), epochs=1),
    ):
        with pytest.raises(RuntimeError, match=rf"^QuantizedLSTM.forward: training needs .*{way_out}"):
            call()
    for name in ("forward", "backward"):
        with pytest.raises(RuntimeError, match=rf"^QuantizedGRU.{name}: .*{way_out}"):
            getattr(quantize(GRU(5, 4)), name)(X)
    with pytest.raises(TypeError, match=r"^QuantizedLSTM: dtype must be float32"):
        twin.astype(np.float64)
    with pytest.raises(RuntimeError, match=r"^QuantizedLSTM.forward: "):
        gradcheck(quantize(LSTM(5, 4)), X)


def test_what_can_not_be_quantized():
    with pytest.raises(TypeError, match=r"^quantize: target must be an RNN, LSTM, .*, got a Dropout$"):
        quantize(Dropout(0.5))
    with pytest.raises(TypeError, match=r"^quantize: target must be in float32, got one that is quantized already: Qu"):
        quantize(quantize(LSTM(5, 4)))
    for make in (lambda **o: LSTM(5, 4, **o), lambda **o: Linear(5, 4, **o), lambda **o: LanguageModel(5, 4, **o)):
        with pytest.raises(TypeError, match=r"^quantize: target's dtype must be float32.*astype\(np.float32\) makes"):
            quantize(make(dtype=np.float64))
    layer = LSTM(5, 4)
    layer.parameters["weight_hh_l0"][2, 1] = np.nan
    with pytest.raises(ValueError, match=r"^quantize: weight_hh_l0 must be finite, got nan at index \(2, 1\)"):
        quantize(layer)
    with pytest.raises(ValueError, match=r"^quantize: a row of a weight must have at most 133144 numbers"):
        quantize(Linear(133_145, 1))


def test_parameters_stay_once_they_are_in_use():
    """What computes has its own order of them; a change that it can't see is refused."""
    twin = quantize(stack())
    values = {name: np.zeros_like(array) for name, array in twin.parameters.items()}
    twin.load_state_dict(values)
    twin(X)
    with pytest.raises(ValueError, match="read-only"):
        twin.parameters["weight_hh_l0"][0, 0] = 1
    with pytest.raises(ValueError, match=r"weight_ih_l0 must not be written into any more: .* load the file again$"):
        twin.load_state_dict(values)
    with pytest.raises(TypeError, match=r"weight_ih_l0 must be int8, got float32; rnn_core.quantize makes integers"):
        quantize(stack()).load_state_dict({name: a.astype(np.float32) for name, a in values.items()})


ONES = {
    "stack": (lambda: LSTM(5, 4, 2, seed=0), lambda layer: layer(X)),
    "linear": (lambda: Linear(5, 4, seed=0), lambda layer: layer(X)),
    "embedding": (lambda: Embedding(7, 4, seed=0), lambda layer: layer(np.array([1]))),
    "tied": (lambda: LanguageModel(5, 4, tied=True, seed=0), lambda model: model(ROWS)),
}
COPIES = {
    "itself": lambda twin, path: twin,
    "a copy": lambda twin, path: copy.copy(twin),
    "a deep copy": lambda twin, path: copy.deepcopy(twin),
    "a pickle's": lambda twin, path: pickle.loads(pickle.dumps(twin)),
    "a file's": lambda twin, path: save(twin, path) or load(path),  # type: ignore[func-returns-value]
    "astype's": lambda twin, path: twin.astype(np.float32),
}


@pytest.mark.parametrize("which", COPIES)
@pytest.mark.parametrize("name", ONES)
def test_a_view_that_was_taken_before_the_first_call_writes_nowhere(name, which, tmp_path):
    make, ask = ONES[name]
    twin = COPIES[which](quantize(make()), tmp_path / "it.safetensors")
    views = [array[...] for array in twin.parameters.values()]
    for view in views:
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.flags.writeable = True
    values = {key: np.ones_like(array) for key, array in twin.parameters.items()}
    twin.parameters.update(values)
    assert all((view == 1).all() for view in views)
    ask(twin)
    if name == "embedding":
        twin.load_state_dict(values)
    else:
        with pytest.raises(ValueError, match="must not be written into any more"):
            twin.load_state_dict(values)
    with pytest.raises(ValueError, match="read-only"):
        views[0][...] = 2


def test_what_a_layer_multiplies_in_can_be_asked_and_not_set(tmp_path):
    layer, model = LSTM(5, 4, precision="bfloat16"), LanguageModel(5, 4, seed=0)
    small = quantize(model)
    asked = (layer, layer.astype(np.float64), quantize(layer), model, small)
    assert [one.precision for one in asked] == ["bfloat16", "float32", "int8", "float32", "int8"]
    for one in asked:
        with pytest.raises(AttributeError, match="precision"):
            setattr(one, "precision", "float32")  # noqa: B010 - mypy knows that it can't be
    with pytest.raises(AttributeError, match="batch_size"):
        setattr(layer.stream(2), "batch_size", 4)  # noqa: B010
    save(small, tmp_path / "q.safetensors")
    for make in (
        lambda given: small.astype(np.float32, precision=given),
        lambda given: load(tmp_path / "q.safetensors", precision=given),
    ):
        for given in ("bfloat16", "nonsense"):
            with pytest.raises(TypeError, match=r"^LanguageModel.astype: precision must be left out, as weights"):
                make(given)


HEADER = {"format": "rnn_core", "format_version": "1", "class": "Linear", "quantized": "int8"}


@pytest.mark.parametrize(
    ("change", "arrays", "why"),
    [
        ({"quantized": "int4"}, {}, "quantized must be int8, got 'int4'; a newer rnn_core may read it"),
        ({}, {"weight": np.zeros((3, 2), np.float32)}, "weight must be int8, got float32"),
        ({}, {"weight_scale": np.full(3, np.nan, np.float32)}, "weight_scale must be finite"),
        ({}, {"weight_scale": np.zeros(2, np.float32)}, "weight_scale must have shape (3,), got (2,)"),
        ({"class": "Dropout", "config": "{}"}, {}, "'Dropout'"),
    ],
)
def test_a_file_that_lies(change, arrays, why, tmp_path):
    path = tmp_path / "lies.safetensors"
    right = {"weight": np.ones((3, 2), np.int8), "weight_scale": np.ones(3, np.float32)}
    config = {"config": json.dumps({"in_features": 2, "out_features": 3, "bias": False})}
    path.write_bytes(foreign_bytes(right | arrays, metadata=HEADER | config | change))
    with pytest.raises(ValueError, match=r"^load: '.*lies.safetensors' does not hold what it says it holds") as caught:
        load(path)
    assert why in str(caught.value)
    path.write_bytes(foreign_bytes(right, metadata=HEADER | config))
    assert load(path)(np.ones((1, 2), np.float32)).tolist() == [[2, 2, 2]]


def test_a_claim_of_great_size_takes_no_memory(tmp_path):
    path = tmp_path / "huge.safetensors"
    config = json.dumps({"vocab_size": 1 << 40, "hidden_size": 4})
    arrays = {"embedding.weight": np.ones((3, 4), np.int8)}
    path.write_bytes(foreign_bytes(arrays, metadata=HEADER | {"class": "LanguageModel", "config": config}))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="does not hold what it says it holds"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
