"""Rows as integers with a scale, and products of them, against integer arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.contract import CELLS, QuantizedParameters
from rnn_core import equations
from rnn_core.equations.quantized import QuantizedWeight, quantized
from tests.cases import Case

ROWS = np.random.default_rng(0).standard_normal((50, 33)).astype(np.float32)


def test_a_number_is_off_by_half_a_scale_at_most():
    numbers, scale = quantized(ROWS)
    assert (numbers.dtype.name, scale.dtype.name) == ("int8", "float32")
    assert np.abs(ROWS - numbers * scale[:, None]).max(axis=1) == pytest.approx(scale / 2, rel=0.2)
    assert (np.abs(ROWS - numbers * scale[:, None]) <= scale[:, None] * (0.5 + 1e-4)).all()
    assert (np.abs(numbers).max(axis=1) == 127).all()


def test_the_two_signs_are_alike():
    assert (quantized(-ROWS)[0] == -quantized(ROWS)[0]).all()


def test_what_is_quantized_already_stays():
    """So a row of an embedding in int8 goes through a layer's own quantisation unchanged."""
    numbers, scale = quantized(ROWS)
    again, scale_again = quantized(numbers * scale[:, None])
    assert (again == numbers).all()
    np.testing.assert_allclose(scale_again, scale, rtol=2e-7)


@pytest.mark.parametrize("size", [0, 1e-45, 1e-38, 2.0**-101])
def test_a_row_of_next_to_nothing_is_zeros(size):
    numbers, scale = quantized(np.full((1, 3), size, np.float32))
    assert not numbers.any()
    assert not scale.any()


def test_a_row_of_large_and_small_numbers_keeps_the_large():
    numbers, scale = quantized(np.array([[3e38, -1e-30, 1.0]], np.float32))
    assert numbers.tolist() == [[127, 0, 0]]
    assert scale == pytest.approx(3e38 / 127)


def test_a_product_is_that_of_integers():
    (w, s_w), (x, s_x) = quantized(ROWS), quantized(ROWS[:7] * 3)
    exact = x.astype(np.int64) @ w.astype(np.int64).T
    found = (ROWS[:7] * 3) @ QuantizedWeight(w, s_w).T
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, exact.astype(np.float32) * s_w * s_x[:, None])


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_with_integers_for_weights_is_the_cell(name):
    """Weights that are whole numbers of a scale lose nothing; rows that are multiples of one neither."""
    problem = Case("whole", T=1, B=3, I=4, H=5).problem(name, "float32")
    rng = np.random.default_rng(1)

    def whole(shape):
        numbers = rng.integers(-127, 128, shape).astype(np.int8)
        numbers[..., 0] = 127
        return numbers

    W_x, W_h = (whole(W.shape) for W in problem.params[:2])
    x, states = whole(problem.x.shape), [whole(state.shape) for state in problem.state0]
    scale = np.full(len(W_x), 0.01, np.float32)
    small = np.float32(1 / 127)
    cell = equations.quantized_cell(name)
    params = QuantizedParameters(W_x, scale, W_h, scale, *problem.params[2:])
    arguments = x * small, tuple(state * small for state in states)
    y, _ = cell.infer(cell.prepare(params), *arguments)
    floats = problem.params._replace(weight_ih=W_x * scale[0], weight_hh=W_h * scale[0])
    expected, _ = equations.cell(name).infer(floats, *arguments)
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-6)
