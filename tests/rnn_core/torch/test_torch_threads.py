"""Our kernels on the threads of torch's OpenMP: the same bits, as many as torch has, and a way out where it has fewer.

What hangs in compiled code can't be interrupted, so whatever might is run in a process of its own.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import sys
import warnings

import pytest

torch = pytest.importorskip("torch")

import rnn_core.torch as ours
from kernels.cpu.running import teams, threads
from rnn_core.torch import sharing
from tests.kernels.cpu.setup import in_a_process

SHAPES = ((5, 19, 7, 40), (5, 2, 7, 210))
"""T, B, I, H: threads that share rows, and threads that share units and meet after each step."""

served = pytest.mark.skipif(sharing._library() is None, reason="torch's threads are not an OpenMP that is known here")


def observe():
    """Let every job have all its threads, however busy the machine is; return what each team's jobs had."""
    threads.LEAST = threads.SMALL = 0
    threads.LATE = 1e9
    counts, run = [], teams.OpenMP.run

    def observed(self, job, arguments, count, meeting, groups):
        waited = run(self, job, arguments, count, meeting, groups)
        counts.append(count if waited is not None else None)
        return waited

    teams.OpenMP.run = observed
    return counts


def results(kind, shape):
    """Return y and all gradients of a module."""
    T, B, I, H = shape
    torch.manual_seed(0)
    module = getattr(ours, kind)(I, H)
    x = torch.randn(T, B, I, requires_grad=True)
    y = module(x)[0]
    y.backward(torch.linspace(-1, 1, y.numel()).view(y.shape))
    return [y.detach(), x.grad, *(p.grad for p in module.parameters())]


def assert_same(found, expected):
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def same_bits():
    counts = observe()
    for kind in ("RNN", "LSTM", "GRU"):
        for shape in SHAPES:
            torch.set_num_threads(1)
            expected = results(kind, shape)
            assert counts == []
            for count in (2, 3, 4, 2):
                torch.set_num_threads(count)
                assert_same(results(kind, shape), expected)
                assert set(counts) == {count}
                counts.clear()
    assert threads._pool._beds == []  # nobody of our own


@served
def test_the_number_of_threads_is_torchs_and_changes_no_bit():
    in_a_process(same_bits)


def too_few():
    counts = observe()
    expected = results("LSTM", SHAPES[1])
    torch.set_num_threads(2)
    assert_same(results("LSTM", SHAPES[1]), expected)
    assert set(counts) == {None}
    assert len(threads._pool._beds) == 1


@served
def test_where_openmp_gives_fewer_threads_ours_do_the_job():
    in_a_process(too_few, OMP_THREAD_LIMIT="1")


def after_fork():
    counts = observe()
    torch.set_num_threads(2)
    T, B, I, H = SHAPES[1]
    module, x = ours.LSTM(I, H), torch.randn(T, B, I)
    torch.set_grad_enabled(False)  # torch's own larger operators wait in a child for threads that are not there
    expected = module(x)[0]
    assert set(counts) == {2}
    counts.clear()
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
    child = os.fork()
    if child == 0:
        same = torch.equal(module(x)[0], expected)
        os._exit(0 if same and counts == [] and len(threads._pool._beds) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert torch.equal(module(x)[0], expected)
    assert set(counts) == {2}


@served
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_of_a_fork_asks_no_team():
    in_a_process(after_fork)


def many_callers():
    observe()
    torch.manual_seed(0)
    cases = [(kind, shape) for kind in ("LSTM", "GRU") for shape in SHAPES]
    modules = [getattr(ours, kind)(I, H) for kind, (_, _, I, H) in cases]
    inputs = [torch.randn(T, B, I) for _, (T, B, I, _) in cases]

    def output(k):
        with torch.no_grad():
            return modules[k](inputs[k])[0]

    expected = [output(k) for k in range(4)]

    def again(k):
        torch.set_num_threads(2)  # the calling thread's own number
        return sum(torch.equal(output(k), expected[k]) for _ in range(20))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(again, range(4))) == [20] * 4


@served
def test_several_callers_have_a_team_each_and_a_job_at_a_time():
    in_a_process(many_callers)


def test_whoever_is_within_somebodys_threads_has_his_own_back_afterwards():
    before = threads._thread_count()
    with contextlib.suppress(ZeroDivisionError), threads.within(7):
        with threads.within(3):
            assert threads._thread_count() == 3
        assert threads._thread_count() == 7
        raise ZeroDivisionError
    assert threads._thread_count() == before


def test_one_thread_of_torchs_is_one_of_ours(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    with sharing.as_torch(), threads.share(1e12) as count:
        assert count == 1


def test_without_a_known_openmp_the_pool_is_ours(monkeypatch):
    monkeypatch.setattr(sharing, "_library", lambda: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with sharing.as_torch():
        assert threads._here.team is None
        assert threads._thread_count() == 2


def test_where_it_is_looked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert sharing._library.__wrapped__() is None
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.__config__, "parallel_info", lambda: "ATen parallel backend: native thread pool")
    assert sharing._library.__wrapped__() is None
