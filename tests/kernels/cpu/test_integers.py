"""Integers under construction: what is written down computes what the same lines compute on Python's integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import carray, njit

from kernels.cpu.emitting.integers import greatest, least, pick, where, word_at, written
from kernels.cpu.emitting.simd import Lanes
from kernels.cpu.loops.job import JOB, Job, job_at
from kernels.cpu.loops.layout import MemoryLayout
from kernels.cpu.loops.parts import Panel
from kernels.cpu.recurrence import CELLS as KERNEL_CELLS

GATES = (2, 0, 3, 1)


class Two(NamedTuple):
    """What a function may take and return besides an integer."""

    a: int
    b: int


def everything(a: int, b: int, two: Two) -> Two:
    """Use every operator and helper."""
    high = where(a > b, two.a - 3, two.b * 5)
    total = 2 * a + b // 7 - (5 + a % 3) + least(a, b) * greatest(b, 4)
    return Two(total + pick(GATES, a % 4) - pick((0, 1, 2, 3), b % 4), where(a < b, high, high * 2))


in_machine_code = written(everything)


@njit
def run_everything(a, b, c, d):
    found = in_machine_code(a, b, Two(c, d))
    return found.a, found.b


small = st.integers(0, 10**6)


@settings(deadline=None)
@given(a=small, b=small, c=small, d=small)
def test_every_operator(a, b, c, d):
    assert run_everything(a, b, c, d) == everything(a, b, Two(c, d))


def test_a_word_in_memory():
    @written
    def second(address: int) -> int:
        return word_at(address + 8)

    @njit
    def run(address):
        return second(address)

    words = np.array([3, 5, 7])
    assert run(words.ctypes.data) == 5


def test_a_function_of_nothing_returned():
    seen = []

    @written
    def note(number: int) -> None:
        seen.append(number)

    @njit
    def run():
        for k in range(3):
            note(k)

    run()
    assert len(seen) == 1  # run once, at compile time, for a place that is passed three times


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru"])
def test_a_layout_is_that_of_plain_integers(name):
    """A job is read from memory: each number by its name."""
    layout = MemoryLayout(KERNEL_CELLS[name], Lanes("float32", 16))
    tape = written(layout.tape)

    @njit
    def run(address, row, number, first, vectors):
        job = carray(job_at(address), 1)[0]
        return tape(job, row, Panel(number, first, vectors))

    job = Job(*range(101, 101 + len(Job._fields)))
    memory = np.array(job, np.int64)
    assert memory.nbytes == JOB.itemsize
    expected = layout.tape(job, 5, Panel(1, 4, 4))
    assert expected.at == job.kept + (4 * job.N + 5) * len(KERNEL_CELLS[name].kept) * 16
    assert run(memory.ctypes.data, 5, 1, 4, 4) == expected
