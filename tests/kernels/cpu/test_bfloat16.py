"""bfloat16 on the CPU: rounded as the equations round, the same bits in any batch, whichever way it is done."""

from __future__ import annotations

from dataclasses import replace

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import cpu
from kernels.contract import CELLS
from kernels.cpu import calls as calling
from kernels.cpu.emitting import bfloat16
from kernels.cpu.emitting.simd import EXACT, PAIRS, ROUNDED, WIDTHS, Lanes
from kernels.cpu.running import packing
from kernels.cpu.running.rounding import round_rows
from rnn_core import equations
from rnn_core.equations.rounding import rounded_to_bfloat16
from tests.cases import Case
from tests.conformance import assert_close, assert_same_bits, outputs, run
from tests.kernels.cpu.setup import DOT, results_of, rows_of, settings

WAYS = [
    ROUNDED,
    pytest.param(PAIRS, marks=pytest.mark.skipif(not DOT, reason="this processor has no AVX512-BF16")),
]
RAGGED = Case("ragged", T=6, B=33, I=19, H=37, lengths=tuple(1 + b * 5 % 6 for b in range(33)))
LARGE = Case("large", T=2, B=34, I=21, H=291)  # sums of two chains of pairs, several panels


def bits() -> np.ndarray:
    """Return float32 numbers (3, columns): every upper half, each with lower halves around the middle."""
    upper = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    numbers = (upper[:, np.newaxis] | lower).reshape(3, -1)
    return np.ascontiguousarray(numbers).view(np.float32)


@pytest.mark.parametrize("way", WAYS)
def test_numbers_are_rounded_as_the_equations_round_them(way):
    """Every bfloat16, and what lies between it and the next: halves to the even one, NaN to NaN, the largest to ∞."""
    numbers, expected = bits(), rounded_to_bfloat16(bits())
    for width in WIDTHS if way == ROUNDED else (64,):
        lanes = Lanes("float32", width, way)
        found = np.empty(numbers.shape, np.uint16 if way == PAIRS else np.float32)
        round_rows(numbers, found.ctypes.data, found.strides[0], lanes, 1)
        wide = (found.astype(np.uint32) << 16).view(np.float32) if way == PAIRS else found
        missing = np.isnan(numbers)
        assert np.isnan(wide[missing]).all()
        assert (wide[~missing].view(np.uint32) == expected[~missing].view(np.uint32)).all()


def test_rounding_by_hand():
    one, step = np.float32(1), np.float32(2**-7)
    for number, nearest in (
        (one + step / 2, one),  # of two equally near, the even one
        (one + 3 * step / 2, one + 2 * step),
        (one + step * np.float32(0.51), one + step),
        (-one - step * np.float32(0.49), -one),
        (np.float32(3.4e38), np.float32(np.inf)),
    ):
        assert rounded_to_bfloat16(np.array([number], np.float32))[0] == nearest
    with pytest.raises(TypeError, match="must be float32, got float64"):
        rounded_to_bfloat16(np.ones(1))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "case"), [*((name, RAGGED) for name in CELLS), ("lstm", LARGE), ("gru", LARGE)],
    ids=lambda value: value.name if isinstance(value, Case) else value,
)  # fmt: skip
def test_the_equations(name, case, way):
    """Inference to the bit as with a tape, and all within what two orders of addition make of it."""
    problem, cell = case.problem(name, "bfloat16"), cpu.cell(name, "bfloat16")
    with settings(rounded=way, SUM=40):
        found = run(cell, problem)
        inferred = outputs(problem, *cell.infer(problem.params, problem.x, problem.state0, problem.lengths))
    assert_close(found, run(equations.cell(name, "bfloat16"), problem), problem)
    assert_same_bits(inferred, {key: found[key] for key in inferred})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", [replace(RAGGED, name="full", lengths=None), RAGGED], ids=lambda case: case.name)
