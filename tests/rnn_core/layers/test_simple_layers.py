"""`Embedding`, `Linear` and `Dropout`: values, gradients by the complex step, and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.layers.dropout import Dropout, dropout_mask
from rnn_core.layers.embedding import Embedding, RowGradient
from rnn_core.layers.linear import Linear


def complex_step(f, array, h=1e-30):
    """∂f/∂array, element by element; `array` is complex and f reads it where it lies."""
    gradient = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        array[place] += 1j * h
        gradient[place] = f().imag / h
        array[place] -= 1j * h
    return gradient


# ── Linear ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_linear_by_hand():
    layer = Linear(2, 3, dtype=np.float64)
    layer.load_state_dict({"weight": [[1, 2], [3, 4], [5, 6]], "bias": [10, 20, 30]})
    x = np.array([[1.0, 1], [2, 0]])
    y, tape = layer.forward(x)
    np.testing.assert_array_equal(y, [[13, 27, 41], [12, 26, 40]])
    np.testing.assert_array_equal(layer(x), y)
    dx, grads = layer.backward(tape, np.array([[1.0, 0, 0], [0, 1, 1]]))
    np.testing.assert_array_equal(dx, [[1, 2], [8, 10]])
    np.testing.assert_array_equal(grads["weight"], [[1, 1], [2, 0], [2, 0]])
    np.testing.assert_array_equal(grads["bias"], [1, 1, 1])


@given(
    leading=st.sampled_from([(), (1,), (3,), (2, 3), (2, 1, 2)]),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_linear_gradients_agree_with_the_complex_step(leading, sizes, bias, seed):
    rng = np.random.default_rng(seed)
    layer = Linear(sizes[0], sizes[1], bias, dtype=np.float64, seed=seed)
    x, dy = rng.standard_normal((*leading, sizes[0])), rng.standard_normal((*leading, sizes[1]))
    dx, grads = layer.backward(layer.forward(x)[1], dy)
    twin, moving = layer.astype(np.complex128), x.astype(complex)
    for gradient, array in ((dx, moving), *((grads[name], array) for name, array in twin.parameters.items())):
        expected = complex_step(lambda: (dy * twin(moving)).sum(), array)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-12 * scale)
    assert set(grads) == ({"weight", "bias"} if bias else {"weight"})


def test_linear_computes_only_what_is_needed():
    layer = Linear(2, 3)
    _, tape = layer.forward(np.ones((4, 2), np.float32))
    dy = np.ones((4, 3), np.float32)
    assert layer.backward(tape, dy, needs=set()) == (None, {})
    dx, grads = layer.backward(tape, dy, needs={"x", "bias"})
    assert dx is not None
    assert set(grads) == {"bias"}


def test_linear_takes_strided_input_and_leaves_it_alone():
    layer = Linear(3, 2, dtype=np.float64, seed=0)
    x = np.random.default_rng(0).standard_normal((3, 8, 5)).T[:, ::2]
    before = x.copy()
    y, tape = layer.forward(x)
    np.testing.assert_allclose(y, layer(np.ascontiguousarray(x)), rtol=1e-14)
    dx, grads = layer.backward(tape, np.ones((5, 2, 4)).swapaxes(1, 2))
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(grads["weight"], np.tile(x.sum(axis=(0, 1)), (2, 1)), rtol=1e-12)


def test_initial_weights_depend_on_the_seed_alone():
    one, two, other = Linear(9, 4, seed=1), Linear(9, 4, seed=1), Linear(9, 4, seed=2)
    np.testing.assert_array_equal(one.parameters["weight"], two.parameters["weight"])
    assert (one.parameters["weight"] != other.parameters["weight"]).any()
    assert all(np.abs(array).max() <= 1 / 3 for array in one.parameters.values())
    wide = Linear(400, 300, dtype=np.float64, seed=0).parameters["weight"]
    assert wide.std() == pytest.approx(0.05 / 3**0.5, rel=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_keeps_its_dtype(dtype):
    layer = Linear(2, 3, dtype=dtype)
    y, tape = layer.forward(np.ones((4, 2), dtype))
    dx, grads = layer.backward(tape, np.ones((4, 3), dtype))
    assert {a.dtype for a in (y, dx, *grads.values())} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.ones((4, 3), np.float32), ValueError, r"x must have shape \(..., 2\), got \(4, 3\); in_features is 2"),
        (np.float32(1), ValueError, r"x must have shape \(..., 2\), got \(\)"),
        (np.ones((4, 2)), TypeError, "x must be float32, as the weights are, got float64"),
        (np.array([[1, np.nan]], np.float32), ValueError, r"x must be finite, got nan at index \(0, 1\)"),
    ],
)
def test_linear_names_what_does_not_fit(x, error, message):
    for where, call in (("forward", Linear(2, 3).forward), ("__call__", Linear(2, 3))):
        with pytest.raises(error, match=f"Linear.{where}: {message}"):
            call(x)


def test_linear_backward_names_what_does_not_fit():
    layer = Linear(2, 3)
    _, tape = layer.forward(np.ones((4, 2), np.float32))
    with pytest.raises(ValueError, match=r"Linear.backward: dy must have shape \(4, 3\), as y, got \(4, 2\)"):
        layer.backward(tape, np.ones((4, 2), np.float32))
    with pytest.raises(TypeError, match=r"Linear.backward: dy must be float32, as y, got float64"):
        layer.backward(tape, np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"Linear.backward: needs must name some of x, weight, bias; got w"):
        layer.backward(tape, np.ones((4, 3), np.float32), needs={"w"})


# ── Embedding ─────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    shape=st.sampled_from([(), (1,), (7,), (2, 5), (3, 2, 2)]),
    V=st.integers(1, 6),
    D=st.integers(1, 3),
    padding=st.booleans(),
    sparse=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_embedding_looks_up_and_sums_by_token(shape, V, D, padding, sparse, seed):
    rng = np.random.default_rng(seed)
    padding_idx = int(rng.integers(V)) if padding else None
    layer = Embedding(V, D, padding_idx, sparse, dtype=np.float64, seed=seed)
    tokens, dvectors = rng.integers(0, V, shape), rng.standard_normal((*shape, D))
    vectors, tape = layer.forward(tokens)
    np.testing.assert_array_equal(vectors, layer.parameters["weight"][tokens])
    np.testing.assert_array_equal(layer(tokens), vectors)
    gradient = layer.backward(tape, dvectors)["weight"]
    expected = np.zeros((V, D))
    np.add.at(expected, tokens, dvectors)
    if padding_idx is not None:
        expected[padding_idx] = 0
        assert not layer.parameters["weight"][padding_idx].any()
    if sparse:
        assert isinstance(gradient, RowGradient)
        assert list(gradient.rows) == sorted(set(tokens.ravel().tolist()) - {padding_idx})
        gradient = gradient.to_dense()
    np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-14)


def test_embedding_gradient_agrees_with_the_complex_step():
    layer = Embedding(4, 2, dtype=np.float64, seed=0)
    tokens, dvectors = np.array([[1, 3, 1], [0, 1, 3]]), np.random.default_rng(0).standard_normal((2, 3, 2))
    gradient = layer.backward(layer.forward(tokens)[1], dvectors)["weight"]
    twin = layer.astype(np.complex128)
    expected = complex_step(lambda: (dvectors * twin(tokens)).sum(), twin.parameters["weight"])
    np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-14)
    assert not gradient[2].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sparse", [False, True])
def test_embedding_keeps_its_dtype(dtype, sparse):
    layer = Embedding(5, 2, sparse=sparse, dtype=dtype)
    vectors, tape = layer.forward(np.array([1, 2], dtype=np.int32))
    gradient = layer.backward(tape, vectors)["weight"]
    assert vectors.dtype == dtype
    assert (gradient.values if sparse else gradient).dtype == dtype


def test_embedding_computes_only_what_is_needed():
    layer = Embedding(3, 2)
    vectors, tape = layer.forward([0, 1])
    assert layer.backward(tape, vectors, needs=()) == {}
    with pytest.raises(ValueError, match=r"Embedding.backward: needs must name some of weight; got x"):
        layer.backward(tape, vectors, needs={"x"})


def test_embedding_vectors_are_fresh():
    layer = Embedding(3, 2, seed=0)
    before = layer.parameters["weight"].copy()
    layer(np.array([0, 1]))[:] = 7
    np.testing.assert_array_equal(layer.parameters["weight"], before)


def test_embedding_begins_standard_normal():
    weight = Embedding(500, 100, dtype=np.float64, seed=0).parameters["weight"]
    assert weight.mean() == pytest.approx(0, abs=0.02)
    assert weight.std() == pytest.approx(1, rel=0.02)
    np.testing.assert_array_equal(weight, Embedding(500, 100, dtype=np.float64, seed=0).parameters["weight"])


@pytest.mark.parametrize(
    "tokens, error, message",
    [
        ([[0, 1], [2, 3]], ValueError, r"tokens must be in 0…2, got 3 at index \(1, 1\); num_embeddings is 3"),
        ([0, -1, 5], ValueError, r"tokens must be in 0…2, got -1 at index \(1,\)"),
        ([0.0, 1.0], TypeError, "tokens must be integers, got float64"),
        ([True], TypeError, "tokens must be integers, got bool"),
        (np.zeros((2, 0), int), ValueError, r"tokens must be at least one, got shape \(2, 0\)"),
    ],
)
def test_embedding_names_what_does_not_fit(tokens, error, message):
    for where, call in (("forward", Embedding(3, 2).forward), ("__call__", Embedding(3, 2))):
        with pytest.raises(error, match=f"Embedding.{where}: {message}"):
            call(tokens)


def test_embedding_backward_names_what_does_not_fit():
    layer = Embedding(3, 2)
    _, tape = layer.forward([0, 1])
    with pytest.raises(ValueError, match=r"Embedding.backward: dvectors must have shape \(2, 2\), .* got \(2, 3\)"):
        layer.backward(tape, np.ones((2, 3), np.float32))
    with pytest.raises(TypeError, match=r"Embedding.backward: dvectors must be float32, as the vectors, got float64"):
        layer.backward(tape, np.ones((2, 2)))


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Embedding(0, 2), ValueError, "Embedding: num_embeddings must be at least 1, got 0"),
        (lambda: Embedding(3, 2.0), TypeError, "Embedding: embedding_dim must be an int"),
        (lambda: Embedding(3, 2, 3), ValueError, "Embedding: padding_idx must be in 0…2, got 3"),
        (lambda: Embedding(3, 2, 0.0), TypeError, "padding_idx must be an int or None, got 0.0"),
        (lambda: Linear(2, 0), ValueError, "Linear: out_features must be at least 1, got 0"),
        (lambda: Linear(2, 2, dtype=int), TypeError, "Linear: dtype must be float32 or float64"),
        (lambda: Dropout(1.0), ValueError, "Dropout: p must be at least 0 and below 1, got 1.0"),
        (lambda: Dropout("half"), TypeError, "Dropout: p must be a number"),
    ],
)
def test_settings_out_of_range_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("layer", [Linear(2, 3, False, seed=1), Embedding(4, 2, 1, True, dtype=np.float64)])
def test_config_rebuilds_a_layer(layer):
    twin = type(layer)(**layer.config)
    twin.load_state_dict(layer.state_dict())
    assert twin.config == layer.config
    for name, array in layer.parameters.items():
        np.testing.assert_array_equal(twin.parameters[name], array)
        assert twin.parameters[name].dtype == array.dtype


# ── Dropout ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_dropout_masks_and_scales(dtype):
    x = np.ones((100, 50), dtype)
    y, tape = Dropout(0.2).forward(x, rng=0)
    assert y.dtype == dtype
    np.testing.assert_array_equal(np.unique(y), np.array([0, 1.25], dtype))
    assert (y != 0).mean() == pytest.approx(0.8, abs=0.02)
    np.testing.assert_array_equal(Dropout(0.2).backward(tape, x), y)
    np.testing.assert_array_equal(x, 1)


def test_one_seed_gives_one_mask_in_every_dtype():
    x = np.ones((5, 7))
    np.testing.assert_array_equal(dropout_mask(x, 0.5, 3), dropout_mask(x, 0.5, np.random.default_rng(3)))
    np.testing.assert_array_equal(dropout_mask(x, 0.5, 3), dropout_mask(x.astype(np.float32), 0.5, 3))
    assert (dropout_mask(x, 0.5, 3) != dropout_mask(x, 0.5, 4)).any()
    assert (dropout_mask(x, 0.5) != dropout_mask(x, 0.5)).any()
    rng = np.random.default_rng(3)
    assert (dropout_mask(x, 0.5, rng) != dropout_mask(x, 0.5, rng)).any()


def test_nothing_is_dropped_outside_training_or_with_probability_zero():
    x = np.ones((2, 3))
    assert Dropout(0.5)(x) is x
    y, tape = Dropout(0).forward(x)
    assert y is x
    assert Dropout(0).backward(tape, x) is x


def test_dropout_backward_names_what_does_not_fit():
    _, tape = Dropout(0.5).forward(np.ones((2, 3)), rng=0)
    with pytest.raises(ValueError, match=r"Dropout.backward: dy must have shape \(2, 3\), as y, got \(3,\)"):
        Dropout(0.5).backward(tape, np.ones(3))
