"""Packed weights: what panels hold, and for how long they are kept."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from kernels import cpu
from kernels.contract import Parameters
from kernels.cpu.emitting.simd import WIDTHS, Lanes, host_width
from kernels.cpu.running import packing
from kernels.cpu.running.packing import BiasPanels, Panels
from tests.cases import Case
from tests.conformance import assert_same_bits, run

HOST = Lanes("float32", host_width())
HOW = Panels(True, (0, 1, 2, 3), 1, HOST)


def numbers(*shape, dtype="float32"):
    return np.random.default_rng(3).normal(size=shape).astype(dtype)


def panels(W, how):
    """Return one weight packed, as a layer has it packed with others."""
    (block,) = packing.prepared((W,), (how,), 1)
    return block


def unpacked_rows(flat, how, H, K):
    """Return W (gates in their order, H, K) from panels [K][gate][units]."""
    count, gates, at = how.lanes.count, len(how.gates), 0
    vectors, W = how.lanes.filled(H) // count, np.empty((gates, how.lanes.filled(H), K), how.lanes.dtype)
    for first in range(0, vectors, how.panel):
        units = min(how.panel, vectors - first) * count
        panel = flat[at : at + K * gates * units].reshape(K, gates, units)
        W[:, first * count : first * count + units] = panel.transpose(1, 2, 0)
        at += panel.size
    return W, at


def unpacked_columns(flat, how, H, K):
    """Return W (gates in their order, H, K) from panels [gate][Hp][columns]."""
    count, gates, at = how.lanes.count, len(how.gates), 0
    Hp, vectors = how.lanes.filled(H), how.lanes.filled(K) // count
    W = np.empty((gates, Hp, vectors * count), how.lanes.dtype)
    for first in range(0, vectors, how.panel):
        columns = min(how.panel, vectors - first) * count
        panel = flat[at : at + gates * Hp * columns].reshape(gates, Hp, columns)
        W[:, :, first * count : first * count + columns] = panel
        at += panel.size
    return W, at


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("H", "K"), [(1, 1), (5, 3), (16, 32), (17, 19), (33, 16), (67, 129)])
@pytest.mark.parametrize("gates", [(0,), (2, 0, 1), (0, 1, 2, 3)], ids=len)
@pytest.mark.parametrize("rows", [True, False], ids=["rows", "columns"])
def test_panels_hold_the_weight_and_zeros_past_its_end(rows, gates, H, K, dtype):
    W = numbers(len(gates) * H, K, dtype=dtype)
    expected = W.reshape(len(gates), H, K)[list(gates)]
    for panel in (1, 2, 4):
        how = Panels(rows, gates, panel, Lanes(dtype, host_width()))
        block = packing.pack(W, how, 1)
        flat = block.view(0, (block.size // W.itemsize,), dtype)
        found, size = (unpacked_rows if rows else unpacked_columns)(flat, how, H, K)
        assert size * W.itemsize <= block.size
        np.testing.assert_array_equal(found[:, :H, :K], expected)
        if rows:  # what is computed past H is thrown away, but must not be slow (subnormal) or a NaN's doing
            assert not found[:, H:].any()
        else:  # past H it meets gradients that are zeros
            assert not found[:, H:].any()
            assert not found[:, :, K:].any()


@pytest.mark.parametrize("width", WIDTHS)
def test_panels_of_any_width(width):
    H, K, lanes = 21, 13, Lanes("float32", width)
    W, how = numbers(3 * H, K), Panels(True, (1, 2, 0), 2, lanes)
    block = packing.pack(W, how, 1)
    found, _ = unpacked_rows(block.view(0, (block.size // 4,), "float32"), how, H, K)
    np.testing.assert_array_equal(found[:, :H], W.reshape(3, H, K)[[1, 2, 0]])


def test_biases_are_added_up_where_they_belong():
    """A GRU's: n has the input's alone, m the state's alone, r and z both."""
    H, lanes = 21, Lanes("float64", 16)
    b_x, b_h = numbers(3 * H, dtype="float64"), -2 * numbers(3 * H, dtype="float64")
    how = BiasPanels(4, ((0, 2), (1, 0), (2, 1)), ((1, 0), (2, 1), (3, 2)), 4, lanes)
    block, at = packing.add_biases(b_x, b_h, how), 0
    (x_r, x_z, x_n), (h_r, h_z, h_n) = b_x.reshape(3, H), b_h.reshape(3, H)
    expected = np.zeros((4, lanes.filled(H)))
    expected[:, :H] = x_n, x_r + h_r, x_z + h_z, h_n
    flat = block.view(0, (expected.size,), "float64")
    for first in range(0, lanes.filled(H), 8):
        panel = expected[:, first : first + 8]
        np.testing.assert_array_equal(flat[at : at + panel.size].reshape(panel.shape), panel)
        at += panel.size


def test_panels_are_kept_while_the_weight_is_the_same():
    W = numbers(8, 5)
    block = panels(W, HOW)
    assert panels(W, HOW) is block
    assert panels(W, HOW._replace(rows=False)) is not block
    assert panels(W, HOW) is block


