"""Windows, maxima and ReLU by the kernels are those by NumPy, bit for bit; and what is lent stays its holder's."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core.layers import AvgPool, Conv2d, MaxPool, ReLU
from rnn_core.layers.convolution import fast
from rnn_core.layers.convolution.geometry import geometry
from rnn_core.layers.convolution.windows import columns, from_columns
from tests.convolution_checks import loops_of
from tests.tolerance import assert_agree, tolerance

SIZES = st.lists(st.integers(6, 10), min_size=1, max_size=2)


def in_both(call):
    """Return what a call gives with NumPy's loops and with the kernels'."""
    found = []
    for where in ("numpy", "kernels"):
        with loops_of(where):
            found.append(call())
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(
    sizes=SIZES, kernel=st.integers(1, 4), stride=st.integers(1, 4), dilation=st.integers(1, 3),
    padding=st.integers(0, 12), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_windows_are_numpys(dtype, sizes, kernel, stride, dilation, padding, seed):
    """With padding so wide that some windows, and some places of all windows, see nothing else."""
    rng = np.random.default_rng(seed)
    found = geometry("it", len(sizes), kernel_size=kernel, stride=stride, dilation=dilation, padding=padding)
    counts = found.counts(tuple(sizes))
    if min(counts) < 1:
        return
    x = np.moveaxis(rng.standard_normal((2, *sizes, 3)).astype(dtype), -1, 1)
    expected, copied = in_both(lambda: columns(x, found, counts))
    np.testing.assert_array_equal(copied, expected)
    dcolumns = rng.standard_normal(expected.shape).astype(dtype)
    expected, summed = in_both(lambda: from_columns(dcolumns, found, counts, tuple(sizes)))
    np.testing.assert_array_equal(summed, expected)
    assert copied.dtype == summed.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(
    sizes=SIZES, kernel=st.integers(1, 3), stride=st.integers(1, 4), dilation=st.integers(1, 2), padded=st.booleans(),
    seed=st.integers(0, 2**31),
)  # fmt: skip
def test_maxima_are_numpys(dtype, sizes, kernel, stride, dilation, padded, seed):
    """With many ties, and with rows that do not lie together in memory."""
    rng = np.random.default_rng(seed)
    layer = MaxPool(kernel, stride, kernel // 2 if padded else 0, dilation)
    x = np.moveaxis(rng.integers(-2, 3, (2, *sizes, 3)).astype(dtype), -1, 1)
    (y, tape), (found, other) = in_both(lambda: layer.forward(x))
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(other.taken, tape.taken)
    assert other.taken.dtype == tape.taken.dtype
    dy = np.moveaxis(rng.standard_normal((*y.shape[1:], 2)).astype(dtype), -1, 0)
    expected, dx = in_both(lambda: layer.backward(tape, dy))
    np.testing.assert_array_equal(dx, expected)
    assert dx.dtype == found.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 40, 300)])
def test_relu_is_numpys(dtype, shape):
    x = np.random.default_rng(0).integers(-2, 3, shape).astype(dtype)
    x = x.T if x.ndim == 2 else x
    layer = ReLU()
    (y, tape), (found, other) = in_both(lambda: layer.forward(x))
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(other.positive, tape.positive)
    expected, dx = in_both(lambda: layer.backward(other, x[...]))
    np.testing.assert_array_equal(dx, expected)
    assert found.dtype == dx.dtype == dtype
    assert found.shape == dx.shape == x.shape


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_a_layers_numbers_do_not_depend_on_whose_memory_they_are_in(backend):
    x = np.random.default_rng(0).standard_normal((9, 3, 40, 40)).astype(np.float32)  # large enough to be lent
    plain, layer = (Conv2d(3, 8, 3, padding="same", seed=0, backend=one) for one in ("numpy", backend))
    results = []
    for one in (plain, layer):
        y, tape = one.forward(x)
        dx, grads = one.backward(tape, y)
        results.append((y, dx, *grads.values()))
    for one, other in zip(*results, strict=True):  # sums of the kernels' products have another order than BLAS's
        assert_agree(backend, other, one, 0 if backend == "numpy" else tolerance("float32", 0))


def test_what_is_lent_is_nobody_elses_while_somebody_has_it():
    """Results of earlier calls, views of them too, keep their numbers when later calls take memory."""
    x = np.random.default_rng(0).standard_normal((9, 3, 40, 40)).astype(np.float32)
    layers = Conv2d(3, 8, 3, seed=0), MaxPool(2), AvgPool(2), ReLU()
    kept = [(layer(x)[:, 1:], layer(x).copy()) for layer in layers]
    gc.collect()
    for layer in layers * 3:
        layer(x + 1)
    for view, copy in kept:
        np.testing.assert_array_equal(view, copy[:, 1:])


def test_complex_numbers_and_other_homes_are_left_to_their_namespace():
    x = np.ones((1, 1, 4), np.complex128)
    assert fast.loops("pools", x) is None
    assert fast.loops("pools", x.real.astype(np.float16)) is None
    assert fast.loops("pools", [1.0]) is None
    whole, swapped = np.arange(8).reshape(1, 2, 4), np.arange(8.0).reshape(1, 2, 4).astype(">f8")
    for other in (whole, whole.astype(np.int32), swapped):
        assert fast.loops("pools", other) is None
        np.testing.assert_array_equal(MaxPool(2)(other), [[[1, 3], [5, 7]]])
        np.testing.assert_array_equal(ReLU()(other - 4), np.maximum(whole - 4, 0))
    assert fast.loops("pools", x.real) is not None
    assert fast.empty(x, (3,)).dtype == x.dtype
