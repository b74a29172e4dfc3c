"""What is particular to the head of the CPU kernels: threads, widths, memory, accuracy."""

from __future__ import annotations

import itertools
import tracemalloc
from functools import partial

import numba
import numpy as np
import pytest

from kernels import cpu
from kernels.cpu.emitting import simd
from kernels.cpu.emitting.simd import PAIRS, ROUNDED, Lanes
from kernels.cpu.products import calls, cuts
from rnn_core.equations.rounding import rounded_to_bfloat16
from tests.head_checks import CASES, Case, check_equations, check_hits, run
from tests.kernels.cpu.setup import DOT, in_a_process, settings
from tests.kernels.cpu.test_threads import FOUR, observe

HEAD, LOWER = cpu.softmax_head(), cpu.softmax_head("bfloat16")
WAYS = [
    ROUNDED,
    pytest.param(PAIRS, marks=pytest.mark.skipif(not DOT, reason="this processor has no AVX512-BF16")),
]
SHARED = (*CASES[1:7], Case("even", 300, 40, 500), Case("narrow", 300, 3, 40))


def same_bits():
    pool = observe()
    for head, dtype in ((HEAD, "float32"), (HEAD, "float64"), (LOWER, "bfloat16")):
        for case in SHARED:
            question = case.question(dtype)
            numba.set_num_threads(1)
            expected, alone = run(head, question), head.losses(*question[:4])
            pool.counts.clear()
            for count in (2, 3, 4):
                numba.set_num_threads(count)
                found = run(head, question)
                assert all(found[name].tobytes() == expected[name].tobytes() for name in expected), (case.name, count)
                assert all(a.tobytes() == b.tobytes() for a, b in zip(head.losses(*question[:4]), alone, strict=True))
                assert pool.counts == [count, count]
                pool.counts.clear()


def test_the_number_of_threads_changes_no_bit():
    in_a_process(same_bits, **FOUR)


def test_nor_where_numbers_are_rounded():
    in_a_process(same_bits, **FOUR, RNN_CORE_BFLOAT16=ROUNDED)


ODD = (*CASES, Case("odd", 37, 7, 13), Case("odd-blocks", 771, 9, 241), Case("odd-classes", 50, 33, 361))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ODD, ids=lambda case: case.name)
def test_both_ways_of_bfloat16(case, way):
    """Odd sizes above all: of rows, of numbers, and of classes, the last of which has nothing beside it."""
    with settings(rounded=way):
        check_equations(LOWER, case.question("bfloat16"))


@pytest.mark.parametrize("way", WAYS)
def test_what_memory_held_before_has_no_influence(way, monkeypatch):
    """Not even where it is NaN, as every byte of 255 makes it: not beside an odd number either."""
    taken = calls.take

    def spoiled(size):
        block = taken(size)
        block.view(0, (block.size,), np.uint8)[:] = 255
        return block

    for head, case in itertools.product((HEAD, LOWER), ODD):
        question = case.question("float32")
        with settings(rounded=way):
            expected = run(head, question)
            with monkeypatch.context() as patch:
                patch.setattr(calls, "take", spoiled)
                found = run(head, question)
        assert all(found[name].tobytes() == expected[name].tobytes() for name in expected), case.name


@pytest.mark.parametrize("way", WAYS)
def test_what_products_read_is_rounded_and_nothing_else(way):
    """Of one class more than the target's, and rows that are bfloat16 already, dz is all that rounding changes."""
    rng = np.random.default_rng(2)
    x, weight = (rounded_to_bfloat16(rng.normal(size=shape).astype(np.float32)) for shape in ((40, 6), (30, 6)))
    question = (
        CASES[1]
        .question("float32")
        ._replace(
            x=x, weight=weight, bias=None, targets=rng.integers(0, 30, 40), dlosses=np.full(40, 1 / 40, np.float32)
        )
    )
    with settings(rounded=way):
        lower, plain = run(LOWER, question), run(HEAD, question)
    np.testing.assert_allclose(lower["losses"], plain["losses"], rtol=1e-6)
    for name in ("x", "weight"):
        off = np.abs(lower[name] - plain[name]).max() / np.abs(plain[name]).max()
        assert 1e-5 < off < 2.0**-8, name


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_another_dtype_than_float32_is_not_rounded(dtype):
    question = CASES[1].question("float64")
    x, weight = question.x.astype(dtype), question.weight.astype(dtype)
    with pytest.raises(TypeError, match="cpu.softmax_head: x and weight must "):
        LOWER.losses(x, weight, None, question.targets)
    with pytest.raises(ValueError, match="cpu.softmax_head: precision must be 'float32' or 'bfloat16', got 'int8'"):
        cpu.softmax_head("int8")


@pytest.mark.parametrize("width", [width for width in simd.WIDTHS if width != simd.host_width()])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_every_vector_width_gives_right_results(dtype, width):
    head = LOWER if dtype == "bfloat16" else HEAD
    with settings(width=width):
        for case in CASES:
            check_equations(head, case.question(dtype))
            check_hits(head, case.question(dtype))


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (1120, 512, 10_000), (2048, 256, 100), (9, 5, 481), (70, 64, 1 << 20)])
def test_cuts_cover_everything_once(sizes, threads):
    lanes, (N, K, V) = Lanes("float32", 64), sizes
    cut, alone = (cuts.cut(lanes, N, K, V, count) for count in (threads, 1))
    assert (cut.chunks - 1) * cut.chunk < V <= cut.chunks * cut.chunk
    assert cut.groups * cut.members == threads
    assert threads % cut.column_groups == 0
    assert cut.rows % lanes.count == 0
    assert cut[:3] == alone[:3]  # what sums are made of


def test_no_array_of_all_scores_is_there():
    """The scores of 4,096 rows would be 64 MB; what is there at once, gradients included, is a tenth of that."""
    question = Case("wide", 4096, 8, 4000).question("float32")
    heads = (HEAD, LOWER)
    for one in (*(partial(run, head, question) for head in heads), *(partial(h.losses, *question[:4]) for h in heads)):
        one()  # what is compiled is not what is measured
        tracemalloc.start()
        one()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4096 * 4000 * 4 / 10


def test_losses_over_many_classes_are_as_exact_as_their_scores():
    """All scores are equal, so the sum over 50,000 exponentials is all that can round: log V to a few digits of ε."""
    V = 50_000
    x, weight, bias = np.ones((4, 1), np.float32), np.zeros((V, 1), np.float32), np.full(V, 0.1, np.float32)
    losses, _ = HEAD.losses(x, weight, bias, np.arange(4))
    np.testing.assert_allclose(losses, np.log(V), rtol=1e-8)


def test_what_is_no_real_number_is_refused():
    question = CASES[1].question("float32")
    with pytest.raises(TypeError, match=r"cpu.softmax_head: x and weight must both be float32 or float64, got int64"):
        HEAD.losses(question.x.astype(np.int64), *question[1:4])


def test_nothing_is_refused():
    none = np.zeros((0, 5), np.float32), np.ones((7, 5), np.float32), None, np.zeros(0, np.int64)
    with pytest.raises(ValueError, match=r"cpu.softmax_head: x and weight must not be empty, got shapes \(0, 5\) and"):
        HEAD.losses(*none)
    with pytest.raises(ValueError, match="cpu.softmax_head: x and weight must not be empty"):
        HEAD.gradients(*none, np.zeros(0, np.float32), frozenset({"weight"}))
