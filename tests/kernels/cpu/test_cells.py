"""The CPU kernels' own arithmetic: nonlinearities against longer numbers, and a cell's step on plain arrays."""

from __future__ import annotations

from collections import namedtuple
from functools import cache

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import njit

from kernels.contract import CELLS, Parameters
from kernels.cpu import gru, lstm, rnn
from kernels.cpu.emitting import pointwise, simd
from kernels.cpu.emitting.host import host
from kernels.cpu.emitting.integers import call, written
from kernels.cpu.emitting.simd import INT, WIDTHS, Lanes
from rnn_core.equations import activations
from rnn_core.equations import gru as exact_gru
from rnn_core.equations import lstm as exact_lstm
from rnn_core.equations import rnn as exact_rnn

FUNCTIONS = ("sigmoid", "tanh", "relu", "step_function", "exponential", "log", "sqrt")
OF_TWO = ("maximum", "minimum", "where_less")
"""Those of a number and the one after it; the last chooses between their sum and their difference."""


@cache
def applied(lanes, estimates):
    """Return a compiled function that puts all of `FUNCTIONS` and `OF_TWO` of some vectors one behind the other."""
    name = f"apply.{lanes.suffix}.{estimates}"

    def emit(code, out, x, vectors):
        block = code.builder.mul(vectors, INT(lanes.width))
        with code.loop(vectors) as turn:
            offset = code.builder.mul(turn.index, INT(lanes.width))
            a = code.load(x, offset)
            for k, name in enumerate(FUNCTIONS):
                at = code.builder.add(offset, code.builder.mul(block, INT(k)))
                code.store(getattr(pointwise, name)(a), out, at)
            b = code.load(x, code.builder.add(offset, INT(lanes.size)))
            for k, name in enumerate(OF_TWO, start=len(FUNCTIONS)):
                more = (a + b, a - b) if name == "where_less" else ()
                at = code.builder.add(offset, code.builder.mul(block, INT(k)))
                code.store(getattr(pointwise, name)(a, b, *more), out, at)

    @written
    def apply(out: int, x: int, vectors: int) -> None:
        call(name, emit, lanes, out, x, vectors)

    @njit
    def compiled(out, x, vectors):
        apply(out, x, vectors)

    return compiled


