"""Losses: values by hand, gradients by the complex step, and sense where logits are huge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.training import BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError

LOSSES = [SoftmaxCrossEntropy(), BinaryCrossEntropy(), SquaredError()]


def case(loss, rng, shape=(3, 4), V=5, scale=3.0):
    """Logits and targets of a loss; `shape` is that of the targets."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return scale * rng.standard_normal((*shape, V)), rng.integers(0, V, shape)
    if isinstance(loss, BinaryCrossEntropy):
        return scale * rng.standard_normal(shape), rng.integers(0, 2, shape)
    return scale * rng.standard_normal(shape), rng.standard_normal(shape)


def complex_step(f, z, h=1e-30):
    """∂f/∂z, element by element."""
    gradient = np.empty_like(z)
    for place in np.ndindex(z.shape):
        moved = z.astype(complex)
        moved[place] += 1j * h
        gradient[place] = f(moved).imag / h
    return gradient


def test_softmax_cross_entropy_by_hand():
    loss = SoftmaxCrossEntropy()
    logits = np.log([[1.0, 2.0, 1.0], [5.0, 2.0, 3.0]])
    value, tape = loss.forward(logits, np.array([1, 0]))
    assert value == pytest.approx((np.log(2) + np.log(2)) / 2, rel=1e-15)
    np.testing.assert_allclose(
        loss.backward(tape), np.array([[1 / 4, -1 / 2, 1 / 4], [-1 / 2, 1 / 5, 3 / 10]]) / 2, rtol=1e-14
    )


def test_binary_cross_entropy_by_hand():
    loss = BinaryCrossEntropy()
    value, tape = loss.forward(np.array([0.0, np.log(3)]), np.array([1, 0]))
    assert value == pytest.approx((np.log(2) + np.log(4)) / 2, rel=1e-15)
    np.testing.assert_allclose(loss.backward(tape), [-1 / 4, 3 / 8], rtol=1e-14)


def test_squared_error_by_hand_has_no_half():
    loss = SquaredError()
    value, tape = loss.forward(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 4.0]]))
    assert value == (4 + 9) / 4
    np.testing.assert_array_equal(loss.backward(tape), [[0, 1], [1.5, 0]])