@pytest.mark.parametrize("name", CELLS)
def test_the_same_bits_in_any_batch(name, case, way):
    cell, problem = cpu.cell(name, "bfloat16"), case.problem(name, "bfloat16")
    with settings(rounded=way):
        whole = run(cell, problem)
        for rows in (slice(0, 1), slice(16, 17), slice(5, 12), slice(1, 33)):
            part = results_of(run(cell, rows_of(problem, rows)), slice(None))
            assert_same_bits(part, results_of(whole, rows))


AROUND = (1, 2, 3, 5, 15, 16, 17, 31, 33, 63, 65)


@given(
    name=st.sampled_from(tuple(CELLS)), T=st.integers(1, 7), B=st.sampled_from((1, 2, 3, 7, 13)),
    I=st.sampled_from(AROUND), H=st.sampled_from(AROUND), bias=st.booleans(), part=st.sampled_from((512, 7)),
)  # fmt: skip
def test_any_shape(name, T, B, I, H, bias, part):
    """Odd sizes above all: a last pair has one number, and its neighbour counts for nothing."""
    problem = Case("drawn", T=T, B=B, I=I, H=H, bias=bias).problem(name, "bfloat16")
    problem.x[...] *= min(1, (H / I) ** 0.5)
    with settings(SUM=part):
        found = run(cpu.cell(name, "bfloat16"), problem)
    expected = run(equations.cell(name, "bfloat16"), problem)
    several = [key for key, value in expected.items() if value.size > 8]
    assert_close({key: found[key] for key in several}, {key: expected[key] for key in several}, problem)


@pytest.mark.parametrize("way", WAYS)
def test_what_memory_held_before_has_no_influence(way, monkeypatch):
    """Not even where it is NaN, as every byte of 255 makes it: not beside an odd number either."""
    taken = calling.take

    def spoiled(size):
        block = taken(size)
        block.view(0, (block.size,), np.uint8)[:] = 255
        return block

    for name in CELLS:
        problem, cell = RAGGED.problem(name, "bfloat16"), cpu.cell(name, "bfloat16")
        with settings(rounded=way):
            expected = run(cell, problem)
            with monkeypatch.context() as patch:
                patch.setattr(calling, "take", spoiled)
                patch.setattr(packing, "take", spoiled)
                assert_same_bits(run(cell, problem.map(np.copy)), expected)  # copies, so that panels are made anew


@pytest.mark.skipif(not DOT, reason="this processor has no AVX512-BF16")
def test_a_way_can_be_forced(monkeypatch):
    for way in (PAIRS, ROUNDED):
        monkeypatch.setenv("RNN_CORE_BFLOAT16", way)
        assert bfloat16.host_operands.__wrapped__() == way


@pytest.mark.parametrize("wrong", ["", "amx", "exact"])
def test_a_way_that_there_is_not_is_refused(wrong, monkeypatch):
    monkeypatch.setenv("RNN_CORE_BFLOAT16", wrong)
    with pytest.raises(RuntimeError, match=r"RNN_CORE_BFLOAT16 must be pairs .* or rounded .*, got '"):
        bfloat16.host_operands.__wrapped__()


def test_pairs_want_the_instruction(monkeypatch):
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {"avx512f": True})
    assert bfloat16.host_operands.__wrapped__() == ROUNDED
    monkeypatch.setenv("RNN_CORE_BFLOAT16", PAIRS)
    with pytest.raises(RuntimeError, match="this processor has no AVX512-BF16; leave it out"):
        bfloat16.host_operands.__wrapped__()


def test_narrower_vectors_round():
    assert [bfloat16.operands("bfloat16", width) for width in (16, 32)] == [ROUNDED, ROUNDED]
    assert {bfloat16.operands("float32", width) for width in WIDTHS} == {EXACT}


def test_float64_is_refused():
    problem = RAGGED.problem("gru", "float64")
    with pytest.raises(TypeError, match="x and weights must be float32 in bfloat16, got float64"):
        cpu.cell("gru", "bfloat16").infer(problem.params, problem.x, problem.state0)
