"""Models of every option beside Keras 3: what a chain says is what Keras says, to 1e-6, wherever padding stands."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("h5py")
pytest.importorskip("torch")

from rnn_core.formats import load_keras

from .by_hand import F, numbers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's, of torch

TOLERANCE = 1e-6
V, I, T, B = 7, 3, 6, 5
CELLS = {
    "tanh": ("SimpleRNN", {}),
    "relu": ("SimpleRNN", {"activation": "relu"}),
    "sigmoid": ("SimpleRNN", {"activation": "sigmoid"}),
    "lstm": ("LSTM", {}),
    "lstm without unit_forget_bias": ("LSTM", {"unit_forget_bias": False}),
    "gru": ("GRU", {}),
    "gru, reset before": ("GRU", {"reset_after": False}),
}
MERGES = ("concat", "sum", "mul", "ave")


@pytest.fixture(scope="module")
def keras():
    """Keras on torch, of which no warning at its import is ours."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras")


def rows(kind):
    """Tokens or features in which steps are padded at either end, in the middle, here and there, and throughout."""
    rng = np.random.default_rng(5)
    padded = np.array([[0, 0, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0], [1] * T])
    if kind == "tokens":
        return rng.integers(1, V, (B, T)) * padded
    x = rng.standard_normal((B, T, I)).astype(F)
    x[padded == 0] = 0.5
    return x


def in_layer(keras, name, sequences, way, zero, bias=True):
    """A recurrent layer of Keras's, in one direction or two."""
    kind, options = CELLS[name]
    options = {"use_bias": bias, "return_sequences": sequences} | options
    layer = getattr(keras.layers, kind)
    if way in MERGES:
        return keras.layers.Bidirectional(layer(3, **options), merge_mode=way)
    return layer(3, go_backwards=way == "backwards", zero_output_for_mask=zero, **options)


def compare(keras, path, layers, shape, x, functional):
    """Build a model with weights that are all drawn, save it, and hold the chain against it."""
    if functional:
        given = keras.Input(shape)
        found = given
        for layer in layers:
            found = layer(found)
        model = keras.Model(given, found)
    else:
        model = keras.Sequential([keras.Input(shape), *layers])
    model.set_weights([numbers(*one.shape, seed=k) for k, one in enumerate(model.get_weights())])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that .h5 is old
        model.save(path)
    expected = keras.ops.convert_to_numpy(model(x))
    chain = load_keras(path, backend="numpy")
    y, _ = chain(x)
    assert y.dtype == F
    np.testing.assert_allclose(y, expected, rtol=0, atol=TOLERANCE)
    return chain


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_model_says_what_keras_says(keras, tmp_path, data):
    draw = lambda *options: data.draw(st.sampled_from(options))
    mask, deep, sequences = draw("none", "mask_zero", "Masking"), draw(False, True), draw(False, True)
    tokens = mask == "mask_zero" or (draw(False, True) and mask == "none")
    front = []
    if tokens:
        front = [keras.layers.Embedding(V, I, mask_zero=mask == "mask_zero")]
    elif mask == "Masking":
        front = [keras.layers.Masking(0.5)]
    names, bias = sorted(CELLS), draw(True, False)
    ways = ("forwards", *MERGES)
    middle = [in_layer(keras, draw(*names), True, draw(*ways), draw(False, True), bias)] if deep else []
    if deep and draw(True, False):
        middle.append(keras.layers.Dropout(0.5))
    backwards = ("backwards",) if mask == "none" or not sequences else ()
    last = in_layer(keras, draw(*names), sequences, draw(*ways, *backwards), draw(False, True), bias)
    dense = keras.layers.Dense(2, activation=draw(None, "relu", "tanh", "sigmoid", "softmax"), use_bias=bias)
    head = keras.layers.TimeDistributed(dense) if sequences and draw(True, False) else dense
    x = rows("tokens" if tokens else "features")
    path = tmp_path / f"model.{draw('keras', 'h5')}"
    compare(keras, path, [*front, *middle, last, head], x.shape[1:], x, functional=draw(False, True))


