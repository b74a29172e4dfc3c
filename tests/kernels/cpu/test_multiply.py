"""The product of two matrices in the pool: right at any size and either way round, the same bits on any threads."""

from __future__ import annotations

import itertools

import numba
import numpy as np
import pytest

from kernels import cpu
from kernels.cpu.emitting import simd
from kernels.cpu.emitting.simd import PAIRS, ROUNDED
from kernels.cpu.products import few
from kernels.cpu.products import multiply as multiplying
from rnn_core.equations.rounding import rounded_to_bfloat16
from rnn_core.layers import Linear, linear
from tests.kernels.cpu.setup import DOT, in_a_process, settings
from tests.kernels.cpu.test_threads import FOUR, observe
from tests.tolerance import assert_agree, tolerance

multiply, lower = cpu.multiply(), cpu.multiply("bfloat16")
BF16 = [
    ROUNDED,
    pytest.param(PAIRS, marks=pytest.mark.skipif(not DOT, reason="this processor has no AVX512-BF16")),
]
SIZES = ((1, 1, 1), (7, 130, 5), (65, 300, 70), (6, 128, 64), (33, 129, 200), (1, 300, 70), (2, 16, 32), (4, 17, 33))
WAYS = tuple(itertools.product((False, True), repeat=2))


def factors(dtype, M, K, C, a_turned, b_turned):
    """Return A (M, K), B (K, C) and b (C,); a factor that is turned is a view of its transpose."""
    rng = np.random.default_rng(5)
    A, B = rng.normal(size=(M, K)).astype(dtype), rng.normal(size=(K, C)).astype(dtype)
    A = np.ascontiguousarray(A.T).T if a_turned else A
    B = np.ascontiguousarray(B.T).T if b_turned else B
    return A, B, rng.normal(size=C).astype(dtype)


def check(dtype, sizes, ways, product=multiply):
    A, B, b = factors(dtype, *sizes, *ways)
    read = rounded_to_bfloat16 if product is lower else np.asarray
    expected = read(A).astype(np.float64) @ read(B).astype(np.float64)
    for added in (None, b):
        found = product(A, B, added)
        assert found.dtype == dtype
        assert found.flags.c_contiguous
        exact = expected if added is None else expected + added.astype(np.float64)
        assert_agree(f"{sizes}", found, exact, tolerance(dtype, 0))


