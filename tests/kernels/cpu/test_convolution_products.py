"""The products of a convolution in the pool: NumPy's numbers for any geometry, and the same bits on any threads."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from kernels.cpu.convolution import product
from kernels.cpu.emitting import simd
from rnn_core.layers import Conv1d, Conv2d
from tests.kernels.cpu.setup import in_a_process
from tests.kernels.cpu.test_threads import FOUR, observe
from tests.tolerance import assert_agree, tolerance

CASES = {
    "a window in several rows of the batch": ((5, 4, 6, 7), 17, 3, {"padding": "same"}),
    "more windows than a panel in each": ((2, 3, 12, 13), 33, (3, 2), {}),
    "nothing but padding in some windows": ((3, 2, 5, 6), 7, (3, 2), {"padding": 5, "dilation": (2, 3)}),
    "padding around a kernel of one place": ((2, 4, 9, 5), 5, 1, {"padding": 1, "bias": False}),
    "strides": ((3, 4, 13, 17), 70, 3, {"stride": (2, 3), "padding": 1}),
    "more terms than a panel": ((2, 180, 30), 18, 3, {"padding": "causal", "dilation": 4}),
    "strides and more terms than a panel": ((2, 180, 30), 9, 3, {"stride": 2}),
}


def results(name, dtype, backend):
    """Return y and all gradients of a case."""
    shape, channels, kernel, options = CASES[name]
    kind, rng = Conv1d if len(shape) == 3 else Conv2d, np.random.default_rng(0)
    layer = kind(shape[1], channels, kernel, **options, dtype=dtype, seed=0, backend=backend)
    x = np.moveaxis(rng.normal(size=(*shape[1:], shape[0])).astype(dtype), -1, 0)  # rows don't lie together
    y, tape = layer.forward(x)
    dx, grads = layer.backward(tape, rng.normal(size=y.shape).astype(dtype))
    return {"y": y, "dx": dx, **grads}


def check(name, dtype):
    expected = results(name, dtype, "numpy")
    found = results(name, dtype, "cpu")
    assert found.keys() == expected.keys()
    for part, number in expected.items():
        assert found[part].dtype == dtype
        assert_agree(f"{name}, {part}", found[part], number, tolerance(dtype, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_numbers_are_numpys(name, dtype):
    check(name, dtype)


@pytest.mark.parametrize("width", [width for width in simd.WIDTHS if width != simd.host_width()])
def test_every_vector_width_gives_right_results(width, monkeypatch):
    monkeypatch.setattr(product, "host_width", lambda: width)
    product._job.cache_clear()
    try:
        for name in CASES:
            check(name, "float32")
    finally:
        product._job.cache_clear()


def same_bits():
    pool = observe()
    for name in CASES:
        numba.set_num_threads(1)
        expected = results(name, "float32", "cpu")
        for count in (2, 3, 4):
            numba.set_num_threads(count)
            pool.counts.clear()
            for part, number in results(name, "float32", "cpu").items():
                assert number.tobytes() == expected[part].tobytes(), (name, part)
            assert set(pool.counts) == {count}


def test_the_number_of_threads_changes_no_bit():
    in_a_process(same_bits, **FOUR)


def test_a_row_has_the_same_bits_in_any_batch():
    x = np.random.default_rng(0).normal(size=(7, 3, 9, 10)).astype(np.float32)
    layer = Conv2d(3, 20, 3, padding="same", seed=0)
    y = layer(x)
    for row in range(7):
        assert layer(x[row : row + 1]).tobytes() == y[row : row + 1].tobytes()