def evaluate(lanes, x):
    """Return each function of x, by name."""
    size = lanes.filled(x.size)
    filled = np.zeros(size + 1, lanes.dtype)
    filled[: x.size] = x
    names = FUNCTIONS + OF_TWO
    out = np.empty((len(names), size), lanes.dtype)
    applied(lanes, lanes.estimates)(out.ctypes.data, filled.ctypes.data, size // lanes.count)
    return dict(zip(names, out[:, : x.size], strict=True))


def grid(dtype):
    """Return numbers of either sign from the smallest to the largest, most of them where something happens."""
    limits = np.finfo(dtype)
    positive = np.concatenate((
        [0, limits.smallest_subnormal, limits.tiny, limits.max, np.inf],
        np.geomspace(1e-30, 1e-6, 50),
        np.geomspace(1e-6, 30, 20_000),
        np.linspace(0, 30, 20_000),
        np.linspace(30, 1000, 1000),
        0.55 + np.arange(-50, 50) * float(limits.eps),  # where tanh changes its form
        (np.arange(60) + 0.5) * np.log(2) / 2,  # where a reduction takes the next n
    )).astype(dtype)  # fmt: skip
    return np.concatenate((positive, -positive))


def units(found, expected):
    """Return how many units in the last place lie between results and longer, exact ones."""
    limits = np.finfo(found.dtype)
    unit = np.spacing(np.maximum(np.abs(expected), limits.tiny).astype(found.dtype)).astype(np.longdouble)
    return np.abs(found.astype(np.longdouble) - expected) / unit


@pytest.fixture(params=["float32", "float32, estimates", "float64"])
def dtype(request, monkeypatch):
    """A dtype; in float32 both ways to the reciprocal, whichever the host would choose."""
    name, estimates = request.param.partition(",")[0], "estimates" in request.param
    if estimates and not llvm.get_host_cpu_features().get("avx512vl"):
        pytest.skip("this processor has no instruction that estimates reciprocals to 14 bits")
    monkeypatch.setattr(simd, "host", lambda: host()._replace(estimates=estimates))
    return name


@pytest.mark.parametrize("width", WIDTHS)
class TestNonlinearities:
    """Of every width: of those wider than the host's, LLVM makes several."""

    def needs_longer(self, dtype):
        if np.finfo(np.longdouble).eps >= np.finfo(dtype).eps:
            pytest.skip("this machine has no number longer than a float64")

    def test_sigmoid(self, dtype, width):
        self.needs_longer(dtype)
        x = grid(dtype)
        found = evaluate(Lanes(dtype, width), x)["sigmoid"]
        with np.errstate(over="ignore"):
            expected = 1 / (1 + np.exp(-x.astype(np.longdouble)))
        normal = x > -pointwise.REDUCTIONS[dtype].largest
        assert units(found, expected)[normal].max() <= 3
        assert (found[~normal] == 0).all()  # as in the equations, where it is smaller than the smallest normal number
        assert expected[~normal].max() <= 1.01 * np.finfo(dtype).tiny
        assert (found[x == np.inf] == 1).all()
        assert (found[x == 0] == 0.5).all()

    def test_tanh(self, dtype, width):
        self.needs_longer(dtype)
        x = grid(dtype)
        found = evaluate(Lanes(dtype, width), x)["tanh"]
        assert units(found, np.tanh(x.astype(np.longdouble))).max() <= 3
        np.testing.assert_array_equal(np.signbit(found), np.signbit(x))
        np.testing.assert_array_equal(found[np.isinf(x)], [1, -1])
        assert np.abs(found).max() == 1

    def test_what_is_missing_to_one(self, dtype, width):
        """The derivative of a saturated unit is made of nothing else: 1 − σ and 1 − tanh² to half a unit of 1."""
        self.needs_longer(dtype)
        x = np.linspace(1, 12, 1001).astype(dtype)
        found, eps = evaluate(Lanes(dtype, width), x), np.finfo(dtype).eps
        assert np.abs(found["tanh"] - np.tanh(x.astype(np.longdouble))).max() <= 0.75 * eps
        assert np.abs(found["sigmoid"] - 1 / (1 + np.exp(-x.astype(np.longdouble)))).max() <= 0.75 * eps

    def test_relu_and_its_derivative(self, dtype, width):
        x = grid(dtype)
        found = evaluate(Lanes(dtype, width), x)
        np.testing.assert_array_equal(found["relu"], activations.relu(x))
        np.testing.assert_array_equal(found["step_function"], activations.drelu(x))

    def test_exponential(self, dtype, width):
        """Up to the largest number, past it infinity, and 0 where it is no normal number."""
        self.needs_longer(dtype)
        limits = np.finfo(dtype)
        ends = np.log(limits.max.astype(np.longdouble)), -pointwise.REDUCTIONS[dtype].largest
        near = (np.asarray(end, dtype) * (1 + np.arange(-40, 41) * limits.eps) for end in ends)
        x = np.concatenate((grid(dtype), *near)).astype(dtype)
        found = evaluate(Lanes(dtype, width), x)["exponential"]
        with np.errstate(over="ignore"):
            wanted = np.exp(x.astype(np.longdouble))
        normal = (x >= ends[1]) & (wanted < float(limits.max) * (1 - 4 * limits.eps))
        assert units(found[normal], wanted[normal]).max() <= 2
        assert (found[x < np.asarray(ends[1], dtype)] == 0).all()
        assert np.isinf(found[wanted > 1.0001 * wanted.dtype.type(limits.max)]).all()
        assert (found[x == 0] == 1).all()

    def test_log(self, dtype, width):
        """Of subnormal numbers too; −∞ of 0, infinity of infinity, and a NaN of what is below."""
        self.needs_longer(dtype)
        limits = np.finfo(dtype)
        positive = np.concatenate((
            grid(dtype), limits.tiny * np.geomspace(limits.eps, 4, 300), np.geomspace(1e-37, 1e37, 5000),
            1 + np.arange(-3000, 3000) * float(limits.eps), 0.5**0.5 * (1 + np.arange(-50, 50) * float(limits.eps)),
        )).astype(dtype)  # fmt: skip
        x = positive[(positive > 0) & np.isfinite(positive)]
        found = evaluate(Lanes(dtype, width), x)["log"]
        assert units(found, np.log(x.astype(np.longdouble))).max() <= 2
        odd = np.array([0, -0.0, np.inf, -np.inf, -1, -limits.smallest_subnormal, np.nan], dtype)
        np.testing.assert_array_equal(
            evaluate(Lanes(dtype, width), odd)["log"], [-np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan, np.nan]
        )

    def test_sqrt(self, dtype, width):
        x = grid(dtype)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(evaluate(Lanes(dtype, width), x)["sqrt"], np.sqrt(x))

    def test_what_takes_two_numbers(self, dtype, width):
        """A NaN in either place stays one; it is not less than anything."""
        x = np.array([1, 2, np.nan, 3, np.nan, np.nan, -np.inf, np.inf, 5, 5, -0.5, 7, 6] * 5, dtype)
        found, a, b = evaluate(Lanes(dtype, width), x), x[:-1], x[1:]
        np.testing.assert_array_equal(found["maximum"][:-1], np.maximum(a, b))
        np.testing.assert_array_equal(found["minimum"][:-1], np.minimum(a, b))
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(found["where_less"][:-1], np.where(a < b, a + b, a - b))

    def test_the_first_of_two_that_are_equal(self, dtype, width):
        """Zeros are equal whatever their signs, and tell which one it was."""
        x = np.array([0.0, -0.0] * 32, dtype)
        found = evaluate(Lanes(dtype, width), x)
        for name in ("maximum", "minimum"):
            np.testing.assert_array_equal(np.signbit(found[name][:-1]), np.signbit(x[:-1]))

    def test_nan(self, dtype, width):
        """A NaN stays one, and its neighbours stay what they are."""
        x = np.array([1, np.nan, -1, np.nan] * 5, dtype)
        found = evaluate(Lanes(dtype, width), x)
        whole = evaluate(Lanes(dtype, width), np.array([1, 1, -1, -1] * 5, dtype))
        for name in ("sigmoid", "tanh", "relu", "exponential"):
            np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(x))
            np.testing.assert_array_equal(found[name][::2], whole[name][::2])