@given(
    loss=st.sampled_from(LOSSES),
    shape=st.sampled_from([(1,), (4,), (2, 3), (2, 1, 2)]),
    V=st.integers(1, 6),
    weighted=st.sampled_from([None, "all", "rows"]),
    scale=st.sampled_from([0.1, 3.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_gradients_agree_with_the_complex_step(loss, shape, V, weighted, scale, seed):
    rng = np.random.default_rng(seed)
    z, t = case(loss, rng, shape, V, scale)
    w = None if weighted is None else 0.1 + rng.random(shape if weighted == "all" else shape[:1])
    gradient = loss.backward(loss.forward(z, t, w)[1])
    expected = complex_step(lambda moved: loss.forward(moved, t, w)[0], z)
    assert gradient.shape == z.shape
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-300)


def test_a_target_may_be_a_probability():
    loss = BinaryCrossEntropy()
    z, t = np.linspace(-5, 5, 11), np.linspace(0, 1, 11)
    gradient = loss.backward(loss.forward(z, t)[1])
    np.testing.assert_allclose(gradient, complex_step(lambda moved: loss.forward(moved, t)[0], z), atol=1e-16)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_stays_and_a_tape_serves_twice(loss, dtype):
    z, t = case(loss, np.random.default_rng(0))
    z = z.astype(dtype)
    before = z.copy()
    for weights in (None, np.arange(1.0, 13).reshape(3, 4)):
        value, tape = loss.forward(z, t, weights)
        assert value.dtype == dtype
        assert value.shape == ()
        first, second = loss.backward(tape), loss.backward(tape)
        assert first.dtype == dtype
        assert first is not second
        np.testing.assert_array_equal(first, second)
        first[:] = np.nan
        np.testing.assert_array_equal(loss.backward(tape), second)
    np.testing.assert_array_equal(z, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_is_stable(dtype):
    loss = SoftmaxCrossEntropy()
    z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e4, 1e4, -1e4]], dtype=dtype)
    for targets, values in (([0, 1, 0], [0, 0, np.log(2)]), ([1, 0, 2], [2e4, 2e4, 2e4 + np.log(2)])):
        value, tape = loss.forward(z, np.array(targets))
        assert value == pytest.approx(np.mean(values), rel=1e-6)
        p = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]])
        np.testing.assert_allclose(loss.backward(tape), (p - np.eye(3)[targets]) / 3, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_stable(dtype):
    loss = BinaryCrossEntropy()
    z = np.array([1e4, -1e4, 1e4, -1e4], dtype=dtype)
    value, tape = loss.forward(z, np.array([1, 0, 0, 1]))
    assert value == pytest.approx(5e3)
    np.testing.assert_allclose(loss.backward(tape), [0, 0, 0.25, -0.25], atol=1e-12)


def test_squared_error_is_stable():
    value, tape = SquaredError().forward(np.array([1e4, -1e4], dtype=np.float32), np.zeros(2))
    assert value == pytest.approx(1e8)
    np.testing.assert_allclose(SquaredError().backward(tape), [1e4, -1e4])


def test_a_sure_network_keeps_its_relative_accuracy():
    """1 − p and σ(z) − t would be rounding errors, or nothing, if computed as differences."""
    tiny = np.exp(-40.0)
    softmax, binary = SoftmaxCrossEntropy(), BinaryCrossEntropy()
    value, tape = softmax.forward(np.array([[40.0, 0.0]]), np.array([0]))
    assert value == pytest.approx(tiny, rel=1e-14)
    np.testing.assert_allclose(softmax.backward(tape), [[-tiny, tiny]], rtol=1e-14)
    for z, t in ((40.0, 1), (-40.0, 0)):
        value, binary_tape = binary.forward(np.array([z]), np.array([t]))
        assert value == pytest.approx(tiny, rel=1e-14)
        np.testing.assert_allclose(binary.backward(binary_tape), [-np.sign(z) * tiny], rtol=1e-14)


def test_a_softmax_gradient_sums_to_zero():
    z, t = case(SoftmaxCrossEntropy(), np.random.default_rng(1))
    gradient = SoftmaxCrossEntropy().backward(SoftmaxCrossEntropy().forward(z, t)[1])
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-16)


def test_a_class_ruled_out_has_no_gradient():
    value, tape = SoftmaxCrossEntropy().forward(np.array([[0.0, -np.inf, 0.0]]), np.array([0]))
    assert value == pytest.approx(np.log(2))
    np.testing.assert_array_equal(SoftmaxCrossEntropy().backward(tape), [[-0.5, 0, 0.5]])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
class TestWeights:
    def test_weights_of_one_change_nothing(self, loss):
        z, t = case(loss, np.random.default_rng(2), shape=(7,))
        plain, plain_tape = loss.forward(z, t)
        ones, ones_tape = loss.forward(z, t, np.ones(7))
        assert ones == plain
        np.testing.assert_array_equal(loss.backward(ones_tape), loss.backward(plain_tape))

    def test_integer_weights_are_repeated_rows(self, loss):
        z, t = case(loss, np.random.default_rng(3), shape=(4, 2))
        w = np.array([3, 0, 1, 2])
        weighted, tape = loss.forward(z, t, w)
        repeated, repeated_tape = loss.forward(np.repeat(z, w, axis=0), np.repeat(t, w, axis=0))
        assert weighted == pytest.approx(repeated, rel=1e-14)
        summed = np.zeros_like(z)
        np.add.at(summed, np.repeat(np.arange(4), w), loss.backward(repeated_tape))
        np.testing.assert_allclose(loss.backward(tape), summed, rtol=1e-13, atol=1e-300)

    def test_a_row_of_weight_zero_does_not_count(self, loss):
        z, t = case(loss, np.random.default_rng(4), shape=(2, 3))
        w = np.array([[1.0, 1, 0], [0, 2, 1]])
        value, tape = loss.forward(z, t, w)
        other = z.copy()
        other[0, 2] += 5
        assert loss.forward(other, t, w)[0] == value
        assert not loss.backward(tape)[0, 2].any()

    @pytest.mark.parametrize(
        "weights, message",
        [
            (np.ones(3), r"weights must have shape \(2, 3\) or its first axes, got \(3,\)"),
            (np.ones((2, 3, 1)), r"got \(2, 3, 1\)"),
            (np.array([1.0, -1.0]), r"finite and at least 0, got -1.0 at index \(1,\)"),
            (np.array([[1, 1, np.nan], [1, 1, 1]]), r"finite and at least 0, got nan at index \(0, 2\)"),
            (np.zeros(2), "must not all be zero"),
        ],
    )
    def test_weights_that_do_not_fit_are_named(self, loss, weights, message):
        z, t = case(loss, np.random.default_rng(5), shape=(2, 3))
        with pytest.raises(ValueError, match=f"{type(loss).__name__}.forward: .*{message}"):
            loss.forward(z, t, weights)


