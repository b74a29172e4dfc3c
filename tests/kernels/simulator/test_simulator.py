"""The simulator itself: blocks run side by side, mistakes show, and nothing waits for ever."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from kernels.cuda.language import pointwise
from kernels.cuda.language.simulator import arrive, cuda, launch, load_vector, shared_memory, store_vector, wait
from kernels.cuda.running.launch import entry, is_whole, sealed
from kernels.cuda.running.persistent import announce, await_all


def test_blocks_run_side_by_side():
    """Each of two blocks waits for the other: one after the other they would wait for ever."""
    seen = np.zeros(2)

    def kernel(counters, seen):
        block = cuda.blockIdx.x
        arrive(counters, block)
        wait(counters, 1 - block, 1)
        seen[block] += 1

    launch(kernel, (2, 1), 1, 0, (np.zeros(2, np.int32), seen))
    assert seen.tolist() == [1, 1]


def test_a_barrier_among_blocks_holds_them_all():
    """What any thread wrote before it, every thread sees behind it; twice, with one counter."""
    written, seen = np.zeros(6), np.zeros(6)

    def kernel(written, seen, counters):
        thread = cuda.threadIdx.x
        me = cuda.blockIdx.x * 2 + thread
        written[me] = me + 1
        announce(counters, 0, thread)
        await_all(counters, 0, 3, thread)
        seen[me] = written.sum()
        announce(counters, 0, thread)
        await_all(counters, 0, 6, thread)
        written[me] = 0

    launch(kernel, (3, 1), 2, 0, (written, seen, np.zeros(32, np.int32)))
    assert seen.tolist() == [21] * 6
    assert not written.any()


def test_shared_memory_is_a_blocks_own_and_begins_as_no_number():
    found, fresh = np.zeros((2, 4)), np.zeros((2, 4))

    def kernel(found, fresh):
        shared = shared_memory(np.float64)
        thread, block = cuda.threadIdx.x, cuda.blockIdx.x
        fresh[block * 4 + thread] = shared[thread]
        cuda.syncthreads()
        shared[thread] = 10 * block + thread
        cuda.syncthreads()
        found[block * 4 + thread] = shared[(thread + 1) % 4]

    launch(kernel, (2, 1), 4, 32, (found, fresh))
    assert np.isnan(fresh).all()
    assert found.tolist() == [[1, 2, 3, 0], [11, 12, 13, 10]]


def test_the_first_error_ends_the_launch():
    def kernel(counters):
        if cuda.threadIdx.x == 1 and cuda.blockIdx.x == 1:
            raise ZeroDivisionError("on purpose")
        cuda.syncthreads()
        wait(counters, 0, 1)

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        launch(kernel, (2, 1), 3, 0, (np.zeros(1, np.int32),))
    assert threading.active_count() == before


@pytest.mark.parametrize("at", [1, 6, 8, -4])
def test_a_vector_begins_at_a_multiple_of_16_bytes(at):
    array = np.zeros(8, np.float32)
    with pytest.raises(IndexError, match=f"multiple of 4 within 8 numbers, got {at}"):
        load_vector(array, at)
    with pytest.raises(IndexError, match=f"multiple of 4 within 8 numbers, got {at}"):
        store_vector(array, at, (1, 2, 3, 4))


@pytest.mark.parametrize("left", [0, 10, -1, -2, -70])
def test_kept_code_is_whole_or_not_used(tmp_path, left):
    """PTX that was cut short would be loaded as it is, and every later call end in the driver's words."""
    path = tmp_path / "kernel.ptx"
    assert not is_whole(path)
    path.write_bytes(sealed(".visible .entry kernel()\n{\n}"))
    assert is_whole(path)
    assert entry(path.read_text()) == "kernel"
    path.write_bytes(path.read_bytes()[:left])
    assert not is_whole(path)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_a_relu_of_infinity(real):
    """0 of −∞, which times zero would be no number; and a NaN stays one."""
    found = [pointwise.relu(real(a)) for a in (-np.inf, -1.0, 0.0, 2.5, np.inf, np.nan)]
    np.testing.assert_array_equal(found, [0, 0, 0, 2.5, np.inf, np.nan])
    assert all((one * real(0.1)).dtype == real for one in found)


def test_the_first_of_two_that_are_equal():
    """Zeros are equal whatever their signs, and tell which one it was; a NaN in either place stays one."""
    zero = np.float32(0)
    for function in (pointwise.maximum, pointwise.minimum):
        assert not np.signbit(function(zero, -zero))
        assert np.signbit(function(-zero, zero))
        assert np.isnan([function(np.float32(np.nan), zero), function(zero, np.float32(np.nan))]).all()
    assert (pointwise.maximum(zero, zero + 1), pointwise.minimum(zero, zero + 1)) == (1, 0)
