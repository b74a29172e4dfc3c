"""Subnormal numbers: zeros in float32, IEEE's in float64, on every thread; and nobody's control word is changed."""

from __future__ import annotations

import contextlib

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from llvmlite import ir
from numba import carray, njit

from kernels import cpu
from kernels.contract import CELLS
from kernels.cpu.emitting import simd, subnormal
from kernels.cpu.emitting.addresses import make_pointer
from kernels.cpu.emitting.simd import Lanes
from kernels.cpu.running.compiled import compiled
from rnn_core import equations
from tests.cases import Case
from tests.conformance import assert_same_bits, run
from tests.kernels.cpu.setup import in_a_process, keeps_subnormals, results_of, rows_of, settings
from tests.kernels.cpu.test_threads import FOUR, held, observe

FADES = Case("fades", T=200, B=19, I=7, H=40)
SIZE = {"float32": 1.0, "float64": 1e-290}
"""Of what size the last step's gradient is, so that on its way back it passes through the subnormal numbers."""

pytestmark = pytest.mark.skipif(subnormal.host_control() is None, reason="this processor's control word is not known")


def last_step(name, dtype, case=FADES):
    """Return a problem with a loss at the last step."""
    problem = case.problem(name, dtype)
    problem.dy[:-1] = 0
    problem.dy[-1] *= SIZE[dtype]
    return problem._replace(dstate_T=(None,) * len(problem.dstate_T))


def subnormals(results):
    """How many numbers of some results are subnormal."""
    tiny = {name: np.finfo(array.dtype).tiny for name, array in results.items()}
    return sum(np.count_nonzero((array != 0) & (abs(array) < tiny[name])) for name, array in results.items())


_enter = subnormal.make_enter(Lanes("float32", 16))
_leave = subnormal.leave


@njit
def begin():
    return _enter()


@njit
def end(before):
    _leave(before)


@contextlib.contextmanager
def a_caller_without_subnormals():
    """Let this thread have the bits set, as `torch.set_flush_denormal(True)` does."""
    before = begin()
    try:
        assert not keeps_subnormals()
        yield
        assert not keeps_subnormals()  # the caller's word is the caller's
    finally:
        end(before)
    assert keeps_subnormals()


@pytest.mark.parametrize("name", CELLS)
def test_a_gradient_that_fades_ends_in_zeros(name):
    problem = last_step(name, "float32")
    exact = run(equations.cell(name), problem.map(lambda array: array.astype(np.float64)))
    assert subnormals(run(equations.cell(name), problem)) > 100
    found = run(cpu.cell(name), problem)
    assert subnormals(found) == 0
    assert keeps_subnormals()
    for key, expected in exact.items():  # what is made 0 is at most a few of the smallest normal numbers
        limit = 1e-3 * abs(expected).max(axis=(1, 2), keepdims=True) if key == "dx" else 1e-3 * abs(expected).max()
        assert (abs(found[key] - expected) <= limit + 1e-36).all(), key
    assert (found["dx"][0] == 0).all()
    assert (found["dx"][-1] != 0).any()


@pytest.mark.parametrize("width", simd.WIDTHS)
@pytest.mark.parametrize("name", ["lstm", "rnn_relu"])
def test_at_any_vector_width(name, width):
    """And none of the arithmetic has been moved to before the bits are set, or behind where they are put back."""
    problem = last_step(name, "float32")
    with settings(width=width):
        assert subnormals(run(cpu.cell(name), problem)) == 0


@pytest.mark.parametrize("name", CELLS)
def test_float64_keeps_them(name):
    """Also where the caller has set the bits for himself."""
    cell, problem = cpu.cell(name), last_step(name, "float64")
    found = run(cell, problem)
    assert subnormals(found) > 100
    with a_caller_without_subnormals():
        again = run(cell, problem)
    assert_same_bits(again, found)


@pytest.mark.parametrize("name", CELLS)
def test_inference_takes_them_for_zeros(name):
    """A state and an input that have sunk count as 0: the same bits as with zeros."""
    problem = Case("sunk", T=3, B=2, I=5, H=9, bias=False).problem(name, "float32")
    sunk, zeros = (
        problem._replace(x=problem.x * size, state0=tuple(state * size for state in problem.state0))
        for size in (np.float32(1e-40), np.float32(0))
    )
    assert 0 < abs(sunk.x).max() < np.finfo(np.float32).tiny
    cell = cpu.cell(name)
    (y, state), (y0, state0) = (cell.infer(one.params, one.x, one.state0) for one in (sunk, zeros))
    np.testing.assert_array_equal(y, y0)
    for found, expected in zip(state, state0, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_after_an_error():
    problem = last_step("gru", "float32")
    with pytest.raises(TypeError, match=r"cpu\.gru: x and weights must all be float32 or all float64"):
        cpu.cell("gru").infer(problem.params, problem.x.astype(np.float64), problem.state0, None)
    assert keeps_subnormals()


@pytest.mark.parametrize("name", CELLS)
def test_a_row_has_the_same_bits_in_any_batch(name):
    cell, problem = cpu.cell(name), last_step(name, "float32")
    whole = run(cell, problem)
    for rows in (slice(0, 1), slice(5, 12)):
        assert_same_bits(results_of(run(cell, rows_of(problem, rows)), slice(None)), results_of(whole, rows))


def make_products():
    """Return a job that takes one product a thread, with whatever word the thread has between other jobs."""
    numbers = make_pointer(np.float32)

    def products(thread, address):
        at = carray(numbers(address), 16)
        at[8 + thread] = at[thread] * at[7]

    return products


def on_threads():
    """Workers are hired by a caller whose bits are set, and inherit them; none of it shows in float64."""
    made = [(cpu.cell(name), last_step(name, dtype)) for name in CELLS for dtype in ("float64", "float32")]
    numba.set_num_threads(1)
    with settings(SUM=40):
        expected = [run(cell, problem) for cell, problem in made]
    for hired_without in (False, True):
        pool = observe()
        numba.set_num_threads(4)
        with a_caller_without_subnormals() if hired_without else contextlib.nullcontext():
            run(*made[0])
        pool.counts.clear()
        for (cell, problem), wanted in zip(made, expected, strict=True):
            with settings(SUM=40):
                assert_same_bits(run(cell, problem), wanted)
            assert keeps_subnormals()
        assert set(pool.counts) == {4}
        numbers = np.full(16, 1e-40, np.float32)
        numbers[7:] = 1
        with held(pool):
            pool.run(compiled(make_products).address, numbers.ctypes.data, 4, 0, 0)
        assert numbers[8] == np.float32(1e-40)
        # each worker has again what he came with, after jobs of both dtypes
        assert (numbers[9:12] == (0 if hired_without else np.float32(1e-40))).all()


def test_threads_have_the_same_bits_and_their_own_words():
    in_a_process(on_threads, **FOUR)


def test_arms_control_word():
    """What LLVM is given for a processor that the tests don't run on; FPCR's bit 24 is FZ."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "both")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    word = subnormal._read(builder, subnormal.ARM)
    subnormal._write(builder, subnormal.ARM, builder.or_(word, ir.Constant(simd.INT, subnormal.ARM.bits)))
    builder.ret_void()
    text = str(llvm.parse_assembly(str(module)))
    assert 'call i64 asm sideeffect "mrs $0, fpcr", "=r,~{memory}"()' in text
    assert 'call void asm sideeffect "msr fpcr, $0", "r,~{memory}"(i64' in text
    assert subnormal.ARM.bits == 1 << 24
