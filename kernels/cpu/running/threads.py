"""The threads that share a layer's work, and the barrier between its steps.

numba's own parallel regions don't fit a recurrence. A step waits for the step before, so either every step is a region
of its own (tens of µs each), or the threads of one region meet at a barrier, and then all of them must really be
running: TBB promises no such thing, OpenMP ends a process that forks, and the third of numba's pools ends one that uses
it from two threads.

So this one is made for the purpose, and small. Workers are Python threads that have left the interpreter (`nogil`):

- *Awake*, a worker watches a counter in memory. A job reaches it within a microsecond.
- After `PATIENCE` turns without one it returns to Python and sleeps on a lock; to wake it takes 30 µs, 0.6 ms where
  the core, too, has gone to sleep, and several where it is a virtual machine's. So a short job doesn't wait for a
  sleeper: it is done alone. Where such jobs come one soon after another, workers are woken for the next one.
- A job is a compiled function and an address. All threads call it with their own number; number 0 is the caller.
- One job at a time. Whoever finds the pool busy, or is himself a worker, does his whole job alone: results don't depend
  on the number of threads, so nobody can tell.
- After a fork the child has no workers; it makes its own when it needs them.

The number of threads is numba's (`numba.set_num_threads`, NUMBA_NUM_THREADS), unless the calling thread is `within`
somebody else's: then it is theirs, and where they have a team of threads (teams.py), these do the jobs.
"""

from __future__ import annotations

import atexit
import os
import platform
import threading
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.np.ufunc import parallel

from ..emitting.simd import INT, declared, intrinsic
from .compiled import helper
from .ticks import ticks
from .turns import Turn, Turns

_config: Any = numba.config

PATIENCE = 100_000
"""Turns of watching before a worker goes to sleep: 0.5 ms on Cascade Lake, more where a pause takes longer."""

TURNS = 1000
"""Of waiting, after which a thread offers its core."""

LATE = 2e-3
"""Seconds of waiting in a job from which on it is asked whether it was worth it: no worker wakes up so slowly."""

WORTH = 0.4
"""Share of a job that a thread may wait for others: two that wait half of the time do no more than one alone."""

LEAST = 2_000_000
"""Floating-point operations, as long as some 10 µs, below which a second thread costs more than it brings."""

SMALL = 20_000_000
"""Operations, as long as some 0.1 ms, below which it does so if it sleeps, and would have to be waited for."""

SOON = 0.35e-3
"""Seconds between two jobs of a size between those two, within which workers are woken for the next.

It is less than their patience: woken for jobs that come more rarely, they would sleep again before each, for nothing.
"""

RETREAT = 0.1
"""Seconds for which all work stays on the calling thread when it was not: other programs have the cores."""

NAP = 1.0
"""Seconds after which a sleeping worker looks by himself."""

LINE = 16
"""Words of 8 bytes in a cache line and the neighbour that processors fetch along with it."""

BETWEEN = 8 * LINE
"""Bytes from the word of one barrier to that of the next."""

CALL, JOB, ARGUMENTS, DONE, AWAKE, MEETING, SLEEPERS = (8 * LINE * k for k in range(7))
"""Where a pool's words are, in bytes; at SLEEPERS there is one for every thread."""

MOST = 256
"""CALL holds the number of the call times MOST, plus the threads that it is meant for, so that one look tells both."""


def _pointer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, ir.PointerType())


