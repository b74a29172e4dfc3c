"""Our jobs on OpenMP's threads: those that a library of OpenMP's has already made for the calling thread.

OpenMP keeps a team for each thread that calls it. After a parallel region the team's threads watch for the next one for
milliseconds, at their full pace, and only then sleep. A second pool beside them, ours, finds their cores taken, and its
own watching takes those of the next region. So where a program works with OpenMP's threads, our jobs had better be
regions of theirs: they are awake, at once, and nobody stands in anybody's way.

What is wanted of the library are three functions by address: GNU's entry to a region, which those of LLVM and Intel
have on Linux too, and the two that tell a thread its number and how many they are. Our regions have as many threads as
the others, or OpenMP would send some home and make them anew; who is not needed for a job has nothing to do in it.

OpenMP may give fewer threads than it was asked for (OMP_DYNAMIC, OMP_THREAD_LIMIT). A job that was cut for more is left
alone by all of them, and goes to our own pool. In a child of a fork there is nobody left of a team, and GNU's library
waits for them for ever; so a team is no longer to be asked there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from ..emitting.simd import INT, intrinsic
from .compiled import compiled, helper
from .threads import BETWEEN, LINE, call_job, exchange, fetch_add, peek, wait_until
from .ticks import ticks

AWAKE = 1e-3
"""Seconds after a region for which its threads are taken to watch: GNU's do for several, by default."""

JOB, ARGUMENTS, THREADS, NUMBER, COUNT = (8 * k for k in range(5))
"""Where the words are that all threads of a region read, in bytes."""

DONE, MEETING = (8 * LINE * k for k in (1, 2))
"""And where those are that they write to: how many are done, with the time waited for them, and a barrier's."""


class Library(NamedTuple):
    """Functions of an OpenMP, by address."""

    parallel: int  # void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags)
    number: int  # int omp_get_thread_num(void)
    threads: int  # int omp_get_num_threads(void)


@intrinsic
def _ask(typing: Any, function: Any) -> Any:
    """Call the function at an address, ``int function(void)``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.sext(builder.call(builder.inttoptr(values[0], kind.as_pointer()), []), INT)

    return types.int64(types.int64), generate


@intrinsic
def _call_parallel(typing: Any, parallel: Any, member: Any, words: Any, threads: Any) -> Any:
    """Have so many threads call the function at the address `member` with the address `words`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [INT, INT, word, word])
        function = builder.inttoptr(values[0], kind.as_pointer())
        builder.call(function, [values[1], values[2], builder.trunc(values[3], word), word(0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


def make_member() -> Callable[[int, int], None]:
    """Return what each thread of a region does, uncompiled."""

    def member(words: int, nothing: int) -> None:  # OpenMP hands over one argument; the second is not looked at
        threads, thread = peek(words + THREADS), _ask(peek(words + NUMBER))
        if thread >= threads or _ask(peek(words + COUNT)) < threads:
            return
        call_job(peek(words + JOB), thread, peek(words + ARGUMENTS))
        if thread > 0:
            fetch_add(words + DONE, 1)
        else:
            wait_until(words + DONE, threads - 1)

    return member


@helper
def _write(words: int, place: int, number: int) -> None:
    """Write a word."""
    exchange(words + place, number)


@helper
def _lead(parallel: int, member: int, words: int, count: int, meeting: int, groups: int) -> float:
    """Have a job done; return the share of the time that was waiting, or −1 where OpenMP gave too few threads."""
    begin, threads = ticks(), peek(words + THREADS)
    for k in range(groups + 1):
        exchange(meeting + BETWEEN * k, 0)
        exchange(meeting + BETWEEN * k + 8, 0)
    exchange(words + DONE, 0)
    exchange(words + DONE + 8, 0)
    _call_parallel(parallel, member, words, count)
    if peek(words + DONE) < threads - 1:
        return -1.0
    waited = peek(words + DONE + 8)
    for k in range(groups + 1):
        waited += peek(meeting + BETWEEN * k + 8)
    return waited / (max(1, ticks() - begin) * (threads - 1))


class OpenMP:
    """The team that OpenMP keeps for a thread.

    Parameters
    ----------
    library : Library
        The OpenMP of whoever else uses the team.
    count : int
        How many threads its regions have.
    """

    def __init__(self, library: Library, count: int):
        self.count, self._parallel = count, library.parallel
        self._room = np.zeros(4 * LINE, np.int64)
        self._words = self._room.ctypes.data + -self._room.ctypes.data % (8 * LINE)
        _write(self._words, NUMBER, library.number)
        _write(self._words, COUNT, library.threads)
        self._member = compiled(make_member).address
        self._asked = 0.0  # when there was last a job for it, or might have been one

    def awake(self) -> bool:
        """Return whether the threads have had a job of ours a moment ago, or nearly.

        What others have them do isn't known here; so the first of some jobs that come one after another is done alone.
        """
        before, self._asked = self._asked, monotonic()
        return self._asked - before < AWAKE

    def run(self, job: int, arguments: int, threads: int, meeting: int, groups: int) -> float | None:
        """Do a job; return the share of its time that was waiting, or None if OpenMP gave too few threads."""
        words = self._words
        _write(words, JOB, job)
        _write(words, ARGUMENTS, arguments)
        _write(words, THREADS, threads)
        meeting, count = meeting or words + MEETING, max(self.count, threads)
        waited = _lead(self._parallel, self._member, words, count, meeting, groups)
        self._asked = monotonic()
        return None if waited < 0 else waited


_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


def forked() -> bool:
    """Return whether this process is the child of a fork, in which no team must be asked."""
    return _forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
