"""Inference in int8: sums that are exact in every way to multiply bytes, at every width, and the steps around them.

A state that differs in its last bit may be rounded to another integer. So kernels and equations are compared a step at
a time, from the same state, and a run with its steps, one after another, to the bit.
"""

from __future__ import annotations

from contextlib import contextmanager

import numba
import numpy as np
import pytest

from kernels import cpu
from kernels.contract import CELLS, QuantizedParameters
from kernels.cpu.emitting.simd import WIDTHS, Lanes, host_width
from kernels.cpu.int8 import affine, plan, recurrence
from kernels.cpu.int8.dots import ways
from kernels.cpu.running import threads
from rnn_core import equations
from rnn_core.equations.quantized import quantized
from tests.cases import Case, Problem
from tests.kernels.cpu.setup import in_a_process
from tests.tolerance import tolerance

RAGGED = Case("ragged", T=6, B=33, I=19, H=37, lengths=tuple(1 + b * 5 % 6 for b in range(33)))
CASES = (
    Case("one of everything", T=1, B=1, I=1, H=1),
    Case("one row", T=3, B=1, I=5, H=70),
    Case("whole vectors", T=2, B=12, I=16, H=64),
    Case("no biases", T=2, B=5, I=6, H=33, bias=False),
    RAGGED,
)
WAYS = [(width, way) for width in WIDTHS if width <= host_width() for way in ways(Lanes("float32", width))]


@contextmanager
def vectors_of(width: int):
    """Force a vector width on what is prepared inside."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (affine, recurrence):
            patch.setattr(module, "host_width", lambda: width)
        yield


def quantized_params(problem: Problem) -> QuantizedParameters:
    W_x, W_h, b_x, b_h = problem.params
    return QuantizedParameters(*quantized(W_x), *quantized(W_h), b_x, b_h)


def run(cell, problem, x=None, state0=None, lengths=None, **options):
    """Return y and the final states."""
    prepared = cell.prepare(quantized_params(problem), **options)
    x, state0 = problem.x if x is None else x, problem.state0 if state0 is None else state0
    y, states = cell.infer(prepared, x, state0, lengths)
    return y, *states


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Return whole numbers from −127 to 127; each row has 127 in it, so that its scale is 1."""
    made = np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)
    made[..., 0] = 127
    return made


@pytest.mark.parametrize(("width", "way"), WAYS)
@pytest.mark.parametrize(("N", "K", "O"), [(1, 1, 1), (3, 7, 33), (17, 66, 130), (2, 1039, 40)])
def test_sums_are_exact(N, K, O, width, way):
    """With scales of 1 the result is the sum itself, and below 2²⁴ float32 holds every integer."""
    x, w = numbers(N, K), numbers(O, K, seed=1)
    with vectors_of(width):
        product = affine.QuantizedAffine()
        prepared = product.prepare(w, np.ones(O, np.float32), None, way)
        found = product(prepared, x.astype(np.float32))
    np.testing.assert_array_equal(found, x.astype(np.int64) @ w.astype(np.int64).T)