@pytest.mark.parametrize("way", ["forwards", "backwards", *MERGES])
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_goes_every_way(keras, tmp_path, name, way):
    layers = [keras.layers.Embedding(V, I, mask_zero=True), in_layer(keras, name, False, way, False)]
    compare(keras, tmp_path / "model.keras", layers, (None,), rows("tokens"), functional=False)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_layers_without_a_recurrent_one_and_pooling(keras, tmp_path, suffix):
    x = rows("features")
    dense = [keras.layers.Dense(4, activation="relu"), keras.layers.GaussianNoise(0.1), keras.layers.Dense(2)]
    compare(keras, tmp_path / f"a.{suffix}", dense, (I,), x[:, 0], functional=True)
    for pool in (keras.layers.GlobalAveragePooling1D(), keras.layers.GlobalMaxPooling1D()):
        layers = [in_layer(keras, "lstm", True, "concat", False), pool, keras.layers.Activation("softmax")]
        compare(keras, tmp_path / f"b.{suffix}", layers, (None, I), x, functional=False)


def test_layers_that_are_alike_become_a_stack_of_ours(keras, tmp_path):
    layers = [keras.layers.Embedding(V, I, mask_zero=True)]
    layers += [in_layer(keras, "lstm", sequences, "concat", False) for sequences in (True, True, False)]
    chain = compare(keras, tmp_path / "model.keras", layers, (None,), rows("tokens"), functional=True)
    assert chain.layers["rnn"].num_layers == 3


def test_float64_stays_float64(keras, tmp_path):
    model = keras.Sequential([keras.Input((None, I), dtype="float64"), keras.layers.GRU(3, dtype="float64")])
    model.save(tmp_path / "model.keras")
    x = rows("features").astype(np.float64)
    y, _ = load_keras(tmp_path / "model.keras", backend="numpy")(x)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, keras.ops.convert_to_numpy(model(x)), rtol=0, atol=1e-12)


def refused(keras, path, layers, shape=(None, I)):
    model = keras.Sequential([keras.Input(shape), *layers])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lambdas
        model.save(path)
    with pytest.raises(ValueError, match="^load_keras: ") as caught:
        load_keras(path)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_what_keras_itself_can_write_and_we_do_not_read_is_named(keras, tmp_path, suffix):
    theirs: type = keras.layers.GRU

    @keras.saving.register_keras_serializable("ours")
    class GRU(theirs):  # of the name of Keras's own
        pass

    layers, path = keras.layers, tmp_path / f"model.{suffix}"
    assert "layer 'lambda' (Lambda)" in (said := refused(keras, path, [layers.Lambda(lambda t: t, name="lambda")]))
    assert "never run" in said
    if suffix == "keras":
        assert "(GRU)" in (said := refused(keras, path, [GRU(2)]))
        assert "its class must be one of Keras's own, got one of the module 'tests." in said
    assert "activation must be tanh, as layers of ours have it" in refused(keras, path, [layers.LSTM(2, lambda t: t)])
    said = refused(keras, path, [layers.LSTM(2, recurrent_activation="hard_sigmoid", name="old")])
    assert "layer 'old' (LSTM)" in said
    assert "recurrent_activation must be sigmoid, as layers of ours have it, got 'hard_sigmoid'" in said
    assert "'Conv1D'" in refused(keras, path, [layers.Conv1D(2, 2)])
    assert "dtype policy must be float32 or float64, got 'mixed_float16'" in refused(
        keras, path, [layers.LSTM(2, dtype="mixed_float16")]
    )


def test_functional_models_that_do_not_stand_in_a_row_are_named(keras, tmp_path):
    path, given = tmp_path / "model.keras", keras.Input((None, I))
    first = keras.layers.LSTM(3, return_sequences=True, name="first")(given)
    pooled = keras.layers.GlobalMaxPooling1D()(first)
    shared = keras.layers.Dense(3, name="shared")
    models = {
        "layer 'add' (Add)": keras.Model(given, keras.layers.Add(name="add")([first, given])),
        "layer 'shared' (Dense)": keras.Model(given, shared(shared(first))),
        "output_layers must be one layer": keras.Model(given, [first, shared(first)]),
        "return_state must be false": keras.Model(given, keras.layers.GRU(2, return_state=True)(given)[0]),
        "without 'initial_state'": keras.Model(given, keras.layers.GRU(3)(given, initial_state=pooled)),
        "without 'training', got True": keras.Model(given, keras.layers.Dropout(0.5, name="d")(first, training=True)),
    }
    for message, model in models.items():
        model.save(path)
        with pytest.raises(ValueError, match="^load_keras: ") as caught:
            load_keras(path)
        assert message in str(caught.value)
