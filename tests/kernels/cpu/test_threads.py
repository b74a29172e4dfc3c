"""Threads of the CPU kernels: the same bits for any number of them, and nobody who waits for ever.

What hangs in compiled code can't be interrupted, so whatever might is run in a process of its own.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
import warnings

import numba
import numpy as np
import pytest
from numba import carray

from kernels import cpu
from kernels.contract import CELLS
from kernels.cpu.emitting.addresses import make_pointer
from kernels.cpu.emitting.simd import PAIRS, ROUNDED
from kernels.cpu.running import packing, threads, turns
from kernels.cpu.running.compiled import compiled
from tests.cases import Case
from tests.conformance import assert_same_bits, outputs, run, snapshot
from tests.kernels.cpu.setup import DOT, in_a_process, keeps_subnormals, settings

WAYS = (ROUNDED, PAIRS) if DOT else (ROUNDED,)
"""To bfloat16."""

FOUR = {"NUMBA_NUM_THREADS": "4"}
LENGTHS = tuple(1 + b * 3 % 5 for b in range(19))
CASES: tuple[tuple[Case, dict[str, int]], ...] = (
    (Case("rows", T=5, B=19, I=7, H=40), {"SUM": 40}),
    (Case("rows-ragged", T=5, B=19, I=7, H=40, lengths=LENGTHS), {"SUM": 40}),
    (Case("units", T=5, B=2, I=7, H=210), {}),
    (Case("units-ragged", T=5, B=3, I=7, H=210, lengths=(2, 5, 1)), {"SUM": 6}),
    (Case("far", T=5, B=19, I=7, H=210, lengths=LENGTHS), {"NEAR": 1, "SUM": 40, "AHEAD": 40}),
)


class Observed(threads.Pool):
    """A pool that notes how many threads each of its jobs had."""

    def __init__(self):
        super().__init__()
        self.counts = []

    def run(self, job, arguments, threads, meeting, groups):
        self.counts.append(threads)
        super().run(job, arguments, threads, meeting, groups)


def observe() -> Observed:
    """Let every job have all its threads, however small it is and however busy the machine; and watch."""
    threads.LEAST = threads.SMALL = 0
    threads.LATE = 1e9
    pool = threads._pool = Observed()
    return pool


@contextlib.contextmanager
def held(pool):
    """Have the pool, as whoever has a job done."""
    turn = pool.turns.take()
    assert turn is not None
    yield


def all_results(cell, problem):
    arguments = problem.params, problem.x, problem.state0, problem.lengths
    inferred = outputs(problem, *cell.infer(*arguments))
    return snapshot(run(cell, problem) | {f"inferred {name}": value for name, value in inferred.items()})


def same_bits():
    pool = observe()
    for name in CELLS:
        for dtype, way in (("float32", None), ("float64", None), *(("bfloat16", way) for way in WAYS)):
            for case, of_plan in CASES:
                problem = case.problem(name, dtype)
                cell = cpu.cell(name, problem.precision)
                with settings(rounded=way, **of_plan):
                    numba.set_num_threads(1)
                    pool.counts.clear()
                    expected = all_results(cell, problem)
                    assert not pool.counts
                    for count in (2, 3, 4):
                        numba.set_num_threads(count)
                        assert_same_bits(all_results(cell, problem), expected)
                        assert set(pool.counts) == {count}, (name, dtype, case.name, pool.counts)
                        assert len(pool.counts) >= 3  # infer, there, back; and where panels are large, making them
                        pool.counts.clear()


def test_the_number_of_threads_changes_no_bit():
    in_a_process(same_bits, **FOUR)


def make_meetings():
    """Return a job in which threads meet often, and each looks whether the others have come as far as it has."""
    words = make_pointer(np.int64)

    def meetings(thread, address):
        at = carray(words(address), 8)
        count, times = at[0], at[1]
        for turn in range(times):
            at[2 + thread] = turn + 1
            threads.barrier(at[7], count)
            for other in range(count):
                if at[2 + other] != turn + 1:
                    at[6] += 1
            threads.barrier(at[7], count)

    return meetings


def many_meetings():
    pool = observe()
    job = compiled(make_meetings).address
    for count in (2, 3, 4, 2, 4):
        meeting = np.zeros(4 * threads.BETWEEN // 8, np.int64)
        arguments = np.array([count, 500, 0, 0, 0, 0, 0, meeting.ctypes.data], np.int64)
        with held(pool):
            pool.run(job, arguments.ctypes.data, count, meeting.ctypes.data, 1)
        assert list(arguments[2 : 2 + count]) == [500] * count
        assert arguments[6] == 0
        assert meeting[0] == 1000 * count
    assert pool.counts == [2, 3, 4, 2, 4]


def test_threads_wait_for_one_another(tmp_path):
    """More of them than there are cores, too."""
    in_a_process(many_meetings, **FOUR, NUMBA_CACHE_DIR=str(tmp_path))


def make_late():
    """Return a job, uncompiled, in which the second thread has something to do for a while, and the first nothing."""
    words_at = make_pointer(np.int64)

    def late(thread, address):
        at = carray(words_at(address), 2)
        for turn in range(thread * 3_000_000):
            threads.exchange(address, turn)
        at[1] = 1

    return late


@pytest.mark.parametrize("limit, retreats", [(0, True), (1e9, False)])
def test_work_stays_on_one_thread_for_a_while_after_it_has_waited_in_vain(limit, retreats, monkeypatch):
    pool, words = threads.Pool(), np.zeros(2, np.int64)
    monkeypatch.setattr(threads, "LATE", limit)
    with held(pool):
        for again in (False, True):
            words[:] = 0
            pool.run(compiled(make_late).address, words.ctypes.data, 2, 0, 0)
            assert words[1] == 1
            assert (pool.retreat_until > 0) == (retreats and again)  # who is new, or was asleep, may be late once
    pool.close()


def problems():
    """Return problems that are worth several threads, and what comes out of each without any others."""
    names = ("lstm", "gru", "rnn_tanh", "rnn_relu")
    made = [(cpu.cell(name), Case(f"many {k}", T=6, B=17, I=8, H=40).problem(name, "float32")) for k, name in
            enumerate(names)]  # fmt: skip
    return [(cell, problem, all_results(cell, problem)) for cell, problem in made]


def many_callers():
    observe()
    made = problems()

    def call(k):
        cell, problem, expected = made[k % len(made) if k < 80 else 0]
        assert_same_bits(all_results(cell, problem), expected)

    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        list(callers.map(call, range(160)))
    assert not threads._pool.turns.taken()


@pytest.mark.parametrize("count", ["1", "2", "4"])
def test_many_callers_at_once(count):
    """On several layers, and then on one whose panels they all want."""
    in_a_process(many_callers, NUMBA_NUM_THREADS=count)


def while_weights_change():
    """Each caller has weights of its own, and changes them before each call."""
    observe()

    def call(k):
        problem = Case(f"own {k}", T=3, B=17, I=8, H=40).problem("gru", "float32")
        for _ in range(10):
            problem.params.weight_hh[...] *= 0.99
            found = all_results(cpu.cell("gru"), problem)
            copied = problem.map(np.copy)
            assert_same_bits(all_results(cpu.cell("gru"), copied), found)

    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        list(callers.map(call, range(8)))


def test_many_callers_with_weights_that_change():
    in_a_process(while_weights_change, **FOUR)


def in_a_fork(check):
    """Run a function in a forked child, and fail where it fails or has not ended after half a minute."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads that forks: here on purpose
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)  # ends the child even where it waits in compiled code
        try:
            check()
        except BaseException as error:  # noqa: BLE001  (the child must end here, whatever happens)
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status), f"the child of a fork was ended by signal {os.WTERMSIG(status)}; 14: it hung"
    assert status == 0