@intrinsic
def fetch_add(typing: Any, address: Any, number: Any) -> Any:
    """Add to a word in memory and return what it was before."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, arguments[0]), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def exchange(typing: Any, address: Any, number: Any) -> Any:
    """Write a word in memory and return what it was before."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("xchg", _pointer(builder, arguments[0]), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def peek(typing: Any, address: Any) -> Any:
    """Return a word in memory that another thread writes to."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(builder, arguments[0]), "seq_cst", 8, typ=INT)

    return types.int64(types.int64), generate


@intrinsic
def pause(typing: Any) -> Any:
    """Tell the processor that this thread is only waiting."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        if platform.machine().lower() in ("x86_64", "amd64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(declared(builder.module, "llvm.x86.sse2.pause", kind), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def call_job(typing: Any, job: Any, thread: Any, arguments: Any) -> Any:
    """Call the compiled function at an address: ``void job(int64 thread, int64 arguments)``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [INT, INT])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


offer_core: Any = types.ExternalFunction("SwitchToThread" if os.name == "nt" else "sched_yield", types.int32())
"""Let another thread of the machine run, if one is waiting for a core."""


@helper
def wait_until(address: int, number: int) -> None:
    """Return when a word in memory has reached a number; add the time of a long wait to the word after it."""
    turns, since = 0, 0
    while peek(address) < number:
        pause()
        turns += 1
        if turns % TURNS == 0:
            since = since or ticks()
            offer_core()
    if since > 0:
        fetch_add(address + 8, ticks() - since)


@helper
def barrier(address: int, threads: int) -> None:
    """Return when all `threads` have come here; the word at the address is 0 before the first time, and only grows."""
    before = fetch_add(address, 1)
    wait_until(address, (before // threads + 1) * threads)


@helper
def _serve(memory: int, thread: int, seen: int, patience: int) -> int:
    """Do jobs as they come; return the last call seen when there was none to do for a while."""
    turns = 0
    while turns < patience:
        call = peek(memory + CALL)
        if call == seen:
            pause()
            turns += 1
            continue
        if thread < call % MOST:
            call_job(peek(memory + JOB), thread, peek(memory + ARGUMENTS))
            fetch_add(memory + DONE, 1)
            turns = 0
        seen = call
    return seen


@helper
def _asleep(memory: int, threads: int) -> int:
    """Return how many of the first `threads` sleep."""
    asleep = 0
    for thread in range(1, threads):
        asleep += peek(memory + SLEEPERS + 8 * LINE * thread)
    return asleep


@helper
def _call_up(memory: int, threads: int) -> int:
    """Let none of the first `threads` lie down from now on; return how many already sleep, and have to be woken."""
    exchange(memory + AWAKE, threads)
    return _asleep(memory, threads)


@helper
def _swap(address: int, number: int) -> int:
    """Write a word in memory and return what it was."""
    return exchange(address, number)


@helper
def _look(address: int) -> int:
    """Return a word in memory."""
    return peek(address)


@helper
def _lead(memory: int, job: int, arguments: int, threads: int, meeting: int, groups: int) -> float:
    """Put a job before the workers, do the caller's share, and wait; return the share of the time that was waiting."""
    begin = ticks()
    for k in range(groups + 1):
        exchange(meeting + BETWEEN * k, 0)
        exchange(meeting + BETWEEN * k + 8, 0)
    exchange(memory + JOB, job)
    exchange(memory + ARGUMENTS, arguments)
    exchange(memory + DONE, 0)
    exchange(memory + DONE + 8, 0)
    exchange(memory + CALL, (peek(memory + CALL) // MOST + 1) * MOST + threads)
    call_job(job, 0, arguments)
    wait_until(memory + DONE, threads - 1)
    exchange(memory + AWAKE, 0)
    waited = peek(memory + DONE + 8)
    for k in range(groups + 1):
        waited += peek(meeting + BETWEEN * k + 8)
    return waited / (max(1, ticks() - begin) * (threads - 1))


@helper
def _alone(job: int, arguments: int) -> None:
    """Do a job that was cut for one thread."""
    call_job(job, 0, arguments)


class Pool:
    """Workers, and one job at a time.

    A word of its memory says whether a worker sleeps. He writes it before he lies down, and whoever takes it back, the
    caller who needs him or the worker who has thought better of it, has him: so none is left asleep, or woken twice.
    """

    def __init__(self) -> None:
        self.turns = Turns()  # had by whoever has a job done
        self.retreat_until = 0.0
        self._late = False  # the job before this one waited too long
        self._asked = 0.0  # when somebody last asked whether workers are awake
        self._room = np.zeros(SLEEPERS // 8 + LINE * MOST + LINE, np.int64)
        self._memory = self._room.ctypes.data + -self._room.ctypes.data % (8 * LINE)
        self._beds: list[threading.Lock] = []  # of thread 1, 2, …
        self.closed = False

    def run(self, job: int, arguments: int, threads: int, meeting: int, groups: int) -> None:
        """Let `threads` threads do a job that was cut for so many; the caller has the turn.

        Workers are woken first, and only then is there a job: an interrupt (Ctrl-C) in between leaves nobody waiting at
        a barrier for a caller who has gone. From the job's beginning to its end the caller is in compiled code.

        A job that waits too long for the others tells that other programs have the cores. One who had to be woken may
        come late for other reasons, once.
        """
        woken = self._hire_up_to(threads)
        try:
            if _call_up(self._memory, threads):
                woken = True
                self._wake_up_to(threads)
            meeting = meeting or self._memory + MEETING
            begin = monotonic()
            waited = _lead(self._memory, job, arguments, threads, meeting, groups)
        except BaseException:
            _swap(self._memory + AWAKE, 0)
            raise
        self.judge(waited, monotonic() - begin, woken)

    def judge(self, waited: float, seconds: float, woken: bool) -> None:
        """Take note of a job: how long it took, the share of it that was waiting, whether somebody had to be woken."""
        late = waited > WORTH and waited * seconds > LATE
        if late and (self._late or not woken):
            self.retreat_until = monotonic() + RETREAT
        self._late = late

    def awake(self, threads: int) -> bool:
        """Return whether no worker has to be woken for a job of so many threads; the caller has the turn.

        Who asks again soon has them woken, and will be told so by the time that they are up.
        """
        before, self._asked = self._asked, monotonic()
        if len(self._beds) >= threads - 1 and not _asleep(self._memory, threads):
            return True
        if self._asked - before < SOON:
            with suppress(RuntimeError):  # no thread can be started, and none is needed
                self._hire_up_to(threads)
                self._wake_up_to(threads)
        return False

    def close(self) -> None:
        """Send the workers home."""
        self.closed = True
        for thread in range(1, len(self._beds) + 1):
            self._wake(thread)

    def _sleeper(self, thread: int) -> int:
        return self._memory + SLEEPERS + 8 * LINE * thread

    def _wake(self, thread: int) -> None:
        with suppress(RuntimeError):  # he has not lain down yet, or has got up by himself
            self._beds[thread - 1].release()

    def _wake_up_to(self, threads: int) -> None:
        """Wake those of the first `threads` that sleep."""
        for thread in range(1, threads):
            if _swap(self._sleeper(thread), 0):
                self._wake(thread)

    def _hire_up_to(self, threads: int) -> bool:
        """Have so many threads, and return whether some are new."""
        new = len(self._beds) < threads - 1
        while len(self._beds) < threads - 1:
            self._hire()
        return new

    def _hire(self) -> None:
        _serve(self._memory, MOST, 0, 0)  # what a worker calls is compiled here: what fails must not fail in him
        _swap(self._sleeper(len(self._beds) + 1), 0)
        bed = threading.Lock()
        bed.acquire()
        arguments = (len(self._beds) + 1, bed, _look(self._memory + CALL))
        worker = threading.Thread(target=self._work, args=arguments, name="rnn_core", daemon=True)
        self._beds.append(bed)
        try:
            worker.start()
        except RuntimeError:  # there are too many threads already, and nobody lies in this bed
            self._beds.pop()
            raise

    def _work(self, thread: int, bed: threading.Lock, seen: int) -> None:
        while not self.closed:
            seen = _serve(self._memory, thread, seen, PATIENCE)
            _swap(self._sleeper(thread), 1)
            nothing_to_do = _look(self._memory + CALL) == seen and _look(self._memory + AWAKE) <= thread
            if nothing_to_do or not _swap(self._sleeper(thread), 0):
                bed.acquire(timeout=NAP)  # not for ever: an interrupt may have come between the word and the release
                _swap(self._sleeper(thread), 0)


_pool = Pool()


def _renew() -> None:
    """Begin anew in the child of a fork: it has none of the workers."""
    global _pool
    _pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
atexit.register(lambda: _pool.close())


class Team(Protocol):
    """Threads of somebody else's, which do a job when the thread that they belong to calls."""

    def awake(self) -> bool:
        """Return whether they are likely to be awake, as far as it can be told."""

    def run(self, job: int, arguments: int, threads: int, meeting: int, groups: int) -> float | None:
        """Do a job as `Pool.run`; return the share of its time that was waiting, or None if there are too few."""


class _Here(threading.local):
    """Whose threads the calling thread works with."""

    count = 0  # numba's
    team: Team | None = None


_here = _Here()


class within:
    """``with within(count, team):`` the caller's jobs have at most `count` threads, those of a team if there is one."""

    __slots__ = ("_count", "_team")

    def __init__(self, count: int, team: Team | None = None):
        self._count, self._team = count, team

    def __enter__(self) -> None:
        self._count, _here.count = _here.count, self._count
        self._team, _here.team = _here.team, self._team

    def __exit__(self, *error: object) -> None:
        _here.count, _here.team = self._count, self._team


def _thread_count() -> int:
    """Return numba's number of threads; to ask numba itself would start its own pool, if nobody has before."""
    if _here.count:
        return _here.count
    return numba.get_num_threads() if parallel._is_initialized else _config.NUMBA_NUM_THREADS


def is_least(work: float) -> bool:
    """Return whether some work (floating-point operations) is one thread's whatever the others do."""
    return work < LEAST


class share:
    """``with share(work) as count``: hold the pool for some work (floating-point operations), with `count` threads."""

    __slots__ = ("_turn", "_work")

    def __init__(self, work: float):
        self._work = work
        self._turn: Turn | None = None

    def __enter__(self) -> int:
        pool, team, count = _pool, _here.team, min(_thread_count(), MOST - 1)
        alone = count == 1 or is_least(self._work) or pool.closed or monotonic() < pool.retreat_until
        self._turn = None if alone else pool.turns.take()
        if self._turn is not None and self._work < SMALL and not (pool.awake(count) if team is None else team.awake()):
            self._turn = None
        return 1 if self._turn is None else count

    def __exit__(self, *error: object) -> None:
        self._turn = None


def run(job: int, arguments: int, threads: int, meeting: int = 0, groups: int = 0) -> None:
    """Let `threads` threads, not more than `share` has given, do a job that was cut for so many.

    Parameters
    ----------
    job, arguments : int
        Address of a compiled function ``void job(int64 thread, int64 arguments)``, and what it is called with.
    threads : int
        Each calls the job with its own number.
    meeting, groups : int
        Address of the words of 1 + groups barriers, `BETWEEN` bytes apart, to be set to 0 before; 0 without any.
    """
    if threads == 1:
        _alone(job, arguments)
        return
    if (team := _here.team) is not None:
        begin = monotonic()
        waited = team.run(job, arguments, threads, meeting, groups)
        if waited is not None:
            _pool.judge(waited, monotonic() - begin, woken=True)
            return
    _pool.run(job, arguments, threads, meeting, groups)
