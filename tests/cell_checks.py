"""Checks of cells that a user has defined: each states what must hold, and raises AssertionError if it does not."""

from __future__ import annotations

import numpy as np

from kernels.contract import DefinedParameters
from kernels.definition import Operation, Program, Value
from rnn_core import GRU, LSTM, RNN, equations
from rnn_core.cell.operators import ON_ARRAYS
from rnn_core.checking.cells import check_step, suspected
from rnn_core.checking.suite import cell_cases
from rnn_core.equations.rounding import rounded_to_bfloat16
from tests.rnn_core.cell import rows
from tests.rnn_core.cell.cells import ALL

BUILT_IN = {"OwnLSTM": LSTM, "OwnGRU": GRU, "OwnRNN": RNN}
T, B, I, H = 5, 3, 2, 4
LENGTHS = np.array([5, 2, 3])


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def defined_gradients(name: str, option: str) -> None:
    """Every gradient of a layer is that of the complex step."""
    [case] = cell_cases((ALL | rows.ALL)[name], backend="numpy", steps=12, options=(option,))
    report = case.check()
    assert all(row.passed for row in report.rows), report


def steps_are_right(name: str) -> None:
    """`step_backward` is found to be that of `step`."""
    assert check_step(ALL[name]), name


def as_the_built_in_one(name: str) -> None:
    """A cell written the public way has the built-in one's bits, forward and back, in bfloat16 too."""
    for precision in ("float32", "bfloat16"):
        both = []
        for kind in (ALL[name], BUILT_IN[name]):
            layer = kind(I, H, num_layers=2, backend="numpy", precision=precision, seed=0)
            y, _, tape = layer.forward(normal(T, B, I).astype("f"), lengths=LENGTHS)
            inferred, _ = layer(normal(T, B, I).astype("f"), lengths=LENGTHS)
            both.append((y, inferred, *layer.backward(tape, y)[2].values()))
        assert all(np.array_equal(own, other) for own, other in zip(*both, strict=True))


def programs_are_the_functions(name: str) -> None:
    """What is written down gives, on arrays, what the functions give."""
    for function in ALL[name].definition.functions:
        program = function.program()
        inputs = [np.abs(normal(2, 3, seed=k)) + 0.1 for k in range(len(program.inputs))]
        for found, expected in zip(program.run(inputs, ON_ARRAYS), function(inputs), strict=True):
            assert np.array_equal(found, expected)


def products_in_a_step_round() -> None:
    """In bfloat16 a product within a step reads both factors rounded, and so does the gradient of its matrix."""
    layer = rows.Before(I, H, backend="numpy", precision="bfloat16", seed=0)
    q, x, h0 = rounded_to_bfloat16, normal(1, B, I).astype("f"), normal(1, B, H, seed=1).astype("f")
    W_x, W_h, b_x, b_h, U = layer.parameters.values()
    a = q(x[0]) @ q(W_x).T + b_x
    a[:, : 2 * H] += q(h0[0]) @ q(W_h).T + b_h
    r, z = (1 / (1 + np.exp(-part)) for part in (a[:, :H], a[:, H : 2 * H]))
    v = r * h0[0]
    n = np.tanh(a[:, 2 * H :] + q(v) @ q(U).T)
    y, _, tape = layer.forward(x, h0)
    assert np.allclose(y[0], (1 - z) * n + z * h0[0], rtol=1e-5, atol=1e-6)
    gradient = layer.backward(tape, np.ones_like(y))[2]["U_l0"]
    assert np.allclose(gradient, q((1 - z) * (1 - n**2)).T @ q(v), rtol=1e-4, atol=1e-5)


def every_state_has_its_gradient() -> None:
    """What reaches a state in the middle is what reaches the last one of a sequence that ends there."""
    loops = equations.defined_cell(ALL["Strange"].definition)
    params = DefinedParameters(normal(2 * H, I), normal(2 * H, H), None, None, tuple(normal(2, H)))
    x, state0 = normal(T, B, I), tuple(normal(3, B, H))
    _, final, tape = loops.forward(params, x, state0, LENGTHS)
    for every, last in zip(loops.states(tape), final, strict=True):
        assert np.array_equal(every[LENGTHS - 1, np.arange(B)], last)
        assert not every[2:, 1].any()
    names, du = frozenset(("x", "h0", "c0", "n0", "gain", "weight_hh")), normal(B, H)
    dstates = (None, np.zeros((T, B, H)), np.zeros((T, B, H)))
    dstates[2][1] = du
    dx, dstate0, grads = loops.backward(params, tape, None, (None,) * 3, names, dstates)
    _, _, short = loops.forward(params, x[:2], state0)
    dx_short, dstate0_short, grads_short = loops.backward(params, short, None, (None, None, du), names)
    assert np.allclose(dx[:2], dx_short, rtol=1e-12, atol=0)
    for one, other in zip((*dstate0, grads.extra[0], grads.weight_hh), (*dstate0_short, grads_short.extra[0],
                          grads_short.weight_hh), strict=True):  # fmt: skip
        assert np.allclose(one, other, rtol=1e-12, atol=1e-300)


def streams_come_with_their_steps() -> None:
    """A mask of ones is as if there were none, and a step that is masked holds the state."""
    from rnn_core.cell import define, tanh

    def masked(a, prev, m):
        g = tanh(a.a)
        return (m.keep * g + (1 - m.keep) * prev.h,), (g,)

    def masked_backward(kept, prev, state, dstate, m):
        return (dstate.h * (1 - m.keep),), (dstate.h * m.keep * (1 - kept.g**2),)

    kind = define("MaskedSteps", masked, masked_backward, gates=("a",), states=("h",), kept=("g",), streams=("keep",))
    loops, plain = (equations.defined_cell(one.definition) for one in (kind, ALL["OwnRNN"]))
    params = DefinedParameters(normal(H, I), normal(H, H), None, None)
    x, state0 = normal(T, B, I), (normal(B, H, seed=1),)
    keep = np.ones((T, B, H))
    y, _, tape = loops.forward(params, x, state0, LENGTHS, (keep,))
    assert np.array_equal(y, plain.forward(params, x, state0, LENGTHS)[0])
    keep[1] = 0
    y, _, tape = loops.forward(params, x, state0, LENGTHS, (keep,))
    assert np.array_equal(y[1], y[0])
    assert np.array_equal(y, loops.infer(params, x, state0, LENGTHS, (keep,))[0])
    dx, _, _ = loops.backward(params, tape, y, (None,), frozenset(("x",)))
    assert not dx[1].any()
    assert dx[0].any()


def suspects_are_the_lines_behind_it() -> None:
    """Of two outputs that share an operation, a wrong one is suspected in what it does not share with a right one."""
    shared, mine, theirs = (
        Operation("exp", (Value(0),), 1), Operation("tanh", (Value(1),), 2), Operation("log", (Value(1),), 3)
    )  # fmt: skip
    program = Program(("x",), (shared, mine, theirs), (Value(2), Value(3)), ("da.a", "da.b"), (2, 3))
    assert suspected(program, "da.a", ["da.a"], ["da.b"]) == (2,)
    assert suspected(program, "da.a", ["da.a", "da.b"], []) == (1,)
