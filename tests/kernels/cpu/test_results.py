"""The CPU kernels' results: the same bits in any batch and at any vector width, and right at any shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import cpu
from kernels.contract import CELLS, gradient_names
from kernels.cpu import calls as calling
from kernels.cpu.emitting import simd
from kernels.cpu.emitting.microkernel import CHAIN
from kernels.cpu.emitting.simd import Lanes
from kernels.cpu.running import packing
from rnn_core import equations
from tests.cases import CASES, Case
from tests.conformance import assert_close, assert_same_bits, gradients, outputs, run
from tests.kernels.cpu.setup import results_of, rows_of, settings

DTYPES = ("float32", "float64")
NAMED = {case.name: case for case in CASES}
RAGGED = Case("ragged", T=6, B=33, I=19, H=37, lengths=tuple(1 + b * 5 % 6 for b in range(33)))


@pytest.mark.parametrize("case", [replace(RAGGED, name="full", lengths=None), RAGGED], ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CELLS)
def test_a_row_has_the_same_bits_in_any_batch(name, dtype, case):
    """One chain a sum: neither a tile's size nor the neighbours in it have any influence."""
    cell, problem = cpu.cell(name), case.problem(name, dtype)
    whole = run(cell, problem)
    for rows in (slice(0, 1), slice(16, 17), slice(32, 33), slice(5, 12), slice(1, 33)):
        part = results_of(run(cell, rows_of(problem, rows)), slice(None))
        assert_same_bits(part, results_of(whole, rows))
        inferred = outputs(problem, *cell.infer(*_arguments(rows_of(problem, rows))))
        assert_same_bits(inferred, {key: part[key] for key in inferred})


def _arguments(problem):
    return problem.params, problem.x, problem.state0, problem.lengths


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in CELLS if name != "rnn_relu"])
def test_every_vector_width_gives_right_results(name, dtype):
    """What is wider than the host's own, LLVM makes of several.

    A sum over K is added up in the same order at any width: the same bits. A gradient's sum over the gates' units runs
    on through what fills them up to whole vectors, so where it is longer than one chain, it is cut elsewhere.
    rnn_relu is rnn_tanh but for ReLU and its derivative, and test_cells.py has these at every width; rnn_sigmoid isn't
    left out, as only there what fills up a vector is not 0.
    """
    cell = cpu.cell(name)
    for case in ("tails-of-tiles", "ragged-odd-H", "one-of-everything", "saturated", "whole-tiles"):
        problem = NAMED[case].problem(name, dtype)
        exact = run(equations.cell(name), problem.map(lambda array: array.astype(np.float64)))
        one_chain = problem.spec.gate_count * Lanes(dtype, 64).filled(NAMED[case].H) <= CHAIN
        first = None
        for width in simd.WIDTHS:
            with settings(width=width):
                found = run(cell, problem)
            assert_close(found, exact, problem)
            same = {key: value for key, value in found.items() if one_chain or not key.startswith("d")}
            first = same if first is None else first
            assert_same_bits(same, first)


@pytest.mark.parametrize("wrong", ["", "8", "avx2", "64 "])
def test_a_width_that_there_is_not_is_refused(wrong, monkeypatch):
    monkeypatch.setenv("RNN_CORE_SIMD", wrong)
    with pytest.raises(RuntimeError, match=r"RNN_CORE_SIMD must be one of 16, 32, 64 \(bytes\), got '"):
        simd.host_width.__wrapped__()


@pytest.mark.parametrize("width", simd.WIDTHS)
def test_a_width_can_be_forced(width, monkeypatch):
    monkeypatch.setenv("RNN_CORE_SIMD", str(width))
    assert simd.host_width.__wrapped__() == width


AROUND = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 67)
"""Sizes around multiples of a vector and of a panel."""


