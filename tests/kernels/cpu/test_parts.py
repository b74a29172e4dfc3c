"""The parts that the CPU kernels stand on: rows, memory, plan."""

from __future__ import annotations

import gc
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.contract import CELLS
from kernels.cpu import plan, recurrence, shapes
from kernels.cpu.emitting.microkernel import max_rows
from kernels.cpu.emitting.simd import WIDTHS, Lanes
from kernels.cpu.loops.forward import max_panel
from kernels.cpu.running import memory, rows

ragged = st.integers(1, 8).flatmap(lambda T: st.tuples(st.just(T), st.lists(st.integers(1, T), min_size=1, max_size=9)))


@given(drawn=ragged)
def test_rows_are_those_that_a_plain_loop_finds(drawn):
    T, lengths = drawn[0], np.array(drawn[1])
    B = len(lengths)
    found = rows.running(T, B, lengths)
    order = sorted(range(B), key=lambda b: -lengths[b])  # stable, so equal ones stay in the caller's order
    packed = [(t, b) for t in range(T) for b in order if lengths[b] > t]
    assert found.ragged == (min(lengths) < T)
    assert list(found.order) == order
    assert list(found.steps) == [lengths[b] for b in order]
    assert list(found.offsets) == [sum(s < t for s, _ in packed) for t in range(T + 1)]
    assert found.count == len(packed)
    assert (found.offsets_at, found.order_at) == (found.offsets.ctypes.data, found.order.ctypes.data)

    sequence = np.arange(T * B * 2.0).reshape(T, B, 2)
    flat = found.packed(sequence)
    assert flat.flags.c_contiguous
    np.testing.assert_array_equal(flat, [sequence[t, b] for t, b in packed])
    valid = np.arange(T)[:, None, None] < lengths[:, None]
    np.testing.assert_array_equal(found.unpacked(flat, T, B), np.where(valid, sequence, 0))
    if found.ragged:  # the row of the states before (t, b): the initial one, or where step t − 1 put it
        before = [order.index(b) if t == 0 else B + packed.index((t - 1, b)) for t, b in packed]
        assert list(found.before) == before


@given(drawn=ragged)
def test_states_are_sorted_and_back_again(drawn):
    T, lengths = drawn[0], np.array(drawn[1])
    found, state = rows.running(T, len(lengths), lengths), np.arange(2.0 * len(lengths)).reshape(-1, 2)
    back = found.unsorted(found.sorted(state))
    np.testing.assert_array_equal(found.sorted(state), state[found.order])
    np.testing.assert_array_equal(back, state)
    assert not np.shares_memory(back, state)


def test_rows_of_a_sequence_that_is_not_contiguous():
    sequence = np.arange(24.0).reshape(4, 3, 2).swapaxes(0, 1)
    np.testing.assert_array_equal(rows.running(3, 4, None).packed(sequence), sequence.reshape(12, 2))


@given(sizes=st.lists(st.integers(1, 1 << 20), max_size=12))
def test_blocks_begin_at_cache_lines_and_share_nothing(sizes):
    blocks = [memory.take(size) for size in sizes]
    for block, size in zip(blocks, sizes, strict=True):
        assert block.address % memory.ALIGNMENT == 0
        assert size <= block.size <= max(memory.ALIGNMENT * -(-size // memory.ALIGNMENT), 1.125 * size)
    spans = sorted((block.address, block.address + block.size) for block in blocks)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_a_block_that_was_given_back_is_used_again():
    size = 7_654_321  # no other test has one like it
    block = memory.take(size)
    address, room = block.address, block.size
    other = memory.take(size)
    assert other.address != address
    del block
    gc.collect()
    again = memory.take(room)  # whatever is rounded up to the same room
    assert again.address == address
    assert other.address != address


def test_no_more_is_held_than_a_limit(monkeypatch):
    monkeypatch.setattr(memory, "KEPT", 3 << 16)
    store = memory._Store()
    blocks = [memory.Block(store.take(1 << 16), store.given) for _ in range(9)]
    del blocks
    gc.collect()
    store.take(1 << 10)
    assert store._bytes <= memory.KEPT


def test_a_view_is_that_part_of_the_block():
    block = memory.take(4096)
    view = block.view(64, (3, 5), "float32")
    view[:] = 7
    assert view.ctypes.data == block.address + 64
    assert (block.view(64, (15,), "float32") == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constants(dtype):
    block = memory.constant(1, dtype, 37)
    assert (block.view(0, (37,), dtype) == 1).all()
    assert memory.constant(1, dtype, 37) is block


def test_parts_lie_one_behind_another_at_cache_lines():
    parts = shapes.Parts(a=1, b=64, c=65, d=0)
    assert dict(parts) == {"a": 0, "b": 64, "c": 128, "d": 256}
    assert parts.size == 256


size = st.one_of(st.integers(1, 40), st.integers(1, 1100))


@given(
    name=st.sampled_from(tuple(CELLS)), dtype=st.sampled_from(("float32", "float64")), width=st.sampled_from(WIDTHS),
    T=st.integers(1, 600), B=st.one_of(st.integers(1, 40), st.integers(1, 600)), I=size, H=size,
    count=st.integers(1, 255), valid=st.floats(0, 1),
)  # fmt: skip
def test_a_plan_keeps_within_its_bounds(name, dtype, width, T, B, I, H, count, valid):
    cell, lanes = recurrence.CELLS[name], Lanes(dtype, width)
    N = max(B, int(valid * T * B))
    made = plan.make_plan(cell, lanes, T, B, N, I, H, count)
    vectors, columns = math.ceil(H / lanes.count), math.ceil(I / lanes.count)
    assert 1 <= made.groups * made.members <= count
    assert 1 <= made.panel <= min(vectors, max_panel(cell))
    assert 1 <= made.back_panel <= min(vectors, 4)
    assert 1 <= made.dx_panel <= min(columns, 4)
    assert made.members <= min(math.ceil(vectors / made.panel), math.ceil(vectors / made.back_panel))
    assert made.groups <= made.tiles <= B
    tallest = max(B * (k + 1) // made.tiles - B * k // made.tiles for k in range(made.tiles))
    assert tallest <= max_rows(lanes, len(cell.from_x) * made.panel)
    assert tallest <= max_rows(lanes, len(cell.from_h) * made.panel)
    assert tallest <= max_rows(lanes, made.back_panel)
    assert 0 <= made.chunk <= T
    assert 1 <= made.steps <= T
    assert made.steps == 1 or made.steps * B < plan.SUM + B  # no more than fit, and one
    # The order in which numbers are added must not know the threads: of these, only `steps` is an order.
    assert made.steps == plan.make_plan(cell, lanes, T, B, N, I, H, 1).steps
