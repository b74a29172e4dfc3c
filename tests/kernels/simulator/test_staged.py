"""Cells whose units look at one another within a step, in the simulator: against their equations."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from kernels import cuda
from kernels.cuda import assembly
from kernels.cuda.running import launch
from tests.kernels.cuda.defined_cells import Call, assert_equations
from tests.kernels.cuda.staged_cells import Narrow, Shared
from tests.rnn_core.cell.rows import Before, Blended, Normed, Projected

CELLS = {kind.__name__: kind.definition for kind in (Normed, Before, Blended, Shared, Narrow)}
LENGTHS = (3, 1, 2)


def call(name, dtype="float64", **options):
    return Call(CELLS[name], dtype, **{"T": 3, "B": 3, "H": 4, "lengths": LENGTHS, **options})


@pytest.mark.parametrize("name, dtype, lengths", [
    *((name, "float64", LENGTHS) for name in CELLS),
    *((name, "float32", None) for name in ("Blended", "Narrow", "Shared")),
])  # fmt: skip
def test_a_cell_is_its_equations(name, dtype, lengths):
    own = call(name, dtype, lengths=lengths)
    assert_equations(own.run(cuda.defined_cell(own.definition)), own)


@pytest.mark.parametrize("H", [33, 70])
def test_a_row_may_have_more_units_than_a_block_has_threads(H, monkeypatch):
    """Two warps add up what they have; the first threads have several units."""
    own = call("Normed", T=2, B=1, H=H, lengths=None)
    assert_equations(own.run(cuda.defined_cell(own.definition)), own)
    y = cuda.defined_cell(own.definition).infer(own.params, own.x, own.state0)[0]
    monkeypatch.setattr(launch, "SIMULATED_DEVICE", launch.SIMULATED_DEVICE._replace(warps=1))
    other = cuda.defined_cell(own.definition).infer(own.params, own.x, own.state0)[0]
    np.testing.assert_allclose(other, y, rtol=1e-13)


@pytest.mark.parametrize("name", ["Blended", "Shared"])
def test_needs_leave_out_what_nobody_wants(name):
    own = call(name, "float32", T=2, B=2, H=3, lengths=(2, 1))
    cell = cuda.defined_cell(own.definition)
    *_, tape = cell.forward(own.params, own.x, own.state0, own.lengths, own.streams)
    everything = own.gradients(cell, tape)
    some = ("x", "h0", "bias_hh", *own.definition.vectors, *own.definition.matrices)
    for needs in ((), *((name,) for name in some), own.names[:-1]):
        found = own.gradients(cell, tape, needs)
        assert found.keys() == {f"d{name}" for name in needs} & everything.keys()
        assert all(np.array_equal(value, everything[name]) for name, value in found.items())


def test_what_stands_past_a_rows_end_has_no_influence():
    """Streams and upstream gradients included, be they NaN."""
    for name in ("Narrow", "Shared"):
        own = call(name)
        expected = own.expected()
        past = np.arange(3)[:, None] >= own.lengths
        for array in (own.x, own.dy, *own.streams, *own.dstates[1:]):
            array[past] = np.nan
        assert_equations(own.run(cuda.defined_cell(own.definition)), own, expected)


def test_what_is_not_given_stands_for_zeros():
    own = call("Blended", T=2, lengths=None)
    cell = cuda.defined_cell(own.definition)
    *_, tape = cell.forward(own.params, own.x, own.state0)
    own.dy, own.dstate_T, own.dstates = None, (None,) * len(own.state0), None
    assert not any(value.any() for value in own.gradients(cell, tape).values())


@pytest.mark.parametrize("name", ["Normed", "Narrow"])
def test_infer_is_forward_without_a_tape(name):
    own = call(name, "float32")
    cell = cuda.defined_cell(own.definition)
    arguments = own.params, own.x, own.state0, own.lengths
    y, state, tape = cell.forward(*arguments)
    before = pickle.dumps((own.params, own.x, own.state0))
    y_inferred, state_inferred = cell.infer(*arguments)
    assert np.array_equal(y, y_inferred)
    assert all(np.array_equal(*pair) for pair in zip(state, state_inferred, strict=True))
    for array in (y, *state, *cell.states(tape), y_inferred, *state_inferred):
        array[...] = np.nan  # what is returned is the caller's
    assert pickle.dumps((own.params, own.x, own.state0)) == before
    assert all(np.isfinite(value).all() for value in own.gradients(cell, tape).values())


def test_the_plan_says_that_there_is_one_way():
    assert cuda.describe(CELLS["Normed"], 4, 3, 5) == (
        "staged, 1 launches and 1 products a step; staged, 1 launches and 1 products a step"
    )
    assert cuda.describe(CELLS["Before"], 4, 3, 5).startswith("staged, 2 launches and 2 products a step")
    cell = cuda.defined_cell(CELLS["Before"])._replace(way="persistent")
    own = call("Before")
    with pytest.raises(ValueError, match=r"cuda: way must be 'staged' for .*, got 'persistent'; leave it out"):
        cell.infer(own.params, own.x, own.state0)
    assert pickle.loads(pickle.dumps(cell)) == cell


def test_layers():
    options = {"bidirectional": True, "dtype": "float64", "seed": 1, "proj_size": 2}
    ours, plain = (Projected(3, 4, backend=backend, **options) for backend in ("cuda", "numpy"))
    rng = np.random.default_rng(0)
    x, dy, lengths = rng.standard_normal((3, 2, 3)), rng.standard_normal((3, 2, 4)), [3, 2]
    results = []
    for layer in (ours, plain):
        y, _, tape = layer.forward(x, lengths=lengths)
        dx, _, gradients = layer.backward(tape, dy)
        results.append([y, dx, *gradients.values()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_every_stage_is_assembled():
    kernels = [case.kernel for case in assembly.cases({("sm_90", "float32"): ((64,), (4,))}, [CELLS["Narrow"]])]
    assert kernels == ["stage0", "stage0+tape", "stage1_backward", "stage1_backward+states", "dh"]
    both = list(assembly.cases({("sm_90", "float32"): ((32, 512), (4,))}, [CELLS["Normed"]]))
    assert {case.threads for case in both} == {32, 256}
