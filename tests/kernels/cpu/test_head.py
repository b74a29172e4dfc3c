"""What is particular to the head of the CPU kernels: threads, widths, memory, accuracy."""

from __future__ import annotations

import tracemalloc

import numba
import numpy as np
import pytest

from kernels import cpu
from kernels.cpu.emitting import simd
from kernels.cpu.emitting.simd import Lanes
from kernels.cpu.products import calls, cuts
from tests.head_checks import CASES, Case, check_equations, check_hits, run
from tests.kernels.cpu.setup import in_a_process
from tests.kernels.cpu.test_threads import FOUR, observe

HEAD = cpu.softmax_head()
SHARED = (*CASES[1:7], Case("even", 300, 40, 500), Case("narrow", 300, 3, 40))


def same_bits():
    pool = observe()
    for dtype in ("float32", "float64"):
        for case in SHARED:
            question = case.question(dtype)
            numba.set_num_threads(1)
            expected, alone = run(HEAD, question), HEAD.losses(*question[:4])
            pool.counts.clear()
            for count in (2, 3, 4):
                numba.set_num_threads(count)
                found = run(HEAD, question)
                assert all(found[name].tobytes() == expected[name].tobytes() for name in expected), (case.name, count)
                assert all(a.tobytes() == b.tobytes() for a, b in zip(HEAD.losses(*question[:4]), alone, strict=True))
                assert pool.counts == [count, count]
                pool.counts.clear()


def test_the_number_of_threads_changes_no_bit():
    in_a_process(same_bits, **FOUR)


@pytest.mark.parametrize("width", [width for width in simd.WIDTHS if width != simd.host_width()])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_vector_width_gives_right_results(dtype, width, monkeypatch):
    monkeypatch.setattr(calls, "host_width", lambda: width)
    calls.head_shape.cache_clear()
    try:
        for case in CASES:
            check_equations(HEAD, case.question(dtype))
            check_hits(HEAD, case.question(dtype))
    finally:
        calls.head_shape.cache_clear()


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
    for one in (lambda: run(HEAD, question), lambda: HEAD.losses(*question[:4])):
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
