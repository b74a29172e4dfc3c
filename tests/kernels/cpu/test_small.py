"""Small inferences at their desks: the bits of the ordinary calls, and nothing that a run leaves behind in the next."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from kernels import cpu
from kernels.contract import CELLS, Parameters
from kernels.cpu import small
from kernels.cpu.running import threads
from tests.cases import Case
from tests.kernels.cpu.setup import DOT, settings


def stack_of(name, dtype, I, H, layers=1, directions=1, bias=True, seed=0):
    """Return the parameters of a stack, [layer][direction]."""
    rng, G = np.random.default_rng(seed), CELLS[name].gate_count

    def draw(*shape):
        return rng.uniform(-1, 1, shape).astype(dtype) / np.sqrt(H, dtype=dtype)

    def cell(K):
        return Parameters(draw(G * H, K), draw(G * H, H), *([draw(G * H), draw(G * H)] if bias else [None, None]))

    return [[cell(directions * H if k else I) for _ in range(directions)] for k in range(layers)]


def inputs(name, dtype, stack, T, B, seed=1):
    rng, (I, H) = np.random.default_rng(seed), (stack[0][0].weight_ih.shape[1], stack[0][0].weight_hh.shape[1])
    stacked = len(stack) * len(stack[0])
    states = tuple(rng.normal(size=(stacked, B, H)).astype(dtype) for _ in CELLS[name].states)
    return rng.normal(size=(T, B, I)).astype(dtype), states


def ordinary(name, stack, x, states, precision="float32"):
    """Return y and the final states by calls of one cell after another."""
    finals, D = [], len(stack[0])
    for k, layer in enumerate(stack):
        ys = []
        for d, params in enumerate(layer):
            begin = tuple(np.ascontiguousarray(state[k * D + d]) for state in states)
            y, final = cpu.cell(name, precision).infer(params, x[::-1] if d else x, begin)
            ys.append(y[::-1] if d else y)
            finals.append(final)
        x = np.concatenate(ys, axis=-1)
    return [x, *map(np.stack, zip(*finals, strict=True))]


def at(desk, x, states, stamp=None):
    """Return the same from a desk; `states` is None for zeros."""
    desk.x[...] = x
    for place, state in zip(desk.states, states or (), strict=bool(states)):
        place[...] = state
    assert desk.run(states is None, stamp)
    return [desk.y.copy(), *(state.copy() for state in desk.states)]


def assert_same_bits(found, expected):
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]
    assert [array.dtype for array in found] == [array.dtype for array in expected]


SHAPES = [(1, 1, 32, 32), (2, 1, 1, 1), (5, 3, 7, 9), (3, 17, 5, 19), (2, 2, 1024, 8), (1, 1, 3, 300)]


@pytest.mark.parametrize(("T", "B", "I", "H"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CELLS)
def test_a_desk_has_the_bits_of_the_ordinary_calls(name, dtype, T, B, I, H):
    for layers, directions, bias in ((1, 1, True), (2, 2, True), (3, 1, False)):
        stack = stack_of(name, dtype, I, H, layers, directions, bias)
        desk = cpu.prepare(name, stack).desk(T, B)
        x, states = inputs(name, dtype, stack, T, B)
        zeros = tuple(map(np.zeros_like, states))
        for given in (states, None, states):  # what a run leaves behind is nothing to the next
            assert_same_bits(at(desk, x, given), ordinary(name, stack, x, given or zeros))


@pytest.mark.parametrize("rounded", ["pairs", "rounded"])
@pytest.mark.parametrize("name", CELLS)
def test_so_it_has_in_bfloat16(name, rounded):
    if rounded == "pairs" and not DOT:
        pytest.skip("no AVX512-BF16 here")
    stacks = [(1, 1), (2, 2), (2, 2), (3, 1), (1, 2), (2, 1)]
    for (T, B, I, H), (layers, directions) in zip(SHAPES, stacks, strict=True):
        stack = stack_of(name, "float32", I, H, layers, directions)
        x, states = inputs(name, "float32", stack, T, B)
        zeros = tuple(map(np.zeros_like, states))
        with settings(rounded=rounded):
            desk = cpu.prepare(name, stack, "bfloat16").desk(T, B)
            for given in (states, None, states):
                assert_same_bits(at(desk, x, given), ordinary(name, stack, x, given or zeros, "bfloat16"))


def test_every_width_of_vectors_and_several_threads():
    stack = stack_of("lstm", "float32", 40, 70, 2, 2)
    x, states = inputs("lstm", "float32", stack, 6, 9)
    expected = ordinary("lstm", stack, x, states)
    for width in (16, 32, 64):
        with settings(width=width, NEAR=1 << 12):
            found = at(cpu.prepare("lstm", stack).desk(6, 9), x, states)
            if width == 64:
                assert_same_bits(found, ordinary("lstm", stack, x, states))
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_cut_for_several_threads_has_the_same_bits(precision, monkeypatch):
    stack = stack_of("gru", "float32", 40, 70, 2, 2)
    x, states = inputs("gru", "float32", stack, 6, 9)
    expected = at(cpu.prepare("gru", stack, precision).desk(6, 9), x, states)
    monkeypatch.setattr(threads, "LEAST", 0)
    monkeypatch.setattr(threads, "SMALL", 0)
    monkeypatch.setattr(threads, "_thread_count", lambda: 3)
    for near in (1 << 12, 1 << 20):  # members of a group, and groups
        with settings(NEAR=near):
            desk = cpu.prepare("gru", stack, precision).desk(6, 9)
            monkeypatch.setattr(threads._pool, "retreat_until", 0.0)  # however busy the machine is
            assert_same_bits(at(desk, x, states), expected)
            assert list(desk._cuts) == [3]


def test_what_is_parted_among_nobody_is_one_call(monkeypatch):
    """Steps too short for a meeting: the plan has one thread, however many there are."""
    monkeypatch.setattr(threads, "LEAST", 0)
    monkeypatch.setattr(threads, "SMALL", 0)
    monkeypatch.setattr(threads, "_thread_count", lambda: 3)
    monkeypatch.setattr(threads.Pool, "run", None)
    stack = stack_of("rnn_tanh", "float32", 8, 70, 2)
    x, states = inputs("rnn_tanh", "float32", stack, 9, 2)
    desk = cpu.prepare("rnn_tanh", stack).desk(9, 2)
    monkeypatch.setattr(threads._pool, "retreat_until", 0.0)
    assert_same_bits(at(desk, x, states), ordinary("rnn_tanh", stack, x, states))
    assert desk._cuts[3].alone


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf, -np.inf])
def test_nothing_is_done_where_a_number_is_not_finite(dtype, odd):
    stack = stack_of("lstm", dtype, 3, 5)
    desk = cpu.prepare("lstm", stack).desk(2, 3)
    x, states = inputs("lstm", dtype, stack, 2, 3)
    x[0, 0] = np.finfo(dtype).max, np.finfo(dtype).tiny, -np.finfo(dtype).max  # these are
    expected = at(desk, x, states)
    given = [x, *states]
    for k, target in enumerate(given):
        for place in (0, target.size // 2, -1):
            spoiled = [one.copy() for one in given]
            spoiled[k].flat[place] = odd
            desk.x[...] = spoiled[0]
            for own, state in zip(desk.states, spoiled[1:], strict=True):
                own[...] = state
            assert not desk.run(False, None)
            assert desk.states[1].tobytes() == spoiled[2].tobytes()
    assert_same_bits(at(desk, x, states), expected)


def test_states_that_are_not_asked_for_may_hold_anything():
    stack = stack_of("gru", "float32", 3, 5)
    desk = cpu.prepare("gru", stack).desk(2, 3)
    x, states = inputs("gru", "float32", stack, 2, 3)
    expected = at(desk, x, None)
    desk.states[0][...] = np.nan
    assert_same_bits(at(desk, x, None), expected)


@pytest.mark.parametrize("which", range(4))
def test_without_a_stamp_weights_are_compared_and_with_the_same_one_they_are_not(which):
    stack = stack_of("gru", "float32", 4, 8, 2)
    x, states = inputs("gru", "float32", stack, 2, 1)
    desk, stamp = cpu.prepare("gru", stack).desk(2, 1), object()
    before = at(desk, x, states, stamp)
    stack[1][0][which][-1] += 1
    after = ordinary("gru", stack, x, states)
    assert after[0].tobytes() != before[0].tobytes()
    assert_same_bits(at(desk, x, states, stamp), before)  # the caller has given his word
    assert_same_bits(at(desk, x, states, object()), after)
    stack[1][0][which][-1] += 1
    assert_same_bits(at(desk, x, states), ordinary("gru", stack, x, states))


def test_desks_of_one_stack_share_its_panels():
    prepared, stamp = cpu.prepare("lstm", stack_of("lstm", "float32", 4, 40)), object()
    desks = [prepared.desk(T, 1) for T in (1, 2)]
    for desk in desks:
        desk.x[...] = 1
        assert desk.run(True, stamp)
    packed = prepared.packed(stamp)
    assert len(packed.blocks) == 1
    assert desks[0]._cuts[1].version is desks[1]._cuts[1].version is packed.version


def test_a_run_in_the_midst_of_another_has_panels_of_its_own(monkeypatch):
    """The second sees weights that were written meanwhile; the first ends with those it began with."""
    stack = stack_of("gru", "float32", 4, 8)
    x, states = inputs("gru", "float32", stack, 2, 1)
    prepared = cpu.prepare("gru", stack)
    desks = [prepared.desk(2, 1) for _ in range(2)]
    expected = at(desks[0], x, states)
    within: list[Any] = []
    alone = small.infer_alone

    def interrupted(*arguments):
        if not within:
            within.append("begun")
            stack[0][0].weight_hh[...] += 1
            within.append(at(desks[1], x, states, object()))
        return alone(*arguments)

    monkeypatch.setattr(small, "infer_alone", interrupted)
    assert_same_bits(at(desks[0], x, states, object()), expected)
    assert_same_bits(within[1], ordinary("gru", stack, x, states))


def test_many_threads_at_desks_of_one_stack():
    stack = stack_of("lstm", "float32", 4, 8)
    prepared, stamp, wrong = cpu.prepare("lstm", stack), object(), []
    problems = [inputs("lstm", "float32", stack, 4, 1, seed) for seed in range(4)]
    expected = [ordinary("lstm", stack, *problem) for problem in problems]

    def work(k):
        desk = prepared.desk(4, 1)
        for turn in range(200):
            x, states = problems[k]
            found = at(desk, x, states, stamp if turn % 3 else None)
            if any(one.tobytes() != other.tobytes() for one, other in zip(found, expected[k], strict=True)):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(len(problems))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize("case", [Case("long", T=1000, B=8, I=64, H=64), Case("wide", T=1, B=1, I=300_000, H=2)])
def test_what_is_not_small_has_no_desk(case):
    problem = case.problem("lstm", "float32")
    assert cpu.prepare("lstm", [[problem.params]]).desk(case.T, case.B) is None
