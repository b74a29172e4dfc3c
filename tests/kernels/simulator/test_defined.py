"""Cells that a user has defined, in the simulator: against the built-in kernels, and against a loop in NumPy."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from kernels import cuda
from kernels.contract import CELLS, DefinedParameters, Parameters
from kernels.cuda.recurrence import Recurrence
from tests.kernels.cuda import defined_cells
from tests.kernels.cuda.defined_cells import Call
from tests.tolerance import assert_agree, tolerance

WAYS = ("persistent", "stepwise")
LENGTHS = (4, 1, 3)
CELL = {"lstm": defined_cells.lstm(), "gru": defined_cells.gru(), "rnn_tanh": defined_cells.rnn()}
OTHERS = {"held": defined_cells.held(), "apart": defined_cells.apart(), "masked": defined_cells.masked()}


def recurrence(definition, way=""):
    return Recurrence(definition.name, way, definition)


def assert_close(found, expected, dtype):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == dtype, name
        assert_agree(name, found[name], value, tolerance(dtype, 4))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CELL)
def test_the_cells_of_the_contract_have_the_bits_of_the_built_in_ones(name, way, dtype):
    """The same operations in the same order: nothing is lost by writing them down."""
    definition = CELL[name]
    call = Call(definition, dtype, lengths=LENGTHS)
    assert len(definition.from_x) == CELLS[name].gate_count
    built_in, ours = Recurrence(name, way), recurrence(definition, way)
    params = Parameters(*call.params[:4])
    y, state, tape = built_in.forward(params, call.x, call.state0, call.lengths)
    found = ours.forward(call.params, call.x, call.state0, call.lengths)
    pairs = zip((y, *state, *built_in.states(tape)), (found[0], *found[1], *ours.states(found[2])), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    needs = frozenset(call.names)
    dx, dstate0, gradients = built_in.backward(params, tape, call.dy, call.dstate_T, needs, call.dstates)
    assert isinstance(gradients, Parameters)
    other_dx, other_dstate0, others = ours.backward(call.params, found[2], call.dy, call.dstate_T, needs, call.dstates)
    assert isinstance(others, DefinedParameters)
    pairs = zip((dx, *dstate0, *gradients), (other_dx, *other_dstate0, *others[:4]), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [*OTHERS, "gru"])
def test_any_cell_is_its_loop_in_numpy(name, way, lengths, dtype):
    call = Call((OTHERS | CELL)[name], dtype, lengths=lengths)
    assert_close(call.run(recurrence(call.definition, way)), call.expected(), dtype)


def test_the_loop_in_numpy_is_right():
    """A vector's gradient is the difference quotient."""
    call = Call(OTHERS["held"], "float64", lengths=LENGTHS)
    expected, small = call.expected(), 1e-6

    def loss(w):
        call.params = call.params._replace(extra=(w, *call.params.extra[1:]))
        found = call.expected()
        live = (np.arange(4)[:, None] < call.lengths)[..., None]
        total = (found["y"] * call.dy * live).sum()
        for s, dT, every in zip("hcn", call.dstate_T, call.dstates, strict=True):
            total += (found[f"{s}_T"] * dT).sum() + (0 if every is None else (found[f"all {s}"] * every * live).sum())
        return total

    w = call.params.extra[0]
    for k in range(len(w)):
        there = [loss(w + sign * small * (np.arange(len(w)) == k)) for sign in (1, -1)]
        assert (there[0] - there[1]) / (2 * small) == pytest.approx(expected["dw"][k], rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_without_biases(name, way):
    call = Call(OTHERS[name], "float64", bias=False)
    assert_close(call.run(recurrence(call.definition, way)), call.expected(), "float64")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_needs_leave_out_what_nobody_wants(name, way):
    call = Call(OTHERS[name], "float32", T=3, B=2, H=3)
    cell = recurrence(call.definition, way)
    *_, tape = cell.forward(call.params, call.x, call.state0, call.lengths, call.streams)
    everything = call.gradients(cell, tape)
    for needs in ((), *((name,) for name in call.names), call.names[1:], call.names[:-1]):
        found = call.gradients(cell, tape, needs)
        assert found.keys() == {f"d{name}" for name in needs} & everything.keys()
        assert all(np.array_equal(value, everything[name]) for name, value in found.items())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_given_stands_for_zeros(name, way):
    call = Call(OTHERS[name], "float64", T=3, lengths=(3, 1, 2))
    cell = recurrence(call.definition, way)
    *_, tape = cell.forward(call.params, call.x, call.state0, call.lengths, call.streams)
    call.dy, call.dstate_T, call.dstates = None, (None,) * len(call.state0), None
    assert not any(value.any() for value in call.gradients(cell, tape).values())
    call.dy, call.dstates = np.zeros((3, 3, 5)), (None, *(np.zeros((3, 3, 5)) for _ in call.state0[1:]))
    assert not any(value.any() for value in call.gradients(cell, tape).values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_what_stands_past_a_rows_end_has_no_influence(name, way):
    """Streams and upstream gradients included, be they NaN."""
    call = Call(OTHERS[name], "float64", lengths=LENGTHS)
    expected = call.expected()
    past = (np.arange(4)[:, None] >= call.lengths)
    for array in (call.x, call.dy, *call.streams, *call.dstates[1:]):
        array[past] = np.nan
    assert_close(call.run(recurrence(call.definition, way)), expected, "float64")


@pytest.mark.parametrize("name", OTHERS)
def test_infer_is_forward_without_a_tape(name):
    call = Call(OTHERS[name], "float32", lengths=LENGTHS)
    cell = cuda.defined_cell(call.definition)
    arguments = call.params, call.x, call.state0, call.lengths, call.streams
    y, state, _ = cell.forward(*arguments)
    y_inferred, state_inferred = cell.infer(*arguments)
    assert np.array_equal(y, y_inferred)
    assert all(np.array_equal(*pair) for pair in zip(state, state_inferred, strict=True))


def test_inputs_stay_and_results_are_fresh():
    call = Call(OTHERS["apart"], "float64")
    before = pickle.dumps((call.params, call.x, call.state0, call.dy, call.dstate_T, call.dstates))
    cell = cuda.defined_cell(call.definition)
    y, state, tape = cell.forward(call.params, call.x, call.state0)
    expected = call.gradients(cell, tape)
    for array in (y, *state, *cell.states(tape), *call.gradients(cell, tape).values()):
        array[...] = np.nan
    found = call.gradients(cell, tape)
    assert all(np.array_equal(found[name], value) for name, value in expected.items())
    assert pickle.dumps((call.params, call.x, call.state0, call.dy, call.dstate_T, call.dstates)) == before


def test_a_cell_without_a_product_has_one_way():
    assert cuda.describe(OTHERS["apart"], 4, 3, 5) == "elementwise; elementwise"
    assert cuda.describe(OTHERS["held"], 4, 3, 5).count("persistent") == 2


def test_a_cell_can_be_pickled():
    """It goes by its name: functions don't."""
    cell = cuda.defined_cell(defined_cells.held())
    assert pickle.loads(pickle.dumps(cell)) == cell


def test_two_cells_of_one_kind_share_their_kernels():
    """Whatever they are called: what is compiled goes by what they do."""
    one, other = (recurrence(d)._cell(np.dtype("float32")) for d in (defined_cells.held(), defined_cells.held()))
    assert one is other
    assert recurrence(OTHERS["held"])._cell(np.dtype("float64")) is not one


def test_bfloat16_is_refused():
    with pytest.raises(ValueError, match="precision must be 'float32' with backend='cuda', got 'bfloat16'"):
        cuda.defined_cell(OTHERS["held"], "bfloat16")
