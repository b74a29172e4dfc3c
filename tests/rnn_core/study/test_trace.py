"""A trace: its numbers are the tape's, bit for bit, its derivatives the gradients, its links two-way."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import GRU, LSTM, RNN, SequenceRegressor
from rnn_core.cell import define, sigmoid, tanh
from rnn_core.layers.defined import SHIPPED, shipped
from rnn_core.study import Trace, trace
from tests.rnn_core.cell.conftest import forgotten  # noqa: F401  # for the cells that are defined here

LAYERS = {
    "RNN": lambda **how: RNN(2, 3, **how),
    "ReLU": lambda **how: RNN(2, 3, nonlinearity="relu", **how),
    "LSTM": lambda **how: LSTM(2, 3, **how),
    "GRU": lambda **how: GRU(2, 3, **how),
}
T, B = 5, 3


def made(name: str, **how):
    how = {"backend": "numpy", "dtype": np.float64, "seed": 0, **how}
    layer = LAYERS[name](**how)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(T, B, 2)).astype(layer.dtype)
    stacked = layer.num_layers * layer.directions
    state0 = tuple(rng.normal(size=(stacked, B, 3)).astype(layer.dtype) for _ in layer.spec.states)
    dy = rng.normal(size=(T, B, 3 * layer.directions)).astype(layer.dtype)
    return layer, x, state0 if len(state0) > 1 else state0[0], dy


def lines_of(found: Trace):
    return [line for step in found.steps for line in step.lines] + list(found.gradients)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_numbers_are_those_of_the_equations_tape_bit_for_bit(name, dtype) -> None:
    layer, x, state0, dy = made(name, dtype=dtype)
    found = trace(layer, x, state0, t=range(T), dy=dy)
    y, _, tape = layer.forward(x, state0)
    dx, dstate0, gradients = layer.backward(tape, dy)
    ((own,),) = tape.kept.cells
    blocks = layer.spec.blocks(3)._asdict()
    kept = {k: own.gates[..., block] for k, block in blocks.items()} if hasattr(own, "gates") else {}
    kept |= {"m": own.m} if hasattr(own, "m") else {}
    for t in range(T):
        for key, value in {**kept, "y": y, "dx": dx, "x": x, "dy": dy}.items():
            np.testing.assert_array_equal(found[t][key].value, value[t], strict=True)
        for s in layer.spec.states:
            every = getattr(own, s)
            np.testing.assert_array_equal(found[t][s].value, every[t + 1], strict=True)
            np.testing.assert_array_equal(found[t][f"{s}_prev"].value, every[t], strict=True)
            assert found[t][s].rounding == 0
    firsts = dstate0 if isinstance(dstate0, tuple) else (dstate0,)
    for s, d in zip(layer.spec.states, firsts, strict=True):
        np.testing.assert_array_equal(found[0][f"d{s}_prev"].value, d[0], strict=True)
    for line in found.gradients:
        np.testing.assert_array_equal(line.value, gradients[line.of], strict=True)
    assert all(line.rounding == 0 for line in lines_of(found) if line.rounding is not None)
    assert {line.key for line in found[2].lines if line.rounding is not None} == {*kept, *layer.spec.states}


@pytest.mark.parametrize("name", LAYERS)
def test_each_gradient_is_the_complex_steps(name) -> None:
    layer, x, state0, dy = made(name, num_layers=2, bidirectional=True)
    for depth, reverse in ((0, False), (0, True), (1, True)):
        found = trace(layer, x, state0, [5, 3, 1], t=(0, 2, 4), dy=dy, depth=depth, reverse=reverse)
        assert found.error <= 1e-12
        for step in found.steps:
            unchecked = {line.key for line in step.lines if line.part == "backward" and line.error is None}
            assert unchecked <= {"tanh_c"}  # all others are gradients
            looked = [np.isfinite(line.derivative).any(axis=1) for line in step.lines if line.derivative is not None]
            assert all((rows == step.running).all() for rows in looked)  # and in no row that has ended


def test_float32_is_checked_within_its_own_rounding() -> None:
    layer, x, state0, dy = made("LSTM", dtype="float32")
    found = trace(layer, x, state0, dy=dy)
    assert 0 < found.error < 1e-5
    assert {line.value.dtype.name for line in lines_of(found)} == {"float32"}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_variant_is_followed(name) -> None:
    more = {"proj_size": 2} if name == "ProjectedLSTM" else {}
    layer = shipped(name)(2, 4, backend="numpy", dtype="float64", seed=0, **more)
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    found = trace(layer, x, t=2)
    its = layer.definition
    assert found.error <= 1e-12
    of_tape = [line for line in found[2].lines if line.rounding is not None]
    assert of_tape
    assert all(line.rounding == 0 for line in of_tape)
    assert {"x", "y"} <= {line.of for line in found[2].lines if line.error is not None}
    unchecked = [line.key for line in found[2].lines if line.part == "backward" and line.error is None]
    assert not [key for key in unchecked if key.startswith(("da.", "dp.", "dprev.", "dx"))]
    assert len(unchecked) < len([line for line in found[2].lines if line.part == "backward"]) / 2
    forward = [line for line in found[2].lines if line.part == "forward" and line.file.endswith(f"{its.module[9:]}.py")]
    assert all(line.numbers for line in forward if line.equation)
    assert {line.of for line in found.gradients} == set(layer.parameters)


def test_the_kernels_gates_and_states_are_taken_from_their_tape() -> None:
    layer, x, state0, dy = made("LSTM", backend="cpu")
    found = trace(layer, x, state0, [5, 3, 1], t=range(T), dy=dy)
    (y, c), _, tape = layer.forward(x, state0, [5, 3, 1], all_states=True)
    _, _, gradients = layer.backward(tape, dy)
    assert found.error <= 1e-12
    for t, step in enumerate(found.steps):
        for key, value in {"h": y, "c": c}.items():
            np.testing.assert_array_equal(step[key].value[step.running], value[t][step.running], strict=True)
        for key in "ifgohc":
            assert step[key].rounding is not None
            assert step[key].rounding < 1e-14
    for line in found.gradients:
        np.testing.assert_array_equal(line.value, gradients[line.of], strict=True)


def test_a_line_says_what_it_is_and_where_it_came_from_and_went() -> None:
    layer, x, state0, _ = made("LSTM")
    step = trace(layer, x, state0, t=2)[2]
    c = step["c"]
    assert c.numbers == ("L6",)
    assert c.equation == "c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t"
    assert c.code == "f * c_prev + i * g"
    assert c.operands == ["f", "c_prev", "i", "g"]
    assert c.users == ["h", "tanh_c"]
    assert c.onward == "c_prev"
    with open(c.file, encoding="utf-8") as file:
        assert file.read().splitlines()[c.line - 1].strip() == "c = f * c_prev + i * g  # (L6)"
    dc = step["dc′"]  # `dc` is what comes from the step after; the line adds to it
    assert dc.numbers == ("L7′",)
    assert dc.operands[0] == "dc"
    assert step["dc"].users == ["dc′"]
    assert step["df"].operands == ["dc′", "c_prev"]
    assert step["da_i"].operands == ["di", "i"]  # the gate that the tape keeps is the line of the way forward
    assert step["dc_prev"].onward == "dc"
    for line in step.lines:
        assert all(line.key in step[key].operands for key in line.users)
        assert all(line.key in step[key].users for key in line.operands)


def test_the_steps_hang_together() -> None:
    layer, x, state0, dy = made("LSTM")
    found = trace(layer, x, state0, t=range(T), dy=dy)
    for before, after in zip(found.steps, found.steps[1:], strict=False):
        for s in "hc":
            np.testing.assert_array_equal(after[f"{s}_prev"].value, before[s].value)
            np.testing.assert_array_equal(before[f"d{s}"].value, after[f"d{s}_prev"].value)
    assert found[0]["h_prev"].code == "the initial h"
    assert found[T - 1]["dc"].code == "0, as no step comes after"
    assert not found[T - 1]["dc"].value.any()


def test_quantities_are_followed_through_time() -> None:
    layer, x, state0, dy = made("LSTM")
    found = trace(layer, x, state0, t=1, dy=dy, watch=("c", "dc′"))
    every = trace(layer, x, state0, t=range(T), dy=dy)
    assert [step.t for step in found.steps] == [1]
    assert list(found.watched) == ["c", "dc′"]
    for key, values in found.watched.items():
        np.testing.assert_array_equal(values, [step[key].value for step in every.steps])


def test_a_wrong_gradient_stands_out_at_its_line() -> None:
    def step(a, prev):
        z = sigmoid(a.z)
        n = tanh(a.n)
        return (prev.h + z * (n - prev.h),), (z, n)

    def step_backward(kept, prev, state, dstate):
        z, n = kept
        dz = dstate.h * (n + prev.h)  # and not n − h
        dn = dstate.h * z
        return (dstate.h * (1 - z),), (dz * z * (1 - z), dn * (1 - n * n))

    kind = define("StudiedWrongCell", step, step_backward, gates=("z", "n"), states=("h",), kept=("z", "n"))
    layer = kind(2, 3, backend="numpy", dtype="float64", seed=0)
    found = trace(layer, np.random.default_rng(0).normal(size=(4, 2, 2)), t=3)
    wrong = {line.of for line in found[3].lines if line.error is not None and line.error > 1e-12}
    assert {"z", "a.z"} <= wrong
    assert not {"n", "a.n", "y"} & wrong
    assert found[3]["h"].code == "prev.h + z * (n - prev.h)"  # a part of what is returned has a line of its own


def test_large_layers_are_looked_at_in_places() -> None:
    layer = GRU(8, 40, backend="numpy", dtype="float64", seed=0)
    found = trace(layer, np.random.default_rng(0).normal(size=(6, 4, 8)), t=2)
    assert found.error <= 1e-12
    line = found[2]["da_x"]
    assert 0 < np.isfinite(line.derivative).sum() < line.derivative.size
    assert "at 64 places" in str(found)


def test_it_is_printed_on_80_columns() -> None:
    layer, x, state0, dy = made("LSTM")
    text = str(trace(layer, x[:, :1], tuple(s[:, :1] for s in state0), t=2, dy=dy[:, :1], watch=("c",)))
    assert max(map(len, text.splitlines())) <= 80
    assert "(L6)    c = f * c_prev + i * g   1 × 3   lstm.py:" in text
    assert "from f, c_prev, i, g · for h, tanh_c, c_prev of step 3" in text
    assert "∂L/∂f: the complex step is" in text
    assert "through time" in text


def test_without_derivatives_nothing_is_said_of_them() -> None:
    layer, x, state0, _ = made("GRU")
    found = trace(layer, x, state0, derivatives=False)
    assert all(line.derivative is None and line.error is None for line in lines_of(found))
    assert "complex step" not in str(found)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"t": T}, ValueError, f"trace: t must be from 0 to {T - 1}, as x has {T} steps, got {T}"),
        ({"t": True}, TypeError, "trace: t must be an int or some, got True"),
        ({"t": ()}, ValueError, "trace: t must name a step at least, got none"),
        ({"depth": 1}, ValueError, "trace: depth must be from 0 to 0, as the layers are, got 1"),
        ({"reverse": True}, ValueError, "trace: reverse must be False, as the layer is not bidirectional, got True"),
        ({"watch": ("q",)}, ValueError, "trace: watch must hold lines of the step, x, W_x, "),
        ({"watch": "c"}, TypeError, "trace: watch must be names of lines, as ('c', 'f'), got 'c'"),
        ({"dy": np.ones((1, 1, 1))}, ValueError, "trace: dy must have shape (5, 3, 3)"),
    ],
)
def test_what_is_not_there_is_refused(how, error, message) -> None:
    layer, x, state0, _ = made("LSTM")
    with pytest.raises(error) as caught:
        trace(layer, x, state0, **how)
    assert str(caught.value).startswith(message)


def test_layers_that_cannot_be_followed_say_why() -> None:
    x = np.zeros((2, 1, 2))
    with pytest.raises(TypeError, match=r"got SequenceRegressor .*; of a model take model\.rnn|model\.rnn"):
        trace(SequenceRegressor(1, 3, input_size=2, seed=0), x)
    with pytest.raises(RuntimeError, match="must have no zoneout, which changes its equations"):
        trace(LSTM(2, 3, backend="numpy", dtype="float64", zoneout=0.1), x)
    with pytest.raises(RuntimeError, match="must multiply exactly, got precision='bfloat16'"):
        trace(LSTM(2, 3, backend="numpy", precision="bfloat16"), x)
    with pytest.raises(KeyError, match="must have a line 'q'"):
        trace(LSTM(2, 3, backend="numpy", dtype="float64", seed=0), x, t=0)[0]["q"]