@pytest.mark.parametrize("ways", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_is_right(dtype, ways):
    for sizes in SIZES:
        check(dtype, sizes, ways)


@pytest.mark.parametrize("way", BF16)
@pytest.mark.parametrize("ways", WAYS)
def test_a_product_of_rounded_numbers_is_right(ways, way):
    """As exact as any: nothing is rounded but what is read."""
    with settings(rounded=way):
        for sizes in SIZES:
            check("float32", sizes, ways, lower)


@pytest.mark.parametrize("product", [multiply, lower], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("width", [width for width in simd.WIDTHS if width != simd.host_width()])
def test_every_vector_width_gives_right_results(width, product):
    with settings(width=width):
        for sizes in SIZES:
            check("float32", sizes, (False, True), product)


@pytest.mark.parametrize("width", simd.WIDTHS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_row_has_the_same_bits_alone_and_among_others(dtype, width):
    """A few rows are multiplied by blocks turned in registers, more of them by panels: one order of addition."""
    product, dtype = (lower, "float32") if dtype == "bfloat16" else (multiply, dtype)
    with settings(width=width):
        for K, C in ((300, 70), (128, 64), (515, 33), (16, 200), (5, 40), (40, 5)):
            A, B, b = factors(dtype, 2 * few.MOST + 1, K, C, False, True)
            for added in (None, b):
                whole = product(A, B, added)
                for rows in range(1, few.MOST + 1):
                    for first in (0, few.MOST):
                        some = slice(first, first + rows)
                        assert product(A[some], B, added).tobytes() == whole[some].tobytes()


def test_a_sum_that_has_sunk_keeps_its_sign():
    """The terms of a block that are not wanted are left out; a zero that is added would make 0 of −0."""
    tiny = np.float64(5e-324)
    A, W = np.zeros((1, 17)), np.zeros((64, 17))
    A[0, 16], W[:, 16] = -tiny, 0.25  # −0, once rounded: the only term of its block
    b = np.full(64, -0.0)
    among = multiply(np.repeat(A, 9, axis=0), W.T, b)
    assert multiply(A, W.T, b).tobytes() == among[:1].tobytes()


def same_bits():
    pool = observe()
    for sizes, ways, product in itertools.product(SIZES, WAYS, (multiply, lower)):
        A, B, b = factors("float32", *sizes, *ways)
        numba.set_num_threads(1)
        expected = product(A, B, b).tobytes()
        for count in (2, 3, 4):
            numba.set_num_threads(count)
            pool.counts.clear()
            assert product(A, B, b).tobytes() == expected
            assert pool.counts == [count]


def test_the_number_of_threads_changes_no_bit():
    in_a_process(same_bits, **FOUR)


def test_nor_where_numbers_are_rounded():
    in_a_process(same_bits, **FOUR, RNN_CORE_BFLOAT16=ROUNDED)


@pytest.mark.parametrize("way", BF16)
def test_what_memory_held_before_has_no_influence(way, monkeypatch):
    """Not even where it is NaN, as every byte of 255 makes it."""
    taken = multiplying.take

    def spoiled(size):
        block = taken(size)
        block.view(0, (block.size,), np.uint8)[:] = 255
        return block

    monkeypatch.setattr(multiplying, "take", spoiled)
    with settings(rounded=way):
        for sizes, ways in itertools.product(SIZES, WAYS):
            check("float32", sizes, ways, lower)


def test_what_is_neither_way_round_is_copied():
    A, B, _ = factors("float64", 9, 14, 6, False, False)
    assert_agree("strided", multiply(A[::2, ::2], B[::2, ::2]), A[::2, ::2] @ B[::2, ::2], tolerance("float64", 0))


def test_what_is_added_may_be_strided():
    A, B, b = factors("float64", 9, 14, 12, False, False)
    assert_agree("strided", multiply(A, B[:, ::2], b[::2]), A @ B[:, ::2] + b[::2], tolerance("float64", 0))


@pytest.mark.parametrize("bias", [True, False])
def test_a_sum_of_no_terms_is_what_is_added(bias):
    A, B, b = factors("float32", 9, 0, 70, False, False)
    expected = np.tile(b, (9, 1)) if bias else np.zeros((9, 70), np.float32)
    np.testing.assert_array_equal(multiply(A, B, b if bias else None), expected)


@pytest.mark.parametrize("kind", ["int64", "complex128"])
def test_what_is_no_real_number_is_refused(kind):
    A, B, _ = factors("float64", 2, 3, 4, False, False)
    with pytest.raises(TypeError, match=f"cpu.multiply: A and B must both be float32 or float64, got {kind} and"):
        multiply(A.astype(kind), B)


def test_wider_numbers_are_not_rounded():
    A, B, _ = factors("float64", 2, 3, 4, False, False)
    with pytest.raises(TypeError, match="cpu.multiply: A and B must be float32 in bfloat16, got float64"):
        lower(A, B)
    with pytest.raises(ValueError, match="cpu.multiply: precision must be 'float32' or 'bfloat16', got 'int8'"):
        cpu.multiply("int8")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_linear_layer_says_the_same_with_it(dtype, bias, monkeypatch):
    precision, dtype = ("bfloat16", "float32") if dtype == "bfloat16" else ("float32", dtype)
    layer = Linear(9, 70, bias, backend="cpu", dtype=dtype, precision=precision, seed=0)
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(3, 5, 9)).astype(dtype), rng.normal(size=(3, 5, 70)).astype(dtype)
    found = []
    for small in (0, 1 << 60):
        monkeypatch.setattr(linear, "SMALL", small)
        y, tape = layer.forward(x)
        dx, grads = layer.backward(tape, dy)
        found.append({"y": y, "dx": dx, **grads})
    for name, expected in found[1].items():
        assert_agree(name, found[0][name], expected, tolerance(dtype, 0))