@pytest.mark.parametrize(("width", "way"), WAYS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums_are_exact(sign, width, way):
    """The longest row there may be: 127·127 as often as fits into 32 bits."""
    K = 133_144
    x, w = np.full((1, K), 127, np.float32), np.full((3, K), sign * 127, np.int8)
    with vectors_of(width):
        product = affine.QuantizedAffine()
        found = product(product.prepare(w, np.ones(3, np.float32), np.zeros(3, np.float32), way), x)
    np.testing.assert_array_equal(found, np.full((1, 3), np.float32(sign * 127 * 127 * K)))


@pytest.mark.parametrize("width", [width for width in WIDTHS if width < host_width()])
def test_a_step_with_narrower_vectors(width):
    """The GRU's: it has sums of both products in one tile, and one that has a bias alone."""
    problem = RAGGED.problem("gru", "float32")
    x = problem.x[:1]
    with vectors_of(width):
        found = run(cpu.quantized_cell("gru"), problem, x)
    for a, b in zip(found, run(equations.quantized_cell("gru"), problem, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance("float32", 1))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", CELLS)
def test_steps_one_by_one_are_those_of_the_equations_and_of_a_run(name, case):
    problem = case.problem(name, "float32")
    cell, reference = cpu.quantized_cell(name), equations.quantized_cell(name)
    steps, whole = problem.steps(), run(cell, problem, lengths=problem.lengths)
    states = problem.state0
    for t in range(problem.T):
        runs, x = steps > t, problem.x[t : t + 1]
        y, *new = run(cell, problem, x, states)
        for a, b in zip((y, *new), run(reference, problem, x, states), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance("float32", 1))
        np.testing.assert_array_equal(whole[0][t], np.where(runs[:, None], y[0], 0))
        states = tuple(np.where(runs[:, None], n, s) for n, s in zip(new, states, strict=True))
    assert_equal(whole[1:], states)


@pytest.mark.parametrize("name", CELLS)
def test_a_row_has_the_same_bits_in_any_batch(name):
    problem = RAGGED.problem(name, "float32")
    cell, lengths = cpu.quantized_cell(name), problem.lengths
    y, *finals = run(cell, problem, lengths=lengths)
    for rows in (slice(0, 1), slice(16, 17), slice(5, 12)):
        part = run(cell, problem, problem.x[:, rows], [state[rows] for state in problem.state0], lengths[rows])
        assert_equal(part, (y[:, rows], *(final[rows] for final in finals)))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_padding_reaches_nothing(name):
    problem = RAGGED.problem(name, "float32")
    x = problem.x.copy()
    x[np.arange(len(x))[:, None] >= problem.lengths] = np.nan
    cell, lengths = cpu.quantized_cell(name), problem.lengths
    assert_equal(run(cell, problem, x, lengths=lengths), run(cell, problem, lengths=lengths))


def same_bits():
    threads.LEAST, threads.SMALL, threads.LATE = 0, 0, 1e9
    cases = (
        Case("rows", T=5, B=19, I=7, H=40),
        Case("units", T=5, B=2, I=7, H=210),
        Case("far", T=5, B=19, I=7, H=210, lengths=tuple(1 + b * 3 % 5 for b in range(19))),
    )
    for name in CELLS:
        for case in cases:
            plan.NEAR = 1 if case.name == "far" else 1 << 20
            plan.forward_shape.cache_clear()
            problem, found = case.problem(name, "float32"), []
            for count in (1, 2, 3, 4):
                numba.set_num_threads(count)
                found.append(run(cpu.quantized_cell(name), problem, lengths=problem.lengths))
            for other in found[1:]:
                assert_equal(other, found[0])
    product = cpu.quantized_affine()
    for N, O in ((1, 1000), (40, 70), (3, 5)):
        prepared = product.prepare(numbers(O, 30), np.ones(O, np.float32), np.ones(O, np.float32))
        x, found = numbers(N, 30, seed=2).astype(np.float32) * 1.7, []
        for count in (1, 2, 3, 4):
            numba.set_num_threads(count)
            found.append(product(prepared, x))
        assert_equal(found[1:], found[:1] * 3)


def test_any_number_of_threads_gives_the_same_bits():
    in_a_process(same_bits, NUMBA_NUM_THREADS="4")


def test_desks_have_the_bits_of_the_ordinary_calls_at_every_width_and_on_several_threads(monkeypatch):
    problem = Case("two directions", T=5, B=9, I=40, H=70).problem("lstm", "float32")
    cell, backwards = cpu.quantized_cell("lstm"), np.ascontiguousarray(problem.x[::-1])
    zeros = tuple(map(np.zeros_like, problem.state0))
    for width in WIDTHS[: 1 + WIDTHS.index(host_width())]:
        with vectors_of(width):
            prepared = cell.prepare(quantized_params(problem))
        ahead, back = (cell.infer(prepared, x, zeros) for x in (problem.x, backwards))
        finals = map(np.stack, zip(ahead[1], back[1], strict=True))
        expected = [np.concatenate([ahead[0], back[0][::-1]], axis=-1), *finals]
        for count in (1, 3):
            with monkeypatch.context() as patch:
                if count > 1:
                    patch.setattr(threads, "LEAST", 0)
                    patch.setattr(threads, "SMALL", 0)
                    patch.setattr(threads, "_thread_count", lambda: 3)
                    patch.setattr(threads._pool, "retreat_until", 0.0)
                desk = cpu.prepare("lstm", [[prepared, prepared]]).desk(5, 9)
                desk.x[...] = problem.x
                assert desk.run(True, None)
                assert list(desk._cuts) == [count]
            assert_equal([desk.y, *desk.states], expected)