@pytest.mark.parametrize("place", [(0, 0), (3, 2), (7, 4)])
@pytest.mark.parametrize(("before", "after"), [(1, 1 + 2**-23), (0.0, -0.0), (1, np.nan), (np.nan, 1), (1, np.inf)])
def test_panels_are_made_anew_when_one_number_changes(before, after, place):
    """That −0 equals 0, and a NaN nothing, is of no importance here: panels hold bits."""
    W = numbers(8, 5)
    W[place] = before
    other_way = HOW._replace(rows=False)
    blocks = [panels(W, how) for how in (HOW, other_way)]
    assert all(panels(W, how) is block for how, block in zip((HOW, other_way), blocks, strict=True))
    W[place] = after
    for how, unpacked, old in zip((HOW, other_way), (unpacked_rows, unpacked_columns), blocks, strict=True):
        block = panels(W, how)
        assert block is not old
        found, _ = unpacked(block.view(0, (block.size // 4,), "float32"), how, 2, 5)
        assert np.ascontiguousarray(found[:, :2, :5]).tobytes() == W.tobytes()
        assert panels(W, how) is block


def test_a_weight_with_a_nan_is_packed_once():
    W = numbers(8, 5)
    W[3, 3] = np.nan
    assert panels(W, HOW) is panels(W, HOW)


def test_panels_die_with_their_weight():
    W = numbers(8, 5)
    panels(W, HOW)
    key = packing._key((W,))
    assert key in packing._SEEN
    del W
    gc.collect()
    assert key not in packing._SEEN
    again = numbers(8, 5)  # often at the same address, with the same id
    panels(again, HOW)
    assert len([seen for seen in packing._SEEN.values() if seen.alive[0]() is again]) == 1


def test_another_weight_with_the_same_numbers_has_panels_of_its_own():
    W = numbers(8, 5)
    other = W.copy()
    assert panels(W, HOW) is not panels(other, HOW)


def test_weights_in_any_layout():
    """A view's panels are not kept: whoever holds the view can't be told from whoever holds the numbers."""
    W = numbers(8, 5)
    expected = panels(W, HOW)
    W.flags.writeable = False
    assert panels(W, HOW) is expected
    size = 4 * HOST.filled(2) * 5
    for view in (np.repeat(W, 2, axis=1)[:, ::2], np.asfortranarray(W), W[::-1].copy()[::-1]):
        block = panels(view, HOW)
        np.testing.assert_array_equal(block.view(0, (size,), "float32"), expected.view(0, (size,), "float32"))
        assert (id(view),) not in packing._SEEN


def test_weights_that_are_packed_together():
    """Forwards a layer's are, with their biases: each is compared, and what has gone takes the panels with it."""
    W_x, W_h, b_x, b_h = arrays = numbers(8, 5), numbers(8, 2), numbers(8), numbers(8)
    slots = tuple((k, k) for k in range(4))
    how = (HOW, HOW, BiasPanels(4, slots, slots, 1, HOST))
    blocks = packing.prepared(arrays, how, 1)
    assert packing.prepared(arrays, how, 1) is blocks
    for array in arrays:
        array.reshape(-1)[-1] += 1
        again = packing.prepared(arrays, how, 1)
        assert again is not blocks
        blocks = again
    key = packing._key(arrays)
    assert key in packing._SEEN
    del W_h, arrays
    array = W_x
    gc.collect()
    assert key not in packing._SEEN


def test_weights_that_train_and_then_rest():
    """While they change at every call nothing is kept for them; when they rest, it is noticed before long."""
    W = numbers(8, 5)
    for _ in range(2 * packing.LOOK_AGAIN):
        W[3, 2] += 1
        panels(W, HOW)
    resting = [panels(W, HOW) for _ in range(packing.LOOK_AGAIN + 2)]
    assert resting[-1] is resting[-2]


def test_training_in_place_is_noticed_everywhere():
    """Each parameter by itself, between two calls of the same layer: forwards and back."""
    problem = Case("in-place", T=3, B=2, I=3, H=17).problem("gru", "float32")
    cell = cpu.cell("gru")
    for name in Parameters._fields:
        run(cell, problem)
        getattr(problem.params, name)[...] *= -1
        copied = problem._replace(params=Parameters(*(array.copy() for array in problem.params)))
        assert_same_bits(run(cell, problem), run(cell, copied))


def test_a_tape_does_not_remember_panels():
    """The backward takes the weights that it is given."""
    problem = Case("later", T=3, B=2, I=3, H=17).problem("lstm", "float64")
    cell = cpu.cell("lstm")
    _, _, tape = cell.forward(problem.params, problem.x, problem.state0)
    needs = frozenset({"x"})
    dx, *_ = cell.backward(problem.params, tape, problem.dy, problem.dstate_T, needs)
    problem.params.weight_ih[...] *= 2
    twice, *_ = cell.backward(problem.params, tape, problem.dy, problem.dstate_T, needs)
    np.testing.assert_array_equal(twice, 2 * dx)