NAN = np.array([[0.0, 1.0], [np.nan, 0.0]])


@pytest.mark.parametrize(
    "loss, logits, targets, error, message",
    [
        (0, np.zeros((2, 3)), [0, 3], ValueError, r"targets must be in 0…2, got 3 at index \(1,\); the logits have 3"),
        (0, np.zeros((2, 3)), [-1, 0], ValueError, r"got -1 at index \(0,\)"),
        (0, np.zeros((2, 3)), [0.0, 1.0], TypeError, "targets must be integers"),
        (0, np.zeros((2, 3)), [True, False], TypeError, "targets must be integers"),
        (0, np.zeros((2, 3)), [[0], [1]], ValueError, r"targets must have shape \(2,\), .* got \(2, 1\)"),
        (0, np.zeros((0, 3)), np.zeros(0, int), ValueError, "at least one row and class"),
        (0, np.zeros((2, 3), int), [0, 1], TypeError, "logits must be floating point, got int64"),
        (0, NAN, [0, 1], ValueError, r"logits must be finite, got nan at index \(1, 0\)"),
        (0, np.array([[0, np.inf]]), [0], ValueError, r"logits must be finite, got inf at index \(0, 1\)"),
        (0, np.full((1, 2), -np.inf), [0], ValueError, r"logits must be finite, got -inf at index \(0, 0\)"),
        (1, np.zeros((2, 1)), [0, 1], ValueError, r"targets must have shape \(2, 1\), as the logits, got \(2,\)"),
        (1, np.zeros(2), [0, 1.5], ValueError, r"targets must be in \[0, 1\], got 1.5 at index \(1,\)"),
        (1, NAN, np.zeros((2, 2)), ValueError, r"logits must be finite, got nan at index \(1, 0\)"),
        (1, np.zeros(0), [], ValueError, "at least one number"),
        (1, np.zeros(2, int), [0, 1], TypeError, "logits must be floating point"),
        (2, np.zeros(2), [1, 2, 3], ValueError, r"targets must have shape \(2,\), as the outputs, got \(3,\)"),
        (2, NAN, np.zeros((2, 2)), ValueError, r"outputs must be finite, got nan at index \(1, 0\)"),
        (2, np.zeros((2, 2)), NAN, ValueError, r"targets must be finite, got nan at index \(1, 0\)"),
        (2, np.zeros(2), [1j, 0], TypeError, "targets must be real"),
    ],
)
def test_mistakes_are_named(loss, logits, targets, error, message):
    with pytest.raises(error, match=f"{type(LOSSES[loss]).__name__}.forward: .*{message}"):
        LOSSES[loss].forward(logits, np.array(targets))


def test_a_weight_of_zero_silences_an_infinite_loss():
    logits = np.array([[0.0, 1.0], [0.0, -np.inf]])
    loss, _ = SoftmaxCrossEntropy().forward(logits, np.array([1, 1]), np.array([1.0, 0.0]))
    assert np.isfinite(loss)