B, I, H = 3, 4, 5
STATES = {("h",): namedtuple("states", ("h",)), ("h", "c"): namedtuple("states", ("h", "c"))}


def drawn(name):
    """Return parameters, x of a step, states and upstream gradients, in float64."""
    rng, spec = np.random.default_rng(7), CELLS[name]
    GH = spec.gate_count * H
    params = Parameters(*(rng.normal(size=shape) for shape in ((GH, I), (GH, H), (GH,), (GH,))))
    states = STATES[spec.states]
    return params, rng.normal(size=(B, I)), states(*rng.normal(size=(len(spec.states), B, H))), states(
        *rng.normal(size=(len(spec.states), B, H))
    )


def blocks(name, array):
    """Return the blocks of a (B, G·H) array, by gate."""
    spec = CELLS[name]
    return spec.gates(*(array[:, block] for block in spec.blocks(H)))


def joined(by_gate):
    return np.concatenate(by_gate, axis=-1)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.fixture(autouse=True)
def plain(request, monkeypatch):
    """Put NumPy's nonlinearities into the cells' files: what adds instructions to a function then computes."""
    if request.cls is None:
        for module in (lstm, gru):
            monkeypatch.setattr(module, "sigmoid", activations.sigmoid)
            monkeypatch.setattr(module, "tanh", activations.tanh)


def test_a_step_of_an_lstm():
    params, x, prev, dstate = drawn("lstm")
    a_x = x @ params.weight_ih.T + params.bias_ih
    h, c, gates = exact_lstm.step(params, a_x, prev.h, prev.c)
    a = a_x + prev.h @ params.weight_hh.T + params.bias_hh
    new, kept = lstm.step(blocks("lstm", a), prev)
    close(new, (h, c))
    close(joined(kept), gates)
    da, dh_prev, dc_prev = exact_lstm.step_backward(params, gates, prev.c, c, dstate.h, dstate.c)
    (carry_h, carry_c), found = lstm.step_backward(kept, prev, type(prev)(*new), dstate)
    assert carry_h is None  # all that dh_{t−1} gets comes through the product
    close(joined(found), da)
    close(joined(found) @ params.weight_hh, dh_prev)
    close(carry_c, dc_prev)


def test_a_step_of_a_gru():
    params, x, prev, dstate = drawn("gru")
    a_x = x @ params.weight_ih.T + params.bias_ih
    h, gates, m = exact_gru.step(params, a_x, prev.h)
    from_x, from_h = blocks("gru", a_x), blocks("gru", prev.h @ params.weight_hh.T + params.bias_hh)
    sums = gru.GRUSlots(n=from_x.n, r=from_x.r + from_h.r, z=from_x.z + from_h.z, m=from_h.n)
    new, kept = gru.step(sums, prev)
    close(new[0], h)
    close(np.concatenate((kept.r, kept.z, kept.n), axis=-1), gates)
    close(kept.m, m)
    da_x, da_h, dh_prev = exact_gru.step_backward(params, gates, m, prev.h, dstate.h)
    (carry_h,), found = gru.step_backward(kept, prev, type(prev)(*new), dstate)
    found_h = np.concatenate((found.r, found.z, found.m), axis=-1)
    close(np.concatenate((found.r, found.z, found.n), axis=-1), da_x)
    close(found_h, da_h)
    close(carry_h + found_h @ params.weight_hh, dh_prev)


@pytest.mark.parametrize("activation", activations.ACTIVATIONS)
def test_a_step_of_an_rnn(activation):
    f = activations.ACTIVATIONS[activation]
    cell = rnn.make_cell(f"rnn_{activation}", f.f, f.df)
    params, x, prev, dstate = drawn(cell.name)
    a_x = x @ params.weight_ih.T + params.bias_ih
    h = exact_rnn.step(params, f, a_x, prev.h)
    new, kept = cell.step(blocks(cell.name, a_x + prev.h @ params.weight_hh.T + params.bias_hh), prev)
    close(new[0], h)
    assert kept == ()
    da, dh_prev = exact_rnn.step_backward(params, f, h, dstate.h)
    (carry_h,), found = cell.step_backward(kept, prev, type(prev)(*new), dstate)
    assert carry_h is None
    close(found.h, da)
    close(found.h @ params.weight_hh, dh_prev)
