"""Small inferences at their desks: the bits of the ordinary call, and nothing that a call leaves behind in the next."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from kernels import cpu
from kernels.contract import CELLS
from kernels.cpu import recurrence, small
from kernels.cpu.running import packing, threads
from kernels.cpu.running.compiled import compiled
from tests.cases import Case
from tests.conformance import assert_same_bits, outputs


def call(name, problem):
    return outputs(problem, *cpu.cell(name).infer(problem.params, problem.x, problem.state0))


def as_before(name, problem, monkeypatch):
    """Return what the call says without a desk."""
    with monkeypatch.context() as patch:
        patch.setattr(recurrence, "is_small", lambda *_: False)
        return call(name, problem)


SHAPES = [(1, 1, 32, 32), (2, 1, 1, 1), (5, 3, 7, 9), (12, 1, 32, 32), (3, 17, 5, 19), (2, 2, 1024, 8), (1, 1, 3, 300)]


@pytest.mark.parametrize(("T", "B", "I", "H"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CELLS)
def test_a_desk_has_the_bits_of_the_ordinary_call(name, dtype, T, B, I, H, monkeypatch):
    problem = Case("small", T=T, B=B, I=I, H=H).problem(name, dtype)
    assert small.is_small(problem.params, problem.x)
    expected = as_before(name, problem, monkeypatch)
    for _ in range(2):
        assert_same_bits(call(name, problem), expected)
    strided = problem._replace(
        x=np.asfortranarray(problem.x), state0=tuple(np.repeat(s, 2, axis=1)[:, ::2] for s in problem.state0)
    )
    assert_same_bits(call(name, strided), expected)


@pytest.mark.parametrize("H", [8, 13])
@pytest.mark.parametrize("name", CELLS)
def test_results_are_the_callers(name, H):
    """They are fresh, contiguous and can be written to; the next call at the desk, with other numbers, changes none."""
    case = Case("small", T=3, B=2, I=4, H=H)
    problem = case.problem(name, "float32")
    first = call(name, problem)
    kept = {key: value.copy() for key, value in first.items()}
    other = problem._replace(x=problem.x + 1, state0=tuple(s - 1 for s in problem.state0))
    second = call(name, other)
    assert not any(np.array_equal(second[key], kept[key]) for key in kept)
    assert_same_bits(first, kept)
    for value in second.values():
        assert value.flags.c_contiguous
        assert value.flags.writeable
        value[...] = np.nan
    assert_same_bits(call(name, problem), kept)


def test_a_nan_does_not_stay_at_the_desk():
    problem = Case("small", T=2, B=2, I=4, H=13).problem("lstm", "float32")
    expected = call("lstm", problem)
    gone = problem._replace(x=problem.x * np.nan, state0=tuple(s * np.nan for s in problem.state0))
    assert all(np.isnan(value).all() for value in call("lstm", gone).values())
    assert_same_bits(call("lstm", problem), expected)


@pytest.mark.parametrize("which", range(4))
def test_weights_changed_in_place_are_noticed(which, monkeypatch):
    problem = Case("small", T=2, B=1, I=4, H=8).problem("gru", "float32")
    before = call("gru", problem)
    problem.params[which][-1] += 1
    after = call("gru", problem)
    assert not np.array_equal(after["y"], before["y"])
    assert_same_bits(after, as_before("gru", problem, monkeypatch))


def test_two_calls_at_once_have_a_desk_each(monkeypatch):
    """Here the second begins where the first is in the midst of its loop."""
    problems = [Case("small", T=2, B=1, I=4, H=8, seed=seed).problem("gru", "float32") for seed in (1, 2)]
    expected = [call("gru", problem) for problem in problems]
    run, comparing = threads.run, compiled(packing.make_compare).address
    within: list[Any] = []

    def interrupted(job, arguments, count, *rest):
        run(job, arguments, count, *rest)
        if job != comparing and not within:
            within.append("begun")
            within.append(call("gru", problems[1]))

    with monkeypatch.context() as patch:
        patch.setattr(small.threads, "run", interrupted)
        found = call("gru", problems[0])
    assert_same_bits(found, expected[0])
    assert_same_bits(within[1], expected[1])


def test_many_threads_call_one_layer():
    problems = [Case("small", T=4, B=1, I=4, H=8, seed=7).problem("lstm", "float32")]
    problems += [problems[0]._replace(x=problems[0].x * k) for k in (2, 3, 4)]
    expected = [call("lstm", problem) for problem in problems]
    wrong = []

    def work(k):
        for _ in range(200):
            found = call("lstm", problems[k])
            if any(found[key].tobytes() != expected[k][key].tobytes() for key in found):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(len(problems))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize("case", [Case("long", T=40, B=8, I=64, H=64), Case("wide", T=1, B=1, I=20_000, H=2)])
def test_what_is_not_small_has_no_desk(case):
    problem = case.problem("lstm", "float32")
    assert not small.is_small(problem.params, problem.x)