@st.composite
def calls(draw):
    """Draw a problem and what is needed of its backward."""
    T, B = draw(st.integers(1, 9)), draw(st.sampled_from((1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 25)))
    case = Case(
        "drawn", T=T, B=B, I=draw(st.sampled_from(AROUND)), H=draw(st.sampled_from(AROUND)),
        lengths=draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B).map(tuple)),
        bias=draw(st.booleans()), state=draw(st.sampled_from((0.0, 1.0))),
        upstream=tuple(draw(st.sets(st.sampled_from(("y", "h", "c"))))), seed=draw(st.integers(0, 9)),
    )  # fmt: skip
    problem = case.problem(draw(st.sampled_from(tuple(CELLS))), draw(st.sampled_from(DTYPES)))
    # Weights are as large as H allows; a long input would saturate a unit, and 1 − h² lose its digits.
    problem.x[...] *= min(1, (case.H / case.I) ** 0.5)
    return problem, draw(st.sets(st.sampled_from(gradient_names(problem.spec))))


@given(call=calls(), part=st.sampled_from((512, 7)), near=st.sampled_from((1 << 24, 1)))
def test_the_equations_at_any_shape(call, part, near):
    """Also with the backward's steps taken in small parts, and with weights that count as far away."""
    problem, needs = call
    cell, exact = cpu.cell(problem.cell), problem.map(lambda array: array.astype(np.float64))
    with settings(SUM=part, NEAR=near):
        y, state, tape = cell.forward(*_arguments(problem))
        found = outputs(problem, y, state) | gradients(cell, problem, tape, needs)
        inferred = outputs(problem, *cell.infer(*_arguments(problem)))
    *expected, exact_tape = equations.cell(problem.cell).forward(*_arguments(exact))
    wanted = outputs(problem, *expected) | gradients(equations.cell(problem.cell), exact, exact_tape, needs)
    # In a step of one unit and one row, what is left of a difference of two gradients near 0 may be all rounding.
    assert found.keys() == wanted.keys()
    several = [key for key, value in wanted.items() if value.size > 1]
    assert_close({key: found[key] for key in several}, {key: wanted[key] for key in several}, problem)
    assert_same_bits(inferred, {name: found[name] for name in inferred})


@pytest.mark.parametrize("name", CELLS)
def test_steps_in_which_every_row_has_ended(name):
    """The first part of the backward, and the last chunks of the forward, then have nothing to do."""
    case = Case("ended", T=40, B=3, lengths=(2, 5, 1))
    problem = case.problem(name, "float64")
    expected = run(equations.cell(name), problem)
    for of_plan in ({}, {"SUM": 9, "AHEAD": 6}):
        with settings(**of_plan):
            found = run(cpu.cell(name), problem)
            inferred = outputs(problem, *cpu.cell(name).infer(*_arguments(problem)))
        assert_close(found, expected, problem)
        assert_same_bits(inferred, {key: found[key] for key in inferred})


@pytest.mark.parametrize("kind", ["int8", "int32", "int64", "uint8", "uint64"])
def test_lengths_of_any_integers(kind):
    """Those without a sign too, though they are sorted by their negatives."""
    problem = RAGGED.problem("gru", "float32")
    found = run(cpu.cell("gru"), problem._replace(lengths=problem.lengths.astype(kind)))
    assert_same_bits(found, run(cpu.cell("gru"), problem))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CELLS)
def test_what_memory_held_before_has_no_influence(name, dtype, monkeypatch):
    """Not even where it is NaN, as every byte of 255 makes it."""
    taken = calling.take

    def spoiled(size):
        block = taken(size)
        block.view(0, (block.size,), np.uint8)[:] = 255
        return block

    cell = cpu.cell(name)
    for case in CASES:
        problem = case.problem(name, dtype)
        expected = run(cell, problem)
        with monkeypatch.context() as patch:
            patch.setattr(calling, "take", spoiled)
            patch.setattr(packing, "take", spoiled)
            assert_same_bits(run(cell, problem.map(np.copy)), expected)  # copies, so that panels are made anew