def after_fork():
    pool = observe()
    made = problems()
    assert 4 in pool.counts

    def check():
        for cell, problem, expected in made:
            assert_same_bits(all_results(cell, problem), expected)
        assert threads._pool is not pool
        assert threads._pool._beds  # workers of its own
        in_a_fork(grandchild)

    def grandchild():
        assert_same_bits(all_results(*made[0][:2]), made[0][2])

    in_a_fork(check)
    with held(pool):  # as another thread may hold it at that moment
        in_a_fork(check)
    check_here = [all_results(cell, problem) for cell, problem, _ in made]
    for found, (_, _, expected) in zip(check_here, made, strict=True):
        assert_same_bits(found, expected)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_after_a_fork():
    in_a_process(after_fork, **FOUR)


def fork_while_packing():
    """Fork while another thread is just making panels of the weights that the child wants too."""
    observe()
    cell, problem, expected = problems()[0]
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with contextlib.ExitStack() as locks:
            for seen in packing._SEEN.values():
                locks.enter_context(seen.lock)
            held.set()
            go_on.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        in_a_fork(lambda: assert_same_bits(all_results(cell, problem), expected))
    finally:
        go_on.set()
        holder.join()


@needs_fork
def test_a_fork_while_another_thread_packs():
    in_a_process(fork_while_packing, **FOUR)


