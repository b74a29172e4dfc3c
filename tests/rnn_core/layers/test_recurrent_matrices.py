"""Matrices of a cell's own that are a part of W_h: recurrent dropout and weight drop are of them, too."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from rnn_core import RNN, gradcheck
from rnn_core.cell import CellError, define, outer, product, product_transposed, tanh
from rnn_core.cell.operators import ON_ARRAYS
from rnn_core.cell.wrapping import wrapped
from rnn_core.layers.regularised import Regularisers, draw
from rnn_core.variants import GateBeforeMGU, ResetBeforeGRU
from tests.regularised_checks import random

T, B, I, H = 6, 3, 2, 4
HOW = {"dtype": "float64", "backend": "numpy", "seed": 3}
BOTH = pytest.mark.parametrize("kind", [ResetBeforeGRU, GateBeforeMGU], ids=lambda kind: kind.__name__)


def heard(a, prev, p):
    h = tanh(a.a + product(p.U, prev.h))
    return (h,), (h,)


def heard_backward(kept, prev, state, dstate, p):
    da = dstate.h * (1 - kept.g**2)
    return (product_transposed(p.U, da),), (da,), (outer(da, prev.h),)


def cell(name: str, **how):
    return define(
        name, heard, heard_backward, gates=("a",), states=("h",), kept=("g",), matrices=("U",), from_h=(), **how
    )


OwnMatrix = cell("OwnMatrix", recurrent=("U",))
"""A vanilla RNN whose W_h is a matrix of its own."""

Unheard = cell("Unheard")
"""The same where nobody says that the matrix is a part of W_h."""


def drawn(layer, x, rng=1):
    """Return what a layer says, its tape, and the masks of its first cell."""
    y, _, tape = layer.forward(x, rng=rng)
    return y, tape, tape.kept.cells[0][0].noise


@BOTH
def test_both_matrices_read_what_one_mask_leaves_of_a_row(kind):
    layer, x = kind(I, H, recurrent_dropout=0.5, **HOW), random(T, B, I)
    y, _, noise = drawn(layer, x)
    assert set(np.unique(noise.recurrent)) == {0.0, 2.0}
    for row, d in enumerate(noise.recurrent):
        plain = kind(I, H, **HOW)
        for name in ("weight_hh_l0", "weight_hn_l0"):
            plain.parameters[name] = layer.parameters[name] * d
        np.testing.assert_allclose(y[:, row], plain(x[:, row])[0], rtol=0, atol=1e-14)


@BOTH
def test_both_matrices_are_dropped_by_element_for_a_call(kind):
    layer, plain, x = kind(I, H, weight_drop=0.5, **HOW), kind(I, H, **HOW), random(T, B, I)
    y, tape, noise = drawn(layer, x)
    (own,) = noise.matrices
    masks = {"weight_hh_l0": noise.weight, "weight_hn_l0": own}
    for name, mask in masks.items():
        assert set(np.unique(mask)) == {0.0, 2.0}
        plain.parameters[name] = mask * layer.parameters[name]
    expected, _, whole = plain.forward(x)
    assert np.array_equal(y, expected)
    found, expected = layer.backward(tape, y), plain.backward(whole, y)
    assert np.array_equal(found[0], expected[0])
    for name, gradient in expected[2].items():
        assert np.array_equal(found[2][name], masks.get(name, 1) * gradient), name
    assert list(layer.backward(tape, y, needs={"weight_hh_l0"})[2]) == ["weight_hh_l0"]
    assert np.array_equal(layer(x)[0], kind(I, H, **HOW)(x)[0])  # without training it is whole


@pytest.mark.parametrize("how", [{"recurrent_dropout": 0.4}, {"weight_drop": 0.4}], ids=str)
def test_a_matrix_in_the_place_of_w_h_is_dropped_as_that_is(how):
    """One seed draws the same masks, as there is no other matrix in either cell."""
    own, usual = OwnMatrix(I, H, bias=False, **how, **HOW), RNN(I, H, bias=False, **how, **HOW)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        own.parameters[name.replace("weight_hh", "U")] = usual.parameters[name]
    x, h0, results = random(T, B, I), random(1, B, H), []
    for layer in (own, usual):
        y, h, tape = layer.forward(x, h0, [T, 2, 5], rng=0)
        dx, dh0, gradients = layer.backward(tape, y, h)
        results.append([y, h, dx, dh0, *gradients.values()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)
    report = gradcheck(own, x, lengths=[T, 2, 5])
    assert report.passed, report


def test_a_matrix_that_nobody_names_stays_whole():
    with pytest.raises(ValueError, match="^Unheard: weight_drop must be 0 for the cell 'Unheard', which has no W_h"):
        Unheard(I, H, weight_drop=0.4, **HOW)
    assert Unheard.definition.digest == OwnMatrix.definition.digest  # of what the kernels compute


def test_other_masks_of_a_seed_are_those_of_a_cell_without_such_matrices():
    given, W = Regularisers((0.3,), 0.4, 0.5, 0.6), np.empty((2 * H, H))
    found = [
        draw(np.random.default_rng(0), given, 1, weights, (T, B, H), np.dtype(float), np)
        for weights in ((W,), (W, np.empty((H, H))))
    ]
    assert [len(noise.matrices) for noise in found] == [0, 1]
    for one, other in zip(*((noise.weight, noise.recurrent, *noise.streams) for noise in found), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("kind", [ResetBeforeGRU, OwnMatrix], ids=lambda kind: kind.__name__)
def test_what_is_written_down_is_what_runs_on_arrays(kind):
    for its in (kind.definition, kind.dropped or kind.definition):
        outer_cell = wrapped(its, (0,), False, True)
        for program, function in zip((outer_cell.step, outer_cell.step_backward), outer_cell.functions, strict=True):
            shapes = [(H, H) if name.endswith(its.matrices) else (B, H) for name in program.inputs]
            inputs = [random(*shape, seed=k) for k, shape in enumerate(shapes)]
            for found, run in zip(program.run(inputs, ON_ARRAYS), function(inputs), strict=True):
                assert np.array_equal(found, run)


def test_copies_and_pickles_have_the_masks():
    layer, x = ResetBeforeGRU(I, H, recurrent_dropout=0.4, weight_drop=0.4, zoneout=0.1, **HOW), random(T, B, I)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert np.array_equal(other.forward(x, rng=1)[0], layer.forward(x, rng=1)[0])


@pytest.mark.parametrize(
    ("recurrent", "says"),
    [
        (("V",), "define: recurrent must hold matrices, U, got 'V'"),
        ("U", "define: recurrent must be a NamedTuple class or a tuple of names, got 'U'"),
        (("U", "U"), "define: matrix 'U' is named twice in recurrent"),
    ],
)
def test_what_is_no_matrix_is_refused(recurrent, says):
    with pytest.raises(CellError, match=says):
        cell("NoSuchMatrix", recurrent=recurrent)


def test_a_cell_without_matrices_has_none_that_is_recurrent():
    with pytest.raises(CellError, match="define: recurrent must hold matrices, of which there are none, got 'U'"):
        define("NoMatrix", linear, linear_backward, gates=("a",), states=("h",), recurrent=("U",))


def linear(a, prev):
    return (a.a,)


def linear_backward(kept, prev, state, dstate):
    return (0,), (dstate.h,)