def in_worker_processes():
    made = problems()
    for method in ("fork", "spawn"):
        if method not in multiprocessing.get_all_start_methods():
            continue
        context = multiprocessing.get_context(method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            with concurrent.futures.ProcessPoolExecutor(1, context) as workers:
                found = list(workers.map(all_results, *zip(*[(c, p) for c, p, _ in made[:2]], strict=True)))
        for results, (_, _, expected) in zip(found, made, strict=False):
            assert_same_bits(results, expected)


def test_in_processes_of_a_pool():
    in_a_process(in_worker_processes)


MOMENTS = 37
"""Times from the beginning of some calls to an interrupt, from 0.1 to 1.5 ms."""


def interrupted():
    """Send Ctrl-C at any moment of many calls; each ends, or is interrupted, and the next one is right."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    pool = observe()
    cell, problem, expected = problems()[0]
    interrupts = 0
    for turn in range(12 * MOMENTS):
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 + turn % MOMENTS * 4e-5)
                for _ in range(20):
                    run(cell, problem)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupts += 1
        assert keeps_subnormals()  # no thread's control word is left as a job needs it
    assert interrupts >= MOMENTS
    assert_same_bits(all_results(cell, problem), expected)
    pool.counts.clear()
    assert_same_bits(all_results(cell, problem), expected)
    assert pool.counts == [4] * 3  # nobody still holds the pool


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer that sends signals")
def test_an_interrupt_leaves_the_pool_as_it_was():
    in_a_process(interrupted, **FOUR)


def test_an_interrupt_at_any_line_leaves_no_turn(monkeypatch):
    """Ctrl-C may come wherever Python is between two lines: before and behind what takes the pool, too."""
    pool = threads.Pool()
    monkeypatch.setattr(threads, "_pool", pool)
    monkeypatch.setattr(threads, "_thread_count", lambda: 4)
    places, files = 0, (threads.__file__, turns.__file__)
    while True:
        left = places

        def interrupt(frame, event, argument):
            nonlocal left
            if frame.f_code.co_filename not in files:
                return None
            if event in ("line", "return"):
                left -= 1
                if left == -1:
                    raise KeyboardInterrupt
            return interrupt

        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            with threads.share(threads.SMALL) as count:
                assert count == 4
        except KeyboardInterrupt:
            places += 1
        else:
            break
        finally:
            sys.settrace(before)
        assert not pool.turns.taken(), places
    assert places > 10  # or it has not been interrupted at all
    pool.close()


def no_more_threads():
    """The system refuses a thread once: an error then, and no worker that is waited for later though it isn't there."""
    pool = observe()
    start = threading.Thread.start

    def refuse(self):
        raise RuntimeError("can't start new thread")

    cell, problem = cpu.cell("gru"), Case("refused", T=3, B=17, I=8, H=40).problem("gru", "float32")
    threading.Thread.start = refuse
    try:
        refused = all_results(cell, problem)
    except RuntimeError:
        refused = None
    finally:
        threading.Thread.start = start
    found = all_results(cell, problem)
    numba.set_num_threads(1)
    assert_same_bits(found, all_results(cell, problem))
    if refused is not None:
        assert_same_bits(refused, found)
    assert not pool.turns.taken()


def test_a_thread_that_can_not_be_started():
    in_a_process(no_more_threads, limit=60, **FOUR)


def test_whoever_finds_the_pool_busy_works_alone(monkeypatch):
    pool = Observed()
    monkeypatch.setattr(threads, "_pool", pool)
    monkeypatch.setattr(threads, "LEAST", 0)
    monkeypatch.setattr(threads, "SMALL", 0)
    problem = Case("busy", T=3, B=17, I=8, H=40).problem("lstm", "float64")
    with held(pool):
        with threads.share(1e12) as count:
            assert count == 1
        found = all_results(cpu.cell("lstm"), problem)
    assert pool.counts == []
    assert_same_bits(all_results(cpu.cell("lstm"), problem), found)
    pool.close()


def test_a_short_job_waits_for_no_sleeper(monkeypatch):
    """It is done alone; where another one follows soon, workers are woken, and that one is shared if they are up."""
    pool, clock = threads.Pool(), iter(range(1000))
    monkeypatch.setattr(threads, "_pool", pool)
    monkeypatch.setattr(threads, "_thread_count", lambda: 3)
    monkeypatch.setattr(threads, "monotonic", lambda: 10.0 + next(clock))
    monkeypatch.setattr(threads, "SOON", 0.5)

    def count_of(work):
        with threads.share(work) as count:
            return count

    assert count_of(threads.LEAST) == count_of(threads.SMALL - 1) == 1
    assert pool._beds == []  # nobody was woken: the clock goes a second further each time it is asked
    monkeypatch.setattr(threads, "SOON", 1e9)
    assert count_of(threads.LEAST) == 1
    assert len(pool._beds) == 2
    monkeypatch.setattr(threads, "_asleep", lambda memory, threads: 0)
    assert count_of(threads.LEAST) == 3
    assert count_of(threads.LEAST - 1) == 1
    monkeypatch.setattr(threads, "_asleep", lambda memory, threads: 1)
    assert count_of(threads.LEAST) == 1
    assert not pool.turns.taken()
    pool.close()


def test_a_short_job_needs_no_thread_that_can_not_be_started(monkeypatch):
    """It would have been done alone whether or not one had been started for the next."""
    pool = threads.Pool()

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_pool", pool)
    monkeypatch.setattr(threads, "_thread_count", lambda: 3)
    monkeypatch.setattr(threads, "SOON", 1e9)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2):
        with threads.share(threads.LEAST) as count:
            assert count == 1
    assert pool._beds == []
    assert not pool.turns.taken()
    pool.close()


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="a turn is as long as a pause of x86")
def test_workers_watch_for_longer_than_they_are_woken_for():
    """Else those who are woken for the next job would sleep again when it comes."""
    pool, patience = threads.Pool(), []
    for _ in range(20):
        begin = time.perf_counter()
        threads._serve(pool._memory, 1, 0, threads.PATIENCE)
        patience.append(time.perf_counter() - begin)
    assert threads.SOON < min(patience)


def test_how_many_threads_share(monkeypatch):
    pool = threads.Pool()
    monkeypatch.setattr(threads, "_pool", pool)
    monkeypatch.setattr(threads, "_thread_count", lambda: 4)
    with threads.share(threads.SMALL - 1) as count:
        assert count == 1
        assert not pool.turns.taken()
    with threads.share(threads.SMALL) as count:
        assert count == 4
        assert pool.turns.taken()
        assert pool._beds == []  # whoever has a job done hires
        with threads.share(threads.SMALL) as again:  # the same thread a second time, as from a signal's handler
            assert again == 1
    pool.retreat_until = time.monotonic() + 1000
    with threads.share(threads.SMALL) as count:
        assert count == 1
    pool.retreat_until = 0
    monkeypatch.setattr(threads, "_thread_count", lambda: 1000)
    with threads.share(threads.SMALL) as count:
        assert count == threads.MOST - 1
    with pytest.raises(KeyError), threads.share(threads.SMALL):
        raise KeyError
    pool.close()
    with threads.share(threads.SMALL) as count:
        assert count == 1
    assert not pool.turns.taken()
